#include "medsecurefl/roster.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"

#include <inttypes.h>
#include <stdlib.h>

enum { VERSION = 1, HEADER_BYTES = 40, IDENTITY_BYTES = 64, FIXED_BYTES = HEADER_BYTES + IDENTITY_BYTES };
#define MAGIC 0x4f52534du /* "MSRO" */

_Static_assert(sizeof(msfl_identity) == IDENTITY_BYTES, "identities are compared and copied as bytes");
_Static_assert(FIXED_BYTES + MSFL_SIGNATURE_BYTES == 168, "MSFL_ROSTER_BYTES_MAX");
_Static_assert((int)MSFL_SIGN_BYTES == (int)MSFL_SIGNATURE_BYTES, "signature");

struct msfl_roster {
    msfl_roster_info info;
    msfl_identity *parties;
    uint32_t members[MSFL_COMMITTEE_MAX];
    uint8_t hash[MSFL_HASH_BYTES];
};

const char *msfl_custody_name(msfl_custody custody) {
    switch (custody) {
    case MSFL_CUSTODY_COMMITTEE:
        return "committee";
    case MSFL_CUSTODY_AUTHORITY:
        return "authority";
    case MSFL_CUSTODY_COORDINATOR:
        return "coordinator";
    }
    return "unknown";
}

msfl_status msfl_custody_find(const char *name, msfl_custody *out) {
    for (int i = MSFL_CUSTODY_COMMITTEE; i <= MSFL_CUSTODY_COORDINATOR; i++) {
        *out = (msfl_custody)i;
        if (strcmp(msfl_custody_name(*out), name) == 0) return MSFL_OK;
    }
    *out = (msfl_custody)0;
    return msfl_fail(MSFL_ERR_USAGE, "custody is committee, authority or coordinator, not '%s'", name);
}

const char *msfl_delivery_name(msfl_delivery delivery) {
    switch (delivery) {
    case MSFL_DELIVERY_COORDINATOR:
        return "coordinator";
    case MSFL_DELIVERY_CLIENTS:
        return "clients";
    }
    return "unknown";
}

msfl_status msfl_delivery_find(const char *name, msfl_delivery *out) {
    for (int i = MSFL_DELIVERY_COORDINATOR; i <= MSFL_DELIVERY_CLIENTS; i++) {
        *out = (msfl_delivery)i;
        if (strcmp(msfl_delivery_name(*out), name) == 0) return MSFL_OK;
    }
    *out = (msfl_delivery)0;
    return msfl_fail(MSFL_ERR_USAGE, "sums are delivered to the coordinator or to the clients, not to '%s'", name);
}

const char *msfl_custody_trust(msfl_custody custody) {
    switch (custody) {
    case MSFL_CUSTODY_COMMITTEE:
        return "A committee holds shares of the one-time keys: fewer than its threshold, together with the "
               "coordinator, open nothing, and a coordinator that lies cannot open less than a certified cohort.";
    case MSFL_CUSTODY_AUTHORITY:
        return "One separate authority holds the one-time keys: it must not collude with the coordinator.";
    case MSFL_CUSTODY_COORDINATOR:
        return "INSECURE against a curious coordinator: it holds the one-time keys itself and can open every single "
               "update.";
    }
    return "unknown";
}

msfl_status msfl_identity_new(const uint8_t seed[32], msfl_identity *identity, msfl_identity_secret **secret) {
    *secret = NULL;
    msfl_status status = msfl_crypto_init();
    if (status != MSFL_OK) return status;
    msfl_identity_secret *s = msfl_secret_alloc(sizeof *s);
    if (s == NULL) return MSFL_ERR_MEMORY;
    uint8_t derived[MSFL_HASH_BYTES];
    msfl_hash h;
    msfl_hash_init(&h, "msfl.identity.sign.v1");
    msfl_hash_add(&h, seed, 32);
    msfl_hash_final(&h, derived);
    msfl_sign_keypair(derived, identity->sign, s->sign);
    msfl_hash_init(&h, "msfl.identity.box.v1");
    msfl_hash_add(&h, seed, 32);
    msfl_hash_final(&h, s->box);
    msfl_x25519_public(s->box, identity->box);
    memset(s->unused, 0, sizeof s->unused);
    msfl_wipe(derived, sizeof derived);
    msfl_wipe(&h, sizeof h);
    *secret = s;
    return MSFL_OK;
}

void msfl_identity_free(msfl_identity_secret *secret) {
    msfl_secret_free(secret);
}

void msfl_committee_default(uint32_t k, uint32_t *t, uint32_t *f) {
    *f = k == 0 ? 0 : (k - 1) / 3;
    *t = (k + *f) / 2 + 1;
}

msfl_status msfl_committee_check(uint32_t k, uint32_t t, uint32_t f) {
    if (k < 1 || k > MSFL_COMMITTEE_MAX || t > k || f > k) {
        return msfl_fail(MSFL_ERR_POLICY, "committee: %u of %u members with %u corrupt; use 1 <= t <= k <= %d", t, k, f,
                         MSFL_COMMITTEE_MAX);
    }
    uint32_t good_t, good_f;
    msfl_committee_default(k, &good_t, &good_f);
    if (2 * t <= k + f) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "committee: %u of %u members, of which %u are corrupt, could certify two cohorts in one round "
                         "(2 t = %u must exceed k + f = %u); use t = %u with f = %u",
                         t, k, f, 2 * t, k + f, good_t, good_f);
    }
    if (t < f + 1) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "committee: %u corrupt members could open updates by themselves (t = %u must be at least "
                         "f + 1); use t = %u with f = %u",
                         f, t, good_t, good_f);
    }
    return MSFL_OK;
}

static bool same_identity(const msfl_identity *a, const msfl_identity *b) {
    return memcmp(a, b, sizeof *a) == 0;
}

static msfl_status check_custody(const msfl_roster_info *r) {
    if (r->custody == MSFL_CUSTODY_COMMITTEE) {
        if (r->k >= 2 && r->t >= 2) return MSFL_OK;
        return msfl_fail(MSFL_ERR_POLICY,
                         "roster: a committee of %u with threshold %u is a single key holder; name it an authority",
                         r->k, r->t);
    }
    if (r->custody != MSFL_CUSTODY_AUTHORITY && r->custody != MSFL_CUSTODY_COORDINATOR) {
        return msfl_fail(MSFL_ERR_FORMAT, "roster: custody %d is unknown", (int)r->custody);
    }
    if (r->k != 1 || r->t != 1 || r->f != 0) {
        return msfl_fail(MSFL_ERR_POLICY, "roster: custody %s with %u of %u members; it has one",
                         msfl_custody_name(r->custody), r->t, r->k);
    }
    if (r->members[0] < r->n_clients) {
        return msfl_fail(MSFL_ERR_POLICY, "roster: custody %s with hospital %u as the only key holder",
                         msfl_custody_name(r->custody), r->members[0]);
    }
    bool is_coordinator = same_identity(&r->parties[r->members[0]], &r->coordinator);
    if (is_coordinator != (r->custody == MSFL_CUSTODY_COORDINATOR)) {
        return msfl_fail(MSFL_ERR_POLICY, "roster: custody %s, but the key holder %s the coordinator",
                         msfl_custody_name(r->custody), is_coordinator ? "is" : "is not");
    }
    return MSFL_OK;
}

static msfl_status check_numbers(const msfl_roster_info *r) {
    if (r->n_clients < 2 || r->n_clients > MSFL_CLIENTS_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "roster: %" PRIu32 " hospitals; use 2 to %d", r->n_clients, MSFL_CLIENTS_MAX);
    }
    msfl_status status = msfl_committee_check(r->k, r->t, r->f);
    if (status != MSFL_OK) return msfl_fail_in(status, "roster");
    if (r->n_parties < r->n_clients || r->n_parties > r->n_clients + r->k) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "roster: %" PRIu32 " parties for %" PRIu32 " hospitals and %" PRIu32 " members", r->n_parties,
                         r->n_clients, r->k);
    }
    uint32_t outside = 0;
    for (uint32_t i = 0; i < r->k; i++) {
        if (r->members[i] >= r->n_parties || (i > 0 && r->members[i] <= r->members[i - 1])) {
            return msfl_fail(MSFL_ERR_USAGE, "roster: member %" PRIu32 " is no party, or out of order", r->members[i]);
        }
        outside += r->members[i] >= r->n_clients;
    }
    if (outside != r->n_parties - r->n_clients) {
        return msfl_fail(MSFL_ERR_USAGE, "roster: a party that is neither hospital nor member");
    }
    return check_custody(r);
}

static int compare_keys(const void *a, const void *b) {
    return memcmp(*(const uint8_t *const *)a, *(const uint8_t *const *)b, 32);
}

/** One key, one party: a hospital that stood in the roster twice would count twice in a cohort. */
static msfl_status check_distinct(const msfl_roster_info *r) {
    size_t n = 0;
    const uint8_t **keys = msfl_alloc(2 * ((size_t)r->n_parties + 1), sizeof *keys);
    if (keys == NULL) return MSFL_NO_MEMORY;
    for (uint32_t i = 0; i < r->n_parties; i++) {
        keys[n++] = r->parties[i].sign;
        keys[n++] = r->parties[i].box;
    }
    if (r->custody != MSFL_CUSTODY_COORDINATOR) {
        keys[n++] = r->coordinator.sign;
        keys[n++] = r->coordinator.box;
    }
    qsort(keys, n, sizeof *keys, compare_keys);
    msfl_status status = MSFL_OK;
    for (size_t i = 1; i < n && status == MSFL_OK; i++) {
        if (memcmp(keys[i], keys[i - 1], 32) == 0) {
            status = msfl_fail(MSFL_ERR_POLICY, "roster: one key stands there twice; every party has its own");
        }
    }
    msfl_free((void *)keys);
    return status;
}

/** Shares are sealed for these keys: better refused here than in the middle of a round. */
static msfl_status check_members_keys(const msfl_roster_info *r) {
    static const uint8_t any[32] = {1};
    uint8_t shared[32];
    msfl_status status = msfl_crypto_init();
    for (uint32_t i = 0; i < r->k && status == MSFL_OK; i++) {
        status = msfl_x25519(any, r->parties[r->members[i]].box, shared);
        if (status != MSFL_OK) msfl_fail_in(status, "roster: member %" PRIu32, r->members[i]);
    }
    if (status == MSFL_OK) status = msfl_x25519(any, r->coordinator.box, shared);
    return status;
}

static msfl_status check(const msfl_roster_info *r) {
    msfl_status status = check_numbers(r);
    if (status == MSFL_OK) status = check_distinct(r);
    if (status == MSFL_OK) status = check_members_keys(r);
    return status;
}

size_t msfl_roster_bytes(const msfl_roster_info *info) {
    return FIXED_BYTES + (size_t)IDENTITY_BYTES * info->n_parties + 4 * (size_t)info->k + MSFL_SIGNATURE_BYTES;
}

static void hash_of(const uint8_t *bytes, size_t length, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.roster.v1");
    msfl_hash_add(&h, bytes, length);
    msfl_hash_final(&h, out);
}

msfl_status msfl_roster_sign(const msfl_roster_info *info, const msfl_identity_secret *consortium, uint8_t *out) {
    msfl_status status = check(info);
    if (status != MSFL_OK) return status;
    msfl_store32(out, MAGIC);
    msfl_store32(out + 4, VERSION);
    msfl_store64(out + 8, info->epoch);
    msfl_store32(out + 16, (uint32_t)info->custody);
    msfl_store32(out + 20, info->n_clients);
    msfl_store32(out + 24, info->n_parties);
    msfl_store32(out + 28, info->k);
    msfl_store32(out + 32, info->t);
    msfl_store32(out + 36, info->f);
    uint8_t *at = out + HEADER_BYTES, digest[MSFL_HASH_BYTES];
    memcpy(at, &info->coordinator, IDENTITY_BYTES);
    at += IDENTITY_BYTES;
    memcpy(at, info->parties, (size_t)IDENTITY_BYTES * info->n_parties);
    at += (size_t)IDENTITY_BYTES * info->n_parties;
    for (uint32_t i = 0; i < info->k; i++, at += 4)
        msfl_store32(at, info->members[i]);
    hash_of(out, (size_t)(at - out), digest);
    msfl_sign(consortium->sign, digest, sizeof digest, at);
    return MSFL_OK;
}

msfl_status msfl_roster_read(const uint8_t *bytes, size_t length, const uint8_t consortium[32], msfl_roster **out) {
    *out = NULL;
    msfl_reader r = msfl_reader_init(bytes, length);
    uint32_t magic = msfl_get32(&r), version = msfl_get32(&r);
    if (r.failed || magic != MAGIC) return msfl_fail(MSFL_ERR_FORMAT, "roster: not one");
    if (version != VERSION) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED, "roster: version %" PRIu32 "; this program reads %d", version, VERSION);
    }
    msfl_roster_info i = {.epoch = msfl_get64(&r), .custody = (msfl_custody)msfl_get32(&r)};
    i.n_clients = msfl_get32(&r);
    i.n_parties = msfl_get32(&r);
    i.k = msfl_get32(&r);
    i.t = msfl_get32(&r);
    i.f = msfl_get32(&r);
    if (r.failed || i.n_parties > MSFL_PARTIES_MAX || i.k > MSFL_COMMITTEE_MAX || length != msfl_roster_bytes(&i)) {
        return msfl_fail(MSFL_ERR_FORMAT, "roster: %zu bytes for %" PRIu32 " parties and %" PRIu32 " members", length,
                         i.n_parties, i.k);
    }
    uint8_t hash[MSFL_HASH_BYTES];
    hash_of(bytes, length - MSFL_SIGNATURE_BYTES, hash);
    if (!msfl_sign_verify(consortium, hash, sizeof hash, bytes + length - MSFL_SIGNATURE_BYTES)) {
        return msfl_fail(MSFL_ERR_CRYPTO, "roster: not signed by this consortium, or changed since");
    }
    msfl_roster *roster = msfl_alloc(1, sizeof *roster);
    if (roster == NULL) return MSFL_NO_MEMORY;
    msfl_status status = MSFL_NO_MEMORY;
    roster->parties = msfl_alloc(i.n_parties, sizeof *roster->parties);
    if (roster->parties == NULL) goto done;
    memcpy(&i.coordinator, msfl_get_bytes(&r, IDENTITY_BYTES), IDENTITY_BYTES);
    if (i.n_parties > 0) {
        memcpy(roster->parties, msfl_get_bytes(&r, (size_t)IDENTITY_BYTES * i.n_parties),
               (size_t)IDENTITY_BYTES * i.n_parties);
    }
    for (uint32_t j = 0; j < i.k; j++)
        roster->members[j] = msfl_get32(&r);
    i.parties = roster->parties;
    i.members = roster->members;
    roster->info = i;
    memcpy(roster->hash, hash, sizeof hash);
    status = check(&i);
done:
    if (status != MSFL_OK) {
        msfl_roster_free(roster);
        return status;
    }
    *out = roster;
    return MSFL_OK;
}

void msfl_roster_free(msfl_roster *roster) {
    if (roster == NULL) return;
    msfl_free(roster->parties);
    msfl_free(roster);
}

const msfl_roster_info *msfl_roster_borrow(const msfl_roster *roster) {
    return &roster->info;
}

const uint8_t *msfl_roster_hash(const msfl_roster *roster) {
    return roster->hash;
}
