/* Paths of many files, of which each folder is kept once. */
#ifndef MSFL_DATASET_PATHS_H
#define MSFL_DATASET_PATHS_H

#include "dataset/words.h"

/** Zero-initialise; msfl_paths_clear when done. */
typedef struct msfl_paths {
    msfl_words folders;
    msfl_texts names;
    msfl_rows runs; /**< of names that follow each other and lie in one folder */
    size_t n;
} msfl_paths;

/** Its number is `n` before the call. */
msfl_status msfl_paths_add(msfl_paths *paths, const char *path) MSFL_NODISCARD;
/** Path `i` as it was added, in memory of its own (msfl_free); NULL when out of memory. Thread-safe. */
char *msfl_paths_get(const msfl_paths *paths, size_t i);
void msfl_paths_clear(msfl_paths *paths);

#endif
