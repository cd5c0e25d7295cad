/* A run from its folder to its report. The order of trainings is fixed; each leaves a checkpoint after every round. */
#include "medsecurefl/simulate.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/observe.h"
#include "base/sodium.h"
#include "federation/census.h"
#include "federation/config.h"
#include "federation/pictures.h"
#include "federation/result.h"
#include "federation/rounds.h"
#include "job/aggregate.h"
#include "job/temperature.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { CONFIG_BYTES_MAX = 1 << 20 };

msfl_simulate_options msfl_simulate_options_default(void) {
    msfl_simulate_options o = {.data = "phantom",
                               .model = "cnn-small",
                               .partition = "iid",
                               .scheme = "packed",
                               .n_clients = 3,
                               .n_rounds = 8,
                               .value_bits = 24,
                               .security_bits = 128,
                               .normalise = MSFL_NORMALISE_IMAGE,
                               .augment = true,
                               .test_fraction = 0.2,
                               .validation_fraction = 0.1,
                               .train = msfl_train_options_default(),
                               .server_learning_rate = JOB_SERVER_LEARNING_RATE,
                               .plateau_patience = 3,
                               .plateau_factor = 0.5,
                               .compare = MSFL_COMPARE_ALL,
                               .n_bootstrap = 1000,
                               .seed = 1};
    return o;
}

void msfl_text_free(char *text) {
    msfl_free(text);
}

/* One run while it goes on. */
typedef struct run {
    msfl_simulate_options options;
    json_t *config; /* owns the texts of `options` when they came from the folder */
    uint8_t config_hash[MSFL_HASH_BYTES];
    uint8_t central_hash[MSFL_HASH_BYTES]; /* of the central training, where it is shared; else the same */
    fed_job job;
    fed_tracks tracks;
    uint32_t n_alone;
    msfl_indices everything_train, everything_validation; /* borrowed from the split */
    char *data_path, *model_path;                         /* absolute, where the options name files */
    char *recipe_path, *labels_path, *masks_path, *key_path;
    int lock; /* on config.json while the run goes on */
} run;

/* --- the folder --- */

static msfl_status out_path(const run *r, const char *name, char **path) {
    *path = msfl_path_join(r->options.out, name);
    return *path == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
}

static msfl_status write_json(const run *r, const char *name, const json_t *value) {
    char *path;
    msfl_status status = out_path(r, name, &path);
    if (status == MSFL_OK) status = msfl_json_write(path, value);
    msfl_free(path);
    return status;
}

/* How updates leave a hospital is decided by who runs the program, never by a file that someone may have changed. */
static msfl_status compare_policy(const run *r, const msfl_simulate_options *named) {
    if (r->options.scheme == NULL || named->scheme == NULL || strcmp(r->options.scheme, named->scheme) != 0) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "the run in %s has scheme '%s': to continue it, name that again with --scheme %s",
                         r->options.out, r->options.scheme == NULL ? "" : r->options.scheme,
                         r->options.scheme == NULL ? "" : r->options.scheme);
    }
    if (r->options.allow_two_sites && !named->allow_two_sites) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "the run in %s lets two hospitals see each other's update: to continue it, accept that again "
                         "with --allow-two-sites",
                         r->options.out);
    }
    const char *custody = r->options.custody;
    if (custody != NULL && (named->custody == NULL || strcmp(custody, named->custody) != 0)) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "the run in %s has custody '%s': to continue it, name that again with --custody %s",
                         r->options.out, custody, custody);
    }
    const char *delivery = r->options.delivery, *wanted = named->delivery;
    if ((delivery == NULL) != (wanted == NULL) || (delivery != NULL && strcmp(delivery, wanted) != 0)) {
        return msfl_fail(MSFL_ERR_POLICY, "the run in %s has its sums opened by the %s: to continue it, %s",
                         r->options.out, delivery == NULL ? "coordinator" : delivery,
                         delivery == NULL                       ? "leave out --delivery"
                         : strcmp(delivery, "coordinator") == 0 ? "name that again with --delivery coordinator"
                                                                : "name that again with --delivery clients");
    }
    return MSFL_OK;
}

static msfl_status adopt_config(run *r) {
    const msfl_simulate_options named = r->options;
    char *path;
    msfl_status status = out_path(r, "config.json", &path);
    if (status != MSFL_OK) return status;
    if (!msfl_file_exists(path)) {
        status =
            msfl_fail(MSFL_ERR_MISSING, "%s holds no run to resume: leave out --resume to start one", r->options.out);
        goto done;
    }
    status = msfl_json_read(path, CONFIG_BYTES_MAX, &r->config);
    if (status != MSFL_OK) goto done;
    status =
        r->options.data == NULL ? fed_config_apply(r->config, &r->options) : fed_config_compare(r->config, &r->options);
    if (status == MSFL_OK) status = compare_policy(r, &named);
    if (status == MSFL_OK && (r->options.data == NULL || r->options.model == NULL || r->options.partition == NULL)) {
        status = msfl_fail(MSFL_ERR_FORMAT, "%s lacks data, model or partition", path);
    }
done:
    msfl_free(path);
    return status;
}

static msfl_status found_folder(run *r) {
    bool empty = true;
    if (r->options.out == NULL || r->options.out[0] == 0) {
        return msfl_fail(MSFL_ERR_USAGE, "an output folder is needed: --out DIR");
    }
    if (msfl_file_exists(r->options.out)) {
        msfl_status status = msfl_folder_is_empty(r->options.out, &empty);
        if (status != MSFL_OK) return status;
    }
    if (r->options.resume) return adopt_config(r);
    if (!empty) {
        return msfl_fail(MSFL_ERR_EXISTS, "the folder %s is not empty: name another, or continue its run with --resume",
                         r->options.out);
    }
    return MSFL_OK;
}

/* Called once the data and all options proved usable, so that a refused run leaves no folder behind. config.json comes
 * first: from then on the folder can be resumed. */
static msfl_status make_folder(run *r) {
    char *state = NULL, *config_path = NULL;
    const bool is_new = !msfl_file_exists(r->options.out);
    msfl_status status = msfl_folder_make(r->options.out);
    /* The owner's alone: the report shows images, and there are models of single hospitals. One that was there before
     * stays as whoever made it wanted it. */
    if (status == MSFL_OK && is_new && chmod(r->options.out, 0700) != 0) {
        status = msfl_fail(MSFL_ERR_IO, "cannot close %s to others", r->options.out);
    }
    if (status == MSFL_OK && !r->options.resume) {
        json_t *config = fed_config_json(&r->options);
        status = config == NULL ? MSFL_ERR_MEMORY : write_json(r, "config.json", config);
        json_decref(config);
    }
    if (status == MSFL_OK) status = out_path(r, "config.json", &config_path);
    if (status == MSFL_OK) status = msfl_file_lock(config_path, &r->lock);
    if (status == MSFL_OK) status = msfl_folder_clean(r->options.out, "");
    if (status == MSFL_OK) status = out_path(r, "state", &state);
    if (status == MSFL_OK) status = msfl_folder_make(state);
    if (status == MSFL_OK) status = msfl_folder_clean(state, "");
    if (status == MSFL_OK && r->options.central != NULL) {
        msfl_free(state);
        state = msfl_path_join(r->options.central, "state");
        status = state == NULL ? MSFL_NO_MEMORY : msfl_folder_make(state);
    }
    msfl_free(config_path);
    msfl_free(state);
    return status;
}

/* Paths are kept absolute, so that the run can be continued from anywhere. */
static msfl_status make_absolute(const char **path, char **owner) {
    if (*path == NULL || !msfl_file_exists(*path)) return MSFL_OK;
    *owner = msfl_path_absolute(*path);
    if (*owner == NULL) return MSFL_ERR_MEMORY;
    *path = *owner;
    return MSFL_OK;
}

/* A checkpoint belongs to the images and labels it was made with, not only to the options. */
static msfl_status bind_to_data(const run *r, uint8_t hash[MSFL_HASH_BYTES]) {
    const msfl_dataset *dataset = r->job.dataset;
    const msfl_dataset_info *info = msfl_dataset_info_borrow(dataset);
    const size_t voxels = (size_t)info->depth * info->width * info->height, bytes = voxels * info->channels;
    uint8_t *pixels = msfl_alloc(bytes, 1);
    if (pixels == NULL) return MSFL_ERR_MEMORY;
    msfl_hash h;
    msfl_hash_init(&h, "msfl.run.v1");
    msfl_hash_add(&h, hash, MSFL_HASH_BYTES);
    msfl_hash_add_u64(&h, info->n_images);
    for (uint32_t i = 0; i < info->n_images; i++) {
        msfl_dataset_preview(dataset, i, pixels);
        msfl_hash_add_u64(&h, msfl_dataset_label(dataset, i));
        msfl_hash_add_u64(&h, msfl_dataset_group(dataset, i));
        msfl_hash_add(&h, pixels, bytes);
        const uint8_t *mask = msfl_dataset_mask(dataset, i);
        if (mask != NULL && r->job.is_pixelwise) msfl_hash_add(&h, mask, voxels);
    }
    msfl_hash_final(&h, hash);
    msfl_free(pixels);
    return MSFL_OK;
}

static msfl_status save_model(const run *r, const char *name, const float *weights) {
    static const char *const normalisations[] = {"image", "set", "none"};
    const msfl_model_info *info = msfl_model_info_borrow(r->job.model);
    const char *names[MSFL_CLASSES_MAX];
    char *path, spare[MSFL_CLASSES_MAX][24];
    for (uint32_t c = 0; c < info->n_classes; c++) {
        snprintf(spare[c], sizeof spare[c], c == 0 ? "background" : "structure %u", c);
        names[c] = info->is_pixelwise ? spare[c] : msfl_dataset_class_name(r->job.dataset, c);
    }
    msfl_status status = out_path(r, name, &path);
    if (status == MSFL_OK) {
        const msfl_dataset_info *data = msfl_dataset_info_borrow(r->job.dataset);
        const msfl_model_facts facts = {.class_names = names,
                                        .normalise = normalisations[r->options.normalise],
                                        .recipe = data->recipe,
                                        .recipe_name = data->recipe_name};
        status = msfl_model_save(path, r->job.model, weights, &facts);
    }
    msfl_free(path);
    return status;
}

/* What every hospital uses where it keeps normalisation layers of its own: personal/hospital-K.h5. */
static msfl_status save_personal(const run *r) {
    const fed_job *job = &r->job;
    const fed_track *track = fed_tracks_main(job, &r->tracks);
    const uint64_t n = msfl_model_info_borrow(job->model)->n_values;
    if (job->n_norms == 0) return MSFL_OK;
    float *own = msfl_alloc(n, sizeof *own);
    char *folder = NULL;
    msfl_status status = own == NULL ? MSFL_ERR_MEMORY : out_path(r, "personal", &folder);
    if (status == MSFL_OK) status = msfl_folder_make(folder);
    for (uint32_t k = 0; k < job->n_hospitals && status == MSFL_OK; k++) {
        char name[48];
        snprintf(name, sizeof name, "personal/hospital-%u.h5", k + 1);
        memcpy(own, track->best, n * sizeof *own);
        job_norms_put(job->model, track->members[k].best_norms, own);
        status = save_model(r, name, own);
    }
    msfl_free(own);
    msfl_free(folder);
    return status;
}

static msfl_status write_metrics(const run *r) {
    char *path = NULL, *text = NULL;
    msfl_status status = fed_metrics_lines(&r->job, &r->tracks, &text);
    if (status == MSFL_OK) status = out_path(r, "metrics.jsonl", &path);
    if (status == MSFL_OK) status = msfl_file_write(path, text, strlen(text));
    msfl_free(path);
    msfl_free(text);
    return status;
}

/* --- trainings --- */

/* Where a training's checkpoint lies, and what it is bound to. */
static const char *track_folder(const run *r, fed_track_kind kind) {
    return kind == FED_CENTRAL && r->options.central != NULL ? r->options.central : r->options.out;
}

static const uint8_t *track_hash(const run *r, fed_track_kind kind) {
    return kind == FED_CENTRAL ? r->central_hash : r->config_hash;
}

static void announce_round(const run *r, const fed_track *t) {
    const fed_record *record = &t->records[t->n_records - 1];
    char text[256];
    int n = snprintf(text, sizeof text, "validation loss %.4f, test %s %.4f", record->validation_loss,
                     r->job.is_pixelwise ? "Dice" : "AUC", record->test_auc);
    if (t->kind == FED_ENCRYPTED && n > 0 && (size_t)n < sizeof text) {
        snprintf(text + n, sizeof text - (size_t)n, ", sum %s, %.0f of %u hospitals, crypto %.1f ms of %.0f ms",
                 record->sum_exact == 1 ? "exact" : "NOT EXACT", record->cohort, r->job.n_hospitals,
                 record->ms_quantise + record->ms_encrypt + record->ms_fold + record->ms_open, record->ms_wall);
    }
    const msfl_event event = {.kind = MSFL_EVENT_ROUND_DONE,
                              .track = t->name,
                              .client = t->kind == FED_ALONE ? (int32_t)t->hospital : -1,
                              .round = t->n_records,
                              .n_rounds = t->n_rounds,
                              .loss = record->validation_loss,
                              .text = text};
    msfl_observe(&r->job.observer, &event);
}

static msfl_status run_track(run *r, fed_track *t) {
    const fed_job *job = &r->job;
    while (fed_track_wants_more(t)) {
        msfl_status status = msfl_check_cancel(&job->observer);
        if (status == MSFL_OK) {
            switch (t->kind) {
            case FED_ENCRYPTED:
            case FED_PLAIN:
                status = fed_round_federated(job, t);
                break;
            case FED_CENTRAL:
                status = fed_round_solo(job, t, &r->everything_train, &r->everything_validation);
                break;
            case FED_ALONE:
                status =
                    fed_round_solo(job, t, &job->hospitals[t->hospital].train, &job->hospitals[t->hospital].validation);
                break;
            }
        }
        if (status == MSFL_OK) status = fed_track_save(t, track_folder(r, t->kind), track_hash(r, t->kind));
        if (status != MSFL_OK) return status;
        if (t->kind != FED_ALONE) {
            status = write_metrics(r);
            if (status != MSFL_OK) return status;
        }
        if (t->n_records > 0) announce_round(r, t);
    }
    return MSFL_OK;
}

static msfl_status run_alone(void *ctx, size_t k) {
    run *r = ctx;
    return run_track(r, &r->tracks.alone[k]);
}

static msfl_status begin(run *r, fed_track *t, fed_track_kind kind, uint32_t hospital, bool wanted) {
    if (!wanted) return MSFL_OK;
    msfl_status status = fed_track_init(t, &r->job, kind, hospital);
    return status == MSFL_OK ? fed_track_restore(t, track_folder(r, kind), track_hash(r, kind)) : status;
}

static msfl_status begin_all(run *r) {
    const uint32_t compare = r->options.compare;
    const bool encrypts = r->job.encrypts;
    r->tracks.alone = msfl_alloc(r->job.n_hospitals, sizeof *r->tracks.alone);
    if (r->tracks.alone == NULL) return MSFL_ERR_MEMORY;
    msfl_status status = begin(r, &r->tracks.encrypted, FED_ENCRYPTED, 0, encrypts);
    if (status == MSFL_OK)
        status = begin(r, &r->tracks.plain, FED_PLAIN, 0, !encrypts || (compare & MSFL_COMPARE_PLAIN));
    if (status == MSFL_OK) status = begin(r, &r->tracks.central, FED_CENTRAL, 0, compare & MSFL_COMPARE_CENTRAL);
    for (uint32_t k = 0; k < r->job.n_hospitals && status == MSFL_OK; k++) {
        status = begin(r, &r->tracks.alone[k], FED_ALONE, k, compare & MSFL_COMPARE_ALONE);
    }
    return status;
}

/* What a person wants to know before the waiting begins. */
static void tell_setup(const run *r) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(r->job.dataset);
    const msfl_observer *observer = &r->job.observer;
    char slices[16] = "";
    if (info->depth > 1) snprintf(slices, sizeof slices, "%ux", info->depth);
    msfl_observe_text(observer, MSFL_EVENT_INFO, "data",
                      "%u %s of %s%ux%ux%u in %u classes; split %s: %u to train, %u validation, %u test",
                      info->n_images, info->depth > 1 ? "volumes" : "images", slices, info->width, info->height,
                      info->channels, info->n_classes, r->job.split.how, r->job.split.train.n,
                      r->job.split.validation.n, r->job.split.test.n);
    if (info->n_skipped > 0) {
        msfl_observe_text(observer, MSFL_EVENT_WARNING, "data", "%u broken images were left out; the report names them",
                          info->n_skipped);
    }
    for (uint32_t k = 0; k < r->job.n_hospitals && k < 20; k++) {
        const fed_hospital *h = &r->job.hospitals[k];
        msfl_observe_text(observer, MSFL_EVENT_INFO, "data", "%s: %u images to train, %u validation", h->name,
                          h->train.n, h->validation.n);
    }
}

static msfl_status train_all(run *r) {
    const bool encrypts = r->job.encrypts;
    const char *const phases[] = {"federation, encrypted",
                                  encrypts ? "for comparison: federation without encryption"
                                           : "federation, NOT encrypted (scheme 'plain')",
                                  "for comparison: all images in one place", "for comparison: each hospital alone"};
    const uint32_t n_phases = (r->tracks.encrypted.n_members > 0) + (r->tracks.plain.n_members > 0) +
                              (r->tracks.central.n_members > 0) + ((r->options.compare & MSFL_COMPARE_ALONE) != 0);
    uint32_t phase = 0;
    const msfl_observer *observer = &r->job.observer;
    fed_track *const list[] = {&r->tracks.encrypted, &r->tracks.plain, &r->tracks.central};
    for (int i = 0; i < 3; i++) {
        if (list[i]->n_members == 0) continue;
        phase++;
        if (!fed_track_wants_more(list[i])) continue;
        msfl_observe_text(observer, MSFL_EVENT_PHASE, list[i]->name, "part %u of %u, %s", phase, n_phases, phases[i]);
        msfl_status status = run_track(r, list[i]);
        if (status != MSFL_OK) return status;
        /* The model is worth having before the comparisons are done. */
        if (list[i] == fed_tracks_main(&r->job, &r->tracks)) {
            status = save_model(r, "agg_model.h5", list[i]->best);
            if (status == MSFL_OK) status = save_model(r, "agg_model_last.h5", list[i]->weights);
            if (status != MSFL_OK) return status;
        }
    }
    if (!(r->options.compare & MSFL_COMPARE_ALONE)) return MSFL_OK;
    msfl_observe_text(observer, MSFL_EVENT_PHASE, "alone", "part %u of %u, %s", n_phases, n_phases, phases[3]);
    msfl_status status = msfl_pool_run(fed_workers_pool(r->job.workers), r->job.n_hospitals, run_alone, r);
    return status == MSFL_OK ? write_metrics(r) : status;
}

/* --- what remains --- */

/* The best model with the temperature in its last layer, where there is one. */
static msfl_status save_calibrated(const run *r, const float *best, const json_t *result) {
    const json_t *value = json_object_get(json_object_get(result, "temperature"), "value");
    uint64_t n = msfl_model_info_borrow(r->job.model)->n_values;
    if (!json_is_number(value)) return MSFL_OK;
    float *weights = msfl_alloc(n, sizeof *weights);
    if (weights == NULL) return MSFL_ERR_MEMORY;
    memcpy(weights, best, n * sizeof *weights);
    job_temperature_fold(r->job.model, json_number_value(value), weights);
    msfl_status status = save_model(r, "agg_model_calibrated.h5", weights);
    msfl_free(weights);
    return status;
}

static msfl_status conclude(run *r, char **result_json) {
    const fed_track *track = fed_tracks_main(&r->job, &r->tracks);
    json_t *result = NULL, *census = NULL;
    char *text = NULL, *path = NULL;
    fed_pictures pictures = {0};
    msfl_status status = save_model(r, "agg_model.h5", track->best);
    if (status == MSFL_OK) status = save_model(r, "agg_model_last.h5", track->weights);
    if (status == MSFL_OK) status = save_personal(r);
    if (status == MSFL_OK) status = fed_result(&r->job, &r->tracks, true, &result);
    if (status == MSFL_OK) status = fed_census(&r->job, &census);
    if (status == MSFL_OK && json_object_set(json_object_get(result, "data"), "census", census) != 0) {
        status = msfl_fail(MSFL_ERR_MEMORY, "out of memory");
    }
    if (status == MSFL_OK) status = save_calibrated(r, track->best, result);
    if (status == MSFL_OK) status = write_json(r, "result.json", result);
    if (status == MSFL_OK) status = msfl_json_text(result, false, &text);
    if (status == MSFL_OK) status = fed_pictures_choose(&r->job, track->best, &pictures);
    if (status == MSFL_OK) status = out_path(r, "report.html", &path);
    if (status == MSFL_OK) status = msfl_report_write(path, text, strlen(text), pictures.list, pictures.n);
    if (status == MSFL_OK && result_json != NULL) {
        *result_json = text;
        text = NULL;
    }
    fed_pictures_clear(&pictures);
    msfl_free(text);
    msfl_free(path);
    json_decref(census);
    json_decref(result);
    return status;
}

static void clear(run *r) {
    fed_track_clear(&r->tracks.encrypted);
    fed_track_clear(&r->tracks.plain);
    fed_track_clear(&r->tracks.central);
    for (uint32_t k = 0; r->tracks.alone != NULL && k < r->job.n_hospitals; k++)
        fed_track_clear(&r->tracks.alone[k]);
    msfl_free(r->tracks.alone);
    fed_job_clear(&r->job);
    json_decref(r->config);
    msfl_file_unlock(r->lock);
    msfl_free(r->data_path);
    msfl_free(r->model_path);
    msfl_free(r->recipe_path);
    msfl_free(r->labels_path);
    msfl_free(r->masks_path);
    msfl_free(r->key_path);
    msfl_free(r);
}

/* What someone who stopped the run wants to know. */
static msfl_status stopped(const run *r) {
    if (r->lock < 0 && !r->options.resume) {
        return msfl_fail(MSFL_ERR_CANCELLED, "stopped before training began; nothing was written");
    }
    return msfl_fail(MSFL_ERR_CANCELLED,
                     "stopped; finished rounds are kept. Continue with: medsecurefl simulate --resume --scheme "
                     "%s%s%s%s%s%s --out %s",
                     r->options.scheme, r->options.custody != NULL ? " --custody " : "",
                     r->options.custody != NULL ? r->options.custody : "",
                     r->options.delivery != NULL ? " --delivery " : "",
                     r->options.delivery != NULL ? r->options.delivery : "",
                     r->options.allow_two_sites ? " --allow-two-sites" : "", r->options.out);
}

/* Paths that the options name, from anywhere; then what of it all does not depend on `out`. */
static msfl_status set_up(run *r) {
    msfl_status status = make_absolute(&r->options.data, &r->data_path);
    if (status == MSFL_OK) status = make_absolute(&r->options.model, &r->model_path);
    if (status == MSFL_OK) status = make_absolute(&r->options.recipe, &r->recipe_path);
    if (status == MSFL_OK) status = make_absolute(&r->options.labels, &r->labels_path);
    /* A column or an array may be called as a file is; only a folder is a path here, as in the import. */
    if (status == MSFL_OK && r->options.masks != NULL && msfl_is_folder(r->options.data) &&
        msfl_is_folder(r->options.masks)) {
        status = make_absolute(&r->options.masks, &r->masks_path);
    }
    return status == MSFL_OK ? make_absolute(&r->options.data_key, &r->key_path) : status;
}

static msfl_status prepare(run *r) {
    msfl_status status = fed_config_hash(&r->options, r->config_hash);
    if (status == MSFL_OK) status = fed_job_init(&r->job, &r->options);
    if (status == MSFL_OK) status = fed_channels_init(&r->job);
    return status;
}

static msfl_status bind(run *r) {
    msfl_status status = MSFL_OK;
    if (r->options.central != NULL) status = fed_config_central_hash(&r->options, r->central_hash);
    if (status == MSFL_OK && r->options.central != NULL) status = bind_to_data(r, r->central_hash);
    if (status == MSFL_OK) status = bind_to_data(r, r->config_hash);
    if (r->options.central == NULL) memcpy(r->central_hash, r->config_hash, MSFL_HASH_BYTES);
    return status;
}

static msfl_status new_run(const msfl_simulate_options *options, run **out) {
    run *r = msfl_alloc(1, sizeof *r);
    *out = r;
    if (r == NULL) return MSFL_NO_MEMORY;
    r->options = *options;
    r->lock = -1;
    /* One way to say the default. */
    const char **const words[] = {&r->options.norms, &r->options.aggregate, &r->options.schedule};
    static const char *const defaults[] = {"shared", "fedavg", "constant"};
    for (int i = 0; i < 3; i++)
        if (*words[i] != NULL && strcmp(*words[i], defaults[i]) == 0) *words[i] = NULL;
    return set_up(r);
}

msfl_status msfl_simulate_open(const msfl_simulate_options *options, msfl_dataset **out) {
    *out = NULL;
    if (options->recipe != NULL) return msfl_fail(MSFL_ERR_USAGE, "images that a recipe makes cannot be lent");
    const char *path = options->data;
    char *owner = NULL;
    msfl_status status = make_absolute(&path, &owner);
    if (status == MSFL_OK) status = fed_job_open(options, options->observer, path, out);
    msfl_free(owner);
    return status;
}

msfl_status msfl_simulate_check(const msfl_simulate_options *options) {
    run *r;
    msfl_status status = new_run(options, &r);
    if (status == MSFL_OK) status = prepare(r);
    if (r != NULL) clear(r);
    return status;
}

msfl_status msfl_simulate(const msfl_simulate_options *options, char **result_json) {
    if (result_json != NULL) *result_json = NULL;
    run *r;
    msfl_status status = new_run(options, &r);
    if (r == NULL) return status;
    if (status == MSFL_OK) status = found_folder(r);
    if (status == MSFL_OK) status = prepare(r);
    if (status == MSFL_OK) status = bind(r);
    if (status == MSFL_OK) status = make_folder(r);
    if (status != MSFL_OK) goto done;
    tell_setup(r);
    r->everything_train = r->job.split.train;
    r->everything_validation = r->job.split.validation;
    status = begin_all(r);
    if (status == MSFL_OK) status = save_model(r, "main_model.h5", r->job.initial);
    if (status == MSFL_OK) status = train_all(r);
    if (status == MSFL_OK) status = conclude(r, result_json);
done:
    if (status == MSFL_ERR_CANCELLED) status = stopped(r);
    clear(r);
    return status;
}
