/* What a person sees of a long job. */
#ifndef MSFL_CLI_TERMINAL_H
#define MSFL_CLI_TERMINAL_H

#include "medsecurefl/observe.h"

typedef struct cli_terminal cli_terminal;

/** For jobs with `n_clients` parties named `client_names` (NULL: "hospital 1", ...). NULL when out of memory, which
 *  every function here takes as "show nothing". `quiet`: warnings only. */
cli_terminal *cli_terminal_new(const char *const *client_names, uint32_t n_clients, bool quiet);
void cli_terminal_free(cli_terminal *terminal);

/** For msfl_observer.observe; `ctx` is the cli_terminal. */
void cli_terminal_observe(void *ctx, const msfl_event *event);

#endif
