/* layer: image */
#include "image/npy.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    msfl_npy npy;
    if (msfl_npy_parse("fuzz", data, size, &npy) != MSFL_OK) return 0;
    uint64_t items = 1;
    for (uint32_t i = 0; i < npy.n_dims; i++)
        items *= npy.dims[i];
    if (items != npy.n_items || npy.data_bytes != items * npy.item_bytes || npy.header_bytes > size ||
        npy.item_bytes == 0) {
        abort();
    }
    char shape[200], text[MSFL_NPY_TEXT_BYTES];
    msfl_npy_shape_text(&npy, shape);
    if (size - npy.header_bytes < npy.item_bytes) return 0;
    msfl_npy_text(&npy, data + npy.header_bytes, text);
    if (npy.kind != 'S' && npy.kind != 'U') (void)msfl_npy_number(&npy, data + npy.header_bytes);
    return 0;
}
