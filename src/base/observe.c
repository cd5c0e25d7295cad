#include "base/observe.h"

#include "base/error.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

void msfl_observe(const msfl_observer *observer, const msfl_event *event) {
    if (observer != NULL && observer->observe != NULL) observer->observe(observer->ctx, event);
}

void msfl_observe_text(const msfl_observer *observer, msfl_event_kind kind, const char *track, const char *fmt, ...) {
    if (observer == NULL || observer->observe == NULL) return;
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    msfl_event event = {.kind = kind, .track = track, .client = -1, .loss = NAN, .text = text};
    msfl_observe(observer, &event);
}

msfl_status msfl_check_cancel(const msfl_observer *observer) {
    if (observer != NULL && msfl_is_set(observer->cancel)) {
        return msfl_fail(MSFL_ERR_CANCELLED, "stopped on request");
    }
    return MSFL_OK;
}
