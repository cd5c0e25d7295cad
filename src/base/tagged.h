/* Keys with something beside them, in order: for counting what goes with what. */
#ifndef MSFL_BASE_TAGGED_H
#define MSFL_BASE_TAGGED_H

#include "medsecurefl/common.h"

#include <stddef.h>
#include <stdint.h>

typedef struct msfl_tagged {
    uint64_t key;
    uint32_t tag; /**< a class, a place, ... */
} msfl_tagged;

/** By key, then by tag. NULL for n = 0 is fine. */
void msfl_tagged_sort(msfl_tagged *list, size_t n);

/** The end of the run of one key that begins at `begin` < n of a sorted list. */
size_t msfl_tagged_run(const msfl_tagged *list, size_t n, size_t begin);

#endif
