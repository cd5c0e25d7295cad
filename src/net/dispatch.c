/* From complete headers to a route's functions. */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "net/server_private.h"

#include <stdio.h>
#include <string.h>

static bool method_of(const char *text, net_request *r, net_method *out) {
    static const char *const names[] = {"GET", "PUT", "POST", "DELETE"};
    r->head = strcmp(text, "HEAD") == 0;
    if (r->head) text = "GET";
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (net_method)i;
            return true;
        }
    }
    return false;
}

/* Length and kind of the body. Both framings at once is how requests are smuggled past proxies: refused. */
static bool framing(net_request *r) {
    const char *length = net_mhd_header(r->connection, "Content-Length"),
               *coding = net_mhd_header(r->connection, "Transfer-Encoding");
    r->has_length = true;
    if (coding != NULL) {
        r->has_length = false;
        return length == NULL && strcmp(coding, "chunked") == 0;
    }
    return length == NULL || net_number(length, INT64_MAX, &r->length);
}

/* On the local listener: a page of another site that calls itself by a name of its own must get nothing. */
static bool host_is_local(const net_request *r) {
    static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};
    const char *host = net_mhd_header(r->connection, "Host");
    for (size_t i = 0; host != NULL && i < sizeof names / sizeof names[0]; i++) {
        size_t n = strlen(names[i]);
        uint64_t port;
        if (strncmp(host, names[i], n) != 0) continue;
        if (host[n] == 0 || (host[n] == ':' && net_number(host + n + 1, 65535, &port))) return true;
    }
    return false;
}

static const net_route *find_route(net_request *r, net_method method, bool *path_known) {
    const net_server *server = r->server;
    const net_route *routes = r->socket->local ? server->local_routes : server->routes;
    size_t n = r->socket->local ? server->n_local_routes : server->n_routes;
    *path_known = false;
    for (size_t i = 0; i < n; i++) {
        if (!net_path_match(routes[i].pattern, r->path, &r->params)) continue;
        *path_known = true;
        if (routes[i].method == method) return &routes[i];
    }
    return NULL;
}

static bool has_body(const net_request *r) {
    return !r->has_length || r->length > 0;
}

/* Whether to read what is on its way before answering. A client that is still sending when its connection is closed
 * gets a reset and never sees the answer (RFC 9112, section 9.6). One that says Expect has sent nothing yet. */
static bool hears_later(const net_request *r) {
    return has_body(r) && r->length <= NET_THROWN_BYTES_MAX && net_mhd_header(r->connection, "Expect") == NULL;
}

static bool answer_refusal(net_request *r) {
    return net_answer_error(r, r->refused.status, r->refused.error, r->refused.message);
}

static void note_refusal(net_request *r, uint32_t status, const char *error, const char *message) {
    r->close = true;
    r->failed = MSFL_ERR_POLICY; /* for the log */
    r->refused = (net_refusal){status, error, message};
    snprintf(r->message, sizeof r->message, "%s: %s", error, message);
}

static bool refuse(net_request *r, uint32_t status, const char *error, const char *message) {
    note_refusal(r, status, error, message);
    return answer_refusal(r);
}

/* For a party that asks as it should, only for what it may not have: it is to hear so. */
static bool refuse_heard(net_request *r, uint32_t status, const char *error, const char *message) {
    note_refusal(r, status, error, message);
    return hears_later(r) || answer_refusal(r);
}

static bool take_token(net_request *r, uint32_t *wait_ms) {
    if (r->socket->local) return true;
    net_server *server = r->server;
    pthread_mutex_lock(&server->lock);
    bool may = net_bucket_take(&server->buckets[r->socket->peer.number % PKI_PARTIES_MAX], r->from_ns,
                               server->limits.requests_per_second, server->limits.requests_burst, wait_ms);
    pthread_mutex_unlock(&server->lock);
    return may;
}

static bool too_many(net_request *r, uint32_t wait_ms, const char *message) {
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%u", wait_ms / 1000 + 1);
    (void)!net_answer_field(r, "Retry-After", seconds);
    return refuse_heard(r, 429, "too-many", message);
}

/* Everything that is decided before a handler sees the request. True: `*proceed` says whether to go on. */
static bool admit(net_request *r, const char *method_text, const char *version, const char *path, bool *proceed) {
    net_server *server = r->server;
    net_method method;
    uint32_t wait_ms;
    bool path_known;
    *proceed = false;
    if (!r->socket->local && !r->socket->admitted) return false;
    if (!r->socket->local && !pki_gate_still(server->gate, &r->socket->peer)) {
        return refuse(r, 403, "certificate-revoked", "the roster has changed since this connection began");
    }
    if (atomic_load(&server->stopping)) return refuse(r, 503, "stopping", "the server is about to stop");
    if (r->socket->over_limit) return too_many(r, 1000, "this party has too many connections open");
    if (net_mhd_header_bytes(r->connection) > server->limits.header_bytes_max) {
        return refuse(r, 431, "headers", "the headers are too long");
    }
    if (strcmp(version, "HTTP/1.1") != 0) return refuse(r, 505, "version", "HTTP/1.1 is spoken here");
    if (!framing(r)) return refuse(r, 400, "framing", "the length of the body is not stated in one clear way");
    if (!net_path_is_good(path)) return refuse(r, 400, "path", "this is not a path of this server");
    memcpy(r->path, path, strlen(path) + 1);
    if (net_mhd_has_query(r->connection)) return refuse(r, 400, "query", "queries are not used here");
    if (r->socket->local && !host_is_local(r)) return refuse(r, 403, "host", "the Host is not this machine");
    if (!method_of(method_text, r, &method)) return refuse(r, 405, "method", "GET, HEAD, PUT, POST and DELETE");
    if (!take_token(r, &wait_ms)) return too_many(r, wait_ms, "this party asks too often");
    r->route = find_route(r, method, &path_known);
    if (r->route == NULL) {
        return refuse_heard(r, path_known ? 405 : 404, path_known ? "method" : "path",
                            "there is nothing under this path");
    }
    if (!r->socket->local && (r->route->roles & NET_ROLE(r->socket->peer.role)) == 0) {
        return refuse_heard(r, 403, "role", "this is not for parties of this role");
    }
    if (has_body(r) && (r->route->body == NULL || r->length > r->route->body_max)) {
        return refuse_heard(r, 413, "body", "the body is longer than is accepted here");
    }
    *proceed = true;
    return true;
}

static bool answer_failure(net_request *r) {
    uint32_t status = net_http_status(r->failed);
    /* What went wrong inside, with names of files perhaps, is for the log. */
    return net_answer_error(r, status, msfl_status_name(r->failed),
                            status >= 500 ? "the server could not do this; its log says why" : r->message);
}

static void keep_failure(net_request *r, msfl_status status) {
    r->failed = status;
    snprintf(r->message, sizeof r->message, "%s", msfl_error_message());
}

static bool first_call(void *ctx, net_socket *s, struct MHD_Connection *connection, const char *path,
                       const char *method, const char *version, void **out) {
    net_request *r = msfl_alloc(1, sizeof *r);
    if (r == NULL) return false;
    r->server = ctx;
    r->socket = s;
    r->connection = connection;
    snprintf(r->method, sizeof r->method, "%s", method);
    *out = r;
    bool proceed;
    net_watch_begun(r);
    bool keep = admit(r, method, version, path, &proceed);
    if (!keep || !proceed) return keep;
    msfl_status status = r->route->begin == NULL ? MSFL_OK : r->route->begin(r->route->ctx, r);
    r->begun = status == MSFL_OK;
    if (status != MSFL_OK) {
        keep_failure(r, status);
        return r->answered || hears_later(r) || answer_failure(r);
    }
    return true;
}

static bool more_body(net_request *r, const uint8_t *bytes, size_t *length) {
    size_t n = *length;
    *length = 0;
    r->bytes_in += n;
    net_watch_body(r, n);
    if (r->refused.status == 0 && r->bytes_in > r->route->body_max) { /* chunked, and without an end */
        (void)msfl_fail(MSFL_ERR_LIMIT, "the body is longer than is accepted here");
        keep_failure(r, MSFL_ERR_LIMIT);
        r->status = 413;
        return false;
    }
    if (r->failed != MSFL_OK) { /* thrown away, so that the answer is heard; but not for ever */
        r->thrown += n;
        return r->thrown <= NET_THROWN_BYTES_MAX;
    }
    msfl_status status = r->route->body(r->route->ctx, r, bytes, n);
    if (status != MSFL_OK) keep_failure(r, status);
    return true;
}

bool net_dispatch(void *ctx, void *socket, struct MHD_Connection *connection, const char *path, const char *method,
                  const char *version, const uint8_t *bytes, size_t *length, void **request) {
    if (*request == NULL) return first_call(ctx, socket, connection, path, method, version, request);
    net_request *r = *request;
    if (*length > 0) return more_body(r, bytes, length);
    if (r->answered) return true;
    net_watch_body_done(r);
    if (r->failed == MSFL_OK) {
        msfl_status status = r->route->finish(r->route->ctx, r);
        if (status == MSFL_OK && !r->answered) {
            status = msfl_fail(MSFL_ERR_SYSTEM, "the handler of %s gave no answer", r->route->pattern);
        }
        if (status != MSFL_OK) keep_failure(r, status);
    }
    if (r->answered) return true;
    return r->refused.status == 0 ? answer_failure(r) : answer_refusal(r);
}

void net_dispatch_completed(void *ctx, void *socket, void *request, bool complete) {
    net_server *server = ctx;
    net_socket *s = socket;
    net_request *r = request;
    if (r->begun && r->route->done != NULL) r->route->done(r->route->ctx, r);
    net_event event = NET_EVENT_INIT;
    event.event = "request";
    event.peer = r->socket->admitted ? r->socket->peer.name : NULL;
    event.address = r->socket->address;
    event.method = r->method;
    event.path = r->path;
    event.status = (int32_t)r->status;
    event.bytes_in = (int64_t)r->bytes_in;
    event.bytes_out = (int64_t)r->bytes_out;
    event.ms = (int64_t)((msfl_now_ns() - r->from_ns) / 1000000);
    event.reason = r->failed != MSFL_OK ? r->message : complete ? NULL : "ended early";
    net_log_write(&server->log, &event);
    net_watch_ended(s, r);
    msfl_free(r);
}
