/* ckks: keys, both encryptions of numbers and of integers, opening exactly and flooded. The embedding works in doubles:
 * what is shown is that no branch and no address depends on them; docs/security.md says what that leaves out. */
#include "he/ckks.h"
#include "check.h"

#if MSFL_TAINT && defined NDEBUG

/** Multiples of `step` within +-8, secret. */
static double *secret_numbers(size_t n, double step) {
    double *x = get(n, sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = (double)((int64_t)(i * 2654435761u % 1000) - 500) * step;
    MSFL_SECRET(x, n * sizeof *x);
    return x;
}

typedef struct pair {
    msfl_ckks *ctx;
    msfl_ckks_secret *secret, *again;
    msfl_ckks_public *public;
    msfl_ckks_ct *sum, *ct;
} pair;

static pair pair_of(const msfl_ckks_params *p) {
    pair k;
    TRY(msfl_ckks_new(p, &k.ctx));
    TRY(msfl_ckks_secret_new(k.ctx, &k.secret));
    TRY(msfl_ckks_public_new(k.ctx, k.secret, &k.public));
    expect_secret("a key that is not secret", k.secret->base.s, p->ring_degree, sizeof *k.secret->base.s);
    TRY(msfl_ckks_ct_new(k.ctx, &k.sum));
    TRY(msfl_ckks_ct_new(k.ctx, &k.ct));
    size_t length = msfl_ckks_secret_bytes(k.ctx);
    uint8_t *bytes = get(length, 1);
    msfl_ckks_secret_write(k.ctx, k.secret, bytes); /* the seed in it is undefined */
    TRY(msfl_ckks_secret_read(k.ctx, bytes, length, &k.again));
    msfl_free(bytes);
    return k;
}

static void pair_clear(pair *k) {
    msfl_ckks_ct_free(k->sum);
    msfl_ckks_ct_free(k->ct);
    msfl_ckks_public_free(k->public);
    msfl_ckks_secret_free(k->secret);
    msfl_ckks_secret_free(k->again);
    msfl_ckks_free(k->ctx);
}

static void numbers(void) {
    static const double step = 0x1p-6;
    const msfl_ckks_request request = {
        .scale_bits = 60, .n_slots = 1024, .n_addends = 4, .value_max = 16, .flood_bits = 10, .n_releases = 2};
    msfl_ckks_params p;
    TRY(msfl_ckks_plan(&request, &p));
    pair k = pair_of(&p);
    uint32_t n = msfl_ckks_slots(k.ctx);
    double *re = secret_numbers(n, step), *im = secret_numbers(n, step), *x = get(n, sizeof *x), *y = get(n, sizeof *y);
    const msfl_ckks_encoding how = {.step = step};
    msfl_ckks_plain *plain;
    TRY(msfl_ckks_plain_new(k.ctx, &plain));
    TRY(msfl_ckks_encode(k.ctx, re, im, n, &how, plain));
    TRY(msfl_ckks_encrypt(k.ctx, k.public, 3, plain, k.sum));
    TRY(msfl_ckks_encrypt_seeded(k.ctx, k.secret, 3, plain, k.ct));
    TRY(msfl_ckks_decrypt_exact(k.ctx, k.again, k.ct, x, y));
    TRY(msfl_ckks_add(k.ctx, k.sum, k.ct));
    TRY(msfl_ckks_decrypt_exact(k.ctx, k.again, k.sum, x, y));
    expect_secret("numbers that are not secret", x, n, sizeof *x);
    MSFL_DECLASSIFY(re, n * sizeof *re);
    MSFL_DECLASSIFY(x, n * sizeof *x);
    for (uint32_t i = 0; i < n; i++)
        EXPECT(x[i] == 2 * re[i]);
    double error;
    TRY(msfl_ckks_decrypt(k.ctx, k.again, k.sum, 1, x, y, &error));
    expect_secret("flooded numbers that are not secret", x, n, sizeof *x);
    MSFL_DECLASSIFY(x, n * sizeof *x);
    for (uint32_t i = 0; i < n; i++)
        EXPECT(x[i] - 2 * re[i] <= error && 2 * re[i] - x[i] <= error);
    /* Refusals: a number that is too large or between two steps, and a ciphertext that was changed. */
    im[7] += 1000;
    EXPECT(msfl_ckks_encode(k.ctx, im, NULL, n, &how, plain) == MSFL_ERR_NUMERIC);
    im[7] += step / 2 - 1000;
    EXPECT(msfl_ckks_encode(k.ctx, im, NULL, n, &how, plain) == MSFL_ERR_NUMERIC);
    for (int i = 1; i < 100; i++)
        k.sum->c0[i * 16] ^= 4;
    EXPECT(msfl_ckks_decrypt_exact(k.ctx, k.again, k.sum, x, y) == MSFL_ERR_CRYPTO);
    msfl_ckks_plain_free(plain);
    msfl_free(re);
    msfl_free(im);
    msfl_free(x);
    msfl_free(y);
    pair_clear(&k);
}

static void sums(uint32_t bits, uint32_t n_values) {
    const msfl_ckks_sums_request request = {.n_addends = 4, .value_bits = bits, .n_values = n_values};
    msfl_ckks_params p;
    TRY(msfl_ckks_plan_sums(&request, &p));
    pair k = pair_of(&p);
    uint32_t *values = secret_values(n_values, bits);
    uint64_t *totals = get(n_values, sizeof *totals);
    TRY(msfl_ckks_sums_encrypt(k.ctx, k.public, 3, values, n_values, k.sum));
    TRY(msfl_ckks_sums_encrypt_seeded(k.ctx, k.secret, 3, values, n_values, k.ct));
    TRY(msfl_ckks_add(k.ctx, k.sum, k.ct));
    TRY(msfl_ckks_sums_decrypt(k.ctx, k.again, k.sum, totals));
    expect_totals(totals, values, n_values, 2);
    for (int i = 1; i < 100; i++)
        k.sum->c0[i * 16] ^= 4;
    EXPECT(msfl_ckks_sums_decrypt(k.ctx, k.again, k.sum, totals) == MSFL_ERR_CRYPTO);
    if (bits < 32) {
        values[5] = UINT32_C(1) << bits;
        MSFL_SECRET(values, n_values * sizeof *values);
        EXPECT(msfl_ckks_sums_encrypt(k.ctx, k.public, 3, values, n_values, k.sum) == MSFL_ERR_NUMERIC);
    }
    msfl_free(values);
    msfl_free(totals);
    pair_clear(&k);
}

void ctime_ckks(void) {
    numbers();
    sums(16, 900);
    sums(32, 1000);
}

#else
typedef int nothing_here;
#endif
