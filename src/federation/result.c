#include "federation/result.h"

#include "federation/calibration.h"
#include "federation/config.h"
#include "federation/result_parts.h"
#include "federation/scoring.h"

#include <math.h>
#include <time.h>

const fed_track *fed_tracks_main(const fed_job *job, const fed_tracks *tracks) {
    return job->encrypts ? &tracks->encrypted : &tracks->plain;
}

bool fed_track_used(const fed_track *t) {
    return t->n_members > 0;
}

/* --- what came out --- */

static msfl_status best_score(const fed_job *job, const fed_track *track, const float *norms,
                              const msfl_indices *images, uint32_t n_bootstrap, json_t **out) {
    *out = NULL;
    fed_scores scores;
    msfl_status status = fed_score_member(job, track->best, norms, images, job->options->n_views, &scores);
    if (status != MSFL_OK) return status;
    if (scores.n == 0) {
        *out = json_null();
    } else {
        status = fed_scores_json(&scores, n_bootstrap, job->options->seed, true, out);
    }
    fed_scores_clear(&scores);
    return status;
}

static msfl_status put_score(const fed_job *job, const fed_track *track, const char *key, json_t *result) {
    json_t *score = NULL;
    if (!fed_track_used(track) || track->n_records == 0) return MSFL_OK;
    msfl_status status = best_score(job, track, NULL, &job->split.test, job->options->n_bootstrap, &score);
    if (status != MSFL_OK) return status;
    json_object_set_new(score, "best_round", json_integer(track->course.best_round));
    json_object_set_new(result, key, score);
    return MSFL_OK;
}

/* Mean of each figure over the hospitals of `list`, whose objects it takes in; with `spread` also how far they lie
 * apart. */
static json_t *over_hospitals(const fed_job *job, json_t *list, bool spread) {
    static const char *const of_images[] = {"auc", "accuracy", "balanced_accuracy", "sensitivity", "specificity",
                                            "f1",  "loss",     "calibration"};
    static const char *const of_masks[] = {"dice", "hausdorff95", "accuracy", "loss"};
    const char *const *names = job->is_pixelwise ? of_masks : of_images;
    const size_t n_names =
        job->is_pixelwise ? sizeof of_masks / sizeof of_masks[0] : sizeof of_images / sizeof of_images[0];
    json_t *mean = json_object(), *apart = json_object();
    for (size_t i = 0; i < n_names; i++) {
        double sum = 0, squares = 0, least = INFINITY, most = -INFINITY;
        uint32_t n = 0;
        for (size_t k = 0; k < json_array_size(list); k++) {
            const json_t *v = json_object_get(json_array_get(list, k), names[i]);
            if (!json_is_number(v)) continue;
            const double x = json_number_value(v);
            sum += x;
            squares += x * x;
            least = fmin(least, x);
            most = fmax(most, x);
            n++;
        }
        json_object_set_new(mean, names[i], msfl_json_real(n > 0 ? sum / n : NAN));
        /* Of the hospitals there are, not of those there might be. */
        const double deviation = n > 0 ? sqrt(fmax(0, squares / n - sum / n * (sum / n))) : NAN;
        json_object_set_new(apart, names[i],
                            json_pack("{s:o, s:o, s:o}", "deviation", msfl_json_real(deviation), "least",
                                      msfl_json_real(n > 0 ? least : NAN), "most", msfl_json_real(n > 0 ? most : NAN)));
    }
    json_object_set_new(mean, "n", json_integer(job->split.test.n));
    json_object_set_new(mean, "per_hospital", list);
    if (spread) {
        json_object_set_new(mean, "spread", apart);
    } else {
        json_decref(apart);
    }
    return mean;
}

/* One entry of such a list. */
static msfl_status add_hospital(const fed_job *job, const fed_track *track, const float *norms, uint32_t k,
                                uint32_t n_bootstrap, json_t *list) {
    json_t *score;
    msfl_status status = best_score(job, track, norms, &job->split.test, n_bootstrap, &score);
    if (status != MSFL_OK) return status;
    json_object_set_new(score, "hospital", json_string(job->hospitals[k].name));
    json_object_set_new(score, "best_round", json_integer(track->course.best_round));
    json_array_append_new(list, score);
    return MSFL_OK;
}

static msfl_status put_alone(const fed_job *job, const fed_tracks *tracks, json_t *result) {
    json_t *list = json_array();
    msfl_status status = MSFL_OK;
    for (uint32_t k = 0; k < job->n_hospitals && status == MSFL_OK; k++) {
        if (!fed_track_used(&tracks->alone[k]) || tracks->alone[k].n_records == 0) continue;
        status = add_hospital(job, &tracks->alone[k], NULL, k, job->options->n_bootstrap, list);
    }
    if (status != MSFL_OK || json_array_size(list) == 0) {
        json_decref(list);
        return status;
    }
    json_object_set_new(result, "alone_mean", over_hospitals(job, list, false));
    return MSFL_OK;
}

/* Where hospitals keep normalisation layers of their own, each has a model of its own: all of them on the same test
 * images. */
static msfl_status put_personal(const fed_job *job, const fed_track *track, json_t *result) {
    if (job->n_norms == 0 || track->n_records == 0) return MSFL_OK;
    json_t *list = json_array();
    msfl_status status = MSFL_OK;
    for (uint32_t k = 0; k < job->n_hospitals && status == MSFL_OK; k++)
        status = add_hospital(job, track, track->members[k].best_norms, k, job->options->n_bootstrap, list);
    if (status != MSFL_OK) {
        json_decref(list);
        return status;
    }
    json_object_set_new(result, "personal", over_hospitals(job, list, true));
    return MSFL_OK;
}

static msfl_status put_per_hospital(const fed_job *job, const fed_track *main_track, json_t *result) {
    json_t *list = json_array();
    for (uint32_t k = 0; k < job->n_hospitals && main_track->n_records > 0; k++) {
        json_t *score;
        msfl_status status = best_score(job, main_track, main_track->members[k].best_norms,
                                        &job->hospitals[k].validation, job->options->n_bootstrap, &score);
        if (status != MSFL_OK) {
            json_decref(list);
            return status;
        }
        json_array_append_new(
            list, json_pack("{s:s, s:o}", "hospital", job->hospitals[k].name, "federated_validation", score));
    }
    json_object_set_new(result, "per_hospital", list);
    return MSFL_OK;
}

msfl_status fed_result(const fed_job *job, const fed_tracks *tracks, json_t **out) {
    const fed_track *track = fed_tracks_main(job, tracks);
    char created[32];
    time_t now = time(NULL);
    struct tm utc;
    strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    *out = NULL;
    json_t *result = json_pack(
        "{s:s, s:s, s:I, s:i, s:s, s:s?, s:s?, s:o, s:b, s:i, s:i, s:s?, s:i}", "version", MSFL_VERSION, "created",
        created, "seed", (json_int_t)job->options->seed, "threads",
        (int)msfl_pool_threads(fed_workers_pool(job->workers)), "scheme", msfl_scheme_name(job->scheme), "custody",
        fed_result_custody(job), "delivery",
        job->encrypts ? msfl_delivery_name(job->delivery == 0 ? MSFL_DELIVERY_COORDINATOR : job->delivery) : NULL,
        "trust", fed_result_trust(job), "complete", 1, "rounds_done", (int)track->n_records, "rounds_planned",
        (int)job->options->n_rounds, "stopped", track->course.stopped ? track->course.why : NULL, "best_round",
        (int)track->course.best_round);
    msfl_status status;
    if (job->is_pixelwise) json_object_set_new(result, "task", json_string("segmentation"));
    json_object_set_new(result, "command", msfl_json_string(job->options->command));
    json_object_set_new(result, "config", fed_config_json(job->options));
    json_object_set_new(result, "data", fed_result_data(job));
    json_object_set_new(result, "model", fed_result_model(job));
    json_object_set_new(result, "training", fed_result_training(job));
    json_object_set_new(result, "params", fed_result_params(job));
    static const char *const keys[] = {"encrypted", "plain", "central", "alone_mean"};
    for (int i = 0; i < 4; i++)
        json_object_set_new(result, keys[i], json_null());
    status = put_score(job, &tracks->encrypted, "encrypted", result);
    if (status == MSFL_OK) status = put_score(job, &tracks->plain, "plain", result);
    if (status == MSFL_OK) status = put_score(job, &tracks->central, "central", result);
    if (status == MSFL_OK) status = put_alone(job, tracks, result);
    if (status == MSFL_OK) status = put_personal(job, track, result);
    if (status == MSFL_OK) status = put_per_hospital(job, track, result);
    if (status != MSFL_OK) goto done;
    if (!job->is_pixelwise && track->n_records > 0) status = fed_calibration(job, track, result);
    if (status != MSFL_OK) goto done;
    fed_result_costs(job, track, result);
    json_object_set_new(result, "rounds", fed_result_rounds(job, tracks));
    json_object_set_new(result, "warnings", fed_result_warnings(job, tracks));
    *out = result;
    result = NULL;
done:
    json_decref(result);
    return status;
}
