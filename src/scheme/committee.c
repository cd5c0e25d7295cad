#include "scheme/committee.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "round/sealed.h"

#include <inttypes.h>
#include <pthread.h>

struct msfl_committee {
    uint32_t n;
    msfl_identity id[MSFL_COMMITTEE_MAX], coordinator_id;
    msfl_identity_secret *secret[MSFL_COMMITTEE_MAX], *coordinator;
    msfl_roster *roster;
};

struct msfl_committee_session {
    const msfl_committee *committee;
    const msfl_packed *ctx;
    uint8_t task[MSFL_HASH_BYTES];
    uint32_t min_cohort, n_chunks;
    msfl_delivery delivery;
    uint64_t n_values, ciphertext_bytes;
    pthread_mutex_t lock;
    msfl_coordinator *coordinator;
    uint8_t *announcement; /* the message */
    size_t announcement_length;
    bool started[MSFL_COMMITTEE_MAX];
    uint8_t **spool;                      /* n clients x (n_chunks and one for the bundles) */
    uint32_t cohort;                      /* once closed */
    msfl_site *sites[MSFL_COMMITTEE_MAX]; /* delivery to clients: they open the sum */
};

void msfl_committee_free(msfl_committee *c) {
    if (c == NULL) return;
    for (uint32_t i = 0; i < c->n; i++)
        msfl_identity_free(c->secret[i]);
    msfl_identity_free(c->coordinator);
    msfl_roster_free(c->roster);
    msfl_free(c);
}

static msfl_status fresh_identity(msfl_identity *id, msfl_identity_secret **secret) {
    uint8_t seed[32];
    msfl_random_bytes(seed, sizeof seed);
    msfl_status status = msfl_identity_new(seed, id, secret);
    msfl_wipe(seed, sizeof seed);
    return status;
}

msfl_status msfl_committee_new(uint32_t n_clients, msfl_committee **out) {
    *out = NULL;
    if (n_clients < 2 || n_clients > MSFL_COMMITTEE_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "a committee of %u: 2 to %d hospitals can be one; use another custody",
                         n_clients, MSFL_COMMITTEE_MAX);
    }
    msfl_status status = msfl_crypto_init();
    if (status != MSFL_OK) return status;
    msfl_committee *c = msfl_alloc(1, sizeof *c);
    if (c == NULL) return MSFL_NO_MEMORY;
    msfl_identity consortium_id;
    msfl_identity_secret *consortium = NULL;
    uint8_t *bytes = NULL;
    uint32_t members[MSFL_COMMITTEE_MAX], t, f;
    msfl_committee_default(n_clients, &t, &f);
    c->n = n_clients;
    status = fresh_identity(&consortium_id, &consortium);
    if (status == MSFL_OK) status = fresh_identity(&c->coordinator_id, &c->coordinator);
    for (uint32_t i = 0; i < n_clients && status == MSFL_OK; i++) {
        members[i] = i;
        status = fresh_identity(&c->id[i], &c->secret[i]);
    }
    if (status != MSFL_OK) goto done;
    const msfl_roster_info info = {
        1, MSFL_CUSTODY_COMMITTEE, c->coordinator_id, c->id, n_clients, n_clients, members, n_clients, t, f};
    bytes = msfl_alloc(msfl_roster_bytes(&info), 1);
    status = bytes == NULL ? MSFL_NO_MEMORY : msfl_roster_sign(&info, consortium, bytes);
    if (status == MSFL_OK) {
        status = msfl_roster_read(bytes, msfl_roster_bytes(&info), consortium_id.sign, &c->roster);
    }
done:
    msfl_identity_free(consortium);
    msfl_free(bytes);
    if (status != MSFL_OK) {
        msfl_committee_free(c);
        return status;
    }
    *out = c;
    return MSFL_OK;
}

size_t msfl_committee_trailer_bytes(const msfl_params *params, uint32_t n_clients) {
    return msfl_statement_bytes(n_clients) + n_clients * msfl_share_bytes(params->ring_degree);
}

size_t msfl_committee_delivery_bytes(const msfl_params *params, uint32_t n_clients) {
    return MSFL_FRAME_BYTES + MSFL_ANNOUNCE_BODY + 3 * 4 + MSFL_HASH_BYTES + MSFL_SIGN_BYTES +
           n_clients * (msfl_statement_bytes(n_clients) + 4 + MSFL_SIGN_BYTES + 4 + MSFL_SEALED_KEPT +
                        msfl_sealed_sum_bytes(params->ring_degree) + MSFL_WRAP_BYTES);
}

size_t msfl_committee_setup_bytes(uint32_t n_clients) {
    const msfl_roster_info info = {.n_parties = n_clients, .k = n_clients};
    return msfl_roster_bytes(&info) + MSFL_FRAME_BYTES + MSFL_ANNOUNCE_BODY;
}

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

/** A site's own copy: its upload is taken at once, so nothing is ever sent again. */
static msfl_status no_put(void *self, uint64_t number, uint32_t client, uint64_t chunk, const uint8_t *bytes,
                          size_t length) {
    (void)self, (void)number, (void)client, (void)chunk, (void)bytes, (void)length;
    return MSFL_OK;
}

static msfl_status no_get(void *self, uint64_t number, uint32_t client, uint64_t chunk, uint8_t *bytes, size_t length) {
    (void)self, (void)number, (void)client, (void)chunk, (void)bytes, (void)length;
    return msfl_fail(MSFL_ERR_MISSING, "a site in this process keeps no ciphertext");
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

/** ERR_EXISTS if this client's upload is complete. Under the lock. */
static msfl_status not_yet_in(const msfl_committee_session *s, uint32_t client) {
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
    if (status == MSFL_OK) status = not_yet_in(s, client);
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

/* --- delivery to the clients --- */

static msfl_status new_site(msfl_committee_session *s, uint32_t client, msfl_site **out) {
    msfl_site_config config = {.roster = s->committee->roster,
                               .secret = s->committee->secret[client],
                               .client = client,
                               .min_cohort = s->min_cohort,
                               .spool = {NULL, no_put, no_get},
                               .delivery = s->delivery};
    memcpy(config.task, s->task, MSFL_HASH_BYTES);
    return msfl_site_new(&config, out);
}

/** The client opens the sum, and tells the coordinator that it did. */
static msfl_status deliver(msfl_committee_session *s, uint32_t client, uint8_t *chunk) {
    msfl_effects effects = {0}, reports = {0}, nothing = {0};
    msfl_status status = MSFL_OK;
    /* One that took no part, or did not come to the end, opens the sum like the others. */
    if (s->sites[client] == NULL) status = new_site(s, client, &s->sites[client]);
    msfl_site *site = s->sites[client];
    if (status == MSFL_OK) status = msfl_coordinator_poll(s->coordinator, client, &effects);
    for (size_t i = 0; i < effects.n && status == MSFL_OK; i++) {
        const msfl_effect *e = &effects.items[i];
        if (e->kind == MSFL_EFFECT_SEND && msfl_load32(e->bytes + 8) == MSFL_MSG_DELIVER)
            status = msfl_site_receive(site, 0, e->bytes, e->length, &nothing);
    }
    for (uint32_t j = 0; j < s->n_chunks && status == MSFL_OK; j++) {
        status = msfl_coordinator_folded(s->coordinator, j, chunk);
        if (status == MSFL_OK) {
            status = msfl_site_folded(site, s->ctx, j, chunk, msfl_packed_chunk_bytes(s->ctx, s->n_values, j));
        }
    }
    if (status == MSFL_OK) status = msfl_site_report(site, NULL, &reports);
    for (size_t i = 0; i < reports.n && status == MSFL_OK; i++) {
        const msfl_effect *e = &reports.items[i];
        if (e->kind != MSFL_EFFECT_SEND) continue;
        status = msfl_coordinator_receive(s->coordinator, 0, client, e->bytes, e->length, &nothing);
    }
    msfl_effects_clear(&effects);
    msfl_effects_clear(&reports);
    msfl_effects_clear(&nothing);
    return status;
}

/** All clients open the sum, and must have opened the same. The first one's is kept, for msfl_committee_open. */
static msfl_status deliver_all(msfl_committee_session *s) {
    uint8_t result[MSFL_HASH_BYTES];
    uint32_t n_agree;
    msfl_effects effects = {0};
    uint8_t *chunk = msfl_alloc(msfl_packed_chunk_bytes(s->ctx, s->n_values, 0), 1);
    msfl_status status = chunk == NULL ? MSFL_NO_MEMORY : MSFL_OK;
    for (uint32_t i = 0; i < s->committee->n && status == MSFL_OK; i++) {
        status = deliver(s, i, chunk);
        if (i > 0) {
            msfl_site_free(s->sites[i]);
            s->sites[i] = NULL;
        }
    }
    if (status == MSFL_OK &&
        (!msfl_coordinator_agreed(s->coordinator, result, &n_agree) || n_agree != s->committee->n)) {
        status = msfl_fail(MSFL_ERR_CRYPTO, "the hospitals opened different sums");
    }
    if (status == MSFL_OK) status = msfl_coordinator_finish(s->coordinator, result, &effects);
    msfl_effects_clear(&effects);
    msfl_free(chunk);
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
    msfl_status status = s->delivery == MSFL_DELIVERY_CLIENTS ? deliver_all(s) : MSFL_OK;
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

/* --- a client --- */

msfl_status msfl_committee_site(msfl_committee_session *s, uint32_t client, msfl_site **out) {
    const msfl_committee *c = s->committee;
    *out = NULL;
    if (client >= c->n) {
        return msfl_fail(MSFL_ERR_USAGE, "client %" PRIu32 " is not in the roster of %" PRIu32, client, c->n);
    }
    pthread_mutex_lock(&s->lock);
    msfl_status status = not_yet_in(s, client);
    if (status == MSFL_OK && s->started[client]) {
        status = msfl_fail(MSFL_ERR_POLICY, "client %" PRIu32 " has used its key for this sum; take another session",
                           client);
    }
    if (status == MSFL_OK) s->started[client] = true;
    pthread_mutex_unlock(&s->lock);
    if (status != MSFL_OK) return status;
    msfl_effects effects = {0};
    msfl_site *site = NULL;
    status = new_site(s, client, &site);
    if (status == MSFL_OK) status = msfl_site_receive(site, 0, s->announcement, s->announcement_length, &effects);
    if (status == MSFL_OK) {
        const msfl_announcement *a = msfl_site_round(site);
        uint8_t model[MSFL_HASH_BYTES], layout[MSFL_HASH_BYTES];
        memcpy(model, a->info.model, sizeof model);
        memcpy(layout, a->info.layout, sizeof layout);
        status = msfl_site_start(site, s->ctx, model, layout, &effects);
    }
    msfl_effects_clear(&effects);
    if (status != MSFL_OK) {
        msfl_site_free(site);
        pthread_mutex_lock(&s->lock);
        s->started[client] = false; /* no key was used */
        pthread_mutex_unlock(&s->lock);
        return status;
    }
    if (s->delivery == MSFL_DELIVERY_CLIENTS) {
        pthread_mutex_lock(&s->lock);
        s->sites[client] = site;
        pthread_mutex_unlock(&s->lock);
    }
    *out = site;
    return MSFL_OK;
}

void msfl_committee_site_done(msfl_committee_session *s, msfl_site *site) {
    pthread_mutex_lock(&s->lock);
    for (uint32_t i = 0; i < s->committee->n; i++) {
        if (s->sites[i] != site || site == NULL) continue;
        if (msfl_site_phase_of(site) == MSFL_SITE_UPLOADING)
            site = NULL; /* its upload is sealed: it will open the sum */
        if (site != NULL) s->sites[i] = NULL;
        break;
    }
    pthread_mutex_unlock(&s->lock);
    msfl_site_free(site);
}

/** The body of the one message among the effects, without its first `skip` bytes. */
static void copy_body(const msfl_effects *effects, size_t skip, uint8_t *out) {
    for (size_t i = 0; i < effects->n; i++) {
        const msfl_effect *e = &effects->items[i];
        if (e->kind == MSFL_EFFECT_SEND)
            memcpy(out, e->bytes + MSFL_FRAME_BYTES + skip, e->length - MSFL_FRAME_BYTES - skip);
    }
}

msfl_status msfl_committee_encrypt(msfl_site *site, uint64_t j, const uint32_t *values, uint8_t *out) {
    msfl_effects effects = {0};
    msfl_status status = msfl_site_encrypt(site, j, values, &effects);
    if (status == MSFL_OK) copy_body(&effects, 8, out);
    msfl_effects_clear(&effects);
    return status;
}

msfl_status msfl_committee_finish(msfl_site *site, uint8_t *trailer) {
    msfl_effects effects = {0};
    msfl_status status = msfl_site_finish(site, &effects);
    if (status == MSFL_OK) copy_body(&effects, 0, trailer);
    msfl_effects_clear(&effects);
    return status;
}
