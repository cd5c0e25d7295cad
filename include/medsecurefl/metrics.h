/* How good predictions are, with how much certainty. Layer: eval. */
#ifndef MEDSECUREFL_METRICS_H
#define MEDSECUREFL_METRICS_H

#include "medsecurefl/status.h"

MSFL_BEGIN_DECLS

enum { MSFL_CLASSES_MAX = 64 };

/** A figure with its 95 % percentile-bootstrap interval; NaN where it is not defined (AUC with one class, say). */
typedef struct msfl_figure {
    double value, low, high;
} msfl_figure;

/**
 * For two classes, class 1 is "positive". For more, sensitivity, specificity, F1 and AUC are macro means, one against
 * the rest; classes without a sample are left out of the mean. AUC is the Mann-Whitney statistic with ties at one half.
 * The predicted class is the one of highest probability, the first on ties.
 */
typedef struct msfl_metrics {
    uint32_t n, n_classes;
    msfl_figure auc, accuracy, balanced_accuracy, sensitivity, specificity, f1;
    double loss;        /**< mean cross-entropy, probabilities clipped at 1e-7 */
    double calibration; /**< expected calibration error, 15 equal bins of the top probability (Guo et al. 2017) */
    uint32_t confusion[MSFL_CLASSES_MAX][MSFL_CLASSES_MAX]; /**< [true][predicted] */
} msfl_metrics;

/**
 * @param probabilities  n x n_classes, rows sum to 1, finite
 * @param groups         n patient numbers: the bootstrap draws patients, not images; NULL draws images
 * @param n_bootstrap    replicates (1000 is usual); 0: no intervals (low = high = value)
 * Results depend on the arguments alone, not on the number of threads.
 * @retval MSFL_ERR_DATA  n is 0, a label is out of range, or a probability is not finite
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_metrics_compute(const float *probabilities, const uint32_t *labels,
                                                         const uint32_t *groups, uint32_t n, uint32_t n_classes,
                                                         uint32_t n_bootstrap, uint64_t seed, msfl_metrics *out);

MSFL_END_DECLS

#endif
