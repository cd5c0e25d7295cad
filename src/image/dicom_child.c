#include "image/dicom_child.h"

#include "image/dcmtk.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Memory here is that of the libraries and plain malloc. It is freed although the process ends right after: so that a
 * fuzzer can stay in one process. */

enum { VALUE_TRANSFORMATION = 0x00289145, FRAME_VOI = 0x00289132 };

bool msfl_dicom_excuse_with(msfl_dicom_excuse *excuse, msfl_fault fault, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    excuse->fault = (uint32_t)fault;
    vsnprintf(excuse->text, sizeof excuse->text, fmt, args);
    va_end(args);
    return false;
}

/* The item that holds a macro's attributes for a frame: that frame's, or the shared one. */
static const msfl_dcmtk_item *macro(const msfl_dcmtk_item *root, uint32_t tag, uint32_t frame) {
    const msfl_dcmtk_item *item = msfl_dcmtk_inner(msfl_dcmtk_inner(root, MSFL_DICOM_PER_FRAME, frame), tag, 0);
    return item != NULL ? item : msfl_dcmtk_inner(msfl_dcmtk_inner(root, MSFL_DICOM_SHARED, 0), tag, 0);
}

bool msfl_dicom_find(const msfl_dcmtk_item *root, uint32_t group, uint32_t frame, uint32_t tag, uint32_t index,
                     double *out) {
    return msfl_dcmtk_f64(macro(root, group, frame), tag, index, out) || msfl_dcmtk_f64(root, tag, index, out);
}

void msfl_dicom_layout_of(msfl_dcmtk *file, msfl_dicom_layout *out) {
    const msfl_dcmtk_item *root = msfl_dcmtk_root(file);
    uint16_t allocated = 0, stored = 0, high = 0, sign = 0, planar = 0;
    *out = (msfl_dicom_layout){.tag = 0x7fe00010};
    (void)msfl_dcmtk_u16(root, 0x00280100, 0, &allocated);
    if (!msfl_dcmtk_has(root, 0x7fe00010)) {
        if (msfl_dcmtk_has(root, 0x7fe00008)) *out = (msfl_dicom_layout){.tag = 0x7fe00008, .allocated = 32};
        if (msfl_dcmtk_has(root, 0x7fe00009)) *out = (msfl_dicom_layout){.tag = 0x7fe00009, .allocated = 64};
        out->stored = out->allocated;
        return;
    }
    if (!msfl_dcmtk_u16(root, 0x00280101, 0, &stored) || stored == 0 || stored > allocated) stored = allocated;
    if (!msfl_dcmtk_u16(root, 0x00280102, 0, &high) || high >= allocated || high + 1 < stored) {
        high = stored > 0 ? (uint16_t)(stored - 1) : 0;
    }
    (void)msfl_dcmtk_u16(root, 0x00280103, 0, &sign);
    (void)msfl_dcmtk_u16(root, 0x00280006, 0, &planar);
    out->allocated = allocated;
    out->stored = stored;
    out->high = high;
    out->is_signed = sign == 1;
    out->planar = planar == 1;
    char photometric[MSFL_DICOM_TEXT_BYTES];
    msfl_dcmtk_text(root, 0x00280004, photometric, sizeof photometric);
    out->is_422 = !msfl_dcmtk_is_encapsulated(file) && strstr(photometric, "_422") != NULL;
}

static bool read_colour(const msfl_dcmtk_item *root, msfl_dicom_answer *a) {
    static const struct {
        const char *name;
        uint32_t channels;
        msfl_colour colour;
    } known[] = {{"MONOCHROME1", 1, MSFL_COLOUR_GREY_INVERTED},
                 {"MONOCHROME2", 1, MSFL_COLOUR_GREY},
                 {"PALETTE COLOR", 1, MSFL_COLOUR_PALETTE},
                 {"RGB", 3, MSFL_COLOUR_RGB},
                 {"YBR_FULL", 3, MSFL_COLOUR_YBR},
                 {"YBR_FULL_422", 3, MSFL_COLOUR_YBR},
                 {"YBR_PARTIAL_422", 3, MSFL_COLOUR_YBR_PARTIAL},
                 {"YBR_RCT", 3, MSFL_COLOUR_RGB},
                 {"YBR_ICT", 3, MSFL_COLOUR_RGB}};
    char text[MSFL_DICOM_TEXT_BYTES];
    uint16_t channels = 1;
    (void)msfl_dcmtk_u16(root, 0x00280002, 0, &channels);
    msfl_dcmtk_text(root, 0x00280004, text, sizeof text);
    a->channels = channels;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(text, known[i].name) != 0) continue;
        if (channels != known[i].channels) break;
        a->colour = known[i].colour;
        return true;
    }
    /* Old files leave it out. */
    a->colour = channels == 3 ? MSFL_COLOUR_RGB : MSFL_COLOUR_GREY;
    if (text[0] == 0 && (channels == 1 || channels == 3)) return true;
    return msfl_dicom_excuse_with(&a->excuse, MSFL_FAULT_UNSUPPORTED_TYPE,
                                  "%u samples a pixel with a photometric interpretation that does not go with it",
                                  channels);
}

static bool read_size(msfl_dcmtk *file, const msfl_dicom_layout *l, uint64_t file_bytes, msfl_dicom_answer *a) {
    const msfl_dcmtk_item *root = msfl_dcmtk_root(file);
    uint16_t rows = 0, columns = 0;
    int32_t frames = 1;
    (void)msfl_dcmtk_u16(root, 0x00280010, 0, &rows);
    (void)msfl_dcmtk_u16(root, 0x00280011, 0, &columns);
    (void)msfl_dcmtk_i32(root, 0x00280008, &frames);
    if (rows == 0 || columns == 0 || frames < 1) {
        return msfl_dicom_excuse_with(&a->excuse, MSFL_FAULT_BAD_SIZE, "%u rows, %u columns and %d frames", rows,
                                      columns, frames);
    }
    bool floats = l->tag != 0x7fe00010;
    if (!floats && (l->allocated < 1 || l->allocated > 32)) {
        return msfl_dicom_excuse_with(&a->excuse, MSFL_FAULT_UNSUPPORTED_TYPE, "samples of %u bits", l->allocated);
    }
    a->width = columns;
    a->height = rows;
    a->frames = (uint32_t)frames;
    a->bits = l->allocated <= 8 ? 8 : l->allocated <= 16 ? 16 : l->allocated <= 32 ? 32 : 64;
    a->bits_stored = l->stored;
    a->kind = floats ? MSFL_SAMPLES_FLOAT : l->is_signed ? MSFL_SAMPLES_SIGNED : MSFL_SAMPLES_UNSIGNED;
    uint64_t frame = (uint64_t)rows * columns * a->channels * (a->bits / 8);
    if (rows > MSFL_IMAGE_SIDE_MAX || columns > MSFL_IMAGE_SIDE_MAX ||
        (uint64_t)rows * columns > MSFL_IMAGE_PIXELS_MAX || a->frames > MSFL_VOLUME_BYTES_MAX / frame) {
        return msfl_dicom_excuse_with(&a->excuse, MSFL_FAULT_TOO_LARGE,
                                      "%u x %u pixels, %u frames; %d a side, %d million a frame and %llu MiB in all "
                                      "are accepted",
                                      columns, rows, a->frames, MSFL_IMAGE_SIDE_MAX, MSFL_IMAGE_PIXELS_MAX / 1000000,
                                      (unsigned long long)(MSFL_VOLUME_BYTES_MAX >> 20));
    }
    if (frame * a->frames > msfl_dicom_bytes_max(file_bytes)) {
        return msfl_dicom_excuse_with(&a->excuse, MSFL_FAULT_IMPLAUSIBLE_SIZE,
                                      "%u x %u pixels and %u frames in a file of %llu bytes", columns, rows, a->frames,
                                      (unsigned long long)file_bytes);
    }
    return true;
}

static bool check_pixels(msfl_dcmtk *file, const msfl_dicom_layout *l, msfl_dicom_answer *a) {
    if (msfl_dcmtk_is_encapsulated(file) && l->tag == 0x7fe00010) {
        const char *syntax = a->facts.transfer_syntax;
        static const char *const by_openjpeg[] = {"90", "91", "201", "202", "203"};
        bool ours = strcmp(syntax, "1.2.840.10008.1.2.5") == 0;
        for (size_t i = 0; i < sizeof by_openjpeg / sizeof by_openjpeg[0]; i++)
            ours |= strncmp(syntax, "1.2.840.10008.1.2.4.", 20) == 0 && strcmp(syntax + 20, by_openjpeg[i]) == 0;
        if (!ours && !msfl_dcmtk_has_codec(file)) {
            return msfl_dicom_excuse_with(&a->excuse, MSFL_FAULT_UNSUPPORTED_ENCODING, "transfer syntax %s", syntax);
        }
        if (l->allocated % 8 != 0 || l->allocated == 24) {
            return msfl_dicom_excuse_with(&a->excuse, MSFL_FAULT_UNSUPPORTED_TYPE, "compressed samples of %u bits",
                                          l->allocated);
        }
        if (msfl_dcmtk_fragments(file) == 0) {
            return msfl_dicom_excuse_with(&a->excuse, MSFL_FAULT_TRUNCATED, "compressed pixel data without fragments");
        }
        return true;
    }
    /* Frames that are encapsulated and not compressed (PS3.5 A.4.11), which DCMTK hands out as neither. */
    if (strcmp(a->facts.transfer_syntax, "1.2.840.10008.1.2.1.98") == 0) {
        return msfl_dicom_excuse_with(&a->excuse, MSFL_FAULT_UNSUPPORTED_ENCODING, "transfer syntax %s",
                                      a->facts.transfer_syntax);
    }
    const uint8_t *bytes;
    size_t length = 0;
    if (!msfl_dcmtk_native(file, l->tag, 1, &bytes, &length)) length = 0;
    uint64_t pixels = (uint64_t)a->width * a->height * a->frames;
    uint64_t need = l->is_422 ? pixels * 2 : (pixels * a->channels * l->allocated + 7) / 8;
    if (l->is_422 && (l->allocated != 8 || a->width % 2 != 0)) {
        return msfl_dicom_excuse_with(&a->excuse, MSFL_FAULT_UNSUPPORTED_TYPE,
                                      "colours at half width with %u bits and %u columns", l->allocated, a->width);
    }
    if (length >= need) return true;
    return msfl_dicom_excuse_with(&a->excuse, MSFL_FAULT_TRUNCATED,
                                  "%zu bytes of pixel data; %u x %u pixels and %u "
                                  "frames need %llu",
                                  length, a->width, a->height, a->frames, (unsigned long long)need);
}

static msfl_rescale rescale_of(const msfl_dcmtk_item *root, uint32_t frame) {
    msfl_rescale r = {1, 0};
    double slope, intercept;
    if (msfl_dicom_find(root, VALUE_TRANSFORMATION, frame, 0x00281053, 0, &slope) && slope != 0) {
        r.slope = slope;
    } else if (msfl_dcmtk_f64(root, 0x3004000e, 0, &slope) && slope != 0) {
        r.slope = slope; /* dose grid scaling */
    }
    if (msfl_dicom_find(root, VALUE_TRANSFORMATION, frame, 0x00281052, 0, &intercept)) r.intercept = intercept;
    return r;
}

/* `shown`: the frame whose window is taken. */
static void read_values(const msfl_dcmtk_item *root, uint32_t shown, msfl_dicom_answer *a) {
    a->rescale = rescale_of(root, 0);
    for (uint32_t i = 1;
         i < a->frames && msfl_dcmtk_inner(root, MSFL_DICOM_PER_FRAME, i) != NULL && a->has_rescales == 0; i++) {
        msfl_rescale r = rescale_of(root, i);
        a->has_rescales = r.slope != a->rescale.slope || r.intercept != a->rescale.intercept;
    }
    char function[MSFL_DICOM_TEXT_BYTES] = "";
    if (msfl_dicom_find(root, FRAME_VOI, shown, 0x00281050, 0, &a->window.centre) &&
        msfl_dicom_find(root, FRAME_VOI, shown, 0x00281051, 0, &a->window.width)) {
        const msfl_dcmtk_item *item = macro(root, FRAME_VOI, shown);
        msfl_dcmtk_text(item != NULL ? item : root, 0x00281056, function, sizeof function);
        a->window.function = strcmp(function, "SIGMOID") == 0        ? MSFL_WINDOW_SIGMOID
                             : strcmp(function, "LINEAR_EXACT") == 0 ? MSFL_WINDOW_LINEAR_EXACT
                                                                     : MSFL_WINDOW_LINEAR;
        /* PS3.3 C.11.2.1.2: at least 1 for linear, above 0 for the others. */
        if (!(a->window.width > 0) || (a->window.function == MSFL_WINDOW_LINEAR && a->window.width < 1)) {
            a->window = (msfl_window){0};
        }
    } else {
        a->window = (msfl_window){0};
    }
}

/* UTF-8, as tables have it: one patient has one hash. `out` holds twice the text. */
static void from_latin1(const char *text, char *out) {
    for (const unsigned char *p = (const unsigned char *)text; *p != 0; p++) {
        if (*p >= 0x80) *out++ = (char)(0xc0 | *p >> 6);
        *out++ = (char)(*p >= 0x80 ? 0x80 | (*p & 0x3f) : *p);
    }
    *out = 0;
}

/* Hashed here already: what goes through the pipe names nobody. */
static void read_identity(const msfl_dcmtk_item *root, msfl_dicom *f) {
    static const uint32_t of_scanner[] = {0x00080070, 0x00081090, 0x00181000, 0x00081010};
    char text[MSFL_DICOM_TEXT_BYTES], set[MSFL_DICOM_TEXT_BYTES];
    msfl_dcmtk_text(root, 0x00100020, text, sizeof text);
    msfl_dcmtk_text(root, 0x00080005, set, sizeof set);
    if (strcmp(set, "ISO_IR 100") == 0 || strcmp(set, "ISO 2022 IR 100") == 0) {
        char wide[2 * MSFL_DICOM_TEXT_BYTES];
        from_latin1(text, wide);
        msfl_patient_hash(wide, f->patient);
    } else {
        msfl_patient_hash(text, f->patient);
    }
    msfl_hash h;
    bool any = false;
    msfl_hash_init(&h, "msfl.dicom.scanner");
    for (size_t i = 0; i < sizeof of_scanner / sizeof of_scanner[0]; i++) {
        msfl_dcmtk_text(root, of_scanner[i], text, sizeof text);
        msfl_hash_add_field(&h, text, strlen(text));
        any |= text[0] != 0;
    }
    if (any) msfl_hash_final(&h, f->scanner);
}

static void read_facts(msfl_dcmtk *file, const msfl_dicom_layout *l, msfl_dicom_answer *a) {
    const msfl_dcmtk_item *root = msfl_dcmtk_root(file);
    msfl_dicom *f = &a->facts;
    snprintf(f->transfer_syntax, sizeof f->transfer_syntax, "%s", msfl_dcmtk_transfer_syntax(file));
    msfl_dcmtk_text(root, 0x00080060, f->modality, sizeof f->modality);
    msfl_dcmtk_text(root, 0x0020000e, a->series_uid, sizeof a->series_uid);
    f->has_instance = msfl_dcmtk_i32(root, 0x00200013, &f->instance);
    f->bits_allocated = l->allocated;
    read_identity(root, f);
    char burned_in[MSFL_DICOM_TEXT_BYTES];
    msfl_dcmtk_text(root, 0x00280301, burned_in, sizeof burned_in);
    f->burned_in = strncmp(burned_in, "YES", 3) == 0;
    static const char *const lossy[] = {"50", "51", "53", "55", "81", "91", "203"};
    for (size_t i = 0; i < sizeof lossy / sizeof lossy[0]; i++) {
        f->samples_are_lossy |= strncmp(f->transfer_syntax, "1.2.840.10008.1.2.4.", 20) == 0 &&
                                strcmp(f->transfer_syntax + 20, lossy[i]) == 0;
    }
}

bool msfl_dicom_describe(msfl_dcmtk *file, uint64_t file_bytes, msfl_dicom_answer *a, uint32_t **slots) {
    *slots = NULL;
    const msfl_dcmtk_item *root = msfl_dcmtk_root(file);
    msfl_dicom_layout l;
    msfl_dicom_layout_of(file, &l);
    read_facts(file, &l, a);
    if (!msfl_dcmtk_has(root, l.tag)) {
        return msfl_dicom_excuse_with(&a->excuse, MSFL_FAULT_NO_PIXELS, "a DICOM object without an image");
    }
    if (!read_colour(root, a) || !read_size(file, &l, file_bytes, a) || !check_pixels(file, &l, a)) return false;
    msfl_dicom_read_place(root, a, slots);
    /* A film or volume is shown by its middle one. */
    uint32_t shown = a->frames / 2;
    for (uint32_t i = 0; i < a->frames && a->has_slots != 0; i++)
        if ((*slots)[i] == a->frames / 2) shown = i;
    read_values(root, shown, a);
    return true;
}

void msfl_dicom_child(void *ctx, int out) {
    const msfl_dicom_job *job = ctx;
    msfl_dicom_answer a = {.magic = MSFL_DICOM_MAGIC};
    msfl_dicom_tables tables = {{NULL}, {NULL}};
    uint32_t *slots = NULL;
    msfl_dcmtk *file = NULL;
    bool good = false;
    switch (msfl_dcmtk_open(job->bytes, job->length, &file)) {
    case MSFL_DCMTK_OK:
        good = msfl_dicom_describe(file, job->length, &a, &slots) &&
               msfl_dicom_read_tables(msfl_dcmtk_root(file), &a, &tables);
        break;
    case MSFL_DCMTK_TRUNCATED:
        (void)msfl_dicom_excuse_with(&a.excuse, MSFL_FAULT_TRUNCATED, "the file ends inside an element");
        break;
    case MSFL_DCMTK_MEMORY:
        (void)msfl_dicom_excuse_with(&a.excuse, MSFL_FAULT_IMPLAUSIBLE_SIZE, "elements larger than the file can hold");
        break;
    default:
        (void)msfl_dicom_excuse_with(&a.excuse, MSFL_FAULT_DAMAGED, "not a readable DICOM data set");
    }
    msfl_child_write(out, &a, sizeof a);
    for (size_t i = 0; i < MSFL_DICOM_TABLES && good; i++) {
        if (a.tables[i].n > 0) msfl_child_write(out, tables.words[i], a.tables[i].n * sizeof *tables.words[i]);
    }
    for (uint32_t i = 0; i < a.frames && a.has_rescales != 0 && good; i++) {
        msfl_rescale r = rescale_of(msfl_dcmtk_root(file), i);
        msfl_child_write(out, &r, sizeof r);
    }
    if (good && a.has_slots != 0) msfl_child_write(out, slots, a.frames * sizeof *slots);
    if (good && !job->header_only) msfl_dicom_send_frames(file, &a, out);
    for (size_t i = 0; i < MSFL_DICOM_TABLES; i++)
        free(tables.owned[i]);
    free(slots);
    msfl_dcmtk_close(file);
}
