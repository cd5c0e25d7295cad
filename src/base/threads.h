/* A thread pool whose parallel loops may nest. */
#ifndef MSFL_BASE_THREADS_H
#define MSFL_BASE_THREADS_H

#include "medsecurefl/status.h"

typedef struct msfl_pool msfl_pool;

/** `n_threads` counts the calling thread; 0 means one per core. 1 to 256. */
msfl_status msfl_pool_new(uint32_t n_threads, msfl_pool **out) MSFL_NODISCARD;
void msfl_pool_free(msfl_pool *pool);
uint32_t msfl_pool_threads(const msfl_pool *pool);

typedef msfl_status (*msfl_task_fn)(void *ctx, size_t index);

/**
 * Run fn(ctx, 0) ... fn(ctx, n - 1), in any order, on the caller and on idle workers, and wait for all.
 * May be called from inside a task: idle workers help with the innermost loops too. After a failure the indices not yet
 * begun are skipped; the status and message of the lowest failing index come back. A NULL pool runs them in order.
 * Results must not depend on which thread runs an index; then they do not depend on the number of threads either.
 */
msfl_status msfl_pool_run(msfl_pool *pool, size_t n, msfl_task_fn fn, void *ctx) MSFL_NODISCARD;

#endif
