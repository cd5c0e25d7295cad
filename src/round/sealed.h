/* Delivery to the hospitals: a member's answer that every hospital of the roster can open and the coordinator cannot,
 * what hospitals sign about the sum they opened, what the coordinator signs about the sum it folded.
 *
 * The summed shares are sealed once, under a key made for them, and that key once for every hospital: an answer grows
 * by 48 bytes a hospital and not by a sum, and under one signed head all hospitals open the same sum or none, since it
 * names the sealed sum and commits to the key.
 */
#ifndef MSFL_ROUND_SEALED_H
#define MSFL_ROUND_SEALED_H

#include "round/share.h"

enum {
    MSFL_SEALED_HEAD = 3 * MSFL_HASH_BYTES + 32 + 32 + 4,  /* what is signed; see msfl_sealed_make */
    MSFL_SEALED_KEPT = MSFL_SEALED_HEAD + MSFL_SIGN_BYTES, /* what a transcript keeps of an answer */
    MSFL_WRAP_BYTES = MSFL_AEAD_KEY_BYTES + MSFL_AEAD_TAG_BYTES,
    MSFL_REPORT_BYTES = 4 + 4 + 4 + MSFL_HASH_BYTES + MSFL_SIGN_BYTES
};

/** Bytes of the sealed sum, and of a whole answer to `n_clients` hospitals. */
size_t msfl_sealed_sum_bytes(uint32_t ring_degree);
size_t msfl_sealed_bytes(uint32_t ring_degree, uint32_t n_clients);

/**
 * The answer of a member: H(U) 32, ephemeral key 32, number of hospitals 4, hash of the sealed sum 32, commitment to
 * its key 32, hash of all wraps 32, signature 64; the sealed sum; a wrapped key for every hospital of the roster, in
 * its order. The same input gives the same bytes. ERR_CRYPTO for a hospital whose key is none; `body` is then zeroed.
 */
MSFL_NODISCARD msfl_status msfl_sealed_make(const msfl_answer_binding *b, const msfl_identity_secret *secret,
                                            const msfl_roster_info *roster, const uint32_t *sum, uint8_t *body);
/** What the member's signature covers. */
void msfl_sealed_digest(const msfl_answer_binding *b, const uint8_t *head, uint8_t out[MSFL_HASH_BYTES]);
/** Whether `head` (MSFL_SEALED_KEPT bytes) is signed by the member, for this cohort and all hospitals of the roster. */
bool msfl_sealed_verify(const msfl_answer_binding *b, const msfl_roster_info *roster, const uint8_t *head);
/** The same, and that sum and wraps are those that the head names: all that can be checked without a hospital's key.
 *  ERR_CRYPTO. */
MSFL_NODISCARD msfl_status msfl_sealed_check(const msfl_answer_binding *b, const msfl_roster_info *roster,
                                             const uint8_t *body);
/**
 * Open as hospital `client`, from a head that was verified, the sealed sum and the wrap for it: N shares.
 * ERR_CRYPTO, `shares` zeroed, if they are not what the head commits to.
 */
MSFL_NODISCARD msfl_status msfl_sealed_open(const msfl_answer_binding *b, const msfl_roster_info *roster,
                                            uint32_t client, const msfl_identity_secret *secret, const uint8_t *head,
                                            const uint8_t *sealed_sum, const uint8_t *wrap, uint32_t *shares);

/* --- the folded sum --- */

/** Begin the hash of a folded sum of `length` bytes; then add its chunks in order. */
void msfl_folded_hash_init(msfl_hash *h, const uint8_t round_id[MSFL_HASH_BYTES], const uint8_t cohort[MSFL_HASH_BYTES],
                           uint64_t length);
/** What the coordinator signs: it folded this sum over this cohort. */
void msfl_delivery_digest(const uint8_t round_id[MSFL_HASH_BYTES], const uint8_t cohort[MSFL_HASH_BYTES],
                          const uint8_t folded[MSFL_HASH_BYTES], uint8_t out[MSFL_HASH_BYTES]);

/* --- reports --- */

/**
 * What hospitals compare: a hash over the totals (`sums`, as msfl_result_hash) and what was made of them (`made`),
 * under a key that only who knows the key sum has: the totals of a small vector could be guessed from a plain hash.
 */
void msfl_sealed_result(const uint8_t round_id[MSFL_HASH_BYTES], const uint8_t cohort[MSFL_HASH_BYTES],
                        uint32_t ring_degree, const int32_t *key_sum, const uint8_t sums[MSFL_HASH_BYTES],
                        const uint8_t made[MSFL_HASH_BYTES], uint8_t out[MSFL_HASH_BYTES]);

/** A report: client 4, fold 4, places of members whose answers are wrong (one bit each) 4, result 32, signature. */
void msfl_report_sign(const uint8_t round_id[MSFL_HASH_BYTES], const uint8_t cohort[MSFL_HASH_BYTES],
                      const msfl_identity_secret *secret, uint8_t *report);
/** Whether the client that it names is in the roster and signed it for this cohort. ERR_FORMAT, ERR_POLICY,
 *  ERR_CRYPTO. */
MSFL_NODISCARD msfl_status msfl_report_verify(const uint8_t round_id[MSFL_HASH_BYTES],
                                              const uint8_t cohort[MSFL_HASH_BYTES], const msfl_roster_info *roster,
                                              const uint8_t *report);
/** The result in a report. */
static inline const uint8_t *msfl_report_result(const uint8_t *report) {
    return report + 12;
}

#endif
