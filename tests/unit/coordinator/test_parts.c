/* The parts that the engine stands on: spool, frames, bundles, a job's state as bytes; with failing memory. */
#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "coordinator/bundle.h"
#include "coordinator/engine_private.h"
#include "coordinator/frames.h"
#include "coordinator/job.h"
#include "coordinator/plain.h"
#include "coordinator/spool.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64];

static int make_root(void **state) {
    (void)state;
    snprintf(root, sizeof root, "%s/msfl-parts-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    return mkdtemp(root) == NULL ? -1 : 0;
}

static int remove_root(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static const char *at(const char *path) {
    static char out[4][256];
    static int next;
    next = (next + 1) % 4;
    snprintf(out[next], sizeof out[next], "%s/%s", root, path);
    return out[next];
}

#define ok(call)                                                                                                       \
    do {                                                                                                               \
        msfl_status ok_status = (call);                                                                                \
        if (ok_status != MSFL_OK) fail_msg("%s: %s", #call, msfl_error_message());                                     \
    } while (0)

/* --- spool --- */

static void test_spool(void **state) {
    (void)state;
    const coord_spool_shape shape = {
        .number = 7, .n_chunks = 3, .chunk_bytes = 100, .last_bytes = 40, .trailer_bytes = 300, .n_clients = 2};
    coord_spool *s;
    uint8_t bytes[300], back[300];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + 1);
    ok(coord_spool_new(at("spool"), &s));
    msfl_spool c = coord_spool_callbacks(s);
    assert_int_equal(c.put(c.self, 7, 0, 0, bytes, 100), MSFL_ERR_USAGE); /* no round yet */
    ok(coord_spool_round(s, &shape));
    assert_int_equal(coord_spool_chunks(s, 0), 0);
    ok(c.put(c.self, 7, 0, 0, bytes, 100));
    assert_int_equal(coord_spool_chunks(s, 0), 1);
    ok(c.put(c.self, 7, 0, 1, bytes + 1, 100));
    ok(c.put(c.self, 7, 0, 2, bytes + 2, 40));
    assert_int_equal(coord_spool_chunks(s, 0), 3);
    ok(c.put(c.self, 7, 0, 3, bytes, 300));
    ok(c.put(c.self, 7, 1, 0, bytes + 5, 100));
    ok(coord_spool_sync(s));
    for (int again = 0; again < 2; again++) {
        ok(c.get(c.self, 7, 0, 1, back, 100));
        assert_memory_equal(back, bytes + 1, 100);
        ok(c.get(c.self, 7, 0, 2, back, 40));
        assert_memory_equal(back, bytes + 2, 40);
        ok(c.get(c.self, 7, 0, 3, back, 300));
        assert_memory_equal(back, bytes, 300);
        ok(c.get(c.self, 7, 1, 0, back, 100));
        assert_memory_equal(back, bytes + 5, 100);
        assert_int_equal(c.get(c.self, 7, 1, 1, back, 100), MSFL_ERR_IO); /* not there yet */
        coord_spool_free(s);
        ok(coord_spool_new(at("spool"), &s));
        ok(coord_spool_round(s, &shape));
        c = coord_spool_callbacks(s);
    }
    /* everything that is not of this round */
    assert_int_equal(c.put(c.self, 8, 0, 0, bytes, 100), MSFL_ERR_USAGE);
    assert_int_equal(c.put(c.self, 7, 2, 0, bytes, 100), MSFL_ERR_USAGE);
    assert_int_equal(c.put(c.self, 7, 0, 4, bytes, 100), MSFL_ERR_USAGE);
    assert_int_equal(c.put(c.self, 7, 0, 0, bytes, 99), MSFL_ERR_USAGE);
    assert_int_equal(c.get(c.self, 7, 0, 2, back, 100), MSFL_ERR_USAGE);
    /* while a machine is fed nothing is written */
    coord_spool_feeding(s, true);
    ok(c.put(c.self, 7, 0, 0, bytes + 9, 100));
    coord_spool_feeding(s, false);
    ok(c.get(c.self, 7, 0, 0, back, 100));
    assert_memory_equal(back, bytes, 100);
    ok(msfl_file_write(at("spool/9-0.upload"), "x", 1));
    ok(msfl_file_write(at("spool/other"), "x", 1));
    coord_spool_drop(s, 7);
    assert_false(msfl_file_exists(at("spool/7-0.upload")));
    assert_false(msfl_file_exists(at("spool/7-1.upload")));
    assert_true(msfl_file_exists(at("spool/9-0.upload")));
    assert_true(msfl_file_exists(at("spool/other")));
    coord_spool_free(s);
}

/* --- frames --- */

typedef struct taken {
    uint32_t n;
    size_t lengths[16];
    uint8_t first[16];
    uint32_t refuse_at;
} taken;

static msfl_status take(void *ctx, const uint8_t *message, size_t length) {
    taken *t = ctx;
    assert_true(t->n < 16);
    t->lengths[t->n] = length;
    t->first[t->n++] = message[0];
    return t->refuse_at == t->n ? msfl_fail(MSFL_ERR_POLICY, "no") : MSFL_OK;
}

static void test_frames(void **state) {
    (void)state;
    msfl_buffer body = {0};
    const size_t lengths[] = {1, 5, 70000, 2};
    for (uint32_t i = 0; i < 4; i++) {
        msfl_put32(&body, (uint32_t)lengths[i]);
        for (size_t k = 0; k < lengths[i]; k++)
            msfl_put8(&body, (uint8_t)(i + 1));
    }
    for (size_t piece = 1; piece < body.length + 5000; piece = piece * 2 + 1) {
        coord_frames f = {0};
        taken t = {0};
        for (size_t from = 0; from < body.length; from += piece) {
            const size_t n = body.length - from < piece ? body.length - from : piece;
            ok(coord_frames_take(&f, body.bytes + from, n, take, &t));
        }
        ok(coord_frames_end(&f));
        assert_int_equal(t.n, 4);
        for (uint32_t i = 0; i < 4; i++) {
            assert_int_equal(t.lengths[i], lengths[i]);
            assert_int_equal(t.first[i], i + 1);
        }
        coord_frames_clear(&f);
    }
    coord_frames f = {0};
    taken t = {.refuse_at = 2};
    assert_int_equal(coord_frames_take(&f, body.bytes, body.length, take, &t), MSFL_ERR_POLICY);
    assert_int_equal(t.n, 2);
    coord_frames_clear(&f);
    ok(coord_frames_take(&f, body.bytes, 7, take, &t));
    assert_int_equal(coord_frames_end(&f), MSFL_ERR_FORMAT);
    coord_frames_clear(&f);
    static const uint8_t empty[4] = {0}, huge[4] = {1, 0, 0, 1};
    assert_int_equal(coord_frames_take(&f, empty, 4, take, &t), MSFL_ERR_FORMAT);
    coord_frames_clear(&f);
    assert_int_equal(coord_frames_take(&f, huge, 4, take, &t), MSFL_ERR_LIMIT);
    assert_null(f.message.bytes);
    coord_frames_clear(&f);
    msfl_buffer_clear(&body);
}

/* --- bundles: read by unzip's twin in tests/e2e/test_federation.py (zipfile) --- */

static void test_bundle(void **state) {
    (void)state;
    char one[COORD_BUNDLE_ETAG], other[COORD_BUNDLE_ETAG];
    uint64_t length, again;
    int fd;
    ok(msfl_folder_make(at("audit/inner")));
    ok(msfl_file_write(at("audit/b"), "second", 6));
    ok(msfl_file_write(at("audit/a"), "123456789", 9));
    ok(msfl_file_write(at("audit/.hidden"), "x", 1));
    ok(coord_bundle(at("audit"), &fd, &length, one));
    uint8_t bytes[512];
    assert_int_equal(pread(fd, bytes, sizeof bytes, 0), (ssize_t)length);
    assert_int_equal(msfl_load32(bytes), 0x04034b50);
    assert_int_equal(msfl_load32(bytes + 14), 0xcbf43926); /* the check value of CRC-32 */
    assert_memory_equal(bytes + 30, "a123456789", 10);
    assert_int_equal(bytes[length - 14], 2); /* entries */
    close(fd);
    ok(coord_bundle(at("audit"), &fd, &again, other));
    close(fd);
    assert_int_equal(length, again);
    assert_string_equal(one, other);
    ok(msfl_file_write(at("audit/b"), "sEcond", 6));
    ok(coord_bundle(at("audit"), &fd, &again, other));
    close(fd);
    assert_string_not_equal(one, other);
    assert_int_not_equal(coord_bundle(at("nowhere"), &fd, &again, other), MSFL_OK);
    assert_int_equal(fd, -1);
}

/* --- a job's state --- */

static const char text[] =
    "{\"format\":\"medsecurefl-job\",\"version\":1,\"name\":\"tiny\",\"tensors\":[{\"name\":\"w\","
    "\"shape\":[4]}],\"rounds\":3,\"samples_max\":64}";

static const char pixels[] =
    "{\"format\":\"medsecurefl-job\",\"version\":1,\"name\":\"tiny\",\"model\":\"unet2d\",\"samples_max\":64,"
    "\"input\":{\"height\":16,\"width\":16,\"channels\":1},\"classes\":[\"none\",\"a\",\"b\"],\"rounds\":3}";

static void keeps_state(const char *description, uint32_t n_structures) {
    coord_job *j, *k;
    msfl_buffer b = {0}, c = {0};
    ok(coord_job_new(description, strlen(description), root, &j));
    j->state = COORD_RUNNING;
    j->number = 12;
    j->open = true;
    j->stage = JOB_EVALUATE;
    j->clip[0] = 0.25f;
    j->current.cohort = 3;
    assert_int_equal(j->shape->n_structures, n_structures);
    j->current.validation = j->test.scores = job_scores_none();
    if (n_structures > 0) j->current.validation.dice[n_structures - 1] = j->test.scores.dice[0] = 0.75;
    for (uint32_t i = 0; i < COORD_ATTEMPTS_KEPT + 5; i++) {
        j->number = i;
        coord_job_attempt(j, "too few", 100 + i);
    }
    assert_int_equal(j->n_attempts, COORD_ATTEMPTS_KEPT);
    assert_int_equal(j->attempts[0].number, 5);
    coord_job_put(j, &b);
    ok(b.status);
    ok(coord_job_new(description, strlen(description), root, &k));
    ok(coord_job_get(k, b.bytes, b.length));
    if (n_structures > 0) assert_true(k->current.validation.dice[n_structures - 1] == 0.75);
    if (n_structures > 0) assert_true(k->test.scores.dice[0] == 0.75 && isnan(k->test.scores.dice[1]));
    coord_job_put(k, &c);
    assert_int_equal(b.length, c.length);
    assert_memory_equal(b.bytes, c.bytes, b.length);
    /* cut off anywhere, or longer: none */
    for (size_t n = 0; n < b.length; n += 3)
        assert_int_equal(coord_job_get(k, b.bytes, n), MSFL_ERR_FORMAT);
    msfl_put8(&b, 0);
    assert_int_equal(coord_job_get(k, b.bytes, b.length), MSFL_ERR_FORMAT);
    coord_job_free(j);
    coord_job_free(k);
    msfl_buffer_clear(&b);
    msfl_buffer_clear(&c);
}

static void test_state(void **state) {
    (void)state;
    keeps_state(text, 0);
    keeps_state(pixels, 2);
}

static void test_weights(void **state) {
    (void)state;
    coord_job *j;
    const float weights[4] = {1, -2, 3.5f, 0};
    const float *mapped;
    ok(coord_job_new(text, strlen(text), root, &j));
    assert_int_equal(coord_job_map(j, 0, &mapped), MSFL_ERR_MISSING);
    for (uint32_t i = 0; i <= 3; i++)
        ok(coord_job_save(j, i, weights));
    ok(coord_job_map(j, 2, &mapped));
    assert_memory_equal(mapped, weights, sizeof weights);
    coord_job_unmap(j, mapped);
    j->newest = 3;
    j->course.best_round = 0;
    coord_job_tidy(j);
    assert_int_equal(coord_job_map(j, 1, &mapped), MSFL_ERR_MISSING);
    for (uint32_t i = 2; i <= 3; i++) {
        ok(coord_job_map(j, i, &mapped));
        coord_job_unmap(j, mapped);
    }
    char *path = coord_job_model_path(j, 3);
    ok(msfl_file_write(path, weights, 12));
    assert_int_equal(coord_job_map(j, 3, &mapped), MSFL_ERR_FORMAT);
    msfl_free(path);
    coord_job_free(j);
}

/* Whatever allocation fails, nothing leaks and nothing is half made (the address sanitizer looks on). */
static void test_memory(void **state) {
    (void)state;
    bool failed = true;
    for (long k = 1; failed && k < 500; k++) {
        coord_job *j = NULL;
        coord_spool *s = NULL;
        msfl_buffer b = {0};
        char etag[COORD_BUNDLE_ETAG];
        uint64_t length;
        int fd = -1;
        const coord_spool_shape shape = {
            .number = 1, .n_chunks = 1, .chunk_bytes = 4, .last_bytes = 4, .trailer_bytes = 4, .n_clients = 2};
        ok(msfl_folder_make(at("m")));
        ok(msfl_file_write(at("m/a"), "x", 1));
        msfl_alloc_fail_at(k);
        msfl_status status = coord_job_new(text, strlen(text), root, &j);
        if (status == MSFL_OK) {
            coord_job_put(j, &b);
            status = b.status;
        }
        if (status == MSFL_OK) status = coord_job_get(j, b.bytes, b.length);
        if (status == MSFL_OK) status = coord_spool_new(at("spool"), &s);
        if (status == MSFL_OK) status = coord_spool_round(s, &shape);
        if (status == MSFL_OK) {
            const msfl_spool c = coord_spool_callbacks(s);
            status = c.put(c.self, 1, 0, 0, (const uint8_t *)"abcd", 4);
        }
        if (status == MSFL_OK) status = coord_bundle(at("m"), &fd, &length, etag);
        msfl_alloc_fail_at(0);
        failed = status != MSFL_OK;
        if (fd >= 0) close(fd);
        coord_job_free(j);
        coord_spool_free(s);
        msfl_buffer_clear(&b);
    }
    assert_false(failed);
}

/* --- plain rounds --- */

static msfl_status refuse(void *ctx, store *s) {
    (void)ctx, (void)s;
    return msfl_fail(MSFL_ERR_IO, "not kept");
}

static void test_plain(void **state) {
    (void)state;
    static const uint8_t task[32] = {9};
    coord_plain *p;
    store *s;
    ok(store_open(at("state.db"), &s));
    ok(coord_plain_new(s, at("plain"), task, 3, &p));
    assert_int_equal(coord_plain_phase(p), MSFL_PHASE_IDLE);
    assert_int_equal(coord_plain_open(p, 2, 1000, refuse, NULL), MSFL_ERR_IO);
    assert_int_equal(coord_plain_phase(p), MSFL_PHASE_IDLE);
    ok(coord_plain_open(p, 2, 1000, NULL, NULL));
    assert_int_equal(coord_plain_open(p, 2, 1000, NULL, NULL), MSFL_ERR_POLICY);
    for (uint32_t i = 0; i < 2; i++) {
        ok(msfl_file_write(at("up"), "x", 1));
        assert_int_equal(coord_plain_take(p, 2, i, at("up")), MSFL_ERR_POLICY);
        assert_int_equal(coord_plain_close(p), MSFL_ERR_POLICY);
        ok(coord_plain_take(p, 1, i, at("up")));
        ok(msfl_file_write(at("up"), "x", 1));
        assert_int_equal(coord_plain_take(p, 1, i, at("up")), MSFL_ERR_EXISTS);
    }
    coord_plain_free(p);
    ok(coord_plain_new(s, at("plain"), task, 3, &p)); /* as after a restart */
    assert_int_equal(coord_plain_number(p), 1);
    assert_true(coord_plain_has(p, 0) && coord_plain_has(p, 1) && !coord_plain_has(p, 2));
    ok(coord_plain_tick(p, 999));
    assert_int_equal(coord_plain_phase(p), MSFL_PHASE_COLLECTING);
    ok(coord_plain_tick(p, 1000));
    assert_int_equal(coord_plain_phase(p), MSFL_PHASE_OPENED);
    assert_int_equal(coord_plain_abort(p, NULL, NULL), MSFL_ERR_POLICY);
    assert_int_equal(coord_plain_finish(p, refuse, NULL), MSFL_ERR_IO);
    assert_true(msfl_file_exists(at("plain/1-0.plain")));
    ok(coord_plain_finish(p, NULL, NULL));
    assert_false(msfl_file_exists(at("plain/1-0.plain")));
    ok(coord_plain_open(p, 2, 1000, NULL, NULL));
    ok(coord_plain_tick(p, 1000)); /* too few: given up */
    assert_int_equal(coord_plain_phase(p), MSFL_PHASE_IDLE);
    assert_int_equal(coord_plain_number(p), 2);
    coord_plain_free(p);
    assert_int_equal(coord_plain_new(s, at("plain"), task, 4, &p), MSFL_ERR_FORMAT); /* of another roster */
    store_close(s);
}

static void say(coord_report *r, uint32_t round, const char *state, const char *words) {
    *r = (coord_report){.round = round, .at_ms = 1};
    snprintf(r->state, sizeof r->state, "%s", state);
    snprintf(r->text, sizeof r->text, "%s", words);
}

/* Whether a job ends because nobody takes part: all must have said so, and none may come back by itself. */
static void test_nobody_is_left(void **state) {
    coord_report r[4] = {0};
    coord_entry j = {.reports = r, .n_reports = 4}; /* three hospitals and a key holder */
    char why[COORD_WHY_MAX + 1];
    (void)state;
    assert_false(coord_nobody_is_left(&j, 3, why));
    say(&r[0], 0, "refused", "policy images_min");
    say(&r[1], 2, "refused", "policy steps_min");
    assert_false(coord_nobody_is_left(&j, 3, why));
    say(&r[2], 2, "refused", "policy images_min");
    assert_true(coord_nobody_is_left(&j, 3, why));
    assert_string_equal(why, "every hospital refuses it: policy images_min; policy steps_min");
    say(&r[2], 2, "refused", "policy sums_per_day"); /* tomorrow is another day */
    assert_false(coord_nobody_is_left(&j, 3, why));
    say(&r[2], 2, "failed", "input/output error"); /* of one round */
    assert_false(coord_nobody_is_left(&j, 3, why));
    say(&r[2], 0, "failed", "not supported"); /* its client has ended its part */
    assert_true(coord_nobody_is_left(&j, 3, why));
    assert_string_equal(why, "no hospital takes part: policy images_min; policy steps_min; not supported");
    say(&r[2], 0, "waiting", "");
    assert_false(coord_nobody_is_left(&j, 3, why));
    assert_false(coord_nobody_is_left(&j, 0, why));
    assert_false(coord_nobody_is_left(&j, 5, why));
    /* texts as long as they may be: the first as far as it goes */
    for (int i = 0; i < 3; i++) {
        char words[201];
        memset(words, 'a' + i, 200);
        words[i == 1 ? 50 : 200] = 0;
        say(&r[i], 0, "refused", words);
    }
    assert_true(coord_nobody_is_left(&j, 3, why));
    assert_int_equal(strlen(why), COORD_WHY_MAX);
    assert_null(strstr(why, "bb"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_spool, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_frames, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_bundle, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_state, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_weights, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_memory, make_root, remove_root),
        cmocka_unit_test(test_nobody_is_left),
        cmocka_unit_test_setup_teardown(test_plain, make_root, remove_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
