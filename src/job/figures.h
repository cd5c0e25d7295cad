/* Counters that travel beside an update, or alone, in the encrypted vector: what a federation learns of training and
 * validation, summed over its hospitals and of none in particular. */
#ifndef MSFL_JOB_FIGURES_H
#define MSFL_JOB_FIGURES_H

#include "medsecurefl/train.h"
#include "medsecurefl/update.h"

/** Beside an update. Counter 0 is the sample count. */
enum { JOB_SAMPLES, JOB_CORRECT, JOB_SEEN, JOB_LOSS, JOB_CLIPPED, JOB_UPDATE_COUNTERS };

/** Of validation images. */
enum {
    JOB_AUC_BINS = 24,    /* of the probability of class 1, equal widths */
    JOB_EVAL_CLIENTS = 0, /* 1 each */
    JOB_EVAL_N,           /* images */
    JOB_EVAL_CORRECT,
    JOB_EVAL_LOSS, /* sum of cross-entropies x 2^10 */
    JOB_EVAL_BINS, /* JOB_AUC_BINS for class 0, then as many for class 1 */
    JOB_EVAL_COUNTERS = JOB_EVAL_BINS + 2 * JOB_AUC_BINS
};
#define JOB_LOSS_ONE 1024.0

/** Values of `delta` that the encoding will cut to the bound of their tensor. */
uint64_t job_count_clipped(const uint64_t *counts, uint32_t n_tensors, const float *clip, const float *delta);
/** Counters 1 to JOB_UPDATE_COUNTERS - 1 of an update. */
void job_update_counters(const msfl_train_result *result, uint64_t n_clipped,
                         uint64_t counters[JOB_UPDATE_COUNTERS - 1]);
/** n x n_classes probabilities, n labels. */
void job_eval_counters(const float *probabilities, const uint32_t *labels, uint32_t n, uint32_t n_classes,
                       uint64_t counters[JOB_EVAL_COUNTERS]);
/**
 * For a network that gives a class to every pixel, instead of the bins: three counts for each class from 1 to
 * JOB_MASK_CLASSES, pixels that both have, that truth has, that were found. From counters that are all zero, add pixels
 * as found and as true, as many as there are, and close: n images of n_pixels each, `loss` their mean cross-entropy.
 * JOB_EVAL_CORRECT is the share of right pixels times n, rounded.
 */
enum { JOB_MASK_CLASSES = 2 * JOB_AUC_BINS / 3 };
void job_mask_add(const uint8_t *found, const uint8_t *truth, size_t n_pixels, uint64_t counters[JOB_EVAL_COUNTERS]);
void job_mask_close(uint32_t n, uint32_t n_pixels, double loss, uint64_t counters[JOB_EVAL_COUNTERS]);
/** Dice of a class from 1 to JOB_MASK_CLASSES over all pixels of all images; NaN where nobody has it. */
double job_counters_structure(const uint64_t counters[JOB_EVAL_COUNTERS], uint32_t class_index);
/** Its mean over the classes from 1 on that occur; NaN without any. */
double job_counters_dice(const uint64_t counters[JOB_EVAL_COUNTERS]);
/** From summed bins (values that share a bin count one half); NaN when a class is missing. */
double job_counters_auc(const uint64_t counters[JOB_EVAL_COUNTERS]);

/** Weights that make classes weigh alike: n / (classes that occur x counts[c]), rare ones at most tenfold, 1 for
 * classes that do not occur. */
void job_balance(const uint32_t *counts, uint32_t n_classes, float *weights);
/** Logit adjustment (Menon et al. 2021, equation 10): offsets[c] = tau log((counts[c] + 1) / (n + n_classes)). One more
 *  of each class (Laplace), so that a class which a hospital does not have is improbable there and not impossible. */
void job_logit_offsets(const uint32_t *counts, uint32_t n_classes, double tau, float *offsets);

/** Seeds of a hospital's training and of its rounding, the same wherever it runs. `round` counts finished rounds. */
uint64_t job_train_seed(uint64_t seed, uint32_t client);
uint64_t job_rounding_seed(uint64_t seed, uint32_t client, uint32_t round);

#endif
