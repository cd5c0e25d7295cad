/* A party's folder: what it is made of, and reading it whole. */
#ifndef MSFL_PKI_KIT_H
#define MSFL_PKI_KIT_H

#include "pki/request.h"
#include "pki/roster.h"

/* Names of files in a kit. */
#define PKI_FILE_CONFIG   "config.yaml"
#define PKI_FILE_CA       "ca.pem"
#define PKI_FILE_CERT     "tls.pem"
#define PKI_FILE_KEY      "tls.key"
#define PKI_FILE_IDENTITY "identity.key"
#define PKI_FILE_ROSTER   "roster.yaml"

enum { PKI_CONFIG_BYTES_MAX = 65536 };

/** config.yaml: what the operator of a site may look at and change (proxy). */
typedef struct pki_config {
    char federation[PKI_NAME_MAX + 1], name[PKI_NAME_MAX + 1];
    pki_role role;
    char url[PKI_HOST_MAX + 32];
    uint8_t consortium[MSFL_SIGN_PUBLIC_BYTES];
    char proxy[512];       /**< "" or http://host:port */
    char proxy_auth[1024]; /**< "" or a file of mode 0600 with one line user:password */
} pki_config;

msfl_status pki_config_parse(const char *name, const char *text, size_t length, pki_config *out) MSFL_NODISCARD;

typedef struct pki_kit {
    pki_config config;
    char *ca, *certificate; /**< PEM */
    uint8_t *key;           /**< PEM in secret memory */
    size_t key_length;
    pki_identity *identity;
    pki_roster *roster;
    pki_anchor *anchor;
    pki_facts facts; /**< of the certificate */
} pki_kit;

/**
 * Read a kit and prove that its parts belong together: the certificate to the authority, the key to the certificate,
 * the roster to the consortium and the authority, both to this party. A kit without a roster cannot be used.
 * @retval MSFL_ERR_POLICY  certificate-expired, -not-yet-valid, -revoked, -not-in-roster; loose rights of a key file
 * @retval MSFL_ERR_CRYPTO  certificate-of-another-authority; a roster of another consortium; a wrong passphrase
 * @retval MSFL_ERR_MISMATCH, MSFL_ERR_FORMAT, MSFL_ERR_MISSING
 * `now`: seconds since 1970. On error `*out` is NULL.
 */
msfl_status pki_kit_load(const char *folder, const msfl_unlock *unlock, int64_t now, pki_kit **out) MSFL_NODISCARD;
void pki_kit_free(pki_kit *kit);

/**
 * A newer roster, as the coordinator sends it or the authority's folder has it: checked against the kit's consortium
 * and pki_roster_may_follow, written to `folder`, and the kit's from then on. The same one again is fine. On error
 * nothing changes. For a server: pki_gate_replace with `kit->roster` afterwards.
 */
msfl_status pki_kit_take_roster(pki_kit *kit, const char *folder, const char *text, size_t length) MSFL_NODISCARD;

/** The text of a file of `folder`; msfl_free. */
msfl_status pki_folder_read(const char *folder, const char *file, size_t bytes_max, char **text,
                            size_t *length) MSFL_NODISCARD;
/** Replace such a file, readable by all. */
msfl_status pki_folder_write(const char *folder, const char *file, const void *bytes, size_t length) MSFL_NODISCARD;

/** Of a federation, for comparing by telephone: authority and consortium key. */
void pki_federation_fingerprint(const pki_roster *roster, uint8_t out[PKI_FINGERPRINT_BYTES]);

/** Write the public part of a kit: configuration, certificates, the README. Private keys lie in `folder` already, or at
 *  the site. */
msfl_status pki_kit_write(const char *folder, const pki_roster *roster, const char *name, pki_role role, const char *ca,
                          const char *certificate, bool has_keys) MSFL_NODISCARD;

#endif
