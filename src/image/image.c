#include "image/image.h"

#include "base/error.h"
#include "base/mem.h"

msfl_status msfl_image_check_size(const char *name, uint64_t width, uint64_t height) {
    if (width == 0 || height == 0) return msfl_fail(MSFL_ERR_FORMAT, "%s: a picture without pixels", name);
    if (width > MSFL_IMAGE_SIDE_MAX || height > MSFL_IMAGE_SIDE_MAX || width * height > MSFL_IMAGE_PIXELS_MAX) {
        return msfl_fail(
            MSFL_ERR_LIMIT,
            "%s: %llu x %llu pixels; at most %d a side and %d million in all are accepted: make the picture "
            "smaller first",
            name, (unsigned long long)width, (unsigned long long)height, MSFL_IMAGE_SIDE_MAX,
            MSFL_IMAGE_PIXELS_MAX / 1000000);
    }
    return MSFL_OK;
}

msfl_status msfl_image_new(uint32_t width, uint32_t height, uint32_t channels, uint32_t bits, msfl_image *out) {
    *out = (msfl_image){width, height, channels, bits, NULL};
    out->samples = msfl_alloc((size_t)width * height * channels, bits / 8);
    if (out->samples == NULL) {
        *out = (msfl_image){0};
        return MSFL_ERR_MEMORY;
    }
    return MSFL_OK;
}

void msfl_image_clear(msfl_image *image) {
    msfl_free(image->samples);
    *image = (msfl_image){0};
}
