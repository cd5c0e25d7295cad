/* Messages of a round's machines, in both directions, and what hospitals open sums with: docs/formats/http.md */
#include "base/error.h"
#include "base/mem.h"
#include "coordinator/frames.h"
#include "coordinator/request.h"
#include "text/json.h"

#include <stdio.h>
#include <string.h>

/* --- inbox and outbox --- */

static msfl_status get_inbox(void *ctx, net_request *request) {
    coord_service *s = ctx;
    msfl_buffer frames = {0};
    uint64_t version;
    const char *name = coord_who(s, request);
    msfl_status status = coord_engine_inbox(s->engine, net_request_param(request, 0), name, coord_seen_of(request),
                                            coord_wait_of(request), &frames, &version);
    if (status == MSFL_OK) status = coord_put_version(request, version);
    if (status == MSFL_OK && frames.length == 0) {
        status = net_answer_bytes(request, 204, NULL, "", 0);
    } else if (status == MSFL_OK) {
        status = net_answer_bytes(request, 200, COORD_TYPE_FRAMES, frames.bytes, frames.length);
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

static msfl_status outbox_begin(void *ctx, net_request *request) {
    coord_service *s = ctx;
    uint32_t party;
    if (!coord_has_type(request, COORD_TYPE_FRAMES))
        return msfl_fail(MSFL_ERR_FORMAT, "Content-Type must be %s", COORD_TYPE_FRAMES);
    const char *name = coord_who(s, request);
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
    return status == MSFL_OK ? net_answer_bytes(request, 200, COORD_TYPE_FRAMES, o->answer.bytes, o->answer.length)
                             : status;
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
    (void)coord_who(s, request);
    msfl_status status = coord_number_param(request, 1, INT64_MAX, &number);
    if (status == MSFL_OK) {
        status = coord_engine_folded(s->engine, net_request_param(request, 0), number, &path, etag);
    }
    if (status == MSFL_OK) status = coord_answer_file(request, path, "application/octet-stream", etag);
    msfl_free(path);
    return status;
}

static msfl_status get_delivery(void *ctx, net_request *request) {
    coord_service *s = ctx;
    char *path = NULL;
    uint64_t number;
    const char *name = coord_who(s, request);
    msfl_status status = coord_number_param(request, 1, INT64_MAX, &number);
    if (status == MSFL_OK) {
        status = coord_engine_delivery(s->engine, net_request_param(request, 0), name, number, &path);
    }
    if (status == MSFL_OK) status = coord_answer_file(request, path, COORD_TYPE_FRAMES, NULL);
    msfl_free(path);
    return status;
}

static msfl_status post_claim(void *ctx, net_request *request) {
    coord_service *s = ctx;
    json_t *o;
    if (!coord_has_type(request, COORD_TYPE_JSON))
        return msfl_fail(MSFL_ERR_FORMAT, "Content-Type must be %s", COORD_TYPE_JSON);
    const char *name = coord_who(s, request);
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
    return status == MSFL_OK ? net_answer_text(request, 200, COORD_TYPE_JSON, "{}\n") : status;
}

void coord_routes_messages(coord_service *s) {
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
    coord_route(s, NET_GET, "/v1/jobs/{job}/sums/{number}", NET_ROLE(PKI_HOSPITAL), get_folded);
    coord_route(s, NET_GET, "/v1/jobs/{job}/deliveries/{number}", NET_ROLE(PKI_HOSPITAL), get_delivery);
    coord_route_body(s, NET_POST, "/v1/jobs/{job}/claim", NET_ROLE(PKI_HOSPITAL), COORD_REPORT_BYTES_MAX, post_claim);
}
