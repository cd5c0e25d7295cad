/* The samplers against their exact distributions, on more than two million samples each from fixed keys, so that every
 * figure below is the same on every run. Figures are in standard deviations: a sampler passes with all of them below
 * 4.5 (chance per figure: 7e-6), and twins that are wrong in one small way must be beyond 6.
 */
#include "base/mem.h"
#include "base/sodium.h"
#include "ring/modulus.h"
#include "ring/prime.h"
#include "ring/uniform.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 1 << 21, BLOCK = MSFL_NOISE_BLOCK, CHUNK = 8192 };
/* Coins of a key and of an error of the packed scheme (he/security.h), and of the small polynomials of he/rlwe.h. */
enum { KEY_COINS = 82, NOISE_COINS = 162, SMALL_COINS = 42, COINS_MAX = NOISE_COINS };
static const double FINE = 4.5, FOUND = 6;

/* --- statistics --- */

/** A sum of squares of `freedom` independent standard normals as one (Wilson and Hilferty, 1931). */
static double normal_of_chi(double chi, double freedom) {
    double a = 2 / (9 * freedom);
    return (cbrt(chi / freedom) - (1 - a)) / sqrt(a);
}

/** Pearson's chi-squared of counts against expectations; neighbours are joined until 10 are expected. */
static double chi_squared(const double *counts, const double *expected, size_t n) {
    double chi = 0, count = 0, expect = 0;
    size_t classes = 0;
    for (size_t i = 0; i < n; i++) {
        count += counts[i];
        expect += expected[i];
        double left = 0;
        for (size_t k = i + 1; k < n; k++)
            left += expected[k];
        if (expect < 10 || (left > 0 && left < 10)) continue;
        chi += (count - expect) * (count - expect) / expect;
        classes++;
        count = expect = 0;
    }
    return normal_of_chi(chi, (double)classes - 1);
}

/** Chance of `ones` among `coins` fair coins. */
static double binomial(int coins, int ones) {
    return exp(lgamma(coins + 1) - lgamma(ones + 1) - lgamma(coins - ones + 1) - coins * log(2));
}

/** What is looked at; in standard deviations, the largest where there are several of a kind. */
typedef struct verdict {
    double shape, mean, variance, serial, lanes, tail;
} verdict;

static double worse(double a, double b) {
    return fabs(b) > fabs(a) ? b : a;
}

/** Correlation of x[i] and y[i], means known to be 0, times sqrt n. */
static double correlation(const int8_t *x, const int8_t *y, size_t n, double variance) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum / (variance * sqrt((double)n));
}

/** All of it for n samples that should be popcount(coins) - coins / 2. */
static verdict judge(const int8_t *x, size_t n, int coins) {
    verdict v = {0};
    double counts[COINS_MAX + 1] = {0}, expected[COINS_MAX + 1], sum = 0, squares = 0, variance = coins / 4.0;
    for (int k = 0; k <= coins; k++)
        expected[k] = (double)n * binomial(coins, k);
    for (size_t i = 0; i < n; i++) {
        assert_in_range(x[i] + coins / 2, 0, coins);
        counts[x[i] + coins / 2]++;
        sum += x[i];
        squares += x[i] * x[i];
    }
    v.shape = chi_squared(counts, expected, (size_t)coins + 1);
    v.mean = sum / sqrt((double)n * variance);
    /* The square of a sum of b coins of +-1/2 has variance sigma^4 (2 - 2 / b). */
    v.variance = (squares - (double)n * variance) / (variance * sqrt((double)n * (2 - 2.0 / coins)));
    static const size_t lags[] = {1, 2, 3, 4, 5, 7, 8, 15, 16, 31, 32, 33, 63, 64, 96, 1024, CHUNK, CHUNK + 1};
    for (size_t i = 0; i < sizeof lags / sizeof lags[0]; i++)
        v.serial = worse(v.serial, correlation(x, x + lags[i], n - lags[i], variance));
    /* Every place in a block on its own: means and mean squares. */
    double chi = 0;
    for (size_t lane = 0; lane < BLOCK; lane++) {
        double s = 0, q = 0, m = (double)(n / BLOCK);
        for (size_t i = lane; i < n; i += BLOCK) {
            s += x[i];
            q += x[i] * x[i];
        }
        double mean = s / sqrt(m * variance);
        double square = (q - m * variance) / (variance * sqrt(m * (2 - 2.0 / coins)));
        chi += mean * mean + square * square;
    }
    v.lanes = normal_of_chi(chi, 2 * BLOCK);
    /* Beyond the value that 200 samples should exceed, as a Poisson count. */
    double beyond = 0, seen = 0;
    for (int k = 0; beyond < 200; k++) {
        beyond += expected[k] + expected[coins - k];
        seen += counts[k] + counts[coins - k];
    }
    v.tail = (seen - beyond) / sqrt(beyond);
    return v;
}

static void expect_fine(const verdict *v, const char *what) {
    double worst = worse(worse(worse(v->shape, v->mean), worse(v->variance, v->serial)), worse(v->lanes, v->tail));
    if (fabs(worst) > FINE) {
        fail_msg("%s: shape %.1f mean %.1f variance %.1f serial %.1f lanes %.1f tail %.1f", what, v->shape, v->mean,
                 v->variance, v->serial, v->lanes, v->tail);
    }
}

/* --- samples --- */

typedef struct tools {
    msfl_aes *aes;
    msfl_stream *stream;
} tools;

static void tools_init(tools *t) {
    assert_int_equal(msfl_aes_new(NULL, &t->aes), MSFL_OK);
    t->stream = msfl_alloc(1, sizeof *t->stream);
    assert_non_null(t->stream);
}
static void tools_clear(tools *t) {
    msfl_aes_free(t->aes);
    msfl_free(t->stream);
}

/** The stream of a fixed key; keys differ in `number` as those of chunks do: by a hash. */
static void start(tools *t, uint64_t number) {
    uint8_t key[MSFL_HASH_BYTES];
    static const uint8_t iv[MSFL_AES_BLOCK] = {0};
    msfl_hash h;
    msfl_hash_init(&h, "test.samplers");
    msfl_hash_add_u64(&h, number);
    msfl_hash_final(&h, key);
    assert_int_equal(msfl_aes_start(t->aes, key, sizeof key, iv), MSFL_OK);
}

static const int coins_of[] = {KEY_COINS, NOISE_COINS, SMALL_COINS};

static void binomial_samples_are_binomial(void **state) {
    (void)state;
    tools t;
    tools_init(&t);
    int8_t *x = msfl_alloc(N, 1);
    assert_non_null(x);
    for (const msfl_kernel *const *k = msfl_kernels(); *k != NULL; k++) {
        if (!(*k)->supported()) continue;
        for (size_t i = 0; i < sizeof coins_of / sizeof coins_of[0]; i++) {
            start(&t, (uint64_t)coins_of[i]);
            assert_int_equal(msfl_expand_noise(*k, t.aes, t.stream, (uint32_t)coins_of[i], N, x), MSFL_OK);
            verdict v = judge(x, N, coins_of[i]);
            expect_fine(&v, (*k)->name);
        }
    }
    msfl_free(x);
    tools_clear(&t);
}

/** Many short streams, as chunks have them: each on its own key, judged together and against its neighbour. */
static void streams_are_independent(void **state) {
    (void)state;
    tools t;
    tools_init(&t);
    const msfl_kernel *kernel;
    assert_int_equal(msfl_kernel_choose(&kernel), MSFL_OK);
    int8_t *x = msfl_alloc(N, 1);
    assert_non_null(x);
    for (size_t i = 0; i < sizeof coins_of / sizeof coins_of[0]; i++) {
        int coins = coins_of[i];
        for (size_t j = 0; j < N / CHUNK; j++) {
            start(&t, 1000 + j);
            assert_int_equal(msfl_expand_noise(kernel, t.aes, t.stream, (uint32_t)coins, CHUNK, x + j * CHUNK),
                             MSFL_OK);
        }
        verdict v = judge(x, N, coins);
        expect_fine(&v, "chunks");
        /* Pairs at one place of two streams: eight classes each, 64 cells with known chances. */
        double chance[8] = {0}, counts[64] = {0}, expected[64];
        double width = sqrt(coins / 4.0) / 1.6;
        uint8_t class_of[COINS_MAX + 1];
        for (int k = 0; k <= coins; k++) {
            double c = floor((k - coins / 2.0) / width + 0.5) + 4;
            class_of[k] = (uint8_t)(c < 0 ? 0 : c > 7 ? 7 : c);
            chance[class_of[k]] += binomial(coins, k);
        }
        for (size_t a = 0; a + CHUNK < N; a++)
            counts[8 * class_of[x[a] + coins / 2] + class_of[x[a + CHUNK] + coins / 2]]++;
        for (int c = 0; c < 64; c++)
            expected[c] = (N - CHUNK) * chance[c / 8] * chance[c % 8];
        assert_true(fabs(chi_squared(counts, expected, 64)) < FINE);
    }
    msfl_free(x);
    tools_clear(&t);
}

/* --- twins that are wrong --- */

typedef void (*spoil)(int8_t *x, const uint8_t *bytes, uint32_t bits, size_t n);

/** Two coins fewer, and centred again: 80 where 82 are right. */
static void two_coins_fewer(int8_t *x, const uint8_t *bytes, uint32_t bits, size_t n) {
    size_t planes = (bits + 7) / 8;
    for (size_t i = 0; i < n; i++)
        x[i] =
            (int8_t)(x[i] -
                     __builtin_popcount(bytes[i / BLOCK * planes * BLOCK + (planes - 1) * BLOCK + i % BLOCK] & 3) + 1);
}
/** One coin is always tails. */
static void a_coin_is_stuck(int8_t *x, const uint8_t *bytes, uint32_t bits, size_t n) {
    size_t planes = (bits + 7) / 8;
    for (size_t i = 0; i < n; i++)
        x[i] = (int8_t)(x[i] - (bytes[i / BLOCK * planes * BLOCK + i % BLOCK] & 1));
}
/** Two coins of a sample are those of its neighbour. */
static void two_coins_are_shared(int8_t *x, const uint8_t *bytes, uint32_t bits, size_t n) {
    size_t planes = (bits + 7) / 8;
    for (size_t i = 1; i < n; i++) {
        const uint8_t *own = bytes + i / BLOCK * planes * BLOCK + i % BLOCK;
        const uint8_t *other = bytes + (i - 1) / BLOCK * planes * BLOCK + (i - 1) % BLOCK;
        x[i] = (int8_t)(x[i] - (own[0] & 1) - (own[0] >> 1 & 1) + (other[0] >> 2 & 1) + (other[0] >> 3 & 1));
    }
}
/** One lane of the block copies another. */
static void a_lane_repeats(int8_t *x, const uint8_t *bytes, uint32_t bits, size_t n) {
    (void)bytes;
    (void)bits;
    for (size_t i = 5; i < n; i += BLOCK)
        x[i] = x[i - 2];
}
/** Values beyond three and a half deviations are drawn in. */
static void tails_are_cut(int8_t *x, const uint8_t *bytes, uint32_t bits, size_t n) {
    (void)bytes;
    int most = (int)(3.5 * sqrt(bits / 4.0));
    for (size_t i = 0; i < n; i++)
        x[i] = (int8_t)(x[i] > most ? most : x[i] < -most ? -most : x[i]);
}

static void wrong_samplers_are_found(void **state) {
    (void)state;
    tools t;
    tools_init(&t);
    int8_t *x = msfl_alloc(N, 1);
    uint8_t *bytes = msfl_alloc((size_t)N * ((COINS_MAX + 7) / 8), 1);
    assert_true(x != NULL && bytes != NULL);
    for (size_t i = 0; i < sizeof coins_of / sizeof coins_of[0]; i++) {
        uint32_t coins = (uint32_t)coins_of[i];
        start(&t, coins);
        assert_int_equal(msfl_aes_read(t.aes, bytes, (size_t)N * ((coins + 7) / 8)), MSFL_OK);
        static const spoil twins[] = {two_coins_fewer, a_coin_is_stuck, two_coins_are_shared, a_lane_repeats,
                                      tails_are_cut};
        verdict v[sizeof twins / sizeof twins[0]];
        for (size_t k = 0; k < sizeof twins / sizeof twins[0]; k++) {
            msfl_kernel_generic.binomial(x, bytes, coins, N);
            twins[k](x, bytes, coins, N);
            v[k] = judge(x, N, (int)coins);
        }
        assert_true(v[0].variance < -FOUND && v[0].shape > FOUND);
        assert_true(v[1].mean < -FOUND && v[1].shape > FOUND && v[1].lanes > FOUND);
        assert_true(v[2].serial > FOUND && fabs(v[2].shape) < FINE); /* only the correlation tells */
        assert_true(v[3].serial > FOUND);
        assert_true(v[4].tail < -FOUND && v[4].shape > FOUND);
    }
    msfl_free(x);
    msfl_free(bytes);
    tools_clear(&t);
}

/* --- uniform --- */

/** `n` values modulo p from streams of `degree` values each. */
static void draw_uniform(const msfl_kernel *kernel, uint64_t p, uint32_t degree, uint64_t *out, size_t n) {
    tools t;
    tools_init(&t);
    msfl_modulus m;
    assert_int_equal(msfl_modulus_init(&m, kernel, p, degree), MSFL_OK);
    msfl_cell *x = msfl_alloc(degree, sizeof *x);
    assert_non_null(x);
    for (size_t at = 0; at < n; at += degree) {
        start(&t, 5000 + at);
        assert_int_equal(msfl_expand(&m, t.aes, t.stream, NULL, x), MSFL_OK);
        kernel->export(&m, out + at, x, degree);
    }
    msfl_free(x);
    msfl_modulus_clear(&m);
    tools_clear(&t);
}

typedef struct flat_verdict {
    double high, low, serial;
} flat_verdict;

/** High part and low byte in classes, correlation of neighbours. */
static flat_verdict judge_flat(const uint64_t *x, size_t n, uint64_t p) {
    enum { CLASSES = 257 };
    double high[CLASSES] = {0}, low[256] = {0}, expected[CLASSES], low_expected[256], sum = 0;
    size_t classes = p < CLASSES ? (size_t)p : CLASSES;
    flat_verdict v = {0};
    for (size_t c = 0; c < classes; c++) {
        /* x falls in class floor(x classes / p): so many values of it do. */
        uint64_t from = (uint64_t)(((msfl_u128)c * p + classes - 1) / classes);
        uint64_t to = (uint64_t)(((msfl_u128)(c + 1) * p + classes - 1) / classes);
        expected[c] = (double)n * (double)(to - from) / (double)p;
    }
    for (size_t c = 0; c < 256; c++)
        low_expected[c] = (double)n * (double)(p / 256 + (c < p % 256)) / (double)p;
    for (size_t i = 0; i < n; i++) {
        assert_true(x[i] < p);
        high[(size_t)((msfl_u128)x[i] * classes / p)]++;
        low[x[i] % 256]++;
        if (i > 0) sum += ((double)x[i] / (double)p - 0.5) * ((double)x[i - 1] / (double)p - 0.5);
    }
    v.high = chi_squared(high, expected, classes);
    v.low = chi_squared(low, low_expected, 256);
    v.serial = 12 * sum / sqrt((double)n);
    return v;
}

static void uniform_values_are_uniform(void **state) {
    (void)state;
    uint64_t *x = msfl_alloc(N, sizeof *x), *twin = msfl_alloc(N, sizeof *twin);
    assert_true(x != NULL && twin != NULL);
    /* 257: every value is a class of its own. Then a prime that rejects half of its candidates, and one that hardly
     * rejects any. */
    const uint64_t above = msfl_prime_below(((uint64_t)1 << 29) + (1 << 20), ((uint64_t)1 << 29) + 1, 1024);
    const uint64_t primes[] = {257, above, msfl_prime_below((uint64_t)1 << 50, 2, 1024)};
    assert_true(above != 0);
    for (const msfl_kernel *const *k = msfl_kernels(); *k != NULL; k++) {
        if (!(*k)->supported()) continue;
        for (int i = 0; i < 3; i++) {
            draw_uniform(*k, primes[i], i == 0 ? 128 : 1024, x, N);
            flat_verdict v = judge_flat(x, N, primes[i]);
            if (fabs(v.high) > FINE || fabs(v.low) > FINE || fabs(v.serial) > FINE) {
                fail_msg("%s, prime %d: high %.1f low %.1f serial %.1f", (*k)->name, i, v.high, v.low, v.serial);
            }
        }
    }
    /* Twins: a candidate that never comes; candidates folded instead of rejected; one value repeated now and then. */
    draw_uniform(&msfl_kernel_generic, 257, 128, x, N);
    size_t n = 0;
    for (size_t i = 0; i < N; i++) {
        twin[n] = x[i];
        n += x[i] != 256;
    }
    assert_true(judge_flat(twin, n, 257).high > FOUND);
    for (size_t i = 0; i < N; i++)
        twin[i] = (x[i] + 257 * (x[(i + 9) % N] % 2)) % 512 % 257; /* 9 bits, folded */
    assert_true(judge_flat(twin, N, 257).high > FOUND);
    draw_uniform(&msfl_kernel_generic, primes[2], 1024, x, N);
    for (size_t i = 0; i < N; i++)
        twin[i] = (x[i] & (((uint64_t)1 << 30) - 1)) % above;
    assert_true(judge_flat(twin, N, above).high > FOUND);
    for (size_t i = 64; i < N; i += 64)
        x[i] = x[i - 1];
    assert_true(judge_flat(x, N, primes[2]).serial > FOUND);
    msfl_free(x);
    msfl_free(twin);
}

int main(void) {
    if (msfl_crypto_init() != MSFL_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binomial_samples_are_binomial),
        cmocka_unit_test(streams_are_independent),
        cmocka_unit_test(wrong_samplers_are_found),
        cmocka_unit_test(uniform_values_are_uniform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
