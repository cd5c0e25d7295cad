/* The interface of the instruction set tables: "generic" is plain C, the others must give the same integers.
 *
 * Residues live in *cells*: eight bytes whose meaning is the kernel's own (integers in generic and avx512, doubles in
 * avx2) and which need not be reduced while inside. What leaves a kernel (packed bytes, exported residues, totals) is
 * canonical, and the same for every kernel bit for bit. Arrays of cells are aligned to 64 bytes.
 *
 * Except where a comment says so, no branch and no address depends on the contents of cells, noise or slots.
 */
#ifndef MSFL_RING_KERNEL_H
#define MSFL_RING_KERNEL_H

#include "medsecurefl/status.h"
#include "ring/modular.h"
#include "ring/wide.h"

enum {
    MSFL_MODULI_MAX = 16,
    MSFL_NOISE_BLOCK = 32, /* samples that the binomial sampler makes together */
};

typedef union msfl_cell {
    uint64_t u;
    double d;
} msfl_cell;

struct msfl_kernel;

/** One prime p = 1 mod 2N with the transform tables of one kernel. */
typedef struct msfl_modulus {
    msfl_barrett m;
    uint32_t degree, log_degree; /**< N */
    uint64_t psi;                /**< msfl_root_2n */
    const struct msfl_kernel *kernel;
    void *tables;
} msfl_modulus;

/** How `slots` integers of `slot_bits` each stand in one coefficient modulo q = product of the primes, and how they are
 *  read back: the slots are the base 2^slot_bits digits of the plaintext m < t = 2^log_t. */
typedef struct msfl_codec {
    const struct msfl_kernel *kernel;
    const msfl_modulus *moduli;
    uint32_t n_moduli;
    uint32_t value_bits; /**< encoded slots are below 2^value_bits, at most 32 */
    uint32_t slot_bits, slots, log_t;
    uint64_t *weights;                          /**< [n_moduli][slots + 1]: 2^(slot_bits j) mod p; last: t mod p */
    msfl_wide q, cofactor[MSFL_MODULI_MAX];     /**< q / p_i */
    uint64_t cofactor_inverse[MSFL_MODULI_MAX]; /**< (q / p_i)^-1 mod p_i */
    void *tables;
} msfl_codec;

/** Where the values of one chunk are: value i of digit j and coefficient c has i = j n_coefficients + c; those at
 *  n_slots and beyond are zero. */
typedef struct msfl_chunk_shape {
    size_t n_slots, n_coefficients;
} msfl_chunk_shape;

enum { MSFL_AES_SCHEDULE_BYTES = 240 };

/** AES in counter mode. Constant time. */
typedef struct msfl_aes_kernel {
    /** The round keys of `key` (16 or 32 bytes), MSFL_AES_SCHEDULE_BYTES at most. */
    void (*schedule)(uint8_t *schedule, const uint8_t *key, size_t key_bytes);
    /** n blocks of 16 bytes: what `counter`, a big-endian integer, and those after it are encrypted to. Adds n to it.
     */
    void (*stream)(const uint8_t *schedule, size_t key_bytes, uint8_t counter[16], uint8_t *out, size_t n);
} msfl_aes_kernel;

typedef struct msfl_kernel {
    const char *name;
    bool (*supported)(void);
    const msfl_aes_kernel *aes; /**< NULL where libcrypto is as fast */

    /* --- tables --- */
    size_t (*modulus_table_bytes)(uint32_t degree);
    /** roots[k] = psi^brv(k), inverse_roots[k] = psi^-brv(k), brv over log2 N bits. */
    void (*modulus_tables)(msfl_modulus *m, const uint64_t *roots, const uint64_t *inverse_roots);
    size_t (*codec_table_bytes)(const msfl_codec *codec);
    void (*codec_tables)(msfl_codec *codec);

    /* --- residues --- */
    void (*import)(const msfl_modulus *m, msfl_cell *x, const uint64_t *residues, size_t n);
    /** Canonical residues of any cells. */
    void (*export)(const msfl_modulus *m, uint64_t *residues, const msfl_cell *x, size_t n);
    /** Signed integers, |s| < p / 2 and below 2^30. */
    void (*import_signed)(const msfl_modulus *m, msfl_cell *x, const int32_t *s, size_t n);
    /** Coefficients to values at psi^(2 brv(i) + 1), and back times N. In place, N cells. */
    void (*forward)(const msfl_modulus *m, msfl_cell *x);
    void (*inverse)(const msfl_modulus *m, msfl_cell *x);
    /** Make the transform `x` of a polynomial ready to be the right operand of `multiply`, and divide it by N. */
    void (*prepare)(const msfl_modulus *m, msfl_cell *x);
    /** x <- x y, where x is canonical (from `import` or `uniform`) and y was prepared. */
    void (*multiply)(const msfl_modulus *m, msfl_cell *x, const msfl_cell *y, size_t n);

    /* --- sampling --- */
    /** Read `n` candidates of ceil(bits / 8) bytes each, little-endian, cut to `bits` bits; keep those below p in
     * order. Returns how many were kept. Branches on the candidates, which are public. `x` may be written up to n
     * cells. */
    size_t (*uniform)(const msfl_modulus *m, msfl_cell *x, const uint8_t *bytes, size_t n);
    /** n samples of popcount(`bits` random bits) - bits / 2; n is a multiple of MSFL_NOISE_BLOCK, bits <= 200 and even.
     *  Block b takes planes = ceil(bits / 8) times 32 bytes; sample l of it takes byte l of each plane, and of the last
     *  plane the low bits that are missing. */
    void (*binomial)(int8_t *out, const uint8_t *bytes, uint32_t bits, size_t n);

    /* --- chunks --- */
    /** Residues of t e + m for moduli [first, first + count): plane k of `out` begins at k `stride`. Returns the
     *  bitwise or of all slots, so that the caller sees one that is too large (the cells are then meaningless). */
    uint32_t (*encode)(const msfl_codec *codec, uint32_t first, uint32_t count, const uint32_t *slots,
                       msfl_chunk_shape shape, const int8_t *noise, msfl_cell *out, size_t stride);
    /** Pack x + y, canonical, bits bits each, into ceil(n bits / 8) bytes. */
    void (*add_pack)(const msfl_modulus *m, uint8_t *out, const msfl_cell *x, const msfl_cell *y, size_t n);
    /** Whether all n residues are below p and the padding is zero. */
    bool (*check)(const msfl_modulus *m, const uint8_t *bytes, size_t n);
    /** sum <- sum + bytes mod p, residue by residue, both packed. False if a residue was not below p or the padding
     *  not zero: `unfold` with the same bytes then restores the sum exactly. */
    bool (*fold)(const msfl_modulus *m, uint8_t *sum, const uint8_t *bytes, size_t n);
    void (*unfold)(const msfl_modulus *m, uint8_t *sum, const uint8_t *bytes, size_t n);
    /** x <- (c - x) factor, canonical, where c are packed residues; for `lift`. */
    void (*subtract_from)(const msfl_modulus *m, msfl_cell *x, const uint8_t *bytes, uint64_t factor, size_t n);
    /** Plane i of `x` (at i `stride`) holds (c_i - a s) cofactor_inverse[i]. Writes the slots of each coefficient to
     *  `totals`. False if a coefficient is not t E + m with |E| <= noise_max, a slot exceeds total_max, or a slot
     *  beyond n_slots is not zero; `totals` is then meaningless. Branches on the outcome only. */
    bool (*lift)(const msfl_codec *codec, const msfl_cell *x, size_t stride, msfl_chunk_shape shape, uint32_t noise_max,
                 uint64_t total_max, uint64_t *totals);
} msfl_kernel;

extern const msfl_kernel msfl_kernel_generic;
#if MSFL_HAVE_AVX2
extern const msfl_kernel msfl_kernel_avx2;
#endif
#if MSFL_HAVE_AVX512
extern const msfl_kernel msfl_kernel_avx512;
#endif

/** All tables in this build, NULL at the end; the fastest last. */
const msfl_kernel *const *msfl_kernels(void);

/** The fastest one that this processor supports, or the one that MSFL_KERNEL in the environment names: ERR_USAGE if
 *  there is none of that name, ERR_UNSUPPORTED if the processor lacks it. */
msfl_status msfl_kernel_choose(const msfl_kernel **out) MSFL_NODISCARD;

#endif
