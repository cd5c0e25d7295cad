/* The cost model of a round: which terms each party's seconds have, and how they are fitted. */
#ifndef MSFL_MEASURE_COST_H
#define MSFL_MEASURE_COST_H

#include "measure/fields.h"
#include "medsecurefl/bench.h"

/** Fit all parties' coefficients to rows; ERR_NUMERIC if they do not tell the terms apart. Fitted seconds go into the
 *  rows. */
msfl_status measure_costs_fit(msfl_bench_round_row *rows, size_t n_rows, msfl_bench_costs *out) MSFL_NODISCARD;

/** An object that msfl_bench_costs_parse reads. */
json_t *measure_costs_json(const msfl_bench_costs *costs);

#endif
