/* No encryption, as a streaming coordinator uses it. */
#include "base/mem.h"
#include "measure/engine.h"
#include "medsecurefl/plain.h"

#include <stdio.h>
#include <string.h>

typedef struct plain_engine {
    measure_engine base;
    msfl_plain_shape shape;
    uint8_t label[MSFL_HASH_BYTES];
    uint8_t *sum;
    bool *has; /* chunks that something was added to */
} plain_engine;

static plain_engine *of(measure_engine *e) {
    return (plain_engine *)e;
}

static msfl_status encrypt(measure_engine *e, uint64_t j, const uint32_t *slots, uint8_t *out) {
    return msfl_plain_write(&of(e)->shape, of(e)->label, j, slots, out);
}

static msfl_status sum_begin(measure_engine *e) {
    plain_engine *p = of(e);
    msfl_free(p->sum);
    msfl_free(p->has);
    p->sum = msfl_alloc(e->byte_at[e->n_chunks], 1);
    p->has = msfl_alloc(e->n_chunks, sizeof *p->has);
    return p->sum == NULL || p->has == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
}

static msfl_status fold(measure_engine *e, uint64_t j, const uint8_t *bytes, size_t length) {
    plain_engine *p = of(e);
    uint8_t *acc = p->sum + e->byte_at[j];
    if (p->has[j]) return msfl_plain_add(&p->shape, p->label, j, acc, bytes, length);
    uint32_t n_addends;
    msfl_status status = msfl_plain_check(&p->shape, p->label, j, bytes, length, &n_addends);
    if (status != MSFL_OK) return status;
    memcpy(acc, bytes, length);
    p->has[j] = true;
    return MSFL_OK;
}

static msfl_status open(measure_engine *e, uint64_t j, uint64_t *totals) {
    plain_engine *p = of(e);
    return msfl_plain_read(&p->shape, p->label, j, p->sum + e->byte_at[j], e->byte_at[j + 1] - e->byte_at[j], NULL,
                           totals);
}

static void engine_free(measure_engine *e) {
    plain_engine *p = of(e);
    msfl_free(p->sum);
    msfl_free(p->has);
    measure_engine_clear(e);
    msfl_free(p);
}

static uint32_t chunk_slots(const measure_engine *e, uint64_t j) {
    return msfl_plain_chunk_values(&((const plain_engine *)e)->shape, j);
}

static size_t chunk_bytes(const measure_engine *e, uint64_t j) {
    return msfl_plain_chunk_bytes(&((const plain_engine *)e)->shape, j);
}

msfl_status measure_plain_engine(const measure_engine_request *request, msfl_bench_he_row *row, measure_engine **out) {
    static const measure_engine_ops ops = {
        .encrypt = encrypt, .sum_begin = sum_begin, .fold = fold, .open = open, .free = engine_free};
    plain_engine *p = msfl_alloc(1, sizeof *p);
    if (p == NULL) return MSFL_ERR_MEMORY;
    p->base.ops = &ops;
    p->base.copies_first = true;
    p->shape = (msfl_plain_shape){request->sum.n_clients, request->sum.value_bits, request->sum.n_values};
    snprintf(row->parameters, sizeof row->parameters, "not encrypted");
    msfl_status status = measure_engine_lay_out(&p->base, msfl_plain_chunks(&p->shape), chunk_slots, chunk_bytes);
    if (status != MSFL_OK) {
        engine_free(&p->base);
        return status;
    }
    *out = &p->base;
    return MSFL_OK;
}
