/* What a training carries from one finished round to the next: the optimiser's state. A round that is repeated, after a
 * crash or because the coordinator gave it up, begins from the same state and so ends with the same update. */
#ifndef MSFL_CLIENT_STATE_H
#define MSFL_CLIENT_STATE_H

#include "job/spec.h"

typedef struct client_state {
    uint32_t round;    /**< of the course, in which this is the state at the end; 0: before the first */
    uint64_t n_epochs; /**< seen so far */
    uint8_t *bytes;    /**< the optimiser's; NULL: fresh */
    size_t length;
} client_state;

void client_state_clear(client_state *state);

/** The newest state of `folder` before round `round`, or a fresh one. ERR_FORMAT, ERR_MISMATCH: damaged, or of another
 *  network. Clear `out` in any case. */
msfl_status client_state_load(const char *folder, const job_shape *shape, uint32_t round,
                              client_state *out) MSFL_NODISCARD;
/** Keep it; on disk when it returns. Of earlier rounds the last alone is kept. */
msfl_status client_state_save(const char *folder, const job_shape *shape, const client_state *state) MSFL_NODISCARD;

#endif
