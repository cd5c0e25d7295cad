/* What samples became, kept by what they were: content and recipe. A second import of the same files costs a look at
 * their dates. docs/formats/set.md. */
#ifndef MSFL_IMPORT_CACHE_H
#define MSFL_IMPORT_CACHE_H

#include "dataset/hospital.h"
#include "import/prints.h"
#include "recipe/sample.h"

/** Of a sample, for the set's figures; nothing that names a person. */
typedef struct msfl_facts {
    uint32_t width, height, depth, channels, bits; /**< of the first file */
    uint32_t format;                               /**< msfl_image_format */
    double spacing[3];
    uint8_t scanner[8]; /**< keyed; zeros: not known */
} msfl_facts;

/** What one sample became. Zero-initialise; msfl_result_clear when done. */
typedef struct msfl_result {
    msfl_pictures pictures;
    msfl_facts facts;
    msfl_print *prints; /**< one for each picture */
    bool has_patient;   /**< its file named one */
    uint8_t patient[MSFL_PSEUDONYM_BYTES];
} msfl_result;
void msfl_result_clear(msfl_result *r);

typedef struct msfl_cache msfl_cache;

/** Make `folder` if need be, the owner's alone (mode 0700). ERR_EXISTS, and nothing done, if other things than a
 *  cache's are in it: a shared folder must not be closed to those who share it. */
msfl_status msfl_cache_prepare(const char *folder) MSFL_NODISCARD;

/** `folder` is prepared as above; NULL: nothing is kept. Entries hang on `key` (borrowed): another hospital's key finds
 *  none of them, and what was changed is not believed. With `seal` they are encrypted. */
msfl_status msfl_cache_open(const char *folder, const msfl_hospital *key, bool seal, msfl_cache **out) MSFL_NODISCARD;
/** Also writes down which files were seen. */
void msfl_cache_close(msfl_cache *cache);

enum { MSFL_CACHE_NAME_BYTES = MSFL_HASH_BYTES };

/** Hash of a file's bytes, from memory if size, times and inode are as they were when it was read. Thread-safe. */
msfl_status msfl_cache_content(msfl_cache *cache, const char *path, uint8_t out[MSFL_HASH_BYTES]) MSFL_NODISCARD;

/** The entry's name for these contents under a recipe. */
void msfl_cache_name(const msfl_cache *cache, const msfl_recipe *recipe, const uint8_t (*contents)[MSFL_HASH_BYTES],
                     size_t n, bool has_mask, bool allow_burned_in, uint8_t out[MSFL_CACHE_NAME_BYTES]);

/** `*found` with the entry in `out`; damaged, foreign and missing entries are all not found. Thread-safe. */
msfl_status msfl_cache_get(const msfl_cache *cache, const msfl_recipe *recipe,
                           const uint8_t name[MSFL_CACHE_NAME_BYTES], bool *found, msfl_result *out) MSFL_NODISCARD;
/** A full disk is an error; a torn entry after a crash is not believed later. Thread-safe. */
msfl_status msfl_cache_put(const msfl_cache *cache, const msfl_recipe *recipe,
                           const uint8_t name[MSFL_CACHE_NAME_BYTES], const msfl_result *result) MSFL_NODISCARD;

#endif
