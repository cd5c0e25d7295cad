/* `bench layers`: a model's tensors encrypted one by one, and all of it in one vector. */
#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "measure/machine.h"
#include "measure/party.h"

#include <stdio.h>
#include <string.h>

static const measure_field row_fields[] = {
    MEASURE_FIELD(msfl_bench_layers_row, MEASURE_TEXT, tensor),
    MEASURE_FIELD(msfl_bench_layers_row, MEASURE_U64, values),
    MEASURE_FIELD(msfl_bench_layers_row, MEASURE_U64, chunks),
    MEASURE_FIELD(msfl_bench_layers_row, MEASURE_U64, upload_bytes),
    MEASURE_FIELD(msfl_bench_layers_row, MEASURE_U64, trailer_bytes),
    MEASURE_FIELD(msfl_bench_layers_row, MEASURE_REAL, encrypt_ms),
    MEASURE_FIELD(msfl_bench_layers_row, MEASURE_REAL, bytes_per_value),
};

enum { N_FIELDS = sizeof row_fields / sizeof row_fields[0], TURNS_MAX = 200 };

/** Seconds are spent on repetitions of one vector, at most. */
static msfl_status measure_vector(const msfl_bench_compare_options *o, const msfl_scheme *scheme,
                                  const msfl_bench_subject *subject, const msfl_observer *observer, double seconds,
                                  msfl_bench_layers_row *row) {
    bool interactive = (msfl_scheme_traits(scheme) & MSFL_SCHEME_INTERACTIVE) != 0;
    const measure_party_request request = {.scheme = scheme,
                                           .n_clients = o->n_clients,
                                           .n_run = interactive ? o->n_clients : 2,
                                           .value_bits = o->value_bits,
                                           .limit_s = o->seconds};
    measure_party *p;
    msfl_status status = measure_party_new(&request, subject, observer, &p);
    if (status != MSFL_OK) return status;
    uint64_t begun = msfl_now_ns();
    for (int turn = 0; status == MSFL_OK && (turn == 0 || (turn < TURNS_MAX && measure_since(begun) < seconds)); turn++)
        status = measure_party_sum(p);
    const measure_party_times *t = measure_party_times_borrow(p);
    const msfl_scheme_facts *f = measure_party_facts(p);
    row->values = msfl_bench_subject_values(subject);
    row->chunks = f->n_chunks;
    row->upload_bytes = f->upload_bytes;
    row->trailer_bytes = f->trailer_bytes;
    row->encrypt_ms = (measure_best(&t->quantise) + measure_best(&t->encrypt) + measure_best(&t->seal)) * 1e3;
    row->bytes_per_value = (double)(f->upload_bytes + f->trailer_bytes) / (double)row->values;
    measure_party_free(p);
    return status;
}

/** A tensor alone: synthetic values, of which sizes and times do not depend; one of the same size is not repeated. */
static msfl_status one_tensor(const msfl_bench_compare_options *o, const msfl_scheme *scheme,
                              const measure_tensor *tensor, const msfl_observer *observer, msfl_bench_layers *report) {
    msfl_bench_layers_row *row = &report->rows[report->n_rows];
    msfl_status status = MSFL_OK;
    size_t same = 0;
    while (same < report->n_rows && report->rows[same].values != tensor->count)
        same++;
    if (same < report->n_rows) {
        *row = report->rows[same];
    } else {
        msfl_bench_subject *alone;
        status = msfl_bench_subject_new(NULL, tensor->count, &alone);
        if (status != MSFL_OK) return status;
        status = measure_vector(o, scheme, alone, observer, 0.05, row);
        msfl_bench_subject_free(alone);
    }
    snprintf(row->tensor, sizeof row->tensor, "%s", tensor->name);
    report->n_rows++;
    return status;
}

static void sum_up(msfl_bench_layers *report) {
    msfl_bench_layers_row *all = &report->apart;
    for (size_t i = 0; i < report->n_rows; i++) {
        all->values += report->rows[i].values;
        all->chunks += report->rows[i].chunks;
        all->upload_bytes += report->rows[i].upload_bytes;
        all->trailer_bytes += report->rows[i].trailer_bytes;
        all->encrypt_ms += report->rows[i].encrypt_ms;
    }
    all->bytes_per_value = (double)(all->upload_bytes + all->trailer_bytes) / (double)all->values;
    snprintf(all->tensor, sizeof all->tensor, "each tensor alone");
    snprintf(report->whole.tensor, sizeof report->whole.tensor, "one vector");
}

msfl_status msfl_bench_layers_run(const msfl_bench_compare_options *options, const msfl_bench_subject *subject,
                                  const msfl_observer *observer, msfl_bench_layers **out) {
    *out = NULL;
    const msfl_scheme *scheme;
    msfl_status status = msfl_scheme_find(options->scheme == NULL ? "packed" : options->scheme, &scheme);
    if (status != MSFL_OK) return status;
    if (options->n_clients < 2) return msfl_fail(MSFL_ERR_USAGE, "a sum is measured over 2 clients or more");
    msfl_bench_layers *report = msfl_alloc(1, sizeof *report);
    if (report == NULL) return MSFL_ERR_MEMORY;
    snprintf(report->model, sizeof report->model, "%s", msfl_bench_subject_name(subject));
    snprintf(report->scheme, sizeof report->scheme, "%s", msfl_scheme_name(scheme));
    report->bits = options->value_bits;
    report->clients = options->n_clients;
    report->rows = msfl_alloc(subject->n_tensors, sizeof *report->rows);
    status = report->rows == NULL ? MSFL_ERR_MEMORY : msfl_bench_machine_measure(MEASURE_MACHINE_S, &report->machine);
    if (status == MSFL_OK) {
        msfl_observe_text(observer, MSFL_EVENT_PHASE, report->scheme, "%zu tensors, one by one", subject->n_tensors);
    }
    for (size_t i = 0; i < subject->n_tensors && status == MSFL_OK; i++)
        status = one_tensor(options, scheme, &subject->tensors[i], observer, report);
    if (status == MSFL_OK) {
        msfl_observe_text(observer, MSFL_EVENT_PHASE, report->scheme, "all in one vector");
        status = measure_vector(options, scheme, subject, observer, 0.5, &report->whole);
    }
    if (status != MSFL_OK) {
        msfl_bench_layers_free(report);
        return status;
    }
    sum_up(report);
    *out = report;
    return MSFL_OK;
}

void msfl_bench_layers_free(msfl_bench_layers *report) {
    if (report == NULL) return;
    msfl_free(report->rows);
    msfl_free(report);
}

msfl_status msfl_bench_layers_json(const msfl_bench_layers *report, char **text) {
    return measure_json_take(
        json_pack("{s:o,s:s,s:i,s:i,s:o,s:o,s:o,s:o}", "model", msfl_json_string(report->model), "scheme",
                  report->scheme, "bits", (int)report->bits, "clients", (int)report->clients, "tensors",
                  measure_rows_json(row_fields, N_FIELDS, report->rows, report->n_rows, sizeof *report->rows), "apart",
                  measure_row_json(row_fields, N_FIELDS, &report->apart), "whole",
                  measure_row_json(row_fields, N_FIELDS, &report->whole), "machine",
                  measure_machine_json(&report->machine)),
        text);
}
