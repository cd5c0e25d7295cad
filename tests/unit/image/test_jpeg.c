/* JPEG: grey and RGB, baseline and progressive; lost data is an error. */
#include "image/decode.h"
#include "image/jpeg.h"
#include "medsecurefl/status.h"

#include <stdarg.h>
#include <stdbool.h>
#include <unistd.h>

#include "pictures.h"

#include <cmocka.h>

static void close_to_what_was_written(void **state) {
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2) {
        for (int progressive = 0; progressive < 2; progressive++) {
            uint8_t *samples = smooth_samples(70, 50, (uint32_t)channels);
            bytes b = write_jpeg(70, 50, channels, 95, progressive != 0, samples);
            msfl_image image = {0};
            msfl_image_header h = {0};
            assert_int_equal(msfl_jpeg_header("t.jpg", b.at, b.n, b.n, &h), MSFL_OK);
            assert_int_equal(msfl_jpeg_read("t.jpg", b.at, b.n, &image), MSFL_OK);
            assert_int_equal(h.format, MSFL_FORMAT_JPEG);
            assert_int_equal(image.width, 70);
            assert_int_equal(image.height, 50);
            assert_int_equal(image.channels, channels);
            assert_int_equal(image.bits, 8);
            assert_int_equal(h.channels, channels);
            for (size_t i = 0; i < (size_t)70 * 50 * (size_t)channels; i++)
                assert_true(abs(((uint8_t *)image.samples)[i] - samples[i]) <= 6);
            msfl_image_clear(&image);
            free(b.at);
            free(samples);
        }
    }
}

/* libjpeg alone fills the rest with grey and calls that a warning. */
static void cut_anywhere(void **state) {
    (void)state;
    for (int progressive = 0; progressive < 2; progressive++) {
        uint8_t *samples = noisy_samples(40, 32, 3, 1);
        bytes b = write_jpeg(40, 32, 3, 80, progressive != 0, samples);
        for (size_t n = 0; n < b.n; n++) {
            msfl_image image = {0};
            assert_int_equal(msfl_jpeg_read("cut.jpg", b.at, n, &image), MSFL_ERR_FORMAT);
            assert_null(image.samples);
            assert_non_null(strstr(msfl_error_message(), "cut.jpg"));
        }
        free(b.at);
        free(samples);
    }
}

/* The end marker is there, but scan data in the middle is gone: as many pixels, but invented ones. */
static void hole_in_the_middle(void **state) {
    (void)state;
    uint8_t *samples = noisy_samples(64, 64, 1, 1);
    bytes b = write_jpeg(64, 64, 1, 80, false, samples);
    memmove(b.at + b.n / 2, b.at + b.n - 2, 2);
    msfl_image image = {0};
    assert_int_equal(msfl_jpeg_read("hole.jpg", b.at, b.n / 2 + 2, &image), MSFL_ERR_FORMAT);
    assert_null(image.samples);
    free(b.at);
    free(samples);
}

static void flipped_bits_never_crash(void **state) {
    (void)state;
    uint8_t *samples = noisy_samples(24, 24, 3, 1);
    bytes b = write_jpeg(24, 24, 3, 60, true, samples);
    for (size_t bit = 0; bit < 8 * b.n; bit++) {
        b.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        msfl_image image = {0};
        msfl_status status = msfl_jpeg_read("flip.jpg", b.at, b.n, &image);
        if (status != MSFL_OK) assert_null(image.samples);
        msfl_image_clear(&image);
        b.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(b.at);
    free(samples);
}

static size_t find_frame(bytes b) {
    for (size_t i = 2; i + 9 < b.n; i++) {
        if (b.at[i] == 0xff && (b.at[i + 1] == 0xc0 || b.at[i + 1] == 0xc2)) return i;
    }
    abort();
}

static msfl_status read_with_size(bytes b, uint16_t width, uint16_t height) {
    uint8_t *p = b.at + find_frame(b);
    p[5] = (uint8_t)(height >> 8);
    p[6] = (uint8_t)height;
    p[7] = (uint8_t)(width >> 8);
    p[8] = (uint8_t)width;
    msfl_image image = {0};
    msfl_status status = msfl_jpeg_read("big.jpg", b.at, b.n, &image);
    assert_null(image.samples);
    return status;
}

static void sizes_are_bounded(void **state) {
    (void)state;
    uint8_t *samples = smooth_samples(16, 16, 1);
    bytes b = write_jpeg(16, 16, 1, 80, false, samples);
    assert_int_equal(read_with_size(b, 60000, 60000), MSFL_ERR_LIMIT);
    assert_non_null(strstr(msfl_error_message(), "60000 x 60000"));
    assert_int_equal(read_with_size(b, 16385, 8), MSFL_ERR_LIMIT);
    assert_int_equal(read_with_size(b, 8000, 8000), MSFL_ERR_FORMAT);
    assert_non_null(strstr(msfl_error_message(), "cannot hold"));
    assert_int_equal(read_with_size(b, 0, 8), MSFL_ERR_FORMAT);
    free(b.at);
    free(samples);
}

static void other_colours_are_refused(void **state) {
    (void)state;
    uint8_t *samples = smooth_samples(16, 16, 4);
    bytes b = write_jpeg(16, 16, 4, 80, false, samples);
    msfl_image image = {0};
    assert_int_equal(msfl_jpeg_read("cmyk.jpg", b.at, b.n, &image), MSFL_ERR_UNSUPPORTED);
    b.at[find_frame(b) + 4] = 12; /* bits per sample */
    assert_int_equal(msfl_jpeg_read("deep.jpg", b.at, b.n, &image), MSFL_ERR_UNSUPPORTED);
    assert_null(image.samples);
    free(b.at);
    free(samples);
}

/* A header may lie behind a long comment: the probe then reads on. */
static void header_behind_a_long_comment(void **state) {
    (void)state;
    uint8_t *samples = smooth_samples(16, 16, 1);
    bytes b = write_jpeg(16, 16, 1, 80, false, samples);
    size_t comment = 60000;
    uint8_t *file = calloc(1, b.n + comment + 2);
    memcpy(file, b.at, 2);
    file[2] = 0xff;
    file[3] = 0xfe;
    file[4] = (uint8_t)(comment >> 8);
    file[5] = (uint8_t)comment;
    memcpy(file + 4 + comment, b.at + 2, b.n - 2);
    char path[] = "/tmp/msfl-jpeg-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    put_file(path, file, b.n + comment + 2);
    msfl_image_header h = {0};
    assert_int_equal(msfl_image_probe(path, &h), MSFL_OK);
    assert_int_equal(h.width, 16);
    unlink(path);
    free(file);
    free(b.at);
    free(samples);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(close_to_what_was_written),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(hole_in_the_middle),
        cmocka_unit_test(flipped_bits_never_crash),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(other_colours_are_refused),
        cmocka_unit_test(header_behind_a_long_comment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
