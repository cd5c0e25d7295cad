/* What an update is made of: the whole weight vector, or all of it but what stays with the hospitals. Sums, layouts,
 * bounds and parameters are about this vector; models are about the weights. */
#ifndef MSFL_JOB_SENT_H
#define MSFL_JOB_SENT_H

#include "job/norms.h"

typedef struct job_sent {
    uint32_t n_tensors; /**< that are sent */
    uint64_t *counts;   /**< values of each */
    uint64_t *offsets;  /**< where each begins in the weight vector; ascending */
    bool *weight;       /**< trained by gradient, each; else a statistic */
    uint64_t n_values;  /**< of an update */
    uint64_t n_weights; /**< of the weight vector */
} job_sent;

/** Of a network. Clear `out` in any case. ERR_USAGE: `norms` is not shared and there is no normalisation layer, or
 *  nothing else. */
msfl_status job_sent_init(const msfl_model *model, job_norms norms, job_sent *out) MSFL_NODISCARD;
/** Of tensors that are all sent, one after the other: counts and weight as above. */
msfl_status job_sent_all(uint32_t n_tensors, const uint64_t *counts, const bool *weight, job_sent *out) MSFL_NODISCARD;
void job_sent_clear(job_sent *sent);

/** update <- trained - global, of what is sent. n_values from n_weights; they may not overlap. */
void job_sent_difference(const job_sent *sent, const float *trained, const float *global, float *update);
/** In place, for a vector of n_weights whose first n_values are an update: to where its values belong among the
 * weights, 0 where nothing is sent. So that weights + vector leaves what is not sent as it is. */
void job_sent_spread(const job_sent *sent, float *vector);

#endif
