/* What client.c and transfer.c share. */
#ifndef MSFL_NET_CLIENT_PRIVATE_H
#define MSFL_NET_CLIENT_PRIVATE_H

#include "net/client.h"

struct net_client {
    net_client_options options;
    net_curl *curl;
    char *url, *pins, *proxy_auth;
    bool proved; /**< this server has answered us: it takes our certificate */
};

/** Attempts of one piece of work. */
typedef struct net_attempts {
    uint32_t n; /**< failures in a row */
    uint64_t from_ns;
} net_attempts;

void net_attempts_begin(net_attempts *attempts);
/** After something moved: patience begins anew. */
void net_attempts_moved(net_attempts *attempts);
/** After a failure that may pass: waits and returns OK, or, when there were enough, the failure. `server_ms`: what the
 *  server asked to wait. */
msfl_status net_attempts_wait(net_client *client, net_attempts *attempts, net_call *call,
                              uint32_t server_ms) MSFL_NODISCARD;

/** The status and message of what went wrong; never OK. */
msfl_status net_call_failure(const net_client *client, const net_call *call) MSFL_NODISCARD;
bool net_fault_may_pass(net_fault fault);

/** Retry-After in milliseconds; 0. */
uint32_t net_retry_after_ms(const char *value);

/** Copy the value between quotes of an ETag; "" if it is none of ours. */
void net_etag_copy(const char *value, char out[NET_NAME_MAX + 3]);

#endif
