#include "he/bfv.h"

#include "base/error.h"
#include "base/mem.h"

msfl_status msfl_bfv_new(const msfl_bfv_params *params, msfl_bfv **out) {
    *out = NULL;
    msfl_status status = msfl_bfv_check(params);
    if (status != MSFL_OK) return status;
    msfl_bfv *ctx = msfl_alloc(1, sizeof *ctx);
    if (ctx == NULL) return MSFL_ERR_MEMORY;
    ctx->params = *params;
    uint8_t canonical[MSFL_BFV_PARAMS_BYTES];
    msfl_bfv_params_write(params, canonical);
    status = msfl_rlwe_init(&ctx->ring, MSFL_BFV_SCHEME, params->ring_degree, params->primes, params->n_primes,
                            canonical, sizeof canonical);
    if (status != MSFL_OK) goto done;
    status = msfl_codec_init(&ctx->codec, ctx->ring.moduli, params->n_primes, params->value_bits, params->slot_bits,
                             params->slots_per_coefficient);
    for (uint32_t i = 0; i < params->n_primes; i++)
        ctx->t[i] = msfl_mod_pow_vartime(2, params->log_t, &ctx->ring.moduli[i].m);
done:
    if (status != MSFL_OK) {
        msfl_bfv_free(ctx);
        return status;
    }
    *out = ctx;
    return MSFL_OK;
}

void msfl_bfv_free(msfl_bfv *ctx) {
    if (ctx == NULL) return;
    msfl_codec_clear(&ctx->codec);
    msfl_rlwe_clear(&ctx->ring);
    msfl_free(ctx);
}

const char *msfl_bfv_kernel(const msfl_bfv *ctx) {
    return ctx->ring.kernel->name;
}

const msfl_bfv_params *msfl_bfv_params_of(const msfl_bfv *ctx) {
    return &ctx->params;
}

uint64_t msfl_bfv_chunks(const msfl_bfv *ctx, uint64_t n_values) {
    uint64_t full = (uint64_t)ctx->params.ring_degree * ctx->params.slots_per_coefficient;
    return n_values / full + (n_values % full != 0);
}

uint32_t msfl_bfv_chunk_values(const msfl_bfv *ctx, uint64_t n_values, uint64_t j) {
    uint32_t full = ctx->params.ring_degree * ctx->params.slots_per_coefficient;
    uint64_t n_chunks = msfl_bfv_chunks(ctx, n_values);
    if (j >= n_chunks) return 0;
    return j + 1 < n_chunks ? full : (uint32_t)(n_values - j * full);
}
