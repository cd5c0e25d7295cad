/* What runs in the child: the only callers of DCMTK and OpenJPEG. See dicom.c for the other side.
 *
 * The answer is made of native numbers (both sides are one program):
 *   msfl_dicom_answer
 *   for each table in turn its n x u16; rescales: 2 doubles for each frame, if has_rescales; the place of each frame
 *   among all of them: u32, if has_slots (frames and rescales come as they are stored)
 *   for each frame: u32 1, then its samples; or u32 0, then a msfl_dicom_excuse, and nothing more
 */
#ifndef MSFL_IMAGE_DICOM_CHILD_H
#define MSFL_IMAGE_DICOM_CHILD_H

#include "image/dicom.h"
#include "image/fault.h"

enum { MSFL_DICOM_TABLES = 5, MSFL_DICOM_EXCUSE_BYTES = 160 };
#define MSFL_DICOM_MAGIC 0x4d434944u

typedef struct msfl_dicom_excuse {
    uint32_t fault; /**< msfl_fault; 0: none */
    char text[MSFL_DICOM_EXCUSE_BYTES];
} msfl_dicom_excuse;

typedef struct msfl_dicom_answer {
    uint32_t magic;
    msfl_dicom_excuse excuse; /**< with a fault nothing else follows */
    msfl_dicom facts;         /**< `series` unset: the UID is in series_uid */
    char series_uid[MSFL_DICOM_TEXT_BYTES];
    uint32_t width, height, channels, frames, bits, bits_stored;
    uint32_t kind, colour; /**< msfl_sample_kind, msfl_colour */
    double spacing[3];
    uint32_t has_affine;
    double affine[3][4];
    msfl_rescale rescale;
    uint32_t has_rescales, has_slots;
    msfl_window window;
    struct {
        int32_t first;
        uint32_t n, bits;
    } tables[MSFL_DICOM_TABLES]; /**< red, green, blue, modality, VOI */
} msfl_dicom_answer;

typedef struct msfl_dicom_job {
    const uint8_t *bytes;
    size_t length;
    bool header_only;
} msfl_dicom_job;

void msfl_dicom_child(void *job, int out);

/** Everything about a file but its samples; false with an excuse in `answer`. `slots` (free it), where `has_slots`: for
 * each frame, which one of the volume it is. */
struct msfl_dcmtk;
bool msfl_dicom_describe(struct msfl_dcmtk *file, uint64_t file_bytes, msfl_dicom_answer *answer, uint32_t **slots);

/** How pixels lie in the file, as the header says. */
typedef struct msfl_dicom_layout {
    uint32_t allocated, stored, high; /**< bits of a sample, those of the value, number of its highest bit */
    bool is_signed, planar, is_422;
    uint32_t tag; /**< of the pixel data: integers, floats, or doubles */
} msfl_dicom_layout;
void msfl_dicom_layout_of(struct msfl_dcmtk *file, msfl_dicom_layout *out);

/** Write the frames. */
void msfl_dicom_send_frames(struct msfl_dcmtk *file, const msfl_dicom_answer *answer, int out);

/* --- of the data set (dicom_child.c, dicom_place.c, dicom_table.c) --- */

struct msfl_dcmtk_item;

enum { MSFL_DICOM_SHARED = 0x52009229, MSFL_DICOM_PER_FRAME = 0x52009230 };

/** A number of a functional group of a frame, its own or the shared one, or of the data set itself in classic objects.
 */
bool msfl_dicom_find(const struct msfl_dcmtk_item *root, uint32_t group, uint32_t frame, uint32_t tag, uint32_t index,
                     double *out);

/** Spacing, position, affine; and, where frames are stored in another order than they lie in, their places. */
void msfl_dicom_read_place(const struct msfl_dcmtk_item *root, msfl_dicom_answer *answer, uint32_t **slots);

/** Entries of the answer's tables; `owned` is freed by whoever asked. */
typedef struct msfl_dicom_tables {
    const uint16_t *words[MSFL_DICOM_TABLES];
    uint16_t *owned[MSFL_DICOM_TABLES];
} msfl_dicom_tables;
bool msfl_dicom_read_tables(const struct msfl_dcmtk_item *root, msfl_dicom_answer *answer, msfl_dicom_tables *out);

/**
 * Entries of a segmented palette (PS3.3 C.7.9.2) into `out`, exactly `n` of them. Indirect segments only repeat
 * discrete and linear ones, as the standard demands. False: not a table of that many entries.
 */
bool msfl_dicom_expand(const uint16_t *words, size_t n_words, uint32_t bits, uint16_t *out, uint32_t n);

bool msfl_dicom_excuse_with(msfl_dicom_excuse *excuse, msfl_fault fault, const char *fmt, ...) MSFL_PRINTF(3, 4);

#endif
