#include "round/coord.h"
#include "round/info.h"
#include "round/open.h"
#include "round/transcript.h"

#include "base/error.h"
#include "base/mem.h"
#include "he/shamir.h"

#include <inttypes.h>

msfl_status msfl_coordinator_new(const msfl_coordinator_config *config, msfl_coordinator **out) {
    *out = NULL;
    const msfl_roster_info *r = msfl_roster_borrow(config->roster);
    uint8_t public_key[32];
    msfl_x25519_public(config->secret->box, public_key);
    if (memcmp(public_key, r->coordinator.box, 32) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "coordinator: the secret key is not that of the roster's coordinator");
    }
    if (msfl_packed_params(config->ctx)->n_clients < r->n_clients) {
        return msfl_fail(MSFL_ERR_PARAMS, "coordinator: parameters for %" PRIu32 " clients, a roster of %" PRIu32,
                         msfl_packed_params(config->ctx)->n_clients, r->n_clients);
    }
    msfl_coordinator *c = msfl_alloc(1, sizeof *c);
    if (c == NULL) return MSFL_NO_MEMORY;
    c->config = *config;
    c->r = r;
    if (c->config.resend_ms == 0) c->config.resend_ms = 2000;
    c->uploads = msfl_alloc(r->n_clients, sizeof *c->uploads);
    c->clients = msfl_alloc(r->n_clients, sizeof *c->clients);
    if (c->uploads == NULL || c->clients == NULL) {
        msfl_coordinator_free(c);
        return MSFL_NO_MEMORY;
    }
    *out = c;
    return MSFL_OK;
}

/* Forget the open round. */
static void clear_round(msfl_coordinator *c) {
    for (uint32_t i = 0; c->uploads != NULL && i < c->r->n_clients; i++) {
        msfl_free(c->uploads[i].statement);
        c->uploads[i] = (msfl_coord_upload){0};
    }
    msfl_free(c->reports);
    c->reports = NULL;
    c->n_reports = c->reports_capacity = 0;
    c->told = 0;
    for (uint32_t i = 0; i < c->r->k; i++) {
        msfl_free(c->members[i].answer);
        if (c->members[i].shares != NULL) {
            msfl_wipe(c->members[i].shares, c->a.info.params.ring_degree * sizeof *c->members[i].shares);
        }
        msfl_free(c->members[i].shares);
        c->members[i] = (msfl_coord_member){0};
    }
    msfl_free(c->statements);
    if (c->key_sum != NULL) msfl_wipe(c->key_sum, c->a.info.params.ring_degree * sizeof *c->key_sum);
    msfl_free(c->key_sum);
    msfl_packed_sum_free(c->sum);
    c->statements = NULL;
    c->key_sum = NULL;
    c->sum = NULL;
    c->n = 0;
    c->n_cheats = 0;
    memset(c->named, 0, sizeof c->named);
    c->phase = MSFL_PHASE_IDLE;
}

void msfl_coordinator_free(msfl_coordinator *c) {
    if (c == NULL) return;
    clear_round(c);
    msfl_free(c->uploads);
    msfl_free(c->clients);
    msfl_free(c->record);
    msfl_free(c);
}

msfl_status msfl_coord_expect(const msfl_coordinator *c, msfl_phase phase, const char *what) {
    static const char *const now[] = {"no round is open",
                                      "uploads are taken",
                                      "the cohort is being certified",
                                      "the shares are being released",
                                      "the sum is open",
                                      "the hospitals are handed the sum"};
    if (c->phase == phase) return MSFL_OK;
    return msfl_fail(MSFL_ERR_POLICY, "coordinator: %s: not now, %s (round %" PRIu64 ")", what, now[c->phase],
                     c->number);
}

/* --- records --- */

static msfl_status apply_open(msfl_coordinator *c, msfl_reader *body) {
    const uint8_t *announce = msfl_get_bytes(body, MSFL_ANNOUNCE_BODY);
    msfl_announcement a;
    if (announce == NULL || c->phase != MSFL_PHASE_IDLE) return msfl_journal_bad(MSFL_JOURNAL_OPEN);
    msfl_status status = msfl_announcement_read(announce, &a);
    if (status == MSFL_OK) status = msfl_round_info_check_with(&a.info, c->config.ctx);
    if (status != MSFL_OK) return status;
    if (a.info.number <= c->number || a.info.n_clients != c->r->n_clients) return msfl_journal_bad(MSFL_JOURNAL_OPEN);
    clear_round(c);
    c->a = a;
    memcpy(c->announce, announce, MSFL_ANNOUNCE_BODY);
    msfl_announcement_id(&a, c->round_id);
    c->number = a.info.number;
    c->n_chunks = msfl_packed_chunks(c->config.ctx, a.info.n_values);
    c->bundles_bytes = c->r->k * msfl_share_bytes(a.info.params.ring_degree);
    c->phase = MSFL_PHASE_COLLECTING;
    return MSFL_OK;
}

static msfl_status apply_upload(msfl_coordinator *c, msfl_reader *body) {
    const size_t length = msfl_statement_bytes(c->r->k);
    const uint8_t *statement = msfl_get_bytes(body, length);
    if (statement == NULL || c->phase != MSFL_PHASE_COLLECTING) return msfl_journal_bad(MSFL_JOURNAL_UPLOAD);
    const uint32_t client = msfl_load32(statement);
    if (client >= c->r->n_clients) return msfl_journal_bad(MSFL_JOURNAL_UPLOAD);
    msfl_coord_upload *u = &c->uploads[client];
    if (u->statement != NULL) return msfl_journal_bad(MSFL_JOURNAL_UPLOAD);
    uint8_t *copy = msfl_alloc(length, 1);
    if (copy == NULL) return MSFL_NO_MEMORY;
    memcpy(copy, statement, length);
    u->statement = copy;
    u->next = c->n_chunks;
    uint32_t at = c->n++;
    for (; at > 0 && c->clients[at - 1] > client; at--)
        c->clients[at] = c->clients[at - 1];
    c->clients[at] = client;
    return MSFL_OK;
}

static msfl_status apply_cohort(msfl_coordinator *c, msfl_reader *body) {
    const size_t each = msfl_statement_bytes(c->r->k);
    if (c->phase != MSFL_PHASE_COLLECTING || msfl_get32(body) != c->n) return msfl_journal_bad(MSFL_JOURNAL_COHORT);
    for (uint32_t i = 0; i < c->n; i++) {
        if (msfl_get32(body) != c->clients[i]) return msfl_journal_bad(MSFL_JOURNAL_COHORT);
    }
    uint8_t *statements = msfl_alloc(c->n, each);
    if (statements == NULL) return MSFL_NO_MEMORY;
    for (uint32_t i = 0; i < c->n; i++)
        memcpy(statements + i * each, c->uploads[c->clients[i]].statement, each);
    c->statements = statements;
    msfl_cohort_hash(c->round_id, c->config.roster, statements, c->n, c->cohort);
    c->phase = MSFL_PHASE_CERTIFYING;
    return MSFL_OK;
}

/** The votes that a record holds. */
static bool get_votes(msfl_coordinator *c, msfl_reader *body) {
    uint32_t n = msfl_get32(body);
    if (body->failed || n < c->r->t || n > c->r->k) return false;
    for (; n > 0; n--) {
        const uint32_t place = msfl_member_place(c->r, msfl_get32(body));
        const uint8_t *vote = msfl_get_bytes(body, MSFL_SIGN_BYTES);
        if (vote == NULL || place == c->r->k) return false;
        memcpy(c->members[place].vote, vote, MSFL_SIGN_BYTES);
        c->members[place].voted = true;
    }
    return true;
}

static msfl_status apply_certified(msfl_coordinator *c, msfl_reader *body) {
    if (c->phase != MSFL_PHASE_CERTIFYING || !get_votes(c, body) || msfl_reader_left(body) != 0) {
        return msfl_journal_bad(MSFL_JOURNAL_CERTIFIED);
    }
    c->phase = MSFL_PHASE_RELEASING;
    return MSFL_OK;
}

/** Votes, answers (without sums), key sum. */
static msfl_status apply_opened(msfl_coordinator *c, msfl_reader *body) {
    const uint32_t degree = c->a.info.params.ring_degree;
    if (c->phase != MSFL_PHASE_RELEASING || c->a.delivery != MSFL_DELIVERY_COORDINATOR) {
        return msfl_journal_bad(MSFL_JOURNAL_OPENED);
    }
    int32_t *key_sum = msfl_alloc(degree, sizeof *key_sum);
    if (key_sum == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_journal_bad(MSFL_JOURNAL_OPENED);
    if (!get_votes(c, body)) goto done;
    for (uint32_t n = msfl_get32(body); n > 0; n--) {
        uint32_t place = msfl_member_place(c->r, msfl_get32(body));
        const uint8_t *answer = msfl_get_bytes(body, MSFL_ANSWER_KEPT);
        if (answer == NULL || place == c->r->k) goto done;
        msfl_coord_member *m = &c->members[place];
        if (m->answer == NULL && (m->answer = msfl_alloc(MSFL_ANSWER_KEPT, 1)) == NULL) {
            status = MSFL_NO_MEMORY;
            goto done;
        }
        memcpy(m->answer, answer, MSFL_ANSWER_KEPT);
        m->answered = true;
    }
    const uint8_t *packed = msfl_get_bytes(body, msfl_shamir_packed_bytes(degree));
    if (packed == NULL) goto done;
    status = msfl_key_sum_unpack(packed, degree, key_sum);
    if (status != MSFL_OK) goto done;
    msfl_free(c->key_sum);
    c->key_sum = key_sum;
    key_sum = NULL;
    c->phase = MSFL_PHASE_OPENED;
done:
    msfl_free(key_sum);
    return status;
}

static uint32_t count_answers(const msfl_coordinator *c) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->r->k; i++)
        n += c->members[i].answered;
    return n;
}

/** A member's answer to the hospitals, whole; with t of them the sum is delivered. */
static msfl_status apply_answer(msfl_coordinator *c, msfl_reader *body) {
    const uint32_t place = msfl_member_place(c->r, msfl_get32(body));
    const size_t length = msfl_sealed_bytes(c->a.info.params.ring_degree, c->r->n_clients);
    const uint8_t *answer = msfl_get_bytes(body, length);
    if (answer == NULL || msfl_reader_left(body) != 0 || place == c->r->k || c->members[place].answered ||
        (c->phase != MSFL_PHASE_RELEASING && c->phase != MSFL_PHASE_DELIVERING) ||
        c->a.delivery != MSFL_DELIVERY_CLIENTS) {
        return msfl_journal_bad(MSFL_JOURNAL_ANSWER);
    }
    msfl_coord_member *m = &c->members[place];
    m->answer = msfl_alloc(length, 1);
    if (m->answer == NULL) return MSFL_NO_MEMORY;
    memcpy(m->answer, answer, length);
    m->answered = true;
    if (count_answers(c) >= c->r->t) c->phase = MSFL_PHASE_DELIVERING;
    return MSFL_OK;
}

static msfl_status apply_report(msfl_coordinator *c, msfl_reader *body) {
    const uint8_t *report = msfl_get_bytes(body, MSFL_REPORT_BYTES);
    if (report == NULL || msfl_reader_left(body) != 0 || c->phase != MSFL_PHASE_DELIVERING) {
        return msfl_journal_bad(MSFL_JOURNAL_REPORT);
    }
    const uint32_t client = msfl_load32(report);
    if (client >= c->r->n_clients || c->uploads[client].reported) return msfl_journal_bad(MSFL_JOURNAL_REPORT);
    void *reports = c->reports;
    msfl_status status = msfl_grow(&reports, &c->reports_capacity, c->n_reports + 1, sizeof *c->reports);
    if (status != MSFL_OK) return status;
    c->reports = reports;
    /* Ascending by hospital, as in the transcript. */
    size_t at = c->n_reports++;
    for (; at > 0 && msfl_load32(c->reports[at - 1].bytes) > client; at--)
        c->reports[at] = c->reports[at - 1];
    memcpy(c->reports[at].bytes, report, MSFL_REPORT_BYTES);
    c->uploads[client].reported = true;
    const uint32_t wrong = msfl_load32(report + 8);
    for (uint32_t i = 0; i < c->r->k; i++) {
        /* One hospital may slander; as many as the minimum cohort hold two that are honest. */
        if ((wrong >> i & 1) != 0 && ++c->named[i] == c->a.info.min_cohort) {
            c->cheats[c->n_cheats++] = c->r->members[i];
        }
    }
    return MSFL_OK;
}

static msfl_status apply_finished(msfl_coordinator *c, msfl_reader *body) {
    const size_t length = msfl_reader_left(body);
    const uint8_t *bytes = msfl_get_bytes(body, length);
    if (c->phase == MSFL_PHASE_IDLE || length < MSFL_SIGN_BYTES) return msfl_journal_bad(MSFL_JOURNAL_FINISHED);
    uint8_t *record = msfl_alloc(length, 1);
    if (record == NULL) return MSFL_NO_MEMORY;
    memcpy(record, bytes, length);
    msfl_free(c->record);
    c->record = record;
    c->record_length = length;
    msfl_transcript_hash(record, length, c->chain);
    clear_round(c);
    return MSFL_OK;
}

static msfl_status apply(msfl_coordinator *c, const uint8_t *record, size_t length) {
    msfl_journal_kind kind;
    msfl_reader body;
    msfl_status status = msfl_journal_read(record, length, c->config.task, &kind, &body);
    if (status != MSFL_OK) return status;
    switch (kind) {
    case MSFL_JOURNAL_OPEN:
        status = apply_open(c, &body);
        break;
    case MSFL_JOURNAL_UPLOAD:
        status = apply_upload(c, &body);
        break;
    case MSFL_JOURNAL_COHORT:
        status = apply_cohort(c, &body);
        break;
    case MSFL_JOURNAL_CERTIFIED:
        status = apply_certified(c, &body);
        break;
    case MSFL_JOURNAL_OPENED:
        status = apply_opened(c, &body);
        break;
    case MSFL_JOURNAL_ANSWER:
        status = apply_answer(c, &body);
        break;
    case MSFL_JOURNAL_REPORT:
        status = apply_report(c, &body);
        break;
    case MSFL_JOURNAL_FINISHED:
        status = apply_finished(c, &body);
        break;
    default:
        return msfl_journal_bad(kind);
    }
    return status;
}

msfl_status msfl_coordinator_replay(msfl_coordinator *c, const uint8_t *record, size_t length) {
    msfl_status status = apply(c, record, length);
    return status == MSFL_OK ? MSFL_OK : msfl_fail_in(status, "coordinator");
}

msfl_status msfl_coord_commit(msfl_coordinator *c, msfl_buffer *record, uint32_t to, msfl_buffer *send,
                              msfl_effects *effects) {
    const size_t mark = effects->n;
    msfl_status status = record->status != MSFL_OK ? record->status : send->status;
    if (status == MSFL_OK) status = msfl_effects_reserve(effects, 2);
    if (status == MSFL_OK) status = msfl_effects_add(effects, MSFL_EFFECT_JOURNAL, MSFL_COORDINATOR, record);
    if (status == MSFL_OK) status = apply(c, effects->items[mark].bytes, effects->items[mark].length);
    if (status == MSFL_OK && send->length > 0) status = msfl_effects_add(effects, MSFL_EFFECT_SEND, to, send);
    if (status != MSFL_OK) msfl_effects_cut(effects, mark);
    msfl_buffer_clear(record);
    msfl_buffer_clear(send);
    return status;
}
