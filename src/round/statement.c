#include "round/statement.h"
#include "round/guard.h"

#include "base/error.h"
#include "he/security.h"

#include <inttypes.h>

void msfl_bundle_hash(const uint8_t *bundle, size_t length, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.bundle.v1");
    msfl_hash_add(&h, bundle, length);
    msfl_hash_final(&h, out);
}

void msfl_statement_digest(const uint8_t *bytes, const msfl_roster *roster, const uint8_t round_id[MSFL_HASH_BYTES],
                           uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.statement.v1");
    msfl_hash_add(&h, round_id, MSFL_HASH_BYTES);
    msfl_hash_add(&h, msfl_roster_hash(roster), MSFL_HASH_BYTES);
    msfl_hash_add_field(&h, bytes, msfl_statement_bytes(msfl_roster_borrow(roster)->k) - MSFL_SIGN_BYTES);
    msfl_hash_final(&h, out);
}

void msfl_statement_sign(const msfl_statement *s, const msfl_roster *roster, const uint8_t round_id[MSFL_HASH_BYTES],
                         const msfl_identity_secret *secret, uint8_t *out) {
    const uint32_t k = msfl_roster_borrow(roster)->k;
    uint8_t digest[MSFL_HASH_BYTES];
    msfl_store32(out, s->client);
    msfl_store64(out + 4, s->length);
    memcpy(out + 12, s->ciphertext_hash, MSFL_HASH_BYTES);
    memcpy(out + 44, s->bundle_hash, (size_t)MSFL_HASH_BYTES * k);
    msfl_statement_digest(out, roster, round_id, digest);
    msfl_sign(secret->sign, digest, sizeof digest, out + msfl_statement_bytes(k) - MSFL_SIGN_BYTES);
}

void msfl_statement_read(const uint8_t *bytes, uint32_t k, msfl_statement *out) {
    memset(out, 0, sizeof *out);
    out->client = msfl_load32(bytes);
    out->length = msfl_load64(bytes + 4);
    memcpy(out->ciphertext_hash, bytes + 12, MSFL_HASH_BYTES);
    memcpy(out->bundle_hash, bytes + 44, (size_t)MSFL_HASH_BYTES * k);
}

msfl_status msfl_statement_verify(const uint8_t *bytes, const msfl_roster *roster,
                                  const uint8_t round_id[MSFL_HASH_BYTES]) {
    const msfl_roster_info *r = msfl_roster_borrow(roster);
    const uint32_t client = msfl_load32(bytes);
    if (client >= r->n_clients) {
        return msfl_fail(MSFL_ERR_POLICY, "client %" PRIu32 " is not in the roster of %" PRIu32, client, r->n_clients);
    }
    uint8_t digest[MSFL_HASH_BYTES];
    msfl_statement_digest(bytes, roster, round_id, digest);
    if (!msfl_sign_verify(r->parties[client].sign, digest, sizeof digest,
                          bytes + msfl_statement_bytes(r->k) - MSFL_SIGN_BYTES)) {
        return msfl_fail(MSFL_ERR_CRYPTO, "client %" PRIu32 " did not sign this upload for this round", client);
    }
    return MSFL_OK;
}

void msfl_cohort_hash(const uint8_t round_id[MSFL_HASH_BYTES], const msfl_roster *roster, const uint8_t *statements,
                      uint32_t n, uint8_t hash[MSFL_HASH_BYTES]) {
    const size_t each = msfl_statement_bytes(msfl_roster_borrow(roster)->k);
    uint8_t digest[MSFL_HASH_BYTES];
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.cohort.v1");
    msfl_hash_add(&h, round_id, MSFL_HASH_BYTES);
    msfl_hash_add_u64(&h, n);
    for (uint32_t i = 0; i < n; i++) {
        msfl_statement_digest(statements + i * each, roster, round_id, digest);
        msfl_hash_add(&h, digest, sizeof digest);
    }
    msfl_hash_final(&h, hash);
}

msfl_status msfl_cohort_check(const msfl_announcement *a, const uint8_t round_id[MSFL_HASH_BYTES],
                              const msfl_roster *roster, uint32_t min_cohort, const uint8_t *statements, uint32_t n,
                              uint8_t hash[MSFL_HASH_BYTES]) {
    const msfl_roster_info *r = msfl_roster_borrow(roster);
    const size_t each = msfl_statement_bytes(r->k);
    if (!MSFL_GUARD(COHORT_MIN, n >= a->info.min_cohort)) {
        return msfl_fail(MSFL_ERR_POLICY, "cohort of round %" PRIu64 ": %" PRIu32 " uploads, the round needs %" PRIu32,
                         a->info.number, n, a->info.min_cohort);
    }
    if (!MSFL_GUARD(COHORT_OWN_MIN, n >= min_cohort)) {
        return msfl_fail(MSFL_ERR_POLICY, "cohort of round %" PRIu64 ": %" PRIu32 " uploads, this party wants %" PRIu32,
                         a->info.number, n, min_cohort);
    }
    const uint64_t length = msfl_ciphertext_bytes(&a->info.params, a->info.n_values);
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *s = statements + i * each;
        const uint32_t client = msfl_load32(s);
        if (i > 0 && !MSFL_GUARD(COHORT_DISTINCT, client > msfl_load32(s - each))) {
            return msfl_fail(MSFL_ERR_POLICY,
                             "cohort of round %" PRIu64 ": client %" PRIu32 " is named twice, or out of order",
                             a->info.number, client);
        }
        if (msfl_load64(s + 4) != length) {
            return msfl_fail(MSFL_ERR_POLICY, "cohort of round %" PRIu64 ": client %" PRIu32 " signed another length",
                             a->info.number, client);
        }
        msfl_status status = msfl_statement_verify(s, roster, round_id);
        if (!MSFL_GUARD(COHORT_SIGNED, status == MSFL_OK)) {
            return msfl_fail_in(status, "cohort of round %" PRIu64, a->info.number);
        }
    }
    msfl_cohort_hash(round_id, roster, statements, n, hash);
    return MSFL_OK;
}

static void vote_digest(const uint8_t round_id[MSFL_HASH_BYTES], const uint8_t cohort[MSFL_HASH_BYTES],
                        uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.vote.v1");
    msfl_hash_add(&h, round_id, MSFL_HASH_BYTES);
    msfl_hash_add(&h, cohort, MSFL_HASH_BYTES);
    msfl_hash_final(&h, out);
}

void msfl_vote_sign(const uint8_t round_id[MSFL_HASH_BYTES], const uint8_t cohort[MSFL_HASH_BYTES],
                    const msfl_identity_secret *secret, uint8_t signature[MSFL_SIGN_BYTES]) {
    uint8_t digest[MSFL_HASH_BYTES];
    vote_digest(round_id, cohort, digest);
    msfl_sign(secret->sign, digest, sizeof digest, signature);
}

bool msfl_vote_verify(const uint8_t round_id[MSFL_HASH_BYTES], const uint8_t cohort[MSFL_HASH_BYTES],
                      const msfl_identity *member, const uint8_t signature[MSFL_SIGN_BYTES]) {
    uint8_t digest[MSFL_HASH_BYTES];
    vote_digest(round_id, cohort, digest);
    return msfl_sign_verify(member->sign, digest, sizeof digest, signature);
}

uint32_t msfl_member_place(const msfl_roster_info *r, uint32_t party) {
    for (uint32_t i = 0; i < r->k; i++) {
        if (r->members[i] == party) return i;
    }
    return r->k;
}
