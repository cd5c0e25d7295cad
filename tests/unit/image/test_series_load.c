/* Files of slices to one volume, written here element by element and read through the whole path. */
#include "base/bytes.h"
#include "image/decode.h"
#include "image/fault.h"
#include "image/series.h"

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

static void element(msfl_buffer *b, uint32_t tag, const char *vr, const void *value, size_t n) {
    msfl_put32(b, tag >> 16 | tag << 16);
    msfl_put_bytes(b, vr, 2);
    if (strcmp(vr, "OW") == 0 || strcmp(vr, "OB") == 0) {
        msfl_put32(b, (uint32_t)(n + n % 2) << 16); /* two reserved bytes, and the length's lower half */
        msfl_put8(b, 0);
        msfl_put8(b, 0);
    } else {
        msfl_put8(b, (uint8_t)(n + n % 2));
        msfl_put8(b, (uint8_t)((n + n % 2) >> 8));
    }
    msfl_put_bytes(b, value, n);
    if (n % 2 != 0) msfl_put8(b, strcmp(vr, "UI") == 0 ? 0 : ' ');
}

static void text(msfl_buffer *b, uint32_t tag, const char *vr, const char *value) {
    element(b, tag, vr, value, strlen(value));
}

static void number(msfl_buffer *b, uint32_t tag, uint16_t value) {
    uint8_t raw[2];
    msfl_store16(raw, value);
    element(b, tag, "US", raw, 2);
}

/* A slice of 3 columns and `rows` rows; every sample is 100 z + its number. */
static char *put_slice(int name, double z, uint16_t rows, const char *slope) {
    msfl_buffer b = {0};
    for (int i = 0; i < 128; i++)
        msfl_put8(&b, 0);
    msfl_put_bytes(&b, "DICM", 4);
    text(&b, 0x00020010, "UI", "1.2.840.10008.1.2.1");
    text(&b, 0x0020000e, "UI", "1.2.3");
    char at[32];
    snprintf(at, sizeof at, "5\\6\\%g", z);
    text(&b, 0x00200032, "DS", at);
    text(&b, 0x00200037, "DS", "1\\0\\0\\0\\1\\0");
    number(&b, 0x00280002, 1);
    text(&b, 0x00280004, "CS", "MONOCHROME2");
    number(&b, 0x00280010, rows);
    number(&b, 0x00280011, 3);
    text(&b, 0x00280030, "DS", "0.5\\0.25");
    number(&b, 0x00280100, 16);
    number(&b, 0x00280101, 16);
    number(&b, 0x00280102, 15);
    number(&b, 0x00280103, 0);
    text(&b, 0x00281052, "DS", "0");
    text(&b, 0x00281053, "DS", slope);
    uint8_t samples[2 * 3 * 8];
    for (uint32_t i = 0; i < 3u * rows; i++)
        msfl_store16(samples + 2 * i, (uint16_t)(100 * z + i));
    element(&b, 0x7fe00010, "OW", samples, 2u * 3u * rows);
    assert_int_equal(b.status, MSFL_OK);
    char *path = malloc(100);
    assert_non_null(path);
    snprintf(path, 100, "%s/%d.dcm", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(b.bytes, 1, b.length, file), b.length);
    fclose(file);
    msfl_buffer_clear(&b);
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
    msfl_slice slices[8];
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
