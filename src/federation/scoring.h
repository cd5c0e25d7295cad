/* How good weights are on a list of images. */
#ifndef MSFL_FEDERATION_SCORING_H
#define MSFL_FEDERATION_SCORING_H

#include "federation/job.h"
#include "job/figures.h"
#include "text/json.h"

/** Predictions for a list: n x n_classes probabilities and n labels; or, where every pixel has a class, n masks. Free
 * with fed_scores_clear. */
typedef struct fed_scores {
    float *probabilities;
    uint32_t *labels, *groups;
    uint32_t n, n_classes;
    double loss;
    uint8_t *found;              /**< masks: n x n_pixels; then there are no probabilities and labels */
    uint32_t n_pixels;           /**< 0: no masks */
    const msfl_dataset *dataset; /**< masks: where the true ones are, and */
    uint32_t *images;            /**< of which images */
} fed_scores;

/** `n_views` of every image are averaged, 0 and 1: as it is; masks are always of the image as it is. */
msfl_status fed_score(const fed_job *job, msfl_trainer *trainer, const float *weights, const msfl_indices *images,
                      uint32_t n_views, fed_scores *out) MSFL_NODISCARD;
/** The same by a worker of its own; with a member's own normalisation where `norms` is not NULL. */
msfl_status fed_score_member(const fed_job *job, const float *weights, const float *norms, const msfl_indices *images,
                             uint32_t n_views, fed_scores *out) MSFL_NODISCARD;
void fed_scores_clear(fed_scores *scores);

/** Metrics object of docs/formats/result.md; intervals with `n_bootstrap` > 0, the points of the ROC curve `with_roc`.
 */
msfl_status fed_scores_json(const fed_scores *scores, uint32_t n_bootstrap, uint64_t seed, bool with_roc,
                            json_t **out) MSFL_NODISCARD;

/** The part for masks: prediction, piece by piece, since probabilities of all pixels of all images are too many;
 * figures by patient; `with_distance`: the Hausdorff distance too, which takes its time. */
msfl_status fed_masks_score(const fed_job *job, msfl_trainer *trainer, const float *weights, const msfl_indices *images,
                            fed_scores *out) MSFL_NODISCARD;
msfl_status fed_masks_json(const fed_scores *scores, uint32_t n_bootstrap, uint64_t seed, bool with_distance,
                           json_t **out) MSFL_NODISCARD;
void fed_masks_counters(const fed_scores *scores, uint64_t counters[JOB_EVAL_COUNTERS]);

/** Counters that a hospital adds to an encrypted sum. */
void fed_scores_counters(const fed_scores *scores, uint64_t counters[JOB_EVAL_COUNTERS]);

#endif
