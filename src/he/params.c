/* Proof of a parameter set from outside, and its figures. */
#include "base/error.h"
#include "he/security.h"
#include "ring/modular.h"
#include "ring/prime.h"

#include <math.h>
#include <string.h>

#define SET "parameter set"

msfl_status msfl_params_check(const msfl_params *p) {
    msfl_status status = msfl_check_level(SET, p->ring_degree, p->security_bits);
    if (status != MSFL_OK) return status;
    if (p->n_clients < 1 || p->n_clients > MSFL_CLIENTS_MAX) {
        return msfl_fail(MSFL_ERR_PARAMS, SET " refused: clients is %u, expected 1 to 10000", p->n_clients);
    }
    status = msfl_check_slots(SET, p->n_clients, p->value_bits, p->slot_bits, p->slots_per_coefficient, p->log_t);
    if (status == MSFL_OK) status = msfl_check_primes(SET, p->primes, p->n_primes, p->ring_degree);
    if (status != MSFL_OK) return status;
    /* Key sums, up to 41 n in size, must be told apart modulo every prime. Sets that are planned are far from this. */
    for (uint32_t i = 0; i < p->n_primes; i++) {
        if (p->primes[i] <= 2 * (uint64_t)MSFL_KEY_MAX * p->n_clients) {
            return msfl_fail(MSFL_ERR_PARAMS, SET " refused: prime %llu is not above 82 times %u clients",
                             (unsigned long long)p->primes[i], p->n_clients);
        }
    }
    msfl_wide q = msfl_modulus_of(p);
    uint32_t q_bits = msfl_wide_bits(&q), log2_q_max = msfl_log2_q_max(p->ring_degree, p->security_bits);
    if (q_bits > log2_q_max) {
        return msfl_fail(MSFL_ERR_PARAMS,
                         SET " refused: q has %u bits, and ring degree %u allows %u at %u-bit security "
                             "(2024/463, Table 5.2)",
                         q_bits, p->ring_degree, log2_q_max, p->security_bits);
    }
    if (!msfl_has_room(&q, p->n_clients, p->log_t)) {
        return msfl_fail(MSFL_ERR_PARAMS,
                         SET " refused: log2 q = %.2f, but t = 2^%u and noise up to %u of %u clients need %.2f",
                         msfl_wide_log2(&q), p->log_t, msfl_noise_bound(p->n_clients), p->n_clients,
                         p->log_t + log2(2.0 * msfl_noise_bound(p->n_clients) + 1));
    }
    if (q_bits > p->log_t + MSFL_Q_OVER_T_BITS_MAX) {
        return msfl_fail(MSFL_ERR_PARAMS, SET " refused: q has %u bits, more than 24 above log2 t = %u", q_bits,
                         p->log_t);
    }
    return MSFL_OK;
}

void msfl_params_describe(const msfl_params *params, uint64_t n_values, msfl_params_facts *out) {
    msfl_wide q = msfl_modulus_of(params);
    msfl_chunking chunks = msfl_chunking_of(params, n_values);
    uint32_t n = params->n_clients;
    double coefficients = ceil((double)n_values / params->slots_per_coefficient);
    *out = (msfl_params_facts){
        .log2_q = msfl_wide_log2(&q),
        .log2_q_max = msfl_log2_q_max(params->ring_degree, params->security_bits),
        .noise_bits_max = log2(msfl_noise_bound(n)),
        .n_chunks = chunks.n_chunks,
        .ciphertext_bytes = msfl_ciphertext_bytes(params, n_values),
        .key_share_bytes = msfl_key_share_bytes(params->ring_degree),
    };
    out->bits_per_value = n_values == 0 ? 0 : 8.0 * (double)out->ciphertext_bytes / (double)n_values;
    /* Hoeffding: 162 n coins of +-1/2 have a sum beyond B with chance at most 2 exp(-(B + 1)^2 / (81 n)). */
    double beyond = msfl_noise_bound(n) + 1.0;
    bool certain = msfl_noise_bound(n) >= (uint64_t)MSFL_NOISE_MAX * n;
    out->log2_failure =
        certain ? -INFINITY : 1 + log2(coefficients) - beyond * beyond / ((double)MSFL_NOISE_MAX * n) / log(2.0);
}
