#include "job/norms.h"

#include <string.h>

/* Gamma, beta and moving statistics: everything that is neither a kernel nor a bias. */
static bool is_norm(const msfl_tensor *t) {
    return strcmp(t->name, "kernel") != 0 && strcmp(t->name, "bias") != 0;
}

uint64_t job_norms_count(const msfl_model *model) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < msfl_model_info_borrow(model)->n_tensors; i++) {
        const msfl_tensor *t = msfl_model_tensor(model, i);
        if (is_norm(t)) n += t->count;
    }
    return n;
}

void job_norms_take(const msfl_model *model, const float *weights, float *norms) {
    for (uint32_t i = 0; i < msfl_model_info_borrow(model)->n_tensors; i++) {
        const msfl_tensor *t = msfl_model_tensor(model, i);
        if (!is_norm(t)) continue;
        memcpy(norms, weights + t->offset, t->count * sizeof *norms);
        norms += t->count;
    }
}

void job_norms_put(const msfl_model *model, const float *norms, float *weights) {
    for (uint32_t i = 0; i < msfl_model_info_borrow(model)->n_tensors; i++) {
        const msfl_tensor *t = msfl_model_tensor(model, i);
        if (!is_norm(t)) continue;
        memcpy(weights + t->offset, norms, t->count * sizeof *norms);
        norms += t->count;
    }
}
