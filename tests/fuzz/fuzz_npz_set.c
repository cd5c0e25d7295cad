/* layer: dataset */
/* Whole data sets out of .npz files, whose checksums of stored entries are put right first. */
#include "archive.h"
#include "base/mem.h"
#include "medsecurefl/dataset.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *path = mended_file(data, size);
    const msfl_dataset_options options = {.width = 3, .height = 4, .n_threads = 1};
    msfl_dataset *set = NULL;
    if (msfl_dataset_open(path, &options, &set) != MSFL_OK) {
        if (set != NULL) abort();
        return 0;
    }
    const msfl_dataset_info *info = msfl_dataset_info_borrow(set);
    float pixels[3 * 4 * 3];
    for (uint32_t i = 0; i < info->n_images; i++) {
        if (msfl_dataset_label(set, i) >= info->n_classes || msfl_dataset_group(set, i) >= info->n_groups) abort();
        if (msfl_dataset_pixels(set, i, NULL, 0, pixels) != MSFL_OK) abort();
    }
    msfl_split split;
    if (msfl_dataset_split(set, 0.3, 0.2, 1, &split) == MSFL_OK) {
        if (split.train.n + split.validation.n + split.test.n != info->n_images) abort();
        msfl_split_clear(&split);
    }
    msfl_dataset_free(set);
    return 0;
}
