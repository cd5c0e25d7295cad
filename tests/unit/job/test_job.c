/* A job's description, plan and course: the same text for the same content, and nothing else taken. */
#include "base/mem.h"
#include "base/seeded.h"
#include "job/norms.h"
#include "job/plan.h"
#include "job/scores.h"
#include "job/temperature.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char simple[] = "format: medsecurefl-job\nversion: 1\nname: chest\nmodel: cnn-small\n"
                             "input: {height: 32, width: 32, channels: 1}\nclasses: [normal, pneumonia]\n"
                             "samples_max: 4096\nrounds: 6\nlearning_rate: 0.003\nbits: 16\n";
static const char listed[] =
    "format: medsecurefl-job\nversion: 1\nname: any-net\nsamples_max: 128\nscheme: plain\n"
    "tensors: [{name: fc/weight, shape: [3, 4]}, {name: bn/mean, shape: [4], statistic: true}]\n";

static msfl_status parse(const char *text, bool trusted, job_spec *spec) {
    return job_spec_parse("job", text, strlen(text), trusted, spec);
}

static void reads_back_to_itself(void **state) {
    (void)state;
    const char *const texts[] = {simple, listed};
    for (int i = 0; i < 2; i++) {
        job_spec spec, again;
        char *text, *twice;
        uint8_t hash[MSFL_HASH_BYTES];
        char id[JOB_ID_MAX + 1];
        assert_int_equal(parse(texts[i], true, &spec), MSFL_OK);
        assert_int_equal(job_spec_text(&spec, &text), MSFL_OK);
        assert_int_equal(parse(text, false, &again), MSFL_OK);
        assert_int_equal(job_spec_text(&again, &twice), MSFL_OK);
        assert_string_equal(text, twice);
        assert_true(again.train.learning_rate == spec.train.learning_rate);
        assert_true(again.rule.learning_rate == (double)spec.train.learning_rate);
        job_hash(text, strlen(text), hash);
        job_id(&spec, hash, id);
        assert_int_equal(strlen(id), strlen(spec.name) + 9);
        msfl_free(text);
        msfl_free(twice);
        job_spec_clear(&spec);
        job_spec_clear(&again);
    }
}

/* What came later is not in a text where it is not used, so that hashes stay. */
static void later_fields(void **state) {
    (void)state;
    static const char *const words[] = {"augmentation", "balance", "focal", "norms", "proximal", "dice"};
    job_spec spec, again;
    char *text, *twice, longer[1000];
    assert_int_equal(parse(simple, true, &spec), MSFL_OK);
    assert_int_equal(job_spec_text(&spec, &text), MSFL_OK);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        assert_null(strstr(text, words[i]));
    msfl_free(text);
    job_spec_clear(&spec);
    snprintf(longer, sizeof longer,
             "%saugmentation: \"strong,rotate=4.5\"\nbalance: true\nfocal: 2\nnorms: local\nproximal: 0.01\n", simple);
    assert_int_equal(parse(longer, true, &spec), MSFL_OK);
    assert_string_equal(spec.augmentation, "strong,rotate=4.5");
    assert_true(spec.balance && spec.norms == JOB_NORMS_LOCAL && spec.train.focal == 2 && spec.train.proximal == 0.01f);
    assert_int_equal(job_spec_text(&spec, &text), MSFL_OK);
    assert_int_equal(parse(text, false, &again), MSFL_OK);
    assert_int_equal(job_spec_text(&again, &twice), MSFL_OK);
    assert_string_equal(text, twice);
    msfl_free(text);
    msfl_free(twice);
    job_spec_clear(&spec);
    job_spec_clear(&again);
    static const char *const bad[] = {"augmentation: a b\n",
                                      "augmentation: sharpen=3\n",
                                      "augmentation: \"rotate=400\"\n",
                                      "norms: own\n",
                                      "recipe_name: x\n",
                                      "augmentation: \"\"\n",
                                      "focal: 11\n",
                                      "proximal: -1\n",
                                      "focal: 1\nlabel_smoothing: 0.1\n",
                                      "dice: 0.5\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(longer, sizeof longer, "%s%s", simple, bad[i]);
        assert_int_not_equal(parse(longer, true, &spec), MSFL_OK);
        job_spec_clear(&spec);
    }
}

#define PIXELS                                                                                                         \
    "format: medsecurefl-job\nversion: 1\nname: bones\nmodel: unet2d\nsamples_max: 99\n"                               \
    "input: {height: 16, width: 24, channels: 1}\n"

/* A network that gives a class to every pixel: what is for classes of images alone is refused by its name. */
static void classes_of_pixels(void **state) {
    (void)state;
    static const char *const bad[] = {"balance: true\n", "focal: 1\n", "label_smoothing: 0.1\n", "dice: 101\n"};
    job_spec spec, again;
    job_shape *shape;
    char *text, *twice, longer[1000];
    assert_int_equal(parse(PIXELS "classes: [none, femur, tibia]\ndice: 0.25\n", true, &spec), MSFL_OK);
    assert_true(spec.train.dice == 0.25f);
    assert_int_equal(job_shape_new(&spec, &shape), MSFL_OK);
    assert_int_equal(shape->n_structures, 2);
    assert_int_equal(msfl_model_info_borrow(shape->model)->n_targets, 16 * 24);
    job_shape_free(shape);
    assert_int_equal(job_spec_text(&spec, &text), MSFL_OK);
    assert_non_null(strstr(text, "\"dice\":0.25"));
    assert_int_equal(parse(text, false, &again), MSFL_OK);
    assert_int_equal(job_spec_text(&again, &twice), MSFL_OK);
    assert_string_equal(text, twice);
    msfl_free(text);
    msfl_free(twice);
    job_spec_clear(&again);
    job_spec_clear(&spec);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(longer, sizeof longer, "%s%s", PIXELS, bad[i]);
        assert_int_equal(parse(longer, true, &spec), i == 3 ? MSFL_ERR_FORMAT : MSFL_ERR_USAGE);
        assert_non_null(strstr(msfl_error_message(), i == 0   ? "balance"
                                                     : i == 1 ? "focal"
                                                     : i == 2 ? "label_s"
                                                              : "dice"));
        job_spec_clear(&spec);
    }
    static const char volumes[] = "format: medsecurefl-job\nversion: 1\nname: a\nmodel: unet3d\nsamples_max: 9\n";
    static const struct {
        const char *more;
        msfl_status status;
        uint32_t depth, height;
    } sizes[] = {{"", MSFL_OK, 0, 0},
                 {"input: {depth: 8, height: 16, width: 24, channels: 2}\n", MSFL_OK, 8, 16},
                 {"input: {depth: 1}\n", MSFL_ERR_MISMATCH, 0, 0}, /* a picture */
                 {"input: {depth: 12}\n", MSFL_ERR_MISMATCH, 0, 0},
                 {"input: {depth: 5000}\n", MSFL_ERR_FORMAT, 0, 0}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        snprintf(longer, sizeof longer, "%s%s", volumes, sizes[i].more);
        assert_int_equal(parse(longer, true, &spec), sizes[i].status);
        if (sizes[i].depth > 0) {
            assert_int_equal(spec.train.batch, 1); /* a volume is a batch, unless the description says more */
            assert_int_equal(job_shape_new(&spec, &shape), MSFL_OK);
            const msfl_model_info *info = msfl_model_info_borrow(shape->model);
            assert_true(info->is_volume);
            assert_int_equal(info->depth, sizes[i].depth);
            assert_int_equal(info->height, sizes[i].height);
            job_shape_free(shape);
            assert_int_equal(job_spec_text(&spec, &text), MSFL_OK); /* the depth is in its one form */
            assert_int_equal(parse(text, false, &again), MSFL_OK);
            assert_int_equal(job_shape_new(&again, &shape), MSFL_OK);
            assert_int_equal(msfl_model_info_borrow(shape->model)->depth, sizes[i].depth);
            assert_int_equal(again.train.batch, 1);
            job_shape_free(shape);
            job_spec_clear(&again);
            msfl_free(text);
        }
        job_spec_clear(&spec);
    }
    snprintf(longer, sizeof longer, "%sbatch: 4\n", volumes);
    assert_int_equal(parse(longer, true, &spec), MSFL_OK);
    assert_int_equal(spec.train.batch, 4);
    job_spec_clear(&spec);
    /* As many structures as are counted, and one more. */
    for (int n = JOB_MASK_CLASSES + 1; n <= JOB_MASK_CLASSES + 2; n++) {
        snprintf(longer, sizeof longer, "%sclasses: [c0", PIXELS);
        for (int c = 1; c < n; c++)
            snprintf(longer + strlen(longer), sizeof longer - strlen(longer), ", c%d", c);
        strcat(longer, "]\n");
        assert_int_equal(parse(longer, true, &spec), n <= JOB_MASK_CLASSES + 1 ? MSFL_OK : MSFL_ERR_LIMIT);
        job_spec_clear(&spec);
    }
    snprintf(longer, sizeof longer, "%sdice: 2\n", listed);
    assert_int_equal(parse(longer, true, &spec), MSFL_ERR_USAGE);
    job_spec_clear(&spec);
}

/* The words under which figures are shown, and their bytes. */
static void scores_are_kept(void **state) {
    (void)state;
    job_spec spec;
    job_shape *shape;
    msfl_buffer bytes = {0};
    assert_int_equal(parse(PIXELS "classes: [none, femur, tibia]\n", true, &spec), MSFL_OK);
    assert_int_equal(job_shape_new(&spec, &shape), MSFL_OK);
    job_scores s = job_scores_none(), back = job_scores_none();
    s.dice[0] = 0.5;
    job_scores_put_dice(&s, 2, &bytes);
    assert_int_equal(bytes.length, 16);
    msfl_reader r = msfl_reader_init(bytes.bytes, bytes.length);
    job_scores_get_dice(&r, 2, &back);
    assert_true(!r.failed && back.dice[0] == 0.5 && isnan(back.dice[1]));
    msfl_buffer_clear(&bytes);
    json_t *o = job_round_json(shape, 1, 0.5, &s, 0.1);
    assert_null(json_object_get(o, "validation_auc"));
    assert_true(json_is_null(json_object_get(o, "validation_dice")));
    assert_int_equal(json_array_size(json_object_get(o, "validation_structures")), 2);
    json_decref(o);
    o = job_test_json(shape, &s);
    const json_t *tibia = json_array_get(json_object_get(o, "structures"), 1);
    assert_string_equal(json_string_value(json_object_get(tibia, "name")), "tibia");
    assert_int_equal(json_integer_value(json_object_get(tibia, "class")), 2);
    assert_true(json_is_null(json_object_get(tibia, "dice")) && json_object_get(o, "auc") == NULL);
    json_decref(o);
    job_shape_free(shape);
    job_spec_clear(&spec);
}

static void norms_are_apart(void **state) {
    (void)state;
    msfl_model *model;
    assert_int_equal(msfl_model_new("resnet8", 32, 32, 1, 2, &model), MSFL_OK);
    uint64_t n = msfl_model_info_borrow(model)->n_values, n_norms = job_norms_count(model), changed = 0;
    assert_int_equal(n_norms, 2 * (16 * 3 + 32 * 3 + 64 * 3));
    float *a = msfl_alloc(n, sizeof *a), *b = msfl_alloc(n, sizeof *b), *norms = msfl_alloc(n_norms, sizeof *norms);
    for (uint64_t i = 0; i < n; i++)
        a[i] = (float)i + 1;
    job_norms_take(model, a, norms);
    job_norms_put(model, norms, b);
    for (uint64_t i = 0; i < n; i++) {
        assert_true(b[i] == 0 || b[i] == a[i]);
        changed += b[i] != 0;
    }
    assert_int_equal(changed, n_norms);
    msfl_free(a);
    msfl_free(b);
    msfl_free(norms);
    msfl_model_free(model);
}

/* An update without normalisation layers, held to a slow twin that asks every value's tensor. */
static void updates_leave_norms_at_home(void **state) {
    (void)state;
    static const char *const networks[] = {"cnn-small", "resnet8",
                                           "name: b\ninput: {height: 8, width: 8, channels: 1}\nclasses: 2\nlayers:\n"
                                           "  - batch_norm\n  - flatten\n  - dense: {units: classes}\n"};
    for (size_t k = 0; k < 3; k++) {
        msfl_model *model;
        msfl_status status = strchr(networks[k], '\n') != NULL
                                 ? msfl_model_parse("b", networks[k], strlen(networks[k]), 0, 0, 0, 0, &model)
                                 : msfl_model_new(networks[k], 32, 32, 1, 2, &model);
        assert_int_equal(status, MSFL_OK);
        const msfl_model_info *info = msfl_model_info_borrow(model);
        assert_int_equal(job_norms_gathered(model), k == 2);
        for (job_norms norms = JOB_NORMS_SHARED; norms <= JOB_NORMS_MEAN; norms++) {
            job_sent sent;
            assert_int_equal(job_sent_init(model, norms, &sent), MSFL_OK);
            const uint64_t away = norms == JOB_NORMS_LOCAL ? job_norms_count(model) : 0;
            assert_int_equal(sent.n_weights, info->n_values);
            assert_int_equal(sent.n_values, info->n_values - away);
            float *global = msfl_alloc(info->n_values, sizeof *global),
                  *trained = msfl_alloc(info->n_values, sizeof *global);
            float *update = msfl_alloc(info->n_values, sizeof *update);
            for (uint64_t i = 0; i < info->n_values; i++) {
                global[i] = (float)(i % 97);
                trained[i] = global[i] + (float)(i % 61) + 1;
                update[i] = -7; /* whatever lies behind an update */
            }
            job_sent_difference(&sent, trained, global, update);
            job_sent_spread(&sent, update);
            for (uint32_t t = 0; t < info->n_tensors; t++) {
                const msfl_tensor *tensor = msfl_model_tensor(model, t);
                const bool stays = norms == JOB_NORMS_LOCAL && job_norms_has(tensor);
                for (uint64_t i = tensor->offset; i < tensor->offset + tensor->count; i++)
                    assert_true(update[i] == (stays ? 0 : (float)(i % 61) + 1));
            }
            msfl_free(global);
            msfl_free(trained);
            msfl_free(update);
            job_sent_clear(&sent);
        }
        msfl_model_free(model);
    }
    msfl_model *bare;
    static const char none[] = "name: n\ninput: {height: 8, width: 8, channels: 1}\nclasses: 2\nlayers:\n  - flatten\n"
                               "  - dense: {units: classes}\n";
    assert_int_equal(msfl_model_parse("n", none, strlen(none), 0, 0, 0, 0, &bare), MSFL_OK);
    job_sent sent;
    assert_int_equal(job_sent_init(bare, JOB_NORMS_LOCAL, &sent), MSFL_ERR_USAGE);
    job_sent_clear(&sent);
    assert_int_equal(job_sent_init(bare, JOB_NORMS_MEAN, &sent), MSFL_ERR_USAGE);
    job_sent_clear(&sent);
    msfl_model_free(bare);
}

/* Layout, its hash, bounds and parameters are those of the shorter vector. */
static void a_job_with_local_norms_is_another_vector(void **state) {
    (void)state;
    job_spec specs[2];
    job_shape *shapes[2];
    uint8_t hashes[2][MSFL_HASH_BYTES];
    char text[1000];
    for (int k = 0; k < 2; k++) {
        snprintf(text, sizeof text, "%s%s", simple, k == 0 ? "" : "norms: local\n");
        assert_int_equal(parse(text, true, &specs[k]), MSFL_OK);
        assert_int_equal(job_shape_new(&specs[k], &shapes[k]), MSFL_OK);
        float clip[MSFL_MODEL_TENSORS_MAX];
        const job_clip_rule rule = job_shape_clip_rule(shapes[k]);
        job_clip_init(&rule, clip);
        msfl_update_layout *layout;
        assert_int_equal(job_shape_layout(shapes[k], clip, &layout), MSFL_OK);
        msfl_update_layout_hash(layout, hashes[k]);
        assert_int_equal(msfl_update_values(layout), shapes[k]->sent.n_values);
        msfl_update_layout_free(layout);
        /* A plan has as many bounds. */
        job_plan plan = {.number = 1, .round = 1, .learning_rate = specs[k].rule.learning_rate, .clip = clip}, back;
        char *json;
        assert_int_equal(job_plan_text(&plan, shapes[k]->sent.n_tensors, &json), MSFL_OK);
        assert_int_equal(job_plan_parse(json, strlen(json), shapes[k], &back), MSFL_OK);
        job_plan_clear(&back);
        if (k == 1) assert_int_equal(job_plan_parse(json, strlen(json), shapes[0], &back), MSFL_ERR_FORMAT);
        job_plan_clear(&back);
        msfl_free(json);
    }
    const uint64_t away = job_norms_count(shapes[1]->model);
    assert_true(away > 0);
    assert_int_equal(shapes[0]->n_values, shapes[1]->n_values);
    assert_int_equal(shapes[0]->update_slots - shapes[1]->update_slots, away);
    assert_memory_not_equal(hashes[0], hashes[1], MSFL_HASH_BYTES);
    for (int k = 0; k < 2; k++) {
        job_shape_free(shapes[k]);
        job_spec_clear(&specs[k]);
    }
}

static void balanced_classes_weigh_alike(void **state) {
    (void)state;
    const uint32_t counts[4] = {60, 30, 0, 1};
    float w[4];
    job_balance(counts, 4, w);
    assert_true(fabs(60 * (double)w[0] - 91.0 / 3) < 1e-4 && fabs(30 * (double)w[1] - 91.0 / 3) < 1e-4);
    assert_true(w[2] == 1 && w[3] == 10); /* 30 would be right, and too much */
}

/* Predictions that are three times too sure are found to be, whoever holds which images. */
static void temperature_from_sums(void **state) {
    (void)state;
    enum { N = 4000, K = 3 };
    static float p[N * K];
    static uint32_t labels[N];
    msfl_seeded g;
    msfl_seeded_init(&g, 4, "test.temperature", 0, 0, 0);
    for (uint32_t i = 0; i < N; i++) {
        double z[K], sum = 0, draw = msfl_seeded_unit(&g), at = 0;
        for (uint32_t c = 0; c < K; c++)
            sum += exp(z[c] = msfl_seeded_normal(&g));
        labels[i] = K - 1;
        for (uint32_t c = K; c-- > 0;) {
            at += exp(z[c]) / sum;
            if (at > draw) {
                labels[i] = c;
                break;
            }
        }
        double sharp = 0;
        for (uint32_t c = 0; c < K; c++)
            sharp += exp(3 * z[c]);
        for (uint32_t c = 0; c < K; c++)
            p[i * K + c] = (float)(exp(3 * z[c]) / sharp);
    }
    uint64_t whole[JOB_TEMPERATURES] = {0}, parts[JOB_TEMPERATURES] = {0};
    assert_true(job_temperature_best(whole) == 1);
    job_temperature_add(p, labels, N, K, whole);
    for (uint32_t i = 0; i < 4; i++)
        job_temperature_add(p + i * 1000 * K, labels + i * 1000, 1000, K, parts);
    for (int k = 0; k < JOB_TEMPERATURES; k++)
        assert_true(llabs((long long)whole[k] - (long long)parts[k]) <= 4);
    double t = job_temperature_best(whole);
    assert_true(t > 2.7 && t < 3.3);
    float before = p[1] / p[0];
    job_temperature_apply(t, N, K, p);
    for (uint32_t i = 0; i < N; i++)
        assert_true(fabs((double)p[i * K] + (double)p[i * K + 1] + (double)p[i * K + 2] - 1) < 1e-5);
    assert_true(fabs(log((double)before) / t - log((double)p[1] / (double)p[0])) < 1e-3);
}

static void mask_counters(void **state) {
    (void)state;
    const uint8_t found[8] = {0, 1, 1, 2, 0, 0, 2, 0}, truth[8] = {0, 1, 2, 2, 0, 1, 2, 0};
    uint64_t c[JOB_EVAL_COUNTERS];
    memset(c, 0, sizeof c);
    job_mask_add(found, truth, 4, c);
    job_mask_add(found + 4, truth + 4, 4, c);
    job_mask_close(2, 4, 0.5, c);
    assert_int_equal(c[JOB_EVAL_N], 2);
    assert_int_equal(c[JOB_EVAL_CORRECT], 2); /* 6 of 8 pixels, of two images */
    assert_int_equal(c[JOB_EVAL_LOSS], 1024);
    /* class 1: both 1, true 2, found 2; class 2: both 2, true 3, found 2 */
    assert_true(fabs(job_counters_dice(c) - (0.5 + 0.8) / 2) < 1e-12);
    const job_scores s = job_scores_of(c, 3);
    assert_true(s.n == 2 && s.loss == 0.5 && s.accuracy == 1 && s.rank == job_counters_dice(c));
    assert_true(s.dice[0] == 0.5 && s.dice[1] == 0.8 && isnan(s.dice[2]) && isnan(s.dice[3]));
    memset(c, 0, sizeof c);
    job_mask_add(truth, truth, 4, c);
    job_mask_close(1, 4, 0, c);
    assert_true(job_counters_dice(c) == 1);
    memset(c, 0, sizeof c);
    assert_true(isnan(job_counters_dice(c)));
    const job_scores none = job_scores_of(c, 0);
    assert_true(none.n == 0 && isnan(none.loss) && isnan(none.accuracy) && isnan(none.rank));
}

static void refuses(void **state) {
    (void)state;
    static const char *const lines[] = {
        "colour: red",       "bits: 1",       "bits: 2.5",        "rounds: 0",        "scheme: bfv",
        "name: Chest",       "name: a--b",    "samples_max: -1",  "delivery: nobody", "aggregate: median",
        "initial: abc",      "nonce: xyz",    "target_cohort: 2", "classes: [one]",   "model: /etc/passwd",
        "test_fraction: .7", "min_cohort: 1", "tensors: []",      "deadline_s: 0",    "version: 2",
        "format: other",     "recipe: 12ab"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        /* In place of the line with that key, or as a new one. */
        char text[1000] = "";
        size_t key = (size_t)(strchr(lines[i], ':') - lines[i]) + 1;
        bool there = false;
        for (const char *line = simple; *line != 0; line = strchr(line, '\n') + 1) {
            bool same = strncmp(line, lines[i], key) == 0;
            size_t n = same ? strlen(lines[i]) : (size_t)(strchr(line, '\n') - line);
            strncat(text, same ? lines[i] : line, n);
            strcat(text, "\n");
            there |= same;
        }
        if (!there) strcat(strcat(text, lines[i]), "\n");
        if (strncmp(lines[i], "test_f", 6) == 0) strcat(text, "validation_fraction: .3\n");
        job_spec spec;
        assert_int_not_equal(parse(text, false, &spec), MSFL_OK);
        job_spec_clear(&spec);
    }
}

static void shape_of_a_network(void **state) {
    (void)state;
    job_spec spec;
    job_shape *shape;
    msfl_params params;
    assert_int_equal(parse(simple, true, &spec), MSFL_OK);
    assert_int_equal(job_shape_new(&spec, &shape), MSFL_OK);
    assert_int_equal(shape->n_values, msfl_model_info_borrow(shape->model)->n_values);
    assert_true(shape->update_slots > shape->n_values && shape->evaluation_slots < shape->n_values);
    const msfl_roster_info roster = {.n_clients = 5, .k = 5};
    assert_int_equal(job_shape_params(shape, &roster, &params), MSFL_OK);
    float *weights = msfl_alloc(shape->n_values, sizeof *weights);
    uint8_t a[MSFL_HASH_BYTES], b[MSFL_HASH_BYTES];
    assert_int_equal(job_shape_initial(shape, weights), MSFL_OK);
    job_weights_hash(shape, weights, a);
    weights[7] += 1;
    job_weights_hash(shape, weights, b);
    assert_memory_not_equal(a, b, sizeof a);
    msfl_free(weights);
    job_shape_free(shape);
    job_spec_clear(&spec);
}

static void plans(void **state) {
    (void)state;
    job_spec spec;
    job_shape *shape;
    assert_int_equal(parse(listed, true, &spec), MSFL_OK);
    assert_int_equal(job_shape_new(&spec, &shape), MSFL_OK);
    assert_null(shape->model);
    assert_int_equal(shape->n_values, 16);
    float clip[2] = {0.5f, 8};
    job_plan plan = {.number = 7, .round = 4, .kind = JOB_UPDATE, .model = 3, .learning_rate = 0.001, .clip = clip},
             got;
    char *text;
    assert_int_equal(job_plan_text(&plan, 2, &text), MSFL_OK);
    assert_int_equal(job_plan_parse(text, strlen(text), shape, &got), MSFL_OK);
    assert_int_equal(got.number, 7);
    assert_true(got.clip[0] == 0.5f && got.clip[1] == 8.0f && got.learning_rate == 0.001);
    msfl_update_layout *layout;
    assert_int_equal(job_plan_layout(&got, shape, &layout), MSFL_OK);
    assert_int_equal(msfl_update_slots(layout), shape->update_slots);
    msfl_update_layout_free(layout);
    job_plan_clear(&got);
    msfl_free(text);
    static const char *const bad[] = {
        "{}",
        "{\"number\":0,\"round\":4,\"kind\":\"update\",\"model\":3,\"learning_rate\":0.1,\"clip\":[1,1]}",
        "{\"number\":1,\"round\":4,\"kind\":\"update\",\"model\":2,\"learning_rate\":0.1,\"clip\":[1,1]}",
        "{\"number\":1,\"round\":4,\"kind\":\"update\",\"model\":3,\"learning_rate\":0,\"clip\":[1,1]}",
        "{\"number\":1,\"round\":4,\"kind\":\"update\",\"model\":3,\"learning_rate\":0.1,\"clip\":[1,0]}",
        "{\"number\":1,\"round\":4,\"kind\":\"update\",\"model\":3,\"learning_rate\":0.1,\"clip\":[1]}",
        "{\"number\":1,\"round\":4,\"kind\":\"evaluate\",\"model\":4,\"learning_rate\":0.1,\"clip\":[1,1]}",
        "{\"number\":1,\"round\":400,\"kind\":\"evaluate\",\"model\":400,\"learning_rate\":0.1}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(job_plan_parse(bad[i], strlen(bad[i]), shape, &got), MSFL_ERR_FORMAT);
        assert_null(got.clip);
    }
    job_shape_free(shape);
    job_spec_clear(&spec);
}

static void course_survives_bytes(void **state) {
    (void)state;
    const job_rule rule = {
        .n_rounds = 9, .patience = 3, .plateau_patience = 2, .plateau_factor = 0.5, .learning_rate = 1};
    job_course course, got;
    job_course_init(&course, &rule);
    assert_true(job_course_take(&course, &rule, 0.5));
    for (int i = 0; i < 3; i++)
        assert_false(job_course_take(&course, &rule, 0.6));
    assert_true(course.stopped && course.learning_rate == 0.5 && !job_course_wants_more(&course, &rule));
    msfl_buffer bytes = {0};
    job_course_put(&course, &bytes);
    msfl_reader r = msfl_reader_init(bytes.bytes, bytes.length);
    assert_true(job_course_get(&got, &rule, &r));
    assert_string_equal(got.why, course.why);
    assert_int_equal(got.best_round, 1);
    const job_rule shorter = {.n_rounds = 3};
    r = msfl_reader_init(bytes.bytes, bytes.length);
    assert_false(job_course_get(&got, &shorter, &r));
    r = msfl_reader_init(bytes.bytes, bytes.length - 1);
    assert_false(job_course_get(&got, &rule, &r));
    msfl_buffer_clear(&bytes);
}

static void clip_follows_the_mean(void **state) {
    (void)state;
    const uint64_t counts[] = {2, 3};
    const bool weight[] = {true, false};
    job_clip_rule rule = {.value_bits = 16, .n_tensors = 2, .counts = counts, .weight = weight, .n_values = 5};
    float clip[2], next[2];
    const float mean[] = {0.01f, -0.02f, 0, 0, 3};
    job_clip_init(&rule, clip);
    assert_true(clip[0] == 0.5f && clip[1] == 8.0f);
    job_clip_next(&rule, clip, mean, 0, 3, next);
    assert_true(next[0] == 4 * 0.02f && next[1] == 8.0f);
    job_clip_next(&rule, clip, mean, 5, 3, next);
    assert_true(next[0] == 1.0f);
    rule.value_bits = 24;
    job_clip_next(&rule, clip, mean, 5, 3, next);
    assert_true(next[0] == clip[0]);
    const float delta[] = {0.6f, -0.7f, 1, 9, -9};
    assert_int_equal(job_count_clipped(counts, 2, clip, delta), 4);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    for (long k = 1;; k++) {
        job_spec spec;
        job_shape *shape = NULL;
        char *text = NULL;
        msfl_alloc_fail_at(k);
        msfl_status status = parse(listed, true, &spec);
        if (status == MSFL_OK) status = job_shape_new(&spec, &shape);
        if (status == MSFL_OK) status = job_spec_text(&spec, &text);
        msfl_alloc_fail_at(0);
        msfl_free(text);
        job_shape_free(shape);
        job_spec_clear(&spec);
        if (status == MSFL_OK) {
            assert_true(k > 10);
            break;
        }
        assert_int_equal(status, MSFL_ERR_MEMORY);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_back_to_itself),
                                       cmocka_unit_test(refuses),
                                       cmocka_unit_test(shape_of_a_network),
                                       cmocka_unit_test(plans),
                                       cmocka_unit_test(course_survives_bytes),
                                       cmocka_unit_test(clip_follows_the_mean),
                                       cmocka_unit_test(later_fields),
                                       cmocka_unit_test(norms_are_apart),
                                       cmocka_unit_test(updates_leave_norms_at_home),
                                       cmocka_unit_test(a_job_with_local_norms_is_another_vector),
                                       cmocka_unit_test(balanced_classes_weigh_alike),
                                       cmocka_unit_test(temperature_from_sums),
                                       cmocka_unit_test(mask_counters),
                                       cmocka_unit_test(classes_of_pixels),
                                       cmocka_unit_test(scores_are_kept),
                                       cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
