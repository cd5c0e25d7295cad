/* Commands that train in our place: good ones, and everything that a bad one may do. */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "client/outcome.h"
#include "client/sandbox.h"
#include "client/tensors.h"

#include <arpa/inet.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void ok_at(msfl_status status, const char *file, int line) {
    if (status != MSFL_OK) print_error("%s: %s\n", msfl_status_name(status), msfl_error_message());
    _assert_int_equal(status, MSFL_OK, file, line);
}
#define ok(call) ok_at(call, __FILE__, __LINE__)

static const char tensors_job[] = "format: medsecurefl-job\nversion: 1\nname: t\nsamples_max: 64\n"
                                  "tensors: [{name: a/w, shape: [2, 3]}, {name: b, shape: [4]}, "
                                  "{name: s, shape: [1], statistic: true}]\n";
static const char model_job[] = "format: medsecurefl-job\nversion: 1\nname: m\nmodel: cnn-small\nclasses: [a, b]\n"
                                "input: {height: 16, width: 16, channels: 1}\nsamples_max: 64\n";

typedef struct bench {
    char folder[64], script[96];
    job_spec spec;
    job_shape *shape;
    client_site site;
    volatile int cancel;
    msfl_observer observer;
    char log[4096];
    client_bounds bounds;
    client_learner_options options;
    client_learner *learner;
    float *weights;
    float clip[MSFL_MODEL_TENSORS_MAX];
    job_plan plan;
} bench;

static void observe(void *ctx, const msfl_event *e) {
    bench *b = ctx;
    const size_t used = strlen(b->log);
    if (e->text != NULL) snprintf(b->log + used, sizeof b->log - used, "%s\n", e->text);
}

static void up(bench *b, const char *job, const char *interpreter, const char *script, const char *more) {
    char text[1024];
    memset(b, 0, sizeof *b);
    /* Not in /dev/shm, all of which trainers may use. */
    snprintf(b->folder, sizeof b->folder, "/tmp/msfl-trainer-XXXXXX");
    assert_non_null(mkdtemp(b->folder));
    char path[128];
    snprintf(path, sizeof path, "%s/code", b->folder);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(path, sizeof path, "%s/job", b->folder);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(b->script, sizeof b->script, "%s/code/script", b->folder);
    ok(msfl_file_write(b->script, script, strlen(script)));
    snprintf(text, sizeof text, "trainer:\n  command: [%s, %s]\n%s", interpreter, b->script, more);
    ok(client_site_parse("site.yaml", text, strlen(text), &b->site));
    ok(job_spec_parse("job", job, strlen(job), true, &b->spec));
    ok(job_shape_new(&b->spec, &b->shape));
    b->observer = (msfl_observer){.observe = observe, .ctx = b, .cancel = &b->cancel};
    static char folder[128];
    snprintf(folder, sizeof folder, "%s/job", b->folder);
    b->bounds = client_bounds_default();
    b->bounds.images_min = 3;
    b->options = (client_learner_options){.site = &b->site,
                                          .bounds = &b->bounds,
                                          .shape = b->shape,
                                          .job = "t-1",
                                          .client = 1,
                                          .folder = folder,
                                          .observer = &b->observer};
    ok(client_learner_new(&b->options, &b->learner));
    b->weights = msfl_alloc(b->shape->n_values, sizeof *b->weights);
    for (uint64_t i = 0; i < b->shape->n_values; i++)
        b->weights[i] = 0.25f * (float)(i % 7);
    for (uint32_t i = 0; i < b->shape->n_tensors; i++)
        b->clip[i] = 8;
    b->plan = (job_plan){.number = 1, .round = 1, .kind = JOB_UPDATE, .learning_rate = 0.01, .clip = b->clip};
}

static void down(bench *b) {
    client_learner_free(b->learner);
    job_shape_free(b->shape);
    job_spec_clear(&b->spec);
    client_site_clear(&b->site);
    msfl_free(b->weights);
    /* nothing of the training stays behind but the log */
    char **names;
    size_t n;
    ok(msfl_folder_list(b->options.folder, 100, &names, &n));
    for (size_t i = 0; i < n; i++)
        assert_int_not_equal(strncmp(names[i], "trainer-", 8), 0);
    msfl_names_free(names, n);
    client_folder_remove(b->folder);
    assert_false(msfl_file_exists(b->folder));
}

static msfl_status run(bench *b, client_result *result) {
    return client_learner_run(b->learner, &b->plan, b->weights, result);
}

/* A script of the shell that must fail with this status and these words. */
static void fails(const char *script, const char *more, msfl_status expected, const char *words) {
    bench b;
    client_result result;
    up(&b, tensors_job, "/bin/sh", script, more);
    const msfl_status status = run(&b, &result);
    if (status != expected || strstr(msfl_error_message(), words) == NULL) {
        print_error("%s: %s (wanted %s)\n%s\n", msfl_status_name(status), msfl_error_message(), words, script);
    }
    assert_int_equal(status, expected);
    assert_non_null(strstr(msfl_error_message(), words));
    assert_null(result.delta);
    down(&b);
}

#define RESULT                                                                                                         \
    "echo '{\"n_samples\": 20, \"metrics\": {\"loss\": 0.5, \"correct\": 15, \"seen\": 20}}' > out/result.json\n"
#define COPY "cp in/weights.npz out/weights.npz\n"

/* What a command says that it took is held against the hospital's bounds before anything is given back. */
static void test_bounds(void **state) {
    bench b;
    client_result result;
    (void)state;
    up(&b, tensors_job, "/bin/sh", COPY RESULT, "");
    b.bounds.images_min = 20;
    ok(run(&b, &result));
    client_result_clear(&result);
    b.bounds.images_min = 21;
    assert_int_equal(run(&b, &result), MSFL_ERR_POLICY);
    assert_non_null(strstr(msfl_error_message(), "policy images_min: an update of the job tells of 20 images, 21"));
    assert_null(result.delta);
    down(&b);
}

static void test_good(void **state) {
    bench b;
    client_result result;
    (void)state;
    up(&b, tensors_job, "/bin/sh",
       "set -e\ntest \"$(stat -c %a .)\" = 700\ntest -z \"$SECRET\"\ntest \"$COLOUR\" = blue\n"
       "test \"$PWD\" = \"$MSFL_FOLDER\"\ngrep -q '\"mode\": *\"train\"' in/job.json\n"
       "grep -q '\"learning_rate\"' in/job.json\ntouch tmp/x \"$HOME/y\"\necho hello\n" COPY RESULT,
       "  environment: {COLOUR: blue}\n");
    setenv("SECRET", "s", 1);
    ok(run(&b, &result));
    assert_int_equal(result.n_samples, 20);
    assert_int_equal(result.counters[JOB_SEEN - 1], 20);
    assert_int_equal(result.counters[JOB_CORRECT - 1], 15);
    assert_int_equal(result.counters[JOB_LOSS - 1], 10 * 1024);
    assert_int_equal(result.counters[JOB_CLIPPED - 1], 0);
    for (uint64_t i = 0; i < b.shape->n_values; i++)
        assert_true(result.delta[i] == 0); /* npz out and in again is exact */
    client_result_clear(&result);
    assert_non_null(strstr(b.log, "own session, no new privileges, no network"));
    uint8_t *log;
    size_t length;
    char path[128];
    snprintf(path, sizeof path, "%s/trainer.log", b.options.folder);
    ok(msfl_file_read(path, 1000, &log, &length));
    assert_string_equal((char *)log, "hello\n");
    msfl_free(log);
    down(&b);
}

static void test_h5(void **state) {
    bench b;
    client_result result;
    (void)state;
    up(&b, model_job, "/bin/sh", "cp in/weights.h5 out/weights.h5\n" RESULT, "  format: h5\n");
    ok(run(&b, &result));
    for (uint64_t i = 0; i < b.shape->n_values; i++)
        assert_true(result.delta[i] == 0);
    client_result_clear(&result);
    down(&b);
    /* tensors have no HDF5 */
    up(&b, tensors_job, "/bin/sh", RESULT, "  format: h5\n");
    assert_int_equal(run(&b, &result), MSFL_ERR_UNSUPPORTED);
    down(&b);
    /* a file of another network */
    up(&b, model_job, "/bin/sh", "head -c 5000 in/weights.h5 > out/weights.h5\n" RESULT, "  format: h5\n");
    assert_int_equal(run(&b, &result), MSFL_ERR_FORMAT);
    down(&b);
}

static void test_figures(void **state) {
    bench b;
    client_result result;
    char script[2000] =
        "set -e\ngrep -q '\"part\": *\"validation\"' in/job.json\necho '{\"n_samples\": 24, \"metrics\": "
        "{\"loss\": 0.25, \"correct\": 20, \"histogram\": [[";
    (void)state;
    for (int i = 0; i < 48; i++)
        snprintf(script + strlen(script), sizeof script - strlen(script), "%d%s", i % 2,
                 i == 23   ? "],["
                 : i == 47 ? ""
                           : ",");
    strcat(script, "]]}}' > out/result.json\n");
    up(&b, tensors_job, "/bin/sh", script, "");
    b.plan.kind = JOB_EVALUATE;
    b.plan.clip = NULL;
    ok(run(&b, &result));
    assert_null(result.delta);
    assert_int_equal(result.n_samples, 1);
    assert_int_equal(result.counters[JOB_EVAL_N - 1], 24);
    assert_int_equal(result.counters[JOB_EVAL_CORRECT - 1], 20);
    assert_int_equal(result.counters[JOB_EVAL_LOSS - 1], 6 * 1024);
    assert_int_equal(result.counters[JOB_EVAL_BINS - 1 + 1], 1);
    down(&b);
    up(&b, tensors_job, "/bin/sh", "exit 3\n", "");
    b.plan.kind = JOB_TEST;
    b.plan.clip = NULL;
    assert_int_equal(run(&b, &result), MSFL_ERR_MISSING); /* stays out */
    down(&b);
}

static void test_failures(void **state) {
    (void)state;
    fails("exit 7\n", "", MSFL_ERR_DATA, "exit status 7");
    fails("exit 3\n", "", MSFL_ERR_DATA, "exit status 3"); /* in a training there is no staying out */
    fails("kill -SEGV $$\n", "", MSFL_ERR_DATA, "signal 11");
    fails("true\n", "", MSFL_ERR_FORMAT, "result.json");
    fails("echo '{' > out/result.json\n" COPY, "", MSFL_ERR_FORMAT, "result.json");
    fails("ln -s /etc/passwd out/result.json\n" COPY, "", MSFL_ERR_FORMAT, "result.json");
    fails("head -c 100000 /dev/zero > out/result.json\n" COPY, "", MSFL_ERR_LIMIT, "");
    fails("echo '{\"n_samples\": 0, \"metrics\": {\"loss\": 1}}' > out/result.json\n" COPY, "", MSFL_ERR_FORMAT,
          "n_samples");
    fails("echo '{\"n_samples\": 65, \"metrics\": {\"loss\": 1}}' > out/result.json\n" COPY, "", MSFL_ERR_LIMIT, "65");
    fails("echo '{\"n_samples\": 6, \"metrics\": {\"loss\": -1}}' > out/result.json\n" COPY, "", MSFL_ERR_NUMERIC,
          "loss");
    fails(RESULT, "", MSFL_ERR_MISSING, "has not written");
    fails(RESULT "ln -s ../in/weights.npz out/weights.npz\n", "", MSFL_ERR_FORMAT, "regular");
    fails(RESULT "mkdir out/weights.npz\n", "", MSFL_ERR_FORMAT, "regular");
    fails(RESULT "head -c 3000000 /dev/zero > out/weights.npz\n", "", MSFL_ERR_LIMIT, "bytes");
    fails(RESULT "head -c 300 in/weights.npz > out/weights.npz\n", "", MSFL_ERR_FORMAT, "");
    fails("head -c 9000000 /dev/zero > out/big || exit 9\n" RESULT COPY, "  output_mb: 1\n", MSFL_ERR_DATA,
          "exit status 9");
    bench b;
    client_result result;
    up(&b, tensors_job, "/no/such/program", "", "");
    assert_int_equal(run(&b, &result), MSFL_ERR_MISSING);
    down(&b);
}

static void test_time(void **state) {
    bench b;
    client_result result;
    (void)state;
    /* TERM is heard: it ends well before the five seconds until KILL */
    fails("trap 'exit 0' TERM\nsleep 60 & wait\n", "  timeout_s: 1\n", MSFL_ERR_LIMIT, "not done after 1 s");
    /* what it leaves behind goes too, and does not hold the round up */
    up(&b, tensors_job, "/bin/sh", "sleep 61 &\necho $! > \"../pid\"\n" COPY RESULT, "");
    (void)run(&b, &result); /* ../pid may not be written: then nothing is known of it */
    client_result_clear(&result);
    down(&b);
    up(&b, tensors_job, "/bin/sh", "sleep 60\n", "");
    b.cancel = 1;
    assert_int_equal(run(&b, &result), MSFL_ERR_CANCELLED);
    down(&b);
    /* a flood of output is read, and cut */
    up(&b, tensors_job, "/bin/sh", "head -c 5000000 /dev/zero\n" COPY RESULT, "");
    ok(run(&b, &result));
    client_result_clear(&result);
    uint8_t *log;
    size_t length;
    char path[128];
    snprintf(path, sizeof path, "%s/trainer.log", b.options.folder);
    ok(msfl_file_read(path, 2 << 20, &log, &length));
    assert_in_range(length, CLIENT_LOG_BYTES_MAX, CLIENT_LOG_BYTES_MAX + 100);
    assert_non_null(strstr((char *)log + CLIENT_LOG_BYTES_MAX, "more bytes were not kept"));
    msfl_free(log);
    down(&b);
}

static void test_arrays(void **state) {
    static const struct {
        const char *code;
        msfl_status status;
        const char *words;
    } cases[] = {
        {"w['a/w'][0, 0] = np.nan", MSFL_ERR_NUMERIC, "'a/w'"},
        {"w['b'] = w['b'].astype('>f8'); w['b'][1] = np.inf", MSFL_ERR_NUMERIC, "'b'"},
        {"w['b'][2] = 1e300", MSFL_OK, ""}, /* float32 has no such number: see below */
        {"w['a/w'] = w['a/w'].T", MSFL_ERR_MISMATCH, "(3, 2)"},
        {"del w['s']", MSFL_ERR_MISMATCH, "2 arrays"},
        {"w['x'] = w['s']", MSFL_ERR_MISMATCH, "4 arrays"},
        {"w['x'] = w.pop('s')", MSFL_ERR_MISMATCH, "'s'"},
        {"w['b'] = w['b'].astype(np.int32)", MSFL_ERR_MISMATCH, "float32"},
        {"w['a/w'] = np.asfortranarray(w['a/w'])", MSFL_ERR_MISMATCH, "last index"},
        {"w = {k: v.astype(np.float64) + 0.5 for k, v in w.items()}", MSFL_OK, ""},
    };
    const char *python = getenv("MSFL_PYTHON");
    (void)state;
    if (python == NULL) skip();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bench b;
        client_result result;
        char script[1000];
        snprintf(script, sizeof script,
                 "import json, sys\ntry:\n  import numpy as np\nexcept ImportError:\n  sys.exit(77)\n"
                 "w = dict(np.load('in/weights.npz'))\nassert list(w) == ['a/w', 'b', 's'], list(w)\n"
                 "assert w['a/w'].shape == (2, 3) and w['a/w'].dtype == np.float32 and w['a/w'][1, 2] == 1.25\n%s\n"
                 "np.savez('out/weights.npz', **w)\n"
                 "json.dump({'n_samples': 3, 'metrics': {'loss': 1.5}}, open('out/result.json', 'w'))\n",
                 cases[i].code);
        up(&b, tensors_job, python, script, "");
        msfl_status status = run(&b, &result);
        if (strstr(msfl_error_message(), "exit status 77") != NULL) {
            down(&b);
            skip();
        }
        msfl_status expected = cases[i].status;
        if (strstr(cases[i].code, "1e300") != NULL) expected = MSFL_ERR_NUMERIC; /* it became an infinity */
        if (status != expected) print_error("%s: %s\n", cases[i].code, msfl_error_message());
        assert_int_equal(status, expected);
        if (status != MSFL_OK) {
            assert_non_null(strstr(msfl_error_message(), cases[i].words));
        } else {
            assert_true(result.delta[0] == 0.5f && result.delta[10] == 0.5f);
        }
        client_result_clear(&result);
        down(&b);
    }
}

static void test_fences(void **state) {
    const char *python = getenv("MSFL_PYTHON");
    bench b;
    client_result result;
    char script[2000], secret[128];
    (void)state;
    if (python == NULL) skip();
    for (int allowed = 0; allowed < 2; allowed++) {
        up(&b, tensors_job, python, "", allowed ? "  network: true\n" : "");
        snprintf(secret, sizeof secret, "%s/identity.key", b.folder);
        ok(msfl_file_write(secret, "secret", 6));
        snprintf(
            script, sizeof script,
            "import json, shutil, socket, subprocess, sys\n"
            "def tries(f):\n  try:\n    f()\n    return True\n  except OSError:\n    return False\n"
            "def write():\n  open('%s', 'a').write('x')\n"
            "found = [tries(lambda: socket.socket(socket.AF_INET)), tries(lambda: socket.socket(socket.AF_INET6)),\n"
            "  tries(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)), tries(lambda: open('%s').read()), "
            "tries(write),\n"
            "  tries(lambda: socket.socketpair()), tries(lambda: subprocess.check_call(['/bin/true']))]\n"
            "json.dump({'n_samples': 1 + sum(1 << i for i, f in enumerate(found) if f), 'metrics': {'loss': 0}},\n"
            "  open('out/result.json', 'w'))\nshutil.copy('in/weights.npz', 'out')\n",
            secret, secret);
        ok(msfl_file_write(b.script, script, strlen(script)));
        b.spec.samples_max = 1 << 20;
        ok(run(&b, &result));
        const unsigned found = (unsigned)result.n_samples - 1;
        const unsigned files = strstr(b.log, "files by rules") != NULL ? 0 : 8 + 16;
        assert_int_equal(found, (allowed ? 1 + 2 + 4 : 0) + files + 32 + 64);
        client_result_clear(&result);
        down(&b);
    }
}

static void test_outcome(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"n_samples\": 1.5, \"metrics\": {}}",
        "{\"n_samples\": 1}",
        "{\"n_samples\": 5, \"metrics\": {\"loss\": 1, \"correct\": 6}}",
        "{\"n_samples\": 5, \"metrics\": {\"loss\": \"1\", \"correct\": 1}}",
        "{\"n_samples\": 5, \"metrics\": {\"loss\": 1, \"correct\": 1, \"histogram\": 5}}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        client_result r = {0};
        assert_int_not_equal(client_outcome_parse(bad[i], strlen(bad[i]), JOB_EVALUATE, 100, 0, &r), MSFL_OK);
    }
    /* Where every pixel has a class: three counts for every structure, and no histogram. */
    static const char *const structures[] = {"",
                                             ", \"histogram\": [[0], [5]]",
                                             ", \"structures\": [[1, 2, 3]]",
                                             ", \"structures\": [[1, 2, 3], [1, 2]]",
                                             ", \"structures\": [[1, 2, 3], [3, 2, 4]]",
                                             ", \"structures\": [[1, 2, 3], [-1, 2, 4]]",
                                             ", \"structures\": [[1, 2, 3], [0, 17179869185, 4]]",
                                             ", \"structures\": [[1, 2, 3], [0, 17179869184, 4]]"};
    for (size_t i = 0; i < sizeof structures / sizeof structures[0]; i++) {
        client_result r = {0};
        char text[200];
        const bool good = i + 1 == sizeof structures / sizeof structures[0];
        snprintf(text, sizeof text, "{\"n_samples\": 5, \"metrics\": {\"loss\": 1, \"correct\": 4%s}}", structures[i]);
        assert_int_equal(client_outcome_parse(text, strlen(text), JOB_EVALUATE, 100, 2, &r),
                         good ? MSFL_OK : MSFL_ERR_FORMAT);
        assert_int_equal(r.counters[JOB_EVAL_BINS + 4 - 1], good ? UINT64_C(17179869184) : 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds),  cmocka_unit_test(test_good),     cmocka_unit_test(test_h5),
        cmocka_unit_test(test_figures), cmocka_unit_test(test_failures), cmocka_unit_test(test_time),
        cmocka_unit_test(test_arrays),  cmocka_unit_test(test_fences),   cmocka_unit_test(test_outcome)};
    (void)signal(SIGXFSZ, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
