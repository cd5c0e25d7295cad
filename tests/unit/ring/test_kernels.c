/* Every function of every instruction set table against the generic one: the same integers, bit for bit, on random and
 * on extreme inputs, at every width and at lengths around the vector sizes. */
#include "base/mem.h"
#include "base/seeded.h"
#include "base/sodium.h"
#include "ring/bits.h"
#include "ring/modulus.h"
#include "ring/prime.h"
#include "ring/uniform.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 256 };

static msfl_seeded g;

static uint64_t any_below(uint64_t bound, int turn) {
    if (turn == 0) return bound - 1;
    if (turn == 1) return 0;
    uint64_t r = msfl_seeded_below(&g, 16);
    return r == 0 ? bound - 1 : r == 1 ? 0 : msfl_seeded_below(&g, bound);
}

/** The tables beside generic that this processor supports. */
static const msfl_kernel *other(size_t i) {
    const msfl_kernel *const *k = msfl_kernels();
    for (; *k != NULL; k++) {
        if (*k == &msfl_kernel_generic || !(*k)->supported()) continue;
        if (i-- == 0) return *k;
    }
    return NULL;
}

typedef struct both {
    const msfl_kernel *ref, *fast;
    msfl_modulus a, b; /* the same prime for both */
} both;

static void both_init(both *t, const msfl_kernel *fast, uint64_t p, uint32_t degree) {
    t->ref = &msfl_kernel_generic;
    t->fast = fast;
    assert_int_equal(msfl_modulus_init(&t->a, t->ref, p, degree), MSFL_OK);
    assert_int_equal(msfl_modulus_init(&t->b, t->fast, p, degree), MSFL_OK);
}

static void both_clear(both *t) {
    msfl_modulus_clear(&t->a);
    msfl_modulus_clear(&t->b);
}

typedef void (*with_both)(both *t);

/** Run over all other tables and prime widths; `lowest` bits and up. */
static void over_primes(with_both fn, uint32_t lowest) {
    msfl_seeded_init(&g, 5, "kernels", 0, 0, 0);
    if (other(0) == NULL) {
        print_message("skipped: this processor supports the generic table alone\n");
        skip();
    }
    for (size_t i = 0; other(i) != NULL; i++) {
        for (uint32_t bits = lowest; bits <= MSFL_PRIME_BITS_MAX; bits++) {
            both t;
            uint64_t p = msfl_prime_below((uint64_t)1 << bits, 2, N);
            if (p == 0) continue;
            both_init(&t, other(i), p, N);
            fn(&t);
            both_clear(&t);
        }
    }
}

static void check_transforms(both *t) {
    uint64_t p = t->a.m.p, in[N], prepared[N], x[N], y[N];
    _Alignas(64) msfl_cell a[N], b[N], pa[N], pb[N];
    for (int turn = 0; turn < 6; turn++) {
        int32_t small[N];
        for (int i = 0; i < N; i++) {
            in[i] = any_below(p, turn);
            prepared[i] = any_below(p, turn);
            small[i] = (int32_t)any_below(2 * 820001 + 1, turn) - 820001;
            if ((uint64_t)llabs(small[i]) >= p / 2) small[i] %= 1000;
        }
        /* A key: small integers, forward, prepare. */
        t->ref->import_signed(&t->a, a, small, N);
        t->fast->import_signed(&t->b, b, small, N);
        t->ref->forward(&t->a, a);
        t->fast->forward(&t->b, b);
        t->ref->export(&t->a, x, a, N);
        t->fast->export(&t->b, y, b, N);
        assert_memory_equal(x, y, sizeof x);
        /* Any residues. */
        t->ref->import(&t->a, pa, prepared, N);
        t->fast->import(&t->b, pb, prepared, N);
        t->ref->prepare(&t->a, pa);
        t->fast->prepare(&t->b, pb);
        t->ref->export(&t->a, x, pa, N);
        t->fast->export(&t->b, y, pb, N);
        assert_memory_equal(x, y, sizeof x);
        t->ref->import(&t->a, a, in, N);
        t->fast->import(&t->b, b, in, N);
        t->ref->multiply(&t->a, a, pa, N - 3);
        t->fast->multiply(&t->b, b, pb, N - 3);
        t->ref->export(&t->a, x, a, N);
        t->fast->export(&t->b, y, b, N);
        assert_memory_equal(x, y, sizeof x);
        t->ref->import(&t->a, a, x, N);
        t->fast->import(&t->b, b, x, N);
        t->ref->multiply(&t->a, a, pa, N);
        t->fast->multiply(&t->b, b, pb, N);
        t->ref->inverse(&t->a, a);
        t->fast->inverse(&t->b, b);
        t->ref->export(&t->a, x, a, N);
        t->fast->export(&t->b, y, b, N);
        assert_memory_equal(x, y, sizeof x);
    }
}

static void transforms_agree(void **state) {
    (void)state;
    over_primes(check_transforms, 20);
}

/* All degrees, so that every combination of passes is walked; primes at the upper end of both kinds of bounds. */
static void large_transforms_agree(void **state) {
    (void)state;
    if (other(0) == NULL) skip();
    msfl_seeded_init(&g, 6, "kernels", 0, 0, 0);
    for (size_t i = 0; other(i) != NULL; i++) {
        for (uint32_t degree = 64; degree <= 32768; degree *= 2) {
            for (uint32_t bits = 47; bits <= 50; bits++) {
                both t;
                both_init(&t, other(i), msfl_prime_below((uint64_t)1 << bits, 2, degree), degree);
                uint64_t *x = msfl_alloc(degree, sizeof *x), *y = msfl_alloc(degree, sizeof *y);
                msfl_cell *a = msfl_alloc(degree, sizeof *a), *b = msfl_alloc(degree, sizeof *b);
                msfl_cell *one = msfl_alloc(degree, sizeof *one);
                for (int turn = 0; turn < 3; turn++) {
                    for (uint32_t k = 0; k < degree; k++)
                        x[k] = any_below(t.a.m.p, turn);
                    t.ref->import(&t.a, a, x, degree);
                    t.fast->import(&t.b, b, x, degree);
                    t.ref->forward(&t.a, a);
                    t.fast->forward(&t.b, b);
                    t.ref->export(&t.a, x, a, degree);
                    t.fast->export(&t.b, y, b, degree);
                    assert_memory_equal(x, y, degree * sizeof *x);
                    t.ref->import(&t.a, a, x, degree);
                    t.fast->import(&t.b, b, x, degree);
                    /* Times one: what the fast table's inverse is given is a product. */
                    for (uint32_t k = 0; k < degree; k++)
                        y[k] = 1;
                    t.fast->import(&t.b, one, y, degree);
                    t.fast->multiply(&t.b, b, one, degree);
                    t.ref->inverse(&t.a, a);
                    t.fast->inverse(&t.b, b);
                    t.ref->export(&t.a, x, a, degree);
                    t.fast->export(&t.b, y, b, degree);
                    assert_memory_equal(x, y, degree * sizeof *x);
                }
                msfl_free(x);
                msfl_free(y);
                msfl_free(a);
                msfl_free(b);
                msfl_free(one);
                both_clear(&t);
            }
        }
    }
}

static void check_uniform(both *t) {
    size_t width = (t->a.m.bits + 7) / 8;
    uint8_t bytes[N * 8 + MSFL_STREAM_SLACK];
    for (int turn = 0; turn < 12; turn++) {
        size_t n = turn < 6 ? N : (size_t)msfl_seeded_below(&g, N + 1);
        for (size_t i = 0; i < n; i++) {
            /* Some at the edge: p - 1, p and all ones. */
            uint64_t r = msfl_seeded_u64(&g), pick = msfl_seeded_below(&g, turn < 3 ? 8 : 200);
            uint64_t v = pick == 0 ? t->a.m.p : pick == 1 ? t->a.m.p - 1 : pick == 2 ? UINT64_MAX : r;
            for (size_t k = 0; k < width; k++)
                bytes[i * width + k] = (uint8_t)(v >> 8 * k);
        }
        _Alignas(64) msfl_cell a[N], b[N];
        uint64_t x[N], y[N];
        size_t kept = t->ref->uniform(&t->a, a, bytes, n);
        assert_int_equal(t->fast->uniform(&t->b, b, bytes, n), kept);
        t->ref->export(&t->a, x, a, kept);
        t->fast->export(&t->b, y, b, kept);
        assert_memory_equal(x, y, kept * sizeof x[0]);
        for (size_t i = 0; i < kept; i++)
            assert_true(x[i] < t->a.m.p);
    }
}

static void uniform_sampling_agrees(void **state) {
    (void)state;
    over_primes(check_uniform, 10);
}

static void noise_agrees(void **state) {
    (void)state;
    if (other(0) == NULL) skip();
    msfl_seeded_init(&g, 7, "kernels", 0, 0, 0);
    for (size_t i = 0; other(i) != NULL; i++) {
        for (uint32_t bits = 2; bits <= 200; bits += 2) {
            uint8_t bytes[25 * N];
            int8_t x[N], y[N];
            for (int turn = 0; turn < 4; turn++) {
                for (size_t k = 0; k < sizeof bytes; k++)
                    bytes[k] = turn == 0 ? 0 : turn == 1 ? 0xff : (uint8_t)msfl_seeded_u64(&g);
                msfl_kernel_generic.binomial(x, bytes, bits, N);
                other(i)->binomial(y, bytes, bits, N);
                assert_memory_equal(x, y, N);
                if (turn < 2) assert_int_equal(x[5], turn == 0 ? -(int)bits / 2 : (int)bits / 2);
            }
        }
    }
}

static void fill_packed(const msfl_modulus *m, uint8_t *bytes, size_t n, int turn) {
    uint64_t r[MSFL_GROUP];
    for (size_t i = 0; i < n; i += MSFL_GROUP, bytes += m->m.bits) {
        size_t count = n - i < MSFL_GROUP ? n - i : MSFL_GROUP;
        for (size_t k = 0; k < count; k++)
            r[k] = any_below(m->m.p, turn);
        msfl_bits_put(bytes, m->m.bits, count, r);
    }
}

static void check_packing(both *t) {
    enum { BYTES = N * 50 / 8, GUARD = 64 };
    uint64_t p = t->a.m.p;
    for (int turn = 0; turn < 40; turn++) {
        size_t n = turn < 3 ? N : 1 + (size_t)msfl_seeded_below(&g, N), length = msfl_packed_bytes(&t->a, n);
        uint8_t sum_a[BYTES + GUARD], sum_b[BYTES + GUARD];
        uint64_t x[N], y[N];
        _Alignas(64) msfl_cell ax[N], ay[N], bx[N], by[N];
        for (size_t i = 0; i < N; i++) {
            x[i] = any_below(p, turn);
            y[i] = any_below(p, turn);
        }
        /* add_pack, and nothing written behind the end */
        t->ref->import(&t->a, ax, x, N);
        t->ref->import(&t->a, ay, y, N);
        t->fast->import(&t->b, bx, x, N);
        t->fast->import(&t->b, by, y, N);
        memset(sum_a, 0x77, sizeof sum_a);
        memset(sum_b, 0x77, sizeof sum_b);
        t->ref->add_pack(&t->a, sum_a, ax, ay, n);
        t->fast->add_pack(&t->b, sum_b, bx, by, n);
        assert_memory_equal(sum_a, sum_b, sizeof sum_a);
        assert_int_equal(sum_a[length], 0x77);
        /* fold: exactly `length` bytes of the addend may be read */
        uint8_t *bytes = msfl_alloc(BYTES + GUARD, 1), *exact = malloc(length);
        fill_packed(&t->a, bytes, n, turn);
        memcpy(exact, bytes, length);
        assert_true(t->ref->check(&t->a, exact, n));
        assert_true(t->fast->check(&t->b, exact, n));
        uint8_t before[BYTES + GUARD];
        memcpy(before, sum_a, sizeof before);
        assert_true(t->ref->fold(&t->a, sum_a, exact, n));
        assert_true(t->fast->fold(&t->b, sum_b, exact, n));
        assert_memory_equal(sum_a, sum_b, sizeof sum_a);
        uint64_t r[MSFL_GROUP], s[MSFL_GROUP], d[MSFL_GROUP];
        for (size_t i = 0; i < n; i += MSFL_GROUP) {
            size_t count = n - i < MSFL_GROUP ? n - i : MSFL_GROUP, at = i / MSFL_GROUP * t->a.m.bits;
            msfl_bits_get(exact + at, t->a.m.bits, count, r);
            msfl_bits_get(before + at, t->a.m.bits, count, s);
            msfl_bits_get(sum_a + at, t->a.m.bits, count, d);
            for (size_t k = 0; k < count; k++)
                assert_int_equal(d[k], (r[k] + s[k]) % p);
        }
        /* A residue out of range is seen wherever it is, and can be taken back. */
        size_t at = msfl_seeded_below(&g, n), group = at / MSFL_GROUP * MSFL_GROUP;
        size_t count = n - group < MSFL_GROUP ? n - group : MSFL_GROUP;
        uint8_t *place = exact + group / MSFL_GROUP * t->a.m.bits;
        msfl_bits_get(place, t->a.m.bits, count, r);
        uint64_t top = msfl_bits_mask(t->a.m.bits);
        r[at - group] = turn % 2 == 0 ? p : p + msfl_seeded_below(&g, top - p + 1);
        msfl_bits_put(place, t->a.m.bits, count, r);
        assert_false(t->ref->check(&t->a, exact, n));
        assert_false(t->fast->check(&t->b, exact, n));
        memcpy(before, sum_a, sizeof before);
        assert_false(t->ref->fold(&t->a, sum_a, exact, n));
        assert_false(t->fast->fold(&t->b, sum_b, exact, n));
        assert_memory_equal(sum_a, sum_b, sizeof sum_a);
        t->ref->unfold(&t->a, sum_a, exact, n);
        t->fast->unfold(&t->b, sum_b, exact, n);
        assert_memory_equal(sum_a, before, sizeof before);
        assert_memory_equal(sum_b, before, sizeof before);
        /* Padding that is not zero. */
        memcpy(exact, bytes, length);
        if (n * t->a.m.bits % 8 != 0) {
            exact[length - 1] |= 0x80;
            assert_false(t->ref->check(&t->a, exact, n));
            assert_false(t->fast->check(&t->b, exact, n));
            assert_false(t->fast->fold(&t->b, sum_b, exact, n));
            t->fast->unfold(&t->b, sum_b, exact, n);
            assert_memory_equal(sum_b, before, sizeof before);
        }
        /* (c - x) factor */
        uint64_t factor = any_below(p, turn), u[N], v[N];
        memcpy(exact, bytes, length);
        t->ref->subtract_from(&t->a, ax, exact, factor, n);
        t->fast->subtract_from(&t->b, bx, exact, factor, n);
        t->ref->export(&t->a, u, ax, n);
        t->fast->export(&t->b, v, bx, n);
        assert_memory_equal(u, v, n * sizeof u[0]);
        msfl_free(bytes);
        free(exact);
    }
}

static void packing_agrees(void **state) {
    (void)state;
    over_primes(check_packing, 14);
}

/** Encode random slots and noise of `n` clients' size, and lift them again, with both tables. */
static void check_codec(const msfl_kernel *fast, uint32_t value_bits, uint32_t n_clients, uint32_t n_primes,
                        uint32_t prime_bits) {
    enum { DEGREE = 64 };
    uint64_t total_max = n_clients * (((uint64_t)1 << value_bits) - 1);
    uint32_t slot_bits = 64 - (uint32_t)__builtin_clzll(total_max), noise_max = 30;
    double log2_q = n_primes * (prime_bits - 1e-3);
    if (log2_q < slot_bits + 8) return;
    uint32_t slots = (uint32_t)((log2_q - 7) / slot_bits); /* t (2 30 + 1) (1 + small) < q */
    msfl_modulus ref_moduli[MSFL_MODULI_MAX], fast_moduli[MSFL_MODULI_MAX];
    uint64_t p = (uint64_t)1 << prime_bits;
    for (uint32_t i = 0; i < n_primes; i++) {
        p = msfl_prime_below(p, 2, DEGREE);
        assert_int_equal(msfl_modulus_init(&ref_moduli[i], &msfl_kernel_generic, p, DEGREE), MSFL_OK);
        assert_int_equal(msfl_modulus_init(&fast_moduli[i], fast, p, DEGREE), MSFL_OK);
    }
    msfl_codec ref, other_codec;
    assert_int_equal(msfl_codec_init(&ref, ref_moduli, n_primes, value_bits, slot_bits, slots), MSFL_OK);
    assert_int_equal(msfl_codec_init(&other_codec, fast_moduli, n_primes, value_bits, slot_bits, slots), MSFL_OK);
    for (int turn = 0; turn < 5; turn++) {
        size_t coefficients = turn < 2 ? DEGREE : 1 + (size_t)msfl_seeded_below(&g, DEGREE);
        size_t n_slots = coefficients * slots - (turn < 2 ? 0 : (size_t)msfl_seeded_below(&g, slots));
        if ((n_slots + slots - 1) / slots != coefficients) n_slots = coefficients * slots;
        msfl_chunk_shape shape = {n_slots, coefficients};
        uint32_t *values = malloc(n_slots * sizeof *values);
        int8_t *noise = malloc(coefficients);
        uint32_t all = 0;
        for (size_t i = 0; i < n_slots; i++)
            all |= values[i] = (uint32_t)any_below((uint64_t)1 << value_bits, turn);
        for (size_t i = 0; i < coefficients; i++)
            noise[i] = (int8_t)((int)any_below(2 * noise_max + 1, turn) - (int)noise_max);
        msfl_cell *x = msfl_alloc(n_primes * DEGREE, sizeof *x), *y = msfl_alloc(n_primes * DEGREE, sizeof *y);
        uint32_t cut = n_primes / 2; /* in two goes */
        uint32_t seen_x = ref.kernel->encode(&ref, 0, n_primes, values, shape, noise, x, DEGREE);
        uint32_t seen_y = other_codec.kernel->encode(&other_codec, 0, cut, values, shape, noise, y, DEGREE);
        seen_y |= other_codec.kernel->encode(&other_codec, cut, n_primes - cut, values, shape, noise, y + cut * DEGREE,
                                             DEGREE);
        assert_int_equal(seen_x, all);
        assert_int_equal(seen_y, all);
        uint64_t u[DEGREE], v[DEGREE];
        for (uint32_t i = 0; i < n_primes; i++) {
            msfl_kernel_generic.export(&ref_moduli[i], u, x + i * DEGREE, coefficients);
            fast->export(&fast_moduli[i], v, y + i * DEGREE, coefficients);
            assert_memory_equal(u, v, coefficients * sizeof u[0]);
            for (size_t k = 0; k < coefficients; k++)
                u[k] = msfl_mod_mul(u[k], ref.cofactor_inverse[i], &ref_moduli[i].m);
            msfl_kernel_generic.import(&ref_moduli[i], x + i * DEGREE, u, coefficients);
            fast->import(&fast_moduli[i], y + i * DEGREE, u, coefficients);
        }
        uint64_t *totals_x = msfl_alloc(n_slots, sizeof *totals_x), *totals_y = msfl_alloc(n_slots, sizeof *totals_y);
        assert_true(msfl_kernel_generic.lift(&ref, x, DEGREE, shape, noise_max, total_max, totals_x));
        assert_true(fast->lift(&other_codec, y, DEGREE, shape, noise_max, total_max, totals_y));
        for (size_t i = 0; i < n_slots; i++) {
            assert_int_equal(totals_x[i], values[i]);
            assert_int_equal(totals_y[i], values[i]);
        }
        /* The same verdict just within and just beyond both bounds, and on nonsense. */
        int noise_seen = 0;
        uint64_t total_seen = 0;
        for (size_t i = 0; i < coefficients; i++)
            noise_seen = abs(noise[i]) > noise_seen ? abs(noise[i]) : noise_seen;
        for (size_t i = 0; i < n_slots; i++)
            total_seen = values[i] > total_seen ? values[i] : total_seen;
        for (int less = 0; less < 2; less++) {
            if (less > noise_seen || (uint64_t)less > total_seen) continue;
            uint32_t bound = (uint32_t)(noise_seen - less);
            assert_int_equal(msfl_kernel_generic.lift(&ref, x, DEGREE, shape, bound, total_max, totals_x), less == 0);
            assert_int_equal(fast->lift(&other_codec, y, DEGREE, shape, bound, total_max, totals_y), less == 0);
            uint64_t limit = total_seen - (uint64_t)less;
            assert_int_equal(msfl_kernel_generic.lift(&ref, x, DEGREE, shape, noise_max, limit, totals_x), less == 0);
            assert_int_equal(fast->lift(&other_codec, y, DEGREE, shape, noise_max, limit, totals_y), less == 0);
        }
        size_t spoilt = msfl_seeded_below(&g, coefficients);
        for (uint32_t i = 0; i < n_primes; i++) {
            uint64_t r = msfl_seeded_below(&g, ref_moduli[i].m.p);
            msfl_kernel_generic.import(&ref_moduli[i], x + i * DEGREE + spoilt, &r, 1);
            fast->import(&fast_moduli[i], y + i * DEGREE + spoilt, &r, 1);
        }
        bool verdict = msfl_kernel_generic.lift(&ref, x, DEGREE, shape, 0, total_max, totals_x);
        assert_int_equal(fast->lift(&other_codec, y, DEGREE, shape, 0, total_max, totals_y), verdict);
        free(values);
        free(noise);
        msfl_free(x);
        msfl_free(y);
        msfl_free(totals_x);
        msfl_free(totals_y);
    }
    msfl_codec_clear(&ref);
    msfl_codec_clear(&other_codec);
    for (uint32_t i = 0; i < n_primes; i++) {
        msfl_modulus_clear(&ref_moduli[i]);
        msfl_modulus_clear(&fast_moduli[i]);
    }
}

static void codecs_agree(void **state) {
    (void)state;
    if (other(0) == NULL) skip();
    msfl_seeded_init(&g, 8, "kernels", 0, 0, 0);
    static const uint32_t clients[] = {1, 2, 10, 1000, 10000};
    for (size_t i = 0; other(i) != NULL; i++) {
        for (uint32_t bits = 2; bits <= 32; bits++) {
            for (size_t c = 0; c < sizeof clients / sizeof clients[0]; c++) {
                check_codec(other(i), bits, clients[c], 1, 28 + bits % 23);
                check_codec(other(i), bits, clients[c], 2, 27);
                check_codec(other(i), bits, clients[c], 5, 42);
                check_codec(other(i), bits, clients[c], 4, 50);
                check_codec(other(i), bits, clients[c], 16, 50);
            }
        }
    }
}

/** The fastest that the processor has is chosen, and every name can be forced, or is refused for the right reason. */
static void tables_are_chosen(void **state) {
    (void)state;
    const char *kept = getenv("MSFL_KERNEL");
    char *copy = kept != NULL ? strdup(kept) : NULL;
    const msfl_kernel *chosen, *fastest = NULL;
    for (const msfl_kernel *const *k = msfl_kernels(); *k != NULL; k++) {
        assert_int_equal(setenv("MSFL_KERNEL", (*k)->name, 1), 0);
        msfl_status status = msfl_kernel_choose(&chosen);
        assert_int_equal(status, (*k)->supported() ? MSFL_OK : MSFL_ERR_UNSUPPORTED);
        assert_ptr_equal(chosen, status == MSFL_OK ? *k : NULL);
        if (status == MSFL_OK) fastest = *k;
        print_message("%s: %s\n", (*k)->name, status == MSFL_OK ? "tested" : "not on this processor");
    }
    unsetenv("MSFL_KERNEL");
    assert_int_equal(msfl_kernel_choose(&chosen), MSFL_OK);
    assert_ptr_equal(chosen, fastest);
    if (copy != NULL) setenv("MSFL_KERNEL", copy, 1);
    free(copy);
}

int main(void) {
    if (msfl_crypto_init() != MSFL_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transforms_agree),        cmocka_unit_test(large_transforms_agree),
        cmocka_unit_test(uniform_sampling_agrees), cmocka_unit_test(noise_agrees),
        cmocka_unit_test(packing_agrees),          cmocka_unit_test(codecs_agree),
        cmocka_unit_test(tables_are_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
