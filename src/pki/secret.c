#include "pki/secret.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/output.h"
#include "base/private.h"
#include "vault/unlock.h"

static const uint8_t MAGIC[8] = {'M', 'S', 'F', 'L', 'S', 'E', 'A', 0};
enum { VERSION = 1, HEAD_BYTES = 8 + 4 + 4 + 4 + 4 + 8 + MSFL_ARGON_SALT_BYTES + MSFL_AEAD_NONCE_BYTES };
/* Binary: secret bytes are not taken through a conversion from text. */
static const uint8_t IDENTITY[12] = {'M', 'S', 'F', 'L', 'I', 'D', 'N', 0, 1, 0, 0, 0};
enum { IDENTITY_BYTES = sizeof IDENTITY + PKI_SEED_BYTES };

/* What is authenticated beside the sealed bytes: the head of the file, and what kind of secret it is. */
static msfl_status associated(const uint8_t *head, const char *label, msfl_buffer *out) {
    msfl_put_bytes(out, head, HEAD_BYTES);
    msfl_put_bytes(out, label, strlen(label));
    return out->status;
}

struct pki_sealer {
    uint8_t key[MSFL_AEAD_KEY_BYTES];
    vault_lock lock;
};

msfl_status pki_sealer_new(const msfl_unlock *unlock, pki_sealer **out) {
    *out = NULL;
    if (unlock == NULL) return MSFL_OK;
    msfl_status status = msfl_unlock_check_new(unlock);
    if (status != MSFL_OK) return status;
    pki_sealer *sealer = msfl_secret_alloc(sizeof *sealer);
    if (sealer == NULL) return MSFL_ERR_MEMORY;
    vault_lock_new(unlock, &sealer->lock);
    status = vault_lock_key(&sealer->lock, unlock, sealer->key);
    if (status != MSFL_OK) {
        pki_sealer_free(sealer);
        return status;
    }
    *out = sealer;
    return MSFL_OK;
}

void pki_sealer_free(pki_sealer *sealer) {
    msfl_secret_free(sealer);
}

/* The seal itself: `out` gets the file's bytes. */
static msfl_status seal_bytes(const char *label, const uint8_t *bytes, size_t length, const pki_sealer *sealer,
                              uint8_t **out, size_t *out_length) {
    *out = NULL;
    *out_length = 0;
    if (length == 0 || length > PKI_SECRET_BYTES_MAX) return msfl_fail(MSFL_ERR_LIMIT, "%zu bytes to seal", length);
    const vault_lock *lock = &sealer->lock;
    msfl_buffer head = {0}, data = {0};
    uint8_t nonce[MSFL_AEAD_NONCE_BYTES]; /* 192 random bits: never twice under one key */
    msfl_random_bytes(nonce, sizeof nonce);
    msfl_put_bytes(&head, MAGIC, sizeof MAGIC);
    msfl_put32(&head, VERSION);
    msfl_put32(&head, lock->kdf);
    msfl_put32(&head, lock->passes);
    msfl_put32(&head, 0);
    msfl_put64(&head, lock->memory_bytes);
    msfl_put_bytes(&head, lock->salt, sizeof lock->salt);
    msfl_put_bytes(&head, nonce, sizeof nonce);
    size_t total = HEAD_BYTES + length + MSFL_AEAD_TAG_BYTES;
    uint8_t *file = msfl_alloc(total, 1);
    msfl_status status = file == NULL ? MSFL_NO_MEMORY : head.status;
    if (status == MSFL_OK) status = associated(head.bytes, label, &data);
    if (status == MSFL_OK) {
        memcpy(file, head.bytes, HEAD_BYTES);
        msfl_aead_seal(sealer->key, nonce, data.bytes, data.length, bytes, length, file + HEAD_BYTES);
        *out = file;
        *out_length = total;
        file = NULL;
    }
    msfl_free(file);
    msfl_buffer_clear(&head);
    msfl_buffer_clear(&data);
    return status;
}

bool pki_is_sealed(const uint8_t *bytes, size_t length) {
    return length >= sizeof MAGIC && memcmp(bytes, MAGIC, sizeof MAGIC) == 0;
}

msfl_status pki_unseal(const char *name, const char *label, const uint8_t *bytes, size_t length,
                       const msfl_unlock *unlock, uint8_t **out, size_t *out_length) {
    *out = NULL;
    *out_length = 0;
    msfl_reader r = msfl_reader_init(bytes, length);
    const uint8_t *magic = msfl_get_bytes(&r, sizeof MAGIC);
    uint32_t version = msfl_get32(&r);
    vault_lock lock = {.kdf = msfl_get32(&r), .passes = msfl_get32(&r)};
    uint32_t zero = msfl_get32(&r);
    lock.memory_bytes = msfl_get64(&r);
    const uint8_t *salt = msfl_get_bytes(&r, sizeof lock.salt), *nonce = msfl_get_bytes(&r, MSFL_AEAD_NONCE_BYTES);
    size_t sealed = msfl_reader_left(&r);
    if (r.failed || memcmp(magic, MAGIC, sizeof MAGIC) != 0 || version != VERSION || zero != 0 ||
        sealed <= MSFL_AEAD_TAG_BYTES || sealed > PKI_SECRET_BYTES_MAX + MSFL_AEAD_TAG_BYTES) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s is not a sealed key of this version, or was cut off", name);
    }
    memcpy(lock.salt, salt, sizeof lock.salt);
    if (unlock == NULL) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "%s is sealed: it takes a %s (of kits: --passphrase-file or --keyfile; with provision "
                         "--kit-passphrase-file or --kit-keyfile)",
                         name, lock.kdf == VAULT_ARGON2ID ? "passphrase" : "key file");
    }
    msfl_buffer data = {0};
    size_t n = sealed - MSFL_AEAD_TAG_BYTES;
    uint8_t *plain = msfl_secret_alloc(n + 1), *key = msfl_secret_alloc(MSFL_AEAD_KEY_BYTES);
    msfl_status status = plain == NULL || key == NULL ? MSFL_ERR_MEMORY : associated(bytes, label, &data);
    if (status == MSFL_OK) {
        status = vault_lock_key(&lock, unlock, key);
        if (status != MSFL_OK) status = msfl_fail_in(status, "%s", name);
    }
    if (status == MSFL_OK &&
        msfl_aead_open(key, nonce, data.bytes, data.length, bytes + HEAD_BYTES, sealed, plain) != MSFL_OK) {
        status =
            msfl_fail(MSFL_ERR_CRYPTO, "%s does not open: wrong passphrase or key file, or the file was changed", name);
    }
    if (status == MSFL_OK) {
        plain[n] = 0;
        *out = plain;
        *out_length = n;
        plain = NULL;
    }
    msfl_secret_free(plain);
    msfl_secret_free(key);
    msfl_buffer_clear(&data);
    return status;
}

msfl_status pki_secret_write(const char *path, const char *label, const uint8_t *bytes, size_t length,
                             const pki_sealer *sealer) {
    uint8_t *sealed = NULL;
    size_t sealed_length = 0;
    msfl_status status = MSFL_OK;
    if (sealer != NULL) status = seal_bytes(label, bytes, length, sealer, &sealed, &sealed_length);
    msfl_output *output = NULL;
    if (status == MSFL_OK) status = msfl_output_open(path, MSFL_OUTPUT_NEW | MSFL_OUTPUT_PRIVATE, &output);
    if (status == MSFL_OK) {
        status = sealer != NULL ? msfl_output_write(output, sealed, sealed_length)
                                : msfl_output_write(output, bytes, length);
    }
    if (status == MSFL_OK) status = msfl_output_commit(output);
    msfl_output_free(output);
    msfl_free(sealed);
    return status;
}

msfl_status pki_secret_read(const char *path, const char *label, const msfl_unlock *unlock, uint8_t **bytes,
                            size_t *length) {
    msfl_status status =
        msfl_private_read(path, "the key", PKI_SECRET_BYTES_MAX + HEAD_BYTES + MSFL_AEAD_TAG_BYTES, bytes, length);
    if (status != MSFL_OK || !pki_is_sealed(*bytes, *length)) return status;
    uint8_t *file = *bytes;
    size_t file_length = *length;
    status = pki_unseal(path, label, file, file_length, unlock, bytes, length);
    msfl_secret_free(file);
    return status;
}

/* The labels and the order are those of the round layer: the same 32 bytes give the same keys there. */
static void derive(const char *label, const uint8_t *seed, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, label);
    msfl_hash_add(&h, seed, PKI_SEED_BYTES);
    msfl_hash_final(&h, out);
    msfl_hash_clear(&h);
}

msfl_status pki_identity_new(const uint8_t *seed, pki_identity **out) {
    *out = NULL;
    msfl_status status = msfl_crypto_init();
    if (status != MSFL_OK) return status;
    pki_identity *identity = msfl_secret_alloc(sizeof *identity);
    if (identity == NULL) return MSFL_ERR_MEMORY;
    if (seed != NULL) {
        memcpy(identity->seed, seed, PKI_SEED_BYTES);
    } else {
        msfl_random_bytes(identity->seed, PKI_SEED_BYTES);
    }
    uint8_t derived[MSFL_HASH_BYTES];
    derive("msfl.identity.sign.v1", identity->seed, derived);
    msfl_sign_keypair(derived, identity->sign, identity->sign_secret);
    derive("msfl.identity.box.v1", identity->seed, identity->box_secret);
    msfl_x25519_public(identity->box_secret, identity->box);
    msfl_wipe(derived, sizeof derived);
    msfl_wipe_stack();
    *out = identity;
    return MSFL_OK;
}

msfl_status pki_identity_write(const char *path, const char *label, const pki_identity *identity,
                               const pki_sealer *sealer) {
    uint8_t *bytes = msfl_secret_alloc(IDENTITY_BYTES);
    if (bytes == NULL) return MSFL_ERR_MEMORY;
    memcpy(bytes, IDENTITY, sizeof IDENTITY);
    memcpy(bytes + sizeof IDENTITY, identity->seed, PKI_SEED_BYTES);
    msfl_status status = pki_secret_write(path, label, bytes, IDENTITY_BYTES, sealer);
    msfl_secret_free(bytes);
    return status;
}

msfl_status pki_identity_read(const char *path, const char *label, const msfl_unlock *unlock, pki_identity **out) {
    *out = NULL;
    uint8_t *bytes;
    size_t length;
    msfl_status status = pki_secret_read(path, label, unlock, &bytes, &length);
    if (status != MSFL_OK) return status;
    if (length == IDENTITY_BYTES && memcmp(bytes, IDENTITY, sizeof IDENTITY) == 0) {
        status = pki_identity_new(bytes + sizeof IDENTITY, out);
    } else {
        status = msfl_fail(MSFL_ERR_FORMAT, "%s is not an identity key", path);
    }
    msfl_secret_free(bytes);
    return status;
}
