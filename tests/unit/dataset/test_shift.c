/* Scanner shifts: each does what it says, and the same one does the same. */
#include "base/mem.h"
#include "medsecurefl/dataset.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 32, N = SIDE * SIDE };

static msfl_dataset *phantom(void) {
    const msfl_dataset_options o = {.normalise = MSFL_NORMALISE_NONE,
                                    .width = SIDE,
                                    .height = SIDE,
                                    .phantom_images = 12,
                                    .seed = 3,
                                    .n_threads = 1};
    msfl_dataset *set = NULL;
    assert_int_equal(msfl_dataset_open("phantom", &o, &set), MSFL_OK);
    return set;
}

static double mean_of(const float *v) {
    double sum = 0;
    for (int i = 0; i < N; i++)
        sum += (double)v[i];
    return sum / N;
}

/* Mean square of the difference between neighbours in a row. */
static double roughness(const float *v) {
    double sum = 0;
    for (int i = 0; i + 1 < N; i++)
        if (i % SIDE != SIDE - 1) sum += ((double)v[i + 1] - (double)v[i]) * ((double)v[i + 1] - (double)v[i]);
    return sum / (SIDE * (SIDE - 1));
}

static void read_shifted(const msfl_dataset *set, const msfl_shift *shift, float *out) {
    assert_int_equal(msfl_dataset_pixels_shifted(set, 1, shift, NULL, 0, out), MSFL_OK);
}

static void each_does_what_it_says(void **state) {
    (void)state;
    static float plain[N], other[N], again[N];
    msfl_dataset *set = phantom();
    assert_int_equal(msfl_dataset_pixels(set, 1, NULL, 0, plain), MSFL_OK);
    read_shifted(set, NULL, other);
    assert_memory_equal(plain, other, sizeof plain);
    msfl_shift s = {.gamma = 1, .resolution = 1};
    read_shifted(set, &s, other);
    assert_memory_equal(plain, other, sizeof plain);
    s.gamma = 2;
    read_shifted(set, &s, other);
    for (int i = 0; i < N; i++)
        assert_true(fabsf(other[i] - plain[i] * plain[i]) < 2e-5f);
    s = (msfl_shift){.gamma = 1, .resolution = 1, .blur = 0.05f};
    read_shifted(set, &s, other);
    assert_true(fabs(mean_of(other) - mean_of(plain)) < 0.01);
    assert_true(roughness(other) < 0.5 * roughness(plain));
    s = (msfl_shift){.gamma = 1, .resolution = 0.5f};
    read_shifted(set, &s, other);
    assert_true(roughness(other) < 0.9 * roughness(plain));
    s = (msfl_shift){.gamma = 1, .resolution = 1, .noise = 0.05f, .seed = 7};
    read_shifted(set, &s, other);
    read_shifted(set, &s, again);
    assert_memory_equal(other, again, sizeof other);
    double squares = 0;
    int n = 0;
    for (int i = 0; i < N; i++) {
        if (plain[i] < 0.2f || plain[i] > 0.8f) continue; /* nothing is cut off there */
        squares += ((double)other[i] - (double)plain[i]) * ((double)other[i] - (double)plain[i]);
        n++;
    }
    assert_true(n > 100 && fabs(sqrt(squares / n) - 0.05) < 0.01);
    s.seed = 8;
    read_shifted(set, &s, again);
    assert_memory_not_equal(other, again, sizeof other);
    msfl_dataset_free(set);
}

static void hospitals_stand_along_the_scale(void **state) {
    (void)state;
    msfl_shift a[5], b[5];
    assert_int_equal(msfl_shift_draw("contrast:1", 5, 4, a), MSFL_OK);
    bool seen[5] = {false};
    for (int k = 0; k < 5; k++) {
        double at = (log2((double)a[k].gamma) + 1) * 2;
        seen[(int)(at + 0.5)] = true;
        assert_true(fabs(at - round(at)) < 1e-5);
        assert_true(a[k].blur == 0 && a[k].noise == 0 && a[k].resolution == 1);
    }
    for (int k = 0; k < 5; k++)
        assert_true(seen[k]);
    assert_int_equal(msfl_shift_draw("contrast:1", 5, 4, b), MSFL_OK);
    assert_memory_equal(a, b, sizeof a);
    assert_int_equal(msfl_shift_draw("mixed:0.5", 5, 4, b), MSFL_OK);
    float most = 0;
    for (int k = 0; k < 5; k++)
        most = fmaxf(most, b[k].noise);
    assert_true(fabsf(most - 0.075f) < 1e-6f);
    assert_int_equal(msfl_shift_draw(NULL, 5, 4, a), MSFL_OK);
    assert_true(a[2].gamma == 1 && a[2].resolution == 1);
    static const char *const bad[] = {"", "blur", "blur:", "blur:0", "blur:1.5", "blur:x", "sharp:1", "mixed:nan"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(msfl_shift_draw(bad[i], 5, 4, a), MSFL_ERR_USAGE);
}

static void memory_may_fail(void **state) {
    (void)state;
    static float out[N];
    msfl_dataset *set = phantom();
    const msfl_shift s = {.gamma = 2, .resolution = 0.5f, .blur = 0.02f, .noise = 0.1f};
    msfl_status status = MSFL_ERR_MEMORY;
    for (long k = 1; status != MSFL_OK; k++) {
        msfl_alloc_fail_at(k);
        status = msfl_dataset_pixels_shifted(set, 0, &s, NULL, 0, out);
        msfl_alloc_fail_at(0);
        assert_true(status == MSFL_OK || status == MSFL_ERR_MEMORY);
    }
    msfl_dataset_free(set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_does_what_it_says),
        cmocka_unit_test(hospitals_stand_along_the_scale),
        cmocka_unit_test(memory_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
