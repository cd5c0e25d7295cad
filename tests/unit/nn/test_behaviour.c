/* What training does besides learning: refusals, stops, drop-out, damaged states, memory that runs out. */
#include "base/error.h"
#include "common.h"
#include "nn/trainer.h"

#include <math.h>

static const char net_yaml[] = "name: net\n"
                               "input: {height: 8, width: 8, channels: 1}\n"
                               "classes: 3\n"
                               "layers:\n"
                               "  - conv: {filters: 4, kernel: 3}\n"
                               "  - batch_norm: {activation: relu}\n"
                               "  - max_pool\n"
                               "  - flatten\n"
                               "  - dense: {units: classes}\n";

typedef struct fixture {
    msfl_model *model;
    msfl_trainer *trainer;
    pictures pictures;
    msfl_samples samples;
    float *weights;
    size_t n;
    msfl_train_options options;
} fixture;

static fixture begin(const char *yaml) {
    fixture f = {.pictures = {8, 8, 1, 3, 1}};
    f.model = model_of(yaml);
    f.n = msfl_model_info_borrow(f.model)->n_values;
    f.weights = calloc(f.n, sizeof *f.weights);
    msfl_model_init(f.model, 1, f.weights);
    assert_ok(msfl_trainer_new(f.model, 16, 2, NULL, &f.trainer));
    f.options = msfl_train_options_default();
    f.options.batch = 16;
    return f;
}

static msfl_status train(fixture *f, uint32_t n_samples, const msfl_observer *observer, msfl_train_result *result) {
    f->samples = pictures_samples(&f->pictures, n_samples);
    return msfl_train(f->trainer, &f->options, &f->samples, f->weights, observer, "test", 7, result);
}

static void end(fixture *f) {
    msfl_trainer_free(f->trainer);
    msfl_model_free(f->model);
    free(f->weights);
}

/* A source of samples with one that is bad, in one way or another. */
typedef struct trap {
    uint32_t at;
    enum { NO_TRAP, NAN_PIXEL, BAD_LABEL, FAILED } kind;
} trap;

static msfl_status trap_load(void *ctx, uint32_t i, uint64_t augment_seed, float *pixels, uint32_t *label) {
    const trap *t = ctx;
    pictures p = {8, 8, 1, 3, 1};
    msfl_status status = pictures_load(&p, i, augment_seed, pixels, label);
    if (i != t->at) return status;
    if (t->kind == NAN_PIXEL) pixels[13] = NAN;
    if (t->kind == BAD_LABEL) *label = 3;
    if (t->kind == FAILED) return msfl_fail(MSFL_ERR_DATA, "image 37 cannot be read");
    return MSFL_OK;
}

static void bad_samples_end_training(void **state) {
    (void)state;
    static const struct {
        int kind;
        msfl_status status;
        const char *says;
    } cases[] = {{NAN_PIXEL, MSFL_ERR_DATA, "sample 37 has a pixel that is not a finite number"},
                 {BAD_LABEL, MSFL_ERR_DATA, "sample 37 has class 3, but the network knows 3 classes"},
                 {FAILED, MSFL_ERR_DATA, "image 37 cannot be read"}};
    for (size_t i = 0; i < 3; i++) {
        fixture f = begin(net_yaml);
        trap t = {37, cases[i].kind};
        msfl_samples samples = {50, &t, trap_load};
        f.options.first_epoch = 4;
        msfl_train_result result = {.n_steps = 99};
        assert_int_equal(msfl_train(f.trainer, &f.options, &samples, f.weights, NULL, "t", -1, &result),
                         cases[i].status);
        assert_non_null(strstr(msfl_error_message(), cases[i].says));
        assert_int_equal(result.n_steps, 0);
        /* Prediction meets the same sample. */
        float probabilities[150];
        memset(probabilities, 1, sizeof probabilities);
        msfl_model_init(f.model, 1, f.weights);
        assert_int_equal(msfl_predict(f.trainer, f.weights, &samples, probabilities, NULL, NULL), cases[i].status);
        for (int k = 0; k < 150; k++)
            assert_true(probabilities[k] == 0.0f);
        /* The trainer is still good. */
        t.kind = NO_TRAP;
        assert_ok(msfl_train(f.trainer, &f.options, &samples, f.weights, NULL, "t", -1, &result));
        end(&f);
    }
}

static void divergence_is_named(void **state) {
    (void)state;
    fixture f = begin(net_yaml);
    f.options.optimizer = MSFL_SGD;
    f.options.learning_rate = 100.0f;
    f.options.momentum = 0.999f;
    f.options.n_epochs = 200;
    assert_int_equal(train(&f, 50, NULL, NULL), MSFL_ERR_NUMERIC);
    assert_non_null(strstr(msfl_error_message(), "epoch "));
    assert_non_null(strstr(msfl_error_message(), "step "));
    end(&f);
    f = begin(net_yaml);
    f.weights[2] = INFINITY;
    assert_int_equal(train(&f, 50, NULL, NULL), MSFL_ERR_NUMERIC);
    end(&f);
}

static void wrong_options_are_refused(void **state) {
    (void)state;
    fixture f = begin(net_yaml);
    const float bad_weights[] = {1, NAN, 1};
    msfl_train_options o[9];
    for (int i = 0; i < 9; i++)
        o[i] = f.options;
    o[0].learning_rate = 0;
    o[1].learning_rate = NAN;
    o[2].momentum = 1;
    o[3].weight_decay = -1;
    o[4].label_smoothing = 1;
    o[5].batch = 0;
    o[6].batch = 17;
    o[7].class_weights = bad_weights;
    o[8].optimizer = (msfl_optimizer)9;
    float *before = malloc(f.n * sizeof *before);
    memcpy(before, f.weights, f.n * sizeof *before);
    for (int i = 0; i < 9; i++) {
        f.options = o[i];
        assert_int_equal(train(&f, 50, NULL, NULL), i == 5 || i == 6 ? MSFL_ERR_MISMATCH : MSFL_ERR_USAGE);
    }
    f.options = msfl_train_options_default();
    f.options.batch = 16;
    assert_int_equal(train(&f, 0, NULL, NULL), MSFL_ERR_DATA);
    assert_memory_equal(before, f.weights, f.n * sizeof *before);
    f.options.n_epochs = 0;
    assert_ok(train(&f, 50, NULL, NULL));
    assert_memory_equal(before, f.weights, f.n * sizeof *before);
    msfl_trainer *t;
    assert_int_equal(msfl_trainer_new(f.model, 0, 1, NULL, &t), MSFL_ERR_LIMIT);
    assert_int_equal(msfl_trainer_new(f.model, 1025, 1, NULL, &t), MSFL_ERR_LIMIT);
    assert_null(t);
    free(before);
    end(&f);
}

typedef struct watcher {
    uint64_t n_events, stop_at;
    volatile int cancel;
    double last_loss;
} watcher;

static void watch(void *ctx, const msfl_event *event) {
    watcher *w = ctx;
    assert_int_equal(event->kind, MSFL_EVENT_PROGRESS);
    assert_string_equal(event->track, "test");
    assert_int_equal(event->client, 7);
    assert_int_equal(event->done, ++w->n_events);
    assert_int_equal(event->total, 8);
    assert_true(isfinite(event->loss));
    w->last_loss = event->loss;
    if (event->done == w->stop_at) w->cancel = 1;
}

static void observers_see_and_stop(void **state) {
    (void)state;
    fixture f = begin(net_yaml);
    f.options.n_epochs = 2;
    watcher w = {0};
    msfl_observer observer = {watch, &w, &w.cancel};
    msfl_train_result result;
    assert_ok(train(&f, 50, &observer, &result)); /* 16 + 16 + 16 + 2 images */
    assert_int_equal(w.n_events, 8);
    assert_int_equal(result.n_steps, 8);
    assert_int_equal(result.n_seen, 50);
    assert_true(result.loss == w.last_loss);
    assert_in_range(result.n_correct, 1, 50);
    w = (watcher){.stop_at = 3};
    assert_int_equal(train(&f, 50, &observer, &result), MSFL_ERR_CANCELLED);
    assert_int_equal(w.n_events, 3);
    end(&f);
}

/* Two equal batches seen as one: a batch in which each image stands twice moves the weights as the half does, whatever
 * shards the images fall into. To rounding, since the shards differ. */
static msfl_status doubled_load(void *ctx, uint32_t i, uint64_t augment_seed, float *pixels, uint32_t *label) {
    return pictures_load(ctx, i % 8, augment_seed, pixels, label);
}

static void shards_do_not_matter_to_the_mean(void **state) {
    (void)state;
    fixture f = begin(net_yaml);
    float *other = malloc(f.n * sizeof *other);
    memcpy(other, f.weights, f.n * sizeof *other);
    f.options.optimizer = MSFL_SGD;
    f.options.learning_rate = 0.1f;
    assert_ok(train(&f, 8, NULL, NULL));
    msfl_trainer *t;
    assert_ok(msfl_trainer_new(f.model, 40, 2, NULL, &t));
    msfl_samples doubled = {40, &f.pictures, doubled_load};
    f.options.batch = 40;
    assert_ok(msfl_train(t, &f.options, &doubled, other, NULL, "t", -1, NULL));
    double moved = 0, apart = 0;
    const msfl_tensor *variance = msfl_model_tensor(f.model, 5); /* unbiased: that does know the count */
    assert_string_equal(variance->name, "moving_variance");
    float *initial = malloc(f.n * sizeof *initial);
    msfl_model_init(f.model, 1, initial);
    for (size_t i = 0; i < f.n; i++) {
        if (i >= variance->offset && i < variance->offset + variance->count) continue;
        moved = fmax(moved, fabs((double)(f.weights[i] - initial[i])));
        apart = fmax(apart, fabs((double)(f.weights[i] - other[i])));
    }
    assert_true(moved > 1e-3);
    assert_true(apart < 1e-6);
    free(initial);
    free(other);
    msfl_trainer_free(t);
    end(&f);
}

static const char dropout_yaml[] = "name: net\n"
                                   "input: {height: 40, width: 50, channels: 1}\n"
                                   "classes: 2\n"
                                   "layers:\n"
                                   "  - dropout: {rate: 0.3}\n"
                                   "  - flatten\n"
                                   "  - dense: {units: classes}\n";

/* Drop-out leaves out the stated fraction, scales the rest, differs from image to image and step to step; the gradient
 * of the kernel shows the very same mask (it is input times mask times a constant per image). */
static void dropout_drops(void **state) {
    (void)state;
    fixture f = begin(dropout_yaml);
    const nn_net *net = f.trainer->net;
    assert_int_equal(net->shard_images, 1);
    size_t size = 2000;
    float *x = malloc(size * sizeof *x), *first = malloc(size * sizeof *first);
    for (size_t i = 0; i < size; i++)
        x[i] = 1.0f;
    uint32_t label = 1;
    nn_loss loss = {.n_classes = 2};
    nn_run *run = &f.trainer->runs[0];
    run->weights = f.weights;
    run->x = x;
    run->labels = &label;
    run->n_valid = 1;
    run->loss = &loss;
    run->loss_scale = 1.0;
    run->workspace = nn_net_workspace_take(f.trainer->net);
    size_t n_dropped = 0, n_same = 0;
    for (uint32_t step = 0; step < 50; step++) {
        run->shard = step % 2; /* two images of a batch */
        run->dropout_key = step / 2;
        assert_ok(nn_run_phase(run, 0));
        const float *y = run->workspace + net->ops[0].y;
        const float *kernel = run->gradient + net->segments[0].offset;
        double per_image = 0;
        for (size_t i = 0; i < size; i++) {
            bool dropped = y[i] == 0.0f;
            assert_true(dropped || fabsf(y[i] - 1.0f / 0.7f) < 1e-6f);
            n_dropped += dropped;
            n_same += step > 0 && dropped == (first[i] == 0.0f);
            if (!dropped) per_image = (double)kernel[2 * i] / (double)y[i];
        }
        for (size_t i = 0; i < size; i++)
            assert_true(fabs((double)kernel[2 * i] - per_image * (double)y[i]) < 1e-6);
        if (step == 0) memcpy(first, y, size * sizeof *first);
    }
    /* Five standard deviations of a binomial. */
    double total = 50.0 * (double)size, same = 0.3 * 0.3 + 0.7 * 0.7;
    assert_true(fabs((double)n_dropped - 0.3 * total) < 5 * sqrt(total * 0.21));
    assert_true(fabs((double)n_same - same * (total - (double)size)) < 5 * sqrt(total * same * (1 - same)));
    nn_net_workspace_give(f.trainer->net, run->workspace);
    run->workspace = NULL;
    free(x);
    free(first);
    end(&f);
}

static void moving_statistics_are_used_in_prediction(void **state) {
    (void)state;
    fixture f = begin(net_yaml);
    f.options.n_epochs = 30;
    assert_ok(train(&f, 48, NULL, NULL));
    float one[3], many[48 * 3];
    msfl_samples single = pictures_samples(&f.pictures, 1);
    assert_ok(msfl_predict(f.trainer, f.weights, &single, one, NULL, NULL));
    assert_ok(msfl_predict(f.trainer, f.weights, &f.samples, many, NULL, NULL));
    for (int c = 0; c < 3; c++) /* company does not matter */
        assert_true(fabsf(one[c] - many[c]) < 1e-6f);
    const msfl_tensor *mean = msfl_model_tensor(f.model, 4);
    assert_string_equal(mean->name, "moving_mean");
    f.weights[mean->offset] += 1.0f;
    assert_ok(msfl_predict(f.trainer, f.weights, &single, many, NULL, NULL));
    assert_true(fabsf(one[0] - many[0]) + fabsf(one[1] - many[1]) > 1e-4f);
    end(&f);
}

/* The slow twin of views: the same samples as one view alone has them, averaged here. */
typedef struct one_view {
    const msfl_samples *samples;
    uint32_t view;
} one_view;

static msfl_status one_view_load(void *ctx, uint32_t i, uint64_t augment_seed, float *pixels, uint32_t *label) {
    const one_view *v = ctx;
    assert_int_equal(augment_seed, 0);
    return v->samples->load(v->samples->ctx, i, msfl_view_seed(v->view), pixels, label);
}

static void views_are_averaged(void **state) {
    (void)state;
    enum { N = 37, C = 3, VIEWS = 5 };
    fixture f = begin(net_yaml);
    assert_ok(train(&f, 48, NULL, NULL));
    msfl_samples samples = pictures_samples(&f.pictures, N);
    float plain[N * C], one[N * C], got[N * C], again[N * C];
    double sums[N * C] = {0}, loss, want = 0;
    uint32_t labels[N], viewed[N];
    assert_ok(msfl_predict(f.trainer, f.weights, &samples, plain, labels, NULL));
    for (uint32_t v = 0; v < VIEWS; v++) {
        one_view ctx = {&samples, v};
        const msfl_samples single = {.n = N, .ctx = &ctx, .load = one_view_load};
        assert_ok(msfl_predict(f.trainer, f.weights, &single, one, NULL, NULL));
        assert_int_equal(memcmp(one, plain, sizeof one) == 0, v == 0);
        for (int k = 0; k < N * C; k++)
            sums[k] += (double)one[k] / VIEWS;
    }
    for (int i = 0; i < N; i++)
        want -= log(sums[i * C + labels[i]]) / N;
    samples.n_views = VIEWS;
    assert_ok(msfl_predict(f.trainer, f.weights, &samples, got, viewed, &loss));
    assert_memory_equal(labels, viewed, sizeof labels);
    for (int k = 0; k < N * C; k++)
        assert_true(fabs((double)got[k] - sums[k]) < 1e-6);
    assert_true(fabs(loss - want) < 1e-5);
    /* Company does not matter, and one view is what no view is. */
    samples.n = 20;
    assert_ok(msfl_predict(f.trainer, f.weights, &samples, again, NULL, NULL));
    for (int k = 0; k < 20 * C; k++)
        assert_true(fabsf(again[k] - got[k]) < 1e-6f);
    samples = (msfl_samples){.n = N, .ctx = samples.ctx, .load = samples.load, .n_views = 1};
    assert_ok(msfl_predict(f.trainer, f.weights, &samples, again, NULL, NULL));
    assert_memory_equal(again, plain, sizeof plain);
    samples.n_views = MSFL_VIEWS_MAX + 1;
    assert_int_equal(msfl_predict(f.trainer, f.weights, &samples, again, NULL, NULL), MSFL_ERR_USAGE);
    end(&f);
}

static void damaged_states_are_refused(void **state) {
    (void)state;
    fixture f = begin(net_yaml);
    uint8_t *bytes, *empty;
    size_t length, n_empty;
    assert_ok(msfl_trainer_state_save(f.trainer, &empty, &n_empty));
    assert_ok(train(&f, 50, NULL, NULL));
    assert_ok(msfl_trainer_state_save(f.trainer, &bytes, &length));
    assert_true(length > n_empty + 8 * f.n - 1);
    for (size_t cut = 1; cut < length; cut += cut < 200 ? 1 : 97)
        assert_int_equal(msfl_trainer_state_load(f.trainer, bytes, cut), MSFL_ERR_FORMAT);
    for (size_t i = 0; i < length; i += i < 100 ? 1 : 61) {
        bytes[i] ^= 0x20;
        assert_int_equal(msfl_trainer_state_load(f.trainer, bytes, length), MSFL_ERR_FORMAT);
        bytes[i] ^= 0x20;
    }
    assert_ok(msfl_trainer_state_load(f.trainer, bytes, length));
    assert_int_equal(f.trainer->n_steps, 4);
    assert_ok(msfl_trainer_state_load(f.trainer, empty, n_empty));
    assert_int_equal(f.trainer->n_steps, 0);
    assert_null(f.trainer->first);
    fixture other = begin(dropout_yaml);
    assert_int_equal(msfl_trainer_state_load(other.trainer, bytes, length), MSFL_ERR_MISMATCH);
    end(&other);
    msfl_bytes_free(bytes);
    msfl_bytes_free(empty);
    end(&f);
}

static msfl_status everything(msfl_model *model) {
    pictures p = {8, 8, 1, 3, 1};
    msfl_samples samples = pictures_samples(&p, 20);
    float weights[2000], probabilities[60];
    assert_true(msfl_model_info_borrow(model)->n_values < 2000);
    msfl_model_init(model, 1, weights);
    msfl_trainer *t, *second = NULL;
    msfl_status status = msfl_trainer_new(model, 8, 1, NULL, &t);
    if (status != MSFL_OK) {
        assert_null(t);
        return status;
    }
    msfl_train_options o = msfl_train_options_default();
    o.batch = 8;
    uint8_t *bytes = NULL;
    size_t length;
    status = msfl_train(t, &o, &samples, weights, NULL, "t", -1, NULL);
    if (status == MSFL_OK) status = msfl_trainer_new(model, 8, 1, t, &second);
    if (status == MSFL_OK) status = msfl_predict(second, weights, &samples, probabilities, NULL, NULL);
    samples.n_views = 2;
    if (status == MSFL_OK) status = msfl_predict(second, weights, &samples, probabilities, NULL, NULL);
    if (status == MSFL_OK) status = msfl_trainer_state_save(t, &bytes, &length);
    if (status == MSFL_OK) status = msfl_trainer_state_load(second, bytes, length);
    msfl_bytes_free(bytes);
    msfl_trainer_free(t);
    msfl_trainer_free(second);
    return status;
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    msfl_model *model = model_of(net_yaml);
    assert_ok(everything(model)); /* what is made once per process */
    long k = 1;
    for (;; k++) {
        assert_true(k < 5000);
        msfl_alloc_fail_at(k);
        msfl_status status = everything(model);
        msfl_alloc_fail_at(0);
        if (status == MSFL_OK) break;
        assert_int_equal(status, MSFL_ERR_MEMORY);
    }
    assert_true(k > 20);
    msfl_model_free(model);
}

/* Noise, with a bright or a dark patch somewhere. */
static void patch_of(uint32_t i, uint32_t *y, uint32_t *x, uint32_t *label) {
    *label = i % 2;
    *y = i * 7 % 12;
    *x = i * 5 % 12;
}

static msfl_status load_patch(void *ctx, uint32_t i, uint64_t augment_seed, float *pixels, uint32_t *label) {
    uint32_t y, x;
    msfl_seeded g;
    (void)ctx;
    msfl_seeded_init(&g, 5, "test.patch", i, augment_seed, 0);
    patch_of(i, &y, &x, label);
    for (uint32_t k = 0; k < 256; k++) {
        bool inside = k / 16 - y < 5 && k % 16 - x < 5; /* unsigned: also false before the patch */
        pixels[k] = 0.3f * (float)msfl_seeded_normal(&g) + (!inside ? 0.0f : *label == 0 ? 1.5f : -1.5f);
    }
    return MSFL_OK;
}

/* The heat lies on the patch that makes the class, and explaining changes nothing. */
static void explanation_finds_the_place(void **state) {
    (void)state;
    static const char *const yamls[] = {
        "name: t\ninput: {height: 16, width: 16, channels: 1}\nclasses: 2\nlayers:\n"
        "  - conv: {filters: 8, kernel: 3, padding: same, activation: relu}\n  - max_pool\n"
        "  - conv: {filters: 8, kernel: 3, padding: same, activation: relu}\n  - global_avg_pool\n"
        "  - dropout: {rate: 0.2}\n  - dense: {units: classes}\n",
        "name: t\ninput: {height: 16, width: 16, channels: 1}\nclasses: 2\nlayers:\n"
        "  - conv: {filters: 8, kernel: 3, padding: same, activation: relu, name: a}\n"
        "  - conv: {filters: 8, kernel: 3, padding: same}\n  - group_norm: {groups: 2}\n"
        "  - add: {with: a, activation: relu}\n  - max_pool\n  - flatten\n  - dense: {units: classes}\n"};
    for (int n = 0; n < 2; n++) {
        msfl_model *model = model_of(yamls[n]);
        msfl_samples samples = {.n = 128, .load = load_patch};
        msfl_trainer *t;
        float *weights = calloc(msfl_model_info_borrow(model)->n_values, sizeof *weights);
        msfl_model_init(model, 3, weights);
        assert_ok(msfl_trainer_new(model, 16, 2, NULL, &t));
        msfl_train_options o = msfl_train_options_default();
        o.batch = 16;
        o.n_epochs = 20;
        o.learning_rate = 1e-2f;
        msfl_train_result result;
        assert_ok(msfl_train(t, &o, &samples, weights, NULL, "t", -1, &result));
        assert_true(result.n_correct > 115);
        int right = 0;
        for (uint32_t i = 200; i < 240; i++) {
            float pixels[256], map[256], again[256];
            uint32_t label, y, x;
            double inside = 0, outside = 0;
            assert_ok(load_patch(NULL, i, 0, pixels, &label));
            assert_ok(msfl_explain(t, weights, pixels, label, map));
            assert_ok(msfl_explain(t, weights, pixels, label, again));
            assert_memory_equal(map, again, sizeof map);
            patch_of(i, &y, &x, &label);
            for (uint32_t k = 0; k < 256; k++) {
                assert_true(map[k] >= 0.0f && map[k] <= 1.0f);
                *(k / 16 - y < 5 && k % 16 - x < 5 ? &inside : &outside) += (double)map[k];
            }
            right += inside / 25 > outside / 231;
        }
        assert_in_range(right, 34, 40);
        float map[256], pixels[256] = {0};
        assert_int_equal(msfl_explain(t, weights, pixels, 4, map), MSFL_ERR_UNSUPPORTED);
        msfl_trainer_free(t);
        msfl_model_free(model);
        free(weights);
    }
}

/* A class per pixel: learned, predicted in the order of the pixels, and refused what does not go with it. */
static msfl_status load_stripes(void *ctx, uint32_t i, uint64_t augment_seed, float *pixels, uint32_t *label) {
    (void)ctx;
    (void)augment_seed;
    for (uint32_t k = 0; k < 8 * 12; k++) {
        label[k] = (k / 12 + i) % 4 == 0 ? 1 : k % 12 == i % 12 ? 2 : 0;
        pixels[k] = label[k] == 1 ? 1.0f : label[k] == 2 ? -1.0f : 0.1f * (float)((int)((k * 7 + i) % 5) - 2);
    }
    return MSFL_OK;
}

static void pixels_have_classes(void **state) {
    (void)state;
    msfl_model *model = model_of("name: t\ninput: {height: 8, width: 12, channels: 1}\nclasses: 3\nlayers:\n"
                                 "  - conv: {filters: 8, kernel: 3, padding: same, activation: relu}\n"
                                 "  - conv: {filters: classes, kernel: 1}\n");
    enum { N = 21, P = 8 * 12 };
    msfl_samples samples = {.n = N, .load = load_stripes};
    float *weights = calloc(msfl_model_info_borrow(model)->n_values, sizeof *weights);
    float *probabilities = malloc(N * P * 3 * sizeof *probabilities);
    uint32_t *labels = malloc(N * P * sizeof *labels), expected[P];
    float pixels[P];
    msfl_trainer *t;
    msfl_train_result result;
    msfl_model_init(model, 3, weights);
    assert_ok(msfl_trainer_new(model, 8, 2, NULL, &t));
    assert_true(msfl_trainer_bytes(t, MSFL_ADAM) > msfl_trainer_bytes(t, MSFL_SGD));
    msfl_train_options o = msfl_train_options_default();
    o.batch = 8;
    o.n_epochs = 150;
    o.learning_rate = 1e-2f;
    assert_ok(msfl_train(t, &o, &samples, weights, NULL, "t", -1, &result));
    assert_int_equal(result.n_seen, N);
    assert_in_range(result.n_correct, N - 1, N);
    double loss;
    assert_ok(msfl_predict(t, weights, &samples, probabilities, labels, &loss));
    assert_true(loss < 0.1);
    for (uint32_t i = 0; i < N; i++) {
        assert_ok(load_stripes(NULL, i, 0, pixels, expected));
        assert_memory_equal(labels + i * P, expected, sizeof expected);
        for (uint32_t k = 0; k < P; k++) {
            const float *p = probabilities + (i * P + k) * 3;
            assert_true(fabs((double)p[0] + (double)p[1] + (double)p[2] - 1) < 1e-5);
            assert_true(p[expected[k]] > 0.5f);
        }
    }
    o.label_smoothing = 0.1f;
    assert_int_equal(msfl_train(t, &o, &samples, weights, NULL, "t", -1, NULL), MSFL_ERR_USAGE);
    o.label_smoothing = 0;
    o.focal = 1;
    assert_int_equal(msfl_train(t, &o, &samples, weights, NULL, "t", -1, NULL), MSFL_ERR_USAGE);
    float map[P];
    assert_int_equal(msfl_explain(t, weights, pixels, 0, map), MSFL_ERR_UNSUPPORTED);
    msfl_trainer_free(t);
    msfl_model_free(model);
    free(weights);
    free(probabilities);
    free(labels);
}

/* Options at their neutral values change no bit, and a chain says the same when it names what goes without saying. */
static void neutral_options_are_neutral(void **state) {
    (void)state;
    static const char *const yamls[] = {
        "name: t\ninput: {height: 16, width: 16, channels: 1}\nclasses: 4\nlayers:\n"
        "  - conv: {filters: 8, kernel: 3, activation: relu}\n  - max_pool\n  - batch_norm\n  - flatten\n"
        "  - dropout: {rate: 0.2}\n  - dense: {units: classes}\n",
        "name: t\ninput: {height: 16, width: 16, channels: 1}\nclasses: 4\nlayers:\n"
        "  - conv: {filters: 8, kernel: 3, activation: relu}\n  - max_pool: {from: conv1}\n"
        "  - batch_norm: {from: max_pool1}\n  - flatten\n  - dropout: {rate: 0.2}\n"
        "  - dense: {units: classes, from: dropout1}\n"};
    float *first = NULL;
    for (int y = 0; y < 4; y++) {
        msfl_model *model = model_of(yamls[y % 2]);
        pictures p = {16, 16, 1, 4, 9};
        msfl_samples samples = pictures_samples(&p, 37);
        uint64_t n = msfl_model_info_borrow(model)->n_values;
        msfl_trainer *t;
        float *weights = calloc(n, sizeof *weights), ones[4] = {1, 1, 1, 1};
        msfl_model_init(model, 3, weights);
        assert_ok(msfl_trainer_new(model, 8, y, NULL, &t));
        msfl_train_options o = msfl_train_options_default();
        o.batch = 8;
        o.n_epochs = 2;
        if (y >= 2) o.class_weights = ones;
        if (y == 3) o.dice = 0;
        assert_ok(msfl_train(t, &o, &samples, weights, NULL, "t", -1, NULL));
        if (first == NULL) {
            first = weights;
        } else {
            assert_memory_equal(first, weights, n * sizeof *weights);
            free(weights);
        }
        msfl_trainer_free(t);
        msfl_model_free(model);
    }
    free(first);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(bad_samples_end_training),
                                       cmocka_unit_test(divergence_is_named),
                                       cmocka_unit_test(wrong_options_are_refused),
                                       cmocka_unit_test(observers_see_and_stop),
                                       cmocka_unit_test(shards_do_not_matter_to_the_mean),
                                       cmocka_unit_test(dropout_drops),
                                       cmocka_unit_test(moving_statistics_are_used_in_prediction),
                                       cmocka_unit_test(views_are_averaged),
                                       cmocka_unit_test(damaged_states_are_refused),
                                       cmocka_unit_test(explanation_finds_the_place),
                                       cmocka_unit_test(pixels_have_classes),
                                       cmocka_unit_test(neutral_options_are_neutral),
                                       cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
