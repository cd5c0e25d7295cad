/* Exact integers under one key pair, over the calls of bfv or of ckks: included by scheme_bfv.c and scheme_ckks.c
 * alone, which define before it what differs.
 *
 *   LATTICE(name)           the scheme's own: msfl_bfv_##name
 *   LATTICE_PARAMS_BYTES    length of parameters as bytes
 *   lattice_ctx             type of its context
 *   plan, describe          parameters for a request; a line about them
 *   check_params            whether parameters that were read are of sums of integers
 *   ciphertext_bytes        of one that holds so many values
 *   encrypt_integers, decrypt_integers
 *
 * Adder: key id (16), parameters. */
#ifndef MSFL_SCHEME_LATTICE_BODY_H
#define MSFL_SCHEME_LATTICE_BODY_H

#include "base/error.h"
#include "base/mem.h"
#include "scheme/lattice.h"

#include <string.h>

typedef LATTICE(params) lattice_params;
typedef LATTICE(facts) lattice_facts;
typedef LATTICE(public) lattice_public;
typedef LATTICE(secret) lattice_secret;
typedef LATTICE(ct) lattice_ct;
typedef LATTICE(ct_facts) lattice_ct_facts;

typedef struct setup {
    lattice_ctx *ctx;
    uint64_t n_values;
} setup;

typedef struct keys {
    uint8_t id[MSFL_KEY_ID_BYTES];
    lattice_public *public; /* or NULL */
    lattice_secret *secret; /* or NULL */
} keys;

static void setup_free(void *inner) {
    setup *s = inner;
    if (s == NULL) return;
    LATTICE(free)(s->ctx);
    msfl_free(s);
}

static msfl_status setup_of(const lattice_params *params, uint64_t n_values, void **out) {
    setup *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_NO_MEMORY;
    s->n_values = n_values;
    msfl_status status = LATTICE(new)(params, &s->ctx);
    if (status == MSFL_OK) status = msfl_lattice_check_count(LATTICE(chunks)(s->ctx, n_values), n_values);
    if (status != MSFL_OK) {
        setup_free(s);
        return status;
    }
    *out = s;
    return MSFL_OK;
}

static msfl_status setup_new(const msfl_scheme_request *r, void **out) {
    lattice_params params;
    msfl_status status = plan(r, &params);
    return status == MSFL_OK ? setup_of(&params, r->n_values, out) : status;
}

static void facts(const void *inner, msfl_scheme_facts *out) {
    const setup *s = inner;
    const lattice_params *p = LATTICE(params_of)(s->ctx);
    lattice_facts f;
    LATTICE(describe)(p, s->n_values, &f);
    *out = (msfl_scheme_facts){
        .security_bits = p->security_bits, .log2_failure = f.log2_failure, .setup_bytes = f.public_key_bytes};
    describe(p, &f, out->parameters, sizeof out->parameters);
}

static const char *kernel(const void *inner) {
    const setup *s = inner;
    return LATTICE(kernel)(s->ctx);
}

static uint64_t chunks(const void *inner) {
    const setup *s = inner;
    return LATTICE(chunks)(s->ctx, s->n_values);
}

static uint32_t chunk_values(const void *inner, uint64_t j) {
    const setup *s = inner;
    return LATTICE(chunk_values)(s->ctx, s->n_values, j);
}

static size_t chunk_bytes(const void *inner, uint64_t j) {
    const setup *s = inner;
    return ciphertext_bytes(s->ctx, chunk_values(s, j));
}

/* --- keys --- */

static void keys_free(void *inner) {
    keys *k = inner;
    if (k == NULL) return;
    LATTICE(public_free)(k->public);
    LATTICE(secret_free)(k->secret);
    msfl_free(k);
}

static msfl_status keys_new(const void *inner, void **out) {
    const setup *s = inner;
    keys *k = msfl_alloc(1, sizeof *k);
    if (k == NULL) return MSFL_NO_MEMORY;
    msfl_status status = LATTICE(secret_new)(s->ctx, &k->secret);
    if (status == MSFL_OK) status = LATTICE(public_new)(s->ctx, k->secret, &k->public);
    if (status != MSFL_OK) {
        keys_free(k);
        return status;
    }
    memcpy(k->id, LATTICE(secret_id)(k->secret), sizeof k->id);
    *out = k;
    return MSFL_OK;
}

static bool has(const void *inner, msfl_key_part part) {
    const keys *k = inner;
    return part == MSFL_KEY_PUBLIC ? k->public != NULL : k->secret != NULL;
}

static void id(const void *inner, uint8_t out[MSFL_KEY_ID_BYTES]) {
    const keys *k = inner;
    memcpy(out, k->id, sizeof k->id);
}

static size_t part_bytes(const void *outer, const void *inner, msfl_key_part part) {
    const setup *s = outer;
    (void)inner;
    switch (part) {
    case MSFL_KEY_PUBLIC:
        return LATTICE(public_bytes)(s->ctx);
    case MSFL_KEY_SECRET:
        return LATTICE(secret_bytes)(s->ctx);
    default:
        return MSFL_KEY_ID_BYTES + LATTICE_PARAMS_BYTES;
    }
}

static void part_write(const void *outer, const void *inner, msfl_key_part part, uint8_t *out) {
    const setup *s = outer;
    const keys *k = inner;
    if (part == MSFL_KEY_PUBLIC) {
        LATTICE(public_write)(s->ctx, k->public, out);
    } else if (part == MSFL_KEY_SECRET) {
        LATTICE(secret_write)(s->ctx, k->secret, out);
    } else {
        memcpy(out, k->id, sizeof k->id);
        LATTICE(params_write)(LATTICE(params_of)(s->ctx), out + sizeof k->id);
    }
}

static msfl_status read_adder(const setup *s, const uint8_t *bytes, size_t length, keys *k) {
    uint8_t params[LATTICE_PARAMS_BYTES];
    LATTICE(params_write)(LATTICE(params_of)(s->ctx), params);
    return msfl_lattice_read_adder(bytes, length, params, sizeof params, k->id);
}

static msfl_status part_read(const void *outer, msfl_key_part part, const uint8_t *bytes, size_t length, void **out) {
    const setup *s = outer;
    keys *k = msfl_alloc(1, sizeof *k);
    if (k == NULL) return MSFL_NO_MEMORY;
    msfl_status status;
    if (part == MSFL_KEY_PUBLIC) {
        status = LATTICE(public_read)(s->ctx, bytes, length, &k->public);
        if (status == MSFL_OK) memcpy(k->id, LATTICE(public_id)(k->public), sizeof k->id);
    } else if (part == MSFL_KEY_SECRET) {
        status = LATTICE(secret_read)(s->ctx, bytes, length, &k->secret);
        if (status == MSFL_OK) memcpy(k->id, LATTICE(secret_id)(k->secret), sizeof k->id);
    } else {
        status = read_adder(s, bytes, length, k);
    }
    if (status != MSFL_OK) {
        keys_free(k);
        return status;
    }
    *out = k;
    return MSFL_OK;
}

static msfl_status setup_read(const msfl_scheme_request *r, const uint8_t *adder, size_t length, void **out) {
    lattice_params params;
    if (length < MSFL_KEY_ID_BYTES) return msfl_fail(MSFL_ERR_FORMAT, "public facts of %zu bytes", length);
    msfl_status status = LATTICE(params_parse)(adder + MSFL_KEY_ID_BYTES, length - MSFL_KEY_ID_BYTES, &params);
    if (status == MSFL_OK) status = check_params(&params);
    if (status != MSFL_OK) return status;
    const msfl_lattice_level level = {params.n_addends, params.value_bits, params.security_bits, params.ring_degree};
    status = msfl_lattice_check_request(r, &level);
    if (status != MSFL_OK) return status;
    return setup_of(&params, r->n_values, out);
}

/* --- chunks --- */

static msfl_status encrypt(const void *outer, const void *inner, const uint8_t *label, uint64_t j,
                           const uint32_t *values, uint8_t *out) {
    const setup *s = outer;
    const keys *k = inner;
    lattice_ct *ct;
    msfl_status status = LATTICE(ct_new)(s->ctx, &ct);
    if (status != MSFL_OK) return status;
    status = encrypt_integers(s->ctx, k->public, msfl_tagged_chunk(label, j), values, chunk_values(s, j), ct);
    if (status == MSFL_OK) LATTICE(ct_write)(s->ctx, ct, out);
    LATTICE(ct_free)(ct);
    return status;
}

static msfl_status expect(const setup *s, const keys *k, const uint8_t *label, uint64_t j, const lattice_ct_facts *ct) {
    const msfl_lattice_chunk chunk = {ct->key_id, ct->chunk, ct->n_values, ct->seeded};
    return msfl_lattice_expect(&chunk, k->id, label, j, chunk_values(s, j));
}

static msfl_status check(const void *outer, const void *inner, const uint8_t *label, uint64_t j, const uint8_t *bytes,
                         size_t length, uint32_t *n_addends) {
    const setup *s = outer;
    lattice_ct_facts ct;
    msfl_status status = LATTICE(ct_check)(s->ctx, bytes, length, &ct);
    if (status == MSFL_OK) status = expect(s, inner, label, j, &ct);
    *n_addends = status == MSFL_OK ? ct.addends : 0;
    return status;
}

static msfl_status add(const void *outer, const void *inner, const uint8_t *label, uint64_t j, uint8_t *acc,
                       const uint8_t *chunk, size_t length) {
    const setup *s = outer;
    lattice_ct_facts ct;
    msfl_status status = LATTICE(ct_peek)(s->ctx, chunk, length, &ct);
    if (status == MSFL_OK) status = expect(s, inner, label, j, &ct);
    return status == MSFL_OK ? LATTICE(ct_fold)(s->ctx, acc, chunk, length) : status;
}

static msfl_status decrypt(const void *outer, const void *inner, const uint8_t *label, uint64_t j, const uint8_t *bytes,
                           size_t length, uint32_t *n_addends, uint64_t *totals) {
    const setup *s = outer;
    const keys *k = inner;
    lattice_ct_facts facts_of_ct;
    msfl_status status = LATTICE(ct_peek)(s->ctx, bytes, length, &facts_of_ct);
    if (status == MSFL_OK) status = expect(s, k, label, j, &facts_of_ct);
    lattice_ct *ct = NULL;
    if (status == MSFL_OK) status = LATTICE(ct_new)(s->ctx, &ct);
    if (status == MSFL_OK) status = LATTICE(ct_read)(s->ctx, bytes, length, ct);
    if (status == MSFL_OK) status = decrypt_integers(s->ctx, k->secret, ct, totals);
    if (status == MSFL_OK) *n_addends = facts_of_ct.addends;
    LATTICE(ct_free)(ct);
    return status;
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

/* All of the table but how the scheme is called and what is said of it. */
#define LATTICE_OPERATIONS                                                                                             \
    .traits = MSFL_SCHEME_ENCRYPTS | MSFL_SCHEME_KEY_PAIR, .setup_new = setup_new, .setup_free = setup_free,           \
    .facts = facts, .kernel = kernel, .chunks = chunks, .chunk_values = chunk_values, .chunk_bytes = chunk_bytes,      \
    .keys_new = keys_new, .keys_free = keys_free, .pair = &pair, .session = &msfl_pair_session

#endif
