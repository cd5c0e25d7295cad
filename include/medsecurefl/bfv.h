/* Classic public-key encryption of exact integers: create a context, make a key pair, encrypt with the public key, add,
 * decrypt with the secret key. Layer: he.
 *
 *   public key  b = a s + t e           ciphertext  c0 = b u + t e0 + m,  c1 = a u - t e1      (mod q, mod x^N + 1)
 *   seeded      c0 = a s + t e + m,     c1 = a, sent as its 32-byte seed: half the size, made with the secret key
 *   opening     c0 - c1 s = m + t (small)
 *
 * docs/design/bfv.md has the scheme, the proof that sums open exactly, and the formats. For sums over many clients the
 * scheme of packed.h is smaller and faster and has no key that opens a single client's values; this one has, and
 * whoever holds the secret key can open every ciphertext.
 *
 * A *chunk* is one ciphertext: up to N x slots_per_coefficient values. A context is immutable and may be used by many
 * threads at once, and so may a key; a ciphertext belongs to one thread at a time.
 */
#ifndef MEDSECUREFL_BFV_H
#define MEDSECUREFL_BFV_H

#include "medsecurefl/params.h"

MSFL_BEGIN_DECLS

/** What the sums must hold. */
typedef struct msfl_bfv_request {
    uint32_t n_addends;     /**< most ciphertexts that will ever be added: 1 to MSFL_CLIENTS_MAX */
    uint32_t value_bits;    /**< bits of one value: 2 to 32 */
    uint64_t n_values;      /**< values in one vector: 1 to 2^34 */
    uint32_t security_bits; /**< 128, 192 or 256; 0 means 128 */
    uint32_t ring_degree;   /**< 0: the cheapest; or 1024 ... 32768 to insist */
} msfl_bfv_request;

/** One parameter set. Plain data: copy and compare field by field. */
typedef struct msfl_bfv_params {
    uint32_t ring_degree;             /**< N, a power of two */
    uint32_t n_primes;                /**< L */
    uint64_t primes[MSFL_PRIMES_MAX]; /**< each = 1 mod 2N, below 2^50, distinct, descending; q is their product */
    uint32_t security_bits;           /**< 128, 192 or 256 */
    uint32_t n_addends;               /**< ciphertexts that may be added */
    uint32_t value_bits;              /**< b */
    uint32_t slot_bits;               /**< w = ceil(log2(n (2^b - 1) + 1)) */
    uint32_t slots_per_coefficient;   /**< v */
    uint32_t log_t;                   /**< plaintext modulus t = 2^log_t = 2^(v w) */
} msfl_bfv_params;

/** Figures that follow from a set; for people and reports. */
typedef struct msfl_bfv_facts {
    double log2_q, log2_q_max; /**< and what the table allows */
    double noise_bits_max;     /**< log2 of the bound on the noise of a full sum */
    double log2_failure;       /**< of the chance that any value of the vector's sum opens wrongly */
    uint64_t n_chunks;
    uint64_t full_bytes, seeded_bytes; /**< of one encrypted vector, headers included */
    uint64_t public_key_bytes, secret_key_bytes;
} msfl_bfv_facts;

/**
 * The set with the smallest vectors (public-key form, then smaller N) whose sums of `n_addends` ciphertexts provably
 * open exactly, within 2024/463, Table 5.2, Gaussian secret (see docs/design/bfv.md for the centred binomial one used).
 *
 * @retval MSFL_ERR_USAGE   a field of the request is out of range
 * @retval MSFL_ERR_PARAMS  nothing fits; the message shows the numbers that say why
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_bfv_plan(const msfl_bfv_request *request, msfl_bfv_params *out);
/** Re-proves a set that came from outside. ERR_PARAMS if it does not hold. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bfv_check(const msfl_bfv_params *params);
/** Figures for `n_values` values under a checked set. */
MSFL_API void msfl_bfv_describe(const msfl_bfv_params *params, uint64_t n_values, msfl_bfv_facts *out);

/** The canonical form of parameters: what is hashed, stored and sent. `length` must be MSFL_BFV_PARAMS_BYTES; what is
 *  read is checked. ERR_FORMAT, ERR_PARAMS. */
enum { MSFL_BFV_PARAMS_BYTES = 6 * 4 + 8 * MSFL_PRIMES_MAX };
/** The set as MSFL_BFV_PARAMS_BYTES bytes, little-endian. */
MSFL_API void msfl_bfv_params_write(const msfl_bfv_params *params, uint8_t out[MSFL_BFV_PARAMS_BYTES]);
/** The reverse, every condition proved again. ERR_FORMAT for other bytes, ERR_PARAMS for a set that does not hold. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bfv_params_parse(const uint8_t *bytes, size_t length, msfl_bfv_params *out);

/* --- context --- */

typedef struct msfl_bfv msfl_bfv;               /**< parameters with their tables */
typedef struct msfl_bfv_secret msfl_bfv_secret; /**< opens, and encrypts in seeded form; secret memory */
typedef struct msfl_bfv_public msfl_bfv_public; /**< encrypts; holds nothing secret */
typedef struct msfl_bfv_ct msfl_bfv_ct;         /**< one chunk, encrypted; or a sum of such */

/** Context for a set; ERR_PARAMS as msfl_bfv_check. Free with msfl_bfv_free, after everything made under it. `*out` is
 *  NULL on any error. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bfv_new(const msfl_bfv_params *params, msfl_bfv **out);
/** Free; NULL is fine. */
MSFL_API void msfl_bfv_free(msfl_bfv *ctx);
/** The set of a context; lives as long as it. */
MSFL_API const msfl_bfv_params *msfl_bfv_params_of(const msfl_bfv *ctx);
/** As msfl_packed_kernel. */
MSFL_API const char *msfl_bfv_kernel(const msfl_bfv *ctx);

/** Chunks in a vector of `n_values`; values in chunk `j` of it (0 beyond the last). */
MSFL_API uint64_t msfl_bfv_chunks(const msfl_bfv *ctx, uint64_t n_values);
/** Values in chunk `j` of a vector of `n_values`; 0 beyond the last. */
MSFL_API uint32_t msfl_bfv_chunk_values(const msfl_bfv *ctx, uint64_t n_values, uint64_t j);

/* --- keys --- */

/** A fresh secret key from the operating system's generator. Free with msfl_bfv_secret_free, which wipes it. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bfv_secret_new(const msfl_bfv *ctx, msfl_bfv_secret **out);
/** Free; NULL is fine. */
MSFL_API void msfl_bfv_secret_free(msfl_bfv_secret *key);
/** A fresh public key of a secret key. Free with msfl_bfv_public_free. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bfv_public_new(const msfl_bfv *ctx, msfl_bfv_secret *secret,
                                                        msfl_bfv_public **out);
/** Free; NULL is fine. */
MSFL_API void msfl_bfv_public_free(msfl_bfv_public *key);

/** 16 bytes that name a key pair, the same in both halves and in all that was made with either. They live as long as
 *  the key. */
MSFL_API const uint8_t *msfl_bfv_secret_id(const msfl_bfv_secret *key);
/** As msfl_bfv_secret_id, of the public half. */
MSFL_API const uint8_t *msfl_bfv_public_id(const msfl_bfv_public *key);

/** Bytes that msfl_bfv_secret_write writes; the same for every key of a context. */
MSFL_API size_t msfl_bfv_secret_bytes(const msfl_bfv *ctx);
/** The secret key itself, in msfl_bfv_secret_bytes bytes: `out` is in secret memory, and is sealed before it leaves.
 * Read by msfl_bfv_secret_read. */
MSFL_API void msfl_bfv_secret_write(const msfl_bfv *ctx, const msfl_bfv_secret *key, uint8_t *out);
/** Bytes that msfl_bfv_public_write writes. */
MSFL_API size_t msfl_bfv_public_bytes(const msfl_bfv *ctx);
/** The public key in msfl_bfv_public_bytes bytes, nothing secret among them. Read by msfl_bfv_public_read. */
MSFL_API void msfl_bfv_public_write(const msfl_bfv *ctx, const msfl_bfv_public *key, uint8_t *out);

/** The parameters inside the bytes of a key of either kind, checked: what msfl_bfv_new wants before the key is read.
 *  ERR_FORMAT, ERR_UNSUPPORTED, ERR_PARAMS; `out` is then zeroed. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bfv_params_read(const uint8_t *bytes, size_t length, msfl_bfv_params *out);

/**
 * A secret key from its bytes; free with msfl_bfv_secret_free. On error `*out` is NULL.
 *
 * @retval MSFL_ERR_FORMAT       not such a key: cut off, or a residue out of range
 * @retval MSFL_ERR_UNSUPPORTED  of another format version
 * @retval MSFL_ERR_MISMATCH     of other parameters, or a public key where a secret one is needed, or the other way
 * @retval MSFL_ERR_CRYPTO       the secret key was changed: its id does not follow from it
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_bfv_secret_read(const msfl_bfv *ctx, const uint8_t *bytes, size_t length,
                                                         msfl_bfv_secret **out);
/** A public key from its bytes; free with msfl_bfv_public_free. Errors as msfl_bfv_secret_read but ERR_CRYPTO: its id
 * is what the bytes say. On error `*out` is NULL. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bfv_public_read(const msfl_bfv *ctx, const uint8_t *bytes, size_t length,
                                                         msfl_bfv_public **out);

/* --- ciphertexts --- */

/** An empty ciphertext: memory for one chunk, to be filled again and again. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bfv_ct_new(const msfl_bfv *ctx, msfl_bfv_ct **out);
/** Free; NULL is fine. */
MSFL_API void msfl_bfv_ct_free(msfl_bfv_ct *ct);
/** Values inside; 0 while it is empty. */
MSFL_API uint32_t msfl_bfv_ct_values(const msfl_bfv_ct *ct);
/** The chunk number that it was encrypted with; of no meaning while it is empty. */
MSFL_API uint64_t msfl_bfv_ct_chunk(const msfl_bfv_ct *ct);
/** Ciphertexts added up in it, 1 when fresh; of no meaning while it is empty. */
MSFL_API uint32_t msfl_bfv_ct_addends(const msfl_bfv_ct *ct);
/** 16 bytes: the id of the key pair it was made with. They live as long as the ciphertext, and change when it is filled
 *  anew. */
MSFL_API const uint8_t *msfl_bfv_ct_key_id(const msfl_bfv_ct *ct);

/**
 * Encrypt `n_values` values, each below 2^value_bits, with the public key as chunk number `chunk`, which is carried
 * along so that chunks cannot be mixed up; it may be anything. Randomness is the operating system's, fresh in every
 * call.
 *
 * @retval MSFL_ERR_USAGE    no values, or more than a chunk holds
 * @retval MSFL_ERR_NUMERIC  a value is 2^value_bits or more
 * On any error `ct` is empty.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_bfv_encrypt(const msfl_bfv *ctx, msfl_bfv_public *key, uint64_t chunk,
                                                     const uint32_t *values, uint32_t n_values, msfl_bfv_ct *ct);
/** The same with the secret key in the seeded form: half the bytes, but not added on the wire (msfl_bfv_ct_fold).
 * Errors as msfl_bfv_encrypt. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bfv_encrypt_seeded(const msfl_bfv *ctx, msfl_bfv_secret *key, uint64_t chunk,
                                                            const uint32_t *values, uint32_t n_values, msfl_bfv_ct *ct);

/**
 * acc <- acc + ct; an empty `acc` becomes `ct`. They must be two objects, and no encryption may be in a sum twice: it
 * would not be covered by the bound on noise, and whether it opens would tell about the key (docs/design/bfv.md).
 *
 * @retval MSFL_ERR_MISMATCH  of two keys, two chunk numbers, or two lengths
 * @retval MSFL_ERR_LIMIT     more addends than the parameters hold
 * @retval MSFL_ERR_USAGE     `ct` is empty
 * On any error `acc` is unchanged.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_bfv_add(const msfl_bfv *ctx, msfl_bfv_ct *acc, const msfl_bfv_ct *ct);

/**
 * The exact sums: `totals` gets msfl_bfv_ct_values numbers, each at most addends x (2^value_bits - 1).
 *
 * @retval MSFL_ERR_MISMATCH  encrypted under another key
 * @retval MSFL_ERR_CRYPTO    it does not open: changed on the way, or not made by this scheme. `totals` is zeroed.
 * @retval MSFL_ERR_USAGE     `ct` is empty
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_bfv_decrypt(const msfl_bfv *ctx, msfl_bfv_secret *key, const msfl_bfv_ct *ct,
                                                     uint64_t *totals);

/** Bytes that msfl_bfv_ct_write writes of this ciphertext; 0 while it is empty. */
MSFL_API size_t msfl_bfv_ct_bytes(const msfl_bfv *ctx, const msfl_bfv_ct *ct);
/** The most bytes that any ciphertext of this context can have: the bound for whoever receives one. */
MSFL_API size_t msfl_bfv_ct_bytes_max(const msfl_bfv *ctx);
/** Bytes of one of `n_values` values in the public-key form, which sums of such have too. */
MSFL_API size_t msfl_bfv_full_bytes(const msfl_bfv *ctx, uint32_t n_values);
/** `out` holds msfl_bfv_ct_bytes. An empty ciphertext has no bytes. */
MSFL_API void msfl_bfv_ct_write(const msfl_bfv *ctx, const msfl_bfv_ct *ct, uint8_t *out);
/** ERR_FORMAT, ERR_UNSUPPORTED or ERR_MISMATCH as for keys; `ct` is then empty. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bfv_ct_read(const msfl_bfv *ctx, const uint8_t *bytes, size_t length,
                                                     msfl_bfv_ct *ct);

/** What a ciphertext on the wire says of itself. */
typedef struct msfl_bfv_ct_facts {
    uint32_t n_values, addends;
    uint64_t chunk;
    bool seeded;
    uint8_t key_id[16];
} msfl_bfv_ct_facts;
/** The same checks without the planes' residues, and nothing copied. The same errors; `out` is then zeroed. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bfv_ct_peek(const msfl_bfv *ctx, const uint8_t *bytes, size_t length,
                                                     msfl_bfv_ct_facts *out);
/** Whether every residue is below its prime too: ERR_FORMAT, and `out` zeroed. */
MSFL_API MSFL_NODISCARD msfl_status msfl_bfv_ct_check(const msfl_bfv *ctx, const uint8_t *bytes, size_t length,
                                                      msfl_bfv_ct_facts *out);
/**
 * acc <- acc + ciphertext, both on the wire and of `length` bytes: parsed, bound-checked and added in one pass. `acc`
 * must have passed msfl_bfv_ct_check. Errors as msfl_bfv_ct_read and msfl_bfv_add; ERR_UNSUPPORTED for the seeded
 * form. On any error `acc` is unchanged.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_bfv_ct_fold(const msfl_bfv *ctx, uint8_t *acc, const uint8_t *bytes,
                                                     size_t length);

MSFL_END_DECLS

#endif
