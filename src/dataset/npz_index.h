/* What stands beside the images in an .npz file: which arrays are what, labels, patients. */
#ifndef MSFL_DATASET_NPZ_INDEX_H
#define MSFL_DATASET_NPZ_INDEX_H

#include "dataset/labels.h"
#include "dataset/npz_pixels.h"

enum { MSFL_NPZ_PARTS_MAX = 3 };

/** Zero-initialise; msfl_npz_index_clear when done. */
typedef struct msfl_npz_index {
    const char *source; /**< the file, for messages */
    const msfl_dataset_options *options;
    const char *kind; /**< "npz" or "npz-medmnist" */
    msfl_npz *npz;
    msfl_npz_images arrays[MSFL_NPZ_PARTS_MAX]; /**< train, val and test of MedMNIST's layout, else one */
    size_t n_arrays;
    size_t label_arrays[MSFL_NPZ_PARTS_MAX], group_arrays[MSFL_NPZ_PARTS_MAX], mask_arrays[MSFL_NPZ_PARTS_MAX];
    bool has_label_arrays, has_group_arrays, has_masks;
    uint32_t n; /**< images of all parts; set by whoever describes them */
    msfl_labels table;
    msfl_texts labels, keys; /**< one for each image */
    msfl_texts classes;      /**< the column "class" of labels.csv, or empty */
    char *label_key, *group_key;
} msfl_npz_index;
void msfl_npz_index_clear(msfl_npz_index *ix);

/** Open the file and find its arrays: MedMNIST's, or x (`images` names another; NULL: x, X, images), y, group, masks.
 *  What the options name must be there. `ix` has source and options. */
msfl_status msfl_npz_index_open(msfl_npz_index *ix, const char *images) MSFL_NODISCARD;

/** Once `n` and the arrays' parts are known: the table that describes them, labels and patients. `set` (may be NULL)
 *  has the masks that images without labels count by; without it they are all of one class. */
msfl_status msfl_npz_index_texts(msfl_npz_index *ix, const msfl_dataset *set) MSFL_NODISCARD;

/** ERR_DATA: "file: what; the file holds x (100, 28, 28), y (100,)". */
msfl_status msfl_npz_index_fail(const msfl_npz_index *ix, const char *what) MSFL_NODISCARD;

/** Labels that are numbers, under the names that the table's column "class" gives them: where each number has exactly
 *  one of them and the other way round; else the table speaks of other labels, and they stay. */
msfl_status msfl_npz_index_names(msfl_npz_index *ix) MSFL_NODISCARD;

#endif
