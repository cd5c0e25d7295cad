#include "update/kernels/kernel.h"

#if defined(__x86_64__)

#include <float.h>
#include <immintrin.h>

static bool supported(void) {
    return __builtin_cpu_supports("avx2");
}

static inline __m256i load(const void *at) {
    return _mm256_loadu_si256((const __m256i *)at);
}

/** Four values c: (Y + r) >> F, each in 64 bits; above the low 32 bits, and above b bits, there is rubbish. */
static inline __m256i round_four(__m128 c, __m256i random, __m256d scale, __m256d base, __m128i shift) {
    __m256d t = _mm256_add_pd(_mm256_mul_pd(_mm256_cvtps_pd(c), scale), base);
    return _mm256_srl_epi64(_mm256_add_epi64(_mm256_castpd_si256(t), random), shift);
}

/** The low halves of the eight 64-bit integers of a, then b. */
static inline __m256i low_halves(__m256i a, __m256i b) {
    __m256 mixed = _mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), 0x88); /* a01 b01 a23 b23 */
    return _mm256_permute4x64_epi64(_mm256_castps_si256(mixed), 0xd8);
}

static uint32_t quantise(const msfl_rounding_rule *rule, uint32_t *out, const float *x, const uint32_t *words,
                         size_t n_groups) {
    const __m256 high = _mm256_set1_ps(rule->clip), low = _mm256_set1_ps(-rule->clip);
    const __m256d scale = _mm256_set1_pd(rule->scale), base = _mm256_set1_pd(rule->base);
    const __m256i value_mask = _mm256_set1_epi32((int32_t)rule->value_mask);
    const __m256i random_mask = _mm256_set1_epi64x(rule->random_mask);
    const __m128i shift = _mm_cvtsi32_si128((int)rule->shift);
    const __m256i swap = _mm256_setr_epi8(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13, 2, 3, 0, 1, 6, 7, 4, 5,
                                          10, 11, 8, 9, 14, 15, 12, 13);
    __m256i counts = _mm256_setzero_si256();
    for (size_t g = 0; g < n_groups; g++, words += MSFL_GROUP_WORDS) {
        __m256i r0 = load(words), r1 = load(words + 8);
        for (int half = 0; half < 2; half++, x += 16, out += 16) {
            MSFL_PREFETCH(x, 0);
            MSFL_PREFETCH(out, 1);
            __m256i random[4] = {_mm256_and_si256(r0, random_mask), _mm256_and_si256(r1, random_mask),
                                 _mm256_and_si256(_mm256_srli_epi64(r0, 32), random_mask),
                                 _mm256_and_si256(_mm256_srli_epi64(r1, 32), random_mask)};
            for (int k = 0; k < 2; k++) {
                __m256 v = _mm256_loadu_ps(x + 8 * k);
                /* max and min give their second operand when one is NaN: the order is that of the generic twin. */
                __m256 c = _mm256_min_ps(_mm256_max_ps(v, low), high);
                counts = _mm256_sub_epi32(counts, _mm256_castps_si256(_mm256_cmp_ps(v, c, _CMP_NEQ_OQ)));
                __m256i a = round_four(_mm256_castps256_ps128(c), random[2 * k], scale, base, shift);
                __m256i b = round_four(_mm256_extractf128_ps(c, 1), random[2 * k + 1], scale, base, shift);
                _mm256_storeu_si256((__m256i *)(void *)(out + 8 * k), _mm256_and_si256(low_halves(a, b), value_mask));
            }
            r0 = _mm256_shuffle_epi8(r0, swap);
            r1 = _mm256_shuffle_epi8(r1, swap);
        }
    }
    __m128i pairs = _mm_add_epi32(_mm256_castsi256_si128(counts), _mm256_extracti128_si256(counts, 1));
    pairs = _mm_add_epi32(pairs, _mm_shuffle_epi32(pairs, 0x4e));
    pairs = _mm_add_epi32(pairs, _mm_shuffle_epi32(pairs, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(pairs);
}

static bool finite(const float *x, size_t n) {
    /* Without the sign bit, the bits of a float are in the order of magnitudes, infinity and NaN above all. */
    __m256i most[4] = {{0}};
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        for (int k = 0; k < 4; k++) {
            __m256i v = load(x + i + 8 * k);
            most[k] = _mm256_max_epu32(most[k], _mm256_add_epi32(v, v));
        }
    }
    __m256i all = _mm256_max_epu32(_mm256_max_epu32(most[0], most[1]), _mm256_max_epu32(most[2], most[3]));
    const __m256i infinity = _mm256_set1_epi32((int32_t)0xff000000);
    /* No bit set: no lane reaches infinity. */
    int reached = _mm256_movemask_epi8(_mm256_cmpeq_epi32(_mm256_max_epu32(all, infinity), all));
    return reached == 0 && msfl_update_generic.finite(x + i, n - i);
}

static bool within(const uint64_t *totals, size_t n, uint64_t low, uint64_t high) {
    /* total - low > high - low as unsigned integers; 2^63 taken from both sides makes it a signed comparison. */
    const uint64_t top = UINT64_C(1) << 63;
    const __m256i from = _mm256_set1_epi64x((int64_t)(low + top));
    const __m256i span = _mm256_set1_epi64x((int64_t)(high - low - top));
    __m256i beyond[4] = {{0}};
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        MSFL_PREFETCH(totals + i, 0);
        MSFL_PREFETCH(totals + i + 8, 0);
        for (int k = 0; k < 4; k++) {
            __m256i d = _mm256_sub_epi64(load(totals + i + 4 * k), from);
            beyond[k] = _mm256_or_si256(beyond[k], _mm256_cmpgt_epi64(d, span));
        }
    }
    __m256i any = _mm256_or_si256(_mm256_or_si256(beyond[0], beyond[1]), _mm256_or_si256(beyond[2], beyond[3]));
    return _mm256_testz_si256(any, any) && msfl_update_generic.within(totals + i, n - i, low, high);
}

static void decode(float *mean, const uint64_t *totals, size_t n, uint64_t offset, double step) {
    /* k + (bits of 1.5 2^52) are the bits of 1.5 2^52 + k for every |k| < 2^51. */
    const __m256i shifted = _mm256_set1_epi64x((int64_t)(UINT64_C(0x4338000000000000) - offset));
    const __m256d magic = _mm256_set1_pd(0x1.8p52), steps = _mm256_set1_pd(step);
    const __m256 most = _mm256_set1_ps(FLT_MAX), least = _mm256_set1_ps(-FLT_MAX);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        MSFL_PREFETCH(mean + i, 1);
        __m128 part[2];
        for (int k = 0; k < 2; k++) {
            __m256i t = load(totals + i + 4 * k);
            __m256d x = _mm256_castsi256_pd(_mm256_add_epi64(_mm256_add_epi64(t, t), shifted));
            part[k] = _mm256_cvtpd_ps(_mm256_mul_pd(_mm256_sub_pd(x, magic), steps));
        }
        /* Clipping after the rounding to float is clipping before it: FLT_MAX is a float, and rounding is monotonic. */
        __m256 x = _mm256_insertf128_ps(_mm256_castps128_ps256(part[0]), part[1], 1);
        _mm256_storeu_ps(mean + i, _mm256_max_ps(_mm256_min_ps(x, most), least));
    }
    msfl_update_generic.decode(mean + i, totals + i, n - i, offset, step);
}

const msfl_update_kernel msfl_update_avx2 = {"avx2", supported, quantise, finite, within, decode};

#else

typedef int msfl_no_avx2_here;

#endif
