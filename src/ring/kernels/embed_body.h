/* The body of an embedding table: LANES doubles at a time, a power of two; TABLE is the name of the table. Included by
 * one file for each instruction set and compiled with its flags. No fused operations (-ffp-contract=off): see embed.h.
 * No branch and no address depends on data, except for the outcome that is returned. */
#include "ring/embed.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

#if LANES > 1
typedef double vec __attribute__((vector_size(8 * LANES)));
#else
typedef double vec;
#endif
/** The same where doubles lie. */
typedef vec __attribute__((may_alias)) vec_memory;

INLINE vec get(const double *p) {
    return *(const vec_memory *)(const void *)p;
}
INLINE void put(double *p, vec v) {
    *(vec_memory *)(void *)p = v;
}
INLINE vec all(double x) {
#if LANES > 1
    return x - (vec){0};
#else
    return x;
#endif
}

/** A complex vector. */
typedef struct pair {
    vec re, im;
} pair;

INLINE pair load_pair(const double *re, const double *im, size_t at) {
    return (pair){get(re + at), get(im + at)};
}
INLINE void store_pair(double *re, double *im, size_t at, pair x) {
    put(re + at, x.re);
    put(im + at, x.im);
}
INLINE pair root_of(const msfl_embed *e, size_t node) {
    return (pair){all(e->root_re[node]), all(e->root_im[node])};
}

/** (u, v) <- (u + v w, u - v w) */
INLINE void split(pair *u, pair *v, pair w) {
    pair t = {v->re * w.re - v->im * w.im, v->re * w.im + v->im * w.re};
    *v = (pair){u->re - t.re, u->im - t.im};
    *u = (pair){u->re + t.re, u->im + t.im};
}

/** (u, v) <- (u + v, (u - v) / w), |w| = 1 */
INLINE void join(pair *u, pair *v, pair w) {
    pair d = {u->re - v->re, u->im - v->im};
    *u = (pair){u->re + v->re, u->im + v->im};
    *v = (pair){d.re * w.re + d.im * w.im, d.im * w.re - d.re * w.im};
}

/* --- stages of distance LANES / 2 to 1, in columns --- */

static size_t table_doubles(size_t n) {
    return LANES > 1 ? 2 * n : 0;
}

#if LANES > 1
/* Lane l of row r becomes lane r of row l, one bit of the indices at a time. */
INLINE void exchange(vec *a, vec *b, size_t distance) {
#if LANES == 8
    typedef long long lanes __attribute__((vector_size(64)));
    static const lanes low[3] = {{0, 8, 2, 10, 4, 12, 6, 14}, {0, 1, 8, 9, 4, 5, 12, 13}, {0, 1, 2, 3, 8, 9, 10, 11}};
    static const lanes high[3] = {
        {1, 9, 3, 11, 5, 13, 7, 15}, {2, 3, 10, 11, 6, 7, 14, 15}, {4, 5, 6, 7, 12, 13, 14, 15}};
    size_t bit = distance == 1 ? 0 : distance == 2 ? 1 : 2;
    vec x = (vec)_mm512_permutex2var_pd((__m512d)*a, (__m512i)low[bit], (__m512d)*b);
    vec y = (vec)_mm512_permutex2var_pd((__m512d)*a, (__m512i)high[bit], (__m512d)*b);
#else
    vec x = distance == 1 ? (vec)_mm256_unpacklo_pd((__m256d)*a, (__m256d)*b)
                          : (vec)_mm256_permute2f128_pd((__m256d)*a, (__m256d)*b, 0x20);
    vec y = distance == 1 ? (vec)_mm256_unpackhi_pd((__m256d)*a, (__m256d)*b)
                          : (vec)_mm256_permute2f128_pd((__m256d)*a, (__m256d)*b, 0x31);
#endif
    *a = x;
    *b = y;
}

INLINE void transpose(vec x[LANES]) {
    for (size_t distance = 1; distance < LANES; distance *= 2) {
        for (size_t r = 0; r < LANES; r++) {
            if ((r & distance) == 0) exchange(&x[r], &x[r + distance], distance);
        }
    }
}

enum { TILE = LANES * LANES, TILE_ROOTS = 2 * LANES * (LANES - 1) };

/* For each tile: stages of distance LANES / 2 down to 1, for each block c of 2 h rows the roots of all lanes: real
 * parts, then imaginary parts. */
static void tables(struct msfl_embed *e) {
    double *out = e->tile;
    for (size_t base = 0; base < e->n; base += TILE) {
        for (size_t h = LANES / 2; h >= 1; h /= 2) {
            for (size_t c = 0; c < LANES / (2 * h); c++, out += 2 * LANES) {
                for (size_t l = 0; l < LANES; l++) {
                    size_t node = (e->n + base + l * LANES) / (2 * h) + c;
                    out[l] = e->root_re[node];
                    out[LANES + l] = e->root_im[node];
                }
            }
        }
    }
}

INLINE void split_tile(double *re, double *im, const double *roots) {
    vec x[LANES], y[LANES];
    for (size_t r = 0; r < LANES; r++) {
        x[r] = get(re + LANES * r);
        y[r] = get(im + LANES * r);
    }
    transpose(x);
    transpose(y);
    for (size_t h = LANES / 2; h >= 1; h /= 2) {
        for (size_t c = 0; c < LANES / (2 * h); c++, roots += 2 * LANES) {
            pair w = {get(roots), get(roots + LANES)};
            for (size_t r = 2 * h * c; r < 2 * h * c + h; r++) {
                pair u = {x[r], y[r]}, v = {x[r + h], y[r + h]};
                split(&u, &v, w);
                x[r] = u.re;
                y[r] = u.im;
                x[r + h] = v.re;
                y[r + h] = v.im;
            }
        }
    }
    transpose(x);
    transpose(y);
    for (size_t r = 0; r < LANES; r++) {
        put(re + LANES * r, x[r]);
        put(im + LANES * r, y[r]);
    }
}

INLINE void join_tile(double *re, double *im, const double *roots) {
    vec x[LANES], y[LANES];
    for (size_t r = 0; r < LANES; r++) {
        x[r] = get(re + LANES * r);
        y[r] = get(im + LANES * r);
    }
    transpose(x);
    transpose(y);
    for (size_t h = 1; h < LANES; h *= 2) {
        /* Before the stage of distance h stand LANES / (2 h) - 1 blocks. */
        const double *row = roots + 2 * LANES * (LANES / (2 * h) - 1);
        for (size_t c = 0; c < LANES / (2 * h); c++, row += 2 * LANES) {
            pair w = {get(row), get(row + LANES)};
            for (size_t r = 2 * h * c; r < 2 * h * c + h; r++) {
                pair u = {x[r], y[r]}, v = {x[r + h], y[r + h]};
                join(&u, &v, w);
                x[r] = u.re;
                y[r] = u.im;
                x[r + h] = v.re;
                y[r + h] = v.im;
            }
        }
    }
    transpose(x);
    transpose(y);
    for (size_t r = 0; r < LANES; r++) {
        put(re + LANES * r, x[r]);
        put(im + LANES * r, y[r]);
    }
}
#else
static void tables(struct msfl_embed *e) {
    (void)e;
}
#endif

/* --- stages of distance LANES and more, two at a time --- */

/** Stages of distance 2 h and h on four vectors at distance h under `node`. */
INLINE void split_two(const msfl_embed *e, double *re, double *im, size_t at, size_t h, size_t node) {
    pair w1 = root_of(e, node), w2 = root_of(e, 2 * node), w3 = root_of(e, 2 * node + 1);
    for (size_t i = at; i < at + h; i += LANES) {
        pair a = load_pair(re, im, i), b = load_pair(re, im, i + h), c = load_pair(re, im, i + 2 * h),
             d = load_pair(re, im, i + 3 * h);
        split(&a, &c, w1);
        split(&b, &d, w1);
        split(&a, &b, w2);
        split(&c, &d, w3);
        store_pair(re, im, i, a);
        store_pair(re, im, i + h, b);
        store_pair(re, im, i + 2 * h, c);
        store_pair(re, im, i + 3 * h, d);
    }
}

INLINE void join_two(const msfl_embed *e, double *re, double *im, size_t at, size_t h, size_t node) {
    pair w1 = root_of(e, node), w2 = root_of(e, 2 * node), w3 = root_of(e, 2 * node + 1);
    for (size_t i = at; i < at + h; i += LANES) {
        pair a = load_pair(re, im, i), b = load_pair(re, im, i + h), c = load_pair(re, im, i + 2 * h),
             d = load_pair(re, im, i + 3 * h);
        join(&a, &b, w2);
        join(&c, &d, w3);
        join(&a, &c, w1);
        join(&b, &d, w1);
        store_pair(re, im, i, a);
        store_pair(re, im, i + h, b);
        store_pair(re, im, i + 2 * h, c);
        store_pair(re, im, i + 3 * h, d);
    }
}

static void to_slots(const msfl_embed *e, double *re, double *im) {
    size_t n = e->n, blocks = 1, half = n / 2;
    for (; half >= 2 * LANES; blocks *= 4, half /= 4) {
        for (size_t b = 0; b < blocks; b++)
            split_two(e, re, im, 2 * half * b, half / 2, blocks + b);
    }
    for (; half >= LANES; blocks *= 2, half /= 2) {
        for (size_t b = 0; b < blocks; b++) {
            pair w = root_of(e, blocks + b);
            for (size_t i = 2 * half * b; i < 2 * half * b + half; i += LANES) {
                pair u = load_pair(re, im, i), v = load_pair(re, im, i + half);
                split(&u, &v, w);
                store_pair(re, im, i, u);
                store_pair(re, im, i + half, v);
            }
        }
    }
#if LANES > 1
    for (size_t at = 0; at < n; at += TILE)
        split_tile(re + at, im + at, e->tile + at / TILE * TILE_ROOTS);
#endif
}

static void to_coefficients(const msfl_embed *e, double *re, double *im) {
    size_t n = e->n, half = LANES;
#if LANES > 1
    for (size_t at = 0; at < n; at += TILE)
        join_tile(re + at, im + at, e->tile + at / TILE * TILE_ROOTS);
#endif
    for (; 2 * half < n; half *= 4) {
        size_t blocks = n / (4 * half);
        for (size_t b = 0; b < blocks; b++)
            join_two(e, re, im, 4 * half * b, half, blocks + b);
    }
    for (; half < n; half *= 2) {
        size_t blocks = n / (2 * half);
        for (size_t b = 0; b < blocks; b++) {
            pair w = root_of(e, blocks + b);
            for (size_t i = 2 * half * b; i < 2 * half * b + half; i += LANES) {
                pair u = load_pair(re, im, i), v = load_pair(re, im, i + half);
                join(&u, &v, w);
                store_pair(re, im, i, u);
                store_pair(re, im, i + half, v);
            }
        }
    }
}

/* --- one by one: loops that compilers make vectors of --- */

/* x + 1.5 2^52 has no bits behind the point for |x| <= 2^51, and loses them by rounding. */
#define ROUNDER 0x1.8p52
/* 2^52 added to an integer 0 <= x < 2^52 puts it into the low bits. */
#define MAGIC 0x1p52

INLINE uint64_t bits_of(double x) {
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

INLINE double double_of(uint64_t u) {
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
}
/** An integer 0 <= x < 2^52. */
INLINE uint64_t integer_of(double x) {
    return bits_of(x + MAGIC) & (((uint64_t)1 << 52) - 1);
}
/** y if the sign of x is set, else 0; a mask, where a condition might become a branch. */
INLINE double only_if_negative(double y, double x) {
    return double_of(bits_of(y) & (0 - (bits_of(x) >> 63)));
}

static bool quantise(double *restrict x, double factor, size_t n) {
    uint64_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        double v = x[i] * factor;
        /* As integers, magnitudes are in order, and infinities and what is no number are above all. */
        bad |= (bits_of(MSFL_EMBED_MAX) - 1) - (bits_of(v) & (UINT64_MAX >> 1));
        x[i] = (v + ROUNDER) - ROUNDER;
    }
    return bad >> 63 == 0;
}

/* q is within 1/2 + 2^-1 of x / p, and q p is an integer below 2^53, so that the difference is exact. */
INLINE double residue(double x, double p, double p_inverse) {
    double q = (x * p_inverse + ROUNDER) - ROUNDER;
    double r = (x - q * p) + 0.0; /* no zero below zero */
    return r + only_if_negative(p, r);
}

/* |x| may be up to 2^50 + 2^31 and p as small as 2^14: q < 2^37. For q of that size x fl(1 / p) is off by 2^-15 at
 * most, so |x - q p| < (1/2 + 2^-15) p and one correction gives 0 <= r < p. */
static void residues(uint64_t *restrict out, const double *restrict x, const int8_t *restrict noise, uint64_t p,
                     size_t n) {
    double prime = (double)p, inverse = 1.0 / prime;
    if (noise == NULL) {
        for (size_t i = 0; i < n; i++)
            out[i] = integer_of(residue(x[i], prime, inverse));
    } else {
        for (size_t i = 0; i < n; i++)
            out[i] = integer_of(residue(x[i] + noise[i], prime, inverse));
    }
}

static void centre(double *restrict out, const uint64_t *restrict in, uint64_t p, size_t n) {
    double prime = (double)p, half = (double)(p / 2);
    for (size_t i = 0; i < n; i++) {
        double x = double_of(in[i] | bits_of(MAGIC)) - MAGIC;
        out[i] = x - only_if_negative(prime, half - x);
    }
}

static uint32_t load(double *restrict x, const uint32_t *restrict values, double half, size_t n) {
    uint32_t seen = 0;
    for (size_t i = 0; i < n; i++) {
        seen |= values[i];
        x[i] = (double_of(values[i] | bits_of(MAGIC)) - MAGIC) - half;
    }
    return seen;
}

static bool read_totals(uint64_t *restrict totals, const double *restrict x, double factor, double offset,
                        double tolerance, double total_max, size_t n) {
    uint64_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        double v = x[i] * factor;
        double whole = (v + ROUNDER) - ROUNDER;
        double away = v - whole, total = whole + offset;
        /* Signs tell: of tolerance - |away|, of total + 1/2 and of total_max - total. */
        bad |= bits_of(tolerance - fabs(away)) | bits_of(total + 0.5) | bits_of(total_max - total);
        totals[i] = integer_of(total);
    }
    return bad >> 63 == 0;
}

/* Squares are not negative, so that their bits are in their order; the greater of two by a mask. */
static double largest(const double *restrict re, const double *restrict im, size_t n) {
    enum { WIDTH = 8 };
    int64_t most[WIDTH] = {0};
    for (size_t i = 0; i < n; i += WIDTH) {
        for (size_t l = 0; l < WIDTH; l++) {
            int64_t more = (int64_t)bits_of(re[i + l] * re[i + l] + im[i + l] * im[i + l]) - most[l];
            most[l] += more & ~(more >> 63);
        }
    }
    for (size_t l = 1; l < WIDTH; l++) { /* a library's fmax branches */
        int64_t more = most[l] - most[0];
        most[0] += more & ~(more >> 63);
    }
    return double_of((uint64_t)most[0]);
}

const msfl_embed_kernel TABLE;
const msfl_embed_kernel TABLE = {
    .name = NAME,
    .supported = supported,
    .table_doubles = table_doubles,
    .tables = tables,
    .to_slots = to_slots,
    .to_coefficients = to_coefficients,
    .quantise = quantise,
    .residues = residues,
    .centre = centre,
    .load = load,
    .totals = read_totals,
    .largest = largest,
};
