/* AES in counter mode, four blocks in a vector (VAES). FIPS 197 for the key schedule and the cipher, SP 800-38A for the
 * counter. Constant time: the S-box is an instruction. Held to libcrypto by tests/unit/ring/test_aes.c. */
#include "base/bytes.h"
#include "base/sodium.h"
#include "ring/kernels/avx512.h"

enum { BLOCKS = 4 /* in a vector */, TOGETHER = 4 /* vectors */, KEYS_MAX = 15 };

/** SubWord of the highest word of k in all words, rotated if `rcon` is not zero, and added to it: with all columns the
 *  same, the shift of rows in the last round of the cipher moves nothing. */
MSFL_INLINE512 __m128i schedule_core(__m128i k, uint32_t rcon) {
    const __m128i rotated = _mm_set1_epi32(0x0c0f0e0d), straight = _mm_set1_epi32(0x0f0e0d0c);
    return _mm_aesenclast_si128(_mm_shuffle_epi8(k, rcon != 0 ? rotated : straight), _mm_set1_epi32((int)rcon));
}

/** The next key of the schedule: word i is the exclusive or of words 0 to i of the one before, and of `core`. */
MSFL_INLINE512 __m128i next_key(__m128i k, __m128i core) {
    k = _mm_xor_si128(k, _mm_slli_si128(k, 4));
    k = _mm_xor_si128(k, _mm_slli_si128(k, 8));
    return _mm_xor_si128(k, core);
}

static void schedule(uint8_t *out, const uint8_t *key, size_t key_bytes) {
    __m128i *keys = (__m128i *)out;
    __m128i a = _mm_loadu_si128((const __m128i *)key);
    _mm_storeu_si128(keys, a);
    if (key_bytes == 16) {
        /* rcon doubles in the field of 256 elements, where 0x80 becomes 0x1b. */
        for (uint32_t i = 1, rcon = 1; i <= 10; i++, rcon = rcon == 0x80 ? 0x1b : 2 * rcon) {
            a = next_key(a, schedule_core(a, rcon));
            _mm_storeu_si128(keys + i, a);
        }
        return;
    }
    __m128i b = _mm_loadu_si128((const __m128i *)(key + 16));
    _mm_storeu_si128(keys + 1, b);
    for (uint32_t i = 2, rcon = 1; i <= 14; i += 2, rcon *= 2) {
        a = next_key(a, schedule_core(b, rcon));
        _mm_storeu_si128(keys + i, a);
        if (i == 14) break;
        b = next_key(b, schedule_core(a, 0));
        _mm_storeu_si128(keys + i + 1, b);
    }
}

/** n blocks under `rounds` + 1 keys; the low 64 bits of the counter do not wrap within. */
MSFL_INLINE512 void encrypt_counters(const uint8_t *schedule, int rounds, uint64_t high, uint64_t low, uint8_t *out,
                                     size_t n) {
    v8i key[KEYS_MAX];
    for (int r = 0; r <= rounds; r++)
        key[r] = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)schedule + r));
    /* Counters as pairs of words in the processor's order, turned round for the cipher. */
    const v8i turn = _mm512_broadcast_i32x4(_mm_setr_epi8(7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8));
    const v8i step = _mm512_setr_epi64(0, BLOCKS, 0, BLOCKS, 0, BLOCKS, 0, BLOCKS);
    v8i counter = _mm512_setr_epi64((long long)high, 0, (long long)high, 1, (long long)high, 2, (long long)high, 3);
    counter = _mm512_add_epi64(counter, _mm512_maskz_set1_epi64(0xaa, (long long)low));
    for (size_t done = 0; done < n; done += TOGETHER * BLOCKS) {
        v8i x[TOGETHER];
        _Pragma("GCC unroll 4") for (int k = 0; k < TOGETHER; k++) {
            x[k] = _mm512_xor_si512(_mm512_shuffle_epi8(counter, turn), key[0]);
            counter = _mm512_add_epi64(counter, step);
        }
        for (int r = 1; r < rounds; r++) {
            _Pragma("GCC unroll 4") for (int k = 0; k < TOGETHER; k++) x[k] = _mm512_aesenc_epi128(x[k], key[r]);
        }
        _Pragma("GCC unroll 4") for (int k = 0; k < TOGETHER; k++) {
            size_t first = done + (size_t)k * BLOCKS, left = first < n ? n - first : 0;
            __mmask8 there = left < BLOCKS ? (__mmask8)((1u << 2 * left) - 1) : 0xff;
            _mm512_mask_storeu_epi64(out + 16 * first, there, _mm512_aesenclast_epi128(x[k], key[rounds]));
        }
    }
}

static void stream(const uint8_t *schedule, size_t key_bytes, uint8_t counter[16], uint8_t *out, size_t n) {
    uint64_t high = __builtin_bswap64(msfl_load64(counter)), low = __builtin_bswap64(msfl_load64(counter + 8));
    while (n > 0) {
        /* As far as the low half goes. */
        uint64_t now = low != 0 && 0 - low < n ? 0 - low : n;
        if (key_bytes == 16) {
            encrypt_counters(schedule, 10, high, low, out, now);
        } else {
            encrypt_counters(schedule, 14, high, low, out, now);
        }
        low += now;
        high += low == 0;
        out += 16 * now;
        n -= now;
    }
    msfl_store64(counter, __builtin_bswap64(high));
    msfl_store64(counter + 8, __builtin_bswap64(low));
}

const msfl_aes_kernel msfl_avx512_aes = {.schedule = schedule, .stream = stream};
