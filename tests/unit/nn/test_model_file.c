#include "base/file.h"
#include "common.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const char small[] = "name: small\n"
                            "input: {height: 8, width: 8, channels: 2}\n"
                            "classes: 3\n"
                            "layers:\n"
                            "  - conv: {filters: 4, kernel: 3}\n"
                            "  - batch_norm: {activation: relu}\n"
                            "  - max_pool\n"
                            "  - group_norm: {groups: 2}\n"
                            "  - flatten\n"
                            "  - dense: {units: classes}\n";

static char folder[64];

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/msfl-test-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static size_t entries(void) {
    char **names;
    size_t n;
    assert_ok(msfl_folder_list(folder, 1000, &names, &n));
    msfl_names_free(names, n);
    return n;
}

static int remove_folder(void **state) {
    (void)state;
    char **names;
    size_t n;
    if (msfl_folder_list(folder, 1000, &names, &n) != MSFL_OK) return 1;
    for (size_t i = 0; i < n; i++) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    msfl_names_free(names, n);
    return rmdir(folder);
}

static const char *path_of(const char *name) {
    static char path[200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static float *weights_for(const msfl_model *model) {
    size_t n = msfl_model_info_borrow(model)->n_values;
    float *weights = calloc(n, sizeof *weights);
    msfl_model_init(model, 3, weights);
    for (size_t i = 0; i < n; i++)
        weights[i] += (float)i * 1e-3f; /* no two alike, zeros and ones neither */
    return weights;
}

static void saved_files_load(void **state) {
    (void)state;
    msfl_model *model = model_of(small);
    size_t n = msfl_model_info_borrow(model)->n_values;
    float *weights = weights_for(model);
    const char *const names[] = {"normal", "bacterial", "virale Pneumonie \xc3\xa4"};
    assert_ok(msfl_model_save(path_of("a.h5"), model, weights,
                              &(msfl_model_facts){.class_names = names, .normalise = "image"}));
    assert_int_equal(entries(), 1);
    msfl_model *loaded;
    float *values;
    msfl_model_extra extra;
    assert_ok(msfl_model_load(path_of("a.h5"), &loaded, &values, &extra));
    assert_string_equal(msfl_model_yaml(loaded), msfl_model_yaml(model));
    assert_memory_equal(values, weights, n * sizeof *values);
    assert_int_equal(extra.n_classes, 3);
    for (int c = 0; c < 3; c++)
        assert_string_equal(extra.class_names[c], names[c]);
    assert_string_equal(extra.normalise, "image");
    msfl_model_extra_clear(&extra);
    msfl_floats_free(values);
    msfl_model_free(loaded);
    /* The same bytes a second time, replacing the first file; nothing optional this time. */
    uint8_t *first, *second;
    size_t n_first, n_second;
    assert_ok(msfl_file_read(path_of("a.h5"), 1 << 20, &first, &n_first));
    sleep(1); /* a time of day in the file would show */
    assert_ok(msfl_model_save(path_of("a.h5"), model, weights,
                              &(msfl_model_facts){.class_names = names, .normalise = "image"}));
    assert_ok(msfl_file_read(path_of("a.h5"), 1 << 20, &second, &n_second));
    assert_int_equal(n_first, n_second);
    assert_memory_equal(first, second, n_first);
    msfl_free(first);
    msfl_free(second);
    assert_ok(msfl_model_save(path_of("b.h5"), model, weights, NULL));
    assert_ok(msfl_model_load(path_of("b.h5"), &loaded, &values, &extra));
    assert_null(extra.class_names);
    assert_null(extra.normalise);
    msfl_model_extra_clear(&extra);
    msfl_floats_free(values);
    msfl_model_free(loaded);
    free(weights);
    msfl_model_free(model);
}

static void the_recipe_is_named(void **state) {
    (void)state;
    static const char hash[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    static const struct {
        const char *recipe, *name;
        bool good;
    } cases[] = {
        {NULL, NULL, true},
        {hash, NULL, true},
        {hash, "hippocampus, coronal \xc3\xa4", true},
        {NULL, "without a hash", false},
        {"00112233", NULL, false},
        {"0011223344556677889 aabbccddeeff00112233445566778899aabbccddeef", NULL, false},
        {hash, "clears the screen \x1b[2J", false},
        {hash, "a name of more than sixty-three bytes, which is more than any recipe has, and so none", false}};
    msfl_model *model = model_of(small), *loaded;
    float *weights = weights_for(model), *values;
    msfl_model_extra extra;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const msfl_model_facts facts = {.recipe = cases[i].recipe, .recipe_name = cases[i].name};
        assert_ok(msfl_model_save(path_of("r.h5"), model, weights, &facts));
        msfl_status status = msfl_model_load(path_of("r.h5"), &loaded, &values, &extra);
        assert_int_equal(status, cases[i].good ? MSFL_OK : MSFL_ERR_FORMAT);
        if (!cases[i].good) continue;
        assert_true(cases[i].recipe == NULL ? extra.recipe == NULL : strcmp(extra.recipe, cases[i].recipe) == 0);
        assert_true(cases[i].name == NULL ? extra.recipe_name == NULL : strcmp(extra.recipe_name, cases[i].name) == 0);
        msfl_model_extra_clear(&extra);
        msfl_floats_free(values);
        msfl_model_free(loaded);
    }
    free(weights);
    msfl_model_free(model);
    assert_int_equal(unlink(path_of("r.h5")), 0);
}

static void what_is_not_finite_is_not_written(void **state) {
    (void)state;
    msfl_model *model = model_of(small);
    float *weights = weights_for(model);
    weights[17] = NAN;
    assert_int_equal(msfl_model_save(path_of("c.h5"), model, weights, NULL), MSFL_ERR_NUMERIC);
    assert_int_equal(access(path_of("c.h5"), F_OK), -1);
    free(weights);
    msfl_model_free(model);
}

/* A full disk, as far as a process can make one for itself: no file may grow. */
static void full_disk_leaves_nothing(void **state) {
    (void)state;
    if (getenv("MSFL_SANITIZED") != NULL) skip();
    msfl_model *model = model_of(small);
    float *weights = weights_for(model);
    size_t before = entries();
    struct rlimit old, tight;
    getrlimit(RLIMIT_FSIZE, &old);
    tight = (struct rlimit){4096, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &tight);
    msfl_status status = msfl_model_save(path_of("d.h5"), model, weights, NULL);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(status, MSFL_ERR_IO);
    assert_int_equal(entries(), before);
    assert_int_equal(msfl_model_save("/nonexistent/folder/d.h5", model, weights, NULL), MSFL_ERR_MISSING);
    free(weights);
    msfl_model_free(model);
}

/* Loads what may be anything. What loads must be what a model is: finite, and as long as the architecture says. */
static bool try_load(const uint8_t *bytes, size_t length) {
    FILE *f = fopen(path_of("mutant.h5"), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, length, f), length);
    fclose(f);
    msfl_model *model = (msfl_model *)(uintptr_t)1;
    float *weights = (float *)(uintptr_t)1;
    msfl_model_extra extra;
    msfl_status status = msfl_model_load(path_of("mutant.h5"), &model, &weights, &extra);
    if (status != MSFL_OK) {
        assert_null(model);
        assert_null(weights);
        assert_null(extra.class_names);
        /* Damage may look like another architecture, or one that is too large; it is never our own failure. */
        assert_true(status == MSFL_ERR_FORMAT || status == MSFL_ERR_UNSUPPORTED || status == MSFL_ERR_MISMATCH ||
                    status == MSFL_ERR_LIMIT);
        return false;
    }
    for (uint64_t i = 0; i < msfl_model_info_borrow(model)->n_values; i++)
        assert_true(isfinite(weights[i]));
    msfl_model_extra_clear(&extra);
    msfl_floats_free(weights);
    msfl_model_free(model);
    return true;
}

static size_t mutations_wanted(void) {
    const char *text = getenv("MSFL_TEST_MUTATIONS");
    if (text != NULL) return strtoul(text, NULL, 10);
    return getenv("MSFL_SANITIZED") != NULL ? 200 : 800;
}

static void any_bytes_are_answered(void **state) {
    (void)state;
    msfl_model *model = model_of(small);
    float *weights = weights_for(model);
    const char *const names[] = {"a", "b", "c"};
    assert_ok(msfl_model_save(path_of("good.h5"), model, weights,
                              &(msfl_model_facts){.class_names = names, .normalise = "image"}));
    uint8_t *good;
    size_t length;
    assert_ok(msfl_file_read(path_of("good.h5"), 1 << 20, &good, &length));
    assert_true(try_load(good, length));
    assert_false(try_load(good, 0));
    size_t wanted = mutations_wanted(), n_loaded = 0;
    uint8_t *mutant = malloc(length + 100);
    for (size_t i = 0; i < wanted / 10; i++)
        assert_false(try_load(good, i * length / (wanted / 10))); /* cut off */
    msfl_seeded g;
    msfl_seeded_init(&g, 1, "test.mutations", 0, 0, 0);
    for (size_t i = 0; i < wanted; i++) {
        memcpy(mutant, good, length);
        /* Most of the file is numbers, which may be anything: look for structure, near its text and signatures too. */
        uint64_t n_changes = 1 + msfl_seeded_below(&g, 4);
        for (uint64_t c = 0; c < n_changes; c++) {
            size_t at = (size_t)msfl_seeded_below(&g, length);
            switch (msfl_seeded_below(&g, 5)) {
            case 0:
                mutant[at] ^= (uint8_t)(1u << msfl_seeded_below(&g, 8));
                break;
            case 1:
                mutant[at] = 0xff;
                break;
            case 2:
                mutant[at] = 0;
                break;
            case 3: /* a piece of the file over another */
                if (length - at > 16) memcpy(mutant + at, good + msfl_seeded_below(&g, length - 16), 16);
                break;
            default:
                mutant[at] = (uint8_t)msfl_seeded_below(&g, 256);
                break;
            }
        }
        n_loaded += try_load(mutant, length);
    }
    print_message("%zu of %zu mutants still load\n", n_loaded, wanted);
    assert_true(n_loaded < wanted);
    free(mutant);
    msfl_free(good);
    free(weights);
    msfl_model_free(model);
}

static void other_files_are_refused(void **state) {
    (void)state;
    msfl_model *model;
    float *weights;
    assert_int_equal(msfl_model_load(path_of("none.h5"), &model, &weights, NULL), MSFL_ERR_MISSING);
    assert_int_not_equal(msfl_model_load(folder, &model, &weights, NULL), MSFL_OK);
    assert_false(try_load((const uint8_t *)"\x89HDF\r\n\x1a\n", 8));
    assert_false(try_load((const uint8_t *)"hello", 5));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(saved_files_load),
        cmocka_unit_test(the_recipe_is_named),
        cmocka_unit_test(what_is_not_finite_is_not_written),
        cmocka_unit_test(full_disk_leaves_nothing),
        cmocka_unit_test(any_bytes_are_answered),
        cmocka_unit_test(other_files_are_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
