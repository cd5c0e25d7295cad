/* `bench he`: every scheme, a row for each of its sizes. */
#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "measure/lane.h"
#include "measure/machine.h"
#include "measure/seeded.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MILLION = 1000000, RESNET = 25600000, ROWS_MAX = 64 };

static const measure_field row_fields[] = {
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_TEXT, scheme),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_U32, bits),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_U32, clients),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_U64, values),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_U32, threads),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_REAL, encrypt_mvps),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_REAL, fold_mvps),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_REAL, open_mvps),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_REAL, bytes_per_value),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_U64, extra_memory_bytes),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_REAL, extra_memory_per_client),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_U64, accumulator_bytes),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_REAL, check_mvps),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_REAL, quantise_mvps),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_REAL, decode_mvps),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_REAL, hash_mvps),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_REAL, fold_and_hash_mvps),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_REAL, key_ms),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_REAL, seeded_encrypt_mvps),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_REAL, seeded_fold_mvps),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_REAL, seeded_bytes_per_value),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_REAL, encrypt_vs_memcpy),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_REAL, fold_vs_memcpy),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_REAL, open_vs_memcpy),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_REAL, encrypt_vs_aes),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_REAL, fold_vs_aes),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_REAL, open_vs_aes),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_TEXT, parameters),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_SOME, ring_degree),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_SOME, primes),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_REAL, log2_q),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_REAL, security_bits),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_U32, clients_measured),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_REAL, max_error),
    MEASURE_FIELD(msfl_bench_he_row, MEASURE_REAL, error_bound),
};

/** How many values a row of this scheme has unless somebody asks for more: what a second or two can carry. */
static uint64_t usual_values(const char *scheme) {
    if (strcmp(scheme, "paillier") == 0) return 4096;
    if (strcmp(scheme, "pairwise") == 0) return 262144;
    return MILLION;
}

static void say(const msfl_observer *observer, const msfl_bench_he_row *row) {
    msfl_observe_text(observer, MSFL_EVENT_INFO, "he",
                      "%s, %u bits, %llu values, %u thread%s: encrypt %.4g, fold %.4g, open %.4g Mvalues/s",
                      row->scheme, row->bits, (unsigned long long)row->values, row->threads,
                      row->threads == 1 ? "" : "s", row->encrypt_mvps, row->fold_mvps, row->open_mvps);
}

typedef struct plan {
    const msfl_bench_he_options *options;
    const msfl_observer *observer;
    msfl_bench_he *report;
} plan;

/** The seeded form's figures beside those of the public key. */
static msfl_status add_seeded(const measure_lane_request *request, const msfl_observer *observer,
                              msfl_bench_he_row *row) {
    measure_lane_request seeded = *request;
    msfl_bench_he_row own;
    seeded.seeded = true;
    msfl_status status = measure_lane_run(&seeded, observer, &own);
    if (status != MSFL_OK) return status;
    row->seeded_encrypt_mvps = own.encrypt_mvps;
    row->seeded_fold_mvps = own.fold_mvps;
    row->seeded_bytes_per_value = own.bytes_per_value;
    return MSFL_OK;
}

static msfl_status one_row(plan *p, const msfl_scheme *scheme, uint32_t bits, uint64_t n_values, uint32_t threads) {
    const msfl_bench_he_options *o = p->options;
    if (p->report->n_rows == ROWS_MAX) return msfl_fail(MSFL_ERR_LIMIT, "more than %d rows", ROWS_MAX);
    msfl_bench_subject *subject;
    msfl_status status = msfl_bench_subject_new(NULL, n_values, &subject);
    if (status != MSFL_OK) return status;
    uint32_t ring = o->ring_degree;
    if (ring == 0 && strcmp(msfl_scheme_name(scheme), "packed") == 0) ring = 8192;
    const measure_lane_request request = {.scheme = scheme,
                                          .n_clients = o->n_clients,
                                          .value_bits = bits,
                                          .ring_degree = ring,
                                          .n_threads = threads,
                                          .seconds = o->seconds,
                                          .subject = subject};
    msfl_bench_he_row *row = &p->report->rows[p->report->n_rows];
    msfl_observe_text(p->observer, MSFL_EVENT_PHASE, "he", "%s, %u bits, %llu values", msfl_scheme_name(scheme), bits,
                      (unsigned long long)n_values);
    status = measure_lane_run(&request, p->observer, row);
    if (status == MSFL_OK && threads == 1 && measure_seeded_of(row->scheme) != NULL) {
        status = add_seeded(&request, p->observer, row);
    }
    msfl_bench_subject_free(subject);
    if (status == MSFL_OK) {
        p->report->n_rows++;
        if (row->threads > p->report->threads) p->report->threads = row->threads;
        say(p->observer, row);
        return MSFL_OK;
    }
    bool cannot = status == MSFL_ERR_PARAMS || status == MSFL_ERR_USAGE || status == MSFL_ERR_UNSUPPORTED ||
                  status == MSFL_ERR_LIMIT;
    if (o->scheme == NULL && cannot) { /* of all schemes, one may not be for so many clients or bits */
        msfl_observe_text(p->observer, MSFL_EVENT_WARNING, "he", "%s is left out: %s", msfl_scheme_name(scheme),
                          msfl_error_message());
        return MSFL_OK;
    }
    return status;
}

static msfl_status rows_of(plan *p, const msfl_scheme *scheme, uint32_t threads) {
    const msfl_bench_he_options *o = p->options;
    static const uint32_t usual_bits[2] = {16, 24};
    const char *name = msfl_scheme_name(scheme);
    msfl_status status = MSFL_OK;
    for (size_t b = 0; b < (o->value_bits == 0 ? 2 : 1) && status == MSFL_OK; b++) {
        uint32_t bits = o->value_bits == 0 ? usual_bits[b] : o->value_bits;
        uint64_t n_values = o->n_values == 0 ? usual_values(name) : o->n_values;
        status = one_row(p, scheme, bits, n_values, threads);
        if (status == MSFL_OK && o->n_values == 0 && strcmp(name, "packed") == 0) {
            status = one_row(p, scheme, bits, RESNET, threads);
        }
    }
    return status;
}

msfl_status msfl_bench_he_run(const msfl_bench_he_options *options, const msfl_observer *observer,
                              msfl_bench_he **out) {
    *out = NULL;
    if (options->n_clients < 2 || options->n_clients > MSFL_CLIENTS_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "a sum is measured over 2 to %d clients, not %u", MSFL_CLIENTS_MAX,
                         options->n_clients);
    }
    if (!(options->seconds > 0.0) || !isfinite(options->seconds)) {
        return msfl_fail(MSFL_ERR_USAGE, "seconds are a positive number");
    }
    const msfl_scheme *one = NULL;
    msfl_status status = options->scheme != NULL ? msfl_scheme_find(options->scheme, &one) : MSFL_OK;
    if (status != MSFL_OK) return status;
    msfl_bench_he *report = msfl_alloc(1, sizeof *report);
    if (report == NULL) return MSFL_ERR_MEMORY;
    report->rows = msfl_alloc(ROWS_MAX, sizeof *report->rows);
    status =
        report->rows == NULL ? MSFL_ERR_MEMORY : msfl_bench_machine_measure(options->seconds * 0.5, &report->machine);
    plan p = {options, observer, report};
    for (int pass = 0; pass < (options->n_threads == 0 ? 2 : 1) && status == MSFL_OK; pass++) {
        uint32_t threads = options->n_threads != 0 ? options->n_threads : pass == 0 ? 1 : report->machine.cores;
        if (pass == 1 && threads == 1) break;
        for (const msfl_scheme *const *s = msfl_schemes(); *s != NULL && status == MSFL_OK; s++) {
            if (one == NULL || *s == one) status = rows_of(&p, *s, threads);
        }
    }
    /* The machine is measured before and after, and the better counts, as in all that stands beside it. */
    if (status == MSFL_OK && options->seconds >= 0.1)
        status = measure_machine_again(options->seconds * 0.5, &report->machine);
    for (size_t i = 0; i < report->n_rows; i++)
        measure_lane_relate(&report->rows[i], &report->machine);
    if (status != MSFL_OK) {
        msfl_bench_he_free(report);
        return status;
    }
    *out = report;
    return MSFL_OK;
}

void msfl_bench_he_free(msfl_bench_he *report) {
    if (report == NULL) return;
    msfl_free(report->rows);
    msfl_free(report);
}

msfl_status msfl_bench_he_json(const msfl_bench_he *report, char **text) {
    const msfl_bench_machine *m = &report->machine;
    json_t *rows = measure_rows_json(row_fields, sizeof row_fields / sizeof row_fields[0], report->rows, report->n_rows,
                                     sizeof *report->rows);
    return measure_json_take(json_pack("{s:o,s:o,s:o,s:s,s:i,s:o}", "results", rows, "memcpy_gbps",
                                       msfl_json_real(m->memcpy_gbps), "aes_ctr_gbps", msfl_json_real(m->aes_ctr_gbps),
                                       "kernel", m->kernel, "threads", (int)report->threads, "machine",
                                       measure_machine_json(m)),
                             text);
}

void msfl_bench_text_free(char *text) {
    msfl_free(text);
}
