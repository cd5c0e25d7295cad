/* How good predictions are, with how much certainty. Layer: eval. */
#ifndef MEDSECUREFL_METRICS_H
#define MEDSECUREFL_METRICS_H

#include "medsecurefl/status.h"

MSFL_BEGIN_DECLS

enum { MSFL_CLASSES_MAX = 64, MSFL_BOOTSTRAP_MAX = 100000, MSFL_ROC_POINTS_MAX = 4096 };

/**
 * A figure with its 95 % percentile-bootstrap interval. All three are NaN where the figure is not defined (AUC with one
 * class, say). The ends alone are NaN where no interval can be given: fewer than two patients, or the figure is
 * undefined in more than 5 % of the replicates (too few patients of one class), so that the percentiles are not known.
 */
typedef struct msfl_figure {
    double value, low, high;
} msfl_figure;

/**
 * For two classes, class 1 is "positive". For more, sensitivity, specificity, F1 and AUC are macro means, one against
 * the rest; classes without a sample are left out of the mean. AUC is the Mann-Whitney statistic with ties at one half.
 * The predicted class is the one of highest probability, the first on ties.
 *
 * Defined only with samples of at least two classes: AUC and balanced accuracy. For two classes, sensitivity and F1
 * need a positive sample, specificity a negative one. Accuracy, loss and calibration are always defined.
 */
typedef struct msfl_metrics {
    uint32_t n, n_classes;
    msfl_figure auc, accuracy, balanced_accuracy, sensitivity, specificity, f1;
    double loss;        /**< mean cross-entropy, probabilities raised to at least 1e-7 */
    double calibration; /**< expected calibration error, 15 equal bins of the top probability (Guo et al. 2017) */
    uint32_t confusion[MSFL_CLASSES_MAX][MSFL_CLASSES_MAX]; /**< [true][predicted] */
} msfl_metrics;

/**
 * @param probabilities  n x n_classes, rows sum to 1; every one within [0, 1] up to 0.001
 * @param groups         n patient numbers (any, not only dense): the bootstrap draws patients, not images; NULL draws
 *                       images
 * @param n_classes      2 to MSFL_CLASSES_MAX
 * @param n_bootstrap    replicates (1000 is usual), at most MSFL_BOOTSTRAP_MAX; 0: no intervals (low = high = value)
 * Interval ends are the 2.5 and 97.5 percentiles of the replicates, linear between neighbours.
 * Results depend on the arguments alone, not on the number of threads. On error `*out` is zeroed.
 * @retval MSFL_ERR_DATA   n is 0, a label is out of range, or a probability is not one
 * @retval MSFL_ERR_LIMIT  n_classes or n_bootstrap is out of range
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_metrics_compute(const float *probabilities, const uint32_t *labels,
                                                         const uint32_t *groups, uint32_t n, uint32_t n_classes,
                                                         uint32_t n_bootstrap, uint64_t seed, msfl_metrics *out);

/** AUC alone, as in msfl_metrics_compute, for the curve over the rounds; NaN where not defined. Same errors. */
MSFL_API MSFL_NODISCARD msfl_status msfl_auc(const float *probabilities, const uint32_t *labels, uint32_t n,
                                             uint32_t n_classes, double *out);

/** A point of the ROC curve: the shares of negatives and of positives that a threshold calls positive. */
typedef struct msfl_roc_point {
    double false_positive_rate, true_positive_rate;
} msfl_roc_point;

/**
 * ROC curve from (0, 0) to (1, 1). Two classes: the corners of the empirical curve of class 1; when there are more than
 * `points_max` of them, corners at about equal distances along the curve. More classes: the mean, at
 * equally spaced false positive rates, of the curves of each class against the rest (classes without samples left out).
 * `points` holds points_max (3 to MSFL_ROC_POINTS_MAX); `*n_points` is 0 where there is no curve (one class only).
 * Errors as in msfl_metrics_compute; then `*n_points` is 0.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_roc_curve(const float *probabilities, const uint32_t *labels, uint32_t n,
                                                   uint32_t n_classes, uint32_t points_max, msfl_roc_point *points,
                                                   uint32_t *n_points);

MSFL_END_DECLS

#endif
