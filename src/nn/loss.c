#include "nn/loss.h"

#include <math.h>

double nn_loss_sample(const nn_loss *l, const float *logits, uint32_t label, double scale, float *gradient,
                      float *probabilities, uint32_t *best) {
    uint32_t n = l->n_classes, top = 0;
    for (uint32_t c = 1; c < n; c++) {
        if (logits[c] > logits[top]) top = c;
    }
    /* Shifted by the largest logit, so that no exponential overflows and the sum is at least 1. */
    double shift = (double)logits[top], sum = 0.0;
    for (uint32_t c = 0; c < n; c++)
        sum += exp((double)logits[c] - shift);
    double log_sum = log(sum) + shift;
    double even = (double)l->smoothing / n, loss = 0.0, mass = 0.0;
    for (uint32_t c = 0; c < n; c++) {
        double target = even * nn_loss_weight(l, c);
        if (c == label) target += (1.0 - (double)l->smoothing) * nn_loss_weight(l, c);
        if (target != 0.0) loss += target * (log_sum - (double)logits[c]);
        mass += target;
    }
    for (uint32_t c = 0; c < n; c++) {
        double p = exp((double)logits[c] - log_sum);
        double target = even * nn_loss_weight(l, c);
        if (c == label) target += (1.0 - (double)l->smoothing) * nn_loss_weight(l, c);
        if (probabilities != NULL) probabilities[c] = (float)p;
        if (gradient != NULL) gradient[c] = (float)(scale * (mass * p - target));
    }
    *best = top;
    return loss;
}
