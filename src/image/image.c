#include "image/image.h"

#include "base/error.h"
#include "base/mem.h"

const char *msfl_image_format_name(msfl_image_format format) {
    static const char *const names[] = {"", "PNG", "JPEG", "DICOM", "NIfTI", "NPY", "NPZ"};
    return (unsigned)format < sizeof names / sizeof names[0] ? names[format] : "";
}

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
    *out = (msfl_image){.width = width,
                        .height = height,
                        .channels = channels,
                        .bits = bits,
                        .bits_stored = bits,
                        .depth = 1,
                        .times = 1,
                        .colour = channels == 3 ? MSFL_COLOUR_RGB : MSFL_COLOUR_GREY,
                        .rescale = {1, 0}};
    out->samples = msfl_alloc((size_t)width * height * channels, bits / 8);
    if (out->samples == NULL) {
        *out = (msfl_image){0};
        return MSFL_ERR_MEMORY;
    }
    return MSFL_OK;
}

msfl_status msfl_image_allocate(const char *name, msfl_image *image) {
    uint64_t bytes = image->bits / 8;
    const uint32_t sides[] = {image->channels, image->width, image->height, image->depth, image->times};
    for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
        if (sides[i] == 0) return msfl_fail(MSFL_ERR_FORMAT, "%s: an image without pixels", name);
        if (sides[i] > MSFL_VOLUME_BYTES_MAX / bytes) {
            return msfl_fail(MSFL_ERR_LIMIT,
                             "%s: %u x %u x %u x %u samples of %u bits and %u channels; at most %llu MiB are accepted",
                             name, image->width, image->height, image->depth, image->times, image->bits,
                             image->channels, (unsigned long long)(MSFL_VOLUME_BYTES_MAX >> 20));
        }
        bytes *= sides[i];
    }
    image->samples = msfl_alloc((size_t)bytes, 1);
    return image->samples == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
}

void msfl_image_clear(msfl_image *image) {
    msfl_free(image->samples);
    msfl_free(image->rescales);
    for (int i = 0; i < 3; i++)
        msfl_free(image->palette[i].values);
    msfl_free(image->modality.values);
    msfl_free(image->voi.values);
    *image = (msfl_image){0};
}

const char *msfl_image_dtype(const msfl_image *image) {
    static const char *const names[3][4] = {
        {"uint8", "uint16", "uint32", "uint64"}, {"int8", "int16", "int32", "int64"}, {"", "", "float32", "float64"}};
    int size = image->bits == 8 ? 0 : image->bits == 16 ? 1 : image->bits == 32 ? 2 : 3;
    return names[image->kind][size];
}

uint32_t msfl_image_frames(const msfl_image *image) {
    return image->depth * image->times; /* at most MSFL_VOLUME_BYTES_MAX, which is below 2^32 */
}

size_t msfl_image_frame_samples(const msfl_image *image) {
    return (size_t)image->width * image->height * image->channels;
}

uint64_t msfl_image_bytes(const msfl_image *image) {
    return (uint64_t)msfl_image_frames(image) * msfl_image_frame_samples(image) * (image->bits / 8);
}

double msfl_image_sample(const msfl_image *image, size_t i) {
    const void *s = image->samples;
    switch (image->bits + (uint32_t)image->kind) {
    case 8 + MSFL_SAMPLES_UNSIGNED:
        return ((const uint8_t *)s)[i];
    case 8 + MSFL_SAMPLES_SIGNED:
        return ((const int8_t *)s)[i];
    case 16 + MSFL_SAMPLES_UNSIGNED:
        return ((const uint16_t *)s)[i];
    case 16 + MSFL_SAMPLES_SIGNED:
        return ((const int16_t *)s)[i];
    case 32 + MSFL_SAMPLES_UNSIGNED:
        return ((const uint32_t *)s)[i];
    case 32 + MSFL_SAMPLES_SIGNED:
        return ((const int32_t *)s)[i];
    case 32 + MSFL_SAMPLES_FLOAT:
        return (double)((const float *)s)[i];
    case 64 + MSFL_SAMPLES_UNSIGNED:
        return (double)((const uint64_t *)s)[i];
    case 64 + MSFL_SAMPLES_SIGNED:
        return (double)((const int64_t *)s)[i];
    default:
        return ((const double *)s)[i];
    }
}

uint16_t msfl_table_entry(const msfl_table *table, double value) {
    double at = value - table->first;
    /* Also takes what is not a number to the first entry. */
    if (!(at > 0)) return table->values[0];
    return table->values[at >= table->n ? table->n - 1 : (uint32_t)at];
}

double msfl_image_rescaled(const msfl_image *image, uint32_t frame, double stored) {
    if (image->modality.n > 0) return msfl_table_entry(&image->modality, stored);
    const msfl_rescale *r = image->rescales != NULL ? &image->rescales[frame] : &image->rescale;
    return r->slope * stored + r->intercept;
}
