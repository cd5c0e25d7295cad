/* What each hospital holds when one data set is dealt out to several: the simulator's way, and an experiment's in which
 * every process takes its own part of a common data set. */
#ifndef MSFL_DATASET_DEAL_H
#define MSFL_DATASET_DEAL_H

#include "medsecurefl/dataset.h"

/** One hospital's images: disjoint sorted lists of indices into the data set, patients whole. Zero-initialise. */
typedef struct msfl_holding {
    msfl_indices train, validation;
    uint32_t n_patients; /**< of both */
} msfl_holding;

void msfl_holding_clear(msfl_holding *holding);

/**
 * Deal training and validation images of `split` out to `n` hospitals by `partition` (msfl_dataset_partition), and part
 * what each was dealt as the split has parted it. `holdings`: n of them, zeroed; cleared on error. A hospital without
 * images to train on is ERR_DATA, naming it.
 */
msfl_status msfl_dataset_deal(const msfl_dataset *dataset, const msfl_split *split, const char *partition, uint32_t n,
                              uint64_t seed, msfl_holding *holdings) MSFL_NODISCARD;

/**
 * A list of images of which there are a multiple of `of` (1 or more): all but the few that are over, drawn once for so
 * many images and the same for every job, in no order. Empty where there are fewer than `of`. msfl_indices_clear.
 */
msfl_status msfl_dataset_keep_multiple(const msfl_dataset *dataset, uint32_t of, msfl_indices *out) MSFL_NODISCARD;
/** msfl_dataset_split of these images alone, as if the others were not there; each stands once in `among`. */
msfl_status msfl_dataset_split_among(const msfl_dataset *dataset, const msfl_indices *among, double test_fraction,
                                     double validation_fraction, uint64_t seed, msfl_split *out) MSFL_NODISCARD;
/** All of a split's training and validation images as one hospital's. */
msfl_status msfl_dataset_hold_all(const msfl_dataset *dataset, const msfl_split *split,
                                  msfl_holding *holding) MSFL_NODISCARD;

/** Hospital `index`'s part of `images` (the test images, say) among `n`: patients whole, in turn. Disjoint for
 * different indices; together they are `images`. */
msfl_status msfl_dataset_take_turns(const msfl_dataset *dataset, const msfl_indices *images, uint32_t n, uint32_t index,
                                    msfl_indices *out) MSFL_NODISCARD;

#endif
