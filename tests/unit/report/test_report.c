/* The page: complete for a complete result, and whole whatever is missing, hostile or absurd.
 *
 * With an argument it writes sample pages into that folder, to be looked at and for tests/e2e/test_report.py. */
#include "page.h"
#include "sample.h"

#include "base/bytes.h"
#include "base/file.h"
#include "report/html.h"
#include "report/page.h"
#include "report/png.h"
#include "report/svg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { N_PICTURES = 12, SIDE = 64 };

static msfl_report_picture *some_pictures(uint32_t channels) {
    static msfl_report_picture pictures[N_PICTURES];
    static uint8_t pixels[N_PICTURES][SIDE * SIDE * 3];
    static char names[N_PICTURES][40];
    for (uint32_t k = 0; k < N_PICTURES; k++) {
        sample_picture(pixels[k], SIDE, channels, k);
        snprintf(names[k], sizeof names[k], "test/%s/person%u.jpeg", k % 3 == 0 ? "NORMAL" : "PNEUMONIA", 100 + k);
        pictures[k] = (msfl_report_picture){.pixels = pixels[k],
                                            .width = SIDE,
                                            .height = SIDE,
                                            .channels = channels,
                                            .name = names[k],
                                            .truth = k % 3 == 0 ? "normal" : "pneumonia",
                                            .predicted = k % 3 == 0 && k != 6 ? "normal" : "pneumonia",
                                            .probability = 0.99 - 0.035 * k};
    }
    return pictures;
}

static char *render(const json_t *result, const msfl_report_picture *pictures, size_t n) {
    msfl_buffer out = {0};
    msfl_status status = msfl_page_render(result, pictures, n, &out);
    return page_text(status, &out);
}

static void a_full_result_makes_a_full_page(void **state) {
    (void)state;
    json_t *result = sample_result(&(sample_options){.hospitals = 3, .rounds = 8, .classes = 2});
    char *page = render(result, some_pictures(1), N_PICTURES);
    assert_lacks(page, "Not in this result");
    assert_has(page, "Encrypted federation reaches an AUC");
    assert_has(page, "Sum exact in all 8 rounds.");
    assert_has(page, "Who has to be trusted");
    assert_has(page, "dirichlet:0.5");
    assert_has(page, "ends in the middle of the picture");
    assert_has(page, "must not leave the hospital");
    assert_has(page, "1.13×"); /* 107812 / 95752 */
    assert_has(page, "2<sup>−141</sup>");
    assert_has(page, "4.11×10<sup>−7</sup>");
    assert_int_equal(count(page, "✓ exact"), 8);
    assert_int_equal(count(page, "<svg class=\"chart"), 3);
    assert_int_equal(count(page, "data:image/png;base64,"), N_PICTURES);
    assert_int_equal(count(page, "class=\"confusion "), 3);
    msfl_free(page);
    json_decref(result);
}

static void the_page_does_not_flatter(void **state) {
    (void)state;
    json_t *result =
        sample_result(&(sample_options){.hospitals = 3, .rounds = 8, .classes = 2, .stopped = true, .inexact = true});
    char *page = render(result, NULL, 0);
    assert_has(page, "Sum exact in 3 of 4 rounds only.");
    assert_has(page, "not exact");
    assert_has(page, "This run is not complete:");
    assert_has(page, "stopped on request");
    assert_lacks(page, "Sum exact in all");
    msfl_free(page);
    /* All rounds say yes, but the run as a whole says no: that is no "exact in all". */
    json_decref(result);
    result = sample_result(&(sample_options){.hospitals = 3, .rounds = 4, .classes = 2});
    json_object_set_new(result, "sum_exact", json_false());
    page = render(result, NULL, 0);
    assert_lacks(page, "Sum exact in all");
    msfl_free(page);
    json_decref(result);

    result = sample_result(&(sample_options){.hospitals = 3, .rounds = 4, .classes = 2, .plain_only = true});
    page = render(result, NULL, 0);
    assert_has(page, "Nothing was encrypted in this run");
    assert_has(page, "Federation without encryption reaches");
    assert_lacks(page, "Encrypted federation");
    assert_lacks(page, "Sum exact");
    msfl_free(page);
    json_decref(result);

    result = sample_result(&(sample_options){.hospitals = 3, .rounds = 4, .classes = 2, .synthetic = true});
    page = render(result, some_pictures(3), N_PICTURES);
    assert_has(page, "say nothing about patients");
    assert_lacks(page, "must not leave");
    msfl_free(page);
    json_decref(result);
}

static void words_fit_the_figures(void **state) {
    (void)state;
    json_t *result = sample_result(&(sample_options){.hospitals = 2, .rounds = 2, .classes = 2});
    json_t *classes = json_object_get(json_object_get(result, "data"), "classes");
    json_array_set_new(classes, 0, json_string("0"));
    json_array_set_new(classes, 1, json_string("1"));
    const struct {
        double encrypted, plain;
        const char *words;
    } cases[] = {{0.9944, 0.9944, "gives 0.994, the same to three digits"},
                 {0.9944, 0.9947, "gives 0.995, 0.0003 above the federation"},
                 {0.9950, 0.9930, "gives 0.993, 0.002 below the federation"},
                 {0.9951, 0.8951, "gives 0.895, 0.100 below the federation"}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        json_object_set_new(json_object_get(result, "encrypted"), "auc", json_real(cases[k].encrypted));
        json_object_set_new(json_object_get(result, "plain"), "auc", json_real(cases[k].plain));
        char *page = render(result, NULL, 0);
        assert_has(page, cases[k].words);
        assert_has(page, "“Positive” is class 1.");
        msfl_free(page);
    }
    json_decref(result);
}

static void nothing_at_all_is_still_a_page(void **state) {
    (void)state;
    json_t *empty = json_object();
    char *page = render(empty, NULL, 0);
    assert_true(count(page, "Not in this result") >= 10);
    assert_has(page, "A run without a federated result");
    assert_has(page, "</html>");
    msfl_free(page);
    json_decref(empty);
}

/* Replace, one after the other, every value in the tree by what does not belong there. */
static size_t spoil_each(json_t *root, json_t *node, json_t *bad) {
    size_t n = 0;
    if (json_is_object(node)) {
        const char *key;
        json_t *value;
        void *next;
        json_object_foreach_safe(node, next, key, value) {
            json_t *kept = json_incref(value);
            json_object_set(node, key, bad);
            msfl_free(render(root, NULL, 0));
            json_object_set_new(node, key, kept);
            n += 1 + spoil_each(root, kept, bad);
        }
    } else if (json_is_array(node)) {
        for (size_t i = 0; i < json_array_size(node) && i < 2; i++) {
            json_t *kept = json_incref(json_array_get(node, i));
            json_array_set(node, i, bad);
            msfl_free(render(root, NULL, 0));
            json_array_set_new(node, i, kept);
            n += 1 + spoil_each(root, kept, bad);
        }
    }
    return n;
}

static void any_field_may_be_anything(void **state) {
    (void)state;
    static const char *const spoilers[] = {"null", "\"text\"", "[]", "{}", "-1", "1e300", "[[[1]], {\"a\": 2}]"};
    json_t *result = sample_result(&(sample_options){.hospitals = 2, .rounds = 2, .classes = 3});
    for (size_t k = 0; k < sizeof spoilers / sizeof spoilers[0]; k++) {
        json_t *bad = json_loads(spoilers[k], JSON_DECODE_ANY, NULL);
        assert_non_null(bad);
        assert_true(spoil_each(result, result, bad) > 200);
        json_decref(bad);
    }
    json_decref(result);
}

/* Every text becomes hostile. */
static void poison(json_t *node, const char *text) {
    const char *key;
    json_t *value;
    size_t i;
    if (json_is_object(node)) {
        json_object_foreach(node, key, value) {
            if (json_is_string(value) && strcmp(key, "scheme") != 0)
                json_string_set(value, text);
            else
                poison(value, text);
        }
    } else if (json_is_array(node)) {
        json_array_foreach(node, i, value) {
            if (json_is_string(value))
                json_string_set(value, text);
            else
                poison(value, text);
        }
    }
}

static void hostile_texts_stay_texts(void **state) {
    (void)state;
    json_t *result = sample_result(&(sample_options){.hospitals = 3, .rounds = 3, .classes = 2, .stopped = true});
    msfl_report_picture *pictures = some_pictures(1);
    size_t tags_before, quotes_before;
    {
        poison(result, "plain");
        for (int k = 0; k < N_PICTURES; k++)
            pictures[k].name = pictures[k].truth = pictures[k].predicted = "plain";
        char *page = render(result, pictures, N_PICTURES);
        tags_before = count(page, "<");
        quotes_before = count(page, "\"");
        msfl_free(page);
    }
    const char *attack = "</b><script>alert(1)</script><img src=x onerror='a'>\" onload=\"b";
    poison(result, attack);
    for (int k = 0; k < N_PICTURES; k++)
        pictures[k].name = pictures[k].truth = pictures[k].predicted = attack;
    char *page = render(result, pictures, N_PICTURES);
    assert_lacks(page, "<script");
    assert_lacks(page, "onerror='");
    assert_lacks(page, "onload=\"");
    assert_lacks(page, "<img src=x");
    assert_has(page, "&lt;script&gt;");
    /* Breaks in long words are ours; otherwise there is not one tag and not one quote more. */
    assert_int_equal(count(page, "<") - count(page, "<wbr>"), tags_before);
    assert_int_equal(count(page, "\""), quotes_before);
    msfl_free(page);

    /* File names are bytes, not always UTF-8, and may try to steer a terminal or the reading direction. */
    for (int k = 0; k < N_PICTURES; k++)
        pictures[k].name = "a\xff\xc0\xaf\x1b[31m\xe2\x80\xae"
                           "b\xed\xa0\x80\xf4\x90\x80\x80";
    page = render(result, pictures, N_PICTURES);
    assert_lacks(page, "\x1b");
    assert_lacks(page, "\xff");
    assert_lacks(page, "\xc0\xaf");
    assert_lacks(page, "\xe2\x80\xae");
    assert_lacks(page, "\xed\xa0\x80");
    assert_lacks(page, "\xf4\x90");
    assert_has(page, "[31m");
    msfl_free(page);
    json_decref(result);
}

static void the_page_stays_bounded(void **state) {
    (void)state;
    json_t *result = sample_result(&(sample_options){.hospitals = 3, .rounds = 3, .classes = 2});
    /* 30,000 rounds, 1,000 hospitals, 300 classes, a long list of skipped files, each with a very long name. */
    char *longest = msfl_alloc(100001, 1);
    assert_non_null(longest);
    memset(longest, 'x', 100000);
    json_t *rounds = json_object_get(result, "rounds"), *data = json_object_get(result, "data");
    json_t *first = json_array_get(rounds, 0);
    for (int k = 0; k < 30000; k++)
        json_array_append(rounds, first);
    json_t *hospitals = json_object_get(data, "hospitals");
    json_object_set_new(json_array_get(hospitals, 0), "name", json_string(longest));
    for (int k = 0; k < 1000; k++)
        json_array_append(hospitals, json_array_get(hospitals, 0));
    json_t *row = json_array(), *matrix = json_array();
    for (int k = 0; k < 300; k++)
        json_array_append_new(row, json_integer(k));
    for (int k = 0; k < 300; k++)
        json_array_append(matrix, row);
    json_object_set_new(json_object_get(result, "encrypted"), "confusion", matrix);
    json_object_set(json_array_get(hospitals, 1), "counts", row);
    json_t *skipped = json_object_get(data, "skipped");
    for (int k = 0; k < 1000; k++)
        json_array_append_new(skipped, json_pack("{s:s, s:s}", "name", longest, "reason", longest));
    char *page = render(result, NULL, 0);
    assert_true(strlen(page) < 2000000);
    assert_has(page, "more hospitals are not shown");
    msfl_free(page);
    json_decref(row);
    json_decref(result);
    msfl_free(longest);
}

static void writing_is_all_or_nothing(void **state) {
    (void)state;
    char folder[] = "/tmp/msfl-report-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *path = msfl_path_join(folder, "report.html");
    assert_non_null(path);
    const char *good = "{\"version\": \"1\"}";
    assert_int_equal(msfl_report_write(path, good, strlen(good), NULL, 0), MSFL_OK);
    uint8_t *before, *after;
    size_t n_before, n_after;
    assert_int_equal(msfl_file_read(path, 1 << 20, &before, &n_before), MSFL_OK);
    assert_int_equal(msfl_report_write(path, "[1]", 3, NULL, 0), MSFL_ERR_FORMAT);
    assert_int_equal(msfl_report_write(path, "{\"a\":", 5, NULL, 0), MSFL_ERR_FORMAT);
    assert_int_equal(msfl_report_write(path, good, MSFL_REPORT_RESULT_BYTES_MAX + 1UL, NULL, 0), MSFL_ERR_LIMIT);
    msfl_report_picture broken = some_pictures(1)[0];
    broken.channels = 2;
    assert_int_equal(msfl_report_write(path, good, strlen(good), &broken, 1), MSFL_ERR_USAGE);
    broken = some_pictures(1)[0];
    broken.pixels = NULL;
    assert_int_equal(msfl_report_write(path, good, strlen(good), &broken, 1), MSFL_ERR_USAGE);
    assert_int_equal(msfl_report_write("/nonexistent/report.html", good, strlen(good), NULL, 0), MSFL_ERR_MISSING);
    for (long k = 1;; k++) {
        msfl_alloc_fail_at(k);
        msfl_status status = msfl_report_write(path, good, strlen(good), some_pictures(1), 1);
        msfl_alloc_fail_at(0);
        if (status == MSFL_OK) {
            assert_true(k > 5);
            break;
        }
        assert_int_equal(status, MSFL_ERR_MEMORY);
        assert_int_equal(msfl_file_read(path, 1 << 20, &after, &n_after), MSFL_OK);
        assert_int_equal(n_before, n_after);
        assert_memory_equal(before, after, n_before);
        msfl_free(after);
    }
    size_t n;
    char **names;
    assert_int_equal(msfl_folder_list(folder, 10, &names, &n), MSFL_OK);
    assert_int_equal(n, 1);
    msfl_names_free(names, n);
    msfl_free(before);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
    msfl_free(path);
}

static void the_whole_page_survives_lack_of_memory(void **state) {
    (void)state;
    json_t *result = sample_result(&(sample_options){.hospitals = 2, .rounds = 2, .classes = 2});
    for (long k = 1;; k++) {
        msfl_buffer out = {0};
        msfl_alloc_fail_at(k);
        msfl_status status = msfl_page_render(result, some_pictures(1), 2, &out);
        msfl_alloc_fail_at(0);
        msfl_buffer_clear(&out);
        if (status == MSFL_OK) {
            assert_true(k > 20);
            break;
        }
        assert_int_equal(status, MSFL_ERR_MEMORY);
    }
    json_decref(result);
}

static void numbers_read_well(void **state) {
    (void)state;
    assert_string_equal(msfl_fixed(0.97349, 3).text, "0.973");
    assert_string_equal(msfl_fixed(-0.5, 1).text, "−0.5");
    assert_string_equal(msfl_fixed(-0.0001, 3).text, "0.000");
    assert_string_equal(msfl_fixed(NAN, 3).text, "–");
    assert_string_equal(msfl_fixed(1e300, 3).text, "1.00×10<sup>300</sup>");
    assert_string_equal(msfl_whole(1171).text, "1171");
    assert_string_equal(msfl_whole(25600000).text, "25\u202f600\u202f000");
    assert_string_equal(msfl_whole(-12345).text, "−12\u202f345");
    assert_string_equal(msfl_bytes_text(999).text, "999\u00a0B");
    assert_string_equal(msfl_bytes_text(999499).text, "999\u00a0kB");
    assert_string_equal(msfl_bytes_text(999500).text, "1.00\u00a0MB");
    assert_string_equal(msfl_bytes_text(107812).text, "108\u00a0kB");
    assert_string_equal(msfl_bytes_text(-1).text, "–");
    assert_string_equal(msfl_ms_text(0.42).text, "0.42\u00a0ms");
    assert_string_equal(msfl_ms_text(8010).text, "8.01\u00a0s");
    assert_string_equal(msfl_ms_text(200000).text, "3\u00a0min 20\u00a0s");
    assert_string_equal(msfl_ms_text(9000000).text, "2\u00a0h 30\u00a0min");
    assert_string_equal(msfl_percent(0.1234, 1).text, "12.3\u00a0%");
    assert_string_equal(msfl_percent(0.00001, 1).text, "&lt;\u202f0.1\u00a0%");
    assert_string_equal(msfl_percent(0.0, 1).text, "0.0\u00a0%");
    assert_string_equal(msfl_significant(0.0).text, "0");
    assert_string_equal(msfl_significant(-9.999e-8).text, "−1.00×10<sup>−7</sup>");
    assert_string_equal(msfl_significant(0.0123).text, "0.0123");
    assert_true(msfl_tick_step(0.0, 1.0, 5, false) == 0.2);
    assert_true(msfl_tick_step(1.0, 8.0, 7, true) == 1.0);
    assert_true(msfl_tick_step(1.0, 3.0, 7, true) == 1.0);
    assert_true(fabs(msfl_tick_step(0.71, 0.98, 5, false) - 0.1) < 1e-12);
    assert_int_equal(msfl_tick_decimals(0.05), 2);
    assert_int_equal(msfl_tick_decimals(20.0), 0);
}

static void a_chart_of_nonsense_ends(void **state) {
    (void)state;
    const msfl_point points[] = {{1e16, 1e16}, {1e16 + 2, NAN}, {1e300, -1e300}};
    const msfl_series series = {"line", "plain", points, 3};
    const double ranges[][2] = {{1e16, 1e16 + 2}, {-1e308, 1e308}, {0, 5e-324}, {1, 1}, {NAN, NAN}, {0, INFINITY}};
    for (size_t k = 0; k < sizeof ranges / sizeof ranges[0]; k++) {
        msfl_buffer out = {0};
        const msfl_chart chart = {.title = "t",
                                  .x_label = "x",
                                  .x_min = ranges[k][0],
                                  .x_max = ranges[k][1],
                                  .y_min = ranges[k][0],
                                  .y_max = ranges[k][1],
                                  .mark_x = 1.0,
                                  .series = &series,
                                  .n_series = 1};
        msfl_svg_chart(&out, &chart, 1);
        assert_int_equal(out.status, MSFL_OK);
        assert_true(out.length < 20000);
        msfl_buffer_clear(&out);
    }
}

static void large_pictures_shrink(void **state) {
    (void)state;
    enum { W = 700, H = 300 };
    uint8_t *pixels = msfl_alloc(W * H, 3);
    assert_non_null(pixels);
    msfl_report_picture p = {.pixels = pixels, .width = W, .height = H, .channels = 3};
    msfl_buffer uri = {0};
    uint32_t w, h;
    assert_int_equal(msfl_png_data_uri(&p, 256, &uri, &w, &h), MSFL_OK);
    assert_int_equal(w, 234); /* every 3 x 3 pixels become one; the last column is a remainder */
    assert_int_equal(h, 100);
    msfl_buffer_clear(&uri);
    msfl_free(pixels);
}

static int write_samples(const char *folder) {
    const struct {
        const char *name;
        sample_options options;
        uint32_t channels;
        size_t n_pictures;
    } pages[] = {
        {"full", {.hospitals = 3, .rounds = 8, .classes = 2}, 1, N_PICTURES},
        {"many", {.hospitals = 20, .rounds = 60, .classes = 8, .synthetic = true}, 3, N_PICTURES},
        {"bad", {.hospitals = 3, .rounds = 4, .classes = 3, .stopped = true, .inexact = true}, 1, 0},
        {"plain", {.hospitals = 5, .rounds = 1, .classes = 2, .plain_only = true}, 1, 3},
    };
    for (size_t k = 0; k < sizeof pages / sizeof pages[0]; k++) {
        json_t *result = sample_result(&pages[k].options);
        char *text, *path = msfl_format("%s/%s.html", folder, pages[k].name);
        char *json_path = msfl_format("%s/%s.json", folder, pages[k].name);
        if (path == NULL || json_path == NULL || msfl_json_text(result, false, &text) != MSFL_OK) return 1;
        if (msfl_report_write(path, text, strlen(text), some_pictures(pages[k].channels), pages[k].n_pictures) !=
                MSFL_OK ||
            msfl_json_write(json_path, result) != MSFL_OK) {
            fprintf(stderr, "%s\n", msfl_error_message());
            return 1;
        }
        json_decref(result);
        msfl_free(text);
        msfl_free(path);
        msfl_free(json_path);
    }
    const char *nothing = "{}";
    char *path = msfl_format("%s/empty.html", folder);
    msfl_status status = path == NULL ? MSFL_ERR_MEMORY : msfl_report_write(path, nothing, 2, NULL, 0);
    msfl_free(path);
    return status != MSFL_OK;
}

int main(int argc, char **argv) {
    if (argc > 1) return write_samples(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_result_makes_a_full_page),
        cmocka_unit_test(the_page_does_not_flatter),
        cmocka_unit_test(words_fit_the_figures),
        cmocka_unit_test(nothing_at_all_is_still_a_page),
        cmocka_unit_test(any_field_may_be_anything),
        cmocka_unit_test(hostile_texts_stay_texts),
        cmocka_unit_test(the_page_stays_bounded),
        cmocka_unit_test(writing_is_all_or_nothing),
        cmocka_unit_test(the_whole_page_survives_lack_of_memory),
        cmocka_unit_test(numbers_read_well),
        cmocka_unit_test(a_chart_of_nonsense_ends),
        cmocka_unit_test(large_pictures_shrink),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
