#include "job/aggregate.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

/* McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data" (2017), Algorithm 1: the
 * mean comes weighted by sample counts already. */
static void fedavg(float *next, float *const *moments, const float *global, const float *mean, uint64_t n_values,
                   const job_stride *stride) {
    (void)moments, (void)stride;
    for (uint64_t i = 0; i < n_values; i++)
        next[i] = global[i] + mean[i];
}

/* Reddi et al., "Adaptive Federated Optimization" (2021), Algorithm 2, with the corrections of Kingma & Ba (2015) for
 * moments that begin at 0 instead of a large first v. The adaptivity (tau) is the size of a mean update below which a
 * value is left in peace: what hospitals' encodings round away is about as large, and must not be blown up to steps. */
static const double beta1 = 0.9, beta2 = 0.99, adaptivity = 1e-6;

/* By repeated multiplication: pow differs between libraries in the last bit. */
static double power(double base, uint32_t n) {
    double p = 1;
    for (uint32_t i = 0; i < n && p > 1e-30; i++)
        p *= base;
    return p;
}

static void fedadam(float *next, float *const *moments, const float *global, const float *mean, uint64_t n_values,
                    const job_stride *stride) {
    float *first = moments[0], *second = moments[1];
    const double correction1 = 1 / (1 - power(beta1, stride->round));
    const double correction2 = 1 / (1 - power(beta2, stride->round));
    for (uint64_t i = 0; i < n_values; i++) {
        const double d = (double)mean[i];
        const double m = beta1 * (double)first[i] + (1 - beta1) * d;
        const double v = beta2 * (double)second[i] + (1 - beta2) * d * d;
        first[i] = (float)m;
        second[i] = (float)v;
        const double step = stride->learning_rate * (m * correction1) / (sqrt(v * correction2) + adaptivity);
        next[i] = (float)((double)global[i] + step);
    }
}

/* --- the mean of models --- */

job_stride job_stride_of(const job_rule *course, double server_learning_rate, uint32_t round, double learning_rate) {
    job_stride s = {.round = round, .learning_rate = server_learning_rate * (learning_rate / course->learning_rate)};
    /* Rounds n_rounds - n_averaged + 1 to n_rounds, without going below 0. */
    if (course->n_averaged > 0 && round + course->n_averaged > course->n_rounds) {
        s.n_averaged = round + course->n_averaged - course->n_rounds;
        s.closes = round == course->n_rounds;
    }
    return s;
}

uint32_t job_carried(const job_aggregate *rule, const job_rule *course) {
    return rule->n_moments + (course->n_averaged > 0);
}

/* Each step rounds once, and what it was off by shrinks with the mean that carries it: after k models at most (k + 1) /
 * 2 roundings to float, where the largest value counts. */
void job_average(float *next, float *average, uint64_t n, const job_stride *stride) {
    if (stride->n_averaged == 0) return;
    for (uint64_t i = 0; i < n; i++) {
        const double before = (double)average[i];
        average[i] = (float)(before + ((double)next[i] - before) / stride->n_averaged);
        if (stride->closes) next[i] = average[i];
    }
}

void job_step(const job_aggregate *rule, float *next, float *carried, const float *global, const float *mean,
              uint64_t first, uint64_t n, uint64_t n_values, const job_stride *stride) {
    float *slices[JOB_CARRIED_MAX] = {NULL};
    for (uint32_t k = 0; k < rule->n_moments; k++)
        slices[k] = carried + k * n_values + first;
    rule->apply(next, slices, global, mean, n, stride);
    if (stride->n_averaged > 0) job_average(next, carried + rule->n_moments * n_values + first, n, stride);
}

static const job_aggregate table[] = {
    {"fedavg", "the global weights plus the weighted mean of the updates", 0, fedavg},
    {"fedadam", "Adam on the weighted mean of the updates", 2, fedadam},
};

msfl_status job_aggregate_find(const char *name, const job_aggregate **out) {
    char names[200] = "";
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (strcmp(table[i].name, name) == 0) {
            *out = &table[i];
            return MSFL_OK;
        }
        if (i > 0) strncat(names, ", ", sizeof names - strlen(names) - 1);
        strncat(names, table[i].name, sizeof names - strlen(names) - 1);
    }
    return msfl_fail(MSFL_ERR_USAGE, "there is no rule of aggregation '%.40s': %s", name, names);
}

msfl_status job_aggregate_check(const job_aggregate *rule, const job_sent *sent) {
    for (uint32_t i = 0; rule->n_moments > 0 && i < sent->n_tensors; i++) {
        if (sent->weight[i]) continue;
        return msfl_fail(MSFL_ERR_USAGE,
                         "aggregate %s is for networks whose every value is trained by gradient; this one has moving "
                         "statistics (batch normalisation), which only fedavg averages rightly",
                         rule->name);
    }
    return MSFL_OK;
}
