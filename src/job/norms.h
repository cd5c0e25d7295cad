/* Normalisation that stays with a hospital (after Li et al. 2021, FedBN): from round to round each keeps its own values
 * of all normalisation layers. The federated model carries their mean, for those who were not there. */
#ifndef MSFL_JOB_NORMS_H
#define MSFL_JOB_NORMS_H

#include "medsecurefl/model.h"

/** How many values all normalisation layers have: the length of `norms` below. */
uint64_t job_norms_count(const msfl_model *model);
/** norms <- those values of `weights`, in the order of the weight vector. */
void job_norms_take(const msfl_model *model, const float *weights, float *norms);
/** The reverse; other values of `weights` stay. */
void job_norms_put(const msfl_model *model, const float *norms, float *weights);

#endif
