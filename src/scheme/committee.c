/* The parties of a committee of all hospitals, in one process; sizes of what they send. */
#include "scheme/committee_private.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "round/sealed.h"

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
