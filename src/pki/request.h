/* What a site sends to the authority: public keys, and proof that it has the private ones. */
#ifndef MSFL_PKI_REQUEST_H
#define MSFL_PKI_REQUEST_H

#include "base/bytes.h"
#include "pki/secret.h"
#include "pki/x509.h"

enum { PKI_REQUEST_BYTES_MAX = 8192, PKI_FINGERPRINT_BYTES = 16 };

typedef struct pki_request {
    char federation[PKI_NAME_MAX + 1], name[PKI_NAME_MAX + 1];
    pki_role role;
    uint8_t sign[MSFL_SIGN_PUBLIC_BYTES], box[MSFL_X25519_BYTES];
    uint8_t key[PKI_KEY_HASH_BYTES];            /**< of the certificate request's key */
    uint8_t fingerprint[PKI_FINGERPRINT_BYTES]; /**< of the whole file, for reading out */
    char csr[PKI_REQUEST_BYTES_MAX];            /**< PEM */
} pki_request;

/** The file's text; clear `out` (msfl_buffer_clear) in any case. */
msfl_status pki_request_make(const char *federation, const char *name, pki_role role, const pki_identity *identity,
                             const char *csr_pem, msfl_buffer *out) MSFL_NODISCARD;
/** Read, and check both signatures. ERR_FORMAT, ERR_LIMIT, ERR_CRYPTO, ERR_POLICY; then `*out` is zeroed. */
msfl_status pki_request_parse(const char *name, const char *text, size_t length, pki_request *out) MSFL_NODISCARD;

#endif
