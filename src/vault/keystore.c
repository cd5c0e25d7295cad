/* A folder with one current key pair and the retired ones. The order of the steps is argued in docs/design/keys.md:
 * at every moment each secret half that ciphertexts may need is complete under one of its names. */
#include "vault/keystore.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- names --- */

char *vault_folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL) return msfl_strdup(".");
    return slash == path ? msfl_strdup("/") : msfl_strndup(path, (size_t)(slash - path));
}

char *vault_retired_path(const char *folder, const uint8_t key_id[MSFL_KEY_ID_BYTES], msfl_key_part half) {
    char id[2 * MSFL_KEY_ID_BYTES + 1];
    msfl_hex(key_id, MSFL_KEY_ID_BYTES, id);
    return msfl_format("%s/" VAULT_RETIRED_NAME "/%s.%s", folder, id,
                       half == MSFL_KEY_PUBLIC ? VAULT_PUBLIC_NAME : VAULT_SECRET_NAME);
}

static msfl_status read_half(const char *path, msfl_key_part half, msfl_keyfile **out) {
    msfl_status status = msfl_keyfile_read(path, out);
    if (status == MSFL_OK && (*out)->info.half != half) {
        status =
            msfl_fail(MSFL_ERR_MISMATCH, "%s is a %s key, and a %s one is needed", path,
                      half == MSFL_KEY_PUBLIC ? "secret" : "public", half == MSFL_KEY_PUBLIC ? "public" : "secret");
        msfl_keyfile_free(*out);
        *out = NULL;
    }
    return status;
}

msfl_status vault_store_read(const char *folder, const char *name, msfl_key_part half, msfl_keyfile **out) {
    *out = NULL;
    char *path = msfl_path_join(folder, name);
    if (path == NULL) return MSFL_NO_MEMORY;
    msfl_status status = read_half(path, half, out);
    msfl_free(path);
    return status;
}

msfl_status vault_store_secret(const char *folder, const uint8_t key_id[MSFL_KEY_ID_BYTES], msfl_keyfile **out) {
    msfl_status status = vault_store_read(folder, VAULT_SECRET_NAME, MSFL_KEY_SECRET, out);
    if (status == MSFL_OK && *out != NULL && memcmp((*out)->info.key_id, key_id, MSFL_KEY_ID_BYTES) == 0)
        return MSFL_OK;
    msfl_keyfile_free(*out);
    *out = NULL;
    char *path = vault_retired_path(folder, key_id, MSFL_KEY_SECRET);
    if (path == NULL) return MSFL_NO_MEMORY;
    if (!msfl_file_exists(path)) {
        char id[2 * MSFL_KEY_ID_BYTES + 1];
        msfl_hex(key_id, MSFL_KEY_ID_BYTES, id);
        status = msfl_fail(MSFL_ERR_MISSING, "the folder %s has no secret half of the key %s", folder, id);
    } else {
        status = read_half(path, MSFL_KEY_SECRET, out);
    }
    msfl_free(path);
    return status;
}

/** Whether the name is taken. What cannot be examined is an error and not a "no": keys are replaced on a "no". */
static msfl_status has(const char *folder, const char *name, bool *there) {
    *there = true;
    char *path = msfl_path_join(folder, name);
    if (path == NULL) return MSFL_NO_MEMORY;
    struct stat info;
    msfl_status status = MSFL_OK;
    if (lstat(path, &info) != 0) {
        *there = false;
        if (errno != ENOENT) status = msfl_fail_errno(errno, "cannot examine %s", path);
    }
    msfl_free(path);
    return status;
}

static msfl_status write_bytes(const char *folder, const char *name, const void *bytes, size_t length, int mode) {
    char *path = msfl_path_join(folder, name);
    if (path == NULL) return MSFL_NO_MEMORY;
    msfl_output *output;
    msfl_status status = msfl_output_open(path, mode, &output);
    if (status == MSFL_OK) status = msfl_output_write(output, bytes, length);
    if (status == MSFL_OK) status = msfl_output_commit(output);
    msfl_output_free(output);
    msfl_free(path);
    return status;
}

static void remove_name(const char *folder, const char *name) {
    char *path = msfl_path_join(folder, name);
    if (path != NULL) (void)unlink(path);
    msfl_free(path);
}

static msfl_status put_in_place(const char *folder, const char *from, const char *to, bool replace) {
    char *a = msfl_path_join(folder, from), *b = msfl_path_join(folder, to);
    msfl_status status = a == NULL || b == NULL ? MSFL_NO_MEMORY : msfl_file_rename(a, b, replace);
    msfl_free(a);
    msfl_free(b);
    return status;
}

/* --- a pair, put in place --- */

/** Both halves under their .next names, complete and on disk. */
static msfl_status write_next(const char *folder, const vault_pair *pair, const msfl_unlock *unlock) {
    msfl_buffer sealed = {0};
    msfl_status status = vault_seal(pair->file, pair->plain, pair->plain_length, unlock, &sealed);
    if (status == MSFL_OK) {
        status = write_bytes(folder, VAULT_NEXT_SECRET, sealed.bytes, sealed.length, MSFL_OUTPUT_PRIVATE);
    }
    if (status == MSFL_OK) {
        status = write_bytes(folder, VAULT_NEXT_PUBLIC, pair->file->bytes, pair->file->length, MSFL_OUTPUT_NEW);
    }
    msfl_buffer_clear(&sealed);
    return status;
}

static void tell(const msfl_keyfile *public, msfl_keystore_result *result) {
    memcpy(result->key_id, public->info.key_id, sizeof result->key_id);
    memcpy(result->fingerprint, public->info.fingerprint, sizeof result->fingerprint);
}

static bool are_halves(const msfl_keyfile *public, const msfl_keyfile *secret) {
    return public != NULL && secret != NULL && memcmp(public->info.key_id, secret->info.key_id, MSFL_KEY_ID_BYTES) == 0;
}

/** Same key, or not; false also when one cannot be read. */
static bool belong_together(const char *folder, const char *public_name, const char *secret_name) {
    msfl_keyfile *public = NULL, *secret = NULL;
    bool same = vault_store_read(folder, public_name, MSFL_KEY_PUBLIC, &public) == MSFL_OK &&
                vault_store_read(folder, secret_name, MSFL_KEY_SECRET, &secret) == MSFL_OK &&
                are_halves(public, secret);
    msfl_keyfile_free(public);
    msfl_keyfile_free(secret);
    return same;
}

/* Under the lock. A new pair is written under both .next names; then the secret half is renamed, then the public one.
 * So: a public .next that fits the secret in place means that only the last rename is missing. (Where a rename had to
 * be a link and an unlink, the secret half can still have both names; they are the same pair then.) Anything else:
 * nothing had begun to be replaced, and what was made was never used. */
static msfl_status finish_or_undo(const char *folder, bool next_secret, bool next_public) {
    if (next_public && belong_together(folder, VAULT_NEXT_PUBLIC, VAULT_SECRET_NAME) &&
        (!next_secret || belong_together(folder, VAULT_NEXT_PUBLIC, VAULT_NEXT_SECRET))) {
        if (next_secret) remove_name(folder, VAULT_NEXT_SECRET);
        return put_in_place(folder, VAULT_NEXT_PUBLIC, VAULT_PUBLIC_NAME, true);
    }
    bool has_public, has_secret;
    msfl_status status = has(folder, VAULT_PUBLIC_NAME, &has_public);
    if (status == MSFL_OK) status = has(folder, VAULT_SECRET_NAME, &has_secret);
    if (status != MSFL_OK) return status;
    bool is_new = !has_public && !has_secret; /* keygen, cut short */
    if (!is_new && !belong_together(folder, VAULT_PUBLIC_NAME, VAULT_SECRET_NAME)) {
        return msfl_fail(
            MSFL_ERR_MISMATCH,
            "%s: the halves do not belong together and an unfinished rotation does not explain it; nothing "
            "was changed, look at the files with 'medsecurefl inspect'",
            folder);
    }
    remove_name(folder, VAULT_NEXT_SECRET);
    remove_name(folder, VAULT_NEXT_PUBLIC);
    return MSFL_OK;
}

static msfl_status recover(const char *folder, bool *has_recovered) {
    *has_recovered = false;
    char *retired = msfl_path_join(folder, VAULT_RETIRED_NAME);
    if (retired == NULL) return MSFL_NO_MEMORY;
    bool next_public, next_secret;
    /* Of key files only: who makes an output of another kind in this folder just now has no lock on it. */
    msfl_status status = msfl_folder_clean(folder, ".msk");
    if (status == MSFL_OK) status = msfl_folder_clean(retired, ".msk");
    msfl_free(retired);
    if (status == MSFL_OK) status = has(folder, VAULT_NEXT_PUBLIC, &next_public);
    if (status == MSFL_OK) status = has(folder, VAULT_NEXT_SECRET, &next_secret);
    if (status != MSFL_OK || (!next_public && !next_secret)) return status;
    *has_recovered = true;
    return finish_or_undo(folder, next_secret, next_public);
}

msfl_status msfl_keystore_recover(const char *folder, bool *has_recovered) {
    *has_recovered = false;
    int lock;
    msfl_status status = msfl_file_lock(folder, &lock);
    if (status != MSFL_OK) return status;
    status = recover(folder, has_recovered);
    msfl_file_unlock(lock);
    return status;
}

/* A failure, with its message, while what it left is put in order. */
static msfl_status undo(const char *folder, msfl_status status) {
    char *message = msfl_strdup(msfl_error_message());
    bool ignored;
    if (recover(folder, &ignored) != MSFL_OK || message == NULL) return status;
    msfl_error_set(message);
    msfl_free(message);
    return status;
}

/* --- the first pair --- */

/** Under the lock. */
static msfl_status save_first(const char *folder, const vault_pair *pair, const msfl_unlock *unlock) {
    bool recovered;
    msfl_status status = recover(folder, &recovered);
    if (status != MSFL_OK) return status;
    static const char *const names[] = {VAULT_SECRET_NAME, VAULT_PUBLIC_NAME};
    for (size_t i = 0; i < 2; i++) {
        bool there;
        status = has(folder, names[i], &there);
        if (status != MSFL_OK) return status;
        if (!there) continue;
        return msfl_fail(MSFL_ERR_EXISTS, "%s/%s is already there: keys are never overwritten%s", folder, names[i],
                         i == 0 ? "; rotate-keys makes a successor" : "");
    }
    status = write_next(folder, pair, unlock);
    /* Not replacing: a key that somebody copies into the folder meanwhile takes no lock. */
    if (status == MSFL_OK) status = put_in_place(folder, VAULT_NEXT_SECRET, VAULT_SECRET_NAME, false);
    if (status == MSFL_ERR_EXISTS) { /* then what is in place is not ours, and explains nothing to recover() */
        remove_name(folder, VAULT_NEXT_SECRET);
        remove_name(folder, VAULT_NEXT_PUBLIC);
        return status;
    }
    if (status != MSFL_OK) return undo(folder, status);
    status = put_in_place(folder, VAULT_NEXT_PUBLIC, VAULT_PUBLIC_NAME, false);
    if (status == MSFL_OK) return MSFL_OK;
    remove_name(folder, VAULT_SECRET_NAME); /* ours, and of no use: nobody has seen the public half */
    remove_name(folder, VAULT_NEXT_PUBLIC);
    return status;
}

msfl_status vault_store_save(const char *folder, const vault_pair *pair, const msfl_unlock *unlock) {
    msfl_status status = msfl_unlock_check_new(unlock);
    if (status != MSFL_OK) return status;
    bool made_folder = !msfl_file_exists(folder);
    status = msfl_folder_make(folder);
    if (status != MSFL_OK) return status;
    int lock;
    status = msfl_file_lock(folder, &lock);
    if (status == MSFL_OK) {
        status = save_first(folder, pair, unlock);
        msfl_file_unlock(lock);
    }
    if (status != MSFL_OK && made_folder) (void)rmdir(folder);
    return status;
}

msfl_status msfl_keystore_create(const char *folder, const msfl_key_spec *spec, const msfl_unlock *unlock,
                                 msfl_keystore_result *result) {
    msfl_keystore_result ignored;
    if (result == NULL) result = &ignored;
    *result = (msfl_keystore_result){0};
    msfl_status status = msfl_crypto_init();
    if (status == MSFL_OK) status = vault_spec_check(spec);
    if (status == MSFL_OK) status = msfl_unlock_check_new(unlock);
    bool there = false, recovered;
    if (status == MSFL_OK && msfl_is_folder(folder)) {
        status = msfl_keystore_recover(folder, &recovered); /* one that was killed before its last step is whole then */
        if (status == MSFL_OK) status = has(folder, VAULT_SECRET_NAME, &there);
    }
    if (status == MSFL_OK && there) { /* before the work; checked again under the lock */
        status = msfl_fail(MSFL_ERR_EXISTS,
                           "%s/" VAULT_SECRET_NAME " is already there: keys are never overwritten; rotate-keys makes a "
                           "successor",
                           folder);
    }
    vault_pair pair = {0};
    if (status == MSFL_OK) status = vault_pair_new(spec, NULL, &pair);
    if (status == MSFL_OK) status = vault_store_save(folder, &pair, unlock);
    if (status == MSFL_OK) tell(pair.file, result);
    vault_pair_clear(&pair);
    return status;
}

/* --- rotation --- */

/** A copy under retired/. One that is there already, from a rotation that was cut short, is written again. */
static msfl_status retire(const char *folder, const msfl_keyfile *half) {
    char *path = vault_retired_path(folder, half->info.key_id, half->info.half);
    if (path == NULL) return MSFL_NO_MEMORY;
    msfl_status status = half->info.half == MSFL_KEY_SECRET ? msfl_file_write_private(path, half->bytes, half->length)
                                                            : msfl_file_write(path, half->bytes, half->length);
    msfl_free(path);
    return status;
}

static msfl_status make_retired(const char *folder) {
    char *path = msfl_path_join(folder, VAULT_RETIRED_NAME);
    if (path == NULL) return MSFL_NO_MEMORY;
    msfl_status status = MSFL_OK;
    if (mkdir(path, 0700) != 0 && !(errno == EEXIST && msfl_is_folder(path))) {
        status = msfl_fail_errno(errno, "cannot make the folder %s", path);
    }
    msfl_free(path);
    return status;
}

/** The steps of docs/design/keys.md, in their order. */
static msfl_status replace_pair(const char *folder, const msfl_keyfile *public, const msfl_keyfile *secret,
                                const vault_pair *next, const msfl_unlock *unlock) {
    msfl_status status = make_retired(folder);
    if (status == MSFL_OK) status = retire(folder, secret);
    if (status == MSFL_OK) status = retire(folder, public);
    if (status == MSFL_OK) status = write_next(folder, next, unlock);
    if (status == MSFL_OK) status = put_in_place(folder, VAULT_NEXT_SECRET, VAULT_SECRET_NAME, true);
    if (status != MSFL_OK) return undo(folder, status); /* the old pair stands */
    status = put_in_place(folder, VAULT_NEXT_PUBLIC, VAULT_PUBLIC_NAME, true);
    if (status == MSFL_OK) return MSFL_OK;
    return msfl_fail_in(status, "the new secret half is in place, the public one not yet: run rotate-keys --recover");
}

static msfl_status rotate(const char *folder, const msfl_unlock *unlock, const msfl_unlock *new_unlock,
                          msfl_keystore_result *result) {
    msfl_keyfile *public = NULL, *secret = NULL;
    vault_seed *seed = NULL;
    vault_pair next = {0};
    uint8_t fingerprint[MSFL_HASH_BYTES];
    msfl_status status = recover(folder, &result->has_recovered);
    if (status == MSFL_OK) status = vault_store_read(folder, VAULT_PUBLIC_NAME, MSFL_KEY_PUBLIC, &public);
    if (status == MSFL_OK) status = vault_store_read(folder, VAULT_SECRET_NAME, MSFL_KEY_SECRET, &secret);
    if (status != MSFL_OK || public == NULL || secret == NULL) goto done;
    if (!are_halves(public, secret)) {
        status = msfl_fail(MSFL_ERR_MISMATCH, "%s: public.msk and secret.msk are halves of two different keys", folder);
    }
    if (status == MSFL_OK) status = vault_unseal_seed(secret, unlock, &seed, fingerprint);
    if (status == MSFL_OK && memcmp(fingerprint, public->info.fingerprint, sizeof fingerprint) != 0) {
        status = msfl_fail(MSFL_ERR_CRYPTO, "%s: public.msk is not the one that was made with secret.msk", folder);
    }
    const vault_predecessor predecessor = {public, seed};
    if (status == MSFL_OK && new_unlock != NULL) status = msfl_unlock_check_new(new_unlock);
    if (status == MSFL_OK) status = vault_pair_new(&public->info.spec, &predecessor, &next);
    if (status == MSFL_OK) {
        status = replace_pair(folder, public, secret, &next, new_unlock != NULL ? new_unlock : unlock);
    }
    if (status == MSFL_OK) {
        tell(next.file, result);
        memcpy(result->previous_id, public->info.key_id, sizeof result->previous_id);
    }
done:
    vault_pair_clear(&next);
    msfl_secret_free(seed);
    msfl_keyfile_free(secret);
    msfl_keyfile_free(public);
    return status;
}

msfl_status msfl_keystore_rotate(const char *folder, const msfl_unlock *unlock, const msfl_unlock *new_unlock,
                                 msfl_keystore_result *result) {
    msfl_keystore_result ignored;
    if (result == NULL) result = &ignored;
    *result = (msfl_keystore_result){0};
    int lock;
    msfl_status status = msfl_crypto_init();
    if (status == MSFL_OK) status = msfl_file_lock(folder, &lock);
    if (status != MSFL_OK) return status;
    status = rotate(folder, unlock, new_unlock, result);
    msfl_file_unlock(lock);
    return status;
}

msfl_status msfl_keystore_rewrap(const char *path, const msfl_unlock *unlock, const msfl_unlock *new_unlock) {
    msfl_keyfile *secret = NULL;
    msfl_buffer out = {0};
    char *file = msfl_is_folder(path) ? msfl_path_join(path, VAULT_SECRET_NAME) : msfl_strdup(path);
    char *folder = file == NULL ? NULL : vault_folder_of(file);
    if (folder == NULL) {
        msfl_free(file);
        return MSFL_NO_MEMORY;
    }
    int lock = -1;
    msfl_status status = msfl_file_lock(folder, &lock);
    if (status == MSFL_OK) status = read_half(file, MSFL_KEY_SECRET, &secret);
    if (status == MSFL_OK) status = vault_secret_rewrap(secret, unlock, new_unlock, &out);
    if (status == MSFL_OK) status = msfl_file_write_private(file, out.bytes, out.length);
    msfl_file_unlock(lock);
    msfl_buffer_clear(&out);
    msfl_keyfile_free(secret);
    msfl_free(folder);
    msfl_free(file);
    return status;
}
