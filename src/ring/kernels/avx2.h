/* What the avx2 files share: arithmetic modulo p < 2^50 in doubles.
 *
 * A cell is an integer of magnitude at most 2^53 held exactly in a double, standing for its residue modulo p. Bounds
 * are given as multiples of p: "x <= 2p" means |x| <= 2p. Constants (roots, prepared operands, factors) are centred:
 * |w| <= (p + 1) / 2 <= 2^49.
 *
 * Multiplication. h = fl(a w); l = a w - h exactly (a fused multiply-add gives it); q = round(fl(h fl(1/p))) is close
 * to a w / p; h - q p is an integer below 2^53 and so exact in one fused operation, and so is the sum with l. With |a|
 * <= b p the quotient is at most b 2^49, three roundings of relative size 2^-53 move it by at most 3 b / 16 (3 b / 64
 * when p < 2^48), and round() by 1/2:   |result| <= (1/2 + 3 b / 16) p.
 * Valid for |a| <= 2^53; quotients of at most 2^51 are rounded in a cheaper way.
 */
#ifndef MSFL_RING_AVX2_H
#define MSFL_RING_AVX2_H

#include "ring/kernel.h"

#include <assert.h>
#include <immintrin.h>
#include <math.h>

typedef __m256d v4d;
typedef __m256i v4i;

enum { MSFL_LANES = 4 };

/* 2^52 added to an integer 0 <= x < 2^52 puts x into the low bits. */
#define MSFL_MAGIC 0x1p52
/* Added to a number of magnitude at most 2^51 and taken away again it rounds that to an integer: between 2^52 and 2^53
 * doubles are integers. With a product before it that is one fused operation and one more, where the instruction that
 * rounds takes two itself on some processors. */
#define MSFL_ROUNDER 0x1.8p52

/** How groups of eight residues of one width are packed; see avx2_pack.c. */
typedef struct msfl_avx2_packing {
    _Alignas(32) uint8_t spread[2][32]; /**< bytes of each residue to its lane */
    _Alignas(32) uint8_t gather[2][32]; /**< and back: bytes of the odd lanes to their place */
    _Alignas(32) uint8_t shared[2][32]; /**< the byte that a pair shares with the next one, to byte 0 */
    _Alignas(32) uint64_t shift[2][4];  /**< bits below the residue in its first byte */
    uint32_t at[4];                     /**< first byte of each pair of the group */
} msfl_avx2_packing;

typedef struct msfl_avx2_tables {
    msfl_avx2_packing packing;
    double p, p_inverse;
    double degree_inverse; /**< 1 / N mod p, centred */
    bool roomy;            /**< p < 2^48: four times the headroom, fewer reductions */
    /* Centred roots in doubles, in the order of kernel.h.
     * `forward`: N roots.
     * `first`: 12 for each block of 16 cells, for the stages of distance 1 and 2: four roots of the even and four of
     * the odd pairs of the four rows, and four of distance 2. `inverse`: the first N / 4 inverse roots, each with its
     * quotient by p, for the stages of distance 4 and more. With quotients for the first two stages too, the tables
     * would not stay in the second-level cache. */
    double *forward, *first, *inverse;
    _Alignas(64) double storage[];
} msfl_avx2_tables;

static inline const msfl_avx2_tables *msfl_avx2_tables_of(const msfl_modulus *m) {
    return m->tables;
}

typedef struct lanes_modulus {
    v4d p, p_inverse;
} lanes_modulus;

static inline lanes_modulus lanes_of(const msfl_avx2_tables *t) {
    return (lanes_modulus){_mm256_set1_pd(t->p), _mm256_set1_pd(t->p_inverse)};
}

static inline v4d round4(v4d x) {
    return _mm256_round_pd(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline v4d floor4(v4d x) {
    return _mm256_floor_pd(x);
}

/** round(a b) for |a b| <= 2^51. */
static inline v4d round_product4(v4d a, v4d b) {
    v4d rounder = _mm256_set1_pd(MSFL_ROUNDER);
    return _mm256_sub_pd(_mm256_fmadd_pd(a, b, rounder), rounder);
}

/** |x| <= 2^53 to |x| <= (p + 1) / 2. */
static inline v4d reduce4(v4d x, lanes_modulus m) {
    return _mm256_fnmadd_pd(round_product4(x, m.p_inverse), m.p, x);
}

/** a w less q p, for a quotient q that is within reach of a w / p. */
static inline v4d multiply_less4(v4d a, v4d w, v4d h, v4d q, lanes_modulus m) {
    v4d l = _mm256_fmsub_pd(a, w, h);
    return _mm256_add_pd(_mm256_fnmadd_pd(q, m.p, h), l);
}

/** See the top of the file: |a| <= 2^52, so that the quotient is at most 2^51. */
static inline v4d multiply4(v4d a, v4d w, lanes_modulus m) {
    v4d h = _mm256_mul_pd(a, w);
    return multiply_less4(a, w, h, round_product4(h, m.p_inverse), m);
}

/** The same for |a| <= 2^53. */
static inline v4d multiply_large4(v4d a, v4d w, lanes_modulus m) {
    v4d h = _mm256_mul_pd(a, w);
    return multiply_less4(a, w, h, round4(_mm256_mul_pd(h, m.p_inverse)), m);
}

/** |x| <= 2^53 to 0 <= x < p. */
static inline v4d canonical4(v4d x, lanes_modulus m) {
    x = reduce4(x, m);
    return _mm256_add_pd(x, _mm256_and_pd(_mm256_cmp_pd(x, _mm256_setzero_pd(), _CMP_LT_OQ), m.p));
}

/** 0 <= x < 2^52, integers to doubles and back. */
static inline v4d to_double4(v4i x) {
    v4d magic = _mm256_set1_pd(MSFL_MAGIC);
    return _mm256_sub_pd(_mm256_castsi256_pd(_mm256_or_si256(x, _mm256_castpd_si256(magic))), magic);
}
static inline v4i to_integer4(v4d x) {
    v4d magic = _mm256_set1_pd(MSFL_MAGIC);
    return _mm256_castpd_si256(_mm256_xor_pd(_mm256_add_pd(x, magic), magic));
}

static inline double centred(uint64_t x, uint64_t p) {
    return x > p / 2 ? -(double)(p - x) : (double)x;
}

/** In debug builds: every lane is an integer, at most `bound` times p and at most 2^53. */
static inline void expect4(v4d x, double bound, lanes_modulus m) {
#ifdef NDEBUG
    (void)x;
    (void)bound;
    (void)m;
#else
    double lane[MSFL_LANES], p[MSFL_LANES];
    _mm256_storeu_pd(lane, x);
    _mm256_storeu_pd(p, m.p);
    for (int i = 0; i < MSFL_LANES; i++)
        assert(lane[i] == rint(lane[i]) && fabs(lane[i]) <= bound * p[i] && fabs(lane[i]) <= 0x1p53);
#endif
}

/* avx2_transform.c */
void msfl_avx2_forward(const msfl_modulus *m, msfl_cell *x);
void msfl_avx2_inverse(const msfl_modulus *m, msfl_cell *x);

/* avx2_pack.c */
void msfl_avx2_packing_init(msfl_avx2_packing *k, uint32_t width);
void msfl_avx2_add_pack(const msfl_modulus *m, uint8_t *out, const msfl_cell *x, const msfl_cell *y, size_t n);
bool msfl_avx2_check(const msfl_modulus *m, const uint8_t *bytes, size_t n);
bool msfl_avx2_fold(const msfl_modulus *m, uint8_t *sum, const uint8_t *bytes, size_t n);
void msfl_avx2_subtract_from(const msfl_modulus *m, msfl_cell *x, const uint8_t *bytes, uint64_t factor, size_t n);

/* avx2_sample.c */
size_t msfl_avx2_uniform(const msfl_modulus *m, msfl_cell *x, const uint8_t *bytes, size_t n);
void msfl_avx2_binomial(int8_t *out, const uint8_t *bytes, uint32_t bits, size_t n);

/* avx2_plan.c */
size_t msfl_avx2_codec_table_bytes(const msfl_codec *codec);
void msfl_avx2_codec_tables(msfl_codec *codec);
/* avx2_codec.c */
uint32_t msfl_avx2_encode(const msfl_codec *codec, uint32_t first, uint32_t count, const uint32_t *slots,
                          msfl_chunk_shape shape, const int8_t *noise, msfl_cell *out, size_t stride);
bool msfl_avx2_lift(const msfl_codec *codec, const msfl_cell *x, size_t stride, msfl_chunk_shape shape,
                    uint32_t noise_max, uint64_t total_max, uint64_t *totals);

#endif
