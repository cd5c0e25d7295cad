/* What a round would take: bytes as they are planned, seconds by the cost model. */
#include "base/error.h"
#include "measure/cost.h"
#include "measure/subject.h"

#include <math.h>
#include <string.h>

static const measure_field prediction_fields[] = {
    MEASURE_FIELD(msfl_bench_prediction, MEASURE_U32, clients),
    MEASURE_FIELD(msfl_bench_prediction, MEASURE_U64, values),
    MEASURE_FIELD(msfl_bench_prediction, MEASURE_REAL, link_mbps),
    MEASURE_FIELD(msfl_bench_prediction, MEASURE_U64, upload_bytes),
    MEASURE_FIELD(msfl_bench_prediction, MEASURE_U64, setup_bytes),
    MEASURE_FIELD(msfl_bench_prediction, MEASURE_U64, download_bytes),
    MEASURE_FIELD(msfl_bench_prediction, MEASURE_U64, coordinator_in_bytes),
    MEASURE_FIELD(msfl_bench_prediction, MEASURE_U64, coordinator_out_bytes),
    MEASURE_FIELD(msfl_bench_prediction, MEASURE_REAL, client_s),
    MEASURE_FIELD(msfl_bench_prediction, MEASURE_REAL, client_upload_s),
    MEASURE_FIELD(msfl_bench_prediction, MEASURE_REAL, client_download_s),
    MEASURE_FIELD(msfl_bench_prediction, MEASURE_REAL, coordinator_s),
    MEASURE_FIELD(msfl_bench_prediction, MEASURE_REAL, coordinator_in_s),
    MEASURE_FIELD(msfl_bench_prediction, MEASURE_REAL, coordinator_out_s),
    MEASURE_FIELD(msfl_bench_prediction, MEASURE_REAL, key_holder_s),
    MEASURE_FIELD(msfl_bench_prediction, MEASURE_REAL, round_s),
};

msfl_status msfl_bench_predict(const msfl_bench_costs *costs, uint32_t n_clients, uint64_t n_values, double link_mbps,
                               msfl_bench_prediction *out) {
    memset(out, 0, sizeof *out);
    if (n_values < 1 || n_values > (uint64_t)1 << 33 || !(link_mbps > 0.0) || !isfinite(link_mbps)) {
        return msfl_fail(MSFL_ERR_USAGE, "a prediction needs 1 to 2^33 values and a line of more than 0 Mbit/s");
    }
    const msfl_scheme *scheme;
    msfl_status status = msfl_scheme_find(costs->scheme, &scheme);
    if (status != MSFL_OK) return status;
    const msfl_update_range range = {n_values, 1.0f};
    msfl_update_layout *layout;
    status = msfl_update_layout_new(costs->bits, 1, MEASURE_SAMPLES, &range, 1, &layout);
    if (status != MSFL_OK) return status;
    const msfl_scheme_request request = {
        .n_clients = n_clients, .min_cohort = 2, .value_bits = costs->bits, .n_values = msfl_update_slots(layout)};
    msfl_update_layout_free(layout);
    msfl_setup *setup;
    status = msfl_setup_new(scheme, &request, &setup);
    if (status != MSFL_OK) return status;
    msfl_scheme_facts facts;
    msfl_setup_facts(setup, &facts);
    msfl_setup_free(setup);
    double n = n_clients, v = (double)n_values, bytes_per_s = link_mbps * 1e6 / 8.0;
    out->clients = n_clients;
    out->values = n_values;
    out->link_mbps = link_mbps;
    out->upload_bytes = facts.upload_bytes + facts.trailer_bytes;
    out->setup_bytes = facts.setup_bytes;
    out->download_bytes = 4 * n_values;
    out->coordinator_in_bytes = n_clients * out->upload_bytes;
    out->coordinator_out_bytes = n_clients * (out->download_bytes + out->setup_bytes);
    out->client_s = msfl_bench_cost_of(&costs->parties[MSFL_BENCH_CLIENT], n, v);
    out->client_upload_s = (double)out->upload_bytes / bytes_per_s;
    out->client_download_s = (double)(out->download_bytes + out->setup_bytes) / bytes_per_s;
    out->coordinator_s = msfl_bench_cost_of(&costs->parties[MSFL_BENCH_COORDINATOR], n, v);
    out->coordinator_in_s = (double)out->coordinator_in_bytes / bytes_per_s;
    out->coordinator_out_s = (double)out->coordinator_out_bytes / bytes_per_s;
    out->key_holder_s = msfl_bench_cost_of(&costs->parties[MSFL_BENCH_KEY_HOLDER], n, v);
    /* All clients work at once; the coordinator's line carries all uploads, then all downloads, and is never faster
     * than one client's. Nothing is taken to overlap, so a real round is no slower for that reason. */
    out->round_s =
        out->client_s + out->coordinator_in_s + out->coordinator_s + out->key_holder_s + out->coordinator_out_s;
    return MSFL_OK;
}

msfl_status msfl_bench_prediction_json(const msfl_bench_costs *costs, const msfl_bench_prediction *prediction,
                                       char **text) {
    return measure_json_take(
        json_pack(
            "{s:o,s:o}", "prediction",
            measure_row_json(prediction_fields, sizeof prediction_fields / sizeof prediction_fields[0], prediction),
            "costs", measure_costs_json(costs)),
        text);
}
