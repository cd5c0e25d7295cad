/* Keys and encrypted vectors as two objects in memory. */
#include "medsecurefl/he.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "vault/codec.h"
#include "vault/keystore.h"
#include "vault/stream.h"

struct msfl_he {
    vault_pair pair; /**< file: the public half, or the secret one if it is alone; plain: the secret half, unsealed */
};

struct msfl_he_vector {
    vault_head head;
    uint8_t *bytes;   /**< all chunks, one after the other */
    uint64_t *starts; /**< n_chunks + 1 */
};

/* --- keys --- */

msfl_status msfl_he_new(const char *scheme, const msfl_key_spec *spec, msfl_he **out) {
    *out = NULL;
    msfl_key_spec wanted = spec != NULL ? *spec : msfl_key_spec_default();
    if (scheme != NULL) wanted.scheme = scheme;
    msfl_he *he = msfl_alloc(1, sizeof *he);
    if (he == NULL) return MSFL_NO_MEMORY;
    msfl_status status = vault_pair_new(&wanted, NULL, &he->pair);
    if (status != MSFL_OK) {
        msfl_he_free(he);
        return status;
    }
    *out = he;
    return MSFL_OK;
}

void msfl_he_free(msfl_he *he) {
    if (he == NULL) return;
    vault_pair_clear(&he->pair);
    msfl_free(he);
}

msfl_status msfl_he_save_keys(const msfl_he *he, const char *folder, const char *passphrase) {
    if (!msfl_he_can_encrypt(he) || !msfl_he_can_decrypt(he)) {
        return msfl_fail(MSFL_ERR_USAGE, "saving keys takes both halves, and one is missing");
    }
    msfl_unlock *unlock;
    msfl_status status =
        msfl_unlock_passphrase(passphrase, strnlen(passphrase, MSFL_PASSPHRASE_BYTES_MAX + 2), &unlock);
    if (status == MSFL_OK) status = vault_store_save(folder, &he->pair, unlock);
    msfl_unlock_free(unlock);
    return status;
}

static msfl_status load_secret(const msfl_keyfile *file, const char *passphrase, vault_pair *pair) {
    msfl_unlock *unlock;
    msfl_status status =
        msfl_unlock_passphrase(passphrase, strnlen(passphrase, MSFL_PASSPHRASE_BYTES_MAX + 2), &unlock);
    if (status == MSFL_OK) status = vault_unseal(file, unlock, &pair->plain, &pair->plain_length);
    msfl_unlock_free(unlock);
    return status;
}

static msfl_status load_folder(const char *folder, const char *passphrase, vault_pair *pair) {
    msfl_status status = vault_store_read(folder, VAULT_PUBLIC_NAME, MSFL_KEY_PUBLIC, &pair->file);
    if (status != MSFL_OK || passphrase == NULL) return status;
    msfl_keyfile *secret;
    status = vault_store_read(folder, VAULT_SECRET_NAME, MSFL_KEY_SECRET, &secret);
    if (status == MSFL_OK && memcmp(secret->info.key_id, pair->file->info.key_id, MSFL_KEY_ID_BYTES) != 0) {
        status = msfl_fail(MSFL_ERR_MISMATCH, "%s: public.msk and secret.msk are halves of two different keys", folder);
    }
    if (status == MSFL_OK) status = load_secret(secret, passphrase, pair);
    if (status == MSFL_OK &&
        memcmp(pair->plain + MSFL_SIGN_SEED_BYTES, pair->file->info.fingerprint, MSFL_HASH_BYTES) != 0) {
        status = msfl_fail(MSFL_ERR_CRYPTO, "%s: public.msk is not the one that was made with secret.msk", folder);
    }
    msfl_keyfile_free(secret);
    return status;
}

msfl_status msfl_he_load_keys(const char *path, const char *passphrase, msfl_he **out) {
    *out = NULL;
    msfl_he *he = msfl_alloc(1, sizeof *he);
    if (he == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_crypto_init();
    if (status == MSFL_OK && msfl_is_folder(path)) {
        status = load_folder(path, passphrase, &he->pair);
    } else if (status == MSFL_OK) {
        status = msfl_keyfile_read(path, &he->pair.file);
        if (status == MSFL_OK && he->pair.file->info.half == MSFL_KEY_SECRET) {
            status = passphrase == NULL ? msfl_fail(MSFL_ERR_USAGE, "%s is sealed: it takes a passphrase", path)
                                        : load_secret(he->pair.file, passphrase, &he->pair);
        }
    }
    if (status != MSFL_OK) {
        msfl_he_free(he);
        return status;
    }
    *out = he;
    return MSFL_OK;
}

bool msfl_he_can_encrypt(const msfl_he *he) {
    return he->pair.file->info.half == MSFL_KEY_PUBLIC;
}

bool msfl_he_can_decrypt(const msfl_he *he) {
    return he->pair.plain != NULL;
}

void msfl_he_key_id(const msfl_he *he, uint8_t out[MSFL_KEY_ID_BYTES]) {
    memcpy(out, he->pair.file->info.key_id, MSFL_KEY_ID_BYTES);
}

/* --- vectors --- */

void msfl_he_vector_free(msfl_he_vector *vector) {
    if (vector == NULL) return;
    vault_head_clear(&vector->head);
    msfl_free(vector->bytes);
    msfl_free(vector->starts);
    msfl_free(vector);
}

size_t msfl_he_vector_length(const msfl_he_vector *vector) {
    return vector->head.info.content.n_values;
}

uint32_t msfl_he_vector_addends(const msfl_he_vector *vector) {
    return vector->head.info.n_addends;
}

/** Room for the chunks of `setup`. */
static msfl_status make_room(msfl_he_vector *v, const msfl_setup *setup) {
    const uint64_t n = msfl_setup_chunks(setup);
    v->starts = msfl_alloc(n + 1, sizeof *v->starts);
    if (v->starts == NULL) return MSFL_NO_MEMORY;
    for (uint64_t j = 0; j < n; j++)
        v->starts[j + 1] = v->starts[j] + msfl_setup_chunk_bytes(setup, j);
    v->bytes = msfl_alloc(v->starts[n], 1);
    return v->bytes == NULL ? MSFL_NO_MEMORY : MSFL_OK;
}

msfl_status msfl_he_encrypt_weights(const msfl_he *he, const float *weights, size_t n, msfl_he_vector **out) {
    *out = NULL;
    const msfl_content content = {.kind = MSFL_CONTENT_VECTOR, .n_values = n, .rank = 1, .dims = {n}};
    vault_encoder e;
    msfl_status status = vault_encoder_init(he->pair.file, &content, weights, NULL, &e);
    if (status != MSFL_OK) return status;
    msfl_he_vector *v = msfl_alloc(1, sizeof *v);
    status = v == NULL ? MSFL_NO_MEMORY : make_room(v, e.setup);
    for (uint64_t j = 0; status == MSFL_OK && j < e.head.info.n_chunks; j++) {
        status = vault_encoder_next(&e, j);
        if (status == MSFL_OK) memcpy(v->bytes + v->starts[j], e.chunk, e.chunk_length);
    }
    if (status == MSFL_OK) {
        v->head = e.head; /* moves */
        e.head = (vault_head){0};
        *out = v;
        v = NULL;
    }
    msfl_he_vector_free(v);
    vault_encoder_clear(&e);
    return status;
}

/** Public facts of the key of a vector, from the vector itself. */
static msfl_status facts_of(const msfl_he *he, const msfl_he_vector *v, msfl_setup **setup, msfl_keys **keys) {
    *setup = NULL;
    *keys = NULL;
    msfl_status status = vault_head_fits_key("the vector", &v->head, he->pair.file);
    return status == MSFL_OK ? vault_head_setup(&v->head, setup, keys) : status;
}

msfl_status msfl_he_add(const msfl_he *he, msfl_he_vector *acc, const msfl_he_vector *vector) {
    static const char *const names[] = {"the sum", "the vector"};
    const vault_head *const heads[] = {&acc->head, &vector->head};
    msfl_setup *setup = NULL;
    msfl_keys *keys = NULL;
    vault_head sum = {0};
    uint8_t *bytes = NULL;
    msfl_status status = vault_head_same(names[0], heads[0], names[1], heads[1]);
    if (status == MSFL_OK) status = vault_head_copy(&sum, &acc->head);
    if (status == MSFL_OK) status = vault_merge_addends(heads, names, 2, &sum);
    if (status == MSFL_OK) status = facts_of(he, acc, &setup, &keys);
    if (status != MSFL_OK) goto done;
    const uint64_t n = acc->head.info.n_chunks;
    bytes = msfl_alloc(acc->starts[n], 1); /* a copy: on error the sum must be as it was */
    if (bytes == NULL) {
        status = MSFL_NO_MEMORY;
        goto done;
    }
    memcpy(bytes, acc->bytes, acc->starts[n]);
    for (uint64_t j = 0; status == MSFL_OK && j < n; j++) {
        status = msfl_pair_add(keys, acc->head.info.label, j, bytes + acc->starts[j], vector->bytes + vector->starts[j],
                               msfl_setup_chunk_bytes(setup, j));
    }
    if (status != MSFL_OK) goto done;
    msfl_random_bytes(sum.info.file_id, sizeof sum.info.file_id);
    vault_head_clear(&acc->head);
    acc->head = sum;
    sum = (vault_head){0};
    msfl_free(acc->bytes);
    acc->bytes = bytes;
    bytes = NULL;
done:
    msfl_free(bytes);
    vault_head_clear(&sum);
    msfl_keys_free(keys);
    msfl_setup_free(setup);
    return status;
}

static msfl_status decrypt(const msfl_he *he, const msfl_he_vector *v, bool is_sum, float *out, size_t n) {
    memset(out, 0, n * sizeof *out);
    if (!msfl_he_can_decrypt(he))
        return msfl_fail(MSFL_ERR_USAGE, "the secret half is not loaded: nothing can be decrypted");
    if (n != msfl_he_vector_length(v)) {
        return msfl_fail(MSFL_ERR_USAGE, "the vector has %zu values, not %zu", msfl_he_vector_length(v), n);
    }
    msfl_setup *setup = NULL;
    msfl_keys *keys = NULL;
    vault_decoder decoder = {0};
    msfl_status status = vault_head_fits_key("the vector", &v->head, he->pair.file);
    if (status == MSFL_OK) {
        status = vault_keys_of(he->pair.file, MSFL_KEY_SECRET, v->head.info.spec.request.n_values,
                               he->pair.plain + VAULT_SEALED_HEAD_BYTES,
                               he->pair.plain_length - VAULT_SEALED_HEAD_BYTES, &setup, &keys);
    }
    if (status == MSFL_OK) status = vault_decoder_init(&v->head, setup, out, &decoder);
    for (uint64_t j = 0; status == MSFL_OK && j < v->head.info.n_chunks; j++) {
        status = vault_decoder_next(&decoder, setup, keys, j, v->bytes + v->starts[j], v->starts[j + 1] - v->starts[j]);
    }
    if (status == MSFL_OK) vault_decoder_finish(&decoder, is_sum ? out : NULL, NULL);
    if (status != MSFL_OK) memset(out, 0, n * sizeof *out);
    vault_decoder_clear(&decoder);
    msfl_keys_free(keys);
    msfl_setup_free(setup);
    return status;
}

msfl_status msfl_he_decrypt_weights(const msfl_he *he, const msfl_he_vector *vector, float *out, size_t n) {
    return decrypt(he, vector, true, out, n);
}

msfl_status msfl_he_decrypt_mean(const msfl_he *he, const msfl_he_vector *vector, float *out, size_t n) {
    return decrypt(he, vector, false, out, n);
}

/* --- files --- */

msfl_status msfl_he_vector_save(const msfl_he_vector *vector, const char *path) {
    vault_writer writer = {0};
    vault_head head = vector->head; /* vault_head_put fills in the hash; the texts stay the vector's */
    msfl_status status = vault_writer_open(path, MSFL_OUTPUT_NEW, &head, &writer);
    for (uint64_t j = 0; status == MSFL_OK && j < head.info.n_chunks; j++) {
        status =
            vault_writer_put(&writer, vector->bytes + vector->starts[j], vector->starts[j + 1] - vector->starts[j]);
    }
    if (status == MSFL_OK) status = vault_writer_commit(&writer);
    vault_writer_clear(&writer);
    return status;
}

msfl_status msfl_he_vector_load(const char *path, msfl_he_vector **out) {
    *out = NULL;
    msfl_cipher *cipher = NULL;
    msfl_setup *setup = NULL;
    msfl_keys *keys = NULL;
    msfl_he_vector *v = msfl_alloc(1, sizeof *v);
    msfl_status status = v == NULL ? MSFL_NO_MEMORY : msfl_cipher_open(path, &cipher);
    if (status == MSFL_OK) status = vault_head_setup(&cipher->head, &setup, &keys);
    if (status == MSFL_OK) status = vault_cipher_begin(cipher, setup);
    if (status == MSFL_OK) status = make_room(v, setup);
    for (uint64_t j = 0; status == MSFL_OK && j < cipher->head.info.n_chunks; j++) {
        uint8_t *chunk = v->bytes + v->starts[j];
        uint32_t addends;
        status = vault_cipher_next(cipher, setup, chunk);
        if (status == MSFL_OK) {
            status =
                msfl_pair_check(keys, cipher->head.info.label, j, chunk, v->starts[j + 1] - v->starts[j], &addends);
        }
        if (status == MSFL_OK && addends != cipher->head.info.n_addends) {
            status = msfl_fail(MSFL_ERR_FORMAT, "%s: chunk %llu is a sum of %u vectors, and the header says %u", path,
                               (unsigned long long)j, addends, cipher->head.info.n_addends);
        }
    }
    if (status == MSFL_OK) status = vault_cipher_end(cipher);
    if (status == MSFL_OK) {
        v->head = cipher->head; /* moves */
        cipher->head = (vault_head){0};
        *out = v;
        v = NULL;
    }
    msfl_keys_free(keys);
    msfl_setup_free(setup);
    msfl_cipher_free(cipher);
    msfl_he_vector_free(v);
    return status;
}
