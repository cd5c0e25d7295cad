/* Delivery to the hospitals: answers that this machine cannot open, the folded sum, and what hospitals say of it. */
#include "round/coord.h"
#include "round/guard.h"
#include "round/info.h"

#include "base/error.h"
#include "base/mem.h"

#include <inttypes.h>

msfl_status msfl_coord_sealed_answer(msfl_coordinator *c, uint32_t party, msfl_reader *body, msfl_effects *effects) {
    const uint32_t place = msfl_member_place(c->r, party), degree = c->a.info.params.ring_degree;
    const size_t length = msfl_sealed_bytes(degree, c->r->n_clients);
    const uint8_t *bytes = msfl_get_bytes(body, length);
    if (bytes == NULL || msfl_reader_left(body) != 0) return msfl_fail(MSFL_ERR_FORMAT, "answer: wrong length");
    if (place == c->r->k) return msfl_fail(MSFL_ERR_POLICY, "answer: from no member");
    if (c->phase != MSFL_PHASE_RELEASING && c->phase != MSFL_PHASE_DELIVERING) {
        return msfl_coord_expect(c, MSFL_PHASE_RELEASING, "answer");
    }
    if (memcmp(bytes, c->cohort, MSFL_HASH_BYTES) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "answer: for another cohort than that of round %" PRIu64, c->number);
    }
    if (c->members[place].answered) return MSFL_OK; /* repeated */
    const msfl_answer_binding binding = {c->round_id, c->cohort, party, degree};
    msfl_status status = msfl_sealed_check(&binding, c->r, bytes);
    if (status != MSFL_OK) return status;
    /* Whether it is the right sum only hospitals can tell. All k members stay asked until enough of them agree. */
    msfl_buffer record = {0}, nothing = {0};
    msfl_journal_put(&record, MSFL_JOURNAL_ANSWER, c->config.task);
    msfl_put32(&record, party);
    msfl_put_bytes(&record, bytes, length);
    return msfl_coord_commit(c, &record, 0, &nothing, effects);
}

/* --- the folded sum --- */

static msfl_status fold(msfl_coordinator *c) {
    if (c->sum != NULL) return MSFL_OK;
    const msfl_packed *ctx = c->config.ctx;
    const uint64_t n_values = c->a.info.n_values;
    uint8_t *chunk = msfl_alloc(msfl_packed_chunk_bytes(ctx, n_values, 0), 1);
    if (chunk == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_coord_fold(c);
    msfl_hash h;
    msfl_folded_hash_init(&h, c->round_id, c->cohort, msfl_round_ciphertext_bytes(ctx, n_values));
    for (uint64_t j = 0; j < c->n_chunks && status == MSFL_OK; j++) {
        status = msfl_packed_sum_get(ctx, c->sum, j, chunk);
        if (status == MSFL_OK) msfl_hash_add(&h, chunk, msfl_packed_chunk_bytes(ctx, n_values, j));
    }
    msfl_hash_final(&h, c->folded);
    msfl_free(chunk);
    if (status != MSFL_OK) {
        msfl_packed_sum_free(c->sum);
        c->sum = NULL;
    }
    return status;
}

msfl_status msfl_coordinator_folded(msfl_coordinator *c, uint64_t j, uint8_t *bytes) {
    msfl_status status = msfl_coord_expect(c, MSFL_PHASE_DELIVERING, "hand out the folded sum");
    if (status == MSFL_OK && j >= c->n_chunks) {
        status = msfl_fail(MSFL_ERR_USAGE, "coordinator: chunk %" PRIu64 " of %" PRIu64, j, c->n_chunks);
    }
    if (status == MSFL_OK) status = fold(c);
    return status == MSFL_OK ? msfl_packed_sum_get(c->config.ctx, c->sum, j, bytes) : status;
}

msfl_status msfl_coord_put_delivery(msfl_coordinator *c, uint32_t client, msfl_buffer *out) {
    const uint32_t degree = c->a.info.params.ring_degree;
    const size_t sum_bytes = msfl_sealed_sum_bytes(degree);
    uint8_t digest[MSFL_HASH_BYTES], signature[MSFL_SIGN_BYTES];
    uint32_t n_answers = 0;
    msfl_status status = fold(c);
    if (status != MSFL_OK) return status;
    for (uint32_t i = 0; i < c->r->k; i++)
        n_answers += c->members[i].answered;
    msfl_frame_put(out, MSFL_MSG_DELIVER, MSFL_COORDINATOR, c->round_id);
    msfl_put_bytes(out, c->announce, sizeof c->announce);
    msfl_put32(out, c->n);
    msfl_put_bytes(out, c->statements, c->n * msfl_statement_bytes(c->r->k));
    msfl_coord_put_votes(c, out);
    msfl_put32(out, n_answers);
    for (uint32_t i = 0; i < c->r->k; i++) {
        if (!c->members[i].answered) continue;
        msfl_put32(out, c->r->members[i]);
        msfl_put_bytes(out, c->members[i].answer, MSFL_SEALED_KEPT);
    }
    msfl_delivery_digest(c->round_id, c->cohort, c->folded, digest);
    msfl_sign(c->config.secret->sign, digest, sizeof digest, signature);
    msfl_put_bytes(out, c->folded, sizeof c->folded);
    msfl_put_bytes(out, signature, sizeof signature);
    for (uint32_t i = 0; i < c->r->k; i++) {
        if (!c->members[i].answered) continue;
        const uint8_t *sealed = c->members[i].answer + MSFL_SEALED_KEPT;
        msfl_put_bytes(out, sealed, sum_bytes);
        msfl_put_bytes(out, sealed + sum_bytes + (size_t)MSFL_WRAP_BYTES * client, MSFL_WRAP_BYTES);
    }
    return MSFL_OK;
}

/* --- reports --- */

msfl_status msfl_coord_report_in(msfl_coordinator *c, uint32_t client, msfl_reader *body, msfl_effects *effects) {
    const uint8_t *report = msfl_get_bytes(body, MSFL_REPORT_BYTES);
    if (report == NULL || msfl_reader_left(body) != 0) return msfl_fail(MSFL_ERR_FORMAT, "report: wrong length");
    msfl_status status = msfl_coord_expect(c, MSFL_PHASE_DELIVERING, "report");
    if (status != MSFL_OK) return status;
    if (client >= c->r->n_clients || msfl_load32(report) != client) {
        return msfl_fail(MSFL_ERR_MISMATCH, "report: signed for hospital %" PRIu32, msfl_load32(report));
    }
    status = msfl_report_verify(c->round_id, c->cohort, c->r, report);
    if (!MSFL_GUARD(REPORT_SIGNED, status == MSFL_OK)) return status;
    if (c->uploads[client].reported) return MSFL_OK; /* the first stands */
    msfl_buffer record = {0}, nothing = {0};
    msfl_journal_put(&record, MSFL_JOURNAL_REPORT, c->config.task);
    msfl_put_bytes(&record, report, MSFL_REPORT_BYTES);
    return msfl_coord_commit(c, &record, 0, &nothing, effects);
}

static uint32_t with_result(const msfl_coordinator *c, const uint8_t result[MSFL_HASH_BYTES]) {
    uint32_t n = 0;
    for (size_t i = 0; i < c->n_reports; i++)
        n += memcmp(msfl_report_result(c->reports[i].bytes), result, MSFL_HASH_BYTES) == 0;
    return n;
}

bool msfl_coordinator_agreed(const msfl_coordinator *c, uint8_t result[MSFL_HASH_BYTES], uint32_t *n_agree) {
    uint32_t most = 0;
    bool tie = false;
    memset(result, 0, MSFL_HASH_BYTES);
    for (size_t i = 0; i < c->n_reports; i++) {
        const uint8_t *r = msfl_report_result(c->reports[i].bytes);
        if (most > 0 && memcmp(r, result, MSFL_HASH_BYTES) == 0) continue;
        const uint32_t n = with_result(c, r);
        if (n == most) tie = true;
        if (n <= most) continue;
        most = n;
        tie = false;
        memcpy(result, r, MSFL_HASH_BYTES);
    }
    *n_agree = most;
    return !tie && c->phase == MSFL_PHASE_DELIVERING && MSFL_GUARD(REPORT_QUORUM, most >= c->a.info.min_cohort);
}

bool msfl_coord_settled(const msfl_coordinator *c) {
    uint8_t result[MSFL_HASH_BYTES];
    uint32_t n;
    return msfl_coordinator_agreed(c, result, &n);
}

bool msfl_coordinator_report(const msfl_coordinator *c, uint32_t client, msfl_report *out) {
    *out = (msfl_report){0};
    for (size_t i = 0; i < c->n_reports; i++) {
        const uint8_t *r = c->reports[i].bytes;
        if (msfl_load32(r) != client) continue;
        out->client = client;
        out->fold = (msfl_fold)msfl_load32(r + 4);
        out->wrong = msfl_load32(r + 8);
        memcpy(out->result, msfl_report_result(r), MSFL_HASH_BYTES);
        return true;
    }
    return false;
}
