#include "report/figures.h"

#include "base/error.h"

#include <math.h>
#include <stddef.h>

typedef struct named_figure {
    const char *name;
    size_t offset;
} named_figure;

static const named_figure figures[] = {
    {"auc", offsetof(msfl_metrics, auc)},
    {"accuracy", offsetof(msfl_metrics, accuracy)},
    {"balanced_accuracy", offsetof(msfl_metrics, balanced_accuracy)},
    {"sensitivity", offsetof(msfl_metrics, sensitivity)},
    {"specificity", offsetof(msfl_metrics, specificity)},
    {"f1", offsetof(msfl_metrics, f1)},
};
enum { N_FIGURES = sizeof figures / sizeof figures[0] };

static const msfl_figure *figure_of(const msfl_metrics *m, int k) {
    return (const msfl_figure *)(const void *)((const char *)m + figures[k].offset);
}

/* The setters take what they are given, also on failure, and refuse NULL: so one check at the end is enough. */
static json_t *finished(json_t *object, bool failed) {
    if (!failed) return object;
    json_decref(object);
    (void)msfl_fail(MSFL_ERR_MEMORY, "figures: out of memory");
    return NULL;
}

json_t *msfl_figures_json(const msfl_metrics *m, const msfl_roc_point *points, uint32_t n_points) {
    json_t *object = json_object(), *intervals = json_object(), *confusion = json_array();
    bool failed = object == NULL || intervals == NULL || confusion == NULL;
    for (int k = 0; k < N_FIGURES; k++) {
        const msfl_figure *f = figure_of(m, k);
        json_t *ends = isnan(f->low) || isnan(f->high) ? json_null() : json_pack("[f, f]", f->low, f->high);
        failed |= json_object_set_new(object, figures[k].name, msfl_json_real(f->value)) != 0;
        failed |= json_object_set_new(intervals, figures[k].name, ends) != 0;
    }
    failed |= json_object_set_new(object, "loss", msfl_json_real(m->loss)) != 0;
    failed |= json_object_set_new(object, "calibration", msfl_json_real(m->calibration)) != 0;
    failed |= json_object_set_new(object, "n", json_integer(m->n)) != 0;
    for (uint32_t t = 0; t < m->n_classes; t++) {
        json_t *row = json_array();
        for (uint32_t c = 0; c < m->n_classes; c++)
            failed |= json_array_append_new(row, json_integer(m->confusion[t][c])) != 0;
        failed |= json_array_append_new(confusion, row) != 0;
    }
    failed |= json_object_set_new(object, "confusion", confusion) != 0;
    failed |= json_object_set_new(object, "intervals", intervals) != 0;
    if (n_points > 0) {
        json_t *curve = json_array();
        for (uint32_t i = 0; i < n_points; i++) {
            failed |= json_array_append_new(
                          curve, json_pack("[f, f]", points[i].false_positive_rate, points[i].true_positive_rate)) != 0;
        }
        failed |= json_object_set_new(object, "roc", curve) != 0;
    }
    return finished(object, failed);
}

static void add(double value, double *sum, size_t *count) {
    if (isnan(value)) return;
    *sum += value;
    (*count)++;
}

json_t *msfl_figures_mean_json(const msfl_metrics *const *metrics, size_t n) {
    json_t *object = json_object();
    bool failed = object == NULL;
    for (int k = 0; k < N_FIGURES + 2; k++) {
        double sum = 0.0;
        size_t count = 0;
        for (size_t i = 0; i < n; i++) {
            const msfl_metrics *m = metrics[i];
            if (m == NULL) continue;
            add(k < N_FIGURES ? figure_of(m, k)->value : k == N_FIGURES ? m->loss : m->calibration, &sum, &count);
        }
        const char *name = k < N_FIGURES ? figures[k].name : k == N_FIGURES ? "loss" : "calibration";
        failed |= json_object_set_new(object, name, msfl_json_real(count > 0 ? sum / (double)count : NAN)) != 0;
    }
    return finished(object, failed);
}
