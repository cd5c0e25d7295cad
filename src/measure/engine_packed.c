/* The packed scheme as a streaming coordinator uses it: no state but the running sum. */
#include "base/mem.h"
#include "base/sodium.h"
#include "measure/engine.h"
#include "measure/machine.h"
#include "medsecurefl/packed.h"

#include <stdio.h>
#include <string.h>

typedef struct packed_engine {
    measure_engine base;
    msfl_params params;
    uint64_t n_values;
    uint8_t seed[MSFL_HASH_BYTES];
    msfl_packed *ctx;
    msfl_packed_key *key;
    msfl_packed_sum *sum;
    int32_t *key_sum; /* in a round only the key holder adds keys */
    uint32_t n_addends;
} packed_engine;

static packed_engine *of(measure_engine *e) {
    return (packed_engine *)e;
}

static msfl_status client_begin(measure_engine *e, uint32_t client) {
    (void)client;
    packed_engine *p = of(e);
    return msfl_packed_key_new(p->ctx, p->seed, p->n_values, &p->key);
}

static msfl_status encrypt(measure_engine *e, uint64_t j, const uint32_t *slots, uint8_t *out) {
    return msfl_packed_encrypt(of(e)->ctx, of(e)->key, j, slots, out);
}

static msfl_status client_end(measure_engine *e) {
    packed_engine *p = of(e);
    if (p->key == NULL) return MSFL_OK;
    const int32_t *s = msfl_packed_key_borrow(p->key);
    for (uint32_t i = 0; i < p->params.ring_degree; i++)
        p->key_sum[i] += s[i];
    msfl_packed_key_free(p->key);
    p->key = NULL;
    return MSFL_OK;
}

static msfl_status sum_begin(measure_engine *e) {
    packed_engine *p = of(e);
    msfl_packed_sum_free(p->sum);
    p->sum = NULL;
    memset(p->key_sum, 0, p->params.ring_degree * sizeof *p->key_sum);
    return msfl_packed_sum_new(p->ctx, p->seed, p->n_values, &p->sum);
}

static msfl_status fold(measure_engine *e, uint64_t j, const uint8_t *bytes, size_t length) {
    return msfl_packed_fold(of(e)->ctx, of(e)->sum, j, bytes, length);
}

static msfl_status close(measure_engine *e, uint32_t n_clients) {
    of(e)->n_addends = n_clients;
    return MSFL_OK;
}

static msfl_status open(measure_engine *e, uint64_t j, uint64_t *totals) {
    packed_engine *p = of(e);
    return msfl_packed_open(p->ctx, p->sum, j, p->n_addends, p->key_sum, totals);
}

static void engine_free(measure_engine *e) {
    packed_engine *p = of(e);
    msfl_packed_key_free(p->key);
    msfl_packed_sum_free(p->sum);
    msfl_packed_free(p->ctx);
    msfl_free(p->key_sum);
    measure_engine_clear(e);
    msfl_free(p);
}

static uint32_t chunk_slots(const measure_engine *e, uint64_t j) {
    const packed_engine *p = (const packed_engine *)e;
    return msfl_packed_chunk_slots(p->ctx, p->n_values, j);
}

static size_t chunk_bytes(const measure_engine *e, uint64_t j) {
    const packed_engine *p = (const packed_engine *)e;
    return msfl_packed_chunk_bytes(p->ctx, p->n_values, j);
}

static void describe(const packed_engine *p, const msfl_params_facts *facts, msfl_bench_he_row *row) {
    row->ring_degree = p->params.ring_degree;
    row->primes = p->params.n_primes;
    row->log2_q = facts->log2_q;
    row->security_bits = p->params.security_bits;
    snprintf(row->parameters, sizeof row->parameters,
             "N = %u, %u primes, log2 q = %.1f of %.0f, %u values of %u bits a coefficient", p->params.ring_degree,
             p->params.n_primes, facts->log2_q, facts->log2_q_max, p->params.slots_per_coefficient,
             p->params.slot_bits);
}

msfl_status measure_packed_engine(const measure_engine_request *request, msfl_bench_he_row *row, measure_engine **out) {
    static const measure_engine_ops ops = {.client_begin = client_begin,
                                           .encrypt = encrypt,
                                           .client_end = client_end,
                                           .sum_begin = sum_begin,
                                           .fold = fold,
                                           .close = close,
                                           .open = open,
                                           .free = engine_free};
    const msfl_params_request planned = {.n_clients = request->sum.n_clients,
                                         .value_bits = request->sum.value_bits,
                                         .n_values = request->sum.n_values,
                                         .security_bits = request->sum.security_bits,
                                         .ring_degree = request->sum.ring_degree};
    packed_engine *p = msfl_alloc(1, sizeof *p);
    if (p == NULL) return MSFL_ERR_MEMORY;
    p->base.ops = &ops;
    p->n_values = planned.n_values;
    msfl_params_facts facts;
    msfl_status status = msfl_params_plan(&planned, &p->params);
    if (status != MSFL_OK) goto done;
    msfl_params_describe(&p->params, p->n_values, &facts);
    describe(p, &facts, row);
    status = MSFL_ERR_MEMORY;
    p->key_sum = msfl_alloc(p->params.ring_degree, sizeof *p->key_sum);
    if (p->key_sum == NULL) goto done;
    msfl_random_bytes(p->seed, sizeof p->seed);
    uint64_t before = measure_memory_now();
    status = msfl_packed_new(&p->params, &p->ctx);
    p->base.coordinator_bytes = measure_memory_now() - before;
    if (status == MSFL_OK) status = measure_engine_lay_out(&p->base, facts.n_chunks, chunk_slots, chunk_bytes);
done:
    if (status != MSFL_OK) {
        engine_free(&p->base);
        return status;
    }
    *out = &p->base;
    return MSFL_OK;
}
