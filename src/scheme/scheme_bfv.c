/* bfv: exact integers under one key pair. Adder: key id (16), parameters. */
#include "base/error.h"
#include "base/mem.h"
#include "medsecurefl/bfv.h"
#include "scheme/lattice.h"

#include <stdio.h>
#include <string.h>

typedef struct setup {
    msfl_bfv *ctx;
    uint64_t n_values;
} setup;

typedef struct keys {
    uint8_t id[MSFL_KEY_ID_BYTES];
    msfl_bfv_public *public; /* or NULL */
    msfl_bfv_secret *secret; /* or NULL */
} keys;

static void setup_free(void *inner) {
    setup *s = inner;
    if (s == NULL) return;
    msfl_bfv_free(s->ctx);
    msfl_free(s);
}

static msfl_status setup_of(const msfl_bfv_params *params, uint64_t n_values, void **out) {
    setup *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_NO_MEMORY;
    s->n_values = n_values;
    msfl_status status = msfl_bfv_new(params, &s->ctx);
    if (status == MSFL_OK) status = msfl_lattice_check_count(msfl_bfv_chunks(s->ctx, n_values), n_values);
    if (status != MSFL_OK) {
        setup_free(s);
        return status;
    }
    *out = s;
    return MSFL_OK;
}

static msfl_status setup_new(const msfl_scheme_request *r, void **out) {
    const msfl_bfv_request request = {r->n_clients, r->value_bits, r->n_values, r->security_bits, r->ring_degree};
    msfl_bfv_params params;
    msfl_status status = msfl_bfv_plan(&request, &params);
    return status == MSFL_OK ? setup_of(&params, r->n_values, out) : status;
}

static void facts(const void *inner, msfl_scheme_facts *out) {
    const setup *s = inner;
    const msfl_bfv_params *p = msfl_bfv_params_of(s->ctx);
    msfl_bfv_facts f;
    msfl_bfv_describe(p, s->n_values, &f);
    *out = (msfl_scheme_facts){
        .security_bits = p->security_bits, .log2_failure = f.log2_failure, .setup_bytes = f.public_key_bytes};
    snprintf(out->parameters, sizeof out->parameters,
             "N = %u, %u primes, log2 q = %.1f of %.0f, %u values of %u bits a coefficient", p->ring_degree,
             p->n_primes, f.log2_q, f.log2_q_max, p->slots_per_coefficient, p->slot_bits);
}

static const char *kernel(const void *inner) {
    const setup *s = inner;
    return msfl_bfv_kernel(s->ctx);
}

static uint64_t chunks(const void *inner) {
    const setup *s = inner;
    return msfl_bfv_chunks(s->ctx, s->n_values);
}

static uint32_t chunk_values(const void *inner, uint64_t j) {
    const setup *s = inner;
    return msfl_bfv_chunk_values(s->ctx, s->n_values, j);
}

static size_t chunk_bytes(const void *inner, uint64_t j) {
    const setup *s = inner;
    return msfl_bfv_full_bytes(s->ctx, chunk_values(s, j));
}

/* --- keys --- */

static void keys_free(void *inner) {
    keys *k = inner;
    if (k == NULL) return;
    msfl_bfv_public_free(k->public);
    msfl_bfv_secret_free(k->secret);
    msfl_free(k);
}

static msfl_status keys_new(const void *inner, void **out) {
    const setup *s = inner;
    keys *k = msfl_alloc(1, sizeof *k);
    if (k == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_bfv_secret_new(s->ctx, &k->secret);
    if (status == MSFL_OK) status = msfl_bfv_public_new(s->ctx, k->secret, &k->public);
    if (status != MSFL_OK) {
        keys_free(k);
        return status;
    }
    memcpy(k->id, msfl_bfv_secret_id(k->secret), sizeof k->id);
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
        return msfl_bfv_public_bytes(s->ctx);
    case MSFL_KEY_SECRET:
        return msfl_bfv_secret_bytes(s->ctx);
    default:
        return MSFL_KEY_ID_BYTES + MSFL_BFV_PARAMS_BYTES;
    }
}

static void part_write(const void *outer, const void *inner, msfl_key_part part, uint8_t *out) {
    const setup *s = outer;
    const keys *k = inner;
    if (part == MSFL_KEY_PUBLIC) {
        msfl_bfv_public_write(s->ctx, k->public, out);
    } else if (part == MSFL_KEY_SECRET) {
        msfl_bfv_secret_write(s->ctx, k->secret, out);
    } else {
        memcpy(out, k->id, sizeof k->id);
        msfl_bfv_params_write(msfl_bfv_params_of(s->ctx), out + sizeof k->id);
    }
}

static msfl_status read_adder(const setup *s, const uint8_t *bytes, size_t length, keys *k) {
    uint8_t params[MSFL_BFV_PARAMS_BYTES];
    msfl_bfv_params_write(msfl_bfv_params_of(s->ctx), params);
    return msfl_lattice_read_adder(bytes, length, params, sizeof params, k->id);
}

static msfl_status part_read(const void *outer, msfl_key_part part, const uint8_t *bytes, size_t length, void **out) {
    const setup *s = outer;
    keys *k = msfl_alloc(1, sizeof *k);
    if (k == NULL) return MSFL_NO_MEMORY;
    msfl_status status;
    if (part == MSFL_KEY_PUBLIC) {
        status = msfl_bfv_public_read(s->ctx, bytes, length, &k->public);
        if (status == MSFL_OK) memcpy(k->id, msfl_bfv_public_id(k->public), sizeof k->id);
    } else if (part == MSFL_KEY_SECRET) {
        status = msfl_bfv_secret_read(s->ctx, bytes, length, &k->secret);
        if (status == MSFL_OK) memcpy(k->id, msfl_bfv_secret_id(k->secret), sizeof k->id);
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
    msfl_bfv_params params;
    if (length < MSFL_KEY_ID_BYTES) return msfl_fail(MSFL_ERR_FORMAT, "public facts of %zu bytes", length);
    msfl_status status = msfl_bfv_params_parse(adder + MSFL_KEY_ID_BYTES, length - MSFL_KEY_ID_BYTES, &params);
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
    msfl_bfv_ct *ct;
    msfl_status status = msfl_bfv_ct_new(s->ctx, &ct);
    if (status != MSFL_OK) return status;
    status = msfl_bfv_encrypt(s->ctx, k->public, msfl_tagged_chunk(label, j), values, chunk_values(s, j), ct);
    if (status == MSFL_OK) msfl_bfv_ct_write(s->ctx, ct, out);
    msfl_bfv_ct_free(ct);
    return status;
}

static msfl_status expect(const setup *s, const keys *k, const uint8_t *label, uint64_t j,
                          const msfl_bfv_ct_facts *ct) {
    const msfl_lattice_chunk chunk = {ct->key_id, ct->chunk, ct->n_values, ct->seeded};
    return msfl_lattice_expect(&chunk, k->id, label, j, chunk_values(s, j));
}

static msfl_status check(const void *outer, const void *inner, const uint8_t *label, uint64_t j, const uint8_t *bytes,
                         size_t length, uint32_t *n_addends) {
    const setup *s = outer;
    msfl_bfv_ct_facts ct;
    msfl_status status = msfl_bfv_ct_check(s->ctx, bytes, length, &ct);
    if (status == MSFL_OK) status = expect(s, inner, label, j, &ct);
    *n_addends = status == MSFL_OK ? ct.addends : 0;
    return status;
}

static msfl_status add(const void *outer, const void *inner, const uint8_t *label, uint64_t j, uint8_t *acc,
                       const uint8_t *chunk, size_t length) {
    const setup *s = outer;
    msfl_bfv_ct_facts ct;
    msfl_status status = msfl_bfv_ct_peek(s->ctx, chunk, length, &ct);
    if (status == MSFL_OK) status = expect(s, inner, label, j, &ct);
    return status == MSFL_OK ? msfl_bfv_ct_fold(s->ctx, acc, chunk, length) : status;
}

static msfl_status decrypt(const void *outer, const void *inner, const uint8_t *label, uint64_t j, const uint8_t *bytes,
                           size_t length, uint32_t *n_addends, uint64_t *totals) {
    const setup *s = outer;
    const keys *k = inner;
    msfl_bfv_ct_facts facts_of_ct;
    msfl_status status = msfl_bfv_ct_peek(s->ctx, bytes, length, &facts_of_ct);
    if (status == MSFL_OK) status = expect(s, k, label, j, &facts_of_ct);
    msfl_bfv_ct *ct = NULL;
    if (status == MSFL_OK) status = msfl_bfv_ct_new(s->ctx, &ct);
    if (status == MSFL_OK) status = msfl_bfv_ct_read(s->ctx, bytes, length, ct);
    if (status == MSFL_OK) status = msfl_bfv_decrypt(s->ctx, k->secret, ct, totals);
    if (status == MSFL_OK) *n_addends = facts_of_ct.addends;
    msfl_bfv_ct_free(ct);
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

const msfl_scheme msfl_scheme_bfv = {
    .name = "bfv",
    .summary = "public-key encryption of exact integers, with one key pair",
    .trust = "Whoever holds the secret key can open every single hospital's update; the coordinator must not have it.",
    .traits = MSFL_SCHEME_ENCRYPTS | MSFL_SCHEME_KEY_PAIR,
    .setup_new = setup_new,
    .setup_free = setup_free,
    .facts = facts,
    .kernel = kernel,
    .chunks = chunks,
    .chunk_values = chunk_values,
    .chunk_bytes = chunk_bytes,
    .keys_new = keys_new,
    .keys_free = keys_free,
    .pair = &pair,
    .session = &msfl_pair_session,
};
