/* Stop watches, and what they say over several turns. */
#ifndef MSFL_MEASURE_CLOCK_H
#define MSFL_MEASURE_CLOCK_H

#include "base/clock.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

/* The work of one thread is timed by its processor's time: other work on the machine slows it by way of caches and
 * memory alone. Budgets and several threads go by the wall clock. */
static inline uint64_t measure_cpu_now(void) {
    return msfl_thread_cpu_ns();
}

static inline double measure_cpu_since(uint64_t start_ns) {
    return (double)(msfl_thread_cpu_ns() - start_ns) * 1e-9;
}

static inline double measure_since(uint64_t start_ns) {
    return (double)(msfl_now_ns() - start_ns) * 1e-9;
}

/** Turns of one thing, in seconds. Zero-initialise. */
typedef struct measure_turns {
    double best, total;
    uint32_t n;
} measure_turns;

static inline void measure_turn(measure_turns *t, double seconds) {
    if (t->n == 0 || seconds < t->best) t->best = seconds;
    t->total += seconds;
    t->n++;
}

/** Seconds of the best turn, never 0 so that it can divide; NaN if there was none. */
static inline double measure_best(const measure_turns *t) {
    return t->n == 0 ? NAN : t->best > 1e-9 ? t->best : 1e-9;
}

#endif
