/* From one grid to another. */
#include "recipe/volume.h"

#include "base/error.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

static double clamp(double v, uint32_t n) {
    return v < 0 ? 0 : v > n - 1 ? n - 1 : v;
}

static float linear_at(const msfl_volume *v, const double at[3]) {
    size_t low[3], high[3];
    double t[3];
    for (int i = 0; i < 3; i++) {
        double c = clamp(at[i], v->sides[i]);
        low[i] = (size_t)c;
        high[i] = low[i] + 1 < v->sides[i] ? low[i] + 1 : low[i];
        t[i] = c - (double)low[i];
    }
    size_t row = v->sides[0], slice = row * v->sides[1];
    double sum = 0;
    for (int k = 0; k < 8; k++) {
        double w = (k & 1 ? t[0] : 1 - t[0]) * (k & 2 ? t[1] : 1 - t[1]) * (k & 4 ? t[2] : 1 - t[2]);
        if (w == 0) continue;
        size_t i = (k & 1 ? high[0] : low[0]) + (k & 2 ? high[1] : low[1]) * row + (k & 4 ? high[2] : low[2]) * slice;
        sum += w * (double)v->values[i];
    }
    return (float)sum;
}

/* Headers keep spacings as 32-bit floats, so that places half way between two voxels miss the middle by rounding. */
static const double half_slack = 1e-4;

static float nearest_at(const msfl_volume *v, const double at[3]) {
    size_t i[3];
    for (int k = 0; k < 3; k++)
        i[k] = (size_t)clamp(floor(at[k] + 0.5 + half_slack), v->sides[k]);
    return v->values[i[0] + v->sides[0] * (i[1] + v->sides[1] * i[2])];
}

static bool is_beyond(const msfl_volume *v, const double at[3]) {
    for (int k = 0; k < 3; k++)
        if (at[k] < -0.5 - half_slack || at[k] > v->sides[k] - 0.5 + half_slack) return true;
    return false;
}

/*
 * Values at the places of another grid: `to_source` takes (column, row, slice, 1) of the new grid to places between the
 * voxels of `in`. Linear between neighbours, or the nearest one (halves, within 1e-4, go up). Beyond the centres of the
 * outer voxels the outer values repeat; beyond their faces, half a voxel further, it is `fill` where one is given.
 * `out` has its sides, spacing and place, and gets its values.
 */
static msfl_status sample_volume(const msfl_volume *in, const double m[3][4], bool nearest, const float *fill,
                                 msfl_volume *out) {
    msfl_status status = msfl_volume_new(out->sides, out, out);
    if (status != MSFL_OK) return status;
    float *to = out->values;
    for (uint32_t z = 0; z < out->sides[2]; z++) {
        for (uint32_t y = 0; y < out->sides[1]; y++) {
            for (uint32_t x = 0; x < out->sides[0]; x++) {
                double at[3];
                for (int k = 0; k < 3; k++)
                    at[k] = m[k][0] * x + m[k][1] * y + m[k][2] * z + m[k][3];
                *to++ = fill != NULL && is_beyond(in, at) ? *fill : nearest ? nearest_at(in, at) : linear_at(in, at);
            }
        }
    }
    return MSFL_OK;
}

msfl_status msfl_volume_resample(const char *name, msfl_volume *v, const double spacing[3], uint32_t n_axes,
                                 bool nearest) {
    double m[3][4] = {{0}};
    msfl_volume out = *v;
    out.values = NULL;
    for (uint32_t i = 0; i < 3; i++) {
        m[i][i] = 1;
        if (i >= n_axes) continue;
        if (!(v->spacing[i] > 0)) {
            return msfl_fail(MSFL_ERR_DATA,
                             "%s: its spacing is not known, so it cannot be resampled to %g mm; use resize in the "
                             "recipe",
                             name, spacing[i]);
        }
        double n = floor(v->sides[i] * v->spacing[i] / spacing[i] + 0.5), ratio = spacing[i] / v->spacing[i];
        if (n > MSFL_IMAGE_SIDE_MAX) {
            return msfl_fail(MSFL_ERR_LIMIT, "%s: %.0f voxels along one axis after resampling; at most %d", name, n,
                             MSFL_IMAGE_SIDE_MAX);
        }
        out.sides[i] = n < 1 ? 1 : (uint32_t)n;
        out.spacing[i] = spacing[i];
        m[i][i] = ratio;
        m[i][3] = (v->sides[i] - 1) / 2.0 - ratio * (out.sides[i] - 1) / 2.0;
    }
    for (int r = 0; r < 3; r++) {
        for (int i = 0; i < 3; i++) {
            out.affine[r][i] = v->affine[r][i] * m[i][i];
            out.affine[r][3] += v->affine[r][i] * m[i][3];
        }
    }
    msfl_status status = sample_volume(v, m, nearest, NULL, &out);
    if (status != MSFL_OK) return status;
    msfl_free(v->values);
    *v = out;
    return MSFL_OK;
}

/* The inverse of an affine; false if it has none. */
static bool invert(const double a[3][4], double out[3][4]) {
    double c[3][3];
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            int r = (j + 1) % 3, s = (j + 2) % 3, u = (i + 1) % 3, w = (i + 2) % 3;
            c[i][j] = a[r][u] * a[s][w] - a[r][w] * a[s][u];
        }
    }
    double det = a[0][0] * c[0][0] + a[0][1] * c[1][0] + a[0][2] * c[2][0];
    if (!(fabs(det) > 1e-12)) return false;
    for (int i = 0; i < 3; i++) {
        out[i][3] = 0;
        for (int j = 0; j < 3; j++)
            out[i][j] = c[i][j] / det;
        for (int j = 0; j < 3; j++)
            out[i][3] -= out[i][j] * a[j][3];
    }
    return true;
}

static bool same_grid(const msfl_volume *a, const msfl_volume *b) {
    for (int r = 0; r < 3; r++) {
        for (int i = 0; i < 4; i++)
            if (fabs(a->affine[r][i] - b->affine[r][i]) > 1e-3) return false;
    }
    return memcmp(a->sides, b->sides, sizeof a->sides) == 0;
}

static float smallest(const msfl_volume *v) {
    float low = v->values[0];
    for (size_t i = 1; i < msfl_volume_count(v); i++)
        low = v->values[i] < low ? v->values[i] : low;
    return low;
}

/* Whether a grid whose indices `m` takes to those of `v` can have a voxel in it: by the box around its eight corners.
 */
static bool meets(const msfl_volume *v, const msfl_volume *grid, const double m[3][4]) {
    for (int i = 0; i < 3; i++) {
        double low = m[i][3], high = m[i][3];
        for (int j = 0; j < 3; j++) {
            double reach = m[i][j] * (grid->sides[j] - 1.0);
            low += reach < 0 ? reach : 0;
            high += reach > 0 ? reach : 0;
        }
        if (high < -0.5 || low > v->sides[i] - 0.5) return false;
    }
    return true;
}

msfl_status msfl_volume_align(const char *name, msfl_volume *v, const msfl_volume *like, bool nearest) {
    /* A place that is only assumed says nothing about another file's: masks are often written without one, and by the
     * convention they would come out mirrored beside pictures that have theirs. */
    bool known = v->placed && like->placed && !v->assumed && !like->assumed;
    if (!known) {
        if (memcmp(v->sides, like->sides, sizeof v->sides) == 0) {
            memcpy(v->spacing, like->spacing, sizeof v->spacing);
            memcpy(v->affine, like->affine, sizeof v->affine);
            v->placed = like->placed;
            v->assumed = like->assumed;
            return MSFL_OK;
        }
        return msfl_fail(MSFL_ERR_MISMATCH,
                         "%s: %u x %u x %u voxels where %u x %u x %u are expected, and it is not known how they lie in "
                         "space",
                         name, v->sides[0], v->sides[1], v->sides[2], like->sides[0], like->sides[1], like->sides[2]);
    }
    if (same_grid(v, like)) return MSFL_OK;
    double inverse[3][4], m[3][4];
    if (!invert(v->affine, inverse)) {
        return msfl_fail(MSFL_ERR_DATA, "%s: its affine has no inverse: two axes point the same way", name);
    }
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 4; j++) {
            m[i][j] = j == 3 ? inverse[i][3] : 0;
            for (int k = 0; k < 3; k++)
                m[i][j] += inverse[i][k] * like->affine[k][j];
        }
    }
    if (!meets(v, like, m)) {
        return msfl_fail(
            MSFL_ERR_MISMATCH,
            "%s: by its header it lies elsewhere in space than the picture that it belongs to: no voxel of "
            "it would fall into that",
            name);
    }
    msfl_volume out = *like;
    out.values = NULL;
    float fill = nearest ? 0 : smallest(v);
    msfl_status status = sample_volume(v, m, nearest, &fill, &out);
    if (status != MSFL_OK) return status;
    msfl_free(v->values);
    *v = out;
    return MSFL_OK;
}

/* --- crop, pad, resize: along the axes --- */

msfl_status msfl_volume_fit(msfl_volume *v, const uint32_t size[3], const int64_t middle2[3], float fill) {
    int64_t first[3];
    msfl_volume out;
    msfl_status status = msfl_volume_new(size, v, &out);
    if (status != MSFL_OK) return status;
    for (int i = 0; i < 3; i++) {
        /* The middle between the first and last voxel, twice, is 2 first + size - 1; of two that are as good the lower
         * one. */
        int64_t twice = middle2[i] - (int64_t)size[i] + 1;
        first[i] = (twice - (twice & 1)) / 2;
        for (int r = 0; r < 3; r++)
            out.affine[r][3] += v->affine[r][i] * (double)first[i];
    }
    float *to = out.values;
    for (int64_t z = first[2]; z < first[2] + size[2]; z++) {
        for (int64_t y = first[1]; y < first[1] + size[1]; y++) {
            bool inside = z >= 0 && z < v->sides[2] && y >= 0 && y < v->sides[1];
            const float *row = v->values + (inside ? (size_t)(z * v->sides[1] + y) * v->sides[0] : 0);
            for (int64_t x = first[0]; x < first[0] + size[0]; x++)
                *to++ = inside && x >= 0 && x < v->sides[0] ? row[x] : fill;
        }
    }
    msfl_free(v->values);
    *v = out;
    return MSFL_OK;
}

/* What one new place takes from the old ones along an axis: `n` weights from `first` on. */
typedef struct tap {
    size_t first, n, at; /* at: where its weights begin */
} tap;

static msfl_status make_taps(uint32_t from, uint32_t to, bool nearest, tap **taps, double **weights) {
    double ratio = (double)from / to;
    size_t most = (size_t)ceil(ratio) + 2;
    *taps = msfl_alloc(to, sizeof **taps);
    *weights = msfl_alloc(to * most, sizeof **weights);
    if (*taps == NULL || *weights == NULL) return MSFL_NO_MEMORY;
    for (uint32_t i = 0; i < to; i++) {
        tap *t = &(*taps)[i];
        double *w = *weights + i * most;
        t->at = i * most;
        double middle = (i + 0.5) * ratio - 0.5;
        if (nearest || from == to) {
            t->first = (size_t)clamp(floor(middle + 0.5), from);
            t->n = 1;
            w[0] = 1;
        } else if (from < to) {
            double c = clamp(middle, from);
            t->first = (size_t)c;
            t->n = t->first + 1 < from ? 2 : 1;
            w[0] = t->n == 1 ? 1 : 1 - (c - (double)t->first);
            w[1] = t->n == 1 ? 0 : c - (double)t->first;
        } else {
            double low = i * ratio, high = (i + 1) * ratio;
            t->first = (size_t)low;
            for (size_t j = t->first; j < from && (double)j < high - 1e-9; j++) {
                double a = (double)j > low ? (double)j : low, b = (double)j + 1 < high ? (double)j + 1 : high;
                w[t->n++] = (b - a) / ratio;
            }
        }
    }
    return MSFL_OK;
}

/* One axis: everything before it in memory is `inner`, behind it `outer`. */
static msfl_status resize_axis(msfl_volume *v, uint32_t axis, uint32_t to, bool nearest) {
    if (v->sides[axis] == to) return MSFL_OK;
    tap *taps = NULL;
    double *weights = NULL;
    uint32_t sides[3] = {v->sides[0], v->sides[1], v->sides[2]};
    sides[axis] = to;
    msfl_volume out = {0};
    msfl_status status = make_taps(v->sides[axis], to, nearest, &taps, &weights);
    if (status == MSFL_OK) status = msfl_volume_new(sides, v, &out);
    if (status != MSFL_OK) goto done;
    size_t inner = 1, outer = 1, from = v->sides[axis];
    for (uint32_t i = 0; i < axis; i++)
        inner *= sides[i];
    for (uint32_t i = axis + 1; i < 3; i++)
        outer *= sides[i];
    for (size_t o = 0; o < outer; o++) {
        for (uint32_t k = 0; k < to; k++) {
            const tap *t = &taps[k];
            for (size_t i = 0; i < inner; i++) {
                const float *at = v->values + (o * from + t->first) * inner + i;
                double sum = 0;
                for (size_t j = 0; j < t->n; j++)
                    sum += weights[t->at + j] * (double)at[j * inner];
                out.values[(o * to + k) * inner + i] = (float)sum;
            }
        }
    }
    double ratio = (double)from / to;
    out.spacing[axis] = v->spacing[axis] * ratio;
    for (int r = 0; r < 3; r++) {
        out.affine[r][axis] = v->affine[r][axis] * ratio;
        out.affine[r][3] += v->affine[r][axis] * (ratio - 1) / 2;
    }
    msfl_free(v->values);
    *v = out;
done:
    msfl_free(taps);
    msfl_free(weights);
    return status;
}

msfl_status msfl_volume_resize(msfl_volume *v, const uint32_t size[3], bool nearest) {
    msfl_status status = MSFL_OK;
    for (uint32_t axis = 0; axis < 3 && status == MSFL_OK; axis++)
        status = resize_axis(v, axis, size[axis], nearest);
    return status;
}
