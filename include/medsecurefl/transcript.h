/* The signed, hash-chained record of a round: what was announced, who uploaded what, who signed and answered, what
 * came of it. A hospital can prove later what it sent and what was opened. Layer: round.
 * docs/formats/round-messages.md has the bytes.
 */
#ifndef MEDSECUREFL_TRANSCRIPT_H
#define MEDSECUREFL_TRANSCRIPT_H

#include "medsecurefl/machine.h"

MSFL_BEGIN_DECLS

typedef enum msfl_outcome { MSFL_OUTCOME_OPENED = 1, MSFL_OUTCOME_ABORTED = 2 } msfl_outcome;

/** What a verified transcript says. Pointers lead into the bytes that were verified. */
typedef struct msfl_transcript {
    msfl_announcement announcement;
    uint8_t round_id[MSFL_HASH_BYTES];
    uint8_t hash[MSFL_HASH_BYTES]; /**< of this transcript: the next round's announcement names it */
    msfl_outcome outcome;
    uint32_t n_cohort;  /**< uploads in the sum; 0 if the round was aborted before the cohort was fixed */
    uint32_t n_votes;   /**< members that signed the cohort */
    uint32_t n_answers; /**< members that answered */
    uint8_t cohort_hash[MSFL_HASH_BYTES];
    uint8_t result[MSFL_HASH_BYTES];
    const char *reason; /**< of an abort, not closed by a zero */
    size_t reason_length;
    const uint8_t *statements; /* n_cohort of them */
    uint32_t n_reports;        /**< delivery to clients: hospitals that reported what they opened */
    uint32_t n_agree;          /**< of these, those that report `result` */
    const uint8_t *reports;    /* n_reports of them, ascending by hospital */
} msfl_transcript;

/**
 * Verify one round's record against the roster: the coordinator's signatures, every client's signature under its
 * upload, for an opened round t signatures and t answers of distinct members over the same cohort, and where it was
 * delivered to clients the signatures of at least min_cohort hospitals under `result`. `previous` (the
 * hash of the record before; NULL: not checked) must be the one that this record names; it may lie in `out`, as in a
 * loop over a chain. A record that verifies and whose `outcome` is OPENED was agreed to by t members.
 *
 * @retval MSFL_ERR_FORMAT    not a record, or cut off
 * @retval MSFL_ERR_CRYPTO    a signature does not hold
 * @retval MSFL_ERR_MISMATCH  another roster, another predecessor
 * @retval MSFL_ERR_POLICY    too few signatures, answers, uploads, or hospitals that agree
 * `out` is zeroed on error.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_transcript_verify(const uint8_t *bytes, size_t length,
                                                           const msfl_roster *roster, const uint8_t *previous,
                                                           msfl_transcript *out);
/** Whether client `client` is in the cohort, and the hash of the ciphertext that it signed. */
MSFL_API bool msfl_transcript_find(const msfl_transcript *t, const msfl_roster *roster, uint32_t client,
                                   uint8_t ciphertext_hash[MSFL_HASH_BYTES]);

/** Report `i` of those in the record, ascending by hospital; false if there are not so many. One whose result is not
 * the record's names a hospital that opened something else. */
MSFL_API bool msfl_transcript_report(const msfl_transcript *t, uint32_t i, msfl_report *out);

/** Hash of `n` exact sums, domain "msfl.round.result.v1": what an opened sum is compared by. */
MSFL_API void msfl_result_hash(const uint64_t *totals, uint64_t n, uint8_t out[MSFL_HASH_BYTES]);

MSFL_END_DECLS

#endif
