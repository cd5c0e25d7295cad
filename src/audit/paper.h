/* The papers in a record's folder, as bytes: names, statements, receipts, and what ties them to a job. */
#ifndef MSFL_AUDIT_PAPER_H
#define MSFL_AUDIT_PAPER_H

#include "medsecurefl/audit.h"
#include "round/message.h"
#include "round/statement.h"

/* Bounds of files. The longest transcript: 10,000 statements under 16 members are 6.2 MB. */
enum { AUDIT_JOB_BYTES_MAX = 1 << 20, AUDIT_RECORD_BYTES_MAX = 16 << 20, AUDIT_PAPER_BYTES_MAX = 4096 };
enum { AUDIT_INDEX_MAX = 999999, AUDIT_FILES_MAX = 300000 };

#define AUDIT_FILE_JOB "job.json"

typedef enum audit_kind {
    AUDIT_RECEIPT = 0,
    AUDIT_STATEMENT = 1,
    AUDIT_RECORD = 2, /* the order of their names */
    AUDIT_KINDS = 3,
    AUDIT_JOB,
    AUDIT_ROSTER,
    AUDIT_PASSED_OVER, /* hidden, or left by a write that was interrupted */
    AUDIT_UNKNOWN
} audit_kind;

typedef enum audit_finding {
#define AUDIT_FINDING_ENUM(name, text, status) AUDIT_##name,
    MSFL_AUDIT_FINDINGS(AUDIT_FINDING_ENUM)
#undef AUDIT_FINDING_ENUM
} audit_finding;

/** The finding's status, with its name in front of the message. */
msfl_status audit_fail(audit_finding finding, const char *fmt, ...) MSFL_PRINTF(2, 3);
/** What another function found, under this name; running out of memory, or a file that cannot be read, stays what it
 *  is. */
msfl_status audit_fail_as(audit_finding finding, msfl_status status, const char *file);

/** What a name in the folder is. `number`: index of a paper, epoch of a roster. */
audit_kind audit_name_read(const char *name, uint32_t *number);
/** "000012.receipt"; "roster-7.yaml". `out` holds 32. */
void audit_name_write(audit_kind kind, uint32_t number, char out[32]);

/** H("msfl.job.v1", F(job.json)). */
void audit_job_hash(const uint8_t *job, size_t length, uint8_t out[MSFL_HASH_BYTES]);
/** H("msfl.job.task.v1", job hash, roster hash). */
void audit_task(const uint8_t job[MSFL_HASH_BYTES], const uint8_t roster[MSFL_HASH_BYTES],
                uint8_t out[MSFL_HASH_BYTES]);

/** A statement's file, taken apart: pointers lead into the bytes. */
typedef struct audit_statement {
    const uint8_t *announce; /**< MSFL_ANNOUNCE_BODY */
    msfl_announcement announcement;
    uint8_t round_id[MSFL_HASH_BYTES];
    const uint8_t *statement;
    size_t length;
    uint32_t client;
    uint8_t ciphertext_hash[MSFL_HASH_BYTES];
} audit_statement;

/** The file: `MSAS`, version 1, announcement and its signature, statement. */
void audit_statement_write(const uint8_t *announce, const uint8_t *statement, size_t length, msfl_buffer *out);
/** Without a look at signatures. STATEMENT_MALFORMED. */
msfl_status audit_statement_read(const char *file, const uint8_t *bytes, size_t length,
                                 audit_statement *out) MSFL_NODISCARD;
/** Both signatures, under this roster. STATEMENT_CHANGED, STATEMENT_MALFORMED. */
msfl_status audit_statement_verify(const char *file, const audit_statement *s,
                                   const msfl_roster *roster) MSFL_NODISCARD;

/** A NEXT message. `round_id` leads into the bytes; `complete`: it says that it is a receipt. RECEIPT_MALFORMED. */
msfl_status audit_receipt_read(const char *file, const uint8_t *bytes, size_t length, const uint8_t **round_id,
                               bool *complete, const uint8_t **signature) MSFL_NODISCARD;
/** Whether a message is the coordinator's receipt for this statement. RECEIPT_MALFORMED, RECEIPT_CHANGED. */
msfl_status audit_receipt_verify(const char *file, const uint8_t *bytes, size_t length, const audit_statement *s,
                                 const msfl_roster *roster) MSFL_NODISCARD;

/** The announcement in a transcript, not verified. RECORD_MALFORMED. */
msfl_status audit_record_peek(const char *file, const uint8_t *bytes, size_t length, msfl_announcement *announcement,
                              uint8_t round_id[MSFL_HASH_BYTES]) MSFL_NODISCARD;

#endif
