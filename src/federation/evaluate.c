/* A model file on data, without a federation. */
#include "base/error.h"
#include "base/mem.h"
#include "federation/job.h"
#include "federation/scoring.h"

#include <string.h>

msfl_evaluate_options msfl_evaluate_options_default(void) {
    const msfl_simulate_options s = msfl_simulate_options_default();
    return (msfl_evaluate_options){.part = "all",
                                   .seed = s.seed,
                                   .test_fraction = s.test_fraction,
                                   .validation_fraction = s.validation_fraction,
                                   .n_bootstrap = s.n_bootstrap};
}

static msfl_status normalise_of(const char *path, const msfl_model_extra *extra, msfl_normalise *out) {
    if (extra->normalise == NULL || strcmp(extra->normalise, "image") == 0) {
        *out = MSFL_NORMALISE_IMAGE;
    } else if (strcmp(extra->normalise, "set") == 0) {
        *out = MSFL_NORMALISE_SET;
    } else if (strcmp(extra->normalise, "none") == 0) {
        *out = MSFL_NORMALISE_NONE;
    } else {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "%s was trained with a normalisation this version does not know", path);
    }
    return MSFL_OK;
}

/* The classes must mean the same: by name where the model file keeps names, by number otherwise. */
static msfl_status same_classes(const char *path, const msfl_model *model, const msfl_model_extra *extra,
                                const msfl_dataset *dataset, bool by_position) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(dataset);
    const uint32_t n = msfl_model_info_borrow(model)->n_classes;
    if (msfl_model_info_borrow(model)->is_pixelwise) {
        if (n <= MSFL_CLASSES_MAX && msfl_dataset_mask_classes(dataset) <= n) return MSFL_OK;
        return msfl_fail(MSFL_ERR_MISMATCH, "%s gives %u classes to pixels, and the masks of %s have %u (at most %d)",
                         path, n, info->source, msfl_dataset_mask_classes(dataset), MSFL_CLASSES_MAX);
    }
    if (info->n_classes != n) {
        return msfl_fail(MSFL_ERR_MISMATCH,
                         "%s tells %u classes apart, and %s has %u: choose other labels with --label", path, n,
                         info->source, info->n_classes);
    }
    for (uint32_t c = 0; c < n && extra->class_names != NULL && !by_position; c++) {
        if (strcmp(extra->class_names[c], msfl_dataset_class_name(dataset, c)) != 0) {
            return msfl_fail(MSFL_ERR_MISMATCH,
                             "class %u is '%s' in %s and '%s' in %s; if they mean the same, say --by-position", c,
                             extra->class_names[c], path, msfl_dataset_class_name(dataset, c), info->source);
        }
    }
    return MSFL_OK;
}

static msfl_status check_part(const char *part) {
    static const char *const parts[] = {"all", "train", "validation", "test"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(part, parts[i]) == 0) return MSFL_OK;
    }
    return msfl_fail(MSFL_ERR_USAGE, "--part is all, train, validation or test, not '%s'", part);
}

static msfl_status part_of(const msfl_evaluate_options *o, const msfl_dataset *dataset, msfl_split *split,
                           msfl_indices *all, const msfl_indices **out) {
    if (strcmp(o->part, "all") == 0) {
        all->n = msfl_dataset_info_borrow(dataset)->n_images;
        all->at = msfl_alloc(all->n, sizeof *all->at);
        if (all->at == NULL) return MSFL_ERR_MEMORY;
        for (uint32_t i = 0; i < all->n; i++)
            all->at[i] = i;
        *out = all;
        return MSFL_OK;
    }
    const struct {
        const char *name;
        const msfl_indices *list;
    } parts[] = {{"train", &split->train}, {"validation", &split->validation}, {"test", &split->test}};
    for (int i = 0; i < 3; i++) {
        if (strcmp(o->part, parts[i].name) != 0) continue;
        *out = parts[i].list;
        return msfl_dataset_split(dataset, o->test_fraction, o->validation_fraction, o->seed, split);
    }
    return check_part(o->part);
}

msfl_status msfl_evaluate(const msfl_evaluate_options *options, char **result_json) {
    /* Scoring takes a job; this one has a model, data and workers, and no hospitals. */
    const msfl_simulate_options simulation = {.n_threads = options->n_threads, .observer = options->observer};
    fed_job job = {.options = &simulation};
    float *weights = NULL;
    msfl_model_extra extra = {0};
    msfl_split split = {0};
    msfl_indices all = {0};
    const msfl_indices *part = NULL;
    fed_scores scores = {0};
    json_t *result = NULL;
    msfl_normalise normalise;
    *result_json = NULL;
    pthread_mutex_init(&job.observer_mutex, NULL);
    msfl_status status = check_part(options->part);
    if (status == MSFL_OK) status = msfl_model_load(options->model, &job.model, &weights, &extra);
    if (status == MSFL_OK) status = normalise_of(options->model, &extra, &normalise);
    if (status != MSFL_OK) goto done;
    const msfl_model_info *m = msfl_model_info_borrow(job.model);
    const msfl_dataset_options d = {.label = options->label,
                                    .width = m->width,
                                    .height = m->height,
                                    .channels = m->channels,
                                    .normalise = normalise,
                                    .refuse_bad = options->refuse_bad,
                                    .seed = options->seed,
                                    .phantom_images = options->phantom_images,
                                    .n_threads = options->n_threads,
                                    .observer = options->observer};
    status = msfl_dataset_open(options->data, &d, &job.dataset);
    if (status == MSFL_OK) status = same_classes(options->model, job.model, &extra, job.dataset, options->by_position);
    if (status == MSFL_OK) status = part_of(options, job.dataset, &split, &all, &part);
    if (status == MSFL_OK) status = fed_workers_new(job.model, 32, options->n_threads, &job.workers);
    if (status != MSFL_OK) goto done;
    msfl_trainer *trainer = fed_workers_acquire(job.workers);
    status = fed_score(&job, trainer, weights, part, &scores);
    fed_workers_release(job.workers, trainer);
    if (status == MSFL_OK) status = fed_scores_json(&scores, options->n_bootstrap, options->seed, false, &result);
    if (status != MSFL_OK) goto done;
    const msfl_dataset_info *info = msfl_dataset_info_borrow(job.dataset);
    json_object_set_new(result, "model", msfl_json_string(options->model));
    json_object_set_new(result, "data", msfl_json_string(options->data));
    json_object_set_new(result, "part", json_string(options->part));
    json_object_set_new(result, "n_skipped", json_integer(info->n_skipped));
    json_t *classes = json_array();
    for (uint32_t c = 0; c < info->n_classes; c++) {
        json_array_append_new(classes, msfl_json_string(msfl_dataset_class_name(job.dataset, c)));
    }
    json_object_set_new(result, "classes", classes);
    status = msfl_json_text(result, false, result_json);
done:
    json_decref(result);
    fed_scores_clear(&scores);
    msfl_indices_clear(&all);
    msfl_split_clear(&split);
    msfl_model_extra_clear(&extra);
    msfl_floats_free(weights);
    fed_job_clear(&job);
    return status;
}

/* --- single files --- */

typedef struct one_image {
    const float *pixels;
    size_t n;
} one_image;

static msfl_status load_one(void *ctx, uint32_t i, uint64_t augment_seed, float *pixels, uint32_t *label) {
    const one_image *image = ctx;
    (void)i;
    (void)augment_seed;
    memcpy(pixels, image->pixels, image->n * sizeof *pixels);
    *label = 0;
    return MSFL_OK;
}

static json_t *class_name(const msfl_model_extra *extra, uint32_t c) {
    return extra->class_names != NULL ? msfl_json_string(extra->class_names[c]) : json_integer(c);
}

static json_t *prediction_json(const char *path, const float *p, uint32_t n_classes, const msfl_model_extra *extra) {
    uint32_t best = 0;
    json_t *probabilities = json_array();
    for (uint32_t c = 0; c < n_classes; c++) {
        if (p[c] > p[best]) best = c;
        json_array_append_new(probabilities,
                              json_pack("{s:o, s:f}", "class", class_name(extra, c), "probability", (double)p[c]));
    }
    return json_pack("{s:o, s:o, s:f, s:o}", "file", msfl_json_string(path), "class", class_name(extra, best),
                     "probability", (double)p[best], "probabilities", probabilities);
}

msfl_status msfl_predict_files(const char *model_path, const char *const *paths, size_t n_paths, size_t *n_failed,
                               char **result_json) {
    msfl_model *model = NULL;
    float *weights = NULL, *pixels = NULL;
    float probabilities[MSFL_CLASSES_MAX];
    msfl_model_extra extra = {0};
    msfl_trainer *trainer = NULL;
    msfl_normalise normalise = MSFL_NORMALISE_IMAGE;
    json_t *list = json_array();
    *result_json = NULL;
    *n_failed = 0;
    msfl_status status = msfl_model_load(model_path, &model, &weights, &extra);
    if (status == MSFL_OK) status = normalise_of(model_path, &extra, &normalise);
    if (status == MSFL_OK && normalise == MSFL_NORMALISE_SET) {
        status = msfl_fail(MSFL_ERR_UNSUPPORTED,
                           "%s was trained with per-set normalisation: single files cannot be normalised that way; use "
                           "'evaluate' on a folder",
                           model_path);
    }
    if (status == MSFL_OK &&
        (msfl_model_info_borrow(model)->is_pixelwise || msfl_model_info_borrow(model)->n_classes > MSFL_CLASSES_MAX)) {
        status = msfl_fail(MSFL_ERR_UNSUPPORTED,
                           "%s gives classes to pixels, or more than %d of them to an image; 'evaluate' judges masks",
                           model_path, MSFL_CLASSES_MAX);
    }
    if (status == MSFL_OK) status = msfl_trainer_new(model, 1, 1, NULL, &trainer);
    if (status != MSFL_OK) goto done;
    const msfl_model_info *m = msfl_model_info_borrow(model);
    one_image image = {.n = (size_t)m->height * m->width * m->channels};
    pixels = msfl_alloc(image.n, sizeof *pixels);
    if (pixels == NULL) {
        status = MSFL_ERR_MEMORY;
        goto done;
    }
    image.pixels = pixels;
    const msfl_samples samples = {.n = 1, .ctx = &image, .load = load_one};
    for (size_t i = 0; i < n_paths; i++) {
        if (msfl_image_load(paths[i], m->height, m->width, m->channels, normalise, pixels, NULL) != MSFL_OK) {
            ++*n_failed;
            json_array_append_new(list, json_pack("{s:o, s:o}", "file", msfl_json_string(paths[i]), "error",
                                                  msfl_json_string(msfl_error_message())));
            continue;
        }
        status = msfl_predict(trainer, weights, &samples, probabilities, NULL, NULL);
        if (status != MSFL_OK) goto done;
        json_array_append_new(list, prediction_json(paths[i], probabilities, m->n_classes, &extra));
    }
    status = msfl_json_text(list, false, result_json);
done:
    json_decref(list);
    msfl_free(pixels);
    msfl_trainer_free(trainer);
    msfl_model_extra_clear(&extra);
    msfl_floats_free(weights);
    msfl_model_free(model);
    return status;
}
