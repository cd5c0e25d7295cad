/* Lines for a log: one JSON object each, of known fields. Bodies, headers and keys have no way into it. */
#ifndef MSFL_NET_LOG_H
#define MSFL_NET_LOG_H

#include "base/bytes.h"

/** Gets one line without its newline; any thread, one call at a time. Must return soon. */
typedef struct net_log {
    void (*line)(void *ctx, const char *text); /**< NULL: nothing is logged */
    void *ctx;
} net_log;

/** What a line can say; NULL and negative fields are left out. */
typedef struct net_event {
    const char *event; /**< "request", "refused", "cut", "start", "stop" */
    const char *peer, *address, *method, *path, *reason;
    int32_t status;
    int64_t bytes_in, bytes_out, ms;
} net_event;
#define NET_EVENT_INIT                                                                                                 \
    { .status = -1, .bytes_in = -1, .bytes_out = -1, .ms = -1 }

/** `seconds`, `milliseconds` since 1970 stand in "time" as UTC. */
void net_log_write(const net_log *log, const net_event *event);

/** Append `text` as a JSON string: what is not printable ASCII becomes \u escapes, at most 200 bytes are kept. */
void net_json_text(msfl_buffer *out, const char *text);

#endif
