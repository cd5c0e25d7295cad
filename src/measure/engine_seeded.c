#include "base/error.h"
#include "base/mem.h"
#include "measure/seeded.h"

#include <string.h>

typedef struct seeded_engine {
    measure_engine base;
    const measure_seeded *calls;
    uint64_t n_values;
    void *ctx, *secret;
    void *ct;   /* what is being encrypted or read */
    void **sum; /* per chunk */
    uint32_t *zeros;
    size_t full_bytes, last_bytes;
} seeded_engine;

static seeded_engine *of(measure_engine *e) {
    return (seeded_engine *)e;
}

static const measure_seeded *const all[] = {&measure_seeded_bfv, &measure_seeded_ckks};

const measure_seeded *measure_seeded_of(const char *scheme) {
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(all[i]->scheme, scheme) == 0) return all[i];
    }
    return NULL;
}

static msfl_status encrypt(measure_engine *e, uint64_t j, const uint32_t *slots, uint8_t *out) {
    seeded_engine *s = of(e);
    uint32_t n = s->calls->chunk_values(s->ctx, s->n_values, j);
    msfl_status status = s->calls->encrypt(s->ctx, s->secret, j, slots, n, s->ct);
    if (status != MSFL_OK) return status;
    if (s->calls->ct_bytes(s->ctx, s->ct) != e->byte_at[j + 1] - e->byte_at[j]) {
        return msfl_fail(MSFL_ERR_MISMATCH, "a seeded chunk of unforeseen size");
    }
    s->calls->ct_write(s->ctx, s->ct, out);
    return MSFL_OK;
}

static void sum_clear(seeded_engine *s) {
    for (uint64_t j = 0; s->sum != NULL && j < s->base.n_chunks; j++) {
        if (s->sum[j] != NULL) s->calls->ct_free(s->sum[j]);
    }
    msfl_free((void *)s->sum);
    s->sum = NULL;
}

static msfl_status sum_begin(measure_engine *e) {
    seeded_engine *s = of(e);
    sum_clear(s);
    s->sum = msfl_alloc(e->n_chunks, sizeof *s->sum);
    return s->sum == NULL ? MSFL_ERR_MEMORY : MSFL_OK;
}

/** Reading expands the seed. */
static msfl_status fold(measure_engine *e, uint64_t j, const uint8_t *bytes, size_t length) {
    seeded_engine *s = of(e);
    msfl_status status = MSFL_OK;
    if (s->sum[j] == NULL) status = s->calls->ct_new(s->ctx, &s->sum[j]);
    if (status == MSFL_OK) status = s->calls->ct_read(s->ctx, bytes, length, s->ct);
    return status == MSFL_OK ? s->calls->add(s->ctx, s->sum[j], s->ct) : status;
}

static msfl_status open(measure_engine *e, uint64_t j, uint64_t *totals) {
    return of(e)->calls->decrypt(of(e)->ctx, of(e)->secret, of(e)->sum[j], totals);
}

static void engine_free(measure_engine *e) {
    seeded_engine *s = of(e);
    sum_clear(s);
    if (s->ct != NULL) s->calls->ct_free(s->ct);
    if (s->secret != NULL) s->calls->secret_free(s->secret);
    if (s->ctx != NULL) s->calls->ctx_free(s->ctx);
    msfl_free(s->zeros);
    measure_engine_clear(e);
    msfl_free(s);
}

static uint32_t chunk_slots(const measure_engine *e, uint64_t j) {
    const seeded_engine *s = (const seeded_engine *)e;
    return s->calls->chunk_values(s->ctx, s->n_values, j);
}

static size_t chunk_bytes(const measure_engine *e, uint64_t j) {
    const seeded_engine *s = (const seeded_engine *)e;
    return j + 1 == s->calls->chunks(s->ctx, s->n_values) ? s->last_bytes : s->full_bytes;
}

/** Of a chunk of so many values: its bytes do not depend on them. */
static msfl_status probe(seeded_engine *s, uint32_t n_values, size_t *bytes) {
    msfl_status status = s->calls->encrypt(s->ctx, s->secret, 0, s->zeros, n_values, s->ct);
    if (status == MSFL_OK) *bytes = s->calls->ct_bytes(s->ctx, s->ct);
    return status;
}

static msfl_status set_up(seeded_engine *s, const msfl_scheme_request *request) {
    msfl_status status = s->calls->ctx_new(request, &s->ctx);
    if (status == MSFL_OK) status = s->calls->secret_new(s->ctx, &s->secret);
    if (status == MSFL_OK) status = s->calls->ct_new(s->ctx, &s->ct);
    if (status != MSFL_OK) return status;
    uint64_t n_chunks = s->calls->chunks(s->ctx, s->n_values);
    uint32_t full = s->calls->chunk_values(s->ctx, s->n_values, 0);
    s->zeros = msfl_alloc(full, sizeof *s->zeros);
    if (s->zeros == NULL) return MSFL_ERR_MEMORY;
    status = probe(s, full, &s->full_bytes);
    if (status == MSFL_OK) status = probe(s, s->calls->chunk_values(s->ctx, s->n_values, n_chunks - 1), &s->last_bytes);
    return status == MSFL_OK ? measure_engine_lay_out(&s->base, n_chunks, chunk_slots, chunk_bytes) : status;
}

msfl_status measure_seeded_engine(const measure_engine_request *request, measure_engine **out) {
    static const measure_engine_ops ops = {
        .encrypt = encrypt, .sum_begin = sum_begin, .fold = fold, .open = open, .free = engine_free};
    const measure_seeded *calls = measure_seeded_of(msfl_scheme_name(request->scheme));
    if (calls == NULL) return msfl_fail(MSFL_ERR_UNSUPPORTED, "this scheme has no seeded form");
    seeded_engine *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_ERR_MEMORY;
    s->base.ops = &ops;
    s->base.in_order = s->base.copies_first = s->base.opens_elsewhere = true;
    s->calls = calls;
    s->n_values = request->sum.n_values;
    msfl_status status = set_up(s, &request->sum);
    if (status != MSFL_OK) {
        engine_free(&s->base);
        return status;
    }
    *out = &s->base;
    return MSFL_OK;
}
