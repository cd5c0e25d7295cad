/* Who holds shares of the one-time keys: what a plan says of it, and what follows where it says nothing. */
#ifndef MSFL_PKI_COMMITTEE_H
#define MSFL_PKI_COMMITTEE_H

#include "pki/plan.h"

/** Custody and threshold for a number of hospitals. */
typedef struct pki_committee {
    msfl_custody custody;
    uint32_t k, threshold, corrupt;
} pki_committee;

/**
 * As the plan says. Where it says nothing: a committee of all hospitals up to MSFL_COMMITTEE_MAX of them; of more, the
 * plan's authority. A threshold or a number of corrupt members that is not given follows from the other, both from
 * msfl_committee_default. Fewer than two members give k and no threshold: more are to come.
 * @retval MSFL_ERR_POLICY  more hospitals than a committee has places, and no authority; a threshold that does not hold
 */
msfl_status pki_committee_plan(const pki_plan *plan, uint32_t n_hospitals, pki_committee *out) MSFL_NODISCARD;

/**
 * Set custody, members, threshold and those that are awaited of `roster` from the plan and from who was admitted.
 * `n_members` becomes 0 where no round can be run: fewer than two hospitals, no coordinator, or a key holder that the
 * plan names and whose request has not come. Named members that were revoked are left out.
 * @retval MSFL_ERR_POLICY  as pki_committee_plan; `n_members` is 0 then
 */
msfl_status pki_committee_set(const pki_plan *plan, pki_roster *roster) MSFL_NODISCARD;

/** No key holders: no round. */
void pki_committee_clear(pki_roster *roster);

/** Whether both rosters have the same key holders, thresholds and awaited parties. */
bool pki_committee_same(const pki_roster *a, const pki_roster *b);

#endif
