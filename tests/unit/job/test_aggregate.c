/* What is made of a round's mean: each rule against its slow twin, in slices as in one piece; its moments on disk; the
 * mean of the last rounds; learning rate and the model that is kept over the rounds. */
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "job/course.h"
#include "job/figures.h"
#include "job/spec.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { N = 1000, ROUNDS = 30, SLICE = 137 };

static float mean_of(uint32_t round, uint32_t i) {
    /* Some values that hardly move, some that always go one way, some that turn. */
    const float size = powf(10, (float)(i % 8) - 8);
    return size * (i % 3 == 0 ? 1 : sinf((float)(round * (i + 1))));
}

static void test_fedadam(void **state) {
    (void)state;
    static float mean[N], whole[N], sliced[N], moments[2 * N], parts[2 * N];
    static double exact[N], first[N], second[N];
    const job_aggregate *rule;
    assert_int_equal(job_aggregate_find("fedadam", &rule), MSFL_OK);
    assert_int_equal(rule->n_moments, 2);
    for (uint32_t i = 0; i < N; i++)
        exact[i] = (double)(whole[i] = sliced[i] = sinf((float)i));
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        const job_stride stride = {.round = round, .learning_rate = 0.01};
        float *both[2] = {moments, moments + N};
        for (uint32_t i = 0; i < N; i++)
            mean[i] = mean_of(round, i);
        rule->apply(whole, both, whole, mean, N, &stride);
        for (uint32_t at = 0; at < N; at += SLICE) {
            const uint32_t n = N - at < SLICE ? N - at : SLICE;
            float *of[2] = {parts + at, parts + N + at};
            float copy[SLICE];
            memcpy(copy, mean + at, n * sizeof *copy);
            rule->apply(copy, of, sliced + at, copy, n, &stride);
            memcpy(sliced + at, copy, n * sizeof *copy);
        }
        for (uint32_t i = 0; i < N; i++) { /* the paper's lines, in double */
            const double d = (double)mean[i];
            first[i] = 0.9 * first[i] + 0.1 * d;
            second[i] = 0.99 * second[i] + 0.01 * d * d;
            const double m = first[i] / (1 - pow(0.9, round)), v = second[i] / (1 - pow(0.99, round));
            exact[i] += 0.01 * m / (sqrt(v) + 1e-6);
        }
    }
    assert_memory_equal(whole, sliced, sizeof whole);
    assert_memory_equal(moments, parts, sizeof moments);
    for (uint32_t i = 0; i < N; i++) {
        assert_true(fabs((double)whole[i] - exact[i]) < ROUNDS * 2e-7);
        /* No value goes further than the learning rate in a round, by much; one far below the adaptivity stays. */
        const double moved = fabs((double)whole[i] - (double)sinf((float)i));
        assert_true(moved < 0.011 * ROUNDS);
        if (i % 8 == 0) assert_true(moved < 0.004 * ROUNDS);
    }
}

static void test_fedavg(void **state) {
    (void)state;
    const float global[] = {1, 2, 3}, mean[] = {0.5f, -2, 0};
    float next[3];
    const job_stride stride = {.round = 7, .learning_rate = 0.3};
    const job_aggregate *rule;
    assert_int_equal(job_aggregate_find("fedavg", &rule), MSFL_OK);
    assert_int_equal(rule->n_moments, 0);
    rule->apply(next, NULL, global, mean, 3, &stride);
    assert_true(next[0] == 1.5f && next[1] == 0 && next[2] == 3);
    assert_int_equal(job_aggregate_find("fedprox", &rule), MSFL_ERR_USAGE);
    assert_non_null(strstr(msfl_error_message(), "fedavg, fedadam"));
}

static void test_statistics(void **state) {
    (void)state;
    const uint64_t counts[] = {3, 4};
    const bool all[] = {true, true}, some[] = {true, false};
    const job_aggregate *adam, *avg;
    job_sent sent;
    assert_int_equal(job_aggregate_find("fedadam", &adam), MSFL_OK);
    assert_int_equal(job_aggregate_find("fedavg", &avg), MSFL_OK);
    assert_int_equal(job_sent_all(2, counts, all, &sent), MSFL_OK);
    assert_int_equal(job_aggregate_check(adam, &sent), MSFL_OK);
    job_sent_clear(&sent);
    assert_int_equal(job_sent_all(2, counts, some, &sent), MSFL_OK);
    assert_int_equal(job_aggregate_check(adam, &sent), MSFL_ERR_USAGE);
    assert_int_equal(job_aggregate_check(avg, &sent), MSFL_OK);
    job_sent_clear(&sent);
}

static void change(const char *path, long at, int by) {
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    const int c = fgetc(f);
    assert_int_equal(fseek(f, at, at < 0 ? SEEK_END : SEEK_SET), 0);
    assert_true(fputc(c ^ by, f) != EOF);
    assert_int_equal(fclose(f), 0);
}

static void test_moments(void **state) {
    (void)state;
    char path[] = "/tmp/msfl-moments-XXXXXX";
    const int fd = mkstemp(path);
    static float moments[2 * N];
    float *back = NULL;
    uint8_t hash[MSFL_HASH_BYTES] = {1}, other[MSFL_HASH_BYTES] = {2};
    const job_aggregate *rule;
    assert_true(fd >= 0);
    close(fd);
    for (int i = 0; i < 2 * N; i++)
        moments[i] = sinf((float)i);
    assert_int_equal(job_aggregate_find("fedadam", &rule), MSFL_OK);
    assert_int_equal(job_moments_load(&back, NULL, rule, 2, hash, N), MSFL_OK);
    for (int i = 0; i < 2 * N; i++)
        assert_true(back[i] == 0);
    msfl_free(back);
    assert_int_equal(job_moments_save(path, rule, 2, hash, moments, N), MSFL_OK);
    assert_int_equal(job_moments_load(&back, path, rule, 2, hash, N), MSFL_OK);
    assert_memory_equal(back, moments, sizeof moments);
    msfl_free(back);
    assert_int_equal(job_moments_load(&back, path, rule, 2, other, N), MSFL_ERR_MISMATCH);
    assert_null(back);
    assert_int_equal(job_moments_load(&back, path, rule, 2, hash, N - 1), MSFL_ERR_LIMIT);
    assert_int_equal(job_moments_load(&back, path, rule, 2, hash, N + 1), MSFL_ERR_FORMAT);
    static const long places[] = {0, 9, 40, 80, 4000, -1};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        change(path, places[i], 0x10);
        assert_int_equal(job_moments_load(&back, path, rule, 2, hash, N), MSFL_ERR_FORMAT);
        assert_null(back);
        change(path, places[i], 0x10);
    }
    assert_int_equal(truncate(path, 100), 0);
    assert_int_equal(job_moments_load(&back, path, rule, 2, hash, N), MSFL_ERR_FORMAT);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(job_moments_load(&back, path, rule, 2, hash, N), MSFL_ERR_MISSING);
    /* Carried with the mean of the last rounds, and without: not taken for each other. */
    assert_int_equal(job_moments_save(path, rule, 1, hash, moments, 2 * N), MSFL_OK);
    assert_int_equal(job_moments_load(&back, path, rule, 2, hash, N), MSFL_ERR_MISMATCH);
    assert_int_equal(unlink(path), 0);
}

/* Against the plain mean of what the rule alone would have made, in slices as in one piece; the rounds before are as
 * without. */
static void test_average(void **state) {
    (void)state;
    static float mean[N], next[N], global[N], alone[N], moments[2 * N], carried[3 * N], parts[3 * N], slices[N];
    static double sum[N];
    enum { LAST = 7 };
    static const char *const names[] = {"fedavg", "fedadam"};
    for (int k = 0; k < 2; k++) {
        const job_aggregate *rule;
        const job_rule course = {.n_rounds = ROUNDS, .n_averaged = LAST, .learning_rate = 0.5};
        assert_int_equal(job_aggregate_find(names[k], &rule), MSFL_OK);
        assert_int_equal(job_carried(rule, &course), rule->n_moments + 1);
        memset(moments, 0, sizeof moments);
        memset(carried, 0, sizeof carried);
        memset(parts, 0, sizeof parts);
        memset(sum, 0, sizeof sum);
        for (uint32_t i = 0; i < N; i++)
            global[i] = alone[i] = slices[i] = sinf((float)i);
        for (uint32_t round = 1; round <= ROUNDS; round++) {
            const job_stride stride = job_stride_of(&course, 0.01, round, 0.25);
            assert_true(fabs(stride.learning_rate - 0.005) < 1e-15);
            assert_int_equal(stride.n_averaged, round + LAST > ROUNDS ? round + LAST - ROUNDS : 0);
            assert_int_equal(stride.closes, round == ROUNDS);
            float *both[2] = {moments, moments + N};
            for (uint32_t i = 0; i < N; i++)
                mean[i] = mean_of(round, i);
            job_step(rule, next, carried, global, mean, 0, N, N, &stride);
            for (uint32_t at = 0; at < N; at += SLICE) {
                const uint32_t n = N - at < SLICE ? N - at : SLICE;
                job_step(rule, slices + at, parts, slices + at, mean + at, at, n, N, &stride);
            }
            rule->apply(alone, both, alone, mean, N, &stride);
            for (uint32_t i = 0; i < N && stride.n_averaged > 0; i++)
                sum[i] += (double)alone[i];
            if (!stride.closes) assert_memory_equal(next, alone, sizeof next);
            memcpy(global, next, sizeof global);
        }
        assert_memory_equal(next, slices, sizeof next);
        assert_memory_equal(carried, parts, (rule->n_moments + 1) * N * sizeof(float));
        for (uint32_t i = 0; i < N; i++)
            assert_true(fabs((double)next[i] - sum[i] / LAST) <= LAST * 0x1p-24 * fmax(1, fabs(sum[i] / LAST)));
    }
    /* All rounds, one round, none. */
    const job_aggregate *rule;
    assert_int_equal(job_aggregate_find("fedavg", &rule), MSFL_OK);
    job_rule course = {.n_rounds = 3, .n_averaged = 3, .learning_rate = 1};
    assert_int_equal(job_stride_of(&course, 1, 1, 1).n_averaged, 1);
    course.n_averaged = 1;
    assert_int_equal(job_stride_of(&course, 1, 2, 1).n_averaged, 0);
    assert_true(job_stride_of(&course, 1, 3, 1).closes);
    course.n_averaged = 0;
    assert_int_equal(job_carried(rule, &course), 0);
    assert_false(job_stride_of(&course, 1, 3, 1).closes);
}

/* Which model is kept, and what stays as it is: patience, plateaus, the lowest loss. */
static void test_kept(void **state) {
    (void)state;
    static const double losses[] = {0.9, 0.5, 0.7, 0.6, (double)NAN, 0.4, 0.8};
    static const uint32_t best[] = {1, 2, 2, 2, 5, 6, 6};
    const job_rule by_loss = {.n_rounds = 7, .learning_rate = 1, .plateau_patience = 1, .plateau_factor = 0.5};
    job_rule last = by_loss, averaged = by_loss;
    job_course a, b, c;
    last.keeps_last = true;
    averaged.n_averaged = 2;
    job_course_init(&a, &by_loss);
    job_course_init(&b, &last);
    job_course_init(&c, &averaged);
    for (uint32_t i = 0; i < 7; i++) {
        assert_int_equal(job_course_take(&a, &by_loss, losses[i]), best[i] == i + 1);
        assert_true(job_course_take(&b, &last, losses[i]));
        assert_true(job_course_take(&c, &averaged, losses[i]));
        assert_int_equal(a.best_round, best[i]);
        assert_int_equal(b.best_round, i + 1);
        assert_int_equal(c.best_round, i + 1);
        assert_true(a.best_loss == b.best_loss && a.learning_rate == b.learning_rate && a.n_stale == b.n_stale);
    }
    last.patience = 2;
    assert_int_equal(job_rule_check(&last), MSFL_OK);
    job_course_init(&b, &last);
    for (uint32_t i = 0; i < 4; i++)
        (void)job_course_take(&b, &last, losses[i]);
    assert_true(b.stopped && b.best_round == 4);
    assert_int_equal(job_rule_check(&averaged), MSFL_OK);
    averaged.patience = 2;
    assert_int_equal(job_rule_check(&averaged), MSFL_ERR_USAGE);
    averaged.patience = 0;
    averaged.n_averaged = 8;
    assert_int_equal(job_rule_check(&averaged), MSFL_ERR_USAGE);
}

static void test_schedule(void **state) {
    (void)state;
    const job_rule constant = {.n_rounds = 10, .learning_rate = 0.5, .plateau_patience = 2, .plateau_factor = 0.5};
    job_rule linear = constant;
    job_course a, b;
    linear.schedule = JOB_SCHEDULE_LINEAR;
    job_course_init(&a, &constant);
    job_course_init(&b, &linear);
    for (int round = 1; round <= 10; round++) {
        assert_true(fabs(b.learning_rate - a.learning_rate * (11 - round) / 10) < 1e-15);
        const double loss = round < 5 ? 1.0 / round : 1; /* better, then two plateaus and a half */
        (void)job_course_take(&a, &constant, loss);
        (void)job_course_take(&b, &linear, loss);
    }
    assert_true(a.learning_rate == 0.5 * 0.125);
    assert_true(b.learning_rate > 0);
}

static void test_offsets(void **state) {
    (void)state;
    const uint32_t counts[] = {97, 0, 2};
    float offsets[3];
    job_logit_offsets(counts, 3, 1, offsets);
    const double wanted[] = {98.0 / 102, 1.0 / 102, 3.0 / 102};
    double sum = 0;
    for (int c = 0; c < 3; c++) {
        assert_true(fabs((double)offsets[c] - log(wanted[c])) < 1e-6);
        sum += exp((double)offsets[c]);
    }
    assert_true(fabs(sum - 1) < 1e-6);
    job_logit_offsets(counts, 3, 0.5, offsets);
    assert_true(fabs((double)offsets[1] - 0.5 * log(1.0 / 102)) < 1e-6);
}

#define HEAD "format: medsecurefl-job\nversion: 1\n"
#define JOB  HEAD "name: chest\nsamples_max: 4096\ninput: {height: 32, width: 32, channels: 1}\nclasses: [a, b]\n"

static msfl_status parse(const char *text, job_spec *spec) {
    return job_spec_parse("job", text, strlen(text), true, spec);
}

static void test_description(void **state) {
    (void)state;
    job_spec spec, again;
    char *text = NULL;
    if (parse(JOB "model: cnn-small\n", &spec) != MSFL_OK) fail_msg("%s", msfl_error_message());
    assert_int_equal(job_spec_text(&spec, &text), MSFL_OK);
    static const char *const words[] = {"local_steps",          "logit_adjustment", "schedule",
                                        "server_learning_rate", "average_rounds",   "keep"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        assert_null(strstr(text, words[i]));
    msfl_free(text);
    job_spec_clear(&spec);
    assert_int_equal(parse(JOB "model: cnn-small\naggregate: fedadam\nserver_learning_rate: 0.02\nlearning_rate: 0.1\n"
                               "local_steps: 4\nlogit_adjustment: 1\nschedule: linear\naverage_rounds: 3\nkeep: last\n",
                           &spec),
                     MSFL_OK);
    assert_int_equal(job_spec_text(&spec, &text), MSFL_OK);
    if (parse(text, &again) != MSFL_OK) fail_msg("%s: %s", msfl_error_message(), text);
    assert_string_equal(again.aggregate, "fedadam");
    assert_true(again.server_learning_rate == 0.02 && again.train.n_steps == 4 && again.logit_adjustment == 1);
    assert_int_equal(again.rule.schedule, JOB_SCHEDULE_LINEAR);
    assert_true(again.rule.n_averaged == 3 && again.rule.keeps_last);
    const job_stride stride = job_spec_stride(&again, 6, again.rule.learning_rate / 2);
    assert_int_equal(stride.round, 6);
    assert_int_equal(stride.n_averaged, 1);
    assert_true(fabs(stride.learning_rate - 0.01) < 1e-12);
    msfl_free(text);
    job_spec_clear(&spec);
    job_spec_clear(&again);
    static const struct {
        const char *text, *says;
    } bad[] = {
        {JOB "model: cnn-small\nlocal_steps: 4\nlocal_epochs: 2\n", "local_steps"},
        {JOB "model: cnn-small\nlogit_adjustment: 11\n", "logit_adjustment"},
        {JOB "model: cnn-small\nschedule: cosine\n", "schedule"},
        {JOB "model: cnn-small\nkeep: first\n", "keep"},
        {JOB "model: cnn-small\nrounds: 4\naverage_rounds: 5\n", "average_rounds"},
        {JOB "model: cnn-small\naverage_rounds: 2\npatience: 3\n", "patience"},
        {JOB "model: cnn-small\naverage_rounds: 2\nnorms: local\n", "norms"},
        {JOB "model: cnn-small\naggregate: fedadam\nserver_learning_rate: 0\n", "server_learning_rate"},
        {HEAD "name: a\nsamples_max: 9\naggregate: fedadam\ntensors: [{name: m, shape: [3], statistic: true}]\n",
         "'m'"},
        {HEAD "name: a\nsamples_max: 9\nclasses: [a, b]\nmodel: unet2d\ninput: {height: 32, width: 32}\n"
              "logit_adjustment: 1\n",
         "logit_adjustment"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_not_equal(parse(bad[i].text, &spec), MSFL_OK);
        assert_non_null(strstr(msfl_error_message(), bad[i].says));
        job_spec_clear(&spec);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fedavg),   cmocka_unit_test(test_fedadam), cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_moments),  cmocka_unit_test(test_average), cmocka_unit_test(test_kept),
        cmocka_unit_test(test_schedule), cmocka_unit_test(test_offsets), cmocka_unit_test(test_description)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
