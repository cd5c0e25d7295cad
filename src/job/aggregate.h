/* What is made of a round's mean update: one table, to be extended; and the mean of the last rounds' models. */
#ifndef MSFL_JOB_AGGREGATE_H
#define MSFL_JOB_AGGREGATE_H

#include "job/course.h"
#include "job/sent.h"

/** Of rules that have one, unless another is named: right for networks with normalisation layers. */
#define JOB_SERVER_LEARNING_RATE 0.003

/** Where in a training a rule is applied. */
typedef struct job_stride {
    uint32_t round;       /**< from 1 */
    double learning_rate; /**< the server's, of this round; rules without one pass it over */
    uint32_t n_averaged;  /**< models in the running mean with this round's; 0: it has not begun */
    bool closes; /**< the mean takes the place of this round's model: the last one, where rounds are averaged */
} job_stride;
/** Of the course's round `round` (from 1), in which hospitals train at `learning_rate`: the server's rate, which begins
 *  at `server_learning_rate`, falls as theirs does. */
job_stride job_stride_of(const job_rule *course, double server_learning_rate, uint32_t round, double learning_rate);

typedef struct job_aggregate {
    const char *name, *summary;
    uint32_t n_moments; /**< vectors as long as the weights that the rule carries from round to round; all 0 before the
                             first */
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

/** Vectors that are carried from round to round: the rule's moments, and where rounds are averaged the running mean of
 *  their models behind them. At most JOB_CARRIED_MAX. */
enum { JOB_CARRIED_MAX = 3 };
uint32_t job_carried(const job_aggregate *rule, const job_rule *course);

/**
 * A round's new weights: by the rule, then by the mean over the last rounds' models (Izmailov et al., "Averaging
 * Weights Leads to Wider Optima and Better Generalization", 2018, Algorithm 1; of federated models Caldarola et al.
 * 2022). Values [first, first + n) of n_values: `next`, `global` and `mean` are the slices, `next` may be `mean`;
 * `carried` is whole, job_carried vectors of n_values one after the other, brought to this round (NULL where there are
 * none). The same bit by bit on every machine, in slices as in one piece.
 */
void job_step(const job_aggregate *rule, float *next, float *carried, const float *global, const float *mean,
              uint64_t first, uint64_t n, uint64_t n_values, const job_stride *stride);
/** The part about the mean, for who trains without a server: `average` <- average + (next - average) / n_averaged;
 * where it closes, next <- average. n values each; nothing where it has not begun. */
void job_average(float *next, float *average, uint64_t n, const job_stride *stride);

/** Carried vectors in a file: of the weights whose hash is `weights` (MSFL_HASH_BYTES). Replaced whole, mode 0600.
 *  `carried`: n_carried x n_values. */
msfl_status job_moments_save(const char *path, const job_aggregate *rule, uint32_t n_carried, const uint8_t *weights,
                             const float *carried, uint64_t n_values) MSFL_NODISCARD;
/** The same back; zeros without reading if `path` is NULL. msfl_free `*out`. ERR_MISSING, ERR_FORMAT, ERR_MISMATCH:
 *  not there, damaged, of other weights. */
msfl_status job_moments_load(float **out, const char *path, const job_aggregate *rule, uint32_t n_carried,
                             const uint8_t *weights, uint64_t n_values) MSFL_NODISCARD;

#endif
