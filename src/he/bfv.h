/* The inside of the bfv scheme. */
#ifndef MSFL_HE_BFV_H
#define MSFL_HE_BFV_H

#include "he/rlwe.h"
#include "medsecurefl/bfv.h"

#define MSFL_BFV_SCHEME "MSFLBFV1"

enum {
    /* Bounds lie this many standard deviations out: 2 exp(-16^2 / 2) < 2^-183 a coefficient. */
    MSFL_BFV_DEVIATIONS = 16,
    MSFL_BFV_CT_FIXED = 16 /* values (4), addends (4), seeded (4), zero (4) */
};

struct msfl_bfv {
    msfl_bfv_params params;
    msfl_rlwe ring;
    msfl_codec codec;
    uint64_t t[MSFL_PRIMES_MAX]; /**< t mod p */
};

struct msfl_bfv_secret {
    msfl_rlwe_secret base;
};

struct msfl_bfv_public {
    uint8_t id[MSFL_RLWE_ID_BYTES], seed[MSFL_RLWE_SEED_BYTES];
    uint8_t *b;       /**< values, packed planes */
    msfl_cell *b_row; /**< values, canonical planes */
    msfl_cell *a_row; /**< N a, values, canonical planes */
    msfl_rlwe_pool pool;
};

struct msfl_bfv_ct {
    uint32_t n_values, addends; /**< 0 values: empty */
    uint64_t chunk;
    bool seeded;
    uint8_t key_id[MSFL_RLWE_ID_BYTES], seed[MSFL_RLWE_SEED_BYTES];
    uint8_t *c0; /**< planes of as many coefficients as carry values */
    uint8_t *c1; /**< planes of N values; unused if seeded */
    /* To add a seeded one, made when first needed. Nothing here is secret. */
    msfl_aes *aes;
    msfl_stream *stream;
    msfl_cell *x;
    uint8_t *planes;
};

/** Bound on the noise of a sum of n ciphertexts: min(floor(16 sqrt(10.5 n (24 N + 1))), n (882 N + 21)). */
uint64_t msfl_bfv_noise_bound(uint32_t degree, uint32_t n_addends);

/** Whether `ct` may be added to `acc`, neither empty: of one key, chunk and length, and not too many. Errors as
 *  msfl_bfv_add. */
msfl_status msfl_bfv_check_addends(const msfl_bfv *ctx, const msfl_bfv_ct_facts *acc,
                                   const msfl_bfv_ct_facts *ct) MSFL_NODISCARD;

/** Coefficients that carry `n_values` values. */
uint32_t msfl_bfv_coefficients(const msfl_bfv_params *params, uint32_t n_values);
/** Bytes of a ciphertext of `n_values` values. */
size_t msfl_bfv_bytes_of(const msfl_bfv_params *params, uint32_t n_values, bool seeded);

#endif
