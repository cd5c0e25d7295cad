/* How sure the model may be of itself. */
#ifndef MSFL_FEDERATION_CALIBRATION_H
#define MSFL_FEDERATION_CALIBRATION_H

#include "federation/track.h"
#include "text/json.h"

/** Puts `temperature` into the result: from the validation images of all hospitals, by sums that a federation could
 * form without seeing one of them; and what it does to the test images. Nothing without validation images. */
msfl_status fed_calibration(const fed_job *job, const fed_track *track, json_t *result) MSFL_NODISCARD;

#endif
