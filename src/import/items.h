/* What there is to import: one item for each sample, with the files that it is made of. */
#ifndef MSFL_IMPORT_ITEMS_H
#define MSFL_IMPORT_ITEMS_H

#include "base/threads.h"
#include "dataset/paths.h"
#include "image/dicom.h"
#include "image/series.h"
#include "medsecurefl/dataset.h"
#include "recipe/recipe.h"

enum { MSFL_NO_PATH = UINT32_MAX };

typedef struct msfl_item {
    uint32_t first, n; /**< its places in `files`: one for each sequence, or the slices of one volume in order */
    uint32_t mask;     /**< number of a path; MSFL_NO_PATH: none */
    uint32_t label;    /**< number of a word */
    uint32_t patient;  /**< number + 1 of one that the table or, of a stack, its header names; 0: ask the file */
    uint32_t stack;    /**< DICOM slices that make up one volume: number + 1 in `stacks`; 0: none */
    uint8_t part;      /**< msfl_part */
    bool is_burned_in; /**< of a stack: some slice declares text in its pixels */
} msfl_item;

/** Zero-initialise; msfl_items_clear when done. */
typedef struct msfl_items {
    msfl_paths paths; /**< of files, images and masks */
    uint32_t *files;  /**< numbers of paths */
    size_t n_files, files_capacity;
    msfl_item *list;
    size_t n, capacity;
    msfl_words labels;                              /**< the different ones */
    msfl_rows patients;                             /**< of MSFL_HASH_BYTES: msfl_patient_hash */
    msfl_rows stacks;                               /**< of msfl_stack */
    char *label_key;                                /**< what gave them */
    char *patient_key;                              /**< what in the table gave patients; NULL: nothing */
    uint32_t n_ignored, n_unlabelled, n_incomplete; /**< files, and samples, that are left out */
    uint32_t n_unmatched;                           /**< rows of the table that name no picture */
    uint32_t n_stacked, n_single;                   /**< volumes of several slices, and of one */
    uint32_t n_doubled, n_uneven;                   /**< with several slices at one place; at uneven distances */
} msfl_items;
void msfl_items_clear(msfl_items *items);
/** Once all samples are made: gives back the list, files and paths. Labels, patients and all numbers stay. */
void msfl_items_made(msfl_items *items);

/** Room for `n` items in all, made at once: a list that grows would be there twice for a moment. */
msfl_status msfl_items_reserve(msfl_items *items, size_t n) MSFL_NODISCARD;
/** Another item; `item->label` and `item->patient` are set from `label` and from `patient`, MSFL_HASH_BYTES of which
 *  zeros or NULL are nobody. */
msfl_status msfl_items_add(msfl_items *items, const msfl_item *item, const char *label,
                           const uint8_t *patient) MSFL_NODISCARD;

/** What an item's label is, and its patient: zeros, if the file is to be asked. */
const char *msfl_items_label(const msfl_items *items, const msfl_item *item);
const uint8_t *msfl_items_patient(const msfl_items *items, const msfl_item *item);
const msfl_stack *msfl_items_stack_of(const msfl_items *items, const msfl_item *item);
/** The path of an item's k-th file, or of its mask for k = n; msfl_free it. NULL when out of memory. */
char *msfl_items_path(const msfl_items *items, const msfl_item *item, uint32_t k);

typedef struct msfl_items_options {
    const char *data;    /**< a folder */
    const char *labels;  /**< a table; NULL: labels.csv in the folder or above it */
    const char *label;   /**< its column; NULL: class folders, else "class" */
    const char *patient; /**< its column; NULL: the usual names */
    const char *masks;   /**< a folder with files of the images' names, or a column; NULL: none */
    bool refuse_bad;     /**< a sample without a file or mask that it should have is ERR_DATA */
    const msfl_observer *observer;
} msfl_items_options;

/** Find the items of a folder, in the order of their paths. Slices of DICOM series are not sorted into volumes yet:
 *  each stands alone. What is left out is told as warnings, by numbers and lines: file names may name patients. */
msfl_status msfl_items_find(const msfl_items_options *options, const msfl_recipe *recipe,
                            msfl_items *out) MSFL_NODISCARD;

/** For recipes of volumes: read the headers of DICOM files and put the slices of one volume into one item. Left out,
 * with a warning, is what makes no whole volume (msfl_stack_fault), or whose slices differ in label, patient or mask.
 */
msfl_status msfl_items_stack(msfl_items *items, msfl_pool *pool, const msfl_observer *observer) MSFL_NODISCARD;

#endif
