/* Server and client in one process: what is refused before anything listens, and memory that runs out. */
#include "base/file.h"
#include "base/mem.h"
#include "medsecurefl/provision.h"
#include "net/client.h"
#include "net/local.h"
#include "net/spool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
static pki_kit *hub, *site;
static pki_gate *gate;

static void ok_at(msfl_status status, const char *file, int line) {
    if (status != MSFL_OK) print_error("%s: %s\n", msfl_status_name(status), msfl_error_message());
    _assert_int_equal(status, MSFL_OK, file, line);
}
#define ok(call) ok_at(call, __FILE__, __LINE__)

static int setup(void **state) {
    static const char plan[] = "federation: f\ncoordinator: {name: hub, url: 'https://localhost:1'}\n"
                               "hospitals: [{name: a}]\n";
    char path[128], out[128];
    (void)state;
    snprintf(folder, sizeof folder, "%s/msfl-net-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(folder) == NULL) return -1;
    msfl_provision_options options = {0};
    msfl_provision_result result;
    snprintf(path, sizeof path, "%s/plan.yaml", folder);
    snprintf(out, sizeof out, "%s/kits", folder);
    ok(msfl_file_write(path, plan, sizeof plan - 1));
    ok(msfl_provision_create(path, out, &options, &result));
    snprintf(path, sizeof path, "%s/kits/hub", folder);
    ok(pki_kit_load(path, NULL, (int64_t)time(NULL), &hub));
    snprintf(path, sizeof path, "%s/kits/a", folder);
    ok(pki_kit_load(path, NULL, (int64_t)time(NULL), &site));
    ok(pki_gate_new(hub->ca, strlen(hub->ca), hub->roster, &gate));
    return 0;
}

static int teardown(void **state) {
    char command[128];
    (void)state;
    pki_gate_free(gate);
    pki_kit_free(hub);
    pki_kit_free(site);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : -1;
}

static msfl_status hello(void *ctx, net_request *request) {
    (void)ctx;
    if (net_answer_field(request, "X", "a\r\nb") != MSFL_ERR_FORMAT) return MSFL_ERR_SYSTEM;
    if (net_answer_text(request, 99, "text/plain", "") != MSFL_ERR_USAGE) return MSFL_ERR_SYSTEM;
    msfl_status status = net_answer_text(request, 200, "text/plain", net_request_peer(request)->name);
    /* a second answer is refused, and the first one goes out */
    if (status == MSFL_OK && net_answer_text(request, 200, "text/plain", "again") != MSFL_ERR_USAGE) abort();
    return status;
}

static msfl_status silent(void *ctx, net_request *request) {
    (void)ctx, (void)request;
    return MSFL_OK;
}

static const net_route routes[] = {
    {.method = NET_GET, .pattern = "/hello", .roles = NET_ANY_PARTY, .finish = hello},
    {.method = NET_GET, .pattern = "/silent", .roles = NET_ANY_PARTY, .finish = silent},
};

static net_server_options options(void) {
    return (net_server_options){.address = "127.0.0.1",
                                .ca = hub->ca,
                                .certificate = hub->certificate,
                                .key = (const char *)hub->key,
                                .gate = gate,
                                .routes = routes,
                                .n_routes = 2,
                                .limits = net_limits_default()};
}

static void test_options(void **state) {
    (void)state;
    net_server *server;
    net_server_options o = options();
    o.local_address = "0.0.0.0";
    assert_int_equal(net_server_start(&o, &server), MSFL_ERR_POLICY);
    o = options();
    o.address = "localhost";
    assert_int_equal(net_server_start(&o, &server), MSFL_ERR_USAGE);
    o = options();
    o.key = NULL; /* never plain HTTP by accident */
    assert_int_equal(net_server_start(&o, &server), MSFL_ERR_USAGE);
    o = options();
    o.limits.connections_per_peer_max = 0;
    assert_int_equal(net_server_start(&o, &server), MSFL_ERR_USAGE);
    net_client *client;
    net_client_options c = net_client_options_of(site);
    c.url = "http://localhost";
    assert_int_equal(net_client_new(&c, &client), MSFL_ERR_FORMAT);
    c = net_client_options_of(site);
    c.proxy = "ftp://x";
    assert_int_equal(net_client_new(&c, &client), MSFL_ERR_USAGE);
}

static net_client *client_for(const net_server *server) {
    static char url[64];
    net_client *client;
    net_client_options c = net_client_options_of(site);
    snprintf(url, sizeof url, "https://localhost:%u", net_server_port(server));
    c.url = url;
    c.retry.attempts_max = 1;
    ok(net_client_new(&c, &client));
    return client;
}

static void test_talk(void **state) {
    (void)state;
    net_server *server, *second;
    net_server_options o = options();
    ok(net_server_start(&o, &server));
    o.port = net_server_port(server);
    net_client *client = client_for(server);
    net_answer a;
    ok(net_client_call(client, "GET", "/hello", NULL, 0, 100, NET_REPEAT, &a));
    assert_int_equal(a.status, 200);
    assert_memory_equal(a.body.bytes, "a", 1);
    msfl_buffer_clear(&a.body);
    assert_int_equal(net_client_call(client, "GET", "/silent", NULL, 0, 1000, NET_REPEAT, &a), MSFL_ERR_IO); /* 500 */
    assert_non_null(strstr(msfl_error_message(), "server-busy"));
    net_figures f;
    net_server_figures(server, &f);
    assert_true(f.connections >= 1 && f.requests >= 2);
    net_client_free(client);
    /* two servers in one process, each with its own */
    o.port = 0;
    ok(net_server_start(&o, &second));
    net_server_stop(server);
    client = client_for(second);
    ok(net_client_call(client, "GET", "/hello", NULL, 0, 100, NET_REPEAT, &a));
    msfl_buffer_clear(&a.body);
    net_client_free(client);
    net_server_stop(second);
}

/* Server, client or both run out of memory somewhere: an error, an answer or a cut, and a server that goes on. */
static void test_memory(void **state) {
    (void)state;
    net_server *server;
    net_server_options o = options();
    for (long k = 1;; k++) {
        msfl_alloc_fail_at(k);
        msfl_status status = net_server_start(&o, &server);
        msfl_alloc_fail_at(0);
        if (status == MSFL_OK) break;
        assert_null(server);
        assert_in_range(k, 1, 100);
    }
    uint32_t good = 0;
    for (long k = 1; k < 30; k++) {
        net_client *client = client_for(server);
        net_answer a;
        msfl_alloc_fail_at(k);
        msfl_status status = net_client_call(client, "GET", "/hello", NULL, 0, 100, NET_REPEAT, &a);
        msfl_alloc_fail_at(0);
        good += status == MSFL_OK && a.status == 200;
        msfl_buffer_clear(&a.body);
        net_client_free(client);
    }
    assert_in_range(good, 1, 29);
    net_client *client = client_for(server);
    net_answer a;
    ok(net_client_call(client, "GET", "/hello", NULL, 0, 100, NET_REPEAT, &a));
    msfl_buffer_clear(&a.body);
    net_client_free(client);
    net_server_stop(server);
}

static void test_events(void **state) {
    (void)state;
    net_events *events;
    char text[NET_EVENT_BYTES_MAX + 2];
    ok(net_events_new(&events));
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    assert_int_equal(net_events_publish(events, "a", text), MSFL_ERR_LIMIT);
    assert_int_equal(net_events_publish(events, "a", "two\nlines"), MSFL_ERR_FORMAT);
    assert_int_equal(net_events_publish(events, "a b", "{}"), MSFL_ERR_FORMAT);
    for (int i = 0; i < 200; i++)
        ok(net_events_publish(events, "round", "{}"));
    net_events_end(events);
    net_events_free(events);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_options), cmocka_unit_test(test_talk),
                                       cmocka_unit_test(test_memory), cmocka_unit_test(test_events)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
