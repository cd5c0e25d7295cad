/* A job as the coordinator tells of it: docs/formats/status.md. Nothing of it decides anything. */
#include "coordinator/status_private.h"

#include "base/error.h"
#include "base/sodium.h"
#include "pki/round.h"

#include <inttypes.h>
#include <stdio.h>

json_t *coord_time_json(uint64_t ms) {
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

uint64_t coord_seen_ms(const coord_engine *e, const char *name) {
    for (uint32_t i = 0; i < e->n_seen; i++)
        if (strcmp(e->seen[i].name, name) == 0) return e->seen[i].at_ms;
    return 0;
}

const char *const coord_phase_names[] = {"idle", "collecting", "certifying", "releasing", "opened", "delivering"};

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
                            "state", hospital_state(j, v, i, name == NULL ? 0 : coord_seen_ms(e, name)), "text",
                            msfl_json_string(r == NULL ? "" : r->text), "progress", progress, "bytes",
                            (json_int_t)(open ? c->bytes : 0), "bytes_total", (json_int_t)v->bytes_total, "changed_ms",
                            coord_time_json(c->changed_ms != 0 ? c->changed_ms
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
        json_object_set_new(o, "ended_ms", coord_time_json(h->ended_ms));
        json_array_append_new(list, o);
    }
    return list;
}

static json_t *attempts_json(const coord_job *j) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < j->n_attempts; i++) {
        const coord_attempt *a = &j->attempts[i];
        json_array_append_new(list,
                              json_pack("{s:I,s:i,s:s,s:s,s:o,s:o}", "number", (json_int_t)a->number, "round",
                                        (int)a->round, "kind", job_kind_name(a->kind), "outcome", "aborted", "why",
                                        msfl_json_string(a->why), "ended_ms", coord_time_json(a->ended_ms)));
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

json_t *coord_job_json(const coord_engine *e, const coord_entry *j, const coord_view *v, uint64_t now_ms, bool whole) {
    const coord_job *job = j->job;
    char text[200];
    phase_text(j, v, now_ms, text);
    json_t *o =
        json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o}", "id", job->id, "name", job->spec.name, "state",
                  coord_state_name(job->state), "why", msfl_json_string(job->why), "submitted_ms",
                  coord_time_json(job->submitted_ms), "started_ms", coord_time_json(job->started_ms), "ended_ms",
                  coord_time_json(job->ended_ms), "hash", hash_json(job->hash), "task", hash_json(job->task));
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
    json_object_set_new(o, "phase", json_string(coord_phase_names[v->phase]));
    json_object_set_new(o, "phase_text", msfl_json_string(text));
    json_object_set_new(o, "kind", json_string(job_kind_name(job->stage)));
    json_object_set_new(o, "number", json_integer((json_int_t)job->number));
    json_object_set_new(o, "deadline_ms", open ? coord_time_json(v->deadline_ms) : json_null());
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
                                  "verified_ms", coord_time_json(job->verified_ms)));
    return o;
}
