/* Golden samples of every message, journal record and file of the round layer: tests/samples/round. What this version
 * wrote must be read by every later one, to the same effect. `MSFL_WRITE_SAMPLES=1 round_test_samples` writes them anew
 * (only ever for a new version of a format, beside the old ones). */
#include "hall.h"

enum { KINDS = MSFL_MSG_LAST + 1, JOURNALS = MSFL_JOURNAL_LAST + 1 };
static const char *const message_names[KINDS] = {NULL,      "announce", "next",    "chunk",  "upload",
                                                 "propose", "vote",     "release", "answer", "record"};
static const char *const journal_names[JOURNALS] = {NULL,       "open",    "upload",   "cohort", "opened",
                                                    "finished", "voted",   "answered", "joined", "sealed",
                                                    "receipt",  "history", "certified"};

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

static void replay(hall *h, int machine, int kind) {
    size_t length;
    uint8_t *bytes = read_sample("journal", journal_names[kind], &length);
    msfl_status status = machine == 0   ? msfl_coordinator_replay(h->coordinator, bytes, length)
                         : machine == 1 ? msfl_site_replay(h->sites[1], bytes, length)
                                        : msfl_member_replay(h->members[1], bytes, length);
    if (status != MSFL_OK) fail_msg("%s: %s", journal_names[kind], msfl_error_message());
    msfl_free(bytes);
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
    if (getenv("MSFL_WRITE_SAMPLES") != NULL) write_all();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_read),
        cmocka_unit_test(members_answer_the_samples_with_the_samples),
        cmocka_unit_test(journals_are_replayed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
