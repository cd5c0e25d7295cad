/* What opened sums of figures say of a model: for those who open them to keep, and to show. */
#ifndef MSFL_JOB_SCORES_H
#define MSFL_JOB_SCORES_H

#include "base/bytes.h"
#include "job/figures.h"
#include "job/spec.h"
#include "text/json.h"

/** NaN where nobody can tell. */
typedef struct job_scores {
    uint64_t n; /**< images */
    double loss, accuracy;
    double rank;                   /**< AUC; of a network that gives a class to every pixel the mean Dice */
    double dice[JOB_MASK_CLASSES]; /**< then also of each of the job_shape's structures, class 1 first */
} job_scores;

/** Of a round that nobody judged: n = 0, the rest NaN. */
job_scores job_scores_none(void);
/** `n_structures`: as in job_shape; 0: classes of images. */
job_scores job_scores_of(const uint64_t counters[JOB_EVAL_COUNTERS], uint32_t n_structures);

/** Dice of the structures, 8 bytes each; nothing for classes of images. Failure to read shows in the reader. */
void job_scores_put_dice(const job_scores *scores, uint32_t n_structures, msfl_buffer *out);
void job_scores_get_dice(msfl_reader *reader, uint32_t n_structures, job_scores *scores);

/** A round's figures by the names of docs/formats/result.md; `validation` as they came from the hospitals. */
json_t *job_round_json(const job_shape *shape, double train_loss, double train_accuracy, const job_scores *validation,
                       double learning_rate);
/** The figures of the final test but n: the caller knows whether it may be told. */
json_t *job_test_json(const job_shape *shape, const job_scores *test);

#endif
