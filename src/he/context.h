/* The inside of a context, shared by keys and sums. */
#ifndef MSFL_HE_CONTEXT_H
#define MSFL_HE_CONTEXT_H

#include "he/security.h"
#include "medsecurefl/packed.h"
#include "ring/modulus.h"
#include "ring/uniform.h"

struct msfl_packed {
    msfl_params params;
    const msfl_kernel *kernel;
    msfl_modulus moduli[MSFL_PRIMES_MAX];
    msfl_codec codec;
};

/** 16-byte key of the streams that a round's public polynomials are drawn from. */
void msfl_public_key_of_round(const uint8_t round_seed[MSFL_HASH_BYTES], uint8_t key[16]);

/** Start the stream of polynomial j modulo prime i. */
msfl_status msfl_start_public(msfl_aes *aes, const uint8_t key[16], uint64_t chunk, uint32_t prime) MSFL_NODISCARD;

/** Transforms of N integers modulo every prime, prepared for multiplication: n_primes planes of N cells. */
void msfl_prepare_key(const msfl_packed *ctx, const int32_t *s, msfl_cell *out);

/** Slots and coefficients of chunk j of an update. Requires j < n_chunks. */
msfl_chunk_shape msfl_shape_of(const msfl_packed *ctx, uint64_t n_values, uint64_t j);

#endif
