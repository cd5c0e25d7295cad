/* Sums that are delivered to the hospitals and kept from the coordinator: exact at every hospital, present or late;
 * what a hospital refuses; cheating members, a coordinator that folds wrongly, restarts, failing memory. Faults in
 * every order are for tests/sim. */
#include "hall.h"

static void every_hospital_opens_the_plain_sum(void **state) {
    (void)state;
    static const struct {
        uint32_t n;
        msfl_custody custody;
        uint32_t min;
    } cases[] = {{2, MSFL_CUSTODY_COMMITTEE, 2},
                 {3, MSFL_CUSTODY_COMMITTEE, 3},
                 {7, MSFL_CUSTODY_COMMITTEE, 3},
                 {16, MSFL_CUSTODY_COMMITTEE, 3},
                 {3, MSFL_CUSTODY_AUTHORITY, 3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hall h;
        hall_make(&h, cases[i].n, cases[i].custody, cases[i].min);
        hall_sealed_round(&h, 'a');
        hall_sealed_round(&h, 'b');
        h.delivery = MSFL_DELIVERY_COORDINATOR;
        assert_int_equal(hall_open(&h, 'c'), MSFL_ERR_POLICY);
        expect_message("delivered the same way");
        hall_sealed_round(&h, 'd');
        msfl_transcript t;
        msfl_report report;
        assert_int_equal(msfl_transcript_verify(h.record, h.record_length, h.roster, NULL, &t), MSFL_OK);
        assert_int_equal(t.announcement.info.number, 3);
        assert_int_equal(t.n_reports, cases[i].n);
        assert_int_equal(t.n_agree, cases[i].n);
        for (uint32_t k = 0; k < cases[i].n; k++) {
            assert_true(msfl_transcript_report(&t, k, &report));
            assert_int_equal(report.client, k);
            assert_int_equal(report.fold, MSFL_FOLD_TAKEN);
            assert_int_equal(msfl_site_settled(h.sites[k]), 3);
            assert_int_equal(msfl_site_phase_of(h.sites[k]), MSFL_SITE_IDLE);
        }
        assert_false(msfl_transcript_report(&t, cases[i].n, &report));
        hall_clear(&h);
    }
}

static void a_coordinator_with_the_keys_cannot_be_kept_out(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 3, MSFL_CUSTODY_COORDINATOR, 3);
    h.delivery = MSFL_DELIVERY_CLIENTS;
    assert_int_equal(hall_open(&h, 'a'), MSFL_ERR_POLICY);
    expect_message("holds the keys of this roster itself");
    /* Nor do the others believe one that says it could. */
    h.delivery = 0;
    assert_int_equal(hall_open(&h, 'a'), MSFL_OK);
    msfl_announcement a = *msfl_coordinator_round(h.coordinator);
    a.delivery = MSFL_DELIVERY_CLIENTS;
    uint8_t announce[MSFL_ANNOUNCE_BODY], id[32];
    msfl_announcement_sign(&a, h.coordinator_secret, announce);
    msfl_announcement_id(&a, id);
    msfl_buffer b = {0};
    msfl_effects effects = {0};
    msfl_frame_put(&b, MSFL_MSG_ANNOUNCE, MSFL_COORDINATOR, id);
    msfl_put_bytes(&b, announce, sizeof announce);
    assert_int_equal(msfl_site_receive(h.sites[0], 10, b.bytes, b.length, &effects), MSFL_ERR_POLICY);
    expect_message("a coordinator that holds its keys");
    b.length = 0;
    msfl_frame_put(&b, MSFL_MSG_PROPOSE, MSFL_COORDINATOR, id);
    msfl_put_bytes(&b, announce, sizeof announce);
    msfl_put32(&b, 0);
    assert_int_equal(msfl_member_receive(h.members[0], MSFL_COORDINATOR, b.bytes, b.length, &effects), MSFL_ERR_POLICY);
    expect_message("a coordinator that holds its keys");
    msfl_buffer_clear(&b);
    hall_clear(&h);
}

/** What goes to the coordinator tells it nothing: no total, no key sum, and its key opens no answer. */
static void the_coordinator_learns_nothing(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 3, MSFL_CUSTODY_COMMITTEE, 3);
    hall_to_delivery(&h, 'a', 3);
    uint64_t total[2048];
    assert_int_equal(msfl_coordinator_total(h.coordinator, 0, total), MSFL_ERR_POLICY);
    /* The member's answer, opened with every key there is but the hospitals'. */
    const uint32_t degree = msfl_packed_params(h.ctx)->ring_degree;
    uint32_t *shares = hall_get(degree, sizeof *shares);
    uint8_t *body = hall_get(msfl_sealed_bytes(degree, 3), 1);
    const uint8_t id[32] = {1}, cohort[32] = {2};
    const msfl_answer_binding b = {id, cohort, 1, degree};
    for (uint32_t i = 0; i < degree; i++)
        shares[i] = i;
    assert_int_equal(msfl_sealed_make(&b, h.secret[1], h.r, shares, body), MSFL_OK);
    assert_int_equal(msfl_sealed_check(&b, h.r, body), MSFL_OK);
    uint8_t *sealed = body + MSFL_SEALED_KEPT, *wraps = sealed + msfl_sealed_sum_bytes(degree);
    for (uint32_t i = 0; i < 3; i++) {
        uint8_t *wrap = wraps + i * MSFL_WRAP_BYTES;
        memset(shares, 0, degree * sizeof *shares);
        assert_int_equal(msfl_sealed_open(&b, h.r, i, h.coordinator_secret, body, sealed, wrap, shares),
                         MSFL_ERR_CRYPTO);
        assert_int_equal(msfl_sealed_open(&b, h.r, i, h.secret[(i + 1) % 3], body, sealed, wrap, shares),
                         MSFL_ERR_CRYPTO);
        assert_int_equal(shares[7], 0);
        assert_int_equal(msfl_sealed_open(&b, h.r, i, h.secret[i], body, sealed, wrap, shares), MSFL_OK);
        for (uint32_t v = 0; v < degree; v++)
            assert_int_equal(shares[v], v);
        /* Another member's name, another cohort, another place: nothing opens. */
        const msfl_answer_binding other = {id, cohort, 2, degree}, elsewhere = {id, id, 1, degree};
        assert_int_equal(msfl_sealed_open(&other, h.r, i, h.secret[i], body, sealed, wrap, shares), MSFL_ERR_CRYPTO);
        assert_int_equal(msfl_sealed_open(&elsewhere, h.r, i, h.secret[i], body, sealed, wrap, shares),
                         MSFL_ERR_CRYPTO);
        assert_int_equal(
            msfl_sealed_open(&b, h.r, i, h.secret[i], body, sealed, wraps + (i + 1) % 3 * MSFL_WRAP_BYTES, shares),
            MSFL_ERR_CRYPTO);
    }
    for (size_t at = 0; at < msfl_sealed_bytes(degree, 3); at += 7) { /* nothing bends */
        body[at] ^= 4;
        assert_int_equal(msfl_sealed_check(&b, h.r, body), MSFL_ERR_CRYPTO);
        body[at] ^= 4;
    }
    /* Twice the same answer, byte for byte; another sum, another key. */
    uint8_t *again = hall_get(msfl_sealed_bytes(degree, 3), 1);
    for (uint32_t i = 0; i < degree; i++)
        shares[i] = i;
    assert_int_equal(msfl_sealed_make(&b, h.secret[1], h.r, shares, again), MSFL_OK);
    assert_memory_equal(body, again, msfl_sealed_bytes(degree, 3));
    shares[9] ^= 1;
    assert_int_equal(msfl_sealed_make(&b, h.secret[1], h.r, shares, again), MSFL_OK);
    assert_memory_not_equal(body + 32, again + 32, 32);
    msfl_free(again);
    msfl_free(body);
    msfl_free(shares);
    hall_clear(&h);
}

/** A hospital whose update is not in the sum opens it all the same, with nothing but the delivery. */
static void stragglers_follow(void **state) {
    (void)state;
    hall h;
    msfl_effects effects = {0};
    hall_make(&h, 4, MSFL_CUSTODY_COMMITTEE, 3);
    hall_to_delivery(&h, 'a', 3);
    msfl_site_free(h.sites[3]); /* it was away: it has never heard of this round */
    assert_int_equal(hall_new_site(&h, 3), MSFL_OK);
    assert_int_equal(hall_tick(&h, 3000), MSFL_OK);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(msfl_site_phase_of(h.sites[i]), MSFL_SITE_DELIVERED);
        assert_int_equal(i == 2 ? hall_fold_itself(&h, i) : hall_take_folded(&h, i), MSFL_OK);
        hall_expect_site_sum(&h, i);
        size_t n;
        assert_non_null(msfl_site_cohort(h.sites[i], &n));
        assert_int_equal(n, 3);
    }
    uint8_t made[32] = {7}, result[32];
    uint32_t n_agree;
    for (uint32_t i = 0; i < 3; i++) {
        assert_false(msfl_coordinator_agreed(h.coordinator, result, &n_agree));
        assert_int_equal(n_agree, i);
        assert_int_equal(msfl_coordinator_finish(h.coordinator, result, &effects), MSFL_ERR_POLICY);
        expect_message("3 must agree");
        hall_report(&h, i, made);
    }
    assert_true(msfl_coordinator_agreed(h.coordinator, result, &n_agree));
    result[0] ^= 1;
    assert_int_equal(msfl_coordinator_finish(h.coordinator, result, &effects), MSFL_ERR_POLICY);
    result[0] ^= 1;
    msfl_report report;
    assert_true(msfl_coordinator_report(h.coordinator, 2, &report));
    assert_int_equal(report.fold, MSFL_FOLD_OWN);
    assert_false(msfl_coordinator_report(h.coordinator, 3, &report));
    /* The round is over before hospital 3 has reported. Its own report and the record fit all the same. */
    assert_int_equal(msfl_coordinator_finish(h.coordinator, result, &effects), MSFL_OK);
    assert_int_equal(hall_carry(&h, 0, MSFL_COORDINATOR, &effects), MSFL_OK);
    msfl_buffer record = {0};
    static const uint8_t none[32];
    msfl_frame_put(&record, MSFL_MSG_RECORD, MSFL_COORDINATOR, none);
    msfl_put_bytes(&record, h.record, h.record_length);
    assert_int_equal(msfl_site_receive(h.sites[3], 10, record.bytes, record.length, &effects), MSFL_ERR_POLICY);
    expect_message("this one has not opened it");
    assert_int_equal(msfl_site_report(h.sites[3], made, &effects), MSFL_OK);
    assert_int_equal(msfl_site_report(h.sites[3], made, &effects), MSFL_ERR_POLICY);
    msfl_effects_clear(&effects);
    assert_int_equal(msfl_site_receive(h.sites[3], 10, record.bytes, record.length, &effects), MSFL_OK);
    assert_int_equal(msfl_site_settled(h.sites[3]), 1);
    msfl_effects_clear(&effects);
    msfl_buffer_clear(&record);
    hall_tell_record(&h);
    uint8_t next[32], other[32], a[32] = {'a'};
    msfl_model_after(a, result, next);
    result[31] ^= 1;
    msfl_model_after(a, result, other);
    assert_memory_not_equal(next, other, 32);
    hall_sealed_round(&h, 'b');
    hall_clear(&h);
}

/** The same model made differently, by one hospital: it is named, the others go on, it does not. */
static void who_makes_another_model_is_named_and_stops(void **state) {
    (void)state;
    hall h;
    msfl_effects effects = {0};
    hall_make(&h, 4, MSFL_CUSTODY_COMMITTEE, 3);
    hall_to_delivery(&h, 'a', 4);
    assert_int_equal(hall_tick(&h, 3000), MSFL_OK);
    uint8_t made[32] = {7}, result[32];
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(hall_take_folded(&h, i), MSFL_OK);
        made[5] = i == 1;
        hall_report(&h, i, made);
    }
    uint32_t n;
    assert_true(msfl_coordinator_agreed(h.coordinator, result, &n));
    assert_int_equal(n, 3);
    assert_int_equal(msfl_coordinator_finish(h.coordinator, result, &effects), MSFL_OK);
    assert_int_equal(hall_carry(&h, 0, MSFL_COORDINATOR, &effects), MSFL_OK);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(msfl_coordinator_poll(h.coordinator, i, &effects), MSFL_OK);
        assert_int_equal(hall_carry(&h, 0, MSFL_COORDINATOR, &effects), i == 1 ? MSFL_ERR_MISMATCH : MSFL_OK);
        if (i == 1) expect_message("opened another sum than this one, or made another model");
        assert_int_equal(msfl_site_settled(h.sites[i]), i == 1 ? 0 : 1);
    }
    msfl_transcript t;
    msfl_report report;
    assert_int_equal(msfl_transcript_verify(h.record, h.record_length, h.roster, NULL, &t), MSFL_OK);
    assert_int_equal(t.n_reports, 4);
    assert_int_equal(t.n_agree, 3);
    assert_true(msfl_transcript_report(&t, 1, &report));
    assert_memory_not_equal(report.result, t.result, 32);
    /* It takes part in nothing further ... */
    assert_int_equal(hall_open(&h, 'b'), MSFL_OK);
    (void)!hall_tick(&h, 500);
    assert_int_equal(msfl_site_phase_of(h.sites[1]), MSFL_SITE_REPORTED);
    assert_int_equal(msfl_site_phase_of(h.sites[2]), MSFL_SITE_OFFERED);
    /* ... until its operator has the others' model. */
    assert_int_equal(msfl_site_adopt(h.sites[1], h.record, h.record_length, &effects), MSFL_OK);
    assert_int_equal(hall_carry(&h, 2, 1, &effects), MSFL_OK);
    assert_int_equal(msfl_site_settled(h.sites[1]), 0);
    assert_int_equal(hall_tick(&h, 900), MSFL_OK);
    assert_int_equal(msfl_site_phase_of(h.sites[1]), MSFL_SITE_OFFERED);
    hall_clear(&h);
}

/** As many for one result as for another: none is recorded, until one more decides. */
static void a_tie_is_not_recorded(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 5, MSFL_CUSTODY_COMMITTEE, 2);
    hall_to_delivery(&h, 'a', 5);
    assert_int_equal(hall_tick(&h, 3000), MSFL_OK);
    uint8_t made[32] = {7}, result[32], first[32];
    uint32_t n;
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(hall_take_folded(&h, i), MSFL_OK);
        made[0] = i % 2 == 0 ? 7 : 8;
        hall_report(&h, i, made);
        if (i == 0) assert_int_equal(msfl_site_result(h.sites[0], first), 1);
        assert_int_equal(msfl_coordinator_agreed(h.coordinator, result, &n), i == 2 || i == 4);
        assert_int_equal(n, (i + 2) / 2);
    }
    assert_memory_equal(result, first, 32);
    hall_clear(&h);
}

static uint32_t cheat_places;

static void cheat(hall *h, uint32_t from, uint32_t to, msfl_effect *e) {
    (void)to;
    if (from == MSFL_COORDINATOR || msfl_load32(e->bytes + 8) != MSFL_MSG_ANSWER) return;
    if ((cheat_places >> msfl_member_place(h->r, from) & 1) == 0) return;
    const uint32_t degree = msfl_packed_params(h->ctx)->ring_degree;
    uint32_t *sum = hall_get(degree, sizeof *sum);
    uint8_t cohort[32];
    sum[degree - 1] = 1; /* small and wrong */
    memcpy(cohort, e->bytes + MSFL_FRAME_BYTES, 32);
    const msfl_answer_binding b = {e->bytes + 16, cohort, from, degree};
    assert_int_equal(msfl_sealed_make(&b, h->secret[from], h->r, sum, e->bytes + MSFL_FRAME_BYTES), MSFL_OK);
    msfl_free(sum);
}

static void cheating_members_are_outvoted_and_named(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 7, MSFL_CUSTODY_COMMITTEE, 3); /* t = 5, f = 2 */
    h.tamper = cheat;
    uint8_t model = 0;
    for (cheat_places = 1; cheat_places < 128; cheat_places += 13) {
        if (__builtin_popcount(cheat_places) > 2) continue;
        hall_to_delivery(&h, model++, 7);
        (void)!hall_tick(&h, 3000);
        for (uint32_t i = 0; i < 7; i++) {
            assert_int_equal(hall_take_folded(&h, i), MSFL_OK);
            hall_expect_site_sum(&h, i);
            assert_int_equal(msfl_site_wrong(h.sites[i]), cheat_places);
            hall_report(&h, i, NULL);
        }
        size_t n;
        const uint32_t *cheats = msfl_coordinator_cheats(h.coordinator, &n);
        assert_int_equal(n, __builtin_popcount(cheat_places));
        for (size_t i = 0; i < n; i++)
            assert_true(cheat_places >> msfl_member_place(h.r, cheats[i]) & 1);
        hall_settle(&h);
    }
    /* Three are too many: no hospital opens anything, and the round can be given up. */
    cheat_places = 7;
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
    h.tamper = cheat;
    cheat_places = 2;
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

static msfl_buffer caught;

/** Keeps the delivery to hospital 0, and loses it. */
static void catch_delivery(hall *h, uint32_t from, uint32_t to, msfl_effect *e) {
    (void)h;
    if (from != MSFL_COORDINATOR || to != 0 || msfl_load32(e->bytes + 8) != MSFL_MSG_DELIVER) return;
    msfl_buffer_clear(&caught);
    msfl_put_bytes(&caught, e->bytes, e->length);
    e->length = 0;
}

static void refused(hall *h, msfl_status expected, const char *words) {
    msfl_effects effects = {0};
    msfl_status status = msfl_site_receive(h->sites[0], 10, caught.bytes, caught.length, &effects);
    if (status != expected) fail_msg("%s: %s", msfl_status_name(status), msfl_error_message());
    if (status != MSFL_OK) expect_message(words);
    assert_int_equal(effects.n, 0);
}

static void what_a_hospital_refuses_to_open(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 4, MSFL_CUSTODY_COMMITTEE, 3);
    h.tamper = catch_delivery;
    hall_to_delivery(&h, 'a', 4);
    assert_int_equal(hall_tick(&h, 3000), MSFL_OK);
    assert_int_equal(msfl_site_phase_of(h.sites[0]), MSFL_SITE_WAITING);
    /* Any bit of it, but in the wraps and sums: those only cost an answer. */
    const size_t sealed = 4 * (msfl_sealed_sum_bytes(1024) + MSFL_WRAP_BYTES);
    for (size_t at = MSFL_FRAME_BYTES; at < caught.length - sealed; at += 17) {
        msfl_effects effects = {0};
        caught.bytes[at] ^= 16;
        assert_int_not_equal(msfl_site_receive(h.sites[0], 10, caught.bytes, caught.length, &effects), MSFL_OK);
        caught.bytes[at] ^= 16;
        assert_int_equal(msfl_site_phase_of(h.sites[0]), MSFL_SITE_WAITING);
    }
    caught.length--;
    refused(&h, MSFL_ERR_FORMAT, "wrong length");
    caught.length++;
    /* A hospital that lost its journal does not know the upload that stands there in its name. */
    msfl_site *kept = h.sites[0];
    assert_int_equal(hall_new_site(&h, 0), MSFL_OK);
    refused(&h, MSFL_ERR_CRYPTO, "the key is stolen, or the journal is lost");
    msfl_site_free(h.sites[0]);
    /* One with a larger minimum. */
    h.min_cohort = 5;
    assert_int_equal(hall_new_site(&h, 0), MSFL_OK);
    refused(&h, MSFL_ERR_POLICY, "this party wants 5");
    msfl_site_free(h.sites[0]);
    h.min_cohort = 3;
    h.sites[0] = kept;
    /* One answer damaged, of four: three do. Two damaged: it takes the delivery, cannot open, and waits. */
    caught.bytes[caught.length - 1] ^= 1;
    caught.bytes[caught.length - sealed / 4 - 100] ^= 1;
    refused(&h, MSFL_OK, "");
    assert_int_equal(hall_take_folded(&h, 0), MSFL_ERR_CRYPTO);
    expect_message("no 3 of 2 answers open the sum; further answers may");
    caught.bytes[caught.length - 1] ^= 1;
    refused(&h, MSFL_OK, "");
    hall_expect_site_sum(&h, 0);
    refused(&h, MSFL_OK, ""); /* nothing new */
    hall_clear(&h);
    msfl_buffer_clear(&caught);
}

/** An upload is acknowledged and then left out: its hospital has the receipt, and does not go on. */
static void an_acknowledged_upload_is_missed(void **state) {
    (void)state;
    hall h;
    msfl_effects effects = {0};
    hall_make(&h, 4, MSFL_CUSTODY_COMMITTEE, 3);
    h.tamper = catch_delivery;
    h.delivery = MSFL_DELIVERY_CLIENTS;
    assert_int_equal(hall_open(&h, 'a'), MSFL_OK);
    assert_int_equal(hall_tick(&h, 20), MSFL_OK);
    /* The coordinator forgets hospital 0's upload after it has sent the receipt. */
    assert_int_equal(hall_upload(&h, 0), MSFL_OK);
    assert_int_equal(msfl_site_phase_of(h.sites[0]), MSFL_SITE_WAITING);
    h.disk[0].n_journal--;
    free(h.disk[0].journal[h.disk[0].n_journal].bytes);
    msfl_coordinator_free(h.coordinator);
    assert_int_equal(hall_new_coordinator(&h), MSFL_OK);
    for (size_t j = 0; j < h.disk[0].n_journal; j++) {
        const hall_item *e = &h.disk[0].journal[j];
        assert_int_equal(msfl_coordinator_replay(h.coordinator, e->bytes, e->length), MSFL_OK);
    }
    for (uint32_t i = 1; i < 4; i++)
        assert_int_equal(hall_upload(&h, i), MSFL_OK);
    assert_int_equal(hall_tick(&h, 1000), MSFL_OK);
    assert_int_equal(hall_tick(&h, 2000), MSFL_OK);
    assert_int_equal(hall_tick(&h, 3000), MSFL_OK);
    refused(&h, MSFL_ERR_MISMATCH, "acknowledged this hospital's upload and left it out");
    msfl_effects_clear(&effects);
    hall_clear(&h);
    msfl_buffer_clear(&caught);
}

static void rounds_are_followed_in_order(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 4, MSFL_CUSTODY_COMMITTEE, 3);
    h.tamper = catch_delivery;
    hall_to_delivery(&h, 'a', 4);
    assert_int_equal(hall_tick(&h, 3000), MSFL_OK);
    for (uint32_t i = 1; i < 4; i++) {
        assert_int_equal(hall_take_folded(&h, i), MSFL_OK);
        hall_report(&h, i, NULL);
    }
    msfl_buffer first = caught;
    caught = (msfl_buffer){0};
    /* What a process keeps for those that were away: the delivery and the folded sum. */
    uint8_t *folded = hall_get(h.n_chunks * msfl_packed_chunk_bytes(h.ctx, h.n_values, 0), 1);
    const size_t full = msfl_packed_chunk_bytes(h.ctx, h.n_values, 0);
    for (uint64_t j = 0; j < h.n_chunks; j++)
        assert_int_equal(msfl_coordinator_folded(h.coordinator, j, folded + j * full), MSFL_OK);
    msfl_effects effects = {0};
    uint8_t result[32];
    uint32_t n;
    assert_true(msfl_coordinator_agreed(h.coordinator, result, &n));
    assert_int_equal(msfl_coordinator_finish(h.coordinator, result, &effects), MSFL_OK);
    assert_int_equal(hall_carry(&h, 0, MSFL_COORDINATOR, &effects), MSFL_OK);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(msfl_coordinator_poll(h.coordinator, i, &effects), MSFL_OK);
        assert_int_equal(hall_carry(&h, 0, MSFL_COORDINATOR, &effects), i == 0 ? MSFL_ERR_POLICY : MSFL_OK);
    }
    uint8_t *record = hall_get(h.record_length, 1);
    const size_t record_length = h.record_length;
    memcpy(record, h.record, record_length);
    /* Hospital 0 is behind: the next round is not for it, whether it is announced or delivered. */
    h.delivery = MSFL_DELIVERY_CLIENTS;
    assert_int_equal(hall_open(&h, 'b'), MSFL_OK);
    assert_int_equal(hall_tick(&h, 500), MSFL_ERR_POLICY);
    expect_message("must know what became of every round before it");
    for (uint32_t i = 1; i < 4; i++)
        assert_int_equal(hall_upload(&h, i), MSFL_OK);
    (void)!hall_tick(&h, 9000);
    (void)!hall_tick(&h, 12000);
    (void)!hall_tick(&h, 15000);
    assert_int_equal(msfl_coordinator_phase(h.coordinator), MSFL_PHASE_DELIVERING);
    refused(&h, MSFL_ERR_POLICY, "must know what became of every round before it");
    /* It catches up, round by round. */
    assert_int_equal(msfl_site_receive(h.sites[0], 10, first.bytes, first.length, &effects), MSFL_OK);
    for (uint64_t j = 0; j < h.n_chunks; j++) {
        assert_int_equal(
            msfl_site_folded(h.sites[0], h.ctx, j, folded + j * full, msfl_packed_chunk_bytes(h.ctx, h.n_values, j)),
            MSFL_OK);
    }
    hall_expect_site_sum(&h, 0);
    refused(&h, MSFL_ERR_POLICY, ""); /* not yet: one at a time */
    assert_int_equal(msfl_site_report(h.sites[0], NULL, &effects), MSFL_OK);
    refused(&h, MSFL_ERR_POLICY, "has not seen its record");
    msfl_effects_clear(&effects);
    msfl_buffer b = {0};
    static const uint8_t none[32];
    msfl_frame_put(&b, MSFL_MSG_RECORD, MSFL_COORDINATOR, none);
    msfl_put_bytes(&b, record, record_length);
    assert_int_equal(msfl_site_receive(h.sites[0], 10, b.bytes, b.length, &effects), MSFL_OK);
    msfl_effects_clear(&effects);
    assert_int_equal(msfl_site_settled(h.sites[0]), 1);
    refused(&h, MSFL_OK, "");
    assert_int_equal(hall_take_folded(&h, 0), MSFL_OK);
    hall_expect_site_sum(&h, 0);
    msfl_buffer_clear(&b);
    msfl_buffer_clear(&first);
    msfl_buffer_clear(&caught);
    msfl_free(folded);
    msfl_free(record);
    hall_clear(&h);
}

/** A hospital that wants its sums kept from the coordinator enters no other round. */
static void hospitals_may_insist(void **state) {
    (void)state;
    for (int want = 1; want <= 2; want++) {
        hall h;
        hall_make(&h, 3, MSFL_CUSTODY_COMMITTEE, 3);
        msfl_site_config c = {h.roster, h.secret[0], 0, {0}, 3, 0, false, hall_spool(&h, 1), (msfl_delivery)want};
        memcpy(c.task, h.task, 32);
        msfl_site_free(h.sites[0]);
        assert_int_equal(msfl_site_new(&c, &h.sites[0]), MSFL_OK);
        h.delivery = (msfl_delivery)(3 - want);
        msfl_effects effects = {0};
        assert_int_equal(hall_open(&h, (uint8_t)want), MSFL_OK);
        assert_int_equal(hall_tick(&h, 20), MSFL_ERR_POLICY);
        expect_message(want == 2 ? "would be opened by the coordinator" : "would be opened by the hospitals");
        assert_int_equal(msfl_coordinator_abort(h.coordinator, "nobody comes", &effects), MSFL_OK);
        assert_int_equal(hall_carry(&h, 0, MSFL_COORDINATOR, &effects), MSFL_OK);
        hall_clear(&h);
    }
}

static void restart_all(hall *h) {
    msfl_coordinator_free(h->coordinator);
    assert_int_equal(hall_new_coordinator(h), MSFL_OK);
    for (size_t j = 0; j < h->disk[0].n_journal; j++) {
        const hall_item *e = &h->disk[0].journal[j];
        assert_int_equal(msfl_coordinator_replay(h->coordinator, e->bytes, e->length), MSFL_OK);
    }
    for (uint32_t i = 0; i < h->n; i++) {
        msfl_site_free(h->sites[i]);
        assert_int_equal(hall_new_site(h, i), MSFL_OK);
        for (size_t j = 0; j < h->disk[1 + i].n_journal; j++) {
            const hall_item *e = &h->disk[1 + i].journal[j];
            assert_int_equal(msfl_site_replay(h->sites[i], e->bytes, e->length), MSFL_OK);
        }
    }
    for (uint32_t i = 0; i < h->r->k; i++) {
        msfl_member_free(h->members[i]);
        assert_int_equal(hall_new_member(h, i), MSFL_OK);
        for (size_t j = 0; j < h->disk[1 + h->n + i].n_journal; j++) {
            const hall_item *e = &h->disk[1 + h->n + i].journal[j];
            assert_int_equal(msfl_member_replay(h->members[i], e->bytes, e->length), MSFL_OK);
        }
    }
}

static void everybody_may_restart_between_any_two_steps(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 4, MSFL_CUSTODY_COMMITTEE, 3);
    h.delivery = MSFL_DELIVERY_CLIENTS;
    for (uint8_t model = 0; model < 2; model++) {
        uint64_t now = 0; /* the clock goes back, too */
        assert_int_equal(hall_open(&h, model), MSFL_OK);
        restart_all(&h);
        assert_int_equal(hall_tick(&h, now += 200), MSFL_OK);
        for (uint32_t i = 0; i < h.n; i++) {
            assert_int_equal(hall_upload(&h, i), MSFL_OK);
            restart_all(&h);
            (void)!hall_tick(&h, now += 200);
        }
        for (int step = 0; step < 40 && msfl_coordinator_phase(h.coordinator) != MSFL_PHASE_IDLE; step++) {
            restart_all(&h);
            if (msfl_coordinator_phase(h.coordinator) == MSFL_PHASE_DELIVERING) {
                (void)!hall_tick(&h, now += 1000);
                const uint32_t i = (uint32_t)step % h.n;
                if (msfl_site_phase_of(h.sites[i]) != MSFL_SITE_DELIVERED) continue;
                assert_int_equal(hall_take_folded(&h, i), MSFL_OK);
                hall_expect_site_sum(&h, i);
                hall_report(&h, i, NULL);
                restart_all(&h);
                assert_int_equal(msfl_site_phase_of(h.sites[i]), MSFL_SITE_REPORTED);
                uint8_t result[32];
                uint32_t n;
                if (!msfl_coordinator_agreed(h.coordinator, result, &n) || n < h.n) continue;
                hall_settle(&h);
            } else {
                (void)!hall_tick(&h, now += 1000);
            }
        }
        restart_all(&h);
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
        size_t joined = disk->n_journal, history = 0, kept = 0;
        while (msfl_load32(disk->journal[--joined].bytes + 8) != MSFL_JOURNAL_JOINED) {
        }
        for (size_t j = 0; j < joined; j++)
            if (msfl_load32(disk->journal[j].bytes + 8) == MSFL_JOURNAL_HISTORY) history = j;
        for (size_t j = 0; j < disk->n_journal; j++) {
            if (j >= joined || j == history) {
                disk->journal[kept++] = disk->journal[j];
            } else {
                free(disk->journal[j].bytes);
            }
        }
        disk->n_journal = kept;
    }
    restart_all(&h);
    assert_int_equal(hall_tick(&h, 5000), MSFL_OK);
    assert_int_equal(hall_take_folded(&h, 2), MSFL_OK);
    hall_report(&h, 2, NULL);
    hall_settle(&h);
    hall_sealed_round(&h, 'c');
    hall_clear(&h);
}

/** A transcript of a delivered sum: nothing in it bends, not even for the coordinator, but what hospitals did not sign.
 */
static void transcripts_prove_and_do_not_bend(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 4, MSFL_CUSTODY_COMMITTEE, 3);
    hall_sealed_round(&h, 'a');
    msfl_transcript t;
    assert_int_equal(msfl_transcript_verify(h.record, h.record_length, h.roster, NULL, &t), MSFL_OK);
    uint8_t *copy = hall_get(h.record_length, 1);
    for (size_t at = 0; at < h.record_length - 64 - 4; at += 11) {
        memcpy(copy, h.record, h.record_length);
        copy[at] ^= 1;
        uint8_t digest[32];
        msfl_hash m;
        msfl_hash_init(&m, "msfl.round.transcript.v1");
        msfl_hash_add(&m, copy, h.record_length - 64);
        msfl_hash_final(&m, digest);
        msfl_sign(h.coordinator_secret->sign, digest, 32, copy + h.record_length - 64);
        if (msfl_transcript_verify(copy, h.record_length, h.roster, NULL, &t) == MSFL_OK) {
            fail_msg("byte %zu of %zu bends", at, h.record_length);
        }
    }
    msfl_free(copy);
    hall_clear(&h);
}

/** Every allocation fails once, from the first answer to the record. */
static void a_delivery_survives_every_failing_allocation(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 3, MSFL_CUSTODY_COMMITTEE, 3);
    msfl_effects effects = {0};
#define REPEAT(call)                                                                                                   \
    for (long k = 1;; k++) {                                                                                           \
        const size_t before = effects.n;                                                                               \
        msfl_alloc_fail_at(k);                                                                                         \
        msfl_status status = call;                                                                                     \
        msfl_alloc_fail_at(0);                                                                                         \
        if (status == MSFL_OK) break;                                                                                  \
        if (status != MSFL_ERR_MEMORY) fail_msg("%s", msfl_error_message());                                           \
        assert_int_equal(effects.n, before);                                                                           \
        assert_true(k < 400);                                                                                          \
    }
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
        REPEAT(msfl_member_receive(h.members[e->to], MSFL_COORDINATOR, e->bytes, e->length, &effects))
        msfl_effects answers = effects;
        effects = (msfl_effects){0};
        const msfl_effect *last = &answers.items[answers.n - 1];
        REPEAT(msfl_coordinator_receive(h.coordinator, 2100, e->to, last->bytes, last->length, &effects))
        msfl_effects_clear(&answers);
        msfl_effects_clear(&effects);
    }
    msfl_effects_clear(&asked);
    assert_int_equal(msfl_coordinator_phase(h.coordinator), MSFL_PHASE_DELIVERING);
    REPEAT(msfl_coordinator_tick(h.coordinator, 3000, &effects))
    msfl_effects deliveries = effects;
    effects = (msfl_effects){0};
    uint8_t *chunk = hall_get(msfl_packed_chunk_bytes(h.ctx, h.n_values, 0), 1);
    for (size_t m = 0; m < deliveries.n; m++) {
        const msfl_effect *e = &deliveries.items[m];
        assert_int_equal(msfl_load32(e->bytes + 8), MSFL_MSG_DELIVER);
        REPEAT(msfl_site_receive(h.sites[e->to], 3000, e->bytes, e->length, &effects))
        for (uint64_t j = 0; j < h.n_chunks; j++) {
            REPEAT(msfl_coordinator_folded(h.coordinator, j, chunk))
            REPEAT(msfl_site_folded(h.sites[e->to], h.ctx, j, chunk, msfl_packed_chunk_bytes(h.ctx, h.n_values, j)))
        }
        hall_expect_site_sum(&h, e->to);
        REPEAT(msfl_site_report(h.sites[e->to], NULL, &effects))
        msfl_effects reports = effects;
        effects = (msfl_effects){0};
        for (size_t i = 0; i < reports.n; i++) {
            const msfl_effect *r = &reports.items[i];
            if (r->kind != MSFL_EFFECT_SEND) continue;
            REPEAT(msfl_coordinator_receive(h.coordinator, 3000, e->to, r->bytes, r->length, &effects))
        }
        msfl_effects_clear(&reports);
        msfl_effects_clear(&effects);
    }
    msfl_effects_clear(&deliveries);
    uint8_t result[32];
    uint32_t n;
    assert_true(msfl_coordinator_agreed(h.coordinator, result, &n));
    REPEAT(msfl_coordinator_finish(h.coordinator, result, &effects))
    assert_int_equal(hall_carry(&h, 0, MSFL_COORDINATOR, &effects), MSFL_OK);
    REPEAT(msfl_coordinator_poll(h.coordinator, 0, &effects))
    msfl_effects records = effects;
    effects = (msfl_effects){0};
    REPEAT(msfl_site_receive(h.sites[0], 3000, records.items[0].bytes, records.items[0].length, &effects))
    assert_int_equal(msfl_site_settled(h.sites[0]), 1);
    msfl_effects_clear(&records);
    msfl_effects_clear(&effects);
#undef REPEAT
    msfl_free(chunk);
    hall_clear(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_hospital_opens_the_plain_sum),
        cmocka_unit_test(a_coordinator_with_the_keys_cannot_be_kept_out),
        cmocka_unit_test(the_coordinator_learns_nothing),
        cmocka_unit_test(stragglers_follow),
        cmocka_unit_test(who_makes_another_model_is_named_and_stops),
        cmocka_unit_test(a_tie_is_not_recorded),
        cmocka_unit_test(cheating_members_are_outvoted_and_named),
        cmocka_unit_test(further_answers_help),
        cmocka_unit_test(a_wrong_fold_is_found_by_who_folds_or_compares),
        cmocka_unit_test(what_a_hospital_refuses_to_open),
        cmocka_unit_test(an_acknowledged_upload_is_missed),
        cmocka_unit_test(rounds_are_followed_in_order),
        cmocka_unit_test(hospitals_may_insist),
        cmocka_unit_test(everybody_may_restart_between_any_two_steps),
        cmocka_unit_test(cut_journals_are_enough),
        cmocka_unit_test(transcripts_prove_and_do_not_bend),
        cmocka_unit_test(a_delivery_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
