#include "job/temperature.h"

#include "job/figures.h"

#include <math.h>
#include <string.h>

static double temperature_at(double i) {
    return exp2(-2.0 + 5.0 * i / (JOB_TEMPERATURES - 1));
}

/* Log of the sum of p^(1/T); a probability that a float rounded to 0 counts as the least it can tell from 0. */
static double log_of(float p) {
    return log(fmax((double)p, 1e-38));
}

static double log_sum(const float *p, uint32_t n, double inverse) {
    double most = -INFINITY, sum = 0.0;
    for (uint32_t c = 0; c < n; c++)
        most = fmax(most, inverse * log_of(p[c]));
    for (uint32_t c = 0; c < n; c++)
        sum += exp(inverse * log_of(p[c]) - most);
    return most + log(sum);
}

void job_temperature_add(const float *probabilities, const uint32_t *labels, uint32_t n, uint32_t n_classes,
                         uint64_t sums[JOB_TEMPERATURES]) {
    for (int k = 0; k < JOB_TEMPERATURES; k++) {
        double inverse = 1.0 / temperature_at(k), loss = 0.0;
        for (uint32_t i = 0; i < n; i++) {
            const float *p = probabilities + (size_t)i * n_classes;
            loss += log_sum(p, n_classes, inverse) - inverse * log_of(p[labels[i]]);
        }
        sums[k] += (uint64_t)llround(fmax(loss, 0.0) * JOB_LOSS_ONE);
    }
}

double job_temperature_best(const uint64_t sums[JOB_TEMPERATURES]) {
    int best = -1;
    for (int k = 0; k < JOB_TEMPERATURES; k++) {
        if (sums[k] != 0 && (best < 0 || sums[k] < sums[best])) best = k;
    }
    if (best < 0) return 1.0;
    if (best == 0 || best + 1 == JOB_TEMPERATURES) return temperature_at(best);
    double left = (double)sums[best - 1], middle = (double)sums[best], right = (double)sums[best + 1];
    double bend = left - 2.0 * middle + right;
    double offset = bend > 0.0 ? 0.5 * (left - right) / bend : 0.0;
    return temperature_at(best + fmax(-1.0, fmin(1.0, offset)));
}

void job_temperature_apply(double temperature, uint32_t n, uint32_t n_classes, float *probabilities) {
    for (uint32_t i = 0; i < n; i++) {
        float *p = probabilities + (size_t)i * n_classes;
        double inverse = 1.0 / temperature, sum = log_sum(p, n_classes, inverse);
        for (uint32_t c = 0; c < n_classes; c++)
            p[c] = (float)exp(inverse * log_of(p[c]) - sum);
    }
}

void job_temperature_fold(const msfl_model *model, double temperature, float *weights) {
    const uint32_t n = msfl_model_info_borrow(model)->n_tensors;
    const char *last = msfl_model_tensor(model, n - 1)->layer; /* the last layer has a kernel, and so a tensor */
    for (uint32_t i = 0; i < n; i++) {
        const msfl_tensor *t = msfl_model_tensor(model, i);
        for (uint64_t k = 0; strcmp(t->layer, last) == 0 && k < t->count; k++)
            weights[t->offset + k] = (float)((double)weights[t->offset + k] / temperature);
    }
}
