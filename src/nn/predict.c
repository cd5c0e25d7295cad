/* Class probabilities. */
#include "base/error.h"
#include "base/mem.h"
#include "nn/trainer.h"

#include <float.h>
#include <math.h>
#include <string.h>

typedef struct work {
    msfl_trainer *t;
    const float *weights;
    const msfl_samples *samples;
    float *probabilities;
    uint32_t *labels;
    double *losses; /* one per task */
} work;

/* Probabilities of one image, whose labels stand where they go: from the last pixel to the first, so that a label is
 * read before its place is written. Returns the mean cross-entropy. */
static double score_image(const work *w, size_t image, const float *logits) {
    const nn_arch *arch = w->t->net->arch;
    size_t n_classes = arch->n_classes, n_targets = arch->n_targets;
    const nn_loss loss = {.n_classes = arch->n_classes};
    float *p = w->probabilities + image * n_targets * n_classes;
    double sum = 0.0;
    for (size_t k = n_targets; k-- > 0;) {
        uint32_t label, best;
        memcpy(&label, p + k, sizeof label);
        sum += nn_loss_sample(&loss, logits + k * n_classes, label, 0.0, NULL, p + k * n_classes, &best);
        if (w->labels != NULL) w->labels[image * n_targets + k] = label;
    }
    return n_targets == 1 ? sum : sum / (double)n_targets;
}

/* Some images as one view has them. The labels wait for the predictions where probabilities will stand: a label has at
 * least two of these. */
static msfl_status run_view(const work *w, size_t first, size_t n, uint32_t view, float *workspace, uint32_t *labels,
                            const float **logits) {
    const nn_net *net = w->t->net;
    const size_t n_targets = net->arch->n_targets, row = n_targets * net->arch->n_classes;
    const uint64_t seed = msfl_view_seed(view);
    float *x = workspace + net->input;
    for (size_t i = 0; i < n; i++) {
        msfl_status status = nn_load(net, w->samples, (uint32_t)(first + i), seed, x + i * net->ops[0].in, labels);
        if (status != MSFL_OK) return status;
        memcpy(w->probabilities + (first + i) * row, labels, n_targets * sizeof *labels);
    }
    memset(x + n * net->ops[0].in, 0, (net->shard_images - n) * net->ops[0].in * sizeof *x);
    nn_run run = {.net = net,
                  .weights = w->weights,
                  .packed = w->t->packed,
                  .workspace = workspace,
                  .x = x,
                  .n_valid = (uint32_t)n};
    nn_single before = nn_single_enter();
    msfl_status status = nn_run_predict(&run, logits);
    nn_single_leave(before);
    return status;
}

/* Adds the probabilities of every image, one label each, to its sums. */
static void add_view(const work *w, size_t n, const float *logits, float *one, double *sums) {
    const uint32_t n_classes = w->t->net->arch->n_classes;
    const nn_loss loss = {.n_classes = n_classes};
    for (size_t i = 0; i < n; i++) {
        uint32_t best;
        nn_loss_sample(&loss, logits + i * n_classes, 0, 0.0, NULL, one, &best);
        for (uint32_t c = 0; c < n_classes; c++)
            sums[i * n_classes + c] += (double)one[c];
    }
}

/* The mean over the views where their labels stand. Returns the cross-entropy of it. */
static double close_views(const work *w, size_t image, const double *sums) {
    const uint32_t n_classes = w->t->net->arch->n_classes;
    float *p = w->probabilities + image * n_classes;
    uint32_t label;
    memcpy(&label, p, sizeof label);
    if (w->labels != NULL) w->labels[image] = label;
    for (uint32_t c = 0; c < n_classes; c++)
        p[c] = (float)(sums[c] / w->samples->n_views);
    return -log(fmax(sums[label] / w->samples->n_views, (double)FLT_MIN));
}

static msfl_status predict_some(const work *w, size_t task, float *workspace, uint32_t *labels, double *sums) {
    const nn_net *net = w->t->net;
    const size_t row = (size_t)net->arch->n_targets * net->arch->n_classes;
    const size_t first = task * net->shard_images;
    const size_t n = w->samples->n - first < net->shard_images ? w->samples->n - first : net->shard_images;
    const uint32_t n_views = sums == NULL ? 1 : w->samples->n_views;
    const float *logits = NULL;
    msfl_status status = MSFL_OK;
    for (uint32_t view = 0; view < n_views && status == MSFL_OK; view++) {
        status = run_view(w, first, n, view, workspace, labels, &logits);
        if (status == MSFL_OK && sums != NULL) add_view(w, n, logits, (float *)(sums + net->shard_images * row), sums);
    }
    for (size_t i = 0; i < n && status == MSFL_OK; i++) {
        double l =
            sums != NULL ? close_views(w, first + i, sums + i * row) : score_image(w, first + i, logits + i * row);
        w->losses[task] += l;
        if (!isfinite(l) || !net->kernels->all_finite(w->probabilities + (first + i) * row, row)) {
            status = msfl_fail(MSFL_ERR_NUMERIC,
                               "the prediction for sample %zu is not finite; the weights are unusable", first + i);
        }
    }
    return status;
}

static msfl_status predict_task(void *ctx, size_t task) {
    const work *w = ctx;
    nn_slot_take(w->t->group);
    float *workspace = nn_net_workspace_take(w->t->net);
    uint32_t *labels = msfl_alloc(w->t->net->arch->n_targets, sizeof *labels);
    double *sums = NULL; /* with views: a row for each image, and room for the probabilities of one */
    const bool has_views = w->samples->n_views > 1;
    if (has_views) sums = msfl_alloc((size_t)w->t->net->shard_images + 1, w->t->net->arch->n_classes * sizeof *sums);
    msfl_status status = MSFL_ERR_MEMORY;
    if (workspace != NULL && labels != NULL && (sums != NULL || !has_views))
        status = predict_some(w, task, workspace, labels, sums);
    msfl_free(sums);
    msfl_free(labels);
    nn_net_workspace_give(w->t->net, workspace);
    nn_slot_give(w->t->group);
    return status;
}

uint64_t msfl_view_seed(uint32_t view) {
    enum { KEY = 0x76696577 }; /* "view" */
    return view == 0 ? 0 : nn_mix(KEY, view) | 1;
}

msfl_status msfl_predict(msfl_trainer *t, const float *weights, const msfl_samples *samples, float *probabilities,
                         uint32_t *labels, double *loss) {
    if (loss != NULL) *loss = 0.0;
    if (samples->n == 0) return MSFL_OK;
    if (samples->n_views > MSFL_VIEWS_MAX || (samples->n_views > 1 && t->net->arch->n_targets > 1)) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "up to %d views of every sample are possible, and one where every pixel has a class",
                         MSFL_VIEWS_MAX);
    }
    size_t n_tasks = (samples->n + t->net->shard_images - 1) / t->net->shard_images;
    if (!t->net->kernels->all_finite(weights, t->net->arch->n_values)) {
        return msfl_fail(MSFL_ERR_NUMERIC, "a weight is not finite: nothing can be predicted with it");
    }
    double *losses = msfl_alloc(n_tasks, sizeof *losses);
    if (losses == NULL) return MSFL_ERR_MEMORY;
    work w = {t, weights, samples, probabilities, labels, losses};
    msfl_status status = nn_pack_all(t, weights);
    if (status == MSFL_OK) status = msfl_pool_run(t->group->pool, n_tasks, predict_task, &w);
    if (status == MSFL_OK && loss != NULL) {
        for (size_t i = 0; i < n_tasks; i++)
            *loss += losses[i];
        *loss /= samples->n;
    }
    if (status != MSFL_OK) {
        memset(probabilities, 0,
               (size_t)samples->n * t->net->arch->n_targets * t->net->arch->n_classes * sizeof *probabilities);
    }
    msfl_free(losses);
    return status;
}
