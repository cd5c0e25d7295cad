/* Sums of ciphertexts that stay on the wire: parsed, checked and added where they lie. */
#include "he/ckks.h"

#include "base/bytes.h"
#include "base/error.h"

#include <string.h>

enum { HEAD = MSFL_RLWE_HEADER_BYTES + MSFL_CKKS_CT_FIXED, ADDENDS_AT = MSFL_RLWE_HEADER_BYTES + 4 };

msfl_status msfl_ckks_ct_peek(const msfl_ckks *ctx, const uint8_t *bytes, size_t length, msfl_ckks_ct_facts *out) {
    memset(out, 0, sizeof *out);
    msfl_ckks_ct found;
    msfl_status status = msfl_ckks_read_fields(ctx, bytes, length, &found);
    if (status != MSFL_OK) return status;
    out->n_values = found.n_values;
    out->addends = found.addends;
    out->chunk = found.chunk;
    out->seeded = found.seeded;
    memcpy(out->key_id, found.key_id, sizeof out->key_id);
    return MSFL_OK;
}

msfl_status msfl_ckks_ct_check(const msfl_ckks *ctx, const uint8_t *bytes, size_t length, msfl_ckks_ct_facts *out) {
    msfl_ckks_ct found;
    msfl_status status = msfl_ckks_ct_peek(ctx, bytes, length, out);
    if (status == MSFL_OK) status = msfl_ckks_read_fields(ctx, bytes, length, &found);
    if (status != MSFL_OK) return status;
    status = msfl_rlwe_check_planes(&ctx->ring, found.level, bytes + HEAD, ctx->ring.degree);
    if (status == MSFL_OK && !found.seeded) {
        const uint8_t *c1 = bytes + HEAD + msfl_ckks_plane_bytes(&ctx->params, found.level);
        status = msfl_rlwe_check_planes(&ctx->ring, found.level, c1, ctx->ring.degree);
    }
    if (status != MSFL_OK) memset(out, 0, sizeof *out);
    return status;
}

static msfl_status check_pair(const msfl_ckks *ctx, const msfl_ckks_ct *acc, const msfl_ckks_ct *ct) {
    if (ct->form != MSFL_CKKS_SUMS) return msfl_fail(MSFL_ERR_USAGE, "fold: a ciphertext of numbers, not of sums");
    if (acc->seeded || ct->seeded) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "fold: a seeded ciphertext; read it and add it");
    }
    msfl_status status = msfl_rlwe_check_key(ct->key_id, acc->key_id);
    if (status != MSFL_OK) return msfl_fail_in(status, "fold");
    if (ct->chunk != acc->chunk || ct->n_values != acc->n_values) {
        return msfl_fail(MSFL_ERR_MISMATCH, "fold: chunk %llu of %u values to chunk %llu of %u",
                         (unsigned long long)ct->chunk, ct->n_values, (unsigned long long)acc->chunk, acc->n_values);
    }
    if (ct->addends > ctx->params.n_addends - acc->addends) {
        return msfl_fail(MSFL_ERR_LIMIT, "fold: %u more addends to %u; the parameters hold %u, so plan for more",
                         ct->addends, acc->addends, ctx->params.n_addends);
    }
    return MSFL_OK;
}

msfl_status msfl_ckks_ct_fold(const msfl_ckks *ctx, uint8_t *acc, const uint8_t *bytes, size_t length) {
    const msfl_rlwe *r = &ctx->ring;
    msfl_ckks_ct sum, ct;
    msfl_status status = msfl_ckks_read_fields(ctx, acc, length, &sum);
    if (status == MSFL_OK) status = msfl_ckks_read_fields(ctx, bytes, length, &ct);
    if (status == MSFL_OK) status = check_pair(ctx, &sum, &ct);
    if (status != MSFL_OK) return status;
    size_t at = HEAD;
    uint32_t done = 0, planes = 2 * ct.level;
    bool good = true;
    for (; good && done < planes; done++) {
        const msfl_modulus *m = &r->moduli[done % ct.level];
        good = r->kernel->fold(m, acc + at, bytes + at, r->degree);
        at += msfl_packed_bytes(m, r->degree);
    }
    if (!good) {
        while (done-- > 0) {
            const msfl_modulus *m = &r->moduli[done % ct.level];
            at -= msfl_packed_bytes(m, r->degree);
            r->kernel->unfold(m, acc + at, bytes + at, r->degree);
        }
        return msfl_fail(MSFL_ERR_FORMAT, "fold: a residue is not below its prime, or padding is not zero");
    }
    msfl_store32(acc + ADDENDS_AT, sum.addends + ct.addends);
    return MSFL_OK;
}
