/* What a trainer is made of. */
#ifndef MSFL_NN_TRAINER_H
#define MSFL_NN_TRAINER_H

#include "base/threads.h"
#include "medsecurefl/train.h"
#include "nn/net.h"

/** What trainers made with `share` have in common: a pool, and as many slots as it has threads. Work is done in a slot
 *  only, so hospitals side by side never keep more threads busy than were asked for. */
typedef struct nn_group {
    atomic_uint owners;
    msfl_pool *pool;
    pthread_mutex_t mutex;
    pthread_cond_t freed;
    uint32_t n_free;
} nn_group;

void nn_slot_take(nn_group *group);
void nn_slot_give(nn_group *group);

/** A batch being filled or worked on. */
typedef struct nn_batch {
    float *x;              /* n_shards x shard_images images */
    uint32_t *labels;      /* n_targets of each image */
    const uint32_t *order; /* which samples: n of them */
    uint32_t n;
    uint64_t augment_key; /* 0: no augmentation */
} nn_batch;

/** A piece of the weight vector that is updated by one task: a convolution kernel, or part of another tensor. */
typedef struct nn_unit {
    uint32_t tensor;
    size_t first, n; /* within the tensor's gradient segment */
} nn_unit;

struct msfl_trainer {
    nn_group *group;
    nn_net *net;
    float *packed;
    float *shard_gradients; /* n_shards x gradient_floats */
    float *sums;            /* gradient_floats: convolution kernels before they are unpacked */
    float *gradient;        /* n_values */
    nn_run *runs;           /* n_shards */
    nn_sync *syncs;         /* n_syncs */
    double *sync_memory;
    nn_batch batches[2];
    nn_unit *units;
    size_t n_units;
    /* optimiser */
    msfl_optimizer optimizer;
    uint64_t n_steps;
    float *first, *second; /* n_values each, or NULL: momenta (SGD: velocity; Adam: m, v) */
    float *anchor;         /* n_values, or NULL: what the proximal term pulls to */
};

/** Room for the state of this optimiser; a state of another one is dropped. */
msfl_status nn_optimizer_prepare(msfl_trainer *t, msfl_optimizer optimizer) MSFL_NODISCARD;
void nn_optimizer_drop(msfl_trainer *t);
/** What the proximal term pulls to: these weights. Nothing where the options have none. */
msfl_status nn_anchor_set(msfl_trainer *t, const msfl_train_options *options, const float *weights) MSFL_NODISCARD;

/** Add up the shards' gradients in order, check them, and move the weights by one step. ERR_NUMERIC (without a place)
 * if a gradient is not finite. */
msfl_status nn_update(msfl_trainer *t, const msfl_train_options *options, uint32_t n_shards,
                      float *weights) MSFL_NODISCARD;
/** Working layouts of all convolution kernels. */
msfl_status nn_pack_all(msfl_trainer *t, const float *weights) MSFL_NODISCARD;
/** Cut the weight vector into units. */
msfl_status nn_units_make(msfl_trainer *t) MSFL_NODISCARD;

/** Load sample `i`, and check its label and that its pixels are finite. */
msfl_status nn_load(const nn_net *net, const msfl_samples *samples, uint32_t i, uint64_t augment_seed, float *pixels,
                    uint32_t *label) MSFL_NODISCARD;

/** One training step on t->batches[current] while shards of the other batch (n = 0: none) are loaded. Leaves the
 *  shards' gradients, losses and counts in t->runs. */
msfl_status nn_step(msfl_trainer *t, const msfl_samples *samples, const nn_loss *loss, int current, double loss_scale,
                    uint64_t dropout_key, float *weights) MSFL_NODISCARD;
/** Load a whole batch now. */
msfl_status nn_batch_load(msfl_trainer *t, const msfl_samples *samples, nn_batch *batch) MSFL_NODISCARD;

/** SplitMix64's output function, to derive seeds of samples and steps from a key. */
static inline uint64_t nn_mix(uint64_t key, uint64_t counter) {
    uint64_t z = key + (counter + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

#endif
