/* What there is to import: one item for each sample, with the files that it is made of. */
#ifndef MSFL_IMPORT_ITEMS_H
#define MSFL_IMPORT_ITEMS_H

#include "base/threads.h"
#include "dataset/texts.h"
#include "image/dicom.h"
#include "image/series.h"
#include "medsecurefl/dataset.h"
#include "recipe/recipe.h"

enum { MSFL_NO_PATH = UINT32_MAX };

typedef struct msfl_item {
    uint32_t first, n; /**< its places in `files`: one for each sequence, or the slices of one volume in order */
    uint32_t mask;     /**< number of a path; MSFL_NO_PATH: none */
    bool is_stack;     /**< DICOM slices that make up one volume */
    msfl_stack stack;
    msfl_part part;
    uint8_t patient[MSFL_HASH_BYTES]; /**< msfl_patient_hash by the table or, of a stack, by its header; zeros: ask the
                                           file */
} msfl_item;

/** Zero-initialise; msfl_items_clear when done. */
typedef struct msfl_items {
    msfl_texts paths; /**< of files, images and masks */
    uint32_t *files;  /**< numbers of paths */
    size_t n_files, files_capacity;
    msfl_item *list;
    size_t n, capacity;
    msfl_texts labels;                              /**< one for each item */
    char *label_key;                                /**< what gave them */
    char *patient_key;                              /**< what in the table gave patients; NULL: nothing */
    uint32_t n_ignored, n_unlabelled, n_incomplete; /**< files, and samples, that are left out */
    uint32_t n_unmatched;                           /**< rows of the table that name no picture */
} msfl_items;
void msfl_items_clear(msfl_items *items);

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

/** For recipes of volumes: read the headers of DICOM files and put the slices of one volume into one item. Volumes with
 *  gaps are left out, with a warning. */
msfl_status msfl_items_stack(msfl_items *items, msfl_pool *pool, const msfl_observer *observer) MSFL_NODISCARD;

#endif
