/* What the avx512 files share: arithmetic modulo p < 2^50 in integers of 52 bits, eight at a time.
 *
 * The processor multiplies the low 52 bits of two lanes and adds the low or the high 52 bits of the product to a third
 * (IFMA). So the low 52 bits of a lane are its *value*, and what is above them is left over from earlier sums and means
 * nothing: every step below is right modulo 2^52, and a value never reaches 2^52. Bounds are given as multiples of p,
 * the lower one always being zero: "x < 2p" means 0 <= x < 2p. Primes below 2^48 are "roomy": 16 p <= 2^52; for all
 * others 4 p <= 2^52.
 *
 * Multiplication by a constant w < p with v = floor(2^52 w / p) at hand (Shoup; Harvey, "Faster arithmetic for
 * number-theoretic transforms", 2014): q = floor(a v / 2^52) is at most a w / p and above a w / p - 1 - a / 2^52, so
 *     a w - q p < (1 + a / 2^52) p < 2 p   for every a < 2^52.
 * With w = 1 it reduces: v = floor(2^52 / p), a - q p < 2 p. */
#ifndef MSFL_RING_AVX512_H
#define MSFL_RING_AVX512_H

#include "ring/kernel.h"

#include <assert.h>
#include <immintrin.h>

typedef __m512i v8i;
typedef __m512d v8d;

#define MSFL_INLINE512 static inline __attribute__((always_inline))

enum { MSFL_LANES512 = 8, MSFL_WORD_BITS = 52 };

static const uint64_t msfl_word_mask = ((uint64_t)1 << MSFL_WORD_BITS) - 1;

/** How eight residues of `bits` bits stand in `bits` bytes; see avx512_pack.c. */
typedef struct msfl_avx512_packing {
    _Alignas(64) uint8_t spread[64];    /**< bytes of each residue to its lane */
    _Alignas(64) uint8_t gather[2][64]; /**< and back, of the even and of the odd lanes */
    _Alignas(64) uint64_t shift[8];     /**< bits below the residue in its first byte */
    uint64_t gathered[2];               /**< which bytes they make */
} msfl_avx512_packing;

/** w and floor(2^52 w / p) */
typedef struct msfl_factor {
    uint64_t w, v;
} msfl_factor;

typedef struct msfl_avx512_tables {
    msfl_avx512_packing packing;
    uint64_t p;
    uint64_t one;                     /**< floor(2^52 / p) */
    uint64_t mu;                      /**< floor(2^(51 + bits) / p), for products of two variables */
    bool roomy;                       /**< p < 2^48 */
    msfl_factor degree_inverse, word; /**< 1 / N and 2^52 mod p */
    /* Roots in the order of kernel.h, N of each, and their quotients. */
    uint64_t *forward, *forward_v, *inverse, *inverse_v;
    _Alignas(64) uint64_t storage[];
} msfl_avx512_tables;

static inline const msfl_avx512_tables *msfl_avx512_tables_of(const msfl_modulus *m) {
    return m->tables;
}

static inline msfl_factor msfl_factor_of(uint64_t w, uint64_t p) {
    return (msfl_factor){w, (uint64_t)(((msfl_u128)w << MSFL_WORD_BITS) / p)};
}

typedef struct lanes_prime {
    v8i p, minus_p; /* minus_p: 2^52 - p */
    v8i one;
    v8i mask; /* 2^52 - 1 */
} lanes_prime;

MSFL_INLINE512 v8i all8(uint64_t x) {
    return _mm512_set1_epi64((long long)x);
}

MSFL_INLINE512 lanes_prime lanes_of(const msfl_avx512_tables *t) {
    return (lanes_prime){all8(t->p), all8(((uint64_t)1 << MSFL_WORD_BITS) - t->p), all8(t->one), all8(msfl_word_mask)};
}

/** acc + low and high 52 bits of a b. */
MSFL_INLINE512 v8i low8(v8i acc, v8i a, v8i b) {
    return _mm512_madd52lo_epu64(acc, a, b);
}
MSFL_INLINE512 v8i high8(v8i acc, v8i a, v8i b) {
    return _mm512_madd52hi_epu64(acc, a, b);
}

/** Any a to a w - q p < (1 + a / 2^52) p. */
MSFL_INLINE512 v8i scale8(v8i a, v8i w, v8i v, lanes_prime m) {
    v8i zero = _mm512_setzero_si512();
    return low8(low8(zero, a, w), high8(zero, a, v), m.minus_p);
}

/** Any x to x < 2p. */
MSFL_INLINE512 v8i reduce8(v8i x, lanes_prime m) {
    return low8(x, high8(_mm512_setzero_si512(), x, m.one), m.minus_p);
}

/** x < 2p to 0 <= x < p in all 64 bits. */
MSFL_INLINE512 v8i once8(v8i x, lanes_prime m) {
    x = _mm512_and_si512(x, m.mask);
    return _mm512_min_epu64(x, _mm512_sub_epi64(x, m.p));
}

/** Any x to 0 <= x < p in all 64 bits. */
MSFL_INLINE512 v8i canonical8(v8i x, lanes_prime m) {
    return once8(reduce8(x, m), m);
}

/** In debug builds: every value is below `bound` times p, which is possible in 52 bits. */
static inline void expect8(v8i x, uint64_t bound, lanes_prime m) {
#ifdef NDEBUG
    (void)x;
    (void)bound;
    (void)m;
#else
    uint64_t lane[MSFL_LANES512], p[MSFL_LANES512];
    _mm512_storeu_si512(lane, x);
    _mm512_storeu_si512(p, m.p);
    for (int i = 0; i < MSFL_LANES512; i++) {
        assert(bound * p[i] <= msfl_word_mask + 1);
        assert((lane[i] & msfl_word_mask) < bound * p[i]);
    }
#endif
}

/* avx512_transform.c */
void msfl_avx512_forward(const msfl_modulus *m, msfl_cell *x);
void msfl_avx512_inverse(const msfl_modulus *m, msfl_cell *x);

/* avx512_pack.c */
void msfl_avx512_packing_init(msfl_avx512_packing *k, uint32_t width);
void msfl_avx512_add_pack(const msfl_modulus *m, uint8_t *out, const msfl_cell *x, const msfl_cell *y, size_t n);
bool msfl_avx512_check(const msfl_modulus *m, const uint8_t *bytes, size_t n);
bool msfl_avx512_fold(const msfl_modulus *m, uint8_t *sum, const uint8_t *bytes, size_t n);
void msfl_avx512_unfold(const msfl_modulus *m, uint8_t *sum, const uint8_t *bytes, size_t n);
void msfl_avx512_subtract_from(const msfl_modulus *m, msfl_cell *x, const uint8_t *bytes, uint64_t factor, size_t n);

/* avx512_sample.c */
size_t msfl_avx512_uniform(const msfl_modulus *m, msfl_cell *x, const uint8_t *bytes, size_t n);
void msfl_avx512_binomial(int8_t *out, const uint8_t *bytes, uint32_t bits, size_t n);

/** Where a field stands in a number that is cut into words: from bit `shift` of word `word` on, and if `rest` is not
 *  zero, above it from bit 0 of the next word on, being `rest` bits further. */
typedef struct msfl_field {
    uint32_t word;
    uint64_t shift, rest;
} msfl_field;

/** See avx512_codec.c and avx512_lift.c. */
typedef struct msfl_avx512_codec {
    /* encoding */
    uint32_t digits, digit_bits;
    msfl_field *slots; /**< [slot], in digits */
    uint64_t *weights; /**< [modulus][digits + 1]: what begins the sum, the noise, digit 1 and on */
    /* lifting */
    uint32_t limbs; /**< of 52 bits, but the highest of top_bits */
    uint32_t top_bits;
    msfl_field *totals;  /**< [slot], in limbs */
    uint64_t *constants; /**< [limb][n_moduli + 1]: q / p_i mod t, last -q mod t */
    double t_over_2q, q_over_t;
    _Alignas(64) uint64_t storage[];
} msfl_avx512_codec;

/* avx512_codec.c */
size_t msfl_avx512_codec_table_bytes(const msfl_codec *codec);
void msfl_avx512_codec_tables(msfl_codec *codec);
uint32_t msfl_avx512_encode(const msfl_codec *codec, uint32_t first, uint32_t count, const uint32_t *slots,
                            msfl_chunk_shape shape, const int8_t *noise, msfl_cell *out, size_t stride);

/* avx512_lift.c */
bool msfl_avx512_lift(const msfl_codec *codec, const msfl_cell *x, size_t stride, msfl_chunk_shape shape,
                      uint32_t noise_max, uint64_t total_max, uint64_t *totals);

/* avx512_aes.c */
extern const msfl_aes_kernel msfl_avx512_aes;

#endif
