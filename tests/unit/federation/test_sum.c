/* Aggregation as the simulator uses it: exact, in any order, and closed to what must not enter. */
#include "base/mem.h"
#include "base/seeded.h"
#include "base/sodium.h"
#include "base/threads.h"
#include "federation/scoring.h"
#include "federation/sum.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { VALUES = 5000, CLIENTS = 5 };

typedef struct fixture {
    fed_channel channel;
    fed_sum_config config;
    msfl_update_range ranges[2];
    uint8_t task[MSFL_HASH_BYTES], model[MSFL_HASH_BYTES];
    float values[CLIENTS][VALUES];
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    if (f == NULL) return 1;
    f->ranges[0] = (msfl_update_range){VALUES - 100, 8};
    f->ranges[1] = (msfl_update_range){100, 0.5f};
    f->config = (fed_sum_config){.value_bits = 24,
                                 .security_bits = 128,
                                 .n_clients = CLIENTS,
                                 .min_cohort = 3,
                                 .n_counters = 2,
                                 .n_samples_max = 1024,
                                 .ranges = f->ranges,
                                 .n_ranges = 2,
                                 .task = f->task,
                                 .model = f->model,
                                 .number = 1};
    const msfl_scheme *packed;
    if (msfl_scheme_find("packed", &packed) != MSFL_OK) return 1;
    if (fed_channel_init(&f->channel, packed, &f->config) != MSFL_OK) return 1;
    msfl_seeded g;
    msfl_seeded_init(&g, 1, "sum test", 0, 0, 0);
    for (int k = 0; k < CLIENTS; k++) {
        for (int i = 0; i < VALUES; i++)
            f->values[k][i] = (float)(0.1 * msfl_seeded_normal(&g));
    }
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    fed_channel_clear(&f->channel);
    free(f);
    return 0;
}

static msfl_status submit(fixture *f, fed_sum *sum, uint32_t client) {
    const uint64_t counter = 10 * client + 1;
    const msfl_update_input input = {
        .values = f->values[client], .n_samples = 100 + client, .counters = &counter, .rounding_seed = client};
    return fed_sum_submit(sum, client, &input);
}

/* Weighted mean in long double, written down without looking at the code under test. */
static long double reference(const fixture *f, const uint32_t *clients, int n, int i) {
    long double sum = 0, weight = 0;
    for (int k = 0; k < n; k++) {
        sum += (long double)(100 + clients[k]) * f->values[clients[k]][i];
        weight += 100 + clients[k];
    }
    return sum / weight;
}

static void mean_is_the_weighted_mean(void **state) {
    fixture *f = *state;
    const uint32_t order[] = {4, 0, 2, 3};
    for (int plain = 0; plain < 2; plain++) {
        fed_sum *sum;
        float mean[VALUES];
        uint64_t counters[2];
        fed_sum_report r;
        f->config.channel = plain ? NULL : &f->channel;
        f->config.number++;
        assert_int_equal(fed_sum_new(&f->config, &sum), MSFL_OK);
        for (int k = 0; k < 4; k++)
            assert_int_equal(submit(f, sum, order[k]), MSFL_OK);
        assert_int_equal(fed_sum_finish(sum, mean, counters, &r), MSFL_OK);
        assert_int_equal(r.cohort, 4);
        assert_int_equal(counters[0], 409);
        assert_int_equal(counters[1], 94);
        double bound = plain ? 1e-7 : r.error_bound;
        for (int i = 0; i < VALUES; i++) {
            assert_true(fabsl(mean[i] - reference(f, order, 4, i)) <= bound);
        }
        if (!plain) {
            assert_true(r.exact);
            assert_true(r.max_error > 0 && r.max_error <= r.error_bound);
            assert_true(r.error_bound < 1e-4);
        }
        fed_sum_free(sum);
    }
}

static void order_does_not_matter(void **state) {
    fixture *f = *state;
    static const uint32_t orders[2][3] = {{0, 1, 2}, {2, 0, 1}};
    for (int plain = 0; plain < 2; plain++) {
        float mean[2][VALUES];
        for (int o = 0; o < 2; o++) {
            fed_sum *sum;
            uint64_t counters[2];
            fed_sum_report r;
            f->config.channel = plain ? NULL : &f->channel;
            f->config.number++;
            assert_int_equal(fed_sum_new(&f->config, &sum), MSFL_OK);
            for (int k = 0; k < 3; k++)
                assert_int_equal(submit(f, sum, orders[o][k]), MSFL_OK);
            assert_int_equal(fed_sum_finish(sum, mean[o], counters, &r), MSFL_OK);
            fed_sum_free(sum);
        }
        assert_memory_equal(mean[0], mean[1], sizeof mean[0]);
    }
}

static void what_is_not_finite_never_enters(void **state) {
    fixture *f = *state;
    const float bad[] = {NAN, INFINITY, -INFINITY, 1e30f};
    for (int plain = 0; plain < 2; plain++) {
        fed_sum *sum;
        float mean[VALUES];
        uint64_t counters[2];
        fed_sum_report r;
        const uint32_t rest[] = {0, 1, 3};
        f->config.channel = plain ? NULL : &f->channel;
        f->config.number++;
        assert_int_equal(fed_sum_new(&f->config, &sum), MSFL_OK);
        for (int b = 0; b < 4; b++) {
            float kept = f->values[2][4321];
            f->values[2][4321] = bad[b];
            assert_int_equal(submit(f, sum, 2), MSFL_ERR_NUMERIC);
            f->values[2][4321] = kept;
        }
        for (int k = 0; k < 3; k++)
            assert_int_equal(submit(f, sum, rest[k]), MSFL_OK);
        assert_int_equal(fed_sum_finish(sum, mean, counters, &r), MSFL_OK);
        assert_int_equal(r.cohort, 3);
        for (int i = 0; i < VALUES; i++)
            assert_true(fabsl(mean[i] - reference(f, rest, 3, i)) < 1e-4);
        fed_sum_free(sum);
    }
}

static void small_cohorts_stay_closed(void **state) {
    fixture *f = *state;
    fed_sum *sum;
    float mean[VALUES];
    uint64_t counters[2];
    fed_sum_report r;
    for (int plain = 0; plain < 2; plain++) {
        f->config.channel = plain ? NULL : &f->channel;
        f->config.number++;
        assert_int_equal(fed_sum_new(&f->config, &sum), MSFL_OK);
        assert_int_equal(submit(f, sum, 0), MSFL_OK);
        assert_int_equal(submit(f, sum, 1), MSFL_OK);
        assert_int_equal(fed_sum_finish(sum, mean, counters, &r), MSFL_ERR_POLICY);
        assert_int_equal(submit(f, sum, 1), MSFL_ERR_EXISTS);
        fed_sum_free(sum);
    }
}

static msfl_status submit_task(void *ctx, size_t i) {
    void **both = ctx;
    return submit(both[0], both[1], (uint32_t)i);
}

static void threads_may_submit_at_once(void **state) {
    fixture *f = *state;
    f->config.channel = &f->channel;
    msfl_pool *pool;
    fed_sum *sum;
    float mean[VALUES];
    uint64_t counters[2];
    fed_sum_report r;
    f->config.number++;
    assert_int_equal(msfl_pool_new(4, &pool), MSFL_OK);
    assert_int_equal(fed_sum_new(&f->config, &sum), MSFL_OK);
    void *both[2] = {f, sum};
    assert_int_equal(msfl_pool_run(pool, CLIENTS, submit_task, both), MSFL_OK);
    assert_int_equal(fed_sum_finish(sum, mean, counters, &r), MSFL_OK);
    assert_true(r.exact);
    assert_int_equal(r.cohort, CLIENTS);
    fed_sum_free(sum);
    msfl_pool_free(pool);
}

static void parameters_of_another_layout_are_refused(void **state) {
    fixture *f = *state;
    f->config.channel = &f->channel;
    fed_sum_config other = f->config;
    fed_sum *sum;
    other.n_counters = 3;
    assert_int_equal(fed_sum_new(&other, &sum), MSFL_ERR_MISMATCH);
    assert_null(sum);
}

static void every_allocation_may_fail(void **state) {
    fixture *f = *state;
    f->config.channel = &f->channel;
    for (long k = 1; k < 1000; k++) {
        fed_sum *sum = NULL;
        float mean[VALUES];
        uint64_t counters[2];
        fed_sum_report r;
        f->config.number++;
        msfl_alloc_fail_at(k);
        msfl_status status = fed_sum_new(&f->config, &sum);
        for (uint32_t c = 0; c < 3 && status == MSFL_OK; c++)
            status = submit(f, sum, c);
        if (status == MSFL_OK) status = fed_sum_finish(sum, mean, counters, &r);
        msfl_alloc_fail_at(0);
        fed_sum_free(sum);
        if (status == MSFL_OK) {
            assert_true(k > 5);
            return;
        }
        assert_int_equal(status, MSFL_ERR_MEMORY);
    }
    fail_msg("more than 1000 allocations");
}

static void histogram_auc(void **state) {
    (void)state;
    float p[8] = {0.9f, 0.1f, 0.2f, 0.8f, 0.6f, 0.4f, 0.3f, 0.7f};
    uint32_t labels[4] = {0, 1, 0, 1};
    const fed_scores s = {.probabilities = p, .labels = labels, .n = 4, .n_classes = 2};
    uint64_t counters[JOB_EVAL_COUNTERS];
    fed_scores_counters(&s, counters);
    assert_int_equal(counters[JOB_EVAL_N], 4);
    assert_int_equal(counters[JOB_EVAL_CORRECT], 4);
    assert_true(job_counters_auc(counters) == 1.0);
    labels[0] = 1;
    labels[3] = 0;
    fed_scores_counters(&s, counters);
    assert_int_equal(counters[JOB_EVAL_CORRECT], 2);
    /* positives 0.1, 0.8; negatives 0.4, 0.7: two of four pairs are in order */
    assert_true(job_counters_auc(counters) == 0.5);
    labels[1] = labels[0] = 0;
    labels[3] = labels[2] = 0;
    fed_scores_counters(&s, counters);
    assert_true(isnan(job_counters_auc(counters)));
}

int main(void) {
    if (msfl_crypto_init() != MSFL_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mean_is_the_weighted_mean),       cmocka_unit_test(order_does_not_matter),
        cmocka_unit_test(what_is_not_finite_never_enters), cmocka_unit_test(small_cohorts_stay_closed),
        cmocka_unit_test(threads_may_submit_at_once),      cmocka_unit_test(parameters_of_another_layout_are_refused),
        cmocka_unit_test(every_allocation_may_fail),       cmocka_unit_test(histogram_auc),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
