/* layer: measure
 *
 * Any text as a cost model: an error, or one that predicts finite, non-negative seconds. */
#include "medsecurefl/bench.h"

#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    msfl_bench_costs costs;
    char text[200];
    if (msfl_bench_costs_parse("fuzz", (const char *)bytes, length, &costs) != MSFL_OK) return 0;
    for (size_t p = 0; p < MSFL_BENCH_PARTIES; p++) {
        double s = msfl_bench_cost_of(&costs.parties[p], 10000, 1e10);
        if (!isfinite(s) || s < 0.0) abort();
        msfl_bench_cost_formula(&costs.parties[p], text, sizeof text);
    }
    return 0;
}
