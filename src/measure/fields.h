/* Rows of figures as JSON and CSV: one table of names and places serves both, so that they cannot drift apart. */
#ifndef MSFL_MEASURE_FIELDS_H
#define MSFL_MEASURE_FIELDS_H

#include "base/bytes.h"
#include "text/json.h"

typedef enum measure_kind {
    MEASURE_TEXT, /**< char array */
    MEASURE_BOOL,
    MEASURE_U32,
    MEASURE_U64,  /**< UINT64_MAX: not known; null, and an empty cell */
    MEASURE_REAL, /**< double; what is not finite becomes null, and an empty cell */
    MEASURE_SOME  /**< uint32_t of which 0 means "not a thing here": null, and an empty cell */
} measure_kind;

typedef struct measure_field {
    const char *name;
    measure_kind kind;
    size_t offset; /**< within the row */
} measure_field;

#define MEASURE_FIELD(type, kind, member)                                                                              \
    { #member, kind, offsetof(type, member) }

/** One row as an object; NULL when out of memory. */
json_t *measure_row_json(const measure_field *fields, size_t n_fields, const void *row);
/** All rows as a list. */
json_t *measure_rows_json(const measure_field *fields, size_t n_fields, const void *rows, size_t n_rows,
                          size_t row_bytes);

/** RFC 4180: a line of names, then the rows; cells with commas, quotes or line ends are quoted. A text that a
 *  spreadsheet would take for a formula gets an apostrophe before it. */
void measure_csv(msfl_buffer *out, const measure_field *fields, size_t n_fields, const void *rows, size_t n_rows,
                 size_t row_bytes);

/** `out` as a string of its own; takes the buffer. */
msfl_status measure_text_take(msfl_buffer *out, char **text) MSFL_NODISCARD;
/** Indented text; takes the reference. NULL is ERR_MEMORY. */
msfl_status measure_json_take(json_t *value, char **text) MSFL_NODISCARD;

#endif
