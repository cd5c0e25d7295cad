/* The seeded form of lattice schemes with a key pair: half the size, made with the secret key. Not what hospitals
 * send, since whoever encrypts so can open everything; measured because other libraries' figures are often of it. */
#ifndef MSFL_MEASURE_SEEDED_H
#define MSFL_MEASURE_SEEDED_H

#include "measure/engine.h"

/** One scheme's calls. `ctx`, `secret` and `ct` are the scheme's own objects. */
typedef struct measure_seeded {
    const char *scheme;
    msfl_status (*ctx_new)(const msfl_scheme_request *request, void **ctx);
    void (*ctx_free)(void *ctx);
    uint64_t (*chunks)(const void *ctx, uint64_t n_values);
    uint32_t (*chunk_values)(const void *ctx, uint64_t n_values, uint64_t j);
    msfl_status (*secret_new)(const void *ctx, void **secret);
    void (*secret_free)(void *secret);
    msfl_status (*ct_new)(const void *ctx, void **ct);
    void (*ct_free)(void *ct);
    size_t (*ct_bytes)(const void *ctx, const void *ct);
    void (*ct_write)(const void *ctx, const void *ct, uint8_t *out);
    msfl_status (*ct_read)(const void *ctx, const uint8_t *bytes, size_t length, void *ct);
    msfl_status (*encrypt)(const void *ctx, void *secret, uint64_t chunk, const uint32_t *values, uint32_t n_values,
                           void *ct);
    msfl_status (*add)(const void *ctx, void *acc, const void *ct);
    msfl_status (*decrypt)(const void *ctx, void *secret, const void *ct, uint64_t *totals);
} measure_seeded;

extern const measure_seeded measure_seeded_bfv;
extern const measure_seeded measure_seeded_ckks;

/** NULL if the scheme has no such form. */
const measure_seeded *measure_seeded_of(const char *scheme);

/** An engine for one thread. */
msfl_status measure_seeded_engine(const measure_engine_request *request, measure_engine **out) MSFL_NODISCARD;

#endif
