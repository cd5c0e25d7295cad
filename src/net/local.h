/* What the local listener serves by itself: /healthz and /metrics. */
#ifndef MSFL_NET_LOCAL_H
#define MSFL_NET_LOCAL_H

#include "base/bytes.h"
#include "net/server.h"

/** "ok" while the server takes requests. */
msfl_status net_local_health(void *ctx, net_request *request) MSFL_NODISCARD;
/** The server's figures as lines of that format, for those who add their own. */
void net_local_figures(net_server *server, msfl_buffer *out);
/** The server's figures in the text format of Prometheus. */
msfl_status net_local_metrics(void *ctx, net_request *request) MSFL_NODISCARD;

/** The two as routes; NET_LOCAL_ROUTES of them. */
enum { NET_LOCAL_ROUTES = 2 };
extern const net_route net_local_routes[NET_LOCAL_ROUTES];

#endif
