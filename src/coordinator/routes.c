/* What parties ask of jobs, and what they say of themselves: docs/formats/http.md */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "coordinator/request.h"
#include "text/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

/* --- roster, jobs, plans, weights --- */

static msfl_status get_roster(void *ctx, net_request *request) {
    coord_service *s = ctx;
    char etag[24];
    (void)coord_who(s, request);
    coord_members *m = coord_engine_hold_members(s->engine);
    (void)snprintf(etag, sizeof etag, "\"%u\"", m->pki->epoch);
    msfl_status status = net_answer_field(request, "ETag", etag);
    if (status == MSFL_OK) status = net_answer_bytes(request, 200, "application/yaml", m->text, m->length);
    coord_members_drop(m);
    return status;
}

static msfl_status get_jobs(void *ctx, net_request *request) {
    coord_service *s = ctx;
    char *text;
    uint64_t version;
    (void)coord_who(s, request);
    msfl_status status = coord_engine_list(s->engine, coord_seen_of(request), coord_wait_of(request), &text, &version);
    if (status == MSFL_OK) status = coord_put_version(request, version);
    if (status == MSFL_OK) status = net_answer_text(request, 200, COORD_TYPE_JSON, text);
    msfl_free(text);
    return status;
}

static msfl_status put_etag(net_request *request, const uint8_t hash[MSFL_HASH_BYTES], char text[36]) {
    text[0] = '"';
    msfl_hex(hash, 16, text + 1);
    text[33] = '"';
    text[34] = 0;
    return net_answer_field(request, "ETag", text);
}

static msfl_status get_job(void *ctx, net_request *request) {
    coord_service *s = ctx;
    char *text, etag[36];
    size_t length = 0;
    uint8_t hash[MSFL_HASH_BYTES];
    (void)coord_who(s, request);
    msfl_status status = coord_engine_text(s->engine, net_request_param(request, 0), &text, &length, hash);
    if (status == MSFL_OK) status = put_etag(request, hash, etag);
    if (status == MSFL_OK) status = net_answer_bytes(request, 200, COORD_TYPE_JSON, text, length);
    msfl_free(text);
    return status;
}

static msfl_status get_round(void *ctx, net_request *request) {
    coord_service *s = ctx;
    char *text = NULL;
    uint64_t number;
    (void)coord_who(s, request);
    msfl_status status = coord_number_param(request, 1, INT64_MAX, &number);
    if (status == MSFL_OK) status = coord_engine_plan(s->engine, net_request_param(request, 0), number, &text);
    if (status == MSFL_OK) status = net_answer_text(request, 200, COORD_TYPE_JSON, text);
    msfl_free(text);
    return status;
}

static msfl_status get_model(void *ctx, net_request *request) {
    coord_service *s = ctx;
    char *path = NULL, etag[33];
    uint64_t index;
    uint8_t hash[MSFL_HASH_BYTES];
    (void)coord_who(s, request);
    msfl_status status = coord_number_param(request, 1, UINT32_MAX, &index);
    if (status == MSFL_OK) {
        status = coord_engine_model(s->engine, net_request_param(request, 0), (uint32_t)index, &path, hash);
    }
    if (status == MSFL_OK) {
        msfl_hex(hash, 16, etag);
        status = coord_answer_file(request, path, "application/octet-stream", etag);
    }
    msfl_free(path);
    return status;
}

/* --- the record --- */

/* A file of the job's audit folder: the record of a round, or the roster of an epoch. */
static msfl_status answer_audit_file(coord_service *s, net_request *request, bool is_roster) {
    char *products, *audit, name[40];
    uint64_t index;
    (void)coord_who(s, request);
    msfl_status status = coord_number_param(request, 1, 999999, &index);
    if (status == MSFL_OK) {
        status = coord_engine_folders(s->engine, net_request_param(request, 0), &products, &audit);
    }
    if (status != MSFL_OK) return status;
    if (is_roster) {
        (void)snprintf(name, sizeof name, "roster-%u.yaml", (unsigned)index);
    } else {
        (void)snprintf(name, sizeof name, "%06u.transcript", (unsigned)index);
    }
    char *path = msfl_path_join(audit, name);
    status = path == NULL
                 ? MSFL_NO_MEMORY
                 : coord_answer_file(request, path, is_roster ? "text/yaml" : "application/octet-stream", NULL);
    msfl_free(path);
    msfl_free(products);
    msfl_free(audit);
    return status;
}

static msfl_status get_record(void *ctx, net_request *request) {
    return answer_audit_file(ctx, request, false);
}

static msfl_status get_job_roster(void *ctx, net_request *request) {
    return answer_audit_file(ctx, request, true);
}

/* --- what parties say of themselves --- */

static msfl_status read_report(const msfl_buffer *body, coord_report *out) {
    json_t *o;
    *out = (coord_report){.progress = NAN};
    msfl_status status = msfl_json_parse("report", (const char *)body->bytes, body->length, COORD_REPORT_BYTES_MAX, &o);
    if (status != MSFL_OK) return status;
    const char *state = json_string_value(json_object_get(o, "state")),
               *text = json_string_value(json_object_get(o, "text"));
    const json_t *round = json_object_get(o, "round"), *progress = json_object_get(o, "progress");
    if (state == NULL || strlen(state) >= sizeof out->state) {
        status = msfl_fail(MSFL_ERR_FORMAT, "a report has a state");
    } else {
        (void)snprintf(out->state, sizeof out->state, "%s", state);
    }
    if (json_is_integer(round) && json_integer_value(round) >= 0 && json_integer_value(round) <= UINT32_MAX) {
        out->round = (uint32_t)json_integer_value(round);
    }
    if (json_is_number(progress) && json_number_value(progress) >= 0 && json_number_value(progress) <= 1) {
        out->progress = json_number_value(progress);
    }
    for (size_t i = 0; text != NULL && text[i] != 0 && i + 1 < sizeof out->text; i++)
        out->text[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? ' ' : text[i];
    json_decref(o);
    return status;
}

static msfl_status post_report(void *ctx, net_request *request) {
    coord_service *s = ctx;
    coord_report report;
    if (!coord_has_type(request, COORD_TYPE_JSON))
        return msfl_fail(MSFL_ERR_FORMAT, "Content-Type must be %s", COORD_TYPE_JSON);
    const char *name = coord_who(s, request);
    msfl_status status = read_report(coord_body(request), &report);
    if (status == MSFL_OK) status = coord_engine_report(s->engine, net_request_param(request, 0), name, &report);
    return status == MSFL_OK ? net_answer_text(request, 200, COORD_TYPE_JSON, "{}\n") : status;
}

/* --- scheme plain --- */

/** "r12" of job J is kept as J.r12: only while that round is open. */
msfl_status coord_plain_key(void *ctx, net_request *request, char key[NET_KEY_MAX + 1]) {
    coord_service *s = ctx;
    uint64_t number;
    const char *job = net_request_param(request, 0), *word = net_request_param(request, 1),
               *name = coord_who(s, request);
    if (word[0] != 'r' || !net_number(word + 1, INT64_MAX, &number)) {
        return msfl_fail(MSFL_ERR_MISSING, "an upload is called r and the number of its round");
    }
    msfl_status status = coord_engine_plain_open(s->engine, job, name, number);
    if (status == MSFL_OK) (void)snprintf(key, NET_KEY_MAX + 1, "%s.r%" PRIu64, job, number);
    return status;
}

msfl_status coord_plain_complete(void *ctx, const pki_peer *peer, const char *key, const char *path, uint64_t length,
                                 const uint8_t hash[MSFL_HASH_BYTES]) {
    coord_service *s = ctx;
    char job[NET_KEY_MAX + 1];
    uint64_t number = 0;
    (void)length, (void)hash;
    (void)snprintf(job, sizeof job, "%s", key);
    char *dot = strrchr(job, '.');
    if (dot == NULL || dot[1] != 'r' || !net_number(dot + 2, INT64_MAX, &number)) return MSFL_ERR_FORMAT;
    *dot = 0;
    msfl_status status = coord_engine_plain(s->engine, job, peer->name, number, path);
    /* It may be sent again, unless it waits here for its round (coord_plain_sweep). */
    if (status != MSFL_OK && status != MSFL_ERR_CANCELLED) (void)unlink(path);
    return status;
}

void coord_routes_parties(coord_service *s) {
    coord_route(s, NET_GET, "/v1/roster", COORD_PARTIES, get_roster);
    coord_route(s, NET_GET, "/v1/jobs", COORD_PARTIES, get_jobs);
    coord_route(s, NET_GET, "/v1/jobs/{job}", COORD_PARTIES, get_job);
    coord_route(s, NET_GET, "/v1/jobs/{job}/rounds/{number}", COORD_PARTIES, get_round);
    coord_route(s, NET_GET, "/v1/jobs/{job}/models/{index}", COORD_PARTIES, get_model);
    coord_route(s, NET_GET, "/v1/jobs/{job}/records/{index}", COORD_PARTIES, get_record);
    coord_route(s, NET_GET, "/v1/jobs/{job}/rosters/{epoch}", COORD_PARTIES, get_job_roster);
    coord_route_body(s, NET_POST, "/v1/jobs/{job}/report", NET_ANY_PARTY, COORD_REPORT_BYTES_MAX, post_report);
    net_spool_routes(s->plain, "/v1/jobs/{job}/plain/{key}", NET_ROLE(PKI_HOSPITAL), s->routes + s->n_routes);
    s->n_routes += 3;
}
