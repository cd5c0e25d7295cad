/* Opening numbers: exactly, or flooded. Nothing else leaves this file. */
#include "he/ckks.h"

#include "base/error.h"
#include "base/taint.h"

#include <math.h>
#include <string.h>

/** The fewest primes whose product holds twice `phase`; 0 if all that are left do not. */
static uint32_t fewest_primes(const msfl_ckks *ctx, uint32_t level, double phase) {
    for (uint32_t k = 1; k <= level; k++) {
        if (2 * phase <= MSFL_CKKS_ROOM * ctx->q[k - 1]) return k;
    }
    return 0;
}

static msfl_status begin(const msfl_ckks *ctx, const msfl_ckks_secret *key, const msfl_ckks_ct *ct, double *re,
                         double *im) {
    memset(re, 0, ctx->embed.n * sizeof *re);
    if (im != NULL) memset(im, 0, ctx->embed.n * sizeof *im);
    if (ct->n_values == 0 || ct->form != MSFL_CKKS_NUMBERS) {
        return msfl_fail(MSFL_ERR_USAGE, "decrypt: an empty ciphertext, or one of sums");
    }
    msfl_status status = msfl_rlwe_check_key(ct->key_id, key->base.id);
    return status == MSFL_OK ? status : msfl_fail_in(status, "decrypt");
}

/** Bound on the error of a value of the phase once it is in doubles. */
static double error_of(const msfl_ckks *ctx, const msfl_ckks_bounds *b) {
    double most = b->scale * b->magnitude + b->error + b->noise;
    return b->error + b->noise + msfl_ckks_decode_error(ctx->params.ring_degree, most);
}

/** Values of the phase, real or imaginary parts, to multiples of the step in place. False if one is too far from any,
 * or too large: a number of steps beyond 2^51 is not rounded to its nearest integer, but it stays large. */
static bool round_to_steps(const msfl_ckks *ctx, const msfl_ckks_bounds *b, double *x) {
    double unit = b->scale * b->step, per_unit = 1 / unit, tolerance = error_of(ctx, b) * per_unit + 0x1p-30;
    double most = b->magnitude / b->step + 0.5;
    unsigned bad = 0;
    for (size_t k = 0; k < 2 * ctx->embed.n; k++) {
        double v = x[k] * per_unit, whole = msfl_embed_round(v);
        bad |= !(fabs(v - whole) <= tolerance) | !(fabs(whole) <= most);
        x[k] = whole * b->step + 0.0; /* no zero below zero */
    }
    MSFL_DECLASSIFY(&bad, sizeof bad); /* the refusal; docs/design/ckks.md says what it is worth */
    return bad == 0;
}

msfl_status msfl_ckks_decrypt_exact(const msfl_ckks *ctx, msfl_ckks_secret *key, const msfl_ckks_ct *ct, double *re,
                                    double *im) {
    msfl_status status = begin(ctx, key, ct, re, im);
    if (status != MSFL_OK) return status;
    const msfl_ckks_bounds *b = &ct->bounds;
    if (b->step == 0) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "the numbers of this ciphertext are not known to be multiples of a step: open "
                         "it with flooding, for raw noise can give the key away");
    }
    double error = error_of(ctx, b);
    uint32_t level = fewest_primes(ctx, ct->level, b->scale * b->magnitude + error);
    if (!(error <= 0.499 * b->scale * b->step) || !(b->magnitude / b->step <= 0x1p50) || level == 0) {
        return msfl_fail(MSFL_ERR_NUMERIC,
                         "exact opening refused: errors up to 2^%.2f do not stay below half of a step of 2^%.2f, or "
                         "numbers up to 2^%.2f are too many steps. Plan for a larger scale, or fewer operations",
                         log2(error / b->scale), log2(b->step), log2(b->magnitude));
    }
    msfl_rlwe_scratch *scratch;
    status = msfl_rlwe_take(&key->base.pool, &scratch);
    if (status != MSFL_OK) return status;
    double *x = &scratch->planes[(ctx->params.n_primes + 1) * (size_t)ctx->ring.degree].d;
    status = msfl_ckks_phase(ctx, key, scratch, ct, level, 0, x);
    if (status == MSFL_OK) {
        /* Handed out only when all of it is good. */
        const msfl_embed *e = &ctx->embed;
        e->kernel->to_slots(e, x, x + e->n);
        if (round_to_steps(ctx, b, x)) {
            for (size_t j = 0; j < e->n; j++)
                re[j] = x[e->position[j]];
            for (size_t j = 0; im != NULL && j < e->n; j++)
                im[j] = x[e->n + e->position[j]];
        } else {
            status = msfl_fail(MSFL_ERR_CRYPTO, "chunk %llu does not open: it was changed, or its bounds are not true",
                               (unsigned long long)ct->chunk);
        }
    }
    msfl_rlwe_give(&key->base.pool, scratch);
    return status;
}

/** One release more, if the parameters allow it. Counted before it is made: what fails later is spent. */
static msfl_status count_release(const msfl_ckks *ctx, msfl_ckks_secret *key) {
    pthread_mutex_lock(&key->base.pool.mutex);
    bool good = key->released < ctx->params.n_releases;
    if (good) key->released++;
    pthread_mutex_unlock(&key->base.pool.mutex);
    if (good) return MSFL_OK;
    return msfl_fail(MSFL_ERR_LIMIT, "flooded opening refused: the parameters allow %u for a key, and they are used up",
                     ctx->params.n_releases);
}

msfl_status msfl_ckks_decrypt(const msfl_ckks *ctx, msfl_ckks_secret *key, const msfl_ckks_ct *ct, double error_max,
                              double *re, double *im, double *error) {
    msfl_status status = begin(ctx, key, ct, re, im);
    if (error != NULL) *error = 0;
    if (status != MSFL_OK) return status;
    const msfl_ckks_params *p = &ctx->params;
    const msfl_ckks_bounds *b = &ct->bounds;
    if (p->flood_bits == 0) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "these parameters foresee no flooding: open exactly, or plan with flood_bits");
    }
    uint32_t log2_w = msfl_ckks_flood_log2(p->ring_degree, b->noise, p->flood_bits, p->n_releases);
    double flood = msfl_ckks_flood_error(p->ring_degree, log2_w), phase = b->scale * b->magnitude + b->error + b->noise;
    double bound = (b->error + b->noise + flood + msfl_ckks_decode_error(p->ring_degree, phase + 2 * flood)) / b->scale;
    uint32_t level = log2_w <= 126 ? fewest_primes(ctx, ct->level, phase + ldexp(1, (int)log2_w)) : 0;
    if (!(bound <= error_max) || level == 0) {
        return msfl_fail(
            MSFL_ERR_NUMERIC,
            "flooded opening refused: to drown noise of 2^%.2f with %u bits, numbers would be off by up to "
            "2^%.2f, and 2^%.2f is allowed; the flood takes 2^%u, and the modulus has 2^%.2f. Plan for a "
            "larger scale",
            log2(b->noise / b->scale), p->flood_bits, log2(bound), log2(error_max), log2_w,
            log2(ctx->q[ct->level - 1]));
    }
    status = count_release(ctx, key);
    if (status != MSFL_OK) return status;
    msfl_rlwe_scratch *scratch;
    status = msfl_rlwe_take(&key->base.pool, &scratch);
    if (status != MSFL_OK) return status;
    double *x = &scratch->planes[(p->n_primes + 1) * (size_t)ctx->ring.degree].d;
    status = msfl_ckks_phase(ctx, key, scratch, ct, level, log2_w, x);
    if (status == MSFL_OK) {
        const msfl_embed *e = &ctx->embed;
        e->kernel->to_slots(e, x, x + e->n);
        for (size_t j = 0; j < e->n; j++)
            re[j] = x[e->position[j]] / b->scale;
        for (size_t j = 0; im != NULL && j < e->n; j++)
            im[j] = x[e->n + e->position[j]] / b->scale;
        if (error != NULL) *error = bound;
    }
    msfl_rlwe_give(&key->base.pool, scratch);
    return status;
}
