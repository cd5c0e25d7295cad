/* Shim for DCMTK: a parsed DICOM file and its pixel data. For child processes only (dicom_child.c): DCMTK checks little
 * about sizes, and what damaged files do to its codecs must not matter. No exception leaves it.
 *
 * The one C++ file of the project is behind this. */
#ifndef MSFL_IMAGE_DCMTK_H
#define MSFL_IMAGE_DCMTK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct msfl_dcmtk msfl_dcmtk;
/** A data set, or an item of a sequence in it; lives as long as the file. */
typedef struct msfl_dcmtk_item msfl_dcmtk_item;

/** Load the data dictionary, register the codecs and silence the log: once, in the process that will fork, so that
 *  children, which can open no file, find it done. False when there is no dictionary. Not thread-safe. */
bool msfl_dcmtk_start(void);

typedef enum msfl_dcmtk_result {
    MSFL_DCMTK_OK,
    MSFL_DCMTK_TRUNCATED, /**< the file ends inside an element */
    MSFL_DCMTK_DAMAGED,
    MSFL_DCMTK_MEMORY
} msfl_dcmtk_result;

/** Parse a file with or without its meta header; `bytes` must outlive it. On failure `*out` is NULL. */
msfl_dcmtk_result msfl_dcmtk_open(const uint8_t *bytes, size_t length, msfl_dcmtk **out);

void msfl_dcmtk_close(msfl_dcmtk *file);

const msfl_dcmtk_item *msfl_dcmtk_root(msfl_dcmtk *file);
/** Item `index` of a sequence, or NULL. `item` may be NULL. */
const msfl_dcmtk_item *msfl_dcmtk_inner(const msfl_dcmtk_item *item, uint32_t tag, uint32_t index);

/** Value `index` of an element; false when there is none, or it is no number. `tag` is group << 16 | element. `item`
 * may be NULL, and `out` is unchanged on false. */
bool msfl_dcmtk_u16(const msfl_dcmtk_item *item, uint32_t tag, uint32_t index, uint16_t *out);
bool msfl_dcmtk_i32(const msfl_dcmtk_item *item, uint32_t tag, int32_t *out);
/** Finite ones only. */
bool msfl_dcmtk_f64(const msfl_dcmtk_item *item, uint32_t tag, uint32_t index, double *out);
/** Short texts: cut off, with a closing zero, "" when there is none. */
void msfl_dcmtk_text(const msfl_dcmtk_item *item, uint32_t tag, char *text, size_t capacity);
/** The words of an element of type OW, SS or US. */
bool msfl_dcmtk_words(const msfl_dcmtk_item *item, uint32_t tag, const uint16_t **words, size_t *n);

/** UID of the transfer syntax that the file is in. */
const char *msfl_dcmtk_transfer_syntax(const msfl_dcmtk *file);
bool msfl_dcmtk_is_big_endian(const msfl_dcmtk *file);
bool msfl_dcmtk_is_encapsulated(const msfl_dcmtk *file);
/** Whether a registered codec decodes it: JPEG but for JPEG 2000, and JPEG-LS. */
bool msfl_dcmtk_has_codec(const msfl_dcmtk *file);

/** Whether an element, in the data set or in any sequence of it, has a value. */
bool msfl_dcmtk_filled(const msfl_dcmtk *file, uint32_t tag);
/** Private elements, and overlay planes (groups 60xx with data), at whatever depth. */
void msfl_dcmtk_count(const msfl_dcmtk *file, uint32_t *n_private, uint32_t *n_overlays);
bool msfl_dcmtk_has(const msfl_dcmtk_item *item, uint32_t tag);
/** Pixel data that is not encapsulated, in this machine's byte order for units of `unit_bytes` (1, 2, 4, 8). */
bool msfl_dcmtk_native(const msfl_dcmtk *file, uint32_t tag, uint32_t unit_bytes, const uint8_t **bytes,
                       size_t *length);
/** Number of fragments of encapsulated pixel data, without the offset table; 0 if there are none. */
size_t msfl_dcmtk_fragments(const msfl_dcmtk *file);
bool msfl_dcmtk_fragment(const msfl_dcmtk *file, size_t index, const uint8_t **bytes, size_t *length);
/** Decode frame `frame`, frames in order, by a registered codec; `fragment` counts on, 0 before the first. */
bool msfl_dcmtk_frame(const msfl_dcmtk *file, uint32_t frame, uint32_t *fragment, void *out, size_t length);

#ifdef __cplusplus
}
#endif

#endif
