/* Shim for libcurl: one HTTPS exchange at a time, and what went wrong with it by a name of ours. */
#ifndef MSFL_NET_CURL_H
#define MSFL_NET_CURL_H

#include "medsecurefl/status.h"

#include <sys/types.h>

/** What can go wrong between two machines: X(NAME, "name", may a later attempt succeed). */
#define NET_FAULTS(X)                                                                                                  \
    X(NONE, "none", false)                                                                                             \
    X(RESOLVE, "host-not-found", true)                                                                                 \
    X(CONNECT, "cannot-connect", true)                                                                                 \
    X(PROXY, "proxy-refused", false)                                                                                   \
    X(TIMEOUT, "timeout", true)                                                                                        \
    X(CUT, "connection-cut", true)                                                                                     \
    X(SERVER_OTHER_CA, "server-certificate-of-another-authority", false)                                               \
    X(SERVER_EXPIRED, "server-certificate-expired", false)                                                             \
    X(SERVER_NOT_YET_VALID, "server-certificate-not-yet-valid", false)                                                 \
    X(SERVER_HOST, "server-certificate-for-another-host", false)                                                       \
    X(SERVER_UNKNOWN, "server-certificate-not-in-roster", false)                                                       \
    X(SERVER_CERTIFICATE, "server-certificate-not-valid", false)                                                       \
    X(OUR_EXPIRED, "certificate-expired", false)                                                                       \
    X(OUR_REVOKED, "certificate-revoked", false)                                                                       \
    X(OUR_OTHER_CA, "certificate-of-another-authority", false)                                                         \
    X(OUR_UNKNOWN, "certificate-not-in-roster", false)                                                                 \
    X(OUR_CERTIFICATE, "certificate-refused", false)                                                                   \
    X(TLS, "tls-failed", false)                                                                                        \
    X(TOO_LONG, "answer-too-long", false)                                                                              \
    X(CANCELLED, "cancelled", false)                                                                                   \
    X(LOCAL, "local-failure", false)

typedef enum net_fault {
#define NET_FAULT_ENUM(name, text, again) NET_FAULT_##name,
    NET_FAULTS(NET_FAULT_ENUM)
#undef NET_FAULT_ENUM
} net_fault;

typedef struct net_curl net_curl;

typedef struct net_curl_options {
    const char *ca, *certificate; /**< PEM; borrowed for the handle's life, as is the key */
    const uint8_t *key;
    size_t key_length;
    const char *pins;  /**< "sha256//...;sha256//...": keys of the server that are accepted; NULL: any of the CA's */
    const char *proxy; /**< http://host:port; NULL: none, whatever the environment says */
    const char *proxy_auth; /**< user:password; NULL */
    uint32_t connect_timeout_ms, idle_timeout_s, total_timeout_ms;
    const volatile int *cancel; /**< non-zero: stop; NULL */
} net_curl_options;

/** One exchange. */
typedef struct net_call {
    const char *method, *url;
    const char *const *headers; /**< "Name: value"; NULL at the end; or NULL */
    bool has_body;
    uint64_t body_length;
    /** Fill `out` with up to `max` of the next bytes; -1: give up (the message is recorded). */
    ssize_t (*read)(void *ctx, uint8_t *out, size_t max);
    bool (*rewind)(void *ctx); /**< again from the first byte; false: cannot */
    /** A header of the answer, its name in lower case; not of a proxy's answer. */
    void (*field)(void *ctx, uint32_t status, const char *name, const char *value);
    /** The next bytes of the answer; false: give up. */
    bool (*write)(void *ctx, uint32_t status, const uint8_t *bytes, size_t length);
    void *ctx;
    /* What came of it: */
    uint32_t status; /**< of HTTP; 0: none */
    net_fault fault;
    char detail[160]; /**< libcurl's own words */
} net_call;

/** Once per process before the first handle; thread-safe. */
msfl_status net_curl_new(const net_curl_options *options, net_curl **out) MSFL_NODISCARD;
void net_curl_free(net_curl *curl);
/** Fills `status`, `fault` and `detail`. Connections are kept for the next call. */
void net_curl_perform(net_curl *curl, net_call *call);

/**
 * Why a connection is cut before any answer: in TLS 1.3 a server's refusal of our certificate comes after our
 * handshake, and who is writing when it comes sees a broken connection and not the reason. This connects, writes
 * nothing, and listens for about a second. Changes `call->fault` and `call->detail` if it learns something.
 */
void net_curl_diagnose(net_curl *curl, net_call *call);

#endif
