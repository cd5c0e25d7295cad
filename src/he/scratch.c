#include "he/scratch.h"

#include "base/mem.h"
#include "base/sodium.h"

static void scratch_free(msfl_scratch *s) {
    if (s == NULL) return;
    msfl_aes_free(s->aes);
    msfl_secret_free(s->stream);
    msfl_secret_free(s->x);
    msfl_secret_free(s->planes);
    msfl_secret_free(s->noise);
    msfl_free(s);
}

void msfl_scratch_pool_init(msfl_scratch_pool *pool, const msfl_packed *ctx) {
    pthread_mutex_init(&pool->mutex, NULL);
    pool->idle = NULL;
    pool->kernel = ctx->kernel;
    pool->degree = ctx->params.ring_degree;
    pool->n_planes = ctx->params.n_primes;
}

void msfl_scratch_pool_clear(msfl_scratch_pool *pool) {
    while (pool->idle != NULL) {
        msfl_scratch *s = pool->idle;
        pool->idle = s->next;
        scratch_free(s);
    }
    pthread_mutex_destroy(&pool->mutex);
}

static msfl_status scratch_new(const msfl_scratch_pool *pool, msfl_scratch **out) {
    *out = NULL;
    msfl_scratch *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_ERR_MEMORY;
    msfl_status status = msfl_aes_new(pool->kernel, &s->aes);
    if (status != MSFL_OK) goto done;
    s->stream = msfl_secret_alloc(sizeof *s->stream);
    s->x = msfl_secret_alloc(pool->degree * sizeof *s->x);
    s->planes = msfl_secret_alloc(pool->degree * pool->n_planes * sizeof *s->planes);
    s->noise = msfl_secret_alloc(pool->degree);
    if (s->stream == NULL || s->x == NULL || s->planes == NULL || s->noise == NULL) status = MSFL_ERR_MEMORY;
done:
    if (status != MSFL_OK) {
        scratch_free(s);
        return status;
    }
    *out = s;
    return MSFL_OK;
}

msfl_status msfl_scratch_take(msfl_scratch_pool *pool, msfl_scratch **out) {
    pthread_mutex_lock(&pool->mutex);
    *out = pool->idle;
    if (pool->idle != NULL) pool->idle = pool->idle->next;
    pthread_mutex_unlock(&pool->mutex);
    return *out != NULL ? MSFL_OK : scratch_new(pool, out);
}

void msfl_scratch_give(msfl_scratch_pool *pool, msfl_scratch *scratch) {
    if (scratch == NULL) return;
    pthread_mutex_lock(&pool->mutex);
    scratch->next = pool->idle;
    pool->idle = scratch;
    pthread_mutex_unlock(&pool->mutex);
}
