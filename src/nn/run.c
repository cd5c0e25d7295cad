/* One shard through the network, phase by phase. */
#include "nn/net.h"

#include <string.h>

static const float *output_of(const nn_run *run, int32_t source) {
    if (source == NN_NONE) return NULL;
    return source == NN_IMAGE ? run->x : run->workspace + run->net->ops[source].y;
}
static const float *input_of(const nn_run *run, uint32_t i) {
    return output_of(run, run->net->ops[i].layer->sources[0]);
}

static void join(const nn_run *run, const nn_op *op, float *y) {
    const int32_t *sources = op->layer->sources;
    const float *const x[2] = {output_of(run, sources[0]), output_of(run, sources[1])};
    nn_join_forward(op, run, x, y);
}

static msfl_status forward(const nn_run *run, uint32_t i, bool training) {
    const nn_op *op = &run->net->ops[i];
    const float *x = input_of(run, i);
    float *y = run->workspace + op->y;
    switch (op->layer->kind) {
    case NN_CONV:
        return nn_conv_op_forward(op, run, x, y);
    case NN_DENSE:
        return nn_dense_forward(op, run, x, y);
    case NN_GROUP_NORM:
        nn_group_norm_forward(op, run, x, y);
        return MSFL_OK;
    case NN_BATCH_NORM:
        if (training) {
            nn_batch_norm_forward(op, run, x, y);
        } else {
            nn_batch_norm_predict(op, run, x, y);
        }
        return MSFL_OK;
    case NN_ADD:
    case NN_CONCAT:
    case NN_UPSAMPLE:
        join(run, op, y);
        return MSFL_OK;
    default:
        nn_simple_forward(op, run, training, x, y);
        return MSFL_OK;
    }
}

/* Where only the next layer reads an output, its gradient stands in flow[i & 1] from that layer's turn to its own. Any
 * other output has a place of its own, to which its readers add. */
static float *flow_out(const nn_run *run, uint32_t i) {
    const nn_op *op = &run->net->ops[i];
    return run->workspace + (op->kept ? op->gradient : run->net->flow[i & 1]);
}
/* Where layer i puts the gradient of its (first) input. When others have written there before, that is the free flow
 * buffer: the layer before i keeps its gradient elsewhere then, since it has several readers or another one. */
static float *flow_in(const nn_run *run, uint32_t i) {
    const nn_op *op = &run->net->ops[i];
    if (!op->wanted[0]) return NULL;
    return op->writes[0] ? flow_out(run, (uint32_t)op->layer->sources[0])
                         : run->workspace + run->net->flow[(i + 1) & 1];
}

static void join_backward(const nn_run *run, const nn_op *op, const float *y, float *dy) {
    nn_join_mask(op, run, y, dy);
    for (int k = 0; k < 2; k++) {
        if (!op->wanted[k]) continue;
        nn_join_backward(op, run, k, dy, flow_out(run, (uint32_t)op->layer->sources[k]), !op->writes[k]);
    }
}

static msfl_status backward_layer(const nn_run *run, uint32_t i) {
    const nn_op *op = &run->net->ops[i];
    const float *x = input_of(run, i), *y = run->workspace + op->y;
    float *dy = flow_out(run, i), *dx = flow_in(run, i);
    switch (op->layer->kind) {
    case NN_CONV:
        return nn_conv_op_backward(op, run, x, y, dy, dx);
    case NN_DENSE:
        return nn_dense_backward(op, run, x, y, dy, dx);
    case NN_GROUP_NORM:
        nn_group_norm_backward(op, run, x, y, dy, dx);
        return MSFL_OK;
    case NN_BATCH_NORM:
        nn_batch_norm_backward(op, run, x, dy, dx);
        return MSFL_OK;
    case NN_ADD:
    case NN_CONCAT:
    case NN_UPSAMPLE:
        join_backward(run, op, y, dy);
        return MSFL_OK;
    default:
        nn_simple_backward(op, run, x, y, dy, dx);
        return MSFL_OK;
    }
}

static msfl_status backward(const nn_run *run, uint32_t i) {
    const nn_op *op = &run->net->ops[i];
    msfl_status status = backward_layer(run, i);
    bool joins = op->layer->kind == NN_ADD || op->layer->kind == NN_CONCAT || op->layer->kind == NN_UPSAMPLE;
    if (status == MSFL_OK && !joins && op->wanted[0] && !op->writes[0]) {
        run->net->kernels->add(flow_out(run, (uint32_t)op->layer->sources[0]), flow_in(run, i),
                               run->net->shard_images * op->in);
    }
    return status;
}

static void pixel_loss(nn_run *run, const float *logits, float *gradient) {
    uint32_t n_pixels = run->net->arch->n_targets, n_correct;
    size_t values = (size_t)n_pixels * run->net->arch->n_classes;
    for (uint32_t i = 0; i < run->n_valid; i++) {
        run->loss_sum += nn_loss_pixels(run->loss, logits + i * values, run->labels + (size_t)i * n_pixels, n_pixels,
                                        run->loss_scale, gradient + i * values, &n_correct);
        run->weight_sum += 1.0;
        run->n_correct += n_correct; /* 64 images of 2^24 pixels in a shard at most: below 2^31 */
    }
    memset(gradient + run->n_valid * values, 0, (run->net->shard_images - run->n_valid) * values * sizeof *gradient);
}

static void loss(nn_run *run) {
    const nn_net *net = run->net;
    uint32_t last = net->n_ops - 1, n_classes = net->arch->n_classes;
    const float *logits = run->workspace + net->ops[last].y;
    float *gradient = flow_out(run, last);
    run->loss_sum = run->weight_sum = 0.0;
    run->n_correct = 0;
    if (net->arch->is_pixelwise) {
        pixel_loss(run, logits, gradient);
        return;
    }
    for (uint32_t i = 0; i < run->n_valid; i++) {
        uint32_t best;
        run->loss_sum += nn_loss_sample(run->loss, logits + (size_t)i * n_classes, run->labels[i], run->loss_scale,
                                        gradient + (size_t)i * n_classes, NULL, &best);
        run->weight_sum += nn_loss_weight(run->loss, run->labels[i]);
        run->n_correct += best == run->labels[i];
    }
    size_t real = (size_t)run->n_valid * n_classes, all = (size_t)net->shard_images * n_classes;
    memset(gradient + real, 0, (all - real) * sizeof *gradient);
}

msfl_status nn_run_phase(nn_run *run, uint32_t phase) {
    const nn_net *net = run->net;
    uint32_t n = net->n_syncs, middle = n;
    msfl_status status = MSFL_OK;
    if (phase <= middle) {
        uint32_t first = phase == 0 ? 0 : net->sync_ops[phase - 1];
        uint32_t end = phase == middle ? net->n_ops : net->sync_ops[phase];
        for (uint32_t i = first; i < end && status == MSFL_OK; i++)
            status = forward(run, i, true);
        if (status != MSFL_OK) return status;
        if (phase < middle) nn_batch_norm_sums(&net->ops[end], run, input_of(run, end));
    }
    if (phase < middle) return status;
    if (phase == middle) loss(run);
    /* Backward: from the layer the last sums were made for, down to the next one that needs sums. */
    uint32_t from = phase == middle ? net->n_ops : net->sync_ops[2 * n - phase] + 1;
    uint32_t stop = phase == 2 * n ? 0 : net->sync_ops[2 * n - phase - 1] + 1;
    for (uint32_t i = from; i > stop && status == MSFL_OK; i--) {
        if (net->ops[i - 1].is_first && net->ops[i - 1].layer->n_tensors == 0) continue;
        status = backward(run, i - 1);
    }
    if (status == MSFL_OK && phase < 2 * n) {
        uint32_t i = stop - 1;
        nn_batch_norm_sums_backward(&net->ops[i], run, input_of(run, i), run->workspace + net->ops[i].y,
                                    flow_out(run, i));
    }
    return status;
}

void nn_run_between(const nn_net *net, uint32_t phase, nn_sync *syncs, float *weights) {
    uint32_t n = net->n_syncs;
    if (phase < n) {
        nn_batch_norm_between(net, &net->ops[net->sync_ops[phase]], &syncs[phase], weights);
    } else if (phase < 2 * n) {
        uint32_t which = 2 * n - phase - 1;
        nn_batch_norm_between_backward(&net->ops[net->sync_ops[which]], &syncs[which]);
    }
}

msfl_status nn_run_predict(nn_run *run, const float **logits) {
    const nn_net *net = run->net;
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; i < net->n_ops && status == MSFL_OK; i++)
        status = forward(run, i, false);
    *logits = run->workspace + net->ops[net->n_ops - 1].y;
    return status;
}

msfl_status nn_run_explain(nn_run *run, uint32_t class_index, uint32_t target, const float **gradient) {
    const nn_net *net = run->net;
    const float *logits;
    uint32_t last = net->n_ops - 1;
    msfl_status status = nn_run_predict(run, &logits);
    float *dy = flow_out(run, last);
    memset(dy, 0, net->shard_images * net->ops[last].out * sizeof *dy);
    dy[class_index] = 1.0f;
    for (uint32_t i = last; i > target && status == MSFL_OK; i--) {
        const nn_op *op = &net->ops[i];
        /* Prediction drops nothing, so nothing is held back on the way. */
        for (size_t k = 0; op->layer->kind == NN_DROPOUT && k < net->shard_images * op->out; k++)
            run->workspace[op->saved + k] = 1.0f;
        status = backward(run, i);
    }
    *gradient = flow_out(run, target);
    return status;
}
