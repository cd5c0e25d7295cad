/* Natural numbers below 2^1088: enough for every modulus q and its bounds. For public values; times depend on them. */
#ifndef MSFL_RING_NATURAL_H
#define MSFL_RING_NATURAL_H

#include <stdint.h>

enum { MSFL_NATURAL_WORDS = 17 };

/** sum word[i] 2^(64 i). Operations whose result would not fit are a broken invariant. */
typedef struct msfl_natural {
    uint64_t word[MSFL_NATURAL_WORDS];
} msfl_natural;

msfl_natural msfl_natural_of(uint64_t x);
/** 2^bits */
msfl_natural msfl_natural_power2(uint32_t bits);
/** a b + c */
msfl_natural msfl_natural_mul_add(const msfl_natural *a, uint64_t b, uint64_t c);
msfl_natural msfl_natural_add(const msfl_natural *a, const msfl_natural *b);
/** a - b for a >= b */
msfl_natural msfl_natural_sub(const msfl_natural *a, const msfl_natural *b);
/** floor(a / 2^bits) */
msfl_natural msfl_natural_shift_right(const msfl_natural *a, uint32_t bits);
/** a mod 2^bits */
msfl_natural msfl_natural_low(const msfl_natural *a, uint32_t bits);
uint64_t msfl_natural_mod(const msfl_natural *a, uint64_t b);
/** -1, 0 or 1 */
int msfl_natural_compare(const msfl_natural *a, const msfl_natural *b);
/** Smallest k with a < 2^k. */
uint32_t msfl_natural_bits(const msfl_natural *a);
/** Bits [at, at + width) of a, width <= 64. */
uint64_t msfl_natural_field(const msfl_natural *a, uint32_t at, uint32_t width);
/** log2 a for people; -infinity for 0. */
double msfl_natural_log2(const msfl_natural *a);

#endif
