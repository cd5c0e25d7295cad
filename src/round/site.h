/* The inside of a site, shared by its files: state and records (site.c), messages (site_receive.c), taking part
 * (site_upload.c). */
#ifndef MSFL_ROUND_SITE_H
#define MSFL_ROUND_SITE_H

#include "round/journal.h"
#include "round/share.h"

struct msfl_site {
    msfl_site_config config;
    const msfl_roster_info *r;
    msfl_rules rules;
    /* durable */
    uint64_t number; /* of the last round with a key; 0: none */
    uint64_t history_number;
    uint8_t history[MSFL_HASH_BYTES]; /* hash of the newest transcript that was seen */
    /* of the round under way */
    msfl_site_phase phase;
    msfl_announcement a;
    uint8_t announce[MSFL_ANNOUNCE_BODY];
    uint8_t round_id[MSFL_HASH_BYTES];
    uint8_t *upload; /* durable once sealed: statement and bundles */
    size_t upload_length;
    uint64_t n_chunks;
    /* while encrypting */
    const msfl_packed *ctx;
    msfl_packed_key *key;
    msfl_hash hash;
    uint64_t next, ciphertext_bytes;
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
/** Queue the sealed upload as a message. */
MSFL_NODISCARD msfl_status msfl_site_send_upload(const msfl_site *s, msfl_effects *effects);
/** A chunk as a message. */
void msfl_site_put_chunk(const msfl_site *s, uint64_t j, const uint8_t *bytes, size_t length, msfl_buffer *out);

#endif
