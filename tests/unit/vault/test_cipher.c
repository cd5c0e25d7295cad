#include "common.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { N = 20000 }; /* several chunks */

typedef struct world {
    const char *folder;
    msfl_keyfile *public, *secret;
    msfl_unlock *unlock;
    float *values;
    msfl_content content;
} world;

static world world_new(const char *folder, const msfl_key_spec *spec) {
    world w = {.folder = folder, .unlock = passphrase_of(PASSPHRASE)};
    ok(msfl_keystore_create(at(folder, "keys"), spec, w.unlock, NULL));
    ok(msfl_keyfile_read(at(folder, "keys/public.msk"), &w.public));
    ok(msfl_keyfile_read(at(folder, "keys/secret.msk"), &w.secret));
    w.values = calloc(N, sizeof *w.values);
    for (int i = 0; i < N; i++)
        w.values[i] = (float)sin(i) * 7.9f;
    w.content = (msfl_content){.kind = MSFL_CONTENT_VECTOR, .n_values = N, .rank = 2, .dims = {N / 2, 2}};
    return w;
}

static void world_clear(world *w) {
    msfl_keyfile_free(w->public);
    msfl_keyfile_free(w->secret);
    msfl_unlock_free(w->unlock);
    free(w->values);
}

static msfl_status encrypt(const world *w, const char *path, uint64_t round) {
    const msfl_cipher_options options = {.round = round};
    return msfl_cipher_encrypt(w->public, &w->content, w->values, &options, path, NULL);
}

static msfl_status decrypt(const world *w, const char *path, float *mean, float *sum, msfl_opened *opened) {
    msfl_cipher *c;
    msfl_status status = msfl_cipher_open(path, &c);
    if (status != MSFL_OK) return status;
    status = msfl_cipher_decrypt(c, w->secret, w->unlock, NULL, mean, sum, opened);
    for (uint64_t i = 0; status != MSFL_OK && mean != NULL && i < msfl_cipher_info_borrow(c)->content.n_values; i++)
        assert_true(mean[i] == 0);
    msfl_cipher_free(c);
    return status;
}

static msfl_status verify(const char *path) {
    msfl_cipher *c;
    msfl_status status = msfl_cipher_open(path, &c);
    if (status != MSFL_OK) return status;
    status = msfl_cipher_verify(c, NULL);
    msfl_cipher_free(c);
    return status;
}

static void sums_are_within_the_bound(void **state) {
    msfl_key_spec spec = small_spec("bfv");
    spec.samples_max = 100;
    world w = world_new(*state, &spec);
    const uint64_t samples[3] = {100, 7, 50};
    const char *paths[3] = {at(*state, "a"), at(*state, "b"), at(*state, "c")};
    double *exact = calloc(N, sizeof *exact);
    for (int f = 0; f < 3; f++) {
        for (int i = 0; i < N; i++) {
            w.values[i] = (float)cos(i * (f + 1)) * 8;
            exact[i] += (double)samples[f] * w.values[i];
        }
        const msfl_cipher_options options = {.samples = samples[f], .round = 3};
        ok(msfl_cipher_encrypt(w.public, &w.content, w.values, &options, paths[f], NULL));
    }
    /* in two steps: sums add again */
    ok(msfl_cipher_add(paths, 2, NULL, at(*state, "ab")));
    ok(msfl_cipher_add((const char *[]){at(*state, "ab"), paths[2]}, 2, NULL, at(*state, "abc")));
    ok(verify(at(*state, "abc")));
    float *mean = calloc(N, sizeof *mean), *sum = calloc(N, sizeof *sum);
    msfl_opened opened;
    ok(decrypt(&w, at(*state, "abc"), mean, sum, &opened));
    assert_int_equal(opened.n_addends, 3);
    assert_int_equal(opened.samples, 157);
    double worst = 0;
    for (int i = 0; i < N; i++) {
        worst = fmax(worst, fabs(mean[i] - exact[i] / 157));
        assert_true(fabs(mean[i] - exact[i] / 157) <= opened.error_bound);
        assert_true(fabs(sum[i] - exact[i]) <= opened.error_bound * 157 + fabs(exact[i]) * 1.2e-7);
    }
    assert_true(worst > opened.error_bound / 100); /* the bound means something */

    /* a weight that the key does not allow; the output stays away */
    const msfl_cipher_options heavy = {.samples = 101};
    assert_int_equal(msfl_cipher_encrypt(w.public, &w.content, w.values, &heavy, at(*state, "d"), NULL),
                     MSFL_ERR_LIMIT);
    assert_false(msfl_file_exists(at(*state, "d")));
    free(exact);
    free(mean);
    free(sum);
    world_clear(&w);
}

static void what_cannot_be_added(void **state) {
    msfl_key_spec spec = small_spec("bfv");
    world w = world_new(*state, &spec), other = world_new(at(*state, "other"), &spec);
    const char *a = at(*state, "a"), *b = at(*state, "b"), *sum = at(*state, "sum");
    ok(encrypt(&w, a, 1));
    ok(encrypt(&w, b, 1));
    assert_int_equal(encrypt(&w, b, 1), MSFL_ERR_EXISTS);
    ok(encrypt(&other, at(*state, "key"), 1));
    ok(encrypt(&w, at(*state, "round"), 2));
    w.content.dims[0] = 2;
    w.content.dims[1] = N / 2;
    ok(encrypt(&w, at(*state, "shape"), 1));
    w.content = (msfl_content){.kind = MSFL_CONTENT_VECTOR, .n_values = 5, .rank = 1, .dims = {5}};
    ok(encrypt(&w, at(*state, "length"), 1));
    static const char *const names[] = {"x", "y"}, *const swapped[] = {"y", "x"};
    w.content = (msfl_content){.kind = MSFL_CONTENT_MODEL,
                               .n_values = N,
                               .model_yaml = "m: 1",
                               .n_names = 2,
                               .class_names = names,
                               .normalise = "image"};
    ok(encrypt(&w, at(*state, "model"), 1));
    w.content.class_names = swapped;
    ok(encrypt(&w, at(*state, "classes"), 1));
    w.content.class_names = names;
    w.content.recipe = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    ok(encrypt(&w, at(*state, "recipe"), 1));
    msfl_cipher *named;
    ok(msfl_cipher_open(at(*state, "recipe"), &named));
    assert_string_equal(msfl_cipher_info_borrow(named)->content.recipe, w.content.recipe);
    assert_string_equal(msfl_cipher_info_borrow(named)->content.normalise, "image");
    msfl_cipher_free(named);
    w.content.recipe = "0011";
    assert_int_equal(encrypt(&w, at(*state, "no recipe"), 1), MSFL_ERR_USAGE);
    w.content.recipe = NULL;
    static const struct {
        const char *first, *second, *says;
    } cases[] = {{"a", "key", "key"},
                 {"a", "round", "round 2"},
                 {"a", "shape", "shapes"},
                 {"a", "length", "lengths"},
                 {"a", "model", "plain vector"},
                 {"model", "classes", "class names"},
                 {"model", "recipe", "different recipes"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *paths[] = {at(*state, cases[i].first), at(*state, cases[i].second)};
        assert_int_equal(msfl_cipher_add(paths, 2, NULL, sum), MSFL_ERR_MISMATCH);
        if (strstr(msfl_error_message(), cases[i].says) == NULL) print_error("%s\n", msfl_error_message());
        assert_non_null(strstr(msfl_error_message(), cases[i].says));
        assert_false(msfl_file_exists(sum));
    }
    assert_int_equal(msfl_cipher_add((const char *[]){a, b, a}, 3, NULL, sum), MSFL_ERR_EXISTS);
    ok(msfl_cipher_add((const char *[]){a, b}, 2, NULL, sum));
    assert_int_equal(msfl_cipher_add((const char *[]){sum, b}, 2, NULL, at(*state, "twice")), MSFL_ERR_EXISTS);
    assert_int_equal(msfl_cipher_add((const char *[]){a, b}, 2, NULL, sum), MSFL_ERR_EXISTS);
    const msfl_cipher_options force = {.replace = true};
    ok(msfl_cipher_add((const char *[]){a, b}, 2, &force, sum));
    assert_int_equal(msfl_cipher_add(NULL, 0, NULL, sum), MSFL_ERR_USAGE);

    /* four is what the key is for */
    w.content = (msfl_content){.kind = MSFL_CONTENT_VECTOR, .n_values = N, .rank = 2, .dims = {N / 2, 2}};
    const char *five[] = {a, b, at(*state, "c"), at(*state, "d"), at(*state, "e")};
    for (size_t i = 2; i < 5; i++)
        ok(encrypt(&w, five[i], 1));
    assert_int_equal(msfl_cipher_add(five, 5, NULL, at(*state, "five")), MSFL_ERR_LIMIT);
    ok(msfl_cipher_add(five, 4, NULL, at(*state, "four")));
    assert_int_equal(msfl_cipher_add((const char *[]){at(*state, "four"), five[4]}, 2, NULL, at(*state, "five")),
                     MSFL_ERR_LIMIT);

    /* halves in the wrong place, and another key */
    float *out = calloc(N, sizeof *out);
    msfl_cipher *c;
    ok(msfl_cipher_open(sum, &c));
    assert_int_equal(msfl_cipher_decrypt(c, w.public, w.unlock, NULL, out, NULL, NULL), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_cipher_decrypt(c, other.secret, w.unlock, NULL, out, NULL, NULL), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_cipher_encrypt(w.secret, &w.content, w.values, NULL, at(*state, "f"), NULL),
                     MSFL_ERR_MISMATCH);
    msfl_cipher_free(c);
    free(out);
    world_clear(&w);
    world_clear(&other);
}

/* --- damage --- */

typedef struct bytes {
    uint8_t *p;
    size_t n;
} bytes;

static bytes slurp(const char *path) {
    bytes b;
    ok(msfl_file_read(path, (size_t)64 << 20, &b.p, &b.n));
    return b;
}

/* Whatever is done to the file, neither check, sum nor decryption takes it, and no output appears. */
static void assert_refused(const world *w, const uint8_t *p, size_t n, bool thorough) {
    const char *bad = at(w->folder, "bad"), *sum = at(w->folder, "bad-sum");
    ok(msfl_file_write(bad, p, n));
    assert_int_not_equal(verify(bad), MSFL_OK);
    if (!thorough) return;
    float *out = malloc(N * sizeof *out);
    memset(out, 1, N * sizeof *out);
    msfl_status status = decrypt(w, bad, out, NULL, NULL);
    assert_int_not_equal(status, MSFL_OK);
    const char *paths[] = {at(w->folder, "a"), bad};
    assert_int_not_equal(msfl_cipher_add(paths, 2, NULL, sum), MSFL_OK);
    assert_int_not_equal(msfl_cipher_add(paths + 1, 1, NULL, sum), MSFL_OK);
    assert_false(msfl_file_exists(sum));
    free(out);
}

static void every_kind_of_damage_is_named(void **state) {
    msfl_key_spec spec = small_spec("bfv");
    world w = world_new(*state, &spec);
    ok(encrypt(&w, at(*state, "a"), 1));
    ok(encrypt(&w, at(*state, "b"), 1));
    bytes a = slurp(at(*state, "a")), b = slurp(at(*state, "b"));
    msfl_cipher *c;
    ok(msfl_cipher_open(at(*state, "b"), &c));
    const size_t head = msfl_load32(b.p + 12);
    const uint64_t n_chunks = msfl_cipher_info_borrow(c)->n_chunks;
    msfl_cipher_free(c);
    assert_in_range(n_chunks, 3, 10);
    size_t starts[12] = {head};
    for (uint64_t j = 0; j < n_chunks; j++)
        starts[j + 1] = starts[j] + VAULT_CHUNK_HEAD_BYTES + msfl_load32(b.p + starts[j] + 8) + MSFL_HASH_BYTES;
    assert_int_equal(starts[n_chunks] + VAULT_END_BYTES, b.n);

    /* every byte of the header and of the end, and a sample of the rest */
    for (size_t i = 0; i < b.n; i += i < head + 64 || i + VAULT_END_BYTES + 40 >= b.n ? 1 : 4999) {
        b.p[i] ^= 1 << (i % 8);
        assert_refused(&w, b.p, b.n, i % 16 == 0);
        b.p[i] ^= 1 << (i % 8);
    }
    /* cut off anywhere; something after the end */
    for (size_t cut = 0; cut < b.n; cut += cut < head + 40 ? 7 : 9973)
        assert_refused(&w, b.p, cut, cut % 4 == 0);
    for (uint64_t j = 0; j <= n_chunks; j++)
        assert_refused(&w, b.p, starts[j], true);
    uint8_t *longer = malloc(b.n + 1);
    memcpy(longer, b.p, b.n);
    longer[b.n] = 0;
    assert_refused(&w, longer, b.n + 1, true);
    free(longer);

    /* chunk 1 twice, 0 and 1 swapped, 1 left out, 1 from the other file (same label, same place) */
    size_t size = starts[2] - starts[1];
    assert_int_equal(size, starts[1] - starts[0]);
    uint8_t *p = malloc(b.n);
    memcpy(p, b.p, b.n);
    memcpy(p + starts[0], b.p + starts[1], size);
    assert_refused(&w, p, b.n, true);
    assert_non_null(strstr(msfl_error_message(), "chunk 1 stands where chunk 0 belongs"));
    memcpy(p + starts[1], b.p + starts[0], size);
    assert_refused(&w, p, b.n, true);
    memcpy(p, b.p, b.n);
    memmove(p + starts[1], p + starts[2], b.n - starts[2]);
    assert_refused(&w, p, b.n - size, true);
    memcpy(p, b.p, b.n);
    memcpy(p + starts[1], a.p + starts[1], size);
    assert_refused(&w, p, b.n, true);
    assert_non_null(strstr(msfl_error_message(), "another file"));
    free(p);

    /* another version is named as such */
    b.p[8] = 2;
    ok(msfl_file_write(at(*state, "v2"), b.p, b.n));
    assert_int_equal(verify(at(*state, "v2")), MSFL_ERR_UNSUPPORTED);
    msfl_free(a.p);
    msfl_free(b.p);
    world_clear(&w);
}

/* --- nothing partial --- */

static void assert_only(const char *folder, const char *const *names, size_t n) {
    char **found;
    size_t n_found;
    ok(msfl_folder_list(folder, 100, &found, &n_found));
    for (size_t i = 0; i < n_found && i < n; i++)
        assert_string_equal(found[i], names[i]);
    assert_int_equal(n_found, n);
    msfl_names_free(found, n_found);
}

static void no_output_is_ever_partial(void **state) {
    msfl_key_spec spec = small_spec("bfv");
    world w = world_new(*state, &spec);
    const char *out = at(*state, "out"), *file = at(out, "a");
    static const char *const one[] = {"a"};
    ok(msfl_folder_make(out));
    for (long k = 1;; k++) { /* every create, write, sync and rename fails once */
        msfl_file_fault_at(k, false);
        msfl_status status = encrypt(&w, file, 1);
        bool finished = msfl_file_steps() < k;
        msfl_file_fault_at(0, false);
        assert_int_equal(status, finished ? MSFL_OK : MSFL_ERR_IO);
        assert_only(out, one, finished ? 1 : 0);
        if (finished) break;
    }
    /* the disk is full: no file of this process may be longer than so */
    struct rlimit before, limit;
    getrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_IGN);
    limit = before;
    struct stat info;
    assert_int_equal(stat(file, &info), 0);
    for (int part = 0; part < 6; part++) {
        limit.rlim_cur = part == 5 ? (rlim_t)info.st_size - 1 : (rlim_t)(info.st_size / 5 * part);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        msfl_status encrypted = encrypt(&w, at(out, "b"), 1);
        msfl_status added = msfl_cipher_add(&file, 1, NULL, at(out, "b"));
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(encrypted, MSFL_ERR_IO);
        assert_int_equal(added, MSFL_ERR_IO);
        assert_only(out, one, 1);
    }
    assert_int_not_equal(encrypt(&w, "/dev/full", 1), MSFL_OK); /* there already, and not to be replaced */
    /* killed while it writes: the name never stands for something half done */
    for (long k = 1; k < 30; k += 3) {
        fflush(NULL);
        pid_t child = fork();
        if (child == 0) {
            msfl_file_fault_at(k, true);
            _exit(encrypt(&w, at(out, "b"), 1) == MSFL_OK ? 0 : 1);
        }
        int how;
        assert_int_equal(waitpid(child, &how, 0), child);
        if (msfl_file_exists(at(out, "b"))) ok(verify(at(out, "b")));
        ok(msfl_folder_clean(out, ""));
        remove(at(out, "b"));
        assert_only(out, one, 1);
    }
    world_clear(&w);
}

/* Every allocation fails once: a status, and no output. */
static void out_of_memory(void **state) {
    msfl_key_spec spec = small_spec("bfv");
    world w = world_new(*state, &spec);
    static const char *const names[] = {"one", "two"};
    w.content = (msfl_content){.kind = MSFL_CONTENT_MODEL,
                               .n_values = 5,
                               .model_yaml = "m: 1",
                               .n_names = 2,
                               .class_names = names,
                               .normalise = "image"};
    const char *out = at(*state, "out"), *files[] = {at(out, "a"), at(out, "b")}, *sum = at(out, "sum");
    float mean[5];
    int in_a_row = 0;
    for (long k = 1; in_a_row < 10; k++) {
        ok(msfl_folder_make(out));
        msfl_alloc_fail_at(k);
        msfl_status a = encrypt(&w, files[0], 1);
        msfl_status b = a == MSFL_OK ? encrypt(&w, files[1], 1) : a;
        msfl_status c = b == MSFL_OK ? msfl_cipher_add(files, 2, NULL, sum) : b;
        msfl_status d = c == MSFL_OK ? decrypt(&w, sum, mean, NULL, NULL) : c;
        msfl_status e = d == MSFL_OK ? verify(sum) : d;
        msfl_alloc_fail_at(0);
        assert_true(e == MSFL_OK || e == MSFL_ERR_MEMORY);
        assert_int_equal(msfl_file_exists(files[0]), a == MSFL_OK);
        assert_int_equal(msfl_file_exists(files[1]), b == MSFL_OK);
        assert_int_equal(msfl_file_exists(sum), c == MSFL_OK);
        in_a_row = e == MSFL_OK ? in_a_row + 1 : 0;
        remove(files[0]);
        remove(files[1]);
        remove(sum);
        assert_int_equal(rmdir(out), 0); /* nothing else was in it */
        assert_true(k < 10000);
    }
    world_clear(&w);
}

/* An observer that stops at the second chunk. */
static int stop;
static void watch(void *ctx, const msfl_event *event) {
    (void)ctx;
    if (event->kind == MSFL_EVENT_PROGRESS && event->done == 2) stop = 1;
}

static void it_stops_when_asked(void **state) {
    msfl_key_spec spec = small_spec("bfv");
    world w = world_new(*state, &spec);
    const msfl_observer observer = {watch, NULL, &stop};
    const msfl_cipher_options options = {.observer = &observer};
    stop = 0;
    assert_int_equal(msfl_cipher_encrypt(w.public, &w.content, w.values, &options, at(*state, "a"), NULL),
                     MSFL_ERR_CANCELLED);
    assert_false(msfl_file_exists(at(*state, "a")));
    stop = 0;
    ok(encrypt(&w, at(*state, "a"), 0));
    const char *paths[] = {at(*state, "a")};
    assert_int_equal(msfl_cipher_add(paths, 1, &options, at(*state, "b")), MSFL_ERR_CANCELLED);
    assert_false(msfl_file_exists(at(*state, "b")));
    world_clear(&w);
}

static void clipping_is_asked_for(void **state) {
    msfl_key_spec spec = small_spec("bfv");
    spec.clip = 0.5;
    world w = world_new(*state, &spec);
    w.content = (msfl_content){.kind = MSFL_CONTENT_VECTOR, .n_values = 3, .rank = 1, .dims = {3}};
    w.values[0] = 0.5f;
    w.values[1] = 0.6f;
    w.values[2] = -3.0f;
    assert_int_equal(encrypt(&w, at(*state, "a"), 0), MSFL_ERR_NUMERIC);
    assert_non_null(strstr(msfl_error_message(), "value 1 "));
    uint64_t clipped;
    const msfl_cipher_options options = {.clip_values = true};
    ok(msfl_cipher_encrypt(w.public, &w.content, w.values, &options, at(*state, "a"), &clipped));
    assert_int_equal(clipped, 2);
    float out[3];
    ok(decrypt(&w, at(*state, "a"), out, NULL, NULL));
    assert_true(fabsf(out[1] - 0.5f) < 1e-6f && fabsf(out[2] + 0.5f) < 1e-6f);
    w.values[1] = NAN;
    assert_int_equal(msfl_cipher_encrypt(w.public, &w.content, w.values, &options, at(*state, "b"), NULL),
                     MSFL_ERR_NUMERIC);
    world_clear(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sums_are_within_the_bound, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_added, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(every_kind_of_damage_is_named, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(no_output_is_ever_partial, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(out_of_memory, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(it_stops_when_asked, folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(clipping_is_asked_for, folder_setup, folder_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
