#include "net/microhttpd.h"

#include "base/error.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Handlers of ours and GnuTLS need far less; the library's and ours together touch some 40 KiB. */
enum { STACK_BYTES = 512 << 10 };

struct net_mhd {
    struct MHD_Daemon *daemon;
    net_mhd_hooks hooks;
    int listening; /**< after quiesce; -1 before */
};

/* --- events --- */

static void *socket_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

static void address_text(const struct sockaddr *address, char *text, socklen_t size) {
    text[0] = 0;
    if (address->sa_family == AF_INET) {
        (void)inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)address)->sin_addr, text, size);
    } else if (address->sa_family == AF_INET6) {
        (void)inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, text, size);
    }
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **socket_context,
                          enum MHD_ConnectionNotificationCode code) {
    net_mhd *d = ctx;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*socket_context != NULL) d->hooks.closed(d->hooks.ctx, *socket_context);
        *socket_context = NULL;
        return;
    }
    char text[INET6_ADDRSTRLEN] = "";
    const union MHD_ConnectionInfo *fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    const union MHD_ConnectionInfo *tls = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    const union MHD_ConnectionInfo *address = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (fd == NULL) return;
    if (address != NULL && address->client_addr != NULL) address_text(address->client_addr, text, sizeof text);
    *socket_context = d->hooks.opened(d->hooks.ctx, fd->connect_fd, tls == NULL ? NULL : tls->tls_session, text);
    if (*socket_context == NULL) (void)shutdown(fd->connect_fd, SHUT_RDWR);
}

static enum MHD_Result on_access(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
                                 const char *version, const char *data, size_t *length, void **request) {
    net_mhd *d = ctx;
    void *socket = socket_of(connection);
    if (socket == NULL) return MHD_NO;
    return d->hooks.access(d->hooks.ctx, socket, connection, url, method, version, (const uint8_t *)data, length,
                           request)
               ? MHD_YES
               : MHD_NO;
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode code) {
    net_mhd *d = ctx;
    if (*request == NULL) return;
    d->hooks.completed(d->hooks.ctx, socket_of(connection), *request, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    *request = NULL;
}

/* Paths are taken as they were sent: one spelling, and no byte that hides behind a '%'. */
static size_t keep_escapes(void *ctx, struct MHD_Connection *connection, char *text) {
    (void)ctx, (void)connection;
    return strlen(text);
}

/* What the library wants to tell; our own log says what happened. */
__attribute__((format(printf, 2, 0))) static void no_log(void *ctx, const char *fmt, va_list args) {
    (void)ctx, (void)fmt, (void)args;
}

/* --- the daemon --- */

static msfl_status address_of(const net_mhd_options *o, struct sockaddr_storage *out) {
    struct sockaddr_in *v4 = (void *)out;
    struct sockaddr_in6 *v6 = (void *)out;
    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, o->address, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(o->port);
        return MSFL_OK;
    }
    if (inet_pton(AF_INET6, o->address, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(o->port);
        return MSFL_OK;
    }
    return msfl_fail(MSFL_ERR_USAGE, "'%.64s' is no numerical address to listen on", o->address);
}

msfl_status net_mhd_start(const net_mhd_options *o, const net_mhd_hooks *hooks, net_mhd **out) {
    *out = NULL;
    struct sockaddr_storage address;
    msfl_status status = address_of(o, &address);
    if (status != MSFL_OK) return status;
    net_mhd *d = msfl_alloc(1, sizeof *d);
    if (d == NULL) return MSFL_NO_MEMORY;
    d->hooks = *hooks;
    d->listening = -1;
    bool tls = o->key != NULL;
    struct MHD_OptionItem secure[] = {{MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)o->key},
                                      {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)o->certificate},
                                      {MHD_OPTION_HTTPS_MEM_TRUST, 0, (void *)o->anchors},
                                      {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)o->priorities},
                                      {MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};
    /* A thread per connection: a handler that takes its time, or a reader of events, holds up nobody else. In a pool
     * one thread tends to win all connections. poll and not epoll: edge-triggered, the library misses the end of a
     * connection that was cut inside a TLS record, since GnuTLS asks for more and no further edge comes. Such
     * connections would stay until their timeout. */
    unsigned flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ERROR_LOG;
    if (tls) flags |= MHD_USE_TLS;
    if (address.ss_family == AF_INET6) flags |= MHD_USE_IPv6;
    d->daemon = MHD_start_daemon(
        flags, o->port, NULL, NULL, on_access, d, MHD_OPTION_EXTERNAL_LOGGER, no_log, NULL, MHD_OPTION_SOCK_ADDR,
        (struct sockaddr *)&address, MHD_OPTION_NOTIFY_CONNECTION, on_connection, d, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, d, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)o->connections_max, MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)o->connections_per_address_max,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)o->idle_timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, o->memory_bytes,
        MHD_OPTION_CONNECTION_MEMORY_INCREMENT, o->memory_bytes / 4, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u, MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_BYTES, MHD_OPTION_ARRAY,
        tls ? secure : plain, MHD_OPTION_END);
    if (d->daemon == NULL) {
        msfl_free(d);
        return msfl_fail(MSFL_ERR_IO,
                         "cannot listen on %s port %u: it is taken, needs rights, or key and certificate do not work",
                         o->address, o->port);
    }
    *out = d;
    return MSFL_OK;
}

uint16_t net_mhd_port(const net_mhd *d) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(d->daemon, MHD_DAEMON_INFO_BIND_PORT);
    return info == NULL ? 0 : info->port;
}

void net_mhd_quiesce(net_mhd *d) {
    if (d->listening < 0) d->listening = MHD_quiesce_daemon(d->daemon);
}

void net_mhd_stop(net_mhd *d) {
    if (d == NULL) return;
    MHD_stop_daemon(d->daemon);
    if (d->listening >= 0) close(d->listening);
    msfl_free(d);
}

/* --- requests --- */

const char *net_mhd_header(struct MHD_Connection *connection, const char *name) {
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

size_t net_mhd_header_bytes(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info == NULL ? 0 : info->header_size;
}

bool net_mhd_has_query(struct MHD_Connection *connection) {
    return MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, NULL, NULL) > 0;
}

/* --- answers --- */

static ssize_t on_read(void *ctx, uint64_t position, char *out, size_t max) {
    const net_mhd_body *body = ctx;
    (void)position;
    ssize_t n = body->read(body->ctx, out, max);
    return n < 0 ? MHD_CONTENT_READER_END_OF_STREAM : n;
}

static void on_release(void *ctx) {
    net_mhd_body *body = ctx;
    if (body->release != NULL) body->release(body->ctx);
    msfl_free(body);
}

static struct MHD_Response *make(const net_mhd_body *body) {
    enum { BLOCK = 16384 };
    if (body->read != NULL) {
        net_mhd_body *copy = msfl_alloc(1, sizeof *copy);
        struct MHD_Response *response = NULL;
        if (copy != NULL) {
            *copy = *body;
            response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, on_read, copy, on_release);
        }
        if (response == NULL) {
            if (body->release != NULL) body->release(body->ctx);
            msfl_free(copy);
        }
        return response;
    }
    if (body->fd >= 0) {
        struct MHD_Response *response = MHD_create_response_from_fd_at_offset64(body->length, body->fd, body->offset);
        if (response == NULL) close(body->fd);
        return response;
    }
    return MHD_create_response_from_buffer(body->length, (void *)body->bytes, MHD_RESPMEM_MUST_COPY);
}

bool net_mhd_answer(struct MHD_Connection *connection, uint32_t status, const net_mhd_field *fields, size_t n_fields,
                    const net_mhd_body *body) {
    struct MHD_Response *response = make(body);
    if (response == NULL) return false;
    bool good = true;
    for (size_t i = 0; i < n_fields; i++)
        good = good && MHD_add_response_header(response, fields[i].name, fields[i].value) == MHD_YES;
    good = good && MHD_queue_response(connection, status, response) == MHD_YES;
    MHD_destroy_response(response);
    return good;
}
