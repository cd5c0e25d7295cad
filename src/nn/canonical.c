/* An architecture as canonical YAML: every key written out, so that it parses back to the same network. */
#include "nn/arch.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/mem.h"

#include <string.h>

static void put_window(msfl_buffer *b, const char *key, bool is_volume, uint32_t d, uint32_t h, uint32_t w) {
    if (h == w && (!is_volume || d == h)) {
        msfl_put_text(b, ", %s: %u", key, h);
    } else if (is_volume) {
        msfl_put_text(b, ", %s: [%u, %u, %u]", key, d, h, w);
    } else {
        msfl_put_text(b, ", %s: [%u, %u]", key, h, w);
    }
}

static void put_layer(msfl_buffer *b, const nn_layer *l, bool is_volume, bool is_last) {
    msfl_put_text(b, "  - %s: {name: \"%s\"", nn_kind_words[l->kind], l->name);
    if (l->from[0] != 0) msfl_put_text(b, ", from: \"%s\"", l->from);
    const char *activation = l->relu ? "relu" : "none";
    const char *bias = l->bias ? "true" : "false";
    switch (l->kind) {
    case NN_CONV:
        if (is_last) {
            msfl_put_text(b, ", filters: classes");
        } else {
            msfl_put_text(b, ", filters: %u", l->filters);
        }
        put_window(b, "kernel", is_volume, l->kernel_d, l->kernel_h, l->kernel_w);
        put_window(b, "stride", is_volume, l->stride_d, l->stride_h, l->stride_w);
        msfl_put_text(b, ", padding: %s, bias: %s, activation: %s", l->same ? "same" : "valid", bias, activation);
        break;
    case NN_DENSE:
        if (is_last) {
            msfl_put_text(b, ", units: classes, bias: %s", bias);
        } else {
            msfl_put_text(b, ", units: %u, bias: %s, activation: %s", l->filters, bias, activation);
        }
        break;
    case NN_MAX_POOL:
    case NN_AVG_POOL:
        put_window(b, "size", is_volume, l->kernel_d, l->kernel_h, l->kernel_w);
        put_window(b, "stride", is_volume, l->stride_d, l->stride_h, l->stride_w);
        break;
    case NN_BATCH_NORM:
        msfl_put_text(b, ", momentum: %.17g, epsilon: %.17g, activation: %s", l->momentum, l->epsilon, activation);
        break;
    case NN_GROUP_NORM:
        msfl_put_text(b, ", groups: %u, epsilon: %.17g, activation: %s", l->groups, l->epsilon, activation);
        break;
    case NN_DROPOUT:
        msfl_put_text(b, ", rate: %.17g", l->rate);
        break;
    case NN_ADD:
        msfl_put_text(b, ", with: \"%s\", activation: %s", l->with, activation);
        break;
    case NN_CONCAT:
        msfl_put_text(b, ", with: \"%s\"", l->with);
        break;
    case NN_UPSAMPLE:
        put_window(b, "size", is_volume, l->kernel_d, l->kernel_h, l->kernel_w);
        break;
    default:
        break;
    }
    msfl_put_text(b, "}\n");
}

msfl_status nn_arch_yaml(const nn_arch *arch, char **yaml) {
    *yaml = NULL;
    msfl_buffer b = {0};
    msfl_put_text(&b, "name: \"%s\"\ninput: {", arch->name);
    if (arch->is_volume) msfl_put_text(&b, "depth: %u, ", arch->input.d);
    msfl_put_text(&b, "height: %u, width: %u, channels: %u}\nclasses: %u\nlayers:\n", arch->input.h, arch->input.w,
                  arch->input.c, arch->n_classes);
    for (uint32_t i = 0; i < arch->n_layers; i++)
        put_layer(&b, &arch->layers[i], arch->is_volume, i + 1 == arch->n_layers);
    msfl_status status = b.status;
    if (status == MSFL_OK && b.length > NN_YAML_BYTES_MAX) {
        status = msfl_fail(MSFL_ERR_LIMIT, "%s: the description has %zu bytes written out; at most %d are possible",
                           arch->name, b.length, NN_YAML_BYTES_MAX);
    }
    if (status == MSFL_OK) {
        *yaml = msfl_strndup((const char *)b.bytes, b.length);
        if (*yaml == NULL) status = MSFL_ERR_MEMORY;
    }
    msfl_buffer_clear(&b);
    return status;
}
