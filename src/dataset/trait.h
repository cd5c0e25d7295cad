/* Traits of files, from keys and classes side by side. */
#ifndef MSFL_DATASET_TRAIT_H
#define MSFL_DATASET_TRAIT_H

#include "base/tagged.h"
#include "medsecurefl/dataset.h"

/** msfl_trait_judge of keys with their classes as tags; `list` is sorted in place. */
msfl_status msfl_trait_judge_tagged(msfl_tagged *list, size_t n, uint32_t n_classes, msfl_trait *out) MSFL_NODISCARD;

#endif
