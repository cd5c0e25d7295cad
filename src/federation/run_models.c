/* The model files of a run. */
#include "base/file.h"
#include "base/mem.h"
#include "federation/run.h"
#include "job/temperature.h"

#include <stdio.h>
#include <string.h>

msfl_status fed_run_save_model(const fed_run *r, const char *name, const float *weights) {
    static const char *const normalisations[] = {"image", "set", "none"};
    const msfl_model_info *info = msfl_model_info_borrow(r->job.model);
    const char *names[MSFL_CLASSES_MAX];
    char *path, spare[MSFL_CLASSES_MAX][24];
    for (uint32_t c = 0; c < info->n_classes; c++) {
        snprintf(spare[c], sizeof spare[c], c == 0 ? "background" : "structure %u", c);
        names[c] = info->is_pixelwise ? spare[c] : msfl_dataset_class_name(r->job.dataset, c);
    }
    msfl_status status = fed_run_path(r, name, &path);
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

msfl_status fed_run_save_personal(const fed_run *r) {
    const fed_job *job = &r->job;
    const fed_track *track = fed_tracks_main(job, &r->tracks);
    const uint64_t n = msfl_model_info_borrow(job->model)->n_values;
    if (job->n_norms == 0) return MSFL_OK;
    float *own = msfl_alloc(n, sizeof *own);
    char *folder = NULL;
    msfl_status status = own == NULL ? MSFL_ERR_MEMORY : fed_run_path(r, "personal", &folder);
    if (status == MSFL_OK) status = msfl_folder_make(folder);
    for (uint32_t k = 0; k < job->n_hospitals && status == MSFL_OK; k++) {
        char name[48];
        snprintf(name, sizeof name, "personal/hospital-%u.h5", k + 1);
        memcpy(own, track->best, n * sizeof *own);
        job_norms_put(job->model, track->members[k].best_norms, own);
        status = fed_run_save_model(r, name, own);
    }
    msfl_free(own);
    msfl_free(folder);
    return status;
}

msfl_status fed_run_save_calibrated(const fed_run *r, const float *best, const json_t *result) {
    const json_t *value = json_object_get(json_object_get(result, "temperature"), "value");
    uint64_t n = msfl_model_info_borrow(r->job.model)->n_values;
    if (!json_is_number(value)) return MSFL_OK;
    float *weights = msfl_alloc(n, sizeof *weights);
    if (weights == NULL) return MSFL_ERR_MEMORY;
    memcpy(weights, best, n * sizeof *weights);
    job_temperature_fold(r->job.model, json_number_value(value), weights);
    msfl_status status = fed_run_save_model(r, "agg_model_calibrated.h5", weights);
    msfl_free(weights);
    return status;
}
