/* Layers that join what two others made, or repeat what one made: add, concat, upsample. */
#include "nn/net.h"

#include <string.h>

static size_t channels_of(const nn_op *op, const nn_run *run, int source) {
    int32_t s = op->layer->sources[source];
    return s == NN_IMAGE ? run->net->arch->input.c : run->net->ops[s].layer->out.c;
}

/* Nearest neighbour: every pixel becomes a block. One slice of the source, one of what comes out. */
static void upsample_slice(const nn_layer *l, const float *x, float *y) {
    size_t c = l->in.c, row = (size_t)l->out.w * c;
    for (uint32_t iy = 0; iy < l->in.h; iy++) {
        float *first = y;
        for (uint32_t ix = 0; ix < l->in.w; ix++, x += c) {
            for (uint32_t k = 0; k < l->kernel_w; k++, y += c)
                memcpy(y, x, c * sizeof *y);
        }
        for (uint32_t k = 1; k < l->kernel_h; k++, y += row)
            memcpy(y, first, row * sizeof *y);
    }
}

static void upsample(const nn_layer *l, const float *x, float *y) {
    size_t in = (size_t)l->in.h * l->in.w * l->in.c, out = (size_t)l->out.h * l->out.w * l->in.c;
    for (uint32_t z = 0; z < l->in.d; z++, x += in) {
        const float *first = y;
        upsample_slice(l, x, y);
        y += out;
        for (uint32_t k = 1; k < l->kernel_d; k++, y += out)
            memcpy(y, first, out * sizeof *y);
    }
}

/* The gradient of a pixel is the sum over its block, in reading order. */
static void upsample_slice_backward(const nn_kernels *kernels, const nn_layer *l, const float *dy, float *dx) {
    size_t c = l->in.c;
    for (uint32_t oy = 0; oy < l->out.h; oy++) {
        float *row = dx + (size_t)(oy / l->kernel_h) * l->in.w * c;
        for (uint32_t ox = 0; ox < l->out.w; ox++, dy += c)
            kernels->add(row + (size_t)(ox / l->kernel_w) * c, dy, c);
    }
}

static void upsample_backward(const nn_kernels *kernels, const nn_layer *l, const float *dy, float *dx) {
    size_t in = (size_t)l->in.h * l->in.w * l->in.c, out = (size_t)l->out.h * l->out.w * l->in.c;
    for (uint32_t z = 0; z < l->out.d; z++)
        upsample_slice_backward(kernels, l, dy + z * out, dx + z / l->kernel_d * in);
}

void nn_join_forward(const nn_op *op, const nn_run *run, const float *const x[2], float *y) {
    const nn_layer *l = op->layer;
    size_t n = run->net->shard_images, pixels = (size_t)l->out.d * l->out.h * l->out.w;
    if (l->kind == NN_ADD) {
        run->net->kernels->add2(y, x[0], x[1], n * op->out, l->relu);
    } else if (l->kind == NN_CONCAT) {
        size_t a = channels_of(op, run, 0), b = channels_of(op, run, 1);
        for (size_t p = 0; p < n * pixels; p++, y += a + b) {
            memcpy(y, x[0] + p * a, a * sizeof *y);
            memcpy(y + a, x[1] + p * b, b * sizeof *y);
        }
    } else {
        for (size_t i = 0; i < n; i++)
            upsample(l, x[0] + i * op->in, y + i * op->out);
    }
}

void nn_join_mask(const nn_op *op, const nn_run *run, const float *y, float *dy) {
    if (op->layer->relu) run->net->kernels->relu_backward(dy, y, run->net->shard_images * op->out);
}

void nn_join_backward(const nn_op *op, const nn_run *run, int source, const float *dy, float *dx, bool add) {
    const nn_layer *l = op->layer;
    const nn_kernels *kernels = run->net->kernels;
    size_t n = run->net->shard_images, pixels = (size_t)l->out.d * l->out.h * l->out.w;
    if (l->kind == NN_ADD) {
        if (add) {
            kernels->add(dx, dy, n * op->out);
        } else {
            memcpy(dx, dy, n * op->out * sizeof *dx);
        }
    } else if (l->kind == NN_CONCAT) {
        size_t c = channels_of(op, run, source), skip = source == 0 ? 0 : l->out.c - c;
        for (size_t p = 0; p < n * pixels; p++, dx += c) {
            const float *from = dy + p * l->out.c + skip;
            if (add) {
                kernels->add(dx, from, c);
            } else {
                memcpy(dx, from, c * sizeof *dx);
            }
        }
    } else {
        if (!add) memset(dx, 0, n * op->in * sizeof *dx);
        for (size_t i = 0; i < n; i++)
            upsample_backward(kernels, l, dy + i * op->out, dx + i * op->in);
    }
}
