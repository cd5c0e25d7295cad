/* Coordinator, sites and committee together: exact sums in every custody, absent and cheating members, damage on the
 * way, restarts, failing disks and memory, and the transcript that remains. Faults in every order are for tests/sim. */
#include "trouble.h"

static void every_custody_opens_the_plain_sum(void **state) {
    (void)state;
    static const struct {
        uint32_t n;
        msfl_custody custody;
        uint32_t min;
    } cases[] = {{2, MSFL_CUSTODY_COMMITTEE, 2},  {3, MSFL_CUSTODY_COMMITTEE, 3},  {4, MSFL_CUSTODY_COMMITTEE, 3},
                 {7, MSFL_CUSTODY_COMMITTEE, 3},  {16, MSFL_CUSTODY_COMMITTEE, 3}, {3, MSFL_CUSTODY_AUTHORITY, 3},
                 {3, MSFL_CUSTODY_COORDINATOR, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hall h;
        hall_make(&h, cases[i].n, cases[i].custody, cases[i].min);
        hall_round(&h, 'a');
        hall_round(&h, 'b'); /* and the next continues the record */
        msfl_transcript t;
        assert_int_equal(msfl_transcript_verify(h.record, h.record_length, h.roster, NULL, &t), MSFL_OK);
        assert_int_equal(t.announcement.info.number, 2);
        assert_int_equal(t.n_cohort, cases[i].n);
        hall_clear(&h);
    }
}

static void k_minus_t_members_may_be_absent_and_no_more(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 4, MSFL_CUSTODY_COMMITTEE, 3); /* t = 3 */
    for (uint32_t absent = 0; absent < 4; absent++) {
        h.deaf[absent] = true;
        hall_round(&h, (uint8_t)absent);
        h.deaf[absent] = false;
    }
    h.deaf[0] = h.deaf[1] = true;
    assert_int_equal(hall_open(&h, 'z'), MSFL_OK);
    assert_int_equal(hall_tick(&h, 20), MSFL_OK);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(hall_upload(&h, i), MSFL_OK);
    assert_int_equal(hall_tick(&h, 200), MSFL_OK);
    assert_int_equal(msfl_coordinator_phase(h.coordinator), MSFL_PHASE_COLLECTING); /* site 3 may still come */
    assert_int_equal(hall_tick(&h, 1000), MSFL_OK);
    assert_int_equal(hall_tick(&h, 2000), MSFL_OK);
    assert_int_equal(msfl_coordinator_phase(h.coordinator), MSFL_PHASE_CERTIFYING);
    h.deaf[1] = false;
    assert_int_equal(hall_tick(&h, 3000), MSFL_OK);
    assert_int_equal(hall_tick(&h, 4000), MSFL_OK);
    hall_finish(&h);
    hall_clear(&h);
}

static void cheating_members_are_outvoted_and_named(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 7, MSFL_CUSTODY_COMMITTEE, 3); /* t = 5, f = 2 */
    h.tamper = hall_cheat;
    for (hall_cheat_places = 1; hall_cheat_places < 128; hall_cheat_places += 13) {
        const int n_cheats = __builtin_popcount(hall_cheat_places);
        if (n_cheats > 2) continue;
        assert_int_equal(hall_open(&h, (uint8_t)hall_cheat_places), MSFL_OK);
        assert_int_equal(hall_tick(&h, 20), MSFL_OK);
        for (uint32_t i = 0; i < h.n; i++)
            assert_int_equal(hall_upload(&h, i), MSFL_OK);
        assert_int_equal(hall_tick(&h, 200), MSFL_OK);
        assert_int_equal(hall_tick(&h, 400), MSFL_OK);
        size_t n;
        const uint32_t *cheats = msfl_coordinator_cheats(h.coordinator, &n);
        for (size_t i = 0; i < n; i++)
            assert_true(hall_cheat_places >> msfl_member_place(h.r, cheats[i]) & 1);
        hall_finish(&h);
    }
    /* Three are too many: nothing opens, and it says so. */
    hall_cheat_places = 7;
    assert_int_equal(hall_open(&h, 'x'), MSFL_OK);
    assert_int_equal(hall_tick(&h, 20), MSFL_OK);
    for (uint32_t i = 0; i < h.n; i++)
        assert_int_equal(hall_upload(&h, i), MSFL_OK);
    assert_int_equal(hall_tick(&h, 200), MSFL_OK);
    assert_int_equal(hall_tick(&h, 400), MSFL_ERR_CRYPTO);
    expect_message("no 5 of 7 answers open the sum");
    assert_int_equal(msfl_coordinator_phase(h.coordinator), MSFL_PHASE_RELEASING);
    hall_clear(&h);
}

static void everybody_may_restart_between_any_two_steps(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 4, MSFL_CUSTODY_COMMITTEE, 3);
    for (uint8_t model = 0; model < 2; model++) {
        assert_int_equal(hall_open(&h, model), MSFL_OK);
        hall_restart(&h);
        assert_int_equal(hall_tick(&h, 20), MSFL_OK);
        for (uint32_t i = 0; i < h.n; i++) {
            assert_int_equal(hall_upload(&h, i), MSFL_OK);
            hall_restart(&h);
            assert_int_equal(hall_tick(&h, 20 + 200 * (i + 1)), MSFL_OK);
        }
        assert_int_equal(hall_tick(&h, 5000), MSFL_OK);
        hall_restart(&h);
        assert_int_equal(hall_tick(&h, 10000), MSFL_OK);
        hall_restart(&h);
        for (uint64_t now = 20000; msfl_coordinator_phase(h.coordinator) != MSFL_PHASE_OPENED && now < 100000;
             now += 1000)
            assert_int_equal(hall_tick(&h, now), MSFL_OK);
        hall_restart(&h);
        hall_finish(&h);
        hall_restart(&h);
    }
    hall_clear(&h);
}

/** Journals may be cut as docs/formats/round-messages.md says. */
static void cut_journals_are_enough(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 3, MSFL_CUSTODY_COMMITTEE, 3);
    hall_round(&h, 'a');
    hall_round(&h, 'b');
    for (uint32_t d = 0; d < 4; d++) { /* coordinator and sites */
        const uint32_t first = d == 0 ? MSFL_JOURNAL_OPEN : MSFL_JOURNAL_JOINED;
        hall_disk *disk = &h.disk[d];
        size_t at = disk->n_journal;
        while (msfl_load32(disk->journal[at - 1].bytes + 8) != first)
            at--;
        at--;
        bool keep[HALL_JOURNAL_MAX];
        for (size_t j = 0; j < disk->n_journal; j++)
            keep[j] = j >= at;
        hall_cut_journal(disk, keep);
    }
    msfl_transcript t;
    assert_int_equal(msfl_transcript_verify(h.record, h.record_length, h.roster, NULL, &t), MSFL_OK);
    hall_restart(&h);
    hall_round(&h, 'c');
    assert_int_equal(msfl_transcript_verify(h.record, h.record_length, h.roster, t.hash, &t), MSFL_OK);
    assert_int_equal(t.announcement.info.number, 3);
    hall_clear(&h);
}

static void a_site_uses_one_key_per_number(void **state) {
    (void)state;
    hall h;
    msfl_effects effects = {0};
    hall_make(&h, 3, MSFL_CUSTODY_COMMITTEE, 3);
    assert_int_equal(hall_open(&h, 'a'), MSFL_OK);
    assert_int_equal(hall_tick(&h, 20), MSFL_OK);
    const msfl_announcement a = *msfl_site_round(h.sites[0]);
    uint8_t other[32] = {9};
    assert_int_equal(msfl_site_start(h.sites[0], h.ctx, other, a.info.layout, &effects), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_site_start(h.sites[0], h.ctx, a.info.model, a.info.layout, &effects), MSFL_OK);
    assert_int_equal(msfl_site_start(h.sites[0], h.ctx, a.info.model, a.info.layout, &effects), MSFL_ERR_POLICY);
    assert_int_equal(msfl_site_finish(h.sites[0], &effects), MSFL_ERR_USAGE);
    expect_message("only 0 of 2 chunks");
    assert_int_equal(msfl_site_encrypt(h.sites[0], 1, h.slots[0], &effects), MSFL_ERR_USAGE);
    assert_int_equal(hall_carry(&h, 1, 0, &effects), MSFL_OK);
    /* A crash in the middle: the key is gone, and so is the number. */
    hall_restart(&h);
    assert_int_equal(msfl_site_phase_of(h.sites[0]), MSFL_SITE_IDLE);
    assert_int_equal(msfl_site_last(h.sites[0]), 1);
    msfl_buffer b = {0};
    uint8_t announce[MSFL_ANNOUNCE_BODY], id[32];
    msfl_announcement_sign(&a, h.coordinator_secret, announce);
    msfl_announcement_id(&a, id);
    msfl_frame_put(&b, MSFL_MSG_ANNOUNCE, MSFL_COORDINATOR, id);
    msfl_put_bytes(&b, announce, sizeof announce);
    assert_int_equal(msfl_site_receive(h.sites[0], 10, b.bytes, b.length, &effects), MSFL_ERR_POLICY);
    expect_message("comes after round 1, in which a key was used");
    msfl_buffer_clear(&b);
    hall_clear(&h);
}

static void what_a_site_refuses(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 3, MSFL_CUSTODY_COMMITTEE, 3);
    assert_int_equal(hall_open(&h, 'a'), MSFL_OK);
    const msfl_announcement good = *msfl_coordinator_round(h.coordinator);
    for (int i = 0; i < 8; i++) {
        static const msfl_status expected[] = {MSFL_OK,           MSFL_ERR_CRYPTO, MSFL_ERR_MISMATCH, MSFL_ERR_MISMATCH,
                                               MSFL_ERR_MISMATCH, MSFL_ERR_POLICY, MSFL_ERR_POLICY,   MSFL_ERR_PARAMS};
        msfl_effects effects = {0};
        msfl_announcement a = good;
        if (i == 2) a.info.authority[0] ^= 1;
        if (i == 3) a.info.task[0] ^= 1;
        if (i == 4) a.info.n_clients = 2, a.info.min_cohort = 2;
        if (i == 5) a.info.min_cohort = 2;
        if (i == 6) a.deadline_ms = 5;
        if (i == 7) a.info.params.primes[0] ^= 2;
        uint8_t announce[MSFL_ANNOUNCE_BODY], id[32];
        msfl_announcement_sign(&a, i == 1 ? h.secret[2] : h.coordinator_secret, announce);
        msfl_announcement_id(&a, id);
        msfl_buffer b = {0};
        msfl_frame_put(&b, MSFL_MSG_ANNOUNCE, MSFL_COORDINATOR, id);
        msfl_put_bytes(&b, announce, sizeof announce);
        msfl_site_free(h.sites[1]);
        assert_int_equal(hall_new_site(&h, 1), MSFL_OK);
        msfl_status status = msfl_site_receive(h.sites[1], 10, b.bytes, b.length, &effects);
        if (status != expected[i]) fail_msg("case %d: %s: %s", i, msfl_status_name(status), msfl_error_message());
        assert_int_equal(msfl_site_phase_of(h.sites[1]), i == 0 ? MSFL_SITE_OFFERED : MSFL_SITE_IDLE);
        assert_int_equal(effects.n, 0);
        msfl_buffer_clear(&b);
    }
    /* Keys in the coordinator's hands: by name only. */
    hall c;
    hall_make(&c, 3, MSFL_CUSTODY_COORDINATOR, 3);
    msfl_site_config config = {c.roster, c.secret[0], 0, {0}, 3, 0, false, hall_spool(&c, 1)};
    msfl_site *site;
    assert_int_equal(msfl_site_new(&config, &site), MSFL_ERR_POLICY);
    expect_message("the coordinator holds the keys");
    hall_clear(&c);
    hall_clear(&h);
}

static size_t damage_at;
static uint32_t damage_kind;
static bool damaged;

static void damage(hall *h, uint32_t from, uint32_t to, msfl_effect *e) {
    (void)h;
    (void)from;
    (void)to;
    if (damaged || msfl_load32(e->bytes + 8) != damage_kind) return;
    damaged = true;
    e->bytes[damage_at % e->length] ^= 4;
}

/** One bit of one message is changed, anywhere: nothing wrong comes of it, and the round is completed. */
static void damaged_messages_are_sent_again(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 3, MSFL_CUSTODY_COMMITTEE, 3);
    h.tamper = damage;
    msfl_effects effects = {0};
    uint8_t model = 0;
    for (damage_kind = MSFL_MSG_ANNOUNCE; damage_kind <= MSFL_MSG_ANSWER; damage_kind++) {
        for (damage_at = 0; damage_at < 2000; damage_at += 97) {
            damaged = false;
            assert_int_equal(hall_open(&h, model), MSFL_OK);
            (void)!hall_tick(&h, 20);
            (void)!hall_tick(&h, 200);
            for (uint32_t i = 0; i < h.n; i++)
                (void)!hall_upload(&h, i);
            for (uint64_t now = 400; msfl_coordinator_phase(h.coordinator) != MSFL_PHASE_OPENED && now < 990;
                 now += 150) {
                for (uint32_t i = 0; i < h.n; i++) {
                    (void)!msfl_site_resend(h.sites[i], &effects);
                    (void)!hall_carry(&h, 1 + i, i, &effects);
                }
                (void)!hall_tick(&h, now);
            }
            for (uint64_t now = 1000; msfl_coordinator_phase(h.coordinator) != MSFL_PHASE_OPENED && now < 3000;
                 now += 200)
                (void)!hall_tick(&h, now);
            hall_finish(&h);
            model++;
            for (uint32_t d = 0; d < 1 + h.n + h.r->k; d++) { /* the disks of this test are small */
                for (size_t j = 0; j < h.disk[d].n_journal; j++)
                    free(h.disk[d].journal[j].bytes);
                h.disk[d].n_journal = 0;
            }
        }
    }
    hall_clear(&h);
}

static void a_failing_spool_takes_nothing_in(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 3, MSFL_CUSTODY_COMMITTEE, 3);
    assert_int_equal(hall_open(&h, 'a'), MSFL_OK);
    assert_int_equal(hall_tick(&h, 20), MSFL_OK);
    h.disk[0].fails = true;
    assert_int_not_equal(hall_upload(&h, 0), MSFL_OK);
    h.disk[0].fails = false;
    msfl_effects effects = {0};
    assert_int_equal(msfl_site_resend(h.sites[0], &effects), MSFL_OK);
    assert_int_equal(hall_carry(&h, 1, 0, &effects), MSFL_OK);
    assert_int_equal(msfl_site_phase_of(h.sites[0]), MSFL_SITE_WAITING);
    for (uint32_t i = 1; i < 3; i++)
        assert_int_equal(hall_upload(&h, i), MSFL_OK);
    assert_int_equal(hall_tick(&h, 200), MSFL_OK);
    h.disk[0].fails = true; /* when the bundles are wanted, and when the sum is folded */
    assert_int_equal(hall_tick(&h, 400), MSFL_ERR_IO);
    h.disk[0].fails = false;
    assert_int_equal(hall_tick(&h, 600), MSFL_OK);
    hall_finish(&h);
    hall_clear(&h);
}

static void an_aborted_round_stands_in_the_record(void **state) {
    (void)state;
    hall h;
    msfl_effects effects = {0};
    hall_make(&h, 3, MSFL_CUSTODY_COMMITTEE, 3);
    assert_int_equal(msfl_coordinator_abort(h.coordinator, "nothing there", &effects), MSFL_ERR_POLICY);
    assert_int_equal(hall_open(&h, 'a'), MSFL_OK);
    assert_int_equal(hall_tick(&h, 20), MSFL_OK);
    assert_int_equal(hall_upload(&h, 1), MSFL_OK);
    assert_int_equal(hall_upload(&h, 2), MSFL_OK);
    assert_int_equal(msfl_coordinator_close(h.coordinator, 30, &effects), MSFL_ERR_POLICY);
    expect_message("has 2 uploads, at least 3");
    assert_int_equal(hall_tick(&h, 1000), MSFL_OK); /* the deadline */
    assert_int_equal(msfl_coordinator_phase(h.coordinator), MSFL_PHASE_IDLE);
    msfl_transcript t;
    uint8_t first[32];
    assert_int_equal(msfl_transcript_verify(h.record, h.record_length, h.roster, NULL, &t), MSFL_OK);
    assert_int_equal(t.outcome, MSFL_OUTCOME_ABORTED);
    assert_memory_equal(t.reason, "too few uploads", 15);
    memcpy(first, t.hash, 32);
    hall_round(&h, 'a'); /* the same model again, with new keys */
    assert_int_equal(msfl_transcript_verify(h.record, h.record_length, h.roster, first, &t), MSFL_OK);
    assert_int_equal(t.announcement.info.number, 2);
    hall_clear(&h);
}

static void transcripts_prove_and_do_not_bend(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 4, MSFL_CUSTODY_COMMITTEE, 3);
    hall_round(&h, 'a');
    msfl_transcript t;
    uint8_t hash[32], zero[32] = {0}, other[32] = {1};
    assert_int_equal(msfl_transcript_verify(h.record, h.record_length, h.roster, zero, &t), MSFL_OK);
    assert_true(t.n_votes >= 3 && t.n_answers >= 3 && t.outcome == MSFL_OUTCOME_OPENED);
    for (uint32_t i = 0; i < 4; i++)
        assert_true(msfl_transcript_find(&t, h.roster, i, hash));
    assert_false(msfl_transcript_find(&t, h.roster, 4, hash));
    assert_int_equal(msfl_transcript_verify(h.record, h.record_length, h.roster, other, &t), MSFL_ERR_MISMATCH);
    uint8_t *copy = hall_get(h.record_length, 1);
    for (size_t at = 0; at < h.record_length; at += 13) {
        memcpy(copy, h.record, h.record_length);
        copy[at] ^= 1;
        assert_int_not_equal(msfl_transcript_verify(copy, h.record_length, h.roster, NULL, &t), MSFL_OK);
        assert_int_not_equal(msfl_transcript_verify(h.record, at, h.roster, NULL, &t), MSFL_OK);
        /* Changed and signed again by the coordinator: what others signed still does not bend. */
        hall_sign_again(&h, copy, h.record_length);
        const bool result = at >= h.record_length - 64 - 4 - 32; /* what the coordinator alone vouches for */
        if (!result) assert_int_not_equal(msfl_transcript_verify(copy, h.record_length, h.roster, NULL, &t), MSFL_OK);
    }
    msfl_free(copy);
    hall_clear(&h);
}

/** Every allocation fails once, in every call of a round: the call fails, changes nothing, and may be repeated. */
static void a_round_survives_every_failing_allocation(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 3, MSFL_CUSTODY_COMMITTEE, 3);
    msfl_effects effects = {0};
    msfl_round_offer o = {
        .min_cohort = 3, .n_values = h.n_values, .deadline_ms = 1000, .delivery = MSFL_DELIVERY_COORDINATOR};
    HALL_REPEAT(&effects, msfl_coordinator_open(h.coordinator, 10, &o, &effects))
    assert_int_equal(hall_carry(&h, 0, MSFL_COORDINATOR, &effects), MSFL_OK);
    HALL_REPEAT(&effects, msfl_coordinator_tick(h.coordinator, 20, &effects))
    assert_int_equal(hall_carry(&h, 0, MSFL_COORDINATOR, &effects), MSFL_OK);
    for (uint32_t i = 0; i < 3; i++) {
        msfl_effects uploads = {0};
        uint64_t at = 0;
        HALL_REPEAT(&effects, msfl_site_start(h.sites[i], h.ctx, o.model, o.layout, &effects))
        for (uint64_t j = 0; j < h.n_chunks; j++) {
            assert_int_equal(msfl_site_encrypt(h.sites[i], j, h.slots[i] + at, &effects), MSFL_OK);
            at += msfl_packed_chunk_slots(h.ctx, h.n_values, j);
        }
        assert_int_equal(msfl_site_finish(h.sites[i], &effects), MSFL_OK);
        uploads = effects;
        effects = (msfl_effects){0};
        for (size_t m = 0; m < uploads.n; m++) {
            const msfl_effect *e = &uploads.items[m];
            if (e->kind != MSFL_EFFECT_SEND) continue;
            HALL_REPEAT(&effects, msfl_coordinator_receive(h.coordinator, 30, i, e->bytes, e->length, &effects))
        }
        msfl_effects_clear(&uploads);
        uploads = effects;
        effects = (msfl_effects){0};
        for (size_t m = 0; m < uploads.n; m++) {
            const msfl_effect *e = &uploads.items[m];
            if (e->kind == MSFL_EFFECT_SEND)
                HALL_REPEAT(&effects, msfl_site_receive(h.sites[i], 30, e->bytes, e->length, &effects))
        }
        msfl_effects_clear(&uploads);
        msfl_effects_clear(&effects);
    }
    for (int pass = 0; pass < 6 && msfl_coordinator_phase(h.coordinator) != MSFL_PHASE_OPENED;
         pass++) { /* proposals, releases */
        HALL_REPEAT(&effects, msfl_coordinator_tick(h.coordinator, 200 * (uint64_t)(pass + 1), &effects))
        msfl_effects asked = effects;
        effects = (msfl_effects){0};
        for (size_t m = 0; m < asked.n; m++) {
            const msfl_effect *e = &asked.items[m];
            if (e->kind != MSFL_EFFECT_SEND) continue;
            const uint32_t place = msfl_member_place(h.r, e->to);
            HALL_REPEAT(&effects,
                        msfl_member_receive(h.members[place], MSFL_COORDINATOR, e->bytes, e->length, &effects))
            msfl_effects answers = effects;
            effects = (msfl_effects){0};
            const msfl_effect *last = &answers.items[answers.n - 1];
            HALL_REPEAT(&effects,
                        msfl_coordinator_receive(h.coordinator, 300, e->to, last->bytes, last->length, &effects))
            msfl_effects_clear(&answers);
            msfl_effects_clear(&effects);
        }
        msfl_effects_clear(&asked);
    }
    assert_int_equal(msfl_coordinator_phase(h.coordinator), MSFL_PHASE_OPENED);
    uint8_t result[32];
    hall_expect_sum(&h, result);
    HALL_REPEAT(&effects, msfl_coordinator_finish(h.coordinator, result, &effects))
    msfl_effects_clear(&effects);
    hall_clear(&h);
}

/** A site's key does not outlive a failure to share it. */
static void a_failed_finish_ends_the_round_for_the_site(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 3, MSFL_CUSTODY_COMMITTEE, 3);
    for (long k = 1; k < 8; k++) {
        msfl_effects effects = {0};
        assert_int_equal(hall_open(&h, (uint8_t)k), MSFL_OK);
        assert_int_equal(hall_tick(&h, 20), MSFL_OK);
        const msfl_announcement a = *msfl_site_round(h.sites[0]);
        uint64_t at = 0;
        assert_int_equal(msfl_site_start(h.sites[0], h.ctx, a.info.model, a.info.layout, &effects), MSFL_OK);
        for (uint64_t j = 0; j < h.n_chunks; j++) {
            assert_int_equal(msfl_site_encrypt(h.sites[0], j, h.slots[0] + at, &effects), MSFL_OK);
            at += msfl_packed_chunk_slots(h.ctx, h.n_values, j);
        }
        const size_t before = effects.n;
        msfl_alloc_fail_at(k);
        msfl_status status = msfl_site_finish(h.sites[0], &effects);
        msfl_alloc_fail_at(0);
        if (status == MSFL_ERR_MEMORY) {
            assert_int_equal(effects.n, before);
            assert_int_equal(msfl_site_phase_of(h.sites[0]), MSFL_SITE_IDLE);
            assert_int_equal(msfl_site_finish(h.sites[0], &effects), MSFL_ERR_POLICY);
        }
        msfl_effects_clear(&effects);
        assert_int_equal(msfl_coordinator_abort(h.coordinator, "next", &effects), MSFL_OK);
        assert_int_equal(hall_carry(&h, 0, MSFL_COORDINATOR, &effects), MSFL_OK);
    }
    hall_clear(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_custody_opens_the_plain_sum),
        cmocka_unit_test(k_minus_t_members_may_be_absent_and_no_more),
        cmocka_unit_test(cheating_members_are_outvoted_and_named),
        cmocka_unit_test(everybody_may_restart_between_any_two_steps),
        cmocka_unit_test(cut_journals_are_enough),
        cmocka_unit_test(a_site_uses_one_key_per_number),
        cmocka_unit_test(what_a_site_refuses),
        cmocka_unit_test(damaged_messages_are_sent_again),
        cmocka_unit_test(a_failing_spool_takes_nothing_in),
        cmocka_unit_test(an_aborted_round_stands_in_the_record),
        cmocka_unit_test(transcripts_prove_and_do_not_bend),
        cmocka_unit_test(a_round_survives_every_failing_allocation),
        cmocka_unit_test(a_failed_finish_ends_the_round_for_the_site),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
