/* `bench compare`: every scheme on the same floats of the same clients. */
#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "measure/machine.h"
#include "measure/party.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const measure_field row_fields[] = {
    MEASURE_FIELD(msfl_bench_compare_row, MEASURE_TEXT, scheme),
    MEASURE_FIELD(msfl_bench_compare_row, MEASURE_BOOL, encrypts),
    MEASURE_FIELD(msfl_bench_compare_row, MEASURE_REAL, security_bits),
    MEASURE_FIELD(msfl_bench_compare_row, MEASURE_REAL, keys_ms),
    MEASURE_FIELD(msfl_bench_compare_row, MEASURE_REAL, session_ms),
    MEASURE_FIELD(msfl_bench_compare_row, MEASURE_REAL, encrypt_ms),
    MEASURE_FIELD(msfl_bench_compare_row, MEASURE_U64, upload_bytes),
    MEASURE_FIELD(msfl_bench_compare_row, MEASURE_U64, trailer_bytes),
    MEASURE_FIELD(msfl_bench_compare_row, MEASURE_U64, setup_bytes),
    MEASURE_FIELD(msfl_bench_compare_row, MEASURE_REAL, ratio_to_float32),
    MEASURE_FIELD(msfl_bench_compare_row, MEASURE_REAL, add_ms),
    MEASURE_FIELD(msfl_bench_compare_row, MEASURE_REAL, close_ms),
    MEASURE_FIELD(msfl_bench_compare_row, MEASURE_REAL, open_ms),
    MEASURE_FIELD(msfl_bench_compare_row, MEASURE_U64, memory_bytes),
    MEASURE_FIELD(msfl_bench_compare_row, MEASURE_REAL, max_error),
    MEASURE_FIELD(msfl_bench_compare_row, MEASURE_REAL, error_bound),
    MEASURE_FIELD(msfl_bench_compare_row, MEASURE_TEXT, parameters),
    MEASURE_FIELD(msfl_bench_compare_row, MEASURE_TEXT, left_out),
};

enum { N_FIELDS = sizeof row_fields / sizeof row_fields[0] };

static void fill(msfl_bench_compare_row *row, const measure_party *p, uint64_t n_values) {
    const measure_party_times *t = measure_party_times_borrow(p);
    const msfl_scheme_facts *f = measure_party_facts(p);
    snprintf(row->parameters, sizeof row->parameters, "%.*s", (int)sizeof row->parameters - 1, f->parameters);
    row->security_bits = f->security_bits;
    row->keys_ms = t->keys_s * 1e3;
    row->session_ms = measure_best(&t->session) * 1e3;
    row->encrypt_ms = (measure_best(&t->quantise) + measure_best(&t->encrypt) + measure_best(&t->seal)) * 1e3;
    row->upload_bytes = f->upload_bytes;
    row->trailer_bytes = f->trailer_bytes;
    row->setup_bytes = f->setup_bytes;
    row->ratio_to_float32 = (double)(f->upload_bytes + f->trailer_bytes) / (4.0 * (double)n_values);
    row->add_ms = measure_best(&t->add) * 1e3;
    row->close_ms = measure_best(&t->close) * 1e3;
    row->open_ms = (measure_best(&t->open) + measure_best(&t->decode)) * 1e3;
    row->memory_bytes = t->memory_bytes;
    row->max_error = t->max_error;
    row->error_bound = t->error_bound;
}

static void leave_out(msfl_bench_compare_row *row, const msfl_observer *observer, const char *why) {
    snprintf(row->left_out, sizeof row->left_out, "%s", why);
    row->security_bits = row->keys_ms = row->session_ms = row->encrypt_ms = row->ratio_to_float32 = NAN;
    row->add_ms = row->close_ms = row->open_ms = row->max_error = row->error_bound = NAN;
    row->upload_bytes = row->trailer_bytes = row->setup_bytes = row->memory_bytes = UINT64_MAX;
    msfl_observe_text(observer, MSFL_EVENT_WARNING, row->scheme, "left out: %s", why);
}

static msfl_status one_scheme(const msfl_bench_compare_options *o, const msfl_scheme *scheme,
                              const msfl_bench_subject *subject, const msfl_observer *observer,
                              msfl_bench_compare_row *row) {
    const measure_party_request request = {.scheme = scheme,
                                           .n_clients = o->n_clients,
                                           .n_run = o->n_clients,
                                           .value_bits = o->value_bits,
                                           .limit_s = o->seconds};
    measure_party *p = NULL;
    snprintf(row->scheme, sizeof row->scheme, "%s", msfl_scheme_name(scheme));
    row->encrypts = (msfl_scheme_traits(scheme) & MSFL_SCHEME_ENCRYPTS) != 0;
    msfl_observe_text(observer, MSFL_EVENT_PHASE, row->scheme, "%s", msfl_scheme_summary(scheme));
    uint64_t begun = msfl_now_ns();
    msfl_status status = measure_party_new(&request, subject, observer, &p);
    /* Small models are summed again while it costs little, so that one slow moment does not stand for all. */
    for (int turn = 0; status == MSFL_OK && (turn == 0 || (turn < 20 && measure_since(begun) < 1.0)); turn++)
        status = measure_party_sum(p);
    if (status == MSFL_OK) fill(row, p, msfl_bench_subject_values(subject));
    bool cannot = status == MSFL_ERR_PARAMS || status == MSFL_ERR_USAGE || status == MSFL_ERR_LIMIT ||
                  status == MSFL_ERR_UNSUPPORTED;
    if (cannot && o->scheme == NULL) {
        leave_out(row, observer, msfl_error_message());
        status = MSFL_OK;
    }
    measure_party_free(p);
    return status;
}

msfl_status msfl_bench_compare_run(const msfl_bench_compare_options *options, const msfl_bench_subject *subject,
                                   const msfl_observer *observer, msfl_bench_compare **out) {
    *out = NULL;
    const msfl_scheme *one = NULL;
    msfl_status status = options->scheme != NULL ? msfl_scheme_find(options->scheme, &one) : MSFL_OK;
    if (status != MSFL_OK) return status;
    if (options->n_clients < 2) return msfl_fail(MSFL_ERR_USAGE, "a sum is measured over 2 clients or more");
    size_t n = 0;
    while (msfl_schemes()[n] != NULL)
        n++;
    msfl_bench_compare *report = msfl_alloc(1, sizeof *report);
    if (report == NULL) return MSFL_ERR_MEMORY;
    snprintf(report->model, sizeof report->model, "%s", msfl_bench_subject_name(subject));
    report->values = msfl_bench_subject_values(subject);
    report->bits = options->value_bits;
    report->clients = options->n_clients;
    report->rows = msfl_alloc(n, sizeof *report->rows);
    status = report->rows == NULL ? MSFL_ERR_MEMORY : msfl_bench_machine_measure(MEASURE_MACHINE_S, &report->machine);
    for (size_t i = 0; i < n && status == MSFL_OK; i++) {
        const msfl_scheme *s = msfl_schemes()[i];
        if (one != NULL && s != one) continue;
        status = one_scheme(options, s, subject, observer, &report->rows[report->n_rows]);
        if (status == MSFL_OK) report->n_rows++;
    }
    if (status != MSFL_OK) {
        msfl_bench_compare_free(report);
        return status;
    }
    *out = report;
    return MSFL_OK;
}

void msfl_bench_compare_free(msfl_bench_compare *report) {
    if (report == NULL) return;
    msfl_free(report->rows);
    msfl_free(report);
}

msfl_status msfl_bench_compare_json(const msfl_bench_compare *report, char **text) {
    json_t *rows = measure_rows_json(row_fields, N_FIELDS, report->rows, report->n_rows, sizeof *report->rows);
    return measure_json_take(json_pack("{s:o,s:I,s:i,s:i,s:o,s:o}", "model", msfl_json_string(report->model), "values",
                                       (json_int_t)report->values, "bits", (int)report->bits, "clients",
                                       (int)report->clients, "schemes", rows, "machine",
                                       measure_machine_json(&report->machine)),
                             text);
}

msfl_status msfl_bench_compare_csv(const msfl_bench_compare *report, char **text) {
    msfl_buffer out = {0};
    measure_csv(&out, row_fields, N_FIELDS, report->rows, report->n_rows, sizeof *report->rows);
    return measure_text_take(&out, text);
}
