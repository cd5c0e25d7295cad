/* Resampling, held to the definition written out over the whole plane at once. */
#include "base/mem.h"
#include "image/image.h"
#include "medsecurefl/status.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static double sample(const msfl_image *in, uint32_t x, uint32_t y, uint32_t k) {
    size_t at = ((size_t)y * in->width + x) * in->channels + k;
    return in->bits == 8 ? ((const uint8_t *)in->samples)[at] : ((const uint16_t *)in->samples)[at];
}

/* Weight of old pixel j in new pixel i along an axis. */
static double weight(uint32_t i, uint32_t j, uint32_t from, uint32_t to) {
    if (to < from) {
        double begin = (double)i * from / to, end = (double)(i + 1) * from / to;
        double low = fmax(begin, j), high = fmin(end, j + 1.0);
        return high > low ? (high - low) / (end - begin) : 0;
    }
    double at = (i + 0.5) * from / to - 0.5;
    at = at < 0 ? 0 : at > from - 1 ? from - 1 : at;
    return fmax(0, 1 - fabs(at - j));
}

static double twin(const msfl_image *in, uint32_t width, uint32_t height, uint32_t channels, uint32_t x, uint32_t y,
                   uint32_t k) {
    double sum = 0;
    for (uint32_t j = 0; j < in->height; j++) {
        double wy = weight(y, j, in->height, height);
        for (uint32_t i = 0; wy > 0 && i < in->width; i++) {
            double v = in->channels == channels ? sample(in, i, j, k)
                       : in->channels == 1
                           ? sample(in, i, j, 0)
                           : 0.299 * sample(in, i, j, 0) + 0.587 * sample(in, i, j, 1) + 0.114 * sample(in, i, j, 2);
            sum += wy * weight(x, i, in->width, width) * v;
        }
    }
    return sum;
}

static msfl_image random_image(uint32_t width, uint32_t height, uint32_t channels, uint32_t bits) {
    msfl_image image = {0};
    assert_int_equal(msfl_image_new(width, height, channels, bits, &image), MSFL_OK);
    uint32_t state = width * 31 + height * 7 + channels + bits;
    for (size_t i = 0; i < (size_t)width * height * channels; i++) {
        state = state * 1664525 + 1013904223;
        if (bits == 8) ((uint8_t *)image.samples)[i] = (uint8_t)(state >> 24);
        if (bits == 16) ((uint16_t *)image.samples)[i] = (uint16_t)(state >> 16);
    }
    return image;
}

static void equals_the_definition(void **state) {
    (void)state;
    static const uint32_t sizes[][4] = {
        {16, 16, 16, 16}, {31, 17, 8, 8}, {8, 8, 31, 17}, {40, 10, 7, 33}, {1, 1, 5, 4}, {5, 4, 1, 1}, {64, 64, 28, 28},
        {28, 28, 64, 64}, {2, 3, 9, 3},   {100, 3, 3, 2}, {7, 7, 6, 8},    {1, 9, 4, 4}, {9, 1, 4, 4}};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (uint32_t mode = 0; mode < 16; mode++) {
            uint32_t c_in = mode & 1 ? 3 : 1, c_out = mode & 2 ? 3 : 1;
            uint32_t b_in = mode & 4 ? 16 : 8, b_out = mode & 8 ? 16 : 8;
            msfl_image in = random_image(sizes[s][0], sizes[s][1], c_in, b_in);
            uint32_t width = sizes[s][2], height = sizes[s][3];
            uint16_t out[64 * 64 * 3];
            assert_int_equal(msfl_image_fit(&in, width, height, c_out, b_out, out), MSFL_OK);
            double scale = b_in == b_out ? 1 : b_in == 8 ? 257 : 1.0 / 257;
            for (uint32_t y = 0; y < height; y++) {
                for (uint32_t x = 0; x < width; x++) {
                    for (uint32_t k = 0; k < c_out; k++) {
                        size_t at = ((size_t)y * width + x) * c_out + k;
                        double got = b_out == 8 ? ((uint8_t *)out)[at] : out[at];
                        double want = scale * twin(&in, width, height, c_out, x, y, k);
                        /* Half a step for the rounding, and what float leaves of 16 bits. */
                        assert_true(fabs(got - want) <= 0.5 + (b_out == 16 ? 0.05 : 0.001));
                    }
                }
            }
            msfl_image_clear(&in);
        }
    }
}

/* A flat picture stays flat and full scale stays full scale, whatever the sizes. */
static void flat_stays_flat(void **state) {
    (void)state;
    for (uint32_t from = 1; from < 40; from += 3) {
        for (uint32_t to = 1; to < 40; to++) {
            msfl_image in = {0};
            assert_int_equal(msfl_image_new(from, from, 1, 8, &in), MSFL_OK);
            memset(in.samples, 255, (size_t)from * from);
            uint16_t out[40 * 40];
            assert_int_equal(msfl_image_fit(&in, to, to, 1, 16, out), MSFL_OK);
            for (uint32_t i = 0; i < to * to; i++)
                assert_int_equal(out[i], 65535);
            msfl_image_clear(&in);
        }
    }
}

/* A mirrored picture gives the mirrored result: pixel centres are where they belong. */
static void symmetric(void **state) {
    (void)state;
    static const uint32_t sizes[][2] = {{31, 8}, {8, 31}, {10, 7}, {7, 10}, {64, 48}};
    for (size_t s = 0; s < 5; s++) {
        uint32_t from = sizes[s][0], to = sizes[s][1];
        msfl_image in = random_image(from, 1, 1, 8), back = random_image(from, 1, 1, 8);
        for (uint32_t i = 0; i < from; i++)
            ((uint8_t *)back.samples)[i] = ((uint8_t *)in.samples)[from - 1 - i];
        uint16_t a[64], b[64];
        assert_int_equal(msfl_image_fit(&in, to, 1, 1, 16, a), MSFL_OK);
        assert_int_equal(msfl_image_fit(&back, to, 1, 1, 16, b), MSFL_OK);
        for (uint32_t i = 0; i < to; i++)
            assert_true(abs(a[i] - b[to - 1 - i]) <= 1);
        msfl_image_clear(&in);
        msfl_image_clear(&back);
    }
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    msfl_image in = random_image(20, 20, 3, 8);
    uint8_t out[64];
    msfl_status status = MSFL_ERR_MEMORY;
    long k = 1;
    for (; status != MSFL_OK; k++) {
        msfl_alloc_fail_at(k);
        status = msfl_image_fit(&in, 8, 8, 1, 8, out);
        msfl_alloc_fail_at(0);
        assert_true(status == MSFL_OK || status == MSFL_ERR_MEMORY);
    }
    assert_true(k > 8);
    msfl_image_clear(&in);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_definition),
        cmocka_unit_test(flat_stays_flat),
        cmocka_unit_test(symmetric),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
