/* One import, in its parts. */
#ifndef MSFL_IMPORT_JOB_H
#define MSFL_IMPORT_JOB_H

#include "dataset/set.h"
#include "dataset/store.h"
#include "import/arrays.h"
#include "import/cache.h"
#include "import/items.h"
#include "medsecurefl/import.h"
#include "text/json.h"

/** What comes of a sample. */
typedef struct msfl_outcome {
    msfl_result result;
    msfl_status status; /**< of a sample that is skipped, with the reason */
    char *reason;
    bool from_cache;
} msfl_outcome;

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
    /* Of all pictures so far, and of the samples that they are of. */
    msfl_record *records;
    msfl_print *prints;
    uint32_t *sample_of;
    size_t n, records_capacity, prints_capacity, sample_of_capacity;
    msfl_facts *facts; /**< one for each sample taken */
    uint32_t *item_of; /**< the item that a sample was */
    size_t n_samples;
    uint32_t *slots; /**< patients to bunches: open addressing; numbers of pictures + 1 */
    size_t n_slots;
    uint32_t n_bunches, n_skipped, n_from_cache;
    bool some_by_header;
    uint64_t n_clipped;
    double spacing[3]; /**< of all pictures so far; 0: not known, or not the same */
} msfl_import_job;

/** Make one sample: from the cache, or from its files. Thread-safe. A sample that cannot be used is an outcome; what
 *  fails is what ends the import. */
msfl_status msfl_import_sample(msfl_import_job *job, size_t item, msfl_outcome *out) MSFL_NODISCARD;

/** Near copies into one bunch, bunches renumbered, classes numbered; then the manifest's figures about all of it. */
msfl_status msfl_import_conclude(msfl_import_job *job, msfl_texts *classes, json_t *manifest) MSFL_NODISCARD;

#endif
