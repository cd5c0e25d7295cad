/* Whole jobs against a coordinator in a child process, which is killed at every step that makes something last: whoever
 * goes on from its folder must end with the same bytes. The hospitals are real machines with invented training; the
 * network is a pair of sockets. MSFL_EVERY=1 kills at every single step, otherwise at every few. */
#include "ward.h"

#include "medsecurefl/transcript.h"

typedef struct product {
    uint8_t *best, *last;
    size_t best_length, last_length;
} product;

static product product_of(const world *w) {
    product p;
    char path[400];
    snprintf(path, sizeof path, "%s/jobs/%s/agg_model.f32", w->hub.folder, w->hub.job);
    ok(msfl_file_read(path, 1 << 24, &p.best, &p.best_length));
    snprintf(path, sizeof path, "%s/jobs/%s/agg_model_last.f32", w->hub.folder, w->hub.job);
    ok(msfl_file_read(path, 1 << 24, &p.last, &p.last_length));
    return p;
}

/** The audit folder is one chain; number of its records. */
static uint32_t check_records(const world *w) {
    msfl_transcript t;
    uint8_t previous[32] = {0}, *bytes;
    size_t length;
    uint32_t n = 0;
    for (;; n++) {
        char path[400];
        snprintf(path, sizeof path, "%s/audit/%s/%06u.transcript", w->hub.folder, w->hub.job, n + 1);
        if (!msfl_file_exists(path)) break;
        ok(msfl_file_read(path, 1 << 24, &bytes, &length));
        ok(msfl_transcript_verify(bytes, length, w->roster, previous, &t));
        assert_int_equal(t.announcement.info.number, n + 1);
        memcpy(previous, t.hash, 32);
        msfl_free(bytes);
    }
    return n;
}

/** What an undisturbed job ends with; the number of its steps that make something last. */
static uint64_t undisturbed(product *wanted) {
    world w;
    msfl_buffer out = {0};
    msfl_status status;
    world_make(&w, "reference", 40, "", 0);
    assert_string_equal(run(&w, (uint64_t)time(NULL) * 1000, 400), "done");
    assert_true(ask(&w.hub, OP_STEPS, 0, 0, "", 0, &status, &out));
    const uint64_t steps = msfl_load64(out.bytes);
    msfl_buffer_clear(&out);
    *wanted = product_of(&w);
    assert_int_equal(check_records(&w), 5); /* update, evaluate, update, evaluate, test */
    assert_int_equal(wanted->last_length, 4 * 3017);
    world_clear(&w);
    return steps;
}

/** The same job with something done to it at step `die_at` (see `child`) ends with the same bytes; how often it died.
 */
static uint32_t disturbed(const char *name, long die_at, const product *wanted) {
    world w;
    world_make(&w, name, 40, "", die_at);
    assert_string_equal(run(&w, (uint64_t)time(NULL) * 1000, 400), "done");
    const uint32_t deaths = w.hub.deaths;
    const product p = product_of(&w);
    assert_int_equal(p.last_length, wanted->last_length);
    assert_memory_equal(p.last, wanted->last, p.last_length);
    assert_memory_equal(p.best, wanted->best, p.best_length);
    assert_int_equal(check_records(&w), 5);
    msfl_free(p.best);
    msfl_free(p.last);
    world_clear(&w);
    return deaths;
}

static long stride_of(uint64_t steps) {
    assert_true(steps > 100);
    return getenv("MSFL_EVERY") != NULL ? 1 : (long)steps / 24 + 1;
}

static void test_killed_anywhere(void **state) {
    (void)state;
    product wanted;
    const uint64_t steps = undisturbed(&wanted);
    uint32_t deaths = 0;
    for (long k = 1; k < (long)steps; k += stride_of(steps)) {
        char name[32];
        snprintf(name, sizeof name, "state-%ld", k);
        deaths += disturbed(name, k, &wanted);
    }
    assert_true(deaths > 10);
    msfl_free(wanted.best);
    msfl_free(wanted.last);
}

/* A disk that fails once, at every step that makes something last: whoever had to be told hears of it, nothing is half
 * done, and the job goes on by itself to the same bytes. */
static void test_failing_disk(void **state) {
    (void)state;
    product wanted;
    const uint64_t steps = undisturbed(&wanted);
    for (long k = 2; k < (long)steps; k += stride_of(steps)) {
        char name[32];
        snprintf(name, sizeof name, "failing-%ld", k);
        assert_int_equal(disturbed(name, -k, &wanted), 0);
    }
    msfl_free(wanted.best);
    msfl_free(wanted.last);
}

/* What a round takes: the machine's sum, one vector of floats, and little beside. MSFL_VALUES=25600000 prints it for a
 * network of that size. */
static void test_memory_of_a_round(void **state) {
    (void)state;
    world w;
    msfl_buffer out = {0};
    msfl_status status;
    const char *asked = getenv("MSFL_VALUES");
    const uint32_t rows = (uint32_t)(asked != NULL ? strtoul(asked, NULL, 10) / 75 : 20000);
    world_make(&w, "large", rows, ",\"evaluate\":false,\"test\":false", 0);
    assert_string_equal(run(&w, (uint64_t)time(NULL) * 1000, 100), "done");
    assert_true(ask(&w.hub, OP_STEPS, 0, 0, "", 0, &status, &out));
    const uint64_t heap = msfl_load64(out.bytes + 8), resident = msfl_load64(out.bytes + 16);
    msfl_buffer_clear(&out);
    uint64_t sum = 0;
    for (uint64_t j = 0; j < msfl_packed_chunks(w.ctx, w.shape->update_slots); j++)
        sum += msfl_packed_chunk_bytes(w.ctx, w.shape->update_slots, j);
    const uint64_t vector = w.shape->n_values * sizeof(float);
    if (asked != NULL) {
        print_message("%llu values: sum %.1f MB, one vector %.1f MB, heap at most %.1f MB, resident at most %.1f MB\n",
                      (unsigned long long)w.shape->n_values, (double)sum * 1e-6, (double)vector * 1e-6,
                      (double)heap * 1e-6, (double)resident * 1e-6);
    }
    assert_true(heap < sum + vector + ((uint64_t)16 << 20));
    world_clear(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_killed_anywhere, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_failing_disk, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_memory_of_a_round, make_root, remove_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
