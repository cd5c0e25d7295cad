#include "medsecurefl/segmentation.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/seeded.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct volume {
    uint32_t n[3];
    double spacing[3];
    size_t size;
} volume;

/* --- surfaces --- */

static bool has_class(const uint8_t *labels, size_t at, uint32_t class_index) {
    return labels[at] == class_index;
}

/* 1 on the surface, else 0; returns how many there are. */
static size_t surface(const volume *v, const uint8_t *labels, uint32_t class_index, uint8_t *out) {
    size_t strides[3] = {(size_t)v->n[1] * v->n[2], v->n[2], 1}, count = 0;
    for (size_t at = 0; at < v->size; at++) {
        uint32_t place[3] = {(uint32_t)(at / strides[0]), (uint32_t)(at / strides[1]) % v->n[1],
                             (uint32_t)(at % v->n[2])};
        bool inside = has_class(labels, at, class_index), edge = false;
        for (int d = v->n[0] == 1 ? 1 : 0; d < 3 && inside && !edge; d++) {
            edge = place[d] == 0 || place[d] + 1 == v->n[d] || !has_class(labels, at - strides[d], class_index) ||
                   !has_class(labels, at + strides[d], class_index);
        }
        out[at] = edge;
        count += edge;
    }
    return count;
}

/* --- squared distances: one axis after the other, each the lower envelope of parabolas --- */

typedef struct line {
    double *f, *crossing; /* values; from where on parabola k is the lowest: n and n + 1 */
    uint32_t *apex;
} line;

static void transform_line(double *values, size_t stride, uint32_t n, double spacing, line *l) {
    double unit = spacing * spacing;
    uint32_t k = 0;
    bool any = false;
    for (uint32_t i = 0; i < n; i++)
        l->f[i] = values[i * stride];
    for (uint32_t i = 0; i < n; i++) {
        if (isinf(l->f[i])) continue;
        if (!any) {
            any = true;
            l->apex[0] = i;
            l->crossing[0] = -INFINITY;
            continue;
        }
        double at;
        for (;;) {
            double j = l->apex[k];
            at = (l->f[i] / unit + (double)i * i - (l->f[l->apex[k]] / unit + j * j)) / (2.0 * ((double)i - j));
            if (at > l->crossing[k] || k == 0) break;
            k--;
        }
        /* The first parabola begins at minus infinity, so `at` is always right of it. */
        k++;
        l->apex[k] = i;
        l->crossing[k] = at;
    }
    if (!any) return;
    uint32_t last = k, now = 0;
    for (uint32_t i = 0; i < n; i++) {
        while (now < last && l->crossing[now + 1] < i)
            now++;
        double d = (double)i - l->apex[now];
        values[i * stride] = d * d * unit + l->f[l->apex[now]];
    }
}

static void transform(const volume *v, const uint8_t *seeds, double *squares, line *l) {
    size_t strides[3] = {(size_t)v->n[1] * v->n[2], v->n[2], 1};
    for (size_t at = 0; at < v->size; at++)
        squares[at] = seeds[at] ? 0.0 : INFINITY;
    for (int d = 2; d >= 0; d--) {
        if (v->n[d] == 1) continue;
        for (size_t at = 0; at < v->size; at++) {
            if (at / strides[d] % v->n[d] == 0) transform_line(squares + at, strides[d], v->n[d], v->spacing[d], l);
        }
    }
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* `sorted` has at least one value. */
static double percentile(const double *sorted, size_t n, double share) {
    double at = share * (double)(n - 1);
    size_t below = (size_t)at, above = below + 1 < n ? below + 1 : below;
    return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}

/* 95th percentile of the distances from the marked voxels of `from` to those of `to`, of which there are some. */
static double directed(const volume *v, const uint8_t *from, const uint8_t *to, double *squares, double *list,
                       line *l) {
    size_t n = 0;
    transform(v, to, squares, l);
    for (size_t at = 0; at < v->size; at++) {
        if (from[at]) list[n++] = sqrt(squares[at]);
    }
    qsort(list, n, sizeof *list, by_value);
    return percentile(list, n, 0.95);
}

static msfl_status hausdorff(const volume *v, const uint8_t *truth, const uint8_t *found, uint32_t class_index,
                             double *out) {
    uint32_t longest = v->n[0] > v->n[1] ? v->n[0] : v->n[1];
    if (v->n[2] > longest) longest = v->n[2];
    uint8_t *a = msfl_alloc(v->size, 1), *b = msfl_alloc(v->size, 1);
    double *squares = msfl_alloc(v->size, sizeof *squares), *list = NULL;
    line l = {.f = msfl_alloc(longest, sizeof *l.f),
              .crossing = msfl_alloc((size_t)longest + 1, sizeof *l.crossing),
              .apex = msfl_alloc((size_t)longest + 1, sizeof *l.apex)};
    msfl_status status = MSFL_ERR_MEMORY;
    if (a == NULL || b == NULL || squares == NULL || l.f == NULL || l.crossing == NULL || l.apex == NULL) goto done;
    size_t n_a = surface(v, truth, class_index, a), n_b = surface(v, found, class_index, b);
    list = msfl_alloc(n_a > n_b ? n_a : n_b, sizeof *list);
    if (list == NULL) goto done;
    *out = fmax(directed(v, a, b, squares, list, &l), directed(v, b, a, squares, list, &l));
    status = MSFL_OK;
done:
    msfl_free(a);
    msfl_free(b);
    msfl_free(squares);
    msfl_free(list);
    msfl_free(l.f);
    msfl_free(l.crossing);
    msfl_free(l.apex);
    return status;
}

msfl_status msfl_mask_compare(const uint8_t *truth, const uint8_t *found, const uint32_t shape[3],
                              const double spacing[3], uint32_t class_index, msfl_mask_score *out) {
    *out = (msfl_mask_score){0};
    volume v = {.size = 1};
    for (int d = 0; d < 3; d++) {
        v.n[d] = shape[d];
        v.spacing[d] = spacing[d];
        if (shape[d] == 0 || shape[d] > MSFL_MASK_VOXELS_MAX / v.size || !(spacing[d] > 0) || !isfinite(spacing[d])) {
            return msfl_fail(MSFL_ERR_LIMIT, "masks: %u x %u x %u voxels of %g x %g x %g; 1 to %d voxels are possible",
                             shape[0], shape[1], shape[2], spacing[0], spacing[1], spacing[2], MSFL_MASK_VOXELS_MAX);
        }
        v.size *= shape[d];
    }
    uint64_t both = 0, n_truth = 0, n_found = 0;
    for (size_t at = 0; at < v.size; at++) {
        bool t = has_class(truth, at, class_index), f = has_class(found, at, class_index);
        n_truth += t;
        n_found += f;
        both += t && f;
    }
    msfl_mask_score score = {.dice = n_truth + n_found > 0 ? 2.0 * (double)both / (double)(n_truth + n_found) : NAN,
                             .hausdorff95 = NAN,
                             .n_truth = n_truth,
                             .n_found = n_found};
    if (n_truth > 0 && n_found > 0) {
        msfl_status status = hausdorff(&v, truth, found, class_index, &score.hausdorff95);
        if (status != MSFL_OK) return status;
    }
    *out = score;
    return MSFL_OK;
}

msfl_status msfl_mean_figure(const double *values, uint32_t n, uint32_t n_bootstrap, uint64_t seed, msfl_figure *out) {
    *out = (msfl_figure){NAN, NAN, NAN};
    if (n_bootstrap > MSFL_BOOTSTRAP_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "metrics: %u bootstrap replicates; at most %d are possible", n_bootstrap,
                         MSFL_BOOTSTRAP_MAX);
    }
    double *kept = msfl_alloc(n, sizeof *kept), *means = msfl_alloc(n_bootstrap, sizeof *means), sum = 0.0;
    uint32_t m = 0;
    msfl_status status = (kept == NULL && n > 0) || (means == NULL && n_bootstrap > 0) ? MSFL_ERR_MEMORY : MSFL_OK;
    for (uint32_t i = 0; i < n && status == MSFL_OK; i++) {
        if (isnan(values[i])) continue;
        kept[m++] = values[i];
        sum += values[i];
    }
    if (status != MSFL_OK || m == 0) goto done;
    out->value = sum / m;
    if (m < 2 || n_bootstrap == 0) goto done;
    msfl_seeded g;
    msfl_seeded_init(&g, seed, "eval.mean", 0, 0, 0);
    for (uint32_t k = 0; k < n_bootstrap; k++) {
        means[k] = 0.0;
        for (uint32_t i = 0; i < m; i++)
            means[k] += kept[msfl_seeded_below(&g, m)] / m;
    }
    qsort(means, n_bootstrap, sizeof *means, by_value);
    out->low = percentile(means, n_bootstrap, 0.025);
    out->high = percentile(means, n_bootstrap, 0.975);
done:
    msfl_free(kept);
    msfl_free(means);
    return status;
}
