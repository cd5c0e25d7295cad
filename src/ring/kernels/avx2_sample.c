/* Uniform residues and centred binomial noise. */
#include "ring/bits.h"
#include "ring/kernels/avx2.h"

/* Candidates of 1 to 7 bytes, two per 16-byte load. Primes close under a power of two reject almost nothing, so a block
 * without a rejection is the rule, and one with goes through the generic code. */
size_t msfl_avx2_uniform(const msfl_modulus *m, msfl_cell *x, const uint8_t *bytes, size_t n) {
    enum { BLOCK = 16 };
    size_t width = (m->m.bits + 7) / 8, kept = 0, done = 0;
    _Alignas(32) uint8_t order[32];
    for (size_t i = 0; i < 8; i++) {
        order[i] = order[16 + i] = i < width ? (uint8_t)i : 0x80;
        order[8 + i] = order[24 + i] = i < width ? (uint8_t)(width + i) : 0x80;
    }
    v4i spread = _mm256_load_si256((const v4i *)order);
    v4i mask = _mm256_set1_epi64x((long long)msfl_bits_mask(m->m.bits));
    v4i top = _mm256_set1_epi64x((long long)m->m.p - 1);
    /* The last load of a block ends 16 - 2 width bytes behind it: one block stays for the careful way. */
    for (; done + 2 * BLOCK <= n; done += BLOCK) {
        const uint8_t *in = bytes + done * width;
        v4i r[4], bad = _mm256_setzero_si256();
        for (int i = 0; i < 4; i++, in += 4 * width) {
            __m128i a = _mm_loadu_si128((const __m128i *)in), b = _mm_loadu_si128((const __m128i *)(in + 2 * width));
            v4i v = _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1);
            r[i] = _mm256_and_si256(_mm256_shuffle_epi8(v, spread), mask);
            bad = _mm256_or_si256(bad, _mm256_sub_epi64(top, r[i]));
        }
        if (__builtin_expect(_mm256_movemask_pd(_mm256_castsi256_pd(bad)) == 0, 1)) {
            for (int i = 0; i < 4; i++)
                _mm256_storeu_pd(&x[kept + 4 * (size_t)i].d, to_double4(r[i]));
            kept += BLOCK;
        } else {
            msfl_cell accepted[BLOCK];
            size_t count = msfl_kernel_generic.uniform(m, accepted, bytes + done * width, BLOCK);
            for (size_t i = 0; i < count; i++)
                x[kept++].d = (double)accepted[i].u;
        }
    }
    for (; done < n; done++) {
        msfl_cell one;
        if (msfl_kernel_generic.uniform(m, &one, bytes + done * width, 1) == 1) x[kept++].d = (double)one.u;
    }
    return kept;
}

/** Ones in each byte. */
static inline v4i ones8(v4i x) {
    const v4i count = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2,
                                       3, 2, 3, 3, 4);
    const v4i nibble = _mm256_set1_epi8(15);
    v4i low = _mm256_and_si256(x, nibble), high = _mm256_and_si256(_mm256_srli_epi16(x, 4), nibble);
    return _mm256_add_epi8(_mm256_shuffle_epi8(count, low), _mm256_shuffle_epi8(count, high));
}

void msfl_avx2_binomial(int8_t *out, const uint8_t *bytes, uint32_t bits, size_t n) {
    _Static_assert(MSFL_NOISE_BLOCK == sizeof(v4i), "one block is one vector of bytes");
    assert(n % MSFL_NOISE_BLOCK == 0 && bits % 2 == 0 && bits <= 200);
    uint32_t whole = bits / 8;
    v4i rest = _mm256_set1_epi8((char)((1 << bits % 8) - 1)), middle = _mm256_set1_epi8((char)(bits / 2));
    for (size_t i = 0; i < n; i += MSFL_NOISE_BLOCK) {
        v4i sum = _mm256_setzero_si256();
        for (uint32_t k = 0; k < whole; k++, bytes += MSFL_NOISE_BLOCK)
            sum = _mm256_add_epi8(sum, ones8(_mm256_loadu_si256((const v4i *)bytes)));
        if (bits % 8 != 0) {
            v4i last = _mm256_and_si256(_mm256_loadu_si256((const v4i *)bytes), rest);
            sum = _mm256_add_epi8(sum, ones8(last));
            bytes += MSFL_NOISE_BLOCK;
        }
        _mm256_storeu_si256((v4i *)(out + i), _mm256_sub_epi8(sum, middle));
    }
}
