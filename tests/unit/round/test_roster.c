/* Rosters: which committees are allowed, what is signed, what is refused. */
#include "hall.h"

static void committees_are_checked_with_their_numbers(void **state) {
    (void)state;
    static const uint32_t good[][3] = {{1, 1, 0}, {2, 2, 0}, {3, 2, 0}, {4, 3, 1}, {7, 5, 2}, {10, 7, 3}, {16, 11, 5}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint32_t t, f;
        msfl_committee_default(good[i][0], &t, &f);
        assert_int_equal(t, good[i][1]);
        assert_int_equal(f, good[i][2]);
    }
    /* Every triple against the inequalities themselves. */
    for (uint32_t k = 0; k <= 18; k++) {
        for (uint32_t t = 0; t <= 18; t++) {
            for (uint32_t f = 0; f <= 18; f++) {
                const bool allowed = k >= 1 && k <= 16 && t <= k && 2 * t > k + f && t >= f + 1;
                assert_int_equal(msfl_committee_check(k, t, f), allowed ? MSFL_OK : MSFL_ERR_POLICY);
            }
        }
    }
    assert_int_equal(msfl_committee_check(4, 2, 1), MSFL_ERR_POLICY);
    expect_message("2 t = 4 must exceed k + f = 5");
    expect_message("use t = 3 with f = 1");
}

typedef struct draft {
    msfl_identity coordinator, parties[8];
    uint32_t members[8];
    msfl_roster_info info;
    msfl_identity_secret *consortium;
    msfl_identity consortium_id;
} draft;

static draft make_draft(void) {
    draft d = {0};
    msfl_identity_secret *s;
    hall_identity(101, &d.consortium_id, &d.consortium);
    hall_identity(100, &d.coordinator, &s);
    msfl_identity_free(s);
    for (uint8_t i = 0; i < 8; i++) {
        hall_identity(i, &d.parties[i], &s);
        msfl_identity_free(s);
        d.members[i] = i;
    }
    d.info = (msfl_roster_info){1, MSFL_CUSTODY_COMMITTEE, d.coordinator, NULL, 5, 5, NULL, 5, 4, 1};
    return d;
}

static msfl_status sign(draft *d, uint8_t *out) {
    d->info.coordinator = d->coordinator;
    d->info.parties = d->parties;
    d->info.members = d->members;
    return msfl_roster_sign(&d->info, d->consortium, out);
}

static void what_no_consortium_should_sign_is_refused(void **state) {
    (void)state;
    for (int i = 0; i < 16; i++) {
        static const msfl_status expected[] = {MSFL_OK,         MSFL_ERR_POLICY, MSFL_ERR_USAGE,  MSFL_ERR_USAGE,
                                               MSFL_ERR_USAGE,  MSFL_ERR_POLICY, MSFL_ERR_POLICY, MSFL_ERR_POLICY,
                                               MSFL_ERR_POLICY, MSFL_ERR_POLICY, MSFL_ERR_POLICY, MSFL_OK,
                                               MSFL_OK,         MSFL_ERR_FORMAT, MSFL_ERR_CRYPTO, MSFL_ERR_USAGE};
        draft d = make_draft();
        uint8_t out[2048];
        if (i == 1) d.info.t = 3; /* 2 t = k + f */
        if (i == 2) d.info.n_clients = 1;
        if (i == 3) d.members[1] = 0;            /* twice */
        if (i == 4) d.members[4] = 5;            /* no party */
        if (i == 5) d.parties[2] = d.parties[1]; /* one key, two hospitals */
        if (i == 6) memcpy(d.parties[2].box, d.parties[1].box, 32);
        if (i == 7) d.parties[3] = d.coordinator;
        if (i == 8) d.info.k = d.info.t = 1, d.info.f = 0; /* a committee of one */
        if (i == 9) d.info.k = d.info.t = 1, d.info.f = 0, d.info.custody = MSFL_CUSTODY_AUTHORITY; /* hospital 0 */
        if (i >= 10 && i <= 12) {
            d.info.k = d.info.t = 1, d.info.f = 0, d.info.n_parties = 6, d.members[0] = 5;
            d.info.custody = i == 12 ? MSFL_CUSTODY_COORDINATOR : MSFL_CUSTODY_AUTHORITY;
            if (i != 11) d.parties[5] = d.coordinator;
        }
        if (i == 13) d.info.custody = (msfl_custody)9;
        if (i == 14) memset(d.parties[2].box, 0, 32); /* a point of small order */
        if (i == 15) d.info.n_parties = 7;            /* somebody who is nothing */
        msfl_status status = sign(&d, out);
        if (status != expected[i]) fail_msg("case %d: %s: %s", i, msfl_status_name(status), msfl_error_message());
        msfl_identity_free(d.consortium);
    }
}

static void rosters_are_read_back_and_do_not_bend(void **state) {
    (void)state;
    draft d = make_draft();
    uint8_t out[2048], copy[2048];
    assert_int_equal(sign(&d, out), MSFL_OK);
    const size_t length = msfl_roster_bytes(&d.info);
    msfl_roster *roster;
    assert_int_equal(msfl_roster_read(out, length, d.consortium_id.sign, &roster), MSFL_OK);
    const msfl_roster_info *r = msfl_roster_borrow(roster);
    assert_int_equal(r->n_clients, 5);
    assert_int_equal(r->t, 4);
    assert_memory_equal(r->parties, d.parties, 5 * sizeof *r->parties);
    assert_string_equal(msfl_custody_name(r->custody), "committee");
    msfl_roster_free(roster);
    for (size_t at = 0; at < length; at++) {
        memcpy(copy, out, length);
        copy[at] ^= 0x10;
        assert_int_not_equal(msfl_roster_read(copy, length, d.consortium_id.sign, &roster), MSFL_OK);
        assert_null(roster);
        assert_int_not_equal(msfl_roster_read(out, at, d.consortium_id.sign, &roster), MSFL_OK);
    }
    assert_int_equal(msfl_roster_read(out, length, d.coordinator.sign, &roster), MSFL_ERR_CRYPTO);
    for (long k = 1;; k++) {
        msfl_alloc_fail_at(k);
        msfl_status status = msfl_roster_read(out, length, d.consortium_id.sign, &roster);
        msfl_alloc_fail_at(0);
        if (status == MSFL_OK) break;
        assert_int_equal(status, MSFL_ERR_MEMORY);
        assert_true(k < 10);
    }
    msfl_roster_free(roster);
    msfl_identity_free(d.consortium);
}

static void identities_follow_from_their_seed(void **state) {
    (void)state;
    msfl_identity a, b, c;
    msfl_identity_secret *s;
    hall_identity(1, &a, &s);
    msfl_identity_free(s);
    hall_identity(1, &b, &s);
    msfl_identity_free(s);
    hall_identity(2, &c, &s);
    msfl_identity_free(s);
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_not_equal(a.sign, c.sign, 32);
    assert_memory_not_equal(a.box, c.box, 32);
    assert_memory_not_equal(a.box, a.sign, 32);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(committees_are_checked_with_their_numbers),
        cmocka_unit_test(what_no_consortium_should_sign_is_refused),
        cmocka_unit_test(rosters_are_read_back_and_do_not_bend),
        cmocka_unit_test(identities_follow_from_their_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
