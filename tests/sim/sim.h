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
#include "round/guard.h"
#include "round/journal.h"
#include "round/share.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SIM_CLIENTS_MAX = 6,
    SIM_PARTIES_MAX = SIM_CLIENTS_MAX + 1,
    SIM_NODES_MAX = 1 + 2 * SIM_PARTIES_MAX,
    SIM_CHUNKS_MAX = 3
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

#define LIST(type, name)                                                                                               \
    type *name;                                                                                                        \
    size_t n_##name, name##_capacity

typedef struct sim {
    uint64_t seed, now, healed_at;
    msfl_seeded g;
    bool lying, healed;
    uint32_t n, k, t, f, min_cohort, n_parties;
    uint32_t site_min, member_min; /* what the parties' own rules say */
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
    LIST(blob, said); /* messages that a liar may repeat */
    uint64_t opened, opened_healed, aborted, n_events;
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
bool sim_run(uint64_t seed, char *why, size_t why_length, uint64_t totals[6]);

/* check.c: every message that leaves a party, before the network has it. */
void check_sent(sim *s, node *from, uint32_t to, const uint8_t *bytes, size_t length);
void check_record(sim *s, const uint8_t *bytes, size_t length);
void check_history(sim *s, const node *site, const msfl_announcement *a);
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

#endif
