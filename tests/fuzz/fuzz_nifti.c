/* layer: image */
/* Whole NIfTI files, plain and packed; the second half of some inputs is the file of samples of a pair. */
#include "base/mem.h"
#include "image/nifti.h"
#include "image/picture.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3) return 0;
    bool pair = (data[0] & 1) != 0;
    size_t first = pair ? 1 + (size - 1) / 2 : size;
    uint8_t *copy = malloc(size);
    if (copy == NULL) return 0;
    memcpy(copy, data, size);
    FILE *file = fmemopen(copy + 1, first - 1, "rb"), *samples = NULL;
    if (pair && first < size) samples = fmemopen(copy + first, size - first, "rb");
    msfl_nifti nifti;
    msfl_image image = {0};
    msfl_alloc_peak_restart();
    uint64_t before = msfl_alloc_bytes();
    msfl_status status = file == NULL ? MSFL_ERR_MEMORY : msfl_nifti_read("fuzz", file, samples, &nifti, &image);
    /* What deflate can reach, and the reader's own blocks and tables. */
    if (msfl_alloc_bytes_peak() - before > (uint64_t)size * 1032 + (1 << 20)) abort();
    if (status == MSFL_OK) {
        uint64_t bytes = image.bits / 8 * image.channels;
        for (uint32_t i = 0; i < 7; i++)
            bytes *= nifti.dims[i];
        if (bytes != msfl_image_bytes(&image) || nifti.n_dims < 1 || nifti.n_dims > 7) abort();
        char axes[4];
        msfl_image_axes(&image, axes);
        uint64_t frames = msfl_image_frames(&image);
        if (frames * msfl_image_frame_samples(&image) < 1 << 16) {
            msfl_image picture = {0};
            if (image.width <= MSFL_IMAGE_SIDE_MAX && image.height <= MSFL_IMAGE_SIDE_MAX &&
                msfl_image_picture(&image, (uint32_t)frames - 1, &picture) != MSFL_OK) {
                abort();
            }
            msfl_image_clear(&picture);
            if (msfl_image_to_ras(&image) != MSFL_OK) abort();
        }
    } else if (image.samples != NULL) {
        abort();
    }
    msfl_image_clear(&image);
    if (file != NULL) fclose(file);
    if (samples != NULL) fclose(samples);
    free(copy);
    return 0;
}
