/* Aligned columns on a terminal or in a file. */
#ifndef MSFL_CLI_TABLE_H
#define MSFL_CLI_TABLE_H

#include "medsecurefl/status.h"

#include <stdio.h>

typedef struct cli_table cli_table;

/** A heading that begins with '>' makes its column align to the right. The headings are copied. 1 to 64 columns. */
msfl_status cli_table_new(const char *const *headings, size_t n_columns, cli_table **out) MSFL_NODISCARD;
void cli_table_free(cli_table *table);

/** The next cell; after the last column the next row begins. Control characters are replaced; at most 511 bytes. */
void cli_table_cell(cli_table *table, const char *fmt, ...) MSFL_PRINTF(2, 3);

/** Headings, a rule, the rows; columns two blanks apart, no blanks at the end of a line. A last row that is not full is
 *  printed as far as it goes. What did not fit into memory is missing, and the last line says so. */
void cli_table_print(const cli_table *table, FILE *out);

#endif
