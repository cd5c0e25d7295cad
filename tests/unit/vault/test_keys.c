#include "common.h"

#include <fcntl.h>
#include <sys/wait.h>

static void make(const char *folder, const char *scheme, const char *passphrase) {
    msfl_unlock *unlock = passphrase_of(passphrase);
    msfl_key_spec spec = small_spec(scheme);
    ok(msfl_keystore_create(folder, &spec, unlock, NULL));
    msfl_unlock_free(unlock);
}

static uint8_t *slurp(const char *path, size_t *length) {
    uint8_t *bytes;
    ok(msfl_file_read(path, (size_t)64 << 20, &bytes, length));
    return bytes;
}

/* --- passphrases and permissions --- */

static void passphrases(void **state) {
    msfl_unlock *u;
    assert_int_equal(msfl_unlock_passphrase("", 0, &u), MSFL_ERR_USAGE);
    assert_int_equal(msfl_unlock_passphrase("\n", 1, &u), MSFL_ERR_USAGE);
    assert_int_equal(msfl_unlock_passphrase("two\nlines", 9, &u), MSFL_ERR_USAGE);
    char longest[MSFL_PASSPHRASE_BYTES_MAX + 1];
    memset(longest, 'x', sizeof longest);
    assert_int_equal(msfl_unlock_passphrase(longest, sizeof longest, &u), MSFL_ERR_USAGE);
    ok(msfl_unlock_passphrase(longest, sizeof longest - 1, &u));
    assert_int_equal(msfl_unlock_check_new(u), MSFL_ERR_POLICY); /* one character, many times */
    msfl_unlock_free(u);
    ok(msfl_unlock_passphrase("four\n", 5, &u));
    assert_int_equal(msfl_unlock_check_new(u), MSFL_ERR_POLICY);
    msfl_unlock_free(u);
    ok(msfl_unlock_passphrase(PASSPHRASE "\r\n", strlen(PASSPHRASE) + 2, &u));
    ok(msfl_unlock_check_new(u));
    msfl_unlock_free(u);

    const char *file = at(*state, "pass");
    ok(msfl_file_write(file, PASSPHRASE, strlen(PASSPHRASE)));
    for (unsigned mode = 0600; mode <= 0677; mode++) {
        assert_int_equal(chmod(file, mode), 0);
        uint32_t others = 1;
        ok(msfl_unlock_passphrase_file(file, &others, &u));
        assert_int_equal(others, mode & 077);
        assert_false(msfl_unlock_is_weak(u));
        msfl_unlock_free(u);
    }
    assert_int_equal(msfl_unlock_passphrase_file(at(*state, "none"), NULL, &u), MSFL_ERR_MISSING);
    assert_int_equal(msfl_unlock_passphrase_file(*state, NULL, &u), MSFL_ERR_FORMAT);
    int ends[2]; /* a pipe, as the shell makes for <(command) */
    char pipe_name[32];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], PASSPHRASE, strlen(PASSPHRASE)), strlen(PASSPHRASE));
    close(ends[1]);
    snprintf(pipe_name, sizeof pipe_name, "/dev/fd/%d", ends[0]);
    ok(msfl_unlock_passphrase_file(pipe_name, NULL, &u));
    close(ends[0]);
    msfl_unlock_free(u);
    ok(msfl_unlock_passphrase("hunter2", 7, &u));
    ok(msfl_unlock_check_new(u));
    assert_true(msfl_unlock_is_weak(u));
    msfl_unlock_free(u);

    uint8_t raw[64];
    msfl_random_bytes(raw, sizeof raw);
    file = at(*state, "key");
    ok(msfl_file_write_private(file, raw, 31));
    assert_int_equal(msfl_unlock_key_file(file, &u), MSFL_ERR_POLICY);
    ok(msfl_file_write_private(file, raw, sizeof raw));
    ok(msfl_unlock_key_file(file, &u));
    ok(msfl_unlock_check_new(u));
    msfl_unlock_free(u);
    memset(raw, 7, sizeof raw);
    ok(msfl_file_write_private(file, raw, sizeof raw));
    ok(msfl_unlock_key_file(file, &u));
    assert_int_equal(msfl_unlock_check_new(u), MSFL_ERR_POLICY);
    msfl_unlock_free(u);
}

static void secret_files_are_private(void **state) {
    const char *folder = at(*state, "keys"), *secret = at(folder, "secret.msk");
    make(folder, "bfv", PASSPHRASE);
    struct stat info;
    assert_int_equal(stat(secret, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    msfl_keyfile *f;
    static const unsigned modes[] = {0640, 0604, 0610, 0602};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(chmod(secret, modes[i]), 0);
        assert_int_equal(msfl_keyfile_read(secret, &f), MSFL_ERR_POLICY);
    }
    assert_int_equal(chmod(secret, 0400), 0);
    ok(msfl_keyfile_read(secret, &f));
    msfl_keyfile_free(f);
}

/* --- what is in the files --- */

/* No window of the secret key's bytes, of the identity's seed, or of the unsealed whole stands in the public file. */
static void the_public_file_holds_no_secret(void **state) {
    static const char *const schemes[] = {"bfv", "ckks", "paillier"};
    for (size_t s = 0; s < 3; s++) {
        const bool lattice = s < 2;
        const char *folder = at(*state, schemes[s]);
        make(folder, schemes[s], PASSPHRASE);
        msfl_unlock *unlock = passphrase_of(PASSPHRASE);
        msfl_keyfile *secret, *public;
        uint8_t *plain;
        size_t length;
        ok(msfl_keyfile_read(at(folder, "secret.msk"), &secret));
        ok(msfl_keyfile_read(at(folder, "public.msk"), &public));
        ok(vault_unseal(secret, unlock, &plain, &length));
        /* Where the secrets stand: the identity's seed at the beginning; of a bfv or ckks key the seed at its end; of a
         * Paillier key p and q between a head of 12 bytes and the id. The rest is magic, parameters and id, which are
         * public. */
        enum { WINDOW = 8 };
        const size_t from[] = {0, lattice ? length - 32 : VAULT_SEALED_HEAD_BYTES + 12};
        const size_t to[] = {MSFL_SIGN_SEED_BYTES, lattice ? length : length - MSFL_HASH_BYTES};
        assert_int_equal(to[1] - from[1], lattice ? 32 : 256);
        for (size_t part = 0; part < 2; part++)
            for (size_t i = from[part]; i + WINDOW <= to[part]; i++)
                assert_null(memmem(public->bytes, public->length, plain + i, WINDOW));
        /* The same search finds what it should: */
        assert_non_null(memmem(public->bytes, public->length, secret->info.key_id, WINDOW));
        assert_non_null(memmem(plain, length, plain + from[1], WINDOW));
        /* And it is a function of public parts: everything but the signature can be written again from what a reader
         * of it has, and the signature is checked against that. */
        msfl_setup *setup;
        msfl_keys *keys;
        ok(msfl_keyfile_open(public, 100, NULL, &setup, &keys));
        assert_false(msfl_keys_has(keys, MSFL_KEY_SECRET));
        uint8_t *again = calloc(1, public->body_length);
        assert_int_equal(msfl_keys_bytes(keys, MSFL_KEY_PUBLIC), public->body_length);
        ok(msfl_keys_write(keys, MSFL_KEY_PUBLIC, again));
        assert_memory_equal(again, public->body, public->body_length);
        free(again);
        msfl_keys_free(keys);
        msfl_setup_free(setup);
        msfl_secret_free(plain);
        msfl_keyfile_free(secret);
        msfl_keyfile_free(public);
        msfl_unlock_free(unlock);
    }
}

static void every_changed_byte_is_noticed(void **state) {
    const char *folder = at(*state, "keys");
    make(folder, "bfv", PASSPHRASE);
    msfl_unlock *unlock = passphrase_of(PASSPHRASE);
    static const char *const names[] = {"public.msk", "secret.msk"};
    for (size_t n = 0; n < 2; n++) {
        size_t length;
        uint8_t *bytes = slurp(at(folder, names[n]), &length);
        msfl_keyfile *f;
        ok(msfl_keyfile_parse(names[n], bytes, length, &f));
        msfl_keyfile_free(f);
        for (size_t i = 0; i < length; i += i < 600 || i + 300 > length ? 1 : 997) {
            bytes[i] ^= 0x10;
            assert_int_not_equal(msfl_keyfile_parse(names[n], bytes, length, &f), MSFL_OK);
            if (i >= 16 && i < length - MSFL_HASH_BYTES) {
                /* With a fresh hash, as somebody would make who knows the format: the signature, or the seal, holds. */
                uint8_t kept[MSFL_HASH_BYTES];
                memcpy(kept, bytes + length - MSFL_HASH_BYTES, sizeof kept);
                vault_hash("msfl.vault.key-file.v1", bytes, length - MSFL_HASH_BYTES, bytes + length - MSFL_HASH_BYTES);
                msfl_status status = msfl_keyfile_parse(names[n], bytes, length, &f);
                if (n == 0) assert_int_not_equal(status, MSFL_OK);
                if (n == 1 && status == MSFL_OK) {
                    uint8_t *plain;
                    size_t plain_length;
                    if (f->lock.memory_bytes <= (uint64_t)16 << 20 && f->lock.passes < 3) {
                        assert_int_equal(vault_unseal(f, unlock, &plain, &plain_length), MSFL_ERR_CRYPTO);
                    }
                    msfl_keyfile_free(f);
                }
                memcpy(bytes + length - MSFL_HASH_BYTES, kept, sizeof kept);
            }
            bytes[i] ^= 0x10;
            if (n == 1 && i < 600) i += 3; /* each costs an Argon2id */
        }
        for (size_t cut = 0; cut < length; cut += cut < 400 ? 1 : 1013) {
            assert_int_not_equal(msfl_keyfile_parse(names[n], bytes, cut, &f), MSFL_OK);
        }
        msfl_free(bytes);
    }
    msfl_unlock_free(unlock);
}

static void absurd_costs_are_refused(void **state) {
    const char *folder = at(*state, "keys");
    make(folder, "bfv", PASSPHRASE);
    size_t length;
    uint8_t *bytes = slurp(at(folder, "secret.msk"), &length);
    msfl_keyfile *f;
    ok(msfl_keyfile_parse("s", bytes, length, &f));
    size_t lock = f->data_length - 56;
    msfl_keyfile_free(f);
    static const struct {
        uint32_t kdf, passes;
        uint64_t memory;
        msfl_status status;
    } cases[] = {{1, 1, UINT64_C(1) << 40, MSFL_ERR_LIMIT}, {1, 0xffffffff, 8 << 20, MSFL_ERR_LIMIT},
                 {1, 0, 8 << 20, MSFL_ERR_LIMIT},           {1, 1, 1024, MSFL_ERR_LIMIT},
                 {1, 1, (8 << 20) + 1, MSFL_ERR_LIMIT},     {3, 1, 8 << 20, MSFL_ERR_FORMAT},
                 {2, 1, 8 << 20, MSFL_ERR_FORMAT}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        msfl_store32(bytes + lock, cases[i].kdf);
        msfl_store32(bytes + lock + 4, cases[i].passes);
        msfl_store64(bytes + lock + 8, cases[i].memory);
        vault_hash("msfl.vault.key-file.v1", bytes, length - MSFL_HASH_BYTES, bytes + length - MSFL_HASH_BYTES);
        assert_int_equal(msfl_keyfile_parse("s", bytes, length, &f), cases[i].status);
    }
    msfl_free(bytes);
}

static void wrong_passphrase_and_kind(void **state) {
    const char *folder = at(*state, "keys");
    make(folder, "bfv", PASSPHRASE);
    uint8_t raw[32];
    msfl_random_bytes(raw, sizeof raw);
    ok(msfl_file_write_private(at(*state, "raw"), raw, sizeof raw));
    msfl_unlock *wrong = passphrase_of(PASSPHRASE "!"), *file, *right = passphrase_of(PASSPHRASE);
    ok(msfl_unlock_key_file(at(*state, "raw"), &file));
    msfl_keyfile *secret, *public;
    ok(msfl_keyfile_read(at(folder, "secret.msk"), &secret));
    ok(msfl_keyfile_read(at(folder, "public.msk"), &public));
    msfl_setup *setup;
    msfl_keys *keys;
    assert_int_equal(msfl_keyfile_open(secret, 5, wrong, &setup, &keys), MSFL_ERR_CRYPTO);
    assert_null(setup);
    assert_int_equal(msfl_keyfile_open(secret, 5, file, &setup, &keys), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_keyfile_open(secret, 5, NULL, &setup, &keys), MSFL_ERR_USAGE);
    ok(msfl_keyfile_open(secret, 5, right, &setup, &keys));
    assert_true(msfl_keys_has(keys, MSFL_KEY_SECRET));
    assert_false(msfl_keys_has(keys, MSFL_KEY_PUBLIC));
    msfl_keys_free(keys);
    msfl_setup_free(setup);
    msfl_keyfile_free(secret);

    /* rewrapped: under the key file it opens, under the old passphrase no more, and it is the same key */
    ok(msfl_keystore_rewrap(folder, right, file));
    ok(msfl_keyfile_read(at(folder, "secret.msk"), &secret));
    assert_int_equal(msfl_keyfile_open(secret, 5, right, &setup, &keys), MSFL_ERR_MISMATCH);
    ok(msfl_keyfile_open(secret, 5, file, &setup, &keys));
    assert_memory_equal(secret->info.key_id, public->info.key_id, MSFL_KEY_ID_BYTES);
    msfl_keys_free(keys);
    msfl_setup_free(setup);
    msfl_keyfile_free(secret);
    msfl_keyfile_free(public);
    msfl_unlock_free(wrong);
    msfl_unlock_free(right);
    msfl_unlock_free(file);
}

/* --- rotation --- */

static void a_chain_of_keys(void **state) {
    const char *folder = at(*state, "keys");
    make(folder, "bfv", PASSPHRASE);
    msfl_unlock *unlock = passphrase_of(PASSPHRASE), *second = passphrase_of("another five random words");
    msfl_keyfile *first, *next, *old, *forged;
    msfl_keystore_result result;
    ok(msfl_keyfile_read(at(folder, "public.msk"), &first));
    ok(msfl_keystore_rotate(folder, unlock, second, &result));
    ok(msfl_keyfile_read(at(folder, "public.msk"), &next));
    assert_memory_equal(result.key_id, next->info.key_id, MSFL_KEY_ID_BYTES);
    assert_memory_equal(result.previous_id, first->info.key_id, MSFL_KEY_ID_BYTES);
    ok(msfl_keyfile_succeeds(next, first));
    assert_int_equal(msfl_keyfile_succeeds(first, next), MSFL_ERR_MISMATCH);
    assert_int_equal(next->info.spec.request.n_clients, first->info.spec.request.n_clients);

    /* The old halves are there, sealed as they were. */
    char *path = vault_retired_path(folder, first->info.key_id, MSFL_KEY_SECRET);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    ok(msfl_keyfile_read(path, &old));
    vault_seed *seed;
    ok(vault_unseal_seed(old, unlock, &seed, NULL));
    assert_int_equal(msfl_keystore_rotate(folder, unlock, NULL, &result), MSFL_ERR_CRYPTO); /* now under `second` */

    /* Somebody else's key that names the first as its predecessor, but has no signature of it. */
    vault_pair pair;
    vault_seed *other;
    ok(vault_seed_new(&other));
    const vault_predecessor liar = {first, other};
    msfl_key_spec spec = small_spec("bfv");
    assert_int_equal(vault_pair_new(&spec, &liar, &pair), MSFL_ERR_CRYPTO);
    /* Or one whose stated predecessor has another identity under the same id. */
    msfl_keyfile twin = *first;
    memcpy(twin.info.identity, other->secret + MSFL_SIGN_SEED_BYTES, MSFL_IDENTITY_BYTES);
    const vault_predecessor impostor = {&twin, other};
    ok(vault_pair_new(&spec, &impostor, &pair));
    forged = pair.file;
    assert_int_equal(msfl_keyfile_succeeds(forged, first), MSFL_ERR_CRYPTO);

    vault_pair_clear(&pair);
    msfl_secret_free(other);
    msfl_secret_free(seed);
    msfl_keyfile_free(old);
    msfl_keyfile_free(first);
    msfl_keyfile_free(next);
    msfl_free(path);
    msfl_unlock_free(unlock);
    msfl_unlock_free(second);
}

static void revocations(void **state) {
    const char *folder = at(*state, "keys"), *elsewhere = at(*state, "elsewhere");
    make(folder, "bfv", PASSPHRASE);
    msfl_unlock *unlock = passphrase_of(PASSPHRASE);
    msfl_keystore_result result;
    msfl_keyfile *first, *next;
    msfl_revocation r;
    bool is_revoked;
    ok(msfl_keyfile_read(at(folder, "public.msk"), &first));
    ok(msfl_keystore_rotate(folder, unlock, NULL, &result));
    ok(msfl_keyfile_read(at(folder, "public.msk"), &next));
    ok(msfl_revocation_find(first, NULL, &is_revoked, &r));
    assert_false(is_revoked);
    char *path;
    assert_int_equal(msfl_keystore_revoke(folder, result.previous_id, unlock, "two\nlines", &path), MSFL_ERR_USAGE);
    static const char *const bad[] = {"\x1b[2J",
                                      "\xc2\x9b"
                                      "2J",
                                      "\x9b"
                                      "2J",
                                      "\xe2\x82",
                                      "\xff",
                                      "\x7f"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) /* nothing that steers a terminal, nothing broken */
        assert_int_equal(msfl_keystore_revoke(folder, result.previous_id, unlock, bad[i], &path), MSFL_ERR_USAGE);
    uint8_t unknown[MSFL_KEY_ID_BYTES] = {1};
    assert_int_equal(msfl_keystore_revoke(folder, unknown, unlock, "", &path), MSFL_ERR_MISSING);
    ok(msfl_keystore_revoke(folder, result.previous_id, unlock, "the laptop was stolen, \xe2\x82\xac 900", &path));
    assert_int_equal(msfl_keystore_revoke(folder, result.previous_id, unlock, "again", NULL), MSFL_ERR_EXISTS);
    ok(msfl_revocation_find(first, NULL, &is_revoked, &r));
    assert_true(is_revoked);
    assert_string_equal(r.reason, "the laptop was stolen, \xe2\x82\xac 900");
    ok(msfl_revocation_find(next, NULL, &is_revoked, &r));
    assert_false(is_revoked);

    /* Beside a copy of the old public key at a hospital; alone, and given by name. */
    ok(msfl_folder_make(elsewhere));
    ok(msfl_file_write(at(elsewhere, "public.msk"), first->bytes, first->length));
    msfl_keyfile *copy;
    ok(msfl_keyfile_read(at(elsewhere, "public.msk"), &copy));
    ok(msfl_revocation_find(copy, NULL, &is_revoked, NULL));
    assert_false(is_revoked);
    ok(msfl_revocation_find(copy, path, &is_revoked, NULL));
    assert_true(is_revoked);
    ok(msfl_revocation_find(copy, folder, &is_revoked, NULL));
    assert_true(is_revoked);

    /* A damaged revocation of this key does not bring it back. */
    size_t length;
    uint8_t *bytes = slurp(path, &length);
    for (size_t i = 0; i < length; i++) {
        bytes[i] ^= 4;
        assert_int_not_equal(msfl_revocation_parse("r", bytes, length, &r), MSFL_OK);
        bytes[i] ^= 4;
    }
    for (size_t cut = 0; cut < length; cut++)
        assert_int_not_equal(msfl_revocation_parse("r", bytes, cut, &r), MSFL_OK);
    bytes[100] ^= 4;
    ok(msfl_file_write(path, bytes, length));
    assert_int_equal(msfl_revocation_find(first, NULL, &is_revoked, NULL), MSFL_ERR_FORMAT);
    assert_int_equal(msfl_revocation_find(copy, path, &is_revoked, NULL), MSFL_ERR_FORMAT);
    msfl_free(bytes);
    msfl_keystore_text_free(path);
    msfl_keyfile_free(copy);
    msfl_keyfile_free(first);
    msfl_keyfile_free(next);
    msfl_unlock_free(unlock);
}

/* After whatever happened: what was encrypted under `id` still opens. */
static void assert_opens(const char *folder, const uint8_t *id, const msfl_unlock *unlock) {
    msfl_keyfile *secret;
    vault_seed *seed;
    ok(vault_store_secret(folder, id, &secret));
    ok(vault_unseal_seed(secret, unlock, &seed, NULL));
    msfl_secret_free(seed);
    msfl_keyfile_free(secret);
}

/* Every step of a rotation fails, and at every step the process is killed: the old key is never lost, the public half
 * in place always has its secret half, and the next rotation works. */
static void rotation_survives_everything(void **state) {
    msfl_unlock *unlock = passphrase_of(PASSPHRASE);
    for (int die = 0; die < 2; die++) {
        bool finished = false;
        long k = 1;
        for (; !finished; k++) {
            char name[32];
            snprintf(name, sizeof name, "r%d-%ld", die, k);
            const char *folder = at(*state, name);
            make(folder, "bfv", PASSPHRASE);
            msfl_keyfile *before, *public;
            ok(msfl_keyfile_read(at(folder, "public.msk"), &before));
            if (die) {
                fflush(NULL);
                pid_t child = fork();
                if (child == 0) {
                    msfl_file_fault_at(k, true);
                    _exit(msfl_keystore_rotate(folder, unlock, NULL, NULL) == MSFL_OK ? 0 : 1);
                }
                int how;
                assert_int_equal(waitpid(child, &how, 0), child);
                finished = WIFEXITED(how); /* no step was left to be killed at */
                assert_int_equal(finished ? WEXITSTATUS(how) : WTERMSIG(how), finished ? 0 : SIGKILL);
            } else {
                msfl_file_fault_at(k, false);
                msfl_status status = msfl_keystore_rotate(folder, unlock, NULL, NULL);
                finished = msfl_file_steps() < k;
                msfl_file_fault_at(0, false);
                assert_int_equal(status, finished ? MSFL_OK : MSFL_ERR_IO);
            }
            assert_opens(folder, before->info.key_id, unlock);
            bool recovered;
            ok(msfl_keystore_recover(folder, &recovered));
            ok(msfl_keyfile_read(at(folder, "public.msk"), &public));
            assert_opens(folder, public->info.key_id, unlock);
            assert_opens(folder, before->info.key_id, unlock);
            msfl_keyfile_free(public);
            ok(msfl_keystore_rotate(folder, unlock, NULL, NULL));
            assert_opens(folder, before->info.key_id, unlock);
            assert_false(msfl_file_exists(at(folder, VAULT_NEXT_PUBLIC)));
            assert_false(msfl_file_exists(at(folder, VAULT_NEXT_SECRET)));
            msfl_keyfile_free(before);
        }
        assert_in_range(k, 16, 100);
    }
    msfl_unlock_free(unlock);
}

/* And when memory runs out at any moment. */
static void rotation_survives_lack_of_memory(void **state) {
    const char *folder = at(*state, "keys");
    make(folder, "bfv", PASSPHRASE);
    msfl_unlock *unlock = passphrase_of(PASSPHRASE);
    int in_a_row = 0;
    for (long k = 1; in_a_row < 5; k++) {
        msfl_keyfile *before;
        ok(msfl_keyfile_read(at(folder, "public.msk"), &before));
        msfl_alloc_fail_at(k);
        msfl_keystore_result result;
        msfl_status status = msfl_keystore_rotate(folder, unlock, NULL, &result);
        if (status == MSFL_OK) status = msfl_keystore_revoke(folder, result.previous_id, unlock, "", NULL);
        bool is_revoked = false;
        if (status == MSFL_OK) status = msfl_revocation_find(before, NULL, &is_revoked, NULL);
        msfl_alloc_fail_at(0);
        assert_true(status == MSFL_OK || status == MSFL_ERR_MEMORY);
        if (status == MSFL_OK) assert_true(is_revoked);
        in_a_row = status == MSFL_OK ? in_a_row + 1 : 0;
        assert_opens(folder, before->info.key_id, unlock);
        msfl_keyfile_free(before);
        bool recovered;
        ok(msfl_keystore_recover(folder, &recovered));
        assert_true(k < 10000);
    }
    msfl_unlock_free(unlock);
}

/* keygen likewise: whole, or as if it had not been. */
static void creation_is_whole_or_nothing(void **state) {
    msfl_unlock *unlock = passphrase_of(PASSPHRASE);
    msfl_key_spec spec = small_spec("bfv");
    for (int die = 0; die < 2; die++) {
        for (long k = 1;; k++) {
            char name[32];
            snprintf(name, sizeof name, "c%d-%ld", die, k);
            const char *folder = at(*state, name);
            msfl_status status;
            bool finished;
            if (die) {
                fflush(NULL);
                pid_t child = fork();
                if (child == 0) {
                    msfl_file_fault_at(k, true);
                    _exit(msfl_keystore_create(folder, &spec, unlock, NULL) == MSFL_OK ? 0 : 1);
                }
                int how;
                assert_int_equal(waitpid(child, &how, 0), child);
                finished = WIFEXITED(how);
                status = msfl_keystore_create(folder, &spec, unlock, NULL);  /* again */
                assert_true(status == MSFL_OK || status == MSFL_ERR_EXISTS); /* and whole in both cases */
            } else {
                msfl_file_fault_at(k, false);
                status = msfl_keystore_create(folder, &spec, unlock, NULL);
                finished = msfl_file_steps() < k;
                msfl_file_fault_at(0, false);
                assert_int_equal(status, finished ? MSFL_OK : MSFL_ERR_IO);
                assert_int_equal(msfl_file_exists(folder), finished);
                if (!finished) ok(msfl_keystore_create(folder, &spec, unlock, NULL));
            }
            msfl_keyfile *public;
            ok(msfl_keyfile_read(at(folder, "public.msk"), &public));
            assert_opens(folder, public->info.key_id, unlock);
            msfl_keyfile_free(public);
            if (finished) break;
            assert_true(k < 100);
        }
    }
    msfl_unlock_free(unlock);
}

/* Where a rename that replaces nothing had to be a link and an unlink, a kill between them leaves the new secret half
 * under both names. */
static void a_secret_half_of_two_names(void **state) {
    const char *folder = at(*state, "keys");
    const char *secret = at(folder, VAULT_SECRET_NAME), *public = at(folder, VAULT_PUBLIC_NAME);
    const char *next_secret = at(folder, VAULT_NEXT_SECRET), *next_public = at(folder, VAULT_NEXT_PUBLIC);
    make(folder, "bfv", PASSPHRASE);
    msfl_unlock *unlock = passphrase_of(PASSPHRASE);
    msfl_keyfile *before, *after;
    bool recovered;
    ok(msfl_keyfile_read(public, &before));
    assert_int_equal(link(secret, next_secret), 0);
    assert_int_equal(rename(public, next_public), 0);
    ok(msfl_keystore_recover(folder, &recovered));
    assert_true(recovered);
    assert_false(msfl_file_exists(next_secret) || msfl_file_exists(next_public));
    ok(msfl_keyfile_read(public, &after));
    assert_memory_equal(before->info.fingerprint, after->info.fingerprint, MSFL_HASH_BYTES);
    assert_opens(folder, after->info.key_id, unlock);
    msfl_keyfile_free(after);
    msfl_keyfile_free(before);

    /* A secret .next of another pair is nothing that explains itself: it is not thrown away. */
    const char *other = at(*state, "other");
    make(other, "bfv", PASSPHRASE);
    assert_int_equal(link(at(other, VAULT_SECRET_NAME), next_secret), 0);
    assert_int_equal(rename(public, next_public), 0);
    assert_int_equal(msfl_keystore_recover(folder, &recovered), MSFL_ERR_MISMATCH);
    assert_true(msfl_file_exists(next_secret) && msfl_file_exists(next_public) && msfl_file_exists(secret));
    msfl_unlock_free(unlock);
}

/* What killed commands left of key files goes; what others are writing in the folder stays. */
static void only_remains_of_keys_are_removed(void **state) {
    const char *folder = at(*state, "keys");
    make(folder, "bfv", PASSPHRASE);
    msfl_unlock *unlock = passphrase_of(PASSPHRASE);
    static const char *const names[] = {"sum.msc.partial-12345", "secret.msk.next.partial-12345",
                                        "public.msk.partial-1", "secret.msk.partial-of-a-copy"};
    static const bool stays[] = {true, false, false, true};
    for (size_t i = 0; i < 4; i++)
        ok(msfl_file_write(at(folder, names[i]), "", 0));
    ok(msfl_keystore_rotate(folder, unlock, NULL, NULL));
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(msfl_file_exists(at(folder, names[i])), stays[i]);
    msfl_unlock_free(unlock);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(passphrases, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(secret_files_are_private, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(the_public_file_holds_no_secret, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(every_changed_byte_is_noticed, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(absurd_costs_are_refused, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(wrong_passphrase_and_kind, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_chain_of_keys, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(revocations, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(rotation_survives_everything, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(rotation_survives_lack_of_memory, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(creation_is_whole_or_nothing, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(a_secret_half_of_two_names, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(only_remains_of_keys_are_removed, folder_setup, folder_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
