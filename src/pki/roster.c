/* The rules of a roster. Its text is in roster_text.c. */
#include "pki/roster.h"

#include "base/error.h"
#include "base/mem.h"

pki_roster *pki_roster_new(void) {
    return msfl_alloc(1, sizeof(pki_roster));
}

const pki_party *pki_roster_find(const pki_roster *roster, const char *name) {
    for (uint32_t i = 0; i < roster->n_parties; i++)
        if (strcmp(roster->parties[i].name, name) == 0) return &roster->parties[i];
    return NULL;
}

const pki_party *pki_roster_coordinator(const pki_roster *roster) {
    for (uint32_t i = 0; i < roster->n_parties; i++)
        if (roster->parties[i].role == PKI_COORDINATOR) return &roster->parties[i];
    return NULL;
}

const pki_revoked *pki_roster_revoked(const pki_roster *roster, const uint8_t serial[PKI_SERIAL_BYTES]) {
    for (uint32_t i = 0; i < roster->n_revoked; i++)
        if (memcmp(roster->revoked[i].serial, serial, PKI_SERIAL_BYTES) == 0) return &roster->revoked[i];
    return NULL;
}

/* Whether two parties share what must be one party's alone: a name, a key, a certificate. */
static msfl_status check_apart(const pki_party *a, const pki_party *b) {
    if (strcmp(a->name, b->name) == 0) return msfl_fail(MSFL_ERR_FORMAT, "'%s' stands twice in the roster", a->name);
    bool shared = msfl_equal(a->sign, b->sign, sizeof a->sign) || msfl_equal(a->box, b->box, sizeof a->box);
    for (uint32_t i = 0; i < a->n_certificates; i++)
        for (uint32_t j = 0; j < b->n_certificates; j++)
            shared |= memcmp(a->certificates[i].serial, b->certificates[j].serial, PKI_SERIAL_BYTES) == 0 ||
                      memcmp(a->certificates[i].key, b->certificates[j].key, PKI_KEY_HASH_BYTES) == 0;
    if (!shared) return MSFL_OK;
    return msfl_fail(MSFL_ERR_FORMAT, "'%s' and '%s' have a key or a certificate in common", a->name, b->name);
}

msfl_status pki_roster_check(const pki_roster *r) {
    char host[PKI_HOST_MAX + 1];
    uint32_t port, n_coordinators = 0;
    if (r->n_parties > PKI_PARTIES_MAX || r->n_revoked > PKI_REVOKED_MAX || r->epoch == 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "a roster has at most %d parties and %d revocations, and an epoch above 0",
                         PKI_PARTIES_MAX, PKI_REVOKED_MAX);
    }
    msfl_status status = pki_name_check("federation", r->federation);
    if (status == MSFL_OK) status = pki_url_split(r->url, host, &port);
    for (uint32_t i = 0; status == MSFL_OK && i < r->n_parties; i++) {
        const pki_party *p = &r->parties[i];
        status = pki_name_check("roster", p->name);
        if (status == MSFL_OK && p->n_certificates > PKI_CERTIFICATES_MAX) {
            status = msfl_fail(MSFL_ERR_FORMAT, "'%s' has more than %d certificates", p->name, PKI_CERTIFICATES_MAX);
        }
        for (uint32_t j = 0; status == MSFL_OK && j < p->n_certificates; j++)
            if (pki_roster_revoked(r, p->certificates[j].serial) != NULL) {
                status = msfl_fail(MSFL_ERR_FORMAT, "a certificate of '%s' is both admitted and revoked", p->name);
            }
        for (uint32_t j = 0; status == MSFL_OK && j < i; j++)
            status = check_apart(p, &r->parties[j]);
        n_coordinators += p->role == PKI_COORDINATOR;
    }
    for (uint32_t i = 0; status == MSFL_OK && i < r->n_revoked; i++) {
        status = pki_name_check("revoked", r->revoked[i].name);
        if (status == MSFL_OK) status = pki_reason_check(r->revoked[i].reason);
    }
    if (status == MSFL_OK && n_coordinators > 1) {
        status = msfl_fail(MSFL_ERR_FORMAT, "a roster has one coordinator, not %u", n_coordinators);
    }
    return status;
}

msfl_status pki_roster_may_follow(const pki_roster *current, const pki_roster *next) {
    if (strcmp(current->federation, next->federation) != 0 ||
        memcmp(current->consortium, next->consortium, sizeof current->consortium) != 0 ||
        memcmp(current->authority, next->authority, sizeof current->authority) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "the new roster is that of another federation or authority");
    }
    if (next->epoch > current->epoch) return MSFL_OK;
    if (next->epoch < current->epoch) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "a roster of epoch %u cannot follow one of epoch %u: what was revoked in between would count "
                         "again",
                         next->epoch, current->epoch);
    }
    msfl_buffer a = {0}, b = {0};
    msfl_status status = pki_roster_text(current, &a);
    if (status == MSFL_OK) status = pki_roster_text(next, &b);
    bool same = status == MSFL_OK && a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0;
    msfl_buffer_clear(&a);
    msfl_buffer_clear(&b);
    if (same || status != MSFL_OK) return status;
    return msfl_fail(MSFL_ERR_MISMATCH, "two different rosters of epoch %u exist: the authority's folder was copied",
                     next->epoch);
}
