/* A file of an imported set: plain, or sealed chunk by chunk under a key. docs/formats/set.md. */
#ifndef MSFL_DATASET_STORED_H
#define MSFL_DATASET_STORED_H

#include "base/sodium.h"

enum { MSFL_STORED_CHUNK_BYTES = 1 << 20 };

typedef struct msfl_stored msfl_stored;

/** Begin to write `path`, which is replaced when it is committed. With `key` (MSFL_AEAD_KEY_BYTES; borrowed until the
 *  end) every chunk is sealed and bound to `label`, its number and whether it is the last. */
msfl_status msfl_stored_new(const char *path, const uint8_t *key, const char *label, msfl_stored **out) MSFL_NODISCARD;
msfl_status msfl_stored_write(msfl_stored *s, const void *bytes, size_t length) MSFL_NODISCARD;
/** `hash` is that of the file's bytes. */
msfl_status msfl_stored_commit(msfl_stored *s, uint8_t hash[MSFL_HASH_BYTES]) MSFL_NODISCARD;
void msfl_stored_free(msfl_stored *s);

/** The whole of a file into `out` of `length` bytes; NULL: it is only checked, a chunk at a time. ERR_FORMAT if the
 * file has another length or another hash; ERR_CRYPTO if it was not sealed under this key. */
msfl_status msfl_stored_read(const char *path, const uint8_t *key, const char *label,
                             const uint8_t hash[MSFL_HASH_BYTES], void *out, size_t length) MSFL_NODISCARD;

/** A plain file as memory that cannot be written; munmap(*out, length) when done. Checked as msfl_stored_read. */
msfl_status msfl_stored_map(const char *path, const uint8_t hash[MSFL_HASH_BYTES], size_t length,
                            void **out) MSFL_NODISCARD;

#endif
