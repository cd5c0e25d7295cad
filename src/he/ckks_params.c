/* Parameter sets of the ckks scheme: their bytes, their proof, their figures. */
#include "he/ckks.h"

#include "base/bytes.h"
#include "base/error.h"
#include "he/security.h"
#include "ring/prime.h"

#include <math.h>
#include <string.h>

/* --- sizes --- */

static msfl_wide modulus_of(const msfl_ckks_params *p, uint32_t first, uint32_t end) {
    msfl_wide q = msfl_wide_of(1);
    for (uint32_t i = first; i < end; i++)
        q = msfl_wide_mul_add(&q, p->primes[i], 0);
    return q;
}

/* Of all primes, special ones included; `bits` (may be NULL) gets the length of their product. */
static double log2_q_of(const msfl_ckks_params *p, uint32_t *bits) {
    msfl_wide q = modulus_of(p, 0, p->n_primes + p->n_special);
    if (bits != NULL) *bits = msfl_wide_bits(&q);
    return msfl_wide_log2(&q);
}

size_t msfl_ckks_plane_bytes(const msfl_ckks_params *p, uint32_t count) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += ((size_t)p->ring_degree * (64 - (uint32_t)__builtin_clzll(p->primes[i])) + 7) / 8;
    return bytes;
}

size_t msfl_ckks_bytes_of(const msfl_ckks_params *p, uint32_t level, bool seeded) {
    size_t planes = msfl_ckks_plane_bytes(p, level);
    return MSFL_RLWE_HEADER_BYTES + MSFL_CKKS_CT_FIXED + planes + (seeded ? MSFL_RLWE_SEED_BYTES : planes);
}

void msfl_ckks_describe(const msfl_ckks_params *p, uint64_t n_values, msfl_ckks_facts *out) {
    uint32_t degree = p->ring_degree;
    bool sums = p->value_bits != 0;
    uint64_t full = sums ? degree : degree / 2, n_chunks = n_values / full + (n_values % full != 0);
    size_t head = MSFL_RLWE_HEADER_BYTES + MSFL_CKKS_PARAMS_BYTES + MSFL_RLWE_SEED_BYTES;
    double noise = msfl_ckks_fresh_noise(degree, false);
    *out = (msfl_ckks_facts){
        .log2_q = log2_q_of(p, NULL),
        .log2_q_max = msfl_log2_q_max(degree, p->security_bits),
        .n_slots = sums ? degree : degree / 2,
        .depth = p->n_step == 0 ? 0 : (p->n_primes - p->n_base) / p->n_step,
        .n_chunks = n_chunks,
        .full_bytes = n_chunks * msfl_ckks_bytes_of(p, p->n_primes, false),
        .seeded_bytes = n_chunks * msfl_ckks_bytes_of(p, p->n_primes, true),
        .public_key_bytes = head + msfl_ckks_plane_bytes(p, p->n_primes),
        .secret_key_bytes = head,
    };
    /* 2 exp(-128) for each real or imaginary part */
    double tail = 1 - 128 / log(2);
    if (sums) {
        out->fresh_error_max = msfl_ckks_sums_error(degree, p->value_bits, p->scale, 1) / p->scale;
        out->log2_failure = tail + log2((double)(n_values > 0 ? n_values : 1));
        return;
    }
    double encoding = msfl_ckks_encode_error(degree, p->scale, p->value_max, msfl_ckks_shift(p->scale, p->value_max));
    double error = noise + encoding + msfl_ckks_decode_error(degree, p->scale * p->value_max + noise + encoding);
    out->fresh_error_max = error / p->scale;
    out->log2_failure = tail + log2(degree);
    if (p->flood_bits != 0) {
        double flood = msfl_ckks_flood_error(degree, msfl_ckks_flood_log2(degree, noise, p->flood_bits, p->n_releases));
        out->flooded_error_max = (error + flood + msfl_ckks_decode_error(degree, 2 * flood)) / p->scale;
    }
    if (p->n_special != 0) {
        out->switch_key_bytes = MSFL_RLWE_HEADER_BYTES + MSFL_CKKS_PARAMS_BYTES +
                                p->n_primes * (MSFL_RLWE_SEED_BYTES + msfl_ckks_plane_bytes(p, p->n_primes + 1));
    }
}

/* --- bytes --- */

void msfl_ckks_params_write(const msfl_ckks_params *p, uint8_t out[MSFL_CKKS_PARAMS_BYTES]) {
    const uint32_t head[10] = {p->ring_degree,   p->n_primes,  p->n_base,     p->n_step,     p->n_special,
                               p->security_bits, p->n_addends, p->value_bits, p->flood_bits, p->n_releases};
    for (size_t i = 0; i < 10; i++)
        msfl_store32(out + 4 * i, head[i]);
    uint64_t bits[2];
    memcpy(&bits[0], &p->scale, 8);
    memcpy(&bits[1], &p->value_max, 8);
    msfl_store64(out + 40, bits[0]);
    msfl_store64(out + 48, bits[1]);
    for (size_t i = 0; i < MSFL_PRIMES_MAX; i++)
        msfl_store64(out + 56 + 8 * i, p->primes[i]);
}

msfl_status msfl_ckks_params_parse(const uint8_t *bytes, size_t length, msfl_ckks_params *out) {
    memset(out, 0, sizeof *out);
    if (length != MSFL_CKKS_PARAMS_BYTES) {
        return msfl_fail(MSFL_ERR_FORMAT, "ckks parameters of %zu bytes; they have %d", length, MSFL_CKKS_PARAMS_BYTES);
    }
    msfl_reader r = msfl_reader_init(bytes, length);
    msfl_ckks_params p = {0};
    uint32_t *const head[10] = {&p.ring_degree,   &p.n_primes,  &p.n_base,     &p.n_step,     &p.n_special,
                                &p.security_bits, &p.n_addends, &p.value_bits, &p.flood_bits, &p.n_releases};
    for (size_t i = 0; i < 10; i++)
        *head[i] = msfl_get32(&r);
    p.scale = msfl_get_f64(&r);
    p.value_max = msfl_get_f64(&r);
    for (size_t i = 0; i < MSFL_PRIMES_MAX; i++)
        p.primes[i] = msfl_get64(&r);
    msfl_status status = msfl_ckks_check(&p);
    if (status == MSFL_OK) *out = p;
    return status;
}

msfl_status msfl_ckks_params_read(const uint8_t *bytes, size_t length, msfl_ckks_params *out) {
    memset(out, 0, sizeof *out);
    msfl_rlwe_header header;
    msfl_status status = msfl_rlwe_read_header(MSFL_CKKS_SCHEME, 0, bytes, length, &header);
    if (status != MSFL_OK) return status;
    if (length < MSFL_RLWE_HEADER_BYTES + MSFL_CKKS_PARAMS_BYTES) {
        return msfl_fail(MSFL_ERR_FORMAT, "a key of %zu bytes ends before its parameters do", length);
    }
    return msfl_ckks_params_parse(bytes + MSFL_RLWE_HEADER_BYTES, MSFL_CKKS_PARAMS_BYTES, out);
}

/* --- proof --- */

#define SET "ckks parameters"

static msfl_status bad(const char *what, double found, const char *expected) {
    return msfl_fail(MSFL_ERR_PARAMS, SET " refused: %s is %.17g, expected %s", what, found, expected);
}

static msfl_status check_chain(const msfl_ckks_params *p) {
    if (p->n_special > 1) return bad("number of special primes", p->n_special, "0 or 1");
    if (p->n_primes < 1 || p->n_primes > MSFL_PRIMES_MAX - p->n_special) {
        return bad("number of primes", p->n_primes, "1 to 16 with the special one");
    }
    if (p->n_base < 1 || p->n_base > p->n_primes) return bad("number of base primes", p->n_base, "1 to all");
    uint32_t rest = p->n_primes - p->n_base;
    if (rest == 0 ? p->n_step != 0 : p->n_step < 1 || p->n_step > 3 || rest % p->n_step != 0) {
        return bad("number of primes in a step", p->n_step, "a divisor of those that are not in the base, up to 3");
    }
    uint32_t all = p->n_primes + p->n_special;
    for (uint32_t i = 0; i < all; i++) {
        uint64_t prime = p->primes[i];
        msfl_status status = msfl_check_prime(SET, prime, p->ring_degree);
        if (status != MSFL_OK) return status;
        for (uint32_t k = 0; k < i; k++) {
            if (p->primes[k] == prime) return bad("a prime", (double)prime, "one that is not there twice");
        }
        if (p->n_special == 1 && prime > p->primes[all - 1]) {
            return bad("a prime", (double)prime, "one below the special prime");
        }
    }
    for (uint32_t i = all; i < MSFL_PRIMES_MAX; i++) {
        if (p->primes[i] != 0) return bad("an unused prime", (double)p->primes[i], "0");
    }
    return MSFL_OK;
}

static msfl_status check_sums(const msfl_ckks_params *p) {
    if (p->value_bits < MSFL_VALUE_BITS_MIN || p->value_bits > MSFL_VALUE_BITS_MAX) {
        return bad("bits per value", p->value_bits, "2 to 32");
    }
    if (p->n_special != 0 || p->n_base != p->n_primes) {
        return bad("number of primes to drop", p->n_primes - p->n_base + p->n_special, "0 in a set for sums");
    }
    if (p->value_max != 0 || p->flood_bits != 0 || p->n_releases != 0) {
        return bad("value_max, flood or releases", p->value_max, "0 in a set for sums");
    }
    double error = msfl_ckks_sums_error(p->ring_degree, p->value_bits, p->scale, p->n_addends);
    if (!(error <= 0.499 * p->scale)) {
        return msfl_fail(MSFL_ERR_PARAMS,
                         SET " refused: scale %.0f, but the errors of %u addends of %u bits reach %.0f, and "
                             "less than half of the scale keeps sums exact",
                         p->scale, p->n_addends, p->value_bits, error);
    }
    msfl_wide q = modulus_of(p, 0, p->n_primes);
    double phase = log2(msfl_ckks_sums_phase(p->ring_degree, p->value_bits, p->scale, p->n_addends));
    if (!(phase + 1 + 0x1p-19 <= msfl_wide_log2(&q))) {
        return msfl_fail(MSFL_ERR_PARAMS, SET " refused: log2 q = %.2f, but sums of %u addends need %.2f",
                         msfl_wide_log2(&q), p->n_addends, phase + 1);
    }
    return MSFL_OK;
}

static msfl_status check_numbers(const msfl_ckks_params *p) {
    if (!(p->value_max > 0 && p->value_max <= 0x1p60)) return bad("value_max", p->value_max, "above 0, up to 2^60");
    if (p->flood_bits != 0 && (p->flood_bits < 10 || p->flood_bits > MSFL_CKKS_FLOOD_BITS_MAX)) {
        return bad("flood bits", p->flood_bits, "0, or 10 to 80");
    }
    if (p->flood_bits == 0 ? p->n_releases != 0 : p->n_releases < 1 || p->n_releases > MSFL_CKKS_RELEASES_MAX) {
        return bad("releases", p->n_releases, "1 to 2^20 with flooding, else 0");
    }
    msfl_wide base = modulus_of(p, 0, p->n_base);
    double needed = log2(p->scale) + log2(p->value_max) + log2(p->n_addends) + 1;
    if (!(needed + 0x1p-10 <= msfl_wide_log2(&base))) {
        return msfl_fail(MSFL_ERR_PARAMS,
                         SET " refused: the base primes have 2^%.2f, and sums of %u numbers up to %g at "
                             "scale 2^%.2f need 2^%.2f",
                         msfl_wide_log2(&base), p->n_addends, p->value_max, log2(p->scale), needed);
    }
    for (uint32_t i = p->n_base; i < p->n_primes; i += p->n_step) {
        msfl_wide step = modulus_of(p, i, i + p->n_step);
        if (fabs(msfl_wide_log2(&step) - log2(p->scale)) > 2) {
            return bad("log2 of a step", msfl_wide_log2(&step), "within 2 of that of the scale");
        }
    }
    return MSFL_OK;
}

msfl_status msfl_ckks_check(const msfl_ckks_params *p) {
    msfl_status status = msfl_check_level(SET, p->ring_degree, p->security_bits);
    if (status != MSFL_OK) return status;
    if (p->n_addends < 1 || p->n_addends > MSFL_CLIENTS_MAX) return bad("addends", p->n_addends, "1 to 10000");
    if (!(p->scale >= 1 && p->scale <= 0x1p120 && p->scale == floor(p->scale))) {
        return bad("scale", p->scale, "a whole number up to 2^120");
    }
    status = check_chain(p);
    if (status != MSFL_OK) return status;
    uint32_t log2_q_max = msfl_log2_q_max(p->ring_degree, p->security_bits), q_bits;
    double log2_q = log2_q_of(p, &q_bits);
    if (q_bits > log2_q_max) {
        return msfl_fail(MSFL_ERR_PARAMS,
                         SET " refused: q has %.2f bits with the special prime, and ring degree %u allows %u "
                             "at %u-bit security (2024/463, Table 5.2)",
                         log2_q, p->ring_degree, log2_q_max, p->security_bits);
    }
    return p->value_bits != 0 ? check_sums(p) : check_numbers(p);
}
