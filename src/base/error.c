#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_BYTES = 1024 };

static _Thread_local char last_message[MESSAGE_BYTES];

const char *msfl_status_name(msfl_status status) {
    switch (status) {
#define NAME_CASE(name, value, exit_code, text)                                                                        \
    case MSFL_##name:                                                                                                  \
        return #name;
        MSFL_STATUS_LIST(NAME_CASE)
#undef NAME_CASE
    }
    return "UNKNOWN";
}

const char *msfl_status_text(msfl_status status) {
    switch (status) {
#define TEXT_CASE(name, value, exit_code, text)                                                                        \
    case MSFL_##name:                                                                                                  \
        return text;
        MSFL_STATUS_LIST(TEXT_CASE)
#undef TEXT_CASE
    }
    return "unknown status";
}

int msfl_status_exit_code(msfl_status status) {
    switch (status) {
#define EXIT_CASE(name, value, exit_code, text)                                                                        \
    case MSFL_##name:                                                                                                  \
        return exit_code;
        MSFL_STATUS_LIST(EXIT_CASE)
#undef EXIT_CASE
    }
    return 1;
}

const char *msfl_error_message(void) {
    return last_message;
}

void msfl_error_set(const char *message) {
    snprintf(last_message, sizeof last_message, "%s", message);
}

/* Format into a separate buffer first: an argument may point into last_message. */
static void record(const char *suffix, const char *fmt, va_list args) {
    char text[MESSAGE_BYTES];
    int n = vsnprintf(text, sizeof text, fmt, args);
    if (suffix != NULL && n >= 0 && (size_t)n < sizeof text) {
        snprintf(text + n, sizeof text - (size_t)n, ": %s", suffix);
    }
    memcpy(last_message, text, sizeof text);
}

msfl_status msfl_fail(msfl_status status, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    record(NULL, fmt, args);
    va_end(args);
    return status;
}

msfl_status msfl_fail_in(msfl_status status, const char *context_fmt, ...) {
    char before[MESSAGE_BYTES];
    memcpy(before, last_message, sizeof before);
    va_list args;
    va_start(args, context_fmt);
    record(before, context_fmt, args);
    va_end(args);
    return status;
}

msfl_status msfl_fail_errno(int errno_value, const char *fmt, ...) {
    char text[256];
    /* The GNU strerror_r returns the string to use. */
    const char *reason = strerror_r(errno_value, text, sizeof text);
    va_list args;
    va_start(args, fmt);
    record(reason, fmt, args);
    va_end(args);
    switch (errno_value) {
    case ENOMEM:
        return MSFL_ERR_MEMORY;
    case ENOENT:
    case ENOTDIR:
        return MSFL_ERR_MISSING;
    case EEXIST:
    case ENOTEMPTY:
        return MSFL_ERR_EXISTS;
    case EAGAIN:
    case EMFILE:
    case ENFILE:
        return MSFL_ERR_SYSTEM;
    default:
        return MSFL_ERR_IO;
    }
}
