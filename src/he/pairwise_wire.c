/* The messages of pairwise masking, and the keys that are derived on the way. docs/design/pairwise.md has the formats.
 */
#include "base/error.h"
#include "base/taint.h"
#include "he/pairwise.h"
#include "he/security.h"

#include <inttypes.h>

static const char advert_magic[4] = {'M', 'S', 'W', 'A'}, packet_magic[4] = {'M', 'S', 'W', 'P'};
static const char upload_magic[4] = {'M', 'S', 'W', 'U'}, answer_magic[4] = {'M', 'S', 'W', 'R'};
enum { VERSION = 1, PACKET_HEADER = 48, SHARES = 2 * MSFL_PAIRWISE_SEED_SHARE };
_Static_assert(PACKET_HEADER + SHARES + MSFL_AEAD_TAG_BYTES == MSFL_PAIRWISE_PACKET_BYTES, "packet");

msfl_status msfl_pairwise_check(const msfl_pairwise_info *info) {
    static const uint64_t n_values_max = UINT64_C(1) << 34;
    if (info->n_clients < 2 || info->n_clients > MSFL_PAIRWISE_CLIENTS_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "pairwise: a roster of %" PRIu32 " clients; use 2 to %d", info->n_clients,
                         MSFL_PAIRWISE_CLIENTS_MAX);
    }
    if (info->value_bits < MSFL_VALUE_BITS_MIN || info->value_bits > MSFL_VALUE_BITS_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "pairwise: values of %" PRIu32 " bits; use %d to %d", info->value_bits,
                         MSFL_VALUE_BITS_MIN, MSFL_VALUE_BITS_MAX);
    }
    if (info->n_values < 1 || info->n_values > n_values_max) {
        return msfl_fail(MSFL_ERR_USAGE, "pairwise: %" PRIu64 " values; use 1 to %" PRIu64, info->n_values,
                         n_values_max);
    }
    if (info->threshold > info->n_clients || info->min_cohort > info->n_clients) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "pairwise: a threshold of %" PRIu32 " and a cohort of %" PRIu32 " in a roster of %" PRIu32,
                         info->threshold, info->min_cohort, info->n_clients);
    }
    if (2 * info->threshold <= info->n_clients) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "pairwise: a threshold of %" PRIu32 " in a roster of %" PRIu32
                         " would let two halves release both seeds of a client; use %" PRIu32 " or more",
                         info->threshold, info->n_clients, info->n_clients / 2 + 1);
    }
    if (info->min_cohort < 2) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "pairwise: a minimum cohort of %" PRIu32
                         " would open a single client's update; use 3 or more (2 only where the operator allows it)",
                         info->min_cohort);
    }
    return MSFL_OK;
}

uint32_t msfl_pairwise_least(const msfl_pairwise_info *info) {
    return info->threshold > info->min_cohort ? info->threshold : info->min_cohort;
}

uint32_t msfl_pairwise_slot_bits(const msfl_pairwise_info *info) {
    return msfl_slot_bits(info->n_clients, info->value_bits);
}

uint64_t msfl_pairwise_chunks(const msfl_pairwise_info *info) {
    return (info->n_values + MSFL_PAIRWISE_CHUNK - 1) / MSFL_PAIRWISE_CHUNK;
}

uint32_t msfl_pairwise_chunk_values(const msfl_pairwise_info *info, uint64_t j) {
    if (j >= msfl_pairwise_chunks(info)) return 0;
    uint64_t left = info->n_values - j * MSFL_PAIRWISE_CHUNK;
    return (uint32_t)(left < MSFL_PAIRWISE_CHUNK ? left : MSFL_PAIRWISE_CHUNK);
}

size_t msfl_pairwise_chunk_bytes(const msfl_pairwise_info *info, uint64_t j) {
    size_t bits = (size_t)msfl_pairwise_chunk_values(info, j) * msfl_pairwise_slot_bits(info);
    return (bits + 7) / 8 + (j == 0 ? MSFL_PAIRWISE_UPLOAD_HEADER : 0);
}

uint64_t msfl_pairwise_upload_bytes(const msfl_pairwise_info *info) {
    uint64_t last = msfl_pairwise_chunks(info) - 1; /* all before it are full, so end on a byte */
    uint64_t before = last * MSFL_PAIRWISE_CHUNK / 8 * msfl_pairwise_slot_bits(info);
    return before + msfl_pairwise_chunk_bytes(info, last) + (last == 0 ? 0 : MSFL_PAIRWISE_UPLOAD_HEADER);
}

size_t msfl_pairwise_answer_bytes(const msfl_pairwise_info *info) {
    return MSFL_PAIRWISE_ANSWER_HEADER + (size_t)info->n_clients * (1 + MSFL_PAIRWISE_SEED_SHARE);
}

void msfl_pairwise_id(const msfl_pairwise_info *info, uint8_t id[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.pairwise.round.v1");
    msfl_hash_add(&h, info->round, sizeof info->round);
    msfl_hash_add_u64(&h, info->n_clients);
    msfl_hash_add_u64(&h, info->threshold);
    msfl_hash_add_u64(&h, info->min_cohort);
    msfl_hash_add_u64(&h, info->value_bits);
    msfl_hash_add_u64(&h, info->n_values);
    msfl_hash_final(&h, id);
}

/** magic, version, client, hash: the first 44 bytes of every message. */
static void head(const char magic[4], uint32_t client, const uint8_t hash[MSFL_HASH_BYTES], uint8_t *out) {
    memcpy(out, magic, 4);
    msfl_store32(out + 4, VERSION);
    msfl_store32(out + 8, client);
    memcpy(out + 12, hash, MSFL_HASH_BYTES);
}

void msfl_pairwise_advert_write(const msfl_pairwise_info *info, uint32_t client, const msfl_pairwise_peer *peer,
                                uint8_t out[MSFL_PAIRWISE_ADVERT_BYTES]) {
    uint8_t id[MSFL_HASH_BYTES];
    msfl_pairwise_id(info, id);
    head(advert_magic, client, id, out);
    memcpy(out + 44, peer->mask_key, 32);
    memcpy(out + 76, peer->channel_key, 32);
    memcpy(out + 108, peer->commitment, 32);
}

msfl_status msfl_pairwise_header_check(const char *what, uint32_t client, const uint8_t *expected, const uint8_t *bytes,
                                       size_t length) {
    if (length < 44 || memcmp(bytes, expected, 4) != 0) {
        return msfl_fail(MSFL_ERR_FORMAT, "pairwise: %s of client %" PRIu32 ": not one", what, client);
    }
    if (msfl_load32(bytes + 4) != VERSION) {
        return msfl_fail(MSFL_ERR_UNSUPPORTED,
                         "pairwise: %s of client %" PRIu32 ": format version %" PRIu32 "; this is version %d", what,
                         client, msfl_load32(bytes + 4), VERSION);
    }
    if (memcmp(bytes + 8, expected + 8, 4) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "pairwise: %s of client %" PRIu32 " is that of client %" PRIu32, what,
                         client, msfl_load32(bytes + 8));
    }
    if (memcmp(bytes + 12, expected + 12, MSFL_HASH_BYTES) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "pairwise: %s of client %" PRIu32 " is for another round or roster", what,
                         client);
    }
    return MSFL_OK;
}

msfl_status msfl_pairwise_roster(const msfl_pairwise_info *info, const uint8_t *const *adverts,
                                 msfl_pairwise_peer *peers, uint8_t session[MSFL_HASH_BYTES]) {
    uint8_t id[MSFL_HASH_BYTES], expected[44];
    uint32_t n_present = 0;
    msfl_hash h;
    msfl_pairwise_id(info, id);
    msfl_hash_init(&h, "msfl.pairwise.roster.v1");
    msfl_hash_add(&h, id, sizeof id);
    for (uint32_t i = 0; i < info->n_clients; i++) {
        peers[i].present = adverts[i] != NULL;
        msfl_hash_add_field(&h, adverts[i], adverts[i] == NULL ? 0 : MSFL_PAIRWISE_ADVERT_BYTES);
        if (adverts[i] == NULL) continue;
        n_present++;
        head(advert_magic, i, id, expected);
        msfl_status status = msfl_pairwise_header_check("the advert", i, expected, adverts[i], sizeof expected);
        if (status != MSFL_OK) return status;
        memcpy(peers[i].mask_key, adverts[i] + 44, 32);
        memcpy(peers[i].channel_key, adverts[i] + 76, 32);
        memcpy(peers[i].commitment, adverts[i] + 108, 32);
    }
    msfl_hash_final(&h, session);
    if (n_present < msfl_pairwise_least(info)) {
        return msfl_fail(MSFL_ERR_POLICY, "pairwise: %" PRIu32 " clients are here, %" PRIu32 " are needed", n_present,
                         msfl_pairwise_least(info));
    }
    return MSFL_OK;
}

void msfl_pairwise_upload_header(uint32_t client, const uint8_t session[MSFL_HASH_BYTES], const bool *partners,
                                 uint32_t n, uint8_t out[MSFL_PAIRWISE_UPLOAD_HEADER]) {
    head(upload_magic, client, session, out);
    memset(out + 44, 0, 32);
    for (uint32_t i = 0; i < n; i++)
        out[44 + i / 8] |= (uint8_t)(partners[i] << i % 8);
}

void msfl_pairwise_answer_header(uint32_t client, const uint8_t session[MSFL_HASH_BYTES],
                                 uint8_t out[MSFL_PAIRWISE_ANSWER_HEADER]) {
    head(answer_magic, client, session, out);
}

/* --- derived keys --- */

static void derive(const char *domain, const uint8_t hash[MSFL_HASH_BYTES], uint32_t a, uint32_t b,
                   const uint8_t secret[32], uint8_t key[32]) {
    msfl_hash h;
    msfl_hash_init(&h, domain);
    msfl_hash_add(&h, hash, MSFL_HASH_BYTES);
    msfl_hash_add_u64(&h, a);
    msfl_hash_add_u64(&h, b);
    msfl_hash_add(&h, secret, 32);
    msfl_hash_final(&h, key);
    msfl_hash_clear(&h);
}

void msfl_pairwise_commit(const uint8_t id[MSFL_HASH_BYTES], uint32_t client,
                          const uint8_t seed[MSFL_PAIRWISE_SEED_BYTES], uint8_t out[MSFL_HASH_BYTES]) {
    derive("msfl.pairwise.commit.v1", id, client, client, seed, out);
    MSFL_DECLASSIFY(out, MSFL_HASH_BYTES); /* published; a one-way image of 32 uniform bytes */
}

void msfl_pairwise_self_key(const uint8_t session[MSFL_HASH_BYTES], uint32_t client,
                            const uint8_t seed[MSFL_PAIRWISE_SEED_BYTES], uint8_t key[32]) {
    derive("msfl.pairwise.self.v1", session, client, client, seed, key);
}

void msfl_pairwise_pair_key(const uint8_t session[MSFL_HASH_BYTES], uint32_t a, uint32_t b,
                            const uint8_t shared[MSFL_X25519_BYTES], uint8_t key[32]) {
    derive("msfl.pairwise.pair.v1", session, a < b ? a : b, a < b ? b : a, shared, key);
}

/* --- packets --- */

/** A key of its own for every packet, so the nonce may be zero. */
static const uint8_t nonce[MSFL_AEAD_NONCE_BYTES];

static void packet_header(const uint8_t session[MSFL_HASH_BYTES], uint32_t from, uint32_t to,
                          uint8_t out[PACKET_HEADER]) {
    head(packet_magic, from, session, out);
    msfl_store32(out + 44, to);
}

void msfl_pairwise_packet_seal(const uint8_t session[MSFL_HASH_BYTES], uint32_t from, uint32_t to,
                               const uint8_t shared[MSFL_X25519_BYTES], const uint8_t *shares,
                               uint8_t out[MSFL_PAIRWISE_PACKET_BYTES]) {
    uint8_t key[32];
    derive("msfl.pairwise.channel.v1", session, from, to, shared, key);
    packet_header(session, from, to, out);
    msfl_aead_seal(key, nonce, out, PACKET_HEADER, shares, SHARES, out + PACKET_HEADER);
    msfl_wipe(key, sizeof key);
}

msfl_status msfl_pairwise_packet_open(const uint8_t session[MSFL_HASH_BYTES], uint32_t from, uint32_t to,
                                      const uint8_t shared[MSFL_X25519_BYTES],
                                      const uint8_t packet[MSFL_PAIRWISE_PACKET_BYTES], uint8_t *shares) {
    uint8_t key[32], expected[PACKET_HEADER];
    packet_header(session, from, to, expected);
    msfl_status status = msfl_pairwise_header_check("the packet", from, expected, packet, MSFL_PAIRWISE_PACKET_BYTES);
    if (status != MSFL_OK) return status;
    if (memcmp(packet + 44, expected + 44, 4) != 0) {
        return msfl_fail(MSFL_ERR_MISMATCH, "pairwise: the packet of client %" PRIu32 " is for client %" PRIu32, from,
                         msfl_load32(packet + 44));
    }
    derive("msfl.pairwise.channel.v1", session, from, to, shared, key);
    status = msfl_aead_open(key, nonce, expected, PACKET_HEADER, packet + PACKET_HEADER, SHARES + MSFL_AEAD_TAG_BYTES,
                            shares);
    msfl_wipe(key, sizeof key);
    if (status != MSFL_OK) return msfl_fail_in(status, "pairwise: the packet of client %" PRIu32, from);
    return MSFL_OK;
}
