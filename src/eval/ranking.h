/* Samples in order of one class's probability: what AUC and ROC curve are read from. */
#ifndef MSFL_EVAL_RANKING_H
#define MSFL_EVAL_RANKING_H

#include "medsecurefl/metrics.h"

/** ERR_DATA or ERR_LIMIT, with the first thing that is wrong, unless this is what metrics.h asks for. */
msfl_status msfl_eval_check(const float *probabilities, const uint32_t *labels, uint32_t n,
                            uint32_t n_classes) MSFL_NODISCARD;

enum { MSFL_RANK_POSITIVE = 1, MSFL_RANK_LAST_OF_TIE = 2 };

/** Places by falling probability of one class. Zero-initialise; msfl_ranking_clear. */
typedef struct msfl_ranking {
    uint32_t n, n_positive;
    uint32_t *sample; /**< which sample stands at each place */
    uint8_t *flags;   /**< MSFL_RANK_... of each place */
} msfl_ranking;

/** Sort once by the probability of `positive_class`; equal probabilities are one tie. */
msfl_status msfl_ranking_init(msfl_ranking *r, const float *probabilities, const uint32_t *labels, uint32_t n,
                              uint32_t n_classes, uint32_t positive_class) MSFL_NODISCARD;
void msfl_ranking_clear(msfl_ranking *r);

/** Whether there are samples of both sides, so that an AUC exists. */
static inline bool msfl_ranking_two_sided(const msfl_ranking *r) {
    return r->n_positive > 0 && r->n_positive < r->n;
}

/**
 * Mann-Whitney AUC where the sample at each place counts `weights[units[place]]` times (NULL, NULL: once);
 * NaN without weight on both sides. Exact below 2^53 pairs. One pass: this is the inner loop of the bootstrap.
 */
double msfl_ranking_auc(const msfl_ranking *r, const uint32_t *units, const uint32_t *weights);

#endif
