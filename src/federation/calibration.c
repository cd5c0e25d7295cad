#include "federation/calibration.h"

#include "base/mem.h"
#include "federation/scoring.h"
#include "job/temperature.h"

msfl_status fed_calibration(const fed_job *job, const fed_track *track, json_t *result) {
    uint64_t sums[JOB_TEMPERATURES] = {0};
    fed_scores scores = {0};
    msfl_metrics *m = msfl_alloc(2, sizeof *m);
    msfl_status status = m == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
    uint32_t n = 0;
    for (uint32_t k = 0; k < job->n_hospitals && status == MSFL_OK; k++) {
        /* Of the model that is written, also where hospitals have normalisation layers of their own beside it. */
        status = fed_score_member(job, track->best, NULL, &job->hospitals[k].validation, 1, &scores);
        if (status != MSFL_OK) break;
        job_temperature_add(scores.probabilities, scores.labels, scores.n, scores.n_classes, sums);
        n += scores.n;
        fed_scores_clear(&scores);
    }
    if (status != MSFL_OK || n == 0) goto done;
    double temperature = job_temperature_best(sums);
    status = fed_score_member(job, track->best, NULL, &job->split.test, 1, &scores);
    for (int i = 0; i < 2 && status == MSFL_OK; i++) {
        if (i == 1) job_temperature_apply(temperature, scores.n, scores.n_classes, scores.probabilities);
        status =
            msfl_metrics_compute(scores.probabilities, scores.labels, NULL, scores.n, scores.n_classes, 0, 0, &m[i]);
    }
    if (status != MSFL_OK) goto done;
    json_object_set_new(result, "temperature",
                        json_pack("{s:f, s:i, s:f, s:f, s:f, s:f}", "value", temperature, "n", (int)n,
                                  "calibration_before", m[0].calibration, "calibration_after", m[1].calibration,
                                  "loss_before", m[0].loss, "loss_after", m[1].loss));
done:
    fed_scores_clear(&scores);
    msfl_free(m);
    return status;
}
