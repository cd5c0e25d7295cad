/* layer: nn
 *
 * Lets a script look into the network engine. Numbers go in and out as plain little-endian arrays.
 *
 *   nn_probe init MODEL SEED OUT.h5 OUT.raw          initial weights, saved and as they are in memory
 *   nn_probe load IN.h5 OUT.raw OUT.yaml             what msfl_model_load makes of a file
 *   nn_probe predict MODEL IN OUT                    probabilities (n x classes)
 *   nn_probe gradient MODEL IN OUT [key=value...]    loss (double), gradient, weights afterwards (moving statistics)
 *   nn_probe train MODEL IN OUT [key=value...]       weights after `steps` steps, all samples in one batch
 * IN: u32 n, n x u32 labels (of every pixel, where the model wants that), images, weights. Keys: threads, optimizer (0
 * SGD, 1 Adam), rate, momentum, decay, steps, smoothing, focal, dice, proximal, weight0, weight1, ... (of classes).
 */
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "nn/trainer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void stop(const char *what) {
    fprintf(stderr, "nn_probe: %s: %s\n", what, msfl_error_message());
    exit(1);
}
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        if ((call) != MSFL_OK) stop(#call);                                                                            \
    } while (0)

static void write_raw(const char *path, const void *bytes, size_t length) {
    TRY(msfl_file_write(path, bytes, length));
}

static int init(char **argv) {
    msfl_model *model;
    TRY(msfl_model_new(argv[0], 0, 0, 0, 0, &model));
    size_t n = msfl_model_info_borrow(model)->n_values;
    float *weights = msfl_alloc(n, sizeof *weights);
    msfl_model_init(model, strtoull(argv[1], NULL, 10), weights);
    for (size_t i = 0; i < n; i++)
        weights[i] += (float)(i % 1000) * 1e-4f; /* biases and norms are told apart too */
    TRY(msfl_model_save(argv[2], model, weights, &(msfl_model_facts){.normalise = "image"}));
    write_raw(argv[3], weights, n * sizeof *weights);
    msfl_free(weights);
    msfl_model_free(model);
    return 0;
}

static int load(char **argv) {
    msfl_model *model;
    float *weights;
    TRY(msfl_model_load(argv[0], &model, &weights, NULL));
    write_raw(argv[1], weights, msfl_model_info_borrow(model)->n_values * sizeof *weights);
    write_raw(argv[2], msfl_model_yaml(model), strlen(msfl_model_yaml(model)));
    msfl_floats_free(weights);
    msfl_model_free(model);
    return 0;
}

typedef struct input {
    uint32_t n;
    const uint32_t *labels;
    const float *images;
    float *weights;
    size_t image_floats, n_targets;
} input;

static msfl_status load_sample(void *ctx, uint32_t i, uint64_t augment_seed, float *pixels, uint32_t *label) {
    (void)augment_seed;
    const input *in = ctx;
    memcpy(pixels, in->images + i * in->image_floats, in->image_floats * sizeof *pixels);
    memcpy(label, in->labels + i * in->n_targets, in->n_targets * sizeof *label);
    return MSFL_OK;
}

static double key(int argc, char **argv, const char *name, double otherwise) {
    for (int i = 0; i < argc; i++) {
        size_t n = strlen(name);
        if (strncmp(argv[i], name, n) == 0 && argv[i][n] == '=') return atof(argv[i] + n + 1);
    }
    return otherwise;
}

/* One pass over all samples, in order, through the trainer's own steps; the weights are not moved. */
static double gradient(msfl_trainer *t, const msfl_samples *samples, const nn_loss *loss, float *weights) {
    uint32_t *order = msfl_alloc(samples->n, sizeof *order);
    double weight = 0.0, sum = 0.0;
    for (uint32_t i = 0; i < samples->n; i++)
        order[i] = i;
    t->batches[0].order = order;
    t->batches[0].n = samples->n;
    TRY(nn_batch_load(t, samples, &t->batches[0]));
    for (uint32_t i = 0; i < samples->n; i++)
        weight += t->net->arch->is_pixelwise ? 1.0 : nn_loss_weight(loss, t->batches[0].labels[i]);
    TRY(nn_pack_all(t, weights));
    TRY(nn_step(t, samples, loss, 0, 1.0 / weight, 1, weights));
    uint32_t n_shards = (samples->n + t->net->shard_images - 1) / t->net->shard_images;
    TRY(nn_update(t, NULL, n_shards, weights));
    for (uint32_t s = 0; s < n_shards; s++)
        sum += t->runs[s].loss_sum;
    msfl_free(order);
    return sum / weight;
}

static int run(const char *mode, int argc, char **argv) {
    msfl_model *model;
    TRY(msfl_model_new(argv[0], 0, 0, 0, 0, &model));
    const msfl_model_info *info = msfl_model_info_borrow(model);
    uint8_t *bytes;
    size_t length;
    TRY(msfl_file_read(argv[1], (size_t)1 << 31, &bytes, &length));
    input in = {.image_floats = (size_t)info->depth * info->height * info->width * info->channels,
                .n_targets = info->n_targets};
    memcpy(&in.n, bytes, sizeof in.n);
    in.labels = (const uint32_t *)(const void *)(bytes + 4);
    in.images = (const float *)(const void *)(in.labels + in.n * in.n_targets);
    in.weights = msfl_alloc(info->n_values, sizeof *in.weights);
    size_t before = 4 + in.n * (in.n_targets * 4 + in.image_floats * 4);
    if (length != before + info->n_values * 4) stop("the input has another length than the model asks for");
    memcpy(in.weights, bytes + before, info->n_values * 4);
    msfl_samples samples = {.n = in.n, .ctx = &in, .load = load_sample};
    float class_weights[NN_CLASSES_MAX];
    for (uint32_t c = 0; c < info->n_classes; c++) {
        char name[32];
        snprintf(name, sizeof name, "weight%u", c);
        class_weights[c] = (float)key(argc, argv, name, 1.0);
    }
    float logit_offsets[NN_CLASSES_MAX];
    for (uint32_t c = 0; c < info->n_classes; c++) {
        char name[32];
        snprintf(name, sizeof name, "offset%u", c);
        logit_offsets[c] = (float)key(argc, argv, name, 0.0);
    }
    /* Pixels take none. */
    const float *offsets = info->is_pixelwise ? NULL : logit_offsets;
    msfl_trainer *t;
    TRY(msfl_trainer_new(model, in.n, (uint32_t)key(argc, argv, "threads", 0), NULL, &t));
    float smoothing = (float)key(argc, argv, "smoothing", 0);
    size_t n = info->n_values * sizeof(float);
    if (strcmp(mode, "predict") == 0) {
        float *probabilities = msfl_alloc((size_t)in.n * info->n_targets * info->n_classes, sizeof *probabilities);
        TRY(msfl_predict(t, in.weights, &samples, probabilities, NULL, NULL));
        write_raw(argv[2], probabilities, (size_t)in.n * info->n_targets * info->n_classes * sizeof *probabilities);
        msfl_free(probabilities);
    } else if (strcmp(mode, "gradient") == 0) {
        nn_loss loss = {info->n_classes,
                        smoothing,
                        class_weights,
                        (float)key(argc, argv, "focal", 0),
                        (float)key(argc, argv, "dice", 0),
                        offsets};
        uint8_t *out = msfl_alloc(2 * n + sizeof(double), 1);
        double value = gradient(t, &samples, &loss, in.weights);
        memcpy(out, &value, sizeof value);
        memcpy(out + sizeof value, t->gradient, n);
        memcpy(out + sizeof value + n, in.weights, n);
        write_raw(argv[2], out, 2 * n + sizeof value);
        msfl_free(out);
    } else {
        msfl_train_options o = {.optimizer = key(argc, argv, "optimizer", 1) == 0 ? MSFL_SGD : MSFL_ADAM,
                                .learning_rate = (float)key(argc, argv, "rate", 1e-3),
                                .momentum = (float)key(argc, argv, "momentum", 0.9),
                                .weight_decay = (float)key(argc, argv, "decay", 0),
                                .batch = in.n,
                                .n_epochs = (uint32_t)key(argc, argv, "steps", 5),
                                .label_smoothing = smoothing,
                                .class_weights = class_weights,
                                .logit_offsets = offsets,
                                .focal = (float)key(argc, argv, "focal", 0),
                                .dice = (float)key(argc, argv, "dice", 0),
                                .proximal = (float)key(argc, argv, "proximal", 0)};
        TRY(msfl_train(t, &o, &samples, in.weights, NULL, "probe", -1, NULL));
        write_raw(argv[2], in.weights, n);
    }
    msfl_trainer_free(t);
    msfl_free(in.weights);
    msfl_free(bytes);
    msfl_model_free(model);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 6 && strcmp(argv[1], "init") == 0) return init(argv + 2);
    if (argc == 5 && strcmp(argv[1], "load") == 0) return load(argv + 2);
    if (argc >= 5) return run(argv[1], argc - 2, argv + 2);
    fprintf(stderr, "see the head of nn_probe.c\n");
    return 2;
}
