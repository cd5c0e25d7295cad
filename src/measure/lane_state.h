/* The inside of a lane: what lane.c times and lane_check.c checks. */
#ifndef MSFL_MEASURE_LANE_STATE_H
#define MSFL_MEASURE_LANE_STATE_H

#include "base/threads.h"
#include "measure/clock.h"
#include "measure/desk.h"
#include "measure/lane.h"

typedef struct measure_lane {
    const measure_lane_request *request;
    const msfl_observer *observer;
    msfl_bench_he_row *row;
    msfl_pool *pool;
    uint32_t n_desks;
    measure_desk *desks; /* one for each thread */
    msfl_update_layout *layout;
    measure_engine *engine;
    uint64_t n_values;
    float *values, *mean;
    uint8_t *wire;          /* one client's upload, as a socket would hand it on piece by piece */
    uint64_t begun_ns;      /* of the whole row, by the wall clock */
    uint64_t window;        /* first chunk that is being opened */
    uint64_t memory_before; /* the coordinator's step that is under way */
    int64_t held, memory_peak, memory_second, memory_last; /* the coordinator's, in bytes */
    measure_turns check, key, quantise, encrypt, fold, hash, fold_and_hash, open, decode;
} measure_lane;

/** The same floats for every client, rounded by each in its own way: encoders for the first `n` desks. */
msfl_status measure_lane_set_encoders(measure_lane *l, uint32_t client, uint32_t n) MSFL_NODISCARD;
void measure_lane_clear_encoders(measure_lane *l);

/** Every opened integer against the sum of what the clients quantised. ERR_CRYPTO, naming the chunk. */
msfl_status measure_lane_check_integers(measure_lane *l, uint32_t cohort) MSFL_NODISCARD;
/** Every decoded mean against the floats: all clients hold the same, with the same weight. Notes the largest error. */
msfl_status measure_lane_check_means(measure_lane *l, uint32_t cohort) MSFL_NODISCARD;

static inline uint64_t measure_engine_slots(const measure_engine *e, uint64_t j) {
    return e->slot_at[j + 1] - e->slot_at[j];
}

#endif
