#include "medsecurefl/inspect.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "image/decode.h"
#include "image/fault.h"
#include "image/inspect_array.h"
#include "image/picture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Sums of 4096 samples first, then of those: at 2^31 samples the rounding stays far below what is printed. */
enum { CHUNK = 4096 };

static const char *colour_name(msfl_colour colour) {
    static const char *const names[] = {"grey", "grey inverted", "RGB", "RGBA", "YBR", "YBR", "palette", "complex"};
    return names[colour];
}

static void add_value(msfl_figures *f, double v, double *sum) {
    if (!isfinite(v)) {
        f->n_nonfinite++;
        return;
    }
    if (f->n == 0 || v < f->minimum) f->minimum = v;
    if (f->n == 0 || v > f->maximum) f->maximum = v;
    f->n++;
    *sum += v;
}

static void measure(const msfl_image *image, msfl_inspection *out) {
    size_t frame_samples = msfl_image_frame_samples(image);
    double stored_sum = 0, rescaled_sum = 0;
    for (uint32_t f = 0; f < msfl_image_frames(image); f++) {
        for (size_t begin = 0; begin < frame_samples; begin += CHUNK) {
            size_t end = frame_samples - begin < CHUNK ? frame_samples : begin + CHUNK;
            double stored = 0, rescaled = 0;
            for (size_t i = begin; i < end; i++) {
                double v = msfl_image_sample(image, f * frame_samples + i);
                add_value(&out->stored, v, &stored);
                add_value(&out->rescaled, isfinite(v) ? msfl_image_rescaled(image, f, v) : v, &rescaled);
            }
            stored_sum += stored;
            rescaled_sum += rescaled;
        }
    }
    if (out->stored.n > 0) out->stored.mean = stored_sum / (double)out->stored.n;
    if (out->rescaled.n > 0) out->rescaled.mean = rescaled_sum / (double)out->rescaled.n;
}

static void measure_rgb(const msfl_image *image, msfl_inspection *out) {
    if (image->colour == MSFL_COLOUR_GREY || image->colour == MSFL_COLOUR_GREY_INVERTED ||
        image->colour == MSFL_COLOUR_COMPLEX) {
        return;
    }
    size_t pixels = (size_t)(msfl_image_bytes(image) / (image->bits / 8) / image->channels);
    for (size_t begin = 0; begin < pixels; begin += CHUNK) {
        size_t end = pixels - begin < CHUNK ? pixels : begin + CHUNK;
        double sums[3] = {0}, rgb[3];
        for (size_t i = begin; i < end; i++) {
            msfl_image_rgb(image, i, rgb);
            for (size_t k = 0; k < 3; k++)
                sums[k] += rgb[k];
        }
        for (size_t k = 0; k < 3; k++)
            out->rgb_mean[k] += sums[k] / (double)pixels;
    }
    out->has_rgb_mean = true;
}

static void describe(const msfl_image *image, const msfl_image_facts *facts, msfl_inspection *out) {
    static const char *const sources[] = {"", "dicom", "sform", "qform", "assumed"};
    out->n_shape = 4;
    out->shape[0] = msfl_image_frames(image);
    out->shape[1] = image->height;
    out->shape[2] = image->width;
    out->shape[3] = image->channels;
    out->times = image->times;
    for (size_t i = 0; i < 3; i++)
        out->spacing_mm[i] = image->spacing[2 - i];
    out->dtype = msfl_image_dtype(image);
    out->bits_stored = image->bits_stored;
    out->colour = colour_name(image->colour);
    out->has_rescale = image->rescales == NULL && image->modality.n == 0;
    out->slope = out->has_rescale ? image->rescale.slope : 0;
    out->intercept = out->has_rescale ? image->rescale.intercept : 0;
    out->has_window = image->window.function != MSFL_WINDOW_NONE;
    out->window_centre = image->window.centre;
    out->window_width = image->window.width;
    out->affine_from = sources[image->affine_source];
    if (image->affine_source != MSFL_AFFINE_NONE) memcpy(out->affine, image->affine, sizeof out->affine);
    msfl_image_axes(image, out->axes);
    if (facts->format == MSFL_FORMAT_NIFTI) {
        out->n_dims = facts->nifti.n_dims;
        for (size_t i = 0; i < facts->nifti.n_dims; i++) {
            out->dims[i] = facts->nifti.dims[i];
            out->dims_step[i] = facts->nifti.dims_step[i];
        }
    }
    memcpy(out->transfer_syntax, facts->dicom.transfer_syntax, sizeof out->transfer_syntax);
    memcpy(out->modality, facts->dicom.modality, sizeof out->modality);
}

_Static_assert((int)MSFL_INSPECT_TEXT_BYTES == (int)MSFL_DICOM_TEXT_BYTES, "one text fits the other");

static msfl_status inspect_image(const char *path, msfl_inspection *out) {
    msfl_image_facts facts;
    msfl_image image = {0};
    msfl_status status = msfl_image_open(path, false, &facts, &image);
    if (status != MSFL_OK) return status;
    out->format = msfl_image_format_name(facts.format);
    describe(&image, &facts, out);
    measure(&image, out);
    measure_rgb(&image, out);
    msfl_hash h;
    uint8_t digest[MSFL_HASH_BYTES];
    msfl_hash_init(&h, "msfl.image.samples");
    msfl_hash_add(&h, image.samples, (size_t)msfl_image_bytes(&image));
    msfl_hash_final(&h, digest);
    msfl_hex(digest, sizeof digest, out->digest);
    msfl_image_clear(&image);
    return MSFL_OK;
}

static msfl_image_format peek(const char *path) {
    uint8_t head[MSFL_NIFTI_HEADER_BYTES];
    FILE *file;
    if (msfl_file_open(path, &file) != MSFL_OK) return MSFL_FORMAT_NONE; /* why, is said when it is read */
    size_t n = fread(head, 1, sizeof head, file);
    fclose(file);
    return msfl_image_sniff(head, n);
}

msfl_status msfl_inspect_file(const char *path, msfl_inspection *out) {
    *out = (msfl_inspection){.format = "", .dtype = "", .colour = "", .affine_from = "", .times = 1};
    msfl_fault_forget();
    msfl_status status = msfl_crypto_init();
    msfl_image_format format = peek(path);
    if (status == MSFL_OK && (format == MSFL_FORMAT_NPY || format == MSFL_FORMAT_NPZ)) {
        status = msfl_inspect_array(path, format, out);
    } else if (status == MSFL_OK) {
        status = inspect_image(path, out);
    }
    if (status != MSFL_OK) {
        *out = (msfl_inspection){.format = msfl_image_format_name(format),
                                 .error = msfl_fault_name(status),
                                 .dtype = "",
                                 .colour = "",
                                 .affine_from = ""};
    }
    return status;
}
