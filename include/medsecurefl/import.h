/* Images as hospitals have them, into sets that training reads: by a recipe, under a hospital's own key. Layer: import.
 */
#ifndef MEDSECUREFL_IMPORT_H
#define MEDSECUREFL_IMPORT_H

#include "medsecurefl/observe.h"
#include "medsecurefl/status.h"

MSFL_BEGIN_DECLS

/* Texts that come out of these functions are JSON (docs/formats/set.md); free them with msfl_text_free (simulate.h). */

/** What a recipe does, with its hash: members "hash", "text" (the canonical form), "name", "width", "height",
 * "channels", "bits", "range". Errors of the parser name line and column. */
MSFL_API MSFL_NODISCARD msfl_status msfl_recipe_describe(const char *path, char **json);

/** Write a new hospital key (mode 0600). ERR_EXISTS if something is at `path`. */
MSFL_API MSFL_NODISCARD msfl_status msfl_hospital_key_new(const char *path);

typedef struct msfl_import_options {
    const char *data;     /**< a folder of DICOM, NIfTI, PNG, JPEG files; a .npz file; "phantom" */
    const char *recipe;   /**< file */
    const char *out;      /**< folder of the set; one that is there is replaced */
    const char *labels;   /**< table; NULL: labels.csv in the folder or above it */
    const char *label;    /**< its column, or an array; NULL: class folders, else "class", or the array "y" */
    const char *patient;  /**< its column, or an array; NULL: the usual names, else the identifier in DICOM headers */
    const char *masks;    /**< folder of masks named as the images, a column of the table, or an array; NULL: none */
    const char *key;      /**< the hospital's key; NULL: one in the cache, made if need be */
    const char *cache;    /**< folder; NULL: `out` with ".cache" behind it */
    bool no_cache;        /**< keep nothing; needs `key` */
    bool seal;            /**< encrypt set and cache under `key`, which must be named */
    bool allow_burned_in; /**< also take pictures whose header declares text in the pixels that identifies */
    bool refuse_bad;      /**< a file that cannot be used ends the import; else it is skipped and counted */
    uint64_t seed;        /**< phantom: which images are drawn */
    uint32_t n_threads;   /**< 0: all cores */
    const msfl_observer *observer;
} msfl_import_options;

/**
 * Import. What was done before is taken from the cache, so a run that was killed goes on where it stood, and an import
 * of the same files under the same recipe ends at once ("unchanged" in `json`).
 *
 * The set holds pixels, masks where asked for, and for each picture its class, a keyed pseudonym of the patient, and
 * the number of its bunch: pictures of one patient, slices of one volume, and near copies have the same one, and a
 * split never parts them. Nothing else of the files is in it: no name, no date, no file name.
 *
 * `json` (may be NULL) receives the set's manifest with "unchanged" and "from_cache" (samples).
 * ERR_DATA: nothing to import, or labels that do not fit; ERR_POLICY: `seal` or `no_cache` without a key.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_import(const msfl_import_options *options, char **json);

typedef struct msfl_check_options {
    const char *data;    /**< a folder of files, or a set */
    const char *key;     /**< of a sealed set; may be NULL */
    bool for_federation; /**< of a set: also what should hold before others learn from it */
    uint32_t n_threads;
    const msfl_observer *observer;
} msfl_check_options;

/**
 * What could name a person, and whether a set is fit for use.
 *
 * Of a folder of files: how many name a patient, staff, places, dates and numbers in which attributes, have private
 * attributes, overlays, text beside the pixels, file names that tell, or declare text in the pixels; what an import
 * keeps of all that (nothing) and what it cannot remove (text in the pixels). Attributes are named, their values never.
 *
 * Of a set: that every byte is as it was imported, that nothing else lies in the folder, and how many patients each
 * class has. Members: "kind" ("files" or "set"), "findings" (objects "level" of "fine", "note", "problem", and "text"),
 * and figures (docs/formats/set.md). `*n_problems` counts problems.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_check(const msfl_check_options *options, char **json, uint32_t *n_problems);

MSFL_END_DECLS

#endif
