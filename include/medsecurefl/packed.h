/* The packed key-additive scheme: one-time keys, one polynomial per ciphertext, exact sums. Layer: he.
 *
 *   c_ij = a_j s_i + t e_ij + m_ij   (mod q, mod x^N + 1)        docs/design/packed.md
 *
 * A *chunk* is one polynomial j of one update: up to N x slots_per_coefficient values. A context is immutable and may
 * be used by many threads at once; keys and sums belong to one thread at a time unless said otherwise.
 */
#ifndef MEDSECUREFL_PACKED_H
#define MEDSECUREFL_PACKED_H

#include "medsecurefl/params.h"

MSFL_BEGIN_DECLS

typedef struct msfl_packed msfl_packed;         /**< parameters with their tables */
typedef struct msfl_packed_key msfl_packed_key; /**< one client's key for one round: secret memory, used once */
typedef struct msfl_packed_sum msfl_packed_sum; /**< a running sum of ciphertexts */

/** Context for a checked set. ERR_PARAMS if the set does not hold. Free with msfl_packed_free. */
MSFL_API MSFL_NODISCARD msfl_status msfl_packed_new(const msfl_params *params, msfl_packed **out);
/** Free; NULL is fine. */
MSFL_API void msfl_packed_free(msfl_packed *ctx);
/** The set of a context; lives as long as it. */
MSFL_API const msfl_params *msfl_packed_params(const msfl_packed *ctx);
/** "generic", "avx2", ... : the instruction set table in use (MSFL_KERNEL in the environment forces one). */
MSFL_API const char *msfl_packed_kernel(const msfl_packed *ctx);

/** Chunks in an update of `n_values`. */
MSFL_API uint64_t msfl_packed_chunks(const msfl_packed *ctx, uint64_t n_values);
/** Slots (values) of chunk `j` of it; all but the last are full; 0 beyond the last. */
MSFL_API uint32_t msfl_packed_chunk_slots(const msfl_packed *ctx, uint64_t n_values, uint64_t j);
/** Bytes of chunk `j`, encrypted: of as many coefficients as carry its values; 0 beyond the last. */
MSFL_API size_t msfl_packed_chunk_bytes(const msfl_packed *ctx, uint64_t n_values, uint64_t j);

/**
 * A fresh one-time key from the operating system's generator, bound to the round whose public polynomials a_j are
 * expanded from `round_seed` (32 bytes: the hash of the round). ERR_USAGE: `n_values` is 0. Free with
 * msfl_packed_key_free, which wipes it.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_packed_key_new(const msfl_packed *ctx,
                                                        const uint8_t round_seed[MSFL_HASH_BYTES], uint64_t n_values,
                                                        msfl_packed_key **out);
/** Wipes and frees. */
MSFL_API void msfl_packed_key_free(msfl_packed_key *key);

/** The N integer coefficients of the key, |s| <= 41, for sharing; lives as long as the key. Secret. */
MSFL_API const int32_t *msfl_packed_key_borrow(const msfl_packed_key *key);

/**
 * Encrypt chunk `j`: `slots` holds msfl_packed_chunk_slots values, each below 2^value_bits; `out` gets
 * msfl_packed_chunk_bytes bytes (residues packed to the primes' widths, see docs/design/packed.md).
 * May be called from several threads for different j.
 *
 * @retval MSFL_ERR_POLICY   this chunk was encrypted with this key before: two ciphertexts of one a_j s_i would reveal
 *                           the difference of their messages
 * @retval MSFL_ERR_NUMERIC  a slot is 2^value_bits or more
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_packed_encrypt(const msfl_packed *ctx, msfl_packed_key *key, uint64_t j,
                                                        const uint32_t *slots, uint8_t *out);

/** An empty sum for updates of `n_values` (0: ERR_USAGE) in the round of `round_seed`. */
MSFL_API MSFL_NODISCARD msfl_status msfl_packed_sum_new(const msfl_packed *ctx,
                                                        const uint8_t round_seed[MSFL_HASH_BYTES], uint64_t n_values,
                                                        msfl_packed_sum **out);
/** Free; NULL is fine. */
MSFL_API void msfl_packed_sum_free(msfl_packed_sum *sum);

/** Whether `bytes` is a well-formed chunk j (length, every residue below its prime); reads only. ERR_FORMAT if not. */
MSFL_API MSFL_NODISCARD msfl_status msfl_packed_check(const msfl_packed *ctx, uint64_t n_values, uint64_t j,
                                                      const uint8_t *bytes, size_t length);

/**
 * Fold chunk `j` of one more client into the sum. Threads may fold different j at once. Each chunk counts its addends;
 * opening demands that all chunks have the same count.
 *
 * @retval MSFL_ERR_FORMAT  wrong length or a residue out of range; the sum is unchanged
 * @retval MSFL_ERR_LIMIT   the chunk already has params.n_clients addends; the sum is unchanged
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_packed_fold(const msfl_packed *ctx, msfl_packed_sum *sum, uint64_t j,
                                                     const uint8_t *bytes, size_t length);

/**
 * Chunk `j` of the sum as bytes: a chunk in the format of a ciphertext (msfl_packed_chunk_bytes), every residue
 * reduced, so the same addends give the same bytes in any order. An empty chunk is zero. ERR_USAGE if there is no chunk
 * j.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_packed_sum_get(const msfl_packed *ctx, const msfl_packed_sum *sum, uint64_t j,
                                                        uint8_t *bytes);
/**
 * Put in chunk `j` as somebody else folded it from `n_addends` ciphertexts (msfl_packed_sum_get), in place of what is
 * there. Nothing in the bytes shows that they are such a sum; opening finds noise beyond its bound, and nothing else.
 *
 * @retval MSFL_ERR_FORMAT    wrong length or a residue out of range
 * @retval MSFL_ERR_LIMIT     more addends than the parameters hold, or none
 * @retval MSFL_ERR_MISMATCH  the chunk has another number of addends already
 * On error the sum is unchanged.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_packed_sum_set(const msfl_packed *ctx, msfl_packed_sum *sum, uint64_t j,
                                                        uint32_t n_addends, const uint8_t *bytes, size_t length);

/** Number of complete addends, or 0 while chunks differ. */
MSFL_API uint32_t msfl_packed_sum_addends(const msfl_packed_sum *sum);

/**
 * Open chunk `j` with the sum of the keys of exactly the clients that were folded: `key_sum` has N coefficients,
 * `totals` gets msfl_packed_chunk_slots exact sums, each at most addends x (2^value_bits - 1).
 *
 * @retval MSFL_ERR_CRYPTO  the opened noise is beyond its bound: the key sum does not belong to these ciphertexts.
 *                          `totals` is zeroed.
 * @retval MSFL_ERR_MISMATCH  chunks have different numbers of addends, or `n_addends` is not theirs
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_packed_open(const msfl_packed *ctx, const msfl_packed_sum *sum, uint64_t j,
                                                     uint32_t n_addends, const int32_t *key_sum, uint64_t *totals);

MSFL_END_DECLS

#endif
