/* How a function fails: one call that records the message and hands back the status. */
#ifndef MSFL_BASE_ERROR_H
#define MSFL_BASE_ERROR_H

#include "medsecurefl/status.h"

/**
 * Record what failed, where, and what to do, and return `status`:
 *     return msfl_fail(MSFL_ERR_FORMAT, "%s: not a PNG file", path);
 * The message is cut at 1023 bytes. Never pass a secret, a patient tag or an update value.
 */
msfl_status msfl_fail(msfl_status status, const char *fmt, ...) MSFL_PRINTF(2, 3);

/** Put "context: " before the recorded message and return `status` again. */
msfl_status msfl_fail_in(msfl_status status, const char *context_fmt, ...) MSFL_PRINTF(2, 3);

/** As msfl_fail with ERR_IO, ERR_MISSING, ERR_EXISTS or ERR_SYSTEM after `errno_value`, whose text is appended. */
msfl_status msfl_fail_errno(int errno_value, const char *fmt, ...) MSFL_PRINTF(2, 3);

/** Set this thread's message verbatim: carries a worker thread's message to the thread that waits for it. */
void msfl_error_set(const char *message);

#endif
