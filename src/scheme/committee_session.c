/* One sum: the coordinator, what it keeps, the uploads, and the members that open it. */
#include "scheme/committee_private.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "round/message.h"

#include <inttypes.h>
#include <string.h>

/* --- the spool, under the session's lock --- */

static uint8_t **spooled(msfl_committee_session *s, uint32_t client, uint64_t chunk) {
    return &s->spool[(size_t)client * (s->n_chunks + 1) + chunk];
}

static msfl_status spool_put(void *self, uint64_t number, uint32_t client, uint64_t chunk, const uint8_t *bytes,
                             size_t length) {
    (void)number;
    uint8_t *copy = msfl_alloc(length, 1);
    if (copy == NULL) return MSFL_NO_MEMORY;
    memcpy(copy, bytes, length);
    uint8_t **at = spooled(self, client, chunk);
    msfl_free(*at);
    *at = copy;
    return MSFL_OK;
}

static msfl_status spool_get(void *self, uint64_t number, uint32_t client, uint64_t chunk, uint8_t *bytes,
                             size_t length) {
    const uint8_t *from = *spooled(self, client, chunk);
    if (from == NULL) {
        return msfl_fail(MSFL_ERR_MISSING, "round %" PRIu64 ": nothing is kept of client %" PRIu32, number, client);
    }
    memcpy(bytes, from, length);
    return MSFL_OK;
}

static void spool_clear(msfl_committee_session *s) {
    if (s->spool == NULL) return;
    for (size_t i = 0; i < (size_t)s->committee->n * (s->n_chunks + 1); i++)
        msfl_free(s->spool[i]);
    msfl_free((void *)s->spool);
    s->spool = NULL;
}

/* --- session --- */

void msfl_committee_session_free(msfl_committee_session *s) {
    if (s == NULL) return;
    for (uint32_t i = 0; i < s->committee->n; i++)
        msfl_site_free(s->sites[i]);
    msfl_coordinator_free(s->coordinator);
    spool_clear(s);
    msfl_free(s->announcement);
    pthread_mutex_destroy(&s->lock);
    msfl_free(s);
}

static msfl_status announce(msfl_committee_session *s, const msfl_session_info *info) {
    msfl_effects effects = {0};
    msfl_round_offer offer = {
        .min_cohort = s->min_cohort, .n_values = s->n_values, .deadline_ms = UINT64_MAX, .delivery = s->delivery};
    memcpy(offer.model, info->model, MSFL_HASH_BYTES);
    memcpy(offer.layout, info->layout, MSFL_HASH_BYTES);
    msfl_status status = msfl_coordinator_open(s->coordinator, 0, &offer, &effects);
    if (status == MSFL_OK) status = msfl_coordinator_poll(s->coordinator, 0, &effects);
    if (status == MSFL_OK) {
        msfl_effect *last = &effects.items[effects.n - 1];
        s->announcement = last->bytes;
        s->announcement_length = last->length;
        last->bytes = NULL;
    }
    msfl_effects_clear(&effects);
    return status;
}

msfl_status msfl_committee_session_new(const msfl_committee *committee, const msfl_packed *ctx,
                                       const msfl_session_info *info, uint32_t min_cohort, uint64_t n_values,
                                       msfl_delivery delivery, msfl_committee_session **out) {
    *out = NULL;
    msfl_committee_session *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_NO_MEMORY;
    if (pthread_mutex_init(&s->lock, NULL) != 0) {
        msfl_free(s);
        return msfl_fail(MSFL_ERR_SYSTEM, "committee: no lock to be had");
    }
    s->committee = committee;
    s->ctx = ctx;
    s->min_cohort = min_cohort;
    s->delivery = delivery;
    s->n_values = n_values;
    s->n_chunks = (uint32_t)msfl_packed_chunks(ctx, n_values);
    for (uint32_t j = 0; j < s->n_chunks; j++)
        s->ciphertext_bytes += msfl_packed_chunk_bytes(ctx, n_values, j);
    /* Machines count the rounds of a task themselves. Here every session has machines of its own, so its number goes
     * into the task. */
    msfl_hash h;
    msfl_hash_init(&h, "msfl.scheme.task.v1");
    msfl_hash_add(&h, info->task, MSFL_HASH_BYTES);
    msfl_hash_add_u64(&h, info->number);
    msfl_hash_final(&h, s->task);
    msfl_coordinator_config config = {
        .roster = committee->roster, .secret = committee->coordinator, .ctx = ctx, .spool = {s, spool_put, spool_get}};
    memcpy(config.task, s->task, MSFL_HASH_BYTES);
    msfl_status status = MSFL_NO_MEMORY;
    s->spool = msfl_alloc((size_t)committee->n * (s->n_chunks + 1), sizeof *s->spool);
    if (s->spool != NULL) status = msfl_coordinator_new(&config, &s->coordinator);
    if (status == MSFL_OK) status = announce(s, info);
    if (status != MSFL_OK) {
        msfl_committee_session_free(s);
        return status;
    }
    *out = s;
    return MSFL_OK;
}

/** Give the coordinator a message; `*state` is what it replies of the upload. Under the lock. */
static msfl_status tell(msfl_committee_session *s, uint32_t client, const msfl_buffer *message, uint32_t *state) {
    msfl_effects effects = {0};
    *state = 0;
    msfl_status status = message->status;
    if (status == MSFL_OK) {
        status = msfl_coordinator_receive(s->coordinator, 0, client, message->bytes, message->length, &effects);
    }
    for (size_t i = 0; i < effects.n; i++) {
        if (effects.items[i].kind == MSFL_EFFECT_SEND)
            *state = msfl_load32(effects.items[i].bytes + MSFL_FRAME_BYTES + 8);
    }
    msfl_effects_clear(&effects);
    return status;
}

static msfl_status take(msfl_committee_session *s, uint32_t client, const uint8_t *bytes, const uint8_t *trailer,
                        size_t trailer_length) {
    uint8_t id[MSFL_HASH_BYTES];
    uint32_t state = 0;
    memcpy(id, s->announcement + 16, MSFL_HASH_BYTES);
    msfl_buffer message = {0};
    msfl_status status = MSFL_OK;
    /* Twice where an earlier upload of this client left off half way: the coordinator then starts it anew. */
    for (int attempt = 0; attempt < 2 && status == MSFL_OK && state != 1; attempt++) {
        const uint8_t *at = bytes;
        for (uint32_t j = 0; j < s->n_chunks && status == MSFL_OK; j++) {
            const size_t length = msfl_packed_chunk_bytes(s->ctx, s->n_values, j);
            message.length = 0;
            msfl_frame_put(&message, MSFL_MSG_CHUNK, client, id);
            msfl_put64(&message, j);
            msfl_put_bytes(&message, at, length);
            status = tell(s, client, &message, &state);
            at += length;
        }
        if (status != MSFL_OK) break;
        message.length = 0;
        msfl_frame_put(&message, MSFL_MSG_UPLOAD, client, id);
        msfl_put_bytes(&message, trailer, trailer_length);
        status = tell(s, client, &message, &state);
    }
    if (status == MSFL_OK && state != 1) {
        status = msfl_fail(MSFL_ERR_CRYPTO, "the ciphertext is not the one that its client signed; send it again");
    }
    msfl_buffer_clear(&message);
    return status;
}

msfl_status msfl_committee_not_yet_in(const msfl_committee_session *s, uint32_t client) {
    size_t n;
    const uint32_t *in = msfl_coordinator_cohort(s->coordinator, &n);
    for (size_t i = 0; i < n; i++) {
        if (in[i] == client) return msfl_fail(MSFL_ERR_EXISTS, "client %" PRIu32 ": its update is in already", client);
    }
    return MSFL_OK;
}

msfl_status msfl_committee_upload(msfl_committee_session *s, uint32_t client, const uint8_t *bytes, uint64_t length,
                                  const uint8_t *trailer, size_t trailer_length) {
    if (client >= s->committee->n) {
        return msfl_fail(MSFL_ERR_POLICY, "client %" PRIu32 ": not in the roster of %" PRIu32, client, s->committee->n);
    }
    if (length != s->ciphertext_bytes) {
        return msfl_fail(MSFL_ERR_FORMAT, "client %" PRIu32 ": a ciphertext of %" PRIu64 " bytes instead of %" PRIu64,
                         client, length, s->ciphertext_bytes);
    }
    pthread_mutex_lock(&s->lock);
    msfl_status status = MSFL_OK;
    if (msfl_coordinator_phase(s->coordinator) != MSFL_PHASE_COLLECTING) {
        status = msfl_fail(MSFL_ERR_POLICY, "client %" PRIu32 ": the cohort is closed", client);
    }
    if (status == MSFL_OK) status = msfl_committee_not_yet_in(s, client);
    if (status == MSFL_OK) status = take(s, client, bytes, trailer, trailer_length);
    pthread_mutex_unlock(&s->lock);
    return status;
}

/** Deliver what the coordinator asks members for, and their replies, until it asks for nothing more. */
static msfl_status ask_members(msfl_committee_session *s, msfl_member *const *members, uint64_t now) {
    msfl_effects asked = {0};
    msfl_status status = msfl_coordinator_tick(s->coordinator, now, &asked);
    for (size_t i = 0; i < asked.n && status == MSFL_OK; i++) {
        const msfl_effect *e = &asked.items[i];
        if (e->kind != MSFL_EFFECT_SEND) continue;
        if (msfl_coordinator_phase(s->coordinator) == MSFL_PHASE_OPENED) break; /* t answers were enough */
        if (e->to >= s->committee->n) continue;
        msfl_effects replies = {0}, rest = {0};
        status = msfl_member_receive(members[e->to], MSFL_COORDINATOR, e->bytes, e->length, &replies);
        for (size_t k = 0; k < replies.n && status == MSFL_OK; k++) {
            if (replies.items[k].kind != MSFL_EFFECT_SEND) continue; /* these machines end with the process */
            status = msfl_coordinator_receive(s->coordinator, now, e->to, replies.items[k].bytes,
                                              replies.items[k].length, &rest);
        }
        msfl_effects_clear(&replies);
        msfl_effects_clear(&rest);
    }
    msfl_effects_clear(&asked);
    return status;
}

/** Once the members have answered: the sum can be opened, by whom it is for. */
static msfl_status open_sum(msfl_committee_session *s) {
    const msfl_phase wanted = s->delivery == MSFL_DELIVERY_CLIENTS ? MSFL_PHASE_DELIVERING : MSFL_PHASE_OPENED;
    if (msfl_coordinator_phase(s->coordinator) != wanted) {
        return msfl_fail(MSFL_ERR_CRYPTO, "the committee's answers do not open the sum");
    }
    size_t n;
    (void)msfl_coordinator_cohort(s->coordinator, &n);
    msfl_status status = s->delivery == MSFL_DELIVERY_CLIENTS ? msfl_committee_deliver(s) : MSFL_OK;
    if (status == MSFL_OK) s->cohort = (uint32_t)n;
    return status;
}

msfl_status msfl_committee_close(msfl_committee_session *s) {
    const msfl_committee *c = s->committee;
    msfl_member *members[MSFL_COMMITTEE_MAX] = {NULL};
    msfl_effects effects = {0};
    pthread_mutex_lock(&s->lock);
    msfl_status status = msfl_coordinator_close(s->coordinator, 0, &effects);
    msfl_effects_clear(&effects);
    for (uint32_t i = 0; i < c->n && status == MSFL_OK; i++) {
        msfl_member_config config = {
            .roster = c->roster, .secret = c->secret[i], .party = i, .min_cohort = s->min_cohort};
        memcpy(config.task, s->task, MSFL_HASH_BYTES);
        status = msfl_member_new(&config, &members[i]);
    }
    for (uint64_t pass = 0; pass < 2 && status == MSFL_OK; pass++) /* sign, answer */
        status = ask_members(s, members, pass * 10000);
    if (status == MSFL_OK) status = open_sum(s);
    if (status == MSFL_OK) spool_clear(s); /* folded */
    for (uint32_t i = 0; i < c->n; i++)
        msfl_member_free(members[i]);
    pthread_mutex_unlock(&s->lock);
    return status;
}

uint32_t msfl_committee_cohort(const msfl_committee_session *s) {
    return s->cohort;
}

msfl_status msfl_committee_open(const msfl_committee_session *s, uint64_t j, uint64_t *totals) {
    /* The sum was folded for the close, so this reads only, from as many threads as like. */
    if (s->delivery == MSFL_DELIVERY_CLIENTS) return msfl_site_total(s->sites[0], j, totals);
    return msfl_coordinator_total(s->coordinator, j, totals);
}
