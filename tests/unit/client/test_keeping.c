/* What a client keeps: optimiser states, ciphertexts, counts, weights in files; with memory and disks that fail. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "client/norms.h"
#include "client/sandbox.h"
#include "client/spool.h"
#include "client/state.h"
#include "client/tally.h"
#include "client/tensors.h"
#include "client/weights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void ok_at(msfl_status status, const char *file, int line) {
    if (status != MSFL_OK) print_error("%s: %s\n", msfl_status_name(status), msfl_error_message());
    _assert_int_equal(status, MSFL_OK, file, line);
}
#define ok(call) ok_at(call, __FILE__, __LINE__)

static char folder[64];
static job_spec spec;
static job_shape *shape;

static int setup(void **state) {
    static const char job[] = "format: medsecurefl-job\nversion: 1\nname: m\nmodel: cnn-small\nclasses: [a, b]\n"
                              "input: {height: 16, width: 16, channels: 1}\nsamples_max: 64\n";
    (void)state;
    snprintf(folder, sizeof folder, "%s/msfl-keeping-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (mkdtemp(folder) == NULL) return -1;
    ok(job_spec_parse("job", job, sizeof job - 1, true, &spec));
    ok(job_shape_new(&spec, &shape));
    return 0;
}

static int teardown(void **state) {
    (void)state;
    job_shape_free(shape);
    job_spec_clear(&spec);
    client_folder_remove(folder);
    return 0;
}

static client_state state_of(uint32_t round, const char *bytes) {
    client_state s = {.round = round, .n_epochs = 2 * round, .length = strlen(bytes)};
    s.bytes = msfl_alloc(s.length + 1, 1);
    memcpy(s.bytes, bytes, s.length);
    return s;
}

static void check(uint32_t before, uint32_t round, const char *bytes) {
    client_state s;
    ok(client_state_load(folder, shape, before, &s));
    assert_int_equal(s.round, round);
    assert_int_equal(s.n_epochs, 2 * round);
    assert_int_equal(s.length, strlen(bytes));
    if (s.length > 0) assert_memory_equal(s.bytes, bytes, s.length);
    client_state_clear(&s);
}

static void test_states(void **state) {
    char path[128];
    (void)state;
    check(1, 0, ""); /* nothing yet: fresh */
    for (uint32_t round = 1; round <= 4; round++) {
        char text[16];
        snprintf(text, sizeof text, "state %u", round);
        client_state s = state_of(round, text);
        ok(client_state_save(folder, shape, &s));
        client_state_clear(&s);
    }
    check(5, 4, "state 4");
    check(4, 3, "state 3"); /* the round is repeated: from the one before */
    check(3, 0, "");        /* long forgotten */
    /* damaged in any byte, or cut: never taken for another */
    snprintf(path, sizeof path, "%s/state-0000004", folder);
    uint8_t *bytes;
    size_t length;
    ok(msfl_file_read(path, 1000, &bytes, &length));
    for (size_t i = 0; i < length; i++) {
        bytes[i] ^= 1;
        ok(msfl_file_write(path, bytes, length));
        client_state s;
        assert_int_equal(client_state_load(folder, shape, 5, &s), MSFL_ERR_FORMAT);
        assert_null(s.bytes);
        bytes[i] ^= 1;
        ok(msfl_file_write(path, bytes, i));
        assert_int_equal(client_state_load(folder, shape, 5, &s), MSFL_ERR_FORMAT);
    }
    ok(msfl_file_write(path, bytes, length));
    msfl_free(bytes);
    check(5, 4, "state 4");
    /* a disk that fails at any step: the old one or the new one */
    for (long k = 1; k < 50; k++) {
        client_state s = state_of(5, "state 5");
        msfl_file_fault_at(k, false);
        msfl_status status = client_state_save(folder, shape, &s);
        msfl_file_fault_at(0, false);
        client_state_clear(&s);
        if (status == MSFL_OK) break;
        client_state found;
        ok(client_state_load(folder, shape, 6, &found));
        assert_in_range(found.round, 4, 5);
        client_state_clear(&found);
    }
    check(6, 5, "state 5");
    for (long k = 1; k < 200; k++) {
        client_state s;
        msfl_alloc_fail_at(k);
        msfl_status status = client_state_load(folder, shape, 6, &s);
        msfl_alloc_fail_at(0);
        client_state_clear(&s);
        if (status == MSFL_OK) break;
        assert_int_equal(status, MSFL_ERR_MEMORY);
    }
}

/* Normalisation layers that stay here: of every round, the newest before another, damage and failures of the disk. */
static void test_norms(void **state) {
    static const char job[] = "format: medsecurefl-job\nversion: 1\nname: m\nmodel: cnn-small\nclasses: [a, b]\n"
                              "input: {height: 16, width: 16, channels: 1}\nsamples_max: 64\nnorms: local\n";
    job_spec local;
    job_shape *s;
    char path[128];
    uint8_t *bytes;
    size_t length;
    (void)state;
    ok(job_spec_parse("job", job, sizeof job - 1, true, &local));
    ok(job_shape_new(&local, &s));
    assert_true(client_norms_kept(s) && !client_norms_kept(shape));
    const uint64_t n = s->n_values, n_norms = job_norms_count(s->model);
    assert_true(n_norms > 0);
    float *mine = msfl_alloc(n, sizeof *mine), *theirs = msfl_alloc(n, sizeof *theirs);
    ok(client_norms_load(folder, s, 9, theirs)); /* none yet: the federation's */
    for (uint64_t i = 0; i < n; i++)
        assert_true(theirs[i] == 0);
    for (uint32_t round = 1; round <= 3; round++) {
        for (uint64_t i = 0; i < n; i++)
            mine[i] = (float)round;
        ok(client_norms_save(folder, s, round, mine));
    }
    for (uint32_t round = 1; round <= 3; round++) { /* also of a round long ago, which may be the best */
        uint64_t set = 0;
        memset(theirs, 0, n * sizeof *theirs);
        ok(client_norms_load(folder, s, round + 1, theirs));
        for (uint64_t i = 0; i < n; i++) {
            assert_true(theirs[i] == 0 || theirs[i] == (float)round);
            set += theirs[i] != 0;
        }
        assert_int_equal(set, n_norms); /* and nothing but them */
    }
    memset(theirs, 0, n * sizeof *theirs);
    ok(client_norms_load(folder, s, 1, theirs));
    assert_true(theirs[n - 1] == 0);
    ok(client_norms_load(folder, shape, 9, theirs)); /* a job that shares them does not look */
    snprintf(path, sizeof path, "%s/norms-0000003", folder);
    ok(msfl_file_read(path, 1 << 20, &bytes, &length));
    for (size_t i = 0; i < length; i++) {
        bytes[i] ^= 1;
        ok(msfl_file_write(path, bytes, length));
        assert_int_equal(client_norms_load(folder, s, 4, theirs), MSFL_ERR_FORMAT);
        bytes[i] ^= 1;
    }
    ok(msfl_file_write(path, bytes, length - 1));
    assert_int_equal(client_norms_load(folder, s, 4, theirs), MSFL_ERR_MISMATCH);
    for (uint64_t i = 0; i < n; i++)
        assert_true(theirs[i] == 0); /* unchanged by what failed */
    ok(msfl_file_write(path, bytes, length));
    msfl_free(bytes);
    for (long k = 1; k < 50; k++) { /* the old one or the new one */
        for (uint64_t i = 0; i < n; i++)
            mine[i] = 4;
        msfl_file_fault_at(k, false);
        msfl_status status = client_norms_save(folder, s, 4, mine);
        msfl_file_fault_at(0, false);
        ok(client_norms_load(folder, s, 5, theirs));
        float most = 0;
        for (uint64_t i = 0; i < n; i++)
            most = theirs[i] > most ? theirs[i] : most;
        assert_true(most == 3 || most == 4);
        if (status == MSFL_OK) break;
    }
    for (long k = 1; k < 200; k++) {
        msfl_alloc_fail_at(k);
        msfl_status status = client_norms_load(folder, s, 5, theirs);
        if (status == MSFL_OK) status = client_norms_save(folder, s, 5, mine);
        msfl_alloc_fail_at(0);
        if (status == MSFL_OK) break;
        assert_int_equal(status, MSFL_ERR_MEMORY);
    }
    msfl_free(mine);
    msfl_free(theirs);
    job_shape_free(s);
    job_spec_clear(&local);
}

static void test_spool(void **state) {
    client_spool *spool;
    char path[128];
    uint8_t bytes[100], back[100];
    (void)state;
    snprintf(path, sizeof path, "%s/spool", folder);
    ok(msfl_folder_make(path));
    ok(client_spool_new(path, &spool));
    msfl_spool s = client_spool_of(spool);
    for (uint64_t number = 7; number <= 8; number++) {
        for (uint64_t j = 0; j < 5; j++) {
            memset(bytes, (int)(number * 10 + j), sizeof bytes);
            ok(s.put(s.self, number, 0, j, bytes, j == 4 ? 30 : 100));
        }
        ok(client_spool_sync(spool));
    }
    client_spool_free(spool); /* another process */
    ok(client_spool_new(path, &spool));
    s = client_spool_of(spool);
    ok(s.get(s.self, 7, 0, 4, back, 30));
    assert_int_equal(back[29], 74);
    ok(s.get(s.self, 8, 0, 3, back, 100));
    assert_int_equal(back[99], 83);
    assert_int_not_equal(s.get(s.self, 8, 0, 5, back, 100), MSFL_OK); /* beyond the end */
    ok(client_spool_drop(spool, 7));
    assert_int_equal(s.get(s.self, 7, 0, 0, back, 100), MSFL_ERR_MISSING);
    ok(s.get(s.self, 8, 0, 0, back, 100));
    /* a round that begins anew leaves nothing of its first attempt */
    memset(bytes, 1, sizeof bytes);
    ok(s.put(s.self, 8, 0, 0, bytes, 50));
    assert_int_not_equal(s.get(s.self, 8, 0, 1, back, 50), MSFL_OK);
    ok(client_spool_drop(spool, UINT64_MAX));
    client_spool_free(spool);
}

static void test_tally(void **state) {
    char path[128];
    store *s;
    (void)state;
    snprintf(path, sizeof path, "%s/t.db", folder);
    ok(store_open(path, &s));
    client_tally t = client_tally_read(s, "a");
    assert_int_equal(t.of_job, 0);
    ok(client_tally_add(s, "a"));
    ok(client_tally_add(s, "a"));
    ok(client_tally_add(s, "b"));
    /* rolled back: not counted */
    ok(store_begin(s));
    ok(client_tally_add(s, "a"));
    store_rollback(s);
    t = client_tally_read(s, "a");
    assert_int_equal(t.of_job, 2);
    assert_in_range(t.of_day, 1, 3); /* midnight may pass */
    store_close(s);
    ok(store_open(path, &s));
    assert_int_equal(client_tally_read(s, "a").of_job, 2);
    store_close(s);
}

static void test_tensors(void **state) {
    char path[128];
    float *weights = msfl_alloc(shape->n_values, sizeof *weights), *back = msfl_alloc(shape->n_values, sizeof *back);
    (void)state;
    ok(job_shape_initial(shape, weights));
    for (int format = CLIENT_NPZ; format <= CLIENT_H5; format++) {
        snprintf(path, sizeof path, "%s/w.%d", folder, format);
        ok(client_tensors_write(path, (client_format)format, shape, weights));
        memset(back, 0, shape->n_values * sizeof *back);
        ok(client_tensors_read(path, (client_format)format, shape, back));
        assert_memory_equal(weights, back, shape->n_values * sizeof *back);
    }
    snprintf(path, sizeof path, "%s/w.npz", folder);
    for (long k = 1; k < 1000; k++) {
        msfl_alloc_fail_at(k);
        msfl_status status = client_tensors_write(path, CLIENT_NPZ, shape, weights);
        msfl_alloc_fail_at(0);
        if (status == MSFL_OK) break;
        assert_int_equal(status, MSFL_ERR_MEMORY);
        assert_false(msfl_file_exists(path));
    }
    for (long k = 1; k < 5000; k++) {
        msfl_alloc_fail_at(k);
        msfl_status status = client_tensors_read(path, CLIENT_NPZ, shape, back);
        msfl_alloc_fail_at(0);
        if (status == MSFL_OK) break;
        assert_int_equal(status, MSFL_ERR_MEMORY);
    }
    assert_memory_equal(weights, back, shape->n_values * sizeof *back);
    /* bare floats */
    float *read;
    snprintf(path, sizeof path, "%s/w.f32", folder);
    ok(msfl_file_write(path, weights, shape->n_values * sizeof *weights));
    ok(client_weights_read(path, shape, &read));
    assert_memory_equal(weights, read, shape->n_values * sizeof *read);
    msfl_free(read);
    ok(msfl_file_write(path, weights, shape->n_values * sizeof *weights - 4));
    assert_int_equal(client_weights_read(path, shape, &read), MSFL_ERR_MISMATCH);
    weights[5] = 1.0f / 0.0f;
    ok(msfl_file_write(path, weights, shape->n_values * sizeof *weights));
    assert_int_equal(client_weights_read(path, shape, &read), MSFL_ERR_NUMERIC);
    assert_null(read);
    msfl_free(weights);
    msfl_free(back);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_states), cmocka_unit_test(test_norms),
                                       cmocka_unit_test(test_spool), cmocka_unit_test(test_tally),
                                       cmocka_unit_test(test_tensors)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
