/* What every message begins with, and the announcement of a round. Bytes: docs/formats/round-messages.md. */
#ifndef MSFL_ROUND_MESSAGE_H
#define MSFL_ROUND_MESSAGE_H

#include "base/bytes.h"
#include "base/sodium.h"
#include "medsecurefl/machine.h"

typedef enum msfl_message_kind {
    MSFL_MSG_ANNOUNCE = 1, /* coordinator -> all: a round is open */
    MSFL_MSG_NEXT = 2,     /* coordinator -> client: the chunk that is wanted next, or the receipt */
    MSFL_MSG_CHUNK = 3,    /* client -> coordinator */
    MSFL_MSG_UPLOAD = 4,   /* client -> coordinator: statement and share bundles */
    MSFL_MSG_PROPOSE = 5,  /* coordinator -> member: sign this cohort */
    MSFL_MSG_VOTE = 6,     /* member -> coordinator */
    MSFL_MSG_RELEASE = 7,  /* coordinator -> member: t votes, and the bundles for it */
    MSFL_MSG_ANSWER = 8,   /* member -> coordinator: the sum of its shares */
    MSFL_MSG_RECORD = 9,   /* coordinator -> all: the transcript of the round */
    MSFL_MSG_DELIVER = 10, /* coordinator -> client: cohort, votes, answers that it can open, hash of the folded sum */
    MSFL_MSG_REPORT = 11,  /* client -> coordinator: the sum it opened, as a hash */
    MSFL_MSG_LAST = MSFL_MSG_REPORT
} msfl_message_kind;

enum {
    MSFL_FRAME_BYTES = 48,
    MSFL_ANNOUNCEMENT_BYTES = 356,
    MSFL_ANNOUNCE_BODY = MSFL_ANNOUNCEMENT_BYTES + MSFL_SIGN_BYTES
};

/** A message taken apart as far as its head. */
typedef struct msfl_frame {
    msfl_message_kind kind;
    uint32_t sender;
    const uint8_t *round_id;
    msfl_reader body;
} msfl_frame;

void msfl_frame_put(msfl_buffer *out, msfl_message_kind kind, uint32_t sender, const uint8_t round_id[MSFL_HASH_BYTES]);
/** ERR_FORMAT, ERR_UNSUPPORTED, ERR_LIMIT. */
MSFL_NODISCARD msfl_status msfl_frame_read(const uint8_t *message, size_t length, msfl_frame *out);
/** ERR_FORMAT unless the body was read to its end and not beyond. */
MSFL_NODISCARD msfl_status msfl_frame_end(const msfl_frame *frame, const char *what);

void msfl_announcement_write(const msfl_announcement *a, uint8_t out[MSFL_ANNOUNCEMENT_BYTES]);
/** ERR_FORMAT for bytes that no announcement has; the numbers in it are checked (msfl_round_info_check). */
MSFL_NODISCARD msfl_status msfl_announcement_read(const uint8_t bytes[MSFL_ANNOUNCEMENT_BYTES], msfl_announcement *out);
/** Announcement and the coordinator's signature: MSFL_ANNOUNCE_BODY bytes. */
void msfl_announcement_sign(const msfl_announcement *a, const msfl_identity_secret *coordinator, uint8_t *out);
/**
 * Read a signed announcement: for this roster and task, by its coordinator.
 * @retval MSFL_ERR_CRYPTO    not signed by the roster's coordinator
 * @retval MSFL_ERR_MISMATCH  another roster or task
 */
MSFL_NODISCARD msfl_status msfl_announcement_verify(const uint8_t bytes[MSFL_ANNOUNCE_BODY], const msfl_roster *roster,
                                                    const uint8_t task[MSFL_HASH_BYTES], msfl_announcement *out,
                                                    uint8_t id[MSFL_HASH_BYTES]);

/** What a hospital's own rules say to a round: its minimum cohort, its level, and what parameters it can hold. */
typedef struct msfl_rules {
    uint32_t min_cohort, security_bits;
} msfl_rules;

/** Zero means the default; ERR_POLICY for a minimum of one. */
MSFL_NODISCARD msfl_status msfl_rules_init(uint32_t min_cohort, uint32_t security_bits, msfl_rules *out);

/* --- transfer of secrets to the holder of an X25519 key --- */

/** Key for one transfer: hash of the shared secret, both public keys and `context`. ERR_CRYPTO for a bad key. */
MSFL_NODISCARD msfl_status msfl_transfer_key(const char *label, const uint8_t own_secret[32], const uint8_t other[32],
                                             const uint8_t ephemeral[32], const uint8_t receiver[32],
                                             const uint8_t *context, size_t length, uint8_t key[MSFL_AEAD_KEY_BYTES]);

#endif
