/* Encrypted vectors in a few calls: keys, encrypt, add, decrypt. Layer: vault.
 *
 *   msfl_he *he;                                      // examples/he_example.c is this, whole
 *   msfl_he_new("bfv", NULL, &he);
 *   msfl_he_save_keys(he, "keys", "a long passphrase");
 *   msfl_he_encrypt_weights(he, (float[]){0.5f, -0.2f}, 2, &a);
 *   msfl_he_encrypt_weights(he, (float[]){0.1f, 0.3f}, 2, &b);
 *   msfl_he_add(he, a, b);
 *   msfl_he_decrypt_weights(he, a, out, 2);           // 0.6, 0.1
 *
 * Revocations are the caller's to look for (msfl_revocation_find). A vector is what a ciphertext file is, held in
 * memory. For long vectors use the files themselves (cipherfile.h), which need a few chunks of memory only. An msfl_he
 * may be used by many threads at once, a vector by one at a time.
 */
#ifndef MEDSECUREFL_HE_H
#define MEDSECUREFL_HE_H

#include "medsecurefl/cipherfile.h"

MSFL_BEGIN_DECLS

typedef struct msfl_he msfl_he;               /**< one key pair, or its public half alone */
typedef struct msfl_he_vector msfl_he_vector; /**< an encrypted vector, or a sum of such */

/** A fresh key pair. `spec` NULL: msfl_key_spec_default; its scheme is replaced by `scheme`. ERR_UNSUPPORTED for a
 *  scheme without a key pair. */
MSFL_API MSFL_NODISCARD msfl_status msfl_he_new(const char *scheme, const msfl_key_spec *spec, msfl_he **out);
/** Wipes and frees. */
MSFL_API void msfl_he_free(msfl_he *he);

/** public.msk and secret.msk into `folder`; the secret half is sealed. ERR_EXISTS if there are keys; ERR_POLICY for a
 *  weak passphrase; ERR_USAGE without the secret half. */
MSFL_API MSFL_NODISCARD msfl_status msfl_he_save_keys(const msfl_he *he, const char *folder, const char *passphrase);
/** From a folder (both halves; the public one alone if `passphrase` is NULL) or one .msk file. */
MSFL_API MSFL_NODISCARD msfl_status msfl_he_load_keys(const char *path, const char *passphrase, msfl_he **out);

/** Whether the public part is here. */
MSFL_API bool msfl_he_can_encrypt(const msfl_he *he);
/** Whether the secret part is here and unlocked. */
MSFL_API bool msfl_he_can_decrypt(const msfl_he *he);
/** Identifier of the key pair, as its files carry it. */
MSFL_API void msfl_he_key_id(const msfl_he *he, uint8_t out[MSFL_KEY_ID_BYTES]);

/** As msfl_cipher_encrypt, of one sample in round 0. */
MSFL_API MSFL_NODISCARD msfl_status msfl_he_encrypt_weights(const msfl_he *he, const float *weights, size_t n,
                                                            msfl_he_vector **out);
/** acc <- acc + vector. Needs no key of its own. ERR_MISMATCH, ERR_LIMIT; ERR_EXISTS if a vector would be in twice. On
 *  error `acc` is unchanged. */
MSFL_API MSFL_NODISCARD msfl_status msfl_he_add(const msfl_he *he, msfl_he_vector *acc, const msfl_he_vector *vector);
/** The sum: `n` must be msfl_he_vector_length. Zeroed on error. */
MSFL_API MSFL_NODISCARD msfl_status msfl_he_decrypt_weights(const msfl_he *he, const msfl_he_vector *vector, float *out,
                                                            size_t n);
/** The mean over its addends. */
MSFL_API MSFL_NODISCARD msfl_status msfl_he_decrypt_mean(const msfl_he *he, const msfl_he_vector *vector, float *out,
                                                         size_t n);

/** Number of values in the vector. */
MSFL_API size_t msfl_he_vector_length(const msfl_he_vector *vector);
/** How many encrypted vectors are in it. */
MSFL_API uint32_t msfl_he_vector_addends(const msfl_he_vector *vector);
/** Free; NULL is fine. */
MSFL_API void msfl_he_vector_free(msfl_he_vector *vector);

/** Write a ciphertext file (.msc). ERR_EXISTS if something is there. */
MSFL_API MSFL_NODISCARD msfl_status msfl_he_vector_save(const msfl_he_vector *vector, const char *path);
/** Read a ciphertext file, also one of a model; free with msfl_he_vector_free. Every chunk is checked.
 *  ERR_FORMAT, ERR_CRYPTO if it is damaged; on error `*out` is NULL. */
MSFL_API MSFL_NODISCARD msfl_status msfl_he_vector_load(const char *path, msfl_he_vector **out);

MSFL_END_DECLS

#endif
