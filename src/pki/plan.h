/* federation.yaml: who shall take part. */
#ifndef MSFL_PKI_PLAN_H
#define MSFL_PKI_PLAN_H

#include "pki/roster.h"

enum { PKI_DAYS_DEFAULT = 365, PKI_DAYS_MAX = 825 };

typedef struct pki_plan_party {
    char name[PKI_NAME_MAX + 1];
    pki_role role;
    bool on_site; /**< makes its own keys: a request will come */
} pki_plan_party;

typedef struct pki_plan {
    char federation[PKI_NAME_MAX + 1];
    uint32_t valid_days;
    char url[PKI_HOST_MAX + 32];
    char hosts[PKI_HOSTS_MAX][PKI_HOST_MAX + 1]; /**< n_hosts; that of the URL first */
    uint32_t n_hosts;
    pki_plan_party parties[PKI_PARTIES_MAX]; /**< the coordinator first */
    uint32_t n_parties, n_hospitals;
    /** Who holds shares of one-time keys; 0 where the plan leaves it to pki_committee_choose. */
    msfl_custody custody;
    char members[MSFL_COMMITTEE_MAX][PKI_NAME_MAX + 1]; /**< n_members; 0: all hospitals */
    uint32_t n_members;
    uint32_t threshold, corrupt; /**< 0, UINT32_MAX: not given */
} pki_plan;

/** Free with msfl_free. ERR_FORMAT names the line. */
msfl_status pki_plan_parse(const char *name, const char *text, size_t length, pki_plan **out) MSFL_NODISCARD;

#endif
