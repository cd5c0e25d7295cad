/* What whoever reads the figures must know. */
#include "base/sodium.h"
#include "federation/channels.h"
#include "federation/result_parts.h"

#include <stdio.h>

json_t *fed_result_warnings(const fed_job *job, const fed_tracks *tracks) {
    json_t *list = json_array();
    const fed_track *track = fed_tracks_main(job, tracks);
    if (!job->encrypts) {
        json_array_append_new(list, json_string("Scheme 'plain': updates were not encrypted."));
    }
    if (job->encrypts && fed_is_packed(job) && fed_packed_custody(job) == MSFL_CUSTODY_COORDINATOR) {
        json_array_append_new(list,
                              json_string("--custody coordinator: the coordinator held the keys and could open every "
                                          "single update. Insecure against a curious coordinator."));
    }
    if (job->n_hospitals == 2) {
        json_array_append_new(list,
                              json_string("Two hospitals (--allow-two-sites): from the sum and its own update each can "
                                          "compute the other's."));
    }
    for (uint32_t i = 0; i < track->n_records; i++) {
        if ((uint32_t)track->records[i].cohort == job->n_hospitals) continue;
        char text[128];
        snprintf(text, sizeof text, "Round %u was completed by %u of %u hospitals.", i + 1,
                 (uint32_t)track->records[i].cohort, job->n_hospitals);
        json_array_append_new(list, json_string(text));
    }
    if (job->options->allow_two_sites && job->n_hospitals > 2) {
        json_array_append_new(list,
                              json_string("--allow-two-sites: a round may have been completed by two hospitals, which "
                                          "can then compute each other's update."));
    }
    if (job->flips && msfl_dataset_info_borrow(job->dataset)->laterality == MSFL_LATERALITY_UNSAID) {
        json_array_append_new(list, json_string(fed_flips_warning));
    }
    if (job->norms == JOB_NORMS_LOCAL) {
        json_array_append_new(
            list, json_string(
                      job_norms_gathered(job->model)
                          ? "Normalisation layers never left the hospitals, and this network normalises by statistics "
                            "that training gathers: agg_model.h5 has those that training began with and is of "
                            "no use as it is. Use the models in personal/, or --norms mean."
                          : "Normalisation layers never left the hospitals: agg_model.h5 has those that training "
                            "began with (scale 1, offset 0). The models in personal/ have each hospital's own."));
    }
    if (job->options->average_rounds > 0 && job_norms_gathered(job->model)) {
        json_array_append_new(list,
                              json_string("The model is the mean of the last rounds', and this network normalises by "
                                          "statistics that training gathers: they are those of the last rounds, not of "
                                          "the averaged weights."));
    }
    if (fed_validating_hospitals(job) < (job->options->allow_two_sites ? 2u : 3u)) {
        json_array_append_new(list,
                              json_string("Too few hospitals hold validation images for an encrypted sum of validation "
                                          "figures: there are none, and the last round counts as the best."));
    }
    if (job->options->normalise == MSFL_NORMALISE_SET) {
        json_array_append_new(list,
                              json_string("--normalise set uses the mean and deviation of all images of all hospitals, "
                                          "test images included: no federation could compute that as it is."));
    }
    if (msfl_secret_unlocked_bytes() > 0) {
        json_array_append_new(
            list, json_string("Keys were kept in memory that the system did not lock and may have paged out: "
                              "raise the limit with 'ulimit -l'."));
    }
    if (msfl_dataset_info_borrow(job->dataset)->group_key == NULL) {
        json_array_append_new(list,
                              json_string("No patient key: images of one patient may be on both sides of a split, and "
                                          "figures may be too good."));
    }
    return list;
}
