#include "medsecurefl/metrics.h"

#include "base/mem.h"
#include "eval/bootstrap.h"
#include "eval/ranking.h"

#include <math.h>
#include <string.h>

uint32_t msfl_eval_predicted(const float *row, uint32_t n_classes) {
    uint32_t best = 0;
    for (uint32_t c = 1; c < n_classes; c++) {
        if (row[c] > row[best]) best = c;
    }
    return best;
}

/* One class against the rest; a figure that cannot be given is NaN. */
typedef struct one_class {
    double sensitivity, specificity, f1;
} one_class;

static one_class judge_class(const uint64_t *confusion, uint32_t n_classes, uint32_t c, uint64_t total) {
    uint64_t hit = confusion[(size_t)c * n_classes + c], actual = 0, called = 0;
    for (uint32_t k = 0; k < n_classes; k++) {
        actual += confusion[(size_t)c * n_classes + k];
        called += confusion[(size_t)k * n_classes + c];
    }
    one_class j = {NAN, NAN, NAN};
    uint64_t others = total - actual, false_alarms = called - hit;
    if (actual > 0) {
        j.sensitivity = (double)hit / (double)actual;
        j.f1 = 2.0 * (double)hit / (double)(actual + called);
    }
    if (others > 0) j.specificity = (double)(others - false_alarms) / (double)others;
    return j;
}

void msfl_eval_judge(const uint64_t *confusion, uint32_t n_classes, double figures[MSFL_N_FIGURES]) {
    for (int f = 0; f < MSFL_N_FIGURES; f++) {
        if (f != MSFL_FIGURE_AUC) figures[f] = NAN;
    }
    uint64_t total = 0, correct = 0;
    for (size_t k = 0; k < (size_t)n_classes * n_classes; k++)
        total += confusion[k];
    if (total == 0) return;
    double sums[4] = {0.0, 0.0, 0.0, 0.0}; /* sensitivity, specificity, F1; recall of classes with samples */
    uint32_t counts[4] = {0, 0, 0, 0};
    for (uint32_t c = 0; c < n_classes; c++) {
        correct += confusion[(size_t)c * n_classes + c];
        one_class j = judge_class(confusion, n_classes, c, total);
        bool has_samples = !isnan(j.sensitivity);
        if (has_samples) {
            sums[3] += j.sensitivity;
            counts[3]++;
        }
        if (n_classes == 2 && c == 0) continue; /* class 1 alone is "positive" */
        double values[3] = {j.sensitivity, j.specificity, j.f1};
        for (int k = 0; k < 3; k++) {
            if (isnan(values[k]) || (n_classes > 2 && !has_samples)) continue;
            sums[k] += values[k];
            counts[k]++;
        }
    }
    figures[MSFL_FIGURE_ACCURACY] = (double)correct / (double)total;
    if (counts[0] > 0) figures[MSFL_FIGURE_SENSITIVITY] = sums[0] / counts[0];
    if (counts[1] > 0) figures[MSFL_FIGURE_SPECIFICITY] = sums[1] / counts[1];
    if (counts[2] > 0) figures[MSFL_FIGURE_F1] = sums[2] / counts[2];
    if (counts[3] > 1) figures[MSFL_FIGURE_BALANCED_ACCURACY] = sums[3] / counts[3];
}

/* Mean gap between confidence and correctness over 15 bins ((b)/15, (b+1)/15] of the top probability. */
static double calibration_error(const float *probabilities, const uint32_t *labels, uint32_t n, uint32_t n_classes) {
    enum { N_BINS = 15 };
    double gap[N_BINS] = {0.0};
    for (uint32_t i = 0; i < n; i++) {
        const float *row = probabilities + (size_t)i * n_classes;
        uint32_t predicted = msfl_eval_predicted(row, n_classes);
        double top = fmin(fmax((double)row[predicted], 0.0), 1.0);
        int bin = (int)ceil(top * N_BINS) - 1;
        gap[bin < 0 ? 0 : bin] += (predicted == labels[i] ? 1.0 : 0.0) - top;
    }
    double sum = 0.0;
    for (int b = 0; b < N_BINS; b++)
        sum += fabs(gap[b]);
    return sum / n;
}

static double cross_entropy(const float *probabilities, const uint32_t *labels, uint32_t n, uint32_t n_classes) {
    double sum = 0.0;
    for (uint32_t i = 0; i < n; i++) {
        double p = (double)probabilities[(size_t)i * n_classes + labels[i]];
        sum -= log(fmin(fmax(p, 1e-7), 1.0));
    }
    return sum / n;
}

msfl_status msfl_metrics_compute(const float *probabilities, const uint32_t *labels, const uint32_t *groups, uint32_t n,
                                 uint32_t n_classes, uint32_t n_bootstrap, uint64_t seed, msfl_metrics *out) {
    memset(out, 0, sizeof *out);
    msfl_status status = msfl_eval_check(probabilities, labels, n, n_classes);
    if (status != MSFL_OK) return status;

    msfl_bootstrap b = {0};
    msfl_figure figures[MSFL_N_FIGURES];
    status = msfl_bootstrap_init(&b, probabilities, labels, groups, n, n_classes);
    if (status != MSFL_OK) goto done;
    status = msfl_bootstrap_run(&b, n_bootstrap, seed, figures);
    if (status != MSFL_OK) goto done;

    out->n = n;
    out->n_classes = n_classes;
    out->auc = figures[MSFL_FIGURE_AUC];
    out->accuracy = figures[MSFL_FIGURE_ACCURACY];
    out->balanced_accuracy = figures[MSFL_FIGURE_BALANCED_ACCURACY];
    out->sensitivity = figures[MSFL_FIGURE_SENSITIVITY];
    out->specificity = figures[MSFL_FIGURE_SPECIFICITY];
    out->f1 = figures[MSFL_FIGURE_F1];
    out->loss = cross_entropy(probabilities, labels, n, n_classes);
    out->calibration = calibration_error(probabilities, labels, n, n_classes);
    for (uint32_t i = 0; i < n; i++)
        out->confusion[labels[i]][msfl_eval_predicted(probabilities + (size_t)i * n_classes, n_classes)]++;
done:
    msfl_bootstrap_clear(&b);
    return status;
}
