/* What an import sets aside instead of holding it: prints, and which files it saw. */
#include "base/bytes.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "import/memo_table.h"
#include "import/prints.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], path[96];
static uint64_t random_state = 1;

static uint64_t next_random(void) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return random_state >> 16;
}

/* --- prints --- */

enum { N = 700 };

typedef struct matches {
    uint8_t found[N][N];
    const uint32_t *bunches;
} matches;

static msfl_status note(void *ctx, const msfl_pair *p) {
    matches *m = ctx;
    assert_true(p->a < p->b && p->b < N);
    assert_int_equal(p->bunch_a, m->bunches[p->a]);
    assert_int_equal(p->bunch_b, m->bunches[p->b]);
    m->found[p->a][p->b]++;
    return MSFL_OK;
}

/* Copies of few pictures with some bits changed, so that pairs are found in every tile and at its edges. */
static void as_all_pairs_one_by_one(void **state) {
    (void)state;
    static msfl_print prints[N];
    static uint32_t bunches[N];
    static matches expected, is;
    memset(&expected, 0, sizeof expected);
    for (size_t i = 0; i < N; i++) {
        random_state = i % 40;
        for (size_t k = 0; k < MSFL_PRINT_WORDS; k++)
            prints[i].bits[k] = next_random() << 32 ^ next_random();
        for (size_t k = 0; k < sizeof prints[i].thumbnail; k++)
            prints[i].thumbnail[k] = (uint8_t)next_random();
        random_state = i * 77 + 5;
        for (uint64_t k = next_random() % 60; k > 0; k--)
            prints[i].bits[next_random() % MSFL_PRINT_WORDS] ^= (uint64_t)1 << next_random() % 64;
        if (i % 11 == 0) memset(prints[i].thumbnail, 7, sizeof prints[i].thumbnail);
        bunches[i] = (uint32_t)(next_random() % 300);
    }
    size_t n = 0;
    for (size_t i = 0; i < N; i++) {
        for (size_t k = i + 1; k < N; k++) {
            expected.found[i][k] = bunches[i] != bunches[k] && msfl_prints_match(&prints[i], &prints[k]);
            n += expected.found[i][k];
        }
    }
    assert_true(n > 100);
    static const size_t sizes[] = {0, 1, 2, 127, 128, 129, 256, N};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        msfl_prints *all = NULL;
        msfl_pool *pool = NULL;
        assert_int_equal(msfl_prints_new(folder, &all), MSFL_OK);
        assert_int_equal(msfl_pool_new(s % 2 == 0 ? 1 : 3, &pool), MSFL_OK);
        for (size_t i = 0; i < sizes[s]; i++)
            assert_int_equal(msfl_prints_add(all, &prints[i], bunches[i]), MSFL_OK);
        memset(&is, 0, sizeof is);
        is.bunches = bunches;
        assert_int_equal(msfl_prints_search(all, pool, note, &is), MSFL_OK);
        for (size_t i = 0; i < N; i++)
            for (size_t k = 0; k < N; k++)
                assert_int_equal(is.found[i][k], k < sizes[s] && i < sizes[s] && expected.found[i][k]);
        msfl_pool_free(pool);
        msfl_prints_free(all);
    }
}

static msfl_status count(void *ctx, const msfl_pair *p) {
    (void)p;
    ++*(size_t *)ctx;
    return MSFL_OK;
}

static msfl_status refuse(void *ctx, const msfl_pair *p) {
    (void)ctx;
    (void)p;
    return MSFL_ERR_CANCELLED;
}

/* More copies than tell anything. */
static void so_many_alike(void **state) {
    (void)state;
    enum { COPIES = 1600 }; /* 1.28 million pairs */
    msfl_print print = {0};
    for (size_t k = 0; k < sizeof print.thumbnail; k++)
        print.thumbnail[k] = (uint8_t)k;
    msfl_prints *all = NULL;
    size_t n = 0;
    assert_int_equal(msfl_prints_new(folder, &all), MSFL_OK);
    for (uint32_t i = 0; i < COPIES; i++)
        assert_int_equal(msfl_prints_add(all, &print, i), MSFL_OK);
    assert_int_equal(msfl_prints_search(all, NULL, refuse, NULL), MSFL_ERR_CANCELLED);
    assert_int_equal(msfl_prints_search(all, NULL, count, &n), MSFL_ERR_LIMIT);
    assert_int_equal(n, MSFL_PAIRS_MAX);
    for (uint32_t i = COPIES; i <= MSFL_PRINTS_MAX; i++)
        assert_int_equal(msfl_prints_add(all, &print, i), MSFL_OK);
    assert_int_equal(msfl_prints_search(all, NULL, count, &n), MSFL_ERR_LIMIT);
    msfl_prints_free(all);
}

/* --- what was seen --- */

static const uint8_t key[MSFL_HASH_BYTES] = {1, 2, 3}, other_key[MSFL_HASH_BYTES] = {1, 2, 4};

static msfl_memo_entry entry_of(uint64_t i, uint64_t version) {
    msfl_memo_entry e = {0};
    random_state = i;
    msfl_store64(e.name, next_random() << 20 ^ next_random());
    msfl_store64(e.name + 8, i + 1);
    msfl_store64(e.look, i ^ version << 32);
    msfl_store64(e.content, i * 3 + version);
    return e;
}

static bool holds(const msfl_memo_table *t, uint64_t i, uint64_t version) {
    const msfl_memo_entry e = entry_of(i, version);
    msfl_memo_entry is = {0};
    memcpy(is.name, e.name, sizeof is.name);
    if (!msfl_memo_table_get(t, &is)) return false;
    assert_memory_equal(&is, &e, sizeof e);
    return true;
}

static void entries_are_found_again(void **state) {
    (void)state;
    enum { ENTRIES = 3000 };
    msfl_memo_table *t = NULL;
    assert_int_equal(msfl_memo_table_open(path, key, &t), MSFL_OK);
    uint64_t before = msfl_alloc_bytes();
    for (uint64_t i = 0; i < ENTRIES; i++) {
        const msfl_memo_entry e = entry_of(i, 0);
        assert_false(holds(t, i, 0));
        msfl_memo_table_put(t, &e);
        assert_true(holds(t, i, 0));
    }
    assert_true(msfl_alloc_bytes() == before); /* however many there are */
    for (uint64_t i = 0; i < ENTRIES; i += 3) {
        const msfl_memo_entry e = entry_of(i, 1);
        msfl_memo_table_put(t, &e);
    }
    for (uint64_t i = 0; i < ENTRIES; i++)
        assert_true(holds(t, i, i % 3 == 0));
    msfl_memo_table_close(t);
    struct stat s;
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_mode & 0777, 0600);
    assert_int_equal(msfl_memo_table_open(path, key, &t), MSFL_OK);
    for (uint64_t i = 0; i < ENTRIES; i++)
        assert_true(holds(t, i, i % 3 == 0));
    msfl_memo_table_close(t);
    assert_int_equal(msfl_memo_table_open(path, other_key, &t), MSFL_OK); /* to whom it says nothing */
    for (uint64_t i = 0; i < ENTRIES; i++)
        assert_false(holds(t, i, i % 3 == 0));
    for (uint64_t i = 0; i < ENTRIES; i++) { /* and takes nothing from him */
        const msfl_memo_entry e = entry_of(i + ENTRIES, 0);
        msfl_memo_table_put(t, &e);
        assert_true(holds(t, i + ENTRIES, 0));
    }
    msfl_memo_table_close(t);
}

static void one_changed_byte_is_one_entry(void **state) {
    (void)state;
    enum { ENTRIES = 100 };
    msfl_memo_table *t = NULL;
    assert_int_equal(msfl_memo_table_open(path, key, &t), MSFL_OK);
    for (uint64_t i = 0; i < ENTRIES; i++) {
        const msfl_memo_entry e = entry_of(i, 0);
        msfl_memo_table_put(t, &e);
    }
    msfl_memo_table_close(t);
    uint8_t *bytes = NULL;
    size_t n = 0;
    assert_int_equal(msfl_file_read(path, 1 << 20, &bytes, &n), MSFL_OK);
    for (size_t at = 4096; at < n; at += 80 * 3 + 7) {
        bool there = at % 4096 < 4080 && (bytes[at] != 0 || bytes[at - at % 4096 % 80] != 0);
        bytes[at] ^= 0x10;
        assert_int_equal(msfl_file_write(path, bytes, n), MSFL_OK);
        assert_int_equal(msfl_memo_table_open(path, key, &t), MSFL_OK);
        size_t found = 0;
        for (uint64_t i = 0; i < ENTRIES; i++)
            found += holds(t, i, 0);
        assert_int_equal(found, ENTRIES - there);
        msfl_memo_table_close(t);
        bytes[at] ^= 0x10;
    }
    /* What is no table is replaced by an empty one. */
    for (size_t cut = 0; cut < 4; cut++) {
        bytes[0] = (uint8_t)(cut == 3 ? 'X' : 'M');
        const size_t lengths[] = {0, 5, n - 4096, n};
        assert_int_equal(msfl_file_write(path, bytes, lengths[cut]), MSFL_OK);
        assert_int_equal(msfl_memo_table_open(path, key, &t), MSFL_OK);
        assert_false(holds(t, 1, 0));
        const msfl_memo_entry e = entry_of(1, 0);
        msfl_memo_table_put(t, &e);
        assert_true(holds(t, 1, 0));
        msfl_memo_table_close(t);
    }
    msfl_free(bytes);
}

/* Names that no hash gives, all for one bucket: old ones go, and the file stays as small as it was. */
static void one_bucket_is_no_table(void **state) {
    (void)state;
    msfl_memo_table *t = NULL;
    assert_int_equal(msfl_memo_table_open(path, key, &t), MSFL_OK);
    for (uint32_t i = 0; i < 300; i++) {
        msfl_memo_entry e = {.name = {0, 0, 0, 0, 0, 0, 0, (uint8_t)i, (uint8_t)i, (uint8_t)(i >> 8)}}, there = e;
        msfl_store32(e.look, i);
        msfl_memo_table_put(t, &e);
        assert_true(msfl_memo_table_get(t, &there));
        assert_memory_equal(&there, &e, sizeof e);
    }
    msfl_memo_table_close(t);
    struct stat s;
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_size, 5 * 4096);
}

/* Growing may fail, for want of memory and of a disk, and then nothing but the new entry is lost. */
static void growth_may_fail(void **state) {
    (void)state;
    enum { ENTRIES = 400 };
    for (long k = 1; k < 30; k++) {
        msfl_memo_table *t = NULL;
        (void)unlink(path);
        uint64_t before = msfl_alloc_bytes();
        if (k % 2 == 0) msfl_alloc_fail_at(k);
        msfl_file_fault_at(k, false);
        msfl_status status = msfl_memo_table_open(path, key, &t);
        size_t found = 0;
        for (uint64_t i = 0; i < ENTRIES && status == MSFL_OK; i++) {
            const msfl_memo_entry e = entry_of(i, 0);
            msfl_memo_table_put(t, &e);
        }
        msfl_alloc_fail_at(0);
        msfl_file_fault_at(0, false);
        for (uint64_t i = 0; i < ENTRIES && status == MSFL_OK; i++)
            found += holds(t, i, 0);
        assert_true(status == MSFL_ERR_MEMORY || found == 0 || found + (k % 2 == 0 ? 2 : 1) >= ENTRIES);
        msfl_memo_table_close(t);
        assert_true(msfl_alloc_bytes() == before);
    }
    msfl_memo_table *t = NULL;
    assert_int_equal(msfl_memo_table_open("/nowhere/seen.bin", key, &t), MSFL_OK);
    const msfl_memo_entry e = entry_of(1, 0);
    msfl_memo_table_put(t, &e);
    assert_false(holds(t, 1, 0));
    msfl_memo_table_close(t);
}

static int begin(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/msfl-aside-XXXXXX");
    if (msfl_crypto_init() != MSFL_OK || mkdtemp(folder) == NULL) return 1;
    snprintf(path, sizeof path, "%s/seen.bin", folder);
    return 0;
}

static int end(void **state) {
    (void)state;
    (void)unlink(path);
    return rmdir(folder); /* nothing else is left */
}

#define IN_FOLDER(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {IN_FOLDER(as_all_pairs_one_by_one), IN_FOLDER(so_many_alike),
                                       IN_FOLDER(entries_are_found_again), IN_FOLDER(one_changed_byte_is_one_entry),
                                       IN_FOLDER(one_bucket_is_no_table),  IN_FOLDER(growth_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
