/* This side of the pipe: nothing here trusts what comes through it. */
#include "image/dicom.h"

#include "base/error.h"
#include "base/mem.h"
#include "image/dcmtk.h"
#include "image/dicom_child.h"
#include "image/fault.h"
#include "image/stream.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

enum {
    CHILD_MEMORY = 1 << 30, /* address space for the libraries and a frame in all its forms */
    CHILD_SECONDS = 30,     /* and one more for each MiB */
    FREE_BYTES = 16 << 20,  /* samples that need no justification by the file's length */
    TABLE_ENTRIES_MAX = 65536
};

bool msfl_dicom_sniff(const uint8_t *bytes, size_t length) {
    if (length >= 132 && memcmp(bytes + 128, "DICM", 4) == 0) return true;
    if (length < 16) return false;
    /* Without a meta header: an element (0002,xxxx) or (0008,00xx to 0008,0018) in either byte order, with a VR of two
     * capitals or a length that stays within reason. */
    for (int big = 0; big < 2; big++) {
        uint32_t group = bytes[big] | (uint32_t)bytes[1 - big] << 8;
        uint32_t element = bytes[2 + big] | (uint32_t)bytes[3 - big] << 8;
        if ((group != 8 && group != 2) || element > 0x18) continue;
        if (bytes[4] >= 'A' && bytes[4] <= 'Z' && bytes[5] >= 'A' && bytes[5] <= 'Z') return true;
        if (big == 0 && bytes[5] == 0 && bytes[6] == 0 && bytes[7] == 0 && bytes[4] <= 64) return true;
    }
    return false;
}

uint64_t msfl_dicom_bytes_max(uint64_t file_bytes) {
    return FREE_BYTES + file_bytes * MSFL_DEFLATE_RATIO_MAX;
}

void msfl_patient_hash(const char *identifier, uint8_t out[MSFL_HASH_BYTES]) {
    while (*identifier == ' ' || *identifier == '\t')
        identifier++;
    size_t n = strlen(identifier);
    while (n > 0 && (identifier[n - 1] == ' ' || identifier[n - 1] == '\t'))
        n--;
    memset(out, 0, MSFL_HASH_BYTES);
    if (n == 0) return;
    msfl_hash h;
    msfl_hash_init(&h, "msfl.dicom.patient");
    msfl_hash_add(&h, identifier, n);
    msfl_hash_final(&h, out);
    msfl_hash_clear(&h);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool started;

static void start_once(void) {
    started = msfl_dcmtk_start();
}

/* What a child died of; `status` and message are the pipe's. */
static msfl_status died(const char *name, msfl_status status) {
    if (status == MSFL_ERR_LIMIT) {
        return msfl_fault_fail(MSFL_FAULT_OUT_OF_TIME, "%s: reading it takes too long", name);
    }
    if (status != MSFL_ERR_FORMAT) return status;
    return msfl_fault_fail(MSFL_FAULT_DECODER_DIED,
                           "%s: the DICOM decoder gave up on this file (damaged, or larger than its memory)", name);
}

static msfl_status bad_answer(const char *name) {
    return msfl_fault_fail(MSFL_FAULT_DECODER_DIED, "%s: the DICOM decoder gave a senseless answer", name);
}

/* Texts from outside become printable, and closed. */
static void clean(char *text, size_t capacity) {
    text[capacity - 1] = 0;
    for (size_t i = 0; i < capacity && text[i] != 0; i++) {
        if (text[i] < ' ' || text[i] > '~') text[i] = '?';
    }
}

static msfl_status excused(const char *name, msfl_dicom_excuse *excuse) {
    clean(excuse->text, sizeof excuse->text);
    if (excuse->fault >= MSFL_FAULTS || excuse->fault == MSFL_FAULT_NONE) return bad_answer(name);
    return msfl_fault_fail((msfl_fault)excuse->fault, "%s: %s", name, excuse->text);
}

static bool all_finite(const double *values, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) return false;
    }
    return true;
}

static bool is_sane(const msfl_dicom_answer *a, uint64_t file_bytes) {
    bool sane = a->magic == MSFL_DICOM_MAGIC && a->width >= 1 && a->width <= MSFL_IMAGE_SIDE_MAX && a->height >= 1 &&
                a->height <= MSFL_IMAGE_SIDE_MAX && (uint64_t)a->width * a->height <= MSFL_IMAGE_PIXELS_MAX &&
                (a->channels == 1 || a->channels == 3) && a->frames >= 1 &&
                (a->bits == 8 || a->bits == 16 || a->bits == 32 || (a->bits == 64 && a->kind == MSFL_SAMPLES_FLOAT)) &&
                a->bits_stored >= 1 && a->bits_stored <= a->bits && a->kind <= MSFL_SAMPLES_FLOAT &&
                (a->kind != MSFL_SAMPLES_FLOAT || a->bits >= 32) && a->colour <= MSFL_COLOUR_PALETTE &&
                a->colour != MSFL_COLOUR_RGBA && a->window.function <= MSFL_WINDOW_SIGMOID && a->has_rescales <= 1 &&
                a->has_slots <= 1;
    if (!sane) return false;
    bool three = a->colour == MSFL_COLOUR_RGB || a->colour == MSFL_COLOUR_YBR || a->colour == MSFL_COLOUR_YBR_PARTIAL;
    if (three != (a->channels == 3)) return false;
    uint64_t frame = (uint64_t)a->width * a->height * a->channels * (a->bits / 8),
             most = msfl_dicom_bytes_max(file_bytes);
    if (most > MSFL_VOLUME_BYTES_MAX) most = MSFL_VOLUME_BYTES_MAX;
    if (a->frames > most / frame) return false;
    for (size_t i = 0; i < MSFL_DICOM_TABLES; i++) {
        if (a->tables[i].n > TABLE_ENTRIES_MAX) return false;
        if (a->tables[i].n > 0 && (a->tables[i].bits < 8 || a->tables[i].bits > 16)) return false;
        if (a->colour == MSFL_COLOUR_PALETTE && i < 3 && a->tables[i].n == 0) return false;
    }
    const double numbers[] = {a->rescale.slope, a->rescale.intercept, a->window.centre, a->window.width};
    return all_finite(numbers, 4) && all_finite(a->spacing, 3) && all_finite(&a->affine[0][0], 12) &&
           all_finite(a->facts.position, 3) && all_finite(a->facts.orientation, 6);
}

static msfl_status receive_tables(msfl_child *child, const msfl_dicom_answer *a, msfl_image *image) {
    msfl_table *tables[MSFL_DICOM_TABLES] = {&image->palette[0], &image->palette[1], &image->palette[2],
                                             &image->modality, &image->voi};
    msfl_status status = MSFL_OK;
    for (size_t i = 0; i < MSFL_DICOM_TABLES && status == MSFL_OK; i++) {
        uint32_t n = a->tables[i].n;
        if (n == 0) continue;
        *tables[i] = (msfl_table){a->tables[i].first, n, a->tables[i].bits, msfl_alloc(n, sizeof(uint16_t))};
        if (tables[i]->values == NULL) return MSFL_NO_MEMORY;
        status = msfl_child_read(child, tables[i]->values, n * sizeof(uint16_t));
    }
    if (status != MSFL_OK || a->has_rescales == 0) return status;
    image->rescales = msfl_alloc(a->frames, sizeof *image->rescales);
    if (image->rescales == NULL) return MSFL_NO_MEMORY;
    status = msfl_child_read(child, image->rescales, a->frames * sizeof *image->rescales);
    for (uint32_t i = 0; i < a->frames && status == MSFL_OK; i++) {
        if (!isfinite(image->rescales[i].slope) || !isfinite(image->rescales[i].intercept)) status = MSFL_ERR_FORMAT;
    }
    return status;
}

/* Frames that are stored in another order than they lie in: where each belongs, once each. */
static msfl_status receive_slots(msfl_child *child, const msfl_dicom_answer *a, msfl_image *image, uint32_t **out) {
    if (a->has_slots == 0) return MSFL_OK;
    uint32_t *slots = *out = msfl_alloc(a->frames, sizeof *slots);
    msfl_rescale *rescales = image->rescales == NULL ? NULL : msfl_alloc(a->frames, sizeof *rescales);
    bool *taken = msfl_alloc(a->frames, sizeof *taken);
    msfl_status status = MSFL_NO_MEMORY;
    if (slots == NULL || taken == NULL || (rescales == NULL && image->rescales != NULL)) goto done;
    status = msfl_child_read(child, slots, a->frames * sizeof *slots);
    for (uint32_t i = 0; i < a->frames && status == MSFL_OK; i++) {
        if (slots[i] >= a->frames || taken[slots[i]]) {
            status = MSFL_ERR_FORMAT;
            break;
        }
        taken[slots[i]] = true;
        if (rescales != NULL) rescales[slots[i]] = image->rescales[i];
    }
    if (status == MSFL_OK && rescales != NULL) memcpy(image->rescales, rescales, a->frames * sizeof *rescales);
done:
    msfl_free(rescales);
    msfl_free(taken);
    return status;
}

static msfl_status receive_frames(const char *name, msfl_child *child, const uint32_t *slots, msfl_image *image) {
    msfl_status status = msfl_image_allocate(name, image);
    size_t bytes = msfl_image_frame_samples(image) * (image->bits / 8);
    for (uint32_t i = 0; i < image->depth && status == MSFL_OK; i++) {
        uint32_t good = 0;
        status = msfl_child_read(child, &good, sizeof good);
        if (status == MSFL_OK && good == 1) {
            status = msfl_child_read(child, (uint8_t *)image->samples + (slots != NULL ? slots[i] : i) * bytes, bytes);
        } else if (status == MSFL_OK) {
            msfl_dicom_excuse excuse;
            status = msfl_child_read(child, &excuse, sizeof excuse);
            if (status == MSFL_OK) return excused(name, &excuse);
        }
        if (status != MSFL_OK) return died(name, status);
    }
    return status;
}

static void take_facts(msfl_dicom_answer *a, msfl_dicom *out) {
    *out = a->facts;
    clean(out->transfer_syntax, sizeof out->transfer_syntax);
    clean(out->modality, sizeof out->modality);
    /* A code of capitals, digits, blanks and underscores (VR CS); anything else has no business here. */
    for (const char *p = out->modality; *p != 0; p++) {
        bool code = (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '_' || *p == ' ';
        if (!code || p - out->modality >= 16) {
            out->modality[0] = 0;
            break;
        }
    }
    memset(out->series, 0, sizeof out->series);
    clean(a->series_uid, sizeof a->series_uid);
    if (a->series_uid[0] == 0) return;
    msfl_hash h;
    msfl_hash_init(&h, "msfl.dicom.series");
    msfl_hash_add(&h, a->series_uid, strlen(a->series_uid));
    msfl_hash_final(&h, out->series);
}

msfl_status msfl_dicom_receive(const char *name, msfl_child *child, uint64_t file_bytes, bool header_only,
                               msfl_dicom *out, msfl_image *image) {
    msfl_dicom_answer a;
    msfl_status status = msfl_child_read(child, &a, sizeof a);
    if (status != MSFL_OK) return died(name, status);
    if (a.magic == MSFL_DICOM_MAGIC && a.excuse.fault != MSFL_FAULT_NONE) return excused(name, &a.excuse);
    if (!is_sane(&a, file_bytes)) return bad_answer(name);
    msfl_image i = {.width = a.width,
                    .height = a.height,
                    .channels = a.channels,
                    .bits = a.bits,
                    .kind = (msfl_sample_kind)a.kind,
                    .colour = (msfl_colour)a.colour,
                    .bits_stored = a.bits_stored,
                    .depth = a.frames,
                    .times = 1,
                    .spacing = {a.spacing[0], a.spacing[1], a.spacing[2]},
                    .affine_source = a.has_affine == 1 ? MSFL_AFFINE_DICOM : MSFL_AFFINE_NONE,
                    .rescale = a.rescale,
                    .window = a.window};
    memcpy(i.affine, a.affine, sizeof i.affine);
    uint32_t *slots = NULL;
    status = receive_tables(child, &a, &i);
    if (status == MSFL_OK) status = receive_slots(child, &a, &i, &slots);
    if (status != MSFL_OK) {
        status = status == MSFL_ERR_MEMORY ? status : died(name, status);
    } else if (!header_only) {
        status = receive_frames(name, child, slots, &i);
    }
    msfl_free(slots);
    if (status != MSFL_OK) {
        msfl_image_clear(&i);
        return status;
    }
    take_facts(&a, out);
    *image = i;
    return MSFL_OK;
}

msfl_status msfl_dicom_ready(void) {
    msfl_status status = msfl_crypto_init();
    if (status != MSFL_OK) return status;
    (void)pthread_once(&once, start_once);
    if (started) return MSFL_OK;
    return msfl_fault_fail(MSFL_FAULT_SYSTEM,
                           "the DICOM data dictionary could not be read; is the package libdcmtk17 whole?");
}

msfl_status msfl_dicom_read(const char *name, const uint8_t *bytes, size_t length, bool header_only, msfl_dicom *out,
                            msfl_image *image) {
    if (length == 0) return msfl_fault_fail(MSFL_FAULT_EMPTY, "%s: an empty file", name);
    msfl_status status = msfl_dicom_ready();
    if (status != MSFL_OK) return status;
    msfl_dicom_job job = {bytes, length, header_only};
    msfl_child child;
    status = msfl_child_start(msfl_dicom_child, &job, CHILD_MEMORY + 4 * length,
                              CHILD_SECONDS + (uint32_t)(length >> 20), &child);
    if (status != MSFL_OK) return status;
    status = msfl_dicom_receive(name, &child, length, header_only, out, image);
    msfl_child_end(&child);
    return status;
}
