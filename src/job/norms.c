#include "job/norms.h"

#include "base/error.h"

#include <string.h>

const char *const job_norms_words[4] = {"shared", "local", "mean", NULL};

msfl_status job_norms_find(const char *word, job_norms *out) {
    for (int k = 0; job_norms_words[k] != NULL; k++) {
        if (word != NULL && strcmp(job_norms_words[k], word) != 0) continue;
        *out = (job_norms)k;
        return MSFL_OK;
    }
    return msfl_fail(
        MSFL_ERR_USAGE,
        "normalisation layers are shared, local (they never leave a hospital) or mean (every hospital keeps "
        "its own, and their mean travels), not '%.20s'",
        word);
}

/* Everything that is neither a kernel nor a bias. */
bool job_norms_has(const msfl_tensor *t) {
    return strcmp(t->name, "kernel") != 0 && strcmp(t->name, "bias") != 0;
}

uint64_t job_norms_count(const msfl_model *model) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < msfl_model_info_borrow(model)->n_tensors; i++) {
        const msfl_tensor *t = msfl_model_tensor(model, i);
        if (job_norms_has(t)) n += t->count;
    }
    return n;
}

void job_norms_take(const msfl_model *model, const float *weights, float *norms) {
    for (uint32_t i = 0; i < msfl_model_info_borrow(model)->n_tensors; i++) {
        const msfl_tensor *t = msfl_model_tensor(model, i);
        if (!job_norms_has(t)) continue;
        memcpy(norms, weights + t->offset, t->count * sizeof *norms);
        norms += t->count;
    }
}

void job_norms_put(const msfl_model *model, const float *norms, float *weights) {
    for (uint32_t i = 0; i < msfl_model_info_borrow(model)->n_tensors; i++) {
        const msfl_tensor *t = msfl_model_tensor(model, i);
        if (!job_norms_has(t)) continue;
        memcpy(weights + t->offset, norms, t->count * sizeof *norms);
        norms += t->count;
    }
}

bool job_norms_gathered(const msfl_model *model) {
    for (uint32_t i = 0; i < msfl_model_info_borrow(model)->n_tensors; i++) {
        const msfl_tensor *t = msfl_model_tensor(model, i);
        if (job_norms_has(t) && t->role != MSFL_TENSOR_WEIGHT) return true;
    }
    return false;
}
