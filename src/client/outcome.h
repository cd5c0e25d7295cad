/* out/result.json of a trainer. docs/formats/trainer.md */
#ifndef MSFL_CLIENT_OUTCOME_H
#define MSFL_CLIENT_OUTCOME_H

#include "client/learner.h"

enum { CLIENT_OUTCOME_BYTES_MAX = 1 << 16 };

/** Sample count and counters of `out`, but for the clipped values. ERR_FORMAT names the field; ERR_LIMIT: more samples
 * than the job takes. `n_structures`: as in job_shape. */
msfl_status client_outcome_parse(const char *text, size_t length, job_kind kind, uint64_t samples_max,
                                 uint32_t n_structures, client_result *out) MSFL_NODISCARD;

#endif
