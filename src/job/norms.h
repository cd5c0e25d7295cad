/* Normalisation that stays with a hospital (Li et al., "FedBN: Federated Learning on Non-IID Features via Local Batch
 * Normalization", 2021, section 4): from round to round each keeps its own values of all normalisation layers. */
#ifndef MSFL_JOB_NORMS_H
#define MSFL_JOB_NORMS_H

#include "medsecurefl/model.h"

typedef enum job_norms {
    JOB_NORMS_SHARED, /**< as all other layers: averaged, and every round begins with the mean */
    JOB_NORMS_LOCAL,  /**< FedBN: they are no part of an update; the federated model keeps those it began with */
    JOB_NORMS_MEAN    /**< every hospital keeps its own, and their mean travels, for those who were not there */
} job_norms;

/** "shared", "local", "mean"; the end of the list is NULL. */
extern const char *const job_norms_words[4];
/** By its word; NULL is "shared". ERR_USAGE with the words for another. */
msfl_status job_norms_find(const char *word, job_norms *out) MSFL_NODISCARD;

/** Whether a tensor belongs to a normalisation layer: gamma, beta, moving mean and variance. */
bool job_norms_has(const msfl_tensor *tensor);
/** How many values all normalisation layers have: the length of `norms` below. */
uint64_t job_norms_count(const msfl_model *model);
/** norms <- those values of `weights`, in the order of the weight vector. */
void job_norms_take(const msfl_model *model, const float *weights, float *norms);
/** The reverse; other values of `weights` stay. */
void job_norms_put(const msfl_model *model, const float *norms, float *weights);
/** Whether a layer of the network normalises by statistics that training gathers: with the ones that it began with it
 * is of no use. */
bool job_norms_gathered(const msfl_model *model);

#endif
