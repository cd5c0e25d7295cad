/* A run from its options to its report. */
#include "medsecurefl/simulate.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/observe.h"
#include "base/sodium.h"
#include "federation/census.h"
#include "federation/channels.h"
#include "federation/config.h"
#include "federation/pictures.h"
#include "federation/run.h"
#include "job/aggregate.h"

#include <stdio.h>
#include <string.h>

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
                               .n_views = 1,
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
    o.train.batch = 0;
    return o;
}

void msfl_text_free(char *text) {
    msfl_free(text);
}

static msfl_status make_absolute(const char **path, char **owner) {
    if (*path == NULL || !msfl_file_exists(*path)) return MSFL_OK;
    *owner = msfl_path_absolute(*path);
    if (*owner == NULL) return MSFL_ERR_MEMORY;
    *path = *owner;
    return MSFL_OK;
}

/* What a person wants to know before the waiting begins. */
static void tell_setup(const fed_run *r) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(r->job.dataset);
    const msfl_observer *observer = &r->job.observer;
    const char *what = info->depth > 1 ? "volumes" : "images";
    char slices[16] = "", classes[48];
    if (info->depth > 1) snprintf(slices, sizeof slices, "%ux", info->depth);
    if (r->job.is_pixelwise) {
        uint32_t n = msfl_model_info_borrow(r->job.model)->n_classes - 1;
        snprintf(classes, sizeof classes, "with masks of %u structure%s", n, n == 1 ? "" : "s");
    } else {
        snprintf(classes, sizeof classes, "in %u classes", info->n_classes);
    }
    msfl_observe_text(observer, MSFL_EVENT_INFO, "data",
                      "%u %s of %s%ux%ux%u %s; split %s: %u to train, %u validation, %u test", info->n_images, what,
                      slices, info->width, info->height, info->channels, classes, r->job.split.how,
                      r->job.split.train.n, r->job.split.validation.n, r->job.split.test.n);
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

static msfl_status conclude(fed_run *r, char **result_json) {
    const fed_track *track = fed_tracks_main(&r->job, &r->tracks);
    json_t *result = NULL, *census = NULL;
    char *text = NULL, *path = NULL;
    fed_pictures pictures = {0};
    msfl_observe_text(&r->job.observer, MSFL_EVENT_PHASE, "figures", "models are judged on the test images");
    msfl_status status = fed_run_save_model(r, "agg_model.h5", track->best);
    if (status == MSFL_OK) status = fed_run_save_model(r, "agg_model_last.h5", track->weights);
    if (status == MSFL_OK) status = fed_run_save_personal(r);
    if (status == MSFL_OK) status = fed_result(&r->job, &r->tracks, &result);
    if (status == MSFL_OK) status = fed_census(&r->job, &census);
    if (status == MSFL_OK && json_object_set(json_object_get(result, "data"), "census", census) != 0) {
        status = msfl_fail(MSFL_ERR_MEMORY, "out of memory");
    }
    if (status == MSFL_OK) status = fed_run_save_calibrated(r, track->best, result);
    if (status == MSFL_OK) status = fed_run_write_json(r, "result.json", result);
    if (status == MSFL_OK) status = msfl_json_text(result, false, &text);
    if (status == MSFL_OK) status = fed_pictures_choose(&r->job, track->best, &pictures);
    if (status == MSFL_OK) status = fed_run_path(r, "report.html", &path);
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

static void clear(fed_run *r) {
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
static msfl_status stopped(const fed_run *r) {
    if (r->lock < 0 && !r->options.resume) {
        return msfl_fail(MSFL_ERR_CANCELLED, "stopped before training began; %s",
                         r->options.recipe != NULL
                             ? "what was imported is kept, and the same command goes on from there"
                             : "nothing was written");
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

/* Paths that the options name, so that the run can be continued from anywhere. */
static msfl_status make_paths_absolute(fed_run *r) {
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

/* A volume is as much to learn from, and as much to hold, as a batch of pictures. The network says which it is, and a
 * name that is none is told before hours of reading. */
static msfl_status default_batch(msfl_simulate_options *o) {
    msfl_model *alone;
    msfl_status status = msfl_model_new(o->model, 0, 0, 0, 0, &alone);
    /* A description whose own sides do not fit its layers may fit the data's. */
    if (status != MSFL_OK && status != MSFL_ERR_MISMATCH) return status;
    if (o->train.batch == 0) {
        bool is_volume = status == MSFL_OK && msfl_model_info_borrow(alone)->is_volume;
        o->train.batch = is_volume ? 1 : msfl_train_options_default().batch;
    }
    msfl_model_free(alone);
    return MSFL_OK;
}

static msfl_status prepare(fed_run *r) {
    msfl_status status = fed_config_hash(&r->options, r->config_hash);
    if (status == MSFL_OK) status = fed_job_init(&r->job, &r->options);
    if (status == MSFL_OK) status = fed_channels_init(&r->job);
    return status;
}

/* A checkpoint belongs to the images and labels it was made with, not only to the options. */
static msfl_status bind_to_data(const fed_run *r, uint8_t hash[MSFL_HASH_BYTES]) {
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

static msfl_status bind(fed_run *r) {
    msfl_status status = MSFL_OK;
    if (r->options.central != NULL) status = fed_config_central_hash(&r->options, r->central_hash);
    if (status == MSFL_OK && r->options.central != NULL) status = bind_to_data(r, r->central_hash);
    if (status == MSFL_OK) status = bind_to_data(r, r->config_hash);
    if (r->options.central == NULL) memcpy(r->central_hash, r->config_hash, MSFL_HASH_BYTES);
    return status;
}

static msfl_status new_run(const msfl_simulate_options *options, fed_run **out) {
    fed_run *r = msfl_alloc(1, sizeof *r);
    *out = r;
    if (r == NULL) return MSFL_NO_MEMORY;
    r->options = *options;
    r->lock = -1;
    /* One way to say the default. */
    const char **const words[] = {&r->options.norms, &r->options.aggregate, &r->options.schedule};
    static const char *const defaults[] = {"shared", "fedavg", "constant"};
    for (int i = 0; i < 3; i++)
        if (*words[i] != NULL && strcmp(*words[i], defaults[i]) == 0) *words[i] = NULL;
    msfl_status status = make_paths_absolute(r);
    return status == MSFL_OK && r->options.model != NULL ? default_batch(&r->options) : status;
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
    fed_run *r;
    msfl_status status = new_run(options, &r);
    if (status == MSFL_OK) status = prepare(r);
    if (r != NULL) clear(r);
    return status;
}

msfl_status msfl_simulate(const msfl_simulate_options *options, char **result_json) {
    if (result_json != NULL) *result_json = NULL;
    fed_run *r;
    msfl_status status = new_run(options, &r);
    if (r == NULL) return status;
    if (status == MSFL_OK) status = fed_run_find(r);
    if (status == MSFL_OK) status = prepare(r);
    if (status == MSFL_OK) status = bind(r);
    if (status == MSFL_OK) status = fed_run_make(r);
    if (status != MSFL_OK) goto done;
    tell_setup(r);
    status = fed_run_begin(r);
    if (status == MSFL_OK) status = fed_run_save_model(r, "main_model.h5", r->job.initial);
    if (status == MSFL_OK) status = fed_run_train(r);
    if (status == MSFL_OK) status = conclude(r, result_json);
done:
    if (status == MSFL_ERR_CANCELLED) status = stopped(r);
    clear(r);
    return status;
}
