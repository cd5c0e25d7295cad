#include "client/outcome.h"

#include "base/error.h"
#include "text/json.h"

#include <inttypes.h>
#include <math.h>

/* Images of one hospital, and a mean loss, beyond which a number is a mistake. */
#define SAMPLES_MAX 100000000u
static const double loss_max = 250;
/* 65,536 slices of 512 x 512; below what a counter of the encoding holds. */
#define PIXELS_MAX ((json_int_t)1 << 34)

static msfl_status count(const json_t *o, const char *key, bool optional, uint64_t most, uint64_t *out) {
    const json_t *v = json_object_get(o, key);
    if (v == NULL && optional) return MSFL_OK;
    if (!json_is_integer(v) || json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) > most) {
        return msfl_fail(MSFL_ERR_FORMAT, "the trainer's result.json: %s must be a whole number of at most %" PRIu64,
                         key, most);
    }
    *out = (uint64_t)json_integer_value(v);
    return MSFL_OK;
}

static msfl_status loss(const json_t *o, double *out) {
    const json_t *v = json_object_get(o, "loss");
    *out = json_is_number(v) ? json_number_value(v) : NAN;
    if (*out >= 0 && *out <= loss_max) return MSFL_OK;
    return msfl_fail(MSFL_ERR_NUMERIC, "the trainer's result.json: loss must be a number from 0 to %g", loss_max);
}

static msfl_status read_update(const json_t *metrics, uint64_t n, client_result *out) {
    uint64_t seen = n, correct = 0;
    double mean;
    msfl_status status = count(metrics, "seen", true, SAMPLES_MAX, &seen);
    if (status == MSFL_OK) status = count(metrics, "correct", true, seen, &correct);
    if (status == MSFL_OK) status = loss(metrics, &mean);
    if (status != MSFL_OK) return status;
    out->n_samples = n;
    out->counters[JOB_SEEN - 1] = seen;
    out->counters[JOB_CORRECT - 1] = correct;
    out->counters[JOB_LOSS - 1] = (uint64_t)llround(mean * (double)seen * JOB_LOSS_ONE);
    return MSFL_OK;
}

/* Two lists of JOB_AUC_BINS counts: probabilities of class 1 among images of class 0, and of class 1. */
static msfl_status read_bins(const json_t *lists, uint64_t n, uint64_t *bins) {
    uint64_t sum = 0;
    if (lists == NULL) return MSFL_OK; /* more than two classes, or nobody asks for an AUC */
    bool good = json_is_array(lists) && json_array_size(lists) == 2;
    for (size_t c = 0; good && c < 2; c++) {
        const json_t *list = json_array_get(lists, c);
        good = json_is_array(list) && json_array_size(list) == JOB_AUC_BINS;
        for (size_t i = 0; good && i < JOB_AUC_BINS; i++) {
            const json_t *v = json_array_get(list, i);
            good = json_is_integer(v) && json_integer_value(v) >= 0 && (uint64_t)json_integer_value(v) <= n;
            if (good) bins[c * JOB_AUC_BINS + i] = (uint64_t)json_integer_value(v);
            sum += good ? bins[c * JOB_AUC_BINS + i] : 0;
        }
    }
    if (good && sum == n) return MSFL_OK;
    return msfl_fail(MSFL_ERR_FORMAT,
                     "the trainer's result.json: histogram must be two lists of %d counts that make n_samples together",
                     JOB_AUC_BINS);
}

/* For every structure the pixels that both masks have, that truth has, that were found. */
static msfl_status read_structures(const json_t *rows, uint32_t n_structures, uint64_t *counts) {
    bool good = json_is_array(rows) && json_array_size(rows) == n_structures;
    for (size_t c = 0; good && c < n_structures; c++) {
        const json_t *row = json_array_get(rows, c);
        good = json_is_array(row) && json_array_size(row) == 3;
        for (size_t i = 0; good && i < 3; i++) {
            const json_t *v = json_array_get(row, i);
            good = json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) <= PIXELS_MAX;
            if (good) counts[3 * c + i] = (uint64_t)json_integer_value(v);
        }
        good = good && counts[3 * c] <= counts[3 * c + 1] && counts[3 * c] <= counts[3 * c + 2];
    }
    if (good) return MSFL_OK;
    return msfl_fail(MSFL_ERR_FORMAT,
                     "the trainer's result.json: structures must be %" PRIu32
                     " lists of 3 counts of pixels: shared, of the truth, found",
                     n_structures);
}

static msfl_status read_figures(const json_t *metrics, uint64_t n, uint32_t n_structures, client_result *out) {
    uint64_t correct = 0;
    double mean;
    msfl_status status = count(metrics, "correct", false, n, &correct);
    if (status == MSFL_OK) status = loss(metrics, &mean);
    uint64_t *bins = out->counters + JOB_EVAL_BINS - 1;
    if (status == MSFL_OK && n_structures > 0) {
        status = read_structures(json_object_get(metrics, "structures"), n_structures, bins);
    } else if (status == MSFL_OK) {
        status = read_bins(json_object_get(metrics, "histogram"), n, bins);
    }
    if (status != MSFL_OK) return status;
    out->n_samples = 1; /* counter 0 counts hospitals */
    out->counters[JOB_EVAL_N - 1] = n;
    out->counters[JOB_EVAL_CORRECT - 1] = correct;
    out->counters[JOB_EVAL_LOSS - 1] = (uint64_t)llround(mean * (double)n * JOB_LOSS_ONE);
    return MSFL_OK;
}

msfl_status client_outcome_parse(const char *text, size_t length, job_kind kind, uint64_t samples_max,
                                 uint32_t n_structures, client_result *out) {
    json_t *o;
    uint64_t n = 0;
    msfl_status status = msfl_json_parse("the trainer's result.json", text, length, CLIENT_OUTCOME_BYTES_MAX, &o);
    if (status != MSFL_OK) return status;
    const json_t *metrics = json_object_get(o, "metrics");
    status = count(o, "n_samples", false, SAMPLES_MAX, &n);
    if (status == MSFL_OK && n == 0) status = msfl_fail(MSFL_ERR_FORMAT, "the trainer's result.json: n_samples is 0");
    if (status == MSFL_OK && kind == JOB_UPDATE && n > samples_max) {
        status =
            msfl_fail(MSFL_ERR_LIMIT, "the trainer's result.json: %" PRIu64 " samples, the job takes at most %" PRIu64,
                      n, samples_max);
    }
    if (status == MSFL_OK && !json_is_object(metrics)) {
        status = msfl_fail(MSFL_ERR_FORMAT, "the trainer's result.json: metrics is missing");
    }
    if (status == MSFL_OK)
        status = kind == JOB_UPDATE ? read_update(metrics, n, out) : read_figures(metrics, n, n_structures, out);
    json_decref(o);
    return status;
}
