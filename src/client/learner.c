#include "client/learner.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "base/sodium.h"
#include "client/command.h"
#include "client/data.h"
#include "client/norms.h"
#include "client/state.h"
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
    msfl_status status = client_data_open(l->o.site, l->o.shape, l->o.bounds->multiple_of, l->o.observer, &l->data);
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

static void count(const client_learner *l, uint32_t counts[JOB_CLASSES_MAX]) {
    const msfl_indices *images = &l->data.holding.train;
    memset(counts, 0, JOB_CLASSES_MAX * sizeof *counts);
    for (uint32_t i = 0; i < images->n; i++)
        counts[l->data.label[msfl_dataset_label(l->data.dataset, images->at[i])]]++;
}

static msfl_status check_images(const client_learner *l) {
    const msfl_indices *images = &l->data.holding.train;
    const uint32_t n_groups = msfl_dataset_info_borrow(l->data.dataset)->n_groups;
    uint8_t *seen = msfl_alloc(n_groups > 0 ? n_groups : 1, sizeof *seen);
    if (seen == NULL) return MSFL_NO_MEMORY;
    uint64_t n_patients = 0;
    for (uint32_t i = 0; i < images->n; i++) {
        const uint32_t group = msfl_dataset_group(l->data.dataset, images->at[i]);
        n_patients += seen[group] == 0;
        seen[group] = 1;
    }
    msfl_free(seen);
    msfl_status status = client_bounds_steps(l->o.bounds, l->o.shape->spec, images->n);
    return status == MSFL_OK ? client_bounds_update(l->o.bounds, l->o.shape->spec, images->n, n_patients) : status;
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
    const uint32_t n_classes = msfl_model_info_borrow(l->o.shape->model)->n_classes;
    uint32_t counts[JOB_CLASSES_MAX];
    float class_weights[JOB_CLASSES_MAX], offsets[JOB_CLASSES_MAX];
    if (spec->balance || spec->logit_adjustment > 0) count(l, counts);
    if (spec->balance) {
        job_balance(counts, n_classes, class_weights);
        o.class_weights = class_weights;
    }
    if (spec->logit_adjustment > 0) {
        job_logit_offsets(counts, n_classes, spec->logit_adjustment, offsets);
        o.logit_offsets = offsets;
    }
    msfl_status status = msfl_trainer_state_load(l->trainer, state->bytes, state->length);
    if (status == MSFL_OK) {
        status = msfl_train(l->trainer, &o, &samples, weights, l->o.observer, l->o.job, 0, result);
    }
    client_state next = {.round = plan->round, .n_epochs = state->n_epochs + o.n_epochs};
    if (status == MSFL_OK) status = msfl_trainer_state_save(l->trainer, &next.bytes, &next.length);
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

/* `trained` goes in as what training begins with. */
static msfl_status update(client_learner *l, const job_plan *plan, float *trained, client_result *out) {
    client_state state;
    msfl_train_result result;
    msfl_status status = check_images(l);
    if (status != MSFL_OK) return status;
    status = client_state_load(l->o.folder, l->o.shape, plan->round, &state);
    if (status == MSFL_ERR_FORMAT || status == MSFL_ERR_MISMATCH) {
        msfl_observe_text(l->o.observer, MSFL_EVENT_WARNING, l->o.job, "%s: the optimiser begins afresh",
                          msfl_error_message());
        status = MSFL_OK;
    }
    if (status == MSFL_OK) status = train(l, plan, &state, trained, &result);
    if (status == MSFL_OK) {
        out->n_samples = l->data.holding.train.n;
        job_update_counters(&result, 0, out->counters);
    }
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
    msfl_status status = client_bounds_figures(l->o.bounds, plan->kind == JOB_TEST ? "test" : "validation", images->n);
    if (status != MSFL_OK) return status;
    status = l->o.shape->n_structures > 0 ? judge_masks(l, weights, images, counters)
                                          : judge_images(l, weights, images, counters);
    if (status == MSFL_OK) {
        out->n_samples = counters[JOB_EVAL_CLIENTS];
        memcpy(out->counters, counters + 1, (JOB_EVAL_COUNTERS - 1) * sizeof *counters);
    }
    return status;
}

/* --- with normalisation layers of our own, where the job has hospitals keep them --- */

/* What we begin with: those of the round before an update, of the round itself in its figures. */
static msfl_status own_norms(const client_learner *l, const job_plan *plan, float *weights) {
    const uint32_t bound = plan->kind == JOB_UPDATE ? plan->round : plan->model + 1;
    msfl_status status = client_norms_load(l->o.folder, l->o.shape, bound, weights);
    if (status != MSFL_ERR_FORMAT && status != MSFL_ERR_MISMATCH) return status;
    msfl_observe_text(l->o.observer, MSFL_EVENT_WARNING, l->o.job,
                      "%s: the normalisation layers begin with those of the federation", msfl_error_message());
    return MSFL_OK;
}

/* The model of this hospital alone: the federation's weights with our normalisation layers. Nothing waits for it. */
static void write_own(const client_learner *l, const job_plan *plan, const float *own) {
    const job_shape *shape = l->o.shape;
    char *path = msfl_format("%s/%s.h5", l->o.folder, plan->kind == JOB_TEST ? "own_model" : "own_model_last");
    char recipe[2 * MSFL_HASH_BYTES + 1];
    const msfl_model_facts facts = job_spec_facts(shape->spec, recipe);
    msfl_status status = path == NULL ? MSFL_NO_MEMORY : msfl_model_save(path, shape->model, own, &facts);
    if (status != MSFL_OK) msfl_observe_text(l->o.observer, MSFL_EVENT_WARNING, l->o.job, "%s", msfl_error_message());
    msfl_free(path);
}

/* The update is what is sent of the change; the rest stays here. */
static msfl_status conclude(const client_learner *l, const job_plan *plan, const float *weights, const float *trained,
                            client_result *out) {
    const job_sent *sent = &l->o.shape->sent;
    out->delta = msfl_alloc(sent->n_values, sizeof *out->delta);
    if (out->delta == NULL) return MSFL_NO_MEMORY;
    out->n_values = sent->n_values;
    job_sent_difference(sent, trained, weights, out->delta);
    const uint64_t n_clipped = job_count_clipped(sent->counts, sent->n_tensors, plan->clip, out->delta);
    out->counters[JOB_CLIPPED - 1] = n_clipped;
    msfl_status status = client_bounds_clipped(l->o.bounds, n_clipped, sent->n_values);
    return status != MSFL_OK ? status : client_norms_save(l->o.folder, l->o.shape, plan->round, trained);
}

/* Of a command it is known afterwards what it took; whose images they are, it alone knows. */
static msfl_status check_outcome(const client_learner *l, const job_plan *plan, const client_result *out) {
    if (plan->kind == JOB_UPDATE) {
        return client_bounds_update(l->o.bounds, l->o.shape->spec, out->n_samples, UINT64_MAX);
    }
    return client_bounds_figures(l->o.bounds, plan->kind == JOB_TEST ? "test" : "validation",
                                 out->counters[JOB_EVAL_N - 1]);
}

msfl_status client_learner_run(client_learner *l, const job_plan *plan, const float *weights, client_result *out) {
    *out = (client_result){0};
    const bool is_command = l->o.site->trainer.n_command > 0, is_update = plan->kind == JOB_UPDATE;
    const uint64_t n = l->o.shape->n_values;
    float *own = msfl_alloc(n, sizeof *own);
    if (own == NULL) return MSFL_NO_MEMORY;
    memcpy(own, weights, n * sizeof *own);
    msfl_status status = own_norms(l, plan, own);
    if (status == MSFL_OK && !is_update && client_norms_kept(l->o.shape)) write_own(l, plan, own);
    if (status == MSFL_OK && is_command) {
        status = client_command_run(&l->o, plan, own, out);
        if (status == MSFL_OK) status = check_outcome(l, plan, out);
    } else if (status == MSFL_OK) {
        status = open_data(l);
        if (status == MSFL_OK) status = is_update ? update(l, plan, own, out) : figures(l, plan, own, out);
    }
    if (status == MSFL_OK && is_update) status = conclude(l, plan, weights, own, out);
    if (status != MSFL_OK) client_result_clear(out);
    msfl_wipe(own, n * sizeof *own);
    msfl_free(own);
    return status;
}
