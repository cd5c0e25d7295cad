/* Imported sets on disk: pixels, masks, and for each picture a pseudonym, a label and a bunch. docs/formats/set.md. */
#ifndef MSFL_DATASET_STORE_H
#define MSFL_DATASET_STORE_H

#include "dataset/hospital.h"
#include "dataset/texts.h"
#include "medsecurefl/dataset.h"
#include "text/json.h"

enum {
    MSFL_STORE_VERSION = 1,
    MSFL_STORE_RECORD_BYTES = 32,
    MSFL_STORE_MANIFEST_BYTES_MAX = 16 << 20,
    MSFL_STORE_VOLUME_VALUES_MAX = 1 << 26 /* samples of one volume */
};

/** What is kept of a picture beside its samples. */
typedef struct msfl_record {
    uint8_t patient[MSFL_PSEUDONYM_BYTES];
    uint32_t label;  /**< number of the class */
    uint32_t bunch;  /**< pictures of one bunch never part: one patient, one volume, near copies */
    uint8_t part;    /**< msfl_part of the source's own split */
    uint16_t slice;  /**< of its volume, */
    uint32_t volume; /**< numbered from 1; 0: of none, or not known */
} msfl_record;

/** Of all pictures of a set alike. */
typedef struct msfl_store_shape {
    uint32_t width, height, channels, bits;
    uint32_t depth;   /**< slices of a volume; 1: pictures */
    double low, high; /**< what the smallest and the largest sample stand for */
    bool has_masks;
    double spacing[3]; /**< read from a manifest: mm between columns, rows and a volume's slices; 0: not known */
    uint32_t shown;    /**< 1 + the channel that pictures show; 0: channels are grey or RGB */
} msfl_store_shape;

typedef struct msfl_store msfl_store;

/** Begin a set in `folder`, made if need be; ERR_EXISTS if it holds anything but a set. A set that is there stays as it
 * is until msfl_store_finish. With `key` everything but the manifest is sealed; it is borrowed. */
msfl_status msfl_store_new(const char *folder, const msfl_store_shape *shape, const msfl_hospital *key,
                           msfl_store **out) MSFL_NODISCARD;
/** The next `n` pictures; `masks` only where the shape says so. */
msfl_status msfl_store_add(msfl_store *store, const void *samples, const uint8_t *masks, uint32_t n) MSFL_NODISCARD;
/** The next picture's record: one for each, in their order, at any time before the end. */
msfl_status msfl_store_record(msfl_store *store, const msfl_record *record) MSFL_NODISCARD;
/** Adds to `manifest` (borrowed) what a reader needs, and replaces what is in the folder. ERR_MISMATCH unless there are
 *  as many records as pictures. */
msfl_status msfl_store_finish(msfl_store *store, const msfl_texts *classes, json_t *manifest) MSFL_NODISCARD;
void msfl_store_free(msfl_store *store);

/** Whether a folder holds an imported set. */
bool msfl_store_is_set(const char *folder);
/** A manifest's text, checked as far as that goes without the other files. `name` stands in the errors. */
msfl_status msfl_store_parse(const char *name, const char *text, size_t length, json_t **out) MSFL_NODISCARD;
/** Its manifest, whole and checked as far as that goes without the other files. `*out` is json_decref'ed. */
msfl_status msfl_store_manifest(const char *folder, json_t **out) MSFL_NODISCARD;
/** Whether the files that the manifest names are there; their bytes are not looked at. */
bool msfl_store_is_there(const char *folder, const json_t *manifest);
/** The shape that a checked manifest names. */
msfl_store_shape msfl_store_shape_of(const json_t *manifest);
/** Records of a set; free `*out` with msfl_free. `key` as it was sealed, or NULL. */
msfl_status msfl_store_records(const char *folder, const json_t *manifest, const msfl_hospital *key, msfl_record **out,
                               size_t *n) MSFL_NODISCARD;

/** The same from bytes: n x MSFL_STORE_RECORD_BYTES. ERR_FORMAT if one names a class or a bunch that is not there. */
msfl_status msfl_store_take_records(const char *name, const uint8_t *bytes, size_t n, size_t n_classes,
                                    msfl_record **out) MSFL_NODISCARD;

/** All samples, or all masks, of a set: in the file's own pages where it is plain (`*mapped`: munmap), else in memory
 *  (msfl_free). For a set without pictures or masks: ERR_FORMAT or nothing to free. */
msfl_status msfl_store_pixels(const char *folder, const json_t *manifest, const msfl_hospital *key, void **out,
                              bool *mapped) MSFL_NODISCARD;
msfl_status msfl_store_masks(const char *folder, const json_t *manifest, const msfl_hospital *key, void **out,
                             bool *mapped) MSFL_NODISCARD;
/** Whether pixels and masks are as they were imported: every byte is read once, a piece at a time. ERR_FORMAT or
 *  ERR_CRYPTO as above. */
msfl_status msfl_store_verify(const char *folder, const json_t *manifest, const msfl_hospital *key) MSFL_NODISCARD;

#endif
