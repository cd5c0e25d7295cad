#include "base/mem.h"
#include "base/sodium.h"
#include "measure/clock.h"
#include "measure/fields.h"
#include "measure/lane.h"
#include "measure/party.h"
#include "measure/plot.h"
#include "scheme/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_OF(a) (sizeof(a) / sizeof(a)[0])

/* --- turns and texts --- */

static void the_best_turn_counts(void **state) {
    (void)state;
    measure_turns t = {0};
    assert_true(isnan(measure_best(&t)));
    measure_turn(&t, 2.0);
    measure_turn(&t, 0.5);
    measure_turn(&t, 1.0);
    assert_true(measure_best(&t) == 0.5 && t.total == 3.5 && t.n == 3);
    measure_turn(&t, 0.0);
    assert_true(measure_best(&t) == 1e-9);
}

typedef struct sample {
    char name[40];
    bool flag;
    uint32_t count, degree;
    uint64_t bytes;
    double value;
} sample;

static const measure_field fields[] = {
    MEASURE_FIELD(sample, MEASURE_TEXT, name), MEASURE_FIELD(sample, MEASURE_BOOL, flag),
    MEASURE_FIELD(sample, MEASURE_U32, count), MEASURE_FIELD(sample, MEASURE_SOME, degree),
    MEASURE_FIELD(sample, MEASURE_U64, bytes), MEASURE_FIELD(sample, MEASURE_REAL, value),
};

static const sample samples[] = {
    {"plain", true, 3, 0, 12, 0.25},
    {"a \"b\", c\nd", false, 0, 8192, UINT64_MAX, NAN},
    {"=1+1", false, 4294967295u, 1, (uint64_t)1 << 53, INFINITY},
};

static void rows_become_csv(void **state) {
    (void)state;
    msfl_buffer out = {0};
    char *text;
    measure_csv(&out, fields, N_OF(fields), samples, N_OF(samples), sizeof samples[0]);
    assert_int_equal(measure_text_take(&out, &text), MSFL_OK);
    assert_string_equal(text, "name,flag,count,degree,bytes,value\r\n"
                              "plain,1,3,,12,0.25\r\n"
                              "\"a \"\"b\"\", c\nd\",0,0,8192,,\r\n"
                              "\"'=1+1\",0,4294967295,1,9007199254740992,\r\n");
    msfl_bench_text_free(text);
}

static void rows_become_json(void **state) {
    (void)state;
    json_t *rows = measure_rows_json(fields, N_OF(fields), samples, N_OF(samples), sizeof samples[0]);
    assert_int_equal(json_array_size(rows), 3);
    const json_t *second = json_array_get(rows, 1);
    assert_string_equal(json_string_value(json_object_get(second, "name")), samples[1].name);
    assert_true(json_is_null(json_object_get(second, "value")) && json_is_null(json_object_get(second, "bytes")));
    assert_int_equal(json_integer_value(json_object_get(second, "degree")), 8192);
    assert_true(json_is_null(json_object_get(json_array_get(rows, 0), "degree")));
    assert_true(json_is_null(json_object_get(json_array_get(rows, 2), "value")));
    char *text;
    assert_int_equal(measure_json_take(rows, &text), MSFL_OK);
    msfl_bench_text_free(text);
    assert_int_equal(measure_json_take(NULL, &text), MSFL_ERR_MEMORY);
    assert_null(text);
}

static void values_are_told_in_units(void **state) {
    (void)state;
    static const struct {
        double v;
        plot_unit unit;
        const char *text;
    } cases[] = {
        {4.2e-6, PLOT_SECONDS, "4.20 µs"},
        {0.013, PLOT_SECONDS, "13.0 ms"},
        {2.5, PLOT_SECONDS, "2.50 s"},
        {1200, PLOT_SECONDS, "20 min"},
        {9000, PLOT_SECONDS, "2.5 h"},
        {5e-8, PLOT_SECONDS, "50 ns"},
        {88588, PLOT_BYTES, "88.6 kB"},
        {12, PLOT_BYTES, "12 B"},
        {999900, PLOT_BYTES, "1.00 MB"},
        {1.96e-8, PLOT_PLAIN, "2.0 × 10⁻⁸"},
        {0.25, PLOT_PLAIN, "0.25"},
        {0, PLOT_PLAIN, "0"},
        {-1, PLOT_BYTES, "–"},
        {NAN, PLOT_SECONDS, "–"},
    };
    for (size_t i = 0; i < N_OF(cases); i++)
        assert_string_equal(plot_value(cases[i].v, cases[i].unit).text, cases[i].text);
    assert_string_equal(plot_decade(-5, PLOT_SECONDS).text, "10 µs");
    assert_string_equal(plot_decade(3, PLOT_BYTES).text, "1 kB");
    assert_string_equal(plot_decade(-12, PLOT_PLAIN).text, "10⁻¹²");
}

static void axes_hold_their_values(void **state) {
    (void)state;
    static const double values[] = {NAN, 0.0, -3.0, 0.02, 700.0, INFINITY};
    plot_axis a = plot_axis_of(values, N_OF(values), 100, 200);
    assert_int_equal(a.low, -2);
    assert_int_equal(a.high, 3);
    assert_true(fabs(plot_at(&a, 1.0) - 140.0) < 1e-9);
    assert_true(plot_at(&a, 1e-9) == 100.0 && plot_at(&a, 1e9) == 200.0);
    a = plot_axis_of(values, 3, 0, 1);
    assert_true(a.high == a.low + 1);
    static const double one[] = {10.0};
    a = plot_axis_of(one, 1, 0, 1);
    assert_true(a.low == 0 && a.high == 2);
}

/* Elements open and close in order, attributes are quoted, and nothing stands loose. Not a parser: a check of ours. */
static void well_formed(const char *text) {
    const char *stack[64];
    size_t lengths[64], depth = 0;
    for (const char *p = text; *p != 0; p++) {
        if (*p == '&') {
            const char *semicolon = strchr(p, ';');
            assert_true(semicolon != NULL && semicolon - p <= 6);
        }
        if (*p != '<') continue;
        if (p[1] == '?') {
            p = strstr(p, "?>") + 1;
            continue;
        }
        bool closes = p[1] == '/';
        const char *name = p + 1 + closes;
        size_t length = strcspn(name, " />\n");
        const char *end = p;
        bool in_quotes = false;
        for (; *end != 0 && (in_quotes || *end != '>'); end++) {
            if (*end == '"') in_quotes = !in_quotes;
            assert_false(in_quotes && *end == '<');
        }
        assert_true(*end == '>');
        if (closes) {
            assert_true(depth > 0);
            depth--;
            assert_true(lengths[depth] == length && memcmp(stack[depth], name, length) == 0);
        } else if (end[-1] != '/') {
            assert_true(depth < N_OF(stack));
            stack[depth] = name;
            lengths[depth++] = length;
        }
        p = end;
    }
    assert_int_equal(depth, 0);
}

static void charts_are_well_formed(void **state) {
    (void)state;
    msfl_bench_compare_row rows[3] = {
        {.scheme = "<script>",
         .encrypts = true,
         .encrypt_ms = 1,
         .upload_bytes = 100,
         .add_ms = 2,
         .open_ms = 3,
         .memory_bytes = 5,
         .max_error = 1e-9,
         .error_bound = 2e-9},
        {.scheme = "b", .encrypt_ms = 1e7, .max_error = 0.0},
        {.scheme = "c", .left_out = "it \"would\" take <long>", .encrypt_ms = NAN, .upload_bytes = UINT64_MAX},
    };
    const msfl_bench_compare compare = {.machine = {.processor = "A & B <cpu>", .kernel = "generic"},
                                        .model = "m<&>\"'",
                                        .values = 7,
                                        .bits = 8,
                                        .clients = 3,
                                        .rows = rows,
                                        .n_rows = 3};
    char *text;
    assert_int_equal(msfl_bench_compare_svg(&compare, &text), MSFL_OK);
    well_formed(text);
    assert_null(strstr(text, "<script"));
    assert_non_null(strstr(text, "&lt;script&gt;"));
    msfl_bench_text_free(text);
    assert_int_equal(msfl_bench_compare_json(&compare, &text), MSFL_OK);
    msfl_bench_text_free(text);
    msfl_bench_round_row round_rows[] = {{.model = "</svg>", .clients = 3, .client_s = 1e-3, .client_fitted_s = 2e-3}};
    msfl_bench_round round = {
        .machine = compare.machine, .scheme = "packed", .rows = round_rows, .n_rows = 1, .is_fitted = true};
    assert_int_equal(msfl_bench_round_svg(&round, &text), MSFL_OK);
    well_formed(text);
    assert_non_null(strstr(text, "&lt;/svg&gt;"));
    msfl_bench_text_free(text);
    round.is_fitted = false;
    assert_int_equal(msfl_bench_round_svg(&round, &text), MSFL_ERR_MISSING);
    assert_null(text);
}

/* --- subjects --- */

static msfl_bench_subject *subject_of(const char *model, uint64_t n_values) {
    msfl_bench_subject *s;
    if (msfl_bench_subject_new(model, n_values, &s) != MSFL_OK) fail_msg("%s", msfl_error_message());
    return s;
}

static void published_networks_have_their_sizes(void **state) {
    (void)state;
    msfl_bench_subject *s = subject_of("resnet50", 0);
    assert_int_equal(msfl_bench_subject_values(s), 25557032);
    assert_int_equal(s->n_tensors, 161);
    msfl_bench_subject_free(s);
    s = subject_of("bert-base", 0);
    assert_int_equal(msfl_bench_subject_values(s), 109482240);
    assert_int_equal(s->n_tensors, 199);
    msfl_bench_subject_free(s);
    s = subject_of("cnn-small", 0);
    assert_int_equal(msfl_bench_subject_values(s), 24434);
    assert_string_equal(msfl_bench_subject_name(s), "cnn-small");
    msfl_bench_subject_free(s);
    assert_int_equal(msfl_bench_subject_new("cnn-big", 0, &s), MSFL_ERR_MISSING);
    assert_null(s);
    assert_non_null(strstr(msfl_error_message(), "resnet50"));
    assert_int_equal(msfl_bench_subject_new(NULL, 0, &s), MSFL_ERR_USAGE);
    assert_int_equal(msfl_bench_subject_new("cnn-small", 5, &s), MSFL_ERR_USAGE);
    assert_int_equal(msfl_bench_subject_new(NULL, ((uint64_t)1 << 28) + 1, &s), MSFL_ERR_USAGE);
}

static void values_are_repeatable(void **state) {
    (void)state;
    msfl_bench_subject *s = subject_of(NULL, 4096);
    float whole[4096], piece[1000], other[4096];
    measure_values(s, 1, 0, 4096, whole);
    measure_values(s, 1, 777, 1000, piece);
    measure_values(s, 2, 0, 4096, other);
    assert_memory_equal(whole + 777, piece, sizeof piece);
    double sum = 0, square = 0, cross = 0;
    for (int i = 0; i < 4096; i++) {
        assert_true(fabsf(whole[i]) < s->clip);
        sum += whole[i];
        square += (double)whole[i] * whole[i];
        cross += (double)whole[i] * other[i];
    }
    assert_true(fabs(sum / 4096) < 0.004 && fabs(sqrt(square / 4096) - 0.05) < 0.003);
    assert_true(fabs(cross / square) < 0.1);
    msfl_bench_subject_free(s);
}

/* --- sums --- */

static const msfl_bench_machine machine = {.memcpy_gbps = 10, .aes_ctr_gbps = 5};

static msfl_status lane_of(const char *scheme, const msfl_bench_subject *s, uint32_t threads, msfl_bench_he_row *row) {
    measure_lane_request request = {
        .n_clients = 4, .value_bits = 12, .n_threads = threads, .seconds = 1e-4, .subject = s};
    if (strcmp(scheme, "packed") == 0) request.ring_degree = 2048;
    assert_int_equal(msfl_scheme_find(scheme, &request.scheme), MSFL_OK);
    return measure_lane_run(&request, NULL, row);
}

static void every_scheme_runs_in_a_lane(void **state) {
    (void)state;
    msfl_bench_subject *s = subject_of(NULL, 3000);
    for (const msfl_scheme *const *scheme = msfl_schemes(); *scheme != NULL; scheme++) {
        const char *name = msfl_scheme_name(*scheme);
        if (strcmp(name, "paillier") == 0) continue; /* its key alone takes seconds under the sanitizers */
        for (uint32_t threads = 1; threads <= 2; threads++) {
            msfl_bench_he_row row;
            if (lane_of(name, s, threads, &row) != MSFL_OK) fail_msg("%s: %s", name, msfl_error_message());
            assert_string_equal(row.scheme, name);
            assert_true(row.encrypt_mvps > 0 && row.fold_mvps > 0 && row.open_mvps > 0 && row.bytes_per_value > 1);
            assert_true(row.clients_measured >= 2 && row.max_error <= row.error_bound && row.threads == threads);
            measure_lane_relate(&row, &machine);
            assert_true(fabs(row.fold_vs_memcpy - row.fold_mvps * row.bytes_per_value * 1e-3 / 10) <
                        1e-9 * row.fold_vs_memcpy);
            /* The point of streaming: a further client asks for no further memory. */
            bool interactive = (msfl_scheme_traits(*scheme) & MSFL_SCHEME_INTERACTIVE) != 0;
            if (!interactive && row.extra_memory_per_client != 0.0) {
                fail_msg("%s: %g bytes a client", name, row.extra_memory_per_client);
            }
        }
    }
    msfl_bench_subject_free(s);
}

static void a_lane_fails_cleanly_at_every_allocation(void **state) {
    (void)state;
    static const char *const schemes[] = {"packed", "plain"};
    msfl_bench_subject *s = subject_of(NULL, 100);
    for (size_t i = 0; i < N_OF(schemes); i++) {
        msfl_bench_he_row row;
        long k = 1;
        for (;; k++) {
            msfl_alloc_fail_at(k);
            msfl_status status = lane_of(schemes[i], s, 1, &row);
            msfl_alloc_fail_at(0);
            if (status == MSFL_OK) break;
            assert_int_equal(status, MSFL_ERR_MEMORY);
            assert_true(k < 1000);
        }
        assert_true(k > 10);
    }
    msfl_bench_subject_free(s);
}

static void sessions_are_summed_and_checked(void **state) {
    (void)state;
    msfl_bench_subject *s = subject_of(NULL, 5000);
    static const char *const schemes[] = {"packed", "pairwise", "plain"};
    for (size_t i = 0; i < N_OF(schemes); i++) {
        measure_party_request request = {.n_clients = 3, .n_run = 3, .value_bits = 10};
        assert_int_equal(msfl_scheme_find(schemes[i], &request.scheme), MSFL_OK);
        for (int same = 0; same < 2; same++) {
            measure_party *p;
            request.same_values = same == 1;
            assert_int_equal(measure_party_new(&request, s, NULL, &p), MSFL_OK);
            for (int turn = 0; turn < 2; turn++) {
                if (measure_party_sum(p) != MSFL_OK) fail_msg("%s: %s", schemes[i], msfl_error_message());
            }
            const measure_party_times *t = measure_party_times_borrow(p);
            assert_true(t->encrypt.n == 6 && t->add.n == 6 && t->open.n == 2 && t->memory_bytes > 0);
            assert_true(t->max_error > 0 && t->max_error <= t->error_bound);
            measure_party_free(p);
        }
    }
    measure_party_request request = {.n_clients = 3, .n_run = 1, .value_bits = 10};
    measure_party *p;
    assert_int_equal(msfl_scheme_find("packed", &request.scheme), MSFL_OK);
    assert_int_equal(measure_party_new(&request, s, NULL, &p), MSFL_ERR_USAGE);
    request.n_run = 2;
    request.limit_s = 1e-9;
    assert_int_equal(measure_party_new(&request, s, NULL, &p), MSFL_OK);
    assert_int_equal(measure_party_sum(p), MSFL_ERR_LIMIT);
    measure_party_free(p);
    msfl_bench_subject_free(s);
}

/* A scheme whose last opened total is one too large: the difference is far below what a mean would show. */
static msfl_status open_wrongly(const void *setup, const void *keys, const uint8_t *label, uint64_t j,
                                const uint8_t *bytes, size_t length, uint32_t *n_addends, uint64_t *totals) {
    msfl_status status = msfl_scheme_plain.pair->decrypt(setup, keys, label, j, bytes, length, n_addends, totals);
    totals[msfl_scheme_plain.chunk_values(setup, j) - 1]++;
    return status;
}

static void a_wrong_sum_is_no_figure(void **state) {
    (void)state;
    msfl_pair_ops ops = *msfl_scheme_plain.pair;
    ops.decrypt = open_wrongly;
    msfl_scheme liar = msfl_scheme_plain;
    liar.name = "liar";
    liar.pair = &ops;
    msfl_bench_subject *s = subject_of(NULL, 40000); /* more than one chunk */
    const measure_lane_request lane = {
        .scheme = &liar, .n_clients = 3, .value_bits = 24, .n_threads = 1, .seconds = 1e-4, .subject = s};
    msfl_bench_he_row row;
    assert_int_equal(measure_lane_run(&lane, NULL, &row), MSFL_ERR_CRYPTO);
    assert_non_null(strstr(msfl_error_message(), "wrong in chunk 0"));
    const measure_party_request request = {.scheme = &liar, .n_clients = 3, .n_run = 3, .value_bits = 24};
    measure_party *p;
    assert_int_equal(measure_party_new(&request, s, NULL, &p), MSFL_OK);
    assert_int_equal(measure_party_sum(p), MSFL_ERR_CRYPTO);
    measure_party_free(p);
    msfl_bench_subject_free(s);
}

static void a_stop_is_heard(void **state) {
    (void)state;
    static const volatile int cancel = 1;
    const msfl_observer observer = {.cancel = &cancel};
    const msfl_bench_he_options he = {
        .scheme = "packed", .n_clients = 2, .n_values = 100, .seconds = 1, .n_threads = 1};
    msfl_bench_he *report;
    assert_int_equal(msfl_bench_he_run(&he, &observer, &report), MSFL_ERR_CANCELLED);
    assert_null(report);
}

static void options_are_checked(void **state) {
    (void)state;
    msfl_bench_he *he;
    msfl_bench_he_options o = {.n_clients = 1, .seconds = 1};
    assert_int_equal(msfl_bench_he_run(&o, NULL, &he), MSFL_ERR_USAGE);
    o = (msfl_bench_he_options){.n_clients = 2, .seconds = NAN};
    assert_int_equal(msfl_bench_he_run(&o, NULL, &he), MSFL_ERR_USAGE);
    o = (msfl_bench_he_options){.scheme = "rot13", .n_clients = 2, .seconds = 1};
    assert_int_equal(msfl_bench_he_run(&o, NULL, &he), MSFL_ERR_USAGE);
    msfl_bench_subject *s = subject_of(NULL, 10);
    msfl_bench_compare *compare;
    msfl_bench_compare_options c = {.scheme = "rot13", .n_clients = 2, .value_bits = 8};
    assert_int_equal(msfl_bench_compare_run(&c, s, NULL, &compare), MSFL_ERR_USAGE);
    c = (msfl_bench_compare_options){.n_clients = 1, .value_bits = 8};
    assert_int_equal(msfl_bench_compare_run(&c, s, NULL, &compare), MSFL_ERR_USAGE);
    msfl_bench_layers *layers;
    assert_int_equal(msfl_bench_layers_run(&c, s, NULL, &layers), MSFL_ERR_USAGE);
    msfl_bench_round *round;
    const msfl_bench_subject *list[] = {s};
    msfl_bench_round_options r = {.scheme = "packed", .value_bits = 8, .clients = {1}, .n_clients = 1};
    assert_int_equal(msfl_bench_round_run(&r, list, 1, NULL, &round), MSFL_ERR_USAGE);
    r.n_clients = 0;
    assert_int_equal(msfl_bench_round_run(&r, list, 1, NULL, &round), MSFL_ERR_USAGE);
    assert_null(round);
    msfl_bench_subject_free(s);
}

static int start(void **state) {
    (void)state;
    return msfl_crypto_init() == MSFL_OK ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_turn_counts),
        cmocka_unit_test(rows_become_csv),
        cmocka_unit_test(rows_become_json),
        cmocka_unit_test(values_are_told_in_units),
        cmocka_unit_test(axes_hold_their_values),
        cmocka_unit_test(charts_are_well_formed),
        cmocka_unit_test(published_networks_have_their_sizes),
        cmocka_unit_test(values_are_repeatable),
        cmocka_unit_test(every_scheme_runs_in_a_lane),
        cmocka_unit_test(a_lane_fails_cleanly_at_every_allocation),
        cmocka_unit_test(sessions_are_summed_and_checked),
        cmocka_unit_test(a_wrong_sum_is_no_figure),
        cmocka_unit_test(a_stop_is_heard),
        cmocka_unit_test(options_are_checked),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
