/* A ciphertext on the wire: header with the chunk's number, values (4), addends (4), seeded (4), zero (4), planes of
 * c0, then the seed or the planes of c1. */
#include "he/bfv.h"

#include "base/bytes.h"
#include "base/error.h"

enum { ADDENDS_AT = MSFL_RLWE_HEADER_BYTES + 4 };

size_t msfl_bfv_ct_bytes(const msfl_bfv *ctx, const msfl_bfv_ct *ct) {
    return ct->n_values == 0 ? 0 : msfl_bfv_bytes_of(&ctx->params, ct->n_values, ct->seeded);
}

size_t msfl_bfv_ct_bytes_max(const msfl_bfv *ctx) {
    return msfl_bfv_bytes_of(&ctx->params, ctx->params.ring_degree * ctx->params.slots_per_coefficient, false);
}

size_t msfl_bfv_full_bytes(const msfl_bfv *ctx, uint32_t n_values) {
    return msfl_bfv_bytes_of(&ctx->params, n_values, false);
}

void msfl_bfv_ct_write(const msfl_bfv *ctx, const msfl_bfv_ct *ct, uint8_t *out) {
    if (ct->n_values == 0) return;
    const msfl_rlwe *r = &ctx->ring;
    size_t length = msfl_bfv_ct_bytes(ctx, ct);
    msfl_rlwe_write_header(r, MSFL_RLWE_CIPHERTEXT, length, ct->key_id, ct->chunk, out);
    out += MSFL_RLWE_HEADER_BYTES;
    msfl_store32(out, ct->n_values);
    msfl_store32(out + 4, ct->addends);
    msfl_store32(out + 8, ct->seeded ? 1 : 0);
    msfl_store32(out + 12, 0);
    out += MSFL_BFV_CT_FIXED;
    size_t bytes = msfl_rlwe_planes_bytes(r, r->n_primes, msfl_bfv_coefficients(&ctx->params, ct->n_values));
    memcpy(out, ct->c0, bytes);
    out += bytes;
    if (ct->seeded) {
        memcpy(out, ct->seed, sizeof ct->seed);
    } else {
        memcpy(out, ct->c1, msfl_rlwe_planes_bytes(r, r->n_primes, r->degree));
    }
}

msfl_status msfl_bfv_ct_peek(const msfl_bfv *ctx, const uint8_t *bytes, size_t length, msfl_bfv_ct_facts *out) {
    memset(out, 0, sizeof *out);
    const msfl_rlwe *r = &ctx->ring;
    msfl_rlwe_header header;
    msfl_status status = msfl_rlwe_expect(r, MSFL_RLWE_CIPHERTEXT, bytes, length, &header);
    if (status != MSFL_OK) return status;
    msfl_reader in = msfl_reader_init(bytes, length);
    (void)msfl_get_bytes(&in, MSFL_RLWE_HEADER_BYTES);
    uint32_t n_values = msfl_get32(&in), addends = msfl_get32(&in), seeded = msfl_get32(&in), zero = msfl_get32(&in);
    if (in.failed || n_values < 1 || n_values > r->degree * ctx->params.slots_per_coefficient || seeded > 1 ||
        zero != 0 || length != msfl_bfv_bytes_of(&ctx->params, n_values, seeded == 1)) {
        return msfl_fail(MSFL_ERR_FORMAT, "a bfv ciphertext of %u values in %zu bytes: not what its parameters make",
                         n_values, length);
    }
    if (addends < 1 || addends > ctx->params.n_addends || (seeded == 1 && addends != 1)) {
        return msfl_fail(MSFL_ERR_FORMAT, "a bfv ciphertext that claims %u addends; 1 to %u are possible", addends,
                         seeded == 1 ? 1 : ctx->params.n_addends);
    }
    *out = (msfl_bfv_ct_facts){.n_values = n_values, .addends = addends, .chunk = header.number, .seeded = seeded == 1};
    memcpy(out->key_id, header.key_id, sizeof out->key_id);
    return MSFL_OK;
}

msfl_status msfl_bfv_ct_check(const msfl_bfv *ctx, const uint8_t *bytes, size_t length, msfl_bfv_ct_facts *out) {
    msfl_status status = msfl_bfv_ct_peek(ctx, bytes, length, out);
    if (status != MSFL_OK) return status;
    const msfl_rlwe *r = &ctx->ring;
    const uint8_t *c0 = bytes + MSFL_RLWE_HEADER_BYTES + MSFL_BFV_CT_FIXED;
    size_t n = msfl_bfv_coefficients(&ctx->params, out->n_values);
    status = msfl_rlwe_check_planes(r, r->n_primes, c0, n);
    if (status == MSFL_OK && !out->seeded) {
        status = msfl_rlwe_check_planes(r, r->n_primes, c0 + msfl_rlwe_planes_bytes(r, r->n_primes, n), r->degree);
    }
    if (status != MSFL_OK) memset(out, 0, sizeof *out);
    return status;
}

msfl_status msfl_bfv_ct_read(const msfl_bfv *ctx, const uint8_t *bytes, size_t length, msfl_bfv_ct *ct) {
    ct->n_values = 0;
    msfl_bfv_ct_facts facts;
    msfl_status status = msfl_bfv_ct_check(ctx, bytes, length, &facts);
    if (status != MSFL_OK) return status;
    const msfl_rlwe *r = &ctx->ring;
    size_t bytes0 = msfl_rlwe_planes_bytes(r, r->n_primes, msfl_bfv_coefficients(&ctx->params, facts.n_values));
    msfl_reader in = msfl_reader_init(bytes, length);
    (void)msfl_get_bytes(&in, MSFL_RLWE_HEADER_BYTES + MSFL_BFV_CT_FIXED);
    memcpy(ct->c0, msfl_get_bytes(&in, bytes0), bytes0);
    memcpy(facts.seeded ? ct->seed : ct->c1, in.at, msfl_reader_left(&in));
    memcpy(ct->key_id, facts.key_id, sizeof ct->key_id);
    ct->chunk = facts.chunk;
    ct->n_values = facts.n_values;
    ct->addends = facts.addends;
    ct->seeded = facts.seeded;
    return MSFL_OK;
}

/* --- adding on the wire --- */

/** Plane k of the 2 L planes of a full ciphertext: first c0, then c1. */
typedef struct plane {
    const msfl_modulus *m;
    size_t n;
} plane;

static plane plane_at(const msfl_bfv *ctx, uint32_t n_values, uint32_t k) {
    const msfl_rlwe *r = &ctx->ring;
    if (k < r->n_primes) return (plane){&r->moduli[k], msfl_bfv_coefficients(&ctx->params, n_values)};
    return (plane){&r->moduli[k - r->n_primes], r->degree};
}

msfl_status msfl_bfv_ct_fold(const msfl_bfv *ctx, uint8_t *acc, const uint8_t *bytes, size_t length) {
    msfl_bfv_ct_facts sum, ct;
    msfl_status status = msfl_bfv_ct_peek(ctx, acc, length, &sum);
    if (status == MSFL_OK) status = msfl_bfv_ct_peek(ctx, bytes, length, &ct);
    if (status == MSFL_OK && (sum.seeded || ct.seeded)) {
        status = msfl_fail(MSFL_ERR_UNSUPPORTED, "add: a seeded ciphertext is added by msfl_bfv_add, not on the wire");
    }
    if (status == MSFL_OK) status = msfl_bfv_check_addends(ctx, &sum, &ct);
    if (status != MSFL_OK) return status;
    const msfl_kernel *kernel = ctx->ring.kernel;
    uint8_t *to = acc + MSFL_RLWE_HEADER_BYTES + MSFL_BFV_CT_FIXED;
    const uint8_t *from = bytes + MSFL_RLWE_HEADER_BYTES + MSFL_BFV_CT_FIXED;
    for (uint32_t k = 0; k < 2 * ctx->ring.n_primes; k++) {
        plane p = plane_at(ctx, ct.n_values, k);
        bool good = kernel->fold(p.m, to, from, p.n);
        to += msfl_packed_bytes(p.m, p.n);
        from += msfl_packed_bytes(p.m, p.n);
        if (good) continue;
        /* Take back this plane and those before it. */
        for (uint32_t i = k + 1; i-- > 0;) {
            p = plane_at(ctx, ct.n_values, i);
            to -= msfl_packed_bytes(p.m, p.n);
            from -= msfl_packed_bytes(p.m, p.n);
            kernel->unfold(p.m, to, from, p.n);
        }
        return msfl_fail(MSFL_ERR_FORMAT, "add: a residue of plane %u is not below its prime, or padding is not zero",
                         k);
    }
    msfl_store32(acc + ADDENDS_AT, sum.addends + ct.addends);
    return MSFL_OK;
}
