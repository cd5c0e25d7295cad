/* The page of several federations as bytes: what msfl_tables_write puts into the file. */
#ifndef MSFL_REPORT_TABLES_H
#define MSFL_REPORT_TABLES_H

#include "base/bytes.h"
#include "report/sections.h"
#include "text/json.h"

enum {
    MSFL_TABLES_COLUMNS_MAX = 16, /**< numbers of hospitals that are shown */
    MSFL_TABLES_ROWS = 3          /**< trainings: central, plain, encrypted */
};

/** Append the whole page to `out`. Errors as msfl_tables_write; then what `out` holds is of no use. */
msfl_status msfl_tables_render(const json_t *tables, msfl_buffer *out) MSFL_NODISCARD;

/* --- parts of it --- */

/** A figure over seeds (mean, smallest, largest, low, high) of one training and one column; NULL: none. */
const json_t *msfl_tables_cell(const msfl_page *page, const char *key, const msfl_way *way, size_t column);
/** How many columns there are to show, one for each number of hospitals. */
size_t msfl_tables_columns(const msfl_page *page);

/** The section of charts by number of hospitals. */
void msfl_tables_charts(msfl_page *page);
/** The section of bytes and times. */
void msfl_tables_costs(msfl_page *page);
/** A note with the text at `path`: where the publication's or the prototype's (`whose`, ours) figures are from. */
void msfl_tables_source(msfl_page *page, const char *whose, const char *path);

#endif
