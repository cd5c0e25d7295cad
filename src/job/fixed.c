#include "job/fixed.h"

#include "base/error.h"

#include <inttypes.h>
#include <math.h>

void job_fixed_add(int64_t *sums, const float *values, uint64_t n, double omega) {
    for (uint64_t i = 0; i < n; i++)
        sums[i] += (int64_t)llrint(omega * (double)values[i] * JOB_FIXED_ONE);
}

double job_fixed_mean(int64_t sum, double omega_sum) {
    return (double)sum / JOB_FIXED_ONE / omega_sum;
}

msfl_status job_fixed_check(const float *values, uint64_t n, uint64_t first) {
    for (uint64_t i = 0; i < n; i++) {
        if (!(fabsf(values[i]) <= (float)JOB_MAGNITUDE_MAX)) {
            return msfl_fail(MSFL_ERR_NUMERIC, "value %" PRIu64 " of the update is beyond +-%d: training has diverged",
                             first + i, JOB_MAGNITUDE_MAX);
        }
    }
    return MSFL_OK;
}
