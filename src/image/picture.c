#include "image/picture.h"

#include "base/error.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

static bool is_plain_byte(const msfl_image *i) {
    return i->bits == 8 && i->kind == MSFL_SAMPLES_UNSIGNED && i->rescales == NULL && i->rescale.slope == 1 &&
           i->rescale.intercept == 0 && i->window.function == MSFL_WINDOW_NONE && i->modality.n == 0 && i->voi.n == 0;
}

static bool is_grey(const msfl_image *i) {
    return i->colour == MSFL_COLOUR_GREY || i->colour == MSFL_COLOUR_GREY_INVERTED || i->colour == MSFL_COLOUR_COMPLEX;
}

void msfl_image_picture_shape(const msfl_image *image, msfl_image_header *out) {
    uint32_t bits = image->bits == 8 ? 8 : 16;
    if (image->colour == MSFL_COLOUR_PALETTE) {
        bits = 8;
        for (int i = 0; i < 3; i++) {
            if (image->palette[i].bits > 8) bits = 16;
        }
    } else if (is_grey(image)) {
        bits = is_plain_byte(image) && image->colour != MSFL_COLOUR_COMPLEX ? 8 : 16;
    }
    out->width = image->width;
    out->height = image->height;
    out->channels = is_grey(image) ? 1 : 3;
    out->bits = bits;
}

void msfl_image_rgb(const msfl_image *image, size_t pixel, double rgb[3]) {
    if (image->colour == MSFL_COLOUR_PALETTE) {
        double index = msfl_image_sample(image, pixel);
        for (int i = 0; i < 3; i++)
            rgb[i] = msfl_table_entry(&image->palette[i], index);
        return;
    }
    double v[4] = {0, 0, 0, 0};
    for (size_t k = 0; k < image->channels && k < 4; k++)
        v[k] = msfl_image_sample(image, pixel * image->channels + k);
    double top = ldexp(1, (int)image->bits_stored) - 1, half = ldexp(1, (int)image->bits_stored - 1);
    if (image->colour == MSFL_COLOUR_YBR || image->colour == MSFL_COLOUR_YBR_PARTIAL) {
        /* PS3.3 C.7.6.3.1.2: Rec. 601 in full or in studio range. */
        bool partial = image->colour == MSFL_COLOUR_YBR_PARTIAL;
        double scale = (top + 1) / 256;
        double y = partial ? (v[0] - 16 * scale) * 255 / 219 : v[0], gain = partial ? 255.0 / 224 : 1;
        double b = (v[1] - half) * gain, r = (v[2] - half) * gain;
        v[0] = y + 1.402 * r;
        v[1] = y - 0.344136 * b - 0.714136 * r;
        v[2] = y + 1.772 * b;
        for (int i = 0; i < 3; i++)
            v[i] = v[i] < 0 ? 0 : v[i] > top ? top : v[i];
    }
    double alpha = image->colour == MSFL_COLOUR_RGBA ? v[3] / top : 1;
    for (int i = 0; i < 3; i++)
        rgb[i] = v[i] * alpha;
}

static void put(msfl_image *out, size_t at, double share) {
    double top = out->bits == 8 ? 255 : 65535, v = share * top + 0.5;
    uint32_t whole = v > 0 ? v > top ? (uint32_t)top : (uint32_t)v : 0;
    if (out->bits == 8) {
        ((uint8_t *)out->samples)[at] = (uint8_t)whole;
    } else {
        ((uint16_t *)out->samples)[at] = (uint16_t)whole;
    }
}

/* PS3.3 C.11.2.1.2 and C.11.2.1.3, to 0..1. */
static double windowed(const msfl_window *w, double v) {
    switch (w->function) {
    case MSFL_WINDOW_SIGMOID:
        return 1 / (1 + exp(-4 * (v - w->centre) / w->width));
    case MSFL_WINDOW_LINEAR:
        return w->width > 1 ? (v - (w->centre - 0.5)) / (w->width - 1) + 0.5 : v > w->centre - 0.5;
    default:
        return (v - w->centre) / w->width + 0.5;
    }
}

static double grey_value(const msfl_image *image, uint32_t frame, size_t pixel) {
    double v = image->colour == MSFL_COLOUR_COMPLEX
                   ? hypot(msfl_image_sample(image, 2 * pixel), msfl_image_sample(image, 2 * pixel + 1))
                   : msfl_image_sample(image, pixel);
    return msfl_image_rescaled(image, frame, v);
}

/* What maps to black and white without a window. */
static void range_of(const msfl_image *image, double *low, double *high) {
    *low = INFINITY;
    *high = -INFINITY;
    if (image->kind != MSFL_SAMPLES_FLOAT && image->bits_stored <= 16 && image->rescales == NULL) {
        double top = ldexp(1, (int)image->bits_stored), shift = image->kind == MSFL_SAMPLES_SIGNED ? top / 2 : 0;
        double a = msfl_image_rescaled(image, 0, -shift), b = msfl_image_rescaled(image, 0, top - 1 - shift);
        *low = a < b ? a : b;
        *high = a < b ? b : a;
        if (image->modality.n > 0) {
            *low = 0;
            *high = ldexp(1, (int)image->modality.bits) - 1;
        }
        return;
    }
    size_t pixels = (size_t)image->width * image->height;
    for (uint32_t f = 0; f < msfl_image_frames(image); f++) {
        for (size_t i = 0; i < pixels; i++) {
            double v = grey_value(image, f, f * pixels + i);
            if (!isfinite(v)) continue;
            if (v < *low) *low = v;
            if (v > *high) *high = v;
        }
    }
}

static void picture_of_grey(const msfl_image *image, uint32_t frame, msfl_image *out) {
    size_t pixels = (size_t)image->width * image->height, first = frame * pixels;
    bool inverted = image->colour == MSFL_COLOUR_GREY_INVERTED, ranged = false;
    double low = 0, high = 1, top = ldexp(1, (int)image->bits_stored) - 1;
    if (out->bits == 16 && image->voi.n == 0 && image->window.function == MSFL_WINDOW_NONE) {
        ranged = true;
        range_of(image, &low, &high);
    }
    for (size_t i = 0; i < pixels; i++) {
        double share;
        if (out->bits == 8) {
            share = msfl_image_sample(image, first + i) / top;
        } else {
            double v = grey_value(image, frame, first + i);
            share = ranged             ? high > low ? (v - low) / (high - low) : 0
                    : image->voi.n > 0 ? msfl_table_entry(&image->voi, v) / (ldexp(1, (int)image->voi.bits) - 1)
                                       : windowed(&image->window, v);
        }
        share = share > 0 ? share < 1 ? share : 1 : 0;
        put(out, i, inverted ? 1 - share : share);
    }
}

msfl_status msfl_image_picture(const msfl_image *image, uint32_t frame, msfl_image *out) {
    msfl_image_header h;
    msfl_image_picture_shape(image, &h);
    msfl_status status = msfl_image_check_size("a frame", h.width, h.height);
    if (status != MSFL_OK) return status;
    if (frame >= msfl_image_frames(image)) {
        return msfl_fail(MSFL_ERR_USAGE, "frame %u was asked for; there are %u", frame, msfl_image_frames(image));
    }
    msfl_image picture;
    status = msfl_image_new(h.width, h.height, h.channels, h.bits, &picture);
    if (status != MSFL_OK) return status;
    if (is_grey(image)) {
        picture_of_grey(image, frame, &picture);
    } else {
        size_t pixels = (size_t)h.width * h.height;
        uint32_t bits = image->colour == MSFL_COLOUR_PALETTE ? 0 : image->bits_stored;
        for (size_t i = 0; i < pixels; i++) {
            double rgb[3];
            msfl_image_rgb(image, frame * pixels + i, rgb);
            for (size_t k = 0; k < 3; k++) {
                double top = ldexp(1, (int)(bits != 0 ? bits : image->palette[k].bits)) - 1;
                put(&picture, 3 * i + k, rgb[k] / top);
            }
        }
    }
    *out = picture;
    return MSFL_OK;
}

void msfl_image_match_axes(const double affine[3][4], uint32_t axis[3], bool reversed[3]) {
    bool taken[3] = {false, false, false};
    for (uint32_t j = 0; j < 3; j++) {
        size_t best = 3;
        for (size_t i = 0; i < 3; i++) {
            if (taken[i]) continue;
            if (best == 3 || fabs(affine[i][j]) > fabs(affine[best][j])) best = i;
        }
        taken[best] = true;
        axis[best] = j;
        reversed[best] = affine[best][j] < 0;
    }
}

static bool match_axes(const msfl_image *image, uint32_t axis[3], bool reversed[3]) {
    if (image->affine_source == MSFL_AFFINE_NONE) return false;
    msfl_image_match_axes(image->affine, axis, reversed);
    return true;
}

void msfl_image_axes(const msfl_image *image, char letters[4]) {
    uint32_t axis[3];
    bool reversed[3];
    memset(letters, 0, 4);
    if (!match_axes(image, axis, reversed)) return;
    for (size_t i = 0; i < 3; i++)
        letters[axis[i]] = reversed[i] ? "LPI"[i] : "RAS"[i];
}

msfl_status msfl_image_to_ras(msfl_image *image) {
    uint32_t axis[3];
    bool reversed[3];
    if (!match_axes(image, axis, reversed)) return MSFL_OK;
    const uint32_t sides[3] = {image->width, image->height, image->depth};
    size_t bytes = image->channels * (image->bits / 8);
    const size_t strides[3] = {bytes, bytes * image->width, bytes * image->width * image->height};
    msfl_image turned = *image;
    turned.width = sides[axis[0]];
    turned.height = sides[axis[1]];
    turned.depth = sides[axis[2]];
    if (image->rescales != NULL && (axis[2] != 2 || reversed[2])) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "slices that are rescaled each in its own way cannot be turned");
    }
    turned.samples = msfl_alloc((size_t)msfl_image_bytes(image), 1);
    if (turned.samples == NULL) return MSFL_NO_MEMORY;
    uint8_t *to = turned.samples;
    size_t volume = strides[2] * image->depth;
    for (uint32_t t = 0; t < image->times; t++) {
        for (uint32_t z = 0; z < turned.depth; z++) {
            for (uint32_t y = 0; y < turned.height; y++) {
                for (uint32_t x = 0; x < turned.width; x++, to += bytes) {
                    const uint32_t at[3] = {x, y, z};
                    const uint8_t *from = (const uint8_t *)image->samples + t * volume;
                    for (size_t i = 0; i < 3; i++)
                        from += strides[axis[i]] * (reversed[i] ? sides[axis[i]] - 1 - at[i] : at[i]);
                    memcpy(to, from, bytes);
                }
            }
        }
    }
    for (size_t i = 0; i < 3; i++) {
        turned.spacing[i] = image->spacing[axis[i]];
        for (size_t r = 0; r < 3; r++) {
            double column = image->affine[r][axis[i]];
            turned.affine[r][i] = reversed[i] ? -column : column;
            if (reversed[i]) turned.affine[r][3] += column * (sides[axis[i]] - 1);
        }
    }
    msfl_free(image->samples);
    *image = turned;
    return MSFL_OK;
}
