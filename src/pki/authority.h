/* The authority's folder: its keys, the plan, and the roster as the one record of what was done. */
#ifndef MSFL_PKI_AUTHORITY_H
#define MSFL_PKI_AUTHORITY_H

#include "medsecurefl/provision.h"
#include "pki/committee.h"
#include "pki/kit.h"

#define PKI_FILE_CA_KEY     "ca.key"
#define PKI_FILE_CONSORTIUM "consortium.key"
#define PKI_FILE_PLAN       "plan.yaml"

typedef struct pki_authority {
    char *folder;
    int lock; /**< on ca.pem: one change at a time */
    char *ca; /**< PEM */
    uint8_t *ca_key;
    size_t ca_key_length;
    pki_identity *consortium;
    pki_roster *roster; /**< as on disk, or with changes not yet committed */
    pki_plan *plan;
    int64_t now;
} pki_authority;

/** What a roster says, for those who look at results of a step; no kits and nobody waiting. */
void pki_roster_facts(const pki_roster *roster, msfl_provision_result *out);

/** Make a new authority in `folder`, with a roster of epoch 1 that is empty. The roster is written last: without it the
 *  folder does not count. ERR_EXISTS. */
msfl_status pki_authority_create(const char *folder, const char *plan_text, size_t plan_length, const pki_plan *plan,
                                 const msfl_provision_options *options) MSFL_NODISCARD;
/** Open and lock. Zeroes `out` first; pki_authority_close also after a failure. ERR_EXISTS if another process has it.
 */
msfl_status pki_authority_open(const char *folder, const msfl_provision_options *options,
                               pki_authority *out) MSFL_NODISCARD;
void pki_authority_close(pki_authority *authority);

/** Certify a request and enter it into the roster in memory. With a rotation the party is there, and its newest
 *  certificate stays as the second. The certificate's PEM is the caller's (msfl_free). */
msfl_status pki_authority_admit(pki_authority *authority, const pki_request *request, msfl_rotation rotation,
                                uint32_t days, char **certificate) MSFL_NODISCARD;
/** Out of the roster in memory, into its revocations. */
msfl_status pki_authority_revoke(pki_authority *authority, const char *name, bool previous_only,
                                 const char *reason) MSFL_NODISCARD;
/** Whether the roster's committee is what the plan asks for: nothing to sign anew for its sake. ERR_POLICY where there
 *  can be none: asked before anything is written for a new party. */
msfl_status pki_authority_is_settled(const pki_authority *authority, bool *settled) MSFL_NODISCARD;
/**
 * Sign the roster under the next epoch and replace it on disk: the moment at which a step has happened. The round's
 * committee follows from the plan. `even_without`: a revocation counts also where the plan's committee cannot be had
 * after it, and so does a rotation where it cannot be had before; no round is run then. Otherwise ERR_POLICY, and
 * nothing has happened.
 */
msfl_status pki_authority_commit(pki_authority *authority, bool even_without) MSFL_NODISCARD;

#endif
