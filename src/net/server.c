/* Connections: who is let in, and who is counted. */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "net/server_private.h"

#include <errno.h>
#include <string.h>
#include <time.h>

net_limits net_limits_default(void) {
    return (net_limits){
        .connections_max = 256,        /* 64 KiB and a thread each */
        .connections_per_peer_max = 8, /* an upload, a download, a question, and those that are just ending */
        .connections_per_address_max = 0,
        .header_bytes_max = 16384,
        .header_timeout_ms = 10000,
        .idle_timeout_s = 60,
        .request_timeout_ms = 600000, /* 8 MiB at 14 KiB/s */
        .body_rate_min = 1024,
        .requests_per_second = 50,
        .requests_burst = 200,
        .stop_timeout_ms = 30000,
    };
}

static pki_verdict judge(void *ctx, const uint8_t *der, size_t length) {
    net_socket *s = ctx;
    net_server *server = s->server;
    pki_peer peer;
    s->judged = true;
    pki_verdict verdict = pki_gate_admit(server->gate, der, length, (int64_t)time(NULL), &peer);
    if (verdict != PKI_ADMITTED) {
        net_event event = NET_EVENT_INIT;
        event.event = "refused";
        event.address = s->address;
        event.reason = pki_verdict_name(verdict);
        pthread_mutex_lock(&server->lock);
        server->figures.connections_refused++;
        pthread_mutex_unlock(&server->lock);
        net_log_write(&server->log, &event);
        return verdict;
    }
    uint32_t others = 0;
    pthread_mutex_lock(&server->lock);
    for (const net_socket *o = server->sockets; o != NULL; o = o->next)
        others += o != s && o->admitted && strcmp(o->peer.name, peer.name) == 0;
    s->peer = peer;
    s->admitted = true;
    s->over_limit = others >= server->limits.connections_per_peer_max; /* answered with 429 */
    pthread_mutex_unlock(&server->lock);
    return PKI_ADMITTED;
}

static void *opened(net_server *server, bool local, int fd, void *tls, const char *address) {
    if (!local && tls == NULL) return NULL; /* never without TLS, whatever the library thinks */
    net_socket *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return NULL;
    s->server = server;
    s->fd = fd;
    s->local = local;
    s->door = (net_tls_door){judge, s};
    strncpy(s->address, address, sizeof s->address - 1);
    s->deadline_ns = msfl_now_ns() + (uint64_t)server->limits.header_timeout_ms * 1000000;
    if (!local) net_tls_demand(tls, &s->door);
    pthread_mutex_lock(&server->lock);
    s->next = server->sockets;
    s->link = &server->sockets;
    if (s->next != NULL) s->next->link = &s->next;
    server->sockets = s;
    server->figures.connections++;
    server->figures.connections_now++;
    pthread_mutex_unlock(&server->lock);
    return s;
}

static void *opened_secure(void *ctx, int fd, void *tls, const char *address) {
    return opened(ctx, false, fd, tls, address);
}

static void *opened_local(void *ctx, int fd, void *tls, const char *address) {
    (void)tls;
    return opened(ctx, true, fd, NULL, address);
}

static void closed(void *ctx, void *socket) {
    net_server *server = ctx;
    net_socket *s = socket;
    if (!s->local && !s->judged) { /* not even a certificate: scanners, other protocols, clients without one */
        net_event event = NET_EVENT_INIT;
        event.event = "refused";
        event.address = s->address;
        event.reason = "no-certificate";
        net_log_write(&server->log, &event);
    }
    pthread_mutex_lock(&server->lock);
    *s->link = s->next;
    if (s->next != NULL) s->next->link = s->link;
    server->figures.connections_now--;
    server->figures.connections_refused += !s->local && !s->judged;
    pthread_mutex_unlock(&server->lock);
    msfl_free(s);
}

static msfl_status check(const net_server_options *o) {
    const net_limits *l = &o->limits;
    if (l->connections_max < 1 || l->connections_max > 65536 || l->connections_per_peer_max < 1 ||
        l->header_bytes_max < 1024 || l->header_bytes_max > NET_CONNECTION_MEMORY / 2 || l->header_timeout_ms < 1 ||
        l->idle_timeout_s < 1 || l->request_timeout_ms < 1 || !(l->requests_per_second > 0) ||
        !(l->requests_burst >= 1)) {
        return msfl_fail(MSFL_ERR_USAGE, "a limit of the server is out of its range");
    }
    if (o->local_address != NULL && strcmp(o->local_address, "127.0.0.1") != 0 &&
        strcmp(o->local_address, "::1") != 0) {
        return msfl_fail(MSFL_ERR_POLICY, "plain HTTP listens on 127.0.0.1 or ::1 alone, not on %.64s",
                         o->local_address);
    }
    return MSFL_OK;
}

static msfl_status listen_all(net_server *server, const net_server_options *o) {
    const net_limits *l = &o->limits;
    net_mhd_hooks hooks = {server, opened_secure, closed, net_dispatch, net_dispatch_completed};
    net_mhd_options secure = {.address = o->address,
                              .port = o->port,
                              .connections_max = l->connections_max,
                              .connections_per_address_max = l->connections_per_address_max,
                              .idle_timeout_s = l->idle_timeout_s,
                              .memory_bytes = NET_CONNECTION_MEMORY,
                              .key = o->key,
                              .certificate = o->certificate,
                              .anchors = o->ca,
                              .priorities = NET_TLS_PRIORITIES};
    if (o->key == NULL || o->certificate == NULL || o->ca == NULL) {
        return msfl_fail(MSFL_ERR_USAGE, "a server needs a key, a certificate and an authority");
    }
    msfl_status status = net_mhd_start(&secure, &hooks, &server->secure);
    if (status != MSFL_OK || o->local_address == NULL) return status;
    net_mhd_options local = {.address = o->local_address,
                             .port = o->local_port,
                             .connections_max = 64,
                             .idle_timeout_s = l->idle_timeout_s,
                             .memory_bytes = NET_CONNECTION_MEMORY};
    hooks.opened = opened_local;
    return net_mhd_start(&local, &hooks, &server->local);
}

msfl_status net_server_start(const net_server_options *o, net_server **out) {
    *out = NULL;
    msfl_status status = check(o);
    if (status != MSFL_OK) return status;
    net_server *server = msfl_alloc(1, sizeof *server);
    if (server == NULL) return MSFL_NO_MEMORY;
    server->gate = o->gate;
    server->routes = o->routes;
    server->n_routes = o->n_routes;
    server->local_routes = o->local_routes;
    server->n_local_routes = o->n_local_routes;
    server->limits = o->limits;
    server->log = o->log;
    (void)pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&server->wake, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    status = net_watch_start(server);
    if (status == MSFL_OK) status = listen_all(server, o);
    if (status != MSFL_OK) {
        net_server_stop(server);
        return status;
    }
    net_event event = NET_EVENT_INIT;
    event.event = "start";
    event.address = o->address;
    net_log_write(&server->log, &event);
    *out = server;
    return MSFL_OK;
}

uint16_t net_server_port(const net_server *server) {
    return net_mhd_port(server->secure);
}

uint16_t net_server_local_port(const net_server *server) {
    return server->local == NULL ? 0 : net_mhd_port(server->local);
}

void net_server_figures(net_server *server, net_figures *out) {
    pthread_mutex_lock(&server->lock);
    *out = server->figures;
    pthread_mutex_unlock(&server->lock);
    out->roster_epoch = pki_gate_epoch(server->gate);
}

static void wait_for_requests(net_server *server) {
    uint64_t end = msfl_now_ns() + (uint64_t)server->limits.stop_timeout_ms * 1000000;
    struct timespec until = {.tv_sec = (time_t)(end / 1000000000), .tv_nsec = (long)(end % 1000000000)};
    pthread_mutex_lock(&server->lock);
    while (server->figures.requests_now > 0)
        if (pthread_cond_timedwait(&server->wake, &server->lock, &until) == ETIMEDOUT) break;
    pthread_mutex_unlock(&server->lock);
}

void net_server_stop(net_server *server) {
    if (server == NULL) return;
    atomic_store(&server->stopping, true);
    if (server->secure != NULL) net_mhd_quiesce(server->secure);
    if (server->local != NULL) net_mhd_quiesce(server->local);
    for (size_t i = 0; i < NET_HUBS_MAX; i++)
        if (server->hubs[i] != NULL) net_events_end(server->hubs[i]);
    wait_for_requests(server);
    net_watch_stop(server); /* before descriptors are closed behind its back */
    net_mhd_stop(server->secure);
    net_mhd_stop(server->local);
    net_event event = NET_EVENT_INIT;
    event.event = "stop";
    net_log_write(&server->log, &event);
    (void)pthread_cond_destroy(&server->wake);
    (void)pthread_mutex_destroy(&server->lock);
    msfl_free(server);
}
