/* One training from first to last round (encrypted, plain, central, or one hospital alone): its state, its record, its
 * checkpoint. */
#ifndef MSFL_FEDERATION_TRACK_H
#define MSFL_FEDERATION_TRACK_H

#include "federation/job.h"
#include "job/course.h"

/** Figures of one round; every one a double so that checkpoint, metrics.jsonl and report share this list. NaN: does not
 *  apply. Counts are exact below 2^53. */
#define FED_RECORD_LIST(X)                                                                                             \
    X(round)                                                                                                           \
    X(learning_rate)                                                                                                   \
    X(train_loss)                                                                                                      \
    X(train_accuracy)                                                                                                  \
    X(validation_loss)                                                                                                 \
    X(validation_accuracy)                                                                                             \
    X(validation_auc)                                                                                                  \
    X(test_auc)                                                                                                        \
    X(test_accuracy)                                                                                                   \
    X(cohort)                                                                                                          \
    X(sum_exact)                                                                                                       \
    X(max_error)                                                                                                       \
    X(error_bound)                                                                                                     \
    X(clipped)                                                                                                         \
    X(bytes_plain)                                                                                                     \
    X(bytes_ciphertext)                                                                                                \
    X(bytes_bundle)                                                                                                    \
    X(bytes_header)                                                                                                    \
    X(bytes_down)                                                                                                      \
    X(ms_train)                                                                                                        \
    X(ms_quantise)                                                                                                     \
    X(ms_encrypt)                                                                                                      \
    X(ms_fold)                                                                                                         \
    X(ms_open)                                                                                                         \
    X(ms_evaluate)                                                                                                     \
    X(ms_wall)

typedef struct fed_record {
#define FED_RECORD_FIELD(name) double name;
    FED_RECORD_LIST(FED_RECORD_FIELD)
#undef FED_RECORD_FIELD
} fed_record;

/** All NaN. */
fed_record fed_record_empty(void);

typedef enum fed_track_kind { FED_ENCRYPTED, FED_PLAIN, FED_CENTRAL, FED_ALONE } fed_track_kind;

/** What one hospital carries from round to round: its optimiser's state (NULL: fresh) and the epochs it has seen. */
typedef struct fed_member {
    uint8_t *state;
    size_t state_bytes;
    uint64_t n_epochs;
    float *norms, *best_norms; /**< n_norms values that stay with the hospital: now, and of the best round; or NULL */
} fed_member;

typedef struct fed_track {
    fed_track_kind kind;
    uint32_t hospital; /**< FED_ALONE: which */
    char name[32];     /**< file stem and log name: "encrypted", "plain", "central", "alone-3" */
    uint32_t n_members;
    fed_member *members;
    float *weights, *best; /**< n_values each: after the last finished round; of the one that is kept */
    float *moments; /**< n_moments: what is carried from round to round: the moments of the rule of aggregation, and
                       where rounds are averaged the running mean of their models */
    float *clip;    /**< n_tensors, of those that are sent: bounds for the next round's encoding */
    uint64_t n_values, n_norms, n_moments;
    uint32_t n_tensors;
    uint32_t n_rounds; /**< planned */
    bool is_pixelwise; /**< rounds are judged by Dice: job_judgement */
    job_rule rule;
    job_course course;
    fed_record *records;
    uint32_t n_records;
} fed_track;

msfl_status fed_track_init(fed_track *track, const fed_job *job, fed_track_kind kind, uint32_t hospital) MSFL_NODISCARD;
void fed_track_clear(fed_track *track);

void fed_members_free(fed_member *members, uint32_t n);

/** Of the round that comes next. */
job_stride fed_track_stride(const fed_track *track, const msfl_simulate_options *options);

/** Whether another round is to be run. */
bool fed_track_wants_more(const fed_track *track);

/** Take the round's record: keeps the best weights, lowers the learning rate, stops; all from the validation loss,
 * which is public within the federation. A NaN loss (no validation images) counts every round as the best so far. */
void fed_track_record(fed_track *track, const fed_record *record);

/** Write / read DIR/state/<name>.state. `config` (32 bytes) binds it to the options of the run. A missing file leaves
 *  the track fresh; a damaged or foreign one is an error. */
msfl_status fed_track_save(const fed_track *track, const char *dir,
                           const uint8_t config[MSFL_HASH_BYTES]) MSFL_NODISCARD;
msfl_status fed_track_restore(fed_track *track, const char *dir, const uint8_t config[MSFL_HASH_BYTES]) MSFL_NODISCARD;

#endif
