/* Which bytes a file held when it was last read, so that it need not be read again while it looks untouched. */
#ifndef MSFL_IMPORT_MEMO_H
#define MSFL_IMPORT_MEMO_H

#include "base/sodium.h"

typedef struct msfl_memo msfl_memo;

/** What `folder` remembers, in its file seen.bin; NULL: never anything. Paths, contents, sizes and times stand in it as
 *  hashes under `key` alone (32 secret bytes, borrowed): it answers no question about a file to whoever has not the
 * key.
 *
 *  The file is a table that is looked up and changed where it lies, so that memory does not grow with it, and a run
 * that is killed has remembered what it read. Every entry stands for itself: one that the key does not vouch for, torn
 * or forged, is none. Two processes may use one; of entries that they write at the same time one can be lost. What
 * cannot be written is not remembered, which costs time in the next run and no more. */
msfl_status msfl_memo_open(const char *folder, const uint8_t *key, msfl_memo **out) MSFL_NODISCARD;
void msfl_memo_close(msfl_memo *memo);

/** Hash of a file's bytes under the key, for a NIfTI header x.hdr together with those of its samples: remembered if
 * device, inode, size, time of change and time of modification agree. A file that was modified within the last two
 * seconds is not remembered: it could change again unnoticed. ERR_FORMAT for what is no regular file, ERR_LIMIT for one
 * longer than twice MSFL_VOLUME_BYTES_MAX. Thread-safe. */
msfl_status msfl_memo_content(msfl_memo *memo, const char *path, uint8_t out[MSFL_HASH_BYTES]) MSFL_NODISCARD;

/** Adds to `h` what stands in memory's place of a file: its path and how it looks from outside; of x.hdr also its
 *  samples'. ERR_MISSING if it is gone. */
msfl_status msfl_memo_look(const char *path, msfl_hash *h) MSFL_NODISCARD;

#endif
