/* The negacyclic number theoretic transform in doubles.
 *
 * Stages are done two at a time: such a chain is short enough for the processor to overlap several, which three stages
 * at a time are not. A butterfly of four lanes then takes 3.2 cycles; its eight operations alone take 2.7 (measured on
 * Zen 3, where additions wait for the third operand of a fused multiply-add).
 *
 * Bounds as in avx2.h; "tight" is p < 2^50 with products of at most (1/2 + 3 b / 16) p and sums of at most
 * 8 p <= 2^53, "roomy" is p < 2^48 with (1/2 + 3 b / 64) p and 32 p. */
#include "ring/kernels/avx2.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/** Rows to columns: lane l of row r becomes lane r of row l. */
ALWAYS_INLINE void transpose4(v4d x[4]) {
    v4d a = _mm256_unpacklo_pd(x[0], x[1]), b = _mm256_unpackhi_pd(x[0], x[1]);
    v4d c = _mm256_unpacklo_pd(x[2], x[3]), d = _mm256_unpackhi_pd(x[2], x[3]);
    x[0] = _mm256_permute2f128_pd(a, c, 0x20);
    x[1] = _mm256_permute2f128_pd(b, d, 0x20);
    x[2] = _mm256_permute2f128_pd(a, c, 0x31);
    x[3] = _mm256_permute2f128_pd(b, d, 0x31);
}

/** Gentleman-Sande: (u, v) <- (u + v, (u - v) w). With both at most b p, the sum is at most 2 b p. */
ALWAYS_INLINE void undo(v4d *u, v4d *v, v4d w, lanes_modulus m) {
    v4d d = _mm256_sub_pd(*u, *v);
    *u = _mm256_add_pd(*u, *v);
    *v = multiply4(d, w, m);
}

/** A root in all lanes, and its quotient by p. */
typedef struct root {
    v4d w, w_over_p;
} root;

ALWAYS_INLINE root load_root(const double *pair) {
    return (root){_mm256_broadcast_sd(pair), _mm256_broadcast_sd(pair + 1)};
}

/** The same with a quotient at hand, so that the rounding to q need not wait for the product; one rounding less, too:
 *  (1/2 + b / 8) p, below the general bound. Roomy: |d| <= 16 p <= 2^52. Tight: |d| <= 8 p. */
ALWAYS_INLINE void undo_by(v4d *u, v4d *v, root r, bool roomy, lanes_modulus m) {
    v4d d = _mm256_sub_pd(*u, *v);
    *u = _mm256_add_pd(*u, *v);
    v4d q = roomy ? round_product4(d, r.w_over_p) : round4(_mm256_mul_pd(d, r.w_over_p));
    *v = multiply_less4(d, r.w, _mm256_mul_pd(d, r.w), q, m);
}

/* Stages of distance 1 and 2 on 16 cells, in columns. Entry: 1.0 (products with prepared operands are at most 0.69,
 * other callers' residues at most 1). Sums 2, products 0.88; then sums 4 (reduced when tight) and 1.76, products 1.25
 * and 0.83. Exit: 2 tight, 4 roomy. */
ALWAYS_INLINE void undo_near(v4d r[4], const double *w, bool roomy, lanes_modulus m) {
    for (int i = 0; i < 4; i++)
        expect4(r[i], 1.0, m);
    transpose4(r);
    undo(&r[0], &r[1], _mm256_load_pd(w), m);
    undo(&r[2], &r[3], _mm256_load_pd(w + 4), m);
    v4d w2 = _mm256_load_pd(w + 8);
    undo(&r[0], &r[2], w2, m);
    undo(&r[1], &r[3], w2, m);
    if (!roomy) r[0] = reduce4(r[0], m);
    transpose4(r);
}

/* Two stages on four vectors.
 * Entry: 2 tight, 4 roomy. Sums 4 (8), products 1.25 (0.88); then [0] 8 (16), reduced to 1/2; [1] 2.5, reduced (1.75);
 * products 2.0 and 0.97 (1.25 and 0.59). Exit: 2 tight, 1.75 roomy. */
ALWAYS_INLINE void undo_rows(v4d r[4], root w1, root w2, root w3, bool roomy, lanes_modulus m) {
    for (size_t i = 0; i < 4; i++)
        expect4(r[i], roomy ? 4.0 : 2.0, m);
    undo_by(&r[0], &r[1], w1, roomy, m);
    undo_by(&r[2], &r[3], w2, roomy, m);
    undo_by(&r[0], &r[2], w3, roomy, m);
    undo_by(&r[1], &r[3], w3, roomy, m);
    r[0] = reduce4(r[0], m);
    if (!roomy) r[1] = reduce4(r[1], m);
    for (size_t i = 0; i < 4; i++)
        expect4(r[i], roomy ? 1.75 : 2.0, m);
}

ALWAYS_INLINE void undo_two(double *x, size_t half, root w1, root w2, root w3, bool roomy, lanes_modulus m) {
    v4d r[4];
    for (size_t i = 0; i < 4; i++)
        r[i] = _mm256_load_pd(x + i * half);
    undo_rows(r, w1, w2, w3, roomy, m);
    for (size_t i = 0; i < 4; i++)
        _mm256_store_pd(x + i * half, r[i]);
}

/* One stage: sum 4 (8), reduced; product 1.25 (0.88). */
ALWAYS_INLINE void undo_one(double *x, size_t half, root w, bool roomy, lanes_modulus m) {
    v4d u = _mm256_load_pd(x), v = _mm256_load_pd(x + half);
    undo_by(&u, &v, w, roomy, m);
    _mm256_store_pd(x, reduce4(u, m));
    _mm256_store_pd(x + half, v);
}

/** Stages of distance `half` to `end` / 2 on the `count` cells from index `at`; pair n / (2 half) + b of `roots`
 * belongs to block b of 2 half cells. */
ALWAYS_INLINE void undo_stages(double *all, size_t n, size_t at, size_t count, size_t half, size_t end,
                               const double *roots, bool roomy, lanes_modulus m) {
    for (; 4 * half <= end; half *= 4) {
        for (size_t block = at; block < at + count; block += 4 * half) {
            const double *pairs = roots + 2 * ((n + block) / (2 * half));
            root w1 = load_root(pairs), w2 = load_root(pairs + 2),
                 w3 = load_root(roots + 2 * ((n + block) / (4 * half)));
            for (size_t i = 0; i < half; i += MSFL_LANES)
                undo_two(all + block + i, half, w1, w2, w3, roomy, m);
        }
    }
    for (; 2 * half <= end; half *= 2) {
        for (size_t block = at; block < at + count; block += 2 * half) {
            root w = load_root(roots + 2 * ((n + block) / (2 * half)));
            for (size_t i = 0; i < half; i += MSFL_LANES)
                undo_one(all + block + i, half, w, roomy, m);
        }
    }
}

/* Cells whose stages are done while they stay in the first-level cache: 32 KiB. */
enum { GROUP = 16, BLOCK = 4096 };

ALWAYS_INLINE void undo_all(double *x, size_t n, const msfl_avx2_tables *t, bool roomy, lanes_modulus m) {
    size_t block = n < BLOCK ? n : BLOCK;
    for (size_t from = 0; from < n; from += block) {
        /* Four stages on the first visit. */
        for (size_t at = from; at < from + block; at += GROUP) {
            v4d r[4] = {_mm256_load_pd(x + at), _mm256_load_pd(x + at + 4), _mm256_load_pd(x + at + 8),
                        _mm256_load_pd(x + at + 12)};
            undo_near(r, t->first + 12 * (at / GROUP), roomy, m);
            const double *pairs = t->inverse + 2 * ((n + at) / 8);
            undo_rows(r, load_root(pairs), load_root(pairs + 2), load_root(t->inverse + 2 * ((n + at) / 16)), roomy, m);
            for (size_t i = 0; i < 4; i++)
                _mm256_store_pd(x + at + 4 * i, r[i]);
        }
        undo_stages(x, n, from, block, GROUP, block, t->inverse, roomy, m);
    }
    undo_stages(x, n, 0, n, block, n, t->inverse, roomy, m);
}

void msfl_avx2_inverse(const msfl_modulus *m, msfl_cell *x) {
    const msfl_avx2_tables *t = msfl_avx2_tables_of(m);
    if (t->roomy) {
        undo_all(&x->d, m->degree, t, true, lanes_of(t));
    } else {
        undo_all(&x->d, m->degree, t, false, lanes_of(t));
    }
}

/** Cooley-Tukey: (u, v) <- (u + v w, u - v w). u is reduced, so with v at most b p the results are at most
 *  (1 + 3 b / 16) p, which stays below 1.24 p from any start below it. */
ALWAYS_INLINE void split(v4d *u, v4d *v, v4d w, lanes_modulus m) {
    v4d r = multiply4(*v, w, m);
    v4d a = reduce4(*u, m);
    *u = _mm256_add_pd(a, r);
    *v = _mm256_sub_pd(a, r);
    expect4(*u, 1.24, m);
    expect4(*v, 1.24, m);
}

/* One stage per pass and no quotients: a key is transformed once. */
void msfl_avx2_forward(const msfl_modulus *m, msfl_cell *cells) {
    const msfl_avx2_tables *t = msfl_avx2_tables_of(m);
    lanes_modulus lanes = lanes_of(t);
    double *x = &cells->d;
    size_t n = m->degree;
    for (size_t blocks = 1, half = n / 2; half >= MSFL_LANES; blocks *= 2, half /= 2) {
        for (size_t b = 0; b < blocks; b++) {
            v4d w = _mm256_broadcast_sd(t->forward + blocks + b);
            double *u = x + 2 * half * b;
            for (size_t i = 0; i < half; i += MSFL_LANES) {
                v4d a = _mm256_load_pd(u + i), c = _mm256_load_pd(u + half + i);
                split(&a, &c, w, lanes);
                _mm256_store_pd(u + i, a);
                _mm256_store_pd(u + half + i, c);
            }
        }
    }
    for (size_t i = 0; i < n; i += 16) {
        v4d r[4] = {_mm256_load_pd(x + i), _mm256_load_pd(x + i + 4), _mm256_load_pd(x + i + 8),
                    _mm256_load_pd(x + i + 12)};
        transpose4(r);
        v4d w = _mm256_load_pd(t->forward + n / 4 + i / 4);
        split(&r[0], &r[2], w, lanes);
        split(&r[1], &r[3], w, lanes);
        v4d a = _mm256_load_pd(t->forward + n / 2 + i / 2), b = _mm256_load_pd(t->forward + n / 2 + i / 2 + 4);
        split(&r[0], &r[1], _mm256_permute4x64_pd(_mm256_unpacklo_pd(a, b), 0xd8), lanes);
        split(&r[2], &r[3], _mm256_permute4x64_pd(_mm256_unpackhi_pd(a, b), 0xd8), lanes);
        transpose4(r);
        for (int k = 0; k < 4; k++)
            _mm256_store_pd(x + i + 4 * k, r[k]);
    }
}
