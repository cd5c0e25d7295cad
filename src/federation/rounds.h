/* One round of a training: federated (train, aggregate, evaluate) or of a single party. */
#ifndef MSFL_FEDERATION_ROUNDS_H
#define MSFL_FEDERATION_ROUNDS_H

#include "federation/sum.h"
#include "federation/track.h"

/** Next round of FED_ENCRYPTED or FED_PLAIN: every hospital starts from the track's weights. On error the track is as
 *  before, so the round can be run again. */
msfl_status fed_round_federated(const fed_job *job, fed_track *track) MSFL_NODISCARD;

/** Next round of FED_CENTRAL or FED_ALONE: local epochs on `train`, judged on `validation`. */
msfl_status fed_round_solo(const fed_job *job, fed_track *track, const msfl_indices *train,
                           const msfl_indices *validation) MSFL_NODISCARD;

/** Hospitals that hold validation images. Below the minimum cohort there are no validation figures: their sum would
 * tell of too few. */
uint32_t fed_validating_hospitals(const fed_job *job);

/** A sum of validation figures: FED_EVAL_COUNTERS counters alone. */
fed_sum_config fed_evaluation_config(const fed_job *job);

/** Parameters and keys for the encrypted sums of the job: what cannot be encrypted is refused before anyone trains.
 *  Nothing to do where the scheme does not encrypt. */
msfl_status fed_channels_init(fed_job *job) MSFL_NODISCARD;

#endif
