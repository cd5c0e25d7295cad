/* The JSON of a Keras model, Sequential or Functional, as an architecture, where it has no layer that we have not. */
#include "nn/arch.h"

#include "base/error.h"
#include "text/json.h"

#include <math.h>
#include <string.h>

enum { JSON_BYTES_MAX = 1 << 19 };

/* What a Keras layer's output is with us: the image, or what a layer of ours makes. */
typedef struct known {
    const char *name; /* in the JSON */
    int32_t layer;
} known;

typedef struct reader {
    const char *source, *layer;
    bool functional, is_volume;
    known known[2 * NN_LAYERS_MAX + 2];
    uint32_t n_known;
} reader;

static msfl_status cannot(const reader *r, const char *what) {
    return msfl_fail(MSFL_ERR_UNSUPPORTED, "%s: layer '%.60s' %s", r->source, r->layer, what);
}

static msfl_status number(const reader *r, const json_t *config, const char *key, double min, double max, double *out) {
    const json_t *v = json_object_get(config, key);
    double d = json_number_value(v);
    if (!json_is_number(v) || !(d >= min) || !(d <= max)) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s: layer '%.60s': '%s' must be a number from %g to %g", r->source, r->layer,
                         key, min, max);
    }
    *out = d;
    return MSFL_OK;
}

static msfl_status whole(const reader *r, const json_t *config, const char *key, uint32_t max, uint32_t *out) {
    double d;
    msfl_status status = number(r, config, key, 1, max, &d);
    if (status == MSFL_OK && d != floor(d)) {
        status = msfl_fail(MSFL_ERR_FORMAT, "%s: layer '%.60s': '%s' must be whole", r->source, r->layer, key);
    }
    if (status == MSFL_OK) *out = (uint32_t)d;
    return status;
}

/* [h, w], of volumes [d, h, w], or one number for all. */
static msfl_status window(const reader *r, const json_t *config, const char *key, uint32_t *d, uint32_t *h,
                          uint32_t *w) {
    const json_t *v = json_object_get(config, key);
    uint32_t *out[3] = {d, h, w};
    const size_t skip = r->is_volume ? 0 : 1;
    *d = 1;
    for (size_t i = skip; i < 3; i++) {
        const json_t *n = json_is_array(v) ? json_array_get(v, i - skip) : v;
        json_int_t value = json_integer_value(n);
        if (!json_is_integer(n) || value < 1 || value > NN_WINDOW_MAX) {
            return msfl_fail(MSFL_ERR_FORMAT, "%s: layer '%.60s': '%s' must be whole numbers from 1 to %d", r->source,
                             r->layer, key, NN_WINDOW_MAX);
        }
        *out[i] = (uint32_t)value;
    }
    return MSFL_OK;
}

static bool text_is(const json_t *config, const char *key, const char *value) {
    const char *text = json_string_value(json_object_get(config, key));
    return text != NULL && strcmp(text, value) == 0;
}

/* A key that is absent, or has this whole number wherever it has numbers: dilation 1, groups 1. */
static bool absent_or_ones(const json_t *config, const char *key) {
    const json_t *v = json_object_get(config, key);
    for (size_t i = 0; i < json_array_size(v); i++) {
        if (json_integer_value(json_array_get(v, i)) != 1) return false;
    }
    return v == NULL || json_is_array(v) || json_integer_value(v) == 1;
}

static msfl_status padding(const reader *r, const json_t *config, nn_layer *l) {
    if (json_object_get(config, "data_format") != NULL && !text_is(config, "data_format", "channels_last")) {
        return cannot(r, "has its channels first; only channels_last is supported");
    }
    l->same = text_is(config, "padding", "same");
    if (!l->same && !text_is(config, "padding", "valid")) return cannot(r, "has an unknown padding");
    return MSFL_OK;
}

/* `softmax` may be NULL: not allowed here. */
static msfl_status activation(const reader *r, const json_t *config, nn_layer *l, bool *softmax) {
    const json_t *v = json_object_get(config, "activation");
    if (v == NULL || json_is_null(v) || text_is(config, "activation", "linear")) return MSFL_OK;
    if (text_is(config, "activation", "relu")) {
        l->relu = true;
        return MSFL_OK;
    }
    if (softmax != NULL && text_is(config, "activation", "softmax")) {
        *softmax = true;
        return MSFL_OK;
    }
    return cannot(r, "has an activation other than relu (or softmax at the end)");
}

static msfl_status read_linear(const reader *r, const json_t *config, nn_layer *l, bool *softmax) {
    bool conv = l->kind == NN_CONV;
    l->bias = !json_is_false(json_object_get(config, "use_bias"));
    msfl_status status = activation(r, config, l, softmax);
    if (!conv) return status == MSFL_OK ? whole(r, config, "units", NN_UNITS_MAX, &l->filters) : status;
    if (status == MSFL_OK) status = whole(r, config, "filters", NN_CHANNELS_MAX, &l->filters);
    if (status == MSFL_OK) status = window(r, config, "kernel_size", &l->kernel_d, &l->kernel_h, &l->kernel_w);
    if (status == MSFL_OK) status = window(r, config, "strides", &l->stride_d, &l->stride_h, &l->stride_w);
    if (status == MSFL_OK) status = padding(r, config, l);
    if (status == MSFL_OK && (!absent_or_ones(config, "dilation_rate") || !absent_or_ones(config, "groups"))) {
        status = cannot(r, "is dilated or grouped, which is not supported");
    }
    return status;
}

static msfl_status read_norm(const reader *r, const json_t *config, nn_layer *l) {
    if (json_is_false(json_object_get(config, "center")) || json_is_false(json_object_get(config, "scale"))) {
        return cannot(r, "normalises without scale or offset, which is not supported");
    }
    const json_t *axis = json_object_get(config, "axis");
    if (json_is_array(axis)) axis = json_array_get(axis, 0);
    json_int_t a = axis == NULL ? -1 : json_integer_value(axis);
    if (a != -1 && a != (r->is_volume ? 4 : 3) && a != 1) return cannot(r, "does not normalise over channels");
    msfl_status status = number(r, config, "epsilon", 1e-8, 1, &l->epsilon);
    if (status == MSFL_OK && l->kind == NN_BATCH_NORM) {
        status = number(r, config, "momentum", 0, 0.9999, &l->momentum);
    } else if (status == MSFL_OK) {
        status = whole(r, config, "groups", NN_CHANNELS_MAX, &l->groups);
    }
    return status;
}

static msfl_status read_join(const reader *r, const json_t *config, nn_layer *l) {
    const json_t *axis = json_object_get(config, "axis");
    json_int_t a = axis == NULL ? -1 : json_integer_value(axis);
    if (!r->functional) return cannot(r, "joins two layers, which a Sequential model cannot");
    if (l->kind == NN_CONCAT && a != -1 && a != (r->is_volume ? 4 : 3))
        return cannot(r, "does not concatenate channels");
    return MSFL_OK;
}

static msfl_status read_upsampling(const reader *r, const json_t *config, nn_layer *l) {
    if (json_object_get(config, "interpolation") != NULL && !text_is(config, "interpolation", "nearest")) {
        return cannot(r, "enlarges by interpolation, which is not supported");
    }
    if (json_object_get(config, "data_format") != NULL && !text_is(config, "data_format", "channels_last")) {
        return cannot(r, "has its channels first; only channels_last is supported");
    }
    return window(r, config, "size", &l->kernel_d, &l->kernel_h, &l->kernel_w);
}

static msfl_status remember(reader *r, const char *name, int32_t layer) {
    if (r->n_known == sizeof r->known / sizeof r->known[0]) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: more than %zu layers", r->source, sizeof r->known / sizeof r->known[0]);
    }
    r->known[r->n_known++] = (known){name, layer};
    return MSFL_OK;
}

/* inbound_nodes of a layer that is used once: [[["name", 0, 0, {}], ...]]. */
static msfl_status read_sources(const reader *r, const json_t *layer, uint32_t n, int32_t *sources) {
    const json_t *nodes = json_object_get(layer, "inbound_nodes"), *node = json_array_get(nodes, 0);
    if (json_array_size(nodes) != 1 || json_array_size(node) != n) {
        return cannot(r, "is used more than once, or joins more or less than two layers");
    }
    for (uint32_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(node, i);
        const char *name = json_string_value(json_array_get(one, 0));
        uint32_t k = 0;
        while (name != NULL && k < r->n_known && strcmp(r->known[k].name, name) != 0)
            k++;
        if (name == NULL || k == r->n_known || json_integer_value(json_array_get(one, 1)) != 0 ||
            json_integer_value(json_array_get(one, 2)) != 0) {
            return cannot(r, "reads a layer that is not before it");
        }
        sources[i] = r->known[k].layer;
    }
    return MSFL_OK;
}

/* Layer `l` is about to become number arch->n_layers. */
static msfl_status connect(const reader *r, const json_t *layer, const nn_arch *arch, nn_layer *l) {
    bool joins = l->kind == NN_ADD || l->kind == NN_CONCAT;
    int32_t sources[2] = {NN_IMAGE, NN_IMAGE};
    msfl_status status = read_sources(r, layer, joins ? 2 : 1, sources);
    if (status != MSFL_OK) return status;
    if ((sources[0] == NN_IMAGE && arch->n_layers > 0) || (joins && sources[1] == NN_IMAGE)) {
        return cannot(r, "reads the image beside other layers, which is not supported");
    }
    if (sources[0] != NN_IMAGE) memcpy(l->from, arch->layers[sources[0]].name, NN_NAME_BYTES);
    if (joins) memcpy(l->with, arch->layers[sources[1]].name, NN_NAME_BYTES);
    return MSFL_OK;
}

static msfl_status read_input(const reader *r, const json_t *config, nn_arch *arch) {
    const json_t *shape = json_object_get(config, "batch_input_shape");
    if (shape == NULL) shape = json_object_get(config, "batch_shape");
    if (shape == NULL) return MSFL_OK; /* given elsewhere */
    uint32_t *out[4] = {&arch->input.d, &arch->input.h, &arch->input.w, &arch->input.c};
    const size_t skip = r->is_volume ? 0 : 1;
    arch->input.d = 1;
    for (size_t i = skip; i < 4; i++) {
        json_int_t v = json_integer_value(json_array_get(shape, i + 1 - skip));
        if (json_array_size(shape) != 5 - skip || v < (i == 0 ? 2 : 1) || v > (i < 3 ? NN_SIDE_MAX : NN_CHANNELS_MAX)) {
            return cannot(r, "does not say how large its images are, or says too much");
        }
        *out[i] = (uint32_t)v;
    }
    return MSFL_OK;
}

/* Whether a layer's class is `word`, or word2D, of volumes word3D. */
static bool is_class(const reader *r, const char *class_name, const char *word, bool has_sides) {
    size_t n = strlen(word);
    if (strncmp(class_name, word, n) != 0) return false;
    return strcmp(class_name + n, !has_sides ? "" : r->is_volume ? "3D" : "2D") == 0;
}

static msfl_status read_layer(reader *r, const json_t *layer, nn_arch *arch, bool *softmax) {
    static const struct {
        const char *class_name;
        nn_kind kind;
        bool has_sides;
    } classes[] = {{"Conv", NN_CONV, true},
                   {"Dense", NN_DENSE, false},
                   {"MaxPooling", NN_MAX_POOL, true},
                   {"AveragePooling", NN_AVG_POOL, true},
                   {"GlobalAveragePooling", NN_GLOBAL_AVG_POOL, true},
                   {"BatchNormalization", NN_BATCH_NORM, false},
                   {"GroupNormalization", NN_GROUP_NORM, false},
                   {"Dropout", NN_DROPOUT, false},
                   {"Flatten", NN_FLATTEN, false},
                   {"Add", NN_ADD, false},
                   {"Concatenate", NN_CONCAT, false},
                   {"UpSampling", NN_UPSAMPLE, true},
                   {"Activation", NN_RELU, false},
                   {"ReLU", NN_RELU, false}};
    enum { N_CLASSES = sizeof classes / sizeof classes[0] };
    const json_t *config = json_object_get(layer, "config");
    const char *class_name = json_string_value(json_object_get(layer, "class_name"));
    const char *name = json_string_value(json_object_get(config, "name"));
    if (class_name == NULL || !json_is_object(config) || name == NULL) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s: model_config has a layer without class, configuration or name",
                         r->source);
    }
    r->layer = name;
    msfl_status status = read_input(r, config, arch);
    if (status != MSFL_OK) return status;
    if (strcmp(class_name, "InputLayer") == 0) return remember(r, name, NN_IMAGE);
    size_t k = 0;
    while (k < N_CLASSES && !is_class(r, class_name, classes[k].class_name, classes[k].has_sides))
        k++;
    if (k == N_CLASSES) return cannot(r, "is of a class that is not supported");
    if (*softmax) return cannot(r, "comes after softmax, which must be the end");
    if (strlen(name) >= NN_NAME_BYTES) return cannot(r, "has too long a name");
    if (arch->n_layers == NN_LAYERS_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: more than %d layers", r->source, NN_LAYERS_MAX);
    }
    nn_layer *l = &arch->layers[arch->n_layers];
    *l = (nn_layer){.kind = classes[k].kind,
                    .kernel_d = 1,
                    .stride_d = 1,
                    .stride_h = 1,
                    .stride_w = 1,
                    .bias = true,
                    .epsilon = 1e-3};
    memcpy(l->name, name, strlen(name));
    double rate = 0;
    switch (l->kind) {
    case NN_CONV:
    case NN_DENSE:
        status = read_linear(r, config, l, softmax);
        break;
    case NN_MAX_POOL:
    case NN_AVG_POOL:
        status = window(r, config, "pool_size", &l->kernel_d, &l->kernel_h, &l->kernel_w);
        if (status == MSFL_OK) status = window(r, config, "strides", &l->stride_d, &l->stride_h, &l->stride_w);
        if (status == MSFL_OK) status = padding(r, config, l);
        if (status == MSFL_OK && l->same) status = cannot(r, "pools with padding, which is not supported");
        break;
    case NN_BATCH_NORM:
    case NN_GROUP_NORM:
        status = read_norm(r, config, l);
        break;
    case NN_DROPOUT:
        status = number(r, config, "rate", 0, 0.95, &rate);
        if (status == MSFL_OK) l->rate = rate;
        break;
    case NN_RELU:
        if (strcmp(class_name, "ReLU") == 0) {
            const json_t *max = json_object_get(config, "max_value");
            bool plain = (max == NULL || json_is_null(max)) &&
                         json_number_value(json_object_get(config, "negative_slope")) == 0.0 &&
                         json_number_value(json_object_get(config, "threshold")) == 0.0;
            if (!plain) return cannot(r, "is not a plain ReLU");
            break;
        }
        status = activation(r, config, l, softmax);
        if (status == MSFL_OK && (*softmax || !l->relu)) { /* no layer of ours: others read what it reads */
            int32_t source = NN_IMAGE;
            if (r->functional) status = read_sources(r, layer, 1, &source);
            return status == MSFL_OK ? remember(r, name, source) : status;
        }
        l->relu = false;
        break;
    case NN_ADD:
    case NN_CONCAT:
        status = read_join(r, config, l);
        break;
    case NN_UPSAMPLE:
        status = read_upsampling(r, config, l);
        break;
    default: /* flatten, global pool: nothing to read */
        break;
    }
    if (status == MSFL_OK && r->functional) status = connect(r, layer, arch, l);
    if (status == MSFL_OK) status = remember(r, name, (int32_t)arch->n_layers);
    if (status == MSFL_OK) arch->n_layers++;
    return status;
}

static msfl_status read_model(const char *source, const json_t *root, nn_arch *arch) {
    bool functional = text_is(root, "class_name", "Functional") || text_is(root, "class_name", "Model");
    if (!functional && !text_is(root, "class_name", "Sequential")) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "%s: only Sequential and Functional models of Keras are supported",
                         source);
    }
    const json_t *config = json_object_get(root, "config");
    const json_t *layers = json_is_array(config) ? config : json_object_get(config, "layers");
    if (!json_is_array(layers)) return msfl_fail(MSFL_ERR_FORMAT, "%s: model_config has no list of layers", source);
    reader r = {.source = source, .layer = "", .functional = functional};
    for (size_t i = 0; i < json_array_size(layers) && !r.is_volume; i++) {
        const char *class_name = json_string_value(json_object_get(json_array_get(layers, i), "class_name"));
        size_t n = class_name == NULL ? 0 : strlen(class_name);
        r.is_volume = n > 2 && strcmp(class_name + n - 2, "3D") == 0;
    }
    arch->is_volume = r.is_volume;
    bool softmax = false;
    for (size_t i = 0; i < json_array_size(layers); i++) {
        msfl_status status = read_layer(&r, json_array_get(layers, i), arch, &softmax);
        if (status != MSFL_OK) return status;
    }
    if (arch->input.h == 0 || arch->n_layers == 0) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "%s: the Keras model does not say how large its images are", source);
    }
    const nn_layer *last = &arch->layers[arch->n_layers - 1];
    if ((last->kind != NN_DENSE && last->kind != NN_CONV) || last->filters < 2 || last->filters > NN_CLASSES_MAX) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED,
                         "%s: the Keras model does not end in a dense layer with one unit per class (2 to %d), or a "
                         "convolution with "
                         "one filter per class of pixels",
                         source, NN_CLASSES_MAX);
    }
    arch->n_classes = last->filters;
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    const char *name = json_string_value(json_object_get(config, "name"));
    if (name == NULL || name[0] == 0 || name[0] == '.' || strlen(name) >= NN_NAME_BYTES ||
        strspn(name, allowed) != strlen(name)) {
        name = "keras";
    }
    memcpy(arch->name, name, strlen(name) + 1);
    for (uint32_t i = 0; i < arch->n_layers; i++) {
        const char *n = arch->layers[i].name;
        if (n[0] == 0 || n[0] == '.' || strspn(n, allowed) != strlen(n)) {
            r.layer = n;
            return cannot(&r, "has a name with characters other than letters, digits, '_', '-' and '.'");
        }
    }
    return MSFL_OK;
}

msfl_status nn_arch_from_keras(const char *name, const char *json, size_t length, nn_arch *arch) {
    memset(arch, 0, sizeof *arch);
    json_t *root;
    msfl_status status = msfl_json_parse(name, json, length, JSON_BYTES_MAX, &root);
    if (status != MSFL_OK) return status;
    status = read_model(name, root, arch);
    json_decref(root);
    return status;
}
