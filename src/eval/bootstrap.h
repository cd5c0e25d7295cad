/* The figures of a set of predictions, as often as one likes, with patients drawn again and again. */
#ifndef MSFL_EVAL_BOOTSTRAP_H
#define MSFL_EVAL_BOOTSTRAP_H

#include "eval/ranking.h"

enum {
    MSFL_FIGURE_AUC,
    MSFL_FIGURE_ACCURACY,
    MSFL_FIGURE_BALANCED_ACCURACY,
    MSFL_FIGURE_SENSITIVITY,
    MSFL_FIGURE_SPECIFICITY,
    MSFL_FIGURE_F1,
    MSFL_N_FIGURES
};

/** The class of highest probability, the first on ties. */
uint32_t msfl_eval_predicted(const float *row, uint32_t n_classes);

/** All figures but AUC from a confusion matrix [true][predicted], rows of n_classes; NaN where not defined. */
void msfl_eval_judge(const uint64_t *confusion, uint32_t n_classes, double figures[MSFL_N_FIGURES]);

/** Everything that does not change from replicate to replicate. Zero-initialise; msfl_bootstrap_clear. */
typedef struct msfl_bootstrap {
    uint32_t n, n_classes, n_units; /**< a unit is what is drawn: a patient, or an image */
    uint32_t *unit;                 /**< of each sample, dense */
    uint32_t *cell;                 /**< of each sample: label * n_classes + predicted class */
    uint32_t n_rankings;
    msfl_ranking *rankings; /**< one per class that has an AUC */
    uint32_t **ranked_unit; /**< unit at each place of each ranking */
    uint64_t *confusion;    /**< n_classes^2, scratch */
} msfl_bootstrap;

/** The input must have passed msfl_eval_check; `groups` may be NULL. */
msfl_status msfl_bootstrap_init(msfl_bootstrap *b, const float *probabilities, const uint32_t *labels,
                                const uint32_t *groups, uint32_t n, uint32_t n_classes) MSFL_NODISCARD;
void msfl_bootstrap_clear(msfl_bootstrap *b);

/** Every figure and its interval; see metrics.h for when an interval is not known. */
msfl_status msfl_bootstrap_run(msfl_bootstrap *b, uint32_t n_replicates, uint64_t seed,
                               msfl_figure figures[MSFL_N_FIGURES]) MSFL_NODISCARD;

#endif
