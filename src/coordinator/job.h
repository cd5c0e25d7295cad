/* One job as the coordinator keeps it: what was submitted, how far it has got, and where its files are. */
#ifndef MSFL_COORDINATOR_JOB_H
#define MSFL_COORDINATOR_JOB_H

#include "job/plan.h"
#include "job/scores.h"
#include "store/journal.h"

enum {
    COORD_WHY_MAX = 200,
    COORD_JOBS_MAX = 1000,    /**< kept in one state folder, ended ones included */
    COORD_ATTEMPTS_KEPT = 64, /**< given-up rounds that are remembered, the newest */
};

typedef enum coord_state { COORD_QUEUED, COORD_RUNNING, COORD_DONE, COORD_ABORTED, COORD_FAILED } coord_state;
/** "queued", ... Static storage. */
const char *coord_state_name(coord_state state);

/** A finished round. NaN: nobody could tell. */
typedef struct coord_history {
    uint32_t round, cohort;
    uint64_t number, clipped, ended_ms;
    double learning_rate, train_loss, train_accuracy;
    job_scores validation;                              /**< but how many images */
    double ms_collect, ms_certify, ms_release, ms_open; /**< NaN: the process was restarted meanwhile */
    uint64_t bytes_in, bytes_out;                       /**< of the update round, all parties together */
    uint8_t model[MSFL_HASH_BYTES];                     /**< hash of the weights after it */
} coord_history;

/** A round that was given up. */
typedef struct coord_attempt {
    uint64_t number, ended_ms;
    uint32_t round;
    job_kind kind;
    char why[COORD_WHY_MAX + 1];
} coord_attempt;

/** Figures of the final test. */
typedef struct coord_test {
    bool known;
    job_scores scores;
} coord_test;

typedef struct coord_job {
    /* what it is */
    char id[JOB_ID_MAX + 1];
    uint64_t order; /**< of submission */
    char *text, *folder;
    size_t text_length;
    job_spec spec;
    job_shape *shape;
    uint8_t hash[MSFL_HASH_BYTES];
    /* how far it is: in the store */
    coord_state state;
    char why[COORD_WHY_MAX + 1];
    uint64_t submitted_ms, started_ms, ended_ms; /**< 0: not yet */
    job_course course;
    float *clip;     /**< sent.n_tensors: bounds of the next update */
    uint32_t newest; /**< index of the newest weights */
    uint8_t newest_hash[MSFL_HASH_BYTES], best_hash[MSFL_HASH_BYTES], initial_hash[MSFL_HASH_BYTES];
    job_kind stage;    /**< of the round that is open, or comes next */
    uint32_t failures; /**< attempts at it that were given up */
    bool open;         /**< a round with `number` is, or was and nobody has noted its end */
    uint64_t number;
    uint32_t epoch; /**< of the roster under which it runs */
    uint8_t task[MSFL_HASH_BYTES];
    coord_history current;  /**< of the round whose update is in and whose evaluation is not */
    coord_history *history; /**< n_history */
    uint32_t n_history;
    size_t history_capacity;
    coord_attempt attempts[COORD_ATTEMPTS_KEPT]; /**< n_attempts, oldest first */
    uint32_t n_attempts;
    coord_test test;
    uint32_t records; /**< transcripts that are kept */
    uint8_t head[MSFL_HASH_BYTES];
    uint64_t verified_ms;
} coord_job;

/** From the text of a description; nothing is written. `folder` is copied. Free with coord_job_free. */
msfl_status coord_job_new(const char *text, size_t length, const char *folder, coord_job **out) MSFL_NODISCARD;
void coord_job_free(coord_job *job);

/** All that is in the store, as bytes. Clear `out` in any case. */
void coord_job_put(const coord_job *job, msfl_buffer *out);
/** And back. ERR_FORMAT. */
msfl_status coord_job_get(coord_job *job, const uint8_t *bytes, size_t length) MSFL_NODISCARD;

/** The plan of the round that is open or comes next, clip lent by the job. */
job_plan coord_job_plan(const coord_job *job);
job_clip_rule coord_job_clip_rule(const coord_job *job);

/** A round was given up. */
void coord_job_attempt(coord_job *job, const char *why, uint64_t now_ms);

/* --- files --- */

/** FOLDER/models/000003.f32; msfl_free. */
char *coord_job_model_path(const coord_job *job, uint32_t index);
/** Write weights so that they are there whole or not at all. */
msfl_status coord_job_save(const coord_job *job, uint32_t index, const float *weights) MSFL_NODISCARD;
/**
 * A vector of n_values zeros for weights that are to be made, one at a time for a job: pages of a file, so that what
 * coord_job_passed was told costs no memory. The room on disk is taken at once. ERR_IO for a full disk.
 */
msfl_status coord_job_draft(const coord_job *job, float **weights) MSFL_NODISCARD;
/** Durable, and in its place: coord_job_map finds it. The mapping stays until coord_job_draft_free. */
msfl_status coord_job_draft_keep(const coord_job *job, uint32_t index, float *weights) MSFL_NODISCARD;
/** Also without keep; NULL is fine. */
void coord_job_draft_free(const coord_job *job, float *weights);
/** Weights, mapped read-only: n_values of them, until coord_job_unmap. ERR_MISSING, ERR_FORMAT (another length). */
msfl_status coord_job_map(const coord_job *job, uint32_t index, const float **weights) MSFL_NODISCARD;
void coord_job_unmap(const coord_job *job, const float *weights);
/** Values [first, first + n) of mapped weights were read and need not stay in memory; `first` a multiple of 2^20. */
void coord_job_passed(const float *weights, uint64_t first, uint64_t n);
/** What is carried beside the newest weights, index `index` (job_carried vectors): zeros beside the first. msfl_free
 * `*moments`. */
msfl_status coord_job_moments(const coord_job *job, const job_aggregate *rule, uint32_t index,
                              float **moments) MSFL_NODISCARD;
/** Of weights that are about to be kept, by their hash. */
msfl_status coord_job_moments_save(const coord_job *job, const job_aggregate *rule, uint32_t index,
                                   const uint8_t hash[MSFL_HASH_BYTES], const float *moments) MSFL_NODISCARD;
/** Forget weights that nothing needs any more: all but the first, the best, the newest and the one before. */
void coord_job_tidy(const coord_job *job);

#endif
