/* Journals and values: order, checksums, cuts, one process at a time, full disks, damage, kills at any instant. */
#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "store/journal.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const uint8_t task_a[32] = {1}, task_b[32] = {2};
static char folder[64], path[96];

static int make_folder(void **state) {
    (void)state;
    /* A kill is not a power cut: memory keeps what a disk would, and faster. */
    snprintf(folder, sizeof folder, "%s/msfl-store-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/state.db", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static store *opened(void) {
    store *s;
    assert_int_equal(store_open(path, &s), MSFL_OK);
    return s;
}

typedef struct seen {
    uint32_t values[4096];
    uint64_t sequences[4096];
    size_t n;
    size_t stop_at; /* 0: never */
} seen;

static msfl_status see(void *ctx, uint64_t sequence, const uint8_t *record, size_t length) {
    seen *s = ctx;
    assert_true(length >= 4 && s->n < 4096);
    s->sequences[s->n] = sequence;
    s->values[s->n++] = msfl_load32(record);
    return s->stop_at == s->n ? msfl_fail(MSFL_ERR_MISMATCH, "enough") : MSFL_OK;
}

static msfl_status append(store *s, const uint8_t *task, const char *owner, uint32_t value, size_t length) {
    uint8_t record[70000] = {0};
    msfl_store32(record, value);
    return store_append(s, task, owner, record, length, NULL);
}

static void test_order(void **state) {
    (void)state;
    static seen got;
    store *s = opened();
    for (uint32_t i = 0; i < 50; i++) {
        assert_int_equal(append(s, i % 2 == 0 ? task_a : task_b, "site", i, 4 + i * 1000), MSFL_OK);
        assert_int_equal(append(s, task_a, "member", 1000 + i, 4), MSFL_OK);
    }
    for (int again = 0; again < 2; again++) {
        memset(&got, 0, sizeof got);
        assert_int_equal(store_replay(s, task_a, "site", see, &got), MSFL_OK);
        assert_int_equal(got.n, 25);
        for (uint32_t i = 0; i < 25; i++)
            assert_int_equal(got.values[i], 2 * i);
        memset(&got, 0, sizeof got);
        assert_int_equal(store_replay(s, task_a, "member", see, &got), MSFL_OK);
        assert_int_equal(got.n, 50);
        memset(&got, 0, sizeof got);
        assert_int_equal(store_replay(s, task_b, "member", see, &got), MSFL_OK);
        assert_int_equal(got.n, 0);
        store_close(s);
        s = opened();
    }
    /* a failing callback ends it, and the next replay begins anew */
    memset(&got, 0, sizeof got);
    got.stop_at = 3;
    assert_int_equal(store_replay(s, task_a, "site", see, &got), MSFL_ERR_MISMATCH);
    assert_int_equal(got.n, 3);
    memset(&got, 0, sizeof got);
    assert_int_equal(store_replay(s, task_a, "site", see, &got), MSFL_OK);
    assert_int_equal(got.n, 25);
    /* cut: what follows, and one record from before */
    const uint64_t from = got.sequences[20], keep = got.sequences[4];
    assert_int_equal(store_cut(s, task_a, "site", from, keep), MSFL_OK);
    memset(&got, 0, sizeof got);
    assert_int_equal(store_replay(s, task_a, "site", see, &got), MSFL_OK);
    assert_int_equal(got.n, 6);
    assert_int_equal(got.values[0], 8);
    assert_int_equal(got.values[1], 40);
    memset(&got, 0, sizeof got);
    assert_int_equal(store_replay(s, task_b, "site", see, &got), MSFL_OK);
    assert_int_equal(got.n, 25);
    store_close(s);
}

static void test_values(void **state) {
    (void)state;
    store *s = opened();
    uint8_t *bytes;
    size_t length;
    assert_int_equal(store_get(s, "job", &bytes, &length), MSFL_OK);
    assert_null(bytes);
    assert_int_equal(store_put(s, "job", "one", 3), MSFL_OK);
    assert_int_equal(store_put(s, "job", "second", 6), MSFL_OK);
    assert_int_equal(store_put(s, "empty", NULL, 0), MSFL_OK);
    store_close(s);
    s = opened();
    assert_int_equal(store_get(s, "job", &bytes, &length), MSFL_OK);
    assert_int_equal(length, 6);
    assert_string_equal((char *)bytes, "second");
    msfl_free(bytes);
    assert_int_equal(store_get(s, "empty", &bytes, &length), MSFL_OK);
    assert_non_null(bytes);
    assert_int_equal(length, 0);
    msfl_free(bytes);
    char name[STORE_NAME_MAX + 2];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = 0;
    assert_int_equal(store_put(s, name, "", 0), MSFL_ERR_USAGE);
    assert_int_equal(store_put(s, "", "", 0), MSFL_ERR_USAGE);
    assert_int_equal(store_put(s, "job", "", (size_t)STORE_RECORD_BYTES_MAX + 1), MSFL_ERR_LIMIT);
    store_close(s);
}

static void test_together(void **state) {
    (void)state;
    static seen got;
    store *s = opened();
    uint8_t *bytes;
    size_t length;
    assert_int_equal(store_begin(s), MSFL_OK);
    assert_int_equal(append(s, task_a, "site", 1, 4), MSFL_OK);
    assert_int_equal(store_put(s, "x", "1", 1), MSFL_OK);
    assert_int_equal(store_begin(s), MSFL_ERR_USAGE);
    store_rollback(s);
    memset(&got, 0, sizeof got);
    assert_int_equal(store_replay(s, task_a, "site", see, &got), MSFL_OK);
    assert_int_equal(got.n, 0);
    assert_int_equal(store_get(s, "x", &bytes, &length), MSFL_OK);
    assert_null(bytes);
    assert_int_equal(store_begin(s), MSFL_OK);
    assert_int_equal(append(s, task_a, "site", 1, 4), MSFL_OK);
    assert_int_equal(store_put(s, "x", "1", 1), MSFL_OK);
    assert_int_equal(store_commit(s), MSFL_OK);
    store_close(s);
    s = opened();
    assert_int_equal(store_replay(s, task_a, "site", see, &got), MSFL_OK);
    assert_int_equal(got.n, 1);
    store_close(s);
}

static void test_one_process(void **state) {
    (void)state;
    store *s = opened(), *other;
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(store_open(path, &other) == MSFL_ERR_EXISTS && strstr(msfl_error_message(), "in use") ? 0 : 1);
    int code;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    store_close(s);
    assert_int_equal(store_open("/nowhere/state.db", &s), MSFL_ERR_MISSING);
    assert_null(s);
}

/* A file that may not grow stands for a full disk: what is reported as kept is kept, and the rest is not there. */
static void test_full(void **state) {
    (void)state;
    static seen got;
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGXFSZ, SIG_IGN);
        struct rlimit limit = {300000, 300000};
        store *s;
        if (store_open(path, &s) != MSFL_OK || setrlimit(RLIMIT_FSIZE, &limit) != 0) _exit(1);
        for (uint32_t i = 0; i < 100; i++) {
            msfl_status status = append(s, task_a, "site", i, 20000);
            if (status == MSFL_OK) {
                if (write(pipes[1], &i, sizeof i) != sizeof i) _exit(2);
            } else {
                _exit(status == MSFL_ERR_IO ? 0 : 3);
            }
        }
        _exit(4);
    }
    int code;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_int_equal(code, 0);
    close(pipes[1]);
    uint32_t n = 0, value;
    while (read(pipes[0], &value, sizeof value) == sizeof value)
        n++;
    close(pipes[0]);
    assert_in_range(n, 3, 99);
    store *s = opened();
    memset(&got, 0, sizeof got);
    assert_int_equal(store_replay(s, task_a, "site", see, &got), MSFL_OK);
    assert_int_equal(got.n, n);
    store_close(s);
}

static void test_damage(void **state) {
    (void)state;
    static seen got;
    store *s = opened();
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(append(s, task_a, "site", i, 3000), MSFL_OK);
    store_close(s);
    uint8_t *bytes;
    size_t length, noticed = 0, tries = 0;
    assert_int_equal(msfl_file_read(path, 1 << 24, &bytes, &length), MSFL_OK);
    for (size_t at = 5; at < length; at += 997, tries++) {
        bytes[at] ^= 0x41;
        assert_int_equal(msfl_file_write_private(path, bytes, length), MSFL_OK);
        memset(&got, 0, sizeof got);
        msfl_status status = store_open(path, &s);
        if (status == MSFL_OK) {
            status = store_replay(s, task_a, "site", see, &got);
            store_close(s);
        }
        if (status == MSFL_OK) { /* in a hole of the file: then nothing may be missing or changed */
            assert_int_equal(got.n, 20);
            for (uint32_t i = 0; i < 20; i++)
                assert_int_equal(got.values[i], i);
        } else {
            noticed++;
            assert_true(status == MSFL_ERR_FORMAT || status == MSFL_ERR_IO || status == MSFL_ERR_UNSUPPORTED);
        }
        bytes[at] ^= 0x41;
    }
    assert_true(noticed * 2 > tries);
    /* cut off, and something else altogether */
    assert_int_equal(msfl_file_write_private(path, bytes, length / 2), MSFL_OK);
    assert_int_equal(store_open(path, &s), MSFL_ERR_FORMAT);
    memset(bytes, 'x', length);
    assert_int_equal(msfl_file_write_private(path, bytes, length), MSFL_OK);
    assert_int_equal(store_open(path, &s), MSFL_ERR_FORMAT);
    msfl_free(bytes);
}

/* Whatever allocation fails, ours or SQLite's: a step is done and reported so, or is not there. */
static void test_memory(void **state) {
    (void)state;
    static seen got;
    uint32_t kept = 0;
    bool failed = true;
    for (long k = 1; failed && k < 3000; k += k < 200 ? 1 : 7) {
        store *s = NULL;
        uint8_t *bytes = NULL;
        size_t length;
        msfl_alloc_fail_at(k);
        msfl_status status = store_open(path, &s);
        if (status == MSFL_OK) {
            status = append(s, task_a, "site", kept, 5000);
            if (status == MSFL_OK) kept++;
        }
        if (status == MSFL_OK) status = store_begin(s);
        if (status == MSFL_OK) {
            status = append(s, task_a, "site", kept, 100);
            if (status == MSFL_OK) {
                status = store_commit(s);
                if (status == MSFL_OK) kept++;
            } else {
                store_rollback(s);
            }
        }
        if (status == MSFL_OK) status = store_get(s, "nothing", &bytes, &length);
        memset(&got, 0, sizeof got);
        if (status == MSFL_OK) status = store_replay(s, task_a, "site", see, &got);
        store_close(s);
        msfl_alloc_fail_at(0);
        failed = status != MSFL_OK;
        if (failed) assert_true(status == MSFL_ERR_MEMORY || status == MSFL_ERR_IO);
        s = opened();
        memset(&got, 0, sizeof got);
        assert_int_equal(store_replay(s, task_a, "site", see, &got), MSFL_OK);
        assert_int_equal(got.n, kept);
        for (uint32_t i = 0; i < kept; i++)
            assert_int_equal(got.values[i], i);
        store_close(s);
    }
    assert_false(failed);
}

/* kill -9 while records are appended: every acknowledged one is there, in order, and at most one more. */
static void test_kill(void **state) {
    (void)state;
    static seen got;
    uint32_t next = 0;
    for (int round = 0; round < 12; round++) {
        int pipes[2];
        assert_int_equal(pipe(pipes), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            store *s;
            if (store_open(path, &s) != MSFL_OK) _exit(1);
            for (uint32_t i = next; i < 4000; i++) {
                if (append(s, task_a, "site", i, 4 + i % 7 * 900) != MSFL_OK) _exit(2);
                if (write(pipes[1], &i, sizeof i) != sizeof i) _exit(3);
            }
            pause();
        }
        close(pipes[1]);
        uint32_t value = next, n = 0;
        const uint32_t wanted = 3 + (uint32_t)round * 2;
        while (n < wanted && read(pipes[0], &value, sizeof value) == sizeof value)
            n++;
        struct timespec moment = {0, 137000 * round};
        (void)nanosleep(&moment, NULL);
        kill(child, SIGKILL);
        int code;
        assert_int_equal(waitpid(child, &code, 0), child);
        assert_true(WIFSIGNALED(code));
        while (read(pipes[0], &value, sizeof value) == sizeof value) {
        }
        close(pipes[0]);
        store *s = opened();
        memset(&got, 0, sizeof got);
        assert_int_equal(store_replay(s, task_a, "site", see, &got), MSFL_OK);
        assert_in_range(got.n, value + 1, value + 2);
        for (uint32_t i = 0; i < got.n; i++)
            assert_int_equal(got.values[i], i);
        next = (uint32_t)got.n;
        store_close(s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_values, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_together, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_one_process, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_full, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_damage, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_memory, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_kill, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
