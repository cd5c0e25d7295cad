/* The record of a job as a folder: what was announced, who took part, what was opened, and what a hospital itself sent
 * and was told. Writing it, and verifying it later without trust in who kept it. Layer: audit.
 * docs/formats/audit.md has the files.
 */
#ifndef MEDSECUREFL_AUDIT_H
#define MEDSECUREFL_AUDIT_H

#include "medsecurefl/provision.h"
#include "medsecurefl/transcript.h"

MSFL_BEGIN_DECLS

/* --- writing --- */

/**
 * Appends to one job's folder. Files appear whole and durable (temporary file, fsync, rename) or not at all, and
 * whatever is added may be added again, so a process that died goes on where it was. One process and one thread at a
 * time. A function that fails has changed nothing.
 */
typedef struct msfl_audit_writer msfl_audit_writer;

/**
 * Open the folder of a job, or make it. `job`: the exact bytes of the job description.
 * @retval MSFL_ERR_MISMATCH  the folder is that of another job
 * @retval MSFL_ERR_FORMAT    a file there is not what its name says
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_audit_writer_open(const char *folder, const uint8_t *job, size_t length,
                                                           msfl_audit_writer **out);
/** Free; NULL is fine. */
MSFL_API void msfl_audit_writer_free(msfl_audit_writer *w);

/** A roster under which rounds are run: the text of roster.yaml as it is signed, before the first record under it.
 *  ERR_MISMATCH if another one of this epoch is there. */
MSFL_API MSFL_NODISCARD msfl_status msfl_audit_add_roster(msfl_audit_writer *w, uint32_t epoch, const char *text,
                                                          size_t length);
/**
 * A finished round's transcript: a RECORD effect of the coordinator, or the bytes of the record message at a hospital.
 * Signatures are not verified here.
 * @retval MSFL_ERR_MISMATCH  of another job; or another record of this round is there
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_audit_add_record(msfl_audit_writer *w, const uint8_t *record, size_t length);

/**
 * At a hospital, before the upload leaves: the coordinator's announce message and the hospital's own upload message,
 * both whole. The signed announcement and the signed statement are kept.
 * @retval MSFL_ERR_FORMAT, MSFL_ERR_CRYPTO, MSFL_ERR_MISMATCH  not such messages of one round under `roster`; or
 * another statement about this round is there
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_audit_add_upload(msfl_audit_writer *w, const msfl_roster *roster,
                                                          const uint8_t *announce, size_t announce_length,
                                                          const uint8_t *upload, size_t upload_length);
/**
 * At a hospital: any NEXT message of the coordinator. Kept if it is a receipt, that is, says complete and is signed for
 * the statement that was added before; others are passed over.
 * @retval MSFL_ERR_CRYPTO   says complete, and is not signed for what was sent
 * @retval MSFL_ERR_MISSING  no statement of this round was added
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_audit_add_receipt(msfl_audit_writer *w, const msfl_roster *roster,
                                                           const uint8_t *next, size_t length);

/** Records in the folder, and the hash of the newest (zero if there is none): what is shown, and compared. */
MSFL_API uint32_t msfl_audit_writer_head(const msfl_audit_writer *w, uint8_t head[MSFL_HASH_BYTES]);

/* --- verifying --- */

/** What is wrong with a folder: the first word of the error message. */
#define MSFL_AUDIT_FINDINGS(X)                                                                                         \
    X(STRANGER, "unknown-file", MSFL_ERR_FORMAT)                        /* a name that nothing of a record has */      \
    X(JOB_MISSING, "job-missing", MSFL_ERR_MISSING)                     /* no job.json */                              \
    X(ROSTER_CHANGED, "roster-changed", MSFL_ERR_CRYPTO)                /* not signed by the consortium */             \
    X(ROSTER_MALFORMED, "roster-malformed", MSFL_ERR_FORMAT)            /* cut off, misnamed, of another federation */ \
    X(ROSTER_MISSING, "roster-missing", MSFL_ERR_MISSING)               /* a record names one that is not there */     \
    X(RECORD_MALFORMED, "record-malformed", MSFL_ERR_FORMAT)            /* cut off, or not a record */                 \
    X(RECORD_CHANGED, "record-changed", MSFL_ERR_CRYPTO)                /* a signature in it does not hold */          \
    X(RECORD_REFUSED, "record-against-the-rules", MSFL_ERR_POLICY)      /* too few signatures, answers, uploads */     \
    X(OTHER_JOB, "record-of-another-job", MSFL_ERR_MISMATCH)            /* or job.json was changed */                  \
    X(CHAIN_BROKEN, "chain-broken", MSFL_ERR_MISMATCH)                  /* does not continue the record before it */   \
    X(OUT_OF_ORDER, "record-out-of-order", MSFL_ERR_MISMATCH)           /* repeated, or exchanged with another */      \
    X(ROUNDS_MISSING, "rounds-missing", MSFL_ERR_MISSING)               /* records between two, or of an own upload */ \
    X(STATEMENT_MALFORMED, "statement-malformed", MSFL_ERR_FORMAT)      /* cut off, or not one */                      \
    X(STATEMENT_CHANGED, "statement-changed", MSFL_ERR_CRYPTO)          /* a signature in it does not hold */          \
    X(STATEMENT_OTHER, "statement-of-another-round", MSFL_ERR_MISMATCH) /* or of another hospital */                   \
    X(STATEMENT_MISSING, "statement-missing", MSFL_ERR_MISSING)         /* in the sum, and nothing kept of it */       \
    X(RECEIPT_MALFORMED, "receipt-malformed", MSFL_ERR_FORMAT)          /* cut off, or not one */                      \
    X(RECEIPT_CHANGED, "receipt-changed", MSFL_ERR_CRYPTO)              /* not the coordinator's for this statement */ \
    X(LEFT_OUT, "acknowledged-and-left-out", MSFL_ERR_POLICY)           /* a receipt, and not in the opened sum */     \
    X(NOT_SENT, "opened-what-was-not-sent", MSFL_ERR_CRYPTO)            /* another upload in its name is in the sum */

/** This hospital in one round. */
typedef enum msfl_audit_own {
    MSFL_AUDIT_OWN_UNKNOWN = 0, /**< nobody's own part is looked at, or not a hospital of this roster */
    MSFL_AUDIT_OWN_ABSENT,      /**< not in the sum, and sent nothing */
    MSFL_AUDIT_OWN_LATE,        /**< signed an upload that was never acknowledged, and is not in the sum */
    MSFL_AUDIT_OWN_LISTED,      /**< in the sum, by its own signature; what it sent is not kept here to compare with */
    MSFL_AUDIT_OWN_CONFIRMED,   /**< in the sum, and what it sent is what was opened */
    MSFL_AUDIT_OWN_UNOPENED,    /**< the round was aborted: nothing of it was opened with this record */
    MSFL_AUDIT_OWN_OPEN         /**< the record of the round is not here; only what was sent */
} msfl_audit_own;

/** "absent", "late", ...; static storage. */
MSFL_API const char *msfl_audit_own_name(msfl_audit_own own);

/** One round. Texts and lists live as long as the audit. */
typedef struct msfl_audit_round {
    uint32_t index;  /**< of its files: 1 is 000001 */
    uint32_t epoch;  /**< of the roster */
    uint64_t number; /**< counts from 1 under each roster */
    bool has_record;
    msfl_outcome outcome; /**< has_record */
    const char *reason;   /**< of an abort, the coordinator's words: show it with care; "" otherwise */
    const char *const *cohort;
    uint32_t n_cohort; /**< uploads in the sum */
    const char *const *signers;
    uint32_t n_signers; /**< members that certified the cohort */
    const char *const *answerers;
    uint32_t n_answerers; /**< members that answered */
    const char *const *reporters;
    uint32_t n_reporters; /**< delivery to clients: hospitals that opened the sum themselves and signed this result */
    const char *const *dissenters;
    uint32_t n_dissenters; /**< and those that signed another */
    uint32_t members, threshold, min_cohort;
    msfl_delivery delivery;
    uint64_t n_values, deadline_ms;
    uint8_t round_id[MSFL_HASH_BYTES], record[MSFL_HASH_BYTES]; /**< record: what the next one names */
    uint8_t model[MSFL_HASH_BYTES], layout[MSFL_HASH_BYTES], result[MSFL_HASH_BYTES];
    msfl_audit_own own;
    bool acknowledged;               /**< the coordinator's receipt for the own upload is here */
    uint8_t sent[MSFL_HASH_BYTES];   /**< of the own ciphertext, as signed; zero: no statement here */
    uint8_t opened[MSFL_HASH_BYTES]; /**< of the ciphertext in this hospital's name in the sum; zero: none */
} msfl_audit_round;

typedef struct msfl_audit_facts {
    char federation[MSFL_PROVISION_NAME_MAX + 1];
    uint8_t fingerprint[MSFL_PROVISION_FINGERPRINT_BYTES];
    uint8_t consortium[32];
    bool is_pinned; /**< the consortium key came from the caller; else from the folder, and is to be compared */
    uint8_t job[MSFL_HASH_BYTES];
    uint64_t job_bytes;
    msfl_custody custody;                  /**< of the newest roster; 0: none is there */
    char own[MSFL_PROVISION_NAME_MAX + 1]; /**< whose part is looked at; "": nobody's */
    uint32_t n_rosters, epoch_first, epoch_last;
    uint32_t n_rounds, n_opened, n_aborted;
    uint64_t n_missing;            /**< rounds whose records are not here; above 0 only with allow_gaps */
    uint8_t head[MSFL_HASH_BYTES]; /**< hash of the newest record: the same at all who have seen it */
    uint8_t all[MSFL_HASH_BYTES];  /**< of the hashes of all records in order: the same at all who have seen all */
} msfl_audit_facts;

typedef struct msfl_audit_options {
    const uint8_t *consortium; /**< 32 bytes; NULL: the kit's, else the one that the folder's rosters name */
    const char *kit; /**< a kit's folder: consortium, federation and, of a hospital, whose own part; NULL: none */
    const char *own; /**< name of a hospital; NULL: the kit's, else who signed the statements there */
    bool allow_gaps; /**< records of rounds in which this hospital was away may be missing (never those of own uploads
                          that are acknowledged and stand in the sum: nobody can say so without them) */
} msfl_audit_options;

typedef struct msfl_audit msfl_audit;

/**
 * Verify a folder: rosters by the consortium's key, every record by its roster, the chain per task, that all belong to
 * job.json, receipts and statements against the records. What cannot be seen is that the *newest* records under a
 * roster were taken away: compare `head` and `all` with another party.
 *
 * The message of a failure begins with a name out of MSFL_AUDIT_FINDINGS, then the file. Free with msfl_audit_free.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_audit_verify(const char *folder, const msfl_audit_options *options,
                                                      msfl_audit **out);
/** Free; NULL is fine. */
MSFL_API void msfl_audit_free(msfl_audit *audit);
/** What was found about the whole folder; lives as long as the audit. */
MSFL_API const msfl_audit_facts *msfl_audit_borrow(const msfl_audit *audit);
/** Round `i` of n_rounds, in the order of the files; NULL beyond. */
MSFL_API const msfl_audit_round *msfl_audit_round_at(const msfl_audit *audit, uint32_t i);

MSFL_END_DECLS

#endif
