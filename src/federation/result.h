/* What a run found, as one JSON object: docs/formats/result.md. */
#ifndef MSFL_FEDERATION_RESULT_H
#define MSFL_FEDERATION_RESULT_H

#include "federation/track.h"
#include "text/json.h"

/** All trainings of a run. `alone` has n_hospitals entries. A track with n_members 0 was not asked for. */
typedef struct fed_tracks {
    fed_track encrypted, plain, central;
    fed_track *alone;
} fed_tracks;

/** The track whose model is the run's product: encrypted, or plain when that was the scheme. */
const fed_track *fed_tracks_main(const fed_job *job, const fed_tracks *tracks);

/** metrics.jsonl: the objects of `rounds`, one to a line. Free with msfl_free. */
msfl_status fed_metrics_lines(const fed_job *job, const fed_tracks *tracks, char **text) MSFL_NODISCARD;

/** The whole result; scores every track's best weights on the test images. Called when all trainings have
 *  ended. */
msfl_status fed_result(const fed_job *job, const fed_tracks *tracks, json_t **out) MSFL_NODISCARD;

#endif
