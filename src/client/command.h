/* A command that trains in our place: its folder, its bounds, and what comes back. docs/formats/trainer.md. */
#ifndef MSFL_CLIENT_COMMAND_H
#define MSFL_CLIENT_COMMAND_H

#include "client/learner.h"

/** As client_learner_run. `weights` (n_values) go in; of an update the trained ones come back in them, and `out` has no
 *  delta. */
msfl_status client_command_run(const client_learner_options *options, const job_plan *plan, float *weights,
                               client_result *out) MSFL_NODISCARD;

#endif
