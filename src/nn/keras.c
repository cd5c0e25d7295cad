/* An architecture as the JSON of a Keras model: Sequential for a chain, Functional for a graph. */
#include "nn/arch.h"

#include "base/error.h"
#include "base/mem.h"
#include "text/json.h"

#include <stdio.h>
#include <string.h>

static json_t *window(const nn_arch *arch, uint32_t d, uint32_t h, uint32_t w) {
    if (arch->is_volume) return json_pack("[I,I,I]", (json_int_t)d, (json_int_t)h, (json_int_t)w);
    return json_pack("[I,I]", (json_int_t)h, (json_int_t)w);
}

static json_t *base_config(const char *name) {
    return json_pack("{s:s,s:b,s:s}", "name", name, "trainable", 1, "dtype", "float32");
}

/* {"class_name": ..., "config": ...}; takes `config`. */
static int add_layer(json_t *list, const char *class_name, json_t *config) {
    return json_array_append_new(list, json_pack("{s:s,s:o}", "class_name", class_name, "config", config));
}

/* The name under which others read what a layer makes: a ReLU behind a norm or sum is a layer of its own. */
static void output_name(const nn_arch *arch, int32_t source, char name[NN_NAME_BYTES + 8]) {
    if (source == NN_IMAGE) {
        snprintf(name, NN_NAME_BYTES + 8, "image");
        return;
    }
    const nn_layer *l = &arch->layers[source];
    bool behind = l->relu && (l->kind == NN_BATCH_NORM || l->kind == NN_GROUP_NORM || l->kind == NN_ADD);
    snprintf(name, NN_NAME_BYTES + 8, "%s%s", l->name, behind ? "_relu" : "");
}

/* What a layer of a Functional model has besides class and configuration: its name, and whose outputs it reads. */
static void add_nodes(json_t *layer, const char *const *inputs, size_t n) {
    json_t *node = json_array(), *nodes = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(node, json_pack("[s,i,i,{}]", inputs[i], 0, 0));
    if (n > 0) {
        json_array_append_new(nodes, node);
    } else {
        json_decref(node);
    }
    json_object_set(layer, "name", json_object_get(json_object_get(layer, "config"), "name"));
    json_object_set_new(layer, "inbound_nodes", nodes);
}

static void set_activation(json_t *config, const char *activation) {
    json_object_set_new(config, "activation", json_string(activation));
}

static void set_norm(json_t *config, const nn_arch *arch, const nn_layer *l) {
    if (l->kind == NN_GROUP_NORM) {
        json_object_set_new(config, "groups", json_integer(l->groups));
        json_object_set_new(config, "axis", json_integer(-1));
    } else {
        json_object_set_new(config, "axis", json_pack("[i]", l->flat ? 1 : arch->is_volume ? 4 : 3));
        json_object_set_new(config, "momentum", json_real(l->momentum));
    }
    json_object_set_new(config, "epsilon", json_real(l->epsilon));
    json_object_set_new(config, "center", json_true());
    json_object_set_new(config, "scale", json_true());
}

/* Layers whose Keras class ends in 2D or 3D. */
static bool has_sides(const nn_layer *l) {
    return l->kind == NN_CONV || l->kind == NN_MAX_POOL || l->kind == NN_AVG_POOL || l->kind == NN_GLOBAL_AVG_POOL ||
           l->kind == NN_UPSAMPLE;
}

static int add(json_t *list, const nn_arch *arch, const nn_layer *l, bool is_last) {
    static const char *const classes[NN_KINDS] = {
        [NN_CONV] = "Conv",
        [NN_DENSE] = "Dense",
        [NN_MAX_POOL] = "MaxPooling",
        [NN_AVG_POOL] = "AveragePooling",
        [NN_GLOBAL_AVG_POOL] = "GlobalAveragePooling",
        [NN_BATCH_NORM] = "BatchNormalization",
        [NN_GROUP_NORM] = "GroupNormalization",
        [NN_DROPOUT] = "Dropout",
        [NN_FLATTEN] = "Flatten",
        [NN_RELU] = "Activation",
        [NN_ADD] = "Add",
        [NN_CONCAT] = "Concatenate",
        [NN_UPSAMPLE] = "UpSampling",
    };
    json_t *config = base_config(l->name);
    switch (l->kind) {
    case NN_CONV:
        json_object_set_new(config, "filters", json_integer(l->filters));
        json_object_set_new(config, "kernel_size", window(arch, l->kernel_d, l->kernel_h, l->kernel_w));
        json_object_set_new(config, "strides", window(arch, l->stride_d, l->stride_h, l->stride_w));
        json_object_set_new(config, "padding", json_string(l->same ? "same" : "valid"));
        json_object_set_new(config, "data_format", json_string("channels_last"));
        json_object_set_new(config, "use_bias", json_boolean(l->bias));
        set_activation(config, is_last ? "softmax" : l->relu ? "relu" : "linear");
        break;
    case NN_ADD:
        break;
    case NN_CONCAT:
        json_object_set_new(config, "axis", json_integer(-1));
        break;
    case NN_UPSAMPLE:
        json_object_set_new(config, "size", window(arch, l->kernel_d, l->kernel_h, l->kernel_w));
        json_object_set_new(config, "data_format", json_string("channels_last"));
        json_object_set_new(config, "interpolation", json_string("nearest"));
        break;
    case NN_DENSE:
        json_object_set_new(config, "units", json_integer(l->filters));
        json_object_set_new(config, "use_bias", json_boolean(l->bias));
        set_activation(config, is_last ? "softmax" : l->relu ? "relu" : "linear");
        break;
    case NN_MAX_POOL:
    case NN_AVG_POOL:
        json_object_set_new(config, "pool_size", window(arch, l->kernel_d, l->kernel_h, l->kernel_w));
        json_object_set_new(config, "strides", window(arch, l->stride_d, l->stride_h, l->stride_w));
        json_object_set_new(config, "padding", json_string("valid"));
        json_object_set_new(config, "data_format", json_string("channels_last"));
        break;
    case NN_GLOBAL_AVG_POOL:
    case NN_FLATTEN:
        json_object_set_new(config, "data_format", json_string("channels_last"));
        break;
    case NN_BATCH_NORM:
    case NN_GROUP_NORM:
        set_norm(config, arch, l);
        break;
    case NN_DROPOUT:
        json_object_set_new(config, "rate", json_real(l->rate));
        break;
    default:
        set_activation(config, "relu");
        break;
    }
    char class_name[32];
    snprintf(class_name, sizeof class_name, "%s%s", classes[l->kind],
             !has_sides(l)     ? ""
             : arch->is_volume ? "3D"
                               : "2D");
    int failed = add_layer(list, class_name, config);
    char a[NN_NAME_BYTES + 8], b[NN_NAME_BYTES + 8];
    const char *inputs[2] = {a, b};
    output_name(arch, l->sources[0], a);
    if (l->sources[1] >= 0) output_name(arch, l->sources[1], b);
    if (failed == 0 && arch->is_graph) {
        add_nodes(json_array_get(list, json_array_size(list) - 1), inputs, l->sources[1] >= 0 ? 2 : 1);
    }
    /* Keras norms and sums have no activation of their own. */
    if (failed == 0 && l->relu && (l->kind == NN_BATCH_NORM || l->kind == NN_GROUP_NORM || l->kind == NN_ADD)) {
        char name[NN_NAME_BYTES + 8];
        snprintf(name, sizeof name, "%s_relu", l->name);
        config = base_config(name);
        set_activation(config, "relu");
        failed = add_layer(list, "Activation", config);
        inputs[0] = l->name;
        if (failed == 0 && arch->is_graph) add_nodes(json_array_get(list, json_array_size(list) - 1), inputs, 1);
    }
    return failed;
}

msfl_status nn_arch_keras(const nn_arch *arch, char **json) {
    *json = NULL;
    json_t *list = json_array();
    json_t *shape = json_pack("[n]");
    if (arch->is_volume) json_array_append_new(shape, json_integer(arch->input.d));
    json_array_append_new(shape, json_integer(arch->input.h));
    json_array_append_new(shape, json_integer(arch->input.w));
    json_array_append_new(shape, json_integer(arch->input.c));
    json_t *input = json_pack("{s:o,s:s,s:b,s:b,s:s}", "batch_input_shape", shape, "dtype", "float32", "sparse", 0,
                              "ragged", 0, "name", "image");
    int failed = add_layer(list, "InputLayer", input);
    if (failed == 0 && arch->is_graph) add_nodes(json_array_get(list, 0), NULL, 0);
    for (uint32_t i = 0; i < arch->n_layers && failed == 0; i++)
        failed = add(list, arch, &arch->layers[i], i + 1 == arch->n_layers);
    json_t *root = failed != 0
                       ? NULL
                       : json_pack("{s:s,s:{s:s,s:O}}", "class_name", arch->is_graph ? "Functional" : "Sequential",
                                   "config", "name", arch->name, "layers", list);
    if (root != NULL && arch->is_graph) {
        json_t *config_of_all = json_object_get(root, "config");
        json_object_set_new(config_of_all, "input_layers", json_pack("[[s,i,i]]", "image", 0, 0));
        json_object_set_new(config_of_all, "output_layers",
                            json_pack("[[s,i,i]]", arch->layers[arch->n_layers - 1].name, 0, 0));
    }
    msfl_status status = root == NULL ? msfl_fail(MSFL_ERR_MEMORY, "out of memory") : msfl_json_text(root, true, json);
    json_decref(root);
    json_decref(list);
    return status;
}
