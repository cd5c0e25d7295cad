/* Ciphertexts of the open round, in files: FOLDER/<number>-<client>.upload, every chunk at its place.
 *
 * A chunk is written as it comes, and may be lost with the machine's power until the upload is complete: then its file
 * is synced, once, before anything about it is journalled (coord_spool_sync). Files belong to one thread at a time.
 */
#ifndef MSFL_COORDINATOR_SPOOL_H
#define MSFL_COORDINATOR_SPOOL_H

#include "medsecurefl/machine.h"

typedef struct coord_spool coord_spool;

/** What one round's uploads are like. */
typedef struct coord_spool_shape {
    uint64_t number, n_chunks;
    size_t chunk_bytes;   /**< of the first chunk: none is longer */
    size_t last_bytes;    /**< of the last one */
    size_t trailer_bytes; /**< of what stands in the place of chunk n_chunks */
    uint32_t n_clients;
} coord_spool_shape;

/** `folder` is made if need be. */
msfl_status coord_spool_new(const char *folder, coord_spool **out) MSFL_NODISCARD;
void coord_spool_free(coord_spool *spool);
/** From now on it is about this round; files of others stay until they are dropped. */
msfl_status coord_spool_round(coord_spool *spool, const coord_spool_shape *shape) MSFL_NODISCARD;
/** As the machine takes it: put and get. ERR_USAGE for what the round does not have, ERR_IO, ERR_MISSING. */
msfl_spool coord_spool_callbacks(coord_spool *spool);
/** Make the uploads last that became complete since the last call. */
msfl_status coord_spool_sync(coord_spool *spool) MSFL_NODISCARD;
/** Whole chunks of this client in the file, from the first on; after a power cut they need not be what was written. */
uint64_t coord_spool_chunks(coord_spool *spool, uint32_t client);
/** While a machine is fed from the files, what it puts is there already and is not written again. */
void coord_spool_feeding(coord_spool *spool, bool on);
/** Remove the files of all rounds up to `number`. What cannot be removed is left for the next time. */
void coord_spool_drop(coord_spool *spool, uint64_t number);

#endif
