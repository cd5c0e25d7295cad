/* Working memory for chunks: one piece per thread at work, kept by the key or sum that it works for, and wiped with it.
 */
#ifndef MSFL_HE_SCRATCH_H
#define MSFL_HE_SCRATCH_H

#include "he/context.h"

#include <pthread.h>

/** What one thread needs for one chunk; all of it secret memory. */
typedef struct msfl_scratch {
    struct msfl_scratch *next;
    msfl_aes *aes;
    msfl_stream *stream;
    msfl_cell *x;      /**< N cells */
    msfl_cell *planes; /**< n_primes planes of N cells */
    int8_t *noise;     /**< N */
} msfl_scratch;

typedef struct msfl_scratch_pool {
    pthread_mutex_t mutex;
    msfl_scratch *idle;
    const msfl_kernel *kernel;
    size_t degree, n_planes;
} msfl_scratch_pool;

void msfl_scratch_pool_init(msfl_scratch_pool *pool, const msfl_packed *ctx);
/** Wipes and frees all scratch; none may be in use. */
void msfl_scratch_pool_clear(msfl_scratch_pool *pool);
/** Scratch that nobody else uses until it is given back. */
msfl_status msfl_scratch_take(msfl_scratch_pool *pool, msfl_scratch **out) MSFL_NODISCARD;
/** NULL is fine. */
void msfl_scratch_give(msfl_scratch_pool *pool, msfl_scratch *scratch);

#endif
