/* One scheme as a streaming coordinator and its clients use it, chunk by chunk: what the throughput figures time. */
#ifndef MSFL_MEASURE_ENGINE_H
#define MSFL_MEASURE_ENGINE_H

#include "medsecurefl/bench.h"

typedef struct measure_engine measure_engine;

typedef struct measure_engine_ops {
    /** Before a client's first chunk: its one-time key. NULL: nothing to do. */
    msfl_status (*client_begin)(measure_engine *e, uint32_t client);
    msfl_status (*encrypt)(measure_engine *e, uint64_t j, const uint32_t *slots, uint8_t *out);
    /** After its last: whatever key material belongs to the client is gone. May be called again, and after errors. */
    msfl_status (*client_end)(measure_engine *e);
    /** A running sum of nothing, in place of the last one. */
    msfl_status (*sum_begin)(measure_engine *e);
    /** One chunk of one client into the sum; NULL where only whole uploads are taken. */
    msfl_status (*fold)(measure_engine *e, uint64_t j, const uint8_t *bytes, size_t length);
    /** Instead of fold. */
    msfl_status (*upload)(measure_engine *e, uint32_t client, const uint8_t *bytes, uint64_t length);
    /** Before opening: `n_clients` were folded. NULL: nothing to do. */
    msfl_status (*close)(measure_engine *e, uint32_t n_clients);
    msfl_status (*open)(measure_engine *e, uint64_t j, uint64_t *totals);
    void (*free)(measure_engine *e);
} measure_engine_ops;

/** The base of every engine. */
struct measure_engine {
    const measure_engine_ops *ops;
    uint64_t n_chunks;
    uint64_t *slot_at, *byte_at; /**< where chunk j begins, and of n_chunks the end */
    uint32_t chunk_slots_max;
    size_t chunk_bytes_max;
    bool in_order;              /**< chunks are encrypted one after the other */
    bool needs_all;             /**< the sum opens only with every client of the request in it */
    bool copies_first;          /**< the first client is copied, not added */
    bool opens_elsewhere;       /**< the sum is opened by the key holder, not by the coordinator */
    uint64_t coordinator_bytes; /**< memory that a coordinator needs before the first sum */
};

/** What engines are asked for; `n_values` counts slots. */
typedef struct measure_engine_request {
    const msfl_scheme *scheme;
    msfl_scheme_request sum;
    bool seeded; /**< the seeded form instead; one thread */
} measure_engine_request;

/** Places of chunks from their sizes. */
msfl_status measure_engine_lay_out(measure_engine *e, uint64_t n_chunks,
                                   uint32_t (*chunk_slots)(const measure_engine *, uint64_t),
                                   size_t (*chunk_bytes)(const measure_engine *, uint64_t)) MSFL_NODISCARD;
void measure_engine_clear(measure_engine *e);

/** By the scheme: its own calls for packed and plain, chunk by chunk under the key pair where there is one, sessions
 *  for all others. Fills in what a row says of parameters. */
msfl_status measure_engine_new(const measure_engine_request *request, msfl_bench_he_row *row,
                               measure_engine **out) MSFL_NODISCARD;
void measure_engine_free(measure_engine *e);

msfl_status measure_packed_engine(const measure_engine_request *request, msfl_bench_he_row *row,
                                  measure_engine **out) MSFL_NODISCARD;
msfl_status measure_plain_engine(const measure_engine_request *request, msfl_bench_he_row *row,
                                 measure_engine **out) MSFL_NODISCARD;
msfl_status measure_pair_engine(const measure_engine_request *request, msfl_bench_he_row *row,
                                measure_engine **out) MSFL_NODISCARD;
msfl_status measure_session_engine(const measure_engine_request *request, msfl_bench_he_row *row,
                                   measure_engine **out) MSFL_NODISCARD;

#endif
