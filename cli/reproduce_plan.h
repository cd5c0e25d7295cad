/* What `medsecurefl reproduce` has been asked to do, and the runs it consists of. */
#ifndef MSFL_CLI_REPRODUCE_PLAN_H
#define MSFL_CLI_REPRODUCE_PLAN_H

#include "medsecurefl/simulate.h"
#include "reproduce.h"
#include "reproduce_progress.h"

enum { REPRODUCE_COLUMNS_MAX = 16, REPRODUCE_SEEDS_MAX = 100 };

typedef struct reproduce_plan {
    msfl_simulate_options options; /**< what all runs share */
    const char *out;
    uint32_t clients[REPRODUCE_COLUMNS_MAX], n_columns, n_seeds;
    bool json, quiet, quick;
    msfl_dataset *dataset; /**< opened once for all runs */
    uint32_t dataset_seed;
    bool central_left[REPRODUCE_SEEDS_MAX + 1]; /**< by seed: the central training has yet to be made */
    reproduce_progress progress;
} reproduce_plan;

/** What there is to do, for the estimate; `*any`: something is. Looks at the folders of all runs, changes none. */
msfl_status reproduce_plan_look_ahead(reproduce_plan *p, bool *any) MSFL_NODISCARD;

/** Whether all that is planned can be run, before the first of it is: the largest federation with every seed, for the
 *  split and what hospitals are dealt hang on it; the others with the first seed. */
msfl_status reproduce_plan_check(reproduce_plan *p) MSFL_NODISCARD;

/** One run: taken as it is, continued, or begun. What the tables need of it is appended to `runs`. */
msfl_status reproduce_plan_run(reproduce_plan *p, uint32_t clients, uint32_t seed, json_t *runs) MSFL_NODISCARD;

#endif
