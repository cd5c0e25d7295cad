/* Journal records: what a machine must not forget. Bytes: docs/formats/round-messages.md.
 *
 * A machine changes its durable state in one way only: it makes a record, queues it as an effect, and applies it; after
 * a restart the same records are applied again. So what is rebuilt is what was there.
 */
#ifndef MSFL_ROUND_JOURNAL_H
#define MSFL_ROUND_JOURNAL_H

#include "round/effects.h"

typedef enum msfl_journal_kind {
    MSFL_JOURNAL_OPEN = 1,     /* coordinator: announcement and its signature */
    MSFL_JOURNAL_UPLOAD = 2,   /* coordinator: an upload message whose chunks are all in the spool */
    MSFL_JOURNAL_COHORT = 3,   /* coordinator: the cohort is closed */
    MSFL_JOURNAL_OPENED = 4,   /* coordinator: the key sum, and who certified and answered */
    MSFL_JOURNAL_FINISHED = 5, /* coordinator: the transcript of the round */
    MSFL_JOURNAL_VOTED = 6,    /* member: number, round id, H(U) */
    MSFL_JOURNAL_ANSWERED = 7, /* member: number, round id, H(U), what it was about, digest of the answer */
    MSFL_JOURNAL_JOINED = 8,   /* site: announcement and its signature */
    MSFL_JOURNAL_SEALED = 9,   /* site: the upload message */
    MSFL_JOURNAL_RECEIPT = 10, /* site: the coordinator's receipt */
    MSFL_JOURNAL_HISTORY = 11, /* site: number and hash of a transcript it has seen */
    MSFL_JOURNAL_CERTIFIED =
        12,                   /* coordinator: t signatures under the cohort; members are asked to answer from now on */
    MSFL_JOURNAL_ANSWER = 13, /* coordinator: a member's answer to the hospitals */
    MSFL_JOURNAL_REPORT = 14, /* coordinator: what a hospital signed about the sum it opened */
    MSFL_JOURNAL_REPORTED = 15, /* site: number, round id and result of a sum that it opened */
    MSFL_JOURNAL_LAST = MSFL_JOURNAL_REPORTED
} msfl_journal_kind;

enum { MSFL_JOURNAL_HEAD = 44 };

/** Begin a record of this task. */
void msfl_journal_put(msfl_buffer *out, msfl_journal_kind kind, const uint8_t task[MSFL_HASH_BYTES]);
/** ERR_FORMAT, ERR_UNSUPPORTED, or ERR_MISMATCH for another task's. */
MSFL_NODISCARD msfl_status msfl_journal_read(const uint8_t *record, size_t length, const uint8_t task[MSFL_HASH_BYTES],
                                             msfl_journal_kind *kind, msfl_reader *body);
/** The failure of a record that does not fit what came before it. */
MSFL_NODISCARD msfl_status msfl_journal_bad(msfl_journal_kind kind);

#endif
