/* `bench round`: whole rounds over a grid of model sizes and numbers of clients, and the cost model of them. */
#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "base/sodium.h"
#include "measure/cost.h"
#include "measure/machine.h"
#include "measure/party.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const measure_field row_fields[] = {
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_TEXT, model),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_U64, values),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_U32, clients),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_U32, clients_run),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_U64, chunks),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_U64, upload_bytes),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_U64, trailer_bytes),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_U64, setup_bytes),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_U64, download_bytes),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_REAL, session_ms),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_REAL, check_quantise_ms),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_REAL, encrypt_ms),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_REAL, seal_ms),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_REAL, hash_ms),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_REAL, add_ms),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_REAL, close_ms),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_REAL, open_ms),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_REAL, decode_ms),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_REAL, client_s),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_REAL, coordinator_s),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_REAL, key_holder_s),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_REAL, client_fitted_s),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_REAL, coordinator_fitted_s),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_REAL, key_holder_fitted_s),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_U64, memory_bytes),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_REAL, max_error),
    MEASURE_FIELD(msfl_bench_round_row, MEASURE_REAL, error_bound),
};

enum { N_FIELDS = sizeof row_fields / sizeof row_fields[0], TURNS_MAX = 100 };

static double hash_seconds(const uint8_t *bytes, uint64_t length) {
    measure_turns turns = {0};
    for (int i = 0; i < 2; i++) {
        msfl_hash h;
        uint8_t digest[MSFL_HASH_BYTES];
        uint64_t start = measure_cpu_now();
        msfl_hash_init(&h, "msfl.bench.v1");
        msfl_hash_add(&h, bytes, length);
        msfl_hash_final(&h, digest);
        measure_turn(&turns, measure_cpu_since(start));
    }
    return measure_best(&turns);
}

static void fill(msfl_bench_round_row *row, const measure_party *p, uint32_t traits) {
    const measure_party_times *t = measure_party_times_borrow(p);
    const msfl_scheme_facts *f = measure_party_facts(p);
    row->chunks = f->n_chunks;
    row->upload_bytes = f->upload_bytes;
    row->trailer_bytes = f->trailer_bytes;
    row->setup_bytes = f->setup_bytes;
    row->download_bytes = 4 * row->values;
    row->check_quantise_ms = measure_best(&t->quantise) * 1e3;
    row->encrypt_ms = measure_best(&t->encrypt) * 1e3;
    row->seal_ms = measure_best(&t->seal) * 1e3;
    row->hash_ms = hash_seconds(measure_party_upload(p), f->upload_bytes) * 1e3;
    row->add_ms = measure_best(&t->add) * 1e3;
    /* Key holders answer for each client: what was run stands for those that were not. */
    row->close_ms = measure_best(&t->close) * 1e3 * row->clients / row->clients_run;
    row->open_ms = measure_best(&t->open) * 1e3;
    row->decode_ms = measure_best(&t->decode) * 1e3;
    /* An exchange is the clients' work; the rest of what a session begins with is the coordinator's: an empty sum. */
    bool interactive = (traits & MSFL_SCHEME_INTERACTIVE) != 0;
    row->session_ms = measure_best(&t->session) * 1e3;
    double exchange_ms = interactive ? row->session_ms / row->clients_run : 0.0;
    double empty_sum_ms = interactive ? 0.0 : row->session_ms;
    row->client_s = (exchange_ms + row->check_quantise_ms + row->encrypt_ms + row->seal_ms) * 1e-3;
    /* Under a key pair it is the key holder who opens. */
    double opened_ms = (traits & MSFL_SCHEME_KEY_PAIR) != 0 ? row->open_ms : 0.0;
    row->coordinator_s = (empty_sum_ms + row->add_ms * row->clients + row->open_ms - opened_ms + row->decode_ms) * 1e-3;
    row->key_holder_s = (row->close_ms + opened_ms) * 1e-3;
    row->client_fitted_s = row->coordinator_fitted_s = row->key_holder_fitted_s = NAN;
    row->memory_bytes = t->memory_bytes;
    row->max_error = t->max_error;
    row->error_bound = t->error_bound;
}

static msfl_status one_point(const msfl_bench_round_options *o, const msfl_scheme *scheme,
                             const msfl_bench_subject *subject, uint32_t clients, const msfl_observer *observer,
                             msfl_bench_round_row *row) {
    bool interactive = (msfl_scheme_traits(scheme) & MSFL_SCHEME_INTERACTIVE) != 0;
    snprintf(row->model, sizeof row->model, "%.*s", (int)sizeof row->model - 1, msfl_bench_subject_name(subject));
    row->values = msfl_bench_subject_values(subject);
    row->clients = clients;
    row->clients_run = !interactive && clients > MSFL_BENCH_CLIENTS_RUN ? MSFL_BENCH_CLIENTS_RUN : clients;
    const measure_party_request request = {.scheme = scheme,
                                           .n_clients = clients,
                                           .n_run = row->clients_run,
                                           .value_bits = o->value_bits,
                                           .same_values = true};
    msfl_observe_text(observer, MSFL_EVENT_PHASE, msfl_scheme_name(scheme), "%s, %u clients%s", row->model, clients,
                      row->clients_run < clients ? ", 32 of which are run" : "");
    measure_party *p;
    msfl_status status = measure_party_new(&request, subject, observer, &p);
    if (status != MSFL_OK) return status;
    uint64_t begun = msfl_now_ns();
    for (int turn = 0; status == MSFL_OK && (turn == 0 || (turn < TURNS_MAX && measure_since(begun) < o->seconds));
         turn++)
        status = measure_party_sum(p);
    if (status == MSFL_OK) fill(row, p, msfl_scheme_traits(scheme));
    measure_party_free(p);
    return status;
}

static msfl_status check(const msfl_bench_round_options *o, size_t n_subjects) {
    if (o->n_clients < 1 || o->n_clients > MSFL_BENCH_GRID_MAX || n_subjects < 1 || n_subjects > MSFL_BENCH_GRID_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "a grid has 1 to %d sizes and 1 to %d numbers of clients", MSFL_BENCH_GRID_MAX,
                         MSFL_BENCH_GRID_MAX);
    }
    for (size_t i = 0; i < o->n_clients; i++) {
        if (o->clients[i] < 2 || o->clients[i] > MSFL_CLIENTS_MAX) {
            return msfl_fail(MSFL_ERR_USAGE, "a round is measured with 2 to %d clients, not %u", MSFL_CLIENTS_MAX,
                             o->clients[i]);
        }
    }
    return MSFL_OK;
}

static void fit(msfl_bench_round *report) {
    snprintf(report->costs.scheme, sizeof report->costs.scheme, "%s", report->scheme);
    report->costs.bits = report->bits;
    report->is_fitted = measure_costs_fit(report->rows, report->n_rows, &report->costs) == MSFL_OK;
    if (!report->is_fitted) snprintf(report->not_fitted, sizeof report->not_fitted, "%s", msfl_error_message());
}

msfl_status msfl_bench_round_run(const msfl_bench_round_options *options, const msfl_bench_subject *const *subjects,
                                 size_t n_subjects, const msfl_observer *observer, msfl_bench_round **out) {
    *out = NULL;
    const msfl_scheme *scheme;
    msfl_status status = check(options, n_subjects);
    if (status == MSFL_OK) status = msfl_scheme_find(options->scheme == NULL ? "packed" : options->scheme, &scheme);
    if (status != MSFL_OK) return status;
    msfl_bench_round *report = msfl_alloc(1, sizeof *report);
    if (report == NULL) return MSFL_ERR_MEMORY;
    snprintf(report->scheme, sizeof report->scheme, "%s", msfl_scheme_name(scheme));
    report->bits = options->value_bits;
    report->rows = msfl_alloc(n_subjects * options->n_clients, sizeof *report->rows);
    status = report->rows == NULL ? MSFL_ERR_MEMORY : msfl_bench_machine_measure(MEASURE_MACHINE_S, &report->machine);
    for (size_t s = 0; s < n_subjects; s++) {
        for (size_t c = 0; c < options->n_clients && status == MSFL_OK; c++) {
            status =
                one_point(options, scheme, subjects[s], options->clients[c], observer, &report->rows[report->n_rows]);
            if (status == MSFL_OK) report->n_rows++;
        }
    }
    if (status != MSFL_OK) {
        msfl_bench_round_free(report);
        return status;
    }
    fit(report);
    *out = report;
    return MSFL_OK;
}

void msfl_bench_round_free(msfl_bench_round *report) {
    if (report == NULL) return;
    msfl_free(report->rows);
    msfl_free(report);
}

msfl_status msfl_bench_round_json(const msfl_bench_round *report, char **text) {
    return measure_json_take(
        json_pack("{s:s,s:i,s:o,s:o,s:o}", "scheme", report->scheme, "bits", (int)report->bits, "rounds",
                  measure_rows_json(row_fields, N_FIELDS, report->rows, report->n_rows, sizeof *report->rows), "costs",
                  report->is_fitted ? measure_costs_json(&report->costs) : json_null(), "machine",
                  measure_machine_json(&report->machine)),
        text);
}

msfl_status msfl_bench_round_csv(const msfl_bench_round *report, char **text) {
    msfl_buffer out = {0};
    measure_csv(&out, row_fields, N_FIELDS, report->rows, report->n_rows, sizeof *report->rows);
    return measure_text_take(&out, text);
}
