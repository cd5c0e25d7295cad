/* An upload on its way: chunks are quantised and encrypted while the body that carries them is sent. */
#include "client/part.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/observe.h"
#include "round/message.h"
#include "round/share.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* One request carries so much at most: whatever the line, it ends within the time that a server gives a request. */
#define BODY_BYTES_MAX (UINT64_C(32) << 20)

typedef struct outgoing {
    client_part_state *p;
    const msfl_packed *ctx;
    msfl_update_encoder *encoder; /* NULL: everything is encrypted */
    uint32_t *slots;
    uint64_t n_values, n_chunks;
    uint64_t n_encrypted, first_slot; /* chunks that are in the spool; their slots */
    uint64_t next, end;               /* of the body on its way; end n_chunks + 1: the upload message too */
    msfl_buffer frame;
    size_t at;
    msfl_status failed;
    uint64_t sent, total;
} outgoing;

static uint64_t chunk_frame(const outgoing *o, uint64_t j) {
    return 4 + MSFL_FRAME_BYTES + 8 + msfl_packed_chunk_bytes(o->ctx, o->n_values, j);
}

static uint64_t upload_frame(const outgoing *o) {
    const uint32_t k = o->p->seat.info->k;
    return 4 + MSFL_FRAME_BYTES + msfl_statement_bytes(k) +
           (uint64_t)k * msfl_share_bytes(msfl_packed_params(o->ctx)->ring_degree);
}

/* Chunk j, made now: the effect that carries it goes out as a frame, its copy is in the spool. */
static msfl_status encrypt_next(outgoing *o) {
    msfl_effects effects = {0};
    const uint32_t n = msfl_packed_chunk_slots(o->ctx, o->n_values, o->n_encrypted);
    msfl_status status = msfl_update_quantise(o->encoder, o->first_slot, n, o->slots, NULL);
    if (status == MSFL_OK) status = msfl_site_encrypt(o->p->site, o->n_encrypted, o->slots, &effects);
    msfl_wipe(o->slots, n * sizeof *o->slots);
    o->frame.length = 0;
    if (status == MSFL_OK) status = client_part_carry_out(o->p, &effects, &o->frame);
    msfl_effects_clear(&effects);
    if (status != MSFL_OK) return status;
    o->n_encrypted++;
    o->first_slot += n;
    return MSFL_OK;
}

/* Chunk j from the spool. */
static msfl_status repeat_chunk(outgoing *o, uint64_t j) {
    const msfl_announcement *a = msfl_site_round(o->p->site);
    const size_t length = msfl_packed_chunk_bytes(o->ctx, o->n_values, j);
    uint8_t id[MSFL_HASH_BYTES];
    const msfl_spool spool = client_spool_of(o->p->spool);
    uint8_t *bytes = msfl_alloc(length, 1);
    if (bytes == NULL) return MSFL_NO_MEMORY;
    msfl_status status = spool.get(spool.self, a->info.number, o->p->seat.party, j, bytes, length);
    msfl_announcement_id(a, id);
    o->frame.length = 0;
    msfl_put32(&o->frame, (uint32_t)(MSFL_FRAME_BYTES + 8 + length));
    msfl_frame_put(&o->frame, MSFL_MSG_CHUNK, o->p->seat.party, id);
    msfl_put64(&o->frame, j);
    msfl_put_bytes(&o->frame, bytes, length);
    msfl_free(bytes);
    return status == MSFL_OK ? o->frame.status : status;
}

/* What was announced and what is sent, before it is. */
static void keep(const outgoing *o, const msfl_effects *effects) {
    const msfl_buffer *announce = &o->p->announce;
    for (size_t i = 0; i < effects->n && announce->length > 0; i++) {
        const msfl_effect *e = &effects->items[i];
        if (e->kind != MSFL_EFFECT_SEND) continue;
        if (msfl_audit_add_upload(o->p->audit, o->p->seat.roster, announce->bytes, announce->length, e->bytes,
                                  e->length) != MSFL_OK) {
            client_say(o->p->run, MSFL_EVENT_WARNING, "audit: %s", msfl_error_message());
        }
    }
}

/* Statement and key shares: made and journalled now, or made before. */
static msfl_status put_upload(outgoing *o) {
    msfl_effects effects = {0};
    msfl_status status = msfl_site_phase_of(o->p->site) == MSFL_SITE_ENCRYPTING
                             ? msfl_site_finish(o->p->site, &effects)
                             : msfl_site_resend(o->p->site, &effects);
    o->frame.length = 0;
    if (status == MSFL_OK) status = client_part_carry_out(o->p, &effects, &o->frame);
    if (status == MSFL_OK) keep(o, &effects);
    msfl_effects_clear(&effects);
    return status;
}

static msfl_status next_frame(outgoing *o) {
    msfl_status status;
    if (o->next == o->n_chunks) {
        status = put_upload(o);
    } else {
        status = o->next < o->n_encrypted ? repeat_chunk(o, o->next) : encrypt_next(o);
    }
    o->next++;
    o->at = 0;
    return status;
}

static ssize_t read_body(void *ctx, uint8_t *out, size_t max) {
    outgoing *o = ctx;
    if (o->at == o->frame.length) {
        o->failed = next_frame(o);
        if (o->failed != MSFL_OK) return -1;
    }
    size_t n = o->frame.length - o->at < max ? o->frame.length - o->at : max;
    memcpy(out, o->frame.bytes + o->at, n);
    o->at += n;
    o->sent += n;
    const msfl_event e = {.kind = MSFL_EVENT_PROGRESS,
                          .track = o->p->run->id,
                          .client = 0,
                          .done = o->sent,
                          .total = o->total,
                          .loss = NAN};
    msfl_observe(&o->p->observer, &e);
    return (ssize_t)n;
}

/* --- one request --- */

static msfl_status send_from(outgoing *o, uint64_t from) {
    client_body body = {.read = read_body, .ctx = o};
    msfl_buffer answer;
    o->next = o->end = from;
    o->at = o->frame.length = 0;
    o->failed = MSFL_OK;
    while (o->end <= o->n_chunks) {
        const uint64_t frame = o->end < o->n_chunks ? chunk_frame(o, o->end) : upload_frame(o);
        if (body.length > 0 && body.length + frame > BODY_BYTES_MAX) break;
        body.length += frame;
        o->end++;
    }
    o->p->wanted = CLIENT_NOT_WANTED;
    msfl_status status = client_link_send(o->p->link, o->p->run->id, &body, &answer);
    if (o->failed != MSFL_OK) status = o->failed;
    if (status == MSFL_OK) status = client_part_hear(o->p, &answer);
    msfl_buffer_clear(&answer);
    return status;
}

/* What is not encrypted yet, into the spool: the network may be gone, the key must not wait for it. */
static msfl_status encrypt_rest(outgoing *o) {
    msfl_status status = MSFL_OK;
    while (status == MSFL_OK && o->n_encrypted < o->n_chunks)
        status = encrypt_next(o);
    if (status == MSFL_OK && msfl_site_phase_of(o->p->site) == MSFL_SITE_ENCRYPTING) status = put_upload(o);
    return status;
}

static bool is_open(const outgoing *o, uint64_t number) {
    if (o->p->site == NULL) return false;
    const msfl_announcement *a = msfl_site_round(o->p->site);
    const msfl_site_phase phase = msfl_site_phase_of(o->p->site);
    return a != NULL && a->info.number == number && (phase == MSFL_SITE_ENCRYPTING || phase == MSFL_SITE_UPLOADING);
}

static msfl_status run(outgoing *o, uint64_t number) {
    client_run *r = o->p->run;
    uint32_t failures = 0, useless = 0;
    uint64_t from = o->p->wanted == CLIENT_NOT_WANTED || o->p->wanted > o->n_chunks ? 0 : o->p->wanted;
    while (is_open(o, number)) {
        msfl_status status = send_from(o, from);
        if (o->failed != MSFL_OK || status == MSFL_ERR_CANCELLED) return status;
        if (status == MSFL_OK) failures = 0;
        if (status != MSFL_OK) {
            char *message = msfl_strdup(msfl_error_message());
            const msfl_status rest = encrypt_rest(o);
            if (rest != MSFL_OK) {
                msfl_free(message);
                return rest;
            }
            if (message != NULL) msfl_error_set(message);
            msfl_free(message);
            if (client_run_wait(r, &failures) != MSFL_OK) return MSFL_ERR_CANCELLED;
            status = client_part_ask(o->p); /* how far the coordinator is; or that the round is over */
            if (status == MSFL_ERR_CANCELLED) return status;
            if (status == MSFL_OK && o->p->wanted == CLIENT_NOT_WANTED) o->p->wanted = 0;
            if (status != MSFL_OK) continue;
        }
        const uint64_t before = from;
        if (o->p->wanted != CLIENT_NOT_WANTED) {
            from = o->p->wanted > o->n_chunks ? 0 : o->p->wanted;
        } else if (o->end <= o->n_chunks) {
            from = o->end;
        } else if (is_open(o, number)) {
            return MSFL_OK; /* heard, and neither a receipt nor a wish: the inbox says the rest */
        }
        if (from <= before && ++useless > 20) {
            return msfl_fail(MSFL_ERR_MISMATCH,
                             "round %" PRIu64 ": the coordinator asks for chunk %" PRIu64 " again and again", number,
                             from);
        }
    }
    return MSFL_OK;
}

msfl_status client_upload(client_part_state *p, const msfl_packed *ctx, const msfl_update_layout *layout,
                          const msfl_update_input *input) {
    const msfl_announcement *a = msfl_site_round(p->site);
    const uint64_t number = a->info.number;
    outgoing o = {.p = p, .ctx = ctx, .n_values = a->info.n_values};
    msfl_status status = MSFL_OK;
    o.n_chunks = msfl_packed_chunks(ctx, o.n_values);
    o.n_encrypted = input == NULL ? o.n_chunks : 0;
    for (uint64_t j = 0; j < o.n_chunks; j++)
        o.total += chunk_frame(&o, j);
    o.total += upload_frame(&o);
    if (input != NULL) {
        status = msfl_update_encoder_new(layout, input, &o.encoder);
        o.slots = msfl_alloc(msfl_packed_chunk_slots(ctx, o.n_values, 0), sizeof *o.slots);
        if (status == MSFL_OK && o.slots == NULL) status = MSFL_NO_MEMORY;
        p->wanted = CLIENT_NOT_WANTED;
    }
    p->doing = "uploading";
    if (status == MSFL_OK) status = run(&o, number);
    if (status == MSFL_OK && p->site != NULL && msfl_site_phase_of(p->site) == MSFL_SITE_WAITING) {
        client_say(p->run, MSFL_EVENT_CLIENT_DONE, "%" PRIu64 " bytes sent and acknowledged", o.sent);
        client_reporter_say(p->run->hub->reporter, p->run->id, p->plan.round, "waiting", 1, "");
        p->doing = "waiting";
    }
    msfl_update_encoder_free(o.encoder);
    msfl_free(o.slots);
    msfl_buffer_clear(&o.frame);
    return status;
}
