/* Slices to volumes: any order of the files, any direction of the planes, gaps, duplicates and mixed series. */
#include "base/mem.h"
#include "image/series.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static uint32_t state_of = 1;

static uint32_t draw(uint32_t below) {
    state_of = state_of * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)(state_of >> 8) * below >> 24);
}

static msfl_slice slice(uint8_t series, const double normal_step[3], double at, const double orientation[6]) {
    msfl_slice s = {.series = {series}, .has_place = true, .width = 4, .height = 4, .channels = 1, .bits = 16};
    for (int i = 0; i < 3; i++)
        s.position[i] = 10 + normal_step[i] * at;
    memcpy(s.orientation, orientation, sizeof s.orientation);
    s.spacing[0] = s.spacing[1] = 0.5;
    return s;
}

static void shuffled_slices(void **state) {
    (void)state;
    /* Axial, sagittal, coronal and oblique planes. */
    static const double planes[4][6] = {
        {1, 0, 0, 0, 1, 0}, {0, 1, 0, 0, 0, -1}, {1, 0, 0, 0, 0, -1}, {0.8, 0.6, 0, -0.6, 0.8, 0}};
    static const double normals[4][3] = {{0, 0, 1}, {-1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
    enum { N = 50 };
    msfl_slice slices[N];
    for (int p = 0; p < 4; p++) {
        double at[N];
        for (int i = 0; i < N; i++)
            at[i] = i;
        for (uint32_t i = N - 1; i > 0; i--) {
            uint32_t j = draw(i + 1);
            double t = at[i];
            at[i] = at[j];
            at[j] = t;
        }
        for (int i = 0; i < N; i++) {
            slices[i] = slice(1, normals[p], 2.5 * at[i], planes[p]);
            slices[i].instance = (int32_t)draw(1000); /* says nothing */
        }
        msfl_series s = {0};
        assert_int_equal(msfl_series_sort(slices, N, &s), MSFL_OK);
        assert_int_equal(s.n_stacks, 1);
        assert_int_equal(s.stacks[0].n, N);
        assert_true(s.stacks[0].has_place);
        assert_true(fabs(s.stacks[0].spacing - 2.5) < 1e-6);
        assert_int_equal(s.stacks[0].n_gaps + s.stacks[0].n_duplicates, 0);
        assert_false(s.stacks[0].uneven);
        for (int i = 0; i < N; i++)
            assert_true(at[s.order[i]] == i);
        msfl_series_clear(&s);
    }
}

static void gaps_duplicates_and_mixtures(void **state) {
    (void)state;
    static const double axial[6] = {1, 0, 0, 0, 1, 0}, tilted[6] = {1, 0, 0, 0, 0.9, -0.43588989}, up[3] = {0, 0, 1};
    msfl_slice slices[20];
    size_t n = 0;
    for (int i = 0; i < 10; i++) {
        if (i != 3 && i != 7 && i != 8) slices[n++] = slice(1, up, i, axial); /* three missing in two gaps */
        if (i < 4) slices[n++] = slice(2, up, i, axial);                      /* another series between them */
    }
    slices[n++] = slice(1, up, 5, axial); /* once more */
    slices[n++] = slice(1, up, 5, tilted);
    slices[n] = slice(1, up, 5, axial);
    slices[n++].width = 8;
    slices[n] = slice(1, up, 0, axial);
    slices[n].has_place = false;
    slices[n++].instance = 2;
    slices[n] = slices[n - 1];
    slices[n++].instance = 1;
    msfl_series s = {0};
    assert_int_equal(msfl_series_sort(slices, n, &s), MSFL_OK);
    assert_int_equal(s.n_stacks, 5);
    assert_int_equal(s.stacks[0].n, 8);
    assert_int_equal(s.stacks[0].n_gaps, 2);
    assert_int_equal(s.stacks[0].n_missing, 3);
    assert_int_equal(s.stacks[0].n_duplicates, 1);
    assert_true(s.stacks[0].uneven);
    assert_int_equal(s.stacks[1].n, 4);
    assert_int_equal(s.stacks[1].n_gaps, 0);
    assert_int_equal(s.stacks[2].n, 1);
    assert_int_equal(s.stacks[3].n, 1);
    assert_int_equal(s.stacks[4].n, 2);
    assert_false(s.stacks[4].has_place);
    assert_int_equal(s.order[s.stacks[4].first], n - 1); /* by instance number */
    /* Every slice once. */
    bool seen[20] = {false};
    for (size_t i = 0; i < n; i++) {
        assert_false(seen[s.order[i]]);
        seen[s.order[i]] = true;
    }
    msfl_series_clear(&s);
    assert_int_equal(msfl_series_sort(slices, 0, &s), MSFL_OK);
    assert_int_equal(s.n_stacks, 0);
    msfl_series_clear(&s);
}

static void want_of_memory(void **state) {
    (void)state;
    static const double axial[6] = {1, 0, 0, 0, 1, 0}, up[3] = {0, 0, 1};
    msfl_slice slices[6];
    for (int i = 0; i < 6; i++)
        slices[i] = slice((uint8_t)(i % 2), up, i, axial);
    bool ok = false;
    long k = 1;
    for (; !ok; k++) {
        msfl_series s = {0};
        msfl_alloc_fail_at(k);
        msfl_status status = msfl_series_sort(slices, 6, &s);
        msfl_alloc_fail_at(0);
        ok = status == MSFL_OK;
        if (!ok) {
            assert_int_equal(status, MSFL_ERR_MEMORY);
            assert_null(s.order);
        }
        msfl_series_clear(&s);
    }
    assert_true(k > 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shuffled_slices),
        cmocka_unit_test(gaps_duplicates_and_mixtures),
        cmocka_unit_test(want_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
