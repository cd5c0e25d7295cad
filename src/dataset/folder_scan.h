/* Which picture files a folder holds, and what their folders say about them. */
#ifndef MSFL_DATASET_FOLDER_SCAN_H
#define MSFL_DATASET_FOLDER_SCAN_H

#include "dataset/texts.h"
#include "medsecurefl/dataset.h"

/** Folders inside a class folder are searched this deep. */
enum { MSFL_SCAN_DEPTH_MAX = 4 };

/** Zero-initialise; msfl_scan_clear when done. */
typedef struct msfl_scan {
    char *root;         /**< the data folder: the one given, or the only one inside it */
    bool flat;          /**< pictures lie in the data folder itself: only labels.csv can tell their class */
    msfl_texts paths;   /**< of the pictures, below root */
    msfl_texts classes; /**< class folder of each; "" when flat, or beside class folders */
    uint8_t *parts;     /**< msfl_part of each */
    size_t parts_capacity;
    uint32_t n_ignored; /**< hidden entries and files that are no pictures */
} msfl_scan;

/**
 * Look through `folder`. Layouts, in the order in which they are tried:
 *   Train|Test|Val.../CLASS/...   folders of a split, any case, with class folders inside
 *   ONE/...                       a single folder that holds a split, or that labels.csv lies beside: taken for the
 * data folder CLASS/...                     class folders
 *   *.png, *.jpg                  flat
 * Symbolic links are followed, but never back into a folder that is being searched. What is left out for its place
 * (pictures beside class folders, folders beside a split) is counted, and told to the observer as a warning.
 */
msfl_status msfl_scan_folder(const char *folder, const msfl_observer *observer, msfl_scan *out) MSFL_NODISCARD;
/** The same for pictures whose classes a table tells: those beside class folders are taken too, with the class "". */
msfl_status msfl_scan_for_table(const char *folder, const msfl_observer *observer, msfl_scan *out) MSFL_NODISCARD;
/** Whether folders tell one class only, as those of an archive's export do: no class at all, then. */
bool msfl_scan_has_one_class(const msfl_scan *scan);
void msfl_scan_clear(msfl_scan *scan);

/** Fails with MSFL_ERR_DATA for a scan that found no pictures in `source`: says what lies there instead and what to
 * name. */
msfl_status msfl_scan_fail_empty(const msfl_scan *scan, const char *source) MSFL_NODISCARD;

/** Warns when class folders are called as images and their masks usually are: they would be learned as two classes. */
void msfl_scan_warn_of_masks(const msfl_scan *scan, const msfl_observer *observer);

#endif
