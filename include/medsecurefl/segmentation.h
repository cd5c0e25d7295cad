/* How well a mask covers what it should: overlap and distance. Layer: eval. */
#ifndef MEDSECUREFL_SEGMENTATION_H
#define MEDSECUREFL_SEGMENTATION_H

#include "medsecurefl/metrics.h"

MSFL_BEGIN_DECLS

enum { MSFL_MASK_VOXELS_MAX = 1 << 28 };

/** One structure in one picture or volume. NaN where a figure is not defined. */
typedef struct msfl_mask_score {
    double dice;        /**< 2 |A and B| / (|A| + |B|); NaN where neither has the class */
    double hausdorff95; /**< in the unit of `spacing`; NaN unless both have the class */
    uint64_t n_truth, n_found;
} msfl_mask_score;

/**
 * Compare where two label volumes (slices x height x width, C order) have `class_index`.
 *
 * The 95 % Hausdorff distance is the larger of two 95th percentiles (linear between neighbours): of the distances from
 * every surface voxel of one mask to the nearest surface voxel of the other, and the reverse (Maier-Hein et al. 2024).
 * A voxel is on the surface when one of its neighbours across a face is outside the mask or outside the volume; with a
 * single slice, in-plane neighbours count alone. Distances are Euclidean and exact (Felzenszwalb and Huttenlocher
 * 2012).
 *
 * @param shape    slices, height, width; MSFL_MASK_VOXELS_MAX voxels at most
 * @param spacing  between voxel centres in the same order, each positive
 * @retval MSFL_ERR_LIMIT  the volume is empty or too large, or a spacing is no positive number
 * On error `*out` is zeroed.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_mask_compare(const uint8_t *truth, const uint8_t *found,
                                                      const uint32_t shape[3], const double spacing[3],
                                                      uint32_t class_index, msfl_mask_score *out);

/** Mean of `n` values, NaN left out, with a 95 % percentile-bootstrap interval over the values (of patients, say);
 *  n_bootstrap 0, or fewer than two values: no interval, its ends are NaN. ERR_LIMIT above MSFL_BOOTSTRAP_MAX. */
MSFL_API MSFL_NODISCARD msfl_status msfl_mean_figure(const double *values, uint32_t n, uint32_t n_bootstrap,
                                                     uint64_t seed, msfl_figure *out);

MSFL_END_DECLS

#endif
