/* AES in counter mode as a stream of random bytes: a kernel's own where it has one, libcrypto's otherwise (this is its
 * shim). The bytes are the same. */
#ifndef MSFL_RING_AES_H
#define MSFL_RING_AES_H

#include "ring/kernel.h"

typedef struct msfl_aes msfl_aes;

enum { MSFL_AES_BLOCK = 16 };

/** `kernel` may be NULL: libcrypto. */
msfl_status msfl_aes_new(const msfl_kernel *kernel, msfl_aes **out) MSFL_NODISCARD;
/** Forgets the key. */
void msfl_aes_free(msfl_aes *aes);
/** Begin the stream of `key` (16 or 32 bytes) at the counter block `iv`, which counts up as a big-endian integer. */
msfl_status msfl_aes_start(msfl_aes *aes, const uint8_t *key, size_t key_bytes,
                           const uint8_t iv[MSFL_AES_BLOCK]) MSFL_NODISCARD;
/** The next `length` bytes. */
msfl_status msfl_aes_read(msfl_aes *aes, uint8_t *out, size_t length) MSFL_NODISCARD;

/** Tests only: the k-th call of libcrypto from now fails (1 = the next one); 0 switches it off. Process-wide. */
void msfl_aes_fail_at(long k);

#endif
