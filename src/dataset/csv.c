#include "dataset/csv.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/rows.h"

#include <string.h>
#include <strings.h>

struct msfl_csv {
    char *bytes;     /* cells are cut out of the file's own bytes: closed with zeros, quotes removed in place */
    msfl_rows cells; /* (rows + 1) x columns of uint32_t, offsets into bytes */
    msfl_rows lines; /* rows of uint32_t */
    uint32_t n_columns, n_rows;
};

typedef struct parser {
    const char *name;
    char *at, *end;
    char separator;
    uint32_t line, column;
    msfl_csv *table;
} parser;

static uint32_t number_at(const msfl_rows *rows, size_t i) {
    return *(const uint32_t *)msfl_rows_at(rows, i, sizeof(uint32_t));
}

static msfl_status add_number(msfl_rows *rows, uint32_t number) {
    uint32_t *row = msfl_rows_add(rows, sizeof *row);
    if (row == NULL) return MSFL_NO_MEMORY;
    *row = number;
    return MSFL_OK;
}

void msfl_csv_free(msfl_csv *table) {
    if (table == NULL) return;
    msfl_free(table->bytes);
    msfl_rows_clear(&table->cells);
    msfl_rows_clear(&table->lines);
    msfl_free(table);
}

static msfl_status fail(const parser *p, msfl_status status, const char *what) {
    return msfl_fail(status, "%s, line %u, column %u: %s", p->name, p->line, p->column, what);
}

static msfl_status add_cell(parser *p, const char *begin) {
    msfl_csv *t = p->table;
    if (p->column > MSFL_CSV_COLUMNS_MAX) return fail(p, MSFL_ERR_LIMIT, "more than 1024 columns");
    return add_number(&t->cells, (uint32_t)(begin - t->bytes));
}

/* Reads one cell and what ends it; `*row_ends` tells which it was. The closing zero lands on the separator. */
static msfl_status read_cell(parser *p, bool *row_ends) {
    char *begin = p->at, *to = p->at;
    if (p->at < p->end && *p->at == '"') {
        p->at++;
        uint32_t line_before = p->line;
        for (;;) {
            if (p->at == p->end) {
                p->line = line_before;
                return fail(p, MSFL_ERR_FORMAT, "a quoted cell does not end");
            }
            if (*p->at == '"') {
                if (p->at + 1 == p->end || p->at[1] != '"') break;
                p->at++;
            }
            if (*p->at == '\n') p->line++;
            *to++ = *p->at++;
        }
        p->at++;
        if (p->at < p->end && *p->at != p->separator && *p->at != '\n' && *p->at != '\r') {
            return fail(p, MSFL_ERR_FORMAT, "text after the closing quote");
        }
    } else {
        while (p->at < p->end && *p->at != p->separator && *p->at != '\n' && *p->at != '\r') {
            if (*p->at == '"') return fail(p, MSFL_ERR_FORMAT, "a quote inside a cell that is not quoted");
            p->at++;
        }
        to = p->at;
    }
    if (to - begin > MSFL_CSV_CELL_BYTES_MAX) return fail(p, MSFL_ERR_LIMIT, "a cell of more than 65536 bytes");
    if (memchr(begin, 0, (size_t)(to - begin)) != NULL) return fail(p, MSFL_ERR_FORMAT, "a zero byte");
    char *separator = p->at;
    *row_ends = true;
    if (p->at < p->end && *p->at == p->separator) {
        *row_ends = false;
        p->at++;
    } else if (p->at < p->end) {
        if (*p->at == '\r') p->at++;
        if (p->at < p->end && *p->at == '\n') p->at++;
    }
    msfl_status status = add_cell(p, begin);
    /* The file's bytes end with a spare zero, so this is in bounds at the end too. */
    *separator = 0;
    *to = 0;
    return status;
}

static msfl_status read_row(parser *p) {
    msfl_csv *t = p->table;
    size_t first = t->cells.n;
    uint32_t line = p->line;
    bool row_ends = false;
    for (p->column = 1; !row_ends; p->column++) {
        msfl_status status = read_cell(p, &row_ends);
        if (status != MSFL_OK) return status;
    }
    p->line++;
    uint32_t n = (uint32_t)(t->cells.n - first);
    if (n == 1 && t->bytes[number_at(&t->cells, first)] == 0) {
        t->cells.n = first; /* an empty line; the row is used again */
        return MSFL_OK;
    }
    bool is_heading = t->n_columns == 0;
    if (is_heading) t->n_columns = n;
    if (n != t->n_columns) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s, line %u, column %u: %u cells, but the first row has %u", p->name, line,
                         n < t->n_columns ? n : t->n_columns + 1, n, t->n_columns);
    }
    if (is_heading) return MSFL_OK;
    if (t->n_rows == MSFL_CSV_ROWS_MAX) return fail(p, MSFL_ERR_LIMIT, "more than 16777216 rows");
    msfl_status status = add_number(&t->lines, line);
    if (status == MSFL_OK) t->n_rows++;
    return status;
}

static char find_separator(const parser *p) {
    size_t n = 0;
    size_t left = (size_t)(p->end - p->at);
    while (n < left && p->at[n] != '\n')
        n++;
    if (memchr(p->at, ',', n) != NULL) return ',';
    if (memchr(p->at, ';', n) != NULL) return ';';
    return memchr(p->at, '\t', n) != NULL ? '\t' : ',';
}

msfl_status msfl_csv_parse(const char *name, uint8_t *bytes, size_t length, msfl_csv **out) {
    *out = NULL;
    msfl_csv *table = msfl_alloc(1, sizeof *table);
    if (table == NULL) {
        msfl_free(bytes);
        return MSFL_ERR_MEMORY;
    }
    table->bytes = (char *)bytes;
    parser p = {.name = name, .at = table->bytes, .end = table->bytes + length, .line = 1, .column = 1, .table = table};
    msfl_status status = MSFL_OK;
    if (length > MSFL_CSV_BYTES_MAX) status = fail(&p, MSFL_ERR_LIMIT, "more than 1 GiB");
    if (length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) p.at += 3;
    if (length >= 2 && (memcmp(bytes, "\xff\xfe", 2) == 0 || memcmp(bytes, "\xfe\xff", 2) == 0)) {
        status = fail(&p, MSFL_ERR_FORMAT, "the file is UTF-16; save it as UTF-8");
    }
    if (status == MSFL_OK) p.separator = find_separator(&p);
    while (status == MSFL_OK && p.at < p.end)
        status = read_row(&p);
    if (status == MSFL_OK && table->n_columns == 0) status = fail(&p, MSFL_ERR_FORMAT, "an empty table");
    if (status != MSFL_OK) {
        msfl_csv_free(table);
        return status;
    }
    *out = table;
    return MSFL_OK;
}

uint32_t msfl_csv_rows(const msfl_csv *table) {
    return table->n_rows;
}

uint32_t msfl_csv_columns(const msfl_csv *table) {
    return table->n_columns;
}

const char *msfl_csv_heading(const msfl_csv *table, uint32_t column) {
    return table->bytes + number_at(&table->cells, column);
}

const char *msfl_csv_cell(const msfl_csv *table, uint32_t row, uint32_t column) {
    return table->bytes + number_at(&table->cells, ((size_t)row + 1) * table->n_columns + column);
}

uint32_t msfl_csv_line(const msfl_csv *table, uint32_t row) {
    return number_at(&table->lines, row);
}

uint32_t msfl_csv_find(const msfl_csv *table, const char *heading) {
    for (uint32_t i = 0; i < table->n_columns; i++) {
        if (strcasecmp(msfl_csv_heading(table, i), heading) == 0) return i;
    }
    return table->n_columns;
}
