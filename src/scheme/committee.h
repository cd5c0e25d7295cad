/* The packed scheme with a committee: the round's state machines, all of them in one process. */
#ifndef MSFL_SCHEME_COMMITTEE_H
#define MSFL_SCHEME_COMMITTEE_H

#include "medsecurefl/machine.h"
#include "scheme/table.h"

/** Identities of all parties of a job and the roster that binds them: every client is a member. */
typedef struct msfl_committee msfl_committee;

MSFL_NODISCARD msfl_status msfl_committee_new(uint32_t n_clients, msfl_committee **out);
void msfl_committee_free(msfl_committee *committee);

/** Bytes of what a client sends beside its chunks, and of what it receives for a round. */
size_t msfl_committee_trailer_bytes(const msfl_params *params, uint32_t n_clients);
size_t msfl_committee_setup_bytes(uint32_t n_clients);
/** Of what it receives to open a sum for itself, but for the sum. */
size_t msfl_committee_delivery_bytes(const msfl_params *params, uint32_t n_clients);

/** Borrows all; may be used by many threads, as sessions of scheme.h. The spool is memory: a session holds all uploads
 *  until it is closed. Delivered to the clients, the sum is opened by every one of them at the close; they must agree,
 *  and msfl_committee_open is the first one's. */
typedef struct msfl_committee_session msfl_committee_session;
MSFL_NODISCARD msfl_status msfl_committee_session_new(const msfl_committee *committee, const msfl_packed *ctx,
                                                      const msfl_session_info *info, uint32_t min_cohort,
                                                      uint64_t n_values, msfl_delivery delivery,
                                                      msfl_committee_session **out);
void msfl_committee_session_free(msfl_committee_session *s);
MSFL_NODISCARD msfl_status msfl_committee_upload(msfl_committee_session *s, uint32_t client, const uint8_t *bytes,
                                                 uint64_t length, const uint8_t *trailer, size_t trailer_length);
MSFL_NODISCARD msfl_status msfl_committee_close(msfl_committee_session *s);
uint32_t msfl_committee_cohort(const msfl_committee_session *s);
MSFL_NODISCARD msfl_status msfl_committee_open(const msfl_committee_session *s, uint64_t j, uint64_t *totals);

/** One client's side: a site that has received the announcement, until msfl_committee_site_done. Where the clients open
 *  the sum, the session keeps it for that. */
MSFL_NODISCARD msfl_status msfl_committee_site(msfl_committee_session *s, uint32_t client, msfl_site **out);
void msfl_committee_site_done(msfl_committee_session *s, msfl_site *site);
MSFL_NODISCARD msfl_status msfl_committee_encrypt(msfl_site *site, uint64_t j, const uint32_t *values, uint8_t *out);
MSFL_NODISCARD msfl_status msfl_committee_finish(msfl_site *site, uint8_t *trailer);

#endif
