/* layer: dataset */
/* labels.csv: every cell that comes out lies within the table and is closed. */
#include "base/mem.h"
#include "dataset/csv.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *bytes = msfl_alloc(size + 1, 1);
    msfl_csv *table = NULL;
    if (bytes == NULL) return 0;
    memcpy(bytes, data, size);
    if (msfl_csv_parse("fuzz", bytes, size, &table) != MSFL_OK) return 0;
    size_t total = 0;
    for (uint32_t row = 0; row < msfl_csv_rows(table); row++) {
        for (uint32_t column = 0; column < msfl_csv_columns(table); column++)
            total += strlen(msfl_csv_cell(table, row, column)) + 1;
        if (row > 0 && msfl_csv_line(table, row) <= msfl_csv_line(table, row - 1)) abort();
    }
    /* Each cell costs at least the byte that ended it. */
    if (total > size + 1) abort();
    msfl_csv_free(table);
    return 0;
}
