/* Compiling a network: primitives, and who stands where in a workspace. */
#include "nn/net.h"

#include "base/error.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

enum {
    SHARDS_MAX = 16,           /* enough for the cores of a hospital's machine, few enough to add up quickly */
    SHARD_GRADIENTS = 1 << 24, /* floats of all shards' gradients together, before there are fewer shards: large layers
                                  read and write all their weights for each shard */
    LINE = 16                  /* floats per cache line: places in a workspace are multiples of it */
};

static size_t reserve(size_t *used, size_t floats) {
    size_t at = *used;
    *used += (floats + LINE - 1) / LINE * LINE;
    return at;
}

/* A function of the model and the batch alone, never of the machine: results depend on it. */
static void choose_shards(nn_net *net) {
    uint32_t most = SHARDS_MAX;
    while (most > 2 && most * net->arch->n_trainable > SHARD_GRADIENTS)
        most /= 2;
    net->shard_images = (net->batch + most - 1) / most;
    net->n_shards = (net->batch + net->shard_images - 1) / net->shard_images;
}

static msfl_status compile_conv(nn_net *net, nn_op *op) {
    const nn_layer *l = op->layer;
    nn_conv_shape s = {.n = net->shard_images,
                       .id = l->in.d,
                       .ih = l->in.h,
                       .iw = l->in.w,
                       .ic = l->in.c,
                       .od = l->out.d,
                       .oh = l->out.h,
                       .ow = l->out.w,
                       .oc = l->out.c,
                       .kd = net->arch->is_volume ? l->kernel_d : 0,
                       .kh = l->kernel_h,
                       .kw = l->kernel_w,
                       .sd = l->stride_d,
                       .sh = l->stride_h,
                       .sw = l->stride_w,
                       .pf = l->pad_front,
                       .pt = l->pad_top,
                       .pl = l->pad_left,
                       .pk = l->pad_back,
                       .pb = l->pad_bottom,
                       .pr = l->pad_right,
                       .bias = l->bias,
                       .relu = l->relu,
                       .input_gradient = !op->is_first};
    msfl_status status = nn_conv_new(&s, &op->conv);
    if (status != MSFL_OK) return msfl_fail_in(status, "layer '%s'", l->name);
    nn_segment *kernel = &net->segments[l->first_tensor];
    kernel->conv = op->conv;
    kernel->packed_forward = reserve(&net->packed_floats, nn_conv_forward_floats(op->conv));
    kernel->packed_backward = reserve(&net->packed_floats, nn_conv_backward_floats(op->conv));
    return MSFL_OK;
}

/* Which gradients are needed, where they stand, and who is the first to write them on the way back. */
static void trace_gradients(nn_net *net) {
    bool trains[NN_LAYERS_MAX], written[NN_LAYERS_MAX] = {false};
    uint32_t readers[NN_LAYERS_MAX] = {0};
    for (uint32_t i = 0; i < net->n_ops; i++) {
        nn_op *op = &net->ops[i];
        const nn_layer *l = &net->arch->layers[i];
        trains[i] = l->n_tensors != 0;
        for (int k = 0; k < 2; k++) {
            if (l->sources[k] < 0) continue;
            readers[l->sources[k]]++;
            op->wanted[k] = trains[l->sources[k]];
            trains[i] = trains[i] || op->wanted[k];
        }
        op->is_first = !op->wanted[0] && !op->wanted[1];
    }
    for (uint32_t i = net->n_ops; i-- > 0;) {
        const nn_layer *l = &net->arch->layers[i];
        for (int k = 0; k < 2; k++) {
            if (l->sources[k] < 0) continue;
            net->ops[i].writes[k] = !written[l->sources[k]];
            written[l->sources[k]] = true;
        }
        bool only_next = readers[i] == 1 && nn_arch_reader(net->arch, i) == i + 1;
        net->ops[i].kept = trains[i] && i + 1 < net->n_ops && !only_next;
    }
}

static msfl_status compile_ops(nn_net *net) {
    trace_gradients(net);
    for (uint32_t i = 0; i < net->n_ops; i++) {
        nn_op *op = &net->ops[i];
        const nn_layer *l = &net->arch->layers[i];
        op->layer = l;
        op->in = nn_shape_values(l->in);
        op->out = nn_shape_values(l->out);
        op->pool = (nn_pool){.id = l->in.d,
                             .ih = l->in.h,
                             .iw = l->in.w,
                             .od = l->out.d,
                             .oh = l->out.h,
                             .ow = l->out.w,
                             .c = l->in.c,
                             .kd = l->kernel_d,
                             .kh = l->kernel_h,
                             .kw = l->kernel_w,
                             .sd = l->stride_d,
                             .sh = l->stride_h,
                             .sw = l->stride_w};
        if (l->kind == NN_BATCH_NORM) {
            op->sync = net->n_syncs;
            net->sync_ops[net->n_syncs++] = i;
        }
        if (l->kind == NN_CONV) {
            msfl_status status = compile_conv(net, op);
            if (status != MSFL_OK) return status;
        }
        /* A maximum that is not above 0 came out of a ReLU that was shut: the pool can withhold its gradient. */
        if (i > 0 && l->kind == NN_MAX_POOL && l->sources[0] == (int32_t)i - 1 && !net->ops[i - 1].kept &&
            net->arch->layers[i - 1].kind == NN_CONV && net->arch->layers[i - 1].relu) {
            op->pool_has_relu = true;
            net->ops[i - 1].relu_in_pool = true;
        }
    }
    return MSFL_OK;
}

static void place_gradients(nn_net *net) {
    for (uint32_t t = 0; t < net->arch->n_tensors; t++) {
        nn_segment *s = &net->segments[t];
        const msfl_tensor *tensor = &net->arch->tensors[t];
        if (tensor->role == MSFL_TENSOR_STATISTIC) continue;
        s->floats = s->conv != NULL ? nn_conv_gradient_floats(s->conv) : tensor->count;
        s->offset = reserve(&net->gradient_floats, s->floats);
    }
}

static void place_values(nn_net *net) {
    size_t largest = 0, scratchpad = 0, widest = 1;
    size_t *used = &net->workspace_floats, n = net->shard_images;
    for (uint32_t i = 0; i < net->n_ops; i++) {
        nn_op *op = &net->ops[i];
        op->y = reserve(used, n * op->out);
        if (op->kept) op->gradient = reserve(used, n * op->out);
        if (op->layer->kind == NN_DROPOUT) op->saved = reserve(used, n * op->out);
        if (op->layer->kind == NN_GROUP_NORM) op->saved = reserve(used, n * nn_group_norm_saved(op));
        if (op->out > largest) largest = op->out;
        if (op->in > largest && !op->is_first) largest = op->in;
        if (op->layer->in.c > widest && !op->layer->flat) widest = op->layer->in.c;
        bool is_norm = op->layer->kind == NN_GROUP_NORM || op->layer->kind == NN_BATCH_NORM;
        if (is_norm && op->layer->in.c > widest) widest = op->layer->in.c;
        size_t bytes = op->conv == NULL ? 0 : nn_conv_scratchpad_bytes(op->conv);
        if (bytes > scratchpad) scratchpad = bytes;
    }
    net->input = reserve(used, n * net->ops[0].in);
    net->flow[0] = reserve(used, n * largest);
    net->flow[1] = reserve(used, n * largest);
    net->tile_floats = nn_tile(widest);
    net->tiles = reserve(used, 14 * (net->tile_floats + LINE)); /* six float and four double arrays: op_norm.c */
    net->scratchpad = reserve(used, scratchpad / sizeof(float) + 1);
}

/* A description comes from elsewhere. */
static msfl_status check_memory(const nn_net *net) {
    char what[160];
    snprintf(what, sizeof what, "the network '%.60s', %u images at a time (choose a smaller batch or smaller images)",
             net->arch->name, net->shard_images);
    return msfl_memory_fits((double)sizeof(float) * ((double)net->workspace_floats + (double)net->gradient_floats),
                            what);
}

msfl_status nn_net_new(const msfl_model *model, uint32_t batch, nn_net **out) {
    *out = NULL;
    nn_net *net = msfl_alloc(1, sizeof *net);
    if (net == NULL) return MSFL_ERR_MEMORY;
    atomic_init(&net->owners, 1);
    pthread_mutex_init(&net->mutex, NULL);
    net->model = nn_model_retain(model);
    net->arch = nn_model_arch(model);
    net->kernels = nn_kernels_borrow();
    net->batch = batch;
    net->n_ops = net->arch->n_layers;
    choose_shards(net);
    net->ops = msfl_alloc(net->n_ops, sizeof *net->ops);
    net->sync_ops = msfl_alloc(net->n_ops, sizeof *net->sync_ops);
    net->segments = msfl_alloc(net->arch->n_tensors, sizeof *net->segments);
    msfl_status status = MSFL_ERR_MEMORY;
    if (net->ops != NULL && net->sync_ops != NULL && net->segments != NULL) status = compile_ops(net);
    if (status != MSFL_OK) {
        nn_net_free(net);
        return status;
    }
    place_gradients(net);
    place_values(net);
    status = check_memory(net);
    if (status != MSFL_OK) {
        nn_net_free(net);
        return status;
    }
    *out = net;
    return MSFL_OK;
}

nn_net *nn_net_retain(nn_net *net) {
    atomic_fetch_add(&net->owners, 1);
    return net;
}

void nn_net_free(nn_net *net) {
    if (net == NULL || atomic_fetch_sub(&net->owners, 1) != 1) return;
    for (uint32_t i = 0; net->ops != NULL && i < net->n_ops; i++)
        nn_conv_free(net->ops[i].conv);
    for (size_t i = 0; i < net->n_idle; i++)
        msfl_free(net->idle[i]);
    msfl_free(net->idle);
    msfl_free(net->ops);
    msfl_free(net->sync_ops);
    msfl_free(net->segments);
    pthread_mutex_destroy(&net->mutex);
    msfl_model_free(net->model);
    msfl_free(net);
}

float *nn_net_workspace_take(nn_net *net) {
    float *workspace = NULL;
    pthread_mutex_lock(&net->mutex);
    if (net->n_idle > 0) workspace = net->idle[--net->n_idle];
    pthread_mutex_unlock(&net->mutex);
    return workspace != NULL ? workspace : msfl_alloc(net->workspace_floats, sizeof *workspace);
}

void nn_net_workspace_give(nn_net *net, float *workspace) {
    if (workspace == NULL) return;
    pthread_mutex_lock(&net->mutex);
    bool kept = msfl_grow((void **)&net->idle, &net->idle_capacity, net->n_idle + 1, sizeof *net->idle) == MSFL_OK;
    if (kept) net->idle[net->n_idle++] = workspace;
    pthread_mutex_unlock(&net->mutex);
    if (!kept) msfl_free(workspace);
}

msfl_status nn_net_pack(const nn_net *net, uint32_t t, const float *weights, float *packed) {
    const nn_segment *s = &net->segments[t];
    if (s->conv == NULL) return MSFL_OK;
    float *backward = nn_conv_backward_floats(s->conv) == 0 ? NULL : packed + s->packed_backward;
    return nn_conv_pack(s->conv, weights + net->arch->tensors[t].offset, packed + s->packed_forward, backward);
}
