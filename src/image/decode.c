#include "image/decode.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "image/fault.h"
#include "image/jpeg.h"
#include "image/picture.h"
#include "image/png.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* Most headers lie within this; files with more in front (colour profiles, thumbnails) are read whole. */
enum { HEAD_BYTES = 16 << 10 };

msfl_image_format msfl_image_sniff(const uint8_t *bytes, size_t length) {
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    static const uint8_t npy[6] = {0x93, 'N', 'U', 'M', 'P', 'Y'};
    if (length >= sizeof png && memcmp(bytes, png, sizeof png) == 0) return MSFL_FORMAT_PNG;
    if (length >= 3 && bytes[0] == 0xff && bytes[1] == 0xd8 && bytes[2] == 0xff) return MSFL_FORMAT_JPEG;
    if (length >= sizeof npy && memcmp(bytes, npy, sizeof npy) == 0) return MSFL_FORMAT_NPY;
    if (length >= 4 && memcmp(bytes, "PK\3\4", 4) == 0) return MSFL_FORMAT_NPZ;
    if (length >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b) return MSFL_FORMAT_NIFTI;
    if (msfl_nifti_sniff(bytes, length)) return MSFL_FORMAT_NIFTI;
    return msfl_dicom_sniff(bytes, length) ? MSFL_FORMAT_DICOM : MSFL_FORMAT_NONE;
}

static bool ends_in(const char *name, const char *ending) {
    size_t n = strlen(name), m = strlen(ending);
    return n >= m && strcasecmp(name + n - m, ending) == 0;
}

static bool has_dicom_name(const char *name) {
    return ends_in(name, ".dcm") || ends_in(name, ".dicom") || ends_in(name, ".ima");
}

static bool has_nifti_name(const char *name) {
    return ends_in(name, ".nii") || ends_in(name, ".nii.gz");
}

bool msfl_image_has_picture_name(const char *name) {
    static const char *const endings[] = {".png", ".jpg", ".jpeg", ".jpe", ".jfif"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        if (ends_in(name, endings[i])) return true;
    }
    return has_dicom_name(name) || has_nifti_name(name);
}

bool msfl_image_is_dicom_file(const char *path) {
    uint8_t head[132];
    FILE *file;
    if (msfl_file_open(path, &file) != MSFL_OK) return false;
    size_t n = fread(head, 1, sizeof head, file);
    fclose(file);
    return n == sizeof head && memcmp(head + 128, "DICM", 4) == 0;
}

static msfl_status not_a_picture(const char *path, size_t length) {
    if (length == 0) return msfl_fault_fail(MSFL_FAULT_EMPTY, "%s: an empty file", path);
    return msfl_fault_fail(MSFL_FAULT_UNKNOWN_FORMAT, "%s: none of PNG, JPEG, DICOM and NIfTI", path);
}

static msfl_status header_of(const char *path, const uint8_t *bytes, size_t length, uint64_t file_bytes,
                             msfl_image_header *out) {
    switch (msfl_image_sniff(bytes, length)) {
    case MSFL_FORMAT_PNG:
        return msfl_png_header(path, bytes, length, file_bytes, out);
    case MSFL_FORMAT_JPEG:
        return msfl_jpeg_header(path, bytes, length, file_bytes, out);
    default:
        return not_a_picture(path, length);
    }
}

/* The first bytes of a regular file, and how long it is. */
static msfl_status read_head(const char *path, uint8_t head[HEAD_BYTES], size_t *length, uint64_t *file_bytes) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return msfl_fail_errno(errno, "cannot open %s", path);
    msfl_status status = MSFL_OK;
    struct stat info;
    if (fstat(fd, &info) != 0) {
        status = msfl_fail_errno(errno, "cannot examine %s", path);
        goto done;
    }
    if (!S_ISREG(info.st_mode)) {
        status = msfl_fail(MSFL_ERR_FORMAT, "%s is not a regular file", path);
        goto done;
    }
    *file_bytes = (uint64_t)info.st_size;
    size_t have = 0;
    while (have < HEAD_BYTES) {
        ssize_t n = read(fd, head + have, HEAD_BYTES - have);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            status = msfl_fail_errno(errno, "cannot read %s", path);
            goto done;
        }
        if (n == 0) break;
        have += (size_t)n;
    }
    *length = have;
done:
    close(fd);
    return status;
}

/* Of a renamed file the format is known, but it is not to be believed. */
static msfl_status check_name(const char *path, msfl_image_format format) {
    bool dicom = has_dicom_name(path) && format != MSFL_FORMAT_DICOM;
    bool nifti = has_nifti_name(path) && format != MSFL_FORMAT_NIFTI;
    if (format == MSFL_FORMAT_NONE || (!dicom && !nifti)) return MSFL_OK;
    return msfl_fault_fail(MSFL_FAULT_NAME_MISMATCH, "%s: a %s file under the name of a %s file", path,
                           msfl_image_format_name(format), dicom ? "DICOM" : "NIfTI");
}

static msfl_status open_pixels(const char *path, msfl_image_format format, msfl_image *out) {
    uint8_t *bytes;
    size_t length;
    msfl_status status = msfl_file_read(path, MSFL_IMAGE_FILE_BYTES_MAX, &bytes, &length);
    if (status != MSFL_OK) return status;
    status =
        format == MSFL_FORMAT_PNG ? msfl_png_read(path, bytes, length, out) : msfl_jpeg_read(path, bytes, length, out);
    msfl_free(bytes);
    return status;
}

static msfl_status open_dicom(const char *path, bool header_only, msfl_dicom *dicom, msfl_image *out) {
    uint8_t *bytes;
    size_t length;
    msfl_status status = msfl_file_read(path, (size_t)MSFL_VOLUME_BYTES_MAX, &bytes, &length);
    if (status != MSFL_OK) return status;
    status = msfl_dicom_read(path, bytes, length, header_only, dicom, out);
    msfl_free(bytes);
    return status;
}

msfl_status msfl_image_partner(const char *path, char **out) {
    static const char *const headers[] = {".hdr", ".hdr.gz"}, *const partners[] = {".img", ".img.gz"};
    *out = NULL;
    for (size_t i = 0; i < 2; i++) {
        if (!ends_in(path, headers[i])) continue;
        for (size_t k = 0; k < 2; k++) {
            char *partner = msfl_format("%.*s%s", (int)(strlen(path) - strlen(headers[i])), path, partners[k]);
            if (partner == NULL) return MSFL_NO_MEMORY;
            if (msfl_file_exists(partner)) {
                *out = partner;
                return MSFL_OK;
            }
            msfl_free(partner);
        }
    }
    return MSFL_OK;
}

static msfl_status open_nifti(const char *path, msfl_nifti *nifti, msfl_image *out) {
    FILE *file = NULL, *samples = NULL;
    char *partner = NULL;
    msfl_status status = msfl_file_open(path, &file);
    if (status == MSFL_OK) status = msfl_image_partner(path, &partner);
    if (status == MSFL_OK && partner != NULL) status = msfl_file_open(partner, &samples);
    if (status == MSFL_OK) status = msfl_nifti_read(path, file, samples, nifti, out);
    if (file != NULL) fclose(file);
    if (samples != NULL) fclose(samples);
    msfl_free(partner);
    return status;
}

msfl_status msfl_image_open(const char *path, bool header_only, msfl_image_facts *facts, msfl_image *out) {
    uint8_t head[HEAD_BYTES];
    size_t length = 0;
    uint64_t file_bytes = 0;
    msfl_image_facts f = {0};
    msfl_status status = read_head(path, head, &length, &file_bytes);
    if (status != MSFL_OK) return status;
    f.format = msfl_image_sniff(head, length);
    status = check_name(path, f.format);
    if (status != MSFL_OK) return status;
    switch (f.format) {
    case MSFL_FORMAT_PNG:
    case MSFL_FORMAT_JPEG:
        status = open_pixels(path, f.format, out);
        break;
    case MSFL_FORMAT_DICOM:
        status = open_dicom(path, header_only, &f.dicom, out);
        break;
    case MSFL_FORMAT_NIFTI:
        status = open_nifti(path, &f.nifti, out);
        break;
    case MSFL_FORMAT_NPY:
    case MSFL_FORMAT_NPZ:
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "%s: an array, not an image", path);
    default:
        return not_a_picture(path, length);
    }
    if (status == MSFL_OK) *facts = f;
    return status;
}

/* Rows from the anterior to the posterior side, as axial slices are looked at. */
static void turn_rows(msfl_image *picture) {
    size_t bytes = (size_t)picture->width * picture->channels * (picture->bits / 8);
    uint8_t *rows = picture->samples;
    for (size_t y = 0; y < picture->height / 2; y++) {
        uint8_t *a = rows + y * bytes, *b = rows + (picture->height - 1 - y) * bytes;
        for (size_t i = 0; i < bytes; i++) {
            uint8_t v = a[i];
            a[i] = b[i];
            b[i] = v;
        }
    }
}

msfl_status msfl_image_read(const char *path, msfl_image *out) {
    msfl_image_facts facts = {0};
    msfl_image image = {0}, picture = {0};
    msfl_status status = msfl_image_open(path, false, &facts, &image);
    if (status != MSFL_OK) return status;
    if (facts.format == MSFL_FORMAT_PNG || facts.format == MSFL_FORMAT_JPEG) {
        *out = image;
        return MSFL_OK;
    }
    if (facts.format == MSFL_FORMAT_NIFTI) status = msfl_image_to_ras(&image);
    if (status == MSFL_OK) status = msfl_image_picture(&image, image.depth / 2, &picture);
    if (status == MSFL_OK && facts.format == MSFL_FORMAT_NIFTI) turn_rows(&picture);
    msfl_image_clear(&image);
    if (status == MSFL_OK) *out = picture;
    return status;
}

/* DICOM by its header alone; NIfTI, whose size depends on its orientation, is read. */
static msfl_status probe_by_opening(const char *path, msfl_image_format format, msfl_image_header *out) {
    msfl_image image = {0};
    msfl_status status;
    if (format == MSFL_FORMAT_NIFTI) {
        status = msfl_image_read(path, &image);
    } else {
        msfl_image_facts facts;
        status = msfl_image_open(path, true, &facts, &image);
    }
    if (status == MSFL_OK) {
        msfl_image_picture_shape(&image, out);
        out->format = format;
    }
    msfl_image_clear(&image);
    return status;
}

msfl_status msfl_image_probe(const char *path, msfl_image_header *out) {
    uint8_t head[HEAD_BYTES];
    size_t length = 0;
    uint64_t file_bytes = 0;
    msfl_status status = read_head(path, head, &length, &file_bytes);
    if (status != MSFL_OK) return status;
    msfl_image_format format = msfl_image_sniff(head, length);
    status = check_name(path, format);
    if (status != MSFL_OK) return status;
    if (format == MSFL_FORMAT_DICOM || format == MSFL_FORMAT_NIFTI) return probe_by_opening(path, format, out);
    status = header_of(path, head, length, file_bytes, out);
    if (status != MSFL_ERR_FORMAT || file_bytes <= length ||
        (format != MSFL_FORMAT_PNG && format != MSFL_FORMAT_JPEG)) {
        return status;
    }
    uint8_t *bytes;
    status = msfl_file_read(path, MSFL_IMAGE_FILE_BYTES_MAX, &bytes, &length);
    if (status == MSFL_OK) status = header_of(path, bytes, length, length, out);
    msfl_free(bytes);
    return status;
}
