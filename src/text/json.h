/* Shim for jansson: the one place that includes it, and the bounded ways in and out. */
#ifndef MSFL_TEXT_JSON_H
#define MSFL_TEXT_JSON_H

#include "medsecurefl/status.h"

#include <jansson.h>

/** Parse text of at most `bytes_max` bytes; `name` stands in the error. The caller owns `*out` (json_decref). */
msfl_status msfl_json_parse(const char *name, const char *text, size_t length, size_t bytes_max,
                            json_t **out) MSFL_NODISCARD;
msfl_status msfl_json_read(const char *path, size_t bytes_max, json_t **out) MSFL_NODISCARD;

/** Text with stable key order as inserted; `compact` puts it on one line. Free with msfl_free. NaN and infinity must
 *  have been stored as null: use msfl_json_real. */
msfl_status msfl_json_text(const json_t *value, bool compact, char **out) MSFL_NODISCARD;
msfl_status msfl_json_write(const char *path, const json_t *value) MSFL_NODISCARD;

/** A string, with the bytes of anything that is not UTF-8 (a file name, say) replaced by '?'; null for NULL. */
json_t *msfl_json_string(const char *text);

/** A number, or null where it is not finite. */
json_t *msfl_json_real(double value);

#endif
