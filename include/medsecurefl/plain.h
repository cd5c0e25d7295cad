/* No encryption, by that name: sums of vectors that everyone can read. Layer: he.
 *
 * The baseline that the encrypting schemes are compared with, in the same chunks and with the same checks. Nothing
 * falls back to it: who calls it says "plain".
 */
#ifndef MEDSECUREFL_PLAIN_H
#define MEDSECUREFL_PLAIN_H

#include "medsecurefl/params.h"

MSFL_BEGIN_DECLS

enum { MSFL_PLAIN_CHUNK = 16384 /**< values in a full chunk */ };

/** Plain data, agreed by all; every function checks it. */
typedef struct msfl_plain_shape {
    uint32_t n_clients;  /**< most vectors that will ever be added: 1 to MSFL_CLIENTS_MAX */
    uint32_t value_bits; /**< b: 2 to 32 */
    uint64_t n_values;   /**< 1 to 2^34 */
} msfl_plain_shape;

/** Chunks of a vector; values and bytes of chunk `j` (values take ceil(log2(n (2^b - 1) + 1)) bits each, as they do in
 *  a sum); 0 for a chunk that is not there and for a shape out of range. */
MSFL_API uint64_t msfl_plain_chunks(const msfl_plain_shape *shape);
/** Values in chunk `j`; 0 beyond the last. */
MSFL_API uint32_t msfl_plain_chunk_values(const msfl_plain_shape *shape, uint64_t j);
/** Bytes of chunk `j`; 0 beyond the last. */
MSFL_API size_t msfl_plain_chunk_bytes(const msfl_plain_shape *shape, uint64_t j);

/**
 * Write chunk `j`, in the clear, under a label (a round id).
 * @retval MSFL_ERR_USAGE    no such chunk, or a shape out of range
 * @retval MSFL_ERR_NUMERIC  a value is 2^value_bits or more; `out` is unchanged
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_plain_write(const msfl_plain_shape *shape,
                                                     const uint8_t label[MSFL_HASH_BYTES], uint64_t j,
                                                     const uint32_t *values, uint8_t *out);

/** Whether `bytes` is a chunk j of this shape and label; `n_addends` (may be NULL) gets how many vectors are added up
 * in it. ERR_FORMAT, ERR_MISMATCH, ERR_UNSUPPORTED as below. */
MSFL_API MSFL_NODISCARD msfl_status msfl_plain_check(const msfl_plain_shape *shape,
                                                     const uint8_t label[MSFL_HASH_BYTES], uint64_t j,
                                                     const uint8_t *bytes, size_t length, uint32_t *n_addends);

/**
 * acc <- acc + chunk, both of `length` bytes. On any error `acc` is unchanged.
 * @retval MSFL_ERR_FORMAT    not a chunk, wrong length, or a value that its addends cannot add up to
 * @retval MSFL_ERR_MISMATCH  of another shape, label or position
 * @retval MSFL_ERR_LIMIT     more than n_clients addends
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_plain_add(const msfl_plain_shape *shape, const uint8_t label[MSFL_HASH_BYTES],
                                                   uint64_t j, uint8_t *acc, const uint8_t *chunk, size_t length);

/** Read chunk `j`: `totals` gets msfl_plain_chunk_values sums, zeroed on error; `n_addends` may be NULL. Errors as
 * above. */
MSFL_API MSFL_NODISCARD msfl_status msfl_plain_read(const msfl_plain_shape *shape, const uint8_t label[MSFL_HASH_BYTES],
                                                    uint64_t j, const uint8_t *bytes, size_t length,
                                                    uint32_t *n_addends, uint64_t *totals);

MSFL_END_DECLS

#endif
