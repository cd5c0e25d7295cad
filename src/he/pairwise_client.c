/* One client's side of pairwise masking. */
#include "base/error.h"
#include "base/mem.h"
#include "base/taint.h"
#include "he/pairwise.h"

#include <inttypes.h>

enum { SHARES = 2 * MSFL_PAIRWISE_SEED_SHARE, DIGITS = 2 * MSFL_PAIRWISE_SEED_DIGITS };

/** All that is secret, in one piece of secret memory. */
typedef struct secrets {
    uint8_t seed[MSFL_PAIRWISE_SEED_BYTES]; /* of the self-mask */
    uint8_t mask_secret[MSFL_X25519_BYTES], channel_secret[MSFL_X25519_BYTES];
    uint8_t shared[MSFL_X25519_BYTES];
    uint8_t self_key[32], pair_keys[MSFL_PAIRWISE_CLIENTS_MAX][32];
    uint8_t held[MSFL_PAIRWISE_CLIENTS_MAX][SHARES]; /* shares of the partners' seeds, and of its own */
    uint32_t unpacked[DIGITS];
    int32_t digits[DIGITS]; /* seed, mask_secret */
    msfl_pairwise_scratch scratch;
} secrets;

typedef enum stage { NEW, SHARED, STARTED, ANSWERED } stage;

struct msfl_pairwise_client {
    msfl_pairwise_info info;
    uint32_t self;
    stage stage;
    uint64_t n_masked; /* chunks */
    uint8_t id[MSFL_HASH_BYTES], session[MSFL_HASH_BYTES];
    msfl_pairwise_peer peers[MSFL_PAIRWISE_CLIENTS_MAX];
    bool partners[MSFL_PAIRWISE_CLIENTS_MAX];
    secrets *secret;
};

msfl_status msfl_pairwise_client_new(const msfl_pairwise_info *info, uint32_t client, msfl_pairwise_client **out) {
    *out = NULL;
    msfl_status status = msfl_crypto_init();
    if (status == MSFL_OK) status = msfl_pairwise_check(info);
    if (status != MSFL_OK) return status;
    if (client >= info->n_clients) {
        return msfl_fail(MSFL_ERR_USAGE, "pairwise: client %" PRIu32 " is not in a roster of %" PRIu32, client,
                         info->n_clients);
    }
    msfl_pairwise_client *c = msfl_alloc(1, sizeof *c);
    if (c == NULL) return MSFL_ERR_MEMORY;
    c->secret = msfl_secret_alloc((sizeof *c->secret + 63) / 64 * 64);
    if (c->secret == NULL) {
        msfl_free(c);
        return MSFL_ERR_MEMORY;
    }
    c->info = *info;
    c->self = client;
    msfl_pairwise_id(info, c->id);
    msfl_pairwise_peer *self = &c->peers[client];
    secrets *s = c->secret;
    msfl_random_bytes(s->seed, sizeof s->seed);
    msfl_random_bytes(s->mask_secret, sizeof s->mask_secret);
    msfl_random_bytes(s->channel_secret, sizeof s->channel_secret);
    self->present = true;
    msfl_x25519_public(s->mask_secret, self->mask_key);
    msfl_x25519_public(s->channel_secret, self->channel_key);
    msfl_pairwise_commit(c->id, client, s->seed, self->commitment);
    *out = c;
    return MSFL_OK;
}

void msfl_pairwise_client_free(msfl_pairwise_client *c) {
    if (c == NULL) return;
    msfl_secret_free(c->secret);
    msfl_free(c);
}

void msfl_pairwise_client_advert(const msfl_pairwise_client *c, uint8_t out[MSFL_PAIRWISE_ADVERT_BYTES]) {
    msfl_pairwise_advert_write(&c->info, c->self, &c->peers[c->self], out);
}

/** 32 bytes as 16 integers of 16 bits. */
static void to_digits(const uint8_t *bytes, int32_t *digits) {
    for (int i = 0; i < MSFL_PAIRWISE_SEED_DIGITS; i++)
        digits[i] = msfl_load16(bytes + 2 * i);
}

/** Seal the shares `mine[m]` for everyone who is here; keep those of this client. */
static msfl_status seal_all(msfl_pairwise_client *c, const uint32_t (*mine)[DIGITS], uint8_t *packets) {
    secrets *s = c->secret;
    for (uint32_t m = 0; m < c->info.n_clients; m++) {
        if (m == c->self || !c->peers[m].present) continue;
        uint8_t *packed = s->held[c->self]; /* every packet's shares pass through here; this client's own come last */
        msfl_shamir_pack(mine[m], DIGITS, packed);
        msfl_status status = msfl_x25519(s->channel_secret, c->peers[m].channel_key, s->shared);
        if (status != MSFL_OK) return msfl_fail_in(status, "pairwise: client %" PRIu32, m);
        msfl_pairwise_packet_seal(c->session, c->self, m, s->shared, packed,
                                  packets + (size_t)m * MSFL_PAIRWISE_PACKET_BYTES);
    }
    msfl_shamir_pack(mine[c->self], DIGITS, s->held[c->self]);
    return MSFL_OK;
}

msfl_status msfl_pairwise_client_share(msfl_pairwise_client *c, const uint8_t *const *adverts, uint8_t *packets) {
    const uint32_t n = c->info.n_clients;
    const size_t packets_bytes = (size_t)n * MSFL_PAIRWISE_PACKET_BYTES;
    uint8_t own[MSFL_PAIRWISE_ADVERT_BYTES];
    uint32_t(*mine)[DIGITS] = NULL;
    memset(packets, 0, packets_bytes);
    if (c->stage != NEW) {
        return msfl_fail(MSFL_ERR_POLICY, "pairwise: client %" PRIu32 " shared its seeds before; begin a new round",
                         c->self);
    }
    msfl_pairwise_client_advert(c, own);
    if (adverts[c->self] == NULL || memcmp(adverts[c->self], own, sizeof own) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH,
                         "pairwise: the roster has another advert of client %" PRIu32 " than its own", c->self);
    }
    msfl_status status = msfl_pairwise_roster(&c->info, adverts, c->peers, c->session);
    if (status != MSFL_OK) return status;
    mine = msfl_secret_alloc(n * sizeof *mine);
    if (mine == NULL) return MSFL_ERR_MEMORY;
    to_digits(c->secret->seed, c->secret->digits);
    to_digits(c->secret->mask_secret, c->secret->digits + MSFL_PAIRWISE_SEED_DIGITS);
    status = msfl_shamir_split(c->info.threshold, n, c->secret->digits, DIGITS, mine[0]);
    if (status == MSFL_OK) status = seal_all(c, (const uint32_t(*)[DIGITS])mine, packets);
    if (status == MSFL_OK) c->stage = SHARED;
    if (status != MSFL_OK) memset(packets, 0, packets_bytes);
    msfl_secret_free(mine);
    return status;
}

/** Open the packet of client j, and agree on the pair's mask with it. */
static msfl_status take_partner(msfl_pairwise_client *c, uint32_t j, const uint8_t *packet) {
    secrets *s = c->secret;
    if (!c->peers[j].present) {
        return msfl_fail(MSFL_ERR_MISMATCH, "pairwise: a packet of client %" PRIu32 ", which sent no advert", j);
    }
    msfl_status status = msfl_x25519(s->channel_secret, c->peers[j].channel_key, s->shared);
    if (status == MSFL_OK) {
        status = msfl_pairwise_packet_open(c->session, j, c->self, s->shared, packet, s->held[j]);
    }
    if (status == MSFL_OK) status = msfl_shamir_unpack(s->held[j], DIGITS, s->unpacked);
    if (status == MSFL_OK) status = msfl_x25519(s->mask_secret, c->peers[j].mask_key, s->shared);
    if (status != MSFL_OK) return msfl_fail_in(status, "pairwise: client %" PRIu32, j);
    msfl_pairwise_pair_key(c->session, c->self, j, s->shared, s->pair_keys[j]);
    return MSFL_OK;
}

msfl_status msfl_pairwise_client_start(msfl_pairwise_client *c, const uint8_t *const *packets) {
    if (c->stage != SHARED) {
        return msfl_fail(MSFL_ERR_POLICY, "pairwise: client %" PRIu32 " %s", c->self,
                         c->stage == NEW ? "has not shared its seeds yet" : "was started before");
    }
    uint32_t n_partners = 0;
    for (uint32_t j = 0; j < c->info.n_clients; j++) {
        c->partners[j] = j == c->self || packets[j] != NULL;
        n_partners += c->partners[j];
    }
    if (n_partners < msfl_pairwise_least(&c->info)) {
        return msfl_fail(MSFL_ERR_POLICY, "pairwise: %" PRIu32 " partners with this one, %" PRIu32 " are needed",
                         n_partners, msfl_pairwise_least(&c->info));
    }
    for (uint32_t j = 0; j < c->info.n_clients; j++) {
        if (j == c->self || packets[j] == NULL) continue;
        msfl_status status = take_partner(c, j, packets[j]);
        if (status != MSFL_OK) return status;
    }
    msfl_pairwise_self_key(c->session, c->self, c->secret->seed, c->secret->self_key);
    c->stage = STARTED;
    return MSFL_OK;
}

msfl_status msfl_pairwise_client_mask(msfl_pairwise_client *c, uint64_t j, const uint32_t *values, uint8_t *out) {
    if (c->stage != STARTED || j < c->n_masked) {
        return msfl_fail(MSFL_ERR_POLICY, "pairwise: client %" PRIu32 ": chunk %" PRIu64 " %s", c->self, j,
                         c->stage < STARTED     ? "before the partners are known"
                         : c->stage == ANSWERED ? "after the answer"
                                                : "was masked before: a second vector under one mask would reveal the "
                                                  "difference; begin a new round");
    }
    if (j > c->n_masked || j >= msfl_pairwise_chunks(&c->info)) {
        return msfl_fail(MSFL_ERR_USAGE, "pairwise: chunk %" PRIu64 " of %" PRIu64 ", when %" PRIu64 " are masked", j,
                         msfl_pairwise_chunks(&c->info), c->n_masked);
    }
    const uint32_t n = msfl_pairwise_chunk_values(&c->info, j), width = msfl_pairwise_slot_bits(&c->info);
    secrets *s = c->secret;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < n; i++)
        seen |= values[i];
    seen = c->info.value_bits < 32 ? seen >> c->info.value_bits : 0;
    MSFL_DECLASSIFY(&seen, sizeof seen); /* the refusal: that some value is too large, not which */
    if (seen != 0) {
        return msfl_fail(MSFL_ERR_NUMERIC, "pairwise: chunk %" PRIu64 " has a value of 2^%" PRIu32 " or more", j,
                         c->info.value_bits);
    }
    c->n_masked++;
    for (uint32_t i = 0; i < n; i++)
        s->scratch.values[i] = values[i];
    msfl_pairwise_expand(&s->scratch, s->self_key, true, width, j, n);
    for (uint32_t m = 0; m < c->info.n_clients; m++) {
        if (m == c->self || !c->partners[m]) continue;
        msfl_pairwise_expand(&s->scratch, s->pair_keys[m], c->self < m, width, j, n);
    }
    if (j == 0) {
        msfl_pairwise_upload_header(c->self, c->session, c->partners, c->info.n_clients, out);
        out += MSFL_PAIRWISE_UPLOAD_HEADER;
    }
    msfl_pairwise_pack(s->scratch.values, width, n, out);
    MSFL_DECLASSIFY(out, ((size_t)n * width + 7) / 8); /* masked: public */
    return MSFL_OK;
}

/** Whether the question may be answered at all. */
static msfl_status check_question(const msfl_pairwise_client *c, const bool *uploaded) {
    if (c->stage != STARTED || c->n_masked < msfl_pairwise_chunks(&c->info)) {
        return msfl_fail(MSFL_ERR_POLICY, "pairwise: client %" PRIu32 " %s", c->self,
                         c->stage == ANSWERED
                             ? "answered before; a second answer could release the other of a client's two seeds"
                             : "has not masked its whole vector yet");
    }
    if (!uploaded[c->self]) {
        return msfl_fail(MSFL_ERR_POLICY, "pairwise: client %" PRIu32 " uploaded, and is said not to have", c->self);
    }
    uint32_t n_uploaded = 0;
    for (uint32_t j = 0; j < c->info.n_clients; j++) {
        if (uploaded[j] && !c->partners[j]) {
            return msfl_fail(MSFL_ERR_POLICY,
                             "pairwise: client %" PRIu32 " is said to have uploaded, but is no partner", j);
        }
        n_uploaded += uploaded[j];
    }
    if (n_uploaded < msfl_pairwise_least(&c->info)) {
        return msfl_fail(MSFL_ERR_POLICY, "pairwise: %" PRIu32 " uploads, %" PRIu32 " are needed", n_uploaded,
                         msfl_pairwise_least(&c->info));
    }
    return MSFL_OK;
}

msfl_status msfl_pairwise_client_answer(msfl_pairwise_client *c, const bool *uploaded, uint8_t *out) {
    const uint32_t n = c->info.n_clients;
    memset(out, 0, msfl_pairwise_answer_bytes(&c->info));
    msfl_status status = check_question(c, uploaded);
    if (status != MSFL_OK) return status;
    c->stage = ANSWERED; /* before anything leaves */
    uint8_t *kinds = out + MSFL_PAIRWISE_ANSWER_HEADER, *shares = kinds + n;
    msfl_pairwise_answer_header(c->self, c->session, out);
    for (uint32_t j = 0; j < n; j++) {
        if (!c->partners[j]) continue;
        const uint8_t *both = c->secret->held[j];
        kinds[j] = uploaded[j] ? RELEASE_SELF : RELEASE_PAIR;
        memcpy(shares + (size_t)j * MSFL_PAIRWISE_SEED_SHARE, uploaded[j] ? both : both + MSFL_PAIRWISE_SEED_SHARE,
               MSFL_PAIRWISE_SEED_SHARE);
    }
    MSFL_DECLASSIFY(out, msfl_pairwise_answer_bytes(&c->info)); /* released by the protocol */
    msfl_wipe(c->secret, sizeof *c->secret);
    return MSFL_OK;
}
