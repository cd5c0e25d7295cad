/* The secure-aggregation round as three state machines: coordinator, site (a hospital that uploads), member (a holder
 * of key shares). Layer: round. docs/design/round.md has the protocol, docs/formats/round-messages.md the bytes.
 *
 * Sans I/O: messages and the time go in, *effects* come out, in the order in which they must happen. A JOURNAL effect
 * must be durable before any later effect of the list leaves; a machine that is rebuilt from its journal then never
 * contradicts what left it. Messages may be lost, doubled, reordered and changed: every one may be sent again, and
 * none is believed for its sender. One-time keys, shares and encryption noise come from the operating system;
 * everything else that a machine does follows from its input.
 *
 * A machine serves one task and belongs to one thread at a time. When a function fails, the machine is unchanged and
 * nothing was added to the effects, unless it says otherwise.
 */
#ifndef MEDSECUREFL_MACHINE_H
#define MEDSECUREFL_MACHINE_H

#include "medsecurefl/roster.h"
#include "medsecurefl/round.h"

MSFL_BEGIN_DECLS

/* --- effects --- */

typedef enum msfl_effect_kind {
    MSFL_EFFECT_JOURNAL = 1, /**< append to this machine's journal and make durable */
    MSFL_EFFECT_SEND = 2,    /**< send to party `to` */
    MSFL_EFFECT_RECORD = 3,  /**< a finished round's transcript (medsecurefl/transcript.h): keep */
    MSFL_EFFECT_DROP = 4     /**< the spool may forget all rounds up to `number` */
} msfl_effect_kind;

typedef struct msfl_effect {
    msfl_effect_kind kind;
    uint32_t to; /**< party, or MSFL_COORDINATOR */
    uint8_t *bytes;
    size_t length;
    uint64_t number; /**< DROP */
} msfl_effect;

/** Zero-initialise; machines append. */
typedef struct msfl_effects {
    msfl_effect *items;
    size_t n, capacity;
} msfl_effects;

/** Drop all effects (after they were carried out); the list may be used again. */
MSFL_API void msfl_effects_clear(msfl_effects *effects);

/** No message is longer: the largest is a release for 10,000 clients. */
#define MSFL_MESSAGE_BYTES_MAX (UINT64_C(1) << 30)

/**
 * Where ciphertexts are kept: a coordinator's copies of all uploads of the round, a site's own upload until it is
 * acknowledged. Ciphertexts are not secret. `put` must be durable before the next JOURNAL effect is; `get` fills
 * exactly `length` bytes or fails. What may be forgotten is said by DROP effects.
 */
typedef struct msfl_spool {
    void *self;
    msfl_status (*put)(void *self, uint64_t number, uint32_t client, uint64_t chunk, const uint8_t *bytes,
                       size_t length);
    msfl_status (*get)(void *self, uint64_t number, uint32_t client, uint64_t chunk, uint8_t *bytes, size_t length);
} msfl_spool;

/* --- the announcement --- */

/** Who can open the answers. */
typedef enum msfl_delivery {
    MSFL_DELIVERY_COORDINATOR = 1, /**< the coordinator learns the sum, and makes the next model */
    MSFL_DELIVERY_CLIENTS = 2      /**< the clients of the cohort do; the coordinator never sees it */
} msfl_delivery;

/** All that a round is. Its hash is the round id, which seeds the public polynomials. */
typedef struct msfl_announcement {
    msfl_round_info info;              /**< `authority` is the hash of the roster */
    uint64_t deadline_ms;              /**< on the coordinator's clock */
    uint8_t previous[MSFL_HASH_BYTES]; /**< hash of the task's transcript before this round; zero for the first */
    msfl_delivery delivery;
} msfl_announcement;

/** BLAKE2b of the announcement's bytes, domain "msfl.round.v2". */
MSFL_API void msfl_announcement_id(const msfl_announcement *announcement, uint8_t out[MSFL_HASH_BYTES]);

/* --- coordinator --- */

typedef struct msfl_coordinator msfl_coordinator;

typedef enum msfl_phase {
    MSFL_PHASE_IDLE = 0,   /**< no round is open */
    MSFL_PHASE_COLLECTING, /**< uploads are taken */
    MSFL_PHASE_CERTIFYING, /**< the cohort is fixed; members are asked to sign it */
    MSFL_PHASE_RELEASING,  /**< t members signed; all are asked for their sums of shares */
    MSFL_PHASE_OPENED,     /**< the sum may be opened; waits for msfl_coordinator_finish */
} msfl_phase;

typedef struct msfl_coordinator_config {
    const msfl_roster *roster;          /**< borrowed */
    const msfl_identity_secret *secret; /**< borrowed; must be the roster's coordinator */
    const msfl_packed *ctx;             /**< borrowed; for the parameters of all rounds of this machine */
    uint8_t task[MSFL_HASH_BYTES];
    msfl_spool spool;
    uint64_t resend_ms; /**< how long a message is waited for before it is sent again; 0: 2000 */
} msfl_coordinator_config;

/** ERR_USAGE, ERR_MISMATCH if the secret is not the coordinator's. */
MSFL_API MSFL_NODISCARD msfl_status msfl_coordinator_new(const msfl_coordinator_config *config, msfl_coordinator **out);
MSFL_API void msfl_coordinator_free(msfl_coordinator *c);
/** One journal record, in the order in which they were written, before anything else. ERR_FORMAT, ERR_MISMATCH for a
 *  record that is not this machine's or does not follow. */
MSFL_API MSFL_NODISCARD msfl_status msfl_coordinator_replay(msfl_coordinator *c, const uint8_t *record, size_t length);

/** What the next round is about. */
typedef struct msfl_round_offer {
    uint8_t model[MSFL_HASH_BYTES];
    uint8_t layout[MSFL_HASH_BYTES];
    uint32_t min_cohort;
    uint64_t n_values;
    uint64_t deadline_ms;
    msfl_delivery delivery;
} msfl_round_offer;

/** Open the next round (numbers count up, whatever became of the last) and announce it. ERR_POLICY unless IDLE. */
MSFL_API MSFL_NODISCARD msfl_status msfl_coordinator_open(msfl_coordinator *c, uint64_t now_ms,
                                                          const msfl_round_offer *offer, msfl_effects *effects);
/**
 * A message from party `from`, as the transport authenticated it. A failure says what was wrong with the message; the
 * round goes on. A chunk may have reached the spool.
 *
 * @retval MSFL_ERR_FORMAT    not a message of this version
 * @retval MSFL_ERR_CRYPTO    a signature or hash that does not hold
 * @retval MSFL_ERR_MISMATCH  of another round, or not from whom it says
 * @retval MSFL_ERR_POLICY    not in this phase, not from this party
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_coordinator_receive(msfl_coordinator *c, uint64_t now_ms, uint32_t from,
                                                             const uint8_t *message, size_t length,
                                                             msfl_effects *effects);
/** Time passes: closes the uploads when all are in or the deadline is over, and sends again what was not answered. */
MSFL_API MSFL_NODISCARD msfl_status msfl_coordinator_tick(msfl_coordinator *c, uint64_t now_ms, msfl_effects *effects);
/** What party `to` should hear now: for transports in which the hospitals dial out and ask. */
MSFL_API MSFL_NODISCARD msfl_status msfl_coordinator_poll(msfl_coordinator *c, uint32_t to, msfl_effects *effects);
/** Close the uploads before the deadline. ERR_POLICY below the minimum cohort. */
MSFL_API MSFL_NODISCARD msfl_status msfl_coordinator_close(msfl_coordinator *c, uint64_t now_ms, msfl_effects *effects);
/**
 * Give the round up; it stands in the transcript as aborted. `reason`: at most 200 bytes of text. ERR_POLICY once a
 * sum was opened. A round that has got as far as RELEASING should rather be completed: members that answered take part
 * in no second round on the same model.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_coordinator_abort(msfl_coordinator *c, const char *reason,
                                                           msfl_effects *effects);

MSFL_API msfl_phase msfl_coordinator_phase(const msfl_coordinator *c);
/** The open round; NULL while IDLE. */
MSFL_API const msfl_announcement *msfl_coordinator_round(const msfl_coordinator *c);
/** Clients of the cohort (from CERTIFYING on), ascending; before, those whose upload is complete. */
MSFL_API const uint32_t *msfl_coordinator_cohort(const msfl_coordinator *c, size_t *n);
/** Members (party numbers) whose answers contradict the opened sum: each of them cheats or is broken. */
MSFL_API const uint32_t *msfl_coordinator_cheats(const msfl_coordinator *c, size_t *n);
/** Number of the round that is open or was the last (0: none yet), and the hash that the next one will name as its
 *  predecessor; `chain` may be NULL. */
MSFL_API uint64_t msfl_coordinator_number(const msfl_coordinator *c, uint8_t chain[MSFL_HASH_BYTES]);
/** Chunks of this client's upload that were taken in the open round, in order. */
MSFL_API uint64_t msfl_coordinator_chunks(const msfl_coordinator *c, uint32_t client);
/** What the member at this place of the committee did in the open round; either may be NULL. */
MSFL_API void msfl_coordinator_member(const msfl_coordinator *c, uint32_t place, bool *voted, bool *answered);
/** The exact sums of chunk `j`, as msfl_packed_open. OPENED only. ERR_POLICY in a round that is delivered to clients.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_coordinator_total(msfl_coordinator *c, uint64_t j, uint64_t *totals);
/** End the round: its transcript, signed, goes to the journal, to the caller and to all clients. `result` is a hash of
 *  what was made of the sum (msfl_result_hash for the sum itself). */
MSFL_API MSFL_NODISCARD msfl_status msfl_coordinator_finish(msfl_coordinator *c, const uint8_t result[MSFL_HASH_BYTES],
                                                            msfl_effects *effects);

/* --- member --- */

typedef struct msfl_member msfl_member;

typedef struct msfl_member_config {
    const msfl_roster *roster;          /**< borrowed */
    const msfl_identity_secret *secret; /**< borrowed */
    uint32_t party;                     /**< a member of the roster's committee */
    uint8_t task[MSFL_HASH_BYTES];
    uint32_t min_cohort;    /**< its own: 3 or more, 2 where the operator allowed two sites by name; 0: 3 */
    uint32_t security_bits; /**< at least; 0: 128 */
} msfl_member_config;

enum { MSFL_MEMBER_ROUNDS_MAX = 65536 /**< rounds that a member answers for one task: it forgets none of them */ };

MSFL_API MSFL_NODISCARD msfl_status msfl_member_new(const msfl_member_config *config, msfl_member **out);
MSFL_API void msfl_member_free(msfl_member *m);
MSFL_API MSFL_NODISCARD msfl_status msfl_member_replay(msfl_member *m, const uint8_t *record, size_t length);
/**
 * A proposal of a cohort, or the request to release.
 *
 * Signs at most one cohort per round number, never for a number below the last, never for fewer than its minimum, never
 * for a second round on a (model, layout, roster) that it answered. Answers only what t members signed, with the
 * sum of its shares over exactly that cohort; asked again, it repeats the same bytes.
 *
 * @retval MSFL_ERR_POLICY  refused by one of these rules
 * @retval MSFL_ERR_CRYPTO  a signature does not hold, or a share bundle does not open (the message names the client)
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_member_receive(msfl_member *m, uint32_t from, const uint8_t *message,
                                                        size_t length, msfl_effects *effects);

/* --- site --- */

typedef struct msfl_site msfl_site;

typedef enum msfl_site_phase {
    MSFL_SITE_IDLE = 0,   /**< nothing to do */
    MSFL_SITE_OFFERED,    /**< a round was announced and found good; waits for msfl_site_start */
    MSFL_SITE_ENCRYPTING, /**< has a key; waits for msfl_site_encrypt and msfl_site_finish */
    MSFL_SITE_UPLOADING,  /**< the upload is sealed; it is sent until it is acknowledged */
    MSFL_SITE_WAITING,    /**< acknowledged; waits for the end of the round */
} msfl_site_phase;

typedef struct msfl_site_config {
    const msfl_roster *roster;          /**< borrowed */
    const msfl_identity_secret *secret; /**< borrowed */
    uint32_t client;
    uint8_t task[MSFL_HASH_BYTES];
    uint32_t min_cohort;            /**< its own: 3 or more, 2 where the operator allowed two sites by name; 0: 3 */
    uint32_t security_bits;         /**< at least; 0: 128 */
    bool allow_coordinator_custody; /**< only where the operator named it */
    msfl_spool spool;
} msfl_site_config;

MSFL_API MSFL_NODISCARD msfl_status msfl_site_new(const msfl_site_config *config, msfl_site **out);
MSFL_API void msfl_site_free(msfl_site *s);
MSFL_API MSFL_NODISCARD msfl_status msfl_site_replay(msfl_site *s, const uint8_t *record, size_t length);
MSFL_API MSFL_NODISCARD msfl_status msfl_site_receive(msfl_site *s, uint64_t now_ms, const uint8_t *message,
                                                      size_t length, msfl_effects *effects);
MSFL_API msfl_site_phase msfl_site_phase_of(const msfl_site *s);
/** The round that is offered or under way; NULL while IDLE. */
MSFL_API const msfl_announcement *msfl_site_round(const msfl_site *s);
/**
 * Take part: draws the one-time key. `model` and `layout` are what this hospital trains from and encodes; ERR_MISMATCH
 * unless they are the announced ones. `ctx` is borrowed until the upload is finished. The round's number is used up,
 * also if this hospital crashes before it has finished: the key is never written down.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_site_start(msfl_site *s, const msfl_packed *ctx,
                                                    const uint8_t model[MSFL_HASH_BYTES],
                                                    const uint8_t layout[MSFL_HASH_BYTES], msfl_effects *effects);
/** Encrypt chunk `j`, in order 0, 1, ...; it goes to the spool and out. When the spool fails, the round is given up. */
MSFL_API MSFL_NODISCARD msfl_status msfl_site_encrypt(msfl_site *s, uint64_t j, const uint32_t *slots,
                                                      msfl_effects *effects);
/** After the last chunk: share the key, sign the upload, forget the key (also when this fails). */
MSFL_API MSFL_NODISCARD msfl_status msfl_site_finish(msfl_site *s, msfl_effects *effects);
/** Send again what the coordinator has not acknowledged. */
MSFL_API MSFL_NODISCARD msfl_status msfl_site_resend(msfl_site *s, msfl_effects *effects);
/** Number of the last round in which this site used a key; 0 if none. */
MSFL_API uint64_t msfl_site_last(const msfl_site *s);

MSFL_END_DECLS

#endif
