/* Statistics of a volume: what counts, percentiles, mean and deviation. Sums run in one order, so results do not depend
 * on threads. */
#ifndef MSFL_RECIPE_MEASURE_H
#define MSFL_RECIPE_MEASURE_H

#include "recipe/recipe.h"
#include "recipe/volume.h"

enum { MSFL_OTSU_BINS = 256 };

/** Otsu's threshold over MSFL_OTSU_BINS equal bins from the smallest to the largest value: the upper end of the last
 * bin that belongs to the lower class (N. Otsu, IEEE Trans. SMC 9(1), 1979, eq. 18). A flat volume gives its value. */
float msfl_otsu(const float *values, size_t n);

/** What `region` means for this volume, as a rule that can be asked value by value. */
typedef struct msfl_rule {
    bool all, nonzero;
    float above;
} msfl_rule;
msfl_rule msfl_rule_of(const msfl_region *region, const msfl_volume *v);

static inline bool msfl_rule_takes(const msfl_rule *r, float value) {
    return r->all || (r->nonzero ? value != 0 : value > r->above);
}

/** Values at `percent` (0 to 100) of those that the rule takes, interpolated linearly between neighbours in order as
 *  numpy.percentile does. ERR_DATA when the rule takes none. */
msfl_status msfl_percentiles(const char *name, const msfl_volume *v, const msfl_rule *rule, const double *percent,
                             size_t n_percent, double *out) MSFL_NODISCARD;

/** Mean and deviation (divided by n) of the values that the rule takes. ERR_DATA when there are none, or all are equal.
 */
msfl_status msfl_mean_deviation(const char *name, const msfl_volume *v, const msfl_rule *rule, double *mean,
                                double *deviation) MSFL_NODISCARD;

#endif
