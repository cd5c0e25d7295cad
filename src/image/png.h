/* Shim for libpng: reads PNG of every colour type and depth, from memory. */
#ifndef MSFL_IMAGE_PNG_H
#define MSFL_IMAGE_PNG_H

#include "image/image.h"

/**
 * Read only the header. `bytes` may be just the beginning of a file of `file_bytes`; ERR_FORMAT then may mean that more
 * of it is needed. `name` stands in the messages.
 */
msfl_status msfl_png_header(const char *name, const uint8_t *bytes, size_t length, uint64_t file_bytes,
                            msfl_image_header *out) MSFL_NODISCARD;

/**
 * Decode a whole file: 1 to 16 bits, palette, interlaced. Fewer than 8 bits become 8, 16 stay 16. A palette of greys
 * gives one channel, another gives RGB. Alpha is laid onto black. Gamma and colour profiles are not applied: samples
 * are taken as they stand.
 * ERR_FORMAT for anything damaged, cut short or with a wrong checksum; ERR_LIMIT by msfl_image_check_size, or when so
 * few bytes cannot hold so many pixels.
 */
msfl_status msfl_png_read(const char *name, const uint8_t *bytes, size_t length, msfl_image *out) MSFL_NODISCARD;

#endif
