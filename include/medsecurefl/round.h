/* One secure-aggregation round: who seals what to whom, what is added, and when the sum may be opened. Layer: round.
 *
 * Sans I/O: bytes, seeds and secrets go in, bytes come out. The parties:
 *   client       trains, encrypts with a fresh key, seals the key for the key holder (here: one authority, k = t = 1)
 *   coordinator  checks and folds ciphertexts; never sees a key, except the sum that the authority answers
 *   authority    opens sealed keys, adds those of the certified cohort, answers once; never sees a ciphertext
 * A committee (t of k Shamir shares of the same integers) takes the authority's place without changing the messages.
 */
#ifndef MEDSECUREFL_ROUND_H
#define MEDSECUREFL_ROUND_H

#include "medsecurefl/packed.h"

MSFL_BEGIN_DECLS

enum { MSFL_PUBLIC_KEY_BYTES = 32 };

/** All that the parties of one round agree on. Hashed as a whole into the round id, which seeds the a_j. */
typedef struct msfl_round_info {
    uint8_t task[MSFL_HASH_BYTES];   /**< the federated job */
    uint64_t number;                 /**< 1, 2, ... */
    uint8_t model[MSFL_HASH_BYTES];  /**< the global weights that the round starts from, and their architecture */
    uint8_t layout[MSFL_HASH_BYTES]; /**< msfl_update_layout_hash */
    uint8_t authority[MSFL_PUBLIC_KEY_BYTES];
    uint32_t n_clients;  /**< roster size */
    uint32_t min_cohort; /**< >= 3; 2 only where the operator allowed two sites by name */
    uint64_t n_values;   /**< slots per update */
    msfl_params params;
} msfl_round_info;

/** BLAKE2b over every field, domain "msfl.round.v1". */
MSFL_API void msfl_round_id(const msfl_round_info *info, uint8_t out[MSFL_HASH_BYTES]);

/* --- authority --- */
typedef struct msfl_authority msfl_authority;
MSFL_API MSFL_NODISCARD msfl_status msfl_authority_new(msfl_authority **out);
MSFL_API void msfl_authority_free(msfl_authority *authority);
MSFL_API void msfl_authority_public_key(const msfl_authority *authority, uint8_t out[MSFL_PUBLIC_KEY_BYTES]);
/**
 * The sum of the keys of the certified clients: `clients[i]` (ascending, distinct, below info->n_clients) sent
 * `bundles[i]`. Answers a round id at most once, whatever the outcome.
 * @retval MSFL_ERR_POLICY    cohort below the minimum, unsorted or repeated clients, or already answered
 * @retval MSFL_ERR_CRYPTO    a bundle is not for this authority, round, client or ciphertext, or was changed
 * `key_sum` (N coefficients) is zeroed on error.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_authority_answer(msfl_authority *authority, const msfl_round_info *info,
                                                          const uint32_t *clients, const uint8_t *const *bundles,
                                                          const uint8_t (*ciphertext_hashes)[MSFL_HASH_BYTES], size_t n,
                                                          int32_t *key_sum);

/* --- client --- */
typedef struct msfl_round_client msfl_round_client;
MSFL_API MSFL_NODISCARD msfl_status msfl_round_client_new(const msfl_packed *ctx, const msfl_round_info *info,
                                                          uint32_t client, msfl_round_client **out);
/** Wipes the key. */
MSFL_API void msfl_round_client_free(msfl_round_client *c);
/** Chunk `j`, in order 0, 1, ...; hashed as it is made. As msfl_packed_encrypt. */
MSFL_API MSFL_NODISCARD msfl_status msfl_round_client_encrypt(msfl_round_client *c, uint64_t j, const uint32_t *slots,
                                                              uint8_t *out);
/** Bytes of a sealed key bundle under these parameters. */
MSFL_API size_t msfl_round_bundle_bytes(const msfl_params *params);
/** After the last chunk: hash of the whole ciphertext, and the key sealed for the authority, bound to round, client and
 *  ciphertext. The key is wiped: nothing more can be encrypted. */
MSFL_API MSFL_NODISCARD msfl_status msfl_round_client_finish(msfl_round_client *c,
                                                             uint8_t ciphertext_hash[MSFL_HASH_BYTES], uint8_t *bundle);

/* --- coordinator --- */
typedef struct msfl_round_coordinator msfl_round_coordinator;
MSFL_API MSFL_NODISCARD msfl_status msfl_round_coordinator_new(const msfl_packed *ctx, const msfl_round_info *info,
                                                               msfl_round_coordinator **out);
MSFL_API void msfl_round_coordinator_free(msfl_round_coordinator *c);
/**
 * A client's complete upload: all chunks one after the other, and its bundle (kept). Every chunk is checked before the
 * first is folded, so a bad upload leaves no trace. Thread-safe; folding of different clients is serialised.
 * @retval MSFL_ERR_EXISTS  this client is already in
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_round_coordinator_upload(msfl_round_coordinator *c, uint32_t client,
                                                                  const uint8_t *ciphertext, size_t length,
                                                                  const uint8_t ciphertext_hash[MSFL_HASH_BYTES],
                                                                  const uint8_t *bundle, size_t bundle_length);
/** The cohort is closed; gives what the authority needs. The arrays belong to the coordinator. */
typedef struct msfl_round_certificate {
    const uint32_t *clients;
    const uint8_t *const *bundles;
    const uint8_t (*ciphertext_hashes)[MSFL_HASH_BYTES];
    size_t n;
} msfl_round_certificate;
MSFL_API MSFL_NODISCARD msfl_status msfl_round_coordinator_certify(msfl_round_coordinator *c,
                                                                   msfl_round_certificate *out);
/** The answered key sum; checked (|S| <= 41 n) before use. Then msfl_round_coordinator_open for each chunk. */
MSFL_API MSFL_NODISCARD msfl_status msfl_round_coordinator_release(msfl_round_coordinator *c, const int32_t *key_sum);
MSFL_API MSFL_NODISCARD msfl_status msfl_round_coordinator_open(msfl_round_coordinator *c, uint64_t j,
                                                                uint64_t *totals);

MSFL_END_DECLS

#endif
