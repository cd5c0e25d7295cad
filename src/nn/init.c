/* Initial weights. */
#include "base/seeded.h"
#include "nn/arch.h"

#include <math.h>
#include <string.h>

/* Whether a ReLU is the first non-linearity after layer i: at once, or after norms, pools and the like. */
static bool relu_follows(const nn_arch *arch, uint32_t i) {
    while (i < arch->n_layers) {
        const nn_layer *l = &arch->layers[i];
        if (l->relu || l->kind == NN_RELU) return true;
        i = nn_arch_reader(arch, i);
        if (i < arch->n_layers && (arch->layers[i].kind == NN_CONV || arch->layers[i].kind == NN_DENSE)) return false;
    }
    return false;
}

static void init_kernel(const nn_arch *arch, uint32_t layer, uint32_t tensor, uint64_t seed, float *w) {
    const msfl_tensor *t = &arch->tensors[tensor];
    uint32_t fan_out = t->shape[t->rank - 1], fan_in = t->shape[t->rank - 2];
    for (uint32_t d = 0; d + 2 < t->rank; d++) { /* of a convolution: sides of its window */
        fan_in *= t->shape[d];
        fan_out *= t->shape[d];
    }
    msfl_seeded g;
    msfl_seeded_init(&g, seed, "nn.init", tensor, 0, 0);
    if (relu_follows(arch, layer)) {
        /* He et al. 2015: normal, variance 2 / fan in. */
        double deviation = sqrt(2.0 / fan_in);
        for (uint64_t i = 0; i < t->count; i++)
            w[i] = (float)(deviation * msfl_seeded_normal(&g));
    } else {
        /* Glorot and Bengio 2010: uniform, variance 2 / (fan in + fan out). */
        double limit = sqrt(6.0 / ((double)fan_in + fan_out));
        for (uint64_t i = 0; i < t->count; i++)
            w[i] = (float)(limit * (2.0 * msfl_seeded_unit(&g) - 1.0));
    }
}

void msfl_model_init(const msfl_model *model, uint64_t seed, float *weights) {
    const nn_arch *arch = nn_model_arch(model);
    for (uint32_t i = 0; i < arch->n_layers; i++) {
        const nn_layer *l = &arch->layers[i];
        for (uint32_t k = l->first_tensor; k < l->first_tensor + l->n_tensors; k++) {
            const msfl_tensor *t = &arch->tensors[k];
            float *w = weights + t->offset;
            if (strcmp(t->name, "kernel") == 0) {
                init_kernel(arch, i, k, seed, w);
                continue;
            }
            bool one = strcmp(t->name, "gamma") == 0 || strcmp(t->name, "moving_variance") == 0;
            for (uint64_t j = 0; j < t->count; j++)
                w[j] = one ? 1.0f : 0.0f;
        }
    }
}
