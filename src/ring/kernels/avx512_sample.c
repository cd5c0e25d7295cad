/* Uniform residues and centred binomial noise. */
#include "ring/bits.h"
#include "ring/kernels/avx512.h"

/* Eight candidates of 1 to 7 bytes at a time. Those below p move together to the front; which ones is public. */
size_t msfl_avx512_uniform(const msfl_modulus *m, msfl_cell *x, const uint8_t *bytes, size_t n) {
    size_t width = (m->m.bits + 7) / 8, kept = 0, done = 0;
    _Alignas(64) uint8_t order[64];
    for (size_t i = 0; i < 64; i++)
        order[i] = (uint8_t)(i / 8 * width + i % 8);
    v8i spread = _mm512_load_si512(order), mask = all8(msfl_bits_mask(m->m.bits)), p = all8(m->m.p);
    const __mmask64 whole = ((uint64_t)1 << (8 * width)) - 1; /* at most 56 bytes */
    for (; done + MSFL_LANES512 <= n; done += MSFL_LANES512, bytes += 8 * width) {
        v8i r = _mm512_permutexvar_epi8(spread, _mm512_maskz_loadu_epi8(whole, bytes));
        r = _mm512_and_si512(r, mask);
        uint32_t good = _mm512_cmplt_epu64_mask(r, p);
        if (__builtin_expect(good == 0xff, 1)) {
            _mm512_storeu_si512(x + kept, r);
            kept += MSFL_LANES512;
        } else {
            /* What is beyond the kept ones is written over, or left to the caller: n cells may be written. */
            _mm512_storeu_si512(x + kept, _mm512_maskz_compress_epi64((__mmask8)good, r));
            kept += (uint32_t)__builtin_popcount(good);
        }
    }
    for (; done < n; done++, bytes += width) {
        msfl_cell one;
        if (msfl_kernel_generic.uniform(m, &one, bytes, 1) == 1) x[kept++] = one;
    }
    return kept;
}

void msfl_avx512_binomial(int8_t *out, const uint8_t *bytes, uint32_t bits, size_t n) {
    _Static_assert(MSFL_NOISE_BLOCK == sizeof(__m256i), "one block is half a vector of bytes");
    assert(n % MSFL_NOISE_BLOCK == 0 && bits % 2 == 0 && bits <= 200);
    uint32_t whole = bits / 8;
    __m256i rest = _mm256_set1_epi8((char)((1 << bits % 8) - 1)), middle = _mm256_set1_epi8((char)(bits / 2));
    for (size_t i = 0; i < n; i += MSFL_NOISE_BLOCK) {
        /* Two planes at a time, then a last one, whole or not. */
        v8i pairs = _mm512_setzero_si512();
        for (uint32_t k = 0; k < whole / 2; k++, bytes += 2 * MSFL_NOISE_BLOCK)
            pairs = _mm512_add_epi8(pairs, _mm512_popcnt_epi8(_mm512_loadu_si512(bytes)));
        __m256i sum = _mm256_add_epi8(_mm512_castsi512_si256(pairs), _mm512_extracti64x4_epi64(pairs, 1));
        if (whole % 2 != 0) {
            sum = _mm256_add_epi8(sum, _mm256_popcnt_epi8(_mm256_loadu_si256((const __m256i *)bytes)));
            bytes += MSFL_NOISE_BLOCK;
        }
        if (bits % 8 != 0) {
            __m256i last = _mm256_and_si256(_mm256_loadu_si256((const __m256i *)bytes), rest);
            sum = _mm256_add_epi8(sum, _mm256_popcnt_epi8(last));
            bytes += MSFL_NOISE_BLOCK;
        }
        _mm256_storeu_si256((__m256i *)(out + i), _mm256_sub_epi8(sum, middle));
    }
}
