#include "table.h"

#include "base/error.h"
#include "base/mem.h"
#include "columns.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

enum { COLUMNS_MAX = 64, CELL_BYTES = 512 };

struct cli_table {
    size_t n_columns, n_cells, capacity; /* the first n_columns cells are the headings */
    char **cells;                        /* cleaned */
    bool is_right[COLUMNS_MAX];
    bool is_short; /* a cell was lost */
};

static bool append(cli_table *table, const char *text) {
    msfl_buffer clean = {0};
    (void)cli_put_columns(&clean, text, CELL_BYTES, true);
    msfl_put8(&clean, 0);
    void *cells = table->cells;
    bool is_kept = clean.status == MSFL_OK &&
                   msfl_grow(&cells, &table->capacity, table->n_cells + 1, sizeof *table->cells) == MSFL_OK;
    if (is_kept) {
        table->cells = cells;
        table->cells[table->n_cells++] = (char *)clean.bytes;
    } else {
        msfl_buffer_clear(&clean);
        table->is_short = true;
    }
    return is_kept;
}

msfl_status cli_table_new(const char *const *headings, size_t n_columns, cli_table **out) {
    *out = NULL;
    if (n_columns == 0 || n_columns > COLUMNS_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "a table of %zu columns; 1 to %d are possible", n_columns, COLUMNS_MAX);
    }
    cli_table *table = msfl_alloc(1, sizeof *table);
    if (table == NULL) return MSFL_ERR_MEMORY;
    table->n_columns = n_columns;
    for (size_t i = 0; i < n_columns; i++) {
        table->is_right[i] = headings[i][0] == '>';
        if (append(table, headings[i] + table->is_right[i])) continue;
        cli_table_free(table);
        return MSFL_ERR_MEMORY;
    }
    *out = table;
    return MSFL_OK;
}

void cli_table_free(cli_table *table) {
    if (table == NULL) return;
    for (size_t i = 0; i < table->n_cells; i++)
        msfl_free(table->cells[i]);
    msfl_free(table->cells);
    msfl_free(table);
}

void cli_table_cell(cli_table *table, const char *fmt, ...) {
    if (table->is_short) return; /* what follows would stand in the wrong column */
    char text[CELL_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    (void)append(table, text);
}

static void print_blanks(FILE *out, size_t n) {
    fprintf(out, "%*s", (int)n, "");
}

void cli_table_print(const cli_table *table, FILE *out) {
    size_t n = table->n_columns, widest[COLUMNS_MAX] = {0}, rule = 2 * (n - 1);
    for (size_t i = 0; i < table->n_cells; i++) {
        size_t columns = cli_columns(table->cells[i]);
        if (columns > widest[i % n]) widest[i % n] = columns;
    }
    for (size_t c = 0; c < n; c++)
        rule += widest[c];
    size_t owed = 0; /* blanks are printed before the next cell only, so that no line ends in them */
    for (size_t i = 0; i < table->n_cells; i++) {
        size_t c = i % n, pad = widest[c] - cli_columns(table->cells[i]);
        bool is_empty = table->cells[i][0] == 0;
        owed += table->is_right[c] ? pad : 0;
        if (!is_empty) {
            print_blanks(out, owed);
            owed = 0;
            fputs(table->cells[i], out);
        }
        owed += (table->is_right[c] ? 0 : pad) + 2;
        if (c + 1 < n && i + 1 < table->n_cells) continue;
        fputc('\n', out);
        owed = 0;
        if (i + 1 == n) {
            for (size_t k = 0; k < rule; k++)
                fputc('-', out);
            fputc('\n', out);
        }
    }
    if (table->is_short) fputs("(cut short: out of memory)\n", out);
}
