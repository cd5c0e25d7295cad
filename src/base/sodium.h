/* Shim for libsodium: hashing, operating-system randomness, secret memory, sealed boxes, signatures, keys
 * from passphrases. */
#ifndef MSFL_BASE_SODIUM_H
#define MSFL_BASE_SODIUM_H

#include "medsecurefl/status.h"

/** Call once before anything else here; idempotent, thread-safe. */
msfl_status msfl_crypto_init(void) MSFL_NODISCARD;

/* --- hash: BLAKE2b-256 (RFC 7693) --- */

typedef struct msfl_hash {
    _Alignas(64) unsigned char state[384];
} msfl_hash;

/** Begin a hash whose domain is `label` (a short constant such as "msfl.round.v1"): two labels never collide. */
void msfl_hash_init(msfl_hash *h, const char *label);
/** The same with a key of 32 bytes: who does not have the key cannot make or check the hash. */
void msfl_hash_init_keyed(msfl_hash *h, const uint8_t key[MSFL_HASH_BYTES], const char *label);
void msfl_hash_add(msfl_hash *h, const void *bytes, size_t length);
/** Adds the length first, so that neighbouring fields cannot run into each other. */
void msfl_hash_add_field(msfl_hash *h, const void *bytes, size_t length);
void msfl_hash_add_u64(msfl_hash *h, uint64_t v);
void msfl_hash_final(msfl_hash *h, uint8_t out[MSFL_HASH_BYTES]);

/** After a secret was hashed: wipes the state, and what the hash function left on the stack. */
void msfl_hash_clear(msfl_hash *h);

/** Lower-case hexadecimal of `n` bytes and a closing zero: `text` holds 2 n + 1. */
void msfl_hex(const uint8_t *bytes, size_t n, char *text);

/* --- secrets --- */

/** Bytes from the operating system's generator, never seeded. Never fails: where the system has none to give, libsodium
 *  ends the process, so that no key is ever made of anything else. */
void msfl_random_bytes(void *out, size_t length);

/** Locked, guarded, wiped-on-free memory, aligned to the end of a page; NULL with the message recorded. A `size` that
 *  is a multiple of 64 is aligned to 64 bytes. */
void *msfl_secret_alloc(size_t size);
void msfl_secret_free(void *memory);
/** Bytes of secret memory that the system refused to lock since the process began: they may be paged out. */
uint64_t msfl_secret_unlocked_bytes(void);
void msfl_wipe(void *memory, size_t length);
/** Wipes the dead stack below the caller, where functions of other libraries left parts of their operands. */
void msfl_wipe_stack(void);
/** Constant-time comparison. Its outcome counts as public: callers refuse on it. */
bool msfl_equal(const void *a, const void *b, size_t length);

/* --- sealed boxes (X25519 + XSalsa20-Poly1305, anonymous sender) --- */

enum { MSFL_BOX_PUBLIC_BYTES = 32, MSFL_BOX_SECRET_BYTES = 32, MSFL_BOX_SEAL_BYTES = 48 };

void msfl_box_keypair(uint8_t public_key[MSFL_BOX_PUBLIC_BYTES], uint8_t secret_key[MSFL_BOX_SECRET_BYTES]);
/** `out` holds length + MSFL_BOX_SEAL_BYTES. */
msfl_status msfl_box_seal(const uint8_t public_key[MSFL_BOX_PUBLIC_BYTES], const void *message, size_t length,
                          uint8_t *out) MSFL_NODISCARD;
/** `out` holds length - MSFL_BOX_SEAL_BYTES; ERR_CRYPTO if the box was not made for this key or was changed. */
msfl_status msfl_box_open(const uint8_t public_key[MSFL_BOX_PUBLIC_BYTES],
                          const uint8_t secret_key[MSFL_BOX_SECRET_BYTES], const uint8_t *box, size_t length,
                          void *out) MSFL_NODISCARD;

/* --- key agreement (X25519, RFC 7748) and authenticated encryption (XChaCha20-Poly1305) --- */

enum { MSFL_X25519_BYTES = 32, MSFL_AEAD_KEY_BYTES = 32, MSFL_AEAD_NONCE_BYTES = 24, MSFL_AEAD_TAG_BYTES = 16 };

/** The public key of any 32 secret bytes. */
void msfl_x25519_public(const uint8_t secret[MSFL_X25519_BYTES], uint8_t public_key[MSFL_X25519_BYTES]);
/** The shared secret; hash it before use. ERR_CRYPTO, with `shared` zeroed, if the public key is a point of small
 * order.
 */
msfl_status msfl_x25519(const uint8_t secret[MSFL_X25519_BYTES], const uint8_t public_key[MSFL_X25519_BYTES],
                        uint8_t shared[MSFL_X25519_BYTES]) MSFL_NODISCARD;

/** `out` holds length + MSFL_AEAD_TAG_BYTES; `data` is authenticated, not sent. Never twice with one key and nonce. */
void msfl_aead_seal(const uint8_t key[MSFL_AEAD_KEY_BYTES], const uint8_t nonce[MSFL_AEAD_NONCE_BYTES],
                    const void *data, size_t data_length, const void *message, size_t length, uint8_t *out);
/** `out` holds length - MSFL_AEAD_TAG_BYTES, zeroed on error; ERR_CRYPTO if anything is not as it was sealed. */
msfl_status msfl_aead_open(const uint8_t key[MSFL_AEAD_KEY_BYTES], const uint8_t nonce[MSFL_AEAD_NONCE_BYTES],
                           const void *data, size_t data_length, const uint8_t *sealed, size_t length,
                           void *out) MSFL_NODISCARD;

/* --- signatures (Ed25519, RFC 8032) --- */

enum { MSFL_SIGN_SEED_BYTES = 32, MSFL_SIGN_PUBLIC_BYTES = 32, MSFL_SIGN_SECRET_BYTES = 64, MSFL_SIGN_BYTES = 64 };

/** The key pair of 32 secret bytes; `secret_key` belongs in secret memory. */
void msfl_sign_keypair(const uint8_t seed[MSFL_SIGN_SEED_BYTES], uint8_t public_key[MSFL_SIGN_PUBLIC_BYTES],
                       uint8_t secret_key[MSFL_SIGN_SECRET_BYTES]);
/** Deterministic. What is signed should be a hash with a label of its own, so that no signature fits two purposes. */
void msfl_sign(const uint8_t secret_key[MSFL_SIGN_SECRET_BYTES], const void *message, size_t length,
               uint8_t signature[MSFL_SIGN_BYTES]);
bool msfl_sign_verify(const uint8_t public_key[MSFL_SIGN_PUBLIC_BYTES], const void *message, size_t length,
                      const uint8_t signature[MSFL_SIGN_BYTES]);

/* --- keys from passphrases (Argon2id, RFC 9106, version 1.3, one lane) --- */

enum { MSFL_ARGON_SALT_BYTES = 16 };

/** 32 bytes from a passphrase: `passes` 1 or more over `memory_bytes` of at least 8192. ERR_MEMORY, with `out` zeroed,
 *  if there is not that much; the caller bounds both first when they come from a file. */
msfl_status msfl_argon2id(const void *passphrase, size_t length, const uint8_t salt[MSFL_ARGON_SALT_BYTES],
                          uint32_t passes, uint64_t memory_bytes, uint8_t out[MSFL_HASH_BYTES]) MSFL_NODISCARD;

/* --- text --- */

/** Base64 with padding and a closing zero; `text` holds msfl_base64_bytes(n). */
size_t msfl_base64_bytes(size_t n);
void msfl_base64(const void *bytes, size_t n, char *text);

/** Fills `out` with the ChaCha20 stream of (key, nonce) from 64-byte block `block` on: for seeded randomness, for masks
 *  and shares under a secret key. */
void msfl_chacha20_stream(const uint8_t key[32], uint64_t nonce, uint64_t block, uint8_t *out, size_t length);

#endif
