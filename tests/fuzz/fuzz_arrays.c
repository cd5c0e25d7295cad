/* layer: import */
/* Volumes out of .npz files, whose checksums of stored entries are put right first: an error, or volumes of the sides
 * that were named, in order, whose content does not change between two looks. */
#include "archive.h"
#include "base/mem.h"
#include "import/arrays.h"

#include <stdlib.h>
#include <string.h>

static msfl_status look(msfl_arrays *arrays, size_t n) {
    msfl_status status = MSFL_OK;
    for (size_t slot = 0; slot < n; slot++) {
        for (uint32_t k = 0; k < msfl_arrays_n(arrays) && status == MSFL_OK; k++) {
            uint8_t hash[2][MSFL_HASH_BYTES];
            msfl_image image = {0};
            msfl_arrays_content(arrays, slot, k, hash[0]);
            status = msfl_arrays_image(arrays, slot, k, &image);
            msfl_arrays_content(arrays, slot, k, hash[1]);
            if (memcmp(hash[0], hash[1], sizeof hash[0]) != 0) abort();
            if (status == MSFL_OK && (image.width == 0 || image.height == 0 || image.depth == 0)) abort();
            msfl_image_clear(&image);
        }
    }
    return status;
}

static void read_all(msfl_arrays *arrays, const msfl_items *items) {
    size_t most = 2;
    msfl_status status = msfl_arrays_room(arrays, &most);
    if (items->n == 0 || items->labels.texts.n == 0) abort();
    for (size_t i = 0; i < items->n && status == MSFL_OK; i += most) {
        size_t n = items->n - i < most ? items->n - i : most;
        status = msfl_arrays_hold(arrays, items->list + i, n);
        if (status == MSFL_OK) status = look(arrays, n);
    }
    if (status == MSFL_OK) status = msfl_arrays_end(arrays);
    (void)status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const msfl_recipe recipes[2] = {{.volumes = true},
                                           {.volumes = true, .n_sequences = 2, .sequences = {"a", "b"}}};
    const char *path = mended_file(data, size);
    for (int k = 0; k < 4; k++) {
        const msfl_items_options options = {.data = path, .masks = k % 2 == 1 ? "mask" : NULL};
        msfl_items items = {0};
        msfl_arrays *arrays = NULL;
        if (msfl_arrays_open(&options, &recipes[k / 2], &arrays, &items) == MSFL_OK) {
            read_all(arrays, &items);
        } else if (arrays != NULL || items.list != NULL) {
            abort();
        }
        msfl_arrays_free(arrays);
        msfl_items_clear(&items);
    }
    return 0;
}
