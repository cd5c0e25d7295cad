/* What a person sees of a long job, on standard error. */
#ifndef MSFL_CLI_TERMINAL_H
#define MSFL_CLI_TERMINAL_H

#include "medsecurefl/observe.h"

typedef struct cli_terminal cli_terminal;

/**
 * For jobs with `n_clients` parties named `client_names` (NULL: "hospital 1", ...; the names are copied). NULL when out
 * of memory, which every function here takes as "show nothing". `quiet`: warnings only.
 *
 * On a terminal: finished things scroll up as lines; below them one block, redrawn in place, with a bar for every party
 * at work. Its width follows the window; bars are ASCII outside UTF-8 locales; NO_COLOR is respected. Elsewhere, and
 * where TERM is "dumb" or not set: one plain line for each thing that happened, without control characters, and how far
 * the job has come where nothing else was said for ten seconds (in long jobs: for a tenth of their time, up to five
 * minutes).
 */
cli_terminal *cli_terminal_new(const char *const *client_names, uint32_t n_clients, bool quiet);

/** A few words that stand at the end of the block's title from the next frame on, as of a larger whole that this job is
 * a part of; copied and cut. NULL: none. Not while another thread may call cli_terminal_observe. */
void cli_terminal_note(cli_terminal *terminal, const char *text);

/** Without a terminal: counts after so many nanoseconds instead of ten seconds. For tests. */
void cli_terminal_pace(cli_terminal *terminal, uint64_t ns);

/** Takes the block away; what has scrolled up stays. */
void cli_terminal_free(cli_terminal *terminal);

/** For msfl_observer.observe; `ctx` is the cli_terminal. One call at a time. */
void cli_terminal_observe(void *ctx, const msfl_event *event);

#endif
