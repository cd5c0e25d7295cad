/* What the coordinator tells about itself, the federation and its jobs, asked or as events: docs/formats/status.md. */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "coordinator/service.h"
#include "coordinator/status_private.h"
#include "medsecurefl/scheme.h"
#include "pki/round.h"

enum {
    CONNECTED_MS = 40000, /* a long poll lasts 25 s */
    WHOLE_JOBS = 20,      /* the newest, with their history; the others would make the answer too long */
};

/* --- the server and who belongs to the federation --- */

static json_t *server_json(coord_service *s, const coord_members *m) {
    net_figures f = {0};
    uint8_t print[PKI_FINGERPRINT_BYTES];
    char text[2 * PKI_FINGERPRINT_BYTES + 1];
    if (s->server != NULL) net_server_figures(s->server, &f);
    pki_federation_fingerprint(m->pki, print);
    msfl_hex(print, sizeof print, text);
    return json_pack("{s:s,s:I,s:s,s:i,s:s,s:i,s:I,s:I,s:I,s:I}", "program", msfl_version(), "started_ms",
                     (json_int_t)s->started_ms, "federation", m->pki->federation, "epoch", (int)m->pki->epoch,
                     "fingerprint", text, "connections", (int)f.connections_now, "requests", (json_int_t)f.requests,
                     "bytes_in", (json_int_t)f.bytes_in, "bytes_out", (json_int_t)f.bytes_out, "peak_memory_bytes",
                     (json_int_t)msfl_peak_rss_bytes());
}

static json_t *trust_json(const coord_members *m) {
    if (m->round == NULL) {
        return json_pack("{s:n,s:n,s:n,s:n,s:o}", "custody", "k", "t", "f", "text", msfl_json_string(m->why));
    }
    const msfl_roster_info *r = msfl_roster_borrow(m->round);
    return json_pack("{s:s,s:i,s:i,s:i,s:s}", "custody", msfl_custody_name(r->custody), "k", (int)r->k, "t", (int)r->t,
                     "f", (int)r->f, "text", msfl_custody_trust(r->custody));
}

static bool is_member(const coord_members *m, const char *name) {
    uint32_t number;
    if (m->round == NULL || pki_round_party(m->pki, name, &number) != MSFL_OK) return false;
    const msfl_roster_info *r = msfl_roster_borrow(m->round);
    for (uint32_t i = 0; i < r->k; i++)
        if (r->members[i] == number) return true;
    return false;
}

/** With the engine's lock. */
static json_t *parties_json(const coord_engine *e, const coord_members *m, uint64_t now_ms) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < m->pki->n_parties; i++) {
        const pki_party *p = &m->pki->parties[i];
        const uint64_t seen = coord_seen_ms(e, p->name);
        const bool revoked = p->n_certificates == 0;
        json_array_append_new(
            list, json_pack("{s:s,s:s,s:b,s:o,s:b,s:o,s:b}", "name", p->name, "role", pki_role_name(p->role), "member",
                            (int)is_member(m, p->name), "seen_ms", coord_time_json(seen), "connected",
                            (int)(seen != 0 && now_ms < seen + CONNECTED_MS), "certificate_not_after_ms",
                            revoked ? json_null() : json_integer((json_int_t)p->certificates[0].not_after * 1000),
                            "revoked", (int)revoked));
    }
    return list;
}

coord_entry *coord_running(coord_engine *e, coord_view *view, coord_driver **driver) {
    coord_entry *found = NULL;
    memset(view, 0, sizeof *view);
    *driver = NULL;
    pthread_mutex_lock(&e->lock);
    for (uint32_t i = 0; i < e->n_entries && found == NULL; i++)
        if (e->entries[i]->driver != NULL) found = e->entries[i];
    if (found != NULL) *driver = coord_driver_hold(found->driver);
    pthread_mutex_unlock(&e->lock);
    if (*driver != NULL && coord_driver_view(*driver, view) != MSFL_OK) memset(view, 0, sizeof *view);
    return found;
}

static json_t *log_json(const coord_engine *e) {
    static const char *const levels[] = {"info", "warning", "error"};
    json_t *list = json_array();
    for (uint32_t i = 0; i < e->n_log; i++) {
        const coord_line *l = &e->log[i];
        json_array_append_new(list, json_pack("{s:I,s:s,s:s,s:o}", "at_ms", (json_int_t)l->at_ms, "level",
                                              levels[l->level], "job", l->job, "text", msfl_json_string(l->text)));
    }
    return list;
}

static json_t *status_json(coord_service *s, bool whole) {
    static const coord_view none;
    coord_engine *e = s->engine;
    coord_view view;
    coord_driver *driver;
    const uint64_t now_ms = coord_now_ms();
    const coord_entry *current = coord_running(e, &view, &driver);
    coord_members *m = coord_engine_hold_members(e);
    json_t *o = json_object(), *jobs = json_array();
    json_t *server = server_json(s, m);
    pthread_mutex_lock(&e->lock);
    json_object_set_new(o, "version", json_integer((json_int_t)e->version));
    json_object_set_new(o, "now_ms", json_integer((json_int_t)now_ms));
    json_object_set_new(o, "server", server);
    json_object_set_new(o, "trust", trust_json(m));
    json_object_set_new(o, "parties", parties_json(e, m, now_ms));
    for (uint32_t i = 0; i < e->n_entries; i++) {
        const coord_entry *j = e->entries[i];
        if (!whole && j != current && j->version <= s->published) continue;
        /* The driver may have changed since the view was taken: then there is nothing to show of it. */
        const bool viewed = current != NULL && j == current && j->driver == driver;
        const bool history = viewed ? whole : i + WHOLE_JOBS >= e->n_entries;
        json_array_append_new(jobs, coord_job_json(e, j, viewed ? &view : &none, now_ms, history));
    }
    json_object_set_new(o, "jobs", jobs);
    json_object_set_new(o, "log", log_json(e));
    pthread_mutex_unlock(&e->lock);
    coord_view_clear(&view);
    coord_driver_free(driver);
    coord_members_drop(m);
    return o;
}

/* All of /v1/status as text; msfl_free. */
static msfl_status status_text(coord_service *s, char **text) {
    *text = NULL;
    json_t *o = status_json(s, true);
    msfl_status status = msfl_json_text(o, true, text);
    json_decref(o);
    return status;
}

void coord_status_publish(coord_service *s) {
    coord_engine *e = s->engine;
    char *text = NULL;
    pthread_mutex_lock(&e->lock);
    const uint64_t version = e->version;
    pthread_mutex_unlock(&e->lock);
    if (version == s->published) return;
    json_t *o = status_json(s, false);
    s->published = version;
    json_object_del(o, "log");
    json_object_del(o, "trust");
    if (msfl_json_text(o, true, &text) == MSFL_OK) {
        msfl_status status = net_events_publish(s->events, "status", text);
        if (status == MSFL_ERR_LIMIT) status = net_events_publish(s->events, "gap", "{}");
        (void)status;
    }
    msfl_free(text);
    json_decref(o);
}

static msfl_status get_status(void *ctx, net_request *request) {
    coord_service *s = ctx;
    char *text;
    if (net_request_peer(request) != NULL) coord_engine_seen(s->engine, net_request_peer(request)->name);
    msfl_status status = status_text(s, &text);
    if (status == MSFL_OK) status = net_answer_text(request, 200, "application/json", text);
    msfl_free(text);
    return status;
}

static msfl_status get_events(void *ctx, net_request *request) {
    coord_service *s = ctx;
    return net_answer_events(request, s->events);
}

void coord_routes_status(coord_service *s) {
    coord_route(s, NET_GET, "/v1/status", COORD_PARTIES, get_status);
    coord_route(s, NET_GET, "/v1/events", COORD_PARTIES, get_events);
    s->local[s->n_local++] = (net_route){.method = NET_GET, .pattern = "/v1/status", .finish = get_status, .ctx = s};
    s->local[s->n_local++] = (net_route){.method = NET_GET, .pattern = "/v1/events", .finish = get_events, .ctx = s};
}
