/* One run of `simulate` while it goes on: its folder, its trainings, the models it leaves. */
#ifndef MSFL_FEDERATION_RUN_H
#define MSFL_FEDERATION_RUN_H

#include "federation/result.h"

/** Filled from top to bottom: options and paths, then the folder, the job, and last the trainings. */
typedef struct fed_run {
    msfl_simulate_options options;
    json_t *config; /**< owns the texts of `options` when they came from the folder */
    uint8_t config_hash[MSFL_HASH_BYTES];
    uint8_t central_hash[MSFL_HASH_BYTES]; /**< of the central training, where it is shared; else the same */
    fed_job job;
    fed_tracks tracks;
    char *data_path, *model_path; /**< absolute, where the options name files */
    char *recipe_path, *labels_path, *masks_path, *key_path;
    int lock; /**< on config.json while the run goes on; -1: not yet */
} fed_run;

/** `name` in the run's folder. Free `*path` with msfl_free. */
msfl_status fed_run_path(const fed_run *r, const char *name, char **path) MSFL_NODISCARD;
/** `value` as that file. */
msfl_status fed_run_write_json(const fed_run *r, const char *name, const json_t *value) MSFL_NODISCARD;

/** Refuses a folder that holds something else; to resume, takes over what its config.json says. ERR_POLICY where that
 *  would send updates otherwise than whoever resumes has named. Writes nothing. */
msfl_status fed_run_find(fed_run *r) MSFL_NODISCARD;

/** Make the folder and lock it. Called once the data and all options proved usable, so that a refused run leaves no
 *  folder behind. config.json comes first: from then on the folder can be resumed. */
msfl_status fed_run_make(fed_run *r) MSFL_NODISCARD;

/** All tracks that the options ask for, fresh or from their checkpoints. */
msfl_status fed_run_begin(fed_run *r) MSFL_NODISCARD;

/** Every round that is still to be run, one training after another; each leaves a checkpoint after every round, and
 *  the run's product its model as soon as it is there. ERR_CANCELLED between rounds. */
msfl_status fed_run_train(fed_run *r) MSFL_NODISCARD;

/** A model file with the run's classes and recipe in it. `weights`: n_values of the job's model. */
msfl_status fed_run_save_model(const fed_run *r, const char *name, const float *weights) MSFL_NODISCARD;

/** What every hospital uses where it keeps normalisation layers of its own: personal/hospital-K.h5. */
msfl_status fed_run_save_personal(const fed_run *r) MSFL_NODISCARD;

/** agg_model_calibrated.h5: `best` with the temperature of `result` in its last layer, where there is one. */
msfl_status fed_run_save_calibrated(const fed_run *r, const float *best, const json_t *result) MSFL_NODISCARD;

#endif
