/* From the items of an array to the stored samples of a data set. */
#ifndef MSFL_DATASET_NPZ_PIXELS_H
#define MSFL_DATASET_NPZ_PIXELS_H

#include "base/threads.h"
#include "dataset/set.h"
#include "image/npz.h"

/** One array of images: part of a data set, from image `first` on. */
typedef struct msfl_npz_images {
    size_t index;        /**< of the array in the archive */
    const msfl_npy *npy; /**< 3 dimensions, or 4 with 1, 3 or 4 channels last */
    msfl_part part;
    uint32_t first, n;
} msfl_npz_images;

/** How items become samples, the same for all arrays of one data set. */
typedef struct msfl_pixel_map {
    uint32_t bits;
    double low, scale; /**< sample = (item - low) x scale; low 0 and scale 1: as it is */
} msfl_pixel_map;

/** Height, width and channels (1, 3, or 4 with alpha) of the pictures in an array; ERR_DATA or ERR_UNSUPPORTED, saying
 *  what it looks like, if these are not 2-D pictures. */
msfl_status msfl_npz_picture(const char *name, const msfl_npy *npy, uint32_t *height, uint32_t *width,
                             uint32_t *channels) MSFL_NODISCARD;

/**
 * uint8 and bool become 8 bits, uint16 16 bits, as they are. Other integers within 0..255 or 0..65535 likewise. All
 * else is scaled so that the smallest value of all arrays becomes 0 and the largest 65535; then `*conversion` receives
 * a sentence about it. Needs one pass over the data.
 */
msfl_status msfl_npz_pixel_map(msfl_npz *npz, const msfl_npz_images *arrays, size_t n_arrays,
                               const msfl_observer *observer, msfl_pixel_map *map, char **conversion) MSFL_NODISCARD;

/** Read, convert and resize the pictures of one array into `set`; sets broken[i] for those with a value that is not a
 *  finite number. */
msfl_status msfl_npz_pixels(msfl_dataset *set, msfl_npz *npz, const msfl_npz_images *array, const msfl_pixel_map *map,
                            msfl_pool *pool, msfl_progress *progress, bool *broken) MSFL_NODISCARD;

/** Masks of the pictures in `images` (whole numbers of 0 to 254; n x height x width, or one channel last), brought to
 * the data set's size by the nearest pixel. ERR_DATA if they are something else. */
msfl_status msfl_npz_masks(msfl_dataset *set, msfl_npz *npz, size_t index,
                           const msfl_npz_images *images) MSFL_NODISCARD;

/** For a set of `n` pictures without labels, the class with the most pixels in each mask, other than 0 where there is
 *  one: so that splits and partitions have something to go by. `*label_key` says so; free with msfl_free. */
msfl_status msfl_npz_mask_labels(const msfl_dataset *set, uint32_t n, msfl_texts *labels,
                                 char **label_key) MSFL_NODISCARD;

#endif
