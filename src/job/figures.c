#include "job/figures.h"

#include "base/seeded.h"

#include <math.h>
#include <string.h>

uint64_t job_count_clipped(const uint64_t *counts, uint32_t n_tensors, const float *clip, const float *delta) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < n_tensors; i++) {
        for (uint64_t k = 0; k < counts[i]; k++)
            n += fabsf(delta[k]) > clip[i];
        delta += counts[i];
    }
    return n;
}

void job_update_counters(const msfl_train_result *result, uint64_t n_clipped,
                         uint64_t counters[JOB_UPDATE_COUNTERS - 1]) {
    counters[JOB_CORRECT - 1] = result->n_correct;
    counters[JOB_SEEN - 1] = result->n_seen;
    counters[JOB_LOSS - 1] = (uint64_t)llround(result->loss * (double)result->n_seen * JOB_LOSS_ONE);
    counters[JOB_CLIPPED - 1] = n_clipped;
}

void job_eval_counters(const float *probabilities, const uint32_t *labels, uint32_t n, uint32_t n_classes,
                       uint64_t counters[JOB_EVAL_COUNTERS]) {
    memset(counters, 0, JOB_EVAL_COUNTERS * sizeof *counters);
    double loss = 0;
    for (uint32_t i = 0; i < n; i++) {
        const float *p = probabilities + (size_t)i * n_classes;
        uint32_t best = 0;
        for (uint32_t c = 1; c < n_classes; c++) {
            if (p[c] > p[best]) best = c;
        }
        counters[JOB_EVAL_CORRECT] += best == labels[i];
        loss -= log(fmax((double)p[labels[i]], 1e-7));
        if (n_classes == 2) {
            int bin = (int)(p[1] * JOB_AUC_BINS);
            if (bin >= JOB_AUC_BINS) bin = JOB_AUC_BINS - 1;
            if (bin < 0) bin = 0;
            counters[JOB_EVAL_BINS + (labels[i] == 1 ? JOB_AUC_BINS : 0) + bin]++;
        }
    }
    counters[JOB_EVAL_CLIENTS] = 1;
    counters[JOB_EVAL_N] = n;
    counters[JOB_EVAL_LOSS] = (uint64_t)llround(loss * JOB_LOSS_ONE);
}

void job_mask_add(const uint8_t *found, const uint8_t *truth, size_t n_pixels, uint64_t counters[JOB_EVAL_COUNTERS]) {
    for (size_t i = 0; i < n_pixels; i++) {
        uint32_t f = found[i], t = truth[i];
        counters[JOB_EVAL_CORRECT] += f == t; /* pixels, until it is closed */
        if (f == t && t >= 1 && t <= JOB_MASK_CLASSES) counters[JOB_EVAL_BINS + 3 * (t - 1)]++;
        if (t >= 1 && t <= JOB_MASK_CLASSES) counters[JOB_EVAL_BINS + 3 * (t - 1) + 1]++;
        if (f >= 1 && f <= JOB_MASK_CLASSES) counters[JOB_EVAL_BINS + 3 * (f - 1) + 2]++;
    }
}

void job_mask_close(uint32_t n, uint32_t n_pixels, double loss, uint64_t counters[JOB_EVAL_COUNTERS]) {
    counters[JOB_EVAL_CLIENTS] = 1;
    counters[JOB_EVAL_N] = n;
    counters[JOB_EVAL_CORRECT] = (uint64_t)llround((double)counters[JOB_EVAL_CORRECT] / n_pixels);
    counters[JOB_EVAL_LOSS] = n > 0 ? (uint64_t)llround(loss * n * JOB_LOSS_ONE) : 0;
}

double job_counters_structure(const uint64_t counters[JOB_EVAL_COUNTERS], uint32_t class_index) {
    const uint64_t *k = counters + JOB_EVAL_BINS + (size_t)3 * (class_index - 1);
    return k[1] + k[2] == 0 ? NAN : 2 * (double)k[0] / (double)(k[1] + k[2]);
}

double job_counters_dice(const uint64_t counters[JOB_EVAL_COUNTERS]) {
    double sum = 0;
    int n = 0;
    for (uint32_t c = 1; c <= JOB_MASK_CLASSES; c++) {
        const double dice = job_counters_structure(counters, c);
        if (isnan(dice)) continue;
        sum += dice;
        n++;
    }
    return n > 0 ? sum / n : NAN;
}

double job_counters_auc(const uint64_t counters[JOB_EVAL_COUNTERS]) {
    const uint64_t *negative = counters + JOB_EVAL_BINS, *positive = negative + JOB_AUC_BINS;
    double below = 0, wins = 0, n_positive = 0;
    for (int b = 0; b < JOB_AUC_BINS; b++) {
        wins += (double)positive[b] * (below + 0.5 * (double)negative[b]);
        below += (double)negative[b];
        n_positive += (double)positive[b];
    }
    return below > 0 && n_positive > 0 ? wins / (below * n_positive) : NAN;
}

void job_balance(const uint32_t *counts, uint32_t n_classes, float *weights) {
    uint64_t n = 0, n_there = 0;
    for (uint32_t c = 0; c < n_classes; c++) {
        n += counts[c];
        n_there += counts[c] > 0;
    }
    for (uint32_t c = 0; c < n_classes; c++)
        weights[c] = counts[c] > 0 ? (float)fmin((double)n / ((double)n_there * counts[c]), 10) : 1.0f;
}

void job_logit_offsets(const uint32_t *counts, uint32_t n_classes, double tau, float *offsets) {
    double n = n_classes;
    for (uint32_t c = 0; c < n_classes; c++)
        n += counts[c];
    for (uint32_t c = 0; c < n_classes; c++)
        offsets[c] = (float)(tau * log((counts[c] + 1.0) / n));
}

uint64_t job_train_seed(uint64_t seed, uint32_t client) {
    msfl_seeded g;
    msfl_seeded_init(&g, seed, "train", client, 0, 0);
    return msfl_seeded_u64(&g);
}

uint64_t job_rounding_seed(uint64_t seed, uint32_t client, uint32_t round) {
    msfl_seeded g;
    msfl_seeded_init(&g, seed, "rounding", client, round, 0);
    return msfl_seeded_u64(&g);
}
