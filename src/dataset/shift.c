/* How a picture would have looked from another scanner. */
#include "base/error.h"
#include "base/mem.h"
#include "base/seeded.h"
#include "dataset/pixels.h"
#include "dataset/set.h"
#include "image/image.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONTRAST = 1, BLUR = 2, NOISE = 4, RESOLUTION = 8 };

static msfl_status read_spec(const char *spec, uint32_t *kinds, double *strength) {
    static const struct {
        const char *name;
        uint32_t kinds;
    } words[] = {{"contrast:", CONTRAST},
                 {"blur:", BLUR},
                 {"noise:", NOISE},
                 {"resolution:", RESOLUTION},
                 {"mixed:", CONTRAST | BLUR | NOISE | RESOLUTION}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t n = strlen(words[i].name);
        if (strncmp(spec, words[i].name, n) != 0) continue;
        char *end;
        *strength = strtod(spec + n, &end);
        if (end == spec + n || *end != 0 || !(*strength > 0 && *strength <= 1)) break;
        *kinds = words[i].kinds;
        return MSFL_OK;
    }
    return msfl_fail(
        MSFL_ERR_USAGE,
        "'%.60s' is no shift; write contrast:S, blur:S, noise:S, resolution:S or mixed:S with a strength S "
        "above 0 and up to 1, for example mixed:0.5",
        spec);
}

msfl_status msfl_shift_draw(const char *spec, uint32_t n_clients, uint64_t seed, msfl_shift *out) {
    uint32_t kinds = 0;
    double s = 0;
    if (spec != NULL && strcmp(spec, "none") != 0) {
        msfl_status status = read_spec(spec, &kinds, &s);
        if (status != MSFL_OK) return status;
    }
    uint32_t *order = msfl_alloc(n_clients, sizeof *order);
    if (order == NULL) return MSFL_NO_MEMORY;
    for (uint32_t k = 0; k < n_clients; k++)
        out[k] = (msfl_shift){.gamma = 1, .resolution = 1, .seed = seed + k};
    for (uint32_t kind = CONTRAST; kind <= RESOLUTION; kind *= 2) {
        if ((kinds & kind) == 0) continue;
        /* Hospitals stand evenly along the scale, in a drawn order: with three of them a draw might put all in one
         * place.
         */
        msfl_seeded g;
        msfl_seeded_init(&g, seed, "shift", kind, n_clients, 0);
        for (uint32_t k = 0; k < n_clients; k++)
            order[k] = k;
        msfl_seeded_shuffle(&g, order, n_clients);
        for (uint32_t k = 0; k < n_clients; k++) {
            double at = n_clients == 1 ? 1 : (double)order[k] / (n_clients - 1);
            if (kind == CONTRAST) out[k].gamma = (float)exp2(s * (2 * at - 1));
            if (kind == BLUR) out[k].blur = (float)(s * at / 32);
            if (kind == NOISE) out[k].noise = (float)(0.15 * s * at);
            if (kind == RESOLUTION) out[k].resolution = (float)(1 - 0.75 * s * at);
        }
    }
    msfl_free(order);
    return MSFL_OK;
}

/* Along one axis: `n` places `stride` apart, by a Gaussian cut off at three deviations; edges repeat. */
static void blur_line(const float *in, size_t n, size_t stride, const float *weights, int radius, float *out) {
    for (int i = 0; i < (int)n; i++) {
        float sum = 0;
        for (int d = -radius; d <= radius; d++) {
            int at = i + d < 0 ? 0 : i + d >= (int)n ? (int)n - 1 : i + d;
            sum += weights[d < 0 ? -d : d] * in[(size_t)at * stride];
        }
        out[(size_t)i * stride] = sum;
    }
}

static void blur(float *v, float *spare, uint32_t h, uint32_t w, uint32_t c, double sigma) {
    enum { RADIUS_MAX = 64 };
    float weights[RADIUS_MAX + 1] = {0};
    int radius = (int)ceil(3 * sigma);
    if (radius > RADIUS_MAX) radius = RADIUS_MAX;
    double sum = 0;
    for (int d = 0; d <= radius; d++)
        sum += (d == 0 ? 1 : 2) * exp(-d * d / (2 * sigma * sigma));
    for (int d = 0; d <= radius; d++)
        weights[d] = (float)(exp(-d * d / (2 * sigma * sigma)) / sum);
    for (size_t y = 0; y < h; y++)
        for (size_t k = 0; k < c; k++)
            blur_line(v + y * w * c + k, w, c, weights, radius, spare + y * w * c + k);
    for (size_t x = 0; x < (size_t)w * c; x++)
        blur_line(spare + x, h, (size_t)w * c, weights, radius, v + x);
}

/* Down to a share of the size and back. */
static msfl_status coarsen(uint16_t *samples, uint32_t h, uint32_t w, uint32_t c, double share) {
    uint32_t small_h = (uint32_t)(h * share + 0.5), small_w = (uint32_t)(w * share + 0.5);
    if (small_h < 1) small_h = 1;
    if (small_w < 1) small_w = 1;
    uint16_t *small = msfl_alloc((size_t)small_h * small_w * c, sizeof *small);
    if (small == NULL) return MSFL_NO_MEMORY;
    msfl_image in = {.width = w, .height = h, .channels = c, .bits = 16, .samples = samples};
    msfl_status status = msfl_image_fit(&in, small_w, small_h, c, 16, small);
    in = (msfl_image){.width = small_w, .height = small_h, .channels = c, .bits = 16, .samples = small};
    if (status == MSFL_OK) status = msfl_image_fit(&in, w, h, c, 16, samples);
    msfl_free(small);
    return status;
}

static bool does_nothing(const msfl_shift *s) {
    return s->gamma == 1 && s->blur == 0 && s->noise == 0 && s->resolution == 1;
}

static void to_samples(const float *v, size_t n, uint16_t *out) {
    for (size_t i = 0; i < n; i++)
        out[i] = (uint16_t)(v[i] > 0 ? v[i] < 1 ? v[i] * 65535 + 0.5f : 65535 : 0);
}

static msfl_status shift_samples(const msfl_dataset *set, uint32_t image, const msfl_shift *s, uint16_t *out) {
    const msfl_dataset_info *info = &set->info;
    size_t n = set->image_samples, slice = n / info->depth;
    float *v = msfl_alloc(n, 2 * sizeof *v);
    if (v == NULL) return MSFL_NO_MEMORY;
    msfl_pixels_normalise(msfl_set_samples(set, image), info->bits, n, MSFL_NORMALISE_NONE, 0, 1, v);
    if (s->gamma != 1)
        for (size_t i = 0; i < n; i++)
            v[i] = powf(v[i], s->gamma);
    if (s->blur > 0) {
        uint32_t side = info->height > info->width ? info->height : info->width;
        for (uint32_t z = 0; z < info->depth; z++) /* of volumes slice by slice */
            blur(v + z * slice, v + n, info->height, info->width, info->channels, (double)s->blur * side);
    }
    to_samples(v, n, out);
    msfl_status status = MSFL_OK;
    for (uint32_t z = 0; z < info->depth && s->resolution < 1 && status == MSFL_OK; z++) {
        status = coarsen(out + z * slice, info->height, info->width, info->channels, (double)s->resolution);
    }
    if (s->noise > 0 && status == MSFL_OK) {
        msfl_seeded g;
        msfl_seeded_init(&g, s->seed, "shift noise", image, 0, 0);
        for (size_t i = 0; i < n; i++)
            v[i] = (float)out[i] / 65535 + s->noise * (float)msfl_seeded_normal(&g);
        to_samples(v, n, out);
    }
    msfl_free(v);
    return status;
}

msfl_status msfl_dataset_pixels_shifted(const msfl_dataset *set, uint32_t image, const msfl_shift *shift,
                                        const msfl_augment *augment, uint64_t augment_seed, float *pixels) {
    if (shift == NULL || does_nothing(shift)) return msfl_dataset_pixels(set, image, augment, augment_seed, pixels);
    if (image >= set->info.n_images) {
        return msfl_fail(MSFL_ERR_USAGE, "image %u was asked for; there are %u", image, set->info.n_images);
    }
    uint16_t *samples = msfl_alloc(set->image_samples, sizeof *samples);
    if (samples == NULL) return MSFL_NO_MEMORY;
    msfl_status status = shift_samples(set, image, shift, samples);
    if (status == MSFL_OK) status = msfl_set_prepare(set, samples, 16, augment, augment_seed, pixels);
    msfl_free(samples);
    return status;
}

msfl_status msfl_dataset_preview_shifted(const msfl_dataset *set, uint32_t image, const msfl_shift *shift,
                                         uint8_t *pixels) {
    if (shift == NULL || does_nothing(shift)) {
        msfl_dataset_preview(set, image, pixels);
        return MSFL_OK;
    }
    uint16_t *samples = msfl_alloc(set->image_samples, sizeof *samples);
    if (samples == NULL) return MSFL_NO_MEMORY;
    msfl_status status = shift_samples(set, image, shift, samples);
    for (size_t i = 0; i < set->image_samples && status == MSFL_OK; i++)
        pixels[i] = (uint8_t)(samples[i] / 257);
    msfl_free(samples);
    return status;
}
