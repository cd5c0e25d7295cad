/* A job that names a recipe trains on images of that recipe alone; sealed sets open with the hospital's key. */
#include "base/mem.h"
#include "client/data.h"
#include "dataset/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define HASH  "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define OTHER "ff112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define JOB                                                                                                            \
    "format: medsecurefl-job\nversion: 1\nname: chest\nmodel: cnn-small\nclasses: [a, b]\nsamples_max: 64\n"           \
    "input: {height: 32, width: 32, channels: 1}\ntest_fraction: 0\nvalidation_fraction: 0\n"

enum { SIDE = 32, N = 8 };

/* Eight pictures of two classes, every one a patient's own. */
static void make_lateral(const char *folder, const char *recipe, const char *laterality, const msfl_hospital *key,
                         uint8_t structures) {
    const msfl_store_shape shape = {
        .width = SIDE, .height = SIDE, .channels = 1, .bits = 8, .low = 0, .high = 1, .has_masks = structures > 0};
    msfl_store *store;
    msfl_texts classes = {0};
    static uint8_t pixels[SIDE * SIDE], masks[SIDE * SIDE];
    json_t *manifest = json_object();
    assert_int_equal(msfl_store_new(folder, &shape, key, &store), MSFL_OK);
    for (uint32_t i = 0; i < N; i++) {
        memset(pixels, (int)(20 * i), sizeof pixels);
        for (uint32_t k = 0; k < SIDE * SIDE && structures > 0; k++)
            masks[k] = (uint8_t)((i + k) % (structures + 1u));
        assert_int_equal(msfl_store_add(store, pixels, structures > 0 ? masks : NULL, 1), MSFL_OK);
        const msfl_record record = {.label = i % 2, .bunch = i};
        assert_int_equal(msfl_store_record(store, &record), MSFL_OK);
    }
    assert_int_equal(msfl_texts_add(&classes, "a", 1), MSFL_OK);
    assert_int_equal(msfl_texts_add(&classes, "b", 1), MSFL_OK);
    json_object_set_new(manifest, "recipe_hash", json_string(recipe));
    if (laterality != NULL) json_object_set_new(manifest, "laterality", json_string(laterality));
    assert_int_equal(msfl_store_finish(store, &classes, manifest), MSFL_OK);
    json_decref(manifest);
    msfl_texts_clear(&classes);
    msfl_store_free(store);
}

static void make_set(const char *folder, const char *recipe, const msfl_hospital *key, uint8_t structures) {
    make_lateral(folder, recipe, NULL, key, structures);
}

static msfl_status open_for(const char *job, char *folder, char *key, bool recipe_is_right) {
    job_spec spec;
    job_shape *shape = NULL;
    client_data data = {0};
    client_site site = {.path = folder, .key = key, .n_threads = 1};
    static float image[SIDE * SIDE];
    static uint32_t classes[SIDE * SIDE];
    assert_int_equal(job_spec_parse("job", job, strlen(job), true, &spec), MSFL_OK);
    assert_int_equal(job_shape_new(&spec, &shape), MSFL_OK);
    msfl_status status = client_data_open(&site, shape, 1, NULL, &data);
    if (status == MSFL_OK) {
        client_samples storage;
        const msfl_samples samples = client_samples_of(&data, &data.holding.train, &storage);
        assert_int_equal(data.holding.train.n, N);
        assert_int_equal(samples.load(samples.ctx, 3, 0, image, classes), MSFL_OK);
        assert_int_equal(classes[0], shape->n_structures > 0 ? 0 : 1);
        if (shape->n_structures > 0) assert_int_equal(classes[2], 2);
    }
    /* What a hospital asks before it opens anything says the same of the recipe. */
    assert_int_equal(client_data_accepts(&site, &spec) == MSFL_OK, recipe_is_right);
    client_data_clear(&data);
    job_shape_free(shape);
    job_spec_clear(&spec);
    return status;
}

static void the_recipe_is_the_jobs(void **state) {
    (void)state;
    char root[] = "/tmp/msfl-data-XXXXXX", folder[64], sealed[64], path[64], command[96];
    assert_non_null(mkdtemp(root));
    snprintf(folder, sizeof folder, "%s/set", root);
    snprintf(sealed, sizeof sealed, "%s/sealed", root);
    snprintf(path, sizeof path, "%s/key", root);
    make_set(folder, HASH, NULL, 0);
    assert_int_equal(open_for(JOB, folder, NULL, true), MSFL_OK);
    assert_int_equal(open_for(JOB "recipe: " HASH "\n", folder, NULL, true), MSFL_OK);
    assert_int_equal(open_for(JOB "recipe: " OTHER "\n", folder, NULL, false), MSFL_ERR_POLICY);
    char phantom[] = "phantom";
    assert_int_equal(open_for(JOB "recipe: " HASH "\n", phantom, NULL, false), MSFL_ERR_POLICY);
    msfl_hospital *key;
    assert_int_equal(msfl_hospital_make(path), MSFL_OK);
    assert_int_equal(msfl_hospital_read(path, &key), MSFL_OK);
    make_set(sealed, HASH, key, 0);
    msfl_hospital_free(key);
    assert_int_equal(open_for(JOB, sealed, NULL, true), MSFL_ERR_POLICY);
    assert_int_equal(open_for(JOB "recipe: " HASH "\n", sealed, path, true), MSFL_OK);
    snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);
}

#define PIXELS                                                                                                         \
    "format: medsecurefl-job\nversion: 1\nname: chest\nmodel: unet2d\nsamples_max: 64\n"                               \
    "test_fraction: 0\nvalidation_fraction: 0\n"
#define BIG   "input: {height: 32, width: 32, channels: 1}\n"
#define SMALL "input: {height: 16, width: 16, channels: 1}\n"

/* A network that gives a class to every pixel learns from masks of its size, with no values that it does not know. */
static void masks_have_the_classes(void **state) {
    (void)state;
    char root[] = "/tmp/msfl-data-XXXXXX", folder[64], without[64], sealed[64], path[64], command[96];
    assert_non_null(mkdtemp(root));
    snprintf(folder, sizeof folder, "%s/set", root);
    snprintf(without, sizeof without, "%s/without", root);
    snprintf(sealed, sizeof sealed, "%s/sealed", root);
    snprintf(path, sizeof path, "%s/key", root);
    make_set(folder, HASH, NULL, 2);
    make_set(without, HASH, NULL, 0);
    assert_int_equal(open_for(PIXELS BIG "classes: [none, a, b]\n", folder, NULL, true), MSFL_OK);
    assert_int_equal(open_for(PIXELS BIG "classes: [none, a, b]\nrecipe: " HASH "\n", folder, NULL, true), MSFL_OK);
    assert_int_equal(open_for(PIXELS BIG "classes: [none, a, b]\nrecipe: " OTHER "\n", folder, NULL, false),
                     MSFL_ERR_POLICY);
    assert_int_equal(open_for(PIXELS BIG "classes: [none, a]\n", folder, NULL, true), MSFL_ERR_MISMATCH);
    assert_non_null(strstr(msfl_error_message(), "values up to 2"));
    assert_int_equal(open_for(PIXELS BIG "classes: [none, a, b]\n", without, NULL, true), MSFL_ERR_DATA);
    assert_int_equal(open_for(PIXELS SMALL "classes: [none, a, b]\n", folder, NULL, true), MSFL_ERR_DATA);
    assert_non_null(strstr(msfl_error_message(), "16 x 16"));
    msfl_hospital *key;
    assert_int_equal(msfl_hospital_make(path), MSFL_OK);
    assert_int_equal(msfl_hospital_read(path, &key), MSFL_OK);
    make_set(sealed, HASH, key, 2);
    msfl_hospital_free(key);
    assert_int_equal(open_for(PIXELS BIG "classes: [none, a, b]\n", sealed, path, true), MSFL_OK);
    snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);
}

/* A job's flips: what the recipe allows, or, without one, what the operator says; nothing unsaid. */
static void flips_are_the_recipes(void **state) {
    (void)state;
    static const char *const jobs[] = {
        JOB, JOB "flip_horizontal: true\n", JOB "augmentation: \"default,flip-horizontal\"\n",
        JOB "augmentation: \"none,flip-vertical\"\n", JOB "augment: false\nflip_horizontal: true\n"};
    static const struct {
        const char *said; /* of the set; "-": there is no recipe, "": it does not say */
        msfl_laterality site;
        bool may[5];
    } cases[] = {{"", MSFL_LATERALITY_UNSAID, {true, false, false, false, true}},
                 {"matters", MSFL_LATERALITY_UNORIENTED, {true, false, false, false, true}}, /* the recipe counts */
                 {"irrelevant", MSFL_LATERALITY_UNSAID, {true, true, true, false, true}},
                 {"unoriented", MSFL_LATERALITY_MATTERS, {true, true, true, true, true}},
                 {"-", MSFL_LATERALITY_UNSAID, {true, false, false, false, true}},
                 {"-", MSFL_LATERALITY_MATTERS, {true, false, false, false, true}},
                 {"-", MSFL_LATERALITY_IRRELEVANT, {true, true, true, false, true}},
                 {"-", MSFL_LATERALITY_UNORIENTED, {true, true, true, true, true}}};
    char root[] = "/tmp/msfl-flips-XXXXXX", folder[64], phantom[] = "phantom", command[96];
    assert_non_null(mkdtemp(root));
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        const bool bare = strcmp(cases[c].said, "-") == 0;
        snprintf(folder, sizeof folder, "%s/set-%zu", root, c);
        if (!bare) make_lateral(folder, HASH, cases[c].said[0] != 0 ? cases[c].said : NULL, NULL, 0);
        const client_site site = {.path = bare ? phantom : folder, .laterality = cases[c].site};
        for (size_t j = 0; j < 5; j++) {
            job_spec spec;
            assert_int_equal(job_spec_parse("job", jobs[j], strlen(jobs[j]), true, &spec), MSFL_OK);
            msfl_status status = client_data_permits(&site, &spec);
            assert_int_equal(status, cases[c].may[j] ? MSFL_OK : MSFL_ERR_POLICY);
            if (status != MSFL_OK) {
                assert_non_null(strstr(msfl_error_message(), "laterality: "));
                assert_null(strstr(msfl_error_message(), root)); /* others may read it */
            }
            if (!bare) assert_int_equal(open_for(jobs[j], folder, NULL, true) == MSFL_OK, cases[c].may[j]);
            job_spec_clear(&spec);
        }
    }
    snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);
}

static void the_recipe_is_in_the_jobs_hash(void **state) {
    (void)state;
    job_spec spec;
    char *without, *with;
    assert_int_equal(job_spec_parse("job", JOB, strlen(JOB), true, &spec), MSFL_OK);
    assert_int_equal(job_spec_text(&spec, &without), MSFL_OK);
    assert_null(strstr(without, "recipe"));
    job_spec_clear(&spec);
    assert_int_equal(job_spec_parse("job", JOB "recipe: " HASH "\n", strlen(JOB "recipe: " HASH "\n"), true, &spec),
                     MSFL_OK);
    assert_int_equal(job_spec_text(&spec, &with), MSFL_OK);
    assert_non_null(strstr(with, "\"recipe\":\"" HASH "\""));
    job_spec_clear(&spec);
    msfl_free(with);
    msfl_free(without);
    /* Its name goes into files of models, and means nothing alone. */
    static const char named[] = JOB "recipe: " HASH "\nrecipe_name: chest, 128 x 128\n";
    char hash[2 * MSFL_HASH_BYTES + 1];
    assert_int_equal(job_spec_parse("job", named, sizeof named - 1, true, &spec), MSFL_OK);
    const msfl_model_facts facts = job_spec_facts(&spec, hash);
    assert_string_equal(facts.recipe, HASH);
    assert_string_equal(facts.recipe_name, "chest, 128 x 128");
    job_spec_clear(&spec);
    assert_int_equal(job_spec_parse("job", JOB "recipe_name: x\n", strlen(JOB "recipe_name: x\n"), true, &spec),
                     MSFL_ERR_USAGE);
    job_spec_clear(&spec);
}

/* Of eight images a multiple takes part, whatever the job's fractions: what is over is in no part of any job, and the
 * parts are those of a set that never had it. */
static void a_multiple_takes_part(void **state) {
    (void)state;
    static const uint32_t multiples[] = {1, 2, 3, 4, 5, 8, 9};
    static const char *const fractions[] = {"seed: 1\n", "seed: 2\ntest_fraction: 0.2\n",
                                            "seed: 3\ntest_fraction: 0.2\nvalidation_fraction: 0.3\n"};
    char root[] = "/tmp/msfl-data-XXXXXX", folder[64], text[512], command[96];
    assert_non_null(mkdtemp(root));
    snprintf(folder, sizeof folder, "%s/set", root);
    make_set(folder, HASH, NULL, 0);
    client_site site = {.path = folder, .n_threads = 1};
    for (size_t m = 0; m < sizeof multiples / sizeof multiples[0]; m++) {
        uint32_t always = 0; /* a bit for each image that took part in the first job */
        for (size_t f = 0; f < sizeof fractions / sizeof fractions[0]; f++) {
            job_spec spec;
            job_shape *shape = NULL;
            client_data data = {0};
            snprintf(text, sizeof text, "%.*s%s", (int)(strstr(JOB, "test_fraction") - JOB), JOB,
                     f == 0   ? "test_fraction: 0\nvalidation_fraction: 0\n"
                     : f == 1 ? "validation_fraction: 0\n"
                              : "");
            strcat(text, fractions[f]);
            assert_int_equal(job_spec_parse("job", text, strlen(text), true, &spec), MSFL_OK);
            assert_int_equal(job_shape_new(&spec, &shape), MSFL_OK);
            const msfl_status status = client_data_open(&site, shape, multiples[m], NULL, &data);
            if (multiples[m] > N) {
                assert_int_equal(status, MSFL_ERR_DATA);
                assert_non_null(strstr(msfl_error_message(), "multiple_of"));
            } else if (status == MSFL_OK) { /* three images may leave a part without any */
                const msfl_indices *parts[] = {&data.holding.train, &data.holding.validation, &data.test};
                uint32_t n = 0, taken = 0;
                for (int p = 0; p < 3; p++) {
                    for (uint32_t i = 0; i < parts[p]->n; i++, n++)
                        taken |= 1u << parts[p]->at[i];
                }
                assert_int_equal(n, N - N % multiples[m]);
                if (f == 0) always = taken;
                assert_int_equal(taken, always);
            } else {
                assert_int_equal(status, MSFL_ERR_DATA);
                assert_true(f > 0 && multiples[m] > 2);
            }
            client_data_clear(&data);
            job_shape_free(shape);
            job_spec_clear(&spec);
        }
    }
    /* a share of somebody else's data has no count of its own */
    job_spec spec;
    job_shape *shape = NULL;
    client_data data = {0};
    char iid[] = "iid";
    site.share = (client_share){.of = 2, .partition = iid};
    assert_int_equal(job_spec_parse("job", JOB, strlen(JOB), true, &spec), MSFL_OK);
    assert_int_equal(job_shape_new(&spec, &shape), MSFL_OK);
    assert_int_equal(client_data_open(&site, shape, 2, NULL, &data), MSFL_ERR_USAGE);
    client_data_clear(&data);
    job_shape_free(shape);
    job_spec_clear(&spec);
    snprintf(command, sizeof command, "rm -rf %s", root);
    assert_int_equal(system(command), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_recipe_is_the_jobs), cmocka_unit_test(flips_are_the_recipes),
        cmocka_unit_test(masks_have_the_classes), cmocka_unit_test(the_recipe_is_in_the_jobs_hash),
        cmocka_unit_test(a_multiple_takes_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
