/* Writing a folder: what is refused, what may be repeated, and that a failure at any step leaves it as it was. */
#include "stage.h"

static uint8_t *message_of(msfl_buffer *b, size_t *length) {
    *length = b->length;
    return b->bytes;
}

static void test_refusals(void **state) {
    const char *folder = *state;
    static stage s;
    stage_play(&s, folder);
    shelf hub, a;
    shelf_load(&hub, at(folder, "audit-hub"));
    shelf_load(&a, at(folder, "audit-a"));
    msfl_audit_writer *w;
    const char *path = at(folder, "audit-a");
    fails(msfl_audit_writer_open(path, (const uint8_t *)"{}", 2, &w), MSFL_ERR_MISMATCH, "says something else");
    assert_null(w);
    ok(msfl_audit_writer_open(path, (const uint8_t *)STAGE_JOB, STAGE_JOB_BYTES, &w));
    uint8_t head[32], zero[32] = {0};
    assert_int_equal(msfl_audit_writer_head(w, head), 4);
    assert_memory_not_equal(head, zero, 32);
    fails(msfl_audit_add_roster(w, 2, "other", 5), MSFL_ERR_MISMATCH, "says something else");
    fails(msfl_audit_add_roster(w, 0, "other", 5), MSFL_ERR_USAGE, "epoch 0");
    size_t n;
    uint8_t *record = shelf_get(&hub, "000002.transcript", &n);
    ok(msfl_audit_add_record(w, record, n));
    record[n - 1] ^= 1; /* of the same round, with another signature */
    fails(msfl_audit_add_record(w, record, n), MSFL_ERR_MISMATCH, "says something else");
    fails(msfl_audit_add_record(w, record, 100), MSFL_ERR_FORMAT, "record-malformed");
    /* a record of another job */
    msfl_audit_writer *foreign;
    ok(msfl_audit_writer_open(at(folder, "foreign"), (const uint8_t *)"{}", 2, &foreign));
    fails(msfl_audit_add_record(foreign, record, n), MSFL_ERR_MISMATCH, "another job");
    assert_int_equal(msfl_audit_writer_head(foreign, head), 0);
    /* uploads and receipts */
    pki_roster *pki;
    msfl_roster *roster;
    char *text;
    size_t length;
    pki_kit *kit;
    ok(pki_kit_load(at(folder, "kits/a"), NULL, (int64_t)time(NULL), &kit));
    uint8_t *raw = shelf_get(&a, "roster-2.yaml", &length);
    text = (char *)raw;
    ok(pki_roster_parse("r", text, length, kit->config.consortium, &pki));
    ok(pki_roster_round(pki, &roster));
    audit_statement kept;
    uint8_t *paper = shelf_get(&a, "000001.statement", &length);
    ok(audit_statement_read("s", paper, length, &kept));
    msfl_buffer announce = {0}, upload = {0};
    msfl_frame_put(&announce, MSFL_MSG_ANNOUNCE, MSFL_COORDINATOR, kept.round_id);
    msfl_put_bytes(&announce, kept.announce, MSFL_ANNOUNCE_BODY);
    msfl_frame_put(&upload, MSFL_MSG_UPLOAD, 0, kept.round_id);
    msfl_put_bytes(&upload, kept.statement, kept.length);
    size_t announce_n, upload_n;
    uint8_t *am = message_of(&announce, &announce_n), *um = message_of(&upload, &upload_n);
    ok(msfl_audit_add_upload(w, roster, am, announce_n, um, upload_n));
    fails(msfl_audit_add_upload(foreign, roster, am, announce_n, um, upload_n), MSFL_ERR_MISMATCH, "another job");
    fails(msfl_audit_add_upload(w, roster, um, upload_n, am, announce_n), MSFL_ERR_FORMAT, "no announcement");
    fails(msfl_audit_add_upload(w, roster, am, announce_n - 1, um, upload_n), MSFL_ERR_FORMAT, "no announcement");
    um[upload_n - 1] ^= 1;
    fails(msfl_audit_add_upload(w, roster, am, announce_n, um, upload_n), MSFL_ERR_CRYPTO, "statement-changed");
    uint8_t *receipt = shelf_get(&a, "000001.receipt", &length);
    ok(msfl_audit_add_receipt(w, roster, receipt, length));
    fails(msfl_audit_add_receipt(foreign, roster, receipt, length), MSFL_ERR_MISSING, "no statement was kept");
    fails(msfl_audit_add_receipt(w, roster, receipt, length - 1), MSFL_ERR_FORMAT, "receipt-malformed");
    receipt[48 + 8] = 0; /* no receipt, but an acknowledgement: passed over */
    ok(msfl_audit_add_receipt(foreign, roster, receipt, length));
    /* a receipt that is not for this upload */
    receipt[48 + 8] = 1;
    receipt[length - 1] ^= 1;
    assert_int_equal(unlink(at(path, "000001.receipt")), 0);
    msfl_audit_writer_free(w);
    ok(msfl_audit_writer_open(path, (const uint8_t *)STAGE_JOB, STAGE_JOB_BYTES, &w));
    fails(msfl_audit_add_receipt(w, roster, receipt, length), MSFL_ERR_CRYPTO, "receipt-changed");
    msfl_audit_writer_free(w);
    /* a folder in which files were exchanged is not written to */
    assert_int_equal(rename(at(path, "000002.transcript"), at(path, "x")), 0);
    assert_int_equal(rename(at(path, "000003.transcript"), at(path, "000002.transcript")), 0);
    fails(msfl_audit_writer_open(path, (const uint8_t *)STAGE_JOB, STAGE_JOB_BYTES, &w), MSFL_ERR_FORMAT,
          "does not follow");
    msfl_audit_writer_free(foreign);
    msfl_buffer_clear(&announce);
    msfl_buffer_clear(&upload);
    msfl_roster_free(roster);
    msfl_free(pki);
    pki_kit_free(kit);
    shelf_clear(&hub);
    shelf_clear(&a);
}

static void remove_folder(const char *path) {
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%.200s'", path);
    assert_int_equal(system(command), 0);
}

/* The whole folder again, file by file, with a failure at every step: afterwards it verifies as far as it goes, and the
 * same calls complete it. */
static void test_failures(void **state) {
    const char *folder = *state;
    static stage s;
    stage_play(&s, folder);
    shelf hub;
    shelf_load(&hub, at(folder, "audit-hub"));
    const char *copy = at(folder, "copy");
    for (int kind = 0; kind < 2; kind++) { /* memory, then files */
        bool done = false;
        for (long k = 1; !done; k++) {
            msfl_audit_writer *w = NULL;
            if (kind == 0) msfl_alloc_fail_at(k);
            if (kind == 1) msfl_file_fault_at(k, false);
            msfl_status status = msfl_audit_writer_open(copy, (const uint8_t *)STAGE_JOB, STAGE_JOB_BYTES, &w);
            for (size_t i = 0; status == MSFL_OK && i < hub.n; i++) {
                uint32_t number;
                const audit_kind what = audit_name_read(hub.names[i], &number);
                if (what == AUDIT_ROSTER) {
                    status = msfl_audit_add_roster(w, number, (const char *)hub.bytes[i], hub.length[i]);
                }
                if (what == AUDIT_RECORD) status = msfl_audit_add_record(w, hub.bytes[i], hub.length[i]);
            }
            msfl_alloc_fail_at(0);
            msfl_file_fault_at(0, false);
            msfl_audit_writer_free(w);
            done = status == MSFL_OK;
            if (!done) assert_int_equal(status, kind == 0 ? MSFL_ERR_MEMORY : MSFL_ERR_IO);
            const msfl_audit_options nobody = {0};
            msfl_audit *audit = NULL;
            if (msfl_file_exists(at(copy, "job.json")) && msfl_file_exists(at(copy, "roster-3.yaml"))) {
                ok(msfl_audit_verify(copy, &nobody, &audit));
                if (done) assert_int_equal(msfl_audit_borrow(audit)->n_rounds, 4);
                msfl_audit_free(audit);
            }
            assert_in_range(k, 1, 5000);
            if (done || (kind == 1 && k % 2 == 0)) remove_folder(copy); /* from nothing again; else go on */
        }
    }
    shelf_clear(&hub);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refusals, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(test_failures, folder_setup, folder_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
