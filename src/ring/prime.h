/* Primes that split x^N + 1, and their roots of unity. */
#ifndef MSFL_RING_PRIME_H
#define MSFL_RING_PRIME_H

#include "medsecurefl/status.h"

/** Whether n is prime; exact for every 64-bit n below 2^50 (see prime.c). */
bool msfl_is_prime(uint64_t n);

/** The largest prime = 1 mod 2 `degree` that is below `bound` and at least `floor`; 0 if there is none. */
uint64_t msfl_prime_below(uint64_t bound, uint64_t floor, uint32_t degree);

/** psi = x^((p - 1) / 2N) for the smallest x >= 2 with psi^N = -1: a primitive 2N-th root of unity. Requires p prime
 *  and = 1 mod 2N. */
uint64_t msfl_root_2n(uint64_t p, uint32_t degree);

/** The `bits` low bits of x in reverse order. */
static inline uint32_t msfl_bit_reverse(uint32_t x, uint32_t bits) {
    uint32_t r = 0;
    for (uint32_t i = 0; i < bits; i++, x >>= 1)
        r = r << 1 | (x & 1);
    return r;
}

#endif
