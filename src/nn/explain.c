/* Grad-CAM (Selvaraju et al. 2017): where in an image a class was seen. */
#include "base/error.h"
#include "base/mem.h"
#include "nn/trainer.h"

#include <string.h>

/* The last layer whose output still is an image: the nearest to the decision of those that know places. */
static uint32_t target_layer(const nn_arch *arch) {
    for (uint32_t i = arch->n_layers; i-- > 0;) {
        const nn_layer *l = &arch->layers[i];
        if (!l->flat && (uint64_t)l->out.h * l->out.w > 1) return i;
    }
    return arch->n_layers;
}

/* Channels weighted by the mean of their gradients, what is negative left out. Returns the largest value. */
static float weigh(const nn_layer *l, const float *values, const float *gradient, float *small) {
    size_t pixels = (size_t)l->out.h * l->out.w, c = l->out.c;
    float most = 0.0f;
    memset(small, 0, pixels * sizeof *small);
    for (size_t k = 0; k < c; k++) {
        double alpha = 0.0;
        for (size_t p = 0; p < pixels; p++)
            alpha += (double)gradient[p * c + k];
        for (size_t p = 0; p < pixels; p++)
            small[p] += (float)(alpha / (double)pixels) * values[p * c + k];
    }
    for (size_t p = 0; p < pixels; p++) {
        if (!(small[p] > 0.0f)) small[p] = 0.0f;
        if (small[p] > most) most = small[p];
    }
    return most;
}

/* Between the centres of the coarse pixels. */
static void enlarge(const float *small, uint32_t h, uint32_t w, float scale, uint32_t height, uint32_t width,
                    float *map) {
    for (uint32_t y = 0; y < height; y++) {
        float fy = ((float)y + 0.5f) * (float)h / (float)height - 0.5f;
        fy = fy < 0.0f ? 0.0f : fy > (float)(h - 1) ? (float)(h - 1) : fy;
        uint32_t y0 = (uint32_t)fy, y1 = y0 + 1 < h ? y0 + 1 : y0;
        for (uint32_t x = 0; x < width; x++) {
            float fx = ((float)x + 0.5f) * (float)w / (float)width - 0.5f;
            fx = fx < 0.0f ? 0.0f : fx > (float)(w - 1) ? (float)(w - 1) : fx;
            uint32_t x0 = (uint32_t)fx, x1 = x0 + 1 < w ? x0 + 1 : x0;
            float tx = fx - (float)x0, ty = fy - (float)y0;
            float upper = small[y0 * w + x0] + tx * (small[y0 * w + x1] - small[y0 * w + x0]);
            float lower = small[y1 * w + x0] + tx * (small[y1 * w + x1] - small[y1 * w + x0]);
            map[(size_t)y * width + x] = scale * (upper + ty * (lower - upper));
        }
    }
}

msfl_status msfl_explain(msfl_trainer *t, const float *weights, const float *pixels, uint32_t class_index, float *map) {
    const nn_net *net = t->net;
    const nn_arch *arch = net->arch;
    uint32_t target = target_layer(arch);
    memset(map, 0, (size_t)arch->input.h * arch->input.w * sizeof *map);
    if (arch->is_pixelwise || arch->is_volume || target + 1 >= arch->n_layers || class_index >= arch->n_classes) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "%s: there is no map of places for class %u of this network", arch->name,
                         class_index);
    }
    for (uint32_t i = target + 1; i < arch->n_layers; i++) {
        if (arch->layers[i].kind == NN_BATCH_NORM) {
            return msfl_fail(MSFL_ERR_UNSUPPORTED, "%s: layer '%s' normalises by batches behind the last image",
                             arch->name, arch->layers[i].name);
        }
    }
    const nn_layer *l = &arch->layers[target];
    float *workspace = nn_net_workspace_take(t->net), *small = msfl_alloc((size_t)l->out.h * l->out.w, sizeof *small);
    msfl_status status = workspace == NULL || small == NULL ? MSFL_ERR_MEMORY : nn_pack_all(t, weights);
    if (status != MSFL_OK) goto done;
    float *x = workspace + net->input;
    memset(x, 0, net->shard_images * net->ops[0].in * sizeof *x);
    memcpy(x, pixels, net->ops[0].in * sizeof *x);
    nn_run run = {.net = net,
                  .weights = weights,
                  .packed = t->packed,
                  .workspace = workspace,
                  .gradient = t->shard_gradients,
                  .x = x,
                  .n_valid = 1};
    nn_single before = nn_single_enter();
    const float *gradient;
    status = nn_run_explain(&run, class_index, target, &gradient);
    nn_single_leave(before);
    if (status != MSFL_OK) goto done;
    float most = weigh(l, workspace + net->ops[target].y, gradient, small);
    if (most > 0.0f) enlarge(small, l->out.h, l->out.w, 1.0f / most, arch->input.h, arch->input.w, map);
done:
    msfl_free(small);
    nn_net_workspace_give(t->net, workspace);
    return status;
}
