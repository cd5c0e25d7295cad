/* Ciphertexts: their memory, adding, and their bytes: header with the chunk's number, values (4), addends (4), form (4:
 * bit 0 seeded, bit 1 sums), level (4), scale, noise, error, magnitude, step (8 each), planes of c0, then the seed or
 * the planes of c1. */
#include "he/ckks.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/mem.h"

#include <assert.h>
#include <math.h>
#include <string.h>

void msfl_ckks_ct_free(msfl_ckks_ct *ct) {
    if (ct == NULL) return;
    msfl_free(ct->c0);
    msfl_free(ct->c1);
    msfl_free(ct);
}

msfl_status msfl_ckks_ct_new(const msfl_ckks *ctx, msfl_ckks_ct **out) {
    *out = NULL;
    msfl_ckks_ct *ct = msfl_alloc(1, sizeof *ct);
    if (ct == NULL) return MSFL_ERR_MEMORY;
    size_t bytes = msfl_ckks_plane_bytes(&ctx->params, ctx->params.n_primes);
    ct->c0 = msfl_alloc(bytes, 1);
    ct->c1 = msfl_alloc(bytes, 1);
    if (ct->c0 == NULL || ct->c1 == NULL) {
        msfl_ckks_ct_free(ct);
        return MSFL_ERR_MEMORY;
    }
    *out = ct;
    return MSFL_OK;
}

void msfl_ckks_ct_copy(const msfl_ckks *ctx, msfl_ckks_ct *to, const msfl_ckks_ct *from) {
    if (to == from) return;
    uint8_t *c0 = to->c0, *c1 = to->c1;
    *to = *from;
    to->c0 = c0;
    to->c1 = c1;
    if (from->n_values == 0) return;
    size_t bytes = msfl_ckks_plane_bytes(&ctx->params, from->level);
    memcpy(c0, from->c0, bytes);
    if (!from->seeded) memcpy(c1, from->c1, bytes);
}

uint32_t msfl_ckks_ct_values(const msfl_ckks_ct *ct) {
    return ct->n_values;
}
uint64_t msfl_ckks_ct_chunk(const msfl_ckks_ct *ct) {
    return ct->chunk;
}
uint32_t msfl_ckks_ct_addends(const msfl_ckks_ct *ct) {
    return ct->addends;
}
const uint8_t *msfl_ckks_ct_key_id(const msfl_ckks_ct *ct) {
    return ct->key_id;
}
uint32_t msfl_ckks_ct_level(const msfl_ckks_ct *ct) {
    return ct->level;
}
double msfl_ckks_ct_scale(const msfl_ckks_ct *ct) {
    return ct->bounds.scale;
}
double msfl_ckks_ct_error(const msfl_ckks_ct *ct) {
    return ct->bounds.scale == 0 ? 0 : (ct->bounds.error + ct->bounds.noise) / ct->bounds.scale;
}
double msfl_ckks_ct_magnitude(const msfl_ckks_ct *ct) {
    return ct->bounds.magnitude;
}
double msfl_ckks_ct_step(const msfl_ckks_ct *ct) {
    return ct->bounds.step;
}

/* --- adding --- */

msfl_status msfl_ckks_unseed(const msfl_ckks *ctx, msfl_rlwe_scratch *scratch, const msfl_ckks_ct *ct, uint8_t *out) {
    const msfl_rlwe *r = &ctx->ring;
    uint8_t stream_key[16];
    msfl_rlwe_public_key(r, ct->seed, stream_key);
    for (uint32_t i = 0; i < ct->level; i++) {
        const msfl_modulus *m = &r->moduli[i];
        msfl_status status = msfl_rlwe_start_public(scratch->aes, stream_key, i);
        if (status == MSFL_OK) status = msfl_expand(m, scratch->aes, scratch->stream, NULL, scratch->planes);
        if (status != MSFL_OK) return status;
        msfl_rlwe_pack(r, i, out, scratch->planes, r->degree);
        out += msfl_packed_bytes(m, r->degree);
    }
    return MSFL_OK;
}

/** The planes were checked when they came in, so the kernel has nothing to complain about. */
static void fold(const msfl_rlwe *r, uint32_t level, uint8_t *sum, const uint8_t *bytes) {
    for (uint32_t i = 0; i < level; i++) {
        bool good = r->kernel->fold(&r->moduli[i], sum, bytes, r->degree);
        assert(good);
        (void)good;
        sum += msfl_packed_bytes(&r->moduli[i], r->degree);
        bytes += msfl_packed_bytes(&r->moduli[i], r->degree);
    }
}

bool msfl_ckks_same_scale(double a, double b) {
    return fabs(a - b) <= 0x1p-46 * a;
}

msfl_ckks_bounds msfl_ckks_add_bounds(const msfl_ckks_bounds *a, const msfl_ckks_bounds *b) {
    return (msfl_ckks_bounds){
        .scale = a->scale,
        .noise = (a->noise + b->noise) * (1 + 0x1p-50),
        .error = (a->error + b->error + fabs(a->scale - b->scale) * b->magnitude) * (1 + 0x1p-50),
        .magnitude = (a->magnitude + b->magnitude) * (1 + 0x1p-50),
        .step = fmin(a->step, b->step),
    };
}

static msfl_status check_addends(const msfl_ckks *ctx, const msfl_ckks_ct *acc, const msfl_ckks_ct *ct,
                                 msfl_ckks_bounds *sum) {
    msfl_status status = msfl_rlwe_check_key(ct->key_id, acc->key_id);
    if (status != MSFL_OK) return msfl_fail_in(status, "add");
    if (ct->chunk != acc->chunk || ct->n_values != acc->n_values || ct->form != acc->form) {
        return msfl_fail(MSFL_ERR_MISMATCH, "add: chunk %llu of %u values to chunk %llu of %u, or sums to numbers",
                         (unsigned long long)ct->chunk, ct->n_values, (unsigned long long)acc->chunk, acc->n_values);
    }
    if (ct->form == MSFL_CKKS_SUMS) {
        if (ct->addends > ctx->params.n_addends - acc->addends) {
            return msfl_fail(MSFL_ERR_LIMIT, "add: %u more addends to %u; the parameters hold %u, so plan for more",
                             ct->addends, acc->addends, ctx->params.n_addends);
        }
        return MSFL_OK;
    }
    if (ct->level != acc->level) {
        return msfl_fail(MSFL_ERR_MISMATCH, "add: level %u to level %u; drop the higher one", ct->level, acc->level);
    }
    if (!msfl_ckks_same_scale(acc->bounds.scale, ct->bounds.scale)) {
        return msfl_fail(MSFL_ERR_MISMATCH,
                         "add: scale 2^%.6f to scale 2^%.6f; rescale, or encode at the other's scale",
                         log2(ct->bounds.scale), log2(acc->bounds.scale));
    }
    *sum = msfl_ckks_add_bounds(&acc->bounds, &ct->bounds);
    return msfl_ckks_room(ctx, sum, acc->level, "add");
}

msfl_status msfl_ckks_add(const msfl_ckks *ctx, msfl_ckks_ct *acc, const msfl_ckks_ct *ct) {
    if (ct->n_values == 0 || acc == ct) {
        return msfl_fail(MSFL_ERR_USAGE, "add: an empty ciphertext, or one to itself");
    }
    if (acc->n_values == 0) {
        msfl_ckks_ct_copy(ctx, acc, ct);
        return MSFL_OK;
    }
    msfl_ckks_bounds sum = {0};
    msfl_status status = check_addends(ctx, acc, ct, &sum);
    if (status != MSFL_OK) return status;
    const uint8_t *c1 = ct->c1;
    msfl_rlwe_scratch *scratch = NULL;
    if (acc->seeded || ct->seeded) {
        status = msfl_rlwe_take(ctx->pool, &scratch);
        /* Until `seeded` is cleared, c1 means nothing. */
        if (status == MSFL_OK && acc->seeded) status = msfl_ckks_unseed(ctx, scratch, acc, acc->c1);
        if (status == MSFL_OK && ct->seeded) {
            uint8_t *expanded = (uint8_t *)(scratch->planes + ctx->ring.degree);
            status = msfl_ckks_unseed(ctx, scratch, ct, expanded);
            c1 = expanded;
        }
    }
    if (status == MSFL_OK) {
        acc->seeded = false;
        fold(&ctx->ring, acc->level, acc->c0, ct->c0);
        fold(&ctx->ring, acc->level, acc->c1, c1);
        acc->bounds = sum;
        acc->addends = ct->addends > UINT32_MAX - acc->addends ? UINT32_MAX : acc->addends + ct->addends;
    }
    msfl_rlwe_give(ctx->pool, scratch);
    return status;
}

/* --- bytes --- */

size_t msfl_ckks_ct_bytes(const msfl_ckks *ctx, const msfl_ckks_ct *ct) {
    return ct->n_values == 0 ? 0 : msfl_ckks_bytes_of(&ctx->params, ct->level, ct->seeded);
}

size_t msfl_ckks_ct_bytes_max(const msfl_ckks *ctx) {
    return msfl_ckks_bytes_of(&ctx->params, ctx->params.n_primes, false);
}

void msfl_ckks_ct_write(const msfl_ckks *ctx, const msfl_ckks_ct *ct, uint8_t *out) {
    if (ct->n_values == 0) return;
    msfl_rlwe_write_header(&ctx->ring, MSFL_RLWE_CIPHERTEXT, msfl_ckks_ct_bytes(ctx, ct), ct->key_id, ct->chunk, out);
    out += MSFL_RLWE_HEADER_BYTES;
    msfl_store32(out, ct->n_values);
    msfl_store32(out + 4, ct->addends);
    msfl_store32(out + 8, (uint32_t)ct->form | (ct->seeded ? 1 : 0));
    msfl_store32(out + 12, ct->level);
    const double known[5] = {ct->bounds.scale, ct->bounds.noise, ct->bounds.error, ct->bounds.magnitude,
                             ct->bounds.step};
    for (size_t i = 0; i < 5; i++) {
        uint64_t bits;
        memcpy(&bits, &known[i], sizeof bits);
        msfl_store64(out + 16 + 8 * i, bits);
    }
    out += MSFL_CKKS_CT_FIXED;
    size_t bytes = msfl_ckks_plane_bytes(&ctx->params, ct->level);
    memcpy(out, ct->c0, bytes);
    if (ct->seeded) {
        memcpy(out + bytes, ct->seed, sizeof ct->seed);
    } else {
        memcpy(out + bytes, ct->c1, bytes);
    }
}

/** The fields before the planes; ERR_FORMAT if no ciphertext of these parameters has them. */
static msfl_status read_fixed(const msfl_ckks *ctx, msfl_reader *in, size_t length, msfl_ckks_ct *out) {
    const msfl_ckks_params *p = &ctx->params;
    out->n_values = msfl_get32(in);
    out->addends = msfl_get32(in);
    uint32_t form = msfl_get32(in);
    out->level = msfl_get32(in);
    const uint8_t *known = in->at;
    out->bounds.scale = msfl_get_f64(in);
    out->bounds.noise = msfl_get_f64(in);
    out->bounds.error = msfl_get_f64(in);
    out->bounds.magnitude = msfl_get_f64(in);
    out->bounds.step = msfl_get_f64(in);
    out->seeded = (form & 1) != 0;
    out->form = (form & 2) != 0 ? MSFL_CKKS_SUMS : MSFL_CKKS_NUMBERS;
    bool sums = p->value_bits != 0;
    if (in->failed || form > 3 || sums != (out->form == MSFL_CKKS_SUMS) || out->level < 1 || out->level > p->n_primes ||
        length != msfl_ckks_bytes_of(p, out->level, out->seeded)) {
        return msfl_fail(MSFL_ERR_FORMAT, "a ckks ciphertext of level %u in %zu bytes: not what its parameters make",
                         out->level, length);
    }
    if (out->addends < 1 || (out->seeded && out->addends != 1) || (sums && out->addends > p->n_addends)) {
        return msfl_fail(MSFL_ERR_FORMAT, "a ckks ciphertext that claims %u addends: not possible", out->addends);
    }
    if (sums) {
        static const uint8_t none[5 * 8];
        if (out->n_values < 1 || out->n_values > p->ring_degree || out->level != p->n_primes ||
            memcmp(known, none, sizeof none) != 0) {
            return msfl_fail(MSFL_ERR_FORMAT, "a ckks ciphertext of %u summed values: not possible", out->n_values);
        }
        return MSFL_OK;
    }
    if (out->n_values != p->ring_degree / 2 || !msfl_ckks_sane(&out->bounds) || !(out->bounds.noise > 0)) {
        return msfl_fail(MSFL_ERR_FORMAT, "a ckks ciphertext of %u numbers with bounds that are not possible",
                         out->n_values);
    }
    msfl_status status = msfl_ckks_room(ctx, &out->bounds, out->level, "read");
    return status == MSFL_OK ? status : msfl_fail_in(MSFL_ERR_FORMAT, "a ckks ciphertext");
}

msfl_status msfl_ckks_read_fields(const msfl_ckks *ctx, const uint8_t *bytes, size_t length, msfl_ckks_ct *out) {
    *out = (msfl_ckks_ct){0};
    msfl_rlwe_header header;
    msfl_status status = msfl_rlwe_expect(&ctx->ring, MSFL_RLWE_CIPHERTEXT, bytes, length, &header);
    if (status != MSFL_OK) return status;
    msfl_reader in = msfl_reader_init(bytes, length);
    (void)msfl_get_bytes(&in, MSFL_RLWE_HEADER_BYTES);
    out->chunk = header.number;
    memcpy(out->key_id, header.key_id, sizeof out->key_id);
    return read_fixed(ctx, &in, length, out);
}

msfl_status msfl_ckks_ct_read(const msfl_ckks *ctx, const uint8_t *bytes, size_t length, msfl_ckks_ct *ct) {
    ct->n_values = 0;
    const msfl_rlwe *r = &ctx->ring;
    msfl_ckks_ct found;
    msfl_status status = msfl_ckks_read_fields(ctx, bytes, length, &found);
    if (status != MSFL_OK) return status;
    /* The length is what the fields make it. */
    size_t plane_bytes = msfl_ckks_plane_bytes(&ctx->params, found.level);
    const uint8_t *c0 = bytes + MSFL_RLWE_HEADER_BYTES + MSFL_CKKS_CT_FIXED, *c1 = c0 + plane_bytes;
    status = msfl_rlwe_check_planes(r, found.level, c0, r->degree);
    if (status == MSFL_OK && !found.seeded) status = msfl_rlwe_check_planes(r, found.level, c1, r->degree);
    if (status != MSFL_OK) return status;
    found.c0 = ct->c0;
    found.c1 = ct->c1;
    *ct = found;
    memcpy(ct->c0, c0, plane_bytes);
    memcpy(ct->seeded ? ct->seed : ct->c1, c1, (size_t)(bytes + length - c1));
    return MSFL_OK;
}
