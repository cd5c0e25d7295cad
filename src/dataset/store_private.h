/* What writing and reading a set share: its files, and what a sealed one is tied to the key with. */
#ifndef MSFL_DATASET_STORE_PRIVATE_H
#define MSFL_DATASET_STORE_PRIVATE_H

#include "dataset/store.h"

#define MSFL_STORE_MANIFEST "set.json"
#define MSFL_STORE_FORMAT   "medsecurefl-set"

enum { STORE_PIXELS, STORE_RECORDS, STORE_MASKS, STORE_FILES };
/** In the folder, and in the manifest. */
extern const char *const msfl_store_files[STORE_FILES], *const msfl_store_keys[STORE_FILES];

/** Bytes of the samples of one picture or volume, and of its mask. */
size_t msfl_store_picture_bytes(const msfl_store_shape *shape);
size_t msfl_store_mask_bytes(const msfl_store_shape *shape);
/** The key of a sealed set's files, in secret memory: msfl_secret_free. NULL with the message set. */
uint8_t *msfl_store_seal(const msfl_hospital *key);
/** What ties a sealed set's manifest to the key: hexadecimal, of the compact text without the member "mac". */
msfl_status msfl_store_mac(const json_t *manifest, const msfl_hospital *key,
                           char hex[2 * MSFL_HASH_BYTES + 1]) MSFL_NODISCARD;

#endif
