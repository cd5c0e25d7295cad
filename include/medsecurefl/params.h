/* Parameter sets of the packed scheme: planned for a number of clients, bits and values, or refused. Layer: he. */
#ifndef MEDSECUREFL_PARAMS_H
#define MEDSECUREFL_PARAMS_H

#include "medsecurefl/status.h"

MSFL_BEGIN_DECLS

enum {
    MSFL_PRIMES_MAX = 16, /* 16 x 50 = 800 of the 870 bits that N = 32768 allows */
    MSFL_RING_DEGREE_MAX = 32768,
    MSFL_CLIENTS_MAX = 10000, /* bound of the key share field, see docs/design/packed.md */
    MSFL_VALUE_BITS_MIN = 2,
    MSFL_VALUE_BITS_MAX = 32,
    MSFL_SHARES_MAX = 16
};

/** What a round must hold. */
typedef struct msfl_params_request {
    uint32_t n_clients;     /**< most ciphertexts that will ever be added: 1 to MSFL_CLIENTS_MAX */
    uint32_t value_bits;    /**< bits of one quantised value: 2 to 32 */
    uint64_t n_values;      /**< values in one update: 1 to 2^34 */
    uint32_t security_bits; /**< 128, 192 or 256; 0 means 128 */
    uint32_t ring_degree;   /**< 0: the cheapest; or 1024 ... 32768 to insist */
    uint32_t n_shares;      /**< key shares that travel with an update: the committee's members, 1 to
                                 MSFL_SHARES_MAX; 0 means 1 */
} msfl_params_request;

/** One parameter set. Plain data: copy, compare and hash field by field. */
typedef struct msfl_params {
    uint32_t ring_degree;             /**< N, a power of two */
    uint32_t n_primes;                /**< L */
    uint64_t primes[MSFL_PRIMES_MAX]; /**< each = 1 mod 2N, below 2^50, distinct, descending */
    uint32_t security_bits;           /**< 128, 192 or 256 */
    uint32_t n_clients;               /**< addends the set is proved for */
    uint32_t value_bits;              /**< b */
    uint32_t slot_bits;               /**< w = ceil(log2(n (2^b - 1) + 1)) */
    uint32_t slots_per_coefficient;   /**< v: values in one coefficient */
    uint32_t log_t;                   /**< plaintext modulus t = 2^log_t = 2^(v w) */
} msfl_params;

/** Figures that follow from a set; for people and reports. */
typedef struct msfl_params_facts {
    double log2_q;
    double log2_q_max;         /**< of the table, for this N and security level */
    double noise_bits_max;     /**< log2 of the bound on |sum of errors| */
    double log2_failure;       /**< of the chance that any of the model's sums opens wrongly */
    double bits_per_value;     /**< ciphertext bits on the wire per value, whole model, headers included */
    uint64_t n_chunks;         /**< polynomials per update */
    uint64_t ciphertext_bytes; /**< of one update: all chunks */
    uint64_t key_share_bytes;  /**< what goes to one member of the committee, sealed */
} msfl_params_facts;

/**
 * The cheapest set that provably opens every sum of `request->n_clients` updates exactly, within the tables of Bossuat
 * et al., "Security Guidelines for Implementing Homomorphic Encryption" (2024/463), Table 5.2, Gaussian secret.
 * Cheapest: bytes (the ciphertext of n_values and n_shares key shares) weighed against the time of encryption, one per
 * cent of bytes for four of time, among the ring degrees whose ciphertext is at most an eighth above the smallest
 * possible; within one ring degree, a set up to a hundredth larger is taken if it means less work. The same request
 * gives the same set on every machine.
 *
 * @retval MSFL_OK          the set is in `out`
 * @retval MSFL_ERR_USAGE   a field of the request is out of range
 * @retval MSFL_ERR_PARAMS  nothing fits; the message shows the numbers that say why, and what would fit
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_params_plan(const msfl_params_request *request, msfl_params *out);

/** Re-proves a set that came from outside (a file, the wire): same conditions as the planner's. ERR_PARAMS if not. */
MSFL_API MSFL_NODISCARD msfl_status msfl_params_check(const msfl_params *params);

/** Figures for `n_values` values under a checked set. */
MSFL_API void msfl_params_describe(const msfl_params *params, uint64_t n_values, msfl_params_facts *out);

MSFL_END_DECLS

#endif
