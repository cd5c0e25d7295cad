/* The negacyclic number theoretic transform in integers of 52 bits.
 *
 * Stages are done three at a time on eight vectors, and six on the first (or last) visit: the three whose distance is
 * below a vector's eight cells work on pairs of vectors that are dealt out anew before each. Dealing puts the even
 * cells of both into one and the odd ones into the other, which turns the four bits of a cell's index among 16 by one
 * place: after four deals everything is back where it was.
 *
 * Bounds as in avx512.h. What comes in, and what is handed from one group of stages to the next, is below 4 p (2 p
 * between the groups of the inverse when p is not roomy). */
#include "ring/kernels/avx512.h"

/* NOLINTNEXTLINE(bugprone-macro-parentheses): a variable is declared with it */
#define EACH_ROW(i, n) _Pragma("GCC unroll 8") for (size_t i = 0; i < (n); i++)

typedef struct root {
    v8i w, v;
} root;

/** Root number k in all lanes. */
MSFL_INLINE512 root one_root(const uint64_t *w, const uint64_t *v, size_t k) {
    return (root){all8(w[k]), all8(v[k])};
}

MSFL_INLINE512 v8i deal_even(v8i a, v8i b) {
    return _mm512_permutex2var_epi64(a, _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), b);
}
MSFL_INLINE512 v8i deal_odd(v8i a, v8i b) {
    return _mm512_permutex2var_epi64(a, _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15), b);
}

MSFL_INLINE512 void deal(v8i r[2]) {
    v8i even = deal_even(r[0], r[1]), odd = deal_odd(r[0], r[1]);
    r[0] = even;
    r[1] = odd;
}

/** The reverse of `deal`. */
MSFL_INLINE512 void undeal(v8i r[2]) {
    v8i low = _mm512_permutex2var_epi64(r[0], _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), r[1]);
    v8i high = _mm512_permutex2var_epi64(r[0], _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15), r[1]);
    r[0] = low;
    r[1] = high;
}

/** Roots for the 16 cells from index i in the order that one, two or three deals leave them in, the distance being 1, 2
 *  or 4: pairs of neighbours have one root each, and later ones come in turns. */
MSFL_INLINE512 v8i roots_at_1(const uint64_t *w, size_t n, size_t i) {
    return _mm512_load_si512(w + (n + i) / 2);
}
MSFL_INLINE512 v8i roots_at_2(const uint64_t *w, size_t n, size_t i) {
    return _mm512_broadcast_i64x4(_mm256_load_si256((const __m256i *)(w + (n + i) / 4)));
}
MSFL_INLINE512 v8i roots_at_4(const uint64_t *w, size_t n, size_t i) {
    return _mm512_broadcast_i64x2(_mm_load_si128((const __m128i *)(w + (n + i) / 8)));
}

/* --- inverse --- */

/** Gentleman-Sande: (u, v) <- (u + v, (u - v) w). `lift` is a multiple of p that v does not exceed. */
MSFL_INLINE512 void undo(v8i *u, v8i *v, root r, v8i lift, lanes_prime m) {
    v8i d = _mm512_sub_epi64(_mm512_add_epi64(*u, lift), *v);
    *u = _mm512_add_epi64(*u, *v);
    *v = scale8(d, r.w, r.v, m);
}

/** The modulus of the inverse: with the multiples of p that keep differences from falling below zero. */
typedef struct inverse_prime {
    lanes_prime m;
    v8i p2, p4, p8;
    bool roomy;
} inverse_prime;

/** When p is not roomy every sum is reduced at once: values stay below 2 p, sums and differences below 4 p. */
MSFL_INLINE512 void undo_tight(v8i *u, v8i *v, root r, const inverse_prime *t) {
    undo(u, v, r, t->p2, t->m);
    *u = reduce8(*u, t->m);
}

/* Distances 1, 2 and 4 on the 16 cells at index i of n. Entry < 4p.
 * Roomy: sums 8; differences 4 + 4, products 1 + 8/16. Then sums 16, reduced to 2; differences 8 + 8, products 2. Then
 * sums 4; differences 2 + 2. Exit < 4p. */
MSFL_INLINE512 void undo_near(v8i r[2], const msfl_avx512_tables *tables, size_t n, size_t i, const inverse_prime *t) {
    const uint64_t *w = tables->inverse, *v = tables->inverse_v;
    lanes_prime m = t->m;
    root r1 = {roots_at_1(w, n, i), roots_at_1(v, n, i)}, r2 = {roots_at_2(w, n, i), roots_at_2(v, n, i)},
         r4 = {roots_at_4(w, n, i), roots_at_4(v, n, i)};
    expect8(r[0], 4, m);
    expect8(r[1], 4, m);
    deal(r);
    if (t->roomy) {
        undo(&r[0], &r[1], r1, t->p4, m);
        deal(r);
        undo(&r[0], &r[1], r2, t->p8, m);
        r[0] = reduce8(r[0], m);
        deal(r);
        undo(&r[0], &r[1], r4, t->p2, m);
    } else {
        r[0] = reduce8(r[0], m);
        r[1] = reduce8(r[1], m);
        undo_tight(&r[0], &r[1], r1, t);
        deal(r);
        undo_tight(&r[0], &r[1], r2, t);
        deal(r);
        undo_tight(&r[0], &r[1], r4, t);
    }
    deal(r);
}

/* Three stages on eight vectors that are `half` cells apart; the first of them at index `at` of n.
 * Roomy, entry < 4p. First stage: sums 8, products 1.5. Second: [0] and [4] 16, reduced to 2; [2] and [6] products of
 * 8 + 8, so 2; [1] and [5] 3; [3] and [7] products of 1.5 + 2. Third: [0] 4, [1] 6, reduced to 2, [2] 4, [3] 2.5; the
 * products of at most 3 + 4. Exit < 4p. */
MSFL_INLINE512 void undo_eight(v8i r[8], const msfl_avx512_tables *tables, size_t n, size_t at, size_t half,
                               const inverse_prime *t) {
    const uint64_t *w = tables->inverse, *v = tables->inverse_v;
    size_t first = (n + at) / (2 * half);
    root r1[4] = {one_root(w, v, first), one_root(w, v, first + 1), one_root(w, v, first + 2),
                  one_root(w, v, first + 3)};
    root r2[2] = {one_root(w, v, first / 2), one_root(w, v, first / 2 + 1)}, r4 = one_root(w, v, first / 4);
    lanes_prime m = t->m;
    if (t->roomy) {
        EACH_ROW(i, 4)
        undo(&r[2 * i], &r[2 * i + 1], r1[i], t->p4, m);
        EACH_ROW(i, 2) {
            undo(&r[4 * i], &r[4 * i + 2], r2[i], t->p8, m);
            r[4 * i] = reduce8(r[4 * i], m);
            undo(&r[4 * i + 1], &r[4 * i + 3], r2[i], t->p2, m);
        }
        undo(&r[0], &r[4], r4, t->p2, m);
        undo(&r[1], &r[5], r4, t->p4, m);
        r[1] = reduce8(r[1], m);
        undo(&r[2], &r[6], r4, t->p2, m);
        undo(&r[3], &r[7], r4, t->p2, m);
    } else {
        EACH_ROW(i, 4)
        undo_tight(&r[2 * i], &r[2 * i + 1], r1[i], t);
        EACH_ROW(i, 4)
        undo_tight(&r[i / 2 * 4 + i % 2], &r[i / 2 * 4 + i % 2 + 2], r2[i / 2], t);
        EACH_ROW(i, 4)
        undo_tight(&r[i], &r[i + 4], r4, t);
    }
}

/* Two stages. Roomy, entry < 4p: sums 8, products 1.5; then [0] 16, reduced; [1] 3; products of 8 + 8. Exit < 3p. */
MSFL_INLINE512 void undo_four(v8i r[4], const msfl_avx512_tables *tables, size_t n, size_t at, size_t half,
                              const inverse_prime *t) {
    const uint64_t *w = tables->inverse, *v = tables->inverse_v;
    size_t first = (n + at) / (2 * half);
    root r1[2] = {one_root(w, v, first), one_root(w, v, first + 1)}, r2 = one_root(w, v, first / 2);
    if (t->roomy) {
        undo(&r[0], &r[1], r1[0], t->p4, t->m);
        undo(&r[2], &r[3], r1[1], t->p4, t->m);
        undo(&r[0], &r[2], r2, t->p8, t->m);
        r[0] = reduce8(r[0], t->m);
        undo(&r[1], &r[3], r2, t->p2, t->m);
    } else {
        EACH_ROW(i, 2)
        undo_tight(&r[2 * i], &r[2 * i + 1], r1[i], t);
        EACH_ROW(i, 2)
        undo_tight(&r[i], &r[i + 2], r2, t);
    }
}

/* One stage. Roomy: sums 8, reduced; products 1.5. */
MSFL_INLINE512 void undo_two(v8i r[2], const msfl_avx512_tables *tables, size_t n, size_t at, size_t half,
                             const inverse_prime *t) {
    root w = one_root(tables->inverse, tables->inverse_v, (n + at) / (2 * half));
    undo(&r[0], &r[1], w, t->roomy ? t->p4 : t->p2, t->m);
    r[0] = reduce8(r[0], t->m);
}

/** How many stages to do together when `left` are to be done: three as often as possible, one only if it is the last.
 */
static inline unsigned stages_of(unsigned left) {
    return left == 1 ? 1 : left % 3 == 0 ? 3 : 2;
}

/** `stages` stages from distance `half` on, on the `count` cells from index `from`. */
MSFL_INLINE512 void undo_stages(uint64_t *x, const msfl_avx512_tables *tables, size_t n, size_t from, size_t count,
                                size_t half, unsigned stages, const inverse_prime *t) {
    size_t rows = (size_t)1 << stages;
    for (size_t at = from; at < from + count; at += rows * half) {
        for (size_t i = at; i < at + half; i += MSFL_LANES512) {
            v8i r[8];
            EACH_ROW(k, rows) {
                r[k] = _mm512_load_si512(x + i + k * half);
                expect8(r[k], t->roomy ? 4 : 2, t->m);
            }
            if (stages == 3) {
                undo_eight(r, tables, n, at, half, t);
            } else if (stages == 2) {
                undo_four(r, tables, n, at, half, t);
            } else {
                undo_two(r, tables, n, at, half, t);
            }
            EACH_ROW(k, rows)
            _mm512_store_si512(x + i + k * half, r[k]);
        }
    }
}

/** All stages of distance `half` to `end` / 2. */
MSFL_INLINE512 void undo_range(uint64_t *x, const msfl_avx512_tables *tables, size_t n, size_t from, size_t count,
                               size_t half, size_t end, const inverse_prime *t) {
    for (unsigned left = (unsigned)(__builtin_ctzll(end) - __builtin_ctzll(half)), now; left > 0;
         left -= now, half <<= now) {
        now = stages_of(left);
        if (now == 3) {
            undo_stages(x, tables, n, from, count, half, 3, t);
        } else if (now == 2) {
            undo_stages(x, tables, n, from, count, half, 2, t);
        } else {
            undo_stages(x, tables, n, from, count, half, 1, t);
        }
    }
}

enum {
    GROUP = 64,  /* cells of the first visit: eight vectors */
    BLOCK = 2048 /* cells whose stages are done while they stay in the first-level cache: 16 KiB */
};

MSFL_INLINE512 void undo_all(uint64_t *x, const msfl_avx512_tables *tables, size_t n, bool roomy) {
    inverse_prime t = {.m = lanes_of(tables), .roomy = roomy};
    t.p2 = all8(2 * tables->p);
    t.p4 = all8(4 * tables->p);
    t.p8 = all8(8 * tables->p);
    size_t block = n < BLOCK ? n : BLOCK;
    for (size_t from = 0; from < n; from += block) {
        for (size_t at = from; at < from + block; at += GROUP) {
            v8i r[8];
            EACH_ROW(k, 8)
            r[k] = _mm512_load_si512(x + at + k * MSFL_LANES512);
            EACH_ROW(k, 4)
            undo_near(r + 2 * k, tables, n, at + 16 * k, &t);
            undo_eight(r, tables, n, at, MSFL_LANES512, &t);
            EACH_ROW(k, 8)
            _mm512_store_si512(x + at + k * MSFL_LANES512, r[k]);
        }
        undo_range(x, tables, n, from, block, GROUP, block, &t);
    }
    undo_range(x, tables, n, 0, n, block, n, &t);
}

void msfl_avx512_inverse(const msfl_modulus *m, msfl_cell *x) {
    const msfl_avx512_tables *t = msfl_avx512_tables_of(m);
    if (t->roomy) {
        undo_all(&x->u, t, m->degree, true);
    } else {
        undo_all(&x->u, t, m->degree, false);
    }
}

/* --- forward --- */

typedef struct forward_prime {
    lanes_prime m;
    v8i p2;
} forward_prime;

/** Cooley-Tukey: (u, v) <- (u + v w, u - v w). Both < 4p on entry; u is reduced to 2, the product is below 2. */
MSFL_INLINE512 void split(v8i *u, v8i *v, root r, const forward_prime *t) {
    v8i b = scale8(*v, r.w, r.v, t->m), a = reduce8(*u, t->m);
    *u = _mm512_add_epi64(a, b);
    *v = _mm512_sub_epi64(_mm512_add_epi64(a, t->p2), b);
    expect8(*u, 4, t->m);
    expect8(*v, 4, t->m);
}

/** `stages` stages down to distance `half` on the rows at index `at` of n, which are `half` cells apart. */
MSFL_INLINE512 void split_rows(v8i *r, const msfl_avx512_tables *tables, size_t n, size_t at, size_t half,
                               unsigned stages, const forward_prime *t) {
    for (unsigned s = stages; s-- > 0;) {
        size_t distance = (size_t)1 << s, first = (n + at) / (2 * half << s);
        EACH_ROW(i, ((size_t)1 << stages) / 2) {
            size_t block = i / distance, u = 2 * distance * block + i % distance;
            split(&r[u], &r[u + distance], one_root(tables->forward, tables->forward_v, first + block), t);
        }
    }
}

MSFL_INLINE512 void split_stages(uint64_t *x, const msfl_avx512_tables *tables, size_t n, size_t half, unsigned stages,
                                 const forward_prime *t) {
    size_t rows = (size_t)1 << stages;
    for (size_t at = 0; at < n; at += rows * half) {
        for (size_t i = at; i < at + half; i += MSFL_LANES512) {
            v8i r[8];
            EACH_ROW(k, rows)
            r[k] = _mm512_load_si512(x + i + k * half);
            split_rows(r, tables, n, at, half, stages, t);
            EACH_ROW(k, rows)
            _mm512_store_si512(x + i + k * half, r[k]);
        }
    }
}

/** Distances 4, 2 and 1 on the 16 cells at index i of n. */
MSFL_INLINE512 void split_near(v8i r[2], const msfl_avx512_tables *tables, size_t n, size_t i, const forward_prime *t) {
    const uint64_t *w = tables->forward, *v = tables->forward_v;
    undeal(r);
    split(&r[0], &r[1], (root){roots_at_4(w, n, i), roots_at_4(v, n, i)}, t);
    undeal(r);
    split(&r[0], &r[1], (root){roots_at_2(w, n, i), roots_at_2(v, n, i)}, t);
    undeal(r);
    split(&r[0], &r[1], (root){roots_at_1(w, n, i), roots_at_1(v, n, i)}, t);
    undeal(r);
}

void msfl_avx512_forward(const msfl_modulus *m, msfl_cell *cells) {
    const msfl_avx512_tables *tables = msfl_avx512_tables_of(m);
    forward_prime t = {lanes_of(tables), all8(2 * tables->p)};
    uint64_t *x = &cells->u;
    size_t n = m->degree, half = n;
    for (unsigned left = (unsigned)__builtin_ctzll(n / GROUP), now; left > 0; left -= now) {
        now = stages_of(left);
        half >>= now;
        if (now == 3) {
            split_stages(x, tables, n, half, 3, &t);
        } else if (now == 2) {
            split_stages(x, tables, n, half, 2, &t);
        } else {
            split_stages(x, tables, n, half, 1, &t);
        }
    }
    for (size_t at = 0; at < n; at += GROUP) {
        v8i r[8];
        EACH_ROW(k, 8)
        r[k] = _mm512_load_si512(x + at + k * MSFL_LANES512);
        split_rows(r, tables, n, at, MSFL_LANES512, 3, &t);
        EACH_ROW(k, 4)
        split_near(r + 2 * k, tables, n, at + 16 * k, &t);
        EACH_ROW(k, 8)
        _mm512_store_si512(x + at + k * MSFL_LANES512, r[k]);
    }
}
