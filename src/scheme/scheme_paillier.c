/* paillier: exact integers under one key pair, with several values in a plaintext. Adder: the public key. */
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "medsecurefl/paillier.h"
#include "scheme/table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct keys {
    msfl_paillier_secret *secret;       /* or NULL */
    msfl_paillier_public *own_public;   /* read alone, or NULL */
    const msfl_paillier_public *public; /* of either */
    msfl_paillier_encryptor *encryptor; /* or NULL: adding and opening need none */
} keys;

static uint32_t key_bits_for(uint32_t security_bits) {
    return security_bits == 112 ? 2048 : security_bits == 128 ? 3072 : 0;
}

static msfl_status setup_new(const msfl_scheme_request *r, void **out) {
    uint32_t key_bits = key_bits_for(r->security_bits);
    if (key_bits == 0) {
        return msfl_fail(MSFL_ERR_PARAMS,
                         "security of %u bits: 112 (keys of 2048 bits) or 128 (3072) are possible; larger keys are out "
                         "of reach in practice, take a lattice scheme",
                         r->security_bits);
    }
    if (r->ring_degree != 0) return msfl_fail(MSFL_ERR_USAGE, "there is no ring degree in this scheme");
    msfl_paillier_shape *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_paillier_plan(key_bits, r->n_clients, r->value_bits, r->n_values, 0, s);
    if (status != MSFL_OK) {
        msfl_free(s);
        return status;
    }
    *out = s;
    return MSFL_OK;
}

static void setup_free(void *inner) {
    msfl_free(inner);
}

static void facts(const void *inner, msfl_scheme_facts *out) {
    const msfl_paillier_shape *s = inner;
    *out = (msfl_scheme_facts){.security_bits = s->key_bits == 3072 ? 128 : 112,
                               .log2_failure = -INFINITY,
                               .setup_bytes = MSFL_PAILLIER_PUBLIC_BYTES_MAX};
    snprintf(out->parameters, sizeof out->parameters, "n of %u bits, %u values of %u bits in a plaintext", s->key_bits,
             s->slots_per_ciphertext, s->slot_bits);
}

static uint64_t chunks(const void *inner) {
    return msfl_paillier_chunks(inner);
}

static uint32_t chunk_values(const void *inner, uint64_t j) {
    return msfl_paillier_chunk_values(inner, j);
}

static size_t chunk_bytes(const void *inner, uint64_t j) {
    return msfl_paillier_chunk_bytes(inner, j);
}

/* --- keys --- */

static void keys_free(void *inner) {
    keys *k = inner;
    if (k == NULL) return;
    msfl_paillier_encryptor_free(k->encryptor);
    msfl_paillier_public_free(k->own_public);
    msfl_paillier_secret_free(k->secret);
    msfl_free(k);
}

static msfl_status add_encryptor(keys *k) {
    return msfl_paillier_encryptor_new(k->public, MSFL_PAILLIER_FIXED_BASE, &k->encryptor);
}

static msfl_status keys_new(const void *inner, void **out) {
    const msfl_paillier_shape *s = inner;
    keys *k = msfl_alloc(1, sizeof *k);
    if (k == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_paillier_keygen(s->key_bits, &k->secret);
    if (status == MSFL_OK) {
        k->public = msfl_paillier_public_borrow(k->secret);
        status = add_encryptor(k);
    }
    if (status != MSFL_OK) {
        keys_free(k);
        return status;
    }
    *out = k;
    return MSFL_OK;
}

static bool has(const void *inner, msfl_key_part part) {
    const keys *k = inner;
    return part == MSFL_KEY_PUBLIC ? k->encryptor != NULL : k->secret != NULL;
}

static void id(const void *inner, uint8_t out[MSFL_KEY_ID_BYTES]) {
    const keys *k = inner;
    memcpy(out, msfl_paillier_key_id(k->public), MSFL_KEY_ID_BYTES);
}

static size_t part_bytes(const void *setup, const void *inner, msfl_key_part part) {
    const keys *k = inner;
    (void)setup;
    return part == MSFL_KEY_SECRET ? msfl_paillier_secret_bytes(k->secret) : msfl_paillier_public_bytes(k->public);
}

static void part_write(const void *setup, const void *inner, msfl_key_part part, uint8_t *out) {
    const keys *k = inner;
    (void)setup;
    if (part == MSFL_KEY_SECRET) {
        msfl_paillier_secret_write(k->secret, out);
    } else {
        msfl_paillier_public_write(k->public, out);
    }
}

static msfl_status part_read(const void *setup, msfl_key_part part, const uint8_t *bytes, size_t length, void **out) {
    const msfl_paillier_shape *s = setup;
    keys *k = msfl_alloc(1, sizeof *k);
    if (k == NULL) return MSFL_NO_MEMORY;
    msfl_status status;
    if (part == MSFL_KEY_SECRET) {
        status = msfl_paillier_secret_read(bytes, length, &k->secret);
        if (status == MSFL_OK) k->public = msfl_paillier_public_borrow(k->secret);
    } else {
        status = msfl_paillier_public_read(bytes, length, &k->own_public);
        k->public = k->own_public;
    }
    if (status == MSFL_OK && msfl_paillier_key_bits(k->public) != s->key_bits) {
        status = msfl_fail(MSFL_ERR_MISMATCH, "a key of %u bits where %u are stated", msfl_paillier_key_bits(k->public),
                           s->key_bits);
    }
    if (status == MSFL_OK && part == MSFL_KEY_PUBLIC) status = add_encryptor(k);
    if (status != MSFL_OK) {
        keys_free(k);
        return status;
    }
    *out = k;
    return MSFL_OK;
}

static msfl_status setup_read(const msfl_scheme_request *r, const uint8_t *adder, size_t length, void **out) {
    msfl_paillier_public *key;
    msfl_status status = msfl_paillier_public_read(adder, length, &key);
    if (status != MSFL_OK) return status;
    uint32_t key_bits = msfl_paillier_key_bits(key);
    msfl_paillier_public_free(key);
    if (key_bits != key_bits_for(r->security_bits)) {
        return msfl_fail(MSFL_ERR_MISMATCH, "a key of %u bits where %u-bit security is stated", key_bits,
                         r->security_bits);
    }
    return setup_new(r, out);
}

/* --- chunks --- */

static msfl_status encrypt(const void *setup, const void *inner, const uint8_t *label, uint64_t j,
                           const uint32_t *values, uint8_t *out) {
    const keys *k = inner;
    return msfl_paillier_encrypt(k->encryptor, setup, label, j, values, out);
}

static msfl_status check(const void *setup, const void *inner, const uint8_t *label, uint64_t j, const uint8_t *bytes,
                         size_t length, uint32_t *n_addends) {
    const keys *k = inner;
    return msfl_paillier_check(k->public, setup, label, j, bytes, length, n_addends);
}

static msfl_status add(const void *setup, const void *inner, const uint8_t *label, uint64_t j, uint8_t *acc,
                       const uint8_t *chunk, size_t length) {
    const keys *k = inner;
    return msfl_paillier_add(k->public, setup, label, j, acc, chunk, length);
}

static msfl_status decrypt(const void *setup, const void *inner, const uint8_t *label, uint64_t j, const uint8_t *bytes,
                           size_t length, uint32_t *n_addends, uint64_t *totals) {
    const keys *k = inner;
    return msfl_paillier_decrypt(k->secret, setup, label, j, bytes, length, n_addends, totals);
}

static const msfl_pair_ops pair = {
    .has = has,
    .id = id,
    .part_bytes = part_bytes,
    .part_write = part_write,
    .part_read = part_read,
    .setup_read = setup_read,
    .encrypt = encrypt,
    .check = check,
    .add = add,
    .decrypt = decrypt,
};

const msfl_scheme msfl_scheme_paillier = {
    .name = "paillier",
    .summary = "Paillier's encryption, several values in a plaintext, with one key pair",
    .trust = "Whoever holds the secret key can open every single hospital's update; the coordinator must not have it.",
    .traits = MSFL_SCHEME_ENCRYPTS | MSFL_SCHEME_KEY_PAIR,
    .setup_new = setup_new,
    .setup_free = setup_free,
    .facts = facts,
    .chunks = chunks,
    .chunk_values = chunk_values,
    .chunk_bytes = chunk_bytes,
    .keys_new = keys_new,
    .keys_free = keys_free,
    .pair = &pair,
    .session = &msfl_pair_session,
};
