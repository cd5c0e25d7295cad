/* Writing and hashing of transcripts; reading is public (medsecurefl/transcript.h). */
#ifndef MSFL_ROUND_TRANSCRIPT_H
#define MSFL_ROUND_TRANSCRIPT_H

#include "medsecurefl/transcript.h"
#include "round/coord.h"

/** The signed record of the coordinator's open round. A failure is in the buffer's status. */
void msfl_transcript_write(const msfl_coordinator *c, msfl_outcome outcome, const uint8_t result[MSFL_HASH_BYTES],
                           const char *reason, msfl_buffer *out);
/** Hash of a record: of everything but its signature. Requires length >= 64. */
void msfl_transcript_hash(const uint8_t *bytes, size_t length, uint8_t out[MSFL_HASH_BYTES]);

/** Begin the hash of `n` totals (msfl_result_hash); then add each as a u64. */
void msfl_result_hash_init(msfl_hash *h, uint64_t n);
/** Whether a record that this machine wrote is one of a round that was delivered to the hospitals. */
bool msfl_transcript_is_sealed(const uint8_t *bytes, size_t length);

/** Where in the bytes it stands. */
typedef struct msfl_evidence {
    const uint8_t *announce, *answers; /* answers: u32 party, then what is kept of it, n_answers times */
} msfl_evidence;

/**
 * What a transcript and a delivery have in common: announcement, cohort, votes, answers' heads, each with its
 * signature. `task` (NULL: not checked); `min_cohort`: the reader's own; `partial`: a cohort may be missing. Fills the
 * announcement, round id, cohort and counts of `out`.
 */
MSFL_NODISCARD msfl_status msfl_evidence_read(msfl_reader *r, const msfl_roster *roster, const uint8_t *task,
                                              uint32_t min_cohort, bool partial, msfl_transcript *out,
                                              msfl_evidence *where);

#endif
