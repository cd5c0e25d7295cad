/* Encryption in both forms, and opening. */
#include "he/bfv.h"

#include "base/error.h"
#include "base/sodium.h"
#include "base/taint.h"

#include <string.h>

static msfl_status check_length(const msfl_bfv *ctx, uint32_t n_values) {
    uint32_t full = ctx->params.ring_degree * ctx->params.slots_per_coefficient;
    if (n_values >= 1 && n_values <= full) return MSFL_OK;
    return msfl_fail(MSFL_ERR_USAGE, "%u values for one ciphertext: 1 to %u are possible", n_values, full);
}

/** t e + m in n_primes planes at `out`, the error drawn from the secret stream `purpose`. */
static msfl_status encode(const msfl_bfv *ctx, msfl_rlwe_scratch *scratch, const char *purpose, const uint32_t *values,
                          msfl_chunk_shape shape, msfl_cell *out) {
    msfl_status status = msfl_rlwe_draw(&ctx->ring, scratch, purpose, 0);
    if (status != MSFL_OK) return status;
    uint32_t seen = ctx->ring.kernel->encode(&ctx->codec, 0, ctx->params.n_primes, values, shape, scratch->noise, out,
                                             ctx->params.ring_degree);
    seen = ctx->params.value_bits < 32 ? seen >> ctx->params.value_bits : 0;
    MSFL_DECLASSIFY(&seen, sizeof seen); /* the refusal: that some value is too large, not which */
    if (seen != 0) {
        return msfl_fail(MSFL_ERR_NUMERIC, "a value to be encrypted is 2^%u or more", ctx->params.value_bits);
    }
    return MSFL_OK;
}

static void fill(msfl_bfv_ct *ct, const uint8_t *key_id, uint64_t chunk, uint32_t n_values, bool seeded) {
    memcpy(ct->key_id, key_id, sizeof ct->key_id);
    ct->chunk = chunk;
    ct->n_values = n_values;
    ct->addends = 1;
    ct->seeded = seeded;
}

msfl_status msfl_bfv_encrypt_seeded(const msfl_bfv *ctx, msfl_bfv_secret *key, uint64_t chunk, const uint32_t *values,
                                    uint32_t n_values, msfl_bfv_ct *ct) {
    ct->n_values = 0;
    msfl_status status = check_length(ctx, n_values);
    if (status != MSFL_OK) return status;
    const msfl_rlwe *r = &ctx->ring;
    size_t n = r->degree;
    msfl_chunk_shape shape = {n_values, msfl_bfv_coefficients(&ctx->params, n_values)};
    msfl_rlwe_scratch *scratch;
    status = msfl_rlwe_take(&key->base.pool, &scratch);
    if (status != MSFL_OK) return status;
    msfl_cell *planes = scratch->planes, *x = planes + r->n_primes * n;
    uint8_t stream_key[16], *c0 = ct->c0;
    msfl_random_bytes(scratch->seed, MSFL_RLWE_SEED_BYTES);
    msfl_random_bytes(ct->seed, sizeof ct->seed);
    MSFL_DECLASSIFY(ct->seed, sizeof ct->seed); /* of the public a */
    msfl_rlwe_public_key(r, ct->seed, stream_key);
    status = encode(ctx, scratch, "e0", values, shape, planes);
    for (uint32_t i = 0; status == MSFL_OK && i < r->n_primes; i++) {
        const msfl_modulus *m = &r->moduli[i];
        status = msfl_rlwe_start_public(scratch->aes, stream_key, i);
        if (status == MSFL_OK) status = msfl_expand(m, scratch->aes, scratch->stream, key->base.prepared + i * n, x);
        if (status != MSFL_OK) break;
        r->kernel->inverse(m, x);
        r->kernel->add_pack(m, c0, x, planes + i * n, shape.n_coefficients);
        c0 += msfl_packed_bytes(m, shape.n_coefficients);
    }
    MSFL_DECLASSIFY(ct->c0, (size_t)(c0 - ct->c0)); /* a ciphertext is public */
    msfl_rlwe_give(&key->base.pool, scratch);
    if (status == MSFL_OK) fill(ct, key->base.id, chunk, n_values, true);
    return status;
}

msfl_status msfl_bfv_encrypt(const msfl_bfv *ctx, msfl_bfv_public *key, uint64_t chunk, const uint32_t *values,
                             uint32_t n_values, msfl_bfv_ct *ct) {
    ct->n_values = 0;
    msfl_status status = check_length(ctx, n_values);
    if (status != MSFL_OK) return status;
    const msfl_rlwe *r = &ctx->ring;
    size_t n = r->degree;
    msfl_chunk_shape shape = {n_values, msfl_bfv_coefficients(&ctx->params, n_values)};
    msfl_rlwe_scratch *scratch;
    status = msfl_rlwe_take(&key->pool, &scratch);
    if (status != MSFL_OK) return status;
    msfl_cell *u = scratch->planes, *planes = u + r->n_primes * n, *x = planes + r->n_primes * n, *e = x + n;
    uint8_t *c0 = ct->c0, *c1 = ct->c1;
    msfl_random_bytes(scratch->seed, MSFL_RLWE_SEED_BYTES);
    status = msfl_rlwe_draw(r, scratch, "u", 0);
    if (status != MSFL_OK) goto done;
    for (uint32_t i = 0; i < r->n_primes; i++) {
        msfl_rlwe_transform(r, i, u + i * n, scratch->small);
        r->kernel->prepare(&r->moduli[i], u + i * n);
    }
    status = encode(ctx, scratch, "e0", values, shape, planes);
    if (status == MSFL_OK) status = msfl_rlwe_draw(r, scratch, "e1", 0);
    if (status != MSFL_OK) goto done;
    for (uint32_t i = 0; i < r->n_primes; i++, u += n, planes += n) {
        const msfl_modulus *m = &r->moduli[i];
        /* c0 = b u + t e0 + m, in coefficients */
        memcpy(x, key->b_row + i * n, n * sizeof *x);
        r->kernel->multiply(m, x, u, n);
        r->kernel->inverse(m, x);
        r->kernel->add_pack(m, c0, x, planes, shape.n_coefficients);
        c0 += msfl_packed_bytes(m, shape.n_coefficients);
        /* c1 = a u - t e1, in values */
        memcpy(x, key->a_row + i * n, n * sizeof *x);
        r->kernel->multiply(m, x, u, n);
        msfl_rlwe_transform(r, i, e, scratch->small);
        msfl_rlwe_scale(r, i, e, m->m.p - ctx->t[i]);
        r->kernel->add_pack(m, c1, x, e, n);
        c1 += msfl_packed_bytes(m, n);
    }
    MSFL_DECLASSIFY(ct->c0, (size_t)(c0 - ct->c0)); /* a ciphertext is public */
    MSFL_DECLASSIFY(ct->c1, (size_t)(c1 - ct->c1));
    fill(ct, key->id, chunk, n_values, false);
done:
    msfl_rlwe_give(&key->pool, scratch);
    return status;
}

msfl_status msfl_bfv_decrypt(const msfl_bfv *ctx, msfl_bfv_secret *key, const msfl_bfv_ct *ct, uint64_t *totals) {
    if (ct->n_values == 0) return msfl_fail(MSFL_ERR_USAGE, "an empty ciphertext was to be opened");
    memset(totals, 0, ct->n_values * sizeof *totals);
    msfl_status status = msfl_rlwe_check_key(ct->key_id, key->base.id);
    if (status != MSFL_OK) return msfl_fail_in(status, "decrypt");
    const msfl_rlwe *r = &ctx->ring;
    size_t n = r->degree;
    msfl_chunk_shape shape = {ct->n_values, msfl_bfv_coefficients(&ctx->params, ct->n_values)};
    msfl_rlwe_scratch *scratch;
    status = msfl_rlwe_take(&key->base.pool, &scratch);
    if (status != MSFL_OK) return status;
    const uint8_t *c0 = ct->c0, *c1 = ct->c1;
    uint8_t stream_key[16];
    if (ct->seeded) msfl_rlwe_public_key(r, ct->seed, stream_key);
    for (uint32_t i = 0; status == MSFL_OK && i < r->n_primes; i++) {
        const msfl_modulus *m = &r->moduli[i];
        msfl_cell *x = scratch->planes + i * n;
        const msfl_cell *s = key->base.prepared + i * n;
        if (ct->seeded) {
            status = msfl_rlwe_start_public(scratch->aes, stream_key, i);
            if (status == MSFL_OK) status = msfl_expand(m, scratch->aes, scratch->stream, s, x);
            if (status != MSFL_OK) break;
        } else {
            msfl_rlwe_unpack(r, i, x, c1, 1, n);
            r->kernel->multiply(m, x, s, n);
            c1 += msfl_packed_bytes(m, n);
        }
        r->kernel->inverse(m, x);
        r->kernel->subtract_from(m, x, c0, ctx->codec.cofactor_inverse[i], shape.n_coefficients);
        c0 += msfl_packed_bytes(m, shape.n_coefficients);
    }
    if (status == MSFL_OK) {
        uint64_t total_max = ct->addends * (((uint64_t)1 << ctx->params.value_bits) - 1);
        uint32_t noise_max = (uint32_t)msfl_bfv_noise_bound(ctx->params.ring_degree, ct->addends);
        bool opens = r->kernel->lift(&ctx->codec, scratch->planes, n, shape, noise_max, total_max, totals);
        MSFL_DECLASSIFY(&opens, sizeof opens); /* the refusal; docs/design/bfv.md says what it is worth */
        if (!opens) {
            status = msfl_fail(MSFL_ERR_CRYPTO,
                               "chunk %llu does not open: it was changed, or it is not the sum of %u ciphertexts",
                               (unsigned long long)ct->chunk, ct->addends);
        }
    }
    if (status != MSFL_OK) memset(totals, 0, ct->n_values * sizeof *totals);
    msfl_rlwe_give(&key->base.pool, scratch);
    return status;
}
