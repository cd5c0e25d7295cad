/* Trainers: making and freeing them. */
#include "nn/trainer.h"

#include "base/error.h"
#include "base/mem.h"

#include <string.h>

enum { BATCH_MAX = 1024 };

/* --- groups --- */

static msfl_status group_new(uint32_t n_threads, nn_group **out) {
    *out = NULL;
    nn_group *group = msfl_alloc(1, sizeof *group);
    if (group == NULL) return MSFL_ERR_MEMORY;
    msfl_status status = msfl_pool_new(n_threads, &group->pool);
    if (status != MSFL_OK) {
        msfl_free(group);
        return status;
    }
    atomic_init(&group->owners, 1);
    pthread_mutex_init(&group->mutex, NULL);
    pthread_cond_init(&group->freed, NULL);
    group->n_free = msfl_pool_threads(group->pool);
    *out = group;
    return MSFL_OK;
}

static void group_free(nn_group *group) {
    if (group == NULL || atomic_fetch_sub(&group->owners, 1) != 1) return;
    msfl_pool_free(group->pool);
    pthread_cond_destroy(&group->freed);
    pthread_mutex_destroy(&group->mutex);
    msfl_free(group);
}

void nn_slot_take(nn_group *group) {
    pthread_mutex_lock(&group->mutex);
    while (group->n_free == 0)
        pthread_cond_wait(&group->freed, &group->mutex);
    group->n_free--;
    pthread_mutex_unlock(&group->mutex);
}

void nn_slot_give(nn_group *group) {
    pthread_mutex_lock(&group->mutex);
    group->n_free++;
    pthread_cond_signal(&group->freed);
    pthread_mutex_unlock(&group->mutex);
}

/* --- trainers --- */

static bool same_net(const nn_net *net, const msfl_model *model, uint32_t batch) {
    return net->batch == batch && strcmp(msfl_model_yaml(net->model), msfl_model_yaml(model)) == 0;
}

static msfl_status allocate_syncs(msfl_trainer *t) {
    const nn_net *net = t->net;
    size_t total = 0;
    for (uint32_t i = 0; i < net->n_syncs; i++) {
        size_t c = net->ops[net->sync_ops[i]].layer->in.c;
        total += net->n_shards * (2 * c + 1) + 4 * c;
    }
    t->syncs = msfl_alloc(net->n_syncs, sizeof *t->syncs);
    t->sync_memory = msfl_alloc(total, sizeof *t->sync_memory);
    if (t->syncs == NULL || t->sync_memory == NULL) return MSFL_ERR_MEMORY;
    double *at = t->sync_memory;
    for (uint32_t i = 0; i < net->n_syncs; i++) {
        size_t c = net->ops[net->sync_ops[i]].layer->in.c;
        nn_sync *s = &t->syncs[i];
        s->shard_sums = at;
        s->mean = at += net->n_shards * (2 * c + 1);
        s->rstd = at += c;
        s->sum1 = at += c;
        s->sum2 = at += c;
        at += c;
    }
    return MSFL_OK;
}

static msfl_status allocate(msfl_trainer *t) {
    const nn_net *net = t->net;
    size_t images = (size_t)net->n_shards * net->shard_images;
    t->packed = msfl_alloc(net->packed_floats, sizeof *t->packed);
    t->shard_gradients = msfl_alloc(net->n_shards * net->gradient_floats, sizeof *t->shard_gradients);
    t->sums = msfl_alloc(net->gradient_floats, sizeof *t->sums);
    t->gradient = msfl_alloc(net->arch->n_values, sizeof *t->gradient);
    t->runs = msfl_alloc(net->n_shards, sizeof *t->runs);
    if (t->packed == NULL || t->shard_gradients == NULL || t->sums == NULL || t->gradient == NULL || t->runs == NULL) {
        return MSFL_ERR_MEMORY;
    }
    for (int i = 0; i < 2; i++) {
        t->batches[i].x = msfl_alloc(images * net->ops[0].in, sizeof(float));
        t->batches[i].labels = msfl_alloc(images * net->arch->n_targets, sizeof(uint32_t));
        if (t->batches[i].x == NULL || t->batches[i].labels == NULL) return MSFL_ERR_MEMORY;
    }
    msfl_status status = allocate_syncs(t);
    if (status == MSFL_OK) status = nn_units_make(t);
    for (uint32_t s = 0; s < net->n_shards && status == MSFL_OK; s++) {
        t->runs[s].net = net;
        t->runs[s].shard = s;
        t->runs[s].syncs = t->syncs;
        t->runs[s].packed = t->packed;
        t->runs[s].gradient = t->shard_gradients + s * net->gradient_floats;
        if (net->n_syncs == 0) continue; /* a workspace is then taken for one shard at a time */
        t->runs[s].workspace = msfl_alloc(net->workspace_floats, sizeof(float));
        if (t->runs[s].workspace == NULL) status = MSFL_ERR_MEMORY;
    }
    return status;
}

msfl_status msfl_trainer_new(const msfl_model *model, uint32_t batch, uint32_t n_threads, msfl_trainer *share,
                             msfl_trainer **out) {
    *out = NULL;
    if (batch == 0 || batch > BATCH_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "a batch of %u images; 1 to %d are possible", batch, BATCH_MAX);
    }
    msfl_trainer *t = msfl_alloc(1, sizeof *t);
    if (t == NULL) return MSFL_ERR_MEMORY;
    msfl_status status = MSFL_OK;
    if (share != NULL) {
        t->group = share->group;
        atomic_fetch_add(&t->group->owners, 1);
    } else {
        status = group_new(n_threads, &t->group);
    }
    if (status == MSFL_OK && share != NULL && same_net(share->net, model, batch)) {
        t->net = nn_net_retain(share->net);
    } else if (status == MSFL_OK) {
        status = nn_net_new(model, batch, &t->net);
    }
    if (status == MSFL_OK) status = allocate(t);
    if (status != MSFL_OK) {
        msfl_trainer_free(t);
        return status;
    }
    *out = t;
    return MSFL_OK;
}

void msfl_trainer_free(msfl_trainer *t) {
    if (t == NULL) return;
    nn_optimizer_drop(t);
    for (uint32_t s = 0; t->runs != NULL && s < t->net->n_shards; s++)
        msfl_free(t->runs[s].workspace);
    for (int i = 0; i < 2; i++) {
        msfl_free(t->batches[i].x);
        msfl_free(t->batches[i].labels);
    }
    msfl_free(t->anchor);
    msfl_free(t->units);
    msfl_free(t->sync_memory);
    msfl_free(t->syncs);
    msfl_free(t->runs);
    msfl_free(t->gradient);
    msfl_free(t->sums);
    msfl_free(t->shard_gradients);
    msfl_free(t->packed);
    nn_net_free(t->net);
    group_free(t->group);
    msfl_free(t);
}

uint64_t msfl_trainer_bytes(const msfl_trainer *t, msfl_optimizer optimizer) {
    const nn_net *net = t->net;
    uint64_t images = (uint64_t)net->n_shards * net->shard_images, threads = msfl_pool_threads(t->group->pool);
    uint64_t workspaces = net->n_syncs > 0 ? net->n_shards : threads < net->n_shards ? threads : net->n_shards;
    uint64_t floats = workspaces * net->workspace_floats + net->packed_floats +
                      ((uint64_t)net->n_shards + 1) * net->gradient_floats + net->arch->n_values +
                      2 * images * (net->ops[0].in + net->arch->n_targets) +
                      (optimizer == MSFL_ADAM ? 2 : 1) * net->arch->n_values;
    return floats * sizeof(float);
}

uint32_t msfl_trainer_threads(const msfl_trainer *t) {
    return msfl_pool_threads(t->group->pool);
}
