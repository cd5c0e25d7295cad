#include "round/transcript.h"

#include "base/error.h"

#include <inttypes.h>

#define MAGIC 0x5254534du /* "MSTR" */
enum { VERSION = 1, REASON_MAX = 200 };

void msfl_transcript_hash(const uint8_t *bytes, size_t length, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.transcript.v1");
    msfl_hash_add(&h, bytes, length - MSFL_SIGN_BYTES);
    msfl_hash_final(&h, out);
}

void msfl_transcript_write(const msfl_coordinator *c, msfl_outcome outcome, const uint8_t result[MSFL_HASH_BYTES],
                           const char *reason, msfl_buffer *out) {
    const uint32_t degree = c->a.info.params.ring_degree, k = c->r->k;
    const size_t kept = msfl_answer_bytes(degree, 1) - msfl_answer_sums_bytes(degree, 1);
    const uint32_t n = c->statements == NULL ? 0 : c->n;
    uint32_t n_votes = 0, n_answers = 0;
    uint8_t hash[MSFL_HASH_BYTES], signature[MSFL_SIGN_BYTES] = {0};
    for (uint32_t i = 0; i < k; i++) {
        n_votes += c->members[i].voted;
        n_answers += c->members[i].answered;
    }
    msfl_put32(out, MAGIC);
    msfl_put32(out, VERSION);
    msfl_put32(out, (uint32_t)outcome);
    msfl_put_bytes(out, c->announce, sizeof c->announce);
    msfl_put32(out, n);
    msfl_put_bytes(out, c->statements, n * msfl_statement_bytes(k));
    msfl_put32(out, n_votes);
    for (uint32_t i = 0; i < k; i++) {
        if (!c->members[i].voted) continue;
        msfl_put32(out, c->r->members[i]);
        msfl_put_bytes(out, c->members[i].vote, MSFL_SIGN_BYTES);
    }
    msfl_put32(out, n_answers);
    for (uint32_t i = 0; i < k; i++) {
        if (!c->members[i].answered) continue;
        msfl_put32(out, c->r->members[i]);
        msfl_put_bytes(out, c->members[i].answer, kept);
    }
    msfl_put_bytes(out, result, MSFL_HASH_BYTES);
    msfl_put32(out, (uint32_t)strlen(reason));
    msfl_put_bytes(out, reason, strlen(reason));
    msfl_put_bytes(out, signature, sizeof signature);
    if (out->status != MSFL_OK) return;
    msfl_transcript_hash(out->bytes, out->length, hash);
    msfl_sign(c->config.secret->sign, hash, sizeof hash, out->bytes + out->length - MSFL_SIGN_BYTES);
}

static msfl_status cut_off(void) {
    return msfl_fail(MSFL_ERR_FORMAT, "transcript: cut off, or not one");
}

/** Votes of distinct members over the cohort. */
static msfl_status verify_votes(msfl_reader *r, const msfl_roster_info *roster, msfl_transcript *t) {
    bool seen[MSFL_COMMITTEE_MAX] = {false};
    t->n_votes = msfl_get32(r);
    if (r->failed || t->n_votes > roster->k) return cut_off();
    for (uint32_t i = 0; i < t->n_votes; i++) {
        const uint32_t party = msfl_get32(r), place = msfl_member_place(roster, party);
        const uint8_t *signature = msfl_get_bytes(r, MSFL_SIGN_BYTES);
        if (signature == NULL) return cut_off();
        if (place == roster->k || seen[place]) {
            return msfl_fail(MSFL_ERR_POLICY, "transcript: party %" PRIu32 " is no member, or signed twice", party);
        }
        seen[place] = true;
        if (!msfl_vote_verify(t->round_id, t->cohort_hash, &roster->parties[party], signature)) {
            return msfl_fail(MSFL_ERR_CRYPTO, "transcript: member %" PRIu32 " did not sign this cohort", party);
        }
    }
    return MSFL_OK;
}

static msfl_status verify_answers(msfl_reader *r, const msfl_roster_info *roster, msfl_transcript *t) {
    const uint32_t degree = t->announcement.info.params.ring_degree;
    const uint32_t receivers = t->announcement.delivery == MSFL_DELIVERY_CLIENTS ? t->n_cohort : 1;
    const size_t kept = msfl_answer_bytes(degree, receivers) - msfl_answer_sums_bytes(degree, receivers);
    bool seen[MSFL_COMMITTEE_MAX] = {false};
    t->n_answers = msfl_get32(r);
    if (r->failed || t->n_answers > roster->k) return cut_off();
    for (uint32_t i = 0; i < t->n_answers; i++) {
        const uint32_t party = msfl_get32(r), place = msfl_member_place(roster, party);
        const uint8_t *body = msfl_get_bytes(r, kept);
        if (body == NULL) return cut_off();
        if (place == roster->k || seen[place]) {
            return msfl_fail(MSFL_ERR_POLICY, "transcript: party %" PRIu32 " is no member, or answered twice", party);
        }
        seen[place] = true;
        const msfl_answer_binding binding = {t->round_id, t->cohort_hash, party, degree};
        uint8_t digest[MSFL_HASH_BYTES];
        msfl_answer_digest(&binding, body, receivers, digest);
        if (memcmp(body, t->cohort_hash, MSFL_HASH_BYTES) != 0 || msfl_load32(body + 64) != receivers ||
            !msfl_sign_verify(roster->parties[party].sign, digest, sizeof digest,
                              msfl_answer_signature(body, receivers))) {
            return msfl_fail(MSFL_ERR_CRYPTO, "transcript: member %" PRIu32 " did not sign this answer", party);
        }
    }
    return MSFL_OK;
}

static msfl_status verify_cohort(msfl_reader *r, const msfl_roster *roster, msfl_transcript *t) {
    const msfl_roster_info *info = msfl_roster_borrow(roster);
    t->n_cohort = msfl_get32(r);
    if (r->failed || t->n_cohort > info->n_clients) return cut_off();
    t->statements = msfl_get_bytes(r, t->n_cohort * msfl_statement_bytes(info->k));
    if (t->statements == NULL) return cut_off();
    if (t->n_cohort == 0 && t->outcome == MSFL_OUTCOME_ABORTED) return MSFL_OK;
    return msfl_cohort_check(&t->announcement, t->round_id, roster, 2, t->statements, t->n_cohort, t->cohort_hash);
}

static msfl_status verify(const uint8_t *bytes, size_t length, const msfl_roster *roster, const uint8_t *previous,
                          msfl_transcript *out) {
    const msfl_roster_info *info = msfl_roster_borrow(roster);
    msfl_transcript t = {0};
    msfl_reader r = msfl_reader_init(bytes, length);
    const uint32_t magic = msfl_get32(&r), version = msfl_get32(&r);
    t.outcome = (msfl_outcome)msfl_get32(&r);
    const uint8_t *announce = msfl_get_bytes(&r, MSFL_ANNOUNCE_BODY);
    if (announce == NULL || magic != MAGIC || length < MSFL_SIGN_BYTES) return cut_off();
    if (version != VERSION || (t.outcome != MSFL_OUTCOME_OPENED && t.outcome != MSFL_OUTCOME_ABORTED)) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "transcript: version %" PRIu32 ", outcome %d", version, (int)t.outcome);
    }
    msfl_transcript_hash(bytes, length, t.hash);
    if (!msfl_sign_verify(info->coordinator.sign, t.hash, sizeof t.hash, bytes + length - MSFL_SIGN_BYTES)) {
        return msfl_fail(MSFL_ERR_CRYPTO, "transcript: not signed by the coordinator of the roster, or changed since");
    }
    msfl_status status = msfl_announcement_verify(announce, roster, NULL, &t.announcement, t.round_id);
    if (status == MSFL_OK) status = verify_cohort(&r, roster, &t);
    if (status == MSFL_OK) status = verify_votes(&r, info, &t);
    if (status == MSFL_OK) status = verify_answers(&r, info, &t);
    if (status != MSFL_OK) return msfl_fail_in(status, "transcript");
    const uint8_t *result = msfl_get_bytes(&r, MSFL_HASH_BYTES);
    t.reason_length = msfl_get32(&r);
    if (result == NULL || r.failed || t.reason_length > REASON_MAX) return cut_off();
    t.reason = (const char *)msfl_get_bytes(&r, t.reason_length);
    if (t.reason == NULL || msfl_reader_left(&r) != MSFL_SIGN_BYTES) return cut_off();
    memcpy(t.result, result, MSFL_HASH_BYTES);
    if (t.outcome == MSFL_OUTCOME_OPENED && (t.n_votes < info->t || t.n_answers < info->t)) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "transcript: round %" PRIu64 " was opened with %" PRIu32 " signatures and %" PRIu32
                         " answers of the committee; %" PRIu32 " are needed",
                         t.announcement.info.number, t.n_votes, t.n_answers, info->t);
    }
    if (previous != NULL && memcmp(previous, t.announcement.previous, MSFL_HASH_BYTES) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "transcript: round %" PRIu64 " does not continue the record before it",
                         t.announcement.info.number);
    }
    *out = t;
    return MSFL_OK;
}

msfl_status msfl_transcript_verify(const uint8_t *bytes, size_t length, const msfl_roster *roster,
                                   const uint8_t *previous, msfl_transcript *out) {
    msfl_transcript t = {0}; /* `previous` may be out->hash, as in a loop over a chain */
    msfl_status status = verify(bytes, length, roster, previous, &t);
    if (status != MSFL_OK) t = (msfl_transcript){0};
    *out = t;
    return status;
}

bool msfl_transcript_find(const msfl_transcript *t, const msfl_roster *roster, uint32_t client,
                          uint8_t ciphertext_hash[MSFL_HASH_BYTES]) {
    const size_t each = msfl_statement_bytes(msfl_roster_borrow(roster)->k);
    for (uint32_t i = 0; i < t->n_cohort; i++) {
        const uint8_t *s = t->statements + i * each;
        if (msfl_load32(s) != client) continue;
        memcpy(ciphertext_hash, s + 12, MSFL_HASH_BYTES);
        return true;
    }
    memset(ciphertext_hash, 0, MSFL_HASH_BYTES);
    return false;
}

void msfl_result_hash(const uint64_t *totals, uint64_t n, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.result.v1");
    msfl_hash_add_u64(&h, n);
    for (uint64_t i = 0; i < n; i++)
        msfl_hash_add_u64(&h, totals[i]);
    msfl_hash_final(&h, out);
}
