/* What this hospital can show later: what it was asked, what it sent, and what was opened. */
#ifndef MSFL_CLIENT_AUDIT_H
#define MSFL_CLIENT_AUDIT_H

#include "medsecurefl/status.h"

/** STATE/audit/JOB/NAME, whole or not at all; a file that is there with other bytes is ERR_EXISTS. */
msfl_status client_audit_keep(const char *state, const char *job, const char *name, const void *bytes,
                              size_t length) MSFL_NODISCARD;
/** The same for a round: NNNNNN.SUFFIX. */
msfl_status client_audit_round(const char *state, const char *job, uint64_t number, const char *suffix,
                               const void *bytes, size_t length) MSFL_NODISCARD;

#endif
