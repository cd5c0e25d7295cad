/* The two kinds of sums that a job's rounds are made of: updates, and validation figures. */
#ifndef MSFL_FEDERATION_CHANNELS_H
#define MSFL_FEDERATION_CHANNELS_H

#include "federation/job.h"
#include "job/figures.h"

/** Hospitals that hold validation images. Below the minimum cohort there are no validation figures: their sum would
 *  tell of too few. */
uint32_t fed_validating_hospitals(const fed_job *job);

/** A sum of updates. `clip`: a bound for each tensor that is sent; `ranges`: as many, written here, and borrowed by
 *  what is returned. */
fed_sum_config fed_update_config(const fed_job *job, const float *clip, msfl_update_range *ranges);

/** A sum of validation figures: JOB_EVAL_COUNTERS counters alone. */
fed_sum_config fed_evaluation_config(const fed_job *job);

/** Parameters and keys for the encrypted sums of the job: what cannot be encrypted is refused before anyone trains.
 *  Nothing to do where the scheme does not encrypt. */
msfl_status fed_channels_init(fed_job *job) MSFL_NODISCARD;

#endif
