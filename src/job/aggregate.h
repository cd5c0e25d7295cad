/* What is made of a round's mean update: one table, to be extended. */
#ifndef MSFL_JOB_AGGREGATE_H
#define MSFL_JOB_AGGREGATE_H

#include "job/sent.h"

/** Of rules that have one, unless another is named: right for networks with normalisation layers. */
#define JOB_SERVER_LEARNING_RATE 0.003

/** Where in a training a rule is applied. */
typedef struct job_stride {
    uint32_t round;       /**< from 1 */
    double learning_rate; /**< the server's, of this round; rules without one pass it over */
} job_stride;

typedef struct job_aggregate {
    const char *name, *summary;
    uint32_t n_moments; /**< vectors as long as the weights that the rule carries from round to round, one after the
                             other; all 0 before the first round */
    /** `next` = the new global weights from `global` and the weighted mean of the updates. Value by value, so that a
     *  caller may give the vector in slices; `next` may be `mean`. `moments`: n_moments pointers to the values of the
     * same slice, brought to this round; NULL where there are none. The same bit by bit on every machine: no function
     * of the mathematical library but sqrt, which IEEE 754 defines. */
    void (*apply)(float *next, float *const *moments, const float *global, const float *mean, uint64_t n_values,
                  const job_stride *stride);
} job_aggregate;

/** By name; ERR_USAGE with the names for another. */
msfl_status job_aggregate_find(const char *name, const job_aggregate **out) MSFL_NODISCARD;
/** ERR_USAGE if the rule cannot be used for such updates: an adaptive step would spoil moving statistics. */
msfl_status job_aggregate_check(const job_aggregate *rule, const job_sent *sent) MSFL_NODISCARD;

/** A rule's moments in a file: of the weights whose hash is `weights` (MSFL_HASH_BYTES). Replaced whole, mode 0600.
 *  `moments`: n_moments x n_values. */
msfl_status job_moments_save(const char *path, const job_aggregate *rule, const uint8_t *weights, const float *moments,
                             uint64_t n_values) MSFL_NODISCARD;
/** The same back; zeros without reading if `path` is NULL. msfl_free `*out`. ERR_MISSING, ERR_FORMAT, ERR_MISMATCH:
 *  not there, damaged, of other weights. */
msfl_status job_moments_load(float **out, const char *path, const job_aggregate *rule, const uint8_t *weights,
                             uint64_t n_values) MSFL_NODISCARD;

#endif
