/* Picture files, whatever their format. */
#ifndef MSFL_IMAGE_DECODE_H
#define MSFL_IMAGE_DECODE_H

#include "image/image.h"

/** Format by the first bytes, not by the name. */
msfl_image_format msfl_image_sniff(const uint8_t *bytes, size_t length);

/** Whether a name ends as picture files do (.png, .jpg, .jpeg, .jpe, .jfif, in any case). */
bool msfl_image_has_picture_name(const char *name);

/** Size and depth of a picture file; reads no more of it than needed. `path` stands in the messages. */
msfl_status msfl_image_probe(const char *path, msfl_image_header *out) MSFL_NODISCARD;

/** Decode a picture file. ERR_FORMAT when it is neither PNG nor JPEG, or damaged; errors of msfl_png_read and
 *  msfl_jpeg_read. On any error `out` is unchanged. */
msfl_status msfl_image_read(const char *path, msfl_image *out) MSFL_NODISCARD;

#endif
