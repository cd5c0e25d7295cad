/* Can the class be told from something other than the picture? */
#ifndef MSFL_IMPORT_TRAITS_H
#define MSFL_IMPORT_TRAITS_H

#include "base/spill.h"
#include "import/cache.h"
#include "text/json.h"

/** What is set aside of each sample that was taken. */
typedef struct msfl_sample_row {
    msfl_facts facts;
    uint32_t label; /**< number of its word in msfl_items */
} msfl_sample_row;

/** Rows one after another. `from` them and status MSFL_OK at first; NULL at the end, or with `status` not OK. */
typedef struct msfl_sample_walk {
    const msfl_spill *from;
    size_t at, first, n;
    msfl_sample_row rows[64];
    msfl_status status;
} msfl_sample_walk;
const msfl_sample_row *msfl_sample_next(msfl_sample_walk *walk);

/**
 * For each trait of the files (size, type, depth, spacing, scanner): msfl_trait_judge. Adds an array of objects
 * "trait", "values", "accuracy", "telling" to `traits`, and a sentence for each telling one to `warnings`. `samples`
 * are msfl_sample_row; `codes` the classes of their labels' words.
 */
msfl_status msfl_traits_judge(const msfl_spill *samples, const uint32_t *codes, uint32_t n_classes, json_t *traits,
                              json_t *warnings) MSFL_NODISCARD;

/** What the files were: counts by format and by size (the most common ones), spacing as minimum, median, maximum. */
msfl_status msfl_traits_source(const msfl_spill *samples, json_t *out) MSFL_NODISCARD;

#endif
