/* Reading a result that may lack anything: every getter answers "not there" instead of failing. */
#ifndef MSFL_REPORT_READ_H
#define MSFL_REPORT_READ_H

#include "text/json.h"

/** The value at "a.b.c" below `from`; NULL when any step is missing, null, or not an object. */
const json_t *msfl_at(const json_t *from, const char *path);
/** The array at `path`, or NULL. An empty one counts as missing. */
const json_t *msfl_array_at(const json_t *from, const char *path);
/** The finite number at `path`, or NaN. */
double msfl_number_at(const json_t *from, const char *path);
/** The text at `path`, or NULL. Lives as long as `from`. */
const char *msfl_string_at(const json_t *from, const char *path);

typedef enum msfl_answer { MSFL_NO, MSFL_YES, MSFL_NOT_SAID } msfl_answer;
msfl_answer msfl_answer_at(const json_t *from, const char *path);

/** The finite number that is element `i` of an array, or NaN. */
double msfl_number_in(const json_t *array, size_t i);
const char *msfl_string_in(const json_t *array, size_t i);

#endif
