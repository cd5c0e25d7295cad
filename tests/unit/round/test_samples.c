/* Golden samples of every message, journal record and file of the round layer: tests/samples/round. What this version
 * wrote must be read by every later one, to the same effect. `MSFL_WRITE_SAMPLES=1 round_test_samples` writes them anew
 * (only ever for a new version of a format, beside the old ones). Those that begin with "sealed" are of a round that is
 * delivered to the hospitals; `MSFL_WRITE_SAMPLES=sealed` writes them alone. */
#include "hall.h"

enum { KINDS = MSFL_MSG_LAST + 1, JOURNALS = MSFL_JOURNAL_LAST + 1 };
static const char *const message_names[KINDS] = {NULL,   "announce", "next",   "chunk",  "upload",  "propose",
                                                 "vote", "release",  "answer", "record", "deliver", "report"};
static const char *const journal_names[JOURNALS] = {NULL,        "open",     "upload", "cohort",  "opened",  "finished",
                                                    "voted",     "answered", "joined", "sealed",  "receipt", "history",
                                                    "certified", "answer",   "report", "reported"};

static void path_of(const char *kind, const char *name, char *path, size_t length) {
    const char *source = getenv("MSFL_SOURCE");
    snprintf(path, length, "%s/tests/samples/round/%s-%s-v1.bin", source == NULL ? "." : source, kind, name);
}

static void write_sample(const char *kind, const char *name, const uint8_t *bytes, size_t length) {
    char path[512];
    path_of(kind, name, path, sizeof path);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, length, f), length);
    assert_int_equal(fclose(f), 0);
}

static uint8_t *read_sample(const char *kind, const char *name, size_t *length) {
    char path[512];
    path_of(kind, name, path, sizeof path);
    uint8_t *bytes = hall_get(1 << 20, 1);
    FILE *f = fopen(path, "rb");
    if (f == NULL) fail_msg("%s is not there", path);
    *length = fread(bytes, 1, 1 << 20, f);
    assert_int_equal(fclose(f), 0);
    return bytes;
}

/* --- writing --- */

static bool written[KINDS];
static const uint8_t made_of_it[32] = {'m', 'o', 'd', 'e', 'l'};

static void keep(hall *h, uint32_t from, uint32_t to, msfl_effect *e) {
    (void)h;
    const uint32_t kind = msfl_load32(e->bytes + 8);
    /* Of what goes to or comes from hospital 1 and nobody else; the receipt rather than an acknowledgement. */
    if (from != 1 && to != 1) return;
    if (kind == MSFL_MSG_NEXT && msfl_load32(e->bytes + MSFL_FRAME_BYTES + 8) != 1) return;
    if (written[kind]) return;
    written[kind] = true;
    write_sample("message", message_names[kind], e->bytes, e->length);
}

static void write_all(void) {
    hall h;
    hall_make(&h, 3, MSFL_CUSTODY_COMMITTEE, 3);
    h.tamper = keep;
    hall_round(&h, 'a');
    write_sample("file", "roster", h.roster_bytes, msfl_roster_bytes(h.r));
    write_sample("file", "transcript", h.record, h.record_length);
    const size_t disks[] = {0, 2, 5}; /* coordinator, site 1, member 1 */
    for (size_t d = 0; d < 3; d++) {
        for (size_t j = 0; j < h.disk[disks[d]].n_journal; j++) {
            const hall_item *e = &h.disk[disks[d]].journal[j];
            const uint32_t kind = msfl_load32(e->bytes + 8);
            if (kind == MSFL_JOURNAL_UPLOAD && msfl_load32(e->bytes + MSFL_JOURNAL_HEAD) != 0) continue;
            write_sample("journal", journal_names[kind], e->bytes, e->length);
        }
    }
    hall_clear(&h);
}

static void keep_sealed(hall *h, uint32_t from, uint32_t to, msfl_effect *e) {
    (void)h;
    const uint32_t kind = msfl_load32(e->bytes + 8);
    if ((from != 1 && to != 1) || written[kind]) return;
    if (kind != MSFL_MSG_RELEASE && kind != MSFL_MSG_ANSWER && kind < MSFL_MSG_RECORD) return;
    written[kind] = true;
    write_sample("sealed-message", message_names[kind], e->bytes, e->length);
}

static void write_sealed(void) {
    hall h;
    hall_make(&h, 3, MSFL_CUSTODY_COMMITTEE, 3);
    h.tamper = keep_sealed;
    memset(written, 0, sizeof written);
    hall_to_delivery(&h, 'a', 3);
    uint8_t *chunk = hall_get(msfl_packed_chunk_bytes(h.ctx, h.n_values, 0), 1);
    for (uint64_t j = 0; j < h.n_chunks; j++) {
        const char name[] = {'f', 'o', 'l', 'd', 'e', 'd', (char)('0' + j), 0};
        assert_int_equal(msfl_coordinator_folded(h.coordinator, j, chunk), MSFL_OK);
        write_sample("sealed-file", name, chunk, msfl_packed_chunk_bytes(h.ctx, h.n_values, j));
    }
    msfl_free(chunk);
    assert_int_equal(hall_tick(&h, 3000), MSFL_OK);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(hall_take_folded(&h, i), MSFL_OK);
        hall_report(&h, i, made_of_it);
    }
    hall_settle(&h);
    write_sample("sealed-file", "transcript", h.record, h.record_length);
    const size_t disks[] = {0, 2}; /* coordinator, site 1 */
    for (size_t d = 0; d < 2; d++) {
        for (size_t j = 0; j < h.disk[disks[d]].n_journal; j++) {
            const hall_item *e = &h.disk[disks[d]].journal[j];
            write_sample("sealed-journal", journal_names[msfl_load32(e->bytes + 8)], e->bytes, e->length);
        }
    }
    hall_clear(&h);
}

/* --- reading --- */

static void files_are_read(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 3, MSFL_CUSTODY_COMMITTEE, 3);
    size_t length;
    uint8_t *bytes = read_sample("file", "roster", &length);
    assert_int_equal(length, msfl_roster_bytes(h.r)); /* and written as it was */
    assert_memory_equal(bytes, h.roster_bytes, length);
    msfl_roster *roster;
    assert_int_equal(msfl_roster_read(bytes, length, h.consortium_id.sign, &roster), MSFL_OK);
    msfl_free(bytes);
    bytes = read_sample("file", "transcript", &length);
    msfl_transcript t;
    uint8_t hash[32];
    assert_int_equal(msfl_transcript_verify(bytes, length, roster, NULL, &t), MSFL_OK);
    assert_int_equal(t.n_cohort, 3);
    assert_int_equal(t.outcome, MSFL_OUTCOME_OPENED);
    assert_true(msfl_transcript_find(&t, roster, 2, hash));
    msfl_free(bytes);
    msfl_roster_free(roster);
    hall_clear(&h);
}

/** The same question gets the same answer, byte for byte: signatures and answers have no randomness. */
static void members_answer_the_samples_with_the_samples(void **state) {
    (void)state;
    static const char *const asked[] = {"propose", "release"}, *const answered[] = {"vote", "answer"};
    hall h;
    hall_make(&h, 3, MSFL_CUSTODY_COMMITTEE, 3);
    for (int i = 0; i < 2; i++) {
        msfl_effects effects = {0};
        size_t length, expected_length;
        uint8_t *bytes = read_sample("message", asked[i], &length);
        uint8_t *expected = read_sample("message", answered[i], &expected_length);
        assert_int_equal(msfl_member_receive(h.members[1], MSFL_COORDINATOR, bytes, length, &effects), MSFL_OK);
        assert_int_equal(effects.n, 2);
        assert_int_equal(effects.items[1].length, expected_length);
        assert_memory_equal(effects.items[1].bytes, expected, expected_length);
        msfl_effects_clear(&effects);
        msfl_free(bytes);
        msfl_free(expected);
    }
    hall_clear(&h);
}

static void replay_of(hall *h, const char *of, int machine, int kind) {
    size_t length;
    uint8_t *bytes = read_sample(of, journal_names[kind], &length);
    msfl_status status = machine == 0   ? msfl_coordinator_replay(h->coordinator, bytes, length)
                         : machine == 1 ? msfl_site_replay(h->sites[1], bytes, length)
                                        : msfl_member_replay(h->members[1], bytes, length);
    if (status != MSFL_OK) fail_msg("%s: %s", journal_names[kind], msfl_error_message());
    msfl_free(bytes);
}

static void replay(hall *h, int machine, int kind) {
    replay_of(h, "journal", machine, kind);
}

/** A hospital that has nothing but its journal opens the delivered sum, reports and goes on, byte for byte as it did.
 */
static void the_delivered_sum_is_opened(void **state) {
    (void)state;
    hall h;
    msfl_effects effects = {0};
    hall_make(&h, 3, MSFL_CUSTODY_COMMITTEE, 3);
    size_t length, expected_length;
    uint8_t *bytes = read_sample("sealed-message", "release", &length);
    uint8_t *expected = read_sample("sealed-message", "answer", &expected_length);
    assert_int_equal(msfl_member_receive(h.members[1], MSFL_COORDINATOR, bytes, length, &effects), MSFL_OK);
    assert_int_equal(effects.items[1].length, expected_length);
    assert_memory_equal(effects.items[1].bytes, expected, expected_length);
    msfl_effects_clear(&effects);
    msfl_free(bytes);
    msfl_free(expected);
    replay_of(&h, "sealed-journal", 1, MSFL_JOURNAL_JOINED);
    replay_of(&h, "sealed-journal", 1, MSFL_JOURNAL_SEALED);
    replay_of(&h, "sealed-journal", 1, MSFL_JOURNAL_RECEIPT);
    bytes = read_sample("sealed-message", "deliver", &length);
    assert_int_equal(msfl_site_receive(h.sites[1], 10, bytes, length, &effects), MSFL_OK);
    msfl_free(bytes);
    for (uint64_t j = 0; j < h.n_chunks; j++) {
        const char name[] = {'f', 'o', 'l', 'd', 'e', 'd', (char)('0' + j), 0};
        bytes = read_sample("sealed-file", name, &length);
        assert_int_equal(msfl_site_folded(h.sites[1], h.ctx, j, bytes, length), MSFL_OK);
        msfl_free(bytes);
    }
    hall_expect_site_sum(&h, 1);
    assert_int_equal(msfl_site_report(h.sites[1], made_of_it, &effects), MSFL_OK);
    bytes = read_sample("sealed-message", "report", &length);
    assert_int_equal(effects.items[1].length, length);
    assert_memory_equal(effects.items[1].bytes, bytes, length);
    msfl_effects_clear(&effects);
    msfl_free(bytes);
    for (int again = 0; again < 2; again++) { /* from the machine itself, and from its journal */
        bytes = read_sample("sealed-message", "record", &length);
        assert_int_equal(msfl_site_receive(h.sites[1], 10, bytes, length, &effects), MSFL_OK);
        assert_int_equal(msfl_site_settled(h.sites[1]), 1);
        msfl_effects_clear(&effects);
        msfl_free(bytes);
        msfl_site_free(h.sites[1]);
        assert_int_equal(hall_new_site(&h, 1), MSFL_OK);
        replay_of(&h, "sealed-journal", 1, MSFL_JOURNAL_JOINED);
        replay_of(&h, "sealed-journal", 1, MSFL_JOURNAL_REPORTED);
        assert_int_equal(msfl_site_phase_of(h.sites[1]), MSFL_SITE_REPORTED);
    }
    replay_of(&h, "sealed-journal", 1, MSFL_JOURNAL_HISTORY);
    assert_int_equal(msfl_site_settled(h.sites[1]), 1);
    bytes = read_sample("sealed-file", "transcript", &length);
    msfl_transcript t;
    assert_int_equal(msfl_transcript_verify(bytes, length, h.roster, NULL, &t), MSFL_OK);
    assert_int_equal(t.n_agree, 3);
    msfl_free(bytes);
    replay_of(&h, "sealed-journal", 0, MSFL_JOURNAL_OPEN);
    replay_of(&h, "sealed-journal", 0, MSFL_JOURNAL_UPLOAD);
    hall_clear(&h);
}

static void journals_are_replayed(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 3, MSFL_CUSTODY_COMMITTEE, 3);
    replay(&h, 2, MSFL_JOURNAL_VOTED);
    replay(&h, 2, MSFL_JOURNAL_ANSWERED);
    replay(&h, 1, MSFL_JOURNAL_JOINED);
    replay(&h, 1, MSFL_JOURNAL_SEALED);
    assert_int_equal(msfl_site_phase_of(h.sites[1]), MSFL_SITE_UPLOADING);
    size_t length;
    msfl_effects effects = {0};
    uint8_t *bytes = read_sample("message", "next", &length); /* the receipt for this upload */
    assert_int_equal(msfl_site_receive(h.sites[1], 10, bytes, length, &effects), MSFL_OK);
    assert_int_equal(msfl_site_phase_of(h.sites[1]), MSFL_SITE_WAITING);
    msfl_free(bytes);
    bytes = read_sample("message", "record", &length);
    assert_int_equal(msfl_site_receive(h.sites[1], 10, bytes, length, &effects), MSFL_OK);
    assert_int_equal(msfl_site_phase_of(h.sites[1]), MSFL_SITE_IDLE);
    msfl_free(bytes);
    msfl_effects_clear(&effects);
    msfl_site_free(h.sites[1]);
    assert_int_equal(hall_new_site(&h, 1), MSFL_OK);
    replay(&h, 1, MSFL_JOURNAL_JOINED);
    replay(&h, 1, MSFL_JOURNAL_SEALED);
    replay(&h, 1, MSFL_JOURNAL_RECEIPT);
    replay(&h, 1, MSFL_JOURNAL_HISTORY);
    /* The coordinator's: one client's upload comes as a message, chunk and all, the way it once came. */
    replay(&h, 0, MSFL_JOURNAL_OPEN);
    assert_int_equal(msfl_coordinator_phase(h.coordinator), MSFL_PHASE_COLLECTING);
    replay(&h, 0, MSFL_JOURNAL_UPLOAD);
    bytes = read_sample("message", "chunk", &length);
    assert_int_equal(msfl_coordinator_receive(h.coordinator, 10, 1, bytes, length, &effects), MSFL_OK);
    assert_int_equal(effects.n, 1);
    assert_int_equal(msfl_load64(effects.items[0].bytes + MSFL_FRAME_BYTES), 1); /* taken: the next is wanted */
    msfl_free(bytes);
    msfl_effects_clear(&effects);
    bytes = read_sample("message", "announce", &length);
    assert_int_equal(msfl_site_receive(h.sites[0], 10, bytes, length, &effects), MSFL_OK);
    assert_int_equal(msfl_site_phase_of(h.sites[0]), MSFL_SITE_OFFERED);
    msfl_free(bytes);
    bytes = read_sample("message", "upload", &length); /* one chunk of two is there: more is wanted */
    assert_int_equal(msfl_coordinator_receive(h.coordinator, 10, 1, bytes, length, &effects), MSFL_OK);
    assert_int_equal(msfl_load32(effects.items[0].bytes + MSFL_FRAME_BYTES + 8), 3);
    msfl_free(bytes);
    msfl_effects_clear(&effects);
    hall_clear(&h);
}

int main(void) {
    const char *what = getenv("MSFL_WRITE_SAMPLES");
    if (what != NULL && strcmp(what, "sealed") != 0) write_all();
    if (what != NULL) write_sealed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read),
        cmocka_unit_test(members_answer_the_samples_with_the_samples),
        cmocka_unit_test(journals_are_replayed),
        cmocka_unit_test(the_delivered_sum_is_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
