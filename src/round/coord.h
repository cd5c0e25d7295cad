/* The inside of the coordinator's machine, shared by its files: state and records (coord.c), calls
 * (coord_run.c), uploads (coord_upload.c), what is sent
 * (coord_send.c), from cohort to sum (coord_open.c), or from cohort to the hospitals (coord_deliver.c). */
#ifndef MSFL_ROUND_COORD_H
#define MSFL_ROUND_COORD_H

#include "round/journal.h"
#include "round/sealed.h"

typedef struct msfl_coord_upload {
    uint8_t *statement; /* set when the upload is complete and journalled */
    uint64_t next;      /* chunk that is expected */
    bool reported;      /* this hospital's report is among the reports */
    msfl_hash hash;     /* of the chunks so far */
} msfl_coord_upload;

typedef struct msfl_coord_member {
    bool voted, answered;
    uint8_t vote[MSFL_SIGN_BYTES];
    uint8_t *answer;  /* what the transcript keeps of it; to hospitals: the whole */
    uint32_t *shares; /* N; NULL after a restart that found the round opened */
} msfl_coord_member;

typedef struct msfl_coord_report {
    uint8_t bytes[MSFL_REPORT_BYTES];
} msfl_coord_report;

struct msfl_coordinator {
    msfl_coordinator_config config;
    const msfl_roster_info *r;
    /* durable */
    uint64_t number; /* of the last round that was opened; 0: none */
    uint8_t chain[MSFL_HASH_BYTES];
    uint8_t *record; /* of the last finished round */
    size_t record_length;
    msfl_phase phase;
    /* durable, of the open round */
    msfl_announcement a;
    uint8_t announce[MSFL_ANNOUNCE_BODY];
    uint8_t round_id[MSFL_HASH_BYTES];
    msfl_coord_upload *uploads; /* per client */
    uint32_t *clients;          /* complete uploads, ascending; the cohort once it is fixed */
    uint32_t n;
    uint8_t *statements; /* of the cohort */
    uint8_t cohort[MSFL_HASH_BYTES];
    msfl_coord_member members[MSFL_COMMITTEE_MAX];
    int32_t *key_sum;           /* OPENED */
    msfl_coord_report *reports; /* DELIVERING; ascending by hospital */
    size_t n_reports, reports_capacity;
    /* derived */
    uint64_t n_chunks, resend_at, resend_from;
    size_t bundles_bytes; /* of one upload: k bundles */
    uint32_t told;        /* DELIVERING: the hospital that a tick begins with */
    msfl_packed_sum *sum;
    uint8_t folded[MSFL_HASH_BYTES];    /* hash of the sum, where there is one */
    uint32_t named[MSFL_COMMITTEE_MAX]; /* DELIVERING: hospitals that report this member's answer as wrong */
    uint32_t cheats[MSFL_COMMITTEE_MAX];
    size_t n_cheats;
};

/** Queue a record and apply it, then queue what `send` (may be empty) holds for `to`: all or nothing. Takes both. */
MSFL_NODISCARD msfl_status msfl_coord_commit(msfl_coordinator *c, msfl_buffer *record, uint32_t to, msfl_buffer *send,
                                             msfl_effects *effects);
/** ERR_POLICY unless the machine is in `phase`. */
MSFL_NODISCARD msfl_status msfl_coord_expect(const msfl_coordinator *c, msfl_phase phase, const char *what);

/* coord_upload.c */
MSFL_NODISCARD msfl_status msfl_coord_chunk(msfl_coordinator *c, uint32_t client, msfl_reader *body,
                                            msfl_effects *effects);
MSFL_NODISCARD msfl_status msfl_coord_take(msfl_coordinator *c, uint32_t client, msfl_reader *body,
                                           msfl_effects *effects);
/** Fold the uploads of the cohort from the spool into a fresh sum. */
MSFL_NODISCARD msfl_status msfl_coord_fold(msfl_coordinator *c);

/* coord_send.c */
typedef enum msfl_next_state {
    MSFL_NEXT_ACK = 0,
    MSFL_NEXT_COMPLETE = 1,
    MSFL_NEXT_CLOSED = 2,
    MSFL_NEXT_WANTED = 3
} msfl_next_state;
void msfl_coord_put_next(const msfl_coordinator *c, uint32_t client, msfl_next_state state, msfl_buffer *out);
/** The receipt for an upload that is not yet applied. */
void msfl_coord_put_receipt(const msfl_coordinator *c, uint32_t client, const uint8_t *statement, msfl_buffer *out);
/** What is signed as a receipt. */
void msfl_receipt_digest(const uint8_t round_id[MSFL_HASH_BYTES], uint32_t client,
                         const uint8_t statement_digest[MSFL_HASH_BYTES], uint8_t out[MSFL_HASH_BYTES]);
MSFL_NODISCARD msfl_status msfl_coord_send_all(msfl_coordinator *c, msfl_effects *effects);

/* coord_deliver.c */
MSFL_NODISCARD msfl_status msfl_coord_sealed_answer(msfl_coordinator *c, uint32_t party, msfl_reader *body,
                                                    msfl_effects *effects);
MSFL_NODISCARD msfl_status msfl_coord_report_in(msfl_coordinator *c, uint32_t client, msfl_reader *body,
                                                msfl_effects *effects);
/** The answers and the sum for one hospital, as a message; folds the sum where that is to be done. */
MSFL_NODISCARD msfl_status msfl_coord_put_delivery(msfl_coordinator *c, uint32_t client, msfl_buffer *out);
/** Whether the round can be finished: enough hospitals agree. */
bool msfl_coord_settled(const msfl_coordinator *c);

/* coord_open.c */
void msfl_coord_put_votes(const msfl_coordinator *c, msfl_buffer *out);
MSFL_NODISCARD msfl_status msfl_coord_vote(msfl_coordinator *c, uint32_t party, msfl_reader *body,
                                           msfl_effects *effects);
MSFL_NODISCARD msfl_status msfl_coord_answer(msfl_coordinator *c, uint32_t party, msfl_reader *body,
                                             msfl_effects *effects);

#endif
