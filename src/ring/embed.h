/* The canonical embedding of Z[x]/(x^N + 1) in doubles, and what stands between doubles and residues.
 *
 * A real polynomial m of N = 2 n coefficients is the complex vector w_k = m_k + i m_{k+n}. At every root
 * zeta^r, zeta = exp(i pi / N), r = 1 mod 4, x^n is i, so that m(zeta^r) = sum_k w_k zeta^(r k): n complex values
 * determine m, those at the other roots are their conjugates. *Position* k belongs to r = 4 brv(k) + 1, brv over log2 n
 * bits.
 *
 * The same source is compiled for every instruction set without fused operations, and every butterfly is done on its
 * own, so that all tables give the same doubles bit for bit.
 *
 * Rounding (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., theorem 24.2, whose proof holds for these
 * stages as for Cooley and Tukey's): the error of either direction has an Euclidean norm of at most
 * log2(n) 7 2^-53 / (1 - log2(n) 7 2^-53) times that of the result.
 */
#ifndef MSFL_RING_EMBED_H
#define MSFL_RING_EMBED_H

#include "ring/kernel.h"

enum { MSFL_EMBED_SLOTS_MIN = 64, MSFL_EMBED_SLOTS_MAX = 16384 };

/* Largest magnitude that `quantise` rounds exactly and `residues` reduces. */
#define MSFL_EMBED_MAX 0x1p50

/** The nearest integer, even on ties, for |x| <= 2^51: 1.5 2^52 + x has no bits behind the point. */
static inline double msfl_embed_round(double x) {
    return (x + 0x1.8p52) - 0x1.8p52;
}

struct msfl_embed;

typedef struct msfl_embed_kernel {
    const char *name;
    bool (*supported)(void);
    /** Doubles of tables beside the common roots. */
    size_t (*table_doubles)(size_t n);
    void (*tables)(struct msfl_embed *e);
    /** w to the values at all positions, and back times n. In place; `re` and `im` hold n, aligned to 64 bytes. */
    void (*to_slots)(const struct msfl_embed *e, double *re, double *im);
    void (*to_coefficients)(const struct msfl_embed *e, double *re, double *im);
    /** x <- x factor, rounded to the nearest integer (even on ties). False if one is not below 2^50 or not a number. */
    bool (*quantise)(double *x, double factor, size_t n);
    /** Canonical residues of the integers x + noise, |x| <= 2^50 + 2^31; `noise` may be NULL. */
    void (*residues)(uint64_t *out, const double *x, const int8_t *noise, uint64_t p, size_t n);
    /** Canonical residues to the integers of least magnitude. */
    void (*centre)(double *out, const uint64_t *residues, uint64_t p, size_t n);
    /** x <- values - half, as doubles. Returns the bitwise or of all values. */
    uint32_t (*load)(double *x, const uint32_t *values, double half, size_t n);
    /** totals <- x factor + offset, rounded. False if one is more than `tolerance` away from its integer, or that is
     *  not in [0, total_max]. offset + total_max < 2^51. */
    bool (*totals)(uint64_t *totals, const double *x, double factor, double offset, double tolerance, double total_max,
                   size_t n);
    /** max re^2 + im^2; n is a multiple of 8. */
    double (*largest)(const double *re, const double *im, size_t n);
} msfl_embed_kernel;

/** Tables for one N. Immutable after init. */
typedef struct msfl_embed {
    const msfl_embed_kernel *kernel;
    size_t n; /**< N / 2, a power of two, 64 to 16384 */
    uint32_t log_n;
    /* Root k, 1 <= k < n, of the splitting x^2h - rho^2 = (x^h - rho)(x^h + rho) of node k; node k has the children
     * 2 k (of + rho) and 2 k + 1. */
    double *root_re, *root_im;
    double *tile;       /**< the kernel's own */
    uint32_t *position; /**< [n]: slot j stands at position[j], whose root is zeta^(5^j) */
} msfl_embed;

/** The table that MSFL_KERNEL in the environment names, if there is one of that name, else the fastest. */
const msfl_embed_kernel *msfl_embed_choose(void);
/** All tables, NULL at the end. */
const msfl_embed_kernel *const *msfl_embed_kernels(void);

msfl_status msfl_embed_init(msfl_embed *e, const msfl_embed_kernel *kernel, uint32_t degree) MSFL_NODISCARD;
void msfl_embed_clear(msfl_embed *e);

/** log2(n) 7 2^-53, a little more: the relative error of a transform, in Euclidean norm. */
double msfl_embed_error(const msfl_embed *e);
/** Upper bound on max |x(zeta^r)| of the polynomial of N = 2 n coefficients `x`, which is overwritten. */
double msfl_embed_norm(const msfl_embed *e, double *x);

#endif
