/* From summed shares, some of which may be wrong, to the key sum that opens: for the coordinator and for hospitals. */
#ifndef MSFL_ROUND_OPEN_H
#define MSFL_ROUND_OPEN_H

#include "medsecurefl/packed.h"
#include "medsecurefl/roster.h"

typedef struct msfl_answers {
    const msfl_packed *ctx;
    const msfl_packed_sum *sum; /* all chunks of the cohort's ciphertexts */
    uint64_t n_values;
    uint32_t n, t, k;                           /* clients in the cohort; members needed, and in all */
    const uint32_t *shares[MSFL_COMMITTEE_MAX]; /* N each, by place; NULL: no answer */
} msfl_answers;

/** Answers that are there. */
uint32_t msfl_answers_count(const msfl_answers *a);

/**
 * Find t answers whose key sum is one of n keys (every |coefficient| <= 41 n) and opens the first chunk, whose noise
 * bound a wrong one fails. `key_sum` gets its N coefficients; `*wrong` the places of answers that do not lie on its
 * polynomials, one bit each.
 *
 * @retval MSFL_ERR_CRYPTO  no t of the answers open: more answers may help, or nothing does
 * `key_sum` and `*wrong` are zeroed on error.
 */
MSFL_NODISCARD msfl_status msfl_answers_open(const msfl_answers *a, int32_t *key_sum, uint32_t *wrong);

/** The key sum as shares are packed: residues modulo the field's prime, N of 20 bits. */
MSFL_NODISCARD msfl_status msfl_key_sum_pack(const int32_t *key_sum, uint32_t ring_degree, uint8_t *out);
MSFL_NODISCARD msfl_status msfl_key_sum_unpack(const uint8_t *packed, uint32_t ring_degree, int32_t *key_sum);

#endif
