/* A command that trains in our place: its folder, its bounds, and what comes back. docs/formats/trainer.md. */
#ifndef MSFL_CLIENT_COMMAND_H
#define MSFL_CLIENT_COMMAND_H

#include "client/learner.h"

/** As client_learner_run. */
msfl_status client_command_run(const client_learner_options *options, const job_plan *plan, const float *weights,
                               client_result *out) MSFL_NODISCARD;

#endif
