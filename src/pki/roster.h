/* Who takes part, with which certificates and keys, and what was revoked: signed by the consortium, one epoch after the
 * other. docs/formats/kit.md. */
#ifndef MSFL_PKI_ROSTER_H
#define MSFL_PKI_ROSTER_H

#include "base/bytes.h"
#include "base/sodium.h"
#include "medsecurefl/roster.h"
#include "pki/names.h"

/** A thousand hospitals, and whoever stands around them. */
enum { PKI_PARTIES_MAX = 1200, PKI_REVOKED_MAX = 1200, PKI_CERTIFICATES_MAX = 2 };

/** Bounds of the text, beyond those of other YAML (text/yaml.h): a party with two certificates has at most 620 bytes
 * and 14 values, a revocation 350 and 6. A test fills a roster. */
enum { PKI_ROSTER_BYTES_MAX = 1300 * 1024, PKI_ROSTER_NODES_MAX = 27000 };

/** A certificate that a party may show. */
typedef struct pki_certificate {
    uint8_t serial[PKI_SERIAL_BYTES];
    uint8_t key[PKI_KEY_HASH_BYTES]; /**< SHA-256 of its SubjectPublicKeyInfo */
    int64_t not_after;
} pki_certificate;

typedef struct pki_party {
    char name[PKI_NAME_MAX + 1];
    pki_role role;
    uint8_t sign[MSFL_SIGN_PUBLIC_BYTES], box[MSFL_X25519_BYTES]; /**< of the round protocol */
    /** The newest first. Two while a rotation is under way, so that a site may take its time; none: revoked. */
    pki_certificate certificates[PKI_CERTIFICATES_MAX];
    uint32_t n_certificates;
} pki_party;

typedef struct pki_revoked {
    char name[PKI_NAME_MAX + 1];
    uint8_t serial[PKI_SERIAL_BYTES];
    int64_t when, not_after;
    char reason[PKI_REASON_MAX + 1];
} pki_revoked;

typedef struct pki_roster {
    char federation[PKI_NAME_MAX + 1];
    uint32_t epoch; /**< counts up with every roster that is signed, from 1 */
    int64_t created;
    uint8_t consortium[MSFL_SIGN_PUBLIC_BYTES]; /**< who signs */
    uint8_t authority[PKI_KEY_HASH_BYTES];      /**< key of the certificate authority */
    char url[PKI_HOST_MAX + 32];                /**< of the coordinator */
    pki_party parties[PKI_PARTIES_MAX];         /**< n_parties, in order of admission; one coordinator */
    uint32_t n_parties;
    pki_revoked revoked[PKI_REVOKED_MAX]; /**< n_revoked; those that have expired meanwhile are left out */
    uint32_t n_revoked;
    /** Who holds shares of one-time keys, and the consortium's signature under the round's binary roster
     *  (pki/round.h). n_members 0: no round can be run under this roster. */
    msfl_custody custody;
    char members[MSFL_COMMITTEE_MAX][PKI_NAME_MAX + 1]; /**< n_members */
    uint32_t n_members, threshold, corrupt;
    uint8_t round[MSFL_SIGN_BYTES];
    char awaited[PKI_PARTIES_MAX][PKI_NAME_MAX + 1]; /**< n_awaited: planned, and their requests have not come yet */
    uint32_t n_awaited;
} pki_roster;

/** Zeroed, 600 KB; msfl_free. */
pki_roster *pki_roster_new(void);

/** Everything that a reader demands: names once, one coordinator, keys and serial numbers once; members of a committee
 *  that are parties and not revoked, and a threshold that withstands the corrupt ones. ERR_FORMAT. */
msfl_status pki_roster_check(const pki_roster *roster) MSFL_NODISCARD;

/** The text that is signed: the same for the same content. Clear `out` in any case. */
msfl_status pki_roster_text(const pki_roster *roster, msfl_buffer *out) MSFL_NODISCARD;
/** The signed text of a roster whose `consortium` is the key of `secret`. Clear `out` in any case. */
msfl_status pki_roster_sign(const pki_roster *roster, const uint8_t secret[MSFL_SIGN_SECRET_BYTES],
                            msfl_buffer *out) MSFL_NODISCARD;
/** Read, check the signature by `consortium` and the content. Free with msfl_free. ERR_FORMAT, ERR_CRYPTO, ERR_LIMIT.
 */
msfl_status pki_roster_parse(const char *name, const char *text, size_t length,
                             const uint8_t consortium[MSFL_SIGN_PUBLIC_BYTES], pki_roster **out) MSFL_NODISCARD;

/** ERR_MISMATCH unless `next` may replace `current`: same federation, consortium and authority, and a higher epoch (or
 *  the same content in the same epoch). ERR_POLICY for an older one. */
msfl_status pki_roster_may_follow(const pki_roster *current, const pki_roster *next) MSFL_NODISCARD;

const pki_party *pki_roster_find(const pki_roster *roster, const char *name);
const pki_party *pki_roster_coordinator(const pki_roster *roster);
/** NULL if it is not there. */
const pki_revoked *pki_roster_revoked(const pki_roster *roster, const uint8_t serial[PKI_SERIAL_BYTES]);

#endif
