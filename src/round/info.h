/* What all parties of a round agree on: its checks, its hash, and the hash of one client's ciphertext. */
#ifndef MSFL_ROUND_INFO_H
#define MSFL_ROUND_INFO_H

#include "base/sodium.h"
#include "medsecurefl/round.h"

/**
 * Whether a round may be run at all: parameters that hold, a roster they are proved for, a minimum cohort of at least
 * 2 and at most the roster.
 *
 * @retval MSFL_ERR_POLICY  min_cohort below 2: the sum of one is that one
 * @retval MSFL_ERR_PARAMS  the parameters do not hold, or not for this roster
 * @retval MSFL_ERR_USAGE   another number out of its range
 */
MSFL_NODISCARD msfl_status msfl_round_info_check(const msfl_round_info *info);

/** As msfl_round_info_check, and that `ctx` was made for exactly these parameters (ERR_MISMATCH). */
MSFL_NODISCARD msfl_status msfl_round_info_check_with(const msfl_round_info *info, const msfl_packed *ctx);

/** Bytes of one client's whole ciphertext: all chunks one after the other. */
uint64_t msfl_round_ciphertext_bytes(const msfl_packed *ctx, uint64_t n_values);

/** Begin the hash of client `client`'s ciphertext of `length` bytes; then add the chunks in order. */
void msfl_round_ciphertext_hash_init(msfl_hash *h, const uint8_t round_id[MSFL_HASH_BYTES], uint32_t client,
                                     uint64_t length);

#endif
