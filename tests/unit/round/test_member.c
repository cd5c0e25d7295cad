/* A holder of key shares alone, against a coordinator that asks for what it should not get. */
#include "hall.h"

/* What the coordinator would have sent to the member at place 0. */
static msfl_buffer proposal, release_message;

static void capture(hall *h, uint32_t from, uint32_t to, msfl_effect *e) {
    if (from != MSFL_COORDINATOR || to != h->r->members[0]) return;
    const uint32_t kind = msfl_load32(e->bytes + 8);
    if (kind != MSFL_MSG_PROPOSE && kind != MSFL_MSG_RELEASE) return;
    msfl_buffer *b = kind == MSFL_MSG_PROPOSE ? &proposal : &release_message;
    msfl_buffer_clear(b);
    msfl_put_bytes(b, e->bytes, e->length);
    e->length = 0;
}

/** A round in which member 0 was asked for nothing; what it would have been asked is captured. */
static void run_without_member_0(hall *h, uint8_t model, uint32_t n_sites) {
    h->tamper = capture;
    assert_int_equal(hall_open(h, model), MSFL_OK);
    assert_int_equal(hall_tick(h, 20), MSFL_OK);
    for (uint32_t i = 0; i < n_sites; i++)
        assert_int_equal(hall_upload(h, i), MSFL_OK);
    assert_int_equal(hall_tick(h, 1000), MSFL_OK);
    assert_int_equal(hall_tick(h, 2000), MSFL_OK);
    hall_finish(h);
}

static msfl_status give(hall *h, const msfl_buffer *b, msfl_effects *effects) {
    return msfl_member_receive(h->members[0], MSFL_COORDINATOR, b->bytes, b->length, effects);
}

static void refuse(hall *h, const msfl_buffer *b, msfl_status expected, const char *words) {
    msfl_effects effects = {0};
    msfl_status status = give(h, b, &effects);
    if (status != expected) {
        fail_msg("%s instead of %s: %s", msfl_status_name(status), msfl_status_name(expected), msfl_error_message());
    }
    expect_message(words);
    assert_int_equal(effects.n, 0);
}

static size_t statements_at(void) {
    return MSFL_FRAME_BYTES + MSFL_ANNOUNCE_BODY + 4;
}

/** A proposal of `n` of the statements in the captured one: those at `which`. */
static msfl_buffer propose(const hall *h, const uint32_t *which, uint32_t n) {
    const size_t each = msfl_statement_bytes(h->r->k);
    msfl_buffer b = {0};
    msfl_put_bytes(&b, proposal.bytes, MSFL_FRAME_BYTES + MSFL_ANNOUNCE_BODY);
    msfl_put32(&b, n);
    for (uint32_t i = 0; i < n; i++)
        msfl_put_bytes(&b, proposal.bytes + statements_at() + which[i] * each, each);
    return b;
}

static void one_cohort_a_round(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 4, MSFL_CUSTODY_COMMITTEE, 3);
    run_without_member_0(&h, 'a', 4);
    static const uint32_t fewer[] = {0, 1, 2}, two[] = {0, 1}, twice[] = {0, 1, 1}, unsorted[] = {0, 2, 1};
    msfl_buffer b = propose(&h, two, 2);
    refuse(&h, &b, MSFL_ERR_POLICY, "2 uploads, the round needs 3");
    msfl_buffer_clear(&b);
    b = propose(&h, twice, 3);
    refuse(&h, &b, MSFL_ERR_POLICY, "client 1 is named twice");
    msfl_buffer_clear(&b);
    b = propose(&h, unsorted, 3);
    refuse(&h, &b, MSFL_ERR_POLICY, "client 1 is named twice, or out of order");
    msfl_buffer_clear(&b);
    b = propose(&h, fewer, 3);
    b.bytes[statements_at() + 50] ^= 1;
    refuse(&h, &b, MSFL_ERR_CRYPTO, "client 0 did not sign this upload");
    b.bytes[statements_at() + 50] ^= 1;
    msfl_store32(b.bytes + statements_at() + 2 * msfl_statement_bytes(4), 4);
    refuse(&h, &b, MSFL_ERR_POLICY, "client 4 is not in the roster");
    msfl_buffer_clear(&b);
    /* Refusals bind nothing: the full cohort is signed, again with the same bytes, and then no other. */
    msfl_effects first = {0}, again = {0};
    assert_int_equal(give(&h, &proposal, &first), MSFL_OK);
    assert_int_equal(first.n, 2);
    assert_int_equal(first.items[0].kind, MSFL_EFFECT_JOURNAL);
    assert_int_equal(first.items[1].kind, MSFL_EFFECT_SEND);
    assert_int_equal(give(&h, &proposal, &again), MSFL_OK);
    assert_int_equal(again.n, 1);
    assert_int_equal(again.items[0].length, first.items[1].length);
    assert_memory_equal(again.items[0].bytes, first.items[1].bytes, again.items[0].length);
    b = propose(&h, fewer, 3);
    refuse(&h, &b, MSFL_ERR_POLICY, "another cohort was signed");
    /* Also after a restart. */
    msfl_member_free(h.members[0]);
    assert_int_equal(hall_new_member(&h, 0), MSFL_OK);
    assert_int_equal(msfl_member_replay(h.members[0], first.items[0].bytes, first.items[0].length), MSFL_OK);
    refuse(&h, &b, MSFL_ERR_POLICY, "another cohort was signed");
    assert_int_equal(msfl_member_replay(h.members[0], first.items[0].bytes, first.items[0].length), MSFL_ERR_FORMAT);
    msfl_buffer_clear(&b);
    msfl_effects_clear(&first);
    msfl_effects_clear(&again);
    hall_clear(&h);
}

static void answers_only_what_t_members_signed(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 4, MSFL_CUSTODY_COMMITTEE, 3);
    run_without_member_0(&h, 'a', 4);
    const size_t votes = statements_at() + 4 * msfl_statement_bytes(4), bundles = votes + 4 + 3 * 68;
    msfl_buffer b = {0};
    msfl_put_bytes(&b, release_message.bytes, release_message.length);
    assert_int_equal(msfl_load32(b.bytes + votes), 3);
    b.bytes[votes + 4 + 4 + 10] ^= 1;
    refuse(&h, &b, MSFL_ERR_CRYPTO, "did not sign this cohort");
    b.bytes[votes + 4 + 4 + 10] ^= 1;
    memcpy(b.bytes + votes + 4 + 68, b.bytes + votes + 4, 68);
    refuse(&h, &b, MSFL_ERR_POLICY, "signs twice");
    msfl_buffer_clear(&b);
    msfl_put_bytes(&b, release_message.bytes, votes);
    msfl_put32(&b, 2);
    msfl_put_bytes(&b, release_message.bytes + votes + 4, 2 * 68);
    msfl_put_bytes(&b, release_message.bytes + bundles, release_message.length - bundles);
    refuse(&h, &b, MSFL_ERR_POLICY, "2 members signed, 3 must");
    msfl_buffer_clear(&b);
    msfl_put_bytes(&b, release_message.bytes, release_message.length);
    b.bytes[bundles + 100] ^= 1;
    refuse(&h, &b, MSFL_ERR_CRYPTO, "the bundle is not the one that client 0 signed");
    msfl_buffer_clear(&b);
    msfl_put_bytes(&b, release_message.bytes, release_message.length - 1);
    refuse(&h, &b, MSFL_ERR_FORMAT, "cut off");
    msfl_put8(&b, release_message.bytes[release_message.length - 1]);
    msfl_put8(&b, 0);
    refuse(&h, &b, MSFL_ERR_FORMAT, "too long");
    msfl_buffer_clear(&b);
    /* It never voted here, and answers: t others did. Twice the same bytes. */
    msfl_effects first = {0}, again = {0};
    assert_int_equal(give(&h, &release_message, &first), MSFL_OK);
    assert_int_equal(first.n, 2);
    assert_int_equal(first.items[0].kind, MSFL_EFFECT_JOURNAL);
    assert_int_equal(give(&h, &release_message, &again), MSFL_OK);
    assert_int_equal(again.n, 1);
    assert_memory_equal(again.items[0].bytes, first.items[1].bytes, again.items[0].length);
    msfl_effects_clear(&first);
    msfl_effects_clear(&again);
    hall_clear(&h);
}

static void goes_neither_back_nor_over_the_same_model_twice(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 4, MSFL_CUSTODY_COMMITTEE, 3);
    run_without_member_0(&h, 'a', 4);
    msfl_buffer old_proposal = proposal, old_release = release_message;
    proposal = release_message = (msfl_buffer){0};
    run_without_member_0(&h, 'b', 4);
    msfl_effects effects = {0};
    assert_int_equal(give(&h, &proposal, &effects), MSFL_OK);
    refuse(&h, &old_proposal, MSFL_ERR_POLICY, "round 1 is over");
    refuse(&h, &old_release, MSFL_ERR_POLICY, "round 1 is over");
    assert_int_equal(give(&h, &release_message, &effects), MSFL_OK);
    /* The same model once more: members that answered take no part. */
    h.tamper = NULL;
    assert_int_equal(hall_open(&h, 'b'), MSFL_OK);
    assert_int_equal(hall_tick(&h, 20), MSFL_OK);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(hall_upload(&h, i), MSFL_OK);
    assert_int_equal(hall_tick(&h, 200), MSFL_ERR_POLICY);
    expect_message("about a model whose sum was released before");
    assert_int_equal(msfl_coordinator_phase(h.coordinator), MSFL_PHASE_CERTIFYING);
    msfl_effects_clear(&effects);
    msfl_buffer_clear(&old_proposal);
    msfl_buffer_clear(&old_release);
    hall_clear(&h);
}

static void keeps_its_own_rules(void **state) {
    (void)state;
    hall h;
    hall_make(&h, 4, MSFL_CUSTODY_COMMITTEE, 2);
    run_without_member_0(&h, 'a', 2);
    msfl_member_free(h.members[0]);
    h.min_cohort = 3;
    assert_int_equal(hall_new_member(&h, 0), MSFL_OK);
    refuse(&h, &proposal, MSFL_ERR_POLICY, "2 uploads, this party wants 3");
    refuse(&h, &release_message, MSFL_ERR_POLICY, "2 uploads, this party wants 3");
    msfl_member_config config = {h.roster, h.secret[0], 0, {0}, 1, 0};
    msfl_member *m;
    assert_int_equal(msfl_member_new(&config, &m), MSFL_ERR_POLICY);
    config.min_cohort = 3;
    config.party = 9;
    assert_int_equal(msfl_member_new(&config, &m), MSFL_ERR_USAGE);
    config.party = 1;
    assert_int_equal(msfl_member_new(&config, &m), MSFL_ERR_MISMATCH);
    config.party = 0;
    config.security_bits = 192;
    memcpy(config.task, h.task, 32);
    assert_int_equal(msfl_member_new(&config, &m), MSFL_OK);
    msfl_effects effects = {0};
    assert_int_equal(msfl_member_receive(m, MSFL_COORDINATOR, proposal.bytes, proposal.length, &effects),
                     MSFL_ERR_POLICY);
    expect_message("128 bits of security, 192 are wanted");
    assert_int_equal(msfl_member_receive(m, 2, proposal.bytes, proposal.length, &effects), MSFL_ERR_MISMATCH);
    msfl_member_free(m);
    hall_clear(&h);
}

static int clear_captured(void **state) {
    (void)state;
    msfl_buffer_clear(&proposal);
    msfl_buffer_clear(&release_message);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(one_cohort_a_round, clear_captured),
        cmocka_unit_test_teardown(answers_only_what_t_members_signed, clear_captured),
        cmocka_unit_test_teardown(goes_neither_back_nor_over_the_same_model_twice, clear_captured),
        cmocka_unit_test_teardown(keeps_its_own_rules, clear_captured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
