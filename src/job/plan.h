/* One round's plan, as the coordinator gives it and a hospital reads it. docs/formats/http.md */
#ifndef MSFL_JOB_PLAN_H
#define MSFL_JOB_PLAN_H

#include "job/spec.h"

typedef enum job_kind { JOB_UPDATE = 0, JOB_EVALUATE = 1, JOB_TEST = 2 } job_kind;
/** "update", "evaluate", "test". Static storage. */
const char *job_kind_name(job_kind kind);

typedef struct job_plan {
    uint64_t number; /**< of the announcement */
    uint32_t round;  /**< of the course, from 1 */
    job_kind kind;
    uint32_t model; /**< index of the weights */
    double learning_rate;
    float *clip; /**< one for each tensor that is sent; NULL unless JOB_UPDATE */
} job_plan;

void job_plan_clear(job_plan *plan);
msfl_status job_plan_text(const job_plan *plan, uint32_t n_tensors, char **text) MSFL_NODISCARD;
/** Bounds are finite and positive, numbers within the job's. Clear `out` in any case. */
msfl_status job_plan_parse(const char *text, size_t length, const job_shape *shape, job_plan *out) MSFL_NODISCARD;
/** Layout of the plan's vector: job_shape_layout. */
msfl_status job_plan_layout(const job_plan *plan, const job_shape *shape, msfl_update_layout **out) MSFL_NODISCARD;

#endif
