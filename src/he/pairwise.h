/* What client and coordinator of pairwise masking share: messages, derived keys, mask expansion. */
#ifndef MSFL_HE_PAIRWISE_H
#define MSFL_HE_PAIRWISE_H

#include "base/bytes.h"
#include "base/sodium.h"
#include "he/shamir.h"
#include "medsecurefl/pairwise.h"

enum {
    MSFL_PAIRWISE_SEED_BYTES = 32,
    MSFL_PAIRWISE_SEED_DIGITS = 16, /* a seed as 16-bit integers, for sharing */
    MSFL_PAIRWISE_SEED_SHARE = MSFL_PAIRWISE_SEED_DIGITS * MSFL_SHAMIR_BITS / 8, /* bytes of a share of a seed */
    MSFL_PAIRWISE_UPLOAD_HEADER = 76,
    MSFL_PAIRWISE_ANSWER_HEADER = 44
};

/** What an answer releases of a partner. */
typedef enum msfl_pairwise_kind { RELEASE_NONE = 0, RELEASE_SELF = 1, RELEASE_PAIR = 2 } msfl_pairwise_kind;

/** The public part of a client. */
typedef struct msfl_pairwise_peer {
    bool present;
    uint8_t mask_key[MSFL_X25519_BYTES], channel_key[MSFL_X25519_BYTES], commitment[MSFL_HASH_BYTES];
} msfl_pairwise_peer;

/** max(threshold, min_cohort): fewest clients that any step may go on with. */
uint32_t msfl_pairwise_least(const msfl_pairwise_info *info);

/** Hash of the info, and of it with all adverts (which binds all that comes later). */
void msfl_pairwise_id(const msfl_pairwise_info *info, uint8_t id[MSFL_HASH_BYTES]);

void msfl_pairwise_advert_write(const msfl_pairwise_info *info, uint32_t client, const msfl_pairwise_peer *peer,
                                uint8_t out[MSFL_PAIRWISE_ADVERT_BYTES]);

/** Read all adverts into `peers` (n_clients) and hash them with the info into `session`: ERR_FORMAT, ERR_UNSUPPORTED,
 *  ERR_MISMATCH; ERR_POLICY if they are too few. */
MSFL_NODISCARD msfl_status msfl_pairwise_roster(const msfl_pairwise_info *info, const uint8_t *const *adverts,
                                                msfl_pairwise_peer *peers, uint8_t session[MSFL_HASH_BYTES]);

/** Headers: magic, version, client, session, and in an upload the set of partners. */
void msfl_pairwise_upload_header(uint32_t client, const uint8_t session[MSFL_HASH_BYTES], const bool *partners,
                                 uint32_t n, uint8_t out[MSFL_PAIRWISE_UPLOAD_HEADER]);
void msfl_pairwise_answer_header(uint32_t client, const uint8_t session[MSFL_HASH_BYTES],
                                 uint8_t out[MSFL_PAIRWISE_ANSWER_HEADER]);
/** Compare a header with what it must be: ERR_FORMAT, ERR_UNSUPPORTED, ERR_MISMATCH. */
MSFL_NODISCARD msfl_status msfl_pairwise_header_check(const char *what, uint32_t client, const uint8_t *expected,
                                                      const uint8_t *bytes, size_t length);

/** One client's shares for another, sealed with the key that the two agree on: `shares` is 2 MSFL_PAIRWISE_SEED_SHARE
 *  bytes, of the self-mask's seed, then of the pairwise key. `shared` is their X25519 secret. */
void msfl_pairwise_packet_seal(const uint8_t session[MSFL_HASH_BYTES], uint32_t from, uint32_t to,
                               const uint8_t shared[MSFL_X25519_BYTES], const uint8_t *shares,
                               uint8_t out[MSFL_PAIRWISE_PACKET_BYTES]);
MSFL_NODISCARD msfl_status msfl_pairwise_packet_open(const uint8_t session[MSFL_HASH_BYTES], uint32_t from, uint32_t to,
                                                     const uint8_t shared[MSFL_X25519_BYTES],
                                                     const uint8_t packet[MSFL_PAIRWISE_PACKET_BYTES], uint8_t *shares);

/** Published hash of a self-mask's seed. */
void msfl_pairwise_commit(const uint8_t id[MSFL_HASH_BYTES], uint32_t client,
                          const uint8_t seed[MSFL_PAIRWISE_SEED_BYTES], uint8_t out[MSFL_HASH_BYTES]);
/** Keys of the mask streams: of one client, of a pair (either order). */
void msfl_pairwise_self_key(const uint8_t session[MSFL_HASH_BYTES], uint32_t client,
                            const uint8_t seed[MSFL_PAIRWISE_SEED_BYTES], uint8_t key[32]);
void msfl_pairwise_pair_key(const uint8_t session[MSFL_HASH_BYTES], uint32_t a, uint32_t b,
                            const uint8_t shared[MSFL_X25519_BYTES], uint8_t key[32]);

/** Working memory of mask expansion, secret. */
typedef struct msfl_pairwise_scratch {
    uint64_t values[MSFL_PAIRWISE_CHUNK];
    uint8_t stream[MSFL_PAIRWISE_CHUNK];
} msfl_pairwise_scratch;

/** values[i] += or -= mask (modulo 2^64; the caller keeps the low `width` bits) for the n values of chunk j. */
void msfl_pairwise_expand(msfl_pairwise_scratch *s, const uint8_t key[32], bool add, uint32_t width, uint64_t j,
                          size_t n);

/** The n values from or to a string of `width` bits each. False if padding is not zero. Writing keeps the low bits. */
bool msfl_pairwise_unpack(const uint8_t *bytes, uint32_t width, size_t n, uint64_t *values);
void msfl_pairwise_pack(const uint64_t *values, uint32_t width, size_t n, uint8_t *bytes);

#endif
