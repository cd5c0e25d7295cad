/* Secret and public keys, and their bytes: header, parameters, seed (32), and in a public key the planes of b. */
#include "he/ckks.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "base/taint.h"

#include <string.h>

enum { KEY_HEAD = MSFL_CKKS_KEY_HEAD };

void msfl_ckks_write_head(const msfl_ckks *ctx, msfl_rlwe_kind kind, size_t length, const uint8_t *id, uint64_t number,
                          uint8_t *out) {
    msfl_rlwe_write_header(&ctx->ring, kind, length, id, number, out);
    msfl_ckks_params_write(&ctx->params, out + MSFL_RLWE_HEADER_BYTES);
}

/** The parameters in the bytes are those of the context: the fingerprint says so, and the bytes must agree. */
msfl_status msfl_ckks_check_head(const msfl_ckks *ctx, msfl_rlwe_kind kind, const uint8_t *bytes, size_t length,
                                 msfl_rlwe_header *header) {
    msfl_status status = msfl_rlwe_expect(&ctx->ring, kind, bytes, length, header);
    if (status != MSFL_OK) return status;
    uint8_t canonical[MSFL_CKKS_PARAMS_BYTES];
    msfl_ckks_params_write(&ctx->params, canonical);
    if (length < KEY_HEAD || memcmp(bytes + MSFL_RLWE_HEADER_BYTES, canonical, sizeof canonical) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "a ckks key of %zu bytes: cut off, or with other parameters inside", length);
    }
    return MSFL_OK;
}

static msfl_status check_length(size_t length, size_t expected) {
    if (length == expected) return MSFL_OK;
    return msfl_fail(MSFL_ERR_FORMAT, "a ckks key of %zu bytes, expected %zu", length, expected);
}

/* --- small polynomials that are small at every root --- */

/* Whether the polynomial keeps |s(zeta^r)|^2 <= 168 N; `x` holds N. */
static bool has_short_values(const msfl_ckks *ctx, const int32_t *small, double *x) {
    for (size_t i = 0; i < ctx->ring.degree; i++)
        x[i] = small[i];
    bool is_short = msfl_embed_norm(&ctx->embed, x) <= ctx->root_norm;
    MSFL_DECLASSIFY(&is_short, sizeof is_short); /* true of all that is used */
    return is_short;
}

/* |s(zeta^r)|^2 is close to exponential with mean 10.5 N: beyond sixteen times that with a chance of 2^-23 at each of N
 * / 2 roots, so that a second draw is rare even for N = 32768. Their number is all that the time tells. */
msfl_status msfl_ckks_draw_key(const msfl_ckks *ctx, msfl_rlwe_scratch *scratch, const char *purpose, double *x) {
    for (int draw = 0; draw < MSFL_RLWE_DRAWS_MAX; draw++) {
        msfl_random_bytes(scratch->seed, MSFL_RLWE_SEED_BYTES);
        msfl_status status = msfl_rlwe_draw_short(&ctx->ring, scratch, purpose);
        if (status != MSFL_OK) return status;
        if (has_short_values(ctx, scratch->small, x)) return MSFL_OK;
    }
    return msfl_fail(MSFL_ERR_CRYPTO, "128 draws of a key were all too long: the random generator is broken");
}

/* --- secret --- */

/** From a seed, or fresh if that is NULL: drawn again until it is short at all roots. `x` holds N. */
static msfl_status grow(const msfl_ckks *ctx, const uint8_t *seed, msfl_rlwe_secret *base, double *x) {
    for (int draw = 0; draw < MSFL_RLWE_DRAWS_MAX; draw++) {
        /* Planes at work: those of opening, which takes most. */
        msfl_status status =
            msfl_rlwe_secret_init(&ctx->ring, base, seed, MSFL_RLWE_TO_VALUES, ctx->params.n_primes + 8);
        if (status != MSFL_OK || has_short_values(ctx, base->s, x)) return status;
        msfl_rlwe_secret_clear(base);
        if (seed != NULL) break;
    }
    return msfl_fail(MSFL_ERR_CRYPTO, "a secret key is too long at a root: this scheme does not make such keys");
}

static msfl_status secret_new(const msfl_ckks *ctx, const uint8_t *seed, msfl_ckks_secret **out) {
    *out = NULL;
    msfl_ckks_secret *key = msfl_alloc(1, sizeof *key);
    if (key == NULL) return MSFL_ERR_MEMORY;
    double *x = msfl_secret_alloc(ctx->ring.degree * sizeof *x);
    msfl_status status = x == NULL ? MSFL_ERR_MEMORY : grow(ctx, seed, &key->base, x);
    msfl_secret_free(x);
    if (status != MSFL_OK) {
        msfl_free(key);
        return status;
    }
    *out = key;
    return MSFL_OK;
}

msfl_status msfl_ckks_secret_new(const msfl_ckks *ctx, msfl_ckks_secret **out) {
    return secret_new(ctx, NULL, out);
}

void msfl_ckks_secret_free(msfl_ckks_secret *key) {
    if (key == NULL) return;
    msfl_rlwe_secret_clear(&key->base);
    msfl_free(key);
}

const uint8_t *msfl_ckks_secret_id(const msfl_ckks_secret *key) {
    return key->base.id;
}

size_t msfl_ckks_secret_bytes(const msfl_ckks *ctx) {
    (void)ctx;
    return KEY_HEAD + MSFL_RLWE_SEED_BYTES;
}

void msfl_ckks_secret_write(const msfl_ckks *ctx, const msfl_ckks_secret *key, uint8_t *out) {
    msfl_ckks_write_head(ctx, MSFL_RLWE_SECRET, msfl_ckks_secret_bytes(ctx), key->base.id, 0, out);
    memcpy(out + KEY_HEAD, key->base.seed, MSFL_RLWE_SEED_BYTES);
}

msfl_status msfl_ckks_secret_read(const msfl_ckks *ctx, const uint8_t *bytes, size_t length, msfl_ckks_secret **out) {
    *out = NULL;
    msfl_rlwe_header header;
    msfl_status status = msfl_ckks_check_head(ctx, MSFL_RLWE_SECRET, bytes, length, &header);
    if (status == MSFL_OK) status = check_length(length, msfl_ckks_secret_bytes(ctx));
    if (status != MSFL_OK) return status;
    if (header.number != 0) return msfl_fail(MSFL_ERR_FORMAT, "a ckks secret key with a number in its header");
    msfl_ckks_secret *key;
    status = secret_new(ctx, bytes + KEY_HEAD, &key);
    if (status != MSFL_OK) return status;
    if (memcmp(key->base.id, header.key_id, MSFL_RLWE_ID_BYTES) != 0) {
        msfl_ckks_secret_free(key);
        return msfl_fail(MSFL_ERR_CRYPTO, "the secret key was changed: its id does not follow from it");
    }
    *out = key;
    return MSFL_OK;
}

/* --- public --- */

void msfl_ckks_public_free(msfl_ckks_public *key) {
    if (key == NULL) return;
    msfl_free(key->b);
    msfl_free(key->b_row);
    msfl_free(key->a_row);
    msfl_free(key);
}

static msfl_ckks_public *public_alloc(const msfl_ckks *ctx) {
    msfl_ckks_public *key = msfl_alloc(1, sizeof *key);
    if (key == NULL) return NULL;
    size_t n = ctx->params.ring_degree, n_primes = ctx->params.n_primes;
    key->b = msfl_alloc(msfl_rlwe_planes_bytes(&ctx->ring, (uint32_t)n_primes, n), 1);
    key->b_row = msfl_alloc(n * n_primes, sizeof *key->b_row);
    key->a_row = msfl_alloc(n * n_primes, sizeof *key->a_row);
    if (key->b != NULL && key->b_row != NULL && key->a_row != NULL) return key;
    msfl_ckks_public_free(key);
    return NULL;
}

msfl_status msfl_ckks_expand_row(const msfl_ckks *ctx, msfl_rlwe_scratch *scratch, uint32_t i, const uint8_t *seed,
                                 msfl_cell *row) {
    uint8_t stream_key[16];
    msfl_rlwe_public_key(&ctx->ring, seed, stream_key);
    msfl_status status = msfl_rlwe_start_public(scratch->aes, stream_key, i);
    if (status == MSFL_OK) status = msfl_expand(&ctx->ring.moduli[i], scratch->aes, scratch->stream, NULL, row);
    if (status == MSFL_OK) msfl_rlwe_scale(&ctx->ring, i, row, ctx->degree[i]);
    return status;
}

/** The rows from the seed and the packed planes. */
static msfl_status public_unpack(const msfl_ckks *ctx, msfl_ckks_public *key) {
    const msfl_rlwe *r = &ctx->ring;
    size_t n = r->degree;
    msfl_rlwe_scratch *scratch;
    msfl_status status = msfl_rlwe_take(ctx->pool, &scratch);
    if (status != MSFL_OK) return status;
    const uint8_t *b = key->b;
    for (uint32_t i = 0; status == MSFL_OK && i < ctx->params.n_primes; i++) {
        status = msfl_ckks_expand_row(ctx, scratch, i, key->seed, key->a_row + i * n);
        msfl_rlwe_unpack(r, i, key->b_row + i * n, b, ctx->degree[i], n);
        b += msfl_packed_bytes(&r->moduli[i], n);
    }
    msfl_rlwe_give(ctx->pool, scratch);
    return status;
}

/** b = a s + e: N values each, packed. */
static msfl_status make_b(const msfl_ckks *ctx, msfl_ckks_secret *secret, msfl_ckks_public *key) {
    const msfl_rlwe *r = &ctx->ring;
    size_t n = r->degree;
    uint8_t stream_key[16], *b = key->b;
    msfl_rlwe_public_key(r, key->seed, stream_key);
    msfl_rlwe_scratch *scratch;
    msfl_status status = msfl_rlwe_take(&secret->base.pool, &scratch);
    if (status != MSFL_OK) return status;
    msfl_cell *x = scratch->planes, *e = x + n;
    status = msfl_ckks_draw_key(ctx, scratch, "e", &x->d);
    for (uint32_t i = 0; status == MSFL_OK && i < ctx->params.n_primes; i++) {
        const msfl_modulus *m = &r->moduli[i];
        status = msfl_rlwe_start_public(scratch->aes, stream_key, i);
        if (status == MSFL_OK) {
            status = msfl_expand(m, scratch->aes, scratch->stream, secret->base.prepared + i * n, x);
        }
        if (status != MSFL_OK) break;
        msfl_rlwe_transform(r, i, e, scratch->small);
        msfl_rlwe_scale(r, i, e, 1);
        r->kernel->add_pack(m, b, x, e, n);
        b += msfl_packed_bytes(m, n);
    }
    msfl_rlwe_give(&secret->base.pool, scratch);
    MSFL_DECLASSIFY(key->b, (size_t)(b - key->b));
    return status;
}

msfl_status msfl_ckks_public_new(const msfl_ckks *ctx, msfl_ckks_secret *secret, msfl_ckks_public **out) {
    *out = NULL;
    msfl_ckks_public *key = public_alloc(ctx);
    if (key == NULL) return MSFL_ERR_MEMORY;
    memcpy(key->id, secret->base.id, sizeof key->id);
    msfl_random_bytes(key->seed, sizeof key->seed);
    MSFL_DECLASSIFY(key->seed, sizeof key->seed); /* of the public a */
    msfl_status status = make_b(ctx, secret, key);
    if (status == MSFL_OK) status = public_unpack(ctx, key);
    if (status != MSFL_OK) {
        msfl_ckks_public_free(key);
        return status;
    }
    *out = key;
    return MSFL_OK;
}

const uint8_t *msfl_ckks_public_id(const msfl_ckks_public *key) {
    return key->id;
}

size_t msfl_ckks_public_bytes(const msfl_ckks *ctx) {
    return KEY_HEAD + MSFL_RLWE_SEED_BYTES + msfl_ckks_plane_bytes(&ctx->params, ctx->params.n_primes);
}

void msfl_ckks_public_write(const msfl_ckks *ctx, const msfl_ckks_public *key, uint8_t *out) {
    size_t length = msfl_ckks_public_bytes(ctx);
    msfl_ckks_write_head(ctx, MSFL_RLWE_PUBLIC, length, key->id, 0, out);
    memcpy(out + KEY_HEAD, key->seed, MSFL_RLWE_SEED_BYTES);
    memcpy(out + KEY_HEAD + MSFL_RLWE_SEED_BYTES, key->b, length - KEY_HEAD - MSFL_RLWE_SEED_BYTES);
}

msfl_status msfl_ckks_public_read(const msfl_ckks *ctx, const uint8_t *bytes, size_t length, msfl_ckks_public **out) {
    *out = NULL;
    msfl_rlwe_header header;
    msfl_status status = msfl_ckks_check_head(ctx, MSFL_RLWE_PUBLIC, bytes, length, &header);
    if (status == MSFL_OK) status = check_length(length, msfl_ckks_public_bytes(ctx));
    if (status != MSFL_OK) return status;
    if (header.number != 0) return msfl_fail(MSFL_ERR_FORMAT, "a ckks public key with a number in its header");
    const uint8_t *b = bytes + KEY_HEAD + MSFL_RLWE_SEED_BYTES;
    status = msfl_rlwe_check_planes(&ctx->ring, ctx->params.n_primes, b, ctx->params.ring_degree);
    if (status != MSFL_OK) return status;
    msfl_ckks_public *key = public_alloc(ctx);
    if (key == NULL) return MSFL_ERR_MEMORY;
    memcpy(key->id, header.key_id, sizeof key->id);
    memcpy(key->seed, bytes + KEY_HEAD, sizeof key->seed);
    memcpy(key->b, b, (size_t)(bytes + length - b));
    status = public_unpack(ctx, key);
    if (status != MSFL_OK) {
        msfl_ckks_public_free(key);
        return status;
    }
    *out = key;
    return MSFL_OK;
}
