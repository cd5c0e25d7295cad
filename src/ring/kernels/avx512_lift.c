/* Residues to digits.
 *
 * With y_i = (c_i - a s) (q / p_i)^-1 mod p_i, sum_i y_i q / p_i is x plus a multiple of q. The multiple is alpha =
 * round(sum_i y_i / p_i - t / 2q): the planner leaves at least q / 2^20 between the largest valid |x - t/2| and q / 2,
 * the sum in doubles is off by less than 2^-40, so alpha is right for every valid x; it is 0 to n_moduli. Then m = x
 * mod t = sum_i y_i (q / p_i mod t) + alpha (-q mod t) mod t in limbs of 52 bits: the low and high halves of at most 17
 * products add up to less than 2^58 before carries. E = (x - m) / t is recovered as an integer from the fraction, which
 * tells whether x was valid. */
#include "ring/kernels/avx512.h"

#include <math.h>

enum {
    LIMBS_MAX = 16,
    VECTORS = 2, /* of coefficients, lifted together */
    WIDE = VECTORS * MSFL_LANES512
};

/* NOLINTNEXTLINE(bugprone-macro-parentheses): a variable is declared with it */
#define EACH_VECTOR(i) _Pragma("GCC unroll 2") for (int i = 0; i < VECTORS; i++)

typedef struct wide {
    v8i v[VECTORS];
} wide;

typedef struct wide_real {
    v8d v[VECTORS];
} wide_real;

/** y_i, and sum_i y_i / p_i, of the cells from x on in every plane; zero where they are not `there`. */
MSFL_INLINE512 wide_real load_cells(const msfl_codec *codec, const msfl_cell *x, size_t stride, __mmask16 there,
                                    wide *y) {
    wide_real f = {{_mm512_setzero_pd(), _mm512_setzero_pd()}};
    for (uint32_t i = 0; i < codec->n_moduli; i++, x += stride) {
        v8d p_inverse = _mm512_set1_pd(1.0 / (double)codec->moduli[i].m.p);
        EACH_VECTOR(h) {
            y[i].v[h] = _mm512_maskz_loadu_epi64((__mmask8)(there >> 8 * h), x + h * MSFL_LANES512);
            f.v[h] = _mm512_fmadd_pd(_mm512_cvtepi64_pd(y[i].v[h]), p_inverse, f.v[h]);
        }
    }
    return f;
}

/** The limbs of sum_k y_k constant_k mod t. */
MSFL_INLINE512 void sum_limbs(const msfl_avx512_codec *t, const wide *y, uint32_t n_terms, wide *limbs) {
    const v8i zero = _mm512_setzero_si512();
    const uint64_t *constant = t->constants;
    wide above = {{zero, zero}}; /* high halves and carries of the limb before */
    for (uint32_t l = 0; l < t->limbs; l++) {
        v8i mask = all8(l + 1 < t->limbs ? msfl_word_mask : ((uint64_t)1 << t->top_bits) - 1);
        wide low = {{zero, zero}}, high = {{zero, zero}};
        for (uint32_t k = 0; k < n_terms; k++, constant++) {
            EACH_VECTOR(h) {
                low.v[h] = low8(low.v[h], y[k].v[h], all8(*constant));
                high.v[h] = high8(high.v[h], y[k].v[h], all8(*constant));
            }
        }
        EACH_VECTOR(h) {
            v8i v = _mm512_add_epi64(low.v[h], above.v[h]);
            limbs[l].v[h] = _mm512_and_si512(v, mask);
            above.v[h] = _mm512_add_epi64(high.v[h], _mm512_srli_epi64(v, MSFL_WORD_BITS));
        }
    }
}

/** m / t from its two highest limbs: off by less than 2^-52. */
MSFL_INLINE512 v8d fraction_of(const msfl_avx512_codec *t, const wide *limbs, int h, v8d down_word, v8d down_top) {
    v8d top = _mm512_cvtepi64_pd(limbs[t->limbs - 1].v[h]);
    if (t->limbs > 1) top = _mm512_fmadd_pd(_mm512_cvtepi64_pd(limbs[t->limbs - 2].v[h]), down_word, top);
    return _mm512_mul_pd(top, down_top);
}

/** What is wrong with the slots so far. */
typedef struct verdict {
    wide most; /* the largest total of each lane */
    bool padding_set;
} verdict;

/** Slots of the coefficients from number c on. */
MSFL_INLINE512 void emit_slots(const msfl_codec *codec, const wide *limbs, msfl_chunk_shape shape, size_t c,
                               __mmask16 there, bool whole, uint64_t *totals, verdict *out) {
    const msfl_avx512_codec *t = codec->tables;
    v8i mask = all8(((uint64_t)1 << codec->slot_bits) - 1);
    for (uint32_t j = 0; j < codec->slots; j++) {
        const msfl_field *f = &t->totals[j];
        size_t first = j * shape.n_coefficients + c, left = first < shape.n_slots ? shape.n_slots - first : 0;
        __mmask16 exist = left < WIDE ? there & (__mmask16)((1u << left) - 1) : there;
        EACH_VECTOR(h) {
            v8i v = _mm512_srlv_epi64(limbs[f->word].v[h], all8(f->shift));
            if (f->rest != 0) v = _mm512_or_si512(v, _mm512_sllv_epi64(limbs[f->word + 1].v[h], all8(f->rest)));
            v = _mm512_and_si512(v, mask);
            out->most.v[h] = _mm512_max_epu64(out->most.v[h], v);
            uint64_t *to = totals + first + h * MSFL_LANES512;
            if (whole) {
                _mm512_storeu_si512(to, v);
            } else {
                uint32_t set = _mm512_test_epi64_mask(v, v);
                out->padding_set |= (set & ~((uint32_t)exist >> 8 * h)) != 0;
                if (exist >> 8 * h != 0) _mm512_mask_storeu_epi64(to, (__mmask8)(exist >> 8 * h), v);
            }
        }
    }
}

bool msfl_avx512_lift(const msfl_codec *codec, const msfl_cell *x, size_t stride, msfl_chunk_shape shape,
                      uint32_t noise_max, uint64_t total_max, uint64_t *totals) {
    const msfl_avx512_codec *t = codec->tables;
    wide y[MSFL_MODULI_MAX + 1], limbs[LIMBS_MAX];
    size_t n = shape.n_coefficients;
    uint32_t n_moduli = codec->n_moduli;
    verdict seen = {.most = {{_mm512_setzero_si512(), _mm512_setzero_si512()}}};
    v8d noise_seen = _mm512_setzero_pd();
    const v8d t_over_2q = _mm512_set1_pd(t->t_over_2q), q_over_t = _mm512_set1_pd(t->q_over_t);
    const v8d down_word = _mm512_set1_pd(0x1p-52), down_top = _mm512_set1_pd(ldexp(1.0, -(int)t->top_bits));
    assert(codec->slot_bits < MSFL_WORD_BITS && t->limbs <= LIMBS_MAX);
    for (size_t c = 0; c < n; c += WIDE) {
        __mmask16 there = n - c < WIDE ? (__mmask16)((1u << (n - c)) - 1) : 0xffff;
        wide_real f = load_cells(codec, x + c, stride, there, y);
        EACH_VECTOR(h) {
            v8d alpha =
                _mm512_roundscale_pd(_mm512_sub_pd(f.v[h], t_over_2q), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
            y[n_moduli].v[h] = _mm512_cvtpd_epi64(alpha);
            f.v[h] = _mm512_sub_pd(f.v[h], alpha);
        }
        sum_limbs(t, y, n_moduli + 1, limbs);
        EACH_VECTOR(h) {
            v8d e = _mm512_fmsub_pd(f.v[h], q_over_t, fraction_of(t, limbs, h, down_word, down_top));
            e = _mm512_roundscale_pd(e, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
            noise_seen = _mm512_max_pd(noise_seen, _mm512_abs_pd(e));
        }
        if (there == 0xffff && (codec->slots - 1) * n + c + WIDE <= shape.n_slots) {
            emit_slots(codec, limbs, shape, c, there, true, totals, &seen);
        } else {
            emit_slots(codec, limbs, shape, c, there, false, totals, &seen);
        }
    }
    uint32_t over = _mm512_cmp_pd_mask(noise_seen, _mm512_set1_pd(noise_max), _CMP_GT_OQ);
    EACH_VECTOR(h)
    over |= _mm512_cmpgt_epu64_mask(seen.most.v[h], all8(total_max));
    return !seen.padding_set && over == 0;
}
