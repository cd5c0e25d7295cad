/* A model file on data, without a federation. */
#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "dataset/augment.h"
#include "federation/imported.h"
#include "federation/job.h"
#include "federation/normalise.h"
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

msfl_status fed_normalise_of(const char *path, const msfl_model_extra *extra, msfl_normalise *out) {
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

msfl_status fed_recipe_fits(const char *path, const msfl_model_extra *extra, const char *recipe, const char *what,
                            bool any) {
    const char *name = extra->recipe_name == NULL ? "" : extra->recipe_name;
    if (any || extra->recipe == NULL || (recipe != NULL && strcmp(recipe, extra->recipe) == 0)) return MSFL_OK;
    if (recipe == NULL) {
        return msfl_fail(
            MSFL_ERR_MISMATCH,
            "%s was trained on pictures made by a recipe%s%s%s (%.16s...), and %s was not made by one: name the "
            "recipe with --recipe, or say --any-recipe if it should be judged all the same",
            path, name[0] != 0 ? ", '" : "", name, name[0] != 0 ? "'" : "", extra->recipe, what);
    }
    return msfl_fail(
        MSFL_ERR_MISMATCH,
        "%s was trained on pictures made by another recipe%s%s%s (%.16s...) than %s (%.16s...): take that one, or "
        "say --any-recipe if it should be judged all the same",
        path, name[0] != 0 ? ", '" : "", name, name[0] != 0 ? "'" : "", extra->recipe, what, recipe);
}

/* The classes must mean the same: by name where the model file keeps names, by number otherwise. */
static msfl_status same_classes(const char *path, const msfl_model *model, const msfl_model_extra *extra,
                                const msfl_dataset *dataset, bool by_position) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(dataset);
    const uint32_t n = msfl_model_info_borrow(model)->n_classes, depth = msfl_model_info_borrow(model)->depth;
    if (depth != info->depth) {
        return msfl_fail(MSFL_ERR_MISMATCH, "%s takes images of %u slices, and those of %s have %u", path, depth,
                         info->source, info->depth);
    }
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

/* `*path` receives where the pictures are: the data itself, or the set that a recipe made of it. */
static msfl_status import_data(const msfl_evaluate_options *o, const char **path) {
    *path = o->data;
    if (o->recipe == NULL) {
        if (o->set == NULL && o->labels == NULL && o->patient == NULL && o->masks == NULL) return MSFL_OK;
        return msfl_fail(MSFL_ERR_USAGE, "--set, --labels, --patient and --masks go with --recipe");
    }
    if (o->set == NULL) {
        return msfl_fail(MSFL_ERR_USAGE, "with --recipe, say where the imported set is to be: --set DIR");
    }
    const msfl_import_options i = FED_IMPORT_OPTIONS(o, o->set, o->observer);
    *path = o->set;
    return msfl_import(&i, NULL);
}

/* How views differ. */
static msfl_status take_augmentation(const msfl_evaluate_options *o, fed_job *job) {
    job->augment = msfl_augment_default();
    if (o->n_views <= 1) {
        if (o->augmentation == NULL) return MSFL_OK;
        return msfl_fail(MSFL_ERR_USAGE, "--augment says how views differ: it goes with --views 2 or more");
    }
    if (msfl_model_info_borrow(job->model)->is_pixelwise) {
        return msfl_fail(MSFL_ERR_USAGE, "--views is for classes of images, and %s gives classes to pixels", o->model);
    }
    msfl_status status = o->augmentation == NULL ? MSFL_OK : msfl_augment_parse(o->augmentation, &job->augment);
    if (status == MSFL_OK && !msfl_augment_changes(&job->augment))
        status =
            msfl_fail(MSFL_ERR_USAGE, "--augment %s changes nothing, and all views would be alike", o->augmentation);
    return status;
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
    const char *path = NULL;
    *result_json = NULL;
    pthread_mutex_init(&job.observer_mutex, NULL);
    msfl_status status = check_part(options->part);
    if (status == MSFL_OK) status = msfl_model_load(options->model, &job.model, &weights, &extra);
    if (status == MSFL_OK) status = fed_normalise_of(options->model, &extra, &normalise);
    if (status == MSFL_OK) status = take_augmentation(options, &job);
    if (status == MSFL_OK) status = import_data(options, &path);
    if (status != MSFL_OK) goto done;
    const msfl_model_info *m = msfl_model_info_borrow(job.model);
    const msfl_dataset_options d = {.label = options->recipe != NULL ? NULL : options->label,
                                    .width = m->width,
                                    .height = m->height,
                                    .channels = m->channels,
                                    .normalise = normalise,
                                    .refuse_bad = options->refuse_bad,
                                    .seed = options->seed,
                                    .phantom_images = options->phantom_images,
                                    .n_threads = options->n_threads,
                                    .observer = options->observer,
                                    .key = options->data_key};
    status = msfl_dataset_open(path, &d, &job.own_dataset);
    job.dataset = job.own_dataset;
    if (status == MSFL_OK) {
        status = fed_recipe_fits(options->model, &extra, msfl_dataset_info_borrow(job.dataset)->recipe, options->data,
                                 options->any_recipe);
    }
    if (status == MSFL_OK && options->n_views > 1) {
        const msfl_dataset_info *info = msfl_dataset_info_borrow(job.dataset);
        status = msfl_augment_allowed(&job.augment, info->laterality, info->source);
        if ((job.augment.flip_horizontal || job.augment.flip_vertical) && info->laterality == MSFL_LATERALITY_UNSAID)
            msfl_observe_text(
                options->observer, MSFL_EVENT_WARNING, "data",
                "views mirror pictures, and no recipe says that left and right mean the same in them: where they "
                "do not, pictures are judged that cannot be");
    }
    if (status == MSFL_OK) status = same_classes(options->model, job.model, &extra, job.dataset, options->by_position);
    if (status == MSFL_OK) status = part_of(options, job.dataset, &split, &all, &part);
    if (status == MSFL_OK) status = fed_workers_new(job.model, m->is_volume ? 4 : 32, options->n_threads, &job.workers);
    if (status != MSFL_OK) goto done;
    msfl_trainer *trainer = fed_workers_acquire(job.workers);
    status = fed_score(&job, trainer, weights, part, options->n_views, &scores);
    fed_workers_release(job.workers, trainer);
    if (status == MSFL_OK) status = fed_scores_json(&scores, options->n_bootstrap, options->seed, false, &result);
    if (status != MSFL_OK) goto done;
    const msfl_dataset_info *info = msfl_dataset_info_borrow(job.dataset);
    json_object_set_new(result, "model", msfl_json_string(options->model));
    json_object_set_new(result, "data", msfl_json_string(options->data));
    json_object_set_new(result, "part", json_string(options->part));
    if (options->n_views > 1) json_object_set_new(result, "views", json_integer(options->n_views));
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
