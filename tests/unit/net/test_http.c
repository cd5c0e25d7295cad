/* The small grammars and the rules with numbers. */
#include "net/http.h"
#include "net/log.h"
#include "net/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_paths(void **state) {
    (void)state;
    static const char *const good[] = {"/", "/a", "/v1/x.y_z~-9", "/a/b/c/d", "/..a", "/a..", "/..."};
    static const char *const bad[] = {"",      "a",      "//",    "/a/",  "/a//b", "/.",        "/..",
                                      "/a/..", "/a/./b", "/a%2e", "/a b", "/a\\b", "/a\x01",    "/\xc3\xa4",
                                      "/a?b",  "/a#b",   "/a:b",  "/a;b", "*",     "http://x/a"};
    char text[NET_PATH_MAX + 8];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(net_path_is_good(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(net_path_is_good(bad[i]));
    for (size_t n = 1; n < sizeof text; n++) { /* "/x/x/x..." of n bytes */
        for (size_t i = 0; i < n; i++)
            text[i] = i % 2 == 0 ? '/' : 'x';
        text[n] = 0;
        assert_int_equal(net_path_is_good(text), n == 1 || (n <= NET_PATH_MAX && n % 2 == 0));
    }
    memset(text, 'x', 80);
    text[0] = '/';
    text[65] = 0;
    assert_true(net_path_is_good(text));
    text[65] = 'x';
    text[66] = 0;
    assert_false(net_path_is_good(text));
}

static void test_routes(void **state) {
    (void)state;
    net_params p;
    assert_true(net_path_match("/v1/rounds/{n}/upload/{key}", "/v1/rounds/17/upload/abc", &p));
    assert_int_equal(p.n, 2);
    assert_string_equal(p.value[0], "17");
    assert_string_equal(p.value[1], "abc");
    assert_false(net_path_match("/v1/rounds/{n}", "/v1/rounds", &p));
    assert_false(net_path_match("/v1/rounds/{n}", "/v1/rounds/1/2", &p));
    assert_false(net_path_match("/v1/rounds", "/v1/round", &p));
    assert_false(net_path_match("/v1/rounds", "/v1/rounds2", &p));
    assert_true(net_path_match("/a", "/a", &p));
    assert_int_equal(p.n, 0);
    assert_true(net_path_match("/", "/", &p));
    assert_false(net_path_match("/{a}", "/", &p));
    assert_false(net_path_match("/", "/a", &p));
}

static void test_numbers(void **state) {
    (void)state;
    uint64_t v;
    assert_true(net_number("0", 10, &v));
    assert_true(net_number("18446744073709551615", UINT64_MAX, &v));
    assert_true(v == UINT64_MAX);
    assert_false(net_number("18446744073709551616", UINT64_MAX, &v));
    assert_false(net_number("11", 10, &v));
    assert_false(net_number("", 10, &v));
    assert_false(net_number("+1", 10, &v));
    assert_false(net_number("1 ", 10, &v));
    assert_false(net_number("0x1", 10, &v));
}

static void test_ranges(void **state) {
    (void)state;
    net_range r;
    uint64_t total;
    assert_true(net_content_range("bytes 0-0/1", &r));
    assert_true(r.first == 0 && r.length == 1 && r.total == 1);
    assert_true(net_content_range("bytes 5-9/10", &r));
    assert_true(r.length == 5);
    static const char *const bad[] = {"bytes 5-10/10", "bytes 5-4/10",
                                      "bytes -4/10",   "bytes 1-4/*",
                                      "bytes=1-4/10",  "1-4/10",
                                      "bytes 1-4",     "bytes 1-4/10x",
                                      "bytes */10",    "bytes 0-9223372036854775808/9223372036854775809"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(net_content_range(bad[i], &r));
    assert_true(net_content_range_end("bytes */10", &total));
    assert_int_equal(total, 10);
    assert_false(net_content_range_end("bytes */", &total));
    assert_int_equal(net_range_of(NULL, 10, &r), NET_RANGE_NONE);
    assert_int_equal(net_range_of("bytes=0-", 10, &r), NET_RANGE_PART);
    assert_true(r.length == 10);
    assert_int_equal(net_range_of("bytes=-3", 10, &r), NET_RANGE_PART);
    assert_true(r.first == 7 && r.length == 3);
    assert_int_equal(net_range_of("bytes=-30", 10, &r), NET_RANGE_PART);
    assert_true(r.first == 0 && r.length == 10);
    assert_int_equal(net_range_of("bytes=9-100", 10, &r), NET_RANGE_PART);
    assert_true(r.length == 1);
    assert_int_equal(net_range_of("bytes=10-", 10, &r), NET_RANGE_UNSATISFIABLE);
    assert_int_equal(net_range_of("bytes=-0", 10, &r), NET_RANGE_UNSATISFIABLE);
    assert_int_equal(net_range_of("bytes=0-", 0, &r), NET_RANGE_UNSATISFIABLE);
    assert_int_equal(net_range_of("bytes=3-2", 10, &r), NET_RANGE_NONE);
    assert_int_equal(net_range_of("bytes=0-1,2-3", 10, &r), NET_RANGE_NONE);
}

static void test_bucket(void **state) {
    (void)state;
    net_bucket b = {0};
    uint32_t wait;
    uint64_t now = 1000000000, passed = 0;
    for (int i = 0; i < 5; i++)
        assert_true(net_bucket_take(&b, now, 2, 5, &wait));
    assert_false(net_bucket_take(&b, now, 2, 5, &wait));
    assert_in_range(wait, 490, 510);
    assert_false(net_bucket_take(&b, now - 500, 2, 5, &wait)); /* a clock that went back gives nothing */
    for (int i = 0; i < 1000; i++) {
        now += 10000000; /* ten seconds in all: twenty more, whatever the pattern */
        passed += net_bucket_take(&b, now, 2, 5, &wait);
    }
    assert_in_range(passed, 19, 21);
    assert_true(net_bucket_take(&b, now + UINT64_C(1000000000000), 2, 5, &wait));
}

static void test_backoff(void **state) {
    (void)state;
    net_retry r = {.attempts_max = 10, .base_ms = 100, .cap_ms = 3000, .total_ms = 60000};
    for (uint32_t k = 0; k < 70; k++) {
        uint64_t bound = k >= 5 ? 3000 : (uint64_t)100 << k;
        assert_int_equal(net_retry_delay_ms(&r, k, 0, 0), 0);
        assert_int_equal(net_retry_delay_ms(&r, k, UINT64_MAX, 0), bound);
        assert_in_range(net_retry_delay_ms(&r, k, UINT64_C(0x8000000000000000), 0), bound / 2, bound / 2 + 1);
        assert_int_equal(net_retry_delay_ms(&r, k, 0, 700), 700);
        assert_int_equal(net_retry_delay_ms(&r, k, 0, 70000), 3000); /* a server cannot make us wait for ever */
    }
    assert_true(net_status_may_pass(503));
    assert_false(net_status_may_pass(404));
    assert_false(net_is_too_slow(0, 10000, 1024, 10000));
    assert_true(net_is_too_slow(1023, 11000, 1024, 10000));
    assert_false(net_is_too_slow(1024, 11000, 1024, 10000));
}

static char logged[2048];

static void keep(void *ctx, const char *text) {
    (void)ctx;
    strncpy(logged, text, sizeof logged - 1);
}

static void test_log(void **state) {
    (void)state;
    net_log log = {keep, NULL};
    net_event e = NET_EVENT_INIT;
    e.event = "request";
    e.reason = "a\"b\\c\nd\x7f<\xff";
    e.status = 200;
    net_log_write(&log, &e);
    assert_non_null(strstr(logged, "\"reason\":\"a\\u0022b\\u005cc\\u000ad\\u007f\\u003c\\u00ff\"}"));
    assert_non_null(strstr(logged, ",\"status\":200"));
    assert_null(strstr(logged, "\"ms\""));
    char text[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    e.reason = text;
    net_log_write(&log, &e);
    assert_in_range(strlen(logged), 200, 400);
}

static void test_statuses(void **state) {
    (void)state;
    assert_int_equal(net_http_status(MSFL_OK), 200);
#define KNOWN(name, value, exit_code, text)                                                                            \
    assert_in_range(net_http_status(MSFL_##name), MSFL_##name == MSFL_OK ? 200 : 400, 599);
    MSFL_STATUS_LIST(KNOWN)
#undef KNOWN
    assert_false(net_value_is_good("a\r\nb"));
    assert_true(net_value_is_good(""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),  cmocka_unit_test(test_routes),   cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_ranges), cmocka_unit_test(test_bucket),   cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_log),    cmocka_unit_test(test_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
