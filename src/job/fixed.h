/* Sums of updates that are not encrypted, in fixed point: the result does not depend on the order in which hospitals
 * arrive. What `simulate` compares encrypted sums with, and what a coordinator makes of a job of scheme plain. */
#ifndef MSFL_JOB_FIXED_H
#define MSFL_JOB_FIXED_H

#include "medsecurefl/status.h"

/** 2^-36 is far below float32's resolution of any weight; the range is +-2^27 for the whole sum. */
#define JOB_FIXED_ONE 0x1p36
enum {
    JOB_MAGNITUDE_MAX = 1 << 17, /**< of one value: JOB_FIXED_CLIENTS_MAX of it stay within 2^27 */
    JOB_FIXED_CLIENTS_MAX = 1000
};

/** sums[i] += omega values[i], with omega in [0, 1]. */
void job_fixed_add(int64_t *sums, const float *values, uint64_t n, double omega);
/** The weighted mean; `omega_sum` > 0. */
double job_fixed_mean(int64_t sum, double omega_sum);
/** ERR_NUMERIC, naming the position (`first` + i), for a value beyond +-JOB_MAGNITUDE_MAX or none at all. */
msfl_status job_fixed_check(const float *values, uint64_t n, uint64_t first) MSFL_NODISCARD;

#endif
