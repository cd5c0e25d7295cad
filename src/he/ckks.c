/* Contexts of the ckks scheme, and how planes are brought from doubles to residues and back. */
#include "he/ckks.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"

#include <math.h>
#include <string.h>

/* Switching a key takes most: nine planes at work, two sums over all primes, and the polynomial that is switched. */
static size_t work_planes(const msfl_ckks_params *params) {
    return 3 * (size_t)params->n_primes + 16;
}

static void make_constants(msfl_ckks *ctx) {
    const msfl_rlwe *r = &ctx->ring;
    double q = 1;
    for (uint32_t i = 0; i < r->n_primes; i++) {
        const msfl_barrett *m = &r->moduli[i].m;
        q *= (double)m->p;
        ctx->q[i] = q;
        ctx->degree[i] = msfl_mod_64(r->degree, m);
        ctx->degree_inverse[i] = msfl_mod_inverse_vartime(ctx->degree[i], m);
        for (uint32_t k = 0; k < r->n_primes; k++) {
            if (k != i) ctx->inverse[k][i] = msfl_mod_inverse_vartime(msfl_mod_64(r->moduli[k].m.p, m), m);
        }
    }
    ctx->root_norm = sqrt((double)MSFL_CKKS_NORM * r->degree) * (1 + 0x1p-40);
}

msfl_status msfl_ckks_new(const msfl_ckks_params *params, msfl_ckks **out) {
    *out = NULL;
    msfl_status status = msfl_ckks_check(params);
    if (status != MSFL_OK) return status;
    msfl_ckks *ctx = msfl_alloc(1, sizeof *ctx);
    if (ctx == NULL) return MSFL_ERR_MEMORY;
    ctx->params = *params;
    uint8_t canonical[MSFL_CKKS_PARAMS_BYTES];
    msfl_ckks_params_write(params, canonical);
    status = msfl_rlwe_init(&ctx->ring, MSFL_CKKS_SCHEME, params->ring_degree, params->primes,
                            params->n_primes + params->n_special, canonical, sizeof canonical);
    if (status == MSFL_OK) status = msfl_embed_init(&ctx->embed, msfl_embed_choose(), params->ring_degree);
    if (status == MSFL_OK) {
        ctx->pool = msfl_alloc(1, sizeof *ctx->pool);
        if (ctx->pool == NULL) status = MSFL_ERR_MEMORY;
    }
    if (status != MSFL_OK) {
        msfl_ckks_free(ctx);
        return status;
    }
    msfl_rlwe_pool_init(ctx->pool, &ctx->ring, work_planes(params));
    make_constants(ctx);
    *out = ctx;
    return MSFL_OK;
}

void msfl_ckks_free(msfl_ckks *ctx) {
    if (ctx == NULL) return;
    if (ctx->pool != NULL) msfl_rlwe_pool_clear(ctx->pool);
    msfl_free(ctx->pool);
    msfl_embed_clear(&ctx->embed);
    msfl_rlwe_clear(&ctx->ring);
    msfl_free(ctx);
}

const char *msfl_ckks_kernel(const msfl_ckks *ctx) {
    return ctx->ring.kernel->name;
}

const msfl_ckks_params *msfl_ckks_params_of(const msfl_ckks *ctx) {
    return &ctx->params;
}

uint32_t msfl_ckks_slots(const msfl_ckks *ctx) {
    return ctx->params.ring_degree / 2;
}

/* --- planes --- */

void msfl_ckks_forward(const msfl_ckks *ctx, uint32_t i, msfl_cell *x) {
    ctx->ring.kernel->forward(&ctx->ring.moduli[i], x);
    msfl_rlwe_scale(&ctx->ring, i, x, 1);
}

void msfl_ckks_import(const msfl_ckks *ctx, uint32_t i, msfl_cell *out, const double *x, uint32_t shift,
                      const int8_t *noise, uint64_t *buffer) {
    const msfl_modulus *m = &ctx->ring.moduli[i];
    size_t n = ctx->ring.degree;
    ctx->embed.kernel->residues(buffer, x, shift == 0 ? noise : NULL, m->m.p, n);
    if (shift != 0) {
        uint64_t factor = msfl_mod_pow_vartime(2, shift, &m->m);
        for (size_t k = 0; k < n; k++) {
            uint64_t e = noise == NULL ? 0 : msfl_mod_signed(noise[k], m->m.p);
            buffer[k] = msfl_mod_add(msfl_mod_mul(buffer[k], factor, &m->m), e, m->m.p);
        }
    }
    ctx->ring.kernel->import(m, out, buffer, n);
}

void msfl_ckks_centred(const msfl_ckks *ctx, uint32_t i, double *out, const uint8_t *plane, msfl_cell *cells,
                       uint64_t *buffer) {
    const msfl_modulus *m = &ctx->ring.moduli[i];
    size_t n = ctx->ring.degree;
    msfl_rlwe_unpack(&ctx->ring, i, cells, plane, ctx->degree_inverse[i], n);
    ctx->ring.kernel->inverse(m, cells);
    ctx->ring.kernel->export(m, buffer, cells, n);
    ctx->embed.kernel->centre(out, buffer, m->m.p, n);
}

/* (c - r) / p = (c - r) p^-1: r is subtracted as values modulo each prime. */
double msfl_ckks_divide(const msfl_ckks *ctx, msfl_rlwe_scratch *scratch, size_t free, uint8_t *planes, uint32_t count,
                        uint32_t last, const uint8_t *last_plane) {
    const msfl_rlwe *r = &ctx->ring;
    size_t n = r->degree;
    msfl_cell *cells = scratch->planes + free * n;
    double *rest = &cells[n].d, *copy = &cells[2 * n].d;
    uint64_t *buffer = &cells[3 * n].u;
    msfl_ckks_centred(ctx, last, rest, last_plane, cells, buffer);
    memcpy(copy, rest, n * sizeof *rest);
    double norm = msfl_embed_norm(&ctx->embed, copy);
    for (uint32_t i = 0; i < count; i++) {
        const msfl_modulus *m = &r->moduli[i];
        msfl_ckks_import(ctx, i, cells, rest, 0, NULL, buffer);
        r->kernel->forward(m, cells);
        r->kernel->subtract_from(m, cells, planes, ctx->inverse[last][i], n);
        msfl_rlwe_pack(r, i, planes, cells, n);
        planes += msfl_packed_bytes(m, n);
    }
    return norm;
}
