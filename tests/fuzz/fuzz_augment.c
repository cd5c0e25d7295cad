/* layer: dataset */
/* Augmentation in words: refused, or within bounds that an image survives. */
#include "base/mem.h"
#include "dataset/augment.h"
#include "dataset/pixels.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { SIDE = 6 };
    static const uint8_t picture[SIDE * SIDE] = {9, 200, 3};
    float pixels[SIDE * SIDE];
    uint32_t mask[SIDE * SIDE];
    msfl_augment a;
    char *text = msfl_strndup((const char *)data, size);
    if (text == NULL) return 0;
    if (msfl_augment_parse(text, &a) == MSFL_OK) {
        if (msfl_augment_check(&a) != MSFL_OK) abort();
        if (msfl_pixels_augment(picture, 8, SIDE, SIDE, 1, &a, size, 0, pixels) != MSFL_OK) abort();
        msfl_mask_augment(picture, SIDE, SIDE, &a, size, mask);
        for (int i = 0; i < SIDE * SIDE; i++) {
            if (!(pixels[i] > -5 && pixels[i] < 5)) abort();
        }
    }
    msfl_free(text);
    return 0;
}
