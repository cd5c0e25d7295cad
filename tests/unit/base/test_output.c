/* Files that appear whole or not at all: among files that others put there, beside other writers, under any umask. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"

#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { NUMBERS = 1000 /* of temporary names that one process uses for a path */ };

static char folder[64], path[96];

static int setup(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "%s/msfl-output-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(folder) == NULL) return -1;
    snprintf(path, sizeof path, "%s/out", folder);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? 0 : -1;
}

static void assert_holds(const char *file, const char *text) {
    uint8_t *bytes;
    size_t length;
    assert_int_equal(msfl_file_read(file, 1 << 20, &bytes, &length), MSFL_OK);
    assert_int_equal(length, strlen(text));
    assert_memory_equal(bytes, text, length);
    msfl_free(bytes);
}

static const char *temporary(int number) {
    static char name[160];
    snprintf(name, sizeof name, "%s" MSFL_PARTIAL "%ld%03d", path, (long)getpid(), number);
    return name;
}

/* Whoever guesses the temporary name and puts a file there, or a link to somebody's, neither gets to read what is
 * written nor has it written over what the link points to. */
static void planted_files_are_left_alone(void **state) {
    (void)state;
    char victim[96];
    snprintf(victim, sizeof victim, "%s/victim", folder);
    assert_int_equal(msfl_file_write(victim, "precious", 8), MSFL_OK);
    for (int free_one = 0; free_one < 2; free_one++) {
        for (int i = 0; i < NUMBERS; i++) {
            (void)unlink(temporary(i));
            if (free_one && i == 417) continue;
            int done = i % 3 == 0   ? symlink(victim, temporary(i))
                       : i % 3 == 1 ? link(victim, temporary(i))
                                    : symlink("nowhere", temporary(i));
            assert_int_equal(done, 0);
        }
        msfl_status status = msfl_file_write_private(path, "secret", 6);
        assert_holds(victim, "precious");
        assert_int_equal(access("nowhere", F_OK), -1);
        if (free_one) {
            assert_int_equal(status, MSFL_OK);
            assert_holds(path, "secret");
            struct stat info;
            assert_int_equal(lstat(path, &info), 0);
            assert_true(S_ISREG(info.st_mode) && info.st_nlink == 1 && (info.st_mode & 0777) == 0600);
        } else {
            assert_int_equal(status, MSFL_ERR_EXISTS);
            assert_false(msfl_file_exists(path));
        }
    }
}

static void any_umask(void **state) {
    (void)state;
    static const mode_t masks[] = {0, 022, 077, 0777};
    for (size_t i = 0; i < sizeof masks / sizeof masks[0]; i++) {
        struct stat info;
        mode_t before = umask(masks[i]);
        msfl_status status = msfl_file_write_private(path, "secret", 6);
        umask(before);
        assert_int_equal(status, MSFL_OK);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0600);
        before = umask(masks[i]);
        status = msfl_file_write(path, "public", 6);
        umask(before);
        assert_int_equal(status, MSFL_OK);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0644 & ~masks[i]);
    }
}

/* --- many writers --- */

enum { WRITERS = 8, PIECES = 200, REPEATS = 20 };

static void *write_alike(void *letter) {
    char piece[64];
    memset(piece, *(const char *)letter, sizeof piece);
    for (int k = 0; k < REPEATS; k++) {
        msfl_output *output;
        msfl_status status = msfl_output_open(path, MSFL_OUTPUT_REPLACE, &output);
        for (int i = 0; status == MSFL_OK && i < PIECES; i++)
            status = msfl_output_write(output, piece, sizeof piece);
        if (status == MSFL_OK) status = msfl_output_commit(output);
        msfl_output_free(output);
        if (status != MSFL_OK) return letter;
    }
    return NULL;
}

/* What is in place is always the whole of one of them, never a mixture and never a beginning. */
static void writers_do_not_mix(void **state) {
    (void)state;
    pthread_t threads[WRITERS];
    char letters[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        letters[i] = (char)('a' + i);
        assert_int_equal(pthread_create(&threads[i], NULL, write_alike, &letters[i]), 0);
    }
    for (int k = 0; k < 200; k++) {
        uint8_t *bytes;
        size_t length;
        if (msfl_file_read(path, 1 << 20, &bytes, &length) != MSFL_OK) continue; /* not yet */
        assert_int_equal(length, PIECES * 64);
        for (size_t i = 1; i < length; i++)
            assert_int_equal(bytes[i], bytes[0]);
        msfl_free(bytes);
    }
    for (int i = 0; i < WRITERS; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    size_t entries = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        entries++;
    closedir(dir);
    assert_int_equal(entries, 3); /* itself, its parent, the file: nothing was left behind */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(planted_files_are_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(any_umask, setup, teardown),
        cmocka_unit_test_setup_teardown(writers_do_not_mix, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
