/* What handlers ask of a request, and how they answer. */
#include "base/error.h"
#include "base/mem.h"
#include "net/server_private.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

const pki_peer *net_request_peer(const net_request *r) {
    return r->socket->admitted ? &r->socket->peer : NULL;
}

const char *net_request_param(const net_request *r, uint32_t i) {
    return i < r->params.n ? r->params.value[i] : "";
}

const char *net_request_header(const net_request *r, const char *name) {
    const char *value = net_mhd_header(r->connection, name);
    return value != NULL && net_value_is_good(value) ? value : NULL;
}

bool net_request_length(const net_request *r, uint64_t *length) {
    *length = r->length;
    return r->has_length;
}

void net_request_set_user(net_request *r, void *user) {
    r->user = user;
}

void *net_request_user(const net_request *r) {
    return r->user;
}

net_server *net_request_server(const net_request *r) {
    return r->server;
}

msfl_status net_answer_field(net_request *r, const char *name, const char *value) {
    if (r->n_fields == NET_FIELDS_MAX || strlen(name) > NET_NAME_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "an answer has at most %d headers of its own", NET_FIELDS_MAX);
    }
    if (!net_value_is_good(value)) return msfl_fail(MSFL_ERR_FORMAT, "this is no value for the header %s", name);
    memcpy(r->field_name[r->n_fields], name, strlen(name) + 1);
    memcpy(r->field_value[r->n_fields++], value, strlen(value) + 1);
    return MSFL_OK;
}

static bool has_field(const net_request *r, const char *name) {
    for (size_t i = 0; i < r->n_fields; i++)
        if (strcasecmp(r->field_name[i], name) == 0) return true;
    return false;
}

/* Send what is described, with the fields collected so far. */
static msfl_status answer_body(net_request *r, uint32_t status, const char *type, const net_mhd_body *body) {
    net_mhd_field fields[NET_FIELDS_MAX + 5];
    size_t n = 0;
    if (type != NULL) fields[n++] = (net_mhd_field){"Content-Type", type};
    if (!has_field(r, "Cache-Control")) fields[n++] = (net_mhd_field){"Cache-Control", "no-store"};
    fields[n++] = (net_mhd_field){"X-Content-Type-Options", "nosniff"};
    if (r->close || atomic_load(&r->server->stopping)) fields[n++] = (net_mhd_field){"Connection", "close"};
    for (size_t i = 0; i < r->n_fields; i++)
        fields[n++] = (net_mhd_field){r->field_name[i], r->field_value[i]};
    if (!net_mhd_answer(r->connection, status, fields, n, body)) {
        return msfl_fail(MSFL_ERR_SYSTEM, "an answer could not be queued");
    }
    r->answered = true;
    r->status = status;
    r->bytes_out = r->head ? 0 : body->length;
    net_watch_body_done(r);
    return MSFL_OK;
}

/* Whether another answer may be given; else releases nothing, for there is nothing yet. */
static msfl_status may_answer(const net_request *r, uint32_t status) {
    if (r->answered) return msfl_fail(MSFL_ERR_USAGE, "a request has one answer");
    if (status < 200 || status > 599) return msfl_fail(MSFL_ERR_USAGE, "%u is no status of an answer", status);
    return MSFL_OK;
}

msfl_status net_answer_bytes(net_request *r, uint32_t status, const char *type, const void *bytes, size_t length) {
    msfl_status result = may_answer(r, status);
    if (result != MSFL_OK) return result;
    net_mhd_body body = NET_MHD_BODY_INIT;
    body.bytes = bytes;
    body.length = length;
    return answer_body(r, status, type, &body);
}

msfl_status net_answer_text(net_request *r, uint32_t status, const char *type, const char *text) {
    return net_answer_bytes(r, status, type, text, strlen(text));
}

bool net_answer_error(net_request *r, uint32_t status, const char *error, const char *message) {
    msfl_buffer text = {0};
    msfl_put_text(&text, "{\"error\":");
    net_json_text(&text, message);
    msfl_put_text(&text, ",\"status\":\"%s\"}\n", error);
    bool good =
        text.status == MSFL_OK && net_answer_bytes(r, status, "application/json", text.bytes, text.length) == MSFL_OK;
    msfl_buffer_clear(&text);
    return good;
}

msfl_status net_answer_file(net_request *r, int fd, uint64_t length, const char *type, const char *etag) {
    msfl_status status = may_answer(r, 200);
    char quoted[NET_NAME_MAX + 8], content[96];
    net_range range = {0, length, length};
    net_range_kind kind = NET_RANGE_NONE;
    if (status == MSFL_OK && etag != NULL) {
        const char *condition = net_request_header(r, "If-Range");
        snprintf(quoted, sizeof quoted, "\"%.*s\"", NET_NAME_MAX, etag);
        status = net_answer_field(r, "ETag", quoted);
        if (status == MSFL_OK) status = net_answer_field(r, "Accept-Ranges", "bytes");
        if (condition == NULL || strcmp(condition, quoted) == 0) {
            kind = net_range_of(net_request_header(r, "Range"), length, &range);
        }
    }
    if (kind == NET_RANGE_UNSATISFIABLE) {
        snprintf(content, sizeof content, "bytes */%llu", (unsigned long long)length);
        if (status == MSFL_OK) status = net_answer_field(r, "Content-Range", content);
        close(fd);
        return status == MSFL_OK ? net_answer_text(r, 416, "text/plain", "") : status;
    }
    if (status == MSFL_OK && kind == NET_RANGE_PART) {
        snprintf(content, sizeof content, "bytes %llu-%llu/%llu", (unsigned long long)range.first,
                 (unsigned long long)(range.first + range.length - 1), (unsigned long long)length);
        status = net_answer_field(r, "Content-Range", content);
    }
    if (status != MSFL_OK) {
        close(fd);
        return status;
    }
    net_mhd_body body = NET_MHD_BODY_INIT;
    body.fd = fd;
    body.offset = kind == NET_RANGE_PART ? range.first : 0;
    body.length = kind == NET_RANGE_PART ? range.length : length;
    return answer_body(r, kind == NET_RANGE_PART ? 206 : 200, type, &body);
}

msfl_status net_answer_events(net_request *r, net_events *events) {
    msfl_status status = may_answer(r, 200);
    if (status != MSFL_OK) return status;
    const char *last = net_request_header(r, "Last-Event-ID");
    uint64_t last_id = 0;
    if (last == NULL || !net_number(last, INT64_MAX, &last_id)) last_id = UINT64_MAX; /* from now on */
    net_server *server = r->server;
    pthread_mutex_lock(&server->lock);
    size_t at = 0;
    while (at < NET_HUBS_MAX && server->hubs[at] != NULL && server->hubs[at] != events)
        at++;
    if (at < NET_HUBS_MAX) server->hubs[at] = events;
    pthread_mutex_unlock(&server->lock);
    if (at == NET_HUBS_MAX) return msfl_fail(MSFL_ERR_LIMIT, "a server has at most %d hubs of events", NET_HUBS_MAX);
    net_mhd_body body = NET_MHD_BODY_INIT;
    status = net_events_open(events, last_id, &body);
    if (status != MSFL_OK) return status;
    r->streams = true;
    r->close = true;
    return answer_body(r, 200, "text/event-stream", &body);
}
