/* Secret and public keys, and their bytes: header, parameters (152), seed (32), and in a public key the planes of b. */
#include "he/bfv.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "base/taint.h"

#include <string.h>

enum { KEY_HEAD = MSFL_RLWE_HEADER_BYTES + MSFL_BFV_PARAMS_BYTES };

/* --- secret --- */

/** Planes at work: for encryption n_primes of t e + m and one product. */
static msfl_status secret_new(const msfl_bfv *ctx, const uint8_t *seed, msfl_bfv_secret **out) {
    *out = NULL;
    msfl_bfv_secret *key = msfl_alloc(1, sizeof *key);
    if (key == NULL) return MSFL_ERR_MEMORY;
    msfl_status status =
        msfl_rlwe_secret_init(&ctx->ring, &key->base, seed, MSFL_RLWE_TO_COEFFICIENTS, ctx->params.n_primes + 1);
    if (status != MSFL_OK) {
        msfl_free(key);
        return status;
    }
    *out = key;
    return MSFL_OK;
}

msfl_status msfl_bfv_secret_new(const msfl_bfv *ctx, msfl_bfv_secret **out) {
    return secret_new(ctx, NULL, out);
}

void msfl_bfv_secret_free(msfl_bfv_secret *key) {
    if (key == NULL) return;
    msfl_rlwe_secret_clear(&key->base);
    msfl_free(key);
}

const uint8_t *msfl_bfv_secret_id(const msfl_bfv_secret *key) {
    return key->base.id;
}

size_t msfl_bfv_secret_bytes(const msfl_bfv *ctx) {
    (void)ctx;
    return KEY_HEAD + MSFL_RLWE_SEED_BYTES;
}

void msfl_bfv_secret_write(const msfl_bfv *ctx, const msfl_bfv_secret *key, uint8_t *out) {
    msfl_rlwe_write_header(&ctx->ring, MSFL_RLWE_SECRET, msfl_bfv_secret_bytes(ctx), key->base.id, 0, out);
    msfl_bfv_params_write(&ctx->params, out + MSFL_RLWE_HEADER_BYTES);
    memcpy(out + KEY_HEAD, key->base.seed, MSFL_RLWE_SEED_BYTES);
}

/** The parameters in the bytes are those of the context: the fingerprint says so, and the bytes must agree. */
static msfl_status check_head(const msfl_bfv *ctx, msfl_rlwe_kind kind, const uint8_t *bytes, size_t length,
                              size_t expected, msfl_rlwe_header *header) {
    msfl_status status = msfl_rlwe_expect(&ctx->ring, kind, bytes, length, header);
    if (status != MSFL_OK) return status;
    uint8_t canonical[MSFL_BFV_PARAMS_BYTES];
    msfl_bfv_params_write(&ctx->params, canonical);
    if (length != expected || header->number != 0 ||
        memcmp(bytes + MSFL_RLWE_HEADER_BYTES, canonical, sizeof canonical) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "a bfv key of %zu bytes, expected %zu, or with other parameters inside",
                         length, expected);
    }
    return MSFL_OK;
}

msfl_status msfl_bfv_secret_read(const msfl_bfv *ctx, const uint8_t *bytes, size_t length, msfl_bfv_secret **out) {
    *out = NULL;
    msfl_rlwe_header header;
    msfl_status status = check_head(ctx, MSFL_RLWE_SECRET, bytes, length, msfl_bfv_secret_bytes(ctx), &header);
    if (status != MSFL_OK) return status;
    msfl_bfv_secret *key;
    status = secret_new(ctx, bytes + KEY_HEAD, &key);
    if (status != MSFL_OK) return status;
    if (memcmp(key->base.id, header.key_id, MSFL_RLWE_ID_BYTES) != 0) {
        msfl_bfv_secret_free(key);
        return msfl_fail(MSFL_ERR_CRYPTO, "the secret key was changed: its id does not follow from it");
    }
    *out = key;
    return MSFL_OK;
}

/* --- public --- */

void msfl_bfv_public_free(msfl_bfv_public *key) {
    if (key == NULL) return;
    msfl_rlwe_pool_clear(&key->pool);
    msfl_free(key->b);
    msfl_free(key->b_row);
    msfl_free(key->a_row);
    msfl_free(key);
}

/** Planes at work: n_primes of u, n_primes of t e0 + m, one product, one t e1. */
static msfl_bfv_public *public_alloc(const msfl_bfv *ctx) {
    msfl_bfv_public *key = msfl_alloc(1, sizeof *key);
    if (key == NULL) return NULL;
    uint32_t n = ctx->params.ring_degree, n_primes = ctx->params.n_primes;
    msfl_rlwe_pool_init(&key->pool, &ctx->ring, 2 * n_primes + 2);
    key->b = msfl_alloc(msfl_rlwe_planes_bytes(&ctx->ring, n_primes, n), 1);
    key->b_row = msfl_alloc((size_t)n * n_primes, sizeof *key->b_row);
    key->a_row = msfl_alloc((size_t)n * n_primes, sizeof *key->a_row);
    if (key->b != NULL && key->b_row != NULL && key->a_row != NULL) return key;
    msfl_bfv_public_free(key);
    return NULL;
}

/** The canonical rows from the seed and the packed planes. */
static msfl_status public_unpack(const msfl_bfv *ctx, msfl_bfv_public *key) {
    const msfl_rlwe *r = &ctx->ring;
    size_t n = r->degree;
    uint8_t stream_key[16];
    msfl_rlwe_public_key(r, key->seed, stream_key);
    msfl_rlwe_scratch *scratch;
    msfl_status status = msfl_rlwe_take(&key->pool, &scratch);
    if (status != MSFL_OK) return status;
    uint64_t *residues = msfl_alloc(n, sizeof *residues);
    if (residues == NULL) status = MSFL_ERR_MEMORY;
    const uint8_t *b = key->b;
    for (uint32_t i = 0; status == MSFL_OK && i < r->n_primes; i++) {
        const msfl_modulus *m = &r->moduli[i];
        msfl_cell *row = key->a_row + i * n;
        status = msfl_rlwe_start_public(scratch->aes, stream_key, i);
        if (status == MSFL_OK) status = msfl_expand(m, scratch->aes, scratch->stream, NULL, row);
        if (status != MSFL_OK) break;
        msfl_rlwe_scale(r, i, row, r->degree % m->m.p);
        r->kernel->export(m, residues, row, n);
        r->kernel->import(m, row, residues, n);
        msfl_rlwe_unpack(r, i, key->b_row + i * n, b, 1, n);
        r->kernel->export(m, residues, key->b_row + i * n, n);
        r->kernel->import(m, key->b_row + i * n, residues, n);
        b += msfl_packed_bytes(m, n);
    }
    msfl_free(residues);
    msfl_rlwe_give(&key->pool, scratch);
    return status;
}

/** b = a s + t e: N values each, packed. a s comes out of `multiply` divided by N, so it goes through coefficients. */
static msfl_status make_b(const msfl_bfv *ctx, msfl_bfv_secret *secret, msfl_bfv_public *key) {
    const msfl_rlwe *r = &ctx->ring;
    size_t n = r->degree;
    uint8_t stream_key[16], *b = key->b;
    msfl_rlwe_public_key(r, key->seed, stream_key);
    msfl_rlwe_scratch *scratch;
    msfl_status status = msfl_rlwe_take(&secret->base.pool, &scratch);
    if (status != MSFL_OK) return status;
    msfl_cell *x = scratch->planes, *e = x + n;
    msfl_random_bytes(scratch->seed, MSFL_RLWE_SEED_BYTES);
    status = msfl_rlwe_draw_short(r, scratch, "e");
    for (uint32_t i = 0; status == MSFL_OK && i < r->n_primes; i++) {
        const msfl_modulus *m = &r->moduli[i];
        status = msfl_rlwe_start_public(scratch->aes, stream_key, i);
        if (status == MSFL_OK) {
            status = msfl_expand(m, scratch->aes, scratch->stream, secret->base.prepared + i * n, x);
        }
        if (status != MSFL_OK) break;
        msfl_rlwe_scale(r, i, x, r->degree % m->m.p);
        msfl_rlwe_transform(r, i, e, scratch->small);
        msfl_rlwe_scale(r, i, e, ctx->t[i]);
        r->kernel->add_pack(m, b, x, e, n);
        b += msfl_packed_bytes(m, n);
    }
    MSFL_DECLASSIFY(key->b, (size_t)(b - key->b));
    msfl_rlwe_give(&secret->base.pool, scratch);
    return status;
}

msfl_status msfl_bfv_public_new(const msfl_bfv *ctx, msfl_bfv_secret *secret, msfl_bfv_public **out) {
    *out = NULL;
    msfl_bfv_public *key = public_alloc(ctx);
    if (key == NULL) return MSFL_ERR_MEMORY;
    memcpy(key->id, secret->base.id, sizeof key->id);
    msfl_random_bytes(key->seed, sizeof key->seed);
    MSFL_DECLASSIFY(key->seed, sizeof key->seed); /* of the public a */
    msfl_status status = make_b(ctx, secret, key);
    if (status == MSFL_OK) status = public_unpack(ctx, key);
    if (status != MSFL_OK) {
        msfl_bfv_public_free(key);
        return status;
    }
    *out = key;
    return MSFL_OK;
}

const uint8_t *msfl_bfv_public_id(const msfl_bfv_public *key) {
    return key->id;
}

size_t msfl_bfv_public_bytes(const msfl_bfv *ctx) {
    return KEY_HEAD + MSFL_RLWE_SEED_BYTES +
           msfl_rlwe_planes_bytes(&ctx->ring, ctx->params.n_primes, ctx->params.ring_degree);
}

void msfl_bfv_public_write(const msfl_bfv *ctx, const msfl_bfv_public *key, uint8_t *out) {
    size_t length = msfl_bfv_public_bytes(ctx);
    msfl_rlwe_write_header(&ctx->ring, MSFL_RLWE_PUBLIC, length, key->id, 0, out);
    msfl_bfv_params_write(&ctx->params, out + MSFL_RLWE_HEADER_BYTES);
    memcpy(out + KEY_HEAD, key->seed, MSFL_RLWE_SEED_BYTES);
    memcpy(out + KEY_HEAD + MSFL_RLWE_SEED_BYTES, key->b, length - KEY_HEAD - MSFL_RLWE_SEED_BYTES);
}

msfl_status msfl_bfv_public_read(const msfl_bfv *ctx, const uint8_t *bytes, size_t length, msfl_bfv_public **out) {
    *out = NULL;
    msfl_rlwe_header header;
    msfl_status status = check_head(ctx, MSFL_RLWE_PUBLIC, bytes, length, msfl_bfv_public_bytes(ctx), &header);
    if (status != MSFL_OK) return status;
    const uint8_t *b = bytes + KEY_HEAD + MSFL_RLWE_SEED_BYTES;
    status = msfl_rlwe_check_planes(&ctx->ring, ctx->params.n_primes, b, ctx->params.ring_degree);
    if (status != MSFL_OK) return status;
    msfl_bfv_public *key = public_alloc(ctx);
    if (key == NULL) return MSFL_ERR_MEMORY;
    memcpy(key->id, header.key_id, sizeof key->id);
    memcpy(key->seed, bytes + KEY_HEAD, sizeof key->seed);
    memcpy(key->b, b, (size_t)(bytes + length - b));
    status = public_unpack(ctx, key);
    if (status != MSFL_OK) {
        msfl_bfv_public_free(key);
        return status;
    }
    *out = key;
    return MSFL_OK;
}
