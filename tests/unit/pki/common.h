/* What tests of federations start from: a plan, and what was founded by it. */
#ifndef MSFL_TEST_PKI_COMMON_H
#define MSFL_TEST_PKI_COMMON_H

#include "../vault/folder.h"

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
