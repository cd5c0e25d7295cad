/* How this hospital trains and evaluates in a job: with the built-in trainer, or with a command of its own. */
#ifndef MSFL_CLIENT_LEARNER_H
#define MSFL_CLIENT_LEARNER_H

#include "client/bounds.h"
#include "client/site.h"
#include "job/figures.h"
#include "job/plan.h"
#include "medsecurefl/observe.h"

typedef struct client_learner client_learner; /**< one thread at a time */

typedef struct client_learner_options {
    const client_site *site;     /**< borrowed, as all of these */
    const client_bounds *bounds; /**< on what an update or figures are made of */
    const job_shape *shape;
    const char *job;               /**< id: the track of events, and in in/job.json */
    uint32_t client;               /**< number in the roster: seeds depend on it */
    const char *folder;            /**< for what is kept between rounds, and for a trainer's folders; exists */
    const msfl_observer *observer; /**< progress of training; its cancel flag stops it */
} client_learner_options;

msfl_status client_learner_new(const client_learner_options *options, client_learner **out) MSFL_NODISCARD;
void client_learner_free(client_learner *learner);

/** What a round is fed with. */
typedef struct client_result {
    float *delta; /**< n_values: trained minus given, of what is sent (job/sent.h); NULL for figures. Secret until it is
                     encrypted: wiped on clear */
    uint64_t n_values;
    uint64_t n_samples;
    uint64_t counters[JOB_EVAL_COUNTERS]; /**< those behind the sample count: JOB_UPDATE_COUNTERS - 1, or
                                             JOB_EVAL_COUNTERS - 1 */
} client_result;
void client_result_clear(client_result *result);

/**
 * Train or evaluate as `plan` says from `weights` (n_values). ERR_MISSING: no images for figures of this kind, this
 * hospital stays out. ERR_POLICY: the hospital's bounds, before training where its images tell, else before anything is
 * given back. ERR_NUMERIC: training diverged; the optimiser begins afresh in the next round. ERR_CANCELLED.
 * Clear `out` in any case.
 */
msfl_status client_learner_run(client_learner *learner, const job_plan *plan, const float *weights,
                               client_result *out) MSFL_NODISCARD;

#endif
