/* layer: image */
/* PNG files whose checksums are put right first, so that what is inside the chunks is reached. */
#include "../unit/image/crc.h"
#include "image/png.h"

#include <stdlib.h>
#include <string.h>

static void mend(uint8_t *p, size_t n) {
    for (size_t at = 8; at + 12 <= n;) {
        size_t length = (size_t)p[at] << 24 | (size_t)p[at + 1] << 16 | (size_t)p[at + 2] << 8 | p[at + 3];
        if (length > n - at - 12) return;
        uint32_t crc = crc_of(p + at + 4, length + 4);
        for (int k = 0; k < 4; k++)
            p[at + 8 + length + (size_t)k] = (uint8_t)(crc >> (24 - 8 * k));
        at += 12 + length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size + 1);
    if (copy == NULL) return 0;
    memcpy(copy, data, size);
    mend(copy, size);
    msfl_image_header h = {0};
    msfl_image image = {0};
    msfl_status header = msfl_png_header("fuzz", copy, size, size, &h);
    msfl_status status = msfl_png_read("fuzz", copy, size, &image);
    if (status == MSFL_OK) {
        if (header != MSFL_OK || h.width != image.width || h.height != image.height || h.bits != image.bits ||
            h.channels != image.channels) {
            abort();
        }
        uint8_t out[8 * 8 * 3 * 2];
        if (msfl_image_fit(&image, 8, 8, 3, 16, out) != MSFL_OK) abort();
    } else if (image.samples != NULL) {
        abort();
    }
    msfl_image_clear(&image);
    free(copy);
    return 0;
}
