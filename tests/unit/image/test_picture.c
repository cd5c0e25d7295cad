/* Stored samples to pictures: windows as DICOM writes them down, tables, colours, ranges; and volumes turned to RAS. */
#include "base/mem.h"
#include "image/picture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static msfl_image grey(uint32_t n, uint32_t bits, msfl_sample_kind kind, uint32_t stored) {
    msfl_image i = {.width = n,
                    .height = 1,
                    .channels = 1,
                    .bits = bits,
                    .kind = kind,
                    .bits_stored = stored,
                    .depth = 1,
                    .times = 1,
                    .rescale = {1, 0}};
    assert_int_equal(msfl_image_allocate("t", &i), MSFL_OK);
    return i;
}

/* PS3.3 C.11.2.1.2.1, line by line, to 0..1. */
static double linear(double x, double c, double w) {
    if (x <= c - 0.5 - (w - 1) / 2) return 0;
    if (x > c - 0.5 + (w - 1) / 2) return 1;
    return (x - (c - 0.5)) / (w - 1) + 0.5;
}

static double linear_exact(double x, double c, double w) {
    if (x <= c - w / 2) return 0;
    if (x > c + w / 2) return 1;
    return (x - c) / w + 0.5;
}

static void windows(void **state) {
    (void)state;
    static const double cases[][2] = {{40, 400}, {0, 1}, {-3.5, 2}, {100, 37.5}, {600, 1600}};
    msfl_image i = grey(4096, 16, MSFL_SAMPLES_SIGNED, 12), p;
    for (int k = 0; k < 4096; k++)
        ((int16_t *)i.samples)[k] = (int16_t)(k - 2048);
    i.rescale = (msfl_rescale){0.5, -10};
    for (size_t t = 0; t < sizeof cases / sizeof cases[0]; t++) {
        for (int f = MSFL_WINDOW_LINEAR; f <= MSFL_WINDOW_SIGMOID; f++) {
            for (int inverted = 0; inverted < 2; inverted++) {
                double c = cases[t][0], w = cases[t][1];
                i.window = (msfl_window){(msfl_window_function)f, c, w};
                i.colour = inverted != 0 ? MSFL_COLOUR_GREY_INVERTED : MSFL_COLOUR_GREY;
                assert_int_equal(msfl_image_picture(&i, 0, &p), MSFL_OK);
                assert_int_equal(p.bits, 16);
                for (int k = 0; k < 4096; k++) {
                    double x = (k - 2048) * 0.5 - 10;
                    double y = f == MSFL_WINDOW_LINEAR         ? linear(x, c, w)
                               : f == MSFL_WINDOW_LINEAR_EXACT ? linear_exact(x, c, w)
                                                               : 1 / (1 + exp(-4 * (x - c) / w));
                    if (inverted != 0) y = 1 - y;
                    assert_true(fabs(((uint16_t *)p.samples)[k] - 65535 * y) <= 0.5001);
                }
                msfl_image_clear(&p);
            }
        }
    }
    msfl_image_clear(&i);
}

static void depths_without_a_window(void **state) {
    (void)state;
    msfl_image i = grey(2, 8, MSFL_SAMPLES_UNSIGNED, 1), p;
    ((uint8_t *)i.samples)[1] = 1;
    assert_int_equal(msfl_image_picture(&i, 0, &p), MSFL_OK);
    assert_int_equal(p.bits, 8);
    assert_int_equal(((uint8_t *)p.samples)[1], 255);
    msfl_image_clear(&p);
    msfl_image_clear(&i);

    /* The range of the stored bits, not that of the picture. */
    i = grey(3, 16, MSFL_SAMPLES_SIGNED, 12);
    ((int16_t *)i.samples)[0] = -2048;
    ((int16_t *)i.samples)[1] = 2047;
    assert_int_equal(msfl_image_picture(&i, 0, &p), MSFL_OK);
    assert_int_equal(((uint16_t *)p.samples)[0], 0);
    assert_int_equal(((uint16_t *)p.samples)[1], 65535);
    assert_int_equal(((uint16_t *)p.samples)[2], (int)(2048.0 / 4095 * 65535 + 0.5));
    msfl_image_clear(&p);
    msfl_image_clear(&i);

    /* Floats: smallest to largest; what is not a number is black. */
    i = grey(4, 32, MSFL_SAMPLES_FLOAT, 32);
    const float values[4] = {-1, 3, NAN, 1};
    memcpy(i.samples, values, sizeof values);
    assert_int_equal(msfl_image_picture(&i, 0, &p), MSFL_OK);
    const uint16_t want[4] = {0, 65535, 0, 32768};
    assert_memory_equal(p.samples, want, sizeof want);
    msfl_image_clear(&p);
    assert_int_equal(msfl_image_picture(&i, 1, &p), MSFL_ERR_USAGE);
    for (int k = 0; k < 4; k++)
        ((float *)i.samples)[k] = 7;
    assert_int_equal(msfl_image_picture(&i, 0, &p), MSFL_OK);
    assert_int_equal(((uint16_t *)p.samples)[3], 0);
    msfl_image_clear(&p);
    msfl_image_clear(&i);
}

static void tables(void **state) {
    (void)state;
    uint16_t values[4] = {10, 20, 30, 1023};
    const msfl_table t = {-1, 4, 10, values};
    assert_int_equal(msfl_table_entry(&t, -5), 10);
    assert_int_equal(msfl_table_entry(&t, -1), 10);
    assert_int_equal(msfl_table_entry(&t, 0.9), 20);
    assert_int_equal(msfl_table_entry(&t, 2), 1023);
    assert_int_equal(msfl_table_entry(&t, 1e300), 1023);
    assert_int_equal(msfl_table_entry(&t, NAN), 10);
    assert_int_equal(msfl_table_entry(&t, -INFINITY), 10);

    msfl_image i = grey(4, 8, MSFL_SAMPLES_UNSIGNED, 8), p;
    i.voi = t;
    for (uint8_t k = 0; k < 4; k++)
        ((uint8_t *)i.samples)[k] = k;
    assert_int_equal(msfl_image_picture(&i, 0, &p), MSFL_OK);
    assert_int_equal(((uint16_t *)p.samples)[0], (int)(20.0 / 1023 * 65535 + 0.5));
    assert_int_equal(((uint16_t *)p.samples)[3], 65535);
    msfl_image_clear(&p);
    i.voi = (msfl_table){0};

    i.colour = MSFL_COLOUR_PALETTE;
    for (int k = 0; k < 3; k++)
        i.palette[k] = (msfl_table){1, 4, 16, values};
    assert_int_equal(msfl_image_picture(&i, 0, &p), MSFL_OK);
    assert_int_equal(p.channels, 3);
    assert_int_equal(p.bits, 16);
    const uint16_t want[12] = {10, 10, 10, 10, 10, 10, 20, 20, 20, 30, 30, 30};
    assert_memory_equal(p.samples, want, sizeof want);
    msfl_image_clear(&p);
    memset(i.palette, 0, sizeof i.palette);
    msfl_image_clear(&i);
}

/* Each voxel keeps its value and its place, whatever the axes were. */
static void turned_volumes(void **state) {
    (void)state;
    static const uint32_t orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (uint32_t k = 0; k < 48; k++) {
        msfl_image i = {.width = 3,
                        .height = 4,
                        .channels = 1,
                        .bits = 16,
                        .bits_stored = 16,
                        .depth = 5,
                        .times = 2,
                        .rescale = {1, 0},
                        .affine_source = MSFL_AFFINE_SFORM};
        assert_int_equal(msfl_image_allocate("t", &i), MSFL_OK);
        double sides[3] = {2, 3, 4};
        for (uint32_t j = 0; j < 3; j++) {
            i.affine[orders[k / 8][j]][j] = (k >> j & 1) != 0 ? -sides[j] : sides[j];
            i.spacing[j] = sides[j];
            i.affine[j][3] = 100;
        }
        if (i.affine[0][1] == 0) i.affine[0][1] = 0.1; /* a little oblique */
        uint16_t *s = i.samples;
        /* The value tells the place. */
        for (uint32_t t = 0, n = 0; t < 2; t++) {
            for (int z = 0; z < 5; z++) {
                for (int y = 0; y < 4; y++) {
                    for (int x = 0; x < 3; x++, n++) {
                        double r[3];
                        for (int a = 0; a < 3; a++)
                            r[a] = i.affine[a][0] * x + i.affine[a][1] * y + i.affine[a][2] * z + i.affine[a][3];
                        s[n] = (uint16_t)lround(r[0] * 10 + r[1] * 100 + r[2] * 200 + t);
                    }
                }
            }
        }
        assert_int_equal(msfl_image_to_ras(&i), MSFL_OK);
        char axes[4];
        msfl_image_axes(&i, axes);
        assert_string_equal(axes, "RAS");
        s = i.samples;
        for (uint32_t t = 0, n = 0; t < 2; t++) {
            for (uint32_t z = 0; z < i.depth; z++) {
                for (uint32_t y = 0; y < i.height; y++) {
                    for (uint32_t x = 0; x < i.width; x++, n++) {
                        double r[3];
                        for (int a = 0; a < 3; a++)
                            r[a] = i.affine[a][0] * x + i.affine[a][1] * y + i.affine[a][2] * z + i.affine[a][3];
                        assert_int_equal(s[n], (uint16_t)lround(r[0] * 10 + r[1] * 100 + r[2] * 200 + t));
                    }
                }
            }
        }
        for (int a = 0; a < 3; a++)
            assert_true(fabs(fabs(i.affine[a][a]) - i.spacing[a]) < 1e-9);
        msfl_image_clear(&i);
    }
}

static void too_large(void **state) {
    (void)state;
    msfl_image i = {.width = 65535, .height = 65535, .channels = 3, .bits = 64, .depth = 65535, .times = 65535};
    assert_int_equal(msfl_image_allocate("t", &i), MSFL_ERR_LIMIT);
    i.depth = 0;
    i.width = i.height = 1;
    assert_int_equal(msfl_image_allocate("t", &i), MSFL_ERR_FORMAT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows),   cmocka_unit_test(depths_without_a_window),
        cmocka_unit_test(tables),    cmocka_unit_test(turned_volumes),
        cmocka_unit_test(too_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
