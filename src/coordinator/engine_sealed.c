/* Sums that the hospitals open: the coordinator hands out answers and the folded ciphertext, and ends a round when
 * enough hospitals say that they opened the same. It never has a model, or a figure. docs/design/coordinator.md */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "base/sodium.h"
#include "coordinator/engine_private.h"
#include "pki/round.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

enum {
    PRESENT_MS = 40000, /* a long poll lasts 25 s */
    OTHERS_MS = 3000,   /* once enough agree, the others are waited for so long: later they catch up */
    CLAIM_BYTES = 8 + 4 + 4
};

bool coord_is_sealed(const coord_job *j) {
    return j->spec.delivery == MSFL_DELIVERY_CLIENTS;
}

msfl_status coord_sealed_fits(const coord_job *j, const msfl_roster *roster) {
    const job_clip_rule clip = coord_job_clip_rule(j);
    if (strcmp(j->spec.scheme, "packed") != 0) {
        return msfl_fail(MSFL_ERR_PARAMS,
                         "delivery: clients is for scheme packed: in another the coordinator sees what "
                         "it adds");
    }
    if (job_clip_follows(&clip)) {
        return msfl_fail(MSFL_ERR_PARAMS,
                         "delivery: clients with %u bits: the clipping bounds would follow from the sums, and tell the "
                         "coordinator how large they are; set clip, or take 20 bits or more",
                         j->spec.value_bits);
    }
    if (roster != NULL && msfl_roster_borrow(roster)->custody == MSFL_CUSTODY_COORDINATOR) {
        return msfl_fail(MSFL_ERR_PARAMS,
                         "delivery: clients cannot be kept from a coordinator that holds the keys: the "
                         "roster's custody must be a committee or an authority");
    }
    return MSFL_OK;
}

/* --- files: FOLDER/sealed/TASK/ --- */

static char *folder_of(const coord_job *j) {
    char digits[17];
    msfl_hex(j->task, 8, digits);
    return msfl_format("%s/sealed/%s", j->folder, digits);
}

static char *sum_path(const coord_job *j, uint64_t number) {
    char *folder = folder_of(j), *path = folder == NULL ? NULL : msfl_format("%s/%08" PRIu64 ".sum", folder, number);
    msfl_free(folder);
    return path;
}

static char *delivery_path(const coord_job *j, uint64_t number, uint32_t party) {
    char *folder = folder_of(j),
         *path = folder == NULL ? NULL : msfl_format("%s/%08" PRIu64 ".%u.delivery", folder, number, party);
    msfl_free(folder);
    return path;
}

/** The folded sum as a file, whole or not at all: hospitals fetch it from there, also when the round is long over. */
static msfl_status keep_sum(coord_entry *j) {
    const job_plan plan = coord_job_plan(j->job);
    msfl_update_layout *layout = NULL;
    msfl_output *output = NULL;
    msfl_buffer chunk = {0};
    char *folder = folder_of(j->job), *path = sum_path(j->job, plan.number);
    msfl_status status = folder == NULL || path == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status != MSFL_OK || msfl_file_exists(path)) goto done;
    status = msfl_folder_make(folder);
    if (status == MSFL_OK) status = job_plan_layout(&plan, j->job->shape, &layout);
    if (status == MSFL_OK) status = msfl_output_open(path, MSFL_OUTPUT_REPLACE | MSFL_OUTPUT_PRIVATE, &output);
    const uint64_t n = layout == NULL ? 0 : coord_driver_chunks(j->driver, msfl_update_slots(layout));
    for (uint64_t c = 0; c < n && status == MSFL_OK; c++) {
        status = coord_driver_folded(j->driver, c, &chunk);
        if (status == MSFL_OK) status = msfl_output_write(output, chunk.bytes, chunk.length);
    }
    if (status == MSFL_OK) status = msfl_output_commit(output);
done:
    msfl_output_free(output);
    msfl_update_layout_free(layout);
    msfl_buffer_clear(&chunk);
    msfl_free(folder);
    msfl_free(path);
    return status;
}

static void drop_sum(const coord_job *j, uint64_t number) {
    char *path = sum_path(j, number);
    if (path != NULL) (void)unlink(path);
    msfl_free(path);
}

/** For hospitals that have not reported: they will ask for it when they are back. */
static msfl_status keep_deliveries(coord_entry *j, const coord_view *v) {
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; i < v->n_clients && status == MSFL_OK; i++) {
        if (v->clients[i].reported) continue;
        msfl_buffer frames = {0};
        char *path = delivery_path(j->job, j->job->number, i);
        status = path == NULL ? MSFL_NO_MEMORY : coord_driver_poll(j->driver, i, &frames);
        if (status == MSFL_OK) status = msfl_file_write_private(path, frames.bytes, frames.length);
        msfl_buffer_clear(&frames);
        msfl_free(path);
    }
    return status;
}

msfl_status coord_engine_folded(coord_engine *e, const char *id, uint64_t number, char **path, char etag[33]) {
    *path = NULL;
    pthread_mutex_lock(&e->lock);
    const coord_entry *j = coord_find(e, id);
    if (j != NULL) {
        *path = sum_path(j->job, number);
        msfl_hex(j->job->task, 8, etag);
        (void)snprintf(etag + 16, 17, "%016" PRIx64, number);
    }
    pthread_mutex_unlock(&e->lock);
    if (j == NULL) return msfl_fail(MSFL_ERR_MISSING, "there is no job %s", id);
    return *path == NULL ? MSFL_NO_MEMORY : MSFL_OK;
}

msfl_status coord_engine_delivery(coord_engine *e, const char *id, const char *name, uint64_t number, char **path) {
    uint32_t party;
    *path = NULL;
    msfl_status status = coord_engine_party(e, id, name, &party);
    if (status != MSFL_OK) return status;
    pthread_mutex_lock(&e->lock);
    const coord_entry *j = coord_find(e, id);
    *path = delivery_path(j->job, number, party);
    pthread_mutex_unlock(&e->lock);
    return *path == NULL ? MSFL_NO_MEMORY : MSFL_OK;
}

/* --- what hospitals say of the course --- */

static void claim_key(const coord_job *j, uint32_t party, char key[JOB_ID_MAX + 32]) {
    (void)snprintf(key, JOB_ID_MAX + 32, "job/%s/claim/%u", j->id, party);
}

msfl_status coord_sealed_load(coord_engine *e, coord_entry *j) {
    coord_claim *claims = msfl_alloc(j->n_reports, sizeof *claims);
    if (claims == NULL) return MSFL_NO_MEMORY;
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; i < j->n_reports && status == MSFL_OK; i++) {
        char key[JOB_ID_MAX + 32];
        uint8_t *bytes;
        size_t length;
        claim_key(j->job, i, key);
        status = store_get(e->o.store, key, &bytes, &length);
        if (status != MSFL_OK || bytes == NULL) continue;
        if (length == MSFL_HASH_BYTES + CLAIM_BYTES && memcmp(bytes, j->job->task, MSFL_HASH_BYTES) == 0) {
            msfl_reader r = msfl_reader_init(bytes + MSFL_HASH_BYTES, CLAIM_BYTES);
            claims[i].number = msfl_get64(&r);
            claims[i].more = msfl_get32(&r) != 0;
            claims[i].best = msfl_get32(&r);
        }
        msfl_free(bytes);
    }
    pthread_mutex_lock(&e->lock);
    msfl_free(j->claims);
    j->claims = claims;
    j->agreed_ms = 0;
    pthread_mutex_unlock(&e->lock);
    return status;
}

/** With the lock: whether it can be. */
static msfl_status check_claim(const coord_entry *j, uint32_t party, const coord_claim *claim) {
    const coord_job *job = j->job;
    if (!coord_is_sealed(job) || j->claims == NULL || party >= j->n_reports || !job->open ||
        job->number != claim->number || job->stage != JOB_EVALUATE) {
        return msfl_fail(MSFL_ERR_POLICY, "nothing is asked of round %" PRIu64 " of %s", claim->number, job->id);
    }
    const uint32_t done = job->course.n_done + 1;
    const bool last = done == job->spec.rule.n_rounds;
    const bool told = !claim->more && job->spec.test;
    if ((claim->more && last) || claim->best > done || told != (claim->best != 0)) {
        return msfl_fail(MSFL_ERR_MISMATCH, "this cannot follow from round %u of %s", done, job->id);
    }
    const coord_claim *before = &j->claims[party];
    if (before->number == claim->number && (before->more != claim->more || before->best != claim->best)) {
        return msfl_fail(MSFL_ERR_MISMATCH, "something else was said of round %" PRIu64 " before", claim->number);
    }
    return MSFL_OK;
}

msfl_status coord_engine_claim(coord_engine *e, const char *id, const char *name, uint64_t number, bool more,
                               uint32_t best) {
    static pthread_mutex_t one_by_one = PTHREAD_MUTEX_INITIALIZER; /* the first word stands */
    const coord_claim claim = {number, more, best};
    char key[JOB_ID_MAX + 32];
    msfl_buffer bytes = {0};
    uint32_t party;
    msfl_status status = coord_engine_party(e, id, name, &party);
    if (status != MSFL_OK) return status;
    pthread_mutex_lock(&one_by_one);
    pthread_mutex_lock(&e->lock);
    coord_entry *j = coord_find(e, id);
    status = check_claim(j, party, &claim);
    msfl_put_bytes(&bytes, j->job->task, MSFL_HASH_BYTES);
    pthread_mutex_unlock(&e->lock);
    msfl_put64(&bytes, number);
    msfl_put32(&bytes, more);
    msfl_put32(&bytes, best);
    claim_key(j->job, party, key);
    if (status == MSFL_OK) status = bytes.status;
    if (status == MSFL_OK) status = store_put(e->o.store, key, bytes.bytes, bytes.length);
    pthread_mutex_lock(&e->lock);
    if (status == MSFL_OK && j->claims != NULL && party < j->n_reports) {
        j->claims[party] = claim;
        e->due = true;
        pthread_cond_broadcast(&e->work);
    }
    pthread_mutex_unlock(&e->lock);
    pthread_mutex_unlock(&one_by_one);
    msfl_buffer_clear(&bytes);
    return status;
}

/** What all say who have said something; false while they are too few. `why`: names, where they differ. */
static bool agreed_claim(coord_engine *e, coord_entry *j, uint32_t min, coord_claim *out, char why[COORD_WHY_MAX + 1]) {
    uint32_t n = 0;
    pthread_mutex_lock(&e->lock);
    for (uint32_t i = 0; i < j->n_reports; i++) {
        const coord_claim *c = &j->claims[i];
        if (c->number != j->job->number) continue;
        if (n > 0 && (c->more != out->more || c->best != out->best)) {
            const char *name = pki_round_name(j->members->pki, i);
            (void)snprintf(why, COORD_WHY_MAX + 1,
                           "%s says something else of the course than others: their programs or "
                           "machines differ",
                           name == NULL ? "a hospital" : name);
        }
        if (n++ == 0) *out = *c;
    }
    pthread_mutex_unlock(&e->lock);
    return n >= min && why[0] == 0;
}

/** Whether somebody is connected who has not opened the sum yet. */
static bool others_are_here(coord_engine *e, const coord_entry *j, const coord_view *v, uint64_t now_ms) {
    bool here = false;
    pthread_mutex_lock(&e->lock);
    for (uint32_t i = 0; i < v->n_clients; i++) {
        const char *name = v->clients[i].reported ? NULL : pki_round_name(j->members->pki, i);
        for (uint32_t k = 0; name != NULL && k < e->n_seen; k++)
            here |= strcmp(e->seen[k].name, name) == 0 && now_ms < e->seen[k].at_ms + PRESENT_MS;
    }
    pthread_mutex_unlock(&e->lock);
    return here;
}

/* --- the end of a round --- */

static double span(const coord_view *v, msfl_phase from, msfl_phase to) {
    const uint64_t a = v->phase_ms[from], b = v->phase_ms[to];
    return a == 0 || b < a ? NAN : (double)(b - a);
}

/** With the lock: the round's sum was opened by the hospitals; what comes next. */
static void take(coord_entry *j, const job_plan *plan, const coord_delivery *d, const coord_view *v,
                 const coord_claim *claim, uint64_t now_ms) {
    coord_job *job = j->job;
    if (plan->kind == JOB_TEST) {
        job->test = (coord_test){true, job_scores_none()};
        return;
    }
    if (plan->kind == JOB_UPDATE) {
        const uint64_t handed = v->phase_ms[MSFL_PHASE_DELIVERING];
        job->current = (coord_history){.round = plan->round,
                                       .cohort = v->n_in,
                                       .number = plan->number,
                                       .learning_rate = NAN,
                                       .train_loss = NAN,
                                       .train_accuracy = NAN,
                                       .validation = job_scores_none(),
                                       .ms_collect = span(v, MSFL_PHASE_COLLECTING, MSFL_PHASE_CERTIFYING),
                                       .ms_certify = span(v, MSFL_PHASE_CERTIFYING, MSFL_PHASE_RELEASING),
                                       .ms_release = span(v, MSFL_PHASE_RELEASING, MSFL_PHASE_DELIVERING),
                                       .ms_open = handed == 0 || now_ms < handed ? NAN : (double)(now_ms - handed),
                                       .bytes_in = v->bytes_in,
                                       .bytes_out = v->bytes_out};
        msfl_model_after(d->model, d->result, job->current.model);
        job->newest = plan->round;
        memcpy(job->newest_hash, job->current.model, MSFL_HASH_BYTES);
        job->failures = 0;
        job->stage = JOB_EVALUATE;
        if (!job->spec.evaluate) coord_round_done(j, NAN, now_ms);
        return;
    }
    coord_round_done(j, NAN, now_ms);
    if (claim->more) return;
    if (job_course_wants_more(&job->course, &job->spec.rule)) {
        job->course.stopped = true;
        (void)snprintf(job->course.why, sizeof job->course.why, "the hospitals see no better validation any more");
    }
    job->stage = job->spec.test ? JOB_TEST : JOB_UPDATE;
    if (claim->best == 0) return;
    job->course.best_round = claim->best;
    memcpy(job->best_hash, job->history[claim->best - 1].model, MSFL_HASH_BYTES);
}

static msfl_status finish(coord_engine *e, coord_entry *j, const coord_view *v, const coord_delivery *d,
                          const coord_claim *claim, uint64_t now_ms) {
    const job_plan plan = coord_job_plan(j->job);
    coord_change change;
    msfl_status status = keep_deliveries(j, v);
    if (status != MSFL_OK) return status;
    pthread_mutex_lock(&e->lock); /* others look at the list */
    status = msfl_grow((void **)&j->job->history, &j->job->history_capacity, (size_t)j->job->n_history + 1,
                       sizeof *j->job->history);
    if (status != MSFL_OK) {
        pthread_mutex_unlock(&e->lock);
        return status;
    }
    take(j, &plan, d, v, claim, now_ms);
    j->job->open = false;
    j->agreed_ms = 0;
    coord_change_begin(&change, e, j);
    pthread_mutex_unlock(&e->lock);
    status = coord_change_end(&change, coord_driver_finish(j->driver, d->result, &change.also), false);
    if (status != MSFL_OK) return status;
    pthread_mutex_lock(&e->lock);
    e->totals.rounds_opened++;
    e->totals.uploads += v->n_in;
    pthread_mutex_unlock(&e->lock);
    if (coord_write_metrics(j->job) != MSFL_OK) coord_log(e, COORD_WARNING, j, "%s", msfl_error_message());
    coord_log(e, COORD_INFO, j,
              "round %u (%s, number %" PRIu64 ") was opened by the hospitals: a sum of %u, %u of %u say the same",
              plan.round, job_kind_name(plan.kind), plan.number, v->n_in, d->n_agree, d->n_reports);
    if (d->n_reports == v->n_clients) drop_sum(j->job, plan.number); /* nobody has missed it */
    for (uint32_t i = 0; i < v->n_clients && i < 64; i++) {
        const char *name = (d->others >> i & 1) != 0 ? pki_round_name(j->members->pki, i) : NULL;
        if (name != NULL) coord_log(e, COORD_ERROR, j, "%s opened something else, and is out", name);
    }
    return MSFL_OK;
}

msfl_status coord_sealed_attend(coord_engine *e, coord_entry *j, const coord_view *v, uint64_t now_ms,
                                char why[COORD_WHY_MAX + 1]) {
    coord_delivery d;
    coord_claim claim = {0};
    why[0] = 0;
    msfl_status status = keep_sum(j);
    if (status == MSFL_OK) status = coord_driver_delivery(j->driver, &d);
    if (status != MSFL_OK) return status;
    if (!d.agreed) {
        if (d.n_reports == v->n_clients) {
            (void)snprintf(why, COORD_WHY_MAX + 1,
                           "the hospitals opened different sums, or made different models of "
                           "one: at most %u of %u say the same",
                           d.n_agree, d.n_reports);
        }
        return MSFL_OK;
    }
    if (j->agreed_ms == 0 || now_ms < j->agreed_ms) j->agreed_ms = now_ms;
    const bool asked = j->job->stage == JOB_EVALUATE;
    if (asked && !agreed_claim(e, j, v->min_cohort, &claim, why)) return MSFL_OK;
    if (now_ms < j->agreed_ms + OTHERS_MS && others_are_here(e, j, v, now_ms)) return MSFL_OK;
    return finish(e, j, v, &d, &claim, now_ms);
}
