#include "update/kernels/kernel.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

/** Four values: floor(w) + (u < w - floor(w)) as 32-bit integers. `random` holds the words with the top bit flipped:
 *  read as signed they are the words minus 2^31. */
AVX2 static inline __m128i round_four(__m128 c, __m128i random, __m256d scale) {
    const __m256d half = _mm256_set1_pd(0.5);
    __m256d w = _mm256_sub_pd(_mm256_mul_pd(_mm256_cvtps_pd(c), scale), half);
    __m256d whole = _mm256_floor_pd(w);
    __m256d fraction = _mm256_sub_pd(w, whole);
    __m256d u = _mm256_mul_pd(_mm256_cvtepi32_pd(random), _mm256_set1_pd(0x1p-32));
    u = _mm256_add_pd(u, half); /* a multiple of 2^-32 below 1: exact */
    __m256d up = _mm256_cmp_pd(u, fraction, _CMP_LT_OQ);
    /* whole + 1 <= 2^31 - 1 wherever `up` holds, so the conversion is in range. */
    return _mm256_cvttpd_epi32(_mm256_add_pd(whole, _mm256_and_pd(up, _mm256_set1_pd(1.0))));
}

AVX2 static uint32_t quantise(const float *x, const uint32_t *random, size_t n, float clip, double scale,
                              uint32_t middle, uint32_t *out) {
    const __m256 high = _mm256_set1_ps(clip), low = _mm256_set1_ps(-clip);
    const __m256d scales = _mm256_set1_pd(scale);
    const __m256i middles = _mm256_set1_epi32((int32_t)middle), top_bit = _mm256_set1_epi32(INT32_MIN);
    __m256i counts = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_loadu_ps(x + i);
        /* max and min give their second operand when one is NaN: the order is that of the generic twin. */
        __m256 c = _mm256_min_ps(_mm256_max_ps(v, low), high);
        __m256 outside = _mm256_or_ps(_mm256_cmp_ps(v, high, _CMP_GT_OQ), _mm256_cmp_ps(v, low, _CMP_LT_OQ));
        counts = _mm256_sub_epi32(counts, _mm256_castps_si256(outside));
        __m256i r = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(const void *)(random + i)), top_bit);
        __m128i a = round_four(_mm256_castps256_ps128(c), _mm256_castsi256_si128(r), scales);
        __m128i b = round_four(_mm256_extractf128_ps(c, 1), _mm256_extracti128_si256(r, 1), scales);
        __m256i m = _mm256_add_epi32(_mm256_set_m128i(b, a), middles);
        _mm256_storeu_si256((__m256i *)(void *)(out + i), m);
    }
    __m128i pairs = _mm_add_epi32(_mm256_castsi256_si128(counts), _mm256_extracti128_si256(counts, 1));
    pairs = _mm_add_epi32(pairs, _mm_shuffle_epi32(pairs, 0x4e));
    pairs = _mm_add_epi32(pairs, _mm_shuffle_epi32(pairs, 0xb1));
    uint32_t n_clipped = (uint32_t)_mm_cvtsi128_si32(pairs);
    if (i < n) {
        n_clipped += msfl_quantise_generic.quantise(x + i, random + i, n - i, clip, scale, middle, out + i);
    }
    return n_clipped;
}

const msfl_quantise_kernel msfl_quantise_avx2 = {"avx2", quantise};

#else

typedef int msfl_no_avx2_here;

#endif
