/* A hospital in this process: encrypts its update, and opens the sum where that is delivered to the hospitals. */
#include "scheme/committee_private.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/mem.h"
#include "round/message.h"

#include <inttypes.h>
#include <string.h>

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

msfl_status msfl_committee_deliver(msfl_committee_session *s) {
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

/* --- a client --- */

msfl_status msfl_committee_site(msfl_committee_session *s, uint32_t client, msfl_site **out) {
    const msfl_committee *c = s->committee;
    *out = NULL;
    if (client >= c->n) {
        return msfl_fail(MSFL_ERR_USAGE, "client %" PRIu32 " is not in the roster of %" PRIu32, client, c->n);
    }
    pthread_mutex_lock(&s->lock);
    msfl_status status = msfl_committee_not_yet_in(s, client);
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
