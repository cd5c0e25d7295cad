#include "recipe/measure.h"

#include "base/error.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

float msfl_otsu(const float *values, size_t n) {
    float low = values[0], high = values[0];
    for (size_t i = 1; i < n; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    if (!(high > low)) return low;
    uint64_t bins[MSFL_OTSU_BINS] = {0};
    const double width = ((double)high - low) / MSFL_OTSU_BINS;
    for (size_t i = 0; i < n; i++) {
        double at = ((double)values[i] - low) / width;
        bins[at < MSFL_OTSU_BINS - 1 ? (size_t)at : MSFL_OTSU_BINS - 1]++;
    }
    double total = 0;
    for (int i = 0; i < MSFL_OTSU_BINS; i++)
        total += (double)bins[i] * i;
    double below = 0, sum = 0, best = -1;
    int best_bin = 0;
    for (int i = 0; i < MSFL_OTSU_BINS - 1; i++) {
        below += (double)bins[i];
        sum += (double)bins[i] * i;
        double above = (double)n - below;
        if (below == 0 || above == 0) continue;
        double apart = sum / below - (total - sum) / above, between = below * above * apart * apart;
        if (between > best) {
            best = between;
            best_bin = i;
        }
    }
    return (float)(low + width * (best_bin + 1));
}

msfl_rule msfl_rule_of(const msfl_region *region, const msfl_volume *v) {
    msfl_rule r = {.all = region->kind == MSFL_REGION_ALL, .nonzero = region->kind == MSFL_REGION_NONZERO};
    if (region->kind == MSFL_REGION_ABOVE) r.above = (float)region->above;
    if (region->kind == MSFL_REGION_OTSU) r.above = msfl_otsu(v->values, msfl_volume_count(v));
    return r;
}

/* Puts the value that belongs there in order to place `k` of a[low .. high], smaller ones before, larger ones behind
 * (Hoare 1961). The middle of three as pivot: sorted values, which are common, stay fast. */
static float select_at(float *a, size_t low, size_t high, size_t k) {
    while (low < high) {
        float x = a[low], y = a[low + (high - low) / 2], z = a[high];
        float pivot = x < y ? (y < z ? y : x < z ? z : x) : (x < z ? x : y < z ? z : y);
        size_t i = low, j = high;
        for (;;) {
            while (a[i] < pivot)
                i++;
            while (a[j] > pivot)
                j--;
            if (i >= j) break;
            float t = a[i];
            a[i++] = a[j];
            a[j--] = t;
        }
        /* Below i nothing exceeds the pivot, above j nothing is less; where they met lies the pivot. Otherwise they
         * passed each other by one, after a swap that left something on both sides. */
        if (i == j) {
            if (k == i) return a[k];
            if (k < i) {
                high = i - 1;
            } else {
                low = i + 1;
            }
        } else if (k <= j) {
            high = j;
        } else {
            low = i;
        }
    }
    return a[k];
}

msfl_status msfl_percentiles(const char *name, const msfl_volume *v, const msfl_rule *rule, const double *percent,
                             size_t n_percent, double *out) {
    size_t all = msfl_volume_count(v), n = 0;
    float *taken = msfl_alloc(all, sizeof *taken);
    if (taken == NULL) return MSFL_NO_MEMORY;
    for (size_t i = 0; i < all; i++)
        if (msfl_rule_takes(rule, v->values[i])) taken[n++] = v->values[i];
    if (n == 0) {
        msfl_free(taken);
        return msfl_fail(MSFL_ERR_DATA, "%s: no value lies in the region that percentiles are taken of", name);
    }
    for (size_t i = 0; i < n_percent; i++) {
        double at = percent[i] / 100 * (double)(n - 1);
        size_t k = (size_t)at;
        double a = (double)select_at(taken, 0, n - 1, k), b = a;
        if (k + 1 < n) b = (double)select_at(taken, k + 1, n - 1, k + 1);
        out[i] = a + (b - a) * (at - (double)k);
    }
    msfl_free(taken);
    return MSFL_OK;
}

msfl_status msfl_mean_deviation(const char *name, const msfl_volume *v, const msfl_rule *rule, double *mean,
                                double *deviation) {
    size_t all = msfl_volume_count(v), n = 0;
    double sum = 0, squares = 0;
    for (size_t i = 0; i < all; i++) {
        if (!msfl_rule_takes(rule, v->values[i])) continue;
        sum += (double)v->values[i];
        n++;
    }
    if (n == 0) return msfl_fail(MSFL_ERR_DATA, "%s: no value lies in the region that zscore is taken of", name);
    double m = sum / (double)n;
    for (size_t i = 0; i < all; i++) {
        if (!msfl_rule_takes(rule, v->values[i])) continue;
        double d = (double)v->values[i] - m;
        squares += d * d;
    }
    double s = sqrt(squares / (double)n);
    if (!(s > 0)) return msfl_fail(MSFL_ERR_DATA, "%s: all values are equal, so there is no deviation", name);
    *mean = m;
    *deviation = s;
    return MSFL_OK;
}
