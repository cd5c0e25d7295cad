/* The coordinator's process between its listeners and its engine: what every file with handlers shares. */
#ifndef MSFL_COORDINATOR_SERVICE_H
#define MSFL_COORDINATOR_SERVICE_H

#include "coordinator/engine.h"
#include "net/local.h"
#include "net/spool.h"
#include "pki/kit.h"

#include <pthread.h>

enum {
    COORD_ROUTES_MAX = 48,
    COORD_WAIT_S_MAX = 25, /**< of a long poll */
    COORD_REPORT_BYTES_MAX = 2048,
    COORD_FILES_MAX = 16,
    COORD_INITIAL_BYTES_MAX = 1 << 30,                     /**< MSFL_MODEL_VALUES_MAX floats */
    COORD_PLAIN_BYTES_MAX = COORD_INITIAL_BYTES_MAX + 1024 /**< and the counters before them */
};

typedef struct coord_service {
    coord_engine *engine;
    pki_kit *kit; /**< under `lock`: a newer roster becomes its own */
    const char *kit_folder;
    char *folder; /**< of the state */
    pthread_mutex_t lock;
    pki_gate *gate;
    net_spool *uploads, *plain;
    net_events *events;
    net_server *server;
    uint64_t started_ms;
    net_route routes[COORD_ROUTES_MAX], local[COORD_ROUTES_MAX];
    size_t n_routes, n_local;
    uint64_t published; /* version of the last event */
} coord_service;

/* Each appends its routes. */
void coord_routes_parties(coord_service *s);
void coord_routes_messages(coord_service *s);
void coord_routes_operators(coord_service *s);
void coord_routes_status(coord_service *s);
void coord_route(coord_service *s, net_method method, const char *pattern, uint32_t roles,
                 msfl_status (*finish)(void *ctx, net_request *request));
/** With a body of at most `bytes_max` that is kept in memory until `finish` takes it (coord_body). */
void coord_route_body(coord_service *s, net_method method, const char *pattern, uint32_t roles, uint64_t bytes_max,
                      msfl_status (*finish)(void *ctx, net_request *request));
const msfl_buffer *coord_body(net_request *request);

#define COORD_PARTIES   (NET_ANY_PARTY | NET_ROLE(PKI_OPERATOR))
#define COORD_OPERATORS (NET_ROLE(PKI_OPERATOR) | NET_ROLE(PKI_COORDINATOR))

/** Hooks of the spool for uploads of scheme plain; `ctx` is the service. */
msfl_status coord_plain_key(void *ctx, net_request *request, char key[NET_KEY_MAX + 1]) MSFL_NODISCARD;
msfl_status coord_plain_complete(void *ctx, const pki_peer *peer, const char *key, const char *path, uint64_t length,
                                 const uint8_t hash[MSFL_HASH_BYTES]) MSFL_NODISCARD;

/** A newer roster's text: checked, kept in the kit, in force. The same one again is fine. */
msfl_status coord_service_roster(coord_service *s, const char *text, size_t length) MSFL_NODISCARD;

/** Tell readers of events what has changed since the last call. */
void coord_status_publish(coord_service *s);
/** For /metrics: lines of the engine's figures. */
void coord_metrics_put(coord_service *s, msfl_buffer *out);

#endif
