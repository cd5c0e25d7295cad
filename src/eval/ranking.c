#include "eval/ranking.h"

#include "base/error.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

msfl_status msfl_eval_check(const float *probabilities, const uint32_t *labels, uint32_t n, uint32_t n_classes) {
    if (n_classes < 2 || n_classes > MSFL_CLASSES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "metrics: %u classes; 2 to %d are possible", n_classes, MSFL_CLASSES_MAX);
    }
    if (n == 0) return msfl_fail(MSFL_ERR_DATA, "metrics: there are no predictions to judge");
    for (uint32_t i = 0; i < n; i++) {
        if (labels[i] >= n_classes) {
            return msfl_fail(MSFL_ERR_DATA, "metrics: label %u of sample %u is not one of %u classes", labels[i], i,
                             n_classes);
        }
        const float *row = probabilities + (size_t)i * n_classes;
        for (uint32_t c = 0; c < n_classes; c++) {
            /* Written so that NaN fails too. The slack is for sums of a softmax in float. */
            if (!(row[c] >= -0.001F && row[c] <= 1.001F)) {
                return msfl_fail(MSFL_ERR_DATA, "metrics: the prediction for sample %u, class %u is not a probability",
                                 i, c);
            }
        }
    }
    return MSFL_OK;
}

typedef struct place {
    float score;
    uint32_t sample;
} place;

static int by_falling_score(const void *a, const void *b) {
    const place *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return x->sample < y->sample ? -1 : x->sample > y->sample;
}

msfl_status msfl_ranking_init(msfl_ranking *r, const float *probabilities, const uint32_t *labels, uint32_t n,
                              uint32_t n_classes, uint32_t positive_class) {
    *r = (msfl_ranking){.n = n};
    msfl_status status = MSFL_ERR_MEMORY;
    place *places = msfl_alloc(n, sizeof *places);
    r->sample = msfl_alloc(n, sizeof *r->sample);
    r->flags = msfl_alloc(n, 1);
    if (places == NULL || r->sample == NULL || r->flags == NULL) goto done;
    for (uint32_t i = 0; i < n; i++)
        places[i] = (place){probabilities[(size_t)i * n_classes + positive_class], i};
    qsort(places, n, sizeof *places, by_falling_score);
    for (uint32_t k = 0; k < n; k++) {
        bool positive = labels[places[k].sample] == positive_class;
        bool last = k + 1 == n || places[k + 1].score != places[k].score;
        r->sample[k] = places[k].sample;
        r->flags[k] = (uint8_t)((positive ? MSFL_RANK_POSITIVE : 0) | (last ? MSFL_RANK_LAST_OF_TIE : 0));
        r->n_positive += positive;
    }
    status = MSFL_OK;
done:
    msfl_free(places);
    if (status != MSFL_OK) msfl_ranking_clear(r);
    return status;
}

void msfl_ranking_clear(msfl_ranking *r) {
    msfl_free(r->sample);
    msfl_free(r->flags);
    *r = (msfl_ranking){0};
}

double msfl_ranking_auc(const msfl_ranking *r, const uint32_t *units, const uint32_t *weights) {
    /* Twice the number of pairs won, so that halves for ties stay whole numbers. */
    double won_twice = 0.0, positives = 0.0, negatives = 0.0;
    uint64_t tied[2] = {0, 0};
    for (uint32_t k = 0; k < r->n; k++) {
        uint8_t flags = r->flags[k];
        tied[flags & MSFL_RANK_POSITIVE] += weights == NULL ? 1 : weights[units[k]];
        if ((flags & MSFL_RANK_LAST_OF_TIE) == 0) continue;
        double more_positives = (double)tied[1], more_negatives = (double)tied[0];
        won_twice += more_negatives * (2.0 * positives + more_positives);
        positives += more_positives;
        negatives += more_negatives;
        tied[0] = tied[1] = 0;
    }
    if (positives == 0.0 || negatives == 0.0) return NAN;
    return won_twice / (2.0 * positives * negatives);
}
