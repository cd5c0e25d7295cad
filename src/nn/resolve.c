/* Shapes and tensors of an architecture. */
#include "nn/arch.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

msfl_status nn_arch_adapt(const char *name, nn_arch *arch, uint32_t depth, uint32_t height, uint32_t width,
                          uint32_t channels, uint32_t n_classes) {
    if (depth != 0 && (depth > 1) != arch->is_volume) {
        return msfl_fail(MSFL_ERR_MISMATCH, "%s is a network for %s, and these are %s; %s", name,
                         arch->is_volume ? "volumes" : "pictures", arch->is_volume ? "pictures" : "volumes",
                         arch->is_volume ? "unet2d and resnet8 are some for pictures" : "unet3d is one for volumes");
    }
    if (depth > NN_SIDE_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: volumes of %u slices; at most %d are possible", name, depth, NN_SIDE_MAX);
    }
    if (height > NN_SIDE_MAX || width > NN_SIDE_MAX || channels > NN_CHANNELS_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: images of %u x %u x %u; at most %d x %d x %d are possible", name, height,
                         width, channels, NN_SIDE_MAX, NN_SIDE_MAX, NN_CHANNELS_MAX);
    }
    if (n_classes == 1 || n_classes > NN_CLASSES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: %u classes; 2 to %d are possible", name, n_classes, NN_CLASSES_MAX);
    }
    if (depth != 0) arch->input.d = depth;
    if (height != 0) arch->input.h = height;
    if (width != 0) arch->input.w = width;
    if (channels != 0) arch->input.c = channels;
    if (n_classes != 0) arch->n_classes = n_classes;
    return MSFL_OK;
}

static msfl_status name_layers(const char *source, nn_arch *arch) {
    uint32_t count[NN_KINDS] = {0};
    for (uint32_t i = 0; i < arch->n_layers; i++) {
        nn_layer *l = &arch->layers[i];
        count[l->kind]++;
        if (l->name[0] == 0) snprintf(l->name, sizeof l->name, "%s%u", nn_kind_words[l->kind], count[l->kind]);
    }
    for (uint32_t i = 0; i < arch->n_layers; i++) {
        const nn_layer *l = &arch->layers[i];
        /* In a Keras file, a norm's ReLU is a layer of its own. */
        char relu_name[NN_NAME_BYTES + 8] = "";
        if (l->relu && l->kind != NN_CONV && l->kind != NN_DENSE) {
            snprintf(relu_name, sizeof relu_name, "%s_relu", l->name);
        }
        for (uint32_t j = 0; j < arch->n_layers; j++) {
            const char *other = arch->layers[j].name;
            if ((j != i && strcmp(other, l->name) == 0) || strcmp(other, relu_name) == 0) {
                return msfl_fail(MSFL_ERR_FORMAT, "%s: two layers are called '%s'; give one another name", source,
                                 other);
            }
        }
    }
    return MSFL_OK;
}

static msfl_status add_tensor(const char *source, nn_arch *arch, nn_layer *l, const char *name, msfl_tensor_role role,
                              uint32_t rank, const uint32_t *shape) {
    if (arch->n_tensors == MSFL_MODEL_TENSORS_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: more than %d tensors", source, MSFL_MODEL_TENSORS_MAX);
    }
    msfl_tensor *t = &arch->tensors[arch->n_tensors];
    *t =
        (msfl_tensor){.layer = l->name, .name = name, .role = role, .rank = rank, .offset = arch->n_values, .count = 1};
    for (uint32_t d = 0; d < rank; d++) {
        t->shape[d] = shape[d];
        t->count *= shape[d]; /* bounds of arch.h: below 2^63 */
        if (t->count > MSFL_MODEL_VALUES_MAX) break;
    }
    if (t->count + arch->n_values > MSFL_MODEL_VALUES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: layer '%s': more than %d values in the whole model", source, l->name,
                         MSFL_MODEL_VALUES_MAX);
    }
    if (l->n_tensors == 0) l->first_tensor = arch->n_tensors;
    l->n_tensors++;
    l->n_values += t->count;
    arch->n_tensors++;
    arch->n_values += t->count;
    if (role == MSFL_TENSOR_WEIGHT) arch->n_trainable += t->count;
    return MSFL_OK;
}

/* One direction of a convolution or pool: output length and padding, as Keras has them. */
static uint32_t window(uint32_t in, uint32_t kernel, uint32_t stride, bool same, uint32_t *before, uint32_t *after) {
    *before = *after = 0;
    if (!same) return in < kernel ? 0 : (in - kernel) / stride + 1;
    uint32_t out = (in + stride - 1) / stride;
    uint32_t covered = (out - 1) * stride + kernel;
    uint32_t pad = covered > in ? covered - in : 0;
    *before = pad / 2;
    *after = pad - pad / 2;
    return out;
}

/* "3x4", or "2x3x4" of volumes. */
static void size_text(char *text, size_t size, const char *times, uint32_t d, uint32_t h, uint32_t w, bool is_volume) {
    if (is_volume) {
        snprintf(text, size, "%u%s%u%s%u", d, times, h, times, w);
    } else {
        snprintf(text, size, "%u%s%u", h, times, w);
    }
}

static msfl_status resolve_window(const char *source, const nn_arch *arch, nn_layer *l) {
    l->out.d = window(l->in.d, l->kernel_d, l->stride_d, l->same, &l->pad_front, &l->pad_back);
    l->out.h = window(l->in.h, l->kernel_h, l->stride_h, l->same, &l->pad_top, &l->pad_bottom);
    l->out.w = window(l->in.w, l->kernel_w, l->stride_w, l->same, &l->pad_left, &l->pad_right);
    if (l->out.d == 0 || l->out.h == 0 || l->out.w == 0) {
        char looks[40], left[40];
        size_text(looks, sizeof looks, " x ", l->kernel_d, l->kernel_h, l->kernel_w, arch->is_volume);
        size_text(left, sizeof left, " x ", l->in.d, l->in.h, l->in.w, arch->is_volume);
        return msfl_fail(MSFL_ERR_MISMATCH,
                         "%s: layer '%s' looks at %s %s, but only %s are left there; use larger images or fewer layers",
                         source, l->name, looks, arch->is_volume ? "voxels" : "pixels", left);
    }
    return MSFL_OK;
}

static msfl_status resolve_conv(const char *source, nn_arch *arch, nn_layer *l) {
    msfl_status status = resolve_window(source, arch, l);
    if (l->filters == 0) l->filters = arch->n_classes;
    l->out.c = l->filters;
    const uint32_t kernel[5] = {l->kernel_d, l->kernel_h, l->kernel_w, l->in.c, l->filters};
    const uint32_t rank = arch->is_volume ? 5 : 4;
    if (status == MSFL_OK) {
        status = add_tensor(source, arch, l, "kernel", MSFL_TENSOR_WEIGHT, rank, kernel + (5 - rank));
    }
    if (status == MSFL_OK && l->bias) status = add_tensor(source, arch, l, "bias", MSFL_TENSOR_WEIGHT, 1, &l->filters);
    return status;
}

static msfl_status resolve_dense(const char *source, nn_arch *arch, nn_layer *l, bool flat) {
    if (!flat) {
        return msfl_fail(MSFL_ERR_MISMATCH, "%s: layer '%s' wants a vector; put flatten or global_avg_pool before it",
                         source, l->name);
    }
    if (l->filters == 0) l->filters = arch->n_classes;
    l->out = (nn_shape){1, 1, 1, l->filters};
    l->flat = true;
    uint32_t kernel[2] = {l->in.c, l->filters};
    msfl_status status = add_tensor(source, arch, l, "kernel", MSFL_TENSOR_WEIGHT, 2, kernel);
    if (status == MSFL_OK && l->bias) status = add_tensor(source, arch, l, "bias", MSFL_TENSOR_WEIGHT, 1, &l->filters);
    return status;
}

static msfl_status resolve_norm(const char *source, nn_arch *arch, nn_layer *l) {
    if (l->kind == NN_GROUP_NORM && l->in.c % l->groups != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "%s: layer '%s': %u channels do not divide into %u groups", source, l->name,
                         l->in.c, l->groups);
    }
    uint32_t *c = &l->in.c;
    msfl_status status = add_tensor(source, arch, l, "gamma", MSFL_TENSOR_WEIGHT, 1, c);
    if (status == MSFL_OK) status = add_tensor(source, arch, l, "beta", MSFL_TENSOR_WEIGHT, 1, c);
    if (l->kind == NN_GROUP_NORM || status != MSFL_OK) return status;
    status = add_tensor(source, arch, l, "moving_mean", MSFL_TENSOR_STATISTIC, 1, c);
    if (status == MSFL_OK) status = add_tensor(source, arch, l, "moving_variance", MSFL_TENSOR_STATISTIC, 1, c);
    return status;
}

static msfl_status resolve_pair(const char *source, const nn_arch *arch, nn_layer *l) {
    const nn_layer *other = &arch->layers[l->sources[1]];
    nn_shape a = l->in, b = other->out;
    bool concat = l->kind == NN_CONCAT;
    if (a.d != b.d || a.h != b.h || a.w != b.w || l->flat != other->flat || (!concat && a.c != b.c)) {
        char mine[40], its[40];
        size_text(mine, sizeof mine, " x ", a.d, a.h, a.w, arch->is_volume);
        size_text(its, sizeof its, " x ", b.d, b.h, b.w, arch->is_volume);
        return msfl_fail(MSFL_ERR_MISMATCH,
                         "%s: layer '%s' cannot join %s x %u with '%s', which is %s x %u; where images were halved and "
                         "doubled again, their sides must divide by two as often",
                         source, l->name, mine, a.c, l->with, its, b.c);
    }
    if (!concat) return MSFL_OK;
    uint32_t most = l->flat ? NN_UNITS_MAX : NN_CHANNELS_MAX;
    if (a.c + b.c > most) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: layer '%s' makes %u channels; at most %u are possible", source, l->name,
                         a.c + b.c, most);
    }
    l->out.c = a.c + b.c;
    return MSFL_OK;
}

static msfl_status resolve_upsample(const char *source, nn_layer *l) {
    if ((uint64_t)l->in.d * l->kernel_d > NN_SIDE_MAX || (uint64_t)l->in.h * l->kernel_h > NN_SIDE_MAX ||
        (uint64_t)l->in.w * l->kernel_w > NN_SIDE_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: layer '%s' makes an image with a side above %d pixels", source, l->name,
                         NN_SIDE_MAX);
    }
    l->out.d = l->in.d * l->kernel_d;
    l->out.h = l->in.h * l->kernel_h;
    l->out.w = l->in.w * l->kernel_w;
    return MSFL_OK;
}

static void describe(const nn_arch *arch, nn_layer *l) {
    char how[96] = "", out[48], values[40] = "", kernel[40], stride[40];
    bool v = arch->is_volume;
    size_text(kernel, sizeof kernel, "x", l->kernel_d, l->kernel_h, l->kernel_w, v);
    size_text(stride, sizeof stride, "x", l->stride_d, l->stride_h, l->stride_w, v);
    switch (l->kind) {
    case NN_ADD:
    case NN_CONCAT:
        snprintf(how, sizeof how, " %s%s", l->with, l->relu ? " relu" : "");
        break;
    case NN_UPSAMPLE:
        snprintf(how, sizeof how, " x %s", kernel);
        break;
    case NN_CONV:
        snprintf(how, sizeof how, " %sx%u%s%s", kernel, l->filters, l->same ? " same" : "", l->relu ? " relu" : "");
        if (l->stride_d != 1 || l->stride_h != 1 || l->stride_w != 1) {
            size_t n = strlen(how);
            snprintf(how + n, sizeof how - n, " / %s", stride);
        }
        break;
    case NN_MAX_POOL:
    case NN_AVG_POOL:
        snprintf(how, sizeof how, " %s / %s", kernel, stride);
        break;
    case NN_GROUP_NORM:
        snprintf(how, sizeof how, " in %u groups%s", l->groups, l->relu ? " relu" : "");
        break;
    case NN_DROPOUT:
        snprintf(how, sizeof how, " %g", l->rate);
        break;
    default:
        snprintf(how, sizeof how, "%s", l->relu ? " relu" : "");
    }
    if (l->flat) {
        snprintf(out, sizeof out, "%u", l->out.c);
    } else {
        char size[40];
        size_text(size, sizeof size, "x", l->out.d, l->out.h, l->out.w, v);
        snprintf(out, sizeof out, "%sx%u", size, l->out.c);
    }
    if (l->n_values != 0) snprintf(values, sizeof values, ", %llu values", (unsigned long long)l->n_values);
    snprintf(l->text, sizeof l->text, "%s%s%s%s -> %s%s", nn_kind_words[l->kind], l->from[0] != 0 ? " of " : "",
             l->from, how, out, values);
}

/* Products of four sides of up to 4096 to 8192 stay below 2^49 until the last. */
static bool too_large(nn_shape s) {
    return (uint64_t)s.d * s.h * s.w > NN_ACTIVATION_VALUES_MAX || nn_shape_values(s) > NN_ACTIVATION_VALUES_MAX;
}

static msfl_status resolve_layer(const char *source, nn_arch *arch, nn_layer *l, nn_shape in, bool flat) {
    l->in = l->out = in;
    l->flat = flat;
    l->first_tensor = l->n_tensors = 0;
    l->n_values = 0;
    uint64_t length = nn_shape_values(in);
    msfl_status status = MSFL_OK;
    switch (l->kind) {
    case NN_CONV:
    case NN_MAX_POOL:
    case NN_AVG_POOL:
    case NN_UPSAMPLE:
        if (flat) {
            return msfl_fail(MSFL_ERR_MISMATCH, "%s: layer '%s' wants an image, but comes after one that made a vector",
                             source, l->name);
        }
        status = l->kind == NN_CONV       ? resolve_conv(source, arch, l)
                 : l->kind == NN_UPSAMPLE ? resolve_upsample(source, l)
                                          : resolve_window(source, arch, l);
        break;
    case NN_ADD:
    case NN_CONCAT:
        status = resolve_pair(source, arch, l);
        break;
    case NN_DENSE:
        status = resolve_dense(source, arch, l, flat);
        break;
    case NN_GLOBAL_AVG_POOL:
        l->out = (nn_shape){1, 1, 1, in.c};
        l->flat = true;
        break;
    case NN_FLATTEN:
        if (length > NN_UNITS_MAX) {
            return msfl_fail(MSFL_ERR_LIMIT, "%s: layer '%s' makes a vector of %llu values; at most %d are possible",
                             source, l->name, (unsigned long long)length, NN_UNITS_MAX);
        }
        l->out = (nn_shape){1, 1, 1, (uint32_t)length};
        l->flat = true;
        break;
    case NN_BATCH_NORM:
    case NN_GROUP_NORM:
        status = resolve_norm(source, arch, l);
        break;
    default: /* dropout, relu: shape and weights as before */
        break;
    }
    if (status == MSFL_OK && too_large(l->out)) {
        status = msfl_fail(MSFL_ERR_LIMIT, "%s: layer '%s' makes more than %d values from one image", source, l->name,
                           NN_ACTIVATION_VALUES_MAX);
    }
    if (status == MSFL_OK) describe(arch, l);
    return status;
}

/* A layer before `i` by name. */
static msfl_status find_layer(const char *source, const nn_arch *arch, uint32_t i, const char *name, int32_t *out) {
    for (uint32_t j = 0; j < i; j++) {
        if (strcmp(arch->layers[j].name, name) != 0) continue;
        *out = (int32_t)j;
        return MSFL_OK;
    }
    return msfl_fail(MSFL_ERR_FORMAT, "%s: layer '%s' refers to '%s', and no layer before it is called so", source,
                     arch->layers[i].name, name);
}

/* Who reads whom; everything that is made must be read. */
static msfl_status connect(const char *source, nn_arch *arch) {
    bool read[NN_LAYERS_MAX] = {false};
    msfl_status status = MSFL_OK;
    arch->is_graph = false;
    for (uint32_t i = 0; i < arch->n_layers && status == MSFL_OK; i++) {
        nn_layer *l = &arch->layers[i];
        l->sources[0] = (int32_t)i - 1; /* NN_IMAGE for the first */
        l->sources[1] = NN_NONE;
        if (l->from[0] != 0) status = find_layer(source, arch, i, l->from, &l->sources[0]);
        if (l->sources[0] == (int32_t)i - 1) l->from[0] = 0; /* the canonical form does not say what goes without */
        if (status == MSFL_OK && l->with[0] != 0) status = find_layer(source, arch, i, l->with, &l->sources[1]);
        for (int k = 0; k < 2 && status == MSFL_OK; k++) {
            if (l->sources[k] >= 0) read[l->sources[k]] = true;
        }
        arch->is_graph = arch->is_graph || l->from[0] != 0 || l->with[0] != 0;
    }
    for (uint32_t i = 0; i + 1 < arch->n_layers && status == MSFL_OK; i++) {
        if (arch->is_graph && strcmp(arch->layers[i].name, "image") == 0) {
            status = msfl_fail(MSFL_ERR_FORMAT, "%s: no layer of a graph may be called 'image'", source);
        } else if (!read[i]) {
            status = msfl_fail(MSFL_ERR_MISMATCH, "%s: no layer reads what '%s' makes", source, arch->layers[i].name);
        }
    }
    return status;
}

uint32_t nn_arch_reader(const nn_arch *arch, uint32_t i) {
    for (uint32_t j = i + 1; j < arch->n_layers; j++) {
        if (arch->layers[j].sources[0] == (int32_t)i || arch->layers[j].sources[1] == (int32_t)i) return j;
    }
    return arch->n_layers;
}

msfl_status nn_arch_resolve(const char *name, nn_arch *arch) {
    arch->n_tensors = 0;
    arch->n_values = arch->n_trainable = 0;
    if (too_large(arch->input)) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: images of more than %d values", name, NN_ACTIVATION_VALUES_MAX);
    }
    msfl_status status = name_layers(name, arch);
    if (status == MSFL_OK) status = connect(name, arch);
    for (uint32_t i = 0; i < arch->n_layers && status == MSFL_OK; i++) {
        nn_layer *l = &arch->layers[i];
        const nn_layer *before = l->sources[0] < 0 ? NULL : &arch->layers[l->sources[0]];
        status =
            resolve_layer(name, arch, l, before == NULL ? arch->input : before->out, before != NULL && before->flat);
    }
    if (status != MSFL_OK) return status;
    const nn_layer *last = arch->n_layers == 0 ? NULL : &arch->layers[arch->n_layers - 1];
    if (last == NULL || (last->kind != NN_DENSE && last->kind != NN_CONV) || last->relu) {
        return msfl_fail(
            MSFL_ERR_MISMATCH,
            "%s: the last layer must be 'dense: {units: classes}' or, for a class per pixel, 'conv: {filters: classes, "
            "...}', without activation; softmax is applied to what it gives",
            name);
    }
    arch->is_pixelwise = last->kind == NN_CONV;
    arch->n_targets = arch->is_pixelwise ? last->out.d * last->out.h * last->out.w : 1;
    if (arch->is_pixelwise &&
        (last->out.d != arch->input.d || last->out.h != arch->input.h || last->out.w != arch->input.w)) {
        char given[40], there[40];
        size_text(given, sizeof given, " x ", last->out.d, last->out.h, last->out.w, arch->is_volume);
        size_text(there, sizeof there, " x ", arch->input.d, arch->input.h, arch->input.w, arch->is_volume);
        return msfl_fail(MSFL_ERR_MISMATCH, "%s: the last layer gives classes to %s %s, the image has %s", name, given,
                         arch->is_volume ? "voxels" : "pixels", there);
    }
    if (arch->is_pixelwise && arch->n_targets > NN_TARGETS_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s: classes for more than %d pixels of an image", name, NN_TARGETS_MAX);
    }
    if (last->filters != arch->n_classes) {
        return msfl_fail(MSFL_ERR_MISMATCH,
                         "%s: the last layer has %u %s, but there are %u classes; write '%s: "
                         "classes'",
                         name, last->filters, arch->is_pixelwise ? "filters" : "units", arch->n_classes,
                         arch->is_pixelwise ? "filters" : "units");
    }
    return MSFL_OK;
}
