/* What is made of a round's mean update: one table, to be extended. */
#ifndef MSFL_JOB_AGGREGATE_H
#define MSFL_JOB_AGGREGATE_H

#include "medsecurefl/status.h"

typedef struct job_aggregate {
    const char *name, *summary;
    /** `next` = the new global weights from `global` and the weighted mean of the updates. Value by value: a caller may
     *  give the vector in slices. `next` may be `mean`. */
    void (*apply)(const float *global, const float *mean, uint64_t n_values, float *next);
} job_aggregate;

/** By name; ERR_USAGE with the names for another. */
msfl_status job_aggregate_find(const char *name, const job_aggregate **out) MSFL_NODISCARD;

#endif
