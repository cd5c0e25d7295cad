#include "measure/cost.h"

#include "base/error.h"
#include "base/mem.h"
#include "measure/fit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { COSTS_BYTES_MAX = 4 << 20 };

/* A client's work grows with the values, and under pairwise masks with the others too; the coordinator adds every
 * client's upload, and opens and decodes once; a key holder answers for every client, or opens. What one scheme does
 * not need comes out as 0 or nearly so. */
static void terms_of(size_t party, msfl_bench_cost *out) {
    static const msfl_bench_cost terms[MSFL_BENCH_PARTIES] = {
        [MSFL_BENCH_CLIENT] = {.party = "client", .n_terms = 4, .n_power = {0, 1, 0, 1}, .v_power = {0, 0, 1, 1}},
        [MSFL_BENCH_COORDINATOR] = {.party = "coordinator",
                                    .n_terms = 4,
                                    .n_power = {0, 1, 0, 1},
                                    .v_power = {0, 0, 1, 1}},
        [MSFL_BENCH_KEY_HOLDER] = {.party = "key_holder", .n_terms = 3, .n_power = {0, 1, 0}, .v_power = {0, 0, 1}},
    };
    *out = terms[party];
}

static double term(const msfl_bench_cost *c, size_t k, double n, double v) {
    return (c->n_power[k] != 0 ? n : 1.0) * (c->v_power[k] != 0 ? v : 1.0);
}

double msfl_bench_cost_of(const msfl_bench_cost *cost, double n_clients, double n_values) {
    double sum = 0.0;
    for (size_t k = 0; k < cost->n_terms && k < MSFL_BENCH_TERMS_MAX; k++)
        sum += cost->seconds[k] * term(cost, k, n_clients, n_values);
    return sum;
}

static double *seconds_of(msfl_bench_round_row *row, size_t party) {
    return party == MSFL_BENCH_CLIENT        ? &row->client_s
           : party == MSFL_BENCH_COORDINATOR ? &row->coordinator_s
                                             : &row->key_holder_s;
}

static double *fitted_of(msfl_bench_round_row *row, size_t party) {
    return party == MSFL_BENCH_CLIENT        ? &row->client_fitted_s
           : party == MSFL_BENCH_COORDINATOR ? &row->coordinator_fitted_s
                                             : &row->key_holder_fitted_s;
}

static msfl_status fit_party(msfl_bench_round_row *rows, size_t n_rows, size_t party, double *x, double *y,
                             msfl_bench_cost *out) {
    terms_of(party, out);
    for (size_t i = 0; i < n_rows; i++) {
        for (size_t k = 0; k < out->n_terms; k++)
            x[i * out->n_terms + k] = term(out, k, rows[i].clients, (double)rows[i].values);
        y[i] = fmax(*seconds_of(&rows[i], party), 1e-9); /* what takes no time takes a nanosecond */
    }
    measure_fit fit;
    msfl_status status = measure_fit_run(x, y, n_rows, out->n_terms, &fit);
    if (status != MSFL_OK) return status;
    memcpy(out->seconds, fit.coefficients, out->n_terms * sizeof *out->seconds);
    out->r_squared = fit.r_squared;
    out->worst_residual = fit.worst_residual;
    return MSFL_OK;
}

msfl_status measure_costs_fit(msfl_bench_round_row *rows, size_t n_rows, msfl_bench_costs *out) {
    double *x = msfl_alloc(n_rows * MSFL_BENCH_TERMS_MAX, sizeof *x), *y = msfl_alloc(n_rows, sizeof *y);
    msfl_status status = x == NULL || y == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
    for (size_t party = 0; party < MSFL_BENCH_PARTIES && status == MSFL_OK; party++)
        status = fit_party(rows, n_rows, party, x, y, &out->parties[party]);
    for (size_t i = 0; i < n_rows; i++) {
        for (size_t party = 0; party < MSFL_BENCH_PARTIES; party++) {
            *fitted_of(&rows[i], party) =
                status == MSFL_OK ? msfl_bench_cost_of(&out->parties[party], rows[i].clients, (double)rows[i].values)
                                  : NAN;
        }
    }
    msfl_free(x);
    msfl_free(y);
    return status;
}

void msfl_bench_cost_formula(const msfl_bench_cost *cost, char *text, size_t size) {
    size_t at = 0;
    if (size > 0) text[0] = 0;
    for (size_t k = 0; k < cost->n_terms && k < MSFL_BENCH_TERMS_MAX && at < size; k++) {
        if (cost->seconds[k] == 0.0) continue;
        int n = snprintf(text + at, size - at, "%s%.3g%s%s", at == 0 ? "" : " + ", cost->seconds[k],
                         cost->n_power[k] != 0 ? " n" : "", cost->v_power[k] != 0 ? " V" : "");
        at += n > 0 ? (size_t)n : 0;
    }
    if (at == 0) snprintf(text, size, "0");
}

/* --- as JSON --- */

json_t *measure_costs_json(const msfl_bench_costs *costs) {
    json_t *parties = json_object();
    for (size_t p = 0; p < MSFL_BENCH_PARTIES && parties != NULL; p++) {
        const msfl_bench_cost *c = &costs->parties[p];
        char formula[200];
        msfl_bench_cost_formula(c, formula, sizeof formula);
        json_t *terms = json_array();
        for (size_t k = 0; k < c->n_terms; k++) {
            json_array_append_new(terms, json_pack("{s:i,s:i,s:o}", "clients_power", c->n_power[k], "values_power",
                                                   c->v_power[k], "seconds", msfl_json_real(c->seconds[k])));
        }
        json_object_set_new(parties, c->party,
                            json_pack("{s:s,s:o,s:o,s:o}", "formula", formula, "terms", terms, "r_squared",
                                      msfl_json_real(c->r_squared), "worst_residual",
                                      msfl_json_real(c->worst_residual)));
    }
    return json_pack("{s:s,s:i,s:o}", "scheme", costs->scheme, "bits", (int)costs->bits, "parties", parties);
}

static msfl_status malformed(const char *name, const char *what) {
    return msfl_fail(MSFL_ERR_FORMAT, "%s: %s; give the round.json that 'bench round --out' wrote", name, what);
}

static bool is_number(const json_t *v, double min, double max) {
    return json_is_number(v) && json_number_value(v) >= min && json_number_value(v) <= max;
}

static msfl_status read_party(const char *name, const json_t *parties, size_t party, msfl_bench_cost *out) {
    terms_of(party, out);
    const json_t *object = json_object_get(parties, out->party);
    const json_t *terms = json_object_get(object, "terms");
    if (!json_is_array(terms) || json_array_size(terms) != out->n_terms) {
        return malformed(name, "no cost model of each party, or one of other terms");
    }
    for (size_t k = 0; k < out->n_terms; k++) {
        const json_t *t = json_array_get(terms, k), *seconds = json_object_get(t, "seconds");
        const json_t *n = json_object_get(t, "clients_power"), *v = json_object_get(t, "values_power");
        if (!json_is_integer(n) || json_integer_value(n) != out->n_power[k] || !json_is_integer(v) ||
            json_integer_value(v) != out->v_power[k] || !is_number(seconds, 0.0, 1e9)) {
            return malformed(name, "a term of the cost model is not one of ours, or its seconds are not from 0 to 1e9");
        }
        out->seconds[k] = json_number_value(seconds);
    }
    const json_t *r2 = json_object_get(object, "r_squared"), *worst = json_object_get(object, "worst_residual");
    out->r_squared = json_is_number(r2) ? json_number_value(r2) : NAN;
    out->worst_residual = json_is_number(worst) ? json_number_value(worst) : NAN;
    return MSFL_OK;
}

msfl_status msfl_bench_costs_parse(const char *name, const char *text, size_t length, msfl_bench_costs *out) {
    memset(out, 0, sizeof *out);
    json_t *root;
    msfl_status status = msfl_json_parse(name, text, length, COSTS_BYTES_MAX, &root);
    if (status != MSFL_OK) return status;
    const json_t *costs = json_object_get(root, "costs");
    const json_t *scheme = json_object_get(costs, "scheme"), *bits = json_object_get(costs, "bits");
    if (!json_is_string(scheme) || json_string_length(scheme) >= sizeof out->scheme || !json_is_integer(bits) ||
        !is_number(bits, MSFL_VALUE_BITS_MIN, MSFL_VALUE_BITS_MAX)) {
        status = malformed(name, "no cost model in it");
    } else {
        snprintf(out->scheme, sizeof out->scheme, "%s", json_string_value(scheme));
        out->bits = (uint32_t)json_integer_value(bits);
    }
    for (size_t p = 0; p < MSFL_BENCH_PARTIES && status == MSFL_OK; p++)
        status = read_party(name, json_object_get(costs, "parties"), p, &out->parties[p]);
    json_decref(root);
    if (status != MSFL_OK) memset(out, 0, sizeof *out);
    return status;
}
