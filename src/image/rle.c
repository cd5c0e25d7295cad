#include "image/rle.h"

#include "base/bytes.h"

enum { HEADER_BYTES = 64, SEGMENTS_MAX = 15 };

bool msfl_rle_begins(const uint8_t *bytes, size_t length) {
    if (length < HEADER_BYTES) return false;
    uint32_t n = msfl_load32(bytes);
    return n >= 1 && n <= SEGMENTS_MAX && msfl_load32(bytes + 4) == HEADER_BYTES;
}

/* One segment into every `step`-th byte of `out`. */
static bool unpack(const uint8_t *at, const uint8_t *end, size_t pixels, size_t step, uint8_t *out) {
    size_t n = 0;
    while (n < pixels) {
        if (at == end) return false;
        uint8_t control = *at++;
        if (control == 128) continue; /* says nothing */
        size_t run = control < 128 ? (size_t)control + 1 : (size_t)257 - control;
        size_t source = control < 128 ? run : 1;
        if ((size_t)(end - at) < source) return false;
        for (size_t i = 0; i < run && n < pixels; i++, n++)
            out[n * step] = at[source == 1 ? 0 : i];
        at += source;
    }
    return true;
}

bool msfl_rle_decode(const uint8_t *bytes, size_t length, size_t pixels, uint32_t channels, uint32_t sample_bytes,
                     uint8_t *out) {
    if (!msfl_rle_begins(bytes, length) || (uint64_t)channels * sample_bytes != msfl_load32(bytes)) return false;
    uint32_t n = channels * sample_bytes;
    for (uint32_t i = 0; i < n; i++) {
        size_t begin = msfl_load32(bytes + 4 + 4 * i), end = i + 1 < n ? msfl_load32(bytes + 8 + 4 * i) : length;
        if (begin < HEADER_BYTES || end > length || begin > end) return false;
        uint32_t channel = i / sample_bytes, byte = sample_bytes - 1 - i % sample_bytes;
        if (!unpack(bytes + begin, bytes + end, pixels, n, out + (size_t)channel * sample_bytes + byte)) return false;
    }
    return true;
}
