/* Arithmetic modulo one prime p < 2^50, in constant time: no branch and no division depends on a value. */
#ifndef MSFL_RING_MODULAR_H
#define MSFL_RING_MODULAR_H

#include <assert.h>
#include <stdint.h>

enum { MSFL_PRIME_BITS_MAX = 50 };

__extension__ typedef unsigned __int128 msfl_u128;

/** A prime with what Barrett's reduction needs. */
typedef struct msfl_barrett {
    uint64_t p;
    uint64_t mu;   /**< floor(2^(2 bits) / p), at most 2^(bits + 1) */
    uint64_t mu64; /**< floor((2^64 - 1) / p) */
    uint64_t r64;  /**< 2^64 mod p */
    uint32_t bits; /**< 2^(bits - 1) < p < 2^bits */
} msfl_barrett;

static inline msfl_barrett msfl_barrett_of(uint64_t p) {
    uint32_t bits = 64 - (uint32_t)__builtin_clzll(p);
    assert(p >= 2 && bits <= MSFL_PRIME_BITS_MAX);
    return (msfl_barrett){
        .p = p,
        .mu = (uint64_t)(((msfl_u128)1 << (2 * bits)) / p),
        .mu64 = UINT64_MAX / p,
        .r64 = (UINT64_MAX % p + 1) % p,
        .bits = bits,
    };
}

/** x - p if x >= p, else x. Requires x < 2^63. */
static inline uint64_t msfl_mod_once(uint64_t x, uint64_t p) {
    assert(x >> 63 == 0);
    uint64_t d = x - p;
    return d + (p & (0 - (d >> 63)));
}

/** Requires a, b < p. Ensures a result below p. */
static inline uint64_t msfl_mod_add(uint64_t a, uint64_t b, uint64_t p) {
    assert(a < p && b < p);
    return msfl_mod_once(a + b, p);
}

/** Requires a, b < p. Ensures a result below p. */
static inline uint64_t msfl_mod_sub(uint64_t a, uint64_t b, uint64_t p) {
    assert(a < p && b < p);
    uint64_t d = a - b;
    return d + (p & (0 - (d >> 63)));
}

/**
 * a b mod p, below p. Requires a b < 2^(2 bits), which a, b < p give.
 * The estimate q of floor(z / p) is too small by 2 at most (Handbook of Applied Cryptography, 14.42 to 14.45 with base
 * 2).
 */
static inline uint64_t msfl_mod_mul(uint64_t a, uint64_t b, const msfl_barrett *m) {
    msfl_u128 z = (msfl_u128)a * b;
    uint64_t high = (uint64_t)(z >> (m->bits - 1));
    uint64_t q = (uint64_t)(((msfl_u128)high * m->mu) >> (m->bits + 1));
    uint64_t r = (uint64_t)z - q * m->p;
    assert(z >> (2 * m->bits) == 0 && r < 3 * m->p);
    return msfl_mod_once(msfl_mod_once(r, m->p), m->p);
}

/** floor(2^64 w / p) for a constant w < p. */
static inline uint64_t msfl_mod_quotient(uint64_t w, uint64_t p) {
    return (uint64_t)(((msfl_u128)w << 64) / p);
}

/**
 * a w mod p for any a, with the `quotient` of w: cheaper than `msfl_mod_mul` (Shoup; Harvey, "Faster arithmetic for
 * number-theoretic transforms", 2014, section 2). floor(a quotient / 2^64) is at most a w / p and above
 * a w / p - 1 - a / 2^64, so what remains is below 2 p.
 */
static inline uint64_t msfl_mod_scale(uint64_t a, uint64_t w, uint64_t quotient, uint64_t p) {
    uint64_t q = (uint64_t)(((msfl_u128)a * quotient) >> 64);
    return msfl_mod_once(a * w - q * p, p);
}

/** x mod p for any x. */
static inline uint64_t msfl_mod_64(uint64_t x, const msfl_barrett *m) {
    uint64_t q = (uint64_t)(((msfl_u128)x * m->mu64) >> 64);
    uint64_t r = x - q * m->p;
    assert(r < 3 * m->p); /* mu64 > 2^64/p - 1 - 1/p, so q is too small by 2 at most */
    return msfl_mod_once(msfl_mod_once(r, m->p), m->p);
}

/** z mod p for any z. */
static inline uint64_t msfl_mod_128(msfl_u128 z, const msfl_barrett *m) {
    uint64_t high = msfl_mod_64((uint64_t)(z >> 64), m);
    return msfl_mod_add(msfl_mod_mul(high, m->r64, m), msfl_mod_64((uint64_t)z, m), m->p);
}

/** A signed x with |x| < p as a residue. */
static inline uint64_t msfl_mod_signed(int64_t x, uint64_t p) {
    uint64_t u = (uint64_t)x;
    assert(x < 0 ? u + p < p : u < p);
    return u + (p & (0 - (u >> 63)));
}

/** base^exponent mod p, for public values: its time depends on the exponent. */
static inline uint64_t msfl_mod_pow_vartime(uint64_t base, uint64_t exponent, const msfl_barrett *m) {
    uint64_t power = 1 % m->p;
    for (base = msfl_mod_64(base, m); exponent > 0; exponent >>= 1) {
        if (exponent & 1) power = msfl_mod_mul(power, base, m);
        base = msfl_mod_mul(base, base, m);
    }
    return power;
}

/** 1 / x mod p for 0 < x < p, by Fermat; for public values. */
static inline uint64_t msfl_mod_inverse_vartime(uint64_t x, const msfl_barrett *m) {
    return msfl_mod_pow_vartime(x, m->p - 2, m);
}

#endif
