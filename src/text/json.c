#include "text/json.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

msfl_status msfl_json_parse(const char *name, const char *text, size_t length, size_t bytes_max, json_t **out) {
    *out = NULL;
    if (length > bytes_max) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: %zu bytes of JSON; at most %zu are accepted", name, length, bytes_max);
    }
    json_error_t error;
    json_t *value = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (value == NULL) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s: line %d, column %d: %s", name, error.line, error.column, error.text);
    }
    *out = value;
    return MSFL_OK;
}

msfl_status msfl_json_read(const char *path, size_t bytes_max, json_t **out) {
    *out = NULL;
    uint8_t *bytes;
    size_t length;
    msfl_status status = msfl_file_read(path, bytes_max, &bytes, &length);
    if (status != MSFL_OK) return status;
    status = msfl_json_parse(path, (const char *)bytes, length, bytes_max, out);
    msfl_free(bytes);
    return status;
}

msfl_status msfl_json_text(const json_t *value, bool compact, char **out) {
    *out = NULL;
    char *text = json_dumps(value, (compact ? JSON_COMPACT : JSON_INDENT(2)) | JSON_REAL_PRECISION(15));
    if (text == NULL) return msfl_fail(MSFL_ERR_MEMORY, "a JSON text could not be made");
    *out = msfl_strdup(text);
    free(text);
    return *out == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
}

msfl_status msfl_json_write(const char *path, const json_t *value) {
    char *text = NULL;
    msfl_status status = msfl_json_text(value, false, &text);
    if (status != MSFL_OK || text == NULL) return status;
    status = msfl_file_write(path, text, strlen(text));
    msfl_free(text);
    return status;
}

json_t *msfl_json_string(const char *text) {
    if (text == NULL) return json_null();
    json_t *value = json_string(text);
    if (value != NULL) return value;
    char *ascii = msfl_strdup(text);
    if (ascii == NULL) return NULL;
    for (char *p = ascii; *p != 0; p++) {
        if ((unsigned char)*p >= 0x80) *p = '?';
    }
    value = json_string(ascii);
    msfl_free(ascii);
    return value;
}

json_t *msfl_json_real(double value) {
    return isfinite(value) ? json_real(value) : json_null();
}
