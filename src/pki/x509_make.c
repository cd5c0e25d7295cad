/* Making keys, requests and certificates. */
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "pki/x509_ssl.h"

#include <string.h>

msfl_status pki_key_new(uint8_t **pem, size_t *length) {
    *pem = NULL;
    *length = 0;
    msfl_status status = MSFL_OK;
    BIO *bio = BIO_new(BIO_s_secmem()); /* wiped when freed */
    EVP_PKEY *key = EVP_EC_gen("P-256");
    char *data = NULL;
    if (bio == NULL || key == NULL || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1) {
        status = pki_ssl_fail(MSFL_ERR_SYSTEM, "a private key cannot be made");
        goto done;
    }
    long n = BIO_get_mem_data(bio, &data);
    *pem = msfl_secret_alloc((size_t)n + 1);
    if (*pem == NULL) {
        status = MSFL_ERR_MEMORY;
        goto done;
    }
    memcpy(*pem, data, (size_t)n);
    (*pem)[n] = 0;
    *length = (size_t)n;
done:
    EVP_PKEY_free(key);
    BIO_free(bio);
    return status;
}

static bool put_name(X509_NAME *name, int nid, const char *text) {
    return X509_NAME_add_entry_by_NID(name, nid, MBSTRING_ASC, (const unsigned char *)text, -1, -1, 0) == 1;
}

static bool put_subject(X509 *certificate, const char *federation, const char *role, const char *name) {
    X509_NAME *subject = X509_get_subject_name(certificate);
    return put_name(subject, NID_organizationName, federation) && put_name(subject, NID_organizationalUnitName, role) &&
           put_name(subject, NID_commonName, name);
}

/* 127 random bits, and never a leading zero byte: every serial number has exactly 16 bytes. */
static bool put_serial(X509 *certificate) {
    uint8_t bytes[PKI_SERIAL_BYTES];
    msfl_random_bytes(bytes, sizeof bytes);
    bytes[0] = (uint8_t)((bytes[0] & 0x3f) | 0x40);
    BIGNUM *number = BN_bin2bn(bytes, sizeof bytes, NULL);
    bool good = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return good;
}

static bool put_extension(X509 *certificate, X509 *issuer, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, &ctx, nid, value);
    bool good = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return good;
}

static bool put_times(X509 *certificate, int64_t not_before, int64_t not_after) {
    return ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)not_before) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)not_after) != NULL;
}

static msfl_status pem_of(X509 *certificate, char **pem) {
    BIO *bio = BIO_new(BIO_s_mem());
    msfl_status status = MSFL_OK;
    *pem = NULL;
    if (bio == NULL || PEM_write_bio_X509(bio, certificate) != 1) {
        status = pki_ssl_fail(MSFL_ERR_MEMORY, "a certificate cannot be written");
    } else {
        *pem = pki_ssl_text(bio);
        if (*pem == NULL) status = MSFL_NO_MEMORY;
    }
    BIO_free(bio);
    return status;
}

msfl_status pki_authority_certificate(const uint8_t *key, size_t key_length, const char *federation, int64_t not_before,
                                      int64_t not_after, char **pem) {
    *pem = NULL;
    EVP_PKEY *pair;
    msfl_status status = pki_ssl_key(key, key_length, &pair);
    if (status != MSFL_OK) return status;
    X509 *c = X509_new();
    if (c == NULL || X509_set_version(c, X509_VERSION_3) != 1 || !put_serial(c) ||
        !put_times(c, not_before, not_after) || !put_subject(c, federation, "ca", federation) ||
        X509_set_issuer_name(c, X509_get_subject_name(c)) != 1 || X509_set_pubkey(c, pair) != 1 ||
        !put_extension(c, c, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
        !put_extension(c, c, NID_key_usage, "critical,keyCertSign,cRLSign") ||
        !put_extension(c, c, NID_subject_key_identifier, "hash") || X509_sign(c, pair, EVP_sha256()) == 0) {
        status = pki_ssl_fail(MSFL_ERR_SYSTEM, "the authority's certificate cannot be made");
    } else {
        status = pem_of(c, pem);
    }
    X509_free(c);
    EVP_PKEY_free(pair);
    return status;
}

msfl_status pki_csr_new(const uint8_t *key, size_t key_length, const char *name, char **pem) {
    *pem = NULL;
    EVP_PKEY *pair;
    msfl_status status = pki_ssl_key(key, key_length, &pair);
    if (status != MSFL_OK) return status;
    X509_REQ *request = X509_REQ_new();
    BIO *bio = BIO_new(BIO_s_mem());
    if (request == NULL || bio == NULL || X509_REQ_set_version(request, X509_REQ_VERSION_1) != 1 ||
        !put_name(X509_REQ_get_subject_name(request), NID_commonName, name) ||
        X509_REQ_set_pubkey(request, pair) != 1 || X509_REQ_sign(request, pair, EVP_sha256()) == 0 ||
        PEM_write_bio_X509_REQ(bio, request) != 1) {
        status = pki_ssl_fail(MSFL_ERR_SYSTEM, "a certificate request cannot be made");
    } else {
        *pem = pki_ssl_text(bio);
        if (*pem == NULL) status = MSFL_NO_MEMORY;
    }
    BIO_free(bio);
    X509_REQ_free(request);
    EVP_PKEY_free(pair);
    return status;
}

static msfl_status csr_read(const char *pem, size_t length, X509_REQ **out) {
    *out = NULL;
    if (length > PKI_PEM_BYTES_MAX) return msfl_fail(MSFL_ERR_LIMIT, "a certificate request of %zu bytes", length);
    BIO *bio = BIO_new_mem_buf(pem, (int)length);
    X509_REQ *request = bio == NULL ? NULL : PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
    BIO_free(bio);
    EVP_PKEY *key = request == NULL ? NULL : X509_REQ_get0_pubkey(request);
    msfl_status status = MSFL_OK;
    if (request == NULL || key == NULL) {
        status = msfl_fail(MSFL_ERR_FORMAT, "there is no certificate request in PEM form");
    } else if (!pki_ssl_is_p256(key)) {
        status = msfl_fail(MSFL_ERR_POLICY, "the key of the certificate request is not one on the curve P-256");
    } else if (X509_REQ_verify(request, key) != 1) {
        status = msfl_fail(MSFL_ERR_CRYPTO, "the certificate request is not signed with its own key");
    }
    ERR_clear_error();
    if (status != MSFL_OK) {
        X509_REQ_free(request);
        return status;
    }
    *out = request;
    return MSFL_OK;
}

msfl_status pki_csr_check(const char *pem, size_t length, uint8_t key[PKI_KEY_HASH_BYTES]) {
    X509_REQ *request;
    memset(key, 0, PKI_KEY_HASH_BYTES);
    msfl_status status = csr_read(pem, length, &request);
    if (status != MSFL_OK) return status;
    if (!pki_ssl_key_hash(X509_REQ_get_X509_PUBKEY(request), key)) {
        status = pki_ssl_fail(MSFL_ERR_SYSTEM, "a key cannot be hashed");
    }
    X509_REQ_free(request);
    return status;
}

/* "DNS:a.example,IP:127.0.0.1": hosts were checked, so that no comma or colon of a name ends up in here. */
static msfl_status hosts_text(const pki_grant *grant, char **out) {
    *out = msfl_strdup("");
    for (size_t i = 0; *out != NULL && i < grant->n_hosts; i++) {
        const char *host = grant->hosts[i];
        msfl_status status = pki_host_check(host);
        if (status != MSFL_OK) {
            msfl_free(*out);
            *out = NULL;
            return status;
        }
        char *longer =
            msfl_format("%s%s%s:%s", *out, i == 0 ? "" : ",", pki_host_is_address(host) ? "IP" : "DNS", host);
        msfl_free(*out);
        *out = longer;
    }
    return *out == NULL ? MSFL_NO_MEMORY : MSFL_OK;
}

static bool build(X509 *c, X509 *ca, const pki_grant *grant, const char *hosts) {
    bool serves = grant->role == PKI_COORDINATOR;
    return X509_set_version(c, X509_VERSION_3) == 1 && put_serial(c) &&
           put_times(c, grant->not_before, grant->not_after) &&
           put_subject(c, grant->federation, pki_role_name(grant->role), grant->name) &&
           X509_set_issuer_name(c, X509_get_subject_name(ca)) == 1 &&
           put_extension(c, ca, NID_basic_constraints, "critical,CA:FALSE") &&
           put_extension(c, ca, NID_key_usage, "critical,digitalSignature") &&
           /* A hospital's certificate does for no server, a coordinator's for both. */
           put_extension(c, ca, NID_ext_key_usage, serves ? "serverAuth,clientAuth" : "clientAuth") &&
           put_extension(c, ca, NID_authority_key_identifier, "keyid:always") &&
           (hosts[0] == 0 || put_extension(c, ca, NID_subject_alt_name, hosts));
}

msfl_status pki_certificate_issue(const char *ca_pem, const uint8_t *ca_key, size_t ca_key_length, const char *csr_pem,
                                  const pki_grant *grant, pki_facts *facts, char **pem) {
    *pem = NULL;
    *facts = (pki_facts){0};
    X509 *ca = NULL, *c = X509_new();
    EVP_PKEY *ca_pair = NULL;
    X509_REQ *request = NULL;
    char *hosts = NULL;
    msfl_status status = c == NULL ? MSFL_NO_MEMORY : hosts_text(grant, &hosts);
    if (status == MSFL_OK) status = pki_ssl_certificate("the authority's certificate", ca_pem, strlen(ca_pem), &ca);
    if (status == MSFL_OK) status = pki_ssl_key(ca_key, ca_key_length, &ca_pair);
    if (status == MSFL_OK && X509_check_private_key(ca, ca_pair) != 1) {
        ERR_clear_error();
        status = msfl_fail(MSFL_ERR_MISMATCH, "the authority's key does not belong to its certificate");
    }
    if (status == MSFL_OK) status = csr_read(csr_pem, strlen(csr_pem), &request);
    if (status != MSFL_OK) goto done;
    if (!build(c, ca, grant, hosts) || X509_set_pubkey(c, X509_REQ_get0_pubkey(request)) != 1 ||
        X509_sign(c, ca_pair, EVP_sha256()) == 0 || !pki_ssl_facts(c, facts)) {
        status = pki_ssl_fail(MSFL_ERR_SYSTEM, "a certificate cannot be made");
        goto done;
    }
    status = pem_of(c, pem);
done:
    msfl_free(hosts);
    X509_REQ_free(request);
    EVP_PKEY_free(ca_pair);
    X509_free(ca);
    X509_free(c);
    return status;
}
