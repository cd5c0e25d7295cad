/* Normalisation layers that are this hospital's own in a job: kept in its state folder, round by round, and put in
 * place of the federation's wherever it trains or judges. job/norms.h. */
#ifndef MSFL_CLIENT_NORMS_H
#define MSFL_CLIENT_NORMS_H

#include "job/spec.h"

/** Whether hospitals keep normalisation layers of their own in this job. */
bool client_norms_kept(const job_shape *shape);

/** Our values of the newest round before `round` into `weights` (n_values), which stay as they are where we have none
 *  yet. ERR_FORMAT, ERR_MISMATCH: damaged, or of another network. Nothing to do in jobs that share them. */
msfl_status client_norms_load(const char *folder, const job_shape *shape, uint32_t round,
                              float *weights) MSFL_NODISCARD;
/** Keep those of `weights` as the ones at the end of `round`: on disk when it returns. Those of earlier rounds stay,
 * since the best round is known at the end: a few kilobytes each. A round that is tried again replaces its own. */
msfl_status client_norms_save(const char *folder, const job_shape *shape, uint32_t round,
                              const float *weights) MSFL_NODISCARD;

#endif
