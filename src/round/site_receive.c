/* What a site hears: announcements, replies to its upload, records. */
#include "round/coord.h"
#include "round/guard.h"
#include "round/site.h"

#include "base/error.h"
#include "base/mem.h"
#include "he/security.h"
#include "medsecurefl/transcript.h"

#include <inttypes.h>

enum { WINDOW = 8 /* chunks that are sent again at once */ };

msfl_status msfl_site_check_offer(const msfl_site *s, const msfl_announcement *a) {
    const uint64_t number = a->info.number;
    if (!MSFL_GUARD(SITE_NUMBER_RISES, number > s->number)) {
        return msfl_fail(MSFL_ERR_POLICY, "round %" PRIu64 " comes after round %" PRIu64 ", in which a key was used",
                         number, s->number);
    }
    if (!MSFL_GUARD(SITE_MIN_COHORT, a->info.min_cohort >= s->rules.min_cohort)) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "round %" PRIu64 " would open the sum of %" PRIu32 " updates; this hospital wants %" PRIu32,
                         number, a->info.min_cohort, s->rules.min_cohort);
    }
    if (a->info.params.security_bits < s->rules.security_bits) {
        return msfl_fail(MSFL_ERR_POLICY, "round %" PRIu64 " has %" PRIu32 " bits of security, %" PRIu32 " are wanted",
                         number, a->info.params.security_bits, s->rules.security_bits);
    }
    if (!MSFL_GUARD(SITE_DELIVERY, s->config.delivery == 0 || a->delivery == s->config.delivery)) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "round %" PRIu64 " would be opened by the %s; this hospital takes part only where the %s do",
                         number, a->delivery == MSFL_DELIVERY_CLIENTS ? "hospitals" : "coordinator",
                         a->delivery == MSFL_DELIVERY_CLIENTS ? "coordinator" : "hospitals");
    }
    if (a->delivery == MSFL_DELIVERY_CLIENTS && s->r->custody == MSFL_CUSTODY_COORDINATOR) {
        return msfl_fail(MSFL_ERR_POLICY, "round %" PRIu64 " cannot be kept from a coordinator that holds its keys",
                         number);
    }
    return msfl_site_check_history(s, a);
}

static msfl_status reported_and_open(const msfl_site *s, uint64_t number) {
    return msfl_fail(MSFL_ERR_POLICY,
                     "round %" PRIu64 ": this hospital opened the sum of round %" PRIu64
                     " and has not seen its record, by which all have opened the same",
                     number, s->opened_number);
}

static msfl_status out_of_order(const msfl_site *s, uint64_t number) {
    return msfl_fail(MSFL_ERR_POLICY,
                     "round %" PRIu64 " is kept from the coordinator, so this hospital must know what became of every "
                     "round before it; it has seen the records of rounds up to %" PRIu64,
                     number, s->history_number);
}

msfl_status msfl_site_check_history(const msfl_site *s, const msfl_announcement *a) {
    const uint64_t number = a->info.number;
    if (number <= s->history_number) {
        return msfl_fail(MSFL_ERR_POLICY, "round %" PRIu64 " is over: the record of round %" PRIu64 " was seen", number,
                         s->history_number);
    }
    if (!MSFL_GUARD(SITE_AGREED, s->opened_number <= s->history_number)) return reported_and_open(s, number);
    if (a->delivery == MSFL_DELIVERY_CLIENTS && !MSFL_GUARD(SITE_ORDER, number == s->history_number + 1)) {
        return out_of_order(s, number);
    }
    if (number == s->history_number + 1 &&
        !MSFL_GUARD(SITE_HISTORY, memcmp(a->previous, s->history, MSFL_HASH_BYTES) == 0)) {
        return msfl_fail(MSFL_ERR_MISMATCH,
                         "round %" PRIu64 " does not continue the record of round %" PRIu64
                         " that this hospital has seen: the coordinator shows different histories",
                         number, s->history_number);
    }
    return MSFL_OK;
}

static msfl_status on_announce(msfl_site *s, uint64_t now_ms, msfl_frame *frame) {
    const uint8_t *bytes = msfl_get_bytes(&frame->body, MSFL_ANNOUNCE_BODY);
    msfl_status status = msfl_frame_end(frame, "announcement");
    if (status != MSFL_OK) return status;
    if (s->phase != MSFL_SITE_IDLE && memcmp(bytes, s->announce, MSFL_ANNOUNCEMENT_BYTES) == 0) return MSFL_OK;
    if (s->phase == MSFL_SITE_DELIVERED || s->phase == MSFL_SITE_OPENED) {
        return msfl_fail(MSFL_ERR_POLICY, "a new round is announced while the sum of round %" PRIu64 " is opened",
                         s->a.info.number);
    }
    msfl_announcement a;
    uint8_t id[MSFL_HASH_BYTES];
    status = msfl_announcement_verify(bytes, s->config.roster, s->config.task, &a, id);
    if (status == MSFL_OK) status = msfl_site_check_offer(s, &a);
    if (status != MSFL_OK) return status;
    if (now_ms >= a.deadline_ms) {
        return msfl_fail(MSFL_ERR_POLICY, "round %" PRIu64 ": its deadline is over", a.info.number);
    }
    msfl_site_clear_round(s);
    s->a = a;
    memcpy(s->announce, bytes, MSFL_ANNOUNCE_BODY);
    memcpy(s->round_id, id, MSFL_HASH_BYTES);
    s->phase = MSFL_SITE_OFFERED;
    return MSFL_OK;
}

msfl_status msfl_site_send_upload(const msfl_site *s, msfl_effects *effects) {
    msfl_buffer message = {0};
    msfl_frame_put(&message, MSFL_MSG_UPLOAD, s->config.client, s->round_id);
    msfl_put_bytes(&message, s->upload, s->upload_length);
    return msfl_effects_add(effects, MSFL_EFFECT_SEND, MSFL_COORDINATOR, &message);
}

void msfl_site_put_chunk(const msfl_site *s, uint64_t j, const uint8_t *bytes, size_t length, msfl_buffer *out) {
    msfl_frame_put(out, MSFL_MSG_CHUNK, s->config.client, s->round_id);
    msfl_put64(out, j);
    msfl_put_bytes(out, bytes, length);
}

/** Bytes of chunk j, from the parameters alone: after a restart there is no context. */
static size_t chunk_bytes(const msfl_site *s, uint64_t j) {
    const msfl_chunking chunks = msfl_chunking_of(&s->a.info.params, s->a.info.n_values);
    return (size_t)msfl_chunk_bytes_of(&s->a.info.params,
                                       j + 1 < chunks.n_chunks ? chunks.full_slots : chunks.last_slots);
}

/** Send a window of chunks again from the spool, and the upload after them if it is sealed. */
static msfl_status send_again(const msfl_site *s, uint64_t from, msfl_effects *effects) {
    const size_t mark = effects->n;
    const uint64_t have = s->upload != NULL ? s->n_chunks : s->next;
    msfl_status status = MSFL_OK;
    uint64_t j = from;
    for (; j < have && j < from + WINDOW && status == MSFL_OK; j++) {
        const size_t length = chunk_bytes(s, j);
        msfl_buffer message = {0};
        uint8_t *bytes = msfl_alloc(length, 1);
        if (bytes == NULL) {
            status = MSFL_NO_MEMORY;
            break;
        }
        status = s->config.spool.get(s->config.spool.self, s->a.info.number, s->config.client, j, bytes, length);
        if (status == MSFL_OK) {
            msfl_site_put_chunk(s, j, bytes, length, &message);
            status = msfl_effects_add(effects, MSFL_EFFECT_SEND, MSFL_COORDINATOR, &message);
        }
        msfl_free(bytes);
    }
    if (status == MSFL_OK && s->upload != NULL) status = msfl_site_send_upload(s, effects);
    if (status != MSFL_OK) msfl_effects_cut(effects, mark);
    return status;
}

static msfl_status on_next(msfl_site *s, msfl_frame *frame, msfl_effects *effects) {
    const uint64_t next = msfl_get64(&frame->body);
    const uint32_t state = msfl_get32(&frame->body);
    const uint8_t *signature = msfl_get_bytes(&frame->body, MSFL_SIGN_BYTES);
    msfl_status status = msfl_frame_end(frame, "reply");
    if (status != MSFL_OK) return status;
    if (s->phase < MSFL_SITE_ENCRYPTING || memcmp(frame->round_id, s->round_id, MSFL_HASH_BYTES) != 0) return MSFL_OK;
    if (state == MSFL_NEXT_WANTED && (s->phase == MSFL_SITE_ENCRYPTING || s->phase == MSFL_SITE_UPLOADING)) {
        /* Once for every place. Answering each repetition would have two machines shout at each other while one cannot
         * hear; what was lost again is asked for again by the clock (msfl_site_resend). */
        if (next == s->served) return MSFL_OK;
        status = send_again(s, next, effects);
        if (status == MSFL_OK) s->served = next;
        return status;
    }
    if (state != MSFL_NEXT_COMPLETE || s->phase != MSFL_SITE_UPLOADING) return MSFL_OK;
    uint8_t statement[MSFL_HASH_BYTES], digest[MSFL_HASH_BYTES];
    msfl_statement_digest(s->upload, s->config.roster, s->round_id, statement);
    msfl_receipt_digest(s->round_id, s->config.client, statement, digest);
    if (!msfl_sign_verify(s->r->coordinator.sign, digest, sizeof digest, signature)) {
        return msfl_fail(MSFL_ERR_CRYPTO, "the receipt for round %" PRIu64 " is not for this upload", s->number);
    }
    msfl_buffer record = {0}, nothing = {0};
    msfl_journal_put(&record, MSFL_JOURNAL_RECEIPT, s->config.task);
    msfl_put_bytes(&record, s->round_id, MSFL_HASH_BYTES);
    msfl_put_bytes(&record, statement, sizeof statement);
    msfl_put_bytes(&record, signature, MSFL_SIGN_BYTES);
    return msfl_site_commit(s, &record, &nothing, s->a.info.number, effects);
}

/** Where sums are delivered, no record may be passed over, or the model made of one would be missed. */
static msfl_status check_record_order(const msfl_site *s, const msfl_announcement *a) {
    const uint64_t number = a->info.number;
    if (!MSFL_GUARD(SITE_AGREED, s->opened_number <= s->history_number || number <= s->opened_number)) {
        return reported_and_open(s, number);
    }
    if (a->delivery != MSFL_DELIVERY_CLIENTS) return MSFL_OK;
    return MSFL_GUARD(SITE_ORDER, number == s->history_number + 1) ? MSFL_OK : out_of_order(s, number);
}

/** Whether a record of a delivered sum says what this site opened. */
static msfl_status check_result(const msfl_site *s, const msfl_transcript *t) {
    const uint64_t number = t->announcement.info.number;
    if (s->opened_number != number) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "round %" PRIu64 " was delivered to the hospitals, and this one has not opened it: it has to "
                         "ask for the delivery first",
                         number);
    }
    if (!MSFL_GUARD(RESULT_AGREES, memcmp(t->result, msfl_report_result(s->report), MSFL_HASH_BYTES) == 0)) {
        return msfl_fail(MSFL_ERR_MISMATCH,
                         "round %" PRIu64 ": the other hospitals opened another sum than this one, or made another "
                         "model of it. Do not go on: the coordinator, or this hospital's machine, is at fault",
                         number);
    }
    return MSFL_OK;
}

static msfl_status take_record(msfl_site *s, const uint8_t *bytes, size_t length, bool adopt, msfl_effects *effects) {
    msfl_transcript t;
    msfl_status status = msfl_transcript_verify(bytes, length, s->config.roster, NULL, &t);
    if (status != MSFL_OK) return status;
    const uint64_t number = t.announcement.info.number;
    if (!msfl_equal(t.announcement.info.task, s->config.task, MSFL_HASH_BYTES)) {
        return msfl_fail(MSFL_ERR_MISMATCH, "a record of another task");
    }
    if (number == s->history_number && memcmp(t.hash, s->history, MSFL_HASH_BYTES) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH,
                         "round %" PRIu64 " has two records: the coordinator shows different histories", number);
    }
    if (number <= s->history_number) return MSFL_OK;
    if (number == s->history_number + 1 && s->history_number > 0 &&
        memcmp(t.announcement.previous, s->history, MSFL_HASH_BYTES) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "the record of round %" PRIu64 " does not continue the one seen before",
                         number);
    }
    if (!adopt) status = check_record_order(s, &t.announcement);
    if (status != MSFL_OK) return status;
    const bool delivered = t.outcome == MSFL_OUTCOME_OPENED && t.announcement.delivery == MSFL_DELIVERY_CLIENTS;
    if (delivered && !adopt) status = check_result(s, &t);
    if (status != MSFL_OK) return status;
    msfl_buffer record = {0}, nothing = {0};
    msfl_journal_put(&record, MSFL_JOURNAL_HISTORY, s->config.task);
    msfl_put64(&record, number);
    msfl_put_bytes(&record, t.hash, MSFL_HASH_BYTES);
    if (delivered) msfl_put_bytes(&record, t.result, MSFL_HASH_BYTES);
    return msfl_site_commit(s, &record, &nothing, number, effects);
}

static msfl_status on_record(msfl_site *s, msfl_frame *frame, msfl_effects *effects) {
    return take_record(s, frame->body.at, msfl_reader_left(&frame->body), false, effects);
}

msfl_status msfl_site_adopt(msfl_site *s, const uint8_t *record, size_t length, msfl_effects *effects) {
    msfl_status status = take_record(s, record, length, true, effects);
    return status == MSFL_OK ? MSFL_OK : msfl_fail_in(status, "site %" PRIu32, s->config.client);
}

msfl_status msfl_site_receive(msfl_site *s, uint64_t now_ms, const uint8_t *message, size_t length,
                              msfl_effects *effects) {
    msfl_frame frame;
    msfl_status status = msfl_frame_read(message, length, &frame);
    if (status != MSFL_OK) return status;
    if (frame.sender != MSFL_COORDINATOR) {
        return msfl_fail(MSFL_ERR_MISMATCH, "site %" PRIu32 ": a message that is not from the coordinator",
                         s->config.client);
    }
    if (frame.kind == MSFL_MSG_ANNOUNCE) status = on_announce(s, now_ms, &frame);
    if (frame.kind == MSFL_MSG_NEXT) status = on_next(s, &frame, effects);
    if (frame.kind == MSFL_MSG_DELIVER) status = msfl_site_on_deliver(s, &frame, effects);
    if (frame.kind == MSFL_MSG_RECORD) status = on_record(s, &frame, effects);
    return status == MSFL_OK ? MSFL_OK : msfl_fail_in(status, "site %" PRIu32, s->config.client);
}
