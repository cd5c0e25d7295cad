#include "ring/wide.h"

#include "ring/modular.h"

#include <assert.h>
#include <math.h>

msfl_wide msfl_wide_of(uint64_t x) {
    return (msfl_wide){{x}};
}

msfl_wide msfl_wide_power2(uint32_t bits) {
    assert(bits < 64 * MSFL_WIDE_WORDS);
    msfl_wide r = {{0}};
    r.word[bits / 64] = (uint64_t)1 << (bits % 64);
    return r;
}

msfl_wide msfl_wide_mul_add(const msfl_wide *a, uint64_t b, uint64_t c) {
    msfl_wide r;
    uint64_t carry = c;
    for (int i = 0; i < MSFL_WIDE_WORDS; i++) {
        msfl_u128 z = (msfl_u128)a->word[i] * b + carry;
        r.word[i] = (uint64_t)z;
        carry = (uint64_t)(z >> 64);
    }
    assert(carry == 0);
    return r;
}

msfl_wide msfl_wide_add(const msfl_wide *a, const msfl_wide *b) {
    msfl_wide r;
    uint64_t carry = 0;
    for (int i = 0; i < MSFL_WIDE_WORDS; i++) {
        msfl_u128 z = (msfl_u128)a->word[i] + b->word[i] + carry;
        r.word[i] = (uint64_t)z;
        carry = (uint64_t)(z >> 64);
    }
    assert(carry == 0);
    return r;
}

msfl_wide msfl_wide_sub(const msfl_wide *a, const msfl_wide *b) {
    msfl_wide r;
    uint64_t borrow = 0;
    for (int i = 0; i < MSFL_WIDE_WORDS; i++) {
        msfl_u128 z = (msfl_u128)a->word[i] - b->word[i] - borrow;
        r.word[i] = (uint64_t)z;
        borrow = (uint64_t)(z >> 64) & 1;
    }
    assert(borrow == 0);
    return r;
}

msfl_wide msfl_wide_shift_right(const msfl_wide *a, uint32_t bits) {
    msfl_wide r = {{0}};
    uint32_t words = bits / 64, rest = bits % 64;
    for (uint32_t i = 0; i + words < MSFL_WIDE_WORDS; i++) {
        r.word[i] = a->word[i + words] >> rest;
        if (rest > 0 && i + words + 1 < MSFL_WIDE_WORDS) r.word[i] |= a->word[i + words + 1] << (64 - rest);
    }
    return r;
}

msfl_wide msfl_wide_low(const msfl_wide *a, uint32_t bits) {
    msfl_wide r = *a;
    for (uint32_t i = 0; i < MSFL_WIDE_WORDS; i++) {
        if (bits <= 64 * i) {
            r.word[i] = 0;
        } else if (bits < 64 * (i + 1)) {
            r.word[i] &= ((uint64_t)1 << (bits % 64)) - 1;
        }
    }
    return r;
}

uint64_t msfl_wide_mod(const msfl_wide *a, uint64_t b) {
    uint64_t r = 0;
    for (int i = MSFL_WIDE_WORDS; i-- > 0;)
        r = (uint64_t)(((msfl_u128)r << 64 | a->word[i]) % b);
    return r;
}

int msfl_wide_compare(const msfl_wide *a, const msfl_wide *b) {
    for (int i = MSFL_WIDE_WORDS; i-- > 0;) {
        if (a->word[i] != b->word[i]) return a->word[i] < b->word[i] ? -1 : 1;
    }
    return 0;
}

uint32_t msfl_wide_bits(const msfl_wide *a) {
    for (uint32_t i = MSFL_WIDE_WORDS; i-- > 0;) {
        if (a->word[i] != 0) return 64 * i + 64 - (uint32_t)__builtin_clzll(a->word[i]);
    }
    return 0;
}

uint64_t msfl_wide_field(const msfl_wide *a, uint32_t at, uint32_t width) {
    msfl_wide r = msfl_wide_shift_right(a, at);
    return width >= 64 ? r.word[0] : r.word[0] & (((uint64_t)1 << width) - 1);
}

double msfl_wide_log2(const msfl_wide *a) {
    uint32_t bits = msfl_wide_bits(a);
    if (bits == 0) return -INFINITY;
    uint32_t shift = bits > 64 ? bits - 64 : 0;
    return log2((double)msfl_wide_field(a, shift, 64)) + shift;
}
