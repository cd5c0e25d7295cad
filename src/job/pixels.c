#include "job/pixels.h"

#include "base/error.h"
#include "base/mem.h"
#include "job/figures.h"

#include <math.h>

msfl_status job_pixels_check(const char *name, const job_spec *spec, const msfl_model_info *network) {
    const msfl_train_options *t = &spec->train;
    if (network == NULL || !network->is_pixelwise) {
        /* Exact: it is the default or it was written down. */
        if (t->dice == msfl_train_options_default().dice) return MSFL_OK;
        return msfl_fail(MSFL_ERR_USAGE,
                         "%s: dice weighs a loss of networks that give a class to every pixel, and this job has none",
                         name);
    }
    if (network->n_classes > JOB_MASK_CLASSES + 1) {
        return msfl_fail(
            MSFL_ERR_LIMIT,
            "%s: the network gives %u classes to pixels; a job counts the background and at most %d others", name,
            network->n_classes, JOB_MASK_CLASSES);
    }
    const char *odd = spec->balance                ? "balance"
                      : spec->logit_adjustment > 0 ? "logit_adjustment"
                      : t->focal > 0               ? "focal"
                      : t->label_smoothing > 0     ? "label_smoothing"
                                                   : NULL;
    if (odd == NULL) return MSFL_OK;
    return msfl_fail(MSFL_ERR_USAGE, "%s: %s is about classes of images, and this network gives a class to every pixel",
                     name, odd);
}

/* A part of the samples. */
typedef struct window {
    const msfl_samples *all;
    uint32_t first;
} window;

static msfl_status load(void *ctx, uint32_t i, uint64_t augment_seed, float *pixels, uint32_t *label) {
    const window *w = ctx;
    return w->all->load(w->all->ctx, w->first + i, augment_seed, pixels, label);
}

static void choose(const float *probabilities, size_t n, uint32_t n_classes, uint8_t *found) {
    for (size_t i = 0; i < n; i++, probabilities += n_classes) {
        uint32_t best = 0;
        for (uint32_t c = 1; c < n_classes; c++) {
            if (probabilities[c] > probabilities[best]) best = c;
        }
        found[i] = (uint8_t)best;
    }
}

msfl_status job_pixels_predict(msfl_trainer *trainer, const msfl_model *model, const float *weights,
                               const msfl_samples *samples, job_pixels_take take, void *ctx, double *loss) {
    enum { IMAGES_MAX = 32, VALUES_MAX = 1 << 25 }; /* 128 MiB of probabilities, or those of one image */
    const msfl_model_info *info = msfl_model_info_borrow(model);
    const size_t values = (size_t)info->n_targets * info->n_classes;
    size_t chunk = VALUES_MAX / values;
    chunk = chunk < 1 ? 1 : chunk > IMAGES_MAX ? IMAGES_MAX : chunk;
    if (samples->n < chunk) chunk = samples->n;
    *loss = NAN;
    if (samples->n == 0) return MSFL_OK;
    float *probabilities = msfl_alloc(chunk * values, sizeof *probabilities);
    uint8_t *found = msfl_alloc(chunk, info->n_targets);
    msfl_status status = probabilities == NULL || found == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
    double sum = 0;
    for (uint32_t first = 0; first < samples->n && status == MSFL_OK; first += (uint32_t)chunk) {
        const uint32_t n = samples->n - first < chunk ? samples->n - first : (uint32_t)chunk;
        window w = {samples, first};
        const msfl_samples part = {.n = n, .ctx = &w, .load = load};
        double mean;
        status = msfl_predict(trainer, weights, &part, probabilities, NULL, &mean);
        if (status != MSFL_OK) break;
        sum += mean * n;
        choose(probabilities, (size_t)n * info->n_targets, info->n_classes, found);
        status = take(ctx, first, n, found);
    }
    if (status == MSFL_OK) *loss = sum / samples->n;
    msfl_free(probabilities);
    msfl_free(found);
    return status;
}
