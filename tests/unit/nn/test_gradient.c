/* Every layer against its slow twin: what comes out, and the gradient against central differences.
 *
 * The twin computes in double, so with a step of 1e-5 its differences are good to about 1e-9 (truncation 1e-10 times
 * the third derivative, rounding 1e-16 / 1e-5). The engine computes in float: sums of a few hundred terms are good to
 * about 1e-6 relative to the terms. A gradient must agree to 2e-5 of the largest in its tensor or a hundredth of the
 * largest anywhere, which leaves room for sums that cancel; a wrong formula is off by far more.
 */
#include "common.h"
#include "nn/trainer.h"
#include "twin.h"

#include <math.h>

enum { N_IMAGES = 21 }; /* not a multiple of any shard size */

typedef struct batch {
    float *images;
    uint32_t labels[N_IMAGES], order[N_IMAGES];
    size_t image_floats;
} batch;

static msfl_status load(void *ctx, uint32_t i, uint64_t augment_seed, float *pixels, uint32_t *label) {
    (void)augment_seed;
    const batch *b = ctx;
    memcpy(pixels, b->images + i * b->image_floats, b->image_floats * sizeof *pixels);
    *label = b->labels[i];
    return MSFL_OK;
}

static double engine_gradient(msfl_trainer *t, batch *b, float *weights) {
    msfl_samples samples = {N_IMAGES, b, load};
    nn_loss loss = {.n_classes = t->net->arch->n_classes};
    t->batches[0].order = b->order;
    t->batches[0].n = N_IMAGES;
    assert_ok(nn_batch_load(t, &samples, &t->batches[0]));
    assert_ok(nn_pack_all(t, weights));
    assert_ok(nn_step(t, &samples, &loss, 0, 1.0 / N_IMAGES, 1, weights));
    uint32_t n_shards = (N_IMAGES + t->net->shard_images - 1) / t->net->shard_images;
    assert_ok(nn_update(t, NULL, n_shards, weights));
    double sum = 0.0;
    for (uint32_t s = 0; s < n_shards; s++)
        sum += t->runs[s].loss_sum;
    return sum / N_IMAGES;
}

static void check(const char *input, const char *layers) {
    char yaml[2000];
    snprintf(yaml, sizeof yaml, "name: net\ninput: {%s}\nclasses: 3\nlayers: [%s, dense: {units: classes}]\n", input,
             layers);
    msfl_model *model = model_of(yaml);
    const nn_arch *arch = nn_model_arch(model);
    size_t n = arch->n_values, size = twin_volume(arch->input);
    msfl_seeded g;
    msfl_seeded_init(&g, 11, "test.gradient", 0, 0, 0);
    batch b = {.image_floats = size, .images = malloc(N_IMAGES * size * sizeof(float))};
    for (size_t i = 0; i < N_IMAGES * size; i++)
        b.images[i] = (float)msfl_seeded_normal(&g) + 0.3f;
    for (uint32_t i = 0; i < N_IMAGES; i++) {
        b.labels[i] = (uint32_t)msfl_seeded_below(&g, 3);
        b.order[i] = i;
    }
    float *weights = malloc(n * sizeof *weights), *before = malloc(n * sizeof *before);
    double *exact = malloc(n * sizeof *exact);
    msfl_model_init(model, 4, weights);
    for (size_t i = 0; i < n; i++) {
        weights[i] += 0.1f * (float)msfl_seeded_normal(&g);
        before[i] = weights[i];
        exact[i] = (double)weights[i];
    }
    msfl_trainer *t;
    assert_ok(msfl_trainer_new(model, N_IMAGES, 2, NULL, &t));
    double logits[N_IMAGES * 3];
    double loss = twin_loss(arch, exact, b.images, b.labels, N_IMAGES, logits);
    double found = engine_gradient(t, &b, weights);
    if (fabs(found - loss) > 1e-5 * (1.0 + fabs(loss))) print_error("%s\nloss %.9g, twin %.9g\n", yaml, found, loss);
    assert_true(fabs(found - loss) <= 1e-5 * (1.0 + fabs(loss)));

    double *differences = calloc(n, sizeof *differences), largest = 0.0;
    for (uint32_t k = 0; k < arch->n_tensors; k++) {
        const msfl_tensor *tensor = &arch->tensors[k];
        for (size_t i = tensor->offset; i < tensor->offset + tensor->count; i++) {
            if (tensor->role == MSFL_TENSOR_STATISTIC) continue;
            const double h = 1e-5;
            double w = exact[i];
            exact[i] = w + h;
            double above = twin_loss(arch, exact, b.images, b.labels, N_IMAGES, NULL);
            exact[i] = w - h;
            double below = twin_loss(arch, exact, b.images, b.labels, N_IMAGES, NULL);
            exact[i] = w;
            differences[i] = (above - below) / (2.0 * h);
            largest = fmax(largest, fabs(differences[i]));
        }
    }
    assert_true(largest > 1e-3); /* or nothing was tested */
    for (uint32_t k = 0; k < arch->n_tensors; k++) {
        const msfl_tensor *tensor = &arch->tensors[k];
        double scale = 1e-2 * largest;
        for (size_t i = tensor->offset; i < tensor->offset + tensor->count; i++)
            scale = fmax(scale, fabs(differences[i]));
        for (size_t i = tensor->offset; i < tensor->offset + tensor->count; i++) {
            if (tensor->role == MSFL_TENSOR_STATISTIC) continue;
            double error = fabs((double)t->gradient[i] - differences[i]) / scale;
            if (!(error < 2e-5)) {
                print_error("%s\n%s/%s[%zu]: %.9g, differences %.9g, error %.3g\n", yaml, tensor->layer, tensor->name,
                            i - tensor->offset, (double)t->gradient[i], differences[i], error);
            }
            assert_true(error < 2e-5);
        }
    }
    free(differences);
    free(exact);
    free(before);
    free(weights);
    free(b.images);
    msfl_trainer_free(t);
    msfl_model_free(model);
}

static const char image[] = "height: 7, width: 6, channels: 2";

static void dense_layers(void **state) {
    (void)state;
    check(image, "flatten");
    check(image, "flatten, dense: {units: 5, activation: relu}, dense: {units: 4, bias: false}, relu");
}

static void convolutions(void **state) {
    (void)state;
    check(image, "conv: {filters: 3, kernel: 3}, flatten");
    check(image, "conv: {filters: 8, kernel: [2, 3], stride: [1, 2], padding: same, activation: relu}, flatten");
    check(image, "conv: {filters: 4, kernel: 4, stride: 3, padding: same, bias: false}, conv: {filters: 3, kernel: 1, "
                 "activation: relu}, flatten");
    check("height: 6, width: 6, channels: 1", "conv: {filters: 8, kernel: 3, padding: same, bias: false}, "
                                              "conv: {filters: 8, kernel: 3, activation: relu}, flatten");
}

static void pools(void **state) {
    (void)state;
    check(image, "conv: {filters: 3, kernel: 2}, max_pool, flatten");
    check(image, "conv: {filters: 3, kernel: 2, activation: relu}, max_pool, flatten");
    check(image, "conv: {filters: 3, kernel: 1}, max_pool, flatten"); /* an odd last row */
    check("height: 6, width: 7, channels: 2", "conv: {filters: 8, kernel: 1, activation: relu}, max_pool, flatten");
    check(image, "conv: {filters: 3, kernel: 1}, max_pool: {size: [3, 2], stride: [2, 1]}, relu, flatten");
    check(image, "conv: {filters: 3, kernel: 1, activation: relu}, max_pool: {size: 3, stride: 2}, flatten");
    check(image, "max_pool, conv: {filters: 3, kernel: 1}, avg_pool: {size: [2, 3], stride: 1}, flatten");
    check(image, "conv: {filters: 5, kernel: 1}, avg_pool, global_avg_pool");
}

static void group_norms(void **state) {
    (void)state;
    check(image, "conv: {filters: 4, kernel: 2}, group_norm: {groups: 2}, flatten");
    check(image, "group_norm: {groups: 1, activation: relu}, conv: {filters: 6, kernel: 2, bias: false}, "
                 "group_norm: {groups: 3, epsilon: 0.1, activation: relu}, global_avg_pool");
    check(image, "flatten, dense: {units: 6}, group_norm: {groups: 2}, relu");
}

static void batch_norms(void **state) {
    (void)state;
    check(image, "conv: {filters: 4, kernel: 2}, batch_norm, flatten");
    check(image,
          "batch_norm: {activation: relu}, conv: {filters: 5, kernel: 2, bias: false}, "
          "batch_norm: {epsilon: 0.1, activation: relu}, max_pool, flatten, dense: {units: 4}, batch_norm, relu");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(dense_layers), cmocka_unit_test(convolutions),
                                       cmocka_unit_test(pools), cmocka_unit_test(group_norms),
                                       cmocka_unit_test(batch_norms)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
