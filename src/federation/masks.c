/* How good the masks are that a network makes: by patient, whose slices are put together in the order of the data. */
#include "base/error.h"
#include "base/mem.h"
#include "federation/scoring.h"
#include "job/pixels.h"
#include "medsecurefl/segmentation.h"

#include <math.h>
#include <string.h>

typedef struct sink {
    fed_scores *scores;
    const fed_job *job;
    const uint32_t *images;
    bool is_volume;
} sink;

static msfl_status keep(void *ctx, uint32_t first, uint32_t n, const uint8_t *found) {
    const sink *k = ctx;
    memcpy(k->scores->found + (size_t)first * k->scores->n_pixels, found, (size_t)n * k->scores->n_pixels);
    for (uint32_t i = first; i < first + n; i++) {
        k->scores->images[i] = k->images[i];
        /* Slices are put together by patient; every volume stands by itself. */
        k->scores->groups[i] = k->is_volume ? i : msfl_dataset_group(k->job->dataset, k->images[i]);
    }
    return MSFL_OK;
}

msfl_status fed_masks_score(const fed_job *job, msfl_trainer *trainer, const float *weights, const msfl_indices *images,
                            fed_scores *out) {
    const msfl_model_info *info = msfl_model_info_borrow(job->model);
    *out = (fed_scores){.n = images->n,
                        .n_classes = info->n_classes,
                        .n_pixels = info->n_targets,
                        .loss = NAN,
                        .dataset = job->dataset};
    if (msfl_dataset_mask(job->dataset, 0) == NULL) {
        return msfl_fail(MSFL_ERR_DATA, "the images have no masks, which this network is judged by");
    }
    out->found = msfl_alloc((size_t)images->n * info->n_targets, 1);
    out->images = msfl_alloc(images->n, sizeof *out->images);
    out->groups = msfl_alloc(images->n, sizeof *out->groups);
    msfl_status status = MSFL_OK;
    if (images->n > 0 && (out->found == NULL || out->images == NULL || out->groups == NULL)) status = MSFL_ERR_MEMORY;
    fed_samples storage;
    const msfl_samples samples = fed_samples_of(job, images, &storage);
    sink k = {out, job, images->at, info->is_volume};
    if (status == MSFL_OK) status = job_pixels_predict(trainer, job->model, weights, &samples, keep, &k, &out->loss);
    if (status != MSFL_OK) fed_scores_clear(out);
    return status;
}

static const uint8_t *truth_of(const fed_scores *s, uint32_t i) {
    return msfl_dataset_mask(s->dataset, s->images[i]);
}

void fed_masks_counters(const fed_scores *s, uint64_t counters[JOB_EVAL_COUNTERS]) {
    memset(counters, 0, JOB_EVAL_COUNTERS * sizeof *counters);
    for (uint32_t i = 0; i < s->n; i++)
        job_mask_add(s->found + (size_t)i * s->n_pixels, truth_of(s, i), s->n_pixels, counters);
    job_mask_close(s->n, s->n_pixels, s->loss, counters);
}

/* --- figures --- */

/* One patient: its slices, in two volumes. */
typedef struct patient {
    uint8_t *truth, *found;
    uint32_t n_slices;
} patient;

static msfl_status gather(const fed_scores *s, uint32_t group, patient *out) {
    *out = (patient){0};
    for (uint32_t i = 0; i < s->n; i++)
        out->n_slices += s->groups[i] == group;
    out->truth = msfl_alloc(out->n_slices, s->n_pixels);
    out->found = msfl_alloc(out->n_slices, s->n_pixels);
    if (out->truth == NULL || out->found == NULL) return MSFL_ERR_MEMORY;
    uint32_t k = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->groups[i] != group) continue;
        memcpy(out->truth + (size_t)k * s->n_pixels, truth_of(s, i), s->n_pixels);
        memcpy(out->found + (size_t)k * s->n_pixels, s->found + (size_t)i * s->n_pixels, s->n_pixels);
        k++;
    }
    return MSFL_OK;
}

/* Figures of all patients: [class][patient], and means over classes, [0][patient]. */
typedef struct figures {
    double *dice, *distance, *accuracy;
    uint32_t n_patients, n_classes;
} figures;

static double mean_over_classes(const double *values, uint32_t n_patients, uint32_t n_classes, uint32_t p) {
    double sum = 0;
    uint32_t n = 0;
    for (uint32_t c = 1; c < n_classes; c++) {
        double v = values[(size_t)c * n_patients + p];
        if (isnan(v)) continue;
        sum += v;
        n++;
    }
    return n > 0 ? sum / n : NAN;
}

static msfl_status judge(const fed_scores *s, const patient *one, uint32_t image, uint32_t p, bool with_distance,
                         figures *f) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(s->dataset);
    const msfl_origin origin = msfl_dataset_origin(s->dataset, image);
    const uint32_t shape[3] = {one->n_slices * info->depth, info->height, info->width};
    /* Of volumes in mm, where that is known, else in voxels. Of slices in pixels of the source: how far they lie apart
     * the data set does not know, and one pixel is taken. */
    const double *mm = info->spacing;
    const bool known = info->depth > 1 && mm[0] > 0 && mm[1] > 0 && mm[2] > 0;
    const double spacing[3] = {known ? mm[2] : 1, known ? mm[1] : (double)origin.height / info->height,
                               known ? mm[0] : (double)origin.width / info->width};
    size_t voxels = (size_t)one->n_slices * s->n_pixels, same = 0;
    for (size_t i = 0; i < voxels; i++)
        same += one->truth[i] == one->found[i];
    f->accuracy[p] = (double)same / (double)voxels;
    for (uint32_t c = 1; c < s->n_classes; c++) {
        size_t at = (size_t)c * f->n_patients + p;
        if (with_distance) {
            msfl_mask_score score;
            msfl_status status = msfl_mask_compare(one->truth, one->found, shape, spacing, c, &score);
            if (status != MSFL_OK) return status;
            f->dice[at] = score.dice;
            f->distance[at] = score.hausdorff95;
            continue;
        }
        size_t both = 0, either = 0;
        for (size_t i = 0; i < voxels; i++) {
            both += one->truth[i] == c && one->found[i] == c;
            either += (size_t)(one->truth[i] == c) + (one->found[i] == c);
        }
        f->dice[at] = either > 0 ? 2.0 * (double)both / (double)either : NAN;
        f->distance[at] = NAN;
    }
    f->dice[p] = mean_over_classes(f->dice, f->n_patients, s->n_classes, p);
    f->distance[p] = mean_over_classes(f->distance, f->n_patients, s->n_classes, p);
    return MSFL_OK;
}

static msfl_status judge_all(const fed_scores *s, const uint32_t *firsts, bool with_distance, figures *f) {
    msfl_status status = MSFL_OK;
    for (uint32_t p = 0; p < f->n_patients && status == MSFL_OK; p++) {
        patient one;
        status = gather(s, s->groups[firsts[p]], &one);
        if (status == MSFL_OK) status = judge(s, &one, s->images[firsts[p]], p, with_distance, f);
        msfl_free(one.truth);
        msfl_free(one.found);
    }
    return status;
}

static msfl_status put_figure(json_t *object, json_t *intervals, const char *name, const double *values, uint32_t n,
                              uint32_t n_bootstrap, uint64_t seed) {
    msfl_figure figure;
    msfl_status status = msfl_mean_figure(values, n, n_bootstrap, seed, &figure);
    if (status != MSFL_OK) return status;
    json_object_set_new(object, name, msfl_json_real(figure.value));
    if (n_bootstrap > 0) {
        json_object_set_new(intervals, name,
                            json_pack("[o, o]", msfl_json_real(figure.low), msfl_json_real(figure.high)));
    }
    return MSFL_OK;
}

static msfl_status figures_json(const fed_scores *s, const figures *f, uint32_t n_bootstrap, uint64_t seed,
                                json_t *object) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(s->dataset);
    json_t *intervals = json_object(), *structures = json_array();
    uint32_t n = f->n_patients;
    msfl_status status = put_figure(object, intervals, "dice", f->dice, n, n_bootstrap, seed);
    if (status == MSFL_OK) status = put_figure(object, intervals, "hausdorff95", f->distance, n, n_bootstrap, seed);
    if (status == MSFL_OK) status = put_figure(object, intervals, "accuracy", f->accuracy, n, n_bootstrap, seed);
    for (uint32_t c = 1; c < s->n_classes && status == MSFL_OK; c++) {
        json_t *one = json_object(), *ends = json_object();
        size_t at = (size_t)c * n;
        json_object_set_new(one, "class", json_integer(c));
        status = put_figure(one, ends, "dice", f->dice + at, n, n_bootstrap, seed);
        if (status == MSFL_OK) status = put_figure(one, ends, "hausdorff95", f->distance + at, n, n_bootstrap, seed);
        if (n_bootstrap > 0) {
            json_object_set_new(one, "intervals", ends);
        } else {
            json_decref(ends);
        }
        json_array_append_new(structures, one);
    }
    json_object_set_new(object, "structures", structures);
    json_object_set_new(object, "loss", msfl_json_real(s->loss));
    json_object_set_new(object, "n", json_integer(s->n));
    json_object_set_new(object, "patients", json_integer(n));
    if (info->depth > 1) {
        json_object_set_new(object, "distance_unit", json_string(info->spacing[0] > 0 ? "mm" : "voxels"));
    }
    if (n_bootstrap > 0) {
        json_object_set_new(object, "intervals", intervals);
    } else {
        json_decref(intervals);
    }
    return status;
}

msfl_status fed_masks_json(const fed_scores *s, uint32_t n_bootstrap, uint64_t seed, bool with_distance, json_t **out) {
    figures f = {.n_classes = s->n_classes};
    json_t *object = NULL;
    *out = NULL;
    const msfl_dataset_info *info = msfl_dataset_info_borrow(s->dataset);
    uint32_t n_groups = info->depth > 1 ? s->n : info->n_groups;
    uint8_t *seen = msfl_alloc(n_groups, 1);
    uint32_t *firsts = msfl_alloc(s->n, sizeof *firsts);
    msfl_status status = seen == NULL || firsts == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
    for (uint32_t i = 0; i < s->n && status == MSFL_OK; i++) {
        if (seen[s->groups[i]]++ == 0) firsts[f.n_patients++] = i;
        seen[s->groups[i]] = 1;
    }
    if (status != MSFL_OK) goto done;
    f.dice = msfl_alloc((size_t)f.n_patients * s->n_classes, sizeof *f.dice);
    f.distance = msfl_alloc((size_t)f.n_patients * s->n_classes, sizeof *f.distance);
    f.accuracy = msfl_alloc(f.n_patients, sizeof *f.accuracy);
    if (f.dice == NULL || f.distance == NULL || f.accuracy == NULL) {
        status = MSFL_ERR_MEMORY;
        goto done;
    }
    status = judge_all(s, firsts, with_distance, &f);
    if (status != MSFL_OK) goto done;
    object = json_object();
    status = figures_json(s, &f, n_bootstrap, seed, object);
    if (status != MSFL_OK) {
        json_decref(object);
        object = NULL;
    }
done:
    *out = object;
    msfl_free(seen);
    msfl_free(firsts);
    msfl_free(f.dice);
    msfl_free(f.distance);
    msfl_free(f.accuracy);
    return status;
}
