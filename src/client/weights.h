/* Weights that the federation shares: fetched once, checked by their hash, kept until the next ones are. */
#ifndef MSFL_CLIENT_WEIGHTS_H
#define MSFL_CLIENT_WEIGHTS_H

#include "client/link.h"
#include "job/spec.h"

/**
 * The weights of this hash, from `folder` if they lie there, else from the coordinator. `*weights`: n_values finite
 * floats; msfl_free.
 * @retval MSFL_ERR_MISMATCH  what came has another hash
 * @retval MSFL_ERR_NUMERIC   a value is not finite
 */
msfl_status client_weights_fetch(client_link *link, const char *job, uint32_t index,
                                 const uint8_t hash[MSFL_HASH_BYTES], const char *folder, const job_shape *shape,
                                 const net_progress *progress, float **weights) MSFL_NODISCARD;

/** From a file of n_values little-endian floats. */
msfl_status client_weights_read(const char *path, const job_shape *shape, float **weights) MSFL_NODISCARD;

#endif
