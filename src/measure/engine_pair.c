/* A scheme with one key pair, chunk by chunk: bfv, ckks, paillier. */
#include "base/error.h"
#include "base/mem.h"
#include "measure/engine.h"
#include "measure/machine.h"

#include <stdio.h>
#include <string.h>

typedef struct pair_engine {
    measure_engine base;
    msfl_setup *setup;
    msfl_keys *keys;
    msfl_setup *adder_setup; /* the coordinator's own: it has no more of the key than it takes to add */
    msfl_keys *adder;
    uint8_t label[MSFL_HASH_BYTES];
    uint8_t *sum;
    bool *has; /* chunks that something was added to */
} pair_engine;

static pair_engine *of(measure_engine *e) {
    return (pair_engine *)e;
}

static msfl_status encrypt(measure_engine *e, uint64_t j, const uint32_t *slots, uint8_t *out) {
    return msfl_pair_encrypt(of(e)->keys, of(e)->label, j, slots, out);
}

static msfl_status sum_begin(measure_engine *e) {
    pair_engine *p = of(e);
    msfl_free(p->sum);
    msfl_free(p->has);
    p->sum = msfl_alloc(e->byte_at[e->n_chunks], 1);
    p->has = msfl_alloc(e->n_chunks, sizeof *p->has);
    return p->sum == NULL || p->has == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
}

static msfl_status fold(measure_engine *e, uint64_t j, const uint8_t *bytes, size_t length) {
    pair_engine *p = of(e);
    uint8_t *acc = p->sum + e->byte_at[j];
    if (p->has[j]) return msfl_pair_add(p->adder, p->label, j, acc, bytes, length);
    uint32_t n_addends;
    msfl_status status = msfl_pair_check(p->adder, p->label, j, bytes, length, &n_addends);
    if (status != MSFL_OK) return status;
    memcpy(acc, bytes, length);
    p->has[j] = true;
    return MSFL_OK;
}

static msfl_status open(measure_engine *e, uint64_t j, uint64_t *totals) {
    pair_engine *p = of(e);
    return msfl_pair_decrypt(p->keys, p->label, j, p->sum + e->byte_at[j], e->byte_at[j + 1] - e->byte_at[j], NULL,
                             totals);
}

static void engine_free(measure_engine *e) {
    pair_engine *p = of(e);
    msfl_keys_free(p->adder);
    msfl_setup_free(p->adder_setup);
    msfl_keys_free(p->keys);
    msfl_setup_free(p->setup);
    msfl_free(p->sum);
    msfl_free(p->has);
    measure_engine_clear(e);
    msfl_free(p);
}

static msfl_status make_adder(pair_engine *p) {
    uint8_t bytes[MSFL_KEY_ADDER_BYTES_MAX];
    size_t length = msfl_keys_bytes(p->keys, MSFL_KEY_ADDER);
    if (length > sizeof bytes) return msfl_fail(MSFL_ERR_LIMIT, "%zu bytes to add with", length);
    uint64_t before = measure_memory_now();
    msfl_status status = msfl_keys_write(p->keys, MSFL_KEY_ADDER, bytes);
    if (status == MSFL_OK) {
        status =
            msfl_pair_setup(msfl_setup_scheme(p->setup), msfl_setup_request(p->setup), bytes, length, &p->adder_setup);
    }
    if (status == MSFL_OK) status = msfl_keys_read(p->adder_setup, MSFL_KEY_ADDER, bytes, length, &p->adder);
    p->base.coordinator_bytes = measure_memory_now() - before;
    return status;
}

static uint32_t chunk_slots(const measure_engine *e, uint64_t j) {
    return msfl_setup_chunk_values(((const pair_engine *)e)->setup, j);
}

static size_t chunk_bytes(const measure_engine *e, uint64_t j) {
    return msfl_setup_chunk_bytes(((const pair_engine *)e)->setup, j);
}

msfl_status measure_pair_engine(const measure_engine_request *request, msfl_bench_he_row *row, measure_engine **out) {
    static const measure_engine_ops ops = {
        .encrypt = encrypt, .sum_begin = sum_begin, .fold = fold, .open = open, .free = engine_free};
    pair_engine *p = msfl_alloc(1, sizeof *p);
    if (p == NULL) return MSFL_ERR_MEMORY;
    p->base.ops = &ops;
    p->base.copies_first = p->base.opens_elsewhere = true;
    msfl_scheme_facts facts;
    msfl_status status = msfl_setup_new(request->scheme, &request->sum, &p->setup);
    if (status != MSFL_OK) goto done;
    msfl_setup_facts(p->setup, &facts);
    snprintf(row->parameters, sizeof row->parameters, "%.*s", (int)sizeof row->parameters - 1, facts.parameters);
    row->security_bits = facts.security_bits;
    status = measure_engine_lay_out(&p->base, msfl_setup_chunks(p->setup), chunk_slots, chunk_bytes);
    if (status == MSFL_OK) status = msfl_keys_new(p->setup, &p->keys);
    if (status == MSFL_OK) status = make_adder(p);
done:
    if (status != MSFL_OK) {
        engine_free(&p->base);
        return status;
    }
    *out = &p->base;
    return MSFL_OK;
}
