/* What tests of keys and ciphertexts in files start from. */
#ifndef MSFL_TEST_VAULT_COMMON_H
#define MSFL_TEST_VAULT_COMMON_H

#include "folder.h"

#include "base/bytes.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "medsecurefl/he.h"
#include "vault/head.h"
#include "vault/keystore.h"
#include "vault/stream.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PASSPHRASE "five random words are good"

static inline msfl_unlock *passphrase_of(const char *text) {
    msfl_unlock *unlock;
    ok(msfl_unlock_passphrase(text, strlen(text), &unlock));
    return unlock;
}

/* Small and quick: a few values, few addends. */
static inline msfl_key_spec small_spec(const char *scheme) {
    msfl_key_spec spec = msfl_key_spec_default();
    spec.scheme = scheme;
    spec.request.n_clients = 4;
    spec.request.n_values = 100;
    if (strcmp(scheme, "paillier") == 0) spec.request.security_bits = 112;
    return spec;
}

#endif
