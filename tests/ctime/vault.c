/* The way a key is sealed and unsealed: passphrases and key files, identities, signatures. */
#include "check.h"
#include "medsecurefl/keyfile.h"
#include "vault/keyfile.h"

#include <unistd.h>

#if MSFL_TAINT && defined NDEBUG

/** A secret under `unlock`: sealed, read again, opened, its identity taken out, and a wrong lock refused. */
static void through(const vault_pair *pair, const msfl_unlock *unlock, const msfl_unlock *wrong) {
    msfl_buffer bytes = {0};
    msfl_keyfile *file;
    vault_seed *seed;
    uint8_t *plain, fingerprint[MSFL_HASH_BYTES];
    size_t length;
    TRY(msfl_unlock_check_new(unlock));
    TRY(vault_seal(pair->file, pair->plain, pair->plain_length, unlock, &bytes));
    TRY(msfl_keyfile_parse("sealed", bytes.bytes, bytes.length, &file)); /* all of it is public */
    TRY(vault_unseal(file, unlock, &plain, &length));
    EXPECT(length == pair->plain_length);
    expect_secret("an unsealed key that is not secret", plain, length, 1);
    /* The seed of the key stands at its end; the head before it is public. */
    MSFL_DECLASSIFY(plain + MSFL_SIGN_SEED_BYTES, length - MSFL_SIGN_SEED_BYTES - 32);
    msfl_setup *setup;
    msfl_keys *keys;
    TRY(vault_keys_of(file, MSFL_KEY_SECRET, 10, plain + VAULT_SEALED_HEAD_BYTES, length - VAULT_SEALED_HEAD_BYTES,
                      &setup, &keys));
    msfl_keys_free(keys);
    msfl_setup_free(setup);
    msfl_secret_free(plain);
    TRY(vault_unseal_seed(file, unlock, &seed, fingerprint));
    expect_secret("a seed that is not secret", seed->seed, sizeof seed->seed, 1);
    EXPECT(memcmp(fingerprint, pair->file->info.fingerprint, sizeof fingerprint) == 0);
    const vault_predecessor predecessor = {pair->file, seed};
    vault_pair next;
    TRY(vault_pair_new(&pair->file->info.spec, &predecessor, &next));
    TRY(msfl_keyfile_succeeds(next.file, pair->file));
    vault_pair_clear(&next);
    EXPECT(vault_unseal(file, wrong, &plain, &length) == MSFL_ERR_CRYPTO);
    msfl_secret_free(seed);
    msfl_keyfile_free(file);
    msfl_buffer_clear(&bytes);
}

static msfl_unlock *passphrase_of(const char *text) {
    msfl_unlock *unlock;
    size_t length = strlen(text);
    char *copy = get(length, 1);
    memcpy(copy, text, length);
    MSFL_SECRET(copy, length);
    TRY(msfl_unlock_passphrase(copy, length, &unlock));
    msfl_free(copy);
    return unlock;
}

static msfl_unlock *key_file_of(const uint8_t *bytes, size_t length) {
    char path[] = "/tmp/msfl-ctime-XXXXXX";
    msfl_unlock *unlock;
    int fd = mkstemp(path);
    EXPECT(fd >= 0 && write(fd, bytes, length) == (ssize_t)length);
    close(fd);
    TRY(msfl_unlock_key_file(path, &unlock)); /* reading marks what was read */
    unlink(path);
    return unlock;
}

void ctime_vault(void) {
    vault_lock_cost(1, VAULT_MEMORY_MIN);
    msfl_key_spec spec = msfl_key_spec_default();
    spec.request.n_clients = 4;
    spec.request.n_values = 100;
    vault_pair pair;
    TRY(vault_pair_new(&spec, NULL, &pair));
    expect_secret("a sealed identity that is not secret", pair.plain, MSFL_SIGN_SEED_BYTES, 1);
    msfl_unlock *right = passphrase_of("five random words are good\r\n"),
                *wrong = passphrase_of("six random words are");
    through(&pair, right, wrong);
    msfl_unlock_free(right);
    msfl_unlock_free(wrong);
    uint8_t raw[48];
    for (size_t i = 0; i < sizeof raw; i++)
        raw[i] = (uint8_t)(i * 37);
    right = key_file_of(raw, sizeof raw);
    wrong = key_file_of(raw, sizeof raw - 1);
    through(&pair, right, wrong);
    msfl_unlock_free(right);
    msfl_unlock_free(wrong);
    /* Refusals. */
    wrong = passphrase_of("aaaaaaaaaaaaaaaaaaaa");
    EXPECT(msfl_unlock_check_new(wrong) == MSFL_ERR_POLICY);
    msfl_unlock_free(wrong);
    char control[] = "five random \x07 words";
    MSFL_SECRET(control, sizeof control - 1);
    EXPECT(msfl_unlock_passphrase(control, sizeof control - 1, &wrong) == MSFL_ERR_USAGE);
    vault_pair_clear(&pair);
}

#else
typedef int nothing_here;
#endif
