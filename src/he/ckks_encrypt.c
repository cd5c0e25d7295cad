/* Encryption of encoded polynomials in both forms, and the phase that opening starts from. */
#include "he/ckks.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/sodium.h"
#include "base/taint.h"

#include <math.h>
#include <string.h>

/* --- encryption --- */

static void fill(const msfl_ckks *ctx, msfl_ckks_ct *ct, const uint8_t *key_id, bool seeded) {
    memcpy(ct->key_id, key_id, sizeof ct->key_id);
    ct->level = ctx->params.n_primes;
    ct->addends = 1;
    ct->seeded = seeded;
}

/* c0 = a s + e + m, in values: one transform for each prime. */
msfl_status msfl_ckks_seal_seeded(const msfl_ckks *ctx, msfl_ckks_secret *key, msfl_rlwe_scratch *scratch,
                                  const double *x, uint32_t shift, msfl_ckks_ct *ct) {
    const msfl_rlwe *r = &ctx->ring;
    size_t n = r->degree;
    msfl_cell *product = scratch->planes, *message = product + n, *buffer = message + n;
    uint8_t stream_key[16], *c0 = ct->c0;
    msfl_random_bytes(scratch->seed, MSFL_RLWE_SEED_BYTES);
    msfl_random_bytes(ct->seed, sizeof ct->seed);
    MSFL_DECLASSIFY(ct->seed, sizeof ct->seed); /* of the public a */
    msfl_rlwe_public_key(r, ct->seed, stream_key);
    msfl_status status = msfl_rlwe_draw(r, scratch, "e0", 0);
    for (uint32_t i = 0; status == MSFL_OK && i < ctx->params.n_primes; i++) {
        const msfl_modulus *m = &r->moduli[i];
        status = msfl_rlwe_start_public(scratch->aes, stream_key, i);
        if (status == MSFL_OK) {
            status = msfl_expand(m, scratch->aes, scratch->stream, key->base.prepared + i * n, product);
        }
        if (status != MSFL_OK) break;
        msfl_ckks_import(ctx, i, message, x, shift, scratch->noise, &buffer->u);
        msfl_ckks_forward(ctx, i, message);
        r->kernel->add_pack(m, c0, product, message, n);
        c0 += msfl_packed_bytes(m, n);
    }
    MSFL_DECLASSIFY(ct->c0, (size_t)(c0 - ct->c0)); /* a ciphertext is public */
    if (status == MSFL_OK) fill(ctx, ct, key->base.id, true);
    return status;
}

/* c0 = b u + e0 + m, c1 = a u + e1, in values. */
msfl_status msfl_ckks_seal(const msfl_ckks *ctx, const msfl_ckks_public *key, msfl_rlwe_scratch *scratch,
                           const double *x, uint32_t shift, msfl_ckks_ct *ct) {
    const msfl_rlwe *r = &ctx->ring;
    size_t n = r->degree;
    uint32_t n_primes = ctx->params.n_primes;
    msfl_cell *product = scratch->planes, *other = product + n, *buffer = other + n, *u = buffer + n;
    uint8_t *c0 = ct->c0, *c1 = ct->c1;
    msfl_random_bytes(scratch->seed, MSFL_RLWE_SEED_BYTES);
    msfl_status status = msfl_rlwe_draw(r, scratch, "u", 0);
    if (status != MSFL_OK) return status;
    for (uint32_t i = 0; i < n_primes; i++) {
        msfl_rlwe_transform(r, i, u + i * n, scratch->small);
        r->kernel->prepare(&r->moduli[i], u + i * n);
    }
    status = msfl_rlwe_draw(r, scratch, "e0", 0);
    if (status != MSFL_OK) return status;
    for (uint32_t i = 0; i < n_primes; i++) {
        const msfl_modulus *m = &r->moduli[i];
        memcpy(product, key->b_row + i * n, n * sizeof *product);
        r->kernel->multiply(m, product, u + i * n, n);
        msfl_ckks_import(ctx, i, other, x, shift, scratch->noise, &buffer->u);
        msfl_ckks_forward(ctx, i, other);
        r->kernel->add_pack(m, c0, product, other, n);
        c0 += msfl_packed_bytes(m, n);
    }
    status = msfl_rlwe_draw(r, scratch, "e1", 0);
    if (status != MSFL_OK) return status;
    for (uint32_t i = 0; i < n_primes; i++) {
        const msfl_modulus *m = &r->moduli[i];
        memcpy(product, key->a_row + i * n, n * sizeof *product);
        r->kernel->multiply(m, product, u + i * n, n);
        msfl_rlwe_transform(r, i, other, scratch->small);
        msfl_rlwe_scale(r, i, other, 1);
        r->kernel->add_pack(m, c1, product, other, n);
        c1 += msfl_packed_bytes(m, n);
    }
    MSFL_DECLASSIFY(ct->c0, (size_t)(c0 - ct->c0)); /* a ciphertext is public */
    MSFL_DECLASSIFY(ct->c1, (size_t)(c1 - ct->c1));
    fill(ctx, ct, key->id, false);
    return MSFL_OK;
}

static msfl_status begin(const msfl_ckks *ctx, const msfl_ckks_plain *plain, msfl_ckks_ct *ct, bool seeded,
                         msfl_ckks_bounds *b) {
    ct->n_values = 0;
    if (!plain->full) return msfl_fail(MSFL_ERR_USAGE, "encrypt: an empty plaintext");
    *b = plain->bounds;
    b->noise = msfl_ckks_fresh_noise(ctx->params.ring_degree, seeded);
    return msfl_ckks_room(ctx, b, ctx->params.n_primes, "encrypt");
}

static void finish(const msfl_ckks *ctx, msfl_ckks_ct *ct, uint64_t chunk, const msfl_ckks_bounds *b) {
    ct->chunk = chunk;
    ct->form = MSFL_CKKS_NUMBERS;
    ct->bounds = *b;
    ct->n_values = ctx->params.ring_degree / 2;
}

msfl_status msfl_ckks_encrypt(const msfl_ckks *ctx, const msfl_ckks_public *key, uint64_t chunk,
                              const msfl_ckks_plain *plain, msfl_ckks_ct *ct) {
    msfl_ckks_bounds b;
    msfl_rlwe_scratch *scratch;
    msfl_status status = begin(ctx, plain, ct, false, &b);
    if (status == MSFL_OK) status = msfl_rlwe_take(ctx->pool, &scratch);
    if (status != MSFL_OK) return status;
    status = msfl_ckks_seal(ctx, key, scratch, plain->x, plain->shift, ct);
    msfl_rlwe_give(ctx->pool, scratch);
    if (status == MSFL_OK) finish(ctx, ct, chunk, &b);
    return status;
}

msfl_status msfl_ckks_encrypt_seeded(const msfl_ckks *ctx, msfl_ckks_secret *key, uint64_t chunk,
                                     const msfl_ckks_plain *plain, msfl_ckks_ct *ct) {
    msfl_ckks_bounds b;
    msfl_rlwe_scratch *scratch;
    msfl_status status = begin(ctx, plain, ct, true, &b);
    if (status == MSFL_OK) status = msfl_rlwe_take(&key->base.pool, &scratch);
    if (status != MSFL_OK) return status;
    status = msfl_ckks_seal_seeded(ctx, key, scratch, plain->x, plain->shift, ct);
    msfl_rlwe_give(&key->base.pool, scratch);
    if (status == MSFL_OK) finish(ctx, ct, chunk, &b);
    return status;
}

/* --- the phase --- */

/** rows <- rows + f modulo each of `level` primes, f uniform on [-2^log2_w, 2^log2_w), from the operating system. */
static msfl_status add_flood(const msfl_ckks *ctx, msfl_rlwe_scratch *scratch, uint32_t level, uint32_t log2_w,
                             uint64_t *rows) {
    enum { WORDS = 16 };
    size_t n = ctx->ring.degree;
    msfl_u128 width = (msfl_u128)1 << (log2_w + 1);
    uint64_t middle[MSFL_PRIMES_MAX];
    for (uint32_t i = 0; i < level; i++)
        middle[i] = msfl_mod_pow_vartime(2, log2_w, &ctx->ring.moduli[i].m);
    msfl_random_bytes(scratch->seed, MSFL_RLWE_SEED_BYTES);
    msfl_status status = msfl_rlwe_start_secret(&ctx->ring, scratch->aes, scratch->seed, "flood", 0);
    for (size_t done = 0; status == MSFL_OK && done < n; done += MSFL_STREAM_BYTES / WORDS) {
        size_t now = n - done < MSFL_STREAM_BYTES / WORDS ? n - done : MSFL_STREAM_BYTES / WORDS;
        status = msfl_aes_read(scratch->aes, scratch->stream->bytes, now * WORDS);
        for (size_t k = 0; status == MSFL_OK && k < now; k++) {
            const uint8_t *at = scratch->stream->bytes + k * WORDS;
            msfl_u128 f = ((msfl_u128)msfl_load64(at + 8) << 64 | msfl_load64(at)) & (width - 1);
            for (uint32_t i = 0; i < level; i++) {
                const msfl_barrett *m = &ctx->ring.moduli[i].m;
                uint64_t *x = rows + i * n + done + k;
                *x = msfl_mod_sub(msfl_mod_add(*x, msfl_mod_128(f, m), m->p), middle[i], m->p);
            }
        }
    }
    return status;
}

/* Mixed radix with digits of least magnitude: for odd primes each integer below half of their product has one such
 * form, d_0 + p_0 (d_1 + p_1 (d_2 + ...)), whose value in doubles is right to a few roundings, as no two terms cancel
 * by more than half. Digit i is (x - d_0 - p_0 d_1 - ...) / (p_0 ... p_i-1) modulo p_i. Row i, residues, becomes digit
 * i, doubles; three planes of `work`. */
static void lift(const msfl_ckks *ctx, uint32_t level, msfl_cell *rows, msfl_cell *work, double *x) {
    const msfl_rlwe *r = &ctx->ring;
    size_t n = r->degree;
    msfl_cell *cells = work, *packed = work + n, *buffer = work + 2 * n;
    for (uint32_t i = 0; i < level; i++) {
        const msfl_modulus *m = &r->moduli[i];
        memcpy(buffer, rows + i * n, n * sizeof *buffer);
        for (uint32_t k = 0; k < i; k++) {
            r->kernel->import(m, cells, &buffer->u, n);
            msfl_rlwe_pack(r, i, (uint8_t *)packed, cells, n);
            msfl_ckks_import(ctx, i, cells, &rows[k * n].d, 0, NULL, &buffer->u);
            r->kernel->subtract_from(m, cells, (const uint8_t *)packed, ctx->inverse[k][i], n);
            r->kernel->export(m, &buffer->u, cells, n);
        }
        ctx->embed.kernel->centre(&rows[i * n].d, &buffer->u, m->m.p, n);
    }
    memcpy(x, rows + (level - 1) * n, n * sizeof *x);
    for (uint32_t i = level - 1; i-- > 0;) {
        const double p = (double)r->moduli[i].m.p, *digit = &rows[i * n].d;
        for (size_t c = 0; c < n; c++)
            x[c] = x[c] * p + digit[c];
    }
}

msfl_status msfl_ckks_phase(const msfl_ckks *ctx, msfl_ckks_secret *key, msfl_rlwe_scratch *scratch,
                            const msfl_ckks_ct *ct, uint32_t level, uint32_t log2_w, double *x) {
    const msfl_rlwe *r = &ctx->ring;
    size_t n = r->degree;
    msfl_cell *cells = scratch->planes;
    msfl_cell *rows = cells + n;
    const uint8_t *c0 = ct->c0, *c1 = ct->c1;
    uint8_t stream_key[16];
    if (ct->seeded) msfl_rlwe_public_key(r, ct->seed, stream_key);
    for (uint32_t i = 0; i < level; i++) {
        const msfl_modulus *m = &r->moduli[i];
        const msfl_cell *s = key->base.prepared + i * n;
        if (ct->seeded) {
            msfl_status status = msfl_rlwe_start_public(scratch->aes, stream_key, i);
            if (status == MSFL_OK) status = msfl_expand(m, scratch->aes, scratch->stream, s, cells);
            if (status != MSFL_OK) return status;
        } else {
            msfl_rlwe_unpack(r, i, cells, c1, 1, n);
            r->kernel->multiply(m, cells, s, n);
            c1 += msfl_packed_bytes(m, n);
        }
        r->kernel->subtract_from(m, cells, c0, ctx->degree_inverse[i], n);
        c0 += msfl_packed_bytes(m, n);
        r->kernel->inverse(m, cells);
        r->kernel->export(m, &rows[i * n].u, cells, n);
    }
    if (log2_w != 0) {
        msfl_status status = add_flood(ctx, scratch, level, log2_w, &rows->u);
        if (status != MSFL_OK) return status;
    }
    lift(ctx, level, rows, scratch->planes + (ctx->params.n_primes + 2) * n, x);
    return MSFL_OK;
}
