/* Modular arithmetic, primes, big numbers and the transform, against definitions and all small cases. */
#include "base/mem.h"
#include "base/seeded.h"
#include "base/sodium.h"
#include "ring/bits.h"
#include "ring/modulus.h"
#include "ring/prime.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint64_t slow_mul(uint64_t a, uint64_t b, uint64_t p) {
    return (uint64_t)((msfl_u128)a * b % p);
}

static void arithmetic_of_small_primes_is_exhaustive(void **state) {
    (void)state;
    for (uint64_t p = 2; p < 200; p++) {
        msfl_barrett m = msfl_barrett_of(p);
        for (uint64_t a = 0; a < p; a++) {
            for (uint64_t b = 0; b < p; b++) {
                assert_int_equal(msfl_mod_mul(a, b, &m), a * b % p);
                assert_int_equal(msfl_mod_scale(a, b, msfl_mod_quotient(b, p), p), a * b % p);
                assert_int_equal(msfl_mod_add(a, b, p), (a + b) % p);
                assert_int_equal(msfl_mod_sub(a, b, p), (a + p - b) % p);
            }
            assert_int_equal(msfl_mod_signed(-(int64_t)a, p), (p - a) % p);
        }
    }
}

static void arithmetic_of_large_primes(void **state) {
    (void)state;
    msfl_seeded g;
    msfl_seeded_init(&g, 1, "ring", 0, 0, 0);
    for (uint32_t bits = 2; bits <= MSFL_PRIME_BITS_MAX; bits++) {
        for (int turn = 0; turn < 2000; turn++) {
            uint64_t low = (uint64_t)1 << (bits - 1), p = low + 1 + msfl_seeded_below(&g, low - 1);
            if (turn == 0) p = 2 * low - 1;
            if (turn == 1) p = low + 1;
            msfl_barrett m = msfl_barrett_of(p);
            assert_int_equal(m.bits, bits);
            uint64_t a = turn < 20 ? p - 1 : msfl_seeded_below(&g, p);
            uint64_t b = turn < 10 ? p - 1 : msfl_seeded_below(&g, p), x = msfl_seeded_u64(&g);
            msfl_u128 z = (msfl_u128)x << 64 | msfl_seeded_u64(&g);
            if (turn < 3) z = ~(msfl_u128)0;
            assert_int_equal(msfl_mod_mul(a, b, &m), slow_mul(a, b, p));
            assert_int_equal(msfl_mod_scale(x, b, msfl_mod_quotient(b, p), p), slow_mul(x, b, p));
            assert_int_equal(msfl_mod_scale(UINT64_MAX, b, msfl_mod_quotient(b, p), p), slow_mul(UINT64_MAX, b, p));
            assert_int_equal(msfl_mod_64(x, &m), x % p);
            assert_int_equal(msfl_mod_64(UINT64_MAX, &m), UINT64_MAX % p);
            assert_int_equal(msfl_mod_128(z, &m), (uint64_t)(z % p));
        }
    }
}

static void primes_match_a_sieve(void **state) {
    (void)state;
    enum { END = 100000 };
    uint8_t *composite = msfl_alloc(END, 1);
    for (uint64_t n = 2; n < END; n++) {
        assert_int_equal(msfl_is_prime(n), !composite[n]);
        for (uint64_t k = n * n; k < END && !composite[n]; k += n)
            composite[k] = 1;
    }
    msfl_free(composite);
    assert_false(msfl_is_prime(0) || msfl_is_prime(1));
    /* Strong pseudoprimes to the first bases (Jaeschke, "On strong pseudoprimes to several bases", 1993), and squares.
     */
    static const uint64_t liars[] = {2047,
                                     1373653,
                                     25326001,
                                     3215031751,
                                     2152302898747,
                                     3474749660383,
                                     341550071728321,
                                     1031ull * 1031,
                                     16777213ull * 16777213};
    for (size_t i = 0; i < sizeof liars / sizeof liars[0]; i++)
        assert_false(msfl_is_prime(liars[i]));
    assert_true(msfl_is_prime(((uint64_t)1 << 50) - 27)); /* the largest prime below 2^50 */
    assert_false(msfl_is_prime((uint64_t)1 << 50 | 1) || msfl_is_prime(UINT64_MAX));
}

static void roots_have_their_order(void **state) {
    (void)state;
    for (uint32_t degree = 4; degree <= 32768; degree *= 2) {
        uint64_t p = (uint64_t)1 << 50;
        for (int i = 0; i < 3; i++) {
            p = msfl_prime_below(p, 2, degree);
            assert_int_equal(p % (2 * degree), 1);
            msfl_barrett m = msfl_barrett_of(p);
            assert_int_equal(msfl_mod_pow_vartime(msfl_root_2n(p, degree), degree, &m), p - 1);
        }
    }
    assert_int_equal(msfl_prime_below(18, 2, 4), 17);
    assert_int_equal(msfl_prime_below(17, 2, 4), 0);
    assert_int_equal(msfl_bit_reverse(6, 4), 6);
    assert_int_equal(msfl_bit_reverse(1, 13), 4096);
}

static void wide_integers(void **state) {
    (void)state;
    msfl_wide a = msfl_wide_of(1), b = msfl_wide_power2(1000);
    for (int i = 0; i < 20; i++)
        a = msfl_wide_mul_add(&a, (uint64_t)1 << 50, 0);
    assert_int_equal(msfl_wide_compare(&a, &b), 0);
    assert_int_equal(msfl_wide_bits(&a), 1001);
    assert_true(fabs(msfl_wide_log2(&a) - 1000) < 1e-9);
    msfl_wide one = msfl_wide_of(1), c = msfl_wide_sub(&a, &one);
    assert_int_equal(msfl_wide_compare(&c, &a), -1);
    assert_int_equal(msfl_wide_bits(&c), 1000);
    assert_int_equal(msfl_wide_field(&c, 990, 20), 1023);
    assert_int_equal(msfl_wide_field(&c, 60, 64), UINT64_MAX);
    c = msfl_wide_add(&c, &one);
    assert_int_equal(msfl_wide_compare(&c, &a), 0);
    c = msfl_wide_shift_right(&a, 999);
    assert_int_equal(c.word[0], 2);
    c = msfl_wide_low(&a, 1000);
    assert_int_equal(msfl_wide_bits(&c), 0);
    /* 2^1000 mod 2^61 - 1 by the order of 2: 1000 = 16 61 + 24 */
    assert_int_equal(msfl_wide_mod(&a, ((uint64_t)1 << 61) - 1), (uint64_t)1 << 24);
}

static void bit_strings(void **state) {
    (void)state;
    msfl_seeded g;
    msfl_seeded_init(&g, 2, "ring", 0, 0, 0);
    for (uint32_t width = 1; width <= MSFL_BITS_WIDTH_MAX; width++) {
        for (size_t count = 1; count <= MSFL_GROUP; count++) {
            uint64_t in[MSFL_GROUP], back[MSFL_GROUP];
            uint8_t bytes[72];
            memset(bytes, 0xa5, sizeof bytes);
            for (size_t i = 0; i < count; i++)
                in[i] = msfl_seeded_u64(&g) & msfl_bits_mask(width);
            msfl_bits_put(bytes, width, count, in);
            size_t length = (count * width + 7) / 8;
            assert_int_equal(bytes[length], 0xa5);
            assert_true(msfl_bits_get(bytes, width, count, back));
            assert_memory_equal(in, back, count * sizeof in[0]);
            for (size_t bit = 0; bit < count * width; bit++)
                assert_int_equal(bytes[bit / 8] >> bit % 8 & 1, in[bit / width] >> bit % width & 1);
            if (count * width % 8 != 0) {
                bytes[length - 1] |= 0x80;
                assert_false(msfl_bits_get(bytes, width, count, back));
            }
        }
    }
}

/** c = a b mod (x^n + 1, p) by the definition. */
static void schoolbook(const uint64_t *a, const uint64_t *b, uint64_t *c, size_t n, uint64_t p) {
    memset(c, 0, n * sizeof *c);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            uint64_t r = slow_mul(a[i], b[j], p);
            if (i + j >= n) r = (p - r) % p;
            c[(i + j) % n] = (c[(i + j) % n] + r) % p;
        }
    }
}

/** x <- x y by transforms. y and x are scratch of n cells. */
static void transform_product(const msfl_modulus *m, const uint64_t *a, const uint64_t *b, uint64_t *c) {
    const msfl_kernel *k = m->kernel;
    msfl_cell *x = msfl_alloc(m->degree, sizeof *x), *y = msfl_alloc(m->degree, sizeof *y);
    uint64_t *values = msfl_alloc(m->degree, sizeof *values);
    k->import(m, x, a, m->degree);
    k->import(m, y, b, m->degree);
    k->forward(m, x);
    k->export(m, values, x, m->degree); /* the left operand is canonical */
    k->import(m, x, values, m->degree);
    k->forward(m, y);
    k->prepare(m, y);
    k->multiply(m, x, y, m->degree);
    k->inverse(m, x);
    k->export(m, c, x, m->degree);
    msfl_free(x);
    msfl_free(y);
    msfl_free(values);
}

static void transform_evaluates_at_the_stated_points(void **state) {
    (void)state;
    for (uint32_t degree = 4; degree <= 256; degree *= 2) {
        uint64_t p = msfl_prime_below((uint64_t)1 << 45, 2, degree);
        msfl_modulus m;
        assert_int_equal(msfl_modulus_init(&m, &msfl_kernel_generic, p, degree), MSFL_OK);
        uint64_t a[256], values[256];
        msfl_cell x[256];
        for (uint32_t i = 0; i < degree; i++)
            a[i] = (i * 123456789ull + 987) % p;
        m.kernel->import(&m, x, a, degree);
        m.kernel->forward(&m, x);
        m.kernel->export(&m, values, x, degree);
        for (uint32_t i = 0; i < degree; i++) {
            uint64_t point = msfl_mod_pow_vartime(m.psi, 2 * msfl_bit_reverse(i, m.log_degree) + 1, &m.m), v = 0;
            for (uint32_t k = degree; k-- > 0;)
                v = (slow_mul(v, point, p) + a[k]) % p;
            assert_int_equal(values[i], v);
        }
        msfl_modulus_clear(&m);
    }
}

static void products_match_schoolbook(void **state) {
    (void)state;
    msfl_seeded g;
    msfl_seeded_init(&g, 3, "ring", 0, 0, 0);
    for (const msfl_kernel *const *k = msfl_kernels(); *k != NULL; k++) {
        if (!(*k)->supported()) continue;
        for (uint32_t degree = 64; degree <= 1024; degree *= 2) {
            for (uint32_t bits = 20; bits <= MSFL_PRIME_BITS_MAX; bits += 5) {
                uint64_t p = msfl_prime_below((uint64_t)1 << bits, 2, degree);
                msfl_modulus m;
                assert_int_equal(msfl_modulus_init(&m, *k, p, degree), MSFL_OK);
                uint64_t a[1024], b[1024], c[1024], expected[1024];
                for (int turn = 0; turn < 2; turn++) {
                    for (uint32_t i = 0; i < degree; i++) {
                        a[i] = turn == 0 ? p - 1 : msfl_seeded_below(&g, p);
                        b[i] = turn == 0 ? p - 1 : msfl_seeded_below(&g, p);
                    }
                    transform_product(&m, a, b, c);
                    schoolbook(a, b, expected, degree, p);
                    assert_memory_equal(c, expected, degree * sizeof c[0]);
                }
                msfl_modulus_clear(&m);
            }
        }
    }
}

int main(void) {
    if (msfl_crypto_init() != MSFL_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic_of_small_primes_is_exhaustive),
        cmocka_unit_test(arithmetic_of_large_primes),
        cmocka_unit_test(primes_match_a_sieve),
        cmocka_unit_test(roots_have_their_order),
        cmocka_unit_test(wide_integers),
        cmocka_unit_test(bit_strings),
        cmocka_unit_test(transform_evaluates_at_the_stated_points),
        cmocka_unit_test(products_match_schoolbook),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
