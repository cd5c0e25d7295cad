/* Server-sent events (HTML Living Standard, section 9.2): a ring of the last ones, and readers that wait in their
 * connections' threads. */
#include "base/error.h"
#include "base/mem.h"
#include "net/server_private.h"

#include <stdio.h>
#include <string.h>

typedef struct entry {
    uint64_t id;
    char *text;
    size_t length;
} entry;

typedef struct reader {
    net_events *events;
    struct reader *next, **link;
    uint64_t next_id; /**< of the event that it gets next */
    size_t sent;      /**< bytes of that one which are out already */
    bool beat, greeted;
} reader;

struct net_events {
    pthread_mutex_t lock;
    pthread_cond_t news;
    entry ring[NET_EVENTS_KEPT]; /**< event id stands at id % NET_EVENTS_KEPT */
    uint64_t next_id;            /**< from 1 */
    reader *readers;
    uint32_t n_readers;
    bool ended;
};

msfl_status net_events_new(net_events **out) {
    *out = msfl_alloc(1, sizeof **out);
    if (*out == NULL) return MSFL_NO_MEMORY;
    (void)pthread_mutex_init(&(*out)->lock, NULL);
    (void)pthread_cond_init(&(*out)->news, NULL);
    (*out)->next_id = 1;
    return MSFL_OK;
}

void net_events_free(net_events *events) {
    if (events == NULL) return;
    for (size_t i = 0; i < NET_EVENTS_KEPT; i++)
        msfl_free(events->ring[i].text);
    (void)pthread_cond_destroy(&events->news);
    (void)pthread_mutex_destroy(&events->lock);
    msfl_free(events);
}

msfl_status net_events_publish(net_events *events, const char *name, const char *data) {
    for (const char *c = name; *c != 0; c++)
        if (!((*c >= 'a' && *c <= 'z') || *c == '-')) return msfl_fail(MSFL_ERR_FORMAT, "no name of an event");
    if (strpbrk(data, "\r\n") != NULL) return msfl_fail(MSFL_ERR_FORMAT, "the data of an event is one line");
    if (strlen(name) + strlen(data) > NET_EVENT_BYTES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "an event has at most %d bytes", NET_EVENT_BYTES_MAX);
    }
    pthread_mutex_lock(&events->lock);
    uint64_t id = events->next_id;
    char *text = msfl_format("id: %llu\nevent: %s\ndata: %s\n\n", (unsigned long long)id, name, data);
    if (text != NULL) {
        entry *e = &events->ring[id % NET_EVENTS_KEPT];
        msfl_free(e->text);
        *e = (entry){id, text, strlen(text)};
        events->next_id++;
        pthread_cond_broadcast(&events->news);
    }
    pthread_mutex_unlock(&events->lock);
    return text == NULL ? MSFL_NO_MEMORY : MSFL_OK;
}

void net_events_beat(net_events *events) {
    pthread_mutex_lock(&events->lock);
    for (reader *r = events->readers; r != NULL; r = r->next)
        r->beat = true;
    pthread_cond_broadcast(&events->news);
    pthread_mutex_unlock(&events->lock);
}

void net_events_end(net_events *events) {
    pthread_mutex_lock(&events->lock);
    events->ended = true;
    pthread_cond_broadcast(&events->news);
    pthread_mutex_unlock(&events->lock);
}

static ssize_t put(const char *text, char *out, size_t max) {
    const char *end = text + strlen(text); /* the zero stays here */
    size_t n = (size_t)(end - text);
    if (n > max) return 0;
    memcpy(out, text, n);
    return (ssize_t)n;
}

/* Under the lock: a reader that is too far behind is told so, between two events and never inside one. */
static ssize_t catch_up(net_events *events, reader *r, char *out, size_t max) {
    uint64_t oldest = events->next_id > NET_EVENTS_KEPT ? events->next_id - NET_EVENTS_KEPT : 1;
    if (r->next_id >= oldest) return 0;
    if (r->sent > 0) return -1; /* the rest of its event is gone: it must come again */
    r->next_id = oldest;
    return put("event: gap\ndata: {}\n\n", out, max);
}

/* Under the lock: what this reader gets now; 0: nothing yet; -1: the end. */
static ssize_t next_bytes(net_events *events, reader *r, char *out, size_t max) {
    if (events->ended) return -1;
    if (!r->greeted) {
        r->greeted = true;
        return put("retry: 3000\n\n", out, max);
    }
    ssize_t n = catch_up(events, r, out, max);
    if (n != 0) return n;
    if (r->next_id < events->next_id) {
        const entry *e = &events->ring[r->next_id % NET_EVENTS_KEPT];
        size_t left = e->length - r->sent, take = left < max ? left : max;
        memcpy(out, e->text + r->sent, take);
        r->sent += take;
        if (r->sent == e->length) {
            r->next_id++;
            r->sent = 0;
        }
        return (ssize_t)take;
    }
    if (!r->beat) return 0;
    r->beat = false;
    return put(": still here\n\n", out, max);
}

static ssize_t read_events(void *ctx, char *out, size_t max) {
    reader *r = ctx;
    net_events *events = r->events;
    ssize_t n;
    pthread_mutex_lock(&events->lock);
    while ((n = next_bytes(events, r, out, max)) == 0)
        (void)pthread_cond_wait(&events->news, &events->lock);
    pthread_mutex_unlock(&events->lock);
    return n;
}

static void release(void *ctx) {
    reader *r = ctx;
    net_events *events = r->events;
    pthread_mutex_lock(&events->lock);
    *r->link = r->next;
    if (r->next != NULL) r->next->link = r->link;
    events->n_readers--;
    pthread_mutex_unlock(&events->lock);
    msfl_free(r);
}

msfl_status net_events_open(net_events *events, uint64_t last_id, net_mhd_body *out) {
    reader *r = msfl_alloc(1, sizeof *r);
    if (r == NULL) return MSFL_NO_MEMORY;
    r->events = events;
    pthread_mutex_lock(&events->lock);
    bool room = !events->ended && events->n_readers < NET_EVENTS_READERS_MAX;
    if (room) {
        r->next_id = last_id >= events->next_id ? events->next_id : last_id + 1;
        r->next = events->readers;
        r->link = &events->readers;
        if (r->next != NULL) r->next->link = &r->next;
        events->readers = r;
        events->n_readers++;
    }
    pthread_mutex_unlock(&events->lock);
    if (!room) {
        msfl_free(r);
        return msfl_fail(MSFL_ERR_CANCELLED, "no reader of events is taken now: at most %d at once",
                         NET_EVENTS_READERS_MAX);
    }
    out->read = read_events;
    out->release = release;
    out->ctx = r;
    return MSFL_OK;
}
