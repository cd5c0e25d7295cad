/* What this party says of itself to the coordinator's screen: a state, how far, a line. No values, no names of files.
 * A thread of its own with a connection of its own, so that a slow network holds up nothing. */
#ifndef MSFL_CLIENT_REPORT_H
#define MSFL_CLIENT_REPORT_H

#include "medsecurefl/status.h"

typedef struct client_reporter client_reporter;
struct client_hub;

msfl_status client_reporter_new(struct client_hub *hub, client_reporter **out) MSFL_NODISCARD;
/** Stops its thread. */
void client_reporter_free(client_reporter *reporter);
/** Any thread; never waits. `state`: a word of docs/formats/http.md, static. `progress` 0 to 1. The newest report of a
 *  job replaces one that was not sent yet. NULL is fine. */
void client_reporter_say(client_reporter *reporter, const char *job, uint64_t round, const char *state, double progress,
                         const char *text);

#endif
