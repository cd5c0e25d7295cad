#include "round/info.h"

#include "base/error.h"

#include <inttypes.h>

static void add_params(msfl_hash *h, const msfl_params *params) {
    msfl_hash_add_u64(h, params->ring_degree);
    msfl_hash_add_u64(h, params->n_primes);
    /* All places, used or not: no field of the set is outside the hash. */
    for (size_t i = 0; i < MSFL_PRIMES_MAX; i++)
        msfl_hash_add_u64(h, params->primes[i]);
    msfl_hash_add_u64(h, params->security_bits);
    msfl_hash_add_u64(h, params->n_clients);
    msfl_hash_add_u64(h, params->value_bits);
    msfl_hash_add_u64(h, params->slot_bits);
    msfl_hash_add_u64(h, params->slots_per_coefficient);
    msfl_hash_add_u64(h, params->log_t);
}

void msfl_round_id(const msfl_round_info *info, uint8_t out[MSFL_HASH_BYTES]) {
    msfl_hash h;
    msfl_hash_init(&h, "msfl.round.v1");
    msfl_hash_add(&h, info->task, sizeof info->task);
    msfl_hash_add_u64(&h, info->number);
    msfl_hash_add(&h, info->model, sizeof info->model);
    msfl_hash_add(&h, info->layout, sizeof info->layout);
    msfl_hash_add(&h, info->authority, sizeof info->authority);
    msfl_hash_add_u64(&h, info->n_clients);
    msfl_hash_add_u64(&h, info->min_cohort);
    msfl_hash_add_u64(&h, info->n_values);
    add_params(&h, &info->params);
    msfl_hash_final(&h, out);
}

msfl_status msfl_round_info_check(const msfl_round_info *info) {
    static const uint64_t n_values_max = UINT64_C(1) << 34;
    msfl_status status = msfl_params_check(&info->params);
    if (status != MSFL_OK) return msfl_fail_in(status, "round %" PRIu64, info->number);
    if (info->n_clients < 1 || info->n_clients > MSFL_CLIENTS_MAX) {
        return msfl_fail(MSFL_ERR_USAGE, "round %" PRIu64 ": roster of %" PRIu32 " clients; use 2 to %d", info->number,
                         info->n_clients, MSFL_CLIENTS_MAX);
    }
    if (info->n_clients > info->params.n_clients) {
        return msfl_fail(MSFL_ERR_PARAMS,
                         "round %" PRIu64 ": roster of %" PRIu32 " clients, but the parameters hold sums of %" PRIu32
                         "; plan them for the whole roster",
                         info->number, info->n_clients, info->params.n_clients);
    }
    if (info->min_cohort < 2) {
        return msfl_fail(MSFL_ERR_POLICY,
                         "round %" PRIu64 ": a minimum cohort of %" PRIu32
                         " would open a single client's update; use 3 or more (2 only where the operator allows it)",
                         info->number, info->min_cohort);
    }
    if (info->min_cohort > info->n_clients) {
        return msfl_fail(MSFL_ERR_USAGE,
                         "round %" PRIu64 ": minimum cohort of %" PRIu32 " in a roster of %" PRIu32 " is never reached",
                         info->number, info->min_cohort, info->n_clients);
    }
    if (info->n_values < 1 || info->n_values > n_values_max) {
        return msfl_fail(MSFL_ERR_USAGE, "round %" PRIu64 ": %" PRIu64 " values per update; use 1 to %" PRIu64,
                         info->number, info->n_values, n_values_max);
    }
    return MSFL_OK;
}

static bool params_equal(const msfl_params *a, const msfl_params *b) {
    for (size_t i = 0; i < MSFL_PRIMES_MAX; i++) {
        if (a->primes[i] != b->primes[i]) return false;
    }
    return a->ring_degree == b->ring_degree && a->n_primes == b->n_primes && a->security_bits == b->security_bits &&
           a->n_clients == b->n_clients && a->value_bits == b->value_bits && a->slot_bits == b->slot_bits &&
           a->slots_per_coefficient == b->slots_per_coefficient && a->log_t == b->log_t;
}

msfl_status msfl_round_info_check_with(const msfl_round_info *info, const msfl_packed *ctx) {
    msfl_status status = msfl_round_info_check(info);
    if (status != MSFL_OK) return status;
    if (!params_equal(&info->params, msfl_packed_params(ctx))) {
        return msfl_fail(MSFL_ERR_MISMATCH, "round %" PRIu64 ": the scheme was set up for other parameters",
                         info->number);
    }
    return MSFL_OK;
}

uint64_t msfl_round_ciphertext_bytes(const msfl_packed *ctx, uint64_t n_values) {
    uint64_t n_chunks = msfl_packed_chunks(ctx, n_values), length = 0;
    for (uint64_t j = 0; j < n_chunks; j++)
        length += msfl_packed_chunk_bytes(ctx, n_values, j);
    return length;
}

void msfl_round_ciphertext_hash_init(msfl_hash *h, const uint8_t round_id[MSFL_HASH_BYTES], uint32_t client,
                                     uint64_t length) {
    msfl_hash_init(h, "msfl.round.ciphertext.v1");
    msfl_hash_add(h, round_id, MSFL_HASH_BYTES);
    msfl_hash_add_u64(h, client);
    msfl_hash_add_u64(h, length);
}
