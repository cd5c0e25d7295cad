/* One job, as one party takes part in it: a thread for the committee's duty, one for the hospital's own part, each with
 * a connection of its own. */
#ifndef MSFL_CLIENT_RUN_H
#define MSFL_CLIENT_RUN_H

#include "client/hub.h"

#include <stdatomic.h>

typedef struct client_run {
    client_hub *hub;
    char id[JOB_ID_MAX + 1];
    uint8_t hash[MSFL_HASH_BYTES];
    volatile int over; /**< the job has ended: both threads hear the last record and end; training stops */
    volatile int stop; /**< ends both threads at once, whatever they do */
    pthread_t thread;
    atomic_bool failed; /**< the hospital's part, or all of it, has ended by itself; duty may go on */
    atomic_bool ended;  /**< both threads are done */
    /* From here on set by the thread before it starts the other. */
    bool ready; /**< the description is there and was understood */
    job_spec spec;
    job_shape *shape;
    char *text; /**< the description's bytes */
    size_t length;
    char *folder;       /**< STATE/jobs/ID */
    msfl_status status; /**< why it has ended by itself */
} client_run;

/** Start. On success free it with client_run_free, which stops it at once and waits. */
msfl_status client_run_new(client_hub *hub, const char *id, const uint8_t hash[MSFL_HASH_BYTES],
                           client_run **out) MSFL_NODISCARD;
void client_run_free(client_run *run);
/** Begin to stop. */
void client_run_stop(client_run *run);

/** Duty: loop until the job is over or the client stops. */
void client_duty(client_run *run);
/** The hospital's part: loop until the job is over or the client stops, or until its own rules end it. */
msfl_status client_part(client_run *run) MSFL_NODISCARD;

/* --- what both share --- */

void client_say(client_run *run, msfl_event_kind kind, const char *fmt, ...) MSFL_PRINTF(3, 4);
/** The task of a message of the coordinator that names one (announcement, proposal, release, record); NULL else. */
const uint8_t *client_message_task(const uint8_t *message, size_t length);
/** Whether a failure may pass when the same is tried again: nothing is given up for it. */
bool client_is_passing(msfl_status status);
/** Whether the refusal of this message was the last one that was told (its hash is in `told`); from now on it is. */
bool client_is_told(uint8_t told[MSFL_HASH_BYTES], const uint8_t *message, size_t length);
/** After a failure that may pass: say so once, wait. ERR_CANCELLED when it is time to stop. `*n`: failures in a row. */
msfl_status client_run_wait(client_run *run, uint32_t *n) MSFL_NODISCARD;

#endif
