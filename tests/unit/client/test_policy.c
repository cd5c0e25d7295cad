/* Every rule of a hospital's policy, and coordinators that announce something else than they described. */
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "client/policy.h"
#include "client/site.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void ok_at(msfl_status status, const char *file, int line) {
    if (status != MSFL_OK) print_error("%s: %s\n", msfl_status_name(status), msfl_error_message());
    _assert_int_equal(status, MSFL_OK, file, line);
}
#define ok(call) ok_at(call, __FILE__, __LINE__)

static client_policy policy_of(const char *text) {
    client_policy p;
    ok(client_policy_parse("policy.yaml", text, strlen(text), &p));
    return p;
}

#define HEAD  "format: medsecurefl-job\nversion: 1\nname: t\nsamples_max: 64\n"
#define MODEL "model: cnn-small\nclasses: [a, b]\ninput: {height: 16, width: 16, channels: 1}\n"

typedef struct scene {
    job_spec spec;
    job_shape *shape;
    msfl_roster_info roster;
} scene;

static scene scene_of(const char *job) {
    scene s = {.roster = {.custody = MSFL_CUSTODY_COMMITTEE, .n_clients = 3, .k = 3, .t = 2}};
    ok(job_spec_parse("job", job, strlen(job), true, &s.spec));
    return s;
}

static void clear(scene *s) {
    job_shape_free(s->shape);
    job_spec_clear(&s->spec);
}

/* Whether the job is refused by this rule; NULL: it is not. */
static void judged(const char *policy, const char *job, msfl_custody custody, client_trainer_kind trainer,
                   msfl_status expected, const char *rule) {
    client_policy p = policy_of(policy);
    scene s = scene_of(job);
    ok(job_shape_new(&s.spec, &s.shape));
    s.roster.custody = custody;
    const msfl_status status = client_policy_job(&p, s.shape, &s.roster, trainer);
    if (status != expected) print_error("%s / %s: %s\n", policy, rule, msfl_error_message());
    assert_int_equal(status, expected);
    if (expected == MSFL_ERR_POLICY) {
        char words[64];
        snprintf(words, sizeof words, "policy %s: ", rule);
        assert_non_null(strstr(msfl_error_message(), words));
    }
    clear(&s);
    client_policy_clear(&p);
}

static void test_jobs(void **state) {
    const msfl_custody committee = MSFL_CUSTODY_COMMITTEE;
    (void)state;
    judged("{}", HEAD MODEL, committee, CLIENT_BUILTIN, MSFL_OK, "");
    judged("{}", HEAD MODEL, MSFL_CUSTODY_AUTHORITY, CLIENT_BUILTIN, MSFL_OK, "");
    /* plaintext, by name alone */
    judged("{}", HEAD MODEL "scheme: plain\n", committee, CLIENT_BUILTIN, MSFL_ERR_POLICY, "schemes");
    judged("schemes: [packed, plain]", HEAD MODEL "scheme: plain\n", committee, CLIENT_BUILTIN, MSFL_OK, "");
    judged("schemes: []", HEAD MODEL, committee, CLIENT_BUILTIN, MSFL_ERR_POLICY, "schemes");
    /* who holds the keys */
    judged("{}", HEAD MODEL, MSFL_CUSTODY_COORDINATOR, CLIENT_BUILTIN, MSFL_ERR_POLICY, "custody");
    judged("custody: [coordinator]", HEAD MODEL, MSFL_CUSTODY_COORDINATOR, CLIENT_BUILTIN, MSFL_OK, "");
    judged("custody: [authority]", HEAD MODEL, committee, CLIENT_BUILTIN, MSFL_ERR_POLICY, "custody");
    judged("custody: [committee]", HEAD MODEL, MSFL_CUSTODY_AUTHORITY, CLIENT_BUILTIN, MSFL_ERR_POLICY, "custody");
    /* how many hide each other */
    judged("{}", HEAD MODEL "min_cohort: 2\n", committee, CLIENT_BUILTIN, MSFL_ERR_POLICY, "min_cohort");
    judged("min_cohort: 2", HEAD MODEL "min_cohort: 2\n", committee, CLIENT_BUILTIN, MSFL_OK, "");
    judged("min_cohort: 4", HEAD MODEL "min_cohort: 3\n", committee, CLIENT_BUILTIN, MSFL_ERR_POLICY, "min_cohort");
    judged("security_bits: 192", HEAD MODEL, committee, CLIENT_BUILTIN, MSFL_ERR_POLICY, "security_bits");
    judged("security_bits: 192", HEAD MODEL "security: 192\n", committee, CLIENT_BUILTIN, MSFL_OK, "");
    judged("delivery: [clients]", HEAD MODEL, committee, CLIENT_BUILTIN, MSFL_ERR_POLICY, "delivery");
    judged("delivery: [coordinator]", HEAD MODEL "delivery: clients\n", committee, CLIENT_BUILTIN, MSFL_ERR_POLICY,
           "delivery");
    /* what and how much */
    judged("values_max: 1000", HEAD MODEL, committee, CLIENT_BUILTIN, MSFL_ERR_POLICY, "values_max");
    judged("sums_per_job: 16", HEAD MODEL "rounds: 8\n", committee, CLIENT_BUILTIN, MSFL_ERR_POLICY, "sums_per_job");
    judged("sums_per_job: 17", HEAD MODEL "rounds: 8\n", committee, CLIENT_BUILTIN, MSFL_OK, "");
    judged("sums_per_job: 8", HEAD MODEL "rounds: 8\nevaluate: false\ntest: false\n", committee, CLIENT_BUILTIN,
           MSFL_OK, "");
    /* updates of so few images that the images stand in them */
    judged("images_min: 9", HEAD MODEL "local_steps: 2\nbatch: 4\n", committee, CLIENT_BUILTIN, MSFL_ERR_POLICY,
           "images_min");
    judged("images_min: 8", HEAD MODEL "local_steps: 2\nbatch: 4\n", committee, CLIENT_BUILTIN, MSFL_OK, "");
    judged("{}", HEAD MODEL "local_steps: 1\nbatch: 1\n", committee, CLIENT_BUILTIN, MSFL_OK, "");
    judged("images_min: 1000", HEAD MODEL "batch: 1\n", committee, CLIENT_BUILTIN, MSFL_OK, "");
    /* bounds that are there to find out how many images a hospital has */
    judged("samples_max_min: 65", HEAD MODEL, committee, CLIENT_BUILTIN, MSFL_ERR_POLICY, "samples_max_min");
    judged("samples_max_min: 64", HEAD MODEL, committee, CLIENT_BUILTIN, MSFL_OK, "");
    judged("brought_weights: false", HEAD MODEL, committee, CLIENT_BUILTIN, MSFL_OK, "");
    judged("brought_weights: false",
           HEAD MODEL "initial: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n", committee,
           CLIENT_BUILTIN, MSFL_ERR_POLICY, "brought_weights");
    judged("trainers: [command]", HEAD MODEL, committee, CLIENT_BUILTIN, MSFL_ERR_POLICY, "trainers");
    judged("trainers: [built-in]", HEAD MODEL, committee, CLIENT_COMMAND, MSFL_ERR_POLICY, "trainers");
    judged("{}", HEAD "tensors: [{name: w, shape: [3]}]\n", committee, CLIENT_BUILTIN, MSFL_ERR_UNSUPPORTED, "");
    judged("{}", HEAD "tensors: [{name: w, shape: [3]}]\n", committee, CLIENT_COMMAND, MSFL_OK, "");
}

/* What rests on a hospital's images, and is known when an update is there. */
static void test_updates(void **state) {
    (void)state;
    client_policy p = policy_of("images_min: 20");
    scene s = scene_of(HEAD MODEL "batch: 4\n");
    ok(client_policy_update(&p, &s.spec, 20));
    assert_int_equal(client_policy_update(&p, &s.spec, 19), MSFL_ERR_POLICY);
    s.spec.train.n_steps = 5;
    ok(client_policy_update(&p, &s.spec, 20));
    ok(client_policy_update(&p, &s.spec, 1000));
    assert_int_equal(client_policy_update(&p, &s.spec, 19), MSFL_ERR_POLICY);
    s.spec.train.n_steps = 4;
    assert_int_equal(client_policy_update(&p, &s.spec, 1000), MSFL_ERR_POLICY);
    clear(&s);
    client_policy_clear(&p);
}

static void test_models(void **state) {
    char policy[256], hex[2 * MSFL_HASH_BYTES + 1];
    uint8_t hash[MSFL_HASH_BYTES];
    msfl_model *model;
    (void)state;
    ok(msfl_model_new("cnn-small", 16, 16, 1, 2, &model));
    msfl_model_hash(model, hash);
    msfl_hex(hash, sizeof hash, hex);
    msfl_model_free(model);
    snprintf(policy, sizeof policy, "models: [%s]", hex);
    judged(policy, HEAD MODEL, MSFL_CUSTODY_COMMITTEE, CLIENT_BUILTIN, MSFL_OK, "");
    judged("models: any", HEAD MODEL, MSFL_CUSTODY_COMMITTEE, CLIENT_BUILTIN, MSFL_OK, "");
    judged("models: [cnn-small]", HEAD MODEL, MSFL_CUSTODY_COMMITTEE, CLIENT_BUILTIN, MSFL_OK, "");
    judged("models: [medsecurefl-2022]", HEAD MODEL, MSFL_CUSTODY_COMMITTEE, CLIENT_BUILTIN, MSFL_ERR_POLICY, "models");
    judged("models: []", HEAD MODEL, MSFL_CUSTODY_COMMITTEE, CLIENT_BUILTIN, MSFL_ERR_POLICY, "models");
    judged("models: [tensors]", HEAD "tensors: [{name: w, shape: [3]}]\n", MSFL_CUSTODY_COMMITTEE, CLIENT_COMMAND,
           MSFL_OK, "");
    judged("models: [cnn-small]", HEAD "tensors: [{name: w, shape: [3]}]\n", MSFL_CUSTODY_COMMITTEE, CLIENT_COMMAND,
           MSFL_ERR_POLICY, "models");
    /* another network that calls itself so */
    judged("models: [cnn-small]",
           HEAD
           "classes: [a, b]\nmodel: \"name: cnn-small\\ninput: {height: 16, width: 16, channels: 1}\\nclasses: 2\\n"
           "layers:\\n  - flatten: {}\\n  - dense: {units: classes}\\n\"\n",
           MSFL_CUSTODY_COMMITTEE, CLIENT_BUILTIN, MSFL_ERR_POLICY, "models");
}

/* --- rounds --- */

typedef struct round {
    scene s;
    client_policy policy;
    msfl_announcement a;
    job_plan plan;
    client_tally tally;
} round;

static round round_of(const char *policy) {
    round r = {.policy = policy_of(policy), .s = scene_of(HEAD MODEL "rounds: 4\nlearning_rate: 0.5\n")};
    return r;
}

static void fill(round *r) {
    ok(job_shape_new(&r->s.spec, &r->s.shape));
    r->plan = (job_plan){.number = 7, .round = 3, .kind = JOB_UPDATE, .model = 2, .learning_rate = 0.5};
    r->a = (msfl_announcement){.delivery = MSFL_DELIVERY_COORDINATOR};
    r->a.info.number = 7;
    r->a.info.n_clients = 3;
    r->a.info.min_cohort = 3;
    r->a.info.n_values = r->s.shape->update_slots;
    ok(job_shape_params(r->s.shape, &r->s.roster, &r->a.info.params));
}

static msfl_status judge(const round *r) {
    return client_policy_round(&r->policy, r->s.shape, &r->s.roster, &r->a, &r->plan, &r->tally);
}

static void test_rounds(void **state) {
    (void)state;
    round r = round_of("sums_per_job: 20\nsums_per_day: 10\n");
    fill(&r);
    ok(judge(&r));
    const round good = r;
#define LIE(change)                                                                                                    \
    do {                                                                                                               \
        r = good;                                                                                                      \
        change;                                                                                                        \
        assert_int_equal(judge(&r), MSFL_ERR_MISMATCH);                                                                \
    } while (0)
    LIE(r.a.info.number = 8);
    LIE(r.a.info.min_cohort = 2);
    LIE(r.a.info.min_cohort = 4);
    LIE(r.a.delivery = MSFL_DELIVERY_CLIENTS);
    LIE(r.a.info.n_clients = 4);
    LIE(r.a.info.n_values++);
    LIE(r.a.info.n_values = r.s.shape->evaluation_slots);
    LIE(r.a.info.params.ring_degree *= 2);
    LIE(r.a.info.params.primes[0]++);
    LIE(r.a.info.params.value_bits--);
    LIE(r.a.info.params.security_bits = 192);
    LIE(r.plan.learning_rate = 0.6);
    LIE(r.plan.learning_rate = 0);
    LIE(r.plan.round = 5);
    LIE(r.plan.kind = JOB_EVALUATE); /* with an update's vector */
    r = good;
    r.plan.kind = JOB_EVALUATE;
    r.a.info.n_values = r.s.shape->evaluation_slots;
    ok(judge(&r));
    /* figures that the description did not ask for */
    r.s.spec.evaluate = r.s.spec.test = false;
    job_shape *quiet;
    ok(job_shape_new(&r.s.spec, &quiet));
    assert_int_equal(client_policy_round(&r.policy, quiet, &r.s.roster, &r.a, &r.plan, &r.tally), MSFL_ERR_MISMATCH);
    r.plan.kind = JOB_TEST;
    assert_int_equal(client_policy_round(&r.policy, quiet, &r.s.roster, &r.a, &r.plan, &r.tally), MSFL_ERR_MISMATCH);
    job_shape_free(quiet);
    /* how often */
    r = good;
    r.tally = (client_tally){19, 9};
    ok(judge(&r));
    r.tally = (client_tally){20, 0};
    assert_int_equal(judge(&r), MSFL_ERR_POLICY);
    assert_non_null(strstr(msfl_error_message(), "sums_per_job"));
    r.tally = (client_tally){0, 10};
    assert_int_equal(judge(&r), MSFL_ERR_POLICY);
    assert_non_null(strstr(msfl_error_message(), "sums_per_day"));
    r.tally = (client_tally){UINT32_MAX, UINT32_MAX}; /* a store that cannot be read */
    assert_int_equal(judge(&r), MSFL_ERR_POLICY);
    r = good;
    clear(&r.s);
    client_policy_clear(&r.policy);
}

/* --- texts --- */

static void test_texts(void **state) {
    static const char *const bad[] = {"a",
                                      "schemes: packed",
                                      "schemes: [ckks]",
                                      "custody: [me]",
                                      "min_cohort: 1",
                                      "security_bits: 64",
                                      "values_max: -1",
                                      "images_min: 0",
                                      "samples_max_min: none",
                                      "brought_weights: perhaps",
                                      "sums_per_day: many",
                                      "models: some",
                                      "models: [[a]]",
                                      "trainers: [gpu]",
                                      "minimum_cohort: 3",
                                      "min_cohort: 3\nmin_cohort: 4"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        client_policy p;
        const msfl_status status = client_policy_parse("policy.yaml", bad[i], strlen(bad[i]), &p);
        if (status == MSFL_OK) print_error("%s\n", bad[i]);
        assert_int_not_equal(status, MSFL_OK);
        assert_non_null(strstr(msfl_error_message(), "policy.yaml"));
        client_policy_clear(&p);
    }
    client_policy p = client_policy_default();
    char *text = client_policy_text(&p);
    assert_non_null(
        strstr(text, "no policy.yaml, so the strict defaults: schemes packed; custody committee authority;"));
    msfl_free(text);
    p = policy_of("schemes: [plain]\ncustody: [coordinator]\nmodels: [a, b]\n");
    text = client_policy_text(&p);
    assert_non_null(strstr(text, "plain (NOT encrypted)"));
    assert_non_null(strstr(text, "2 named"));
    msfl_free(text);
    client_policy_clear(&p);
    assert_int_equal(client_policy_read("/no/such/folder", &p), MSFL_OK); /* no file: the defaults */
    assert_false(p.from_file);
}

static void test_site(void **state) {
    static const char *const bad[] = {"{}",
                                      "data: {}",
                                      "data: {path: ''}",
                                      "data: {path: x, share: {of: 3}}",
                                      "data: {path: x, share: {of: 3, index: 3}}",
                                      "data: {path: x, colour: red}",
                                      "trainer: {}",
                                      "trainer: {command: /bin/sh}",
                                      "trainer: {command: []}",
                                      "trainer: {command: [python3]}",
                                      "trainer: {command: [/bin/sh], format: pickle}",
                                      "trainer: {command: [/bin/sh], timeout_s: 0}",
                                      "trainer: {command: [/bin/sh], environment: {'A B': c}}",
                                      "trainer: {command: [/bin/sh], environment: {A: [c]}}",
                                      "data: {path: x}\nthreads: 1000"};
    client_site s;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const msfl_status status = client_site_parse("site.yaml", bad[i], strlen(bad[i]), &s);
        if (status == MSFL_OK) print_error("%s\n", bad[i]);
        assert_int_not_equal(status, MSFL_OK);
        client_site_clear(&s);
    }
    static const char good[] =
        "data: {path: /d, label: y, share: {of: 5, index: 2, partition: 'dirichlet:0.5', seed: 9}}\n"
        "trainer: {command: [/bin/sh, -c, 'a b'], environment: {A: '1'}, read: [/opt/x], "
        "timeout_s: 5, memory_mb: 7, network: true}\nthreads: 2\n";
    ok(client_site_parse("site.yaml", good, sizeof good - 1, &s));
    assert_string_equal(s.path, "/d");
    assert_int_equal(s.share.of, 5);
    assert_int_equal(s.share.seed, 9);
    assert_string_equal(s.share.partition, "dirichlet:0.5");
    assert_int_equal(s.trainer.n_command, 3);
    assert_null(s.trainer.command[3]);
    assert_string_equal(s.trainer.environment[0], "A=1");
    assert_true(s.trainer.network);
    client_site_clear(&s);
    for (long k = 1; k < 200; k++) {
        msfl_alloc_fail_at(k);
        const msfl_status status = client_site_parse("site.yaml", good, sizeof good - 1, &s);
        msfl_alloc_fail_at(0);
        client_site_clear(&s);
        if (status == MSFL_OK) break;
        assert_int_equal(status, MSFL_ERR_MEMORY);
    }
    assert_int_equal(client_site_read("/no/such/folder", &s), MSFL_ERR_MISSING);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_jobs),   cmocka_unit_test(test_updates),
                                       cmocka_unit_test(test_models), cmocka_unit_test(test_rounds),
                                       cmocka_unit_test(test_texts),  cmocka_unit_test(test_site)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
