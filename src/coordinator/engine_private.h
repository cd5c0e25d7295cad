/* What the files of the engine share: engine.c (jobs, changes), engine_submit.c, engine_parties.c (questions),
 * engine_run.c (steps of a job), engine_open.c (from an opened sum to what follows from it), status.c. */
#ifndef MSFL_COORDINATOR_ENGINE_PRIVATE_H
#define MSFL_COORDINATOR_ENGINE_PRIVATE_H

#include "coordinator/driver.h"
#include "coordinator/engine.h"
#include "text/json.h"

#include <pthread.h>

enum { COORD_LOG_KEPT = 50 };

/** What a hospital says follows from the figures that it opened. */
typedef struct coord_claim {
    uint64_t number; /* of the round; 0: nothing */
    bool more;       /* training goes on */
    uint32_t best;   /* the best round, where a final test needs it; 0: not told */
} coord_claim;

/** A job with what belongs to this process alone. */
typedef struct coord_entry {
    coord_engine *engine;
    coord_job *job;
    msfl_buffer saved;      /* the job's state as the store has it */
    coord_members *members; /* under which it runs; NULL while it does not */
    coord_driver *driver;   /* held; NULL while it does not run */
    uint64_t version;       /* of what its parties may have to hear */
    uint64_t seen_changes;  /* of the driver */
    bool abort;
    char abort_why[COORD_WHY_MAX + 1];
    coord_report *reports; /* by party; n_reports */
    uint32_t n_reports;
    uint64_t switch_from_ms;       /* since when another roster is waiting for the round's end; 0: none is */
    char waits[COORD_WHY_MAX + 1]; /* why it cannot go on just now; "" */
    /* delivery to the hospitals: what they say of the course; n_reports */
    coord_claim *claims;
    uint64_t agreed_ms; /* since when enough of them agree on the open round; 0: they do not */
} coord_entry;

typedef struct coord_seen {
    char name[PKI_NAME_MAX + 1];
    uint64_t at_ms;
} coord_seen;

typedef struct coord_line {
    uint64_t at_ms;
    coord_level level;
    char job[JOB_ID_MAX + 1], text[COORD_WHY_MAX + 1];
} coord_line;

/** Totals since the process began, for /metrics. */
typedef struct coord_totals {
    uint64_t rounds_opened, rounds_aborted, uploads, bytes_in, bytes_out, jobs_done, jobs_failed;
    double seconds_collect, seconds_certify, seconds_release, seconds_open;
} coord_totals;

/* Locks are taken in this order: a driver's, the store's, the engine's. Nothing of a driver or the store is called with
 * the engine's lock held. */
struct coord_engine {
    coord_engine_options o;
    char *folder;
    uint64_t started_ms;
    pthread_mutex_t lock;
    pthread_cond_t news; /* something that a waiting party may have to hear */
    pthread_cond_t work; /* something that a step could act on */
    bool stopping, due;
    coord_members *members;
    coord_entry **entries; /* n_entries, by order of submission */
    uint32_t n_entries;
    size_t entries_capacity;
    uint64_t version; /* counts every change; begins at the time of the start, so that no process repeats another's */
    uint64_t list_version;
    coord_seen *seen;
    uint32_t n_seen;
    size_t seen_capacity;
    coord_line log[COORD_LOG_KEPT];
    uint32_t n_log;
    coord_totals totals;
};

void coord_log(coord_engine *e, coord_level level, const coord_entry *j, const char *fmt, ...) MSFL_PRINTF(4, 5);
/** With the lock: counts up and wakes everybody. `list`: the list of jobs has changed too. */
void coord_changed(coord_engine *e, coord_entry *j, bool list);
/** Without the lock: whether the driver has something new for its parties. */
void coord_notice(coord_engine *e, coord_entry *j);
/** With the lock. NULL. */
coord_entry *coord_find(const coord_engine *e, const char *id);

msfl_status coord_no_job(const char *id) MSFL_NODISCARD;
/** The list of jobs in the store, and the key of a job's state. */
#define COORD_KEY_JOBS "jobs"
void coord_state_key(const coord_job *j, char key[JOB_ID_MAX + 8]);
/** With the lock, unless nobody else knows the engine yet. Takes the job. */
msfl_status coord_add_entry(coord_engine *e, coord_job *job, coord_entry **out) MSFL_NODISCARD;
/** With the lock: false when the time is over. */
bool coord_wait_until(coord_engine *e, pthread_cond_t *condition, uint64_t end_ns);

/* --- a change of a job's state that must be kept --- */

/* Use: lock; change fields of j->job; coord_change_begin; unlock; hand `also` to the driver, or coord_change_keep;
 * coord_change_end with the outcome, which puts the fields back when it failed. */
typedef struct coord_change {
    coord_engine *e;
    coord_entry *j;
    msfl_buffer bytes;
    coord_also also;
} coord_change;
/** With the lock. */
void coord_change_begin(coord_change *change, coord_engine *e, coord_entry *j);
/** By itself, where no driver keeps something else in the same step. */
msfl_status coord_change_keep(coord_change *change) MSFL_NODISCARD;
/** Without the lock. Returns `status`. */
msfl_status coord_change_end(coord_change *change, msfl_status status, bool list) MSFL_NODISCARD;

/* --- reports.c: what parties say of themselves --- */
/** Whether it means that this party will not upload in this round of the course. Believing it costs nobody else
 *  anything: the others need not wait for it. */
bool coord_stays_out(const coord_report *report, uint32_t round);
/** With the lock: whether all hospitals, which are the first parties, have refused the job or failed for good, and why.
 */
bool coord_nobody_is_left(const coord_entry *j, uint32_t n_hospitals, char why[COORD_WHY_MAX + 1]);
/** A round begins: only what holds for the whole job still counts. With the lock. */
void coord_reports_clear(coord_entry *j);
/** After a restart: who has said for the round that is open that it stays out. */
msfl_status coord_reports_load(coord_engine *e, coord_entry *j) MSFL_NODISCARD;

/* --- engine_run.c --- */
msfl_status coord_run(coord_engine *e, coord_entry *j, uint64_t now_ms, uint32_t *wait_ms) MSFL_NODISCARD;

/* --- engine_open.c --- */
/** The round of the job's stage is open: make of its sum what follows, and end it. */
msfl_status coord_open_sum(coord_engine *e, coord_entry *j, uint64_t now_ms) MSFL_NODISCARD;
/** With the lock: the round is over with this figure of the newest weights; what comes next. */
void coord_round_done(coord_entry *j, double judgement, uint64_t now_ms);

/* --- engine_parties.c --- */
/** Without a driver: ERR_CANCELLED while there will be one soon, else ERR_POLICY. */
msfl_status coord_not_now(coord_engine *e, const coord_entry *j) MSFL_NODISCARD;

/* --- engine_plain.c --- */
/** Uploads that were complete when the last process died, before the round had taken them. */
void coord_plain_sweep(coord_engine *e, coord_entry *j);
/** Sums of the open round of scheme plain: `mean` has sent.n_values (NULL: figures alone), `counters` as many as the
 * plan's kind has. */
msfl_status coord_plain_sum(coord_entry *j, const job_plan *plan, uint32_t n_clients, float *mean, uint64_t *counters,
                            uint8_t result[MSFL_HASH_BYTES]) MSFL_NODISCARD;

/* --- engine_sealed.c --- */
/** Whether sums of the job are opened by the hospitals alone. */
bool coord_is_sealed(const coord_job *job);
/** What such a job must be like. `roster` may be NULL. */
msfl_status coord_sealed_fits(const coord_job *job, const msfl_roster *roster) MSFL_NODISCARD;
/** After a restart: what hospitals have said of the open round. */
msfl_status coord_sealed_load(coord_engine *e, coord_entry *j) MSFL_NODISCARD;
/** DELIVERING: keep what hospitals need, and end the round when they agree. `why` is set when they never will. */
msfl_status coord_sealed_attend(coord_engine *e, coord_entry *j, const coord_view *v, uint64_t now_ms,
                                char why[COORD_WHY_MAX + 1]) MSFL_NODISCARD;

/* --- products.c --- */
/** metrics.jsonl of the rounds so far. */
msfl_status coord_write_metrics(const coord_job *job) MSFL_NODISCARD;
/** The best round so far, or null where the hospitals keep it to themselves. */
json_t *coord_best_json(const coord_job *job);
/** The figures of a round, as docs/formats/result.md has them. */
json_t *coord_history_figures(const coord_job *job, const coord_history *h);
/** Those of the final test, or null. */
json_t *coord_test_json(const coord_job *job);
/** Models and result.json of a job that ends. */
msfl_status coord_write_products(const coord_engine *e, const coord_entry *j, coord_state state,
                                 const char *why) MSFL_NODISCARD;

/* --- records.c --- */
/** Of a job that has ended: its last transcript, as the message that hospitals hear. Nothing for others. */
msfl_status coord_last_record(coord_engine *e, const coord_entry *j, msfl_buffer *frames) MSFL_NODISCARD;
/** Before a job goes on under another roster: the last transcript of its former task, in case it was finished and could
 * not be kept yet. */
msfl_status coord_sweep_task(coord_engine *e, coord_entry *j, const uint8_t task[MSFL_HASH_BYTES]) MSFL_NODISCARD;
/** Keep a transcript; the same one again is fine. */
msfl_status coord_keep_record(coord_engine *e, coord_entry *j, const uint8_t *transcript, size_t length) MSFL_NODISCARD;

#endif
