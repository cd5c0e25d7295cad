/* What the files of the committee share: the parties of one process, and one sum of theirs. */
#ifndef MSFL_SCHEME_COMMITTEE_PRIVATE_H
#define MSFL_SCHEME_COMMITTEE_PRIVATE_H

#include "scheme/committee.h"

#include <pthread.h>

struct msfl_committee {
    uint32_t n;
    msfl_identity id[MSFL_COMMITTEE_MAX], coordinator_id;
    msfl_identity_secret *secret[MSFL_COMMITTEE_MAX], *coordinator;
    msfl_roster *roster;
};

struct msfl_committee_session {
    const msfl_committee *committee;
    const msfl_packed *ctx;
    uint8_t task[MSFL_HASH_BYTES];
    uint32_t min_cohort, n_chunks;
    msfl_delivery delivery;
    uint64_t n_values, ciphertext_bytes;
    pthread_mutex_t lock;
    msfl_coordinator *coordinator;
    uint8_t *announcement; /* the message */
    size_t announcement_length;
    bool started[MSFL_COMMITTEE_MAX];
    uint8_t **spool;                      /* n clients x (n_chunks and one for the bundles) */
    uint32_t cohort;                      /* once closed */
    msfl_site *sites[MSFL_COMMITTEE_MAX]; /* delivery to clients: they open the sum */
};

/** ERR_EXISTS if this client's upload is complete. Under the lock. */
msfl_status msfl_committee_not_yet_in(const msfl_committee_session *s, uint32_t client) MSFL_NODISCARD;

/** All clients open the sum, and must have opened the same. The first one's is kept, for msfl_committee_open. Under the
 *  lock. ERR_CRYPTO if they differ. */
msfl_status msfl_committee_deliver(msfl_committee_session *s) MSFL_NODISCARD;

#endif
