/* What a client signs about its upload, and the cohort that is made of such statements. */
#ifndef MSFL_ROUND_STATEMENT_H
#define MSFL_ROUND_STATEMENT_H

#include "round/message.h"

/** In bytes: client 4, length 8, hash of the ciphertext 32, k hashes of bundles, signature. */
static inline size_t msfl_statement_bytes(uint32_t k) {
    return 4 + 8 + 32 + 32 * (size_t)k + MSFL_SIGN_BYTES;
}

typedef struct msfl_statement {
    uint32_t client;
    uint64_t length;
    uint8_t ciphertext_hash[MSFL_HASH_BYTES];
    uint8_t bundle_hash[MSFL_COMMITTEE_MAX][MSFL_HASH_BYTES]; /* k are used, in the order of the members */
} msfl_statement;

/** Hash of a bundle as it travels. */
void msfl_bundle_hash(const uint8_t *bundle, size_t length, uint8_t out[MSFL_HASH_BYTES]);

/** Sign and write; `out` holds msfl_statement_bytes(k). */
void msfl_statement_sign(const msfl_statement *s, const msfl_roster *roster, const uint8_t round_id[MSFL_HASH_BYTES],
                         const msfl_identity_secret *secret, uint8_t *out);
/** Take apart, without a check. */
void msfl_statement_read(const uint8_t *bytes, uint32_t k, msfl_statement *out);
/** Hash of all but the signature, bound to round and roster: what is signed. */
void msfl_statement_digest(const uint8_t *bytes, const msfl_roster *roster, const uint8_t round_id[MSFL_HASH_BYTES],
                           uint8_t out[MSFL_HASH_BYTES]);
/** Whether the client that it names is in the roster and signed it for this round. ERR_POLICY, ERR_CRYPTO. */
MSFL_NODISCARD msfl_status msfl_statement_verify(const uint8_t *bytes, const msfl_roster *roster,
                                                 const uint8_t round_id[MSFL_HASH_BYTES]);

/**
 * A cohort: `n` statements one after the other, ascending by client. Checks everything that a member has to before it
 * signs: at least `min_cohort` and what the round says, distinct clients of the roster, right lengths, every signature.
 * `hash` becomes H(U).
 *
 * @retval MSFL_ERR_POLICY  too few, repeated, unordered or unknown clients
 * @retval MSFL_ERR_CRYPTO  a statement that its client did not sign for this round
 */
MSFL_NODISCARD msfl_status msfl_cohort_check(const msfl_announcement *a, const uint8_t round_id[MSFL_HASH_BYTES],
                                             const msfl_roster *roster, uint32_t min_cohort, const uint8_t *statements,
                                             uint32_t n, uint8_t hash[MSFL_HASH_BYTES]);
/** H(U) alone. */
void msfl_cohort_hash(const uint8_t round_id[MSFL_HASH_BYTES], const msfl_roster *roster, const uint8_t *statements,
                      uint32_t n, uint8_t hash[MSFL_HASH_BYTES]);

/* --- votes: a member's signature under H(U) --- */

void msfl_vote_sign(const uint8_t round_id[MSFL_HASH_BYTES], const uint8_t cohort[MSFL_HASH_BYTES],
                    const msfl_identity_secret *secret, uint8_t signature[MSFL_SIGN_BYTES]);
bool msfl_vote_verify(const uint8_t round_id[MSFL_HASH_BYTES], const uint8_t cohort[MSFL_HASH_BYTES],
                      const msfl_identity *member, const uint8_t signature[MSFL_SIGN_BYTES]);

/** The place of a party in the committee, or k. */
uint32_t msfl_member_place(const msfl_roster_info *r, uint32_t party);

#endif
