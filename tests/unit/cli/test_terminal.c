/* Columns, tables, and the frames of the live block as the terminal gets them.
 *
 * `cli_test_terminal show|quiet|counts [HOSPITALS]` plays a short job to standard error instead, for
 * tests/e2e/test_terminal.py and to be looked at. */
#include "columns.h"
#include "live.h"
#include "table.h"
#include "terminal.h"

#include "base/mem.h"

#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const char *cut(const char *text, size_t columns_max, bool is_utf8, size_t *columns) {
    static char result[300];
    msfl_buffer b = {0};
    *columns = cli_put_columns(&b, text, columns_max, is_utf8);
    msfl_put8(&b, 0);
    assert_true(b.length <= sizeof result);
    memcpy(result, b.bytes, b.length);
    msfl_buffer_clear(&b);
    return result;
}

static void columns_are_counted_and_cut(void **state) {
    (void)state;
    size_t n;
    assert_int_equal(cli_columns("Zürich"), 6);
    assert_int_equal(cli_columns("e\u0301"), 1); /* e and a combining accent */
    assert_int_equal(cli_columns("東京"), 4);
    assert_int_equal(cli_columns(NULL), 0);
    assert_string_equal(cut("Harbour", 7, true, &n), "Harbour");
    assert_int_equal(n, 7);
    assert_string_equal(cut("Harbour", 6, true, &n), "Harbo…");
    assert_int_equal(n, 6);
    assert_string_equal(cut("Harbour", 6, false, &n), "Harbo~");
    assert_string_equal(cut("Harbour", 1, true, &n), "…");
    assert_string_equal(cut("Harbour", 0, true, &n), "");
    /* A wide character does not fit in half: five columns are four and the ellipsis. */
    assert_string_equal(cut("東京病院", 6, true, &n), "東京…");
    assert_int_equal(n, 5);
    assert_string_equal(cut("東京", 9, false, &n), "????");
    assert_int_equal(n, 4);
    assert_string_equal(cut("Zürich", 9, false, &n), "Z?rich");
}

static void nothing_steers_the_terminal(void **state) {
    (void)state;
    size_t n;
    assert_string_equal(cut("a\033[2Jb", 99, true, &n), "a\ufffd[2Jb");
    assert_int_equal(n, 6);
    assert_string_equal(cut("a\033[2Jb", 99, false, &n), "a?[2Jb");
    assert_string_equal(cut("a\r\n\tb\x7f", 99, false, &n), "a???b?");
    assert_string_equal(cut("a\xc2\x9b"
                            "31mb",
                            99, true, &n),
                        "a\ufffd31mb"); /* CSI in one character */
    assert_string_equal(cut("a\x9b"
                            "31mb",
                            99, true, &n),
                        "a\ufffd31mb"); /* and in one byte */
    assert_string_equal(cut("gpj.\u202egnp", 99, true, &n), "gpj.\ufffdgnp");
    assert_string_equal(cut("\xc0\xaf\xed\xa0\x80\xf5\xe6\x9d", 99, true, &n),
                        "\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd");
    assert_int_equal(n, 8);
}

static void tables_line_up(void **state) {
    (void)state;
    const char *headings[] = {"Training", ">AUC", "Note"};
    cli_table *table;
    assert_int_equal(cli_table_new(headings, 3, &table), MSFL_OK);
    cli_table_cell(table, "%s", "encrypted");
    cli_table_cell(table, "%.3f", 0.9784);
    cli_table_cell(table, "%s", "");
    cli_table_cell(table, "%s", "Zürich\n");
    cli_table_cell(table, "%s", "1");
    cli_table_cell(table, "%s", "alone");
    char text[500] = {0};
    FILE *file = fmemopen(text, sizeof text, "w");
    assert_non_null(file);
    cli_table_print(table, file);
    fclose(file);
    assert_string_equal(text, "Training     AUC  Note\n"
                              "-----------------------\n"
                              "encrypted  0.978\n"
                              "Zürich\ufffd        1  alone\n");
    cli_table_free(table);
    assert_int_equal(cli_table_new(headings, 0, &table), MSFL_ERR_LIMIT);
    assert_null(table);
    cli_table_free(NULL);
}

static void tables_survive_lack_of_memory(void **state) {
    (void)state;
    const char *headings[] = {"A", "B"};
    for (long k = 1;; k++) {
        msfl_alloc_fail_at(k);
        cli_table *table;
        msfl_status status = cli_table_new(headings, 2, &table);
        for (int i = 0; status == MSFL_OK && i < 20; i++)
            cli_table_cell(table, "cell %d", i);
        msfl_alloc_fail_at(0);
        if (status == MSFL_OK) {
            char text[2000] = {0};
            FILE *file = fmemopen(text, sizeof text, "w");
            assert_non_null(file);
            cli_table_print(table, file);
            fclose(file);
            bool is_short = strstr(text, "out of memory") != NULL;
            assert_true(is_short || strstr(text, "cell 19") != NULL);
            cli_table_free(table);
            if (!is_short) break;
        }
        assert_true(k < 200);
    }
}

/* What is written to `fd` while the terminal's size comes from the environment. */
static char *frame_of(live *l, int reader) {
    static char text[20000];
    live_end(l);
    ssize_t n = read(reader, text, sizeof text - 1);
    assert_true(n > 0);
    text[n] = 0;
    return text;
}

static void rows_fit_the_window(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    live_row rows[30];
    for (uint32_t i = 0; i < 30; i++) {
        rows[i] = (live_row){.name = i % 2 == 0 ? "Hôpital des Quinze-Vingts" : "東京",
                             .is_active = i < 20,
                             .is_done = i < 5,
                             .done = i * 1000,
                             .total = i == 7 ? 0 : 30000,
                             .loss = i % 3 == 0 ? NAN : 0.1 * i};
    }
    const live_block block = {"encrypted · round 3 of 8 · 0:42", rows, 30, 12000000000ULL};
    static const char *const widths[] = {"1", "20", "33", "47", "60", "80", "132", "500", "9999"};
    for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++) {
        for (int utf8 = 0; utf8 < 2; utf8++) {
            setenv("COLUMNS", widths[w], 1);
            setenv("LINES", w % 2 == 0 ? "50" : "12", 1);
            live l;
            live_init(&l, ends[1]);
            l.is_utf8 = utf8 == 1;
            l.has_colour = false;
            live_begin(&l);
            live_draw(&l, &block);
            size_t limit = strtoul(widths[w], NULL, 10);
            limit = (limit < 20 ? 20 : limit > 500 ? 500 : limit) - 1;
            assert_int_equal(l.n_lines, w % 2 == 0 ? 31 : 11);
            char *text = frame_of(&l, ends[0]);
            assert_true(strncmp(text, "\033[?25l\r\033[J", 10) == 0);
            char *end = strstr(text, "\033[?25h");
            assert_non_null(end);
            *end = 0;
            uint32_t lines = 0;
            for (char *line = strtok(text + 10, "\n"); line != NULL; line = strtok(NULL, "\n")) {
                size_t n = cli_columns(line);
                if (n > limit) fail_msg("%zu columns in a window of %s: %s", n, widths[w], line);
                assert_int_equal(n, l.columns[lines]);
                for (const char *p = line; utf8 == 0 && *p != 0; p++)
                    assert_in_range((unsigned char)*p, 0x20, 0x7e);
                lines++;
            }
            assert_int_equal(lines, l.n_lines);
            live_clear(&l);
        }
    }
    close(ends[0]);
    close(ends[1]);
}

static void a_folded_block_is_wiped_whole(void **state) {
    (void)state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    live_row row = {.name = "Harbour", .is_active = true, .done = 1, .total = 2, .loss = NAN};
    const live_block block = {"a title that fills some sixty columns of the window it stands in", &row, 1, 1};
    setenv("COLUMNS", "80", 1);
    setenv("LINES", "24", 1);
    live l;
    live_init(&l, ends[1]);
    l.has_colour = false;
    live_begin(&l);
    live_draw(&l, &block);
    (void)frame_of(&l, ends[0]);
    /* In a window of 30 columns the title takes three lines now, and the row two or three. */
    uint32_t expected = (l.columns[0] + 29U) / 30U + (l.columns[1] + 29U) / 30U;
    assert_true(expected >= 4);
    setenv("COLUMNS", "30", 1);
    live_begin(&l);
    char up[16];
    snprintf(up, sizeof up, "\033[%uA\033[J", expected);
    assert_non_null(strstr(frame_of(&l, ends[0]), up));
    live_clear(&l);
    close(ends[0]);
    close(ends[1]);
}

static void durations_read_well(void **state) {
    (void)state;
    char text[24];
    const struct {
        double seconds;
        const char *text;
    } cases[] = {{0, "0:00"}, {42.4, "0:42"}, {59.6, "1:00"}, {3725, "1:02:05"}, {NAN, "-:--"}, {1e9, "-:--"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        live_duration(cases[i].seconds, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void no_terminal_without_memory(void **state) {
    (void)state;
    const char *const names[] = {"a", "b"};
    for (long k = 1;; k++) {
        msfl_alloc_fail_at(k);
        cli_terminal *t = cli_terminal_new(names, 2, false);
        msfl_alloc_fail_at(0);
        if (t != NULL) {
            assert_true(k > 3);
            cli_terminal_free(t);
            break;
        }
    }
    const msfl_event event = {.kind = MSFL_EVENT_INFO, .track = "data", .client = -1, .loss = NAN, .text = "x"};
    cli_terminal_observe(NULL, &event);
    cli_terminal_free(NULL);
}

/* --- show --- */

static void tell(cli_terminal *t, msfl_event event) {
    cli_terminal_observe(t, &event);
}

static void pause_ms(long ms) {
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static int show(uint32_t n_clients, long step_ms, bool quiet, bool counts) {
    static const char *const three[] = {"North Hill", "Zürich\033[31m", "St. Anna"};
    cli_terminal *t = cli_terminal_new(n_clients == 3 ? three : NULL, n_clients, quiet);
    if (counts) cli_terminal_pace(t, 0);
    tell(t,
         (msfl_event){.kind = MSFL_EVENT_PHASE, .track = "data", .client = -1, .loss = NAN, .text = "reading images"});
    for (uint64_t i = 0; i <= 40; i++) {
        tell(t, (msfl_event){
                    .kind = MSFL_EVENT_PROGRESS, .track = "data", .client = -1, .done = i, .total = 40, .loss = NAN});
        pause_ms(step_ms);
    }
    tell(t, (msfl_event){.kind = MSFL_EVENT_WARNING,
                         .track = "data",
                         .client = -1,
                         .loss = NAN,
                         .text = "skipped: bad\033]0;owned\007.png: not a PNG file"});
    tell(
        t,
        (msfl_event){
            .kind = MSFL_EVENT_PHASE, .track = "encrypted", .client = -1, .loss = NAN, .text = "federated, encrypted"});
    for (uint32_t round = 1; round <= 2; round++) {
        for (uint64_t i = 1; i <= 50; i++) {
            for (uint32_t c = 0; c < n_clients; c++) {
                uint64_t speed = 1 + c % 3;
                if (i * speed > 100) continue;
                tell(t, (msfl_event){.kind = MSFL_EVENT_PROGRESS,
                                     .track = "encrypted",
                                     .client = (int32_t)c,
                                     .round = round,
                                     .n_rounds = 2,
                                     .done = i * speed,
                                     .total = 50 * speed,
                                     .loss = 0.7 / round - 0.005 * (double)i});
            }
            pause_ms(step_ms);
        }
        for (uint32_t c = 0; c < n_clients && c < 3; c++) {
            tell(t, (msfl_event){.kind = MSFL_EVENT_CLIENT_DONE,
                                 .track = "encrypted",
                                 .client = (int32_t)c,
                                 .round = round,
                                 .n_rounds = 2,
                                 .loss = NAN,
                                 .text = "87 kB sent"});
        }
        tell(t, (msfl_event){.kind = MSFL_EVENT_ROUND_DONE,
                             .track = "encrypted",
                             .client = -1,
                             .round = round,
                             .n_rounds = 2,
                             .loss = NAN,
                             .text = "validation loss 0.31, AUC 0.95, sum exact"});
        pause_ms(step_ms);
    }
    /* Two of three alone, one of them a round ahead. */
    for (int32_t c = 0; c < 2 && counts; c++) {
        tell(t, (msfl_event){.kind = MSFL_EVENT_PROGRESS,
                             .track = c == 0 ? "alone-1" : "alone-2",
                             .client = c,
                             .round = (uint32_t)c + 1,
                             .n_rounds = 4,
                             .done = 1,
                             .total = 2,
                             .loss = NAN});
    }
    cli_terminal_free(t);
    return 0;
}

int main(int argc, char **argv) {
    if (argc > 1) {
        uint32_t n = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 3;
        return show(n, argc > 3 ? strtol(argv[3], NULL, 10) : 5, strcmp(argv[1], "quiet") == 0,
                    strcmp(argv[1], "counts") == 0);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_counted_and_cut),
        cmocka_unit_test(nothing_steers_the_terminal),
        cmocka_unit_test(tables_line_up),
        cmocka_unit_test(tables_survive_lack_of_memory),
        cmocka_unit_test(rows_fit_the_window),
        cmocka_unit_test(a_folded_block_is_wiped_whole),
        cmocka_unit_test(durations_read_well),
        cmocka_unit_test(no_terminal_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
