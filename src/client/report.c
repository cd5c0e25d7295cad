#include "client/report.h"

#include "base/error.h"
#include "base/mem.h"
#include "client/hub.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SLOTS = 8, PERIOD_MS = 1000 };

typedef struct slot {
    char job[64];
    bool dirty;
    uint64_t round;
    const char *state;
    double progress;
    char text[200];
} slot;

struct client_reporter {
    client_hub *hub;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t woken;
    bool stop;
    slot slots[SLOTS];
    uint32_t next; /* slot that is given away next */
};

static char *json_of(const slot *s) {
    json_t *text = msfl_json_string(s->text);
    json_t *o = json_pack("{sI ss sf so}", "round", (json_int_t)s->round, "state", s->state, "progress", s->progress,
                          "text", text);
    char *out = NULL;
    if (o == NULL || msfl_json_text(o, true, &out) != MSFL_OK) out = NULL;
    json_decref(o);
    return out;
}

static bool take(client_reporter *r, slot *out) {
    for (uint32_t i = 0; i < SLOTS; i++) {
        if (!r->slots[i].dirty) continue;
        *out = r->slots[i];
        r->slots[i].dirty = false;
        return true;
    }
    return false;
}

static void *work(void *ctx) {
    client_reporter *r = ctx;
    client_link *link = NULL;
    uint32_t epoch = 0;
    slot s;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += PERIOD_MS / 1000;
        if (!r->stop) (void)pthread_cond_timedwait(&r->woken, &r->lock, &until);
        while (take(r, &s)) {
            pthread_mutex_unlock(&r->lock);
            const uint32_t now = client_hub_epoch(r->hub);
            if (link != NULL && now != epoch) {
                client_link_free(link);
                link = NULL;
            }
            epoch = now;
            /* A failure here is nobody's concern: the round itself says whether the coordinator can be reached. */
            if (link == NULL && client_hub_link(r->hub, NULL, 1, &link) != MSFL_OK) link = NULL;
            char *json = json_of(&s);
            if (link != NULL && json != NULL) (void)!client_link_report(link, s.job, json);
            msfl_free(json);
            pthread_mutex_lock(&r->lock);
        }
        if (r->stop) break;
    }
    pthread_mutex_unlock(&r->lock);
    client_link_free(link);
    return NULL;
}

msfl_status client_reporter_new(client_hub *hub, client_reporter **out) {
    *out = NULL;
    client_reporter *r = msfl_alloc(1, sizeof *r);
    if (r == NULL) return MSFL_NO_MEMORY;
    r->hub = hub;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->woken, NULL);
    if (pthread_create(&r->thread, NULL, work, r) != 0) {
        msfl_free(r);
        return msfl_fail(MSFL_ERR_SYSTEM, "a thread cannot be started");
    }
    *out = r;
    return MSFL_OK;
}

void client_reporter_free(client_reporter *r) {
    if (r == NULL) return;
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_signal(&r->woken);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    pthread_cond_destroy(&r->woken);
    pthread_mutex_destroy(&r->lock);
    msfl_free(r);
}

void client_reporter_say(client_reporter *r, const char *job, uint64_t round, const char *state, double progress,
                         const char *text) {
    if (r == NULL) return;
    pthread_mutex_lock(&r->lock);
    slot *s = NULL;
    for (uint32_t i = 0; i < SLOTS && s == NULL; i++) {
        if (strcmp(r->slots[i].job, job) == 0) s = &r->slots[i];
    }
    if (s == NULL) s = &r->slots[r->next++ % SLOTS];
    const bool other = s->state == NULL || strcmp(s->state, state) != 0;
    snprintf(s->job, sizeof s->job, "%s", job);
    snprintf(s->text, sizeof s->text, "%s", text);
    s->round = round;
    s->state = state;
    s->progress = progress;
    s->dirty = true;
    if (other) pthread_cond_signal(&r->woken);
    pthread_mutex_unlock(&r->lock);
}
