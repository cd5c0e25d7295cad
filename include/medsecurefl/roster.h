/* Who takes part: identities, the committee that holds key shares, and the roster that the consortium signs.
 * Layer: round. docs/design/round.md has the reasons, docs/formats/round-messages.md the bytes.
 *
 * Parties are numbered from 0: hospitals first, in the order of the roster (a hospital's number is its client number),
 * then those committee members that are no hospital. The coordinator is not one of them.
 */
#ifndef MEDSECUREFL_ROSTER_H
#define MEDSECUREFL_ROSTER_H

#include "medsecurefl/params.h"

MSFL_BEGIN_DECLS

enum { MSFL_COMMITTEE_MAX = 16, MSFL_PARTIES_MAX = MSFL_CLIENTS_MAX + MSFL_COMMITTEE_MAX, MSFL_SIGNATURE_BYTES = 64 };

/** Number of the coordinator where a party is asked for. */
#define MSFL_COORDINATOR UINT32_MAX

/** Who holds the shares of the one-time keys. */
typedef enum msfl_custody {
    MSFL_CUSTODY_COMMITTEE = 1,  /**< t of k members: no t - 1 of them, with the coordinator, open anything */
    MSFL_CUSTODY_AUTHORITY = 2,  /**< k = t = 1: one separate party that must not collude with the coordinator */
    MSFL_CUSTODY_COORDINATOR = 3 /**< the coordinator itself: no secrecy from a curious coordinator. By name only. */
} msfl_custody;

/** "committee", "authority", "coordinator"; "unknown". Static storage. */
MSFL_API const char *msfl_custody_name(msfl_custody custody);
/** By its name; ERR_USAGE with the names for another. */
MSFL_API MSFL_NODISCARD msfl_status msfl_custody_find(const char *name, msfl_custody *out);
/** What the custody asks one to believe, as one sentence for reports. Static storage. */
MSFL_API const char *msfl_custody_trust(msfl_custody custody);

/** Who can open the committee's answers, and with them the sum. */
typedef enum msfl_delivery {
    MSFL_DELIVERY_COORDINATOR = 1, /**< the coordinator learns the sum, and makes the next model */
    MSFL_DELIVERY_CLIENTS = 2      /**< all hospitals of the roster do; the coordinator never sees it */
} msfl_delivery;

/** "coordinator", "clients"; "unknown". Static storage. */
MSFL_API const char *msfl_delivery_name(msfl_delivery delivery);
/** By its name; ERR_USAGE with the names for another. */
MSFL_API MSFL_NODISCARD msfl_status msfl_delivery_find(const char *name, msfl_delivery *out);

/** The public half of an identity. */
typedef struct msfl_identity {
    uint8_t sign[32]; /**< Ed25519 */
    uint8_t box[32];  /**< X25519 */
} msfl_identity;

/** The secret half: lives in secret memory (msfl_identity_new). */
typedef struct msfl_identity_secret {
    uint8_t sign[64];
    uint8_t box[32];
    uint8_t unused[32]; /* 128 bytes: aligned in secret memory */
} msfl_identity_secret;

/** The identity of 32 secret bytes from the operating system or a key file. `secret` is in locked memory; free it with
 *  msfl_identity_free. */
MSFL_API MSFL_NODISCARD msfl_status msfl_identity_new(const uint8_t seed[32], msfl_identity *identity,
                                                      msfl_identity_secret **secret);
/** Wipes. */
MSFL_API void msfl_identity_free(msfl_identity_secret *secret);

/**
 * Whether k members of which t are needed withstand f corrupt ones: 2 t > k + f (no two cohorts are certified in one
 * round), t >= f + 1 (the corrupt ones alone open nothing), t <= k <= MSFL_COMMITTEE_MAX. ERR_POLICY with the numbers.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_committee_check(uint32_t k, uint32_t t, uint32_t f);
/** f = floor((k - 1) / 3) and the least t that msfl_committee_check allows. */
MSFL_API void msfl_committee_default(uint32_t k, uint32_t *t, uint32_t *f);

/** The content of a roster. */
typedef struct msfl_roster_info {
    uint64_t epoch; /**< counts up with every roster that the consortium signs */
    msfl_custody custody;
    msfl_identity coordinator;
    const msfl_identity *parties; /**< n_parties, the hospitals first */
    uint32_t n_parties;
    uint32_t n_clients;      /**< hospitals: 2 to MSFL_CLIENTS_MAX */
    const uint32_t *members; /**< k party numbers, ascending */
    uint32_t k, t, f;
} msfl_roster_info;

typedef struct msfl_roster msfl_roster; /**< immutable; any number of threads and machines may share one */

/** Most bytes of a roster. */
#define MSFL_ROSTER_BYTES_MAX (168u + 64u * MSFL_PARTIES_MAX + 4u * MSFL_COMMITTEE_MAX)
/** Bytes that msfl_roster_sign writes for this content. */
MSFL_API size_t msfl_roster_bytes(const msfl_roster_info *info);

/**
 * Sign a roster with the consortium's key; `out` holds msfl_roster_bytes(info), zeroed on error.
 * @retval MSFL_ERR_POLICY  the committee does not withstand f, custody and members do not fit, a key stands twice
 * @retval MSFL_ERR_USAGE   a number out of range, members not ascending
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_roster_sign(const msfl_roster_info *info,
                                                     const msfl_identity_secret *consortium, uint8_t *out);
/**
 * Read and check a roster: everything that msfl_roster_sign checks, and the signature of the consortium whose signing
 * key is `consortium`. Free with msfl_roster_free.
 * @retval MSFL_ERR_FORMAT  not a roster, or cut off
 * @retval MSFL_ERR_CRYPTO  not signed by this consortium, or a committee key that is no key
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_roster_read(const uint8_t *bytes, size_t length, const uint8_t consortium[32],
                                                     msfl_roster **out);
/** Free; NULL is fine. */
MSFL_API void msfl_roster_free(msfl_roster *roster);
/** Lives as long as the roster. */
MSFL_API const msfl_roster_info *msfl_roster_borrow(const msfl_roster *roster);
/** What announcements name; the committee and its threshold are inside. */
MSFL_API const uint8_t *msfl_roster_hash(const msfl_roster *roster);

MSFL_END_DECLS

#endif
