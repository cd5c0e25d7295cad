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
    judged("images_min: 9\noptimizers: [adam]\nsteps_min: 1", HEAD MODEL "local_steps: 2\nbatch: 4\n", committee,
           CLIENT_BUILTIN, MSFL_ERR_POLICY, "images_min");
    judged("images_min: 8\nsteps_min: 2", HEAD MODEL "local_steps: 2\nbatch: 4\n", committee, CLIENT_BUILTIN, MSFL_OK,
           "");
    judged("{}", HEAD MODEL "local_steps: 1\nbatch: 1\n", committee, CLIENT_BUILTIN, MSFL_ERR_POLICY, "images_min");
    judged("images_min: 1\nsteps_min: 1", HEAD MODEL "local_steps: 1\nbatch: 1\n", committee, CLIENT_BUILTIN, MSFL_OK,
           "");
    judged("images_min: 1000", HEAD MODEL "batch: 1\n", committee, CLIENT_BUILTIN, MSFL_OK, "");
    /* bounds that are there to find out how many images a hospital has */
    judged("samples_max_min: 65", HEAD MODEL, committee, CLIENT_BUILTIN, MSFL_ERR_POLICY, "samples_max_min");
    judged("samples_max_min: 64", HEAD MODEL, committee, CLIENT_BUILTIN, MSFL_OK, "");
    judged("trainers: [command]", HEAD MODEL, committee, CLIENT_BUILTIN, MSFL_ERR_POLICY, "trainers");
    judged("trainers: [built-in]", HEAD MODEL, committee, CLIENT_COMMAND, MSFL_ERR_POLICY, "trainers");
    judged("{}", HEAD "tensors: [{name: w, shape: [3]}]\n", committee, CLIENT_BUILTIN, MSFL_ERR_UNSUPPORTED, "");
    judged("{}", HEAD "tensors: [{name: w, shape: [3]}]\n", committee, CLIENT_COMMAND, MSFL_OK, "");
}

#define INITIAL "initial: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
#define TENSORS "tensors: [{name: w, shape: [3]}]\n"

/* Weights that somebody brought can be made to let one image through, in any network. */
static void test_brought(void **state) {
    static const struct {
        const char *policy, *job;
        bool command, allowed;
    } cases[] = {
        {"{}", HEAD MODEL, false, true},
        {"{}", HEAD MODEL INITIAL, false, false},
        {"{}", HEAD MODEL INITIAL, true, false},
        {"{}", HEAD TENSORS INITIAL, true,
         true}, /* there are no others, and the hospital's command knows the network */
        {"brought_weights: tensors", HEAD MODEL INITIAL, false, false},
        {"brought_weights: tensors", HEAD TENSORS INITIAL, true, true},
        {"brought_weights: true", HEAD MODEL INITIAL, false, true},
        {"brought_weights: false", HEAD MODEL, false, true},
        {"brought_weights: false", HEAD MODEL INITIAL, false, false},
        {"brought_weights: false", HEAD TENSORS INITIAL, true, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        judged(cases[i].policy, cases[i].job, MSFL_CUSTODY_COMMITTEE,
               cases[i].command ? CLIENT_COMMAND : CLIENT_BUILTIN, cases[i].allowed ? MSFL_OK : MSFL_ERR_POLICY,
               "brought_weights");
    }
}

/* The file that says what is allowed by default: no job of the defaults is refused by it. */
static void test_default_jobs(void **state) {
    static const char *const jobs[] = {
        HEAD MODEL,
        HEAD MODEL "optimizer: sgd\nlearning_rate: 0.1\nmomentum: 0.9\nlocal_steps: 8\nlogit_adjustment: 1\n"
                   "aggregate: fedadam\nschedule: linear\nproximal: 0.1\nfocal: 2\n",
        HEAD "model: unet2d\nclasses: [a, b]\ninput: {height: 16, width: 16, channels: 1}\nbatch: 8\nlocal_epochs: 2\n",
        HEAD "model: resnet18\nclasses: [a, b]\ninput: {height: 32, width: 32, channels: 1}\nbits: 16\nclip: 0.5\n",
        HEAD MODEL "norms: local\ndelivery: clients\nweight_decay: 0.0001\nbalance: true\n"};
    (void)state;
    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
        client_policy p = client_policy_default();
        scene s = scene_of(jobs[i]);
        ok(job_shape_new(&s.spec, &s.shape));
        ok(client_policy_job(&p, s.shape, &s.roster, CLIENT_BUILTIN));
        clear(&s);
        client_policy_clear(&p);
    }
}

/* Each bound of the description, one step beyond it and at it; by default, and by a policy that says otherwise. */
static void test_bounds(void **state) {
    static const struct {
        const char *more, *rule, *permit;
    } cases[] = {
        {"local_steps: 1\nbatch: 7\noptimizer: sgd\n", "images_min", "images_min: 7"},
        {"local_steps: 2\nbatch: 32\n", "steps_min", "steps_min: 2"},
        {"learning_rate: 0.051\n", "adam_rate_max", "adam_rate_max: 0.051"},
        {"optimizer: sgd\nlearning_rate: 0.11\n", "sgd_rate_max", "sgd_rate_max: 1.1"},
        {"optimizer: sgd\nlearning_rate: 0.0001\nmomentum: 0.99995\n", "sgd_rate_max", "sgd_rate_max: 2.1"},
        {"optimizer: sgd\nlearning_rate: 1\nmomentum: 0\n" /* at the bound */
         "weight_decay: 0.99\nbatch: 7\n",
         "images_min", "images_min: 7"}, /* what the last batch leaves of the others is nothing */
        {"optimizer: sgd\nlearning_rate: 1\nmomentum: 0\nproximal: 1\nbatch: 4\nlocal_epochs: 100\n", "images_min",
         "images_min: 4"},
        {"momentum: 0\nproximal: 0.1\nbatch: 4\n", "images_min", "images_min: 4"},
        {"proximal: 1.1\n", "proximal_max", "proximal_max: 1.1"},
        {"focal: 5.5\n", "focal_max", "focal_max: 5.5"},
        {"logit_adjustment: 1.5\n", "logit_adjustment_max", "logit_adjustment_max: 1.5"},
        {"bits: 7\n", "bits_min", "bits_min: 7"},
    };
    static const struct {
        const char *policy, *more, *rule;
    } words[] = {{"optimizers: [sgd]", "", "optimizers"},
                 {"optimizers: [adam]", "optimizer: sgd\n", "optimizers"},
                 {"aggregates: [fedadam]", "", "aggregates"},
                 {"aggregates: [fedavg]", "aggregate: fedadam\n", "aggregates"},
                 {"aggregates: []", "", "aggregates"}};
    char job[512];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(job, sizeof job, HEAD MODEL "%s", cases[i].more);
        judged("{}", job, MSFL_CUSTODY_COMMITTEE, CLIENT_BUILTIN, MSFL_ERR_POLICY, cases[i].rule);
        judged(cases[i].permit, job, MSFL_CUSTODY_COMMITTEE, CLIENT_BUILTIN, MSFL_OK, cases[i].rule);
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        snprintf(job, sizeof job, HEAD MODEL "%s", words[i].more);
        judged(words[i].policy, job, MSFL_CUSTODY_COMMITTEE, CLIENT_BUILTIN, MSFL_ERR_POLICY, words[i].rule);
        judged("{}", job, MSFL_CUSTODY_COMMITTEE, CLIENT_BUILTIN, MSFL_OK, words[i].rule);
    }
}

/* A refusal says key, value and bound here, and the key alone to the coordinator. */
static void test_told(void **state) {
    client_policy p = policy_of("images_min: 1234");
    scene s = scene_of(HEAD MODEL "local_steps: 5\nbatch: 4\n");
    char told[CLIENT_TOLD_MAX];
    (void)state;
    ok(job_shape_new(&s.spec, &s.shape));
    assert_int_equal(client_policy_job(&p, s.shape, &s.roster, CLIENT_BUILTIN), MSFL_ERR_POLICY);
    assert_non_null(strstr(msfl_error_message(), "policy images_min: "));
    assert_non_null(strstr(msfl_error_message(), " 20 images"));
    assert_non_null(strstr(msfl_error_message(), "1234"));
    client_policy_told(msfl_error_message(), told, sizeof told);
    assert_string_equal(told, "policy images_min");
    client_policy_told("the job asks for recipe 01: import by it", told, sizeof told);
    assert_string_equal(told, "the job asks for recipe 01: import by it");
    client_policy_told("policy of nobody", told, 7);
    assert_string_equal(told, "policy");
    client_policy_told("", told, sizeof told);
    assert_string_equal(told, "");
    clear(&s);
    client_policy_clear(&p);
}

static void refused(msfl_status status, const char *rule) {
    char words[64];
    assert_int_equal(status, MSFL_ERR_POLICY);
    snprintf(words, sizeof words, "policy %s: ", rule);
    if (strstr(msfl_error_message(), words) == NULL) print_error("%s\n", msfl_error_message());
    assert_non_null(strstr(msfl_error_message(), words));
}

/* What rests on a hospital's images. */
static void test_updates(void **state) {
    (void)state;
    client_bounds b = client_bounds_default();
    b.images_min = 20;
    scene s = scene_of(HEAD MODEL "batch: 4\noptimizer: sgd\n");
    ok(client_bounds_update(&b, &s.spec, 20, 3));
    refused(client_bounds_update(&b, &s.spec, 19, 3), "images_min");
    refused(client_bounds_update(&b, &s.spec, 20, 2), "patients_min");
    s.spec.train.n_steps = 5;
    s.spec.rule.n_rounds = 1000;
    ok(client_bounds_update(&b, &s.spec, 20, 3)); /* all of them, every time */
    refused(client_bounds_update(&b, &s.spec, 999, 9), "draws_max");
    ok(client_bounds_update(&b, &s.spec, 1000, 9));
    b.draws_max = 2;
    ok(client_bounds_update(&b, &s.spec, 500, 9));
    refused(client_bounds_update(&b, &s.spec, 499, 9), "draws_max");
    refused(client_bounds_update(&b, &s.spec, 19, 9), "images_min");
    s.spec.train.n_steps = 4;
    refused(client_bounds_update(&b, &s.spec, 1000, 9), "images_min");
    clear(&s);
    /* Adam, by steps: 9 images are three batches of 4 */
    s = scene_of(HEAD MODEL "batch: 4\n");
    b = client_bounds_default();
    ok(client_bounds_steps(&b, &s.spec, 9));
    refused(client_bounds_steps(&b, &s.spec, 8), "steps_min");
    s.spec.train.n_epochs = 2;
    ok(client_bounds_steps(&b, &s.spec, 8));
    s.spec.train.n_epochs = 1000;
    ok(client_bounds_steps(&b, &s.spec, UINT64_MAX));
    assert_int_equal(client_bounds_images(&s.spec, UINT64_MAX), UINT64_MAX);
    ok(client_bounds_update(&b, &s.spec, UINT64_MAX, 3));
    clear(&s);
    /* what is remembered: of 64 batches of 4 the last ten or so, at a pull of a tenth a step */
    s = scene_of(HEAD MODEL "batch: 4\noptimizer: sgd\nmomentum: 0\nlearning_rate: 1\nweight_decay: 0.1\n");
    assert_in_range(client_bounds_images(&s.spec, 256), 39, 40);
    s.spec.train.momentum = 0.5f;
    assert_in_range(client_bounds_images(&s.spec, 256), 19, 20);
    s.spec.train.proximal = 0.9f;
    assert_int_equal(client_bounds_images(&s.spec, 256), 4);
    s.spec.train.optimizer = MSFL_ADAM;
    assert_in_range(client_bounds_images(&s.spec, 256), 7, 8);
    s.spec.train.proximal = 0;
    assert_in_range(client_bounds_images(&s.spec, 256), 39, 40);
    assert_int_equal(client_bounds_images(&s.spec, 3), 3);
    clear(&s);
    /* figures, and values beyond their bounds */
    b.figures_min = 5;
    ok(client_bounds_figures(&b, "test", 5));
    refused(client_bounds_figures(&b, "test", 4), "figures_min");
    assert_non_null(strstr(msfl_error_message(), "4 test images"));
    ok(client_bounds_clipped(&b, 10, 1000));
    refused(client_bounds_clipped(&b, 11, 1000), "clipped_max");
    b.clipped_max = 0;
    ok(client_bounds_clipped(&b, 0, 1000));
    refused(client_bounds_clipped(&b, 1, UINT64_MAX), "clipped_max");
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
    judged("models: [built-in]", HEAD TENSORS, MSFL_CUSTODY_COMMITTEE, CLIENT_COMMAND, MSFL_ERR_POLICY, "models");
    judged("models: [built-in, tensors]", HEAD TENSORS, MSFL_CUSTODY_COMMITTEE, CLIENT_COMMAND, MSFL_OK, "");
    judged("models: [built-in]", HEAD MODEL, MSFL_CUSTODY_COMMITTEE, CLIENT_BUILTIN, MSFL_OK, "");
    /* another network that calls itself so, and one of a name of its own: a first layer that hands images through */
#define LINEAR(name)                                                                                                   \
    HEAD "classes: [a, b]\nmodel: \"name: " name "\\ninput: {height: 16, width: 16, channels: 1}\\nclasses: 2\\n"      \
         "layers:\\n  - flatten: {}\\n  - dense: {units: classes}\\n\"\n"
    static const char *const strict[] = {"models: [cnn-small]", "models: [built-in]", "{}"};
    for (int i = 0; i < 3; i++) {
        judged(strict[i], LINEAR("cnn-small"), MSFL_CUSTODY_COMMITTEE, CLIENT_BUILTIN, MSFL_ERR_POLICY, "models");
        judged(strict[i], LINEAR("linear"), MSFL_CUSTODY_COMMITTEE, CLIENT_BUILTIN, MSFL_ERR_POLICY, "models");
    }
    judged("models: any", LINEAR("linear"), MSFL_CUSTODY_COMMITTEE, CLIENT_BUILTIN, MSFL_OK, "");
}

/* --- rounds --- */

typedef struct round {
    scene s;
    client_policy policy;
    msfl_announcement a;
    float clip[MSFL_MODEL_TENSORS_MAX];
    job_plan plan;
    client_tally tally;
} round;

static round round_of(const char *policy) {
    round r = {.policy = policy_of(policy), .s = scene_of(HEAD MODEL "rounds: 4\nlearning_rate: 0.5\n")};
    return r;
}

static void fill(round *r) {
    ok(job_shape_new(&r->s.spec, &r->s.shape));
    const job_clip_rule rule = job_shape_clip_rule(r->s.shape);
    job_clip_init(&rule, r->clip);
    r->plan = (job_plan){.number = 7, .round = 3, .kind = JOB_UPDATE, .model = 2, .learning_rate = 0.5};
    r->a = (msfl_announcement){.delivery = MSFL_DELIVERY_COORDINATOR};
    r->a.info.number = 7;
    r->a.info.n_clients = 3;
    r->a.info.min_cohort = 3;
    r->a.info.n_values = r->s.shape->update_slots;
    ok(job_shape_params(r->s.shape, &r->s.roster, &r->a.info.params));
}

static msfl_status judge(const round *r) {
    job_plan plan = r->plan;
    float clip[MSFL_MODEL_TENSORS_MAX];
    memcpy(clip, r->clip, sizeof clip);
    plan.clip = plan.kind == JOB_UPDATE ? clip : NULL;
    return client_policy_round(&r->policy, r->s.shape, &r->s.roster, &r->a, &plan, &r->tally);
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
    LIE(r.clip[0] = 1e-6f); /* nothing but signs would be left */
    LIE(r.clip[3] = 8.5f);
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
                                      "brought_weights: [tensors]",
                                      "sgd_rate_max: -1",
                                      "clipped_max: 1.5",
                                      "optimizers: adam",
                                      "optimizers: [lion]",
                                      "aggregates: [median]",
                                      "bits_min: 33",
                                      "draws_max: some",
                                      "steps_min: 0",
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
    assert_non_null(strstr(text, "updates of 8 images of 3 patients or more"));
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_jobs),         cmocka_unit_test(test_brought),
                                       cmocka_unit_test(test_default_jobs), cmocka_unit_test(test_bounds),
                                       cmocka_unit_test(test_told),         cmocka_unit_test(test_updates),
                                       cmocka_unit_test(test_models),       cmocka_unit_test(test_rounds),
                                       cmocka_unit_test(test_texts),        cmocka_unit_test(test_site)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
