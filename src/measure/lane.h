/* The throughput of one scheme with one set of parameters: one row of `bench he`. */
#ifndef MSFL_MEASURE_LANE_H
#define MSFL_MEASURE_LANE_H

#include "measure/engine.h"
#include "measure/subject.h"

typedef struct measure_lane_request {
    const msfl_scheme *scheme;
    uint32_t n_clients, value_bits, ring_degree, n_threads;
    double seconds;
    bool seeded; /**< the seeded form; one thread */
    const msfl_bench_subject *subject;
} measure_lane_request;

/** Fills `row`, but for the ratios. ERR_CRYPTO, naming the place, if one opened integer is not the plain sum. */
msfl_status measure_lane_run(const measure_lane_request *request, const msfl_observer *observer,
                             msfl_bench_he_row *row) MSFL_NODISCARD;

/** The ratios: ciphertext bytes a second over what the machine copies and encrypts with AES. */
void measure_lane_relate(msfl_bench_he_row *row, const msfl_bench_machine *machine);

#endif
