/* The rules of a roster. Its text is in roster_text.c. */
#include "pki/roster.h"

#include "base/error.h"
#include "base/mem.h"

#include <stdlib.h>

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

/* --- one name, one key, one certificate: one party --- */

enum { ADMITTED_NOWHERE = UINT32_MAX };

/* Something of which two parties may not have the same: `owner` is the party's place, or ADMITTED_NOWHERE for what was
 * revoked. */
typedef struct mark {
    const uint8_t *bytes;
    uint32_t length, owner;
} mark;

static int compare_marks(const void *a, const void *b) {
    const mark *x = a, *y = b;
    return memcmp(x->bytes, y->bytes, x->length);
}

static int compare_names(const void *a, const void *b) {
    const mark *x = a, *y = b;
    return strcmp((const char *)x->bytes, (const char *)y->bytes);
}

/* Equal marks are neighbours after sorting, so two owners of one mark are neighbours somewhere. */
static const mark *shared_mark(mark *marks, size_t n, int (*compare)(const void *, const void *)) {
    qsort(marks, n, sizeof *marks, compare);
    for (size_t i = 1; i < n; i++)
        if (compare(&marks[i - 1], &marks[i]) == 0 && marks[i - 1].owner != marks[i].owner) return &marks[i];
    return NULL;
}

static msfl_status check_names_apart(const pki_roster *r, mark *marks) {
    for (uint32_t i = 0; i < r->n_parties; i++)
        marks[i] = (mark){(const uint8_t *)r->parties[i].name, 0, i};
    const mark *twice = shared_mark(marks, r->n_parties, compare_names);
    if (twice == NULL) return MSFL_OK;
    return msfl_fail(MSFL_ERR_FORMAT, "'%s' stands twice in the roster", (const char *)twice->bytes);
}

static msfl_status check_keys_apart(const pki_roster *r, mark *marks, int kind) {
    size_t n = 0;
    for (uint32_t i = 0; i < r->n_parties; i++) {
        const pki_party *p = &r->parties[i];
        if (kind == 0) marks[n++] = (mark){p->sign, sizeof p->sign, i};
        if (kind == 1) marks[n++] = (mark){p->box, sizeof p->box, i};
        for (uint32_t j = 0; j < p->n_certificates; j++) {
            const pki_certificate *c = &p->certificates[j];
            if (kind == 2) marks[n++] = (mark){c->key, sizeof c->key, i};
            if (kind == 3) marks[n++] = (mark){c->serial, sizeof c->serial, i};
        }
    }
    for (uint32_t i = 0; kind == 3 && i < r->n_revoked; i++)
        marks[n++] = (mark){r->revoked[i].serial, sizeof r->revoked[i].serial, ADMITTED_NOWHERE};
    const mark *twice = shared_mark(marks, n, compare_marks);
    if (twice == NULL) return MSFL_OK;
    const mark *before = twice - 1;
    if (twice->owner == ADMITTED_NOWHERE || before->owner == ADMITTED_NOWHERE) {
        uint32_t owner = twice->owner == ADMITTED_NOWHERE ? before->owner : twice->owner;
        return msfl_fail(MSFL_ERR_FORMAT, "a certificate of '%s' is both admitted and revoked", r->parties[owner].name);
    }
    return msfl_fail(MSFL_ERR_FORMAT, "'%s' and '%s' have a key or a certificate in common",
                     r->parties[before->owner].name, r->parties[twice->owner].name);
}

static msfl_status check_apart(const pki_roster *r) {
    mark *marks = msfl_alloc(PKI_CERTIFICATES_MAX * (size_t)r->n_parties + r->n_revoked + 1, sizeof *marks);
    if (marks == NULL) return MSFL_NO_MEMORY;
    msfl_status status = check_names_apart(r, marks);
    for (int kind = 0; status == MSFL_OK && kind < 4; kind++)
        status = check_keys_apart(r, marks, kind);
    msfl_free(marks);
    return status;
}

/* --- the committee --- */

static msfl_status check_committee(const pki_roster *r) {
    if (r->n_members == 0) return MSFL_OK;
    if (r->n_members > MSFL_COMMITTEE_MAX || r->custody < MSFL_CUSTODY_COMMITTEE ||
        r->custody > MSFL_CUSTODY_COORDINATOR) {
        return msfl_fail(MSFL_ERR_FORMAT, "a committee has at most %d members", MSFL_COMMITTEE_MAX);
    }
    if (msfl_committee_check(r->n_members, r->threshold, r->corrupt) != MSFL_OK) {
        return msfl_fail(MSFL_ERR_FORMAT, "the roster's committee: %s", msfl_error_message());
    }
    for (uint32_t i = 0; i < r->n_members; i++) {
        const pki_party *p = pki_roster_find(r, r->members[i]);
        if (p == NULL || p->n_certificates == 0 || p->role == PKI_OPERATOR) {
            return msfl_fail(MSFL_ERR_FORMAT, "'%.*s' is a member of the committee, but no party that was admitted",
                             PKI_NAME_MAX, r->members[i]);
        }
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(r->members[i], r->members[j]) == 0) {
                return msfl_fail(MSFL_ERR_FORMAT, "'%s' is a member of the committee twice", r->members[i]);
            }
    }
    return MSFL_OK;
}

msfl_status pki_roster_check(const pki_roster *r) {
    char host[PKI_HOST_MAX + 1];
    uint32_t port, n_coordinators = 0;
    if (r->n_parties > PKI_PARTIES_MAX || r->n_revoked > PKI_REVOKED_MAX || r->n_awaited > PKI_PARTIES_MAX ||
        r->epoch == 0) {
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
        n_coordinators += p->role == PKI_COORDINATOR;
    }
    for (uint32_t i = 0; status == MSFL_OK && i < r->n_revoked; i++) {
        status = pki_name_check("revoked", r->revoked[i].name);
        if (status == MSFL_OK) status = pki_reason_check(r->revoked[i].reason);
    }
    for (uint32_t i = 0; status == MSFL_OK && i < r->n_awaited; i++)
        status = pki_name_check("awaited", r->awaited[i]);
    if (status == MSFL_OK && n_coordinators > 1) {
        status = msfl_fail(MSFL_ERR_FORMAT, "a roster has one coordinator, not %u", n_coordinators);
    }
    if (status == MSFL_OK) status = check_apart(r);
    return status == MSFL_OK ? check_committee(r) : status;
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
