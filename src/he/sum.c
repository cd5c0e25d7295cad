/* The running sum of ciphertexts, and its opening. The sum is itself a ciphertext in the wire format. */
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "base/taint.h"
#include "he/scratch.h"

#include <stdatomic.h>
#include <string.h>

/** What opening needs beside the sum: the transforms of the key sum, made once and kept until another comes. */
typedef struct opener {
    pthread_rwlock_t lock;
    bool ready;
    size_t degree, n_planes;
    int32_t *key_sum;
    int64_t largest;     /* magnitude in it */
    msfl_cell *prepared; /* n_primes planes of N cells */
    msfl_scratch_pool pool;
} opener;

struct msfl_packed_sum {
    uint64_t n_values, n_chunks;
    uint32_t n_clients;
    uint8_t public_key[16];
    uint8_t *bytes;                      /* all chunks */
    uint32_t *addends;                   /* per chunk */
    _Atomic uint64_t folds, addends_max; /* over all chunks: they agree when folds = n_chunks addends_max */
    size_t full_bytes;                   /* of every chunk but the last */
    opener *opener;
};

static void opener_free(opener *o) {
    if (o == NULL) return;
    msfl_scratch_pool_clear(&o->pool);
    pthread_rwlock_destroy(&o->lock);
    /* Ordinary memory, since it is the coordinator's by right and too large to lock; it opens a sum all the same. */
    if (o->key_sum != NULL) msfl_wipe(o->key_sum, o->degree * sizeof *o->key_sum);
    if (o->prepared != NULL) msfl_wipe(o->prepared, o->degree * o->n_planes * sizeof *o->prepared);
    msfl_free(o->key_sum);
    msfl_free(o->prepared);
    msfl_free(o);
}

static opener *opener_new(const msfl_packed *ctx) {
    opener *o = msfl_alloc(1, sizeof *o);
    if (o == NULL) return NULL;
    pthread_rwlock_init(&o->lock, NULL);
    msfl_scratch_pool_init(&o->pool, ctx);
    size_t n = ctx->params.ring_degree;
    o->degree = n;
    o->n_planes = ctx->params.n_primes;
    o->key_sum = msfl_alloc(n, sizeof *o->key_sum);
    o->prepared = msfl_alloc(n * ctx->params.n_primes, sizeof *o->prepared);
    if (o->key_sum != NULL && o->prepared != NULL) return o;
    opener_free(o);
    return NULL;
}

msfl_status msfl_packed_sum_new(const msfl_packed *ctx, const uint8_t round_seed[MSFL_HASH_BYTES], uint64_t n_values,
                                msfl_packed_sum **out) {
    *out = NULL;
    if (n_values < 1) return msfl_fail(MSFL_ERR_USAGE, "a sum of updates of no values was asked for");
    msfl_packed_sum *sum = msfl_alloc(1, sizeof *sum);
    if (sum == NULL) return MSFL_ERR_MEMORY;
    sum->n_values = n_values;
    sum->n_chunks = msfl_packed_chunks(ctx, n_values);
    sum->n_clients = ctx->params.n_clients;
    sum->full_bytes = msfl_packed_chunk_bytes(ctx, n_values, 0);
    msfl_public_key_of_round(round_seed, sum->public_key);
    sum->bytes = msfl_alloc(msfl_ciphertext_bytes(&ctx->params, n_values), 1);
    sum->addends = msfl_alloc(sum->n_chunks, sizeof *sum->addends);
    sum->opener = opener_new(ctx);
    if (sum->bytes == NULL || sum->addends == NULL || sum->opener == NULL) {
        msfl_packed_sum_free(sum);
        return MSFL_ERR_MEMORY;
    }
    *out = sum;
    return MSFL_OK;
}

void msfl_packed_sum_free(msfl_packed_sum *sum) {
    if (sum == NULL) return;
    opener_free(sum->opener);
    msfl_free(sum->bytes);
    msfl_free(sum->addends);
    msfl_free(sum);
}

static msfl_status check_length(const msfl_packed *ctx, uint64_t n_values, uint64_t j, size_t length) {
    uint64_t n_chunks = msfl_packed_chunks(ctx, n_values);
    if (j >= n_chunks) {
        return msfl_fail(MSFL_ERR_USAGE, "chunk %llu of an update that has %llu", (unsigned long long)j,
                         (unsigned long long)n_chunks);
    }
    size_t expected = msfl_packed_chunk_bytes(ctx, n_values, j);
    if (length == expected) return MSFL_OK;
    return msfl_fail(MSFL_ERR_FORMAT,
                     "chunk %llu has %zu bytes and should have %zu: cut off, or made under other parameters",
                     (unsigned long long)j, length, expected);
}

static msfl_status out_of_range(uint64_t j, uint32_t prime) {
    return msfl_fail(MSFL_ERR_FORMAT,
                     "chunk %llu holds a residue that is not below prime %u, or padding that is not zero",
                     (unsigned long long)j, prime);
}

msfl_status msfl_packed_check(const msfl_packed *ctx, uint64_t n_values, uint64_t j, const uint8_t *bytes,
                              size_t length) {
    msfl_status status = check_length(ctx, n_values, j, length);
    if (status != MSFL_OK) return status;
    size_t n = msfl_shape_of(ctx, n_values, j).n_coefficients;
    for (uint32_t i = 0; i < ctx->params.n_primes; i++) {
        if (!ctx->kernel->check(&ctx->moduli[i], bytes, n)) return out_of_range(j, i);
        bytes += msfl_packed_bytes(&ctx->moduli[i], n);
    }
    return MSFL_OK;
}

msfl_status msfl_packed_fold(const msfl_packed *ctx, msfl_packed_sum *sum, uint64_t j, const uint8_t *bytes,
                             size_t length) {
    msfl_status status = check_length(ctx, sum->n_values, j, length);
    if (status != MSFL_OK) return status;
    if (sum->addends[j] >= sum->n_clients) {
        return msfl_fail(MSFL_ERR_LIMIT, "chunk %llu already has %u addends, as many as the parameters hold",
                         (unsigned long long)j, sum->n_clients);
    }
    size_t n = msfl_shape_of(ctx, sum->n_values, j).n_coefficients;
    uint8_t *at = sum->bytes + j * sum->full_bytes;
    for (uint32_t i = 0; i < ctx->params.n_primes; i++) {
        const msfl_modulus *m = &ctx->moduli[i];
        bool good = ctx->kernel->fold(m, at, bytes, n);
        at += msfl_packed_bytes(m, n);
        bytes += msfl_packed_bytes(m, n);
        if (good) continue;
        /* Take back this prime and those before it. */
        for (uint32_t k = i + 1; k-- > 0;) {
            size_t plane = msfl_packed_bytes(&ctx->moduli[k], n);
            at -= plane;
            bytes -= plane;
            ctx->kernel->unfold(&ctx->moduli[k], at, bytes, n);
        }
        return out_of_range(j, i);
    }
    uint64_t addends = ++sum->addends[j], most = atomic_load(&sum->addends_max);
    while (addends > most && !atomic_compare_exchange_weak(&sum->addends_max, &most, addends)) {
    }
    atomic_fetch_add(&sum->folds, 1);
    return MSFL_OK;
}

msfl_status msfl_packed_sum_set(const msfl_packed *ctx, msfl_packed_sum *sum, uint64_t j, uint32_t n_addends,
                                const uint8_t *bytes, size_t length) {
    msfl_status status = msfl_packed_check(ctx, sum->n_values, j, bytes, length);
    if (status != MSFL_OK) return status;
    if (n_addends < 1 || n_addends > sum->n_clients) {
        return msfl_fail(MSFL_ERR_LIMIT, "chunk %llu of a sum of %u addends; the parameters hold 1 to %u",
                         (unsigned long long)j, n_addends, sum->n_clients);
    }
    if (sum->addends[j] != 0 && sum->addends[j] != n_addends) {
        return msfl_fail(MSFL_ERR_MISMATCH, "chunk %llu has %u addends already and was to have %u",
                         (unsigned long long)j, sum->addends[j], n_addends);
    }
    memcpy(sum->bytes + j * sum->full_bytes, bytes, length);
    uint64_t most = atomic_load(&sum->addends_max);
    while (n_addends > most && !atomic_compare_exchange_weak(&sum->addends_max, &most, n_addends)) {
    }
    atomic_fetch_add(&sum->folds, n_addends - sum->addends[j]);
    sum->addends[j] = n_addends;
    return MSFL_OK;
}

msfl_status msfl_packed_sum_get(const msfl_packed *ctx, const msfl_packed_sum *sum, uint64_t j, uint8_t *bytes) {
    if (j >= sum->n_chunks) {
        return msfl_fail(MSFL_ERR_USAGE, "chunk %llu of a sum that has %llu", (unsigned long long)j,
                         (unsigned long long)sum->n_chunks);
    }
    memcpy(bytes, sum->bytes + j * sum->full_bytes, msfl_packed_chunk_bytes(ctx, sum->n_values, j));
    return MSFL_OK;
}

uint32_t msfl_packed_sum_addends(const msfl_packed_sum *sum) {
    uint64_t most = atomic_load(&sum->addends_max);
    return atomic_load(&sum->folds) == sum->n_chunks * most ? (uint32_t)most : 0;
}

static msfl_status wrong_key(uint64_t j, uint32_t n_addends) {
    return msfl_fail(
        MSFL_ERR_CRYPTO,
        "chunk %llu does not open: the key sum is not that of exactly the %u clients whose ciphertexts were "
        "added",
        (unsigned long long)j, n_addends);
}

/** Whether a and b are the same everywhere; as quick for those that are not. */
static bool same(const int32_t *a, const int32_t *b, size_t n) {
    uint32_t differs = 0;
    for (size_t i = 0; i < n; i++)
        differs |= (uint32_t)a[i] ^ (uint32_t)b[i];
    MSFL_DECLASSIFY(&differs, sizeof differs); /* whether it is the key sum of the last call */
    return differs == 0;
}

/** Largest magnitude, by masks. */
static int64_t largest_of(const int32_t *s, size_t n) {
    int64_t largest = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t sign = s[i] >> 31, magnitude = (s[i] ^ sign) - sign, less = largest - magnitude;
        largest -= less & (less >> 63);
    }
    return largest;
}

/** Whether it is within the bound: the refusal is all that is told. */
static bool within(int64_t largest, int64_t magnitude_max) {
    bool good = largest <= magnitude_max;
    MSFL_DECLASSIFY(&good, sizeof good);
    return good;
}

/** Leaves the opener read-locked with the transforms of `key_sum` in place; or not locked and false, if a coefficient
 * is larger than `magnitude_max`. */
static bool prepare(const msfl_packed *ctx, opener *o, const int32_t *key_sum, int64_t magnitude_max) {
    size_t n = ctx->params.ring_degree, bytes = n * sizeof *key_sum;
    for (;;) {
        pthread_rwlock_rdlock(&o->lock);
        if (o->ready && same(o->key_sum, key_sum, n)) {
            if (within(o->largest, magnitude_max)) return true;
            pthread_rwlock_unlock(&o->lock);
            return false;
        }
        pthread_rwlock_unlock(&o->lock);
        int64_t largest = largest_of(key_sum, n);
        if (!within(largest, magnitude_max)) return false;
        pthread_rwlock_wrlock(&o->lock);
        if (!o->ready || !same(o->key_sum, key_sum, n)) {
            memcpy(o->key_sum, key_sum, bytes);
            o->largest = largest;
            msfl_prepare_key(ctx, key_sum, o->prepared);
            o->ready = true;
        }
        pthread_rwlock_unlock(&o->lock);
    }
}

msfl_status msfl_packed_open(const msfl_packed *ctx, const msfl_packed_sum *sum, uint64_t j, uint32_t n_addends,
                             const int32_t *key_sum, uint64_t *totals) {
    if (j >= sum->n_chunks) {
        return msfl_fail(MSFL_ERR_USAGE, "chunk %llu of an update that has %llu", (unsigned long long)j,
                         (unsigned long long)sum->n_chunks);
    }
    msfl_chunk_shape shape = msfl_shape_of(ctx, sum->n_values, j);
    size_t n = ctx->params.ring_degree;
    msfl_scratch *scratch = NULL;
    msfl_status status;
    if (n_addends < 1 || msfl_packed_sum_addends(sum) != n_addends) {
        status = msfl_fail(MSFL_ERR_MISMATCH,
                           "chunk %llu has %u addends, the whole sum %u (0: chunks differ), and %u were to be opened",
                           (unsigned long long)j, sum->addends[j], msfl_packed_sum_addends(sum), n_addends);
        goto done;
    }
    status = msfl_scratch_take(&sum->opener->pool, &scratch);
    if (status != MSFL_OK) goto done;
    if (!prepare(ctx, sum->opener, key_sum, (int64_t)MSFL_KEY_MAX * n_addends)) {
        status = wrong_key(j, n_addends);
        goto done;
    }
    const uint8_t *at = sum->bytes + j * sum->full_bytes;
    for (uint32_t i = 0; i < ctx->params.n_primes; i++) {
        const msfl_modulus *m = &ctx->moduli[i];
        msfl_cell *x = scratch->planes + i * n;
        status = msfl_start_public(scratch->aes, sum->public_key, j, i);
        if (status != MSFL_OK) goto unlock;
        status = msfl_expand(m, scratch->aes, scratch->stream, sum->opener->prepared + i * n, x);
        if (status != MSFL_OK) goto unlock;
        ctx->kernel->inverse(m, x);
        ctx->kernel->subtract_from(m, x, at, ctx->codec.cofactor_inverse[i], shape.n_coefficients);
        at += msfl_packed_bytes(m, shape.n_coefficients);
    }
    uint64_t total_max = n_addends * (((uint64_t)1 << ctx->params.value_bits) - 1);
    bool opens =
        ctx->kernel->lift(&ctx->codec, scratch->planes, n, shape, msfl_noise_bound(n_addends), total_max, totals);
    MSFL_DECLASSIFY(&opens, sizeof opens); /* the refusal */
    if (!opens) status = wrong_key(j, n_addends);
unlock:
    pthread_rwlock_unlock(&sum->opener->lock);
done:
    if (status != MSFL_OK) memset(totals, 0, shape.n_slots * sizeof *totals);
    msfl_scratch_give(&sum->opener->pool, scratch);
    return status;
}
