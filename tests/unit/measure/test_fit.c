#include "base/mem.h"
#include "measure/cost.h"
#include "measure/fit.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N_OF(a) (sizeof(a) / sizeof(a)[0])

static void close_to(double got, double wanted, double relative) {
    if (fabs(got - wanted) > relative * fabs(wanted)) fail_msg("%.17g is not %.17g", got, wanted);
}

/* A grid of n and V over many magnitudes, with costs that a machine might have. */
static void exact_costs_are_recovered(void **state) {
    (void)state;
    static const double clients[] = {2, 3, 10, 100}, values[] = {1e3, 24434, 1e6, 2.56e7};
    static const double cost[4] = {2e-4, 3e-5, 1.5e-8, 4e-9};
    double x[16 * 4], y[16];
    size_t n = 0;
    for (size_t i = 0; i < 4; i++) {
        for (size_t k = 0; k < 4; k++, n++) {
            const double row[4] = {1, clients[i], values[k], clients[i] * values[k]};
            memcpy(x + 4 * n, row, sizeof row);
            y[n] = 0;
            for (size_t t = 0; t < 4; t++)
                y[n] += cost[t] * row[t];
        }
    }
    measure_fit fit;
    assert_int_equal(measure_fit_run(x, y, n, 4, &fit), MSFL_OK);
    for (size_t t = 0; t < 4; t++)
        close_to(fit.coefficients[t], cost[t], 1e-9);
    close_to(fit.r_squared, 1.0, 1e-12);
    assert_true(fit.worst_residual < 1e-9);
}

/* One term, three points: minimise sum ((c x - y) / y)^2, that is c = sum(x/y) / sum(x^2/y^2). */
static void least_squares_are_relative(void **state) {
    (void)state;
    static const double x[] = {1, 2, 4}, y[] = {1, 3, 3};
    double top = 1.0 + 2.0 / 3 + 4.0 / 3, bottom = 1.0 + 4.0 / 9 + 16.0 / 9, c = top / bottom;
    measure_fit fit;
    assert_int_equal(measure_fit_run(x, y, 3, 1, &fit), MSFL_OK);
    close_to(fit.coefficients[0], c, 1e-14);
    close_to(fit.worst_residual, fmax(fabs(c - 1), fmax(fabs(2 * c - 3) / 3, fabs(4 * c - 3) / 3)), 1e-12);
    double rest = (c - 1) * (c - 1) + pow((2 * c - 3) / 3, 2) + pow((4 * c - 3) / 3, 2);
    double constant = (1 + 2.0 / 3) / (1 + 2.0 / 9);
    double constant_rest = pow(constant - 1, 2) + 2 * pow((constant - 3) / 3, 2);
    close_to(fit.r_squared, 1 - rest / constant_rest, 1e-12);
}

/* y = 3 x - 0.5 would ask for a negative constant: it is set to 0, and the slope is the best one alone. */
static void costs_are_not_negative(void **state) {
    (void)state;
    static const double x[] = {1, 1, 1, 2, 1, 4}, y[] = {2.5, 5.5, 11.5};
    double top = 0, bottom = 0;
    for (size_t i = 0; i < 3; i++) {
        top += x[2 * i + 1] / y[i];
        bottom += x[2 * i + 1] * x[2 * i + 1] / (y[i] * y[i]);
    }
    measure_fit fit;
    assert_int_equal(measure_fit_run(x, y, 3, 2, &fit), MSFL_OK);
    assert_true(fit.coefficients[0] == 0.0);
    close_to(fit.coefficients[1], top / bottom, 1e-12);
}

static void what_cannot_be_told_apart_is_refused(void **state) {
    (void)state;
    measure_fit fit;
    static const double one_size[] = {1, 5, 1, 5, 1, 5}, y[] = {1, 2, 3};
    assert_int_equal(measure_fit_run(one_size, y, 3, 2, &fit), MSFL_ERR_NUMERIC);
    assert_true(fit.coefficients[0] == 0.0 && fit.coefficients[1] == 0.0);
    assert_non_null(strstr(msfl_error_message(), "two sizes"));
    static const double multiples[] = {1, 2, 2, 4, 7, 14};
    assert_int_equal(measure_fit_run(multiples, y, 3, 2, &fit), MSFL_ERR_NUMERIC);
    static const double few[] = {1, 2, 3};
    assert_int_equal(measure_fit_run(few, y, 1, 3, &fit), MSFL_ERR_NUMERIC);
    static const double zeros[] = {0, 1, 0, 2};
    assert_int_equal(measure_fit_run(zeros, y, 2, 2, &fit), MSFL_ERR_NUMERIC);
    assert_int_equal(measure_fit_run(NULL, NULL, 0, 1, &fit), MSFL_ERR_NUMERIC);
    assert_int_equal(measure_fit_run(few, y, 3, 0, &fit), MSFL_ERR_USAGE);
    assert_int_equal(measure_fit_run(few, y, 3, MEASURE_TERMS_MAX + 1, &fit), MSFL_ERR_USAGE);
    static const double bad[] = {1, NAN, 2}, nothing[] = {1, 0, 2};
    assert_int_equal(measure_fit_run(bad, y, 3, 1, &fit), MSFL_ERR_USAGE);
    assert_int_equal(measure_fit_run(few, nothing, 3, 1, &fit), MSFL_ERR_USAGE);
    msfl_alloc_fail_at(1);
    assert_int_equal(measure_fit_run(few, y, 3, 1, &fit), MSFL_ERR_MEMORY);
    msfl_alloc_fail_at(0);
}

/* --- rounds --- */

static msfl_bench_round_row row_of(uint32_t n, uint64_t v) {
    double dn = n, dv = (double)v;
    return (msfl_bench_round_row){.clients = n,
                                  .values = v,
                                  .client_s = 1e-4 + 2e-8 * dv,
                                  .coordinator_s = 3e-4 + 1e-5 * dn + 5e-9 * dv + 4e-9 * dn * dv,
                                  .key_holder_s = 1e-5 + 1e-4 * dn};
}

static msfl_bench_costs fitted(void) {
    msfl_bench_round_row rows[] = {row_of(3, 1000), row_of(10, 1000), row_of(3, 1000000), row_of(10, 1000000),
                                   row_of(5, 50000)};
    msfl_bench_costs costs = {.scheme = "packed", .bits = 16};
    assert_int_equal(measure_costs_fit(rows, N_OF(rows), &costs), MSFL_OK);
    for (size_t i = 0; i < N_OF(rows); i++)
        close_to(rows[i].coordinator_fitted_s, rows[i].coordinator_s, 1e-9);
    return costs;
}

static void a_round_is_fitted_and_told(void **state) {
    (void)state;
    msfl_bench_costs costs = fitted();
    msfl_bench_round_row other = row_of(50, 123456789);
    close_to(msfl_bench_cost_of(&costs.parties[MSFL_BENCH_COORDINATOR], 50, 123456789), other.coordinator_s, 1e-6);
    close_to(msfl_bench_cost_of(&costs.parties[MSFL_BENCH_CLIENT], 50, 123456789), other.client_s, 1e-6);
    const msfl_bench_cost cost = {.n_terms = 3, .n_power = {0, 0, 1}, .v_power = {0, 1, 1}, .seconds = {0.5, 0, 2e-9}};
    char text[200], small[6];
    msfl_bench_cost_formula(&cost, text, sizeof text);
    assert_string_equal(text, "0.5 + 2e-09 n V");
    msfl_bench_cost_formula(&cost, small, sizeof small);
    assert_string_equal(small, "0.5 +");
    const msfl_bench_cost nothing = {.n_terms = 1};
    msfl_bench_cost_formula(&nothing, text, sizeof text);
    assert_string_equal(text, "0");
    msfl_bench_round_row same[] = {row_of(3, 1000), row_of(3, 1000)};
    assert_int_equal(measure_costs_fit(same, 2, &costs), MSFL_ERR_NUMERIC);
    assert_true(isnan(same[0].client_fitted_s));
}

static void costs_survive_a_file(void **state) {
    (void)state;
    msfl_bench_costs costs = fitted(), again;
    const msfl_bench_round report = {.scheme = "packed", .bits = 16, .is_fitted = true, .costs = costs};
    char *text = NULL;
    assert_int_equal(msfl_bench_round_json(&report, &text), MSFL_OK);
    assert_int_equal(msfl_bench_costs_parse("t", text, strlen(text), &again), MSFL_OK);
    assert_string_equal(again.scheme, "packed");
    assert_int_equal(again.bits, 16);
    for (size_t p = 0; p < MSFL_BENCH_PARTIES; p++) {
        for (size_t k = 0; k < costs.parties[p].n_terms; k++) {
            if (costs.parties[p].seconds[k] != 0.0)
                close_to(again.parties[p].seconds[k], costs.parties[p].seconds[k], 1e-12);
        }
    }
    /* Whatever is cut off or changed is refused. */
    assert_int_equal(msfl_bench_costs_parse("t", text, strlen(text) / 2, &again), MSFL_ERR_FORMAT);
    assert_int_equal(msfl_bench_costs_parse("t", "{}", 2, &again), MSFL_ERR_FORMAT);
    static const char *const changes[][2] = {
        {"\"bits\": 16", "\"bits\": 99"},
        {"\"client\"", "\"clowns\""},
        {"\"clients_power\": 0", "\"clients_power\": 7"},
        {"\"seconds\": ", "\"seconds\": -"},
        {"\"terms\": [", "\"terms\": [1,"},
        {"\"scheme\": \"packed\"", "\"scheme\": 1234567"},
    };
    const char *costs_at = strstr(text, "\"costs\"");
    assert_non_null(costs_at);
    for (size_t i = 0; i < N_OF(changes); i++) {
        const char *at = strstr(costs_at, changes[i][0]);
        assert_non_null(at);
        char *bad = msfl_format("%.*s%s%s", (int)(at - text), text, changes[i][1], at + strlen(changes[i][0]));
        assert_non_null(bad);
        if (msfl_bench_costs_parse("t", bad, strlen(bad), &again) != MSFL_ERR_FORMAT) fail_msg("accepted: %s", bad);
        assert_int_equal(again.bits, 0);
        msfl_free(bad);
    }
    msfl_bench_text_free(text);
}

static void a_round_is_predicted(void **state) {
    (void)state;
    msfl_bench_costs costs = fitted();
    msfl_bench_prediction p;
    assert_int_equal(msfl_bench_predict(&costs, 10, 1000000, 100.0, &p), MSFL_OK);
    assert_int_equal(p.download_bytes, 4000000);
    assert_int_equal(p.coordinator_in_bytes, 10 * p.upload_bytes);
    close_to(p.client_upload_s, (double)p.upload_bytes * 8 / 100e6, 1e-12);
    close_to(p.round_s, p.client_s + p.coordinator_in_s + p.coordinator_s + p.key_holder_s + p.coordinator_out_s,
             1e-12);
    /* Bytes as the scheme plans them. */
    const msfl_params_request request = {10, 16, 1000003, 128, 0}; /* three digits of the sample count before them */
    msfl_params params;
    msfl_params_facts facts;
    assert_int_equal(msfl_params_plan(&request, &params), MSFL_OK);
    msfl_params_describe(&params, 1000003, &facts);
    /* Beside the ciphertext: a share of the key for each of ten members, and little else. */
    const uint64_t shares = 10 * facts.key_share_bytes;
    assert_true(p.upload_bytes >= facts.ciphertext_bytes && p.upload_bytes < facts.ciphertext_bytes + shares + 100000);
    assert_int_equal(msfl_bench_predict(&costs, 10, 1000, 0.0, &p), MSFL_ERR_USAGE);
    assert_int_equal(msfl_bench_predict(&costs, 10, 0, 1.0, &p), MSFL_ERR_USAGE);
    assert_int_equal(msfl_bench_predict(&costs, 0, 1000, 1.0, &p), MSFL_ERR_USAGE);
    snprintf(costs.scheme, sizeof costs.scheme, "rot13");
    assert_int_equal(msfl_bench_predict(&costs, 10, 1000, 1.0, &p), MSFL_ERR_USAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_costs_are_recovered),  cmocka_unit_test(least_squares_are_relative),
        cmocka_unit_test(costs_are_not_negative),     cmocka_unit_test(what_cannot_be_told_apart_is_refused),
        cmocka_unit_test(a_round_is_fitted_and_told), cmocka_unit_test(costs_survive_a_file),
        cmocka_unit_test(a_round_is_predicted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
