/* Rows of one size that never move: what grows row by row without being copied, and without twice its own size. */
#ifndef MSFL_BASE_ROWS_H
#define MSFL_BASE_ROWS_H

#include "medsecurefl/status.h"

/** Rows of one block, as a power of two. */
enum { MSFL_ROWS_BITS = 9, MSFL_ROWS_BLOCK = 1 << MSFL_ROWS_BITS };

/** Zero-initialise; msfl_rows_clear when done. */
typedef struct msfl_rows {
    uint8_t **blocks;
    size_t n, n_blocks, capacity;
} msfl_rows;

/** Another row of `size` bytes, the same in every call; zeroed. NULL when out of memory, and nothing changes. It stays
 *  where it is until msfl_rows_clear. */
void *msfl_rows_add(msfl_rows *rows, size_t size);
void msfl_rows_clear(msfl_rows *rows);

/** Row `i` < n. */
static inline void *msfl_rows_at(const msfl_rows *rows, size_t i, size_t size) {
    return rows->blocks[i >> MSFL_ROWS_BITS] + (i & (MSFL_ROWS_BLOCK - 1)) * size;
}

#endif
