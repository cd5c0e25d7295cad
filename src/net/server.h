/* The coordinator's HTTPS server: who may come in, how much of everything, and which function gets a request.
 *
 * Threads: one per connection. Handlers of different connections run at the same time; those of one request run one
 * after the other. A handler may take its time: it holds up its own party alone, and the stop of the server.
 */
#ifndef MSFL_NET_SERVER_H
#define MSFL_NET_SERVER_H

#include "net/http.h"
#include "net/log.h"
#include "pki/gate.h"

typedef struct net_server net_server;
typedef struct net_request net_request;
typedef struct net_events net_events;

typedef enum net_method { NET_GET = 0, NET_PUT = 1, NET_POST = 2, NET_DELETE = 3 } net_method;

/** Sets of roles for a route. */
#define NET_ROLE(role) (1u << (role))
#define NET_ANY_PARTY                                                                                                  \
    (NET_ROLE(PKI_HOSPITAL) | NET_ROLE(PKI_AUTHORITY) | NET_ROLE(PKI_COORDINATOR) | NET_ROLE(PKI_OPERATOR))
#define NET_PATTERN_MAX 128
/** More than the longest body that a client of ours sends: whoever goes on after that does not listen. */
#define NET_THROWN_BYTES_MAX ((uint64_t)64 << 20)

/**
 * One thing that is served. HEAD is served as GET without its body.
 *
 * begin   headers are complete; may answer at once (then no body is read: only for requests without one), may set
 *         net_request_set_user. NULL: nothing.
 * body    the next bytes, in order; never before begin has returned OK. NULL: bodies are refused.
 * finish  the body is complete: must answer. Not called if an answer was given, or after a failure.
 * done    the last call for a request for which begin returned OK, however it ended: releases `user`. NULL: nothing.
 *
 * A failure becomes an answer: net_http_status, with the message as JSON; of failures from 500 on, only the status is
 * told, the message goes to the log. The body of a failed or refused request is read and thrown away first, up to
 * NET_THROWN_BYTES_MAX (and to the route's bound, if it has a handler), so that the client hears the answer.
 */
typedef struct net_route {
    net_method method;
    const char *pattern; /**< "/v1/rounds/{number}/upload" */
    uint32_t roles;      /**< of whom it is for; the local listener's routes ignore it */
    uint64_t body_max;   /**< bytes; 0: no body */
    msfl_status (*begin)(void *ctx, net_request *request);
    msfl_status (*body)(void *ctx, net_request *request, const uint8_t *bytes, size_t length);
    msfl_status (*finish)(void *ctx, net_request *request);
    void (*done)(void *ctx, net_request *request);
    void *ctx;
} net_route;

/** Bounds of everything. net_limits_default has the reasons. */
typedef struct net_limits {
    uint32_t connections_max;                   /**< in all */
    uint32_t connections_per_peer_max;          /**< of one party */
    uint32_t connections_per_address_max;       /**< 0: none; hospitals may share a proxy's address */
    uint32_t header_bytes_max;                  /**< request line and headers */
    uint32_t header_timeout_ms;                 /**< from the connection to complete headers, TLS included */
    uint32_t idle_timeout_s;                    /**< without a byte; between requests of one connection */
    uint32_t request_timeout_ms;                /**< from complete headers to the last byte of the answer */
    uint32_t body_rate_min;                     /**< bytes a second, over all of a body, after 10 s */
    double requests_per_second, requests_burst; /**< of one party */
    uint32_t stop_timeout_ms;                   /**< how long net_server_stop waits for requests */
} net_limits;
net_limits net_limits_default(void);

typedef struct net_server_options {
    const char *address;                /**< numerical */
    uint16_t port;                      /**< 0: any free one */
    const char *ca, *certificate, *key; /**< PEM; not needed after the start */
    pki_gate *gate;                     /**< borrowed for the server's life */
    const net_route *routes;            /**< n_routes, borrowed likewise */
    size_t n_routes;
    net_limits limits;
    net_log log;
    /** A second listener in plain HTTP, for /healthz and /metrics and a dashboard on this machine. NULL: none.
     * 127.0.0.1 or ::1 and nothing else; requests whose Host is another name are refused (DNS rebinding). */
    const char *local_address;
    uint16_t local_port;
    const net_route *local_routes; /**< GET only */
    size_t n_local_routes;
} net_server_options;

/** Figures since the start. */
typedef struct net_figures {
    uint64_t connections, connections_refused, connections_cut, requests, requests_failed, bytes_in, bytes_out;
    uint32_t connections_now, requests_now;
    uint32_t roster_epoch;
} net_figures;

/** Listens when it returns. ERR_IO (the address is taken), ERR_USAGE. */
msfl_status net_server_start(const net_server_options *options, net_server **out) MSFL_NODISCARD;
uint16_t net_server_port(const net_server *server);
uint16_t net_server_local_port(const net_server *server);
void net_server_figures(net_server *server, net_figures *out);
/** Refuses new connections and requests (503), lets running requests finish for at most stop_timeout_ms, then cuts and
 *  frees. NULL is fine. */
void net_server_stop(net_server *server);

/* --- inside a handler --- */

/** Who asks; NULL on the local listener. */
const pki_peer *net_request_peer(const net_request *request);
/** What stood for the i-th {name}: 1 to 64 letters, digits, '.', '_', '~', '-'; never "." or "..". */
const char *net_request_param(const net_request *request, uint32_t i);
/** NULL if it is not there, or holds anything but printable ASCII, or is longer than NET_VALUE_MAX. */
const char *net_request_header(const net_request *request, const char *name);
/** Content-Length; false if the body is chunked. */
bool net_request_length(const net_request *request, uint64_t *length);
void net_request_set_user(net_request *request, void *user);
void *net_request_user(const net_request *request);
net_server *net_request_server(const net_request *request);

/** A header for the answer to come; both are copied. ERR_LIMIT after 8, ERR_FORMAT for a value that is none. Answers
 * are not to be kept (Cache-Control: no-store) unless the handler sets another Cache-Control. */
msfl_status net_answer_field(net_request *request, const char *name, const char *value) MSFL_NODISCARD;
/** `bytes` are copied. One answer per request: ERR_USAGE for a second. */
msfl_status net_answer_bytes(net_request *request, uint32_t status, const char *type, const void *bytes,
                             size_t length) MSFL_NODISCARD;
msfl_status net_answer_text(net_request *request, uint32_t status, const char *type, const char *text) MSFL_NODISCARD;
/** An open file from byte 0, `length` bytes; answers a Range, also with If-Range against `etag` (without quotes; NULL:
 *  ranges are not offered). `fd` is taken over, also on failure. */
msfl_status net_answer_file(net_request *request, int fd, uint64_t length, const char *type,
                            const char *etag) MSFL_NODISCARD;
/** Server-sent events from a hub, from now on or from Last-Event-ID; open until either side ends it. */
msfl_status net_answer_events(net_request *request, net_events *events) MSFL_NODISCARD;

/* --- server-sent events --- */

enum { NET_EVENTS_KEPT = 64, NET_EVENT_BYTES_MAX = 4096, NET_EVENTS_READERS_MAX = 32 };

/** A hub keeps the last NET_EVENTS_KEPT events; a reader that falls further behind gets "gap" and goes on from there.
 */
msfl_status net_events_new(net_events **out) MSFL_NODISCARD;
/** After net_events_end, and after the servers that it was read through have stopped. */
void net_events_free(net_events *events);
/** `name`: letters and '-'; `data`: one line, JSON say. Any thread; never waits for readers. ERR_LIMIT, ERR_FORMAT. */
msfl_status net_events_publish(net_events *events, const char *name, const char *data) MSFL_NODISCARD;
/** Wakes all readers, with a comment that keeps proxies from closing: the server calls it every 15 seconds. */
void net_events_beat(net_events *events);
/** All readers come to an end, and no new ones are taken: before net_server_stop. */
void net_events_end(net_events *events);

#endif
