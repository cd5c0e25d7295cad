/* The element-wise inner loops, compiled once per instruction set from one source (kernels.c), so that every table
 * gives the same bits: lanes never mix, and no sum changes its order with the width of a register. */
#ifndef MSFL_NN_KERNELS_H
#define MSFL_NN_KERNELS_H

#include "medsecurefl/common.h"

/** A pool: per image id x ih x iw x c -> od x oh x ow x c, windows inside the image. Of pictures the depths (and kd,
 * sd) are 1. */
typedef struct nn_pool {
    uint32_t id, ih, iw, od, oh, ow, c, kd, kh, kw, sd, sh, sw;
} nn_pool;

/**
 * Values of images in NHWC are one long array with period c. The norm kernels walk it in tiles of `tile` floats, the
 * smallest multiple of c that is at least 64 (nn_tile): per-channel constants come repeated to that length, and sums
 * are kept per tile position, in float for 64 tiles and in double beyond.
 */
typedef struct nn_kernels {
    const char *name;
    /** dy[i] = y[i] > 0 ? dy[i] : 0 */
    void (*relu_backward)(float *dy, const float *y, size_t n);
    /** y[i] = x[i] < 0 ? 0 : x[i]: NaN stays NaN, so that it is found. */
    void (*relu)(float *y, const float *x, size_t n);
    /** sum[i] += x[i] */
    void (*add)(float *sum, const float *x, size_t n);
    /** y[i] = a[i] + b[i], then ReLU if asked */
    void (*add2)(float *y, const float *a, const float *b, size_t n, bool relu);
    /** No NaN, no infinity. */
    bool (*all_finite)(const float *x, size_t n);
    /** s1[k] = sum (x - pivot[k]), s2[k] = sum (x - pivot[k])^2 over tile positions k. */
    void (*moments)(const float *x, size_t n, size_t tile, const float *pivot, double *s1, double *s2, float *scratch);
    /** y = x scale + shift, then ReLU if asked. */
    void (*affine)(const float *x, float *y, size_t n, size_t tile, const float *scale, const float *shift, bool relu);
    /** s1[k] = sum dy, s2[k] = sum dy (x - mean[k]). */
    void (*moments2)(const float *x, const float *dy, size_t n, size_t tile, const float *mean, double *s1, double *s2,
                     float *scratch);
    /** dx = dy a + x b + c; dx may be dy. */
    void (*affine2)(const float *x, const float *dy, float *dx, size_t n, size_t tile, const float *a, const float *b,
                    const float *c);
    /** Largest value of each window. */
    void (*max_pool)(const nn_pool *p, const float *x, float *y);
    /** dx gets dy where x is the first largest value of its window; with `relu`, only where that is > 0. */
    void (*max_pool_backward)(const nn_pool *p, const float *x, const float *y, const float *dy, float *dx, bool relu);
    void (*avg_pool)(const nn_pool *p, const float *x, float *y);
    void (*avg_pool_backward)(const nn_pool *p, const float *dy, float *dx);
    /** v = momentum v + (g + decay w); w -= rate v */
    void (*sgd)(float *w, float *v, const float *g, size_t n, float rate, float momentum, float decay);
    /** Adam with decoupled decay: w -= rate decay w; m, v moving means; w -= step m / (sqrt(v) inverse + epsilon) */
    void (*adam)(float *w, float *m, float *v, const float *g, size_t n, float step, float inverse, float beta1,
                 float beta2, float epsilon, float shrink);
} nn_kernels;

static inline size_t nn_tile(size_t c) {
    return c * ((64 + c - 1) / c); /* NOLINT(clang-analyzer-core.DivideZero): c channels, at least one */
}

/** The best table for this processor; the environment variable MSFL_NN_KERNELS (generic, avx2) forces one. */
const nn_kernels *nn_kernels_borrow(void);
/** All tables that run here, for tests; ends with NULL. */
const nn_kernels *const *nn_kernels_all(void);

#endif
