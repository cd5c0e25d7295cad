/* Natural numbers below 2^1088: enough for every modulus q and its bounds. For public values; times depend on them. */
#ifndef MSFL_RING_WIDE_H
#define MSFL_RING_WIDE_H

#include <stdint.h>

enum { MSFL_WIDE_WORDS = 17 };

/** sum word[i] 2^(64 i). Operations whose result would not fit are a broken invariant. */
typedef struct msfl_wide {
    uint64_t word[MSFL_WIDE_WORDS];
} msfl_wide;

msfl_wide msfl_wide_of(uint64_t x);
/** 2^bits */
msfl_wide msfl_wide_power2(uint32_t bits);
/** a b + c */
msfl_wide msfl_wide_mul_add(const msfl_wide *a, uint64_t b, uint64_t c);
msfl_wide msfl_wide_add(const msfl_wide *a, const msfl_wide *b);
/** a - b for a >= b */
msfl_wide msfl_wide_sub(const msfl_wide *a, const msfl_wide *b);
/** floor(a / 2^bits) */
msfl_wide msfl_wide_shift_right(const msfl_wide *a, uint32_t bits);
/** a mod 2^bits */
msfl_wide msfl_wide_low(const msfl_wide *a, uint32_t bits);
uint64_t msfl_wide_mod(const msfl_wide *a, uint64_t b);
/** -1, 0 or 1 */
int msfl_wide_compare(const msfl_wide *a, const msfl_wide *b);
/** Smallest k with a < 2^k. */
uint32_t msfl_wide_bits(const msfl_wide *a);
/** Bits [at, at + width) of a, width <= 64. */
uint64_t msfl_wide_field(const msfl_wide *a, uint32_t at, uint32_t width);
/** log2 a for people; -infinity for 0. */
double msfl_wide_log2(const msfl_wide *a);

#endif
