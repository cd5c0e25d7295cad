/* Hospitals over the network against a small coordinator: rounds, and what they keep. */
#include "client/tally.h"
#include "fake.h"
#include "medsecurefl/audit.h"

/* Three trainers in one process: oneDNN is not built for this sanitizer, which cannot see how it keeps its own order.
 */
MSFL_API const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void) {
    return "race:libdnnl.so\ncalled_from_lib:libdnnl.so\n";
}

static const char job[] =
    "format: medsecurefl-job\nversion: 1\nname: t\nmodel: cnn-small\nclasses: [normal, opacity]\n"
    "input: {height: 32, width: 32, channels: 1}\n"
    "rounds: 2\nvalidation_fraction: 0.2\nsamples_max: 64\nbatch: 8\nseed: 5\nlearning_rate: 0.05\n";

static void one_round(fake *f, uint32_t round) {
    uint64_t counters[JOB_EVAL_COUNTERS];
    float *mean = msfl_alloc(f->shape->n_values, sizeof *mean);
    const job_aggregate *rule;
    fake_open(f, JOB_UPDATE, round);
    assert_true(fake_opened(f, FAKE_PATIENCE_MS));
    fake_close(f, JOB_UPDATE, round, mean, counters, JOB_UPDATE_COUNTERS);
    assert_in_range(counters[JOB_SAMPLES], 40, 120);
    assert_int_equal(counters[JOB_SEEN], counters[JOB_SAMPLES]);
    f->models[round] = msfl_alloc(f->shape->n_values, sizeof(float));
    ok(job_aggregate_find("fedavg", &rule));
    const job_stride stride = {round, 1};
    rule->apply(f->models[round], NULL, f->models[round - 1], mean, f->shape->n_values, &stride);
    assert_memory_not_equal(f->models[round - 1], f->models[round], 64);
    msfl_free(mean);
    fake_open(f, JOB_EVALUATE, round);
    assert_true(fake_opened(f, FAKE_PATIENCE_MS));
    fake_close(f, JOB_EVALUATE, round, NULL, counters, JOB_EVAL_COUNTERS);
    assert_int_equal(counters[JOB_EVAL_CLIENTS], 3);
    assert_in_range(counters[JOB_EVAL_N], 10, 60);
}

/* What a hospital kept proves what it sent, and that this is what was opened. */
static void check_record(const fake *f, const fake_site *s) {
    char folder[300];
    msfl_audit *audit;
    uint32_t confirmed = 0, n = 0;
    const msfl_audit_options options = {.kit = s->kit, .allow_gaps = true};
    snprintf(folder, sizeof folder, "%s/state/audit/%s", s->kit, f->id);
    ok(msfl_audit_verify(folder, &options, &audit));
    const msfl_audit_round *round;
    while ((round = msfl_audit_round_at(audit, n)) != NULL) {
        assert_true(round->acknowledged);
        confirmed += round->own == MSFL_AUDIT_OWN_CONFIRMED;
        n++;
    }
    assert_int_equal(n, 5);
    assert_in_range(confirmed, 1, 5);
    msfl_audit_free(audit);
}

static void test_rounds(void **state) {
    fake f;
    fake_site sites[FAKE_SITES];
    uint64_t counters[JOB_EVAL_COUNTERS];
    (void)state;
    fake_new(&f, job);
    for (int i = 0; i < FAKE_SITES; i++) {
        fake_data(&f, i);
        fake_start(&f, &sites[i], i);
    }
    one_round(&f, 1);
    one_round(&f, 2);
    fake_open(&f, JOB_TEST, 2);
    assert_true(fake_opened(&f, FAKE_PATIENCE_MS));
    fake_close(&f, JOB_TEST, 2, NULL, counters, JOB_EVAL_COUNTERS);
    assert_int_equal(counters[JOB_EVAL_N], 24);
    fake_end(&f);
    for (int i = 0; i < FAKE_SITES; i++) {
        fake_join(&sites[i]);
        if (sites[i].status != MSFL_OK) print_error("%s\n%s", sites[i].message, sites[i].log);
        assert_int_equal(sites[i].status, MSFL_OK);
        check_record(&f, &sites[i]);
    }
    assert_int_equal(f.refusals, 0);
    fake_free(&f);
}

/* --- a coordinator that lies --- */

/* One hospital alone hears it: nothing that it made may come back. */
static void heard(const char *text, void (*lie)(fake *f), const char *policy, const char *words, bool told) {
    fake f;
    fake_site site;
    fake_new(&f, text);
    fake_data(&f, 0);
    if (policy != NULL) fake_write(&f, 0, "policy.yaml", policy);
    lie(&f);
    fake_open(&f, JOB_UPDATE, 1);
    fake_start(&f, &site, 0);
    (void)fake_says(&site, words);
    if (told) (void)fake_hears(&f, "\"refused\"");
    fake_stop(&site);
    if (strstr(site.log, words) == NULL) print_error("%s\n", site.log);
    assert_non_null(strstr(site.log, words));
    assert_int_equal(f.posts, 0);
    assert_int_equal(f.bytes_up, 0);
    assert_null(strstr(site.log, "acknowledged"));
    if (told) assert_non_null(strstr(f.reports, "\"refused\""));
    if (told && strncmp(words, "policy ", 7) == 0) { /* the rule, and neither value nor bound */
        char code[64];
        snprintf(code, sizeof code, "\"text\":\"%s\"", words);
        if (strstr(f.reports, code) == NULL) print_error("%s\n", f.reports);
        assert_non_null(strstr(f.reports, code));
    }
    /* whatever is told, no path of this hospital is in it */
    assert_null(strstr(f.reports, f.folder));
    fake_free(&f);
}

static void lie_nothing(fake *f) {
    (void)f;
}
static void lie_text(fake *f) {
    f->lie_text = true;
}
static void lie_model(fake *f) {
    f->lie_model = true;
}
static void lie_rate(fake *f) {
    f->lie_plan_rate = true;
}
static void lie_clip(fake *f) {
    f->lie_plan_clip = true;
}
static void lie_start(fake *f) {
    f->models[0][3] += 1; /* announced with its hash, and served */
}
static void lie_cohort(fake *f) {
    f->lie_min_cohort = 2;
}

static void test_lies(void **state) {
    (void)state;
    heard(job, lie_text, NULL, "not the one whose hash was announced", false);
    heard(job, lie_model, NULL, "not those that were announced", false);
    heard(job, lie_start, NULL, "other weights to begin with", true);
    heard(job, lie_rate, NULL, "a learning rate of", true);
    heard(job, lie_clip, NULL, "a clipping bound of", true);
    heard(job, lie_cohort, NULL, "would open the sum of 2 updates", false); /* the machine's own rule */
    heard(job, lie_cohort, "min_cohort: 2", "a minimum of 2 hospitals where 3 were described", true);
    heard(job, lie_nothing, "min_cohort: 4", "policy min_cohort", true);
    heard(job, lie_nothing, "models: [medsecurefl-2022]", "policy models", true);
    heard(job, lie_nothing, "sums_per_day: 0", "policy sums_per_day", true);
}

/* --- a job that asks for too little to hide in --- */

/* What its author would choose to read single images, or one hospital's update, out of a sum. Each is refused by the
 * defaults, without a policy.yaml, and nothing is sent. */
static void test_greedy(void **state) {
#define GREEDY                                                                                                         \
    "format: medsecurefl-job\nversion: 1\nname: t\nclasses: [normal, opacity]\ninput: {height: 16, width: 16, "        \
    "channels: 1}\nrounds: 40\nvalidation_fraction: 0.2\nsamples_max: 64\nseed: 5\n"
#define SMALL GREEDY "model: cnn-small\n"
    static const struct {
        const char *job, *words;
    } cases[] = {
        {SMALL "optimizer: sgd\nlocal_steps: 1\nbatch: 1\n", "policy images_min"},
        {SMALL "optimizer: sgd\nmomentum: 0\nlearning_rate: 1\nweight_decay: 0.9\nbatch: 1\n", "policy images_min"},
        {SMALL "local_steps: 1\n", "policy steps_min"},
        {SMALL "batch: 1024\n", "policy steps_min"}, /* known once the images are there */
        {SMALL "optimizer: sgd\nlocal_steps: 1\nbatch: 8\n", "policy draws_max"},
        {SMALL "optimizer: sgd\nclip: 0.0000001\nbatch: 8\n", "policy clipped_max"},
        {SMALL "optimizer: sgd\nlearning_rate: 100\nbatch: 1\n", "policy sgd_rate_max"},
        {SMALL "bits: 2\nbatch: 4\n", "policy bits_min"},
        {GREEDY "optimizer: sgd\nbatch: 8\nmodel: \"name: linear\\ninput: {height: 16, width: 16, channels: 1}\\n"
                "classes: 2\\nlayers:\\n  - flatten: {}\\n  - dense: {units: classes}\\n\"\n",
         "policy models"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        heard(cases[i].job, lie_nothing, NULL, cases[i].words, true);
    heard(job, lie_nothing, "patients_min: 1000", "policy patients_min", true);
}

/* --- bad lines --- */

/* The body of an upload is cut in the middle: what is encrypted is sent again from where the coordinator is. */
static void test_cut(void **state) {
    fake f;
    fake_site sites[FAKE_SITES];
    (void)state;
    fake_new(&f, job);
    f.cut_after = 100000;
    for (int i = 0; i < FAKE_SITES; i++) {
        fake_data(&f, i);
        fake_start(&f, &sites[i], i);
    }
    one_round(&f, 1);
    assert_int_equal(f.cut_after, 0); /* it was cut */
    fake_end(&f);
    for (int i = 0; i < FAKE_SITES; i++) {
        fake_join(&sites[i]);
        assert_int_equal(sites[i].status, MSFL_OK);
    }
    fake_free(&f);
}

/* A round that is given up is repeated with the same update and another key; the model does not depend on it. */
static void test_again(void **state) {
    float *model = NULL;
    (void)state;
    for (int disturbed = 0; disturbed < 2; disturbed++) {
        fake f;
        fake_site sites[FAKE_SITES];
        fake_new(&f, job);
        for (int i = 0; i < FAKE_SITES; i++)
            fake_data(&f, i);
        for (int i = 0; i < FAKE_SITES && disturbed; i++)
            if (i > 0) fake_start(&f, &sites[i], i);
        if (disturbed) {
            fake_open(&f, JOB_UPDATE, 1);
            assert_false(fake_opened(&f, 3000)); /* one is missing */
            fake_abort(&f);
            /* one that has trained is stopped and comes back: it trains again, from the same state */
            fake_stop(&sites[1]);
            fake_start(&f, &sites[1], 1);
            fake_start(&f, &sites[0], 0);
        } else {
            for (int i = 0; i < FAKE_SITES; i++)
                fake_start(&f, &sites[i], i);
        }
        one_round(&f, 1);
        one_round(&f, 2);
        fake_end(&f);
        for (int i = 0; i < FAKE_SITES; i++)
            fake_join(&sites[i]);
        if (!disturbed) {
            model = msfl_alloc(f.shape->n_values, sizeof *model);
            memcpy(model, f.models[2], f.shape->n_values * sizeof *model);
        } else {
            assert_memory_equal(model, f.models[2], f.shape->n_values * sizeof *model);
        }
        fake_free(&f);
    }
    msfl_free(model);
}

/* Two clients do not share a folder. */
static void test_lock(void **state) {
    fake f;
    fake_site one, two;
    (void)state;
    fake_new(&f, job);
    fake_data(&f, 0);
    fake_start(&f, &one, 0);
    assert_true(fake_says(&one, "taking part"));
    fake_start(&f, &two, 0);
    fake_join(&two);
    assert_int_equal(two.status, MSFL_ERR_EXISTS);
    assert_non_null(strstr(two.message, "another client"));
    fake_stop(&one);
    assert_int_equal(one.status, MSFL_OK); /* a graceful end */
    fake_free(&f);
}

static bool two_say(fake_site *sites, const char *words) {
    unsigned n = 0;
    for (unsigned i = 0; i < FAKE_PATIENCE_MS / 10 && n < 2; i++) {
        n = 0;
        for (int k = 0; k < FAKE_SITES; k++)
            n += fake_said(&sites[k], words);
        if (n < 2) usleep(10000);
    }
    return n >= 2;
}

/* The same job once more: trained the same, so that a cohort with one hospital less would open its update. Who released
 * the first sum neither trains nor releases; where the hospitals allow it, or the job begins elsewhere, all goes on. */
static void test_twice(void **state) {
    static const char once[] = "format: medsecurefl-job\nversion: 1\nname: t\nmodel: cnn-small\n"
                               "classes: [normal, opacity]\ninput: {height: 16, width: 16, channels: 1}\nrounds: 1\n"
                               "validation_fraction: 0.2\nsamples_max: 64\nlearning_rate: 0.05\nbatch: 8\n";
    static const struct {
        const char *more;
        bool allowed, opens;
    } cases[] = {{"seed: 5\n", false, true},
                 {"seed: 5\nlocal_epochs: 2\n", false, false},
                 {"seed: 6\n", false, true},
                 {"seed: 5\nlocal_epochs: 3\n", true, true}};
    char text[512];
    fake f;
    fake_site sites[FAKE_SITES];
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        snprintf(text, sizeof text, "%s%s", once, cases[k].more);
        if (k == 0) fake_new(&f, text);
        if (k > 0) fake_next(&f, text);
        f.reports[0] = 0;
        for (int i = 0; i < FAKE_SITES; i++) {
            fake_data(&f, i);
            fake_write(&f, i, "policy.yaml", cases[k].allowed ? "second_sums: true\n" : "{}\n");
            fake_start(&f, &sites[i], i);
        }
        fake_open(&f, JOB_UPDATE, 1);
        /* Two of three opened the first sum: the third may not have been needed, and then has nothing against this. */
        if (!cases[k].opens) assert_true(two_say(sites, "policy second_sums"));
        assert_int_equal(fake_opened(&f, cases[k].opens ? FAKE_PATIENCE_MS : 300), cases[k].opens);
        fake_end(&f);
        for (int i = 0; i < FAKE_SITES; i++)
            fake_join(&sites[i]);
        assert_int_equal(strstr(f.reports, "\"policy second_sums\"") == NULL, cases[k].opens);
    }
    fake_free(&f);
}

/* A round that was opened, asked for again under bounds that differ by a little (with 16 bits they follow from sums,
 * and are the coordinator's word): the same update, so a cohort with one hospital less would open it. */
static void test_other_bounds(void **state) {
    fake f;
    fake_site sites[FAKE_SITES];
    uint64_t counters[JOB_UPDATE_COUNTERS];
    char text[sizeof job + 16];
    (void)state;
    snprintf(text, sizeof text, "%sbits: 16\n", job);
    fake_new(&f, text);
    float *mean = msfl_alloc(f.shape->n_values, sizeof *mean);
    for (int i = 0; i < FAKE_SITES; i++) {
        fake_data(&f, i);
        fake_start(&f, &sites[i], i);
    }
    fake_open(&f, JOB_UPDATE, 1);
    assert_true(fake_opened(&f, FAKE_PATIENCE_MS));
    fake_close(&f, JOB_UPDATE, 1, mean, counters, JOB_UPDATE_COUNTERS);
    const uint64_t chunks = f.chunks; /* an answer may still come late */
    f.lie_clip = true;
    fake_open(&f, JOB_UPDATE, 1);
    for (int i = 0; i < FAKE_SITES; i++)
        assert_true(fake_says(&sites[i], "of other weights or clipping bounds"));
    assert_false(fake_opened(&f, 300));
    assert_int_equal(f.chunks, chunks);
    fake_end(&f);
    for (int i = 0; i < FAKE_SITES; i++) {
        fake_join(&sites[i]);
        assert_non_null(strstr(sites[i].log, "of other weights or clipping bounds"));
    }
    msfl_free(mean);
    fake_free(&f);
}

/* What a key holder and a hospital remember, and what they then refuse. */
static void test_remembered(void **state) {
    static const uint8_t a[MSFL_HASH_BYTES] = {1}, b[MSFL_HASH_BYTES] = {2}, model[MSFL_HASH_BYTES] = {3},
                         other[MSFL_HASH_BYTES] = {4}, layout[MSFL_HASH_BYTES] = {5}, wide[MSFL_HASH_BYTES] = {6};
    const client_subject first = {a, model, layout}, bounds = {a, model, wide}, job_b = {b, model, layout},
                         wiggled = {a, other, layout};
    char folder[] = "/tmp/msfl-tally-XXXXXX", path[64];
    store *s;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/client.db", folder);
    ok(store_open(path, &s));
    ok(client_released_check(s, &first, true));
    ok(client_released_add(s, &first, true));
    ok(client_course_check(s, &first, JOB_UPDATE, 2));
    ok(client_course_add(s, &first, JOB_UPDATE, 2));
    store_close(s);
    ok(store_open(path, &s)); /* also by the next process */
    ok(client_released_check(s, &first, true));
    ok(client_released_check(s, &wiggled, true)); /* no rule on hashes sees that; the course does */
    assert_int_equal(client_released_check(s, &bounds, true), MSFL_ERR_POLICY);
    assert_int_equal(client_released_check(s, &job_b, true), MSFL_ERR_POLICY);
    ok(client_released_check(s, &job_b, false));
    ok(client_released_add(s, &first, false));
    ok(client_released_check(s, &bounds, false)); /* figures of test images after those of validation images */
    assert_int_equal(client_released_check(s, &job_b, false), MSFL_ERR_POLICY);
    ok(client_course_check(s, &first, JOB_UPDATE, 2));
    assert_int_equal(client_course_check(s, &wiggled, JOB_UPDATE, 2), MSFL_ERR_MISMATCH);
    assert_int_equal(client_course_check(s, &bounds, JOB_UPDATE, 2), MSFL_ERR_MISMATCH);
    ok(client_course_check(s, &wiggled, JOB_UPDATE, 3));
    ok(client_course_check(s, &wiggled, JOB_EVALUATE, 2));
    ok(client_course_check(s, &job_b, JOB_UPDATE, 2)); /* another job has a course of its own */
    store_close(s);
    char command[80];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds), cmocka_unit_test(test_lies),         cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_cut),    cmocka_unit_test(test_again),        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_twice),  cmocka_unit_test(test_other_bounds), cmocka_unit_test(test_remembered)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
