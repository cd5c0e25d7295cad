/* Files of slices to one volume, written here element by element and read through the whole path. */
#include "image/decode.h"
#include "image/fault.h"
#include "image/series.h"

#include "slices.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static char *put_slice(int name, double z, uint16_t rows, const char *slope) {
    char *path = malloc(100);
    assert_non_null(path);
    snprintf(path, 100, "%s/%d.dcm", folder, name);
    slice_file(path, z, rows, slope);
    return path;
}

static msfl_slice slice_of(const char *path) {
    msfl_image_facts facts = {0};
    msfl_image image = {0};
    msfl_slice slice;
    assert_int_equal(msfl_image_open(path, true, &facts, &image), MSFL_OK);
    assert_null(image.samples);
    assert_true(msfl_slice_of(&facts.dicom, &image, &slice));
    msfl_image_clear(&image);
    return slice;
}

/* Sort `n` files and load their only stack. */
static msfl_status load(char **paths, size_t n, msfl_image *out) {
    msfl_slice slices[8] = {0};
    msfl_series s = {0};
    const char *ordered[8];
    for (size_t i = 0; i < n; i++)
        slices[i] = slice_of(paths[i]);
    assert_int_equal(msfl_series_sort(slices, n, &s), MSFL_OK);
    assert_int_equal(s.n_stacks, 1);
    for (size_t i = 0; i < n; i++)
        ordered[i] = paths[s.order[i]];
    msfl_fault_forget();
    msfl_status status = msfl_series_load(ordered, &s.stacks[0], out);
    msfl_series_clear(&s);
    return status;
}

static void free_all(char **paths, size_t n) {
    for (size_t i = 0; i < n; i++)
        free(paths[i]);
}

static void a_volume(void **state) {
    (void)state;
    static const double z[5] = {4, 0, 2, 6, 2}; /* one of them twice */
    char *paths[5];
    for (int i = 0; i < 5; i++)
        paths[i] = put_slice(i, z[i], 4, "2");
    msfl_image v = {0};
    assert_int_equal(load(paths, 5, &v), MSFL_OK);
    assert_int_equal(v.depth, 4);
    assert_null(v.rescales);
    assert_true(v.rescale.slope == 2);
    for (uint32_t k = 0; k < 4; k++) {
        for (uint32_t i = 0; i < 12; i++)
            assert_int_equal(((uint16_t *)v.samples)[12 * k + i], 200 * k + i);
    }
    const double affine[3][4] = {{-0.25, 0, 0, -5}, {0, -0.5, 0, -6}, {0, 0, 2, 0}};
    for (int i = 0; i < 12; i++)
        assert_true(fabs((&v.affine[0][0])[i] - (&affine[0][0])[i]) < 1e-9);
    assert_true(v.spacing[0] == 0.25 && v.spacing[1] == 0.5 && fabs(v.spacing[2] - 2) < 1e-9);
    msfl_image_clear(&v);
    free_all(paths, 5);
}

static void slices_with_their_own_rescale(void **state) {
    (void)state;
    char *paths[3] = {put_slice(0, 2, 4, "3"), put_slice(1, 1, 4, "2"), put_slice(2, 0, 4, "1")};
    msfl_image v = {0};
    assert_int_equal(load(paths, 3, &v), MSFL_OK);
    assert_non_null(v.rescales);
    for (uint32_t k = 0; k < 3; k++)
        assert_true(msfl_image_rescaled(&v, k, 10) == 10 * (k + 1));
    msfl_image_clear(&v);
    free_all(paths, 3);
}

static void what_makes_no_volume(void **state) {
    (void)state;
    char *paths[4] = {put_slice(0, 0, 4, "1"), put_slice(1, 1, 4, "1"), put_slice(2, 2, 4, "1"),
                      put_slice(3, 5, 4, "1")};
    msfl_image v = {0};
    assert_int_equal(load(paths, 4, &v), MSFL_ERR_DATA);
    assert_string_equal(msfl_fault_name(MSFL_ERR_DATA), "incomplete");
    /* Whoever calls without sorting first, and a file that is gone. */
    char *other = put_slice(4, 3, 6, "1");
    const char *mixed[2] = {paths[0], other};
    const msfl_stack two = {.n = 2, .has_place = true, .spacing = 3};
    assert_int_equal(msfl_series_load(mixed, &two, &v), MSFL_ERR_DATA);
    unlink(other);
    assert_int_equal(msfl_series_load(mixed, &two, &v), MSFL_ERR_MISSING);
    const msfl_stack none = {0};
    assert_int_equal(msfl_series_load(mixed, &none, &v), MSFL_ERR_USAGE);
    assert_null(v.samples);
    free(other);
    free_all(paths, 4);
}

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/msfl-series-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int tear_down(void **state) {
    (void)state;
    for (int i = 0; i < 8; i++) {
        char path[100];
        snprintf(path, sizeof path, "%s/%d.dcm", folder, i);
        unlink(path);
    }
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_volume),
        cmocka_unit_test(slices_with_their_own_rescale),
        cmocka_unit_test(what_makes_no_volume),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
