/* The embedding against its definition, and every table against the generic one, bit for bit. */
#include "base/mem.h"
#include "base/seeded.h"
#include "ring/embed.h"
#include "ring/prime.h"

#include <complex.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static double *doubles(size_t n) {
    double *x = msfl_alloc(n, sizeof *x);
    assert_non_null(x);
    return x;
}

static double between(msfl_seeded *g) {
    return (double)(int64_t)msfl_seeded_u64(g) * 0x1p-63;
}

static void init(msfl_embed *e, const msfl_embed_kernel *k, uint32_t degree) {
    assert_int_equal(msfl_embed_init(e, k, degree), MSFL_OK);
}

/** m(zeta^r) by Horner's rule in long double. */
static double complex evaluate(const double *m, size_t degree, uint64_t r) {
    long double complex z = cexpl(I * 3.14159265358979323846264338327950288L * (long double)r / (long double)degree);
    long double complex sum = 0;
    for (size_t k = degree; k-- > 0;)
        sum = sum * z + m[k];
    return (double complex)sum;
}

static void is_its_definition(void **state) {
    (void)state;
    for (const msfl_embed_kernel *const *k = msfl_embed_kernels(); *k != NULL; k++) {
        if (!(*k)->supported()) continue;
        for (uint32_t degree = 128; degree <= 2048; degree *= 2) {
            msfl_embed e;
            init(&e, *k, degree);
            msfl_seeded g;
            msfl_seeded_init(&g, 1, "test", degree, 0, 0);
            double *m = doubles(degree), *x = doubles(degree);
            double most = 0;
            for (size_t i = 0; i < degree; i++)
                x[i] = m[i] = between(&g);
            e.kernel->to_slots(&e, x, x + e.n);
            uint64_t power = 1;
            for (size_t j = 0; j < e.n; j++, power = power * 5 % (2 * degree)) {
                size_t at = e.position[j];
                assert_int_equal(4 * msfl_bit_reverse((uint32_t)at, e.log_n) + 1, power);
                double complex z = evaluate(m, degree, power);
                assert_true(cabs(z - (x[at] + I * x[e.n + at])) < 1e-12 * degree);
                most = fmax(most, cabs(z));
            }
            double *again = memcpy(doubles(degree), m, degree * sizeof *m), norm = msfl_embed_norm(&e, again);
            msfl_free(again);
            assert_true(norm >= most && norm < most * 1.0001);
            e.kernel->to_coefficients(&e, x, x + e.n);
            for (size_t i = 0; i < degree; i++)
                assert_true(fabs(x[i] / (double)e.n - m[i]) < 1e-14);
            msfl_free(m);
            msfl_free(x);
            msfl_embed_clear(&e);
        }
    }
}

/** The error stays below the bound that is claimed, at every size. */
static void error_bound_holds(void **state) {
    (void)state;
    for (uint32_t degree = 128; degree <= 32768; degree *= 2) {
        msfl_embed e;
        init(&e, msfl_embed_choose(), degree);
        msfl_seeded g;
        msfl_seeded_init(&g, 2, "test", degree, 0, 0);
        double *m = doubles(degree), *x = doubles(degree);
        for (size_t i = 0; i < degree; i++)
            x[i] = m[i] = between(&g);
        e.kernel->to_slots(&e, x, x + e.n);
        e.kernel->to_coefficients(&e, x, x + e.n);
        double error = 0, whole = 0;
        for (size_t i = 0; i < degree; i++) {
            error += (x[i] / (double)e.n - m[i]) * (x[i] / (double)e.n - m[i]);
            whole += m[i] * m[i];
        }
        assert_true(sqrt(error / whole) <= 2.01 * msfl_embed_error(&e));
        msfl_free(m);
        msfl_free(x);
        msfl_embed_clear(&e);
    }
}

static void tables_agree(void **state) {
    (void)state;
    const msfl_embed_kernel *generic = msfl_embed_kernels()[0];
    for (const msfl_embed_kernel *const *k = msfl_embed_kernels(); *k != NULL; k++) {
        if (!(*k)->supported()) continue;
        for (uint32_t degree = 128; degree <= 32768; degree *= 2) {
            msfl_embed e, f;
            init(&e, generic, degree);
            init(&f, *k, degree);
            msfl_seeded g;
            msfl_seeded_init(&g, 3, "test", degree, 0, 0);
            size_t bytes = degree * sizeof(double);
            double *x = doubles(degree), *y = doubles(degree);
            for (size_t i = 0; i < degree; i++)
                y[i] = x[i] = between(&g) * 0x1p30;
            generic->to_slots(&e, x, x + e.n);
            (*k)->to_slots(&f, y, y + e.n);
            assert_memory_equal(x, y, bytes);
            assert_true(generic->largest(x, x + e.n, e.n) == (*k)->largest(y, y + e.n, e.n));
            generic->to_coefficients(&e, x, x + e.n);
            (*k)->to_coefficients(&f, y, y + e.n);
            assert_memory_equal(x, y, bytes);
            assert_true(generic->quantise(x, 3.7, degree));
            assert_true((*k)->quantise(y, 3.7, degree));
            assert_memory_equal(x, y, bytes);
            msfl_free(x);
            msfl_free(y);
            msfl_embed_clear(&e);
            msfl_embed_clear(&f);
        }
    }
}

static void integers_are_exact(void **state) {
    (void)state;
    enum { N = 1003 };
    static const uint64_t primes[] = {12289, 1073738753, 1125899906826241ull, 1125899906629633ull};
    for (const msfl_embed_kernel *const *k = msfl_embed_kernels(); *k != NULL; k++) {
        if (!(*k)->supported()) continue;
        msfl_seeded g;
        msfl_seeded_init(&g, 4, "test", 0, 0, 0);
        double *x = doubles(N), *back = doubles(N);
        int8_t noise[N];
        uint64_t *r = calloc(N, sizeof *r);
        for (size_t q = 0; q < sizeof primes / sizeof primes[0]; q++) {
            uint64_t p = primes[q];
            for (size_t i = 0; i < N; i++) {
                x[i] = rint(ldexp(between(&g), (int)(i % 51)));
                noise[i] = (int8_t)msfl_seeded_u64(&g);
            }
            x[0] = 0x1p50, x[1] = -0x1p50, x[2] = -0.0, x[3] = (double)(p / 2), x[4] = -(double)(p / 2),
            x[5] = (double)p;
            x[6] = -(double)p, x[7] = 0;
            for (int with = 0; with < 2; with++) {
                (*k)->residues(r, x, with ? noise : NULL, p, N);
                for (size_t i = 0; i < N; i++) {
                    int64_t v = ((int64_t)x[i] + (with ? noise[i] : 0)) % (int64_t)p;
                    assert_int_equal(r[i], v < 0 ? v + (int64_t)p : v);
                }
            }
            (*k)->centre(back, r, p, N);
            for (size_t i = 0; i < N; i++)
                assert_true(back[i] == (r[i] > p / 2 ? -(double)(p - r[i]) : (double)r[i]));
        }
        /* Too large, and no numbers at all. */
        static const double wrong[] = {0x1p50, -0x1p50, 1e300, (double)INFINITY, (double)-INFINITY, (double)NAN};
        for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
            memset(x, 0, N * sizeof *x);
            assert_true((*k)->quantise(x, 1, N));
            x[i * 97] = wrong[i];
            assert_false((*k)->quantise(x, 1, N));
        }
        for (size_t i = 0; i < N; i++)
            x[i] = between(&g) * 1000;
        memcpy(back, x, N * sizeof *x);
        assert_true((*k)->quantise(x, 2, N));
        for (size_t i = 0; i < N; i++)
            assert_true(x[i] == rint(2 * back[i]));
        msfl_free(x);
        msfl_free(back);
        free(r);
    }
}

static void totals_are_checked(void **state) {
    (void)state;
    enum { N = 77 };
    for (const msfl_embed_kernel *const *k = msfl_embed_kernels(); *k != NULL; k++) {
        if (!(*k)->supported()) continue;
        uint32_t values[N];
        uint64_t totals[N];
        double *x = doubles(N);
        uint32_t any = 0;
        for (uint32_t i = 0; i < N; i++)
            any |= values[i] = i * 2654435761u;
        assert_int_equal((*k)->load(x, values, 0x1p31, N), any);
        assert_true((*k)->totals(totals, x, 1, 0x1p31, 0.25, 0x1p32, N));
        for (size_t i = 0; i < N; i++)
            assert_int_equal(totals[i], values[i]);
        for (size_t i = 0; i < N; i++)
            x[i] = 8 * ((double)i - 20) + (i % 2 ? 1.9 : -1.9);
        assert_true((*k)->totals(totals, x, 0.125, 20, 0.25, N - 1, N));
        for (size_t i = 0; i < N; i++)
            assert_int_equal(totals[i], i);
        assert_false((*k)->totals(totals, x, 0.125, 20, 0.23, N - 1, N));
        assert_false((*k)->totals(totals, x, 0.125, 20, 0.25, N - 2, N));
        assert_false((*k)->totals(totals, x, 0.125, 19, 0.25, N - 1, N));
        msfl_free(x);
    }
}

static void allocations_may_fail(void **state) {
    (void)state;
    for (long k = 1; k <= 4; k++) {
        msfl_embed e;
        msfl_alloc_fail_at(k);
        assert_int_equal(msfl_embed_init(&e, msfl_embed_kernels()[0], 1024), MSFL_ERR_MEMORY);
        msfl_alloc_fail_at(0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_its_definition),  cmocka_unit_test(error_bound_holds),
        cmocka_unit_test(tables_agree),       cmocka_unit_test(integers_are_exact),
        cmocka_unit_test(totals_are_checked), cmocka_unit_test(allocations_may_fail),
    };
    return cmocka_run_group_tests_name("embed", tests, NULL, NULL);
}
