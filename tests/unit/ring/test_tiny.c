/* Rings so small that every element is tried: products, packing and folding, encoding and opening. */
#include "base/mem.h"
#include "base/sodium.h"
#include "ring/bits.h"
#include "ring/modulus.h"
#include "ring/prime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/** c = a b mod (x^n + 1, p) by the definition. */
static void schoolbook(const uint64_t *a, const uint64_t *b, uint64_t *c, size_t n, uint64_t p) {
    memset(c, 0, n * sizeof *c);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            uint64_t r = a[i] * b[j] % p;
            c[(i + j) % n] = (c[(i + j) % n] + (i + j < n ? r : p - r)) % p;
        }
    }
}

static void product(const msfl_modulus *m, const uint64_t *a, const uint64_t *b, uint64_t *c) {
    const msfl_kernel *k = m->kernel;
    _Alignas(64) msfl_cell x[4], y[4];
    k->import(m, x, a, m->degree);
    k->import(m, y, b, m->degree);
    k->forward(m, x);
    k->forward(m, y);
    k->prepare(m, y);
    k->multiply(m, x, y, m->degree);
    k->inverse(m, x);
    k->export(m, c, x, m->degree);
}

static void element(uint64_t index, uint64_t p, uint64_t *a, size_t n) {
    for (size_t i = 0; i < n; i++, index /= p)
        a[i] = index % p;
}

/** N = 2: every pair of polynomials. */
static void all_products_of_degree_two(void **state) {
    (void)state;
    static const uint64_t primes[] = {5, 13, 17, 29, 37};
    for (size_t k = 0; k < sizeof primes / sizeof primes[0]; k++) {
        uint64_t p = primes[k], a[2], b[2], c[2], expected[2];
        msfl_modulus m;
        assert_int_equal(msfl_modulus_init(&m, &msfl_kernel_generic, p, 2), MSFL_OK);
        for (uint64_t i = 0; i < p * p; i++) {
            element(i, p, a, 2);
            for (uint64_t j = 0; j < p * p; j++) {
                element(j, p, b, 2);
                product(&m, a, b, c);
                schoolbook(a, b, expected, 2, p);
                if (c[0] != expected[0] || c[1] != expected[1]) fail_msg("p = %u", (unsigned)p);
            }
        }
        msfl_modulus_clear(&m);
    }
}

/**
 * N = 4, q = 17: all 17^8 products, in three exhaustive parts. The transform takes every polynomial to its values at
 * the four roots of x^4 + 1; the values are multiplied rightly in every place, whatever they are; the inverse takes the
 * values of every polynomial back to it. Values determine a polynomial, so every product is right.
 */
static void all_products_of_degree_four(void **state) {
    (void)state;
    enum { P = 17, ALL = P * P * P * P };
    msfl_modulus m;
    uint64_t a[4], b[4], c[4], expected[4], values[4];
    _Alignas(64) msfl_cell x[4], y[4];
    assert_int_equal(msfl_modulus_init(&m, &msfl_kernel_generic, P, 4), MSFL_OK);
    const msfl_kernel *k = m.kernel;
    uint64_t roots[4];
    for (uint32_t i = 0; i < 4; i++) {
        roots[i] = msfl_mod_pow_vartime(m.psi, 2 * msfl_bit_reverse(i, 2) + 1, &m.m);
        assert_int_equal(roots[i] * roots[i] % P * roots[i] % P * roots[i] % P, P - 1);
        for (uint32_t j = 0; j < i; j++)
            assert_int_not_equal(roots[i], roots[j]);
    }
    for (uint64_t i = 0; i < ALL; i++) {
        element(i, P, a, 4);
        k->import(&m, x, a, 4);
        k->forward(&m, x);
        k->export(&m, values, x, 4);
        for (int r = 0; r < 4; r++) {
            uint64_t v = 0;
            for (int j = 4; j-- > 0;)
                v = (v * roots[r] + a[j]) % P;
            if (values[r] != v) fail_msg("forward of %u", (unsigned)i);
        }
        k->inverse(&m, x);
        k->export(&m, c, x, 4);
        for (int j = 0; j < 4; j++)
            if (c[j] != 4 * a[j] % P) fail_msg("inverse of %u", (unsigned)i);
    }
    for (uint64_t u = 0; u < P; u++) {
        for (uint64_t v = 0; v < P; v++) {
            for (int place = 0; place < 4; place++) {
                uint64_t left[4] = {1, 2, 3, 4}, right[4] = {5, 6, 7, 8};
                left[place] = u;
                right[place] = v;
                k->import(&m, x, left, 4);
                k->import(&m, y, right, 4);
                k->prepare(&m, y); /* divides by 4, which the inverse of the transform multiplies by */
                k->multiply(&m, x, y, 4);
                k->export(&m, c, x, 4);
                for (int j = 0; j < 4; j++)
                    assert_int_equal(4 * c[j] % P, left[j] * right[j] % P);
            }
        }
    }
    /* And as a whole: every polynomial times every monomial. */
    for (uint64_t i = 0; i < ALL; i++) {
        element(i, P, a, 4);
        for (uint64_t j = 0; j < 4 * P; j++) {
            memset(b, 0, sizeof b);
            b[j / P] = j % P;
            product(&m, a, b, c);
            schoolbook(a, b, expected, 4, P);
            if (memcmp(c, expected, sizeof c) != 0) fail_msg("%u times monomial %u", (unsigned)i, (unsigned)j);
        }
    }
    msfl_modulus_clear(&m);
}

/* --- every table: p = 257, every residue --- */

enum { N = 64, P = 257, BITS = 9, TOP = 1 << BITS };

static void put(uint8_t *bytes, size_t at, uint64_t r) {
    for (uint32_t bit = 0; bit < BITS; bit++) {
        size_t k = at * BITS + bit;
        bytes[k / 8] = (uint8_t)((bytes[k / 8] & ~(1u << k % 8)) | (r >> bit & 1) << k % 8);
    }
}
static uint64_t got(const uint8_t *bytes, size_t at) {
    uint64_t r = 0;
    for (uint32_t bit = 0; bit < BITS; bit++)
        r |= (uint64_t)(bytes[(at * BITS + bit) / 8] >> (at * BITS + bit) % 8 & 1) << bit;
    return r;
}

/** Pairs (first, all) of 0 ... n - 1 go through in lanes of N. */
static void residues_of(const msfl_kernel *k) {
    msfl_modulus m;
    assert_int_equal(msfl_modulus_init(&m, k, P, N), MSFL_OK);
    assert_int_equal(m.m.bits, BITS);
    _Alignas(64) msfl_cell x[N], y[N];
    uint64_t a[N], b[N], c[N];
    uint8_t sum[N * BITS / 8 + 64], bytes[N * BITS / 8 + 64], before[N * BITS / 8 + 64];
    memset(sum, 0, sizeof sum);
    memset(bytes, 0, sizeof bytes);
    for (uint64_t first = 0; first < P; first++) {
        for (uint64_t from = 0; from < TOP; from += N) {
            bool all_below = from + N <= P;
            for (uint64_t i = 0; i < N; i++) {
                put(sum, i, first);
                put(bytes, i, from + i);
                a[i] = first;
                b[i] = (from + i) % P;
            }
            memcpy(before, sum, sizeof sum);
            assert_int_equal(k->check(&m, bytes, N), all_below);
            assert_int_equal(k->fold(&m, sum, bytes, N), all_below);
            for (uint64_t i = 0; i < N && from + i < P; i++)
                assert_int_equal(got(sum, i), (first + from + i) % P);
            if (!all_below) k->unfold(&m, sum, bytes, N);
            if (!all_below) assert_memory_equal(sum, before, N * BITS / 8);
            /* x + y packed, x y / N, as left and right operands */
            k->import(&m, x, a, N);
            k->import(&m, y, b, N);
            k->add_pack(&m, sum, x, y, N);
            for (uint64_t i = 0; i < N; i++)
                assert_int_equal(got(sum, i), (a[i] + b[i]) % P);
            k->prepare(&m, y);
            k->multiply(&m, x, y, N);
            k->export(&m, c, x, N);
            for (uint64_t i = 0; i < N; i++)
                assert_int_equal(c[i] * N % P, a[i] * b[i] % P);
            if (!all_below) continue;
            for (uint64_t factor = 0; factor < P; factor++) {
                k->import(&m, x, a, N);
                k->subtract_from(&m, x, bytes, factor, N);
                k->export(&m, c, x, N);
                for (uint64_t i = 0; i < N; i++)
                    if (c[i] != (b[i] + P - a[i]) * factor % P) fail_msg("%s: subtract_from", k->name);
            }
        }
    }
    /* Every candidate, and every small integer. */
    uint8_t candidates[2 * TOP + 64] = {0};
    _Alignas(64) msfl_cell kept[TOP];
    uint64_t values[TOP];
    for (uint64_t i = 0; i < TOP; i++) {
        candidates[2 * i] = (uint8_t)i;
        candidates[2 * i + 1] = (uint8_t)(i >> 8 | 0xaa); /* bits beyond the width are cut off */
        candidates[2 * i + 1] = (uint8_t)((candidates[2 * i + 1] & 0xfe) | i >> 8);
    }
    assert_int_equal(k->uniform(&m, kept, candidates, TOP), P);
    k->export(&m, values, kept, P);
    for (uint64_t i = 0; i < P; i++)
        assert_int_equal(values[i], i);
    for (int32_t s = -P / 2; s <= P / 2; s++) {
        int32_t small[N];
        for (int i = 0; i < N; i++)
            small[i] = s;
        k->import_signed(&m, x, small, N);
        k->export(&m, c, x, N);
        for (int i = 0; i < N; i++)
            assert_int_equal(c[i], (uint64_t)(s + P) % P);
    }
    msfl_modulus_clear(&m);
}

static void every_residue_in_every_table(void **state) {
    (void)state;
    for (const msfl_kernel *const *k = msfl_kernels(); *k != NULL; k++)
        if ((*k)->supported()) residues_of(*k);
}

/* --- every plaintext and every phase --- */

typedef struct set {
    uint64_t primes[3];
    uint32_t n_primes, degree, value_bits, slot_bits, slots, noise_max, total_max;
} set;

/** One coefficient with `n_slots` of its slots in use: all plaintexts with all errors come back, and every x in [0, q)
 *  opens exactly if it is t E + m with |E| <= noise_max and m within its bounds. */
static void codec_of(const msfl_kernel *k, const set *s, uint32_t n_slots) {
    msfl_modulus moduli[3];
    msfl_codec codec;
    int64_t q = 1, t = (int64_t)1 << (s->slot_bits * s->slots), noise_max = s->noise_max;
    for (uint32_t i = 0; i < s->n_primes; i++) {
        assert_int_equal(msfl_modulus_init(&moduli[i], k, s->primes[i], s->degree), MSFL_OK);
        q *= (int64_t)s->primes[i];
    }
    assert_int_equal(msfl_codec_init(&codec, moduli, s->n_primes, s->value_bits, s->slot_bits, s->slots), MSFL_OK);
    assert_true((t * (2 * noise_max + 1)) << 20 <= (((int64_t)1 << 20) - 1) * q); /* what lift may count on */
    const msfl_chunk_shape shape = {n_slots, 1};
    msfl_cell *x = msfl_alloc((size_t)s->n_primes * s->degree, sizeof *x);
    assert_non_null(x);
    uint64_t totals[16], r;
    const int64_t slot = (int64_t)1 << s->slot_bits, digits_used = (int64_t)1 << (s->slot_bits * n_slots);
    int64_t opened = 0, expected = 0;
    for (int64_t phase = 0; phase < q; phase++) {
        for (uint32_t i = 0; i < s->n_primes; i++) {
            uint64_t p = s->primes[i];
            r = (uint64_t)phase % p * codec.cofactor_inverse[i] % p;
            k->import(&moduli[i], x + i * s->degree, &r, 1);
        }
        int64_t shifted = (phase + t * noise_max) % q, m = shifted % t; /* t (E + noise_max) + m */
        bool good = shifted / t <= 2 * noise_max && m < digits_used;
        for (uint32_t d = 0; d < n_slots; d++)
            good &= (m >> (s->slot_bits * d)) % slot <= s->total_max;
        bool opens = k->lift(&codec, x, s->degree, shape, s->noise_max, s->total_max, totals);
        if (opens != good) fail_msg("%s: phase %d of %d: %d instead of %d", k->name, (int)phase, (int)q, opens, good);
        for (uint32_t d = 0; d < n_slots && good; d++)
            assert_int_equal(totals[d], (m >> (s->slot_bits * d)) % slot);
        opened += opens;
    }
    /* All plaintexts of one client, all errors. */
    const int64_t value_end = (int64_t)1 << s->value_bits;
    int64_t n_plain = 1;
    for (uint32_t d = 0; d < n_slots; d++)
        n_plain *= value_end;
    for (int64_t index = 0; index < n_plain; index++) {
        uint32_t slots[16], all = 0;
        int64_t m = 0, rest = index;
        for (uint32_t d = 0; d < n_slots; d++, rest /= value_end) {
            slots[d] = (uint32_t)(rest % value_end);
            all |= slots[d];
            m += (int64_t)slots[d] << (s->slot_bits * d);
        }
        for (int64_t e = -noise_max; e <= noise_max; e++) {
            int8_t noise[64] = {(int8_t)e};
            assert_int_equal(k->encode(&codec, 0, s->n_primes, slots, shape, noise, x, s->degree), all);
            for (uint32_t i = 0; i < s->n_primes; i++) {
                int64_t p = (int64_t)s->primes[i];
                k->export(&moduli[i], &r, x + i * s->degree, 1);
                if ((int64_t)r != ((t * e + m) % p + p) % p) fail_msg("%s: encoding of %d", k->name, (int)index);
            }
        }
    }
    /* As many phases open as there are errors times sums. */
    expected = 2 * noise_max + 1;
    for (uint32_t d = 0; d < n_slots; d++)
        expected *= s->total_max + 1;
    assert_int_equal(opened, expected);
    msfl_free(x);
    msfl_codec_clear(&codec);
    for (uint32_t i = 0; i < s->n_primes; i++)
        msfl_modulus_clear(&moduli[i]);
}

static void every_phase_opens_or_is_refused(void **state) {
    (void)state;
    static const set tiny[] = {
        {
            {17},
            1,
            4,
            1,
            2,
            1,
            1,
            3,
        },
        {{17, 41}, 2, 4, 2, 3, 2, 4, 6},
        {{17, 41, 73}, 3, 4, 2, 3, 4, 5, 5},
        {{17, 41, 73}, 3, 4, 3, 6, 2, 5, 63},
    };
    for (size_t i = 0; i < sizeof tiny / sizeof tiny[0]; i++)
        for (uint32_t n_slots = 1; n_slots <= tiny[i].slots; n_slots++)
            codec_of(&msfl_kernel_generic, &tiny[i], n_slots);
    static const set small[] = {
        {{257}, 1, 64, 2, 3, 2, 1, 6},
        {{641, 257}, 2, 64, 2, 3, 4, 19, 7},
        {{641, 257}, 2, 64, 2, 4, 3, 15, 11},
    };
    for (const msfl_kernel *const *k = msfl_kernels(); *k != NULL; k++) {
        if (!(*k)->supported()) continue;
        for (size_t i = 0; i < sizeof small / sizeof small[0]; i++)
            for (uint32_t n_slots = 1; n_slots <= small[i].slots; n_slots++)
                codec_of(*k, &small[i], n_slots);
    }
}

int main(void) {
    if (msfl_crypto_init() != MSFL_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_products_of_degree_two),
        cmocka_unit_test(all_products_of_degree_four),
        cmocka_unit_test(every_residue_in_every_table),
        cmocka_unit_test(every_phase_opens_or_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
