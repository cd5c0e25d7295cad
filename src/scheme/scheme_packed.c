/* packed: one-time keys and exact sums, through the round protocol. With a committee by its machines (committee.c);
 * with one key holder, an authority or the coordinator itself, by its short form for one process. */
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "medsecurefl/round.h"
#include "scheme/committee.h"
#include "scheme/table.h"

#include <stdio.h>
#include <string.h>

typedef struct setup {
    msfl_params params;
    msfl_packed *ctx;
    uint32_t min_cohort;
    uint64_t n_values;
    uint32_t n_clients;
    bool committee;
    msfl_delivery delivery;
} setup;

static void setup_free(void *inner) {
    setup *s = inner;
    if (s == NULL) return;
    msfl_packed_free(s->ctx);
    msfl_free(s);
}

static msfl_status setup_new(const msfl_scheme_request *r, void **out) {
    if (r->min_cohort < 2) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "a minimum cohort of %u: 2 or more are possible, since the sum of one would be that one",
                         r->min_cohort);
    }
    const msfl_params_request request = {.n_clients = r->n_clients,
                                         .value_bits = r->value_bits,
                                         .n_values = r->n_values,
                                         .security_bits = r->security_bits,
                                         .ring_degree = r->ring_degree,
                                         .n_shares = r->custody == MSFL_CUSTODY_COMMITTEE ? r->n_clients : 1};
    if (r->custody == MSFL_CUSTODY_COMMITTEE && (r->n_clients < 2 || r->n_clients > MSFL_COMMITTEE_MAX)) {
        return msfl_fail(MSFL_ERR_USAGE, "a committee of all %u hospitals: 2 to %d are possible; name an authority",
                         r->n_clients, MSFL_COMMITTEE_MAX);
    }
    if (r->delivery == MSFL_DELIVERY_CLIENTS && r->custody != MSFL_CUSTODY_COMMITTEE) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "delivery to the clients with custody '%s': in one process only a committee of the hospitals "
                         "can keep the sum from the coordinator",
                         msfl_custody_name(r->custody));
    }
    setup *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_NO_MEMORY;
    s->delivery = r->delivery;
    s->n_clients = r->n_clients;
    s->committee = r->custody == MSFL_CUSTODY_COMMITTEE;
    s->min_cohort = r->min_cohort;
    s->n_values = r->n_values;
    msfl_status status = msfl_params_plan(&request, &s->params);
    if (status == MSFL_OK) status = msfl_packed_new(&s->params, &s->ctx);
    if (status != MSFL_OK) {
        setup_free(s);
        return status;
    }
    *out = s;
    return MSFL_OK;
}

static void facts(const void *inner, msfl_scheme_facts *out) {
    const setup *s = inner;
    msfl_params_facts f;
    msfl_params_describe(&s->params, s->n_values, &f);
    *out = (msfl_scheme_facts){.security_bits = s->params.security_bits,
                               .log2_failure = f.log2_failure,
                               .trailer_bytes = MSFL_HASH_BYTES + msfl_round_bundle_bytes(&s->params),
                               .setup_bytes = MSFL_PUBLIC_KEY_BYTES};
    if (s->committee) {
        out->trailer_bytes = msfl_committee_trailer_bytes(&s->params, s->n_clients);
        out->setup_bytes = msfl_committee_setup_bytes(s->n_clients);
        if (s->delivery == MSFL_DELIVERY_CLIENTS) {
            out->delivery_bytes = msfl_committee_delivery_bytes(&s->params, s->n_clients);
        }
    }
    snprintf(out->parameters, sizeof out->parameters,
             "N = %u, %u primes, log2 q = %.1f of %.0f, %u values of %u bits a coefficient", s->params.ring_degree,
             s->params.n_primes, f.log2_q, f.log2_q_max, s->params.slots_per_coefficient, s->params.slot_bits);
}

static const char *kernel(const void *inner) {
    const setup *s = inner;
    return msfl_packed_kernel(s->ctx);
}

static uint64_t chunks(const void *inner) {
    const setup *s = inner;
    return msfl_packed_chunks(s->ctx, s->n_values);
}

static uint32_t chunk_values(const void *inner, uint64_t j) {
    const setup *s = inner;
    return msfl_packed_chunk_slots(s->ctx, s->n_values, j);
}

static size_t chunk_bytes(const void *inner, uint64_t j) {
    const setup *s = inner;
    return msfl_packed_chunk_bytes(s->ctx, s->n_values, j);
}

typedef struct keys {
    msfl_committee *committee; /* this */
    msfl_authority *authority; /* or this */
} keys;

static void keys_free(void *inner) {
    keys *k = inner;
    if (k == NULL) return;
    msfl_committee_free(k->committee);
    msfl_authority_free(k->authority);
    msfl_free(k);
}

static msfl_status keys_new(const void *inner, void **out) {
    const setup *s = inner;
    *out = NULL;
    keys *k = msfl_alloc(1, sizeof *k);
    if (k == NULL) return MSFL_NO_MEMORY;
    msfl_status status =
        s->committee ? msfl_committee_new(s->n_clients, &k->committee) : msfl_authority_new(&k->authority);
    if (status != MSFL_OK) {
        keys_free(k);
        return status;
    }
    *out = k;
    return MSFL_OK;
}

/* --- session --- */

typedef struct session {
    const setup *setup;
    msfl_committee_session *committee; /* all that follows is for one key holder */
    msfl_authority *authority;
    msfl_round_info info;
    msfl_round_coordinator *coordinator;
    size_t cohort; /* after the close */
} session;

typedef struct sender {
    session *round;
    msfl_site *site; /* with a committee */
    msfl_round_client *client;
} sender;

static void session_free(void *inner) {
    session *s = inner;
    if (s == NULL) return;
    msfl_committee_session_free(s->committee);
    msfl_round_coordinator_free(s->coordinator);
    msfl_free(s);
}

static msfl_status session_new(const msfl_setup *outer, msfl_keys *made, const msfl_session_info *info, void **out) {
    const setup *p = outer->inner;
    const keys *k = made->inner;
    session *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_NO_MEMORY;
    s->setup = p;
    if (p->committee) {
        msfl_status status = msfl_committee_session_new(k->committee, p->ctx, info, p->min_cohort, p->n_values,
                                                        p->delivery, &s->committee);
        if (status != MSFL_OK) {
            session_free(s);
            return status;
        }
        *out = s;
        return MSFL_OK;
    }
    s->authority = k->authority;
    s->info = (msfl_round_info){.number = info->number,
                                .n_clients = p->params.n_clients,
                                .min_cohort = p->min_cohort,
                                .n_values = p->n_values,
                                .params = p->params};
    memcpy(s->info.task, info->task, MSFL_HASH_BYTES);
    memcpy(s->info.model, info->model, MSFL_HASH_BYTES);
    memcpy(s->info.layout, info->layout, MSFL_HASH_BYTES);
    msfl_authority_public_key(s->authority, s->info.authority);
    msfl_status status = msfl_round_coordinator_new(p->ctx, &s->info, &s->coordinator);
    if (status != MSFL_OK) {
        session_free(s);
        return status;
    }
    *out = s;
    return MSFL_OK;
}

static void sender_free(void *inner) {
    sender *s = inner;
    if (s == NULL) return;
    if (s->site != NULL) msfl_committee_site_done(s->round->committee, s->site);
    msfl_round_client_free(s->client);
    msfl_free(s);
}

static msfl_status sender_new(void *inner, uint32_t client, void **out) {
    session *round = inner;
    sender *s = msfl_alloc(1, sizeof *s);
    if (s == NULL) return MSFL_NO_MEMORY;
    s->round = round;
    msfl_status status = round->committee != NULL
                             ? msfl_committee_site(round->committee, client, &s->site)
                             : msfl_round_client_new(round->setup->ctx, &round->info, client, &s->client);
    if (status != MSFL_OK) {
        sender_free(s);
        return status;
    }
    *out = s;
    return MSFL_OK;
}

static msfl_status encrypt(void *inner, uint64_t j, const uint32_t *values, uint8_t *out) {
    sender *s = inner;
    if (s->site != NULL) return msfl_committee_encrypt(s->site, j, values, out);
    return msfl_round_client_encrypt(s->client, j, values, out);
}

/* Trailer: hash of the ciphertext, then the sealed key. */
static msfl_status finish(void *inner, uint8_t *trailer) {
    sender *s = inner;
    if (s->site != NULL) return msfl_committee_finish(s->site, trailer);
    return msfl_round_client_finish(s->client, trailer, trailer + MSFL_HASH_BYTES);
}

static msfl_status upload(void *inner, uint32_t client, const uint8_t *bytes, uint64_t length, const uint8_t *trailer,
                          size_t trailer_length) {
    session *s = inner;
    if (s->committee != NULL) {
        return msfl_committee_upload(s->committee, client, bytes, length, trailer, trailer_length);
    }
    return msfl_round_coordinator_upload(s->coordinator, client, bytes, length, trailer, trailer + MSFL_HASH_BYTES,
                                         trailer_length - MSFL_HASH_BYTES);
}

static msfl_status close_session(void *inner) {
    session *s = inner;
    if (s->committee != NULL) return msfl_committee_close(s->committee);
    msfl_round_certificate u;
    size_t n = s->info.params.ring_degree;
    int32_t *key_sum = msfl_secret_alloc(n * sizeof *key_sum);
    if (key_sum == NULL) return MSFL_NO_MEMORY;
    msfl_status status = msfl_round_coordinator_certify(s->coordinator, &u);
    if (status == MSFL_OK) {
        status = msfl_authority_answer(s->authority, &s->info, u.clients, u.bundles, u.ciphertext_hashes, u.n, key_sum);
    }
    if (status == MSFL_OK) status = msfl_round_coordinator_release(s->coordinator, key_sum);
    if (status == MSFL_OK) s->cohort = u.n;
    msfl_secret_free(key_sum);
    return status;
}

static uint32_t cohort(const void *inner) {
    const session *s = inner;
    return s->committee != NULL ? msfl_committee_cohort(s->committee) : (uint32_t)s->cohort;
}

static msfl_status open_chunk(const void *inner, uint64_t j, uint64_t *totals) {
    const session *s = inner;
    if (s->committee != NULL) return msfl_committee_open(s->committee, j, totals);
    return msfl_round_coordinator_open(s->coordinator, j, totals);
}

static const msfl_session_ops session_ops = {
    .session_new = session_new,
    .session_free = session_free,
    .sender_new = sender_new,
    .sender_free = sender_free,
    .encrypt = encrypt,
    .finish = finish,
    .upload = upload,
    .close = close_session,
    .cohort = cohort,
    .open = open_chunk,
};

const msfl_scheme msfl_scheme_packed = {
    .name = "packed",
    .summary = "key-additive encryption: a fresh key for every round, one polynomial per ciphertext",
    .trust = "Coordinator and key holder must not collude; no key opens a single hospital's update, and none outlives "
             "the round.",
    .traits = MSFL_SCHEME_ENCRYPTS | MSFL_SCHEME_ONE_TIME,
    .setup_new = setup_new,
    .setup_free = setup_free,
    .facts = facts,
    .kernel = kernel,
    .chunks = chunks,
    .chunk_values = chunk_values,
    .chunk_bytes = chunk_bytes,
    .keys_new = keys_new,
    .keys_free = keys_free,
    .session = &session_ops,
};
