/* Shim for GMP: natural numbers of a fixed count of 64-bit limbs, lowest first, in memory of ours.
 *
 * Only GMP's mpn layer is used, so that GMP allocates nothing and keeps no copy: all working memory is a msfl_work,
 * which is secret memory. Functions are of two kinds: those that take a msfl_work make the same operations for any two
 * operands of one size (GMP's mpn_sec functions and what is built on them); `_vartime` marks the others, which must not
 * see secrets. A modulus has its top limb set; it decides the instructions too, except for what docs/design/paillier.md
 * names.
 */
#ifndef MSFL_HE_GMP_H
#define MSFL_HE_GMP_H

#include "medsecurefl/status.h"

typedef uint64_t msfl_limb;

enum { MSFL_LIMB_BITS = 64, MSFL_LIMBS_MAX = 96 /* n^2 of a 3072-bit key */ };

/* --- working memory: taken in order, given back by going back to a mark --- */

typedef struct msfl_work {
    msfl_limb *base, *at, *end;
} msfl_work;

/** Secret memory enough for any one function below at MSFL_LIMBS_MAX and `extra` more limbs. Wiped by msfl_work_clear.
 */
MSFL_NODISCARD msfl_status msfl_work_init(msfl_work *w, size_t extra);
void msfl_work_clear(msfl_work *w);
msfl_limb *msfl_work_take(msfl_work *w, size_t limbs);

/* --- bytes, lowest first: length <= 8 n, and 8 n bytes out --- */

void msfl_limbs_read(msfl_limb *r, size_t n, const uint8_t *bytes, size_t length);
void msfl_limbs_write(uint8_t *bytes, const msfl_limb *a, size_t n);

/* --- for secrets --- */

/** r = a b, 2 n limbs; r is neither a nor b. */
void msfl_limbs_mul(msfl_limb *r, const msfl_limb *a, const msfl_limb *b, size_t n, msfl_work *w);
/** r = a mod m: n_a >= n limbs to n limbs. r may be a. */
void msfl_limbs_mod(msfl_limb *r, const msfl_limb *a, size_t n_a, const msfl_limb *m, size_t n, msfl_work *w);
/** q = floor(a / m): 2 n limbs by n limbs, for a < 2^(64 n) m; q has n limbs. */
void msfl_limbs_div(msfl_limb *q, const msfl_limb *a, const msfl_limb *m, size_t n, msfl_work *w);
/** r = b^e mod m for an odd m; b has n_b limbs, e at most `bits_e` bits. r is none of the operands. */
void msfl_limbs_pow(msfl_limb *r, const msfl_limb *b, size_t n_b, const msfl_limb *e, size_t bits_e, const msfl_limb *m,
                    size_t n, msfl_work *w);
/** r = 1 / a mod m for a < m and an odd m; false if there is none. */
bool msfl_limbs_invert(msfl_limb *r, const msfl_limb *a, const msfl_limb *m, size_t n, msfl_work *w);
/** r = a + b, r = a - b; the carry or borrow comes back. */
msfl_limb msfl_limbs_add(msfl_limb *r, const msfl_limb *a, const msfl_limb *b, size_t n);
msfl_limb msfl_limbs_sub(msfl_limb *r, const msfl_limb *a, const msfl_limb *b, size_t n);
/** r = a + (b if `yes`) - the choice leaves no trace; the carry comes back. */
msfl_limb msfl_limbs_add_if(bool yes, msfl_limb *r, const msfl_limb *a, const msfl_limb *b, size_t n);
/** r = entry `which` of `count` entries of n limbs; all are read. */
void msfl_limbs_select(msfl_limb *r, const msfl_limb *table, size_t n, size_t count, size_t which);
/** a >> 1 */
void msfl_limbs_half(msfl_limb *r, const msfl_limb *a, size_t n);
/** a == v, all limbs are read. */
bool msfl_limbs_is(const msfl_limb *a, size_t n, msfl_limb v);

/** An odd modulus with what Montgomery's reduction needs. The limbs are borrowed. */
typedef struct msfl_montgomery {
    size_t n;
    const msfl_limb *m;
    msfl_limb inverse; /* -1 / m mod 2^64 */
} msfl_montgomery;

msfl_montgomery msfl_montgomery_of(const msfl_limb *m, size_t n);
/** r = R mod m, R = 2^(64 n): the Montgomery form of 1. */
void msfl_montgomery_one(msfl_limb *r, const msfl_montgomery *m, msfl_work *w);
/** r = a b / R mod m for a, b < m; r may be an operand. */
void msfl_montgomery_mul(msfl_limb *r, const msfl_limb *a, const msfl_limb *b, const msfl_montgomery *m, msfl_work *w);
/** r = a / R mod m for a < m R of 2 n limbs, which is destroyed. */
void msfl_montgomery_reduce(msfl_limb *r, msfl_limb *a, const msfl_montgomery *m, msfl_work *w);

/* --- for public numbers --- */

/** r = a b mod m; r may be an operand. */
void msfl_limbs_mulmod_vartime(msfl_limb *r, const msfl_limb *a, const msfl_limb *b, const msfl_limb *m, size_t n);
/** Negative, 0 or positive as a < b, a = b, a > b. */
int msfl_limbs_compare_vartime(const msfl_limb *a, const msfl_limb *b, size_t n);
/** Whether gcd(a, m) = 1, for an odd m. */
bool msfl_limbs_coprime_vartime(const msfl_limb *a, const msfl_limb *m, size_t n);

#endif
