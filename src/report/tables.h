/* The page of several federations as bytes: what msfl_tables_write puts into the file. */
#ifndef MSFL_REPORT_TABLES_H
#define MSFL_REPORT_TABLES_H

#include "base/bytes.h"
#include "text/json.h"

/** Append the whole page to `out`. Errors as msfl_tables_write; then what `out` holds is of no use. */
msfl_status msfl_tables_render(const json_t *tables, msfl_buffer *out) MSFL_NODISCARD;

#endif
