/* What a process must not forget: append-only journals, and small values by name, in one file. Layer: store.
 *
 * Whatever a function here reports as done is on disk: a crash, a kill or a power cut right after its return loses
 * nothing, one before leaves all of the step or nothing. Records carry a checksum of their own, so that a disk that
 * changed one is noticed. One process at a time; any thread of it may call.
 */
#ifndef MSFL_STORE_JOURNAL_H
#define MSFL_STORE_JOURNAL_H

#include "medsecurefl/status.h"

enum {
    STORE_OWNER_MAX = 80,             /**< bytes of an owner's name */
    STORE_NAME_MAX = 160,             /**< of a value's name */
    STORE_RECORD_BYTES_MAX = 32 << 20 /**< a transcript of 10,000 hospitals has 7 MB */
};

typedef struct store store;

/**
 * Open or make the file. It is held until store_close.
 * @retval MSFL_ERR_EXISTS       another process has it
 * @retval MSFL_ERR_FORMAT       damaged, or something else
 * @retval MSFL_ERR_UNSUPPORTED  of a later version
 * @retval MSFL_ERR_IO           cannot be written
 */
msfl_status store_open(const char *path, store **out) MSFL_NODISCARD;
/** NULL is fine. */
void store_close(store *store);

/* --- journals: one for each (task, owner) --- */

/** Append; on disk when it returns OK. `owner` names who writes: "coordinator", "member", "site". `sequence` (may be
 *  NULL) gets the record's place: ascending, from 1, in all journals of the file together. ERR_IO when the disk is
 *  full: the record is then not there, and nothing that it stands for may leave. */
msfl_status store_append(store *store, const uint8_t task[MSFL_HASH_BYTES], const char *owner, const uint8_t *record,
                         size_t length, uint64_t *sequence) MSFL_NODISCARD;

/** One record, borrowed for the call. A failure ends the replay and comes back from it. Must not use the store. */
typedef msfl_status (*store_each)(void *ctx, uint64_t sequence, const uint8_t *record, size_t length);

/** All records of a journal in the order in which they were appended. ERR_FORMAT: one is not as it was written. */
msfl_status store_replay(store *store, const uint8_t task[MSFL_HASH_BYTES], const char *owner, store_each each,
                         void *ctx) MSFL_NODISCARD;

/** Forget the records before `sequence`, but keep `keep` (0: none; a hospital keeps its last history). */
msfl_status store_cut(store *store, const uint8_t task[MSFL_HASH_BYTES], const char *owner, uint64_t sequence,
                      uint64_t keep) MSFL_NODISCARD;

/* --- values by name --- */

/** Set; on disk when it returns OK. At most STORE_RECORD_BYTES_MAX bytes. */
msfl_status store_put(store *store, const char *name, const void *bytes, size_t length) MSFL_NODISCARD;
/** `*bytes` NULL if there is no such value; free with msfl_free. A closing zero follows and is not counted. */
msfl_status store_get(store *store, const char *name, uint8_t **bytes, size_t *length) MSFL_NODISCARD;

/* --- several steps as one --- */

/** Until store_commit or store_rollback all steps of this thread are one: kept together or not at all, and on disk
 *  after the commit alone. Other threads wait. Not nested. When the commit fails nothing was kept. */
msfl_status store_begin(store *store) MSFL_NODISCARD;
msfl_status store_commit(store *store) MSFL_NODISCARD;
void store_rollback(store *store);

#endif
