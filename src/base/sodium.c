#include "base/sodium.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/taint.h"

#include <sodium.h>

_Static_assert(sizeof(crypto_generichash_state) <= sizeof((msfl_hash *)0)->state, "hash state must fit");
_Static_assert(crypto_box_SEALBYTES == MSFL_BOX_SEAL_BYTES, "sealed box overhead");
_Static_assert(crypto_box_PUBLICKEYBYTES == MSFL_BOX_PUBLIC_BYTES, "public key");
_Static_assert(crypto_box_SECRETKEYBYTES == MSFL_BOX_SECRET_BYTES, "secret key");
_Static_assert(crypto_scalarmult_BYTES == MSFL_X25519_BYTES, "shared secret");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_KEYBYTES == MSFL_AEAD_KEY_BYTES, "AEAD key");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_NPUBBYTES == MSFL_AEAD_NONCE_BYTES, "AEAD nonce");
_Static_assert(crypto_sign_SEEDBYTES == MSFL_SIGN_SEED_BYTES, "seed of a signing key");
_Static_assert(crypto_sign_PUBLICKEYBYTES == MSFL_SIGN_PUBLIC_BYTES, "public signing key");
_Static_assert(crypto_sign_SECRETKEYBYTES == MSFL_SIGN_SECRET_BYTES, "secret signing key");
_Static_assert(crypto_sign_BYTES == MSFL_SIGN_BYTES, "signature");
_Static_assert(crypto_pwhash_SALTBYTES == MSFL_ARGON_SALT_BYTES, "salt");
_Static_assert(crypto_aead_xchacha20poly1305_ietf_ABYTES == MSFL_AEAD_TAG_BYTES, "AEAD tag");

msfl_status msfl_crypto_init(void) {
    if (sodium_init() < 0) {
        return msfl_fail(MSFL_ERR_SYSTEM, "the operating system's random generator is not usable");
    }
    return MSFL_OK;
}

void msfl_hash_init(msfl_hash *h, const char *label) {
    crypto_generichash_init((crypto_generichash_state *)h->state, NULL, 0, MSFL_HASH_BYTES);
    msfl_hash_add_field(h, label, strlen(label));
}

void msfl_hash_init_keyed(msfl_hash *h, const uint8_t key[MSFL_HASH_BYTES], const char *label) {
    crypto_generichash_init((crypto_generichash_state *)h->state, key, MSFL_HASH_BYTES, MSFL_HASH_BYTES);
    msfl_hash_add_field(h, label, strlen(label));
}

void msfl_hash_add(msfl_hash *h, const void *bytes, size_t length) {
    if (length > 0) crypto_generichash_update((crypto_generichash_state *)h->state, bytes, length);
}

void msfl_hash_add_u64(msfl_hash *h, uint64_t v) {
    uint8_t raw[8];
    msfl_store64(raw, v);
    msfl_hash_add(h, raw, sizeof raw);
}

void msfl_hash_add_field(msfl_hash *h, const void *bytes, size_t length) {
    msfl_hash_add_u64(h, length);
    msfl_hash_add(h, bytes, length);
}

void msfl_hash_final(msfl_hash *h, uint8_t out[MSFL_HASH_BYTES]) {
    crypto_generichash_final((crypto_generichash_state *)h->state, out, MSFL_HASH_BYTES);
}

void msfl_hash_clear(msfl_hash *h) {
    sodium_memzero(h, sizeof *h);
    msfl_wipe_stack();
}

void msfl_hex(const uint8_t *bytes, size_t n, char *text) {
    sodium_bin2hex(text, 2 * n + 1, bytes, n);
}

void msfl_random_bytes(void *out, size_t length) {
    randombytes_buf(out, length);
    MSFL_SECRET(out, length);
}

static _Atomic uint64_t unlocked_bytes;

uint64_t msfl_secret_unlocked_bytes(void) {
    return unlocked_bytes;
}

void *msfl_secret_alloc(size_t size) {
    void *memory = msfl_alloc_must_fail() ? NULL : sodium_malloc(size);
    /* sodium_malloc goes on when mlock fails; asking once more is harmless where it did not, and tells. */
    if (memory != NULL && size > 0 && sodium_mlock(memory, size) != 0) unlocked_bytes += size;
    if (memory == NULL) {
        msfl_fail(MSFL_ERR_MEMORY, "no locked memory for a secret of %zu bytes: raise the limit with 'ulimit -l'",
                  size);
    }
    return memory;
}

void msfl_secret_free(void *memory) {
    sodium_free(memory);
}

void msfl_wipe(void *memory, size_t length) {
    sodium_memzero(memory, length);
}

void msfl_wipe_stack(void) {
    enum { DEPTH = 4096 }; /* several times what libsodium and GMP take for what is not in memory of ours */
    sodium_stackzero(DEPTH);
}

bool msfl_equal(const void *a, const void *b, size_t length) {
    int differs = sodium_memcmp(a, b, length);
    MSFL_DECLASSIFY(&differs, sizeof differs); /* the outcome is what is asked for; where they differ is not told */
    return differs == 0;
}

void msfl_box_keypair(uint8_t public_key[MSFL_BOX_PUBLIC_BYTES], uint8_t secret_key[MSFL_BOX_SECRET_BYTES]) {
    crypto_box_keypair(public_key, secret_key);
    msfl_wipe_stack();
    MSFL_SECRET(secret_key, MSFL_BOX_SECRET_BYTES);
}

msfl_status msfl_box_seal(const uint8_t public_key[MSFL_BOX_PUBLIC_BYTES], const void *message, size_t length,
                          uint8_t *out) {
    if (crypto_box_seal(out, message, length, public_key) != 0) {
        return msfl_fail(MSFL_ERR_CRYPTO, "sealing failed: the receiver's public key is not valid");
    }
    MSFL_DECLASSIFY(out, length + MSFL_BOX_SEAL_BYTES); /* a ciphertext is public */
    return MSFL_OK;
}

msfl_status msfl_box_open(const uint8_t public_key[MSFL_BOX_PUBLIC_BYTES],
                          const uint8_t secret_key[MSFL_BOX_SECRET_BYTES], const uint8_t *box, size_t length,
                          void *out) {
    int refused = length < MSFL_BOX_SEAL_BYTES ? -1 : crypto_box_seal_open(out, box, length, public_key, secret_key);
    msfl_wipe_stack();
    MSFL_DECLASSIFY(&refused, sizeof refused); /* the refusal */
    if (refused != 0) {
        return msfl_fail(MSFL_ERR_CRYPTO, "a sealed box was not made for this key, or was changed on the way");
    }
    return MSFL_OK;
}

void msfl_x25519_public(const uint8_t secret[MSFL_X25519_BYTES], uint8_t public_key[MSFL_X25519_BYTES]) {
    crypto_scalarmult_base(public_key, secret);
    msfl_wipe_stack();
    MSFL_DECLASSIFY(public_key, MSFL_X25519_BYTES);
}

msfl_status msfl_x25519(const uint8_t secret[MSFL_X25519_BYTES], const uint8_t public_key[MSFL_X25519_BYTES],
                        uint8_t shared[MSFL_X25519_BYTES]) {
    int refused = crypto_scalarmult(shared, secret, public_key);
    msfl_wipe_stack();
    MSFL_DECLASSIFY(&refused, sizeof refused); /* depends on the public key alone: the points of small order */
    if (refused != 0) {
        sodium_memzero(shared, MSFL_X25519_BYTES);
        return msfl_fail(MSFL_ERR_CRYPTO, "key agreement failed: the other's public key is not valid");
    }
    return MSFL_OK;
}

void msfl_aead_seal(const uint8_t key[MSFL_AEAD_KEY_BYTES], const uint8_t nonce[MSFL_AEAD_NONCE_BYTES],
                    const void *data, size_t data_length, const void *message, size_t length, uint8_t *out) {
    crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, message, length, data, data_length, NULL, nonce, key);
    msfl_wipe_stack();
    MSFL_DECLASSIFY(out, length + MSFL_AEAD_TAG_BYTES); /* a ciphertext is public */
}

msfl_status msfl_aead_open(const uint8_t key[MSFL_AEAD_KEY_BYTES], const uint8_t nonce[MSFL_AEAD_NONCE_BYTES],
                           const void *data, size_t data_length, const uint8_t *sealed, size_t length, void *out) {
    int refused = -1;
    if (length >= MSFL_AEAD_TAG_BYTES) {
        refused =
            crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, length, data, data_length, nonce, key);
    }
    msfl_wipe_stack();
    MSFL_DECLASSIFY(&refused, sizeof refused); /* the refusal */
    if (refused != 0) {
        if (length > MSFL_AEAD_TAG_BYTES) memset(out, 0, length - MSFL_AEAD_TAG_BYTES);
        return msfl_fail(MSFL_ERR_CRYPTO, "a sealed message was not made with this key, or was changed on the way");
    }
    return MSFL_OK;
}

void msfl_sign_keypair(const uint8_t seed[MSFL_SIGN_SEED_BYTES], uint8_t public_key[MSFL_SIGN_PUBLIC_BYTES],
                       uint8_t secret_key[MSFL_SIGN_SECRET_BYTES]) {
    crypto_sign_seed_keypair(public_key, secret_key, seed);
    msfl_wipe_stack();
    MSFL_DECLASSIFY(public_key, MSFL_SIGN_PUBLIC_BYTES);
    MSFL_DECLASSIFY(secret_key + MSFL_SIGN_SEED_BYTES, MSFL_SIGN_PUBLIC_BYTES); /* RFC 8032 keeps it there, too */
}

void msfl_sign(const uint8_t secret_key[MSFL_SIGN_SECRET_BYTES], const void *message, size_t length,
               uint8_t signature[MSFL_SIGN_BYTES]) {
    crypto_sign_detached(signature, NULL, message, length, secret_key);
    msfl_wipe_stack();
    MSFL_DECLASSIFY(signature, MSFL_SIGN_BYTES);
}

bool msfl_sign_verify(const uint8_t public_key[MSFL_SIGN_PUBLIC_BYTES], const void *message, size_t length,
                      const uint8_t signature[MSFL_SIGN_BYTES]) {
    return crypto_sign_verify_detached(signature, message, length, public_key) == 0;
}

msfl_status msfl_argon2id(const void *passphrase, size_t length, const uint8_t salt[MSFL_ARGON_SALT_BYTES],
                          uint32_t passes, uint64_t memory_bytes, uint8_t out[MSFL_HASH_BYTES]) {
    int failed = crypto_pwhash(out, MSFL_HASH_BYTES, passphrase, length, salt, passes, memory_bytes,
                               crypto_pwhash_ALG_ARGON2ID13);
    msfl_wipe_stack();
    if (failed != 0) {
        sodium_memzero(out, MSFL_HASH_BYTES);
        return msfl_fail(MSFL_ERR_MEMORY,
                         "turning a passphrase into a key takes %llu MiB of memory, which are not free",
                         (unsigned long long)(memory_bytes >> 20));
    }
    return MSFL_OK;
}

size_t msfl_base64_bytes(size_t n) {
    return sodium_base64_encoded_len(n, sodium_base64_VARIANT_ORIGINAL);
}

void msfl_base64(const void *bytes, size_t n, char *text) {
    sodium_bin2base64(text, msfl_base64_bytes(n), bytes, n, sodium_base64_VARIANT_ORIGINAL);
}

void msfl_chacha20_stream(const uint8_t key[32], uint64_t nonce, uint64_t block, uint8_t *out, size_t length) {
    uint8_t raw[8];
    msfl_store64(raw, nonce);
    memset(out, 0, length);
    crypto_stream_chacha20_xor_ic(out, out, length, raw, block, key);
}
