#include "federation/clip.h"

#include <math.h>
#include <string.h>

/* From 20 bits on the grid over +-8 is finer than 2^-16 and nothing needs tuning. Below, every tensor gets its own
 * range: a first guess, then a margin over the largest mean update of the last round. It is
 * doubled while many values are cut. All of that comes out of opened sums, like everything that decides a round. */
enum { BITS_WITHOUT_TUNING = 20 };
static const float clip_wide = 8.0f, clip_first = 0.5f, clip_least = 1e-4f, margin = 4.0f;

static bool adaptive(const fed_job *job) {
    return job->options->clip <= 0 && job->options->value_bits < BITS_WITHOUT_TUNING;
}

void fed_clip_init(const fed_job *job, fed_track *track) {
    float fixed = job->options->clip > 0 ? (float)job->options->clip : clip_wide;
    for (uint32_t i = 0; i < track->n_tensors; i++) {
        /* Moving statistics may jump in the first round, weights hardly. */
        bool weight = msfl_model_tensor(job->model, i)->role == MSFL_TENSOR_WEIGHT;
        track->clip[i] = adaptive(job) && weight ? clip_first : fixed;
    }
}

void fed_clip_next(const fed_job *job, const fed_track *track, const float *mean, uint64_t n_clipped, uint32_t cohort,
                   float *next) {
    if (!adaptive(job)) {
        memcpy(next, track->clip, track->n_tensors * sizeof *next);
        return;
    }
    bool many_clipped = (double)n_clipped > 1e-3 * (double)cohort * (double)track->n_values;
    for (uint32_t i = 0; i < track->n_tensors; i++) {
        const msfl_tensor *tensor = msfl_model_tensor(job->model, i);
        float most = 0;
        for (uint64_t k = 0; k < tensor->count; k++)
            most = fmaxf(most, fabsf(mean[tensor->offset + k]));
        float wanted = fmaxf(margin * most, clip_least);
        if (many_clipped) wanted = fmaxf(wanted, 2.0f * track->clip[i]);
        next[i] = fminf(wanted, clip_wide);
    }
}
