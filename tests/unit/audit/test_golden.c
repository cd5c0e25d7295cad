/* Folders that an earlier version wrote (docs/formats/audit.md): every later one reads them, to the same effect.
 * `MSFL_WRITE_SAMPLES=1 audit_test_golden` writes them anew (only ever for a new version, beside the old ones). */
#include "stage.h"

static void golden_path(const char *name, char path[600]) {
    const char *source = getenv("MSFL_SOURCE");
    snprintf(path, 600, "%.400s/tests/golden-audit/%s", source != NULL ? source : ".", name);
}

static void write_folder(const char *from, const char *name) {
    shelf f;
    char folder[600], path[700];
    shelf_load(&f, from);
    golden_path(name, folder);
    ok(msfl_folder_make(folder));
    for (size_t i = 0; i < f.n; i++) {
        snprintf(path, sizeof path, "%s/%.60s", folder, f.names[i]);
        ok(msfl_file_write(path, f.bytes[i], f.length[i]));
    }
    shelf_clear(&f);
}

static void write_all(const char *folder) {
    static stage s;
    char path[600], hex[65];
    stage_play(&s, folder);
    write_folder(at(folder, "audit-hub"), "coordinator");
    write_folder(at(folder, "audit-a"), "hospital-a");
    pki_kit *kit;
    ok(pki_kit_load(at(folder, "kits/a"), NULL, (int64_t)time(NULL), &kit));
    msfl_hex(kit->config.consortium, 32, hex);
    golden_path("consortium", path);
    ok(msfl_file_write(path, hex, 64));
    pki_kit_free(kit);
}

static void test_golden(void **state) {
    if (getenv("MSFL_WRITE_SAMPLES") != NULL) write_all(*state);
    static const char *const names[] = {"coordinator", "hospital-a"};
    char path[600];
    uint8_t *hex, key[32], all[2][32], head[2][32];
    size_t length;
    golden_path("consortium", path);
    ok(msfl_file_read(path, 64, &hex, &length));
    assert_true(pki_hex_read((const char *)hex, key, 32));
    msfl_free(hex);
    for (int i = 0; i < 2; i++) {
        msfl_audit *audit;
        const msfl_audit_options o = {.consortium = key};
        golden_path(names[i], path);
        ok(msfl_audit_verify(path, &o, &audit));
        const msfl_audit_facts *f = msfl_audit_borrow(audit);
        assert_int_equal(f->n_opened, 3);
        assert_int_equal(f->n_aborted, 1);
        assert_string_equal(f->own, i == 0 ? "" : "a");
        assert_int_equal(msfl_audit_round_at(audit, 2)->own,
                         i == 0 ? MSFL_AUDIT_OWN_UNKNOWN : MSFL_AUDIT_OWN_CONFIRMED);
        memcpy(all[i], f->all, 32);
        msfl_audit_free(audit);
        /* and goes on from there */
        msfl_audit_writer *w;
        ok(msfl_audit_writer_open(path, (const uint8_t *)STAGE_JOB, STAGE_JOB_BYTES, &w));
        assert_int_equal(msfl_audit_writer_head(w, head[i]), 4);
        msfl_audit_writer_free(w);
    }
    assert_memory_equal(all[0], all[1], 32); /* what two parties compare */
    assert_memory_equal(head[0], head[1], 32);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_golden, folder_setup, folder_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
