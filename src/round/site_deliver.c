/* A sum that is delivered to the hospitals: what a site checks before it opens anything. */
#include "round/guard.h"
#include "round/site.h"
#include "round/transcript.h"

#include "base/error.h"
#include "base/mem.h"
#include "he/security.h"

#include <inttypes.h>

void msfl_site_clear_delivery(msfl_site *s) {
    const size_t bytes = s->a.info.params.ring_degree * sizeof(uint32_t);
    for (uint32_t i = 0; i < MSFL_COMMITTEE_MAX; i++) {
        if (s->shares[i] != NULL) msfl_wipe(s->shares[i], bytes);
        msfl_free(s->shares[i]);
        s->shares[i] = NULL;
    }
    if (s->key_sum != NULL) msfl_wipe(s->key_sum, bytes);
    msfl_free(s->key_sum);
    msfl_packed_sum_free(s->sum);
    msfl_free(s->statements);
    msfl_free(s->cohort_clients);
    s->key_sum = NULL;
    s->sum = NULL;
    s->statements = NULL;
    s->cohort_clients = NULL;
    s->n_cohort = 0;
    s->fold = 0;
    s->at_client = 0;
    s->at_chunk = 0;
    s->wrong = 0;
}

/** A delivery taken apart; pointers lead into the message. */
typedef struct delivery {
    msfl_transcript t;
    msfl_evidence where;
    const uint8_t *folded, *sealed; /* sealed: a sum and a wrap for each answer, in their order */
} delivery;

static msfl_status read_delivery(const msfl_site *s, msfl_frame *frame, delivery *d) {
    msfl_reader *r = &frame->body;
    msfl_status status =
        msfl_evidence_read(r, s->config.roster, s->config.task, s->rules.min_cohort, false, &d->t, &d->where);
    if (status != MSFL_OK) return status;
    const msfl_announcement *a = &d->t.announcement;
    const uint64_t number = a->info.number;
    if (a->delivery != MSFL_DELIVERY_CLIENTS) {
        return msfl_fail(MSFL_ERR_FORMAT, "round %" PRIu64 " is not delivered to hospitals", number);
    }
    d->folded = msfl_get_bytes(r, MSFL_HASH_BYTES);
    const uint8_t *signature = msfl_get_bytes(r, MSFL_SIGN_BYTES);
    d->sealed =
        msfl_get_bytes(r, d->t.n_answers * (msfl_sealed_sum_bytes(a->info.params.ring_degree) + MSFL_WRAP_BYTES));
    if (d->sealed == NULL || msfl_reader_left(r) != 0) return msfl_fail(MSFL_ERR_FORMAT, "wrong length");
    if (memcmp(frame->round_id, d->t.round_id, MSFL_HASH_BYTES) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "its head names another round");
    }
    uint8_t digest[MSFL_HASH_BYTES];
    msfl_delivery_digest(d->t.round_id, d->t.cohort_hash, d->folded, digest);
    if (!MSFL_GUARD(FOLD_SIGNED, msfl_sign_verify(s->r->coordinator.sign, digest, sizeof digest, signature))) {
        return msfl_fail(MSFL_ERR_CRYPTO, "the coordinator did not sign the folded sum of round %" PRIu64, number);
    }
    /* Of t answers one at least is an honest member's, who saw t votes; they are looked at all the same. */
    if (d->t.n_votes < s->r->t || d->t.n_answers < s->r->t) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "round %" PRIu64 ": %" PRIu32 " signatures and %" PRIu32 " answers of the committee; %" PRIu32
                         " are needed",
                         number, d->t.n_votes, d->t.n_answers, s->r->t);
    }
    if (a->info.params.security_bits < s->rules.security_bits) {
        return msfl_fail(MSFL_ERR_POLICY, "round %" PRIu64 " has %" PRIu32 " bits of security, %" PRIu32 " are wanted",
                         number, a->info.params.security_bits, s->rules.security_bits);
    }
    return MSFL_OK;
}

/** Whether the machine is in the delivered round. */
static bool is_current(const msfl_site *s, const delivery *d) {
    return s->phase != MSFL_SITE_IDLE && memcmp(s->round_id, d->t.round_id, MSFL_HASH_BYTES) == 0;
}

static msfl_status check_round(const msfl_site *s, const delivery *d) {
    const uint64_t number = d->t.announcement.info.number;
    if (is_current(s, d)) return MSFL_OK;
    msfl_status status = msfl_site_check_history(s, &d->t.announcement);
    if (status != MSFL_OK) return status;
    if (s->phase >= MSFL_SITE_ENCRYPTING && s->a.info.number >= number) {
        return msfl_fail(MSFL_ERR_MISMATCH,
                         "round %" PRIu64 " is delivered while this hospital takes part in %s of number %" PRIu64,
                         number, s->a.info.number == number ? "another" : "one", s->a.info.number);
    }
    return MSFL_OK;
}

/** What this hospital sent is in the sum as it sent it; and it is, if that was acknowledged. */
static msfl_status check_own(const msfl_site *s, const delivery *d) {
    const size_t each = msfl_statement_bytes(s->r->k);
    const uint64_t number = d->t.announcement.info.number;
    const bool current = is_current(s, d);
    for (uint32_t i = 0; i < d->t.n_cohort; i++) {
        const uint8_t *statement = d->t.statements + i * each;
        if (msfl_load32(statement) != s->config.client) continue;
        if (current && s->upload != NULL && memcmp(statement, s->upload, each) == 0) return MSFL_OK;
        return msfl_fail(MSFL_ERR_CRYPTO,
                         "the sum of round %" PRIu64
                         " holds an upload that is signed with this hospital's key and that "
                         "it does not know: the key is stolen, or the journal is lost",
                         number);
    }
    if (!MSFL_GUARD(DELIVERY_RECEIPT, !(current && s->acknowledged))) {
        return msfl_fail(MSFL_ERR_MISMATCH,
                         "round %" PRIu64 ": the coordinator acknowledged this hospital's upload and left it out",
                         number);
    }
    return MSFL_OK;
}

/** The answers that are new and open: `fresh` by place, N shares each. */
static msfl_status open_answers(const msfl_site *s, const delivery *d, uint32_t *fresh[MSFL_COMMITTEE_MAX]) {
    const uint32_t degree = d->t.announcement.info.params.ring_degree;
    const size_t sum_bytes = msfl_sealed_sum_bytes(degree);
    const bool known = is_current(s, d) && s->phase == MSFL_SITE_DELIVERED;
    const uint8_t *head = d->where.answers, *sealed = d->sealed;
    for (uint32_t i = 0; i < d->t.n_answers; i++) {
        const uint32_t party = msfl_load32(head), place = msfl_member_place(s->r, party);
        if ((!known || s->shares[place] == NULL) && fresh[place] == NULL) {
            const msfl_answer_binding binding = {d->t.round_id, d->t.cohort_hash, party, degree};
            fresh[place] = msfl_alloc(degree, sizeof **fresh);
            if (fresh[place] == NULL) return MSFL_NO_MEMORY;
            msfl_status status = msfl_sealed_open(&binding, s->r, s->config.client, s->config.secret, head + 4, sealed,
                                                  sealed + sum_bytes, fresh[place]);
            if (status == MSFL_ERR_MEMORY) return status;
            if (status != MSFL_OK) {
                /* The member's doing, or the coordinator's: the others may do. */
                msfl_free(fresh[place]);
                fresh[place] = NULL;
            }
        }
        head += 4 + MSFL_SEALED_KEPT;
        sealed += sum_bytes + MSFL_WRAP_BYTES;
    }
    return MSFL_OK;
}

/** Enter the delivered round. Nothing here fails half way. */
static msfl_status enter(msfl_site *s, const delivery *d) {
    const size_t each = msfl_statement_bytes(s->r->k), length = d->t.n_cohort * each;
    uint8_t *statements = msfl_alloc(length, 1);
    uint32_t *clients = msfl_alloc(d->t.n_cohort, sizeof *clients);
    if (statements == NULL || clients == NULL) {
        msfl_free(statements);
        msfl_free(clients);
        return MSFL_NO_MEMORY;
    }
    if (is_current(s, d)) {
        msfl_site_drop_key(s);
    } else {
        msfl_site_clear_round(s);
    }
    s->a = d->t.announcement;
    memcpy(s->announce, d->where.announce, MSFL_ANNOUNCE_BODY);
    memcpy(s->round_id, d->t.round_id, MSFL_HASH_BYTES);
    s->n_chunks = msfl_chunking_of(&s->a.info.params, s->a.info.n_values).n_chunks;
    memcpy(statements, d->t.statements, length);
    for (uint32_t i = 0; i < d->t.n_cohort; i++)
        clients[i] = msfl_load32(statements + i * each);
    s->n_cohort = d->t.n_cohort;
    s->statements = statements;
    s->cohort_clients = clients;
    memcpy(s->cohort, d->t.cohort_hash, MSFL_HASH_BYTES);
    memcpy(s->folded, d->folded, MSFL_HASH_BYTES);
    s->phase = MSFL_SITE_DELIVERED;
    return MSFL_OK;
}

msfl_status msfl_site_on_deliver(msfl_site *s, msfl_frame *frame, msfl_effects *effects) {
    uint32_t *fresh[MSFL_COMMITTEE_MAX] = {NULL};
    delivery d = {0};
    if (s->phase >= MSFL_SITE_OPENED && memcmp(frame->round_id, s->round_id, MSFL_HASH_BYTES) == 0) {
        /* Nothing new can come of it. The coordinator has not heard the report. */
        return s->phase == MSFL_SITE_REPORTED ? msfl_site_send_report(s, effects) : MSFL_OK;
    }
    msfl_status status = read_delivery(s, frame, &d);
    if (status == MSFL_OK) status = check_round(s, &d);
    if (status == MSFL_OK) status = check_own(s, &d);
    const bool again = is_current(s, &d) && s->phase == MSFL_SITE_DELIVERED;
    if (status == MSFL_OK && again &&
        (memcmp(s->cohort, d.t.cohort_hash, MSFL_HASH_BYTES) != 0 ||
         memcmp(s->folded, d.folded, MSFL_HASH_BYTES) != 0)) {
        status = msfl_fail(MSFL_ERR_MISMATCH, "round %" PRIu64 " was delivered before, as another sum",
                           d.t.announcement.info.number);
    }
    if (status == MSFL_OK) status = open_answers(s, &d, fresh);
    if (status == MSFL_OK && !again) status = enter(s, &d);
    for (uint32_t i = 0; i < MSFL_COMMITTEE_MAX && status == MSFL_OK; i++) {
        if (fresh[i] == NULL) continue;
        s->shares[i] = fresh[i];
        fresh[i] = NULL;
    }
    if (status == MSFL_OK && s->sum != NULL && msfl_packed_sum_addends(s->sum) == s->n_cohort) {
        status = msfl_site_try_open(s);
    }
    for (uint32_t i = 0; i < MSFL_COMMITTEE_MAX; i++) {
        if (fresh[i] == NULL) continue;
        msfl_wipe(fresh[i], d.t.announcement.info.params.ring_degree * sizeof **fresh);
        msfl_free(fresh[i]);
    }
    return status == MSFL_OK ? MSFL_OK : msfl_fail_in(status, "delivery");
}
