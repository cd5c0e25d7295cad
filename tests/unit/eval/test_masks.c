/* Dice and Hausdorff distance where the answer is known by hand; SciPy's answers are in e2e/test_masks.py. */
#include "base/error.h"
#include "base/mem.h"
#include "medsecurefl/segmentation.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const double unit[3] = {1, 1, 1};

static void known_distances(void **state) {
    (void)state;
    /* A pixel against a pixel three columns and four rows away. */
    uint8_t a[10 * 10] = {0}, b[10 * 10] = {0};
    const uint32_t shape[3] = {1, 10, 10};
    msfl_mask_score s;
    a[2 * 10 + 1] = b[6 * 10 + 4] = 7;
    assert_int_equal(msfl_mask_compare(a, b, shape, unit, 7, &s), MSFL_OK);
    assert_true(s.dice == 0 && fabs(s.hausdorff95 - 5) < 1e-12 && s.n_truth == 1 && s.n_found == 1);
    const double tall[3] = {9, 2, 1};
    assert_int_equal(msfl_mask_compare(a, b, shape, tall, 7, &s), MSFL_OK);
    assert_true(fabs(s.hausdorff95 - sqrt(64 + 9)) < 1e-12);
    /* The same two as slices of one column. */
    const uint32_t column[3] = {100, 1, 1};
    assert_int_equal(msfl_mask_compare(a, b, column, unit, 7, &s), MSFL_OK);
    assert_true(fabs(s.hausdorff95 - (64 - 21)) < 1e-12);
    /* Itself; the background, which also has a surface; and a class that neither has. */
    assert_int_equal(msfl_mask_compare(a, a, shape, unit, 7, &s), MSFL_OK);
    assert_true(s.dice == 1 && s.hausdorff95 == 0);
    assert_int_equal(msfl_mask_compare(a, b, shape, unit, 0, &s), MSFL_OK);
    assert_true(fabs(s.dice - 2.0 * 98 / 198) < 1e-12);
    assert_int_equal(msfl_mask_compare(a, b, shape, unit, 3, &s), MSFL_OK);
    assert_true(isnan(s.dice) && isnan(s.hausdorff95));
    /* A square of 5 and one of 3 inside it: corners 1.414 apart, edges 1. */
    memset(a, 0, sizeof a);
    memset(b, 0, sizeof b);
    for (int y = 0; y < 5; y++) {
        for (int x = 0; x < 5; x++) {
            a[(y + 2) * 10 + x + 2] = 1;
            if (y > 0 && y < 4 && x > 0 && x < 4) b[(y + 2) * 10 + x + 2] = 1;
        }
    }
    assert_int_equal(msfl_mask_compare(a, b, shape, unit, 1, &s), MSFL_OK);
    assert_true(fabs(s.dice - 18.0 / 34) < 1e-12 && fabs(s.hausdorff95 - sqrt(2)) < 1e-12);
}

static void bounds(void **state) {
    (void)state;
    const uint8_t a[4] = {0};
    msfl_mask_score s;
    static const uint32_t shapes[3][3] = {{0, 2, 2}, {1, UINT32_MAX, UINT32_MAX}, {1 << 15, 1 << 10, 1 << 10}};
    for (int i = 0; i < 3; i++)
        assert_int_equal(msfl_mask_compare(a, a, shapes[i], unit, 1, &s), MSFL_ERR_LIMIT);
    const uint32_t shape[3] = {1, 2, 2};
    static const double spacings[3][3] = {{1, 0, 1}, {1, 1, -1}, {1, 1, INFINITY}};
    for (int i = 0; i < 3; i++)
        assert_int_equal(msfl_mask_compare(a, a, shape, spacings[i], 1, &s), MSFL_ERR_LIMIT);
}

static void means(void **state) {
    (void)state;
    const double values[6] = {0.5, NAN, 0.7, 0.9, NAN, 0.7}, none[2] = {NAN, NAN};
    msfl_figure f, again;
    assert_int_equal(msfl_mean_figure(values, 6, 0, 1, &f), MSFL_OK);
    assert_true(fabs(f.value - 0.7) < 1e-12 && isnan(f.low) && isnan(f.high));
    assert_int_equal(msfl_mean_figure(values, 6, 2000, 1, &f), MSFL_OK);
    assert_int_equal(msfl_mean_figure(values, 6, 2000, 1, &again), MSFL_OK);
    assert_memory_equal(&f, &again, sizeof f);
    /* Means of four draws: the deviation is 0.141 / 2. */
    assert_true(f.low > 0.54 && f.low < 0.61 && f.high > 0.79 && f.high < 0.86);
    assert_int_equal(msfl_mean_figure(none, 2, 100, 1, &f), MSFL_OK);
    assert_true(isnan(f.value));
    assert_int_equal(msfl_mean_figure(NULL, 0, 100, 1, &f), MSFL_OK);
    assert_int_equal(msfl_mean_figure(values, 6, MSFL_BOOTSTRAP_MAX + 1, 1, &f), MSFL_ERR_LIMIT);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    const uint8_t a[6] = {0, 1, 1, 0, 0, 1}, b[6] = {1, 1, 0, 0, 0, 0};
    const uint32_t shape[3] = {1, 2, 3};
    msfl_mask_score s;
    long k = 1;
    for (;; k++) {
        assert_true(k < 50);
        msfl_alloc_fail_at(k);
        msfl_status status = msfl_mask_compare(a, b, shape, unit, 1, &s);
        msfl_alloc_fail_at(0);
        if (status == MSFL_OK) break;
        assert_int_equal(status, MSFL_ERR_MEMORY);
        assert_true(s.dice == 0 && s.n_truth == 0);
    }
    assert_true(k > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_distances), cmocka_unit_test(bounds),
                                       cmocka_unit_test(means), cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
