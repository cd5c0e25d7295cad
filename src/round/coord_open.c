/* From the cohort to its sum: votes, answers, the key sum that opens. */
#include "round/coord.h"
#include "round/guard.h"

#include "base/error.h"
#include "base/mem.h"
#include "he/security.h"
#include "he/shamir.h"

#include <inttypes.h>

enum {
    GLANCE = 64 /* coefficients that a subset of answers is judged by first */
};

static uint32_t count_votes(const msfl_coordinator *c) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->r->k; i++)
        n += c->members[i].voted;
    return n;
}

static void put_votes(const msfl_coordinator *c, msfl_buffer *out) {
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
    put_votes(c, &record);
    msfl_status status = msfl_coord_commit(c, &record, 0, &nothing, effects);
    if (status != MSFL_OK) m->voted = false;
    return status;
}

/* --- answers --- */

/** The key sum from the t answers of `set`; ERR_CRYPTO if it is none. */
static msfl_status try_set(msfl_coordinator *c, const uint32_t *set, uint32_t t, int32_t *key_sum, uint64_t *totals) {
    const uint32_t degree = c->a.info.params.ring_degree;
    const int64_t bound = (int64_t)MSFL_KEY_MAX * c->n;
    const uint32_t *shares[MSFL_COMMITTEE_MAX];
    for (uint32_t i = 0; i < t; i++)
        shares[i] = c->members[set[i]].shares;
    for (uint32_t pass = 0; pass < 2; pass++) {
        const uint32_t n = pass == 0 ? GLANCE : degree;
        msfl_status status = msfl_shamir_join(t, set, t, shares, n, key_sum);
        if (status != MSFL_OK) return status;
        uint64_t beyond = 0; /* top bit */
        for (uint32_t i = 0; i < n; i++)
            beyond |= (uint64_t)(bound - key_sum[i]) | (uint64_t)(bound + key_sum[i]);
        if (!MSFL_GUARD(SUM_OPENS, beyond >> 63 == 0)) {
            return msfl_fail(MSFL_ERR_CRYPTO, "these answers are not the sum of %" PRIu32 " keys", c->n);
        }
    }
    msfl_status status = msfl_packed_open(c->config.ctx, c->sum, 0, c->n, key_sum, totals);
    if (status == MSFL_ERR_CRYPTO && MSFL_GUARD(SUM_OPENS, false)) return MSFL_OK; /* a mutant's way */
    return status;
}

/** The next t-subset of 0 .. m - 1 in lexicographic order. */
static bool next_subset(uint32_t *pick, uint32_t t, uint32_t m) {
    for (uint32_t i = t; i-- > 0;) {
        if (pick[i] == m - t + i) continue;
        pick[i]++;
        for (uint32_t j = i + 1; j < t; j++)
            pick[j] = pick[j - 1] + 1;
        return true;
    }
    return false;
}

/** Members whose answer does not lie on the polynomials through `set`. */
static msfl_status name_cheats(msfl_coordinator *c, const uint32_t *set, int32_t *scratch) {
    const uint32_t t = c->r->t, degree = c->a.info.params.ring_degree;
    uint32_t members[MSFL_COMMITTEE_MAX];
    const uint32_t *shares[MSFL_COMMITTEE_MAX];
    for (uint32_t i = 0; i < t; i++) {
        members[i] = set[i];
        shares[i] = c->members[set[i]].shares;
    }
    c->n_cheats = 0;
    for (uint32_t i = 0; i < c->r->k; i++) {
        bool in_set = false;
        for (uint32_t j = 0; j < t; j++)
            in_set |= set[j] == i;
        if (in_set || c->members[i].shares == NULL) continue;
        members[t] = i;
        shares[t] = c->members[i].shares;
        msfl_status status = msfl_shamir_join(t, members, t + 1, shares, degree, scratch);
        if (status == MSFL_ERR_CRYPTO) c->cheats[c->n_cheats++] = c->r->members[i];
        if (status != MSFL_OK && status != MSFL_ERR_CRYPTO) return status;
    }
    return MSFL_OK;
}

static msfl_status open_with(msfl_coordinator *c, const int32_t *key_sum, msfl_effects *effects) {
    const uint32_t degree = c->a.info.params.ring_degree;
    const size_t kept = msfl_answer_bytes(degree, 1) - msfl_answer_sums_bytes(degree, 1);
    msfl_buffer record = {0}, nothing = {0};
    uint32_t n_answers = 0;
    uint32_t *residues = msfl_alloc(degree, sizeof *residues);
    uint8_t *packed = msfl_alloc(msfl_shamir_packed_bytes(degree), 1);
    msfl_status status = residues == NULL || packed == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status != MSFL_OK) goto done;
    for (uint32_t i = 0; i < degree; i++)
        residues[i] = (uint32_t)(key_sum[i] < 0 ? key_sum[i] + MSFL_SHAMIR_PRIME : key_sum[i]);
    msfl_shamir_pack(residues, degree, packed);
    msfl_journal_put(&record, MSFL_JOURNAL_OPENED, c->config.task);
    put_votes(c, &record);
    for (uint32_t i = 0; i < c->r->k; i++)
        n_answers += c->members[i].answered;
    msfl_put32(&record, n_answers);
    for (uint32_t i = 0; i < c->r->k; i++) {
        if (!c->members[i].answered) continue;
        msfl_put32(&record, c->r->members[i]);
        msfl_put_bytes(&record, c->members[i].answer, kept);
    }
    msfl_put_bytes(&record, packed, msfl_shamir_packed_bytes(degree));
    status = msfl_coord_commit(c, &record, 0, &nothing, effects);
done:
    msfl_buffer_clear(&record);
    msfl_free(residues);
    msfl_free(packed);
    return status;
}

/** With t answers or more: find t that open, and open with them. OK also when there are none yet. */
static msfl_status resolve(msfl_coordinator *c, msfl_effects *effects) {
    const uint32_t t = c->r->t, degree = c->a.info.params.ring_degree;
    uint32_t have[MSFL_COMMITTEE_MAX] = {0}, m = 0, pick[MSFL_COMMITTEE_MAX] = {0}, set[MSFL_COMMITTEE_MAX] = {0};
    for (uint32_t i = 0; i < c->r->k; i++) {
        if (c->members[i].shares != NULL) have[m++] = i;
    }
    if (m < t) return MSFL_OK;
    msfl_status status = c->sum == NULL ? msfl_coord_fold(c) : MSFL_OK;
    if (status != MSFL_OK) return status;
    status = MSFL_NO_MEMORY;
    int32_t *key_sum = msfl_alloc(degree, sizeof *key_sum), *scratch = msfl_alloc(degree, sizeof *scratch);
    uint64_t *totals = msfl_alloc(msfl_packed_chunk_slots(c->config.ctx, c->a.info.n_values, 0), sizeof *totals);
    if (key_sum == NULL || scratch == NULL || totals == NULL) goto done;
    for (uint32_t i = 0; i < t; i++)
        pick[i] = i;
    do {
        for (uint32_t i = 0; i < t; i++)
            set[i] = have[pick[i]];
        status = try_set(c, set, t, key_sum, totals);
        if (status == MSFL_OK) status = name_cheats(c, set, scratch);
        if (status == MSFL_OK) status = open_with(c, key_sum, effects);
    } while (status == MSFL_ERR_CRYPTO && next_subset(pick, t, m));
    if (status == MSFL_ERR_CRYPTO) {
        /* Some t of these contain a wrong one. While members are missing, their answers may help. */
        status = m < c->r->k ? MSFL_OK
                             : msfl_fail(MSFL_ERR_CRYPTO,
                                         "round %" PRIu64 ": no %" PRIu32 " of %" PRIu32
                                         " answers open the sum: a client shared its key wrongly, or "
                                         "too many members cheat. Give the round up",
                                         c->number, t, m);
    }
done:
    msfl_free(key_sum);
    msfl_free(scratch);
    msfl_free(totals);
    return status;
}

msfl_status msfl_coord_answer(msfl_coordinator *c, uint32_t party, msfl_reader *body, msfl_effects *effects) {
    const uint32_t place = msfl_member_place(c->r, party), degree = c->a.info.params.ring_degree;
    const size_t length = msfl_answer_bytes(degree, 1), kept = length - msfl_answer_sums_bytes(degree, 1);
    const uint8_t *bytes = msfl_get_bytes(body, length);
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
    uint8_t *answer = msfl_alloc(kept, 1);
    uint32_t *shares = msfl_alloc(degree, sizeof *shares);
    msfl_status status = answer == NULL || shares == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    if (status == MSFL_OK) {
        const msfl_answer_binding binding = {c->round_id, c->cohort, party, degree};
        status = msfl_answer_open(&binding, &c->r->parties[party], &c->r->coordinator, c->config.secret, bytes, 1, 0,
                                  shares);
    }
    if (status != MSFL_OK) {
        msfl_free(answer);
        msfl_free(shares);
        return status;
    }
    memcpy(answer, bytes, kept);
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
