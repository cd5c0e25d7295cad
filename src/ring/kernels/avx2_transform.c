/* The negacyclic number theoretic transform in doubles. Bounds as in avx2.h; "tight" is p < 2^50 with products of at
 * most (1/2 + 3 b / 16) p and sums of at most 8 p <= 2^53, "roomy" is p < 2^48 with (1/2 + 3 b / 64) p and 32 p. */
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

ALWAYS_INLINE v4d spread_root(const double *w) {
    return _mm256_broadcast_sd(w);
}

/* Stages of distance 1, 2, 4, 8 on 16 cells.
 * Bounds: 0.69 on entry; 1.38 and 0.76 after distance 1; 2.76 and 1.02 after distance 2; then the lanes are mixed.
 * Distance 4: sums 5.6, products 1.56 tight (0.76 roomy).
 *   tight:  the sums are reduced to 0.5; distance 8: 1.0, 3.12 reduced to 0.5, products 0.7 and 1.1. Exit 1.1.
 *   roomy:  distance 8: sums 11.2 reduced to 0.5, and 1.6; products 1.03 and 0.58. Exit 1.6. */
ALWAYS_INLINE void undo16(double *x, const double *w, bool roomy, lanes_modulus m) {
    v4d r[4] = {_mm256_load_pd(x), _mm256_load_pd(x + 4), _mm256_load_pd(x + 8), _mm256_load_pd(x + 12)};
    for (int i = 0; i < 4; i++)
        expect4(r[i], 0.70, m);
    transpose4(r);
    undo(&r[0], &r[1], _mm256_load_pd(w), m);
    undo(&r[2], &r[3], _mm256_load_pd(w + 4), m);
    v4d w2 = _mm256_load_pd(w + 8);
    undo(&r[0], &r[2], w2, m);
    undo(&r[1], &r[3], w2, m);
    transpose4(r);
    undo(&r[0], &r[1], spread_root(w + 12), m);
    undo(&r[2], &r[3], spread_root(w + 13), m);
    if (!roomy) {
        r[0] = reduce4(r[0], m);
        r[2] = reduce4(r[2], m);
    }
    v4d w8 = spread_root(w + 14);
    undo(&r[0], &r[2], w8, m);
    undo(&r[1], &r[3], w8, m);
    if (roomy) {
        r[0] = reduce4(r[0], m);
    } else {
        r[1] = reduce4(r[1], m);
    }
    for (int i = 0; i < 4; i++) {
        expect4(r[i], 1.6, m);
        _mm256_store_pd(x + 4 * i, r[i]);
    }
}

/* Three stages on eight vectors at distance `half`; w1, w2, w3 point to 4, 2 and 1 roots.
 * Entry: 2 tight, 4 roomy. After the first stage sums 4 (8), products 1.25 (0.88).
 * Second, per half of the vectors: sums of sums 8, reduced to 0.5 (16); their product 2.0 (1.25); sums of products 2.5
 * (1.75); their product 0.97 (0.59).
 * Third:  [0] 1.0 (32, reduced);  [1] 5.0, reduced (3.5);  [2] 4.0, reduced (2.5);  [3] 1.94 (1.2);
 *         products of at most 1.44 (2.0).  Exit: 2 tight, 4 roomy. */
ALWAYS_INLINE void undo8(double *x, size_t half, const double *w1, const double *w2, const double *w3, bool roomy,
                         lanes_modulus m) {
    v4d r[8];
    for (int i = 0; i < 8; i++) {
        r[i] = _mm256_load_pd(x + i * half);
        expect4(r[i], roomy ? 4.0 : 2.0, m);
    }
    for (int i = 0; i < 4; i++)
        undo(&r[2 * i], &r[2 * i + 1], spread_root(w1 + i), m);
    for (int i = 0; i < 2; i++) {
        v4d w = spread_root(w2 + i);
        undo(&r[4 * i], &r[4 * i + 2], w, m);
        undo(&r[4 * i + 1], &r[4 * i + 3], w, m);
        if (!roomy) r[4 * i] = reduce4(r[4 * i], m);
    }
    v4d w = spread_root(w3);
    for (int i = 0; i < 4; i++)
        undo(&r[i], &r[i + 4], w, m);
    if (roomy) {
        r[0] = reduce4(r[0], m);
    } else {
        r[1] = reduce4(r[1], m);
        r[2] = reduce4(r[2], m);
    }
    for (int i = 0; i < 8; i++) {
        expect4(r[i], roomy ? 4.0 : 2.0, m);
        _mm256_store_pd(x + i * half, r[i]);
    }
}

/* Two stages on four vectors. Entry as above; sums 4 (8) and products 1.25 (0.88); then [0] 8 reduced (16 reduced),
 * [1] 2.5 reduced (1.75), products 2.0 and 0.97 (1.25 and 0.59). */
ALWAYS_INLINE void undo4(double *x, size_t half, const double *w1, const double *w2, bool roomy, lanes_modulus m) {
    v4d r[4];
    for (int i = 0; i < 4; i++) {
        r[i] = _mm256_load_pd(x + i * half);
        expect4(r[i], roomy ? 4.0 : 2.0, m);
    }
    undo(&r[0], &r[1], spread_root(w1), m);
    undo(&r[2], &r[3], spread_root(w1 + 1), m);
    v4d w = spread_root(w2);
    undo(&r[0], &r[2], w, m);
    undo(&r[1], &r[3], w, m);
    r[0] = reduce4(r[0], m);
    if (!roomy) r[1] = reduce4(r[1], m);
    for (int i = 0; i < 4; i++) {
        expect4(r[i], roomy ? 4.0 : 2.0, m);
        _mm256_store_pd(x + i * half, r[i]);
    }
}

/* One stage: sum 4 (8) reduced, product 1.25 (0.88). */
ALWAYS_INLINE void undo2(double *x, size_t half, const double *w1, lanes_modulus m) {
    v4d u = _mm256_load_pd(x), v = _mm256_load_pd(x + half);
    undo(&u, &v, spread_root(w1), m);
    _mm256_store_pd(x, reduce4(u, m));
    _mm256_store_pd(x + half, v);
}

/* Stages of distance `half` to `end` / 2 on the `count` cells from index `at`; `roots[n / (2 half) + b]` belongs to
 * block b of 2 half cells. */
ALWAYS_INLINE void undo_stages(double *all, size_t n, size_t at, size_t count, size_t half, size_t end,
                               const double *roots, bool roomy, lanes_modulus m) {
    while (half < end) {
        size_t ratio = end / half;
        /* Four stages are two passes of two. */
        size_t radix = ratio >= 8 && ratio != 16 ? 8 : ratio >= 4 ? 4 : 2;
        for (size_t block = at; block < at + count; block += radix * half) {
            const double *w1 = roots + (n + block) / (2 * half);
            const double *w2 = roots + (n + block) / (4 * half);
            const double *w3 = roots + (n + block) / (8 * half);
            double *x = all + block;
            for (size_t i = 0; i < half; i += MSFL_LANES) {
                if (radix == 8) {
                    undo8(x + i, half, w1, w2, w3, roomy, m);
                } else if (radix == 4) {
                    undo4(x + i, half, w1, w2, roomy, m);
                } else {
                    undo2(x + i, half, w1, m);
                }
            }
        }
        half *= radix;
    }
}

/* Cells that stay in the first-level cache while their stages are done: 8 KiB. */
enum { BLOCK = 1024 };

ALWAYS_INLINE void undo_all(double *x, size_t n, const msfl_avx2_tables *t, bool roomy, lanes_modulus m) {
    size_t block = n < BLOCK ? n : BLOCK;
    for (size_t at = 0; at < n; at += block) {
        for (size_t i = at; i < at + block; i += 16)
            undo16(x + i, t->inverse16 + i, roomy, m);
        undo_stages(x, n, at, block, 16, block, t->inverse, roomy, m);
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

/* Once per key and prime, so it is kept plain: one stage per pass. */
void msfl_avx2_forward(const msfl_modulus *m, msfl_cell *cells) {
    const msfl_avx2_tables *t = msfl_avx2_tables_of(m);
    lanes_modulus lanes = lanes_of(t);
    double *x = &cells->d;
    size_t n = m->degree;
    for (size_t blocks = 1, half = n / 2; half >= MSFL_LANES; blocks *= 2, half /= 2) {
        for (size_t b = 0; b < blocks; b++) {
            v4d w = spread_root(t->forward + blocks + b);
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
