/* One round of a training: federated (train, aggregate, evaluate) or of a single party. */
#ifndef MSFL_FEDERATION_ROUNDS_H
#define MSFL_FEDERATION_ROUNDS_H

#include "federation/track.h"

/** Next round of FED_ENCRYPTED or FED_PLAIN: every hospital starts from the track's weights. On error the track is as
 *  before, so the round can be run again. */
msfl_status fed_round_federated(const fed_job *job, fed_track *track) MSFL_NODISCARD;

/** Next round of FED_CENTRAL or FED_ALONE: local epochs on `train`, judged on `validation`. */
msfl_status fed_round_solo(const fed_job *job, fed_track *track, const msfl_indices *train,
                           const msfl_indices *validation) MSFL_NODISCARD;

#endif
