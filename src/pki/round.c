#include "pki/round.h"

#include "base/error.h"
#include "base/mem.h"

#include <stdlib.h>

static bool takes_part(const pki_party *p) {
    return p->role == PKI_HOSPITAL && p->n_certificates > 0;
}

static bool is_hospital(const pki_roster *roster, const char *name) {
    const pki_party *p = pki_roster_find(roster, name);
    return p != NULL && p->role == PKI_HOSPITAL;
}

uint32_t pki_round_hospitals(const pki_roster *roster) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < roster->n_parties; i++)
        n += takes_part(&roster->parties[i]);
    return n;
}

static const pki_party *party_of(const pki_roster *roster, uint32_t number) {
    if (number == MSFL_COORDINATOR) return pki_roster_coordinator(roster);
    uint32_t n = 0;
    for (uint32_t i = 0; i < roster->n_parties; i++)
        if (takes_part(&roster->parties[i]) && n++ == number) return &roster->parties[i];
    for (uint32_t i = 0; i < roster->n_members; i++)
        if (!is_hospital(roster, roster->members[i]) && n++ == number)
            return pki_roster_find(roster, roster->members[i]);
    return NULL;
}

const char *pki_round_name(const pki_roster *roster, uint32_t number) {
    const pki_party *p = party_of(roster, number);
    return p == NULL ? NULL : p->name;
}

/* The number among hospitals and members; false if it has none. */
static bool number_of(const pki_roster *roster, const char *name, uint32_t *number) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < roster->n_parties; i++) {
        if (!takes_part(&roster->parties[i])) continue;
        *number = n++;
        if (strcmp(roster->parties[i].name, name) == 0) return true;
    }
    for (uint32_t i = 0; i < roster->n_members; i++) {
        if (is_hospital(roster, roster->members[i])) continue;
        *number = n++;
        if (strcmp(roster->members[i], name) == 0) return true;
    }
    *number = 0;
    return false;
}

msfl_status pki_round_party(const pki_roster *roster, const char *name, uint32_t *number) {
    *number = 0;
    const pki_party *p = pki_roster_find(roster, name), *coordinator = pki_roster_coordinator(roster);
    if (p != NULL && p == coordinator && p->n_certificates > 0) {
        *number = MSFL_COORDINATOR; /* also where it holds the keys: that is a second number of its own */
        return MSFL_OK;
    }
    if (p != NULL && number_of(roster, name, number)) return MSFL_OK;
    return msfl_fail(MSFL_ERR_MISSING, "'%.*s' has no part in rounds under the roster of epoch %u", PKI_NAME_MAX, name,
                     roster->epoch);
}

/* "b, c and 3 more" */
static char *awaited_text(const pki_roster *r) {
    enum { NAMED_MAX = 8 };
    char *text = msfl_strdup("");
    for (uint32_t i = 0; text != NULL && i < r->n_awaited && i < NAMED_MAX; i++) {
        char *longer = msfl_format("%s%s%s", text, i == 0 ? "" : ", ", r->awaited[i]);
        msfl_free(text);
        text = longer;
    }
    if (text != NULL && r->n_awaited > NAMED_MAX) {
        char *longer = msfl_format("%s and %u more", text, r->n_awaited - NAMED_MAX);
        msfl_free(text);
        text = longer;
    }
    return text;
}

static msfl_status no_round(const pki_roster *r) {
    if (r->n_awaited == 0) {
        return msfl_fail(MSFL_ERR_MISSING,
                         "no round can be run under the roster of epoch %u: it has %u hospitals and no key holders; "
                         "admit who is missing, or amend 'committee' in the plan, and run provision again",
                         r->epoch, pki_round_hospitals(r));
    }
    char *text = awaited_text(r);
    if (text == NULL) return MSFL_NO_MEMORY;
    msfl_status status =
        msfl_fail(MSFL_ERR_MISSING,
                  "no round can be run under the roster of epoch %u yet: the authority waits for the "
                  "requests of %s. If they have come since, this roster is old: a client that runs takes "
                  "the newest from the coordinator",
                  r->epoch, text);
    msfl_free(text);
    return status;
}

static msfl_identity identity_of(const pki_party *p) {
    msfl_identity out;
    memcpy(out.sign, p->sign, sizeof out.sign);
    memcpy(out.box, p->box, sizeof out.box);
    return out;
}

static int compare_numbers(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The content, in the order of the numbers. `parties` holds n_parties + n_members of `r`, `members` n_members. */
static msfl_status describe(const pki_roster *r, msfl_identity *parties, uint32_t *members, msfl_roster_info *out) {
    const pki_party *coordinator = pki_roster_coordinator(r);
    if (r->n_members == 0 || coordinator == NULL || coordinator->n_certificates == 0) return no_round(r);
    msfl_roster_info info = {.epoch = r->epoch,
                             .custody = r->custody,
                             .coordinator = identity_of(coordinator),
                             .parties = parties,
                             .members = members,
                             .k = r->n_members,
                             .t = r->threshold,
                             .f = r->corrupt};
    for (uint32_t i = 0; i < r->n_parties; i++)
        if (takes_part(&r->parties[i])) parties[info.n_parties++] = identity_of(&r->parties[i]);
    info.n_clients = info.n_parties;
    for (uint32_t i = 0; i < r->n_members; i++) {
        const pki_party *p = pki_roster_find(r, r->members[i]);
        if (p == NULL || !number_of(r, p->name, &members[i])) {
            return msfl_fail(MSFL_ERR_FORMAT, "'%s' holds key shares and is no party of rounds", r->members[i]);
        }
        if (p->role != PKI_HOSPITAL) parties[info.n_parties++] = identity_of(p);
    }
    qsort(members, info.k, sizeof *members, compare_numbers);
    *out = info;
    return MSFL_OK;
}

/* The bytes, signed with `secret`. */
static msfl_status bytes_of(const pki_roster *r, const msfl_identity_secret *secret, uint8_t **bytes, size_t *length) {
    *bytes = NULL;
    *length = 0;
    uint32_t members[MSFL_COMMITTEE_MAX];
    msfl_roster_info info;
    msfl_identity *parties = msfl_alloc((size_t)r->n_parties + MSFL_COMMITTEE_MAX, sizeof *parties);
    msfl_status status = parties == NULL ? MSFL_NO_MEMORY : describe(r, parties, members, &info);
    if (status == MSFL_OK) {
        *length = msfl_roster_bytes(&info);
        *bytes = msfl_alloc(*length, 1);
        status = *bytes == NULL ? MSFL_NO_MEMORY : msfl_roster_sign(&info, secret, *bytes);
    }
    msfl_free(parties);
    if (status != MSFL_OK) {
        msfl_free(*bytes);
        *bytes = NULL;
        *length = 0;
    }
    return status;
}

msfl_status pki_round_sign(pki_roster *roster, const pki_identity *consortium) {
    uint8_t *bytes;
    size_t length;
    msfl_identity_secret *secret;
    msfl_status status = pki_round_secret(consortium, &secret);
    if (status == MSFL_OK) status = bytes_of(roster, secret, &bytes, &length);
    if (status == MSFL_OK) {
        memcpy(roster->round, bytes + length - MSFL_SIGN_BYTES, MSFL_SIGN_BYTES);
        msfl_free(bytes);
    }
    msfl_identity_free(secret);
    return status;
}

msfl_status pki_roster_round(const pki_roster *roster, msfl_roster **out) {
    *out = NULL;
    /* The bytes come with a signature of this key, which everybody knows; the consortium's goes in its place. */
    static const msfl_identity_secret nobody;
    uint8_t *bytes;
    size_t length;
    msfl_status status = msfl_crypto_init();
    if (status == MSFL_OK) status = bytes_of(roster, &nobody, &bytes, &length);
    if (status != MSFL_OK) return status;
    memcpy(bytes + length - MSFL_SIGN_BYTES, roster->round, MSFL_SIGN_BYTES);
    status = msfl_roster_read(bytes, length, roster->consortium, out);
    msfl_free(bytes);
    return status == MSFL_OK ? status : msfl_fail_in(status, "the round of the roster of epoch %u", roster->epoch);
}

msfl_status pki_round_secret(const pki_identity *identity, msfl_identity_secret **out) {
    msfl_identity public_half;
    return msfl_identity_new(identity->seed, &public_half, out);
}
