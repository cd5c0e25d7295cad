/* layer: image */
#include "image/jpeg.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    msfl_image_header h = {0};
    msfl_image image = {0};
    msfl_status header = msfl_jpeg_header("fuzz", data, size, size, &h);
    msfl_status status = msfl_jpeg_read("fuzz", data, size, &image);
    if (status == MSFL_OK) {
        if (header != MSFL_OK || h.width != image.width || h.height != image.height || h.channels != image.channels) {
            abort();
        }
        uint8_t out[8 * 8];
        if (msfl_image_fit(&image, 8, 8, 1, 8, out) != MSFL_OK) abort();
    } else if (image.samples != NULL) {
        abort();
    }
    msfl_image_clear(&image);
    return 0;
}
