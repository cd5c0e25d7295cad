/* Shim for libjpeg-turbo: reads baseline and progressive JPEG of 8 bits, from memory. */
#ifndef MSFL_IMAGE_JPEG_H
#define MSFL_IMAGE_JPEG_H

#include "image/image.h"

/** As msfl_png_header. */
msfl_status msfl_jpeg_header(const char *name, const uint8_t *bytes, size_t length, uint64_t file_bytes,
                             msfl_image_header *out) MSFL_NODISCARD;

/**
 * Decode a whole file to grey or RGB. An orientation tag is not applied.
 * ERR_FORMAT for anything damaged or cut short (libjpeg would fill up with grey and warn); ERR_LIMIT by
 * msfl_image_check_size; ERR_UNSUPPORTED for CMYK, arithmetic coding and more than 8 bits.
 */
msfl_status msfl_jpeg_read(const char *name, const uint8_t *bytes, size_t length, msfl_image *out) MSFL_NODISCARD;

#endif
