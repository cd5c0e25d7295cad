/* Making key files, and opening what is sealed in them. */
#include "vault/keyfile.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/taint.h"

#include <time.h>

/* Head and adder; the length of the file (at byte 16) is filled in by put_end. */
static msfl_status put_head(msfl_buffer *out, msfl_key_part half, const uint8_t *key_id, const msfl_key_spec *spec,
                            int64_t created, const uint8_t *identity, const uint8_t *adder, size_t adder_length,
                            size_t body_length) {
    msfl_put_bytes(out, VAULT_KEY_MAGIC, VAULT_MAGIC_BYTES);
    msfl_put32(out, VAULT_VERSION);
    msfl_put32(out, (uint32_t)half);
    msfl_put64(out, 0);
    msfl_put_bytes(out, key_id, MSFL_KEY_ID_BYTES);
    vault_spec_put(out, spec);
    msfl_put64(out, (uint64_t)created);
    msfl_put_bytes(out, identity, MSFL_IDENTITY_BYTES);
    msfl_put32(out, (uint32_t)adder_length);
    msfl_put32(out, (uint32_t)body_length);
    msfl_put64(out, 0);
    msfl_put_bytes(out, adder, adder_length);
    return out->status;
}

/* `after`: bytes that will still follow, the closing hash included. */
static void fix_length(msfl_buffer *out, size_t after) {
    if (out->status == MSFL_OK) msfl_store64(out->bytes + 16, out->length + after);
}

static msfl_status put_end(msfl_buffer *out) {
    uint8_t hash[MSFL_HASH_BYTES];
    if (out->status != MSFL_OK) return out->status;
    vault_hash("msfl.vault.key-file.v1", out->bytes, out->length, hash);
    msfl_put_bytes(out, hash, sizeof hash);
    if (out->status == MSFL_OK && out->length > VAULT_KEYFILE_BYTES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "a key file would have %zu bytes", out->length);
    }
    return out->status;
}

static void sign_labelled(const char *label, const msfl_buffer *content, const vault_seed *seed,
                          uint8_t signature[MSFL_SIGN_BYTES]) {
    uint8_t hash[MSFL_HASH_BYTES];
    vault_hash(label, content->bytes, content->length, hash);
    msfl_sign(seed->secret, hash, sizeof hash, signature);
}

/* The bytes of a public file; `predecessor` may be NULL. */
static msfl_status build_public(const msfl_keys *keys, const msfl_key_spec *spec, const vault_seed *seed,
                                int64_t created, const vault_predecessor *predecessor, msfl_buffer *out) {
    uint8_t id[MSFL_KEY_ID_BYTES], adder[MSFL_KEY_ADDER_BYTES_MAX], own[MSFL_SIGN_BYTES], theirs[MSFL_SIGN_BYTES] = {0};
    size_t adder_length = msfl_keys_bytes(keys, MSFL_KEY_ADDER), length = msfl_keys_bytes(keys, MSFL_KEY_PUBLIC);
    if (adder_length > sizeof adder) return msfl_fail(MSFL_ERR_LIMIT, "public facts of %zu bytes", adder_length);
    uint8_t *key = msfl_alloc(length, 1);
    if (key == NULL) return MSFL_NO_MEMORY;
    msfl_keys_id(keys, id);
    msfl_status status = msfl_keys_write(keys, MSFL_KEY_ADDER, adder);
    if (status == MSFL_OK) status = msfl_keys_write(keys, MSFL_KEY_PUBLIC, key);
    if (status == MSFL_OK) {
        const uint8_t *identity = seed->secret + MSFL_SIGN_SEED_BYTES; /* RFC 8032 keeps seed and public key */
        status = put_head(out, MSFL_KEY_PUBLIC, id, spec, created, identity, adder, adder_length, length);
    }
    if (status == MSFL_OK) {
        static const uint8_t none[MSFL_IDENTITY_BYTES];
        msfl_put_bytes(out, predecessor != NULL ? predecessor->file->info.key_id : none, MSFL_KEY_ID_BYTES);
        msfl_put_bytes(out, predecessor != NULL ? predecessor->file->info.identity : none, MSFL_IDENTITY_BYTES);
        msfl_put_bytes(out, key, length);
        fix_length(out, (size_t)2 * MSFL_SIGN_BYTES + MSFL_HASH_BYTES);
        status = out->status;
    }
    if (status == MSFL_OK) {
        sign_labelled("msfl.vault.public.v1", out, seed, own);
        if (predecessor != NULL) sign_labelled("msfl.vault.successor.v1", out, predecessor->seed, theirs);
        msfl_put_bytes(out, own, sizeof own);
        msfl_put_bytes(out, theirs, sizeof theirs);
        status = put_end(out);
    }
    msfl_free(key);
    return status;
}

msfl_status vault_seal(const msfl_keyfile *model, const uint8_t *plain, size_t length, const msfl_unlock *unlock,
                       msfl_buffer *out) {
    msfl_status status = msfl_unlock_check_new(unlock);
    if (status != MSFL_OK) return status;
    vault_lock lock;
    uint8_t nonce[MSFL_AEAD_NONCE_BYTES];
    size_t sealed_length = length + MSFL_AEAD_TAG_BYTES;
    uint8_t *sealed = msfl_alloc(sealed_length, 1), *key = msfl_secret_alloc(MSFL_AEAD_KEY_BYTES);
    if (sealed == NULL || key == NULL) {
        status = MSFL_ERR_MEMORY;
        goto done;
    }
    vault_lock_new(unlock, &lock);
    msfl_random_bytes(nonce, sizeof nonce);
    MSFL_DECLASSIFY(nonce, sizeof nonce); /* stands in the file */
    status = vault_lock_key(&lock, unlock, key);
    if (status != MSFL_OK) goto done;
    const msfl_keyfile_info *info = &model->info;
    status = put_head(out, MSFL_KEY_SECRET, info->key_id, &info->spec, info->created, info->identity, model->adder,
                      model->adder_length, sealed_length);
    if (status != MSFL_OK) goto done;
    msfl_put32(out, lock.kdf);
    msfl_put32(out, lock.passes);
    msfl_put64(out, lock.memory_bytes);
    msfl_put_bytes(out, lock.salt, sizeof lock.salt);
    msfl_put_bytes(out, nonce, sizeof nonce);
    fix_length(out, sealed_length + MSFL_HASH_BYTES);
    status = out->status;
    if (status != MSFL_OK) goto done;
    msfl_aead_seal(key, nonce, out->bytes, out->length, plain, length, sealed);
    msfl_put_bytes(out, sealed, sealed_length);
    status = put_end(out);
done:
    msfl_secret_free(key);
    msfl_free(sealed);
    return status;
}

static msfl_status build_plain(const msfl_keys *keys, const vault_seed *seed, const msfl_keyfile *public,
                               vault_pair *out) {
    out->plain_length = VAULT_SEALED_HEAD_BYTES + msfl_keys_bytes(keys, MSFL_KEY_SECRET);
    out->plain = msfl_secret_alloc(out->plain_length);
    if (out->plain == NULL) return MSFL_ERR_MEMORY;
    memcpy(out->plain, seed->seed, MSFL_SIGN_SEED_BYTES);
    memcpy(out->plain + MSFL_SIGN_SEED_BYTES, public->info.fingerprint, MSFL_HASH_BYTES);
    return msfl_keys_write(keys, MSFL_KEY_SECRET, out->plain + VAULT_SEALED_HEAD_BYTES);
}

msfl_status vault_pair_new(const msfl_key_spec *wanted, const vault_predecessor *predecessor, vault_pair *out) {
    *out = (vault_pair){0};
    msfl_status status = msfl_crypto_init();
    if (status == MSFL_OK) status = vault_spec_check(wanted);
    if (status != MSFL_OK) return status;
    const msfl_scheme *scheme;
    msfl_setup *setup = NULL;
    msfl_keys *keys = NULL;
    vault_seed *seed = NULL;
    msfl_buffer bytes = {0};
    msfl_key_spec spec = *wanted;
    status = msfl_scheme_find(spec.scheme, &scheme);
    if (status == MSFL_OK) status = msfl_setup_new(scheme, &spec.request, &setup);
    if (status == MSFL_OK) {
        spec.request = *msfl_setup_request(setup);
        spec.scheme = msfl_scheme_name(scheme);
        status = msfl_keys_new(setup, &keys);
    }
    if (status == MSFL_OK) status = vault_seed_new(&seed);
    if (status == MSFL_OK) status = build_public(keys, &spec, seed, (int64_t)time(NULL), predecessor, &bytes);
    /* Read back: what is handed out passed the checks of whoever reads it. */
    if (status == MSFL_OK) status = msfl_keyfile_parse("the new public key", bytes.bytes, bytes.length, &out->file);
    if (status == MSFL_OK) status = build_plain(keys, seed, out->file, out);
    if (status != MSFL_OK) vault_pair_clear(out);
    msfl_buffer_clear(&bytes);
    msfl_secret_free(seed);
    msfl_keys_free(keys);
    msfl_setup_free(setup);
    return status;
}

void vault_pair_clear(vault_pair *pair) {
    msfl_keyfile_free(pair->file);
    if (pair->plain != NULL) msfl_secret_free(pair->plain);
    *pair = (vault_pair){0};
}

msfl_status vault_unseal(const msfl_keyfile *secret, const msfl_unlock *unlock, uint8_t **plain, size_t *length) {
    *plain = NULL;
    *length = 0;
    if (secret->info.half != MSFL_KEY_SECRET) {
        return msfl_fail(MSFL_ERR_MISMATCH, "%s is a public key; this takes the secret one", secret->name);
    }
    if (unlock == NULL) {
        return msfl_fail(MSFL_ERR_USAGE, "%s is sealed: it takes a %s", secret->name,
                         secret->info.by_passphrase ? "passphrase" : "key file");
    }
    size_t n = secret->body_length - MSFL_AEAD_TAG_BYTES; /* msfl_keyfile_parse proved that it is larger */
    uint8_t *memory = msfl_secret_alloc(n), *key = msfl_secret_alloc(MSFL_AEAD_KEY_BYTES);
    msfl_status status = memory == NULL || key == NULL ? MSFL_ERR_MEMORY : vault_lock_key(&secret->lock, unlock, key);
    if (status == MSFL_OK && msfl_aead_open(key, secret->nonce, secret->bytes, secret->data_length, secret->body,
                                            secret->body_length, memory) != MSFL_OK) {
        status = msfl_fail(MSFL_ERR_CRYPTO, "%s does not open: wrong %s, or the file was changed", secret->name,
                           secret->info.by_passphrase ? "passphrase" : "key file");
    } else if (status != MSFL_OK) {
        status = msfl_fail_in(status, "%s", secret->name);
    }
    msfl_secret_free(key);
    if (status != MSFL_OK) {
        msfl_secret_free(memory);
        return status;
    }
    *plain = memory;
    *length = n;
    return MSFL_OK;
}

msfl_status vault_secret_rewrap(const msfl_keyfile *secret, const msfl_unlock *unlock, const msfl_unlock *new_unlock,
                                msfl_buffer *out) {
    uint8_t *plain;
    size_t length;
    msfl_status status = vault_unseal(secret, unlock, &plain, &length);
    if (status == MSFL_OK) status = vault_seal(secret, plain, length, new_unlock, out);
    msfl_secret_free(plain);
    return status;
}

/* --- identities --- */

static msfl_status seed_of(const uint8_t *bytes, vault_seed **out) {
    vault_seed *seed = msfl_secret_alloc(sizeof *seed);
    if (seed == NULL) return MSFL_ERR_MEMORY;
    uint8_t public_key[MSFL_SIGN_PUBLIC_BYTES];
    if (bytes != NULL) {
        memcpy(seed->seed, bytes, sizeof seed->seed);
    } else {
        msfl_random_bytes(seed->seed, sizeof seed->seed);
    }
    msfl_sign_keypair(seed->seed, public_key, seed->secret);
    *out = seed;
    return MSFL_OK;
}

msfl_status vault_seed_new(vault_seed **out) {
    *out = NULL;
    return seed_of(NULL, out);
}

msfl_status vault_unseal_seed(const msfl_keyfile *secret, const msfl_unlock *unlock, vault_seed **seed,
                              uint8_t fingerprint[MSFL_HASH_BYTES]) {
    *seed = NULL;
    uint8_t *plain;
    size_t length;
    msfl_status status = vault_unseal(secret, unlock, &plain, &length);
    if (status != MSFL_OK || plain == NULL) return status;
    MSFL_DECLASSIFY(plain + MSFL_SIGN_SEED_BYTES, MSFL_HASH_BYTES); /* of a public file */
    if (fingerprint != NULL) memcpy(fingerprint, plain + MSFL_SIGN_SEED_BYTES, MSFL_HASH_BYTES);
    vault_seed *found = NULL;
    status = seed_of(plain, &found);
    msfl_secret_free(plain);
    if (status == MSFL_OK &&
        memcmp(found->secret + MSFL_SIGN_SEED_BYTES, secret->info.identity, MSFL_IDENTITY_BYTES) != 0) {
        msfl_secret_free(found);
        return msfl_fail(MSFL_ERR_CRYPTO, "%s holds another identity than it names", secret->name);
    }
    *seed = found;
    return status;
}

/* --- opening --- */

msfl_status vault_keys_of(const msfl_keyfile *file, msfl_key_part part, uint64_t n_values, const uint8_t *key,
                          size_t length, msfl_setup **setup, msfl_keys **keys) {
    *setup = NULL;
    *keys = NULL;
    const msfl_scheme *scheme;
    msfl_scheme_request request = file->info.spec.request;
    request.n_values = n_values;
    uint8_t id[MSFL_KEY_ID_BYTES];
    msfl_status status = msfl_scheme_find(file->info.spec.scheme, &scheme);
    if (status == MSFL_OK) status = msfl_pair_setup(scheme, &request, file->adder, file->adder_length, setup);
    if (status == MSFL_OK) status = msfl_keys_read(*setup, part, key, length, keys);
    if (status == MSFL_OK) {
        msfl_keys_id(*keys, id);
        if (memcmp(id, file->info.key_id, sizeof id) != 0) {
            status = msfl_fail(MSFL_ERR_MISMATCH, "the key inside has another id than the file names");
        }
    }
    if (status != MSFL_OK) {
        status = msfl_fail_in(status, "%s", file->name);
        msfl_keys_free(*keys);
        msfl_setup_free(*setup);
        *keys = NULL;
        *setup = NULL;
    }
    return status;
}

msfl_status msfl_keyfile_open(const msfl_keyfile *file, uint64_t n_values, const msfl_unlock *unlock,
                              msfl_setup **setup, msfl_keys **keys) {
    *setup = NULL;
    *keys = NULL;
    if (file->info.half == MSFL_KEY_PUBLIC) {
        return vault_keys_of(file, MSFL_KEY_PUBLIC, n_values, file->body, file->body_length, setup, keys);
    }
    uint8_t *plain;
    size_t length;
    msfl_status status = vault_unseal(file, unlock, &plain, &length);
    if (status != MSFL_OK) return status;
    status = vault_keys_of(file, MSFL_KEY_SECRET, n_values, plain + VAULT_SEALED_HEAD_BYTES,
                           length - VAULT_SEALED_HEAD_BYTES, setup, keys);
    msfl_secret_free(plain);
    return status;
}
