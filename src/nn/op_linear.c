/* Convolution and dense layers. */
#include "nn/net.h"

#include <string.h>

msfl_status nn_conv_op_forward(const nn_op *op, const nn_run *run, const float *x, float *y) {
    const nn_segment *kernel = &run->net->segments[op->layer->first_tensor];
    const float *bias = op->layer->bias ? nn_values(op, run, 1) : NULL;
    return nn_conv_forward(op->conv, x, run->packed + kernel->packed_forward, bias, y,
                           run->workspace + run->net->scratchpad);
}

msfl_status nn_conv_op_backward(const nn_op *op, const nn_run *run, const float *x, const float *y, float *dy,
                                float *dx) {
    const nn_net *net = run->net;
    const nn_segment *kernel = &net->segments[op->layer->first_tensor];
    float *bias = op->layer->bias ? nn_gradient(op, run, 1) : NULL;
    if (op->layer->relu && !op->relu_in_pool) net->kernels->relu_backward(dy, y, net->shard_images * op->out);
    void *scratchpad = run->workspace + net->scratchpad;
    msfl_status status = nn_conv_backward_kernel(op->conv, x, dy, nn_gradient(op, run, 0), bias, scratchpad);
    if (status != MSFL_OK || dx == NULL) return status;
    return nn_conv_backward_input(op->conv, dy, run->packed + kernel->packed_backward, dx, scratchpad);
}

msfl_status nn_dense_forward(const nn_op *op, const nn_run *run, const float *x, float *y) {
    uint32_t n = run->net->shard_images, in = (uint32_t)op->in, out = (uint32_t)op->out;
    if (op->layer->bias) {
        for (uint32_t i = 0; i < n; i++)
            memcpy(y + (size_t)i * out, nn_values(op, run, 1), out * sizeof *y);
    }
    msfl_status status =
        nn_matmul(false, false, n, out, in, x, nn_values(op, run, 0), op->layer->bias ? 1.0f : 0.0f, y);
    if (status == MSFL_OK && op->layer->relu) run->net->kernels->relu(y, y, (size_t)n * out);
    return status;
}

msfl_status nn_dense_backward(const nn_op *op, const nn_run *run, const float *x, const float *y, float *dy,
                              float *dx) {
    const nn_kernels *k = run->net->kernels;
    uint32_t n = run->net->shard_images, in = (uint32_t)op->in, out = (uint32_t)op->out;
    if (op->layer->relu) k->relu_backward(dy, y, (size_t)n * out);
    if (op->layer->bias) {
        float *bias = nn_gradient(op, run, 1);
        memset(bias, 0, out * sizeof *bias);
        for (uint32_t i = 0; i < n; i++)
            k->add(bias, dy + (size_t)i * out, out);
    }
    msfl_status status = nn_matmul(true, false, in, out, n, x, dy, 0.0f, nn_gradient(op, run, 0));
    if (status != MSFL_OK || dx == NULL) return status;
    return nn_matmul(false, true, n, in, out, dy, nn_values(op, run, 0), 0.0f, dx);
}
