#include "federation/pictures.h"

#include "base/mem.h"
#include "base/seeded.h"
#include "federation/scoring.h"

#include <math.h>
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

/* Small pictures are enlarged, so that outlines and heat can be seen. */
static uint32_t factor_for(const msfl_dataset_info *info) {
    uint32_t side = info->width > info->height ? info->width : info->height, factor = 160 / (side > 0 ? side : 1);
    return factor < 1 ? 1 : factor > 6 ? 6 : factor;
}

/* Pictures of one example, side by side, as RGB. */
typedef struct strip {
    const msfl_dataset_info *info;
    uint32_t factor, n_panels, channels;
    uint8_t *panel, *source; /* scratch: one panel; the picture itself, of a volume all slices */
    uint32_t slice;          /* of a volume: which one is shown */
    uint8_t *out;
} strip;

static void put_panel(const strip *s, uint32_t which, const msfl_overlay *overlay) {
    size_t height = (size_t)s->info->height * s->factor, row = (size_t)s->info->width * s->factor * 3;
    const size_t pixels = (size_t)s->info->height * s->info->width;
    msfl_overlay_paint(s->source + s->slice * pixels * s->info->channels, s->info->height, s->info->width, s->channels,
                       overlay, s->factor, s->panel);
    for (size_t y = 0; y < height; y++)
        memcpy(s->out + (y * s->n_panels + which) * row, s->panel + y * row, row);
}

static msfl_status explain(const fed_job *job, msfl_trainer *trainer, const float *weights, uint32_t image,
                           uint32_t class_index, const strip *s) {
    const msfl_dataset_info *info = s->info;
    size_t n = (size_t)info->depth * info->width * info->height;
    float *pixels = msfl_alloc(n * info->channels, sizeof *pixels), *map = msfl_alloc(n, sizeof *map);
    msfl_status status = pixels == NULL || map == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
    const msfl_indices one = {.at = &image, .n = 1};
    fed_samples storage;
    const msfl_samples samples = fed_samples_of(job, &one, &storage);
    uint32_t label;
    if (status == MSFL_OK) status = samples.load(samples.ctx, 0, 0, pixels, &label);
    if (status == MSFL_OK) status = msfl_explain(trainer, weights, pixels, class_index, map);
    if (status == MSFL_OK) put_panel(s, 1, &(msfl_overlay){.heat = map});
    if (status == MSFL_ERR_UNSUPPORTED) {
        put_panel(s, 1, &(msfl_overlay){0});
        status = MSFL_OK;
    }
    msfl_free(pixels);
    msfl_free(map);
    return status;
}

static msfl_status class_example(const fed_job *job, msfl_trainer *trainer, const float *weights, uint32_t image,
                                 const fed_scores *scores, uint32_t i, const strip *s, msfl_report_picture *out) {
    const float *p = scores->probabilities + (size_t)i * scores->n_classes;
    uint32_t best = 0;
    for (uint32_t c = 1; c < scores->n_classes; c++) {
        if (p[c] > p[best]) best = c;
    }
    put_panel(s, 0, &(msfl_overlay){0});
    out->truth = msfl_dataset_class_name(job->dataset, scores->labels[i]);
    out->predicted = msfl_dataset_class_name(job->dataset, best);
    out->probability = p[best];
    return explain(job, trainer, weights, image, best, s);
}

static void mask_example(const fed_scores *scores, uint32_t i, const strip *s, char words[32],
                         msfl_report_picture *out) {
    const uint8_t *found = scores->found + (size_t)i * scores->n_pixels;
    const uint8_t *truth = msfl_dataset_mask(scores->dataset, scores->images[i]);
    size_t both = 0, either = 0;
    for (uint32_t k = 0; k < scores->n_pixels; k++) {
        both += found[k] != 0 && found[k] == truth[k];
        either += (size_t)(found[k] != 0) + (truth[k] != 0);
    }
    const size_t at = (size_t)s->slice * s->info->height * s->info->width;
    put_panel(s, 0, &(msfl_overlay){.outline = truth + at});
    put_panel(s, 1, &(msfl_overlay){.fill = found + at, .outline = found + at});
    snprintf(words, 32, "Dice %.2f", either > 0 ? 2.0 * (double)both / (double)either : 1.0);
    out->predicted = words;
    out->probability = NAN;
}

/* Of a volume: the slice in which the mask is largest, since in the middle one there may be nothing to see. */
static uint32_t slice_of(const msfl_dataset *dataset, uint32_t image) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(dataset);
    const uint8_t *mask = msfl_dataset_mask(dataset, image);
    const size_t pixels = (size_t)info->height * info->width;
    uint32_t best = info->depth / 2;
    size_t most = 0;
    for (uint32_t z = 0; mask != NULL && z < info->depth; z++) {
        size_t inside = 0;
        for (size_t i = 0; i < pixels; i++)
            inside += mask[z * pixels + i] != 0;
        if (inside > most) {
            most = inside;
            best = z;
        }
    }
    return best;
}

static msfl_status draw_all(const fed_job *job, const float *weights, const uint32_t *chosen, const fed_scores *scores,
                            strip *s, fed_pictures *out) {
    size_t bytes = 3 * (size_t)s->info->width * s->info->height * s->factor * s->factor * s->n_panels;
    msfl_trainer *trainer = fed_workers_acquire(job->workers);
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; i < out->n && status == MSFL_OK; i++) {
        s->out = out->pixels + i * bytes;
        s->slice = slice_of(job->dataset, chosen[i]);
        snprintf(out->names[i], sizeof out->names[i], "test image %u", chosen[i]);
        if (s->info->depth > 1) {
            snprintf(out->names[i], sizeof out->names[i], "test volume %u, slice %u", chosen[i], s->slice + 1);
        }
        out->list[i] = (msfl_report_picture){.pixels = s->out,
                                             .width = s->info->width * s->factor * s->n_panels,
                                             .height = s->info->height * s->factor,
                                             .channels = 3,
                                             .name = out->names[i]};
        msfl_dataset_preview(job->dataset, chosen[i], s->source);
        const size_t slice = (size_t)s->info->height * s->info->width * s->info->channels;
        s->channels = msfl_dataset_shown(s->info, s->source + s->slice * slice);
        if (job->is_pixelwise) {
            mask_example(scores, i, s, out->words[i], &out->list[i]);
        } else {
            status = class_example(job, trainer, weights, chosen[i], scores, i, s, &out->list[i]);
        }
    }
    fed_workers_release(job->workers, trainer);
    return status;
}

msfl_status fed_pictures_choose(const fed_job *job, const float *weights, fed_pictures *out) {
    const msfl_dataset_info *info = msfl_dataset_info_borrow(job->dataset);
    strip s = {.info = info, .factor = factor_for(info), .n_panels = 2};
    const size_t size = 3 * (size_t)info->width * info->height * s.factor * s.factor;
    uint32_t chosen[FED_PICTURES];
    fed_scores scores = {0};
    memset(out, 0, sizeof *out);
    msfl_status status = choose(job, chosen, &out->n);
    if (status != MSFL_OK) return status;
    out->pixels = msfl_alloc(size * s.n_panels, FED_PICTURES);
    s.panel = msfl_alloc(size, 1);
    s.source = msfl_alloc((size_t)info->depth * info->width * info->height, info->channels);
    const msfl_indices list = {.at = chosen, .n = out->n};
    status = out->pixels == NULL || s.panel == NULL || s.source == NULL
                 ? MSFL_ERR_MEMORY
                 : fed_score_member(job, weights, NULL, &list, 1, &scores);
    if (status == MSFL_OK) status = draw_all(job, weights, chosen, &scores, &s, out);
    fed_scores_clear(&scores);
    msfl_free(s.panel);
    msfl_free(s.source);
    if (status != MSFL_OK) fed_pictures_clear(out);
    return status;
}

void fed_pictures_clear(fed_pictures *pictures) {
    msfl_free(pictures->pixels);
    memset(pictures, 0, sizeof *pictures);
}
