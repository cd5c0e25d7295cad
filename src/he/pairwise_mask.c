/* Masks from their keys, and vectors of w-bit values. */
#include "he/pairwise.h"
#include "ring/bits.h"

/* Value i of a vector takes word i of the ChaCha20 stream, 4 bytes up to 32 bits and 8 above: chunk j begins at a
 * block, so that chunks can be masked and opened on their own. */
_Static_assert(MSFL_PAIRWISE_CHUNK % 64 == 0, "chunks begin at a block, groups and bytes come out even");

void msfl_pairwise_expand(msfl_pairwise_scratch *s, const uint8_t key[32], bool add, uint32_t width, uint64_t j,
                          size_t n) {
    const size_t word = width <= 32 ? 4 : 8, words = sizeof s->stream / word;
    const uint64_t sign = add ? 1 : UINT64_MAX; /* which pairs subtract is public */
    uint64_t block = j * (MSFL_PAIRWISE_CHUNK * word / 64);
    for (size_t at = 0; at < n; at += words) {
        size_t count = n - at < words ? n - at : words;
        msfl_chacha20_stream(key, 0, block, s->stream, count * word);
        block += sizeof s->stream / 64;
        if (word == 4) {
            for (size_t i = 0; i < count; i++)
                s->values[at + i] += sign * msfl_load32(s->stream + 4 * i);
        } else {
            for (size_t i = 0; i < count; i++)
                s->values[at + i] += sign * msfl_load64(s->stream + 8 * i);
        }
    }
}

bool msfl_pairwise_unpack(const uint8_t *bytes, uint32_t width, size_t n, uint64_t *values) {
    bool clean = true;
    uint64_t last[MSFL_GROUP];
    size_t whole = n / MSFL_GROUP * MSFL_GROUP;
    for (size_t i = 0; i < whole; i += MSFL_GROUP, bytes += width)
        clean &= msfl_bits_get(bytes, width, MSFL_GROUP, values + i);
    if (whole < n) {
        clean &= msfl_bits_get(bytes, width, n - whole, last);
        memcpy(values + whole, last, (n - whole) * sizeof *values);
    }
    return clean;
}

void msfl_pairwise_pack(const uint64_t *values, uint32_t width, size_t n, uint8_t *bytes) {
    uint64_t low[MSFL_GROUP];
    for (size_t at = 0; at < n; at += MSFL_GROUP, bytes += width) {
        size_t count = n - at < MSFL_GROUP ? n - at : MSFL_GROUP;
        for (size_t i = 0; i < count; i++)
            low[i] = values[at + i] & msfl_bits_mask(width);
        msfl_bits_put(bytes, width, count, low);
    }
}
