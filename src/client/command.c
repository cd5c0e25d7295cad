#include "client/command.h"

#include "base/error.h"

msfl_status client_command_run(const client_learner_options *options, const job_plan *plan, const float *weights,
                               client_result *out) {
    (void)options, (void)plan, (void)weights, (void)out;
    return msfl_fail(MSFL_ERR_UNSUPPORTED, "trainers are not there yet");
}
