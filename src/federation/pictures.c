#include "federation/pictures.h"

#include "base/mem.h"
#include "base/seeded.h"
#include "federation/scoring.h"

#include <stdio.h>
#include <string.h>

/* Up to FED_PICTURES test images: classes take turns, images of a class in a seeded order. */
static msfl_status choose(const fed_job *job, uint32_t *chosen, uint32_t *n) {
    uint32_t n_test = job->split.test.n;
    uint32_t n_classes = msfl_dataset_info_borrow(job->dataset)->n_classes;
    uint32_t *order = msfl_alloc(n_test, sizeof *order);
    uint8_t *taken = msfl_alloc(n_test, 1);
    msfl_status status = order == NULL || taken == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
    *n = 0;
    if (status != MSFL_OK) goto done;
    memcpy(order, job->split.test.at, n_test * sizeof *order);
    msfl_seeded g;
    msfl_seeded_init(&g, job->options->seed, "pictures", 0, 0, 0);
    msfl_seeded_shuffle(&g, order, n_test);
    bool found = true;
    while (*n < FED_PICTURES && found) {
        found = false;
        for (uint32_t c = 0; c < n_classes && *n < FED_PICTURES; c++) {
            for (uint32_t i = 0; i < n_test; i++) {
                if (taken[i] || msfl_dataset_label(job->dataset, order[i]) != c) continue;
                taken[i] = 1;
                chosen[(*n)++] = order[i];
                found = true;
                break;
            }
        }
    }
done:
    msfl_free(order);
    msfl_free(taken);
    return status;
}

msfl_status fed_pictures_choose(const fed_job *job, const float *weights, fed_pictures *out) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(job->dataset);
    const size_t bytes = (size_t)info->width * info->height * info->channels;
    uint32_t chosen[FED_PICTURES];
    fed_scores scores;
    memset(out, 0, sizeof *out);
    msfl_status status = choose(job, chosen, &out->n);
    if (status != MSFL_OK) return status;
    out->pixels = msfl_alloc(bytes, FED_PICTURES);
    if (out->pixels == NULL) return MSFL_ERR_MEMORY;
    const msfl_indices list = {.at = chosen, .n = out->n};
    msfl_trainer *trainer = fed_workers_acquire(job->workers);
    status = fed_score(job, trainer, weights, &list, &scores);
    fed_workers_release(job->workers, trainer);
    if (status != MSFL_OK) {
        fed_pictures_clear(out);
        return status;
    }
    for (uint32_t i = 0; i < out->n; i++) {
        const float *p = scores.probabilities + (size_t)i * info->n_classes;
        uint32_t best = 0;
        for (uint32_t c = 1; c < info->n_classes; c++) {
            if (p[c] > p[best]) best = c;
        }
        uint8_t *pixels = out->pixels + i * bytes;
        msfl_dataset_preview(job->dataset, chosen[i], pixels);
        /* Sequences of a volume are no colours: the first one is shown. */
        const uint32_t shown = info->channels == 3 ? 3 : 1;
        for (size_t k = 0; k < (size_t)info->width * info->height && shown != info->channels; k++)
            pixels[k] = pixels[k * info->channels];
        snprintf(out->names[i], sizeof out->names[i], "test image %u", chosen[i]);
        out->list[i] = (msfl_report_picture){.pixels = pixels,
                                             .width = info->width,
                                             .height = info->height,
                                             .channels = shown,
                                             .name = out->names[i],
                                             .truth = msfl_dataset_class_name(job->dataset, scores.labels[i]),
                                             .predicted = msfl_dataset_class_name(job->dataset, best),
                                             .probability = p[best]};
    }
    fed_scores_clear(&scores);
    return MSFL_OK;
}

void fed_pictures_clear(fed_pictures *pictures) {
    msfl_free(pictures->pixels);
    memset(pictures, 0, sizeof *pictures);
}
