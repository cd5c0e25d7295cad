/* How often this hospital took part: in a job, and in a day (UTC). */
#ifndef MSFL_CLIENT_TALLY_H
#define MSFL_CLIENT_TALLY_H

#include "client/policy.h"
#include "store/journal.h"

/** Counts that cannot be read are the largest: who does not know how often it took part does not take part again. */
client_tally client_tally_read(store *store, const char *job);
/** One more; within a transaction of the caller, if it likes. */
msfl_status client_tally_add(store *store, const char *job) MSFL_NODISCARD;

#endif
