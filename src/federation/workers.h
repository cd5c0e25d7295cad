/* Compiled networks that take turns: one per thread, however many hospitals there are. */
#ifndef MSFL_FEDERATION_WORKERS_H
#define MSFL_FEDERATION_WORKERS_H

#include "base/threads.h"
#include "medsecurefl/train.h"

typedef struct fed_workers fed_workers;

/** One trainer per thread of the pool (0: all cores), each for batches of `batch`. */
msfl_status fed_workers_new(const msfl_model *model, uint32_t batch, uint32_t n_threads,
                            fed_workers **out) MSFL_NODISCARD;
void fed_workers_free(fed_workers *workers);

/** The pool on which hospitals run side by side. */
msfl_pool *fed_workers_pool(const fed_workers *workers);

/** A trainer for exclusive use; waits until one is free. Give it back with fed_workers_release. */
msfl_trainer *fed_workers_acquire(fed_workers *workers);
void fed_workers_release(fed_workers *workers, msfl_trainer *trainer);

#endif
