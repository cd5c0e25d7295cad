/* A site takes part: a fresh key, the encrypted update, the shares of the key, the signature. */
#include "round/info.h"
#include "round/site.h"

#include "base/error.h"
#include "base/mem.h"

#include <inttypes.h>

msfl_status msfl_site_expect(const msfl_site *s, msfl_site_phase phase, const char *what) {
    static const char *const now[] = {
        "no round is under way",  "a round is offered",         "an update is being encrypted",
        "an upload is under way", "the upload is acknowledged", "the committee's answers are here",
        "the sum is open",        "what was opened is reported"};
    if (s->phase == phase) return MSFL_OK;
    return msfl_fail(MSFL_ERR_POLICY, "site %" PRIu32 ": %s: not now, %s", s->config.client, what, now[s->phase]);
}

msfl_status msfl_site_start(msfl_site *s, const msfl_packed *ctx, const uint8_t model[MSFL_HASH_BYTES],
                            const uint8_t layout[MSFL_HASH_BYTES], msfl_effects *effects) {
    msfl_status status = msfl_site_expect(s, MSFL_SITE_OFFERED, "take part");
    if (status == MSFL_OK) status = msfl_site_check_offer(s, &s->a); /* a record may have come since */
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
    status = msfl_site_commit(s, &record, &nothing, s->a.info.number - 1, effects);
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
    msfl_status status = msfl_site_expect(s, MSFL_SITE_ENCRYPTING, "encrypt");
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
        msfl_site_put_chunk(s, j, bytes, length, &message);
        status = msfl_effects_add(effects, MSFL_EFFECT_SEND, MSFL_COORDINATOR, &message);
    }
    if (status != MSFL_OK) {
        /* The chunk cannot be encrypted a second time, so this upload will never be complete. */
        msfl_site_clear_round(s);
        goto done;
    }
    msfl_hash_add(&s->hash, bytes, length);
    s->next++;
done:
    msfl_free(bytes);
    return status == MSFL_OK ? MSFL_OK : msfl_fail_in(status, "site %" PRIu32, s->config.client);
}

msfl_status msfl_site_finish(msfl_site *s, msfl_effects *effects) {
    msfl_status status = msfl_site_expect(s, MSFL_SITE_ENCRYPTING, "finish");
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
    status = msfl_site_commit(s, &record, &message, 0, effects);
done:
    /* Also after a failure: a key that could not be handed over is of no use, and of no use is of no risk. */
    msfl_site_drop_key(s);
    if (status != MSFL_OK) {
        msfl_site_clear_round(s);
        msfl_fail_in(status, "site %" PRIu32, s->config.client);
    }
    msfl_free(upload);
    return status;
}

msfl_status msfl_site_resend(msfl_site *s, msfl_effects *effects) {
    s->served = MSFL_SITE_NOTHING;
    return s->phase == MSFL_SITE_UPLOADING ? msfl_site_send_upload(s, effects) : MSFL_OK;
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
