/* Resampling, grey <-> RGB and depth in one pass over the rows. */
#include "base/mem.h"
#include "image/image.h"

#include <math.h>
#include <string.h>

/* How one new pixel along an axis is made: `count` old pixels from `first` on, with weights that sum to 1. */
typedef struct axis {
    uint32_t *first, *count;
    float *weights; /* n x taps_max */
    uint32_t n, taps_max;
} axis;

static void axis_clear(axis *a) {
    msfl_free(a->first);
    msfl_free(a->count);
    msfl_free(a->weights);
    *a = (axis){0};
}

/* New pixel i covers the old positions [i s, (i + 1) s), s = from / to. */
static void cover(axis *a, uint32_t i, uint32_t from, uint32_t to) {
    double step = (double)from / to;
    double begin = i * step, end = i + 1 == to ? from : (i + 1) * step;
    uint32_t first = (uint32_t)begin;
    uint32_t last = (uint32_t)ceil(end);
    if (last > from) last = from;
    float *w = a->weights + (size_t)i * a->taps_max;
    a->first[i] = first;
    a->count[i] = last - first;
    for (uint32_t j = first; j < last; j++) {
        double low = j > begin ? j : begin, high = j + 1 < end ? j + 1 : end;
        w[j - first] = (float)((high - low) / (end - begin));
    }
}

/* The centre of new pixel i lies at (i + 1/2) s - 1/2 in units of old pixels. */
static void interpolate(axis *a, uint32_t i, uint32_t from, uint32_t to) {
    double at = (i + 0.5) * from / to - 0.5;
    if (at < 0) at = 0;
    if (at > from - 1) at = from - 1;
    uint32_t first = (uint32_t)at;
    if (first + 1 >= from && from > 1) first = from - 2;
    float *w = a->weights + (size_t)i * a->taps_max;
    a->first[i] = first;
    a->count[i] = from > 1 ? 2 : 1;
    w[0] = from > 1 ? (float)(1 - (at - first)) : 1;
    w[1] = (float)(at - first);
}

static msfl_status axis_new(uint32_t from, uint32_t to, axis *a) {
    a->n = to;
    a->taps_max = to < from ? from / to + 3 : 2;
    a->first = msfl_alloc(to, sizeof *a->first);
    a->count = msfl_alloc(to, sizeof *a->count);
    a->weights = msfl_alloc(to, a->taps_max * sizeof *a->weights);
    if (a->first == NULL || a->count == NULL || a->weights == NULL) return MSFL_ERR_MEMORY;
    for (uint32_t i = 0; i < to; i++) {
        if (to < from) {
            cover(a, i, from, to);
        } else if (to > from) {
            interpolate(a, i, from, to);
        } else {
            a->first[i] = i;
            a->count[i] = 1;
            a->weights[(size_t)i * 2] = 1;
        }
    }
    return MSFL_OK;
}

/* One row of samples as float, with the number of channels reduced if the target has fewer. */
static void row_to_float(const msfl_image *in, uint32_t y, uint32_t channels, float *row) {
    size_t n = (size_t)in->width * in->channels;
    if (in->channels == 3 && channels == 1) {
        for (size_t x = 0; x < in->width; x++) {
            float rgb[3];
            for (size_t k = 0; k < 3; k++) {
                size_t at = y * n + 3 * x + k;
                rgb[k] = in->bits == 8 ? ((const uint8_t *)in->samples)[at] : ((const uint16_t *)in->samples)[at];
            }
            row[x] = 0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2];
        }
    } else if (in->bits == 8) {
        const uint8_t *from = (const uint8_t *)in->samples + y * n;
        for (size_t i = 0; i < n; i++)
            row[i] = from[i];
    } else {
        const uint16_t *from = (const uint16_t *)in->samples + y * n;
        for (size_t i = 0; i < n; i++)
            row[i] = from[i];
    }
}

static void row_across(const axis *a, const float *row, uint32_t channels, float *out) {
    for (uint32_t i = 0; i < a->n; i++) {
        const float *w = a->weights + (size_t)i * a->taps_max;
        for (uint32_t k = 0; k < channels; k++) {
            const float *from = row + (size_t)a->first[i] * channels + k;
            float sum = 0;
            for (uint32_t j = 0; j < a->count[i]; j++)
                sum += w[j] * from[(size_t)j * channels];
            out[(size_t)i * channels + k] = sum;
        }
    }
}

static void row_to_samples(const float *row, uint32_t width, uint32_t in_channels, uint32_t channels, float scale,
                           uint32_t bits, void *out) {
    uint32_t repeat = channels / in_channels;
    float top = bits == 8 ? 255 : 65535;
    for (size_t i = 0; i < (size_t)width * in_channels; i++) {
        float v = row[i] * scale + 0.5f;
        v = v < 0 ? 0 : v > top ? top : v;
        for (uint32_t k = 0; k < repeat; k++) {
            if (bits == 8) {
                ((uint8_t *)out)[i * repeat + k] = (uint8_t)v;
            } else {
                ((uint16_t *)out)[i * repeat + k] = (uint16_t)v;
            }
        }
    }
}

msfl_status msfl_image_fit(const msfl_image *in, uint32_t width, uint32_t height, uint32_t channels, uint32_t bits,
                           void *out) {
    if (in->width == width && in->height == height && in->channels == channels && in->bits == bits) {
        memcpy(out, in->samples, (size_t)width * height * channels * (bits / 8));
        return MSFL_OK;
    }
    msfl_status status = MSFL_ERR_MEMORY;
    uint32_t inner = in->channels < channels ? in->channels : channels;
    size_t row_samples = (size_t)width * inner;
    float scale = in->bits == bits ? 1.0f : in->bits == 8 ? 257.0f : 1.0f / 257.0f;
    axis across = {0}, down = {0};
    /* Consecutive new rows share at most one old row when shrinking and two when growing: two rows already resampled
     * across are kept, by the parity of their number. */
    float *source = msfl_alloc((size_t)in->width * inner, sizeof *source);
    float *kept = msfl_alloc(row_samples, 2 * sizeof *kept);
    float *sum = msfl_alloc(row_samples, sizeof *sum);
    int64_t kept_row[2] = {-1, -1};
    if (source == NULL || kept == NULL || sum == NULL) goto done;
    status = axis_new(in->width, width, &across);
    if (status == MSFL_OK) status = axis_new(in->height, height, &down);
    if (status != MSFL_OK) goto done;

    for (uint32_t y = 0; y < height; y++) {
        memset(sum, 0, row_samples * sizeof *sum);
        for (uint32_t j = 0; j < down.count[y]; j++) {
            uint32_t from = down.first[y] + j;
            float *row = kept + (from & 1) * row_samples;
            if (kept_row[from & 1] != from) {
                row_to_float(in, from, inner, source);
                row_across(&across, source, inner, row);
                kept_row[from & 1] = from;
            }
            float w = down.weights[(size_t)y * down.taps_max + j];
            for (size_t i = 0; i < row_samples; i++)
                sum[i] += w * row[i];
        }
        uint8_t *to = (uint8_t *)out + (size_t)y * width * channels * (bits / 8);
        row_to_samples(sum, width, inner, channels, scale, bits, to);
    }
done:
    axis_clear(&across);
    axis_clear(&down);
    msfl_free(source);
    msfl_free(kept);
    msfl_free(sum);
    return status;
}
