#include "image/fault.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local msfl_fault last;

static const struct {
    const char *name;
    msfl_status status;
} faults[MSFL_FAULTS] = {
#define MSFL_FAULT_ROW(constant, name, status) {name, MSFL_##status},
    MSFL_FAULT_LIST(MSFL_FAULT_ROW)
#undef MSFL_FAULT_ROW
};

msfl_status msfl_fault_fail(msfl_fault fault, const char *fmt, ...) {
    char text[1000];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    last = fault;
    return msfl_fail(faults[fault].status, "%s", text);
}

void msfl_fault_forget(void) {
    last = MSFL_FAULT_NONE;
}

const char *msfl_fault_name(msfl_status status) {
    if (last != MSFL_FAULT_NONE && faults[last].status == status) return faults[last].name;
    switch (status) {
    case MSFL_ERR_LIMIT:
        return faults[MSFL_FAULT_TOO_LARGE].name;
    case MSFL_ERR_UNSUPPORTED:
        return faults[MSFL_FAULT_UNSUPPORTED_TYPE].name;
    case MSFL_ERR_FORMAT:
        return faults[MSFL_FAULT_DAMAGED].name;
    default:
        for (int i = 0; i < MSFL_FAULTS; i++) {
            if (faults[i].status == status) return faults[i].name;
        }
        return faults[MSFL_FAULT_DAMAGED].name;
    }
}
