/* Changes of intensity after an image has been moved: gamma, blur, noise, cutout. */
#include "base/mem.h"
#include "dataset/augment.h"

#include <math.h>
#include <string.h>

/* SplitMix64's output function over a counter. */
static uint64_t hash(uint64_t key, uint64_t counter) {
    uint64_t z = key + (counter + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Four uniform numbers of 16 bits added up are close enough to a normal one (their sum has variance 4/12 of the square
 * of the range), and cost a tenth of an exact one. */
static void add_noise(const msfl_change *c, size_t n, float *pixels) {
    float scale = c->noise * sqrtf(3.0f) / 65536.0f;
    for (size_t i = 0; i < n; i++) {
        uint64_t h = hash(c->noise_key, i);
        int32_t sum =
            (int32_t)(h & 0xffff) + (int32_t)(h >> 16 & 0xffff) + (int32_t)(h >> 32 & 0xffff) + (int32_t)(h >> 48);
        pixels[i] += (float)(sum - 131070) * scale;
    }
}

enum { RADIUS_MAX = 15 };

/* A line of pixels, `stride` floats apart; beyond its ends the end repeats. */
static void blur_line(float *line, size_t n, size_t stride, const float *weights, int radius, float *copy) {
    for (size_t i = 0; i < n; i++)
        copy[i] = line[i * stride];
    for (size_t i = 0; i < n; i++) {
        float sum = 0;
        for (int k = -radius; k <= radius; k++) {
            int64_t at = (int64_t)i + k;
            at = at < 0 ? 0 : at >= (int64_t)n ? (int64_t)n - 1 : at;
            sum += weights[k + radius] * copy[at];
        }
        line[i * stride] = sum;
    }
}

static msfl_status blur(float deviation, uint32_t height, uint32_t width, uint32_t channels, float *pixels) {
    float weights[2 * RADIUS_MAX + 1] = {0}, sum = 0;
    int radius = (int)ceilf(3 * deviation); /* at most 5 pixels: msfl_augment_check */
    if (radius > RADIUS_MAX) radius = RADIUS_MAX;
    for (int k = -radius; k <= radius; k++)
        sum += weights[k + radius] = expf(-(float)(k * k) / (2 * deviation * deviation));
    for (int k = 0; k <= 2 * radius; k++)
        weights[k] /= sum;
    float *copy = msfl_alloc(height > width ? height : width, sizeof *copy);
    if (copy == NULL) return MSFL_ERR_MEMORY;
    size_t row = (size_t)width * channels;
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t k = 0; k < channels; k++)
            blur_line(pixels + y * row + k, width, channels, weights, radius, copy);
    }
    for (size_t x = 0; x < row; x++)
        blur_line(pixels + x, height, row, weights, radius, copy);
    msfl_free(copy);
    return MSFL_OK;
}

/* A rectangle becomes as grey as the whole picture is on average. */
static void cut(const msfl_change *c, uint32_t width, uint32_t channels, size_t n, float *pixels) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)pixels[i];
    float grey = (float)(sum / (double)n);
    for (uint32_t y = c->cut_y; y < c->cut_y + c->cut_height; y++) {
        float *row = pixels + ((size_t)y * width + c->cut_x) * channels;
        for (size_t i = 0; i < (size_t)c->cut_width * channels; i++)
            row[i] = grey;
    }
}

msfl_status msfl_change_finish(const msfl_change *c, uint32_t height, uint32_t width, uint32_t channels,
                               float *pixels) {
    size_t n = (size_t)height * width * channels;
    for (size_t i = 0; c->gamma != 1.0f && i < n; i++)
        pixels[i] = powf(pixels[i], c->gamma);
    if (c->blur > 0.1f) { /* less than that changes nothing that could be seen */
        msfl_status status = blur(c->blur, height, width, channels, pixels);
        if (status != MSFL_OK) return status;
    }
    if (c->noise > 0) add_noise(c, n, pixels);
    if (c->cut_width > 0 && c->cut_height > 0) cut(c, width, channels, n, pixels);
    return MSFL_OK;
}
