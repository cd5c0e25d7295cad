#include "ring/prime.h"

#include "ring/modular.h"

/* The primes up to 37 as bases of the Miller-Rabin test decide every n < 3.18e23 (Sorenson and Webster, "Strong
 * pseudoprimes to twelve prime bases", 2015); Barrett's reduction here wants n < 2^50. */
static const uint8_t bases[] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37};

bool msfl_is_prime(uint64_t n) {
    if (n < 2 || n >> MSFL_PRIME_BITS_MAX != 0) return false;
    for (size_t i = 0; i < sizeof bases; i++) {
        if (n % bases[i] == 0) return n == bases[i];
    }
    msfl_barrett m = msfl_barrett_of(n);
    uint32_t twos = (uint32_t)__builtin_ctzll(n - 1);
    for (size_t i = 0; i < sizeof bases; i++) {
        uint64_t x = msfl_mod_pow_vartime(bases[i], (n - 1) >> twos, &m);
        if (x == 1 || x == n - 1) continue;
        uint32_t squared = 1;
        while (squared < twos && x != n - 1) {
            x = msfl_mod_mul(x, x, &m);
            squared++;
        }
        if (x != n - 1) return false;
    }
    return true;
}

uint64_t msfl_prime_below(uint64_t bound, uint64_t floor, uint32_t degree) {
    uint64_t step = 2 * (uint64_t)degree;
    if (bound < 2) return 0;
    /* The largest n < bound that is 1 mod step. */
    for (uint64_t n = (bound - 2) / step * step + 1; n >= floor && n > 1; n -= step) {
        if (msfl_is_prime(n)) return n;
    }
    return 0;
}

uint64_t msfl_root_2n(uint64_t p, uint32_t degree) {
    msfl_barrett m = msfl_barrett_of(p);
    uint64_t cofactor = (p - 1) / (2 * (uint64_t)degree);
    for (uint64_t x = 2;; x++) {
        uint64_t psi = msfl_mod_pow_vartime(x, cofactor, &m);
        if (msfl_mod_pow_vartime(psi, degree, &m) == p - 1) return psi;
    }
}
