/* Revocations: one small signed file each. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "vault/keystore.h"

#include <string.h>
#include <time.h>

/* Magic (8), version, zero, key id (16), identity (32), created (8), reason (128), signature (64), hash (32). */
#define MAGIC "MSFLREV"
enum {
    SIGNED_BYTES = 8 + 4 + 4 + MSFL_KEY_ID_BYTES + MSFL_IDENTITY_BYTES + 8 + MSFL_REVOCATION_REASON_MAX + 1,
    HASHED_BYTES = SIGNED_BYTES + MSFL_SIGN_BYTES,
    FILE_BYTES = HASHED_BYTES + MSFL_HASH_BYTES,
    FOLDER_ENTRIES_MAX = 65536
};

/** Bytes of the UTF-8 character at `p`, which is followed by `left` bytes; 0 if it is none, or a control character,
 * which could steer the terminal that it is shown on. */
static size_t character(const uint8_t *p, size_t left) {
    if (p[0] >= 0x20 && p[0] < 0x7f) return 1;
    size_t n = p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : 0;
    if (n == 0 || n > left || (p[0] == 0xc2 && p[1] < 0xa0)) return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    return n;
}

/** Printable text, ended by zeros and nothing else. */
static bool is_reason(const char *text) {
    const uint8_t *bytes = (const uint8_t *)text;
    size_t n = strnlen(text, MSFL_REVOCATION_REASON_MAX + 1);
    if (n > MSFL_REVOCATION_REASON_MAX) return false;
    for (size_t i = 0, length; i < n; i += length) {
        length = character(bytes + i, n - i);
        if (length == 0) return false;
    }
    for (size_t i = n; i <= MSFL_REVOCATION_REASON_MAX; i++)
        if (text[i] != 0) return false;
    return true;
}

msfl_status msfl_revocation_parse(const char *name, const uint8_t *bytes, size_t length, msfl_revocation *out) {
    *out = (msfl_revocation){0};
    msfl_status status = msfl_crypto_init();
    if (status != MSFL_OK) return status;
    msfl_reader in = msfl_reader_init(bytes, length);
    const uint8_t *magic = msfl_get_bytes(&in, VAULT_MAGIC_BYTES);
    if (magic == NULL || memcmp(magic, MAGIC, VAULT_MAGIC_BYTES) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s: not a revocation of medsecurefl", name);
    }
    uint32_t version = msfl_get32(&in), zero = msfl_get32(&in);
    if (!in.failed && version != VAULT_VERSION) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "%s: a revocation of version %u; this program reads version %d", name,
                         version, VAULT_VERSION);
    }
    if (length != FILE_BYTES) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s: a revocation of %zu bytes; it has %d", name, length, FILE_BYTES);
    }
    uint8_t hash[MSFL_HASH_BYTES];
    vault_hash("msfl.vault.revocation-file.v1", bytes, HASHED_BYTES, hash);
    if (memcmp(hash, bytes + HASHED_BYTES, sizeof hash) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s: the revocation is damaged: its hash does not match its bytes", name);
    }
    msfl_revocation r = {0};
    memcpy(r.key_id, msfl_get_bytes(&in, sizeof r.key_id), sizeof r.key_id);
    memcpy(r.identity, msfl_get_bytes(&in, sizeof r.identity), sizeof r.identity);
    uint64_t created = msfl_get64(&in);
    memcpy(r.reason, msfl_get_bytes(&in, sizeof r.reason), sizeof r.reason);
    if (zero != 0 || created > (UINT64_C(1) << 40) || !is_reason(r.reason)) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s: the revocation is malformed", name);
    }
    r.created = (int64_t)created;
    vault_hash("msfl.vault.revocation.v1", bytes, SIGNED_BYTES, hash);
    if (!msfl_sign_verify(r.identity, hash, sizeof hash, bytes + SIGNED_BYTES)) {
        return msfl_fail(MSFL_ERR_CRYPTO, "%s: the revocation is not signed by the identity it names", name);
    }
    *out = r;
    return MSFL_OK;
}

msfl_status msfl_revocation_read(const char *path, msfl_revocation *out) {
    *out = (msfl_revocation){0};
    uint8_t *bytes;
    size_t length;
    msfl_status status = msfl_file_read(path, 4096, &bytes, &length);
    if (status == MSFL_OK) status = msfl_revocation_parse(path, bytes, length, out);
    msfl_free(bytes);
    return status;
}

msfl_status msfl_keystore_revoke(const char *folder, const uint8_t key_id[MSFL_KEY_ID_BYTES], const msfl_unlock *unlock,
                                 const char *reason, char **path) {
    if (path != NULL) *path = NULL;
    char padded[MSFL_REVOCATION_REASON_MAX + 1] = {0};
    if (reason == NULL) reason = "";
    size_t n = strnlen(reason, sizeof padded);
    if (n < sizeof padded) memcpy(padded, reason, n);
    if (n >= sizeof padded || !is_reason(padded)) {
        return msfl_fail(MSFL_ERR_USAGE, "a reason is one line of at most %d bytes", MSFL_REVOCATION_REASON_MAX);
    }
    msfl_keyfile *secret = NULL;
    vault_seed *seed = NULL;
    msfl_buffer out = {0};
    char hex[2 * MSFL_KEY_ID_BYTES + 1], *file = NULL;
    msfl_status status = msfl_crypto_init();
    if (status == MSFL_OK) status = vault_store_secret(folder, key_id, &secret);
    if (status == MSFL_OK) status = vault_unseal_seed(secret, unlock, &seed, NULL);
    if (status != MSFL_OK) goto done;
    msfl_put_bytes(&out, MAGIC, VAULT_MAGIC_BYTES);
    msfl_put32(&out, VAULT_VERSION);
    msfl_put32(&out, 0);
    msfl_put_bytes(&out, key_id, MSFL_KEY_ID_BYTES);
    msfl_put_bytes(&out, secret->info.identity, MSFL_IDENTITY_BYTES);
    msfl_put64(&out, (uint64_t)time(NULL));
    msfl_put_bytes(&out, padded, sizeof padded);
    status = out.status;
    if (status != MSFL_OK) goto done;
    uint8_t hash[MSFL_HASH_BYTES], signature[MSFL_SIGN_BYTES];
    vault_hash("msfl.vault.revocation.v1", out.bytes, out.length, hash);
    msfl_sign(seed->secret, hash, sizeof hash, signature);
    msfl_put_bytes(&out, signature, sizeof signature);
    if (out.status == MSFL_OK) vault_hash("msfl.vault.revocation-file.v1", out.bytes, out.length, hash);
    msfl_put_bytes(&out, hash, sizeof hash);
    status = out.status;
    if (status != MSFL_OK) goto done;
    msfl_hex(key_id, MSFL_KEY_ID_BYTES, hex);
    file = msfl_format("%s/revoked-%s.msr", folder, hex);
    if (file == NULL) {
        status = MSFL_NO_MEMORY;
        goto done;
    }
    msfl_output *output;
    status = msfl_output_open(file, MSFL_OUTPUT_NEW, &output);
    if (status == MSFL_OK) status = msfl_output_write(output, out.bytes, out.length);
    if (status == MSFL_OK) status = msfl_output_commit(output);
    msfl_output_free(output);
    if (status == MSFL_OK && path != NULL) {
        *path = file;
        file = NULL;
    }
done:
    msfl_free(file);
    msfl_buffer_clear(&out);
    msfl_secret_free(seed);
    msfl_keyfile_free(secret);
    return status;
}

void msfl_keystore_text_free(char *text) {
    msfl_free(text);
}

/* --- looking for them --- */

static bool ends_in_msr(const char *name) {
    size_t n = strlen(name);
    return n > 4 && strcmp(name + n - 4, ".msr") == 0;
}

/* One of another key is passed over. A file that names this key, in its content or in its name, and does not hold is an
 * error: who damages a revocation must not thereby bring the key back. */
static msfl_status look_at(const char *path, const msfl_keyfile *key, bool named, bool *is_revoked,
                           msfl_revocation *found) {
    char hex[2 * MSFL_KEY_ID_BYTES + 1];
    msfl_hex(key->info.key_id, MSFL_KEY_ID_BYTES, hex);
    msfl_revocation r;
    msfl_status status = msfl_revocation_read(path, &r);
    if (status != MSFL_OK) return named || strstr(path, hex) != NULL ? status : MSFL_OK;
    if (memcmp(r.key_id, key->info.key_id, sizeof r.key_id) != 0) return MSFL_OK;
    if (memcmp(r.identity, key->info.identity, sizeof r.identity) != 0) {
        return msfl_fail(MSFL_ERR_CRYPTO, "%s: revokes the key of %s, but was not signed by its identity", path,
                         key->name);
    }
    *is_revoked = true;
    if (found != NULL) *found = r;
    return MSFL_OK;
}

static msfl_status look_in(const char *folder, const msfl_keyfile *key, bool *is_revoked, msfl_revocation *found) {
    char **names;
    size_t n;
    msfl_status status = msfl_folder_list(folder, FOLDER_ENTRIES_MAX, &names, &n);
    for (size_t i = 0; status == MSFL_OK && i < n; i++) {
        if (!ends_in_msr(names[i])) continue;
        char *path = msfl_path_join(folder, names[i]);
        status = path == NULL ? MSFL_NO_MEMORY : look_at(path, key, false, is_revoked, found);
        msfl_free(path);
    }
    msfl_names_free(names, n);
    return status;
}

msfl_status msfl_revocation_find(const msfl_keyfile *key, const char *more, bool *is_revoked, msfl_revocation *found) {
    *is_revoked = false;
    if (found != NULL) *found = (msfl_revocation){0};
    char *folder = vault_folder_of(key->name);
    if (folder == NULL) return MSFL_NO_MEMORY;
    /* Beside a half in retired/ nothing lies; its folder's revocations are one level up. */
    size_t n = strlen(folder), m = strlen(VAULT_RETIRED_NAME);
    bool is_retired = n >= m && strcmp(folder + n - m, VAULT_RETIRED_NAME) == 0 && (n == m || folder[n - m - 1] == '/');
    msfl_status status = msfl_is_folder(folder) ? look_in(folder, key, is_revoked, found) : MSFL_OK;
    if (status == MSFL_OK && is_retired) {
        char *above = vault_folder_of(folder);
        status = above == NULL ? MSFL_NO_MEMORY : look_in(above, key, is_revoked, found);
        msfl_free(above);
    }
    if (status == MSFL_OK && more != NULL) {
        status =
            msfl_is_folder(more) ? look_in(more, key, is_revoked, found) : look_at(more, key, true, is_revoked, found);
    }
    msfl_free(folder);
    return status;
}
