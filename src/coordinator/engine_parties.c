/* What parties send and ask: to the machine of their job's round, or answered from what the engine knows. */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "coordinator/engine_private.h"
#include "pki/round.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

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
        status = coord_no_job(id);
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

msfl_status coord_not_now(coord_engine *e, const coord_entry *j) {
    pthread_mutex_lock(&e->lock);
    const bool soon = j->job->state == COORD_RUNNING;
    pthread_mutex_unlock(&e->lock);
    if (soon) return msfl_fail(MSFL_ERR_CANCELLED, "job %s changes its roster: try again", j->job->id);
    return msfl_fail(MSFL_ERR_POLICY, "no round of job %s is open", j->job->id);
}

msfl_status coord_engine_receive(coord_engine *e, const char *id, const char *name, const uint8_t *message,
                                 size_t length, msfl_buffer *frames) {
    visit v;
    msfl_status status = enter(e, id, name, &v);
    if (status != MSFL_OK) return status;
    if (v.driver == NULL) return coord_not_now(e, v.j);
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
        status = job_plan_text(&plan, v->j->job->shape->sent.n_tensors, &text);
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
        if (!coord_wait_until(e, &e->news, end)) break;
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
        if (!coord_wait_until(e, &e->news, end)) break;
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
    return j == NULL ? coord_no_job(id) : *text == NULL ? MSFL_NO_MEMORY : MSFL_OK;
}

msfl_status coord_engine_plan(coord_engine *e, const char *id, uint64_t number, char **text) {
    *text = NULL;
    msfl_status status;
    pthread_mutex_lock(&e->lock);
    const coord_entry *j = coord_find(e, id);
    if (j == NULL) {
        status = coord_no_job(id);
    } else if (!j->job->open || j->job->number != number) {
        status = msfl_fail(MSFL_ERR_MISSING, "round %" PRIu64 " of %s is not open", number, id);
    } else {
        const job_plan plan = coord_job_plan(j->job);
        status = job_plan_text(&plan, j->job->shape->sent.n_tensors, text);
    }
    pthread_mutex_unlock(&e->lock);
    return status;
}

msfl_status coord_engine_model(coord_engine *e, const char *id, uint32_t index, char **path,
                               uint8_t hash[MSFL_HASH_BYTES]) {
    *path = NULL;
    pthread_mutex_lock(&e->lock);
    const coord_entry *entry = coord_find(e, id);
    msfl_status status = entry == NULL ? coord_no_job(id) : MSFL_OK;
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
    if (j == NULL) return coord_no_job(id);
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
