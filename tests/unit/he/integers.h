/* Sums of integers under a pair of keys: what the tests of bfv and of ckks do alike. Included by test_bfv.c and
 * test_ckks_sums.c, which define before it
 *
 *   HE(name), HE_SUMS(name)   the scheme's own calls, those of integers apart: msfl_ckks_##name, msfl_ckks_sums_##name
 *   he_ctx                    type of its context
 *   plan                      parameters for so many clients, bits, values and a ring degree
 *   VALUES_MOST, VALUES_WIDE  values that are planned for with a degree of 2048, and of 4096 */
#ifndef TEST_HE_INTEGERS_H
#define TEST_HE_INTEGERS_H

typedef HE(params) he_params;
typedef HE(secret) he_secret;
typedef HE(public) he_public;
typedef HE(ct) he_ct;

/** A context with a pair of keys, two ciphertexts, and the plain sum beside them. */
typedef struct bench {
    he_ctx *ctx;
    he_secret *secret;
    he_public *public;
    he_ct *sum, *one;
    uint32_t n_values, *values;
    uint64_t *expected, *totals;
} bench;

static void bench_init(bench *b, const he_params *p, uint32_t n_values) {
    memset(b, 0, sizeof *b);
    ok(HE(new)(p, &b->ctx));
    ok(HE(secret_new)(b->ctx, &b->secret));
    ok(HE(public_new)(b->ctx, b->secret, &b->public));
    ok(HE(ct_new)(b->ctx, &b->sum));
    ok(HE(ct_new)(b->ctx, &b->one));
    b->n_values = n_values;
    b->values = calloc(n_values, sizeof *b->values);
    b->expected = calloc(n_values, sizeof *b->expected);
    b->totals = calloc(n_values, sizeof *b->totals);
}

static void bench_clear(bench *b) {
    free(b->values);
    free(b->expected);
    free(b->totals);
    HE(ct_free)(b->sum);
    HE(ct_free)(b->one);
    HE(public_free)(b->public);
    HE(secret_free)(b->secret);
    HE(free)(b->ctx);
}

typedef enum form { PUBLIC, SEEDED } form;

static void encrypt(bench *b, form how, he_ct *ct) {
    ok(how == PUBLIC ? HE_SUMS(encrypt)(b->ctx, b->public, 5, b->values, b->n_values, ct)
                     : HE_SUMS(encrypt_seeded)(b->ctx, b->secret, 5, b->values, b->n_values, ct));
}

static void add_one(bench *b, form how) {
    encrypt(b, how, b->one);
    ok(HE(add)(b->ctx, b->sum, b->one));
    for (uint32_t i = 0; i < b->n_values; i++)
        b->expected[i] += b->values[i];
}

static void opens(bench *b) {
    memset(b->totals, 0xff, b->n_values * sizeof *b->totals);
    ok(HE_SUMS(decrypt)(b->ctx, b->secret, b->sum, b->totals));
    assert_memory_equal(b->totals, b->expected, b->n_values * sizeof *b->totals);
}

/** The ciphertext through its bytes, into a copy of exactly that size so that a step outside is seen. */
static void through_bytes(bench *b, he_ct *ct) {
    size_t length = HE(ct_bytes)(b->ctx, ct);
    assert_true(length > 0 && length <= HE(ct_bytes_max)(b->ctx));
    uint8_t *bytes = malloc(length), *again = malloc(length);
    HE(ct_write)(b->ctx, ct, bytes);
    ok(HE(ct_read)(b->ctx, bytes, length, ct));
    assert_int_equal(HE(ct_bytes)(b->ctx, ct), length);
    HE(ct_write)(b->ctx, ct, again);
    assert_memory_equal(bytes, again, length);
    free(bytes);
    free(again);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    he_params p = plan(3, 16, VALUES_MOST, 2048);
    bool finished = false;
    for (long k = 1; !finished; k++) {
        assert_true(k < 200);
        he_ctx *ctx = NULL;
        he_secret *secret = NULL, *secret2 = NULL;
        he_public *public = NULL;
        he_ct *sum = NULL, *one = NULL;
        uint32_t values[100] = {1, 2, 3};
        uint64_t totals[100];
        uint8_t bytes[1000];
        msfl_alloc_fail_at(k);
        msfl_status status = HE(new)(&p, &ctx);
        if (status == MSFL_OK) status = HE(secret_new)(ctx, &secret);
        if (status == MSFL_OK) status = HE(public_new)(ctx, secret, &public);
        if (status == MSFL_OK) HE(secret_write)(ctx, secret, bytes);
        if (status == MSFL_OK) status = HE(secret_read)(ctx, bytes, HE(secret_bytes)(ctx), &secret2);
        if (status == MSFL_OK) status = HE(ct_new)(ctx, &sum);
        if (status == MSFL_OK) status = HE(ct_new)(ctx, &one);
        if (status == MSFL_OK) status = HE_SUMS(encrypt)(ctx, public, 0, values, 100, sum);
        if (status == MSFL_OK) status = HE_SUMS(encrypt_seeded)(ctx, secret, 0, values, 100, one);
        if (status == MSFL_OK) {
            status = HE(add)(ctx, sum, one);
            if (status != MSFL_OK) assert_int_equal(HE(ct_addends)(sum), 1);
        }
        if (status == MSFL_OK) status = HE_SUMS(decrypt)(ctx, secret2, sum, totals);
        msfl_alloc_fail_at(0);
        finished = status == MSFL_OK;
        if (finished) assert_int_equal(totals[2], 6);
        if (!finished) assert_int_equal(status, MSFL_ERR_MEMORY);
        HE(ct_free)(sum);
        HE(ct_free)(one);
        HE(public_free)(public);
        HE(secret_free)(secret);
        HE(secret_free)(secret2);
        HE(free)(ctx);
    }
}

typedef struct crowd {
    bench *b;
    he_ct *cts[16];
} crowd;

static msfl_status crowd_work(void *arg, size_t i) {
    crowd *c = arg;
    bench *b = c->b;
    msfl_status status = i % 2 ? HE_SUMS(encrypt)(b->ctx, b->public, 5, b->values, b->n_values, c->cts[i])
                               : HE_SUMS(encrypt_seeded)(b->ctx, b->secret, 5, b->values, b->n_values, c->cts[i]);
    uint64_t *totals = malloc(b->n_values * sizeof *totals);
    if (status == MSFL_OK) status = HE_SUMS(decrypt)(b->ctx, b->secret, c->cts[i], totals);
    for (uint32_t j = 0; status == MSFL_OK && j < b->n_values; j++)
        if (totals[j] != b->values[j]) status = MSFL_ERR_CRYPTO;
    free(totals);
    return status;
}

static void threads_share_keys(void **state) {
    (void)state;
    he_params p = plan(16, 16, VALUES_MOST, 2048);
    bench b;
    bench_init(&b, &p, 2000);
    for (uint32_t j = 0; j < b.n_values; j++)
        b.values[j] = j;
    crowd c = {.b = &b};
    for (size_t i = 0; i < 16; i++)
        ok(HE(ct_new)(b.ctx, &c.cts[i]));
    msfl_pool *pool;
    ok(msfl_pool_new(4, &pool));
    ok(msfl_pool_run(pool, 16, crowd_work, &c));
    msfl_pool_free(pool);
    for (size_t i = 0; i < 16; i++) {
        ok(HE(add)(b.ctx, b.sum, c.cts[i]));
        HE(ct_free)(c.cts[i]);
    }
    for (uint32_t j = 0; j < b.n_values; j++)
        b.expected[j] = 16 * j;
    opens(&b);
    bench_clear(&b);
}

/** Ciphertexts of one kernel open under the others. */
static void kernels_agree(void **state) {
    (void)state;
    const char *kept = getenv("MSFL_KERNEL");
    char *copy = kept == NULL ? NULL : strdup(kept);
    he_params p = plan(3, 16, 5000, 4096);
    bench b;
    bench_init(&b, &p, VALUES_WIDE);
    for (uint32_t j = 0; j < b.n_values; j++)
        b.values[j] = j * 13 & 0xffff;
    add_one(&b, PUBLIC);
    add_one(&b, SEEDED);
    uint8_t bytes[1000], *wire = malloc(HE(ct_bytes)(b.ctx, b.sum));
    size_t length = HE(ct_bytes)(b.ctx, b.sum);
    HE(secret_write)(b.ctx, b.secret, bytes);
    HE(ct_write)(b.ctx, b.sum, wire);
    for (const msfl_kernel *const *k = msfl_kernels(); *k != NULL; k++) {
        if (!(*k)->supported()) continue;
        assert_int_equal(setenv("MSFL_KERNEL", (*k)->name, 1), 0);
        he_ctx *ctx;
        he_secret *secret;
        he_ct *ct;
        ok(HE(new)(&p, &ctx));
        ok(HE(secret_read)(ctx, bytes, HE(secret_bytes)(ctx), &secret));
        ok(HE(ct_new)(ctx, &ct));
        ok(HE(ct_read)(ctx, wire, length, ct));
        ok(HE_SUMS(decrypt)(ctx, secret, ct, b.totals));
        assert_memory_equal(b.totals, b.expected, b.n_values * sizeof *b.totals);
        HE(ct_free)(ct);
        HE(secret_free)(secret);
        HE(free)(ctx);
    }
    if (copy != NULL) {
        setenv("MSFL_KERNEL", copy, 1);
    } else {
        unsetenv("MSFL_KERNEL");
    }
    free(copy);
    free(wire);
    bench_clear(&b);
}

#endif
