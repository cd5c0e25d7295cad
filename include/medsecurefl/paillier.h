/* Paillier's additive encryption: anyone with the public key encrypts and adds, the holder of the secret key opens.
 * Layer: he.
 *
 *   c = (1 + m n) r^n mod n^2,   c c' opens to m + m'                docs/design/paillier.md
 *
 * For comparison, and for where a single key holder is what is wanted: there is one long-lived secret key, and whoever
 * has it opens every ciphertext, single ones included. The packed scheme (packed.h) has no such key.
 *
 * An update is a vector of n_values integers below 2^value_bits. Several of them share a plaintext, in slots wide
 * enough that the sum over all clients does not carry; MSFL_PAILLIER_CHUNK ciphertexts make a *chunk*, which is what is
 * encrypted, sent, added and opened at a time. Keys and encryptors are immutable and may be used by many threads at
 * once.
 */
#ifndef MEDSECUREFL_PAILLIER_H
#define MEDSECUREFL_PAILLIER_H

#include "medsecurefl/params.h"

MSFL_BEGIN_DECLS

enum {
    MSFL_PAILLIER_CHUNK = 32,             /**< ciphertexts in a full chunk */
    MSFL_PAILLIER_PUBLIC_BYTES_MAX = 428, /**< of a written key */
    MSFL_PAILLIER_SECRET_BYTES_MAX = 428
};

/* --- keys --- */

typedef struct msfl_paillier_public msfl_paillier_public;
typedef struct msfl_paillier_secret msfl_paillier_secret; /**< in secret memory */

/**
 * A fresh key pair from the operating system's generator; `key_bits` is 2048 (112-bit security by NIST SP 800-57) or
 * 3072 (128). Takes about a second; other sizes: ERR_USAGE.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_paillier_keygen(uint32_t key_bits, msfl_paillier_secret **out);
/** Wipes and frees. */
MSFL_API void msfl_paillier_secret_free(msfl_paillier_secret *key);
/** Free; NULL is fine. */
MSFL_API void msfl_paillier_public_free(msfl_paillier_public *key);

/** The public half; lives as long as the secret key. */
MSFL_API const msfl_paillier_public *msfl_paillier_public_borrow(const msfl_paillier_secret *key);
/** Bits of the modulus. */
MSFL_API uint32_t msfl_paillier_key_bits(const msfl_paillier_public *key);
/** Hash of the public key, which every ciphertext carries. */
MSFL_API const uint8_t *msfl_paillier_key_id(const msfl_paillier_public *key);

/** Bytes that msfl_paillier_public_write writes. */
MSFL_API size_t msfl_paillier_public_bytes(const msfl_paillier_public *key);
/** The public key as docs/design/paillier.md has it, in msfl_paillier_public_bytes bytes. */
MSFL_API void msfl_paillier_public_write(const msfl_paillier_public *key, uint8_t *out);
/** Bytes that msfl_paillier_secret_write writes. */
MSFL_API size_t msfl_paillier_secret_bytes(const msfl_paillier_secret *key);
/** Both primes, in the clear, in msfl_paillier_secret_bytes bytes: `out` belongs in secret memory, and is to be sealed
 *  before it is stored. */
MSFL_API void msfl_paillier_secret_write(const msfl_paillier_secret *key, uint8_t *out);

/**
 * A public key from its bytes; free with msfl_paillier_public_free. On error `*out` is NULL.
 *
 * @retval MSFL_ERR_FORMAT       not such a key: magic, length, damaged, or a number that cannot be part of a key
 * @retval MSFL_ERR_UNSUPPORTED  written by another version of the format
 * @retval MSFL_ERR_MISMATCH     a secret key where a public one is asked for, or the other way round
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_paillier_public_read(const uint8_t *bytes, size_t length,
                                                              msfl_paillier_public **out);
/** A secret key from its bytes, its primes tested again; free with msfl_paillier_secret_free. Errors as
 *  msfl_paillier_public_read. */
MSFL_API MSFL_NODISCARD msfl_status msfl_paillier_secret_read(const uint8_t *bytes, size_t length,
                                                              msfl_paillier_secret **out);

/* --- how a vector is laid out --- */

/** Plain data, agreed by all; every function checks it. */
typedef struct msfl_paillier_shape {
    uint32_t key_bits;             /**< 2048 or 3072 */
    uint32_t n_clients;            /**< most ciphertexts that will ever be added: 1 to MSFL_CLIENTS_MAX */
    uint32_t value_bits;           /**< 2 to 32 */
    uint32_t slot_bits;            /**< w = ceil(log2(n (2^b - 1) + 1)) */
    uint32_t slots_per_ciphertext; /**< 1 (one value each) to floor((key_bits - 1) / w) */
    uint64_t n_values;             /**< 1 to 2^34 */
} msfl_paillier_shape;

/** A shape with as many slots as fit, or with `slots` of them (1: the textbook scheme, one value per ciphertext).
 *  @retval MSFL_ERR_USAGE   a number out of range
 *  @retval MSFL_ERR_PARAMS  more slots than fit; the message says how many do */
MSFL_API MSFL_NODISCARD msfl_status msfl_paillier_plan(uint32_t key_bits, uint32_t n_clients, uint32_t value_bits,
                                                       uint64_t n_values, uint32_t slots, msfl_paillier_shape *out);

/** Chunks of an update; 0 for a shape without slots. */
MSFL_API uint64_t msfl_paillier_chunks(const msfl_paillier_shape *shape);
/** Values of chunk `j`; 0 beyond the last. */
MSFL_API uint32_t msfl_paillier_chunk_values(const msfl_paillier_shape *shape, uint64_t j);
/** Bytes of chunk `j`, header and ciphertexts; 0 beyond the last. */
MSFL_API size_t msfl_paillier_chunk_bytes(const msfl_paillier_shape *shape, uint64_t j);

/* --- encryption --- */

/** Where r^n comes from. */
typedef enum msfl_paillier_method {
    MSFL_PAILLIER_RANDOM_BASE = 1, /**< r uniform: Paillier's scheme as published; slow */
    MSFL_PAILLIER_FIXED_BASE = 2   /**< (h^n)^a for a public square h and a half as long as n, from a table (3.4 or 7.6
                                        MB); some seven times faster. The argument is in docs/design/paillier.md */
} msfl_paillier_method;

typedef struct msfl_paillier_encryptor msfl_paillier_encryptor;

/** Borrows the key, which must outlive the encryptor. Making the table takes a fraction of a second. */
MSFL_API MSFL_NODISCARD msfl_status msfl_paillier_encryptor_new(const msfl_paillier_public *key,
                                                                msfl_paillier_method method,
                                                                msfl_paillier_encryptor **out);
/** Free; NULL is fine. */
MSFL_API void msfl_paillier_encryptor_free(msfl_paillier_encryptor *encryptor);

/**
 * Encrypt chunk `j`: `values` holds msfl_paillier_chunk_values integers; `out` gets msfl_paillier_chunk_bytes bytes.
 * `label` says what the ciphertext is for (a round id); only ciphertexts of one label, shape and key can be added.
 *
 * @retval MSFL_ERR_NUMERIC   a value is 2^value_bits or more
 * @retval MSFL_ERR_MISMATCH  the shape is for another size of key
 * @retval MSFL_ERR_USAGE     no such chunk, or no valid shape
 * `out` is zeroed on error.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_paillier_encrypt(const msfl_paillier_encryptor *encryptor,
                                                          const msfl_paillier_shape *shape,
                                                          const uint8_t label[MSFL_HASH_BYTES], uint64_t j,
                                                          const uint32_t *values, uint8_t *out);

/* --- the sum --- */

/**
 * Whether `bytes` is a well-formed chunk j under this key, shape and label: header, every ciphertext in [1, n^2) and
 * coprime to n. `n_addends` (may be NULL) gets the number of ciphertexts that were added up in it.
 *
 * @retval MSFL_ERR_FORMAT    not a chunk, wrong length, or a ciphertext that none of n^2's units is
 * @retval MSFL_ERR_MISMATCH  of another key, shape, label or position; the message says which
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_paillier_check(const msfl_paillier_public *key,
                                                        const msfl_paillier_shape *shape,
                                                        const uint8_t label[MSFL_HASH_BYTES], uint64_t j,
                                                        const uint8_t *bytes, size_t length, uint32_t *n_addends);

/**
 * acc <- acc + chunk: both hold `length` bytes and pass msfl_paillier_check first. Start with a copy of the first
 * chunk.
 * @retval MSFL_ERR_LIMIT  more than n_clients addends
 * On any error `acc` is unchanged.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_paillier_add(const msfl_paillier_public *key, const msfl_paillier_shape *shape,
                                                      const uint8_t label[MSFL_HASH_BYTES], uint64_t j, uint8_t *acc,
                                                      const uint8_t *chunk, size_t length);

/**
 * Open chunk `j`: `totals` gets msfl_paillier_chunk_values sums. The bytes must pass msfl_paillier_check.
 * @retval MSFL_ERR_CRYPTO  a plaintext is no sum of that many valid vectors: something was made otherwise or changed.
 *                          Paillier ciphertexts can be changed unnoticed; who sends them must sign them.
 * `totals` is zeroed on error.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_paillier_decrypt(const msfl_paillier_secret *key,
                                                          const msfl_paillier_shape *shape,
                                                          const uint8_t label[MSFL_HASH_BYTES], uint64_t j,
                                                          const uint8_t *bytes, size_t length, uint32_t *n_addends,
                                                          uint64_t *totals);

MSFL_END_DECLS

#endif
