/* The random words of stochastic rounding: a seekable stream, the same whatever slice asks for it. */
#ifndef MSFL_UPDATE_ROUNDING_H
#define MSFL_UPDATE_ROUNDING_H

#include "update/kernels/kernel.h"
#include "update/layout.h"

typedef struct msfl_rounding msfl_rounding;

/** The words of `seed` for the first `n_slots` slots. Belongs to one thread at a time. */
msfl_status msfl_rounding_new(uint64_t seed, uint64_t n_slots, msfl_rounding **out) MSFL_NODISCARD;
void msfl_rounding_free(msfl_rounding *g);

/** The MSFL_GROUP_WORDS words of slot group `group` and of the `*n_groups` - 1 groups after it: at least one, as many
 *  as are at hand. `group` begins below `n_slots`. Valid until the next call. */
msfl_status msfl_rounding_words(msfl_rounding *g, uint64_t group, const uint32_t **words,
                                size_t *n_groups) MSFL_NODISCARD;

/** What the kernels need to know about a range clipped to `clip`, for a client that holds `n_samples`. */
msfl_rounding_rule msfl_rounding_rule_of(const msfl_update_layout *layout, float clip, uint64_t n_samples);

#endif
