/* Sums that are delivered to the hospitals and kept from the coordinator: exact at every hospital, and nothing of them
 * where they must not be. What hospitals report, refuse and survive: test_sealed_*.c. */
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_hospital_opens_the_plain_sum),
        cmocka_unit_test(a_coordinator_with_the_keys_cannot_be_kept_out),
        cmocka_unit_test(the_coordinator_learns_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
