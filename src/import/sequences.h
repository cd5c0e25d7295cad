/* Samples of several sequences, found by what their files are called. */
#ifndef MSFL_IMPORT_SEQUENCES_H
#define MSFL_IMPORT_SEQUENCES_H

#include "dataset/folder_scan.h"
#include "dataset/labels.h"
#include "recipe/recipe.h"

/**
 * A table as a person would have written it, of file names alone: a row for each sample, columns for the recipe's
 * sequences, for `mask` (NULL: none), "patient" and "class".
 *
 * A file's last word, after '_' or '-' and before its ending, names its sequence: the recipe's own name for it in any
 * case, or another usual one (t1n for T1; t1ce, t1gd for T1c; t2w for T2; t2f for FLAIR). What stands before it is the
 * sample; files of one sample lie in one folder. The sample is the patient, but for a number of the examination at the
 * end as BraTS has had it since 2023 (-00001-000). The class is the topmost folder where one of these holds several
 * samples, else "all".
 *
 * `out`: zeroed; msfl_labels_clear when done. ERR_DATA when no file names a sequence, or two of one sample the same.
 */
msfl_status msfl_sequences_table(const msfl_scan *scan, const msfl_recipe *recipe, const char *mask,
                                 msfl_labels *out) MSFL_NODISCARD;

#endif
