/* Shamir shares of vectors of small integers: t of k members rebuild the vector, fewer learn nothing of it.
 *
 * Each integer s is the constant term of a polynomial of degree t - 1 over the field of p = 786433 elements with
 * uniform coefficients; member m (0, 1, ...) gets its value at the point m + 1 (Shamir, "How to share a secret", 1979).
 * Shares of several vectors add up to shares of the sum, as long as the sum stays within the range. No branch and no
 * address depends on a secret or a share, except refusals.
 */
#ifndef MSFL_HE_SHAMIR_H
#define MSFL_HE_SHAMIR_H

#include "medsecurefl/status.h"

enum {
    MSFL_SHAMIR_PRIME = 786433,                    /* 3 * 2^18 + 1 */
    MSFL_SHAMIR_MAX = (MSFL_SHAMIR_PRIME - 1) / 2, /* largest |s| that can be told from its complement */
    MSFL_SHAMIR_MEMBERS_MAX = 255,                 /* points fit in a byte, products in 32 bits */
    MSFL_SHAMIR_BITS = 20                          /* of a packed share */
};

/**
 * Shares of `secret` (n integers, |s| <= MSFL_SHAMIR_MAX) for `k` members, of which any `t` suffice: share i of member
 * m goes to `shares[m n + i]`, in [0, p). The coefficients come from the operating system's generator. Shares are as
 * secret as the vector once t of them meet; the caller keeps them in secret memory.
 *
 * @retval MSFL_ERR_USAGE    not 1 <= t <= k <= MSFL_SHAMIR_MEMBERS_MAX
 * @retval MSFL_ERR_NUMERIC  an integer is out of range
 * `shares` is unchanged on ERR_USAGE and zeroed on any other error.
 */
MSFL_NODISCARD msfl_status msfl_shamir_split(uint32_t t, uint32_t k, const int32_t *secret, size_t n, uint32_t *shares);

/** acc <- acc + share (mod p), n values each in [0, p). */
void msfl_shamir_add(uint32_t *acc, const uint32_t *share, size_t n);

/**
 * The vector from the shares of `n_members` >= t distinct members: `shares[j]` is that of `members[j]`, n values. The
 * first t make the vector; all further ones must lie on the same polynomials.
 *
 * @retval MSFL_ERR_USAGE   t out of range, fewer than t members, a member repeated or out of range
 * @retval MSFL_ERR_FORMAT  a share is not in [0, p)
 * @retval MSFL_ERR_CRYPTO  the shares do not belong together: with n_members > t, at least one is wrong. With exactly t
 *                          nothing can be noticed here; see what the vector is good for.
 * `secret` is zeroed on error.
 */
MSFL_NODISCARD msfl_status msfl_shamir_join(uint32_t t, const uint32_t *members, size_t n_members,
                                            const uint32_t *const *shares, size_t n, int32_t *secret);

/** Bytes of `n` packed shares: ceil(20 n / 8). */
size_t msfl_shamir_packed_bytes(size_t n);
/** Pack n shares, lowest bit first; padding is zero. */
void msfl_shamir_pack(const uint32_t *shares, size_t n, uint8_t *out);
/** ERR_FORMAT, with `shares` zeroed, if a share is not below p or the padding not zero. */
MSFL_NODISCARD msfl_status msfl_shamir_unpack(const uint8_t *bytes, size_t n, uint32_t *shares);

#endif
