/* How often this hospital took part, in a job and in a day (UTC), what its rounds were about, and on which weights it
 * released a sum. */
#ifndef MSFL_CLIENT_TALLY_H
#define MSFL_CLIENT_TALLY_H

#include "client/policy.h"
#include "store/journal.h"

/** Counts that cannot be read are the largest: who does not know how often it took part does not take part again. */
client_tally client_tally_read(store *store, const char *job);
/** One more; within a transaction of the caller, if it likes. */
msfl_status client_tally_add(store *store, const char *job) MSFL_NODISCARD;

/** What a round is about, as it was announced. */
typedef struct client_subject {
    const uint8_t *job;            /**< hash of the description */
    const uint8_t *model, *layout; /**< hashes: weights; kind and clipping bounds */
} client_subject;

/**
 * Whether this key holder may release a sum: not if it released one on the same weights of the same kind for another
 * job, or, of training, under other clipping bounds. Training is a function of the weights, so two such sums over
 * cohorts that differ by one hospital would open its update. The same job under the same bounds is for the round's
 * machine to judge (docs/design/round.md). `is_update`: a round of training; false: of figures.
 * @retval MSFL_ERR_POLICY  it released one: the message names the rule and that job
 */
msfl_status client_released_check(store *store, const client_subject *subject, bool is_update) MSFL_NODISCARD;
/** Remember that it releases this one. With the check in the transaction that keeps the answer: then no two threads can
 *  release for two jobs, and no crash forgets. */
msfl_status client_released_add(store *store, const client_subject *subject, bool is_update) MSFL_NODISCARD;

/**
 * Whether this is what the round was about when this hospital took part in it before, if it did: a round that is
 * repeated is repeated on the same weights and bounds, whatever else has happened.
 * @retval MSFL_ERR_MISMATCH  it is not
 */
msfl_status client_course_check(store *store, const client_subject *subject, job_kind kind,
                                uint32_t round) MSFL_NODISCARD;
/** Remember; in the transaction that uses the round's number up. */
msfl_status client_course_add(store *store, const client_subject *subject, job_kind kind,
                              uint32_t round) MSFL_NODISCARD;

#endif
