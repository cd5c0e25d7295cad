/* One import, in its parts. */
#ifndef MSFL_IMPORT_JOB_H
#define MSFL_IMPORT_JOB_H

#include "base/spill.h"
#include "dataset/set.h"
#include "dataset/store.h"
#include "import/arrays.h"
#include "import/cache.h"
#include "import/items.h"
#include "import/prints.h"
#include "import/traits.h"
#include "medsecurefl/import.h"
#include "text/json.h"

/** What comes of a sample. */
typedef struct msfl_outcome {
    msfl_result result;
    msfl_status status; /**< of a sample that is skipped, with the reason */
    char *reason;
    bool from_cache;
} msfl_outcome;

/** What is set aside of each picture. */
typedef struct msfl_picture_row {
    uint32_t bunch;  /**< of its patient */
    uint32_t label;  /**< number of its word */
    uint32_t volume; /**< as in msfl_record */
    uint16_t slice;
    uint8_t part, unused;
} msfl_picture_row;

typedef struct msfl_import_job {
    const msfl_import_options *o;
    msfl_recipe recipe;
    msfl_hospital *key;
    msfl_cache *cache;
    msfl_pool *pool;
    msfl_items items;
    msfl_dataset *dataset; /**< the source, where it is pictures of an array or drawings; else NULL */
    msfl_arrays *arrays;   /**< the source, where it is volumes of an array; else NULL. Of one batch at a time. */
    msfl_progress progress;
    size_t batch_first;
    msfl_outcome *outcomes; /**< of one batch */
    msfl_store *store;
    /* Of all pictures so far, and of the samples that they are of: set aside on the disk, so that memory holds one
     * batch, and of each file its name and a few numbers. */
    msfl_spill *pictures, *samples; /**< of msfl_picture_row, msfl_sample_row */
    msfl_prints *prints;
    size_t n, n_samples;
    msfl_rows patients; /**< MSFL_PSEUDONYM_BYTES of each; its number is that of the bunch */
    uint32_t *slots;    /**< to find them: open addressing; numbers + 1 */
    size_t n_slots;
    uint32_t n_skipped, n_from_cache;
    bool some_by_header;
    uint64_t n_clipped;
    double spacing[3]; /**< of all pictures so far; 0: not known, or not the same */
} msfl_import_job;

/** The pseudonym of the patient whose pictures are a bunch. */
static inline const uint8_t *msfl_import_patient(const msfl_import_job *job, uint32_t bunch) {
    return msfl_rows_at(&job->patients, bunch, MSFL_PSEUDONYM_BYTES);
}

/** Find the samples, in whatever `data` is. */
msfl_status msfl_import_find(msfl_import_job *job) MSFL_NODISCARD;

/** Hash of what everything depends on, as far as a look from outside can tell. */
msfl_status msfl_import_inputs(const msfl_import_job *job, char hex[2 * MSFL_HASH_BYTES + 1]) MSFL_NODISCARD;
/** The manifest of the set that is there, if it came of these inputs; NULL: there is something to do. */
json_t *msfl_import_unchanged(const msfl_import_job *job, const char *inputs);

/** Make all samples, batch by batch. */
msfl_status msfl_import_run(msfl_import_job *job) MSFL_NODISCARD;

/** Make one sample: from the cache, or from its files. Thread-safe. A sample that cannot be used is an outcome; what
 *  fails is what ends the import. */
msfl_status msfl_import_sample(msfl_import_job *job, size_t item, msfl_outcome *out) MSFL_NODISCARD;

/** Near copies into one bunch, bunches renumbered, classes numbered, records written; the manifest's figures about all
 * of it. */
msfl_status msfl_import_conclude(msfl_import_job *job, msfl_texts *classes, json_t *manifest) MSFL_NODISCARD;

#endif
