/* The kinds of augmentation, each by what is known about it, and their words. */
#include "dataset/augment.h"

#include "base/error.h"
#include "dataset/pixels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { H = 33, W = 40, N = H * W };

/* A smooth picture. */
static void draw(uint8_t picture[N]) {
    for (int i = 0; i < N; i++)
        picture[i] = (uint8_t)(128 + 60 * sin(0.2 * (i % W)) + 60 * cos(0.15 * (i / W)));
}

static void augment(const char *words, uint64_t seed, const uint8_t *picture, float *out) {
    msfl_augment a;
    assert_int_equal(msfl_augment_parse(words, &a), MSFL_OK);
    assert_int_equal(msfl_pixels_augment(picture, 8, H, W, 1, &a, seed, 0, out), MSFL_OK);
}

static double mean_of(const float *x) {
    double sum = 0;
    for (int i = 0; i < N; i++)
        sum += (double)x[i];
    return sum / N;
}

static double distance(const float *a, const float *b) {
    double sum = 0;
    for (int i = 0; i < N; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(sum / N);
}

static void every_kind_repeats_and_differs(void **state) {
    (void)state;
    static const char *const kinds[] = {"rotate=20",  "shift=0.2",  "zoom=0.3",        "shear=20",     "elastic=0.08",
                                        "gain=0.3",   "offset=0.2", "gamma=1",         "noise=.2",     "blur=3.0",
                                        "cutout=0.4", "strong",     "flip-horizontal", "flip-vertical"};
    uint8_t picture[N];
    float plain[N], a[N], b[N];
    draw(picture);
    for (int i = 0; i < N; i++)
        plain[i] = (float)picture[i] / 255;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        int different = 0;
        for (uint64_t seed = 1; seed <= 8; seed++) {
            augment(kinds[k], seed, picture, a);
            augment(kinds[k], seed, picture, b);
            assert_memory_equal(a, b, sizeof a);
            different += distance(a, plain) > 1e-4;
            for (int i = 0; i < N; i++)
                assert_true(a[i] > -1 && a[i] < 2);
        }
        if (different < 2) print_error("%s changes nothing\n", kinds[k]);
        assert_in_range(different, 2, 8);
    }
    augment("none", 1, picture, a);
    assert_true(distance(a, plain) < 1e-7);
}

static void intensities(void **state) {
    (void)state;
    uint8_t picture[N], flat[N];
    float a[N], b[N];
    draw(picture);
    memset(flat, 100, sizeof flat);
    double exponents = 0, noises = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        augment("gamma=1", seed, flat, a);
        double exponent = log((double)a[0]) / log(100.0 / 255);
        assert_true(exponent >= 0.4999 && exponent <= 2.0001);
        exponents += log(exponent);
        augment("noise=0.1", seed, flat, a);
        double mean = mean_of(a), variance = 0;
        for (int i = 0; i < N; i++)
            variance += ((double)a[i] - mean) * ((double)a[i] - mean) / N;
        assert_true(sqrt(variance) < 0.107 && fabs(mean - 100.0 / 255) < 0.015);
        noises += sqrt(variance);
        augment("blur=2", seed, flat, a); /* weights sum to one */
        for (int i = 0; i < N; i++)
            assert_true(fabs((double)a[i] - 100.0 / 255) < 1e-5);
    }
    assert_true(fabs(exponents / 200) < 0.1); /* even in the logarithm: 0 +- 0.4 / sqrt(200) */
    assert_true(fabs(noises / 200 - 0.05) < 0.008);
    /* A blur makes neighbours alike. */
    augment("noise=0.2", 5, picture, a);
    augment("none", 5, picture, b);
    assert_true(distance(a, b) > 0.001);
}

static void cutout_is_one_grey_rectangle(void **state) {
    (void)state;
    uint8_t picture[N];
    float plain[N], a[N];
    draw(picture);
    augment("none", 1, picture, plain);
    int cuts = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        augment("cutout=0.25", seed, picture, a);
        int n = 0, low_x = W, high_x = -1, low_y = H, high_y = -1;
        float grey = (float)mean_of(plain);
        for (int i = 0; i < N; i++) {
            if (fabsf(a[i] - plain[i]) < 1e-6f) continue;
            assert_true(fabsf(a[i] - grey) < 1e-5f);
            n++;
            low_x = i % W < low_x ? i % W : low_x;
            high_x = i % W > high_x ? i % W : high_x;
            low_y = i / W < low_y ? i / W : low_y;
            high_y = i / W > high_y ? i / W : high_y;
        }
        if (n == 0) continue;
        cuts++;
        assert_in_range(high_x - low_x + 1, 8, 10);
        assert_in_range(high_y - low_y + 1, 6, 8);
        assert_in_range(n, 60, 80);
    }
    assert_in_range(cuts, 18, 42); /* every other one */
}

/* What is drawn in the picture stays under its mask, whatever happens to both. */
static void masks_move_with_pictures(void **state) {
    (void)state;
    uint8_t picture[N], mask[N];
    float a[N];
    uint32_t moved[N];
    msfl_augment words;
    for (int i = 0; i < N; i++) {
        double x = i % W - 15, y = i / W - 14;
        mask[i] = x * x + 2 * y * y < 90;
        picture[i] = mask[i] ? 200 : 50;
    }
    assert_int_equal(
        msfl_augment_parse("rotate=30,shift=0.1,zoom=0.2,shear=15,elastic=0.05,flip-horizontal,flip-vertical", &words),
        MSFL_OK);
    for (uint64_t seed = 1; seed <= 30; seed++) {
        int n = 0, wrong = 0;
        assert_int_equal(msfl_pixels_augment(picture, 8, H, W, 1, &words, seed, 0, a), MSFL_OK);
        msfl_mask_augment(mask, H, W, &words, seed, moved);
        for (int i = 0; i < N; i++) {
            n += moved[i] == 1;
            wrong += (a[i] > 0.7f && moved[i] == 0) || (a[i] < 0.3f && moved[i] == 1);
        }
        assert_in_range(n, 40, 500);
        assert_int_equal(wrong, 0);
    }
    msfl_augment nothing = {0};
    msfl_mask_augment(mask, H, W, &nothing, 1, moved);
    for (int i = 0; i < N; i++)
        assert_int_equal(moved[i], mask[i]);
}

/* Of a volume every slice is moved alike, and has noise of its own. */
static void slices_move_together(void **state) {
    (void)state;
    uint8_t picture[N];
    float first[N], third[N];
    msfl_augment a;
    draw(picture);
    assert_int_equal(msfl_augment_parse("strong,noise=0", &a), MSFL_OK);
    for (uint64_t seed = 1; seed <= 5; seed++) {
        assert_int_equal(msfl_pixels_augment(picture, 8, H, W, 1, &a, seed, 0, first), MSFL_OK);
        assert_int_equal(msfl_pixels_augment(picture, 8, H, W, 1, &a, seed, 2, third), MSFL_OK);
        assert_memory_equal(first, third, sizeof first);
    }
    /* How much noise there is, is drawn too: in most pictures enough to be seen. */
    a.noise = 0.2f;
    int different = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        assert_int_equal(msfl_pixels_augment(picture, 8, H, W, 1, &a, seed, 0, first), MSFL_OK);
        assert_int_equal(msfl_pixels_augment(picture, 8, H, W, 1, &a, seed, 2, third), MSFL_OK);
        different += distance(first, third) > 0.02;
    }
    assert_in_range(different, 14, 20);
}

static void words_are_checked(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "rotat=3",
                                      "rotate",
                                      "rotate=",
                                      "rotate=x",
                                      "rotate=-1",
                                      "rotate=1e2",
                                      "rotate=181",
                                      "noise=.6",
                                      "zoom=1",
                                      "shift=0.1,",
                                      ",shift=0.1",
                                      "shift=0.1,strong",
                                      "shift=1.2.3",
                                      "shift=.",
                                      "gamma=1234567890",
                                      "flip",
                                      "a-very-long-word-that-is-not-there-and-goes-on-and-on=3"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        msfl_augment a = {.shift = 0.5f};
        if (msfl_augment_parse(bad[i], &a) == MSFL_OK) print_error("'%s' was taken\n", bad[i]);
        assert_int_equal(msfl_augment_parse(bad[i], &a), MSFL_ERR_USAGE);
        assert_true(a.shift == 0.5f);
    }
    msfl_augment a, d = msfl_augment_default();
    assert_int_equal(msfl_augment_parse("default", &a), MSFL_OK);
    assert_memory_equal(&a, &d, sizeof a);
    assert_false(a.flip_horizontal || a.flip_vertical);
    assert_int_equal(msfl_augment_parse("strong,rotate=3.5,flip-horizontal", &a), MSFL_OK);
    assert_true(a.rotate_degrees == 3.5f && a.flip_horizontal && !a.flip_vertical && a.gamma > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_repeats_and_differs), cmocka_unit_test(intensities),
        cmocka_unit_test(cutout_is_one_grey_rectangle),   cmocka_unit_test(masks_move_with_pictures),
        cmocka_unit_test(slices_move_together),           cmocka_unit_test(words_are_checked)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
