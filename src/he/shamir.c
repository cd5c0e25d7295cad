#include "he/shamir.h"

#include "base/bytes.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/sodium.h"
#include "base/taint.h"

#include <assert.h>

enum { P = MSFL_SHAMIR_PRIME, BLOCK = 64, WORDS = 256 };

/* Barrett: q is the true quotient or one less, so one subtraction, made by a mask, finishes. */

/** v mod p. */
static inline uint32_t reduce32(uint32_t v) {
    const uint64_t inverse = ((uint64_t)1 << 40) / P;
    uint32_t r = v - (uint32_t)(v * inverse >> 40) * P;
    assert(r < 2 * P);
    uint32_t less = r - P;
    return less + (P & (uint32_t) - (less >> 31));
}

static inline uint32_t reduce64(uint64_t v) {
    const uint64_t inverse = UINT64_MAX / P;
    uint32_t r = (uint32_t)(v - (uint64_t)((unsigned __int128)v * inverse >> 64) * P);
    assert(r < 2 * P);
    uint32_t less = r - P;
    return less + (P & (uint32_t) - (less >> 31));
}

static inline uint32_t multiply(uint32_t a, uint32_t b) {
    return reduce64((uint64_t)a * b);
}

/** Field elements from a stream under a fresh key; words at or above the largest multiple of p below 2^32 are drawn
 *  again, so the result is uniform and what was thrown away has nothing to do with it. */
typedef struct draws {
    uint8_t key[32];
    uint64_t block;
    uint32_t used;
    uint8_t stream[WORDS * 4];
} draws;

static uint32_t draw(draws *d) {
    const uint32_t bound = UINT32_MAX / P * P;
    for (;;) {
        if (d->used == sizeof d->stream) {
            msfl_chacha20_stream(d->key, 0, d->block, d->stream, sizeof d->stream);
            d->block += sizeof d->stream / 64;
            d->used = 0;
        }
        uint32_t v = msfl_load32(d->stream + d->used);
        d->used += 4;
        bool keep = v < bound;
        MSFL_DECLASSIFY(&keep, sizeof keep); /* what is thrown away has nothing to do with what is kept */
        if (keep) return reduce32(v);
    }
}

static msfl_status check_threshold(uint32_t t, size_t k) {
    if (t < 1 || t > k || k > MSFL_SHAMIR_MEMBERS_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "shares: a threshold of %u among %zu members; use 1 <= t <= k <= %d", t, k,
                         MSFL_SHAMIR_MEMBERS_MAX);
    }
    return MSFL_OK;
}

/** Values at the points 1 ... k of the polynomials whose coefficients are c[d][i], c[0] being the secrets. */
static void evaluate(uint32_t (*c)[BLOCK], uint32_t t, uint32_t k, size_t count, size_t stride, uint32_t *shares) {
    uint32_t value[BLOCK];
    for (uint32_t m = 0; m < k; m++) {
        memcpy(value, c[t - 1], sizeof value);
        for (uint32_t d = t - 1; d-- > 0;) {
            for (size_t i = 0; i < BLOCK; i++)
                value[i] = reduce32(value[i] * (m + 1) + c[d][i]); /* < 2^20 * 255 + 2^20 = 2^28 */
        }
        assert(m < MSFL_SHAMIR_MEMBERS_MAX && value[0] < P);
        memcpy(shares + m * stride, value, count * sizeof *value);
    }
    msfl_wipe(value, sizeof value);
}

msfl_status msfl_shamir_split(uint32_t t, uint32_t k, const int32_t *secret, size_t n, uint32_t *shares) {
    msfl_status status = check_threshold(t, k);
    if (status != MSFL_OK) return status;
    draws *d = NULL;
    const size_t draws_bytes = (sizeof *d + 63) / 64 * 64;
    uint32_t beyond = 0; /* top bit set by an integer out of range */
    for (size_t i = 0; i < n; i++) {
        int64_t s = secret[i];
        beyond |= (uint32_t)((uint64_t)((MSFL_SHAMIR_MAX - s) | (MSFL_SHAMIR_MAX + s)) >> 32);
    }
    beyond >>= 31;
    MSFL_DECLASSIFY(&beyond, sizeof beyond); /* the refusal */
    if (beyond != 0) {
        status = msfl_fail(MSFL_ERR_NUMERIC, "shares: an integer is beyond %d in absolute value", MSFL_SHAMIR_MAX);
        goto done;
    }
    d = msfl_secret_alloc(draws_bytes + (size_t)t * BLOCK * sizeof(uint32_t));
    if (d == NULL) {
        status = MSFL_ERR_MEMORY;
        goto done;
    }
    uint32_t(*c)[BLOCK] = (uint32_t(*)[BLOCK])(void *)((uint8_t *)d + draws_bytes);
    msfl_random_bytes(d->key, sizeof d->key);
    d->block = 0;
    d->used = sizeof d->stream;
    for (size_t at = 0; at < n; at += BLOCK) {
        size_t count = n - at < BLOCK ? n - at : BLOCK;
        memset(c[0], 0, sizeof c[0]);
        for (size_t i = 0; i < count; i++)
            c[0][i] = (uint32_t)secret[at + i] + (P & (uint32_t)(secret[at + i] >> 31));
        for (uint32_t e = 1; e < t; e++) {
            for (size_t i = 0; i < BLOCK; i++)
                c[e][i] = draw(d);
        }
        evaluate(c, t, k, count, n, shares + at);
    }
done:
    if (status != MSFL_OK) memset(shares, 0, (size_t)k * n * sizeof *shares);
    msfl_secret_free(d);
    return status;
}

void msfl_shamir_add(uint32_t *acc, const uint32_t *share, size_t n) {
    for (size_t i = 0; i < n; i++) {
        assert(acc[i] < P && share[i] < P);
        uint32_t less = acc[i] + share[i] - P;
        acc[i] = less + (P & (uint32_t) - (less >> 31));
    }
}

/** a^(p - 2), the inverse of a; a is public. */
static uint32_t invert(uint32_t a) {
    uint32_t r = 1;
    for (uint32_t e = P - 2; e > 0; e >>= 1, a = multiply(a, a)) {
        if (e & 1) r = multiply(r, a);
    }
    return r;
}

/** weights[j] such that f(x) = sum of weights[j] f(members[j] + 1) for every polynomial f of degree below t. */
static void lagrange(const uint32_t *members, uint32_t t, uint32_t x, uint32_t *weights) {
    for (uint32_t j = 0; j < t; j++) {
        uint32_t above = 1, below = 1;
        for (uint32_t i = 0; i < t; i++) {
            if (i == j) continue;
            above = multiply(above, reduce32(x + P - (members[i] + 1)));
            below = multiply(below, reduce32(members[j] + P - members[i]));
        }
        weights[j] = multiply(above, invert(below));
    }
}

static uint32_t combine(const uint32_t *weights, const uint32_t *const *shares, uint32_t t, size_t i) {
    uint64_t sum = 0;
    for (uint32_t j = 0; j < t; j++)
        sum += (uint64_t)weights[j] * shares[j][i];
    assert(sum <= (uint64_t)MSFL_SHAMIR_MEMBERS_MAX << 40);
    return reduce64(sum);
}

static msfl_status check_members(const uint32_t *members, size_t n_members) {
    bool seen[MSFL_SHAMIR_MEMBERS_MAX] = {false};
    for (size_t j = 0; j < n_members; j++) {
        if (members[j] >= MSFL_SHAMIR_MEMBERS_MAX || seen[members[j]]) {
            return msfl_fail(MSFL_ERR_USAGE, "shares: member %u is %s", members[j],
                             members[j] >= MSFL_SHAMIR_MEMBERS_MAX ? "not one of 255" : "named twice");
        }
        seen[members[j]] = true;
    }
    return MSFL_OK;
}

msfl_status msfl_shamir_join(uint32_t t, const uint32_t *members, size_t n_members, const uint32_t *const *shares,
                             size_t n, int32_t *secret) {
    uint32_t weights[MSFL_SHAMIR_MEMBERS_MAX];
    msfl_status status = check_threshold(t, n_members);
    if (status == MSFL_OK) status = check_members(members, n_members);
    if (status != MSFL_OK) goto done;
    uint32_t wrong = 0; /* top bit set below by a share out of range */
    for (size_t j = 0; j < n_members; j++) {
        for (size_t i = 0; i < n; i++)
            wrong |= ~(shares[j][i] - P) | shares[j][i];
    }
    wrong >>= 31;
    MSFL_DECLASSIFY(&wrong, sizeof wrong); /* the refusal */
    if (wrong != 0) {
        status = msfl_fail(MSFL_ERR_FORMAT, "shares: a value is not below %d", P);
        goto done;
    }
    wrong = 0;
    for (size_t j = t; j < n_members; j++) {
        lagrange(members, t, members[j] + 1, weights);
        for (size_t i = 0; i < n; i++)
            wrong |= combine(weights, shares, t, i) ^ shares[j][i];
    }
    MSFL_DECLASSIFY(&wrong, sizeof wrong); /* the refusal */
    if (wrong != 0) {
        status = msfl_fail(MSFL_ERR_CRYPTO, "shares: those of %zu members do not lie on one polynomial: one is wrong",
                           n_members);
        goto done;
    }
    lagrange(members, t, 0, weights);
    for (size_t i = 0; i < n; i++) {
        int32_t v = (int32_t)combine(weights, shares, t, i);
        secret[i] = v - (P & (int32_t) - (uint32_t)((uint32_t)(MSFL_SHAMIR_MAX - v) >> 31));
    }
done:
    if (status != MSFL_OK) memset(secret, 0, n * sizeof *secret);
    return status;
}

size_t msfl_shamir_packed_bytes(size_t n) {
    return n / 2 * 5 + n % 2 * 3;
}

void msfl_shamir_pack(const uint32_t *shares, size_t n, uint8_t *out) {
    for (size_t i = 0; i < n; i += 2) {
        uint32_t a = shares[i], b = i + 1 < n ? shares[i + 1] : 0;
        *out++ = (uint8_t)a;
        *out++ = (uint8_t)(a >> 8);
        *out++ = (uint8_t)(a >> 16 | b << 4);
        if (i + 1 == n) break;
        *out++ = (uint8_t)(b >> 4);
        *out++ = (uint8_t)(b >> 12);
    }
}

msfl_status msfl_shamir_unpack(const uint8_t *bytes, size_t n, uint32_t *shares) {
    const uint32_t mask = (1U << MSFL_SHAMIR_BITS) - 1;
    uint32_t wrong = 0; /* top bit */
    for (size_t i = 0; i < n; i += 2, bytes += 5) {
        uint32_t low = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16;
        shares[i] = low & mask;
        wrong |= ~(shares[i] - P);
        if (i + 1 == n) {
            wrong |= (uint32_t) - (low >> MSFL_SHAMIR_BITS);
            break;
        }
        shares[i + 1] = (low >> MSFL_SHAMIR_BITS | (uint32_t)bytes[3] << 4 | (uint32_t)bytes[4] << 12) & mask;
        wrong |= ~(shares[i + 1] - P);
    }
    wrong >>= 31;
    MSFL_DECLASSIFY(&wrong, sizeof wrong); /* the refusal */
    if (wrong != 0) {
        memset(shares, 0, n * sizeof *shares);
        return msfl_fail(MSFL_ERR_FORMAT, "shares: a packed value is not below %d, or the padding is not zero", P);
    }
    return MSFL_OK;
}
