/* A whole federation in one process, replayed from one seed: a network that loses, doubles, delays and changes
 * messages, machines that crash between any two effects and come back from their journals, members that cheat, a
 * coordinator that lies. What leaves an honest machine is watched (check.c). See docs/design/round.md, "Simulation". */
#ifndef TEST_SIM_H
#define TEST_SIM_H

#include "base/bytes.h"
#include "base/mem.h"
#include "base/seeded.h"
#include "base/sodium.h"
#include "medsecurefl/transcript.h"
#include "round/coord.h"
#include "round/guard.h"
#include "round/journal.h"
#include "round/site.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SIM_CLIENTS_MAX = 6,
    SIM_PARTIES_MAX = SIM_CLIENTS_MAX + 1,
    SIM_NODES_MAX = 1 + 2 * SIM_PARTIES_MAX,
    SIM_CHUNKS_MAX = 3,
    SIM_TOTALS = 9 /* figures of a run */
};

/** Faults of the driver itself, as mutants: a kind of journal record that is never written, and so on. */
enum sim_driver_fault {
    SIM_SOUND = 0,
    SIM_FORGETS = 1, /* + kind of journal record */
    SIM_SENDS_FIRST = 100,
    SIM_SPOOL_LATE = 101
};

extern bool sim_real_crypto, sim_verbose;
extern int sim_driver;
void sim_ideal_seed(uint64_t seed);

typedef enum node_kind { NODE_COORDINATOR, NODE_SITE, NODE_MEMBER } node_kind;

typedef struct blob {
    uint8_t *bytes;
    size_t length;
} blob;

typedef struct spooled {
    uint64_t number, chunk;
    uint32_t client;
    bool durable;
    blob b;
} spooled;

typedef struct node {
    struct sim *sim;
    node_kind kind;
    uint32_t party;
    bool up, dead, corrupt; /* dead: never comes back; corrupt: does not follow the protocol */
    uint64_t timer, back_at;
    int64_t clock_offset;
    void *machine;
    blob *journal;
    size_t n_journal, journal_capacity;
    spooled *spool;
    size_t n_spool, spool_capacity;
    uint64_t encrypted;      /* site: chunks done */
    uint64_t history_number; /* site: newest record that it wrote down */
    uint8_t history[32];
    /* site, delivery to hospitals */
    bool broken, folds; /* makes another model of every sum; folds the uploads itself */
    uint8_t model[32];  /* name of the one it has */
    uint64_t reported_number;
    uint8_t reported_result[32];
} node;

typedef struct packet {
    uint64_t at;
    uint32_t from, to;
    blob b;
} packet;

/* What the watcher has seen leave honest machines. */
typedef struct seen_round {
    uint8_t id[32];
    msfl_announcement a;
    bool genuine; /* signed by the coordinator, for this roster */
} seen_round;
typedef struct seen_upload {
    uint8_t id[32];
    uint32_t client;
    blob body; /* statement and bundles */
    blob chunks[SIM_CHUNKS_MAX];
} seen_upload;
typedef struct seen_cohort {
    uint8_t id[32], hash[32];
    uint32_t n;
    blob statements;
} seen_cohort;
typedef struct seen_vote {
    uint32_t place;
    uint64_t number;
    uint8_t id[32], cohort[32], signature[64];
    bool honest;
} seen_vote;
typedef struct seen_answer {
    uint32_t place;
    uint64_t number;
    uint8_t id[32], cohort[32], about[32];
    blob body;
} seen_answer;

typedef struct seen_report {
    uint8_t id[32], bytes[MSFL_REPORT_BYTES];
    bool honest;
} seen_report;
/* A sum as a lying coordinator folded it, found by the hash that it signed. */
typedef struct lied_fold {
    uint8_t id[32], cohort[32], folded[32];
    blob chunks[SIM_CHUNKS_MAX];
} lied_fold;
/* What an honest coordinator's process keeps of a round for hospitals that were away. */
typedef struct archived {
    uint64_t number;
    bool delivered; /* the sum was delivered and is on record */
    blob record, deliveries[SIM_CLIENTS_MAX], folded[SIM_CHUNKS_MAX];
} archived;

#define LIST(type, name)                                                                                               \
    type *name;                                                                                                        \
    size_t n_##name, name##_capacity

typedef struct sim {
    uint64_t seed, now, healed_at;
    msfl_seeded g;
    bool lying, healed;
    uint32_t n, k, t, f, min_cohort, n_parties;
    uint32_t site_min, member_min; /* what the parties' own rules say */
    double to_hospitals;           /* how often a round is kept from the coordinator */
    msfl_delivery site_delivery;   /* what hospitals insist on; 0: nothing */
    uint64_t n_values, n_chunks;
    msfl_identity id[SIM_PARTIES_MAX], coordinator_id, consortium_id;
    msfl_identity_secret *secret[SIM_PARTIES_MAX], *coordinator_secret, *consortium;
    msfl_roster *roster;
    const msfl_roster_info *r;
    uint8_t task[32], layout[32], model[32];
    double loss, dup, corrupt, crash;
    uint32_t delay_max;
    node nodes[SIM_NODES_MAX];
    size_t n_nodes;
    LIST(packet, packets);
    LIST(seen_round, rounds);
    LIST(seen_upload, uploads);
    LIST(seen_cohort, cohorts);
    LIST(seen_vote, votes);
    LIST(seen_answer, answers);
    LIST(seen_report, reports);
    LIST(lied_fold, folds);
    LIST(archived, archive);
    LIST(blob, models); /* names of models that anybody can have: those that the coordinator made */
    archived pending;   /* what is kept of the round that is being delivered */
    blob delivery;      /* the last that was sent; where in it the hash of the folded sum is; to whom */
    size_t delivery_fold;
    uint32_t delivery_to;
    LIST(blob, said);            /* messages that a liar may repeat */
    uint64_t delivered, settled; /* sums that hospitals opened; that were on record as they opened them */
    uint64_t opened, opened_healed, aborted, n_events;
    uint64_t healed_number;   /* the first round that was opened without faults: all have to follow it */
    uint64_t released_number; /* honest coordinator: the round whose totals were handed out */
    uint8_t released_result[32];
    bool model_used; /* the model of the last round was opened, or may be */
    char why[512];   /* the violation; empty while there is none */
} sim;

extern msfl_packed *sim_ctx;

/* sim.c */
void sim_fail(sim *s, const char *fmt, ...) MSFL_PRINTF(2, 3);
uint64_t sim_below(sim *s, uint64_t bound);
bool sim_chance(sim *s, double p);
void *sim_add(void *list, size_t *n, size_t *capacity, size_t size);
blob sim_copy(const uint8_t *bytes, size_t length);
void sim_send(sim *s, uint32_t from, uint32_t to, const uint8_t *bytes, size_t length);
/** The integers of a client in a round. */
void sim_slots(const sim *s, const uint8_t id[32], uint32_t client, uint32_t *slots);
bool sim_run(uint64_t seed, char *why, size_t why_length, uint64_t totals[SIM_TOTALS]);

/** The message as it is delivered to one node. */
msfl_status sim_give(node *n, uint32_t from, const uint8_t *bytes, size_t length);

/* deliver.c: rounds that are kept from the coordinator. */
void deliver_coordinator(sim *s, node *n, msfl_effects *effects);
void deliver_site(sim *s, node *n, msfl_effects *effects);
/** Whether a hospital has a model, or can have it from the coordinator; it has it then. */
bool deliver_has_model(sim *s, node *n, const uint8_t model[32]);
/** A hospital that is behind asks for what it missed. */
void deliver_catch_up(sim *s, node *n);
void deliver_record(sim *s, const uint8_t *bytes, size_t length);
/** Whether every living, sound hospital has the record of the first round that was opened without faults. */
bool deliver_all_follow(const sim *s);
void deliver_new_model(sim *s);
void deliver_free(sim *s);

/* check.c: every message that leaves a party, before the network has it. */
void check_sent(sim *s, node *from, uint32_t to, const uint8_t *bytes, size_t length);
void check_record(sim *s, const uint8_t *bytes, size_t length);
void check_history(sim *s, const node *site, const msfl_announcement *a);
/** What a site opened, and that it was allowed to. */
void check_opened(sim *s, const node *n);
/** What a site writes down. */
void check_written(sim *s, node *n, const uint8_t *record, size_t length);
seen_round *check_round(sim *s, const uint8_t id[32]);
seen_upload *check_upload(sim *s, const uint8_t id[32], uint32_t client);
seen_cohort *check_cohort(sim *s, const uint8_t hash[32]);
void check_note_round(sim *s, const uint8_t *announce);
void check_note_cohort(sim *s, const uint8_t id[32], const uint8_t *statements, uint32_t n);
/** Whether t members answered for this cohort, at least one honest among them. */
bool check_openable(const sim *s, const uint8_t cohort[32]);
bool check_place_corrupt(const sim *s, uint32_t place);
bool check_client_corrupt(const sim *s, uint32_t client);

/* liar.c */
void liar_act(sim *s, node *coordinator);
void liar_put_votes(sim *s, const seen_cohort *c, msfl_buffer *b);
/* liar_deliver.c */
void lie_receipt(sim *s);
void lie_deliver(sim *s);
void lie_sealed_record(sim *s);

#endif
