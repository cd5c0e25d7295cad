#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "job/figures.h"
#include "job/spec.h"

#include <string.h>

static msfl_status list_tensors(job_shape *s) {
    const job_spec *spec = s->spec;
    s->n_tensors = s->model != NULL ? msfl_model_info_borrow(s->model)->n_tensors : spec->n_tensors;
    s->counts = msfl_alloc(s->n_tensors, sizeof *s->counts);
    s->weight = msfl_alloc(s->n_tensors, sizeof *s->weight);
    if (s->counts == NULL || s->weight == NULL) return MSFL_NO_MEMORY;
    for (uint32_t i = 0; i < s->n_tensors; i++) {
        if (s->model != NULL) {
            const msfl_tensor *t = msfl_model_tensor(s->model, i);
            s->counts[i] = t->count;
            s->weight[i] = t->role == MSFL_TENSOR_WEIGHT;
        } else {
            s->counts[i] = spec->tensors[i].count;
            s->weight[i] = !spec->tensors[i].statistic;
        }
        s->n_values += s->counts[i];
    }
    return s->model != NULL ? job_sent_init(s->model, spec->norms, &s->sent)
                            : job_sent_all(s->n_tensors, s->counts, s->weight, &s->sent);
}

static msfl_status count_slots(job_shape *s) {
    float *clip = msfl_alloc(s->sent.n_tensors, sizeof *clip);
    if (clip == NULL) return MSFL_NO_MEMORY;
    for (uint32_t i = 0; i < s->sent.n_tensors; i++)
        clip[i] = 1; /* slots do not depend on bounds */
    msfl_update_layout *layout;
    msfl_status status = job_shape_layout(s, clip, &layout);
    msfl_free(clip);
    if (status != MSFL_OK) return status;
    s->update_slots = msfl_update_slots(layout);
    msfl_update_layout_free(layout);
    status = job_shape_layout(s, NULL, &layout);
    if (status != MSFL_OK) return status;
    s->evaluation_slots = msfl_update_slots(layout);
    msfl_update_layout_free(layout);
    return MSFL_OK;
}

msfl_status job_shape_new(const job_spec *spec, job_shape **out) {
    *out = NULL;
    job_shape *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_NO_MEMORY;
    s->spec = spec;
    msfl_status status = MSFL_OK;
    if (spec->model_yaml != NULL) {
        status = msfl_model_parse("model", spec->model_yaml, strlen(spec->model_yaml), 0, 0, 0, 0, &s->model);
    }
    if (status == MSFL_OK && s->model != NULL && msfl_model_info_borrow(s->model)->is_pixelwise) {
        s->n_structures = msfl_model_info_borrow(s->model)->n_classes - 1;
    }
    if (status == MSFL_OK) status = list_tensors(s);
    if (status == MSFL_OK) status = count_slots(s);
    if (status != MSFL_OK) {
        job_shape_free(s);
        return status;
    }
    *out = s;
    return MSFL_OK;
}

void job_shape_free(job_shape *s) {
    if (s == NULL) return;
    msfl_model_free(s->model);
    msfl_free(s->counts);
    msfl_free(s->weight);
    job_sent_clear(&s->sent);
    msfl_free(s);
}

msfl_status job_shape_params(const job_shape *s, const msfl_roster_info *roster, msfl_params *out) {
    const msfl_params_request request = {.n_clients = roster->n_clients,
                                         .n_shares = roster->k,
                                         .value_bits = s->spec->value_bits,
                                         .n_values = s->update_slots,
                                         .security_bits = s->spec->security_bits};
    return msfl_params_plan(&request, out);
}

msfl_status job_shape_initial(const job_shape *s, float *weights) {
    if (s->model == NULL) {
        return msfl_fail(MSFL_ERR_MISSING,
                         "job '%s' lists tensors and no network of ours: submit it with initial "
                         "weights",
                         s->spec->name);
    }
    msfl_model_init(s->model, s->spec->seed, weights);
    return MSFL_OK;
}

job_clip_rule job_shape_clip_rule(const job_shape *s) {
    return (job_clip_rule){.clip = s->spec->clip,
                           .value_bits = s->spec->value_bits,
                           .n_tensors = s->sent.n_tensors,
                           .counts = s->sent.counts,
                           .weight = s->sent.weight,
                           .n_values = s->sent.n_values};
}

msfl_status job_shape_layout(const job_shape *s, const float *clip, msfl_update_layout **out) {
    *out = NULL;
    if (clip == NULL) {
        return msfl_update_layout_new(s->spec->value_bits, JOB_EVAL_COUNTERS, 1, NULL, 0, out);
    }
    msfl_update_range *ranges = msfl_alloc(s->sent.n_tensors, sizeof *ranges);
    if (ranges == NULL) return MSFL_NO_MEMORY;
    for (uint32_t i = 0; i < s->sent.n_tensors; i++)
        ranges[i] = (msfl_update_range){s->sent.counts[i], clip[i]};
    msfl_status status = msfl_update_layout_new(s->spec->value_bits, JOB_UPDATE_COUNTERS, s->spec->samples_max, ranges,
                                                s->sent.n_tensors, out);
    msfl_free(ranges);
    return status;
}

void job_weights_hash_begin(const job_shape *s, msfl_hash *h) {
    msfl_hash_init(h, "msfl.global.v1");
    if (s->model != NULL) {
        uint8_t architecture[MSFL_HASH_BYTES];
        msfl_model_hash(s->model, architecture);
        msfl_hash_add(h, architecture, sizeof architecture);
    } else {
        msfl_hash_add_u64(h, s->n_tensors);
        for (uint32_t i = 0; i < s->n_tensors; i++) {
            const job_tensor *t = &s->spec->tensors[i];
            msfl_hash_add_field(h, t->name, strlen(t->name));
            msfl_hash_add_u64(h, t->rank);
            for (uint32_t k = 0; k < t->rank; k++)
                msfl_hash_add_u64(h, t->shape[k]);
        }
    }
    msfl_hash_add_u64(h, s->n_values * sizeof(float));
}

void job_weights_hash(const job_shape *s, const float *weights, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    job_weights_hash_begin(s, &h);
    msfl_hash_add(&h, weights, s->n_values * sizeof *weights);
    msfl_hash_final(&h, out);
}
