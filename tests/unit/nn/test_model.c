#include "base/error.h"
#include "common.h"

static void built_in_networks(void **state) {
    (void)state;
    msfl_model *model;
    assert_ok(msfl_model_new("medsecurefl-2022", 0, 0, 0, 0, &model));
    const msfl_model_info *info = msfl_model_info_borrow(model);
    assert_int_equal(info->n_values, 222722);
    assert_int_equal(info->n_trainable, 222722);
    assert_int_equal(info->height, 256);
    assert_int_equal(info->channels, 3);
    assert_int_equal(info->n_tensors, 18);
    assert_string_equal(msfl_model_layer_text(model, 0), "conv 3x3x32 relu -> 254x254x32, 896 values");
    assert_string_equal(msfl_model_layer_text(model, 12), "flatten -> 512");
    const msfl_tensor *t = msfl_model_tensor(model, 2);
    assert_string_equal(t->layer, "conv2");
    assert_string_equal(t->name, "kernel");
    assert_int_equal(t->rank, 4);
    const uint32_t hwio[4] = {3, 3, 32, 32};
    assert_memory_equal(t->shape, hwio, sizeof hwio);
    assert_int_equal(t->offset, 896);
    msfl_model_free(model);

    assert_ok(msfl_model_new("cnn-small", 0, 0, 0, 0, &model));
    assert_in_range(msfl_model_info_borrow(model)->n_values, 5000, 60000);
    msfl_model_free(model);
    /* Other sizes where the shapes allow it, and a clear answer where not. */
    assert_ok(msfl_model_new("cnn-small", 28, 30, 3, 9, &model));
    assert_int_equal(msfl_model_info_borrow(model)->n_classes, 9);
    assert_int_equal(msfl_model_info_borrow(model)->width, 30);
    msfl_model_free(model);
    assert_int_equal(msfl_model_new("medsecurefl-2022", 64, 64, 3, 2, &model), MSFL_ERR_MISMATCH);
    assert_null(model);
    assert_non_null(strstr(msfl_error_message(), "use larger images"));
    assert_int_equal(msfl_model_new("cnn-smal", 0, 0, 0, 0, &model), MSFL_ERR_MISSING);
    assert_non_null(strstr(msfl_error_message(), "cnn-small, cnn-wide, medsecurefl-2022, resnet8, resnet18, unet2d"));
    assert_int_equal(msfl_model_new("cnn-small", 0, 0, 0, 1, &model), MSFL_ERR_LIMIT);
    assert_int_equal(msfl_model_new("cnn-small", 5000, 0, 0, 0, &model), MSFL_ERR_LIMIT);
}

static const char small[] = "# a comment\n"
                            "name: small.net\n"
                            "input: {height: 9, width: 8, channels: 3}\n"
                            "classes: 3\n"
                            "layers:\n"
                            "  - conv: {filters: 4, kernel: [3, 2], stride: [2, 1], padding: same, name: first}\n"
                            "  - batch_norm: {momentum: 0.95, epsilon: 1e-5, activation: relu}\n"
                            "  - avg_pool: {size: [2, 3], stride: 1}\n"
                            "  - group_norm:\n"
                            "      groups: 2\n"
                            "  - relu\n"
                            "  - flatten\n"
                            "  - dense: {units: 5, bias: false, activation: relu}\n"
                            "  - dropout: {rate: 0.125}\n"
                            "  - dense: {units: classes}\n";

static void description_round_trips(void **state) {
    (void)state;
    msfl_model *model = model_of(small);
    const msfl_model_info *info = msfl_model_info_borrow(model);
    /* 3x2x3x4 + 4; 4 x 4; 2 x 4; 4x6x4 = 96 x 5; 5 x 3 + 3 */
    assert_int_equal(info->n_values, 76 + 16 + 8 + 480 + 18);
    assert_int_equal(info->n_trainable, info->n_values - 8);
    assert_int_equal(msfl_model_tensor(model, 4)->role, MSFL_TENSOR_STATISTIC);
    assert_string_equal(msfl_model_tensor(model, 4)->name, "moving_mean");
    uint64_t next = 0;
    for (uint32_t i = 0; i < info->n_tensors; i++) {
        const msfl_tensor *t = msfl_model_tensor(model, i);
        assert_int_equal(t->offset, next);
        next += t->count;
    }
    assert_int_equal(next, info->n_values);
    msfl_model *again = model_of(msfl_model_yaml(model));
    assert_string_equal(msfl_model_yaml(again), msfl_model_yaml(model));
    uint8_t a[MSFL_HASH_BYTES], b[MSFL_HASH_BYTES];
    msfl_model_hash(model, a);
    msfl_model_hash(again, b);
    assert_memory_equal(a, b, sizeof a);
    msfl_model_free(again);
    msfl_model *other;
    assert_ok(msfl_model_parse("test", small, strlen(small), 9, 8, 3, 4, &other));
    msfl_model_hash(other, b);
    assert_memory_not_equal(a, b, sizeof a);
    msfl_model_free(other);
    msfl_model_free(model);
}

static const char graph[] = "name: graph\n"
                            "input: {height: 8, width: 12, channels: 1}\n"
                            "classes: 3\n"
                            "layers:\n"
                            "  - conv: {filters: 4, kernel: 3, padding: same, name: a}\n"
                            "  - max_pool\n"
                            "  - conv: {from: max_pool1, filters: 6, kernel: 1, name: b}\n" /* goes without saying */
                            "  - conv: {from: max_pool1, filters: 6, kernel: 1}\n"
                            "  - add: {with: b, activation: relu}\n"
                            "  - upsample: {size: 2}\n"
                            "  - concat: {with: a}\n"
                            "  - conv: {filters: classes, kernel: 1}\n";

static void graphs_round_trip(void **state) {
    (void)state;
    msfl_model *model = model_of(graph);
    const msfl_model_info *info = msfl_model_info_borrow(model);
    assert_true(info->is_pixelwise);
    assert_int_equal(info->n_targets, 8 * 12);
    assert_int_equal(info->n_values, 40 + 2 * 30 + 33);
    assert_string_equal(msfl_model_layer_text(model, 3), "conv of max_pool1 1x1x6 -> 4x6x6, 30 values");
    assert_string_equal(msfl_model_layer_text(model, 4), "add b relu -> 4x6x6");
    assert_string_equal(msfl_model_layer_text(model, 5), "upsample x 2x2 -> 8x12x6");
    assert_string_equal(msfl_model_layer_text(model, 6), "concat a -> 8x12x10");
    assert_null(strstr(msfl_model_yaml(model), "name: \"b\", from"));
    assert_non_null(strstr(msfl_model_yaml(model), "name: \"conv3\", from: \"max_pool1\""));
    msfl_model *again = model_of(msfl_model_yaml(model));
    assert_string_equal(msfl_model_yaml(again), msfl_model_yaml(model));
    msfl_model_free(again);
    /* Another number of classes, and another size. */
    assert_ok(msfl_model_parse("test", msfl_model_yaml(model), strlen(msfl_model_yaml(model)), 16, 4, 2, 5, &again));
    assert_int_equal(msfl_model_info_borrow(again)->n_classes, 5);
    assert_int_equal(msfl_model_info_borrow(again)->n_targets, 64);
    msfl_model_free(again);
    assert_int_equal(msfl_model_parse("test", graph, strlen(graph), 9, 12, 1, 3, &again), MSFL_ERR_MISMATCH);
    assert_non_null(
        strstr(msfl_error_message(), "layer 'concat1' cannot join 8 x 12 x 6 with 'a', which is 9 x 12 x 4"));
    msfl_model_free(model);
    static const char *const names[] = {"resnet8", "resnet18", "unet2d", "unet3d"};
    static const uint64_t values[] = {77234, 11171266, 487730, 365546};
    for (int i = 0; i < 4; i++) {
        assert_ok(msfl_model_new(names[i], 0, 0, 0, 0, &model));
        assert_int_equal(msfl_model_info_borrow(model)->n_values, values[i]);
        again = model_of(msfl_model_yaml(model));
        assert_string_equal(msfl_model_yaml(again), msfl_model_yaml(model));
        msfl_model_free(again);
        msfl_model_free(model);
    }
    /* From 28 to 256 pixels and with four channels. */
    assert_ok(msfl_model_new("resnet18", 28, 28, 4, 9, &model));
    msfl_model_free(model);
    assert_ok(msfl_model_new("resnet8", 256, 256, 4, 2, &model));
    msfl_model_free(model);
}

static void volumes(void **state) {
    (void)state;
    static const char net[] =
        "name: v\ninput: {depth: 6, height: 8, width: 10, channels: 2}\nclasses: 3\nlayers:\n"
        "  - conv: {filters: 4, kernel: [1, 3, 5], stride: [1, 2, 1], padding: same}\n"
        "  - max_pool\n  - upsample: {size: [2, 1, 1]}\n  - flatten\n  - dense: {units: classes}\n";
    msfl_model *model = model_of(net), *other;
    const msfl_model_info *info = msfl_model_info_borrow(model);
    assert_true(info->is_volume);
    assert_int_equal(info->depth, 6);
    const msfl_tensor *kernel = msfl_model_tensor(model, 0);
    static const uint32_t shape[5] = {1, 3, 5, 2, 4};
    assert_int_equal(kernel->rank, 5);
    assert_memory_equal(kernel->shape, shape, sizeof shape);
    assert_string_equal(msfl_model_layer_text(model, 0), "conv 1x3x5x4 same / 1x2x1 -> 6x4x10x4, 124 values");
    assert_string_equal(msfl_model_layer_text(model, 1), "max_pool 2x2x2 / 2x2x2 -> 3x2x5x4");
    assert_string_equal(msfl_model_layer_text(model, 2), "upsample x 2x1x1 -> 6x2x5x4");
    msfl_model_free(model);
    /* The one kind of network does not take the other kind of images. */
    assert_ok(msfl_model_new_volume("unet3d", 16, 24, 32, 2, 4, &model));
    assert_int_equal(msfl_model_info_borrow(model)->n_targets, 16 * 24 * 32);
    msfl_model_free(model);
    assert_ok(msfl_model_new_volume("unet3d", 0, 0, 0, 0, 0, &model));
    msfl_model_free(model);
    assert_int_equal(msfl_model_new_volume("unet3d", 1, 32, 32, 1, 2, &other), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_model_new_volume("unet2d", 8, 32, 32, 1, 2, &other), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_model_new_volume("unet3d", 12, 32, 32, 1, 2, &other), MSFL_ERR_MISMATCH);
    assert_int_equal(msfl_model_new_volume("unet3d", 5000, 32, 32, 1, 2, &other), MSFL_ERR_LIMIT);
    assert_int_equal(msfl_model_new_volume("unet3d", 1024, 1024, 1024, 1, 2, &other), MSFL_ERR_LIMIT);
    assert_ok(msfl_model_new_volume("unet2d", 1, 32, 32, 1, 2, &other));
    msfl_model_free(other);
}

/* What a hospital signed and what lies in checkpoints must stay what it is. */
static void hashes_of_chains_stay(void **state) {
    (void)state;
    static const struct {
        const char *name, *hash;
    } known[] = {{"cnn-small", "4b3a692e1ff4972f5bbc12e5918315802384a8b025435ea0d485fdb77e6a269f"},
                 {"medsecurefl-2022", "26e8da6783889cb67db14bbbedf82670173b3e2500c5f8c355b5a1b3008145b2"}};
    for (int i = 0; i < 2; i++) {
        msfl_model *model;
        uint8_t hash[MSFL_HASH_BYTES];
        char hex[2 * MSFL_HASH_BYTES + 1] = "";
        assert_ok(msfl_model_new(known[i].name, 0, 0, 0, 0, &model));
        msfl_model_hash(model, hash);
        for (int k = 0; k < MSFL_HASH_BYTES; k++)
            snprintf(hex + 2 * k, 3, "%02x", hash[k]);
        assert_string_equal(hex, known[i].hash);
        msfl_model_free(model);
    }
}

static void bad_descriptions_are_explained(void **state) {
    (void)state;
    static const struct {
        const char *layers, *says;
        msfl_status status;
    } bad[] = {
        {"  - conv: {filters: 4}\n", "line 5, column 5: conv needs the key 'kernel'", MSFL_ERR_FORMAT},
        {"  - conv: {filters: 4, kernel: 3, pading: same}\n", "unknown key 'pading'; the keys are", MSFL_ERR_FORMAT},
        {"  - conv: {filters: 0, kernel: 3}\n", "line 5, column 21: filters must be a whole number from 1",
         MSFL_ERR_FORMAT},
        {"  - conv: {filters: 2.5, kernel: 3}\n", "filters must be", MSFL_ERR_FORMAT},
        {"  - conv: {filters: \"4\", kernel: 3}\n", "filters must be", MSFL_ERR_FORMAT},
        {"  - conv: {filters: 0x4, kernel: 3}\n", "filters must be", MSFL_ERR_FORMAT},
        {"  - conv: {filters: 4, kernel: [3, 3, 3]}\n", "kernel must be one number or [height, width]",
         MSFL_ERR_FORMAT},
        {"  - conv: {filters: 4, kernel: 3, padding: full}\n", "padding must be one of valid, same", MSFL_ERR_FORMAT},
        {"  - conv: {filters: 4, kernel: 3, bias: 1}\n", "bias must be one of false, true", MSFL_ERR_FORMAT},
        {"  - conv: {filters: 4, filters: 4, kernel: 3}\n", "key 'filters' stands here twice", MSFL_ERR_FORMAT},
        {"  - conv: &a {filters: 4, kernel: 3}\n", "anchors and tags", MSFL_ERR_FORMAT},
        {"  - *a\n", "line 5", MSFL_ERR_FORMAT},
        {"  - !!conv {filters: 4, kernel: 3}\n", "anchors and tags", MSFL_ERR_FORMAT},
        {"  - convolution: {filters: 4}\n", "unknown layer 'convolution'", MSFL_ERR_FORMAT},
        {"  - conv: {filters: 4, kernel: 3}\n    relu: {}\n", "a layer is one word", MSFL_ERR_FORMAT},
        {"  - dropout: {rate: 1}\n", "rate must be a number from 0 to 0.95", MSFL_ERR_FORMAT},
        {"  - dropout: {rate: nan}\n", "rate must be a number", MSFL_ERR_FORMAT},
        {"  - conv: {filters: 4, kernel: 3, name: a/b}\n", "name must be 1 to 47 letters", MSFL_ERR_FORMAT},
        {"  - conv: {filters: 4, kernel: 9}\n", "layer 'conv1' looks at 9 x 9 pixels, but only 8 x 8",
         MSFL_ERR_MISMATCH},
        {"  - group_norm: {groups: 2}\n", "1 channels do not divide into 2 groups", MSFL_ERR_MISMATCH},
        {"  - relu: {name: a}\n  - dropout: {rate: 0, name: a}\n", "two layers are called 'a'", MSFL_ERR_FORMAT},
        {"  - batch_norm: {name: a, activation: relu}\n  - relu: {name: a_relu}\n", "two layers are called 'a_relu'",
         MSFL_ERR_FORMAT},
        {"  - dense: {units: 3}\n", "put flatten or global_avg_pool before it", MSFL_ERR_MISMATCH},
        {"  - flatten\n  - conv: {filters: 4, kernel: 1}\n", "wants an image", MSFL_ERR_MISMATCH},
        {"  - flatten\n", "the last layer must be", MSFL_ERR_MISMATCH},
        {"  - flatten\n  - dense: {units: 2, activation: relu}\n", "the last layer must be", MSFL_ERR_MISMATCH},
        {"  - flatten\n  - dense: {units: 3}\n", "the last layer has 3 units, but there are 2", MSFL_ERR_MISMATCH},
        {"  - flatten\n  - dense: {units: 1000000}\n  - dense: {units: 1000000}\n  - dense: {units: classes}\n",
         "more than 268435456 values", MSFL_ERR_LIMIT},
        {"  - add\n", "add needs the key 'with'", MSFL_ERR_FORMAT},
        {"  - relu\n  - add: {with: b}\n", "layer 'add1' refers to 'b', and no layer before it", MSFL_ERR_FORMAT},
        {"  - relu\n  - add: {with: add1}\n", "layer 'add1' refers to 'add1'", MSFL_ERR_FORMAT},
        {"  - relu: {from: flatten1}\n  - flatten\n", "layer 'relu1' refers to 'flatten1'", MSFL_ERR_FORMAT},
        {"  - relu: {from: a/b}\n", "from must be 1 to 47 letters", MSFL_ERR_FORMAT},
        {"  - relu\n  - max_pool\n  - flatten: {from: relu1}\n  - dense: {units: classes}\n",
         "no layer reads what 'max_pool1' makes", MSFL_ERR_MISMATCH},
        {"  - relu\n  - max_pool\n  - add: {with: relu1}\n", "cannot join 4 x 4 x 1 with 'relu1', which is 8 x 8 x 1",
         MSFL_ERR_MISMATCH},
        {"  - relu\n  - flatten\n  - concat: {with: relu1}\n", "cannot join", MSFL_ERR_MISMATCH},
        {"  - relu: {name: image}\n  - add: {with: image}\n  - flatten\n  - dense: {units: classes}\n",
         "no layer of a graph may be called 'image'", MSFL_ERR_FORMAT},
        {"  - upsample: {size: 31}\n  - upsample: {size: 31}\n", "a side above 4096", MSFL_ERR_LIMIT},
        {"  - flatten\n  - upsample\n", "wants an image", MSFL_ERR_MISMATCH},
        {"  - conv: {filters: classes, kernel: 2}\n", "gives classes to 7 x 7 pixels, the image has 8 x 8",
         MSFL_ERR_MISMATCH},
        {"  - conv: {filters: 3, kernel: 1}\n", "the last layer has 3 filters, but there are 2", MSFL_ERR_MISMATCH},
        {"  []\n", "layers must be a list", MSFL_ERR_FORMAT},
        {"  - [[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]\n", "nested more than 16 deep", MSFL_ERR_LIMIT},
        {"  - conv: {filters: 4, kernel: 3\n", "line", MSFL_ERR_FORMAT},
        {"  - \"unclosed\n", "line", MSFL_ERR_FORMAT},
        {"  - flatten\n---\nname: b\n", "more than one YAML document", MSFL_ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char yaml[1000];
        snprintf(yaml, sizeof yaml, "name: bad\ninput: {height: 8, width: 8, channels: 1}\nclasses: 2\nlayers:\n%s",
                 bad[i].layers);
        msfl_model *model = (msfl_model *)(uintptr_t)1;
        msfl_status status = msfl_model_parse("bad.yaml", yaml, strlen(yaml), 0, 0, 0, 0, &model);
        if (status != bad[i].status || strstr(msfl_error_message(), bad[i].says) == NULL) {
            print_error("for\n%sthere came: %s\n", bad[i].layers, msfl_error_message());
        }
        assert_int_equal(status, bad[i].status);
        assert_null(model);
        assert_non_null(strstr(msfl_error_message(), bad[i].says));
        assert_memory_equal(msfl_error_message(), "bad.yaml: ", 10);
    }
    static const char *const whole[] = {"",
                                        "name: x\n",
                                        "[]",
                                        "3",
                                        "name: x\ninput: 3\nclasses: 2\nlayers: [flatten, dense: {units: 2}]\n",
                                        "name: x\ninput: {height: 2, width: 2}\nclasses: 2\nlayers: [flatten]\n",
                                        "a: b: c",
                                        "\t- x",
                                        "name: \001"};
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        msfl_model *model;
        assert_int_equal(msfl_model_parse("bad.yaml", whole[i], strlen(whole[i]), 0, 0, 0, 0, &model), MSFL_ERR_FORMAT);
    }
    char *long_text = calloc(70000, 1);
    memset(long_text, ' ', 69999);
    msfl_model *model;
    assert_int_equal(msfl_model_parse("long", long_text, 69999, 0, 0, 0, 0, &model), MSFL_ERR_LIMIT);
    free(long_text);
}

static void initial_weights(void **state) {
    (void)state;
    msfl_model *model;
    assert_ok(msfl_model_new("medsecurefl-2022", 0, 0, 0, 0, &model));
    size_t n = msfl_model_info_borrow(model)->n_values;
    float *a = calloc(n, sizeof *a), *b = calloc(n, sizeof *b);
    msfl_model_init(model, 1, a);
    msfl_model_init(model, 1, b);
    assert_memory_equal(a, b, n * sizeof *a);
    msfl_model_init(model, 2, b);
    assert_memory_not_equal(a, b, n * sizeof *a);
    for (uint32_t i = 0; i < msfl_model_info_borrow(model)->n_tensors; i++) {
        const msfl_tensor *t = msfl_model_tensor(model, i);
        double sum = 0, squares = 0;
        for (uint64_t k = 0; k < t->count; k++) {
            sum += a[t->offset + k];
            squares += (double)a[t->offset + k] * a[t->offset + k];
        }
        if (strcmp(t->name, "bias") == 0) {
            assert_true(squares == 0);
            continue;
        }
        double fan_in = t->rank == 4 ? t->shape[0] * t->shape[1] * t->shape[2] : t->shape[0];
        bool last = i + 2 >= msfl_model_info_borrow(model)->n_tensors;
        double variance = last ? 2.0 / (64 + 2) : 2.0 / fan_in;
        /* Five standard errors of a sample variance of normal values. */
        assert_true(squares / (double)t->count > variance * (1 - 5 * 1.42 / __builtin_sqrt((double)t->count)));
        assert_true(squares / (double)t->count < variance * (1 + 5 * 1.42 / __builtin_sqrt((double)t->count)));
        assert_true(sum * sum / (double)t->count < 25 * variance);
    }
    free(a);
    free(b);
    msfl_model_free(model);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    for (long k = 1;; k++) {
        assert_true(k < 2000);
        msfl_model *model;
        msfl_alloc_fail_at(k);
        msfl_status status = msfl_model_parse("test", small, strlen(small), 0, 0, 0, 0, &model);
        msfl_alloc_fail_at(0);
        if (status == MSFL_OK) {
            msfl_model_free(model);
            break;
        }
        assert_int_equal(status, MSFL_ERR_MEMORY);
        assert_null(model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(built_in_networks),     cmocka_unit_test(description_round_trips),
        cmocka_unit_test(graphs_round_trip),     cmocka_unit_test(volumes),
        cmocka_unit_test(hashes_of_chains_stay), cmocka_unit_test(bad_descriptions_are_explained),
        cmocka_unit_test(initial_weights),       cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
