/* Model descriptions: YAML to an architecture (docs/formats/model.md). */
#include "nn/arch.h"

#include "base/error.h"
#include "text/yaml.h"

#include <stdio.h>
#include <string.h>

const char *const nn_kind_words[NN_KINDS + 1] = {"conv",       "dense",      "max_pool", "avg_pool", "global_avg_pool",
                                                 "batch_norm", "group_norm", "dropout",  "flatten",  "relu",
                                                 "add",        "concat",     "upsample", NULL};

/* Which keys a kind of layer takes. */
enum {
    KEY_FILTERS = 1,
    KEY_UNITS = 2,
    KEY_KERNEL = 4,
    KEY_SIZE = 8,
    KEY_STRIDE = 16,
    KEY_PADDING = 32,
    KEY_BIAS = 64,
    KEY_ACTIVATION = 128,
    KEY_GROUPS = 256,
    KEY_RATE = 512,
    KEY_EPSILON = 1024,
    KEY_MOMENTUM = 2048,
    KEY_WITH = 4096
};

static const struct {
    unsigned key;
    const char *word;
} key_words[] = {{KEY_FILTERS, "filters"}, {KEY_UNITS, "units"},       {KEY_KERNEL, "kernel"},
                 {KEY_SIZE, "size"},       {KEY_STRIDE, "stride"},     {KEY_PADDING, "padding"},
                 {KEY_BIAS, "bias"},       {KEY_RATE, "rate"},         {KEY_GROUPS, "groups"},
                 {KEY_EPSILON, "epsilon"}, {KEY_MOMENTUM, "momentum"}, {KEY_ACTIVATION, "activation"},
                 {KEY_WITH, "with"}};
enum { N_KEYS = sizeof key_words / sizeof key_words[0] };

static const struct {
    unsigned takes, needs;
} kinds[NN_KINDS] = {
    [NN_CONV] = {KEY_FILTERS | KEY_KERNEL | KEY_STRIDE | KEY_PADDING | KEY_BIAS | KEY_ACTIVATION,
                 KEY_FILTERS | KEY_KERNEL},
    [NN_DENSE] = {KEY_UNITS | KEY_BIAS | KEY_ACTIVATION, KEY_UNITS},
    [NN_MAX_POOL] = {KEY_SIZE | KEY_STRIDE, 0},
    [NN_AVG_POOL] = {KEY_SIZE | KEY_STRIDE, 0},
    [NN_BATCH_NORM] = {KEY_EPSILON | KEY_MOMENTUM | KEY_ACTIVATION, 0},
    [NN_GROUP_NORM] = {KEY_GROUPS | KEY_EPSILON | KEY_ACTIVATION, KEY_GROUPS},
    [NN_DROPOUT] = {KEY_RATE, KEY_RATE},
    [NN_ADD] = {KEY_WITH | KEY_ACTIVATION, KEY_WITH},
    [NN_CONCAT] = {KEY_WITH, KEY_WITH},
    [NN_UPSAMPLE] = {KEY_SIZE, 0},
};

/* A name may stand in file names, HDF5 paths and JSON: letters, digits, _ - and inner dots. */
static msfl_status read_name(const char *source, const msfl_yaml *node, const char *what, char name[NN_NAME_BYTES]) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    size_t length = node->kind == MSFL_YAML_SCALAR ? strlen(node->text) : 0;
    if (length == 0 || length >= NN_NAME_BYTES || strspn(node->text, allowed) != length || node->text[0] == '.') {
        return msfl_yaml_fail(source, node, "%s must be 1 to %d letters, digits, '-', '_' or '.'", what,
                              NN_NAME_BYTES - 1);
    }
    memcpy(name, node->text, length + 1);
    return MSFL_OK;
}

/* One number for all directions, or [height, width], of volumes [depth, height, width]. */
static msfl_status read_window(const char *source, const msfl_yaml *node, const char *what, bool is_volume, uint32_t *d,
                               uint32_t *h, uint32_t *w) {
    uint32_t *const out[3] = {d, h, w};
    const uint32_t skip = is_volume ? 0 : 1;
    *d = 1;
    if (node->kind != MSFL_YAML_SEQUENCE) {
        msfl_status status = msfl_yaml_u32(source, node, what, 1, NN_WINDOW_MAX, h);
        if (status != MSFL_OK) return status;
        *w = *h;
        if (is_volume) *d = *h;
        return MSFL_OK;
    }
    if (node->n != 3 - skip) {
        return msfl_yaml_fail(source, node, "%s must be one number or %s", what,
                              is_volume ? "[depth, height, width]" : "[height, width]");
    }
    const msfl_yaml *n = node->first;
    for (uint32_t i = skip; i < 3; i++, n = n->next) {
        msfl_status status = msfl_yaml_u32(source, n, what, 1, NN_WINDOW_MAX, out[i]);
        if (status != MSFL_OK) return status;
    }
    return MSFL_OK;
}

static msfl_status read_key(const char *source, unsigned key, const msfl_yaml *v, bool is_volume, nn_layer *l) {
    static const char *const paddings[] = {"valid", "same", NULL};
    static const char *const activations[] = {"none", "relu", NULL};
    uint32_t which = 0;
    msfl_status status = MSFL_OK;
    switch (key) {
    case KEY_FILTERS:
        if (v->kind == MSFL_YAML_SCALAR && strcmp(v->text, "classes") == 0) return MSFL_OK;
        return msfl_yaml_u32(source, v, "filters", 1, NN_CHANNELS_MAX, &l->filters);
    case KEY_UNITS:
        if (v->kind == MSFL_YAML_SCALAR && strcmp(v->text, "classes") == 0) return MSFL_OK;
        if (msfl_yaml_u32(source, v, "units", 1, NN_UNITS_MAX, &l->filters) == MSFL_OK) return MSFL_OK;
        return msfl_yaml_fail(source, v, "units must be a whole number from 1 to %d, or the word 'classes'",
                              NN_UNITS_MAX);
    case KEY_KERNEL:
        return read_window(source, v, "kernel", is_volume, &l->kernel_d, &l->kernel_h, &l->kernel_w);
    case KEY_SIZE:
        return read_window(source, v, "size", is_volume, &l->kernel_d, &l->kernel_h, &l->kernel_w);
    case KEY_STRIDE:
        return read_window(source, v, "stride", is_volume, &l->stride_d, &l->stride_h, &l->stride_w);
    case KEY_PADDING:
        status = msfl_yaml_choice(source, v, "padding", paddings, &which);
        l->same = which == 1;
        return status;
    case KEY_BIAS:
        return msfl_yaml_bool(source, v, "bias", &l->bias);
    case KEY_ACTIVATION:
        status = msfl_yaml_choice(source, v, "activation", activations, &which);
        l->relu = which == 1;
        return status;
    case KEY_WITH:
        return read_name(source, v, "with", l->with);
    case KEY_GROUPS:
        return msfl_yaml_u32(source, v, "groups", 1, NN_CHANNELS_MAX, &l->groups);
    case KEY_RATE:
        return msfl_yaml_f64(source, v, "rate", 0, 0.95, &l->rate);
    case KEY_EPSILON:
        return msfl_yaml_f64(source, v, "epsilon", 1e-8, 1, &l->epsilon);
    default:
        return msfl_yaml_f64(source, v, "momentum", 0, 0.9999, &l->momentum);
    }
}

static msfl_status read_layer(const char *source, const msfl_yaml *item, bool is_volume, nn_layer *l) {
    /* "- flatten", or "- conv: {...}": a mapping with one key. */
    bool bare = item->kind == MSFL_YAML_SCALAR;
    if (!bare && (item->kind != MSFL_YAML_MAPPING || item->n != 1)) {
        return msfl_yaml_fail(source, item,
                              "a layer is one word, or one word with its keys, as in '- conv: {filters: "
                              "8, kernel: 3}'");
    }
    const char *word = bare ? item->text : item->first->key;
    uint32_t kind = 0;
    while (kind < NN_KINDS && strcmp(nn_kind_words[kind], word) != 0)
        kind++;
    if (kind == NN_KINDS) {
        return msfl_yaml_fail(source, item,
                              "unknown layer '%.64s'; there are conv, dense, max_pool, avg_pool, global_avg_pool, "
                              "batch_norm, group_norm, dropout, flatten, relu, add, concat and upsample",
                              word);
    }
    *l =
        (nn_layer){.kind = (nn_kind)kind, .kernel_h = 2, .kernel_w = 2, .bias = true, .epsilon = 1e-3, .momentum = 0.9};
    l->kernel_d = is_volume ? 2 : 1;
    bool is_pool = kind == NN_MAX_POOL || kind == NN_AVG_POOL;
    if (!is_pool) l->stride_d = l->stride_h = l->stride_w = 1;
    const msfl_yaml *keys = bare ? NULL : item->first;
    if (keys != NULL && keys->kind == MSFL_YAML_SCALAR && keys->text[0] == 0 && !keys->quoted) keys = NULL;
    if (keys != NULL) {
        const char *words[N_KEYS + 3];
        size_t n = 0;
        for (size_t k = 0; k < N_KEYS; k++) {
            if (kinds[kind].takes & key_words[k].key) words[n++] = key_words[k].word;
        }
        words[n++] = "name";
        words[n++] = "from";
        words[n] = NULL;
        msfl_status status = msfl_yaml_only(source, keys, words);
        if (status != MSFL_OK) return status;
    }
    for (size_t k = 0; k < N_KEYS; k++) {
        if (!(kinds[kind].takes & key_words[k].key)) continue;
        const msfl_yaml *v = msfl_yaml_get(keys, key_words[k].word);
        if (v == NULL && (kinds[kind].needs & key_words[k].key)) {
            return msfl_yaml_fail(source, item, "%s needs the key '%s'", word, key_words[k].word);
        }
        msfl_status status = v == NULL ? MSFL_OK : read_key(source, key_words[k].key, v, is_volume, l);
        if (status != MSFL_OK) return status;
    }
    if (is_pool && l->stride_h == 0) {
        l->stride_d = l->kernel_d;
        l->stride_h = l->kernel_h;
        l->stride_w = l->kernel_w;
    }
    const msfl_yaml *name = msfl_yaml_get(keys, "name"), *from = msfl_yaml_get(keys, "from");
    msfl_status status = name == NULL ? MSFL_OK : read_name(source, name, "name", l->name);
    if (status == MSFL_OK && from != NULL) status = read_name(source, from, "from", l->from);
    return status;
}

static msfl_status read_input(const char *source, const msfl_yaml *input, nn_arch *arch) {
    static const char *const keys[] = {"height", "width", "channels", "depth", NULL};
    msfl_status status = msfl_yaml_only(source, input, keys);
    arch->input.d = 1;
    const msfl_yaml *depth = status == MSFL_OK ? msfl_yaml_get(input, "depth") : NULL;
    arch->is_volume = depth != NULL;
    if (depth != NULL) status = msfl_yaml_u32(source, depth, "depth", 2, NN_SIDE_MAX, &arch->input.d);
    uint32_t *values[] = {&arch->input.h, &arch->input.w, &arch->input.c};
    uint32_t bounds[] = {NN_SIDE_MAX, NN_SIDE_MAX, NN_CHANNELS_MAX};
    for (int i = 0; i < 3 && status == MSFL_OK; i++) {
        const msfl_yaml *v = msfl_yaml_get(input, keys[i]);
        if (v == NULL) return msfl_yaml_fail(source, input, "input needs the key '%s'", keys[i]);
        status = msfl_yaml_u32(source, v, keys[i], 1, bounds[i], values[i]);
    }
    return status;
}

static msfl_status read_root(const char *source, const msfl_yaml *root, nn_arch *arch) {
    static const char *const keys[] = {"name", "input", "classes", "layers", NULL};
    msfl_status status = msfl_yaml_only(source, root, keys);
    for (int i = 0; i < 4 && status == MSFL_OK; i++) {
        if (msfl_yaml_get(root, keys[i]) == NULL)
            status = msfl_yaml_fail(source, root, "the key '%s' is missing", keys[i]);
    }
    if (status == MSFL_OK) status = read_name(source, msfl_yaml_get(root, "name"), "name", arch->name);
    if (status == MSFL_OK) status = read_input(source, msfl_yaml_get(root, "input"), arch);
    if (status == MSFL_OK) {
        status = msfl_yaml_u32(source, msfl_yaml_get(root, "classes"), "classes", 2, NN_CLASSES_MAX, &arch->n_classes);
    }
    if (status != MSFL_OK) return status;
    const msfl_yaml *layers = msfl_yaml_get(root, "layers");
    if (layers->kind != MSFL_YAML_SEQUENCE || layers->n == 0) {
        return msfl_yaml_fail(source, layers, "layers must be a list");
    }
    if (layers->n > NN_LAYERS_MAX) {
        return msfl_yaml_fail(source, layers, "%u layers; at most %d are possible", layers->n, NN_LAYERS_MAX);
    }
    for (const msfl_yaml *item = layers->first; item != NULL && status == MSFL_OK; item = item->next) {
        status = read_layer(source, item, arch->is_volume, &arch->layers[arch->n_layers++]);
    }
    return status;
}

msfl_status nn_arch_read(const char *name, const char *yaml, size_t length, nn_arch *arch) {
    memset(arch, 0, sizeof *arch);
    if (length > NN_YAML_BYTES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: %zu bytes; a model description has at most %d", name, length,
                         NN_YAML_BYTES_MAX);
    }
    msfl_yaml *root;
    msfl_status status = msfl_yaml_parse(name, yaml, length, &root);
    if (status != MSFL_OK) return status;
    status = read_root(name, root, arch);
    msfl_yaml_free(root);
    return status;
}
