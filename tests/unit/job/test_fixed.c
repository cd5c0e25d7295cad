/* Sums in fixed point: known answers, any order gives the same, and what does not fit is refused. */
#include "base/error.h"
#include "job/fixed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { N = 1000, CLIENTS = 7 };

static void test_known(void **state) {
    (void)state;
    const float values[] = {1, -0.5f, 0x1p-36f, 0x1p-38f, JOB_MAGNITUDE_MAX};
    int64_t sums[5] = {0};
    job_fixed_add(sums, values, 5, 1);
    assert_int_equal(sums[0], INT64_C(1) << 36);
    assert_int_equal(sums[1], -(INT64_C(1) << 35));
    assert_int_equal(sums[2], 1);
    assert_int_equal(sums[3], 0);
    assert_int_equal(sums[4], INT64_C(1) << 53);
    job_fixed_add(sums, values, 5, 0.25);
    assert_true(job_fixed_mean(sums[0], 1.25) == 1.0);
    assert_true(job_fixed_mean(sums[1], 1.25) == -0.5);
}

static void test_order(void **state) {
    (void)state;
    static float values[CLIENTS][N];
    static int64_t up[N], down[N];
    for (int c = 0; c < CLIENTS; c++)
        for (int i = 0; i < N; i++)
            values[c][i] = sinf((float)(c * N + i)) * powf(10, (float)(i % 9 - 6));
    for (int c = 0; c < CLIENTS; c++) {
        job_fixed_add(up, values[c], N, (c + 1.0) / CLIENTS);
        job_fixed_add(down, values[CLIENTS - 1 - c], N, (CLIENTS - c + 0.0) / CLIENTS);
    }
    assert_memory_equal(up, down, sizeof up);
    for (int i = 0; i < N; i++) { /* the slow twin: doubles, one after the other */
        double exact = 0, weight = 0;
        for (int c = 0; c < CLIENTS; c++) {
            exact += (c + 1.0) / CLIENTS * (double)values[c][i];
            weight += (c + 1.0) / CLIENTS;
        }
        assert_true(fabs(job_fixed_mean(up[i], weight) - exact / weight) <=
                    CLIENTS * 0.5 / JOB_FIXED_ONE / weight + 1e-12);
    }
}

static void test_limits(void **state) {
    (void)state;
    float values[3] = {JOB_MAGNITUDE_MAX, -JOB_MAGNITUDE_MAX, 0};
    assert_int_equal(job_fixed_check(values, 3, 0), MSFL_OK);
    const float bad[] = {NAN, INFINITY, -INFINITY, 131073.0f};
    for (int i = 0; i < 4; i++) {
        values[2] = bad[i];
        assert_int_equal(job_fixed_check(values, 3, 40), MSFL_ERR_NUMERIC);
        assert_non_null(strstr(msfl_error_message(), "value 42"));
    }
    /* the most hospitals with the largest values do not overflow */
    int64_t sum = 0;
    values[0] = JOB_MAGNITUDE_MAX;
    for (int c = 0; c < JOB_FIXED_CLIENTS_MAX; c++)
        job_fixed_add(&sum, values, 1, 1);
    assert_true(job_fixed_mean(sum, JOB_FIXED_CLIENTS_MAX) == JOB_MAGNITUDE_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known), cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
