#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/seeded.h"
#include "base/sodium.h"
#include "base/threads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void errors_carry_context(void **state) {
    (void)state;
    assert_int_equal(msfl_fail(MSFL_ERR_FORMAT, "%s: not a PNG file", "a.png"), MSFL_ERR_FORMAT);
    assert_int_equal(msfl_fail_in(MSFL_ERR_FORMAT, "hospital %d", 2), MSFL_ERR_FORMAT);
    assert_string_equal(msfl_error_message(), "hospital 2: a.png: not a PNG file");
    assert_int_equal(msfl_status_exit_code(MSFL_ERR_CANCELLED), 130);
    assert_string_equal(msfl_status_name(MSFL_ERR_POLICY), "ERR_POLICY");
}

static void memory_is_counted(void **state) {
    (void)state;
    uint64_t before = msfl_alloc_bytes();
    msfl_alloc_peak_restart();
    void *big = msfl_alloc(1000, 1000);
    uint64_t with = msfl_alloc_bytes();
    assert_true(with >= before + 1000000 && with < before + 1100000);
    msfl_free(big);
    msfl_free(NULL);
    assert_true(msfl_alloc_bytes() == before);
    assert_true(msfl_alloc_bytes_peak() == with);
    msfl_alloc_peak_restart();
    assert_true(msfl_alloc_bytes_peak() == before);
    assert_null(msfl_alloc(SIZE_MAX, 2));
    assert_true(msfl_alloc_bytes() == before);
}

static void allocations_fail_on_request(void **state) {
    (void)state;
    assert_null(msfl_alloc(SIZE_MAX, 2));
    msfl_alloc_fail_at(2);
    void *first = msfl_alloc(1, 1);
    assert_non_null(first);
    assert_null(msfl_alloc(1, 1));
    void *third = msfl_alloc(0, 8);
    assert_non_null(third);
    msfl_free(first);
    msfl_free(third);
}

static void reader_never_overruns(void **state) {
    (void)state;
    msfl_buffer b = {0};
    msfl_put32(&b, 0x01020304);
    msfl_put_f64(&b, 1.5);
    msfl_put_text(&b, "%s-%d", "x", 7);
    assert_int_equal(b.status, MSFL_OK);
    assert_int_equal(b.length, 15);
    for (size_t cut = 0; cut <= b.length; cut++) {
        msfl_reader r = msfl_reader_init(b.bytes, cut);
        uint32_t v = msfl_get32(&r);
        double d = msfl_get_f64(&r);
        msfl_get_bytes(&r, 3);
        assert_int_equal(r.failed, cut < b.length);
        if (cut >= 4) assert_int_equal(v, 0x01020304);
        if (cut >= 12) assert_true(d == 1.5);
    }
    msfl_buffer_clear(&b);
}

typedef struct loop {
    msfl_pool *pool;
    unsigned long sums[64];
} loop;

static msfl_status inner(void *ctx, size_t i) {
    unsigned long *cells = ctx;
    cells[i] = i + 1;
    return MSFL_OK;
}

static msfl_status outer(void *ctx, size_t i) {
    loop *l = ctx;
    unsigned long cells[100] = {0};
    msfl_status status = msfl_pool_run(l->pool, 100, inner, cells);
    for (int k = 0; k < 100; k++)
        l->sums[i] += cells[k];
    return status;
}

static msfl_status fails_at_7_and_up(void *ctx, size_t i) {
    (void)ctx;
    return i < 7 ? MSFL_OK : msfl_fail(MSFL_ERR_DATA, "index %zu", i);
}

static void pool_nests_and_reports(void **state) {
    (void)state;
    for (uint32_t n = 1; n <= 4; n++) {
        loop l = {0};
        assert_int_equal(msfl_pool_new(n, &l.pool), MSFL_OK);
        for (int round = 0; round < 20; round++) {
            memset(l.sums, 0, sizeof l.sums);
            assert_int_equal(msfl_pool_run(l.pool, 64, outer, &l), MSFL_OK);
            for (int i = 0; i < 64; i++)
                assert_int_equal(l.sums[i], 5050);
        }
        assert_int_equal(msfl_pool_run(l.pool, 50, fails_at_7_and_up, NULL), MSFL_ERR_DATA);
        assert_string_equal(msfl_error_message(), "index 7");
        msfl_pool_free(l.pool);
    }
}

static void seeded_is_repeatable_and_plausible(void **state) {
    (void)state;
    msfl_seeded a, b;
    msfl_seeded_init(&a, 1, "test", 0, 0, 0);
    msfl_seeded_init(&b, 1, "test", 0, 0, 0);
    double sum = 0, squares = 0, gammas = 0;
    for (int i = 0; i < 100000; i++) {
        double x = msfl_seeded_normal(&a);
        assert_true(x == msfl_seeded_normal(&b));
        sum += x;
        squares += x * x;
        gammas += msfl_seeded_gamma(&a, 0.5);
        (void)msfl_seeded_gamma(&b, 0.5);
    }
    assert_true(sum / 1e5 < 0.015 && sum / 1e5 > -0.015);
    assert_true(squares / 1e5 > 0.98 && squares / 1e5 < 1.02);
    assert_true(gammas / 1e5 > 0.49 && gammas / 1e5 < 0.51);
    msfl_seeded_init(&b, 1, "test", 0, 0, 1);
    assert_true(msfl_seeded_u64(&a) != msfl_seeded_u64(&b));
}

static void boxes_and_hashes(void **state) {
    (void)state;
    uint8_t pk[32], sk[32], box[5 + MSFL_BOX_SEAL_BYTES], back[5];
    msfl_box_keypair(pk, sk);
    assert_int_equal(msfl_box_seal(pk, "share", 5, box), MSFL_OK);
    assert_int_equal(msfl_box_open(pk, sk, box, sizeof box, back), MSFL_OK);
    assert_memory_equal(back, "share", 5);
    box[3] ^= 1;
    assert_int_equal(msfl_box_open(pk, sk, box, sizeof box, back), MSFL_ERR_CRYPTO);
    assert_int_equal(msfl_box_open(pk, sk, box, 3, back), MSFL_ERR_CRYPTO);
    msfl_hash h;
    uint8_t x[32], y[32];
    msfl_hash_init(&h, "l");
    msfl_hash_add_field(&h, "ab", 2);
    msfl_hash_add_field(&h, "c", 1);
    msfl_hash_final(&h, x);
    msfl_hash_init(&h, "l");
    msfl_hash_add_field(&h, "a", 1);
    msfl_hash_add_field(&h, "bc", 2);
    msfl_hash_final(&h, y);
    assert_memory_not_equal(x, y, 32);
}

static void files_are_all_or_nothing(void **state) {
    (void)state;
    char folder[] = "/tmp/msfl-base-XXXXXX";
    assert_non_null(mkdtemp(folder));
    char *path = msfl_path_join(folder, "a/b/file");
    char *parent = msfl_path_join(folder, "a/b");
    assert_int_equal(msfl_folder_make(parent), MSFL_OK);
    assert_int_equal(msfl_folder_make(parent), MSFL_OK);
    assert_int_equal(msfl_file_write(path, "one", 3), MSFL_OK);
    assert_int_equal(msfl_file_write(path, "second", 6), MSFL_OK);
    uint8_t *bytes;
    size_t n;
    assert_int_equal(msfl_file_read(path, 100, &bytes, &n), MSFL_OK);
    assert_int_equal(n, 6);
    assert_memory_equal(bytes, "second", 7);
    msfl_free(bytes);
    assert_int_equal(msfl_file_read(path, 5, &bytes, &n), MSFL_ERR_LIMIT);
    assert_int_equal(msfl_file_read(parent, 5, &bytes, &n), MSFL_ERR_FORMAT);
    char **names;
    assert_int_equal(msfl_folder_list(parent, 10, &names, &n), MSFL_OK);
    assert_int_equal(n, 1);
    assert_string_equal(names[0], "file");
    msfl_names_free(names, n);
    bool empty;
    assert_int_equal(msfl_folder_is_empty(parent, &empty), MSFL_OK);
    assert_false(empty);
    assert_int_equal(msfl_folder_make(path), MSFL_ERR_EXISTS);
    assert_int_equal(msfl_folder_foresee(path), MSFL_ERR_EXISTS);
    char *below = msfl_path_join(path, "c/d/");
    assert_int_equal(msfl_folder_foresee(below), MSFL_ERR_EXISTS);
    assert_int_equal(msfl_folder_foresee(parent), MSFL_OK);
    unlink(path);
    assert_int_equal(msfl_folder_foresee(below), MSFL_OK);
    assert_int_equal(msfl_folder_foresee("not/there"), MSFL_OK);
    assert_int_equal(msfl_folder_foresee("/not/there"), MSFL_OK);
    assert_false(msfl_file_exists(path));
    msfl_free(below);
    rmdir(parent);
    msfl_free(path);
    msfl_free(parent);
    path = msfl_path_join(folder, "a");
    rmdir(path);
    rmdir(folder);
    msfl_free(path);
}

int main(void) {
    if (msfl_crypto_init() != MSFL_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_carry_context),
        cmocka_unit_test(memory_is_counted),
        cmocka_unit_test(allocations_fail_on_request),
        cmocka_unit_test(reader_never_overruns),
        cmocka_unit_test(pool_nests_and_reports),
        cmocka_unit_test(seeded_is_repeatable_and_plausible),
        cmocka_unit_test(boxes_and_hashes),
        cmocka_unit_test(files_are_all_or_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
