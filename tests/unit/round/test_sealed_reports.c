/* What hospitals report of a sum that they opened themselves: those that were away, another model than the others', a
 * tie, and the transcript that remains. */
#include "trouble.h"

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
        hall_sign_again(&h, copy, h.record_length);
        if (msfl_transcript_verify(copy, h.record_length, h.roster, NULL, &t) == MSFL_OK) {
            fail_msg("byte %zu of %zu bends", at, h.record_length);
        }
    }
    msfl_free(copy);
    hall_clear(&h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stragglers_follow),
        cmocka_unit_test(who_makes_another_model_is_named_and_stops),
        cmocka_unit_test(a_tie_is_not_recorded),
        cmocka_unit_test(transcripts_prove_and_do_not_bend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
