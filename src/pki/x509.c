/* Reading certificates and judging them. */
#include "base/error.h"
#include "base/mem.h"
#include "pki/x509_ssl.h"

#include <string.h>
#include <time.h>

struct pki_anchor {
    X509 *certificate;
    X509_STORE *store;
    pki_facts facts;
};

msfl_status pki_ssl_fail(msfl_status status, const char *what) {
    unsigned long code = ERR_peek_last_error();
    const char *reason = code == 0 ? NULL : ERR_reason_error_string(code);
    ERR_clear_error();
    return msfl_fail(status, "%s (%s)", what, reason == NULL ? "OpenSSL gives no reason" : reason);
}

/* A passphrase is never asked for: without this OpenSSL would, on the terminal. */
static int no_passphrase(char *buffer, int size, int for_writing, void *ctx) {
    (void)buffer, (void)size, (void)for_writing, (void)ctx;
    return -1;
}

msfl_status pki_ssl_certificate(const char *what, const char *pem, size_t length, X509 **out) {
    *out = NULL;
    if (length > PKI_PEM_BYTES_MAX) {
        return msfl_fail(MSFL_ERR_LIMIT, "%s has %zu bytes; a certificate has at most %d", what, length,
                         PKI_PEM_BYTES_MAX);
    }
    BIO *bio = BIO_new_mem_buf(pem, (int)length);
    if (bio == NULL) return pki_ssl_fail(MSFL_ERR_MEMORY, what);
    *out = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    if (*out == NULL) {
        ERR_clear_error();
        return msfl_fail(MSFL_ERR_FORMAT, "%s does not hold a certificate in PEM form", what);
    }
    return MSFL_OK;
}

msfl_status pki_ssl_key(const uint8_t *pem, size_t length, EVP_PKEY **out) {
    *out = NULL;
    if (length > PKI_PEM_BYTES_MAX) return msfl_fail(MSFL_ERR_LIMIT, "a private key of %zu bytes", length);
    BIO *bio = BIO_new_mem_buf(pem, (int)length);
    if (bio == NULL) return pki_ssl_fail(MSFL_ERR_MEMORY, "a private key cannot be read");
    *out = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
    BIO_free(bio);
    if (*out == NULL) {
        ERR_clear_error();
        return msfl_fail(MSFL_ERR_FORMAT, "there is no private key in PEM form (PKCS#8, not encrypted)");
    }
    if (!pki_ssl_is_p256(*out)) {
        EVP_PKEY_free(*out);
        *out = NULL;
        return msfl_fail(MSFL_ERR_POLICY, "the private key is not one on the curve P-256");
    }
    return MSFL_OK;
}

bool pki_ssl_is_p256(EVP_PKEY *key) {
    char group[32];
    size_t length = 0;
    if (key == NULL || EVP_PKEY_get_base_id(key) != EVP_PKEY_EC) return false;
    bool is = EVP_PKEY_get_group_name(key, group, sizeof group, &length) == 1 && strcmp(group, "prime256v1") == 0;
    ERR_clear_error();
    return is;
}

bool pki_ssl_key_hash(const X509_PUBKEY *key, uint8_t out[PKI_KEY_HASH_BYTES]) {
    unsigned char *der = NULL;
    unsigned int n = 0;
    int length = i2d_X509_PUBKEY(key, &der);
    bool good = length > 0 && EVP_Digest(der, (size_t)length, out, &n, EVP_sha256(), NULL) == 1;
    OPENSSL_free(der);
    return good && n == PKI_KEY_HASH_BYTES;
}

char *pki_ssl_text(BIO *bio) {
    char *data;
    long length = BIO_get_mem_data(bio, &data);
    return length <= 0 ? NULL : msfl_strndup(data, (size_t)length);
}

/* The one entry of this kind, if its characters are those of a name. */
static bool name_entry(const X509_NAME *name, int nid, char out[PKI_NAME_MAX + 1]) {
    int at = X509_NAME_get_index_by_NID(name, nid, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(name, nid, at) >= 0) return false;
    const ASN1_STRING *text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
    int length = ASN1_STRING_length(text);
    if (length < 1 || length > PKI_NAME_MAX) return false;
    memcpy(out, ASN1_STRING_get0_data(text), (size_t)length);
    out[length] = 0;
    return pki_name_check("certificate", out) == MSFL_OK;
}

static bool seconds_of(const ASN1_TIME *time, int64_t *out) {
    struct tm parts;
    if (time == NULL || ASN1_TIME_to_tm(time, &parts) != 1) return false;
    *out = (int64_t)timegm(&parts);
    return true;
}

static bool serial_of(const X509 *certificate, uint8_t out[PKI_SERIAL_BYTES]) {
    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
    int length = ASN1_STRING_length(serial);
    if (ASN1_STRING_type(serial) != V_ASN1_INTEGER || length < 1 || length > PKI_SERIAL_BYTES) return false;
    memset(out, 0, PKI_SERIAL_BYTES);
    memcpy(out + PKI_SERIAL_BYTES - length, ASN1_STRING_get0_data(serial), (size_t)length);
    return true;
}

bool pki_ssl_facts(X509 *certificate, pki_facts *facts) {
    *facts = (pki_facts){0};
    const X509_NAME *name = X509_get_subject_name(certificate);
    bool good = name_entry(name, NID_commonName, facts->name) &&
                name_entry(name, NID_organizationName, facts->federation) &&
                name_entry(name, NID_organizationalUnitName, facts->role) && serial_of(certificate, facts->serial) &&
                pki_ssl_key_hash(X509_get_X509_PUBKEY(certificate), facts->key) &&
                seconds_of(X509_get0_notBefore(certificate), &facts->not_before) &&
                seconds_of(X509_get0_notAfter(certificate), &facts->not_after);
    if (good) {
        uint32_t flags = X509_get_extension_flags(certificate), use = X509_get_extended_key_usage(certificate);
        good = (flags & EXFLAG_INVALID) == 0;
        facts->for_server = (flags & EXFLAG_XKUSAGE) != 0 && (use & XKU_SSL_SERVER) != 0;
        facts->for_client = (flags & EXFLAG_XKUSAGE) != 0 && (use & XKU_SSL_CLIENT) != 0;
    }
    ERR_clear_error();
    if (!good) *facts = (pki_facts){0};
    return good;
}

msfl_status pki_anchor_new(const char *pem, size_t length, pki_anchor **out) {
    *out = NULL;
    pki_anchor *anchor = msfl_alloc(1, sizeof *anchor);
    if (anchor == NULL) return MSFL_NO_MEMORY;
    msfl_status status = pki_ssl_certificate("the authority's certificate", pem, length, &anchor->certificate);
    if (status != MSFL_OK) goto fail;
    if (X509_check_ca(anchor->certificate) != 1 || !pki_ssl_facts(anchor->certificate, &anchor->facts) ||
        !pki_ssl_is_p256(X509_get0_pubkey(anchor->certificate))) {
        status = msfl_fail(MSFL_ERR_FORMAT, "this is not the certificate of a federation's authority");
        goto fail;
    }
    anchor->store = X509_STORE_new();
    if (anchor->store == NULL || X509_STORE_add_cert(anchor->store, anchor->certificate) != 1) {
        status = pki_ssl_fail(MSFL_ERR_MEMORY, "the authority's certificate cannot be kept");
        goto fail;
    }
    *out = anchor;
    return MSFL_OK;
fail:
    pki_anchor_free(anchor);
    return status;
}

void pki_anchor_free(pki_anchor *anchor) {
    if (anchor == NULL) return;
    X509_STORE_free(anchor->store);
    X509_free(anchor->certificate);
    msfl_free(anchor);
}

const pki_facts *pki_anchor_facts(const pki_anchor *anchor) {
    return &anchor->facts;
}

static pki_verdict verdict_of(int error) {
    switch (error) {
    case X509_V_OK:
        return PKI_ADMITTED;
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return PKI_EXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return PKI_NOT_YET_VALID;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
    case X509_V_ERR_AKID_SKID_MISMATCH:
    case X509_V_ERR_AKID_ISSUER_SERIAL_MISMATCH:
    case X509_V_ERR_SUBJECT_ISSUER_MISMATCH:
        return PKI_OTHER_CA;
    default:
        return PKI_MALFORMED;
    }
}

static pki_verdict judge(const pki_anchor *anchor, X509 *certificate, int64_t now, pki_facts *facts) {
    if (!pki_ssl_facts(certificate, facts)) return PKI_MALFORMED;
    pki_verdict verdict = PKI_MALFORMED;
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    if (ctx != NULL && X509_STORE_CTX_init(ctx, anchor->store, certificate, NULL) == 1) {
        X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
        X509_VERIFY_PARAM_set_time(param, (time_t)now);
        X509_VERIFY_PARAM_set_depth(param, 0); /* the authority signs itself, without anybody between */
        (void)X509_verify_cert(ctx);
        verdict = verdict_of(X509_STORE_CTX_get_error(ctx));
    }
    X509_STORE_CTX_free(ctx);
    ERR_clear_error();
    /* The authority's own certificate is no party's. */
    if (verdict == PKI_ADMITTED && X509_check_ca(certificate) != 0) verdict = PKI_MALFORMED;
    return verdict;
}

pki_verdict pki_anchor_judge(const pki_anchor *anchor, const uint8_t *der, size_t length, int64_t now,
                             pki_facts *facts) {
    *facts = (pki_facts){0};
    if (length == 0 || length > PKI_PEM_BYTES_MAX) return PKI_MALFORMED;
    const unsigned char *at = der;
    X509 *certificate = d2i_X509(NULL, &at, (long)length);
    bool whole = certificate != NULL && at == der + length;
    pki_verdict verdict = whole ? judge(anchor, certificate, now, facts) : PKI_MALFORMED;
    X509_free(certificate);
    ERR_clear_error();
    return verdict;
}

static void day_text(int64_t seconds, char text[32]) {
    time_t t = (time_t)seconds;
    struct tm parts;
    if (gmtime_r(&t, &parts) == NULL || strftime(text, 32, "%Y-%m-%d %H:%M UTC", &parts) == 0) text[0] = 0;
}

msfl_status pki_anchor_check(const pki_anchor *anchor, const char *what, const char *pem, size_t length, int64_t now,
                             pki_facts *facts) {
    *facts = (pki_facts){0};
    X509 *certificate;
    msfl_status status = pki_ssl_certificate(what, pem, length, &certificate);
    if (status != MSFL_OK) return status;
    pki_verdict verdict = judge(anchor, certificate, now, facts);
    X509_free(certificate);
    char when[32];
    switch (verdict) {
    case PKI_ADMITTED:
        return MSFL_OK;
    case PKI_EXPIRED:
        day_text(facts->not_after, when);
        return msfl_fail(MSFL_ERR_POLICY,
                         "certificate-expired: %s was valid until %s; rotate it with 'provision rotate', or look at "
                         "this machine's clock",
                         what, when);
    case PKI_NOT_YET_VALID:
        day_text(facts->not_before, when);
        return msfl_fail(MSFL_ERR_POLICY, "certificate-not-yet-valid: %s begins on %s; look at this machine's clock",
                         what, when);
    case PKI_OTHER_CA:
        return msfl_fail(MSFL_ERR_CRYPTO,
                         "certificate-of-another-authority: %s was not issued by the authority of this kit; the files "
                         "of two federations were mixed, or somebody stands between",
                         what);
    default:
        return msfl_fail(MSFL_ERR_FORMAT, "certificate-malformed: %s is not one that provision makes", what);
    }
}

msfl_status pki_key_check(const uint8_t *key, size_t key_length, const char *certificate_pem,
                          size_t certificate_length) {
    X509 *certificate = NULL;
    EVP_PKEY *pair = NULL;
    msfl_status status = pki_ssl_certificate("the certificate", certificate_pem, certificate_length, &certificate);
    if (status == MSFL_OK) status = pki_ssl_key(key, key_length, &pair);
    if (status == MSFL_OK && X509_check_private_key(certificate, pair) != 1) {
        ERR_clear_error();
        status = msfl_fail(MSFL_ERR_MISMATCH, "the private key does not belong to the certificate beside it");
    }
    EVP_PKEY_free(pair);
    X509_free(certificate);
    return status;
}
