#include "table.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

struct cli_table {
    size_t n_columns, n_cells, capacity; /* the first row holds the headings */
    char **cells;
};

/* Characters, not bytes: UTF-8 continuation bytes take no place. */
static size_t width(const char *text) {
    size_t n = 0;
    for (; text != NULL && *text != 0; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void append(cli_table *table, char *cell) {
    void *cells = table->cells;
    if (msfl_grow(&cells, &table->capacity, table->n_cells + 1, sizeof *table->cells) != MSFL_OK) {
        msfl_free(cell);
        return;
    }
    table->cells = cells;
    table->cells[table->n_cells++] = cell;
}

msfl_status cli_table_new(const char *const *headings, size_t n_columns, cli_table **out) {
    *out = NULL;
    cli_table *table = msfl_alloc(1, sizeof *table);
    if (table == NULL) return MSFL_ERR_MEMORY;
    table->n_columns = n_columns;
    for (size_t i = 0; i < n_columns; i++)
        append(table, msfl_strdup(headings[i]));
    if (table->n_cells != n_columns) {
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
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    /* Names come from outside: nothing in them may steer a terminal. */
    for (char *p = text; *p != 0; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = '?';
    }
    append(table, msfl_strdup(text));
}

void cli_table_print(const cli_table *table, FILE *out) {
    size_t n = table->n_columns;
    for (size_t i = 0; i < table->n_cells; i++) {
        size_t column = i % n, widest = 0;
        bool right = table->cells[column] != NULL && table->cells[column][0] == '>';
        for (size_t k = column; k < table->n_cells; k += n) {
            size_t w = width(table->cells[k]) - (k == column && right);
            if (w > widest) widest = w;
        }
        const char *cell = table->cells[i] == NULL ? "" : table->cells[i];
        if (i == column && right) cell++;
        int pad = (int)(widest - width(cell));
        const bool last = column + 1 == n;
        if (right) {
            fprintf(out, "%*s%s%s", pad, "", cell, last ? "" : "  ");
        } else {
            fprintf(out, "%s%*s%s", cell, last ? 0 : pad, "", last ? "" : "  ");
        }
        if (last) fputc('\n', out);
    }
}
