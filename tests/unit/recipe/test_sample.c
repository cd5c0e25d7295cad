/* What the end-to-end comparison with SciPy cannot see: order statistics on awkward values, memory that runs out at
 * every place, samples at the ends of their range. */
#include "base/mem.h"
#include "recipe/measure.h"
#include "recipe/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static msfl_recipe parsed(const char *text) {
    msfl_recipe r;
    assert_int_equal(msfl_recipe_parse("r.yaml", text, strlen(text), &r), MSFL_OK);
    return r;
}

static const char *const everything = "recipe: 1\n"
                                      "input: volume\n"
                                      "sequences: [a, b]\n"
                                      "steps:\n"
                                      "  - orient: RAS\n"
                                      "  - resample: {spacing: [1, 1, 1]}\n"
                                      "  - percentiles: {low: 1, high: 99}\n"
                                      "  - zscore: {of: otsu}\n"
                                      "  - fit: {size: [10, 12, 8], about: content}\n"
                                      "  - slices: {axis: axial, share: 0.2, count: 3, neighbours: 1}\n"
                                      "  - resize: {size: [6, 5]}\n";

/* A little ball in the dark, 2 mm, lying on its side. */
static msfl_image ball(void) {
    msfl_image i = {.width = 7, .height = 6, .channels = 1, .bits = 16, .bits_stored = 16, .depth = 5, .times = 1};
    i.rescale = (msfl_rescale){2, -10};
    i.affine_source = MSFL_AFFINE_SFORM;
    i.affine[0][1] = -2;
    i.affine[1][2] = 2;
    i.affine[2][0] = 2;
    i.spacing[0] = i.spacing[1] = i.spacing[2] = 2;
    assert_int_equal(msfl_image_allocate("ball", &i), MSFL_OK);
    uint16_t *v = i.samples;
    for (int z = 0; z < 5; z++)
        for (int y = 0; y < 6; y++)
            for (int x = 0; x < 7; x++)
                *v++ = (uint16_t)((x - 3) * (x - 3) + (y - 3) * (y - 3) + (z - 2) * (z - 2) < 5 ? 500 + 7 * x : 3 * y);
    return i;
}

static uint16_t mark = 1; /* what masks have inside */

static msfl_status whole_way(const char *text, msfl_pictures *out) {
    msfl_recipe r;
    msfl_sample s = {0};
    msfl_image image = ball();
    msfl_status status = msfl_recipe_parse("r.yaml", text, strlen(text), &r);
    if (status == MSFL_OK) status = msfl_sample_add(&r, "a", &image, &s);
    if (status == MSFL_OK) status = msfl_sample_add(&r, "b", &image, &s);
    image.rescale = (msfl_rescale){1, 0};
    for (uint16_t *v = image.samples, *end = v + 7 * 6 * 5; v < end; v++)
        *v = *v > 400 ? mark : 0;
    if (status == MSFL_OK) status = msfl_sample_add_mask(&r, "m", &image, &s);
    if (status == MSFL_OK) status = msfl_sample_run(&r, "a", &s);
    if (status == MSFL_OK) status = msfl_sample_store(&r, &s, out);
    msfl_image_clear(&image);
    msfl_sample_clear(&s);
    return status;
}

static void white_is_structure_one(void **state) {
    (void)state;
    msfl_pictures one = {0}, white = {0}, two = {0};
    assert_int_equal(whole_way(everything, &one), MSFL_OK);
    mark = 255;
    assert_int_equal(whole_way(everything, &white), MSFL_OK);
    mark = 254;
    assert_int_equal(whole_way(everything, &two), MSFL_OK);
    mark = 1;
    assert_memory_equal(one.masks, white.masks, 3 * 6 * 5);
    for (size_t i = 0; i < 3 * 6 * 5; i++)
        assert_int_equal(two.masks[i], one.masks[i] * 254);
    msfl_pictures_clear(&one);
    msfl_pictures_clear(&white);
    msfl_pictures_clear(&two);
}

static void all_steps(void **state) {
    (void)state;
    msfl_pictures p = {0};
    assert_int_equal(whole_way(everything, &p), MSFL_OK);
    assert_int_equal(p.n, 3);
    assert_non_null(p.masks);
    bool marked = false;
    for (size_t i = 0; i < 3 * 6 * 5; i++) {
        assert_true(p.masks[i] <= 1);
        marked |= p.masks[i] == 1;
        /* Both sequences came from one image; each has three slices. */
        assert_memory_equal(p.samples + 12 * i, p.samples + 12 * i + 6, 6);
    }
    assert_true(marked);
    msfl_pictures_clear(&p);
}

/* Without slices one volume comes out: slice by slice, both sequences of a voxel side by side. */
static void whole_volumes(void **state) {
    (void)state;
    enum { W = 10, H = 12, D = 8 };
    const char *const text = "recipe: 1\ninput: volume\nsequences: [a, b]\nsteps:\n  - resample: {spacing: [1, 2, 1]}\n"
                             "  - percentiles: {low: 1, high: 99}\n  - fit: {size: [10, 12, 8]}\n";
    msfl_recipe r = parsed(text);
    assert_int_equal(r.depth, D);
    assert_int_equal(msfl_recipe_mask_bytes(&r), W * H * D);
    assert_int_equal(msfl_recipe_picture_bytes(&r), 4 * W * H * D);
    msfl_pictures p = {0};
    assert_int_equal(whole_way(text, &p), MSFL_OK);
    assert_int_equal(p.n, 1);
    assert_true(p.spacing[0] == 1 && p.spacing[1] == 2 && p.spacing[2] == 1);
    size_t inside[D] = {0};
    for (size_t i = 0; i < W * H * D; i++) {
        inside[i / (W * H)] += p.masks[i];
        assert_memory_equal(p.samples + 4 * i, p.samples + 4 * i + 2, 2);
    }
    /* The ball is thickest in the middle of its ten millimetres, of which the outer two are cut off. */
    for (size_t z = 0; z < D; z++)
        assert_int_equal(inside[z], inside[D - 1 - z]);
    assert_true(inside[D / 2] > inside[1] && inside[1] > 0);
    msfl_pictures_clear(&p);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    for (long k = 1;; k++) {
        msfl_pictures p = {0};
        msfl_image image = ball();
        msfl_image_clear(&image);
        uint64_t before = msfl_alloc_bytes();
        msfl_alloc_fail_at(k + 1); /* the ball is the first */
        msfl_status status = whole_way(everything, &p);
        msfl_alloc_fail_at(0);
        if (status == MSFL_OK) {
            assert_true(k > 20);
            msfl_pictures_clear(&p);
            break;
        }
        assert_int_equal(status, MSFL_ERR_MEMORY);
        assert_null(p.samples);
        assert_true(msfl_alloc_bytes() == before);
    }
}

static int by_value(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Quick selection against sorting: few distinct values, runs, both orders. */
static void percentiles_of_awkward_values(void **state) {
    (void)state;
    const msfl_rule all = {.all = true};
    uint32_t seed = 1;
    for (uint32_t n = 1; n < 70; n++) {
        for (uint32_t kinds = 1; kinds < 12; kinds++) {
            msfl_volume v;
            const uint32_t sides[3] = {n, 1, 1};
            assert_int_equal(msfl_volume_new(sides, NULL, &v), MSFL_OK);
            float sorted[70];
            for (uint32_t i = 0; i < n; i++) {
                seed = seed * 1664525 + 1013904223;
                v.values[i] = kinds == 11 ? (float)i : kinds == 10 ? -(float)i : (float)((seed >> 16) % kinds);
                sorted[i] = v.values[i];
            }
            qsort(sorted, n, sizeof *sorted, by_value);
            double percent[] = {0, 1, 25, 50, 99, 100}, got[6];
            assert_int_equal(msfl_percentiles("v", &v, &all, percent, 6, got), MSFL_OK);
            for (int k = 0; k < 6; k++) {
                double at = percent[k] / 100 * (n - 1);
                uint32_t i = (uint32_t)at;
                double want = (double)sorted[i];
                if (i + 1 < n) want += ((double)sorted[i + 1] - (double)sorted[i]) * (at - i);
                assert_true(got[k] == want);
            }
            msfl_volume_clear(&v);
        }
    }
}

static void otsu_of_two_humps(void **state) {
    (void)state;
    const float values[] = {0, 1, 2, 1, 0, 100, 101, 99, 100, 2};
    float t = msfl_otsu(values, 10);
    assert_true(t >= 2 && t < 99);
    const float flat[] = {3, 3, 3};
    assert_true(msfl_otsu(flat, 3) == 3);
}

static void pictures_keep_their_bytes(void **state) {
    (void)state;
    msfl_recipe r = parsed("recipe: 1\ninput: picture\nsteps: [{fit: {size: [3, 2]}}]");
    msfl_image image;
    msfl_sample s = {0};
    msfl_pictures p = {0};
    assert_int_equal(msfl_image_new(3, 2, 1, 8, &image), MSFL_OK);
    const uint8_t want[6] = {0, 1, 127, 128, 254, 255};
    memcpy(image.samples, want, 6);
    assert_int_equal(msfl_sample_add(&r, "p", &image, &s), MSFL_OK);
    assert_int_equal(msfl_sample_run(&r, "p", &s), MSFL_OK);
    assert_int_equal(msfl_sample_store(&r, &s, &p), MSFL_OK);
    assert_memory_equal(p.samples, want, 6);
    assert_int_equal(p.n_clipped, 0);
    msfl_pictures_clear(&p);
    msfl_sample_clear(&s);
    msfl_image_clear(&image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_steps),
        cmocka_unit_test(white_is_structure_one),
        cmocka_unit_test(whole_volumes),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(percentiles_of_awkward_values),
        cmocka_unit_test(otsu_of_two_humps),
        cmocka_unit_test(pictures_keep_their_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
