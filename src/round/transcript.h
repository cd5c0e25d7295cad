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

#endif
