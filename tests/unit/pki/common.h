/* A folder of its own for each test, and short words for what every test does. */
#ifndef MSFL_TEST_PKI_COMMON_H
#define MSFL_TEST_PKI_COMMON_H

#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "medsecurefl/provision.h"
#include "pki/authority.h"
#include "pki/gate.h"
#include "vault/unlock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const char PLAN[] = "federation: chest\n"
                           "coordinator:\n"
                           "  name: hub\n"
                           "  url: https://hub.example:8443\n"
                           "  hosts: [127.0.0.1]\n"
                           "hospitals:\n"
                           "  - name: a\n"
                           "  - name: b\n"
                           "  - name: c\n"
                           "    keys: on-site\n";

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
    snprintf(folder, sizeof folder, "%s/msfl-pki-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
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

static inline void write_text(const char *path, const char *text) {
    ok(msfl_file_write(path, text, strlen(text)));
}

static inline msfl_provision_result found(const char *folder, const msfl_provision_options *options) {
    msfl_provision_result result;
    write_text(at(folder, "plan.yaml"), PLAN);
    ok(msfl_provision_create(at(folder, "plan.yaml"), at(folder, "kits"), options, &result));
    return result;
}

static inline pki_roster *roster_of(const char *folder) {
    char *text;
    size_t length;
    pki_roster *roster;
    pki_identity *consortium;
    ok(pki_identity_read(at(folder, "kits/ca/consortium.key"), PKI_FILE_CONSORTIUM, NULL, &consortium));
    ok(pki_folder_read(at(folder, "kits/ca"), PKI_FILE_ROSTER, 1 << 18, &text, &length));
    ok(pki_roster_parse("roster", text, length, consortium->sign, &roster));
    msfl_secret_free(consortium);
    msfl_free(text);
    return roster;
}

#endif
