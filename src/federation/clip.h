/* The clipping bounds of the encoding, from facts that the whole federation knows. */
#ifndef MSFL_FEDERATION_CLIP_H
#define MSFL_FEDERATION_CLIP_H

#include "federation/track.h"

/** Bounds for a first round. docs/design/encoding.md */
void fed_clip_init(const fed_job *job, fed_track *track);

/** Bounds for the round after the one whose opened mean update and count of clipped values these are; n_tensors. */
void fed_clip_next(const fed_job *job, const fed_track *track, const float *mean, uint64_t n_clipped, uint32_t cohort,
                   float *next);

#endif
