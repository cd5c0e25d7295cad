/* A client's main thread: the roster, the list of jobs, and who works on which. */
#include "client/run.h"
#include "client/sealed.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "medsecurefl/client.h"

#include <string.h>

/* A party may have eight connections: two here, two for each job. */
enum { RUNS_MAX = 3, REFUSED_MAX = 256 };

typedef struct client {
    client_hub hub;
    client_link *link;
    const volatile int *cancel;
    uint64_t seen;
    uint32_t failures;
    client_run *runs[RUNS_MAX];
    /* Jobs whose part here ended by itself, and under which roster: a new one may make room for them. */
    char ended[REFUSED_MAX][JOB_ID_MAX + 1];
    uint32_t n_ended, ended_epoch;
    uint32_t bad_epoch; /* of a roster that was none: not asked for again */
    msfl_status worst;  /* of a job that was named with --job */
} client;

static const int never = 0;

/* --- the roster --- */

static msfl_status take_roster(client *c, uint32_t epoch) {
    char *text;
    size_t length;
    if (epoch <= client_hub_epoch(&c->hub)) return MSFL_OK;
    msfl_status status = client_link_roster(c->link, &text, &length);
    if (status != MSFL_OK) return status;
    pthread_mutex_lock(&c->hub.lock);
    status = pki_kit_take_roster(c->hub.kit, c->hub.o->kit, text, length);
    pthread_mutex_unlock(&c->hub.lock);
    msfl_free(text);
    if (status != MSFL_OK) return status;
    msfl_observe_text(&c->hub.observer, MSFL_EVENT_INFO, "client", "new roster, epoch %u", client_hub_epoch(&c->hub));
    client_link_free(c->link); /* its pins are those of the old one */
    c->link = NULL;
    return MSFL_OK;
}

/* --- jobs --- */

static bool has_ended(const client *c, const char *id) {
    for (uint32_t i = 0; i < c->n_ended; i++) {
        if (strcmp(c->ended[i], id) == 0) return true;
    }
    return false;
}

static client_run **slot_of(client *c, const char *id) {
    for (uint32_t i = 0; i < RUNS_MAX; i++) {
        if (c->runs[i] != NULL && strcmp(c->runs[i]->id, id) == 0) return &c->runs[i];
    }
    return NULL;
}

static bool is_running(const client_job_line *lines, size_t n, const char *id) {
    for (size_t i = 0; i < n; i++) {
        if (strcmp(lines[i].id, id) == 0) return lines[i].state == CLIENT_RUNNING;
    }
    return false;
}

static void end_run(client *c, client_run **slot, bool by_itself) {
    client_run *run = *slot;
    if (by_itself && c->n_ended < REFUSED_MAX) memcpy(c->ended[c->n_ended++], run->id, sizeof run->id);
    if (by_itself && c->hub.o->job != NULL && run->status != MSFL_OK) c->worst = run->status;
    client_run_free(run);
    *slot = NULL;
}

/* A job that ended while this hospital was away, and whose last sums it has not opened. */
static bool is_behind(const client *c, const client_job_line *line) {
    return c->hub.has_site && line->state > CLIENT_RUNNING && client_sealed_is_behind(c->hub.store, line->id);
}

static msfl_status follow(client *c, const client_job_line *lines, size_t n) {
    const uint32_t epoch = client_hub_epoch(&c->hub);
    if (epoch != c->ended_epoch) c->n_ended = 0;
    c->ended_epoch = epoch;
    for (uint32_t i = 0; i < RUNS_MAX; i++) {
        if (c->runs[i] == NULL) continue;
        client_run *run = c->runs[i];
        if (!msfl_is_set(&run->over) && !is_running(lines, n, run->id)) {
            client_say(run, MSFL_EVENT_PHASE, "the job is over");
            msfl_set_flag(&run->over);
        }
        const bool failed = atomic_load(&run->failed);
        if (failed && c->hub.o->once && c->hub.o->job != NULL)
            msfl_set_flag(&run->over); /* nobody waits for its duty */
        if (atomic_load(&run->ended)) end_run(c, &c->runs[i], failed || !msfl_is_set(&run->over));
    }
    for (size_t i = 0; i < n; i++) {
        const client_job_line *line = &lines[i];
        const bool behind = is_behind(c, line);
        if ((line->state != CLIENT_RUNNING && !behind) || slot_of(c, line->id) != NULL || has_ended(c, line->id))
            continue;
        if (c->hub.o->job != NULL && strcmp(c->hub.o->job, line->id) != 0) continue;
        for (uint32_t k = 0; k < RUNS_MAX; k++) {
            if (c->runs[k] != NULL) continue;
            msfl_status status = client_run_new(&c->hub, line->id, line->hash, &c->runs[k]);
            if (status != MSFL_OK) return status;
            c->runs[k]->over = behind; /* to catch up, and no more */
            break;
        }
    }
    return MSFL_OK;
}

/* With --once: whether something is still to come. */
static bool is_idle(const client *c, const client_job_line *lines, size_t n) {
    for (uint32_t i = 0; i < RUNS_MAX; i++) {
        if (c->runs[i] != NULL && !atomic_load(&c->runs[i]->ended)) return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (c->hub.o->job != NULL && strcmp(c->hub.o->job, lines[i].id) != 0) continue;
        if (lines[i].state == CLIENT_QUEUED) return false;
        if (lines[i].state == CLIENT_RUNNING && !has_ended(c, lines[i].id)) return false;
    }
    return true;
}

static msfl_status step(client *c, bool *idle) {
    client_job_line *lines = NULL;
    size_t n = 0;
    uint32_t epoch = 0;
    *idle = false;
    msfl_status status = MSFL_OK;
    if (c->link == NULL) status = client_hub_link(&c->hub, c->cancel, 6, &c->link);
    /* With --once nobody should wait for a poll to end. */
    const uint32_t wait_s = c->hub.o->once ? 1 : CLIENT_WAIT_S;
    if (status == MSFL_OK) status = client_link_jobs(c->link, wait_s, &c->seen, &epoch, &lines, &n);
    if (status == MSFL_OK && epoch != c->bad_epoch) {
        status = take_roster(c, epoch);
        if (status != MSFL_OK && status != MSFL_ERR_CANCELLED && status != MSFL_ERR_MEMORY) {
            /* The roster that we have goes on to count: a coordinator cannot talk us out of it. */
            msfl_observe_text(&c->hub.observer, MSFL_EVENT_WARNING, "client", "roster of epoch %u: %s", epoch,
                              msfl_error_message());
            if (status != MSFL_ERR_IO) c->bad_epoch = epoch;
            status = MSFL_OK;
        }
    }
    if (status == MSFL_OK) status = follow(c, lines, n);
    if (status == MSFL_OK) *idle = is_idle(c, lines, n);
    msfl_free(lines);
    return status;
}

/* What no waiting mends. */
static bool is_final(msfl_status status) {
    return status == MSFL_ERR_POLICY || status == MSFL_ERR_CRYPTO || status == MSFL_ERR_USAGE;
}

static msfl_status work(client *c) {
    for (;;) {
        bool idle;
        msfl_status status = step(c, &idle);
        if (msfl_is_set(c->cancel)) return MSFL_OK;
        if (status == MSFL_OK) {
            c->failures = 0;
            if (idle && c->hub.o->once) return c->worst;
            continue;
        }
        if (is_final(status)) return status;
        if (c->failures++ == 0) {
            msfl_observe_text(&c->hub.observer, MSFL_EVENT_WARNING, "client", "%s", msfl_error_message());
        }
        client_link_free(c->link);
        c->link = NULL;
        c->seen = 0;
        if (client_pause(c->cancel, 2000) != MSFL_OK) return MSFL_OK;
    }
}

msfl_status msfl_client_run(const msfl_client_options *options) {
    client *c = msfl_alloc(1, sizeof *c);
    if (c == NULL) return MSFL_NO_MEMORY;
    c->cancel = options->observer != NULL && options->observer->cancel != NULL ? options->observer->cancel : &never;
    msfl_status status = client_hub_init(&c->hub, options);
    if (status == MSFL_OK) {
        msfl_observe_text(&c->hub.observer, MSFL_EVENT_PHASE, "client", "%s %s of federation %s, coordinator %s",
                          pki_role_name(c->hub.kit->config.role), c->hub.kit->config.name,
                          c->hub.kit->config.federation, c->hub.kit->config.url);
        status = work(c);
    }
    char *message = status == MSFL_OK ? NULL : msfl_strdup(msfl_error_message());
    for (uint32_t i = 0; i < RUNS_MAX; i++) {
        if (c->runs[i] != NULL) client_run_stop(c->runs[i]); /* all at once, then one after the other */
    }
    for (uint32_t i = 0; i < RUNS_MAX; i++)
        client_run_free(c->runs[i]);
    client_link_free(c->link);
    client_hub_clear(&c->hub);
    if (message != NULL) msfl_error_set(message);
    msfl_free(message);
    msfl_free(c);
    return status;
}
