#include "round/share.h"
#include "round/guard.h"

#include "base/error.h"
#include "base/mem.h"
#include "he/shamir.h"

#include <inttypes.h>

static const uint8_t nonce[MSFL_AEAD_NONCE_BYTES]; /* zero: every key seals one message */

size_t msfl_share_bytes(uint32_t ring_degree) {
    return 32 + msfl_shamir_packed_bytes(ring_degree) + MSFL_AEAD_TAG_BYTES;
}

enum { CONTEXT_BYTES = 32 + 32 + 4 + 4 + 4 };

/** Round, ciphertext, client, member: associated data of the seal, and part of its key. */
static void context_of(const msfl_share_binding *b, uint32_t place, uint32_t party, uint8_t out[CONTEXT_BYTES]) {
    memcpy(out, b->round_id, 32);
    memcpy(out + 32, b->ciphertext_hash, 32);
    msfl_store32(out + 64, b->client);
    msfl_store32(out + 68, place);
    msfl_store32(out + 72, party);
}

static const char share_label[] = "msfl.round.share.v1";

msfl_status msfl_share_seal(const msfl_share_binding *b, const msfl_roster_info *roster, const int32_t *key,
                            uint8_t *bundles) {
    const size_t n = b->ring_degree, packed_bytes = msfl_shamir_packed_bytes(n),
                 each = msfl_share_bytes(b->ring_degree);
    const size_t shares_bytes = roster->k * n * sizeof(uint32_t);
    uint8_t ephemeral[32], public_key[32], sealing_key[MSFL_AEAD_KEY_BYTES], context[CONTEXT_BYTES];
    uint32_t *shares = msfl_secret_alloc((shares_bytes + packed_bytes + 63) / 64 * 64);
    if (shares == NULL) return MSFL_ERR_MEMORY;
    uint8_t *packed = (uint8_t *)shares + shares_bytes;
    msfl_random_bytes(ephemeral, sizeof ephemeral);
    msfl_x25519_public(ephemeral, public_key);
    msfl_status status = msfl_shamir_split(roster->t, roster->k, key, n, shares);
    for (uint32_t i = 0; i < roster->k && status == MSFL_OK; i++) {
        const uint8_t *receiver = roster->parties[roster->members[i]].box;
        context_of(b, i, roster->members[i], context);
        status = msfl_transfer_key(share_label, ephemeral, receiver, public_key, receiver, context, sizeof context,
                                   sealing_key);
        if (status != MSFL_OK) break;
        msfl_shamir_pack(shares + i * n, n, packed);
        memcpy(bundles + i * each, public_key, 32);
        msfl_aead_seal(sealing_key, nonce, context, sizeof context, packed, packed_bytes, bundles + i * each + 32);
    }
    msfl_wipe(ephemeral, sizeof ephemeral);
    msfl_wipe(sealing_key, sizeof sealing_key);
    msfl_secret_free(shares);
    if (status != MSFL_OK) memset(bundles, 0, roster->k * each);
    return status;
}

size_t msfl_share_scratch_bytes(uint32_t ring_degree) {
    return (ring_degree * sizeof(uint32_t) + msfl_shamir_packed_bytes(ring_degree) + 63) / 64 * 64;
}

msfl_status msfl_share_add(const msfl_share_binding *b, const msfl_roster_info *roster, uint32_t place,
                           const msfl_identity_secret *secret, const uint8_t *bundle, uint8_t *scratch, uint32_t *sum) {
    const size_t n = b->ring_degree, packed_bytes = msfl_shamir_packed_bytes(n);
    uint32_t *shares = (uint32_t *)(void *)scratch;
    uint8_t *packed = scratch + n * sizeof *shares;
    uint8_t key[MSFL_AEAD_KEY_BYTES], context[CONTEXT_BYTES];
    context_of(b, place, roster->members[place], context);
    msfl_status status = msfl_transfer_key(share_label, secret->box, bundle, bundle,
                                           roster->parties[roster->members[place]].box, context, sizeof context, key);
    if (status == MSFL_OK) {
        status = msfl_aead_open(key, nonce, context, sizeof context, bundle + 32, packed_bytes + MSFL_AEAD_TAG_BYTES,
                                packed);
    }
    if (status == MSFL_OK) status = msfl_shamir_unpack(packed, n, shares);
    if (status == MSFL_OK) msfl_shamir_add(sum, shares, n);
    msfl_wipe(key, sizeof key);
    msfl_wipe(scratch, msfl_share_scratch_bytes(b->ring_degree));
    return status == MSFL_OK || status == MSFL_ERR_MEMORY ? status : MSFL_ERR_CRYPTO;
}

/* --- answers --- */

enum { ANSWER_HEAD = 68 + MSFL_HASH_BYTES, ANSWER_CONTEXT = 32 + 32 + 4 + 4 };
_Static_assert(ANSWER_HEAD + MSFL_SIGN_BYTES == MSFL_ANSWER_KEPT, "what a transcript keeps");

static const char answer_label[] = "msfl.round.answer-seal.v1";

static size_t slice_bytes(uint32_t ring_degree) {
    return msfl_shamir_packed_bytes(ring_degree) + MSFL_AEAD_TAG_BYTES;
}

size_t msfl_answer_bytes(uint32_t ring_degree) {
    return MSFL_ANSWER_KEPT + slice_bytes(ring_degree);
}

static void answer_context(const msfl_answer_binding *b, uint8_t out[ANSWER_CONTEXT]) {
    memcpy(out, b->round_id, 32);
    memcpy(out + 32, b->cohort, 32);
    msfl_store32(out + 64, b->member);
    msfl_store32(out + 68, 0); /* the place of the receiver, of one */
}

static void slice_hash(const uint8_t *slice, size_t length, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.slice.v1");
    msfl_hash_add(&h, slice, length);
    msfl_hash_final(&h, out);
}

void msfl_answer_digest(const msfl_answer_binding *b, const uint8_t *body, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.answer.v1");
    msfl_hash_add(&h, b->round_id, MSFL_HASH_BYTES);
    msfl_hash_add_u64(&h, b->member);
    msfl_hash_add_field(&h, body, ANSWER_HEAD);
    msfl_hash_final(&h, out);
}

const uint8_t *msfl_answer_signature(const uint8_t *body) {
    return body + ANSWER_HEAD;
}

msfl_status msfl_answer_seal(const msfl_answer_binding *b, const msfl_identity_secret *secret,
                             const msfl_identity *receiver, const uint32_t *sum, uint8_t *body) {
    const size_t n = b->ring_degree, packed_bytes = msfl_shamir_packed_bytes(n);
    uint8_t ephemeral[32], key[MSFL_AEAD_KEY_BYTES], context[ANSWER_CONTEXT], digest[MSFL_HASH_BYTES];
    uint8_t *slice = body + MSFL_ANSWER_KEPT;
    uint8_t *packed = msfl_secret_alloc((packed_bytes + 63) / 64 * 64);
    if (packed == NULL) return MSFL_ERR_MEMORY;
    msfl_shamir_pack(sum, n, packed);
    /* Derived and not drawn, and from the sum as well: one ephemeral key never seals two different sums, whatever the
     * machine around this has forgotten. */
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.answer-key.v1");
    msfl_hash_add(&h, secret->box, sizeof secret->box);
    msfl_hash_add(&h, b->round_id, MSFL_HASH_BYTES);
    msfl_hash_add(&h, b->cohort, MSFL_HASH_BYTES);
    msfl_hash_add_field(&h, packed, packed_bytes);
    msfl_hash_final(&h, ephemeral);
    msfl_wipe(&h, sizeof h);
    memcpy(body, b->cohort, MSFL_HASH_BYTES);
    msfl_x25519_public(ephemeral, body + 32);
    msfl_store32(body + 64, 1);
    answer_context(b, context);
    msfl_status status = msfl_transfer_key(answer_label, ephemeral, receiver->box, body + 32, receiver->box, context,
                                           sizeof context, key);
    if (status == MSFL_OK) {
        msfl_aead_seal(key, nonce, context, sizeof context, packed, packed_bytes, slice);
        slice_hash(slice, slice_bytes(b->ring_degree), body + 68);
        msfl_answer_digest(b, body, digest);
        msfl_sign(secret->sign, digest, sizeof digest, body + ANSWER_HEAD);
    }
    msfl_wipe(ephemeral, sizeof ephemeral);
    msfl_wipe(key, sizeof key);
    msfl_secret_free(packed);
    return status;
}

msfl_status msfl_answer_open(const msfl_answer_binding *b, const msfl_identity *member, const msfl_identity *receiver,
                             const msfl_identity_secret *secret, const uint8_t *body, uint32_t *shares) {
    const size_t n = b->ring_degree, packed_bytes = msfl_shamir_packed_bytes(n), each = slice_bytes(b->ring_degree);
    const uint8_t *slice = body + MSFL_ANSWER_KEPT;
    uint8_t digest[MSFL_HASH_BYTES], hash[MSFL_HASH_BYTES], key[MSFL_AEAD_KEY_BYTES], context[ANSWER_CONTEXT];
    msfl_answer_digest(b, body, digest);
    slice_hash(slice, each, hash);
    if (!MSFL_GUARD(ANSWER_SIGNED, msfl_sign_verify(member->sign, digest, sizeof digest, msfl_answer_signature(body)) &&
                                       msfl_equal(hash, body + 68, sizeof hash))) {
        return msfl_fail(MSFL_ERR_CRYPTO, "answer: not signed by member %" PRIu32, b->member);
    }
    uint8_t *packed = msfl_secret_alloc((packed_bytes + 63) / 64 * 64);
    if (packed == NULL) return MSFL_ERR_MEMORY;
    answer_context(b, context);
    msfl_status status =
        msfl_transfer_key(answer_label, secret->box, body + 32, body + 32, receiver->box, context, sizeof context, key);
    if (status == MSFL_OK) status = msfl_aead_open(key, nonce, context, sizeof context, slice, each, packed);
    if (status == MSFL_OK) status = msfl_shamir_unpack(packed, n, shares);
    msfl_wipe(key, sizeof key);
    msfl_secret_free(packed);
    return status == MSFL_OK ? MSFL_OK : msfl_fail_in(MSFL_ERR_CRYPTO, "answer of member %" PRIu32, b->member);
}
