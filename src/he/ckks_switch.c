/* Keys that turn something encrypted under another secret t into the same under s: one digit for each prime, one
 * special prime. Bytes of one: seeds of a (32 for each digit), then for each digit the planes of b of all primes. */
#include "he/ckks.h"

#include "base/mem.h"
#include "base/sodium.h"
#include "ring/prime.h"

#include <assert.h>
#include <string.h>

void msfl_ckks_switch_clear(msfl_ckks_switch *key) {
    msfl_free(key->order);
    msfl_free(key->bytes);
    msfl_free(key->b_row);
    msfl_free(key->a_row);
    memset(key, 0, sizeof *key);
}

size_t msfl_ckks_switch_bytes(const msfl_ckks *ctx) {
    const msfl_ckks_params *p = &ctx->params;
    return p->n_primes * (MSFL_RLWE_SEED_BYTES + msfl_ckks_plane_bytes(p, p->n_primes + p->n_special));
}

/* Value k of x(y^g) is x at psi^(g (2 brv(k) + 1)). */
static uint32_t *make_order(const msfl_ckks *ctx, uint64_t element) {
    uint32_t n = ctx->ring.degree, bits = (uint32_t)__builtin_ctz(n);
    uint32_t *order = msfl_alloc(n, sizeof *order);
    for (uint32_t k = 0; order != NULL && k < n; k++) {
        uint64_t exponent = (2 * (uint64_t)msfl_bit_reverse(k, bits) + 1) * element % (2 * (uint64_t)n);
        order[k] = msfl_bit_reverse((uint32_t)(exponent / 2), bits);
    }
    return order;
}

static msfl_status switch_alloc(const msfl_ckks *ctx, uint64_t element, msfl_ckks_switch *key) {
    size_t digits = ctx->params.n_primes, primes = ctx->ring.n_primes, n = ctx->ring.degree;
    *key = (msfl_ckks_switch){.element = element};
    if (element != 0) key->order = make_order(ctx, element);
    key->bytes = msfl_alloc(msfl_ckks_switch_bytes(ctx), 1);
    key->b_row = msfl_alloc(digits * primes * n, sizeof *key->b_row);
    key->a_row = msfl_alloc(digits * primes * n, sizeof *key->a_row);
    if (key->bytes != NULL && key->b_row != NULL && key->a_row != NULL && (element == 0 || key->order != NULL)) {
        return MSFL_OK;
    }
    msfl_ckks_switch_clear(key);
    return MSFL_ERR_MEMORY;
}

/** The packed planes of digit i. */
static uint8_t *digit_planes(const msfl_ckks *ctx, const msfl_ckks_switch *key, uint32_t i) {
    return key->bytes + (size_t)ctx->params.n_primes * MSFL_RLWE_SEED_BYTES +
           i * msfl_ckks_plane_bytes(&ctx->params, ctx->ring.n_primes);
}

static msfl_status switch_unpack(const msfl_ckks *ctx, msfl_ckks_switch *key) {
    const msfl_rlwe *r = &ctx->ring;
    size_t n = r->degree, at = 0;
    msfl_rlwe_scratch *scratch;
    msfl_status status = msfl_rlwe_take(ctx->pool, &scratch);
    if (status != MSFL_OK) return status;
    for (uint32_t i = 0; i < ctx->params.n_primes; i++) {
        const uint8_t *b = digit_planes(ctx, key, i);
        for (uint32_t j = 0; status == MSFL_OK && j < r->n_primes; j++, at += n) {
            status = msfl_ckks_expand_row(ctx, scratch, j, key->bytes + i * MSFL_RLWE_SEED_BYTES, key->a_row + at);
            msfl_rlwe_unpack(r, j, key->b_row + at, b, ctx->degree[j], n);
            b += msfl_packed_bytes(&r->moduli[j], n);
        }
    }
    msfl_rlwe_give(ctx->pool, scratch);
    return status;
}

/** P t modulo prime i as packed values: t = s^2, or -s(x^element), whose coefficients are put into `turned`. */
static void special_times_t(const msfl_ckks *ctx, const msfl_ckks_secret *secret, uint64_t element, uint32_t i,
                            msfl_cell *x, int32_t *turned, uint8_t *out) {
    const msfl_rlwe *r = &ctx->ring;
    const msfl_modulus *m = &r->moduli[i];
    size_t n = r->degree;
    uint64_t special = msfl_mod_64(r->moduli[r->n_primes - 1].m.p, &m->m);
    if (element == 0) {
        msfl_rlwe_transform(r, i, x, secret->base.s);
        msfl_rlwe_scale(r, i, x, 1); /* whatever `forward` leaves, within what `multiply` takes */
        r->kernel->multiply(m, x, secret->base.prepared + i * n, n);
        msfl_rlwe_scale(r, i, x, special);
    } else {
        for (size_t k = 0; k < n; k++) {
            size_t to = k * element % (2 * n);
            turned[to % n] = to < n ? -secret->base.s[k] : secret->base.s[k];
        }
        msfl_rlwe_transform(r, i, x, turned);
        msfl_rlwe_scale(r, i, x, special);
    }
    msfl_rlwe_pack(r, i, out, x, n);
}

static void fold_plane(const msfl_rlwe *r, uint32_t i, uint8_t *sum, const uint8_t *bytes) {
    bool good = r->kernel->fold(&r->moduli[i], sum, bytes, r->degree);
    assert(good);
    (void)good;
}

/** b_i = a_i s + e_i, and P t on top modulo prime i. */
static msfl_status make_digit(const msfl_ckks *ctx, msfl_ckks_secret *secret, msfl_rlwe_scratch *scratch, uint32_t i,
                              msfl_ckks_switch *key) {
    const msfl_rlwe *r = &ctx->ring;
    size_t n = r->degree;
    msfl_cell *x = scratch->planes, *e = x + n, *turned = e + n, *packed = turned + n;
    uint8_t stream_key[16], *seed = key->bytes + i * MSFL_RLWE_SEED_BYTES, *b = digit_planes(ctx, key, i);
    msfl_random_bytes(seed, MSFL_RLWE_SEED_BYTES);
    msfl_rlwe_public_key(r, seed, stream_key);
    msfl_status status = msfl_ckks_draw_key(ctx, scratch, "e", &x->d);
    for (uint32_t j = 0; status == MSFL_OK && j < r->n_primes; j++) {
        const msfl_modulus *m = &r->moduli[j];
        status = msfl_rlwe_start_public(scratch->aes, stream_key, j);
        if (status == MSFL_OK) {
            status = msfl_expand(m, scratch->aes, scratch->stream, secret->base.prepared + j * n, x);
        }
        if (status != MSFL_OK) break;
        msfl_rlwe_transform(r, j, e, scratch->small);
        msfl_rlwe_scale(r, j, e, 1);
        r->kernel->add_pack(m, b, x, e, n);
        if (i == j) {
            special_times_t(ctx, secret, key->element, i, x, (int32_t *)(void *)turned, (uint8_t *)packed);
            fold_plane(r, j, b, (const uint8_t *)packed);
        }
        b += msfl_packed_bytes(m, n);
    }
    return status;
}

msfl_status msfl_ckks_switch_new(const msfl_ckks *ctx, msfl_ckks_secret *secret, uint64_t element,
                                 msfl_ckks_switch *out) {
    msfl_status status = switch_alloc(ctx, element, out);
    if (status != MSFL_OK) return status;
    msfl_rlwe_scratch *scratch;
    status = msfl_rlwe_take(&secret->base.pool, &scratch);
    if (status == MSFL_OK) {
        for (uint32_t i = 0; status == MSFL_OK && i < ctx->params.n_primes; i++)
            status = make_digit(ctx, secret, scratch, i, out);
        msfl_rlwe_give(&secret->base.pool, scratch);
    }
    if (status == MSFL_OK) status = switch_unpack(ctx, out);
    if (status != MSFL_OK) msfl_ckks_switch_clear(out);
    return status;
}

msfl_status msfl_ckks_switch_read(const msfl_ckks *ctx, const uint8_t *bytes, uint64_t element, msfl_ckks_switch *out) {
    *out = (msfl_ckks_switch){0};
    const uint8_t *planes = bytes + (size_t)ctx->params.n_primes * MSFL_RLWE_SEED_BYTES;
    for (uint32_t i = 0; i < ctx->params.n_primes; i++) {
        msfl_status status = msfl_rlwe_check_planes(&ctx->ring, ctx->ring.n_primes, planes, ctx->ring.degree);
        if (status != MSFL_OK) return status;
        planes += msfl_ckks_plane_bytes(&ctx->params, ctx->ring.n_primes);
    }
    msfl_status status = switch_alloc(ctx, element, out);
    if (status != MSFL_OK) return status;
    memcpy(out->bytes, bytes, msfl_ckks_switch_bytes(ctx));
    status = switch_unpack(ctx, out);
    if (status != MSFL_OK) msfl_ckks_switch_clear(out);
    return status;
}

/* --- switching --- */

/** Where switching works in scratch: planes. Dividing uses the first four once the sums are complete. */
typedef struct workplace {
    msfl_cell *x, *y;    /**< products */
    msfl_cell *digit[2]; /**< two digits modulo one prime, ready to multiply */
    double *integers[2]; /**< the same, of least magnitude */
    double *copy;
    uint64_t *buffer;
    uint8_t *packed, *acc[2]; /**< packed planes: one, and the sums over all primes */
} workplace;

static workplace make_place(const msfl_rlwe *r, msfl_rlwe_scratch *scratch, uint32_t level) {
    msfl_cell *at = scratch->planes;
    size_t n = r->degree;
    return (workplace){
        .x = at,
        .y = at + n,
        .digit = {at + 2 * n, at + 3 * n},
        .integers = {&at[4 * n].d, &at[5 * n].d},
        .copy = &at[6 * n].d,
        .buffer = &at[7 * n].u,
        .packed = (uint8_t *)(at + 8 * n),
        .acc = {(uint8_t *)(at + 9 * n), (uint8_t *)(at + (9 + (size_t)level + 1) * n)},
    };
}

/** acc <- acc + the products of one or two digits with their rows; the first time without acc. There is no sum of
 * cells, so products are added in pairs where they are packed. */
static void accumulate(const msfl_rlwe *r, uint32_t j, const workplace *w, const msfl_cell *const rows[2],
                       uint32_t count, bool first, uint8_t *acc) {
    const msfl_modulus *m = &r->moduli[j];
    size_t n = r->degree;
    memcpy(w->x, rows[0], n * sizeof *w->x);
    r->kernel->multiply(m, w->x, w->digit[0], n);
    if (count == 2) {
        memcpy(w->y, rows[1], n * sizeof *w->y);
        r->kernel->multiply(m, w->y, w->digit[1], n);
        msfl_rlwe_scale(r, j, w->y, 1);
    }
    r->kernel->add_pack(m, first ? acc : w->packed, w->x, count == 2 ? w->y : r->zeros, n);
    if (!first) fold_plane(r, j, acc, w->packed);
}

/** The sums of digit times row over all digits and primes. Returns sum_i |d_i| sqrt(T). */
static double add_digits(const msfl_ckks *ctx, const msfl_ckks_switch *key, const workplace *w, uint32_t level,
                         const uint8_t *d) {
    const msfl_rlwe *r = &ctx->ring;
    size_t n = r->degree;
    double noise = 0;
    for (uint32_t i = 0; i < level; i += 2) {
        uint32_t count = level - i < 2 ? 1 : 2;
        for (uint32_t k = 0; k < count; k++) {
            msfl_ckks_centred(ctx, i + k, w->integers[k], d, w->x, w->buffer);
            d += msfl_packed_bytes(&r->moduli[i + k], n);
            memcpy(w->copy, w->integers[k], n * sizeof *w->copy);
            noise += msfl_embed_norm(&ctx->embed, w->copy) * ctx->root_norm;
        }
        size_t at = 0;
        for (uint32_t prime = 0; prime <= level; prime++) {
            uint32_t j = prime < level ? prime : r->n_primes - 1;
            const msfl_cell *b[2] = {NULL, NULL}, *a[2] = {NULL, NULL};
            for (uint32_t k = 0; k < count; k++) {
                const size_t row = ((size_t)(i + k) * r->n_primes + j) * n;
                b[k] = key->b_row + row;
                a[k] = key->a_row + row;
                msfl_ckks_import(ctx, j, w->digit[k], w->integers[k], 0, NULL, w->buffer);
                r->kernel->forward(&r->moduli[j], w->digit[k]);
                r->kernel->prepare(&r->moduli[j], w->digit[k]);
            }
            accumulate(r, j, w, b, count, i == 0, w->acc[0] + at);
            accumulate(r, j, w, a, count, i == 0, w->acc[1] + at);
            at += msfl_packed_bytes(&r->moduli[j], n);
        }
    }
    return noise;
}

/* Digit i is d modulo prime i, of least magnitude. As d_i = d modulo prime i, sum_i d_i P t (prime i alone) = P d t
 * modulo every prime of the level and P; dividing by P leaves d t + (sum_i d_i e_i + rounding) / P. The digits and what
 * is rounded off are public, and so are bounds on them at every root: nothing about them is left to chance. */
double msfl_ckks_switch_apply(const msfl_ckks *ctx, const msfl_ckks_switch *key, msfl_rlwe_scratch *scratch,
                              uint32_t level, const uint8_t *d, uint8_t *c0, uint8_t *c1) {
    const msfl_rlwe *r = &ctx->ring;
    const workplace w = make_place(r, scratch, level);
    const uint32_t special = r->n_primes - 1;
    const size_t level_bytes = msfl_ckks_plane_bytes(&ctx->params, level);
    double noise = add_digits(ctx, key, &w, level, d), rounding[2];
    uint8_t *out[2] = {c0, c1};
    for (int half = 0; half < 2; half++) {
        uint8_t *from = w.acc[half];
        rounding[half] = msfl_ckks_divide(ctx, scratch, 0, from, level, special, from + level_bytes);
        for (uint32_t i = 0; i < level; i++) {
            fold_plane(r, i, out[half], from);
            from += msfl_packed_bytes(&r->moduli[i], r->degree);
            out[half] += msfl_packed_bytes(&r->moduli[i], r->degree);
        }
    }
    double p = (double)r->moduli[special].m.p;
    return (noise + rounding[0] + rounding[1] * ctx->root_norm) / p * (1 + 0x1p-40);
}
