/* layer: image */
#include "base/mem.h"
#include "image/npz.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { BYTES_MAX = 1 << 20 };
    msfl_npz *npz = NULL;
    if (msfl_npz_open_bytes("fuzz", data, size, &npz) != MSFL_OK) {
        if (npz != NULL) abort();
        return 0;
    }
    for (size_t i = 0; i < msfl_npz_n(npz); i++) {
        const msfl_npy *npy;
        if (msfl_npz_describe(npz, i, &npy) != MSFL_OK) continue;
        /* What deflate can have packed into so many bytes, and its headers. */
        if (npy->data_bytes / 1033 > size) abort();
        uint8_t *bytes;
        if (msfl_npz_data(npz, i, BYTES_MAX, &bytes) != MSFL_OK) continue;
        for (uint64_t k = 0; k < npy->n_items && k < 100; k++) {
            char text[MSFL_NPY_TEXT_BYTES];
            msfl_npy_text(npy, bytes + k * npy->item_bytes, text);
        }
        msfl_free(bytes);
    }
    msfl_npz_free(npz);
    return 0;
}
