#include "image/nifti.h"

#include "base/error.h"
#include "image/fault.h"

#include <math.h>
#include <string.h>

enum { V1_BYTES = 348, V2_BYTES = 540, VOLUME_SIDE_MAX = 1 << 20 };

typedef struct fields {
    const uint8_t *bytes;
    bool big_endian;
} fields;

static uint64_t get(const fields *f, size_t at, size_t n) {
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)f->bytes[at + (f->big_endian ? n - 1 - i : i)] << (8 * i);
    return v;
}

static int16_t get_i16(const fields *f, size_t at) {
    return (int16_t)get(f, at, 2);
}

static double get_float(const fields *f, size_t at) {
    uint32_t bits = (uint32_t)get(f, at, 4);
    float v;
    memcpy(&v, &bits, sizeof v);
    return (double)v;
}

static double get_double(const fields *f, size_t at) {
    uint64_t bits = get(f, at, 8);
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}

/* Where the fields lie in either version. */
typedef struct layout {
    size_t datatype, dim, pixdim, offset, slope, units, qform, sform, quatern, srow, magic, cal_max, cal_min;
    bool wide; /* 64-bit integers and doubles in place of 16-bit integers and floats */
} layout;

static const layout v1 = {.datatype = 70,
                          .dim = 40,
                          .pixdim = 76,
                          .offset = 108,
                          .slope = 112,
                          .units = 123,
                          .cal_max = 124,
                          .cal_min = 128,
                          .qform = 252,
                          .sform = 254,
                          .quatern = 256,
                          .srow = 280,
                          .magic = 344};
static const layout v2 = {.datatype = 12,
                          .dim = 16,
                          .pixdim = 104,
                          .offset = 168,
                          .slope = 176,
                          .units = 500,
                          .cal_max = 192,
                          .cal_min = 200,
                          .qform = 344,
                          .sform = 348,
                          .quatern = 352,
                          .srow = 400,
                          .magic = 4,
                          .wide = true};

/* Version 0: not a NIfTI header. */
static uint32_t recognise(const uint8_t *bytes, size_t length, bool *big_endian) {
    for (int big = 0; big < 2 && length >= V1_BYTES; big++) {
        fields f = {bytes, big != 0};
        uint64_t size = get(&f, 0, 4);
        *big_endian = big != 0;
        if (size == V1_BYTES && (memcmp(bytes + v1.magic, "n+1", 4) == 0 || memcmp(bytes + v1.magic, "ni1", 4) == 0)) {
            return 1;
        }
        if (size == V2_BYTES && (memcmp(bytes + v2.magic, "n+2\0\r\n\032\n", 8) == 0 ||
                                 memcmp(bytes + v2.magic, "ni2\0\r\n\032\n", 8) == 0)) {
            return 2;
        }
    }
    return 0;
}

bool msfl_nifti_sniff(const uint8_t *bytes, size_t length) {
    bool big;
    return recognise(bytes, length, &big) != 0;
}

typedef struct type_row {
    int16_t code;
    uint16_t bits, channels;
    msfl_sample_kind kind;
    msfl_colour colour;
} type_row;

static const type_row types[] = {
    {2, 8, 1, MSFL_SAMPLES_UNSIGNED, MSFL_COLOUR_GREY},     {4, 16, 1, MSFL_SAMPLES_SIGNED, MSFL_COLOUR_GREY},
    {8, 32, 1, MSFL_SAMPLES_SIGNED, MSFL_COLOUR_GREY},      {16, 32, 1, MSFL_SAMPLES_FLOAT, MSFL_COLOUR_GREY},
    {32, 32, 2, MSFL_SAMPLES_FLOAT, MSFL_COLOUR_COMPLEX},   {64, 64, 1, MSFL_SAMPLES_FLOAT, MSFL_COLOUR_GREY},
    {128, 8, 3, MSFL_SAMPLES_UNSIGNED, MSFL_COLOUR_RGB},    {256, 8, 1, MSFL_SAMPLES_SIGNED, MSFL_COLOUR_GREY},
    {512, 16, 1, MSFL_SAMPLES_UNSIGNED, MSFL_COLOUR_GREY},  {768, 32, 1, MSFL_SAMPLES_UNSIGNED, MSFL_COLOUR_GREY},
    {1024, 64, 1, MSFL_SAMPLES_SIGNED, MSFL_COLOUR_GREY},   {1280, 64, 1, MSFL_SAMPLES_UNSIGNED, MSFL_COLOUR_GREY},
    {1792, 64, 2, MSFL_SAMPLES_FLOAT, MSFL_COLOUR_COMPLEX}, {2304, 8, 4, MSFL_SAMPLES_UNSIGNED, MSFL_COLOUR_RGBA},
};

static msfl_status read_type(const char *name, int16_t code, msfl_image *image) {
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (types[i].code != code) continue;
        image->bits = image->bits_stored = types[i].bits;
        image->channels = types[i].channels;
        image->kind = types[i].kind;
        image->colour = types[i].colour;
        return MSFL_OK;
    }
    return msfl_fault_fail(MSFL_FAULT_UNSUPPORTED_TYPE,
                           "%s: NIfTI samples of type code %d; known are integers of 8 to "
                           "64 bits, floats and complex numbers of 32 and 64, RGB and RGBA",
                           name, code);
}

static msfl_status read_dims(const char *name, const fields *f, const layout *l, msfl_nifti *out, msfl_image *image) {
    size_t step = l->wide ? 8 : 2;
    int64_t dims[8];
    uint64_t total = 1;
    for (size_t i = 0; i < 8; i++) {
        dims[i] = l->wide ? (int64_t)get(f, l->dim + 8 * i, 8) : get_i16(f, l->dim + step * i);
        double v = l->wide ? get_double(f, l->pixdim + 8 * i) : get_float(f, l->pixdim + 4 * i);
        if (i > 0) out->dims_step[i - 1] = isfinite(v) ? fabs(v) : 0;
    }
    if (dims[0] < 1 || dims[0] > 7) {
        return msfl_fault_fail(MSFL_FAULT_BAD_SIZE, "%s: a NIfTI image of %lld dimensions", name, (long long)dims[0]);
    }
    out->n_dims = (uint32_t)dims[0];
    for (size_t i = 1; i < 8; i++) {
        if (i > (size_t)dims[0]) dims[i] = 1;
        if (dims[i] < 1) {
            return msfl_fault_fail(MSFL_FAULT_BAD_SIZE, "%s: a NIfTI image whose side %zu is %lld", name, i,
                                   (long long)dims[i]);
        }
        if ((i <= 3 && dims[i] > VOLUME_SIDE_MAX) || (uint64_t)dims[i] > MSFL_VOLUME_BYTES_MAX / total) {
            return msfl_fault_fail(MSFL_FAULT_TOO_LARGE, "%s: a NIfTI image of more than %llu MiB", name,
                                   (unsigned long long)(MSFL_VOLUME_BYTES_MAX >> 20));
        }
        total *= (uint64_t)dims[i];
        out->dims[i - 1] = (uint32_t)dims[i];
    }
    if (total > MSFL_VOLUME_BYTES_MAX / (image->channels * (image->bits / 8))) {
        return msfl_fault_fail(MSFL_FAULT_TOO_LARGE, "%s: a NIfTI image of more than %llu MiB", name,
                               (unsigned long long)(MSFL_VOLUME_BYTES_MAX >> 20));
    }
    image->width = out->dims[0];
    image->height = out->dims[1];
    image->depth = out->dims[2];
    image->times = out->dims[3] * out->dims[4] * out->dims[5] * out->dims[6];
    return MSFL_OK;
}

static void from_qform(const fields *f, const layout *l, msfl_image *image) {
    double q[6], qfac = l->wide ? get_double(f, l->pixdim) : get_float(f, l->pixdim);
    for (size_t i = 0; i < 6; i++)
        q[i] = l->wide ? get_double(f, l->quatern + 8 * i) : get_float(f, l->quatern + 4 * i);
    /* nifti1.h, "quaternion representation of rotation matrix (method 2)" */
    double b = q[0], c = q[1], d = q[2], rest = 1 - (b * b + c * c + d * d), a = 0;
    if (rest > 1e-7) {
        a = sqrt(rest);
    } else {
        double length = sqrt(b * b + c * c + d * d);
        b /= length;
        c /= length;
        d /= length;
    }
    const double r[3][3] = {{a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)},
                            {2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)},
                            {2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b}};
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 3; j++)
            image->affine[i][j] = r[i][j] * image->spacing[j] * (j == 2 && qfac < 0 ? -1 : 1);
        image->affine[i][3] = q[3 + i];
    }
}

static void read_affine(const fields *f, const layout *l, msfl_nifti *out, msfl_image *image) {
    uint64_t units = get(f, l->units, l->wide ? 4 : 1) & 7;
    double mm = units == 1 ? 1000 : units == 3 ? 0.001 : 1;
    for (size_t i = 0; i < 3; i++)
        image->spacing[i] = out->dims_step[i];
    out->qform_code = (int16_t)get(f, l->qform, l->wide ? 4 : 2);
    out->sform_code = (int16_t)get(f, l->sform, l->wide ? 4 : 2);
    if (out->sform_code > 0) {
        image->affine_source = MSFL_AFFINE_SFORM;
        for (size_t i = 0; i < 12; i++)
            image->affine[i / 4][i % 4] = l->wide ? get_double(f, l->srow + 8 * i) : get_float(f, l->srow + 4 * i);
    } else if (out->qform_code > 0) {
        image->affine_source = MSFL_AFFINE_QFORM;
        from_qform(f, l, image);
    } else {
        image->affine_source = MSFL_AFFINE_ASSUMED;
        const uint32_t sides[3] = {image->width, image->height, image->depth};
        for (size_t i = 0; i < 3; i++) {
            double step = (i == 0 ? -1 : 1) * image->spacing[i];
            image->affine[i][i] = step;
            image->affine[i][3] = -step * (sides[i] - 1) / 2.0;
        }
    }
    const uint32_t sides[3] = {image->width, image->height, image->depth};
    for (size_t i = 0; i < 3; i++) {
        double length = 0;
        for (size_t k = 0; k < 3; k++)
            length += image->affine[k][i] * image->affine[k][i];
        /* An sform says how far apart voxels lie, whatever pixdim does. A column of zeros says nothing. */
        if (length > 0 && isfinite(length)) {
            image->spacing[i] = sqrt(length);
        } else if (sides[i] > 1) {
            image->affine_source = MSFL_AFFINE_NONE;
        }
    }
    for (size_t i = 0; i < 3; i++) {
        image->spacing[i] *= mm;
        for (size_t j = 0; j < 4; j++) {
            image->affine[i][j] *= mm;
            if (!isfinite(image->affine[i][j])) image->affine_source = MSFL_AFFINE_NONE;
        }
    }
}

msfl_status msfl_nifti_header(const char *name, const uint8_t *bytes, size_t length, msfl_nifti *out,
                              msfl_image *image) {
    msfl_nifti n = {0};
    msfl_image i = {.rescale = {1, 0}};
    n.version = recognise(bytes, length, &n.big_endian);
    if (n.version == 0) return msfl_fault_fail(MSFL_FAULT_UNKNOWN_FORMAT, "%s: not a NIfTI file", name);
    const layout *l = n.version == 1 ? &v1 : &v2;
    if (length < (n.version == 1 ? (size_t)V1_BYTES : V2_BYTES)) {
        return msfl_fault_fail(MSFL_FAULT_TRUNCATED, "%s: the NIfTI header is cut short", name);
    }
    fields f = {bytes, n.big_endian};
    n.pair = bytes[l->magic + 1] == 'i';
    n.datatype = get_i16(&f, l->datatype);
    msfl_status status = read_type(name, n.datatype, &i);
    if (status == MSFL_OK) status = read_dims(name, &f, l, &n, &i);
    if (status != MSFL_OK) return status;
    read_affine(&f, l, &n, &i);

    double offset = l->wide ? (double)(int64_t)get(&f, l->offset, 8) : get_float(&f, l->offset);
    uint64_t least = n.pair ? 0 : n.version == 1 ? V1_BYTES : V2_BYTES;
    /* 0 stands for "right after the header" and its four extension bytes. */
    if (offset == 0 && !n.pair) offset = (double)least + 4;
    if (!(offset >= (double)least && offset <= 0x1p40)) {
        return msfl_fault_fail(MSFL_FAULT_DAMAGED, "%s: the samples begin inside the NIfTI header", name);
    }
    n.data_offset = (uint64_t)offset;

    double slope = l->wide ? get_double(&f, l->slope) : get_float(&f, l->slope);
    double intercept = l->wide ? get_double(&f, l->slope + 8) : get_float(&f, l->slope + 4);
    /* A slope of 0 means: no rescale. Colours are not rescaled. */
    if (slope != 0 && isfinite(slope) && isfinite(intercept) && i.channels < 3) {
        i.rescale = (msfl_rescale){slope, intercept};
    }
    double top = l->wide ? get_double(&f, l->cal_max) : get_float(&f, l->cal_max);
    double bottom = l->wide ? get_double(&f, l->cal_min) : get_float(&f, l->cal_min);
    if (isfinite(top) && isfinite(bottom) && top > bottom && i.channels == 1) {
        i.window = (msfl_window){MSFL_WINDOW_LINEAR_EXACT, (top + bottom) / 2, top - bottom};
    }
    *out = n;
    *image = i;
    return MSFL_OK;
}
