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
    MSFL_PHASE_DELIVERING, /**< delivery to clients: t members answered; the hospitals are handed answers and folded
                              sum, and report; waits for msfl_coordinator_finish */
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
/** Free; NULL is fine. */
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

/** Open the next round (numbers count up, whatever became of the last) and announce it. ERR_POLICY unless IDLE, for
 *  another delivery than the rounds of this task had before, and for delivery to clients where the coordinator holds
 * the keys. */
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
/** What party `to` should hear now: for transports in which the hospitals dial out and ask. ERR_USAGE: there is no such
 *  party. On any error `effects` is as before. */
MSFL_API MSFL_NODISCARD msfl_status msfl_coordinator_poll(msfl_coordinator *c, uint32_t to, msfl_effects *effects);
/** Close the uploads before the deadline. ERR_POLICY below the minimum cohort. */
MSFL_API MSFL_NODISCARD msfl_status msfl_coordinator_close(msfl_coordinator *c, uint64_t now_ms, msfl_effects *effects);
/**
 * Give the round up; it stands in the transcript as aborted. `reason`: at most 200 bytes of text. ERR_POLICY once a
 * sum was opened. A round that has got as far as RELEASING should rather be completed: members that answered take part
 * in no second round on the same model. While DELIVERING hospitals may have opened the sum; they make no model of one
 * whose round is recorded as aborted.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_coordinator_abort(msfl_coordinator *c, const char *reason,
                                                           msfl_effects *effects);

/** Where the machine is in its round. */
MSFL_API msfl_phase msfl_coordinator_phase(const msfl_coordinator *c);
/** The open round; NULL while IDLE. */
MSFL_API const msfl_announcement *msfl_coordinator_round(const msfl_coordinator *c);
/** Clients of the cohort (from CERTIFYING on), ascending; before, those whose upload is complete. */
MSFL_API const uint32_t *msfl_coordinator_cohort(const msfl_coordinator *c, size_t *n);
/** Members (party numbers) whose answers contradict the opened sum: each of them cheats or is broken. With delivery to
 *  clients, those that at least min_cohort hospitals report as such. */
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
/**
 * Chunk `j` of the folded sum of ciphertexts, for the hospitals (msfl_site_folded): msfl_packed_chunk_bytes, in the
 * format of a ciphertext. DELIVERING only: else ERR_POLICY; ERR_USAGE: there is no chunk `j`. The first call after a
 * restart folds all uploads from the spool anew, and may fail as the spool does.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_coordinator_folded(msfl_coordinator *c, uint64_t j, uint8_t *bytes);

/** How a hospital came by the sum that it opened. */
typedef enum msfl_fold {
    MSFL_FOLD_TAKEN = 1, /**< it took the coordinator's */
    MSFL_FOLD_OWN = 2    /**< it folded the cohort's ciphertexts itself, each as its hospital signed it */
} msfl_fold;

/** What a hospital signed about the sum that it opened. */
typedef struct msfl_report {
    uint32_t client;
    msfl_fold fold;
    uint32_t wrong;                  /**< places of members whose answers do not belong to the sum, one bit each */
    uint8_t result[MSFL_HASH_BYTES]; /**< hash of the sum and of what was made of it; tells nothing of either */
} msfl_report;

/** The report of hospital `client`; false if it has not reported (yet). */
MSFL_API bool msfl_coordinator_report(const msfl_coordinator *c, uint32_t client, msfl_report *out);
/**
 * The result that most hospitals report, and how many do. True if the round can be finished with it: at least
 * min_cohort agree (two above those that may collude, so two honest ones are among them), and no other result has as
 * many.
 */
MSFL_API bool msfl_coordinator_agreed(const msfl_coordinator *c, uint8_t result[MSFL_HASH_BYTES], uint32_t *n_agree);
/** The name of the model that follows from `model` by a round with `result`: for announcements by a coordinator that
 *  knows neither. Domain "msfl.round.model-after.v1". */
MSFL_API void msfl_model_after(const uint8_t model[MSFL_HASH_BYTES], const uint8_t result[MSFL_HASH_BYTES],
                               uint8_t out[MSFL_HASH_BYTES]);

/** End the round: its transcript, signed, goes to the journal, to the caller and to all clients. `result` is a hash of
 *  what was made of the sum (msfl_result_hash for the sum itself); with delivery to clients, the one that the hospitals
 *  agreed on (msfl_coordinator_agreed): ERR_POLICY for another. */
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

/** A member without memory: replay its journal next. ERR_USAGE; ERR_MISMATCH if the secret is not the party's. */
MSFL_API MSFL_NODISCARD msfl_status msfl_member_new(const msfl_member_config *config, msfl_member **out);
/** Free; NULL is fine. */
MSFL_API void msfl_member_free(msfl_member *m);
/** One journal record, in the order in which they were written. ERR_FORMAT; ERR_MISMATCH for one that does not follow.
 */
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
    MSFL_SITE_DELIVERED,  /**< has the committee's answers; waits for the folded sum (msfl_site_folded) */
    MSFL_SITE_OPENED,     /**< the sum is open (msfl_site_total); waits for msfl_site_report */
    MSFL_SITE_REPORTED,   /**< told the others what it opened; waits for the record, which must say the same */
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
    msfl_delivery delivery; /**< takes part only in rounds that are delivered so; 0: in either */
} msfl_site_config;

/** A site without memory: replay its journal next. ERR_USAGE; ERR_MISMATCH if the secret is not the client's. */
MSFL_API MSFL_NODISCARD msfl_status msfl_site_new(const msfl_site_config *config, msfl_site **out);
/** Free; NULL is fine. */
MSFL_API void msfl_site_free(msfl_site *s);
/** One journal record, in the order in which they were written. ERR_FORMAT; ERR_MISMATCH for one that does not follow.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_site_replay(msfl_site *s, const uint8_t *record, size_t length);
/**
 * A message from the coordinator. What it brings shows in the phase. A delivery whose answers do not open the sum that
 * is already there gives ERR_CRYPTO and is kept: further answers may help.
 *
 * @retval MSFL_ERR_FORMAT    not a message of this version
 * @retval MSFL_ERR_CRYPTO    a signature or hash that does not hold; a delivered sum with an upload in this hospital's
 * name that it did not make
 * @retval MSFL_ERR_POLICY    against this hospital's rules, or not its turn: an announcement, a delivery or a record
 * that passes over what this site has to see first (the message says what)
 * @retval MSFL_ERR_MISMATCH  of another roster, task or history; a record of another sum than this site opened; a
 *                            delivery without an upload that was acknowledged
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_site_receive(msfl_site *s, uint64_t now_ms, const uint8_t *message,
                                                      size_t length, msfl_effects *effects);
/** Where the machine is in its round. */
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
/* Delivery to the clients: every hospital of the roster, whether its update is in the sum or not, opens it for itself.
 * The message that brings DELIVERED carries everything but the folded sum, and needs nothing that came before it. */

/**
 * Chunk `j` of the folded sum as the coordinator hands it out, in any order; `ctx` is borrowed until the site is IDLE.
 * With the last one the sum is held to the hash that the coordinator signed, t answers are found that open it, and the
 * site is OPENED.
 *
 * @retval MSFL_ERR_FORMAT  not a chunk j of this round
 * @retval MSFL_ERR_CRYPTO  not the sum that the coordinator signed: all chunks are wanted again. Or no t of the answers
 *                          open it: the message says whether further answers may help. Then the chunks stay, the next
 *                          delivery that brings an answer tries again, and so does any further call.
 * @retval MSFL_ERR_POLICY  not DELIVERED
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_site_folded(msfl_site *s, const msfl_packed *ctx, uint64_t j,
                                                     const uint8_t *bytes, size_t length);
/**
 * Instead of trusting the coordinator's fold: chunk `j` of the upload of `client`, uploads in the order of
 * msfl_site_cohort, chunks in order. Each upload is held to the hash that its hospital signed, the sum to the one that
 * the coordinator signed.
 *
 * @retval MSFL_ERR_CRYPTO    the upload is not the one that its hospital signed (all begin anew), or as above
 * @retval MSFL_ERR_MISMATCH  the coordinator signed another sum than that of the uploads: it folded wrongly
 * @retval MSFL_ERR_USAGE     another chunk is due
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_site_fold_upload(msfl_site *s, const msfl_packed *ctx, uint32_t client,
                                                          uint64_t j, const uint8_t *bytes, size_t length);
/** The clients whose updates are in the sum, ascending; from DELIVERED on. NULL before. */
MSFL_API const uint32_t *msfl_site_cohort(const msfl_site *s, size_t *n);
/** The exact sums of chunk `j`, as msfl_packed_open. OPENED, or REPORTED since the last restart; ERR_POLICY
 * otherwise. ERR_CRYPTO as msfl_packed_open. Any number of threads. */
MSFL_API MSFL_NODISCARD msfl_status msfl_site_total(const msfl_site *s, uint64_t j, uint64_t *totals);
/** Places of members whose answers do not belong to the opened sum, one bit each. */
MSFL_API uint32_t msfl_site_wrong(const msfl_site *s);
/**
 * Tell the others what was opened, and made of it: `made` is the hash of the new model, or NULL. Neither can be read
 * off the report. Once for every round (ERR_POLICY unless OPENED), and only when the new model is in a safe place:
 * after a restart the site does not open the round again. The model counts when the record of the round has come,
 * msfl_site_settled.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_site_report(msfl_site *s, const uint8_t *made, msfl_effects *effects);
/** What this site reported of the last round that it opened; returns the round's number, 0 if there is none. */
MSFL_API uint64_t msfl_site_result(const msfl_site *s, uint8_t result[MSFL_HASH_BYTES]);
/** Number of the newest round whose record says what this site reported: the model made of it counts. 0: none. */
MSFL_API uint64_t msfl_site_settled(const msfl_site *s);
/**
 * Go on after a record (the transcript's bytes) of a round whose sum this site did not open, or opened to something
 * else. By its operator's decision: the model comes from another hospital. ERR_MISMATCH: a record of another task, or
 * one that does not continue the last one seen.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_site_adopt(msfl_site *s, const uint8_t *record, size_t length,
                                                    msfl_effects *effects);

/** Number of the last round in which this site used a key; 0 if none. */
MSFL_API uint64_t msfl_site_last(const msfl_site *s);

MSFL_END_DECLS

#endif
