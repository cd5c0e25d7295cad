/* Vectors of integers: what goes in comes out, within the stated bound, for every width. */
#include "base/mem.h"
#include "base/seeded.h"
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

static msfl_update_layout *layout_of(uint32_t bits, uint32_t n_counters, uint64_t n_max,
                                     const msfl_update_range *ranges, size_t n_ranges) {
    msfl_update_layout *layout = NULL;
    assert_int_equal(msfl_update_layout_new(bits, n_counters, n_max, ranges, n_ranges, &layout), MSFL_OK);
    assert_non_null(layout);
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

static void layout_counts_its_slots(void **state) {
    (void)state;
    const msfl_update_range ranges[] = {{3, 1.0f}, {1, 0.5f}, {100, 8.0f}};
    for (uint32_t bits = 2; bits <= 32; bits++) {
        msfl_update_layout *layout = layout_of(bits, 4, 1000, ranges, 3);
        uint64_t digits = 0; /* the fewest whose base-2^b numbers reach 2^48 / 10^4 */
        for (long double reach = 1; reach <= 281474976710656.0L / 10000; reach *= (long double)(1ull << bits))
            digits++;
        assert_int_equal(msfl_update_values(layout), 104);
        assert_int_equal(msfl_update_slots(layout), 104 + 4 * digits);
        msfl_update_layout_free(layout);
    }
    msfl_update_layout_free(NULL);
}

static void layout_refuses(void **state) {
    (void)state;
    const msfl_update_range good = {4, 1.0f};
    msfl_update_layout *layout = NULL;
    assert_int_equal(msfl_update_layout_new(1, 1, 1, &good, 1, &layout), MSFL_ERR_USAGE);
    assert_int_equal(msfl_update_layout_new(33, 1, 1, &good, 1, &layout), MSFL_ERR_USAGE);
    assert_int_equal(msfl_update_layout_new(8, 0, 1, &good, 1, &layout), MSFL_ERR_USAGE);
    assert_int_equal(msfl_update_layout_new(8, MSFL_COUNTERS_MAX + 1, 1, &good, 1, &layout), MSFL_ERR_USAGE);
    assert_int_equal(msfl_update_layout_new(8, 1, 0, &good, 1, &layout), MSFL_ERR_USAGE);
    assert_int_equal(msfl_update_layout_new(8, 1, MSFL_UPDATE_COUNTER_MAX + 1, &good, 1, &layout), MSFL_ERR_USAGE);
    assert_int_equal(msfl_update_layout_new(8, 1, 1, NULL, 1, &layout), MSFL_ERR_USAGE);
    assert_int_equal(msfl_update_layout_new(8, 1, 1, &good, MSFL_UPDATE_RANGES_MAX + 1, &layout), MSFL_ERR_USAGE);
    const float clips[] = {0.0f, -1.0f, INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < sizeof clips / sizeof *clips; i++) {
        const msfl_update_range bad[] = {{4, 1.0f}, {4, clips[i]}};
        assert_int_equal(msfl_update_layout_new(8, 1, 1, bad, 2, &layout), MSFL_ERR_USAGE);
        assert_non_null(strstr(msfl_error_message(), "range 1"));
    }
    const msfl_update_range empty = {0, 1.0f}, huge = {UINT64_MAX, 1.0f}, full = {MSFL_UPDATE_SLOTS_MAX, 1.0f};
    const msfl_update_range wrap[] = {{4, 1.0f}, {UINT64_MAX - 2, 1.0f}};
    assert_int_equal(msfl_update_layout_new(8, 1, 1, &empty, 1, &layout), MSFL_ERR_USAGE);
    assert_int_equal(msfl_update_layout_new(8, 1, 1, &huge, 1, &layout), MSFL_ERR_LIMIT);
    assert_int_equal(msfl_update_layout_new(8, 1, 1, wrap, 2, &layout), MSFL_ERR_LIMIT);
    assert_int_equal(msfl_update_layout_new(8, 1, 1, &full, 1, &layout), MSFL_ERR_LIMIT); /* no room for counters */
    assert_null(layout);
}

static void layout_hash_covers_every_field(void **state) {
    (void)state;
    const msfl_update_range base[] = {{3, 1.0f}, {5, 0.5f}}, longer[] = {{3, 1.0f}, {6, 0.5f}};
    const msfl_update_range moved[] = {{5, 1.0f}, {3, 0.5f}}, wider[] = {{3, 1.0f}, {5, 0.75f}};
    msfl_update_layout *layouts[] = {
        layout_of(8, 2, 10, base, 2),  layout_of(9, 2, 10, base, 2),  layout_of(8, 3, 10, base, 2),
        layout_of(8, 2, 11, base, 2),  layout_of(8, 2, 10, base, 1),  layout_of(8, 2, 10, longer, 2),
        layout_of(8, 2, 10, moved, 2), layout_of(8, 2, 10, wider, 2), layout_of(8, 2, 10, NULL, 0),
    };
    enum { N = sizeof layouts / sizeof *layouts };
    uint8_t hashes[N][MSFL_HASH_BYTES], again[MSFL_HASH_BYTES];
    for (size_t i = 0; i < N; i++) {
        msfl_update_layout_hash(layouts[i], hashes[i]);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(hashes[i], hashes[j], MSFL_HASH_BYTES);
    }
    msfl_update_layout *same = layout_of(8, 2, 10, base, 2);
    msfl_update_layout_hash(same, again);
    assert_memory_equal(again, hashes[0], MSFL_HASH_BYTES);
    msfl_update_layout_free(same);
    for (size_t i = 0; i < N; i++)
        msfl_update_layout_free(layouts[i]);
}

/* --- round trip --- */

typedef struct trip {
    uint32_t bits, n_clients;
    uint64_t n_max;
    const msfl_update_range *ranges;
    size_t n_ranges;
    float reach; /* values go up to reach x clip */
    uint64_t seed;
} trip;

/** Quantise, add, decode; compare with the weighted mean of the clipped inputs in long doubles. */
static void go(const trip *t) {
    enum { COUNTERS = 3 };
    msfl_update_layout *layout = layout_of(t->bits, COUNTERS, t->n_max, t->ranges, t->n_ranges);
    const size_t n = (size_t)msfl_update_values(layout), n_slots = (size_t)msfl_update_slots(layout);
    float *values = get(n, sizeof *values), *mean = get(n, sizeof *mean);
    uint32_t *slots = get(n_slots, sizeof *slots);
    uint64_t *totals = get(n_slots, sizeof *totals);
    long double *exact = get(n, sizeof *exact);
    uint64_t samples = 0, expected[COUNTERS] = {0}, n_clipped = 0;
    msfl_update_stats stats = {0};
    msfl_seeded g;
    msfl_seeded_init(&g, t->seed, "test.trip", t->bits, t->n_clients, 0);
    for (uint32_t k = 0; k < t->n_clients; k++) {
        uint64_t n_samples = k == 0 ? t->n_max : 1 + msfl_seeded_below(&g, t->n_max);
        uint64_t counters[COUNTERS - 1] = {msfl_seeded_below(&g, n_samples + 1),
                                           k % 2 ? MSFL_UPDATE_COUNTER_MAX : msfl_seeded_below(&g, 1000)};
        for (size_t r = 0, v = 0; r < t->n_ranges; r++) {
            for (uint64_t i = 0; i < t->ranges[r].n_values; i++, v++) {
                float clip = t->ranges[r].clip;
                double x = (2.0 * msfl_seeded_unit(&g) - 1.0) * (double)clip * (double)t->reach;
                values[v] = (float)fmax(-(double)FLT_MAX, fmin((double)FLT_MAX, x));
                if (i == 0) values[v] = k % 3 == 0 ? clip : -clip; /* the very edges */
                if (i == 1) values[v] = clip;
                n_clipped += fabsf(values[v]) > clip;
                float c = fmaxf(-clip, fminf(clip, values[v]));
                exact[v] += (long double)c * (long double)n_samples;
            }
        }
        const msfl_update_input input = {values, n_samples, counters, t->seed + k};
        assert_int_equal(msfl_update_check(layout, &input), MSFL_OK);
        assert_int_equal(quantise(layout, &input, 0, n_slots, slots, &stats), MSFL_OK);
        for (size_t s = 0; s < n_slots; s++) {
            assert_true(slots[s] <= msfl_layout_top(layout));
            totals[s] += slots[s];
        }
        samples += n_samples;
        expected[0] += n_samples;
        expected[1] += counters[0];
        expected[2] += counters[1];
    }
    assert_int_equal(stats.n_clipped, n_clipped);

    msfl_update_decoder *decoder = NULL;
    assert_int_equal(msfl_update_decoder_new(layout, t->n_clients, &decoder), MSFL_OK);
    for (size_t at = 0; at < n_slots;) { /* in uneven slices */
        size_t step = 1 + (size_t)msfl_seeded_below(&g, n_slots - at);
        assert_int_equal(msfl_update_decode(decoder, at, step, totals + at, mean), MSFL_OK);
        at += step;
    }
    for (uint32_t k = 0; k < COUNTERS; k++)
        assert_true(msfl_update_counter(decoder, k) == expected[k]);
    assert_int_equal(msfl_update_counter(decoder, COUNTERS), 0);
    for (size_t r = 0, v = 0; r < t->n_ranges; r++) {
        double bound = msfl_update_error_bound(layout, r, t->n_clients, samples);
        double simple = (double)t->n_clients * 2.0 * (double)t->ranges[r].clip / (pow(2, t->bits) - 1.0) *
                        (double)t->n_max / (double)samples;
        assert_true(bound >= simple); /* and hardly more than n delta / sum omega and float rounding */
        assert_true(bound <= simple * 1.000001 + (double)t->ranges[r].clip * 0x1.001p-24 + 0x1p-148);
        for (uint64_t i = 0; i < t->ranges[r].n_values; i++, v++) {
            long double off = fabsl((long double)mean[v] - exact[v] / (long double)samples);
            if (off > (long double)bound) {
                fail_msg("b=%u n=%u range %zu: off by %Lg, bound %g", t->bits, t->n_clients, r, off, bound);
            }
        }
    }
    msfl_update_decoder_free(decoder);
    msfl_free(exact);
    msfl_free(totals);
    msfl_free(slots);
    msfl_free(mean);
    msfl_free(values);
    msfl_update_layout_free(layout);
}

static void sums_decode_to_the_weighted_mean(void **state) {
    (void)state;
    static const uint32_t clients[] = {1, 2, 3, 7, 20, 100, 1000};
    const msfl_update_range ranges[] = {{1, 1.0f}, {37, 0.01f}, {2, 100.0f}, {160, 8.0f}};
    for (uint32_t bits = 2; bits <= 32; bits++) {
        for (size_t i = 0; i < sizeof clients / sizeof *clients; i++) {
            trip t = {bits, clients[i], 1 + 997 * (bits % 3), ranges, 4, 1.25f, bits * 100 + i};
            go(&t);
        }
    }
}

static void extremes_decode_within_the_bound(void **state) {
    (void)state;
    const msfl_update_range ranges[] = {{9, FLT_TRUE_MIN}, {9, FLT_MIN}, {9, 0x1.8p-149f * 3},
                                        {9, 1e-20f},       {9, 1e20f},   {9, FLT_MAX},
                                        {9, 0.1f},         {9, 3.0f}};
    for (uint32_t bits = 2; bits <= 32; bits += 3) {
        for (uint32_t n = 1; n <= 64; n *= 4) {
            trip t = {bits,    n, n == 16 ? MSFL_UPDATE_COUNTER_MAX : 1 + n % 4, ranges, 8, n == 4 ? 1e30f : 1.0f,
                      bits + n};
            go(&t);
        }
    }
}

/** 10^4 clients that all send the largest counter: digit sums recombine, for every width. */
static void counters_recombine_at_the_limit(void **state) {
    (void)state;
    for (uint32_t bits = 2; bits <= 32; bits++) {
        msfl_update_layout *layout = layout_of(bits, MSFL_COUNTERS_MAX, MSFL_UPDATE_COUNTER_MAX, NULL, 0);
        const size_t n_slots = (size_t)msfl_update_slots(layout);
        uint32_t *slots = get(n_slots, sizeof *slots);
        uint64_t *totals = get(n_slots, sizeof *totals);
        uint64_t counters[MSFL_COUNTERS_MAX - 1];
        for (uint32_t k = 0; k + 1 < MSFL_COUNTERS_MAX; k++)
            counters[k] = k == 0 ? 0 : MSFL_UPDATE_COUNTER_MAX / k;
        const msfl_update_input input = {NULL, MSFL_UPDATE_COUNTER_MAX, counters, 1};
        assert_int_equal(msfl_update_check(layout, &input), MSFL_OK);
        assert_int_equal(quantise(layout, &input, 0, n_slots, slots, NULL), MSFL_OK);
        for (size_t s = 0; s < n_slots; s++)
            totals[s] = UINT64_C(10000) * slots[s];
        msfl_update_decoder *decoder = NULL;
        assert_int_equal(msfl_update_decoder_new(layout, 10000, &decoder), MSFL_OK);
        assert_int_equal(msfl_update_counter(decoder, 0), 0); /* not known yet */
        assert_int_equal(msfl_update_decode(decoder, 0, n_slots, totals, NULL), MSFL_OK);
        assert_true(msfl_update_counter(decoder, 0) == 10000 * MSFL_UPDATE_COUNTER_MAX);
        for (uint32_t k = 1; k < MSFL_COUNTERS_MAX; k++)
            assert_true(msfl_update_counter(decoder, k) == 10000 * counters[k - 1]);
        msfl_update_decoder_free(decoder);
        msfl_free(totals);
        msfl_free(slots);
        msfl_update_layout_free(layout);
    }
}

static void decoder_refuses(void **state) {
    (void)state;
    const msfl_update_range ranges[] = {{4, 1.0f}};
    msfl_update_layout *layout = layout_of(8, 2, 10, ranges, 1); /* 2 x 5 digits, 4 values */
    msfl_update_decoder *decoder = NULL;
    assert_int_equal(msfl_update_decoder_new(layout, 0, &decoder), MSFL_ERR_USAGE);
    assert_int_equal(msfl_update_decoder_new(layout, 10001, &decoder), MSFL_ERR_USAGE);
    assert_null(decoder);
    assert_int_equal(msfl_update_decoder_new(layout, 3, &decoder), MSFL_OK);

    float mean[4] = {7, 7, 7, 7};
    const uint64_t good[14] = {20, 0, 0, 0, 0, 5, 0, 0, 0, 0, 382, 380, 200, 600};
    uint64_t bad[14];
    const struct {
        size_t at;
        uint64_t total;
    } cases[] = {
        {0, 31},         /* more samples than 3 x n_max */
        {0, 2},          /* fewer than one each */
        {0, UINT64_MAX}, /* not a sum of three digits */
        {5, 766},        /* the same, another counter */
        {9, 20},         /* its high digit: above 3 x 2^48 / 10^4 */
        {10, 766},       /* above 3 x 255 */
        {11, 122},       /* weights 20 of 30 leave no total below 127.5 - 3 - 1, rounded */
        {12, 643},       /* and none above 637.5 + 3 + 1 */
        {13, UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        memcpy(bad, good, sizeof bad);
        bad[cases[i].at] = cases[i].total;
        assert_int_equal(msfl_update_decode(decoder, 0, 14, bad, mean), MSFL_ERR_NUMERIC);
        for (int v = 0; v < 4; v++) {
            assert_true(mean[v] == (cases[i].at < 10 ? 7.0f : 0.0f));
            mean[v] = 7.0f;
        }
        assert_int_equal(msfl_update_counter(decoder, 0), 0);
    }
    assert_int_equal(msfl_update_decode(decoder, 1, 1, good, mean), MSFL_ERR_USAGE);
    assert_int_equal(msfl_update_decode(decoder, 0, 15, good, mean), MSFL_ERR_USAGE);
    assert_int_equal(msfl_update_decode(decoder, 0, SIZE_MAX, good, mean), MSFL_ERR_USAGE);
    assert_int_equal(msfl_update_decode(decoder, 0, 14, good, mean), MSFL_OK);
    /* C (2 total - n 255) / (255 sum omega) with sum omega = 2, by hand */
    assert_true(fabs((double)mean[0] - (764.0 - 765.0) / 510.0) < 1e-9);
    assert_true(fabs((double)mean[3] - (1200.0 - 765.0) / 510.0) < 1e-7);
    assert_int_equal(msfl_update_decode(decoder, 14, 0, NULL, mean), MSFL_OK);
    assert_int_equal(msfl_update_decode(decoder, 14, 1, good, mean), MSFL_ERR_USAGE);
    assert_int_equal(msfl_update_counter(decoder, 1), 5);
    assert_true(isinf(msfl_update_error_bound(layout, 1, 3, 20)));
    assert_true(isinf(msfl_update_error_bound(layout, 0, 0, 20)));
    assert_true(isinf(msfl_update_error_bound(layout, 0, 3, 0)));
    msfl_update_decoder_free(decoder);
    msfl_update_decoder_free(NULL);
    msfl_update_layout_free(layout);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    const msfl_update_range ranges[] = {{3, 1.0f}, {4, 1.0f}};
    const float values[7] = {0};
    const msfl_update_input input = {values, 10, NULL, 1};
    for (long k = 1;; k++) {
        msfl_update_layout *layout = NULL;
        msfl_update_encoder *encoder = NULL;
        msfl_update_decoder *decoder = NULL;
        msfl_alloc_fail_at(k);
        msfl_status status = msfl_update_layout_new(8, 1, 10, ranges, 2, &layout);
        if (status == MSFL_OK) status = msfl_update_encoder_new(layout, &input, &encoder);
        if (status == MSFL_OK) status = msfl_update_decoder_new(layout, 3, &decoder);
        msfl_alloc_fail_at(0);
        msfl_update_encoder_free(encoder);
        msfl_update_decoder_free(decoder);
        msfl_update_layout_free(layout);
        if (status == MSFL_OK) {
            assert_true(k >= 8); /* seven allocations at least were made to fail in turn */
            break;
        }
        assert_int_equal(status, MSFL_ERR_MEMORY);
        assert_null(decoder);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout_counts_its_slots),
        cmocka_unit_test(layout_refuses),
        cmocka_unit_test(layout_hash_covers_every_field),
        cmocka_unit_test(sums_decode_to_the_weighted_mean),
        cmocka_unit_test(extremes_decode_within_the_bound),
        cmocka_unit_test(counters_recombine_at_the_limit),
        cmocka_unit_test(decoder_refuses),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
