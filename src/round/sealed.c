#include "round/sealed.h"
#include "round/guard.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/taint.h"
#include "he/shamir.h"

#include <inttypes.h>

static const uint8_t nonce[MSFL_AEAD_NONCE_BYTES]; /* zero: every key seals one message */

enum { CONTEXT_BYTES = 32 + 32 + 4 + 4, SUM_CONTEXT_BYTES = 32 + 32 + 4 };
enum { AT_EPHEMERAL = 32, AT_N = 64, AT_SUM_HASH = 68, AT_COMMIT = 100, AT_WRAPS_HASH = 132 };
static const char wrap_label[] = "msfl.round.answer-wrap.v1";

size_t msfl_sealed_sum_bytes(uint32_t ring_degree) {
    return msfl_shamir_packed_bytes(ring_degree) + MSFL_AEAD_TAG_BYTES;
}

size_t msfl_sealed_bytes(uint32_t ring_degree, uint32_t n_clients) {
    return MSFL_SEALED_KEPT + msfl_sealed_sum_bytes(ring_degree) + (size_t)MSFL_WRAP_BYTES * n_clients;
}

/** The first 68 bytes stand for the sum, all 72 for one hospital's wrap. */
static void context_of(const msfl_answer_binding *b, uint32_t client, uint8_t out[CONTEXT_BYTES]) {
    memcpy(out, b->round_id, 32);
    memcpy(out + 32, b->cohort, 32);
    msfl_store32(out + 64, b->member);
    msfl_store32(out + 68, client);
}

/** A secret that follows from the member's own and from the sum: none ever serves two sums, whatever the machine around
 *  this has forgotten. */
static void derive(const char *label, const msfl_answer_binding *b, const msfl_identity_secret *secret,
                   const uint8_t *packed, size_t length, uint8_t out[32]) {
    msfl_hash h;
    msfl_hash_init(&h, label);
    msfl_hash_add(&h, secret->box, sizeof secret->box);
    msfl_hash_add(&h, b->round_id, MSFL_HASH_BYTES);
    msfl_hash_add(&h, b->cohort, MSFL_HASH_BYTES);
    msfl_hash_add_field(&h, packed, length);
    msfl_hash_final(&h, out);
    msfl_hash_clear(&h);
}

static void hash_of(const char *label, const uint8_t *bytes, size_t length, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, label);
    msfl_hash_add(&h, bytes, length);
    msfl_hash_final(&h, out);
}

static void sum_hash(const msfl_answer_binding *b, const uint8_t *sealed_sum, uint8_t out[MSFL_HASH_BYTES]) {
    hash_of("msfl.round.slice.v1", sealed_sum, msfl_sealed_sum_bytes(b->ring_degree), out);
}

/** The seal alone would open under two keys of a cheat's choosing; with this in the signed head it opens under one. */
static void commit_to(const msfl_answer_binding *b, const uint8_t key[MSFL_AEAD_KEY_BYTES],
                      uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.answer-commit.v1");
    msfl_hash_add(&h, key, MSFL_AEAD_KEY_BYTES);
    msfl_hash_add(&h, b->round_id, MSFL_HASH_BYTES);
    msfl_hash_add(&h, b->cohort, MSFL_HASH_BYTES);
    msfl_hash_add_u64(&h, b->member);
    msfl_hash_final(&h, out);
    msfl_hash_clear(&h);
}

void msfl_sealed_digest(const msfl_answer_binding *b, const uint8_t *head, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.sealed-answer.v1");
    msfl_hash_add(&h, b->round_id, MSFL_HASH_BYTES);
    msfl_hash_add_u64(&h, b->member);
    msfl_hash_add_field(&h, head, MSFL_SEALED_HEAD);
    msfl_hash_final(&h, out);
}

msfl_status msfl_sealed_make(const msfl_answer_binding *b, const msfl_identity_secret *secret,
                             const msfl_roster_info *roster, const uint32_t *sum, uint8_t *body) {
    const size_t n = b->ring_degree, packed_bytes = msfl_shamir_packed_bytes(n);
    uint8_t *sealed = body + MSFL_SEALED_KEPT, *wraps = sealed + msfl_sealed_sum_bytes(b->ring_degree);
    uint8_t ephemeral[32], content[32], key[MSFL_AEAD_KEY_BYTES], context[CONTEXT_BYTES], digest[MSFL_HASH_BYTES];
    uint8_t *packed = msfl_secret_alloc((packed_bytes + 63) / 64 * 64);
    if (packed == NULL) return MSFL_ERR_MEMORY;
    msfl_shamir_pack(sum, n, packed);
    derive("msfl.round.answer-key.v2", b, secret, packed, packed_bytes, ephemeral);
    derive("msfl.round.answer-content.v1", b, secret, packed, packed_bytes, content);
    memcpy(body, b->cohort, MSFL_HASH_BYTES);
    msfl_x25519_public(ephemeral, body + AT_EPHEMERAL);
    msfl_store32(body + AT_N, roster->n_clients);
    context_of(b, 0, context);
    msfl_aead_seal(content, nonce, context, SUM_CONTEXT_BYTES, packed, packed_bytes, sealed);
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; i < roster->n_clients && status == MSFL_OK; i++) {
        const uint8_t *receiver = roster->parties[i].box;
        context_of(b, i, context);
        status = msfl_transfer_key(wrap_label, ephemeral, receiver, body + AT_EPHEMERAL, receiver, context,
                                   sizeof context, key);
        if (status != MSFL_OK) break;
        msfl_aead_seal(key, nonce, context, sizeof context, content, sizeof content,
                       wraps + (size_t)MSFL_WRAP_BYTES * i);
    }
    if (status == MSFL_OK) {
        sum_hash(b, sealed, body + AT_SUM_HASH);
        commit_to(b, content, body + AT_COMMIT);
        MSFL_DECLASSIFY(body + AT_COMMIT, MSFL_HASH_BYTES); /* of a key of 256 bits */
        hash_of("msfl.round.wraps.v1", wraps, (size_t)MSFL_WRAP_BYTES * roster->n_clients, body + AT_WRAPS_HASH);
        msfl_sealed_digest(b, body, digest);
        msfl_sign(secret->sign, digest, sizeof digest, body + MSFL_SEALED_HEAD);
    } else {
        memset(body, 0, msfl_sealed_bytes(b->ring_degree, roster->n_clients));
    }
    msfl_wipe(ephemeral, sizeof ephemeral);
    msfl_wipe(content, sizeof content);
    msfl_wipe(key, sizeof key);
    msfl_secret_free(packed);
    return status;
}

bool msfl_sealed_verify(const msfl_answer_binding *b, const msfl_roster_info *roster, const uint8_t *head) {
    uint8_t digest[MSFL_HASH_BYTES];
    msfl_sealed_digest(b, head, digest);
    return memcmp(head, b->cohort, MSFL_HASH_BYTES) == 0 && msfl_load32(head + AT_N) == roster->n_clients &&
           msfl_sign_verify(roster->parties[b->member].sign, digest, sizeof digest, head + MSFL_SEALED_HEAD);
}

msfl_status msfl_sealed_check(const msfl_answer_binding *b, const msfl_roster_info *roster, const uint8_t *body) {
    const uint8_t *sealed = body + MSFL_SEALED_KEPT, *wraps = sealed + msfl_sealed_sum_bytes(b->ring_degree);
    uint8_t hash[MSFL_HASH_BYTES], of_wraps[MSFL_HASH_BYTES];
    sum_hash(b, sealed, hash);
    hash_of("msfl.round.wraps.v1", wraps, (size_t)MSFL_WRAP_BYTES * roster->n_clients, of_wraps);
    if (!MSFL_GUARD(SEALED_ANSWER, msfl_sealed_verify(b, roster, body) &&
                                       memcmp(hash, body + AT_SUM_HASH, sizeof hash) == 0 &&
                                       memcmp(of_wraps, body + AT_WRAPS_HASH, sizeof of_wraps) == 0)) {
        return msfl_fail(MSFL_ERR_CRYPTO, "answer: not signed by member %" PRIu32 ", or changed since", b->member);
    }
    return MSFL_OK;
}

msfl_status msfl_sealed_open(const msfl_answer_binding *b, const msfl_roster_info *roster, uint32_t client,
                             const msfl_identity_secret *secret, const uint8_t *head, const uint8_t *sealed_sum,
                             const uint8_t *wrap, uint32_t *shares) {
    const size_t n = b->ring_degree, packed_bytes = msfl_shamir_packed_bytes(n);
    uint8_t key[MSFL_AEAD_KEY_BYTES], content[MSFL_AEAD_KEY_BYTES], context[CONTEXT_BYTES], hash[MSFL_HASH_BYTES];
    memset(shares, 0, n * sizeof *shares);
    /* Who can open can also seal: another hospital could make a second sum under the same key. */
    sum_hash(b, sealed_sum, hash);
    if (memcmp(hash, head + AT_SUM_HASH, sizeof hash) != 0) {
        return msfl_fail(MSFL_ERR_CRYPTO, "answer of member %" PRIu32 ": not the sum that it signed", b->member);
    }
    uint8_t *packed = msfl_secret_alloc((packed_bytes + 63) / 64 * 64);
    if (packed == NULL) return MSFL_ERR_MEMORY;
    context_of(b, client, context);
    msfl_status status = msfl_transfer_key(wrap_label, secret->box, head + AT_EPHEMERAL, head + AT_EPHEMERAL,
                                           roster->parties[client].box, context, sizeof context, key);
    if (status == MSFL_OK) {
        status = msfl_aead_open(key, nonce, context, sizeof context, wrap, MSFL_WRAP_BYTES, content);
    }
    if (status == MSFL_OK) {
        commit_to(b, content, hash);
        if (!msfl_equal(hash, head + AT_COMMIT, sizeof hash)) status = MSFL_ERR_CRYPTO;
    }
    if (status == MSFL_OK) {
        status = msfl_aead_open(content, nonce, context, SUM_CONTEXT_BYTES, sealed_sum,
                                packed_bytes + MSFL_AEAD_TAG_BYTES, packed);
    }
    if (status == MSFL_OK) status = msfl_shamir_unpack(packed, n, shares);
    msfl_wipe(key, sizeof key);
    msfl_wipe(content, sizeof content);
    msfl_secret_free(packed);
    return status == MSFL_OK
               ? MSFL_OK
               : msfl_fail(MSFL_ERR_CRYPTO,
                           "answer of member %" PRIu32 ": what is there for hospital %" PRIu32 " does not open",
                           b->member, client);
}

/* --- the folded sum --- */

void msfl_folded_hash_init(msfl_hash *h, const uint8_t round_id[MSFL_HASH_BYTES], const uint8_t cohort[MSFL_HASH_BYTES],
                           uint64_t length) {
    msfl_hash_init(h, "msfl.round.folded.v1");
    msfl_hash_add(h, round_id, MSFL_HASH_BYTES);
    msfl_hash_add(h, cohort, MSFL_HASH_BYTES);
    msfl_hash_add_u64(h, length);
}

void msfl_delivery_digest(const uint8_t round_id[MSFL_HASH_BYTES], const uint8_t cohort[MSFL_HASH_BYTES],
                          const uint8_t folded[MSFL_HASH_BYTES], uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.delivery.v1");
    msfl_hash_add(&h, round_id, MSFL_HASH_BYTES);
    msfl_hash_add(&h, cohort, MSFL_HASH_BYTES);
    msfl_hash_add(&h, folded, MSFL_HASH_BYTES);
    msfl_hash_final(&h, out);
}

/* --- reports --- */

void msfl_sealed_result(const uint8_t round_id[MSFL_HASH_BYTES], const uint8_t cohort[MSFL_HASH_BYTES],
                        uint32_t ring_degree, const int32_t *key_sum, const uint8_t sums[MSFL_HASH_BYTES],
                        const uint8_t made[MSFL_HASH_BYTES], uint8_t out[MSFL_HASH_BYTES]) {
    uint8_t key[MSFL_HASH_BYTES], coefficient[4];
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.sum-key.v1");
    msfl_hash_add(&h, round_id, MSFL_HASH_BYTES);
    msfl_hash_add(&h, cohort, MSFL_HASH_BYTES);
    for (uint32_t i = 0; i < ring_degree; i++) {
        msfl_store32(coefficient, (uint32_t)key_sum[i]);
        msfl_hash_add(&h, coefficient, sizeof coefficient);
    }
    msfl_hash_final(&h, key);
    msfl_hash_init_keyed(&h, key, "msfl.round.sealed-result.v1");
    msfl_hash_add(&h, sums, MSFL_HASH_BYTES);
    msfl_hash_add(&h, made, MSFL_HASH_BYTES);
    msfl_hash_final(&h, out);
    msfl_wipe(key, sizeof key);
    msfl_wipe(coefficient, sizeof coefficient);
    msfl_hash_clear(&h);
}

static void report_digest(const uint8_t round_id[MSFL_HASH_BYTES], const uint8_t cohort[MSFL_HASH_BYTES],
                          const uint8_t *report, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.report.v1");
    msfl_hash_add(&h, round_id, MSFL_HASH_BYTES);
    msfl_hash_add(&h, cohort, MSFL_HASH_BYTES);
    msfl_hash_add_field(&h, report, MSFL_REPORT_BYTES - MSFL_SIGN_BYTES);
    msfl_hash_final(&h, out);
}

void msfl_report_sign(const uint8_t round_id[MSFL_HASH_BYTES], const uint8_t cohort[MSFL_HASH_BYTES],
                      const msfl_identity_secret *secret, uint8_t *report) {
    uint8_t digest[MSFL_HASH_BYTES];
    report_digest(round_id, cohort, report, digest);
    msfl_sign(secret->sign, digest, sizeof digest, report + MSFL_REPORT_BYTES - MSFL_SIGN_BYTES);
}

msfl_status msfl_report_verify(const uint8_t round_id[MSFL_HASH_BYTES], const uint8_t cohort[MSFL_HASH_BYTES],
                               const msfl_roster_info *roster, const uint8_t *report) {
    const uint32_t client = msfl_load32(report), fold = msfl_load32(report + 4);
    uint8_t digest[MSFL_HASH_BYTES];
    if (client >= roster->n_clients) {
        return msfl_fail(MSFL_ERR_POLICY, "report: client %" PRIu32 " is not in the roster of %" PRIu32, client,
                         roster->n_clients);
    }
    if (fold != MSFL_FOLD_TAKEN && fold != MSFL_FOLD_OWN) {
        return msfl_fail(MSFL_ERR_FORMAT, "report: fold %" PRIu32 " is unknown", fold);
    }
    report_digest(round_id, cohort, report, digest);
    if (!msfl_sign_verify(roster->parties[client].sign, digest, sizeof digest,
                          report + MSFL_REPORT_BYTES - MSFL_SIGN_BYTES)) {
        return msfl_fail(MSFL_ERR_CRYPTO, "report: not signed by hospital %" PRIu32 " for this cohort", client);
    }
    return MSFL_OK;
}
