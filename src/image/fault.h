/* Names for what is wrong with an image file: for scripts, which a sentence does not serve. */
#ifndef MSFL_IMAGE_FAULT_H
#define MSFL_IMAGE_FAULT_H

#include "medsecurefl/status.h"

/** X(constant, name, status). The names are part of docs/formats/inspect.md and never change meaning. */
#define MSFL_FAULT_LIST(X)                                                                                             \
    X(NONE, "none", OK)                                                                                                \
    X(MISSING, "missing", ERR_MISSING)                                                                                 \
    X(UNREADABLE, "unreadable", ERR_IO)                                                                                \
    X(EMPTY, "empty", ERR_FORMAT)                                                                                      \
    X(UNKNOWN_FORMAT, "unknown_format", ERR_FORMAT)                                                                    \
    X(NAME_MISMATCH, "name_mismatch", ERR_FORMAT)                                                                      \
    X(DAMAGED, "damaged", ERR_FORMAT)                                                                                  \
    X(TRUNCATED, "truncated", ERR_FORMAT)                                                                              \
    X(NO_PIXELS, "no_pixels", ERR_DATA)                                                                                \
    X(BAD_SIZE, "bad_size", ERR_FORMAT)                                                                                \
    X(IMPLAUSIBLE_SIZE, "implausible_size", ERR_FORMAT)                                                                \
    X(TOO_LARGE, "too_large", ERR_LIMIT)                                                                               \
    X(UNSUPPORTED_ENCODING, "unsupported_encoding", ERR_UNSUPPORTED)                                                   \
    X(UNSUPPORTED_TYPE, "unsupported_type", ERR_UNSUPPORTED)                                                           \
    X(DECODER_FAILED, "decoder_failed", ERR_FORMAT)                                                                    \
    X(DECODER_DIED, "decoder_died", ERR_FORMAT)                                                                        \
    X(INCOMPLETE, "incomplete", ERR_DATA)                                                                              \
    X(OUT_OF_TIME, "out_of_time", ERR_LIMIT)                                                                           \
    X(OUT_OF_MEMORY, "out_of_memory", ERR_MEMORY)                                                                      \
    X(SYSTEM, "system", ERR_SYSTEM)

typedef enum msfl_fault {
#define MSFL_FAULT_ENUM(constant, name, status) MSFL_FAULT_##constant,
    MSFL_FAULT_LIST(MSFL_FAULT_ENUM)
#undef MSFL_FAULT_ENUM
        MSFL_FAULTS
} msfl_fault;

/** Record message and fault, and return the fault's status: as msfl_fail. */
msfl_status msfl_fault_fail(msfl_fault fault, const char *fmt, ...) MSFL_PRINTF(2, 3);

/** Forget the thread's last fault: before a file is read. */
void msfl_fault_forget(void);

/** The name for a failing `status` of the reader that just ran: that of the fault it recorded since
 *  msfl_fault_forget, or the one that goes with the status. Static storage. */
const char *msfl_fault_name(msfl_status status);

#endif
