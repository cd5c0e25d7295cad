#include "measure/seeded.h"
#include "medsecurefl/ckks.h"

static msfl_status ctx_new(const msfl_scheme_request *r, void **ctx) {
    const msfl_ckks_sums_request request = {r->n_clients, r->value_bits, r->n_values, r->security_bits, r->ring_degree};
    msfl_ckks_params params;
    msfl_ckks *made = NULL;
    msfl_status status = msfl_ckks_plan_sums(&request, &params);
    if (status == MSFL_OK) status = msfl_ckks_new(&params, &made);
    *ctx = made;
    return status;
}

static void ctx_free(void *ctx) {
    msfl_ckks_free(ctx);
}

static uint64_t chunks(const void *ctx, uint64_t n_values) {
    return msfl_ckks_chunks(ctx, n_values);
}

static uint32_t chunk_values(const void *ctx, uint64_t n_values, uint64_t j) {
    return msfl_ckks_chunk_values(ctx, n_values, j);
}

static msfl_status secret_new(const void *ctx, void **secret) {
    msfl_ckks_secret *made = NULL;
    msfl_status status = msfl_ckks_secret_new(ctx, &made);
    *secret = made;
    return status;
}

static void secret_free(void *secret) {
    msfl_ckks_secret_free(secret);
}

static msfl_status ct_new(const void *ctx, void **ct) {
    msfl_ckks_ct *made = NULL;
    msfl_status status = msfl_ckks_ct_new(ctx, &made);
    *ct = made;
    return status;
}

static void ct_free(void *ct) {
    msfl_ckks_ct_free(ct);
}

static size_t ct_bytes(const void *ctx, const void *ct) {
    return msfl_ckks_ct_bytes(ctx, ct);
}

static void ct_write(const void *ctx, const void *ct, uint8_t *out) {
    msfl_ckks_ct_write(ctx, ct, out);
}

static msfl_status ct_read(const void *ctx, const uint8_t *bytes, size_t length, void *ct) {
    return msfl_ckks_ct_read(ctx, bytes, length, ct);
}

static msfl_status encrypt(const void *ctx, void *secret, uint64_t chunk, const uint32_t *values, uint32_t n_values,
                           void *ct) {
    return msfl_ckks_sums_encrypt_seeded(ctx, secret, chunk, values, n_values, ct);
}

static msfl_status add(const void *ctx, void *acc, const void *ct) {
    return msfl_ckks_add(ctx, acc, ct);
}

static msfl_status decrypt(const void *ctx, void *secret, const void *ct, uint64_t *totals) {
    return msfl_ckks_sums_decrypt(ctx, secret, ct, totals);
}

const measure_seeded measure_seeded_ckks = {
    .scheme = "ckks",
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
