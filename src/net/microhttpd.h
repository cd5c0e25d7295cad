/* Shim for libmicrohttpd: a daemon whose events come in through a table of ours. */
#ifndef MSFL_NET_MICROHTTPD_H
#define MSFL_NET_MICROHTTPD_H

#include "medsecurefl/status.h"

#include <sys/types.h>

struct MHD_Connection;

/** What a daemon tells; called from its threads. */
typedef struct net_mhd_hooks {
    void *ctx;
    /** A connection was accepted; `tls` is its session (GnuTLS), NULL without TLS. What is returned comes back as
     *  `socket`; NULL cuts the connection. */
    void *(*opened)(void *ctx, int fd, void *tls, const char *address);
    /** Last call for it; its descriptor is still open. */
    void (*closed)(void *ctx, void *socket);
    /** As an access handler of libmicrohttpd: headers are complete (`*request` is NULL), then pieces of the body, of
     * which all must be taken (length 0 at the end). False cuts the connection. */
    bool (*access)(void *ctx, void *socket, struct MHD_Connection *connection, const char *path, const char *method,
                   const char *version, const uint8_t *bytes, size_t *length, void **request);
    /** The request is over, however it ended; `complete` if its answer was sent. */
    void (*completed)(void *ctx, void *socket, void *request, bool complete);
} net_mhd_hooks;

typedef struct net_mhd_options {
    const char *address;                                   /**< numerical, IPv4 or IPv6 */
    uint16_t port;                                         /**< 0: any free one */
    uint32_t connections_max, connections_per_address_max; /**< per address 0: no limit */
    uint32_t idle_timeout_s;
    size_t memory_bytes;                     /**< per connection: headers, and a piece of a body */
    const char *key, *certificate, *anchors; /**< PEM; NULL: plain HTTP */
    const char *priorities;
} net_mhd_options;

typedef struct net_mhd net_mhd;

/** `hooks` is copied. ERR_IO if the address is taken, ERR_USAGE if it is none, ERR_CRYPTO for key or certificate. */
msfl_status net_mhd_start(const net_mhd_options *options, const net_mhd_hooks *hooks, net_mhd **out) MSFL_NODISCARD;
uint16_t net_mhd_port(const net_mhd *daemon);
/** No new connections. */
void net_mhd_quiesce(net_mhd *daemon);
/** Cuts what is left, and waits for the threads: nobody may wait in `read` any more. */
void net_mhd_stop(net_mhd *daemon);

/* --- a request --- */

/** A header's value, of any case of `name`; NULL. */
const char *net_mhd_header(struct MHD_Connection *connection, const char *name);
size_t net_mhd_header_bytes(struct MHD_Connection *connection);
/** Whether the request line had a query. */
bool net_mhd_has_query(struct MHD_Connection *connection);

/* --- an answer --- */

/** Where a body comes from. */
typedef struct net_mhd_body {
    const void *bytes; /**< copied; or */
    int fd;            /**< closed afterwards, also on failure; -1: none; or */
    uint64_t offset, length;
    ssize_t (*read)(void *ctx, char *out, size_t max); /**< more bytes, may wait for them; -1: the end */
    void (*release)(void *ctx);
    void *ctx;
} net_mhd_body;
#define NET_MHD_BODY_INIT                                                                                              \
    { .fd = -1 }

typedef struct net_mhd_field {
    const char *name, *value;
} net_mhd_field;

/** False: the connection will be cut. `body` is released in any case. */
bool net_mhd_answer(struct MHD_Connection *connection, uint32_t status, const net_mhd_field *fields, size_t n_fields,
                    const net_mhd_body *body);

#endif
