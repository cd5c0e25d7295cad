/* The course as a hospital keeps it that opens sums itself: against a twin, across restarts, from damaged bytes, and
 * without memory. */
#include "base/error.h"
#include "base/mem.h"
#include "client/sealed.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ok(call)                                                                                                       \
    do {                                                                                                               \
        msfl_status ok_status = (call);                                                                                \
        if (ok_status != MSFL_OK) fail_msg("%s: %s (%s)", #call, msfl_error_message(), msfl_status_name(ok_status));   \
    } while (0)

typedef struct scene {
    char folder[64];
    client_hub hub;
    client_run run;
    client_part_state p;
    struct client_sealed sealed;
} scene;

static void make(scene *s, const char *more) {
    char text[600], path[80];
    *s = (scene){0};
    snprintf(text, sizeof text,
             "format: medsecurefl-job\nversion: 1\nname: t\nsamples_max: 64\nmodel: cnn-small\nclasses: [a, b]\n"
             "input: {height: 16, width: 16, channels: 1}\ndelivery: clients\n%s",
             more);
    snprintf(s->folder, sizeof s->folder, "/tmp/msfl-sealed-XXXXXX");
    assert_non_null(mkdtemp(s->folder));
    snprintf(path, sizeof path, "%s/client.db", s->folder);
    ok(store_open(path, &s->hub.store));
    ok(job_spec_parse("job", text, strlen(text), true, &s->run.spec));
    ok(job_shape_new(&s->run.spec, &s->run.shape));
    s->run.hub = &s->hub;
    snprintf(s->run.id, sizeof s->run.id, "t-00000000");
    s->p.run = &s->run;
    s->p.sealed = &s->sealed;
    job_course_init(&s->sealed.state.course, &s->run.spec.rule);
}

static void clear(scene *s) {
    char command[128];
    sealed_state_clear(&s->sealed.state);
    store_close(s->hub.store);
    job_shape_free(s->run.shape);
    job_spec_clear(&s->run.spec);
    snprintf(command, sizeof command, "rm -rf '%s'", s->folder);
    assert_int_equal(system(command), 0);
}

static sealed_opened update_of(uint64_t number, uint8_t mark) {
    sealed_opened o = {.number = number, .kind = JOB_UPDATE, .cohort = 3, .learning_rate = 0.5};
    o.counters[JOB_SAMPLES] = 30;
    o.counters[JOB_SEEN] = 30;
    o.counters[JOB_CORRECT] = 15;
    o.counters[JOB_LOSS] = 30 * 512;
    memset(o.hash, mark, sizeof o.hash);
    return o;
}

static sealed_opened figures_of(uint64_t number, job_kind kind, double loss) {
    sealed_opened o = {.number = number, .kind = kind, .cohort = 3};
    o.counters[JOB_EVAL_CLIENTS] = 3;
    o.counters[JOB_EVAL_N] = 8;
    o.counters[JOB_EVAL_CORRECT] = 4;
    o.counters[JOB_EVAL_LOSS] = (uint64_t)llround(loss * 8 * JOB_LOSS_ONE);
    return o;
}

static void test_course(void **state) {
    (void)state;
    static const double losses[] = {1.0, 0.5, NAN, 0.75, 0.875, 0.25};
    scene s;
    make(&s, "rounds: 6\npatience: 3\nplateau_patience: 1\n");
    job_course twin;
    job_course_init(&twin, &s.run.spec.rule);
    sealed_state *now = &s.sealed.state;
    uint64_t number = 0;
    uint32_t best = 0;
    for (uint32_t r = 1; r <= 6; r++) {
        uint8_t name[MSFL_HASH_BYTES];
        memset(name, (int)(100 + r), sizeof name);
        assert_int_equal(job_course_wants_more(&now->course, &s.run.spec.rule), true);
        sealed_opened o = update_of(++number, (uint8_t)r);
        ok(sealed_apply(s.run.shape, now, &o, name));
        assert_true(now->awaits);
        assert_int_equal(now->newest, r);
        assert_int_equal(now->newest_name[0], 100 + r);
        number++; /* nobody could tell: the round of figures was given up, and the next kind says so */
        if (!isnan(losses[r - 1])) {
            o = figures_of(number, JOB_EVALUATE, losses[r - 1]);
            ok(sealed_apply(s.run.shape, now, &o, NULL));
            assert_false(now->awaits);
        }
        if (job_course_take(&twin, &s.run.spec.rule, losses[r - 1])) best = r;
        if (!isnan(losses[r - 1])) {
            assert_memory_equal(&now->course, &twin, sizeof twin);
            assert_int_equal(now->n_rounds, r);
            assert_int_equal(now->best_name[0], 100 + best);
            assert_int_equal(now->best_hash[0], best);
        }
    }
    assert_int_equal(now->course.best_round, 6);
    assert_true(isnan(now->rounds[2].validation.loss));
    assert_float_equal(now->rounds[1].validation.loss, 0.5, 0);
    assert_float_equal(now->rounds[1].train_loss, 0.5, 0);
    sealed_opened o = figures_of(number + 1, JOB_TEST, 0.5);
    ok(sealed_apply(s.run.shape, now, &o, NULL));
    assert_true(now->tested);
    assert_int_equal(now->test.n, 8);
    clear(&s);
}

/* The last round's figures are missing, and the test comes. */
static void test_passed_over(void **state) {
    (void)state;
    scene s;
    make(&s, "rounds: 1\n");
    uint8_t name[MSFL_HASH_BYTES] = {9};
    sealed_opened o = update_of(1, 1);
    ok(sealed_apply(s.run.shape, &s.sealed.state, &o, name));
    ok(sealed_pass_over(s.run.shape, &s.sealed.state, JOB_EVALUATE));
    assert_true(s.sealed.state.awaits);
    ok(sealed_pass_over(s.run.shape, &s.sealed.state, JOB_TEST));
    assert_false(s.sealed.state.awaits);
    assert_int_equal(s.sealed.state.best_name[0], 9);
    assert_int_equal(s.sealed.state.course.best_round, 1);
    clear(&s);
}

static void fill(scene *s) {
    uint8_t name[MSFL_HASH_BYTES] = {7};
    sealed_opened o = update_of(1, 1);
    memset(o.task, 3, sizeof o.task);
    ok(sealed_apply(s->run.shape, &s->sealed.state, &o, name));
    o = figures_of(2, JOB_EVALUATE, 0.5);
    memset(o.task, 3, sizeof o.task);
    ok(sealed_apply(s->run.shape, &s->sealed.state, &o, NULL));
    s->sealed.opened = o;
}

static void test_kept(void **state) {
    (void)state;
    scene s;
    make(&s, "rounds: 4\n");
    assert_false(client_sealed_is_behind(s.hub.store, s.run.id));
    fill(&s);
    ok(sealed_keep_state(&s.p, &s.sealed.state));
    ok(sealed_keep_opened(&s.p, &s.sealed.opened));
    assert_true(client_sealed_is_behind(s.hub.store, s.run.id));
    const sealed_opened before = s.sealed.opened;
    const sealed_state kept = s.sealed.state;
    const sealed_round round = kept.rounds[0];
    s.sealed = (struct client_sealed){0};
    ok(sealed_load(&s.p));
    assert_memory_equal(&s.sealed.opened.counters, &before.counters, sizeof before.counters);
    assert_int_equal(s.sealed.opened.number, 2);
    assert_memory_equal(&s.sealed.state.course, &kept.course, sizeof kept.course);
    assert_int_equal(s.sealed.state.n_rounds, 1);
    assert_float_equal(s.sealed.state.rounds[0].validation.loss, round.validation.loss, 0);
    assert_memory_equal(s.sealed.state.best_name, kept.best_name, MSFL_HASH_BYTES);
    msfl_free(kept.rounds);
    client_sealed_end(&s.p);
    assert_false(client_sealed_is_behind(s.hub.store, s.run.id));
    clear(&s);
}

/* Cut anywhere, or with a byte changed: an error, or a state within its bounds. */
static void test_damaged(void **state) {
    (void)state;
    static const char *const keys[] = {"sealed/t-00000000", "sealed/t-00000000/opened"};
    scene s;
    make(&s, "rounds: 4\n");
    fill(&s);
    ok(sealed_keep_state(&s.p, &s.sealed.state));
    ok(sealed_keep_opened(&s.p, &s.sealed.opened));
    for (int k = 0; k < 2; k++) {
        uint8_t *bytes;
        size_t length;
        ok(store_get(s.hub.store, keys[k], &bytes, &length));
        for (size_t cut = 1; cut < length; cut += 7) {
            ok(store_put(s.hub.store, keys[k], bytes, cut));
            sealed_state_clear(&s.sealed.state);
            assert_int_equal(sealed_load(&s.p), MSFL_ERR_FORMAT);
        }
        for (size_t i = 0; i < length; i += 5) {
            bytes[i] ^= 0xff;
            ok(store_put(s.hub.store, keys[k], bytes, length));
            bytes[i] ^= 0xff;
            sealed_state_clear(&s.sealed.state);
            const msfl_status status = sealed_load(&s.p);
            assert_true(status == MSFL_OK || status == MSFL_ERR_FORMAT);
            assert_true(s.sealed.state.n_rounds <= 4 && (unsigned)s.sealed.opened.kind <= JOB_TEST);
        }
        ok(store_put(s.hub.store, keys[k], bytes, length));
        msfl_free(bytes);
    }
    clear(&s);
}

static void test_no_memory(void **state) {
    (void)state;
    scene s;
    make(&s, "rounds: 4\n");
    fill(&s);
    for (long k = 1;; k++) {
        sealed_state copy = {0};
        const sealed_opened o = update_of(3, 2);
        msfl_alloc_fail_at(k);
        msfl_status status = sealed_copy(&copy, &s.sealed.state);
        if (status == MSFL_OK) status = sealed_apply(s.run.shape, &copy, &o, NULL);
        if (status == MSFL_OK) status = sealed_keep_state(&s.p, &copy);
        msfl_alloc_fail_at(0);
        sealed_state_clear(&copy);
        if (status == MSFL_OK) break;
        assert_int_equal(status, MSFL_ERR_MEMORY);
        assert_true(k < 100);
    }
    assert_int_equal(s.sealed.state.newest, 1);
    clear(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_course), cmocka_unit_test(test_passed_over),
                                       cmocka_unit_test(test_kept), cmocka_unit_test(test_damaged),
                                       cmocka_unit_test(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
