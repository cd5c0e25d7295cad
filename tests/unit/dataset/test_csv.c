/* Tables and texts: quoting, line ends, places of faults, order. */
#include "base/mem.h"
#include "dataset/csv.h"
#include "dataset/texts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static msfl_status parse(const char *text, size_t n, msfl_csv **out) {
    uint8_t *bytes = msfl_alloc(n + 1, 1);
    memcpy(bytes, text, n);
    return msfl_csv_parse("t.csv", bytes, n, out);
}

static msfl_csv *good(const char *text) {
    msfl_csv *t = NULL;
    assert_int_equal(parse(text, strlen(text), &t), MSFL_OK);
    return t;
}

static void cells_of_every_kind(void **state) {
    (void)state;
    msfl_csv *t = good("\xef\xbb\xbf"
                       "A,\"b \"\"c\"\"\",d\r\n"
                       "1,\"x,\r\ny\",\r\n"
                       "\r\n"
                       ",,\"\"\n"
                       "last,\xff\xfe,end");
    assert_int_equal(msfl_csv_columns(t), 3);
    assert_int_equal(msfl_csv_rows(t), 3);
    assert_string_equal(msfl_csv_heading(t, 0), "A");
    assert_string_equal(msfl_csv_heading(t, 1), "b \"c\"");
    assert_string_equal(msfl_csv_cell(t, 0, 1), "x,\r\ny");
    assert_string_equal(msfl_csv_cell(t, 0, 2), "");
    assert_string_equal(msfl_csv_cell(t, 1, 2), "");
    assert_string_equal(msfl_csv_cell(t, 2, 1), "\xff\xfe");
    assert_string_equal(msfl_csv_cell(t, 2, 2), "end");
    assert_int_equal(msfl_csv_line(t, 0), 2);
    assert_int_equal(msfl_csv_line(t, 1), 5);
    assert_int_equal(msfl_csv_line(t, 2), 6);
    assert_int_equal(msfl_csv_find(t, "a"), 0);
    assert_int_equal(msfl_csv_find(t, "q"), 3);
    msfl_csv_free(t);
    t = good("a;b\n1;2,5\n");
    assert_int_equal(msfl_csv_columns(t), 2);
    assert_string_equal(msfl_csv_cell(t, 0, 1), "2,5");
    msfl_csv_free(t);
    t = good("a\tb\r1\t2\r");
    assert_string_equal(msfl_csv_cell(t, 0, 1), "2");
    msfl_csv_free(t);
    t = good("a,b,");
    assert_int_equal(msfl_csv_columns(t), 3);
    assert_int_equal(msfl_csv_rows(t), 0);
    msfl_csv_free(t);
}

static void faults_have_a_place(void **state) {
    (void)state;
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"", "empty table"},
        {"\n\n", "empty table"},
        {"a,b\n1\n", "line 2, column 1: 1 cells"},
        {"a,b\n1,2\n1,2,3\n", "line 3, column 3: 3 cells"},
        {"a,b\n1,\"2\n3,4\n", "line 2, column 2: a quoted cell does not end"},
        {"a,b\n1,\"2\"x\n", "line 2, column 2: text after"},
        {"a,b\n\"x\ny\",2\n1,b\"c\n", "line 4, column 2: a quote inside"},
        {"\xff\xfe"
         "a",
         "UTF-16"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        msfl_csv *t = NULL;
        assert_int_equal(parse(bad[i].text, strlen(bad[i].text), &t), MSFL_ERR_FORMAT);
        assert_null(t);
        assert_non_null(strstr(msfl_error_message(), bad[i].words));
    }
    msfl_csv *t = NULL;
    assert_int_equal(parse("a,b\n1,\0\n", 8, &t), MSFL_ERR_FORMAT);
    assert_non_null(strstr(msfl_error_message(), "line 2, column 2: a zero byte"));
}

static void limits_hold(void **state) {
    (void)state;
    char *text = malloc(200000);
    memset(text, ',', 1024);
    msfl_csv *t = NULL;
    assert_int_equal(parse(text, 1024, &t), MSFL_ERR_LIMIT);
    assert_int_equal(parse(text, 1023, &t), MSFL_OK);
    assert_int_equal(msfl_csv_columns(t), 1024);
    msfl_csv_free(t);
    memset(text, 'x', 200000);
    assert_int_equal(parse(text, 65536, &t), MSFL_OK);
    msfl_csv_free(t);
    assert_int_equal(parse(text, 65537, &t), MSFL_ERR_LIMIT);
    free(text);
}

static void natural_order(void **state) {
    (void)state;
    static const char *const sorted[] = {"", "0", "1", "2", "10", "A", "a", "a1", "a2b", "a02c", "a10", "b"};
    for (int i = 0; i < 12; i++) {
        for (int j = 0; j < 12; j++) {
            int order = msfl_text_order(sorted[i], sorted[j]);
            assert_int_equal(order < 0 ? -1 : order > 0, i < j ? -1 : i > j);
        }
    }
    assert_true(msfl_text_order("x01", "x1") != 0);
}

static void codes(void **state) {
    (void)state;
    static const char *const values[] = {"10", "9", "", "9", "-1", ""};
    msfl_texts texts = {0}, names = {0};
    for (int i = 0; i < 6; i++)
        assert_int_equal(msfl_texts_add(&texts, values[i], strlen(values[i])), MSFL_OK);
    uint32_t code[6], n;
    assert_int_equal(msfl_texts_code(&texts, MSFL_CODE_CLASSES, code, &names, &n), MSFL_OK);
    const uint32_t want[6] = {2, 1, 3, 1, 0, 4};
    assert_memory_equal(code, want, sizeof want);
    assert_int_equal(n, 5);
    assert_int_equal(names.n, 3);
    assert_string_equal(msfl_texts_get(&names, 0), "-1");
    msfl_texts_clear(&texts);
    msfl_texts_clear(&names);
    static const char *const words[] = {"b", "A", "a", "B", "c"};
    for (int i = 0; i < 5; i++)
        assert_int_equal(msfl_texts_add(&texts, words[i], 1), MSFL_OK);
    assert_int_equal(msfl_texts_code(&texts, MSFL_CODE_CLASSES, code, &names, &n), MSFL_OK);
    assert_int_equal(n, 3);
    assert_string_equal(msfl_texts_get(&names, 0), "A");
    assert_string_equal(msfl_texts_get(&names, 1), "b");
    assert_int_equal(msfl_texts_code(&texts, MSFL_CODE_KEYS, code, NULL, &n), MSFL_OK);
    assert_int_equal(n, 5);
    msfl_texts_clear(&texts);
    msfl_texts_clear(&names);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_of_every_kind),
        cmocka_unit_test(faults_have_a_place),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(natural_order),
        cmocka_unit_test(codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
