/* Key shares on their way: a client's bundle for one member, and a member's answer. */
#ifndef MSFL_ROUND_SHARE_H
#define MSFL_ROUND_SHARE_H

#include "round/statement.h"

/** Bytes of one bundle: ephemeral key, N shares of 20 bits, seal. */
size_t msfl_share_bytes(uint32_t ring_degree);

/** What a bundle is bound to. */
typedef struct msfl_share_binding {
    const uint8_t *round_id, *ciphertext_hash;
    uint32_t client;
    uint32_t ring_degree;
} msfl_share_binding;

/**
 * Shares of `key` (N coefficients) for all members of the roster: k bundles one after the other, in the order of the
 * members. Fresh ephemeral key and polynomials from the operating system. `bundles` is zeroed on error.
 */
MSFL_NODISCARD msfl_status msfl_share_seal(const msfl_share_binding *b, const msfl_roster_info *roster,
                                           const int32_t *key, uint8_t *bundles);
/**
 * Open the bundle for the member at `place` and add its shares: sum <- sum + share (mod p), N values. `scratch` is
 * secret memory of msfl_share_scratch_bytes. ERR_CRYPTO, sum unchanged, if the bundle is not what `b` says.
 */
MSFL_NODISCARD msfl_status msfl_share_add(const msfl_share_binding *b, const msfl_roster_info *roster, uint32_t place,
                                          const msfl_identity_secret *secret, const uint8_t *bundle, uint8_t *scratch,
                                          uint32_t *sum);
size_t msfl_share_scratch_bytes(uint32_t ring_degree);

/* --- answers, to the coordinator (to the hospitals: sealed.h) --- */

/** Of an answer, what a transcript keeps: H(U) 32, ephemeral key 32, number of receivers (1) 4, hash of the sealed sum
 *  32, signature. */
enum { MSFL_ANSWER_KEPT = 164 };

/** Bytes of an answer's body: the same and the sealed sum. */
size_t msfl_answer_bytes(uint32_t ring_degree);

typedef struct msfl_answer_binding {
    const uint8_t *round_id, *cohort;
    uint32_t member; /* party */
    uint32_t ring_degree;
} msfl_answer_binding;

/**
 * Seal the summed shares for the receiver and sign: the body of an answer. The same input gives the same bytes, so
 * that an answer may be repeated. ERR_CRYPTO for a receiver whose key is none.
 */
MSFL_NODISCARD msfl_status msfl_answer_seal(const msfl_answer_binding *b, const msfl_identity_secret *secret,
                                            const msfl_identity *receiver, const uint32_t *sum, uint8_t *body);
/** What the member's signature covers, from the body of an answer. */
void msfl_answer_digest(const msfl_answer_binding *b, const uint8_t *body, uint8_t out[MSFL_HASH_BYTES]);
/** The signature in a body. */
const uint8_t *msfl_answer_signature(const uint8_t *body);
/** Verify the signature of `member` under an answer and open the sum: N shares. ERR_CRYPTO. */
MSFL_NODISCARD msfl_status msfl_answer_open(const msfl_answer_binding *b, const msfl_identity *member,
                                            const msfl_identity *receiver, const msfl_identity_secret *secret,
                                            const uint8_t *body, uint32_t *shares);

#endif
