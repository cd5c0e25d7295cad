/* Where an import's samples come from: a folder, volumes of an array, or pictures that are read already. */
#include "import/job.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

static msfl_status find_in_arrays(msfl_import_job *job) {
    const msfl_import_options *o = job->o;
    const msfl_items_options i = {.data = o->data,
                                  .labels = o->labels,
                                  .label = o->label,
                                  .patient = o->patient,
                                  .masks = o->masks,
                                  .observer = o->observer};
    return msfl_arrays_open(&i, &job->recipe, &job->arrays, &job->items);
}

/* Pictures of an array or drawings: already read, one sample each. */
static msfl_status find_in_dataset(msfl_import_job *job) {
    const msfl_import_options *o = job->o;
    if (job->recipe.n_sequences > 0) {
        return msfl_fail(MSFL_ERR_USAGE, "%s: pictures of an array are of one sequence, and the recipe names %u",
                         o->data, job->recipe.n_sequences);
    }
    const msfl_dataset_options d = {.label = o->label,
                                    .labels = o->labels,
                                    .patient = o->patient,
                                    .masks = o->masks,
                                    .normalise = MSFL_NORMALISE_NONE,
                                    .seed = o->seed,
                                    .n_threads = o->n_threads,
                                    .refuse_bad = o->refuse_bad,
                                    .observer = o->observer};
    msfl_status status = msfl_dataset_open(o->data, &d, &job->dataset);
    if (status != MSFL_OK) return status;
    const msfl_dataset_info *info = msfl_dataset_info_borrow(job->dataset);
    if (info->depth > 1) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "%s is a set of volumes, and a set is not imported again", o->data);
    }
    msfl_items *items = &job->items;
    bool is_array = strncmp(info->kind, "npz", 3) == 0;
    if (job->recipe.volumes || (!is_array && (o->masks != NULL || o->labels != NULL || o->patient != NULL))) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "%s: drawings go with a recipe of 'input: picture', without --labels, --patient "
                         "and --masks",
                         o->data);
    }
    if (!job->recipe.display && info->conversion != NULL) {
        return msfl_fail(MSFL_ERR_DATA, "%s: values as measured are not at hand: %s", o->data, info->conversion);
    }
    status = msfl_items_reserve(items, info->n_images);
    for (uint32_t i = 0; i < info->n_images && status == MSFL_OK; i++) {
        const char *label = msfl_dataset_class_name(job->dataset, msfl_dataset_label(job->dataset, i));
        const msfl_item item = {.mask = MSFL_NO_PATH, .part = (uint8_t)msfl_dataset_origin(job->dataset, i).part};
        uint8_t patient[MSFL_HASH_BYTES] = {0};
        char group[32];
        snprintf(group, sizeof group, "group %u", msfl_dataset_group(job->dataset, i));
        if (info->group_key != NULL) msfl_patient_hash(group, patient);
        status = msfl_items_add(items, &item, label, patient);
    }
    job->n_skipped = info->n_skipped; /* told by the one who read them */
    items->n_ignored = info->n_ignored;
    items->label_key = msfl_strdup(info->label_key);
    items->patient_key = info->group_key == NULL ? NULL : msfl_strdup(info->group_key);
    return status == MSFL_OK && items->label_key == NULL ? MSFL_NO_MEMORY : status;
}

static msfl_status find_in_folder(msfl_import_job *job) {
    const msfl_import_options *o = job->o;
    char *data = msfl_path_absolute(o->data), *masks = NULL;
    bool has_masks = o->masks != NULL && msfl_is_folder(o->masks);
    if (has_masks) masks = msfl_path_absolute(o->masks);
    if (data == NULL || (has_masks && masks == NULL)) {
        msfl_free(data);
        msfl_free(masks);
        return MSFL_NO_MEMORY; /* the folders are there */
    }
    const msfl_items_options i = {.data = data,
                                  .labels = o->labels,
                                  .label = o->label,
                                  .patient = o->patient,
                                  .masks = masks != NULL ? masks : o->masks,
                                  .refuse_bad = o->refuse_bad,
                                  .observer = o->observer};
    msfl_status status = msfl_items_find(&i, &job->recipe, &job->items);
    msfl_free(data);
    msfl_free(masks);
    return status;
}

msfl_status msfl_import_find(msfl_import_job *job) {
    const char *data = job->o->data;
    if (msfl_is_folder(data)) return find_in_folder(job);
    return job->recipe.volumes && msfl_file_exists(data) ? find_in_arrays(job) : find_in_dataset(job);
}
