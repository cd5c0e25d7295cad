#include "net/local.h"

const net_route net_local_routes[NET_LOCAL_ROUTES] = {
    {.method = NET_GET, .pattern = "/healthz", .finish = net_local_health},
    {.method = NET_GET, .pattern = "/metrics", .finish = net_local_metrics},
};

msfl_status net_local_health(void *ctx, net_request *request) {
    (void)ctx;
    return net_answer_text(request, 200, "text/plain", "ok\n");
}

static void put(msfl_buffer *b, const char *name, const char *kind, uint64_t value) {
    msfl_put_text(b, "# TYPE msfl_%s %s\nmsfl_%s %llu\n", name, kind, name, (unsigned long long)value);
}

void net_local_figures(net_server *server, msfl_buffer *out) {
    net_figures f;
    net_server_figures(server, &f);
    put(out, "connections_total", "counter", f.connections);
    put(out, "connections_refused_total", "counter", f.connections_refused);
    put(out, "connections_cut_total", "counter", f.connections_cut);
    put(out, "requests_total", "counter", f.requests);
    put(out, "requests_failed_total", "counter", f.requests_failed);
    put(out, "received_bytes_total", "counter", f.bytes_in);
    put(out, "sent_bytes_total", "counter", f.bytes_out);
    put(out, "connections", "gauge", f.connections_now);
    put(out, "requests", "gauge", f.requests_now);
    put(out, "roster_epoch", "gauge", f.roster_epoch);
}

msfl_status net_local_metrics(void *ctx, net_request *request) {
    (void)ctx;
    msfl_buffer b = {0};
    net_local_figures(net_request_server(request), &b);
    msfl_status status = b.status;
    if (status == MSFL_OK) status = net_answer_bytes(request, 200, "text/plain; version=0.0.4", b.bytes, b.length);
    msfl_buffer_clear(&b);
    return status;
}
