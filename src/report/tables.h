/* The page of several federations as bytes: what msfl_tables_write puts into the file. */
#ifndef MSFL_REPORT_TABLES_H
#define MSFL_REPORT_TABLES_H

#include "base/bytes.h"
#include "report/sections.h"
#include "text/json.h"

enum { MSFL_TABLES_COLUMNS_MAX = 16 }; /**< numbers of hospitals that are shown */

/** Append the whole page to `out`. Errors as msfl_tables_write; then what `out` holds is of no use. */
msfl_status msfl_tables_render(const json_t *tables, msfl_buffer *out) MSFL_NODISCARD;

/* --- parts of it --- */

/** The section of bytes and times. */
void msfl_tables_costs(msfl_page *page);
/** A note with the text at `path`: where the publication's or the prototype's (`whose`, ours) figures are from. */
void msfl_tables_source(msfl_page *page, const char *whose, const char *path);

#endif
