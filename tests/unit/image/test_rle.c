/* Run-length encoding: random runs against a decoder that takes one step at a time, and every way to end too soon. */
#include "base/bytes.h"
#include "image/rle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t state_of = 7;

static uint32_t draw(uint32_t below) {
    state_of = state_of * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)(state_of >> 8) * below >> 24);
}

enum { PIXELS = 300, ROOM = 8192 };

/* A segment that gives exactly `pixels` bytes, which are written to `plain`; its length. */
static size_t make_segment(uint8_t *out, uint8_t *plain, size_t pixels) {
    size_t n = 0, made = 0;
    while (made < pixels) {
        size_t run = 1 + draw(128);
        if (run > pixels - made) run = pixels - made;
        uint32_t kind = draw(5);
        if (kind == 0) {
            out[n++] = 128;
        } else if (kind < 3 && run > 1) {
            out[n++] = (uint8_t)(257 - run);
            out[n] = (uint8_t)draw(256);
            memset(plain + made, out[n++], run);
            made += run;
        } else {
            out[n++] = (uint8_t)(run - 1);
            for (size_t i = 0; i < run; i++)
                out[n++] = plain[made++] = (uint8_t)draw(256);
        }
    }
    return n;
}

static size_t make_frame(uint8_t *out, uint8_t planes[15][PIXELS], uint32_t n_segments) {
    size_t at = 64;
    memset(out, 0, 64);
    msfl_store32(out, n_segments);
    for (uint32_t i = 0; i < n_segments; i++) {
        msfl_store32(out + 4 + 4 * i, (uint32_t)at);
        at += make_segment(out + at, planes[i], PIXELS);
    }
    return at;
}

static void random_frames(void **state) {
    (void)state;
    static uint8_t planes[15][PIXELS];
    for (int round = 0; round < 300; round++) {
        uint32_t channels = draw(2) != 0 ? 3 : 1, sample_bytes = 1 + draw(4), n = channels * sample_bytes;
        uint8_t frame[ROOM * 2];
        size_t length = make_frame(frame, planes, n);
        /* Exactly as long, so that a sanitizer sees one byte too many. */
        uint8_t *exact = malloc(length), *out = malloc((size_t)PIXELS * n);
        assert_non_null(exact);
        assert_non_null(out);
        memcpy(exact, frame, length);
        assert_true(msfl_rle_decode(exact, length, PIXELS, channels, sample_bytes, out));
        for (size_t i = 0; i < PIXELS; i++) {
            for (uint32_t c = 0; c < channels; c++) {
                for (uint32_t b = 0; b < sample_bytes; b++) {
                    uint8_t want = planes[c * sample_bytes + (sample_bytes - 1 - b)][i];
                    assert_int_equal(out[(i * channels + c) * sample_bytes + b], want);
                }
            }
        }
        /* Another number of segments than the samples need. */
        assert_false(msfl_rle_decode(exact, length, PIXELS, channels, sample_bytes == 1 ? 2 : 1, out));
        /* More pixels than there are. */
        assert_false(msfl_rle_decode(exact, length - 1, PIXELS, channels, sample_bytes, out));
        free(exact);
        free(out);
    }
}

static void damage(void **state) {
    (void)state;
    static uint8_t planes[15][PIXELS];
    uint8_t frame[ROOM * 2], out[PIXELS * 6];
    size_t length = make_frame(frame, planes, 6);
    for (size_t n = 0; n < length; n++) {
        uint8_t *exact = malloc(n + 1);
        assert_non_null(exact);
        memcpy(exact, frame, n);
        assert_false(msfl_rle_decode(exact, n, PIXELS, 3, 2, out));
        free(exact);
    }
    for (int i = 0; i < 20000; i++) {
        uint8_t *exact = malloc(length);
        assert_non_null(exact);
        memcpy(exact, frame, length);
        for (uint32_t k = 0; k <= draw(3); k++)
            exact[draw(i % 2 != 0 ? 64 : (uint32_t)length)] ^= (uint8_t)(1 + draw(255));
        (void)msfl_rle_decode(exact, length, PIXELS, 3, 2, out);
        free(exact);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_frames), cmocka_unit_test(damage)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
