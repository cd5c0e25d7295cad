/* Samples, batch after batch: into the set's files, and what is to be known of all of them is set aside. */
#include "import/job.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"

#include <math.h>
#include <string.h>

static uint32_t *slot_of(const msfl_import_job *job, const uint8_t patient[MSFL_PSEUDONYM_BYTES]) {
    size_t at = (size_t)msfl_load64(patient) & (job->n_slots - 1);
    while (job->slots[at] != 0 &&
           memcmp(msfl_import_patient(job, job->slots[at] - 1), patient, MSFL_PSEUDONYM_BYTES) != 0)
        at = (at + 1) & (job->n_slots - 1);
    return &job->slots[at];
}

/* The bunch of the patient with this pseudonym; a new one if need be. */
static msfl_status bunch_of(msfl_import_job *job, const uint8_t patient[MSFL_PSEUDONYM_BYTES], uint32_t *bunch) {
    enum { SLOTS_FIRST = 64 };
    if (2 * (job->patients.n + 1) > job->n_slots) {
        const size_t n_slots = job->n_slots == 0 ? SLOTS_FIRST : 2 * job->n_slots;
        uint32_t *slots = msfl_alloc(n_slots, sizeof *slots);
        if (slots == NULL) return MSFL_NO_MEMORY;
        msfl_free(job->slots);
        job->slots = slots;
        job->n_slots = n_slots;
        for (uint32_t i = 0; i < job->patients.n; i++)
            *slot_of(job, msfl_import_patient(job, i)) = i + 1;
    }
    uint32_t *slot = slot_of(job, patient);
    if (*slot == 0) {
        uint8_t *row = msfl_rows_add(&job->patients, MSFL_PSEUDONYM_BYTES);
        if (row == NULL) return MSFL_NO_MEMORY;
        memcpy(row, patient, MSFL_PSEUDONYM_BYTES);
        *slot = (uint32_t)job->patients.n;
    }
    *bunch = *slot - 1;
    return MSFL_OK;
}

/* One spacing for the set, or none. */
static void note_spacing(msfl_import_job *job, const msfl_pictures *p) {
    bool same = p->slices != NULL;
    for (int i = 0; i < 3; i++)
        same &= p->spacing[i] > 0 && (job->n_samples == 0 || fabs(p->spacing[i] / job->spacing[i] - 1) < 1e-3);
    for (int i = 0; i < 3 && (job->n_samples == 0 || !same); i++)
        job->spacing[i] = same ? p->spacing[i] : 0;
}

static msfl_status take(msfl_import_job *job, size_t item_number, const msfl_outcome *o) {
    const msfl_item *item = &job->items.list[item_number];
    const msfl_pictures *p = &o->result.pictures;
    uint32_t bunch = 0;
    if (job->n + p->n > MSFL_IMAGES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "more than %d pictures; at most that many make a set", MSFL_IMAGES_MAX);
    }
    msfl_status status = msfl_store_add(job->store, p->samples, p->masks, p->n);
    if (status == MSFL_OK) status = bunch_of(job, o->result.patient, &bunch);
    if (status != MSFL_OK) return status;
    note_spacing(job, p);
    for (uint32_t i = 0; i < p->n && status == MSFL_OK; i++) {
        msfl_picture_row row = {.bunch = bunch, .label = item->label, .part = item->part};
        if (p->slices != NULL) {
            row.volume = (uint32_t)job->n_samples + 1;
            row.slice = (uint16_t)(p->slices[i] < UINT16_MAX ? p->slices[i] : UINT16_MAX); /* sides are far below */
        }
        status = msfl_spill_add(job->pictures, &row);
        if (status == MSFL_OK) status = msfl_prints_add(job->prints, &o->result.prints[i], bunch);
    }
    const msfl_sample_row row = {.facts = o->result.facts, .label = item->label};
    if (status == MSFL_OK) status = msfl_spill_add(job->samples, &row);
    job->n += p->n;
    job->n_samples++;
    job->n_clipped += p->n_clipped;
    job->n_from_cache += o->from_cache;
    job->some_by_header |= o->result.has_patient;
    return status;
}

static msfl_status skip(msfl_import_job *job, const msfl_outcome *o) {
    enum { TOLD_MAX = 1000 };
    if (job->o->refuse_bad) {
        msfl_status status = msfl_fail(o->status, "%s", o->reason);
        return msfl_fail_in(status, "a broken image, and broken images are to be refused");
    }
    if (job->n_skipped++ < TOLD_MAX) {
        msfl_observe_text(job->o->observer, MSFL_EVENT_WARNING, "data", "skipped: %s", o->reason);
    }
    return MSFL_OK;
}

static msfl_status process(void *ctx, size_t i) {
    msfl_import_job *job = ctx;
    msfl_status status = msfl_progress_step(&job->progress, 1);
    return status != MSFL_OK ? status : msfl_import_sample(job, job->batch_first + i, &job->outcomes[i]);
}

static void outcome_clear(msfl_outcome *o) {
    msfl_result_clear(&o->result);
    msfl_free(o->reason);
    *o = (msfl_outcome){0};
}

msfl_status msfl_import_run(msfl_import_job *job) {
    enum { PICTURES = 64, VOLUMES = 4 }; /* for each thread */
    size_t most = (size_t)(job->recipe.volumes ? VOLUMES : PICTURES) * msfl_pool_threads(job->pool), n = job->items.n;
    if (job->arrays != NULL) {
        msfl_status status = msfl_arrays_room(job->arrays, &most);
        if (status != MSFL_OK) return status;
    }
    job->outcomes = msfl_alloc(most, sizeof *job->outcomes);
    if (job->outcomes == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_spill_new(job->o->out, sizeof(msfl_picture_row), &job->pictures);
    if (status == MSFL_OK) status = msfl_spill_new(job->o->out, sizeof(msfl_sample_row), &job->samples);
    if (status == MSFL_OK) status = msfl_prints_new(job->o->out, &job->prints);
    if (status != MSFL_OK) return status;
    msfl_progress_init(&job->progress, job->o->observer, "importing", n);
    for (; job->batch_first < n && status == MSFL_OK; job->batch_first += most) {
        size_t batch = n - job->batch_first < most ? n - job->batch_first : most;
        if (job->arrays != NULL) {
            status = msfl_arrays_hold(job->arrays, job->items.list + job->batch_first, batch);
        }
        if (status == MSFL_OK) status = msfl_pool_run(job->pool, batch, process, job);
        for (size_t i = 0; i < batch; i++) {
            msfl_outcome *o = &job->outcomes[i];
            if (status == MSFL_OK) status = o->status != MSFL_OK ? skip(job, o) : take(job, job->batch_first + i, o);
            outcome_clear(o);
        }
    }
    msfl_progress_clear(&job->progress);
    if (status == MSFL_OK && job->arrays != NULL) status = msfl_arrays_end(job->arrays);
    /* What is left to do needs neither, and memory of its own. */
    msfl_items_made(&job->items);
    msfl_free(job->slots);
    job->slots = NULL;
    job->n_slots = 0;
    return status;
}
