/* Numbers under the ckks scheme: encoding against its definition, and computing against plain doubles, within the
 * bounds that ciphertexts carry. */
#include "base/bytes.h"
#include "base/mem.h"
#include "base/seeded.h"
#include "base/sodium.h"
#include "base/threads.h"
#include "he/ckks.h"

#include <complex.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void ok(msfl_status status) {
    if (status != MSFL_OK) fail_msg("%s: %s", msfl_status_name(status), msfl_error_message());
}

static msfl_ckks_params plan(const msfl_ckks_request *r) {
    msfl_ckks_params p;
    ok(msfl_ckks_plan(r, &p));
    ok(msfl_ckks_check(&p));
    return p;
}

/** Depth 2, rotations, no flooding: what most tests need. */
static const msfl_ckks_request usual = {
    .depth = 2, .scale_bits = 40, .n_slots = 512, .n_addends = 4, .value_max = 1024, .rotations = true};

typedef struct bench {
    msfl_ckks *ctx;
    msfl_ckks_secret *secret;
    msfl_ckks_public *public;
    msfl_ckks_relin *relin;
    msfl_ckks_galois *galois;
    msfl_ckks_plain *plain;
    msfl_ckks_ct *a, *b, *c;
    uint32_t n;
    double *x, *y, *re, *im; /**< n each */
} bench;

static void bench_init(bench *b, const msfl_ckks_request *r, const uint32_t *steps, uint32_t n_steps) {
    memset(b, 0, sizeof *b);
    msfl_ckks_params p = plan(r);
    ok(msfl_ckks_new(&p, &b->ctx));
    ok(msfl_ckks_secret_new(b->ctx, &b->secret));
    ok(msfl_ckks_public_new(b->ctx, b->secret, &b->public));
    if (p.n_special != 0) ok(msfl_ckks_relin_new(b->ctx, b->secret, &b->relin));
    if (p.n_special != 0) ok(msfl_ckks_galois_new(b->ctx, b->secret, steps, n_steps, &b->galois));
    ok(msfl_ckks_plain_new(b->ctx, &b->plain));
    ok(msfl_ckks_ct_new(b->ctx, &b->a));
    ok(msfl_ckks_ct_new(b->ctx, &b->b));
    ok(msfl_ckks_ct_new(b->ctx, &b->c));
    b->n = msfl_ckks_slots(b->ctx);
    b->x = calloc(b->n, sizeof *b->x);
    b->y = calloc(b->n, sizeof *b->y);
    b->re = calloc(b->n, sizeof *b->re);
    b->im = calloc(b->n, sizeof *b->im);
}

static void bench_clear(bench *b) {
    free(b->x);
    free(b->y);
    free(b->re);
    free(b->im);
    msfl_ckks_ct_free(b->a);
    msfl_ckks_ct_free(b->b);
    msfl_ckks_ct_free(b->c);
    msfl_ckks_plain_free(b->plain);
    msfl_ckks_galois_free(b->galois);
    msfl_ckks_relin_free(b->relin);
    msfl_ckks_public_free(b->public);
    msfl_ckks_secret_free(b->secret);
    msfl_ckks_free(b->ctx);
}

static double between(msfl_seeded *g, double bound) {
    return (double)(int64_t)msfl_seeded_u64(g) * 0x1p-63 * bound;
}

static void encrypt(bench *b, const double *re, const double *im, const msfl_ckks_encoding *how, bool seeded,
                    msfl_ckks_ct *ct) {
    ok(msfl_ckks_encode(b->ctx, re, im, b->n, how, b->plain));
    ok(seeded ? msfl_ckks_encrypt_seeded(b->ctx, b->secret, 7, b->plain, ct)
              : msfl_ckks_encrypt(b->ctx, b->public, 7, b->plain, ct));
}

/** What no user gets to see: the raw numbers, to compare with the bound. Returns the largest error in re and im, which
 *  must be within the bound of the ciphertext and, unless `loose`, not absurdly far below. */
static double raw(bench *b, const msfl_ckks_ct *ct, const double *re, const double *im) {
    msfl_rlwe_scratch *scratch;
    size_t degree = 2 * (size_t)b->n;
    double *x = msfl_alloc(degree, sizeof *x), worst = 0;
    ok(msfl_rlwe_take(&b->secret->base.pool, &scratch));
    ok(msfl_ckks_phase(b->ctx, b->secret, scratch, ct, ct->level, 0, x));
    msfl_rlwe_give(&b->secret->base.pool, scratch);
    b->ctx->embed.kernel->to_slots(&b->ctx->embed, x, x + b->n);
    for (uint32_t j = 0; j < b->n; j++) {
        size_t at = b->ctx->embed.position[j];
        worst =
            fmax(worst, hypot(x[at] / ct->bounds.scale - re[j], x[b->n + at] / ct->bounds.scale - (im ? im[j] : 0)));
    }
    msfl_free(x);
    double decoding = msfl_ckks_decode_error((uint32_t)degree, ct->bounds.magnitude) * 2;
    if (!(worst <= msfl_ckks_ct_error(ct) + decoding)) {
        fail_msg("error %g, bound %g", worst, msfl_ckks_ct_error(ct) + decoding);
    }
    return worst;
}

/* --- encoding --- */

/** Coefficients of an encoding, evaluated at zeta^(5^j) by Horner's rule. */
static void encoding_is_its_definition(void **state) {
    (void)state;
    bench b;
    msfl_ckks_request r = usual;
    r.depth = 0;
    bench_init(&b, &r, NULL, 0);
    msfl_seeded g;
    msfl_seeded_init(&g, 1, "test", 0, 0, 0);
    for (uint32_t j = 0; j < b.n; j++) {
        b.x[j] = between(&g, 600);
        b.y[j] = between(&g, 600);
    }
    static const double scales[] = {0, 1024, 0x1p80}; /* 0: 2^40; 2^80 needs a shift */
    for (size_t s = 0; s < 3; s++) {
        msfl_ckks_encoding how = {.scale = scales[s]};
        ok(msfl_ckks_encode(b.ctx, b.x, b.y, b.n, &how, b.plain));
        assert_int_equal(b.plain->shift, s == 2 ? 80 + 11 - 49 : s == 0 ? 2 : 0);
        size_t degree = 2 * (size_t)b.n, power = 1;
        long double unit = 3.14159265358979323846264338327950288L / (long double)degree;
        for (uint32_t j = 0; j < b.n; j++, power = power * 5 % (2 * degree)) {
            if (j % 29 != 0) continue; /* a definition takes its time */
            long double complex z = cexpl(I * unit * (long double)power), sum = 0;
            for (size_t k = degree; k-- > 0;)
                sum = sum * z + b.plain->x[k];
            sum = ldexpl(1, (int)b.plain->shift) * sum;
            double complex wanted = b.plain->bounds.scale * (b.x[j] + I * b.y[j]);
            assert_true(cabs((double complex)sum - wanted) <= b.plain->bounds.error);
        }
        for (size_t k = 0; k < degree; k++)
            assert_true(b.plain->x[k] == rint(b.plain->x[k]) && fabs(b.plain->x[k]) < 0x1p49);
    }
    bench_clear(&b);
}

static void encodings_are_refused(void **state) {
    (void)state;
    bench b;
    msfl_ckks_request r = usual;
    r.depth = 0;
    r.rotations = false;
    bench_init(&b, &r, NULL, 0);
    const double x[3] = {1, -2, 3.5}, bad[2] = {1, (double)NAN}, big[2] = {1, 1024.1}, inf[1] = {(double)INFINITY};
#define ENCODE(values, count, ...)                                                                                     \
    msfl_ckks_encode(b.ctx, values, NULL, count, &(msfl_ckks_encoding){__VA_ARGS__}, b.plain)
    ok(ENCODE(x, 3, 0));
    ok(ENCODE(x, 3, .step = 0.5));
    assert_int_equal(ENCODE(x, 3, .step = 1), MSFL_ERR_NUMERIC);
    assert_int_equal(msfl_ckks_encrypt(b.ctx, b.public, 0, b.plain, b.a), MSFL_ERR_USAGE);
    assert_int_equal(ENCODE(x, 3, .step = 3), MSFL_ERR_USAGE);
    assert_int_equal(ENCODE(x, 3, .step = -1), MSFL_ERR_USAGE);
    assert_int_equal(ENCODE(x, 3, .step = (double)NAN), MSFL_ERR_USAGE);
    assert_int_equal(ENCODE(x, 3, .step = 0x1p-41), MSFL_ERR_USAGE);
    assert_int_equal(ENCODE(x, 3, .scale = 0.5), MSFL_ERR_USAGE);
    assert_int_equal(ENCODE(x, 3, .scale = (double)NAN), MSFL_ERR_USAGE);
    assert_int_equal(ENCODE(x, 3, .scale = 0x1p121), MSFL_ERR_USAGE);
    assert_int_equal(ENCODE(x, 3, .magnitude = 1025), MSFL_ERR_USAGE);
    assert_int_equal(ENCODE(x, 3, .magnitude = (double)NAN), MSFL_ERR_USAGE);
    assert_int_equal(ENCODE(x, 3, .magnitude = 3), MSFL_ERR_NUMERIC);
    assert_int_equal(ENCODE(bad, 2, 0), MSFL_ERR_NUMERIC);
    assert_int_equal(ENCODE(big, 2, 0), MSFL_ERR_NUMERIC);
    assert_int_equal(ENCODE(inf, 1, .step = 1), MSFL_ERR_NUMERIC);
    assert_int_equal(ENCODE(x, 0, 0), MSFL_ERR_USAGE);
    assert_int_equal(ENCODE(x, b.n + 1, 0), MSFL_ERR_USAGE);
    /* A scale that leaves no room. */
    ok(ENCODE(x, 3, .scale = 0x1p60));
    assert_int_equal(msfl_ckks_encrypt(b.ctx, b.public, 0, b.plain, b.a), MSFL_ERR_LIMIT);
    assert_int_equal(msfl_ckks_ct_values(b.a), 0);
#undef ENCODE
    bench_clear(&b);
}

/* --- computing --- */

static void operations_are_within_their_bounds(void **state) {
    (void)state;
    bench b;
    bench_init(&b, &usual, NULL, 0);
    msfl_seeded g;
    msfl_seeded_init(&g, 2, "test", 0, 0, 0);
    double *u = calloc(b.n, sizeof *u), *v = calloc(b.n, sizeof *v), *zero = calloc(b.n, sizeof *zero);
    msfl_ckks_encoding small = {.magnitude = 8};
    for (uint32_t j = 0; j < b.n; j++) {
        b.x[j] = between(&g, 5);
        b.y[j] = between(&g, 5);
        u[j] = between(&g, 5);
        v[j] = between(&g, 5);
    }
    for (int seeded = 0; seeded < 2; seeded++) {
        encrypt(&b, b.x, b.y, &small, seeded, b.a);
        double fresh = raw(&b, b.a, b.x, b.y);
        assert_true(fresh * 4096 > msfl_ckks_ct_error(b.a));
        encrypt(&b, u, v, &small, !seeded, b.b);
        /* sum */
        msfl_ckks_ct_copy(b.ctx, b.c, b.a);
        ok(msfl_ckks_add(b.ctx, b.c, b.b));
        for (uint32_t j = 0; j < b.n; j++) {
            b.re[j] = b.x[j] + u[j];
            b.im[j] = b.y[j] + v[j];
        }
        raw(&b, b.c, b.re, b.im);
        assert_int_equal(msfl_ckks_ct_addends(b.c), 2);
        /* sum with a plaintext */
        msfl_ckks_ct_copy(b.ctx, b.c, b.a);
        ok(msfl_ckks_encode(b.ctx, u, v, b.n, &small, b.plain));
        ok(msfl_ckks_add_plain(b.ctx, b.c, b.plain));
        raw(&b, b.c, b.re, b.im);
        /* product with a plaintext, and with a ciphertext, before and after rescaling */
        for (uint32_t j = 0; j < b.n; j++) {
            b.re[j] = b.x[j] * u[j] - b.y[j] * v[j];
            b.im[j] = b.x[j] * v[j] + b.y[j] * u[j];
        }
        msfl_ckks_ct_copy(b.ctx, b.c, b.a);
        ok(msfl_ckks_multiply_plain(b.ctx, b.c, b.plain));
        raw(&b, b.c, b.re, b.im);
        ok(msfl_ckks_rescale(b.ctx, b.c));
        raw(&b, b.c, b.re, b.im);
        msfl_ckks_ct_copy(b.ctx, b.c, b.a);
        ok(msfl_ckks_multiply(b.ctx, b.relin, b.c, b.b));
        assert_true(msfl_ckks_ct_scale(b.c) == 0x1p80);
        raw(&b, b.c, b.re, b.im);
        ok(msfl_ckks_rescale(b.ctx, b.c));
        raw(&b, b.c, b.re, b.im);
        assert_true(fabs(msfl_ckks_ct_scale(b.c) / 0x1p40 - 1) < 1e-4);
        assert_true(msfl_ckks_ct_error(b.c) < 1e-3);
        /* once more, by itself: depth 2 */
        for (uint32_t j = 0; j < b.n; j++) {
            double re = b.re[j] * b.re[j] - b.im[j] * b.im[j];
            b.im[j] = 2 * b.re[j] * b.im[j];
            b.re[j] = re;
        }
        ok(msfl_ckks_multiply(b.ctx, b.relin, b.c, b.c));
        ok(msfl_ckks_rescale(b.ctx, b.c));
        raw(&b, b.c, b.re, b.im);
        /* and no further */
        assert_int_equal(msfl_ckks_multiply(b.ctx, b.relin, b.c, b.c), MSFL_ERR_LIMIT);
        assert_int_equal(msfl_ckks_rescale(b.ctx, b.c), MSFL_ERR_LIMIT);
        raw(&b, b.c, b.re, b.im);
    }
    free(u);
    free(v);
    free(zero);
    bench_clear(&b);
}

/** A step of two primes, and a scale that no double holds exactly. */
static void wide_scales(void **state) {
    (void)state;
    bench b;
    msfl_ckks_request r = {.depth = 1, .scale_bits = 80, .n_slots = 1, .n_addends = 1, .value_max = 100};
    bench_init(&b, &r, NULL, 0);
    assert_int_equal(b.ctx->params.n_step, 2);
    for (uint32_t j = 0; j < b.n; j++) {
        b.x[j] = j % 19 / 2.0 - 4;
        b.re[j] = b.x[j] * b.x[j];
    }
    msfl_ckks_encoding how = {.magnitude = 8, .step = 0.5};
    encrypt(&b, b.x, NULL, &how, false, b.a);
    ok(msfl_ckks_multiply(b.ctx, b.relin, b.a, b.a));
    ok(msfl_ckks_rescale(b.ctx, b.a));
    assert_int_equal(msfl_ckks_ct_level(b.a), b.ctx->params.n_base);
    raw(&b, b.a, b.re, NULL);
    ok(msfl_ckks_decrypt_exact(b.ctx, b.secret, b.a, b.y, NULL));
    for (uint32_t j = 0; j < b.n; j++)
        assert_true(b.y[j] == b.re[j]);
    bench_clear(&b);
}

static void all_rotations(void **state) {
    (void)state;
    bench b;
    msfl_ckks_request r = usual;
    r.depth = 0;
    bench_init(&b, &r, NULL, 0);
    msfl_ckks_encoding whole = {.step = 1};
    for (uint32_t j = 0; j < b.n; j++) {
        b.x[j] = j % 1000;
        b.y[j] = -(double)(j % 7);
    }
    encrypt(&b, b.x, b.y, &whole, true, b.a);
    for (uint32_t steps = 0; steps <= b.n; steps += steps < 20 ? 1 : 97) {
        msfl_ckks_ct_copy(b.ctx, b.c, b.a);
        ok(msfl_ckks_rotate(b.ctx, b.galois, b.c, steps));
        ok(msfl_ckks_decrypt_exact(b.ctx, b.secret, b.c, b.re, b.im));
        for (uint32_t j = 0; j < b.n; j++) {
            assert_true(b.re[j] == b.x[(j + steps) % b.n]);
            assert_true(b.im[j] == b.y[(j + steps) % b.n]);
        }
    }
    /* Keys for some alone: 5 is there, 6 = 1 + ... is not. */
    const uint32_t steps[2] = {5, 2};
    msfl_ckks_galois *few;
    ok(msfl_ckks_galois_new(b.ctx, b.secret, steps, 2, &few));
    msfl_ckks_ct_copy(b.ctx, b.c, b.a);
    ok(msfl_ckks_rotate(b.ctx, few, b.c, 5));
    ok(msfl_ckks_rotate(b.ctx, few, b.c, 2));
    assert_int_equal(msfl_ckks_rotate(b.ctx, few, b.c, 7), MSFL_ERR_MISSING);
    ok(msfl_ckks_decrypt_exact(b.ctx, b.secret, b.c, b.re, NULL));
    for (uint32_t j = 0; j < b.n; j++)
        assert_true(b.re[j] == b.x[(j + 7) % b.n]);
    msfl_ckks_galois_free(few);
    const uint32_t twice[2] = {5, 5}, none[1] = {0}, far[1] = {b.n};
    assert_int_equal(msfl_ckks_galois_new(b.ctx, b.secret, twice, 2, &few), MSFL_ERR_USAGE);
    assert_int_equal(msfl_ckks_galois_new(b.ctx, b.secret, none, 1, &few), MSFL_ERR_USAGE);
    assert_int_equal(msfl_ckks_galois_new(b.ctx, b.secret, far, 1, &few), MSFL_ERR_USAGE);
    bench_clear(&b);
}

/** <x, y> over 256 slots by rotating and adding: an integer, opened exactly; and in reals, within the bound. */
static void inner_product(void **state) {
    (void)state;
    enum { LENGTH = 256 };
    bench b;
    msfl_ckks_request r = {
        .depth = 1, .scale_bits = 45, .n_slots = 1, .n_addends = 1, .value_max = 4 * 4 * LENGTH, .rotations = true};
    bench_init(&b, &r, NULL, 0);
    for (int whole = 0; whole < 2; whole++) {
        msfl_seeded g;
        msfl_seeded_init(&g, 3, "test", 0, 0, 0);
        double sum = 0;
        for (uint32_t j = 0; j < b.n; j++) {
            /* The pattern repeats, so that every slot ends up with the same sum. */
            b.x[j] = j >= LENGTH ? b.x[j - LENGTH] : whole ? (double)msfl_seeded_below(&g, 9) - 4 : between(&g, 4);
            b.y[j] = j >= LENGTH ? b.y[j - LENGTH] : whole ? (double)msfl_seeded_below(&g, 9) - 4 : between(&g, 4);
            if (j < LENGTH) sum += b.x[j] * b.y[j];
        }
        msfl_ckks_encoding how = {.magnitude = 4, .step = whole};
        encrypt(&b, b.x, NULL, &how, false, b.a);
        encrypt(&b, b.y, NULL, &how, true, b.b);
        ok(msfl_ckks_multiply(b.ctx, b.relin, b.a, b.b));
        ok(msfl_ckks_rescale(b.ctx, b.a));
        for (uint32_t steps = LENGTH / 2; steps >= 1; steps /= 2) {
            msfl_ckks_ct_copy(b.ctx, b.b, b.a);
            ok(msfl_ckks_rotate(b.ctx, b.galois, b.b, steps));
            ok(msfl_ckks_add(b.ctx, b.a, b.b));
        }
        for (uint32_t j = 0; j < b.n; j++)
            b.re[j] = sum;
        double error = raw(&b, b.a, b.re, NULL);
        assert_true(error < 0.01);
        if (whole) {
            ok(msfl_ckks_decrypt_exact(b.ctx, b.secret, b.a, b.y, b.im));
            for (uint32_t j = 0; j < b.n; j++)
                assert_true(b.y[j] == sum && b.im[j] == 0);
        } else {
            assert_int_equal(msfl_ckks_decrypt_exact(b.ctx, b.secret, b.a, b.y, b.im), MSFL_ERR_POLICY);
            assert_int_equal(msfl_ckks_decrypt(b.ctx, b.secret, b.a, 1, b.y, b.im, NULL), MSFL_ERR_POLICY);
            assert_true(b.y[0] == 0);
        }
    }
    bench_clear(&b);
}

/** sum w_k x_k / sum w_k with encrypted weights, released with flooding. */
static void weighted_mean(void **state) {
    (void)state;
    enum { CLIENTS = 5 };
    bench b;
    msfl_ckks_request r = {.depth = 1,
                           .scale_bits = 100,
                           .n_slots = 2048,
                           .n_addends = CLIENTS,
                           .value_max = 8,
                           .flood_bits = 40,
                           .n_releases = 4};
    bench_init(&b, &r, NULL, 0);
    msfl_ckks_facts f;
    msfl_ckks_describe(&b.ctx->params, 1, &f);
    assert_true(f.flooded_error_max > 0 && f.flooded_error_max < 1e-3);
    msfl_ckks_ct *weights;
    ok(msfl_ckks_ct_new(b.ctx, &weights));
    msfl_seeded g;
    msfl_seeded_init(&g, 4, "test", 0, 0, 0);
    double *wanted = calloc(b.n, sizeof *wanted), total = 0, error, error2;
    msfl_ckks_encoding unit = {.magnitude = 1};
    for (int k = 0; k < CLIENTS; k++) {
        double w = 0.1 + 0.9 * (double)msfl_seeded_below(&g, 1000) / 1000;
        total += w;
        for (uint32_t j = 0; j < b.n; j++) {
            b.x[j] = between(&g, 8);
            b.y[j] = w;
            wanted[j] += w * b.x[j];
        }
        encrypt(&b, b.x, NULL, NULL, false, b.a);
        encrypt(&b, b.y, NULL, &unit, false, b.b);
        ok(msfl_ckks_add(b.ctx, weights, b.b));
        ok(msfl_ckks_multiply(b.ctx, b.relin, b.a, b.b));
        ok(msfl_ckks_add(b.ctx, b.c, b.a)); /* and one rescaling for all */
    }
    ok(msfl_ckks_rescale(b.ctx, b.c));
    raw(&b, b.c, wanted, NULL);
    ok(msfl_ckks_decrypt(b.ctx, b.secret, b.c, 0.01, b.re, NULL, &error));
    ok(msfl_ckks_decrypt(b.ctx, b.secret, weights, 0.01, b.y, NULL, &error2));
    for (uint32_t j = 0; j < b.n; j++) {
        assert_true(fabs(b.re[j] - wanted[j]) <= error);
        assert_true(fabs(b.y[j] - total) <= error2);
        assert_true(fabs(b.re[j] / b.y[j] - wanted[j] / total) < 0.02);
    }
    /* Another release differs, and by about the flood. */
    ok(msfl_ckks_decrypt(b.ctx, b.secret, b.c, 0.01, b.x, b.im, &error));
    double far = 0;
    for (uint32_t j = 0; j < b.n; j++)
        far = fmax(far, fabs(b.x[j] - b.re[j]));
    assert_true(far > error / 32 && far <= 2 * error);
    /* More accuracy than there is. */
    assert_int_equal(msfl_ckks_decrypt(b.ctx, b.secret, b.c, error / 2, b.x, b.im, NULL), MSFL_ERR_NUMERIC);
    assert_int_equal(msfl_ckks_decrypt(b.ctx, b.secret, b.c, (double)NAN, b.x, b.im, NULL), MSFL_ERR_NUMERIC);
    assert_true(b.x[0] == 0 && b.im[5] == 0);
    /* Four releases were planned, and refused ones do not count. */
    ok(msfl_ckks_decrypt(b.ctx, b.secret, b.c, 0.01, b.x, b.im, NULL));
    assert_int_equal(msfl_ckks_decrypt(b.ctx, b.secret, b.c, 0.01, b.x, b.im, NULL), MSFL_ERR_LIMIT);
    free(wanted);
    msfl_ckks_ct_free(weights);
    bench_clear(&b);
}

/** The flood is uniform, zero in the mean, and as wide as it says. */
static void flood_is_what_it_says(void **state) {
    (void)state;
    bench b;
    msfl_ckks_request r = {.scale_bits = 100, .n_slots = 1, .n_addends = 1, .value_max = 1, .flood_bits = 40};
    bench_init(&b, &r, NULL, 0);
    encrypt(&b, b.x, NULL, NULL, true, b.a);
    msfl_rlwe_scratch *scratch;
    size_t degree = 2 * (size_t)b.n;
    double *x = msfl_alloc(degree, sizeof *x);
    ok(msfl_rlwe_take(&b.secret->base.pool, &scratch));
    static const uint32_t widths[] = {10, 49, 64, 90};
    for (size_t i = 0; i < 4; i++) {
        double w = ldexp(1, (int)widths[i]), mean = 0, square = 0, most = 0;
        ok(msfl_ckks_phase(b.ctx, b.secret, scratch, b.a, b.a->level, widths[i], x));
        for (size_t k = 0; k < degree; k++) {
            mean += x[k] / w / (double)degree;
            square += x[k] / w * (x[k] / w) / (double)degree;
            most = fmax(most, fabs(x[k] / w));
        }
        assert_true(fabs(mean) < 0.1 && fabs(square - 1.0 / 3) < 0.05 && most > 0.95 && most < 1.1);
    }
    msfl_rlwe_give(&b.secret->base.pool, scratch);
    msfl_free(x);
    bench_clear(&b);
}

/** Exact opening refuses exactly where the bound reaches half a step. */
static void exactness_has_limits(void **state) {
    (void)state;
    bench b;
    msfl_ckks_request r = {.scale_bits = 30, .n_slots = 1, .n_addends = 1, .value_max = 1024};
    bench_init(&b, &r, NULL, 0);
    b.x[3] = -7;
    bool opened = false, refused = false;
    for (double step = 1; step >= 0x1p-20; step /= 2) {
        msfl_ckks_encoding how = {.step = step};
        encrypt(&b, b.x, NULL, &how, false, b.a);
        msfl_status status = msfl_ckks_decrypt_exact(b.ctx, b.secret, b.a, b.re, b.im);
        if (status == MSFL_OK) {
            assert_false(refused);
            opened = true;
            assert_memory_equal(b.re, b.x, b.n * sizeof *b.re);
        } else {
            refused = true;
            assert_int_equal(status, MSFL_ERR_NUMERIC);
            assert_true(b.re[3] == 0);
            assert_true(msfl_ckks_ct_error(b.a) > 0.4 * step);
        }
    }
    assert_true(opened && refused);
    /* A step of one kind and one of another: the smaller holds; none and one: none. */
    msfl_ckks_encoding one = {.magnitude = 500, .step = 1}, half = {.magnitude = 500, .step = 0.5},
                       none = {.magnitude = 10};
    encrypt(&b, b.x, NULL, &one, false, b.a);
    encrypt(&b, b.x, NULL, &half, false, b.b);
    ok(msfl_ckks_add(b.ctx, b.a, b.b));
    assert_true(msfl_ckks_ct_step(b.a) == 0.5);
    encrypt(&b, b.x, NULL, &none, false, b.b);
    ok(msfl_ckks_add(b.ctx, b.a, b.b));
    assert_true(msfl_ckks_ct_step(b.a) == 0);
    assert_int_equal(msfl_ckks_decrypt_exact(b.ctx, b.secret, b.a, b.re, NULL), MSFL_ERR_POLICY);
    bench_clear(&b);
}

/* --- refusals --- */

static void mismatches_have_names(void **state) {
    (void)state;
    bench b, other;
    bench_init(&b, &usual, NULL, 0);
    bench_init(&other, &usual, NULL, 0);
    msfl_ckks_encoding small = {.magnitude = 8, .step = 1};
    encrypt(&b, b.x, NULL, &small, false, b.a);
    encrypt(&other, b.x, NULL, &small, false, other.a);
    size_t length = msfl_ckks_ct_bytes(b.ctx, b.a);
    uint8_t *before = malloc(length), *after = malloc(length);
    msfl_ckks_ct_write(b.ctx, b.a, before);
    /* keys */
    assert_int_equal(msfl_ckks_add(b.ctx, b.a, other.a), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_ckks_multiply(b.ctx, b.relin, b.a, other.a), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_ckks_multiply(b.ctx, other.relin, b.a, b.a), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_ckks_rotate(b.ctx, other.galois, b.a, 1), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_ckks_decrypt_exact(b.ctx, other.secret, b.a, b.re, NULL), MSFL_ERR_MISMATCH);
    memcpy(b.a->key_id, other.secret->base.id, 16);
    assert_int_equal(msfl_ckks_decrypt_exact(b.ctx, other.secret, b.a, b.re, NULL), MSFL_ERR_CRYPTO);
    memcpy(b.a->key_id, b.secret->base.id, 16);
    /* chunks, levels, scales */
    ok(msfl_ckks_encrypt(b.ctx, b.public, 8, b.plain, b.b));
    encrypt(&b, b.x, NULL, &small, false, b.c);
    b.b->chunk = 8;
    assert_int_equal(msfl_ckks_add(b.ctx, b.a, b.b), MSFL_ERR_MISMATCH);
    ok(msfl_ckks_drop(b.ctx, b.c, b.c->level - 1));
    assert_int_equal(msfl_ckks_add(b.ctx, b.a, b.c), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_ckks_multiply(b.ctx, b.relin, b.a, b.c), MSFL_ERR_MISMATCH);
    msfl_ckks_encoding coarse = {.scale = 0x1p39, .magnitude = 8};
    encrypt(&b, b.x, NULL, &coarse, false, b.c);
    assert_int_equal(msfl_ckks_add(b.ctx, b.a, b.c), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_ckks_add_plain(b.ctx, b.a, b.plain), MSFL_ERR_MISMATCH);
    /* nothing, itself, no such level */
    b.c->n_values = 0;
    b.plain->full = false;
    assert_int_equal(msfl_ckks_add(b.ctx, b.a, b.c), MSFL_ERR_USAGE);
    assert_int_equal(msfl_ckks_add(b.ctx, b.a, b.a), MSFL_ERR_USAGE);
    assert_int_equal(msfl_ckks_multiply(b.ctx, b.relin, b.a, b.c), MSFL_ERR_USAGE);
    assert_int_equal(msfl_ckks_multiply(b.ctx, b.relin, b.c, b.a), MSFL_ERR_USAGE);
    assert_int_equal(msfl_ckks_add_plain(b.ctx, b.a, b.plain), MSFL_ERR_USAGE);
    assert_int_equal(msfl_ckks_multiply_plain(b.ctx, b.a, b.plain), MSFL_ERR_USAGE);
    assert_int_equal(msfl_ckks_rotate(b.ctx, b.galois, b.c, 1), MSFL_ERR_USAGE);
    assert_int_equal(msfl_ckks_drop(b.ctx, b.a, 0), MSFL_ERR_LIMIT);
    assert_int_equal(msfl_ckks_drop(b.ctx, b.a, 99), MSFL_ERR_LIMIT);
    uint64_t totals[1];
    uint32_t values[1] = {1};
    assert_int_equal(msfl_ckks_sums_encrypt(b.ctx, b.public, 0, values, 1, b.c), MSFL_ERR_USAGE);
    assert_int_equal(msfl_ckks_sums_decrypt(b.ctx, b.secret, b.a, totals), MSFL_ERR_USAGE);
    /* too many additions: magnitudes grow until nothing fits */
    msfl_status status = MSFL_OK;
    for (int i = 0; i < 64 && status == MSFL_OK; i++) {
        msfl_ckks_ct_copy(b.ctx, b.b, b.a);
        b.b->bounds.magnitude = b.a->bounds.magnitude *= 4;
        status = msfl_ckks_add(b.ctx, b.b, b.a);
    }
    assert_int_equal(status, MSFL_ERR_LIMIT);
    b.a->bounds.magnitude = 8;
    msfl_ckks_ct_write(b.ctx, b.a, after);
    assert_memory_equal(before, after, length);
    free(before);
    free(after);
    bench_clear(&b);
    bench_clear(&other);
}

static void parameters_are_refused(void **state) {
    (void)state;
    msfl_ckks_params p = plan(&usual), x;
#define REFUSED(change)                                                                                                \
    do {                                                                                                               \
        x = p;                                                                                                         \
        change;                                                                                                        \
        assert_int_equal(msfl_ckks_check(&x), MSFL_ERR_PARAMS);                                                        \
    } while (0)
    REFUSED(x.ring_degree /= 2);
    REFUSED(x.security_bits = 256);
    REFUSED(x.n_addends = 0);
    REFUSED(x.n_addends = 4000);
    REFUSED(x.n_step = 0);
    REFUSED(x.n_step = 4);
    REFUSED(x.n_base = 1);
    REFUSED(x.n_special = 0);
    REFUSED(x.n_special = 2);
    REFUSED(x.value_bits = 8);
    REFUSED(x.flood_bits = 9);
    REFUSED(x.flood_bits = 81);
    REFUSED(x.flood_bits = 40);
    REFUSED(x.n_releases = 1);
    REFUSED(x.flood_bits = 40; x.n_releases = 1 << 21);
    REFUSED(x.value_max = 0);
    REFUSED(x.value_max = (double)NAN);
    REFUSED(x.value_max = 1e7);
    REFUSED(x.scale *= 0x1p-10);
    REFUSED(x.scale *= 0x1p10);
    REFUSED(uint64_t t = x.primes[0]; x.primes[0] = x.primes[x.n_primes]; x.primes[x.n_primes] = t);
    REFUSED(x.primes[1] = x.primes[2]);
    REFUSED(x.primes[0] += 2);
    REFUSED(x.primes[15] = x.primes[0]);
#undef REFUSED
#define WRONG(field, value)                                                                                            \
    do {                                                                                                               \
        msfl_ckks_request r = usual;                                                                                   \
        r.field = value;                                                                                               \
        assert_int_equal(msfl_ckks_plan(&r, &x), MSFL_ERR_USAGE);                                                      \
    } while (0)
    WRONG(depth, 15);
    WRONG(scale_bits, 24);
    WRONG(scale_bits, 121);
    WRONG(n_slots, 0);
    WRONG(n_slots, 16385);
    WRONG(n_addends, 0);
    WRONG(n_addends, 10001);
    WRONG(value_max, 0);
    WRONG(value_max, (double)NAN);
    WRONG(value_max, (double)INFINITY);
    WRONG(security_bits, 64);
    WRONG(ring_degree, 1000);
    WRONG(ring_degree, 512);
    WRONG(flood_bits, 9);
    WRONG(flood_bits, 81);
    WRONG(n_releases, (1 << 20) + 1);
#undef WRONG
    msfl_ckks_request r = usual;
    r.depth = 14;
    r.scale_bits = 60;
    assert_int_equal(msfl_ckks_plan(&r, &x), MSFL_ERR_PARAMS);
    assert_non_null(strstr(msfl_error_message(), "2024/463"));
    r = usual;
    r.ring_degree = 1024;
    assert_int_equal(msfl_ckks_plan(&r, &x), MSFL_ERR_PARAMS);
    assert_int_equal(x.ring_degree, 0);
}

/** Every ring and level: the largest depth that fits works, up to the slowest. */
static void planned_sets_work(void **state) {
    (void)state;
    static const struct {
        uint32_t degree, security, scale, least;
    } cases[] = {{4096, 128, 30, 0},  {8192, 128, 35, 2},  {8192, 192, 30, 1},
                 {16384, 128, 40, 7}, {16384, 256, 30, 4}, {32768, 128, 45, 14}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        msfl_ckks_request r = {.scale_bits = cases[i].scale,
                               .n_slots = 1,
                               .n_addends = 1,
                               .value_max = 4,
                               .security_bits = cases[i].security,
                               .ring_degree = cases[i].degree};
        msfl_ckks_params p;
        for (r.depth = MSFL_CKKS_DEPTH_MAX; r.depth > 0 && msfl_ckks_plan(&r, &p) != MSFL_OK; r.depth--)
            ;
        assert_true(r.depth >= cases[i].least);
        if (cases[i].degree > 8192) continue; /* planned; working with it would take a while */
        const uint32_t one = 1;
        bench b;
        bench_init(&b, &r, &one, 1);
        for (uint32_t j = 0; j < b.n; j++)
            b.re[j] = b.x[j] = 1 - 2.0 * j / b.n;
        msfl_ckks_encoding unit = {.magnitude = 1};
        encrypt(&b, b.x, NULL, &unit, false, b.a);
        for (uint32_t d = 0; d < r.depth; d++) {
            ok(msfl_ckks_multiply(b.ctx, b.relin, b.a, b.a));
            ok(msfl_ckks_rescale(b.ctx, b.a));
            for (uint32_t j = 0; j < b.n; j++)
                b.re[j] *= b.re[j];
            raw(&b, b.a, b.re, NULL);
        }
        bench_clear(&b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encoding_is_its_definition),
        cmocka_unit_test(encodings_are_refused),
        cmocka_unit_test(operations_are_within_their_bounds),
        cmocka_unit_test(wide_scales),
        cmocka_unit_test(all_rotations),
        cmocka_unit_test(inner_product),
        cmocka_unit_test(weighted_mean),
        cmocka_unit_test(flood_is_what_it_says),
        cmocka_unit_test(exactness_has_limits),
        cmocka_unit_test(mismatches_have_names),
        cmocka_unit_test(parameters_are_refused),
        cmocka_unit_test(planned_sets_work),
    };
    return cmocka_run_group_tests_name("ckks", tests, NULL, NULL);
}
