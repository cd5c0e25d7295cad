/* What the files of the server share. */
#ifndef MSFL_NET_SERVER_PRIVATE_H
#define MSFL_NET_SERVER_PRIVATE_H

#include "net/gnutls.h"
#include "net/microhttpd.h"
#include "net/policy.h"
#include "net/server.h"

#include <pthread.h>
#include <stdatomic.h>

/** Pool of a connection: a piece of a body is at most as long. */
enum { NET_CONNECTION_MEMORY = 65536, NET_FIELDS_MAX = 8, NET_ADDRESS_MAX = 46, NET_HUBS_MAX = 4 };

typedef struct net_socket {
    struct net_server *server;
    struct net_socket *next, **link; /**< in the server's list, under its lock */
    int fd;
    net_tls_door door;
    bool local, judged, admitted, over_limit;
    pki_peer peer;
    char address[NET_ADDRESS_MAX];
    /* under the lock: */
    uint64_t deadline_ns; /**< cut when it has passed; 0: none (events) */
    uint64_t body_from_ns, body_bytes;
    bool in_body, cut;
} net_socket;

struct net_server {
    pki_gate *gate;
    const net_route *routes, *local_routes;
    size_t n_routes, n_local_routes;
    net_limits limits;
    net_log log;
    net_mhd *secure, *local;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t watch;
    bool watching;
    net_socket *sockets;
    net_bucket buckets[PKI_PARTIES_MAX]; /**< by number in the roster; under the lock */
    net_figures figures;                 /**< under the lock */
    net_events *hubs[NET_HUBS_MAX];      /**< to be kept beating; under the lock */
    atomic_bool stopping;
};

/** Why a request is not for a handler; the texts are constants. */
typedef struct net_refusal {
    uint32_t status; /**< 0: it is for one */
    const char *error, *message;
} net_refusal;

struct net_request {
    net_server *server;
    net_socket *socket;
    struct MHD_Connection *connection;
    const net_route *route;
    net_params params;
    char method[12], path[NET_PATH_MAX + 1];
    bool has_length, begun, answered, head, streams, close;
    uint64_t length, bytes_in, bytes_out, thrown, from_ns;
    msfl_status failed;
    net_refusal refused;
    char message[256];
    void *user;
    char field_name[NET_FIELDS_MAX][NET_NAME_MAX + 1], field_value[NET_FIELDS_MAX][NET_VALUE_MAX + 1];
    size_t n_fields;
    uint32_t status;
};

/* dispatch.c: the hooks of the daemons. */
bool net_dispatch(void *ctx, void *socket, struct MHD_Connection *connection, const char *path, const char *method,
                  const char *version, const uint8_t *bytes, size_t *length, void **request);
void net_dispatch_completed(void *ctx, void *socket, void *request, bool complete);

/* answer.c */
/** A status with {"error":message, "status":name}; false: cut the connection. */
bool net_answer_error(net_request *request, uint32_t status, const char *error, const char *message);

/* events.c */
msfl_status net_events_open(net_events *events, uint64_t last_id, net_mhd_body *out);

/* server_watch.c */
msfl_status net_watch_start(net_server *server);
void net_watch_stop(net_server *server);
/** What a request's begin and end mean for its connection's deadline. */
void net_watch_begun(net_request *request);
void net_watch_body(net_request *request, size_t length);
void net_watch_body_done(net_request *request);
void net_watch_ended(net_socket *socket, net_request *request);

#endif
