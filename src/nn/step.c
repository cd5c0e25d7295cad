/* One step of training on one batch, while the next batch is loaded. */
#include "base/error.h"
#include "nn/trainer.h"

#include <string.h>

msfl_status nn_load(const nn_net *net, const msfl_samples *samples, uint32_t i, uint64_t augment_seed, float *pixels,
                    uint32_t *label) {
    uint32_t n_classes = net->arch->n_classes, n_targets = net->arch->n_targets;
    memset(label, 0, n_targets * sizeof *label);
    msfl_status status = samples->load(samples->ctx, i, augment_seed, pixels, label);
    /* Looked for here, since a maximum or a ReLU further on may hide it. */
    if (status == MSFL_OK && !net->kernels->all_finite(pixels, net->ops[0].in)) {
        status = msfl_fail(MSFL_ERR_DATA, "sample %u has a pixel that is not a finite number", i);
    }
    for (uint32_t k = 0; k < n_targets && status == MSFL_OK; k++) {
        if (label[k] < n_classes) continue;
        status = msfl_fail(MSFL_ERR_DATA, "sample %u has class %u, but the network knows %u classes (0 to %u)", i,
                           label[k], n_classes, n_classes - 1);
    }
    return status;
}

/* Images of shard `s` that are real. */
static uint32_t shard_count(const nn_net *net, uint32_t n, size_t s) {
    size_t first = s * net->shard_images;
    if (first >= n) return 0;
    return n - first < net->shard_images ? (uint32_t)(n - first) : net->shard_images;
}

static msfl_status load_shard(const msfl_trainer *t, const msfl_samples *samples, const nn_batch *batch, size_t s) {
    const nn_net *net = t->net;
    size_t size = net->ops[0].in, first = s * net->shard_images;
    uint32_t n = shard_count(net, batch->n, s);
    for (size_t i = first; i < first + n; i++) {
        uint32_t sample = batch->order[i];
        /* Never 0, which would mean none. */
        uint64_t augment = batch->augment_key == 0 ? 0 : nn_mix(batch->augment_key, sample) | 1;
        msfl_status status =
            nn_load(net, samples, sample, augment, batch->x + i * size, batch->labels + i * net->arch->n_targets);
        if (status != MSFL_OK) return status;
    }
    if (n > 0 && n < net->shard_images) {
        memset(batch->x + (first + n) * size, 0, (net->shard_images - n) * size * sizeof *batch->x);
    }
    return MSFL_OK;
}

typedef struct work {
    msfl_trainer *t;
    const msfl_samples *samples;
    const nn_batch *next;
    uint32_t phase, n_shards;
} work;

static msfl_status shard_task(void *ctx, size_t s) {
    const work *w = ctx;
    msfl_trainer *t = w->t;
    msfl_status status = MSFL_OK;
    nn_slot_take(t->group);
    if (s < w->n_shards) {
        nn_run *run = &t->runs[s];
        bool borrowed = t->net->n_syncs == 0;
        if (borrowed) run->workspace = nn_net_workspace_take(t->net);
        if (run->workspace == NULL) {
            status = MSFL_ERR_MEMORY;
        } else {
            nn_single before = nn_single_enter();
            status = nn_run_phase(run, w->phase);
            nn_single_leave(before);
        }
        if (borrowed) {
            nn_net_workspace_give(t->net, run->workspace);
            run->workspace = NULL;
        }
    }
    if (status == MSFL_OK && w->phase == 0 && w->next != NULL) status = load_shard(t, w->samples, w->next, s);
    nn_slot_give(t->group);
    return status;
}

static uint32_t shards_of(const nn_net *net, uint32_t n) {
    return (n + net->shard_images - 1) / net->shard_images;
}

msfl_status nn_batch_load(msfl_trainer *t, const msfl_samples *samples, nn_batch *batch) {
    work w = {.t = t, .samples = samples, .next = batch};
    return msfl_pool_run(t->group->pool, shards_of(t->net, batch->n), shard_task, &w);
}

msfl_status nn_step(msfl_trainer *t, const msfl_samples *samples, const nn_loss *loss, int current, double loss_scale,
                    uint64_t dropout_key, float *weights) {
    const nn_net *net = t->net;
    const nn_batch *batch = &t->batches[current], *next = &t->batches[1 - current];
    work w = {.t = t, .samples = samples, .n_shards = shards_of(net, batch->n)};
    uint32_t n_next = shards_of(net, next->n);
    if (n_next > 0) w.next = next;
    for (uint32_t s = 0; s < w.n_shards; s++) {
        nn_run *run = &t->runs[s];
        run->weights = weights;
        run->x = batch->x + (size_t)s * net->shard_images * net->ops[0].in;
        run->labels = batch->labels + (size_t)s * net->shard_images * net->arch->n_targets;
        run->n_valid = shard_count(net, batch->n, s);
        run->loss = loss;
        run->loss_scale = loss_scale;
        run->dropout_key = dropout_key;
    }
    for (uint32_t i = 0; i < net->n_syncs; i++)
        t->syncs[i].n_shards = w.n_shards;
    for (; w.phase < nn_net_phases(net); w.phase++) {
        uint32_t n = w.phase == 0 && n_next > w.n_shards ? n_next : w.n_shards;
        msfl_status status = msfl_pool_run(t->group->pool, n, shard_task, &w);
        if (status != MSFL_OK) return status;
        nn_run_between(net, w.phase, t->syncs, weights);
    }
    return MSFL_OK;
}
