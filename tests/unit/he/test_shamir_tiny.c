/* Secret sharing over a field of 257 elements, compiled from the same source: every secret, every polynomial, every
 * share. Then the reduction of the real field for every 32-bit number.
 *
 * The header's place is taken by declarations with the small prime, and the stream of random words by one that counts.
 */
#define MSFL_HE_SHAMIR_H

#include "medsecurefl/status.h"

#include "base/sodium.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
    MSFL_SHAMIR_PRIME = 257,
    MSFL_SHAMIR_MAX = (MSFL_SHAMIR_PRIME - 1) / 2,
    MSFL_SHAMIR_MEMBERS_MAX = 255,
    MSFL_SHAMIR_BITS = 20
};

static msfl_status tiny_split(uint32_t t, uint32_t k, const int32_t *secret, size_t n, uint32_t *shares);
static void tiny_add(uint32_t *acc, const uint32_t *share, size_t n);
static msfl_status tiny_join(uint32_t t, const uint32_t *members, size_t n_members, const uint32_t *const *shares,
                             size_t n, int32_t *secret);
static size_t tiny_packed_bytes(size_t n);
static void tiny_pack(const uint32_t *shares, size_t n, uint8_t *out);
static msfl_status tiny_unpack(const uint8_t *bytes, size_t n, uint32_t *shares);

/** Every word of the stream is the coefficient that is to be tried. */
static uint32_t coefficient;

static void counted_stream(const uint8_t key[32], uint64_t nonce, uint64_t block, uint8_t *out, size_t length) {
    (void)key;
    (void)nonce;
    (void)block;
    for (size_t i = 0; i < length; i += 4) {
        for (size_t k = 0; k < 4; k++)
            out[i + k] = (uint8_t)(coefficient >> (8 * k));
    }
}

#define msfl_shamir_split        tiny_split
#define msfl_shamir_add          tiny_add
#define msfl_shamir_join         tiny_join
#define msfl_shamir_packed_bytes tiny_packed_bytes
#define msfl_shamir_pack         tiny_pack
#define msfl_shamir_unpack       tiny_unpack
#define msfl_chacha20_stream     counted_stream
#include "../../../src/he/shamir.c" /* NOLINT: the source under test, with another field */

enum { ALL = MSFL_SHAMIR_PRIME, K = 4 };

/** All secrets at once, in one vector. */
static int32_t secret[ALL];
static uint32_t shares[K * ALL];

static void every_polynomial_of_degree_one(void **state) {
    (void)state;
    static uint8_t seen[K][ALL][ALL]; /* member, share, secret */
    int32_t opened[ALL];
    for (int i = 0; i < ALL; i++)
        secret[i] = i - MSFL_SHAMIR_MAX;
    for (coefficient = 0; coefficient < ALL; coefficient++) {
        assert_int_equal(tiny_split(2, K, secret, ALL, shares), MSFL_OK);
        for (uint32_t m = 0; m < K; m++) {
            for (uint32_t i = 0; i < ALL; i++) {
                int64_t expected = ((int64_t)secret[i] + ALL + (int64_t)coefficient * (m + 1)) % ALL;
                assert_int_equal(shares[m * ALL + i], expected);
                seen[m][shares[m * ALL + i]][i]++;
            }
        }
        /* Every set of two and more, in both orders. */
        for (uint32_t a = 0; a < K; a++) {
            for (uint32_t b = 0; b < K; b++) {
                if (a == b) continue;
                for (uint32_t c = 0; c < K; c++) {
                    uint32_t members[3] = {a, b, c};
                    const uint32_t *planes[3] = {shares + a * ALL, shares + b * ALL, shares + c * ALL};
                    size_t n = c == a || c == b ? 2 : 3;
                    assert_int_equal(tiny_join(2, members, n, planes, ALL, opened), MSFL_OK);
                    assert_memory_equal(opened, secret, sizeof secret);
                }
            }
        }
    }
    /* One share alone: every secret is behind every value exactly once. */
    for (uint32_t m = 0; m < K; m++)
        for (uint32_t s = 0; s < ALL; s++)
            for (uint32_t i = 0; i < ALL; i++)
                assert_int_equal(seen[m][s][i], 1);
}

/** Three of four shares, every wrong value of the third: refused unless it is right. */
static void every_wrong_share(void **state) {
    (void)state;
    const int32_t one[1] = {-77};
    int32_t opened[1];
    uint32_t own[K], wrong;
    const uint32_t members[3] = {3, 0, 2}, *planes[3] = {own + 3, own, &wrong};
    coefficient = 200;
    assert_int_equal(tiny_split(2, K, one, 1, own), MSFL_OK);
    for (wrong = 0; wrong < 2 * ALL; wrong++) {
        msfl_status expected = wrong >= ALL ? MSFL_ERR_FORMAT : wrong == own[2] ? MSFL_OK : MSFL_ERR_CRYPTO;
        assert_int_equal(tiny_join(2, members, 3, planes, 1, opened), expected);
        assert_int_equal(opened[0], expected == MSFL_OK ? one[0] : 0);
    }
}

static void sums_and_edges(void **state) {
    (void)state;
    for (uint32_t a = 0; a < ALL; a++) {
        for (uint32_t b = 0; b < ALL; b++) {
            uint32_t acc = a;
            tiny_add(&acc, &b, 1);
            assert_int_equal(acc, (a + b) % ALL);
        }
        assert_int_equal(multiply(a == 0 ? 1 : a, invert(a == 0 ? 1 : a)), 1);
    }
    const int32_t beyond[1] = {MSFL_SHAMIR_MAX + 1}, below[1] = {-MSFL_SHAMIR_MAX - 1};
    assert_int_equal(tiny_split(2, K, beyond, 1, shares), MSFL_ERR_NUMERIC);
    assert_int_equal(tiny_split(2, K, below, 1, shares), MSFL_ERR_NUMERIC);
    uint8_t packed[3] = {0, 1, 0};
    uint32_t back;
    assert_int_equal(tiny_packed_bytes(1), 3);
    assert_int_equal(tiny_unpack(packed, 1, &back), MSFL_OK);
    tiny_pack(&back, 1, packed);
    assert_int_equal(packed[1], 1);
    packed[0] = 1; /* 257 */
    assert_int_equal(tiny_unpack(packed, 1, &back), MSFL_ERR_FORMAT);
}

/** For every 32-bit number: the estimate of the quotient is monotonic, so that the ends of [k p, (k + 1) p) stand for
 * what is between them. For this field by the function itself, for the real prime by its formula. */
static void the_reduction_is_right_everywhere(void **state) {
    (void)state;
    uint32_t wrong = 0;
    for (uint64_t first = 0; first < (uint64_t)1 << 32; first += ALL) {
        uint64_t last = first + ALL - 1 < UINT32_MAX ? first + ALL - 1 : UINT32_MAX;
        wrong |= reduce32((uint32_t)first) | (reduce32((uint32_t)last) ^ (uint32_t)(last - first));
    }
    assert_int_equal(wrong, 0);
    const uint64_t p = 786433, inverse = ((uint64_t)1 << 40) / p;
    for (uint64_t k = 0; k * p < (uint64_t)1 << 32; k++) {
        uint64_t first = k * p, last = first + p - 1 < UINT32_MAX ? first + p - 1 : UINT32_MAX;
        assert_true(first * inverse >> 40 <= k && first - (first * inverse >> 40) * p < 2 * p);
        assert_true(last * inverse >> 40 <= k && last - (last * inverse >> 40) * p < 2 * p);
    }
}

int main(void) {
    if (msfl_crypto_init() != MSFL_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_polynomial_of_degree_one),
        cmocka_unit_test(every_wrong_share),
        cmocka_unit_test(sums_and_edges),
        cmocka_unit_test(the_reduction_is_right_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
