/* ckks: approximate arithmetic, here for exact sums of integers, under one key pair. */
#include "base/error.h"
#include "medsecurefl/ckks.h"
#include "scheme/table.h"

#include <math.h>
#include <stdio.h>

#define LATTICE(name) msfl_ckks_##name
enum { LATTICE_PARAMS_BYTES = MSFL_CKKS_PARAMS_BYTES };
typedef msfl_ckks lattice_ctx;

static msfl_status plan(const msfl_scheme_request *r, msfl_ckks_params *params) {
    const msfl_ckks_sums_request request = {r->n_clients, r->value_bits, r->n_values, r->security_bits, r->ring_degree};
    return msfl_ckks_plan_sums(&request, params);
}

static void describe(const msfl_ckks_params *p, const msfl_ckks_facts *f, char *text, size_t size) {
    snprintf(text, size, "N = %u, %u prime%s, log2 q = %.1f of %.0f, two integers a slot, scale 2^%.1f", p->ring_degree,
             p->n_primes, p->n_primes == 1 ? "" : "s", f->log2_q, f->log2_q_max, log2(p->scale));
}

static msfl_status check_params(const msfl_ckks_params *params) {
    return params->value_bits > 0
               ? MSFL_OK
               : msfl_fail(MSFL_ERR_MISMATCH, "parameters for numbers, where sums of integers are meant");
}

static size_t ciphertext_bytes(const msfl_ckks *ctx, uint32_t n_values) {
    (void)n_values; /* a ciphertext is whole, however few values it carries */
    return msfl_ckks_ct_bytes_max(ctx);
}

static msfl_status encrypt_integers(const msfl_ckks *ctx, msfl_ckks_public *public, uint64_t chunk,
                                    const uint32_t *values, uint32_t n, msfl_ckks_ct *ct) {
    return msfl_ckks_sums_encrypt(ctx, public, chunk, values, n, ct);
}

static msfl_status decrypt_integers(const msfl_ckks *ctx, msfl_ckks_secret *secret, const msfl_ckks_ct *ct,
                                    uint64_t *totals) {
    return msfl_ckks_sums_decrypt(ctx, secret, ct, totals);
}

#include "scheme/lattice_body.h"

const msfl_scheme msfl_scheme_ckks = {
    .name = "ckks",
    .summary = "approximate arithmetic on encrypted numbers, used for exact integers, with one key pair",
    .trust = "Whoever holds the secret key can open every single hospital's update; the coordinator must not have it.",
    LATTICE_OPERATIONS,
};
