/* Hospitals over the network against a small coordinator: rounds, and what they keep. */
#include "fake.h"

static const char job[] =
    "format: medsecurefl-job\nversion: 1\nname: t\nmodel: cnn-small\nclasses: [normal, opacity]\n"
    "input: {height: 32, width: 32, channels: 1}\n"
    "rounds: 2\nvalidation_fraction: 0.2\nsamples_max: 64\nbatch: 16\nseed: 5\nlearning_rate: 0.05\n";

static void one_round(fake *f, uint32_t round) {
    uint64_t counters[JOB_EVAL_COUNTERS];
    float *mean = msfl_alloc(f->shape->n_values, sizeof *mean);
    const job_aggregate *rule;
    fake_open(f, JOB_UPDATE, round);
    assert_true(fake_opened(f, 60000));
    fake_close(f, JOB_UPDATE, round, mean, counters, JOB_UPDATE_COUNTERS);
    assert_in_range(counters[JOB_SAMPLES], 40, 120);
    assert_int_equal(counters[JOB_SEEN], counters[JOB_SAMPLES]);
    f->models[round] = msfl_alloc(f->shape->n_values, sizeof(float));
    ok(job_aggregate_find("fedavg", &rule));
    rule->apply(f->models[round - 1], mean, f->shape->n_values, f->models[round]);
    assert_memory_not_equal(f->models[round - 1], f->models[round], 64);
    msfl_free(mean);
    fake_open(f, JOB_EVALUATE, round);
    assert_true(fake_opened(f, 60000));
    fake_close(f, JOB_EVALUATE, round, NULL, counters, JOB_EVAL_COUNTERS);
    assert_int_equal(counters[JOB_EVAL_CLIENTS], 3);
    assert_in_range(counters[JOB_EVAL_N], 10, 60);
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
    assert_true(fake_opened(&f, 60000));
    fake_close(&f, JOB_TEST, 2, NULL, counters, JOB_EVAL_COUNTERS);
    assert_int_equal(counters[JOB_EVAL_N], 24);
    fake_end(&f);
    for (int i = 0; i < FAKE_SITES; i++) {
        fake_join(&sites[i]);
        if (sites[i].status != MSFL_OK) print_error("%s\n%s", sites[i].message, sites[i].log);
        assert_int_equal(sites[i].status, MSFL_OK);
    }
    assert_int_equal(f.refusals, 0);
    fake_free(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
