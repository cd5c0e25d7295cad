#include "base/error.h"
#include "base/mem.h"
#include "eval/ranking.h"

#include <math.h>

msfl_status msfl_auc(const float *probabilities, const uint32_t *labels, uint32_t n, uint32_t n_classes, double *out) {
    *out = NAN;
    msfl_status status = msfl_eval_check(probabilities, labels, n, n_classes);
    if (status != MSFL_OK) return status;
    double sum = 0.0;
    uint32_t count = 0;
    for (uint32_t c = n_classes == 2 ? 1 : 0; c < n_classes; c++) {
        msfl_ranking r;
        status = msfl_ranking_init(&r, probabilities, labels, n, n_classes, c);
        if (status != MSFL_OK) return status;
        double auc = msfl_ranking_auc(&r, NULL, NULL);
        msfl_ranking_clear(&r);
        if (isnan(auc)) continue;
        sum += auc;
        count++;
    }
    if (count > 0) *out = sum / count;
    return MSFL_OK;
}

/* Corners of the empirical curve: a tie is one slanted step; a vertex inside a straight stretch is left out.
 * `corners` holds n + 1. */
static uint32_t trace(const msfl_ranking *r, msfl_roc_point *corners) {
    uint32_t n = 0, positives = 0, negatives = 0;
    double n_positive = r->n_positive, n_negative = r->n - r->n_positive;
    corners[n++] = (msfl_roc_point){0.0, 0.0};
    /* Steps in counts, so that "straight on" is decided exactly. */
    uint64_t step_up = 0, step_right = 0;
    uint32_t last_up = 0, last_right = 0;
    for (uint32_t k = 0; k < r->n; k++) {
        if ((r->flags[k] & MSFL_RANK_POSITIVE) != 0)
            positives++;
        else
            negatives++;
        if ((r->flags[k] & MSFL_RANK_LAST_OF_TIE) == 0) continue;
        uint64_t up = positives - last_up, right = negatives - last_right;
        bool straight = n > 1 && up * step_right == right * step_up;
        if (straight) n--;
        corners[n++] = (msfl_roc_point){negatives / n_negative, positives / n_positive};
        step_up = up;
        step_right = right;
        last_up = positives;
        last_right = negatives;
    }
    return n;
}

/* Keep the ends, and between them the corners nearest to equal steps along the curve (steps count |dx| + |dy|, so the
 * whole is 2 and a steep stretch gets as many points as a flat one). */
static uint32_t thin(const msfl_roc_point *corners, uint32_t n, uint32_t points_max, msfl_roc_point *points) {
    if (n <= points_max) {
        for (uint32_t i = 0; i < n; i++)
            points[i] = corners[i];
        return n;
    }
    uint32_t kept = 0;
    points[kept++] = corners[0];
    for (uint32_t i = 1; i + 1 < n && kept + 1 < points_max; i++) {
        double length = corners[i].false_positive_rate + corners[i].true_positive_rate;
        if (length >= 2.0 * kept / (points_max - 1)) points[kept++] = corners[i];
    }
    points[kept++] = corners[n - 1];
    return kept;
}

/* Add the height of a curve at the false positive rates of `points`, all but the first, which stays at the origin; on a
 * vertical stretch, its top. */
static void add_heights(const msfl_roc_point *corners, uint32_t n, uint32_t n_points, msfl_roc_point *points) {
    uint32_t i = 0;
    for (uint32_t k = 1; k < n_points; k++) {
        double x = points[k].false_positive_rate;
        while (i + 1 < n && corners[i + 1].false_positive_rate <= x)
            i++;
        double y = corners[i].true_positive_rate;
        if (i + 1 < n) {
            double width = corners[i + 1].false_positive_rate - corners[i].false_positive_rate;
            double rise = corners[i + 1].true_positive_rate - corners[i].true_positive_rate;
            y += rise * (x - corners[i].false_positive_rate) / width;
        }
        points[k].true_positive_rate += y;
    }
}

msfl_status msfl_roc_curve(const float *probabilities, const uint32_t *labels, uint32_t n, uint32_t n_classes,
                           uint32_t points_max, msfl_roc_point *points, uint32_t *n_points) {
    *n_points = 0;
    if (points_max < 3 || points_max > MSFL_ROC_POINTS_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "metrics: %u points for a ROC curve; 3 to %d are possible", points_max,
                         MSFL_ROC_POINTS_MAX);
    }
    msfl_status status = msfl_eval_check(probabilities, labels, n, n_classes);
    if (status != MSFL_OK) return status;
    msfl_roc_point *corners = msfl_alloc((size_t)n + 1, sizeof *corners);
    if (corners == NULL) return MSFL_ERR_MEMORY;
    points[0] = (msfl_roc_point){0.0, 0.0};
    for (uint32_t k = 1; k < points_max; k++)
        points[k] = (msfl_roc_point){(double)(k - 1) / (points_max - 2), 0.0};
    uint32_t n_curves = 0, n_out = 0;
    for (uint32_t c = n_classes == 2 ? 1 : 0; c < n_classes; c++) {
        msfl_ranking r;
        status = msfl_ranking_init(&r, probabilities, labels, n, n_classes, c);
        if (status != MSFL_OK) goto done;
        if (msfl_ranking_two_sided(&r)) {
            uint32_t n_corners = trace(&r, corners);
            n_curves++;
            if (n_classes == 2)
                n_out = thin(corners, n_corners, points_max, points);
            else
                add_heights(corners, n_corners, points_max, points);
        }
        msfl_ranking_clear(&r);
    }
    if (n_classes > 2 && n_curves > 0) {
        for (uint32_t k = 0; k < points_max; k++)
            points[k].true_positive_rate /= n_curves;
        n_out = points_max;
    }
    *n_points = n_out;
done:
    msfl_free(corners);
    return status;
}
