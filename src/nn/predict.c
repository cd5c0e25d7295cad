/* Class probabilities. */
#include "base/error.h"
#include "base/mem.h"
#include "nn/trainer.h"

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

static msfl_status predict_some(const work *w, size_t task, float *workspace) {
    const nn_net *net = w->t->net;
    uint32_t n_classes = net->arch->n_classes;
    size_t first = task * net->shard_images;
    size_t n = w->samples->n - first < net->shard_images ? w->samples->n - first : net->shard_images;
    float *x = workspace + net->input;
    uint32_t label[1];
    /* The labels wait for the predictions where probabilities will stand: an image has at least two of these. */
    for (size_t i = 0; i < n; i++) {
        msfl_status status = nn_load(net, w->samples, (uint32_t)(first + i), 0, x + i * net->ops[0].in, label);
        if (status != MSFL_OK) return status;
        memcpy(w->probabilities + (first + i) * n_classes, label, sizeof label);
    }
    memset(x + n * net->ops[0].in, 0, (net->shard_images - n) * net->ops[0].in * sizeof *x);
    nn_run run = {.net = net,
                  .weights = w->weights,
                  .packed = w->t->packed,
                  .workspace = workspace,
                  .x = x,
                  .n_valid = (uint32_t)n};
    const float *logits;
    nn_single before = nn_single_enter();
    msfl_status status = nn_run_predict(&run, &logits);
    nn_single_leave(before);
    nn_loss loss = {.n_classes = n_classes};
    for (size_t i = 0; i < n && status == MSFL_OK; i++) {
        float *p = w->probabilities + (first + i) * n_classes;
        uint32_t best;
        memcpy(label, p, sizeof label);
        double l = nn_loss_sample(&loss, logits + i * n_classes, label[0], 0.0, NULL, p, &best);
        w->losses[task] += l;
        if (w->labels != NULL) w->labels[first + i] = label[0];
        if (!isfinite(l) || !net->kernels->all_finite(p, n_classes)) {
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
    msfl_status status = workspace == NULL ? MSFL_ERR_MEMORY : predict_some(w, task, workspace);
    nn_net_workspace_give(w->t->net, workspace);
    nn_slot_give(w->t->group);
    return status;
}

msfl_status msfl_predict(msfl_trainer *t, const float *weights, const msfl_samples *samples, float *probabilities,
                         uint32_t *labels, double *loss) {
    if (loss != NULL) *loss = 0.0;
    if (samples->n == 0) return MSFL_OK;
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
        memset(probabilities, 0, (size_t)samples->n * t->net->arch->n_classes * sizeof *probabilities);
    }
    msfl_free(losses);
    return status;
}
