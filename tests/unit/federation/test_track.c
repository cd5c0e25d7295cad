/* Decisions from the validation loss, and checkpoints whatever their bytes. */
#include "base/file.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "federation/track.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static fed_job job;
static msfl_simulate_options options;
static char folder[] = "/tmp/msfl-track-XXXXXX";
static const uint8_t config[MSFL_HASH_BYTES] = {1, 2, 3};

static int set_up(void **state) {
    (void)state;
    options = msfl_simulate_options_default();
    options.n_rounds = 12;
    options.patience = 5;
    options.plateau_patience = 2;
    options.train.learning_rate = 0.125f;
    job.options = &options;
    job.n_hospitals = 3;
    if (job_aggregate_find("fedadam", &job.aggregate) != MSFL_OK) return 1;
    if (mkdtemp(folder) == NULL) return 1;
    char *state_folder = msfl_path_join(folder, "state");
    int failed = msfl_folder_make(state_folder) != MSFL_OK;
    msfl_free(state_folder);
    if (failed || msfl_model_new("cnn-small", 32, 32, 1, 2, &job.model) != MSFL_OK) return 1;
    job.initial = msfl_alloc(msfl_model_info_borrow(job.model)->n_values, sizeof(float));
    msfl_model_init(job.model, 1, job.initial);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    char *path = msfl_path_join(folder, "state/plain.state");
    unlink(path);
    msfl_free(path);
    path = msfl_path_join(folder, "state");
    rmdir(path);
    msfl_free(path);
    rmdir(folder);
    msfl_model_free(job.model);
    msfl_free(job.initial);
    return 0;
}

static void judge(fed_track *t, double loss) {
    fed_record r = fed_record_empty();
    r.round = t->n_records + 1;
    r.validation_loss = loss;
    t->weights[0] = (float)t->n_records + 1;
    fed_track_record(t, &r);
}

static void best_plateau_and_patience(void **state) {
    (void)state;
    fed_track t;
    assert_int_equal(fed_track_init(&t, &job, FED_PLAIN, 0), MSFL_OK);
    judge(&t, 0.5);
    judge(&t, 0.4);
    assert_int_equal(t.course.best_round, 2);
    judge(&t, 0.41);
    assert_true(t.course.learning_rate == 0.125);
    judge(&t, 0.42);
    assert_true(t.course.learning_rate == 0.0625);
    judge(&t, 0.39);
    assert_int_equal(t.course.best_round, 5);
    assert_true(t.best[0] == 5.0f);
    for (int i = 0; i < 4; i++) {
        judge(&t, 0.6);
        assert_true(fed_track_wants_more(&t));
    }
    assert_true(t.course.learning_rate == 0.015625);
    judge(&t, INFINITY);
    assert_false(fed_track_wants_more(&t));
    assert_true(t.best[0] == 5.0f);
    assert_true(strlen(t.course.why) > 0);
    fed_track_clear(&t);
}

static void checkpoint_comes_back_whole_or_not_at_all(void **state) {
    (void)state;
    fed_track t, back;
    assert_int_equal(fed_track_init(&t, &job, FED_PLAIN, 0), MSFL_OK);
    judge(&t, 0.5);
    judge(&t, 0.7);
    t.members[1].state = msfl_alloc(7, 1);
    memcpy(t.members[1].state, "optimum", 7);
    t.members[1].state_bytes = 7;
    t.members[2].n_epochs = 9;
    assert_int_equal(t.n_moments, 2 * t.n_values);
    for (uint64_t i = 0; i < t.n_moments; i++)
        t.moments[i] = (float)i;
    assert_int_equal(fed_track_save(&t, folder, config), MSFL_OK);
    assert_int_equal(fed_track_init(&back, &job, FED_PLAIN, 0), MSFL_OK);
    assert_int_equal(fed_track_restore(&back, folder, config), MSFL_OK);
    assert_memory_equal(back.weights, t.weights, t.n_values * sizeof(float));
    assert_memory_equal(back.best, t.best, t.n_values * sizeof(float));
    assert_memory_equal(back.moments, t.moments, t.n_moments * sizeof(float));
    assert_memory_equal(back.records, t.records, 2 * sizeof(fed_record));
    assert_int_equal(back.n_records, 2);
    assert_int_equal(back.members[2].n_epochs, 9);
    assert_memory_equal(back.members[1].state, "optimum", 7);
    assert_null(back.members[0].state);
    fed_track_clear(&back);

    const uint8_t other[MSFL_HASH_BYTES] = {9};
    assert_int_equal(fed_track_init(&back, &job, FED_PLAIN, 0), MSFL_OK);
    assert_int_equal(fed_track_restore(&back, folder, other), MSFL_ERR_MISMATCH);
    fed_track_clear(&back);

    char *path = msfl_path_join(folder, "state/plain.state");
    uint8_t *bytes;
    size_t length;
    assert_int_equal(msfl_file_read(path, 1 << 30, &bytes, &length), MSFL_OK);
    for (size_t cut = 0; cut < length; cut += 1 + length / 97) {
        assert_int_equal(msfl_file_write(path, bytes, cut), MSFL_OK);
        assert_int_equal(fed_track_init(&back, &job, FED_PLAIN, 0), MSFL_OK);
        assert_int_equal(fed_track_restore(&back, folder, config), MSFL_ERR_FORMAT);
        fed_track_clear(&back);
    }
    for (size_t at = 0; at < length; at += 1 + length / 211) {
        bytes[at] ^= 0x40;
        assert_int_equal(msfl_file_write(path, bytes, length), MSFL_OK);
        bytes[at] ^= 0x40;
        assert_int_equal(fed_track_init(&back, &job, FED_PLAIN, 0), MSFL_OK);
        assert_int_equal(fed_track_restore(&back, folder, config), MSFL_ERR_FORMAT);
        fed_track_clear(&back);
    }
    msfl_free(bytes);
    msfl_free(path);
    fed_track_clear(&t);
}

int main(void) {
    if (msfl_crypto_init() != MSFL_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(best_plateau_and_patience),
        cmocka_unit_test(checkpoint_comes_back_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
