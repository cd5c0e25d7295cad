/* Files that an earlier version wrote (docs/formats/kit.md): every later one reads them. */
#include "common.h"

static char *read_golden(const char *name, size_t *length) {
    const char *source = getenv("MSFL_SOURCE");
    char *text, folder[512];
    snprintf(folder, sizeof folder, "%s/tests/golden-kit", source != NULL ? source : ".");
    ok(pki_folder_read(folder, name, 1 << 18, &text, length));
    return text;
}

static void test_golden(void **state) {
    (void)state;
    size_t n;
    pki_config *config = msfl_alloc(1, sizeof *config);
    char *text = read_golden("config.yaml", &n);
    ok(pki_config_parse("config", text, n, config));
    msfl_free(text);
    assert_string_equal(config->name, "a");
    pki_roster *roster;
    text = read_golden("roster.yaml", &n);
    ok(pki_roster_parse("roster", text, n, config->consortium, &roster));
    /* what is written now is what was written then, up to the signature */
    msfl_buffer again = {0};
    ok(pki_roster_text(roster, &again));
    assert_in_range(again.length, 100, n);
    assert_memory_equal(again.bytes, text, again.length);
    msfl_buffer_clear(&again);
    msfl_free(text);
    assert_int_equal(roster->epoch, 3);
    assert_string_equal(roster->revoked[0].reason, "the sample of a revocation");
    pki_anchor *anchor;
    text = read_golden("ca.pem", &n);
    ok(pki_anchor_new(text, n, &anchor));
    msfl_free(text);
    pki_facts facts;
    text = read_golden("tls.pem", &n);
    ok(pki_anchor_check(anchor, "tls.pem", text, n, roster->created, &facts));
    msfl_free(text);
    const pki_party *a = pki_roster_find(roster, "a");
    assert_memory_equal(a->certificates[0].key, facts.key, sizeof facts.key);
    assert_memory_equal(a->certificates[0].serial, facts.serial, sizeof facts.serial);
    pki_request *request = msfl_alloc(1, sizeof *request);
    text = read_golden("c.request", &n);
    ok(pki_request_parse("request", text, n, request));
    msfl_free(text);
    assert_string_equal(request->name, "c");
    msfl_unlock *unlock;
    uint8_t *plain;
    size_t length;
    pki_identity *identity;
    ok(msfl_unlock_passphrase("golden samples are public", 25, &unlock));
    text = read_golden("identity.sealed", &n);
    ok(pki_unseal("identity", PKI_FILE_IDENTITY, (const uint8_t *)text, n, unlock, &plain, &length));
    assert_int_equal(length, 44);
    ok(pki_identity_new(plain + 12, &identity));
    assert_memory_equal(identity->sign, a->sign, 32);
    assert_memory_equal(identity->box, a->box, 32);
    msfl_free(text);
    msfl_secret_free(identity);
    msfl_secret_free(plain);
    msfl_unlock_free(unlock);
    msfl_free(request);
    pki_anchor_free(anchor);
    msfl_free(roster);
    msfl_free(config);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_golden, folder_setup, folder_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
