/* Reading key files. docs/formats/key-file.md has the bytes. */
#include "vault/keyfile.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/private.h"

_Static_assert(MSFL_KEY_PUBLIC == 2 && MSFL_KEY_SECRET == 3, "these numbers stand in files");

enum {
    FIXED_BYTES = 160, /* magic to the lengths */
    LOCK_BYTES = 56,   /* kind, passes, memory, salt, nonce */
    PREDECESSOR_BYTES = MSFL_KEY_ID_BYTES + MSFL_IDENTITY_BYTES
};

/* --- parts that both halves have --- */

/** Magic, version, half and length; then the hash over everything. */
static msfl_status check_frame(const uint8_t *bytes, size_t length, msfl_keyfile_info *info) {
    msfl_reader in = msfl_reader_init(bytes, length);
    const uint8_t *magic = msfl_get_bytes(&in, VAULT_MAGIC_BYTES);
    if (magic == NULL || memcmp(magic, VAULT_KEY_MAGIC, VAULT_MAGIC_BYTES) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "not a key file of medsecurefl");
    }
    info->version = msfl_get32(&in);
    if (!in.failed && info->version != VAULT_VERSION) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "a key file of version %u; this program reads version %d", info->version,
                         VAULT_VERSION);
    }
    uint32_t half = msfl_get32(&in);
    uint64_t stated = msfl_get64(&in);
    if (in.failed || length < FIXED_BYTES + MSFL_HASH_BYTES || stated > length) {
        return msfl_fail(MSFL_ERR_FORMAT, "the key file is cut off: %zu bytes", length);
    }
    if (stated != length) return msfl_fail(MSFL_ERR_FORMAT, "something follows after the end of the key file");
    if (half != MSFL_KEY_PUBLIC && half != MSFL_KEY_SECRET) {
        return msfl_fail(MSFL_ERR_FORMAT, "neither a public nor a secret key");
    }
    info->half = half == MSFL_KEY_PUBLIC ? MSFL_KEY_PUBLIC : MSFL_KEY_SECRET;
    uint8_t hash[MSFL_HASH_BYTES];
    vault_hash("msfl.vault.key-file.v1", bytes, length - MSFL_HASH_BYTES, hash);
    if (memcmp(hash, bytes + length - MSFL_HASH_BYTES, sizeof hash) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "the key file is damaged: its hash does not match its bytes");
    }
    return MSFL_OK;
}

/** Up to and with the adder part; what is left in `in` is the rest without the closing hash. */
static msfl_status get_head(msfl_keyfile *f, msfl_reader *in) {
    msfl_keyfile_info *info = &f->info;
    (void)msfl_get_bytes(in, VAULT_MAGIC_BYTES + 4 + 4 + 8);
    const uint8_t *id = msfl_get_bytes(in, MSFL_KEY_ID_BYTES);
    if (id != NULL) memcpy(info->key_id, id, sizeof info->key_id);
    msfl_status status = vault_spec_get(in, &info->spec);
    if (status != MSFL_OK) return status;
    uint64_t created = msfl_get64(in);
    const uint8_t *identity = msfl_get_bytes(in, MSFL_IDENTITY_BYTES);
    if (identity != NULL) memcpy(info->identity, identity, sizeof info->identity);
    f->adder_length = msfl_get32(in);
    f->body_length = msfl_get32(in);
    uint64_t zero = msfl_get64(in);
    if (in->failed || zero != 0 || created > (UINT64_C(1) << 40) || f->adder_length > MSFL_KEY_ADDER_BYTES_MAX) {
        return msfl_fail(MSFL_ERR_FORMAT, "the head of the key file is malformed");
    }
    info->created = (int64_t)created;
    f->adder = msfl_get_bytes(in, f->adder_length);
    return MSFL_OK;
}

/* --- halves --- */

static msfl_status get_public(msfl_keyfile *f, msfl_reader *in) {
    static const uint8_t none[PREDECESSOR_BYTES + MSFL_SIGN_BYTES];
    const uint8_t *predecessor = msfl_get_bytes(in, PREDECESSOR_BYTES);
    f->body = msfl_get_bytes(in, f->body_length);
    f->info.key_bytes = f->body_length;
    f->signed_length = (size_t)(in->at - f->bytes);
    const uint8_t *own = msfl_get_bytes(in, MSFL_SIGN_BYTES), *theirs = msfl_get_bytes(in, MSFL_SIGN_BYTES);
    if (in->failed || msfl_reader_left(in) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "the lengths inside the key file contradict each other");
    }
    vault_hash("msfl.vault.public.v1", f->bytes, f->signed_length, f->info.fingerprint);
    if (!msfl_sign_verify(f->info.identity, f->info.fingerprint, MSFL_HASH_BYTES, own)) {
        return msfl_fail(MSFL_ERR_CRYPTO, "the public key is not signed by the identity it names: do not use it");
    }
    f->info.has_predecessor = memcmp(predecessor, none, PREDECESSOR_BYTES) != 0;
    if (!f->info.has_predecessor) {
        if (memcmp(theirs, none, MSFL_SIGN_BYTES) == 0) return MSFL_OK;
        return msfl_fail(MSFL_ERR_FORMAT, "a predecessor's signature without a predecessor");
    }
    memcpy(f->info.predecessor_id, predecessor, MSFL_KEY_ID_BYTES);
    memcpy(f->info.predecessor_identity, predecessor + MSFL_KEY_ID_BYTES, MSFL_IDENTITY_BYTES);
    uint8_t hash[MSFL_HASH_BYTES];
    vault_hash("msfl.vault.successor.v1", f->bytes, f->signed_length, hash);
    if (!msfl_sign_verify(f->info.predecessor_identity, hash, sizeof hash, theirs)) {
        return msfl_fail(MSFL_ERR_CRYPTO, "the public key names a predecessor that did not sign it: do not use it");
    }
    return MSFL_OK;
}

static msfl_status get_secret(msfl_keyfile *f, msfl_reader *in) {
    f->lock.kdf = msfl_get32(in);
    f->lock.passes = msfl_get32(in);
    f->lock.memory_bytes = msfl_get64(in);
    const uint8_t *salt = msfl_get_bytes(in, sizeof f->lock.salt);
    f->nonce = msfl_get_bytes(in, MSFL_AEAD_NONCE_BYTES);
    f->data_length = (size_t)(in->at - f->bytes);
    f->body = msfl_get_bytes(in, f->body_length);
    if (in->failed || msfl_reader_left(in) != 0 || f->body_length < VAULT_SEALED_HEAD_BYTES + MSFL_AEAD_TAG_BYTES) {
        return msfl_fail(MSFL_ERR_FORMAT, "the lengths inside the key file contradict each other");
    }
    memcpy(f->lock.salt, salt, sizeof f->lock.salt);
    f->info.key_bytes = f->body_length - VAULT_SEALED_HEAD_BYTES - MSFL_AEAD_TAG_BYTES;
    f->info.by_passphrase = f->lock.kdf == VAULT_ARGON2ID;
    f->info.argon_passes = f->lock.passes;
    f->info.argon_bytes = f->lock.memory_bytes;
    return vault_lock_check(&f->lock);
}

msfl_status msfl_keyfile_parse(const char *name, const uint8_t *bytes, size_t length, msfl_keyfile **out) {
    *out = NULL;
    if (length > VAULT_KEYFILE_BYTES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: %zu bytes are too many for a key file", name, length);
    }
    msfl_keyfile *f = msfl_alloc(1, sizeof *f);
    if (f == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_crypto_init();
    f->name = msfl_strdup(name);
    f->bytes = msfl_alloc(length, 1);
    if (f->name == NULL || f->bytes == NULL) status = MSFL_NO_MEMORY;
    if (status != MSFL_OK) goto done;
    memcpy(f->bytes, bytes, length);
    f->length = length;
    status = check_frame(f->bytes, length, &f->info);
    if (status == MSFL_OK) {
        msfl_reader in = msfl_reader_init(f->bytes, length - MSFL_HASH_BYTES);
        status = get_head(f, &in);
        if (status == MSFL_OK) status = f->info.half == MSFL_KEY_PUBLIC ? get_public(f, &in) : get_secret(f, &in);
    }
    if (status != MSFL_OK) {
        status = msfl_fail_in(status, "%s", name);
        goto done;
    }
    *out = f;
    f = NULL;
done:
    msfl_keyfile_free(f);
    return status;
}

/** A secret half is read by the rules for private files, whatever its name; so the half is looked at first. */
static bool is_secret_half(const uint8_t *bytes, size_t length) {
    return length >= 16 && memcmp(bytes, VAULT_KEY_MAGIC, VAULT_MAGIC_BYTES) == 0 &&
           msfl_load32(bytes + 12) == MSFL_KEY_SECRET;
}

msfl_status msfl_keyfile_read(const char *path, msfl_keyfile **out) {
    *out = NULL;
    uint8_t *bytes = NULL, *private = NULL;
    size_t length, private_length;
    msfl_status status = msfl_crypto_init();
    if (status == MSFL_OK) status = msfl_file_read(path, VAULT_KEYFILE_BYTES_MAX, &bytes, &length);
    if (status != MSFL_OK) return status;
    if (is_secret_half(bytes, length)) {
        /* Opened again under the rules, and these bytes are the ones that count. */
        status = msfl_private_read(path, "the secret key", VAULT_KEYFILE_BYTES_MAX, &private, &private_length);
        if (status == MSFL_OK) status = msfl_keyfile_parse(path, private, private_length, out);
    } else {
        status = msfl_keyfile_parse(path, bytes, length, out);
    }
    msfl_secret_free(private);
    msfl_free(bytes);
    return status;
}

void msfl_keyfile_free(msfl_keyfile *file) {
    if (file == NULL) return;
    msfl_free(file->name);
    msfl_free(file->bytes);
    msfl_free(file);
}

const msfl_keyfile_info *msfl_keyfile_info_borrow(const msfl_keyfile *file) {
    return &file->info;
}

const char *msfl_keyfile_name(const msfl_keyfile *file) {
    return file->name;
}

msfl_status msfl_keyfile_succeeds(const msfl_keyfile *next, const msfl_keyfile *previous) {
    if (next->info.half != MSFL_KEY_PUBLIC || previous->info.half != MSFL_KEY_PUBLIC) {
        return msfl_fail(MSFL_ERR_MISMATCH, "only public keys follow one another: %s, %s", previous->name, next->name);
    }
    if (!next->info.has_predecessor ||
        memcmp(next->info.predecessor_id, previous->info.key_id, MSFL_KEY_ID_BYTES) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "%s does not follow the key of %s", next->name, previous->name);
    }
    /* The signature holds under the identity that `next` names: that was checked when it was read. */
    if (memcmp(next->info.predecessor_identity, previous->info.identity, MSFL_IDENTITY_BYTES) != 0) {
        return msfl_fail(MSFL_ERR_CRYPTO, "%s claims to follow the key of %s, which did not sign it: do not use it",
                         next->name, previous->name);
    }
    return MSFL_OK;
}
