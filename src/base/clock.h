/* Time and memory as the process sees them; for reports, never for decisions. */
#ifndef MSFL_BASE_CLOCK_H
#define MSFL_BASE_CLOCK_H

#include <stdint.h>

/** Monotonic wall time. */
uint64_t msfl_now_ns(void);
/** Processor time of the calling thread. */
uint64_t msfl_thread_cpu_ns(void);
/** Highest resident set of this process so far, in bytes. */
uint64_t msfl_peak_rss_bytes(void);

#endif
