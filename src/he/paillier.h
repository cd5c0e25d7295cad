/* The inside of Paillier keys, shared by key, encryption, sum and opening. L limbs hold n, h = L / 2 hold p. */
#ifndef MSFL_HE_PAILLIER_H
#define MSFL_HE_PAILLIER_H

#include "he/gmp.h"
#include "medsecurefl/paillier.h"

struct msfl_paillier_public {
    uint32_t bits;
    size_t limbs; /* L */
    uint8_t id[MSFL_HASH_BYTES];
    msfl_montgomery mod_n, mod_n2;
    msfl_limb *n, *n2; /* one allocation: L, 2 L */
};

struct msfl_paillier_secret {
    msfl_paillier_public *public;
    msfl_limb *block; /* secret memory that holds all below */
    msfl_limb *p, *q; /* h limbs each, both 3 mod 4, the two highest bits set */
    msfl_limb *p2, *q2;
    msfl_limb *hp;        /* (-q)^-1 mod p */
    msfl_limb *hq;        /* (-p)^-1 mod q */
    msfl_limb *p_inverse; /* mod q */
};

/** L for a key size, or 0. */
size_t msfl_paillier_limbs(uint32_t key_bits);

/** A public key of n: ERR_FORMAT unless n is odd, of exactly `bits` bits, and has no factor below 2^16. */
MSFL_NODISCARD msfl_status msfl_paillier_public_new(uint32_t bits, const msfl_limb *n, msfl_paillier_public **out);

/** Small odd primes, for trial division. Free with msfl_free. */
typedef struct msfl_small_primes {
    uint32_t *primes;
    size_t count;
} msfl_small_primes;
MSFL_NODISCARD msfl_status msfl_small_primes_new(msfl_small_primes *out);

/** a mod each of the primes is neither 0 nor, with `not_one`, 1. Reads until the first that is. */
bool msfl_sieve(const msfl_small_primes *primes, const msfl_limb *a, size_t n, bool not_one);

/** Draws a prime of h limbs for a key: see docs/design/paillier.md. */
void msfl_paillier_prime(const msfl_small_primes *primes, msfl_limb *p, size_t h, msfl_work *w);

/** Whether p = 3 mod 4 passes `rounds` rounds of Miller and Rabin's test with bases from the operating system. */
bool msfl_paillier_is_prime(const msfl_limb *p, size_t h, int rounds, msfl_work *w);

/** Whether p and q make a key: bits, residues modulo 4, far apart, and gcd(p - 1, q - 1) = 2. */
bool msfl_paillier_pair(const msfl_limb *p, const msfl_limb *q, size_t h, msfl_work *w);

/** Ciphertexts in chunk j, of which each but the last of the vector has all its slots filled. */
uint32_t msfl_paillier_chunk_ciphertexts(const msfl_paillier_shape *shape, uint64_t j);
/** Values in ciphertext i of chunk j. */
uint32_t msfl_paillier_slots_in(const msfl_paillier_shape *shape, uint64_t j, uint32_t i);

enum { MSFL_PAILLIER_HEADER_BYTES = 112 };
/** The header of chunk j, and a new number of addends in it. */
void msfl_paillier_header_write(const msfl_paillier_public *key, const msfl_paillier_shape *shape,
                                const uint8_t label[MSFL_HASH_BYTES], uint64_t j, uint8_t *out);
void msfl_paillier_header_count(uint8_t *header, uint32_t n_addends);
/** ERR_FORMAT, ERR_UNSUPPORTED or ERR_MISMATCH unless `bytes` begins as a chunk j does and has its length. */
MSFL_NODISCARD msfl_status msfl_paillier_header_check(const msfl_paillier_public *key, const msfl_paillier_shape *shape,
                                                      const uint8_t label[MSFL_HASH_BYTES], uint64_t j,
                                                      const uint8_t *bytes, size_t length, uint32_t *n_addends);

/** The shape is valid and for this key, and has a chunk j: ERR_USAGE, ERR_MISMATCH. */
MSFL_NODISCARD msfl_status msfl_paillier_shape_for(const msfl_paillier_public *key, const msfl_paillier_shape *shape,
                                                   uint64_t j);

/** h, the square of a hash of n, modulo n: L limbs. */
void msfl_paillier_base(const msfl_paillier_public *key, msfl_limb *h, msfl_work *w);

#endif
