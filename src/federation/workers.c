#include "federation/workers.h"

#include "base/mem.h"

#include <pthread.h>

struct fed_workers {
    msfl_pool *pool;
    pthread_mutex_t mutex;
    pthread_cond_t freed;
    uint32_t n;
    msfl_trainer **trainers;
    bool *busy;
};

msfl_status fed_workers_new(const msfl_model *model, uint32_t batch, uint32_t n_threads, fed_workers **out) {
    *out = NULL;
    fed_workers *w = msfl_alloc(1, sizeof *w);
    if (w == NULL) return MSFL_ERR_MEMORY;
    pthread_mutex_init(&w->mutex, NULL);
    pthread_cond_init(&w->freed, NULL);
    msfl_status status = msfl_pool_new(n_threads, &w->pool);
    if (status != MSFL_OK) goto done;
    w->n = msfl_pool_threads(w->pool);
    w->trainers = msfl_alloc(w->n, sizeof(msfl_trainer *));
    w->busy = msfl_alloc(w->n, sizeof *w->busy);
    if (w->trainers == NULL || w->busy == NULL) {
        status = MSFL_ERR_MEMORY;
        goto done;
    }
    for (uint32_t i = 0; i < w->n; i++) {
        /* Trainers that share keep at most n_threads threads busy between them, whoever calls. */
        status = msfl_trainer_new(model, batch, w->n, i == 0 ? NULL : w->trainers[0], &w->trainers[i]);
        if (status != MSFL_OK) goto done;
    }
    *out = w;
    w = NULL;
done:
    fed_workers_free(w);
    return status;
}

void fed_workers_free(fed_workers *w) {
    if (w == NULL) return;
    /* The first trainer may own what the others share. */
    for (uint32_t i = w->trainers == NULL ? 0 : w->n; i > 0; i--)
        msfl_trainer_free(w->trainers[i - 1]);
    msfl_pool_free(w->pool);
    pthread_cond_destroy(&w->freed);
    pthread_mutex_destroy(&w->mutex);
    msfl_free(w->trainers);
    msfl_free(w->busy);
    msfl_free(w);
}

msfl_pool *fed_workers_pool(const fed_workers *w) {
    return w->pool;
}

msfl_trainer *fed_workers_acquire(fed_workers *w) {
    msfl_trainer *trainer = NULL;
    pthread_mutex_lock(&w->mutex);
    while (trainer == NULL) {
        for (uint32_t i = 0; i < w->n && trainer == NULL; i++) {
            if (w->busy[i]) continue;
            w->busy[i] = true;
            trainer = w->trainers[i];
        }
        /* The pool runs at most n tasks at a time, so this waits only if someone holds two. */
        if (trainer == NULL) pthread_cond_wait(&w->freed, &w->mutex);
    }
    pthread_mutex_unlock(&w->mutex);
    return trainer;
}

void fed_workers_release(fed_workers *w, msfl_trainer *trainer) {
    pthread_mutex_lock(&w->mutex);
    for (uint32_t i = 0; i < w->n; i++) {
        if (w->trainers[i] == trainer) w->busy[i] = false;
    }
    pthread_cond_signal(&w->freed);
    pthread_mutex_unlock(&w->mutex);
}
