#include "base/mem.h"
#include "text/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static msfl_yaml *parse(const char *text) {
    msfl_yaml *root;
    if (msfl_yaml_parse("t", text, strlen(text), &root) != MSFL_OK) fail_msg("%s", msfl_error_message());
    return root;
}

static void documents_become_trees(void **state) {
    (void)state;
    msfl_yaml *root = parse("# head\n"
                            "a: 3\n"
                            "b: {c: [1, two, \"3\"], d: ''}\n"
                            "list:\n"
                            "  - x\n"
                            "  -\n"
                            "  - k: |\n"
                            "      two\n"
                            "      lines\n");
    assert_int_equal(root->kind, MSFL_YAML_MAPPING);
    assert_int_equal(root->n, 3);
    const msfl_yaml *c = msfl_yaml_get(msfl_yaml_get(root, "b"), "c");
    assert_int_equal(c->kind, MSFL_YAML_SEQUENCE);
    assert_int_equal(c->n, 3);
    assert_int_equal(c->line, 3);
    assert_int_equal(c->column, 8);
    assert_string_equal(c->first->next->text, "two");
    assert_false(c->first->quoted);
    assert_true(c->first->next->next->quoted);
    assert_string_equal(msfl_yaml_get(msfl_yaml_get(root, "b"), "d")->text, "");
    const msfl_yaml *list = msfl_yaml_get(root, "list");
    assert_int_equal(list->n, 3);
    assert_string_equal(list->first->next->text, "");
    assert_string_equal(msfl_yaml_get(list->first->next->next, "k")->text, "two\nlines\n");
    assert_null(msfl_yaml_get(root, "z"));
    assert_null(msfl_yaml_get(c, "z"));
    uint32_t v = 7;
    assert_int_equal(msfl_yaml_u32("t", msfl_yaml_get(root, "a"), "a", 1, 3, &v), MSFL_OK);
    assert_int_equal(v, 3);
    assert_int_equal(msfl_yaml_u32("t", msfl_yaml_get(root, "a"), "a", 4, 5, &v), MSFL_ERR_FORMAT);
    assert_string_equal(msfl_error_message(), "t: line 2, column 4: a must be a whole number from 4 to 5");
    assert_int_equal(v, 3);
    msfl_yaml_free(root);
}

static void numbers_are_decimal(void **state) {
    (void)state;
    static const struct {
        const char *text;
        double value;
        bool good;
    } cases[] = {{"1e-3", 1e-3, true}, {"-.5", -0.5, true}, {"+2", 2, true},    {"1.", 1, true},
                 {"0x10", 0, false},   {"inf", 0, false},   {".inf", 0, false}, {"nan", 0, false},
                 {"1e999", 0, false},  {"1,5", 0, false},   {"''", 0, false},   {"\"1\"", 0, false},
                 {"1e", 0, false},     {"--1", 0, false},   {"1 2", 0, false},  {"[1]", 0, false},
                 {"0b1", 0, false},    {"1_000", 0, false}, {"-", 0, false},    {"2e1", 20, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, "a: %s\n", cases[i].text);
        msfl_yaml *root;
        double v = -77;
        msfl_status status = msfl_yaml_parse("t", text, strlen(text), &root);
        if (status == MSFL_OK) {
            status = msfl_yaml_f64("t", msfl_yaml_get(root, "a"), "a", -1000, 1000, &v);
            msfl_yaml_free(root);
        }
        if ((status == MSFL_OK) != cases[i].good) print_error("%s\n", cases[i].text);
        assert_int_equal(status == MSFL_OK, cases[i].good);
        assert_true(v == (cases[i].good ? cases[i].value : -77));
    }
}

static void bounds_hold(void **state) {
    (void)state;
    msfl_yaml *root = (msfl_yaml *)(uintptr_t)1;
    char *text = calloc(MSFL_YAML_BYTES_MAX + 2, 1);
    memset(text, '#', MSFL_YAML_BYTES_MAX + 1);
    assert_int_equal(msfl_yaml_parse("t", text, MSFL_YAML_BYTES_MAX + 1, &root), MSFL_ERR_LIMIT);
    assert_null(root);
    memset(text, '[', 40000); /* far deeper than we go: refused before the stack feels it */
    assert_int_not_equal(msfl_yaml_parse("t", text, 40000, &root), MSFL_OK);
    for (int i = 0; i < MSFL_YAML_NODES_MAX + 1; i++)
        memcpy(text + 4 * i, "- a\n", 4);
    assert_int_equal(msfl_yaml_parse("t", text, 4 * (MSFL_YAML_NODES_MAX + 1), &root), MSFL_ERR_LIMIT);
    assert_int_equal(msfl_yaml_parse("t", text, 4 * (MSFL_YAML_NODES_MAX - 1), &root), MSFL_OK);
    assert_int_equal(root->n, MSFL_YAML_NODES_MAX - 1);
    msfl_yaml_free(root);
    free(text);
    static const char *const bad[] = {"a: &x 1\nb: *x\n", "a: !!int 1\n", "*x\n",      "? [a]\n: 1\n", "{a: 1, a: 2}\n",
                                      "a: 1\n a: 2\n",    "%TAG ! x\n",   "\"\\0\"\n", "a: \x01\n",    "--- 1\n--- 2\n",
                                      "\xff\xfe",         "a: \"b\n",     "}",         "a: b: c\n",    "[1, 2\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        msfl_status status = msfl_yaml_parse("t", bad[i], strlen(bad[i]), &root);
        if (status != MSFL_ERR_FORMAT) print_error("%zu: %d\n", i, status);
        assert_int_equal(status, MSFL_ERR_FORMAT);
        assert_memory_equal(msfl_error_message(), "t: ", 3);
    }
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    const char *text = "a: {b: [1, 2, {c: d}]}\ne: f\n";
    for (long k = 1;; k++) {
        msfl_yaml *root;
        msfl_alloc_fail_at(k);
        msfl_status status = msfl_yaml_parse("t", text, strlen(text), &root);
        msfl_alloc_fail_at(0);
        if (status == MSFL_OK) {
            msfl_yaml_free(root);
            assert_true(k > 10);
            break;
        }
        assert_int_equal(status, MSFL_ERR_MEMORY);
        assert_null(root);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(documents_become_trees), cmocka_unit_test(numbers_are_decimal),
                                       cmocka_unit_test(bounds_hold), cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
