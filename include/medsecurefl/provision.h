/* Certificates, keys and rosters for the parties of a federation. Layer: pki. docs/formats/kit.md has the files.
 *
 * The authority's folder (kits/ca) belongs on a machine without network. Whoever has it can admit anybody.
 */
#ifndef MEDSECUREFL_PROVISION_H
#define MEDSECUREFL_PROVISION_H

#include "medsecurefl/keyfile.h"
#include "medsecurefl/observe.h"
#include "medsecurefl/roster.h"

MSFL_BEGIN_DECLS

enum { MSFL_PROVISION_NAME_MAX = 40, MSFL_PROVISION_FINGERPRINT_BYTES = 16, MSFL_PROVISION_DAYS_MAX = 825 };

/** What all steps of the authority take. */
typedef struct msfl_provision_options {
    const msfl_unlock *authority;  /**< seals, and opens, the authority's keys; NULL: they lie there plain, 0600 */
    const msfl_unlock *kits;       /**< seals the keys of kits that are made here; NULL: plain, 0600 */
    int64_t now;                   /**< seconds since 1970; 0: the machine's clock */
    uint32_t valid_days;           /**< of certificates: 1 to 825; 0: as the plan says, else 365 */
    const msfl_observer *observer; /**< told of every kit; may stop the step between two; NULL: nobody watches */
} msfl_provision_options;

/** What a step did. */
typedef struct msfl_provision_result {
    char federation[MSFL_PROVISION_NAME_MAX + 1];
    uint8_t fingerprint[MSFL_PROVISION_FINGERPRINT_BYTES]; /**< of the federation: authority and consortium key */
    uint32_t epoch;                                        /**< of the roster as it is now */
    uint32_t n_parties;                                    /**< admitted parties, the coordinator among them */
    uint32_t n_kits;                                       /**< folders written by this step */
    uint32_t n_waiting;                                    /**< parties of the plan that make their keys on site */
    msfl_custody custody;                                  /**< 0: no round can be run under this roster yet */
    uint32_t n_hospitals;                                  /**< that take part in rounds: admitted, not revoked */
    uint32_t members, threshold, corrupt;                  /**< of the committee: k, t, f */
    uint32_t n_awaited; /**< parties of rounds that are planned and not in the roster yet */
} msfl_provision_result;

/**
 * Found a federation from a plan (federation.yaml) below the folder `out`: out/ca, and a kit per party. If out/ca is
 * there, admit the parties that the plan has and the roster has not; nobody else is touched.
 * @retval MSFL_ERR_FORMAT    the plan; the message names the line
 * @retval MSFL_ERR_EXISTS    a kit's folder is there although its party is not admitted
 * @retval MSFL_ERR_MISMATCH  out/ca belongs to another federation
 * @retval MSFL_ERR_CANCELLED the observer stopped it: parties whose kits were whole are admitted, a further call goes
 * on
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_provision_create(const char *plan, const char *out,
                                                          const msfl_provision_options *options,
                                                          msfl_provision_result *result);

/** At a site: make its keys in `folder`, which never leave it, and NAME.request beside them. `role`: "hospital",
 *  "authority", "coordinator", "operator". `unlock` seals the keys; NULL: plain, 0600. ERR_EXISTS if there are keys. */
MSFL_API MSFL_NODISCARD msfl_status msfl_provision_request(const char *federation, const char *name, const char *role,
                                                           const char *folder, const msfl_unlock *unlock,
                                                           uint8_t fingerprint[MSFL_PROVISION_FINGERPRINT_BYTES]);
/** At a site: a request that keeps the identity of a kit, whose certificate may have expired, with a new TLS key or the
 *  kit's (`same_key`). Both keys and NAME.request go to `folder`, a new one; `unlock` opens the kit's and seals the new
 *  files. Approved with MSFL_ROTATE_CERTIFICATE. */
MSFL_API MSFL_NODISCARD msfl_status
msfl_provision_request_renewal(const char *kit, const char *folder, bool same_key, const msfl_unlock *unlock,
                               uint8_t fingerprint[MSFL_PROVISION_FINGERPRINT_BYTES]);
/** What a request says of itself, its signatures checked: to be compared with the site another way. */
MSFL_API MSFL_NODISCARD msfl_status msfl_provision_request_read(const char *path,
                                                                char name[MSFL_PROVISION_NAME_MAX + 1],
                                                                uint8_t fingerprint[MSFL_PROVISION_FINGERPRINT_BYTES]);

/** What of a party is replaced. */
typedef enum msfl_rotation {
    MSFL_ROTATE_NONE = 0,       /**< nothing: the party is new */
    MSFL_ROTATE_ALL = 1,        /**< certificate and identity: rounds know it by other keys from then on */
    MSFL_ROTATE_CERTIFICATE = 2 /**< the certificate alone: its identity must be the one in the roster */
} msfl_rotation;

/**
 * At the authority: certify a request; `out` gets the kit without private keys. With a rotation the party must be in
 * the roster, and its last certificate stays good until it expires; without, it must not be there.
 * @retval MSFL_ERR_CRYPTO    the request's signatures
 * @retval MSFL_ERR_MISMATCH  another federation; `fingerprint` (NULL: not compared) is not that of the request; another
 *                            identity where only the certificate is rotated
 * @retval MSFL_ERR_POLICY    only the certificate, of a party that was revoked: its keys may be known to others
 * @retval MSFL_ERR_EXISTS, MSFL_ERR_MISSING  in the roster, or not
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_provision_approve(const char *request, const char *authority, const char *out,
                                                           const uint8_t *fingerprint, msfl_rotation rotation,
                                                           const msfl_provision_options *options,
                                                           msfl_provision_result *result);

/** New keys and certificate for a party whose kit was made at the authority; otherwise as approve with
 *  MSFL_ROTATE_ALL. */
MSFL_API MSFL_NODISCARD msfl_status msfl_provision_rotate(const char *authority, const char *name, const char *out,
                                                          const msfl_provision_options *options,
                                                          msfl_provision_result *result);

/** A new certificate for a kit that lies here, with its identity and a new TLS key or the kit's (`same_key`); `out`
 * gets a whole kit. `options->kits` opens the old keys and seals the new files. Otherwise as approve with
 *  MSFL_ROTATE_CERTIFICATE. */
MSFL_API MSFL_NODISCARD msfl_status msfl_provision_renew(const char *authority, const char *kit, const char *out,
                                                         bool same_key, const msfl_provision_options *options,
                                                         msfl_provision_result *result);

/** Take all certificates of a party out of the roster, into the list of what was revoked. `previous_only`: all but its
 *  newest. ERR_MISSING if there is nothing to revoke. */
MSFL_API MSFL_NODISCARD msfl_status msfl_provision_revoke(const char *authority, const char *name, bool previous_only,
                                                          const char *reason, const msfl_provision_options *options,
                                                          msfl_provision_result *result);

/** One party as a roster has it. */
typedef struct msfl_provision_party {
    char name[MSFL_PROVISION_NAME_MAX + 1];
    const char *role;        /**< static storage */
    uint32_t n_certificates; /**< 0: all are revoked, or its request has not come */
    bool is_awaited;         /**< planned, and not in the roster yet; `role` is "awaited" */
    int64_t not_after;       /**< of the newest */
} msfl_provision_party;

/** The parties of a roster that lies in `folder` (an authority's or a kit), its signature checked with the consortium
 *  key that lies there too; then those that are awaited. Free `*parties` with msfl_provision_parties_free. */
MSFL_API MSFL_NODISCARD msfl_status msfl_provision_list(const char *folder, msfl_provision_result *result,
                                                        msfl_provision_party **parties, uint32_t *n);
/** Free; NULL is fine. */
MSFL_API void msfl_provision_parties_free(msfl_provision_party *parties);

/** Whether a kit is whole and good at this time: certificate, keys, roster, and that they belong together. `name` and
 *  `not_after` (of its certificate) are filled. Errors name what to do; certificate-... names as in
 * docs/formats/kit.md. */
MSFL_API MSFL_NODISCARD msfl_status msfl_provision_check(const char *folder, const msfl_unlock *unlock, int64_t now,
                                                         char name[MSFL_PROVISION_NAME_MAX + 1], int64_t *not_after,
                                                         msfl_provision_result *result);

MSFL_END_DECLS

#endif
