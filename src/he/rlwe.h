/* What bfv and ckks share: a ring with its primes, small secrets, the streams that randomness comes from, working
 * memory, and the header of every object on the wire.
 *
 * Polynomials modulo one prime are *planes*: N cells at work, or N residues packed to the prime's width at rest. Which
 * order (coefficients, or values at the roots, as kernel.h has them) is said where it matters.
 *
 * Signs are those of the packed scheme: a ciphertext (c0, c1) hides its message in the phase c0 - c1 s.
 */
#ifndef MSFL_HE_RLWE_H
#define MSFL_HE_RLWE_H

#include "ring/modulus.h"
#include "ring/uniform.h"

#include <pthread.h>

enum {
    /* Secrets, errors and the encryptor's u: centred binomial of 42 coins, |x| <= 21, variance 10.5, standard deviation
     * 3.24, which is not below the 3.19 of the tables. */
    MSFL_RLWE_COINS = 42,
    MSFL_RLWE_SMALL_MAX = MSFL_RLWE_COINS / 2,
    MSFL_RLWE_NORM = 12, /* keys are drawn until sum s_i^2 <= 12 N (expected: 10.5 N): bounds count on it */
    MSFL_RLWE_ID_BYTES = 16,
    MSFL_RLWE_SEED_BYTES = 32,
    MSFL_RLWE_HEADER_BYTES = 64,
    MSFL_RLWE_DRAWS_MAX = 128
};

typedef struct msfl_rlwe {
    const char *scheme; /**< eight characters: the magic of all its objects */
    uint32_t degree, n_primes;
    const msfl_kernel *kernel;
    msfl_modulus moduli[MSFL_MODULI_MAX];
    msfl_cell *zeros; /**< N zero cells; as bytes: a packed plane of zeros */
    uint8_t fingerprint[MSFL_RLWE_ID_BYTES];
} msfl_rlwe;

/** `params` is the canonical form of the parameters, whose hash becomes the fingerprint. Every prime is = 1 mod 2
 *  `degree`, proved by the caller. */
msfl_status msfl_rlwe_init(msfl_rlwe *r, const char *scheme, uint32_t degree, const uint64_t *primes, uint32_t n_primes,
                           const uint8_t *params, size_t params_bytes) MSFL_NODISCARD;
void msfl_rlwe_clear(msfl_rlwe *r);

/** As few primes as possible whose widths sum to `bits`, of two neighbouring widths, each the largest of its kind,
 *  descending. Their number, or 0 if there are none. */
uint32_t msfl_rlwe_primes(uint32_t degree, uint32_t bits, uint64_t primes[MSFL_MODULI_MAX]);

/* --- planes --- */

/** Bytes of planes [0, count) of n residues each. */
size_t msfl_rlwe_planes_bytes(const msfl_rlwe *r, uint32_t count, size_t n);
/** x <- factor times the packed residues; |x| <= p in any kernel, which is all that `multiply`, `forward` and `inverse`
 *  ask of their left operand. */
void msfl_rlwe_unpack(const msfl_rlwe *r, uint32_t prime, msfl_cell *x, const uint8_t *bytes, uint64_t factor,
                      size_t n);
void msfl_rlwe_pack(const msfl_rlwe *r, uint32_t prime, uint8_t *bytes, const msfl_cell *x, size_t n);
/** x <- factor x, 0 < factor < p. */
void msfl_rlwe_scale(const msfl_rlwe *r, uint32_t prime, msfl_cell *x, uint64_t factor);
/** The values of a polynomial of N small integers. */
void msfl_rlwe_transform(const msfl_rlwe *r, uint32_t prime, msfl_cell *x, const int32_t *small);

/* --- streams --- */

/** The secret stream `purpose`, `number` of a 32-byte seed. */
msfl_status msfl_rlwe_start_secret(const msfl_rlwe *r, msfl_aes *aes, const uint8_t *seed, const char *purpose,
                                   uint64_t number) MSFL_NODISCARD;
/** The key of the public streams of a 32-byte seed, and the one of them that plane `number` is drawn from. */
void msfl_rlwe_public_key(const msfl_rlwe *r, const uint8_t *seed, uint8_t key[16]);
msfl_status msfl_rlwe_start_public(msfl_aes *aes, const uint8_t key[16], uint32_t number) MSFL_NODISCARD;

/* --- working memory --- */

/** What one thread needs at a time; all of it secret memory. */
typedef struct msfl_rlwe_scratch {
    struct msfl_rlwe_scratch *next;
    msfl_aes *aes;
    msfl_stream *stream;
    uint8_t *seed;     /**< 64 bytes */
    int8_t *noise;     /**< N */
    int32_t *small;    /**< N */
    msfl_cell *planes; /**< as many as the pool was made for */
} msfl_rlwe_scratch;

typedef struct msfl_rlwe_pool {
    pthread_mutex_t mutex;
    msfl_rlwe_scratch *idle;
    const msfl_kernel *kernel;
    size_t degree, n_planes;
} msfl_rlwe_pool;

void msfl_rlwe_pool_init(msfl_rlwe_pool *pool, const msfl_rlwe *r, size_t n_planes);
/** Wipes and frees all scratch; none may be in use. */
void msfl_rlwe_pool_clear(msfl_rlwe_pool *pool);
msfl_status msfl_rlwe_take(msfl_rlwe_pool *pool, msfl_rlwe_scratch **out) MSFL_NODISCARD;
/** NULL is fine. */
void msfl_rlwe_give(msfl_rlwe_pool *pool, msfl_rlwe_scratch *scratch);

/** A small polynomial from the secret stream `purpose` of `scratch->seed` in `scratch->noise` and `scratch->small`. */
msfl_status msfl_rlwe_draw(const msfl_rlwe *r, msfl_rlwe_scratch *scratch, const char *purpose,
                           uint64_t number) MSFL_NODISCARD;
/** The same, drawn again until its sum of squares is at most 12 N. */
msfl_status msfl_rlwe_draw_short(const msfl_rlwe *r, msfl_rlwe_scratch *scratch, const char *purpose) MSFL_NODISCARD;

/* --- keys --- */

typedef struct msfl_rlwe_secret {
    uint8_t id[MSFL_RLWE_ID_BYTES];
    uint8_t *seed;       /**< secret: 32 bytes; all else follows from it */
    int32_t *s;          /**< secret: N coefficients */
    msfl_cell *prepared; /**< secret: n_primes planes, ready for `multiply` */
    msfl_rlwe_pool pool;
} msfl_rlwe_secret;

/** How the prepared secret is scaled: for products that `inverse` turns into coefficients, or that stay values. */
typedef enum msfl_rlwe_product { MSFL_RLWE_TO_COEFFICIENTS, MSFL_RLWE_TO_VALUES } msfl_rlwe_product;

/** A key from `seed`, or a fresh one if that is NULL. */
msfl_status msfl_rlwe_secret_init(const msfl_rlwe *r, msfl_rlwe_secret *key, const uint8_t *seed,
                                  msfl_rlwe_product product, size_t n_planes) MSFL_NODISCARD;
void msfl_rlwe_secret_clear(msfl_rlwe_secret *key);

/* --- objects on the wire --- */

typedef enum msfl_rlwe_kind {
    MSFL_RLWE_SECRET = 1,
    MSFL_RLWE_PUBLIC = 2,
    MSFL_RLWE_CIPHERTEXT = 3,
    MSFL_RLWE_SWITCH = 4
} msfl_rlwe_kind;

typedef struct msfl_rlwe_header {
    msfl_rlwe_kind kind;
    uint64_t length; /**< of the whole object */
    uint8_t fingerprint[MSFL_RLWE_ID_BYTES], key_id[MSFL_RLWE_ID_BYTES];
    uint64_t number; /**< chunk of a ciphertext, Galois element of a switching key, else 0 */
} msfl_rlwe_header;

void msfl_rlwe_write_header(const msfl_rlwe *r, msfl_rlwe_kind kind, uint64_t length, const uint8_t *key_id,
                            uint64_t number, uint8_t out[MSFL_RLWE_HEADER_BYTES]);
/** Parse the header of an object of `kind` (0: of any key) of `scheme`. ERR_FORMAT, ERR_UNSUPPORTED for a version that
 * is not known, ERR_MISMATCH if it is of another kind. */
msfl_status msfl_rlwe_read_header(const char *scheme, uint32_t kind, const uint8_t *bytes, size_t length,
                                  msfl_rlwe_header *out) MSFL_NODISCARD;
/** The same, and ERR_MISMATCH if it belongs to other parameters. */
msfl_status msfl_rlwe_expect(const msfl_rlwe *r, msfl_rlwe_kind kind, const uint8_t *bytes, size_t length,
                             msfl_rlwe_header *out) MSFL_NODISCARD;
/** ERR_FORMAT unless planes [0, count) hold `n` residues below their primes each. */
msfl_status msfl_rlwe_check_planes(const msfl_rlwe *r, uint32_t count, const uint8_t *bytes, size_t n) MSFL_NODISCARD;
/** ERR_MISMATCH unless the ids are the same. */
msfl_status msfl_rlwe_check_key(const uint8_t *key_id, const uint8_t *wanted) MSFL_NODISCARD;

#endif
