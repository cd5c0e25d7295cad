/* The steps of an authority, kits, seals, the gate; with failing memory and failing files. */
#include "common.h"

static const msfl_provision_options PLAIN;

static msfl_unlock *passphrase_of(const char *text) {
    msfl_unlock *unlock;
    ok(msfl_unlock_passphrase(text, strlen(text), &unlock));
    return unlock;
}

static void test_life(void **state) {
    const char *folder = *state;
    msfl_provision_result r = found(folder, &PLAIN);
    assert_int_equal(r.n_parties, 3);
    assert_int_equal(r.n_kits, 3);
    assert_int_equal(r.n_waiting, 1);
    assert_int_equal(r.epoch, 2);
    char name[41];
    int64_t until;
    msfl_provision_party *parties;
    uint32_t n;
    ok(msfl_provision_list(at(folder, "kits/a"), &r, &parties, &n));
    assert_int_equal(n, 4);
    assert_false(parties[2].is_awaited);
    assert_true(parties[3].is_awaited);
    assert_string_equal(parties[3].name, "c");
    msfl_provision_parties_free(parties);
    ok(msfl_provision_check(at(folder, "kits/a"), NULL, 0, name, &until, &r));
    assert_string_equal(name, "a");
    ok(msfl_provision_create(at(folder, "plan.yaml"), at(folder, "kits"), &PLAIN, &r)); /* again: nothing to do */
    assert_int_equal(r.epoch, 2);
    assert_int_equal(r.n_kits, 0);
    uint8_t fingerprint[16];
    ok(msfl_provision_request("chest", "c", "hospital", at(folder, "c"), NULL, fingerprint));
    fails(msfl_provision_approve(at(folder, "c/c.request"), at(folder, "kits/ca"), at(folder, "kits/c"), fingerprint,
                                 true, &PLAIN, &r),
          MSFL_ERR_MISSING, "nothing to rotate");
    ok(msfl_provision_approve(at(folder, "c/c.request"), at(folder, "kits/ca"), at(folder, "kits/c"), fingerprint,
                              false, &PLAIN, &r));
    assert_int_equal(r.epoch, 3);
    assert_false(msfl_file_exists(at(folder, "kits/c/tls.key")));
    fails(msfl_provision_approve(at(folder, "c/c.request"), at(folder, "kits/ca"), at(folder, "kits/c9"), NULL, false,
                                 &PLAIN, &r),
          MSFL_ERR_EXISTS, "--rotate");
    uint8_t other[16];
    ok(msfl_provision_request("heart", "d", "hospital", at(folder, "d"), NULL, other));
    fails(msfl_provision_approve(at(folder, "d/d.request"), at(folder, "kits/ca"), at(folder, "kits/d"), NULL, false,
                                 &PLAIN, &r),
          MSFL_ERR_MISMATCH, "heart");
    ok(msfl_provision_request("chest", "hub2", "coordinator", at(folder, "h2"), NULL, other));
    fails(msfl_provision_approve(at(folder, "h2/hub2.request"), at(folder, "kits/ca"), at(folder, "kits/h2"), NULL,
                                 false, &PLAIN, &r),
          MSFL_ERR_POLICY, "has a coordinator");
    ok(msfl_provision_rotate(at(folder, "kits/ca"), "a", at(folder, "kits/a2"), &PLAIN, &r));
    pki_roster *roster = roster_of(folder);
    assert_int_equal(pki_roster_find(roster, "a")->n_certificates, 2);
    msfl_free(roster);
    ok(msfl_provision_revoke(at(folder, "kits/ca"), "a", true, "old", &PLAIN, &r));
    fails(msfl_provision_revoke(at(folder, "kits/ca"), "a", true, "old", &PLAIN, &r), MSFL_ERR_MISSING, "no such");
    ok(msfl_provision_revoke(at(folder, "kits/ca"), "a", false, "gone", &PLAIN, &r));
    ok(msfl_provision_list(at(folder, "kits/ca"), &r, &parties, &n));
    assert_int_equal(n, 4);
    assert_int_equal(parties[1].n_certificates, 0);
    msfl_provision_parties_free(parties);
    ok(msfl_provision_check(at(folder, "kits/b"), NULL, 0, name, &until, &r)); /* untouched all the while */
    /* what was revoked is left out once it has expired */
    msfl_provision_options later = {.now = (int64_t)time(NULL) + 400 * 86400};
    ok(msfl_provision_rotate(at(folder, "kits/ca"), "b", at(folder, "kits/b2"), &later, &r));
    roster = roster_of(folder);
    assert_int_equal(roster->n_revoked, 0);
    assert_int_equal(pki_roster_find(roster, "b")->n_certificates, 1);
    msfl_free(roster);
}

static void test_kit_errors(void **state) {
    const char *folder = *state;
    char name[41];
    int64_t until, now = (int64_t)time(NULL);
    msfl_provision_result r = found(folder, &PLAIN);
    const char *a = at(folder, "kits/a");
#define CHECK(when, status, text) fails(msfl_provision_check(a, NULL, when, name, &until, &r), status, text)
    CHECK(now + 366 * 86400, MSFL_ERR_POLICY, "certificate-expired");
    CHECK(now - 3600, MSFL_ERR_POLICY, "certificate-not-yet-valid");
    assert_int_equal(chmod(at(a, "tls.key"), 0640), 0);
    CHECK(0, MSFL_ERR_POLICY, "can be used by others");
    assert_int_equal(chmod(at(a, "tls.key"), 0600), 0);
    char *text;
    size_t length;
#define SWAP(file, from, status, message)                                                                              \
    ok(pki_folder_read(a, file, 1 << 18, &text, &length));                                                             \
    {                                                                                                                  \
        char *foreign;                                                                                                 \
        size_t foreign_length;                                                                                         \
        ok(pki_folder_read(at(folder, from), file, 1 << 18, &foreign, &foreign_length));                               \
        ok(msfl_file_write_private(at(a, file), foreign, foreign_length));                                             \
        CHECK(0, status, message);                                                                                     \
        msfl_free(foreign);                                                                                            \
    }                                                                                                                  \
    ok(msfl_file_write_private(at(a, file), text, length));                                                            \
    msfl_free(text)
    SWAP("tls.key", "kits/b", MSFL_ERR_MISMATCH, "private key does not belong");
    SWAP("tls.pem", "kits/b", MSFL_ERR_MISMATCH, "the certificate is that of 'b'");
    SWAP("identity.key", "kits/b", MSFL_ERR_MISMATCH, "not the identity");
    ok(msfl_folder_make(at(folder, "two")));
    write_text(at(folder, "two/plan.yaml"), PLAN);
    msfl_provision_result two;
    ok(msfl_provision_create(at(folder, "two/plan.yaml"), at(folder, "two/kits"), &PLAIN, &two));
    SWAP("ca.pem", "two/kits/a", MSFL_ERR_CRYPTO, "certificate-of-another-authority");
    SWAP("tls.pem", "two/kits/a", MSFL_ERR_CRYPTO, "certificate-of-another-authority");
    SWAP("roster.yaml", "two/kits/a", MSFL_ERR_CRYPTO, "not signed");
    ok(msfl_provision_revoke(at(folder, "kits/ca"), "a", false, "stolen", &PLAIN, &two));
    SWAP("roster.yaml", "kits/ca", MSFL_ERR_POLICY, "certificate-revoked");
    ok(msfl_provision_check(a, NULL, 0, name, &until, &r));
    assert_int_equal(unlink(at(a, "roster.yaml")), 0);
    CHECK(0, MSFL_ERR_MISSING, "roster.yaml");
#undef SWAP
#undef CHECK
}

static void test_seals(void **state) {
    const char *folder = *state;
    msfl_unlock *authority = passphrase_of("five random words are good"), *kits = passphrase_of("and five others too");
    msfl_provision_options options = {.authority = authority, .kits = kits};
    msfl_provision_result r = found(folder, &options);
    char name[41];
    int64_t until;
    ok(msfl_provision_check(at(folder, "kits/a"), kits, 0, name, &until, &r));
    fails(msfl_provision_check(at(folder, "kits/a"), NULL, 0, name, &until, &r), MSFL_ERR_USAGE,
          "it takes a passphrase");
    fails(msfl_provision_check(at(folder, "kits/a"), authority, 0, name, &until, &r), MSFL_ERR_CRYPTO, "does not open");
    fails(msfl_provision_rotate(at(folder, "kits/ca"), "a", at(folder, "x"), &PLAIN, &r), MSFL_ERR_USAGE, "sealed");
    uint8_t *bytes, *plain;
    size_t length, n;
    ok(msfl_file_read(at(folder, "kits/a/identity.key"), 8192, &bytes, &length));
    assert_true(pki_is_sealed(bytes, length));
    assert_int_equal(length, 72 + 44 + 16);
    ok(pki_unseal("k", PKI_FILE_IDENTITY, bytes, length, kits, &plain, &n));
    msfl_secret_free(plain);
    /* one kind of secret does not pass for another */
    fails(pki_unseal("k", PKI_FILE_KEY, bytes, length, kits, &plain, &n), MSFL_ERR_CRYPTO, "does not open");
    for (size_t i = 0; i < length; i++) {
        bytes[i] ^= 1;
        if (i < 8 || i >= 12) { /* the version and the lock are refused before any work */
            assert_int_not_equal(pki_unseal("k", PKI_FILE_IDENTITY, bytes, length, kits, &plain, &n), MSFL_OK);
            assert_null(plain);
        }
        bytes[i] ^= 1;
    }
    for (size_t i = 0; i < length; i++)
        assert_int_not_equal(pki_unseal("k", PKI_FILE_IDENTITY, bytes, i, kits, &plain, &n), MSFL_OK);
    msfl_free(bytes);
    msfl_unlock_free(authority);
    msfl_unlock_free(kits);
}

static void test_identity(void **state) {
    (void)state;
    /* From Python's hashlib and OpenSSL's program: H(label, seed), then `openssl pkey -pubout` of that. */
    uint8_t seed[32];
    pki_identity *a, *b;
    for (int i = 0; i < 32; i++)
        seed[i] = (uint8_t)i;
    ok(pki_identity_new(seed, &a));
    ok(pki_identity_new(seed, &b));
    assert_memory_equal(a, b, sizeof *a);
    char hex[65];
    msfl_hex(a->sign, 32, hex);
    assert_string_equal(hex, "5c3d847df7357f33cd47007745c9761158839790f1cac96821a82bdb1d2c6cbd");
    msfl_hex(a->box, 32, hex);
    assert_string_equal(hex, "1e6cc2a826276158e9f881d1f46edf8c2ecb40c2eb6adfeff492fcb070439419");
    msfl_secret_free(a);
    msfl_secret_free(b);
}

static void test_gate(void **state) {
    const char *folder = *state;
    (void)found(folder, &PLAIN);
    pki_kit *kit, *hub;
    pki_gate *gate;
    int64_t now = (int64_t)time(NULL);
    ok(pki_kit_load(at(folder, "kits/a"), NULL, now, &kit));
    ok(pki_kit_load(at(folder, "kits/hub"), NULL, now, &hub));
    ok(pki_gate_new(hub->ca, strlen(hub->ca), hub->roster, &gate));
    pki_peer peer;
    assert_int_equal(pki_gate_admit(gate, NULL, 0, now, &peer), PKI_NO_CERTIFICATE);
    assert_int_equal(pki_gate_admit(gate, (const uint8_t *)"junk", 4, now, &peer), PKI_MALFORMED);
    assert_int_equal(peer.name[0], 0);
    assert_string_equal(pki_verdict_name(PKI_OTHER_CA), "certificate-of-another-authority");
    pki_roster *wrong = pki_roster_new();
    memcpy(wrong, hub->roster, sizeof *wrong);
    wrong->authority[0] ^= 1;
    pki_gate *none;
    fails(pki_gate_new(hub->ca, strlen(hub->ca), wrong, &none), MSFL_ERR_MISMATCH, "another certificate authority");
    fails(pki_gate_replace(gate, wrong), MSFL_ERR_MISMATCH, "another federation");
    memcpy(peer.name, "a", 2);
    memcpy(peer.serial, kit->facts.serial, sizeof peer.serial);
    assert_true(pki_gate_still(gate, &peer));
    msfl_provision_result r;
    ok(msfl_provision_revoke(at(folder, "kits/ca"), "a", false, "", &PLAIN, &r));
    pki_roster *next = roster_of(folder);
    ok(pki_gate_replace(gate, next));
    assert_false(pki_gate_still(gate, &peer));
    fails(pki_gate_replace(gate, hub->roster), MSFL_ERR_POLICY, "cannot follow");
    assert_int_equal(pki_gate_epoch(gate), next->epoch);
    /* a kit takes a newer roster, and keeps it */
    char *text;
    size_t length;
    ok(pki_folder_read(at(folder, "kits/ca"), PKI_FILE_ROSTER, 1 << 18, &text, &length));
    const char digit = text[length - 2]; /* the last of the signature */
    text[length - 2] = digit == '0' ? '1' : '0';
    fails(pki_kit_take_roster(hub, at(folder, "kits/hub"), text, length), MSFL_ERR_CRYPTO, "not signed");
    text[length - 2] = digit;
    ok(pki_kit_take_roster(hub, at(folder, "kits/hub"), text, length));
    ok(pki_kit_take_roster(hub, at(folder, "kits/hub"), text, length));
    assert_int_equal(hub->roster->epoch, next->epoch);
    msfl_free(text);
    ok(pki_folder_read(at(folder, "kits/a"), PKI_FILE_ROSTER, 1 << 18, &text, &length));
    fails(pki_kit_take_roster(hub, at(folder, "kits/hub"), text, length), MSFL_ERR_POLICY, "cannot follow");
    msfl_free(text);
    pki_kit_free(hub);
    ok(pki_kit_load(at(folder, "kits/hub"), NULL, now, &hub));
    assert_int_equal(hub->roster->epoch, next->epoch);
    msfl_free(next);
    msfl_free(wrong);
    pki_gate_free(gate);
    pki_kit_free(kit);
    pki_kit_free(hub);
}

static int told;
static void stop_after_two(void *ctx, const msfl_event *event) {
    assert_string_equal(event->track, "kits");
    if (event->done == 2) *(int *)ctx = 1;
    told = (int)event->done;
}

/* A run that is stopped between two kits: what it made counts, and the next one makes the rest. */
static void test_stopped(void **state) {
    const char *folder = *state;
    int stop = 0;
    const msfl_observer observer = {.observe = stop_after_two, .ctx = &stop, .cancel = &stop};
    msfl_provision_options watched = {.observer = &observer};
    msfl_provision_result r;
    char name[41];
    int64_t until;
    write_text(at(folder, "plan.yaml"), PLAN);
    fails(msfl_provision_create(at(folder, "plan.yaml"), at(folder, "kits"), &watched, &r), MSFL_ERR_CANCELLED,
          "2 of 3 kits");
    assert_int_equal(told, 2);
    ok(msfl_provision_check(at(folder, "kits/a"), NULL, 0, name, &until, &r));
    assert_int_equal(r.n_parties, 2);
    assert_false(msfl_file_exists(at(folder, "kits/b")));
    ok(msfl_provision_create(at(folder, "plan.yaml"), at(folder, "kits"), &PLAIN, &r));
    assert_int_equal(r.n_kits, 1);
    assert_int_equal(r.n_parties, 3);
    ok(msfl_provision_check(at(folder, "kits/b"), NULL, 0, name, &until, &r));
}

static void test_operator(void **state) {
    const char *folder = *state;
    msfl_provision_result r;
    write_text(at(folder, "plan.yaml"),
               "federation: chest\ncoordinator: {name: hub, url: 'https://hub.example'}\n"
               "hospitals: [{name: a}, {name: b}]\noperators: [{name: eve}, {name: bot, keys: on-site}]\n");
    ok(msfl_provision_create(at(folder, "plan.yaml"), at(folder, "kits"), &PLAIN, &r));
    assert_int_equal(r.n_waiting, 1);
    assert_int_equal(r.n_awaited, 0); /* no round waits for an operator */
    assert_int_equal(r.n_hospitals, 2);
    pki_kit *kit;
    ok(pki_kit_load(at(folder, "kits/eve"), NULL, (int64_t)time(NULL), &kit));
    assert_int_equal(kit->config.role, PKI_OPERATOR);
    assert_string_equal(kit->facts.role, "operator");
    assert_true(kit->facts.for_client);
    assert_false(kit->facts.for_server);
    pki_kit_free(kit);
    char *text;
    size_t length;
    ok(pki_folder_read(at(folder, "kits/eve"), "README.txt", 8192, &text, &length));
    assert_non_null(strstr(text, "openssl pkcs12 -export"));
    msfl_free(text);
    ok(pki_folder_read(at(folder, "kits/a"), "README.txt", 8192, &text, &length));
    assert_null(strstr(text, "pkcs12"));
    msfl_free(text);
}

static void move_file(const char *folder, const char *from, const char *to) {
    assert_int_equal(rename(at(folder, from), at(folder, to)), 0);
}

/* Both kits are good, with one identity and two certificates. */
static void check_renewed(const char *folder, const char *one, const char *two, bool same_key) {
    int64_t now = (int64_t)time(NULL);
    pki_kit *a, *b;
    ok(pki_kit_load(at(folder, one), NULL, now, &a));
    ok(pki_kit_load(at(folder, two), NULL, now, &b));
    assert_memory_equal(a->identity->sign, b->identity->sign, 32);
    assert_memory_not_equal(a->facts.serial, b->facts.serial, 16);
    assert_true((memcmp(a->facts.key, b->facts.key, 32) == 0) == same_key);
    pki_kit_free(a);
    pki_kit_free(b);
}

/* A new certificate, the same identity: at the authority, and by a request of the site. */
static void test_renewal(void **state) {
    const char *folder = *state, *ca = at(folder, "kits/ca");
    msfl_provision_result r = found(folder, &PLAIN);
    uint8_t fingerprint[16];
    ok(msfl_provision_renew(ca, at(folder, "kits/a"), at(folder, "kits/a2"), false, &PLAIN, &r));
    assert_int_equal(r.epoch, 3);
    check_renewed(folder, "kits/a", "kits/a2", false);
    ok(msfl_provision_renew(ca, at(folder, "kits/b"), at(folder, "kits/b2"), true, &PLAIN, &r));
    check_renewed(folder, "kits/b", "kits/b2", true);
    pki_roster *roster = roster_of(folder);
    assert_int_equal(pki_roster_find(roster, "b")->n_certificates, 2);
    msfl_free(roster);
    /* by the site */
    ok(msfl_provision_request_renewal(at(folder, "kits/b"), at(folder, "site"), false, NULL, fingerprint));
    const char *request = at(folder, "site/b.request");
    fails(msfl_provision_request_renewal(at(folder, "kits/b"), at(folder, "site"), false, NULL, fingerprint),
          MSFL_ERR_EXISTS, "never overwritten");
    ok(msfl_provision_approve(request, ca, at(folder, "kits/b3"), NULL, MSFL_ROTATE_CERTIFICATE, &PLAIN, &r));
    move_file(folder, "site/tls.key", "kits/b3/tls.key");
    move_file(folder, "site/identity.key", "kits/b3/identity.key");
    check_renewed(folder, "kits/b2", "kits/b3", false);
    /* what is no renewal */
    ok(msfl_provision_request("chest", "a", "hospital", at(folder, "other"), NULL, fingerprint));
    request = at(folder, "other/a.request");
    fails(msfl_provision_approve(request, ca, at(folder, "kits/x"), NULL, MSFL_ROTATE_CERTIFICATE, &PLAIN, &r),
          MSFL_ERR_MISMATCH, "another identity");
    ok(msfl_provision_request("chest", "new", "hospital", at(folder, "new"), NULL, fingerprint));
    fails(msfl_provision_approve(at(folder, "new/new.request"), ca, at(folder, "kits/x"), NULL, MSFL_ROTATE_CERTIFICATE,
                                 &PLAIN, &r),
          MSFL_ERR_MISSING, "nothing to rotate");
    ok(msfl_provision_revoke(ca, "a", false, "stolen", &PLAIN, &r));
    fails(msfl_provision_renew(ca, at(folder, "kits/a2"), at(folder, "kits/a4"), false, &PLAIN, &r), MSFL_ERR_POLICY,
          "was revoked");
    ok(msfl_provision_approve(request, ca, at(folder, "kits/x"), NULL, MSFL_ROTATE_ALL, &PLAIN, &r));
}

/* Every allocation fails once, then every step that changes a file: the authority is as before or as after. */
static void test_failures(void **state) {
    const char *folder = *state;
    (void)found(folder, &PLAIN);
    msfl_provision_result r;
    char out[64], name[41];
    int64_t until;
    uint32_t epoch = 2;
    bool done = false;
    for (long k = 1; !done; k++) {
        snprintf(out, sizeof out, "kits/m%ld", k);
        msfl_alloc_fail_at(k);
        msfl_status status = msfl_provision_rotate(at(folder, "kits/ca"), "a", at(folder, out), &PLAIN, &r);
        msfl_alloc_fail_at(0);
        done = status == MSFL_OK;
        if (!done) assert_int_equal(status, MSFL_ERR_MEMORY);
        pki_roster *roster = roster_of(folder);
        assert_in_range(roster->epoch, epoch, epoch + 1);
        epoch = roster->epoch;
        msfl_free(roster);
        assert_in_range(k, 1, 5000);
    }
    ok(msfl_provision_check(at(folder, out), NULL, 0, name, &until, &r));
    for (long k = 1, last = 0; last == 0; k++) {
        snprintf(out, sizeof out, "kits/f%ld", k);
        msfl_file_fault_at(k, false);
        msfl_status status = msfl_provision_rotate(at(folder, "kits/ca"), "a", at(folder, out), &PLAIN, &r);
        msfl_file_fault_at(0, false);
        if (status == MSFL_OK) last = k;
        pki_roster *roster = roster_of(folder);
        assert_in_range(roster->epoch, epoch, epoch + 1);
        epoch = roster->epoch;
        msfl_free(roster);
        assert_in_range(k, 1, 500);
    }
    ok(msfl_provision_check(at(folder, "kits/b"), NULL, 0, name, &until, &r));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_life, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(test_kit_errors, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(test_seals, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(test_identity, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(test_gate, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(test_stopped, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(test_operator, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(test_renewal, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(test_failures, folder_setup, folder_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
