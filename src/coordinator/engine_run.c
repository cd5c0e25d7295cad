/* What is due for the running job: open the next round, close it, give it up, or go on with what it opened. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "coordinator/engine_private.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum {
    TICK_MS = 200,
    GRACE_MS = 10000,       /* with enough uploads, one that is under way and moves is waited for */
    SWITCH_MS = 30000,      /* a new roster waits so long for members that are answering */
    CERTIFY_MS_MIN = 60000, /* members may be away for a moment */
};

static void hex8(const uint8_t *bytes, char text[17]) {
    msfl_hex(bytes, 8, text);
}

static bool encrypts(const coord_job *j) {
    return strcmp(j->spec.scheme, "plain") != 0;
}

/* --- beginning and ending --- */

static void drop_driver(coord_engine *e, coord_entry *j) {
    pthread_mutex_lock(&e->lock);
    coord_driver *driver = j->driver;
    coord_members *members = j->members;
    j->driver = NULL;
    j->members = NULL;
    j->switch_from_ms = 0;
    coord_changed(e, j, true);
    pthread_mutex_unlock(&e->lock);
    coord_driver_free(driver);
    coord_members_drop(members);
}

/** The spool of a task. */
static char *spool_folder(const coord_engine *e, const uint8_t task[MSFL_HASH_BYTES]) {
    char digits[17];
    hex8(task, digits);
    return msfl_format("%s/spool/%s", e->folder, digits);
}

static msfl_status record(void *ctx, const uint8_t *transcript, size_t length) {
    coord_entry *j = ctx;
    return coord_keep_record(j->engine, j, transcript, length);
}

static void waits_for(coord_engine *e, coord_entry *j, const char *why) {
    pthread_mutex_lock(&e->lock);
    const bool news = strcmp(j->waits, why) != 0;
    (void)snprintf(j->waits, sizeof j->waits, "%s", why);
    if (news) e->version++;
    pthread_mutex_unlock(&e->lock);
    if (news && why[0] != 0) coord_log(e, COORD_WARNING, j, "waits: %s", why);
}

/** A driver under the newest roster; the job's task becomes that of it. ERR_MISSING while the roster is not enough. */
static msfl_status make_driver(coord_engine *e, coord_entry *j, uint64_t now_ms) {
    coord_members *m = coord_engine_hold_members(e);
    coord_driver *driver = NULL;
    char *folder = NULL;
    uint8_t task[MSFL_HASH_BYTES];
    coord_report *reports = NULL;
    msfl_status status = MSFL_OK;
    if (m->round == NULL) {
        status = msfl_fail(MSFL_ERR_MISSING, "%s", m->why);
        goto done;
    }
    const msfl_roster_info *r = msfl_roster_borrow(m->round);
    if (r->n_clients < j->job->spec.min_cohort) {
        status = msfl_fail(MSFL_ERR_MISSING, "the roster has %u hospitals, the job asks for %u", r->n_clients,
                           j->job->spec.min_cohort);
        goto done;
    }
    job_task(j->job->hash, msfl_roster_hash(m->round), task);
    folder = spool_folder(e, task);
    reports = msfl_alloc(r->n_parties, sizeof *reports);
    if (folder == NULL || reports == NULL) {
        status = MSFL_NO_MEMORY;
        goto done;
    }
    coord_driver_options o = {
        .store = e->o.store, .spool_folder = folder, .members = m, .secret = e->o.secret, .record = record, .ctx = j};
    memcpy(o.task, task, sizeof task);
    o.plain = !encrypts(j->job);
    if (!o.plain) status = job_shape_params(j->job->shape, r, &o.params);
    if (status == MSFL_OK) status = coord_driver_new(&o, &driver);
    if (status != MSFL_OK) goto done;
    static const uint8_t none[MSFL_HASH_BYTES];
    const bool anew = memcmp(task, j->job->task, sizeof task) != 0;
    if (anew && encrypts(j->job) && memcmp(j->job->task, none, sizeof none) != 0) {
        status = coord_sweep_task(e, j, j->job->task);
        if (status != MSFL_OK) goto done;
    }
    coord_change change;
    pthread_mutex_lock(&e->lock);
    msfl_free(j->reports);
    j->reports = reports;
    j->n_reports = r->n_parties;
    reports = NULL;
    if (anew || j->job->state == COORD_QUEUED) {
        memcpy(j->job->task, task, sizeof task);
        j->job->epoch = m->pki->epoch;
        j->job->open = j->job->open && !anew;
        if (j->job->state == COORD_QUEUED) j->job->started_ms = now_ms;
        j->job->state = COORD_RUNNING;
    }
    coord_change_begin(&change, e, j);
    pthread_mutex_unlock(&e->lock);
    status = coord_change_end(&change, coord_change_keep(&change), true);
    if (status != MSFL_OK) goto done;
    pthread_mutex_lock(&e->lock);
    j->driver = driver;
    j->members = coord_members_hold(m);
    j->version = ++e->version;
    coord_changed(e, j, true);
    pthread_mutex_unlock(&e->lock);
    driver = NULL;
    status = coord_reports_load(e, j);
    if (status == MSFL_OK && !encrypts(j->job)) coord_plain_sweep(e, j);
    if (status == MSFL_OK && coord_is_sealed(j->job)) status = coord_sealed_load(e, j);
    if (anew) coord_log(e, COORD_INFO, j, "runs under the roster of epoch %u", m->pki->epoch);
done:
    coord_driver_free(driver);
    coord_members_drop(m);
    msfl_free(folder);
    msfl_free(reports);
    return status;
}

static msfl_status end_job(coord_engine *e, coord_entry *j, coord_state state, const char *why, uint64_t now_ms) {
    coord_change change;
    msfl_status status = coord_write_metrics(j->job);
    if (status == MSFL_OK && j->job->n_history > 0) status = coord_write_products(e, j, state, why);
    if (status != MSFL_OK) return status;
    pthread_mutex_lock(&e->lock);
    j->job->state = state;
    j->job->ended_ms = now_ms;
    j->job->open = false;
    (void)snprintf(j->job->why, sizeof j->job->why, "%s", why);
    coord_change_begin(&change, e, j);
    pthread_mutex_unlock(&e->lock);
    status = coord_change_end(&change, coord_change_keep(&change), true);
    if (status != MSFL_OK) return status;
    drop_driver(e, j);
    pthread_mutex_lock(&e->lock);
    e->totals.jobs_done += state == COORD_DONE;
    e->totals.jobs_failed += state != COORD_DONE;
    pthread_mutex_unlock(&e->lock);
    coord_log(e, state == COORD_DONE ? COORD_INFO : COORD_WARNING, j, "%s%s%s", coord_state_name(state),
              why[0] != 0 ? ": " : "", why);
    return MSFL_OK;
}

/* --- rounds that came to nothing --- */

/** Note that the round was given up: after the machine did so by itself (`driver` false), or together with it. */
static msfl_status give_up(coord_engine *e, coord_entry *j, bool driver, uint32_t counts, const char *why,
                           uint64_t now_ms) {
    coord_change change;
    pthread_mutex_lock(&e->lock);
    const uint64_t number = j->job->number;
    const job_plan plan = coord_job_plan(j->job);
    coord_job_attempt(j->job, why, now_ms);
    j->job->open = false;
    j->job->failures += counts;
    coord_change_begin(&change, e, j);
    pthread_mutex_unlock(&e->lock);
    msfl_status status = driver ? coord_driver_abort(j->driver, why, &change.also) : coord_change_keep(&change);
    status = coord_change_end(&change, status, false);
    if (status != MSFL_OK) return status;
    pthread_mutex_lock(&e->lock);
    e->totals.rounds_aborted++;
    pthread_mutex_unlock(&e->lock);
    coord_log(e, COORD_WARNING, j, "round %u (%s, number %" PRIu64 ") was given up: %s", plan.round,
              job_kind_name(plan.kind), number, why);
    return MSFL_OK;
}

/** Too many attempts: an update that cannot be had ends the job; figures that cannot be had are unknown. */
static msfl_status exhausted(coord_engine *e, coord_entry *j, uint64_t now_ms) {
    char why[COORD_WHY_MAX + 1];
    coord_change change;
    if (j->job->stage == JOB_UPDATE) {
        (void)snprintf(why, sizeof why, "round %u failed %u times, the last time: %.100s", coord_job_plan(j->job).round,
                       j->job->failures, j->job->n_attempts > 0 ? j->job->attempts[j->job->n_attempts - 1].why : "");
        return end_job(e, j, COORD_FAILED, why, now_ms);
    }
    if (j->job->stage == JOB_TEST) return end_job(e, j, COORD_DONE, "the final test could not be made", now_ms);
    pthread_mutex_lock(&e->lock);
    coord_round_done(j, NAN, now_ms);
    coord_change_begin(&change, e, j);
    pthread_mutex_unlock(&e->lock);
    msfl_status status = coord_change_end(&change, coord_change_keep(&change), false);
    if (status == MSFL_OK) coord_log(e, COORD_WARNING, j, "nobody could tell how good the model is; training goes on");
    return status;
}

static bool is_over(const coord_job *j) {
    return j->stage == JOB_UPDATE ? !job_course_wants_more(&j->course, &j->spec.rule)
                                  : j->stage == JOB_TEST && j->test.known;
}

static msfl_status open_round(coord_engine *e, coord_entry *j, uint64_t now_ms) {
    msfl_update_layout *layout = NULL;
    coord_change change;
    coord_view view;
    msfl_status status = coord_driver_view(j->driver, &view);
    if (status != MSFL_OK) return status;
    const uint64_t number = view.number + 1;
    coord_view_clear(&view);
    const job_plan plan = coord_job_plan(j->job);
    status = job_plan_layout(&plan, j->job->shape, &layout);
    if (status != MSFL_OK) return status;
    msfl_round_offer offer = {.min_cohort = j->job->spec.min_cohort,
                              .n_values = msfl_update_slots(layout),
                              .deadline_ms = now_ms + (uint64_t)j->job->spec.deadline_s * 1000,
                              .delivery = j->job->spec.delivery};
    msfl_update_layout_hash(layout, offer.layout);
    msfl_update_layout_free(layout);
    memcpy(offer.model, plan.kind == JOB_TEST ? j->job->best_hash : j->job->newest_hash, MSFL_HASH_BYTES);
    pthread_mutex_lock(&e->lock);
    j->job->number = number;
    j->job->open = true;
    coord_reports_clear(j);
    coord_change_begin(&change, e, j);
    pthread_mutex_unlock(&e->lock);
    status = coord_change_end(&change, coord_driver_open(j->driver, now_ms, &offer, &change.also), false);
    if (status == MSFL_OK) {
        coord_log(e, COORD_INFO, j, "round %u (%s, number %" PRIu64 ") is open", plan.round, job_kind_name(plan.kind),
                  number);
    }
    return status;
}

/** No round is open: what comes next? */
static msfl_status idle(coord_engine *e, coord_entry *j, uint64_t now_ms, uint32_t *wait_ms) {
    coord_job *job = j->job;
    *wait_ms = 0;
    if (job->open) { /* the machine gave it up at the deadline, and nobody has noted it */
        return give_up(e, j, false, 1, "too few uploads before the deadline", now_ms);
    }
    if (j->abort) return end_job(e, j, COORD_ABORTED, j->abort_why, now_ms);
    if (is_over(job)) return end_job(e, j, COORD_DONE, job->course.why, now_ms);
    if (job->failures >= job->spec.attempts_max) return exhausted(e, j, now_ms);
    return open_round(e, j, now_ms);
}

/* --- a round that is open --- */

static bool enough(const coord_job *job, const coord_view *v, uint64_t now_ms) {
    const uint32_t target = job->spec.target_cohort;
    if (target == 0 || v->n_in < target || v->n_in < v->min_cohort) return false;
    for (uint32_t i = 0; i < v->n_clients; i++) {
        const coord_client_view *c = &v->clients[i];
        if (!c->in && c->bytes > 0 && now_ms < c->changed_ms + GRACE_MS) return false;
    }
    return true;
}

/** Nobody is left who could still upload. */
static bool all_have_spoken(coord_engine *e, const coord_entry *j, const coord_view *v) {
    bool all = true;
    const uint32_t round = coord_job_plan(j->job).round;
    pthread_mutex_lock(&e->lock);
    for (uint32_t i = 0; i < v->n_clients; i++)
        all &= v->clients[i].in || (i < j->n_reports && coord_stays_out(&j->reports[i], round));
    pthread_mutex_unlock(&e->lock);
    return all;
}

/** Why the open round should be given up; NULL: it should not. */
static const char *hopeless(const coord_entry *j, const coord_view *v, uint64_t now_ms, bool *counts) {
    const uint64_t since = v->phase_ms[v->phase];
    *counts = true;
    if (j->abort) {
        *counts = false;
        return j->abort_why[0] != 0 ? j->abort_why : "aborted by the operator";
    }
    const bool ends = v->phase == MSFL_PHASE_RELEASING || v->phase == MSFL_PHASE_DELIVERING;
    if (j->switch_from_ms != 0 && (!ends || now_ms >= j->switch_from_ms + SWITCH_MS)) {
        *counts = false;
        return "the roster has changed";
    }
    const uint64_t patience = (uint64_t)j->job->spec.deadline_s * 1000;
    if (v->phase == MSFL_PHASE_CERTIFYING && since != 0 &&
        now_ms > since + (patience > CERTIFY_MS_MIN ? patience : CERTIFY_MS_MIN)) {
        return "too few members of the committee signed the cohort";
    }
    return NULL;
}

static bool all_answered(const coord_view *v) {
    for (uint32_t i = 0; i < v->k; i++)
        if (!v->members[i].answered) return false;
    return v->phase == MSFL_PHASE_RELEASING && v->k > 0;
}

/** Every hospital has said that nothing will come of the job: its deadline would change nothing. */
static bool nobody_is_left(coord_engine *e, const coord_entry *j, const coord_view *v, char why[COORD_WHY_MAX + 1]) {
    if (j->job->stage != JOB_UPDATE || v->n_in > 0) return false;
    pthread_mutex_lock(&e->lock);
    const bool nobody = coord_nobody_is_left(j, v->n_clients, why);
    pthread_mutex_unlock(&e->lock);
    return nobody;
}

static msfl_status attend(coord_engine *e, coord_entry *j, uint64_t now_ms, uint32_t *wait_ms) {
    static const char spoiled[] = "no set of the members' answers opens the sum: a hospital shared its key wrongly, or "
                                  "too many members cheat";
    coord_view v;
    bool counts;
    msfl_status status = coord_driver_view(j->driver, &v);
    if (status != MSFL_OK) return status;
    const char *why =
        v.phase == MSFL_PHASE_IDLE || v.phase == MSFL_PHASE_OPENED ? NULL : hopeless(j, &v, now_ms, &counts);
    *wait_ms = TICK_MS;
    if (v.phase == MSFL_PHASE_IDLE) {
        status = idle(e, j, now_ms, wait_ms);
    } else if (v.phase == MSFL_PHASE_OPENED) {
        *wait_ms = 0;
        status = coord_open_sum(e, j, now_ms);
    } else if (why != NULL) {
        *wait_ms = 0;
        status = give_up(e, j, true, counts ? 1 : 0, why, now_ms);
    } else if (v.phase == MSFL_PHASE_DELIVERING) {
        char failed[COORD_WHY_MAX + 1];
        status = coord_sealed_attend(e, j, &v, now_ms, failed);
        if (status == MSFL_OK && failed[0] != 0) {
            status = give_up(e, j, true, 1, failed, now_ms);
            if (status == MSFL_OK) status = end_job(e, j, COORD_FAILED, failed, now_ms);
        }
    } else if (all_answered(&v)) {
        *wait_ms = 0;
        status = give_up(e, j, true, 1, spoiled, now_ms);
        if (status == MSFL_OK) status = end_job(e, j, COORD_FAILED, spoiled, now_ms);
    } else if (v.phase == MSFL_PHASE_COLLECTING) {
        const bool spoken = all_have_spoken(e, j, &v);
        char nobody[COORD_WHY_MAX + 1];
        if (nobody_is_left(e, j, &v, nobody)) {
            *wait_ms = 0;
            status = give_up(e, j, true, 1, nobody, now_ms);
            if (status == MSFL_OK) status = end_job(e, j, COORD_FAILED, nobody, now_ms);
        } else if (enough(j->job, &v, now_ms) || (spoken && v.n_in >= v.min_cohort)) {
            *wait_ms = 0;
            status = coord_driver_close(j->driver, now_ms);
            coord_notice(e, j);
        } else if (spoken && j->job->stage != JOB_UPDATE) {
            /* Who has no such images has none in the next attempt either. */
            *wait_ms = 0;
            status = give_up(e, j, true, j->job->spec.attempts_max, "too few hospitals have images for these figures",
                             now_ms);
        }
    }
    coord_view_clear(&v);
    return status;
}

/** A newer roster: the open round ends first, then the job goes on as another task. */
static void consider_roster(coord_engine *e, coord_entry *j, uint64_t now_ms) {
    pthread_mutex_lock(&e->lock);
    const bool other = e->members != j->members && e->members->pki->epoch != j->members->pki->epoch;
    if (other && j->switch_from_ms == 0) j->switch_from_ms = now_ms;
    pthread_mutex_unlock(&e->lock);
}

msfl_status coord_run(coord_engine *e, coord_entry *j, uint64_t now_ms, uint32_t *wait_ms) {
    msfl_status status = MSFL_OK;
    if (j->job->state == COORD_QUEUED && j->abort) return end_job(e, j, COORD_ABORTED, j->abort_why, now_ms);
    if (j->driver != NULL) consider_roster(e, j, now_ms);
    if (j->driver != NULL && j->switch_from_ms != 0 && !j->job->open) drop_driver(e, j);
    if (j->driver == NULL) {
        status = make_driver(e, j, now_ms);
        if (status == MSFL_ERR_MISSING) { /* until the roster changes, or somebody gives the job up */
            if (j->abort) return end_job(e, j, COORD_ABORTED, j->abort_why, now_ms);
            waits_for(e, j, msfl_error_message());
            return MSFL_OK;
        }
        if (status == MSFL_ERR_PARAMS || status == MSFL_ERR_MISMATCH || status == MSFL_ERR_USAGE) {
            char why[COORD_WHY_MAX + 1];
            (void)snprintf(why, sizeof why, "%s", msfl_error_message());
            return end_job(e, j, COORD_FAILED, why, now_ms);
        }
        if (status != MSFL_OK) return status;
        waits_for(e, j, "");
    }
    status = coord_driver_tick(j->driver, now_ms);
    coord_notice(e, j);
    if (status == MSFL_OK) status = attend(e, j, now_ms, wait_ms);
    return status;
}
