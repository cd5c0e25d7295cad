/* Secret sharing: every subset rebuilds, fewer than t learn nothing, wrong shares are noticed. */
#include "he/shamir.h"

#include "base/mem.h"
#include "base/seeded.h"
#include "base/sodium.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { P = MSFL_SHAMIR_PRIME, K_MAX = 7, N = 131 };

static void ok(msfl_status status) {
    if (status != MSFL_OK) fail_msg("%s: %s", msfl_status_name(status), msfl_error_message());
}

static void fill(int32_t *secret, size_t n, uint64_t seed) {
    msfl_seeded g;
    msfl_seeded_init(&g, seed, "shamir", 0, 0, 0);
    for (size_t i = 0; i < n; i++)
        secret[i] = (int32_t)msfl_seeded_below(&g, P) - MSFL_SHAMIR_MAX;
    static const int32_t edges[] = {0, 1, -1, MSFL_SHAMIR_MAX, -MSFL_SHAMIR_MAX, 41, -41};
    for (size_t i = 0; i < sizeof edges / sizeof edges[0] && i < n; i++)
        secret[i] = edges[i];
}

/** The members in the bits of `set`. */
static size_t members_of(uint32_t set, const uint32_t *shares, size_t n, uint32_t *members, const uint32_t **planes) {
    size_t count = 0;
    for (uint32_t m = 0; m < 32; m++) {
        if (!(set >> m & 1)) continue;
        members[count] = m;
        planes[count++] = shares + m * n;
    }
    return count;
}

static void every_subset_rebuilds(void **state) {
    (void)state;
    static int32_t secret[N], opened[N];
    static uint32_t shares[K_MAX * N];
    uint32_t members[K_MAX];
    const uint32_t *planes[K_MAX];
    for (uint32_t k = 1; k <= K_MAX; k++) {
        for (uint32_t t = 1; t <= k; t++) {
            fill(secret, N, k * 100 + t);
            ok(msfl_shamir_split(t, k, secret, N, shares));
            for (uint32_t set = 1; set < 1U << k; set++) {
                size_t count = members_of(set, shares, N, members, planes);
                memset(opened, 0x77, sizeof opened);
                if (count < t) {
                    assert_int_equal(msfl_shamir_join(t, members, count, planes, N, opened), MSFL_ERR_USAGE);
                    assert_int_equal(opened[N - 1], 0);
                    continue;
                }
                ok(msfl_shamir_join(t, members, count, planes, N, opened));
                assert_memory_equal(opened, secret, sizeof secret);
            }
        }
    }
}

/* The same by another route: Newton's divided differences, with inverses by extended Euclid. */
static uint32_t inverse_of(uint32_t a) {
    int64_t r0 = P, r1 = a, s0 = 0, s1 = 1;
    while (r1 != 0) {
        int64_t q = r0 / r1, r = r0 - q * r1, s = s0 - q * s1;
        r0 = r1, r1 = r, s0 = s1, s1 = s;
    }
    return (uint32_t)((s0 % P + P) % P);
}

static void shares_lie_on_a_polynomial_of_degree_below_t(void **state) {
    (void)state;
    enum { T = 4, K = 9 };
    static int32_t secret[N];
    static uint32_t shares[K * N];
    fill(secret, N, 3);
    ok(msfl_shamir_split(T, K, secret, N, shares));
    int n_lower = 0;
    for (size_t i = 0; i < N; i++) {
        int64_t d[K + 1]; /* at the points 0 (the secret), 1, ..., K */
        d[0] = ((int64_t)secret[i] + P) % P;
        for (int m = 0; m < K; m++)
            d[m + 1] = shares[m * N + (int)i];
        for (int order = 1; order <= K; order++) {
            for (int m = K; m >= order; m--)
                d[m] = (d[m] - d[m - 1] + P) % P * inverse_of((uint32_t)order) % P;
        }
        for (int order = T; order <= K; order++)
            assert_int_equal(d[order], 0);
        n_lower += d[T - 1] == 0;
    }
    assert_in_range(n_lower, 0, 1); /* one in 786433 would have a leading coefficient of zero */
}

/* t - 1 shares are uniform and independent of the secret: chi-squared of the shares of a constant. */
static void fewer_shares_tell_nothing(void **state) {
    (void)state;
    enum { MANY = 200000 };
    int32_t *secret = msfl_alloc(MANY, sizeof *secret);
    uint32_t *shares = msfl_alloc(3 * (size_t)MANY, sizeof *shares);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < MANY; i++)
            secret[i] = round == 0 ? 0 : -41;
        ok(msfl_shamir_split(3, 3, secret, MANY, shares));
        for (int m = 0; m < 3; m++) {
            unsigned bins[64] = {0};
            for (size_t i = 0; i < MANY; i++)
                bins[(uint64_t)shares[(size_t)m * MANY + i] * 64 / P]++;
            double chi = 0, expected = MANY / 64.0;
            for (int b = 0; b < 64; b++)
                chi += (bins[b] - expected) * (bins[b] - expected) / expected;
            /* 63 degrees of freedom: mean 63, deviation 11.2; beyond 150 has a chance of about 1e-9. */
            assert_true(chi < 150);
        }
        /* Two members together: the pair is uniform on a grid. */
        unsigned grid[8][8] = {{0}};
        for (size_t i = 0; i < MANY; i++)
            grid[(uint64_t)shares[i] * 8 / P][(uint64_t)shares[MANY + i] * 8 / P]++;
        double chi = 0, expected = MANY / 64.0;
        for (int b = 0; b < 64; b++)
            chi += (grid[b / 8][b % 8] - expected) * (grid[b / 8][b % 8] - expected) / expected;
        assert_true(chi < 150);
    }
    msfl_free(secret);
    msfl_free(shares);
}

static void shares_add_up(void **state) {
    (void)state;
    enum { T = 3, K = 5, CLIENTS = 20 };
    static int32_t secret[N], total[N], opened[N];
    static uint32_t shares[K * N], sums[K * N];
    uint32_t members[K];
    const uint32_t *planes[K];
    msfl_seeded g;
    msfl_seeded_init(&g, 1, "sum", 0, 0, 0);
    for (int c = 0; c < CLIENTS; c++) {
        for (size_t i = 0; i < N; i++) {
            secret[i] = (int32_t)msfl_seeded_below(&g, 83) - 41;
            total[i] += secret[i];
        }
        ok(msfl_shamir_split(T, K, secret, N, shares));
        msfl_shamir_add(sums, shares, K * N);
    }
    size_t count = members_of(0x1f, sums, N, members, planes);
    ok(msfl_shamir_join(T, members, count, planes, N, opened));
    assert_memory_equal(opened, total, sizeof total);
    count = members_of(0x16, sums, N, members, planes);
    ok(msfl_shamir_join(T, members, count, planes, N, opened));
    assert_memory_equal(opened, total, sizeof total);
}

static void a_wrong_share_is_noticed(void **state) {
    (void)state;
    enum { T = 3, K = 5 };
    static int32_t secret[N], opened[N];
    static uint32_t shares[K * N];
    uint32_t members[K];
    const uint32_t *planes[K];
    fill(secret, N, 9);
    ok(msfl_shamir_split(T, K, secret, N, shares));
    for (uint32_t set = 1; set < 1U << K; set++) {
        size_t count = members_of(set, shares, N, members, planes);
        if (count <= T) continue;
        for (size_t j = 0; j < count; j++) {
            uint32_t *value = &shares[members[j] * N + (j * 37) % N], kept = *value;
            for (uint32_t by = 1; by < P; by += 262144) {
                *value = (kept + by) % P;
                memset(opened, 0x77, sizeof opened);
                assert_int_equal(msfl_shamir_join(T, members, count, planes, N, opened), MSFL_ERR_CRYPTO);
                assert_int_equal(opened[0], 0);
                assert_int_equal(opened[N - 1], 0);
            }
            *value = kept;
        }
    }
    /* Shares of two members changed places. */
    size_t count = members_of(0x1f, shares, N, members, planes);
    members[0] = 1, members[1] = 0;
    assert_int_equal(msfl_shamir_join(T, members, count, planes, N, opened), MSFL_ERR_CRYPTO);
    /* Another degree. */
    count = members_of(0x1f, shares, N, members, planes);
    assert_int_equal(msfl_shamir_join(T - 1, members, count, planes, N, opened), MSFL_ERR_CRYPTO);
}

static void what_cannot_be_is_refused(void **state) {
    (void)state;
    int32_t secret[4] = {0}, opened[4];
    uint32_t shares[3 * 4];
    static const int32_t beyond[] = {MSFL_SHAMIR_MAX + 1, -MSFL_SHAMIR_MAX - 1, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < 4; i++) {
        secret[3] = beyond[i];
        memset(shares, 0x77, sizeof shares);
        assert_int_equal(msfl_shamir_split(2, 3, secret, 4, shares), MSFL_ERR_NUMERIC);
        assert_int_equal(shares[11], 0);
    }
    secret[3] = 5;
    assert_int_equal(msfl_shamir_split(0, 3, secret, 4, shares), MSFL_ERR_USAGE);
    assert_int_equal(msfl_shamir_split(4, 3, secret, 4, shares), MSFL_ERR_USAGE);
    assert_int_equal(msfl_shamir_split(2, 256, secret, 4, shares), MSFL_ERR_USAGE);
    ok(msfl_shamir_split(2, 3, secret, 4, shares));
    const uint32_t *planes[] = {shares, shares + 4, shares + 8};
    static const uint32_t twice[] = {1, 1}, far[] = {0, 255};
    assert_int_equal(msfl_shamir_join(2, twice, 2, planes, 4, opened), MSFL_ERR_USAGE);
    assert_int_equal(msfl_shamir_join(2, far, 2, planes, 4, opened), MSFL_ERR_USAGE);
    assert_int_equal(msfl_shamir_join(0, far, 2, planes, 4, opened), MSFL_ERR_USAGE);
    static const uint32_t first[] = {0, 1};
    static const uint32_t high[] = {P, P + 1, 1U << 31, UINT32_MAX};
    for (size_t i = 0; i < 4; i++) {
        uint32_t kept = shares[6];
        shares[6] = high[i];
        assert_int_equal(msfl_shamir_join(2, first, 2, planes, 4, opened), MSFL_ERR_FORMAT);
        shares[6] = kept;
    }
    ok(msfl_shamir_join(2, first, 2, planes, 4, opened));
    assert_memory_equal(opened, secret, sizeof secret);
}

static void packing_goes_both_ways(void **state) {
    (void)state;
    assert_int_equal(msfl_shamir_packed_bytes(8192), 20480);
    for (size_t n = 0; n <= 9; n++) {
        uint32_t shares[9], again[9];
        for (size_t i = 0; i < n; i++)
            shares[i] = i % 3 == 0 ? P - 1 : (uint32_t)i * 74565;
        size_t length = msfl_shamir_packed_bytes(n);
        assert_int_equal(length, (20 * n + 7) / 8);
        uint8_t *bytes = malloc(length + 1); /* exact, so that a sanitizer sees an overrun */
        msfl_shamir_pack(shares, n, bytes);
        /* bit by bit */
        for (size_t bit = 0; bit < 20 * n; bit++)
            assert_int_equal(bytes[bit / 8] >> (bit % 8) & 1, shares[bit / 20] >> (bit % 20) & 1);
        ok(msfl_shamir_unpack(bytes, n, again));
        assert_memory_equal(again, shares, n * sizeof *shares);
        for (size_t i = 0; i < n; i++) { /* all ones, and p itself */
            uint32_t kept = shares[i];
            for (int high = 0; high < 2; high++) {
                shares[i] = high ? P : (1U << 20) - 1;
                msfl_shamir_pack(shares, n, bytes);
                assert_int_equal(msfl_shamir_unpack(bytes, n, again), MSFL_ERR_FORMAT);
                assert_int_equal(again[0], 0);
            }
            shares[i] = kept;
        }
        msfl_shamir_pack(shares, n, bytes);
        if (n % 2 == 1) {
            bytes[length - 1] |= 0x10;
            assert_int_equal(msfl_shamir_unpack(bytes, n, again), MSFL_ERR_FORMAT);
        }
        free(bytes);
    }
}

static void the_largest_committee(void **state) {
    (void)state;
    enum { K = MSFL_SHAMIR_MEMBERS_MAX };
    static int32_t secret[100], opened[100];
    static uint32_t shares[K * 100], members[K];
    static const uint32_t *planes[K];
    fill(secret, 100, 4);
    for (uint32_t m = 0; m < K; m++) {
        members[m] = m;
        planes[m] = shares + (size_t)m * 100;
    }
    ok(msfl_shamir_split(K, K, secret, 100, shares));
    ok(msfl_shamir_join(K, members, K, planes, 100, opened));
    assert_memory_equal(opened, secret, sizeof secret);
    ok(msfl_shamir_split(128, K, secret, 100, shares));
    ok(msfl_shamir_join(128, members + 100, 155, planes + 100, 100, opened));
    assert_memory_equal(opened, secret, sizeof secret);
}

int main(void) {
    if (msfl_crypto_init() != MSFL_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_subset_rebuilds),     cmocka_unit_test(shares_lie_on_a_polynomial_of_degree_below_t),
        cmocka_unit_test(fewer_shares_tell_nothing), cmocka_unit_test(shares_add_up),
        cmocka_unit_test(a_wrong_share_is_noticed),  cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(packing_goes_both_ways),    cmocka_unit_test(the_largest_committee),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
