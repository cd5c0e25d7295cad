/* Keys and ciphertexts of the ckks scheme as bytes; memory that fails; threads and kernels. */
#include "base/bytes.h"
#include "base/mem.h"
#include "base/seeded.h"
#include "base/threads.h"
#include "he/ckks.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void ok(msfl_status status) {
    if (status != MSFL_OK) fail_msg("%s: %s", msfl_status_name(status), msfl_error_message());
}

/** N = 4096, four primes with the special one: small enough to be changed bit by bit. */
static msfl_ckks_params small_set(void) {
    const msfl_ckks_request r = {
        .depth = 1, .scale_bits = 25, .n_slots = 1, .n_addends = 2, .value_max = 16, .ring_degree = 4096};
    msfl_ckks_params p;
    ok(msfl_ckks_plan(&r, &p));
    return p;
}

typedef struct bench {
    msfl_ckks *ctx;
    msfl_ckks_secret *secret;
    msfl_ckks_public *public;
    msfl_ckks_relin *relin;
    msfl_ckks_galois *galois;
    msfl_ckks_plain *plain;
    msfl_ckks_ct *a, *b;
    double *x, *out;
    uint32_t n;
} bench;

static const uint32_t steps[2] = {3, 64};

static void bench_init(bench *b) {
    msfl_ckks_params p = small_set();
    memset(b, 0, sizeof *b);
    ok(msfl_ckks_new(&p, &b->ctx));
    ok(msfl_ckks_secret_new(b->ctx, &b->secret));
    ok(msfl_ckks_public_new(b->ctx, b->secret, &b->public));
    ok(msfl_ckks_relin_new(b->ctx, b->secret, &b->relin));
    ok(msfl_ckks_galois_new(b->ctx, b->secret, steps, 2, &b->galois));
    ok(msfl_ckks_plain_new(b->ctx, &b->plain));
    ok(msfl_ckks_ct_new(b->ctx, &b->a));
    ok(msfl_ckks_ct_new(b->ctx, &b->b));
    b->n = msfl_ckks_slots(b->ctx);
    b->x = calloc(b->n, sizeof *b->x);
    b->out = calloc(b->n, sizeof *b->out);
    for (uint32_t j = 0; j < b->n; j++)
        b->x[j] = (double)(j % 7) - 3;
}

static void bench_clear(bench *b) {
    free(b->x);
    free(b->out);
    msfl_ckks_ct_free(b->a);
    msfl_ckks_ct_free(b->b);
    msfl_ckks_plain_free(b->plain);
    msfl_ckks_galois_free(b->galois);
    msfl_ckks_relin_free(b->relin);
    msfl_ckks_public_free(b->public);
    msfl_ckks_secret_free(b->secret);
    msfl_ckks_free(b->ctx);
}

/* Two to the 25 is little: an integer is a step of 4. */
static void encrypt(bench *b, bool seeded, msfl_ckks_ct *ct) {
    double *scaled = calloc(b->n, sizeof *scaled);
    for (uint32_t j = 0; j < b->n; j++)
        scaled[j] = 4 * b->x[j];
    const msfl_ckks_encoding how = {.step = 4};
    ok(msfl_ckks_encode(b->ctx, scaled, NULL, b->n, &how, b->plain));
    ok(seeded ? msfl_ckks_encrypt_seeded(b->ctx, b->secret, 9, b->plain, ct)
              : msfl_ckks_encrypt(b->ctx, b->public, 9, b->plain, ct));
    free(scaled);
}

static void opens(bench *b, const msfl_ckks_ct *ct, uint32_t shift) {
    ok(msfl_ckks_decrypt_exact(b->ctx, b->secret, ct, b->out, NULL));
    for (uint32_t j = 0; j < b->n; j++)
        assert_true(b->out[j] == 4 * b->x[(j + shift) % b->n]);
}

typedef enum key_kind { SECRET, PUBLIC, RELIN, GALOIS } key_kind;

static size_t key_bytes(const bench *b, key_kind kind) {
    return kind == SECRET   ? msfl_ckks_secret_bytes(b->ctx)
           : kind == PUBLIC ? msfl_ckks_public_bytes(b->ctx)
           : kind == RELIN  ? msfl_ckks_relin_bytes(b->ctx)
                            : msfl_ckks_galois_bytes(b->ctx, b->galois);
}

static void key_write(const bench *b, key_kind kind, uint8_t *out) {
    if (kind == SECRET) msfl_ckks_secret_write(b->ctx, b->secret, out);
    if (kind == PUBLIC) msfl_ckks_public_write(b->ctx, b->public, out);
    if (kind == RELIN) msfl_ckks_relin_write(b->ctx, b->relin, out);
    if (kind == GALOIS) msfl_ckks_galois_write(b->ctx, b->galois, out);
}

/** Reads as a key of this kind and frees it, or keeps it in the bench. */
static msfl_status key_read(bench *b, const msfl_ckks *ctx, key_kind kind, const uint8_t *bytes, size_t length,
                            bool keep) {
    msfl_ckks_secret *secret = NULL;
    msfl_ckks_public *public = NULL;
    msfl_ckks_relin *relin = NULL;
    msfl_ckks_galois *galois = NULL;
    msfl_status status = kind == SECRET   ? msfl_ckks_secret_read(ctx, bytes, length, &secret)
                         : kind == PUBLIC ? msfl_ckks_public_read(ctx, bytes, length, &public)
                         : kind == RELIN  ? msfl_ckks_relin_read(ctx, bytes, length, &relin)
                                          : msfl_ckks_galois_read(ctx, bytes, length, &galois);
    if (status != MSFL_OK) {
        assert_true(secret == NULL && public == NULL && relin == NULL && galois == NULL);
        return status;
    }
#define KEEP(name)                                                                                                     \
    if (keep && (name) != NULL) {                                                                                      \
        msfl_ckks_##name##_free(b->name);                                                                              \
        b->name = name;                                                                                                \
    } else {                                                                                                           \
        msfl_ckks_##name##_free(name);                                                                                 \
    }
    KEEP(secret)
    KEEP(public)
    KEEP(relin)
    KEEP(galois)
#undef KEEP
    return status;
}

static void keys_through_bytes(void **state) {
    (void)state;
    bench b;
    bench_init(&b);
    msfl_ckks_params p = small_set(), found;
    for (key_kind kind = SECRET; kind <= GALOIS; kind++) {
        size_t length = key_bytes(&b, kind);
        uint8_t *bytes = malloc(length), *again = malloc(length), *bad = malloc(length + 1);
        key_write(&b, kind, bytes);
        ok(msfl_ckks_params_read(bytes, length, &found));
        assert_memory_equal(&found, &p, sizeof p);
        ok(key_read(&b, b.ctx, kind, bytes, length, true));
        assert_int_equal(key_bytes(&b, kind), length);
        key_write(&b, kind, again);
        assert_memory_equal(bytes, again, length);
        /* As another kind. */
        for (key_kind other = SECRET; other <= GALOIS; other++) {
            if (other != kind) assert_int_equal(key_read(&b, b.ctx, other, bytes, length, false), MSFL_ERR_MISMATCH);
        }
        assert_int_equal(msfl_ckks_ct_read(b.ctx, bytes, length, b.a), MSFL_ERR_MISMATCH);
        /* Cut off, and prolonged. */
        for (size_t cut = 0; cut < length; cut += cut < 400 ? 7 : length / 11) {
            uint8_t *exact = malloc(cut + 1);
            memcpy(exact, bytes, cut);
            assert_int_equal(key_read(&b, b.ctx, kind, exact, cut, false), MSFL_ERR_FORMAT);
            if (cut >= 24) {
                msfl_store64(exact + 16, cut);
                msfl_status status = key_read(&b, b.ctx, kind, exact, cut, false);
                assert_true(status == MSFL_ERR_FORMAT);
            }
            free(exact);
        }
        memcpy(bad, bytes, length);
        msfl_store64(bad + 16, length + 1);
        assert_int_equal(key_read(&b, b.ctx, kind, bad, length + 1, false), MSFL_ERR_FORMAT);
        /* Every byte of the head counts; of the rest all that is not below its prime. The ids of keys that are public,
         * and their seeds, may be anything. */
        for (size_t at = 0; at < length; at += at < 64 + MSFL_CKKS_PARAMS_BYTES + 32 ? 1 : length / 23) {
            memcpy(bad, bytes, length);
            memset(bad + at, 0xff, length - at < 32 ? length - at : 32);
            msfl_status status = key_read(&b, b.ctx, kind, bad, length, false);
            bool may = kind != SECRET && ((at >= 40 && at < 56 && at + 32 <= 56) || at >= 64 + MSFL_CKKS_PARAMS_BYTES);
            if (!may) assert_int_not_equal(status, MSFL_OK);
        }
        for (size_t bit = 0; kind == SECRET && bit < 8 * length; bit++) {
            memcpy(bad, bytes, length);
            bad[bit / 8] ^= (uint8_t)(1 << (bit % 8));
            assert_int_not_equal(key_read(&b, b.ctx, kind, bad, length, false), MSFL_OK);
        }
        memcpy(bad, bytes, length);
        assert_true(length > 64);
        for (size_t i = length - 64; i < length; i++)
            bad[i] = 0xff;
        if (kind != SECRET) assert_int_equal(key_read(&b, b.ctx, kind, bad, length, false), MSFL_ERR_FORMAT);
        if (kind == GALOIS) { /* elements: twice the same, even, of no rotation */
            size_t first = 64 + MSFL_CKKS_PARAMS_BYTES, second = first + 8 + msfl_ckks_switch_bytes(b.ctx);
            static const uint64_t wrong[] = {1, 4, 3, 8193, UINT64_MAX};
            for (size_t i = 0; i < 5; i++) {
                memcpy(bad, bytes, length);
                msfl_store64(bad + first, wrong[i]);
                assert_int_equal(key_read(&b, b.ctx, kind, bad, length, false), MSFL_ERR_FORMAT);
            }
            memcpy(bad, bytes, length);
            memcpy(bad + second, bad + first, 8);
            assert_int_equal(key_read(&b, b.ctx, kind, bad, length, false), MSFL_ERR_FORMAT);
            memcpy(bad, bytes, length);
            msfl_store64(bad + 56, UINT64_MAX);
            assert_int_equal(key_read(&b, b.ctx, kind, bad, length, false), MSFL_ERR_FORMAT);
        }
        /* Under other parameters. */
        msfl_ckks_params p2 = p;
        msfl_ckks *ctx2;
        p2.n_addends = 1;
        ok(msfl_ckks_new(&p2, &ctx2));
        assert_int_equal(key_read(&b, ctx2, kind, bytes, length, false), MSFL_ERR_MISMATCH);
        msfl_ckks_free(ctx2);
        free(bytes);
        free(again);
        free(bad);
    }
    /* What was read works. */
    encrypt(&b, false, b.a);
    opens(&b, b.a, 0);
    ok(msfl_ckks_rotate(b.ctx, b.galois, b.a, 64));
    opens(&b, b.a, 64);
    bench_clear(&b);
}

static void secrets_stay_out_of_public_keys(void **state) {
    (void)state;
    bench b;
    bench_init(&b);
    for (key_kind kind = PUBLIC; kind <= GALOIS; kind++) {
        size_t length = key_bytes(&b, kind);
        uint8_t *bytes = malloc(length);
        key_write(&b, kind, bytes);
        for (size_t i = 0; i + 16 <= length; i++)
            assert_true(memcmp(bytes + i, b.secret->base.seed, 16) != 0 &&
                        memcmp(bytes + i, b.secret->base.seed + 16, 16));
        free(bytes);
    }
    bench_clear(&b);
}

static void ciphertexts_through_bytes(void **state) {
    (void)state;
    bench b;
    bench_init(&b);
    for (int seeded = 0; seeded < 2; seeded++) {
        encrypt(&b, seeded, b.a);
        if (!seeded) ok(msfl_ckks_drop(b.ctx, b.a, b.a->level - 1));
        size_t length = msfl_ckks_ct_bytes(b.ctx, b.a), fixed = 64 + MSFL_CKKS_CT_FIXED;
        uint8_t *bytes = malloc(length), *bad = malloc(length + 1);
        msfl_ckks_ct_write(b.ctx, b.a, bytes);
        assert_true(length <= msfl_ckks_ct_bytes_max(b.ctx));
        ok(msfl_ckks_ct_read(b.ctx, bytes, length, b.b));
        assert_int_equal(msfl_ckks_ct_level(b.b), msfl_ckks_ct_level(b.a));
        assert_memory_equal(&b.a->bounds, &b.b->bounds, sizeof b.a->bounds);
        assert_int_equal(msfl_ckks_ct_chunk(b.b), 9);
        opens(&b, b.b, 0);
        for (size_t cut = 0; cut < length; cut += cut < 200 ? 1 : 777) {
            uint8_t *exact = malloc(cut + 1);
            memcpy(exact, bytes, cut);
            assert_int_equal(msfl_ckks_ct_read(b.ctx, exact, cut, b.b), MSFL_ERR_FORMAT);
            if (cut >= 24) {
                msfl_store64(exact + 16, cut);
                assert_int_equal(msfl_ckks_ct_read(b.ctx, exact, cut, b.b), MSFL_ERR_FORMAT);
            }
            free(exact);
        }
        /* A change of the planes or the seed is refused or does not open. One of the bounds is a lie that may stand. */
        for (size_t at = 0; at < length; at += at < fixed ? 1 : 997) {
            memcpy(bad, bytes, length);
            bad[at] ^= 0x40;
            msfl_status status = msfl_ckks_ct_read(b.ctx, bad, length, b.b);
            if (status != MSFL_OK) {
                assert_int_equal(msfl_ckks_ct_values(b.b), 0);
                continue;
            }
            if (at >= 56 && at < fixed) continue;
            status = msfl_ckks_decrypt_exact(b.ctx, b.secret, b.b, b.out, NULL);
            /* Opening takes the first primes only, and a change of the others is never seen. */
            if (status != MSFL_OK) assert_int_equal(status, at < 56 ? MSFL_ERR_MISMATCH : MSFL_ERR_CRYPTO);
            if (status == MSFL_OK) opens(&b, b.b, 0);
        }
        /* Bounds that cannot be. */
        static const double wrong[] = {(double)NAN, (double)INFINITY, -1, 0x1p100};
        for (size_t field = 0; field < 5; field++) {
            for (size_t i = 0; i < 4; i++) {
                uint64_t bits;
                memcpy(&bits, &wrong[i], 8);
                memcpy(bad, bytes, length);
                msfl_store64(bad + 64 + 16 + 8 * field, bits);
                msfl_status status = msfl_ckks_ct_read(b.ctx, bad, length, b.b);
                if (field < 4 || i < 3) assert_int_equal(status, MSFL_ERR_FORMAT);
            }
        }
        static const double step = 3;
        uint64_t bits;
        memcpy(&bits, &step, 8);
        memcpy(bad, bytes, length);
        msfl_store64(bad + 64 + 16 + 32, bits);
        assert_int_equal(msfl_ckks_ct_read(b.ctx, bad, length, b.b), MSFL_ERR_FORMAT);
        free(bytes);
        free(bad);
    }
    bench_clear(&b);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    msfl_ckks_params p = small_set();
    bench fixed;
    bench_init(&fixed);
    size_t length = msfl_ckks_relin_bytes(fixed.ctx), longer = msfl_ckks_galois_bytes(fixed.ctx, fixed.galois);
    uint8_t *relin_bytes = malloc(length), *galois_bytes = malloc(longer);
    msfl_ckks_relin_write(fixed.ctx, fixed.relin, relin_bytes);
    msfl_ckks_galois_write(fixed.ctx, fixed.galois, galois_bytes);
    bool finished = false;
    for (long k = 1; !finished; k++) {
        assert_true(k < 300);
        bench b = {0};
        msfl_ckks_relin *relin2 = NULL;
        msfl_ckks_galois *galois2 = NULL;
        double x[3] = {4, -4, 4}, *out = calloc(2048, sizeof *out);
        const msfl_ckks_encoding how = {.magnitude = 4, .step = 4};
        const uint32_t one = 1;
        msfl_alloc_fail_at(k);
        msfl_status status = msfl_ckks_new(&p, &b.ctx);
        if (status == MSFL_OK) status = msfl_ckks_secret_new(b.ctx, &b.secret);
        if (status == MSFL_OK) status = msfl_ckks_public_new(b.ctx, b.secret, &b.public);
        if (status == MSFL_OK) status = msfl_ckks_relin_new(b.ctx, b.secret, &b.relin);
        if (status == MSFL_OK) status = msfl_ckks_galois_new(b.ctx, b.secret, &one, 1, &b.galois);
        if (status == MSFL_OK) status = msfl_ckks_relin_read(b.ctx, relin_bytes, length, &relin2);
        if (status == MSFL_OK) status = msfl_ckks_galois_read(b.ctx, galois_bytes, longer, &galois2);
        if (status == MSFL_OK) status = msfl_ckks_plain_new(b.ctx, &b.plain);
        if (status == MSFL_OK) status = msfl_ckks_ct_new(b.ctx, &b.a);
        if (status == MSFL_OK) status = msfl_ckks_ct_new(b.ctx, &b.b);
        if (status == MSFL_OK) status = msfl_ckks_encode(b.ctx, x, NULL, 3, &how, b.plain);
        if (status == MSFL_OK) status = msfl_ckks_encrypt(b.ctx, b.public, 0, b.plain, b.a);
        if (status == MSFL_OK) status = msfl_ckks_encrypt_seeded(b.ctx, b.secret, 0, b.plain, b.b);
        if (status == MSFL_OK) status = msfl_ckks_rotate(b.ctx, b.galois, b.a, 1);
        if (status == MSFL_OK) status = msfl_ckks_rotate(b.ctx, b.galois, b.b, 1);
        if (status == MSFL_OK) status = msfl_ckks_decrypt_exact(b.ctx, b.secret, b.b, out, NULL);
        if (status == MSFL_OK) status = msfl_ckks_multiply(b.ctx, b.relin, b.a, b.b);
        if (status == MSFL_OK) status = msfl_ckks_rescale(b.ctx, b.a);
        msfl_alloc_fail_at(0);
        finished = status == MSFL_OK;
        if (finished) assert_true(out[0] == -4 && out[1] == 4);
        if (!finished) assert_int_equal(status, MSFL_ERR_MEMORY);
        msfl_ckks_relin_free(relin2);
        msfl_ckks_galois_free(galois2);
        free(out);
        bench_clear(&b);
    }
    free(relin_bytes);
    free(galois_bytes);
    bench_clear(&fixed);
}

typedef struct crowd {
    bench *b;
    double *results[8];
} crowd;

static msfl_status crowd_work(void *arg, size_t i) {
    crowd *c = arg;
    bench *b = c->b;
    msfl_ckks_ct *ct = NULL;
    msfl_status status = msfl_ckks_ct_new(b->ctx, &ct);
    if (status == MSFL_OK) msfl_ckks_ct_copy(b->ctx, ct, b->a);
    if (status == MSFL_OK) status = msfl_ckks_rotate(b->ctx, b->galois, ct, 3);
    if (status == MSFL_OK) status = msfl_ckks_decrypt_exact(b->ctx, b->secret, ct, c->results[i], NULL);
    msfl_ckks_ct_free(ct);
    return status;
}

static void threads_share_keys(void **state) {
    (void)state;
    bench b;
    bench_init(&b);
    encrypt(&b, true, b.a);
    crowd c = {.b = &b};
    for (size_t i = 0; i < 8; i++)
        c.results[i] = calloc(b.n, sizeof(double));
    msfl_pool *pool;
    ok(msfl_pool_new(4, &pool));
    ok(msfl_pool_run(pool, 8, crowd_work, &c));
    msfl_pool_free(pool);
    for (size_t i = 0; i < 8; i++) {
        for (uint32_t j = 0; j < b.n; j++)
            assert_true(c.results[i][j] == 4 * b.x[(j + 3) % b.n]);
        free(c.results[i]);
    }
    bench_clear(&b);
}

/** The same ciphertexts and keys give the same bytes after the same operations, whatever the kernel. */
static void kernels_agree(void **state) {
    (void)state;
    const char *kept = getenv("MSFL_KERNEL");
    char *copy = kept == NULL ? NULL : strdup(kept);
    bench b;
    bench_init(&b);
    encrypt(&b, false, b.a);
    encrypt(&b, true, b.b);
    uint8_t *wire[2], *keys[2], *first = NULL, secret[1000];
    size_t lengths[2] = {msfl_ckks_ct_bytes(b.ctx, b.a), msfl_ckks_ct_bytes(b.ctx, b.b)};
    size_t key_lengths[2] = {key_bytes(&b, RELIN), key_bytes(&b, GALOIS)};
    for (int i = 0; i < 2; i++) {
        wire[i] = malloc(lengths[i]);
        msfl_ckks_ct_write(b.ctx, i == 0 ? b.a : b.b, wire[i]);
        keys[i] = malloc(key_lengths[i]);
        key_write(&b, i == 0 ? RELIN : GALOIS, keys[i]);
    }
    key_write(&b, SECRET, secret);
    msfl_ckks_params p = small_set();
    for (const msfl_kernel *const *k = msfl_kernels(); *k != NULL; k++) {
        if (!(*k)->supported()) continue;
        assert_int_equal(setenv("MSFL_KERNEL", (*k)->name, 1), 0);
        msfl_ckks *ctx;
        msfl_ckks_relin *relin;
        msfl_ckks_galois *galois;
        msfl_ckks_ct *x, *y;
        ok(msfl_ckks_new(&p, &ctx));
        ok(msfl_ckks_relin_read(ctx, keys[0], key_lengths[0], &relin));
        ok(msfl_ckks_galois_read(ctx, keys[1], key_lengths[1], &galois));
        ok(msfl_ckks_ct_new(ctx, &x));
        ok(msfl_ckks_ct_new(ctx, &y));
        ok(msfl_ckks_ct_read(ctx, wire[0], lengths[0], x));
        ok(msfl_ckks_ct_read(ctx, wire[1], lengths[1], y));
        ok(msfl_ckks_rotate(ctx, galois, y, 64));
        ok(msfl_ckks_rotate(ctx, galois, y, 3));
        msfl_ckks_encoding how = {.magnitude = 0x1p-6};
        double tiny[1] = {0x1p-7};
        msfl_ckks_plain *plain;
        ok(msfl_ckks_plain_new(ctx, &plain));
        ok(msfl_ckks_add(ctx, x, y));
        x->bounds.magnitude = y->bounds.magnitude = 2; /* they are, and products get room */
        ok(msfl_ckks_multiply(ctx, relin, x, y));
        ok(msfl_ckks_rescale(ctx, x));
        how.scale = msfl_ckks_ct_scale(x);
        ok(msfl_ckks_encode(ctx, tiny, NULL, 1, &how, plain));
        ok(msfl_ckks_add_plain(ctx, x, plain));
        uint8_t *bytes = malloc(msfl_ckks_ct_bytes(ctx, x));
        msfl_ckks_ct_write(ctx, x, bytes);
        if (first == NULL) {
            first = bytes;
        } else {
            assert_memory_equal(first, bytes, msfl_ckks_ct_bytes(ctx, x));
            free(bytes);
        }
        msfl_ckks_plain_free(plain);
        msfl_ckks_ct_free(x);
        msfl_ckks_ct_free(y);
        msfl_ckks_relin_free(relin);
        msfl_ckks_galois_free(galois);
        msfl_ckks_free(ctx);
    }
    if (copy != NULL) {
        setenv("MSFL_KERNEL", copy, 1);
    } else {
        unsetenv("MSFL_KERNEL");
    }
    free(copy);
    free(first);
    for (int i = 0; i < 2; i++) {
        free(wire[i]);
        free(keys[i]);
    }
    bench_clear(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_through_bytes),        cmocka_unit_test(secrets_stay_out_of_public_keys),
        cmocka_unit_test(ciphertexts_through_bytes), cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(threads_share_keys),        cmocka_unit_test(kernels_agree),
    };
    return cmocka_run_group_tests_name("ckks bytes", tests, NULL, NULL);
}
