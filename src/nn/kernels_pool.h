/* Pools: the part of kernels.c about them, compiled with it once per instruction set. */
#ifndef MSFL_NN_KERNELS_POOL_H
#define MSFL_NN_KERNELS_POOL_H

#include "nn/kernels.h"
#include "nn/kernels_inline.h"

#include <string.h>

INLINE float larger(float a, float b) {
    return b > a ? b : a;
}

/* 2 x 2 windows side by side: nearly all pools there are. */
INLINE void max_2x2(const nn_pool *p, const float *restrict x, float *restrict y, size_t c) {
    size_t row = (size_t)p->iw * c;
    for (uint32_t oy = 0; oy < p->oh; oy++) {
        const float *a = x + 2 * oy * row, *b = a + row;
        for (uint32_t ox = 0; ox < p->ow; ox++, a += 2 * c, b += 2 * c, y += c) {
            for (size_t k = 0; k < c; k++)
                y[k] = larger(larger(larger(a[k], a[k + c]), b[k]), b[k + c]);
        }
    }
}

/* Number of windows, where the first value of window `o` stands, and how far behind it that of voxel `w` of the window
 * in reading order. */
INLINE size_t windows(const nn_pool *p) {
    return (size_t)p->od * p->oh * p->ow;
}

INLINE size_t window_at(const nn_pool *p, size_t o) {
    size_t ox = o % p->ow, oy = o / p->ow % p->oh, oz = o / p->ow / p->oh;
    return ((oz * p->sd * p->ih + oy * p->sh) * p->iw + ox * p->sw) * p->c;
}

INLINE size_t in_window(const nn_pool *p, uint32_t w) {
    uint32_t row = w / p->kw, z = row / p->kh;
    return (((size_t)z * p->ih + row % p->kh) * p->iw + w % p->kw) * p->c;
}

INLINE uint32_t window_size(const nn_pool *p) {
    return p->kd * p->kh * p->kw;
}

static void max_any(const nn_pool *p, const float *restrict x, float *restrict y) {
    size_t c = p->c, n = windows(p);
    for (size_t o = 0; o < n; o++, y += c) {
        const float *first = x + window_at(p, o);
        for (uint32_t w = 0; w < window_size(p); w++) {
            const float *v = first + in_window(p, w);
            for (size_t k = 0; k < c; k++)
                y[k] = w == 0 ? v[k] : larger(y[k], v[k]);
        }
    }
}

static bool is_2x2(const nn_pool *p) {
    return p->kd == 1 && p->sd == 1 && p->id == 1 && p->kh == 2 && p->kw == 2 && p->sh == 2 && p->sw == 2;
}

static bool is_2x2x2(const nn_pool *p) {
    return p->kd == 2 && p->kh == 2 && p->kw == 2 && p->sd == 2 && p->sh == 2 && p->sw == 2;
}

/* Places of a 2 x 2 x 2 window's voxels from its first, in reading order. */
INLINE void corners(const nn_pool *p, size_t c, size_t at[8]) {
    size_t row = (size_t)p->iw * c, slice = p->ih * row;
    for (size_t w = 0; w < 8; w++)
        at[w] = (w & 1) * c + (w >> 1 & 1) * row + (w >> 2) * slice;
}

INLINE void max_2x2x2(const nn_pool *p, const float *restrict x, float *restrict y, size_t c) {
    size_t row = (size_t)p->iw * c, slice = p->ih * row, at[8];
    corners(p, c, at);
    for (uint32_t oz = 0; oz < p->od; oz++) {
        for (uint32_t oy = 0; oy < p->oh; oy++) {
            const float *v = x + 2 * oz * slice + 2 * oy * row;
            for (uint32_t ox = 0; ox < p->ow; ox++, v += 2 * c, y += c) {
                for (size_t k = 0; k < c; k++) {
                    float top = v[k];
                    for (size_t w = 1; w < 8; w++)
                        top = larger(top, v[at[w] + k]);
                    y[k] = top;
                }
            }
        }
    }
}

static void max_pool(const nn_pool *p, const float *x, float *y) {
    if (is_2x2x2(p)) {
        WITH_CONSTANT(p->c, max_2x2x2(p, x, y, C))
    } else if (is_2x2(p)) {
        WITH_CONSTANT(p->c, max_2x2(p, x, y, C))
    } else {
        max_any(p, x, y);
    }
}

/* The gradient goes to the first of equal values, in reading order, as in other engines. */
INLINE void max_2x2_backward(const nn_pool *p, const float *restrict x, const float *restrict y,
                             const float *restrict dy, float *restrict dx, bool with_relu, size_t c) {
    size_t row = (size_t)p->iw * c;
    for (uint32_t oy = 0; oy < p->oh; oy++) {
        const float *a = x + 2 * oy * row, *b = a + row;
        float *da = dx + 2 * oy * row, *db = da + row;
        for (uint32_t ox = 0; ox < p->ow; ox++, a += 2 * c, b += 2 * c, da += 2 * c, db += 2 * c, y += c, dy += c) {
            for (size_t k = 0; k < c; k++) {
                float top = y[k];
                float g = !with_relu || top > 0.0f ? dy[k] : 0.0f;
                float g0 = a[k] == top ? g : 0.0f;
                float r0 = a[k] == top ? 0.0f : g;
                float g1 = a[k + c] == top ? r0 : 0.0f;
                float r1 = a[k + c] == top ? 0.0f : r0;
                float g2 = b[k] == top ? r1 : 0.0f;
                float r2 = b[k] == top ? 0.0f : r1;
                da[k] = g0;
                da[k + c] = g1;
                db[k] = g2;
                db[k + c] = r2;
            }
        }
        /* An odd last column is in no window; da and db have come to where it begins. */
        for (size_t k = 0; k < row - 2 * (size_t)p->ow * c; k++)
            da[k] = db[k] = 0.0f;
    }
    if (2 * p->oh < p->ih) memset(dx + 2 * p->oh * row, 0, (p->ih - 2 * p->oh) * row * sizeof *dx);
}

static void max_any_backward(const nn_pool *p, const float *restrict x, const float *restrict y,
                             const float *restrict dy, float *restrict dx, bool with_relu) {
    size_t c = p->c, n = windows(p);
    memset(dx, 0, (size_t)p->id * p->ih * p->iw * c * sizeof *dx);
    for (size_t o = 0; o < n; o++, y += c, dy += c) {
        size_t first = window_at(p, o);
        for (size_t k = 0; k < c; k++) {
            if (with_relu && !(y[k] > 0.0f)) continue;
            size_t at = 0;
            for (uint32_t w = window_size(p); w-- > 0;) {
                size_t there = first + in_window(p, w) + k;
                if (x[there] == y[k]) at = there;
            }
            dx[at] += dy[k];
        }
    }
}

/* Every voxel is in one window, or, where a side is odd, in none: what is in none is zeroed first. */
INLINE void max_2x2x2_backward(const nn_pool *p, const float *restrict x, const float *restrict y,
                               const float *restrict dy, float *restrict dx, bool with_relu, size_t c) {
    size_t row = (size_t)p->iw * c, slice = p->ih * row, at[8];
    if (2 * p->od < p->id || 2 * p->oh < p->ih || 2 * p->ow < p->iw) memset(dx, 0, p->id * slice * sizeof *dx);
    corners(p, c, at);
    for (uint32_t oz = 0; oz < p->od; oz++) {
        for (uint32_t oy = 0; oy < p->oh; oy++) {
            size_t first = 2 * oz * slice + 2 * oy * row;
            for (uint32_t ox = 0; ox < p->ow; ox++, first += 2 * c, y += c, dy += c) {
                const float *v = x + first;
                float *d = dx + first;
                for (size_t k = 0; k < c; k++) {
                    float top = y[k], left = !with_relu || top > 0.0f ? dy[k] : 0.0f;
                    for (size_t w = 0; w < 8; w++) {
                        bool hit = v[at[w] + k] == top;
                        d[at[w] + k] = hit ? left : 0.0f;
                        left = hit ? 0.0f : left;
                    }
                }
            }
        }
    }
}

static void max_pool_backward(const nn_pool *p, const float *x, const float *y, const float *dy, float *dx,
                              bool with_relu) {
    if (is_2x2x2(p)) {
        WITH_CONSTANT(p->c, max_2x2x2_backward(p, x, y, dy, dx, with_relu, C))
    } else if (!is_2x2(p)) {
        max_any_backward(p, x, y, dy, dx, with_relu);
    } else if (with_relu) {
        WITH_CONSTANT(p->c, max_2x2_backward(p, x, y, dy, dx, true, C))
    } else {
        WITH_CONSTANT(p->c, max_2x2_backward(p, x, y, dy, dx, false, C))
    }
}

static void avg_pool(const nn_pool *p, const float *restrict x, float *restrict y) {
    size_t c = p->c, n = windows(p);
    float share = 1.0f / (float)window_size(p);
    for (size_t o = 0; o < n; o++, y += c) {
        const float *first = x + window_at(p, o);
        memset(y, 0, c * sizeof *y);
        for (uint32_t w = 0; w < window_size(p); w++) {
            const float *v = first + in_window(p, w);
            for (size_t k = 0; k < c; k++)
                y[k] += v[k];
        }
        for (size_t k = 0; k < c; k++)
            y[k] *= share;
    }
}

static void avg_pool_backward(const nn_pool *p, const float *restrict dy, float *restrict dx) {
    size_t c = p->c, n = windows(p);
    float share = 1.0f / (float)window_size(p);
    memset(dx, 0, (size_t)p->id * p->ih * p->iw * c * sizeof *dx);
    for (size_t o = 0; o < n; o++, dy += c) {
        float *first = dx + window_at(p, o);
        for (uint32_t w = 0; w < window_size(p); w++) {
            float *d = first + in_window(p, w);
            for (size_t k = 0; k < c; k++)
                d[k] += dy[k] * share;
        }
    }
}

#endif
