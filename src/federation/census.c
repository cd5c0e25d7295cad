#include "federation/census.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "federation/channels.h"
#include "federation/scoring.h"

#include <string.h>

/* Places in a vector of validation figures: the sum is of the same kind, so it needs no keys of its own. */
enum { IMAGES = 1, PATIENTS = 2, BRIGHTNESS = 4, CLASSES = BRIGHTNESS + FED_CENSUS_BINS };
_Static_assert(CLASSES + FED_CENSUS_CLASSES <= JOB_EVAL_COUNTERS, "all of it fits");

static msfl_status count_images(const fed_job *job, const msfl_indices *list, const msfl_shift *shift, uint8_t *pixels,
                                uint64_t *counters) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(job->dataset);
    size_t n = (size_t)info->depth * info->width * info->height * info->channels;
    for (uint32_t i = 0; i < list->n; i++) {
        msfl_status status = msfl_dataset_preview_shifted(job->dataset, list->at[i], shift, pixels);
        if (status != MSFL_OK) return status;
        uint64_t sum = 0;
        for (size_t k = 0; k < n; k++)
            sum += pixels[k];
        uint32_t label = msfl_dataset_label(job->dataset, list->at[i]);
        counters[BRIGHTNESS + (n == 0 ? 0 : sum * FED_CENSUS_BINS / (n * 256))]++;
        if (label < FED_CENSUS_CLASSES) counters[CLASSES + label]++;
        counters[IMAGES]++;
    }
    return MSFL_OK;
}

static msfl_status submit(const fed_job *job, uint32_t k, uint8_t *pixels, fed_sum *sum) {
    const fed_hospital *h = &job->hospitals[k];
    uint64_t counters[JOB_EVAL_COUNTERS] = {[JOB_EVAL_CLIENTS] = 1, [PATIENTS] = h->n_patients};
    msfl_status status = count_images(job, &h->train, &job->shifts[k], pixels, counters);
    if (status == MSFL_OK) status = count_images(job, &h->validation, &job->shifts[k], pixels, counters);
    const msfl_update_input input = {.n_samples = counters[JOB_EVAL_CLIENTS], .counters = counters + 1};
    return status == MSFL_OK ? fed_sum_submit(sum, k, &input) : status;
}

static json_t *list_of(const uint64_t *values, uint32_t n) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < n; i++)
        json_array_append_new(list, json_integer((json_int_t)values[i]));
    return list;
}

msfl_status fed_census(const fed_job *job, json_t **out) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(job->dataset);
    uint8_t name[MSFL_HASH_BYTES];
    uint64_t counters[JOB_EVAL_COUNTERS];
    fed_sum *sum = NULL;
    fed_sum_report report = {0};
    fed_sum_config config = fed_evaluation_config(job);
    *out = NULL;
    if (job->n_hospitals < config.min_cohort) {
        *out = json_null();
        return MSFL_OK;
    }
    msfl_hash h;
    msfl_hash_init(&h, "msfl.census.v1");
    msfl_hash_final(&h, name);
    config.model = name;
    config.channel = job->encrypts ? &job->evaluation : NULL;
    config.number = (uint64_t)1 << 62; /* rounds have small ones */
    uint8_t *pixels = msfl_alloc((size_t)info->depth * info->width * info->height, info->channels);
    msfl_status status = pixels == NULL ? MSFL_NO_MEMORY : fed_sum_new(&config, &sum);
    for (uint32_t k = 0; k < job->n_hospitals && status == MSFL_OK; k++)
        status = submit(job, k, pixels, sum);
    if (status == MSFL_OK) status = fed_sum_finish(sum, NULL, counters, &report);
    if (status == MSFL_OK) {
        uint32_t n_classes = info->n_classes < FED_CENSUS_CLASSES ? info->n_classes : FED_CENSUS_CLASSES;
        *out = json_pack("{s:b, s:o, s:I, s:I, s:I, s:o, s:o}", "encrypted", job->encrypts, "exact",
                         job->encrypts ? json_boolean(report.exact) : json_null(), "hospitals",
                         (json_int_t)counters[JOB_EVAL_CLIENTS], "images", (json_int_t)counters[IMAGES], "patients",
                         (json_int_t)counters[PATIENTS], "classes", list_of(counters + CLASSES, n_classes),
                         "brightness", list_of(counters + BRIGHTNESS, FED_CENSUS_BINS));
        if (*out == NULL) status = msfl_fail(MSFL_ERR_MEMORY, "out of memory");
    }
    fed_sum_free(sum);
    msfl_free(pixels);
    return status;
}
