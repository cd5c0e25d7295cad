/* Figures of merit as the JSON object that results hold (docs/formats/result.md). */
#ifndef MSFL_REPORT_FIGURES_H
#define MSFL_REPORT_FIGURES_H

#include "medsecurefl/metrics.h"
#include "text/json.h"

/**
 * A new object with auc, accuracy, balanced_accuracy, sensitivity, specificity, f1, loss, calibration, n, confusion,
 * intervals, and roc when there are points. What is not defined is null. NULL when out of memory (recorded).
 */
json_t *msfl_figures_json(const msfl_metrics *metrics, const msfl_roc_point *points, uint32_t n_points);

/**
 * The mean of several: every figure averaged over those that have it, null where none has; no intervals, since
 * hospitals' models differ by more than their test cases. NULL entries are passed over.
 */
json_t *msfl_figures_mean_json(const msfl_metrics *const *metrics, size_t n);

#endif
