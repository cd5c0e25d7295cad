/* The inside of the ckks scheme. */
#ifndef MSFL_HE_CKKS_H
#define MSFL_HE_CKKS_H

#include "he/rlwe.h"
#include "medsecurefl/ckks.h"
#include "ring/embed.h"

#define MSFL_CKKS_SCHEME "MSFLCKS1"

enum {
    MSFL_CKKS_CT_FIXED = 4 * 4 + 5 * 8, /* values, addends, form, level; scale, noise, error, magnitude, step */
    /* Keys and their errors are drawn until |s(zeta^r)|^2 <= 168 N at every root: sixteen times the expected 10.5 N. */
    MSFL_CKKS_NORM = 168,
    /* Bounds lie this many standard deviations out: 2 exp(-16^2 / 2) < 2^-183 for each real or imaginary part. */
    MSFL_CKKS_DEVIATIONS = 16,
    MSFL_CKKS_GALOIS_MAX = 64 /* keys in one set */
};

/** Exact to this part of the modulus: the phase may fill (1 - 2^-20) of it. */
#define MSFL_CKKS_ROOM (1 - 0x1p-20)

struct msfl_ckks {
    msfl_ckks_params params;
    msfl_rlwe ring; /**< all primes, the special one last */
    msfl_embed embed;
    double root_norm;                                                  /**< sqrt(168 N), rounded up */
    double q[MSFL_PRIMES_MAX];                                         /**< product of the first i + 1 primes */
    uint64_t degree[MSFL_PRIMES_MAX], degree_inverse[MSFL_PRIMES_MAX]; /**< N and 1 / N mod p */
    /* [k][i]: 1 / prime k mod prime i, for k > i (dividing by prime k), and for k < i in opening. */
    uint64_t inverse[MSFL_PRIMES_MAX][MSFL_PRIMES_MAX];
    msfl_rlwe_pool *pool; /**< for whoever works without the secret key */
};

struct msfl_ckks_secret {
    msfl_rlwe_secret base;
    uint32_t released; /**< flooded decryptions so far; under the pool's mutex */
};

struct msfl_ckks_public {
    uint8_t id[MSFL_RLWE_ID_BYTES], seed[MSFL_RLWE_SEED_BYTES];
    uint8_t *b;               /**< values, packed planes of the L primes */
    msfl_cell *b_row, *a_row; /**< N b and N a, canonical */
};

/** Key from some secret t to s: for digit i of L, b_i = a_i s + e_i + P t (prime i alone), modulo all primes. */
typedef struct msfl_ckks_switch {
    uint64_t element;         /**< of the Galois group: t = -s(x^element); 0: t = s^2 */
    uint32_t *order;          /**< [N]: value k of s(x^element) is value order[k] of s; NULL for s^2 */
    uint8_t *bytes;           /**< as on the wire: L seeds, then L times packed planes of b_i */
    msfl_cell *b_row, *a_row; /**< [digit][prime][N]: N b and N a, canonical */
} msfl_ckks_switch;

struct msfl_ckks_relin {
    uint8_t id[MSFL_RLWE_ID_BYTES];
    msfl_ckks_switch key;
};

struct msfl_ckks_galois {
    uint8_t id[MSFL_RLWE_ID_BYTES];
    uint32_t count;
    msfl_ckks_switch *keys;
};

/** What is known of an encoded or encrypted polynomial, slot by slot: its value is scale z + D + E with |z| <=
 *  magnitude, |D| <= error and |E| <= noise. D follows from the plaintexts alone, E does not. */
typedef struct msfl_ckks_bounds {
    double scale, noise, error, magnitude;
    double step; /**< every real and imaginary part of z is a multiple of it; 0: not known */
} msfl_ckks_bounds;

struct msfl_ckks_plain {
    bool full;
    msfl_ckks_bounds bounds;
    double *x; /**< N integers below 2^50, to be multiplied by 2^shift */
    uint32_t shift;
    size_t degree;
};

typedef enum msfl_ckks_form { MSFL_CKKS_NUMBERS = 0, MSFL_CKKS_SUMS = 2 } msfl_ckks_form;

struct msfl_ckks_ct {
    uint32_t n_values, addends, level; /**< 0 values: empty */
    uint64_t chunk;
    bool seeded;
    msfl_ckks_form form;
    msfl_ckks_bounds bounds; /**< zero for sums, where all follows from the addends */
    uint8_t key_id[MSFL_RLWE_ID_BYTES], seed[MSFL_RLWE_SEED_BYTES];
    uint8_t *c0, *c1; /**< packed planes of N values; c1 is unused if seeded */
};

/* --- bounds: ckks_bounds.c --- */

/** On |E| of a fresh ciphertext of either form. */
double msfl_ckks_fresh_noise(uint32_t degree, bool seeded);
/** On the real and imaginary parts of D + E of a sum of n ciphertexts in a set of sums, with what decoding adds; and on
 *  the magnitude of a coefficient of its phase. */
double msfl_ckks_sums_error(uint32_t degree, uint32_t value_bits, double scale, uint32_t n_addends);
double msfl_ckks_sums_phase(uint32_t degree, uint32_t value_bits, double scale, uint32_t n_addends);
/** What decoding in doubles adds to values of at most `most`. */
double msfl_ckks_decode_error(uint32_t degree, double most);
/** On |D| of an encoding of numbers up to `magnitude`, whose integers are multiplied by 2^shift. */
double msfl_ckks_encode_error(uint32_t degree, double scale, double magnitude, uint32_t shift);
/** The smallest shift that leaves the integers below 2^49. */
uint32_t msfl_ckks_shift(double scale, double magnitude);
uint32_t msfl_ckks_sums_shift(uint32_t value_bits, double scale);
/** log2 W of the flood for this noise. */
uint32_t msfl_ckks_flood_log2(uint32_t degree, double noise, uint32_t flood_bits, uint32_t n_releases);
/** Bound on every real and imaginary part of such a flood. */
double msfl_ckks_flood_error(uint32_t degree, uint32_t log2_w);
/** ERR_LIMIT unless a phase of these bounds fits `level` primes; `what` begins the message. */
msfl_status msfl_ckks_room(const msfl_ckks *ctx, const msfl_ckks_bounds *b, uint32_t level,
                           const char *what) MSFL_NODISCARD;
/** Whether all fields are finite, positive where they must be, and the step zero or a power of two. */
bool msfl_ckks_sane(const msfl_ckks_bounds *b);

/* --- parameters: ckks_params.c --- */

/** Bytes of a ciphertext. */
size_t msfl_ckks_bytes_of(const msfl_ckks_params *params, uint32_t level, bool seeded);
size_t msfl_ckks_plane_bytes(const msfl_ckks_params *params, uint32_t count);

/* --- planes at work --- */

/** Coefficients to canonical values. Kernels leave products and values unreduced, and the sum of two such is more than
 *  `add_pack` takes in every kernel: one of its operands has to be canonical. */
void msfl_ckks_forward(const msfl_ckks *ctx, uint32_t i, msfl_cell *x);

/** Residues modulo prime i of 2^shift x + noise (NULL: none) as cells in coefficient order; `buffer` holds N. */
void msfl_ckks_import(const msfl_ckks *ctx, uint32_t i, msfl_cell *out, const double *x, uint32_t shift,
                      const int8_t *noise, uint64_t *buffer);
/** The integers of least magnitude of a packed plane of values; `cells` and `buffer` hold N. */
void msfl_ckks_centred(const msfl_ckks *ctx, uint32_t i, double *out, const uint8_t *plane, msfl_cell *cells,
                       uint64_t *buffer);
/** Planes [0, count) of c <- (c - r) / p, where r is the centred plane of prime `last`, whose packed values are given.
 *  Returns a bound on |r| at every root. Works in five planes of `scratch` from `free` on. */
double msfl_ckks_divide(const msfl_ckks *ctx, msfl_rlwe_scratch *scratch, size_t free, uint8_t *planes, uint32_t count,
                        uint32_t last, const uint8_t *last_plane);

/* --- keys --- */

enum { MSFL_CKKS_KEY_HEAD = MSFL_RLWE_HEADER_BYTES + MSFL_CKKS_PARAMS_BYTES };

/** Writes header and parameters; checks them. `number` as in the header. */
void msfl_ckks_write_head(const msfl_ckks *ctx, msfl_rlwe_kind kind, size_t length, const uint8_t *id, uint64_t number,
                          uint8_t *out);
msfl_status msfl_ckks_check_head(const msfl_ckks *ctx, msfl_rlwe_kind kind, const uint8_t *bytes, size_t length,
                                 msfl_rlwe_header *header) MSFL_NODISCARD;
/** A small polynomial with a bound at every root, from fresh randomness, in `scratch`; `x` holds N. */
msfl_status msfl_ckks_draw_key(const msfl_ckks *ctx, msfl_rlwe_scratch *scratch, const char *purpose,
                               double *x) MSFL_NODISCARD;
/** N times the values of uniform a from `seed`, or packed b, as canonical cells; in place of count planes. */
msfl_status msfl_ckks_expand_row(const msfl_ckks *ctx, msfl_rlwe_scratch *scratch, uint32_t i, const uint8_t *seed,
                                 msfl_cell *row) MSFL_NODISCARD;

size_t msfl_ckks_switch_bytes(const msfl_ckks *ctx);
msfl_status msfl_ckks_switch_new(const msfl_ckks *ctx, msfl_ckks_secret *secret, uint64_t element,
                                 msfl_ckks_switch *out) MSFL_NODISCARD;
msfl_status msfl_ckks_switch_read(const msfl_ckks *ctx, const uint8_t *bytes, uint64_t element,
                                  msfl_ckks_switch *out) MSFL_NODISCARD;
void msfl_ckks_switch_clear(msfl_ckks_switch *key);
/** (c0, c1) += what opens under s to `d` t, where t is the key's: all packed planes of `level` primes. Returns the
 *  noise that this adds. */
double msfl_ckks_switch_apply(const msfl_ckks *ctx, const msfl_ckks_switch *key, msfl_rlwe_scratch *scratch,
                              uint32_t level, const uint8_t *d, uint8_t *c0, uint8_t *c1);

/** The element of the Galois group that rotates by so many steps: 5^steps modulo 2 N. */
uint64_t msfl_ckks_element(const msfl_ckks *ctx, uint32_t steps);

/* --- ciphertexts --- */

/** Header and fields of a ciphertext on the wire, checked; c0 and c1 stay NULL. */
msfl_status msfl_ckks_read_fields(const msfl_ckks *ctx, const uint8_t *bytes, size_t length,
                                  msfl_ckks_ct *out) MSFL_NODISCARD;

/** The c1 of a seeded ciphertext as packed planes. Works in the first plane of scratch. */
msfl_status msfl_ckks_unseed(const msfl_ckks *ctx, msfl_rlwe_scratch *scratch, const msfl_ckks_ct *ct,
                             uint8_t *out) MSFL_NODISCARD;
/** Equal up to roundings in their computation. */
bool msfl_ckks_same_scale(double a, double b);
msfl_ckks_bounds msfl_ckks_add_bounds(const msfl_ckks_bounds *a, const msfl_ckks_bounds *b);

/* --- encryption and opening --- */

msfl_status msfl_ckks_seal(const msfl_ckks *ctx, const msfl_ckks_public *key, msfl_rlwe_scratch *scratch,
                           const double *x, uint32_t shift, msfl_ckks_ct *ct) MSFL_NODISCARD;
msfl_status msfl_ckks_seal_seeded(const msfl_ckks *ctx, msfl_ckks_secret *key, msfl_rlwe_scratch *scratch,
                                  const double *x, uint32_t shift, msfl_ckks_ct *ct) MSFL_NODISCARD;
/** The coefficients of the phase, plus a uniform flood below 2^log2_w if that is not 0, lifted from `level` primes to
 *  the integers of least magnitude, in doubles: `x` holds N. */
msfl_status msfl_ckks_phase(const msfl_ckks *ctx, msfl_ckks_secret *key, msfl_rlwe_scratch *scratch,
                            const msfl_ckks_ct *ct, uint32_t level, uint32_t log2_w, double *x) MSFL_NODISCARD;

#endif
