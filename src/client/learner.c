#include "client/learner.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "base/sodium.h"
#include "client/command.h"
#include "client/data.h"
#include "client/state.h"
#include "job/norms.h"
#include "job/pixels.h"

#include <string.h>

struct client_learner {
    client_learner_options o;
    bool opened;
    client_data data;
    msfl_trainer *trainer;
};

void client_result_clear(client_result *r) {
    if (r->delta != NULL) msfl_wipe(r->delta, r->n_values * sizeof *r->delta);
    msfl_free(r->delta);
    memset(r, 0, sizeof *r);
}

msfl_status client_learner_new(const client_learner_options *options, client_learner **out) {
    *out = msfl_alloc(1, sizeof **out);
    if (*out == NULL) return MSFL_NO_MEMORY;
    (*out)->o = *options;
    return MSFL_OK;
}

void client_learner_free(client_learner *l) {
    if (l == NULL) return;
    msfl_trainer_free(l->trainer);
    client_data_clear(&l->data);
    msfl_free(l);
}

/* Reading images takes long, so not before a round needs them. */
static msfl_status open_data(client_learner *l) {
    if (l->opened) return MSFL_OK;
    msfl_status status = client_data_open(l->o.site, l->o.shape, l->o.observer, &l->data);
    if (status != MSFL_OK) return status;
    status =
        msfl_trainer_new(l->o.shape->model, l->o.shape->spec->train.batch, l->o.site->n_threads, NULL, &l->trainer);
    if (status != MSFL_OK) {
        client_data_clear(&l->data);
        return status;
    }
    l->opened = true;
    const msfl_dataset_info *info = msfl_dataset_info_borrow(l->data.dataset);
    msfl_observe_text(l->o.observer, MSFL_EVENT_INFO, l->o.job,
                      "%u images of %u patients to train on and to validate with (%s), %u to test with%s",
                      l->data.holding.train.n + l->data.holding.validation.n, l->data.holding.n_patients,
                      l->data.split.how, l->data.test.n, info->synthetic ? "; the images are drawn, not real" : "");
    return MSFL_OK;
}

/* --- normalisation that stays here: its values stand behind the optimiser's state --- */

static size_t norms_bytes(const client_learner *l) {
    const job_shape *shape = l->o.shape;
    return shape->spec->local_norms ? job_norms_count(shape->model) * sizeof(float) : 0;
}

/* Bytes of a state that are the optimiser's. A state from before a failure has none, and no norms either. */
static size_t state_length(const client_learner *l, const client_state *state) {
    size_t norms = norms_bytes(l);
    return state->length < norms ? state->length : state->length - norms;
}

/* Our own values in place of the federation's, where we have some. */
static void norms_put(const client_learner *l, const client_state *state, float *weights) {
    size_t bytes = norms_bytes(l);
    if (bytes == 0 || state->length < bytes) return;
    float *norms = msfl_alloc(bytes, 1);
    if (norms == NULL) return; /* one round with the federation's: no less right, only less ours */
    memcpy(norms, state->bytes + state->length - bytes, bytes);
    job_norms_put(l->o.shape->model, norms, weights);
    msfl_free(norms);
}

static msfl_status norms_keep(const client_learner *l, const float *weights, client_state *state) {
    size_t bytes = norms_bytes(l);
    if (bytes == 0) return MSFL_OK;
    float *norms = msfl_alloc(bytes, 1);
    uint8_t *both = msfl_alloc(state->length + bytes, 1);
    if (norms == NULL || both == NULL) {
        msfl_free(norms);
        msfl_free(both);
        return MSFL_NO_MEMORY;
    }
    job_norms_take(l->o.shape->model, weights, norms);
    memcpy(both, state->bytes, state->length);
    memcpy(both + state->length, norms, bytes);
    msfl_free(norms);
    msfl_bytes_free(state->bytes);
    state->bytes = both;
    state->length += bytes;
    return MSFL_OK;
}

static void balance(const client_learner *l, float *weights) {
    uint32_t counts[JOB_CLASSES_MAX] = {0};
    const msfl_indices *images = &l->data.holding.train;
    for (uint32_t i = 0; i < images->n; i++)
        counts[l->data.label[msfl_dataset_label(l->data.dataset, images->at[i])]]++;
    job_balance(counts, msfl_model_info_borrow(l->o.shape->model)->n_classes, weights);
}

/* The update of a round depends on the seed, the hospital, and what it carries from the round before; not on time. */
static msfl_status train(client_learner *l, const job_plan *plan, client_state *state, float *weights,
                         msfl_train_result *result) {
    const job_spec *spec = l->o.shape->spec;
    msfl_train_options o = spec->train;
    client_samples storage;
    const msfl_samples samples = client_samples_of(&l->data, &l->data.holding.train, &storage);
    o.seed = job_train_seed(spec->seed, l->o.client);
    o.first_epoch = state->n_epochs;
    o.learning_rate = (float)plan->learning_rate;
    float class_weights[JOB_CLASSES_MAX];
    if (spec->balance) {
        balance(l, class_weights);
        o.class_weights = class_weights;
    }
    msfl_status status = msfl_trainer_state_load(l->trainer, state->bytes, state_length(l, state));
    if (status == MSFL_OK) {
        status = msfl_train(l->trainer, &o, &samples, weights, l->o.observer, l->o.job, 0, result);
    }
    client_state next = {.round = plan->round, .n_epochs = state->n_epochs + o.n_epochs};
    if (status == MSFL_OK) status = msfl_trainer_state_save(l->trainer, &next.bytes, &next.length);
    if (status == MSFL_OK) status = norms_keep(l, weights, &next);
    if (status == MSFL_OK) {
        status = client_state_save(l->o.folder, l->o.shape, &next);
    } else if (status == MSFL_ERR_NUMERIC) {
        /* The message of the failure must survive the saving of a fresh state. */
        char *message = msfl_strdup(msfl_error_message());
        if (client_state_save(l->o.folder, l->o.shape, &next) == MSFL_OK && message != NULL) msfl_error_set(message);
        msfl_free(message);
    }
    client_state_clear(&next);
    return status;
}

static msfl_status update(client_learner *l, const job_plan *plan, const float *weights, client_result *out) {
    client_state state;
    msfl_train_result result;
    const job_shape *shape = l->o.shape;
    float *trained = msfl_alloc(shape->n_values, sizeof *trained);
    out->delta = msfl_alloc(shape->n_values, sizeof *out->delta);
    if (trained == NULL || out->delta == NULL) {
        msfl_free(trained);
        return MSFL_NO_MEMORY;
    }
    out->n_values = shape->n_values;
    memcpy(trained, weights, shape->n_values * sizeof *trained);
    msfl_status status = client_state_load(l->o.folder, shape, plan->round, &state);
    if (status == MSFL_ERR_FORMAT || status == MSFL_ERR_MISMATCH) {
        msfl_observe_text(l->o.observer, MSFL_EVENT_WARNING, l->o.job, "%s: the optimiser begins afresh",
                          msfl_error_message());
        status = MSFL_OK;
    }
    if (status == MSFL_OK) norms_put(l, &state, trained);
    if (status == MSFL_OK) status = train(l, plan, &state, trained, &result);
    if (status == MSFL_OK) {
        for (uint64_t i = 0; i < shape->n_values; i++)
            out->delta[i] = trained[i] - weights[i];
        out->n_samples = l->data.holding.train.n;
        job_update_counters(&result, job_count_clipped(shape->counts, shape->n_tensors, plan->clip, out->delta),
                            out->counters);
    }
    client_state_clear(&state);
    msfl_wipe(trained, shape->n_values * sizeof *trained);
    msfl_free(trained);
    return status;
}

/* The federation's weights with our normalisation of the newest round that we trained. */
static msfl_status own_weights(const client_learner *l, const job_plan *plan, const float *weights, float **out) {
    const job_shape *shape = l->o.shape;
    client_state state;
    *out = msfl_alloc(shape->n_values, sizeof **out);
    if (*out == NULL) return MSFL_NO_MEMORY;
    memcpy(*out, weights, shape->n_values * sizeof **out);
    const uint32_t bound = plan->kind == JOB_TEST ? UINT32_MAX : plan->round + 1;
    msfl_status status = client_state_load(l->o.folder, shape, bound, &state);
    if (status == MSFL_OK) norms_put(l, &state, *out);
    if (status == MSFL_ERR_FORMAT || status == MSFL_ERR_MISMATCH) status = MSFL_OK; /* warned of when training */
    client_state_clear(&state);
    return status;
}

static msfl_status judge_images(client_learner *l, const float *weights, const msfl_indices *images,
                                uint64_t counters[JOB_EVAL_COUNTERS]) {
    const uint32_t n_classes = msfl_model_info_borrow(l->o.shape->model)->n_classes;
    float *probabilities = msfl_alloc((size_t)images->n * n_classes, sizeof *probabilities);
    uint32_t *labels = msfl_alloc(images->n, sizeof *labels);
    client_samples storage;
    const msfl_samples samples = client_samples_of(&l->data, images, &storage);
    msfl_status status = probabilities == NULL || labels == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status == MSFL_OK) status = msfl_predict(l->trainer, weights, &samples, probabilities, labels, NULL);
    if (status == MSFL_OK) job_eval_counters(probabilities, labels, images->n, n_classes, counters);
    msfl_free(probabilities);
    msfl_free(labels);
    return status;
}

typedef struct sink {
    const client_learner *learner;
    const msfl_indices *images;
    uint32_t n_pixels;
    uint64_t *counters;
} sink;

static msfl_status count_pixels(void *ctx, uint32_t first, uint32_t n, const uint8_t *found) {
    const sink *s = ctx;
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *truth = msfl_dataset_mask(s->learner->data.dataset, s->images->at[first + i]);
        job_mask_add(found + (size_t)i * s->n_pixels, truth, s->n_pixels, s->counters);
    }
    return msfl_check_cancel(s->learner->o.observer);
}

static msfl_status judge_masks(client_learner *l, const float *weights, const msfl_indices *images,
                               uint64_t counters[JOB_EVAL_COUNTERS]) {
    const msfl_model *model = l->o.shape->model;
    double loss;
    client_samples storage;
    const msfl_samples samples = client_samples_of(&l->data, images, &storage);
    sink s = {l, images, msfl_model_info_borrow(model)->n_targets, counters};
    memset(counters, 0, JOB_EVAL_COUNTERS * sizeof *counters);
    msfl_status status = job_pixels_predict(l->trainer, model, weights, &samples, count_pixels, &s, &loss);
    if (status == MSFL_OK) job_mask_close(images->n, s.n_pixels, loss, counters);
    return status;
}

static msfl_status figures(client_learner *l, const job_plan *plan, const float *weights, client_result *out) {
    const msfl_indices *images = plan->kind == JOB_TEST ? &l->data.test : &l->data.holding.validation;
    if (images->n == 0) {
        /* It would count towards the cohort and hide nobody. */
        return msfl_fail(MSFL_ERR_MISSING, "no %s images: this hospital stays out of the figures",
                         plan->kind == JOB_TEST ? "test" : "validation");
    }
    uint64_t counters[JOB_EVAL_COUNTERS];
    float *own = NULL;
    msfl_status status = norms_bytes(l) > 0 ? own_weights(l, plan, weights, &own) : MSFL_OK;
    const float *judged = own != NULL ? own : weights;
    if (status == MSFL_OK) {
        status = l->o.shape->n_structures > 0 ? judge_masks(l, judged, images, counters)
                                              : judge_images(l, judged, images, counters);
    }
    if (status == MSFL_OK) {
        out->n_samples = counters[JOB_EVAL_CLIENTS];
        memcpy(out->counters, counters + 1, (JOB_EVAL_COUNTERS - 1) * sizeof *counters);
    }
    msfl_free(own);
    return status;
}

msfl_status client_learner_run(client_learner *l, const job_plan *plan, const float *weights, client_result *out) {
    *out = (client_result){0};
    msfl_status status;
    if (l->o.site->trainer.n_command > 0) {
        status = client_command_run(&l->o, plan, weights, out);
    } else {
        status = open_data(l);
        if (status == MSFL_OK) {
            status = plan->kind == JOB_UPDATE ? update(l, plan, weights, out) : figures(l, plan, weights, out);
        }
    }
    if (status != MSFL_OK) client_result_clear(out);
    return status;
}
