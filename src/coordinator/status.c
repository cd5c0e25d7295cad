/* What the coordinator tells about itself: docs/formats/status.md. Nothing of it decides anything. */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "coordinator/engine_private.h"
#include "coordinator/service.h"
#include "medsecurefl/scheme.h"
#include "pki/round.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <time.h>

enum {
    CONNECTED_MS = 40000, /* a long poll lasts 25 s */
    WHOLE_JOBS = 20,      /* the newest, with their history; the others would make the answer too long */
};

static json_t *time_json(uint64_t ms) {
    return ms == 0 ? json_null() : json_integer((json_int_t)ms);
}

static json_t *hash_json(const uint8_t hash[MSFL_HASH_BYTES]) {
    char text[2 * MSFL_HASH_BYTES + 1];
    msfl_hex(hash, MSFL_HASH_BYTES, text);
    return json_string(text);
}

static bool encrypts(const coord_job *j) {
    return strcmp(j->spec.scheme, "plain") != 0;
}

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

static uint64_t seen_ms(const coord_engine *e, const char *name) {
    for (uint32_t i = 0; i < e->n_seen; i++)
        if (strcmp(e->seen[i].name, name) == 0) return e->seen[i].at_ms;
    return 0;
}

/** With the engine's lock. */
static json_t *parties_json(const coord_engine *e, const coord_members *m, uint64_t now_ms) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < m->pki->n_parties; i++) {
        const pki_party *p = &m->pki->parties[i];
        const uint64_t seen = seen_ms(e, p->name);
        const bool revoked = p->n_certificates == 0;
        json_array_append_new(
            list, json_pack("{s:s,s:s,s:b,s:o,s:b,s:o,s:b}", "name", p->name, "role", pki_role_name(p->role), "member",
                            (int)is_member(m, p->name), "seen_ms", time_json(seen), "connected",
                            (int)(seen != 0 && now_ms < seen + CONNECTED_MS), "certificate_not_after_ms",
                            revoked ? json_null() : json_integer((json_int_t)p->certificates[0].not_after * 1000),
                            "revoked", (int)revoked));
    }
    return list;
}

/* --- a job --- */

static const char *const phase_names[] = {"idle", "collecting", "certifying", "releasing", "opened", "delivering"};

/** With the engine's lock: hospitals that have said they will not upload in the open round, and have not. */
static uint32_t n_staying_out(const coord_entry *j, const coord_view *v) {
    const uint32_t round = coord_job_plan(j->job).round;
    uint32_t n = 0;
    for (uint32_t i = 0; i < v->n_clients && i < j->n_reports; i++)
        n += !v->clients[i].in && coord_stays_out(&j->reports[i], round);
    return n;
}

static void phase_text(const coord_entry *j, const coord_view *v, uint64_t now_ms, char out[200]) {
    uint32_t voted = 0, answered = 0;
    for (uint32_t i = 0; i < v->k; i++) {
        voted += v->members[i].voted;
        answered += v->members[i].answered;
    }
    const uint64_t left = v->deadline_ms > now_ms ? (v->deadline_ms - now_ms + 59999) / 60000 : 0;
    const uint32_t target = j->job->spec.target_cohort != 0 ? j->job->spec.target_cohort : v->n_clients;
    out[0] = 0;
    if (j->waits[0] != 0) {
        (void)snprintf(out, 200, "waits: %.190s", j->waits);
    } else if (j->job->state == COORD_QUEUED) {
        (void)snprintf(out, 200, "waits for the jobs before it");
    } else if (j->job->state != COORD_RUNNING) {
        (void)snprintf(out, 200, "%s", coord_state_name(j->job->state));
    } else if (v->phase == MSFL_PHASE_COLLECTING && v->n_clients - n_staying_out(j, v) < v->min_cohort) {
        (void)snprintf(
            out, 200,
            "%u of %u updates are in; %u hospitals stay out, so the minimum of %u is not reached unless they "
            "change their minds: given up in %" PRIu64 " min",
            v->n_in, v->n_clients, n_staying_out(j, v), v->min_cohort, left);
    } else if (v->phase == MSFL_PHASE_COLLECTING) {
        (void)snprintf(out, 200, "%u of %u updates are in; closes when %s, or in %" PRIu64 " min", v->n_in,
                       v->n_clients, target == v->n_clients ? "all are" : "enough are", left);
    } else if (v->phase == MSFL_PHASE_CERTIFYING) {
        (void)snprintf(out, 200, "%u of %u members have signed the cohort of %u", voted, v->k, v->n_in);
    } else if (v->phase == MSFL_PHASE_RELEASING) {
        (void)snprintf(out, 200, "%u of %u members have sent their sums of shares", answered, v->k);
    } else if (v->phase == MSFL_PHASE_OPENED) {
        (void)snprintf(out, 200, "the sum is opened; the next model is being made of it");
    } else if (v->phase == MSFL_PHASE_DELIVERING) {
        uint32_t reported = 0;
        for (uint32_t i = 0; i < v->n_clients; i++)
            reported += v->clients[i].reported;
        (void)snprintf(out, 200, "%u of %u hospitals have opened the sum; %u must say the same", reported, v->n_clients,
                       v->min_cohort);
    } else {
        (void)snprintf(out, 200, "between two rounds");
    }
}

static const char *hospital_state(const coord_entry *j, const coord_view *v, uint32_t i, uint64_t seen) {
    const coord_client_view *c = &v->clients[i];
    const coord_report *r = i < j->n_reports ? &j->reports[i] : NULL;
    if (v->phase > MSFL_PHASE_COLLECTING) {
        if (c->in) return "certified";
        return r != NULL && strcmp(r->state, "refused") == 0 ? "refused" : "dropped";
    }
    if (v->phase == MSFL_PHASE_COLLECTING && c->in) return "uploaded";
    if (v->phase == MSFL_PHASE_COLLECTING && c->bytes > 0) return "uploading";
    if (r != NULL && r->at_ms != 0) return r->state;
    return seen < j->job->submitted_ms ? "absent" : "idle";
}

/** With the engine's lock. */
static json_t *hospitals_json(const coord_engine *e, const coord_entry *j, const coord_view *v) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < v->n_clients; i++) {
        const char *name = pki_round_name(j->members->pki, i);
        const coord_client_view *c = &v->clients[i];
        const coord_report *r = i < j->n_reports && j->reports[i].at_ms != 0 ? &j->reports[i] : NULL;
        const bool open = v->phase != MSFL_PHASE_IDLE;
        json_t *progress = json_null();
        if (open && v->bytes_total > 0 && c->bytes > 0) {
            progress = json_real((double)c->bytes / (double)v->bytes_total);
        } else if (r != NULL) {
            progress = msfl_json_real(r->progress);
        }
        json_array_append_new(
            list, json_pack("{s:s,s:i,s:s,s:o,s:o,s:I,s:I,s:o,s:b}", "name", name == NULL ? "" : name, "client", (int)i,
                            "state", hospital_state(j, v, i, name == NULL ? 0 : seen_ms(e, name)), "text",
                            msfl_json_string(r == NULL ? "" : r->text), "progress", progress, "bytes",
                            (json_int_t)(open ? c->bytes : 0), "bytes_total", (json_int_t)v->bytes_total, "changed_ms",
                            time_json(c->changed_ms != 0 ? c->changed_ms
                                      : r != NULL        ? r->at_ms
                                                         : 0),
                            "cohort", (int)(v->phase > MSFL_PHASE_COLLECTING && c->in)));
    }
    return list;
}

static json_t *members_json(const coord_entry *j, const coord_view *v) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < v->k; i++) {
        const coord_member_view *m = &v->members[i];
        const char *name = pki_round_name(j->members->pki, m->party);
        json_array_append_new(list, json_pack("{s:s,s:b,s:b,s:b}", "name", name == NULL ? "" : name, "voted",
                                              (int)m->voted, "answered", (int)m->answered, "cheated", (int)m->cheated));
    }
    return list;
}

static json_t *history_json(const coord_job *j) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < j->n_history; i++) {
        const coord_history *h = &j->history[i];
        json_t *o = coord_history_figures(j, h);
        json_object_set_new(o, "round", json_integer(h->round));
        json_object_set_new(o, "number", json_integer((json_int_t)h->number));
        json_object_set_new(o, "outcome", json_string("opened"));
        json_object_set_new(o, "cohort", json_integer(h->cohort));
        json_object_set_new(o, "clipped", coord_is_sealed(j) ? json_null() : json_integer((json_int_t)h->clipped));
        json_object_set_new(o, "ms_collect", msfl_json_real(h->ms_collect));
        json_object_set_new(o, "ms_certify", msfl_json_real(h->ms_certify));
        json_object_set_new(o, "ms_release", msfl_json_real(h->ms_release));
        json_object_set_new(o, "ms_open", msfl_json_real(h->ms_open));
        json_object_set_new(o, "bytes_in", json_integer((json_int_t)h->bytes_in));
        json_object_set_new(o, "bytes_out", json_integer((json_int_t)h->bytes_out));
        json_object_set_new(o, "ended_ms", time_json(h->ended_ms));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *attempts_json(const coord_job *j) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < j->n_attempts; i++) {
        const coord_attempt *a = &j->attempts[i];
        json_array_append_new(list, json_pack("{s:I,s:i,s:s,s:s,s:o,s:o}", "number", (json_int_t)a->number, "round",
                                              (int)a->round, "kind", job_kind_name(a->kind), "outcome", "aborted",
                                              "why", msfl_json_string(a->why), "ended_ms", time_json(a->ended_ms)));
    }
    return list;
}

static json_t *classes_json(const job_spec *spec) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < spec->n_classes; i++)
        json_array_append_new(list, msfl_json_string(spec->classes[i]));
    return list;
}

static void put_parameters(const coord_engine *e, const coord_job *j, json_t *o) {
    msfl_params p;
    char text[160] = "";
    if (!encrypts(j)) {
        (void)snprintf(text, sizeof text, "NOT ENCRYPTED: float32 in the clear");
    } else if (e->members->round != NULL &&
               job_shape_params(j->shape, msfl_roster_borrow(e->members->round), &p) == MSFL_OK) {
        (void)snprintf(text, sizeof text, "N = %u, %u primes, %u values of %u bits a coefficient", p.ring_degree,
                       p.n_primes, p.slots_per_coefficient, p.slot_bits);
    }
    json_object_set_new(o, "parameters", json_string(text));
}

/** With the engine's lock. */
static json_t *job_json(const coord_engine *e, const coord_entry *j, const coord_view *v, uint64_t now_ms, bool whole) {
    const coord_job *job = j->job;
    char text[200];
    phase_text(j, v, now_ms, text);
    json_t *o = json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o}", "id", job->id, "name", job->spec.name, "state",
                          coord_state_name(job->state), "why", msfl_json_string(job->why), "submitted_ms",
                          time_json(job->submitted_ms), "started_ms", time_json(job->started_ms), "ended_ms",
                          time_json(job->ended_ms), "hash", hash_json(job->hash), "task", hash_json(job->task));
    const bool open = v->phase != MSFL_PHASE_IDLE;
    json_object_set_new(o, "scheme", json_string(job->spec.scheme));
    json_object_set_new(o, "encrypts", json_boolean(encrypts(job)));
    json_object_set_new(o, "delivery",
                        json_string(job->spec.delivery == MSFL_DELIVERY_CLIENTS ? "clients" : "coordinator"));
    json_object_set_new(
        o, "figures", json_string(coord_is_sealed(job) ? "known to the hospitals alone" : "known to the coordinator"));
    json_object_set_new(
        o, "model",
        json_string(job->shape->model != NULL ? msfl_model_info_borrow(job->shape->model)->name : "tensors"));
    json_object_set_new(o, "judged_by", json_string(job->shape->n_structures > 0 ? "dice" : "auc"));
    json_object_set_new(o, "n_values", json_integer((json_int_t)job->shape->n_values));
    json_object_set_new(o, "value_bits", json_integer(job->spec.value_bits));
    json_object_set_new(o, "security_bits", json_integer(encrypts(job) ? job->spec.security_bits : 0));
    put_parameters(e, job, o);
    json_object_set_new(o, "rounds", json_integer(job->spec.rule.n_rounds));
    /* A job that has ended has no next round. */
    const uint32_t round = coord_job_plan(job).round, last = job->spec.rule.n_rounds;
    json_object_set_new(o, "round", json_integer(round < last ? round : last));
    json_object_set_new(o, "min_cohort", json_integer(job->spec.min_cohort));
    json_object_set_new(o, "target_cohort",
                        json_integer(job->spec.target_cohort != 0 ? job->spec.target_cohort : v->n_clients));
    json_object_set_new(o, "deadline_s", json_integer(job->spec.deadline_s));
    json_object_set_new(o, "phase", json_string(phase_names[v->phase]));
    json_object_set_new(o, "phase_text", msfl_json_string(text));
    json_object_set_new(o, "kind", json_string(job_kind_name(job->stage)));
    json_object_set_new(o, "number", json_integer((json_int_t)job->number));
    json_object_set_new(o, "deadline_ms", open ? time_json(v->deadline_ms) : json_null());
    json_object_set_new(o, "hospitals", j->members != NULL ? hospitals_json(e, j, v) : json_array());
    json_object_set_new(o, "members", j->members != NULL ? members_json(j, v) : json_array());
    if (whole) {
        json_object_set_new(o, "classes", classes_json(&job->spec)); /* they do not change, and an event is short */
        json_object_set_new(o, "history", history_json(job));
        json_object_set_new(o, "attempts", attempts_json(job));
    }
    json_object_set_new(o, "test", coord_test_json(job));
    json_object_set_new(o, "best_round", coord_best_json(job));
    json_object_set_new(o, "audit",
                        json_pack("{s:i,s:o,s:o}", "records", (int)job->records, "head", hash_json(job->head),
                                  "verified_ms", time_json(job->verified_ms)));
    return o;
}

/** The view of the one job that has a driver. */
static coord_entry *running(coord_engine *e, coord_view *view, coord_driver **driver) {
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
    const coord_entry *current = running(e, &view, &driver);
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
        const bool viewed = j == current && j->driver == driver;
        const bool history = viewed ? whole : i + WHOLE_JOBS >= e->n_entries;
        json_array_append_new(jobs, job_json(e, j, viewed ? &view : &none, now_ms, history));
    }
    json_object_set_new(o, "jobs", jobs);
    json_object_set_new(o, "log", log_json(e));
    pthread_mutex_unlock(&e->lock);
    coord_view_clear(&view);
    coord_driver_free(driver);
    coord_members_drop(m);
    return o;
}

msfl_status coord_status_text(coord_service *s, char **text) {
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
    msfl_status status = coord_status_text(s, &text);
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

/* --- metrics --- */

static void put(msfl_buffer *b, const char *name, const char *kind, double value) {
    msfl_put_text(b, "# TYPE msfl_%s %s\nmsfl_%s %.17g\n", name, kind, name, value);
}

void coord_metrics_put(coord_service *s, msfl_buffer *b) {
    coord_engine *e = s->engine;
    coord_view view;
    coord_driver *driver;
    uint32_t states[COORD_FAILED + 1] = {0};
    (void)running(e, &view, &driver);
    pthread_mutex_lock(&e->lock);
    const coord_totals t = e->totals;
    for (uint32_t i = 0; i < e->n_entries; i++)
        states[e->entries[i]->job->state]++;
    pthread_mutex_unlock(&e->lock);
    msfl_put_text(b, "# TYPE msfl_jobs gauge\n");
    for (int i = 0; i <= COORD_FAILED; i++)
        msfl_put_text(b, "msfl_jobs{state=\"%s\"} %u\n", coord_state_name((coord_state)i), states[i]);
    msfl_put_text(b, "# TYPE msfl_round_phase gauge\n");
    for (int i = 0; i <= MSFL_PHASE_DELIVERING; i++)
        msfl_put_text(b, "msfl_round_phase{phase=\"%s\"} %d\n", phase_names[i], driver != NULL && (int)view.phase == i);
    msfl_put_text(b,
                  "# TYPE msfl_rounds_total counter\nmsfl_rounds_total{outcome=\"opened\"} %" PRIu64
                  "\nmsfl_rounds_total{outcome=\"aborted\"} %" PRIu64 "\n",
                  t.rounds_opened, t.rounds_aborted);
    put(b, "uploads_in_sums_total", "counter", (double)t.uploads);
    put(b, "round_uploads", "gauge", (double)view.n_in);
    put(b, "messages_received_bytes_total", "counter", (double)t.bytes_in);
    put(b, "messages_sent_bytes_total", "counter", (double)t.bytes_out);
    const struct {
        const char *phase;
        double seconds;
    } spans[] = {{"collecting", t.seconds_collect},
                 {"certifying", t.seconds_certify},
                 {"releasing", t.seconds_release},
                 {"opening", t.seconds_open}};
    msfl_put_text(b, "# TYPE msfl_phase_seconds_total counter\n");
    for (int i = 0; i < 4; i++)
        msfl_put_text(b, "msfl_phase_seconds_total{phase=\"%s\"} %.6f\n", spans[i].phase, spans[i].seconds);
    put(b, "peak_memory_bytes", "gauge", (double)msfl_peak_rss_bytes());
    coord_view_clear(&view);
    coord_driver_free(driver);
}
