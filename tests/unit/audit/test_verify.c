/* What a folder says when all is well, and the name of everything that can be wrong with one. */
#include "stage.h"

#include "audit/paper.h"
#include "round/coord.h"

static shelf hub, hospital, other; /* of the coordinator, of hospital a, of hospital d */
static pki_kit *kit_a, *kit_hub;
static uint8_t consortium[32];
static char stage_folder[64];

static int play(void **state) {
    void *folder = NULL;
    static stage s;
    (void)state;
    assert_int_equal(folder_setup(&folder), 0);
    snprintf(stage_folder, sizeof stage_folder, "%s", (const char *)folder);
    stage_play(&s, stage_folder);
    shelf_load(&hub, at(stage_folder, "audit-hub"));
    shelf_load(&hospital, at(stage_folder, "audit-a"));
    shelf_load(&other, at(stage_folder, "audit-d"));
    ok(pki_kit_load(at(stage_folder, "kits/a"), NULL, (int64_t)time(NULL), &kit_a));
    ok(pki_kit_load(at(stage_folder, "kits/hub"), NULL, (int64_t)time(NULL), &kit_hub));
    memcpy(consortium, kit_a->config.consortium, 32);
    return 0;
}

static int leave(void **state) {
    void *folder = stage_folder;
    (void)state;
    pki_kit_free(kit_a);
    pki_kit_free(kit_hub);
    shelf_clear(&hub);
    shelf_clear(&hospital);
    shelf_clear(&other);
    return folder_teardown(&folder);
}

static msfl_status verify_as(const shelf *f, const msfl_audit_options *o) {
    msfl_audit *audit;
    msfl_status status = audit_verify_folder(&f->view, o, "chest", &audit);
    assert_true((status == MSFL_OK) == (audit != NULL));
    msfl_audit_free(audit);
    return status;
}

static msfl_status verify(const shelf *f) {
    const msfl_audit_options o = {.consortium = consortium};
    return verify_as(f, &o);
}

/* The finding is the first word. */
#define finds(f, name)                                                                                                 \
    do {                                                                                                               \
        assert_int_not_equal(verify(f), MSFL_OK);                                                                      \
        if (strncmp(msfl_error_message(), name ": ", strlen(name) + 2) != 0)                                           \
            fail_msg("not %s: %s", name, msfl_error_message());                                                        \
    } while (0)

static void test_coordinators(void **state) {
    (void)state;
    msfl_audit *audit;
    const msfl_audit_options o = {.kit = at(stage_folder, "kits/hub")};
    ok(msfl_audit_verify(at(stage_folder, "audit-hub"), &o, &audit));
    const msfl_audit_facts *f = msfl_audit_borrow(audit);
    assert_string_equal(f->federation, "chest");
    assert_true(f->is_pinned);
    assert_string_equal(f->own, "");
    assert_int_equal(f->n_rounds, 4);
    assert_int_equal(f->n_opened, 3);
    assert_int_equal(f->n_aborted, 1);
    assert_int_equal(f->n_missing, 0);
    assert_int_equal(f->n_rosters, 2);
    assert_int_equal(f->epoch_first, 2);
    assert_int_equal(f->epoch_last, 3);
    assert_int_equal(f->custody, MSFL_CUSTODY_COMMITTEE);
    const msfl_audit_round *r = msfl_audit_round_at(audit, 0);
    assert_int_equal(r->number, 1);
    assert_int_equal(r->outcome, MSFL_OUTCOME_OPENED);
    assert_int_equal(r->n_cohort, 4);
    assert_string_equal(r->cohort[3], "d");
    assert_in_range(r->n_signers, 3, 4);
    assert_in_range(r->n_answerers, 3, 4);
    assert_string_equal(r->signers[0], "a");
    assert_string_equal(r->answerers[1], "b");
    assert_int_equal(r->own, MSFL_AUDIT_OWN_UNKNOWN);
    assert_int_equal(r->min_cohort, 3);
    assert_int_equal(r->model[5], 'a');
    r = msfl_audit_round_at(audit, 1);
    assert_int_equal(r->outcome, MSFL_OUTCOME_ABORTED);
    assert_string_equal(r->reason, "the sample of an abort");
    assert_int_equal(r->n_cohort, 0);
    r = msfl_audit_round_at(audit, 3);
    assert_int_equal(r->epoch, 3);
    assert_int_equal(r->number, 1);
    assert_memory_equal(r->record, f->head, 32);
    assert_null(msfl_audit_round_at(audit, 4));
    msfl_audit_free(audit);
    /* a hospital looks at the coordinator's folder: it has nothing there to compare with */
    const msfl_audit_options as_a = {.kit = at(stage_folder, "kits/a")};
    ok(msfl_audit_verify(at(stage_folder, "audit-hub"), &as_a, &audit));
    assert_int_equal(msfl_audit_round_at(audit, 0)->own, MSFL_AUDIT_OWN_LISTED);
    assert_int_equal(msfl_audit_round_at(audit, 1)->own, MSFL_AUDIT_OWN_ABSENT);
    msfl_audit_free(audit);
    /* nobody is believed but the folder: said so */
    const msfl_audit_options nobody = {0};
    ok(msfl_audit_verify(at(stage_folder, "audit-hub"), &nobody, &audit));
    assert_false(msfl_audit_borrow(audit)->is_pinned);
    assert_memory_equal(msfl_audit_borrow(audit)->consortium, consortium, 32);
    msfl_audit_free(audit);
    const msfl_audit_options wrong = {.own = "../x"};
    fails(msfl_audit_verify(at(stage_folder, "audit-hub"), &wrong, &audit), MSFL_ERR_FORMAT, "a name has");
    fails(msfl_audit_verify(at(stage_folder, "nowhere"), &nobody, &audit), MSFL_ERR_MISSING, "nowhere");
}

static void test_hospitals(void **state) {
    (void)state;
    msfl_audit *audit;
    const msfl_audit_options o = {.consortium = consortium};
    static const msfl_audit_own expected[] = {MSFL_AUDIT_OWN_CONFIRMED, MSFL_AUDIT_OWN_UNOPENED,
                                              MSFL_AUDIT_OWN_CONFIRMED, MSFL_AUDIT_OWN_CONFIRMED};
    ok(audit_verify_folder(&hospital.view, &o, NULL, &audit));
    assert_string_equal(msfl_audit_borrow(audit)->own, "a"); /* by its statements */
    for (uint32_t i = 0; i < 4; i++) {
        const msfl_audit_round *r = msfl_audit_round_at(audit, i);
        assert_int_equal(r->own, expected[i]);
        assert_true(r->acknowledged);
        if (r->own == MSFL_AUDIT_OWN_CONFIRMED) assert_memory_equal(r->sent, r->opened, 32);
    }
    msfl_audit_free(audit);
    /* d was away for one round, and is in the last roster no more */
    const msfl_audit_options gaps = {.consortium = consortium, .own = "d", .allow_gaps = true};
    finds(&other, "rounds-missing");
    ok(audit_verify_folder(&other.view, &gaps, "chest", &audit));
    assert_int_equal(msfl_audit_borrow(audit)->n_missing, 1);
    assert_int_equal(msfl_audit_round_at(audit, 0)->own, MSFL_AUDIT_OWN_CONFIRMED);
    assert_int_equal(msfl_audit_round_at(audit, 1)->own, MSFL_AUDIT_OWN_ABSENT);
    assert_int_equal(msfl_audit_round_at(audit, 2)->own, MSFL_AUDIT_OWN_UNKNOWN);
    msfl_audit_free(audit);
    shelf f;
    /* the record of an own upload never came */
    shelf_copy(&hospital, &f);
    shelf_drop(&f, "000002.transcript");
    finds(&f, "rounds-missing");
    ok(audit_verify_folder(&f.view, &(msfl_audit_options){.consortium = consortium, .allow_gaps = true}, "chest",
                           &audit));
    assert_int_equal(msfl_audit_borrow(audit)->n_missing, 1);
    assert_int_equal(msfl_audit_round_at(audit, 1)->own, MSFL_AUDIT_OWN_OPEN);
    assert_true(msfl_audit_round_at(audit, 1)->acknowledged);
    msfl_audit_free(audit);
    shelf_clear(&f);
    /* or not yet */
    shelf_copy(&hospital, &f);
    shelf_drop(&f, "000004.transcript");
    ok(verify(&f));
    shelf_clear(&f);
}

/* Files that are missing, exchanged, or none of a record. */
static void test_files(void **state) {
    (void)state;
    shelf f;
#define BROKEN(from, change, name)                                                                                     \
    shelf_copy(from, &f);                                                                                              \
    change;                                                                                                            \
    finds(&f, name);                                                                                                   \
    shelf_clear(&f)
    BROKEN(&hub, shelf_drop(&f, "job.json"), "job-missing");
    BROKEN(&hub, shelf_put(&f, "job.json", "{}", 2), "record-of-another-job");
    BROKEN(&hub, shelf_drop(&f, "roster-2.yaml"), "roster-missing");
    BROKEN(&hub, shelf_move(&f, "roster-2.yaml", "roster-4.yaml"), "roster-malformed");
    BROKEN(&hub, shelf_put(&f, "000001.transcript.bak", "", 0), "unknown-file");
    BROKEN(&hub, shelf_put(&f, "00001.transcript", "", 0), "unknown-file");
    BROKEN(&hub, shelf_put(&f, "roster-02.yaml", "", 0), "unknown-file");
    BROKEN(&hub, shelf_drop(&f, "000002.transcript"), "rounds-missing");
    BROKEN(&hub,
           (shelf_drop(&f, "000002.transcript"), shelf_move(&f, "000003.transcript", "000002.transcript"),
            shelf_move(&f, "000004.transcript", "000003.transcript")),
           "rounds-missing");
    BROKEN(&hub,
           (shelf_move(&f, "000001.transcript", "000005.transcript"),
            shelf_move(&f, "000002.transcript", "000001.transcript"),
            shelf_move(&f, "000005.transcript", "000002.transcript")),
           "rounds-missing");
    BROKEN(&hub,
           (shelf_move(&f, "000004.transcript", "000005.transcript"),
            shelf_move(&f, "000003.transcript", "000004.transcript"),
            shelf_move(&f, "000005.transcript", "000003.transcript")),
           "record-out-of-order");
    BROKEN(&hub,
           (shelf_move(&f, "000004.transcript", "000005.transcript"),
            shelf_double(&f, "000003.transcript", "000004.transcript")),
           "record-out-of-order");
    BROKEN(&hub, shelf_put(&f, "000002.transcript", "", 0), "record-malformed");
    BROKEN(&hospital, shelf_drop(&f, "000001.statement"), "statement-missing");
    BROKEN(&hospital, (shelf_drop(&f, "000001.statement"), shelf_drop(&f, "000001.receipt")), "statement-missing");
    BROKEN(&hospital,
           (shelf_move(&f, "000001.statement", "000009.statement"),
            shelf_move(&f, "000003.statement", "000001.statement"),
            shelf_move(&f, "000009.statement", "000003.statement")),
           "statement-of-another-round");
    BROKEN(&hospital, (shelf_drop(&f, "000001.receipt"), shelf_move(&f, "000003.receipt", "000001.receipt")),
           "receipt-changed");
    BROKEN(&hospital, shelf_put(&f, "000001.receipt", "", 0), "receipt-malformed");
    BROKEN(&hospital, shelf_put(&f, "000001.statement", "", 0), "statement-malformed");
#undef BROKEN
    /* one receipt less is less proof and no contradiction */
    shelf_copy(&hospital, &f);
    shelf_drop(&f, "000001.receipt");
    ok(verify(&f));
    shelf_put(&f, ".hidden", "", 0);
    shelf_put(&f, "job.json.partial-1000", "", 0);
    ok(verify(&f));
    shelf_clear(&f);
    /* statements of two hospitals, or of another than is asked for */
    const msfl_audit_options as_b = {.consortium = consortium, .own = "b"};
    fails(verify_as(&hospital, &as_b), MSFL_ERR_MISMATCH, "statement-of-another-round: ");
    uint8_t stranger[32] = {1};
    const msfl_audit_options by_stranger = {.consortium = stranger};
    fails(verify_as(&hub, &by_stranger), MSFL_ERR_CRYPTO, "roster-changed: ");
    msfl_audit *audit;
    const msfl_audit_options o = {.consortium = consortium};
    fails(audit_verify_folder(&hub.view, &o, "heart", &audit), MSFL_ERR_FORMAT, "roster-malformed: ");
}

/* No byte of any file can be another, and every refusal has one of the names. */
static void test_every_byte(void **state) {
    (void)state;
    static const char *const names[] = {
#define FINDING_TEXT(name, text, status) text,
        MSFL_AUDIT_FINDINGS(FINDING_TEXT)
#undef FINDING_TEXT
    };
    shelf f;
    shelf_copy(&hospital, &f);
    for (size_t i = 0; i < f.n; i++) {
        const size_t step = strstr(f.names[i], "roster") != NULL       ? 101
                            : strstr(f.names[i], "transcript") != NULL ? 23
                                                                       : 5;
        for (size_t j = i % step; j < f.length[i]; j += step) {
            f.bytes[i][j] ^= (uint8_t)(1 << j % 8);
            if (verify(&f) == MSFL_OK) fail_msg("byte %zu of %s", j, f.names[i]);
            bool named = false;
            for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
                named |= strncmp(msfl_error_message(), names[k], strlen(names[k])) == 0;
            if (!named) fail_msg("byte %zu of %s: %s", j, f.names[i], msfl_error_message());
            f.bytes[i][j] ^= (uint8_t)(1 << j % 8);
        }
        for (size_t cut = 1; cut < f.length[i]; cut += 1 + f.length[i] / 7) { /* the end is missing */
            const size_t whole = f.length[i];
            f.length[i] -= cut;
            assert_int_not_equal(verify(&f), MSFL_OK);
            f.length[i] = whole;
        }
    }
    ok(verify(&f));
    shelf_clear(&f);
}

/* Whoever has the keys of all but this hospital cannot tell it another story. */
static void test_lies(void **state) {
    (void)state;
    shelf f;
    size_t n, paper_n;
    audit_statement s;
    msfl_identity_secret *coordinator, *own;
    ok(pki_round_secret(kit_hub->identity, &coordinator));
    ok(pki_round_secret(kit_a->identity, &own));
    pki_roster *first;
    char *text;
    ok(pki_folder_read(at(stage_folder, "kits/hub"), PKI_FILE_ROSTER, PKI_ROSTER_BYTES_MAX, &text, &n));
    ok(pki_roster_parse("r", text, n, consortium, &first));
    msfl_free(text);
    msfl_roster *roster;
    ok(pki_roster_round(first, &roster));
    /* another result, signed anew: the next record says what this one was */
    shelf_copy(&hub, &f);
    uint8_t *record = shelf_get(&f, "000001.transcript", &n), hash[32];
    record[n - 64 - 4 - 5] ^= 1;
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.transcript.v1");
    msfl_hash_add(&h, record, n - 64);
    msfl_hash_final(&h, hash);
    msfl_sign(coordinator->sign, hash, 32, record + n - 64);
    finds(&f, "chain-broken");
    shelf_clear(&f);
    /* a second upload of a in the same round: in the sum is the other */
    shelf_copy(&hospital, &f);
    uint8_t *paper = shelf_get(&f, "000001.statement", &paper_n);
    ok(audit_statement_read("s", paper, paper_n, &s));
    msfl_statement m;
    msfl_statement_read(s.statement, 4, &m);
    m.ciphertext_hash[0] ^= 1;
    msfl_statement_sign(&m, roster, s.round_id, own, (uint8_t *)s.statement);
    finds(&f, "receipt-changed");
    uint8_t *receipt = shelf_get(&f, "000001.receipt", &n), digest[32];
    msfl_statement_digest(s.statement, roster, s.round_id, digest);
    msfl_receipt_digest(s.round_id, 0, digest, digest);
    msfl_sign(coordinator->sign, digest, 32, receipt + n - 64);
    finds(&f, "opened-what-was-not-sent");
    shelf_clear(&f);
    /* acknowledged, and left out: d of round 3, as if it had sent something */
    shelf_copy(&hub, &f);
    const pki_kit *d;
    ok(pki_kit_load(at(stage_folder, "kits/d"), NULL, (int64_t)time(NULL), (pki_kit **)&d));
    msfl_identity_secret *secret_d;
    ok(pki_round_secret(d->identity, &secret_d));
    m.client = 3; /* and what else it says is what a signed above */
    record = shelf_get(&f, "000003.transcript", &n);
    msfl_announcement a;
    uint8_t id[32], signed_statement[512], signature[64];
    ok(audit_record_peek("r", record, n, &a, id));
    msfl_statement_sign(&m, roster, id, secret_d, signed_statement);
    msfl_buffer kept = {0}, told = {0};
    audit_statement_write(record + 12, signed_statement, msfl_statement_bytes(4), &kept);
    shelf_put(&f, "000003.statement", kept.bytes, kept.length);
    const msfl_audit_options as_d = {.consortium = consortium, .own = "d"};
    fails(verify_as(&f, &as_d), MSFL_ERR_MISSING, "statement-missing: 000001.transcript");
    /* round 1 with d's own statement, which stands in the record */
    const uint8_t *true_statement = shelf_get(&other, "000001.statement", &n);
    shelf_put(&f, "000001.statement", true_statement, n);
    ok(verify_as(&f, &as_d)); /* sent, and never acknowledged: late */
    msfl_statement_digest(signed_statement, roster, id, digest);
    msfl_receipt_digest(id, 3, digest, digest);
    msfl_sign(coordinator->sign, digest, 32, signature);
    msfl_frame_put(&told, MSFL_MSG_NEXT, MSFL_COORDINATOR, id);
    msfl_put64(&told, 1);
    msfl_put32(&told, MSFL_NEXT_COMPLETE);
    msfl_put_bytes(&told, signature, 64);
    shelf_put(&f, "000003.receipt", told.bytes, told.length);
    fails(verify_as(&f, &as_d), MSFL_ERR_POLICY, "acknowledged-and-left-out: 000003.transcript");
    msfl_buffer_clear(&kept);
    msfl_buffer_clear(&told);
    shelf_clear(&f);
    msfl_identity_free(secret_d);
    pki_kit_free((pki_kit *)d);
    msfl_roster_free(roster);
    msfl_free(first);
    msfl_identity_free(coordinator);
    msfl_identity_free(own);
}

static void test_memory(void **state) {
    (void)state;
    msfl_status status = MSFL_ERR_MEMORY;
    const msfl_audit_options o = {.kit = at(stage_folder, "kits/a")};
    for (long k = 1; status == MSFL_ERR_MEMORY; k++) {
        msfl_audit *audit;
        msfl_alloc_fail_at(k);
        status = msfl_audit_verify(at(stage_folder, "audit-a"), &o, &audit);
        msfl_alloc_fail_at(0);
        assert_true((status == MSFL_OK) == (audit != NULL));
        msfl_audit_free(audit);
        if (k > 200) k += 40; /* the texts of rosters are thousands */
    }
    ok(status);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_coordinators), cmocka_unit_test(test_hospitals), cmocka_unit_test(test_files),
        cmocka_unit_test(test_every_byte),   cmocka_unit_test(test_lies),      cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, play, leave);
}
