/* Epochs. */
#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "base/seeded.h"
#include "nn/trainer.h"

#include <math.h>
#include <string.h>

msfl_train_options msfl_train_options_default(void) {
    return (msfl_train_options){.optimizer = MSFL_ADAM,
                                .learning_rate = 1e-3f,
                                .momentum = 0.9f,
                                .batch = 32,
                                .n_epochs = 1,
                                .seed = 1,
                                .dice = 1.0f};
}

static msfl_status check_options(const msfl_trainer *t, const msfl_train_options *o, const msfl_samples *samples) {
    if (o->optimizer != MSFL_SGD && o->optimizer != MSFL_ADAM) {
        return msfl_fail(MSFL_ERR_USAGE, "there is no optimiser number %d", (int)o->optimizer);
    }
    if (!(o->learning_rate > 0.0f) || !(o->learning_rate <= 100.0f)) {
        return msfl_fail(MSFL_ERR_USAGE, "a learning rate of %g; it must be above 0 and at most 100",
                         (double)o->learning_rate);
    }
    if (!(o->momentum >= 0.0f) || !(o->momentum < 1.0f)) {
        return msfl_fail(MSFL_ERR_USAGE, "a momentum of %g; it must be from 0 to below 1", (double)o->momentum);
    }
    if (!(o->weight_decay >= 0.0f) || !(o->weight_decay * o->learning_rate < 1.0f)) {
        return msfl_fail(MSFL_ERR_USAGE, "a weight decay of %g; it must not be negative, and below 1 / learning rate",
                         (double)o->weight_decay);
    }
    if (!(o->label_smoothing >= 0.0f) || !(o->label_smoothing < 1.0f)) {
        return msfl_fail(MSFL_ERR_USAGE, "label smoothing of %g; it must be from 0 to below 1",
                         (double)o->label_smoothing);
    }
    if (o->batch == 0 || o->batch > t->net->batch) {
        return msfl_fail(MSFL_ERR_MISMATCH, "a batch of %u images; this trainer was made for 1 to %u", o->batch,
                         t->net->batch);
    }
    for (uint32_t c = 0; o->class_weights != NULL && c < t->net->arch->n_classes; c++) {
        if (!(o->class_weights[c] >= 0.0f) || !isfinite(o->class_weights[c])) {
            return msfl_fail(MSFL_ERR_USAGE, "the weight of class %u is %g; it must be finite and not negative", c,
                             (double)o->class_weights[c]);
        }
    }
    for (uint32_t c = 0; o->logit_offsets != NULL && c < t->net->arch->n_classes; c++) {
        if (!isfinite(o->logit_offsets[c])) {
            return msfl_fail(MSFL_ERR_USAGE, "the logit offset of class %u is %g; it must be finite", c,
                             (double)o->logit_offsets[c]);
        }
    }
    if (!(o->focal >= 0.0f && o->focal <= 10.0f) || !(o->dice >= 0.0f && o->dice <= 100.0f) ||
        !(o->proximal >= 0.0f && o->proximal <= 1000.0f)) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "a focal parameter of %g, a Dice weight of %g and a proximal weight of %g; 0 to 10, 0 to 100 "
                         "and 0 to 1000 are possible",
                         (double)o->focal, (double)o->dice, (double)o->proximal);
    }
    bool plain = t->net->arch->is_pixelwise;
    if (plain && o->logit_offsets != NULL) {
        return msfl_fail(MSFL_ERR_USAGE, "logit adjustment is of images with one class each");
    }
    if ((o->focal > 0.0f && (plain || o->label_smoothing > 0.0f)) || (plain && o->label_smoothing > 0.0f)) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "focal loss and label smoothing exclude each other, and a network that gives a "
                         "class to every pixel takes neither");
    }
    return samples->n == 0 ? msfl_fail(MSFL_ERR_DATA, "there are no images to train on") : MSFL_OK;
}

/* Everything random in an epoch comes from (seed, epoch). */
typedef struct epoch {
    uint32_t *order;
    uint64_t augment_key, dropout_key;
} epoch;

static void epoch_draw(const msfl_train_options *o, uint32_t e, uint32_t n, epoch *out) {
    msfl_seeded g;
    msfl_seeded_init(&g, o->seed, "nn.epoch", o->first_epoch + e, 0, 0);
    out->augment_key = o->augment ? msfl_seeded_u64(&g) | 1 : 0;
    out->dropout_key = msfl_seeded_u64(&g);
    for (uint32_t i = 0; i < n; i++)
        out->order[i] = i;
    msfl_seeded_shuffle(&g, out->order, n);
}

static void batch_set(nn_batch *batch, const epoch *e, uint32_t first, uint32_t n, uint32_t size) {
    batch->order = e->order + first;
    batch->n = n - first < size ? n - first : size;
    batch->augment_key = e->augment_key;
}

typedef struct totals {
    double loss, weight;
    uint64_t n_correct, n_seen;
} totals;

static msfl_status one_step(msfl_trainer *t, const msfl_train_options *o, const msfl_samples *samples, int current,
                            uint64_t dropout_key, float *weights, totals *sum) {
    nn_batch *batch = &t->batches[current];
    const nn_loss loss = {t->net->arch->n_classes, o->label_smoothing, o->class_weights, o->focal, o->dice,
                          o->logit_offsets};
    double weight = t->net->arch->is_pixelwise ? batch->n : 0.0;
    for (uint32_t i = 0; i < batch->n && !t->net->arch->is_pixelwise; i++)
        weight += nn_loss_weight(&loss, batch->labels[i]);
    double scale = weight > 0.0 ? 1.0 / weight : 0.0;
    msfl_status status = nn_step(t, samples, &loss, current, scale, dropout_key, weights);
    if (status != MSFL_OK) return status;
    uint32_t n_shards = (batch->n + t->net->shard_images - 1) / t->net->shard_images;
    double batch_loss = 0.0;
    for (uint32_t s = 0; s < n_shards; s++) {
        batch_loss += t->runs[s].loss_sum;
        sum->weight += t->runs[s].weight_sum;
        sum->n_correct += t->runs[s].n_correct;
    }
    if (!isfinite(batch_loss)) return msfl_fail(MSFL_ERR_NUMERIC, "the loss is not finite");
    sum->loss += batch_loss;
    sum->n_seen += batch->n;
    return nn_update(t, o, n_shards, weights);
}

static void tell(const msfl_observer *observer, const char *track, int32_t client, uint64_t done, uint64_t total,
                 const totals *sum) {
    msfl_event event = {.kind = MSFL_EVENT_PROGRESS,
                        .track = track == NULL ? "" : track,
                        .client = client,
                        .done = done,
                        .total = total,
                        .loss = sum->weight > 0.0 ? sum->loss / sum->weight : NAN};
    msfl_observe(observer, &event);
}

/* `epochs` are the current one and the next, whose first batch is loaded while the last of this one is worked on. */
static msfl_status run_epochs(msfl_trainer *t, const msfl_train_options *o, const msfl_samples *samples,
                              epoch epochs[2], float *weights, const msfl_observer *observer, const char *track,
                              int32_t client, totals *sum) {
    const uint32_t batches = (samples->n + o->batch - 1) / o->batch;
    const uint32_t per_epoch = o->n_steps > 0 && o->n_steps < batches ? o->n_steps : batches;
    uint64_t total = (uint64_t)per_epoch * o->n_epochs, done = 0;
    int current = 0;
    epoch_draw(o, 0, samples->n, &epochs[0]);
    batch_set(&t->batches[current], &epochs[0], 0, samples->n, o->batch);
    msfl_status status = nn_batch_load(t, samples, &t->batches[current]);
    for (uint32_t e = 0; e < o->n_epochs && status == MSFL_OK; e++) {
        *sum = (totals){0};
        for (uint32_t b = 0; b < per_epoch && status == MSFL_OK; b++) {
            nn_batch *next = &t->batches[1 - current];
            next->n = 0;
            if (b + 1 < per_epoch) {
                batch_set(next, &epochs[e & 1], (b + 1) * o->batch, samples->n, o->batch);
            } else if (e + 1 < o->n_epochs) {
                epoch_draw(o, e + 1, samples->n, &epochs[(e + 1) & 1]);
                batch_set(next, &epochs[(e + 1) & 1], 0, samples->n, o->batch);
            }
            status = msfl_check_cancel(observer);
            if (status == MSFL_OK) {
                status = one_step(t, o, samples, current, nn_mix(epochs[e & 1].dropout_key, b), weights, sum);
            }
            if (status == MSFL_ERR_NUMERIC) {
                status = msfl_fail_in(status, "training, epoch %llu, step %u of %u; lower the learning rate",
                                      (unsigned long long)o->first_epoch + e + 1, b + 1, per_epoch);
            }
            if (status == MSFL_OK) tell(observer, track, client, ++done, total, sum);
            current = 1 - current;
        }
    }
    return status;
}

msfl_status msfl_train(msfl_trainer *t, const msfl_train_options *options, const msfl_samples *samples, float *weights,
                       const msfl_observer *observer, const char *track, int32_t client, msfl_train_result *result) {
    if (result != NULL) *result = (msfl_train_result){0};
    msfl_status status = check_options(t, options, samples);
    if (status != MSFL_OK) return status;
    if (!t->net->kernels->all_finite(weights, t->net->arch->n_values)) {
        return msfl_fail(MSFL_ERR_NUMERIC, "a weight is not finite before the first step");
    }
    epoch epochs[2] = {{0}};
    totals sum = {0};
    uint64_t steps_before = 0;
    for (int i = 0; i < 2; i++) {
        epochs[i].order = msfl_alloc(samples->n, sizeof *epochs[i].order);
        if (epochs[i].order == NULL) status = MSFL_ERR_MEMORY;
    }
    if (status == MSFL_OK) status = nn_optimizer_prepare(t, options->optimizer);
    if (status == MSFL_OK) status = nn_anchor_set(t, options, weights);
    if (status == MSFL_OK) status = nn_pack_all(t, weights);
    steps_before = t->n_steps;
    if (status == MSFL_OK && options->n_epochs > 0) {
        status = run_epochs(t, options, samples, epochs, weights, observer, track, client, &sum);
    }
    if (status == MSFL_OK && result != NULL) {
        *result = (msfl_train_result){.loss = sum.weight > 0.0 ? sum.loss / sum.weight : 0.0,
                                      .n_correct = sum.n_correct / t->net->arch->n_targets,
                                      .n_seen = sum.n_seen,
                                      .n_steps = t->n_steps - steps_before};
    }
    msfl_free(epochs[0].order);
    msfl_free(epochs[1].order);
    return status;
}
