#include "job/sent.h"

#include "base/error.h"
#include "base/mem.h"

#include <string.h>

static msfl_status room(uint32_t n, job_sent *s) {
    *s = (job_sent){0};
    s->counts = msfl_alloc(n, sizeof *s->counts);
    s->offsets = msfl_alloc(n, sizeof *s->offsets);
    s->weight = msfl_alloc(n, sizeof *s->weight);
    return s->counts == NULL || s->offsets == NULL || s->weight == NULL ? MSFL_NO_MEMORY : MSFL_OK;
}

static void put(job_sent *s, uint64_t count, uint64_t offset, bool weight) {
    s->counts[s->n_tensors] = count;
    s->offsets[s->n_tensors] = offset;
    s->weight[s->n_tensors++] = weight;
    s->n_values += count;
}

msfl_status job_sent_init(const msfl_model *model, job_norms norms, job_sent *out) {
    const msfl_model_info *info = msfl_model_info_borrow(model);
    msfl_status status = room(info->n_tensors, out);
    if (status != MSFL_OK) return status;
    out->n_weights = info->n_values;
    for (uint32_t i = 0; i < info->n_tensors; i++) {
        const msfl_tensor *t = msfl_model_tensor(model, i);
        if (norms == JOB_NORMS_LOCAL && job_norms_has(t)) continue;
        put(out, t->count, t->offset, t->role == MSFL_TENSOR_WEIGHT);
    }
    if (norms != JOB_NORMS_SHARED && job_norms_count(model) == 0) {
        return msfl_fail(MSFL_ERR_USAGE, "there is no normalisation layer in this network that could stay local");
    }
    if (out->n_values == 0) return msfl_fail(MSFL_ERR_USAGE, "this network has normalisation layers alone");
    return MSFL_OK;
}

msfl_status job_sent_all(uint32_t n, const uint64_t *counts, const bool *weight, job_sent *out) {
    msfl_status status = room(n, out);
    if (status != MSFL_OK) return status;
    for (uint32_t i = 0; i < n; i++)
        put(out, counts[i], out->n_values, weight[i]);
    out->n_weights = out->n_values;
    return MSFL_OK;
}

void job_sent_clear(job_sent *s) {
    msfl_free(s->counts);
    msfl_free(s->offsets);
    msfl_free(s->weight);
    *s = (job_sent){0};
}

void job_sent_difference(const job_sent *s, const float *trained, const float *global, float *update) {
    for (uint32_t t = 0; t < s->n_tensors; t++) {
        const uint64_t at = s->offsets[t];
        for (uint64_t i = 0; i < s->counts[t]; i++)
            update[i] = trained[at + i] - global[at + i];
        update += s->counts[t];
    }
}

void job_sent_spread(const job_sent *s, float *vector) {
    /* From the last on: a tensor never moves to the front, so what it comes to lie on has moved already. */
    uint64_t from = s->n_values, end = s->n_weights;
    for (uint32_t t = s->n_tensors; t-- > 0;) {
        const uint64_t at = s->offsets[t], n = s->counts[t];
        from -= n;
        memmove(vector + at, vector + from, n * sizeof *vector);
        memset(vector + at + n, 0, (end - at - n) * sizeof *vector);
        end = at;
    }
    memset(vector, 0, end * sizeof *vector);
}
