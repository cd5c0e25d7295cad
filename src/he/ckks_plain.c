/* Numbers as polynomials: encoding. */
#include "he/ckks.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "base/taint.h"

#include <math.h>
#include <string.h>

msfl_status msfl_ckks_plain_new(const msfl_ckks *ctx, msfl_ckks_plain **out) {
    *out = NULL;
    msfl_ckks_plain *plain = msfl_alloc(1, sizeof *plain);
    if (plain == NULL) return MSFL_ERR_MEMORY;
    plain->degree = ctx->ring.degree;
    plain->x = msfl_alloc(plain->degree, sizeof *plain->x);
    if (plain->x == NULL) {
        msfl_free(plain);
        return MSFL_ERR_MEMORY;
    }
    *out = plain;
    return MSFL_OK;
}

void msfl_ckks_plain_free(msfl_ckks_plain *plain) {
    if (plain == NULL) return;
    msfl_wipe(plain->x, plain->degree * sizeof *plain->x);
    msfl_free(plain->x);
    msfl_free(plain);
}

static msfl_status check_encoding(const msfl_ckks *ctx, const msfl_ckks_encoding *how, msfl_ckks_bounds *out) {
    int exponent;
    msfl_ckks_bounds b = {.scale = ctx->params.scale, .magnitude = ctx->params.value_max};
    if (how != NULL && how->scale != 0) b.scale = how->scale;
    if (how != NULL && how->magnitude != 0) b.magnitude = how->magnitude;
    if (how != NULL) b.step = how->step;
    if (!(b.scale >= 1 && b.scale <= 0x1p120)) {
        return msfl_fail(MSFL_ERR_USAGE, "encode: a scale of %g; 1 to 2^120 are possible", b.scale);
    }
    if (!(b.magnitude >= 0x1p-60 && b.magnitude <= ctx->params.value_max)) {
        return msfl_fail(MSFL_ERR_USAGE, "encode: numbers up to %g; the parameters are for up to %g", b.magnitude,
                         ctx->params.value_max);
    }
    if (!(b.step == 0 || (b.step >= 0x1p-60 && b.step <= 0x1p60 && frexp(b.step, &exponent) == 0.5))) {
        return msfl_fail(MSFL_ERR_USAGE, "encode: a step of %g; 0 or a power of two is possible", b.step);
    }
    if (b.step != 0 && b.magnitude / b.step > 0x1p50) {
        return msfl_fail(MSFL_ERR_USAGE, "encode: numbers up to %g in steps of %g are more than 2^50 steps",
                         b.magnitude, b.step);
    }
    *out = b;
    return MSFL_OK;
}

/* Judged all together, so that no branch tells which number was wrong. */
static msfl_status check_numbers(const double *re, const double *im, uint32_t count, const msfl_ckks_bounds *b) {
    bool good = true, whole = true;
    double limit = b->magnitude * b->magnitude * (1 + 0x1p-50), per_step = b->step == 0 ? 0 : 1 / b->step;
    for (uint32_t j = 0; j < count; j++) {
        double x = re[j], y = im == NULL ? 0 : im[j];
        good &= x * x + y * y <= limit; /* false for what is no number */
        /* Multiplying by powers of two is exact, zero is whole, and what is too large for rounding is so for encoding.
         */
        double u = x * per_step, v = y * per_step;
        whole &= u == msfl_embed_round(u);
        whole &= v == msfl_embed_round(v);
    }
    MSFL_DECLASSIFY(&good, sizeof good); /* the refusals: that there is such a number, not which */
    MSFL_DECLASSIFY(&whole, sizeof whole);
    if (!good) {
        return msfl_fail(MSFL_ERR_NUMERIC, "encode: a number is larger than %g or not finite", b->magnitude);
    }
    if (!whole) return msfl_fail(MSFL_ERR_NUMERIC, "encode: a number is not a multiple of %g", b->step);
    return MSFL_OK;
}

msfl_status msfl_ckks_encode(const msfl_ckks *ctx, const double *re, const double *im, uint32_t count,
                             const msfl_ckks_encoding *how, msfl_ckks_plain *plain) {
    plain->full = false;
    const msfl_embed *e = &ctx->embed;
    if (ctx->params.value_bits != 0) return msfl_fail(MSFL_ERR_USAGE, "encode: these parameters are for sums");
    if (count < 1 || count > e->n) {
        return msfl_fail(MSFL_ERR_USAGE, "encode: %u numbers; 1 to %zu are possible", count, e->n);
    }
    msfl_ckks_bounds b = {0};
    msfl_status status = check_encoding(ctx, how, &b);
    if (status == MSFL_OK) status = check_numbers(re, im, count, &b);
    if (status != MSFL_OK) return status;
    double *x = plain->x, *y = x + e->n;
    memset(x, 0, plain->degree * sizeof *x);
    for (uint32_t j = 0; j < count; j++)
        x[e->position[j]] = re[j];
    for (uint32_t j = 0; im != NULL && j < count; j++)
        y[e->position[j]] = im[j];
    e->kernel->to_coefficients(e, x, y);
    plain->shift = msfl_ckks_shift(b.scale, b.magnitude);
    bool fits = e->kernel->quantise(x, ldexp(b.scale, -(int)plain->shift) / (double)e->n, plain->degree);
    MSFL_DECLASSIFY(&fits, sizeof fits);
    if (!fits) {
        return msfl_fail(MSFL_ERR_NUMERIC, "encode: a coefficient is out of range");
    }
    b.error = msfl_ckks_encode_error(ctx->params.ring_degree, b.scale, b.magnitude, plain->shift);
    plain->bounds = b;
    plain->full = true;
    return MSFL_OK;
}
