/* A slow twin of the network engine: the same layers in double precision, written as the formulas say it, with
 * nothing shared but the resolved description. For small networks. */
#ifndef TEST_NN_TWIN_H
#define TEST_NN_TWIN_H

#include "nn/arch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct twin {
    const nn_arch *arch;
    const double *weights;
    size_t n; /* images */
} twin;

static inline size_t twin_volume(nn_shape s) {
    return (size_t)s.d * s.h * s.w * s.c;
}

static inline const double *twin_tensor(const twin *t, const nn_layer *l, uint32_t k) {
    return t->weights + t->arch->tensors[l->first_tensor + k].offset;
}

static inline double *twin_at(double *x, nn_shape s, size_t i, int64_t z, int64_t y, int64_t xx, size_t c) {
    return x + (((i * s.d + (size_t)z) * s.h + (size_t)y) * s.w + (size_t)xx) * s.c + c;
}

/* Voxel number `v` of a box of sides d, h, w (d does not matter), in reading order. */
static inline void twin_place(int64_t v, int64_t h, int64_t w, int64_t at[3]) {
    at[0] = v / w / h;
    at[1] = v / w % h;
    at[2] = v % w;
}

static inline void twin_conv(const twin *t, const nn_layer *l, double *x, double *y) {
    const double *kernel = twin_tensor(t, l, 0);
    int64_t o[3], k[3], n_out = (int64_t)l->out.d * l->out.h * l->out.w;
    int64_t n_kernel = (int64_t)l->kernel_d * l->kernel_h * l->kernel_w;
    for (size_t i = 0; i < t->n; i++) {
        for (int64_t p = 0; p < n_out; p++) {
            twin_place(p, l->out.h, l->out.w, o);
            for (size_t f = 0; f < l->out.c; f++) {
                double sum = l->bias ? twin_tensor(t, l, 1)[f] : 0.0;
                for (int64_t q = 0; q < n_kernel; q++) {
                    twin_place(q, l->kernel_h, l->kernel_w, k);
                    int64_t z = o[0] * l->stride_d + k[0] - l->pad_front;
                    int64_t v = o[1] * l->stride_h + k[1] - l->pad_top, u = o[2] * l->stride_w + k[2] - l->pad_left;
                    if (z < 0 || v < 0 || u < 0 || z >= l->in.d || v >= l->in.h || u >= l->in.w) continue;
                    for (size_t c = 0; c < l->in.c; c++)
                        sum += *twin_at(x, l->in, i, z, v, u, c) * kernel[((size_t)q * l->in.c + c) * l->out.c + f];
                }
                *twin_at(y, l->out, i, o[0], o[1], o[2], f) = sum;
            }
        }
    }
}

static inline void twin_pool(const twin *t, const nn_layer *l, double *x, double *y) {
    bool whole = l->kind == NN_GLOBAL_AVG_POOL;
    int64_t kd = whole ? l->in.d : l->kernel_d, kh = whole ? l->in.h : l->kernel_h, kw = whole ? l->in.w : l->kernel_w;
    int64_t o[3], k[3], n_out = (int64_t)l->out.d * l->out.h * l->out.w;
    for (size_t i = 0; i < t->n; i++) {
        for (int64_t p = 0; p < n_out; p++) {
            twin_place(p, l->out.h, l->out.w, o);
            for (size_t c = 0; c < l->in.c; c++) {
                double most = -INFINITY, sum = 0.0;
                for (int64_t q = 0; q < kd * kh * kw; q++) {
                    twin_place(q, kh, kw, k);
                    double v = *twin_at(x, l->in, i, o[0] * l->stride_d + k[0], o[1] * l->stride_h + k[1],
                                        o[2] * l->stride_w + k[2], c);
                    most = v > most ? v : most;
                    sum += v;
                }
                *twin_at(y, l->out, i, o[0], o[1], o[2], c) =
                    l->kind == NN_MAX_POOL ? most : sum / (double)(kd * kh * kw);
            }
        }
    }
}

/* Over the images first to last, channels from to to (exclusive). */
static inline void twin_normalise(const twin *t, const nn_layer *l, double *x, double *y, size_t first, size_t last,
                                  size_t from, size_t to) {
    double n = 0.0, mean = 0.0, variance = 0.0;
    for (int pass = 0; pass < 3; pass++) {
        size_t voxels = (size_t)l->in.d * l->in.h * l->in.w;
        for (size_t p = first * voxels; p < last * voxels; p++) {
            for (size_t c = from; c < to; c++) {
                double v = x[p * l->in.c + c];
                if (pass == 0) mean += v, n += 1.0;
                if (pass == 1) variance += (v - mean) * (v - mean);
                if (pass == 2) {
                    y[p * l->in.c + c] =
                        (v - mean) / sqrt(variance + l->epsilon) * twin_tensor(t, l, 0)[c] + twin_tensor(t, l, 1)[c];
                }
            }
        }
        if (pass == 0) mean /= n;
        if (pass == 1) variance /= n;
    }
}

static inline void twin_layer(const twin *t, const nn_layer *l, double *x, const double *other, double *y) {
    size_t size = t->n * twin_volume(l->out);
    switch (l->kind) {
    case NN_CONV:
        twin_conv(t, l, x, y);
        break;
    case NN_DENSE:
        for (size_t i = 0; i < t->n; i++) {
            for (size_t o = 0; o < l->out.c; o++) {
                double sum = l->bias ? twin_tensor(t, l, 1)[o] : 0.0;
                for (size_t c = 0; c < l->in.c; c++)
                    sum += x[i * l->in.c + c] * twin_tensor(t, l, 0)[c * l->out.c + o];
                y[i * l->out.c + o] = sum;
            }
        }
        break;
    case NN_MAX_POOL:
    case NN_AVG_POOL:
    case NN_GLOBAL_AVG_POOL:
        twin_pool(t, l, x, y);
        break;
    case NN_BATCH_NORM:
        for (size_t c = 0; c < l->in.c; c++)
            twin_normalise(t, l, x, y, 0, t->n, c, c + 1);
        break;
    case NN_GROUP_NORM:
        for (size_t i = 0; i < t->n; i++) {
            for (size_t g = 0; g < l->groups; g++) {
                size_t width = l->in.c / l->groups;
                twin_normalise(t, l, x, y, i, i + 1, g * width, (g + 1) * width);
            }
        }
        break;
    case NN_ADD:
        for (size_t i = 0; i < size; i++)
            y[i] = x[i] + other[i];
        break;
    case NN_CONCAT:
        for (size_t i = 0; i < size; i++) {
            size_t p = i / l->out.c, c = i % l->out.c, rest = l->out.c - l->in.c;
            y[i] = c < l->in.c ? x[p * l->in.c + c] : other[p * rest + c - l->in.c];
        }
        break;
    case NN_UPSAMPLE:
        for (size_t i = 0; i < t->n; i++) {
            for (int64_t p = 0; p < (int64_t)l->out.d * l->out.h * l->out.w; p++) {
                int64_t o[3];
                twin_place(p, l->out.h, l->out.w, o);
                for (uint32_t c = 0; c < l->out.c; c++)
                    *twin_at(y, l->out, i, o[0], o[1], o[2], c) =
                        *twin_at(x, l->in, i, o[0] / l->kernel_d, o[1] / l->kernel_h, o[2] / l->kernel_w, c);
            }
        }
        break;
    default:
        memcpy(y, x, size * sizeof *y);
        break;
    }
    for (size_t i = 0; (l->relu || l->kind == NN_RELU) && i < size; i++)
        y[i] = y[i] > 0.0 ? y[i] : 0.0;
}

/* What is minimised, as loss.h says it. Labels: n_targets for each image. */
typedef struct twin_wish {
    double focal, dice;
    double weights[8]; /* of classes; all 0: none */
} twin_wish;

static inline double twin_weight(const twin_wish *wish, uint32_t c) {
    double any = 0.0;
    for (int i = 0; i < 8; i++)
        any += wish->weights[i];
    return any > 0.0 ? wish->weights[c] : 1.0;
}

static inline double twin_image_loss(const nn_arch *arch, const twin_wish *wish, const double *z,
                                     const uint32_t *labels) {
    size_t k = arch->n_classes;
    double cross = 0.0, weight = 0.0, dice = 0.0, shared[8] = {0}, both[8] = {0};
    for (size_t x = 0; x < arch->n_targets; x++) {
        double sum = 0.0;
        for (size_t c = 0; c < k; c++)
            sum += exp(z[x * k + c]);
        double p = exp(z[x * k + labels[x]]) / sum, w = twin_weight(wish, labels[x]);
        cross -= w * pow(1.0 - p, wish->focal) * log(p);
        weight += w;
        shared[labels[x]] += p;
        both[labels[x]] += 1.0;
        for (size_t c = 0; c < k; c++)
            both[c] += exp(z[x * k + c]) / sum;
    }
    if (!arch->is_pixelwise) return cross;
    size_t n_there = 0;
    for (size_t c = 1; c < k; c++) {
        bool there = false;
        for (size_t x = 0; x < arch->n_targets; x++)
            there = there || labels[x] == c;
        if (there) dice += (2.0 * shared[c] + 1.0) / (both[c] + 1.0), n_there++;
    }
    return cross / weight + (n_there > 0 ? wish->dice * (1.0 - dice / (double)n_there) : 0.0);
}

/* Mean loss of a batch in training (sum of the images' losses by their number); logits too, when asked for. */
static inline double twin_loss(const nn_arch *arch, const double *weights, const float *images, const uint32_t *labels,
                               size_t n, const twin_wish *wish, double *logits) {
    twin t = {arch, weights, n};
    size_t size = n * twin_volume(arch->input), row = (size_t)arch->n_targets * arch->n_classes;
    double *picture = malloc(size * sizeof *picture), *made[NN_LAYERS_MAX];
    for (size_t i = 0; i < size; i++)
        picture[i] = (double)images[i];
    for (uint32_t k = 0; k < arch->n_layers; k++) {
        const nn_layer *l = &arch->layers[k];
        made[k] = malloc(n * twin_volume(l->out) * sizeof *made[k]);
        double *x = l->sources[0] == NN_IMAGE ? picture : made[l->sources[0]];
        twin_layer(&t, l, x, l->sources[1] == NN_NONE ? NULL : made[l->sources[1]], made[k]);
    }
    const double *z = made[arch->n_layers - 1];
    double loss = 0.0;
    for (size_t i = 0; i < n; i++)
        loss += twin_image_loss(arch, wish, z + i * row, labels + i * arch->n_targets);
    if (logits != NULL) memcpy(logits, z, n * row * sizeof *z);
    for (uint32_t k = 0; k < arch->n_layers; k++)
        free(made[k]);
    free(picture);
    return loss / (double)n;
}

#endif
