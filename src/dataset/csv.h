/* Comma-separated tables (RFC 4180), read whole and within bounds. */
#ifndef MSFL_DATASET_CSV_H
#define MSFL_DATASET_CSV_H

#include "medsecurefl/status.h"

enum {
    MSFL_CSV_BYTES_MAX = 1 << 30,
    MSFL_CSV_COLUMNS_MAX = 1024,
    MSFL_CSV_ROWS_MAX = 16 << 20,
    MSFL_CSV_CELL_BYTES_MAX = 1 << 16
};

typedef struct msfl_csv msfl_csv;

/**
 * Parse a table whose first row names the columns. Quoted cells may hold separators, line ends and doubled quotes. LF,
 * CRLF, a byte order mark and empty lines are accepted; so are ';' or tabs as separators when the first row has no
 * comma. Bytes need not be UTF-8. Takes `bytes` (of msfl_file_read; freed with the table, also on failure).
 * ERR_FORMAT or ERR_LIMIT with `name`, line and column; the contents of a cell are never in a message.
 */
msfl_status msfl_csv_parse(const char *name, uint8_t *bytes, size_t length, msfl_csv **out) MSFL_NODISCARD;
void msfl_csv_free(msfl_csv *table);

/** Rows after the first. */
uint32_t msfl_csv_rows(const msfl_csv *table);
uint32_t msfl_csv_columns(const msfl_csv *table);
const char *msfl_csv_heading(const msfl_csv *table, uint32_t column);
const char *msfl_csv_cell(const msfl_csv *table, uint32_t row, uint32_t column);
/** Line of the file on which a row begins; 1-based. */
uint32_t msfl_csv_line(const msfl_csv *table, uint32_t row);
/** Column with this heading, in any case; msfl_csv_columns if there is none. */
uint32_t msfl_csv_find(const msfl_csv *table, const char *heading);

#endif
