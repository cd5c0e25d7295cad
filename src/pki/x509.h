/* Shim for X.509 in libcrypto: keys, requests and certificates (ECDSA on P-256 with SHA-256). PEM in, PEM out. */
#ifndef MSFL_PKI_X509_H
#define MSFL_PKI_X509_H

#include "pki/names.h"

/** No certificate, request or key of ours comes near; more is ERR_LIMIT. */
enum { PKI_PEM_BYTES_MAX = 16384 };

/** What a certificate says. */
typedef struct pki_facts {
    char name[PKI_NAME_MAX + 1];       /**< common name */
    char federation[PKI_NAME_MAX + 1]; /**< organisation */
    char role[PKI_NAME_MAX + 1];       /**< organisational unit */
    uint8_t serial[PKI_SERIAL_BYTES];
    uint8_t key[PKI_KEY_HASH_BYTES]; /**< SHA-256 of the SubjectPublicKeyInfo */
    int64_t not_before, not_after;   /**< seconds since 1970 */
    bool for_server, for_client;     /**< extended key usage */
} pki_facts;

/** What an authority grants. Coordinators serve; everybody else only dials out. */
typedef struct pki_grant {
    const char *federation, *name;
    pki_role role;
    const char *const *hosts; /**< n_hosts: where a coordinator is reached */
    size_t n_hosts;
    int64_t not_before, not_after;
} pki_grant;

/** A fresh private key as PKCS#8 PEM in secret memory (msfl_secret_free); a closing zero is not counted. */
msfl_status pki_key_new(uint8_t **pem, size_t *length) MSFL_NODISCARD;

/** A self-signed certificate for an authority's key, path length 0. Free with msfl_free. */
msfl_status pki_authority_certificate(const uint8_t *key, size_t key_length, const char *federation, int64_t not_before,
                                      int64_t not_after, char **pem) MSFL_NODISCARD;

/** A PKCS#10 request: signed with the key, hence proof that its maker has it. Free with msfl_free. */
msfl_status pki_csr_new(const uint8_t *key, size_t key_length, const char *name, char **pem) MSFL_NODISCARD;
/** ERR_FORMAT, ERR_CRYPTO (its signature), ERR_POLICY (another kind of key). */
msfl_status pki_csr_check(const char *pem, size_t length, uint8_t key[PKI_KEY_HASH_BYTES]) MSFL_NODISCARD;

/** A certificate for the key of a request. Nothing of the request but its key enters. Random serial number. */
msfl_status pki_certificate_issue(const char *ca_pem, const uint8_t *ca_key, size_t ca_key_length, const char *csr_pem,
                                  const pki_grant *grant, pki_facts *facts, char **pem) MSFL_NODISCARD;

/** An authority's certificate that others are held against. Free with pki_anchor_free; any thread may use it. */
typedef struct pki_anchor pki_anchor;
msfl_status pki_anchor_new(const char *pem, size_t length, pki_anchor **out) MSFL_NODISCARD;
void pki_anchor_free(pki_anchor *anchor);
const pki_facts *pki_anchor_facts(const pki_anchor *anchor);

/**
 * Whether a certificate (DER) was issued by the anchor and is valid at `now`. `facts` is filled wherever the
 * certificate could be read, else zeroed; of another authority's certificate believe nothing.
 * ADMITTED, MALFORMED, OTHER_CA, NOT_YET_VALID or EXPIRED.
 */
pki_verdict pki_anchor_judge(const pki_anchor *anchor, const uint8_t *der, size_t length, int64_t now,
                             pki_facts *facts);
/** The same for PEM, as a status with a message that says what to do next. */
msfl_status pki_anchor_check(const pki_anchor *anchor, const char *what, const char *pem, size_t length, int64_t now,
                             pki_facts *facts) MSFL_NODISCARD;

/** ERR_MISMATCH unless the private key is that of the certificate. */
msfl_status pki_key_check(const uint8_t *key, size_t key_length, const char *certificate_pem,
                          size_t certificate_length) MSFL_NODISCARD;

#endif
