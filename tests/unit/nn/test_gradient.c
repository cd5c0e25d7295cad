/* Every layer against its slow twin: what comes out, and the gradient against central differences.
 *
 * The twin computes in double, so with a step of 1e-6 its differences are good to about 1e-9 (truncation 1e-12 times
 * the third derivative, rounding 1e-16 / 1e-6), and it seldom crosses the edge of a ReLU. The engine computes in float:
 * sums of a few hundred terms are good to about 1e-6 relative to the terms. A gradient must agree to 2e-5 of the
 * largest in its tensor or a hundredth of the largest anywhere, which leaves room for sums that cancel; a wrong formula
 * is off by far more.
 */
#include "common.h"
#include "nn/trainer.h"
#include "twin.h"

#include <math.h>

enum { N_IMAGES = 21 }; /* not a multiple of any shard size */

typedef struct batch {
    float *images;
    uint32_t *labels, order[N_IMAGES];
    size_t image_floats, n_targets;
} batch;

static msfl_status load(void *ctx, uint32_t i, uint64_t augment_seed, float *pixels, uint32_t *label) {
    (void)augment_seed;
    const batch *b = ctx;
    memcpy(pixels, b->images + i * b->image_floats, b->image_floats * sizeof *pixels);
    memcpy(label, b->labels + i * b->n_targets, b->n_targets * sizeof *label);
    return MSFL_OK;
}

static double engine_gradient(msfl_trainer *t, batch *b, const twin_wish *wish, float *weights) {
    msfl_samples samples = {N_IMAGES, b, load};
    float class_weights[8];
    for (uint32_t c = 0; c < 8; c++)
        class_weights[c] = (float)twin_weight(wish, c);
    nn_loss loss = {.n_classes = t->net->arch->n_classes,
                    .class_weights = class_weights,
                    .focal = (float)wish->focal,
                    .dice = (float)wish->dice};
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

static void check_with(const char *input, const char *layers, const char *end, twin_wish wish) {
    char yaml[2000];
    snprintf(yaml, sizeof yaml, "name: net\ninput: {%s}\nclasses: 3\nlayers: [%s, %s]\n", input, layers, end);
    msfl_model *model = model_of(yaml);
    const nn_arch *arch = nn_model_arch(model);
    size_t n = arch->n_values, size = twin_volume(arch->input);
    msfl_seeded g;
    msfl_seeded_init(&g, 11, "test.gradient", 0, 0, 0);
    batch b = {.image_floats = size, .images = malloc(N_IMAGES * size * sizeof(float))};
    for (size_t i = 0; i < N_IMAGES * size; i++)
        b.images[i] = (float)msfl_seeded_normal(&g) + 0.3f;
    b.n_targets = arch->n_targets;
    b.labels = malloc(N_IMAGES * b.n_targets * sizeof *b.labels);
    for (uint32_t i = 0; i < N_IMAGES; i++)
        b.order[i] = i;
    for (size_t i = 0; i < N_IMAGES * b.n_targets; i++)
        b.labels[i] = (uint32_t)msfl_seeded_below(&g, 3);
    /* Images that lack a class, or all but the background. */
    for (size_t i = 0; i < 2 * b.n_targets; i++)
        b.labels[i] = b.labels[i] == 2 || i >= b.n_targets ? 0 : b.labels[i];
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
    double loss = twin_loss(arch, exact, b.images, b.labels, N_IMAGES, &wish, NULL);
    double found = engine_gradient(t, &b, &wish, weights);
    if (fabs(found - loss) > 1e-5 * (1.0 + fabs(loss))) print_error("%s\nloss %.9g, twin %.9g\n", yaml, found, loss);
    assert_true(fabs(found - loss) <= 1e-5 * (1.0 + fabs(loss)));

    double *differences = calloc(n, sizeof *differences), largest = 0.0;
    for (uint32_t k = 0; k < arch->n_tensors; k++) {
        const msfl_tensor *tensor = &arch->tensors[k];
        for (size_t i = tensor->offset; i < tensor->offset + tensor->count; i++) {
            if (tensor->role == MSFL_TENSOR_STATISTIC) continue;
            const double h = 1e-6;
            double w = exact[i];
            exact[i] = w + h;
            double above = twin_loss(arch, exact, b.images, b.labels, N_IMAGES, &wish, NULL);
            exact[i] = w - h;
            double below = twin_loss(arch, exact, b.images, b.labels, N_IMAGES, &wish, NULL);
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
    free(b.labels);
    msfl_trainer_free(t);
    msfl_model_free(model);
}

static void check(const char *input, const char *layers) {
    check_with(input, layers, "dense: {units: classes}", (twin_wish){0});
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

/* Outputs that several layers read, from near and from afar, in every order of first and later readers. */
static void graphs(void **state) {
    (void)state;
    check(image, "conv: {filters: 4, kernel: 3, padding: same, name: a}, conv: {filters: 4, kernel: 3, padding: same, "
                 "activation: relu}, add: {with: a, activation: relu}, flatten");
    check(image, "conv: {filters: 4, kernel: 3, padding: same, activation: relu, name: a}, "
                 "group_norm: {groups: 2, name: b}, conv: {from: a, filters: 4, kernel: 1, bias: false}, "
                 "add: {with: b}, concat: {with: a}, add: {with: concat1}, global_avg_pool");
    check("height: 6, width: 4, channels: 1",
          "conv: {filters: 2, kernel: 3, padding: same, activation: relu, name: a}, max_pool, "
          "conv: {filters: 3, kernel: 1, name: b}, max_pool: {size: [3, 1], name: c}, upsample: {size: [3, 1]}, "
          "concat: {with: b}, upsample, concat: {with: a}, conv: {filters: 2, kernel: 1}, flatten");
    /* A pool and another layer read a convolution with ReLU; dense layers joined. */
    check(image, "conv: {filters: 2, kernel: 2, activation: relu, name: a}, max_pool, flatten, "
                 "dense: {units: 4, name: b}, flatten: {from: a, name: c}, dense: {units: 4}, add: {with: b}, "
                 "concat: {with: b}");
    /* The image itself is read twice, and needs no gradient. */
    check(image, "relu: {name: i}, upsample: {size: 1}, concat: {with: i}, conv: {filters: 2, kernel: 2}, flatten");
    check(image,
          "conv: {filters: 4, kernel: 2, name: a}, batch_norm: {name: b}, conv: {from: a, filters: 4, kernel: 1}, "
          "batch_norm: {activation: relu}, add: {with: b}, concat: {with: a}, flatten");
}

static void losses(void **state) {
    (void)state;
    static const char dense[] = "dense: {units: classes}", pixels[] = "conv: {filters: classes, kernel: 1}";
    check_with(image, "flatten", dense, (twin_wish){.focal = 2.0});
    check_with(image, "flatten", dense, (twin_wish){.focal = 0.5, .weights = {1.0, 2.0, 0.25}});
    check_with(image, "flatten", dense, (twin_wish){.weights = {1.0, 2.0, 0.25}});
    check_with(image, "conv: {filters: 3, kernel: 3, padding: same}", pixels, (twin_wish){0});
    check_with(image, "conv: {filters: 3, kernel: 3, padding: same}", pixels, (twin_wish){.dice = 1.0});
    check_with("height: 4, width: 6, channels: 1",
               "conv: {filters: 4, kernel: 3, padding: same, activation: relu, name: a}, max_pool, "
               "conv: {filters: 4, kernel: 3, padding: same}, group_norm: {groups: 2, activation: relu}, upsample, "
               "concat: {with: a}, conv: {filters: 3, kernel: 3, padding: same, activation: relu}",
               pixels, (twin_wish){.dice = 2.5, .weights = {0.5, 2.0, 1.0}});
}

/* The same layers on volumes, with every fast path of theirs: 2 x 2 x 2 pools with and without odd sides. */
static void volumes(void **state) {
    (void)state;
    static const char odd[] = "depth: 4, height: 5, width: 3, channels: 2";
    static const char even[] = "depth: 2, height: 4, width: 4, channels: 1";
    check(odd, "conv: {filters: 3, kernel: 2}, flatten");
    check(odd, "conv: {filters: 3, kernel: 3, padding: same, stride: [2, 1, 2], activation: relu}, global_avg_pool");
    check(odd, "conv: {filters: 3, kernel: [1, 3, 2], bias: false}, max_pool, flatten");
    check(odd, "conv: {filters: 8, kernel: 1, activation: relu}, max_pool, flatten");
    check(odd, "conv: {filters: 2, kernel: 1}, max_pool: {size: [3, 2, 1], stride: [1, 2, 2]}, flatten");
    check(odd, "conv: {filters: 2, kernel: 1}, max_pool: {size: [1, 2, 2], stride: [1, 2, 2]}, flatten");
    check(odd, "conv: {filters: 2, kernel: 1, bias: false}, avg_pool: {size: [2, 3, 2], stride: 1}, batch_norm, relu, "
               "flatten");
    check(even, "conv: {filters: 4, kernel: 3, padding: same}, group_norm: {groups: 2, activation: relu, name: a}, "
                "max_pool, upsample, concat: {with: a}, conv: {filters: 2, kernel: 1}, flatten");
    check(even, "conv: {filters: 2, kernel: 1}, upsample: {size: [3, 1, 2]}, conv: {filters: 2, kernel: 2}, flatten");
    check_with(even,
               "conv: {filters: 4, kernel: 3, padding: same, name: a}, max_pool, upsample, concat: {with: a}, "
               "group_norm: {groups: 2, activation: relu}",
               "conv: {filters: classes, kernel: 1}", (twin_wish){.dice = 1.0});
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(dense_layers), cmocka_unit_test(convolutions),
                                       cmocka_unit_test(pools),        cmocka_unit_test(group_norms),
                                       cmocka_unit_test(batch_norms),  cmocka_unit_test(graphs),
                                       cmocka_unit_test(losses),       cmocka_unit_test(volumes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
