/* Working memory, small polynomials, and the secret key that both schemes use. */
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "base/taint.h"
#include "he/rlwe.h"

#include <string.h>

static void scratch_free(msfl_rlwe_scratch *s) {
    if (s == NULL) return;
    msfl_aes_free(s->aes);
    msfl_secret_free(s->stream);
    msfl_secret_free(s->seed);
    msfl_secret_free(s->noise);
    msfl_secret_free(s->small);
    msfl_secret_free(s->planes);
    msfl_free(s);
}

void msfl_rlwe_pool_init(msfl_rlwe_pool *pool, const msfl_rlwe *r, size_t n_planes) {
    pthread_mutex_init(&pool->mutex, NULL);
    pool->idle = NULL;
    pool->kernel = r->kernel;
    pool->degree = r->degree;
    pool->n_planes = n_planes;
}

void msfl_rlwe_pool_clear(msfl_rlwe_pool *pool) {
    while (pool->idle != NULL) {
        msfl_rlwe_scratch *s = pool->idle;
        pool->idle = s->next;
        scratch_free(s);
    }
    pthread_mutex_destroy(&pool->mutex);
}

static msfl_status scratch_new(const msfl_rlwe_pool *pool, msfl_rlwe_scratch **out) {
    *out = NULL;
    msfl_rlwe_scratch *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_ERR_MEMORY;
    msfl_status status = msfl_aes_new(pool->kernel, &s->aes);
    if (status != MSFL_OK) goto done;
    s->stream = msfl_secret_alloc(sizeof *s->stream);
    s->seed = msfl_secret_alloc(64);
    s->noise = msfl_secret_alloc(pool->degree);
    s->small = msfl_secret_alloc(pool->degree * sizeof *s->small);
    s->planes = msfl_secret_alloc(pool->degree * pool->n_planes * sizeof *s->planes);
    if (s->stream == NULL || s->seed == NULL || s->noise == NULL || s->small == NULL || s->planes == NULL) {
        status = MSFL_ERR_MEMORY;
    }
done:
    if (status != MSFL_OK) {
        scratch_free(s);
        return status;
    }
    *out = s;
    return MSFL_OK;
}

msfl_status msfl_rlwe_take(msfl_rlwe_pool *pool, msfl_rlwe_scratch **out) {
    pthread_mutex_lock(&pool->mutex);
    *out = pool->idle;
    if (pool->idle != NULL) pool->idle = pool->idle->next;
    pthread_mutex_unlock(&pool->mutex);
    return *out != NULL ? MSFL_OK : scratch_new(pool, out);
}

void msfl_rlwe_give(msfl_rlwe_pool *pool, msfl_rlwe_scratch *scratch) {
    if (scratch == NULL) return;
    pthread_mutex_lock(&pool->mutex);
    scratch->next = pool->idle;
    pool->idle = scratch;
    pthread_mutex_unlock(&pool->mutex);
}

msfl_status msfl_rlwe_draw(const msfl_rlwe *r, msfl_rlwe_scratch *scratch, const char *purpose, uint64_t number) {
    msfl_status status = msfl_rlwe_start_secret(r, scratch->aes, scratch->seed, purpose, number);
    if (status != MSFL_OK) return status;
    status = msfl_expand_noise(r->kernel, scratch->aes, scratch->stream, MSFL_RLWE_COINS, r->degree, scratch->noise);
    if (status != MSFL_OK) return status;
    for (size_t i = 0; i < r->degree; i++)
        scratch->small[i] =
            scratch->noise[i]; /* NOLINT(bugprone-signed-char-misuse,cert-str34-c): samples have a sign */
    return MSFL_OK;
}

/* The sum of N squares has mean 10.5 N and variance 2 * 10.5^2 N (1 - 1/42): 12 N is 3.2 standard deviations above at
 * N = 1024 and more beyond, so that a second draw is rare, and what it takes from a key's entropy less than 0.002 bits.
 * The number of draws is all that the time tells. */
msfl_status msfl_rlwe_draw_short(const msfl_rlwe *r, msfl_rlwe_scratch *scratch, const char *purpose) {
    for (uint64_t draw = 0; draw < MSFL_RLWE_DRAWS_MAX; draw++) {
        msfl_status status = msfl_rlwe_draw(r, scratch, purpose, draw);
        if (status != MSFL_OK) return status;
        int64_t squares = 0;
        for (size_t i = 0; i < r->degree; i++)
            squares += (int64_t)scratch->small[i] * scratch->small[i];
        bool is_short = squares <= (int64_t)MSFL_RLWE_NORM * r->degree;
        MSFL_DECLASSIFY(&is_short, sizeof is_short); /* true of every key that is used */
        if (is_short) return MSFL_OK;
    }
    return msfl_fail(MSFL_ERR_CRYPTO, "128 draws of a key were all too long: the random generator is broken");
}

/* --- secret key --- */

/** The id tells keys apart and nothing about them: a hash of a seed of 256 bits. */
static void name_key(const msfl_rlwe *r, msfl_rlwe_secret *key) {
    uint8_t digest[MSFL_HASH_BYTES];
    msfl_hash h;
    msfl_hash_init(&h, "msfl.rlwe.keyid.v1");
    msfl_hash_add_field(&h, r->scheme, strlen(r->scheme));
    msfl_hash_add(&h, r->fingerprint, sizeof r->fingerprint);
    msfl_hash_add(&h, key->seed, MSFL_RLWE_SEED_BYTES);
    msfl_hash_final(&h, digest);
    memcpy(key->id, digest, sizeof key->id);
    MSFL_DECLASSIFY(key->id, sizeof key->id); /* a one-way name, in every ciphertext */
    msfl_hash_clear(&h);
}

static msfl_status grow_key(const msfl_rlwe *r, msfl_rlwe_secret *key, msfl_rlwe_product product) {
    msfl_rlwe_scratch *scratch;
    msfl_status status = msfl_rlwe_take(&key->pool, &scratch);
    if (status != MSFL_OK) return status;
    memcpy(scratch->seed, key->seed, MSFL_RLWE_SEED_BYTES);
    status = msfl_rlwe_draw_short(r, scratch, "s");
    if (status == MSFL_OK) {
        memcpy(key->s, scratch->small, r->degree * sizeof *key->s);
        msfl_cell *x = key->prepared;
        for (uint32_t i = 0; i < r->n_primes; i++, x += r->degree) {
            msfl_rlwe_transform(r, i, x, key->s);
            if (product == MSFL_RLWE_TO_VALUES) msfl_rlwe_scale(r, i, x, r->degree % r->moduli[i].m.p);
            r->kernel->prepare(&r->moduli[i], x);
        }
    }
    msfl_rlwe_give(&key->pool, scratch);
    return status;
}

msfl_status msfl_rlwe_secret_init(const msfl_rlwe *r, msfl_rlwe_secret *key, const uint8_t *seed,
                                  msfl_rlwe_product product, size_t n_planes) {
    memset(key, 0, sizeof *key);
    msfl_rlwe_pool_init(&key->pool, r, n_planes);
    msfl_status status = MSFL_ERR_MEMORY;
    key->seed = msfl_secret_alloc(64);
    key->s = msfl_secret_alloc(r->degree * sizeof *key->s);
    key->prepared = msfl_secret_alloc((size_t)r->degree * r->n_primes * sizeof *key->prepared);
    if (key->seed == NULL || key->s == NULL || key->prepared == NULL) goto done;
    if (seed != NULL) {
        memcpy(key->seed, seed, MSFL_RLWE_SEED_BYTES);
    } else {
        msfl_random_bytes(key->seed, MSFL_RLWE_SEED_BYTES);
    }
    name_key(r, key);
    status = grow_key(r, key, product);
done:
    if (status != MSFL_OK) msfl_rlwe_secret_clear(key);
    return status;
}

void msfl_rlwe_secret_clear(msfl_rlwe_secret *key) {
    msfl_rlwe_pool_clear(&key->pool);
    msfl_secret_free(key->seed);
    msfl_secret_free(key->s);
    msfl_secret_free(key->prepared);
    memset(key, 0, sizeof *key);
}
