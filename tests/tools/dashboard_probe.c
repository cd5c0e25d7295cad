/* layer: dashboard */
/* A coordinator that only seems to be one, for tests/e2e/test_dashboard.py: the screen, and a status that stands in a
 * file.
 *
 *   dashboard_probe KIT FOLDER     prints "PORT LOCALPORT"; FOLDER/status.json is what /v1/status says, with the
 * present time. Lines on standard input: "NAME DATA" is sent as an event. Ends with its input. Prints "abort JOB BODY"
 * for what an operator did.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "dashboard/dashboard.h"
#include "net/local.h"
#include "pki/kit.h"
#include "text/json.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { STATUS_BYTES_MAX = 4 << 20, BODY_BYTES_MAX = 2048, LINE_BYTES_MAX = 8192 };

static const char *folder;

static int fail(void) {
    fprintf(stderr, "%s\n", msfl_error_message());
    return 1;
}

static msfl_status serve_status(void *ctx, net_request *request) {
    (void)ctx;
    json_t *status = NULL;
    char *path = msfl_format("%s/status.json", folder), *text = NULL;
    struct timespec now;
    if (path == NULL) return MSFL_NO_MEMORY;
    msfl_status result = msfl_json_read(path, STATUS_BYTES_MAX, &status);
    msfl_free(path);
    if (result != MSFL_OK) return result;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)json_object_set_new(status, "now_ms", json_integer(now.tv_sec * 1000ll + now.tv_nsec / 1000000));
    result = msfl_json_text(status, true, &text);
    json_decref(status);
    if (result == MSFL_OK) result = net_answer_text(request, 200, "application/json", text);
    msfl_free(text);
    return result;
}

static msfl_status follow(void *ctx, net_request *request) {
    return net_answer_events(request, ctx);
}

static msfl_status abort_begin(void *ctx, net_request *request) {
    (void)ctx;
    msfl_status status = dashboard_check_action(request);
    if (status != MSFL_OK) return status;
    msfl_buffer *body = msfl_alloc(1, sizeof *body);
    if (body == NULL) return MSFL_NO_MEMORY;
    net_request_set_user(request, body);
    return MSFL_OK;
}

static msfl_status abort_body(void *ctx, net_request *request, const uint8_t *bytes, size_t length) {
    (void)ctx;
    msfl_buffer *body = net_request_user(request);
    msfl_put_bytes(body, bytes, length);
    return body->status;
}

static msfl_status abort_finish(void *ctx, net_request *request) {
    (void)ctx;
    const msfl_buffer *body = net_request_user(request);
    printf("abort %s %.*s\n", net_request_param(request, 0), (int)body->length, (const char *)body->bytes);
    (void)fflush(stdout);
    return net_answer_text(request, 200, "application/json", "{}\n");
}

static void abort_done(void *ctx, net_request *request) {
    (void)ctx;
    msfl_buffer_clear(net_request_user(request));
    msfl_free(net_request_user(request));
}

/* Lines of standard input become events until it ends. */
static void relay(net_events *events) {
    static char line[LINE_BYTES_MAX];
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = 0;
        char *data = strchr(line, ' ');
        if (data == NULL) continue;
        *data++ = 0;
        if (net_events_publish(events, line, data) != MSFL_OK) fprintf(stderr, "%s\n", msfl_error_message());
    }
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    folder = argv[2];
    pki_kit *kit;
    pki_gate *gate;
    net_events *events;
    net_server *server;
    net_route routes[DASHBOARD_ROUTES + 3], local[DASHBOARD_ROUTES + 2 + NET_LOCAL_ROUTES];
    if (pki_kit_load(argv[1], NULL, (int64_t)time(NULL), &kit) != MSFL_OK) return fail();
    if (pki_gate_new(kit->ca, strlen(kit->ca), kit->roster, &gate) != MSFL_OK) return fail();
    if (net_events_new(&events) != MSFL_OK) return fail();
    dashboard_routes(NET_ANY_PARTY, routes);
    net_route *next = routes + DASHBOARD_ROUTES;
    next[0] = (net_route){.method = NET_GET, .pattern = "/v1/status", .roles = NET_ANY_PARTY, .finish = serve_status};
    next[1] = (net_route){
        .method = NET_GET, .pattern = "/v1/events", .roles = NET_ANY_PARTY, .finish = follow, .ctx = events};
    memcpy(local, routes, (DASHBOARD_ROUTES + 2) * sizeof *routes);
    memcpy(local + DASHBOARD_ROUTES + 2, net_local_routes, sizeof net_local_routes);
    next[2] = (net_route){.method = NET_POST,
                          .pattern = "/v1/jobs/{job}/abort",
                          .roles = NET_ANY_PARTY,
                          .body_max = BODY_BYTES_MAX,
                          .begin = abort_begin,
                          .body = abort_body,
                          .finish = abort_finish,
                          .done = abort_done};
    net_server_options options = {.address = "127.0.0.1",
                                  .ca = kit->ca,
                                  .certificate = kit->certificate,
                                  .key = (const char *)kit->key,
                                  .gate = gate,
                                  .routes = routes,
                                  .n_routes = DASHBOARD_ROUTES + 3,
                                  .limits = net_limits_default(),
                                  .local_address = "127.0.0.1",
                                  .local_routes = local,
                                  .n_local_routes = DASHBOARD_ROUTES + 2 + NET_LOCAL_ROUTES};
    options.limits.stop_timeout_ms = 2000;
    if (net_server_start(&options, &server) != MSFL_OK) return fail();
    printf("%u %u\n", net_server_port(server), net_server_local_port(server));
    (void)fflush(stdout);
    relay(events);
    net_events_end(events);
    net_server_stop(server);
    net_events_free(events);
    pki_gate_free(gate);
    pki_kit_free(kit);
    return 0;
}
