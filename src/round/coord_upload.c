#include "round/coord.h"
#include "round/guard.h"
#include "round/info.h"

#include "base/error.h"
#include "base/mem.h"

#include <inttypes.h>

static msfl_status reply(msfl_coordinator *c, uint32_t client, msfl_next_state state, msfl_effects *effects) {
    msfl_buffer message = {0};
    msfl_coord_put_next(c, client, state, &message);
    return msfl_effects_add(effects, MSFL_EFFECT_SEND, client, &message);
}

/** What a client hears whose upload needs nothing any more: the receipt, or that it is too late. */
static msfl_status settled(msfl_coordinator *c, uint32_t client, msfl_effects *effects) {
    return reply(c, client, c->uploads[client].statement != NULL ? MSFL_NEXT_COMPLETE : MSFL_NEXT_CLOSED, effects);
}

msfl_status msfl_coord_chunk(msfl_coordinator *c, uint32_t client, msfl_reader *body, msfl_effects *effects) {
    const uint64_t j = msfl_get64(body), n_values = c->a.info.n_values;
    const size_t length = msfl_reader_left(body);
    if (body->failed) return msfl_fail(MSFL_ERR_FORMAT, "chunk: cut off");
    if (client >= c->r->n_clients) return msfl_fail(MSFL_ERR_POLICY, "chunk: from no hospital");
    msfl_coord_upload *u = &c->uploads[client];
    if (c->phase != MSFL_PHASE_COLLECTING || u->statement != NULL) return settled(c, client, effects);
    /* A repetition, or one beyond a gap: what is missing is asked for once, when the upload claims to be complete. */
    if (j != u->next) return reply(c, client, MSFL_NEXT_ACK, effects);
    msfl_status status = msfl_packed_check(c->config.ctx, n_values, j, body->at, length);
    if (status == MSFL_OK) status = c->config.spool.put(c->config.spool.self, c->number, client, j, body->at, length);
    if (status != MSFL_OK) return status;
    /* The reply first: it may want for memory, and then this chunk was not taken. */
    u->next++;
    status = reply(c, client, MSFL_NEXT_ACK, effects);
    if (status != MSFL_OK) {
        u->next--;
        return status;
    }
    if (j == 0) {
        msfl_round_ciphertext_hash_init(&u->hash, c->round_id, client,
                                        msfl_round_ciphertext_bytes(c->config.ctx, n_values));
    }
    msfl_hash_add(&u->hash, body->at, length);
    return MSFL_OK;
}

static msfl_status check_bundles(const msfl_coordinator *c, const msfl_statement *s, const uint8_t *bundles) {
    const size_t each = c->bundles_bytes / c->r->k;
    for (uint32_t i = 0; i < c->r->k; i++) {
        uint8_t hash[MSFL_HASH_BYTES];
        msfl_bundle_hash(bundles + i * each, each, hash);
        if (!MSFL_GUARD(UPLOAD_BUNDLES, memcmp(hash, s->bundle_hash[i], sizeof hash) == 0)) {
            return msfl_fail(MSFL_ERR_CRYPTO, "upload: the share bundle for member %" PRIu32 " is not the signed one",
                             c->r->members[i]);
        }
    }
    return MSFL_OK;
}

msfl_status msfl_coord_take(msfl_coordinator *c, uint32_t client, msfl_reader *body, msfl_effects *effects) {
    const size_t length = msfl_statement_bytes(c->r->k);
    const uint8_t *bytes = msfl_get_bytes(body, length), *bundles = msfl_get_bytes(body, c->bundles_bytes);
    if (bundles == NULL || msfl_reader_left(body) != 0) return msfl_fail(MSFL_ERR_FORMAT, "upload: wrong length");
    if (client >= c->r->n_clients || msfl_load32(bytes) != client) {
        return msfl_fail(MSFL_ERR_MISMATCH, "upload: signed for client %" PRIu32, msfl_load32(bytes));
    }
    msfl_coord_upload *u = &c->uploads[client];
    msfl_status status = msfl_statement_verify(bytes, c->config.roster, c->round_id);
    if (!MSFL_GUARD(UPLOAD_SIGNED, status == MSFL_OK)) return msfl_fail_in(status, "upload");
    if (u->statement != NULL && memcmp(u->statement, bytes, length) != 0) {
        return msfl_fail(MSFL_ERR_EXISTS, "upload: another one of this client is in round %" PRIu64, c->number);
    }
    if (c->phase != MSFL_PHASE_COLLECTING || u->statement != NULL) return settled(c, client, effects);
    if (u->next != c->n_chunks) return reply(c, client, MSFL_NEXT_WANTED, effects);
    msfl_statement s;
    msfl_statement_read(bytes, c->r->k, &s);
    status = check_bundles(c, &s, bundles);
    if (status != MSFL_OK) return status;
    uint8_t hash[MSFL_HASH_BYTES];
    msfl_hash h = u->hash;
    msfl_hash_final(&h, hash);
    if (!MSFL_GUARD(UPLOAD_HASH, msfl_equal(hash, s.ciphertext_hash, sizeof hash) &&
                                     s.length == msfl_round_ciphertext_bytes(c->config.ctx, c->a.info.n_values))) {
        /* A chunk was damaged on the way. Nothing of it is anywhere but in the spool: from the start. */
        u->next = 0;
        return reply(c, client, MSFL_NEXT_WANTED, effects);
    }
    status = c->config.spool.put(c->config.spool.self, c->number, client, c->n_chunks, bundles, c->bundles_bytes);
    if (status != MSFL_OK) return status;
    msfl_buffer record = {0}, receipt = {0};
    msfl_journal_put(&record, MSFL_JOURNAL_UPLOAD, c->config.task);
    msfl_put_bytes(&record, bytes, length);
    msfl_coord_put_receipt(c, client, bytes, &receipt);
    return msfl_coord_commit(c, &record, client, &receipt, effects);
}

msfl_status msfl_coord_fold(msfl_coordinator *c) {
    const uint64_t n_values = c->a.info.n_values;
    const msfl_packed *ctx = c->config.ctx;
    msfl_packed_sum *sum = NULL;
    uint8_t *chunk = msfl_alloc(msfl_packed_chunk_bytes(ctx, n_values, 0), 1);
    if (chunk == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_packed_sum_new(ctx, c->round_id, n_values, &sum);
    for (uint32_t i = 0; i < c->n && status == MSFL_OK; i++) {
        const uint32_t client = c->clients[i];
        uint8_t hash[MSFL_HASH_BYTES];
        msfl_hash h;
        msfl_round_ciphertext_hash_init(&h, c->round_id, client, msfl_round_ciphertext_bytes(ctx, n_values));
        for (uint64_t j = 0; j < c->n_chunks && status == MSFL_OK; j++) {
            const size_t length = msfl_packed_chunk_bytes(ctx, n_values, j);
            status = c->config.spool.get(c->config.spool.self, c->number, client, j, chunk, length);
            if (status != MSFL_OK) break;
            msfl_hash_add(&h, chunk, length);
            status = msfl_packed_fold(ctx, sum, j, chunk, length);
        }
        msfl_hash_final(&h, hash);
        if (status == MSFL_OK && memcmp(hash, c->uploads[client].statement + 12, sizeof hash) != 0) {
            status =
                msfl_fail(MSFL_ERR_CRYPTO, "the spool holds another ciphertext than client %" PRIu32 " signed", client);
        }
        if (status != MSFL_OK) msfl_fail_in(status, "round %" PRIu64 ": folding client %" PRIu32, c->number, client);
    }
    msfl_free(chunk);
    if (status != MSFL_OK) {
        msfl_packed_sum_free(sum);
        return status;
    }
    msfl_packed_sum_free(c->sum);
    c->sum = sum;
    return MSFL_OK;
}
