#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "base/sodium.h"
#include "coordinator/engine_private.h"
#include "job/fixed.h"
#include "pki/round.h"
#include "text/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char key_jobs[] = "jobs";

uint64_t coord_now_ms(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void coord_log(coord_engine *e, coord_level level, const coord_entry *j, const char *fmt, ...) {
    coord_line line = {.at_ms = coord_now_ms(), .level = level};
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line.text, sizeof line.text, fmt, args);
    va_end(args);
    if (j != NULL) (void)snprintf(line.job, sizeof line.job, "%s", j->job->id);
    pthread_mutex_lock(&e->lock);
    if (e->n_log == COORD_LOG_KEPT) {
        memmove(e->log, e->log + 1, (COORD_LOG_KEPT - 1) * sizeof e->log[0]);
        e->n_log--;
    }
    e->log[e->n_log++] = line;
    e->version++;
    pthread_mutex_unlock(&e->lock);
    if (e->o.log != NULL) e->o.log(e->o.ctx, level, line.job, line.text);
}

void coord_changed(coord_engine *e, coord_entry *j, bool list) {
    e->version++;
    if (j != NULL) j->version = e->version;
    if (list) e->list_version = e->version;
    e->due = true;
    pthread_cond_broadcast(&e->news);
    pthread_cond_broadcast(&e->work);
}

void coord_notice(coord_engine *e, coord_entry *j) {
    pthread_mutex_lock(&e->lock);
    uint64_t changes = 0;
    if (j->driver != NULL) (void)coord_driver_glance(j->driver, &changes);
    if (changes != j->seen_changes) {
        j->seen_changes = changes;
        coord_changed(e, j, false);
    } else {
        e->version++; /* for the screen: progress of an upload */
    }
    pthread_mutex_unlock(&e->lock);
}

coord_entry *coord_find(const coord_engine *e, const char *id) {
    for (uint32_t i = e->n_entries; i-- > 0;)
        if (strcmp(e->entries[i]->job->id, id) == 0) return e->entries[i];
    return NULL;
}

static msfl_status no_job(const char *id) {
    return msfl_fail(MSFL_ERR_MISSING, "there is no job %s", id);
}

/* --- changes --- */

static void state_key(const coord_job *j, char key[JOB_ID_MAX + 8]) {
    (void)snprintf(key, JOB_ID_MAX + 8, "job/%s", j->id);
}

static msfl_status keep(void *ctx, store *s) {
    coord_change *c = ctx;
    char key[JOB_ID_MAX + 8];
    state_key(c->j->job, key);
    if (c->bytes.status != MSFL_OK) return c->bytes.status;
    return store_put(s, key, c->bytes.bytes, c->bytes.length);
}

void coord_change_begin(coord_change *c, coord_engine *e, coord_entry *j) {
    *c = (coord_change){.e = e, .j = j};
    c->also = (coord_also){keep, c};
    coord_job_put(j->job, &c->bytes);
}

msfl_status coord_change_keep(coord_change *c) {
    return keep(c, c->e->o.store);
}

msfl_status coord_change_end(coord_change *c, msfl_status status, bool list) {
    coord_engine *e = c->e;
    coord_entry *j = c->j;
    pthread_mutex_lock(&e->lock);
    if (status == MSFL_OK) {
        msfl_buffer_clear(&j->saved);
        j->saved = c->bytes;
        c->bytes = (msfl_buffer){0};
    } else if (j->saved.bytes != NULL) {
        /* Its lists have room for what they held before: this needs no memory. */
        if (coord_job_get(j->job, j->saved.bytes, j->saved.length) != MSFL_OK) j->job->state = COORD_FAILED;
    }
    uint64_t changes = 0;
    if (j->driver != NULL) (void)coord_driver_glance(j->driver, &changes);
    j->seen_changes = changes;
    coord_changed(e, j, list);
    pthread_mutex_unlock(&e->lock);
    msfl_buffer_clear(&c->bytes);
    return status;
}

/* --- start and end --- */

static void entry_free(coord_entry *j) {
    if (j == NULL) return;
    coord_driver_free(j->driver);
    coord_members_drop(j->members);
    msfl_buffer_clear(&j->saved);
    coord_job_free(j->job);
    msfl_free(j->reports);
    msfl_free(j);
}

static msfl_status add_entry(coord_engine *e, coord_job *job, coord_entry **out) {
    coord_entry *j = msfl_alloc(1, sizeof *j);
    if (j == NULL) return MSFL_NO_MEMORY;
    msfl_status status =
        msfl_grow((void **)&e->entries, &e->entries_capacity, (size_t)e->n_entries + 1, sizeof(coord_entry *));
    if (status != MSFL_OK) {
        msfl_free(j);
        return status;
    }
    j->engine = e;
    j->job = job;
    j->version = e->version;
    e->entries[e->n_entries++] = j;
    *out = j;
    return MSFL_OK;
}

static msfl_status load_job(coord_engine *e, const char *id) {
    char *path = msfl_format("%s/jobs/%s/job.json", e->folder, id), *folder = msfl_path_join(e->folder, "jobs");
    uint8_t *text = NULL, *state = NULL;
    char *abort_why = NULL;
    size_t length, state_length, abort_length;
    coord_job *job = NULL;
    coord_entry *j = NULL;
    char key[JOB_ID_MAX + 16];
    msfl_status status =
        path == NULL || folder == NULL ? MSFL_NO_MEMORY : msfl_file_read(path, JOB_TEXT_MAX, &text, &length);
    if (status == MSFL_OK) status = coord_job_new((const char *)text, length, folder, &job);
    (void)snprintf(key, sizeof key, "job/%s", id);
    if (status == MSFL_OK) status = store_get(e->o.store, key, &state, &state_length);
    if (status == MSFL_OK && state == NULL) status = msfl_fail(MSFL_ERR_FORMAT, "job %s has no state", id);
    if (status == MSFL_OK) status = coord_job_get(job, state, state_length);
    (void)snprintf(key, sizeof key, "job/%s/abort", id);
    if (status == MSFL_OK) status = store_get(e->o.store, key, (uint8_t **)&abort_why, &abort_length);
    if (status == MSFL_OK) status = add_entry(e, job, &j);
    if (status == MSFL_OK) {
        job = NULL;
        msfl_put_bytes(&j->saved, state, state_length);
        status = j->saved.status;
        j->abort = abort_why != NULL;
        if (j->abort) (void)snprintf(j->abort_why, sizeof j->abort_why, "%s", abort_why);
    }
    coord_job_free(job);
    msfl_free(abort_why);
    msfl_free(state);
    msfl_free(text);
    msfl_free(folder);
    msfl_free(path);
    return status;
}

static msfl_status load_jobs(coord_engine *e) {
    uint8_t *list;
    size_t length;
    msfl_status status = store_get(e->o.store, key_jobs, &list, &length);
    char *at = (char *)list;
    while (status == MSFL_OK && at != NULL && *at != 0) {
        char *end = strchr(at, '\n');
        if (end == NULL) break;
        *end = 0;
        status = load_job(e, at);
        at = end + 1;
    }
    msfl_free(list);
    return status;
}

msfl_status coord_engine_new(const coord_engine_options *options, coord_engine **out) {
    *out = NULL;
    coord_engine *e = msfl_alloc(1, sizeof *e);
    if (e == NULL) return MSFL_NO_MEMORY;
    e->o = *options;
    e->members = coord_members_hold(options->members);
    e->version = options->now_ms;
    e->list_version = e->version;
    e->started_ms = options->now_ms;
    pthread_condattr_t a;
    (void)pthread_condattr_init(&a);
    (void)pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&e->lock, NULL);
    (void)pthread_cond_init(&e->news, &a);
    (void)pthread_cond_init(&e->work, &a);
    (void)pthread_condattr_destroy(&a);
    e->folder = msfl_strdup(options->folder);
    char *jobs = e->folder == NULL ? NULL : msfl_path_join(e->folder, "jobs");
    msfl_status status = jobs == NULL ? MSFL_NO_MEMORY : msfl_folder_make(jobs);
    msfl_free(jobs);
    if (status == MSFL_OK) status = load_jobs(e);
    if (status != MSFL_OK) {
        coord_engine_free(e);
        return status;
    }
    *out = e;
    return MSFL_OK;
}

void coord_engine_free(coord_engine *e) {
    if (e == NULL) return;
    for (uint32_t i = 0; i < e->n_entries; i++)
        entry_free(e->entries[i]);
    msfl_free((void *)e->entries);
    coord_members_drop(e->members);
    msfl_free(e->seen);
    msfl_free(e->folder);
    (void)pthread_cond_destroy(&e->news);
    (void)pthread_cond_destroy(&e->work);
    (void)pthread_mutex_destroy(&e->lock);
    msfl_free(e);
}

void coord_engine_stop(coord_engine *e) {
    pthread_mutex_lock(&e->lock);
    e->stopping = true;
    coord_changed(e, NULL, false);
    pthread_mutex_unlock(&e->lock);
}

/** With the lock: false when the time is over. */
static bool wait_until(coord_engine *e, pthread_cond_t *condition, uint64_t end_ns) {
    const struct timespec until = {.tv_sec = (time_t)(end_ns / 1000000000), .tv_nsec = (long)(end_ns % 1000000000)};
    return pthread_cond_timedwait(condition, &e->lock, &until) != ETIMEDOUT;
}

void coord_engine_rest(coord_engine *e, uint32_t wait_ms) {
    const uint64_t end = msfl_now_ns() + (uint64_t)wait_ms * 1000000;
    pthread_mutex_lock(&e->lock);
    while (!e->due && !e->stopping) {
        if (!wait_until(e, &e->work, end)) break;
    }
    e->due = false;
    pthread_mutex_unlock(&e->lock);
}

msfl_status coord_engine_step(coord_engine *e, uint64_t now_ms, uint32_t *wait_ms) {
    coord_entry *j = NULL;
    *wait_ms = 1000;
    pthread_mutex_lock(&e->lock);
    for (uint32_t i = 0; i < e->n_entries && j == NULL; i++) {
        /* One that waits to be aborted does not wait for those before it. */
        if (e->entries[i]->job->state == COORD_QUEUED && e->entries[i]->abort) j = e->entries[i];
    }
    for (uint32_t i = 0; i < e->n_entries && j == NULL; i++)
        if (e->entries[i]->job->state == COORD_RUNNING) j = e->entries[i];
    for (uint32_t i = 0; i < e->n_entries && j == NULL; i++)
        if (e->entries[i]->job->state == COORD_QUEUED) j = e->entries[i];
    pthread_mutex_unlock(&e->lock);
    return j == NULL ? MSFL_OK : coord_run(e, j, now_ms, wait_ms);
}

/* --- submitting --- */

static msfl_status read_weights(const coord_job *job, const char *path, float *weights) {
    uint8_t *at = (uint8_t *)weights;
    size_t left = job->shape->n_values * sizeof *weights;
    struct stat info;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    msfl_status status = MSFL_OK;
    if (fd < 0 || fstat(fd, &info) != 0) {
        status = msfl_fail_errno(errno, "the initial weights cannot be read");
    } else if ((uint64_t)info.st_size != left) {
        status = msfl_fail(MSFL_ERR_FORMAT, "the initial weights are not %" PRIu64 " values of float32",
                           job->shape->n_values);
    }
    while (status == MSFL_OK && left > 0) { /* into their place: they may be large */
        ssize_t n = read(fd, at, left);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            status = msfl_fail_errno(n < 0 ? errno : EIO, "the initial weights cannot be read");
            break;
        }
        at += n;
        left -= (size_t)n;
    }
    if (fd >= 0) close(fd);
    if (status != MSFL_OK) return status;
    for (uint64_t i = 0; i < job->shape->n_values; i++) {
        if (!isfinite(weights[i])) {
            return msfl_fail(MSFL_ERR_NUMERIC, "value %" PRIu64 " of the initial weights is not finite", i);
        }
    }
    return MSFL_OK;
}

/** The description as it will be hashed: with a nonce, and the hash of weights that were brought. */
static msfl_status settle_text(const char *text, size_t length, const char *folder, const char *initial,
                               coord_job **out, float **weights) {
    static const uint8_t zero[MSFL_HASH_BYTES];
    uint8_t hash[MSFL_HASH_BYTES], random[16];
    coord_job *draft;
    char *canonical = NULL;
    *out = NULL;
    *weights = NULL;
    msfl_status status = coord_job_new(text, length, folder, &draft);
    if (status != MSFL_OK) return status;
    *weights = msfl_alloc(draft->shape->n_values, sizeof **weights);
    if (*weights == NULL) status = MSFL_NO_MEMORY;
    if (status == MSFL_OK) {
        status = initial != NULL ? read_weights(draft, initial, *weights) : job_shape_initial(draft->shape, *weights);
    }
    if (status != MSFL_OK) goto done;
    job_weights_hash(draft->shape, *weights, hash);
    const bool named = memcmp(draft->spec.initial, zero, sizeof zero) != 0;
    if (named && memcmp(draft->spec.initial, hash, sizeof hash) != 0) {
        status = msfl_fail(MSFL_ERR_MISMATCH, "the initial weights are not those that the description names");
        goto done;
    }
    if (initial != NULL) memcpy(draft->spec.initial, hash, sizeof hash);
    if (draft->spec.nonce[0] == 0) {
        msfl_random_bytes(random, sizeof random);
        msfl_hex(random, sizeof random, draft->spec.nonce);
    }
    status = job_spec_text(&draft->spec, &canonical);
    if (status == MSFL_OK) status = coord_job_new(canonical, strlen(canonical), folder, out);
    if (status == MSFL_OK) memcpy((*out)->initial_hash, hash, sizeof hash);
done:
    msfl_free(canonical);
    coord_job_free(draft);
    if (status != MSFL_OK) {
        msfl_free(*weights);
        *weights = NULL;
    }
    return status;
}

/** What the roster says to it. */
static msfl_status check_fits(const coord_job *job, const coord_members *members) {
    if (job->spec.delivery != MSFL_DELIVERY_COORDINATOR) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "delivery: this coordinator opens sums itself (delivery: coordinator)");
    }
    if (members->round == NULL) return MSFL_OK; /* it waits for its roster */
    const uint32_t n = msfl_roster_borrow(members->round)->n_clients;
    msfl_params params;
    if (job->spec.min_cohort > n || job->spec.target_cohort > n) {
        return msfl_fail(MSFL_ERR_PARAMS, "the roster has %u hospitals: too few for a cohort of %u", n,
                         job->spec.min_cohort > n ? job->spec.min_cohort : job->spec.target_cohort);
    }
    if (strcmp(job->spec.scheme, "plain") != 0)
        return job_shape_params(job->shape, msfl_roster_borrow(members->round), &params);
    return n <= JOB_FIXED_CLIENTS_MAX
               ? MSFL_OK
               : msfl_fail(MSFL_ERR_PARAMS, "scheme plain adds up to %d hospitals", JOB_FIXED_CLIENTS_MAX);
}

static msfl_status put_list(coord_engine *e, const char *more) {
    msfl_buffer list = {0};
    pthread_mutex_lock(&e->lock);
    for (uint32_t i = 0; i < e->n_entries; i++)
        msfl_put_text(&list, "%s\n", e->entries[i]->job->id);
    pthread_mutex_unlock(&e->lock);
    msfl_put_text(&list, "%s\n", more);
    msfl_status status = list.status;
    if (status == MSFL_OK) status = store_put(e->o.store, key_jobs, list.bytes, list.length);
    msfl_buffer_clear(&list);
    return status;
}

static msfl_status keep_job(coord_engine *e, coord_job *job, const float *weights) {
    char *path = msfl_path_join(job->folder, "job.json");
    char key[JOB_ID_MAX + 8];
    msfl_buffer state = {0};
    coord_entry *j;
    state_key(job, key);
    msfl_status status = path == NULL ? MSFL_NO_MEMORY : coord_job_save(job, 0, weights);
    if (status == MSFL_OK) status = msfl_file_write(path, job->text, job->text_length);
    coord_job_put(job, &state);
    if (status == MSFL_OK) status = state.status;
    if (status == MSFL_OK) status = store_begin(e->o.store);
    if (status == MSFL_OK) {
        status = store_put(e->o.store, key, state.bytes, state.length);
        if (status == MSFL_OK) status = put_list(e, job->id);
        if (status == MSFL_OK) {
            status = store_commit(e->o.store);
        } else {
            store_rollback(e->o.store);
        }
    }
    if (status == MSFL_OK) {
        pthread_mutex_lock(&e->lock);
        status = add_entry(e, job, &j); /* when this fails the next process has it */
        if (status == MSFL_OK) {
            j->saved = state;
            state = (msfl_buffer){0};
            coord_changed(e, j, true);
        }
        pthread_mutex_unlock(&e->lock);
    }
    msfl_buffer_clear(&state);
    msfl_free(path);
    return status;
}

msfl_status coord_engine_submit(coord_engine *e, const char *text, size_t length, const char *initial,
                                char id[JOB_ID_MAX + 1]) {
    static pthread_mutex_t one_by_one = PTHREAD_MUTEX_INITIALIZER; /* the list is written whole */
    float *weights = NULL;
    coord_job *job = NULL;
    coord_members *members = coord_engine_hold_members(e);
    char *folder = msfl_path_join(e->folder, "jobs");
    pthread_mutex_lock(&one_by_one);
    msfl_status status = folder == NULL ? MSFL_NO_MEMORY : settle_text(text, length, folder, initial, &job, &weights);
    if (status == MSFL_OK && job != NULL) status = check_fits(job, members);
    if (status == MSFL_OK && job != NULL) {
        pthread_mutex_lock(&e->lock);
        if (e->n_entries >= COORD_JOBS_MAX) {
            status = msfl_fail(MSFL_ERR_LIMIT, "%d jobs are kept here; begin with a new state folder", COORD_JOBS_MAX);
        } else if (coord_find(e, job->id) != NULL) {
            status = msfl_fail(MSFL_ERR_EXISTS, "job %s is here already", job->id);
        }
        job->order = e->n_entries;
        pthread_mutex_unlock(&e->lock);
    }
    if (status == MSFL_OK && job != NULL) {
        job->submitted_ms = coord_now_ms();
        memcpy(job->newest_hash, job->initial_hash, MSFL_HASH_BYTES);
        memcpy(job->best_hash, job->initial_hash, MSFL_HASH_BYTES);
        status = keep_job(e, job, weights);
    }
    if (status == MSFL_OK && job != NULL) {
        (void)snprintf(id, JOB_ID_MAX + 1, "%s", job->id);
        pthread_mutex_lock(&e->lock);
        const coord_entry *j = coord_find(e, id);
        pthread_mutex_unlock(&e->lock);
        coord_log(e, COORD_INFO, j, "submitted: %u rounds, scheme %s%s", job->spec.rule.n_rounds, job->spec.scheme,
                  strcmp(job->spec.scheme, "plain") == 0 ? ", NOT ENCRYPTED" : "");
        job = NULL;
    }
    pthread_mutex_unlock(&one_by_one);
    coord_job_free(job);
    coord_members_drop(members);
    msfl_free(weights);
    msfl_free(folder);
    return status;
}

msfl_status coord_engine_abort(coord_engine *e, const char *id, const char *reason) {
    char key[JOB_ID_MAX + 16], why[COORD_WHY_MAX + 1];
    size_t n = 0;
    for (; reason[n] != 0 && n < COORD_WHY_MAX; n++)
        why[n] = (unsigned char)reason[n] < 0x20 || reason[n] == 0x7f ? ' ' : reason[n];
    why[n] = 0;
    pthread_mutex_lock(&e->lock);
    coord_entry *j = coord_find(e, id);
    const bool ended = j != NULL && j->job->state > COORD_RUNNING;
    pthread_mutex_unlock(&e->lock);
    if (j == NULL) return no_job(id);
    if (ended) return msfl_fail(MSFL_ERR_POLICY, "job %s has ended already", id);
    (void)snprintf(key, sizeof key, "job/%s/abort", id);
    msfl_status status = store_put(e->o.store, key, why, n);
    if (status != MSFL_OK) return status;
    pthread_mutex_lock(&e->lock);
    j->abort = true;
    memcpy(j->abort_why, why, n + 1);
    coord_changed(e, NULL, false);
    pthread_mutex_unlock(&e->lock);
    return MSFL_OK;
}

void coord_engine_members(coord_engine *e, coord_members *members) {
    pthread_mutex_lock(&e->lock);
    coord_members *before = e->members;
    e->members = coord_members_hold(members);
    coord_changed(e, NULL, true);
    pthread_mutex_unlock(&e->lock);
    coord_members_drop(before);
    coord_log(e, COORD_INFO, NULL, "roster of epoch %u", members->pki->epoch);
}

coord_members *coord_engine_hold_members(coord_engine *e) {
    pthread_mutex_lock(&e->lock);
    coord_members *m = coord_members_hold(e->members);
    pthread_mutex_unlock(&e->lock);
    return m;
}

/* --- parties --- */

/** The job, with its driver held where it has one, and the party's number in it. */
typedef struct visit {
    coord_entry *j;
    coord_driver *driver;
    uint32_t party;
} visit;

static msfl_status enter(coord_engine *e, const char *id, const char *name, visit *v) {
    *v = (visit){0};
    pthread_mutex_lock(&e->lock);
    v->j = coord_find(e, id);
    msfl_status status = MSFL_OK;
    if (v->j == NULL) {
        status = no_job(id);
    } else {
        const coord_members *m = v->j->members != NULL ? v->j->members : e->members;
        status = pki_round_party(m->pki, name, &v->party);
        if (status == MSFL_ERR_MISSING)
            status = msfl_fail(MSFL_ERR_POLICY, "%s has no part in the rounds of %s", name, id);
    }
    if (status == MSFL_OK && v->j != NULL && v->j->driver != NULL) v->driver = coord_driver_hold(v->j->driver);
    pthread_mutex_unlock(&e->lock);
    return status;
}

msfl_status coord_engine_party(coord_engine *e, const char *id, const char *name, uint32_t *party) {
    visit v;
    msfl_status status = enter(e, id, name, &v);
    *party = v.party;
    coord_driver_free(v.driver);
    return status;
}

msfl_status coord_engine_receive(coord_engine *e, const char *id, const char *name, const uint8_t *message,
                                 size_t length, msfl_buffer *frames) {
    visit v;
    msfl_status status = enter(e, id, name, &v);
    if (status != MSFL_OK) return status;
    if (v.driver == NULL) return msfl_fail(MSFL_ERR_POLICY, "no round of job %s is open", id);
    const size_t before = frames->length;
    status = coord_driver_receive(v.driver, coord_now_ms(), v.party, message, length, frames);
    coord_notice(e, v.j);
    pthread_mutex_lock(&e->lock);
    e->totals.bytes_in += length;
    e->totals.bytes_out += frames->length - before;
    pthread_mutex_unlock(&e->lock);
    coord_driver_free(v.driver);
    return status;
}

/** Scheme plain: the plan of the open round, as one frame, until this party's upload is here. */
static msfl_status plain_inbox(coord_engine *e, const visit *v, msfl_buffer *frames) {
    char *text = NULL, *upload = coord_driver_upload(v->driver, v->party);
    msfl_status status = MSFL_OK;
    pthread_mutex_lock(&e->lock);
    if (upload == NULL && v->j->job->open && v->party < msfl_roster_borrow(v->j->members->round)->n_clients) {
        const job_plan plan = coord_job_plan(v->j->job);
        status = job_plan_text(&plan, v->j->job->shape->n_tensors, &text);
    }
    pthread_mutex_unlock(&e->lock);
    if (status == MSFL_OK && text != NULL) {
        msfl_put32(frames, (uint32_t)strlen(text));
        msfl_put_bytes(frames, text, strlen(text));
        status = frames->status;
    }
    msfl_free(upload);
    msfl_free(text);
    return status;
}

msfl_status coord_engine_inbox(coord_engine *e, const char *id, const char *name, uint64_t seen, uint32_t wait_ms,
                               msfl_buffer *frames, uint64_t *version) {
    visit v;
    const uint64_t end = msfl_now_ns() + (uint64_t)wait_ms * 1000000;
    *version = 0;
    pthread_mutex_lock(&e->lock);
    const coord_entry *j = coord_find(e, id);
    while (j != NULL && seen != 0 && j->version == seen && !e->stopping) {
        if (!wait_until(e, &e->news, end)) break;
    }
    if (j != NULL) *version = j->version;
    pthread_mutex_unlock(&e->lock);
    msfl_status status = enter(e, id, name, &v);
    if (status == MSFL_OK && v.driver == NULL) return coord_last_record(e, v.j, frames);
    if (status != MSFL_OK) return status;
    status = coord_driver_poll(v.driver, v.party, frames);
    if (status == MSFL_OK && strcmp(v.j->job->spec.scheme, "plain") == 0) status = plain_inbox(e, &v, frames);
    pthread_mutex_lock(&e->lock);
    e->totals.bytes_out += frames->length;
    pthread_mutex_unlock(&e->lock);
    coord_driver_free(v.driver);
    return status;
}

static json_t *list_json(const coord_engine *e) {
    json_t *jobs = json_array();
    for (uint32_t i = 0; i < e->n_entries; i++) {
        const coord_job *j = e->entries[i]->job;
        char hash[2 * MSFL_HASH_BYTES + 1], task[2 * MSFL_HASH_BYTES + 1] = "";
        msfl_hex(j->hash, MSFL_HASH_BYTES, hash);
        if (e->members->round != NULL) {
            uint8_t bytes[MSFL_HASH_BYTES];
            job_task(j->hash, msfl_roster_hash(e->members->round), bytes);
            msfl_hex(bytes, MSFL_HASH_BYTES, task);
        }
        json_array_append_new(jobs, json_pack("{s:s,s:s,s:s,s:s,s:s}", "id", j->id, "name", j->spec.name, "state",
                                              coord_state_name(j->state), "hash", hash, "task", task));
    }
    return json_pack("{s:I,s:o}", "epoch", (json_int_t)e->members->pki->epoch, "jobs", jobs);
}

msfl_status coord_engine_list(coord_engine *e, uint64_t seen, uint32_t wait_ms, char **text, uint64_t *version) {
    const uint64_t end = msfl_now_ns() + (uint64_t)wait_ms * 1000000;
    *text = NULL;
    pthread_mutex_lock(&e->lock);
    while (seen != 0 && e->list_version == seen && !e->stopping) {
        if (!wait_until(e, &e->news, end)) break;
    }
    *version = e->list_version;
    json_t *list = list_json(e);
    pthread_mutex_unlock(&e->lock);
    if (list == NULL) return msfl_fail(MSFL_ERR_MEMORY, "out of memory");
    msfl_status status = msfl_json_text(list, true, text);
    json_decref(list);
    return status;
}

msfl_status coord_engine_text(coord_engine *e, const char *id, char **text, size_t *length,
                              uint8_t hash[MSFL_HASH_BYTES]) {
    *text = NULL;
    pthread_mutex_lock(&e->lock);
    const coord_entry *j = coord_find(e, id);
    if (j != NULL) {
        *text = msfl_strndup(j->job->text, j->job->text_length);
        *length = j->job->text_length;
        memcpy(hash, j->job->hash, MSFL_HASH_BYTES);
    }
    pthread_mutex_unlock(&e->lock);
    return j == NULL ? no_job(id) : *text == NULL ? MSFL_NO_MEMORY : MSFL_OK;
}

msfl_status coord_engine_plan(coord_engine *e, const char *id, uint64_t number, char **text) {
    *text = NULL;
    msfl_status status;
    pthread_mutex_lock(&e->lock);
    const coord_entry *j = coord_find(e, id);
    if (j == NULL) {
        status = no_job(id);
    } else if (!j->job->open || j->job->number != number) {
        status = msfl_fail(MSFL_ERR_MISSING, "round %" PRIu64 " of %s is not open", number, id);
    } else {
        const job_plan plan = coord_job_plan(j->job);
        status = job_plan_text(&plan, j->job->shape->n_tensors, text);
    }
    pthread_mutex_unlock(&e->lock);
    return status;
}

msfl_status coord_engine_model(coord_engine *e, const char *id, uint32_t index, char **path,
                               uint8_t hash[MSFL_HASH_BYTES]) {
    *path = NULL;
    pthread_mutex_lock(&e->lock);
    const coord_entry *entry = coord_find(e, id);
    msfl_status status = entry == NULL ? no_job(id) : MSFL_OK;
    if (entry != NULL) {
        const coord_job *j = entry->job;
        const uint8_t *found = NULL;
        if (index == 0) found = j->initial_hash;
        for (uint32_t i = 0; i < j->n_history; i++)
            if (j->history[i].round == index) found = j->history[i].model;
        if (index == j->newest) found = j->newest_hash;
        if (found == NULL) {
            status = msfl_fail(MSFL_ERR_MISSING, "job %s has no weights %u", id, index);
        } else {
            memcpy(hash, found, MSFL_HASH_BYTES);
            *path = coord_job_model_path(j, index);
            if (*path == NULL) status = MSFL_NO_MEMORY;
        }
    }
    pthread_mutex_unlock(&e->lock);
    return status;
}

msfl_status coord_engine_folders(coord_engine *e, const char *id, char **products, char **audit) {
    *products = *audit = NULL;
    pthread_mutex_lock(&e->lock);
    const coord_entry *j = coord_find(e, id);
    if (j != NULL) {
        *products = msfl_strdup(j->job->folder);
        *audit = msfl_format("%s/audit/%s", e->folder, j->job->id);
    }
    pthread_mutex_unlock(&e->lock);
    if (j == NULL) return no_job(id);
    if (*products != NULL && *audit != NULL) return MSFL_OK;
    msfl_free(*products);
    msfl_free(*audit);
    *products = *audit = NULL;
    return MSFL_NO_MEMORY;
}

void coord_engine_seen(coord_engine *e, const char *name) {
    pthread_mutex_lock(&e->lock);
    uint32_t i = 0;
    while (i < e->n_seen && strcmp(e->seen[i].name, name) != 0)
        i++;
    if (i == e->n_seen && i < PKI_PARTIES_MAX &&
        msfl_grow((void **)&e->seen, &e->seen_capacity, (size_t)i + 1, sizeof *e->seen) == MSFL_OK) {
        (void)snprintf(e->seen[i].name, sizeof e->seen[i].name, "%s", name);
        e->n_seen++;
    }
    if (i < e->n_seen) e->seen[i].at_ms = coord_now_ms();
    pthread_mutex_unlock(&e->lock);
}
