/* Folders and tables as nobody in good faith makes them; files that change; memory that runs out with a table, masks,
 * a cache and volumes. */
#include "base/mem.h"
#include "base/threads.h"
#include "dataset/store.h"
#include "import/cache.h"
#include "import/items.h"
#include "import/memo.h"
#include "medsecurefl/import.h"

#include "../dataset/tree.h"

#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static char data[128], recipe[128], key[128], out[128], cache[128];

static void prepare(const char *recipe_text) {
    snprintf(data, sizeof data, "%s", at("data"));
    snprintf(recipe, sizeof recipe, "%s", at("r.yaml"));
    snprintf(key, sizeof key, "%s", at("key"));
    snprintf(out, sizeof out, "%s", at("set"));
    snprintf(cache, sizeof cache, "%s", at("cache"));
    put_text(recipe, recipe_text);
    if (access(key, F_OK) != 0) assert_int_equal(msfl_hospital_make(key), MSFL_OK);
}

static const char pictures_recipe[] = "recipe: 1\ninput: picture\nsteps: [{resize: {size: [8, 8]}}]\n";
static const char volumes_recipe[] =
    "recipe: 1\ninput: volume\nsequences: [t1, t2]\nsteps: [{zscore: {}}, {slices: {axis: slices, count: 2}}, "
    "{resize: {size: [8, 8]}}]\n";

/* A NIfTI file of 4 x 4 x 4 numbers, `pair`: the header alone. */
static void put_nifti(const char *path, bool pair, int16_t first) {
    uint8_t raw[352 + 128] = {0};
    static const uint16_t dims[8] = {3, 4, 4, 4, 1, 1, 1, 1};
    msfl_store32(raw, 348);
    for (size_t i = 0; i < 8; i++)
        msfl_store16(raw + 40 + 2 * i, dims[i]);
    msfl_store16(raw + 70, 4); /* int16 */
    const float one = 1, offset = pair ? 0 : 352;
    for (size_t i = 0; i < 4; i++)
        memcpy(raw + 76 + 4 * i, &one, 4);
    memcpy(raw + 108, &offset, 4);
    memcpy(raw + 344, pair ? "ni1" : "n+1", 4);
    for (size_t i = 0; i < 64; i++)
        msfl_store16(raw + 352 + 2 * i, (uint16_t)(first + (int)(i * i)));
    put_file(path, raw, pair ? 348 : sizeof raw);
}

static void put_samples(const char *path, int16_t first) {
    uint8_t raw[128];
    for (size_t i = 0; i < 64; i++)
        msfl_store16(raw + 2 * i, (uint16_t)(first + (int)(i * i)));
    put_file(path, raw, sizeof raw);
}

static msfl_status import_all(const char *masks, bool keep, char **json) {
    const msfl_import_options o = {.data = data,
                                   .recipe = recipe,
                                   .out = out,
                                   .key = key,
                                   .masks = masks,
                                   .cache = keep ? cache : NULL,
                                   .no_cache = !keep,
                                   .n_threads = 1};
    return msfl_import(&o, json);
}

static void put_pictures_and_table(const char *mask) {
    char table[400];
    int n = snprintf(table, sizeof table, "file,class,patient,mask\n");
    for (int i = 0; i < 4; i++) {
        put_png(at("data/%d.png", i), 9, 7, (uint8_t)(40 * i + 10));
        n += snprintf(table + n, sizeof table - (size_t)n, "%d.png,%s,p%d,%s\n", i, i < 2 ? "a" : "b", i, mask);
    }
    put_text(at("data/labels.csv"), table);
}

static void a_table_leads_nowhere_else(void **state) {
    (void)state;
    prepare(pictures_recipe);
    put_png(at("outside.png"), 9, 7, 1);
    static const char *const climbing[] = {"../outside.png", "x/../../outside.png", "..",
                                           "m/..",           "/etc/passwd",         "//etc/passwd"};
    for (size_t i = 0; i < sizeof climbing / sizeof climbing[0]; i++) {
        put_pictures_and_table(climbing[i]);
        assert_int_equal(import_all("mask", false, NULL), MSFL_ERR_DATA);
        assert_non_null(strstr(msfl_error_message(), "leads out"));
        assert_false(msfl_store_is_set(out));
    }
    put_png(at("data/..m.png"), 9, 7, 1); /* dots in a name are none of this */
    put_pictures_and_table("./..m.png");
    assert_int_equal(import_all("mask", false, NULL), MSFL_OK);
}

static void what_never_ends_is_not_read(void **state) {
    (void)state;
    prepare(pictures_recipe);
    put_pictures_and_table("endless.png");
    assert_int_equal(symlink("/dev/zero", at("data/endless.png")), 0);
    assert_int_equal(import_all("mask", false, NULL), MSFL_ERR_DATA); /* none of four can be used */
    put_pictures_and_table("pipe.png");
    assert_int_equal(mkfifo(at("data/pipe.png"), 0600), 0);
    assert_int_equal(import_all("mask", false, NULL), MSFL_ERR_DATA);
    put_pictures_and_table("long.png");
    put_text(at("data/long.png"), "");
    assert_int_equal(truncate(at("data/long.png"), (off_t)5 << 30), 0); /* holes: no bytes on the disk */
    assert_int_equal(import_all("mask", false, NULL), MSFL_ERR_DATA);
}

/* A header x.hdr says little: what counts lies in x.img. */
static void samples_beside_a_header_count(void **state) {
    (void)state;
    prepare(volumes_recipe);
    for (int i = 0; i < 2; i++) {
        put_nifti(at("data/%d.hdr", i), true, 0);
        put_samples(at("data/%d.img", i), (int16_t)(7 * i));
        put_nifti(at("data/%d.nii", i), false, (int16_t)(i + 3));
    }
    put_text(at("data/labels.csv"), "class,t1,t2\na,0.hdr,0.nii\nb,1.hdr,1.nii\n");
    char *json = NULL;
    assert_int_equal(import_all(NULL, true, &json), MSFL_OK);
    assert_non_null(strstr(json, "\"unchanged\": false"));
    msfl_free(json);
    assert_int_equal(import_all(NULL, true, &json), MSFL_OK);
    assert_non_null(strstr(json, "\"unchanged\": true"));
    msfl_free(json);
    put_samples(at("data/1.img"), 900);
    assert_int_equal(import_all(NULL, true, &json), MSFL_OK);
    assert_non_null(strstr(json, "\"unchanged\": false"));
    assert_non_null(strstr(json, "\"from_cache\": 1")); /* the other one */
    msfl_free(json);
    (void)unlink(at("data/1.img")); /* a pipe in its place keeps nobody waiting */
    assert_int_equal(mkfifo(at("data/1.img"), 0600), 0);
    assert_int_equal(import_all(NULL, true, &json), MSFL_OK);
    assert_non_null(strstr(json, "\"skipped\": 1"));
    msfl_free(json);
}

typedef struct writers {
    msfl_cache *cache;
    const msfl_recipe *recipe;
    const msfl_result *result;
    uint8_t name[MSFL_CACHE_NAME_BYTES];
} writers;

static msfl_status write_same(void *ctx, size_t i) {
    (void)i;
    const writers *w = ctx;
    return msfl_cache_put(w->cache, w->recipe, w->name, w->result);
}

/* Copies of one picture in one folder are one entry, and threads meet on it. */
static void one_entry_by_many_threads(void **state) {
    (void)state;
    prepare(pictures_recipe);
    const char *text = "recipe: 1\ninput: picture\nsteps: [{resize: {size: [256, 256]}}]";
    enum { BYTES = 256 * 256 };
    msfl_recipe r;
    msfl_hospital *k = NULL;
    msfl_pool *pool = NULL;
    static uint8_t samples[BYTES];
    static msfl_print print;
    const msfl_result result = {.pictures = {.n = 1, .samples = samples}, .prints = &print};
    writers w = {.recipe = &r, .result = &result};
    assert_int_equal(msfl_recipe_parse("r", text, strlen(text), &r), MSFL_OK);
    assert_int_equal(msfl_hospital_read(key, &k), MSFL_OK);
    assert_int_equal(msfl_cache_open(cache, k, false, &w.cache), MSFL_OK);
    assert_int_equal(msfl_pool_new(8, &pool), MSFL_OK);
    msfl_status status = msfl_pool_run(pool, 400, write_same, &w);
    if (status != MSFL_OK) fail_msg("%s", msfl_error_message());
    bool found = false;
    msfl_result back = {0};
    assert_int_equal(msfl_cache_get(w.cache, &r, w.name, &found, &back), MSFL_OK);
    assert_true(found);
    msfl_result_clear(&back);
    msfl_pool_free(pool);
    msfl_cache_close(w.cache);
    msfl_hospital_free(k);
}

/* A cache closes its folder to others: not one that is shared. */
static void another_folder_is_no_cache(void **state) {
    (void)state;
    prepare(pictures_recipe);
    put_png(at("data/a/1.png"), 9, 7, 1);
    put_png(at("data/b/1.png"), 9, 7, 50);
    put_text(at("cache/letter.txt"), "of somebody else");
    assert_int_equal(chmod(cache, 0755), 0);
    assert_int_equal(import_all(NULL, true, NULL), MSFL_ERR_EXISTS);
    struct stat info;
    assert_int_equal(stat(cache, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0755);
    (void)remove(at("cache/letter.txt"));
    assert_int_equal(import_all(NULL, true, NULL), MSFL_OK);
    assert_int_equal(stat(cache, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    assert_int_equal(import_all(NULL, true, NULL), MSFL_OK); /* with entries of its own */
}

typedef msfl_status (*attempt)(void);

/* Every allocation fails once; what is done is undone. */
static long every_allocation(attempt run, long least) {
    (void)run(); /* what is made once a process */
    uint64_t before = msfl_alloc_bytes();
    long k = 1;
    for (msfl_status status = MSFL_ERR_MEMORY; status != MSFL_OK; k++) {
        assert_true(k < 20000);
        msfl_alloc_fail_at(k);
        status = run();
        msfl_alloc_fail_at(0);
        if (status != MSFL_OK && status != MSFL_ERR_MEMORY) fail_msg("%ld: %s", k, msfl_error_message());
        assert_true(msfl_alloc_bytes() == before);
    }
    assert_true(k > least);
    return k;
}

static void start_over(void) {
    static const char *const names[] = {"set.json", "pixels.bin", "records.bin", "masks.bin"};
    for (size_t i = 0; i < 4; i++)
        (void)remove(at("set/%s", names[i]));
    nftw(cache, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static msfl_status with_masks_and_cache(void) {
    start_over();
    char *json = NULL;
    msfl_status status = import_all("mask", true, &json);
    msfl_free(json);
    return status;
}

static msfl_status with_sequences(void) {
    start_over();
    return import_all(NULL, true, NULL);
}

static msfl_status from_the_cache(void) {
    (void)remove(at("set/set.json"));
    return import_all(NULL, true, NULL);
}

static msfl_status of_a_recipe(void) {
    char *json = NULL;
    msfl_status status = msfl_recipe_describe(recipe, &json);
    assert_true((status == MSFL_OK) == (json != NULL));
    msfl_free(json);
    return status;
}

static msfl_status check_of(const char *folder) {
    const msfl_check_options o = {.data = folder, .key = key, .n_threads = 1};
    uint32_t n_problems;
    char *json = NULL;
    msfl_status status = msfl_check(&o, &json, &n_problems);
    assert_true((status == MSFL_OK) == (json != NULL));
    msfl_free(json);
    return status;
}

static msfl_status check_of_data(void) {
    return check_of(data);
}

static msfl_status check_of_set(void) {
    return check_of(out);
}

static void no_memory_with_masks_and_cache(void **state) {
    (void)state;
    prepare(pictures_recipe);
    put_png(at("data/.mask.png"), 9, 7, 1);
    put_pictures_and_table(".mask.png");
    every_allocation(with_masks_and_cache, 100);
    every_allocation(check_of_data, 20);
    every_allocation(check_of_set, 10);
}

static void no_memory_with_sequences(void **state) {
    (void)state;
    prepare(volumes_recipe);
    for (int i = 0; i < 4; i++)
        put_nifti(at("data/%d.nii", i), false, (int16_t)(9 * i));
    put_text(at("data/labels.csv"), "class,t1,t2\na,0.nii,1.nii\nb,2.nii,3.nii\n");
    every_allocation(with_sequences, 100);
    every_allocation(from_the_cache, 50);
    every_allocation(of_a_recipe, 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_table_leads_nowhere_else, tree_setup, tree_teardown),
        cmocka_unit_test_setup_teardown(what_never_ends_is_not_read, tree_setup, tree_teardown),
        cmocka_unit_test_setup_teardown(samples_beside_a_header_count, tree_setup, tree_teardown),
        cmocka_unit_test_setup_teardown(one_entry_by_many_threads, tree_setup, tree_teardown),
        cmocka_unit_test_setup_teardown(another_folder_is_no_cache, tree_setup, tree_teardown),
        cmocka_unit_test_setup_teardown(no_memory_with_masks_and_cache, tree_setup, tree_teardown),
        cmocka_unit_test_setup_teardown(no_memory_with_sequences, tree_setup, tree_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
