/* Jobs whose network gives a class to every pixel: what their descriptions may say, and what such a network finds. */
#ifndef MSFL_JOB_PIXELS_H
#define MSFL_JOB_PIXELS_H

#include "job/spec.h"

/** Options that have no meaning for this network: ERR_USAGE, ERR_LIMIT, naming the field. `network` NULL: the job's
 *  tensors are the hospitals' own. `name` stands in the errors. */
msfl_status job_pixels_check(const char *name, const job_spec *spec, const msfl_model_info *network) MSFL_NODISCARD;

/** Images [first, first + n) of the samples: the most probable class (the first on ties) of each of their n x n_targets
 *  pixels. Lent for the call. */
typedef msfl_status (*job_pixels_take)(void *ctx, uint32_t first, uint32_t n, const uint8_t *found);
/**
 * Predict the masks of all samples, some images at a time since the probabilities of all pixels of all images are too
 * many, and hand each part to `take`, in order. `loss`: mean cross-entropy over all pixels, NaN without samples; the
 * same bit by bit wherever the same weights meet the same images. At most 256 classes.
 */
msfl_status job_pixels_predict(msfl_trainer *trainer, const msfl_model *model, const float *weights,
                               const msfl_samples *samples, job_pixels_take take, void *ctx,
                               double *loss) MSFL_NODISCARD;

#endif
