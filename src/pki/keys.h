/* The two private keys of a party on their way into a folder, and the request for them. */
#ifndef MSFL_PKI_KEYS_H
#define MSFL_PKI_KEYS_H

#include "pki/kit.h"

typedef struct pki_keys {
    uint8_t *tls; /**< PKCS#8 PEM in secret memory */
    size_t tls_length;
    pki_identity *identity;
} pki_keys;

/** What of an old kit goes on. */
typedef enum pki_keep { PKI_KEEP_IDENTITY, PKI_KEEP_BOTH } pki_keep;

/** New ones. Zeroes `out` first; pki_keys_clear in any case. */
msfl_status pki_keys_new(pki_keys *out) MSFL_NODISCARD;
/** Those of a kit, whose certificate may have expired; a new TLS key unless that is kept too. `config` is filled.
 * Zeroes `out` first; pki_keys_clear in any case. */
msfl_status pki_keys_of(const char *folder, const msfl_unlock *unlock, pki_keep keep, pki_keys *out,
                        pki_config *config) MSFL_NODISCARD;
void pki_keys_clear(pki_keys *keys);

/** tls.key and identity.key. ERR_EXISTS if there is one: keys are never overwritten. */
msfl_status pki_keys_write(const pki_keys *keys, const char *folder, const pki_sealer *sealer) MSFL_NODISCARD;

/** The request for a certificate of these keys, as text and as its reader sees it. Clear `text` in any case. */
msfl_status pki_keys_request(const pki_keys *keys, const char *federation, const char *name, pki_role role,
                             msfl_buffer *text, pki_request *request) MSFL_NODISCARD;

#endif
