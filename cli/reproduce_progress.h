/* How far several runs of simulate are, all together, and how long the rest may take. */
#ifndef MSFL_CLI_REPRODUCE_PROGRESS_H
#define MSFL_CLI_REPRODUCE_PROGRESS_H

#include "medsecurefl/observe.h"
#include "terminal.h"

enum { REPRODUCE_KINDS = 3 }; /* encrypted, plain, central */

typedef struct reproduce_progress {
    uint32_t n_rounds;              /**< of a training */
    uint64_t left[REPRODUCE_KINDS]; /**< rounds after those of the run at work */
    uint32_t here[REPRODUCE_KINDS]; /**< rounds left in that run */
    double seconds[REPRODUCE_KINDS];
    uint64_t n_done[REPRODUCE_KINDS]; /**< rounds that took these seconds, in this process */
    uint64_t start_ns, last_ns;
    cli_terminal *terminal; /**< what events are passed on to; borrowed */
} reproduce_progress;

/** Seconds that remain by the mean time of a round of each kind so far; of a kind that has not been met yet, by that of
 *  the others. NaN before the first round. */
double reproduce_progress_left(const reproduce_progress *p);

/** A run begins whose trainings have `n_rounds` each; `central`: that one among them. Its rounds leave `left`. */
void reproduce_progress_begin(reproduce_progress *p, bool central);

/** For msfl_observer.observe. */
void reproduce_progress_observe(void *ctx, const msfl_event *event);

/** "1:02:33 spent, about 12:05 left", as far as it is known; `text` holds 80 bytes. */
void reproduce_progress_text(const reproduce_progress *p, char *text);

#endif
