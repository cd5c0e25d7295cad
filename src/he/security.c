#include "he/security.h"

#include <math.h>

/* J.-P. Bossuat, R. Cammarota, I. Chillotti, B. R. Curtis, W. Dai, H. Gong, E. Hales, D. Kim, B. Kumara, C. Lee, X. Lu,
 * C. Maple, A. Pedrouzo-Ulloa, R. Player, Y. Polyakov, L. A. R. Lopez, Y. Song, D. Yhee: "Security Guidelines for
 * Implementing Homomorphic Encryption", IACR ePrint 2024/463, Table 5.2, classical, Gaussian secret. Row: N = 1024 on.
 */
static const uint16_t table_5_2[6][3] = {
    {28, 0, 0}, {55, 38, 30}, {108, 75, 58}, {216, 149, 116}, {432, 299, 232}, {870, 599, 464},
};

uint32_t msfl_log2_q_max(uint32_t degree, uint32_t security_bits) {
    for (uint32_t row = 0; row < 6; row++) {
        if (degree != (uint32_t)MSFL_RING_DEGREE_MIN << row) continue;
        switch (security_bits) {
        case 128:
            return table_5_2[row][0];
        case 192:
            return table_5_2[row][1];
        case 256:
            return table_5_2[row][2];
        default:
            return 0;
        }
    }
    return 0;
}

uint32_t msfl_noise_bound(uint32_t n_clients) {
    uint64_t square = (uint64_t)MSFL_NOISE_TAIL * n_clients, root = (uint64_t)sqrt((double)square);
    while (root * root > square)
        root--;
    while ((root + 1) * (root + 1) <= square)
        root++;
    uint64_t certain = (uint64_t)MSFL_NOISE_MAX * n_clients;
    return (uint32_t)(root < certain ? root : certain);
}

uint32_t msfl_slot_bits(uint32_t n_clients, uint32_t value_bits) {
    uint64_t total_max = (uint64_t)n_clients * (((uint64_t)1 << value_bits) - 1);
    return 64 - (uint32_t)__builtin_clzll(total_max);
}

uint32_t msfl_noise_bits(uint32_t n_clients) {
    uint64_t needed = (2 * (uint64_t)msfl_noise_bound(n_clients) + 1) << MSFL_MARGIN_BITS;
    uint64_t usable = ((uint64_t)1 << MSFL_MARGIN_BITS) - 1;
    uint32_t k = 0;
    while (usable << k < needed)
        k++;
    return k;
}

/* 2^20 t (2 B + 1) for t = 2^log_t and B = msfl_noise_bound(n): must not exceed (2^20 - 1) q. */
static msfl_wide room_needed(uint32_t n_clients, uint32_t log_t) {
    msfl_wide t = msfl_wide_power2(log_t + MSFL_MARGIN_BITS);
    return msfl_wide_mul_add(&t, 2 * (uint64_t)msfl_noise_bound(n_clients) + 1, 0);
}

bool msfl_has_room(const msfl_wide *q, uint32_t n_clients, uint32_t log_t) {
    msfl_wide needed = room_needed(n_clients, log_t);
    msfl_wide usable = msfl_wide_mul_add(q, ((uint64_t)1 << MSFL_MARGIN_BITS) - 1, 0);
    return msfl_wide_compare(&needed, &usable) <= 0;
}

msfl_wide msfl_modulus_of(const msfl_params *params) {
    msfl_wide q = msfl_wide_of(1);
    for (uint32_t i = 0; i < params->n_primes; i++)
        q = msfl_wide_mul_add(&q, params->primes[i], 0);
    return q;
}

msfl_chunking msfl_chunking_of(const msfl_params *params, uint64_t n_values) {
    uint32_t full = params->ring_degree * params->slots_per_coefficient;
    uint64_t n_chunks = n_values / full + (n_values % full != 0);
    return (msfl_chunking){n_chunks, full, n_chunks == 0 ? 0 : (uint32_t)(n_values - (n_chunks - 1) * full)};
}

uint32_t msfl_coefficients_of(const msfl_params *params, uint32_t slots) {
    return (slots + params->slots_per_coefficient - 1) / params->slots_per_coefficient;
}

uint64_t msfl_chunk_bytes_of(const msfl_params *params, uint32_t slots) {
    uint64_t coefficients = msfl_coefficients_of(params, slots), bytes = 0;
    for (uint32_t i = 0; i < params->n_primes; i++) {
        uint32_t bits = 64 - (uint32_t)__builtin_clzll(params->primes[i]);
        bytes += (coefficients * bits + 7) / 8;
    }
    return bytes;
}

uint64_t msfl_ciphertext_bytes(const msfl_params *params, uint64_t n_values) {
    msfl_chunking c = msfl_chunking_of(params, n_values);
    if (c.n_chunks == 0) return 0;
    return (c.n_chunks - 1) * msfl_chunk_bytes_of(params, c.full_slots) + msfl_chunk_bytes_of(params, c.last_slots);
}

uint64_t msfl_key_share_bytes(uint32_t degree) {
    enum { FIELD_BITS = 20, SEAL_BYTES = 48 };
    return (uint64_t)degree * FIELD_BITS / 8 + SEAL_BYTES;
}
