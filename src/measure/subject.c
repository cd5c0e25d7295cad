#include "measure/subject.h"

#include "base/error.h"
#include "base/mem.h"
#include "medsecurefl/model.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { VALUES_MAX = 1 << 28 };

/* Four uniforms reach 2 sqrt(3) deviations of 0.05: 0.1733. */
#define DELTA_MAX 0.18f

msfl_status measure_subject_add(msfl_bench_subject *s, uint64_t count, const char *fmt, ...) {
    void *tensors = s->tensors;
    msfl_status status = msfl_grow(&tensors, &s->capacity, s->n_tensors + 1, sizeof *s->tensors);
    if (status != MSFL_OK) return status;
    s->tensors = tensors;
    if (count < 1 || count > VALUES_MAX - s->n_values) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: more than %d values, or a tensor of none", s->name, VALUES_MAX);
    }
    measure_tensor *t = &s->tensors[s->n_tensors++];
    va_list args;
    va_start(args, fmt);
    vsnprintf(t->name, sizeof t->name, fmt, args);
    va_end(args);
    t->count = count;
    s->n_values += count;
    return MSFL_OK;
}

static msfl_status add_tensors(msfl_bench_subject *s, const msfl_model *model) {
    const msfl_model_info *info = msfl_model_info_borrow(model);
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; i < info->n_tensors && status == MSFL_OK; i++) {
        const msfl_tensor *t = msfl_model_tensor(model, i);
        status = measure_subject_add(s, t->count, "%.60s/%.30s", t->layer, t->name);
    }
    return status;
}

static bool is_file(const char *name, const char *end) {
    size_t n = strlen(name), m = strlen(end);
    return n > m && strcmp(name + n - m, end) == 0;
}

static msfl_status from_model(msfl_bench_subject *s, const char *name) {
    msfl_model *model = NULL;
    float *weights = NULL;
    msfl_status status = is_file(name, ".h5") || is_file(name, ".hdf5") ? msfl_model_load(name, &model, &weights, NULL)
                                                                        : msfl_model_new(name, 0, 0, 0, 0, &model);
    if (status == MSFL_ERR_MISSING || status == MSFL_ERR_USAGE) {
        status = msfl_fail_in(status, "besides %s", measure_shapes_names());
    }
    if (status == MSFL_OK) status = add_tensors(s, model);
    if (status == MSFL_OK && weights != NULL) {
        s->weights = msfl_alloc(s->n_values, sizeof *s->weights);
        if (s->weights == NULL) {
            status = MSFL_ERR_MEMORY;
        } else {
            memcpy(s->weights, weights, s->n_values * sizeof *s->weights);
        }
    }
    float largest = 0.0f;
    for (uint64_t i = 0; s->weights != NULL && i < s->n_values; i++)
        largest = fmaxf(largest, fabsf(s->weights[i]));
    s->clip = DELTA_MAX + largest * 1.001f;
    msfl_floats_free(weights);
    msfl_model_free(model);
    return status;
}

msfl_status msfl_bench_subject_new(const char *model, uint64_t n_values, msfl_bench_subject **out) {
    *out = NULL;
    if ((model == NULL) == (n_values == 0)) {
        return msfl_fail(MSFL_ERR_USAGE, "either a model or a number of values is measured, not %s",
                         model == NULL ? "neither" : "both");
    }
    if (n_values > VALUES_MAX) return msfl_fail(MSFL_ERR_USAGE, "at most %d values can be measured", VALUES_MAX);
    msfl_bench_subject *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_ERR_MEMORY;
    s->clip = DELTA_MAX;
    msfl_status status;
    if (model == NULL) {
        snprintf(s->name, sizeof s->name, "%llu values", (unsigned long long)n_values);
        status = measure_subject_add(s, n_values, "all/values");
    } else {
        snprintf(s->name, sizeof s->name, "%s", model);
        status = measure_shapes_known(model) ? measure_shapes_add(s, model) : from_model(s, model);
    }
    if (status != MSFL_OK) {
        msfl_bench_subject_free(s);
        return status;
    }
    *out = s;
    return MSFL_OK;
}

void msfl_bench_subject_free(msfl_bench_subject *s) {
    if (s == NULL) return;
    msfl_free(s->tensors);
    msfl_free(s->weights);
    msfl_free(s);
}

const char *msfl_bench_subject_name(const msfl_bench_subject *s) {
    return s->name;
}

uint64_t msfl_bench_subject_values(const msfl_bench_subject *s) {
    return s->n_values;
}

msfl_status measure_layout(const msfl_bench_subject *s, uint32_t value_bits, uint64_t count, msfl_update_layout **out) {
    const msfl_update_range range = {count, s->clip};
    return msfl_update_layout_new(value_bits, 1, MEASURE_SAMPLES, &range, 1, out);
}
