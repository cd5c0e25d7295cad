/* The inner loops over values and totals: one table per instruction set, all bit for bit equal. No branch and no
 * address depends on what the arrays hold; of `finite` and `within`, only the outcome does. */
#ifndef MSFL_UPDATE_KERNEL_H
#define MSFL_UPDATE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MSFL_GROUP_SLOTS = 32, /* slots that are rounded together */
    MSFL_GROUP_WORDS = 16  /* random words that they share: 16 fresh bits per slot */
};

/** How the values of one range become integers of b bits. msfl_rounding_rule_of makes one. */
typedef struct msfl_rounding_rule {
    float clip;           /**< C */
    uint32_t shift;       /**< F = min(32, 52 - b): bits of fraction, 20 to 32 */
    double scale;         /**< s; requires |C s| <= (2^b - 1)/2 as rounded */
    double base;          /**< 2^(52 - F) + (2^b - 1)/2 */
    uint32_t value_mask;  /**< 2^b - 1 */
    uint32_t random_mask; /**< 2^F - 1 */
} msfl_rounding_rule;

typedef struct msfl_update_kernel {
    const char *name;
    bool (*supported)(void);

    /**
     * n groups of slots. For slot l of a group:
     *
     *   c   = clip x[l] to [-C, C]                      (NaN becomes -C: defined, though callers refuse it earlier)
     *   t   = c s + base                                two roundings, never a fused multiply-add
     *   Y   = low 52 bits of t: (c s + (2^b - 1)/2) 2^F as an integer, 0 <= Y <= (2^b - 1) 2^F
     *   r   = low F bits of word 2 (l mod 8) + (l / 8 mod 2), rotated by 16 bits if l >= 16
     *   out = (Y + r) >> F                              at most 2^b - 1, as r < 2^F
     *
     * t lies in [2^(52-F), 2^(53-F)), where doubles are multiples of 2^-F: c s is in [-(2^b - 1)/2, (2^b - 1)/2] by the
     * requirement on s, rounding never reverses an order, and 2^b - 1 < 2^(52-F). So adding `base` is what rounds c s
     * to F bits of fraction, and Y needs no conversion. As r is uniform, E out = Y / 2^F exactly, at most 5/8 2^-F from
     * c s + (2^b - 1)/2: half of 2^-F for the sum, and 2^(b-55) <= 2^-F / 8 for the product.
     * Returns how many values lay outside [-C, C].
     */
    uint32_t (*quantise)(const msfl_rounding_rule *rule, uint32_t *out, const float *x, const uint32_t *words,
                         size_t n_groups);
    /** Whether none of the n values is NaN or infinite. */
    bool (*finite)(const float *x, size_t n);
    /** Whether all n totals are in [low, high]. */
    bool (*within)(const uint64_t *totals, size_t n, uint64_t low, uint64_t high);
    /** mean[i] = (2 totals[i] - offset) step, as a double, to the nearest float, at most FLT_MAX in magnitude.
     * Requires: totals and offset at most 2^48, step finite. */
    void (*decode)(float *mean, const uint64_t *totals, size_t n, uint64_t offset, double step);
} msfl_update_kernel;

extern const msfl_update_kernel msfl_update_generic;
#if defined(__x86_64__)
extern const msfl_update_kernel msfl_update_avx2;
extern const msfl_update_kernel msfl_update_avx512;
/** Ask for what lies 3 KiB after `at`, which this loop soon reads or writes: the processor's own prefetching ends at
 *  each page. Reads nothing, so it may be beyond the array. */
#define MSFL_PREFETCH(at, write) __builtin_prefetch((const void *)((uintptr_t)(at) + 3072), write)
#endif

/** All tables in this build, NULL at the end; the fastest last. */
const msfl_update_kernel *const *msfl_update_kernels(void);

/** The fastest that this processor supports if `wanted` is NULL or empty, or the one of that name (any avx512... names
 *  avx512: the tables of the ring may be finer). A name that is unknown or not supported gives the generic one; it is
 *  the ring that refuses it, with a message. */
const msfl_update_kernel *msfl_update_kernel_named(const char *wanted);

/** The one that MSFL_KERNEL in the environment names. Chosen once. */
const msfl_update_kernel *msfl_update_kernel_best(void);

#endif
