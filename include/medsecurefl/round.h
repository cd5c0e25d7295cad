/* One secure-aggregation round: who seals what to whom, what is added, and when the sum may be opened. Layer: round.
 *
 * Sans I/O: bytes, seeds and secrets go in, bytes come out. The parties:
 *   client       trains, encrypts with a fresh key, seals the key for the key holder (here: one authority, k = t = 1)
 *   coordinator  checks and folds ciphertexts; never sees a key, except the sum that the authority answers
 *   authority    opens sealed keys, adds those of the certified cohort, answers once; never sees a ciphertext
 * A committee (t of k Shamir shares of the same integers) takes the authority's place without changing the messages.
 * docs/design/round.md has the messages, the checks and their reasons.
 *
 * A round that cannot be run (parameters that do not hold, a roster they are not proved for, a minimum cohort below 2
 * or beyond the roster) is refused by all three parties: ERR_PARAMS, ERR_POLICY, ERR_USAGE; a context made for other
 * parameters: ERR_MISMATCH.
 */
#ifndef MEDSECUREFL_ROUND_H
#define MEDSECUREFL_ROUND_H

#include "medsecurefl/packed.h"

MSFL_BEGIN_DECLS

enum {
    MSFL_PUBLIC_KEY_BYTES = 32,
    MSFL_AUTHORITY_ROUNDS_MAX = 16384 /**< rounds that one authority remembers (512 KiB), and therefore answers */
};

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
typedef struct msfl_authority msfl_authority; /**< may be asked by several threads at once */
/** A fresh key pair that never leaves this object: what was sealed for it cannot be opened after it is gone. */
MSFL_API MSFL_NODISCARD msfl_status msfl_authority_new(msfl_authority **out);
/** Free; NULL is fine. */
MSFL_API void msfl_authority_free(msfl_authority *authority);
/** What clients seal their keys for; goes into msfl_round_info.authority. */
MSFL_API void msfl_authority_public_key(const msfl_authority *authority, uint8_t out[MSFL_PUBLIC_KEY_BYTES]);
/**
 * The sum of the keys of the certified clients: `clients[i]` (ascending, distinct, below info->n_clients) sent
 * `bundles[i]` (msfl_round_bundle_bytes of them) for the ciphertext with `ciphertext_hashes[i]`. Answers a round id at
 * most once, whatever the outcome: from the moment the round is known to be one that could be answered here, a second
 * call for it is refused, also after a failure.
 *
 * @retval MSFL_ERR_POLICY  cohort below the minimum, unsorted, repeated or unknown clients, or already answered
 * @retval MSFL_ERR_CRYPTO  a bundle is not for this authority, round, client or ciphertext, or was changed; or the
 *                          round names another authority. The message names the client.
 * @retval MSFL_ERR_LIMIT   MSFL_AUTHORITY_ROUNDS_MAX rounds were answered
 * `key_sum` (N coefficients) is zeroed on error; unchanged if the round description itself is not valid.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_authority_answer(msfl_authority *authority, const msfl_round_info *info,
                                                          const uint32_t *clients, const uint8_t *const *bundles,
                                                          const uint8_t (*ciphertext_hashes)[MSFL_HASH_BYTES], size_t n,
                                                          int32_t *key_sum);

/* --- client --- */
typedef struct msfl_round_client msfl_round_client; /**< belongs to one thread at a time */
/** Draws the one-time key. `ctx` is borrowed and must outlive the client. ERR_USAGE if `client` is not in the roster.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_round_client_new(const msfl_packed *ctx, const msfl_round_info *info,
                                                          uint32_t client, msfl_round_client **out);
/** Wipes the key. */
MSFL_API void msfl_round_client_free(msfl_round_client *c);
/** Chunk `j`, in order 0, 1, ...; hashed as it is made. As msfl_packed_encrypt. ERR_POLICY for a chunk that was
 *  encrypted before and after msfl_round_client_finish; ERR_USAGE for one that is not due yet. */
MSFL_API MSFL_NODISCARD msfl_status msfl_round_client_encrypt(msfl_round_client *c, uint64_t j, const uint32_t *slots,
                                                              uint8_t *out);
/** Bytes of a sealed key bundle under these parameters. */
MSFL_API size_t msfl_round_bundle_bytes(const msfl_params *params);
/** After the last chunk: hash of the whole ciphertext, and the key sealed for the authority, bound to round, client and
 *  ciphertext. The key is wiped, also when this fails: nothing more can be encrypted. ERR_CRYPTO if info->authority is
 *  no valid public key. */
MSFL_API MSFL_NODISCARD msfl_status msfl_round_client_finish(msfl_round_client *c,
                                                             uint8_t ciphertext_hash[MSFL_HASH_BYTES], uint8_t *bundle);

/* --- coordinator --- */
typedef struct msfl_round_coordinator msfl_round_coordinator; /**< all functions may be called by several threads */
/** `ctx` is borrowed and must outlive the coordinator. */
MSFL_API MSFL_NODISCARD msfl_status msfl_round_coordinator_new(const msfl_packed *ctx, const msfl_round_info *info,
                                                               msfl_round_coordinator **out);
/** Free; NULL is fine. */
MSFL_API void msfl_round_coordinator_free(msfl_round_coordinator *c);
/**
 * A client's complete upload: all chunks one after the other, and its bundle (kept). Every chunk is checked before the
 * first is folded, so a bad upload leaves no trace. Thread-safe; folding of different clients is serialised, checking
 * is not. The message names the client.
 *
 * @retval MSFL_ERR_FORMAT  wrong length of ciphertext or bundle, or a malformed chunk
 * @retval MSFL_ERR_CRYPTO  `ciphertext_hash` is not that of this ciphertext for this round and client
 * @retval MSFL_ERR_EXISTS  this client is already in
 * @retval MSFL_ERR_POLICY  not in the roster, or the cohort is closed
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_round_coordinator_upload(msfl_round_coordinator *c, uint32_t client,
                                                                  const uint8_t *ciphertext, size_t length,
                                                                  const uint8_t ciphertext_hash[MSFL_HASH_BYTES],
                                                                  const uint8_t *bundle, size_t bundle_length);
/** What the authority needs. The arrays belong to the coordinator. */
typedef struct msfl_round_certificate {
    const uint32_t *clients;
    const uint8_t *const *bundles;
    const uint8_t (*ciphertext_hashes)[MSFL_HASH_BYTES];
    size_t n;
} msfl_round_certificate;
/** Closes the cohort: all clients whose upload is complete, ascending. ERR_POLICY while they are fewer than
 *  info->min_cohort (the round stays open), and the second time. */
MSFL_API MSFL_NODISCARD msfl_status msfl_round_coordinator_certify(msfl_round_coordinator *c,
                                                                   msfl_round_certificate *out);
/** The answered key sum (N coefficients, copied); ERR_CRYPTO unless |S| <= 41 n everywhere. Once, after certify
 *  (ERR_POLICY). Then msfl_round_coordinator_open for each chunk. */
MSFL_API MSFL_NODISCARD msfl_status msfl_round_coordinator_release(msfl_round_coordinator *c, const int32_t *key_sum);
/** The exact sums of chunk `j` (msfl_packed_chunk_slots of them), as msfl_packed_open. Several threads may open
 *  different chunks. ERR_POLICY before the release. */
MSFL_API MSFL_NODISCARD msfl_status msfl_round_coordinator_open(msfl_round_coordinator *c, uint64_t j,
                                                                uint64_t *totals);

MSFL_END_DECLS

#endif
