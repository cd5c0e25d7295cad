/* Some images of a data set, bunched by patient: what split and partition move about. */
#ifndef MSFL_DATASET_BUNCHES_H
#define MSFL_DATASET_BUNCHES_H

#include "dataset/set.h"

/** Zero-initialise; msfl_bunches_clear when done. Bunches are in the order of their group numbers. */
typedef struct msfl_bunches {
    uint32_t n, n_images;
    uint32_t *first;      /**< n + 1 places in `images` */
    uint32_t *images;     /**< bunch by bunch, ascending within */
    uint32_t *main_class; /**< the class most images of the bunch have; the lower one when equal */
} msfl_bunches;

/** ERR_USAGE when `images` names an image that is not there or one twice. */
msfl_status msfl_bunches_new(const msfl_dataset *set, const msfl_indices *images, msfl_bunches *out) MSFL_NODISCARD;
void msfl_bunches_clear(msfl_bunches *b);

static inline uint32_t msfl_bunch_size(const msfl_bunches *b, uint32_t i) {
    return b->first[i + 1] - b->first[i];
}

/** From the part number of each bunch (below n_parts) to one sorted list of images per part. */
msfl_status msfl_bunches_deal(const msfl_bunches *b, const uint32_t *part_of, uint32_t n_parts,
                              msfl_indices *out) MSFL_NODISCARD;

#endif
