#include "round/transcript.h"
#include "round/guard.h"

#include "base/error.h"

#include <inttypes.h>

#define MAGIC 0x5254534du /* "MSTR" */
enum { VERSION = 1, VERSION_SEALED = 2 /* with reports */, REASON_MAX = 200 };

void msfl_transcript_hash(const uint8_t *bytes, size_t length, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.transcript.v1");
    msfl_hash_add(&h, bytes, length - MSFL_SIGN_BYTES);
    msfl_hash_final(&h, out);
}

/** Bytes that stay of an answer. */
static size_t kept_of(msfl_delivery delivery) {
    return delivery == MSFL_DELIVERY_CLIENTS ? (size_t)MSFL_SEALED_KEPT : (size_t)MSFL_ANSWER_KEPT;
}

bool msfl_transcript_is_sealed(const uint8_t *bytes, size_t length) {
    return length >= 8 && msfl_load32(bytes + 4) == VERSION_SEALED;
}

void msfl_transcript_write(const msfl_coordinator *c, msfl_outcome outcome, const uint8_t result[MSFL_HASH_BYTES],
                           const char *reason, msfl_buffer *out) {
    const uint32_t k = c->r->k;
    const bool sealed = c->a.delivery == MSFL_DELIVERY_CLIENTS;
    const uint32_t n = c->statements == NULL ? 0 : c->n;
    uint32_t n_votes = 0, n_answers = 0;
    uint8_t hash[MSFL_HASH_BYTES], signature[MSFL_SIGN_BYTES] = {0};
    for (uint32_t i = 0; i < k; i++) {
        n_votes += c->members[i].voted;
        n_answers += c->members[i].answered;
    }
    msfl_put32(out, MAGIC);
    msfl_put32(out, sealed ? VERSION_SEALED : VERSION);
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
        msfl_put_bytes(out, c->members[i].answer, kept_of(c->a.delivery));
    }
    if (sealed) {
        msfl_put32(out, (uint32_t)c->n_reports);
        for (size_t i = 0; i < c->n_reports; i++)
            msfl_put_bytes(out, c->reports[i].bytes, MSFL_REPORT_BYTES);
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

static bool answer_holds(const msfl_answer_binding *binding, const msfl_roster_info *roster, msfl_delivery delivery,
                         const uint8_t *body) {
    if (delivery == MSFL_DELIVERY_CLIENTS) return msfl_sealed_verify(binding, roster, body);
    uint8_t digest[MSFL_HASH_BYTES];
    msfl_answer_digest(binding, body, digest);
    return memcmp(body, binding->cohort, MSFL_HASH_BYTES) == 0 && msfl_load32(body + 64) == 1 &&
           msfl_sign_verify(roster->parties[binding->member].sign, digest, sizeof digest, msfl_answer_signature(body));
}

static msfl_status verify_answers(msfl_reader *r, const msfl_roster_info *roster, msfl_transcript *t) {
    const size_t kept = kept_of(t->announcement.delivery);
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
        const msfl_answer_binding binding = {t->round_id, t->cohort_hash, party,
                                             t->announcement.info.params.ring_degree};
        if (!MSFL_GUARD(DELIVERY_ANSWERS_SIGNED, answer_holds(&binding, roster, t->announcement.delivery, body))) {
            return msfl_fail(MSFL_ERR_CRYPTO, "transcript: member %" PRIu32 " did not sign this answer", party);
        }
    }
    return MSFL_OK;
}

/** Reports of distinct hospitals, ascending. How many agree with the result is counted once that is read. */
static msfl_status verify_reports(msfl_reader *r, const msfl_roster_info *roster, msfl_transcript *t) {
    if (t->announcement.delivery != MSFL_DELIVERY_CLIENTS) return MSFL_OK;
    t->n_reports = msfl_get32(r);
    if (r->failed || t->n_reports > roster->n_clients) return cut_off();
    t->reports = msfl_get_bytes(r, (size_t)t->n_reports * MSFL_REPORT_BYTES);
    if (t->reports == NULL) return cut_off();
    for (uint32_t i = 0; i < t->n_reports; i++) {
        const uint8_t *report = t->reports + (size_t)i * MSFL_REPORT_BYTES;
        if (i > 0 && msfl_load32(report) <= msfl_load32(report - MSFL_REPORT_BYTES)) {
            return msfl_fail(MSFL_ERR_POLICY, "transcript: hospital %" PRIu32 " reported twice, or out of order",
                             msfl_load32(report));
        }
        msfl_status status = msfl_report_verify(t->round_id, t->cohort_hash, roster, report);
        if (status != MSFL_OK) return status;
    }
    return MSFL_OK;
}

static msfl_status verify_cohort(msfl_reader *r, const msfl_roster *roster, uint32_t min_cohort, bool partial,
                                 msfl_transcript *t) {
    const msfl_roster_info *info = msfl_roster_borrow(roster);
    t->n_cohort = msfl_get32(r);
    if (r->failed || t->n_cohort > info->n_clients) return cut_off();
    t->statements = msfl_get_bytes(r, t->n_cohort * msfl_statement_bytes(info->k));
    if (t->statements == NULL) return cut_off();
    if (t->n_cohort == 0 && partial) return MSFL_OK;
    return msfl_cohort_check(&t->announcement, t->round_id, roster, min_cohort, t->statements, t->n_cohort,
                             t->cohort_hash);
}

msfl_status msfl_evidence_read(msfl_reader *r, const msfl_roster *roster, const uint8_t *task, uint32_t min_cohort,
                               bool partial, msfl_transcript *out, msfl_evidence *where) {
    const msfl_roster_info *info = msfl_roster_borrow(roster);
    const uint8_t *announce = msfl_get_bytes(r, MSFL_ANNOUNCE_BODY);
    if (announce == NULL) return cut_off();
    where->announce = announce;
    msfl_status status = msfl_announcement_verify(announce, roster, task, &out->announcement, out->round_id);
    if (status == MSFL_OK) status = verify_cohort(r, roster, min_cohort, partial, out);
    if (status == MSFL_OK) status = verify_votes(r, info, out);
    where->answers = r->at + 4;
    if (status == MSFL_OK) status = verify_answers(r, info, out);
    return status;
}

static msfl_status verify(const uint8_t *bytes, size_t length, const msfl_roster *roster, const uint8_t *previous,
                          msfl_transcript *out) {
    const msfl_roster_info *info = msfl_roster_borrow(roster);
    msfl_transcript t = {0};
    msfl_reader r = msfl_reader_init(bytes, length);
    const uint32_t magic = msfl_get32(&r), version = msfl_get32(&r);
    t.outcome = (msfl_outcome)msfl_get32(&r);
    if (r.failed || magic != MAGIC || length < MSFL_SIGN_BYTES) return cut_off();
    if ((version != VERSION && version != VERSION_SEALED) ||
        (t.outcome != MSFL_OUTCOME_OPENED && t.outcome != MSFL_OUTCOME_ABORTED)) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "transcript: version %" PRIu32 ", outcome %d", version, (int)t.outcome);
    }
    msfl_transcript_hash(bytes, length, t.hash);
    if (!msfl_sign_verify(info->coordinator.sign, t.hash, sizeof t.hash, bytes + length - MSFL_SIGN_BYTES)) {
        return msfl_fail(MSFL_ERR_CRYPTO, "transcript: not signed by the coordinator of the roster, or changed since");
    }
    msfl_evidence where;
    msfl_status status = msfl_evidence_read(&r, roster, NULL, 2, t.outcome == MSFL_OUTCOME_ABORTED, &t, &where);
    const bool sealed = status == MSFL_OK && t.announcement.delivery == MSFL_DELIVERY_CLIENTS;
    if (status == MSFL_OK && sealed != (version == VERSION_SEALED)) {
        return msfl_fail(MSFL_ERR_FORMAT, "transcript: version %" PRIu32 " of a round with delivery %d", version,
                         (int)t.announcement.delivery);
    }
    if (status == MSFL_OK) status = verify_reports(&r, info, &t);
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
    for (uint32_t i = 0; i < t.n_reports; i++)
        t.n_agree +=
            memcmp(msfl_report_result(t.reports + (size_t)i * MSFL_REPORT_BYTES), result, MSFL_HASH_BYTES) == 0;
    if (t.outcome == MSFL_OUTCOME_OPENED && sealed && t.n_agree < t.announcement.info.min_cohort) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "transcript: %" PRIu32 " hospitals report the result of round %" PRIu64 "; %" PRIu32 " must",
                         t.n_agree, t.announcement.info.number, t.announcement.info.min_cohort);
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

bool msfl_transcript_report(const msfl_transcript *t, uint32_t i, msfl_report *out) {
    *out = (msfl_report){0};
    if (i >= t->n_reports) return false;
    const uint8_t *r = t->reports + (size_t)i * MSFL_REPORT_BYTES;
    out->client = msfl_load32(r);
    out->fold = (msfl_fold)msfl_load32(r + 4);
    out->wrong = msfl_load32(r + 8);
    memcpy(out->result, msfl_report_result(r), MSFL_HASH_BYTES);
    return true;
}

void msfl_model_after(const uint8_t model[MSFL_HASH_BYTES], const uint8_t result[MSFL_HASH_BYTES],
                      uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.model-after.v1");
    msfl_hash_add(&h, model, MSFL_HASH_BYTES);
    msfl_hash_add(&h, result, MSFL_HASH_BYTES);
    msfl_hash_final(&h, out);
}

void msfl_result_hash_init(msfl_hash *h, uint64_t n) {
    msfl_hash_init(h, "msfl.round.result.v1");
    msfl_hash_add_u64(h, n);
}

void msfl_result_hash(const uint64_t *totals, uint64_t n, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_result_hash_init(&h, n);
    for (uint64_t i = 0; i < n; i++)
        msfl_hash_add_u64(&h, totals[i]);
    msfl_hash_final(&h, out);
}
