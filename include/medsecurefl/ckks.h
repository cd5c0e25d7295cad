/* Approximate arithmetic on encrypted numbers, after Cheon, Kim, Kim and Song: N / 2 complex numbers stand in the slots
 * of one ciphertext, and are added, multiplied and rotated without being seen. Layer: he.
 *
 *   public key  b = a s + e             ciphertext  c0 = b u + e0 + m,  c1 = a u + e1      (mod q, mod x^N + 1)
 *   seeded      c0 = a s + e + m,       c1 = a, sent as its 32-byte seed: half the size, made with the secret key
 *   opening     c0 - c1 s = m + small,  m(zeta^(5^j)) = scale x number j,  zeta = exp(i pi / N)
 *
 * docs/design/ckks.md has the scheme, the bounds with their proofs, the formats, and what is not proved.
 *
 * A *level* is the number of primes that a ciphertext still has; `rescale` drops one step of them and divides the scale
 * by their product. Every ciphertext carries its level, its scale, and bounds on its numbers and on its noise that were
 * proved on the way; an operation whose result could no longer be opened is refused.
 *
 * What is opened. A raw decryption is the number plus noise that depends on the secret key, and whoever sees it can
 * learn the key (Li and Micciancio, 2020/1533). So there are two ways and no third: `decrypt_exact`, for ciphertexts
 * whose numbers are known to be multiples of a step, gives those multiples and refuses if the noise could spoil one;
 * `decrypt` adds random noise that drowns the ciphertext's, and refuses if the result would be less accurate than
 * asked.
 *
 * A context is immutable and may be used by many threads at once, and so may keys; a plaintext or ciphertext belongs to
 * one thread at a time.
 */
#ifndef MEDSECUREFL_CKKS_H
#define MEDSECUREFL_CKKS_H

#include "medsecurefl/params.h"

MSFL_BEGIN_DECLS

enum {
    MSFL_CKKS_SCALE_BITS_MIN = 25,
    MSFL_CKKS_SCALE_BITS_MAX = 120,
    MSFL_CKKS_DEPTH_MAX = 14,
    MSFL_CKKS_FLOOD_BITS_MAX = 80,
    MSFL_CKKS_RELEASES_MAX = 1 << 20
};

/* --- parameters --- */

/** What computations on numbers must hold. */
typedef struct msfl_ckks_request {
    uint32_t depth;         /**< multiplications one after another, each followed by a rescaling: 0 to 14 */
    uint32_t scale_bits;    /**< log2 of the scale: 25 to 120. Numbers are good to about scale_bits - 25 bits behind the
                                 point where they are opened exactly, to scale_bits - flood_bits - 42 where flooded */
    uint32_t n_slots;       /**< numbers in one ciphertext, at least: 1 to 16384 */
    uint32_t n_addends;     /**< most ciphertexts that are added up: 1 to MSFL_CLIENTS_MAX */
    double value_max;       /**< largest magnitude of a number, encrypted or result, before adding up: > 0 */
    uint32_t security_bits; /**< 128, 192 or 256; 0 means 128 */
    uint32_t ring_degree;   /**< 0: the cheapest; or 1024 ... 32768 to insist */
    bool rotations;         /**< rotations are wanted; multiplications bring what they need for these anyway */
    uint32_t flood_bits;    /**< 0: only exact decryption; else all releases together are within 2^-flood_bits of ones
                                 that do not depend on the key: 10 to 80 */
    uint32_t n_releases;    /**< flooded decryptions in the life of a key: up to 2^20; 0 means 1 */
} msfl_ckks_request;

/** What exact sums of integers must hold: as for bfv. */
typedef struct msfl_ckks_sums_request {
    uint32_t n_addends;     /**< most ciphertexts that will ever be added: 1 to MSFL_CLIENTS_MAX */
    uint32_t value_bits;    /**< bits of one value: 2 to 32 */
    uint64_t n_values;      /**< values in one vector: 1 to 2^34 */
    uint32_t security_bits; /**< 128, 192 or 256; 0 means 128 */
    uint32_t ring_degree;   /**< 0: the cheapest; or 1024 ... 32768 to insist */
} msfl_ckks_sums_request;

/** One parameter set. Plain data: copy and compare field by field. */
typedef struct msfl_ckks_params {
    uint32_t ring_degree;             /**< N, a power of two */
    uint32_t n_primes;                /**< L: those of a fresh ciphertext */
    uint32_t n_base;                  /**< the first so many are never dropped */
    uint32_t n_step;                  /**< primes that one rescaling drops; 0 if there is no such step */
    uint32_t n_special;               /**< 1 if keys can be switched, else 0 */
    uint64_t primes[MSFL_PRIMES_MAX]; /**< each = 1 mod 2N, below 2^50, distinct; the special one is the last */
    uint32_t security_bits;           /**< 128, 192 or 256 */
    uint32_t n_addends;               /**< ciphertexts that may be added */
    uint32_t value_bits;              /**< b of sums; 0 in a set for numbers */
    uint32_t flood_bits, n_releases;  /**< of numbers; 0 in a set for sums */
    double scale;                     /**< of fresh plaintexts; a whole number */
    double value_max;                 /**< of numbers; 0 in a set for sums */
} msfl_ckks_params;

/** Figures that follow from a set; for people and reports. */
typedef struct msfl_ckks_facts {
    double log2_q, log2_q_max; /**< with the special prime, and what the table allows */
    uint32_t n_slots, depth;
    double fresh_error_max;   /**< of one number fresh from the public key, opened exactly */
    double flooded_error_max; /**< of the same, opened with flooding; 0 if that is not foreseen */
    double log2_failure;      /**< of the chance that a bound does not hold, each time that something is encrypted; of
                                   sums: that any value of the vector's sum opens wrongly */
    uint64_t n_chunks;        /**< of sums: ciphertexts of one vector; of numbers: for so many numbers */
    uint64_t full_bytes, seeded_bytes; /**< of one encrypted vector, headers included */
    uint64_t public_key_bytes, secret_key_bytes;
    uint64_t switch_key_bytes; /**< of one relinearisation or rotation key */
} msfl_ckks_facts;

/**
 * The set of the smallest ring that holds the request, within 2024/463, Table 5.2, Gaussian secret; the special prime
 * counts.
 *
 * @retval MSFL_ERR_USAGE   a field of the request is out of range
 * @retval MSFL_ERR_PARAMS  nothing fits; the message shows the numbers that say why
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_plan(const msfl_ckks_request *request, msfl_ckks_params *out);

/**
 * The set with the smallest vectors (public-key form, then smaller N) whose sums of `n_addends` ciphertexts provably
 * open exactly. N values of `value_bits` bits stand in one ciphertext. ERR_USAGE: a request that is out of range;
 * ERR_PARAMS: no set holds it, and the message says what to change. `out` is then zeroed.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_plan_sums(const msfl_ckks_sums_request *request, msfl_ckks_params *out);

/** Re-proves a set of either kind that came from outside. ERR_PARAMS if it does not hold. */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_check(const msfl_ckks_params *params);
/** Figures for `n_values` values or numbers under a checked set. */
MSFL_API void msfl_ckks_describe(const msfl_ckks_params *params, uint64_t n_values, msfl_ckks_facts *out);

/** The canonical form of parameters: what is hashed, stored and sent. `length` must be MSFL_CKKS_PARAMS_BYTES; what is
 *  read is checked. ERR_FORMAT, ERR_PARAMS. */
enum { MSFL_CKKS_PARAMS_BYTES = 10 * 4 + 2 * 8 + 8 * MSFL_PRIMES_MAX };
/** The set as MSFL_CKKS_PARAMS_BYTES bytes, little-endian. */
MSFL_API void msfl_ckks_params_write(const msfl_ckks_params *params, uint8_t out[MSFL_CKKS_PARAMS_BYTES]);
/** The reverse, every condition proved again. ERR_FORMAT for other bytes, ERR_PARAMS for a set that does not hold. */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_params_parse(const uint8_t *bytes, size_t length, msfl_ckks_params *out);

/* --- context --- */

typedef struct msfl_ckks msfl_ckks;               /**< parameters with their tables */
typedef struct msfl_ckks_secret msfl_ckks_secret; /**< opens, and encrypts in seeded form; secret memory */
typedef struct msfl_ckks_public msfl_ckks_public; /**< encrypts */
typedef struct msfl_ckks_relin msfl_ckks_relin;   /**< multiplies: turns s^2 into s */
typedef struct msfl_ckks_galois msfl_ckks_galois; /**< rotates: a set of keys, each for one rotation */
typedef struct msfl_ckks_plain msfl_ckks_plain;   /**< numbers, encoded; wiped when freed */
typedef struct msfl_ckks_ct msfl_ckks_ct;         /**< a ciphertext */

/** Context for a set; ERR_PARAMS as msfl_ckks_check. Free with msfl_ckks_free, after everything made under it. `*out`
 *  is NULL on any error. */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_new(const msfl_ckks_params *params, msfl_ckks **out);
/** Free; NULL is fine. */
MSFL_API void msfl_ckks_free(msfl_ckks *ctx);
/** The set of a context; lives as long as it. */
MSFL_API const msfl_ckks_params *msfl_ckks_params_of(const msfl_ckks *ctx);
/** As msfl_packed_kernel. */
MSFL_API const char *msfl_ckks_kernel(const msfl_ckks *ctx);
/** Numbers in a ciphertext: N / 2. */
MSFL_API uint32_t msfl_ckks_slots(const msfl_ckks *ctx);

/* --- keys --- */

/** A fresh secret key from the operating system's generator. Free with msfl_ckks_secret_free, which wipes it. */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_secret_new(const msfl_ckks *ctx, msfl_ckks_secret **out);
/** Free; NULL is fine. */
MSFL_API void msfl_ckks_secret_free(msfl_ckks_secret *key);
/** A fresh public key of a secret key. Free with msfl_ckks_public_free. */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_public_new(const msfl_ckks *ctx, msfl_ckks_secret *secret,
                                                         msfl_ckks_public **out);
/** Free; NULL is fine. */
MSFL_API void msfl_ckks_public_free(msfl_ckks_public *key);
/** A key to multiply with. ERR_USAGE if the parameters have no special prime. */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_relin_new(const msfl_ckks *ctx, msfl_ckks_secret *secret,
                                                        msfl_ckks_relin **out);
/** Free; NULL is fine. */
MSFL_API void msfl_ckks_relin_free(msfl_ckks_relin *key);
/**
 * Keys for the rotations `steps[0 .. n_steps)`, each from 1 to N / 2 - 1, no two the same; with n_steps = 0 for all
 * powers of two, from which every rotation can be made. ERR_USAGE if the parameters have no special prime.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_galois_new(const msfl_ckks *ctx, msfl_ckks_secret *secret,
                                                         const uint32_t *steps, uint32_t n_steps,
                                                         msfl_ckks_galois **out);
/** Free; NULL is fine. */
MSFL_API void msfl_ckks_galois_free(msfl_ckks_galois *key);

/** 16 bytes that name a key pair, the same in both halves and in all that was made with either. They live as long as
 *  the key. */
MSFL_API const uint8_t *msfl_ckks_secret_id(const msfl_ckks_secret *key);
/** As msfl_ckks_secret_id, of the public half. */
MSFL_API const uint8_t *msfl_ckks_public_id(const msfl_ckks_public *key);

/** Bytes that msfl_ckks_secret_write writes; the same for every key of a context. */
MSFL_API size_t msfl_ckks_secret_bytes(const msfl_ckks *ctx);
/** The secret key itself, in msfl_ckks_secret_bytes bytes: `out` is in secret memory, and is sealed before it leaves.
 * Read by msfl_ckks_secret_read. */
MSFL_API void msfl_ckks_secret_write(const msfl_ckks *ctx, const msfl_ckks_secret *key, uint8_t *out);
/** Bytes that msfl_ckks_public_write writes. */
MSFL_API size_t msfl_ckks_public_bytes(const msfl_ckks *ctx);
/** The public key in msfl_ckks_public_bytes bytes, nothing secret among them. Read by msfl_ckks_public_read. */
MSFL_API void msfl_ckks_public_write(const msfl_ckks *ctx, const msfl_ckks_public *key, uint8_t *out);
/** Bytes that msfl_ckks_relin_write writes. */
MSFL_API size_t msfl_ckks_relin_bytes(const msfl_ckks *ctx);
/** The key in msfl_ckks_relin_bytes bytes, nothing secret among them. Read by msfl_ckks_relin_read. */
MSFL_API void msfl_ckks_relin_write(const msfl_ckks *ctx, const msfl_ckks_relin *key, uint8_t *out);
/** Bytes that msfl_ckks_galois_write writes for this set of rotations. */
MSFL_API size_t msfl_ckks_galois_bytes(const msfl_ckks *ctx, const msfl_ckks_galois *key);
/** The keys in msfl_ckks_galois_bytes bytes, nothing secret among them. Read by msfl_ckks_galois_read. */
MSFL_API void msfl_ckks_galois_write(const msfl_ckks *ctx, const msfl_ckks_galois *key, uint8_t *out);

/** The parameters inside the bytes of any key, checked: what msfl_ckks_new wants before the key is read. ERR_FORMAT,
 *  ERR_UNSUPPORTED, ERR_PARAMS; `out` is then zeroed. */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_params_read(const uint8_t *bytes, size_t length, msfl_ckks_params *out);

/**
 * A secret key from its bytes; free with msfl_ckks_secret_free. On error `*out` is NULL.
 *
 * @retval MSFL_ERR_FORMAT       not such a key: cut off, or a residue out of range
 * @retval MSFL_ERR_UNSUPPORTED  of another format version
 * @retval MSFL_ERR_MISMATCH     of other parameters, or another kind of key
 * @retval MSFL_ERR_CRYPTO       the secret key was changed: its id does not follow from it
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_secret_read(const msfl_ckks *ctx, const uint8_t *bytes, size_t length,
                                                          msfl_ckks_secret **out);
/** A public key from its bytes; free with msfl_ckks_public_free. Errors as msfl_ckks_secret_read but ERR_CRYPTO: its id
 * is what the bytes say. On error `*out` is NULL. */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_public_read(const msfl_ckks *ctx, const uint8_t *bytes, size_t length,
                                                          msfl_ckks_public **out);
/** A key to multiply with from its bytes; free with msfl_ckks_relin_free. Errors as msfl_ckks_public_read;
 *  ERR_USAGE if the parameters have no special prime. */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_relin_read(const msfl_ckks *ctx, const uint8_t *bytes, size_t length,
                                                         msfl_ckks_relin **out);
/** Keys to rotate with from their bytes; free with msfl_ckks_galois_free. Errors as msfl_ckks_public_read;
 *  ERR_USAGE if the parameters have no special prime. */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_galois_read(const msfl_ckks *ctx, const uint8_t *bytes, size_t length,
                                                          msfl_ckks_galois **out);

/* --- plaintexts --- */

/** An empty plaintext: memory for N coefficients, to be filled again and again by msfl_ckks_encode. Free with
 *  msfl_ckks_plain_free, which wipes it. */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_plain_new(const msfl_ckks *ctx, msfl_ckks_plain **out);
/** Free; NULL is fine. */
MSFL_API void msfl_ckks_plain_free(msfl_ckks_plain *plain);

/** How numbers are encoded. Zero in any field asks for what stands beside it. Public: it travels with the ciphertext.
 */
typedef struct msfl_ckks_encoding {
    double scale;     /**< 1 to 2^120; 0: that of the parameters. To add to a ciphertext, take msfl_ckks_ct_scale */
    double magnitude; /**< no number is larger; 0: value_max. State less where less is known, and products get room */
    double step;      /**< a power of two of which all re[j] and im[j] are multiples, 1 for integers; 0: none. What is
                           computed from multiples alone can be opened exactly */
} msfl_ckks_encoding;

/**
 * Encode `count` numbers re[j] + i im[j], 1 to N / 2 of them; `im` may be NULL, and slots beyond are zero. `how` may be
 * NULL for the defaults.
 *
 * @retval MSFL_ERR_USAGE    wrong count or encoding, or a set for sums
 * @retval MSFL_ERR_NUMERIC  a number is larger than the magnitude, not finite, or no multiple of the step
 * On any error `plain` is empty.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_encode(const msfl_ckks *ctx, const double *re, const double *im,
                                                     uint32_t count, const msfl_ckks_encoding *how,
                                                     msfl_ckks_plain *plain);

/* --- ciphertexts --- */

/** An empty ciphertext, to be filled again and again. */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_ct_new(const msfl_ckks *ctx, msfl_ckks_ct **out);
/** Free; NULL is fine. */
MSFL_API void msfl_ckks_ct_free(msfl_ckks_ct *ct);
/** to <- from; they must be two objects. */
MSFL_API void msfl_ckks_ct_copy(const msfl_ckks *ctx, msfl_ckks_ct *to, const msfl_ckks_ct *from);

/** Values of a sum, or N / 2 of numbers; 0 while it is empty. */
MSFL_API uint32_t msfl_ckks_ct_values(const msfl_ckks_ct *ct);
/** The chunk number that it was encrypted with; of no meaning while it is empty. */
MSFL_API uint64_t msfl_ckks_ct_chunk(const msfl_ckks_ct *ct);
/** Ciphertexts added up in it, 1 when fresh; of no meaning while it is empty. */
MSFL_API uint32_t msfl_ckks_ct_addends(const msfl_ckks_ct *ct);
/** 16 bytes: the id of the key pair it was made with. They live as long as the ciphertext, and change when it is filled
 *  anew. */
MSFL_API const uint8_t *msfl_ckks_ct_key_id(const msfl_ckks_ct *ct);
/** Primes left: n_primes when fresh, fewer after rescaling or dropping. */
MSFL_API uint32_t msfl_ckks_ct_level(const msfl_ckks_ct *ct);
/** The factor that its numbers are multiplied by. */
MSFL_API double msfl_ckks_ct_scale(const msfl_ckks_ct *ct);
/** Bound on the error of every number, noise and encoding together, before any flooding. */
MSFL_API double msfl_ckks_ct_error(const msfl_ckks_ct *ct);
/** Bound on the magnitude of every number. */
MSFL_API double msfl_ckks_ct_magnitude(const msfl_ckks_ct *ct);
/** A power of two of which all its numbers are multiples, in real and imaginary part; 0 if none is known. */
MSFL_API double msfl_ckks_ct_step(const msfl_ckks_ct *ct);

/** Encrypt with the public key; `chunk` is carried along. Randomness is the operating system's, fresh in every call.
 *  ERR_USAGE if `plain` is empty, ERR_LIMIT if its scale leaves no room; `ct` is then empty. */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_encrypt(const msfl_ckks *ctx, const msfl_ckks_public *key, uint64_t chunk,
                                                      const msfl_ckks_plain *plain, msfl_ckks_ct *ct);
/** The same with the secret key in the seeded form: half the bytes. Errors as msfl_ckks_encrypt. */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_encrypt_seeded(const msfl_ckks *ctx, msfl_ckks_secret *key,
                                                             uint64_t chunk, const msfl_ckks_plain *plain,
                                                             msfl_ckks_ct *ct);

/**
 * acc <- acc + ct; an empty `acc` becomes `ct`. They must be two objects. Of sums and of numbers; no
 * encryption may be in one of sums twice: it would not be covered by the bound on noise (docs/design/ckks.md).
 *
 * @retval MSFL_ERR_MISMATCH  of two keys, chunk numbers, lengths, kinds, levels or scales
 * @retval MSFL_ERR_LIMIT     sums: more addends than the parameters hold; numbers: too large for the level
 * @retval MSFL_ERR_USAGE     `ct` is empty
 * On any error `acc` is unchanged.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_add(const msfl_ckks *ctx, msfl_ckks_ct *acc, const msfl_ckks_ct *ct);

/* The following are for numbers. On any error `acc` is unchanged. Errors as for msfl_ckks_add; and ERR_MISMATCH for a
 * key of another pair, ERR_USAGE for an empty operand or one of sums. */

/** acc <- acc + plain, of equal scales. */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_add_plain(const msfl_ckks *ctx, msfl_ckks_ct *acc,
                                                        const msfl_ckks_plain *plain);
/** acc <- acc x plain, slot by slot; the scales multiply. */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_multiply_plain(const msfl_ckks *ctx, msfl_ckks_ct *acc,
                                                             const msfl_ckks_plain *plain);
/** acc <- acc x ct, slot by slot, with relinearisation; the scales multiply. `ct` may be `acc`. */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_multiply(const msfl_ckks *ctx, const msfl_ckks_relin *key,
                                                       msfl_ckks_ct *acc, const msfl_ckks_ct *ct);
/** Drop one step of primes and divide by them: the scale shrinks, the numbers stay. ERR_LIMIT at the lowest level. */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_rescale(const msfl_ckks *ctx, msfl_ckks_ct *acc);
/** Forget primes down to `level`, scale and numbers unchanged: to meet another ciphertext, or to send less. */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_drop(const msfl_ckks *ctx, msfl_ckks_ct *acc, uint32_t level);
/** Slot j becomes what slot (j + steps) mod N / 2 was. With one key if the set has it, else as the fewest rotations by
 *  powers of two that make it up; ERR_MISSING if one of these has no key. */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_rotate(const msfl_ckks *ctx, const msfl_ckks_galois *key,
                                                     msfl_ckks_ct *acc, uint32_t steps);

/**
 * The numbers exactly, as multiples of the ciphertext's step: `re` and `im` (or NULL) get N / 2 each.
 *
 * @retval MSFL_ERR_MISMATCH  encrypted under another key
 * @retval MSFL_ERR_POLICY    its numbers are not known to be multiples of a step: decrypt with flooding instead
 * @retval MSFL_ERR_NUMERIC   the bound on its noise does not exclude a wrong multiple
 * @retval MSFL_ERR_CRYPTO    it does not open: changed on the way, or not made by this scheme
 * @retval MSFL_ERR_USAGE     `ct` is empty, or of sums
 * On any error the outputs are zeroed.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_decrypt_exact(const msfl_ckks *ctx, msfl_ckks_secret *key,
                                                            const msfl_ckks_ct *ct, double *re, double *im);

/**
 * The numbers with flooding: each within `*error` of what was computed, and that is at most `error_max`. Two calls for
 * the same ciphertext are two releases and give two results. A key object makes n_releases of them; that a key which is
 * read from its bytes again does not begin anew is for the caller to see to.
 *
 * @retval MSFL_ERR_POLICY   the parameters foresee no flooding
 * @retval MSFL_ERR_NUMERIC  the flooded result would be less accurate than `error_max`, or has no room in the modulus
 * @retval MSFL_ERR_LIMIT    n_releases were made
 * Else as msfl_ckks_decrypt_exact. `error` may be NULL.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_decrypt(const msfl_ckks *ctx, msfl_ckks_secret *key,
                                                      const msfl_ckks_ct *ct, double error_max, double *re, double *im,
                                                      double *error);

/** Bytes that msfl_ckks_ct_write writes of this ciphertext; 0 while it is empty. */
MSFL_API size_t msfl_ckks_ct_bytes(const msfl_ckks *ctx, const msfl_ckks_ct *ct);
/** The most bytes that any ciphertext of this context can have: the bound for whoever receives one. */
MSFL_API size_t msfl_ckks_ct_bytes_max(const msfl_ckks *ctx);
/** `out` holds msfl_ckks_ct_bytes. An empty ciphertext has no bytes. */
MSFL_API void msfl_ckks_ct_write(const msfl_ckks *ctx, const msfl_ckks_ct *ct, uint8_t *out);
/** ERR_FORMAT, ERR_UNSUPPORTED or ERR_MISMATCH as for keys; `ct` is then empty. The bounds of a ciphertext of numbers
 *  are as its sender states them: read only what comes from somebody who computed as this library does. */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_ct_read(const msfl_ckks *ctx, const uint8_t *bytes, size_t length,
                                                      msfl_ckks_ct *ct);

/** What a ciphertext on the wire says of itself. */
typedef struct msfl_ckks_ct_facts {
    uint32_t n_values, addends;
    uint64_t chunk;
    bool seeded;
    uint8_t key_id[16];
} msfl_ckks_ct_facts;
/** The checks of msfl_ckks_ct_read without the planes' residues, and nothing copied. Its errors; `out` is then zeroed.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_ct_peek(const msfl_ckks *ctx, const uint8_t *bytes, size_t length,
                                                      msfl_ckks_ct_facts *out);
/** Whether every residue is below its prime too: ERR_FORMAT, and `out` zeroed. */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_ct_check(const msfl_ckks *ctx, const uint8_t *bytes, size_t length,
                                                       msfl_ckks_ct_facts *out);

/* --- exact sums of integers: for sets of msfl_ckks_plan_sums --- */

/** Chunks in a vector of `n_values`; values in chunk `j` of it (0 beyond the last). A chunk is one ciphertext. */
MSFL_API uint64_t msfl_ckks_chunks(const msfl_ckks *ctx, uint64_t n_values);
/** Values in chunk `j` of a vector of `n_values`; 0 beyond the last. */
MSFL_API uint32_t msfl_ckks_chunk_values(const msfl_ckks *ctx, uint64_t n_values, uint64_t j);

/**
 * Encrypt `n_values` values, 1 to N, each below 2^value_bits, as chunk number `chunk`. Added with msfl_ckks_add.
 *
 * @retval MSFL_ERR_USAGE    no values, or more than a chunk holds, or a set for numbers
 * @retval MSFL_ERR_NUMERIC  a value is 2^value_bits or more
 * On any error `ct` is empty.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_sums_encrypt(const msfl_ckks *ctx, const msfl_ckks_public *key,
                                                           uint64_t chunk, const uint32_t *values, uint32_t n_values,
                                                           msfl_ckks_ct *ct);
/** The same with the secret key in the seeded form: half the bytes. Errors as msfl_ckks_sums_encrypt. */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_sums_encrypt_seeded(const msfl_ckks *ctx, msfl_ckks_secret *key,
                                                                  uint64_t chunk, const uint32_t *values,
                                                                  uint32_t n_values, msfl_ckks_ct *ct);
/**
 * The exact sums: `totals` gets msfl_ckks_ct_values numbers, each at most addends x (2^value_bits - 1).
 *
 * @retval MSFL_ERR_MISMATCH  encrypted under another key
 * @retval MSFL_ERR_CRYPTO    it does not open: changed on the way, or not made by this scheme. `totals` is zeroed.
 * @retval MSFL_ERR_USAGE     `ct` is empty, or of numbers
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_sums_decrypt(const msfl_ckks *ctx, msfl_ckks_secret *key,
                                                           const msfl_ckks_ct *ct, uint64_t *totals);

/**
 * acc <- acc + ciphertext, both of sums, on the wire and of `length` bytes: parsed, checked and added in one pass.
 * `acc` must have passed msfl_ckks_ct_check. Errors as msfl_ckks_ct_read and msfl_ckks_add; ERR_UNSUPPORTED for the
 * seeded form. On any error `acc` is unchanged.
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_ckks_ct_fold(const msfl_ckks *ctx, uint8_t *acc, const uint8_t *bytes,
                                                      size_t length);

MSFL_END_DECLS

#endif
