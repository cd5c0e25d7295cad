/* The planners of the ckks scheme. */
#include "he/ckks.h"

#include "base/error.h"
#include "he/security.h"
#include "ring/prime.h"

#include <math.h>
#include <string.h>

/* --- numbers --- */

static msfl_status check_request(const msfl_ckks_request *r) {
    msfl_status status = msfl_check_request("addends", r->n_addends, r->security_bits, r->ring_degree);
    if (status != MSFL_OK) return status;
    if (r->depth > MSFL_CKKS_DEPTH_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "depth %u: 0 to %d are possible", r->depth, MSFL_CKKS_DEPTH_MAX);
    }
    if (r->scale_bits < MSFL_CKKS_SCALE_BITS_MIN || r->scale_bits > MSFL_CKKS_SCALE_BITS_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "a scale of %u bits: %d to %d are possible", r->scale_bits,
                         MSFL_CKKS_SCALE_BITS_MIN, MSFL_CKKS_SCALE_BITS_MAX);
    }
    if (r->n_slots < 1 || r->n_slots > MSFL_RING_DEGREE_MAX / 2) {
        return msfl_fail(MSFL_ERR_USAGE, "%u slots: 1 to %d are possible", r->n_slots, MSFL_RING_DEGREE_MAX / 2);
    }
    if (r->ring_degree != 0 && r->n_slots > r->ring_degree / 2) {
        return msfl_fail(MSFL_ERR_USAGE, "%u slots in ring degree %u: it has %u", r->n_slots, r->ring_degree,
                         r->ring_degree / 2);
    }
    if (!(r->value_max > 0 && r->value_max <= 0x1p60)) {
        return msfl_fail(MSFL_ERR_USAGE, "numbers up to %g: a bound above 0 and up to 2^60 is possible", r->value_max);
    }
    if (r->flood_bits != 0 && (r->flood_bits < 10 || r->flood_bits > MSFL_CKKS_FLOOD_BITS_MAX)) {
        return msfl_fail(MSFL_ERR_USAGE, "%u bits of flooding: 0, or 10 to %d are possible", r->flood_bits,
                         MSFL_CKKS_FLOOD_BITS_MAX);
    }
    if (r->n_releases > MSFL_CKKS_RELEASES_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "%u releases: up to %d are possible", r->n_releases, MSFL_CKKS_RELEASES_MAX);
    }
    return MSFL_OK;
}

/** `count` primes whose widths sum to `bits`, none of them among the first `have`; 0 if there are not so many. */
static uint32_t append(msfl_ckks_params *p, uint32_t at, uint32_t have, uint32_t count, uint32_t bits) {
    for (uint32_t i = 0; i < count; i++) {
        uint32_t width = bits / count + (i < bits % count ? 1 : 0);
        uint64_t prime = (uint64_t)1 << width, least = ((uint64_t)1 << (width - 1)) + 1;
        bool used;
        do {
            prime = msfl_prime_below(prime, least, p->ring_degree);
            used = false;
            for (uint32_t k = 0; k < have; k++)
                used |= p->primes[k] == prime;
        } while (used && prime != 0);
        if (prime == 0) return 0;
        p->primes[at + i] = prime;
        have = at + i + 1 > have ? at + i + 1 : have;
    }
    return count;
}

/** Bits that the base takes: the largest sum, or the flood of one, and a sign. */
static uint32_t base_bits(const msfl_ckks_request *r, uint32_t degree) {
    double most = ldexp(r->value_max, (int)r->scale_bits) * r->n_addends * 1.01;
    if (r->flood_bits != 0) {
        /* Four times the noise of fresh sums leaves room for what rescalings and switched keys add. */
        double noise = 4 * r->n_addends * msfl_ckks_fresh_noise(degree, false);
        most += ldexp(1, (int)msfl_ckks_flood_log2(degree, noise, r->flood_bits, r->n_releases | (r->n_releases == 0)));
    }
    int exponent;
    (void)frexp(most, &exponent);
    uint32_t bits = exponent < 1 ? 2 : (uint32_t)exponent + 2;
    return bits > r->scale_bits + 2 ? bits : r->scale_bits + 2;
}

/** Bits of the whole chain, and how many primes it takes. */
static uint32_t chain_bits(const msfl_ckks_request *r, uint32_t degree, uint32_t *n_primes) {
    bool special = r->depth > 0 || r->rotations;
    uint32_t base = base_bits(r, degree);
    uint32_t n_step = (r->scale_bits + MSFL_PRIME_BITS_MAX - 1) / MSFL_PRIME_BITS_MAX;
    *n_primes = (base + MSFL_PRIME_BITS_MAX - 1) / MSFL_PRIME_BITS_MAX + r->depth * n_step + (special ? 1 : 0);
    return base + r->depth * r->scale_bits + (special ? MSFL_PRIME_BITS_MAX : 0);
}

/** False if this degree has no primes for it. */
static bool make_chain(const msfl_ckks_request *r, uint32_t degree, msfl_ckks_params *p) {
    uint32_t base = base_bits(r, degree), n_all;
    (void)chain_bits(r, degree, &n_all);
    if (n_all > MSFL_PRIMES_MAX) return false;
    *p = (msfl_ckks_params){
        .ring_degree = degree,
        .n_base = (base + MSFL_PRIME_BITS_MAX - 1) / MSFL_PRIME_BITS_MAX,
        .n_step = r->depth == 0 ? 0 : (r->scale_bits + MSFL_PRIME_BITS_MAX - 1) / MSFL_PRIME_BITS_MAX,
        .n_special = r->depth > 0 || r->rotations ? 1 : 0,
        .security_bits = r->security_bits == 0 ? 128 : r->security_bits,
        .n_addends = r->n_addends,
        .flood_bits = r->flood_bits,
        .n_releases = r->flood_bits == 0   ? 0
                      : r->n_releases == 0 ? 1
                                           : r->n_releases,
        .scale = ldexp(1, (int)r->scale_bits),
        .value_max = r->value_max,
    };
    p->n_primes = p->n_base + r->depth * p->n_step;
    /* The special prime first, for it must be the largest; it waits in its place while the others avoid it. */
    uint64_t special = 0;
    uint32_t have = 0;
    if (p->n_special != 0) {
        special =
            msfl_prime_below((uint64_t)1 << MSFL_PRIME_BITS_MAX, (uint64_t)1 << (MSFL_PRIME_BITS_MAX - 1), degree);
        if (special == 0) return false;
        for (uint32_t i = 0; i < MSFL_PRIMES_MAX; i++)
            p->primes[i] = special;
        have = MSFL_PRIMES_MAX;
    }
    bool good = append(p, 0, have, p->n_base, base) != 0;
    for (uint32_t d = 0; good && d < r->depth; d++) {
        uint32_t at = p->n_base + d * p->n_step;
        good = append(p, at, have > at ? have : at, p->n_step, r->scale_bits) != 0;
    }
    for (uint32_t i = p->n_primes + p->n_special; i < MSFL_PRIMES_MAX; i++)
        p->primes[i] = 0;
    return good;
}

msfl_status msfl_ckks_plan(const msfl_ckks_request *request, msfl_ckks_params *out) {
    memset(out, 0, sizeof *out);
    msfl_status status = check_request(request);
    if (status != MSFL_OK) return status;
    uint32_t security = request->security_bits == 0 ? 128 : request->security_bits;
    for (uint32_t degree = MSFL_RING_DEGREE_MIN; degree <= MSFL_RING_DEGREE_MAX; degree *= 2) {
        if (request->ring_degree != 0 && request->ring_degree != degree) continue;
        if (degree / 2 < request->n_slots) continue;
        uint32_t n_primes;
        if (chain_bits(request, degree, &n_primes) > msfl_log2_q_max(degree, security)) continue;
        msfl_ckks_params found;
        if (!make_chain(request, degree, &found) || msfl_ckks_check(&found) != MSFL_OK) continue;
        *out = found;
        return MSFL_OK;
    }
    uint32_t degree = request->ring_degree == 0 ? MSFL_RING_DEGREE_MAX : request->ring_degree, n_primes;
    uint32_t bits = chain_bits(request, degree, &n_primes);
    return msfl_fail(
        MSFL_ERR_PARAMS,
        "depth %u at a scale of %u bits does not fit ring degree %u at %u-bit security: the base takes %u "
        "bits, each step %u, and the special prime %u, so log2 q is %u in %u primes, and %u in %d primes is "
        "allowed (2024/463, Table 5.2). Take a larger ring degree, less depth, or a smaller scale",
        request->depth, request->scale_bits, degree, security, base_bits(request, degree), request->scale_bits,
        request->depth > 0 || request->rotations ? MSFL_PRIME_BITS_MAX : 0, bits, n_primes,
        msfl_log2_q_max(degree, security), MSFL_PRIMES_MAX);
}

/* --- sums --- */

/** Far above what any sum needs. */
#define MSFL_CKKS_SUMS_SCALE_MAX 0x1p60

/** The smallest scale that keeps sums exact; 0 if there is none, because the transforms in doubles, whose error is a
 *  `share` of the scale, leave no room. */
static double sums_scale(uint32_t degree, uint32_t value_bits, uint32_t n_addends, double *share) {
    /* Between two scales with the same shift the error grows by the share alone. */
    double fixed = msfl_ckks_sums_error(degree, value_bits, 0, n_addends);
    *share = msfl_ckks_sums_error(degree, value_bits, 1, n_addends) - fixed;
    if (*share >= 0.4) return 0;
    double scale = ceil(fixed / (0.4989 - *share));
    /* A scale that needs a shift rounds more coarsely and wants a larger scale, until it is enough. */
    while (scale < MSFL_CKKS_SUMS_SCALE_MAX &&
           msfl_ckks_sums_error(degree, value_bits, scale, n_addends) > 0.499 * scale)
        scale = ceil(scale * (1 + 0x1p-6));
    return scale < MSFL_CKKS_SUMS_SCALE_MAX ? scale : 0;
}

static uint32_t sums_bits(uint32_t degree, uint32_t value_bits, double scale, uint32_t n_addends) {
    return (uint32_t)ceil(log2(msfl_ckks_sums_phase(degree, value_bits, scale, n_addends)) + 1);
}

static bool plan_sums_degree(const msfl_ckks_sums_request *r, uint32_t degree, msfl_ckks_params *p) {
    double share, scale = sums_scale(degree, r->value_bits, r->n_addends, &share);
    uint32_t security = r->security_bits == 0 ? 128 : r->security_bits;
    if (scale == 0) return false;
    uint32_t limit = msfl_log2_q_max(degree, security), least = sums_bits(degree, r->value_bits, scale, r->n_addends);
    for (uint32_t bits = least; bits <= limit && bits <= least + 4; bits++) {
        *p = (msfl_ckks_params){.ring_degree = degree,
                                .security_bits = security,
                                .n_addends = r->n_addends,
                                .value_bits = r->value_bits,
                                .scale = scale};
        p->n_primes = p->n_base = msfl_rlwe_primes(degree, bits, p->primes);
        if (p->n_primes != 0 && msfl_ckks_check(p) == MSFL_OK) return true;
    }
    return false;
}

msfl_status msfl_ckks_plan_sums(const msfl_ckks_sums_request *r, msfl_ckks_params *out) {
    memset(out, 0, sizeof *out);
    msfl_status status = msfl_check_request("addends", r->n_addends, r->security_bits, r->ring_degree);
    if (status == MSFL_OK) status = msfl_check_vector(r->value_bits, r->n_values);
    if (status != MSFL_OK) return status;
    uint64_t best = UINT64_MAX;
    for (uint32_t degree = MSFL_RING_DEGREE_MIN; degree <= MSFL_RING_DEGREE_MAX; degree *= 2) {
        if (r->ring_degree != 0 && r->ring_degree != degree) continue;
        msfl_ckks_params found;
        if (!plan_sums_degree(r, degree, &found)) continue;
        msfl_ckks_facts facts;
        msfl_ckks_describe(&found, r->n_values, &facts);
        if (facts.full_bytes >= best) continue;
        best = facts.full_bytes;
        *out = found;
    }
    if (best != UINT64_MAX) return MSFL_OK;
    uint32_t degree = r->ring_degree == 0 ? MSFL_RING_DEGREE_MAX : r->ring_degree;
    uint32_t security = r->security_bits == 0 ? 128 : r->security_bits;
    double share, scale = sums_scale(degree, r->value_bits, r->n_addends, &share);
    if (scale == 0) {
        return msfl_fail(
            MSFL_ERR_PARAMS,
            "%u addends of %u bits do not fit ring degree %u: transforms in doubles may be off by %.2f of a "
            "value, and 0.40 is the most that leaves room for noise. Take fewer addends or bits, a smaller "
            "ring degree, or the scheme bfv",
            r->n_addends, r->value_bits, degree, share);
    }
    return msfl_fail(
        MSFL_ERR_PARAMS,
        "%u addends of %u bits do not fit ring degree %u at %u-bit security: at scale 2^%.2f, the least that "
        "keeps them exact, log2 q must be %u, and %u is allowed (2024/463, Table 5.2). Take a larger ring "
        "degree, fewer addends, or fewer bits",
        r->n_addends, r->value_bits, degree, security, log2(scale),
        sums_bits(degree, r->value_bits, scale, r->n_addends), msfl_log2_q_max(degree, security));
}
