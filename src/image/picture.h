/* From what a file stores to what is looked at and trained on: one frame, unsigned, grey or RGB. */
#ifndef MSFL_IMAGE_PICTURE_H
#define MSFL_IMAGE_PICTURE_H

#include "image/image.h"

/** Size, channels and depth of the picture that msfl_image_picture makes; `image` needs no samples. */
void msfl_image_picture_shape(const msfl_image *image, msfl_image_header *out);

/**
 * Frame `frame` of depth x times as a picture.
 *
 * Colours become RGB of their own depth, a palette its entries, RGBA is laid onto black. Grey of at most 8 bits without
 * rescale, window or table stays as it is, stretched to 8 bits. Other grey becomes 16 bits: rescaled, then by the VOI
 * table or window; without those, the range that the stored bits can express maps to 0..65535, so that the mapping does
 * not depend on what is in the picture; floats and integers of more than 16 bits, which fill no such range, go from the
 * smallest to the largest value of all frames. MONOCHROME1 is inverted last. Of complex numbers the modulus counts.
 */
msfl_status msfl_image_picture(const msfl_image *image, uint32_t frame, msfl_image *out) MSFL_NODISCARD;

/** RGB of a stored colour sample (3 or 4 channels, or one palette index) of an image with colours, in its own scale. */
void msfl_image_rgb(const msfl_image *image, size_t pixel, double rgb[3]);

/**
 * Turn and mirror a volume so that columns run to the Right, rows to the Anterior and slices to the Superior side, as
 * nearly as exchanging and reversing axes can; the affine follows. A volume without an affine stays as it is.
 */
msfl_status msfl_image_to_ras(msfl_image *image) MSFL_NODISCARD;

/** For each of R, A, S: which axis of the image runs along it, and whether against it. Axes of the image choose in
 * their order, as in nibabel's orientations. */
void msfl_image_match_axes(const double affine[3][4], uint32_t axis[3], bool reversed[3]);

/** The letters of the sides that columns, rows and slices run to, as "LPS"; "" without an affine. */
void msfl_image_axes(const msfl_image *image, char letters[4]);

#endif
