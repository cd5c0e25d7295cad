/* NIfTI in want of memory, cut short, and from a file that grows to far more than it is. */
#include "base/bytes.h"
#include "base/mem.h"
#include "image/fault.h"
#include "image/nifti.h"
#include "image/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <zlib.h>

#include <cmocka.h>

enum { FILE_BYTES = 352 + 2 * 24 };

/* 2 x 3 x 4 samples of int16, little-endian. */
static void make(uint8_t file[FILE_BYTES]) {
    memset(file, 0, FILE_BYTES);
    msfl_store32(file, 348);
    static const uint16_t dims[8] = {3, 2, 3, 4, 1, 1, 1, 1};
    for (size_t i = 0; i < 8; i++)
        msfl_store16(file + 40 + 2 * i, dims[i]);
    msfl_store16(file + 70, 4);
    msfl_store16(file + 72, 16);
    msfl_store32(file + 108, 0x43b00000); /* 352.0 */
    memcpy(file + 344, "n+1", 4);
    for (size_t i = 0; i < 24; i++)
        msfl_store16(file + 352 + 2 * i, (uint16_t)(i * 3));
}

static size_t pack(const uint8_t *bytes, size_t n, uint8_t *out, size_t capacity) {
    z_stream z = {.next_in = (uint8_t *)(uintptr_t)bytes, .avail_in = (unsigned)n, .next_out = out};
    z.avail_out = (unsigned)capacity;
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t length = z.total_out;
    deflateEnd(&z);
    return length;
}

static msfl_status read_bytes(uint8_t *bytes, size_t n, msfl_image *image) {
    FILE *file = fmemopen(bytes, n, "rb");
    assert_non_null(file);
    msfl_nifti nifti;
    msfl_fault_forget();
    msfl_status status = msfl_nifti_read("t.nii", file, NULL, &nifti, image);
    fclose(file);
    return status;
}

static void want_of_memory(void **state) {
    (void)state;
    uint8_t file[FILE_BYTES], packed[1000];
    make(file);
    size_t n = pack(file, sizeof file, packed, sizeof packed);
    bool ok = false;
    long k = 1;
    for (; !ok; k++) {
        msfl_image image = {0};
        msfl_alloc_fail_at(k);
        msfl_status status = read_bytes(packed, n, &image);
        msfl_alloc_fail_at(0);
        ok = status == MSFL_OK;
        if (ok) {
            assert_int_equal(((int16_t *)image.samples)[23], 69);
        } else {
            assert_int_equal(status, MSFL_ERR_MEMORY);
            assert_null(image.samples);
        }
        msfl_image_clear(&image);
    }
    assert_true(k > 3);
}

static void every_length(void **state) {
    (void)state;
    uint8_t file[FILE_BYTES], packed[1000];
    make(file);
    size_t n_packed = pack(file, sizeof file, packed, sizeof packed);
    for (size_t n = 1; n <= sizeof file; n++) {
        msfl_image image = {0};
        assert_int_equal(read_bytes(file, n, &image) == MSFL_OK, n == sizeof file);
        msfl_image_clear(&image);
    }
    for (size_t n = 1; n <= n_packed; n++) {
        msfl_image image = {0};
        msfl_status status = read_bytes(packed, n, &image);
        assert_int_equal(status == MSFL_OK, n == n_packed);
        if (n > 20 && status != MSFL_OK) assert_string_equal(msfl_fault_name(status), "truncated");
        msfl_image_clear(&image);
    }
}

/* A checksum that does not hold is found even though all samples were there. */
static void a_wrong_checksum(void **state) {
    (void)state;
    uint8_t file[FILE_BYTES], packed[1000];
    make(file);
    size_t n = pack(file, sizeof file, packed, sizeof packed);
    packed[n - 8] ^= 1;
    msfl_image image = {0};
    msfl_status status = read_bytes(packed, n, &image);
    assert_int_equal(status, MSFL_ERR_FORMAT);
    assert_string_equal(msfl_fault_name(status), "damaged");
}

/* Claims that the file cannot make true cost no memory. */
static void nothing_on_credit(void **state) {
    (void)state;
    uint8_t file[FILE_BYTES], packed[1000];
    make(file);
    for (size_t i = 0; i < 3; i++)
        msfl_store16(file + 42 + 2 * i, 1000);
    size_t n = pack(file, sizeof file, packed, sizeof packed);
    msfl_image image = {0};
    msfl_alloc_peak_restart();
    assert_int_equal(read_bytes(packed, n, &image), MSFL_ERR_FORMAT);
    assert_int_equal(read_bytes(file, sizeof file, &image), MSFL_ERR_FORMAT);
    assert_true(msfl_alloc_bytes_peak() < 1 << 20);
}

static void several_members(void **state) {
    (void)state;
    uint8_t file[FILE_BYTES], packed[2000];
    make(file);
    size_t n = pack(file, 100, packed, 1000);
    n += pack(file + 100, sizeof file - 100, packed + n, 1000);
    memset(packed + n, 0, 8); /* tapes pad with zeros */
    msfl_image image = {0};
    assert_int_equal(read_bytes(packed, n + 8, &image), MSFL_OK);
    assert_int_equal(((int16_t *)image.samples)[23], 69);
    msfl_image_clear(&image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(want_of_memory),    cmocka_unit_test(every_length),    cmocka_unit_test(a_wrong_checksum),
        cmocka_unit_test(nothing_on_credit), cmocka_unit_test(several_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
