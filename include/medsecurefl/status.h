/* Status codes and the message that goes with the last failure. Layer: base. */
#ifndef MEDSECUREFL_STATUS_H
#define MEDSECUREFL_STATUS_H

#include "medsecurefl/common.h"

MSFL_BEGIN_DECLS

/**
 * Every status, once: X(name, value, exit code of the command line, short text).
 * Enum, texts, exit codes and bindings are generated from this list. Values never change meaning.
 */
#define MSFL_STATUS_LIST(X)                                                                                            \
    X(OK, 0, 0, "success")                                                                                             \
    X(ERR_USAGE, -1, 2, "wrong use of a command or function")                                                          \
    X(ERR_MEMORY, -2, 3, "out of memory")                                                                              \
    X(ERR_IO, -3, 4, "a file or device could not be read or written")                                                  \
    X(ERR_FORMAT, -4, 5, "the bytes are not what this format allows")                                                  \
    X(ERR_LIMIT, -5, 6, "a stated bound would be exceeded")                                                            \
    X(ERR_MISMATCH, -6, 7, "two things that must belong together do not")                                              \
    X(ERR_PARAMS, -7, 8, "no parameter set can hold this request")                                                     \
    X(ERR_POLICY, -8, 9, "refused by a security rule")                                                                 \
    X(ERR_CRYPTO, -9, 10, "a cryptographic check failed")                                                              \
    X(ERR_NUMERIC, -10, 11, "a value is not finite or out of range")                                                   \
    X(ERR_DATA, -11, 12, "the images or labels cannot be used")                                                        \
    X(ERR_EXISTS, -12, 13, "something is already there and would be overwritten")                                      \
    X(ERR_MISSING, -13, 14, "something needed is not there")                                                           \
    X(ERR_SYSTEM, -14, 15, "the operating system refused a service")                                                   \
    X(ERR_UNSUPPORTED, -15, 16, "valid, but not supported")                                                            \
    X(ERR_CANCELLED, -16, 130, "stopped on request")

/**
 * What a function may return beside MSFL_OK stands in its comment. Not said again there: ERR_MEMORY of all that make
 * something, ERR_IO, ERR_MISSING and ERR_SYSTEM of all that read or write files, and of X_new the errors of checks that
 * have a function of their own, as X_check.
 */
typedef enum msfl_status {
#define MSFL_STATUS_ENUM(name, value, exit_code, text) MSFL_##name = (value),
    MSFL_STATUS_LIST(MSFL_STATUS_ENUM)
#undef MSFL_STATUS_ENUM
} msfl_status;

/** Name such as "ERR_FORMAT"; "UNKNOWN" for a value that is not in the list. Static storage. */
MSFL_API const char *msfl_status_name(msfl_status status);

/** One-line English text; static storage. */
MSFL_API const char *msfl_status_text(msfl_status status);

/** Exit code of the command line for this status: 0, 2 to 16, or 130. */
MSFL_API int msfl_status_exit_code(msfl_status status);

/**
 * What went wrong in this thread's last failing call, where, and what to do next; "" if nothing failed yet.
 * Storage is the thread's own and stands until its next failing call. Never holds a secret, a patient tag or an
 * update value.
 */
MSFL_API const char *msfl_error_message(void);

MSFL_END_DECLS

#endif
