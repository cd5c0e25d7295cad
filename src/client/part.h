/* A hospital's own part in a job, shared by its files: from beginning to end (part.c), what it hears (hear.c), a round
 * of its own (round.c), the way of an upload (upload.c). */
#ifndef MSFL_CLIENT_PART_H
#define MSFL_CLIENT_PART_H

#include "client/learner.h"
#include "client/run.h"
#include "client/spool.h"
#include "medsecurefl/audit.h"

struct client_sealed; /* sealed.h */

typedef struct client_part_state {
    client_run *run;
    client_link *link;
    client_seat seat;
    msfl_site *site;
    client_spool *spool;
    client_learner *learner;
    msfl_audit_writer *audit;     /**< what this hospital can show later */
    msfl_buffer announce;         /**< the newest announcement that was taken, whole: kept with what is sent */
    msfl_observer observer;       /**< for training: adds the round, reports progress */
    uint64_t history;             /**< place in the journal of the last record of that kind */
    bool broken;                  /**< the machine knows more than the disk: it must be made anew from its journal */
    struct client_sealed *sealed; /**< delivery to the hospitals; NULL: the coordinator opens sums */
    uint64_t seen;
    uint64_t skipped; /**< a round that this hospital stays out of */
    uint64_t wanted;  /**< chunk that the coordinator named; CLIENT_NOT_WANTED: none */
    uint64_t reported_ms;
    const char *doing; /**< word of a report */
    job_plan plan;     /**< of the round under way; clear with job_plan_clear */
    /* What was trained last: a round that is given up is tried again on the same model. */
    client_result result;
    bool has_result;
    uint8_t result_model[MSFL_HASH_BYTES], result_layout[MSFL_HASH_BYTES];
    uint32_t result_round;
    job_kind result_kind;
    double result_rate;
    uint8_t told[MSFL_HASH_BYTES]; /**< of the last refusal that was told */
} client_part_state;

#define CLIENT_NOT_WANTED UINT64_MAX

/** Do what effects say, in their order: journal, keep, drop; what is to be sent is appended to `frames` (may be NULL).
 *  After a failure the machine is marked as broken. */
msfl_status client_part_carry_out(client_part_state *p, const msfl_effects *effects,
                                  msfl_buffer *frames) MSFL_NODISCARD;
/** Hear all frames. */
msfl_status client_part_hear(client_part_state *p, const msfl_buffer *frames) MSFL_NODISCARD;
/** Ask the inbox for news for at most `wait_s` seconds and hear it. */
msfl_status client_part_listen(client_part_state *p, uint32_t wait_s) MSFL_NODISCARD;
/** The same without waiting, for a chunk that the coordinator may name. */
msfl_status client_part_ask(client_part_state *p) MSFL_NODISCARD;
/** Whether the hospital's policy and data permit the job under this seat. ERR_POLICY otherwise. */
msfl_status client_part_permits(const client_part_state *p) MSFL_NODISCARD;
/** The learner of this seat, into `p->learner`. */
msfl_status client_part_learner(client_part_state *p) MSFL_NODISCARD;
/** Machines as the journal left them, under the newest roster. */
msfl_status client_part_sit_down(client_part_state *p) MSFL_NODISCARD;

/** Rosters of the job that this hospital never saw, because it was away: as far back as a record may need them. */
void client_part_catch_rosters(client_part_state *p);

/** A job of scheme plain, until it is over: nothing is encrypted. */
msfl_status client_plain(client_part_state *p) MSFL_NODISCARD;
/** A report of the round of `p->plan`. */
void client_round_say(client_part_state *p, const char *state, const char *text);

/** The round that is offered: plan, weights, training, encryption, upload. */
msfl_status client_round_take(client_part_state *p) MSFL_NODISCARD;

/** Send what is encrypted, and, with `input`, encrypt what is not yet: chunk by chunk, never more than one in memory.
 * Until it is acknowledged, or the round is over. `input` and `layout` are NULL after a restart. */
msfl_status client_upload(client_part_state *p, const msfl_packed *ctx, const msfl_update_layout *layout,
                          const msfl_update_input *input) MSFL_NODISCARD;

#endif
