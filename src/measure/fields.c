#include "measure/fields.h"

#include "base/error.h"
#include "base/mem.h"

#include <math.h>

static json_t *cell_json(const measure_field *f, const uint8_t *at) {
    switch (f->kind) {
    case MEASURE_TEXT:
        return msfl_json_string((const char *)at);
    case MEASURE_BOOL:
        return json_boolean(*(const bool *)at);
    case MEASURE_U32:
        return json_integer(*(const uint32_t *)(const void *)at);
    case MEASURE_U64: {
        uint64_t v = *(const uint64_t *)(const void *)at;
        return v == UINT64_MAX ? json_null() : json_integer((json_int_t)v);
    }
    case MEASURE_REAL:
        return msfl_json_real(*(const double *)(const void *)at);
    case MEASURE_SOME: {
        uint32_t v = *(const uint32_t *)(const void *)at;
        return v == 0 ? json_null() : json_integer(v);
    }
    }
    return json_null();
}

json_t *measure_row_json(const measure_field *fields, size_t n_fields, const void *row) {
    json_t *object = json_object();
    for (size_t i = 0; i < n_fields && object != NULL; i++) {
        if (json_object_set_new(object, fields[i].name,
                                cell_json(&fields[i], (const uint8_t *)row + fields[i].offset))) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}

json_t *measure_rows_json(const measure_field *fields, size_t n_fields, const void *rows, size_t n_rows,
                          size_t row_bytes) {
    json_t *list = json_array();
    for (size_t r = 0; r < n_rows && list != NULL; r++) {
        if (json_array_append_new(list, measure_row_json(fields, n_fields, (const uint8_t *)rows + r * row_bytes))) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static void put_csv_text(msfl_buffer *out, const char *text) {
    bool is_formula = text[0] != 0 && strchr("=+-@", text[0]) != NULL;
    if (!is_formula && strpbrk(text, ",\"\r\n") == NULL) {
        msfl_put_text(out, "%s", text);
        return;
    }
    msfl_put_text(out, is_formula ? "\"'" : "\"");
    for (const char *p = text; *p != 0; p++) {
        if (*p == '"') msfl_put8(out, '"');
        msfl_put8(out, (uint8_t)*p);
    }
    msfl_put8(out, '"');
}

static void put_cell(msfl_buffer *out, const measure_field *f, const uint8_t *at) {
    switch (f->kind) {
    case MEASURE_TEXT:
        put_csv_text(out, (const char *)at);
        return;
    case MEASURE_BOOL:
        msfl_put_text(out, "%d", *(const bool *)at);
        return;
    case MEASURE_U32:
        msfl_put_text(out, "%u", *(const uint32_t *)(const void *)at);
        return;
    case MEASURE_U64: {
        uint64_t v = *(const uint64_t *)(const void *)at;
        if (v != UINT64_MAX) msfl_put_text(out, "%llu", (unsigned long long)v);
        return;
    }
    case MEASURE_REAL: {
        double v = *(const double *)(const void *)at;
        if (isfinite(v)) msfl_put_text(out, "%.9g", v);
        return;
    }
    case MEASURE_SOME: {
        uint32_t v = *(const uint32_t *)(const void *)at;
        if (v != 0) msfl_put_text(out, "%u", v);
        return;
    }
    }
}

void measure_csv(msfl_buffer *out, const measure_field *fields, size_t n_fields, const void *rows, size_t n_rows,
                 size_t row_bytes) {
    for (size_t i = 0; i < n_fields; i++)
        msfl_put_text(out, "%s%s", i == 0 ? "" : ",", fields[i].name);
    msfl_put_text(out, "\r\n");
    for (size_t r = 0; r < n_rows; r++) {
        for (size_t i = 0; i < n_fields; i++) {
            if (i > 0) msfl_put8(out, ',');
            put_cell(out, &fields[i], (const uint8_t *)rows + r * row_bytes + fields[i].offset);
        }
        msfl_put_text(out, "\r\n");
    }
}

msfl_status measure_text_take(msfl_buffer *out, char **text) {
    msfl_put8(out, 0);
    *text = NULL;
    msfl_status status = out->status;
    if (status == MSFL_OK) {
        *text = (char *)out->bytes;
        *out = (msfl_buffer){0};
    }
    msfl_buffer_clear(out);
    return status;
}

msfl_status measure_json_take(json_t *value, char **text) {
    *text = NULL;
    if (value == NULL) return msfl_fail(MSFL_ERR_MEMORY, "no memory for the figures");
    msfl_status status = msfl_json_text(value, false, text);
    json_decref(value);
    return status;
}
