#include "nn/loss.h"

#include <math.h>

/* Largest logit (the first on ties) and log of the sum of exponentials. */
static double log_sum_exp(const float *logits, uint32_t n, uint32_t *top) {
    *top = 0;
    for (uint32_t c = 1; c < n; c++) {
        if (logits[c] > logits[*top]) *top = c;
    }
    /* Shifted by the largest logit, so that no exponential overflows and the sum is at least 1. */
    double shift = (double)logits[*top], sum = 0.0;
    for (uint32_t c = 0; c < n; c++)
        sum += exp((double)logits[c] - shift);
    return log(sum) + shift;
}

/* With q = 1 - p_y: loss = -w q^g log p_y, and d loss / d z_k = w (g q^(g-1) p_y log p_y - q^g) ([k = y] - p_k). */
static double focal(const nn_loss *l, const float *logits, uint32_t label, double log_sum, double scale,
                    float *gradient, float *probabilities) {
    double log_p = (double)logits[label] - log_sum, p = exp(log_p), q = -expm1(log_p), g = (double)l->focal;
    double weight = nn_loss_weight(l, label);
    double power = pow(q, g);
    /* q^(g-1) log p = q^g (log p / q), whose second factor tends to -1 where q vanishes. */
    double ratio = q > 1e-12 ? log_p / q : -1.0;
    double slope = weight * (g * p * power * ratio - power);
    for (uint32_t c = 0; c < l->n_classes; c++) {
        double pc = exp((double)logits[c] - log_sum);
        if (probabilities != NULL) probabilities[c] = (float)pc;
        if (gradient != NULL) gradient[c] = (float)(scale * slope * ((c == label ? 1.0 : 0.0) - pc));
    }
    return -weight * power * log_p;
}

double nn_loss_sample(const nn_loss *l, const float *logits, uint32_t label, double scale, float *gradient,
                      float *probabilities, uint32_t *best) {
    uint32_t n = l->n_classes, top;
    float shifted[1024] = {0}; /* NN_CLASSES_MAX */
    double log_sum = log_sum_exp(logits, n, best);
    if (l->offsets != NULL) {
        for (uint32_t c = 0; c < n; c++)
            shifted[c] = logits[c] + l->offsets[c];
        logits = shifted;
        log_sum = log_sum_exp(logits, n, &top);
    }
    if (l->focal > 0.0f) return focal(l, logits, label, log_sum, scale, gradient, probabilities);
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
    return loss;
}

/* Sums over the pixels of one image, a class at a time: 1024 classes at most (NN_CLASSES_MAX). */
typedef struct overlap {
    double shared[1024], both[1024]; /* I_c, S_c; then D_c, and what it is worth by p_c */
    bool there[1024];
} overlap;

double nn_loss_pixels(const nn_loss *l, const float *logits, const uint32_t *labels, uint32_t n_pixels, double scale,
                      float *gradient, uint32_t *n_correct) {
    uint32_t n = l->n_classes, right = 0;
    double cross = 0.0, weight = 0.0;
    overlap o = {0};
    for (size_t x = 0; x < n_pixels; x++) {
        const float *z = logits + x * n;
        uint32_t top, label = labels[x];
        double log_sum = log_sum_exp(z, n, &top), w = nn_loss_weight(l, label);
        right += top == label;
        cross += w * (log_sum - (double)z[label]);
        weight += w;
        /* The probabilities wait in the gradient for the sums over the image. */
        for (uint32_t c = 0; c < n; c++) {
            double p = exp((double)z[c] - log_sum);
            gradient[x * n + c] = (float)p;
            o.both[c] += p;
        }
        o.shared[label] += exp((double)z[label] - log_sum);
        o.both[label] += 1.0;
        o.there[label] = true;
    }
    *n_correct = right;
    double loss = weight > 0.0 ? cross / weight : 0.0, share = weight > 0.0 ? 1.0 / weight : 0.0, dice = 0.0;
    /* With D_c = (2 I_c + 1) / (S_c + 1): d D_c / d p_c(x) = (2 [t(x) = c] - D_c) / (S_c + 1). */
    uint32_t n_there = 0;
    for (uint32_t c = 1; c < n; c++)
        n_there += o.there[c];
    for (uint32_t c = 1; c < n; c++) {
        o.shared[c] = (2.0 * o.shared[c] + 1.0) / (o.both[c] + 1.0);
        if (o.there[c]) dice += o.shared[c] / n_there;
        o.both[c] = o.there[c] ? -(double)l->dice / (n_there * (o.both[c] + 1.0)) : 0.0;
    }
    if (n_there > 0) loss += (double)l->dice * (1.0 - dice);
    for (size_t x = 0; x < n_pixels; x++) {
        float *g = gradient + x * n;
        uint32_t label = labels[x];
        double w = share * nn_loss_weight(l, label), mean = 0.0;
        for (uint32_t c = 1; c < n; c++)
            mean += (double)g[c] * o.both[c] * ((c == label ? 2.0 : 0.0) - o.shared[c]);
        for (uint32_t c = 0; c < n; c++) {
            double p = (double)g[c], slope = c == 0 ? 0.0 : o.both[c] * ((c == label ? 2.0 : 0.0) - o.shared[c]);
            g[c] = (float)(scale * (w * (p - (c == label ? 1.0 : 0.0)) + p * (slope - mean)));
        }
    }
    return loss;
}
