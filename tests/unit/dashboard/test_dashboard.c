/* The page's files as they are embedded, who may act, and memory that runs out. What a browser makes of it is tested in
 * tests/e2e/test_dashboard.py. */
#include "base/file.h"
#include "base/mem.h"
#include "dashboard/assets.h"
#include "dashboard/dashboard.h"
#include "medsecurefl/provision.h"
#include "net/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const dashboard_asset *asset(const char *path) {
    for (size_t i = 0; i < DASHBOARD_ASSETS; i++)
        if (strcmp(dashboard_assets[i].path, path) == 0) return &dashboard_assets[i];
    fail_msg("%s is not embedded", path);
    return NULL;
}

static bool holds(const dashboard_asset *a, const char *text) {
    return memmem(a->bytes, a->length, text, strlen(text)) != NULL;
}

static void test_routes(void **state) {
    (void)state;
    net_route routes[DASHBOARD_ROUTES];
    net_params params;
    dashboard_routes(NET_ROLE(PKI_HOSPITAL), routes);
    for (size_t i = 0; i < DASHBOARD_ROUTES; i++) {
        assert_int_equal(routes[i].method, NET_GET);
        assert_int_equal(routes[i].roles, NET_ROLE(PKI_HOSPITAL));
        assert_int_equal(routes[i].body_max, 0);
        assert_non_null(routes[i].finish);
        assert_true(net_path_is_good(routes[i].pattern));
        for (size_t j = 0; j < i; j++)
            assert_false(net_path_match(routes[j].pattern, routes[i].pattern, &params));
    }
}

static void test_assets(void **state) {
    (void)state;
    for (size_t i = 0; i < DASHBOARD_ASSETS; i++) {
        const dashboard_asset *a = &dashboard_assets[i];
        assert_true(a->length > 100);
        assert_int_equal(strlen(a->etag), 34);
        assert_true(a->etag[0] == '"' && a->etag[33] == '"');
        assert_true(net_value_is_good(a->type) && net_value_is_good(a->etag));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(a->etag, dashboard_assets[j].etag);
    }
    const dashboard_asset *page = asset("/"), *script = asset("/app.js"), *style = asset("/style.css");
    static const char *const inline_or_foreign[] = {
        "http://", "https://", "style=", "<style", "onclick", "javascript:"};
    for (size_t i = 0; i < sizeof inline_or_foreign / sizeof inline_or_foreign[0]; i++)
        assert_false(holds(page, inline_or_foreign[i]));
    static const char *const parsers[] = {"innerHTML",      "outerHTML", "insertAdjacentHTML",
                                          "document.write", "eval(",     "Function(",
                                          "DOMParser",      "http://",   "setHTMLUnsafe("};
    for (size_t i = 0; i < sizeof parsers / sizeof parsers[0]; i++)
        assert_false(holds(script, parsers[i]));
    assert_false(holds(style, "url(") || holds(style, "@import"));
    assert_true(holds(asset("/chart.js"), "Permission is hereby granted"));
    assert_true(holds(asset("/chart.js"), "Chart.js v"));
}

static void test_who_may_act(void **state) {
    (void)state;
    pki_peer peer = {.name = "x", .role = PKI_COORDINATOR};
    assert_false(dashboard_may_act(NULL));
    assert_true(dashboard_may_act(&peer));
    peer.role = PKI_HOSPITAL;
    assert_false(dashboard_may_act(&peer));
    peer.role = PKI_AUTHORITY;
    assert_false(dashboard_may_act(&peer));
    peer.role = PKI_OPERATOR;
    assert_true(dashboard_may_act(&peer));
}

static void ok_at(msfl_status status, const char *file, int line) {
    if (status != MSFL_OK) print_error("%s: %s\n", msfl_status_name(status), msfl_error_message());
    _assert_int_equal(status, MSFL_OK, file, line);
}
#define ok(call) ok_at(call, __FILE__, __LINE__)

/* Server, client or both run out of memory somewhere: an error or the right answer, and a server that goes on. */
static void test_memory(void **state) {
    static const char plan[] = "federation: f\ncoordinator: {name: hub, url: 'https://localhost:1'}\n"
                               "hospitals: [{name: a}]\n";
    char folder[64], path[128], out[128], url[64];
    (void)state;
    (void)snprintf(folder, sizeof folder, "%s/msfl-dash-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(folder));
    msfl_provision_options provision = {0};
    msfl_provision_result made;
    pki_kit *hub, *site;
    pki_gate *gate;
    net_server *server;
    net_client *client;
    net_answer a;
    (void)snprintf(path, sizeof path, "%s/plan.yaml", folder);
    (void)snprintf(out, sizeof out, "%s/kits", folder);
    ok(msfl_file_write(path, plan, sizeof plan - 1));
    ok(msfl_provision_create(path, out, &provision, &made));
    (void)snprintf(path, sizeof path, "%s/kits/hub", folder);
    ok(pki_kit_load(path, NULL, (int64_t)time(NULL), &hub));
    (void)snprintf(path, sizeof path, "%s/kits/a", folder);
    ok(pki_kit_load(path, NULL, (int64_t)time(NULL), &site));
    ok(pki_gate_new(hub->ca, strlen(hub->ca), hub->roster, &gate));
    net_route routes[DASHBOARD_ROUTES];
    dashboard_routes(NET_ANY_PARTY, routes);
    net_server_options o = {.address = "127.0.0.1",
                            .ca = hub->ca,
                            .certificate = hub->certificate,
                            .key = (const char *)hub->key,
                            .gate = gate,
                            .routes = routes,
                            .n_routes = DASHBOARD_ROUTES,
                            .limits = net_limits_default()};
    ok(net_server_start(&o, &server));
    (void)snprintf(url, sizeof url, "https://localhost:%u", net_server_port(server));
    net_client_options c = net_client_options_of(site);
    c.url = url;
    c.retry.attempts_max = 1;
    static const char *const paths[] = {"/v1/me", "/chart.js"};
    for (size_t p = 0; p < 2; p++) {
        uint32_t good = 0;
        for (long k = 1; k < 14; k++) {
            ok(net_client_new(&c, &client));
            msfl_alloc_fail_at(k);
            msfl_status status = net_client_call(client, "GET", paths[p], NULL, 0, 1 << 20, NET_REPEAT, &a);
            msfl_alloc_fail_at(0);
            if (status == MSFL_OK && a.status == 200) {
                good++;
                if (p == 0) assert_non_null(memmem(a.body.bytes, a.body.length, "\"name\":\"a\"", 10));
                if (p == 1) assert_int_equal(a.body.length, asset("/chart.js")->length);
            }
            msfl_buffer_clear(&a.body);
            net_client_free(client);
        }
        assert_in_range(good, 1, 13);
    }
    net_server_stop(server);
    pki_gate_free(gate);
    pki_kit_free(hub);
    pki_kit_free(site);
    (void)snprintf(path, sizeof path, "rm -rf '%s'", folder);
    assert_int_equal(system(path), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_routes), cmocka_unit_test(test_assets),
                                       cmocka_unit_test(test_who_may_act), cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
