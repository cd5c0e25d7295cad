/* What the hospitals hold together, told as one encrypted sum. */
#ifndef MSFL_FEDERATION_CENSUS_H
#define MSFL_FEDERATION_CENSUS_H

#include "federation/job.h"
#include "text/json.h"

/**
 * Each hospital counts its images, patients, images of each class (at most FED_CENSUS_CLASSES) and images by mean
 * brightness; the counts travel as validation figures do, and only their sums are opened. A new object "encrypted",
 * "exact", "hospitals", "images", "patients", "classes", "brightness"; JSON null with fewer hospitals than a sum needs.
 */
enum { FED_CENSUS_BINS = 16, FED_CENSUS_CLASSES = 32 };
msfl_status fed_census(const fed_job *job, json_t **out) MSFL_NODISCARD;

#endif
