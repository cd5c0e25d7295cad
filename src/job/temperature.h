/* Temperature calibration (Guo et al. 2017) from sums alone: every hospital adds up, for each of a few temperatures,
 * the cross-entropy of its validation images, and the sums over all hospitals say which temperature is best. */
#ifndef MSFL_JOB_TEMPERATURE_H
#define MSFL_JOB_TEMPERATURE_H

#include "medsecurefl/model.h"

/** Temperatures tried: 2^-2 to 2^3 in equal steps of the logarithm. */
enum { JOB_TEMPERATURES = 41 };

/** sums[i] += sum of -log p_y x 2^10 (JOB_LOSS_ONE), rounded, at temperature i: probabilities to the power of 1 / T,
 * made to sum to 1. n x n_classes probabilities. */
void job_temperature_add(const float *probabilities, const uint32_t *labels, uint32_t n, uint32_t n_classes,
                         uint64_t sums[JOB_TEMPERATURES]);
/** The best temperature, by a parabola through the least sum and its neighbours; 1 for sums that are all zero. */
double job_temperature_best(const uint64_t sums[JOB_TEMPERATURES]);
/** n x n_classes probabilities at a temperature, in place. */
void job_temperature_apply(double temperature, uint32_t n, uint32_t n_classes, float *probabilities);
/** The same in the network: kernel and bias of its last layer by the temperature, in place. */
void job_temperature_fold(const msfl_model *model, double temperature, float *weights);

#endif
