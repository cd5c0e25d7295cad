#include "federation/scoring.h"

#include "base/mem.h"
#include "job/norms.h"

#include <math.h>
#include <string.h>

msfl_status fed_score(const fed_job *job, msfl_trainer *trainer, const float *weights, const msfl_indices *images,
                      uint32_t n_views, fed_scores *out) {
    if (msfl_model_info_borrow(job->model)->is_pixelwise) return fed_masks_score(job, trainer, weights, images, out);
    memset(out, 0, sizeof *out);
    out->n = images->n;
    out->n_classes = msfl_model_info_borrow(job->model)->n_classes;
    out->loss = NAN;
    out->probabilities = msfl_alloc((size_t)out->n * out->n_classes, sizeof *out->probabilities);
    out->labels = msfl_alloc(out->n, sizeof *out->labels);
    out->groups = msfl_alloc(out->n, sizeof *out->groups);
    if (out->probabilities == NULL || out->labels == NULL || out->groups == NULL) {
        fed_scores_clear(out);
        return MSFL_ERR_MEMORY;
    }
    if (out->n == 0) return MSFL_OK;
    fed_samples storage;
    msfl_samples samples = fed_samples_of(job, images, &storage);
    samples.n_views = n_views;
    for (uint32_t i = 0; i < out->n; i++)
        out->groups[i] = msfl_dataset_group(job->dataset, images->at[i]);
    msfl_status status = msfl_predict(trainer, weights, &samples, out->probabilities, out->labels, &out->loss);
    if (status != MSFL_OK) fed_scores_clear(out);
    return status;
}

msfl_status fed_score_member(const fed_job *job, const float *weights, const float *norms, const msfl_indices *images,
                             uint32_t n_views, fed_scores *out) {
    uint64_t n = msfl_model_info_borrow(job->model)->n_values;
    float *own = NULL;
    memset(out, 0, sizeof *out);
    if (norms != NULL) {
        own = msfl_alloc(n, sizeof *own);
        if (own == NULL) return MSFL_ERR_MEMORY;
        memcpy(own, weights, n * sizeof *own);
        job_norms_put(job->model, norms, own);
    }
    msfl_trainer *trainer = fed_workers_acquire(job->workers);
    msfl_status status = fed_score(job, trainer, own != NULL ? own : weights, images, n_views, out);
    fed_workers_release(job->workers, trainer);
    msfl_free(own);
    return status;
}

void fed_scores_clear(fed_scores *s) {
    msfl_free(s->probabilities);
    msfl_free(s->labels);
    msfl_free(s->groups);
    msfl_free(s->found);
    msfl_free(s->images);
    memset(s, 0, sizeof *s);
}

static json_t *confusion_json(const msfl_metrics *m) {
    json_t *rows = json_array();
    for (uint32_t i = 0; i < m->n_classes; i++) {
        json_t *row = json_array();
        for (uint32_t j = 0; j < m->n_classes; j++)
            json_array_append_new(row, json_integer(m->confusion[i][j]));
        json_array_append_new(rows, row);
    }
    return rows;
}

static msfl_status roc_json(const fed_scores *s, json_t **out) {
    enum { POINTS = 101 };
    msfl_roc_point points[POINTS];
    uint32_t n;
    msfl_status status = msfl_roc_curve(s->probabilities, s->labels, s->n, s->n_classes, POINTS, points, &n);
    *out = json_array();
    for (uint32_t i = 0; status == MSFL_OK && i < n; i++) {
        json_array_append_new(*out, json_pack("[f, f]", points[i].false_positive_rate, points[i].true_positive_rate));
    }
    return status;
}

msfl_status fed_scores_json(const fed_scores *s, uint32_t n_bootstrap, uint64_t seed, bool with_roc, json_t **out) {
    *out = NULL;
    if (s->n_pixels > 0) return fed_masks_json(s, n_bootstrap, seed, n_bootstrap > 0 || with_roc, out);
    msfl_metrics *m = msfl_alloc(1, sizeof *m);
    if (m == NULL) return MSFL_ERR_MEMORY;
    msfl_status status =
        msfl_metrics_compute(s->probabilities, s->labels, s->groups, s->n, s->n_classes, n_bootstrap, seed, m);
    if (status != MSFL_OK) goto done;
    json_t *object = json_object();
    json_t *intervals = json_object();
    const struct {
        const char *name;
        const msfl_figure *figure;
    } figures[] = {{"auc", &m->auc},
                   {"accuracy", &m->accuracy},
                   {"balanced_accuracy", &m->balanced_accuracy},
                   {"sensitivity", &m->sensitivity},
                   {"specificity", &m->specificity},
                   {"f1", &m->f1}};
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        json_object_set_new(object, figures[i].name, msfl_json_real(figures[i].figure->value));
        json_object_set_new(
            intervals, figures[i].name,
            json_pack("[o, o]", msfl_json_real(figures[i].figure->low), msfl_json_real(figures[i].figure->high)));
    }
    json_object_set_new(object, "loss", msfl_json_real(m->loss));
    json_object_set_new(object, "calibration", msfl_json_real(m->calibration));
    json_object_set_new(object, "n", json_integer(m->n));
    json_object_set_new(object, "confusion", confusion_json(m));
    *out = object;
    if (n_bootstrap > 0) {
        json_object_set_new(object, "intervals", intervals);
    } else {
        json_decref(intervals);
    }
    if (!with_roc) goto done;
    json_t *roc;
    status = roc_json(s, &roc);
    json_object_set_new(object, "roc", roc);
done:
    msfl_free(m);
    return status;
}

void fed_scores_counters(const fed_scores *s, uint64_t counters[JOB_EVAL_COUNTERS]) {
    if (s->n_pixels > 0) {
        fed_masks_counters(s, counters);
        return;
    }
    job_eval_counters(s->probabilities, s->labels, s->n, s->n_classes, counters);
}
