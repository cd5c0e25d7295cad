/* What a hospital refuses to open: a changed delivery, one without its own acknowledged upload, rounds out of order,
 * and rounds of the other kind than it wants. */
#include "trouble.h"

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
    hall_restart_coordinator(&h);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_hospital_refuses_to_open),
        cmocka_unit_test(an_acknowledged_upload_is_missed),
        cmocka_unit_test(rounds_are_followed_in_order),
        cmocka_unit_test(hospitals_may_insist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
