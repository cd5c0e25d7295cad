/* The seeded form over the calls of bfv or of ckks: included by seeded_bfv.c and seeded_ckks.c alone, which define
 * before it what is called otherwise in each. SEEDED(name) is the scheme's own: msfl_bfv_##name. */
#ifndef MSFL_MEASURE_SEEDED_BODY_H
#define MSFL_MEASURE_SEEDED_BODY_H

#include "measure/seeded.h"

static msfl_status ctx_new(const msfl_scheme_request *r, void **ctx) {
    const SEEDED_REQUEST request = {r->n_clients, r->value_bits, r->n_values, r->security_bits, r->ring_degree};
    SEEDED(params) params;
    SEEDED_CTX *made = NULL;
    msfl_status status = SEEDED_PLAN(&request, &params);
    if (status == MSFL_OK) status = SEEDED(new)(&params, &made);
    *ctx = made;
    return status;
}

static void ctx_free(void *ctx) {
    SEEDED(free)(ctx);
}

static uint64_t chunks(const void *ctx, uint64_t n_values) {
    return SEEDED(chunks)(ctx, n_values);
}

static uint32_t chunk_values(const void *ctx, uint64_t n_values, uint64_t j) {
    return SEEDED(chunk_values)(ctx, n_values, j);
}

static msfl_status secret_new(const void *ctx, void **secret) {
    SEEDED(secret) *made = NULL;
    msfl_status status = SEEDED(secret_new)(ctx, &made);
    *secret = made;
    return status;
}

static void secret_free(void *secret) {
    SEEDED(secret_free)(secret);
}

static msfl_status ct_new(const void *ctx, void **ct) {
    SEEDED(ct) *made = NULL;
    msfl_status status = SEEDED(ct_new)(ctx, &made);
    *ct = made;
    return status;
}

static void ct_free(void *ct) {
    SEEDED(ct_free)(ct);
}

static size_t ct_bytes(const void *ctx, const void *ct) {
    return SEEDED(ct_bytes)(ctx, ct);
}

static void ct_write(const void *ctx, const void *ct, uint8_t *out) {
    SEEDED(ct_write)(ctx, ct, out);
}

static msfl_status ct_read(const void *ctx, const uint8_t *bytes, size_t length, void *ct) {
    return SEEDED(ct_read)(ctx, bytes, length, ct);
}

static msfl_status encrypt(const void *ctx, void *secret, uint64_t chunk, const uint32_t *values, uint32_t n_values,
                           void *ct) {
    return SEEDED_ENCRYPT(ctx, secret, chunk, values, n_values, ct);
}

static msfl_status add(const void *ctx, void *acc, const void *ct) {
    return SEEDED(add)(ctx, acc, ct);
}

static msfl_status decrypt(const void *ctx, void *secret, const void *ct, uint64_t *totals) {
    return SEEDED_DECRYPT(ctx, secret, ct, totals);
}

const measure_seeded SEEDED_TABLE = {
    .scheme = SEEDED_NAME,
    .ctx_new = ctx_new,
    .ctx_free = ctx_free,
    .chunks = chunks,
    .chunk_values = chunk_values,
    .secret_new = secret_new,
    .secret_free = secret_free,
    .ct_new = ct_new,
    .ct_free = ct_free,
    .ct_bytes = ct_bytes,
    .ct_write = ct_write,
    .ct_read = ct_read,
    .encrypt = encrypt,
    .add = add,
    .decrypt = decrypt,
};

#endif
