/* Exact sums of integers. Value i of a chunk is the real part at position i of the embedding, or, from N / 2 on, the
 * imaginary part at position i - N / 2; less 2^(value_bits - 1), so that numbers are small on both sides of zero. */
#include "he/ckks.h"

#include "base/error.h"
#include "base/sodium.h"
#include "base/taint.h"

#include <math.h>
#include <string.h>

uint64_t msfl_ckks_chunks(const msfl_ckks *ctx, uint64_t n_values) {
    uint64_t full = ctx->params.ring_degree;
    return n_values / full + (n_values % full != 0);
}

uint32_t msfl_ckks_chunk_values(const msfl_ckks *ctx, uint64_t n_values, uint64_t j) {
    uint64_t n_chunks = msfl_ckks_chunks(ctx, n_values), full = ctx->params.ring_degree;
    if (j >= n_chunks) return 0;
    return (uint32_t)(j + 1 < n_chunks ? full : n_values - j * full);
}

static msfl_status check_values(const msfl_ckks *ctx, uint32_t n_values, msfl_ckks_ct *ct) {
    ct->n_values = 0;
    if (ctx->params.value_bits == 0) return msfl_fail(MSFL_ERR_USAGE, "sums: these parameters are for numbers");
    if (n_values >= 1 && n_values <= ctx->params.ring_degree) return MSFL_OK;
    return msfl_fail(MSFL_ERR_USAGE, "%u values for one ciphertext: 1 to %u are possible", n_values,
                     ctx->params.ring_degree);
}

/** The polynomial of the values, in `x`. */
static msfl_status to_polynomial(const msfl_ckks *ctx, const uint32_t *values, uint32_t n_values, uint32_t shift,
                                 double *x) {
    const msfl_embed *e = &ctx->embed;
    uint32_t bits = ctx->params.value_bits, seen = e->kernel->load(x, values, ldexp(1, (int)bits - 1), n_values);
    memset(x + n_values, 0, (ctx->ring.degree - n_values) * sizeof *x);
    MSFL_DECLASSIFY(&seen, sizeof seen); /* the refusal: that some value is too large, not which */
    if (bits < 32 && seen >> bits != 0) {
        return msfl_fail(MSFL_ERR_NUMERIC, "a value to be encrypted is 2^%u or more", bits);
    }
    e->kernel->to_coefficients(e, x, x + e->n);
    bool fits = e->kernel->quantise(x, ldexp(ctx->params.scale, -(int)shift) / (double)e->n, ctx->ring.degree);
    MSFL_DECLASSIFY(&fits, sizeof fits);
    if (!fits) {
        return msfl_fail(MSFL_ERR_NUMERIC, "a coefficient to be encrypted is out of range");
    }
    return MSFL_OK;
}

static void finish(msfl_ckks_ct *ct, uint64_t chunk, uint32_t n_values) {
    ct->chunk = chunk;
    ct->form = MSFL_CKKS_SUMS;
    memset(&ct->bounds, 0, sizeof ct->bounds);
    ct->n_values = n_values;
}

msfl_status msfl_ckks_sums_encrypt(const msfl_ckks *ctx, const msfl_ckks_public *key, uint64_t chunk,
                                   const uint32_t *values, uint32_t n_values, msfl_ckks_ct *ct) {
    msfl_status status = check_values(ctx, n_values, ct);
    msfl_rlwe_scratch *scratch;
    if (status == MSFL_OK) status = msfl_rlwe_take(ctx->pool, &scratch);
    if (status != MSFL_OK) return status;
    /* Sealing works in the planes before. */
    double *x = &scratch->planes[(ctx->params.n_primes + 3) * (size_t)ctx->ring.degree].d;
    uint32_t shift = msfl_ckks_sums_shift(ctx->params.value_bits, ctx->params.scale);
    status = to_polynomial(ctx, values, n_values, shift, x);
    if (status == MSFL_OK) status = msfl_ckks_seal(ctx, key, scratch, x, shift, ct);
    msfl_rlwe_give(ctx->pool, scratch);
    if (status == MSFL_OK) finish(ct, chunk, n_values);
    return status;
}

msfl_status msfl_ckks_sums_encrypt_seeded(const msfl_ckks *ctx, msfl_ckks_secret *key, uint64_t chunk,
                                          const uint32_t *values, uint32_t n_values, msfl_ckks_ct *ct) {
    msfl_status status = check_values(ctx, n_values, ct);
    msfl_rlwe_scratch *scratch;
    if (status == MSFL_OK) status = msfl_rlwe_take(&key->base.pool, &scratch);
    if (status != MSFL_OK) return status;
    double *x = &scratch->planes[3 * (size_t)ctx->ring.degree].d;
    uint32_t shift = msfl_ckks_sums_shift(ctx->params.value_bits, ctx->params.scale);
    status = to_polynomial(ctx, values, n_values, shift, x);
    if (status == MSFL_OK) status = msfl_ckks_seal_seeded(ctx, key, scratch, x, shift, ct);
    msfl_rlwe_give(&key->base.pool, scratch);
    if (status == MSFL_OK) finish(ct, chunk, n_values);
    return status;
}

/** Totals of the used places, and zero in all others; `rest` holds N. */
static bool decode(const msfl_ckks *ctx, const msfl_ckks_ct *ct, const double *x, uint64_t *totals, uint64_t *rest) {
    const msfl_ckks_params *p = &ctx->params;
    double scale = p->scale, n = ct->addends, half = ldexp(1, (int)p->value_bits - 1);
    double tolerance = msfl_ckks_sums_error(p->ring_degree, p->value_bits, scale, ct->addends) / scale + 0x1p-30;
    bool good = ctx->embed.kernel->totals(totals, x, 1 / scale, n * half, tolerance,
                                          n * (ldexp(1, (int)p->value_bits) - 1), ct->n_values);
    good &=
        ctx->embed.kernel->totals(rest, x + ct->n_values, 1 / scale, 0, tolerance, 0, ctx->ring.degree - ct->n_values);
    MSFL_DECLASSIFY(&good, sizeof good); /* the refusal; docs/design/ckks.md says what it is worth */
    return good;
}

msfl_status msfl_ckks_sums_decrypt(const msfl_ckks *ctx, msfl_ckks_secret *key, const msfl_ckks_ct *ct,
                                   uint64_t *totals) {
    if (ct->n_values == 0 || ct->form != MSFL_CKKS_SUMS) {
        return msfl_fail(MSFL_ERR_USAGE, "decrypt sums: an empty ciphertext, or one of numbers");
    }
    memset(totals, 0, ct->n_values * sizeof *totals);
    msfl_status status = msfl_rlwe_check_key(ct->key_id, key->base.id);
    if (status != MSFL_OK) return msfl_fail_in(status, "decrypt");
    msfl_rlwe_scratch *scratch;
    status = msfl_rlwe_take(&key->base.pool, &scratch);
    if (status != MSFL_OK) return status;
    size_t n = ctx->ring.degree;
    double *x = &scratch->planes[(ctx->params.n_primes + 1) * n].d;
    /* As few primes as a sum of so many needs, when it is fewer than the parameters allow. */
    double phase =
        msfl_ckks_sums_phase(ctx->params.ring_degree, ctx->params.value_bits, ctx->params.scale, ct->addends);
    uint32_t level = 1;
    while (level < ct->level && 2 * phase > MSFL_CKKS_ROOM * ctx->q[level - 1])
        level++;
    status = msfl_ckks_phase(ctx, key, scratch, ct, level, 0, x);
    if (status == MSFL_OK) {
        ctx->embed.kernel->to_slots(&ctx->embed, x, x + ctx->embed.n);
        if (!decode(ctx, ct, x, totals, &scratch->planes->u)) {
            status = msfl_fail(MSFL_ERR_CRYPTO,
                               "chunk %llu does not open: it was changed, or it is not the sum of %u ciphertexts",
                               (unsigned long long)ct->chunk, ct->addends);
        }
    }
    if (status != MSFL_OK) memset(totals, 0, ct->n_values * sizeof *totals);
    msfl_rlwe_give(&key->base.pool, scratch);
    return status;
}
