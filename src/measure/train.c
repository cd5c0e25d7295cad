/* `bench train`: images per second through a network. */
#include "medsecurefl/train.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "base/seeded.h"
#include "measure/clock.h"
#include "measure/fields.h"
#include "medsecurefl/bench.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    STEPS = 4
}; /* batches in one run: long enough to load beside working, short enough to be lucky on a busy machine */

/* One batch of noise, met again and again: what loading costs in real life is the data's affair. */
typedef struct noise {
    float *pixels;
    uint32_t batch, n_classes, n_targets;
    size_t size;
} noise;

static msfl_status load(void *ctx, uint32_t i, uint64_t augment_seed, float *pixels, uint32_t *label) {
    const noise *n = ctx;
    (void)augment_seed;
    memcpy(pixels, n->pixels + (i % n->batch) * n->size, n->size * sizeof *pixels);
    for (uint32_t k = 0; k < n->n_targets; k++)
        label[k] = (i + k / 7) % n->n_classes;
    return MSFL_OK;
}

static uint64_t process_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static msfl_status measure(msfl_trainer *t, const msfl_samples *samples, const msfl_bench_train_options *o,
                           float *weights, float *probabilities, const msfl_observer *observer, msfl_bench_train *out) {
    msfl_train_options train = msfl_train_options_default();
    train.batch = out->batch;
    msfl_status status = MSFL_OK;
    /* The first run makes its memory: it does not count, and neither is it the only one. */
    uint64_t begun = msfl_now_ns();
    for (uint32_t run = 0; status == MSFL_OK && (run < 3 || measure_since(begun) < o->seconds); run++) {
        uint64_t t0 = msfl_now_ns(), cpu0 = process_ns();
        train.first_epoch = run;
        status = msfl_train(t, &train, samples, weights, observer, "train", -1, NULL);
        double ips = samples->n / measure_since(t0), cpu_ips = samples->n / ((double)(process_ns() - cpu0) * 1e-9);
        if (run > 0 && cpu_ips > out->train_cpu_ips) out->train_cpu_ips = cpu_ips;
        if (run > 0 && ips > out->train_ips) out->train_ips = ips;
        out->n_runs = run + 1;
    }
    begun = msfl_now_ns();
    for (uint32_t run = 0; status == MSFL_OK && (run < 3 || measure_since(begun) < o->seconds / 2); run++) {
        uint64_t t0 = msfl_now_ns();
        status = msfl_check_cancel(observer);
        if (status == MSFL_OK) status = msfl_predict(t, weights, samples, probabilities, NULL, NULL);
        double ips = samples->n / measure_since(t0);
        if (run > 0 && ips > out->predict_ips) out->predict_ips = ips;
    }
    return status;
}

msfl_status msfl_bench_train_run(const msfl_bench_train_options *o, const msfl_observer *observer,
                                 msfl_bench_train *out) {
    *out = (msfl_bench_train){0};
    msfl_model *model;
    msfl_trainer *trainer = NULL;
    msfl_status status =
        msfl_model_new_volume(o->model, o->depth, o->height, o->width, o->channels, o->n_classes, &model);
    if (status != MSFL_OK) return status;
    const msfl_model_info *info = msfl_model_info_borrow(model);
    noise n = {.batch = o->batch,
               .n_classes = info->n_classes,
               .n_targets = info->n_targets,
               .size = (size_t)info->depth * info->height * info->width * info->channels};
    const msfl_samples samples = {.n = STEPS * o->batch, .ctx = &n, .load = load};
    float *weights = msfl_alloc(info->n_values, sizeof *weights);
    float *probabilities = NULL;
    status = weights == NULL ? MSFL_ERR_MEMORY : msfl_trainer_new(model, o->batch, o->n_threads, NULL, &trainer);
    if (status != MSFL_OK) goto done;
    n.pixels = msfl_alloc(o->batch * n.size, sizeof *n.pixels);
    probabilities = msfl_alloc((size_t)samples.n * n.n_targets * n.n_classes, sizeof *probabilities);
    if (n.pixels == NULL || probabilities == NULL) {
        status = MSFL_ERR_MEMORY;
        goto done;
    }
    msfl_seeded g;
    msfl_seeded_init(&g, 1, "bench.train", 0, 0, 0);
    for (size_t i = 0; i < o->batch * n.size; i++)
        n.pixels[i] = (float)msfl_seeded_normal(&g);
    msfl_model_init(model, 1, weights);
    msfl_bench_train r = {.depth = info->is_volume ? info->depth : 0,
                          .height = info->height,
                          .width = info->width,
                          .channels = info->channels,
                          .n_classes = info->n_classes,
                          .batch = o->batch,
                          .threads = msfl_trainer_threads(trainer),
                          .values = info->n_values,
                          .trainer_bytes = msfl_trainer_bytes(trainer, MSFL_ADAM)};
    snprintf(r.model, sizeof r.model, "%s", info->name);
    status = measure(trainer, &samples, o, weights, probabilities, observer, &r);
    r.peak_bytes = msfl_peak_rss_bytes();
    if (status == MSFL_OK) *out = r;
done:
    msfl_free(weights);
    msfl_free(probabilities);
    msfl_free(n.pixels);
    msfl_trainer_free(trainer);
    msfl_model_free(model);
    return status;
}

msfl_status msfl_bench_train_json(const msfl_bench_train *r, char **text) {
    json_t *input = r->depth == 0 ? json_array() : json_pack("[i]", (int)r->depth);
    json_array_append_new(input, json_integer(r->height));
    json_array_append_new(input, json_integer(r->width));
    json_array_append_new(input, json_integer(r->channels));
    return measure_json_take(
        json_pack("{s:s,s:o,s:i,s:i,s:i,s:I,s:f,s:f,s:f,s:I,s:I,s:i}", "model", r->model, "input", input, "classes",
                  (int)r->n_classes, "batch", (int)r->batch, "threads", (int)r->threads, "values",
                  (json_int_t)r->values, "train_images_per_second", r->train_ips, "train_images_per_cpu_second",
                  r->train_cpu_ips, "predict_images_per_second", r->predict_ips, "trainer_bytes",
                  (json_int_t)r->trainer_bytes, "peak_bytes", (json_int_t)r->peak_bytes, "runs", (int)r->n_runs),
        text);
}
