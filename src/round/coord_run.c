/* The coordinator as its owner sees it: opening, closing, ending a round, messages and time. */
#include "round/coord.h"
#include "round/info.h"
#include "round/transcript.h"

#include "base/error.h"

#include <inttypes.h>

msfl_status msfl_coordinator_open(msfl_coordinator *c, uint64_t now_ms, const msfl_round_offer *offer,
                                  msfl_effects *effects) {
    msfl_status status = msfl_coord_expect(c, MSFL_PHASE_IDLE, "open a round");
    if (status != MSFL_OK) return status;
    if (offer->delivery == MSFL_DELIVERY_CLIENTS && c->r->custody == MSFL_CUSTODY_COORDINATOR) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "coordinator: it holds the keys of this roster itself, so it cannot deliver a "
                         "sum to the hospitals without seeing it; use a committee or an authority");
    }
    if (c->record != NULL &&
        msfl_transcript_is_sealed(c->record, c->record_length) != (offer->delivery == MSFL_DELIVERY_CLIENTS)) {
        /* Hospitals that were away for a while could otherwise not tell whether they have missed a model. */
        return msfl_fail(MSFL_ERR_POLICY, "coordinator: all rounds of a task are delivered the same way; the last was "
                                          "not; begin another task");
    }
    msfl_announcement a = {.info = {.number = c->number + 1,
                                    .n_clients = c->r->n_clients,
                                    .min_cohort = offer->min_cohort,
                                    .n_values = offer->n_values,
                                    .params = *msfl_packed_params(c->config.ctx)},
                           .deadline_ms = offer->deadline_ms,
                           .delivery = offer->delivery};
    memcpy(a.info.task, c->config.task, MSFL_HASH_BYTES);
    memcpy(a.info.model, offer->model, MSFL_HASH_BYTES);
    memcpy(a.info.layout, offer->layout, MSFL_HASH_BYTES);
    memcpy(a.info.authority, msfl_roster_hash(c->config.roster), MSFL_HASH_BYTES);
    memcpy(a.previous, c->chain, MSFL_HASH_BYTES);
    status = msfl_round_info_check(&a.info);
    if (status != MSFL_OK) return msfl_fail_in(status, "coordinator");
    uint8_t announce[MSFL_ANNOUNCE_BODY];
    msfl_announcement_sign(&a, c->config.secret, announce);
    msfl_buffer record = {0}, nothing = {0};
    msfl_journal_put(&record, MSFL_JOURNAL_OPEN, c->config.task);
    msfl_put_bytes(&record, announce, sizeof announce);
    /* Memory first: what is announced to some should be announced to all. The next tick would do so anyway. */
    status = msfl_coord_commit(c, &record, 0, &nothing, effects);
    if (status != MSFL_OK) return status;
    c->resend_from = now_ms;
    c->resend_at = now_ms;
    return MSFL_OK;
}

static msfl_status fix_cohort(msfl_coordinator *c, msfl_effects *effects) {
    msfl_buffer record = {0}, nothing = {0};
    msfl_journal_put(&record, MSFL_JOURNAL_COHORT, c->config.task);
    msfl_put32(&record, c->n);
    for (uint32_t i = 0; i < c->n; i++)
        msfl_put32(&record, c->clients[i]);
    return msfl_coord_commit(c, &record, 0, &nothing, effects);
}

msfl_status msfl_coordinator_close(msfl_coordinator *c, uint64_t now_ms, msfl_effects *effects) {
    msfl_status status = msfl_coord_expect(c, MSFL_PHASE_COLLECTING, "close the uploads");
    if (status != MSFL_OK) return status;
    if (c->n < c->a.info.min_cohort) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "coordinator: round %" PRIu64 " has %" PRIu32 " uploads, at least %" PRIu32 " are needed",
                         c->number, c->n, c->a.info.min_cohort);
    }
    status = fix_cohort(c, effects);
    if (status == MSFL_OK) c->resend_at = now_ms; /* the next tick sends the proposals */
    return status;
}

static msfl_status finish(msfl_coordinator *c, msfl_outcome outcome, const uint8_t result[MSFL_HASH_BYTES],
                          const char *reason, msfl_effects *effects) {
    const size_t mark = effects->n;
    msfl_buffer transcript = {0}, record = {0}, nothing = {0};
    msfl_transcript_write(c, outcome, result, reason, &transcript);
    msfl_journal_put(&record, MSFL_JOURNAL_FINISHED, c->config.task);
    msfl_put_bytes(&record, transcript.bytes, transcript.length);
    msfl_status status = transcript.status != MSFL_OK ? transcript.status : record.status;
    if (status == MSFL_OK) status = msfl_effects_reserve(effects, 3);
    const uint64_t number = c->number;
    if (status == MSFL_OK) status = msfl_coord_commit(c, &record, 0, &nothing, effects);
    if (status == MSFL_OK) status = msfl_effects_add(effects, MSFL_EFFECT_RECORD, MSFL_COORDINATOR, &transcript);
    if (status == MSFL_OK) status = msfl_effects_drop(effects, number);
    if (status != MSFL_OK) msfl_effects_cut(effects, mark);
    msfl_buffer_clear(&record);
    msfl_buffer_clear(&transcript);
    return status;
}

msfl_status msfl_coordinator_finish(msfl_coordinator *c, const uint8_t result[MSFL_HASH_BYTES], msfl_effects *effects) {
    if (c->phase == MSFL_PHASE_DELIVERING) {
        uint8_t agreed[MSFL_HASH_BYTES];
        uint32_t n;
        if (!msfl_coordinator_agreed(c, agreed, &n) || memcmp(agreed, result, MSFL_HASH_BYTES) != 0) {
            return msfl_fail(MSFL_ERR_POLICY,
                             "coordinator: round %" PRIu64 ": %zu hospitals reported, at most %" PRIu32
                             " of them the same; %" PRIu32 " must agree on the result that is recorded",
                             c->number, c->n_reports, n, c->a.info.min_cohort);
        }
    } else {
        msfl_status status = msfl_coord_expect(c, MSFL_PHASE_OPENED, "finish the round");
        if (status != MSFL_OK) return status;
    }
    return finish(c, MSFL_OUTCOME_OPENED, result, "", effects);
}

msfl_status msfl_coordinator_abort(msfl_coordinator *c, const char *reason, msfl_effects *effects) {
    static const uint8_t none[MSFL_HASH_BYTES];
    if (c->phase == MSFL_PHASE_IDLE || c->phase == MSFL_PHASE_OPENED) {
        return msfl_fail(MSFL_ERR_POLICY, "coordinator: round %" PRIu64 " is %s and cannot be given up", c->number,
                         c->phase == MSFL_PHASE_IDLE ? "over" : "opened, hence final,");
    }
    if (strlen(reason) > 200) return msfl_fail(MSFL_ERR_USAGE, "coordinator: a reason of more than 200 bytes");
    return finish(c, MSFL_OUTCOME_ABORTED, none, reason, effects);
}

static msfl_status receive(msfl_coordinator *c, uint32_t from, const uint8_t *message, size_t length,
                           msfl_effects *effects) {
    msfl_frame frame;
    msfl_status status = msfl_frame_read(message, length, &frame);
    if (status != MSFL_OK) return status;
    if (frame.sender != from || from >= c->r->n_parties) {
        return msfl_fail(MSFL_ERR_MISMATCH, "a message of party %" PRIu32 " that says it is from %" PRIu32, from,
                         frame.sender);
    }
    if (c->phase == MSFL_PHASE_IDLE) return msfl_coordinator_poll(c, from, effects);
    if (memcmp(frame.round_id, c->round_id, MSFL_HASH_BYTES) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "a message of another round than round %" PRIu64, c->number);
    }
    switch (frame.kind) {
    case MSFL_MSG_CHUNK:
        return msfl_coord_chunk(c, from, &frame.body, effects);
    case MSFL_MSG_UPLOAD:
        return msfl_coord_take(c, from, &frame.body, effects);
    case MSFL_MSG_VOTE:
        return msfl_coord_vote(c, from, &frame.body, effects);
    case MSFL_MSG_ANSWER:
        return msfl_coord_answer(c, from, &frame.body, effects);
    case MSFL_MSG_REPORT:
        return msfl_coord_report_in(c, from, &frame.body, effects);
    default:
        return msfl_fail(MSFL_ERR_POLICY, "a message of kind %d is not for a coordinator", (int)frame.kind);
    }
}

msfl_status msfl_coordinator_receive(msfl_coordinator *c, uint64_t now_ms, uint32_t from, const uint8_t *message,
                                     size_t length, msfl_effects *effects) {
    const msfl_phase before = c->phase;
    msfl_status status = receive(c, from, message, length, effects);
    if (c->phase != before) c->resend_at = now_ms; /* what the new phase asks for goes out with the next tick */
    return status == MSFL_OK ? MSFL_OK : msfl_fail_in(status, "coordinator: from party %" PRIu32, from);
}

msfl_status msfl_coordinator_tick(msfl_coordinator *c, uint64_t now_ms, msfl_effects *effects) {
    msfl_status status = MSFL_OK;
    bool closed = false;
    if (c->phase == MSFL_PHASE_IDLE || c->phase == MSFL_PHASE_OPENED) return MSFL_OK;
    if (c->phase == MSFL_PHASE_COLLECTING && (now_ms >= c->a.deadline_ms || c->n == c->r->n_clients)) {
        if (c->n < c->a.info.min_cohort) {
            return msfl_coordinator_abort(c, "too few uploads before the deadline", effects);
        }
        status = fix_cohort(c, effects);
        if (status != MSFL_OK) return status;
        c->resend_at = now_ms;
        closed = true;
    }
    /* A clock that was set back must not silence this machine: an interval that began in the future is over. */
    if (now_ms < c->resend_at && now_ms >= c->resend_from) return MSFL_OK;
    status = msfl_coord_send_all(c, effects);
    if (status != MSFL_OK) return closed ? MSFL_OK : status; /* the closing stands; the next tick says so */
    c->resend_from = now_ms;
    c->resend_at = now_ms + c->config.resend_ms;
    return MSFL_OK;
}

msfl_phase msfl_coordinator_phase(const msfl_coordinator *c) {
    return c->phase;
}

const msfl_announcement *msfl_coordinator_round(const msfl_coordinator *c) {
    return c->phase == MSFL_PHASE_IDLE ? NULL : &c->a;
}

const uint32_t *msfl_coordinator_cohort(const msfl_coordinator *c, size_t *n) {
    *n = c->n;
    return c->clients;
}

const uint32_t *msfl_coordinator_cheats(const msfl_coordinator *c, size_t *n) {
    *n = c->n_cheats;
    return c->cheats;
}

uint64_t msfl_coordinator_number(const msfl_coordinator *c, uint8_t chain[MSFL_HASH_BYTES]) {
    if (chain != NULL) memcpy(chain, c->chain, MSFL_HASH_BYTES);
    return c->number;
}

uint64_t msfl_coordinator_chunks(const msfl_coordinator *c, uint32_t client) {
    if (c->phase == MSFL_PHASE_IDLE || client >= c->r->n_clients) return 0;
    return c->uploads[client].statement != NULL ? c->n_chunks : c->uploads[client].next;
}

void msfl_coordinator_member(const msfl_coordinator *c, uint32_t place, bool *voted, bool *answered) {
    const bool there = c->phase != MSFL_PHASE_IDLE && place < c->r->k;
    if (voted != NULL) *voted = there && c->members[place].voted;
    if (answered != NULL) *answered = there && c->members[place].answered;
}
