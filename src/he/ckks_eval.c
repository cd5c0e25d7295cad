/* Computing on ciphertexts of numbers. Every operation first works out the bounds of its result and refuses what could
 * not be opened, then takes its working memory, and only then changes anything. */
#include "he/ckks.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

static const double up = 1 + 0x1p-48;

static msfl_status check_operand(const msfl_ckks_ct *acc, const char *what) {
    if (acc->n_values != 0 && acc->form == MSFL_CKKS_NUMBERS) return MSFL_OK;
    return msfl_fail(MSFL_ERR_USAGE, "%s: an empty ciphertext, or one of sums", what);
}

static msfl_status check_key(const uint8_t *key_id, const msfl_ckks_ct *ct, const char *what) {
    msfl_status status = msfl_rlwe_check_key(ct->key_id, key_id);
    return status == MSFL_OK ? status : msfl_fail_in(status, "%s", what);
}

/** Scratch, and c1 written out. */
static msfl_status prepare(const msfl_ckks *ctx, msfl_ckks_ct *acc, msfl_rlwe_scratch **scratch) {
    msfl_status status = msfl_rlwe_take(ctx->pool, scratch);
    if (status != MSFL_OK || !acc->seeded) return status;
    status = msfl_ckks_unseed(ctx, *scratch, acc, acc->c1);
    if (status == MSFL_OK) {
        acc->seeded = false;
    } else {
        msfl_rlwe_give(ctx->pool, *scratch);
    }
    return status;
}

/* --- with plaintexts --- */

msfl_status msfl_ckks_add_plain(const msfl_ckks *ctx, msfl_ckks_ct *acc, const msfl_ckks_plain *plain) {
    msfl_status status = check_operand(acc, "add plain");
    if (status != MSFL_OK) return status;
    if (!plain->full) return msfl_fail(MSFL_ERR_USAGE, "add plain: an empty plaintext");
    if (!msfl_ckks_same_scale(acc->bounds.scale, plain->bounds.scale)) {
        return msfl_fail(MSFL_ERR_MISMATCH, "add plain: scale 2^%.6f to scale 2^%.6f; encode at the other's scale",
                         log2(plain->bounds.scale), log2(acc->bounds.scale));
    }
    msfl_ckks_bounds sum = msfl_ckks_add_bounds(&acc->bounds, &plain->bounds);
    status = msfl_ckks_room(ctx, &sum, acc->level, "add plain");
    if (status != MSFL_OK) return status;
    msfl_rlwe_scratch *scratch;
    status = msfl_rlwe_take(ctx->pool, &scratch);
    if (status != MSFL_OK) return status;
    const msfl_rlwe *r = &ctx->ring;
    size_t n = r->degree;
    msfl_cell *x = scratch->planes, *y = x + n, *buffer = y + n;
    uint8_t *c0 = acc->c0;
    for (uint32_t i = 0; i < acc->level; i++) {
        const msfl_modulus *m = &r->moduli[i];
        msfl_ckks_import(ctx, i, x, plain->x, plain->shift, NULL, &buffer->u);
        msfl_ckks_forward(ctx, i, x);
        msfl_rlwe_unpack(r, i, y, c0, 1, n);
        r->kernel->add_pack(m, c0, x, y, n);
        c0 += msfl_packed_bytes(m, n);
    }
    acc->bounds = sum;
    msfl_rlwe_give(ctx->pool, scratch);
    return MSFL_OK;
}

/* (s z + D + E)(t w + F) = s t z w + (s z F + t w D + D F) + E (t w + F) */
static msfl_ckks_bounds product_bounds(const msfl_ckks_bounds *a, const msfl_ckks_bounds *b) {
    double x = a->scale * a->magnitude, y = b->scale * b->magnitude;
    return (msfl_ckks_bounds){
        .scale = a->scale * b->scale,
        .magnitude = up * a->magnitude * b->magnitude,
        .error = up * (x * b->error + y * a->error + a->error * b->error + x * y * 0x1p-52),
        .noise = up * (a->noise * (y + b->error) + b->noise * (x + a->error) + a->noise * b->noise),
        .step = a->step * b->step,
    };
}

msfl_status msfl_ckks_multiply_plain(const msfl_ckks *ctx, msfl_ckks_ct *acc, const msfl_ckks_plain *plain) {
    msfl_status status = check_operand(acc, "multiply by plain");
    if (status != MSFL_OK) return status;
    if (!plain->full) return msfl_fail(MSFL_ERR_USAGE, "multiply by plain: an empty plaintext");
    msfl_ckks_bounds product = product_bounds(&acc->bounds, &plain->bounds);
    status = msfl_ckks_room(ctx, &product, acc->level, "multiply by plain");
    msfl_rlwe_scratch *scratch;
    if (status == MSFL_OK) status = prepare(ctx, acc, &scratch);
    if (status != MSFL_OK) return status;
    const msfl_rlwe *r = &ctx->ring;
    size_t n = r->degree;
    msfl_cell *x = scratch->planes, *y = x + n, *buffer = y + n;
    uint8_t *half[2] = {acc->c0, acc->c1};
    for (uint32_t i = 0; i < acc->level; i++) {
        const msfl_modulus *m = &r->moduli[i];
        msfl_ckks_import(ctx, i, y, plain->x, plain->shift, NULL, &buffer->u);
        r->kernel->forward(m, y);
        r->kernel->prepare(m, y); /* and divides by N */
        for (int h = 0; h < 2; h++) {
            msfl_rlwe_unpack(r, i, x, half[h], ctx->degree[i], n);
            r->kernel->multiply(m, x, y, n);
            msfl_rlwe_pack(r, i, half[h], x, n);
            half[h] += msfl_packed_bytes(m, n);
        }
    }
    acc->bounds = product;
    msfl_rlwe_give(ctx->pool, scratch);
    return MSFL_OK;
}

/* --- with ciphertexts --- */

/* (a0 - a1 s)(b0 - b1 s) = a0 b0 - (a0 b1 + a1 b0) s + a1 b1 s^2, the last of which goes to `d`. */
static void tensor(const msfl_ckks *ctx, msfl_rlwe_scratch *scratch, msfl_ckks_ct *acc, const uint8_t *b0,
                   const uint8_t *b1, uint8_t *d) {
    const msfl_rlwe *r = &ctx->ring;
    size_t n = r->degree;
    msfl_cell *x = scratch->planes, *z = x + n, *y[2] = {z + n, z + 2 * n};
    uint8_t *a0 = acc->c0, *a1 = acc->c1;
    for (uint32_t i = 0; i < acc->level; i++) {
        const msfl_modulus *m = &r->moduli[i];
        size_t bytes = msfl_packed_bytes(m, n);
        msfl_rlwe_unpack(r, i, y[0], b0, ctx->degree[i], n);
        r->kernel->prepare(m, y[0]);
        msfl_rlwe_unpack(r, i, y[1], b1, ctx->degree[i], n);
        r->kernel->prepare(m, y[1]);
        msfl_rlwe_unpack(r, i, x, a0, 1, n);
        r->kernel->multiply(m, x, y[1], n);
        msfl_rlwe_unpack(r, i, z, a1, 1, n);
        r->kernel->multiply(m, z, y[0], n);
        msfl_rlwe_scale(r, i, z, 1);
        r->kernel->add_pack(m, d, x, z, n); /* for the moment */
        msfl_rlwe_unpack(r, i, x, a0, 1, n);
        r->kernel->multiply(m, x, y[0], n);
        msfl_rlwe_unpack(r, i, z, a1, 1, n);
        r->kernel->multiply(m, z, y[1], n);
        /* If `ct` is `acc`, b0 and b1 change with a0 and a1, and were read. */
        msfl_rlwe_pack(r, i, a0, x, n);
        memcpy(a1, d, bytes);
        msfl_rlwe_pack(r, i, d, z, n);
        a0 += bytes;
        a1 += bytes;
        b0 += bytes;
        b1 += bytes;
        d += bytes;
    }
}

/** Planes of scratch in which a polynomial waits to be switched: behind those that switching works in. */
static uint8_t *waiting(const msfl_ckks *ctx, msfl_rlwe_scratch *scratch) {
    return (uint8_t *)(scratch->planes + (2 * (size_t)ctx->params.n_primes + 11) * ctx->ring.degree);
}

msfl_status msfl_ckks_multiply(const msfl_ckks *ctx, const msfl_ckks_relin *key, msfl_ckks_ct *acc,
                               const msfl_ckks_ct *ct) {
    msfl_status status = check_operand(acc, "multiply");
    if (status == MSFL_OK) status = check_operand(ct, "multiply");
    if (status == MSFL_OK) status = check_key(acc->key_id, ct, "multiply");
    if (status == MSFL_OK) status = check_key(key->id, acc, "multiply with a relinearisation key");
    if (status != MSFL_OK) return status;
    if (ct->level != acc->level) {
        return msfl_fail(MSFL_ERR_MISMATCH, "multiply: level %u by level %u; drop the higher one", acc->level,
                         ct->level);
    }
    msfl_ckks_bounds product = product_bounds(&acc->bounds, &ct->bounds);
    status = msfl_ckks_room(ctx, &product, acc->level, "multiply");
    msfl_rlwe_scratch *scratch;
    if (status == MSFL_OK) status = prepare(ctx, acc, &scratch);
    if (status != MSFL_OK) return status;
    /* The polynomials of `ct`, behind everything else if they are to be expanded; acc is expanded by now. */
    uint8_t *d = waiting(ctx, scratch), *expanded = (uint8_t *)(scratch->planes + 4 * (size_t)ctx->ring.degree);
    const uint8_t *b1 = ct->c1;
    if (ct->seeded) {
        status = msfl_ckks_unseed(ctx, scratch, ct, expanded);
        b1 = expanded;
    }
    if (status == MSFL_OK) {
        tensor(ctx, scratch, acc, ct->c0, b1, d);
        product.noise += msfl_ckks_switch_apply(ctx, &key->key, scratch, acc->level, d, acc->c0, acc->c1);
        acc->bounds = product;
    }
    msfl_rlwe_give(ctx->pool, scratch);
    return status;
}

/* --- levels --- */

msfl_status msfl_ckks_rescale(const msfl_ckks *ctx, msfl_ckks_ct *acc) {
    msfl_status status = check_operand(acc, "rescale");
    if (status != MSFL_OK) return status;
    const msfl_ckks_params *p = &ctx->params;
    if (p->n_step == 0 || acc->level < p->n_base + p->n_step) {
        return msfl_fail(MSFL_ERR_LIMIT, "rescale: level %u is the last; plan for more depth", acc->level);
    }
    msfl_rlwe_scratch *scratch;
    status = prepare(ctx, acc, &scratch);
    if (status != MSFL_OK) return status;
    for (uint32_t k = 0; k < p->n_step; k++) {
        uint32_t last = --acc->level;
        size_t at = msfl_ckks_plane_bytes(p, last);
        double q = (double)p->primes[last];
        double rounding = msfl_ckks_divide(ctx, scratch, 0, acc->c0, last, last, acc->c0 + at);
        rounding += msfl_ckks_divide(ctx, scratch, 0, acc->c1, last, last, acc->c1 + at) * ctx->root_norm;
        acc->bounds.noise = up * (acc->bounds.noise + rounding) / q;
        acc->bounds.error = up * acc->bounds.error / q + acc->bounds.scale / q * acc->bounds.magnitude * 0x1p-52;
        acc->bounds.scale /= q;
    }
    msfl_rlwe_give(ctx->pool, scratch);
    return MSFL_OK;
}

msfl_status msfl_ckks_drop(const msfl_ckks *ctx, msfl_ckks_ct *acc, uint32_t level) {
    msfl_status status = check_operand(acc, "drop");
    if (status != MSFL_OK) return status;
    if (level < 1 || level > acc->level) {
        return msfl_fail(MSFL_ERR_LIMIT, "drop: level %u from level %u is not possible", level, acc->level);
    }
    status = msfl_ckks_room(ctx, &acc->bounds, level, "drop");
    if (status == MSFL_OK) acc->level = level;
    return status;
}

/* --- rotations --- */

static const msfl_ckks_switch *find_key(const msfl_ckks *ctx, const msfl_ckks_galois *set, uint32_t steps) {
    uint64_t element = msfl_ckks_element(ctx, steps);
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->keys[i].element == element) return &set->keys[i];
    }
    return NULL;
}

/* The phase c0(x^g) - c1(x^g) s(x^g): the key's t is -s(x^g). */
static void rotate_once(const msfl_ckks *ctx, const msfl_ckks_switch *key, msfl_rlwe_scratch *scratch,
                        msfl_ckks_ct *acc) {
    const msfl_rlwe *r = &ctx->ring;
    size_t n = r->degree, at = 0;
    uint8_t *d = waiting(ctx, scratch);
    msfl_cell *x = scratch->planes, *y = x + n;
    for (uint32_t i = 0; i < acc->level; i++) {
        const uint8_t *from[2] = {acc->c0 + at, acc->c1 + at};
        uint8_t *to[2] = {acc->c0 + at, d + at};
        for (int half = 0; half < 2; half++) {
            msfl_rlwe_unpack(r, i, x, from[half], 1, n);
            for (size_t k = 0; k < n; k++)
                y[k] = x[key->order[k]];
            msfl_rlwe_pack(r, i, to[half], y, n);
        }
        at += msfl_packed_bytes(&r->moduli[i], n);
    }
    memset(acc->c1, 0, at);
    acc->bounds.noise += msfl_ckks_switch_apply(ctx, key, scratch, acc->level, d, acc->c0, acc->c1);
}

msfl_status msfl_ckks_rotate(const msfl_ckks *ctx, const msfl_ckks_galois *key, msfl_ckks_ct *acc, uint32_t steps) {
    msfl_status status = check_operand(acc, "rotate");
    if (status == MSFL_OK) status = check_key(key->id, acc, "rotate with Galois keys");
    if (status != MSFL_OK) return status;
    const msfl_ckks_switch *path[32];
    uint32_t length = 0;
    steps %= (uint32_t)ctx->embed.n;
    if (steps == 0) return MSFL_OK;
    path[length] = find_key(ctx, key, steps);
    if (path[length] != NULL) {
        length++;
    } else {
        for (uint32_t bit = 1; bit <= steps; bit *= 2) {
            if ((steps & bit) == 0) continue;
            path[length] = find_key(ctx, key, bit);
            if (path[length++] == NULL) {
                return msfl_fail(MSFL_ERR_MISSING, "rotate by %u: there is no key for that, nor for %u of its parts",
                                 steps, bit);
            }
        }
    }
    msfl_rlwe_scratch *scratch;
    status = prepare(ctx, acc, &scratch);
    if (status != MSFL_OK) return status;
    for (uint32_t i = 0; i < length; i++)
        rotate_once(ctx, path[i], scratch, acc);
    msfl_rlwe_give(ctx->pool, scratch);
    return MSFL_OK;
}
