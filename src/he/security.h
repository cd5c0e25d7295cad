/* What the parameters rest on: the security table, the noise, and the exact conditions. Used by the planner and by the
 * check of foreign sets, so that both mean the same. */
#ifndef MSFL_HE_SECURITY_H
#define MSFL_HE_SECURITY_H

#include "medsecurefl/params.h"
#include "ring/wide.h"

enum {
    MSFL_RING_DEGREE_MIN = 1024,
    MSFL_KEY_BITS = 82,    /* coins of one key coefficient: centred binomial, |s| <= 41, variance 20.5 */
    MSFL_NOISE_BITS = 162, /* coins of one error: |e| <= 81, variance 40.5 */
    MSFL_KEY_MAX = MSFL_KEY_BITS / 2,
    MSFL_NOISE_MAX = MSFL_NOISE_BITS / 2,
    /* The bound on a sum of n errors is floor(sqrt(9216 n)) = floor(96 sqrt n), 15.08 standard deviations. */
    MSFL_NOISE_TAIL = 9216,
    MSFL_Q_OVER_T_BITS_MAX = 24, /* a modulus larger than that is waste, and opening counts on it */
    MSFL_MARGIN_BITS = 20        /* q (1 - 2^-20) holds all valid values: room for the rounding of the lift */
};

/** Largest log2 q for this ring degree and security level; 0 if there is none. */
uint32_t msfl_log2_q_max(uint32_t degree, uint32_t security_bits);

/** Bound on |e_1 + ... + e_n|: min(81 n, floor(96 sqrt n)). */
uint32_t msfl_noise_bound(uint32_t n_clients);

/** w = ceil(log2(n (2^b - 1) + 1)) */
uint32_t msfl_slot_bits(uint32_t n_clients, uint32_t value_bits);

/** Smallest k such that a q just below 2^(log_t + k) can hold valid values: the noise's share of the modulus. */
uint32_t msfl_noise_bits(uint32_t n_clients);

/** Whether 2^20 t (2 B + 1), for t = 2^log_t and B = msfl_noise_bound(n), does not exceed (2^20 - 1) q. */
bool msfl_has_room(const msfl_wide *q, uint32_t n_clients, uint32_t log_t);

/** Product of the primes. */
msfl_wide msfl_modulus_of(const msfl_params *params);

/* --- conditions that do not depend on the scheme: conditions.c --- */

/* `set` begins the message: "bfv parameters". All of a set from outside: ERR_PARAMS, with what was found and expected.
 */

/** The table has this ring degree, and this security level for it. */
msfl_status msfl_check_level(const char *set, uint32_t degree, uint32_t security_bits) MSFL_NODISCARD;
/** A prime below 2^50, one more than a multiple of 2 N. */
msfl_status msfl_check_prime(const char *set, uint64_t prime, uint32_t degree) MSFL_NODISCARD;
/** 1 to 16 such primes, descending, and zeros behind them. */
msfl_status msfl_check_primes(const char *set, const uint64_t primes[MSFL_PRIMES_MAX], uint32_t n_primes,
                              uint32_t degree) MSFL_NODISCARD;
/** w is msfl_slot_bits(n, b) for 2 <= b <= 32, v values of it stand in a coefficient, and log2 t = v w.
 *  `n_addends` was checked before. */
msfl_status msfl_check_slots(const char *set, uint32_t n_addends, uint32_t value_bits, uint32_t slot_bits,
                             uint32_t slots_per_coefficient, uint32_t log_t) MSFL_NODISCARD;

/** Of a request to plan, where 0 leaves security or degree open. `addends` is what they are called. ERR_USAGE. */
msfl_status msfl_check_request(const char *addends, uint32_t n_addends, uint32_t security_bits,
                               uint32_t ring_degree) MSFL_NODISCARD;
/** The same of the integers that are to be added: 2 to 32 bits, 1 to 2^34 values. ERR_USAGE. */
msfl_status msfl_check_vector(uint32_t value_bits, uint64_t n_values) MSFL_NODISCARD;

/* --- sizes --- */

/** How an update of n_values falls into chunks: all but the last are full, the last has last_slots >= 1 slots. */
typedef struct msfl_chunking {
    uint64_t n_chunks;
    uint32_t full_slots, last_slots;
} msfl_chunking;

msfl_chunking msfl_chunking_of(const msfl_params *params, uint64_t n_values);
/** Coefficients that carry `slots` values. */
uint32_t msfl_coefficients_of(const msfl_params *params, uint32_t slots);
/** Bytes of a chunk of `slots` values. */
uint64_t msfl_chunk_bytes_of(const msfl_params *params, uint32_t slots);
/** Bytes of a whole update. */
uint64_t msfl_ciphertext_bytes(const msfl_params *params, uint64_t n_values);
/** Bytes of a sealed Shamir share of one key: N residues of 20 bits (field of 786433 elements). */
uint64_t msfl_key_share_bytes(uint32_t degree);

#endif
