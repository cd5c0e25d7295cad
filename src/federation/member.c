#include "federation/member.h"

#include "base/mem.h"
#include "base/observe.h"
#include "job/figures.h"

#include <string.h>

/* The observer of one hospital's training, with its round. */
typedef struct relay {
    const fed_job *job;
    const fed_track *track;
} relay;

static void forward(void *ctx, const msfl_event *event) {
    const relay *r = ctx;
    msfl_event with_round = *event;
    with_round.round = r->track->n_records + 1;
    with_round.n_rounds = r->track->n_rounds;
    msfl_observe(&r->job->observer, &with_round);
}

/* What one party that trains for itself does in a round. Where the server is adaptive, so is it: fedadam of one
 * hospital that takes one step is Adam. Where a round is so many steps, the centre takes those of all hospitals. */
static void alone(const fed_job *job, const fed_track *track, msfl_train_options *o) {
    if (job->aggregate->n_moments > 0) {
        o->optimizer = MSFL_ADAM;
        o->momentum = msfl_train_options_default().momentum;
        o->learning_rate =
            (float)(job->options->server_learning_rate * (track->course.learning_rate / track->rule.learning_rate));
    }
    if (track->kind == FED_CENTRAL) o->n_steps *= job->n_hospitals;
}

static msfl_train_options options_for(const fed_job *job, const fed_track *track, uint32_t who, const fed_member *m) {
    msfl_train_options o = job->options->train;
    o.seed = job_train_seed(job->options->seed, who);
    o.first_epoch = m->n_epochs;
    o.learning_rate = (float)track->course.learning_rate;
    if (track->n_members == 1) alone(job, track, &o);
    o.augment = job->options->augment;
    return o;
}

static void count(const fed_job *job, const msfl_indices *images, uint32_t counts[MSFL_CLASSES_MAX]) {
    memset(counts, 0, MSFL_CLASSES_MAX * sizeof *counts);
    for (uint32_t i = 0; i < images->n; i++)
        counts[msfl_dataset_label(job->dataset, images->at[i])]++;
}

msfl_status fed_member_train(const fed_job *job, const fed_track *track, fed_member *m, uint32_t who, int32_t client,
                             const msfl_indices *images, float *weights, msfl_train_result *result) {
    relay r = {job, track};
    const msfl_observer observer = {.observe = forward, .ctx = &r, .cancel = job->observer.cancel};
    msfl_train_options options = options_for(job, track, who, m);
    const uint32_t n_classes = msfl_dataset_info_borrow(job->dataset)->n_classes;
    uint32_t counts[MSFL_CLASSES_MAX];
    float class_weights[MSFL_CLASSES_MAX], offsets[MSFL_CLASSES_MAX];
    if (job->options->balance || job->options->logit_adjustment > 0) count(job, images, counts);
    if (job->options->balance) {
        job_balance(counts, n_classes, class_weights);
        options.class_weights = class_weights;
    }
    if (job->options->logit_adjustment > 0) {
        job_logit_offsets(counts, n_classes, job->options->logit_adjustment, offsets);
        options.logit_offsets = offsets;
    }
    fed_samples storage;
    const msfl_samples samples = fed_samples_of(job, images, &storage);
    msfl_trainer *trainer = fed_workers_acquire(job->workers);
    msfl_status status = msfl_trainer_state_load(trainer, m->state, m->state_bytes);
    if (status == MSFL_OK) {
        status = msfl_train(trainer, &options, &samples, weights, &observer, track->name, client, result);
    }
    if (status == MSFL_OK) {
        uint8_t *state;
        size_t length;
        status = msfl_trainer_state_save(trainer, &state, &length);
        if (status == MSFL_OK) {
            msfl_bytes_free(m->state);
            m->state = state;
            m->state_bytes = length;
            m->n_epochs += options.n_epochs;
        }
    }
    fed_workers_release(job->workers, trainer);
    return status;
}

msfl_status fed_members_copy(const fed_track *track, fed_member **out) {
    fed_member *copy = msfl_alloc(track->n_members, sizeof *copy);
    *out = copy;
    if (copy == NULL) return MSFL_ERR_MEMORY;
    for (uint32_t i = 0; i < track->n_members; i++) {
        const fed_member *m = &track->members[i];
        copy[i].n_epochs = m->n_epochs;
        if (track->n_norms > 0) {
            copy[i].norms = msfl_alloc(track->n_norms, sizeof *copy[i].norms);
            copy[i].best_norms = msfl_alloc(track->n_norms, sizeof *copy[i].best_norms);
            if (copy[i].norms == NULL || copy[i].best_norms == NULL) return MSFL_ERR_MEMORY;
            memcpy(copy[i].norms, m->norms, track->n_norms * sizeof *m->norms);
            memcpy(copy[i].best_norms, m->best_norms, track->n_norms * sizeof *m->norms);
        }
        if (m->state == NULL) continue;
        copy[i].state = msfl_alloc(m->state_bytes, 1);
        if (copy[i].state == NULL) return MSFL_ERR_MEMORY;
        memcpy(copy[i].state, m->state, m->state_bytes);
        copy[i].state_bytes = m->state_bytes;
    }
    return MSFL_OK;
}
