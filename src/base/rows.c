#include "base/rows.h"

#include "base/mem.h"

void *msfl_rows_add(msfl_rows *rows, size_t size) {
    if (rows->n == rows->n_blocks << MSFL_ROWS_BITS) {
        void *blocks = rows->blocks;
        msfl_status status = msfl_grow(&blocks, &rows->capacity, rows->n_blocks + 1, sizeof *rows->blocks);
        rows->blocks = blocks;
        uint8_t *block = status == MSFL_OK ? msfl_alloc(MSFL_ROWS_BLOCK, size) : NULL;
        if (block == NULL) return NULL;
        rows->blocks[rows->n_blocks++] = block;
    }
    return msfl_rows_at(rows, rows->n++, size);
}

void msfl_rows_clear(msfl_rows *rows) {
    for (size_t i = 0; i < rows->n_blocks; i++)
        msfl_free(rows->blocks[i]);
    msfl_free(rows->blocks);
    *rows = (msfl_rows){0};
}
