/* What parties ask and send. docs/formats/http.md */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "coordinator/frames.h"
#include "coordinator/service.h"
#include "text/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const char type_json[] = "application/json", type_frames[] = "application/vnd.medsecurefl.frames";

/* --- bodies in memory --- */

static msfl_status body_begin(void *ctx, net_request *request) {
    (void)ctx;
    msfl_buffer *body = msfl_alloc(1, sizeof *body);
    if (body == NULL) return MSFL_NO_MEMORY;
    net_request_set_user(request, body);
    return MSFL_OK;
}

static msfl_status body_more(void *ctx, net_request *request, const uint8_t *bytes, size_t length) {
    (void)ctx;
    msfl_buffer *body = net_request_user(request);
    msfl_put_bytes(body, bytes, length);
    return body->status;
}

static void body_done(void *ctx, net_request *request) {
    (void)ctx;
    msfl_buffer *body = net_request_user(request);
    if (body != NULL) msfl_buffer_clear(body);
    msfl_free(body);
}

const msfl_buffer *coord_body(net_request *request) {
    return net_request_user(request);
}

void coord_route(coord_service *s, net_method method, const char *pattern, uint32_t roles,
                 msfl_status (*finish)(void *ctx, net_request *request)) {
    s->routes[s->n_routes++] =
        (net_route){.method = method, .pattern = pattern, .roles = roles, .finish = finish, .ctx = s};
}

void coord_route_body(coord_service *s, net_method method, const char *pattern, uint32_t roles, uint64_t bytes_max,
                      msfl_status (*finish)(void *ctx, net_request *request)) {
    s->routes[s->n_routes++] = (net_route){.method = method,
                                           .pattern = pattern,
                                           .roles = roles,
                                           .body_max = bytes_max,
                                           .begin = body_begin,
                                           .body = body_more,
                                           .finish = finish,
                                           .done = body_done,
                                           .ctx = s};
}

/* --- what requests say --- */

static const char *who(coord_service *s, const net_request *request) {
    const char *name = net_request_peer(request)->name;
    coord_engine_seen(s->engine, name);
    return name;
}

static uint64_t number_header(const net_request *request, const char *name, uint64_t max) {
    uint64_t value;
    const char *text = net_request_header(request, name);
    return text != NULL && net_number(text, max, &value) ? value : 0;
}

static msfl_status put_version(net_request *request, uint64_t version) {
    char text[24];
    (void)snprintf(text, sizeof text, "%" PRIu64, version);
    return net_answer_field(request, "X-Msfl-Version", text);
}

static uint32_t wait_of(const net_request *request) {
    return (uint32_t)number_header(request, "X-Msfl-Wait", COORD_WAIT_S_MAX) * 1000;
}

static uint64_t seen_of(const net_request *request) {
    return number_header(request, "X-Msfl-Seen", INT64_MAX);
}

static msfl_status number_param(const net_request *request, uint32_t i, uint64_t max, uint64_t *out) {
    if (net_number(net_request_param(request, i), max, out)) return MSFL_OK;
    return msfl_fail(MSFL_ERR_MISSING, "there is nothing under this path");
}

/* --- roster, jobs, plans, weights --- */

static msfl_status get_roster(void *ctx, net_request *request) {
    coord_service *s = ctx;
    char etag[24];
    (void)who(s, request);
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
    (void)who(s, request);
    msfl_status status = coord_engine_list(s->engine, seen_of(request), wait_of(request), &text, &version);
    if (status == MSFL_OK) status = put_version(request, version);
    if (status == MSFL_OK) status = net_answer_text(request, 200, type_json, text);
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
    (void)who(s, request);
    msfl_status status = coord_engine_text(s->engine, net_request_param(request, 0), &text, &length, hash);
    if (status == MSFL_OK) status = put_etag(request, hash, etag);
    if (status == MSFL_OK) status = net_answer_bytes(request, 200, type_json, text, length);
    msfl_free(text);
    return status;
}

static msfl_status get_round(void *ctx, net_request *request) {
    coord_service *s = ctx;
    char *text = NULL;
    uint64_t number;
    (void)who(s, request);
    msfl_status status = number_param(request, 1, INT64_MAX, &number);
    if (status == MSFL_OK) status = coord_engine_plan(s->engine, net_request_param(request, 0), number, &text);
    if (status == MSFL_OK) status = net_answer_text(request, 200, type_json, text);
    msfl_free(text);
    return status;
}

static msfl_status answer_file(net_request *request, const char *path, const char *type, const char *etag) {
    struct stat info;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return errno == ENOENT ? msfl_fail(MSFL_ERR_MISSING, "this is not kept (any more)")
                               : msfl_fail_errno(errno, "cannot open %s", path);
    }
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        close(fd);
        return msfl_fail(MSFL_ERR_IO, "cannot examine %s", path);
    }
    return net_answer_file(request, fd, (uint64_t)info.st_size, type, etag);
}

static msfl_status get_model(void *ctx, net_request *request) {
    coord_service *s = ctx;
    char *path = NULL, etag[33];
    uint64_t index;
    uint8_t hash[MSFL_HASH_BYTES];
    (void)who(s, request);
    msfl_status status = number_param(request, 1, UINT32_MAX, &index);
    if (status == MSFL_OK) {
        status = coord_engine_model(s->engine, net_request_param(request, 0), (uint32_t)index, &path, hash);
    }
    if (status == MSFL_OK) {
        msfl_hex(hash, 16, etag);
        status = answer_file(request, path, "application/octet-stream", etag);
    }
    msfl_free(path);
    return status;
}

/* --- the record --- */

/* A file of the job's audit folder: the record of a round, or the roster of an epoch. */
static msfl_status answer_audit_file(coord_service *s, net_request *request, bool is_roster) {
    char *products, *audit, name[40];
    uint64_t index;
    (void)who(s, request);
    msfl_status status = number_param(request, 1, 999999, &index);
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
    status = path == NULL ? MSFL_NO_MEMORY
                          : answer_file(request, path, is_roster ? "text/yaml" : "application/octet-stream", NULL);
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

/* --- inbox and outbox --- */

static msfl_status get_inbox(void *ctx, net_request *request) {
    coord_service *s = ctx;
    msfl_buffer frames = {0};
    uint64_t version;
    const char *name = who(s, request);
    msfl_status status = coord_engine_inbox(s->engine, net_request_param(request, 0), name, seen_of(request),
                                            wait_of(request), &frames, &version);
    if (status == MSFL_OK) status = put_version(request, version);
    if (status == MSFL_OK && frames.length == 0) {
        status = net_answer_bytes(request, 204, NULL, "", 0);
    } else if (status == MSFL_OK) {
        status = net_answer_bytes(request, 200, type_frames, frames.bytes, frames.length);
    }
    msfl_buffer_clear(&frames);
    return status;
}

/** An outbox on its way. */
typedef struct outbox {
    coord_service *service;
    char job[NET_PARAM_MAX + 1];
    const char *name; /* lent by the connection */
    coord_frames frames;
    msfl_buffer answer;
} outbox;

/* Replies to chunks tell how far an upload is: the newest say all. What a party must not miss it hears again when it
 * asks its inbox. */
enum { ANSWER_KEPT = 64 << 10 };

static bool has_type(const net_request *request, const char *type) {
    const char *found = net_request_header(request, "Content-Type");
    const size_t n = strlen(type);
    return found != NULL && strncmp(found, type, n) == 0 && (found[n] == 0 || found[n] == ';');
}

static msfl_status outbox_begin(void *ctx, net_request *request) {
    coord_service *s = ctx;
    uint32_t party;
    if (!has_type(request, type_frames)) return msfl_fail(MSFL_ERR_FORMAT, "Content-Type must be %s", type_frames);
    const char *name = who(s, request);
    msfl_status status = coord_engine_party(s->engine, net_request_param(request, 0), name, &party);
    if (status != MSFL_OK) return status;
    outbox *o = msfl_alloc(1, sizeof *o);
    if (o == NULL) return MSFL_NO_MEMORY;
    o->service = s;
    o->name = name;
    (void)snprintf(o->job, sizeof o->job, "%s", net_request_param(request, 0));
    net_request_set_user(request, o);
    return MSFL_OK;
}

static msfl_status outbox_message(void *ctx, const uint8_t *message, size_t length) {
    outbox *o = ctx;
    if (o->answer.length > ANSWER_KEPT) o->answer.length = 0;
    return coord_engine_receive(o->service->engine, o->job, o->name, message, length, &o->answer);
}

static msfl_status outbox_body(void *ctx, net_request *request, const uint8_t *bytes, size_t length) {
    (void)ctx;
    outbox *o = net_request_user(request);
    return coord_frames_take(&o->frames, bytes, length, outbox_message, o);
}

static msfl_status outbox_finish(void *ctx, net_request *request) {
    (void)ctx;
    outbox *o = net_request_user(request);
    msfl_status status = coord_frames_end(&o->frames);
    return status == MSFL_OK ? net_answer_bytes(request, 200, type_frames, o->answer.bytes, o->answer.length) : status;
}

static void outbox_done(void *ctx, net_request *request) {
    (void)ctx;
    outbox *o = net_request_user(request);
    coord_frames_clear(&o->frames);
    msfl_buffer_clear(&o->answer);
    msfl_free(o);
}

/* --- delivery to the hospitals --- */

static msfl_status get_folded(void *ctx, net_request *request) {
    coord_service *s = ctx;
    char *path = NULL, etag[33];
    uint64_t number;
    (void)who(s, request);
    msfl_status status = number_param(request, 1, INT64_MAX, &number);
    if (status == MSFL_OK) {
        status = coord_engine_folded(s->engine, net_request_param(request, 0), number, &path, etag);
    }
    if (status == MSFL_OK) status = answer_file(request, path, "application/octet-stream", etag);
    msfl_free(path);
    return status;
}

static msfl_status get_delivery(void *ctx, net_request *request) {
    coord_service *s = ctx;
    char *path = NULL;
    uint64_t number;
    const char *name = who(s, request);
    msfl_status status = number_param(request, 1, INT64_MAX, &number);
    if (status == MSFL_OK) {
        status = coord_engine_delivery(s->engine, net_request_param(request, 0), name, number, &path);
    }
    if (status == MSFL_OK) status = answer_file(request, path, type_frames, NULL);
    msfl_free(path);
    return status;
}

static msfl_status post_claim(void *ctx, net_request *request) {
    coord_service *s = ctx;
    json_t *o;
    if (!has_type(request, type_json)) return msfl_fail(MSFL_ERR_FORMAT, "Content-Type must be %s", type_json);
    const char *name = who(s, request);
    const msfl_buffer *body = coord_body(request);
    msfl_status status = msfl_json_parse("claim", (const char *)body->bytes, body->length, COORD_REPORT_BYTES_MAX, &o);
    if (status != MSFL_OK) return status;
    const json_t *number = json_object_get(o, "number"), *more = json_object_get(o, "more"),
                 *best = json_object_get(o, "best");
    const bool good = json_is_integer(number) && json_integer_value(number) > 0 && json_is_boolean(more) &&
                      (best == NULL || (json_is_integer(best) && json_integer_value(best) > 0 &&
                                        json_integer_value(best) <= UINT32_MAX));
    if (good) {
        status =
            coord_engine_claim(s->engine, net_request_param(request, 0), name, (uint64_t)json_integer_value(number),
                               json_is_true(more), best == NULL ? 0 : (uint32_t)json_integer_value(best));
    } else {
        status = msfl_fail(MSFL_ERR_FORMAT, "a claim has number, more and perhaps best");
    }
    json_decref(o);
    return status == MSFL_OK ? net_answer_text(request, 200, type_json, "{}\n") : status;
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
    if (!has_type(request, type_json)) return msfl_fail(MSFL_ERR_FORMAT, "Content-Type must be %s", type_json);
    const char *name = who(s, request);
    msfl_status status = read_report(coord_body(request), &report);
    if (status == MSFL_OK) status = coord_engine_report(s->engine, net_request_param(request, 0), name, &report);
    return status == MSFL_OK ? net_answer_text(request, 200, type_json, "{}\n") : status;
}

/* --- scheme plain --- */

/** "r12" of job J is kept as J.r12: only while that round is open. */
msfl_status coord_plain_key(void *ctx, net_request *request, char key[NET_KEY_MAX + 1]) {
    coord_service *s = ctx;
    uint64_t number;
    const char *job = net_request_param(request, 0), *word = net_request_param(request, 1), *name = who(s, request);
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
    coord_route(s, NET_GET, "/v1/jobs/{job}/inbox", NET_ANY_PARTY, get_inbox);
    s->routes[s->n_routes++] = (net_route){.method = NET_POST,
                                           .pattern = "/v1/jobs/{job}/outbox",
                                           .roles = NET_ANY_PARTY,
                                           .body_max = (uint64_t)1 << 40, /* of an upload of any length: it streams */
                                           .begin = outbox_begin,
                                           .body = outbox_body,
                                           .finish = outbox_finish,
                                           .done = outbox_done,
                                           .ctx = s};
    coord_route(s, NET_GET, "/v1/jobs/{job}/rounds/{number}", COORD_PARTIES, get_round);
    coord_route(s, NET_GET, "/v1/jobs/{job}/models/{index}", COORD_PARTIES, get_model);
    coord_route(s, NET_GET, "/v1/jobs/{job}/records/{index}", COORD_PARTIES, get_record);
    coord_route(s, NET_GET, "/v1/jobs/{job}/rosters/{epoch}", COORD_PARTIES, get_job_roster);
    coord_route_body(s, NET_POST, "/v1/jobs/{job}/report", NET_ANY_PARTY, COORD_REPORT_BYTES_MAX, post_report);
    coord_route(s, NET_GET, "/v1/jobs/{job}/sums/{number}", NET_ROLE(PKI_HOSPITAL), get_folded);
    coord_route(s, NET_GET, "/v1/jobs/{job}/deliveries/{number}", NET_ROLE(PKI_HOSPITAL), get_delivery);
    coord_route_body(s, NET_POST, "/v1/jobs/{job}/claim", NET_ROLE(PKI_HOSPITAL), COORD_REPORT_BYTES_MAX, post_claim);
    net_spool_routes(s->plain, "/v1/jobs/{job}/plain/{key}", NET_ROLE(PKI_HOSPITAL), s->routes + s->n_routes);
    s->n_routes += 3;
}
