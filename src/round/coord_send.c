/* What the coordinator says, and to whom. */
#include "round/coord.h"
#include "round/transcript.h"

#include "base/error.h"
#include "base/mem.h"

enum { DELIVERIES = 16 /* that one tick sends */ };

void msfl_receipt_digest(const uint8_t round_id[MSFL_HASH_BYTES], uint32_t client,
                         const uint8_t statement_digest[MSFL_HASH_BYTES], uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.receipt.v1");
    msfl_hash_add(&h, round_id, MSFL_HASH_BYTES);
    msfl_hash_add_u64(&h, client);
    msfl_hash_add(&h, statement_digest, MSFL_HASH_BYTES);
    msfl_hash_final(&h, out);
}

void msfl_coord_put_receipt(const msfl_coordinator *c, uint32_t client, const uint8_t *statement, msfl_buffer *out) {
    uint8_t digest[MSFL_HASH_BYTES], signature[MSFL_SIGN_BYTES];
    msfl_statement_digest(statement, c->config.roster, c->round_id, digest);
    msfl_receipt_digest(c->round_id, client, digest, digest);
    msfl_sign(c->config.secret->sign, digest, sizeof digest, signature);
    msfl_frame_put(out, MSFL_MSG_NEXT, MSFL_COORDINATOR, c->round_id);
    msfl_put64(out, c->n_chunks);
    msfl_put32(out, MSFL_NEXT_COMPLETE);
    msfl_put_bytes(out, signature, sizeof signature);
}

void msfl_coord_put_next(const msfl_coordinator *c, uint32_t client, msfl_next_state state, msfl_buffer *out) {
    static const uint8_t no_signature[MSFL_SIGN_BYTES];
    if (state == MSFL_NEXT_COMPLETE) {
        msfl_coord_put_receipt(c, client, c->uploads[client].statement, out);
        return;
    }
    msfl_frame_put(out, MSFL_MSG_NEXT, MSFL_COORDINATOR, c->round_id);
    msfl_put64(out, c->uploads[client].next);
    msfl_put32(out, (uint32_t)state);
    msfl_put_bytes(out, no_signature, sizeof no_signature);
}

static void put_proposal(const msfl_coordinator *c, msfl_message_kind kind, msfl_buffer *out) {
    msfl_frame_put(out, kind, MSFL_COORDINATOR, c->round_id);
    msfl_put_bytes(out, c->announce, sizeof c->announce);
    msfl_put32(out, c->n);
    msfl_put_bytes(out, c->statements, c->n * msfl_statement_bytes(c->r->k));
}

/** Proposal, t votes, and the bundles for the member at `place`, which come from the spool. */
static msfl_status put_release(const msfl_coordinator *c, uint32_t place, msfl_buffer *out) {
    const size_t each = c->bundles_bytes / c->r->k;
    uint8_t *bundles = msfl_alloc(c->bundles_bytes, 1);
    if (bundles == NULL) return MSFL_NO_MEMORY;
    put_proposal(c, MSFL_MSG_RELEASE, out);
    msfl_put32(out, c->r->t);
    for (uint32_t i = 0, n = 0; i < c->r->k && n < c->r->t; i++) {
        if (!c->members[i].voted) continue;
        msfl_put32(out, c->r->members[i]);
        msfl_put_bytes(out, c->members[i].vote, MSFL_SIGN_BYTES);
        n++;
    }
    msfl_status status = MSFL_OK;
    for (uint32_t i = 0; i < c->n && status == MSFL_OK; i++) {
        status =
            c->config.spool.get(c->config.spool.self, c->number, c->clients[i], c->n_chunks, bundles, c->bundles_bytes);
        if (status == MSFL_OK) msfl_put_bytes(out, bundles + place * each, each);
    }
    msfl_free(bundles);
    return status;
}

static msfl_status send(uint32_t to, msfl_buffer *message, msfl_effects *effects) {
    return msfl_effects_add(effects, MSFL_EFFECT_SEND, to, message);
}

static msfl_status tell_record(const msfl_coordinator *c, uint32_t client, msfl_effects *effects) {
    uint8_t none[MSFL_HASH_BYTES] = {0};
    msfl_buffer message = {0};
    msfl_frame_put(&message, MSFL_MSG_RECORD, MSFL_COORDINATOR, none);
    msfl_put_bytes(&message, c->record, c->record_length);
    return send(client, &message, effects);
}

static msfl_status tell_client(msfl_coordinator *c, uint32_t client, msfl_effects *effects) {
    const msfl_coord_upload *u = &c->uploads[client];
    msfl_buffer message = {0};
    msfl_status status = MSFL_OK;
    if (c->phase == MSFL_PHASE_DELIVERING) {
        if (u->reported) return MSFL_OK;
        status = msfl_coord_put_delivery(c, client, &message);
        if (status != MSFL_OK) {
            msfl_buffer_clear(&message);
            return status;
        }
        return send(client, &message, effects);
    }
    if (u->statement != NULL) {
        msfl_coord_put_next(c, client, MSFL_NEXT_COMPLETE, &message);
        return send(client, &message, effects);
    }
    if (c->phase != MSFL_PHASE_COLLECTING) return MSFL_OK;
    msfl_frame_put(&message, MSFL_MSG_ANNOUNCE, MSFL_COORDINATOR, c->round_id);
    msfl_put_bytes(&message, c->announce, sizeof c->announce);
    status = send(client, &message, effects);
    if (status == MSFL_OK && u->next > 0) {
        msfl_coord_put_next(c, client, MSFL_NEXT_WANTED, &message);
        status = send(client, &message, effects);
    }
    return status;
}

static msfl_status tell_member(msfl_coordinator *c, uint32_t place, msfl_effects *effects) {
    const uint32_t party = c->r->members[place];
    msfl_buffer message = {0};
    if (c->phase == MSFL_PHASE_CERTIFYING && !c->members[place].voted) {
        put_proposal(c, MSFL_MSG_PROPOSE, &message);
        return send(party, &message, effects);
    }
    const bool more = c->phase == MSFL_PHASE_DELIVERING && !msfl_coord_settled(c);
    if ((c->phase == MSFL_PHASE_RELEASING || more) && !c->members[place].answered) {
        msfl_status status = put_release(c, place, &message);
        if (status != MSFL_OK) {
            msfl_buffer_clear(&message);
            return status;
        }
        return send(party, &message, effects);
    }
    return MSFL_OK;
}

msfl_status msfl_coordinator_poll(msfl_coordinator *c, uint32_t to, msfl_effects *effects) {
    const size_t mark = effects->n;
    msfl_status status = MSFL_OK;
    if (to >= c->r->n_parties) return msfl_fail(MSFL_ERR_USAGE, "coordinator: there is no party %u", to);
    if (c->phase == MSFL_PHASE_IDLE) {
        return c->record == NULL || to >= c->r->n_clients ? MSFL_OK : tell_record(c, to, effects);
    }
    const uint32_t place = msfl_member_place(c->r, to);
    /* The next round may open before a hospital has asked: it hears the record of the one before first. So it holds the
     * announcement against it, has no hole in its own record, and opens no sum that it cannot place. */
    const bool begins =
        to < c->r->n_clients &&
        ((c->phase == MSFL_PHASE_COLLECTING && c->uploads[to].statement == NULL && c->uploads[to].next == 0) ||
         (c->phase == MSFL_PHASE_DELIVERING && !c->uploads[to].reported));
    if (begins && c->record != NULL) status = tell_record(c, to, effects);
    if (status == MSFL_OK && to < c->r->n_clients) status = tell_client(c, to, effects);
    if (status == MSFL_OK && place < c->r->k) status = tell_member(c, place, effects);
    if (status != MSFL_OK) msfl_effects_cut(effects, mark);
    return status;
}

msfl_status msfl_coord_send_all(msfl_coordinator *c, msfl_effects *effects) {
    const size_t mark = effects->n;
    msfl_status status = MSFL_OK;
    if (c->phase == MSFL_PHASE_COLLECTING) {
        for (uint32_t i = 0; i < c->r->n_clients && status == MSFL_OK; i++) {
            if (c->uploads[i].statement == NULL) status = tell_client(c, i, effects);
        }
    } else {
        for (uint32_t i = 0; i < c->r->k && status == MSFL_OK; i++)
            status = tell_member(c, i, effects);
    }
    uint32_t at = c->told;
    if (c->phase == MSFL_PHASE_DELIVERING) {
        /* Each delivery holds the whole cohort's statements: a few at a time, the others by the next tick or poll. */
        uint32_t n = 0;
        for (uint32_t i = 0; i < c->r->n_clients && n < DELIVERIES && status == MSFL_OK; i++) {
            const uint32_t client = at;
            at = at + 1 < c->r->n_clients ? at + 1 : 0;
            if (c->uploads[client].reported) continue;
            status = tell_client(c, client, effects);
            n++;
        }
    }
    if (status == MSFL_OK) c->told = at;
    if (status != MSFL_OK) msfl_effects_cut(effects, mark);
    return status;
}
