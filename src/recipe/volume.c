#include "recipe/volume.h"

#include "base/error.h"
#include "base/mem.h"
#include "image/picture.h"

#include <math.h>
#include <string.h>

void msfl_volume_clear(msfl_volume *v) {
    msfl_free(v->values);
    *v = (msfl_volume){0};
}

size_t msfl_volume_count(const msfl_volume *v) {
    return (size_t)v->sides[0] * v->sides[1] * v->sides[2];
}

msfl_status msfl_volume_new(const uint32_t sides[3], const msfl_volume *like, msfl_volume *out) {
    uint64_t bytes = sizeof(float);
    for (int i = 0; i < 3; i++) {
        if (sides[i] == 0 || bytes > MSFL_VOLUME_BYTES_MAX / sides[i]) {
            return msfl_fail(MSFL_ERR_LIMIT, "a volume of %u x %u x %u values; at most %llu MiB are accepted", sides[0],
                             sides[1], sides[2], (unsigned long long)(MSFL_VOLUME_BYTES_MAX >> 20));
        }
        bytes *= sides[i];
    }
    msfl_volume v = {0};
    if (like != NULL) v = *like;
    v.values = msfl_alloc((size_t)bytes, 1);
    if (v.values == NULL) return MSFL_NO_MEMORY;
    memcpy(v.sides, sides, sizeof v.sides);
    *out = v;
    return MSFL_OK;
}

static msfl_status check_values(const char *name, const msfl_volume *v, bool is_mask) {
    size_t n = msfl_volume_count(v);
    for (size_t i = 0; i < n; i++) {
        float x = v->values[i];
        if (!isfinite(x)) return msfl_fail(MSFL_ERR_NUMERIC, "%s: a value that is not a finite number", name);
        if (is_mask && !(x >= 0 && x <= 255 && x == floorf(x))) {
            return msfl_fail(MSFL_ERR_DATA,
                             "%s: a mask holds whole numbers of 0 to 255, and this one does not; is it an image?",
                             name);
        }
    }
    return MSFL_OK;
}

/* What MONOCHROME1 is mirrored in: the sum of the ends of what the stored bits can express. */
static msfl_status mirror_of(const char *name, const msfl_image *image, double *mirror) {
    *mirror = 0;
    if (image->colour != MSFL_COLOUR_GREY_INVERTED) return MSFL_OK;
    if (image->kind == MSFL_SAMPLES_FLOAT || image->bits_stored > 16 || image->rescales != NULL) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED,
                         "%s: MONOCHROME1 with values that fill no known range: say 'values: display' in the recipe",
                         name);
    }
    double top = ldexp(1, (int)image->bits_stored), shift = image->kind == MSFL_SAMPLES_SIGNED ? top / 2 : 0;
    *mirror = msfl_image_rescaled(image, 0, -shift) + msfl_image_rescaled(image, 0, top - 1 - shift);
    return MSFL_OK;
}

/* A label as it is meant. Floats that were written as integers with a slope, as nibabel does where it is told a type,
 * miss their whole numbers by up to half of one. */
static double label_of(const msfl_image *image, uint32_t frame, size_t at) {
    const msfl_rescale *r = image->rescales != NULL ? &image->rescales[frame] : &image->rescale;
    const double v = msfl_image_rescaled(image, frame, msfl_image_sample(image, at)), whole = rint(v);
    if (image->kind == MSFL_SAMPLES_FLOAT || image->modality.n > 0 || fabs(r->slope) >= 1) return v;
    const double slack = fabs(r->slope) / 2 < 0.1 ? fabs(r->slope) / 2 : 0.1;
    return fabs(v - whole) <= slack + 1e-6 ? whole : v;
}

static double luma(const double rgb[3]) {
    return 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
}

static msfl_status take_measured(const char *name, const msfl_image *image, uint32_t frame, bool is_label, int colour,
                                 float *out) {
    size_t pixels = (size_t)image->width * image->height;
    bool grey = image->colour == MSFL_COLOUR_GREY || image->colour == MSFL_COLOUR_GREY_INVERTED;
    double mirror = 0;
    msfl_status status = is_label ? MSFL_OK : mirror_of(name, image, &mirror);
    if (status != MSFL_OK) return status;
    for (size_t i = 0; i < pixels; i++) {
        double v;
        size_t at = frame * pixels + i;
        if (grey) {
            v = is_label ? label_of(image, frame, at) : msfl_image_rescaled(image, frame, msfl_image_sample(image, at));
            if (image->colour == MSFL_COLOUR_GREY_INVERTED && !is_label) v = mirror - v;
        } else if (image->colour == MSFL_COLOUR_COMPLEX) {
            v = hypot(msfl_image_sample(image, 2 * at), msfl_image_sample(image, 2 * at + 1));
            v = msfl_image_rescaled(image, frame, v);
        } else {
            double rgb[3];
            msfl_image_rgb(image, at, rgb);
            v = colour < 0 ? luma(rgb) : rgb[colour];
        }
        out[i] = (float)v;
    }
    return MSFL_OK;
}

static msfl_status take_display(const msfl_image *image, uint32_t frame, int colour, float *out) {
    msfl_image picture;
    msfl_status status = msfl_image_picture(image, frame, &picture);
    if (status != MSFL_OK) return status;
    size_t pixels = (size_t)picture.width * picture.height;
    double top = picture.bits == 8 ? 255 : 65535;
    for (size_t i = 0; i < pixels; i++) {
        double rgb[3];
        for (size_t k = 0; k < 3; k++)
            rgb[k] = msfl_image_sample(&picture, i * picture.channels + (picture.channels == 3 ? k : 0)) / top;
        out[i] = (float)(picture.channels == 1 ? rgb[0] : colour < 0 ? luma(rgb) : rgb[colour]);
    }
    msfl_image_clear(&picture);
    return MSFL_OK;
}

msfl_status msfl_volume_of(const char *name, const msfl_image *image, msfl_values values, int colour, bool middle_only,
                           msfl_volume *out) {
    msfl_volume v = {.placed = image->affine_source != MSFL_AFFINE_NONE,
                     .assumed = image->affine_source == MSFL_AFFINE_ASSUMED};
    const uint32_t sides[3] = {image->width, image->height, middle_only ? 1 : image->depth};
    memcpy(v.spacing, image->spacing, sizeof v.spacing);
    memcpy(v.affine, image->affine, sizeof v.affine);
    msfl_status status = msfl_volume_new(sides, &v, &v);
    if (status != MSFL_OK || v.values == NULL) return status;
    size_t pixels = (size_t)sides[0] * sides[1];
    for (uint32_t z = 0; z < sides[2] && status == MSFL_OK; z++) {
        uint32_t frame = middle_only ? image->depth / 2 : z;
        float *slice = v.values + z * pixels;
        status = values == MSFL_VALUES_DISPLAY
                     ? take_display(image, frame, colour, slice)
                     : take_measured(name, image, frame, values == MSFL_VALUES_LABELS, colour, slice);
    }
    if (status == MSFL_OK) status = check_values(name, &v, values == MSFL_VALUES_LABELS);
    if (status != MSFL_OK) {
        msfl_volume_clear(&v);
        return status;
    }
    *out = v;
    return MSFL_OK;
}

msfl_status msfl_volume_orient(const char *name, msfl_volume *v, const char axes[4]) {
    if (!v->placed) {
        return msfl_fail(MSFL_ERR_DATA, "%s: it is not known how it lies in space, so it cannot be turned to %s", name,
                         axes);
    }
    uint32_t of_world[3] = {0, 1, 2}, from[3] = {0, 1, 2};
    bool against[3] = {false, false, false}, reversed[3] = {false, false, false};
    msfl_image_match_axes(v->affine, of_world, against);
    for (int i = 0; i < 3; i++) {
        size_t world = axes[i] == 'R' || axes[i] == 'L' ? 0 : axes[i] == 'A' || axes[i] == 'P' ? 1 : 2;
        from[i] = of_world[world];
        reversed[i] = against[world] != (axes[i] == "LPI"[world]);
    }
    const size_t strides[3] = {1, v->sides[0], (size_t)v->sides[0] * v->sides[1]};
    const uint32_t sides[3] = {v->sides[from[0]], v->sides[from[1]], v->sides[from[2]]};
    msfl_volume turned = {0};
    msfl_status status = msfl_volume_new(sides, v, &turned);
    if (status != MSFL_OK || turned.values == NULL) return status;
    ptrdiff_t step[3];
    size_t first = 0;
    for (int i = 0; i < 3; i++) {
        step[i] = reversed[i] ? -(ptrdiff_t)strides[from[i]] : (ptrdiff_t)strides[from[i]];
        if (reversed[i]) first += strides[from[i]] * (sides[i] - 1);
        turned.spacing[i] = v->spacing[from[i]];
    }
    float *to = turned.values;
    for (uint32_t z = 0; z < sides[2]; z++) {
        for (uint32_t y = 0; y < sides[1]; y++) {
            const float *at = v->values + first + z * step[2] + y * step[1];
            for (uint32_t x = 0; x < sides[0]; x++, at += step[0])
                *to++ = *at;
        }
    }
    for (int r = 0; r < 3; r++) {
        turned.affine[r][3] = v->affine[r][3];
        for (int i = 0; i < 3; i++) {
            double column = v->affine[r][from[i]];
            turned.affine[r][i] = reversed[i] ? -column : column;
            if (reversed[i]) turned.affine[r][3] += column * (sides[i] - 1);
        }
    }
    msfl_free(v->values);
    *v = turned;
    return MSFL_OK;
}
