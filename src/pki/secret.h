/* Private keys of a kit on disk: plain with mode 0600, or sealed. And the identity that follows from 32 bytes. */
#ifndef MSFL_PKI_SECRET_H
#define MSFL_PKI_SECRET_H

#include "base/sodium.h"
#include "medsecurefl/keyfile.h"

enum { PKI_SECRET_BYTES_MAX = 4096, PKI_SEED_BYTES = 32 };

/** What files are sealed with: one lock, so that all files of one run cost one Argon2id; each has a nonce of its own.
 */
typedef struct pki_sealer pki_sealer;
/** `*out` is NULL for no unlock: files stay plain. Free with pki_sealer_free. ERR_POLICY for a weak passphrase. */
msfl_status pki_sealer_new(const msfl_unlock *unlock, pki_sealer **out) MSFL_NODISCARD;
void pki_sealer_free(pki_sealer *sealer);

/** Write a new file, never over another: the bytes as they are, or, with a sealer, sealed. `label` binds the seal to
 *  what the file is ("tls.key"). ERR_EXISTS. */
msfl_status pki_secret_write(const char *path, const char *label, const uint8_t *bytes, size_t length,
                             const pki_sealer *sealer) MSFL_NODISCARD;
/** Read either kind; free with msfl_secret_free. ERR_POLICY (rights), ERR_USAGE (sealed, and no unlock), ERR_CRYPTO. */
msfl_status pki_secret_read(const char *path, const char *label, const msfl_unlock *unlock, uint8_t **bytes,
                            size_t *length) MSFL_NODISCARD;

/** Whether these are the bytes of such a file, sealed. */
bool pki_is_sealed(const uint8_t *bytes, size_t length);
/** `name` stands in messages. Free `*out` with msfl_secret_free. */
msfl_status pki_unseal(const char *name, const char *label, const uint8_t *bytes, size_t length,
                       const msfl_unlock *unlock, uint8_t **out, size_t *out_length) MSFL_NODISCARD;

/** Keys of the round protocol that follow from 32 secret bytes; in secret memory. */
typedef struct pki_identity {
    uint8_t seed[PKI_SEED_BYTES];
    uint8_t sign_secret[MSFL_SIGN_SECRET_BYTES];
    uint8_t box_secret[MSFL_X25519_BYTES];
    uint8_t sign[MSFL_SIGN_PUBLIC_BYTES], box[MSFL_X25519_BYTES];
} pki_identity;

/** From `seed`, or from the operating system where it is NULL. Free with msfl_secret_free. */
msfl_status pki_identity_new(const uint8_t *seed, pki_identity **out) MSFL_NODISCARD;
/** As a file, sealed or not. */
msfl_status pki_identity_write(const char *path, const char *label, const pki_identity *identity,
                               const pki_sealer *sealer) MSFL_NODISCARD;
msfl_status pki_identity_read(const char *path, const char *label, const msfl_unlock *unlock,
                              pki_identity **out) MSFL_NODISCARD;

#endif
