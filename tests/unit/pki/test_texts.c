/* Names, URLs, plans, rosters, requests: what is accepted, what is not, and that a full roster still fits. */
#include "common.h"
#include "pki/signed.h"
#include "text/yaml.h"

static void test_names(void **state) {
    (void)state;
    static const char *const good[] = {"a", "hospital-1", "x9", "0123456789012345678901234567890123456789"};
    static const char *const bad[] = {"",   "-a",  "a-",       "a--b",
                                      "A",  "a_b", "a.b",      "a/b",
                                      "..", "a b", "\xc3\xa4", "01234567890123456789012345678901234567890"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        ok(pki_name_check("name", good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        fails(pki_name_check("name", bad[i]), MSFL_ERR_FORMAT, "a name has");
}

static void test_urls(void **state) {
    (void)state;
    char host[PKI_HOST_MAX + 1];
    uint32_t port;
    ok(pki_url_split("https://fl.example.org:8443", host, &port));
    assert_string_equal(host, "fl.example.org");
    assert_int_equal(port, 8443);
    ok(pki_url_split("https://[::1]:1", host, &port));
    assert_string_equal(host, "::1");
    ok(pki_url_split("https://10.0.0.1", host, &port));
    assert_int_equal(port, 443);
    static const char *const bad[] = {"",
                                      "http://a",
                                      "https://",
                                      "https://a:",
                                      "https://a:0",
                                      "https://a:65536",
                                      "https://a:1x",
                                      "https://a/",
                                      "https://u@a",
                                      "https://a?b",
                                      "https://[::1",
                                      "https://a,DNS:b",
                                      "https://-a",
                                      "https://a..b",
                                      "https://a:99999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(pki_url_split(bad[i], host, &port), MSFL_ERR_FORMAT);
    fails(pki_reason_check("two\nlines"), MSFL_ERR_FORMAT, "one line");
    fails(pki_reason_check("a \"quote\""), MSFL_ERR_FORMAT, "one line");
    fails(pki_reason_check("\x1b[31m"), MSFL_ERR_FORMAT, "one line");
}

#define HEAD "federation: x\ncoordinator: {name: a, url: 'https://h'}\n"

static void test_plans(void **state) {
    (void)state;
    pki_plan *plan;
    ok(pki_plan_parse("plan", PLAN, sizeof PLAN - 1, &plan));
    assert_int_equal(plan->n_parties, 4);
    assert_int_equal(plan->n_hosts, 2);
    assert_true(plan->parties[3].on_site);
    msfl_free(plan);
    static const struct {
        const char *text, *message;
    } bad[] = {
        {"federation: x\nhospitals: []\n", "coordinator is missing"},
        {"federation: x\ncoordinator: {name: a}\nhospitals: []\n", "url is missing"},
        {"federation: x\ncoordinator: {name: a, url: 'http://h'}\nhospitals: []\n", "https://"},
        {"federation: x\ncoordinator: {name: a, url: 'https://h'}\nhospitals: [{name: a}]\n", "already"},
        {"federation: x\ncoordinator: {name: ca, url: 'https://h'}\nhospitals: []\n", "no party's name"},
        {"federation: x\ncoordinator: {name: a, url: 'https://h'}\nhospitals: [{name: b, keys: maybe}]\n", "keys"},
        {"federation: x\ncoordinator: {name: a, url: 'https://h'}\nhospitals: [{name: b, color: red}]\n", "color"},
        {"federation: x\nvalid_days: 900\ncoordinator: {name: a, url: 'https://h'}\nhospitals: []\n", "valid_days"},
        {HEAD "hospitals: [{name: b}, {name: c}]\ncommittee: {custody: authority}\n", "section 'authority'"},
        {HEAD "hospitals: [{name: b}, {name: c}]\ncommittee: {custody: nobody}\n", "custody must be one of"},
        {HEAD "hospitals: [{name: b}, {name: c}]\ncommittee: {custody: coordinator, threshold: 2}\n",
         "one party holds"},
        {HEAD "hospitals: [{name: b}, {name: c}]\ncommittee: {members: [b, d]}\n", "a hospital or the authority"},
        {HEAD "hospitals: [{name: b}, {name: c}]\ncommittee: {members: [b, a]}\n", "a hospital or the authority"},
        {HEAD "hospitals: [{name: b}, {name: c}]\ncommittee: {members: [b, b]}\n", "already"},
        {HEAD "hospitals: [{name: b}, {name: c}]\ncommittee: {members: [b]}\n", "2 to 16"},
        {HEAD "hospitals: [{name: b}, {name: c}, {name: d}]\ncommittee: {threshold: 2, corrupt: 1}\n", "two cohorts"},
        {HEAD "hospitals: [{name: b}, {name: c}]\ncommittee: {threshold: 3}\n", "committee: 3 of 2"},
        {HEAD "hospitals: [{name: b}]\noperators: {name: c}\n", "operators is a list"},
        {HEAD "hospitals: [{name: b}]\noperators: [{name: b}]\n", "already"},
        {"federation: X\ncoordinator: {name: a, url: 'https://h'}\nhospitals: []\n", "federation"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        fails(pki_plan_parse("plan", bad[i].text, strlen(bad[i].text), &plan), MSFL_ERR_FORMAT, bad[i].message);
        assert_null(plan);
    }
}

static void fill(pki_roster *r, const pki_identity *consortium, uint32_t n) {
    memcpy(r->federation, "0123456789012345678901234567890123456789", 40);
    memset(r->url, 'a', 200);
    memcpy(r->url, "https://", 8);
    r->epoch = UINT32_MAX;
    r->created = UINT32_MAX;
    memcpy(r->consortium, consortium->sign, sizeof r->consortium);
    for (uint32_t i = 0; i < n; i++) {
        pki_party *p = &r->parties[r->n_parties++];
        snprintf(p->name, sizeof p->name, "h%039u", i);
        p->role = i == 0 ? PKI_COORDINATOR : PKI_HOSPITAL;
        msfl_random_bytes(p->sign, sizeof p->sign);
        msfl_random_bytes(p->box, sizeof p->box);
        p->n_certificates = PKI_CERTIFICATES_MAX;
        msfl_random_bytes(p->certificates, sizeof p->certificates);
        p->certificates[0].not_after = p->certificates[1].not_after = UINT32_MAX;
        pki_revoked *x = &r->revoked[r->n_revoked++];
        memcpy(x->name, p->name, sizeof x->name);
        memset(x->reason, 'r', PKI_REASON_MAX);
        msfl_random_bytes(x->serial, sizeof x->serial);
        x->when = x->not_after = UINT32_MAX;
    }
}

/* What rounds take, as long as it can be. */
static void fill_round(pki_roster *r) {
    r->custody = MSFL_CUSTODY_COMMITTEE;
    r->n_members = MSFL_COMMITTEE_MAX;
    msfl_committee_default(r->n_members, &r->threshold, &r->corrupt);
    for (uint32_t i = 0; i < r->n_members; i++)
        memcpy(r->members[i], r->parties[i + 1].name, sizeof r->members[i]);
    for (r->n_awaited = 0; r->n_awaited < PKI_PARTIES_MAX; r->n_awaited++)
        snprintf(r->awaited[r->n_awaited], sizeof r->awaited[0], "w%039u", r->n_awaited);
}

static void test_full_roster(void **state) {
    (void)state;
    pki_identity *consortium;
    ok(pki_identity_new(NULL, &consortium));
    pki_roster *r = pki_roster_new(), *back;
    fill(r, consortium, PKI_PARTIES_MAX);
    fill_round(r);
    msfl_buffer text = {0};
    ok(pki_roster_sign(r, consortium->sign_secret, &text));
    assert_in_range(text.length, 100000, PKI_ROSTER_BYTES_MAX);
    ok(pki_roster_parse("roster", (const char *)text.bytes, text.length, consortium->sign, &back));
    /* Compared field by field by the rule that two rosters of one epoch are the same. */
    ok(pki_roster_may_follow(back, back));
    assert_int_equal(back->n_parties, PKI_PARTIES_MAX);
    assert_int_equal(back->n_revoked, PKI_REVOKED_MAX);
    assert_int_equal(back->n_awaited, PKI_PARTIES_MAX);
    assert_memory_equal(back->awaited, r->awaited, sizeof r->awaited);
    assert_memory_equal(back->members, r->members, sizeof r->members);
    assert_memory_equal(back->parties[255].certificates[1].key, r->parties[255].certificates[1].key, 32);
    /* every byte counts */
    for (size_t i = 0; i < text.length; i += 9973) {
        pki_roster *none;
        text.bytes[i] ^= 1;
        assert_int_not_equal(pki_roster_parse("roster", (const char *)text.bytes, text.length, consortium->sign, &none),
                             MSFL_OK);
        assert_null(none);
        text.bytes[i] ^= 1;
    }
    msfl_buffer_clear(&text);
    msfl_free(back);
    msfl_free(r);
    msfl_secret_free(consortium);
}

/* A committee of the two hospitals that are there. */
static void fill_two(pki_roster *r) {
    r->custody = MSFL_CUSTODY_COMMITTEE;
    r->n_members = r->threshold = 2;
    for (uint32_t i = 0; i < 2; i++)
        memcpy(r->members[i], r->parties[i + 1].name, sizeof r->members[i]);
}

static void test_roster_rules(void **state) {
    (void)state;
    pki_identity *consortium, *stranger;
    ok(pki_identity_new(NULL, &consortium));
    ok(pki_identity_new(NULL, &stranger));
    pki_roster *r = pki_roster_new(), *other = pki_roster_new();
    fill(r, consortium, 3);
    ok(pki_roster_check(r));
#define BROKEN(change, text)                                                                                           \
    memcpy(other, r, sizeof *r);                                                                                       \
    change;                                                                                                            \
    fails(pki_roster_check(other), MSFL_ERR_FORMAT, text)
    BROKEN(memcpy(other->parties[1].name, other->parties[2].name, 41), "twice");
    BROKEN(memcpy(other->parties[1].sign, other->parties[2].sign, 32), "in common");
    BROKEN(memcpy(other->parties[1].box, other->parties[0].box, 32), "in common");
    BROKEN(memcpy(other->parties[1].certificates[1].serial, other->parties[2].certificates[0].serial, 16), "in common");
    BROKEN(memcpy(other->parties[1].certificates[1].key, other->parties[0].certificates[0].key, 32), "in common");
    BROKEN(memcpy(other->revoked[0].serial, other->parties[2].certificates[0].serial, 16), "both admitted and revoked");
    BROKEN(other->parties[1].role = PKI_COORDINATOR, "one coordinator");
    BROKEN(fill_round(other), "no party that was admitted");
    BROKEN((fill_two(other), other->members[1][0] = 'x'), "no party that was admitted");
    BROKEN((fill_two(other), other->parties[2].n_certificates = 0), "no party that was admitted");
    BROKEN((fill_two(other), other->parties[2].role = PKI_OPERATOR), "no party that was admitted");
    BROKEN((fill_two(other), memcpy(other->members[1], other->members[0], 41)), "twice");
    BROKEN((fill_two(other), other->threshold = 1), "two cohorts");
    BROKEN((fill_two(other), other->custody = (msfl_custody)4), "committee");
    BROKEN((fill_two(other), other->n_members = 17), "at most 16");
    BROKEN((other->n_awaited = 1, other->awaited[0][0] = '.'), "awaited");
    BROKEN(other->epoch = 0, "epoch");
    BROKEN(other->revoked[0].reason[0] = '"', "reason");
#undef BROKEN
    msfl_buffer text = {0};
    pki_roster *none;
    ok(pki_roster_sign(r, consortium->sign_secret, &text));
    fails(pki_roster_parse("r", (const char *)text.bytes, text.length, stranger->sign, &none), MSFL_ERR_CRYPTO,
          "not signed");
    fails(pki_roster_parse("r", (const char *)text.bytes, text.length - 1, consortium->sign, &none), MSFL_ERR_FORMAT,
          "cut off");
    msfl_buffer_clear(&text);
    /* signed by a key that the text does not name */
    ok(pki_roster_sign(r, stranger->sign_secret, &text));
    fails(pki_roster_parse("r", (const char *)text.bytes, text.length, stranger->sign, &none), MSFL_ERR_MISMATCH,
          "another consortium");
    msfl_buffer_clear(&text);
    memcpy(other, r, sizeof *r);
    ok(pki_roster_may_follow(r, other));
    other->parties[1].sign[0] ^= 1;
    fails(pki_roster_may_follow(r, other), MSFL_ERR_MISMATCH, "two different");
    other->epoch--;
    fails(pki_roster_may_follow(r, other), MSFL_ERR_POLICY, "cannot follow");
    other->authority[0] ^= 1;
    fails(pki_roster_may_follow(r, other), MSFL_ERR_MISMATCH, "another federation");
    msfl_free(r);
    msfl_free(other);
    msfl_secret_free(consortium);
    msfl_secret_free(stranger);
}

static void test_requests(void **state) {
    const char *folder = *state;
    uint8_t fingerprint[16], again[16];
    char name[41];
    ok(msfl_provision_request("chest", "c", "hospital", at(folder, "site"), NULL, fingerprint));
    const char *path = at(folder, "site/c.request");
    ok(msfl_provision_request_read(path, name, again));
    assert_string_equal(name, "c");
    assert_memory_equal(fingerprint, again, 16);
    fails(msfl_provision_request("chest", "c", "hospital", at(folder, "site"), NULL, again), MSFL_ERR_EXISTS,
          "never overwritten");
    fails(msfl_provision_request("chest", "c", "king", at(folder, "x"), NULL, again), MSFL_ERR_FORMAT, "not a role");
    uint8_t *text;
    size_t length;
    pki_request *r = msfl_alloc(1, sizeof *r);
    ok(msfl_file_read(path, 8192, &text, &length));
    for (size_t i = 0; i < length; i++) { /* no byte can be changed */
        text[i] ^= 4;
        assert_int_not_equal(pki_request_parse("r", (const char *)text, length, r), MSFL_OK);
        assert_int_equal(r->name[0], 0);
        text[i] ^= 4;
    }
    for (size_t i = 0; i < length; i += 7)
        assert_int_not_equal(pki_request_parse("r", (const char *)text, i, r), MSFL_OK);
    msfl_free(text);
    msfl_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_names, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(test_urls, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(test_plans, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(test_full_roster, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(test_roster_rules, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(test_requests, folder_setup, folder_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
