/* The inner loop of quantising: one table per instruction set, all bit for bit equal. */
#ifndef MSFL_UPDATE_KERNEL_H
#define MSFL_UPDATE_KERNEL_H

#include <stddef.h>
#include <stdint.h>

/** Values of one call; keeps the count of clipped values within 32 bits per lane. */
enum { MSFL_QUANTISE_BLOCK = 1024 };

/**
 * For i < n <= MSFL_QUANTISE_BLOCK:
 *
 *   c      = clip x[i] to [-clip, clip]        (NaN becomes -clip: defined, though callers refuse it earlier)
 *   w      = c * scale - 1/2                   two roundings, never a fused multiply-add
 *   out[i] = middle + floor(w) + (random[i] / 2^32 < w - floor(w))      modulo 2^32
 *
 * Requires: |clip * scale| <= middle - 1/2 with middle = 2^(b-1), so that floor(w) is in [-2^(b-1), 2^(b-1) - 1] and
 *           reaches the upper end only with w - floor(w) = 0.
 * Ensures:  out[i] <= 2^b - 1. The result is 1 up with probability ceil(2^32 f) / 2^32, f the fraction: at most 2^-32
 *           too often.
 * Returns how many values lay outside [-clip, clip].
 */
typedef uint32_t (*msfl_quantise_fn)(const float *x, const uint32_t *random, size_t n, float clip, double scale,
                                     uint32_t middle, uint32_t *out);

typedef struct msfl_quantise_kernel {
    const char *name;
    msfl_quantise_fn quantise;
} msfl_quantise_kernel;

extern const msfl_quantise_kernel msfl_quantise_generic;
#if defined(__x86_64__)
extern const msfl_quantise_kernel msfl_quantise_avx2;
#endif

/** The best table that this machine runs, or the one that MSFL_KERNEL in the environment names. Chosen once. */
const msfl_quantise_kernel *msfl_quantise_kernel_best(void);

#endif
