/* Can the class be told from something other than the picture? */
#ifndef MSFL_IMPORT_TRAITS_H
#define MSFL_IMPORT_TRAITS_H

#include "import/cache.h"
#include "text/json.h"

/**
 * For each trait of the files (size, type, depth, spacing, scanner): msfl_trait_judge. Adds an array of objects
 * "trait", "values", "accuracy", "telling" to `traits`, and a sentence for each telling one to `warnings`.
 */
msfl_status msfl_traits_judge(const msfl_facts *facts, const uint32_t *labels, size_t n, uint32_t n_classes,
                              json_t *traits, json_t *warnings) MSFL_NODISCARD;

/** What the files were: counts by format and by size (the most common ones), spacing as minimum, median, maximum. */
msfl_status msfl_traits_source(const msfl_facts *facts, size_t n, json_t *out) MSFL_NODISCARD;

#endif
