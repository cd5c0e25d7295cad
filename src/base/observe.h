/* Helpers to tell an observer. */
#ifndef MSFL_BASE_OBSERVE_H
#define MSFL_BASE_OBSERVE_H

#include "medsecurefl/observe.h"
#include "medsecurefl/status.h"

/** Whether a flag is set that another thread or a signal handler sets, with msfl_set_flag or plainly; NULL: no. */
static inline bool msfl_is_set(const volatile int *flag) {
    return flag != NULL && __atomic_load_n(flag, __ATOMIC_ACQUIRE) != 0;
}
static inline void msfl_set_flag(volatile int *flag) {
    __atomic_store_n(flag, 1, __ATOMIC_RELEASE);
}

/** Hand `event` to the observer, if any. The caller serialises calls of one job. */
void msfl_observe(const msfl_observer *observer, const msfl_event *event);

/** A line of text of `kind` for `track`. */
void msfl_observe_text(const msfl_observer *observer, msfl_event_kind kind, const char *track, const char *fmt, ...)
    MSFL_PRINTF(4, 5);

/** ERR_CANCELLED once the observer asked to stop, OK otherwise. */
msfl_status msfl_check_cancel(const msfl_observer *observer) MSFL_NODISCARD;

#endif
