#include "update/kernels/kernel.h"

#if defined(__x86_64__)

#include <float.h>
#include <immintrin.h>

static bool supported(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx2");
}

/** Eight values c: (Y + r) >> F, each in 64 bits; above the low 32 bits, and above b bits, there is rubbish. */
static inline __m512i round_eight(__m256 c, __m512i random, __m512d scale, __m512d base, __m128i shift) {
    __m512d t = _mm512_add_pd(_mm512_mul_pd(_mm512_cvtps_pd(c), scale), base);
    return _mm512_srl_epi64(_mm512_add_epi64(_mm512_castpd_si512(t), random), shift);
}

static inline __m256 upper_half(__m512 x) {
    return _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(x), 1));
}

static uint32_t quantise(const msfl_rounding_rule *rule, uint32_t *out, const float *x, const uint32_t *words,
                         size_t n_groups) {
    const __m512 high = _mm512_set1_ps(rule->clip), low = _mm512_set1_ps(-rule->clip);
    const __m512d scale = _mm512_set1_pd(rule->scale), base = _mm512_set1_pd(rule->base);
    const __m512i value_mask = _mm512_set1_epi32((int32_t)rule->value_mask);
    const __m512i random_mask = _mm512_set1_epi64(rule->random_mask);
    const __m512i low_halves = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i one = _mm512_set1_epi32(1);
    const __m128i shift = _mm_cvtsi32_si128((int)rule->shift);
    __m512i counts = _mm512_setzero_si512();
    for (size_t g = 0; g < n_groups; g++, words += MSFL_GROUP_WORDS) {
        __m512i random = _mm512_loadu_si512(words);
        for (int half = 0; half < 2; half++, x += 16, out += 16) {
            MSFL_PREFETCH(x, 0);
            MSFL_PREFETCH(out, 1);
            __m512 v = _mm512_loadu_ps(x);
            /* max and min give their second operand when one is NaN: the order is that of the generic twin. */
            __m512 c = _mm512_min_ps(_mm512_max_ps(v, low), high);
            counts = _mm512_mask_add_epi32(counts, _mm512_cmp_ps_mask(v, c, _CMP_NEQ_OQ), counts, one);
            __m512i r = _mm512_and_si512(random, random_mask);
            __m512i a = round_eight(_mm512_castps512_ps256(c), r, scale, base, shift);
            r = _mm512_and_si512(_mm512_srli_epi64(random, 32), random_mask);
            __m512i b = round_eight(upper_half(c), r, scale, base, shift);
            __m512i m = _mm512_permutex2var_epi32(a, low_halves, b);
            _mm512_storeu_si512(out, _mm512_and_si512(m, value_mask));
            random = _mm512_rol_epi32(random, 16);
        }
    }
    return (uint32_t)_mm512_reduce_add_epi32(counts);
}

static bool finite(const float *x, size_t n) {
    /* Without the sign bit, the bits of a float are in the order of magnitudes, infinity and NaN above all. */
    __m512i most[4] = {{0}};
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        for (int k = 0; k < 4; k++) {
            __m512i v = _mm512_loadu_si512(x + i + 16 * k);
            most[k] = _mm512_max_epu32(most[k], _mm512_add_epi32(v, v));
        }
    }
    __m512i all = _mm512_max_epu32(_mm512_max_epu32(most[0], most[1]), _mm512_max_epu32(most[2], most[3]));
    __mmask16 reached = _mm512_cmpge_epu32_mask(all, _mm512_set1_epi32((int32_t)0xff000000));
    return reached == 0 && msfl_update_generic.finite(x + i, n - i);
}

static bool within(const uint64_t *totals, size_t n, uint64_t low, uint64_t high) {
    const __m512i from = _mm512_set1_epi64((int64_t)low), span = _mm512_set1_epi64((int64_t)(high - low));
    __m512i most[4] = {{0}};
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        for (int k = 0; k < 4; k++) {
            MSFL_PREFETCH(totals + i + 8 * k, 0);
            __m512i d = _mm512_sub_epi64(_mm512_loadu_si512(totals + i + 8 * k), from);
            most[k] = _mm512_max_epu64(most[k], d);
        }
    }
    __m512i all = _mm512_max_epu64(_mm512_max_epu64(most[0], most[1]), _mm512_max_epu64(most[2], most[3]));
    __mmask8 beyond = _mm512_cmpgt_epu64_mask(all, span);
    return beyond == 0 && msfl_update_generic.within(totals + i, n - i, low, high);
}

static void decode(float *mean, const uint64_t *totals, size_t n, uint64_t offset, double step) {
    /* k + (bits of 1.5 2^52) are the bits of 1.5 2^52 + k for every |k| < 2^51. */
    const __m512i shifted = _mm512_set1_epi64((int64_t)(UINT64_C(0x4338000000000000) - offset));
    const __m512d magic = _mm512_set1_pd(0x1.8p52), steps = _mm512_set1_pd(step);
    const __m256 most = _mm256_set1_ps(FLT_MAX), least = _mm256_set1_ps(-FLT_MAX);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        MSFL_PREFETCH(mean + i, 1);
        __m512i t = _mm512_loadu_si512(totals + i);
        __m512d x = _mm512_castsi512_pd(_mm512_add_epi64(_mm512_add_epi64(t, t), shifted));
        __m256 m = _mm512_cvtpd_ps(_mm512_mul_pd(_mm512_sub_pd(x, magic), steps));
        /* Clipping after the rounding to float is clipping before it: FLT_MAX is a float, and rounding is monotonic. */
        _mm256_storeu_ps(mean + i, _mm256_max_ps(_mm256_min_ps(m, most), least));
    }
    msfl_update_generic.decode(mean + i, totals + i, n - i, offset, step);
}

const msfl_update_kernel msfl_update_avx512 = {"avx512", supported, quantise, finite, within, decode};

#else

typedef int msfl_no_avx512_here;

#endif
