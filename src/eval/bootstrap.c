#include "eval/bootstrap.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/seeded.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int by_value_u32(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Number the distinct groups 0, 1, ... in order of their value. */
static msfl_status number_units(msfl_bootstrap *b, const uint32_t *groups) {
    if (groups == NULL) {
        b->n_units = b->n;
        for (uint32_t i = 0; i < b->n; i++)
            b->unit[i] = i;
        return MSFL_OK;
    }
    uint32_t *distinct = msfl_alloc(b->n, sizeof *distinct);
    if (distinct == NULL) return MSFL_ERR_MEMORY;
    memcpy(distinct, groups, (size_t)b->n * sizeof *distinct);
    qsort(distinct, b->n, sizeof *distinct, by_value_u32);
    uint32_t n_distinct = 0;
    for (uint32_t i = 0; i < b->n; i++) {
        if (i == 0 || distinct[i] != distinct[n_distinct - 1]) distinct[n_distinct++] = distinct[i];
    }
    for (uint32_t i = 0; i < b->n; i++) {
        const uint32_t *at = bsearch(&groups[i], distinct, n_distinct, sizeof *distinct, by_value_u32);
        b->unit[i] = (uint32_t)(at - distinct);
    }
    b->n_units = n_distinct;
    msfl_free(distinct);
    return MSFL_OK;
}

msfl_status msfl_bootstrap_init(msfl_bootstrap *b, const float *probabilities, const uint32_t *labels,
                                const uint32_t *groups, uint32_t n, uint32_t n_classes) {
    *b = (msfl_bootstrap){.n = n, .n_classes = n_classes};
    msfl_status status = MSFL_ERR_MEMORY;
    b->unit = msfl_alloc(n, sizeof *b->unit);
    b->cell = msfl_alloc(n, sizeof *b->cell);
    b->rankings = msfl_alloc(n_classes, sizeof *b->rankings);
    b->ranked_unit = msfl_alloc(n_classes, sizeof *b->ranked_unit);
    b->confusion = msfl_alloc((size_t)n_classes * n_classes, sizeof *b->confusion);
    if (b->unit == NULL || b->cell == NULL || b->rankings == NULL || b->ranked_unit == NULL || b->confusion == NULL) {
        goto done;
    }
    status = number_units(b, groups);
    if (status != MSFL_OK) goto done;
    for (uint32_t i = 0; i < n; i++) {
        const float *row = probabilities + (size_t)i * n_classes;
        b->cell[i] = labels[i] * n_classes + msfl_eval_predicted(row, n_classes);
    }
    for (uint32_t c = n_classes == 2 ? 1 : 0; c < n_classes; c++) {
        msfl_ranking *r = &b->rankings[b->n_rankings];
        status = msfl_ranking_init(r, probabilities, labels, n, n_classes, c);
        if (status != MSFL_OK) goto done;
        if (!msfl_ranking_two_sided(r)) {
            msfl_ranking_clear(r);
            continue;
        }
        uint32_t *units = msfl_alloc(n, sizeof *units);
        b->ranked_unit[b->n_rankings++] = units;
        if (units == NULL) {
            status = MSFL_ERR_MEMORY;
            goto done;
        }
        for (uint32_t k = 0; k < n; k++)
            units[k] = b->unit[r->sample[k]];
    }
done:
    if (status != MSFL_OK) msfl_bootstrap_clear(b);
    return status;
}

void msfl_bootstrap_clear(msfl_bootstrap *b) {
    for (uint32_t k = 0; k < b->n_rankings; k++) {
        msfl_ranking_clear(&b->rankings[k]);
        msfl_free(b->ranked_unit[k]);
    }
    msfl_free(b->unit);
    msfl_free(b->cell);
    msfl_free(b->rankings);
    msfl_free(b->ranked_unit);
    msfl_free(b->confusion);
    *b = (msfl_bootstrap){0};
}

/* All figures when unit u counts weights[u] times; NULL: every sample once. */
static void judge(msfl_bootstrap *b, const uint32_t *weights, double figures[MSFL_N_FIGURES]) {
    memset(b->confusion, 0, (size_t)b->n_classes * b->n_classes * sizeof *b->confusion);
    for (uint32_t i = 0; i < b->n; i++)
        b->confusion[b->cell[i]] += weights == NULL ? 1 : weights[b->unit[i]];
    msfl_eval_judge(b->confusion, b->n_classes, figures);
    double sum = 0.0;
    uint32_t count = 0;
    for (uint32_t k = 0; k < b->n_rankings; k++) {
        double auc = msfl_ranking_auc(&b->rankings[k], b->ranked_unit[k], weights);
        if (isnan(auc)) continue;
        sum += auc;
        count++;
    }
    figures[MSFL_FIGURE_AUC] = count > 0 ? sum / count : NAN;
}

/* Uniform below `bound` from 32-bit halves of the stream, without bias (Lemire 2019). The draws are most of the cost
 * of a replicate, and this one divides almost never. */
typedef struct draws {
    msfl_seeded g;
    uint64_t word;
    bool has_half;
} draws;

static uint32_t draw_below(draws *d, uint32_t bound) {
    for (;;) {
        if (!d->has_half) d->word = msfl_seeded_u64(&d->g);
        uint32_t half = (uint32_t)(d->has_half ? d->word >> 32 : d->word);
        d->has_half = !d->has_half;
        uint64_t product = (uint64_t)half * bound;
        if ((uint32_t)product >= bound || (uint32_t)product >= (0 - bound) % bound) return (uint32_t)(product >> 32);
    }
}

static int by_value_f64(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double percentile(const double *sorted, uint32_t n, double share) {
    double at = share * (n - 1);
    uint32_t below = (uint32_t)at;
    uint32_t above = below + 1 < n ? below + 1 : below;
    return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
}

/* The ends from one figure's replicates, which are put in order; undefined ones may lie anywhere, so when they are
 * more than the 5 % that a 95 % interval leaves out, its ends are not known. */
static void interval(double *values, uint32_t n, msfl_figure *figure) {
    uint32_t defined = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!isnan(values[i])) values[defined++] = values[i];
    }
    if (isnan(figure->value) || defined == 0 || (uint64_t)(n - defined) * 20 > n) return;
    qsort(values, defined, sizeof *values, by_value_f64);
    figure->low = percentile(values, defined, 0.025);
    figure->high = percentile(values, defined, 0.975);
}

msfl_status msfl_bootstrap_run(msfl_bootstrap *b, uint32_t n_replicates, uint64_t seed,
                               msfl_figure figures[MSFL_N_FIGURES]) {
    if (n_replicates > MSFL_BOOTSTRAP_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "metrics: %u bootstrap replicates; at most %d are possible", n_replicates,
                         MSFL_BOOTSTRAP_MAX);
    }
    double values[MSFL_N_FIGURES];
    judge(b, NULL, values);
    for (int f = 0; f < MSFL_N_FIGURES; f++) {
        double end = n_replicates == 0 ? values[f] : NAN;
        figures[f] = (msfl_figure){values[f], end, end};
    }
    if (n_replicates == 0 || b->n_units < 2) return MSFL_OK;

    msfl_status status = MSFL_ERR_MEMORY;
    uint32_t *weights = msfl_alloc(b->n_units, sizeof *weights);
    double *replicates = msfl_alloc((size_t)n_replicates * MSFL_N_FIGURES, sizeof *replicates);
    if (weights == NULL || replicates == NULL) goto done;
    draws d = {.has_half = false};
    msfl_seeded_init(&d.g, seed, "eval.bootstrap", 0, 0, 0);
    for (uint32_t k = 0; k < n_replicates; k++) {
        memset(weights, 0, (size_t)b->n_units * sizeof *weights);
        for (uint32_t u = 0; u < b->n_units; u++)
            weights[draw_below(&d, b->n_units)]++;
        judge(b, weights, values);
        for (int f = 0; f < MSFL_N_FIGURES; f++)
            replicates[(size_t)f * n_replicates + k] = values[f];
    }
    for (int f = 0; f < MSFL_N_FIGURES; f++)
        interval(replicates + (size_t)f * n_replicates, n_replicates, &figures[f]);
    status = MSFL_OK;
done:
    msfl_free(weights);
    msfl_free(replicates);
    return status;
}
