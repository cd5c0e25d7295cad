/* How good the masks are that a network makes: by volume, whose slices are put together, and then by patient. */
#include "base/error.h"
#include "base/mem.h"
#include "federation/scoring.h"
#include "job/pixels.h"
#include "medsecurefl/segmentation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct sink {
    fed_scores *scores;
    const fed_job *job;
    const uint32_t *images;
} sink;

static msfl_status keep(void *ctx, uint32_t first, uint32_t n, const uint8_t *found) {
    const sink *k = ctx;
    memcpy(k->scores->found + (size_t)first * k->scores->n_pixels, found, (size_t)n * k->scores->n_pixels);
    for (uint32_t i = first; i < first + n; i++) {
        k->scores->images[i] = k->images[i];
        k->scores->groups[i] = msfl_dataset_group(k->job->dataset, k->images[i]);
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
    sink k = {out, job, images->at};
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

/* One volume: its slices in their order, or, where images are volumes, one image. Of a patient whose slices say of no
 * volume which they are, all of them, in the order of the data. */
typedef struct volume {
    uint8_t *truth, *found;
    uint32_t n_slices, step; /* step: slices lie so many apart; 0: not evenly */
    bool placed;
} volume;

/* What a picture is put together with: its volume where that is known, else its patient. Below n_groups + n_images + 1.
 */
static uint32_t unit_of(const fed_scores *s, uint32_t i) {
    const msfl_place place = msfl_dataset_place(s->dataset, s->images[i]);
    return place.volume > 0 ? msfl_dataset_info_borrow(s->dataset)->n_groups + place.volume : s->groups[i];
}

typedef struct slice {
    uint32_t at, number; /* of the scores; in its volume, or in the order of the data */
} slice;

static int by_number(const void *a, const void *b) {
    const slice *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static uint32_t step_of(const slice *slices, uint32_t n) {
    uint32_t step = n > 1 ? slices[1].number - slices[0].number : 1;
    for (uint32_t k = 1; k < n; k++)
        if (slices[k].number - slices[k - 1].number != step) return 0;
    return step;
}

static msfl_status gather(const fed_scores *s, uint32_t first, volume *out) {
    const uint32_t unit = unit_of(s, first);
    *out = (volume){.placed = msfl_dataset_place(s->dataset, s->images[first]).volume > 0};
    for (uint32_t i = first; i < s->n; i++)
        out->n_slices += unit_of(s, i) == unit;
    slice *slices = msfl_alloc(out->n_slices, sizeof *slices);
    out->truth = msfl_alloc(out->n_slices, s->n_pixels);
    out->found = msfl_alloc(out->n_slices, s->n_pixels);
    if (slices == NULL || out->truth == NULL || out->found == NULL) {
        msfl_free(slices);
        return MSFL_ERR_MEMORY;
    }
    uint32_t k = 0;
    for (uint32_t i = first; i < s->n; i++) {
        if (unit_of(s, i) != unit) continue;
        slices[k] = (slice){i, out->placed ? msfl_dataset_place(s->dataset, s->images[i]).slice : k};
        k++;
    }
    qsort(slices, k, sizeof *slices, by_number);
    out->step = step_of(slices, k);
    for (k = 0; k < out->n_slices; k++) {
        uint32_t i = slices[k].at;
        memcpy(out->truth + (size_t)k * s->n_pixels, truth_of(s, i), s->n_pixels);
        memcpy(out->found + (size_t)k * s->n_pixels, s->found + (size_t)i * s->n_pixels, s->n_pixels);
    }
    msfl_free(slices);
    return MSFL_OK;
}

/* Figures of all volumes, or of all patients: [class][p], and means over classes, [0][p]. */
typedef struct figures {
    double *dice, *distance, *accuracy;
    uint32_t n, n_classes;
    uint32_t n_by_slice; /* volumes whose slices were measured one by one: they do not lie evenly */
} figures;

static void figures_clear(figures *f) {
    msfl_free(f->dice);
    msfl_free(f->distance);
    msfl_free(f->accuracy);
}

static msfl_status figures_new(uint32_t n, uint32_t n_classes, figures *out) {
    *out = (figures){.n = n, .n_classes = n_classes};
    out->dice = msfl_alloc((size_t)n * n_classes, sizeof *out->dice);
    out->distance = msfl_alloc((size_t)n * n_classes, sizeof *out->distance);
    out->accuracy = msfl_alloc(n, sizeof *out->accuracy);
    return out->dice == NULL || out->distance == NULL || out->accuracy == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
}

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

/* Millimetres where the set knows them; else pixels of the source, slices one pixel apart. */
static void spacing_of(const fed_scores *s, uint32_t image, const volume *v, double spacing[3]) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(s->dataset);
    const msfl_origin origin = msfl_dataset_origin(s->dataset, image);
    bool known = info->spacing[0] > 0;
    spacing[0] = known ? info->spacing[2] : 1;
    if (v->placed && v->step > 0) spacing[0] *= v->step;
    spacing[1] = known ? info->spacing[1] : (double)origin.height / info->height;
    spacing[2] = known ? info->spacing[0] : (double)origin.width / info->width;
}

/* The mean over slices, of those where both masks have the class. */
static msfl_status distance_by_slice(const fed_scores *s, const volume *v, const double spacing[3], uint32_t c,
                                     double *out) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(s->dataset);
    const uint32_t shape[3] = {1, info->height, info->width};
    double sum = 0;
    uint32_t n = 0;
    for (uint32_t k = 0; k < v->n_slices; k++) {
        msfl_mask_score score;
        const size_t at = (size_t)k * s->n_pixels;
        msfl_status status = msfl_mask_compare(v->truth + at, v->found + at, shape, spacing, c, &score);
        if (status != MSFL_OK) return status;
        if (isnan(score.hausdorff95)) continue;
        sum += score.hausdorff95;
        n++;
    }
    *out = n > 0 ? sum / n : NAN;
    return MSFL_OK;
}

static msfl_status distance_of(const fed_scores *s, const volume *v, uint32_t image, uint32_t c, double *out) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(s->dataset);
    const uint32_t shape[3] = {v->n_slices * info->depth, info->height, info->width};
    double spacing[3];
    spacing_of(s, image, v, spacing);
    if (v->step == 0) return distance_by_slice(s, v, spacing, c, out);
    msfl_mask_score score;
    msfl_status status = msfl_mask_compare(v->truth, v->found, shape, spacing, c, &score);
    if (status == MSFL_OK) *out = score.hausdorff95;
    return status;
}

static msfl_status judge(const fed_scores *s, const volume *one, uint32_t image, uint32_t p, bool with_distance,
                         figures *f) {
    size_t voxels = (size_t)one->n_slices * s->n_pixels, same = 0;
    for (size_t i = 0; i < voxels; i++)
        same += one->truth[i] == one->found[i];
    f->accuracy[p] = (double)same / (double)voxels;
    f->n_by_slice += one->step == 0;
    for (uint32_t c = 1; c < s->n_classes; c++) {
        size_t at = (size_t)c * f->n + p, both = 0, either = 0;
        for (size_t i = 0; i < voxels; i++) {
            both += one->truth[i] == c && one->found[i] == c;
            either += (size_t)(one->truth[i] == c) + (one->found[i] == c);
        }
        f->dice[at] = either > 0 ? 2.0 * (double)both / (double)either : NAN;
        f->distance[at] = NAN;
        msfl_status status = with_distance ? distance_of(s, one, image, c, &f->distance[at]) : MSFL_OK;
        if (status != MSFL_OK) return status;
    }
    f->dice[p] = mean_over_classes(f->dice, f->n, s->n_classes, p);
    f->distance[p] = mean_over_classes(f->distance, f->n, s->n_classes, p);
    return MSFL_OK;
}

static msfl_status judge_all(const fed_scores *s, const uint32_t *firsts, bool with_distance, figures *f) {
    msfl_status status = MSFL_OK;
    for (uint32_t p = 0; p < f->n && status == MSFL_OK; p++) {
        volume one;
        status = gather(s, firsts[p], &one);
        if (status == MSFL_OK) status = judge(s, &one, s->images[firsts[p]], p, with_distance, f);
        msfl_free(one.truth);
        msfl_free(one.found);
    }
    return status;
}

/* Of each patient the mean over its volumes, of those where the figure is defined. */
static void mean_of_patient(const double *values, const uint32_t *owner, uint32_t n, uint32_t patient, double *out) {
    double sum = 0;
    uint32_t count = 0;
    for (uint32_t v = 0; v < n; v++) {
        if (owner[v] != patient || isnan(values[v])) continue;
        sum += values[v];
        count++;
    }
    *out = count > 0 ? sum / count : NAN;
}

static void by_patient(const figures *volumes, const uint32_t *owner, figures *out) {
    for (uint32_t p = 0; p < out->n; p++) {
        mean_of_patient(volumes->accuracy, owner, volumes->n, p, &out->accuracy[p]);
        for (uint32_t c = 0; c < out->n_classes; c++) {
            size_t from = (size_t)c * volumes->n, to = (size_t)c * out->n + p;
            mean_of_patient(volumes->dice + from, owner, volumes->n, p, &out->dice[to]);
            mean_of_patient(volumes->distance + from, owner, volumes->n, p, &out->distance[to]);
        }
    }
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
    json_t *intervals = json_object(), *structures = json_array();
    uint32_t n = f->n;
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
    if (n_bootstrap > 0) {
        json_object_set_new(object, "intervals", intervals);
    } else {
        json_decref(intervals);
    }
    return status;
}

/* The first picture of every volume, and the number of its patient. Returns how many patients there are. */
static uint32_t find_volumes(const fed_scores *s, uint8_t *seen, uint32_t *number, uint32_t *firsts, uint32_t *owner,
                             uint32_t *n_volumes) {
    uint32_t n_patients = 0;
    *n_volumes = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t unit = unit_of(s, i), group = s->groups[i];
        if (seen[unit] != 0) continue;
        seen[unit] = 1;
        if (number[group] == 0) number[group] = ++n_patients;
        firsts[*n_volumes] = i;
        owner[(*n_volumes)++] = number[group] - 1;
    }
    return n_patients;
}

/* What the distance is of, and in what. */
static void put_how(const fed_scores *s, const figures *volumes, json_t *object) {
    bool known = msfl_dataset_info_borrow(s->dataset)->spacing[0] > 0;
    json_object_set_new(object, "hausdorff95_unit", json_string(known ? "mm" : "pixels"));
    json_object_set_new(object, "volumes", json_integer(volumes->n));
    json_object_set_new(object, "volumes_by_slice", json_integer(volumes->n_by_slice));
}

msfl_status fed_masks_json(const fed_scores *s, uint32_t n_bootstrap, uint64_t seed, bool with_distance, json_t **out) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(s->dataset);
    figures volumes = {0}, patients = {0};
    json_t *object = NULL;
    *out = NULL;
    uint32_t n_volumes = 0, n_patients = 0;
    uint8_t *seen = msfl_alloc((size_t)info->n_groups + info->n_images + 1, 1);
    uint32_t *number = msfl_alloc(info->n_groups, sizeof *number);
    uint32_t *firsts = msfl_alloc(s->n, 2 * sizeof *firsts);
    msfl_status status = seen == NULL || number == NULL || firsts == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
    if (status != MSFL_OK) goto done;
    uint32_t *owner = firsts + s->n;
    n_patients = find_volumes(s, seen, number, firsts, owner, &n_volumes);
    status = figures_new(n_volumes, s->n_classes, &volumes);
    if (status == MSFL_OK) status = figures_new(n_patients, s->n_classes, &patients);
    if (status == MSFL_OK) status = judge_all(s, firsts, with_distance, &volumes);
    if (status != MSFL_OK) goto done;
    by_patient(&volumes, owner, &patients);
    object = json_object();
    status = figures_json(s, &patients, n_bootstrap, seed, object);
    if (status == MSFL_OK && with_distance) put_how(s, &volumes, object);
    if (status != MSFL_OK) {
        json_decref(object);
        object = NULL;
    }
done:
    *out = object;
    msfl_free(seen);
    msfl_free(number);
    msfl_free(firsts);
    figures_clear(&volumes);
    figures_clear(&patients);
    return status;
}
