/* A hospital in a round: checks what is announced, encrypts once, shares its key, and uploads until it is acknowledged.
 */
#include "round/site.h"

#include "base/error.h"
#include "base/mem.h"
#include "he/security.h"

#include <inttypes.h>

msfl_status msfl_site_new(const msfl_site_config *config, msfl_site **out) {
    *out = NULL;
    const msfl_roster_info *r = msfl_roster_borrow(config->roster);
    if (config->client >= r->n_clients) {
        return msfl_fail(MSFL_ERR_USAGE, "site: client %" PRIu32 " of %" PRIu32, config->client, r->n_clients);
    }
    uint8_t public_key[32];
    msfl_x25519_public(config->secret->box, public_key);
    if (memcmp(public_key, r->parties[config->client].box, 32) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "site: the secret key is not that of client %" PRIu32, config->client);
    }
    if (r->custody == MSFL_CUSTODY_COORDINATOR && !config->allow_coordinator_custody) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "site %" PRIu32 ": in this roster the coordinator holds the keys and can open every single "
                         "update; only an operator who names that custody takes part",
                         config->client);
    }
    msfl_rules rules;
    msfl_status status = msfl_rules_init(config->min_cohort, config->security_bits, &rules);
    if (status != MSFL_OK) return msfl_fail_in(status, "site %" PRIu32, config->client);
    msfl_site *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_NO_MEMORY;
    s->config = *config;
    s->r = r;
    s->rules = rules;
    s->served = MSFL_SITE_NOTHING;
    *out = s;
    return MSFL_OK;
}

void msfl_site_drop_key(msfl_site *s) {
    msfl_packed_key_free(s->key);
    s->key = NULL;
    s->ctx = NULL;
}

void msfl_site_clear_round(msfl_site *s) {
    msfl_site_drop_key(s);
    msfl_free(s->upload);
    s->upload = NULL;
    s->upload_length = 0;
    s->acknowledged = false;
    msfl_site_clear_delivery(s);
    s->next = 0;
    s->served = MSFL_SITE_NOTHING;
    s->phase = MSFL_SITE_IDLE;
}

void msfl_site_free(msfl_site *s) {
    if (s == NULL) return;
    msfl_site_clear_round(s);
    msfl_free(s);
}

/* --- records --- */

static msfl_status apply_joined(msfl_site *s, msfl_reader *body) {
    const uint8_t *announce = msfl_get_bytes(body, MSFL_ANNOUNCE_BODY);
    if (announce == NULL || msfl_reader_left(body) != 0) return msfl_journal_bad(MSFL_JOURNAL_JOINED);
    msfl_announcement a;
    msfl_status status = msfl_announcement_read(announce, &a);
    if (status != MSFL_OK) return status;
    msfl_site_clear_round(s);
    s->a = a;
    memcpy(s->announce, announce, MSFL_ANNOUNCE_BODY);
    msfl_announcement_id(&a, s->round_id);
    s->number = a.info.number;
    return MSFL_OK;
}

static msfl_status apply_sealed(msfl_site *s, msfl_reader *body) {
    const size_t length = msfl_reader_left(body);
    const uint8_t *upload = msfl_get_bytes(body, length);
    if (upload == NULL || s->upload != NULL || s->number == 0 || s->number != s->a.info.number) {
        return msfl_journal_bad(MSFL_JOURNAL_SEALED);
    }
    const uint32_t degree = s->a.info.params.ring_degree;
    if (length != msfl_statement_bytes(s->r->k) + s->r->k * msfl_share_bytes(degree)) {
        return msfl_journal_bad(MSFL_JOURNAL_SEALED);
    }
    uint8_t *copy = msfl_alloc(length, 1);
    if (copy == NULL) return MSFL_NO_MEMORY;
    memcpy(copy, upload, length);
    s->n_chunks = msfl_chunking_of(&s->a.info.params, s->a.info.n_values).n_chunks;
    s->upload = copy;
    s->upload_length = length;
    s->phase = MSFL_SITE_UPLOADING;
    return MSFL_OK;
}

/** Announcement and report: all that this site must be able to say again. What was opened stays, where it is. */
static msfl_status apply_reported(msfl_site *s, msfl_reader *body) {
    const uint8_t *announce = msfl_get_bytes(body, MSFL_ANNOUNCE_BODY);
    const uint8_t *report = msfl_get_bytes(body, MSFL_REPORT_BYTES);
    if (report == NULL || msfl_reader_left(body) != 0) return msfl_journal_bad(MSFL_JOURNAL_REPORTED);
    msfl_announcement a;
    msfl_status status = msfl_announcement_read(announce, &a);
    if (status != MSFL_OK) return status;
    if (a.info.number <= s->opened_number || a.info.number <= s->history_number) {
        return msfl_journal_bad(MSFL_JOURNAL_REPORTED);
    }
    if (s->phase != MSFL_SITE_OPENED) msfl_site_clear_round(s); /* a replay */
    s->a = a;
    memcpy(s->announce, announce, MSFL_ANNOUNCE_BODY);
    msfl_announcement_id(&a, s->round_id);
    s->opened_number = a.info.number;
    memcpy(s->report, report, MSFL_REPORT_BYTES);
    s->phase = MSFL_SITE_REPORTED;
    return MSFL_OK;
}

/** Number and hash of a transcript; the result as well where the sum was delivered. */
static msfl_status apply_history(msfl_site *s, msfl_reader *body) {
    const uint64_t number = msfl_get64(body);
    const uint8_t *hash = msfl_get_bytes(body, MSFL_HASH_BYTES), *result = NULL;
    if (hash != NULL && msfl_reader_left(body) > 0) result = msfl_get_bytes(body, MSFL_HASH_BYTES);
    if (hash == NULL || body->failed || msfl_reader_left(body) != 0 || number <= s->history_number) {
        return msfl_journal_bad(MSFL_JOURNAL_HISTORY);
    }
    s->history_number = number;
    memcpy(s->history, hash, MSFL_HASH_BYTES);
    if (result != NULL && number == s->opened_number &&
        memcmp(result, msfl_report_result(s->report), MSFL_HASH_BYTES) == 0) {
        s->settled_number = number;
    }
    if (s->phase != MSFL_SITE_IDLE && s->a.info.number <= number) msfl_site_clear_round(s);
    return MSFL_OK;
}

static msfl_status apply(msfl_site *s, const uint8_t *record, size_t length) {
    msfl_journal_kind kind;
    msfl_reader body;
    msfl_status status = msfl_journal_read(record, length, s->config.task, &kind, &body);
    if (status != MSFL_OK) return status;
    if (kind == MSFL_JOURNAL_JOINED) return apply_joined(s, &body);
    if (kind == MSFL_JOURNAL_SEALED) return apply_sealed(s, &body);
    if (kind == MSFL_JOURNAL_RECEIPT) {
        /* The round, the statement's hash and the signature are for whoever reads the journal later. */
        if (msfl_reader_left(&body) != 2 * MSFL_HASH_BYTES + MSFL_SIGN_BYTES || s->upload == NULL) {
            return msfl_journal_bad(kind);
        }
        s->acknowledged = true;
        s->phase = MSFL_SITE_WAITING;
        return MSFL_OK;
    }
    if (kind == MSFL_JOURNAL_REPORTED) return apply_reported(s, &body);
    return kind == MSFL_JOURNAL_HISTORY ? apply_history(s, &body) : msfl_journal_bad(kind);
}

msfl_status msfl_site_replay(msfl_site *s, const uint8_t *record, size_t length) {
    msfl_journal_kind kind;
    msfl_reader body;
    msfl_status status = msfl_journal_read(record, length, s->config.task, &kind, &body);
    if (status == MSFL_OK && kind == MSFL_JOURNAL_JOINED) {
        msfl_announcement a = {0};
        const uint8_t *announce = msfl_get_bytes(&body, MSFL_ANNOUNCE_BODY);
        status = announce == NULL ? msfl_journal_bad(kind) : msfl_announcement_read(announce, &a);
        if (status == MSFL_OK && a.info.number <= s->number) status = msfl_journal_bad(kind);
    }
    if (status == MSFL_OK) status = apply(s, record, length);
    return status == MSFL_OK ? MSFL_OK : msfl_fail_in(status, "site %" PRIu32, s->config.client);
}

msfl_status msfl_site_commit(msfl_site *s, msfl_buffer *record, msfl_buffer *send, uint64_t drop,
                             msfl_effects *effects) {
    const size_t mark = effects->n;
    msfl_status status = record->status != MSFL_OK ? record->status : send->status;
    if (status == MSFL_OK) status = msfl_effects_reserve(effects, 3);
    if (status == MSFL_OK) status = msfl_effects_add(effects, MSFL_EFFECT_JOURNAL, s->config.client, record);
    if (status == MSFL_OK) status = apply(s, effects->items[mark].bytes, effects->items[mark].length);
    if (status == MSFL_OK && send->length > 0) {
        status = msfl_effects_add(effects, MSFL_EFFECT_SEND, MSFL_COORDINATOR, send);
    }
    if (status == MSFL_OK && drop > 0) status = msfl_effects_drop(effects, drop);
    if (status != MSFL_OK) msfl_effects_cut(effects, mark);
    msfl_buffer_clear(record);
    msfl_buffer_clear(send);
    return status;
}
