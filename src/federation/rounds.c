#include "federation/rounds.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "base/sodium.h"
#include "federation/channels.h"
#include "federation/member.h"
#include "federation/scoring.h"
#include "job/norms.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* --- how weights do --- */

/* Test figures for the curves; the final ones, with intervals, are computed from the best weights at the end. */
static msfl_status score_test(const fed_job *job, const float *weights, fed_record *record) {
    fed_scores scores;
    msfl_trainer *trainer = fed_workers_acquire(job->workers);
    msfl_status status = fed_score(job, trainer, weights, &job->split.test, 1, &scores);
    fed_workers_release(job->workers, trainer);
    if (status != MSFL_OK) return status;
    json_t *figures;
    status = fed_scores_json(&scores, 0, 0, false, &figures);
    if (status == MSFL_OK) {
        const json_t *auc = json_object_get(figures, job->is_pixelwise ? "dice" : "auc");
        record->test_auc = json_is_number(auc) ? json_number_value(auc) : NAN;
        record->test_accuracy = json_number_value(json_object_get(figures, "accuracy"));
        json_decref(figures);
    }
    fed_scores_clear(&scores);
    return status;
}

static void set_validation(const fed_job *job, fed_record *record, const uint64_t counters[JOB_EVAL_COUNTERS]) {
    double n = (double)counters[JOB_EVAL_N];
    if (n == 0) return;
    record->validation_loss = (double)counters[JOB_EVAL_LOSS] / JOB_LOSS_ONE / n;
    record->validation_accuracy = (double)counters[JOB_EVAL_CORRECT] / n;
    record->validation_auc = job->is_pixelwise ? job_counters_dice(counters) : job_counters_auc(counters);
}

/* --- a federated round --- */

typedef struct federated {
    const fed_job *job;
    fed_track *track;
    fed_member *members; /* working copies, committed with the round */
    fed_sum *updates, *evaluation;
    float *weights; /* the new global weights, once there are some */
    float *moments; /* what is carried beside them */
    float *clip;    /* the next round's bounds */
    _Atomic uint64_t ns_train, ns_evaluate;
} federated;

static msfl_status submit_update(federated *f, uint32_t k, const float *trained, float *delta,
                                 const msfl_train_result *result) {
    const fed_job *job = f->job;
    const job_sent *sent = &job->sent;
    job_sent_difference(sent, trained, f->track->weights, delta);
    uint64_t counters[JOB_UPDATE_COUNTERS - 1];
    job_update_counters(result, job_count_clipped(sent->counts, sent->n_tensors, f->track->clip, delta), counters);
    const msfl_update_input input = {.values = delta,
                                     .n_samples = job->hospitals[k].train.n,
                                     .counters = counters,
                                     .rounding_seed = job_rounding_seed(job->options->seed, k, f->track->n_records)};
    return fed_sum_submit(f->updates, k, &input);
}

static msfl_status hospital_trains(void *ctx, size_t index) {
    federated *f = ctx;
    const fed_job *job = f->job;
    const uint32_t k = (uint32_t)index;
    const fed_hospital *hospital = &job->hospitals[k];
    uint64_t n = f->track->n_values;
    msfl_status status = msfl_check_cancel(&job->observer);
    if (status != MSFL_OK) return status;
    float *trained = msfl_alloc(n, sizeof *trained);
    float *delta = msfl_alloc(n, sizeof *delta);
    msfl_train_result result;
    if (trained == NULL || delta == NULL) {
        status = MSFL_ERR_MEMORY;
        goto done;
    }
    memcpy(trained, f->track->weights, n * sizeof *trained);
    if (f->track->n_norms > 0) job_norms_put(job->model, f->members[k].norms, trained);
    uint64_t t0 = msfl_now_ns();
    status = fed_member_train(job, f->track, &f->members[k], k, (int32_t)k, &hospital->train, trained, &result);
    atomic_fetch_add(&f->ns_train, msfl_now_ns() - t0);
    if (status == MSFL_OK) status = submit_update(f, k, trained, delta, &result);
    if (status == MSFL_OK && f->track->n_norms > 0) job_norms_take(job->model, trained, f->members[k].norms);
    if (status == MSFL_ERR_NUMERIC) {
        /* This hospital drops out of the round; nothing of it is in the sum. It starts afresh in the next. */
        msfl_observe_text(&job->observer, MSFL_EVENT_WARNING, f->track->name, "%s left round %u: %s", hospital->name,
                          f->track->n_records + 1, msfl_error_message());
        msfl_bytes_free(f->members[k].state);
        f->members[k].state = NULL;
        f->members[k].state_bytes = 0;
        f->members[k].n_epochs += job->options->train.n_epochs;
        status = MSFL_OK;
    }
done:
    if (trained != NULL) msfl_wipe(trained, n * sizeof *trained);
    if (delta != NULL) msfl_wipe(delta, n * sizeof *delta);
    msfl_free(trained);
    msfl_free(delta);
    return status;
}

static msfl_status hospital_evaluates(void *ctx, size_t index) {
    federated *f = ctx;
    const fed_job *job = f->job;
    fed_scores scores;
    /* A hospital without validation images stays out: it would count towards the cohort and hide nobody. */
    if (job->hospitals[index].validation.n == 0) return MSFL_OK;
    uint64_t t0 = msfl_now_ns();
    msfl_status status =
        fed_score_member(job, f->weights, f->members[index].norms, &job->hospitals[index].validation, 1, &scores);
    if (status != MSFL_OK) return status;
    uint64_t counters[JOB_EVAL_COUNTERS];
    fed_scores_counters(&scores, counters);
    fed_scores_clear(&scores);
    atomic_fetch_add(&f->ns_evaluate, msfl_now_ns() - t0);
    const msfl_update_input input = {.n_samples = counters[JOB_EVAL_CLIENTS], .counters = counters + 1};
    return fed_sum_submit(f->evaluation, (uint32_t)index, &input);
}

static void hash_weights(const fed_job *job, const float *weights, uint8_t out[MSFL_HASH_BYTES]) {
    uint8_t architecture[MSFL_HASH_BYTES];
    msfl_hash h;
    msfl_model_hash(job->model, architecture);
    msfl_hash_init(&h, "msfl.global.v1");
    msfl_hash_add(&h, architecture, sizeof architecture);
    msfl_hash_add_field(&h, weights, msfl_model_info_borrow(job->model)->n_values * sizeof *weights);
    msfl_hash_final(&h, out);
}

static void step_server(federated *f, const float *mean) {
    const fed_track *track = f->track;
    const job_aggregate *rule = f->job->aggregate;
    const job_stride stride = fed_track_stride(track, f->job->options);
    if (track->n_moments > 0) memcpy(f->moments, track->moments, track->n_moments * sizeof *f->moments);
    job_step(rule, f->weights, f->moments, track->weights, mean, 0, track->n_values, track->n_values, &stride);
}

static msfl_status aggregate_updates(federated *f, fed_record *record) {
    const fed_job *job = f->job;
    fed_track *track = f->track;
    uint8_t model_hash[MSFL_HASH_BYTES];
    msfl_update_range *ranges = msfl_alloc(track->n_tensors, sizeof *ranges);
    float *mean = msfl_alloc(track->n_values, sizeof *mean);
    msfl_status status = ranges == NULL || mean == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
    if (status != MSFL_OK) goto done;
    fed_sum_config config = fed_update_config(job, track->clip, ranges);
    config.channel = track->kind == FED_ENCRYPTED ? &job->updates : NULL;
    config.number = 2 * (uint64_t)track->n_records + 1;
    hash_weights(job, track->weights, model_hash);
    config.model = model_hash;
    status = fed_sum_new(&config, &f->updates);
    if (status != MSFL_OK) goto done;
    status = msfl_pool_run(fed_workers_pool(job->workers), job->n_hospitals, hospital_trains, f);
    if (status != MSFL_OK) goto done;
    uint64_t counters[JOB_UPDATE_COUNTERS];
    fed_sum_report r;
    status = fed_sum_finish(f->updates, mean, counters, &r);
    if (status != MSFL_OK) goto done;
    const job_clip_rule rule = fed_clip_rule(job);
    job_clip_next(&rule, track->clip, mean, counters[JOB_CLIPPED], r.cohort, f->clip);
    job_sent_spread(&job->sent, mean);
    step_server(f, mean);
    record->train_loss = (double)counters[JOB_LOSS] / JOB_LOSS_ONE / (double)counters[JOB_SEEN];
    record->train_accuracy = (double)counters[JOB_CORRECT] / (double)counters[JOB_SEEN];
    record->cohort = r.cohort;
    record->bytes_header = (double)r.bytes_header;
    record->bytes_down = (double)(track->n_values * sizeof(float) + FED_HEADER_BYTES);
    if (track->kind == FED_PLAIN) {
        record->bytes_plain = (double)(job->sent.n_values * sizeof(float));
        goto done;
    }
    /* In place of the model a hospital then receives what it makes the model of. */
    if (r.bytes_delivered > 0) record->bytes_down = (double)(r.bytes_delivered + FED_HEADER_BYTES);
    record->sum_exact = r.exact;
    record->max_error = r.max_error;
    record->error_bound = r.error_bound;
    record->clipped = (double)counters[JOB_CLIPPED];
    record->bytes_ciphertext = (double)r.bytes_ciphertext;
    record->bytes_bundle = (double)r.bytes_bundle;
    record->ms_quantise = (double)r.ns_quantise * 1e-6;
    record->ms_encrypt = (double)r.ns_encrypt * 1e-6;
    record->ms_fold = (double)r.ns_fold * 1e-6;
    record->ms_open = (double)r.ns_open * 1e-6;
done:
    msfl_free(ranges);
    msfl_free(mean);
    return status;
}

static msfl_status aggregate_evaluation(federated *f, fed_record *record) {
    const fed_job *job = f->job;
    uint8_t model_hash[MSFL_HASH_BYTES];
    fed_sum_config config = fed_evaluation_config(job);
    if (fed_validating_hospitals(job) < config.min_cohort) return MSFL_OK;
    hash_weights(job, f->weights, model_hash);
    config.model = model_hash;
    config.channel = f->track->kind == FED_ENCRYPTED ? &job->evaluation : NULL;
    config.number = 2 * (uint64_t)f->track->n_records + 2;
    msfl_status status = fed_sum_new(&config, &f->evaluation);
    if (status != MSFL_OK) return status;
    status = msfl_pool_run(fed_workers_pool(job->workers), job->n_hospitals, hospital_evaluates, f);
    if (status != MSFL_OK) return status;
    uint64_t counters[JOB_EVAL_COUNTERS];
    fed_sum_report r;
    status = fed_sum_finish(f->evaluation, NULL, counters, &r);
    if (status != MSFL_OK) return status;
    set_validation(job, record, counters);
    record->bytes_header += (double)r.bytes_header;
    if (f->track->kind == FED_PLAIN) return MSFL_OK;
    record->sum_exact = record->sum_exact != 0 && r.exact;
    record->bytes_ciphertext += (double)r.bytes_ciphertext;
    record->bytes_down += (double)r.bytes_delivered;
    record->bytes_bundle += (double)r.bytes_bundle;
    record->ms_quantise += (double)r.ns_quantise * 1e-6;
    record->ms_encrypt += (double)r.ns_encrypt * 1e-6;
    record->ms_fold += (double)r.ns_fold * 1e-6;
    record->ms_open += (double)r.ns_open * 1e-6;
    return MSFL_OK;
}

msfl_status fed_round_federated(const fed_job *job, fed_track *track) {
    federated f = {.job = job, .track = track};
    fed_record record = fed_record_empty();
    uint64_t t0 = msfl_now_ns();
    if (track->n_records == 0) {
        const job_clip_rule rule = fed_clip_rule(job);
        job_clip_init(&rule, track->clip);
    }
    msfl_status status = fed_members_copy(track, &f.members);
    if (status != MSFL_OK) goto done;
    f.weights = msfl_alloc(track->n_values, sizeof *f.weights);
    f.clip = msfl_alloc(track->n_tensors, sizeof *f.clip);
    f.moments = msfl_alloc(track->n_moments, sizeof *f.moments);
    if (f.weights == NULL || f.clip == NULL || (f.moments == NULL && track->n_moments > 0)) {
        status = MSFL_ERR_MEMORY;
        goto done;
    }
    record.round = track->n_records + 1;
    record.learning_rate = track->course.learning_rate;
    status = aggregate_updates(&f, &record);
    if (status == MSFL_OK) status = aggregate_evaluation(&f, &record);
    if (status != MSFL_OK) {
        status = msfl_fail_in(status, "round %u", track->n_records + 1);
        goto done;
    }
    record.ms_train = (double)f.ns_train * 1e-6;
    record.ms_evaluate = (double)f.ns_evaluate * 1e-6;
    record.ms_wall = (double)(msfl_now_ns() - t0) * 1e-6;
    status = score_test(job, f.weights, &record);
    if (status != MSFL_OK) goto done;
    memcpy(track->weights, f.weights, track->n_values * sizeof *f.weights);
    if (track->n_moments > 0) memcpy(track->moments, f.moments, track->n_moments * sizeof *f.moments);
    memcpy(track->clip, f.clip, track->n_tensors * sizeof *f.clip);
    fed_member *before = track->members;
    track->members = f.members;
    f.members = before;
    fed_track_record(track, &record);
done:
    fed_sum_free(f.updates);
    fed_sum_free(f.evaluation);
    fed_members_free(f.members, track->n_members);
    msfl_free(f.weights);
    msfl_free(f.moments);
    msfl_free(f.clip);
    return status;
}

/* --- a round of a single party --- */

msfl_status fed_round_solo(const fed_job *job, fed_track *track, const msfl_indices *train,
                           const msfl_indices *validation) {
    const bool central = track->kind == FED_CENTRAL;
    fed_record record = fed_record_empty();
    msfl_train_result result;
    fed_scores scores;
    uint64_t t0 = msfl_now_ns();
    float *weights = msfl_alloc(track->n_values, sizeof *weights);
    float *average = msfl_alloc(track->n_moments, sizeof *average);
    if (weights == NULL || (average == NULL && track->n_moments > 0)) {
        msfl_free(weights);
        msfl_free(average);
        return MSFL_ERR_MEMORY;
    }
    memcpy(weights, track->weights, track->n_values * sizeof *weights);
    if (track->n_moments > 0) memcpy(average, track->moments, track->n_moments * sizeof *average);
    msfl_status status = fed_member_train(job, track, &track->members[0], central ? UINT32_MAX : track->hospital,
                                          central ? -1 : (int32_t)track->hospital, train, weights, &result);
    if (status == MSFL_ERR_NUMERIC) {
        track->course.stopped = true;
        snprintf(track->course.why, sizeof track->course.why, "round %u: %s", track->n_records + 1,
                 msfl_error_message());
        msfl_observe_text(&job->observer, MSFL_EVENT_WARNING, track->name, "training ended early: %s",
                          track->course.why);
        msfl_free(weights);
        msfl_free(average);
        return MSFL_OK;
    }
    if (status != MSFL_OK) goto done;
    const job_stride stride = fed_track_stride(track, job->options);
    job_average(weights, average, track->n_values, &stride);
    record.ms_train = (double)(msfl_now_ns() - t0) * 1e-6;
    msfl_trainer *trainer = fed_workers_acquire(job->workers);
    status = fed_score(job, trainer, weights, validation, 1, &scores);
    fed_workers_release(job->workers, trainer);
    if (status != MSFL_OK) goto done;
    uint64_t counters[JOB_EVAL_COUNTERS];
    fed_scores_counters(&scores, counters);
    fed_scores_clear(&scores);
    set_validation(job, &record, counters);
    record.ms_wall = (double)(msfl_now_ns() - t0) * 1e-6;
    record.round = track->n_records + 1;
    record.learning_rate = track->course.learning_rate;
    record.train_loss = result.loss;
    record.train_accuracy = (double)result.n_correct / (double)result.n_seen;
    status = score_test(job, weights, &record);
    if (status != MSFL_OK) goto done;
    memcpy(track->weights, weights, track->n_values * sizeof *weights);
    if (track->n_moments > 0) memcpy(track->moments, average, track->n_moments * sizeof *average);
    fed_track_record(track, &record);
done:
    msfl_free(weights);
    msfl_free(average);
    return status;
}
