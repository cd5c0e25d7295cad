/* Delivered sums under faults: cheating members, a coordinator that folds wrongly, restarts, cut journals, failing
 * memory. Faults in every order are for tests/sim. */
#include "trouble.h"

static void cheating_members_are_outvoted_and_named(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 7, MSFL_CUSTODY_COMMITTEE, 3); /* t = 5, f = 2 */
    h.tamper = hall_cheat;
    uint8_t model = 0;
    for (hall_cheat_places = 1; hall_cheat_places < 128; hall_cheat_places += 13) {
        if (__builtin_popcount(hall_cheat_places) > 2) continue;
        hall_to_delivery(&h, model++, 7);
        (void)!hall_tick(&h, 3000);
        for (uint32_t i = 0; i < 7; i++) {
            assert_int_equal(hall_take_folded(&h, i), MSFL_OK);
            hall_expect_site_sum(&h, i);
            assert_int_equal(msfl_site_wrong(h.sites[i]), hall_cheat_places);
            hall_report(&h, i, NULL);
        }
        size_t n;
        const uint32_t *cheats = msfl_coordinator_cheats(h.coordinator, &n);
        assert_int_equal(n, __builtin_popcount(hall_cheat_places));
        for (size_t i = 0; i < n; i++)
            assert_true(hall_cheat_places >> msfl_member_place(h.r, cheats[i]) & 1);
        hall_settle(&h);
    }
    /* Three are too many: no hospital opens anything, and the round can be given up. */
    hall_cheat_places = 7;
    hall_to_delivery(&h, model, 7);
    (void)!hall_tick(&h, 3000);
    assert_int_equal(hall_take_folded(&h, 0), MSFL_ERR_CRYPTO);
    expect_message("no 5 of 7 answers open the sum; a client shared its key wrongly");
    assert_int_equal(msfl_site_phase_of(h.sites[0]), MSFL_SITE_DELIVERED);
    msfl_effects effects = {0};
    assert_int_equal(msfl_coordinator_abort(h.coordinator, "no answers open", &effects), MSFL_OK);
    assert_int_equal(hall_carry(&h, 0, MSFL_COORDINATOR, &effects), MSFL_OK);
    hall_tell_record(&h);
    assert_int_equal(msfl_site_phase_of(h.sites[0]), MSFL_SITE_IDLE);
    hall_clear(&h);
}

/** Wrong answers come first: the hospital waits for more, and needs no chunk a second time. */
static void further_answers_help(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 4, MSFL_CUSTODY_COMMITTEE, 3); /* t = 3 */
    h.tamper = hall_cheat;
    hall_cheat_places = 2;
    h.deaf[3] = true;
    hall_to_delivery(&h, 'a', 4);
    assert_int_equal(hall_tick(&h, 3000), MSFL_OK);
    assert_int_equal(hall_take_folded(&h, 0), MSFL_ERR_CRYPTO);
    expect_message("no 3 of 3 answers open the sum; further answers may");
    h.deaf[3] = false;
    (void)!hall_tick(&h, 4000); /* asks the member again, and delivers before it has answered */
    assert_int_equal(hall_tick(&h, 5000), MSFL_OK);
    hall_expect_site_sum(&h, 0);
    assert_int_equal(msfl_site_wrong(h.sites[0]), 2);
    hall_clear(&h);
}

/** The coordinator adds to the sum something that opens: only who folds for itself, or compares, sees it. */
static void a_wrong_fold_is_found_by_who_folds_or_compares(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 4, MSFL_CUSTODY_COMMITTEE, 3);
    hall_to_delivery(&h, 'a', 4);
    /* A noise-free encryption of a constant, whose key is zero. */
    const size_t length = msfl_packed_chunk_bytes(h.ctx, h.n_values, 0);
    const msfl_params *p = msfl_packed_params(h.ctx);
    uint8_t *chunk = hall_get(length, 1), *extra = hall_get(length, 1);
    /* In a value whose sum is not the largest possible: one above that would be found. */
    uint32_t at = 24;
    while (h.slots[0][at] + h.slots[1][at] + h.slots[2][at] + h.slots[3][at] == 12)
        at += 8;
    size_t plane = 0;
    for (uint32_t i = 0; i < p->n_primes; i++) {
        const uint32_t bits = 64 - (uint32_t)__builtin_clzll(p->primes[i] - 1);
        extra[plane + at / 8 * bits] = 1;
        plane += (size_t)p->ring_degree / 8 * bits;
    }
    msfl_buffer delivery = {0};
    msfl_effects effects = {0};
    assert_int_equal(msfl_coordinator_poll(h.coordinator, 1, &effects), MSFL_OK);
    for (size_t i = 0; i < effects.n; i++) {
        const msfl_effect *e = &effects.items[i];
        if (e->kind == MSFL_EFFECT_SEND && msfl_load32(e->bytes + 8) == MSFL_MSG_DELIVER)
            msfl_put_bytes(&delivery, e->bytes, e->length);
    }
    msfl_effects_clear(&effects);
    assert_true(delivery.length > 0);
    /* Sum and hash as the liar has them. */
    msfl_packed_sum *sum;
    uint8_t id[32], cohort[32], folded[32], digest[32];
    memcpy(id, delivery.bytes + 16, 32);
    assert_int_equal(msfl_packed_sum_new(h.ctx, id, h.n_values, &sum), MSFL_OK);
    const size_t statements = MSFL_FRAME_BYTES + MSFL_ANNOUNCE_BODY;
    msfl_cohort_hash(id, h.roster, delivery.bytes + statements + 4, 4, cohort);
    msfl_hash m;
    uint64_t total_bytes = 0;
    for (uint64_t j = 0; j < h.n_chunks; j++)
        total_bytes += msfl_packed_chunk_bytes(h.ctx, h.n_values, j);
    msfl_folded_hash_init(&m, id, cohort, total_bytes);
    uint8_t *all[8];
    for (uint64_t j = 0; j < h.n_chunks; j++) {
        const size_t n = msfl_packed_chunk_bytes(h.ctx, h.n_values, j);
        all[j] = hall_get(length, 1);
        assert_int_equal(msfl_coordinator_folded(h.coordinator, j, chunk), MSFL_OK);
        assert_int_equal(msfl_packed_fold(h.ctx, sum, j, chunk, n), MSFL_OK);
        if (j == 0) assert_int_equal(msfl_packed_fold(h.ctx, sum, j, extra, n), MSFL_OK);
        assert_int_equal(msfl_packed_sum_get(h.ctx, sum, j, all[j]), MSFL_OK);
        msfl_hash_add(&m, all[j], n);
    }
    msfl_hash_final(&m, folded);
    msfl_delivery_digest(id, cohort, folded, digest);
    const size_t sealed = 4 * (msfl_sealed_sum_bytes(p->ring_degree) + MSFL_WRAP_BYTES);
    uint8_t *signature = delivery.bytes + delivery.length - sealed - 64;
    memcpy(signature - 32, folded, 32);
    assert_int_equal(msfl_site_receive(h.sites[1], 10, delivery.bytes, delivery.length, &effects), MSFL_ERR_CRYPTO);
    expect_message("did not sign the folded sum");
    msfl_sign(h.coordinator_secret->sign, digest, 32, signature);
    assert_int_equal(msfl_site_receive(h.sites[1], 10, delivery.bytes, delivery.length, &effects), MSFL_OK);
    /* Who folds the uploads itself has the coordinator's signature under something else. */
    assert_int_equal(hall_fold_itself(&h, 1), MSFL_ERR_MISMATCH);
    expect_message("it folded wrongly");
    /* Who takes the fold opens it, since nothing shows, and reports another result than the others. */
    for (uint64_t j = 0; j < h.n_chunks; j++) {
        assert_int_equal(msfl_site_folded(h.sites[1], h.ctx, j, all[j], msfl_packed_chunk_bytes(h.ctx, h.n_values, j)),
                         MSFL_OK);
    }
    assert_int_equal(msfl_site_phase_of(h.sites[1]), MSFL_SITE_OPENED);
    uint64_t *totals = hall_get(msfl_packed_chunk_slots(h.ctx, h.n_values, 0), sizeof *totals);
    assert_int_equal(msfl_site_total(h.sites[1], 0, totals), MSFL_OK);
    uint64_t expected = 1;
    for (uint32_t i = 0; i < 4; i++)
        expected += h.slots[i][at];
    assert_int_equal(totals[at], expected);
    hall_report(&h, 1, NULL);
    for (uint32_t i = 0; i < 4; i++) {
        if (i == 1) continue;
        assert_int_equal(msfl_coordinator_poll(h.coordinator, i, &effects), MSFL_OK);
        assert_int_equal(hall_carry(&h, 0, MSFL_COORDINATOR, &effects), MSFL_OK);
        assert_int_equal(i == 3 ? hall_fold_itself(&h, i) : hall_take_folded(&h, i), MSFL_OK);
        hall_report(&h, i, NULL);
    }
    uint8_t result[32], own[32];
    uint32_t n_agree;
    assert_true(msfl_coordinator_agreed(h.coordinator, result, &n_agree));
    assert_int_equal(n_agree, 3);
    assert_int_equal(msfl_site_result(h.sites[1], own), 1);
    assert_memory_not_equal(own, result, 32);
    for (uint64_t j = 0; j < h.n_chunks; j++)
        msfl_free(all[j]);
    msfl_packed_sum_free(sum);
    msfl_buffer_clear(&delivery);
    msfl_free(totals);
    msfl_free(chunk);
    msfl_free(extra);
    hall_clear(&h);
}

static void everybody_may_restart_between_any_two_steps(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 4, MSFL_CUSTODY_COMMITTEE, 3);
    h.delivery = MSFL_DELIVERY_CLIENTS;
    for (uint8_t model = 0; model < 2; model++) {
        uint64_t now = 0; /* the clock goes back, too */
        assert_int_equal(hall_open(&h, model), MSFL_OK);
        hall_restart(&h);
        assert_int_equal(hall_tick(&h, now += 200), MSFL_OK);
        for (uint32_t i = 0; i < h.n; i++) {
            assert_int_equal(hall_upload(&h, i), MSFL_OK);
            hall_restart(&h);
            (void)!hall_tick(&h, now += 200);
        }
        for (int step = 0; step < 40 && msfl_coordinator_phase(h.coordinator) != MSFL_PHASE_IDLE; step++) {
            hall_restart(&h);
            if (msfl_coordinator_phase(h.coordinator) == MSFL_PHASE_DELIVERING) {
                (void)!hall_tick(&h, now += 1000);
                const uint32_t i = (uint32_t)step % h.n;
                if (msfl_site_phase_of(h.sites[i]) != MSFL_SITE_DELIVERED) continue;
                assert_int_equal(hall_take_folded(&h, i), MSFL_OK);
                hall_expect_site_sum(&h, i);
                hall_report(&h, i, NULL);
                hall_restart(&h);
                assert_int_equal(msfl_site_phase_of(h.sites[i]), MSFL_SITE_REPORTED);
                uint8_t result[32];
                uint32_t n;
                if (!msfl_coordinator_agreed(h.coordinator, result, &n) || n < h.n) continue;
                hall_settle(&h);
            } else {
                (void)!hall_tick(&h, now += 1000);
            }
        }
        hall_restart(&h);
        for (uint32_t i = 0; i < h.n; i++)
            assert_int_equal(msfl_site_settled(h.sites[i]), model + 1);
    }
    hall_clear(&h);
}

/** Journals may be cut as docs/formats/round-messages.md says, with a sum opened and not yet recorded. */
static void cut_journals_are_enough(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 3, MSFL_CUSTODY_COMMITTEE, 3);
    hall_sealed_round(&h, 'a');
    hall_to_delivery(&h, 'b', 3);
    assert_int_equal(hall_tick(&h, 3000), MSFL_OK);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(hall_take_folded(&h, i), MSFL_OK);
        hall_report(&h, i, NULL);
    }
    for (uint32_t d = 1; d < 4; d++) {
        hall_disk *disk = &h.disk[d];
        size_t joined = disk->n_journal, history = 0;
        while (msfl_load32(disk->journal[--joined].bytes + 8) != MSFL_JOURNAL_JOINED) {
        }
        for (size_t j = 0; j < joined; j++)
            if (msfl_load32(disk->journal[j].bytes + 8) == MSFL_JOURNAL_HISTORY) history = j;
        bool keep[HALL_JOURNAL_MAX];
        for (size_t j = 0; j < disk->n_journal; j++)
            keep[j] = j >= joined || j == history;
        hall_cut_journal(disk, keep);
    }
    hall_restart(&h);
    assert_int_equal(hall_tick(&h, 5000), MSFL_OK);
    assert_int_equal(hall_take_folded(&h, 2), MSFL_OK);
    hall_report(&h, 2, NULL);
    hall_settle(&h);
    hall_sealed_round(&h, 'c');
    hall_clear(&h);
}

/** Every allocation fails once, from the first answer to the record. */
static void a_delivery_survives_every_failing_allocation(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 3, MSFL_CUSTODY_COMMITTEE, 3);
    msfl_effects effects = {0};
    h.delivery = MSFL_DELIVERY_CLIENTS;
    assert_int_equal(hall_open(&h, 'a'), MSFL_OK);
    assert_int_equal(hall_tick(&h, 20), MSFL_OK);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(hall_upload(&h, i), MSFL_OK);
    assert_int_equal(hall_tick(&h, 1000), MSFL_OK);
    msfl_effects asked = {0};
    assert_int_equal(msfl_coordinator_tick(h.coordinator, 2000, &asked), MSFL_OK);
    for (size_t m = 0; m < asked.n; m++) {
        const msfl_effect *e = &asked.items[m];
        HALL_REPEAT(&effects, msfl_member_receive(h.members[e->to], MSFL_COORDINATOR, e->bytes, e->length, &effects))
        msfl_effects answers = effects;
        effects = (msfl_effects){0};
        const msfl_effect *last = &answers.items[answers.n - 1];
        HALL_REPEAT(&effects, msfl_coordinator_receive(h.coordinator, 2100, e->to, last->bytes, last->length, &effects))
        msfl_effects_clear(&answers);
        msfl_effects_clear(&effects);
    }
    msfl_effects_clear(&asked);
    assert_int_equal(msfl_coordinator_phase(h.coordinator), MSFL_PHASE_DELIVERING);
    HALL_REPEAT(&effects, msfl_coordinator_tick(h.coordinator, 3000, &effects))
    msfl_effects deliveries = effects;
    effects = (msfl_effects){0};
    uint8_t *chunk = hall_get(msfl_packed_chunk_bytes(h.ctx, h.n_values, 0), 1);
    for (size_t m = 0; m < deliveries.n; m++) {
        const msfl_effect *e = &deliveries.items[m];
        assert_int_equal(msfl_load32(e->bytes + 8), MSFL_MSG_DELIVER);
        HALL_REPEAT(&effects, msfl_site_receive(h.sites[e->to], 3000, e->bytes, e->length, &effects))
        for (uint64_t j = 0; j < h.n_chunks; j++) {
            HALL_REPEAT(&effects, msfl_coordinator_folded(h.coordinator, j, chunk))
            HALL_REPEAT(&effects, msfl_site_folded(h.sites[e->to], h.ctx, j, chunk,
                                                   msfl_packed_chunk_bytes(h.ctx, h.n_values, j)))
        }
        hall_expect_site_sum(&h, e->to);
        HALL_REPEAT(&effects, msfl_site_report(h.sites[e->to], NULL, &effects))
        msfl_effects reports = effects;
        effects = (msfl_effects){0};
        for (size_t i = 0; i < reports.n; i++) {
            const msfl_effect *r = &reports.items[i];
            if (r->kind != MSFL_EFFECT_SEND) continue;
            HALL_REPEAT(&effects, msfl_coordinator_receive(h.coordinator, 3000, e->to, r->bytes, r->length, &effects))
        }
        msfl_effects_clear(&reports);
        msfl_effects_clear(&effects);
    }
    msfl_effects_clear(&deliveries);
    uint8_t result[32];
    uint32_t n;
    assert_true(msfl_coordinator_agreed(h.coordinator, result, &n));
    HALL_REPEAT(&effects, msfl_coordinator_finish(h.coordinator, result, &effects))
    assert_int_equal(hall_carry(&h, 0, MSFL_COORDINATOR, &effects), MSFL_OK);
    HALL_REPEAT(&effects, msfl_coordinator_poll(h.coordinator, 0, &effects))
    msfl_effects records = effects;
    effects = (msfl_effects){0};
    HALL_REPEAT(&effects,
                msfl_site_receive(h.sites[0], 3000, records.items[0].bytes, records.items[0].length, &effects))
    assert_int_equal(msfl_site_settled(h.sites[0]), 1);
    msfl_effects_clear(&records);
    msfl_effects_clear(&effects);
    msfl_free(chunk);
    hall_clear(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cheating_members_are_outvoted_and_named),
        cmocka_unit_test(further_answers_help),
        cmocka_unit_test(a_wrong_fold_is_found_by_who_folds_or_compares),
        cmocka_unit_test(everybody_may_restart_between_any_two_steps),
        cmocka_unit_test(cut_journals_are_enough),
        cmocka_unit_test(a_delivery_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
