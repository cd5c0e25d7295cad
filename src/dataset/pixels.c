#include "dataset/pixels.h"

#include "base/error.h"
#include "base/mem.h"
#include "dataset/augment.h"
#include "dataset/set.h"
#include "image/decode.h"

#include <math.h>
#include <string.h>

static uint32_t sample(const void *samples, uint32_t bits, size_t i) {
    return bits == 8 ? ((const uint8_t *)samples)[i] : ((const uint16_t *)samples)[i];
}

/* Mean and deviation in units of full scale, from exact integer sums. */
static void measure_samples(const void *samples, uint32_t bits, size_t n, double *mean, double *deviation) {
    uint64_t sum = 0, squares = 0;
    if (bits == 8) {
        const uint8_t *p = samples;
        enum { CHUNK = 32768 }; /* 32768 x 255 x 255 stays below 2^32 */
        for (size_t begin = 0; begin < n; begin += CHUNK) {
            size_t end = n - begin < CHUNK ? n : begin + CHUNK;
            uint32_t chunk_sum = 0, chunk_squares = 0;
            for (size_t i = begin; i < end; i++) {
                chunk_sum += p[i];
                chunk_squares += (uint32_t)p[i] * p[i];
            }
            sum += chunk_sum;
            squares += chunk_squares;
        }
    } else {
        const uint16_t *p = samples;
        for (size_t i = 0; i < n; i++) {
            sum += p[i];
            squares += (uint64_t)p[i] * p[i];
        }
    }
    double full = bits == 8 ? 255 : 65535;
    double m = (double)sum / (double)n;
    double variance = (double)squares / (double)n - m * m;
    *mean = m / full;
    *deviation = (variance > 0 ? sqrt(variance) : 0) / full;
}

void msfl_pixels_normalise(const void *samples, uint32_t bits, size_t n, msfl_normalise how, double mean,
                           double deviation, float *out) {
    if (how == MSFL_NORMALISE_IMAGE) measure_samples(samples, bits, n, &mean, &deviation);
    if (how == MSFL_NORMALISE_NONE) {
        mean = 0;
        deviation = 1;
    }
    if (deviation < MSFL_DEVIATION_MIN) deviation = MSFL_DEVIATION_MIN;
    double full = bits == 8 ? 255 : 65535;
    float scale = (float)(1 / (full * deviation)), shift = (float)(-mean / deviation);
    if (bits == 8) {
        const uint8_t *p = samples;
        for (size_t i = 0; i < n; i++)
            out[i] = (float)p[i] * scale + shift;
    } else {
        const uint16_t *p = samples;
        for (size_t i = 0; i < n; i++)
            out[i] = (float)p[i] * scale + shift;
    }
}

void msfl_pixels_normalise_floats(float *values, size_t n, msfl_normalise how, double mean, double deviation) {
    if (how == MSFL_NORMALISE_NONE) return;
    if (how == MSFL_NORMALISE_IMAGE) {
        /* Eight sums side by side: fast, and the same on every machine. */
        enum { LANES = 8 };
        double sum[LANES] = {0}, squares[LANES] = {0};
        size_t i = 0;
        for (; i + LANES <= n; i += LANES) {
            for (size_t j = 0; j < LANES; j++) {
                double v = values[i + j];
                sum[j] += v;
                squares[j] += v * v;
            }
        }
        for (; i < n; i++) {
            sum[0] += values[i];
            squares[0] += (double)values[i] * values[i];
        }
        for (size_t j = 1; j < LANES; j++) {
            sum[0] += sum[j];
            squares[0] += squares[j];
        }
        mean = sum[0] / (double)n;
        double variance = squares[0] / (double)n - mean * mean;
        deviation = variance > 0 ? sqrt(variance) : 0;
    }
    if (deviation < MSFL_DEVIATION_MIN) deviation = MSFL_DEVIATION_MIN;
    float scale = (float)(1 / deviation), shift = (float)(-mean / deviation);
    for (size_t i = 0; i < n; i++)
        values[i] = values[i] * scale + shift;
}

void msfl_pixels_preview(const void *samples, uint32_t bits, size_t n, double low, double high, uint8_t *out) {
    if (bits == 8) {
        memcpy(out, samples, n);
        return;
    }
    double scale = high > low ? 255 / (high - low) : 0;
    for (size_t i = 0; i < n; i++) {
        double v = (sample(samples, bits, i) - low) * scale + 0.5;
        out[i] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
    }
}

msfl_status msfl_set_prepare(const msfl_dataset *dataset, const void *samples, uint32_t bits,
                             const msfl_augment *augment, uint64_t augment_seed, float *pixels) {
    const msfl_dataset_info *info = &dataset->info;
    const msfl_intensity *m = &dataset->intensity;
    if (msfl_augment_changes(augment)) {
        msfl_status status = msfl_augment_check(augment);
        const size_t slice = dataset->image_samples / info->depth;
        for (uint32_t z = 0; z < info->depth && status == MSFL_OK; z++) {
            status = msfl_pixels_augment((const uint8_t *)samples + z * slice * (bits / 8), bits, info->height,
                                         info->width, info->channels, augment, augment_seed, z, pixels + z * slice);
        }
        if (status != MSFL_OK) return status;
        msfl_pixels_normalise_floats(pixels, dataset->image_samples, dataset->normalise, m->mean, m->deviation);
    } else {
        msfl_pixels_normalise(samples, bits, dataset->image_samples, dataset->normalise, m->mean, m->deviation, pixels);
    }
    if (dataset->normalise == MSFL_NORMALISE_NONE && dataset->high > dataset->low) {
        float low = (float)dataset->low, width = (float)(dataset->high - dataset->low);
        for (size_t i = 0; i < dataset->image_samples; i++)
            pixels[i] = low + width * pixels[i];
    }
    return MSFL_OK;
}

msfl_status msfl_dataset_pixels(const msfl_dataset *dataset, uint32_t image, const msfl_augment *augment,
                                uint64_t augment_seed, float *pixels) {
    const msfl_dataset_info *info = &dataset->info;
    if (image >= info->n_images) {
        return msfl_fail(MSFL_ERR_USAGE, "image %u was asked for; there are %u", image, info->n_images);
    }
    return msfl_set_prepare(dataset, msfl_set_samples(dataset, image), info->bits, augment, augment_seed, pixels);
}

msfl_status msfl_dataset_pixels_mask(const msfl_dataset *dataset, uint32_t image, const msfl_shift *shift,
                                     const msfl_augment *augment, uint64_t augment_seed, float *pixels,
                                     uint32_t *mask) {
    const msfl_dataset_info *info = &dataset->info;
    if (dataset->masks == NULL) {
        return msfl_fail(MSFL_ERR_DATA,
                         "%s has no masks, which a network that gives a class to every pixel learns from",
                         dataset->source);
    }
    msfl_status status = msfl_dataset_pixels_shifted(dataset, image, shift, augment, augment_seed, pixels);
    if (status != MSFL_OK) return status;
    const uint8_t *stored = msfl_dataset_mask(dataset, image);
    if (msfl_augment_changes(augment)) {
        const size_t slice = (size_t)info->height * info->width;
        for (uint32_t z = 0; z < info->depth; z++) {
            msfl_mask_augment(stored + z * slice, info->height, info->width, augment, augment_seed, mask + z * slice);
        }
    } else {
        for (size_t i = 0; i < msfl_set_pixels(dataset); i++)
            mask[i] = stored[i];
    }
    return MSFL_OK;
}

void msfl_dataset_preview(const msfl_dataset *dataset, uint32_t image, uint8_t *pixels) {
    msfl_pixels_preview(msfl_set_samples(dataset, image), dataset->info.bits, dataset->image_samples,
                        dataset->stored_min, dataset->stored_max, pixels);
}

uint32_t msfl_dataset_shown(const msfl_dataset_info *info, uint8_t *pixels) {
    if (info->shown == 0 && (info->channels == 1 || info->channels == 3)) return info->channels;
    const size_t n = (size_t)info->width * info->height, k = info->shown > 0 ? info->shown - 1 : 0;
    for (size_t i = 0; i < n; i++)
        pixels[i] = pixels[i * info->channels + k];
    return 1;
}

msfl_status msfl_image_load(const char *path, uint32_t height, uint32_t width, uint32_t channels,
                            msfl_normalise normalise, float *pixels, uint8_t *preview) {
    if (height == 0 || width == 0 || height > MSFL_IMAGE_SIDE_MAX || width > MSFL_IMAGE_SIDE_MAX ||
        (channels != 1 && channels != 3)) {
        return msfl_fail(MSFL_ERR_USAGE, "%u x %u pixels with %u channels were asked for", width, height, channels);
    }
    if (normalise == MSFL_NORMALISE_SET) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED,
                         "%s: normalisation by data set needs the data set; open it with msfl_dataset_open", path);
    }
    size_t n = (size_t)height * width * channels;
    msfl_image image = {0};
    void *samples = NULL;
    msfl_status status = msfl_image_read(path, &image);
    if (status != MSFL_OK) goto done;
    samples = msfl_alloc(n, image.bits / 8);
    status = samples == NULL ? MSFL_ERR_MEMORY : msfl_image_fit(&image, width, height, channels, image.bits, samples);
    if (status != MSFL_OK) goto done;
    msfl_pixels_normalise(samples, image.bits, n, normalise, 0, 1, pixels);
    if (preview != NULL) {
        double low = 65535, high = 0;
        for (size_t i = 0; i < n; i++) {
            uint32_t v = sample(samples, image.bits, i);
            if (v < low) low = v;
            if (v > high) high = v;
        }
        msfl_pixels_preview(samples, image.bits, n, low, high, preview);
    }
done:
    msfl_image_clear(&image);
    msfl_free(samples);
    return status;
}
