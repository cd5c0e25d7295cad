/* Compiled once per instruction set: NN_TABLE is the name of the table, NN_TABLE_NAME its text. */
#include "nn/kernels.h"

#include <math.h>
#include <string.h>

extern const nn_kernels NN_TABLE;

enum { TILES_IN_FLOAT = 64 };

/* Calls `body` with a constant length where the length is a common one, so that the loop inside is unrolled. */
#define WITH_CONSTANT(c, call)                                                                                         \
    switch (c) {                                                                                                       \
    case 8: {                                                                                                          \
        enum { C = 8 };                                                                                                \
        call;                                                                                                          \
        break;                                                                                                         \
    }                                                                                                                  \
    case 16: {                                                                                                         \
        enum { C = 16 };                                                                                               \
        call;                                                                                                          \
        break;                                                                                                         \
    }                                                                                                                  \
    case 32: {                                                                                                         \
        enum { C = 32 };                                                                                               \
        call;                                                                                                          \
        break;                                                                                                         \
    }                                                                                                                  \
    case 64: {                                                                                                         \
        enum { C = 64 };                                                                                               \
        call;                                                                                                          \
        break;                                                                                                         \
    }                                                                                                                  \
    default: {                                                                                                         \
        size_t C = (c);                                                                                                \
        call;                                                                                                          \
        break;                                                                                                         \
    }                                                                                                                  \
    }
#define INLINE static inline __attribute__((always_inline))

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

/* --- pools --- */

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
        for (uint32_t w = 0; w < window_size(p); w++)
            add(y, first + in_window(p, w), c);
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
