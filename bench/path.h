/* The way of one update from floats to ciphertext bytes, and of the sum back to floats, measured without round, hashing
 * or seals. Uses public interfaces alone. */
#ifndef MSFL_BENCH_PATH_H
#define MSFL_BENCH_PATH_H

#include "medsecurefl/packed.h"
#include "medsecurefl/update.h"

typedef struct bench_path {
    uint32_t n_clients, bits;
    uint64_t n_values, n_slots, n_chunks;
    size_t ciphertext_bytes; /**< of one client */
    msfl_update_layout *layout;
    msfl_packed *ctx;
    msfl_packed_sum *sum;
    float *values, *mean;
    uint32_t *slots;     /**< of one chunk, as a client that streams its chunks holds them */
    uint64_t *totals;    /**< of one chunk */
    uint8_t *ciphertext; /**< of one client */
    int32_t *key_sum;
} bench_path;

/** Parameters from the planner; values uniform in [-1, 1], clipping bound 1. ERR_PARAMS and the like as the planner
 *  says. Clear with bench_path_clear, also after a failure. */
msfl_status bench_path_init(bench_path *p, uint32_t n_clients, uint32_t bits, uint64_t n_values) MSFL_NODISCARD;
void bench_path_clear(bench_path *p);

/** One client's update from floats to bytes: a fresh key, then quantise, encrypt and pack every chunk. `seconds` gets
 *  what it took. With `add`, the key and the bytes then go into the sum, which is not measured. */
msfl_status bench_path_client(bench_path *p, uint32_t client, bool add, double *seconds) MSFL_NODISCARD;

/** Open every chunk of the sum of all clients and decode it to floats; each must have been added. */
msfl_status bench_path_open(bench_path *p, double *seconds) MSFL_NODISCARD;

/** Only quantise every chunk, and only decode a sum of middle values: what the above spend outside of encryption. */
msfl_status bench_path_quantise(bench_path *p, double *seconds) MSFL_NODISCARD;
msfl_status bench_path_decode(bench_path *p, double *seconds) MSFL_NODISCARD;

/** The best of `repeat` measurements of each, in million values per second. `p` is fresh. */
typedef struct bench_path_rates {
    double client_mvps, open_mvps, quantise_mvps, decode_mvps;
} bench_path_rates;
msfl_status bench_path_measure(bench_path *p, uint64_t repeat, bench_path_rates *rates) MSFL_NODISCARD;

#endif
