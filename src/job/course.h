/* How a training goes from round to round: learning rate, patience, clipping bounds. All of it follows from opened sums
 * and public facts, so `simulate`, a coordinator, and hospitals that open the sums themselves decide alike. */
#ifndef MSFL_JOB_COURSE_H
#define MSFL_JOB_COURSE_H

#include "base/bytes.h"
#include "medsecurefl/update.h"

typedef enum job_schedule {
    JOB_SCHEDULE_CONSTANT, /**< but for plateaus */
    JOB_SCHEDULE_LINEAR    /**< falls by the same amount every round, to 1/n_rounds of the first in the last */
} job_schedule;
/** "constant", "linear", NULL: in the order of job_schedule. */
extern const char *const job_schedule_words[];

typedef struct job_rule {
    uint32_t n_rounds;
    uint32_t patience;         /**< rounds without a better job_judgement before a training stops; 0: never */
    uint32_t plateau_patience; /**< ... before the learning rate falls; 0: never */
    double plateau_factor;
    double learning_rate; /**< of the first round */
    job_schedule schedule;
    uint32_t n_averaged; /**< the last round's model is the mean of so many last rounds'; 0: it is its own */
    bool keeps_last;     /**< the model that is kept is that of the last round, whatever its judgement. So it is too
                              where rounds are averaged: what was averaged is what is wanted */
} job_rule;

/** ERR_USAGE, without a place, for a rule that cannot be followed: more rounds averaged than there are, or a training
 *  that patience may stop before the mean is complete. */
msfl_status job_rule_check(const job_rule *rule) MSFL_NODISCARD;

typedef struct job_course {
    uint32_t n_done;             /**< finished rounds */
    uint32_t best_round;         /**< of the model that is kept */
    double best_loss;            /**< the lowest job_judgement; infinite before the first */
    uint32_t n_stale, n_plateau; /**< rounds since the best loss; since that or the last change of learning rate */
    double learning_rate;
    bool stopped;
    char why[160];
} job_course;

void job_course_init(job_course *course, const job_rule *rule);
bool job_course_wants_more(const job_course *course, const job_rule *rule);
/** What rounds are judged by, the lower the better: of images with a class each the validation loss; where pixels have
 * the classes 1 - mean Dice, since cross-entropy turns long before the masks stop getting better. */
double job_judgement(bool of_pixels, double validation_loss, double validation_dice);
/** A round is finished. NaN (nobody could tell) counts as the best so far. Returns whether its model is the one to
 * keep: the best, or, by the rule, the newest. */
bool job_course_take(job_course *course, const job_rule *rule, double judgement);
void job_course_put(const job_course *course, msfl_buffer *out);
/** False if the bytes are none, or numbers that cannot be. */
bool job_course_get(job_course *course, const job_rule *rule, msfl_reader *reader);

/** Clipping bounds of the encoding. docs/design/encoding.md */
typedef struct job_clip_rule {
    double clip; /**< > 0: fixed */
    uint32_t value_bits;
    uint32_t n_tensors;
    const uint64_t *counts;
    const bool *weight;
    uint64_t n_values;
} job_clip_rule;
void job_clip_init(const job_clip_rule *rule, float *clip);
/** Bounds for the round after the one whose opened mean update and number of clipped values these are. */
void job_clip_next(const job_clip_rule *rule, const float *clip, const float *mean, uint64_t n_clipped, uint32_t cohort,
                   float *next);
/** The same from the largest magnitude in each tensor of that mean: for who does not hold it whole. */
void job_clip_next_most(const job_clip_rule *rule, const float *clip, const float *most, uint64_t n_clipped,
                        uint32_t cohort, float *next);
/** Whether bounds follow the mean at all; if not, `most` is not looked at, and they say nothing of what was opened. */
bool job_clip_follows(const job_clip_rule *rule);

#endif
