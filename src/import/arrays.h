/* Volumes in the arrays of an .npz file, some at a time: an archive can only be read from front to back. */
#ifndef MSFL_IMPORT_ARRAYS_H
#define MSFL_IMPORT_ARRAYS_H

#include "image/image.h"
#include "import/items.h"

typedef struct msfl_arrays msfl_arrays;

/**
 * Open a file of volumes: x of N x A x B x C numbers (or MedMNIST's train_images and so on, or an array for each of the
 * recipe's sequences), labels, patients and a table as for pictures, and masks where `options->masks` names an array of
 * the same shape. A volume's axes are its columns, rows and slices, as nibabel hands volumes out.
 *
 * Text in an array "axes" says which sides the three run to (three letters, one each of R or L, A or P, S or I; without
 * it RAS), an array "spacing" of 3 or N x 3 numbers how many mm apart its values are (without it 1).
 *
 * `items` receives one item for each volume that has a label; `first` is the volume's number. `recipe` and the texts in
 * `options` must outlive `*out`. ERR_DATA, ERR_UNSUPPORTED, saying what the array looks like, for anything else.
 */
msfl_status msfl_arrays_open(const msfl_items_options *options, const msfl_recipe *recipe, msfl_arrays **out,
                             msfl_items *items) MSFL_NODISCARD;
void msfl_arrays_free(msfl_arrays *a);

/** Make room to hold as many volumes as fit into MSFL_ARRAYS_HELD_BYTES, at least one and at most `*n`; `*n` receives
 *  how many. ERR_LIMIT where one volume of each array is more than the machine's memory can hold. */
enum { MSFL_ARRAYS_HELD_BYTES = 256 << 20 };
msfl_status msfl_arrays_room(msfl_arrays *a, size_t *n) MSFL_NODISCARD;

/** Read on to the volumes of `n` items, in their order: behind those that were held before, which are lost. */
msfl_status msfl_arrays_hold(msfl_arrays *a, const msfl_item *items, size_t n) MSFL_NODISCARD;
/** Read what is left behind the last item: only then have the archive's checksums been compared. */
msfl_status msfl_arrays_end(msfl_arrays *a) MSFL_NODISCARD;

/** Arrays that make up a sample: one for each sequence, then its masks'. */
uint32_t msfl_arrays_n(const msfl_arrays *a);
bool msfl_arrays_has_masks(const msfl_arrays *a);

/** Of what is held: hash of everything that volume number `slot` of array `array` says. */
void msfl_arrays_content(const msfl_arrays *a, size_t slot, uint32_t array, uint8_t out[MSFL_HASH_BYTES]);
/** The same as an image of floats, lying in space as the file says; msfl_image_clear when done. */
msfl_status msfl_arrays_image(const msfl_arrays *a, size_t slot, uint32_t array, msfl_image *out) MSFL_NODISCARD;
/** Bits of a number of the first array, as stored. */
uint32_t msfl_arrays_bits(const msfl_arrays *a, size_t slot);

/** What the file did not say, so that it was assumed: a sentence, or NULL. Lives as long as `a`. */
const char *msfl_arrays_assumed(const msfl_arrays *a);

#endif
