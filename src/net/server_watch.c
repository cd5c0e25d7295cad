/* Deadlines: what the library's idle timeout does not see, since a byte now and then resets that one. */
#include "base/clock.h"
#include "base/error.h"
#include "net/server_private.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>

enum { TICK_MS = 100, BEAT_MS = 15000, GRACE_MS = 10000 };

static const char *overdue(const net_server *server, const net_socket *s, uint64_t now) {
    if (s->cut) return NULL;
    if (s->deadline_ns != 0 && now > s->deadline_ns) return "took too long";
    if (s->in_body &&
        net_is_too_slow(s->body_bytes, (now - s->body_from_ns) / 1000000, server->limits.body_rate_min, GRACE_MS)) {
        return "too slow";
    }
    return NULL;
}

/* Under the lock: a socket in the list has not been closed yet, so the descriptor is its own. */
static void cut_overdue(net_server *server, uint64_t now) {
    for (net_socket *s = server->sockets; s != NULL; s = s->next) {
        const char *reason = overdue(server, s, now);
        if (reason == NULL) continue;
        s->cut = true;
        server->figures.connections_cut++;
        (void)shutdown(s->fd, SHUT_RDWR);
        net_event event = NET_EVENT_INIT;
        event.event = "cut";
        event.address = s->address;
        event.peer = s->admitted ? s->peer.name : NULL;
        event.reason = reason;
        net_log_write(&server->log, &event);
    }
}

static void *watch(void *ctx) {
    net_server *server = ctx;
    uint64_t beat = msfl_now_ns();
    pthread_mutex_lock(&server->lock);
    while (server->watching) {
        uint64_t now = msfl_now_ns(), next = now + (uint64_t)TICK_MS * 1000000;
        cut_overdue(server, now);
        if (now - beat > (uint64_t)BEAT_MS * 1000000) {
            beat = now;
            for (size_t i = 0; i < NET_HUBS_MAX; i++)
                if (server->hubs[i] != NULL) net_events_beat(server->hubs[i]);
        }
        struct timespec until = {.tv_sec = (time_t)(next / 1000000000), .tv_nsec = (long)(next % 1000000000)};
        (void)pthread_cond_timedwait(&server->wake, &server->lock, &until);
    }
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

msfl_status net_watch_start(net_server *server) {
    server->watching = true;
    int error = pthread_create(&server->watch, NULL, watch, server);
    if (error == 0) return MSFL_OK;
    server->watching = false;
    return msfl_fail_errno(error, "cannot start a thread");
}

void net_watch_stop(net_server *server) {
    pthread_mutex_lock(&server->lock);
    bool was = server->watching;
    server->watching = false;
    pthread_cond_broadcast(&server->wake);
    pthread_mutex_unlock(&server->lock);
    if (was) (void)pthread_join(server->watch, NULL);
}

void net_watch_begun(net_request *r) {
    net_server *server = r->server;
    pthread_mutex_lock(&server->lock);
    r->from_ns = msfl_now_ns();
    r->socket->deadline_ns = r->from_ns + (uint64_t)server->limits.request_timeout_ms * 1000000;
    r->socket->body_from_ns = r->from_ns;
    r->socket->body_bytes = 0;
    r->socket->in_body = !r->has_length || r->length > 0;
    server->figures.requests++;
    server->figures.requests_now++;
    pthread_mutex_unlock(&server->lock);
}

void net_watch_body(net_request *r, size_t length) {
    pthread_mutex_lock(&r->server->lock);
    r->socket->body_bytes += length;
    r->server->figures.bytes_in += length;
    pthread_mutex_unlock(&r->server->lock);
}

void net_watch_body_done(net_request *r) {
    pthread_mutex_lock(&r->server->lock);
    r->socket->in_body = false;
    if (r->streams) r->socket->deadline_ns = 0;
    pthread_mutex_unlock(&r->server->lock);
}

void net_watch_ended(net_socket *s, net_request *r) {
    net_server *server = r->server;
    uint64_t rest_ms = (uint64_t)server->limits.idle_timeout_s * 1000 + server->limits.header_timeout_ms;
    pthread_mutex_lock(&server->lock);
    server->figures.requests_now--;
    server->figures.requests_failed += r->status >= 400;
    server->figures.bytes_out += r->bytes_out;
    if (s != NULL) {
        s->in_body = false;
        s->deadline_ns = msfl_now_ns() + rest_ms * 1000000;
    }
    pthread_cond_broadcast(&server->wake);
    pthread_mutex_unlock(&server->lock);
}
