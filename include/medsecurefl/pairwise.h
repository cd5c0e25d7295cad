/* Pairwise masks: sums of masked vectors, in which the masks cancel. Layer: he.
 *
 *   y_i = x_i + PRG(b_i) + sum over j > i of PRG(s_ij) - sum over j < i of PRG(s_ij)   (mod 2^w)
 *
 * K. Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine Learning" (CCS 2017), as local
 * steps: bytes in, bytes out, no network. Best for a few reliable sites: no expansion beyond carry room, but four
 * messages, and work that grows with the square of the number of clients. docs/design/pairwise.md has messages, checks
 * and reasons.
 *
 *   client                               coordinator
 *   advert (public keys)          --->   collects, hands all adverts to all
 *   packets (shares of its seeds) --->   hands each to its receiver; fixes the partners: who sent packets
 *   masked vector                 --->   adds; fixes who uploaded
 *   answer (shares of others')    --->   rebuilds what is missing, takes the masks off
 *
 * For every client either the seed of its self-mask (it uploaded) or its pairwise key (it did not) is ever rebuilt,
 * never both: with both, its vector would be open.
 */
#ifndef MEDSECUREFL_PAIRWISE_H
#define MEDSECUREFL_PAIRWISE_H

#include "medsecurefl/params.h"

MSFL_BEGIN_DECLS

enum {
    MSFL_PAIRWISE_CLIENTS_MAX = 255,
    MSFL_PAIRWISE_CHUNK = 16384, /**< values in a full chunk */
    MSFL_PAIRWISE_ADVERT_BYTES = 140,
    MSFL_PAIRWISE_PACKET_BYTES = 144
};

/** What all parties agree on before the round. */
typedef struct msfl_pairwise_info {
    uint8_t round[MSFL_HASH_BYTES]; /**< hash of all else that makes the round; never used twice */
    uint32_t n_clients;             /**< roster: 2 to MSFL_PAIRWISE_CLIENTS_MAX */
    uint32_t threshold;             /**< t: answers that are needed; more than half of n_clients */
    uint32_t min_cohort; /**< fewest uploads that are opened: 3 or more; 2 only where the operator allows it */
    uint32_t value_bits; /**< b: 2 to 32 */
    uint64_t n_values;   /**< 1 to 2^34 */
} msfl_pairwise_info;

/** ERR_USAGE for a number out of its range; ERR_POLICY for a threshold of half the roster or less, which would let a
 *  coordinator that tells two halves different stories rebuild both seeds of a client, and for a cohort below 2. */
MSFL_API MSFL_NODISCARD msfl_status msfl_pairwise_check(const msfl_pairwise_info *info);

/** Bits of a masked value, w = ceil(log2(n (2^b - 1) + 1)). Chunks of a vector; values and bytes of chunk `j`, of which
 *  the first carries a header; bytes of a whole upload, all chunks in a row; bytes of an answer. */
MSFL_API uint32_t msfl_pairwise_slot_bits(const msfl_pairwise_info *info);
/** Chunks in an upload. */
MSFL_API uint64_t msfl_pairwise_chunks(const msfl_pairwise_info *info);
/** Values in chunk `j`; 0 beyond the last. */
MSFL_API uint32_t msfl_pairwise_chunk_values(const msfl_pairwise_info *info, uint64_t j);
/** Bytes of chunk `j`; 0 beyond the last. */
MSFL_API size_t msfl_pairwise_chunk_bytes(const msfl_pairwise_info *info, uint64_t j);
/** Bytes of an upload: all its chunks. */
MSFL_API uint64_t msfl_pairwise_upload_bytes(const msfl_pairwise_info *info);
/** Bytes of a client's answer about who is in and who is not. */
MSFL_API size_t msfl_pairwise_answer_bytes(const msfl_pairwise_info *info);

/* --- client: one round, then it is spent; belongs to one thread at a time --- */

typedef struct msfl_pairwise_client msfl_pairwise_client;

/** Draws two key pairs and the seed of the self-mask. */
MSFL_API MSFL_NODISCARD msfl_status msfl_pairwise_client_new(const msfl_pairwise_info *info, uint32_t client,
                                                             msfl_pairwise_client **out);
/** Free; NULL is fine. */
MSFL_API void msfl_pairwise_client_free(msfl_pairwise_client *c);

/** The client's two public keys and the commitment to the seed of its self-mask: what the server hands to everyone. */
MSFL_API void msfl_pairwise_client_advert(const msfl_pairwise_client *c, uint8_t out[MSFL_PAIRWISE_ADVERT_BYTES]);

/**
 * Shares of the seeds for everyone: `adverts[j]` is that of client j, NULL if it sent none; `packets` gets n_clients
 * times MSFL_PAIRWISE_PACKET_BYTES, zeros for the absent and for this client itself.
 *
 * @retval MSFL_ERR_POLICY    a second time, or fewer adverts than the threshold and the cohort ask for
 * @retval MSFL_ERR_MISMATCH  an advert of another client or round, or this client's own was changed
 * @retval MSFL_ERR_CRYPTO    a public key that is no key
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_pairwise_client_share(msfl_pairwise_client *c, const uint8_t *const *adverts,
                                                               uint8_t *packets);

/**
 * Take the shares of the others: `packets[j]` came from client j, NULL if it sent none; those who did, and this client,
 * are the partners of the round. May be tried again after an error.
 *
 * @retval MSFL_ERR_CRYPTO    a packet was not made for this client and roster, or was changed; the message names its
 * maker
 * @retval MSFL_ERR_POLICY    before sharing, a second time, or fewer partners than the threshold and the cohort ask for
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_pairwise_client_start(msfl_pairwise_client *c, const uint8_t *const *packets);

/**
 * Mask chunk `j`, in order 0, 1, ...: `values` holds msfl_pairwise_chunk_values integers below 2^value_bits; `out` gets
 * msfl_pairwise_chunk_bytes.
 *
 * @retval MSFL_ERR_POLICY   not started, or this chunk was masked before: two vectors under one mask reveal their
 * difference
 * @retval MSFL_ERR_USAGE    not the next chunk
 * @retval MSFL_ERR_NUMERIC  a value is 2^value_bits or more; nothing is written, the chunk may be masked after all
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_pairwise_client_mask(msfl_pairwise_client *c, uint64_t j,
                                                              const uint32_t *values, uint8_t *out);

/**
 * The one answer: for each partner the share of its self-mask's seed if `uploaded[j]`, of its pairwise key if not;
 * `out` gets msfl_pairwise_answer_bytes. All secrets are wiped with it, and an answer is never given twice, whatever
 * the question: the second could be for the other of the two seeds.
 *
 * @retval MSFL_ERR_POLICY  answered before; this client not among the uploaded, or its vector not masked to the end;
 *                          fewer uploads than the threshold and the cohort ask for; an upload of a stranger
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_pairwise_client_answer(msfl_pairwise_client *c, const bool *uploaded,
                                                                uint8_t *out);

/* --- coordinator: one round; belongs to one thread at a time, but chunks may be opened by several --- */

typedef struct msfl_pairwise_server msfl_pairwise_server;

/** `adverts` as for msfl_pairwise_client_share, and the same errors. */
MSFL_API MSFL_NODISCARD msfl_status msfl_pairwise_server_new(const msfl_pairwise_info *info,
                                                             const uint8_t *const *adverts, msfl_pairwise_server **out);
/** Free; NULL is fine. */
MSFL_API void msfl_pairwise_server_free(msfl_pairwise_server *s);

/** Fix the partners: `partners[j]` if packets came from client j. ERR_POLICY if they are too few, or it was done
 * before. */
MSFL_API MSFL_NODISCARD msfl_status msfl_pairwise_server_start(msfl_pairwise_server *s, const bool *partners);

/**
 * A partner's whole upload. Checked before the first value is added, so a bad one leaves no trace.
 * @retval MSFL_ERR_FORMAT    wrong length, magic or padding
 * @retval MSFL_ERR_MISMATCH  masked by another client, in another round, under another roster or for other partners
 * @retval MSFL_ERR_POLICY    of a client that is no partner, a second one, before the start or after the close
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_pairwise_server_upload(msfl_pairwise_server *s, uint32_t client,
                                                                const uint8_t *bytes, uint64_t length);

/** Fix who uploaded, and say so in `uploaded` (n_clients). ERR_POLICY if they are too few or it was done before. */
MSFL_API MSFL_NODISCARD msfl_status msfl_pairwise_server_close(msfl_pairwise_server *s, bool *uploaded);

/**
 * @retval MSFL_ERR_POLICY    an answer to another question: it releases what must not be released, or leaves out what
 * must be; of a client that did not upload; a second one; before the close
 * @retval MSFL_ERR_FORMAT, MSFL_ERR_MISMATCH  as for uploads
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_pairwise_server_answer(msfl_pairwise_server *s, uint32_t client,
                                                                const uint8_t *bytes, size_t length);

/** Leave a client's answer out again (it was wrong). ERR_MISSING if there is none. */
MSFL_API MSFL_NODISCARD msfl_status msfl_pairwise_server_exclude(msfl_pairwise_server *s, uint32_t client);

/**
 * Rebuild the seeds of the uploaded and the keys of the dropped from any t answers, and hold each against what its
 * owner published in its advert.
 *
 * @retval MSFL_ERR_MISSING  fewer than t answers so far
 * @retval MSFL_ERR_CRYPTO   an answer is wrong; the message names its giver if one answer more than t is there to tell.
 *                           Exclude it and call again.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_pairwise_server_unmask(msfl_pairwise_server *s);

/**
 * Chunk `j` of the sum, msfl_pairwise_chunk_values exact totals.
 * @retval MSFL_ERR_POLICY  not unmasked yet
 * @retval MSFL_ERR_CRYPTO  a total is above what the uploads can add up to: an upload was changed or made otherwise.
 *                          `totals` is zeroed.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_pairwise_server_open(const msfl_pairwise_server *s, uint64_t j,
                                                              uint64_t *totals);

MSFL_END_DECLS

#endif
