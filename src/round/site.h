/* The inside of a site, shared by its files: state and records (site.c), messages (site_receive.c), taking part
 * (site_upload.c), a sum that is delivered to the hospitals (site_deliver.c, site_open.c). */
#ifndef MSFL_ROUND_SITE_H
#define MSFL_ROUND_SITE_H

#include "round/journal.h"
#include "round/sealed.h"

struct msfl_site {
    msfl_site_config config;
    const msfl_roster_info *r;
    msfl_rules rules;
    /* durable */
    uint64_t number; /* of the last round with a key; 0: none */
    uint64_t history_number;
    uint8_t history[MSFL_HASH_BYTES]; /* hash of the newest transcript that was seen */
    uint64_t opened_number;           /* of the last sum that was opened and reported; 0: none */
    uint64_t settled_number;          /* of the last whose record says the same */
    uint8_t report[MSFL_REPORT_BYTES];
    /* of the round under way */
    msfl_site_phase phase;
    msfl_announcement a;
    uint8_t announce[MSFL_ANNOUNCE_BODY];
    uint8_t round_id[MSFL_HASH_BYTES];
    uint8_t *upload; /* durable once sealed: statement and bundles */
    size_t upload_length;
    bool acknowledged; /* has the coordinator's receipt */
    uint64_t n_chunks;
    /* while encrypting */
    const msfl_packed *ctx;
    msfl_packed_key *key;
    msfl_hash hash;
    uint64_t next, ciphertext_bytes;
    /* from DELIVERED on; the shares and the key sum are wiped */
    uint32_t n_cohort;
    uint32_t *cohort_clients;
    uint8_t *statements;
    uint8_t cohort[MSFL_HASH_BYTES], folded[MSFL_HASH_BYTES];
    uint32_t *shares[MSFL_COMMITTEE_MAX]; /* by place; NULL: no answer, or one that does not open */
    msfl_fold fold;                       /* how `sum` is being made; 0: not begun */
    uint32_t at_client;                   /* own fold: what is due */
    uint64_t at_chunk;
    msfl_packed_sum *sum;
    int32_t *key_sum;
    uint32_t wrong;
    uint64_t served; /* what was wanted last and sent again; MSFL_SITE_NOTHING: none since the last msfl_site_resend */
};

#define MSFL_SITE_NOTHING UINT64_MAX

/** Forget the round under way, but not its number. */
void msfl_site_clear_round(msfl_site *s);
/** Forget the key. */
void msfl_site_drop_key(msfl_site *s);
/** Queue a record and apply it, then queue `send` (may be empty) and that rounds up to `drop` (0: none) may be
 *  forgotten: all or nothing. Takes both buffers. */
MSFL_NODISCARD msfl_status msfl_site_commit(msfl_site *s, msfl_buffer *record, msfl_buffer *send, uint64_t drop,
                                            msfl_effects *effects);
/** Whether this hospital's rules allow a round. ERR_POLICY, ERR_MISMATCH. */
MSFL_NODISCARD msfl_status msfl_site_check_offer(const msfl_site *s, const msfl_announcement *a);
/** An announcement, a record or a delivery that is not the one that comes next to what this site knows. */
MSFL_NODISCARD msfl_status msfl_site_check_history(const msfl_site *s, const msfl_announcement *a);
/** site_deliver.c */
MSFL_NODISCARD msfl_status msfl_site_on_deliver(msfl_site *s, msfl_frame *frame, msfl_effects *effects);
/** Forget what was delivered. */
void msfl_site_clear_delivery(msfl_site *s);
/** site_open.c: try the answers that are there on the sum, which is complete. ERR_CRYPTO if none open. */
MSFL_NODISCARD msfl_status msfl_site_try_open(msfl_site *s);
/** The report as a message. */
MSFL_NODISCARD msfl_status msfl_site_send_report(const msfl_site *s, msfl_effects *effects);
/** ERR_POLICY unless in `phase`. */
MSFL_NODISCARD msfl_status msfl_site_expect(const msfl_site *s, msfl_site_phase phase, const char *what);
/** Queue the sealed upload as a message. */
MSFL_NODISCARD msfl_status msfl_site_send_upload(const msfl_site *s, msfl_effects *effects);
/** A chunk as a message. */
void msfl_site_put_chunk(const msfl_site *s, uint64_t j, const uint8_t *bytes, size_t length, msfl_buffer *out);

#endif
