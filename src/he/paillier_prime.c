/* Primes for Paillier keys. Nothing here branches on a number that is kept: what is refused is drawn anew, whole. */
#include "base/mem.h"
#include "base/sodium.h"
#include "base/taint.h"
#include "he/paillier.h"

#include <assert.h>
#include <string.h>

enum { SIEVE_MAX = 1 << 16, ROUNDS = 64 };

msfl_status msfl_small_primes_new(msfl_small_primes *out) {
    enum { COUNT = 6541 /* odd primes below 2^16 */ };
    out->primes = NULL;
    bool *composite = msfl_alloc(SIEVE_MAX, sizeof *composite);
    uint32_t *primes = msfl_alloc(COUNT, sizeof *primes);
    msfl_status status = MSFL_ERR_MEMORY;
    size_t count = 0;
    if (composite == NULL || primes == NULL) goto done;
    for (uint32_t i = 3; i < SIEVE_MAX; i += 2) {
        if (composite[i]) continue;
        assert(count < COUNT);
        primes[count++] = i;
        for (uint32_t j = i; j <= (SIEVE_MAX - 1) / i; j += 2)
            composite[i * j] = true;
    }
    *out = (msfl_small_primes){primes, count};
    primes = NULL;
    status = MSFL_OK;
done:
    msfl_free(composite);
    msfl_free(primes);
    return status;
}

/** a mod d for a public d < 2^16, the same operations for every a. */
static uint32_t residue(const msfl_limb *a, size_t n, uint32_t d) {
    const uint64_t inverse = UINT64_MAX / d;
    uint64_t r = 0;
    for (size_t i = 2 * n; i-- > 0;) {
        uint64_t v = r << 32 | (uint32_t)(a[i / 2] >> (i % 2 * 32)); /* < 2^48 */
        assert(v >> 48 == 0);
        r = v - (uint64_t)((unsigned __int128)v * inverse >> 64) * d; /* the quotient is right or one short: < 2 d */
        assert(r < 2 * (uint64_t)d);
        uint64_t less = r - d;
        r = less + (d & (0 - (less >> 63)));
    }
    return (uint32_t)r;
}

bool msfl_sieve(const msfl_small_primes *primes, const msfl_limb *a, size_t n, bool not_one) {
    for (size_t i = 0; i < primes->count; i++) {
        uint32_t r = residue(a, n, primes->primes[i]);
        bool out = (r == 0) | (not_one & (r == 1));
        MSFL_DECLASSIFY(&out, sizeof out); /* the same for every number that is kept */
        if (out) return false;
    }
    return true;
}

/** For p = 3 mod 4 a base a passes when a^((p-1)/2) = +-1. */
static bool passes_once(const msfl_limb *p, size_t h, msfl_work *w) {
    msfl_limb *mark = w->at;
    msfl_limb *a = msfl_work_take(w, 2 * h), *power = msfl_work_take(w, h), *half = msfl_work_take(w, h);
    /* A number twice as long, reduced: uniform to 2^-(64 h). 0 and +-1 would pass, with a chance of as little. */
    msfl_random_bytes(a, 2 * h * sizeof *a);
    msfl_limbs_mod(a, a, 2 * h, p, h, w);
    msfl_limbs_half(half, p, h); /* (p - 1) / 2, since p is odd */
    msfl_limbs_pow(power, a, h, half, h * MSFL_LIMB_BITS, p, h, w);
    bool plus = msfl_limbs_is(power, h, 1);
    msfl_limbs_sub(power, p, power, h);
    bool minus = msfl_limbs_is(power, h, 1);
    w->at = mark;
    return plus | minus;
}

bool msfl_paillier_is_prime(const msfl_limb *p, size_t h, int rounds, msfl_work *w) {
    for (int i = 0; i < rounds; i++) {
        bool passes = passes_once(p, h, w);
        MSFL_DECLASSIFY(&passes, sizeof passes); /* the same for every number that is kept */
        if (!passes) return false;
    }
    return true;
}

void msfl_paillier_prime(const msfl_small_primes *primes, msfl_limb *p, size_t h, msfl_work *w) {
    do {
        msfl_random_bytes(p, h * sizeof *p);
        p[h - 1] |= (msfl_limb)3 << (MSFL_LIMB_BITS - 2);
        p[0] |= 3;
        /* Neither p nor (p - 1) / 2 has a factor below 2^16. */
    } while (!msfl_sieve(primes, p, h, true) || !msfl_paillier_is_prime(p, h, ROUNDS, w));
}

bool msfl_paillier_pair(const msfl_limb *p, const msfl_limb *q, size_t h, msfl_work *w) {
    const msfl_limb top = (msfl_limb)3 << (MSFL_LIMB_BITS - 2);
    bool odd = ((p[h - 1] & q[h - 1] & top) != top) | ((p[0] & q[0] & 3) != 3);
    MSFL_DECLASSIFY(&odd, sizeof odd); /* the same for every pair that is kept; so is what is returned */
    if (odd) return false;
    msfl_limb *mark = w->at;
    msfl_limb *a = msfl_work_take(w, h), *b = msfl_work_take(w, h), *r = msfl_work_take(w, h);
    /* |p - q| > 2^(64 h - 100), as FIPS 186-4 B.3.3 asks, so that Fermat's method finds nothing. */
    bool less = msfl_limbs_sub(r, p, q, h) != 0;
    msfl_limb ones = (msfl_limb)0 - less;
    msfl_limb apart = (r[h - 1] ^ ones) | ((r[h - 2] ^ ones) >> (2 * MSFL_LIMB_BITS - 100));
    /* (p - 1) / 2 and (q - 1) / 2 are odd; they are coprime if the one has an inverse modulo the other. */
    msfl_limbs_half(a, p, h);
    msfl_limbs_half(b, q, h);
    msfl_limbs_mod(a, a, h, b, h, w);
    bool coprime = msfl_limbs_invert(r, a, b, h, w);
    w->at = mark;
    bool good = (apart != 0) & coprime;
    MSFL_DECLASSIFY(&good, sizeof good);
    return good;
}
