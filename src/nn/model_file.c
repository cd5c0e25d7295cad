/* Model files in the layout of Keras 2 (docs/formats/model-h5.md). */
#include "medsecurefl/model.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "nn/arch.h"
#include "nn/h5.h"
#include "nn/kernels.h"

#include <stdio.h>
#include <string.h>

static const uint64_t FILE_BYTES_MAX = (uint64_t)5 << 28;
enum { ATTRIBUTE_BYTES_MAX = 64000 }; /* HDF5's compact attributes end at 64 KiB */

/* --- writing --- */

typedef struct list {
    nn_h5_node *nodes;
    size_t n, capacity;
    msfl_status status;
} list;

static nn_h5_node *add(list *l, nn_h5_kind kind, char *path, const char *name) {
    if (l->status == MSFL_OK && path == NULL) l->status = MSFL_ERR_MEMORY;
    if (l->status == MSFL_OK) l->status = msfl_grow((void **)&l->nodes, &l->capacity, l->n + 1, sizeof *l->nodes);
    if (l->status != MSFL_OK) {
        msfl_free(path);
        return NULL;
    }
    nn_h5_node *node = &l->nodes[l->n++];
    *node = (nn_h5_node){.kind = kind, .path = path};
    if (name != NULL) {
        node->name = msfl_strdup(name);
        if (node->name == NULL) l->status = MSFL_ERR_MEMORY;
    }
    return node;
}

static void add_text(list *l, nn_h5_node *node, char *text) {
    size_t capacity = node == NULL ? 0 : node->n; /* grown one by one: these lists are short */
    if (l->status == MSFL_OK && text == NULL) l->status = MSFL_ERR_MEMORY;
    if (l->status == MSFL_OK) l->status = msfl_grow((void **)&node->texts, &capacity, node->n + 1, sizeof(char *));
    if (l->status == MSFL_OK) {
        node->texts[node->n++] = text;
    } else {
        msfl_free(text);
    }
}

static void add_attribute(list *l, const char *name, char *text) {
    if (text != NULL && strlen(text) > ATTRIBUTE_BYTES_MAX && l->status == MSFL_OK) {
        l->status = msfl_fail(MSFL_ERR_LIMIT, "attribute %s would have %zu bytes; HDF5 takes %d", name, strlen(text),
                              ATTRIBUTE_BYTES_MAX);
    }
    add_text(l, add(l, NN_H5_TEXT, msfl_strdup("/"), name), text);
}

static bool has_relu_layer(const nn_layer *layer) {
    return layer->relu && (layer->kind == NN_BATCH_NORM || layer->kind == NN_GROUP_NORM || layer->kind == NN_ADD);
}

static void add_layer_names(list *l, const nn_arch *arch) {
    nn_h5_node *names = add(l, NN_H5_TEXTS, msfl_strdup("/model_weights"), "layer_names");
    for (uint32_t i = 0; i < arch->n_layers; i++) {
        const nn_layer *layer = &arch->layers[i];
        add_text(l, names, msfl_strdup(layer->name));
        if (has_relu_layer(layer)) add_text(l, names, msfl_format("%s_relu", layer->name));
    }
}

static void add_layer(list *l, const nn_arch *arch, const nn_layer *layer, const float *weights) {
    add(l, NN_H5_GROUP, msfl_format("/model_weights/%s", layer->name), NULL);
    nn_h5_node *names = add(l, NN_H5_TEXTS, msfl_format("/model_weights/%s", layer->name), "weight_names");
    for (uint32_t t = layer->first_tensor; t < layer->first_tensor + layer->n_tensors; t++)
        add_text(l, names, msfl_format("%s/%s:0", layer->name, arch->tensors[t].name));
    if (layer->n_tensors != 0) add(l, NN_H5_GROUP, msfl_format("/model_weights/%s/%s", layer->name, layer->name), NULL);
    for (uint32_t t = layer->first_tensor; t < layer->first_tensor + layer->n_tensors; t++) {
        const msfl_tensor *tensor = &arch->tensors[t];
        nn_h5_node *set = add(l, NN_H5_FLOATS,
                              msfl_format("/model_weights/%s/%s/%s:0", layer->name, layer->name, tensor->name), NULL);
        if (set == NULL) return;
        set->rank = tensor->rank;
        memcpy(set->shape, tensor->shape, sizeof set->shape);
        set->values = weights + tensor->offset;
    }
    if (has_relu_layer(layer)) {
        add(l, NN_H5_GROUP, msfl_format("/model_weights/%s_relu", layer->name), NULL);
        add(l, NN_H5_TEXTS, msfl_format("/model_weights/%s_relu", layer->name), "weight_names");
    }
}

static void add_class_names(list *l, const char *const *names, uint32_t n) {
    nn_h5_node *node = add(l, NN_H5_TEXTS, msfl_strdup("/"), "class_names");
    size_t longest = 0;
    for (uint32_t c = 0; c < n; c++) {
        if (strlen(names[c]) > longest) longest = strlen(names[c]);
        add_text(l, node, msfl_strdup(names[c]));
    }
    if (longest * n > ATTRIBUTE_BYTES_MAX && l->status == MSFL_OK) {
        l->status = msfl_fail(MSFL_ERR_LIMIT, "the class names are too long: %zu bytes x %u classes; at most %d fit",
                              longest, n, ATTRIBUTE_BYTES_MAX);
    }
}

static void list_clear(list *l) {
    for (size_t i = 0; i < l->n; i++) {
        for (size_t k = 0; k < l->nodes[i].n; k++)
            msfl_free(l->nodes[i].texts[k]);
        msfl_free(l->nodes[i].texts);
        msfl_free(l->nodes[i].path);
        msfl_free(l->nodes[i].name);
    }
    msfl_free(l->nodes);
}

msfl_status msfl_model_save(const char *path, const msfl_model *model, const float *weights,
                            const msfl_model_facts *facts) {
    const nn_arch *arch = nn_model_arch(model);
    const msfl_model_facts f = facts != NULL ? *facts : (msfl_model_facts){0};
    if (!nn_kernels_borrow()->all_finite(weights, arch->n_values)) {
        return msfl_fail(MSFL_ERR_NUMERIC, "%s: not written: a weight is not finite", path);
    }
    char *config = NULL;
    uint8_t *bytes = NULL;
    size_t length;
    list l = {.status = nn_arch_keras(arch, &config)};
    add_attribute(&l, "keras_version", msfl_strdup("2.11.0"));
    add_attribute(&l, "backend", msfl_strdup("tensorflow"));
    add_attribute(&l, "model_config", config);
    add_attribute(&l, "medsecurefl_model", msfl_strdup(msfl_model_yaml(model)));
    if (f.class_names != NULL) add_class_names(&l, f.class_names, arch->n_classes);
    if (f.normalise != NULL) add_attribute(&l, "normalise", msfl_strdup(f.normalise));
    if (f.recipe != NULL) add_attribute(&l, "medsecurefl_recipe", msfl_strdup(f.recipe));
    if (f.recipe_name != NULL) add_attribute(&l, "medsecurefl_recipe_name", msfl_strdup(f.recipe_name));
    add(&l, NN_H5_GROUP, msfl_strdup("/model_weights"), NULL);
    add_text(&l, add(&l, NN_H5_TEXT, msfl_strdup("/model_weights"), "keras_version"), msfl_strdup("2.11.0"));
    add_text(&l, add(&l, NN_H5_TEXT, msfl_strdup("/model_weights"), "backend"), msfl_strdup("tensorflow"));
    add_layer_names(&l, arch);
    for (uint32_t i = 0; i < arch->n_layers; i++)
        add_layer(&l, arch, &arch->layers[i], weights);
    msfl_status status = l.status;
    if (status == MSFL_OK) status = nn_h5_write(l.nodes, l.n, &bytes, &length);
    if (status == MSFL_OK) status = msfl_file_write(path, bytes, length);
    list_clear(&l);
    msfl_free(bytes);
    return status;
}

/* --- reading --- */

void msfl_model_extra_clear(msfl_model_extra *extra) {
    for (uint32_t c = 0; extra->class_names != NULL && c < extra->n_classes; c++)
        msfl_free(extra->class_names[c]);
    msfl_free(extra->class_names);
    msfl_free(extra->normalise);
    msfl_free(extra->recipe);
    msfl_free(extra->recipe_name);
    *extra = (msfl_model_extra){0};
}

void msfl_floats_free(float *values) {
    msfl_free(values);
}

static msfl_status read_model(const char *path, const nn_h5_file *file, msfl_model **model) {
    if (file->description.n == 1) {
        const char *yaml = file->description.texts[0];
        return msfl_model_parse(path, yaml, strlen(yaml), 0, 0, 0, 0, model);
    }
    if (file->config.n != 1) {
        return msfl_fail(MSFL_ERR_FORMAT, "%s: holds no architecture (attribute model_config)", path);
    }
    nn_arch *arch = msfl_alloc(1, sizeof *arch);
    if (arch == NULL) return MSFL_ERR_MEMORY;
    const char *json = file->config.texts[0];
    msfl_status status = nn_arch_from_keras(path, json, strlen(json), arch);
    if (status != MSFL_OK) {
        msfl_free(arch);
        return status;
    }
    return nn_model_from_arch(path, arch, model);
}

/* "conv1/kernel:0" is kernel. */
static bool is_called(const char *weight_name, const char *tensor_name) {
    const char *slash = strrchr(weight_name, '/');
    const char *last = slash == NULL ? weight_name : slash + 1;
    size_t n = strcspn(last, ":");
    return strlen(tensor_name) == n && strncmp(last, tensor_name, n) == 0;
}

static const msfl_tensor *find_tensor(const nn_arch *arch, const nn_h5_weight *w, uint32_t *index) {
    for (uint32_t t = 0; t < arch->n_tensors; t++) {
        if (strcmp(arch->tensors[t].layer, w->layer) == 0 && is_called(w->name, arch->tensors[t].name)) {
            *index = t;
            return &arch->tensors[t];
        }
    }
    return NULL;
}

static void shape_text(uint32_t rank, const uint32_t *shape, char text[64]) {
    size_t used = 0;
    for (uint32_t d = 0; d < rank && used < 64; d++)
        used += (size_t)snprintf(text + used, 64 - used, "%s%u", d == 0 ? "" : "x", shape[d]);
}

/* Every tensor once, with its shape. */
static msfl_status check_weights(const char *path, const nn_arch *arch, const nn_h5_file *file) {
    bool seen[MSFL_MODEL_TENSORS_MAX] = {false};
    for (uint32_t i = 0; i < file->n_weights; i++) {
        const nn_h5_weight *w = &file->weights[i];
        uint32_t t = 0;
        const msfl_tensor *tensor = find_tensor(arch, w, &t);
        if (tensor == NULL || seen[t]) {
            return msfl_fail(MSFL_ERR_FORMAT, "%s: weight '%.60s' of layer '%.60s' %s", path, w->name, w->layer,
                             tensor == NULL ? "is not in the architecture" : "is there twice");
        }
        seen[t] = true;
        if (tensor->rank != w->rank || memcmp(tensor->shape, w->shape, w->rank * sizeof *w->shape) != 0) {
            char wanted[64], have[64];
            shape_text(tensor->rank, tensor->shape, wanted);
            shape_text(w->rank, w->shape, have);
            return msfl_fail(MSFL_ERR_FORMAT, "%s: %s/%s is %s in the file, but %s in the architecture", path,
                             tensor->layer, tensor->name, have, wanted);
        }
    }
    for (uint32_t t = 0; t < arch->n_tensors; t++) {
        if (!seen[t]) {
            return msfl_fail(MSFL_ERR_FORMAT, "%s: %s/%s is missing", path, arch->tensors[t].layer,
                             arch->tensors[t].name);
        }
    }
    return MSFL_OK;
}

static msfl_status read_weights(const char *path, const nn_arch *arch, nn_h5_file *file, float *weights) {
    for (uint32_t i = 0; i < file->n_weights; i++) {
        uint32_t t = 0;
        const msfl_tensor *tensor = find_tensor(arch, &file->weights[i], &t);
        msfl_status status = nn_h5_values(file, weights + tensor->offset);
        if (status != MSFL_OK) return msfl_fail_in(status, "%s", path);
        if (!nn_kernels_borrow()->all_finite(weights + tensor->offset, tensor->count)) {
            return msfl_fail(MSFL_ERR_FORMAT, "%s: %s/%s holds values that are not finite", path, tensor->layer,
                             tensor->name);
        }
    }
    return MSFL_OK;
}

static char *take_text(nn_h5_texts *texts) {
    char *text = texts->n == 1 ? texts->texts[0] : NULL;
    if (text != NULL) texts->texts[0] = NULL;
    return text;
}

/* What will be compared and shown: a hash, and a line of text. */
static bool is_recipe(const msfl_model_extra *e) {
    enum { NAME_BYTES = 64 };
    const char *hash = e->recipe, *name = e->recipe_name;
    if (hash != NULL &&
        (strlen(hash) != (size_t)2 * MSFL_HASH_BYTES || strspn(hash, "0123456789abcdef") != strlen(hash)))
        return false;
    for (const unsigned char *t = (const unsigned char *)name; t != NULL && *t != 0; t++) {
        if (*t < 0x20 || *t == 0x7f) return false;
    }
    return name == NULL || (hash != NULL && strlen(name) < NAME_BYTES);
}

/* Moves the texts out of `file`. */
static msfl_status read_extra(const char *path, uint32_t n_classes, nn_h5_file *file, msfl_model_extra *extra) {
    extra->n_classes = n_classes;
    if (file->class_names.present) {
        if (file->class_names.n != n_classes) {
            return msfl_fail(MSFL_ERR_FORMAT, "%s: %u class names for %u classes", path, file->class_names.n,
                             n_classes);
        }
        extra->class_names = file->class_names.texts;
        file->class_names = (nn_h5_texts){0};
    }
    extra->normalise = take_text(&file->normalise);
    extra->recipe = take_text(&file->recipe);
    extra->recipe_name = take_text(&file->recipe_name);
    if (is_recipe(extra)) return MSFL_OK;
    return msfl_fail(MSFL_ERR_FORMAT, "%s: the attributes that name a recipe are none of ours", path);
}

msfl_status msfl_model_load(const char *path, msfl_model **model, float **weights, msfl_model_extra *extra) {
    *model = NULL;
    *weights = NULL;
    if (extra != NULL) *extra = (msfl_model_extra){0};
    uint8_t *bytes;
    size_t length;
    msfl_status status = msfl_file_read(path, FILE_BYTES_MAX, &bytes, &length);
    if (status != MSFL_OK) return status;
    nn_h5_file file;
    msfl_model *m = NULL;
    float *w = NULL;
    msfl_model_extra e = {0};
    status = nn_h5_open(bytes, length, &file);
    if (status != MSFL_OK) {
        msfl_free(bytes);
        return msfl_fail_in(status, "%s", path);
    }
    status = read_model(path, &file, &m);
    const nn_arch *arch = m == NULL ? NULL : nn_model_arch(m);
    if (status == MSFL_OK && arch == NULL) status = MSFL_ERR_FORMAT;
    if (status == MSFL_OK) status = check_weights(path, arch, &file);
    if (status == MSFL_OK) {
        w = msfl_alloc(arch->n_values, sizeof *w);
        status = w == NULL ? MSFL_ERR_MEMORY : read_weights(path, arch, &file, w);
    }
    if (status == MSFL_OK) status = read_extra(path, arch->n_classes, &file, &e);
    nn_h5_close(&file);
    msfl_free(bytes);
    if (status != MSFL_OK || extra == NULL) msfl_model_extra_clear(&e);
    if (status != MSFL_OK) {
        msfl_model_free(m);
        msfl_free(w);
        return status;
    }
    if (extra != NULL) *extra = e;
    *model = m;
    *weights = w;
    return MSFL_OK;
}
