/* This hospital's own upload until it is acknowledged: its ciphertext on disk, one file for each round. */
#ifndef MSFL_CLIENT_SPOOL_H
#define MSFL_CLIENT_SPOOL_H

#include "medsecurefl/machine.h"

typedef struct client_spool client_spool; /**< one thread at a time */

/** `folder` exists, and is for this alone. */
msfl_status client_spool_new(const char *folder, client_spool **out) MSFL_NODISCARD;
void client_spool_free(client_spool *spool);

/** For a site's configuration. Chunks of a round have the length of its first, but for the last. */
msfl_spool client_spool_of(client_spool *spool);
/** On disk: what was put so far. Before the record that says that the upload is sealed. */
msfl_status client_spool_sync(client_spool *spool) MSFL_NODISCARD;
/** Forget all rounds up to `number`. */
msfl_status client_spool_drop(client_spool *spool, uint64_t number) MSFL_NODISCARD;

#endif
