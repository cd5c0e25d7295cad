/* Stochastic rounding: unbiased, the same for every slicing and every kernel, never above 2^b - 1. */
#include "base/mem.h"
#include "base/seeded.h"
#include "base/sodium.h"
#include "medsecurefl/update.h"
#include "update/layout.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void *get(size_t count, size_t size) {
    void *memory = msfl_alloc(count, size);
    assert_non_null(memory);
    return memory;
}

static msfl_update_layout *layout_of(uint32_t bits, uint64_t n_max, const msfl_update_range *ranges, size_t n_ranges) {
    msfl_update_layout *layout = NULL;
    assert_int_equal(msfl_update_layout_new(bits, 1, n_max, ranges, n_ranges, &layout), MSFL_OK);
    return layout;
}

/** Slots [first, first + n) by an encoder of its own. */
static msfl_status quantise(const msfl_update_layout *layout, const msfl_update_input *input, uint64_t first, size_t n,
                            uint32_t *slots, msfl_update_stats *stats) {
    msfl_update_encoder *encoder = NULL;
    msfl_status status = msfl_update_encoder_new(layout, input, &encoder);
    if (status == MSFL_OK) status = msfl_update_quantise(encoder, first, n, slots, stats);
    msfl_update_encoder_free(encoder);
    return status;
}

/** Repeat one value 2^20 times; the mean of its integers must be the exact y within 5 standard errors. */
static void mean_of(uint32_t bits, float clip, float x, uint64_t n_samples, uint64_t n_max) {
    enum { N = 1 << 20 };
    const msfl_update_range range = {N, clip};
    msfl_update_layout *layout = layout_of(bits, n_max, &range, 1);
    float *values = get(N, sizeof *values);
    uint32_t *slots = get(N, sizeof *slots);
    for (size_t i = 0; i < N; i++)
        values[i] = x;
    const msfl_update_input input = {values, n_samples, NULL, 99};
    assert_int_equal(quantise(layout, &input, layout->counter_slots, N, slots, NULL), MSFL_OK);
    long double top = powl(2, bits) - 1;
    long double y = top / 2 * (1 + (long double)x / clip * n_samples / n_max);
    long double low = floorl(y), p = y - low;
    uint64_t ups = 0;
    uint64_t runs = 0;   /* neighbours that went the same way: independence */
    uint64_t shared = 0; /* slots of one random word that did */
    for (size_t i = 0; i < N; i++) {
        /* A fraction within double rounding of 0 or 1 may fall to the integer beside it. */
        long double d = (long double)slots[i] - low;
        if (!(d == 0 || d == 1 || (d == -1 && p < 1e-6L) || (d == 2 && p > 1 - 1e-6L))) fail_msg("b=%u y=%Lf", bits, y);
        ups += d >= 1;
        runs += i > 0 && slots[i] == slots[i - 1];
        shared += i >= 16 && (layout->counter_slots + i) % 32 >= 16 && slots[i] == slots[i - 16];
    }
    double sigma = sqrt(fmax((double)(p * (1 - p)) / N, 1e-12));
    double off = (double)((long double)ups / N - p);
    if (fabs(off) > 5.0 * sigma) fail_msg("b=%u x=%g: %g off, sigma %g", bits, (double)x, off, sigma);
    double same = (double)(p * p + (1 - p) * (1 - p));
    double spread = sqrt(fmax(same * (1 - same) * 4 / N, 1e-12));
    if (fabs((double)runs / (N - 1) - same) > 6.0 * spread) fail_msg("b=%u x=%g: neighbours depend", bits, (double)x);
    spread = sqrt(fmax(same * (1 - same) * 2 / N, 1e-12));
    if (fabs((double)shared / (N / 2) - same) > 6.0 * spread + 0x1p-16 + 32.0 / N) {
        fail_msg("b=%u x=%g: slots of one word depend", bits, (double)x);
    }
    msfl_free(slots);
    msfl_free(values);
    msfl_update_layout_free(layout);
}

static void rounding_is_unbiased(void **state) {
    (void)state;
    static const uint32_t widths[] = {2, 8, 16, 20, 21, 24, 28, 32};
    msfl_seeded g;
    msfl_seeded_init(&g, 5, "test.unbiased", 0, 0, 0);
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        for (int k = 0; k < 4; k++) {
            float x = (float)(2.0 * msfl_seeded_unit(&g) - 1.0);
            mean_of(widths[i], 1.0f, x, 1 + msfl_seeded_below(&g, 1000), 1000);
        }
        /* Small fractions and fractions close to one: 1e-3 above a grid point, 1e-3 below. */
        double delta = 2.0 / (pow(2, widths[i]) - 1.0);
        if (widths[i] <= 16) {
            mean_of(widths[i], 1.0f, (float)(-1.0 + delta * (1 + 1e-3)), 1, 1);
            mean_of(widths[i], 1.0f, (float)(-1.0 + delta * (1 - 1e-3)), 1, 1);
        }
        mean_of(widths[i], 1.0f, 0.0f, 1, 1); /* y = (2^b - 1)/2: a coin */
        mean_of(widths[i], 1.0f, 1.0f, 1, 1);
        mean_of(widths[i], 1.0f, -1.0f, 1, 1);
        mean_of(widths[i], 0.1f, 0.1f, 1, 1);
    }
}

/** The scale never takes C above (2^b - 1)/2, where one more rounding would reach 2^b; nor is it lower than need be. */
static void the_scale_stays_below_the_top(void **state) {
    (void)state;
    msfl_seeded g;
    msfl_seeded_init(&g, 9, "test.scale", 0, 0, 0);
    const msfl_update_range range = {1, 1.0f};
    for (uint32_t bits = 2; bits <= 32; bits++) {
        uint64_t n_max = 1 + msfl_seeded_below(&g, 100000);
        msfl_update_layout *layout = layout_of(bits, n_max, &range, 1);
        const double half = 0.5 * (pow(2, bits) - 1);
        for (int repeat = 0; repeat < 2000; repeat++) {
            float clip = ldexpf((float)(1.0 + msfl_seeded_unit(&g)), (int)msfl_seeded_below(&g, 240) - 120);
            double reached = (double)clip * msfl_layout_scale(layout, clip, n_max);
            assert_true(reached <= half && reached >= half * (1.0 - 0x1p-50));
        }
        msfl_update_layout_free(layout);
    }
}

/** The two ends of the range for many bounds: rounding of the scale must never reach 2^b, nor wrap to 0. */
static void edges_stay_within(void **state) {
    (void)state;
    enum { N = 64 };
    msfl_seeded g;
    msfl_seeded_init(&g, 2, "test.edges", 0, 0, 0);
    float values[2 * N];
    uint32_t slots[2 * N];
    for (uint32_t bits = 2; bits <= 32; bits++) {
        for (int repeat = 0; repeat < 200; repeat++) {
            const msfl_update_range range = {
                2 * N, ldexpf((float)(1.0 + msfl_seeded_unit(&g)), (int)msfl_seeded_below(&g, 240) - 120)};
            msfl_update_layout *layout = layout_of(bits, 1 + repeat, &range, 1);
            for (int i = 0; i < N; i++) {
                values[i] = i % 2 ? range.clip : INFINITY;
                values[N + i] = i % 2 ? -range.clip : -FLT_MAX;
            }
            const msfl_update_input input = {values, 1 + repeat, NULL, (uint64_t)repeat};
            assert_int_equal(quantise(layout, &input, layout->counter_slots, 2 * N, slots, NULL), MSFL_OK);
            for (int i = 0; i < N; i++) {
                assert_true(slots[i] <= msfl_layout_top(layout) && slots[i] >= msfl_layout_top(layout) - 1);
                assert_true(slots[N + i] <= 1);
            }
            msfl_update_layout_free(layout);
        }
    }
}

static void slices_equal_the_whole(void **state) {
    (void)state;
    const msfl_update_range ranges[] = {{1, 1.0f}, {5, 0.5f}, {1500, 1.0f}, {1, 2.0f}, {20000, 0.25f}, {16, 1.0f}};
    msfl_update_layout *layout = layout_of(13, 500, ranges, 6);
    const size_t n = (size_t)msfl_update_values(layout), n_slots = (size_t)msfl_update_slots(layout);
    float *values = get(n, sizeof *values);
    uint32_t *whole = get(n_slots, sizeof *whole), *part = get(n_slots + 1, sizeof *part);
    msfl_seeded g;
    msfl_seeded_init(&g, 3, "test.slices", 0, 0, 0);
    for (size_t i = 0; i < n; i++)
        values[i] = (float)msfl_seeded_normal(&g);
    msfl_update_input input = {values, 321, NULL, 77};
    msfl_update_stats stats = {0}, pieces = {0};
    assert_int_equal(quantise(layout, &input, 0, n_slots, whole, &stats), MSFL_OK);
    msfl_update_encoder *encoder = NULL; /* one for all slices of all repetitions: it goes back to the start */
    assert_int_equal(msfl_update_encoder_new(layout, &input, &encoder), MSFL_OK);
    for (int repeat = 0; repeat < 30; repeat++) {
        pieces.n_clipped = 0;
        for (size_t at = 0; at < n_slots;) {
            size_t step = (size_t)msfl_seeded_below(&g, repeat < 15 ? 40 : 2000);
            if (step > n_slots - at) step = n_slots - at;
            part[step] = 0xabcdef;
            assert_int_equal(msfl_update_quantise(encoder, at, step, part, &pieces), MSFL_OK);
            assert_memory_equal(part, whole + at, step * sizeof *part);
            assert_int_equal(part[step], 0xabcdef); /* not one beyond */
            at += step;
        }
        assert_true(pieces.n_clipped == stats.n_clipped);
    }
    for (int repeat = 0; repeat < 300; repeat++) { /* anywhere, in any order */
        size_t at = (size_t)msfl_seeded_below(&g, n_slots), step = (size_t)msfl_seeded_below(&g, n_slots - at + 1);
        if (repeat % 2) step = step < 70 ? step : 70;
        assert_int_equal(msfl_update_quantise(encoder, at, step, part, NULL), MSFL_OK);
        assert_memory_equal(part, whole + at, step * sizeof *part);
    }
    msfl_update_encoder_free(encoder);
    /* Another seed, other integers; the same seed, the same. */
    input.rounding_seed = 78;
    assert_int_equal(quantise(layout, &input, 0, n_slots, part, NULL), MSFL_OK);
    size_t differ = 0;
    for (size_t s = layout->counter_slots; s < n_slots; s++)
        differ += part[s] != whole[s];
    assert_in_range(differ, n / 5, n / 2);
    assert_int_equal(part[0], whole[0]); /* counters are not rounded */
    input.rounding_seed = 77;
    assert_int_equal(quantise(layout, &input, 0, n_slots, part, NULL), MSFL_OK);
    assert_memory_equal(part, whole, n_slots * sizeof *part);
    msfl_free(part);
    msfl_free(whole);
    msfl_free(values);
    msfl_update_layout_free(layout);
}

/** The format, frozen: worked out in exact fractions by tests/kat/quantise_reference.py. */
static void the_format_is_frozen(void **state) {
    (void)state;
    static const uint32_t expected[] = {
        3,    0,    0,    0,    1301, 889,  29,   0,    256,  256,  256,  256,  255,  256,  256,  256,  255,  288,
        320,  352,  384,  416,  448,  479,  512,  544,  575,  608,  640,  671,  703,  736,  768,  800,  832,  864,
        896,  928,  959,  992,  1023, 1056, 1088, 1120, 1151, 1184, 1215, 1247, 1279, 1311, 1343, 1376, 1407, 1439,
        1472, 1503, 1535, 1567, 1599, 1631, 1663, 1695, 1727, 1760, 1791, 1791, 1791, 1792, 1791, 1791, 1792, 1791};
    enum { N = sizeof expected / sizeof *expected };
    const msfl_update_range range = {64, 0.75f};
    msfl_update_layout *layout = NULL;
    assert_int_equal(msfl_update_layout_new(11, 2, 4, &range, 1, &layout), MSFL_OK);
    assert_int_equal(msfl_update_slots(layout), N);
    float values[64];
    for (int i = 0; i < 64; i++)
        values[i] = (float)(i - 32) / 32;
    const uint64_t counter = 123456789;
    const msfl_update_input input = {values, 3, &counter, 42};
    uint32_t slots[N];
    msfl_update_stats stats = {0};
    assert_int_equal(quantise(layout, &input, 0, N, slots, &stats), MSFL_OK);
    assert_memory_equal(slots, expected, sizeof slots);
    assert_int_equal(stats.n_clipped, 8 + 7);
    uint8_t hash[MSFL_HASH_BYTES];
    char text[2 * MSFL_HASH_BYTES + 1];
    msfl_update_layout_hash(layout, hash);
    msfl_hex(hash, sizeof hash, text);
    assert_string_equal(text, "d766dc5b3384c4d333fb66436bca715945b2a4d8c34f338b8f9259a5ec5fbe8d");
    msfl_update_layout_free(layout);
}

static void bad_updates_are_named(void **state) {
    (void)state;
    const msfl_update_range ranges[] = {{10, 1.0f}, {9000, 1.0f}};
    msfl_update_layout *layout = NULL;
    assert_int_equal(msfl_update_layout_new(8, 3, 100, ranges, 2, &layout), MSFL_OK);
    const size_t n = (size_t)msfl_update_values(layout);
    float *values = get(n, sizeof *values);
    uint32_t slots[4] = {5, 5, 5, 5};
    uint64_t counters[2] = {0, MSFL_UPDATE_COUNTER_MAX};
    msfl_update_input input = {values, 100, counters, 1};
    assert_int_equal(msfl_update_check(layout, &input), MSFL_OK);
    static const struct {
        size_t at;
        float value;
        const char *words[2];
    } cases[] = {
        {0, NAN, {"value 0 (range 0, position 0)", "NaN"}},
        {9, -NAN, {"value 9 (range 0, position 9)", "NaN"}},
        {10, INFINITY, {"value 10 (range 1, position 0)", "infinite"}},
        {5000, -INFINITY, {"value 5000 (range 1, position 4990)", "infinite"}},
        {9009, NAN, {"value 9009 (range 1, position 8999)", "NaN"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        values[cases[i].at] = cases[i].value;
        assert_int_equal(msfl_update_check(layout, &input), MSFL_ERR_NUMERIC);
        assert_non_null(strstr(msfl_error_message(), cases[i].words[0]));
        assert_non_null(strstr(msfl_error_message(), cases[i].words[1]));
        values[cases[i].at] = i % 2 ? FLT_MAX : -FLT_TRUE_MIN; /* finite extremes are fine */
        assert_int_equal(msfl_update_check(layout, &input), MSFL_OK);
    }
    input.n_samples = 0;
    assert_int_equal(msfl_update_check(layout, &input), MSFL_ERR_NUMERIC);
    assert_int_equal(quantise(layout, &input, 0, 4, slots, NULL), MSFL_ERR_NUMERIC);
    input.n_samples = 101;
    assert_int_equal(msfl_update_check(layout, &input), MSFL_ERR_NUMERIC);
    input.n_samples = 100;
    counters[1]++;
    assert_int_equal(msfl_update_check(layout, &input), MSFL_ERR_NUMERIC);
    assert_non_null(strstr(msfl_error_message(), "counter 2"));
    counters[1] = 0;
    input.counters = NULL;
    assert_int_equal(msfl_update_check(layout, &input), MSFL_ERR_USAGE);
    input.counters = counters;
    input.values = NULL;
    assert_int_equal(msfl_update_check(layout, &input), MSFL_ERR_USAGE);
    input.values = values;
    const uint64_t n_slots = msfl_update_slots(layout);
    assert_int_equal(quantise(layout, &input, n_slots - 3, 4, slots, NULL), MSFL_ERR_USAGE);
    assert_int_equal(quantise(layout, &input, n_slots + 1, 0, slots, NULL), MSFL_ERR_USAGE);
    assert_int_equal(quantise(layout, &input, 1, SIZE_MAX, slots, NULL), MSFL_ERR_USAGE);
    for (int i = 0; i < 4; i++)
        assert_int_equal(slots[i], 5);
    assert_int_equal(quantise(layout, &input, n_slots, 0, slots, NULL), MSFL_OK);
    msfl_free(values);
    msfl_update_layout_free(layout);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounding_is_unbiased),          cmocka_unit_test(edges_stay_within),
        cmocka_unit_test(the_scale_stays_below_the_top), cmocka_unit_test(slices_equal_the_whole),
        cmocka_unit_test(the_format_is_frozen),          cmocka_unit_test(bad_updates_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
