/* Compiled once per instruction set: NN_TABLE is the name of the table, NN_TABLE_NAME its text. */
#include "nn/kernels.h"
#include "nn/kernels_inline.h"
#include "nn/kernels_pool.h"

#include <math.h>
#include <string.h>

extern const nn_kernels NN_TABLE;

enum { TILES_IN_FLOAT = 64 };

static void relu_backward(float *restrict dy, const float *restrict y, size_t n) {
    for (size_t i = 0; i < n; i++)
        dy[i] = y[i] > 0.0f ? dy[i] : 0.0f;
}

static void relu(float *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] < 0.0f ? 0.0f : x[i];
}

static void add(float *restrict sum, const float *restrict x, size_t n) {
    for (size_t i = 0; i < n; i++)
        sum[i] += x[i];
}

static void add2(float *restrict y, const float *a, const float *b, size_t n, bool with_relu) {
    for (size_t i = 0; i < n; i++) {
        float v = a[i] + b[i];
        y[i] = with_relu && v < 0.0f ? 0.0f : v;
    }
}

static bool all_finite(const float *x, size_t n) {
    uint32_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        bad |= (bits & 0x7f800000u) == 0x7f800000u;
    }
    return bad == 0;
}

/* --- norms --- */

INLINE void moments_tile(const float *restrict x, const float *restrict pivot, float *restrict f1, float *restrict f2,
                         size_t n) {
    for (size_t k = 0; k < n; k++) {
        float d = x[k] - pivot[k];
        f1[k] += d;
        f2[k] += d * d;
    }
}

static void flush(double *restrict s, float *restrict f, size_t tile) {
    for (size_t k = 0; k < tile; k++) {
        s[k] += (double)f[k];
        f[k] = 0.0f;
    }
}

static void moments(const float *x, size_t n, size_t tile, const float *pivot, double *s1, double *s2, float *scratch) {
    float *f1 = scratch, *f2 = scratch + tile;
    memset(scratch, 0, 2 * tile * sizeof *scratch);
    memset(s1, 0, tile * sizeof *s1);
    memset(s2, 0, tile * sizeof *s2);
    for (size_t done = 0; done < n;) {
        for (int t = 0; t < TILES_IN_FLOAT && done < n; t++) {
            size_t length = n - done < tile ? n - done : tile;
            WITH_CONSTANT(length, moments_tile(x + done, pivot, f1, f2, C))
            done += length;
        }
        flush(s1, f1, tile);
        flush(s2, f2, tile);
    }
}

INLINE void affine_tile(const float *restrict x, float *restrict y, const float *restrict scale,
                        const float *restrict shift, bool with_relu, size_t n) {
    for (size_t k = 0; k < n; k++) {
        float v = x[k] * scale[k] + shift[k];
        y[k] = with_relu && v < 0.0f ? 0.0f : v;
    }
}

static void affine(const float *x, float *y, size_t n, size_t tile, const float *scale, const float *shift,
                   bool with_relu) {
    for (size_t done = 0; done < n; done += tile) {
        size_t length = n - done < tile ? n - done : tile;
        if (with_relu) {
            WITH_CONSTANT(length, affine_tile(x + done, y + done, scale, shift, true, C))
        } else {
            WITH_CONSTANT(length, affine_tile(x + done, y + done, scale, shift, false, C))
        }
    }
}

INLINE void moments2_tile(const float *restrict x, const float *restrict dy, const float *restrict mean,
                          float *restrict f1, float *restrict f2, size_t n) {
    for (size_t k = 0; k < n; k++) {
        f1[k] += dy[k];
        f2[k] += dy[k] * (x[k] - mean[k]);
    }
}

static void moments2(const float *x, const float *dy, size_t n, size_t tile, const float *mean, double *s1, double *s2,
                     float *scratch) {
    float *f1 = scratch, *f2 = scratch + tile;
    memset(scratch, 0, 2 * tile * sizeof *scratch);
    memset(s1, 0, tile * sizeof *s1);
    memset(s2, 0, tile * sizeof *s2);
    for (size_t done = 0; done < n;) {
        for (int t = 0; t < TILES_IN_FLOAT && done < n; t++) {
            size_t length = n - done < tile ? n - done : tile;
            WITH_CONSTANT(length, moments2_tile(x + done, dy + done, mean, f1, f2, C))
            done += length;
        }
        flush(s1, f1, tile);
        flush(s2, f2, tile);
    }
}

INLINE void affine2_tile(const float *restrict x, const float *dy, float *dx, const float *restrict a,
                         const float *restrict b, const float *restrict c, size_t n) {
    for (size_t k = 0; k < n; k++)
        dx[k] = dy[k] * a[k] + (x[k] * b[k] + c[k]);
}

static void affine2(const float *x, const float *dy, float *dx, size_t n, size_t tile, const float *a, const float *b,
                    const float *c) {
    for (size_t done = 0; done < n; done += tile) {
        size_t length = n - done < tile ? n - done : tile;
        WITH_CONSTANT(length, affine2_tile(x + done, dy + done, dx + done, a, b, c, C))
    }
}

/* --- optimisers --- */

static void sgd(float *restrict w, float *restrict v, const float *restrict g, size_t n, float rate, float momentum,
                float decay) {
    for (size_t i = 0; i < n; i++) {
        v[i] = momentum * v[i] + (g[i] + decay * w[i]);
        w[i] -= rate * v[i];
    }
}

static void adam(float *restrict w, float *restrict m, float *restrict v, const float *restrict g, size_t n, float step,
                 float inverse, float beta1, float beta2, float epsilon, float shrink) {
    float rest1 = 1.0f - beta1, rest2 = 1.0f - beta2;
    for (size_t i = 0; i < n; i++) {
        m[i] = beta1 * m[i] + rest1 * g[i];
        v[i] = beta2 * v[i] + rest2 * (g[i] * g[i]);
        w[i] = w[i] * shrink - step * (m[i] / (sqrtf(v[i]) * inverse + epsilon));
    }
}

const nn_kernels NN_TABLE = {.name = NN_TABLE_NAME,
                             .relu_backward = relu_backward,
                             .relu = relu,
                             .add = add,
                             .add2 = add2,
                             .all_finite = all_finite,
                             .moments = moments,
                             .affine = affine,
                             .moments2 = moments2,
                             .affine2 = affine2,
                             .max_pool = max_pool,
                             .max_pool_backward = max_pool_backward,
                             .avg_pool = avg_pool,
                             .avg_pool_backward = avg_pool_backward,
                             .sgd = sgd,
                             .adam = adam};
