/* Values of one channel in space: what the steps of a recipe work on. */
#ifndef MSFL_RECIPE_VOLUME_H
#define MSFL_RECIPE_VOLUME_H

#include "image/image.h"

/** Zero-initialise; msfl_volume_clear when done. A picture is a volume of one slice. */
typedef struct msfl_volume {
    float *values;       /**< slice by slice, row by row */
    uint32_t sides[3];   /**< columns, rows, slices */
    double spacing[3];   /**< mm; 0: not known */
    bool placed;         /**< the affine is known, or assumed */
    bool assumed;        /**< the header has none: NIfTI's convention for such files */
    double affine[3][4]; /**< (column, row, slice, 1) to mm to the Right, Anterior, Superior */
} msfl_volume;

void msfl_volume_clear(msfl_volume *v);
size_t msfl_volume_count(const msfl_volume *v);

/** Room for `sides`, zeroed; spacing and place are copied from `like` (may be NULL). ERR_LIMIT above
 *  MSFL_VOLUME_BYTES_MAX. */
msfl_status msfl_volume_new(const uint32_t sides[3], const msfl_volume *like, msfl_volume *out) MSFL_NODISCARD;

/** What the values of a file become. */
typedef enum msfl_values {
    MSFL_VALUES_MEASURED, /**< rescaled as the header says; MONOCHROME1 turned within what its bits can express */
    MSFL_VALUES_DISPLAY,  /**< the picture that is looked at (msfl_image_picture), 0 to 1 */
    MSFL_VALUES_LABELS    /**< a mask: as stored, whole numbers of 0 to 255 */
} msfl_values;

/**
 * The first volume of `image` (the others in sequence are left aside), one channel: colours become grey (Rec. 601)
 * unless `colour` 0 to 2 chooses one of RGB; -1: grey. With `middle_only`, of several frames the middle one.
 * ERR_NUMERIC if a value is not finite; ERR_DATA if a mask has other values than whole numbers of 0 to 255.
 */
msfl_status msfl_volume_of(const char *name, const msfl_image *image, msfl_values values, int colour, bool middle_only,
                           msfl_volume *out) MSFL_NODISCARD;

/** Turn and mirror so that columns, rows and slices run to these sides, as nearly as exchanging and reversing axes can
 *  (nibabel's as_closest_canonical for RAS). ERR_DATA if the place is not known. */
msfl_status msfl_volume_orient(const char *name, msfl_volume *v, const char axes[4]) MSFL_NODISCARD;

/** The same extent in voxels of `spacing`: round(n x old / new) of them (at least one) on each axis, about the same
 *  middle. `n_axes` 2 leaves slices alone. ERR_DATA if the spacing is not known. */
msfl_status msfl_volume_resample(const char *name, msfl_volume *v, const double spacing[3], uint32_t n_axes,
                                 bool nearest) MSFL_NODISCARD;

/** Bring `v` to the grid of `like`: by their places, or as it is, at `like`'s place, where one of the places is not
 * known or only assumed and the sides agree; fill with the smallest value (0 for `nearest`, that is masks).
 * ERR_MISMATCH if neither, or if they do not meet. */
msfl_status msfl_volume_align(const char *name, msfl_volume *v, const msfl_volume *like, bool nearest) MSFL_NODISCARD;

/** Crop or pad each axis to `size` so that voxel `middle` (in halves: twice its place) lies in the middle. */
msfl_status msfl_volume_fit(msfl_volume *v, const uint32_t size[3], const int64_t middle2[3],
                            float fill) MSFL_NODISCARD;

/** Bring columns and rows (and slices, where size[2] differs) to `size`: smaller by averaging over the area that a new
 *  voxel covers, larger by linear interpolation between centres; `nearest` takes the value at the new centre. */
msfl_status msfl_volume_resize(msfl_volume *v, const uint32_t size[3], bool nearest) MSFL_NODISCARD;

#endif
