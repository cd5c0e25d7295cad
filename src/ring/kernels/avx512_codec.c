/* Digits to residues.
 *
 * The slots of a coefficient are one number m < t, which is cut into digits of `digit_bits` bits whatever slots they
 * fall on: digit 0 is the same residue for all primes, the others have a weight 2^(digit_bits k) mod p each, as has the
 * noise, to which 128 is added so that it is not negative. Low and high halves of the products are summed apart, to
 * low < 2^57 and, digit_bits being chosen so, high < 2^52; then t e + m = high 2^52 + low is reduced at once. */
#include "ring/kernels/avx512.h"

#include "base/sodium.h"

#include <math.h>
#include <string.h>

enum {
    NOISE_OFFSET = 128,
    DIGIT_BITS_MIN = 48, /* holds for 800 bits in 17 digits and primes of 50 bits */
    DIGITS_MAX = 17,
    VECTORS = 2, /* of coefficients, encoded together */
    WIDE = VECTORS * MSFL_LANES512
};

/* NOLINTNEXTLINE(bugprone-macro-parentheses): a variable is declared with it */
#define EACH_VECTOR(i) _Pragma("GCC unroll 2") for (int i = 0; i < VECTORS; i++)

static uint32_t ceil_log2(uint32_t x) {
    return x <= 1 ? 0 : 32 - (uint32_t)__builtin_clz(x - 1);
}

static uint32_t ceil_div(uint32_t a, uint32_t b) {
    return (a + b - 1) / b;
}

/* The high halves of digits 1 and on are at most (digits - 1) 2^(digit_bits + bits - 52) <= 2^51; that of the noise and
 * what the low halves carry are below 2^7. */
static void plan(const msfl_codec *codec, msfl_avx512_codec *t) {
    uint32_t bits = 0;
    for (uint32_t i = 0; i < codec->n_moduli; i++)
        bits = codec->moduli[i].m.bits > bits ? codec->moduli[i].m.bits : bits;
    t->digit_bits = MSFL_WORD_BITS;
    t->digits = ceil_div(codec->log_t, t->digit_bits);
    while (t->digit_bits + bits + ceil_log2(t->digits) > 2 * MSFL_WORD_BITS - 1) {
        t->digit_bits--;
        t->digits = ceil_div(codec->log_t, t->digit_bits);
    }
    t->limbs = ceil_div(codec->log_t, MSFL_WORD_BITS);
    t->top_bits = codec->log_t - (t->limbs - 1) * MSFL_WORD_BITS;
    assert(t->digit_bits >= DIGIT_BITS_MIN && t->digits <= DIGITS_MAX && t->limbs <= t->digits);
}

size_t msfl_avx512_codec_table_bytes(const msfl_codec *codec) {
    msfl_avx512_codec t;
    plan(codec, &t);
    size_t weights = (size_t)codec->n_moduli * (t.digits + 1), constants = (size_t)t.limbs * (codec->n_moduli + 1);
    return sizeof t + (weights + constants) * sizeof(uint64_t) + 2 * (size_t)codec->slots * sizeof(msfl_field);
}

/** Field number j of `width` bits, `used` of which are of interest, in words of `word_bits`. */
static msfl_field field_of(uint32_t j, uint32_t width, uint32_t used, uint32_t word_bits) {
    uint32_t shift = j * width % word_bits;
    return (msfl_field){
        .word = j * width / word_bits, .shift = shift, .rest = shift + used > word_bits ? word_bits - shift : 0};
}

void msfl_avx512_codec_tables(msfl_codec *codec) {
    msfl_avx512_codec *t = codec->tables;
    uint32_t n = codec->n_moduli;
    plan(codec, t);
    t->weights = t->storage;
    t->constants = t->weights + (size_t)n * (t->digits + 1);
    t->slots = (msfl_field *)(t->constants + (size_t)t->limbs * (n + 1));
    t->totals = t->slots + codec->slots;
    for (uint32_t i = 0; i < n; i++) {
        const msfl_barrett *m = &codec->moduli[i].m;
        uint64_t *w = t->weights + (size_t)i * (t->digits + 1);
        w[1] = codec->weights[(size_t)i * (codec->slots + 1) + codec->slots];
        w[0] = msfl_mod_sub(0, msfl_mod_mul(w[1], msfl_mod_64(NOISE_OFFSET, m), m), m->p);
        uint64_t step = msfl_mod_pow_vartime(2, t->digit_bits, m);
        for (uint32_t k = 1; k < t->digits; k++)
            w[k + 1] = msfl_mod_mul(k == 1 ? 1 : w[k], step, m);
    }
    for (uint32_t j = 0; j < codec->slots; j++) {
        t->slots[j] = field_of(j, codec->slot_bits, codec->value_bits, t->digit_bits);
        t->totals[j] = field_of(j, codec->slot_bits, codec->slot_bits, MSFL_WORD_BITS);
    }
    msfl_wide power = msfl_wide_power2(codec->log_t), q_low = msfl_wide_low(&codec->q, codec->log_t);
    msfl_wide minus_q = msfl_wide_sub(&power, &q_low); /* q is odd and t > 1, so q mod t is not zero */
    for (uint32_t l = 0; l < t->limbs; l++) {
        uint64_t *c = t->constants + (size_t)l * (n + 1);
        uint32_t bits = l + 1 < t->limbs ? MSFL_WORD_BITS : t->top_bits;
        for (uint32_t i = 0; i < n; i++)
            c[i] = msfl_wide_field(&codec->cofactor[i], l * MSFL_WORD_BITS, bits);
        c[n] = msfl_wide_field(&minus_q, l * MSFL_WORD_BITS, bits);
    }
    uint32_t bits = msfl_wide_bits(&codec->q), shift = bits > 53 ? bits - 53 : 0;
    t->q_over_t = ldexp((double)msfl_wide_field(&codec->q, shift, 53), (int)shift - (int)codec->log_t);
    t->t_over_2q = 0.5 / t->q_over_t;
}

typedef struct wide {
    v8i v[VECTORS];
} wide;

/** The slots of one row that belong to WIDE coefficients; the first `count` of them exist. */
MSFL_INLINE512 wide load_row(const uint32_t *row, size_t count, bool whole) {
    wide r;
    EACH_VECTOR(i) {
        const uint32_t *at = row + i * MSFL_LANES512;
        if (whole) {
            r.v[i] = _mm512_cvtepu32_epi64(_mm256_loadu_si256((const __m256i *)at));
        } else {
            size_t left = count < (size_t)i * MSFL_LANES512 ? 0 : count - (size_t)i * MSFL_LANES512;
            __mmask8 there = left < MSFL_LANES512 ? (__mmask8)((1u << left) - 1) : 0xff;
            r.v[i] = _mm512_cvtepu32_epi64(_mm256_maskz_loadu_epi32(there, at));
        }
    }
    return r;
}

/** Digits of the coefficients from number c on. */
MSFL_INLINE512 void join_slots(const msfl_codec *codec, const uint32_t *slots, msfl_chunk_shape shape, size_t c,
                               bool whole, wide *digits, v8i *seen) {
    const msfl_avx512_codec *t = codec->tables;
    const v8i mask = all8(((uint64_t)1 << t->digit_bits) - 1);
    size_t n = shape.n_coefficients, width = n - c < WIDE ? n - c : WIDE;
    wide sum = {{_mm512_setzero_si512(), _mm512_setzero_si512()}};
    uint32_t digit = 0;
    for (uint32_t j = 0; j < codec->slots; j++) {
        const msfl_field *f = &t->slots[j];
        for (; digit < f->word; digit++) {
            EACH_VECTOR(i) {
                digits[digit].v[i] = _mm512_and_si512(sum.v[i], mask);
                sum.v[i] = _mm512_setzero_si512();
            }
        }
        size_t first = j * n + c, left = first < shape.n_slots ? shape.n_slots - first : 0;
        if (!whole && left == 0) continue;
        wide row = load_row(slots + first, left < width ? left : width, whole);
        EACH_VECTOR(i) {
            *seen = _mm512_or_si512(*seen, row.v[i]);
            sum.v[i] = _mm512_or_si512(sum.v[i], _mm512_sllv_epi64(row.v[i], all8(f->shift)));
        }
        if (f->rest == 0) continue;
        EACH_VECTOR(i) {
            digits[digit].v[i] = _mm512_and_si512(sum.v[i], mask);
            sum.v[i] = _mm512_srlv_epi64(row.v[i], all8(f->rest));
        }
        digit++;
    }
    for (; digit < t->digits; digit++) {
        EACH_VECTOR(i) {
            digits[digit].v[i] = _mm512_and_si512(sum.v[i], mask);
            sum.v[i] = _mm512_setzero_si512();
        }
    }
}

/** The residue of m + t (noise - 128) and what w[0] is, in two vectors; < 2p. */
MSFL_INLINE512 wide weigh(const wide *digits, uint32_t n_digits, wide noise, const uint64_t *w,
                          const msfl_avx512_tables *tables) {
    lanes_prime m = lanes_of(tables);
    const v8i zero = _mm512_setzero_si512();
    wide low, high, r;
    EACH_VECTOR(i) {
        low.v[i] = low8(_mm512_add_epi64(digits[0].v[i], all8(w[0])), noise.v[i], all8(w[1]));
        high.v[i] = high8(zero, noise.v[i], all8(w[1]));
    }
    for (uint32_t k = 1; k < n_digits; k++) {
        EACH_VECTOR(i) {
            low.v[i] = low8(low.v[i], digits[k].v[i], all8(w[k + 1]));
            high.v[i] = high8(high.v[i], digits[k].v[i], all8(w[k + 1]));
        }
    }
    /* Both halves of the quotient at once: each takes less than 2 p from exact. */
    EACH_VECTOR(i) {
        v8i h = _mm512_add_epi64(high.v[i], _mm512_srli_epi64(low.v[i], MSFL_WORD_BITS));
        v8i q = high8(high8(zero, h, all8(tables->word.v)), low.v[i], m.one);
        v8i x = low8(low8(low.v[i], h, all8(tables->word.w)), q, m.minus_p);
        expect8(x, 4, m);
        r.v[i] = reduce8(x, m);
    }
    return r;
}

uint32_t msfl_avx512_encode(const msfl_codec *codec, uint32_t first, uint32_t count, const uint32_t *slots,
                            msfl_chunk_shape shape, const int8_t *noise, msfl_cell *out, size_t stride) {
    const msfl_avx512_codec *t = codec->tables;
    wide digits[DIGITS_MAX];
    v8i seen = _mm512_setzero_si512();
    size_t n = shape.n_coefficients;
    for (size_t c = 0; c < n; c += WIDE) {
        /* The last row is the only one that may be short. */
        bool whole = c + WIDE <= n && (codec->slots - 1) * n + c + WIDE <= shape.n_slots;
        __mmask16 there = n - c < WIDE ? (__mmask16)((1u << (n - c)) - 1) : 0xffff;
        if (whole) {
            join_slots(codec, slots, shape, c, true, digits, &seen);
        } else {
            join_slots(codec, slots, shape, c, false, digits, &seen);
        }
        __m128i e = _mm_xor_si128(_mm_maskz_loadu_epi8(there, noise + c), _mm_set1_epi8((char)NOISE_OFFSET));
        wide shifted = {{_mm512_cvtepu8_epi64(e), _mm512_cvtepu8_epi64(_mm_srli_si128(e, 8))}};
        for (uint32_t i = 0; i < count; i++) {
            const uint64_t *w = t->weights + (size_t)(first + i) * (t->digits + 1);
            msfl_cell *to = out + i * stride + c;
            wide r = weigh(digits, t->digits, shifted, w, msfl_avx512_tables_of(&codec->moduli[first + i]));
            EACH_VECTOR(k) {
                if (whole) {
                    _mm512_storeu_si512(to + k * MSFL_LANES512, r.v[k]);
                } else {
                    _mm512_mask_storeu_epi64(to + k * MSFL_LANES512, (__mmask8)(there >> 8 * k), r.v[k]);
                }
            }
        }
    }
    msfl_wipe(digits, sizeof digits[0] * t->digits);
    uint64_t any = (uint64_t)_mm512_reduce_or_epi64(seen);
    return (uint32_t)any;
}
