/* What a lane opened, against what it put in. */
#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "measure/lane_state.h"

#include <math.h>
#include <string.h>

msfl_status measure_lane_set_encoders(measure_lane *l, uint32_t client, uint32_t n) {
    const msfl_update_input input = {
        .values = l->values, .n_samples = MEASURE_SAMPLES, .rounding_seed = (uint64_t)client + 1};
    measure_desks_clear_encoders(l->desks, l->n_desks);
    return measure_desks_set_encoders(l->desks, n, l->layout, &input);
}

void measure_lane_clear_encoders(measure_lane *l) {
    measure_desks_clear_encoders(l->desks, l->n_desks);
}

msfl_status measure_lane_check_integers(measure_lane *l, uint32_t cohort) {
    measure_engine *e = l->engine;
    measure_desk *d = &l->desks[0];
    uint64_t *expected = msfl_alloc(e->slot_at[e->n_chunks], sizeof *expected);
    if (expected == NULL) return MSFL_ERR_MEMORY;
    msfl_status status = MSFL_OK;
    for (uint32_t c = 0; c < cohort && status == MSFL_OK; c++) {
        status = measure_lane_set_encoders(l, c, 1);
        for (uint64_t j = 0; j < e->n_chunks && status == MSFL_OK; j++) {
            status = msfl_update_quantise(d->encoder, e->slot_at[j], measure_engine_slots(e, j), d->slots, NULL);
            for (uint64_t i = 0; i < measure_engine_slots(e, j); i++)
                expected[e->slot_at[j] + i] += d->slots[i];
        }
        if (status == MSFL_OK) status = msfl_check_cancel(l->observer);
    }
    measure_lane_clear_encoders(l);
    for (uint64_t j = 0; j < e->n_chunks && status == MSFL_OK; j++) {
        status = e->ops->open(e, j, d->totals);
        if (status != MSFL_OK ||
            memcmp(d->totals, expected + e->slot_at[j], measure_engine_slots(e, j) * sizeof *expected) == 0) {
            continue;
        }
        status = msfl_fail(MSFL_ERR_CRYPTO, "%s: the opened sum of %u updates is wrong in chunk %llu", l->row->scheme,
                           cohort, (unsigned long long)j);
    }
    msfl_free(expected);
    return status;
}

msfl_status measure_lane_check_means(measure_lane *l, uint32_t cohort) {
    double worst = 0.0;
    for (uint64_t i = 0; i < l->n_values; i++)
        worst = fmax(worst, fabs((double)l->mean[i] - l->values[i]));
    l->row->max_error = worst;
    l->row->error_bound = msfl_update_error_bound(l->layout, 0, cohort, (uint64_t)cohort * MEASURE_SAMPLES);
    if (worst <= l->row->error_bound) return MSFL_OK;
    return msfl_fail(MSFL_ERR_CRYPTO, "%s: a decoded mean of %u updates is off by %g, and %g is the bound",
                     l->row->scheme, cohort, worst, l->row->error_bound);
}
