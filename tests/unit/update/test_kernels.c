/* Every table gives what the generic one gives, and that one is held to sums in long doubles. */
#include "base/mem.h"
#include "base/seeded.h"
#include "update/rounding.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const float special[] = {0.0f,     -0.0f,    FLT_TRUE_MIN, -FLT_TRUE_MIN, FLT_MIN,    FLT_MAX,
                                -FLT_MAX, INFINITY, -INFINITY,    NAN,           1.0f,       -1.0f,
                                0.5f,     -0.5f,    0x1p-30f,     -0x1p-30f,     0x1.8p-24f, 0x1.fffffep-1f};
enum { N_SPECIAL = sizeof special / sizeof *special };

static msfl_rounding_rule rule_of(uint32_t bits, float clip, uint64_t n_samples, uint64_t n_max) {
    msfl_update_layout *layout = NULL;
    const msfl_update_range range = {1, clip};
    assert_int_equal(msfl_update_layout_new(bits, 1, n_max, &range, 1, &layout), MSFL_OK);
    msfl_rounding_rule rule = msfl_rounding_rule_of(layout, clip, n_samples);
    msfl_update_layout_free(layout);
    return rule;
}

/** One value with one random number r < 2^F, in slot `lane`: the other 31 slots are something else. */
static uint32_t round_one(const msfl_update_kernel *kernel, const msfl_rounding_rule *rule, float x, uint32_t r,
                          int lane) {
    float values[MSFL_GROUP_SLOTS];
    uint32_t words[MSFL_GROUP_WORDS], out[MSFL_GROUP_SLOTS];
    for (int i = 0; i < MSFL_GROUP_SLOTS; i++)
        values[i] = rule->clip * (float)(i - 15) / 16;
    for (int i = 0; i < MSFL_GROUP_WORDS; i++)
        words[i] = 0x9e3779b9u * (uint32_t)(i + 1);
    values[lane] = x;
    uint32_t word = r | ~rule->random_mask; /* what is above F bits must not count */
    words[2 * (lane % 8) + lane / 8 % 2] = lane < 16 ? word : word << 16 | word >> 16;
    (void)kernel->quantise(rule, out, values, words, 1);
    return out[lane];
}

/**
 * The chance of rounding up, not estimated but found: the least r that takes x up, by halving. It must give
 * Y = (c s + h) 2^F within the bound that docs/design/encoding.md proves, in every slot of a group.
 */
static void the_bias_is_below_its_bound(void **state) {
    (void)state;
    const msfl_update_kernel *kernel = msfl_update_kernel_best();
    msfl_seeded g;
    msfl_seeded_init(&g, 4, "test.bias", 0, 0, 0);
    for (uint32_t bits = 2; bits <= 32; bits++) {
        const long double half = (powl(2, bits) - 1) / 2;
        const long double bound = ldexpl(0.625L, bits <= 20 ? -32 : (int)bits - 52);
        for (int repeat = 0; repeat < 200; repeat++) {
            float clip = ldexpf((float)(1.0 + msfl_seeded_unit(&g)), (int)msfl_seeded_below(&g, 60) - 30);
            msfl_rounding_rule rule = rule_of(bits, clip, 1 + msfl_seeded_below(&g, 1000), 1000);
            float x = clip * (float)(2.0 * msfl_seeded_unit(&g) - 1.0);
            if (repeat % 4 == 1) x *= 0x1p-12f;
            if (repeat % 4 == 2) x *= 0x1p-40f;
            if (repeat == 0) x = clip;
            if (repeat == 4) x = -clip;
            int lane = repeat % MSFL_GROUP_SLOTS;
            const uint32_t last = rule.random_mask;
            uint32_t low = round_one(kernel, &rule, x, 0, lane), high = round_one(kernel, &rule, x, last, lane);
            assert_true(high == low || high == low + 1);
            uint64_t first = (uint64_t)last + 1; /* the least r that rounds up */
            if (high > low) {
                uint64_t down = 0;
                first = last;
                while (first - down > 1) {
                    uint64_t middle = down + (first - down) / 2;
                    if (round_one(kernel, &rule, x, (uint32_t)middle, lane) > low) {
                        first = middle;
                    } else {
                        down = middle;
                    }
                }
            }
            long double y = (long double)low + 1 - ldexpl((long double)first, -(int)rule.shift);
            long double exact = (long double)x * (long double)rule.scale + half;
            if (fabsl(y - exact) > bound * (1 + 0x1p-10L)) {
                fail_msg("b=%u x=%g: off by %Lg, bound %Lg", bits, (double)x, y - exact, bound);
            }
        }
    }
}

/** A group by the definition in kernel.h, in integers where the kernels use doubles for integers. */
static uint32_t slow_quantise(const msfl_rounding_rule *rule, uint32_t *out, const float *x, const uint32_t *words) {
    uint32_t n_clipped = 0;
    for (int l = 0; l < MSFL_GROUP_SLOTS; l++) {
        float c = isnan(x[l]) || x[l] < -rule->clip ? -rule->clip : x[l] > rule->clip ? rule->clip : x[l];
        n_clipped += !isnan(x[l]) && c != x[l];
        double t = (double)c * rule->scale + rule->base;
        uint64_t y = (uint64_t)ldexp(t - ldexp(1.0, 52 - (int)rule->shift), (int)rule->shift);
        uint64_t word = words[l % 8 * 2 + (l / 8) % 2];
        uint64_t r = (l < 16 ? word : (word * 65536 + word / 65536) & 0xffffffff) % (UINT64_C(1) << rule->shift);
        out[l] = (uint32_t)((y + r) / (UINT64_C(1) << rule->shift));
    }
    return n_clipped;
}

static void all_quantise_alike(void **state) {
    (void)state;
    enum { GROUPS = 9, N = GROUPS * MSFL_GROUP_SLOTS };
    float x[N];
    uint32_t words[GROUPS * MSFL_GROUP_WORDS], expected[N], out[N + 1];
    msfl_seeded g;
    msfl_seeded_init(&g, 1, "test.kernels", 0, 0, 0);
    for (uint32_t bits = 2; bits <= 32; bits++) {
        for (int repeat = 0; repeat < 60; repeat++) {
            float clip = ldexpf((float)(1.0 + msfl_seeded_unit(&g)), (int)msfl_seeded_below(&g, 240) - 120);
            msfl_rounding_rule rule = rule_of(bits, clip, repeat % 2 ? 1000 : 1 + msfl_seeded_below(&g, 1000), 1000);
            size_t n_groups = (size_t)repeat % (GROUPS + 1), n = n_groups * MSFL_GROUP_SLOTS;
            uint32_t n_clipped = 0;
            for (size_t i = 0; i < n; i++) {
                uint64_t kind = msfl_seeded_below(&g, 8);
                x[i] = kind == 0   ? special[msfl_seeded_below(&g, N_SPECIAL)]
                       : kind == 1 ? clip
                       : kind == 2 ? -clip
                                   : clip * (float)(2.4 * msfl_seeded_unit(&g) - 1.2);
            }
            for (size_t i = 0; i < n_groups * MSFL_GROUP_WORDS; i++) {
                uint64_t kind = msfl_seeded_below(&g, 8);
                words[i] = kind == 3 ? 0 : kind == 4 ? UINT32_MAX : (uint32_t)msfl_seeded_u64(&g);
            }
            for (size_t k = 0; k < n_groups; k++)
                n_clipped += slow_quantise(&rule, expected + k * MSFL_GROUP_SLOTS, x + k * MSFL_GROUP_SLOTS,
                                           words + k * MSFL_GROUP_WORDS);
            for (size_t i = 0; i < n; i++)
                assert_true(expected[i] <= (UINT64_C(1) << bits) - 1);
            for (const msfl_update_kernel *const *k = msfl_update_kernels(); *k != NULL; k++) {
                if (!(*k)->supported()) continue;
                memset(out, 0xcd, sizeof out);
                assert_int_equal((*k)->quantise(&rule, out, x, words, n_groups), n_clipped);
                assert_memory_equal(out, expected, n * sizeof *out);
                assert_int_equal(out[n], 0xcdcdcdcd); /* not one beyond */
            }
        }
    }
}

static void all_find_what_is_not_finite(void **state) {
    (void)state;
    enum { N = 200 };
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    static const float good[] = {FLT_MAX, -FLT_MAX, FLT_TRUE_MIN, -0.0f};
    float x[N];
    for (const msfl_update_kernel *const *k = msfl_update_kernels(); *k != NULL; k++) {
        if (!(*k)->supported()) continue;
        for (size_t n = 0; n <= N; n++) {
            for (size_t i = 0; i < N; i++)
                x[i] = i < n ? good[i % 4] : NAN; /* what lies beyond is not looked at */
            assert_true((*k)->finite(x, n));
            for (size_t i = 0; i < n; i++) {
                x[i] = bad[(i + n) % 4];
                assert_false((*k)->finite(x, n));
                x[i] = good[i % 4];
            }
        }
    }
}

static void all_find_what_is_out_of_bounds(void **state) {
    (void)state;
    enum { N = 100 };
    static const uint64_t bounds[][2] = {{0, 0},          {0, 10},
                                         {5, 5},          {7, UINT64_C(1) << 47},
                                         {1, UINT64_MAX}, {0, UINT64_MAX},
                                         {1000, 2000},    {UINT64_C(1) << 63, UINT64_MAX},
                                         {3, INT64_MAX},  {0, UINT64_C(1) << 63}};
    uint64_t totals[N];
    for (const msfl_update_kernel *const *k = msfl_update_kernels(); *k != NULL; k++) {
        if (!(*k)->supported()) continue;
        for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++) {
            const uint64_t low = bounds[b][0], high = bounds[b][1];
            const uint64_t bad[] = {low - 1, high + 1, UINT64_MAX, 0, INT64_MAX, UINT64_C(1) << 63};
            for (size_t n = 0; n <= N; n++) {
                for (size_t i = 0; i < N; i++)
                    totals[i] = i >= n ? low - 1 : i % 2 ? low : high;
                assert_true((*k)->within(totals, n, low, high));
                for (size_t i = 0; i < n; i++) {
                    uint64_t kept = totals[i];
                    totals[i] = bad[(i + n) % 6];
                    assert_int_equal((*k)->within(totals, n, low, high), totals[i] >= low && totals[i] <= high);
                    totals[i] = kept;
                }
            }
        }
    }
}

static void all_decode_alike(void **state) {
    (void)state;
    enum { N = 67 };
    static const double steps[] = {1.0,     1e-7,    0x1p-149, 0x1.8p-150,   1e-300, (double)FLT_MAX,
                                   0x1p100, 0x1p-46, 3.0,      0x1.fffffep80};
    uint64_t totals[N];
    float out[N + 1];
    msfl_seeded g;
    msfl_seeded_init(&g, 6, "test.decode", 0, 0, 0);
    for (int repeat = 0; repeat < 500; repeat++) {
        const uint64_t most = UINT64_C(1) << (repeat % 49), offset = msfl_seeded_below(&g, most + 1);
        const double step = steps[repeat % 10] * (repeat % 3 ? 1.0 : 1.0 + msfl_seeded_unit(&g) * 0x1p-20);
        for (size_t i = 0; i < N; i++) {
            uint64_t kind = msfl_seeded_below(&g, 6);
            totals[i] = kind == 0 ? 0 : kind == 1 ? most : kind == 2 ? offset / 2 : msfl_seeded_below(&g, most + 1);
        }
        for (const msfl_update_kernel *const *k = msfl_update_kernels(); *k != NULL; k++) {
            if (!(*k)->supported()) continue;
            size_t n = (size_t)repeat % (N + 1);
            out[n] = 7.0f;
            (*k)->decode(out, totals, n, offset, step);
            assert_true(out[n] == 7.0f); /* not one beyond */
            for (size_t i = 0; i < n; i++) {
                /* Exact in a signed integer, one rounding to double, one to float. */
                double x = (double)(2 * (int64_t)totals[i] - (int64_t)offset) * step;
                float expected = (float)fmin(fmax(x, -(double)FLT_MAX), (double)FLT_MAX);
                assert_memory_equal(out + i, &expected, sizeof expected);
            }
        }
    }
}

static void names_choose(void **state) {
    (void)state;
    const msfl_update_kernel *best = msfl_update_kernel_named(NULL);
    assert_ptr_equal(msfl_update_kernel_named(""), best);
    assert_ptr_equal(msfl_update_kernel_named("generic"), &msfl_update_generic);
    assert_ptr_equal(msfl_update_kernel_named("avx1024"), &msfl_update_generic);
    for (const msfl_update_kernel *const *k = msfl_update_kernels(); *k != NULL; k++) {
        const msfl_update_kernel *expected = (*k)->supported() ? *k : &msfl_update_generic;
        assert_ptr_equal(msfl_update_kernel_named((*k)->name), expected);
        if (strcmp((*k)->name, "avx512") == 0) assert_ptr_equal(msfl_update_kernel_named("avx512ifma"), expected);
    }
    const char *forced = getenv("MSFL_KERNEL");
    assert_ptr_equal(msfl_update_kernel_best(), msfl_update_kernel_named(forced));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bias_is_below_its_bound),
        cmocka_unit_test(all_quantise_alike),
        cmocka_unit_test(all_find_what_is_not_finite),
        cmocka_unit_test(all_find_what_is_out_of_bounds),
        cmocka_unit_test(all_decode_alike),
        cmocka_unit_test(names_choose),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
