#include "image/survey.h"

#include "base/bytes.h"
#include "base/child.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "image/decode.h"
#include "image/fault.h"
#include "image/stream.h"
#include "image/survey_child.h"

#include <stdio.h>
#include <string.h>

#define ENTRY(tag, name, kind) {tag, name, MSFL_SURVEY_##kind},
static const msfl_survey_attribute attributes[] = {MSFL_SURVEY_LIST(ENTRY)};
#undef ENTRY
enum { ATTRIBUTES = sizeof attributes / sizeof attributes[0] };
_Static_assert(ATTRIBUTES < 64, "a bit each, and one to spare for the shift below");

const msfl_survey_attribute *msfl_survey_attributes(size_t *n) {
    *n = ATTRIBUTES;
    return attributes;
}

const char *msfl_survey_kind_name(msfl_survey_kind kind) {
    static const char *const names[] = {"person", "trait", "time", "place", "staff", "number"};
    return (unsigned)kind < sizeof names / sizeof names[0] ? names[kind] : "";
}

msfl_status msfl_survey_receive(const char *name, msfl_child *child, msfl_survey *out) {
    msfl_survey_answer a;
    msfl_status status = msfl_child_read(child, &a, sizeof a);
    if (status == MSFL_ERR_LIMIT) {
        return msfl_fault_fail(MSFL_FAULT_OUT_OF_TIME, "%s: reading it takes too long", name);
    }
    if (status != MSFL_OK) {
        return msfl_fault_fail(MSFL_FAULT_DECODER_DIED, "%s: the DICOM parser gave up on this file", name);
    }
    bool sane = a.magic == MSFL_SURVEY_MAGIC && a.readable <= 1 && a.burned_in <= MSFL_DECLARED_YES &&
                a.recognisable <= MSFL_DECLARED_YES && a.deidentified <= MSFL_DECLARED_YES && a.has_regions <= 1 &&
                a.is_capture <= 1 && a.name_tells <= 1 && a.attributes >> ATTRIBUTES == 0;
    if (!sane) return msfl_fault_fail(MSFL_FAULT_DECODER_DIED, "%s: the DICOM parser gave a senseless answer", name);
    if (a.readable == 0) return msfl_fault_fail(MSFL_FAULT_DAMAGED, "%s: not a readable DICOM data set", name);
    *out = (msfl_survey){.format = MSFL_FORMAT_DICOM,
                         .attributes = a.attributes,
                         .n_private = a.n_private,
                         .n_overlays = a.n_overlays,
                         .burned_in = (msfl_declared)a.burned_in,
                         .recognisable = (msfl_declared)a.recognisable,
                         .deidentified = (msfl_declared)a.deidentified,
                         .has_regions = a.has_regions == 1,
                         .is_capture = a.is_capture == 1,
                         .name_tells = a.name_tells == 1};
    return MSFL_OK;
}

static msfl_status survey_dicom(const char *path, msfl_survey *out) {
    enum { MEMORY = 1 << 30, SECONDS = 30 };
    uint8_t *bytes;
    size_t length;
    msfl_status status = msfl_dicom_ready();
    if (status == MSFL_OK) status = msfl_file_read(path, (size_t)MSFL_VOLUME_BYTES_MAX, &bytes, &length);
    if (status != MSFL_OK) return status;
    const char *slash = strrchr(path, '/');
    msfl_survey_job job = {bytes, length, slash != NULL ? slash + 1 : path};
    msfl_child child;
    status = msfl_child_start(msfl_survey_child, &job, MEMORY + 4 * length, SECONDS + (uint32_t)(length >> 20), &child);
    if (status == MSFL_OK) {
        status = msfl_survey_receive(path, &child, out);
        msfl_child_end(&child);
    }
    msfl_free(bytes);
    return status;
}

/* Chunks that hold words: tEXt, zTXt, iTXt, eXIf. */
static bool png_has_text(const uint8_t *p, size_t n) {
    static const char *const names[] = {"tEXt", "zTXt", "iTXt", "eXIf"};
    for (size_t at = 8; at + 12 <= n;) {
        uint32_t length = (uint32_t)p[at] << 24 | (uint32_t)p[at + 1] << 16 | (uint32_t)p[at + 2] << 8 | p[at + 3];
        for (size_t i = 0; i < 4; i++)
            if (memcmp(p + at + 4, names[i], 4) == 0 && length > 0) return true;
        if (length > n - at - 12) break;
        at += 12 + (size_t)length;
    }
    return false;
}

/* Comments and APP1 (EXIF, XMP), APP13 (IPTC) up to the first scan. */
static bool jpeg_has_text(const uint8_t *p, size_t n) {
    for (size_t at = 2; at + 4 <= n && p[at] == 0xff;) {
        uint8_t marker = p[at + 1];
        if (marker == 0xfe || marker == 0xe1 || marker == 0xed) return true;
        if (marker == 0xda || marker == 0xd9) break;
        size_t length = (size_t)p[at + 2] << 8 | p[at + 3];
        if (length < 2) break;
        at += 2 + length;
    }
    return false;
}

/* Free text of the header, but for what programs write of themselves, or an extension behind it. */
static bool nifti_has_text(const uint8_t *p, size_t n) {
    if (n < 352) return false;
    static const char *const programs[] = {"FSL", "SPM", "Nibabel", "nibabel", "TE=", "TrackVis", "FreeSurfer"};
    bool two = memcmp(p + 4, "n+2", 3) == 0 || memcmp(p + 4, "ni2", 3) == 0;
    const char *descrip = (const char *)p + (two ? 240 : 148), *aux = (const char *)p + (two ? 320 : 228);
    bool known = false;
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++)
        known |= strncmp(descrip, programs[i], strlen(programs[i])) == 0;
    bool extension = two ? n >= 544 && p[540] != 0 : p[348] != 0;
    bool db_name = !two && p[14] != 0;
    return (descrip[0] != 0 && !known) || aux[0] != 0 || extension || db_name;
}

static msfl_status survey_nifti(const char *path, bool *has_text) {
    uint8_t head[544] = {0};
    size_t length = 0;
    FILE *file;
    msfl_status status = msfl_file_open(path, &file);
    if (status != MSFL_OK) return status;
    msfl_stream *stream = NULL;
    status = msfl_stream_new(path, file, &stream);
    if (status == MSFL_OK) status = msfl_stream_some(stream, head, sizeof head, &length);
    msfl_stream_free(stream);
    fclose(file);
    if (status == MSFL_OK) *has_text = nifti_has_text(head, length);
    return status;
}

msfl_status msfl_survey_file(const char *path, msfl_survey *out) {
    uint8_t *bytes, head[136];
    size_t length = 0;
    FILE *file;
    msfl_status status = msfl_file_open(path, &file);
    if (status != MSFL_OK) return status;
    length = fread(head, 1, sizeof head, file);
    fclose(file);
    msfl_survey s = {.format = msfl_image_sniff(head, length)};
    if (s.format == MSFL_FORMAT_DICOM) {
        status = survey_dicom(path, &s);
    } else if (s.format == MSFL_FORMAT_NIFTI) {
        status = survey_nifti(path, &s.has_text);
    } else if (s.format == MSFL_FORMAT_PNG || s.format == MSFL_FORMAT_JPEG) {
        status = msfl_file_read(path, MSFL_IMAGE_FILE_BYTES_MAX, &bytes, &length);
        if (status != MSFL_OK) return status;
        s.has_text = s.format == MSFL_FORMAT_PNG ? png_has_text(bytes, length) : jpeg_has_text(bytes, length);
        msfl_free(bytes);
    } else {
        return msfl_fault_fail(MSFL_FAULT_UNKNOWN_FORMAT, "%s: none of PNG, JPEG, DICOM and NIfTI", path);
    }
    if (status == MSFL_OK) *out = s;
    return status;
}
