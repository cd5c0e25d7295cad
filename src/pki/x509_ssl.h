/* What x509.c and x509_make.c share; the one place of this layer that includes OpenSSL. */
#ifndef MSFL_PKI_X509_SSL_H
#define MSFL_PKI_X509_SSL_H

#include "pki/x509.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

/** `status` with OpenSSL's own reason behind the text; empties its queue of errors. */
msfl_status pki_ssl_fail(msfl_status status, const char *what) MSFL_NODISCARD;

/** Exactly one PEM block of this kind. Free with the library's own function. ERR_FORMAT, ERR_LIMIT. */
msfl_status pki_ssl_certificate(const char *what, const char *pem, size_t length, X509 **out) MSFL_NODISCARD;
msfl_status pki_ssl_key(const uint8_t *pem, size_t length, EVP_PKEY **out) MSFL_NODISCARD;

/** Whether it is a key on P-256: all that is made here, and all that is accepted. */
bool pki_ssl_is_p256(EVP_PKEY *key);

/** SHA-256 of a SubjectPublicKeyInfo. */
bool pki_ssl_key_hash(const X509_PUBKEY *key, uint8_t out[PKI_KEY_HASH_BYTES]);

/** False if a name is missing, doubled or not ours. `facts` is complete or zeroed. */
bool pki_ssl_facts(X509 *certificate, pki_facts *facts);

/** The text in a memory BIO, as a string of its own (msfl_free); NULL when out of memory. */
char *pki_ssl_text(BIO *bio);

#endif
