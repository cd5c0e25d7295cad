/* Text whose last line is a signature over all bytes before it: rosters and requests, readable and checkable. */
#ifndef MSFL_PKI_SIGNED_H
#define MSFL_PKI_SIGNED_H

#include "base/bytes.h"
#include "base/sodium.h"

/** Append "signature: <hex>\n": Ed25519 over BLAKE2b-256(label, all bytes before). */
msfl_status pki_signed_close(msfl_buffer *text, const char *label,
                             const uint8_t secret[MSFL_SIGN_SECRET_BYTES]) MSFL_NODISCARD;

/** ERR_FORMAT if the text does not end in such a line, ERR_CRYPTO if it is not this key's. */
msfl_status pki_signed_check(const char *name, const char *text, size_t length, const char *label,
                             const uint8_t key[MSFL_SIGN_PUBLIC_BYTES]) MSFL_NODISCARD;

#endif
