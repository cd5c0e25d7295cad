/* The page about a reproduction: complete for complete tables, and whole whatever is missing, hostile or absurd. */
#include "page.h"

#include "base/file.h"
#include "base/mem.h"
#include "medsecurefl/report.h"
#include "report/tables.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const figures[] = {"accuracy", "precision",      "sensitivity", "f1",
                                      "auc",      "mean_precision", "mean_recall", "mean_f1"};
static const char *const rows[] = {"central", "plain", "encrypted"};

static json_t *cell(int clients, double mean, int seeds) {
    return json_pack("{s:i, s:f, s:o, s:o, s:f, s:f, s:i}", "clients", clients, "mean", mean, "low",
                     seeds < 2 ? json_null() : json_real(mean - 0.02), "high",
                     seeds < 2 ? json_null() : json_real(mean + 0.02), "smallest", mean - 0.01, "largest", mean + 0.01,
                     "seeds", seeds);
}

static json_t *sample(const int *clients, size_t n, int seeds) {
    json_t *tables = json_object(), *columns = json_array(), *costs = json_array(), *runs = json_array();
    for (size_t i = 0; i < n; i++) {
        json_array_append_new(columns, json_integer(clients[i]));
        json_array_append_new(costs, json_pack("{s:i, s:f, s:f, s:f, s:f, s:f, s:f}", "clients", clients[i], "values",
                                               24947.0, "bytes_up", 129318.0, "bytes_float32", 99788.0, "ms_encrypt",
                                               7.27, "ms_combine", 11.3, "crypto_share", 0.013));
        json_array_append_new(runs, json_pack("{s:i, s:i, s:i, s:{s:f, s:{s:[f, f]}}, s:{s:f}, s:{s:f}}", "clients",
                                              clients[i], "seed", 1, "test_images", 168, "encrypted", "auc", 0.8571,
                                              "intervals", "auc", 0.8107, 0.8977, "plain", "auc", 0.8582, "central",
                                              "auc", 0.8733));
    }
    for (size_t f = 0; f < sizeof figures / sizeof figures[0]; f++) {
        json_t *of = json_object();
        for (size_t r = 0; r < 3; r++) {
            json_t *cells = json_array();
            for (size_t i = 0; i < n; i++)
                json_array_append_new(cells, cell(clients[i], 0.9 - 0.01 * (double)i - 0.002 * (double)r, seeds));
            json_object_set_new(of, rows[r], cells);
        }
        json_object_set_new(tables, figures[f], of);
    }
    json_t *prototype =
        json_pack("{s:s, s:s, s:{s:f}, s:[{s:i, s:{s:f}, s:{s:f}}], s:i, s:i, s:f, s:[f, f]}", "figures_from",
                  "a publication", "costs_from", "a measurement", "central", "accuracy", 0.84, "columns", "clients", 3,
                  "encrypted", "accuracy", 0.841, "plain", "accuracy", 0.8375, "values", 222722, "bytes_per_weight",
                  16400, "bytes_per_client_round", 222722.0 * 16400, "ms_per_weight", 0.63, 0.95);
    return json_pack("{s:b, s:b, s:i, s:o, s:o, s:o, s:o, s:o, s:{s:s, s:s, s:i, s:i, s:b}, s:[s], s:{s:f, s:b}}",
                     "complete", 1, "sums_exact", 1, "runs_planned", (int)n, "clients", columns, "tables", tables,
                     "costs", costs, "prototype", prototype, "runs", runs, "config", "data", "a/folder", "model",
                     "cnn-small", "rounds", 4, "seeds", seeds, "quick", 0, "warnings", "a word of warning",
                     "largest_difference", "figure", 0.0009, "within_bound", 1);
}

static char *render(const json_t *tables) {
    msfl_buffer out = {0};
    msfl_status status = msfl_tables_render(tables, &out);
    return page_text(status, &out);
}

static void full_tables_make_a_full_page(void **state) {
    (void)state;
    static const int clients[] = {7, 3, 2};
    json_t *tables = sample(clients, 3, 2);
    char *page = render(tables);
    assert_has(page, "of 0.876 to 0.896");
    assert_has(page, "All images in one place: 0.900.");
    assert_has(page, "Every encrypted sum was exact");
    assert_has(page, "a word of warning");
    assert_has(page, "<td class=\"note\">0.841</td>"); /* of the publication, where it has that column */
    assert_has(page, "0.870–0.910");                   /* over seeds */
    assert_has(page, "0.811–0.898");                   /* over test patients */
    assert_has(page, "3.65");
    assert_has(page, "clients-3-seed-1/report.html");
    assert_int_equal(count(page, "<svg class=\"chart"), 2);
    assert_lacks(page, "Not complete");
    assert_lacks(page, "smoke");
    assert_lacks(page, "nan");
    /* The line goes from the smallest federation to the largest, however the columns were named. */
    assert_has(page, "<path class=\"line encrypted\" d=\"M44.0 ");
    msfl_free(page);
    json_decref(tables);
}

static void the_page_does_not_flatter(void **state) {
    (void)state;
    static const int clients[] = {3};
    json_t *tables = sample(clients, 1, 1);
    json_object_set_new(tables, "complete", json_false());
    json_object_set_new(tables, "runs_planned", json_integer(9));
    json_object_set_new(tables, "sums_exact", json_false());
    json_object_set_new(json_object_get(tables, "config"), "quick", json_true());
    json_object_set_new(json_object_get(tables, "config"), "synthetic", json_true());
    json_object_set_new(json_object_get(tables, "largest_difference"), "within_bound", json_false());
    char *page = render(tables);
    assert_has(page, "1 of 9 runs");
    assert_has(page, "Not every encrypted sum was exact.");
    assert_has(page, "A smoke run");
    assert_has(page, "Images drawn by this program");
    assert_has(page, "NOT HELD");
    assert_has(page, "Means over 1 seed,");
    msfl_free(page);
    json_decref(tables);
}

/* Each value of the tree in turn becomes something else, or goes. */
static void change_each(json_t *whole, json_t *node, size_t *n) {
    json_t *const others[] = {json_null(), json_string("</b>\"<script>x"), json_real(-1e300), json_array(),
                              json_object()};
    const size_t n_others = sizeof others / sizeof others[0];
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(node, next, key, value) {
        json_t *kept = json_incref(value);
        for (size_t k = 0; k < n_others; k++) {
            json_object_set(node, key, others[k]);
            char *page = render(whole);
            assert_lacks(page, "<script");
            assert_has(page, "</html>");
            msfl_free(page);
            (*n)++;
        }
        json_object_set(node, key, kept);
        if (json_is_object(kept)) change_each(whole, kept, n);
        if (json_is_array(kept) && json_is_object(json_array_get(kept, 0))) {
            change_each(whole, json_array_get(kept, 0), n);
        }
        json_decref(kept);
    }
    for (size_t k = 0; k < n_others; k++)
        json_decref(others[k]);
}

static void any_field_may_be_anything(void **state) {
    (void)state;
    static const int clients[] = {2, 5};
    json_t *tables = sample(clients, 2, 3), *nothing = json_object();
    size_t n = 0;
    change_each(tables, tables, &n);
    assert_true(n > 300);
    char *page = render(nothing);
    assert_has(page, "no run is finished yet");
    msfl_free(page);
    json_decref(tables);
    json_decref(nothing);
}

static void writing_is_all_or_nothing(void **state) {
    (void)state;
    char path[] = "/tmp/msfl-tables-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(msfl_tables_write(path, "{}", 2), MSFL_OK);
    assert_int_equal(msfl_tables_write(path, "[]", 2), MSFL_ERR_FORMAT);
    assert_int_equal(msfl_tables_write(path, "{", 1), MSFL_ERR_FORMAT);
    assert_int_not_equal(msfl_tables_write("/nowhere/at/all.html", "{}", 2), MSFL_OK);
    uint8_t *bytes;
    size_t length;
    assert_int_equal(msfl_file_read(path, 1 << 20, &bytes, &length), MSFL_OK);
    assert_true(length > 1000);
    msfl_free(bytes);
    unlink(path);
}

static void the_page_survives_lack_of_memory(void **state) {
    (void)state;
    static const int clients[] = {2, 3};
    json_t *tables = sample(clients, 2, 2);
    for (long k = 1;; k++) {
        msfl_buffer out = {0};
        msfl_alloc_fail_at(k);
        msfl_status status = msfl_tables_render(tables, &out);
        msfl_alloc_fail_at(0);
        msfl_buffer_clear(&out);
        if (status == MSFL_OK) {
            assert_true(k > 2);
            break;
        }
        assert_int_equal(status, MSFL_ERR_MEMORY);
    }
    json_decref(tables);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_tables_make_a_full_page), cmocka_unit_test(the_page_does_not_flatter),
        cmocka_unit_test(any_field_may_be_anything),    cmocka_unit_test(the_page_survives_lack_of_memory),
        cmocka_unit_test(writing_is_all_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
