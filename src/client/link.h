/* What a party says to its coordinator and hears from it, as calls of docs/formats/http.md. One thread at a time. */
#ifndef MSFL_CLIENT_LINK_H
#define MSFL_CLIENT_LINK_H

#include "net/client.h"
#include "text/json.h"

typedef struct client_link client_link;

enum { CLIENT_WAIT_S = 25 }; /* of a long poll: the most that the coordinator allows */

/** `cancel`: stops every call. `attempts`: of a call that fails for the network. */
msfl_status client_link_new(const pki_kit *kit, const volatile int *cancel, uint32_t attempts,
                            client_link **out) MSFL_NODISCARD;
void client_link_free(client_link *link);

/** The newest roster's text; msfl_free. */
msfl_status client_link_roster(client_link *link, char **text, size_t *length) MSFL_NODISCARD;

typedef enum client_job_state {
    CLIENT_QUEUED,
    CLIENT_RUNNING,
    CLIENT_DONE,
    CLIENT_ABORTED,
    CLIENT_FAILED
} client_job_state;
/** A line of the list of jobs. */
typedef struct client_job_line {
    char id[64];
    client_job_state state;
    uint8_t hash[MSFL_HASH_BYTES];
} client_job_line;
/** All jobs, oldest first, and the epoch of the coordinator's roster. Waits up to `wait_s` seconds for another
 *  version than `*seen` (0: answers at once), and sets it. Free `*lines` with msfl_free. */
msfl_status client_link_jobs(client_link *link, uint32_t wait_s, uint64_t *seen, uint32_t *epoch,
                             client_job_line **lines, size_t *n) MSFL_NODISCARD;

/** The exact bytes of a description; msfl_free. */
msfl_status client_link_job(client_link *link, const char *job, char **text, size_t *length) MSFL_NODISCARD;
/** A round's plan; msfl_free. ERR_MISSING: the round is over. */
msfl_status client_link_plan(client_link *link, const char *job, uint64_t number, char **text,
                             size_t *length) MSFL_NODISCARD;

/** The record of round `index` (1: the job's first) as the coordinator keeps it, and a roster of the job; msfl_free.
 *  ERR_MISSING: there is none (yet). */
msfl_status client_link_record(client_link *link, const char *job, uint32_t index, char **bytes,
                               size_t *length) MSFL_NODISCARD;
msfl_status client_link_job_roster(client_link *link, const char *job, uint32_t epoch, char **text,
                                   size_t *length) MSFL_NODISCARD;

/** Weights to a file, going on where an earlier attempt for the model of this hash stopped: `path` appears whole,
 *  `path`.part before. `n_values` floats, else ERR_MISMATCH. The hash is for the caller to check. */
msfl_status client_link_model(client_link *link, const char *job, uint32_t index, const uint8_t hash[MSFL_HASH_BYTES],
                              const char *path, uint64_t n_values, const net_progress *progress) MSFL_NODISCARD;

/** Delivery to the hospitals: the folded sum of a round to a file of `length` bytes, going on where an earlier attempt
 *  with the same `etag` stopped; the delivery that this party has missed (clear `frames` in any case); what follows for
 *  the course, as JSON. ERR_MISSING: not kept (yet, or any more). */
msfl_status client_link_sum(client_link *link, const char *job, uint64_t number, const char *etag, const char *path,
                            uint64_t length) MSFL_NODISCARD;
msfl_status client_link_delivery(client_link *link, const char *job, uint64_t number,
                                 msfl_buffer *frames) MSFL_NODISCARD;
msfl_status client_link_claim(client_link *link, const char *job, const char *json) MSFL_NODISCARD;

/** What this party should hear: frames; nothing when there is nothing to say. Waits as client_link_jobs. Clear `frames`
 *  in any case. */
msfl_status client_link_inbox(client_link *link, const char *job, uint64_t *seen, uint32_t wait_s,
                              msfl_buffer *frames) MSFL_NODISCARD;

/** A body that is made while it goes: exactly `length` bytes. */
typedef struct client_body {
    /** The next bytes, at least one, at most `max`; -1 after a failure, which is recorded. */
    ssize_t (*read)(void *ctx, uint8_t *out, size_t max);
    void *ctx;
    uint64_t length;
} client_body;
/** Frames to the coordinator, and frames back. Clear `answer` in any case. ERR_IO: unknown how much was heard. */
msfl_status client_link_send(client_link *link, const char *job, const client_body *body,
                             msfl_buffer *answer) MSFL_NODISCARD;
/** The same for frames in memory; repeated when the network fails, since everything may be sent again. */
msfl_status client_link_post(client_link *link, const char *job, const msfl_buffer *frames,
                             msfl_buffer *answer) MSFL_NODISCARD;

/** What the screen shows of this party. Once: who does not hear it does not. */
msfl_status client_link_report(client_link *link, const char *job, const char *json) MSFL_NODISCARD;

net_client *client_link_net(client_link *link);

/* --- frames: u32 length, so many bytes --- */

void client_frame_put(msfl_buffer *frames, const uint8_t *message, size_t length);
/** The next message, borrowed; false at the end. `*failed` where the bytes are no frames. */
bool client_frame_next(msfl_reader *reader, const uint8_t **message, size_t *length, bool *failed);

#endif
