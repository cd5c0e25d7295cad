/* PNG: every colour type and depth, damage of every kind, and want of memory. */
#include "base/mem.h"
#include "crc.h"
#include "image/decode.h"
#include "image/png.h"
#include "medsecurefl/status.h"

#include <stdarg.h>
#include <stdbool.h>
#include <unistd.h>

#include "pictures.h"

#include <cmocka.h>

static msfl_image read_good(bytes b) {
    msfl_image image = {0};
    msfl_image_header h = {0};
    assert_int_equal(msfl_png_header("t.png", b.at, b.n, b.n, &h), MSFL_OK);
    assert_int_equal(msfl_png_read("t.png", b.at, b.n, &image), MSFL_OK);
    assert_int_equal(h.format, MSFL_FORMAT_PNG);
    assert_int_equal(h.width, image.width);
    assert_int_equal(h.height, image.height);
    assert_int_equal(h.channels, image.channels);
    assert_int_equal(h.bits, image.bits);
    return image;
}

/* The sample that a grey, RGB, grey-alpha or RGBA picture must give: alpha laid onto black, rounded. */
static uint32_t expected(const uint8_t *rows, uint32_t width, int channels, int depth, uint32_t x, uint32_t y, int k) {
    size_t row_bytes = ((size_t)width * (size_t)channels * (size_t)depth + 7) / 8;
    uint32_t v[4];
    for (int i = 0; i < channels; i++) {
        size_t at = (size_t)x * (size_t)channels + (size_t)i;
        const uint8_t *row = rows + y * row_bytes;
        if (depth == 16) v[i] = (uint32_t)row[2 * at] << 8 | row[2 * at + 1];
        if (depth == 8) v[i] = row[at];
        if (depth < 8) {
            size_t bit = at * (size_t)depth;
            uint32_t top = (1u << depth) - 1;
            v[i] = (row[bit / 8] >> (8 - depth - (int)(bit % 8)) & top) * 255 / top;
        }
    }
    if (channels == 1 || channels == 3) return v[k];
    double top = depth == 16 ? 65535 : 255;
    return (uint32_t)(v[k] / top * v[channels - 1] + 0.5);
}

static void every_type_and_depth(void **state) {
    (void)state;
    static const struct {
        int type, channels;
    } types[] = {{PNG_COLOR_TYPE_GRAY, 1},
                 {PNG_COLOR_TYPE_RGB, 3},
                 {PNG_COLOR_TYPE_GRAY_ALPHA, 2},
                 {PNG_COLOR_TYPE_RGB_ALPHA, 4}};
    for (size_t t = 0; t < 4; t++) {
        for (int depth = 1; depth <= 16; depth *= 2) {
            if (depth < 8 && types[t].type != PNG_COLOR_TYPE_GRAY) continue;
            for (int interlace = 0; interlace < 2; interlace++) {
                uint32_t width = 13, height = 9;
                uint8_t *rows = noisy_samples(width * 2, height, 4, (uint32_t)depth);
                bytes b = write_png(width, height, types[t].type, depth, interlace, NULL, 0, NULL, 0, rows);
                msfl_image image = read_good(b);
                assert_int_equal(image.width, width);
                assert_int_equal(image.height, height);
                assert_int_equal(image.channels, types[t].channels >= 3 ? 3 : 1);
                assert_int_equal(image.bits, depth == 16 ? 16 : 8);
                for (uint32_t y = 0; y < height; y++) {
                    for (uint32_t x = 0; x < width; x++) {
                        for (uint32_t k = 0; k < image.channels; k++) {
                            size_t at = (y * width + x) * image.channels + k;
                            uint32_t got =
                                image.bits == 16 ? ((uint16_t *)image.samples)[at] : ((uint8_t *)image.samples)[at];
                            assert_int_equal(got, expected(rows, width, types[t].channels, depth, x, y, (int)k));
                        }
                    }
                }
                msfl_image_clear(&image);
                free(b.at);
                free(rows);
            }
        }
    }
}

static void palettes(void **state) {
    (void)state;
    png_color grey[4] = {{0, 0, 0}, {80, 80, 80}, {160, 160, 160}, {255, 255, 255}};
    png_color colours[4] = {{0, 0, 0}, {255, 0, 0}, {0, 255, 0}, {9, 8, 7}};
    const uint8_t alpha[2] = {255, 128};
    const uint8_t rows[2] = {0x1b, 0xe4}; /* 0 1 2 3 and 3 2 1 0 at two bits each */
    bytes b = write_png(4, 2, PNG_COLOR_TYPE_PALETTE, 2, 0, grey, 4, NULL, 0, rows);
    msfl_image image = read_good(b);
    const uint8_t want[8] = {0, 80, 160, 255, 255, 160, 80, 0};
    assert_int_equal(image.channels, 1);
    assert_memory_equal(image.samples, want, 8);
    msfl_image_clear(&image);
    free(b.at);
    b = write_png(4, 2, PNG_COLOR_TYPE_PALETTE, 2, 0, colours, 4, alpha, 2, rows);
    image = read_good(b);
    const uint8_t want_rgb[12] = {0, 0, 0, 128, 0, 0, 0, 255, 0, 9, 8, 7};
    assert_int_equal(image.channels, 3);
    assert_memory_equal(image.samples, want_rgb, 12);
    msfl_image_clear(&image);
    free(b.at);
}

/* Wherever a file is cut, it is an error and never half a picture. */
static void cut_anywhere(void **state) {
    (void)state;
    uint8_t *samples = noisy_samples(40, 30, 3, 1);
    bytes b = write_png(40, 30, PNG_COLOR_TYPE_RGB, 8, 1, NULL, 0, NULL, 0, samples);
    for (size_t n = 0; n < b.n; n++) {
        msfl_image image = {0};
        assert_int_equal(msfl_png_read("cut.png", b.at, n, &image), MSFL_ERR_FORMAT);
        assert_null(image.samples);
        assert_non_null(strstr(msfl_error_message(), "cut.png"));
    }
    free(b.at);
    free(samples);
}

/* Any flipped bit in the pixels' data is seen by the checksum; elsewhere nothing worse than an error happens. */
static void bits_flipped_anywhere(void **state) {
    (void)state;
    uint8_t *samples = noisy_samples(12, 10, 1, 2);
    bytes b = write_grey_png(12, 10, samples);
    for (size_t bit = 0; bit < 8 * b.n; bit++) {
        b.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        msfl_image image = {0};
        msfl_status status = msfl_png_read("flip.png", b.at, b.n, &image);
        assert_true(status != MSFL_OK);
        assert_null(image.samples);
        b.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    free(b.at);
    free(samples);
}

static void put_be32(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static msfl_status read_with_size(bytes b, uint32_t width, uint32_t height) {
    put_be32(b.at + 16, width);
    put_be32(b.at + 20, height);
    put_be32(b.at + 29, crc_of(b.at + 12, 17));
    msfl_image image = {0};
    msfl_image_header h;
    msfl_status status = msfl_png_read("big.png", b.at, b.n, &image);
    assert_int_equal(msfl_png_header("big.png", b.at, b.n, b.n, &h), status);
    assert_null(image.samples);
    return status;
}

static void sizes_are_bounded(void **state) {
    (void)state;
    uint8_t sample = 5;
    bytes b = write_grey_png(1, 1, &sample);
    assert_int_equal(read_with_size(b, 60000, 60000), MSFL_ERR_LIMIT);
    assert_non_null(strstr(msfl_error_message(), "60000 x 60000"));
    assert_non_null(strstr(msfl_error_message(), "16384"));
    assert_int_equal(read_with_size(b, 16385, 1), MSFL_ERR_LIMIT);
    assert_int_equal(read_with_size(b, 16384, 16384), MSFL_ERR_LIMIT);
    assert_int_equal(read_with_size(b, 0, 5), MSFL_ERR_FORMAT);
    assert_int_equal(read_with_size(b, 0x80000001, 5), MSFL_ERR_LIMIT);
    /* Within the limits, but 70 bytes cannot hold 64 million pixels: refused before 64 MB are allocated. */
    assert_int_equal(read_with_size(b, 8192, 8192), MSFL_ERR_FORMAT);
    assert_non_null(strstr(msfl_error_message(), "cannot hold"));
    free(b.at);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    uint8_t *samples = noisy_samples(20, 20, 4, 3);
    bytes b = write_png(20, 20, PNG_COLOR_TYPE_RGB_ALPHA, 8, 1, NULL, 0, NULL, 0, samples);
    bool ok = false;
    long k = 1;
    for (; !ok; k++) {
        msfl_image image = {0};
        msfl_alloc_fail_at(k);
        msfl_status status = msfl_png_read("memory.png", b.at, b.n, &image);
        msfl_alloc_fail_at(0);
        ok = status == MSFL_OK;
        if (!ok) {
            assert_int_equal(status, MSFL_ERR_MEMORY);
            assert_null(image.samples);
        }
        msfl_image_clear(&image);
    }
    assert_true(k > 4);
    free(b.at);
    free(samples);
}

static void files_by_content_not_by_name(void **state) {
    (void)state;
    char folder[] = "/tmp/msfl-png-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char path[64];
    snprintf(path, sizeof path, "%s/a.jpg", folder);
    uint8_t *samples = noisy_samples(5, 4, 1, 3);
    bytes b = write_grey_png(5, 4, samples);
    msfl_image image = {0};
    msfl_image_header h;
    put_file(path, b.at, b.n);
    assert_int_equal(msfl_image_probe(path, &h), MSFL_OK);
    assert_int_equal(h.format, MSFL_FORMAT_PNG);
    assert_int_equal(msfl_image_read(path, &image), MSFL_OK);
    assert_memory_equal(image.samples, samples, 20);
    msfl_image_clear(&image);
    put_file(path, "GIF89a", 6);
    assert_int_equal(msfl_image_probe(path, &h), MSFL_ERR_FORMAT);
    assert_int_equal(msfl_image_read(path, &image), MSFL_ERR_FORMAT);
    put_file(path, "", 0);
    assert_int_equal(msfl_image_probe(path, &h), MSFL_ERR_FORMAT);
    assert_int_equal(msfl_image_read(path, &image), MSFL_ERR_FORMAT);
    unlink(path);
    assert_int_equal(msfl_image_probe(path, &h), MSFL_ERR_MISSING);
    assert_int_equal(msfl_image_read(path, &image), MSFL_ERR_MISSING);
    assert_int_equal(msfl_image_read(folder, &image), MSFL_ERR_FORMAT);
    rmdir(folder);
    free(b.at);
    free(samples);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_and_depth),
        cmocka_unit_test(palettes),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(bits_flipped_anywhere),
        cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(files_by_content_not_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
