/* Ciphertexts and their sums. Their bytes: bfv_wire.c. */
#include "he/bfv.h"

#include "base/error.h"
#include "base/mem.h"

#include <assert.h>
#include <string.h>

void msfl_bfv_ct_free(msfl_bfv_ct *ct) {
    if (ct == NULL) return;
    msfl_free(ct->c0);
    msfl_free(ct->c1);
    msfl_aes_free(ct->aes);
    msfl_free(ct->stream);
    msfl_free(ct->x);
    msfl_free(ct->planes);
    msfl_free(ct);
}

msfl_status msfl_bfv_ct_new(const msfl_bfv *ctx, msfl_bfv_ct **out) {
    *out = NULL;
    msfl_bfv_ct *ct = msfl_alloc(1, sizeof *ct);
    if (ct == NULL) return MSFL_ERR_MEMORY;
    size_t bytes = msfl_rlwe_planes_bytes(&ctx->ring, ctx->params.n_primes, ctx->params.ring_degree);
    ct->c0 = msfl_alloc(bytes, 1);
    ct->c1 = msfl_alloc(bytes, 1);
    if (ct->c0 == NULL || ct->c1 == NULL) {
        msfl_bfv_ct_free(ct);
        return MSFL_ERR_MEMORY;
    }
    *out = ct;
    return MSFL_OK;
}

uint32_t msfl_bfv_ct_values(const msfl_bfv_ct *ct) {
    return ct->n_values;
}

uint64_t msfl_bfv_ct_chunk(const msfl_bfv_ct *ct) {
    return ct->chunk;
}

uint32_t msfl_bfv_ct_addends(const msfl_bfv_ct *ct) {
    return ct->n_values == 0 ? 0 : ct->addends;
}

const uint8_t *msfl_bfv_ct_key_id(const msfl_bfv_ct *ct) {
    return ct->key_id;
}

/* --- adding --- */

static msfl_status make_workspace(const msfl_bfv *ctx, msfl_bfv_ct *ct) {
    if (ct->planes != NULL) return MSFL_OK;
    if (ct->aes == NULL) {
        msfl_status status = msfl_aes_new(ctx->ring.kernel, &ct->aes);
        if (status != MSFL_OK) return status;
    }
    if (ct->stream == NULL) ct->stream = msfl_alloc(1, sizeof *ct->stream);
    if (ct->x == NULL) ct->x = msfl_alloc(ctx->params.ring_degree, sizeof *ct->x);
    if (ct->stream == NULL || ct->x == NULL) return MSFL_ERR_MEMORY;
    ct->planes = msfl_alloc(msfl_rlwe_planes_bytes(&ctx->ring, ctx->params.n_primes, ctx->params.ring_degree), 1);
    return ct->planes != NULL ? MSFL_OK : MSFL_ERR_MEMORY;
}

/** The c1 of a seed, written out. Uses the workspace of `ct`. */
static msfl_status expand_seed(const msfl_bfv *ctx, msfl_bfv_ct *ct, const uint8_t *seed, uint8_t *out) {
    uint8_t stream_key[16];
    msfl_rlwe_public_key(&ctx->ring, seed, stream_key);
    for (uint32_t i = 0; i < ctx->params.n_primes; i++) {
        const msfl_modulus *m = &ctx->ring.moduli[i];
        msfl_status status = msfl_rlwe_start_public(ct->aes, stream_key, i);
        if (status == MSFL_OK) status = msfl_expand(m, ct->aes, ct->stream, NULL, ct->x);
        if (status != MSFL_OK) return status;
        msfl_rlwe_pack(&ctx->ring, i, out, ct->x, ctx->params.ring_degree);
        out += msfl_packed_bytes(m, ctx->params.ring_degree);
    }
    return MSFL_OK;
}

msfl_status msfl_bfv_check_addends(const msfl_bfv *ctx, const msfl_bfv_ct_facts *acc, const msfl_bfv_ct_facts *ct) {
    msfl_status status = msfl_rlwe_check_key(ct->key_id, acc->key_id);
    if (status != MSFL_OK) return msfl_fail_in(status, "add");
    if (ct->chunk != acc->chunk || ct->n_values != acc->n_values) {
        return msfl_fail(MSFL_ERR_MISMATCH, "add: chunk %llu of %u values to chunk %llu of %u",
                         (unsigned long long)ct->chunk, ct->n_values, (unsigned long long)acc->chunk, acc->n_values);
    }
    if (ct->addends > ctx->params.n_addends - acc->addends) {
        return msfl_fail(MSFL_ERR_LIMIT, "add: %u more addends to %u; the parameters hold %u, so plan for more",
                         ct->addends, acc->addends, ctx->params.n_addends);
    }
    return MSFL_OK;
}

static msfl_bfv_ct_facts facts_of(const msfl_bfv_ct *ct) {
    msfl_bfv_ct_facts facts = {
        .n_values = ct->n_values, .addends = ct->addends, .chunk = ct->chunk, .seeded = ct->seeded};
    memcpy(facts.key_id, ct->key_id, sizeof facts.key_id);
    return facts;
}

static void copy(const msfl_bfv *ctx, msfl_bfv_ct *to, const msfl_bfv_ct *from) {
    const msfl_rlwe *r = &ctx->ring;
    uint32_t n = msfl_bfv_coefficients(&ctx->params, from->n_values);
    memcpy(to->c0, from->c0, msfl_rlwe_planes_bytes(r, r->n_primes, n));
    if (!from->seeded) memcpy(to->c1, from->c1, msfl_rlwe_planes_bytes(r, r->n_primes, r->degree));
    memcpy(to->seed, from->seed, sizeof to->seed);
    memcpy(to->key_id, from->key_id, sizeof to->key_id);
    to->n_values = from->n_values;
    to->addends = from->addends;
    to->chunk = from->chunk;
    to->seeded = from->seeded;
}

/** The planes were checked when they came in, so the kernel has nothing to complain about. */
static void fold(const msfl_rlwe *r, uint8_t *sum, const uint8_t *bytes, size_t n) {
    for (uint32_t i = 0; i < r->n_primes; i++) {
        bool good = r->kernel->fold(&r->moduli[i], sum, bytes, n);
        assert(good);
        (void)good;
        sum += msfl_packed_bytes(&r->moduli[i], n);
        bytes += msfl_packed_bytes(&r->moduli[i], n);
    }
}

msfl_status msfl_bfv_add(const msfl_bfv *ctx, msfl_bfv_ct *acc, const msfl_bfv_ct *ct) {
    const msfl_rlwe *r = &ctx->ring;
    if (ct->n_values == 0 || acc == ct) {
        return msfl_fail(MSFL_ERR_USAGE, "add: an empty ciphertext, or one to itself");
    }
    if (acc->n_values == 0) {
        copy(ctx, acc, ct);
        return MSFL_OK;
    }
    msfl_bfv_ct_facts sum = facts_of(acc), addend = facts_of(ct);
    msfl_status status = msfl_bfv_check_addends(ctx, &sum, &addend);
    if (status == MSFL_OK && (acc->seeded || ct->seeded)) status = make_workspace(ctx, acc);
    /* Until `seeded` is cleared, c1 means nothing. */
    if (status == MSFL_OK && acc->seeded) status = expand_seed(ctx, acc, acc->seed, acc->c1);
    if (status == MSFL_OK && ct->seeded) status = expand_seed(ctx, acc, ct->seed, acc->planes);
    if (status != MSFL_OK) return status;
    acc->seeded = false;
    fold(r, acc->c0, ct->c0, msfl_bfv_coefficients(&ctx->params, ct->n_values));
    fold(r, acc->c1, ct->seeded ? acc->planes : ct->c1, r->degree);
    acc->addends += ct->addends;
    return MSFL_OK;
}
