/* labels.csv: what a table beside the images says about them. */
#ifndef MSFL_DATASET_LABELS_H
#define MSFL_DATASET_LABELS_H

#include "dataset/csv.h"
#include "dataset/texts.h"

enum { MSFL_NO_ROW = UINT32_MAX };

/** Zero-initialise; msfl_labels_clear when done. */
typedef struct msfl_labels {
    msfl_csv *table; /**< NULL: there is no labels.csv */
    char *path;
    char *prefix;     /**< what stands before a file's path below the data folder in the table: "" or "png128/" */
    uint32_t *row_of; /**< row for each image, or MSFL_NO_ROW */
    size_t n_images;
    uint32_t n_matched;
    uint32_t repeated_line; /**< a line that names an image a second time; 0 if there is none */
    uint32_t patient;       /**< column of the patient key; MSFL_NO_ROW if there is none */
} msfl_labels;

/** Read labels.csv in `folder` or, with `above`, in its parent. Nothing there is not an error; a table that cannot be
 *  parsed is. */
msfl_status msfl_labels_open(const char *folder, bool above, msfl_labels *out) MSFL_NODISCARD;
/** The table at `path`, wherever it lies; file names in it count from the data folder. */
msfl_status msfl_labels_read(const char *path, msfl_labels *out) MSFL_NODISCARD;
void msfl_labels_clear(msfl_labels *labels);

/** Find the row of each of `n` array rows by the column "index". The table is taken for another data set's, and nothing
 *  matches, unless it has exactly `n` rows whose indices are 0 to n - 1. */
msfl_status msfl_labels_match_index(msfl_labels *labels, size_t n) MSFL_NODISCARD;

/** Find the row of each image by its path below the data folder: the column with most matches is taken, with or without
 *  the folders in front of the name. Backslashes between folders are as good as slashes. ERR_DATA when two rows of one
 * image give different patients. */
msfl_status msfl_labels_match_paths(msfl_labels *labels, const msfl_texts *paths) MSFL_NODISCARD;

/** Add each image's text in `column` to `out`, "" where it has no row. */
msfl_status msfl_labels_take(const msfl_labels *labels, uint32_t column, msfl_texts *out) MSFL_NODISCARD;

/** "patient_key in labels.csv", or "in the table" of one that was named, since its name may be anything and sets keep
 *  these words. NULL when out of memory. */
char *msfl_labels_describe(const msfl_labels *labels, uint32_t column);

/** The column for `--label name`. ERR_DATA, listing the columns, if there is none or no row matched an image. */
msfl_status msfl_labels_column(const msfl_labels *labels, const char *source, const char *name,
                               uint32_t *column) MSFL_NODISCARD;

/** Whether the table tells classes by itself: it has a column "class", and names images. */
bool msfl_labels_tell_classes(const msfl_labels *labels);

/** Whether all cells of a row are UTF-8. */
bool msfl_labels_is_utf8(const msfl_labels *labels, uint32_t row);

/** Whether a cell says that nothing is known: empty, NA, N/A, NaN, null. */
bool msfl_labels_is_blank(const char *cell);

#endif
