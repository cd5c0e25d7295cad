/* What parties say of themselves. It is for the screen; one thing is acted on, that somebody stays out of a round, and
 * that is remembered: a party says it once. */
#include "base/error.h"
#include "base/mem.h"
#include "coordinator/engine_private.h"
#include "pki/round.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void key_of(const coord_entry *j, char key[JOB_ID_MAX + 16]) {
    (void)snprintf(key, JOB_ID_MAX + 16, "job/%s/out", j->job->id);
}

bool coord_stays_out(const coord_report *r, uint32_t round) {
    if (r->at_ms == 0 || (r->round != 0 && r->round != round)) return false;
    return strcmp(r->state, "refused") == 0 || strcmp(r->state, "failed") == 0 ||
           (strcmp(r->state, "waiting") == 0 && r->text[0] != 0);
}

/* Whether a party has said that nothing will come of the job here. A hospital that counts its sums of a day may take
 * part tomorrow; what failed in one round may work in the next. */
static bool is_out_for_good(const coord_report *r) {
    if (r->at_ms == 0) return false;
    if (strcmp(r->state, "refused") == 0) return strcmp(r->text, "policy sums_per_day") != 0;
    return strcmp(r->state, "failed") == 0 && r->round == 0;
}

bool coord_nobody_is_left(const coord_entry *j, uint32_t n_hospitals, char why[COORD_WHY_MAX + 1]) {
    bool all = n_hospitals > 0 && n_hospitals <= j->n_reports, refused = true;
    for (uint32_t i = 0; all && i < n_hospitals; i++) {
        all = is_out_for_good(&j->reports[i]);
        refused = refused && strcmp(j->reports[i].state, "refused") == 0;
    }
    if (!all) return false;
    size_t used = (size_t)snprintf(why, COORD_WHY_MAX + 1, "%s",
                                   refused ? "every hospital refuses it" : "no hospital takes part");
    /* Each reason once, in the order of the roster; the first is cut where it is too long, later ones are left out. */
    for (uint32_t i = 0; i < n_hospitals; i++) {
        const char *text = j->reports[i].text[0] != 0 ? j->reports[i].text : j->reports[i].state;
        uint32_t k = 0;
        while (k < i && strcmp(j->reports[k].text, j->reports[i].text) != 0)
            k++;
        if (k < i || (i > 0 && used + 2 + strlen(text) > COORD_WHY_MAX)) continue;
        (void)snprintf(why + used, COORD_WHY_MAX + 1 - used, "%s%s", i == 0 ? ": " : "; ", text);
        used = strlen(why);
    }
    return true;
}

void coord_reports_clear(coord_entry *j) {
    for (uint32_t i = 0; i < j->n_reports; i++)
        if (!coord_stays_out(&j->reports[i], 0)) j->reports[i] = (coord_report){0};
}

/** With the lock: number of the round, then who stays out of it and since which round of the course. */
static void put_out(const coord_entry *j, uint32_t round, msfl_buffer *b) {
    msfl_put64(b, j->job->number);
    for (uint32_t i = 0; i < j->n_reports; i++) {
        const coord_report *r = &j->reports[i];
        if (!coord_stays_out(r, round)) continue;
        msfl_put32(b, i);
        msfl_put32(b, r->round);
        msfl_put64(b, r->at_ms);
        msfl_put_bytes(b, r->state, sizeof r->state);
        msfl_put_bytes(b, r->text, sizeof r->text);
    }
}

msfl_status coord_reports_load(coord_engine *e, coord_entry *j) {
    char key[JOB_ID_MAX + 16];
    uint8_t *bytes;
    size_t length;
    key_of(j, key);
    msfl_status status = store_get(e->o.store, key, &bytes, &length);
    if (status != MSFL_OK || bytes == NULL) return status;
    msfl_reader r = msfl_reader_init(bytes, length);
    const bool same = msfl_get64(&r) == j->job->number && j->job->open;
    pthread_mutex_lock(&e->lock);
    while (same && !r.failed && msfl_reader_left(&r) > 0) {
        coord_report report = {.progress = NAN};
        const uint32_t party = msfl_get32(&r);
        report.round = msfl_get32(&r);
        report.at_ms = msfl_get64(&r);
        const uint8_t *state = msfl_get_bytes(&r, sizeof report.state), *text = msfl_get_bytes(&r, sizeof report.text);
        if (r.failed || party >= j->n_reports) break;
        memcpy(report.state, state, sizeof report.state - 1);
        memcpy(report.text, text, sizeof report.text - 1);
        j->reports[party] = report;
    }
    pthread_mutex_unlock(&e->lock);
    msfl_free(bytes);
    return MSFL_OK;
}

msfl_status coord_engine_report(coord_engine *e, const char *id, const char *name, const coord_report *report) {
    static const char *const states[] = {"waiting",   "downloading", "training", "encrypting",
                                         "uploading", "evaluating",  "refused",  "failed"};
    static pthread_mutex_t one_by_one = PTHREAD_MUTEX_INITIALIZER; /* the list is written whole */
    char key[JOB_ID_MAX + 16];
    uint32_t party;
    msfl_buffer out = {0};
    bool known = false;
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        known |= strcmp(states[i], report->state) == 0;
    if (!known) return msfl_fail(MSFL_ERR_FORMAT, "'%s' is no state of a party", report->state);
    msfl_status status = coord_engine_party(e, id, name, &party);
    if (status != MSFL_OK) return status;
    pthread_mutex_lock(&one_by_one);
    pthread_mutex_lock(&e->lock);
    coord_entry *j = coord_find(e, id);
    bool keep = false;
    if (party < j->n_reports) {
        const uint32_t round = coord_job_plan(j->job).round;
        j->reports[party] = *report;
        j->reports[party].at_ms = coord_now_ms();
        keep = j->job->open && coord_stays_out(&j->reports[party], round);
        if (keep) put_out(j, round, &out);
    }
    e->version++;
    if (keep) {
        e->due = true;
        pthread_cond_broadcast(&e->work);
    }
    pthread_mutex_unlock(&e->lock);
    key_of(j, key);
    if (keep) status = out.status;
    if (keep && status == MSFL_OK) status = store_put(e->o.store, key, out.bytes, out.length);
    pthread_mutex_unlock(&one_by_one);
    msfl_buffer_clear(&out);
    return status;
}
