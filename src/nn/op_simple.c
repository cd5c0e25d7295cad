/* Layers without weights: pools, ReLU, dropout, flatten. */
#include "nn/net.h"

#include <string.h>

/* SplitMix64's output function: a bijection that leaves no visible pattern in a counter. */
static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Inverted dropout. The mask depends on step, layer and the image's position in the batch, not on who draws it. */
static void dropout(const nn_op *op, const nn_run *run, const float *x, float *y) {
    float *mask = run->workspace + op->saved;
    float keep_factor = (float)(1.0 / (1.0 - op->layer->rate));
    uint64_t drop_below = (uint64_t)(op->layer->rate * 0x1p32);
    uint64_t layer = (uint64_t)(op - run->net->ops);
    size_t n = run->net->shard_images;
    for (size_t i = 0; i < n; i++) {
        uint64_t position = (uint64_t)run->shard * n + i;
        uint64_t key = mix(run->dropout_key ^ mix(layer << 32 | position));
        for (size_t k = 0; k < op->out; k++) {
            uint64_t draw = mix(key + (k + 1) * 0x9e3779b97f4a7c15u) >> 32;
            float m = draw < drop_below ? 0.0f : keep_factor;
            mask[i * op->out + k] = m;
            y[i * op->out + k] = x[i * op->out + k] * m;
        }
    }
}

static nn_pool whole_image(const nn_op *op) {
    nn_shape in = op->layer->in;
    return (nn_pool){.id = in.d,
                     .ih = in.h,
                     .iw = in.w,
                     .od = 1,
                     .oh = 1,
                     .ow = 1,
                     .c = in.c,
                     .kd = in.d,
                     .kh = in.h,
                     .kw = in.w,
                     .sd = 1,
                     .sh = 1,
                     .sw = 1};
}

void nn_simple_forward(const nn_op *op, const nn_run *run, bool training, const float *x, float *y) {
    const nn_kernels *k = run->net->kernels;
    size_t n = run->net->shard_images;
    nn_pool whole = whole_image(op);
    switch (op->layer->kind) {
    case NN_MAX_POOL:
        for (size_t i = 0; i < n; i++)
            k->max_pool(&op->pool, x + i * op->in, y + i * op->out);
        break;
    case NN_AVG_POOL:
        for (size_t i = 0; i < n; i++)
            k->avg_pool(&op->pool, x + i * op->in, y + i * op->out);
        break;
    case NN_GLOBAL_AVG_POOL:
        for (size_t i = 0; i < n; i++)
            k->avg_pool(&whole, x + i * op->in, y + i * op->out);
        break;
    case NN_RELU:
        k->relu(y, x, n * op->out);
        break;
    case NN_DROPOUT:
        if (training) {
            dropout(op, run, x, y);
            break;
        }
        memcpy(y, x, n * op->out * sizeof *y);
        break;
    default: /* flatten: the same values in the same order */
        memcpy(y, x, n * op->out * sizeof *y);
        break;
    }
}

void nn_simple_backward(const nn_op *op, const nn_run *run, const float *x, const float *y, float *dy, float *dx) {
    const nn_kernels *k = run->net->kernels;
    size_t n = run->net->shard_images;
    if (dx == NULL) return;
    nn_pool whole = whole_image(op);
    const float *mask = run->workspace + op->saved;
    switch (op->layer->kind) {
    case NN_MAX_POOL:
        for (size_t i = 0; i < n; i++) {
            k->max_pool_backward(&op->pool, x + i * op->in, y + i * op->out, dy + i * op->out, dx + i * op->in,
                                 op->pool_has_relu);
        }
        break;
    case NN_AVG_POOL:
        for (size_t i = 0; i < n; i++)
            k->avg_pool_backward(&op->pool, dy + i * op->out, dx + i * op->in);
        break;
    case NN_GLOBAL_AVG_POOL:
        for (size_t i = 0; i < n; i++)
            k->avg_pool_backward(&whole, dy + i * op->out, dx + i * op->in);
        break;
    case NN_DROPOUT:
        for (size_t i = 0; i < n * op->out; i++)
            dx[i] = dy[i] * mask[i];
        break;
    default:
        if (op->layer->kind == NN_RELU) k->relu_backward(dy, y, n * op->out);
        memcpy(dx, dy, n * op->out * sizeof *dx);
        break;
    }
}
