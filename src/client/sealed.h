/* A job whose sums the hospitals open themselves: what this one opened, the models it made, and where the course
 * stands. Everything follows from opened sums, so all hospitals come to the same; nothing of it is asked of the
 * coordinator. docs/design/client.md */
#ifndef MSFL_CLIENT_SEALED_H
#define MSFL_CLIENT_SEALED_H

#include "client/part.h"
#include "job/scores.h"

/** Figures of a finished round of the course; NaN: nobody could tell. */
typedef struct sealed_round {
    uint32_t round, cohort;
    uint64_t number, clipped;
    double learning_rate, train_loss, train_accuracy;
    job_scores validation; /**< but how many images */
} sealed_round;

/** Where the course stands after the last round whose record has come. */
typedef struct sealed_state {
    uint8_t task[MSFL_HASH_BYTES]; /**< with `number`: of that round */
    uint64_t number;               /**< 0: none yet */
    job_course course;
    bool awaits;     /**< an update is in, and its figures are not */
    uint32_t newest; /**< index of the newest weights */
    /* As announcements name them, and as job_weights_hash has them. */
    uint8_t newest_name[MSFL_HASH_BYTES], best_name[MSFL_HASH_BYTES];
    uint8_t newest_hash[MSFL_HASH_BYTES], best_hash[MSFL_HASH_BYTES];
    sealed_round current; /**< of the update that is in */
    sealed_round *rounds; /**< n_rounds, finished ones */
    uint32_t n_rounds;
    size_t capacity;
    bool tested;
    job_scores test;
} sealed_state;

/** A sum that was opened and reported, and whose record has not come: it may come to nothing. */
typedef struct sealed_opened {
    uint8_t task[MSFL_HASH_BYTES];
    uint64_t number; /**< 0: none */
    job_kind kind;
    uint32_t cohort;
    double learning_rate;
    uint64_t counters[MSFL_COUNTERS_MAX];
    uint8_t hash[MSFL_HASH_BYTES]; /**< of the weights that were made; JOB_UPDATE */
} sealed_opened;

struct client_sealed {
    sealed_state state;
    sealed_opened opened;
    msfl_packed *ctx; /**< lent to the machine */
    char *folder;     /**< STATE/jobs/ID/models */
    bool caught_up, catching;
    uint8_t update_layout[MSFL_HASH_BYTES], evaluate_layout[MSFL_HASH_BYTES], test_layout[MSFL_HASH_BYTES];
    float *clip; /**< of each tensor that is sent */
};

/* --- sealed_state.c --- */
void sealed_state_clear(sealed_state *state);
/** Of the store; as at the beginning of the job where there is nothing. */
msfl_status sealed_load(client_part_state *p) MSFL_NODISCARD;
msfl_status sealed_keep_state(client_part_state *p, const sealed_state *state) MSFL_NODISCARD;
msfl_status sealed_keep_opened(client_part_state *p, const sealed_opened *opened) MSFL_NODISCARD;
/** What comes of the state by this sum; `name`: of the new model, JOB_UPDATE (NULL: not known yet). */
msfl_status sealed_apply(const job_shape *shape, sealed_state *state, const sealed_opened *opened,
                         const uint8_t *name) MSFL_NODISCARD;
/** A round of the kind comes next: figures that nobody could make are passed over. */
msfl_status sealed_pass_over(const job_shape *shape, sealed_state *state, job_kind kind) MSFL_NODISCARD;
msfl_status sealed_copy(sealed_state *to, const sealed_state *from) MSFL_NODISCARD;

/* --- sealed_files.c --- */
char *sealed_weights_path(const struct client_sealed *s, uint32_t index);
msfl_status sealed_save_weights(const client_part_state *p, uint32_t index, const float *weights) MSFL_NODISCARD;
/** What is carried beside the newest weights, index `index` (job_carried vectors); zeros beside the first. msfl_free.
 */
msfl_status sealed_moments(const client_part_state *p, const job_aggregate *rule, uint32_t index,
                           float **moments) MSFL_NODISCARD;
msfl_status sealed_save_moments(const client_part_state *p, const job_aggregate *rule, uint32_t index,
                                const uint8_t hash[MSFL_HASH_BYTES], const float *moments) MSFL_NODISCARD;
/** agg_model.h5, agg_model_last.h5 (.f32 for a job of `tensors`), metrics.jsonl, result.json in STATE/jobs/ID; weights
 *  that nothing needs any more go. */
msfl_status sealed_write_products(client_part_state *p) MSFL_NODISCARD;

/* --- sealed.c, sealed_open.c and sealed_missed.c: what part.c, hear.c and round.c call --- */
msfl_status client_sealed_new(client_part_state *p) MSFL_NODISCARD;
void client_sealed_free(struct client_sealed *sealed);
/** The machines were made: what was settled before counts. */
msfl_status client_sealed_sit(client_part_state *p) MSFL_NODISCARD;
/** At the beginning: catch up; who cannot says so and listens on, so that others need not wait for it. */
msfl_status client_sealed_begin(client_part_state *p) MSFL_NODISCARD;
/** Records that were missed, and the sums that they are about, one after the other. */
msfl_status client_sealed_catch_up(client_part_state *p) MSFL_NODISCARD;
/** The machine has taken a record: if it is of a sum that was opened, the model counts. */
msfl_status client_sealed_settle(client_part_state *p) MSFL_NODISCARD;
/** A sum was delivered: fetch and open it, make the model, say so. */
msfl_status client_sealed_open(client_part_state *p) MSFL_NODISCARD;
/** Send a report, and before it what follows from it for the course. */
msfl_status client_sealed_send(client_part_state *p, const msfl_buffer *frames) MSFL_NODISCARD;
/** The plan of the announced round, from what this hospital knows. ERR_MISMATCH: not the round that follows. */
msfl_status client_sealed_plan(client_part_state *p, const msfl_announcement *a, job_plan *plan) MSFL_NODISCARD;
/** Weights of an index that the plan may name; msfl_free. */
msfl_status client_sealed_weights(client_part_state *p, uint32_t index, float **weights) MSFL_NODISCARD;
/** The job is over, and nothing of it is missing: it is not asked for again. */
void client_sealed_end(client_part_state *p);
/** Whether this hospital took part in such a job and has not seen its end. */
bool client_sealed_is_behind(store *s, const char *job);

#endif
