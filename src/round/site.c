/* A hospital in a round: checks what is announced, encrypts once, shares its key, and uploads until it is acknowledged.
 */
#include "round/coord.h"
#include "round/guard.h"
#include "round/info.h"
#include "round/transcript.h"

#include "base/error.h"
#include "base/mem.h"
#include "he/security.h"

#include <inttypes.h>

enum { WINDOW = 8 /* chunks that are sent again at once */ };

struct msfl_site {
    msfl_site_config config;
    const msfl_roster_info *r;
    msfl_rules rules;
    /* durable */
    uint64_t number; /* of the last round with a key; 0: none */
    uint64_t history_number;
    uint8_t history[MSFL_HASH_BYTES]; /* hash of the newest transcript that was seen */
    /* of the round under way */
    msfl_site_phase phase;
    msfl_announcement a;
    uint8_t announce[MSFL_ANNOUNCE_BODY];
    uint8_t round_id[MSFL_HASH_BYTES];
    uint8_t *upload; /* durable once sealed: statement and bundles */
    size_t upload_length;
    uint64_t n_chunks;
    /* while encrypting */
    const msfl_packed *ctx;
    msfl_packed_key *key;
    msfl_hash hash;
    uint64_t next, ciphertext_bytes;
    uint64_t served; /* what was wanted last and sent again; NOTHING: none since the last msfl_site_resend */
};

#define NOTHING UINT64_MAX

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
    s->served = NOTHING;
    *out = s;
    return MSFL_OK;
}

static void drop_key(msfl_site *s) {
    msfl_packed_key_free(s->key);
    s->key = NULL;
    s->ctx = NULL;
}

/** Forget the round under way, but not its number. */
static void clear_round(msfl_site *s) {
    drop_key(s);
    msfl_free(s->upload);
    s->upload = NULL;
    s->upload_length = 0;
    s->next = 0;
    s->served = NOTHING;
    s->phase = MSFL_SITE_IDLE;
}

void msfl_site_free(msfl_site *s) {
    if (s == NULL) return;
    clear_round(s);
    msfl_free(s);
}

/* --- records --- */

static msfl_status apply_joined(msfl_site *s, msfl_reader *body) {
    const uint8_t *announce = msfl_get_bytes(body, MSFL_ANNOUNCE_BODY);
    if (announce == NULL || msfl_reader_left(body) != 0) return msfl_journal_bad(MSFL_JOURNAL_JOINED);
    msfl_announcement a;
    msfl_status status = msfl_announcement_read(announce, &a);
    if (status != MSFL_OK) return status;
    clear_round(s);
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
        s->phase = MSFL_SITE_WAITING;
        return MSFL_OK;
    }
    if (kind != MSFL_JOURNAL_HISTORY) return msfl_journal_bad(kind);
    const uint64_t number = msfl_get64(&body);
    const uint8_t *hash = msfl_get_bytes(&body, MSFL_HASH_BYTES);
    if (hash == NULL || msfl_reader_left(&body) != 0 || number <= s->history_number) return msfl_journal_bad(kind);
    s->history_number = number;
    memcpy(s->history, hash, MSFL_HASH_BYTES);
    if (s->phase != MSFL_SITE_IDLE && s->a.info.number <= number) clear_round(s);
    return MSFL_OK;
}

msfl_status msfl_site_replay(msfl_site *s, const uint8_t *record, size_t length) {
    msfl_journal_kind kind;
    msfl_reader body;
    msfl_status status = msfl_journal_read(record, length, s->config.task, &kind, &body);
    if (status == MSFL_OK && kind == MSFL_JOURNAL_JOINED) {
        msfl_announcement a;
        const uint8_t *announce = msfl_get_bytes(&body, MSFL_ANNOUNCE_BODY);
        status = announce == NULL ? msfl_journal_bad(kind) : msfl_announcement_read(announce, &a);
        if (status == MSFL_OK && a.info.number <= s->number) status = msfl_journal_bad(kind);
    }
    if (status == MSFL_OK) status = apply(s, record, length);
    return status == MSFL_OK ? MSFL_OK : msfl_fail_in(status, "site %" PRIu32, s->config.client);
}

/** Queue a record and apply it, then queue `send` (may be empty) and that rounds up to `drop` (0: none) may be
 *  forgotten: all or nothing. Takes both buffers. */
static msfl_status commit(msfl_site *s, msfl_buffer *record, msfl_buffer *send, uint64_t drop, msfl_effects *effects) {
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

/* --- messages --- */

/** Whether this round may be offered to the hospital. */
static msfl_status check_offer(const msfl_site *s, const msfl_announcement *a) {
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
    if (number <= s->history_number) {
        return msfl_fail(MSFL_ERR_POLICY, "round %" PRIu64 " is over: the record of round %" PRIu64 " was seen", number,
                         s->history_number);
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
    msfl_announcement a;
    uint8_t id[MSFL_HASH_BYTES];
    status = msfl_announcement_verify(bytes, s->config.roster, s->config.task, &a, id);
    if (status == MSFL_OK) status = check_offer(s, &a);
    if (status != MSFL_OK) return status;
    if (now_ms >= a.deadline_ms) {
        return msfl_fail(MSFL_ERR_POLICY, "round %" PRIu64 ": its deadline is over", a.info.number);
    }
    clear_round(s);
    s->a = a;
    memcpy(s->announce, bytes, MSFL_ANNOUNCE_BODY);
    memcpy(s->round_id, id, MSFL_HASH_BYTES);
    s->phase = MSFL_SITE_OFFERED;
    return MSFL_OK;
}

static msfl_status send_upload(const msfl_site *s, msfl_effects *effects) {
    msfl_buffer message = {0};
    msfl_frame_put(&message, MSFL_MSG_UPLOAD, s->config.client, s->round_id);
    msfl_put_bytes(&message, s->upload, s->upload_length);
    return msfl_effects_add(effects, MSFL_EFFECT_SEND, MSFL_COORDINATOR, &message);
}

static void put_chunk(const msfl_site *s, uint64_t j, const uint8_t *bytes, size_t length, msfl_buffer *out) {
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
            put_chunk(s, j, bytes, length, &message);
            status = msfl_effects_add(effects, MSFL_EFFECT_SEND, MSFL_COORDINATOR, &message);
        }
        msfl_free(bytes);
    }
    if (status == MSFL_OK && s->upload != NULL) status = send_upload(s, effects);
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
    if (state == MSFL_NEXT_WANTED && s->phase != MSFL_SITE_WAITING) {
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
    return commit(s, &record, &nothing, s->a.info.number, effects);
}

static msfl_status on_record(msfl_site *s, msfl_frame *frame, msfl_effects *effects) {
    msfl_transcript t;
    const size_t length = msfl_reader_left(&frame->body);
    const uint8_t *bytes = msfl_get_bytes(&frame->body, length);
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
    msfl_buffer record = {0}, nothing = {0};
    msfl_journal_put(&record, MSFL_JOURNAL_HISTORY, s->config.task);
    msfl_put64(&record, number);
    msfl_put_bytes(&record, t.hash, MSFL_HASH_BYTES);
    return commit(s, &record, &nothing, number, effects);
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
    if (frame.kind == MSFL_MSG_RECORD) status = on_record(s, &frame, effects);
    return status == MSFL_OK ? MSFL_OK : msfl_fail_in(status, "site %" PRIu32, s->config.client);
}

/* --- taking part --- */

static msfl_status expect(const msfl_site *s, msfl_site_phase phase, const char *what) {
    static const char *const now[] = {"no round is under way", "a round is offered", "an update is being encrypted",
                                      "an upload is under way", "the upload is acknowledged"};
    if (s->phase == phase) return MSFL_OK;
    return msfl_fail(MSFL_ERR_POLICY, "site %" PRIu32 ": %s: not now, %s", s->config.client, what, now[s->phase]);
}

msfl_status msfl_site_start(msfl_site *s, const msfl_packed *ctx, const uint8_t model[MSFL_HASH_BYTES],
                            const uint8_t layout[MSFL_HASH_BYTES], msfl_effects *effects) {
    msfl_status status = expect(s, MSFL_SITE_OFFERED, "take part");
    if (status == MSFL_OK) status = check_offer(s, &s->a); /* a record may have come since */
    if (status == MSFL_OK) status = msfl_round_info_check_with(&s->a.info, ctx);
    if (status != MSFL_OK) return status;
    if (memcmp(model, s->a.info.model, MSFL_HASH_BYTES) != 0 ||
        memcmp(layout, s->a.info.layout, MSFL_HASH_BYTES) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH,
                         "site %" PRIu32 ": round %" PRIu64 " is about another model or layout than this hospital has",
                         s->config.client, s->a.info.number);
    }
    msfl_packed_key *key = NULL;
    status = msfl_packed_key_new(ctx, s->round_id, s->a.info.n_values, &key);
    if (status != MSFL_OK) return msfl_fail_in(status, "site %" PRIu32, s->config.client);
    msfl_buffer record = {0}, nothing = {0};
    msfl_journal_put(&record, MSFL_JOURNAL_JOINED, s->config.task);
    msfl_put_bytes(&record, s->announce, sizeof s->announce);
    status = commit(s, &record, &nothing, s->a.info.number - 1, effects);
    if (status != MSFL_OK) {
        msfl_packed_key_free(key);
        return status;
    }
    s->ctx = ctx;
    s->key = key;
    s->n_chunks = msfl_packed_chunks(ctx, s->a.info.n_values);
    s->ciphertext_bytes = msfl_round_ciphertext_bytes(ctx, s->a.info.n_values);
    msfl_round_ciphertext_hash_init(&s->hash, s->round_id, s->config.client, s->ciphertext_bytes);
    s->phase = MSFL_SITE_ENCRYPTING;
    return MSFL_OK;
}

msfl_status msfl_site_encrypt(msfl_site *s, uint64_t j, const uint32_t *slots, msfl_effects *effects) {
    msfl_status status = expect(s, MSFL_SITE_ENCRYPTING, "encrypt");
    if (status != MSFL_OK) return status;
    if (j != s->next || j >= s->n_chunks) {
        return msfl_fail(MSFL_ERR_USAGE, "site %" PRIu32 ": chunk %" PRIu64 " where %" PRIu64 " of %" PRIu64 " is due",
                         s->config.client, j, s->next, s->n_chunks);
    }
    const size_t length = msfl_packed_chunk_bytes(s->ctx, s->a.info.n_values, j);
    msfl_buffer message = {0};
    uint8_t *bytes = msfl_alloc(length, 1);
    if (bytes == NULL) return MSFL_NO_MEMORY;
    status = msfl_packed_encrypt(s->ctx, s->key, j, slots, bytes);
    if (status == MSFL_ERR_NUMERIC || status == MSFL_ERR_MEMORY) goto done; /* nothing has left: may be repeated */
    if (status == MSFL_OK) {
        status = s->config.spool.put(s->config.spool.self, s->a.info.number, s->config.client, j, bytes, length);
    }
    if (status == MSFL_OK) {
        put_chunk(s, j, bytes, length, &message);
        status = msfl_effects_add(effects, MSFL_EFFECT_SEND, MSFL_COORDINATOR, &message);
    }
    if (status != MSFL_OK) {
        /* The chunk cannot be encrypted a second time, so this upload will never be complete. */
        clear_round(s);
        goto done;
    }
    msfl_hash_add(&s->hash, bytes, length);
    s->next++;
done:
    msfl_free(bytes);
    return status == MSFL_OK ? MSFL_OK : msfl_fail_in(status, "site %" PRIu32, s->config.client);
}

msfl_status msfl_site_finish(msfl_site *s, msfl_effects *effects) {
    msfl_status status = expect(s, MSFL_SITE_ENCRYPTING, "finish");
    if (status != MSFL_OK) return status;
    if (s->next < s->n_chunks) {
        return msfl_fail(MSFL_ERR_USAGE, "site %" PRIu32 ": only %" PRIu64 " of %" PRIu64 " chunks are encrypted",
                         s->config.client, s->next, s->n_chunks);
    }
    const uint32_t degree = s->a.info.params.ring_degree, k = s->r->k;
    const size_t each = msfl_share_bytes(degree), head = msfl_statement_bytes(k), length = head + k * each;
    msfl_buffer record = {0}, message = {0};
    msfl_statement statement = {.client = s->config.client, .length = s->ciphertext_bytes};
    uint8_t *upload = msfl_alloc(length, 1);
    if (upload == NULL) {
        status = MSFL_NO_MEMORY;
        goto done;
    }
    msfl_hash_final(&s->hash, statement.ciphertext_hash);
    const msfl_share_binding binding = {s->round_id, statement.ciphertext_hash, s->config.client, degree};
    status = msfl_share_seal(&binding, s->r, msfl_packed_key_borrow(s->key), upload + head);
    if (status != MSFL_OK) goto done;
    for (uint32_t i = 0; i < k; i++)
        msfl_bundle_hash(upload + head + i * each, each, statement.bundle_hash[i]);
    msfl_statement_sign(&statement, s->config.roster, s->round_id, s->config.secret, upload);
    msfl_journal_put(&record, MSFL_JOURNAL_SEALED, s->config.task);
    msfl_put_bytes(&record, upload, length);
    msfl_frame_put(&message, MSFL_MSG_UPLOAD, s->config.client, s->round_id);
    msfl_put_bytes(&message, upload, length);
    status = commit(s, &record, &message, 0, effects);
done:
    /* Also after a failure: a key that could not be handed over is of no use, and of no use is of no risk. */
    drop_key(s);
    if (status != MSFL_OK) {
        clear_round(s);
        msfl_fail_in(status, "site %" PRIu32, s->config.client);
    }
    msfl_free(upload);
    return status;
}

msfl_status msfl_site_resend(msfl_site *s, msfl_effects *effects) {
    s->served = NOTHING;
    return s->phase == MSFL_SITE_UPLOADING ? send_upload(s, effects) : MSFL_OK;
}

msfl_site_phase msfl_site_phase_of(const msfl_site *s) {
    return s->phase;
}

const msfl_announcement *msfl_site_round(const msfl_site *s) {
    return s->phase == MSFL_SITE_IDLE ? NULL : &s->a;
}

uint64_t msfl_site_last(const msfl_site *s) {
    return s->number;
}
