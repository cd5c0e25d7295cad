/* From the cohort to its sum: votes, answers, the key sum that opens. */
#include "round/coord.h"
#include "round/guard.h"
#include "round/open.h"

#include "base/error.h"
#include "base/mem.h"
#include "he/shamir.h"

#include <inttypes.h>

static uint32_t count_votes(const msfl_coordinator *c) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->r->k; i++)
        n += c->members[i].voted;
    return n;
}

void msfl_coord_put_votes(const msfl_coordinator *c, msfl_buffer *out) {
    msfl_put32(out, count_votes(c));
    for (uint32_t i = 0; i < c->r->k; i++) {
        if (!c->members[i].voted) continue;
        msfl_put32(out, c->r->members[i]);
        msfl_put_bytes(out, c->members[i].vote, MSFL_SIGN_BYTES);
    }
}

msfl_status msfl_coord_vote(msfl_coordinator *c, uint32_t party, msfl_reader *body, msfl_effects *effects) {
    const uint32_t place = msfl_member_place(c->r, party);
    const uint8_t *cohort = msfl_get_bytes(body, MSFL_HASH_BYTES), *signature = msfl_get_bytes(body, MSFL_SIGN_BYTES);
    if (signature == NULL || msfl_reader_left(body) != 0) return msfl_fail(MSFL_ERR_FORMAT, "vote: wrong length");
    if (place == c->r->k) return msfl_fail(MSFL_ERR_POLICY, "vote: from no member");
    if (c->phase == MSFL_PHASE_COLLECTING) return msfl_coord_expect(c, MSFL_PHASE_CERTIFYING, "vote");
    if (memcmp(cohort, c->cohort, MSFL_HASH_BYTES) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "vote: for another cohort than that of round %" PRIu64, c->number);
    }
    if (!MSFL_GUARD(VOTE_SIGNED, msfl_vote_verify(c->round_id, cohort, &c->r->parties[party], signature))) {
        return msfl_fail(MSFL_ERR_CRYPTO, "vote: the signature does not hold");
    }
    msfl_coord_member *m = &c->members[place];
    if (m->voted) return MSFL_OK;
    memcpy(m->vote, signature, MSFL_SIGN_BYTES);
    m->voted = true;
    if (c->phase != MSFL_PHASE_CERTIFYING || count_votes(c) < c->r->t) return MSFL_OK;
    /* Written down before the first member is asked to answer: who gives the round up later can know that some
     * members may take part in no second round on this model. */
    msfl_buffer record = {0}, nothing = {0};
    msfl_journal_put(&record, MSFL_JOURNAL_CERTIFIED, c->config.task);
    msfl_coord_put_votes(c, &record);
    msfl_status status = msfl_coord_commit(c, &record, 0, &nothing, effects);
    if (status != MSFL_OK) m->voted = false;
    return status;
}

/* --- answers --- */

static msfl_status open_with(msfl_coordinator *c, const int32_t *key_sum, msfl_effects *effects) {
    const uint32_t degree = c->a.info.params.ring_degree;
    msfl_buffer record = {0}, nothing = {0};
    uint32_t n_answers = 0;
    uint8_t *packed = msfl_alloc(msfl_shamir_packed_bytes(degree), 1);
    msfl_status status = packed == NULL ? MSFL_NO_MEMORY : msfl_key_sum_pack(key_sum, degree, packed);
    if (status != MSFL_OK) goto done;
    msfl_journal_put(&record, MSFL_JOURNAL_OPENED, c->config.task);
    msfl_coord_put_votes(c, &record);
    for (uint32_t i = 0; i < c->r->k; i++)
        n_answers += c->members[i].answered;
    msfl_put32(&record, n_answers);
    for (uint32_t i = 0; i < c->r->k; i++) {
        if (!c->members[i].answered) continue;
        msfl_put32(&record, c->r->members[i]);
        msfl_put_bytes(&record, c->members[i].answer, MSFL_ANSWER_KEPT);
    }
    msfl_put_bytes(&record, packed, msfl_shamir_packed_bytes(degree));
    status = msfl_coord_commit(c, &record, 0, &nothing, effects);
done:
    msfl_buffer_clear(&record);
    msfl_free(packed);
    return status;
}

/** With t answers or more: find t that open, and open with them. OK also when there are none yet. */
static msfl_status resolve(msfl_coordinator *c, msfl_effects *effects) {
    msfl_answers a = {c->config.ctx, c->sum, c->a.info.n_values, c->n, c->r->t, c->r->k, {NULL}};
    uint32_t wrong;
    for (uint32_t i = 0; i < c->r->k; i++)
        a.shares[i] = c->members[i].shares;
    const uint32_t m = msfl_answers_count(&a);
    if (m < a.t) return MSFL_OK;
    msfl_status status = c->sum == NULL ? msfl_coord_fold(c) : MSFL_OK;
    if (status != MSFL_OK) return status;
    a.sum = c->sum;
    int32_t *key_sum = msfl_alloc(c->a.info.params.ring_degree, sizeof *key_sum);
    if (key_sum == NULL) return MSFL_NO_MEMORY;
    status = msfl_answers_open(&a, key_sum, &wrong);
    if (status == MSFL_OK) {
        c->n_cheats = 0;
        for (uint32_t i = 0; i < c->r->k; i++) {
            if ((wrong >> i & 1) != 0) c->cheats[c->n_cheats++] = c->r->members[i];
        }
        status = open_with(c, key_sum, effects);
    } else if (status == MSFL_ERR_CRYPTO) {
        /* Some t of these contain a wrong one. While members are missing, their answers may help. */
        status = m < c->r->k ? MSFL_OK
                             : msfl_fail(MSFL_ERR_CRYPTO,
                                         "round %" PRIu64 ": no %" PRIu32 " of %" PRIu32
                                         " answers open the sum: a client shared its key wrongly, or "
                                         "too many members cheat. Give the round up",
                                         c->number, a.t, m);
    }
    msfl_free(key_sum);
    return status;
}

msfl_status msfl_coord_answer(msfl_coordinator *c, uint32_t party, msfl_reader *body, msfl_effects *effects) {
    const uint32_t place = msfl_member_place(c->r, party), degree = c->a.info.params.ring_degree;
    if (c->a.delivery == MSFL_DELIVERY_CLIENTS) return msfl_coord_sealed_answer(c, party, body, effects);
    const uint8_t *bytes = msfl_get_bytes(body, msfl_answer_bytes(degree));
    if (bytes == NULL || msfl_reader_left(body) != 0 || msfl_load32(bytes + 64) != 1) {
        return msfl_fail(MSFL_ERR_FORMAT, "answer: wrong length");
    }
    if (place == c->r->k) return msfl_fail(MSFL_ERR_POLICY, "answer: from no member");
    if (c->phase < MSFL_PHASE_RELEASING) return msfl_coord_expect(c, MSFL_PHASE_RELEASING, "answer");
    if (memcmp(bytes, c->cohort, MSFL_HASH_BYTES) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "answer: for another cohort than that of round %" PRIu64, c->number);
    }
    msfl_coord_member *m = &c->members[place];
    if (c->phase == MSFL_PHASE_OPENED || m->shares != NULL) return MSFL_OK; /* repeated, or not needed any more */
    uint8_t *answer = msfl_alloc(MSFL_ANSWER_KEPT, 1);
    uint32_t *shares = msfl_alloc(degree, sizeof *shares);
    msfl_status status = answer == NULL || shares == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status == MSFL_OK) {
        const msfl_answer_binding binding = {c->round_id, c->cohort, party, degree};
        status = msfl_answer_open(&binding, &c->r->parties[party], &c->r->coordinator, c->config.secret, bytes, shares);
    }
    if (status != MSFL_OK) {
        msfl_free(answer);
        msfl_free(shares);
        return status;
    }
    memcpy(answer, bytes, MSFL_ANSWER_KEPT);
    msfl_free(m->answer);
    m->answer = answer;
    m->shares = shares;
    m->answered = true;
    status = resolve(c, effects);
    if (status != MSFL_OK && status != MSFL_ERR_CRYPTO) {
        /* This machine failed, not the member: ask again. */
        msfl_free(m->answer);
        msfl_free(m->shares);
        m->answer = NULL;
        m->shares = NULL;
        m->answered = false;
    }
    return status;
}

msfl_status msfl_coordinator_total(msfl_coordinator *c, uint64_t j, uint64_t *totals) {
    msfl_status status = msfl_coord_expect(c, MSFL_PHASE_OPENED, "open the sum");
    if (status == MSFL_OK && j >= c->n_chunks) {
        status = msfl_fail(MSFL_ERR_USAGE, "coordinator: chunk %" PRIu64 " of %" PRIu64, j, c->n_chunks);
    }
    if (status == MSFL_OK && c->sum == NULL) status = msfl_coord_fold(c);
    if (status != MSFL_OK) return status;
    return msfl_packed_open(c->config.ctx, c->sum, j, c->n, c->key_sum, totals);
}
