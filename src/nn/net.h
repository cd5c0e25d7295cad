/* A compiled network: how one shard of a batch runs forward and backward.
 *
 * A batch is cut into `n_shards` shards of `shard_images` images, whatever the number of threads; the last may hold
 * fewer, and is filled up with black images whose gradient is zero. A shard is worked on by one thread at a time, from
 * end to end unless there is batch normalisation: each such layer needs sums over the whole batch, so it cuts the work
 * into phases, between which all shards wait and the sums are made in the order of the shards.
 */
#ifndef MSFL_NN_NET_H
#define MSFL_NN_NET_H

#include "nn/arch.h"
#include "nn/dnnl.h"
#include "nn/kernels.h"
#include "nn/loss.h"

#include <pthread.h>
#include <stdatomic.h>

/** Where a tensor's gradient stands in a shard's gradient; convolution kernels are in oneDNN's layout there. */
typedef struct nn_segment {
    size_t offset, floats;
    const nn_conv *conv;                    /**< not NULL: the layout is this convolution's */
    size_t packed_forward, packed_backward; /**< with `conv`: places in the packed weights */
} nn_segment;

typedef struct nn_op {
    const nn_layer *layer;
    nn_conv *conv;
    nn_pool pool;
    bool wanted[2];    /**< that source needs a gradient */
    bool writes[2];    /**< on the way back, it is the first to write that source's gradient; else it adds to it */
    bool kept;         /**< the gradient of its output has a place of its own, since not just the next layer reads it */
    size_t gradient;   /**< that place */
    bool is_first;     /**< nothing before it needs a gradient */
    bool relu_in_pool; /**< its ReLU's gradient is taken care of by the pool behind it */
    bool pool_has_relu; /**< this pool does so */
    size_t in, out;     /**< floats per image */
    size_t y;           /**< place of the output in the workspace */
    size_t saved;       /**< place of what backward needs besides x and y */
    uint32_t sync;      /**< batch_norm: which one */
} nn_op;

typedef struct nn_net {
    atomic_uint owners;
    msfl_model *model;
    const nn_arch *arch;
    const nn_kernels *kernels;
    uint32_t batch, shard_images, n_shards;
    uint32_t n_ops, n_syncs;
    nn_op *ops;
    uint32_t *sync_ops;   /**< n_syncs positions of batch_norm layers */
    nn_segment *segments; /**< one per tensor; statistics have none (floats 0) */
    size_t workspace_floats, gradient_floats, packed_floats;
    size_t input;       /**< room for a shard's images, for those who load them themselves */
    size_t flow[2];     /**< two buffers in the workspace through which gradients pass */
    size_t tiles;       /**< small arrays for the norms */
    size_t scratchpad;  /**< oneDNN's */
    size_t tile_floats; /**< length of one small array */

    pthread_mutex_t mutex; /* guards the idle workspaces */
    float **idle;
    size_t n_idle, idle_capacity;
} nn_net;

/** Sums of one batch_norm layer over a batch; all arrays have one value per channel. */
typedef struct nn_sync {
    double *shard_sums;  /**< per shard: mean, sum of squared differences (forward); two sums (backward) */
    double *mean, *rstd; /**< of the batch */
    double *sum1, *sum2; /**< of the gradient, over the batch */
    double count;        /**< pixels in the batch */
    uint32_t n_shards;   /**< shards with images in this batch */
} nn_sync;

/** One shard's work. */
typedef struct nn_run {
    const nn_net *net;
    const float *weights; /**< the model's vector */
    const float *packed;  /**< convolution kernels, from nn_net_pack */
    float *workspace;
    float *gradient; /**< gradient_floats; NULL when predicting */
    const float *x;  /**< shard_images images */
    const uint32_t *labels;
    uint32_t shard, n_valid; /**< how many images are real */
    const nn_loss *loss;
    double loss_scale;    /**< 1 / sum of the batch's sample weights */
    uint64_t dropout_key; /**< of this step */
    nn_sync *syncs;
    double loss_sum, weight_sum; /**< out */
    uint32_t n_correct;          /**< out */
} nn_run;

/** Compile for batches of up to `batch` images. */
msfl_status nn_net_new(const msfl_model *model, uint32_t batch, nn_net **out) MSFL_NODISCARD;
nn_net *nn_net_retain(nn_net *net);
void nn_net_free(nn_net *net);

/** A workspace for one shard, kept for the next who asks. NULL when out of memory. */
float *nn_net_workspace_take(nn_net *net);
void nn_net_workspace_give(nn_net *net, float *workspace);

/** Put the kernel of tensor `t` into its working layouts. */
msfl_status nn_net_pack(const nn_net *net, uint32_t t, const float *weights, float *packed) MSFL_NODISCARD;

/** Phases of a training step: 2 n_syncs + 1. */
static inline uint32_t nn_net_phases(const nn_net *net) {
    return 2 * net->n_syncs + 1;
}
/** Phase `phase` of one shard. */
msfl_status nn_run_phase(nn_run *run, uint32_t phase) MSFL_NODISCARD;
/** Between `phase` and the next: make the sums over all shards. `weights`: moving statistics are updated there. */
void nn_run_between(const nn_net *net, uint32_t phase, nn_sync *syncs, float *weights);
/** Forward only, with moving statistics and without dropout; `*logits` points into the workspace. */
msfl_status nn_run_predict(nn_run *run, const float **logits) MSFL_NODISCARD;

/** Forward as in prediction, then back from the logit of one class to the output of layer `target`, behind which there
 * is no batch normalisation; `*gradient` points into the workspace. `run->gradient` is overwritten. */
msfl_status nn_run_explain(nn_run *run, uint32_t class_index, uint32_t target, const float **gradient) MSFL_NODISCARD;

/* --- layers; x, y, dy, dx are those of the shard --- */

msfl_status nn_conv_op_forward(const nn_op *op, const nn_run *run, const float *x, float *y) MSFL_NODISCARD;
msfl_status nn_conv_op_backward(const nn_op *op, const nn_run *run, const float *x, const float *y, float *dy,
                                float *dx) MSFL_NODISCARD;
msfl_status nn_dense_forward(const nn_op *op, const nn_run *run, const float *x, float *y) MSFL_NODISCARD;
msfl_status nn_dense_backward(const nn_op *op, const nn_run *run, const float *x, const float *y, float *dy,
                              float *dx) MSFL_NODISCARD;
void nn_group_norm_forward(const nn_op *op, const nn_run *run, const float *x, float *y);
void nn_group_norm_backward(const nn_op *op, const nn_run *run, const float *x, const float *y, float *dy, float *dx);
size_t nn_group_norm_saved(const nn_op *op);
/** Sums of one shard, then what is done with the batch's. */
void nn_batch_norm_sums(const nn_op *op, const nn_run *run, const float *x);
void nn_batch_norm_between(const nn_net *net, const nn_op *op, nn_sync *sync, float *weights);
void nn_batch_norm_forward(const nn_op *op, const nn_run *run, const float *x, float *y);
void nn_batch_norm_predict(const nn_op *op, const nn_run *run, const float *x, float *y);
void nn_batch_norm_sums_backward(const nn_op *op, const nn_run *run, const float *x, const float *y, float *dy);
void nn_batch_norm_between_backward(const nn_op *op, nn_sync *sync);
void nn_batch_norm_backward(const nn_op *op, const nn_run *run, const float *x, const float *dy, float *dx);
/** Add, concat, upsample. `x`: of both sources. Backward handles one source at a time: dx is written, or, `add`, grows.
 */
void nn_join_forward(const nn_op *op, const nn_run *run, const float *const x[2], float *y);
void nn_join_mask(const nn_op *op, const nn_run *run, const float *y, float *dy);
void nn_join_backward(const nn_op *op, const nn_run *run, int source, const float *dy, float *dx, bool add);
/** Pools, global pool, relu, dropout, flatten. `training` false: no dropout. */
void nn_simple_forward(const nn_op *op, const nn_run *run, bool training, const float *x, float *y);
void nn_simple_backward(const nn_op *op, const nn_run *run, const float *x, const float *y, float *dy, float *dx);

/** Values of tensor number `k` of a layer, and its gradient in the shard. */
static inline const float *nn_values(const nn_op *op, const nn_run *run, uint32_t k) {
    return run->weights + run->net->arch->tensors[op->layer->first_tensor + k].offset;
}
static inline float *nn_gradient(const nn_op *op, const nn_run *run, uint32_t k) {
    return run->gradient + run->net->segments[op->layer->first_tensor + k].offset;
}

#endif
