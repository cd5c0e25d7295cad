#include "base/threads.h"

#include "base/error.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

/* One parallel loop. Lives on its caller's stack; all fields are under the pool's mutex. */
typedef struct job {
    msfl_task_fn fn;
    void *ctx;
    size_t n, next, running;
    size_t failed_index;
    msfl_status status;
    char message[1024];
    struct job *below;
} job;

struct msfl_pool {
    pthread_mutex_t mutex;
    pthread_cond_t work, done;
    job *newest; /* stack of open loops: helpers take from the innermost first */
    bool stopping;
    uint32_t n_threads, n_started;
    pthread_t *threads;
};

static job *job_with_work(msfl_pool *pool) {
    for (job *j = pool->newest; j != NULL; j = j->below) {
        if (j->next < j->n) return j;
    }
    return NULL;
}

/* Run one index of `j`. Called and returns with the mutex held. */
static void run_one(msfl_pool *pool, job *j) {
    size_t index = j->next++;
    j->running++;
    pthread_mutex_unlock(&pool->mutex);
    msfl_status status = j->fn(j->ctx, index);
    pthread_mutex_lock(&pool->mutex);
    if (status != MSFL_OK && (j->status == MSFL_OK || index < j->failed_index)) {
        j->status = status;
        j->failed_index = index;
        snprintf(j->message, sizeof j->message, "%s", msfl_error_message());
        j->next = j->n;
    }
    j->running--;
    if (j->running == 0 && j->next >= j->n) pthread_cond_broadcast(&pool->done);
}

static void *worker(void *arg) {
    msfl_pool *pool = arg;
    pthread_mutex_lock(&pool->mutex);
    while (!pool->stopping) {
        job *j = job_with_work(pool);
        if (j != NULL) {
            run_one(pool, j);
        } else {
            pthread_cond_wait(&pool->work, &pool->mutex);
        }
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

msfl_status msfl_pool_new(uint32_t n_threads, msfl_pool **out) {
    *out = NULL;
    if (n_threads == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        n_threads = cores < 1 ? 1 : cores > 256 ? 256 : (uint32_t)cores;
    }
    if (n_threads > 256)
        return msfl_fail(MSFL_ERR_LIMIT, "%u threads were asked for; 1 to 256 are possible", n_threads);
    msfl_pool *pool = msfl_alloc(1, sizeof *pool);
    if (pool == NULL) return MSFL_ERR_MEMORY;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    pool->n_threads = n_threads;
    pool->threads = msfl_alloc(n_threads, sizeof *pool->threads);
    if (pool->threads == NULL) {
        msfl_pool_free(pool);
        return MSFL_ERR_MEMORY;
    }
    for (; pool->n_started + 1 < n_threads; pool->n_started++) {
        int error = pthread_create(&pool->threads[pool->n_started], NULL, worker, pool);
        if (error != 0) {
            msfl_pool_free(pool);
            return msfl_fail_errno(error, "a worker thread could not be started");
        }
    }
    *out = pool;
    return MSFL_OK;
}

void msfl_pool_free(msfl_pool *pool) {
    if (pool == NULL) return;
    pthread_mutex_lock(&pool->mutex);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
    for (uint32_t i = 0; i < pool->n_started; i++)
        pthread_join(pool->threads[i], NULL);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->done);
    pthread_mutex_destroy(&pool->mutex);
    msfl_free(pool->threads);
    msfl_free(pool);
}

uint32_t msfl_pool_threads(const msfl_pool *pool) {
    return pool == NULL ? 1 : pool->n_threads;
}

msfl_status msfl_pool_run(msfl_pool *pool, size_t n, msfl_task_fn fn, void *ctx) {
    if (pool == NULL || pool->n_threads == 1 || n <= 1) {
        for (size_t i = 0; i < n; i++) {
            msfl_status status = fn(ctx, i);
            if (status != MSFL_OK) return status;
        }
        return MSFL_OK;
    }
    job j = {.fn = fn, .ctx = ctx, .n = n};
    pthread_mutex_lock(&pool->mutex);
    j.below = pool->newest;
    pool->newest = &j;
    pthread_cond_broadcast(&pool->work);
    while (j.next < j.n)
        run_one(pool, &j);
    while (j.running > 0)
        pthread_cond_wait(&pool->done, &pool->mutex);
    /* Loops of other threads may have been opened above this one. */
    for (job **at = &pool->newest; *at != NULL; at = &(*at)->below) {
        if (*at == &j) {
            *at = j.below;
            break;
        }
    }
    pthread_mutex_unlock(&pool->mutex);
    if (j.status != MSFL_OK) msfl_error_set(j.message);
    return j.status;
}
