#include "pki/committee.h"

#include "base/error.h"

static const pki_plan_party *planned(const pki_plan *plan, pki_role role) {
    for (uint32_t i = 0; i < plan->n_parties; i++)
        if (plan->parties[i].role == role) return &plan->parties[i];
    return NULL;
}

/* What is not given follows from the rules of msfl_committee_check: 2 t > k + f and t > f. */
static msfl_status complete(const pki_plan *plan, pki_committee *c) {
    const bool has_t = plan->threshold != 0, has_f = plan->corrupt != UINT32_MAX;
    msfl_committee_default(c->k, &c->threshold, &c->corrupt);
    if (has_t) c->threshold = plan->threshold;
    if (has_f) c->corrupt = plan->corrupt;
    if (has_t && !has_f) {
        const uint32_t t = c->threshold;
        c->corrupt = 2 * t <= c->k ? 0 : 2 * t - c->k - 1 < t - 1 ? 2 * t - c->k - 1 : t - 1;
    }
    if (has_f && !has_t) {
        c->threshold = (c->k + c->corrupt) / 2 + 1;
        if (c->threshold < c->corrupt + 1) c->threshold = c->corrupt + 1;
    }
    return msfl_committee_check(c->k, c->threshold, c->corrupt);
}

msfl_status pki_committee_plan(const pki_plan *plan, uint32_t n_hospitals, pki_committee *out) {
    pki_committee c = {.custody = plan->custody};
    *out = (pki_committee){0};
    if (c.custody == 0) {
        const bool alone = n_hospitals > MSFL_COMMITTEE_MAX && planned(plan, PKI_AUTHORITY) != NULL;
        c.custody = alone ? MSFL_CUSTODY_AUTHORITY : MSFL_CUSTODY_COMMITTEE;
    }
    if (c.custody != MSFL_CUSTODY_COMMITTEE) {
        c.k = c.threshold = 1;
        *out = c;
        return MSFL_OK;
    }
    c.k = plan->n_members > 0 ? plan->n_members : n_hospitals;
    if (c.k > MSFL_COMMITTEE_MAX) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "%u hospitals are too many to hold key shares all of them (at most %d do): name some with "
                         "'committee: {members: [...]}' in the plan, or a separate party under 'authority'",
                         c.k, MSFL_COMMITTEE_MAX);
    }
    msfl_status status = c.k < 2 ? MSFL_OK : complete(plan, &c);
    if (status == MSFL_OK) *out = c;
    return status;
}

/* --- of a roster --- */

void pki_committee_clear(pki_roster *r) {
    r->custody = 0;
    r->n_members = r->threshold = r->corrupt = 0;
    memset(r->members, 0, sizeof r->members);
    memset(r->round, 0, sizeof r->round);
}

static void set_awaited(const pki_plan *plan, pki_roster *r) {
    memset(r->awaited, 0, sizeof r->awaited);
    r->n_awaited = 0;
    for (uint32_t i = 0; i < plan->n_parties; i++) {
        const pki_plan_party *p = &plan->parties[i];
        if (p->role == PKI_OPERATOR || pki_roster_find(r, p->name) != NULL) continue;
        memcpy(r->awaited[r->n_awaited++], p->name, sizeof p->name);
    }
}

static bool is_active(const pki_party *p) {
    return p != NULL && p->n_certificates > 0;
}

static void add_member(pki_roster *r, const char *name) {
    memcpy(r->members[r->n_members++], name, strlen(name) + 1);
}

/* False where a member that the plan names has not come yet. At most MSFL_COMMITTEE_MAX of all hospitals: the caller
 * has looked. */
static bool add_committee(const pki_plan *plan, pki_roster *r) {
    for (uint32_t i = 0; i < plan->n_members; i++) {
        const pki_party *p = pki_roster_find(r, plan->members[i]);
        if (p == NULL) return false;
        if (is_active(p)) add_member(r, p->name);
    }
    for (uint32_t i = 0; plan->n_members == 0 && i < r->n_parties; i++)
        if (r->parties[i].role == PKI_HOSPITAL && is_active(&r->parties[i])) add_member(r, r->parties[i].name);
    return r->n_members >= 2;
}

static bool add_holder(pki_roster *r, pki_role role) {
    for (uint32_t i = 0; i < r->n_parties; i++) {
        if (r->parties[i].role != role || !is_active(&r->parties[i])) continue;
        add_member(r, r->parties[i].name);
        return true;
    }
    return false;
}

msfl_status pki_committee_set(const pki_plan *plan, pki_roster *r) {
    pki_committee_clear(r);
    set_awaited(plan, r);
    uint32_t n_active = 0, n_awaited = 0;
    for (uint32_t i = 0; i < r->n_parties; i++)
        n_active += r->parties[i].role == PKI_HOSPITAL && is_active(&r->parties[i]);
    for (uint32_t i = 0; i < plan->n_parties; i++)
        n_awaited += plan->parties[i].role == PKI_HOSPITAL && pki_roster_find(r, plan->parties[i].name) == NULL;
    pki_committee c;
    msfl_status status = pki_committee_plan(plan, n_active + n_awaited, &c);
    if (status != MSFL_OK || n_active < 2 || !is_active(pki_roster_coordinator(r))) return status;
    r->custody = c.custody;
    bool whole = c.custody == MSFL_CUSTODY_COMMITTEE
                     ? add_committee(plan, r)
                     : add_holder(r, c.custody == MSFL_CUSTODY_AUTHORITY ? PKI_AUTHORITY : PKI_COORDINATOR);
    if (whole && c.custody == MSFL_CUSTODY_COMMITTEE) {
        c.k = r->n_members; /* those that are there: fewer than planned where some are awaited, or were revoked */
        status = complete(plan, &c);
        whole = status == MSFL_OK;
    }
    r->threshold = c.threshold;
    r->corrupt = c.corrupt;
    if (!whole) pki_committee_clear(r);
    return status;
}

bool pki_committee_same(const pki_roster *a, const pki_roster *b) {
    return a->custody == b->custody && a->n_members == b->n_members && a->threshold == b->threshold &&
           a->corrupt == b->corrupt && a->n_awaited == b->n_awaited &&
           memcmp(a->members, b->members, sizeof a->members) == 0 &&
           memcmp(a->awaited, b->awaited, sizeof a->awaited) == 0;
}
