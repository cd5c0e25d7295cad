/* Augmentation and normalisation: what is promised about them, and how fast they are. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/threads.h"
#include "dataset/pixels.h"
#include "medsecurefl/dataset.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 40, SIDE = 24 };

static msfl_dataset *open_set(msfl_normalise normalise, uint32_t side, uint32_t channels) {
    msfl_dataset_options o = {
        .phantom_images = N, .width = side, .height = side, .channels = channels, .normalise = normalise, .seed = 7};
    msfl_dataset *set = NULL;
    assert_int_equal(msfl_dataset_open("phantom", &o, &set), MSFL_OK);
    return set;
}

static void no_change_is_the_image_itself(void **state) {
    (void)state;
    msfl_dataset *set = open_set(MSFL_NORMALISE_NONE, SIDE, 3);
    float a[SIDE * SIDE * 3], b[SIDE * SIDE * 3];
    uint8_t preview[SIDE * SIDE * 3];
    const msfl_augment nothing = {0};
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(msfl_dataset_pixels(set, i, NULL, 1, a), MSFL_OK);
        assert_int_equal(msfl_dataset_pixels(set, i, &nothing, 2, b), MSFL_OK);
        assert_memory_equal(a, b, sizeof a);
        msfl_dataset_preview(set, i, preview);
        for (size_t k = 0; k < SIDE * SIDE * 3; k++)
            assert_true(fabsf(a[k] - preview[k] / 255.0f) < 1e-6f);
    }
    msfl_dataset_free(set);
}

static void one_seed_one_image(void **state) {
    (void)state;
    msfl_dataset *set = open_set(MSFL_NORMALISE_IMAGE, SIDE, 1);
    const msfl_augment augment = msfl_augment_default();
    assert_false(augment.flip_horizontal);
    float a[SIDE * SIDE], b[SIDE * SIDE];
    assert_int_equal(msfl_dataset_pixels(set, 3, &augment, 11, a), MSFL_OK);
    assert_int_equal(msfl_dataset_pixels(set, 3, &augment, 11, b), MSFL_OK);
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(msfl_dataset_pixels(set, 3, &augment, 12, b), MSFL_OK);
    assert_true(memcmp(a, b, sizeof a) != 0);
    msfl_dataset_free(set);
}

/* A turn by 90 degrees about the middle of a square picture, a mirror image, and a shift by whole pixels are known
 * exactly; draw until the generator gives nearly that, and compare with the definition at the drawn values. */
static double bilinear(const uint8_t *p, double x, double y) {
    x = fmin(fmax(x, 0), SIDE - 1);
    y = fmin(fmax(y, 0), SIDE - 1);
    int i = (int)y, j = (int)x;
    int below = i + 1 < SIDE ? i + 1 : i, right = j + 1 < SIDE ? j + 1 : j;
    double fx = x - j, fy = y - i;
    return ((1 - fy) * ((1 - fx) * p[i * SIDE + j] + fx * p[i * SIDE + right]) +
            fy * ((1 - fx) * p[below * SIDE + j] + fx * p[below * SIDE + right])) /
           255;
}

/* Pixels of the changed picture that lie where `angle`, shift and zoom put them; searched for on a grid, since the
 * values that the seed draws are not to be seen from outside. */
static void geometry_is_what_it_says(void **state) {
    (void)state;
    uint8_t p[SIDE * SIDE];
    for (int i = 0; i < SIDE * SIDE; i++)
        p[i] = (uint8_t)(128 + 60 * sin(i % SIDE * 0.5) + 50 * cos(i / SIDE * 0.4));
    const struct {
        msfl_augment augment;
        double angle, shift, zoom;
    } cases[] = {
        {{.rotate_degrees = 20}, 20, 0, 0},
        {{.shift = 0.2f}, 0, 0.2, 0},
        {{.zoom = 0.3f}, 0, 0, 0.3},
    };
    for (size_t c = 0; c < 3; c++) {
        for (uint64_t seed = 0; seed < 10; seed++) {
            float out[SIDE * SIDE];
            assert_int_equal(msfl_pixels_augment(p, 8, SIDE, SIDE, 1, &cases[c].augment, seed, 0, out), MSFL_OK);
            double best = 1e9;
            enum { STEPS = 200 };
            for (int u = -STEPS; u <= STEPS; u++) {
                for (int w = cases[c].shift > 0 ? -STEPS : 0; w <= (cases[c].shift > 0 ? STEPS : 0); w += 4) {
                    double share = (double)u / STEPS, other = (double)w / STEPS;
                    double angle = cases[c].angle * share * acos(-1) / 180;
                    double dx = cases[c].shift * share * SIDE, dy = cases[c].shift * other * SIDE;
                    double zoom = 1 + cases[c].zoom * share, middle = (SIDE - 1) / 2.0, worst = 0;
                    for (int i = 0; i < SIDE * SIDE && worst < best; i++) {
                        double x = (i % SIDE - middle - dx) / zoom, y = (i / SIDE - middle - dy) / zoom;
                        double want = bilinear(p, middle + cos(angle) * x + sin(angle) * y,
                                               middle + cos(angle) * y - sin(angle) * x);
                        worst = fmax(worst, fabs(want - (double)out[i]));
                    }
                    if (worst < best) best = worst;
                }
            }
            assert_true(best < 0.03);
        }
    }
    msfl_augment mirror = {.flip_horizontal = true};
    int mirrored = 0;
    for (uint64_t seed = 0; seed < 64; seed++) {
        float out[SIDE * SIDE];
        assert_int_equal(msfl_pixels_augment(p, 8, SIDE, SIDE, 1, &mirror, seed, 0, out), MSFL_OK);
        bool same = true, flipped = true;
        for (int i = 0; i < SIDE * SIDE; i++) {
            same &= fabs((double)out[i] - p[i] / 255.0) < 1e-5;
            flipped &= fabs((double)out[i] - p[i - i % SIDE + SIDE - 1 - i % SIDE] / 255.0) < 1e-5;
        }
        assert_true(same != flipped);
        mirrored += flipped;
    }
    assert_true(mirrored > 16 && mirrored < 48);
}

static void values_stay_in_range(void **state) {
    (void)state;
    msfl_dataset *set = open_set(MSFL_NORMALISE_NONE, SIDE, 3);
    const msfl_augment wild = {180, 1, 0.9f, 1, 1, true};
    float a[SIDE * SIDE * 3];
    for (uint64_t seed = 0; seed < 500; seed++) {
        assert_int_equal(msfl_dataset_pixels(set, seed % N, &wild, seed, a), MSFL_OK);
        for (size_t k = 0; k < SIDE * SIDE * 3; k++)
            assert_true(a[k] >= 0 && a[k] <= 1);
    }
    static const msfl_augment bad[] = {
        {.rotate_degrees = 181}, {.shift = -0.1f}, {.zoom = 1}, {.gain = NAN}, {.offset = INFINITY}};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(msfl_dataset_pixels(set, 0, &bad[i], 1, a), MSFL_ERR_USAGE);
    msfl_dataset_free(set);
}

static void normalised_after_augmentation(void **state) {
    (void)state;
    msfl_dataset *set = open_set(MSFL_NORMALISE_IMAGE, SIDE, 1);
    const msfl_augment augment = msfl_augment_default();
    float a[SIDE * SIDE];
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(msfl_dataset_pixels(set, i, i % 2 ? &augment : NULL, i, a), MSFL_OK);
        double sum = 0, squares = 0;
        for (size_t k = 0; k < SIDE * SIDE; k++) {
            sum += (double)a[k];
            squares += (double)a[k] * (double)a[k];
        }
        assert_true(fabs(sum / (SIDE * SIDE)) < 1e-5);
        assert_true(fabs(squares / (SIDE * SIDE) - 1) < 1e-4);
    }
    msfl_dataset_free(set);
}

typedef struct shared {
    const msfl_dataset *set;
    float *out;
} shared;

static msfl_status take(void *ctx, size_t i) {
    shared *s = ctx;
    const msfl_augment augment = msfl_augment_default();
    return msfl_dataset_pixels(s->set, (uint32_t)(i % N), &augment, i, s->out + i * SIDE * SIDE);
}

static void threads_change_nothing(void **state) {
    (void)state;
    enum { MANY = 400 };
    msfl_dataset *set = open_set(MSFL_NORMALISE_SET, SIDE, 1);
    float *a = malloc(sizeof(float) * MANY * SIDE * SIDE), *b = malloc(sizeof(float) * MANY * SIDE * SIDE);
    shared one = {set, a}, four = {set, b};
    msfl_pool *pool;
    assert_int_equal(msfl_pool_new(4, &pool), MSFL_OK);
    assert_int_equal(msfl_pool_run(NULL, MANY, take, &one), MSFL_OK);
    assert_int_equal(msfl_pool_run(pool, MANY, take, &four), MSFL_OK);
    assert_memory_equal(a, b, sizeof(float) * MANY * SIDE * SIDE);
    msfl_pool_free(pool);
    free(a);
    free(b);
    msfl_dataset_free(set);
}

/* Training must not wait for pixels. The bounds leave room for slow and busy
 * machines and builds without optimisation; the figures are printed. */
static void fast_enough(void **state) {
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip();
#endif
    msfl_dataset *set = open_set(MSFL_NORMALISE_IMAGE, 64, 1);
    const msfl_augment augment = msfl_augment_default();
    float *p = malloc(64 * 64 * sizeof *p);
    for (int changed = 0; changed < 2; changed++) {
        enum { MANY = 2000 };
        uint64_t begin = msfl_thread_cpu_ns();
        for (uint32_t i = 0; i < MANY; i++)
            assert_int_equal(msfl_dataset_pixels(set, i % N, changed ? &augment : NULL, i, p), MSFL_OK);
        double per_second = MANY / ((double)(msfl_thread_cpu_ns() - begin) * 1e-9);
        print_message("%.0f images of 64 x 64 a second %s augmentation\n", per_second, changed ? "with" : "without");
        assert_true(per_second > 1000);
    }
    free(p);
    msfl_dataset_free(set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_change_is_the_image_itself),
        cmocka_unit_test(one_seed_one_image),
        cmocka_unit_test(geometry_is_what_it_says),
        cmocka_unit_test(values_stay_in_range),
        cmocka_unit_test(normalised_after_augmentation),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(fast_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
