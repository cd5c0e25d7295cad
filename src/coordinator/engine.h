/* Jobs, one after another, from their first round to their files. Layer: coordinator. docs/design/coordinator.md
 *
 * One thread steps (coord_engine_step): it opens rounds, closes them, makes the next model of what was opened. Any
 * thread may call everything else: what parties send goes to the round's machine at once, what they ask is answered
 * from it. Every decision is in the store before anything follows from it, so that a process that dies at any instant
 * is continued by the next one with the same bytes.
 */
#ifndef MSFL_COORDINATOR_ENGINE_H
#define MSFL_COORDINATOR_ENGINE_H

#include "coordinator/job.h"
#include "coordinator/members.h"

typedef struct coord_engine coord_engine;

/** Milliseconds since 1970. */
uint64_t coord_now_ms(void);

typedef enum coord_level { COORD_INFO, COORD_WARNING, COORD_ERROR } coord_level;

typedef struct coord_engine_options {
    const char *folder;                 /**< of the state: jobs/, spool/, audit/ below it */
    store *store;                       /**< borrowed */
    const msfl_identity_secret *secret; /**< borrowed: the coordinator's */
    coord_members *members;             /**< the newest roster; held by the engine */
    uint64_t now_ms;
    /** A line of what happens; any thread. `job`: its id, or "". NULL. */
    void (*log)(void *ctx, coord_level level, const char *job, const char *text);
    void *ctx;
} coord_engine_options;

/** Reads all jobs of the state folder; goes on with the one that was running. */
msfl_status coord_engine_new(const coord_engine_options *options, coord_engine **out) MSFL_NODISCARD;
void coord_engine_free(coord_engine *engine);

/** Do what is due. `*wait_ms`: when to come again, unless something happens. Failures (a full disk) leave everything as
 *  it was: the next step tries again. */
msfl_status coord_engine_step(coord_engine *engine, uint64_t now_ms, uint32_t *wait_ms) MSFL_NODISCARD;
/** Wait for `wait_ms`, or until something happened that a step could act on. */
void coord_engine_rest(coord_engine *engine, uint32_t wait_ms);
/** Everybody who waits comes back, now and from now on. */
void coord_engine_stop(coord_engine *engine);

/* --- operators --- */

/**
 * A description (as job_spec_parse, not trusted); a nonce is set, and `initial`, the hash of the weights in the file of
 * that name (NULL: by the seed). The file is copied. `id` gets the job's name.
 * @retval MSFL_ERR_FORMAT, MSFL_ERR_USAGE, MSFL_ERR_PARAMS  the description; the weights
 * @retval MSFL_ERR_MISMATCH  the weights are not those that the description names
 * @retval MSFL_ERR_LIMIT     COORD_JOBS_MAX jobs are kept
 */
msfl_status coord_engine_submit(coord_engine *engine, const char *text, size_t length, const char *initial,
                                char id[JOB_ID_MAX + 1]) MSFL_NODISCARD;
/** ERR_MISSING; ERR_POLICY for a job that has ended. On disk when it returns; the round is given up soon after. */
msfl_status coord_engine_abort(coord_engine *engine, const char *id, const char *reason) MSFL_NODISCARD;
/** From now on this roster counts; the caller has checked that it may follow. */
void coord_engine_members(coord_engine *engine, coord_members *members);
/** The newest; drop it when done. */
coord_members *coord_engine_hold_members(coord_engine *engine);

/* --- parties, by the name that their certificate has --- */

/** Whether this party is in the job's rounds, and its number. ERR_MISSING: no such job; ERR_POLICY: not one of its
 *  parties. */
msfl_status coord_engine_party(coord_engine *engine, const char *id, const char *name, uint32_t *party) MSFL_NODISCARD;
/** A message; what comes back is appended to `frames`. As coord_driver_receive; ERR_POLICY when no round is open. */
msfl_status coord_engine_receive(coord_engine *engine, const char *id, const char *name, const uint8_t *message,
                                 size_t length, msfl_buffer *frames) MSFL_NODISCARD;
/** What this party should hear. Waits for at most `wait_ms` while the job's version is `seen` (0: does not wait).
 *  `*version`: the present one. */
msfl_status coord_engine_inbox(coord_engine *engine, const char *id, const char *name, uint64_t seen, uint32_t wait_ms,
                               msfl_buffer *frames, uint64_t *version) MSFL_NODISCARD;
/** The list of jobs as JSON; msfl_free. Waits likewise. */
msfl_status coord_engine_list(coord_engine *engine, uint64_t seen, uint32_t wait_ms, char **text,
                              uint64_t *version) MSFL_NODISCARD;
/** The exact bytes of a description; msfl_free. */
msfl_status coord_engine_text(coord_engine *engine, const char *id, char **text, size_t *length,
                              uint8_t hash[MSFL_HASH_BYTES]) MSFL_NODISCARD;
/** The plan of the open round of this number. ERR_MISSING for another. */
msfl_status coord_engine_plan(coord_engine *engine, const char *id, uint64_t number, char **text) MSFL_NODISCARD;
/** Where weights lie; msfl_free `*path`. ERR_MISSING when they are not kept (any more). `hash` may be NULL where it is
 *  not known. */
msfl_status coord_engine_model(coord_engine *engine, const char *id, uint32_t index, char **path,
                               uint8_t hash[MSFL_HASH_BYTES]) MSFL_NODISCARD;
/** The folder of a job's products, and that of its audit; msfl_free both. */
msfl_status coord_engine_folders(coord_engine *engine, const char *id, char **products, char **audit) MSFL_NODISCARD;

/** Scheme plain: whether round `number` of this job is open for this party's upload. ERR_POLICY for a job that
 * encrypts. */
msfl_status coord_engine_plain_open(coord_engine *engine, const char *id, const char *name,
                                    uint64_t number) MSFL_NODISCARD;
/** A complete upload in the file `path`: checked, then moved into the round. */
msfl_status coord_engine_plain(coord_engine *engine, const char *id, const char *name, uint64_t number,
                               const char *path) MSFL_NODISCARD;

/** Delivery to the hospitals: where the folded sum of round `number` lies, and the delivery that this party has not
 *  answered; msfl_free. ERR_MISSING. */
msfl_status coord_engine_folded(coord_engine *engine, const char *id, uint64_t number, char **path,
                                char etag[33]) MSFL_NODISCARD;
msfl_status coord_engine_delivery(coord_engine *engine, const char *id, const char *name, uint64_t number,
                                  char **path) MSFL_NODISCARD;
/** What a hospital says of the course after the figures of round `number`: the first word stands. On disk when it
 *  returns. ERR_POLICY where nothing is asked; ERR_MISMATCH where it cannot be, or is not what it said before. */
msfl_status coord_engine_claim(coord_engine *engine, const char *id, const char *name, uint64_t number, bool more,
                               uint32_t best) MSFL_NODISCARD;

/** What a party says of itself: shown, never believed. */
typedef struct coord_report {
    uint32_t round;
    char state[16], text[201];
    double progress; /**< 0 to 1; NaN: not told */
    uint64_t at_ms;  /**< 0: nothing yet */
} coord_report;
/** ERR_FORMAT for a state that is none. */
msfl_status coord_engine_report(coord_engine *engine, const char *id, const char *name,
                                const coord_report *report) MSFL_NODISCARD;
/** This party was heard of just now. */
void coord_engine_seen(coord_engine *engine, const char *name);

#endif
