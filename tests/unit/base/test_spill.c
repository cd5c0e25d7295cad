/* What is set aside on the disk, and rows that stay where they are. */
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "base/rows.h"
#include "base/sodium.h"
#include "base/spill.h"
#include "base/tagged.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];

static void row_of(size_t i, uint8_t *out, size_t n) {
    for (size_t k = 0; k < n; k++)
        out[k] = (uint8_t)(i * 31 + k * 7 + (i >> 8));
}

/* Row sizes that fit the buffer evenly and that do not; every place, across what is on the disk and what is not. */
static void rows_come_back(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 12, 40, 256, 1000, 1 << 16};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        const size_t size = sizes[s], n = size > 1000 ? 5 : 200000 / size + 3;
        uint8_t *row = msfl_alloc(size, 1), *many = msfl_alloc(n, size);
        msfl_spill *spill = NULL;
        assert_int_equal(msfl_spill_new(folder, size, &spill), MSFL_OK);
        for (size_t i = 0; i < n; i++) {
            row_of(i, row, size);
            assert_int_equal(msfl_spill_add(spill, row), MSFL_OK);
        }
        assert_int_equal(msfl_spill_rows(spill), n);
        assert_int_equal(msfl_spill_read(spill, many, 0, n), MSFL_OK);
        for (size_t i = 0; i < n; i++) {
            row_of(i, row, size);
            assert_memory_equal(many + i * size, row, size);
        }
        for (size_t i = 0; i < n; i += 1 + n / 97) {
            size_t some = n - i < 5 ? n - i : 5;
            memset(many, 0, some * size);
            assert_int_equal(msfl_spill_read(spill, many, i, some), MSFL_OK);
            row_of(i + some - 1, row, size);
            assert_memory_equal(many + (some - 1) * size, row, size);
        }
        assert_int_equal(msfl_spill_read(spill, many, n, 0), MSFL_OK);
        assert_int_equal(msfl_spill_read(spill, many, n, 1), MSFL_ERR_LIMIT);
        assert_int_equal(msfl_spill_read(spill, many, SIZE_MAX, 2), MSFL_ERR_LIMIT);
        msfl_spill_free(spill);
        msfl_free(row);
        msfl_free(many);
    }
    msfl_spill *spill = NULL;
    assert_int_equal(msfl_spill_new(folder, 0, &spill), MSFL_ERR_LIMIT);
    assert_int_equal(msfl_spill_new(folder, (1 << 16) + 1, &spill), MSFL_ERR_LIMIT);
    assert_null(spill);
}

/* The file has no name, and holds nothing that was put into it as it was. */
static void nobody_reads_it(void **state) {
    (void)state;
    enum { ROW = 64, ROWS = 4096 };
    static const char text[ROW] = "This is a patient's picture, and it is nobody's business. 1234";
    msfl_spill *spill = NULL;
    assert_int_equal(msfl_spill_new(folder, ROW, &spill), MSFL_OK);
    for (size_t i = 0; i < ROWS; i++)
        assert_int_equal(msfl_spill_add(spill, text), MSFL_OK);
    bool empty = false;
    assert_int_equal(msfl_folder_is_empty(folder, &empty), MSFL_OK);
    assert_true(empty);
    static uint8_t bytes[ROW * ROWS];
    size_t n = 0;
    for (int fd = 3; fd < 64; fd++) { /* the file that the process has open */
        char link[32], target[256] = "";
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, target, sizeof target - 1);
        if (length > 0 && strncmp(target, folder, strlen(folder)) == 0) {
            n = (size_t)pread(fd, bytes, sizeof bytes, 0);
        }
    }
    assert_true(n >= 1 << 16);
    for (size_t i = 0; i + 8 <= n; i++)
        assert_memory_not_equal(bytes + i, text + i % ROW % (ROW - 8), 8);
    for (size_t i = ROW; i + ROW <= n; i += ROW) /* nor does one row look like another */
        assert_memory_not_equal(bytes + i, bytes, ROW);
    msfl_spill_free(spill);
}

static void steps_may_fail(void **state) {
    (void)state;
    enum { ROW = 256, ROWS = 1000 };
    uint8_t row[ROW], back[ROW];
    for (long k = 1; k < 4; k++) {
        msfl_spill *spill = NULL;
        assert_int_equal(msfl_spill_new(folder, ROW, &spill), MSFL_OK);
        msfl_file_fault_at(k, false);
        size_t failures = 0;
        for (size_t i = 0; i < ROWS;) {
            row_of(i, row, ROW);
            if (msfl_spill_add(spill, row) == MSFL_OK) {
                i++;
            } else {
                failures++;
            }
        }
        msfl_file_fault_at(0, false);
        assert_int_equal(failures, 1);
        for (size_t i = 0; i < ROWS; i++) {
            row_of(i, row, ROW);
            assert_int_equal(msfl_spill_read(spill, back, i, 1), MSFL_OK);
            assert_memory_equal(row, back, ROW);
        }
        msfl_spill_free(spill);
    }
    uint64_t before = msfl_alloc_bytes();
    msfl_status status = MSFL_ERR_MEMORY;
    for (long k = 1; status != MSFL_OK; k++) {
        msfl_spill *spill = NULL;
        msfl_alloc_fail_at(k);
        status = msfl_spill_new(folder, ROW, &spill);
        msfl_alloc_fail_at(0);
        msfl_spill_free(spill);
        assert_true(msfl_alloc_bytes() == before && k < 10);
    }
    msfl_spill *spill = NULL;
    assert_int_equal(msfl_spill_new("/nowhere/at/all", ROW, &spill), MSFL_OK);
    status = MSFL_OK;
    for (size_t i = 0; i < ROWS && status == MSFL_OK; i++)
        status = msfl_spill_add(spill, row);
    assert_int_equal(status, MSFL_ERR_MISSING);
    msfl_spill_free(spill);
}

static void rows_stay_where_they_are(void **state) {
    (void)state;
    msfl_rows rows = {0};
    uint64_t *first = NULL;
    for (uint64_t i = 0; i < 5000; i++) {
        uint64_t *row = msfl_rows_add(&rows, sizeof *row);
        assert_non_null(row);
        assert_int_equal(*row, 0);
        *row = i;
        if (i == 0) first = row;
    }
    for (uint64_t i = 0; i < rows.n; i++)
        assert_int_equal(*(uint64_t *)msfl_rows_at(&rows, i, sizeof(uint64_t)), i);
    assert_ptr_equal(first, msfl_rows_at(&rows, 0, sizeof *first));
    msfl_rows_clear(&rows);
    msfl_alloc_fail_at(2);
    assert_null(msfl_rows_add(&rows, 8));
    msfl_alloc_fail_at(0);
    assert_int_equal(rows.n, 0);
    msfl_rows_clear(&rows);
}

static void keys_in_order(void **state) {
    (void)state;
    msfl_tagged list[] = {{5, 1}, {UINT64_MAX, 0}, {5, 0}, {0, 9}, {5, 1}};
    msfl_tagged_sort(list, 5);
    static const uint64_t keys[] = {0, 5, 5, 5, UINT64_MAX};
    static const uint32_t tags[] = {9, 0, 1, 1, 0};
    for (size_t i = 0; i < 5; i++) {
        assert_true(list[i].key == keys[i]);
        assert_int_equal(list[i].tag, tags[i]);
    }
    assert_int_equal(msfl_tagged_run(list, 5, 0), 1);
    assert_int_equal(msfl_tagged_run(list, 5, 1), 4);
    assert_int_equal(msfl_tagged_run(list, 5, 4), 5);
    msfl_tagged_sort(NULL, 0);
}

static int begin(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/msfl-spill-XXXXXX");
    return msfl_crypto_init() != MSFL_OK || mkdtemp(folder) == NULL;
}

static int end(void **state) {
    (void)state;
    return rmdir(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_come_back), cmocka_unit_test(nobody_reads_it),
                                       cmocka_unit_test(steps_may_fail), cmocka_unit_test(rows_stay_where_they_are),
                                       cmocka_unit_test(keys_in_order)};
    return cmocka_run_group_tests(tests, begin, end);
}
