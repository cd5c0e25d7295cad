#include "report/read.h"

#include <math.h>
#include <string.h>

const json_t *msfl_at(const json_t *from, const char *path) {
    while (from != NULL) {
        const char *dot = strchr(path, '.');
        size_t length = dot == NULL ? strlen(path) : (size_t)(dot - path);
        from = json_object_getn(from, path, length);
        if (json_is_null(from)) return NULL;
        if (dot == NULL) return from;
        path = dot + 1;
    }
    return NULL;
}

const json_t *msfl_array_at(const json_t *from, const char *path) {
    const json_t *value = msfl_at(from, path);
    return json_is_array(value) && json_array_size(value) > 0 ? value : NULL;
}

static double number(const json_t *value) {
    if (!json_is_number(value)) return NAN;
    double v = json_number_value(value);
    return isfinite(v) ? v : NAN;
}

double msfl_number_at(const json_t *from, const char *path) {
    return number(msfl_at(from, path));
}

const char *msfl_string_at(const json_t *from, const char *path) {
    return json_string_value(msfl_at(from, path));
}

msfl_answer msfl_answer_at(const json_t *from, const char *path) {
    const json_t *value = msfl_at(from, path);
    if (!json_is_boolean(value)) return MSFL_NOT_SAID;
    return json_is_true(value) ? MSFL_YES : MSFL_NO;
}

double msfl_number_in(const json_t *array, size_t i) {
    return number(json_array_get(array, i));
}

const char *msfl_string_in(const json_t *array, size_t i) {
    return json_string_value(json_array_get(array, i));
}
