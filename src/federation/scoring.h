/* How good weights are on a list of images. */
#ifndef MSFL_FEDERATION_SCORING_H
#define MSFL_FEDERATION_SCORING_H

#include "federation/job.h"
#include "text/json.h"

/** Predictions for a list: n x n_classes probabilities and n labels. Free with fed_scores_clear. */
typedef struct fed_scores {
    float *probabilities;
    uint32_t *labels, *groups;
    uint32_t n, n_classes;
    double loss;
} fed_scores;

msfl_status fed_score(const fed_job *job, msfl_trainer *trainer, const float *weights, const msfl_indices *images,
                      fed_scores *out) MSFL_NODISCARD;
void fed_scores_clear(fed_scores *scores);

/** Metrics object of docs/formats/result.md; intervals with `n_bootstrap` > 0, the points of the ROC curve `with_roc`.
 */
msfl_status fed_scores_json(const fed_scores *scores, uint32_t n_bootstrap, uint64_t seed, bool with_roc,
                            json_t **out) MSFL_NODISCARD;

/** Counters that a hospital adds to an encrypted sum so that the federation learns how a model does on all validation
 *  images together, and on none in particular. */
enum {
    FED_AUC_BINS = 24,    /* of the probability of class 1, equal widths */
    FED_EVAL_CLIENTS = 0, /* 1 each: also a hospital without validation images takes part */
    FED_EVAL_N,           /* images */
    FED_EVAL_CORRECT,
    FED_EVAL_LOSS, /* sum of cross-entropies x 2^10 */
    FED_EVAL_BINS, /* FED_AUC_BINS for class 0, then as many for class 1 */
    FED_EVAL_COUNTERS = FED_EVAL_BINS + 2 * FED_AUC_BINS
};
#define FED_LOSS_ONE 1024.0

void fed_scores_counters(const fed_scores *scores, uint64_t counters[FED_EVAL_COUNTERS]);

/** AUC from summed bins (values that share a bin count one half); NaN when a class is missing. */
double fed_counters_auc(const uint64_t counters[FED_EVAL_COUNTERS]);

#endif
