/* What a thread works at while an update is encrypted: an encoder and room for one chunk. */
#ifndef MSFL_MEASURE_DESK_H
#define MSFL_MEASURE_DESK_H

#include "medsecurefl/update.h"

#include <stdatomic.h>

typedef struct measure_desk {
    atomic_flag is_taken;
    msfl_update_encoder *encoder; /**< NULL between clients */
    uint32_t *slots;
    uint64_t *totals;
} measure_desk;

/** Bare desks; NULL when out of memory. */
measure_desk *measure_desks_new(uint32_t n);
/** Room for `n_slots` slots and totals on each. */
msfl_status measure_desks_furnish(measure_desk *desks, uint32_t n, uint32_t n_slots) MSFL_NODISCARD;
/** NULL is fine. */
void measure_desks_free(measure_desk *desks, uint32_t n);

/** An encoder of this input on the first `n` desks, which have none. */
msfl_status measure_desks_set_encoders(measure_desk *desks, uint32_t n, const msfl_update_layout *layout,
                                       const msfl_update_input *input) MSFL_NODISCARD;
void measure_desks_clear_encoders(measure_desk *desks, uint32_t n);

/** A desk that nobody else uses until it is given back. There must be one for every thread that asks. */
measure_desk *measure_desk_take(measure_desk *desks, uint32_t n);
void measure_desk_give(measure_desk *desk);

#endif
