/* The hospital's side: it dials out, to one server, over whatever lies between. One thread at a time per client.
 *
 * Failures have names that stand at the front of the message ("certificate-revoked: ...") and say what to do. What may
 * pass is tried again, with waits that double and are drawn at random below that bound. */
#ifndef MSFL_NET_CLIENT_H
#define MSFL_NET_CLIENT_H

#include "base/bytes.h"
#include "net/curl.h"
#include "net/http.h"
#include "net/policy.h"
#include "pki/kit.h"

#include <sys/types.h>

typedef struct net_client net_client;

typedef struct net_client_options {
    const char *url; /**< https://host:port */
    const char *ca, *certificate;
    const uint8_t *key; /**< PEM; all borrowed for the client's life */
    size_t key_length;
    const pki_roster *roster; /**< the server must show a certificate that it has of the coordinator; NULL: any of the
                                 authority's for this host */
    const char *proxy;        /**< "" or NULL: none */
    const char *proxy_auth_file;
    uint32_t connect_timeout_ms, idle_timeout_s, total_timeout_ms; /**< of one attempt */
    net_retry retry;
    const volatile int *cancel;
    /** Told before each wait: a line for the operator. NULL. */
    void (*notice)(void *ctx, const char *text, uint32_t wait_ms);
    void *ctx;
} net_client_options;

/** Timeouts and retries as documented, nothing else. */
net_client_options net_client_options_default(void);
/** All of a kit; it must outlive the client. */
net_client_options net_client_options_of(const pki_kit *kit);

msfl_status net_client_new(const net_client_options *options, net_client **out) MSFL_NODISCARD;
void net_client_free(net_client *client);

/** An answer that was kept. Clear `body` with msfl_buffer_clear. */
typedef struct net_answer {
    uint32_t status;
    msfl_buffer body;
    char etag[NET_NAME_MAX + 3];
    bool has_offset;
    uint64_t offset; /**< Upload-Offset */
} net_answer;

/** Whether a call may be made again when it is unknown what became of it. */
typedef enum net_repeat { NET_REPEAT = 0, NET_ONCE = 1 } net_repeat;

/**
 * One call: any answer below 500 but 408, 425, 429 is a success of this function. PUT, GET and DELETE should be
 * repeatable; a POST that is not gets NET_ONCE, and then is repeated only where nothing of it was sent.
 * @retval MSFL_ERR_IO      the network, after all attempts
 * @retval MSFL_ERR_CRYPTO  the server's certificate; MSFL_ERR_POLICY ours, or the proxy said no
 * @retval MSFL_ERR_LIMIT   the answer is longer than `answer_max`
 * @retval MSFL_ERR_CANCELLED
 */
msfl_status net_client_call(net_client *client, const char *method, const char *path, const void *body, size_t length,
                            size_t answer_max, net_repeat repeat, net_answer *out) MSFL_NODISCARD;

/** A call with headers, and a body that need not lie in memory. */
typedef struct net_ask {
    const char *method, *path;
    const char *const *headers; /**< "Name: value"; NULL at the end; or NULL */
    const void *body;           /**< `length` bytes; NULL: none, or `read` */
    uint64_t length;
    /** Instead of `body`: the next bytes, `length` of them in all. Such a call is made once, and its failure says
     *  nothing about how much of it was heard. -1: give up (the message is recorded). */
    ssize_t (*read)(void *ctx, uint8_t *out, size_t max);
    void *ctx;
    size_t answer_max;
    net_repeat repeat;
    const char *field; /**< lower-case name of a header of the answer whose number is wanted; NULL */
    bool has_number;   /**< out */
    uint64_t number;   /**< out */
} net_ask;

/** As net_client_call. */
msfl_status net_client_ask(net_client *client, net_ask *ask, net_answer *out) MSFL_NODISCARD;

/** Bytes to send, readable anywhere and twice the same. */
typedef struct net_source {
    msfl_status (*read)(void *ctx, uint64_t offset, uint8_t *out, size_t length);
    void *ctx;
    uint64_t length;
} net_source;

typedef struct net_progress {
    void (*moved)(void *ctx, uint64_t done, uint64_t total); /**< NULL */
    void *ctx;
} net_progress;

/** Send all of `source` to a spool (net/spool.h), going on where an earlier attempt, of this process or another, has
 *  stopped. ERR_MISMATCH if the source does not read the same twice, or another upload lies complete there. */
msfl_status net_client_upload(net_client *client, const char *path, const net_source *source,
                              const net_progress *progress) MSFL_NODISCARD;

/** Where a download goes. `write` gets bytes in order; offset 0 a second time: from the beginning, the content has
 *  changed. */
typedef struct net_sink {
    msfl_status (*write)(void *ctx, uint64_t offset, const uint8_t *bytes, size_t length);
    void *ctx;
    uint64_t bytes_max;
} net_sink;

/** Fetch all of a file, going on after cuts. `from` bytes of the version `etag` (NULL: none) are there already; `etag`
 *  holds NET_NAME_MAX + 3 and gets the version's. `*length`: of the whole. */
msfl_status net_client_download(net_client *client, const char *path, const net_sink *sink, uint64_t from, char *etag,
                                uint64_t *length) MSFL_NODISCARD;

#endif
