/* One client's key for one round, and encryption under it. */
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "base/taint.h"
#include "he/scratch.h"

#include <stdatomic.h>
#include <string.h>

struct msfl_packed_key {
    uint64_t n_values, n_chunks;
    uint8_t public_key[16];
    uint8_t *seed;          /* secret: 32 bytes from the operating system */
    int32_t *s;             /* secret: N coefficients */
    msfl_cell *prepared;    /* secret: their transforms, n_primes planes */
    _Atomic uint64_t *used; /* one bit per chunk */
    msfl_scratch_pool pool;
};

/** A 32-byte key for one purpose out of the key's seed. */
static void derive(const uint8_t seed[32], const char *label, uint64_t number, uint8_t key[32]) {
    msfl_hash h;
    msfl_hash_init(&h, label);
    msfl_hash_add(&h, seed, 32);
    msfl_hash_add_u64(&h, number);
    msfl_hash_final(&h, key);
    msfl_hash_clear(&h);
}

static msfl_status start_secret(msfl_aes *aes, const uint8_t seed[32], const char *label, uint64_t number) {
    uint8_t key[32], iv[MSFL_AES_BLOCK] = {0};
    derive(seed, label, number, key);
    msfl_status status = msfl_aes_start(aes, key, sizeof key, iv);
    msfl_wipe(key, sizeof key);
    return status;
}

/** s from the seed. Uses the noise array of the scratch. */
static msfl_status draw_key(const msfl_packed *ctx, msfl_packed_key *key) {
    msfl_scratch *scratch;
    msfl_status status = msfl_scratch_take(&key->pool, &scratch);
    if (status != MSFL_OK) return status;
    size_t n = ctx->params.ring_degree;
    status = start_secret(scratch->aes, key->seed, "msfl.packed.key.v1", 0);
    if (status == MSFL_OK) {
        status = msfl_expand_noise(ctx->kernel, scratch->aes, scratch->stream, MSFL_KEY_BITS, n, scratch->noise);
    }
    if (status == MSFL_OK) {
        for (size_t i = 0; i < n; i++)
            key->s[i] = scratch->noise[i]; /* NOLINT(bugprone-signed-char-misuse,cert-str34-c): samples have a sign */
        msfl_prepare_key(ctx, key->s, key->prepared);
    }
    msfl_scratch_give(&key->pool, scratch);
    return status;
}

msfl_status msfl_packed_key_new(const msfl_packed *ctx, const uint8_t round_seed[MSFL_HASH_BYTES], uint64_t n_values,
                                msfl_packed_key **out) {
    *out = NULL;
    if (n_values < 1) return msfl_fail(MSFL_ERR_USAGE, "a key for an update of no values was asked for");
    size_t n = ctx->params.ring_degree;
    msfl_packed_key *key = msfl_alloc(1, sizeof *key);
    if (key == NULL) return MSFL_ERR_MEMORY;
    msfl_status status = MSFL_ERR_MEMORY;
    msfl_scratch_pool_init(&key->pool, ctx);
    key->n_values = n_values;
    key->n_chunks = msfl_packed_chunks(ctx, n_values);
    msfl_public_key_of_round(round_seed, key->public_key);
    key->used = msfl_alloc(key->n_chunks / 64 + 1, sizeof *key->used);
    key->seed = msfl_secret_alloc(64);
    key->s = msfl_secret_alloc(n * sizeof *key->s);
    key->prepared = msfl_secret_alloc(n * ctx->params.n_primes * sizeof *key->prepared);
    if (key->used == NULL || key->seed == NULL || key->s == NULL || key->prepared == NULL) goto done;
    msfl_random_bytes(key->seed, 32);
    status = draw_key(ctx, key);
done:
    if (status != MSFL_OK) {
        msfl_packed_key_free(key);
        return status;
    }
    *out = key;
    return MSFL_OK;
}

void msfl_packed_key_free(msfl_packed_key *key) {
    if (key == NULL) return;
    msfl_scratch_pool_clear(&key->pool);
    msfl_secret_free(key->seed);
    msfl_secret_free(key->s);
    msfl_secret_free(key->prepared);
    msfl_free((void *)key->used);
    msfl_free(key);
}

const int32_t *msfl_packed_key_borrow(const msfl_packed_key *key) {
    return key->s;
}

/** True once for every chunk. */
static bool claim(msfl_packed_key *key, uint64_t j) {
    uint64_t bit = (uint64_t)1 << (j % 64);
    return (atomic_fetch_or(&key->used[j / 64], bit) & bit) == 0;
}

static bool was_claimed(msfl_packed_key *key, uint64_t j) {
    return (atomic_load(&key->used[j / 64]) >> (j % 64) & 1) != 0;
}

static msfl_status repeated(uint64_t j) {
    return msfl_fail(
        MSFL_ERR_POLICY,
        "chunk %llu was encrypted with this key before: a second ciphertext would reveal the difference of "
        "the two messages; take a new key in a new round",
        (unsigned long long)j);
}

/** Residues of t e + m in the planes of the scratch. */
static msfl_status encode(const msfl_packed *ctx, const msfl_packed_key *key, uint64_t j, const uint32_t *slots,
                          msfl_chunk_shape shape, msfl_scratch *scratch) {
    msfl_status status = start_secret(scratch->aes, key->seed, "msfl.packed.noise.v1", j);
    if (status != MSFL_OK) return status;
    status = msfl_expand_noise(ctx->kernel, scratch->aes, scratch->stream, MSFL_NOISE_BITS, shape.n_coefficients,
                               scratch->noise);
    if (status != MSFL_OK) return status;
    uint32_t seen = ctx->kernel->encode(&ctx->codec, 0, ctx->params.n_primes, slots, shape, scratch->noise,
                                        scratch->planes, ctx->params.ring_degree);
    seen = ctx->params.value_bits < 32 ? seen >> ctx->params.value_bits : 0;
    MSFL_DECLASSIFY(&seen, sizeof seen); /* the refusal: that some value is too large, not which */
    if (seen != 0) {
        return msfl_fail(MSFL_ERR_NUMERIC, "chunk %llu has a value of 2^%u or more", (unsigned long long)j,
                         ctx->params.value_bits);
    }
    return MSFL_OK;
}

msfl_status msfl_packed_encrypt(const msfl_packed *ctx, msfl_packed_key *key, uint64_t j, const uint32_t *slots,
                                uint8_t *out) {
    if (j >= key->n_chunks) {
        return msfl_fail(MSFL_ERR_USAGE, "chunk %llu of an update that has %llu", (unsigned long long)j,
                         (unsigned long long)key->n_chunks);
    }
    if (was_claimed(key, j)) return repeated(j);
    msfl_chunk_shape shape = msfl_shape_of(ctx, key->n_values, j);
    size_t n = ctx->params.ring_degree;
    uint8_t *at = out;
    msfl_scratch *scratch;
    msfl_status status = msfl_scratch_take(&key->pool, &scratch);
    if (status != MSFL_OK) return status;
    status = encode(ctx, key, j, slots, shape, scratch);
    if (status != MSFL_OK) goto done;
    /* From here on something may leave this function: never again for this chunk. */
    if (!claim(key, j)) {
        status = repeated(j);
        goto done;
    }
    for (uint32_t i = 0; i < ctx->params.n_primes; i++) {
        const msfl_modulus *m = &ctx->moduli[i];
        status = msfl_start_public(scratch->aes, key->public_key, j, i);
        if (status != MSFL_OK) goto done;
        status = msfl_expand(m, scratch->aes, scratch->stream, key->prepared + i * n, scratch->x);
        if (status != MSFL_OK) goto done;
        ctx->kernel->inverse(m, scratch->x);
        ctx->kernel->add_pack(m, at, scratch->x, scratch->planes + i * n, shape.n_coefficients);
        at += msfl_packed_bytes(m, shape.n_coefficients);
    }
    MSFL_DECLASSIFY(out, (size_t)(at - out)); /* a ciphertext is public */
done:
    if (status != MSFL_OK && at != out) memset(out, 0, (size_t)(at - out));
    msfl_scratch_give(&key->pool, scratch);
    return status;
}
