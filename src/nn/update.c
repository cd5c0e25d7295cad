/* From the shards' gradients to new weights.
 *
 * Conventions (docs/design/training.md):
 *   SGD    v <- momentum v + (g + decay w);   w <- w - rate v                            as PyTorch
 *   Adam   m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  w <- w - rate decay w
 *          w <- w - rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + 1e-8)                as PyTorch's AdamW
 * Decay touches kernels only.
 *   A proximal term (Li et al. 2020) adds mu (w - w0) to g.
 */
#include "base/error.h"
#include "base/mem.h"
#include "nn/trainer.h"

#include <math.h>
#include <string.h>

enum { UNIT_FLOATS = 1 << 14 };

static const double BETA2 = 0.999, EPSILON = 1e-8;

msfl_status nn_units_make(msfl_trainer *t) {
    const nn_net *net = t->net;
    for (int pass = 0; pass < 2; pass++) {
        size_t n = 0;
        for (uint32_t k = 0; k < net->arch->n_tensors; k++) {
            const nn_segment *s = &net->segments[k];
            /* A convolution kernel changes its layout as a whole. */
            size_t piece = s->conv != NULL ? s->floats : UNIT_FLOATS;
            for (size_t first = 0; first < s->floats; first += piece, n++) {
                size_t left = s->floats - first;
                if (pass == 1) t->units[n] = (nn_unit){k, first, left < piece ? left : piece};
            }
        }
        if (pass == 1) break;
        t->n_units = n;
        t->units = msfl_alloc(n, sizeof *t->units);
        if (t->units == NULL) return MSFL_ERR_MEMORY;
    }
    return MSFL_OK;
}

void nn_optimizer_drop(msfl_trainer *t) {
    msfl_free(t->first);
    msfl_free(t->second);
    t->first = t->second = NULL;
    t->n_steps = 0;
}

msfl_status nn_optimizer_prepare(msfl_trainer *t, msfl_optimizer optimizer) {
    if (t->optimizer != optimizer) nn_optimizer_drop(t);
    t->optimizer = optimizer;
    size_t n = t->net->arch->n_values;
    if (t->first == NULL) t->first = msfl_alloc(n, sizeof *t->first);
    if (t->second == NULL && optimizer == MSFL_ADAM) t->second = msfl_alloc(n, sizeof *t->second);
    return t->first == NULL || (optimizer == MSFL_ADAM && t->second == NULL) ? MSFL_ERR_MEMORY : MSFL_OK;
}

msfl_status nn_anchor_set(msfl_trainer *t, const msfl_train_options *options, const float *weights) {
    size_t n = t->net->arch->n_values;
    if (!(options->proximal > 0.0f)) return MSFL_OK;
    if (t->anchor == NULL) t->anchor = msfl_alloc(n, sizeof *t->anchor);
    if (t->anchor == NULL) return MSFL_ERR_MEMORY;
    memcpy(t->anchor, weights, n * sizeof *weights);
    return MSFL_OK;
}

typedef struct work {
    msfl_trainer *t;
    const msfl_train_options *options;
    uint32_t n_shards;
    float *weights;
    float step, inverse; /* Adam */
} work;

static void move(const work *w, const msfl_tensor *tensor, size_t at, size_t n) {
    const msfl_trainer *t = w->t;
    const msfl_train_options *o = w->options;
    float *weights = w->weights + at;
    float decay = strcmp(tensor->name, "kernel") == 0 ? o->weight_decay : 0.0f;
    for (size_t i = 0; o->proximal > 0.0f && i < n; i++)
        t->gradient[at + i] += o->proximal * (weights[i] - t->anchor[at + i]);
    if (t->optimizer == MSFL_SGD) {
        t->net->kernels->sgd(weights, t->first + at, t->gradient + at, n, o->learning_rate, o->momentum, decay);
    } else {
        t->net->kernels->adam(weights, t->first + at, t->second + at, t->gradient + at, n, w->step, w->inverse,
                              o->momentum, (float)BETA2, (float)EPSILON, 1.0f - o->learning_rate * decay);
    }
}

static msfl_status not_finite(const msfl_tensor *tensor) {
    return msfl_fail(MSFL_ERR_NUMERIC, "%s/%s is not finite", tensor->layer, tensor->name);
}

static msfl_status update_unit(const work *w, const nn_unit *unit) {
    msfl_trainer *t = w->t;
    const nn_net *net = t->net;
    const nn_segment *segment = &net->segments[unit->tensor];
    const msfl_tensor *tensor = &net->arch->tensors[unit->tensor];
    size_t from = segment->offset + unit->first;
    float *sum = segment->conv != NULL ? t->sums + from : t->gradient + tensor->offset + unit->first;
    const float *first = t->shard_gradients + from;
    if (w->n_shards == 1) {
        memcpy(sum, first, unit->n * sizeof *sum);
    } else {
        net->kernels->add2(sum, first, first + net->gradient_floats, unit->n, false);
    }
    for (uint32_t s = 2; s < w->n_shards; s++)
        net->kernels->add(sum, t->shard_gradients + s * net->gradient_floats + from, unit->n);
    size_t n = unit->n, at = tensor->offset + unit->first;
    if (segment->conv != NULL) {
        msfl_status status = nn_conv_unpack_gradient(segment->conv, sum, t->gradient + at);
        if (status != MSFL_OK) return status;
        n = tensor->count;
    }
    if (w->options != NULL) move(w, tensor, at, n);
    /* What is not finite in a gradient is so in the weight that it moved. */
    if (!net->kernels->all_finite((w->options == NULL ? t->gradient : w->weights) + at, n)) return not_finite(tensor);
    return w->options == NULL ? MSFL_OK : nn_net_pack(net, unit->tensor, w->weights, t->packed);
}

static msfl_status update_task(void *ctx, size_t i) {
    const work *w = ctx;
    nn_slot_take(w->t->group);
    nn_single before = nn_single_enter();
    msfl_status status = update_unit(w, &w->t->units[i]);
    nn_single_leave(before);
    nn_slot_give(w->t->group);
    return status;
}

msfl_status nn_update(msfl_trainer *t, const msfl_train_options *options, uint32_t n_shards, float *weights) {
    work w = {.t = t, .options = options, .n_shards = n_shards, .weights = weights};
    if (options != NULL) {
        t->n_steps++;
        double steps = (double)t->n_steps;
        w.step = (float)((double)options->learning_rate / (1.0 - pow((double)options->momentum, steps)));
        w.inverse = (float)(1.0 / sqrt(1.0 - pow(BETA2, steps)));
    }
    msfl_status status = msfl_pool_run(t->group->pool, t->n_units, update_task, &w);
    for (uint32_t k = 0; k < t->net->arch->n_tensors && status == MSFL_OK; k++) {
        const msfl_tensor *tensor = &t->net->arch->tensors[k];
        bool moving = tensor->role == MSFL_TENSOR_STATISTIC;
        if (moving && !t->net->kernels->all_finite(weights + tensor->offset, tensor->count))
            status = not_finite(tensor);
    }
    return status;
}

msfl_status nn_pack_all(msfl_trainer *t, const float *weights) {
    nn_single before = nn_single_enter();
    msfl_status status = MSFL_OK;
    for (uint32_t k = 0; k < t->net->arch->n_tensors && status == MSFL_OK; k++)
        status = nn_net_pack(t->net, k, weights, t->packed);
    nn_single_leave(before);
    return status;
}
