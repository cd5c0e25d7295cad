/* One decoded picture: unsigned samples of 8 or 16 bits, row by row, channels interleaved (HWC). */
#ifndef MSFL_IMAGE_IMAGE_H
#define MSFL_IMAGE_IMAGE_H

#include "medsecurefl/status.h"

/** No side is longer and no picture larger than this; a header that claims more is refused before anything is
 *  allocated. The largest detectors (digital mammography, long-leg films) stay below. */
enum { MSFL_IMAGE_SIDE_MAX = 16384, MSFL_IMAGE_PIXELS_MAX = 64 << 20 };

/** Largest picture file that is read. */
enum { MSFL_IMAGE_FILE_BYTES_MAX = 512 << 20 };

typedef enum msfl_image_format {
    MSFL_FORMAT_NONE, /**< neither PNG nor JPEG */
    MSFL_FORMAT_PNG,
    MSFL_FORMAT_JPEG
} msfl_image_format;

/** What the header of a file says, after the conversions that the reader makes (palette to grey or RGB, no alpha). */
typedef struct msfl_image_header {
    uint32_t width, height;
    uint32_t channels; /**< 1 or 3 */
    uint32_t bits;     /**< 8 or 16 */
    msfl_image_format format;
} msfl_image_header;

/** Zero-initialise; msfl_image_clear when done. */
typedef struct msfl_image {
    uint32_t width, height, channels, bits;
    void *samples; /**< height x width x channels of uint8_t or uint16_t */
} msfl_image;

/** ERR_LIMIT, with `name` and the limits in the message, when a picture of this size is not accepted; ERR_FORMAT when a
 *  side is 0. */
msfl_status msfl_image_check_size(const char *name, uint64_t width, uint64_t height) MSFL_NODISCARD;

/** Fill `out` with a black picture. The size must have been checked. */
msfl_status msfl_image_new(uint32_t width, uint32_t height, uint32_t channels, uint32_t bits,
                           msfl_image *out) MSFL_NODISCARD;
void msfl_image_clear(msfl_image *image);

/**
 * The picture in another size, number of channels and depth, written to `out` (height x width x channels of uint8_t or
 * uint16_t by `bits`).
 *
 * Per axis: smaller by averaging over the area that a new pixel covers, larger by linear interpolation between pixel
 * centres (edges repeat), equal by copying. The whole picture is stretched to the new size, whatever its proportions.
 * RGB to grey is Rec. 601 luma (0.299, 0.587, 0.114); grey to RGB repeats. Full scale maps to full scale (255 <->
 * 65535). All of it in float, rounded once at the end.
 */
msfl_status msfl_image_fit(const msfl_image *in, uint32_t width, uint32_t height, uint32_t channels, uint32_t bits,
                           void *out) MSFL_NODISCARD;

#endif
