/* The round's roster out of the federation's: numbers, custody, who is awaited, revocations, and nothing of it that can
 * be changed. */
#include "common.h"
#include "pki/round.h"

static const msfl_provision_options PLAIN;

#define HEAD "federation: chest\ncoordinator: {name: hub, url: 'https://hub.example'}\n"

static msfl_provision_result plan_of(const char *folder, const char *plan) {
    msfl_provision_result r;
    write_text(at(folder, "plan.yaml"), plan);
    ok(msfl_provision_create(at(folder, "plan.yaml"), at(folder, "kits"), &PLAIN, &r));
    return r;
}

static void admit(const char *folder, const char *name, const char *role) {
    char site[64], request[80], kit[64];
    uint8_t fingerprint[16];
    msfl_provision_result r;
    snprintf(site, sizeof site, "site-%s", name);
    snprintf(request, sizeof request, "site-%s/%s.request", name, name);
    snprintf(kit, sizeof kit, "kits/%s", name);
    ok(msfl_provision_request("chest", name, role, at(folder, site), NULL, fingerprint));
    ok(msfl_provision_approve(at(folder, request), at(folder, "kits/ca"), at(folder, kit), fingerprint, false, &PLAIN,
                              &r));
}

/* Number and name are inverse, the identity under the number is that of the name, and it is signed. */
static void check_numbers(const pki_roster *roster, uint32_t n_parties) {
    msfl_roster *round;
    ok(pki_roster_round(roster, &round));
    const msfl_roster_info *info = msfl_roster_borrow(round);
    assert_int_equal(info->epoch, roster->epoch);
    assert_int_equal(info->n_parties, n_parties);
    assert_int_equal(info->n_clients, pki_round_hospitals(roster));
    for (uint32_t i = 0; i < n_parties; i++) {
        const char *name = pki_round_name(roster, i);
        const pki_party *p = pki_roster_find(roster, name);
        assert_memory_equal(info->parties[i].sign, p->sign, 32);
        assert_memory_equal(info->parties[i].box, p->box, 32);
        assert_true((p->role == PKI_HOSPITAL) == (i < info->n_clients));
        uint32_t number;
        ok(pki_round_party(roster, name, &number));
        assert_int_equal(number, p->role == PKI_COORDINATOR ? MSFL_COORDINATOR : i);
    }
    assert_null(pki_round_name(roster, n_parties));
    const pki_party *hub = pki_roster_coordinator(roster);
    assert_string_equal(pki_round_name(roster, MSFL_COORDINATOR), hub->name);
    assert_memory_equal(info->coordinator.sign, hub->sign, 32);
    for (uint32_t i = 0; i < info->k; i++) {
        bool named = false;
        for (uint32_t j = 0; j < roster->n_members; j++)
            named |= strcmp(pki_round_name(roster, info->members[i]), roster->members[j]) == 0;
        assert_true(named);
    }
    msfl_roster_free(round);
}

static void test_growing(void **state) {
    const char *folder = *state;
    msfl_roster *round;
    msfl_provision_result r =
        plan_of(folder, HEAD "hospitals: [{name: a}, {name: b, keys: on-site}, {name: c, keys: on-site}]\n"
                             "operators: [{name: eve}]\n");
    assert_int_equal(r.custody, 0);
    assert_int_equal(r.n_awaited, 2);
    pki_roster *roster = roster_of(folder);
    fails(pki_roster_round(roster, &round), MSFL_ERR_MISSING, "requests of b, c");
    assert_null(round);
    msfl_free(roster);
    admit(folder, "b", "hospital");
    roster = roster_of(folder);
    assert_int_equal(roster->n_members, 2);
    assert_string_equal(roster->awaited[0], "c");
    check_numbers(roster, 2);
    msfl_free(roster);
    admit(folder, "c", "hospital");
    admit(folder, "d", "hospital"); /* of no plan */
    roster = roster_of(folder);
    assert_int_equal(roster->n_members, 4);
    assert_int_equal(roster->threshold, 3);
    assert_int_equal(roster->corrupt, 1);
    assert_int_equal(roster->n_awaited, 0);
    check_numbers(roster, 4);
    uint32_t number;
    fails(pki_round_party(roster, "eve", &number), MSFL_ERR_MISSING, "no part");
    fails(pki_round_party(roster, "nobody", &number), MSFL_ERR_MISSING, "no part");
    ok(pki_round_party(roster, "d", &number));
    assert_int_equal(number, 3);
    ok(pki_round_party(roster, "hub", &number));
    assert_int_equal(number, MSFL_COORDINATOR);
    msfl_free(roster);
    /* who is revoked is out, and those behind close up */
    ok(msfl_provision_revoke(at(folder, "kits/ca"), "b", false, "left", &PLAIN, &r));
    assert_int_equal(r.members, 3);
    roster = roster_of(folder);
    check_numbers(roster, 3);
    fails(pki_round_party(roster, "b", &number), MSFL_ERR_MISSING, "no part");
    ok(pki_round_party(roster, "d", &number));
    assert_int_equal(number, 2);
    msfl_free(roster);
    ok(msfl_provision_rotate(at(folder, "kits/ca"), "b", at(folder, "kits/b2"), &PLAIN, &r)); /* and back again */
    assert_int_equal(r.members, 4);
    ok(msfl_provision_revoke(at(folder, "kits/ca"), "hub", false, "stolen", &PLAIN, &r));
    assert_int_equal(r.custody, 0);
    roster = roster_of(folder);
    fails(pki_roster_round(roster, &round), MSFL_ERR_MISSING, "no key holders");
    msfl_free(roster);
}

static void test_named(void **state) {
    const char *folder = *state;
    static const char NAMED[] = HEAD "hospitals: [{name: a}, {name: b}, {name: c}, {name: d}, {name: e}]\n"
                                     "authority: {name: notary, keys: on-site}\n"
                                     "committee: {members: [notary, d, a, b], threshold: 3}\n";
    msfl_roster *round;
    msfl_provision_result r = plan_of(folder, NAMED);
    assert_int_equal(r.custody, 0);
    pki_roster *roster = roster_of(folder);
    fails(pki_roster_round(roster, &round), MSFL_ERR_MISSING, "requests of notary");
    msfl_free(roster);
    admit(folder, "notary", "authority");
    roster = roster_of(folder);
    check_numbers(roster, 6);
    assert_int_equal(roster->corrupt, 1);
    assert_string_equal(pki_round_name(roster, 5), "notary");
    msfl_free(roster);
    /* 3 of the 3 that remain */
    ok(msfl_provision_revoke(at(folder, "kits/ca"), "d", false, "", &PLAIN, &r));
    assert_int_equal(r.members, 3);
    assert_int_equal(r.threshold, 3);
    /* 3 of 2 is no committee: the revocation counts all the same */
    ok(msfl_provision_revoke(at(folder, "kits/ca"), "a", false, "", &PLAIN, &r));
    assert_int_equal(r.custody, 0);
    /* until the plan is amended: nobody new, but a new roster */
    uint32_t epoch = r.epoch;
    r = plan_of(folder, HEAD "hospitals: [{name: a}, {name: b}, {name: c}, {name: d}, {name: e}]\n"
                             "authority: {name: notary, keys: on-site}\ncommittee: {members: [notary, b, c]}\n");
    assert_int_equal(r.n_kits, 0);
    assert_int_equal(r.epoch, epoch + 1);
    assert_int_equal(r.members, 3);
    r = plan_of(folder, HEAD "hospitals: [{name: b}, {name: c}, {name: e}]\nauthority: {name: notary, keys: on-site}\n"
                             "committee: {custody: authority}\n");
    assert_int_equal(r.custody, MSFL_CUSTODY_AUTHORITY);
    roster = roster_of(folder);
    check_numbers(roster, 4);
    msfl_free(roster);
    r = plan_of(folder, HEAD "hospitals: [{name: b}, {name: c}, {name: e}]\ncommittee: {custody: coordinator}\n");
    assert_int_equal(r.custody, MSFL_CUSTODY_COORDINATOR);
    roster = roster_of(folder);
    check_numbers(roster, 4);
    assert_string_equal(pki_round_name(roster, 3), "hub");
    msfl_free(roster);
    epoch = r.epoch;
    r = plan_of(folder, HEAD "hospitals: [{name: b}, {name: c}, {name: e}]\ncommittee: {custody: coordinator}\n");
    assert_int_equal(r.epoch, epoch); /* nothing to do */
}

static void many(char *text, size_t size, uint32_t n, const char *tail) {
    size_t at_end = (size_t)snprintf(text, size, "%shospitals:\n", HEAD);
    for (uint32_t i = 0; i < n; i++)
        at_end += (size_t)snprintf(text + at_end, size - at_end, "  - name: h%u\n", i);
    snprintf(text + at_end, size - at_end, "%s", tail);
}

static void test_sixteen(void **state) {
    const char *folder = *state;
    char text[4096];
    pki_plan *plan;
    pki_committee c;
    many(text, sizeof text, 17, "");
    fails(pki_plan_parse("plan", text, strlen(text), &plan), MSFL_ERR_FORMAT, "too many to hold key shares");
    many(text, sizeof text, 17, "authority: {name: notary}\n");
    ok(pki_plan_parse("plan", text, strlen(text), &plan));
    ok(pki_committee_plan(plan, 17, &c));
    assert_int_equal(c.custody, MSFL_CUSTODY_AUTHORITY);
    ok(pki_committee_plan(plan, 16, &c));
    assert_int_equal(c.custody, MSFL_CUSTODY_COMMITTEE);
    msfl_free(plan);
    many(text, sizeof text, 16, "");
    msfl_provision_result r = plan_of(folder, text);
    assert_int_equal(r.members, 16);
    assert_int_equal(r.threshold, 11);
    /* a seventeenth that is in no plan */
    uint8_t fingerprint[16];
    ok(msfl_provision_request("chest", "more", "hospital", at(folder, "more"), NULL, fingerprint));
    fails(msfl_provision_approve(at(folder, "more/more.request"), at(folder, "kits/ca"), at(folder, "kits/more"), NULL,
                                 false, &PLAIN, &r),
          MSFL_ERR_POLICY, "too many to hold key shares");
    assert_false(msfl_file_exists(at(folder, "kits/more")));
    many(text, sizeof text, 16, "  - name: more\n    keys: on-site\ncommittee: {members: [h0, h3, h5], corrupt: 0}\n");
    r = plan_of(folder, text);
    assert_int_equal(r.members, 3);
    ok(msfl_provision_approve(at(folder, "more/more.request"), at(folder, "kits/ca"), at(folder, "kits/more"), NULL,
                              false, &PLAIN, &r));
    assert_int_equal(r.n_hospitals, 17);
    assert_int_equal(r.threshold, 2);
}

/* What a threshold alone, or a number of corrupt members alone, leads to is always allowed where anything is. */
static void test_thresholds(void **state) {
    (void)state;
    pki_plan *plan = msfl_alloc(1, sizeof *plan);
    pki_committee c;
    for (uint32_t k = 2; k <= 16; k++)
        for (uint32_t x = 0; x <= 17; x++) {
            plan->threshold = x;
            plan->corrupt = UINT32_MAX;
            bool possible = x == 0 || (x <= k && 2 * x > k);
            assert_int_equal(pki_committee_plan(plan, k, &c) == MSFL_OK, possible);
            if (possible && x > 0) { /* the most corrupt ones that it withstands */
                assert_int_equal(c.threshold, x);
                assert_int_not_equal(msfl_committee_check(k, x, c.corrupt + 1), MSFL_OK);
            }
            plan->threshold = 0;
            plan->corrupt = x;
            possible = false;
            for (uint32_t t = 1; t <= k; t++)
                possible |= msfl_committee_check(k, t, x) == MSFL_OK;
            assert_int_equal(pki_committee_plan(plan, k, &c) == MSFL_OK, possible);
            if (possible) { /* the least threshold */
                assert_int_equal(c.corrupt, x);
                assert_int_not_equal(msfl_committee_check(k, c.threshold - 1, x), MSFL_OK);
            }
        }
    msfl_free(plan);
}

static void test_tampering(void **state) {
    const char *folder = *state;
    (void)plan_of(folder, HEAD "hospitals: [{name: a}, {name: b}, {name: c}, {name: d}]\n");
    pki_roster *roster = roster_of(folder), *other = pki_roster_new();
    msfl_roster *round;
#define BROKEN(change, status, text)                                                                                   \
    memcpy(other, roster, sizeof *other);                                                                              \
    change;                                                                                                            \
    fails(pki_roster_round(other, &round), status, text);                                                              \
    assert_null(round)
    BROKEN(other->round[0] ^= 1, MSFL_ERR_CRYPTO, "not signed");
    BROKEN(other->epoch++, MSFL_ERR_CRYPTO, "not signed");
    BROKEN(other->parties[2].sign[3] ^= 1, MSFL_ERR_CRYPTO, "not signed");
    BROKEN(other->parties[2].box[3] ^= 1, MSFL_ERR_CRYPTO, "not signed");
    BROKEN(other->parties[0].box[3] ^= 1, MSFL_ERR_CRYPTO, "not signed");
    BROKEN(other->corrupt = 0, MSFL_ERR_CRYPTO, "not signed");
    BROKEN(other->threshold = 4, MSFL_ERR_CRYPTO, "not signed");
    BROKEN(other->threshold = 2, MSFL_ERR_POLICY, "two cohorts");
    BROKEN(other->n_members = 3, MSFL_ERR_CRYPTO, "not signed");
    BROKEN(other->custody = MSFL_CUSTODY_AUTHORITY, MSFL_ERR_POLICY, "it has one");
    BROKEN(other->consortium[0] ^= 1, MSFL_ERR_CRYPTO, "not signed");
    BROKEN(other->n_members = 0, MSFL_ERR_MISSING, "no key holders");
#undef BROKEN
    /* the order in which members are named says nothing */
    memcpy(other, roster, sizeof *other);
    memcpy(other->members[0], roster->members[1], sizeof other->members[0]);
    memcpy(other->members[1], roster->members[0], sizeof other->members[0]);
    ok(pki_roster_round(other, &round));
    msfl_roster_free(round);
    /* the round's keys are the kit's */
    pki_kit *kit;
    msfl_identity_secret *secret;
    ok(pki_kit_load(at(folder, "kits/b"), NULL, (int64_t)time(NULL), &kit));
    ok(pki_round_secret(kit->identity, &secret));
    assert_memory_equal(secret->sign, kit->identity->sign_secret, 64);
    assert_memory_equal(secret->box, kit->identity->box_secret, 32);
    msfl_identity_free(secret);
    pki_kit_free(kit);
    msfl_status status = MSFL_ERR_MEMORY;
    for (long k = 1; status == MSFL_ERR_MEMORY; k++) {
        msfl_alloc_fail_at(k);
        status = pki_roster_round(roster, &round);
        msfl_alloc_fail_at(0);
        assert_true(status == MSFL_OK || round == NULL);
    }
    ok(status);
    msfl_roster_free(round);
    msfl_free(roster);
    msfl_free(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_growing, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(test_named, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(test_sixteen, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(test_thresholds, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(test_tampering, folder_setup, folder_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
