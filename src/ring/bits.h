/* Strings of fixed-width integers: integer i of width k takes bits [k i, k i + k), bit 0 being the lowest of byte 0.
 * Eight integers take exactly k bytes, so everything goes in groups of eight. */
#ifndef MSFL_RING_BITS_H
#define MSFL_RING_BITS_H

#include "base/bytes.h"

#include <assert.h>

enum { MSFL_GROUP = 8, MSFL_BITS_WIDTH_MAX = 57 };

static inline uint64_t msfl_bits_mask(uint32_t width) {
    return ((uint64_t)1 << width) - 1;
}

/** Read `count` <= 8 integers of `width` bits from ceil(count width / 8) bytes. False if a bit of padding is set. */
static inline bool msfl_bits_get(const uint8_t *in, uint32_t width, size_t count, uint64_t r[MSFL_GROUP]) {
    uint8_t padded[64 + 8] = {0}; /* 8 integers of 57 bits end in byte 57, and 8 bytes are read from there */
    assert(count <= MSFL_GROUP && width <= MSFL_BITS_WIDTH_MAX);
    size_t bits = count * width;
    memcpy(padded, in, (bits + 7) / 8);
    for (size_t i = 0; i < count; i++) {
        size_t at = i * width;
        r[i] = msfl_load64(padded + at / 8) >> (at % 8) & msfl_bits_mask(width);
    }
    return bits % 8 == 0 || padded[bits / 8] >> (bits % 8) == 0;
}

/** Write `count` <= 8 integers below 2^width to ceil(count width / 8) bytes; padding is zero. */
static inline void msfl_bits_put(uint8_t *out, uint32_t width, size_t count, const uint64_t r[MSFL_GROUP]) {
    uint64_t pending = 0;
    uint32_t held = 0; /* at most 7 between integers, and 7 + 57 bits fit */
    assert(count <= MSFL_GROUP && width <= MSFL_BITS_WIDTH_MAX);
    for (size_t i = 0; i < count; i++) {
        assert(held < 8 && (r[i] & ~msfl_bits_mask(width)) == 0);
        pending |= r[i] << held;
        for (held += width; held >= 8; held -= 8) {
            *out++ = (uint8_t)pending;
            pending >>= 8;
        }
    }
    if (held > 0) *out = (uint8_t)pending;
}

#endif
