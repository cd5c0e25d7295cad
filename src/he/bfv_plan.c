/* Parameter sets of the bfv scheme: planned, proved, described. */
#include "he/bfv.h"

#include "base/bytes.h"
#include "base/error.h"
#include "he/security.h"
#include "ring/prime.h"

#include <math.h>

enum { SLOTS_MAX = MSFL_PRIMES_MAX * MSFL_PRIME_BITS_MAX / MSFL_VALUE_BITS_MIN };

static uint64_t square_root(uint64_t square) {
    uint64_t root = (uint64_t)sqrt((double)square);
    while (root * root > square)
        root--;
    while ((root + 1) * (root + 1) <= square)
        root++;
    return root;
}

/* The noise of one ciphertext is e u + e0 + e1 s, or e alone. With e and s fixed, sum of squares at most 12 N each, one
 * coefficient is a sum of fair coins +-w/2, 42 for each of the weights w among the coefficients of e, of s, and 1. The
 * sum over n ciphertexts has sum (w/2)^2 <= 10.5 n (24 N + 1) = V, and Hoeffding gives
 * Pr(|noise| > 16 sqrt V) <= 2 exp(-128). 16^2 * 10.5 = 2688. The second bound is what cannot be exceeded at all. */
uint64_t msfl_bfv_noise_bound(uint32_t degree, uint32_t n_addends) {
    uint64_t norms = 2 * (uint64_t)MSFL_RLWE_NORM * degree + 1;
    uint64_t likely = square_root((uint64_t)MSFL_BFV_DEVIATIONS * MSFL_BFV_DEVIATIONS * 21 / 2 * norms * n_addends);
    uint64_t small = MSFL_RLWE_SMALL_MAX, certain = n_addends * (2 * degree * small * small + small);
    return likely < certain ? likely : certain;
}

/** 2^20 t (2 B + 1) <= (2^20 - 1) q: a valid phase stays away from q / 2 by more than rounding can move it. */
static bool has_room(const msfl_wide *q, uint32_t degree, uint32_t n_addends, uint32_t log_t) {
    msfl_wide t = msfl_wide_power2(log_t + MSFL_MARGIN_BITS);
    msfl_wide needed = msfl_wide_mul_add(&t, 2 * msfl_bfv_noise_bound(degree, n_addends) + 1, 0);
    msfl_wide usable = msfl_wide_mul_add(q, ((uint64_t)1 << MSFL_MARGIN_BITS) - 1, 0);
    return msfl_wide_compare(&needed, &usable) <= 0;
}

/** The noise's share of log2 q, rounded up. */
static uint32_t noise_bits(uint32_t degree, uint32_t n_addends) {
    uint64_t needed = (2 * msfl_bfv_noise_bound(degree, n_addends) + 1) << MSFL_MARGIN_BITS;
    uint32_t k = 0;
    while ((((uint64_t)1 << MSFL_MARGIN_BITS) - 1) << k < needed)
        k++;
    return k;
}

static msfl_wide modulus_of(const msfl_bfv_params *p) {
    msfl_wide q = msfl_wide_of(1);
    for (uint32_t i = 0; i < p->n_primes; i++)
        q = msfl_wide_mul_add(&q, p->primes[i], 0);
    return q;
}

static uint32_t log2_q_limit(uint32_t degree, uint32_t security_bits) {
    uint32_t table = msfl_log2_q_max(degree, security_bits);
    return table < MSFL_PRIMES_MAX * MSFL_PRIME_BITS_MAX ? table : MSFL_PRIMES_MAX * MSFL_PRIME_BITS_MAX;
}

/* --- sizes --- */

uint32_t msfl_bfv_coefficients(const msfl_bfv_params *p, uint32_t n_values) {
    return (n_values + p->slots_per_coefficient - 1) / p->slots_per_coefficient;
}

static size_t plane_bytes(const msfl_bfv_params *p, size_t n) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < p->n_primes; i++)
        bytes += (n * (64 - (uint32_t)__builtin_clzll(p->primes[i])) + 7) / 8;
    return bytes;
}

size_t msfl_bfv_bytes_of(const msfl_bfv_params *p, uint32_t n_values, bool seeded) {
    size_t c1 = seeded ? MSFL_RLWE_SEED_BYTES : plane_bytes(p, p->ring_degree);
    return MSFL_RLWE_HEADER_BYTES + MSFL_BFV_CT_FIXED + plane_bytes(p, msfl_bfv_coefficients(p, n_values)) + c1;
}

static uint64_t vector_bytes(const msfl_bfv_params *p, uint64_t n_values, bool seeded) {
    uint32_t full = p->ring_degree * p->slots_per_coefficient, last = (uint32_t)(n_values % full);
    uint64_t bytes = n_values / full * msfl_bfv_bytes_of(p, full, seeded);
    return bytes + (last > 0 ? msfl_bfv_bytes_of(p, last, seeded) : 0);
}

void msfl_bfv_params_write(const msfl_bfv_params *p, uint8_t out[MSFL_BFV_PARAMS_BYTES]) {
    const uint32_t head[6] = {p->ring_degree, p->n_primes,   p->security_bits,
                              p->n_addends,   p->value_bits, p->slots_per_coefficient};
    for (size_t i = 0; i < 6; i++)
        msfl_store32(out + 4 * i, head[i]);
    for (size_t i = 0; i < MSFL_PRIMES_MAX; i++)
        msfl_store64(out + 24 + 8 * i, i < p->n_primes ? p->primes[i] : 0);
}

msfl_status msfl_bfv_params_parse(const uint8_t *bytes, size_t length, msfl_bfv_params *out) {
    memset(out, 0, sizeof *out);
    if (length != MSFL_BFV_PARAMS_BYTES) {
        return msfl_fail(MSFL_ERR_FORMAT, "bfv parameters of %zu bytes; they have %d", length, MSFL_BFV_PARAMS_BYTES);
    }
    msfl_reader r = msfl_reader_init(bytes, length);
    msfl_bfv_params p = {0};
    p.ring_degree = msfl_get32(&r);
    p.n_primes = msfl_get32(&r);
    p.security_bits = msfl_get32(&r);
    p.n_addends = msfl_get32(&r);
    p.value_bits = msfl_get32(&r);
    p.slots_per_coefficient = msfl_get32(&r);
    for (size_t i = 0; i < MSFL_PRIMES_MAX; i++)
        p.primes[i] = msfl_get64(&r);
    /* The rest follows; checked first, so that nothing absurd is multiplied. */
    if (p.n_addends >= 1 && p.n_addends <= MSFL_CLIENTS_MAX && p.value_bits >= MSFL_VALUE_BITS_MIN &&
        p.value_bits <= MSFL_VALUE_BITS_MAX && p.slots_per_coefficient <= SLOTS_MAX) {
        p.slot_bits = msfl_slot_bits(p.n_addends, p.value_bits);
        p.log_t = p.slot_bits * p.slots_per_coefficient;
    }
    msfl_status status = msfl_bfv_check(&p);
    if (status == MSFL_OK) *out = p;
    return status;
}

msfl_status msfl_bfv_params_read(const uint8_t *bytes, size_t length, msfl_bfv_params *out) {
    memset(out, 0, sizeof *out);
    msfl_rlwe_header header;
    msfl_status status = msfl_rlwe_read_header(MSFL_BFV_SCHEME, 0, bytes, length, &header);
    if (status != MSFL_OK) return status;
    if (length < MSFL_RLWE_HEADER_BYTES + MSFL_BFV_PARAMS_BYTES) {
        return msfl_fail(MSFL_ERR_FORMAT, "a key of %zu bytes ends before its parameters do", length);
    }
    return msfl_bfv_params_parse(bytes + MSFL_RLWE_HEADER_BYTES, MSFL_BFV_PARAMS_BYTES, out);
}

/* --- proof --- */

#define SET "bfv parameters"

msfl_status msfl_bfv_check(const msfl_bfv_params *p) {
    msfl_status status = msfl_check_level(SET, p->ring_degree, p->security_bits);
    if (status != MSFL_OK) return status;
    if (p->n_addends < 1 || p->n_addends > MSFL_CLIENTS_MAX) {
        return msfl_fail(MSFL_ERR_PARAMS, SET " refused: addends is %u, expected 1 to 10000", p->n_addends);
    }
    status = msfl_check_slots(SET, p->n_addends, p->value_bits, p->slot_bits, p->slots_per_coefficient, p->log_t);
    if (status == MSFL_OK) status = msfl_check_primes(SET, p->primes, p->n_primes, p->ring_degree);
    if (status != MSFL_OK) return status;
    uint32_t log2_q_max = msfl_log2_q_max(p->ring_degree, p->security_bits);
    msfl_wide q = modulus_of(p);
    uint32_t q_bits = msfl_wide_bits(&q);
    if (q_bits > log2_q_max) {
        return msfl_fail(MSFL_ERR_PARAMS,
                         SET " refused: q has %u bits, and ring degree %u allows %u at %u-bit security "
                             "(2024/463, Table 5.2)",
                         q_bits, p->ring_degree, log2_q_max, p->security_bits);
    }
    if (!has_room(&q, p->ring_degree, p->n_addends, p->log_t)) {
        return msfl_fail(
            MSFL_ERR_PARAMS, SET " refused: log2 q = %.2f, but t = 2^%u and the noise of %u addends need %u",
            msfl_wide_log2(&q), p->log_t, p->n_addends, p->log_t + noise_bits(p->ring_degree, p->n_addends));
    }
    /* Opening counts on it, and a larger modulus is waste. */
    if (q_bits > p->log_t + MSFL_Q_OVER_T_BITS_MAX) {
        return msfl_fail(MSFL_ERR_PARAMS, SET " refused: q has %u bits, more than 24 above log2 t = %u", q_bits,
                         p->log_t);
    }
    return MSFL_OK;
}

void msfl_bfv_describe(const msfl_bfv_params *p, uint64_t n_values, msfl_bfv_facts *out) {
    msfl_wide q = modulus_of(p);
    uint64_t full = (uint64_t)p->ring_degree * p->slots_per_coefficient;
    double bound = (double)msfl_bfv_noise_bound(p->ring_degree, p->n_addends) + 1;
    double variance = 10.5 * p->n_addends * (2.0 * MSFL_RLWE_NORM * p->ring_degree + 1);
    double coefficients = ceil((double)n_values / p->slots_per_coefficient);
    size_t key_head = MSFL_RLWE_HEADER_BYTES + MSFL_BFV_PARAMS_BYTES + MSFL_RLWE_SEED_BYTES;
    *out = (msfl_bfv_facts){
        .log2_q = msfl_wide_log2(&q),
        .log2_q_max = msfl_log2_q_max(p->ring_degree, p->security_bits),
        .noise_bits_max = log2(bound - 1),
        .log2_failure = 1 + log2(coefficients) - bound * bound / (2 * variance) / log(2.0),
        .n_chunks = n_values / full + (n_values % full != 0),
        .full_bytes = vector_bytes(p, n_values, false),
        .seeded_bytes = vector_bytes(p, n_values, true),
        .public_key_bytes = key_head + plane_bytes(p, p->ring_degree),
        .secret_key_bytes = key_head,
    };
}

/* --- planner --- */

/** The set of this degree with as many values per coefficient as fit, or as one chunk needs; false if not even one. */
static bool plan_degree(const msfl_bfv_request *r, uint32_t degree, msfl_bfv_params *out) {
    uint32_t security = r->security_bits == 0 ? 128 : r->security_bits;
    uint32_t limit = log2_q_limit(degree, security), w = msfl_slot_bits(r->n_addends, r->value_bits);
    uint32_t noise = noise_bits(degree, r->n_addends);
    if (limit < noise + w) return false;
    uint64_t needed = (r->n_values + degree - 1) / degree;
    uint32_t slots = (limit - noise) / w;
    for (slots = needed < slots ? (uint32_t)needed : slots; slots >= 1; slots--) {
        for (uint32_t bits = slots * w + noise; bits <= limit && bits <= slots * w + MSFL_Q_OVER_T_BITS_MAX; bits++) {
            memset(out, 0, sizeof *out);
            out->n_primes = msfl_rlwe_primes(degree, bits, out->primes);
            if (out->n_primes == 0) {
                memset(out->primes, 0, sizeof out->primes);
                continue;
            }
            msfl_wide q = modulus_of(out);
            if (!has_room(&q, degree, r->n_addends, slots * w)) continue;
            out->ring_degree = degree;
            out->security_bits = security;
            out->n_addends = r->n_addends;
            out->value_bits = r->value_bits;
            out->slot_bits = w;
            out->slots_per_coefficient = slots;
            out->log_t = slots * w;
            return true;
        }
    }
    return false;
}

msfl_status msfl_bfv_plan(const msfl_bfv_request *request, msfl_bfv_params *out) {
    memset(out, 0, sizeof *out);
    msfl_status status =
        msfl_check_request("addends", request->n_addends, request->security_bits, request->ring_degree);
    if (status == MSFL_OK) status = msfl_check_vector(request->value_bits, request->n_values);
    if (status != MSFL_OK) return status;
    uint64_t best = UINT64_MAX;
    for (uint32_t degree = MSFL_RING_DEGREE_MIN; degree <= MSFL_RING_DEGREE_MAX; degree *= 2) {
        if (request->ring_degree != 0 && request->ring_degree != degree) continue;
        msfl_bfv_params found;
        if (!plan_degree(request, degree, &found)) continue;
        uint64_t bytes = vector_bytes(&found, request->n_values, false);
        if (bytes >= best) continue;
        best = bytes;
        *out = found;
    }
    if (best != UINT64_MAX) return MSFL_OK;
    uint32_t degree = request->ring_degree == 0 ? MSFL_RING_DEGREE_MAX : request->ring_degree;
    uint32_t security = request->security_bits == 0 ? 128 : request->security_bits;
    uint32_t noise = noise_bits(degree, request->n_addends);
    uint32_t w = msfl_slot_bits(request->n_addends, request->value_bits);
    return msfl_fail(MSFL_ERR_PARAMS,
                     "%u addends of %u bits do not fit ring degree %u at %u-bit security: the sum of one value takes "
                     "%u bits and the noise %u, so log2 q must be %u, and %u is allowed (2024/463, Table 5.2). Take a "
                     "larger ring degree, fewer addends, or fewer bits",
                     request->n_addends, request->value_bits, degree, security, w, noise, w + noise,
                     msfl_log2_q_max(degree, security));
}
