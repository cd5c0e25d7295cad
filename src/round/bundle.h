/* A key bundle: one client's one-time key for one key holder, sealed. Format in docs/design/round.md. */
#ifndef MSFL_ROUND_BUNDLE_H
#define MSFL_ROUND_BUNDLE_H

#include "medsecurefl/round.h"

/** What a bundle is bound to. */
typedef struct msfl_bundle_binding {
    uint8_t round_id[MSFL_HASH_BYTES];
    uint8_t ciphertext_hash[MSFL_HASH_BYTES];
    uint32_t client;
    uint32_t ring_degree; /**< N, a multiple of 8 */
} msfl_bundle_binding;

/** Bytes of the plaintext inside the box. */
size_t msfl_bundle_plain_bytes(uint32_t ring_degree);

/**
 * Seal the N coefficients `key` (|s| <= 41) for `public_key`; `box` gets msfl_round_bundle_bytes bytes, zeroed on
 * error.
 * @retval MSFL_ERR_CRYPTO  the public key is not valid
 */
MSFL_NODISCARD msfl_status msfl_bundle_seal(const msfl_bundle_binding *binding, const int32_t *key,
                                            const uint8_t public_key[MSFL_PUBLIC_KEY_BYTES], uint8_t *box);

/**
 * Check the plaintext of an opened box against `binding` and add its coefficients to `sum` (N): sum <- sum + s.
 * Takes the same time whatever the coefficients are. On error `sum` is unchanged.
 *
 * @retval MSFL_ERR_CRYPTO  not this round, client, ciphertext or ring, or a coefficient beyond 41
 */
MSFL_NODISCARD msfl_status msfl_bundle_add(const msfl_bundle_binding *binding, const uint8_t *plain, size_t length,
                                           int32_t *sum);

#endif
