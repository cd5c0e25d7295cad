/* Imports where memory runs out, or writing fails, at every place: either a whole set is there afterwards, or none. */
#include "base/file.h"
#include "base/mem.h"
#include "base/output.h"
#include "dataset/hospital.h"
#include "dataset/store.h"
#include "image/dicom.h"
#include "import/prints.h"
#include "medsecurefl/dataset.h"
#include "medsecurefl/import.h"

#include "../dataset/tree.h"

#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static char data[128], recipe[128], key[128];

static void prepare(void) {
    for (int i = 0; i < 4; i++)
        put_png(at("data/%s/%d.png", i < 2 ? "a" : "b", i), 9, 7, (uint8_t)(40 * i + 10));
    put_text(at("r.yaml"), "recipe: 1\ninput: picture\nsteps: [{resize: {size: [8, 8]}}]\n");
    snprintf(data, sizeof data, "%s", at("data"));
    snprintf(recipe, sizeof recipe, "%s", at("r.yaml"));
    snprintf(key, sizeof key, "%s", at("key"));
    assert_int_equal(msfl_hospital_make(key), MSFL_OK);
}

static msfl_status import_to(const char *out, bool seal) {
    const msfl_import_options o = {
        .data = data, .recipe = recipe, .out = out, .key = key, .seal = seal, .no_cache = true, .n_threads = 1};
    return msfl_import(&o, NULL);
}

/* Opens, and holds the four pictures; false if there is no set. */
static bool is_whole(const char *out) {
    if (!msfl_store_is_set(out)) return false;
    const msfl_dataset_options o = {.key = key, .n_threads = 1};
    msfl_dataset *set = NULL;
    assert_int_equal(msfl_dataset_open(out, &o, &set), MSFL_OK);
    assert_int_equal(msfl_dataset_info_borrow(set)->n_images, 4);
    uint8_t pixels[64];
    msfl_dataset_preview(set, 3, pixels);
    assert_int_equal(pixels[0], 130);
    msfl_dataset_free(set);
    return true;
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    prepare();
    char out[128];
    snprintf(out, sizeof out, "%s", at("set"));
    uint64_t before = msfl_alloc_bytes();
    bool failed = false;
    long k = 1;
    for (long succeeded = 0; succeeded < 3; k++) {
        msfl_alloc_fail_at(k);
        msfl_status status = import_to(out, k % 2 == 0);
        msfl_alloc_fail_at(0);
        if (status != MSFL_OK && status != MSFL_ERR_MEMORY) fail_msg("%ld: %s", k, msfl_error_message());
        assert_true(msfl_alloc_bytes() == before);
        failed |= status != MSFL_OK;
        succeeded = status == MSFL_OK ? succeeded + 1 : 0;
        assert_true(status != MSFL_OK || is_whole(out));
        (void)remove(at("set/set.json")); /* so that the next one has everything to do */
    }
    assert_true(failed && k > 60);
}

static void every_step_of_writing_may_fail(void **state) {
    (void)state;
    prepare();
    char out[128];
    snprintf(out, sizeof out, "%s", at("set"));
    msfl_status status = MSFL_ERR_IO;
    for (long k = 1; status != MSFL_OK; k++) {
        msfl_file_fault_at(k, false);
        status = import_to(out, false);
        msfl_file_fault_at(0, false);
        bool whole = is_whole(out); /* fails the test if there is half a set */
        assert_true(status != MSFL_OK || whole);
        assert_true(k < 200);
    }
}

static void a_set_survives_a_failed_replacement(void **state) {
    (void)state;
    prepare();
    char out[128];
    snprintf(out, sizeof out, "%s", at("set"));
    assert_int_equal(import_to(out, false), MSFL_OK);
    assert_true(is_whole(out));
    put_png(at("data/b/9.png"), 9, 7, 255);
    msfl_file_fault_at(2, false);
    assert_int_not_equal(import_to(out, false), MSFL_OK);
    msfl_file_fault_at(0, false);
    assert_true(is_whole(out));
}

/* Copies among them, with a cache that all threads share; under the thread sanitizer also a search for races. */
static void threads_make_no_difference(void **state) {
    (void)state;
    prepare();
    for (int i = 0; i < 40; i++)
        put_png(at("data/%s/%d.png", i % 2 == 0 ? "a" : "b", 10 + i), 9, 7, (uint8_t)(i / 4 * 20));
    static const char *const files[] = {"pixels.bin", "records.bin"};
    for (uint32_t threads = 1; threads <= 4; threads += 3) {
        char out[128], cache[128];
        snprintf(out, sizeof out, "%s", at("set%u", threads));
        snprintf(cache, sizeof cache, "%s", at("cache%u", threads));
        const msfl_import_options o = {
            .data = data, .recipe = recipe, .out = out, .key = key, .cache = cache, .n_threads = threads};
        assert_int_equal(msfl_import(&o, NULL), MSFL_OK);
    }
    for (size_t i = 0; i < 2; i++) {
        uint8_t *one = NULL, *four = NULL;
        size_t n_one = 0, n_four = 0;
        assert_int_equal(msfl_file_read(at("set1/%s", files[i]), 1 << 20, &one, &n_one), MSFL_OK);
        assert_int_equal(msfl_file_read(at("set4/%s", files[i]), 1 << 20, &four, &n_four), MSFL_OK);
        assert_int_equal(n_one, n_four);
        assert_memory_equal(one, four, n_one);
        msfl_free(one);
        msfl_free(four);
    }
}

/* Memory of an import of so many files beyond what there was before, with a cache and without. */
static uint64_t peak_of(int n, bool cached) {
    static char many[128], out[128], cache[128];
    for (int i = 0; i < n; i++)
        put_png(at("many%d/%s/%05d.png", n, i % 2 == 0 ? "a" : "b", i), 9, 7, (uint8_t)i);
    snprintf(many, sizeof many, "%s", at("many%d", n));
    snprintf(out, sizeof out, "%s", at("set%d%d", n, cached));
    snprintf(cache, sizeof cache, "%s", at("cache"));
    const msfl_import_options o = {.data = many,
                                   .recipe = recipe,
                                   .out = out,
                                   .key = key,
                                   .cache = cached ? cache : NULL,
                                   .no_cache = !cached,
                                   .n_threads = 1};
    uint64_t before = msfl_alloc_bytes();
    msfl_alloc_peak_restart();
    assert_int_equal(msfl_import(&o, NULL), MSFL_OK);
    return msfl_alloc_bytes_peak() - before;
}

/* A file's name of ten letters, where it stands, its item, its patient: no more stays of a file until the end. */
static void a_file_more_is_few_bytes_more(void **state) {
    (void)state;
    enum { FEW = 1000, MANY = 3000, EACH = 110 };
    prepare();
    for (int cached = 0; cached < 2; cached++) {
        uint64_t few = peak_of(FEW, cached != 0), many = peak_of(MANY, cached != 0);
        if (many > few + (uint64_t)EACH * (MANY - FEW)) {
            fail_msg("%llu bytes for each file", (unsigned long long)((many - few) / (MANY - FEW)));
        }
    }
}

static void prints_of_alike_pictures(void **state) {
    (void)state;
    const char *text = "recipe: 1\ninput: picture\nsteps: [{resize: {size: [40, 40]}}]";
    msfl_recipe r;
    assert_int_equal(msfl_recipe_parse("r", text, strlen(text), &r), MSFL_OK);
    enum { SIDE = 40, N = SIDE * SIDE };
    static uint8_t samples[4 * N];
    for (uint32_t i = 0; i < N; i++) {
        uint32_t coarse = test_hash(i % SIDE / 5, i / SIDE / 5, 1) % 200;
        samples[i] = (uint8_t)(coarse + 20);
        samples[N + i] = (uint8_t)(samples[i] + test_hash(i, 7, 7) % 9 - 4);            /* noise */
        samples[2 * N + i] = (uint8_t)(samples[i] * 9 / 10);                            /* darker */
        samples[3 * N + i] = (uint8_t)(test_hash(i % SIDE / 5, i / SIDE / 5, 2) % 200); /* another */
    }
    msfl_pictures p = {.n = 4, .samples = samples};
    msfl_print prints[4];
    for (uint32_t i = 0; i < 4; i++)
        msfl_print_of(&r, &p, i, &prints[i]);
    assert_true(msfl_prints_match(&prints[0], &prints[1]));
    assert_true(msfl_prints_match(&prints[0], &prints[2]));
    assert_false(msfl_prints_match(&prints[0], &prints[3]));
    memset(samples, 3, 2 * N); /* empty slices are alike, and no copies */
    msfl_print empty[2];
    for (uint32_t i = 0; i < 2; i++)
        msfl_print_of(&r, &p, i, &empty[i]);
    assert_false(msfl_prints_match(&empty[0], &empty[1]));
}

static void keys_are_checked(void **state) {
    (void)state;
    msfl_hospital *k = NULL;
    char path[128];
    snprintf(path, sizeof path, "%s", at("key"));
    assert_int_equal(msfl_hospital_make(path), MSFL_OK);
    assert_int_equal(msfl_hospital_make(path), MSFL_ERR_EXISTS);
    assert_int_equal(msfl_hospital_read(path, &k), MSFL_OK);
    uint8_t a[MSFL_PSEUDONYM_BYTES], b[MSFL_PSEUDONYM_BYTES], patient[MSFL_HASH_BYTES];
    msfl_patient_hash("  12345 ", patient);
    msfl_hospital_pseudonym(k, patient, a);
    msfl_patient_hash("12345", patient);
    msfl_hospital_pseudonym(k, patient, b);
    assert_memory_equal(a, b, sizeof a);
    msfl_patient_hash("12346", patient);
    msfl_hospital_pseudonym(k, patient, b);
    assert_memory_not_equal(a, b, sizeof a);
    msfl_hospital_free(k);
    static const char *const bad[] = {"", "medsecurefl-hospital-key-1 12", "medsecurefl-hospital-key-2 00",
                                      "medsecurefl-hospital-key-1 "
                                      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdeg\n",
                                      "medsecurefl-hospital-key-1 "
                                      "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put_text(at("bad"), bad[i]);
        chmod(at("bad"), 0600);
        assert_int_equal(msfl_hospital_read(at("bad"), &k), MSFL_ERR_FORMAT);
        assert_null(k);
    }
    chmod(path, 0640);
    assert_int_equal(msfl_hospital_read(path, &k), MSFL_ERR_POLICY);
}

int main(void) {
#define TREE_TEST(f) cmocka_unit_test_setup_teardown(f, tree_setup, tree_teardown)
    const struct CMUnitTest tests[] = {
        TREE_TEST(every_allocation_may_fail),
        TREE_TEST(every_step_of_writing_may_fail),
        TREE_TEST(a_set_survives_a_failed_replacement),
        TREE_TEST(threads_make_no_difference),
        TREE_TEST(a_file_more_is_few_bytes_more),
        TREE_TEST(prints_of_alike_pictures),
        TREE_TEST(keys_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
