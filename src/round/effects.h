/* Effects: what a machine wants done, in order. Filled here, carried out by whoever runs the machine. */
#ifndef MSFL_ROUND_EFFECTS_H
#define MSFL_ROUND_EFFECTS_H

#include "base/bytes.h"
#include "medsecurefl/machine.h"

/** Append an effect and take over the bytes of `take`, which is cleared also on error; its status counts. */
MSFL_NODISCARD msfl_status msfl_effects_add(msfl_effects *effects, msfl_effect_kind kind, uint32_t to,
                                            msfl_buffer *take);
/** Append a DROP. */
MSFL_NODISCARD msfl_status msfl_effects_drop(msfl_effects *effects, uint64_t number);
/** Room for `n` more: the next n calls of msfl_effects_add with good buffers do not fail. */
MSFL_NODISCARD msfl_status msfl_effects_reserve(msfl_effects *effects, size_t n);
/** Drop what was appended since there were `n`. */
void msfl_effects_cut(msfl_effects *effects, size_t n);

#endif
