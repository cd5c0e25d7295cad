/* A folder of its own for each test, cheap locks, and short words for what every test does. */
#ifndef MSFL_TEST_VAULT_FOLDER_H
#define MSFL_TEST_VAULT_FOLDER_H

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "base/sodium.h"
#include "vault/keyfile.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static inline void ok_at(msfl_status status, const char *file, int line) {
    if (status != MSFL_OK) print_error("%s: %s\n", msfl_status_name(status), msfl_error_message());
    _assert_int_equal(status, MSFL_OK, file, line);
}
#define ok(call) ok_at(call, __FILE__, __LINE__)

static inline void fails_at(msfl_status status, msfl_status wanted, const char *text, const char *file, int line) {
    if (status != wanted || strstr(msfl_error_message(), text) == NULL) {
        print_error("%s: %s (not: %s)\n", msfl_status_name(status), msfl_error_message(), text);
    }
    _assert_int_equal(status, wanted, file, line);
    _assert_true(strstr(msfl_error_message(), text) != NULL, "message", file, line);
}
#define fails(call, wanted, text) fails_at(call, wanted, text, __FILE__, __LINE__)

static inline int folder_setup(void **state) {
    static char folder[64];
    /* In memory where there is such a place: these tests sync thousands of times. */
    snprintf(folder, sizeof folder, "%s/msfl-test-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(folder) == NULL) return -1;
    vault_lock_cost(1, (uint64_t)8 << 20);
    *state = folder;
    return msfl_crypto_init() == MSFL_OK ? 0 : -1;
}

static inline int folder_teardown(void **state) {
    char command[128];
    msfl_alloc_fail_at(0);
    msfl_file_fault_at(0, false);
    snprintf(command, sizeof command, "rm -rf '%s'", (const char *)*state);
    return system(command) == 0 ? 0 : -1;
}

/* folder/name; the same text is the same string, for ever. */
static inline const char *at(const char *folder, const char *name) {
    static char paths[2000][200];
    static size_t n;
    char joined[200];
    int length = snprintf(joined, sizeof joined, "%s/%s", folder, name);
    assert_in_range(length, 1, (int)sizeof joined - 1);
    for (size_t i = 0; i < n; i++)
        if (strcmp(paths[i], joined) == 0) return paths[i];
    assert_in_range(n, 0, 1999);
    return memcpy(paths[n++], joined, sizeof joined);
}

#endif
