/* What is proved about noise and errors; docs/design/ckks.md derives each formula. All bounds hold for every slot
 * at once; those on noise with a chance of failure below 2^-182 for each slot. */
#include "he/ckks.h"

#include "base/error.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

/** Formulas are evaluated in doubles with a handful of roundings each. */
static const double up = 1 + 0x1p-40;

/** Error of a transform relative to the Euclidean norm: msfl_embed_error. */
static double transform_error(uint32_t degree) {
    return (31 - (uint32_t)__builtin_clz(degree / 2)) * 7.5 * 0x1p-53;
}

/* E = e u + e0 - e1 s, or e0. With e and s fixed, the real part at a root z is a sum of fair coins: sum over u, e0 and
 * e1 of 10.5 (N / 2) (|e(z)|^2 + 1 + |s(z)|^2) is Hoeffding's sum of squares. Both parts within 16 of its roots: sqrt 2
 * times that in magnitude. */
double msfl_ckks_fresh_noise(uint32_t degree, bool seeded) {
    double weight = seeded ? 1 : 2.0 * MSFL_CKKS_NORM * degree + 1;
    return up * MSFL_CKKS_DEVIATIONS * sqrt(10.5 * degree * weight);
}

/** Rounding to integers: half of each power of a root, in magnitude. */
double msfl_ckks_encode_error(uint32_t degree, double scale, double magnitude, uint32_t shift) {
    double transform = sqrt(degree / 2.0) * transform_error(degree) * scale * magnitude;
    return up * (ldexp(degree / 2.0, (int)shift) + transform);
}

double msfl_ckks_decode_error(uint32_t degree, double most) {
    return up * sqrt(degree / 2.0) * (transform_error(degree) + 0x1p-48) * most;
}

uint32_t msfl_ckks_shift(double scale, double magnitude) {
    int exponent;
    (void)frexp(scale * magnitude * up, &exponent);
    return exponent > 49 ? (uint32_t)exponent - 49 : 0;
}

/* The magnitude of a pair of values of b bits, centred. */
static double sums_magnitude(uint32_t value_bits) {
    return sqrt(2) * ldexp(1, (int)value_bits - 1);
}

uint32_t msfl_ckks_sums_shift(uint32_t value_bits, double scale) {
    return msfl_ckks_shift(scale, sums_magnitude(value_bits));
}

/* Rounding contributes 1/2 sum_k |cos(pi r k / N)| = 1/2 cot(pi / 2N) < N / pi to a real part. */
double msfl_ckks_sums_error(uint32_t degree, uint32_t value_bits, double scale, uint32_t n_addends) {
    double n = n_addends, noise = msfl_ckks_fresh_noise(degree, false) * sqrt(n / 2);
    double most = scale * n * sums_magnitude(value_bits);
    uint32_t shift = msfl_ckks_sums_shift(value_bits, scale);
    double encoding = ldexp(n * degree / pi, (int)shift) + sqrt(degree / 2.0) * transform_error(degree) * most;
    double error = noise + encoding;
    return up * (error + msfl_ckks_decode_error(degree, most + 2 * error));
}

double msfl_ckks_sums_phase(uint32_t degree, uint32_t value_bits, double scale, uint32_t n_addends) {
    return up * (scale * n_addends * sums_magnitude(value_bits) +
                 sqrt(2) * msfl_ckks_sums_error(degree, value_bits, scale, n_addends));
}

/* W >= n_releases sqrt(N) (noise + sqrt(N)) 2^(flood_bits - 1); the second sqrt(N) is for the rounding of what is
 * released instead to integers. */
uint32_t msfl_ckks_flood_log2(uint32_t degree, double noise, uint32_t flood_bits, uint32_t n_releases) {
    int exponent;
    (void)frexp(up * n_releases * sqrt(degree) * (noise + sqrt(degree)), &exponent);
    return (uint32_t)exponent + flood_bits - 1;
}

/* Uniform on [-W, W): Hoeffding with ranges 2 W |cos|, 16 of whose roots are 16 W sqrt(N / 2); and the mean, -1/2. */
double msfl_ckks_flood_error(uint32_t degree, uint32_t log2_w) {
    return up * (MSFL_CKKS_DEVIATIONS * ldexp(1, (int)log2_w) * sqrt(degree / 2.0) + degree / 2.0);
}

msfl_status msfl_ckks_room(const msfl_ckks *ctx, const msfl_ckks_bounds *b, uint32_t level, const char *what) {
    double phase = up * (b->scale * b->magnitude + b->error + b->noise), q = ctx->q[level - 1];
    if (2 * phase <= MSFL_CKKS_ROOM * q) return MSFL_OK;
    return msfl_fail(
        MSFL_ERR_LIMIT,
        "%s: numbers up to 2^%.2f at scale 2^%.2f do not fit the 2^%.2f of level %u. Rescale before, state "
        "smaller magnitudes, or plan for more depth or a larger value_max",
        what, log2(b->magnitude), log2(b->scale), log2(q), level);
}

bool msfl_ckks_sane(const msfl_ckks_bounds *b) {
    int exponent;
    bool finite =
        isfinite(b->scale) && isfinite(b->noise) && isfinite(b->error) && isfinite(b->magnitude) && isfinite(b->step);
    return finite && b->scale >= 0x1p-40 && b->noise >= 0 && b->error >= 0 && b->magnitude >= 0 &&
           (b->step == 0 || (b->step > 0x1p-200 && b->step < 0x1p200 && frexp(b->step, &exponent) == 0.5));
}
