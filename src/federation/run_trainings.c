/* The trainings of a run, in an order that is fixed. */
#include "base/file.h"
#include "base/mem.h"
#include "base/observe.h"
#include "federation/rounds.h"
#include "federation/run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static msfl_status write_metrics(const fed_run *r) {
    char *path = NULL, *text = NULL;
    msfl_status status = fed_metrics_lines(&r->job, &r->tracks, &text);
    if (status == MSFL_OK) status = fed_run_path(r, "metrics.jsonl", &path);
    if (status == MSFL_OK) status = msfl_file_write(path, text, strlen(text));
    msfl_free(path);
    msfl_free(text);
    return status;
}

/* Where a training's checkpoint lies, and what it is bound to. */
static const char *track_folder(const fed_run *r, fed_track_kind kind) {
    return kind == FED_CENTRAL && r->options.central != NULL ? r->options.central : r->options.out;
}

static const uint8_t *track_hash(const fed_run *r, fed_track_kind kind) {
    return kind == FED_CENTRAL ? r->central_hash : r->config_hash;
}

static void announce_round(const fed_run *r, const fed_track *t) {
    const fed_record *record = &t->records[t->n_records - 1];
    char text[256], loss[40] = "no validation figures", test[40] = "";
    if (!isnan(record->validation_loss)) snprintf(loss, sizeof loss, "validation loss %.4f", record->validation_loss);
    if (!isnan(record->test_auc)) { /* not defined where a class is missing */
        snprintf(test, sizeof test, ", test %s %.4f", r->job.is_pixelwise ? "Dice" : "AUC", record->test_auc);
    }
    int n = snprintf(text, sizeof text, "%s%s", loss, test);
    if (t->kind == FED_ENCRYPTED && n > 0 && (size_t)n < sizeof text) {
        snprintf(text + n, sizeof text - (size_t)n, ", sum %s, %.0f of %u hospitals, crypto %.1f ms of %.0f ms",
                 record->sum_exact == 1 ? "exact" : "NOT EXACT", record->cohort, r->job.n_hospitals,
                 record->ms_quantise + record->ms_encrypt + record->ms_fold + record->ms_open, record->ms_wall);
    }
    const msfl_event event = {.kind = MSFL_EVENT_ROUND_DONE,
                              .track = t->name,
                              .client = t->kind == FED_ALONE ? (int32_t)t->hospital : -1,
                              .round = t->n_records,
                              .n_rounds = t->n_rounds,
                              .loss = record->validation_loss,
                              .text = text};
    msfl_observe(&r->job.observer, &event);
}

static msfl_status run_track(fed_run *r, fed_track *t) {
    const fed_job *job = &r->job;
    while (fed_track_wants_more(t)) {
        msfl_status status = msfl_check_cancel(&job->observer);
        if (status == MSFL_OK) {
            switch (t->kind) {
            case FED_ENCRYPTED:
            case FED_PLAIN:
                status = fed_round_federated(job, t);
                break;
            case FED_CENTRAL:
                status = fed_round_solo(job, t, &job->split.train, &job->split.validation);
                break;
            case FED_ALONE:
                status =
                    fed_round_solo(job, t, &job->hospitals[t->hospital].train, &job->hospitals[t->hospital].validation);
                break;
            }
        }
        if (status == MSFL_OK) status = fed_track_save(t, track_folder(r, t->kind), track_hash(r, t->kind));
        if (status != MSFL_OK) return status;
        if (t->kind != FED_ALONE) {
            status = write_metrics(r);
            if (status != MSFL_OK) return status;
        }
        if (t->n_records > 0) announce_round(r, t);
    }
    return MSFL_OK;
}

static msfl_status run_alone(void *ctx, size_t k) {
    fed_run *r = ctx;
    return run_track(r, &r->tracks.alone[k]);
}

static msfl_status begin(fed_run *r, fed_track *t, fed_track_kind kind, uint32_t hospital, bool wanted) {
    if (!wanted) return MSFL_OK;
    msfl_status status = fed_track_init(t, &r->job, kind, hospital);
    return status == MSFL_OK ? fed_track_restore(t, track_folder(r, kind), track_hash(r, kind)) : status;
}

msfl_status fed_run_begin(fed_run *r) {
    const uint32_t compare = r->options.compare;
    const bool encrypts = r->job.encrypts;
    r->tracks.alone = msfl_alloc(r->job.n_hospitals, sizeof *r->tracks.alone);
    if (r->tracks.alone == NULL) return MSFL_ERR_MEMORY;
    msfl_status status = begin(r, &r->tracks.encrypted, FED_ENCRYPTED, 0, encrypts);
    if (status == MSFL_OK)
        status = begin(r, &r->tracks.plain, FED_PLAIN, 0, !encrypts || (compare & MSFL_COMPARE_PLAIN));
    if (status == MSFL_OK) status = begin(r, &r->tracks.central, FED_CENTRAL, 0, compare & MSFL_COMPARE_CENTRAL);
    for (uint32_t k = 0; k < r->job.n_hospitals && status == MSFL_OK; k++) {
        status = begin(r, &r->tracks.alone[k], FED_ALONE, k, compare & MSFL_COMPARE_ALONE);
    }
    return status;
}

msfl_status fed_run_train(fed_run *r) {
    const bool encrypts = r->job.encrypts;
    const char *const phases[] = {"federation, encrypted",
                                  encrypts ? "for comparison: federation without encryption"
                                           : "federation, NOT encrypted (scheme 'plain')",
                                  "for comparison: all images in one place", "for comparison: each hospital alone"};
    const uint32_t n_phases = (r->tracks.encrypted.n_members > 0) + (r->tracks.plain.n_members > 0) +
                              (r->tracks.central.n_members > 0) + ((r->options.compare & MSFL_COMPARE_ALONE) != 0);
    uint32_t phase = 0;
    const msfl_observer *observer = &r->job.observer;
    fed_track *const list[] = {&r->tracks.encrypted, &r->tracks.plain, &r->tracks.central};
    for (int i = 0; i < 3; i++) {
        if (list[i]->n_members == 0) continue;
        phase++;
        if (!fed_track_wants_more(list[i])) continue;
        msfl_observe_text(observer, MSFL_EVENT_PHASE, list[i]->name, "part %u of %u, %s", phase, n_phases, phases[i]);
        msfl_status status = run_track(r, list[i]);
        if (status != MSFL_OK) return status;
        /* The model is worth having before the comparisons are done. */
        if (list[i] == fed_tracks_main(&r->job, &r->tracks)) {
            status = fed_run_save_model(r, "agg_model.h5", list[i]->best);
            if (status == MSFL_OK) status = fed_run_save_model(r, "agg_model_last.h5", list[i]->weights);
            if (status != MSFL_OK) return status;
        }
    }
    if (!(r->options.compare & MSFL_COMPARE_ALONE)) return MSFL_OK;
    msfl_observe_text(observer, MSFL_EVENT_PHASE, "alone", "part %u of %u, %s", n_phases, n_phases, phases[3]);
    msfl_status status = msfl_pool_run(fed_workers_pool(r->job.workers), r->job.n_hospitals, run_alone, r);
    return status == MSFL_OK ? write_metrics(r) : status;
}
