#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "coordinator/engine_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

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

msfl_status coord_no_job(const char *id) {
    return msfl_fail(MSFL_ERR_MISSING, "there is no job %s", id);
}

/* --- changes --- */

void coord_state_key(const coord_job *j, char key[JOB_ID_MAX + 8]) {
    (void)snprintf(key, JOB_ID_MAX + 8, "job/%s", j->id);
}

static msfl_status keep(void *ctx, store *s) {
    coord_change *c = ctx;
    char key[JOB_ID_MAX + 8];
    coord_state_key(c->j->job, key);
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
    msfl_free(j->claims);
    msfl_free(j);
}

msfl_status coord_add_entry(coord_engine *e, coord_job *job, coord_entry **out) {
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
    if (status == MSFL_OK) status = coord_add_entry(e, job, &j);
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
    msfl_status status = store_get(e->o.store, COORD_KEY_JOBS, &list, &length);
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
bool coord_wait_until(coord_engine *e, pthread_cond_t *condition, uint64_t end_ns) {
    const struct timespec until = {.tv_sec = (time_t)(end_ns / 1000000000), .tv_nsec = (long)(end_ns % 1000000000)};
    return pthread_cond_timedwait(condition, &e->lock, &until) != ETIMEDOUT;
}

void coord_engine_rest(coord_engine *e, uint32_t wait_ms) {
    const uint64_t end = msfl_now_ns() + (uint64_t)wait_ms * 1000000;
    pthread_mutex_lock(&e->lock);
    while (!e->due && !e->stopping) {
        if (!coord_wait_until(e, &e->work, end)) break;
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

/* --- rosters --- */

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
