/* The public face of an architecture. */
#include "medsecurefl/model.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "nn/arch.h"

#include <stdatomic.h>
#include <string.h>

struct msfl_model {
    atomic_uint owners;
    nn_arch *arch;
    char *yaml;
    msfl_model_info info;
};

msfl_status nn_model_from_arch(const char *name, nn_arch *arch, msfl_model **out) {
    *out = NULL;
    msfl_model *model = NULL;
    char *yaml = NULL;
    msfl_status status = nn_arch_resolve(name, arch);
    if (status == MSFL_OK) status = nn_arch_yaml(arch, &yaml);
    if (status == MSFL_OK) {
        model = msfl_alloc(1, sizeof *model);
        if (model == NULL) status = MSFL_ERR_MEMORY;
    }
    if (status != MSFL_OK) {
        msfl_free(arch);
        msfl_free(yaml);
        return status;
    }
    atomic_init(&model->owners, 1);
    model->arch = arch;
    model->yaml = yaml;
    model->info = (msfl_model_info){.name = arch->name,
                                    .depth = arch->input.d,
                                    .height = arch->input.h,
                                    .width = arch->input.w,
                                    .channels = arch->input.c,
                                    .n_classes = arch->n_classes,
                                    .n_layers = arch->n_layers,
                                    .n_tensors = arch->n_tensors,
                                    .n_values = arch->n_values,
                                    .n_trainable = arch->n_trainable,
                                    .is_pixelwise = arch->is_pixelwise,
                                    .is_volume = arch->is_volume,
                                    .n_targets = arch->n_targets};
    *out = model;
    return MSFL_OK;
}

static msfl_status parse(const char *name, const char *yaml, size_t length, uint32_t depth, uint32_t height,
                         uint32_t width, uint32_t channels, uint32_t n_classes, msfl_model **out) {
    *out = NULL;
    nn_arch *arch = msfl_alloc(1, sizeof *arch);
    if (arch == NULL) return MSFL_ERR_MEMORY;
    msfl_status status = nn_arch_read(name, yaml, length, arch);
    if (status == MSFL_OK) status = nn_arch_adapt(name, arch, depth, height, width, channels, n_classes);
    if (status != MSFL_OK) {
        msfl_free(arch);
        return status;
    }
    return nn_model_from_arch(name, arch, out);
}

msfl_status msfl_model_parse(const char *name, const char *yaml, size_t length, uint32_t height, uint32_t width,
                             uint32_t channels, uint32_t n_classes, msfl_model **out) {
    return parse(name, yaml, length, 0, height, width, channels, n_classes, out);
}

msfl_status msfl_model_new(const char *name_or_path, uint32_t height, uint32_t width, uint32_t channels,
                           uint32_t n_classes, msfl_model **out) {
    return msfl_model_new_volume(name_or_path, 0, height, width, channels, n_classes, out);
}

msfl_status msfl_model_new_volume(const char *name_or_path, uint32_t depth, uint32_t height, uint32_t width,
                                  uint32_t channels, uint32_t n_classes, msfl_model **out) {
    *out = NULL;
    const char *yaml = nn_builtin(name_or_path);
    if (yaml != NULL) return parse(name_or_path, yaml, strlen(yaml), depth, height, width, channels, n_classes, out);
    if (!msfl_file_exists(name_or_path)) {
        return msfl_fail(MSFL_ERR_MISSING, "no network or file is called '%s'; built in are %s", name_or_path,
                         nn_builtin_names());
    }
    uint8_t *bytes;
    size_t length;
    msfl_status status = msfl_file_read(name_or_path, NN_YAML_BYTES_MAX, &bytes, &length);
    if (status != MSFL_OK) return status;
    status = parse(name_or_path, (const char *)bytes, length, depth, height, width, channels, n_classes, out);
    msfl_free(bytes);
    return status;
}

msfl_model *nn_model_retain(const msfl_model *model) {
    msfl_model *same = (msfl_model *)(uintptr_t)model;
    atomic_fetch_add(&same->owners, 1);
    return same;
}

void msfl_model_free(msfl_model *model) {
    if (model == NULL || atomic_fetch_sub(&model->owners, 1) != 1) return;
    msfl_free(model->arch);
    msfl_free(model->yaml);
    msfl_free(model);
}

const nn_arch *nn_model_arch(const msfl_model *model) {
    return model->arch;
}
const msfl_model_info *msfl_model_info_borrow(const msfl_model *model) {
    return &model->info;
}
const msfl_tensor *msfl_model_tensor(const msfl_model *model, uint32_t i) {
    return &model->arch->tensors[i];
}
const char *msfl_model_yaml(const msfl_model *model) {
    return model->yaml;
}
const char *msfl_model_layer_text(const msfl_model *model, uint32_t i) {
    return model->arch->layers[i].text;
}

void msfl_model_hash(const msfl_model *model, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.model.v1");
    msfl_hash_add_field(&h, model->yaml, strlen(model->yaml));
    msfl_hash_final(&h, out);
}
