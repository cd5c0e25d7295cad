/* Digits to residues and back, in doubles.
 *
 * Encoding. Slots of b bits are first joined to digits D_j of at most DIGIT_BITS bits (several neighbouring slots while
 * they fit). The lowest digits, as many as stay below 2^DIRECT_BITS, are one exact number for all primes. Of the others
 * the weight of a digit modulo p is cut into parts of `part_bits` bits, chosen so that every sum A_k = sum_j D_j W_jk,
 * noise included, stays below 2^52 and is therefore exact; then t e + m = sum_k A_k 2^(part_bits k) takes one modular
 * multiplication per further part.
 *
 * Lifting. With y_i = (c_i - a s) (q / p_i)^-1 mod p_i, in any representative, sum_i y_i q / p_i is x plus a multiple
 * of q. The multiple is alpha = round(sum_i y_i / p_i - t / 2q): the planner leaves at least q / 2^20 between the
 * largest valid |x - t/2| and q / 2, the sum in doubles is off by less than 2^-40, so alpha is right for every valid x.
 * Then m = x mod t = sum_i y_i (q / p_i mod t) - alpha (q mod t) mod t, limb by limb: y_i is cut into signed parts, the
 * constants into limbs of `limb_bits` bits, so that every limb's sum stays below 2^53; a carry pass makes digits of
 * them. E = (x - m) / t is recovered as an integer from the fraction, which tells whether x was valid. */
#include "ring/kernels/avx2_codec.h"

#include "base/sodium.h"

#include <string.h>

/** For the vectors of WIDE coefficients, unrolled: in a loop the arrays of them would live in memory. */
/* NOLINTNEXTLINE(bugprone-macro-parentheses): a variable is declared with it */
#define EACH_VECTOR(i) _Pragma("GCC unroll 4") for (int i = 0; i < VECTORS; i++)

/** For `expect4` where a bound is a number and not a multiple of p. */
static const lanes_modulus unit = {{1, 1, 1, 1}, {1, 1, 1, 1}};

/* --- encoding --- */

typedef struct wide {
    v4d v[VECTORS];
} wide;

/** Four 32-bit integers as doubles. */
static inline v4d widen(__m128i x) {
    return to_double4(_mm256_cvtepu32_epi64(x));
}

/** Digits of WIDE coefficients; row j begins at slots + j stride. Returns the bitwise or of the slots. */
static inline v4i join_digits(const codec_tables *t, const msfl_codec *codec, const uint32_t *slots, size_t stride,
                              wide *digits) {
    v4i seen = _mm256_setzero_si256();
    if (t->joined == 1) {
        for (uint32_t j = 0; j < codec->slots; j++, slots += stride) {
            seen = _mm256_or_si256(seen, _mm256_loadu_si256((const v4i *)slots));
            seen = _mm256_or_si256(seen, _mm256_loadu_si256((const v4i *)(slots + 8)));
            EACH_VECTOR(i)
            digits[j].v[i] = widen(_mm_loadu_si128((const __m128i *)(slots + MSFL_LANES * i)));
        }
        return seen;
    }
    for (uint32_t d = 0, j = 0; d < t->digits; d++) {
        v4i low = _mm256_loadu_si256((const v4i *)slots), high = _mm256_loadu_si256((const v4i *)(slots + 8));
        seen = _mm256_or_si256(seen, _mm256_or_si256(low, high));
        for (uint32_t k = 1; k < t->joined && j + k < codec->slots; k++) {
            const uint32_t *row = slots + k * stride;
            v4i a = _mm256_loadu_si256((const v4i *)row), b = _mm256_loadu_si256((const v4i *)(row + 8));
            seen = _mm256_or_si256(seen, _mm256_or_si256(a, b));
            __m128i shift = _mm_cvtsi32_si128((int)(k * codec->slot_bits));
            low = _mm256_or_si256(low, _mm256_sll_epi32(a, shift));
            high = _mm256_or_si256(high, _mm256_sll_epi32(b, shift));
        }
        digits[d].v[0] = widen(_mm256_castsi256_si128(low));
        digits[d].v[1] = widen(_mm256_extracti128_si256(low, 1));
        digits[d].v[2] = widen(_mm256_castsi256_si128(high));
        digits[d].v[3] = widen(_mm256_extracti128_si256(high, 1));
        j += t->joined;
        slots += t->joined * stride;
    }
    return seen;
}

static inline void join_noise(const int8_t *noise, wide *digit) {
    __m128i e = _mm_loadu_si128((const __m128i *)noise);
    digit->v[0] = _mm256_cvtepi32_pd(_mm_cvtepi8_epi32(e));
    digit->v[1] = _mm256_cvtepi32_pd(_mm_cvtepi8_epi32(_mm_srli_si128(e, 4)));
    digit->v[2] = _mm256_cvtepi32_pd(_mm_cvtepi8_epi32(_mm_srli_si128(e, 8)));
    digit->v[3] = _mm256_cvtepi32_pd(_mm_cvtepi8_epi32(_mm_srli_si128(e, 12)));
}

/** The lowest digits as one number below 2^DIRECT_BITS, in place of digit number direct - 1. */
static inline void join_direct(const codec_tables *t, wide *digits, double step) {
    v4d up = _mm256_set1_pd(step);
    wide sum = digits[t->direct - 1];
    for (uint32_t d = t->direct - 1; d-- > 0;) {
        EACH_VECTOR(i)
        sum.v[i] = _mm256_fmadd_pd(sum.v[i], up, digits[d].v[i]);
    }
    digits[t->direct - 1] = sum;
}

/** digits[0] + sum_{d >= 1} digits[d] weight[d - 1] modulo p, n weights.
 *  A sum is at most 2^52, the first one 2^50 more. A product with 2^part_bits is exact as it is, and part_bits being
 *  about half as large as log2 p, its quotient by p is far below 2^51: rounded twice it is less than 1/10 off before it
 *  becomes an integer, so the remainder is at most 0.6 p < 2^50. The result is at most 2^52 + 2^51. */
static inline __attribute__((always_inline)) void weigh(const wide *digits, uint32_t n, const double *weight,
                                                        uint32_t parts, double part_step, lanes_modulus m,
                                                        msfl_cell *out) {
    v4d sum[PARTS_MAX][VECTORS];
    for (uint32_t k = 0; k < parts; k++) {
        EACH_VECTOR(i)
        sum[k][i] = k == 0 ? digits[0].v[i] : _mm256_setzero_pd();
    }
    for (uint32_t d = 1; d <= n; d++, weight += parts) {
        for (uint32_t k = 0; k < parts; k++) {
            v4d w = _mm256_broadcast_sd(weight + k);
            EACH_VECTOR(i)
            sum[k][i] = _mm256_fmadd_pd(digits[d].v[i], w, sum[k][i]);
        }
    }
    v4d step = _mm256_set1_pd(part_step), step_over_p = _mm256_mul_pd(step, m.p_inverse);
    EACH_VECTOR(i) {
        v4d r = sum[parts - 1][i];
        for (uint32_t k = parts - 1; k-- > 0;) {
            expect4(r, 0x1.8p52, unit);
            r = _mm256_fnmadd_pd(round_product4(r, step_over_p), m.p, _mm256_mul_pd(r, step));
            expect4(r, 0.6, m);
            r = _mm256_add_pd(r, sum[k][i]);
        }
        expect4(r, 0x1.8p52, unit);
        _mm256_storeu_pd(&out[i * MSFL_LANES].d, r);
    }
}

uint32_t msfl_avx2_encode(const msfl_codec *codec, uint32_t first, uint32_t count, const uint32_t *slots,
                          msfl_chunk_shape shape, const int8_t *noise, msfl_cell *out, size_t stride) {
    const codec_tables *t = codec->tables;
    wide digits[DIGITS_MAX];
    uint32_t padded[WIDE * SLOTS_MAX];
    v4i seen = _mm256_setzero_si256();
    size_t n = shape.n_coefficients;
    double direct_step = ldexp(1.0, (int)(t->joined * codec->slot_bits));
    for (size_t c = 0; c < n; c += WIDE) {
        /* The last row is the only one that may be short. */
        bool whole = c + WIDE <= n && (codec->slots - 1) * n + c + WIDE <= shape.n_slots;
        int8_t e[WIDE] = {0};
        msfl_cell result[WIDE];
        size_t width = n - c < WIDE ? n - c : WIDE;
        memcpy(e, noise + c, width);
        if (whole) {
            seen = _mm256_or_si256(seen, join_digits(t, codec, slots + c, n, digits));
        } else {
            memset(padded, 0, WIDE * codec->slots * sizeof *padded);
            for (size_t j = 0; j < codec->slots; j++) {
                for (size_t l = 0; l < width && j * n + c + l < shape.n_slots; l++)
                    padded[j * WIDE + l] = slots[j * n + c + l];
            }
            seen = _mm256_or_si256(seen, join_digits(t, codec, padded, WIDE, digits));
        }
        join_direct(t, digits, direct_step);
        join_noise(e, &digits[t->digits]);
        const wide *from = digits + t->direct - 1;
        uint32_t n_weights = t->digits - t->direct + 1;
        for (uint32_t i = 0; i < count; i++) {
            lanes_modulus m = lanes_of(msfl_avx2_tables_of(&codec->moduli[first + i]));
            const double *w = t->weights + (size_t)(first + i) * n_weights * t->parts;
            msfl_cell *to = whole ? out + i * stride + c : result;
            if (t->parts == 1) {
                weigh(from, n_weights, w, 1, t->part_step, m, to);
            } else if (t->parts == 2) {
                weigh(from, n_weights, w, 2, t->part_step, m, to);
            } else if (t->parts == 3) {
                weigh(from, n_weights, w, 3, t->part_step, m, to);
            } else {
                weigh(from, n_weights, w, 4, t->part_step, m, to);
            }
            if (!whole) memcpy(out + i * stride + c, result, width * sizeof *result);
        }
        msfl_wipe(e, sizeof e);
        msfl_wipe(result, sizeof result);
    }
    msfl_wipe(digits, sizeof digits[0] * (t->digits + 1));
    msfl_wipe(padded, sizeof padded[0] * WIDE * codec->slots);
    uint32_t lanes[8], any = 0;
    _mm256_storeu_si256((v4i *)lanes, seen);
    for (int i = 0; i < 8; i++)
        any |= lanes[i];
    return any;
}

/* --- lifting --- */

/** Sums of `step` limbs before carries. */
static inline __attribute__((always_inline)) void sum_limbs(const double *constants, uint32_t n_terms, uint32_t step,
                                                            const wide *terms, wide *limbs) {
    wide sum[STEP_MAX];
    for (uint32_t l = 0; l < step; l++) {
        EACH_VECTOR(i)
        sum[l].v[i] = _mm256_setzero_pd();
    }
    for (uint32_t k = 0; k < n_terms; k++, constants += step) {
        for (uint32_t l = 0; l < step; l++) {
            v4d w = _mm256_broadcast_sd(constants + l);
            EACH_VECTOR(i)
            sum[l].v[i] = _mm256_fmadd_pd(terms[k].v[i], w, sum[l].v[i]);
        }
    }
    for (uint32_t l = 0; l < step; l++)
        limbs[l] = sum[l];
}

/** Limbs to digits: what does not fit goes to the next. */
static inline void carry_limbs(const codec_tables *t, uint32_t first, uint32_t end, wide *limbs, wide *carry) {
    for (uint32_t l = first; l < end; l++) {
        v4d up = _mm256_broadcast_sd(t->up + l), down = _mm256_broadcast_sd(t->down + l);
        EACH_VECTOR(i) {
            v4d v = _mm256_add_pd(limbs[l].v[i], carry->v[i]);
            expect4(v, 0x1p53, unit);
            carry->v[i] = floor4(_mm256_mul_pd(v, down));
            limbs[l].v[i] = _mm256_fnmadd_pd(carry->v[i], up, v);
        }
    }
}

/** All limbs. The carries of one group are worked out while the processor is already at the sums of the next. */
static inline __attribute__((always_inline)) void lift_limbs(const codec_tables *t, uint32_t step, const wide *terms,
                                                             wide *limbs) {
    wide carry = {{_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd()}};
    const double *constants = t->constants;
    for (uint32_t l = 0; l < t->limbs; l += step, constants += (size_t)t->terms * step) {
        sum_limbs(constants, t->terms, step, terms, limbs + l);
        carry_limbs(t, l, l + step < t->limbs ? l + step : t->limbs, limbs, &carry);
    }
}

/** Where slots go, and what is wrong with them. */
typedef struct slot_sink {
    uint64_t *totals;
    msfl_chunk_shape shape;
    size_t at;    /* first coefficient */
    size_t width; /* coefficients that exist */
    bool whole;   /* WIDE of them, and all slots of all */
    bool padding_set;
} slot_sink;

static inline void emit(slot_sink *s, uint32_t slot, const v4i v[VECTORS]) {
    size_t first = slot * s->shape.n_coefficients + s->at;
    if (__builtin_expect(s->whole, 1)) {
        EACH_VECTOR(i)
        _mm256_storeu_si256((v4i *)(s->totals + first + MSFL_LANES * i), v[i]);
        return;
    }
    uint64_t lanes[WIDE];
    EACH_VECTOR(i)
    _mm256_storeu_si256((v4i *)(lanes + MSFL_LANES * i), v[i]);
    for (size_t l = 0; l < s->width; l++) {
        if (first + l < s->shape.n_slots) {
            s->totals[first + l] = lanes[l];
        } else {
            s->padding_set |= lanes[l] != 0;
        }
    }
    msfl_wipe(lanes, sizeof lanes);
}

/** Slots out of limbs; returns the larger of each lane's slots and `most`. Slots are below 2^51. */
static inline v4d emit_slots(const msfl_codec *codec, const codec_tables *t, const wide *limbs, slot_sink *sink,
                             v4d most) {
    v4i slots[VECTORS];
    if (t->slots_per_limb > 1) {
        v4i mask = _mm256_set1_epi64x((long long)(((uint64_t)1 << codec->slot_bits) - 1));
        __m128i shift = _mm_cvtsi32_si128((int)codec->slot_bits);
        for (uint32_t limb = 0, slot = 0; limb < t->limbs; limb++) {
            v4i rest[VECTORS];
            EACH_VECTOR(i)
            rest[i] = to_integer4(limbs[limb].v[i]);
            for (uint32_t k = 0; k < t->slots_per_limb && slot < codec->slots; k++, slot++) {
                EACH_VECTOR(i) {
                    slots[i] = _mm256_and_si256(rest[i], mask);
                    rest[i] = _mm256_srl_epi64(rest[i], shift);
                    most = _mm256_max_pd(most, to_double4(slots[i]));
                }
                emit(sink, slot, slots);
            }
        }
        return most;
    }
    v4d step = _mm256_set1_pd(ldexp(1.0, (int)t->limb_bits));
    for (uint32_t slot = 0; slot < codec->slots; slot++, limbs += t->limbs_per_slot) {
        EACH_VECTOR(i) {
            v4d v = limbs[t->limbs_per_slot - 1].v[i];
            for (uint32_t k = t->limbs_per_slot - 1; k-- > 0;)
                v = _mm256_fmadd_pd(v, step, limbs[k].v[i]);
            most = _mm256_max_pd(most, v);
            slots[i] = to_integer4(v);
        }
        emit(sink, slot, slots);
    }
    return most;
}

/** y_i / p_i summed, and the parts of all y_i; WIDE cells from x on in every plane. */
static inline wide split_cells(const msfl_codec *codec, const codec_tables *t, const msfl_cell *x, size_t stride,
                               wide *terms) {
    v4d up = _mm256_set1_pd(ldexp(1.0, (int)t->y_bits)), down = _mm256_set1_pd(ldexp(1.0, -(int)t->y_bits));
    wide f = {{_mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd(), _mm256_setzero_pd()}};
    for (uint32_t i = 0; i < codec->n_moduli; i++, x += stride, terms += t->y_parts) {
        v4d p_inverse = _mm256_set1_pd(msfl_avx2_tables_of(&codec->moduli[i])->p_inverse);
        EACH_VECTOR(h) {
            v4d y = _mm256_loadu_pd(&x[MSFL_LANES * h].d);
            f.v[h] = _mm256_fmadd_pd(y, p_inverse, f.v[h]);
            for (uint32_t k = 0; k + 1 < t->y_parts; k++) {
                v4d high = round_product4(y, down);
                terms[k].v[h] = _mm256_fnmadd_pd(high, up, y);
                y = high;
            }
            terms[t->y_parts - 1].v[h] = y;
        }
    }
    return f;
}

bool msfl_avx2_lift(const msfl_codec *codec, const msfl_cell *x, size_t stride, msfl_chunk_shape shape,
                    uint32_t noise_max, uint64_t total_max, uint64_t *totals) {
    const codec_tables *t = codec->tables;
    wide terms[TERMS_MAX], limbs[LIMBS_MAX];
    msfl_cell padded[WIDE * MSFL_MODULI_MAX];
    size_t n = shape.n_coefficients;
    slot_sink sink = {.totals = totals, .shape = shape};
    v4d noise_seen = _mm256_setzero_pd(), total_seen = _mm256_setzero_pd();
    const v4d sign = _mm256_set1_pd(-0.0);
    const v4d t_over_2q = _mm256_set1_pd(t->t_over_2q), q_over_t = _mm256_set1_pd(t->q_over_t);
    for (size_t c = 0; c < n; c += WIDE) {
        sink.at = c;
        sink.width = n - c < WIDE ? n - c : WIDE;
        sink.whole = sink.width == WIDE && (codec->slots - 1) * n + c + WIDE <= shape.n_slots;
        const msfl_cell *from = x + c;
        size_t from_stride = stride;
        if (sink.width < WIDE) { /* zeros in place of cells that are not there */
            memset(padded, 0, sizeof padded);
            for (uint32_t i = 0; i < codec->n_moduli; i++)
                memcpy(padded + i * WIDE, from + i * stride, sink.width * sizeof *padded);
            from = padded;
            from_stride = WIDE;
        }
        wide f = split_cells(codec, t, from, from_stride, terms);
        EACH_VECTOR(h) {
            v4d alpha = round4(_mm256_sub_pd(f.v[h], t_over_2q));
            terms[t->terms - 1].v[h] = _mm256_xor_pd(alpha, sign);
            f.v[h] = _mm256_sub_pd(f.v[h], alpha);
        }
        if (t->step == 2) {
            lift_limbs(t, 2, terms, limbs);
        } else {
            lift_limbs(t, 3, terms, limbs);
        }
        EACH_VECTOR(h) {
            /* m / t from its highest limbs, of 12 bits and more but for the last: off by less than 2^-20. */
            v4d fraction = _mm256_setzero_pd();
            for (uint32_t l = t->limbs > FRACTION_LIMBS ? t->limbs - FRACTION_LIMBS : 0; l < t->limbs; l++)
                fraction = _mm256_mul_pd(_mm256_add_pd(fraction, limbs[l].v[h]), _mm256_broadcast_sd(t->down + l));
            v4d e = round4(_mm256_fmsub_pd(f.v[h], q_over_t, fraction));
            noise_seen = _mm256_max_pd(noise_seen, _mm256_andnot_pd(sign, e));
        }
        total_seen = emit_slots(codec, t, limbs, &sink, total_seen);
    }
    msfl_wipe(terms, sizeof terms[0] * t->terms);
    msfl_wipe(limbs, sizeof limbs[0] * t->limbs_padded);
    if (n % WIDE != 0) msfl_wipe(padded, sizeof padded);
    v4d noise_over = _mm256_cmp_pd(noise_seen, _mm256_set1_pd(noise_max), _CMP_GT_OQ);
    v4d total_over = _mm256_cmp_pd(total_seen, _mm256_set1_pd((double)total_max), _CMP_GT_OQ);
    return (sink.padding_set | _mm256_movemask_pd(noise_over) | _mm256_movemask_pd(total_over)) == 0;
}
