#include "job/aggregate.h"

#include "base/error.h"

#include <string.h>

/* McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data" (2017), Algorithm 1: the
 * mean comes weighted by sample counts already. */
static void fedavg(const float *global, const float *mean, uint64_t n_values, float *next) {
    for (uint64_t i = 0; i < n_values; i++)
        next[i] = global[i] + mean[i];
}

static const job_aggregate table[] = {
    {"fedavg", "the global weights plus the weighted mean of the updates", fedavg},
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
